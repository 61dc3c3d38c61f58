"""Films as a whole, a picture of a shot, and people: who has a name here, where she is, and forgetting her."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path as File
from threading import Lock
from typing import Annotated, Any, NamedTuple

import numpy as np
from fastapi import FastAPI, Path, Response
from pydantic import BaseModel, Field

from app_snippets.service import problems
from app_snippets.service.items import unknown
from app_snippets.service.models import Hit, ItemId, Payload, Strict
from app_snippets.service.names import Category
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running, Service
from app_snippets.service.store import MAX_HITS, Found
from workshop import video
from workshop.errors import WorkshopError
from workshop.paths import home

FACES = ("faces", "second_faces")  # spaces: the person seen longest in a shot, and the next
Box = list[float]  # left, top, right, bottom, in parts of the picture


class Thing(BaseModel):
    """A thing in a shot, and where it was when it was seen best."""

    name: str
    score: float
    box: Box


class Shot(Payload):
    """A shot: which of which film, from when to when, and what is in it."""

    film: str  # the id of the film's first shot
    film_name: str
    number: int  # from 1
    start: float  # seconds in the film, and end
    end: float
    still: float  # seconds in the shot: the picture that shows it
    things: list[Thing]
    faces: list[Box]  # of at most two people


class SeenFace(BaseModel):
    """A face in a film: the nearest name, or null for "unknown"."""

    box: Box
    name: str | None
    score: float | None  # cosine with the nearest named face, named or not


class SeenShot(BaseModel):
    """A shot of a film."""

    id: str
    number: int
    start: float
    end: float
    things: list[Thing]
    faces: list[SeenFace]


class Film(BaseModel):
    """A film: its shots and, between them, its cuts in seconds."""

    id: str
    name: str
    cuts: list[float]
    shots: list[SeenShot]


PersonName = Annotated[Category, Field(min_length=1)]
KnownName = Annotated[str, Path(description="as given by `GET /people`")]


class Naming(Strict):
    """Whose face is in a shot: the first, or the second."""

    name: PersonName
    item_id: str
    face: Annotated[int, Field(ge=1, le=len(FACES))] = 1


class Person(BaseModel):
    """Somebody who has a name here, and how many faces were given it."""

    name: str
    faces: int


class People(BaseModel):
    """Everybody who has a name."""

    people: list[Person]


class Whereabouts(BaseModel):
    """The shots in which somebody is, the surest first; none of them may be."""

    name: str
    at_least: float  # the cosine from which a face counts as hers
    hits: list[Hit[Shot]]


def about(shot: video.Shot, film: str, film_name: str, number: int) -> dict[str, Any]:
    """What the payload of a shot says of it."""
    faces = [max(track.faces, key=lambda seen: seen[1].score) for track in shot.tracks]
    seen = sorted(shot.things, key=lambda item: -item[1].score)
    times = [time for time, _ in faces] or [time for time, _ in seen]
    still = times[0] if times else (shot.start + shot.end) / 2
    size = shot.frames[0].picture.size
    return {
        "film": film,
        "film_name": film_name,
        "number": number,
        "start": round(shot.start, 3),
        "end": round(shot.end, 3),
        "still": round(max(0.0, still - shot.start), 3),
        "things": [
            {"name": thing.name, "score": round(thing.score, 3), "box": _parts(thing.box, size)}
            for thing in nearest_in_time(seen, still)
        ],
        "faces": [_parts(face.box, size) for _, face in faces[: len(FACES)]],
    }


def nearest_in_time(seen: Sequence[tuple[float, Any]], still: float) -> list[Any]:
    """What was seen in the picture that is nearest to a time."""
    times = [time for time, _ in seen]
    nearest = min(times, key=lambda time: abs(time - still), default=None)
    return [thing for time, thing in seen if time == nearest]


def _parts(box: Sequence[float], size: tuple[int, int]) -> Box:
    return [round(float(np.clip(side / size[n % 2], 0, 1)), 4) for n, side in enumerate(box)]


def best_of(hits: Iterable[Found]) -> list[Found]:
    """Each item once, with its best score, the best first."""
    best: dict[str, Found] = {}
    for hit in hits:
        best[hit.id] = max(hit, best.get(hit.id, hit), key=lambda hit: hit.score)
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.id))


# ------------------------------------------------------------------------------------ people


class Named(NamedTuple):
    """A face that somebody gave a name: whose item's, and in which space."""

    item_id: str
    space: str


