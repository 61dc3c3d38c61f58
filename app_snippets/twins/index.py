"""What the twins share: photos that are found by their names' meaning, in one collection."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pymilvus import DataType, MilvusClient

from workshop import TextEncoder, connect, datasets
from workshop.encoders import EncodingError

__all__ = ["PAGES", "EncodingError", "Hit", "Item", "PhotoIndex"]

PAGES = Path(__file__).resolve().parent.parent / "pages"
COLLECTION = "photos"


@dataclass(frozen=True)
class Item:
    """A photo as the API tells it."""

    id: str
    name: str
    category: str


@dataclass(frozen=True)
class Hit(Item):
    """A photo that was found, with its cosine similarity to the query."""

    score: float


class PhotoIndex:
    """Search over one collection; safe to call from many threads at once."""

    def __init__(self, client: MilvusClient) -> None:
        """Use a collection that `build` has filled, through any client of the same Milvus."""
        self._client = client
        self._encoder = TextEncoder(threads=1)
        self._photos = {photo.id: photo for photo in datasets.photos()}
        self._categories = {photo.category for photo in datasets.photos()}
        self.count = len(self._photos)

    @classmethod
    def build(cls, name: str) -> Self:
        """Encode the photos' names (some seconds) and store them where `connect(name)` says."""
        index = cls(connect(name))
        photos = list(index._photos.values())
        vectors = index._encoder.encode([photo.name for photo in photos])
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=128)
        schema.add_field("category", DataType.VARCHAR, max_length=128)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=index._encoder.dim)
        params = MilvusClient.prepare_index_params()
        params.add_index("embedding", index_type="FLAT", metric_type="COSINE")
        index._client.create_collection(COLLECTION, schema=schema, index_params=params)
        rows = [
            {"id": photo.id, "category": photo.category, "embedding": vector.tolist()}
            for photo, vector in zip(photos, vectors, strict=True)
        ]
        index._client.insert(COLLECTION, rows)
        index._client.flush(COLLECTION)  # FLAT compares all rows: there is no index to wait for
        return index

    def encode(self, text: str) -> list[float]:
        """The text's embedding: 384 numbers, L2-normalised.

        Raises EncodingError where there is nothing to encode: no visible character, or half of one.
        """
        return self._encoder.encode([text])[0].tolist()

    def item(self, id: str) -> Item | None:
        """The photo of that id, if there is one."""
        photo = self._photos.get(id)
        return Item(photo.id, photo.name, photo.category) if photo else None

    def media(self, id: str) -> Path | None:
        """The photo's file (WebP), if there is such a photo."""
        photo = self._photos.get(id)
        return photo.path if photo else None

    def search(self, vector: list[float], limit: int, category: str | None = None) -> list[Hit]:
        """The photos whose names are nearest, best first; of one category if it is given."""
        if category is not None and category not in self._categories:
            return []  # and so nothing that a client typed becomes part of the filter
        (found,) = self._client.search(
            COLLECTION,
            [vector],
            anns_field="embedding",
            filter=f'category == "{category}"' if category is not None else "",
            limit=limit,
            output_fields=["id"],
        )
        return [
            Hit(**asdict(item), score=float(hit["distance"]))
            for hit in found
            if (item := self.item(hit["id"]))
        ]

    def neighbours(self, id: str, limit: int, category: str | None = None) -> list[Hit] | None:
        """The photos nearest to a stored one, without it; None if there is no such photo."""
        if id not in self._photos:
            return None
        (row,) = self._client.get(COLLECTION, [id], output_fields=["embedding"])
        hits = self.search([float(x) for x in row["embedding"]], limit + 1, category)
        return [hit for hit in hits if hit.id != id][:limit]

    def close(self) -> None:
        """Close the client."""
        self._client.close()
