"""What people send: pictures with broken, odd and hostile files around good pixels."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from bombs import chunk, many_scans
from PIL import Image, ImageCms

from workshop import ImageEncoder
from workshop.pictures import ImageError, ImageTooLarge, load_image

RED, BLUE = (255, 0, 0), (0, 0, 255)
HALVES = Image.new("RGB", (40, 20), RED)
HALVES.paste(BLUE, (20, 0, 40, 20))
SIX = 6  # an orientation: what is at the left belongs at the top


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def oriented(tags: bytes = b"", count: int = 0) -> bytes:
    """EXIF that says six, and then has these entries of 12 bytes."""
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", 1 + count)
    return head + struct.pack("<HHIHH", 0x0112, 3, 1, SIX, 0) + tags + bytes(4)


BAD_FLOAT = struct.pack("<HHIf", 0x0100, 11, 1, float("inf"))  # a width of infinity


# ------------------------------------------------------------------------------ broken metadata


def jpeg_with(segment: bytes, marker: bytes = b"\xff\xe1") -> bytes:
    jpeg = saved(HALVES, "JPEG", quality=95)
    return jpeg[:2] + marker + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def png_with(*chunks: bytes, after: bytes = b"") -> bytes:
    png = saved(HALVES, "PNG")
    return png[:33] + b"".join(chunks) + png[33:-12] + after + png[-12:]


def avif_with(broken: bytes, turn: int = 1) -> bytes:
    """An AVIF whose EXIF was damaged after it was written; its boxes say the orientation too."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "somebody", turn
    avif = saved(HALVES, "AVIF", quality=95, exif=exif)  # moves the orientation into a box
    good = exif.tobytes().removeprefix(b"Exif\0\0")
    assert good in avif
    return avif.replace(good, broken.ljust(len(good), b"!"))


