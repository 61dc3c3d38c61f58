"""Planted wrong answers of chapter 07: each must be caught, and named by its mistake."""

from typing import Annotated
from uuid import uuid4

import httpx
from fastapi import FastAPI, HTTPException, Query, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from app_snippets import problems
from workshop.encoders import ImageError, load_image

# --- 7.1


def handler(body, media_type="application/problem+json", status=422):
    def install(app):
        @app.exception_handler(RequestValidationError)
        def does_not_fit(request, error):
            return JSONResponse(body(error), status, media_type=media_type)

    return install


def problem(errors, **members):
    return {"title": "no", "status": 422, "detail": "It does not fit.", "errors": errors} | members


def faults(error):
    return [{"field": ".".join(map(str, e["loc"])), "reason": e["msg"]} for e in error.errors()]


def last_part(error):
    return problem([{"field": str(e["loc"][-1]), "reason": e["msg"]} for e in error.errors()])


def quotes(error):
    return problem(faults(error), detail=str(error.errors()))


def quotes_input(error):
    given = [str(e["input"]).encode(errors="replace").decode() for e in error.errors()]
    return problem(faults(error), detail=f"not {given}")


def raw(error):
    return problem(error.errors())


# --- 7.2


class PhotoOut(BaseModel):
    id: str
    name: str
    media: str = "photos/1"


class Limits(BaseModel):
    limit: int = Field(10, ge=1, le=100)
    offset: int = Field(0, ge=0)


class Page(Limits, extra="forbid"):
    pass


class NoUpper(BaseModel, extra="forbid"):
    limit: int = Field(10, ge=1)
    offset: int = Field(0, ge=0)


class NoLower(BaseModel, extra="forbid"):
    limit: int = Field(10, ge=1, le=100)
    offset: int = 0


def pages(query=Page, answer=list[PhotoOut], cut=None, documented=(422,), path="/photos"):
    cut = cut or (lambda photos, page: photos[page.offset : page.offset + page.limit])

    def list_app(photos):
        app = FastAPI()
        problems.install(app)

        @app.get(path, response_model=answer, responses=problems.documented(*documented))
        def page(page: Annotated[query, Query()]):
            return cut(photos, page)

        return app

    return list_app


def offset_forgotten(photos, page):
    return photos[: page.limit]


def limit_is_the_end(photos, page):
    return photos[page.offset : page.limit]


def fails_past_the_end(photos, page):
    photos[page.offset]
    return photos[page.offset : page.offset + page.limit]


def fails_far_out(photos, page):
    if page.offset > 600:
        raise IndexError
    return photos[page.offset : page.offset + page.limit]


def by_hand(photos):
    app = FastAPI()
    problems.install(app)

    @app.get("/photos")
    def page(limit: int = 10, offset: int = 0) -> list[PhotoOut]:
        if not 1 <= limit <= 100 or offset < 0:
            raise HTTPException(400, "no")
        return photos[offset : offset + limit]

    return app


def whole_rows(photos, page):
    return [vars(photo) for photo in photos[page.offset : page.offset + page.limit]]


def counted(photos, page):
    return {"photos": []}


def forgets_to_return(photos):
    pages()(photos)


# --- 7.3


def first_idea(url):
    return httpx.get(f"{url}/photos/..%2Fkey.txt").text


def untidied(url):
    return httpx.get(f"{url}/photos/../key.txt").text


def whole_answer(url):
    return httpx.get(f"{url}/photos/....%2F%2Fkey.txt")


def remembered(url):
    return "s3same"


# --- 7.4


def reads(file):
    try:
        return load_image(file.file.read(), name="The file")
    except ImageError as error:
        raise HTTPException(415, str(error)) from error


def encoded(file, folder, id):
    reads(file).save(folder / id)


def as_sent(file, folder, id):
    reads(file)
    file.file.seek(0)
    (folder / id).write_bytes(file.file.read())


def unread(file, folder, id):
    (folder / id).write_bytes(file.file.read())


def believes_types(file, folder, id):
    if not file.content_type.startswith("image/"):
        raise HTTPException(415)
    reads(file).save(folder / id)


def album(
    keep=encoded,
    id=lambda file: f"{uuid4()}.webp",
    static=True,
    limit=1_000_000,
    status=201,
    key="id",
):
    def album_app(folder):
        app = FastAPI(max_body_size=limit)

        @app.post("/photos", status_code=status)
        def add(file: UploadFile):
            keep(file, folder, name := id(file))
            return {key: name}

        if static:
            app.mount("/photos", StaticFiles(directory=folder))
        else:
            app.get("/photos/{id:path}")(lambda id: FileResponse(folder / id))
        return app

    return album_app


def same_name(file):
    return "photo.webp"


def no_path(file):
    return file.filename.replace("/", "").replace("..", "")[-60:] + ".webp"


WRONG = {
    "7.1": [
        (lambda app: app, "the media type is application/json"),
        (handler(lambda e: problem(faults(e)), "application/json"), "the media type is"),
        (handler(lambda e: problem(faults(e)), status=400), "gets a 400, not a 422"),
        (handler(raw), "and nothing else, not"),
        (handler(quotes), "repeats what was sent"),
        (handler(quotes_input), "repeats what was sent"),
        (handler(lambda e: problem(faults(e)[:1])), "`body.amount` is not among"),
        (handler(last_part), "is not among"),
        (handler(lambda e: problem(faults(e), status="422")), "the answer's own is 422"),
        (handler(lambda e: problem(faults(e), detail="")), "not an empty one"),
        (handler(lambda e: {"title": "no", "status": 422, "detail": "no"}), "has no `errors`"),
        (handler(lambda e: problem([])), "each of `errors`"),
    ],
    "7.2": [
        (by_hand, "`?limt=5` gets a 200"),
        (pages(query=Limits), "`?limt=5` gets a 200"),
        (pages(query=NoUpper), "`?limit=101` gets a 200"),
        (pages(query=NoLower), "`?offset=-1` gets a 200"),
        (pages(answer=None, cut=whole_rows), "tells where the files are"),
        (pages(answer=None, cut=counted), "is a list of photos"),
        (pages(cut=offset_forgotten), "from number 2 on"),
        (pages(cut=limit_is_the_end), "there came 1"),
        (pages(cut=fails_past_the_end), "gets a 500"),
        (pages(cut=fails_far_out), "Schemathesis sent /photos"),
        (pages(documented=()), "what a 422 looks like"),
        (pages(path="/photo"), "nothing at `GET /photos`"),
        (forgets_to_return, "is there a `return app`"),
    ],
    "7.3": [
        (first_idea, "not what is in `key.txt`"),
        (untidied, "not what is in `key.txt`"),
        (whole_answer, "`.text`"),
        (remembered, "not what is in `key.txt`"),
    ],
    "7.4": [
        (album(static=False), "an unknown photo is a 404: the answer is a 500"),
        (album(keep=unread), "it gets a 201, not a 415"),
        (album(keep=as_sent), "handed out with the picture"),
        (album(keep=believes_types), "text/plain: a picture gets a 415"),
        (album(limit=None), "more than 1 MB: it gets a 415, not a 413"),
        (album(id=same_name), "took the place of the first"),
        (album(id=lambda file: file.filename), "a photo called notes.txt"),
        (album(id=no_path), "took the place of the first"),
        (album(status=200), "a picture gets a 200"),
        (album(key="name"), "has no `id`"),
        (lambda folder: FastAPI(), "a picture gets a 404"),
    ],
}
