"""What the scripts that make data/ share: packages that are meant, tables of files, and comparing with them.

A folder of data/ has a table with the sha256 of its files: in JSON, where `files` has them by name; or in CSV,
with the columns `file` and `sha256`.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def package(folder: Path, name: str, command: str, wanted: str) -> Path:
    """A file that a command fetches into the folder, if it is not there; only if its sha256 is the wanted one."""
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(command.split(), cwd=folder, check=True)
    if (found := sha256(path)) != wanted:
        raise SystemExit(
            f"{path} is not the file that the course was made of: its sha256 is {found}, and not {wanted}."
        )
    return path


def described(content: bytes, **about: Any) -> dict[str, Any]:
    """A file's entry in a JSON table: what is known of it, its size and its sha256."""
    return about | {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write_table(path: Path, table: dict[str, Any]) -> None:
    """A JSON table as it is committed."""
    path.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", "utf-8")


def put(table: Path, name: str, content: bytes, **about: Any) -> None:
    """Write a file beside its JSON table, and its entry; the entries of others stay."""
    table.with_name(name).write_bytes(content)
    kept = json.loads(table.read_text("utf-8"))["files"] if table.exists() else {}
    files = kept | {name: described(content, **about)}
    write_table(table, {"files": dict(sorted(files.items()))})
    print(f"{len(content) / 1e6:6.2f} MB  {name}")


def altered(table: Path, pattern: str = "*") -> list[str]:
    """A sentence for each file beside the table that is not as it says, by name; none when all is well.

    pattern   files that match it must be in the table
    """
    known = _known(table)
    here = {path.name for path in table.parent.glob(pattern)} - {table.name}
    problems = [f"{name}: not in the table" for name in here - set(known)]
    for name, wanted in known.items():
        path = table.parent / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif sha256(path) != wanted:
            problems.append(f"{name}: differs from the table's sha256")
    return sorted(problems)


def _known(table: Path) -> dict[str, str]:
    """Each file of a table to its sha256."""
    if table.suffix == ".csv":
        with table.open(encoding="utf-8", newline="") as file:
            return {row["file"]: row["sha256"] for row in csv.DictReader(file)}
    files = json.loads(table.read_text("utf-8"))["files"]
    return {
        name: about["sha256"] if isinstance(about, dict) else about for name, about in files.items()
    }


def arguments(
    doc: str,
    table: Path,
    pattern: str = "*",
    parts: Sequence[str] = (),
    packages: bool = True,
) -> argparse.Namespace:
    """The command line `[PART] [FOLDER]`, or `--check`, which compares with the table and ends here.

    parts      of which one is chosen, if there are several
    packages   whether there is a FOLDER, of the packages
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if parts:
        parser.add_argument("part", nargs="?", choices=parts)
    if packages:
        parser.add_argument("folder", type=Path, nargs="?", help="of the packages")
    parser.add_argument(
        "--check", action="store_true", help="compare with the table, write nothing"
    )
    options = parser.parse_args()
    if options.check:
        problems = altered(table, pattern)
        print("\n".join(problems) or f"{table.parent.name}: every file agrees with {table.name}")
        sys.exit(bool(problems))
    if packages and options.folder is None:
        parser.error("say what to make, if there is a choice, and where the packages are, or go")
    return options
