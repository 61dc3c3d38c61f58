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
# **You need** chapter 02, and functions with type hints · **Time** 33 min reading, 27 min exercises
#
# The photo search of chapter 06 describes its requests by a class, `SearchRequest`. Here this class reads a request
# with two mistakes in it:

# %% tags=["raises-exception"]
from app_snippets.twins.search_fastapi import SearchRequest

SearchRequest.model_validate_json('{"text": "owl", "limit": true, "limt": 5}')

# %% [markdown]
# The last lines of the error name both fields, and what is wrong with each. No `if` was written for it. The same class
# describes the service to people and to programs. This chapter takes it apart.
#
# ## Two services that search photos · 4 min
#
# Two services will do the same search. One checks its requests by hand, the other by types. First the search itself:
# the text becomes a vector, and the photos with the nearest vectors come first.

# %%
from workshop import TextEncoder, datasets

photos = datasets.photos()
encoder = TextEncoder()
vectors = encoder.encode([photo.name for photo in photos], progress=False)


# %%
def find(text, limit, category):
    """Names of the `limit` photos nearest to a text; `category` is a text, or None for all."""
    scores = vectors @ encoder.encode([text])[0]
    found = []
    for row in (-scores).argsort(kind="stable"):
        if category is None or photos[row].category.startswith(category):
            found.append(photos[row].name)
    return found[:limit]


find("a big cat", limit=4, category=None)

# %% [markdown]
# Both services take a `POST /search`. A client sends a text in JSON, the [[request body]]. A [[request body]] is what a
# client sends along with a request. We call it a *letter* here.
#
# The answer has a status. 200 to 299 means *fine*, 400 to 499 *your mistake*, 500 to 599 *my mistake*.
#
# In Flask, the endpoint's function looks into the letter and returns a body and a status. This author has taken care and
# checks the letter first:


# %%
def fault_of(body):
    """What is wrong with the content of a letter: a text, or None if nothing is."""
    if not isinstance(body, dict) or not isinstance(body.get("text"), str):
        return "text is missing"
    limit = body.get("limit", 10)
    if not isinstance(limit, int) or not 1 <= limit <= 100:
        return "limit is a whole number from 1 to 100"
    return None


# %%
import flask

by_hand = flask.Flask("by hand")


@by_hand.post("/search")
def search_by_hand():
    """Answer a search, or refuse it with a 400."""
    body = flask.request.get_json()
    fault = fault_of(body)
    if fault is not None:
        return {"error": fault}, 400
    return {"hits": find(body["text"], body.get("limit", 10), body.get("category"))}


# %% [markdown]
# In FastAPI, a class says what a good letter is. [[Pydantic]] is a library that reads data into classes and checks it
# against their type hints. `BaseModel` is its class for this.
#
# `Field(10, ge=1, le=100)` means: 10 if the field is absent, *greater than or equal to* 1, *less than or equal to* 100.
# `Literal` lists the allowed values.

# %%
from typing import Literal

from pydantic import BaseModel, Field


class Search(BaseModel):
    text: str = Field(min_length=1, max_length=200)
    limit: int = Field(10, ge=1, le=100)
    category: Literal["animals", "food", "plants", "space"] | None = None


# %%
from fastapi import FastAPI

by_types = FastAPI(title="By types")


@by_types.post("/search")
def search_by_types(query: Search):
    """Answer a search; FastAPI has refused what is no `Search`, with a 422."""
    return {"hits": find(query.text, query.limit, query.category)}


# %% [markdown]
# ## Thirty letters · 5 min
#
# People and programs send all kinds of letters: an empty form, the result of a division by zero, a slip of the finger.
# We write four good ones and many bad ones, as the raw texts that travel.
#
# Three bad ones are unusual. `NaN` is what a division of zero by zero gives. `1e999` is too large for a number and
# becomes infinity. `\ud800` is half a character: some characters are written as a pair, and one half alone is none.


# %%
def written(field, *values):
    """Letters, one for each value of a field: a list of JSON texts."""
    return [f'{{"text": "owl", "{field}": {value}}}' for value in values]


shortest = ['{"text": "owl"}']
good = shortest + written("limit", 1, 100) + written("category", '"animals"')
good

