"""The services that the contract holds for, and how tests run and call them.

A new service adds a Case, and every test here runs on it.
"""

import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image

from app_snippets import question_answering
from workshop import answering, datasets, films, launch, molecules, passages, sounds, video

PATIENCE = 600  # seconds, on a busy machine, where a passing test does not wait


def png(colour: str | tuple[int, int, int] = "teal", size: tuple[int, int] = (64, 48)) -> bytes:
    """A small picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Case:
    """What the tests must know of a service."""

    name: str  # of its module too
    samples: int
    dim: int
    files: list[tuple[str, bytes]]  # four that it can read, all different, each one item
    text: str  # that finds a sample of `category`
    category: str
    media_type: str
    broken: bytes  # the content of a file that it cannot read
    suffix: str | None = None  # of the file that it keeps for each item
    sources: int = 0  # that its samples come in, if that is not one for each
    sparse: tuple[str, ...] = ()  # spaces that an old Milvus server cannot hold
    optional: tuple[str, ...] = ()  # spaces in which an item may have no vector
    sparse_modes: tuple[str, ...] = ()  # and the modes that search nothing else
    # That it alone has, as in "POST /ask", each with a body that it answers; ITEM stands for an item's id.
    calls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # What else than an item and a job its paths name: by the field of the same name in this call's body.
    named_by: Mapping[str, str] = field(default_factory=dict)
    another: Callable[[int], bytes] | None = None  # see `other`

    @property
    def module(self) -> str:
        """What uvicorn runs."""
        return f"app_snippets.{self.name}:app"

    def create_app(self, **settings: Any) -> FastAPI:
        """The service with these settings."""
        module = import_module(f"app_snippets.{self.name}")
        return module.create_app(module.Settings(**settings))

    def place(self, parameter: str, item_id: str, job_id: str = "") -> str:
        """What stands in a path for one of its parameters."""
        if parameter in self.named_by:
            return self.calls[self.named_by[parameter]][parameter]
        return {"item_id": item_id, "job_id": job_id}[parameter]

    def body(self, call: str, item_id: str) -> dict[str, Any]:
        """A body that a call of the service's own answers; empty if it has none."""
        return json.loads(json.dumps(self.calls[call]).replace("ITEM", item_id))

    @property
    def accepted(self) -> int:
        """What POST /samples counts."""
        return self.sources or self.samples

    @property
    def is_text(self) -> bool:
        """Whether its items are texts."""
        return self.media_type.startswith("text/plain")

    @property
    def is_prose(self) -> bool:
        """Whether any words will do."""
        return self.is_text and not self.another

    def other(self, number: int) -> bytes:
        """A further file that it can read, one item, different for each number up to 200."""
        if self.another:
            return self.another(number)
        if self.is_text:
            return f"The note with the number {number} tells of nothing else.".encode()
        return png((number, 90, 120))


def sequence(number: int) -> bytes:
    """A sequence of 300 bases."""
    return "".join(np.random.default_rng(number).choice(list("ACGT"), 300)).encode()


def clip(number: int) -> bytes:
    """A film of one frame, of one colour."""
    return video.write_film([video.Frame(0.0, Image.new("RGB", (64, 48), (number, 90, 120)))])


def narrow_face(width: int) -> bytes:
    """A film of one frame: one of the course's people, made so narrow that it is somebody else."""
    picture = films.shot("film_03.mp4", 3).frames[2].picture
    return video.write_film([video.Frame(0.0, picture.resize((width, picture.height)))])


