"""The photo search in FastAPI: types that check, one dependency, the same Jinja2 page."""

import json
from typing import Annotated, Self

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.templating import Jinja2Templates
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from app_snippets.service.guard import Confined
from app_snippets.twins.index import PAGES, EncodingError, Hit, Item, PhotoIndex

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
templates = Jinja2Templates(PAGES)
api = APIRouter()


def create_app(index: PhotoIndex) -> FastAPI:
    """Build the application around an index."""
    app = FastAPIOffline(title="Photo search", version="1")
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=64_000)
    app.add_middleware(Confined)
    for failure in (RequestValidationError, EncodingError, 400):
        app.add_exception_handler(failure, unfit)
    app.state.photos = index
    app.include_router(api)
    return app


async def unfit(request: Request, error: Exception) -> Response:
    """What does not fit, without the input itself: NaN or half a character are no JSON."""
    detail = "Send a JSON object as Content-Type: application/json."
    if isinstance(error, RequestValidationError):
        detail = [{"loc": fault["loc"], "msg": fault["msg"]} for fault in error.errors()]
    elif isinstance(error, EncodingError):
        detail = f"text: {error}"
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")


async def photos(request: Request) -> PhotoIndex:
    """The index of the application that handles this request."""
    return request.app.state.photos


Photos = Annotated[PhotoIndex, Depends(photos)]


class Strict(BaseModel):
    """A body that takes no other fields than its own, and no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class EmbeddingRequest(Strict):
    """What `POST /embeddings` takes."""

    text: Text


class SearchRequest(Strict):
    """What `POST /search` takes: one of `text` and `item_id`."""

    text: Text | None = None
    item_id: str | None = None
    limit: int = Field(10, ge=1, le=100)
    category: str | None = None

    @model_validator(mode="after")
    def one_question(self) -> Self:
        """Text or item, not both, not neither."""
        if (self.text is None) == (self.item_id is None):
            raise ValueError("give one of text and item_id")
        return self


class Health(BaseModel):
    """What `GET /health` tells."""

    status: str
    count: int


class Embedding(BaseModel):
    """A vector of 384 numbers, L2-normalised."""

    embedding: list[float]


class Hits(BaseModel):
    """What a search found, best first."""

    hits: list[Hit]


@api.get("/", response_class=HTMLResponse)
def page(request: Request, photos: Photos, text: str = "") -> HTMLResponse:
    """Show the page; a query in the address is answered on it."""
    text = text[:200]
    hits = photos.search(photos.encode(text), 12) if text.strip() else []
    shown = {"text": text, "hits": hits, "count": photos.count, "framework": "FastAPI"}
    return templates.TemplateResponse(request, "photos.html", shown)


@api.get("/health")
async def health(photos: Photos) -> Health:
    """Say that the service is there."""
    return Health(status="ok", count=photos.count)


@api.get("/items/{id}")
def read_item(id: str, photos: Photos) -> Item:
    """Tell what is known of one photo."""
    if item := photos.item(id):
        return item
    raise HTTPException(404, f"There is no photo {id!r}.")


@api.get("/items/{id}/media")
def read_media(id: str, photos: Photos) -> FileResponse:
    """Send the photo."""
    if path := photos.media(id):
        return FileResponse(path, media_type="image/webp")
    raise HTTPException(404, f"There is no photo {id!r}.")


@api.post("/embeddings")
def embed(body: EmbeddingRequest, photos: Photos) -> Embedding:
    """Turn a text into a vector."""
    return Embedding(embedding=photos.encode(body.text))


@api.post("/search")
def search(body: SearchRequest, photos: Photos) -> Hits:
    """Find photos by a text, or by another photo."""
    if body.text is not None:
        return Hits(hits=photos.search(photos.encode(body.text), body.limit, body.category))
    hits = photos.neighbours(body.item_id or "", body.limit, body.category)
    if hits is None:
        raise HTTPException(404, f"There is no photo {body.item_id!r}.")
    return Hits(hits=hits)
