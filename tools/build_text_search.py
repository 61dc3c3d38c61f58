"""Keeps data/text_search: queries for the docstrings, and names judged by reading them.

    python tools/build_text_search.py           write text_search.json anew, after a change by hand
    python tools/build_text_search.py --check   compare the committed files with text_search.json

Queries and judgements are made by hand: data/README.md says by which rule.
"""

import csv
from collections import Counter

from committed import arguments, sha256, write_table

from workshop.paths import DATA

OUT = DATA / "text_search"
TABLE = OUT / "text_search.json"
FILES = ("queries.csv", "judgements.csv")


def build() -> None:
    """Write the table."""
    with (OUT / "judgements.csv").open(encoding="utf-8", newline="") as lines:
        grades = Counter(row["grade"] for row in csv.DictReader(lines))
    with (OUT / "queries.csv").open(encoding="utf-8", newline="") as lines:
        queries = sum(1 for _ in csv.DictReader(lines))
    table = {
        "source": "written and judged for this course; the names are those of data/vectors",
        "licence": "CC-BY-4.0",
        "queries": queries,
        "judgements": dict(sorted(grades.items())),
        "files": {name: sha256(OUT / name) for name in FILES},
    }
    write_table(TABLE, table)


if __name__ == "__main__":
    arguments(__doc__, TABLE, packages=False)
    build()
