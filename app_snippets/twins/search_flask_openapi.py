"""The photo search in Flask with flask-openapi3: Pydantic checks bodies, OpenAPI pages come along."""

from typing import Annotated, Any, Self

from flask import (
    Flask,
    Response,
    abort,
    current_app,
    make_response,
    render_template,
    request,
    send_file,
)
from flask_openapi3 import APIBlueprint, Info, OpenAPI
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from werkzeug.exceptions import HTTPException

from app_snippets.service.guard import FRAMES
from app_snippets.twins.index import PAGES, EncodingError, PhotoIndex

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
api = APIBlueprint("photos", __name__)


def create_app(index: PhotoIndex) -> Flask:
    """Build the application around an index."""
    app = OpenAPI(
        __name__,
        info=Info(title="Photo search", version="1"),
        template_folder=PAGES,
        validation_error_callback=invalid,
    )
    app.config["MAX_CONTENT_LENGTH"] = 64_000
    app.extensions["photos"] = index
    app.register_api(api)
    app.after_request(confined)
    app.register_error_handler(HTTPException, problem)
    app.register_error_handler(EncodingError, unfit)
    app.register_error_handler(RecursionError, too_deep)
    return app


class Strict(BaseModel):
    """A body that takes no other fields than its own, and no text for a number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ItemPath(BaseModel):
    """The photo that an address names."""

    id: str


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


class Item(BaseModel):
    """A photo as the API tells it."""

    id: str
    name: str
    category: str


class Hit(Item):
    """A photo that was found."""

    score: float


class Embedding(BaseModel):
    """A vector of 384 numbers, L2-normalised."""

    embedding: list[float]


class Hits(BaseModel):
    """What a search found, best first."""

    hits: list[Hit]


@api.get("/", doc_ui=False)
def page() -> str:
    """Show the page; a query in the address is answered on it."""
    text = request.args.get("text", "")[:200]
    hits = photos().search(photos().encode(text), 12) if text.strip() else []
    return render_template(
        "photos.html", text=text, hits=hits, count=photos().count, framework="Flask"
    )


@api.get("/health", responses={200: Health})
def health() -> dict[str, Any]:
    """Say that the service is there."""
    return {"status": "ok", "count": photos().count}


@api.get("/items/<id>", responses={200: Item})
def read_item(path: ItemPath) -> dict[str, Any]:
    """Tell what is known of one photo."""
    item = photos().item(path.id) or abort(404, f"There is no photo {path.id!r}.")
    return vars(item)


@api.get("/items/<id>/media")
def read_media(path: ItemPath) -> Response:
    """Send the photo."""
    file = photos().media(path.id) or abort(404, f"There is no photo {path.id!r}.")
    return send_file(file, mimetype="image/webp")


@api.post("/embeddings", responses={200: Embedding})
def embed(body: EmbeddingRequest) -> dict[str, Any]:
    """Turn a text into a vector."""
    return {"embedding": photos().encode(body.text)}


@api.post("/search", responses={200: Hits})
def search(body: SearchRequest) -> dict[str, Any]:
    """Find photos by a text, or by another photo."""
    if body.text is not None:
        hits = photos().search(photos().encode(body.text), body.limit, body.category)
    else:
        hits = photos().neighbours(body.item_id or "", body.limit, body.category)
        if hits is None:
            abort(404, f"There is no photo {body.item_id!r}.")
    return {"hits": [vars(hit) for hit in hits]}


def photos() -> PhotoIndex:
    """The index of the application that handles this request."""
    return current_app.extensions["photos"]


def invalid(error: ValidationError) -> Response:
    """What Pydantic found, without the input itself: half a character is no JSON."""
    faults = [{"loc": fault["loc"], "msg": fault["msg"]} for fault in error.errors()]
    return make_response({"detail": faults}, 422)


def problem(error: HTTPException) -> tuple[dict[str, Any], int | None]:
    """Every failure as JSON; Flask's own are HTML."""
    return {"detail": error.description}, error.code


def unfit(error: EncodingError) -> tuple[dict[str, Any], int]:
    """A text that has nothing to encode."""
    return {"detail": f"text: {error}"}, 422


def too_deep(error: RecursionError) -> tuple[dict[str, Any], int]:
    """A body that Python's JSON reader gives up on."""
    return {"detail": "The JSON is nested too deeply."}, 422


def confined(response: Response) -> Response:
    """No other site may show a page of ours in a frame."""
    response.headers["Content-Security-Policy"] = FRAMES
    return response