# %%
limits = written("limit", 0, -1, 101, '"5"', '"five"', 2.5, "true", "null", "[5]", "NaN", "1e999")
others = written("category", '"dinosaurs"', 7) + written("limt", 5)
texts = ['""', '"  "', "7", "null", '["owl"]', r'"\ud800"', '"' + "owl " * 1000 + '"']
no_text = [f'{{"text": {text}}}' for text in texts]
no_object = ["null", "[]", '["text"]', '"text"', '{"text"']
bad = limits + others + no_text + no_object
letters = good + bad
len(good), len(bad)

# %% [markdown]
# `ask_all` sends the letters one by one. For each it returns a word and the status. *Refused* is a status from 400 to
# 499, and *crashed* one from 500 on. With a 200, a good letter is *answered*, and a bad one gets *nonsense*.
#
# `WSGITransport` calls the Flask app directly, without a server. `launch` serves the FastAPI app until the block ends, and
# `trust_env=False` means: ask no proxy. `quiet` keeps the server's error logs out of the notebook.
#
# **Predict before you run:** how many bad letters will each service answer with a 200?

# %%
import httpx

from workshop.checks.ch07 import ask_all

by_hand.logger.disabled = True  # its crashes are expected here
to_flask = httpx.Client(transport=httpx.WSGITransport(by_hand), base_url="http://flask")
columns = {"by hand": ask_all(to_flask, letters, good)}

# %%
from workshop import launch
from workshop.checks.serving import quiet

with quiet(), launch(by_types) as service:
    api = httpx.Client(base_url=service.url, trust_env=False)
    columns["by types"] = ask_all(api, letters, good)

# %%
from workshop import plots

plots.letter_answers(letters, columns)

# %% [markdown]
# Each row is a letter, each column a service, and the number is the status. Blue is a good letter that was answered,
# green is a refusal: both are right. Yellow is a 200 for a bad letter. Red is a crash.
#
# By hand, four bad letters get a 200; by types, three. The author by hand has forgotten some cases: `true` is an `int` in
# Python, there are no dinosaurs, and a text can be empty. Each is one more `if`. A type says what is *good*, and
# everything else is refused. Yet the types have holes too.

# %% [markdown]
# ## Lax and strict · 4 min
#
# **Predict before you run:** an `int` is wanted. What becomes of each of these values?

# %%
from pydantic import TypeAdapter, ValidationError


def read_int(value, strict):
    """The value as an `int`, or the word "refused"."""
    try:
        return TypeAdapter(int).validate_python(value, strict=strict)
    except ValidationError:
        return "refused"


# %%
print("given   lax      strict")
for value in (5, "5", 5.0, 2.5, True, None):
    lax = read_int(value, strict=False)
    print(f"{value!r:7} {lax!s:8} {read_int(value, strict=True)}")

# %% [markdown]
# The middle column is the default, called *lax*. It takes what can become a whole number without loss: `"5"`, `5.0`, and
# `True`, which becomes 1. The right column is [[strict mode]]. In [[strict mode]] Pydantic converts nothing: only an
# `int` is an `int`.
#
# In an address such as `/photos?limit=5` everything is text, so lax is right there. JSON has numbers of its own, so a
# letter can be read strictly.
#
# Two more holes: a text of blanks, which crashed the search, and the misspelled `limt`, which was ignored. A function of our own closes the first.


# %%
def has_a_word(text: str) -> str:
    """The text itself; raises ValueError if it has neither letter nor digit."""
    if not any(character.isalnum() for character in text):
        raise ValueError("there is no word in it")
    return text


# %% [markdown]
# `Annotated[str, …]` is a `str` with rules attached. `AfterValidator` names a function that Pydantic calls after its
# own checks. `extra="forbid"` refuses unknown fields. `StrictSearch` takes everything else from `Search`.


# %%
from typing import Annotated

from pydantic import AfterValidator, ConfigDict


class StrictSearch(Search):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: Annotated[str, Field(max_length=200), AfterValidator(has_a_word)]


# %%
strictly = FastAPI(title="Strictly")


@strictly.post("/search")
def search_strictly(query: StrictSearch):
    """Answer a search that is a `StrictSearch`."""
    return search_by_types(query)


# %%
with quiet(), launch(strictly) as service:
    api = httpx.Client(base_url=service.url, trust_env=False)
    columns["strictly"] = ask_all(api, letters, good)
plots.letter_answers(letters, columns)

# %% [markdown]
# The third column has no yellow: no bad letter is answered any more. Three letters still crash the service: `NaN`,
# `1e999` and the half character. The next section shows why.
#
# ## A refusal that tells too much · 3 min
#
# A 422 should say which field is wrong, and why, for all fields at once. **Predict before you run:** the user's name is
# too short and the mail is missing. What else is in the answer?

