"""Small files that would cost much to read, and a reader of others."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from workshop.errors import WorkshopError


def chunk(kind: bytes, body: bytes, damage: int = 0) -> bytes:
    """A chunk of a PNG; with damage its checksum is wrong."""
    check = zlib.crc32(kind + body) ^ damage
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def many_scans(scans: int, side: int = 64) -> bytes:
    """A progressive JPEG that goes over its pixels so many times, with 10 bytes each time."""
    jpeg = b"\xff\xd8\xff\xdb" + struct.pack(">H", 67) + b"\0" + b"\1" * 64
    jpeg += b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, side, side, 1) + bytes([1, 0x11, 0])
    for table in (0, 0x10):
        jpeg += b"\xff\xc4" + struct.pack(">H", 20) + bytes([table, 1, *[0] * 15, 0])
    jpeg += b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, 0, 0, 1]) + b"\0\0"
    scan = b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, 1, 63, 2]) + b"\0"
    return jpeg + scan * (scans - 1) + b"\xff\xd9"


def flat_png(side: int) -> bytes:
    """A PNG of one colour with transparency: 4 bytes of memory a pixel for next to nothing."""
    pack = zlib.compressobj(9)
    rows = b"".join(pack.compress(bytes(1 + 4 * side)) for _ in range(side)) + pack.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


NEVER = many_scans(100_000, 7_000)  # takes minutes, where nothing limits the scans


def parts(content: bytes, name: str, stop_at: str = "!") -> Iterator[dict[str, object]]:
    """For a FileReader: the numbers of each line; a line of `stop_at` cannot be read."""
    for number, line in enumerate(content.decode().splitlines(), start=1):
        if line == stop_at:
            raise WorkshopError(f"{name}, line {number}: it ends here.")
        if line == "forever":
            while True:
                pass
        numbers = np.array(line.split(), float)
        yield {"line": number, "numbers": numbers, "pairs": np.outer(numbers, numbers)}
