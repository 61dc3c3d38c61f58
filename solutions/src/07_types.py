# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Types are the contract
#
# *Part II · Services*
#
# **You will be able to** say in types what a service takes and gives, refuse usefully, let a program find
# what you forgot, and close the holes that files open.
#
# **You need** chapter 02, functions with type hints · **Time** 20 min reading, 25 min exercises
#
# ## Where we are going
#
# Thirty letters go to two services; one checks by hand, one by types. What comes back? First, the search
# of both.

# %%
import os

import httpx

from workshop import TextEncoder, check, datasets, launch

os.environ["NO_PROXY"] = "127.0.0.1"  # what we call is on this machine
photos, encoder = datasets.photos(), TextEncoder()
vectors = encoder.encode([photo.name for photo in photos], progress=False)


def find(text, limit, category):
    scores = vectors @ encoder.encode([text])[0]
    best = [photos[row] for row in (-scores).argsort(kind="stable")]
    return [p for p in best if category in (None, p.category.split("/")[0])][:limit]


for category in (None, "space"):
    print([photo.name for photo in find("a big cat", 4, category)])

# %% [markdown]
# Space has no cat, so it offers the moon. Now a service: `POST /search` takes a letter in JSON, the request's
# *body*, and answers with a body and a *status*. 2xx means fine, 4xx *your fault*, 5xx *mine*.
#
# In *Flask* a function finds the request in `request`, looks into it, and returns body and status. An
# author who has thought about it writes:

# %%
from flask import Flask, request

by_hand = Flask("by hand")


@by_hand.post("/search")
def search():
    body = request.get_json()
    if not body or "text" not in body:
        return {"error": "text is missing"}, 400
    limit = int(body.get("limit", 10))
    if limit > 100:
        return {"error": "limit is at most 100"}, 400
    hits = find(body["text"], limit, body.get("category"))
    return {"hits": [photo.name for photo in hits]}


# %% [markdown]
# In *FastAPI* a class says what a good body is. It is a *Pydantic* model: it reads, checks, fills in
# defaults, or refuses with a 422. `Literal` lists values, like `Enum`.
#
# Then the letters: four good ones, and others that get sent too: an empty form, a division by zero, a slip.
# Flask gets them by a call, FastAPI from a server in this kernel. **Predict before you run:** how many bad
# ones will each answer with a 200?

# %%
from typing import Annotated, Literal

from fastapi import FastAPI
from pydantic import BaseModel, Field


class Search(BaseModel):
    text: str = Field(min_length=1, max_length=200)
    limit: int = Field(10, ge=1, le=100)  # 10 if absent; greater or equal 1, less or equal 100
    category: Literal["animals", "food", "plants", "space"] | None = None


by_types = FastAPI(title="By types")


@by_types.post("/search")
def search(query: Search):
    return {"hits": [photo.name for photo in find(query.text, query.limit, query.category)]}


# %%
import logging

logging.disable(logging.ERROR)  # a server logs a traceback for each crash: there will be many


def letter(field, *values):
    return [f'{{"text": "owl", "{field}": {value}}}' for value in values]


good = ['{"text": "owl"}', *letter("limit", 1, 100), *letter("category", '"animals"')]
limits = [0, -1, 101, '"5"', '"five"', 2.5, "true", "null", "[5]", "NaN", "1e999"]
bad = letter("limit", *limits) + letter("category", '"dinosaurs"', 7) + letter("limt", 5)
texts = ['""', '"  "', "7", "null", '["owl"]', r'"\ud800"', '"' + "owl " * 1000 + '"']
bad += [f'{{"text": {text}}}' for text in texts] + ["null", "[]", '["text"]', '"text"', '{"text"']
letters = good + bad
print(len(good), "good,", len(bad), "bad")

# %%
from collections import Counter

columns, failed = {}, {4: "refused", 5: "crashed"}