# %%
accounts = FastAPI(title="Accounts")


class Account(BaseModel):
    user: str = Field(min_length=3)
    password: str
    mail: str


@accounts.post("/accounts")
def open_account(account: Account):
    """Open an account."""
    return "welcome"


# %%
sent = {"user": "Al", "password": "s3same"}
with launch(accounts) as service:
    answer = httpx.post(f"{service.url}/accounts", json=sent, trust_env=False)
answer.json()["detail"]

# %% [markdown]
# `loc` says where, and `msg` says why. `input` repeats what was sent: the password, on its way into the logs of others.
#
# This is also the reason for the crashes. To say that `NaN` is wrong, the answer quotes it. But JSON has no `NaN`, no
# infinity and no half characters, so the answer cannot be written.

# %% [markdown]
# ### ✍️ Your turn 7.1 · 7 min: which field and why, and no more
#
# `install(app)` makes a FastAPI app answer each `RequestValidationError` with a 422 of the media type
# `application/problem+json`, a standard (RFC 9457). The body is an object with
#
# - `title`, a short text, and `status`, the number 422,
# - `detail`, a sentence for people,
# - `errors`, a list with `{"field": …, "reason": …}` for each fault. `field` is `loc`, its parts joined by dots, such as
#   `body.text`; `reason` is `msg`.
#
# Nothing that was sent is repeated.

# %%
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from workshop import check


def install(app):
    """Answer each RequestValidationError of `app` with a problem."""

    # BEGIN SOLUTION
    @app.exception_handler(RequestValidationError)
    def does_not_fit(request, error):
        errors = []
        for fault in error.errors():
            field = ".".join(str(part) for part in fault["loc"])
            errors.append({"field": field, "reason": fault["msg"]})
        detail = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in errors)
        problem = {"title": "Does not fit", "status": 422, "detail": detail, "errors": errors}
        return JSONResponse(problem, 422, media_type="application/problem+json")

    # END SOLUTION


# %% tags=["check"]
check("7.1", install)

# %% [markdown]
# The course's services use [problems.py](../app_snippets/service/problems.py), which does the same for every kind of failure.
# We install it in a fourth service. `add_api_route` does what a decorator above the function would do.

# %%
from app_snippets.service import problems

useful = FastAPI(title="Useful")
problems.install(useful)
useful.add_api_route("/search", search_strictly, methods=["POST"])

# %%
three_mistakes = {"text": "?!", "limit": 500, "limt": 5}
with quiet(), launch(useful) as service:
    api = httpx.Client(base_url=service.url, trust_env=False)
    columns["useful"] = ask_all(api, letters, good)
    refusal = api.post("/search", json=three_mistakes).json()
for fault in refusal["errors"]:
    print(f"{fault['field']:11} {fault['reason']}")

# %%
plots.letter_answers(letters, columns)

# %% [markdown]
# The fourth column is blue and green only. Whoever makes three mistakes hears of all three.
#
# ## What may go out · 3 min
#
# Types guard the way out too. A row of ours has a `path`, the place of a file on our disk. This is nobody's business.

# %%
vars(photos[0]).keys()

# %% [markdown]
# A [[response model]] is the class that says what an answer may hold. A *computed field* is made from other fields.

# %%
from pydantic import computed_field


class PhotoOut(BaseModel):
    id: str
    name: str

    @computed_field
    def media(self) -> str:
        """The address of the photo's file."""
        return f"photos/{self.id}/media"


# %% [markdown]
# **Predict before you run:** one endpoint returns a whole row, the other one too little. What will their clients see?

# %%
out = FastAPI(title="Out")


@out.get("/row", response_model=PhotoOut)
def whole_row():
    """Return more than is promised."""
    return vars(photos[0])


@out.get("/too-little", response_model=PhotoOut)
def too_little():
    """Return less than is promised."""
    return {"id": "frog"}


# %%
with quiet(), launch(out) as service:
    for address in ("/row", "/too-little"):
        answer = httpx.get(service.url + address, trust_env=False)
        print(address, answer.status_code, answer.text)

# %% [markdown]
# The first answer holds what the model names, and no path. The second is a 500: the service has broken its own promise,
# so it is the service's mistake. `-> PhotoOut` behind the function's parameters promises the same.

# %% [markdown]
# ## Pause
#
# This is a good place for a break. From here you can start anew after it: run the next cell. It makes again what the
# rest needs.

