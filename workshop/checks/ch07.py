"""Checks of chapter 07, types are the contract: every answer is a service, seen from outside."""

import asyncio
import inspect
import io
import random
import tempfile
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

import httpx
from fastapi import FastAPI
from fastapi.responses import FileResponse
from PIL import Image
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from workshop.checks import Wrong, register
from workshop.checks.serving import own_error, serving
from workshop.errors import WorkshopError


def ask_all(
    api: httpx.Client, letters: Sequence[str], good: Collection[str]
) -> list[tuple[str, int]]:
    """Send each letter to `POST /search`; what became of it (a word of `plots.OUTCOMES`), and the status.

    letters  bodies as they are sent; those in `good` deserve an answer
    """
    # a server closes the connection on which it crashed: each letter gets a new one
    headers = {"Content-Type": "application/json", "Connection": "close"}
    answers = []
    for letter in letters:
        status = api.post("/search", content=letter, headers=headers).status_code
        if status >= 400:
            outcome = "crashed" if status >= 500 else "refused"
        else:
            outcome = "answered" if letter in good else "nonsense"
        answers.append((outcome, status))
    return answers


def smallest_failure(operation: Any) -> str:
    """Attack an operation of a schemathesis schema; "" if all its answers are as described.

    Sends thirty requests that the description allows, the same ones each time. If an answer breaks
    the description, returns the simplest such request and what was wrong with its answer.
    """
    # here, because they take a second to import and `progress()` imports this module
    from hypothesis import Phase, given, settings
    from schemathesis.core.failures import FailureGroup

    def as_described(case: Any) -> None:
        try:
            case.call_and_validate(timeout=10)
        except (
            FailureGroup
        ) as found:  # no Exception, so Hypothesis would not look for a smaller one
            faults = ", ".join(sorted({fault.title for fault in found.exceptions}))
            sent = f" {case.body}" if operation.body else ""
            raise AssertionError(f"{case.formatted_path}{sent}: {faults}") from None

    thirty = settings(
        max_examples=30,
        phases=(Phase.generate, Phase.shrink),
        derandomize=True,
        database=None,  # leaves no folder behind
        deadline=None,
    )
    try:
        thirty(given(operation.as_strategy())(as_described))()
    except AssertionError as failure:
        return str(failure)
    return ""


@contextmanager
def _served(app: Any) -> Iterator[str]:
    if not isinstance(app, FastAPI):
        raise Wrong(f"a FastAPI app is wanted, not {type(app).__name__}: is there a `return app`?")
    try:
        with serving(app) as service:
            yield service.url
    except WorkshopError as error:
        raise Wrong(str(error)) from None


def _send(method: str, url: str, **content: Any) -> httpx.Response:
    # a connection each: a server closes the one on which it crashed
    return httpx.request(method, url, timeout=10, trust_env=False, **content)


def _own(answer: httpx.Response) -> str:
    """The learner's own lines, to end a message with, if their code raised instead of answering."""
    said = own_error() if answer.status_code >= 500 else ""
    return f"\n{said}" if said else ""


def _told(answer: httpx.Response) -> str:
    """The status and the begin of an answer, and the learner's own lines if their code raised."""
    return f"{answer.status_code}: {answer.text[:100]}{_own(answer)}"


# ------------------------------------------------------------------------------------------- 7.1


def _no_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it is blank")
    return text


class _Place(BaseModel):
    city: str
    floor: int = Field(0, ge=-5)


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, AfterValidator(_no_blank)]
    amount: int = Field(1, ge=1, le=9)
    card: str = "none"
    places: list[_Place] = []


