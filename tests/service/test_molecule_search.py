"""What the molecule search alone does: exact Tanimoto, drawings, and files of molecules."""

from xml.etree import ElementTree

import numpy as np
import pytest
from services import assert_problem

from workshop import drugs, molecules

pytestmark = pytest.mark.service("molecule_search")
DRUGS = drugs.drugs()
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
FINGERPRINTS = {"morgan": molecules.morgan, "maccs": molecules.maccs}
SAFE = {"svg", "path", "rect", "ellipse", "polygon", "text", "tspan", "g", "line", "circle"}


def truth(mode: str, smiles: str) -> np.ndarray:
    """Tanimoto of a molecule with each drug, by brute force."""
    bits = FINGERPRINTS[mode]
    return molecules.tanimoto(bits([molecules.read(smiles)])[0], bits([d.mol for d in DRUGS]))


def item(loaded, smiles: str) -> str:
    """The id of the drug with that SMILES."""
    (hit, *_) = loaded.hits(text=smiles, limit=1)
    assert hit["payload"]["text"] == smiles
    return hit["id"]


@pytest.mark.on_server
@pytest.mark.parametrize("mode", FINGERPRINTS)
def test_hits_are_those_of_brute_force(loaded, mode):
    bits = FINGERPRINTS[mode]([drug.mol for drug in DRUGS])
    for row in range(0, len(DRUGS), 200):
        hits = loaded.hits(text=DRUGS[row].smiles, mode=mode, limit=20)
        best = np.sort(molecules.tanimoto(bits[row], bits))[::-1][:20]
        assert [hit["score"] for hit in hits] == pytest.approx(best, abs=1e-9)


@pytest.mark.on_server
@pytest.mark.parametrize("at_least", [0.3, 0.5])
def test_a_range_search_loses_nothing(loaded, at_least):
    smiles = DRUGS[700].smiles
    query = {"at_least": at_least, "mode": "maccs"}
    answer = loaded.client.get(f"items/{item(loaded, smiles)}/similar", params=query).json()
    scores = truth("maccs", smiles)
    wanted = {d.smiles for d, s in zip(DRUGS, scores, strict=True) if s >= at_least} - {smiles}
    assert {hit["payload"]["text"] for hit in answer["hits"]} == wanted and len(wanted) > 20
    assert answer["complete"]


def test_a_salt_written_in_another_way_is_the_same_molecule(loaded):
    salt = "[Na+].O=C([O-])c1ccccc1OC(C)=O"
    assert loaded.hits(text=salt) == loaded.hits(text=ASPIRIN)
    file = {"file": ("mine.smi", salt.encode())}
    found = loaded.client.post("search/file", files=file).json()["hits"]
    assert found == loaded.hits(text=ASPIRIN)


def test_what_is_no_smiles_is_taken_as_a_name_and_says_why(loaded):
    (hit, *_) = loaded.hits(text="Diazepam")
    assert hit["payload"]["name"] == "diazepam" and hit["by"] == "name"
    (hit, *_) = loaded.hits(text="C1CCC(=O)CC")
    assert hit["by"] == "name" and "ring bond 1 is opened and not closed" in hit["note"]


def test_a_drawing_has_the_shared_part_in_orange_and_no_script(loaded):
    path = f"items/{item(loaded, molecules.canonical(molecules.read(ASPIRIN)))}/drawing"
    plain = loaded.client.get(path)
    lit = loaded.client.get(path, params={"like": "OC(=O)c1ccccc1OC(=O)CC"})
    for answer in (plain, lit):
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "script-src" not in answer.headers["content-security-policy"]
        nodes = list(ElementTree.fromstring(answer.text).iter())
        assert {node.tag.rpartition("}")[2] for node in nodes} <= SAFE
        assert not [k for node in nodes for k in node.attrib if k.startswith("on") or "href" in k]
    assert "#E59E00" in lit.text and "#E59E00" not in plain.text
    assert_problem(loaded.client.get(path, params={"like": "C1CC"}), 422, "ring bond 1")
    assert_problem(loaded.client.get("items/nobody/drawing"), 404, "nobody")


LONG = "C" * 10_000
SDF = f"{molecules.Chem.MolToMolBlock(molecules.read(ASPIRIN))}$$$$\n"


@pytest.mark.parametrize(
    "name, content, good, told",
    [
        (
            "mine.smi",
            f"{ASPIRIN} aspirin\nC1CC broken\n{LONG} long\nc1ccccc1C.CCCCc1ccncc1 two\nCCO ethanol\n",
            {"aspirin", "ethanol"},
            {2: "ring bond 1", 3: "10,000", 4: "2 molecules in one"},
        ),
        (
            "mine.csv",
            f"smiles,name,category\n{ASPIRIN},aspirin,pain\n,nothing,\nC(C)(C)(C)(C)C,five,\nCCO,no,<b>\n",
            {"aspirin"},
            {3: "empty", 4: "too many", 5: "does not fit"},
        ),
        ("mine.sdf", f"a{SDF}{SDF[:200]}", {"a"}, {2: "cut off"}),
    ],
)
def test_bad_rows_are_told_by_number_and_the_others_go_in(loaded, name, content, good, told):
    job = loaded.load([(name, content.encode())], category="trial")
    found = [
        item
        for category in ("trial", "pain")
        for item in loaded.client.get("items", params={"category": category}).json()["items"]
    ]
    for one in found:
        loaded.client.delete(f"items/{one['id']}")
    assert {one["payload"]["name"] for one in found} == good
    assert {failure["row"] for failure in job["failed"]} == set(told)
    for failure in job["failed"]:
        assert told[failure["row"]] in failure["reason"]


def test_a_file_that_takes_too_long_is_ended_and_the_service_goes_on(start):
    service = start(max_decode_seconds=0.3)
    slow = "\n".join(drug.smiles for drug in DRUGS[:3_000]).encode()
    job = service.load([("slow.smi", slow), ("good.smi", ASPIRIN.encode())])
    assert job["done"] == 1 and service.count() == 1
    assert "max_decode_seconds" in job["failed"][0]["reason"]


def test_a_file_of_several_is_no_question(loaded):
    file = {"file": ("two.smi", b"CCO\nCCN\n")}
    assert_problem(loaded.client.post("search/file", files=file), 415, "two.smi has several")