class Names:
    """Which faces have which name: a file beside the media. What a face looks like stays in Milvus."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.path = home() / service.settings.name / "people.json"

    def read(self) -> dict[str, list[Named]]:
        """Each name's faces."""
        if not self.path.exists():
            return {}
        told = json.loads(self.path.read_text(encoding="utf-8"))
        return {name: [Named(*face) for face in faces] for name, faces in told.items()}

    def write(self, people: Mapping[str, Sequence[Named]]) -> None:
        """Whole or not at all."""
        unfinished: File = self.path.with_suffix(".part")
        unfinished.write_text(json.dumps(people, ensure_ascii=False), encoding="utf-8")
        unfinished.replace(self.path)

    def vectors(self) -> dict[str, np.ndarray]:
        """The mean of each name's faces that are still here, (128,), length 1."""
        found = {name: self._mean(faces) for name, faces in self.read().items()}
        return {name: mean for name, mean in found.items() if mean is not None}

    def _mean(self, faces: Sequence[Named]) -> np.ndarray | None:
        stored = [
            self.service.store.vectors([face.item_id], face.space).get(face.item_id)
            for face in faces
        ]
        rows = [row for row in stored if row is not None]
        if not rows:
            return None
        mean = np.mean(rows, axis=0)
        return mean / np.linalg.norm(mean)

    def where(self, name: str) -> Iterator[tuple[str, Found]]:
        """(space, hit) of the faces that are hers: near enough, and nobody else's by name."""
        people = self.read()
        vector = self._mean(people.pop(name, ()))
        others = set(chain.from_iterable(people.values()))
        if vector is None:
            return
        for space in FACES:
            for hit in self.service.store.search(space, vector, MAX_HITS):
                if hit.score < self.service.settings.at_least:
                    break
                if Named(hit.id, space) not in others:
                    yield space, hit


def _known(names: Names, name: str) -> None:
    if name not in names.read():
        raise ProblemError(404, f"Nobody here is called {name!r:.80}.")


def add_film_calls(app: FastAPI) -> None:
    """`/items/{item_id}/still`, `/films` and `/people`."""
    _about_films(app)
    _about_people(app)


