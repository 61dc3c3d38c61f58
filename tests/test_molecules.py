"""Molecules: what is read and what is refused, fingerprints, exact Tanimoto, and drawings."""

import numpy as np
import pytest
from pymilvus import DataType
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from workshop import connect, drugs, molecules, wait_for_index
from workshop.decoding import FileReader
from workshop.errors import WorkshopError
from workshop.molecules import (
    MoleculeError,
    MoleculeTooLarge,
    TanimotoIndex,
    canonical,
    draw,
    highest_tanimoto,
    maccs,
    morgan,
    nearest,
    packed,
    parse,
    radius,
    read,
    rows,
    scaffold,
    shared_atoms,
    tanimoto,
    tanimoto_from_cosine,
)

ASPIRIN, SALICYLIC = "CC(=O)Oc1ccccc1C(=O)O", "OC(=O)c1ccccc1O"


@pytest.fixture(scope="module")
def known():
    return drugs.drugs()


@pytest.fixture(scope="module")
def bits(known):
    return morgan(drug.mol for drug in known)


# ------------------------------------------------------------------------------ reading one


@pytest.mark.parametrize(
    "ways",
    [
        ("CCO", "OCC", "C(O)C", "[CH3][CH2][OH]", " CCO ethanol", "[13CH3]CO", "CCO.CCO"),
        (ASPIRIN, "OC(=O)C1=CC=CC=C1OC(C)=O", "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"),
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC([NH3+])C(=O)[O-]", "CC(N)C(=O)O.Cl"),
        ("O=[N+]([O-])c1ccccc1", "O=N(=O)c1ccccc1"),
        ("C/C=C/C", "C/C=C\\C", "CC=CC"),
    ],
)
def test_all_ways_to_write_a_molecule_become_one(ways):
    assert len({canonical(read(smiles)) for smiles in ways}) == 1


@pytest.mark.parametrize(
    ("smiles", "says"),
    [
        ("", "is empty. Write a molecule"),
        (" \n ", "is empty"),
        ("C1CC", "ring bond 1 is opened and not closed"),
        ("CC(C", "a bracket lacks its partner"),
        ("C[NH", "square bracket lacks its partner"),
        ("aspirin", "'a' is no atom"),
        ("CCé", "'é' does not occur"),
        ("CC>>CO", "is a reaction"),
        ("C\x00C", "does not occur"),
        ("C..C", "RDKit cannot read it"),
        ("CC(C)(C)(C)C", "its atom 2, C, has 5 bonds"),
        ("C[N+](C)(C)(C)C", "its atom 2, N, has 5 bonds"),
        ("c1cccc1", r"write \[nH\]"),
        ("cC", "outside of any ring"),
        ("C*", "stands for any"),
        ("C~C", r"a bond that stands for any \(~\)"),
        ("O=P1(N(CCCl)CCCl)~NCCCO1", r"a bond that stands for any \(~\)"),
        ("O=C(c1cccc(-c2ccc=o2)c1)N", "its atom 12, O, has 3 bonds"),
        ("CNCC1CCo1CC", "is no possible molecule"),
        ("[H+]", "hydrogens alone"),
        ("CCN.CCCCO", "is 2 molecules in one, CCCCO and CCN"),
        ("[Na+].[Cl-]", "salt of small parts alone"),
    ],
)
def test_what_is_no_molecule_is_told_why(smiles, says):
    with pytest.raises(MoleculeError, match=says) as told:
        read(smiles, "Row 7")
    assert str(told.value).startswith("Row 7")
    assert not isinstance(told.value, MoleculeTooLarge)


@pytest.mark.parametrize(
    ("smiles", "says"),
    [("C" * 10_000, "10,000 characters"), ("C" * 301, "301 atoms"), ("C(C)" * 200, "400 atoms")],
)
def test_what_is_too_large_is_told_so(smiles, says):
    with pytest.raises(MoleculeTooLarge, match=says):
        read(smiles)