_FAULTY = [
    ("?page=one", '{"name": "Ada", "amount": 50}', {"query.page", "body.amount"}),
    ("", '{"amount": 3, "card": "s3same"}', {"body.name"}),
    ("", '{"name": "Ada", "places": [{"city": "Ulm"}, {"floor": -9}]}',
     {"body.places.1.city", "body.places.1.floor"}),
    ("", '{"name": "  "}', {"body.name"}),
    ("", '{"name": "Ada", "amount": NaN}', {"body.amount"}),
    ("", '{"name": "Ada", "amount": 1e999}', {"body.amount"}),
    ("", r'{"name": "Ada", "amount": "\ud800"}', {"body.amount"}),
    ("", '{"name": "Ada"', {"body.13", "body.14"}),
]  # fmt: skip


@register(
    "7.1",
    "FastAPI calls a function of yours instead of its own, when the app has been told of it: look for "
    "`exception_handler` in what you know of FastAPI, or in `dir(app)`.",
    "`@app.exception_handler(RequestValidationError)` above a function of `(request, error)`; what the "
    "function returns is the answer.",
    "`error.errors()` is the list you saw: `loc` is a tuple in which list positions are numbers, so "
    '`".".join(map(str, e["loc"]))`; `msg` is the reason. Take nothing else from it.',
    '`JSONResponse(problem, 422, media_type="application/problem+json")`, where `problem` is a dict of '
    "the four members.",
)
def install(install: Callable) -> str:
    """Problems that name each field, and repeat nothing."""
    app = FastAPI()
    install(app)

    @app.post("/orders")
    def order(order: _Order, page: int = 1) -> str:
        return order.name

    with _served(app) as url:
        fine = _send("POST", f"{url}/orders", json={"name": "Ada"})
        if fine.status_code != 200 or fine.json() != "Ada":
            raise Wrong(f"a good request gets a {_told(fine)}")
        for query, body, fields in _FAULTY:
            sent = {"content": body, "headers": {"Content-Type": "application/json"}}
            _check_problem(_send("POST", f"{url}/orders{query}", **sent), query, body, fields)
    return "each field is named, with a reason, and nothing is repeated"


def _check_problem(answer: httpx.Response, query: str, body: str, fields: set[str]) -> None:
    what = f"{query} {body}".strip()
    if answer.status_code >= 500:
        raise Wrong(f"`{what}` gets a {_told(answer)}")
    if answer.status_code != 422:
        raise Wrong(f"`{what}` gets a {answer.status_code}, not a 422")
    if answer.headers.get("content-type", "").partition(";")[0] != "application/problem+json":
        raise Wrong(
            f"the media type is {answer.headers.get('content-type')}, not application/problem+json"
        )
    if "s3same" in answer.text:
        raise Wrong("the answer repeats what was sent, a secret included")
    try:
        problem = answer.json()
    except ValueError:
        raise Wrong(f"the body is no JSON: {answer.text[:80]!r}") from None
    if not isinstance(problem, dict):
        raise Wrong(f"the body is an object, not {answer.text[:80]}")
    missing = [key for key in ("title", "status", "detail", "errors") if key not in problem]
    if missing:
        raise Wrong(f"the problem has no `{missing[0]}`")
    if problem["status"] != 422:
        raise Wrong(f"`status` in the body is {problem['status']!r}, the answer's own is 422")
    for key, wanted in (("title", "a short text"), ("detail", "a sentence for people")):
        if not (isinstance(problem[key], str) and problem[key].strip()):
            raise Wrong(f"`{key}` is {wanted}: a text, and not an empty one")
    errors = problem["errors"]
    if not isinstance(errors, list):
        raise Wrong(f"`errors` is a list, not {str(errors)[:80]}")
    if not errors or any(
        not isinstance(fault, dict) or set(fault) != {"field", "reason"} for fault in errors
    ):
        raise Wrong(f"each of `errors` has `field` and `reason` and nothing else, not {errors}")
    if any(not isinstance(fault[key], str) for fault in errors for key in fault):
        raise Wrong(f"`field` and `reason` are texts, not {errors[0]}")
    named = {fault["field"] for fault in errors}
    if body.endswith('"Ada"'):  # no JSON: the parser's own count says where
        if len(named) != 1 or not next(iter(named)).startswith("body."):
            raise Wrong(f"`{what}` is no JSON, and the field is {named}")
    elif named != fields:
        lost = sorted(fields - named)
        raise Wrong(
            f"`{what}` has {len(fields)} faults, `{lost[0]}` is not among the answer's "
            f"{sorted(named)}"
            if lost
            else f"`{what}`: the fields are {sorted(fields)}, not {sorted(named)}"
        )


