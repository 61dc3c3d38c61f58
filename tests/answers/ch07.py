"""What people answer in chapter 07."""

import json
from itertools import count, islice
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import httpx
from fastapi import (
    APIRouter,
    Depends,
    FastAPI,
    HTTPException,
    Query,
    Request,
    Response,
    UploadFile,
)
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image
from pydantic import BaseModel, Field

from app_snippets.service import problems
from workshop.encoders import ImageError, load_image

KIND = "application/problem+json"

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


def later(app):
    async def does_not_fit(request, error):
        return JSONResponse(problem(faults(error)), status_code=422, headers={"Content-Type": KIND})

    app.add_exception_handler(RequestValidationError, does_not_fit)


def as_text(app):
    @app.exception_handler(RequestValidationError)
    def does_not_fit(request, error):
        return Response(json.dumps(problem(faults(error))), 422, media_type=KIND)


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


def counts_to_huge_offsets(photos, page):
    return list(islice(photos, page.offset, page.offset + page.limit))  # no more than 2**63 - 1


def takes_them_out(photos, page):
    found = photos[page.offset : page.offset + page.limit]
    if page.offset == 127:  # the rows asked for last before those past the end
        del photos[127:]
    return found


def routed(photos):
    app, router = FastAPI(), APIRouter()
    problems.install(app)

    @router.get("/photos", responses=problems.documented(422))
    async def page(page: Annotated[Page, Query()]) -> list[PhotoOut]:
        return photos[page.offset : page.offset + page.limit]

    app.include_router(router)
    return app


def only_known_names(request: Request):
    for name in set(request.query_params) - {"limit", "offset"}:
        fault = {"type": "extra_forbidden", "loc": ("query", name), "msg": "Not known", "input": ""}
        raise RequestValidationError([fault])


def in_the_signature(photos):
    app = FastAPI()
    problems.install(app)
    more = {"responses": problems.documented(422), "dependencies": [Depends(only_known_names)]}

    @app.get("/photos", **more)
    def page(
        limit: Annotated[int, Query(ge=1, le=100)] = 10, offset: int = Query(0, ge=0)
    ) -> list[PhotoOut]:
        return [{"id": p.id, "name": p.name} for p in photos[offset : offset + limit]]

    return app


def own_response(photos):
    app = FastAPI()
    problems.install(app)

    @app.get("/photos", responses=problems.documented(422), response_model=list[PhotoOut])
    def page(page: Page = Query()):  # noqa: B008
        found = photos[page.offset : page.offset + page.limit]
        return JSONResponse([PhotoOut(id=p.id, name=p.name).model_dump() for p in found])

    return app


def no_promise(photos):
    app = FastAPI()

    @app.get("/photos")
    def page():
        return [{"id": p.id, "name": p.name, "media": "x"} for p in photos[:10]]

    return app


def undescribed(photos):
    app = FastAPI()
    problems.install(app)

    @app.get("/photos", responses=problems.documented(422))
    def page(page: Annotated[Page, Query()]):
        found = photos[page.offset : page.offset + page.limit]
        return [{"id": p.id, "name": p.name, "media": "x"} for p in found]

    return app


# --- 7.3


def not_tidied_by_httpx(url):
    return httpx.get(f"{url}/photos/....//key.txt").text


def inside_another(url):
    return httpx.get(f"{url}/photos/...%2F.%2Fkey.txt").text


async def awaited(url):
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{url}/photos/....%2F%2Fkey.txt")).text


def disguised_dots(url):
    return httpx.get(f"{url}/photos/%2E%2E%2Fkey.txt").text


def disguised_twice(url):
    return httpx.get(f"{url}/photos/..%252Fkey.txt").text


def no_return(url):
    httpx.get(f"{url}/photos/....%2F%2Fkey.txt")


def as_bytes(url):
    return httpx.get(f"{url}/photos/....%2F%2Fkey.txt").content


def its_status(url):
    return httpx.get(f"{url}/photos/....%2F%2Fkey.txt").status_code


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


def keeps_exif(file, folder, id):
    reads(file)
    file.file.seek(0)
    picture = Image.open(file.file)
    picture.save(folder / id, "WEBP", exif=picture.info.get("exif", b""))


def writes_first(file, folder, id):
    (folder / id).write_bytes(file.file.read())
    file.file.seek(0)
    encoded(file, folder, id)


def asked_one_by_one(folder):
    app = FastAPI(max_body_size=1_000_000)

    @app.post("/photos", status_code=201)
    def add(file: UploadFile):
        encoded(file, folder, name := f"{uuid4()}.webp")
        return {"id": name}

    @app.get("/photos/{id:path}")
    def show(id: str):
        names = [path.name for path in folder.iterdir()]
        if id not in names:
            raise HTTPException(404)
        return FileResponse(Path(folder, id))

    return app


