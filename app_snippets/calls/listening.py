"""What recordings alone need: a file that holds a fingerprint too, pictures of sounds, and which peaks two of them share."""

import base64
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import soundfile
from fastapi import FastAPI, Query, Response
from PIL import Image
from pydantic import BaseModel

from app_snippets.service import problems
from app_snippets.service.encoder import Asked, Encoder
from app_snippets.service.items import unknown
from app_snippets.service.models import Hit, ItemId, Payload
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running
from app_snippets.service.settings import ServiceSettings
from app_snippets.service.store import SCORE_DIGITS, Found
from workshop import sounds
from workshop.decoding import FileReader

SHOWN = 20.0  # seconds of a picture, at most
POINTS = 200  # of a match, at most
ASKED = 4_000  # codes of a question that candidates are searched with: those of some 15 seconds
TOP = 256  # columns of a spectrogram that are shown: up to 4,000 Hz
WIDEST = 800  # pixels of a picture
FRAME = sounds.HOP / sounds.RATE  # seconds
HERTZ = sounds.RATE / sounds.SIZE  # of a column


class Heard(NamedTuple):
    """A recording as the service knows it."""

    samples: np.ndarray  # (n,) at 16 kHz
    codes: np.ndarray  # (m,) of its fingerprint, and frames (m,)
    frames: np.ndarray
    vector: np.ndarray  # (1506,) as it leaves musicnn, and tags (50,)
    tags: np.ndarray


class Recording(Payload):
    """A recording."""

    seconds: float
    tags: list[str]  # three that musicnn is surest of
    codes: int  # of its fingerprint; with few of them it cannot be recognised


class Match(BaseModel):
    """Why a recording is the one that was asked for."""

    votes: int  # codes that both have at one shift in time, and those of the next best shift
    rest: int
    at: float  # seconds from the recording's begin to the question's
    start: float  # the part of the question that has most of them: from here, in seconds
    seconds: float  # and so long
    points: list[
        tuple[float, float, float]
    ]  # peaks of both: seconds in the question, in the recording; hertz
    question: str | None = None  # of a file: its spectrogram there, WebP in base64


class RecordingHit(Hit):
    """`match` is there in the mode `same`."""

    match: Match | None = None


def about(heard: Heard) -> dict[str, Any]:
    """What the payload of a recording says of it."""
    surest = sorted(sounds.NAMED, key=lambda tag: -heard.tags[sounds.TAGS.index(tag)])[:3]
    seconds = round(len(heard.samples) / sounds.RATE, 2)
    return {"seconds": seconds, "tags": surest, "codes": len(heard.codes)}


# ------------------------------------------------------------------------------ the file

# A FLAC file begins with this sign and 38 bytes about the stream. Then may come what a program wants to keep in
# it: a head of 4 bytes (kind and length), 4 letters that name the program, its own bytes. Players skip it.
_STREAM = 4 + 38
_KIND, _NAME = 2, b"vsrv"


def pack(samples: np.ndarray, codes: np.ndarray, frames: np.ndarray) -> bytes:
    """A FLAC file of the samples with their fingerprint in it: neither is ever without the other."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), sounds.RATE, "PCM_16", format="FLAC")
    flac = file.getvalue()
    told = _NAME + np.array([codes, frames], "<u4").tobytes()
    head = bytes([_KIND]) + len(told).to_bytes(3, "big")
    return flac[:_STREAM] + head + told + flac[_STREAM:]


def unpack(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The codes and frames, int64 (m,) each, in a file of `pack`; the sound is not decoded."""
    with path.open("rb") as file:
        file.seek(_STREAM)
        length = int.from_bytes(file.read(4)[1:], "big")
        told = file.read(length)[len(_NAME) :]
    codes, frames = np.frombuffer(told, "<u4").reshape(2, -1).astype(np.int64)
    return codes, frames


# ------------------------------------------------------------------------------ pictures