def test_a_limit_can_be_set():
    assert read("C" * 301, max_atoms=400).GetNumAtoms() == 301
    with pytest.raises(MoleculeTooLarge, match="4 atoms without hydrogens; 3 at most"):
        read("CCCO", max_atoms=3)


def test_nothing_is_printed_about_a_molecule_that_cannot_be(capfd):
    for smiles in ("C1CC", "CC(C)(C)(C)C", "c1cccc1", "CCO"):
        with pytest.MonkeyPatch.context():
            try:
                read(smiles)
            except MoleculeError:
                continue
    assert capfd.readouterr() == ("", "")


def test_parse_keeps_what_standardised_takes_away():
    mol = parse("C[C@H](N)C(=O)[O-].[Na+]")
    assert canonical(mol) == "C[C@H](N)C(=O)[O-].[Na+]"


def test_scaffolds_are_rings_and_what_joins_them():
    assert scaffold(read("CCc1ccc(CC2CCNC2)cc1")) == "c1ccc(CC2CCNC2)cc1"
    assert scaffold(read("CCO")) == ""


# ------------------------------------------------------------------------------ reading many


def sdf(*mols: str) -> bytes:
    return "".join(
        f"{name}{Chem.MolToMolBlock(Chem.MolFromSmiles(smiles))}"
        f"> <category>\nkind of {name}\n\n$$$$\n"
        for name, smiles in (mol.split() for mol in mols)
    ).encode()


def test_an_sdf_is_read_record_by_record():
    one, two = rows(sdf("ethanol CCO", "aspirin " + ASPIRIN), "two.sdf")
    assert one == (1, "CCO", "ethanol", "kind of ethanol", None)
    assert (two.number, two.smiles) == (2, canonical(read(ASPIRIN)))


def test_an_sdf_that_is_cut_off_loses_its_last_record_only():
    whole = sdf("ethanol CCO", "aspirin " + ASPIRIN)
    for size in (len(sdf("ethanol CCO")) + 40, whole.rindex(b"M  END")):
        one, two = rows(whole[:size], "cut.sdf")
        assert one.smiles == "CCO"
        assert (two.number, two.smiles) == (2, None)
        assert "the file is cut off in it" in two.reason


def test_a_bad_record_of_an_sdf_is_told_by_its_number():
    good = sdf("ethanol CCO")
    no_table = b"broken\n\n\n  9  9  0\nM  END\n$$$$\n"
    many_bonds = good.replace(b"1  2  1", b"1  2  4").replace(b"2  3  1", b"2  3  4")
    got = list(rows(good + no_table + many_bonds + good, "some.sdf"))
    assert [row.smiles for row in got] == ["CCO", None, None, "CCO"]
    assert got[1].reason.startswith("Record 2 has a table")
    assert got[2].reason == "Record 3 is no possible molecule: an aromatic bond is in no ring."


@pytest.mark.parametrize(
    "content",
    [
        "CCO ethanol\n\n# a comment\nC1C ring\nCC\ttwo words\n",
        "smiles,name\nCCO,ethanol\n,\nC1C,ring\nCC,two words\n",
        "Name;SMILES\nethanol;CCO\n;\nring;C1C\n'two words;CC\n".replace("'", ""),
        "\ufeffname\tsmiles\nethanol\tCCO\n\t\nring\tC1C\ntwo words\tCC\n",
    ],
)
def test_lines_and_tables_are_read_and_bad_rows_told_by_number(content):
    got = list(rows(content.encode(), "some file"))
    assert [row.smiles for row in got] == ["CCO", None, "CC"]
    assert [row.name for row in got] == ["ethanol", "ring", "two words"]
    assert [row.number for row in got][1:] == [4, 5]
    assert got[1].reason.startswith("Row 4, C1C, is no SMILES")
    assert list(rows(content.replace("\ufeff", "").encode("utf-16"), "some file")) == got


def test_a_row_that_csv_cannot_hold_is_told_and_the_next_ones_are_read():
    long = "C" * 2_000_000  # the services raise the limit of csv
    got = list(rows(f"smiles,name\nCCO,a\n{long},b\nCC,c\n".encode(), "t.csv"))
    assert [row.smiles for row in got] == ["CCO", None, "CC"]
    assert got[1].reason.startswith("Row 3 cannot be read as CSV (field larger than")


