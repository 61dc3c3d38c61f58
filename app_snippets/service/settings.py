"""What can be set of a service from the environment."""

import json
import os
import re
from typing import Annotated, Any

from limits import parse
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator
from pydantic_settings import BaseSettings, NoDecode

from workshop.decoding import MAX_BYTES, MAX_SECONDS
from workshop.pictures import MAX_PIXELS, MAX_SCANS

MiB = 1024 * 1024


def own_hosts() -> list[str]:
    """The names of this machine; on a hub any, where a browser never reaches it but by the hub."""
    if os.environ.get("JUPYTERHUB_SERVICE_PREFIX"):
        return ["*"]
    return ["127.0.0.1", "localhost", "::1"]


def _hosts(value: Any) -> Any:
    """From the environment: `lab.example`, several with commas, or a list in JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [host.strip() for host in value.split(",")]


def _is_a_host(host: str) -> str:
    if host == "*" or re.fullmatch(r"[a-z0-9._:-]+", host := host.strip("[]").lower()):
        return host
    raise ValueError("write names alone, as in lab.example,192.168.1.5 (* is any)")


# The names by which a service may be called.
Hosts = Annotated[
    list[Annotated[str, AfterValidator(_is_a_host)]], NoDecode, BeforeValidator(_hosts)
]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")]


class ServiceSettings(BaseSettings):
    """What can be set from the environment, with defaults that suit a laptop."""

    name: ServiceName  # of its folder and of its place in Milvus
    allowed_hosts: Hosts = Field(default_factory=own_hosts)  # lab.example,192.168.1.5; * for any
    max_file_bytes: int = Field(20 * MiB, gt=0)
    max_request_bytes: int = Field(200 * MiB, gt=0)
    max_files: int = Field(500, gt=0)  # in one upload, and texts in one request
    max_rows: int = Field(50_000, gt=0)  # of one file that holds many items
    max_item_text: int = Field(10_000, gt=0, le=20_000)  # characters of a text that is an item
    max_pixels: int = Field(MAX_PIXELS, gt=0)  # of one image
    max_scans: int = Field(MAX_SCANS, gt=0)  # passes over the pixels of one JPEG
    max_decode_seconds: float = Field(MAX_SECONDS, gt=0)  # of a processor, to read one file
    max_decode_bytes: int = Field(MAX_BYTES, gt=0)  # of memory, to read one file
    max_decodes: int = Field(2, gt=0)  # files read at once, and searches by file
    max_wait: float = Field(20.0, gt=0)  # seconds that a search by file waits for its turn
    max_text: int = Field(1_000, gt=0)  # characters of a search
    max_queued_jobs: int = Field(8, gt=0)
    upload_rate: str = "120/minute"  # from one address
    milvus_timeout: float = Field(10.0, gt=0)  # seconds
    pace: float = Field(0.2, gt=0)  # seconds between two messages to a watcher of a load
    send_timeout: float = Field(5.0, gt=0)  # seconds until a watcher that does not read is dropped

    @field_validator("upload_rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        parse(rate)
        return rate
