"""A worker that shares a table of jobs with others: `python -m app_snippets.claims TABLE NAME`.

It claims one free job after the other and prints its number. One statement finds a free job and takes it,
so no two workers get the same: SQLite lets only one of them write at a time.
"""

import sqlite3
import sys

CLAIM = """
    UPDATE jobs SET worker = ?
    WHERE id = (SELECT id FROM jobs WHERE worker IS NULL LIMIT 1)
    RETURNING id
"""


def claim_all(path: str, name: str) -> None:
    """Claim jobs under a name until none is free."""
    table = sqlite3.connect(path, timeout=30, isolation_level=None)  # each statement is lasting
    while taken := table.execute(CLAIM, (name,)).fetchall():
        print(taken[0][0])


if __name__ == "__main__":
    claim_all(*sys.argv[1:])