def tiff_with(broken: bytes, turn: int = 1, **options: object) -> bytes:
    """A TIFF whose entry for its maker was damaged; pixels are described by what comes after it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "somebody", turn
    tiff = saved(HALVES, "TIFF", exif=exif, **options)
    place = tiff.index(struct.pack("<HH", 0x010F, 2))
    return tiff[: place + 2] + broken + tiff[place + 2 + len(broken) :]


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
BROKEN = {
    "JPEG, EXIF of noise": jpeg_with(b"Exif\0\0" + bytes(range(60))),
    "JPEG, EXIF cut short": jpeg_with(b"Exif\0\0" + oriented()[:9]),
    "JPEG, half a profile": jpeg_with(b"ICC_PROFILE\0\1\1" + PROFILE[:200], b"\xff\xe2"),
    "JPEG, odd XMP": jpeg_with(b"http://ns.adobe.com/xap/1.0/\0<\xff\0"),
    "PNG, eXIf of noise": png_with(chunk(b"eXIf", b"\0\x08\0\2\1\x12\0\3")),
    "PNG, raw EXIF of noise": png_with(
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  4\nzzzz\n")
    ),
    "PNG, wrong checksum of a text": png_with(chunk(b"tEXt", b"a\0b", damage=1)),
    "PNG, odd compression of a text": png_with(chunk(b"zTXt", b"a\0\x07b")),
    "PNG, odd compression of a profile": png_with(chunk(b"iCCP", b"a\0\x07\0\0")),
    "PNG, half a profile": png_with(chunk(b"iCCP", b"a\0\0" + zlib.compress(PROFILE[:200]))),
    "PNG, half a chunk at the end": png_with(after=chunk(b"prVt", bytes(90))[:50]),
    "WebP, EXIF of noise": saved(HALVES, "WEBP", lossless=True, exif=b"Exif\0\0garbage"),
    "WebP, profile of noise": saved(HALVES, "WEBP", lossless=True, icc_profile=b"garbage"),
    "AVIF, EXIF of noise": avif_with(b"garbage"),
    "TIFF, a tag without end": tiff_with(struct.pack("<HI", 2, 2**31)),
    "TIFF, a tag without end, packed": tiff_with(
        struct.pack("<HI", 2, 2**31), compression="tiff_lzw"
    ),
    "TIFF, a tag of no type": tiff_with(struct.pack("<HI", 99, 1)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_picture_whose_pixels_are_whole_is_read_whatever_its_metadata_say(kind):
    picture = load_image(BROKEN[kind])
    assert picture.size == (40, 20)
    assert picture.getpixel((5, 5)) == pytest.approx(RED, abs=20)
    assert picture.getpixel((35, 15)) == pytest.approx(BLUE, abs=20)


TURNED = {
    "JPEG": jpeg_with(b"Exif\0\0" + oriented(BAD_FLOAT, 1)),
    "JPEG, cut short": jpeg_with(b"Exif\0\0" + oriented(b"", 9)),
    "PNG": png_with(chunk(b"eXIf", oriented(BAD_FLOAT, 1))),
    "PNG, after a broken text": png_with(
        chunk(b"tEXt", b"a\0b", damage=1), chunk(b"eXIf", oriented())
    ),
    "WebP": saved(HALVES, "WEBP", lossless=True, exif=b"Exif\0\0" + oriented(BAD_FLOAT, 1)),
    "AVIF": avif_with(b"garbage", turn=SIX),
    "TIFF": tiff_with(struct.pack("<HI", 2, 2**31), turn=SIX),
    "TIFF, packed": tiff_with(struct.pack("<HI", 99, 1), turn=SIX, compression="tiff_lzw"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TURNED)
def test_a_picture_is_turned_where_its_orientation_can_be_read(kind):
    picture = load_image(TURNED[kind])
    assert picture.size == (20, 40)
    assert picture.getpixel((10, 5)) == pytest.approx(RED, abs=20)
    assert picture.getpixel((10, 35)) == pytest.approx(BLUE, abs=20)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_each_orientation_of_each_format_is_what_pillow_makes_of_it(kind, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    options = (
        {"lossless": True} if kind == "WEBP" else {} if kind in ("PNG", "TIFF") else {"quality": 95}
    )
    quarters = Image.new("RGB", (40, 20))
    for place, colour in zip(
        [(0, 0), (20, 0), (0, 10), (20, 10)], ["red", "blue", "lime", "white"], strict=True
    ):
        quarters.paste(colour, (*place, place[0] + 20, place[1] + 10))
    content = saved(quarters, kind, exif=exif, **options)
    theirs = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    ours = load_image(content)
    assert ours.size == theirs.size
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs.convert("RGB"), int)).max() == 0


# ------------------------------------------------------------------------------ grey of many shades

RAMP = np.repeat(np.linspace(0, 65535, 6)[None], 4, axis=0).round()
SHADES = [0, 51, 102, 153, 204, 255]


def tiff_of_grey(bits: int, photometric: int, row: bytes, kind: int = 1, width: int = 6) -> bytes:
    """An uncompressed TIFF, one row of one channel."""
    tags = {
        256: width,
        257: 1,
        258: bits,
        259: 1,
        262: photometric,
        273: 0,
        277: 1,
        278: 1,
        279: len(row),
        339: kind,
    }
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + row


def packed(values: list[int], bits: int) -> bytes:
    """Numbers of so many bits, one after the other."""
    text = "".join(f"{value:0{bits}b}" for value in values)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def grey(array: np.ndarray) -> Image.Image:
    return Image.fromarray(array)


SIXTEEN = grey(RAMP.astype(np.uint16))
GREYS = {
    "PNG": saved(SIXTEEN, "PNG"),
    "PNG with alpha": None,  # made below: Pillow writes none
    "TIFF": saved(SIXTEEN, "TIFF"),
    "TIFF, packed": saved(SIXTEEN, "TIFF", compression="tiff_lzw"),
    "TIFF, 12 bits": tiff_of_grey(12, 1, packed([0, 819, 1638, 2457, 3276, 4095], 12)),
    "TIFF, white is zero": tiff_of_grey(16, 0, (65535 - RAMP[0]).astype("<u2").tobytes()),
    "TIFF, float": saved(grey(RAMP.astype(np.float32)), "TIFF"),
    "TIFF, 32 bits": saved(grey(RAMP.astype(np.int32)), "TIFF"),
    "PGM": b"P5 6 4 65535\n" + RAMP.astype(">u2").tobytes(),
    "PGM, 10 bits": b"P5 6 4 1023\n" + (RAMP / 65535 * 1023).round().astype(">u2").tobytes(),
    "PGM in words": b"P2 6 1 65535 0 13107 26214 39321 52428 65535\n",
    "PFM": b"Pf 6 4 -1.0\n" + RAMP.astype("<f4").tobytes(),
    "AVIF": saved(grey((RAMP / 257).astype(np.uint8)), "AVIF", quality=100),
}
_rows = b"".join(
    b"\0" + np.stack([row, np.full(6, 65535)], 1).astype(">u2").tobytes() for row in RAMP
)
GREYS["PNG with alpha"] = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 16, 4, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(_rows))
    + chunk(b"IEND", b"")
)


@pytest.mark.parametrize("kind", GREYS)
def test_grey_of_many_shades_looks_the_same_from_every_format(kind):
    picture = load_image(GREYS[kind])
    assert [picture.getpixel((x, 0))[0] for x in range(6)] == pytest.approx(SHADES, abs=1)


def test_dark_16_bit_grey_stays_dark():
    """It is scaled by what white is in its format, not by its own brightest value."""
    dark = np.full((2, 2), 257 * 20, np.uint16)
    dark[0, 0] = 0
    for content in (
        saved(grey(dark), "PNG"),
        saved(grey(dark), "TIFF"),
        b"P5 2 2 65535\n" + dark.astype(">u2").tobytes(),
    ):
        assert load_image(content).getpixel((1, 1)) == (20, 20, 20)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_one_value_that_is_no_number_does_not_blacken_the_rest(odd):
    values = np.array([[0.0, 0.5, 1.0, odd]], np.float32)
    for source in (grey(values), saved(grey(values), "TIFF")):
        picture = load_image(source)
        assert [picture.getpixel((x, 0))[0] for x in range(3)] == pytest.approx(
            [0, 128, 255], abs=1
        )
        assert picture.getpixel((3, 0))[0] == (255 if odd == np.inf else 0)
    assert load_image(grey(np.full((2, 2), odd, np.float32))).size == (2, 2)


def test_the_widest_range_of_floats_is_scaled():
    values = np.array([[-3e38, 0, 3e38]], np.float32)
    picture = load_image(grey(values))
    assert [picture.getpixel((x, 0))[0] for x in range(3)] == pytest.approx([0, 128, 255], abs=1)


# ------------------------------------------------------------------------------ colours


def exchanged() -> bytes:
    """A profile of sRGB in which red and blue have changed places."""
    raw = bytearray(PROFILE)
    tags = {}
    for place in range(132, 132 + 12 * int.from_bytes(raw[128:132], "big"), 12):
        tags[bytes(raw[place : place + 4])] = place
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    raw[red + 4 : red + 12], raw[blue + 4 : blue + 12] = (
        raw[blue + 4 : blue + 12],
        raw[red + 4 : red + 12],
    )
    return bytes(raw)


def press() -> bytes:
    """A profile of a press (CMYK to Lab, 2 steps a channel) whose cyan ink is green."""
    lab = {"white": (255, 128, 128), "green": (176, 60, 200), "black": (0, 128, 128)}
    corners = b""
    for corner in range(16):  # cyan changes slowest, black fastest
        cyan, others = corner >= 8, corner & 7
        corners += bytes(lab["black" if others else "green" if cyan else "white"])
    ramp = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    lut += struct.pack(">9i", *[65536 * (i % 4 == 0) for i in range(9)])
    lut += ramp * 4 + corners + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"text" + bytes(4) + b"press\0\0\0"
    bodies = {b"A2B0": lut, b"wtpt": white, b"desc": text, b"cprt": text}
    table, data, start = b"", b"", 128 + 4 + 12 * len(bodies)
    for tag, body in bodies.items():
        table += tag + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(data), bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(bodies)) + table + data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_colours_are_those_that_the_profile_means(kind):
    picture = load_image(saved(Image.new("RGB", (16, 16), RED), kind, icc_profile=exchanged()))
    assert picture.getpixel((5, 5)) == pytest.approx(BLUE, abs=25)
    plain = load_image(saved(Image.new("RGB", (16, 16), RED), kind, icc_profile=PROFILE))
    assert plain.getpixel((5, 5)) == pytest.approx(RED, abs=5)


@pytest.mark.parametrize("mode", ["P", "RGBA"])
def test_colours_of_a_palette_and_beside_transparency_too(mode):
    halves = Image.new("RGBA", (16, 16), RED)
    halves.paste((255, 0, 0, 0), (8, 0, 16, 16))
    content = saved(halves.quantize() if mode == "P" else halves, "PNG", icc_profile=exchanged())
    picture = load_image(content)
    assert picture.getpixel((2, 5)) == pytest.approx(BLUE, abs=5)
    assert picture.getpixel((12, 5)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_of_a_press_are_shown_in_their_colour(kind):
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    red, green, blue = load_image(saved(cyan, kind, icc_profile=press())).getpixel((5, 5))
    assert green > 150 > 60 > max(red, blue)
    assert load_image(saved(cyan, kind)).getpixel((5, 5)) == pytest.approx((0, 255, 255), abs=5)


def test_a_grey_picture_may_have_a_profile_of_colours():
    content = saved(Image.new("L", (8, 8), 100), "PNG", icc_profile=PROFILE)
    assert load_image(content).getpixel((5, 5)) == pytest.approx((100, 100, 100), abs=2)


def test_a_profile_of_other_colours_than_the_picture_s_is_ignored():
    content = saved(Image.new("RGB", (8, 8), RED), "PNG", icc_profile=press())
    assert load_image(content).getpixel((5, 5)) == RED


def test_lab_is_read():
    lab = ImageCms.profileToProfile(
        HALVES, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    picture = load_image(saved(lab, "TIFF"))
    assert picture.getpixel((5, 5)) == pytest.approx(RED, abs=5)


# ------------------------------------------------------------------------------ limits


def test_scans_are_counted_before_the_picture_is_decoded():
    assert load_image(many_scans(20), max_scans=20).size == (64, 64)
    with pytest.raises(ImageTooLarge, match=r"a.jpg is a JPEG of more than 20 scans.*max_scans"):
        load_image(many_scans(21), name="a.jpg", max_scans=20)
    with pytest.raises(ImageTooLarge, match="more than 100 scans"):
        load_image(many_scans(100_000, 7_000))


def test_what_looks_like_a_scan_in_metadata_or_behind_the_end_is_none():
    jpeg = jpeg_with(b"Exif\0\0" + b"\xff\xda" * 200)
    assert load_image(jpeg + many_scans(200)).size == (40, 20)
    assert load_image(saved(HALVES, "JPEG", progressive=True), max_scans=10).size == (40, 20)
    with pytest.raises(ImageTooLarge):
        load_image(saved(HALVES, "JPEG", progressive=True), max_scans=9)


def test_a_comment_without_end_is_refused_and_a_long_one_is_not():
    def ppm(comment: int) -> bytes:
        return b"P6\n#" + b"x" * comment + b"\n4 4\n#yes\n255\n" + bytes(48)

    assert load_image(ppm(60_000)).size == (4, 4)
    with pytest.raises(ImageTooLarge, match="header of more than 65,536 bytes"):
        load_image(ppm(20_000_000))
    assert load_image(b"P4 200 4000\n" + bytes(100_000)).size == (200, 4_000)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_limit_above_pillow_s_own_is_the_limit(kind):
    content = saved(Image.new("1", (14_000, 13_000)), kind)  # 182 million; Pillow says 179
    with pytest.raises(
        ImageTooLarge, match=r"14000 × 13000 pixels, the limit is 150,000,000.*max_pixels"
    ):
        load_image(content, max_pixels=150_000_000)
    assert load_image(content, max_pixels=200_000_000, longest_side=20).size == (20, 19)


def test_an_encoder_has_a_limit_of_its_own():
    picture = Image.new("RGB", (100, 101))
    assert ImageEncoder(max_pixels=10_100).encode([picture]).shape == (1, 1280)
    with pytest.raises(ImageTooLarge, match="image 0 has 100 × 101 pixels, the limit is 10,099"):
        ImageEncoder(max_pixels=10_099).encode([picture])


def test_a_tile_larger_than_its_tiff_counts():
    tiff = bytearray(saved(Image.new("L", (16, 16)), "TIFF", tiffinfo={0x0112: 1}))
    place = tiff.index(
        struct.pack("<HH", 256, 4)
        if struct.pack("<HH", 256, 4) in tiff
        else struct.pack("<HH", 256, 3)
    )
    tiff[place + 2 : place + 12] = struct.pack("<HII", 4, 1, 60_000_000)
    with pytest.raises(ImageTooLarge, match="max_pixels"):
        load_image(bytes(tiff))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM"])
def test_a_large_picture_is_made_smaller_and_looks_the_same(kind):
    picture = Image.new("RGB", (2_000, 1_000), RED)
    picture.paste(BLUE, (1_000, 0, 2_000, 1_000))
    small = load_image(saved(picture, kind), longest_side=100)
    assert small.size == (100, 50)
    assert small.getpixel((10, 25)) == pytest.approx(RED, abs=20)
    assert small.getpixel((90, 25)) == pytest.approx(BLUE, abs=20)
    assert load_image(picture, longest_side=100).size == (100, 50)
    assert picture.size == (2_000, 1_000)
    assert load_image(HALVES, longest_side=100).size == (40, 20)


# ------------------------------------------------------------------------------ closed pictures


def closed(how: str) -> Image.Image:
    file = io.BytesIO(saved(HALVES, "PNG"))
    image = Image.open(file)
    if how == "with":
        with image:
            pass
    elif how == "file":
        file.close()
    elif how == "loaded":
        image.load()
        image.close()
    else:
        image = HALVES.copy()
        image.close()
    return image


@pytest.mark.parametrize("how", ["with", "file", "loaded", "copy"])
def test_a_closed_picture_is_named_as_closed(how):
    with pytest.raises(ImageError, match="image 1 is closed"):
        ImageEncoder(threads=1).encode([HALVES, closed(how)])


def test_a_broken_picture_is_not_called_closed():
    image = Image.open(io.BytesIO(saved(Image.effect_noise((99, 99), 90), "PNG")[:4_000]))
    with pytest.raises(ImageError, match="the image is broken or cut short"):
        load_image(image)


def test_the_error_of_each_kind_is_one_sentence_that_names_the_picture():
    for content in (many_scans(200), b"P5", b"", many_scans(3)[:50]):
        with pytest.raises(ImageError) as refused:
            load_image(content, name="mine.jpg")
        assert re.match(r"mine\.jpg (is|has) ", str(refused.value))
