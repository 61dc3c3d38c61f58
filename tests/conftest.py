"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _not_the_learners_home(tmp_path_factory: pytest.TempPathFactory):
    """No test touches the learner's own progress or databases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("MPLBACKEND", "Agg")
        patch.delenv("JPY_SESSION_NAME", raising=False)
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty WORKSHOP_HOME for one test."""
    folder = tmp_path / "workshop-home"
    monkeypatch.setitem(os.environ, "WORKSHOP_HOME", str(folder))
    return folder
