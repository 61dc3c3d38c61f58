"""Molecules: read, made comparable, turned into bits, compared exactly, drawn.

A molecule is RDKit's `Mol`. It comes in as SMILES, a line of text such as `CCO` for ethanol, or in a
file of many. `standardised` makes one `Mol` of all the ways in which people write a molecule down.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rdkit import Chem, DataStructs
from rdkit.Chem import Crippen, Descriptors, rdFingerprintGenerator, rdMolDescriptors
from rdkit.Chem.Draw import rdMolDraw2D
from rdkit.Chem.MolStandardize import rdMolStandardize
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.rdBase import BlockLogs

from workshop.errors import TooLarge, WorkshopError

MAX_ATOMS = 300  # without hydrogens; the largest drug of B3DB has 136
MAX_LENGTH = 2_000  # characters of one SMILES
MORGAN_BITS = 2048
MACCS_BITS = 166
RADIUS = 2  # bonds that a Morgan fingerprint looks around each atom
LIT = (0.90, 0.62, 0.0)  # orange of the course's pictures: the part that two molecules share

# What comes with a drug in its salt and is none: uncharged, without stereo
_SALT_PARTS = """
    Cl Br I F O N [Na+] [K+] [Li+] [Ca+2] [Mg+2] [Zn+2] [Al+3] [Bi+3] [Na] [K] [Li] [Ca] [Mg] [Zn]
    [H+] [Cl-] [Br-] [I-] [OH-] F[P-](F)(F)(F)(F)F CO CCO CC(C)O CC(C)=O CS(C)=O ClCCl O=CO CC(=O)O O=C(O)C(=O)O O=C(O)CC(=O)O O=C(O)C=CC(=O)O
    O=C(O)CCC(=O)O O=C(O)CC(O)C(=O)O O=C(O)C(O)C(O)C(=O)O O=C(O)CC(O)(CC(=O)O)C(=O)O CC(O)C(=O)O
    O=C(O)C(F)(F)F CS(=O)(=O)O Cc1ccc(S(=O)(=O)O)cc1 O=S(=O)(O)c1ccccc1 O=S(=O)(O)O O=P(O)(O)O
    O=[N+]([O-])O [O-][Cl+3]([O-])([O-])O F[B-](F)(F)F CNCC(O)C(O)C(O)C(O)CO OCC(N)(CO)CO