def picture(samples: np.ndarray) -> bytes:
    """A spectrogram up to 4,000 Hz as WebP: the louder the darker, time to the right, high tones up."""
    loud = sounds.spectrogram(samples)[:, :TOP]
    decibels = 20 * np.log10(loud + 1e-3)
    floor = max(decibels.max() - 55, -60)
    grey = 255 * (1 - np.clip((decibels - floor) / max(1.0, decibels.max() - floor), 0, 1))
    image = Image.fromarray(np.flipud(grey.T).astype(np.uint8))
    image = image.resize((min(WIDEST, max(64, image.width)), TOP // 2), Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=60)
    return file.getvalue()


def window(samples: np.ndarray, start: float, seconds: float) -> np.ndarray:
    """So many seconds from `start` on, which may be negative; silence where there is no sound."""
    first, size = round(start * sounds.RATE), max(1, round(seconds * sounds.RATE))
    out = np.zeros(size, np.float32)
    inside = samples[max(0, first) : max(0, first + size)]
    out[max(0, -first) :][: len(inside)] = inside
    return out


class Print(NamedTuple):
    """A fingerprint that something is asked with."""

    codes: np.ndarray
    frames: np.ndarray
    samples: np.ndarray | None = None  # None for an item, of which everyone can get the picture


def match(question: Print, codes: np.ndarray, frames: np.ndarray, found: sounds.Alignment) -> Match:
    """The peaks that a question and a recording share at their best shift.

    codes, frames   of the recording
    found           their alignment
    """
    shared = sorted(set(_shared(question, codes, frames, found.shift)))
    length = (max(question.frames, default=0) + sounds.FARTHEST) * FRAME
    if question.samples is not None:
        length = len(question.samples) / sounds.RATE
    seconds = min(SHOWN, length)
    middle = float(np.median([mine for mine, *_ in shared])) * FRAME if shared else 0.0
    start = min(max(0.0, middle - seconds / 2), length - seconds)
    points = [
        (round(mine * FRAME, 3), round(theirs * FRAME, 3), column * HERTZ)
        for mine, theirs, column in shared
        if start <= mine * FRAME <= start + seconds and column < TOP
    ]
    shown = None
    if question.samples is not None:
        shown = base64.b64encode(picture(window(question.samples, start, seconds))).decode()
    return Match(
        votes=found.votes,
        rest=found.rest,
        at=round(found.shift * FRAME, 3),
        start=round(start, 3),
        seconds=round(seconds, 3),
        points=points[:: -(-len(points) // POINTS) or 1],
        question=shown,
    )


def _shared(
    question: Print, codes: np.ndarray, frames: np.ndarray, shift: int
) -> Iterator[tuple[int, int, int]]:
    """(frame in the question, frame in the recording, column) of each peak of a code that both have there."""
    wanted = np.isin(codes, question.codes)
    at = defaultdict(list)
    for code, frame in zip(codes[wanted].tolist(), frames[wanted].tolist(), strict=True):
        at[code].append(frame)
    for code, mine in zip(question.codes.tolist(), question.frames.tolist(), strict=True):
        later = code & sounds.FARTHEST
        for theirs in at.get(code, ()):
            if abs(theirs - mine - shift) <= 1:
                yield mine, theirs, code >> 16
                yield mine + later, theirs + later, code >> 6 & 1023


class Recognising(Encoder):
    """An encoder that knows recordings again. Its files are listened to in processes that can be ended."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings)
        self.files = FileReader(
            "workshop.sounds:hear_file",
            settings.max_decodes,
            options={"max_seconds": settings.max_seconds, "max_bytes": settings.max_file_bytes},
            max_seconds=settings.max_decode_seconds,
            max_bytes=settings.max_decode_bytes,
            kind="sounds",
            program="an audio program",
            refusal=sounds.SoundError,
            too_large=sounds.SoundTooLarge,
        )
        self.close = self.files.close

    def codes_of(self, asked: Asked) -> dict[int, float]:
        """What the recordings searched by have, as a sparse vector; of many codes every second, third …"""
        codes = np.unique(np.concatenate([question.codes for question in self._questions(asked)]))
        return dict.fromkeys(codes[:: len(codes) // ASKED + 1].tolist(), 1.0)

    def same(self, asked: Asked, candidates: Sequence[Found]) -> list[Found]:
        """Those of the candidates that are the recording asked for, the surest first; none of them may be.

        Their score is the share of the question's codes that agree at one shift in time.
        """
        best: dict[str, Found] = {}
        least, times = self.settings.votes, self.settings.times
        for question in self._questions(asked):
            for hit in candidates:
                try:
                    codes, frames = unpack(self.kept(hit.id))
                except (FileNotFoundError, AttributeError):  # removed a moment ago
                    continue
                found = sounds.align(question.codes, question.frames, codes, frames)
                score = round(min(1.0, found.votes / len(question.codes)), SCORE_DIGITS)
                known = best.get(hit.id)
                if sounds.accepted(found.votes, found.rest, least, times) and not (
                    known and known.score >= score
                ):
                    more = {"match": match(question, codes, frames, found)}
                    best[hit.id] = replace(hit, score=score, more=more)
        return sorted(best.values(), key=lambda hit: (-hit.score, hit.id))

    def _questions(self, asked: Asked) -> list[Print]:
        """What is asked with. Raises 422 for what is too short, and for `unlike`."""
        if asked.unlike_ids:
            raise ProblemError(
                422, "`unlike` is for similar sounds. Leave it out to find the same recording."
            )
        if asked.item is not None:
            heard: Heard = asked.item
            questions = {"The sound": Print(heard.codes, heard.frames, heard.samples)}
        else:
            questions = {
                f"The item {item_id}": self._print_of(item_id) for item_id in asked.like_ids
            }
        for name, question in questions.items():
            if len(question.codes) < self.settings.votes:
                raise ProblemError(
                    422,
                    f"{name} has {len(question.codes)} pairs of peaks, and at least {self.settings.votes} are needed "
                    "to know it again. Give some seconds of it, or choose the mode `similar`.",
                )
        return [*questions.values()]

    def _print_of(self, item_id: str) -> Print:
        try:
            return Print(*unpack(self.kept(item_id)))
        except (FileNotFoundError, AttributeError):  # removed a moment ago
            raise unknown(item_id) from None


def add_pictures(app: FastAPI) -> None:
    """`/items/{item_id}/picture`."""

    @app.get(
        "/items/{item_id}/picture",
        tags=["items"],
        response_class=Response,
        responses={
            200: {"content": {"image/webp": {"schema": problems.BINARY}}},
            **documented(404, 422),
        },
    )
    def get_picture(
        item_id: ItemId,
        service: Running,
        start: Annotated[float, Query(ge=-SHOWN, le=86_400)] = 0.0,
        seconds: Annotated[float | None, Query(gt=0, le=SHOWN)] = None,
    ) -> Response:
        """A recording's spectrogram up to 4,000 Hz, from `start` on; white where it has no sound."""
        path = service.store.media(item_id)
        if path is None:
            raise unknown(item_id)
        try:
            with soundfile.SoundFile(path) as file:
                seconds = seconds or min(SHOWN, file.frames / sounds.RATE)
                file.seek(min(file.frames, max(0, round(start * sounds.RATE))))
                part = file.read(round(seconds * sounds.RATE), "float32")
        except soundfile.LibsndfileError:  # removed a moment ago, or by someone else
            raise unknown(item_id) from None
        headers = {
            "ETag": f'"{item_id}-{start}-{seconds}"',
            "Cache-Control": "private, max-age=3600",
        }
        content = picture(window(part, min(0.0, start), seconds))
        return Response(content, media_type="image/webp", headers=headers)