def _about_films(app: FastAPI) -> None:
    @app.get(
        "/items/{item_id}/still",
        tags=["items"],
        response_class=Response,
        responses={
            200: {"content": {"image/webp": {"schema": problems.BINARY}}},
            **documented(404),
        },
    )
    def get_still(item_id: ItemId, service: Running) -> Response:
        """One picture of a shot: the one in which its boxes are."""
        payload = service.store.payload(item_id)
        if payload is None:
            raise unknown(item_id)
        try:
            frames = video.frames(service.store.media(item_id), every=0)
            frame = min(frames, key=lambda frame: abs(frame.time - payload["still"]))
        except (WorkshopError, TypeError):  # removed a moment ago, or by someone else
            raise unknown(item_id) from None
        file = io.BytesIO()
        frame.picture.save(file, "WEBP", quality=80)
        headers = {"ETag": f'"{item_id}-still"', "Cache-Control": "private, max-age=3600"}
        return Response(file.getvalue(), media_type="image/webp", headers=headers)

    @app.get("/films/{item_id}", tags=["items"], responses=documented(404))
    def get_film(item_id: ItemId, service: Running) -> Film:
        """The whole film that a shot is from: its shots, its cuts, and who is in it."""
        payload = service.store.payload(item_id)
        if payload is None:
            raise unknown(item_id)
        shots = service.store.payloads([*service.encoder.films.get(payload["film"], ())])
        shots = dict(sorted(shots.items(), key=lambda item: item[1]["number"]))
        people = Names(service).vectors()
        rows = {space: service.store.vectors([*shots], space) for space in FACES}

        def who(shot_id: str, space: str, box: Box) -> SeenFace:
            vector = rows[space].get(shot_id)
            scores = {} if vector is None else {n: float(p @ vector) for n, p in people.items()}
            name = max(scores, key=scores.get, default=None)
            score = scores.get(name)
            sure = score is not None and score >= service.settings.at_least
            return SeenFace(box=box, name=name if sure else None, score=score)

        return Film(
            id=payload["film"],
            name=payload["film_name"],
            cuts=[shot["start"] for shot in shots.values() if shot["number"] > 1],
            shots=[
                SeenShot(
                    **{"id": shot_id, **shot}
                    | {
                        "faces": [
                            who(shot_id, *face) for face in zip(FACES, shot["faces"], strict=False)
                        ]
                    }
                )
                for shot_id, shot in shots.items()
            ],
        )


def _about_people(app: FastAPI) -> None:
    lock = Lock()  # the file of names is changed by one at a time

    @app.get("/people", tags=["items"])
    def list_people(service: Running) -> People:
        """Everybody who has a name here."""
        people = sorted(Names(service).read().items())
        return People(people=[Person(name=name, faces=len(faces)) for name, faces in people])

    @app.post("/people", tags=["items"], responses=documented(404, 413, 415, 422))
    def name_face(service: Running, naming: Naming) -> Whereabouts:
        """Say whose face is in a shot; a face has one name. Answers where else she is."""
        if service.store.payload(naming.item_id) is None:
            raise unknown(naming.item_id)
        face = Named(naming.item_id, FACES[naming.face - 1])
        if face.item_id not in service.store.vectors([face.item_id], face.space):
            raise ProblemError(422, f"In the shot {naming.item_id} there is no face {naming.face}.")
        names = Names(service)
        with lock:
            people = {
                name: [other for other in faces if other != face]
                for name, faces in names.read().items()
            }
            people.setdefault(naming.name, []).append(face)
            names.write({name: faces for name, faces in people.items() if faces})
        return _whereabouts(names, naming.name)

    @app.get("/people/{name}", tags=["search"], responses=documented(404))
    def find_person(service: Running, name: KnownName) -> Whereabouts:
        """The shots in which she is."""
        names = Names(service)
        _known(names, name)
        return _whereabouts(names, name)

    @app.delete("/people/{name}", tags=["items"], status_code=204, responses=documented(404, 409))
    def forget_person(service: Running, name: KnownName) -> None:
        """Forget somebody: the name, and every vector of a face that has it or would be given it.

        The films stay as they are.
        """
        names = Names(service)
        with lock:
            _known(names, name)
            if service.jobs.busy():
                raise ProblemError(
                    409,
                    f"Films are going in, and {name!r:.80} may be in one. Wait for the end of the load, or "
                    "stop it, and ask again.",
                )
            hers: dict[str, set[str]] = {space: set() for space in FACES}
            people = names.read()
            for face in people.pop(name):
                hers[face.space].add(face.item_id)
            for space, hit in names.where(name):
                hers[space].add(hit.id)
            service.store.forget(hers)
            names.write(people)  # last: until then she can be asked for again


def _whereabouts(names: Names, name: str) -> Whereabouts:
    hits = best_of(hit for _, hit in names.where(name))
    shown = [Hit[Shot](id=hit.id, score=hit.score, payload=hit.payload) for hit in hits]
    return Whereabouts(name=name, at_least=names.service.settings.at_least, hits=shown)