def test_an_sdf_may_end_its_lines_as_windows_does():
    written = sdf("ethanol CCO", "methane C")
    assert list(rows(written.replace(b"\n", b"\r\n"), "w.sdf")) == list(rows(written, "w.sdf"))


def test_a_table_without_a_smiles_says_so_in_its_row():
    (row,) = rows(b"smiles,name,category\n,water,x\n", "t.csv")
    assert (row.number, row.name, row.category) == (2, "water", "x")
    assert row.reason.startswith("Row 2 is empty")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "is empty"), (b" \n\n", "is empty"), (b"\x89PNG\xff\x00", "no text")],
)
def test_a_file_of_no_molecules_is_refused(content, says):
    with pytest.raises(MoleculeError, match=f"m.sdf {says}|m.sdf is {says}"):
        list(rows(content, "m.sdf"))


def test_files_are_read_in_a_process_of_their_own():
    reader = FileReader("workshop.molecules:read_many", options={"max_atoms": 5}, kind="molecules")
    try:
        got = list(reader.stream(b"CCO ethanol\nCCCCCC\n", "two.smi"))
    finally:
        reader.close()
    assert got[0] == {
        "number": 1,
        "smiles": "CCO",
        "name": "ethanol",
        "category": "",
        "reason": None,
    }
    assert "6 atoms without hydrogens; 5 at most" in got[1]["reason"]


# ------------------------------------------------------------------------------ bits and Tanimoto


def test_fingerprints_are_those_of_rdkit():
    mols = [read(ASPIRIN), read(SALICYLIC), read("C")]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    for mol, row in zip(mols, morgan(mols), strict=True):
        assert np.flatnonzero(row).tolist() == list(generator.GetFingerprint(mol).GetOnBits())
    for mol, row in zip(mols, maccs(mols), strict=True):
        keys = rdMolDescriptors.GetMACCSKeysFingerprint(mol)
        assert (np.flatnonzero(row) + 1).tolist() == list(keys.GetOnBits())
    assert morgan([]).shape == (0, 2048) and maccs([]).shape == (0, 166)


def test_packed_bits_are_what_a_binary_vector_holds():
    table = np.zeros((2, 16), np.uint8)
    table[0, 0], table[1, 15] = 1, 1
    assert packed(table) == [b"\x80\x00", b"\x00\x01"]


def test_tanimoto_is_that_of_rdkit():
    mols = [read(s) for s in (ASPIRIN, SALICYLIC, "CCO", "c1ccccc1")]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(mol) for mol in mols]
    truth = DataStructs.BulkTanimotoSimilarity(prints[0], prints)
    table = morgan(mols)
    np.testing.assert_allclose(tanimoto(table[0], table), truth, rtol=1e-12)
    np.testing.assert_allclose(TanimotoIndex(table).scores(table[:1])[0], truth, rtol=1e-6)


def test_rows_without_bits_are_like_nothing():
    table = np.array([[0, 0, 0], [1, 0, 1]], np.uint8)
    assert tanimoto(table[0], table).tolist() == [0, 0]
    assert TanimotoIndex(table).scores(table).tolist() == [[0, 0], [0, 1]]


def test_tanimoto_comes_back_exactly_from_a_cosine_in_float32(bits):
    counts = bits.sum(axis=1, dtype=int)
    unit = bits / np.sqrt(counts)[:, None].astype(np.float32)
    cosine = unit[:100].astype(np.float32) @ unit.T.astype(np.float32)
    got = tanimoto_from_cosine(cosine, counts[:100, None], counts)
    truth = np.array([tanimoto(row, bits) for row in bits[:100]])
    assert (got == truth).all()


