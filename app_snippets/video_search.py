"""Find shots of films by picture, words, things and faces: `uvicorn app_snippets.video_search:app`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from itertools import chain, islice
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import numpy as np
from fastapi import FastAPI
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from app_snippets import service
from app_snippets.calls.filming import FACES, Shot, about, add_film_calls, best_of
from app_snippets.service.problems import ProblemError
from app_snippets.service.store import Found
from workshop import ImageEncoder, TextEncoder, faces, films, video
from workshop.encoders import conse


class Settings(service.ServiceSettings):
    """Read from variables such as `VIDEO_SEARCH_MAX_SECONDS`."""

    model_config = SettingsConfigDict(env_prefix="VIDEO_SEARCH_")
    name: service.ServiceName = "video_search"
    max_seconds: float = Field(video.MAX_SECONDS, gt=0)  # of a film
    max_frames: int = Field(video.MAX_FRAMES, gt=0)  # of a film
    max_decode_seconds: float = Field(60.0, gt=0)  # of a processor, to read one film
    at_least: float = Field(1 - faces.SAME, ge=-1, le=1)  # cosine with a named face; or "unknown"


By = StrEnum("By", ["look", "objects", "faces"])  # what shots are compared by


@cache
def classes() -> np.ndarray:
    """The names of the image model's classes as text embeddings (1000, 384)."""
    return TextEncoder().encode(ImageEncoder.class_names, progress=False)


class Shots(service.Encoder):
    """A shot by what it looks like, by words (ConSE), by the things in it, and by two faces."""

    name = "EfficientNet-Lite0, all-MiniLM-L6-v2, NanoDet, BlazeFace, FaceMesh and dlib's ResNet"
    media_type, media_suffix = "video/mp4", ".mp4"
    modes = By
    batch = 4  # shots: each holds up to 32 pictures
    optional = FACES

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        images, self.texts = ImageEncoder(), TextEncoder()
        self.files = video.FilmReader(
            video.VideoReader(images),
            settings.max_decodes,
            settings.model_dump(include={"max_seconds", "max_frames", "max_pixels"}),
            **settings.model_dump(include={"max_scans", "max_decode_seconds", "max_decode_bytes"}),
        )
        self.read = lambda *file: (self.files.shot(*file), None)
        self.close = self.files.close
        self.spaces = {
            "look": images.dim,
            "words": self.texts.dim,
            "objects": len(video.KINDS),
            **dict.fromkeys(FACES, faces.DIM),
        }
        self.films: dict[str, set[str]] = {}  # the ids of each film's shots

    def entries(self, source: service.Source, stopped: Callable[[], bool]) -> service.Entries:
        """The shots of a film, or one of the course's. A film is known by the id of its first shot."""
        if source.path is None:
            *own, first = source.content
            shot = films.shot(*own)
            told = about(shot, first, source.category, own[1])
            yield service.Entry((shot, own), source.name, source.category, source.id, told)
            return
        found = self.files.shots(source.path.read_bytes(), source.name, stopped)
        two = list(islice(found, 2))
        for number, shot in enumerate(chain(two, found), 1):
            name = source.name + f" · shot {number}" * (len(two) > 1)
            told = about(shot, source.id, source.name, number)
            id = source.id if number == 1 else uuid4().hex
            yield service.Entry((shot, None), name, source.category, id, told)

    def media(self, item: tuple[video.Shot, Any]) -> bytes:
        """The shot to be played, made anew of what was looked at: silent, 320 pixels."""
        return films.clip(*item[1]) if item[1] else item[0].mp4()

    def encode(self, items: Sequence[tuple[video.Shot, Any]]) -> Mapping[str, service.Vectors]:
        """look (n, 1280), words (n, 384), objects (n, 1080), and two faces (128,) or None for each."""
        shots = [shot for shot, _ in items]
        seen = [[track.vector for track in shot.tracks] for shot in shots]
        return {
            "look": np.array([shot.look for shot in shots]),
            "words": conse(np.array([shot.seen for shot in shots]), classes()),
            "objects": np.array([shot.kinds for shot in shots]),
            **{s: [v[n] if len(v) > n else None for v in seen] for n, s in enumerate(FACES)},
        }

    def compared(self, mode: By | None) -> str:
        """The space of the mode; of faces the first."""
        return FACES[0] if mode == By.faces else str(mode or By.look)

    def query(self, asked: service.Asked) -> Mapping[str, service.Vector]:
        """A text by the things it names, else by its words; a face with both faces of each shot."""
        own = self.compared(asked.mode)
        if asked.text is not None:
            kinds = video.named(asked.text)
            if asked.mode == By.objects and kinds.any():
                return {own: kinds}
            return {"words": self.texts.encode([asked.text])[0]}
        vector = super().query(asked)[own]
        if vector is None:
            raise ProblemError(422, "No face is plainly seen in it. Give one from the front.")
        return dict.fromkeys(FACES if own in FACES else [own], vector)

    def rank(self, asked: service.Asked, found: Mapping[str, list[Found]]) -> list[Found]:
        """Each shot once, by its nearest face."""
        return best_of(chain.from_iterable(found.values()))

    def changed(self, item_id: str, payload: Mapping[str, Any], by: int) -> None:
        """Remember which shots a film has."""
        shots = self.films.setdefault(payload["film"], set())
        (shots.add if by > 0 else shots.discard)(item_id)

    def samples(self) -> Iterator[service.Source]:
        """The 84 shots of the course's films."""
        for film, _, number, *_ in films.labels():
            first, own = (uuid5(NAMESPACE_URL, f"video/{film}/{n}").hex for n in (1, number))
            name, title = f"{film[:-4]} · shot {number}", film[:-4]
            yield service.Source(None, name, title, own, content=(film, number, first))


def create_app(settings: Settings) -> FastAPI:
    """The service."""
    return service.create_service(
        settings,
        title="Video search",
        description="Finds shots by a picture, a film, words, things and faces. Scores are cosines. "
        "A text that names no thing known here is searched by its words, in every mode.",
        encoder=Shots,
        payload=Shot,
        page="video_search.html",
        calls=add_film_calls,
    )


app = create_app(Settings())