# %% tags=["pause"]
from pydantic import BaseModel, computed_field

from workshop import datasets

photos = datasets.photos()


class PhotoOut(BaseModel):
    id: str
    name: str

    @computed_field
    def media(self) -> str:
        """The address of the photo's file."""
        return f"photos/{self.id}/media"


# %% [markdown]
# ## A service describes itself · 4 min
#
# We build a smaller service: it finds photos whose name holds a text. [[OpenAPI]] is a standard form in which a service
# describes its addresses, what they take and what they answer. FastAPI writes this description from the types.
#
# `extra` and `strict` may also stand behind `BaseModel`, without a `ConfigDict`.


# %%
def not_blank(text: str) -> str:
    """The text itself; raises ValueError if it is blank."""
    if not text.strip():
        raise ValueError("the text is blank")
    return text


# %%
from typing import Annotated

from pydantic import AfterValidator, Field


class NameSearch(BaseModel, extra="forbid", strict=True):
    text: Annotated[str, AfterValidator(not_blank)]
    limit: int = Field(10, ge=1, le=100)


# %%
from fastapi_offline import FastAPIOffline  # its pages need no network

from app_snippets.service import problems

# %%
names = FastAPIOffline(title="Photo names")
problems.install(names)


@names.post("/search")
def search_names(query: NameSearch) -> list[PhotoOut]:
    """Find photos whose name holds a text."""
    return [photo for photo in photos if query.text in photo.name][: query.limit]


@names.get("/photos/{number}")
def photo_number(number: int) -> PhotoOut:
    """One photo, by its number."""
    return photos[number]


# %% [markdown]
# The page `/docs` shows the description to people. Open `POST /search` in it and press *Try it out*. `/openapi.json` is
# the same description for programs; the second cell shows a part of it.

# %%
from workshop import launch

docs = launch(names, path="/docs", height=480)
docs

# %%
import httpx

description = httpx.get(f"{docs.url}/openapi.json", trust_env=False).json()
description["components"]["schemas"]["NameSearch"]["properties"]

# %% [markdown]
# `maximum` is our `le=100`. One line of the class checks the limit, shows it to people and tells it to programs.
#
# ## The description attacks · 3 min
#
# What says which letters are good can write any number of them. [[Schemathesis]] is a program that makes requests from
# an OpenAPI description and compares the answers with it. When an answer does not fit, it looks for the smallest
# request that shows it.
#
# `smallest_failure` lets it send thirty requests. **Predict before you run:** our service has bugs. Which ones will be
# found?

# %%
import schemathesis

from workshop.checks.ch07 import smallest_failure
from workshop.checks.serving import quiet

with quiet(), launch(names, "Attacked") as service:
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    for found_operation in schema.get_all_operations():
        operation = found_operation.ok()
        print(f"{operation.label}:", smallest_failure(operation) or "as described")

# %% [markdown]
# There are 430 photos, numbered from 0. (A negative number counts from the end, and no program finds that.) A number that is too large crashes the service.
#
# For the search, the description calls an empty text good. That a text must not be blank is a rule in our code alone.
# The description also does not say what our kind of 422 looks like.

# %% [markdown]
# ### ✍️ Your turn 7.2 · 7 min: true to its description
#
# `list_app(rows)` returns a FastAPI app. `rows` is a list of photos like `photos`. The app serves `GET /photos`, whose
# answer is a `list[PhotoOut]`. The description says so: a return type does that. The query has two whole numbers:
# `limit` (1 to 100; 10 if absent) and `offset` (0 or more; 0 if absent). The answer begins with row `offset`. Past the
# end it is empty.
#
# Everything else in the query, an unknown name too, is a 422. `responses=problems.documented(422)` in the decorator
# describes it. Schemathesis must find nothing, and `rows` stays unchanged.

# %%
from fastapi import FastAPI, Query

from workshop import check


def list_app(rows):
    """An app that serves pages of photos."""
    app = FastAPI(title="List")
    problems.install(app)
    # BEGIN SOLUTION

    class Page(BaseModel, extra="forbid"):
        limit: int = Field(10, ge=1, le=100)
        offset: int = Field(0, ge=0)

    @app.get("/photos", responses=problems.documented(422))
    def page(page: Annotated[Page, Query()]) -> list[PhotoOut]:
        return rows[page.offset : page.offset + page.limit]

    # END SOLUTION
    return app