def test_no_pair_within_a_threshold_is_outside_of_its_radius(bits):
    scores = TanimotoIndex(bits).scores(bits[:500])
    counts = bits.sum(axis=1, dtype=int)
    both = bits[:500].astype(np.float32) @ bits.T.astype(np.float32)
    cosine = both / np.sqrt(counts[:500, None] * counts)
    for threshold in (0.2, 0.3, 0.5, 0.7, 1.0):
        assert (cosine[scores >= threshold] >= radius(threshold)).all()
    assert (scores <= highest_tanimoto(cosine)).all()


def test_the_radius_is_reached_by_rows_with_equally_many_bits():
    one, other = np.array([1, 1, 1, 0]), np.array([0, 1, 1, 1])
    assert tanimoto(one, other[None])[0] == 0.5
    assert radius(0.5) == pytest.approx(2 / 3, abs=1e-5)
    assert highest_tanimoto(2 / 3) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01])
def test_a_threshold_is_between_0_and_1(threshold):
    with pytest.raises(WorkshopError, match="above 0 and at most 1"):
        radius(threshold)


def test_of_equal_scores_the_first_row_is_nearer():
    assert nearest(np.array([0.1, 0.9, 0.5, 0.9]), 3).tolist() == [1, 3, 2]


# ------------------------------------------------------------------------------ drawings


def test_the_shared_part_is_what_both_have_two_bonds_wide():
    aspirin, salicylic = read(ASPIRIN), read(SALICYLIC)
    shared = shared_atoms(aspirin, salicylic)
    assert {aspirin.GetAtomWithIdx(atom).GetIsAromatic() for atom in shared} == {True, False}
    assert len(shared) < aspirin.GetNumAtoms()
    assert shared_atoms(aspirin, aspirin) == list(range(13))
    assert shared_atoms(aspirin, read("CCCCO")) == []


def test_less_than_a_tenth_of_a_random_pair_is_lit(known):
    rng = np.random.default_rng(1)
    lit, atoms = 0, 0
    for a, b in rng.integers(len(known), size=(200, 2)):
        mol = known[a].mol
        lit += len(shared_atoms(mol, known[b].mol))
        atoms += mol.GetNumAtoms()
    assert lit < 0.4 * atoms


def test_a_drawing_is_an_svg_with_the_shared_part_in_orange():
    mol = read(ASPIRIN)
    plain, lit = draw(mol), draw(mol, [0, 1, 2])
    assert plain.startswith("<?xml") and "</svg>" in plain
    assert "#E59E00" not in plain and "#E59E00" in lit
    assert molecules.picture(mol, [0, 1]).size == (260, 200)


# ------------------------------------------------------------------------------ B3DB


def test_the_drugs_are_standardised_and_told_once(known):
    assert len(known) == len({drug.smiles for drug in known}) == 3897
    for drug in known[::97]:
        assert canonical(read(drug.smiles, max_atoms=1000)) == drug.smiles
        assert scaffold(drug.mol) == drug.scaffold
    names = [drug.name for drug in known if drug.name]
    assert len(names) == len(set(names)) == 3028
    by_name = {drug.name: drug for drug in known}
    assert by_name["aspirin"].smiles == "CC(=O)Oc1ccccc1C(=O)O", "not its number of CAS"
    assert by_name["diazepam"].label == "BBB+" and by_name["atenolol"].label == "BBB−"


def test_raw_rows_hold_what_the_drugs_lack(known):
    raw = drugs.raw_rows()
    labels = {}
    for row in raw:
        labels.setdefault(row.structure, set()).add(row.passes)
    both = {structure for structure, found in labels.items() if len(found) == 2}
    assert (len(raw), len(labels), len(both)) == (7795, 4027, 130)
    assert {drug.smiles for drug in known} == labels.keys() - both
    assert sum(drug.rows for drug in known) == sum(row.structure not in both for row in raw)


def test_an_altered_file_is_named(tmp_path, monkeypatch):
    (tmp_path / "molecules.json").write_bytes((drugs.MOLECULES / "molecules.json").read_bytes())
    (tmp_path / "drugs.csv.gz").write_bytes(b"something else")
    monkeypatch.setattr(drugs, "MOLECULES", tmp_path)
    drugs._table.cache_clear()
    with pytest.raises(WorkshopError, match=r"is altered\. Put the committed files back"):
        drugs.drugs()
    drugs._table.cache_clear()
    with pytest.raises(WorkshopError, match="Cannot read"):
        drugs.raw_rows()
    drugs._table.cache_clear()