"""
with BlockLogs():
    COMPANIONS = frozenset(map(Chem.CanonSmiles, _SALT_PARTS.split()))


class MoleculeError(WorkshopError):
    """What was given is no molecule that is read here; the message says why and what to do."""


class MoleculeTooLarge(MoleculeError, TooLarge):
    """A molecule with more atoms, or a SMILES with more characters, than is read here."""


# ------------------------------------------------------------------------------ reading one


def parse(smiles: str, name: str = "The SMILES", max_atoms: int = MAX_ATOMS) -> Chem.Mol:
    """The molecule that a SMILES describes, as it is written.

    smiles     such as "CC(=O)Oc1ccccc1C(=O)O"; what follows a space is not read
    name       what an error calls it: "Row 7", or a file
    max_atoms  without hydrogens

    Raises MoleculeTooLarge, or MoleculeError for what is empty, cannot be read, or cannot exist: an
    atom with too many bonds, a ring that cannot be aromatic.
    """
    text = smiles.split(maxsplit=1)[0] if smiles.split() else ""
    if not text:
        raise MoleculeError(f"{name} is empty. Write a molecule in SMILES, such as CCO.")
    if len(text) > max(MAX_LENGTH, 8 * max_atoms):
        raise MoleculeTooLarge(
            f"{name} has {len(text):,} characters; {max(MAX_LENGTH, 8 * max_atoms):,} at most are "
            "read. Send a smaller molecule."
        )
    with BlockLogs():
        mol = Chem.MolFromSmiles(text, _AS_WRITTEN) if text.isascii() else None
    if mol is None:
        raise MoleculeError(
            f"{name}, {_shown(text)}, is no SMILES: {_why(text)} Correct it, or draw the molecule."
        )
    return sound(mol, f"{name}, {_shown(text)},", max_atoms)


_AS_WRITTEN = Chem.SmilesParserParams()
_AS_WRITTEN.sanitize = False
_AS_WRITTEN.removeHs = False
_AS_WRITTEN.allowCXSMILES = False


def sound(mol: Chem.Mol, name: str, max_atoms: int = MAX_ATOMS) -> Chem.Mol:
    """A molecule of any source, checked and with its aromatic rings found; errors as in `parse`."""
    atoms = sum(atom.GetAtomicNum() > 1 for atom in mol.GetAtoms())
    if atoms > max_atoms:
        raise MoleculeTooLarge(
            f"{name} has {atoms:,} atoms without hydrogens; {max_atoms} at most are read. "
            "Send a smaller molecule."
        )
    if not atoms and all(atom.GetAtomicNum() for atom in mol.GetAtoms()):
        raise MoleculeError(
            f"{name} has no atom, or hydrogens alone. Write a molecule in SMILES, such as CCO."
        )
    if any(not atom.GetAtomicNum() or atom.HasQuery() for atom in mol.GetAtoms()):
        raise MoleculeError(
            f"{name} has an atom that stands for any (* or a query). Say which atom it is."
        )
    if any(bond.HasQuery() or bond.GetBondType() in _NO_BOND for bond in mol.GetBonds()):
        raise MoleculeError(f"{name} has a bond that stands for any (~). Say which bond it is.")
    with BlockLogs():
        if problems := Chem.DetectChemistryProblems(mol):
            raise MoleculeError(f"{name} is no possible molecule: {_problem(mol, problems[0])}")
        try:
            Chem.SanitizeMol(mol)
        except Chem.MolSanitizeException as error:  # what is seen only when rings are looked at
            problem = _problem(mol, error.cause)
            raise MoleculeError(f"{name} is no possible molecule: {problem}") from None
        if any(
            bond.GetBondType() == Chem.BondType.AROMATIC and not bond.IsInRing()
            for bond in mol.GetBonds()
        ):
            raise MoleculeError(f"{name} is no possible molecule: an aromatic bond is in no ring.")
        return Chem.RemoveHs(mol)


_NO_BOND = (Chem.BondType.UNSPECIFIED, Chem.BondType.ZERO, Chem.BondType.OTHER)


def _shown(text: str) -> str:
    shown = text if len(text) <= 40 else f"{text[:39]}…"
    return "".join(c if c.isprintable() else "�" for c in shown)


def _why(text: str) -> str:
    """What is wrong in a SMILES that cannot be read, as far as a look at its signs tells."""
    strange = re.search(r"[^A-Za-z0-9@+\-\[\]()=#$:/\\.%*~<>&]", text)
    if strange:
        return f"{_shown(strange[0])!r} does not occur in one."
    if ">" in text:
        return "it is a reaction, with > between its parts."
    bare = re.sub(r"\[[^\[\]]*\]", "*", text)
    if "[" in bare or "]" in bare:
        return "a square bracket lacks its partner."
    if bare.count("(") != bare.count(")"):
        return "a bracket lacks its partner."
    digits = re.findall(r"%\d\d|\d", bare)
    odd = [digit for digit in dict.fromkeys(digits) if digits.count(digit) % 2]
    if odd:
        return f"the ring bond {odd[0]} is opened and not closed."
    unknown = re.search(r"[^BCNOPSFIbcnops()=#$:/\\.%\d*\-~lr]", bare)
    if unknown:
        return f"{unknown[0]!r} is no atom that may stand without square brackets."
    return "RDKit cannot read it."


def _problem(mol: Chem.Mol, problem: Any) -> str:
    if problem.GetType() == "AtomValenceException":
        atom = mol.GetAtomWithIdx(problem.GetAtomIdx())
        bonds = int(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))
        return (
            f"its atom {atom.GetIdx() + 1}, {atom.GetSymbol()}, has {bonds} bonds, which are too many. "
            "Take one away, or give the atom its charge."
        )
    if problem.GetType() == "AtomKekulizeException":
        return (
            "an atom outside of any ring is written in small letters, as aromatic. Write it large."
        )
    if problem.GetType() == "KekulizeException":
        return (
            "double bonds cannot be placed in a ring that is written as aromatic, in small letters. "
            "Often a nitrogen lacks its hydrogen: write [nH]."
        )
    return f"{problem.Message().rstrip('.')}."


# ------------------------------------------------------------------------------ one form of each


def standardised(mol: Chem.Mol, name: str = "The molecule") -> Chem.Mol:
    """One form for all ways to write a molecule: no salt, no charge where possible, no stereo.

    Groups that can be written in several ways are written in RDKit's, `COMPANIONS` are taken away,
    and isotopes and stereo are forgotten. Tautomers stay apart.

    Raises MoleculeError if two different molecules are left, or none.
    """
    with BlockLogs():
        try:
            mol = rdMolStandardize.Cleanup(mol)
            for atom in mol.GetAtoms():
                atom.SetIsotope(0)
                atom.SetAtomMapNum(0)
            Chem.RemoveStereochemistry(mol)
            parts = {_uncharged(part) for part in Chem.GetMolFrags(mol, asMols=True)}
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise MoleculeError(f"{name} cannot be brought into one form: {reason}.") from None
    if len(parts) > 1:
        parts = parts - COMPANIONS
    if len(parts) != 1:
        listed = " and ".join(_shown(part) for part in sorted(parts, key=len, reverse=True)[:2])
        raise MoleculeError(
            f"{name} is {len(parts)} molecules in one, {listed}. Send each by itself."
            if parts
            else f"{name} is a salt of small parts alone, with no molecule to compare."
        )
    return Chem.MolFromSmiles(parts.pop())


def _uncharged(part: Chem.Mol) -> str:
    """SMILES of one part; it keeps its charge where it could not exist without."""
    for form in (rdMolStandardize.Uncharger().uncharge(part), part):
        # the canonical SMILES of what is read again: the first may differ by how it was written
        again = Chem.MolFromSmiles(Chem.MolToSmiles(form))
        if again is not None:  # PF6⁻ takes no proton
            return Chem.MolToSmiles(again)
    raise ValueError("RDKit does not read what it has written")


def read(smiles: str, name: str = "The SMILES", max_atoms: int = MAX_ATOMS) -> Chem.Mol:
    """`parse` and `standardised` in one: the molecule to compare. Errors as there."""
    return standardised(parse(smiles, name, max_atoms), name)


def canonical(mol: Chem.Mol) -> str:
    """The one SMILES that RDKit writes for a molecule, however it was written before."""
    return Chem.MolToSmiles(mol)


def scaffold(mol: Chem.Mol) -> str:
    """Its rings and what joins them, as SMILES (Bemis & Murcko 1996); empty if it has no ring."""
    return MurckoScaffold.MurckoScaffoldSmiles(mol=mol)


# ------------------------------------------------------------------------------ reading many


class Row(NamedTuple):
    """One row of a file: a molecule, or why it is none.

    number    of its line, from 1; in an SDF, of its record
    smiles    of the standardised molecule, or None
    name      as the file has it, or empty
    category  the same
    reason    why it is none: a sentence that names the row, or None
    """

    number: int
    smiles: str | None
    name: str = ""
    category: str = ""
    reason: str | None = None


def rows(content: bytes, name: str, max_atoms: int = MAX_ATOMS) -> Iterator[Row]:
    """The molecules of a file, row by row: SDF, CSV with a column `smiles`, or lines of SMILES.

    content    of the file; what it is it says itself, not its name
    name       of the file, for messages
    max_atoms  of each molecule, without hydrogens

    A line is a SMILES, then a space or tab, then a name. Empty lines, and lines that begin with #, are passed
    over. Raises MoleculeError if it is no text, or holds nothing.
    """
    try:
        text = content.decode(
            "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        )
    except UnicodeDecodeError:
        if b"\x00" in content or not _is_sdf(content.decode("latin-1")):
            raise MoleculeError(
                f"{name} is no text in UTF-8. Send an SDF, a CSV with a column smiles, or lines of SMILES."
            ) from None
        text = content.decode("latin-1")  # an old SDF with somebody's name in it
    if not text.strip():
        raise MoleculeError(f"{name} is empty. Send an SDF, a CSV, or lines of SMILES.")
    if _is_sdf(text):
        found = _sdf(text, max_atoms)
    elif "smiles" in _header(text):
        found = _csv(text, max_atoms)
    else:
        found = _lines(text, max_atoms)
    yield from found


def read_many(content: bytes, name: str, max_atoms: int = MAX_ATOMS) -> Iterator[dict[str, Any]]:
    """`rows` as dicts: what a `FileReader` runs in a process of its own."""
    return (row._asdict() for row in rows(content, name, max_atoms))


def _row(number: int, what: str, smiles: str, max_atoms: int, name: str, category: str) -> Row:
    try:
        mol = read(smiles, f"{what} {number}", max_atoms)
    except MoleculeError as error:
        return Row(number, None, name, category, str(error))
    return Row(number, canonical(mol), name, category)


def _lines(text: str, max_atoms: int) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            smiles, _, name = line.strip().partition("\t" if "\t" in line.strip() else " ")
            yield _row(number, "Row", smiles, max_atoms, name.strip(), "")


def _header(text: str) -> list[str]:
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    return [name.strip().strip('"').lower() for name in first.split(delimiter)]


def _csv(text: str, max_atoms: int) -> Iterator[Row]:
    first = text.lstrip("\r\n").partition("\n")[0]
    lines = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    columns: list[str] = []
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            number = lines.line_num
            yield Row(number, None, reason=f"Row {number} cannot be read as CSV ({error}).")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if not columns:
            columns = [cell.strip().lower() for cell in cells]
            continue
        values = dict(zip(columns, map(str.strip, cells), strict=False))
        about = [values.get(column, "") for column in ("name", "category")]
        yield _row(lines.line_num, "Row", values.get("smiles", ""), max_atoms, *about)


def _is_sdf(text: str) -> bool:
    return bool(re.search(r"^(M  END|\$\$\$\$)|V[23]000\s*$", text[:200_000], re.MULTILINE))


def _sdf(text: str, max_atoms: int) -> Iterator[Row]:
    records = re.split(r"^\$\$\$\$.*\n?", text, flags=re.MULTILINE)
    for number, record in enumerate(records, 1):
        last = number == len(records)
        if last and not record.strip():
            return
        block, end, about = record.partition("M  END")
        title = record.partition("\n")[0].strip()
        fields = dict(re.findall(r"^>[^<\n]*<([^>\n]*)>.*\n(.*)$", about, re.MULTILINE))
        values = {key.lower(): value.strip() for key, value in fields.items()}
        name, category = title or values.get("name", ""), values.get("category", "")
        if not end:
            why = "the file is cut off in it" if last else "it has no line M  END"
            reason = f"Record {number} is not whole: {why}. Send the file again."
            yield Row(number, None, name, category, reason)
            continue
        with BlockLogs():
            mol = Chem.MolFromMolBlock(f"{block}{end}\n", sanitize=False, removeHs=False)
        if mol is None:
            reason = f"Record {number} has a table of atoms and bonds that RDKit cannot read."
            yield Row(number, None, name, category, reason)
            continue
        try:
            whole = sound(mol, f"Record {number}", max_atoms)
            smiles = canonical(standardised(whole, f"Record {number}"))
        except MoleculeError as error:
            yield Row(number, None, name, category, str(error))
        else:
            yield Row(number, smiles, name, category)


# ------------------------------------------------------------------------------ fingerprints


_morgan = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=MORGAN_BITS)


def morgan(mols: Iterable[Chem.Mol]) -> np.ndarray:
    """A row of 2,048 bits for each molecule, (n, 2048) uint8 (Rogers & Hahn 2010, ECFP4).

    Each surrounding of an atom, up to two bonds wide, sets the bit that its hash names.
    """
    found = [_morgan.GetFingerprintAsNumPy(mol) for mol in mols]
    return np.array(found, np.uint8).reshape(-1, MORGAN_BITS)


def maccs(mols: Iterable[Chem.Mol]) -> np.ndarray:
    """A row of 166 bits for each molecule, (n, 166) uint8: answers to MACCS's questions.

    Each bit is a pattern that chemists chose, such as "a ring of four". A molecule may have none.
    """
    found = []
    for mol in mols:
        keys = np.zeros(0, np.uint8)
        DataStructs.ConvertToNumpyArray(rdMolDescriptors.GetMACCSKeysFingerprint(mol), keys)
        found.append(keys[1:])  # RDKit counts from 1
    return np.array(found, np.uint8).reshape(-1, MACCS_BITS)


def descriptors(mols: Iterable[Chem.Mol]) -> np.ndarray:
    """Three numbers for each molecule, (n, 3) float64: weight in daltons, logP, and polar surface in Å²."""
    found = [
        (Descriptors.MolWt(mol), Crippen.MolLogP(mol), rdMolDescriptors.CalcTPSA(mol))
        for mol in mols
    ]
    return np.array(found, np.float64).reshape(-1, 3)


def packed(bits: np.ndarray) -> list[bytes]:
    """Rows of bits (n, d) as Milvus's BINARY_VECTOR takes them: d / 8 bytes each; d a multiple of 8."""
    return [row.tobytes() for row in np.packbits(bits, axis=1)]