def ask_all(name, api):
    columns[name], headers = [], {"Content-Type": "application/json", "Connection": "close"}
    for sent in letters:  # each on a connection of its own, since a crash closes one
        status = api.post("/search", content=sent, headers=headers).status_code
        what = failed.get(status // 100, "nonsense" if sent in bad else "answered")
        columns[name].append((what, status))
    print(f"{name:9}", dict(sorted(Counter(what for what, _ in columns[name]).items())))


ask_all("by hand", httpx.Client(transport=httpx.WSGITransport(by_hand), base_url="http://flask"))
with launch(by_types) as service:  # it serves until the block ends, even by an error
    ask_all("by types", httpx.Client(base_url=service.url))

# %%
import matplotlib.pyplot as plt

KINDS = {"answered": "#56B4E9", "refused": "#009E73", "nonsense": "#F5D76E", "crashed": "#D55E00"}


def draw():
    _, ax = plt.subplots(figsize=(3.4 + 1.1 * len(columns), 6))
    for x, column in enumerate(columns.values()):
        for y, (what, status) in enumerate(column):
            ax.barh(y, 0.95, 0.92, x, color=KINDS[what])
            ax.text(x + 0.47, y, status, ha="center", va="center", size=9)
    ax.set_yticks(range(len(letters)), [f"{sent:.40}" for sent in letters], family="monospace")
    ax.set_xticks([x + 0.47 for x in range(len(columns))], columns)
    ax.set(ylim=(len(letters) - 0.5, -0.5), xlim=(0, len(columns)))


draw()

# %% [markdown]
# Blue and green are right, answered and refused. Yellow is a 200 for nonsense, red a crash.
#
# The hand thought of three cases. `limit: -1` got nearly everything, `2.5` got two, and no dinosaurs were
# found. Each is one `if` away (06's Flask twin has them), in every endpoint anew. A type (also in Flask)
# says what is *good*, not all that is bad. Yet it has holes.
#
# **Predict before you run:** an `int` is wanted. What becomes of these?

# %%
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError, computed_field


def read(value, strict):
    try:
        return TypeAdapter(int).validate_python(value, strict=strict)
    except ValidationError:
        return "refused"


print("given   lax      strict")
for value in (5, "5", 5.0, 2.5, True, None):
    print(f"{value!r:7} {read(value, False)!s:8} {read(value, True)}")

# %% [markdown]
# *Lax*, the default, takes what is an integer without loss, and `True` is 1. In an address such as
# `/photos?limit=5` all is text, so lax is right. JSON has numbers of its own: be *strict*.
#
# Two holes more: a text of blanks, and the misspelled `limt`, which was ignored. A validator of our own closes
# the first, `extra="forbid"` the second. `StrictSearch` inherits the rest.


# %%
def has_a_word(text: str) -> str:
    if not any(letter.isalnum() for letter in text):
        raise ValueError("there is no word in it")
    return text


class StrictSearch(Search):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: Annotated[str, Field(max_length=200), AfterValidator(has_a_word)]


# %%
strictly = FastAPI(title="Strictly")


@strictly.post("/search")
def search(query: StrictSearch):
    return {"hits": [photo.name for photo in find(query.text, query.limit, query.category)]}


with launch(strictly) as service:
    ask_all("strictly", httpx.Client(base_url=service.url))
draw()

# %% [markdown]
# No nonsense is answered any more. Three letters still crash it: `NaN`, `1e999`, which is infinity, and half
# a character. Yet all three *are* found wrong. Who stumbles?
#
# ## A refusal that tells too much
#
# A 422 should say which field and why, for all fields at once. **Predict before you run:** Al's name is too
# short, his mail is missing. What else is in the answer?

# %%
accounts = FastAPI(title="Accounts")


class Account(BaseModel):
    user: str = Field(min_length=3)
    password: str
    mail: str


@accounts.post("/accounts")
def register(account: Account):
    return "welcome"


with launch(accounts) as service:
    answer = httpx.post(f"{service.url}/accounts", json={"user": "Al", "password": "s3same"})
print(answer.status_code, *answer.json()["detail"], sep="\n")

# %% [markdown]
# Where (`loc`), why (`msg`), and `input`: the password, on its way into logs. That is also the crash: to say
# that `NaN` is wrong the answer quotes it, and JSON has no `NaN`.
#
# ### ✍️ Your turn 7.1 · 7 min: which field and why, and no more
#
# `install(app)` answers each `RequestValidationError` with a 422 in a standard shape (RFC 9457), of type
# `application/problem+json`: `title`, `status`, `detail` for people; and `errors`, a
# `{"field": ..., "reason": ...}` for each fault. `field` is `loc`, joined by dots.

# %%
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse


def install(app):
    # BEGIN SOLUTION
    @app.exception_handler(RequestValidationError)
    def does_not_fit(request, error):
        faults = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        errors = [{"field": field, "reason": reason} for field, reason in faults]
        detail = "; ".join(f"{field}: {reason}" for field, reason in faults)
        problem = {"title": "Does not fit", "status": 422, "detail": detail, "errors": errors}
        return JSONResponse(problem, 422, media_type="application/problem+json")

    # END SOLUTION


# %% tags=["check"]
check("7.1", install)

# %%
from app_snippets import problems  # what the course's services install

useful = FastAPI(title="Useful")
problems.install(useful)
useful.post("/search")(search)  # the strict one
with launch(useful) as service:
    ask_all("useful", httpx.Client(base_url=service.url))
    wrong = {"text": "?!", "limit": 500, "limt": 5}
    for error in httpx.post(f"{service.url}/search", json=wrong).json()["errors"]:
        print(f"{error['field']:11} {error['reason']}")
draw()

# %% [markdown]
# Blue and green only, and whoever makes three mistakes hears of three. The shape is made in
# [problems.py](../app_snippets/problems.py), for every kind of failure.
#
# ## What may go out
#
# Types guard the way out, too. A row of ours, `vars(photos[0])`, holds the file's `path`, which is nobody's
# business. A *computed field* is made from others. **Predict before you run:** one endpoint returns a whole
# row, one too little. What will their clients see?


# %%
class PhotoOut(BaseModel):
    id: str
    name: str

    @computed_field
    def media(self) -> str:
        return f"photos/{self.id}/media"


out = FastAPI(title="Out")
out.add_api_route("/row", lambda: vars(photos[0]), response_model=PhotoOut)
out.add_api_route("/too-little", lambda: {"id": "frog"}, response_model=PhotoOut)
with launch(out) as service:
    for path in ("/row", "/too-little"):
        print(path, (answer := httpx.get(service.url + path)).status_code, answer.text)

# %% [markdown]
# A *response model* lets out what it names. A broken promise is a 500: our fault. Written as a type,
# `-> PhotoOut`, it does the same.
#
# ## A contract that changes, and is described
#
# Clients of version 1 rely on names. Version 2 gives photos at a new address, and serves the old one.
#
# FastAPI describes both in a standard form, *OpenAPI*. People read it at `/docs` and `/redoc`, with
# `FastAPIOffline` also without a network. Try *POST /v2/search* there.

# %%
from fastapi import APIRouter, HTTPException, UploadFile

v1, v2 = APIRouter(prefix="/v1", deprecated=True), APIRouter(prefix="/v2")


@v2.post("/search")
def search_v2(query: StrictSearch) -> list[PhotoOut]:
    return find(query.text, query.limit, query.category)


@v1.post("/search")
def search_v1(query: StrictSearch) -> list[str]:
    return [photo.name for photo in search_v2(query)]


@v2.get("/photos/{number}")
def photo(number: int) -> PhotoOut:
    return photos[number]


# %%
from fastapi_offline import FastAPIOffline

app = FastAPIOffline(title="Photo names", generate_unique_id_function=lambda route: route.name)
problems.install(app)
app.include_router(v2)
app.include_router(v1)
docs = launch(app, path="/docs", height=480)
description = httpx.get(f"{docs.url}/openapi.json").json()
for path, methods in description["paths"].items():
    for method, about in methods.items():
        print(method.upper(), path, "(deprecated)" if "deprecated" in about else "")
print(description["components"]["schemas"]["StrictSearch"]["properties"]["limit"])
docs

# %% [markdown]
# `maximum` is our `le=100`: one line checks it, shows it to people, and tells programs.
#
# Such as this one: a client that knows nothing of our service but its address.

# %%
from types import SimpleNamespace


def client(url):
    made, api = SimpleNamespace(), httpx.Client(base_url=url)
    for path, methods in api.get("/openapi.json").json()["paths"].items():
        for method, about in methods.items():

            def call(json=None, *, method=method, path=path, **values):
                return api.request(method, path.format(**values), json=json).json()

            setattr(made, about["operationId"], call)
    return made


names = client(docs.url)
print(list(vars(names)))
print(names.search_v1({"text": "music", "limit": 3}), names.photo(number=0)["media"])

# %% [markdown]
# ## The description attacks
#
# What says which letters are good can write any number of them, and say whether the answers are as described.
# [Schemathesis](https://schemathesis.readthedocs.io) does; when an answer is not, it looks for the smallest
# letter that shows it. We left a bug in. **Predict before you run:** where, and with which letter?

# %%
import schemathesis

from workshop.checks.ch07 import smallest_failure  # thirty letters, then ever smaller ones

schema = schemathesis.openapi.from_url(f"{docs.url}/openapi.json")
for found in schema.get_all_operations():
    operation = found.ok()
    print(f"{operation.label}:", smallest_failure(operation) or "as described")

# %% [markdown]
# 430 photos, and number 430 crashes. It found more: the description calls an empty text good, since *a word
# must be in it* is a rule of our code alone, and says nothing of our kind of 422.
#
# ### ✍️ Your turn 7.2 · 6 min: true to its description
#
# `list_app(photos)` serves `GET /photos` as a `list[PhotoOut]`. Its query has `limit` (1 to 100; 10 if absent)
# and `offset` (0 or more; 0 if absent). All else: 422. Schemathesis must find nothing.

# %%
from fastapi import Query


def list_app(photos):
    app = FastAPI(title="List")
    problems.install(app)  # so that 422 needs `responses=problems.documented(422)`
    # BEGIN SOLUTION

    class Page(BaseModel, extra="forbid"):
        limit: int = Field(10, ge=1, le=100)
        offset: int = Field(0, ge=0)

    @app.get("/photos", responses=problems.documented(422))
    def page(page: Annotated[Page, Query()]) -> list[PhotoOut]:
        return photos[page.offset : page.offset + page.limit]

    # END SOLUTION
    return app


# %% tags=["check"]
check("7.2", list_app)

# %% [markdown]
# ## What no type sees
#
# A habit first. In Flask, `return {...}, 400` is an answer with status 400. **Predict before you run:** and
# in FastAPI?


# %%
def returned():
    return {"error": "no such photo"}, 400


def raised():
    raise HTTPException(400, "no such photo")


habit = FastAPI(title="Habit")
habit.add_api_route("/returned", returned)
habit.add_api_route("/promised", returned, response_model=dict[str, str])
habit.add_api_route("/raised", raised)
with launch(habit) as service:
    for path in ("/returned", "/promised", "/raised"):
        print(path, (answer := httpx.get(service.url + path)).status_code, answer.text)

# %% [markdown]
# A 200 that means failure: the pair became a list. With a promise it is at least a crash that somebody will
# notice. Raise instead.
#
# Now files. This album takes photos in and gives them back. It looks at the type that came with the file,
# and each name is a `str`. **Predict before you run:** how would you get at `key.txt`, which lies beside the
# album's folder?

# %%
from fastapi.responses import FileResponse


def album(folder, tidy=lambda name: name):
    app = FastAPI(title="Album")

    @app.post("/photos", status_code=201)
    def add(file: UploadFile):
        if file.content_type.startswith("image/"):
            (folder / tidy(file.filename)).write_bytes(file.file.read())
            return {"id": file.filename}
        raise HTTPException(415, "That is no image.")

    app.get("/photos/{id:path}")(lambda id: FileResponse(folder / tidy(id)))  # path: with slashes
    return app


# %%
from pathlib import Path
from tempfile import TemporaryDirectory

with TemporaryDirectory() as place, launch(album(Path(place, "album"))) as service:
    Path(place, "album").mkdir()
    Path(place, "key.txt").write_text("s3same")
    for address in ("../key.txt", "..%2Fkey.txt", f"{place}/key.txt"):
        answer = httpx.get(f"{service.url}/photos/{address}")
        print(answer.status_code, answer.text)
    page = ("cat.html", b"<script>alert('hello')</script>", "image/png")
    httpx.post(f"{service.url}/photos", files={"file": page})
    print(httpx.get(f"{service.url}/photos/cat.html").headers["content-type"])

# %% [markdown]
# Only the first failed, and not by our doing: httpx tidied the address. `%2F` is a slash that nobody tidies,
# and `folder / "/key.txt"` is `/key.txt`. An upload's name and type are claims: this page, *image/png*, now
# runs in visitors' browsers.
#
# ### ✍️ Your turn 7.3 · 4 min: attack the patch
#
# The patched album cuts `../` out of names, and any `/` off their start. `steal(url)` returns the text of
# `key.txt` all the same.

# %%
from uuid import uuid4  # these for the next exercise

from fastapi.staticfiles import StaticFiles

from workshop.encoders import ImageError, load_image


def patched(folder):
    return album(folder, tidy=lambda name: name.replace("../", "").lstrip("/"))


def steal(url):
    # BEGIN SOLUTION
    return httpx.get(f"{url}/photos/....%2F%2Fkey.txt").text
    # END SOLUTION


# %% tags=["check"]
check("7.3", steal)

# %% [markdown]
# ### ✍️ Your turn 7.4 · 8 min: break it, fix it, the album
#
# Do not mend names, invent them. `POST /photos` reads the file with `load_image(content)`, whatever it claims
# to be, saves it anew as `{uuid4()}.webp`, and answers 201 with that name as `id`; no picture is a 415.
# `GET /photos/{id}` gives the file or a 404: `StaticFiles(directory=folder)`, mounted, lets nobody out.
#
# The check attacks as you did, and in other ways.


# %%
def album_app(folder):
    app = FastAPI(title="Album", max_body_size=1_000_000)  # bytes; more is a 413
    # BEGIN SOLUTION

    @app.post("/photos", status_code=201)
    def add(file: UploadFile):
        try:
            picture = load_image(file.file.read(), name="The file")
        except ImageError as error:
            raise HTTPException(415, str(error)) from error
        picture.save(folder / (id := f"{uuid4()}.webp"))
        return {"id": id}

    app.mount("/photos", StaticFiles(directory=folder))
    # END SOLUTION
    return app


# %% tags=["check"]
check("7.4", album_app)

# %%
import threading

from workshop.checks.ch07 import attack_album  # black box: requests, answers, and the disk

versions = {"trusting": album, "patched": patched, "yours": album_app}
found = {name: attack_album(version) for name, version in versions.items()}
print(f"{'':36}", *versions)
for attack in found["yours"]:
    print(f"{attack:36}", *(f"{'✗' if found[v][attack] else '✓':{len(v)}}" for v in versions))
docs.stop()
print("servers left:", [t.name for t in threading.enumerate() if t.name.startswith("launch")])

# %% [markdown]
# ## What we saw
#
# The patch opened two doors that trust had kept shut. No type proves what a client *claims* about a file:
# invent the name, read the content.
#
# Else, types say what is good: one line checks it, shows it, tells programs.
#
# **Recall:** Why was `limit: true` a 1? Who crashed on `NaN`? When does `folder / name` leave `folder`?
#
# **On your own data:** write the model of a form you know.
#
# **Next:** [08 · Work that takes time](08_async.ipynb) · **Before:** [06](06_flask_and_fastapi.ipynb)