# %% tags=["check"]
check("7.2", list_app)

# %% [markdown]
# ## What no type sees · 3 min
#
# This album takes photos in and gives them back. It looks at the type that the client states, and each name is a `str`.
# The parameter `tidy` is a function that may change a name; `str` leaves it as it is. In an address, `{id:path}` takes
# slashes too.


# %%
from fastapi import FastAPI, HTTPException, UploadFile
from fastapi.responses import FileResponse


def store(upload, path):
    """Write an upload to a path, if it claims to be an image; otherwise the answer is a 415."""
    if not upload.content_type.startswith("image/"):
        raise HTTPException(415, "That is no image.")
    path.write_bytes(upload.file.read())
    return {"id": upload.filename}


# %%
def album(place, tidy=str):
    """An app that keeps uploads in the folder `place`."""
    album_service = FastAPI(title="Album")

    @album_service.post("/photos", status_code=201)
    def add(file: UploadFile):
        return store(file, place / tidy(file.filename))

    @album_service.get("/photos/{id:path}")
    def show(id: str):
        return FileResponse(place / tidy(id))

    return album_service


# %% [markdown]
# **Predict before you run:** `key.txt` lies beside the album's folder. Which of these three addresses will reach it?

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

with TemporaryDirectory() as outside, quiet(), launch(album(Path(outside, "album"))) as service:
    Path(outside, "album").mkdir()
    Path(outside, "key.txt").write_text("s3same")
    for address in ("../key.txt", "..%2Fkey.txt", f"{outside}/key.txt"):
        answer = httpx.get(f"{service.url}/photos/{address}", trust_env=False)
        print(answer.status_code, answer.text)

# %% [markdown]
# Only the first failed, and not through our service: httpx removes `../` before it sends. `%2F` is a slash in disguise,
# which nobody removes. And `place / "/key.txt"` is `/key.txt`, because an absolute path replaces what stands before it.
#
# The name of an upload is as dangerous as an address, and its type is a claim: a web page can say that it is
# *image/png*.

# %% [markdown]
# ### ✍️ Your turn 7.3 · 5 min: attack the patch
#
# Somebody patches the album: `cut` removes every `../` from a name, and then any `/` at its start. Write `steal(url)`.
# `url` is the address of a patched album, such as `http://127.0.0.1:8000`. It returns the text of `key.txt`, a `str`; the
# file lies beside the album's folder.


# %%
def cut(name):
    """The name without `../` and without a slash at its start."""
    return name.replace("../", "").lstrip("/")


def patched(place):
    """The album with the patch."""
    return album(place, tidy=cut)


cut("../../key.txt")


# %%
def steal(url):
    """The text of key.txt beside the folder of the patched album at `url`."""
    # BEGIN SOLUTION
    return httpx.get(f"{url}/photos/....%2F%2Fkey.txt", trust_env=False).text
    # END SOLUTION


# %% tags=["check"]
check("7.3", steal)

# %% [markdown]
# ## Do not mend names, invent them · 2 min
#
# `attack_album` uses and attacks an album as a stranger would. The first column is the trusting album, the second the
# patched one. ✓ means that it held, ✗ that something went wrong.

# %%
from workshop.checks.ch07 import attack_album


def mark(fault):
    """A cross if there is a fault, otherwise a tick."""
    return "✗" if fault else "✓"


trusting_faults = attack_album(album)
patched_faults = attack_album(patched)
for attack, fault in trusting_faults.items():
    print(mark(fault), mark(patched_faults[attack]), attack)

# %% [markdown]
# A cross and then a tick: the patch closed a door. (Where a row begins with `read`, all but a 404 is a cross.) A tick and then a cross: it opened one, since its cut makes `../` of
# `....//`. Most crosses stand in both columns. EXIF data is what a camera writes into a photo, such as the place.
#
# A name that we invent needs no patch. Only reading a file proves that it is a picture. And `app.mount` hands all
# addresses that begin alike to another app, such as `StaticFiles`, which serves one folder and lets nobody out.

# %% [markdown]
# ### ✍️ Your turn 7.4 · 8 min: break it, fix it: the album
#
# `album_app(folder)` returns an app that keeps pictures in `folder`, a `Path`.
#
# - `POST /photos` reads the form field `file` with `load_image(content)`, whatever it claims to be. It saves that
#   picture as `{uuid4()}.webp`, and answers 201 with `{"id": name}`.
# - If `load_image` raises `ImageError`, the answer is a 415, and nothing stays on the disk.
# - No EXIF data is kept. No answer says where `folder` is.
# - `GET /photos/{id}` gives the file. Other ids are a 404, also with a zero byte (`%00`) or a slash (`%2F`).
#   `app.mount("/photos", StaticFiles(directory=folder))` does this.


