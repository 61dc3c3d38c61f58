"""A service's connection to Milvus, made anew after a write that failed.

Milvus Lite keeps rows in a log until they are flushed. After half a record that a full disk left in
the log it reads no other; and a flush that fails takes the rows out of sight, and the next one that
succeeds removes their log. Opened again at once it has all that was acknowledged.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from workshop import connect
from workshop.errors import WorkshopError
from workshop.milvus import lite_place, open_lite

log = logging.getLogger(__name__)


class Connection:
    """The place `workshop.connect(name)`, for any number of threads.

    Raises WorkshopError if Milvus cannot be opened, later MilvusException.
    """

    def __init__(self, name: str) -> None:
        self._client: MilvusClient | None = connect(name, fresh=False)
        self._file = lite_place(self._client)  # a server minds its own log
        self._gate = threading.Condition()
        self._inside = 0  # threads that use the client
        self._torn = False  # a write has failed since it was opened

    @contextmanager
    def reading(self) -> Iterator[MilvusClient]:
        """A client for as long as the block lasts."""
        with self._gate:
            if self._torn:
                self._reopen()
            client = self._client
            self._inside += 1
        try:
            yield client
        finally:
            with self._gate:
                self._inside -= 1
                self._gate.notify_all()

    @contextmanager
    def writing(self) -> Iterator[MilvusClient]:
        """The same, for a block that writes: if it fails, what was acknowledged stays in sight."""
        try:
            with self.reading() as client:
                yield client
        except Exception:
            if self._file is None:
                raise
            with self._gate:
                self._torn = True
                try:
                    self._reopen()
                except MilvusException as error:
                    log.error("%s", error.message)
            raise

    def _reopen(self) -> None:
        """With the gate held, which lets nobody in; wait for those inside to leave."""
        self._gate.wait_for(lambda: self._inside == 0)
        if not self._torn:  # another thread has done it meanwhile
            return
        if self._client is not None:
            self._client.close()
            self._client = None
        try:
            self._client = open_lite(*self._file)
        except WorkshopError as error:
            raise MilvusException(message=str(error)) from error
        self._torn = False

    def close(self) -> None:
        """Give the connection back."""
        with self._gate:
            self._gate.wait_for(lambda: self._inside == 0)
            if self._client is not None:
                self._client.close()
