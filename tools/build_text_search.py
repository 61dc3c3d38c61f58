"""Keeps data/text_search: queries for the docstrings, and names judged by reading them.

    python tools/build_text_search.py           write text_search.json anew, after a change by hand
    python tools/build_text_search.py --check   compare the committed files with text_search.json

Queries and judgements are made by hand: data/README.md says by which rule.
"""

import argparse
import csv
import hashlib
import json
import sys
from collections import Counter

from workshop.paths import DATA

OUT = DATA / "text_search"
FILES = ("queries.csv", "judgements.csv")


def build() -> int:
    """Write the table; returns the exit code."""
    with (OUT / "judgements.csv").open(encoding="utf-8", newline="") as lines:
        grades = Counter(row["grade"] for row in csv.DictReader(lines))
    with (OUT / "queries.csv").open(encoding="utf-8", newline="") as lines:
        queries = sum(1 for _ in csv.DictReader(lines))
    table = {
        "source": "written and judged for this course; the names are those of data/vectors",
        "licence": "CC-BY-4.0",
        "queries": queries,
        "judgements": dict(sorted(grades.items())),
        "files": {name: hashlib.sha256((OUT / name).read_bytes()).hexdigest() for name in FILES},
    }
    (OUT / "text_search.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


def check() -> int:
    """Compare the files with their sha256; returns the exit code."""
    table = json.loads((OUT / "text_search.json").read_text(encoding="utf-8"))
    wrong = [
        name
        for name, expected in table["files"].items()
        if not (OUT / name).is_file()
        or hashlib.sha256((OUT / name).read_bytes()).hexdigest() != expected
    ]
    print(f"altered: {', '.join(wrong)}" if wrong else "data/text_search is as it was made")
    return bool(wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    sys.exit(check() if parser.parse_args().check else build())