# %%
from uuid import uuid4

from fastapi.staticfiles import StaticFiles

from workshop.encoders import ImageError, load_image


def album_app(folder):
    """An album that trusts no name and no claim."""
    app = FastAPI(title="Album", max_body_size=1_000_000)  # bytes; more is a 413
    # BEGIN SOLUTION

    @app.post("/photos", status_code=201)
    def add(file: UploadFile):
        try:
            picture = load_image(file.file.read(), name="The file")
        except ImageError as error:
            raise HTTPException(415, str(error)) from error
        name = f"{uuid4()}.webp"
        picture.save(folder / name)
        return {"id": name}

    app.mount("/photos", StaticFiles(directory=folder))
    # END SOLUTION
    return app


# %% tags=["check"]
check("7.4", album_app)

# %% [markdown]
# ## What we saw · 2 min
#
# Types say what is good. One line checks it, shows it to people and tells it to programs. An answer needs a type as much
# as a request does. No type proves what a client *claims* about a file: invent its name, and read its content.
#
# **Recall:** Why was `limit: true` read as 1? What crashed on `NaN`? When does `folder / name` leave `folder`?
#
# <details><summary>Answers</summary>
#
# In lax mode Pydantic takes what can become an `int` without loss, and `True` is 1. · The refusal: it quotes its input,
# and JSON has no `NaN`. · When `name` holds `..` as a part, or is an absolute path.
#
# </details>
#
# **On your own data:** write the model of a form that you know.
#
# **Next:** [08 · Work that takes time](08_async.ipynb) · **Before:** [06](06_flask_and_fastapi.ipynb)

# %% [markdown]
# ## Going deeper
#
# About 10 minutes. No later chapter needs it. It uses what the second half has made.
#
# ### A status that is none
#
# In Flask, `return {…}, 400` is an answer with the status 400. **Predict before you run:** and in FastAPI?


# %%
habit = FastAPI(title="Habit")


@habit.get("/returned")
def returned():
    """Return a pair, as in Flask."""
    return {"error": "no such photo"}, 400


@habit.get("/raised")
def raised():
    """Raise instead."""
    raise HTTPException(400, "no such photo")


# %%
with launch(habit) as service:
    for address in ("/returned", "/raised"):
        answer = httpx.get(service.url + address, trust_env=False)
        print(address, answer.status_code, answer.text)

# %% [markdown]
# The pair became a list with a 200, which means *fine*. With a promised type such as `-> dict[str, str]` it would at
# least be a 500 that somebody notices. In FastAPI, raise an `HTTPException`.
#
# ### A contract that changes
#
# Clients of version 1 rely on getting names. Version 2 gives photos at a new address, and the old address is still
# served, marked as *deprecated*: it works, but should not be used any more.

# %%
from fastapi import APIRouter

# %%
v1 = APIRouter(prefix="/v1", deprecated=True)
v2 = APIRouter(prefix="/v2")


@v2.post("/search")
def search_v2(query: NameSearch) -> list[PhotoOut]:
    """Find photos by their names."""
    return search_names(query)


@v1.post("/search")
def search_v1(query: NameSearch) -> list[str]:
    """Find names."""
    return [photo.name for photo in search_v2(query)]


# %%
versions = FastAPI(title="Versions", generate_unique_id_function=lambda route: route.name)
versions.include_router(v2)
versions.include_router(v1)
for address, methods in versions.openapi()["paths"].items():
    print(address, "deprecated" if "deprecated" in methods["post"] else "current")

# %% [markdown]
# ### A client made from the description
#
# The next function knows nothing of a service but its address. It makes one function for each operation. `partial` is a
# function with some arguments already given.

# %%
from functools import partial


def client_of(base):
    """One function for each POST operation of the service at `base`: a dict."""
    web = httpx.Client(base_url=base, trust_env=False)
    made = {}
    for address, methods in web.get("/openapi.json").json()["paths"].items():
        made[methods["post"]["operationId"]] = partial(web.post, address)
    return made


# %%
with launch(versions) as service:
    operations = client_of(service.url)
    answer = operations["search_v1"](json={"text": "cat", "limit": 3})
list(operations), answer.json()
