"""Every failure as one kind of body: `application/problem+json` (RFC 9457)."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from grpc import RpcError
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pymilvus.exceptions import DataNotMatchException, MilvusException, ParamError
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"
REFERENCE = "#/components/schemas/{model}"
BINARY = {"type": "string", "format": "binary"}
# For the OpenAPI description of each service. The address is that of the description itself.
ABOUT = {"contact": {"name": "From Vectors to Services"}, "servers": [{"url": "/"}]}
RETRY_AFTER = {"Retry-After": "5"}  # seconds

# A limit on the size of files is one more way to be out of space.
_NO_SPACE = [os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)]
_NO_SPACE += ["disk is full", "No usable temporary directory"]  # SQLite and tempfile

_REFUSALS = {6, 1100}  # Milvus's codes for an argument that does not fit: of Lite, of a server

log = logging.getLogger(__name__)


class Fault(BaseModel):
    """One thing that does not fit, and why."""

    field: str
    reason: str


class Problem(BaseModel):
    """What went wrong, for a program (`status`) and for a person (`detail`)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class ProblemError(HTTPException):
    """Raise it anywhere while a request is handled; the client gets it as a Problem.

    errors    (field or file name, reason) of each thing that does not fit
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, _whole(detail), dict(headers or {}))
        self.errors = [
            Fault(field=_whole(field), reason=_whole(reason)) for field, reason in errors
        ]

    def response(self) -> JSONResponse:
        """The answer that tells of it."""
        problem = Problem(
            title=HTTPStatus(self.status_code).phrase,
            status=self.status_code,
            detail=self.detail,
            errors=self.errors,
        )
        return JSONResponse(
            problem.model_dump(), self.status_code, self.headers, media_type=MEDIA_TYPE
        )


def _whole(text: str) -> str:
    """Half a surrogate pair, which JSON can name and UTF-8 cannot write, becomes a question mark."""
    return text.encode(errors="replace").decode()


def is_refusal(error: Exception) -> bool:
    """Whether Milvus is there and will not take this one thing, however often it is asked."""
    if isinstance(error, ParamError | DataNotMatchException):
        return True
    return isinstance(error, MilvusException) and error.code in _REFUSALS


def why(error: OSError | sqlite3.Error | MilvusException | RpcError) -> str:
    """What keeps the service from storing something, and what to do: two sentences, the last open."""
    text = getattr(error, "message", "") or getattr(error, "strerror", "") or str(error)
    if any(word in text for word in _NO_SPACE):
        return "The disk is full. Free some space and try again"
    if isinstance(error, MilvusException) and is_refusal(error):
        return f"Milvus refuses it: {text.splitlines()[0][:200].rstrip('.')}"
    if isinstance(error, MilvusException | RpcError):
        return "Milvus does not answer. Try again in a moment"
    return f"The service's folder cannot be used ({text}). See that it is there and may be written"


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those failures of an endpoint, for its OpenAPI description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Answer every failure of the app with a Problem, and describe it so."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            _describe_problems(describe())
        return app.openapi_schema

    app.openapi = openapi

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, OSError):  # the form parser had no room for an upload
            return not_now(request, error.__cause__)
        if not isinstance(error, ProblemError):
            error = _as_problem(request, error)
        return error.response()

    @app.exception_handler(RequestValidationError)
    def does_not_fit(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            (
                ".".join(str(part) for part in e["loc"] if not _is_kind(part)),
                NO_FILE if _is_no_file(e) else e["msg"].removeprefix("Value error, "),
            )
            for e in error.errors()
        ]
        detail = "; ".join(f"{field}: {reason}" for field, reason in errors)
        return ProblemError(422, detail, errors).response()

    @app.exception_handler(MilvusException)
    @app.exception_handler(RpcError)
    @app.exception_handler(sqlite3.Error)
    @app.exception_handler(OSError)
    def not_now(
        request: Request, error: MilvusException | RpcError | sqlite3.Error | OSError
    ) -> JSONResponse:
        log.error("%s: %s", type(error).__name__, error)
        return ProblemError(503, f"{why(error)}.", headers=RETRY_AFTER).response()

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The server logs the traceback; it is none of the client's business. uvicorn then closes the
        # connection: said in advance, no client sends its next request into it.
        detail = "Something unexpected went wrong here; the service's log says what."
        return ProblemError(500, detail, headers={"Connection": "close"}).response()


def kind(name: str) -> str:
    """The tag of one kind of body where several are taken: a fault is told without it."""
    return f"kind {name}"


def _is_kind(part: object) -> bool:
    return isinstance(part, str) and part.startswith("kind ")


NO_FILE = "send a file here: a part of the form with a file name (filename=)"


def _is_no_file(fault: Mapping[str, Any]) -> bool:
    """Whether a text came where a file belongs, which FastAPI tells in words of Python."""
    return fault["msg"].startswith("Value error, Expected UploadFile")


def _describe_problems(document: dict[str, Any]) -> None:
    """Add the Problem, and take out FastAPI's own 422: no answer here looks like that.

    A file is said to be one in the words of OpenAPI 3.0 too, which are all that some generators know.
    """
    for content in _parts(document):
        if content.get("contentMediaType"):
            content["format"] = "binary"
    # a service whose endpoints name no model has none of these
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= models_json_schema([(Problem, "validation")], ref_template=REFERENCE)[1]["$defs"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]


def _parts(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
        document = list(document.values())
    for part in document if isinstance(document, list) else ():
        yield from _parts(part)


def _as_problem(request: Request, error: HTTPException) -> ProblemError:
    status, detail, headers = error.status_code, error.detail, error.headers
    if status == 404:
        detail = f"There is nothing at {request.url.path}."
    elif status == 405:
        detail = f"{request.method} is not possible here."
        # The router names the methods of the first route that has this path, not of all.
        found = [route for route in request.app.routes if route.matches(request.scope)[0].value]
        allowed = {method for route in found for method in getattr(route, "methods", None) or ()}
        allowed |= {"HEAD"} if "GET" in allowed else set()
        headers = {"Allow": ", ".join(sorted(allowed))}
    elif status == 400:  # the form parser's word for everything that it refuses
        status = 413 if "Too many files" in detail else 422
        if detail == "Invalid multipart data.":
            detail = "The form cannot be read: it is cut off, or a file name in it is very long."
    return ProblemError(status, detail, headers=headers)
