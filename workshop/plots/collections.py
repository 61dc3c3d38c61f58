"""What a database or a service found, and the life of a row."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import matplotlib.pyplot as plt
from PIL import Image

from workshop.datasets import Photo
from workshop.errors import WorkshopError
from workshop.plots.base import COLOURS, Picture, Pixels, done, hits


def photo_hits(
    query: Photo, found: Sequence[Mapping[str, Any]], photos: Sequence[Photo], size: float = 1.2
) -> Picture:
    """The photo that was searched for, framed, and the photos of the hits, with names and scores.

    found   (k,) hits as Milvus gives them, with `id` (a photo's) and `distance` (the score)
    photos  where the ids are looked up
    """
    known = {photo.id: photo for photo in photos}
    missing = [hit["id"] for hit in found if hit["id"] not in known]
    if missing:
        raise WorkshopError(f"No photo has the id {missing[0]!r}: give the list they come from.")
    shown = [known[hit["id"]] for hit in found]
    scores = [hit["distance"] for hit in found]
    names = [photo.name for photo in shown]
    return hits(query.open(), [photo.open() for photo in shown], scores, names, size=size)


def service_hits(query: Pixels | str, answer: httpx.Response, client: httpx.Client) -> Picture:
    """What a search service of the course answered; the pictures are fetched from the service.

    query   the picture, or the words, that was searched for
    answer  of `POST /search` or `POST /search/file`
    client  of that service

    Raises httpx.HTTPStatusError if an answer is not a success.
    """
    found = answer.raise_for_status().json()["hits"]
    images = []
    for hit in found:
        media = client.get(f"/items/{hit['id']}/media").raise_for_status()
        images.append(Image.open(io.BytesIO(media.content)))
    names = [hit["payload"]["name"] for hit in found]
    return hits(query, images, [hit["score"] for hit in found], names)


def life_of_a_row() -> Picture:
    """Where a row lives in Milvus: growing segment, sealed segment, index."""
    states = [
        "growing segment\nread row by row",
        "sealed segment\na file that stays",
        "index\nbeside the file",
    ]
    steps = ["insert", "flush", "by itself"]
    figure, axis = plt.subplots(figsize=(7.5, 1.1))
    for x, (step, state) in enumerate(zip(steps, states, strict=True)):
        colour = COLOURS[1] if x == 0 else COLOURS[2]
        box = {"boxstyle": "round,pad=0.6", "facecolor": "white", "edgecolor": colour}
        axis.annotate(state, (x, 0), ha="center", va="center", fontsize=9, bbox=box | {"lw": 2})
        axis.annotate("", (x - 0.3, 0), (x - 0.7, 0), arrowprops={"arrowstyle": "-|>"})
        axis.annotate(step, (x - 0.5, 0.1), ha="center", fontsize=8)
    axis.axis((-0.8, 2.4, -0.5, 0.5))
    axis.axis("off")
    alt = (
        "Three boxes joined by arrows, from left to right. Insert leads to the growing segment, in "
        "orange, which is read row by row. Flush leads to the sealed segment, in green, a file that "
        "stays. By itself, an index is then built beside the file, in green."
    )
    return done(figure, alt)
