"""The board of a room as tests run it, and the learner's side of it in a home of its own."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app_snippets.board import Board
from app_snippets.room import Settings, create_app, open_board
from workshop import launch

PATIENCE = 300  # seconds, on a busy machine, where a passing test does not wait


@dataclass
class Served:
    """A board that answers, and what came in as bodies of requests."""

    board: Board
    url: str
    client: httpx.Client
    bodies: bytearray

    @property
    def secret(self) -> dict[str, str]:
        """What the instructor sends along."""
        return bearer(self.board.secret)

    def join(self, name: str = "", **more: Any) -> dict[str, str]:
        """A new learner: what it sends along."""
        answer = self.client.post("join", json={"code": self.board.code, "name": name, **more})
        assert answer.status_code == 201, answer.text
        return bearer(answer.json()["token"])

    def tell(self, learner: dict[str, str], *events: dict[str, Any]) -> httpx.Response:
        return self.client.post("events", json={"events": events}, headers=learner)

    def seen(self) -> dict[str, Any]:
        """What the instructor sees."""
        return json.loads(self.board.instructor())["room"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def served(folder: Path, port: int = 0, **settings: Any) -> Iterator[Served]:
    """The board with its file in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "WORKSHOP_HOME", str(folder))
        made = Settings(**settings)
        board = open_board(made)
    app, bodies = create_app(made, board), bytearray()

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def noted() -> Any:
            message = await receive()
            bodies.extend(message.get("body") or b"")
            return message

        await app(scope, noted, send)

    with (
        closing(board),
        launch(watched, name=str(folder), port=port, timeout=PATIENCE) as running,
        httpx.Client(base_url=running.url, timeout=PATIENCE) as client,
    ):
        yield Served(board, running.url, client, bodies)


def until(true: Callable[[], Any]) -> Any:
    """What it says once that is true."""
    end = time.monotonic() + PATIENCE
    while not (said := true()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)
    return said
