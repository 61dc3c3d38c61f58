"""Make data/molecules: the structures of B3DB, with a label, a name and a scaffold each.

    python tools/build_molecules.py FOLDER    write the tables; FOLDER gets the package, if it has not got it
    python tools/build_molecules.py --check   compare the committed files with molecules.json, write nothing

Needs pip and the network unless it only checks. B3DB (Meng, Xi, Huang & Ayers, Scientific Data 8, 2021) says of
7,807 rows whether a drug passes from the blood into the brain. What is done to it: data/README.md.
"""

import csv
import gzip
import io
import re
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

from committed import arguments, described, package, write_table

from workshop.drugs import MOLECULES
from workshop.molecules import MoleculeError, canonical, read, scaffold

WHEEL = "qc_b3db-1.1.1-py3-none-any.whl"
PACKAGE = "qc-B3DB==1.1.1"
SHA256 = "c929f601951e4b0ed56326c94d2cdc2f6b0c24711fbc1e0d7f67e88e330fc959"
TABLE = "B3DB/B3DB_classification.tsv"
FILES = MOLECULES / "molecules.json"
MAX_ATOMS = 1_000
WRONG_FROM = 10**8  # CIDs from which on many rows carry the name of another substance
# Numbers of databases are no names. For some of CAS, by which B3DB calls drugs, people's names stand below.
NUMBER = re.compile(r"\d+-\d\d-\d|(s?chembl|zinc|unii-|mls|nsc|akos|ncgc|mcule-|bdbm)[- ]?\w*\d.*")
CAS = {
    "50-48-6": "amitriptyline",
    "50-53-3": "chlorpromazine",
    "50-78-2": "aspirin",
    "58-08-2": "caffeine",
    "117-89-5": "trifluoperazine",
    "151-83-7": "methohexital",
    "494-97-3": "nornicotine",
    "1088-11-5": "nordazepam",
    "1622-62-4": "flunitrazepam",
    "7439-90-9": "krypton",
    "7439-93-2": "lithium",
    "7440-01-9": "neon",
    "7440-63-3": "xenon",
    "22316-47-8": "clobazam",
    "28911-01-5": "triazolam",
    "71963-77-4": "artemether",
    "78755-81-4": "flumazenil",
    "129618-40-2": "nevirapine",
    "174484-81-2": "tipranavir",
    "209860-87-7": "tafluprost",
    "224452-66-8": "retapamulin",
    "394730-60-0": "boceprevir",
}
LONGEST_NAME = 80  # longer ones are systematic names, which say no more than the SMILES


def fetch(folder: Path) -> list[dict[str, str]]:
    """The rows of B3DB, out of its package."""
    path = package(folder, WHEEL, f"pip download --no-deps {PACKAGE}", SHA256)
    with zipfile.ZipFile(path) as wheel:
        text = wheel.read(TABLE).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def name_of(rows: list[dict[str, str]]) -> str:
    """The name that most rows of a structure give, of several the plainest; empty if none is good."""
    given = Counter()
    for row in rows:
        name = " ".join(row["compound_name"].lower().split())
        name = CAS.get(name, name)
        number = float(row["CID"] or 0)
        is_name = name and len(name) <= LONGEST_NAME and not NUMBER.fullmatch(name)
        if is_name and number < WRONG_FROM:
            given[name] += 1
    if not given:
        return ""
    return min(given, key=lambda n: (bool(re.search(r"\d", n)), -given[n], len(n), n))


def build(folder: Path) -> None:
    """Write the two tables."""
    source = fetch(folder)
    by_structure: dict[str, list[dict[str, str]]] = defaultdict(list)
    every, mols, refused = [], {}, []
    for row in source:
        try:
            mol = read(row["SMILES"], f"Row {row['NO.']}", MAX_ATOMS)
        except MoleculeError as error:
            refused.append(str(error))
            continue
        structure = canonical(mol)
        mols[structure] = mol
        by_structure[structure].append(row)
        every.append((row["NO."], row["BBB+/BBB-"], structure))
    print(f"{len(source):,} rows, {len(by_structure):,} structures", *refused, sep="\n  ")

    kept = {
        structure: rows
        for structure, rows in sorted(by_structure.items())
        if len({row["BBB+/BBB-"] for row in rows}) == 1
    }
    names = {structure: name_of(rows) for structure, rows in kept.items()}
    claimed = defaultdict(list)
    for structure, name in names.items():
        claimed[name].append(structure)
    for structures in claimed.values():
        # of several structures with one name, that with most rows has it
        for structure in sorted(structures, key=lambda s: (-len(kept[s]), s))[1:]:
            names[structure] = ""
    twice = sum(len(s) - 1 for name, s in claimed.items() if name)
    named = sum(map(bool, names.values()))
    print(
        f"{len(by_structure) - len(kept)} with both labels dropped, {len(kept):,} kept, {named:,} named, "
        f"{twice} names taken away that another structure has too"
    )
    table = [
        (s, names[s], rows[0]["BBB+/BBB-"], scaffold(mols[s]), len(rows))
        for s, rows in kept.items()
    ]
    print(len({row[3] for row in table}), "scaffolds")
    MOLECULES.mkdir(parents=True, exist_ok=True)
    write("drugs.csv.gz", ("smiles", "name", "label", "scaffold", "rows"), table)
    write("rows.csv.gz", ("number", "label", "structure"), every)


def write(name: str, columns: tuple, table: list[tuple]) -> None:
    """A table as gzipped CSV, the same bytes for the same rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(table)
    packed = gzip.compress(text.getvalue().encode("utf-8"), compresslevel=9, mtime=0)
    (MOLECULES / name).write_bytes(packed)


def describe() -> None:
    """Write what each file of data/molecules is, with its checksum."""
    about = {"source": f"{PACKAGE} on PyPI, {TABLE}", "licence": "CC0-1.0"}
    files = {p.name: described(p.read_bytes(), **about) for p in sorted(MOLECULES.glob("*.gz"))}
    write_table(FILES, {"files": files})


if __name__ == "__main__":
    build(arguments(__doc__, FILES).folder)
    describe()