def melody(number: int, notes: int = 12) -> np.ndarray:
    """Notes of two tones each, a sixth of a second long, 16,000 samples a second."""
    pitches = 300 * 2 ** (np.random.default_rng(number).integers(0, 36, (notes, 2)) / 12)
    times = np.arange(sounds.RATE // 6) / sounds.RATE
    tones = np.sin(2 * np.pi * pitches[..., np.newaxis] * times).sum(axis=1)
    return (0.3 * tones * np.exp(-4 * times)).ravel()


def recording(number: int) -> bytes:
    """A melody of two seconds as Opus, some kilobytes."""
    return sounds.as_opus(melody(number), level=0.95)


# Two for each molecule: 210 pairs
GROUPS = [
    "C",
    "N",
    "O",
    "F",
    "Cl",
    "Br",
    "I",
    "C#N",
    "S",
    "CC",
    "OC",
    "NC",
    "C(C)C",
    "C(=O)O",
    "C(N)=O",
]


def molecule(number: int) -> bytes:
    """The SMILES of a thiazole with two groups, as RDKit writes it."""
    one, other = GROUPS[number % 15], GROUPS[number // 15]
    ring = f"c1nc({other})sc1{one}"
    return molecules.canonical(molecules.read(f"CCOCCN{ring}")).encode()


COURSE = passages.of_course(but=answering.LEFT_OUT)

SERVICES = [
    Case(
        name="reverse_image_search",
        samples=430,
        dim=1280,
        files=[(f"{p.id}.webp", p.path.read_bytes()) for p in datasets.photos("animals/birds")[:4]],
        text="bird",
        category="animals/birds",
        media_type="image/webp",
        broken=png()[:60],
        suffix=".webp",
    ),
    Case(
        name="text_search",
        samples=11919,
        sources=87,
        dim=384,
        files=[(f"{n}.txt", f"Bake the bread for {n} minutes.".encode()) for n in range(4)],
        text="savgol_filter",
        category="scipy",
        media_type="text/plain; charset=utf-8",
        sparse=("words",),
        sparse_modes=("words",),
        broken="Käse".encode("latin-1"),
    ),
    Case(
        name="recommender",
        samples=3878,
        sources=39,
        dim=34,
        files=[(f"{n}.txt", f"Film {n} of a trial (200{n}) | Sci-Fi".encode()) for n in range(4)],
        text="matrix",
        category="Sci-Fi",
        media_type="text/plain; charset=utf-8",
        broken="Käse".encode("latin-1"),
        calls={"POST /recommend": {"likes": ["ITEM"]}},
    ),
    Case(
        name="question_answering",
        samples=len(COURSE),
        sources=-(-len(COURSE) // question_answering.PIECE),
        dim=384,
        files=[(f"{n}.txt", f"A note about {n} apples and a pear.".encode()) for n in range(4)],
        text="Why does HNSW miss neighbours?",
        category="04_indexes",
        media_type="text/plain; charset=utf-8",
        broken="Käse".encode("latin-1"),
        suffix=".npy",
        calls={"POST /ask": {"question": "What is a growing segment?", "limit": 2}},
        sparse=("words",),
    ),
    Case(
        name="dna_search",
        samples=3182,
        sources=50,
        dim=512,
        files=[(f"{n}.fasta", sequence(1_000 + n)) for n in range(4)],
        another=sequence,
        text="blaTEM",
        category="beta-lactam",
        media_type="text/plain; charset=utf-8",
        broken=b"MKLFIERQWPLE",
        calls={"POST /classify": {"text": "ACGTTGCAACGGATCTAGCTAGGATCTTACG", "neighbours": 3}},
    ),
    Case(
        name="video_search",
        samples=84,
        dim=1280,
        files=[(f"{n}.mp4", narrow_face(n)) for n in (176, 180, 188, 192)],
        another=clip,
        text="guitar",
        category="film_06",
        media_type="video/mp4",
        broken=clip(0)[:60],
        suffix=".mp4",
        optional=("faces", "second_faces"),
        calls={
            "GET /items/{item_id}/still": {},
            "GET /films/{item_id}": {},
            "POST /people": {"name": "Ada", "item_id": "ITEM"},
            "GET /people": {},
            "GET /people/{name}": {},
            "DELETE /people/{name}": {},
        },
        named_by={"name": "POST /people"},
    ),
    Case(
        name="audio_search",
        samples=494,
        sources=38,
        dim=1506,
        files=[(f"{n}.ogg", recording(1_000 + n)) for n in range(4)],
        another=recording,
        text="harp",
        category="strings",
        media_type="audio/flac",
        broken=recording(0)[:60],
        suffix=".flac",
        sparse=("prints",),
        sparse_modes=("same",),
        calls={"GET /items/{item_id}/picture": {}},
    ),
    Case(
        name="molecule_search",
        samples=3897,
        sources=61,
        dim=2048,
        files=[(f"{n}.smi", molecule(200 + n)) for n in range(4)],
        another=molecule,
        text="diazepam",
        category="BBB+",
        media_type="text/plain; charset=utf-8",
        broken=b"CC(C)C1CC",
        calls={"GET /items/{item_id}/drawing": {}, "GET /items/{item_id}/similar": {}},
    ),
]


@dataclass
class Running:
    """A service that answers, and a client for it."""

    case: Case
    client: httpx.Client
    url: str
    folder: Path  # where its files are

    def load(self, files: list[tuple[str, bytes]], **data: str) -> dict[str, Any]:
        """Upload (name, content) and wait for the end of the job."""
        response = self.client.post(
            "items",
            files=[("files", (name, content, "image/png")) for name, content in files],
            data=data,
        )
        assert response.status_code == 202, response.text
        return self.finished(response)

    def load_samples(self) -> dict[str, Any]:
        return self.finished(self.client.post("samples"))

    def finished(self, accepted: httpx.Response) -> dict[str, Any]:
        """The job that was accepted, once it has come to its end."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            job = self.client.get(accepted.headers["location"]).json()
            if job["finished_at"]:
                return job
            time.sleep(0.05)
        raise AssertionError(f"after {PATIENCE} s the job is still {job}")

    def count(self) -> int:
        return self.client.get("count").json()["count"]

    def hits(self, **query: Any) -> list[dict[str, Any]]:
        """What POST /search finds."""
        response = self.client.post("search", json=query)
        assert response.status_code == 200, response.text
        return response.json()["hits"]


@contextmanager
def running(case: Case, home: Path, **settings: Any) -> Iterator[Running]:
    """The service with its files in `home`."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setitem(os.environ, "WORKSHOP_HOME", str(home))
        app = case.create_app(**settings)
        launched = stack.enter_context(launch(app, name=str(home), timeout=PATIENCE))
        client = stack.enter_context(httpx.Client(base_url=launched.url, timeout=PATIENCE))
        yield Running(case, client, launched.url, home / case.name)


def assert_problem(response: httpx.Response, status: int, *words: str) -> dict:
    """The failure is told as RFC 9457 asks, and the detail has the words."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"] and problem["detail"]
    for word in words:
        assert word in problem["detail"]
    return problem