# ------------------------------------------------------------------------------ in Milvus


def fill(client, bits, kind, **index):
    """A collection of all bits, as floats or as bits, with how many each row has."""
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("count", DataType.INT64)
    schema.add_field("vector", kind, dim=molecules.MORGAN_BITS)
    params = client.prepare_index_params()
    params.add_index("vector", **index)
    client.create_collection(
        "drugs", schema=schema, index_params=params, consistency_level="Strong"
    )
    vectors = packed(bits) if kind == DataType.BINARY_VECTOR else bits.astype(np.float32).tolist()
    counts = bits.sum(axis=1, dtype=int).tolist()
    for start in range(0, len(bits), 1000):
        part = range(start, min(start + 1000, len(bits)))
        client.insert("drugs", [{"id": n, "count": counts[n], "vector": vectors[n]} for n in part])
    wait_for_index(client, "drugs")


def by_cosine(client, bits, sample, limit, **params):
    """For each of some rows the ids and exact Tanimoto of its hits, best first."""
    found = client.search(
        "drugs",
        data=bits[sample].astype(np.float32).tolist(),
        limit=limit,
        output_fields=["count"],
        search_params={"params": params},
    )
    for row, hits in zip(sample, found, strict=True):
        cosines = np.array([hit["distance"] for hit in hits])
        counts = np.array([hit["entity"]["count"] for hit in hits])
        exact = tanimoto_from_cosine(cosines, int(bits[row].sum()), counts)
        order = np.argsort(-exact, kind="stable")
        yield np.array([hit["id"] for hit in hits])[order], exact[order], cosines


@pytest.fixture(scope="module")
def sample(bits):
    return np.random.default_rng(7).choice(len(bits), 200, replace=False)


@pytest.fixture(scope="module")
def truth(bits, sample):
    return TanimotoIndex(bits).scores(bits[sample]).astype(float)


def test_candidates_by_cosine_ranked_again_lose_nothing_and_a_range_search_neither(
    bits, sample, truth, home
):
    client = connect("molecules_test")
    try:
        fill(client, bits, DataType.FLOAT_VECTOR, index_type="FLAT", metric_type="COSINE")
        best = -np.sort(-truth, axis=1)[:, :10]
        for row, (_, exact, cosines) in enumerate(by_cosine(client, bits, sample, 50)):
            np.testing.assert_allclose(exact[:10], best[row], atol=1e-6)
            assert exact[9] >= highest_tanimoto(cosines[-1])  # and that is proven
        for threshold in (0.3, 0.5, 0.7):
            searched = by_cosine(client, bits, sample[:8], 1000, radius=radius(threshold))
            for row, (ids, exact, _) in enumerate(searched):
                wanted = np.flatnonzero(truth[row] >= threshold)
                assert sorted(ids[exact >= threshold].tolist()) == wanted.tolist()
    finally:
        client.close()


def test_a_server_finds_the_same_by_jaccard(milvus_server, bits, sample, truth, home, monkeypatch):
    monkeypatch.setenv("MILVUS_URI", milvus_server)
    client = connect("molecules_test")
    try:
        fill(client, bits, DataType.BINARY_VECTOR, index_type="BIN_FLAT", metric_type="JACCARD")
        found = client.search("drugs", data=packed(bits[sample]), limit=10, output_fields=["id"])
        best = -np.sort(-truth, axis=1)[:, :10]
        for row, hits in enumerate(found):
            scores = [1 - hit["distance"] for hit in hits]
            np.testing.assert_allclose(scores, best[row], atol=1e-6)
            ids = [hit["id"] for hit in hits]
            np.testing.assert_allclose(truth[row, ids], scores, atol=1e-6)
        client.drop_collection("drugs")
    finally:
        client.close()
