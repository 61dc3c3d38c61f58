"""The photo search in Flask, as its users write it: application factory, blueprint, Jinja2 page."""

from typing import Any

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    render_template,
    request,
    send_file,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from app_snippets.service.guard import FRAMES
from app_snippets.twins.index import PAGES, EncodingError, PhotoIndex

api = Blueprint("photos", __name__)


def create_app(index: PhotoIndex) -> Flask:
    """Build the application around an index."""
    app = Flask(__name__, template_folder=PAGES)
    app.config["MAX_CONTENT_LENGTH"] = 64_000
    app.extensions["photos"] = index
    app.register_blueprint(api)
    app.after_request(confined)
    app.register_error_handler(HTTPException, problem)
    app.register_error_handler(EncodingError, unfit)
    return app


@api.get("/")
def page() -> str:
    """Show the page; a query in the address is answered on it."""
    text = request.args.get("text", "")[:200]
    hits = photos().search(photos().encode(text), 12) if text.strip() else []
    return render_template(
        "photos.html", text=text, hits=hits, count=photos().count, framework="Flask"
    )


@api.get("/health")
def health() -> ResponseReturnValue:
    """Say that the service is there."""
    return {"status": "ok", "count": photos().count}


@api.get("/items/<id>")
def read_item(id: str) -> ResponseReturnValue:
    """Tell what is known of one photo."""
    item = photos().item(id) or abort(404, f"There is no photo {id!r}.")
    return vars(item)


@api.get("/items/<id>/media")
def read_media(id: str) -> ResponseReturnValue:
    """Send the photo."""
    path = photos().media(id) or abort(404, f"There is no photo {id!r}.")
    return send_file(path, mimetype="image/webp")


@api.post("/embeddings")
def embed() -> ResponseReturnValue:
    """Turn a text into a vector."""
    body = json_object({"text"})
    return {"embedding": photos().encode(text_of(body))}


@api.post("/search")
def search() -> ResponseReturnValue:
    """Find photos by a text, or by another photo."""
    body = json_object({"text", "item_id", "limit", "category"})
    limit, category, item_id = body.get("limit", 10), body.get("category"), body.get("item_id")
    if type(limit) is not int or not 1 <= limit <= 100:  # bool is an int too
        abort(422, f"limit: give a whole number from 1 to 100, not {limit!r}.")
    if category is not None and not isinstance(category, str):
        abort(422, f"category: give a text, not {category!r}.")
    if item_id is not None and not isinstance(item_id, str):
        abort(422, f"item_id: give a text, not {item_id!r}.")
    if (body.get("text") is None) == (item_id is None):
        abort(422, "Give one of text and item_id.")
    if item_id is None:
        hits = photos().search(photos().encode(text_of(body)), limit, category)
    else:
        hits = photos().neighbours(item_id, limit, category)
        if hits is None:
            abort(404, f"There is no photo {item_id!r}.")
    return {"hits": [vars(hit) for hit in hits]}


def photos() -> PhotoIndex:
    """The index of the application that handles this request."""
    return current_app.extensions["photos"]


def json_object(fields: set[str]) -> dict[str, Any]:
    """The request's body: a JSON object with no other fields than these."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:
        abort(422, "The JSON is nested too deeply.")
    if not isinstance(body, dict):
        abort(422, "Send a JSON object as Content-Type: application/json.")
    if unknown := body.keys() - fields:
        abort(422, f"{', '.join(sorted(unknown))}: no such field.")
    return body


def text_of(body: dict[str, Any]) -> str:
    """The field `text`, if it is one."""
    text = body.get("text")
    if not isinstance(text, str) or not 1 <= len(text.strip()) <= 200:
        abort(422, "text: give 1 to 200 characters.")
    return text.strip()


def problem(error: HTTPException) -> ResponseReturnValue:
    """Every failure as JSON; Flask's own are HTML."""
    return {"detail": error.description}, error.code


def unfit(error: EncodingError) -> ResponseReturnValue:
    """A text that has nothing to encode."""
    return {"detail": f"text: {error}"}, 422


def confined(response: Response) -> Response:
    """No other site may show a page of ours in a frame."""
    response.headers["Content-Security-Policy"] = FRAMES
    return response