# ------------------------------------------------------------------------------------------- 7.2


def _rows() -> list[SimpleNamespace]:
    numbers = random.Random(7).sample(range(1000, 9999), 130)  # noqa: S311
    return [
        SimpleNamespace(id=f"p{n}", name=f"Photo {n}", path=f"/srv/secret/{n}") for n in numbers
    ]


@register(
    "7.2",
    "`Search` was a class for a body, with rules for each field. A query can have a class, too.",
    'A class `Page(BaseModel, extra="forbid")` with two fields, and in the function '
    "`page: Annotated[Page, Query()]`: FastAPI then reads it from the query.",
    "`Field(10, ge=1, le=100)` for the limit. Python cuts a slice that reaches past the end, so an offset "
    "that is too large is just an empty list.",
    '`@app.get("/photos", responses=problems.documented(422))`, since `problems.install` changed '
    "what a 422 looks like; and `-> list[PhotoOut]`.",
    seconds=60,
)
def list_app(list_app: Callable) -> str:
    """A page of photos, held against its own description."""
    rows = _rows()
    given = list(rows)
    with _served(list_app(given)) as url:
        first = _send("GET", f"{url}/photos")
        if first.status_code == 404 or first.is_redirect:
            raise Wrong("there is nothing at `GET /photos`")
        if "secret" in first.text:
            raise Wrong("the answer tells where the files are: let a `PhotoOut` go out, not a row")
        for limit, offset in [(None, None), (1, None), (100, 0), (3, 2), (7, 127), (5, 500)]:
            query = {k: v for k, v in [("limit", limit), ("offset", offset)] if v is not None}
            answer = _send("GET", f"{url}/photos", params=query)
            if answer.status_code != 200:
                raise Wrong(f"{query or 'without a query'}: it gets a {_told(answer)}")
            wanted = rows[offset or 0 :][: limit or 10]
            if not isinstance(answer.json(), list):
                raise Wrong(f"the answer is a list of photos, not {answer.text[:80]}")
            if not all(isinstance(photo, dict) for photo in answer.json()):
                raise Wrong(f"each photo of the answer is an object, not {answer.text[:80]}")
            got = [photo.get("id") for photo in answer.json()]
            if got != [row.id for row in wanted]:
                came = f"there came {len(got)}" if len(got) != len(wanted) else "there came others"
                raise Wrong(
                    f"{query or 'without a query'}: {len(wanted)} photos from number "
                    f"{offset or 0} on are wanted, {came}"
                )
            for photo in answer.json():
                if set(photo) != {"id", "name", "media"}:
                    raise Wrong(f"a photo has id, name and media, not {sorted(photo)}")
        for query in ("limit=0", "limit=101", "limit=ten", "offset=-1", "offset=x", "limt=5"):
            answer = _send("GET", f"{url}/photos?{query}")
            if answer.is_success:
                raise Wrong(f"`?{query}` gets a {answer.status_code}, as if it were good")
            if answer.status_code != 422:
                raise Wrong(f"`?{query}` gets a {answer.status_code}, not a 422{_own(answer)}")
        if given != rows:
            raise Wrong("the list `rows` was changed by answering")
        _holds_what_it_says(url)
    return "it does what it says, and says what it does"


