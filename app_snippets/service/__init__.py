"""What all search services of the course share. A system brings an `Encoder`, a `Payload` and a page.

app        `create_service`: the calls of README.md around an encoder
encoder    what a service brings along
texts      the same for items that are texts, and for files of many
running    what a running service holds
items      the calls that put items in, show them and take them out
searches   the calls that find items
models     the bodies that go in and out
names      words from outside: names to show, categories, texts to search with
settings   what can be set from the environment
jobs       loads that outlive their request: a table, and the thread that works them off
store      items at rest: vectors and payloads in Milvus, media as files
connection the way to Milvus, opened anew when a write has failed
guard      what stands before every call: who may ask, how much, how often
problems   every failure as application/problem+json
"""

from app_snippets.service.app import create_service
from app_snippets.service.encoder import (
    Asked,
    BadRow,
    Encoder,
    Entries,
    Entry,
    Vector,
    Vectors,
    places,
)
from app_snippets.service.jobs import Source
from app_snippets.service.models import Hit, Payload, Place, TextPayload
from app_snippets.service.problems import ProblemError, documented
from app_snippets.service.running import Running
from app_snippets.service.searches import like
from app_snippets.service.settings import ServiceName, ServiceSettings
from app_snippets.service.store import SPARSE, Found
from app_snippets.service.texts import NamedTexts, Texts
from workshop.errors import TooLarge

__all__ = [
    "SPARSE",
    "Asked",
    "BadRow",
    "Encoder",
    "Entries",
    "Entry",
    "Found",
    "Hit",
    "NamedTexts",
    "Payload",
    "Place",
    "ProblemError",
    "Running",
    "ServiceName",
    "ServiceSettings",
    "Source",
    "TextPayload",
    "Texts",
    "TooLarge",
    "Vector",
    "Vectors",
    "create_service",
    "documented",
    "like",
    "places",
]