# ------------------------------------------------------------------------------ Tanimoto


def tanimoto(query: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Bits that both have, as a share of those that any of them has: (n,) float64, from 0 to 1.

    query  (d,) of 0 and 1
    bits   (n, d)

    Also called Jaccard similarity. Two rows without any bit get 0, as in RDKit.
    """
    # float32 counts exactly up to 2**24, and multiplies faster than integers do
    both = np.asarray(bits, np.float32) @ np.asarray(query, np.float32)
    any_of_both = bits.sum(axis=1, dtype=np.int64) + int(query.sum(dtype=np.int64)) - both
    return np.divide(both, any_of_both, out=np.zeros(len(bits)), where=any_of_both > 0)


class TanimotoIndex:
    """Rows of bits, ready to be compared with many queries: what is known of them is computed once.

    bits  (n, d) of 0 and 1; kept as (n, d) float32
    """

    def __init__(self, bits: np.ndarray) -> None:
        self.bits = np.ascontiguousarray(bits, np.float32)
        self.counts = self.bits.sum(axis=1)

    def scores(self, queries: np.ndarray) -> np.ndarray:
        """Tanimoto of each query, (q, d), with each row: (q, n) float32."""
        queries = np.asarray(queries, np.float32)
        both = queries @ self.bits.T
        any_of_both = queries.sum(axis=1)[:, None] + self.counts - both
        return np.divide(both, any_of_both, out=both, where=any_of_both > 0)


def nearest(scores: np.ndarray, k: int) -> np.ndarray:
    """The rows with the k highest scores, best first; of equals the first."""
    return np.argsort(-scores, kind="stable")[:k]


def tanimoto_from_cosine(
    cosine: np.ndarray | float, count: np.ndarray | int, other: np.ndarray | int
) -> np.ndarray | float:
    """The exact Tanimoto of two rows of bits, from their cosine and how many bits each has, 1 or more.

    cosine  as float32 has it: bits in common are cosine · √(count · other), a whole number to round to
    """
    both = np.rint(np.asarray(cosine, np.float64) * np.sqrt(np.multiply(count, other, dtype=float)))
    return both / (np.add(count, other) - both)


def radius(threshold: float) -> float:
    """The cosine that any two rows of bits have at least if their Tanimoto is `threshold` or more.

    Of a and b bits, c are in common. From c / (a + b - c) ≥ t follows c ≥ (a + b) · t / (1 + t), and since
    a + b ≥ 2√(ab), the cosine c / √(ab) is at least 2t / (1 + t). It is made smaller by 1e-6, for rounding.
    """
    if not 0 < threshold <= 1:
        raise WorkshopError(f"A Tanimoto threshold is above 0 and at most 1, not {threshold}.")
    return 2 * threshold / (1 + threshold) - 1e-6


def highest_tanimoto(cosine: float) -> float:
    """The highest Tanimoto that a cosine allows: `radius` turned round, c / (2 - c).

    If the worst candidate of a search by cosine has the cosine c, no molecule that is not among the
    candidates has a higher Tanimoto than this.
    """
    return (cosine + 1e-6) / (2 - cosine - 1e-6)


# ------------------------------------------------------------------------------ drawing


def surroundings(mol: Chem.Mol, bonds: int = RADIUS) -> dict[int, list[int]]:
    """The surroundings, just so many bonds wide, that set bits: unfolded hash -> atoms in their middle."""
    about = rdFingerprintGenerator.AdditionalOutput()
    about.AllocateBitInfoMap()
    _morgan.GetSparseFingerprint(mol, additionalOutput=about)
    found: dict[int, list[int]] = {}
    for bit, places in about.GetBitInfoMap().items():
        for atom, wide in places:
            if wide == bonds:
                found.setdefault(bit, []).append(atom)
    return found


def around(mol: Chem.Mol, atom: int, bonds: int = RADIUS) -> list[int]:
    """The atoms at most so many bonds away from an atom, itself among them; sorted."""
    distances = Chem.GetDistanceMatrix(mol)[atom]
    return np.flatnonzero(distances <= bonds).tolist()


def shared_atoms(mol: Chem.Mol, other: Chem.Mol) -> list[int]:
    """The atoms of `mol` inside a surrounding, two bonds wide, that `other` has too; sorted.

    Narrower surroundings are left out: nearly all drugs share those.
    """
    own, others = surroundings(mol), surroundings(other)
    middles = [middle for bit in own.keys() & others.keys() for middle in own[bit]]
    return sorted({atom for middle in middles for atom in around(mol, middle)})


def draw(mol: Chem.Mol, lit: Sequence[int] = (), width: int = 260, height: int = 200) -> str:
    """A drawing as SVG, the atoms of `lit` and the bonds between them in orange."""
    canvas = rdMolDraw2D.MolDraw2DSVG(width, height)
    return _drawn(canvas, mol, lit)


def picture(
    mol: Chem.Mol, lit: Sequence[int] = (), width: int = 260, height: int = 200
) -> Image.Image:
    """The same drawing in pixels."""
    canvas = rdMolDraw2D.MolDraw2DCairo(width, height)
    return Image.open(io.BytesIO(_drawn(canvas, mol, lit))).convert("RGB")


def _drawn(canvas: Any, mol: Chem.Mol, lit: Sequence[int]) -> Any:
    lit = [int(atom) for atom in lit]
    inside = set(lit)
    bonds = [
        bond.GetIdx()
        for bond in mol.GetBonds()
        if {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()} <= inside
    ]
    options = canvas.drawOptions()
    options.setHighlightColour(LIT)
    options.highlightBondWidthMultiplier = 14
    options.padding = 0.06
    options.useBWAtomPalette()  # coloured letters would not be seen on the orange
    with BlockLogs():
        rdMolDraw2D.PrepareAndDrawMolecule(
            canvas, mol, highlightAtoms=lit, highlightBonds=bonds, kekulize=True
        )
    canvas.FinishDrawing()
    return canvas.GetDrawingText()