def _holds_what_it_says(url: str) -> None:
    import schemathesis

    described = _send("GET", f"{url}/openapi.json")
    if described.status_code != 200:
        raise Wrong(
            "the description does not say what the answer holds: "
            f"`/openapi.json` gets a {described.status_code}"
        )
    about = described.json().get("paths", {}).get("/photos", {}).get("get")
    if about is None:
        raise Wrong("the description has no `GET /photos`")
    responses = about["responses"]
    answer = responses.get("200", {}).get("content", {}).get("application/json", {})
    schema = answer.get("schema", {})
    if schema.get("type") != "array" or "$ref" not in schema.get("items", {}):
        raise Wrong("the description does not say what the answer holds")
    for found in schemathesis.openapi.from_url(f"{url}/openapi.json").get_all_operations():
        if failure := smallest_failure(found.ok()):
            raise Wrong(f"Schemathesis sent {failure}")
    if "application/problem+json" not in responses.get("422", {}).get("content", {}):
        raise Wrong("the description does not say what a 422 looks like here")


# ------------------------------------------------------------------------------------------- 7.3


def _run_apart(awaitable: Awaitable) -> Any:
    """What an awaitable gives, from an event loop in a thread: the notebook has a loop already."""

    async def waited() -> Any:
        return await asyncio.wait_for(awaitable, 10)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, waited()).result()


def _patched(folder: Path) -> FastAPI:
    """As in the chapter, safe from being changed there."""
    app = FastAPI()

    @app.get("/photos/{id:path}")
    def show(id: str) -> FileResponse:
        return FileResponse(folder / id.replace("../", "").lstrip("/"))

    return app


@register(
    "7.3",
    'What is left of `name.replace("../", "")` when the name has `../` inside something else?',
    "The cut is made once. Put a `../` in the middle of something, so that what stands around it becomes "
    "a new `../` when it is gone.",
    "`....//key.txt` becomes `../key.txt`. Write its slashes as `%2F`.",
)
def steal(steal: Callable) -> str:
    """A way around a filter."""
    for key in ("k-4711", "k-0815"):
        with tempfile.TemporaryDirectory() as place:
            (folder := Path(place, "album")).mkdir()
            Path(place, "key.txt").write_text(key)
            with _served(_patched(folder)) as url:
                got = steal(url)
                if inspect.isawaitable(got):  # an `async def` is fine
                    got = _run_apart(got)
        if isinstance(got, httpx.Response):
            raise Wrong("`steal` returns the answer's text: `.text`")
        if not isinstance(got, str) or got.strip() != key:
            raise Wrong(f"that is not what is in `key.txt`: {str(got)[:80]!r}")
    return "a filter that cuts can be made to build what it cuts out"


# ------------------------------------------------------------------------------------------- 7.4

_UNKNOWN = "00000000-0000-4000-8000-000000000000"
_DESCRIPTION = 0x010E  # of a picture, in EXIF
_AT_HOME = "taken at home, 48.4 N 10.0 E"
_PAGE = b"<script>alert('hello')</script>"


@cache
def _png(size: tuple[int, int], colour: str, mode: str = "RGB") -> bytes:
    Image.new(mode, size, colour).save(file := io.BytesIO(), "PNG")
    return file.getvalue()