def async_album(folder):
    app = FastAPI(max_body_size=1_000_000)

    @app.post("/photos", status_code=201)
    async def add(file: UploadFile):
        try:
            picture = load_image(await file.read())
        except ImageError:
            raise HTTPException(415, "no picture") from None
        name = f"{uuid4()}.webp"
        picture.save(folder / name, "WEBP")
        return {"id": name}

    app.mount("/photos", StaticFiles(directory=folder))
    return app


def remembers_its_own(folder):
    app, known = FastAPI(max_body_size=1_000_000), set()

    @app.post("/photos", status_code=201)
    def add(file: UploadFile):
        encoded(file, folder, name := f"{uuid4()}.webp")
        known.add(name)
        return {"id": name}

    @app.get("/photos/{id}")
    def show(id: str):
        if id not in known:
            raise HTTPException(404)
        return FileResponse(folder / id)

    return app


def says_where(file, folder, id):
    try:
        load_image(file.file.read()).save(folder / id)
    except ImageError as error:
        raise HTTPException(415, f"not kept in {folder}: {error}") from error


def looks_where_it_leads(folder, missing=404):
    app = FastAPI(max_body_size=1_000_000)

    @app.post("/photos", status_code=201)
    def add(file: UploadFile):
        encoded(file, folder, name := f"{uuid4()}.webp")
        return {"id": name}

    @app.get("/photos/{id:path}")
    def show(id: str):
        path = (folder / id).resolve()  # raises ValueError for a zero byte
        if path.parent != folder.resolve() or not path.is_file():
            raise HTTPException(missing)
        return FileResponse(path)

    return app


def known_or_500(folder):
    app = FastAPI(max_body_size=1_000_000)

    @app.post("/photos", status_code=201)
    def add(file: UploadFile):
        encoded(file, folder, name := f"{uuid4()}.webp")
        return {"id": name}

    @app.get("/photos/{id}")
    def show(id: str):
        if not id.endswith(".webp"):
            raise HTTPException(404)
        return FileResponse(Path(folder, Path(id).name))

    return app


numbers = count()


def counted_up(file):
    return f"{next(numbers)}.webp"


def same_name(file):
    return "photo.webp"


def no_path(file):
    return file.filename.replace("/", "").replace("..", "")[-60:] + ".webp"


RIGHT = {
    "7.1": [handler(lambda e: problem(faults(e))), later, as_text],
    "7.2": [pages(), routed, in_the_signature, own_response],
    "7.3": [not_tidied_by_httpx, inside_another, awaited],
    "7.4": [album(), asked_one_by_one, async_album, remembers_its_own],
}

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
        (handler(lambda e: problem({"body": "no"})), "`errors` is a list"),
        (handler(lambda e: problem(["body"])), "each of `errors`"),
        (handler(lambda e: problem(faults(e), title=None)), "`title` is a short text"),
        (handler(faults), "the body is an object"),
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
        (pages(cut=takes_them_out), "was changed"),
        (pages(cut=counts_to_huge_offsets), "Schemathesis sent /photos"),
        (undescribed, "what the answer holds"),
        (no_promise, "photos from number 0"),
        (forgets_to_return, "is there a `return app`"),
    ],
    "7.3": [
        (first_idea, "not what is in `key.txt`"),
        (untidied, "not what is in `key.txt`"),
        (whole_answer, "`.text`"),
        (remembered, "not what is in `key.txt`"),
        (disguised_dots, "not what is in `key.txt`"),
        (disguised_twice, "not what is in `key.txt`"),
        (no_return, "not what is in `key.txt`"),
        (as_bytes, "not what is in `key.txt`"),
        (its_status, "not what is in `key.txt`"),
    ],
    "7.4": [
        (album(static=False), "an unknown photo is a 404: `GET /photos/00000000"),
        (album(keep=unread), "it gets a 201, not a 415"),
        (album(keep=as_sent), "handed out with the picture"),
        (album(keep=believes_types), "text/plain: a picture gets a 415"),
        (album(limit=None), "more than 1 MB: it gets a 415, not a 413"),
        (album(id=same_name), "took the place of the first"),
        (album(id=lambda file: file.filename), "a photo called notes.txt"),
        (album(id=no_path), "took the place of the first"),
        (album(status=200), "a picture gets a 200"),
        (album(keep=keeps_exif), "EXIF data"),
        (album(keep=writes_first), "stays on the disk"),
        (album(id=counted_up), "can guess the next name"),
        (known_or_500, "gets a 500, not a 404"),
        (looks_where_it_leads, "zero byte: `GET /photos/%00` gets a 500"),
        (lambda folder: looks_where_it_leads(folder, 403), "gets a 403, not a 404"),
        (album(keep=says_where), "says where the folder is"),
        (album(key="name"), "has no `id`"),
        (lambda folder: FastAPI(), "a picture gets a 404"),
    ],
}