@dataclass
class _Album:
    """A running album, its folder, and a file beside that folder."""

    url: str
    key: Path
    inside: str = "buy milk"  # of that file

    def add(self, name: str, content: bytes, kind: str = "image/png") -> httpx.Response:
        return _send("POST", f"{self.url}/photos", files={"file": (name, content, kind)})

    def get(self, address: str) -> httpx.Response:
        return _send("GET", f"{self.url}/photos/{address}")

    def kept(self, name: str, content: bytes, kind: str = "image/png") -> httpx.Response:
        """Put a picture in, and get what came of it. Raises Wrong where that fails."""
        answer = self.add(name, content, kind)
        if answer.status_code != 201:
            raise Wrong(f"a picture gets a {_told(answer)}")
        try:
            found = self.get(quote(str(answer.json()["id"]), safe=""))
        except (KeyError, ValueError, TypeError):
            raise Wrong(f"the answer has no `id`: {answer.text[:80]}") from None
        if found.status_code != 200:
            raise Wrong(f"it was taken in, and asked for it is a {found.status_code}")
        return found

    def colour(self, answer: httpx.Response) -> tuple[int, ...]:
        """The middle of a picture that came back. Raises Wrong if it is none."""
        kind = answer.headers.get("content-type", "")
        try:
            picture = Image.open(io.BytesIO(answer.content)).convert("RGB")
        except OSError:
            kind = ""
        if not kind.startswith("image/"):
            raise Wrong(f"what comes back is no picture, or is not called one: {kind}")
        return picture.getpixel((picture.width // 2, picture.height // 2))

    def reads(self, address: str) -> None:
        if self.inside in self.get(address).text:
            raise Wrong("the text of a file outside the folder came back")
        self.finds_nothing(address)

    def finds_nothing(self, address: str) -> None:
        answer = self.get(address)
        if answer.status_code != 404:
            got = f"`GET /photos/{address}` gets a {answer.status_code}"
            raise Wrong(f"{got}, not a 404{_own(answer)}")
        self.keeps_secret(answer)

    def keeps_secret(self, answer: httpx.Response) -> None:
        if str(self.key.parent) in answer.text:
            raise Wrong("the answer says where the folder is")

    def writes(self, name: str) -> None:
        self.add(name, _png((9, 9), "red"))
        if not self.key.exists() or self.key.read_bytes() != self.inside.encode():
            raise Wrong("a file outside the folder was written over")

    def refuses(self, status: int, name: str, content: bytes, kind: str = "image/png") -> None:
        folder = self.key.parent
        before = set(folder.rglob("*"))
        answer = self.add(name, content, kind)
        if answer.status_code != status:
            raise Wrong(f"it gets a {answer.status_code}, not a {status}{_own(answer)}")
        if set(folder.rglob("*")) - before:
            raise Wrong("it is refused, and yet something of it stays on the disk")
        self.keeps_secret(answer)


def _comes_back(album: _Album) -> None:
    red, _, blue = album.colour(album.kept("tiger.png", _png((40, 30), "red")))
    if red < 200 or blue > 60:
        raise Wrong("a red picture does not come back red")


def _claims_nothing(album: _Album) -> None:
    album.colour(album.kept("notes.txt", _png((9, 9), "red"), "text/plain"))


def _unknown(album: _Album) -> None:
    for name in (_UNKNOWN, f"{_UNKNOWN}.webp"):
        album.finds_nothing(name)


def _invented(album: _Album) -> None:
    names = []
    for _ in range(2):
        answer = album.add("tiger.png", _png((9, 9), "red"))
        if not answer.is_success:
            raise Wrong(f"a picture gets a {_told(answer)}")
        names.append(str(answer.json().get("id")))
    for name in names:
        try:
            UUID(name.removesuffix(".webp"))
        except ValueError:
            raise Wrong(
                f"a stranger can guess the next name after `{name}`: take `uuid4`"
            ) from None


def _exif(album: _Album) -> None:
    exif = Image.Exif()
    exif[_DESCRIPTION] = _AT_HOME
    Image.new("RGB", (40, 30), "red").save(file := io.BytesIO(), "JPEG", exif=exif)
    if _AT_HOME.encode() in album.kept("tiger.jpg", file.getvalue(), "image/jpeg").content:
        raise Wrong("the EXIF data of the sent file is handed out with the picture")


def _twins(album: _Album) -> None:
    first = album.add("twin.png", _png((9, 9), "red"))
    album.kept("twin.png", _png((9, 9), "blue"))
    if not first.is_success:
        raise Wrong(f"the first gets a {first.status_code}")
    if album.colour(album.get(quote(str(first.json()["id"]), safe="")))[0] < 200:
        raise Wrong("the second photo took the place of the first")


def _passenger(album: _Album) -> None:
    answer = album.kept("cat.html", _png((9, 9), "red") + _PAGE)
    if _PAGE in answer.content:
        raise Wrong(
            "the page is handed out with the picture: save what was read, not what was sent"
        )
    album.colour(answer)


_TRIALS: dict[str, Callable[[_Album], None]] = {
    "a photo comes back": _comes_back,
    "a photo called notes.txt, text/plain": _claims_nothing,
    "a photo with a long name": lambda a: a.colour(a.kept("x" * 300 + ".png", _png((9, 9), "red"))),
    "an unknown photo is a 404": _unknown,
    "read ..%2Fkey.txt": lambda a: a.reads("..%2Fkey.txt"),
    "read ....%2F%2Fkey.txt": lambda a: a.reads("....%2F%2Fkey.txt"),
    "read by the whole path": lambda a: a.reads(quote(str(a.key), safe="")),
    "ask for the folder itself": lambda a: a.finds_nothing("%2E"),
    "ask for a zero byte": lambda a: a.finds_nothing("%00"),
    "write ../key.txt": lambda a: a.writes("../key.txt"),
    "write ....//key.txt": lambda a: a.writes("....//key.txt"),
    "write by the whole path": lambda a: a.writes(str(a.key)),
    "two photos of one name": _twins,
    "a page that says image/png": lambda a: a.refuses(415, "cat.html", _PAGE),
    "a text called cat.webp": lambda a: a.refuses(415, "cat.webp", b"buy milk", "image/webp"),
    "a page at the end of a photo": _passenger,
    "64 million pixels in 8 kB": lambda a: a.refuses(
        415, "x.png", _png((8000, 8000), "black", "1")
    ),
    "more than 1 MB": lambda a: a.refuses(413, "large.png", bytes(1_500_000)),
    "the place in a photo's EXIF data": _exif,
    "guess the next name": _invented,
}


def attack_album(make_album: Callable[[Path], FastAPI]) -> dict[str, str]:
    """Use and attack an album of photos as a stranger would; what was tried -> what went wrong, or "".

    make_album  gets an empty folder and returns the app, with `POST /photos` and `GET /photos/{id}`
    """
    outcome = {}
    with tempfile.TemporaryDirectory() as place:
        (folder := Path(place, "album")).mkdir()
        key = Path(place, "key.txt")
        with _served(make_album(folder)) as url:
            for what, trial in _TRIALS.items():
                key.write_text(_Album.inside)
                try:
                    trial(_Album(url, key))
                    outcome[what] = ""
                except Wrong as mistake:
                    outcome[what] = str(mistake)
                except httpx.TransportError as error:
                    outcome[what] = f"there is no answer ({error})"
    return outcome


@register(
    "7.4",
    "Which line of the trusting album uses something that the client has said? There are three.",
    "In `add`: `picture = load_image(file.file.read())` between `try` and `except ImageError`, and there "
    "`raise HTTPException(415, ...)`.",
    '`picture.save(folder / id)` with `id = f"{uuid4()}.webp"`. The name that came with the file is used '
    "nowhere.",
    '`app.mount("/photos", StaticFiles(directory=folder))` after the endpoint: it looks for a name in the '
    "folder, checks that it stays there, and answers 404 otherwise.",
    seconds=60,
)
def album_app(album_app: Callable) -> str:
    """An album that trusts no name and no claim."""
    outcome = attack_album(album_app)
    failed = {what: why for what, why in outcome.items() if why}
    if failed:
        what, why = next(iter(failed.items()))
        more = f"({len(failed) - 1} more of {len(outcome)} fail)" if len(failed) > 1 else ""
        if more:  # below the learner's own lines, where there are some
            more = f"\n{more}" if "\n" in why else f" {more}"
        raise Wrong(f"{what}: {why}{more}")
    return f"{len(outcome)} trials, honest ones and attacks, and it holds"
