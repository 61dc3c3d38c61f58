"""Brings the newest version of the course, and loses nothing of a learner's: `make update`.

    python tools/course.py update

The course's files become those of the newest version, and never a conflict: what a learner changed
is first copied to a folder mine-DATE, which Git does not see, and commits stay in a branch of
their own. What was written into exercises is then put into the new notebooks. Like course.py:
only the standard library, and syntax of Python 3.6.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from course import ROOT, VENV, Stop, guarded, is_installed, is_whole

HEADING = re.compile(r"^#+ .*Your turn (\d+\.\d+)", re.M)
SECTION = re.compile(r"^##? ", re.M)
PLACEHOLDER = "your code here"
# a person's settings and hooks change neither what git says nor whether it goes on
OURS = (
    *("-c", f"core.hooksPath={os.devnull}", "-c", "color.ui=false"),
    *("-c", "log.showSignature=false", "-c", "submodule.recurse=false"),
)
UNFINISHED = ".unfinished"  # in a folder mine-DATE whose answers are not all in the notebooks yet


# ------------------------------------------------------------------------------------------- git


def git(*args: str, **options) -> str:
    """What a git command says; Stop with its own words if it fails."""
    done = run_git(*args, **options)
    if done.returncode:
        raise Stop(f"git {args[0]} stopped with: {words_of(done.stderr)}")
    return os.fsdecode(done.stdout)


def run_git(
    *args: str, index: "Path | None" = None, given: bytes = b""
) -> subprocess.CompletedProcess:
    """A git command, run in the course's folder; `index` stands in for git's own list of files."""
    env = {**os.environ, "LC_ALL": "C"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # of a hook that calls us
        env.pop(name, None)
    if index is not None:
        env["GIT_INDEX_FILE"] = str(index)
    try:
        return subprocess.run(  # noqa: UP022  (Python 3.6)
            ["git", *OURS, *args],
            cwd=str(ROOT),
            env=env,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        raise Stop("There is no git here: install it from git-scm.com and run again.") from None


def words_of(said: bytes) -> str:
    """The last line of git's that says something, of many."""
    lines = [line.strip() for line in os.fsdecode(said).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (told or lines or ["no word"])[0]


def names(*args: str, **options) -> list:
    """The paths that a git command lists with -z."""
    return [name for name in git(*args, **options).split("\0") if name]


def commit(name: str) -> str:
    """The commit of that name, or an empty string."""
    done = run_git("rev-parse", "--verify", "--quiet", name + "^{commit}")
    return os.fsdecode(done.stdout).strip()


def is_ancestor(old: str, new: str) -> bool:
    """Whether the commit `new` contains `old`."""
    return run_git("merge-base", "--is-ancestor", old, new).returncode == 0


def blobs(shas: list) -> dict:
    """The contents of git's objects, by name."""
    said = run_git("cat-file", "--batch", given="\n".join(shas).encode() + b"\n").stdout
    found, at = {}, 0
    for sha in shas:
        end = said.index(b"\n", at)
        head = said[at:end].split()
        at = end + 1
        if len(head) == 3:
            size = int(head[2])
            found[sha] = said[at : at + size]
            at += size + 1
    return found


class Tree:
    """The files of one commit: path to the name of its content."""

    def __init__(self, name: str) -> None:
        """Ask git; a commit of no name has no files."""
        self.files = {}
        for line in names("ls-tree", "-r", "-z", name) if name else []:
            about, _, path = line.partition("\t")
            if about.split()[1] == "blob":
                self.files[path] = about.split()[2]

    def notebooks(self) -> dict:
        """The chapters and other notebooks, by path, with their contents."""
        mine = {path: sha for path, sha in self.files.items() if path.endswith(".ipynb")}
        contents = blobs(sorted(set(mine.values()))) if mine else {}
        return {path: contents[sha] for path, sha in mine.items() if sha in contents}


# ------------------------------------------------------------------------ where the course is from


class Course:
    """The clone: where it is, and the newest version of what it follows."""

    def __init__(self) -> None:
        """Fetch; raise Stop, with nothing changed, if that cannot be."""
        top = run_git("rev-parse", "--show-toplevel")
        where = os.fsdecode(top.stdout).strip()
        if top.returncode and b"dubious ownership" in top.stderr:
            raise Stop(
                f"The folder {ROOT} belongs to somebody else, and git does not use such folders: "
                f"run `git config --global --add safe.directory {ROOT}` if you trust it."
            )
        if top.returncode or Path(where).resolve() != ROOT:
            raise Stop(
                "This folder was not made by `git clone`, so it cannot be updated: clone the "
                "course, and copy your notebooks and the folder .workshop into the new one."
            )
        self.folder = Path(git("rev-parse", "--absolute-git-dir").strip())
        self.head = commit("HEAD")
        if not self.head:
            raise Stop("This clone has no commit yet: clone the course again.")
        done = run_git("symbolic-ref", "--quiet", "--short", "HEAD")
        self.was_on = os.fsdecode(done.stdout).strip()
        self.remote, self.branch = self._follows()
        self.local = self.was_on if self.branch else ""
        self.known = commit(f"refs/remotes/{self.remote}/{self.branch}")
        self._fetch()

    def _follows(self) -> tuple:
        """The remote and its branch: those of the branch that we are on, or the remote's own."""
        remotes = git("remote").split()
        if not remotes:
            raise Stop("This clone has no remote to fetch from: `git remote add origin ADDRESS`.")
        if self.was_on:
            remote = os.fsdecode(run_git("config", f"branch.{self.was_on}.remote").stdout).strip()
            ref = os.fsdecode(run_git("config", f"branch.{self.was_on}.merge").stdout).strip()
            if remote in remotes and ref.startswith("refs/heads/"):
                return remote, ref[len("refs/heads/") :]
        return "origin" if "origin" in remotes else remotes[0], ""

    def _fetch(self) -> None:
        print(f"Fetching the newest version from {self.remote} ...", flush=True)
        gone = b"couldn't find remote ref"
        done = None
        if self.branch:
            done = run_git("fetch", "--quiet", self.remote, f"refs/heads/{self.branch}")
        if done is None or gone in done.stderr.lower().replace(b"could not", b"couldn't"):
            done = run_git("ls-remote", "--symref", self.remote, "HEAD")
            found = re.search(r"^ref: refs/heads/(\S+)", os.fsdecode(done.stdout), re.M)
            if found:
                self.branch = found.group(1)
                self.known = self.known or commit(f"refs/remotes/{self.remote}/{self.branch}")
                done = run_git("fetch", "--quiet", self.remote, f"refs/heads/{self.branch}")
            elif not done.returncode:
                raise Stop(f"The remote {self.remote} has no branch to follow.")
        if done.returncode:
            raise Stop(
                "The newest version could not be fetched, and nothing was changed. "
                f"Connect to the network and run again ({words_of(done.stderr)})."
            )
        self.newest = commit("FETCH_HEAD")
        self.local = self.local or self.branch

    def base(self) -> str:
        """The newest commit of the course's own that is in what we have."""
        found = [
            os.fsdecode(done.stdout).strip()
            for other in (self.known, self.newest)
            if other
            for done in [run_git("merge-base", self.head, other)]
        ]
        found = [one for one in found if one]
        if not found:  # not one history: the remote's was written anew
            return self.known or self.newest
        return found[-1] if is_ancestor(found[0], found[-1]) else found[0]

    def half_done(self) -> list:
        """What of git's own is going on: a merge, a rebase, ..."""
        signs = {
            "MERGE_HEAD": "merge",
            "rebase-merge": "rebase",
            "rebase-apply": "rebase",
            "CHERRY_PICK_HEAD": "cherry-pick",
            "REVERT_HEAD": "revert",
        }
        return [what for sign, what in signs.items() if (self.folder / sign).exists()]

    def tips(self) -> list:
        """Commits that hold a learner's work beside HEAD: the branch to be moved, a rebase's."""
        found = [commit(f"refs/heads/{self.local}")]
        for name in ("orig-head", "autostash"):
            for place in ("rebase-merge", "rebase-apply"):
                note = self.folder / place / name
                if note.exists():
                    found.append(commit(note.read_text().strip()))
        return [tip for tip in dict.fromkeys(found) if tip]


# ------------------------------------------------------------------------------------- exercises


class Notebook:
    """A notebook's exercises, whatever became of it in a learner's hands."""

    def __init__(self, content: bytes) -> None:
        """Raise ValueError if that is no notebook: torn by a conflict, or empty."""
        self.json = json.loads(content.decode("utf-8-sig"))
        if not isinstance(self.json, dict) or not isinstance(self.json.get("cells"), list):
            raise ValueError("no notebook")
        self.cells = [cell for cell in self.json["cells"] if isinstance(cell, dict)]
        self.json["cells"] = self.cells

    def exercises(self) -> dict:
        """Number, such as 1.2, to the positions of its cells, its check the last of them."""
        heads = [(at, HEADING.search(text(cell))) for at, cell in enumerate(self.cells)]
        heads = [(at, found.group(1)) for at, found in heads if found and self._is_text(at)]
        result = {}
        for (at, number), (end, _) in zip(heads, [*heads[1:], (len(self.cells), "")]):  # noqa: B905
            checks = [i for i in range(at, end) if is_check(self.cells[i], number)]
            if checks:
                end = checks[-1] + 1
            else:  # deleted: what belongs to the exercise ends where the next section begins
                later = (i for i in range(at + 1, end) if self._is_section(i))
                end = next(later, end)
            result[number] = list(range(at + 1, end))
        return result

    def _is_text(self, at: int) -> bool:
        return self.cells[at].get("cell_type") == "markdown"

    def _is_section(self, at: int) -> bool:
        return self._is_text(at) and bool(SECTION.search(text(self.cells[at])))

    def code(self, number: str) -> list:
        """The code cells of an exercise as (id, text), without the line that checks it."""
        found = []
        for at in self.exercises().get(number, ()):
            cell = self.cells[at]
            if cell.get("cell_type") == "code":
                written = without_check(text(cell), number)
                if written or not is_check(cell, number):
                    found.append((str(cell.get("id", "")), written))
        return found

    def put(self, number: str, answer: list, ids: set) -> bool:
        """Put the cells of an answer in place of the stub; False if there is no such exercise.

        answer   (id, text, whether it was touched) of each code cell
        ids      those of the course's own cells: others were added by the learner
        """
        places = self.exercises().get(number)
        if not places:
            return False
        mine = [
            at
            for at in places
            if self.cells[at].get("cell_type") == "code" and not is_check(self.cells[at], number)
        ]
        kept = [one for one in answer if one[0] in ids]
        partner = {}
        if len(kept) == len(mine):
            partner = dict(zip(map(id, kept), mine))  # noqa: B905
        elif len(answer) == len(mine):
            partner = dict(zip(map(id, answer), mine))  # noqa: B905
        else:
            touched = [one for one in answer if one[2]]
            stubs = [at for at in mine if PLACEHOLDER in text(self.cells[at])] or mine[-1:]
            partner = dict(zip(map(id, touched), stubs))  # noqa: B905
        check = [at for at in places if is_check(self.cells[at], number)]
        at = mine[0] if mine else check[0] if check else places[-1] + 1
        added = []
        for one in answer:
            own = id(one) in partner
            at = partner[id(one)] if own else at
            if one[2] and own:
                cell = self.cells[at]
                written = with_imports(text(cell), one[1])
                cell.update(source=lines(written), outputs=[], execution_count=None)
            elif one[2]:
                added.append((at, one[1]))
            at = at + 1 if own else at
        for cell in (self.cells[i] for i in check):
            cell.update(outputs=[], execution_count=None)  # it says: not attempted
        for at, written in reversed(added):
            self.cells.insert(at, new_cell(number, written, at))
        return True

    def content(self) -> bytes:
        """As tools/build_notebooks.py writes it."""
        said = json.dumps(self.json, indent=1, ensure_ascii=False, sort_keys=True)
        return said.encode("utf-8", "surrogatepass") + b"\n"


def text(cell: dict) -> str:
    """What a cell says."""
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def lines(written: str) -> list:
    """A cell's text as nbformat writes it."""
    return written.splitlines(True)


def with_imports(stub: str, written: str) -> str:
    """An answer, after what the new stub imports and the old one may have had from elsewhere."""
    imports = re.findall(r"^(?:import|from) (?:[^(\n]*\([^)]*\)|[^(\n]*)$", stub, re.M)
    missing = [line for line in imports if line not in written]
    return "\n".join([*missing, "", written]) if missing else written


def new_cell(number: str, written: str, at: int) -> dict:
    """A code cell that the learner had added."""
    name = hashlib.sha256(f"{number}:{at}:{written}".encode("utf-8", "replace")).hexdigest()[:8]
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": {},
        "outputs": [],
        "source": lines(written),
    }


def check_line(number: str) -> "re.Pattern":
    """The call that checks an exercise, as the course or a learner writes it."""
    return re.compile(r"^check\(\s*[\"']?" + re.escape(number) + r"[\"']?\s*[,)]", re.M)


def is_check(cell: dict, number: str) -> bool:
    """Whether a cell checks that exercise."""
    return cell.get("cell_type") == "code" and bool(check_line(number).search(text(cell)))


def without_check(written: str, number: str) -> str:
    """What stands above the check in its cell."""
    found = check_line(number).search(written)
    return (written[: found.start()] if found else written).rstrip()


def plain(written: str) -> str:
    """To compare two cells by: blanks at the ends of lines and of the cell do not count."""
    return "\n".join(line.rstrip() for line in written.strip().splitlines())


class Answers:
    """What the learner wrote, from all notebooks that hold some of it, the most likely first."""

    def __init__(self, official: list) -> None:
        """`official` are the contents of the course's own notebooks, of all versions."""
        self.known, self.ids, self.found = {"": set()}, set(), {}
        for content in official:
            try:
                notebook = Notebook(content)
            except ValueError:
                continue
            self.known[""].update(plain(text(cell)) for cell in notebook.cells)
            self.ids.update(str(cell["id"]) for cell in notebook.cells if cell.get("id"))
            for number in notebook.exercises():
                stubs = self.known.setdefault(number, set())
                stubs.update(plain(written) for _, written in notebook.code(number))

    def add(self, content: bytes, path: str) -> None:
        """Take the answers of a learner's notebook; one that is torn has none."""
        try:
            notebook = Notebook(content)
        except ValueError:
            return
        for number, places in notebook.exercises().items():
            # without its check, an exercise may seem to go on into the chapter
            checked = any(is_check(notebook.cells[at], number) for at in places)
            known = self.known.get(number, set()) | (set() if checked else self.known[""])
            answer = [
                (id, written, bool(written) and plain(written) not in known)
                for id, written in notebook.code(number)
            ]
            if any(touched for _, _, touched in answer):
                self.found.setdefault(number, []).append((path, answer))

    def best(self, number: str, path: str) -> list:
        """The answer for an exercise of the chapter at `path`; its own notebook's, if it has one."""
        every = self.found.get(number, [])
        return next((answer for name, answer in every if name == path), every and every[0][1])


# ---------------------------------------------------------------------------------------- update


def update() -> int:
    """Bring the newest version; returns 0, and raises Stop where it cannot."""
    course = Course()
    unfinished = sorted(note.parent for note in ROOT.glob(f"mine-*/{UNFINISHED}"))
    torn = course.half_done()
    unmerged = names("diff", "--name-only", "--diff-filter=U", "-z")
    if is_ancestor(course.newest, course.head) and not (unfinished or torn or unmerged):
        print("This is the newest version.")
        if mend_line_ends():
            print("Files that git had given the line ends of Windows are as they should be again.")
        return 0
    base = course.base()
    with Keeper(course, base) as keeper:
        keeper.keep_files()
        keeper.keep_staged(unmerged)
        kept = keeper.keep_commits()
        answers = keeper.answers(unfinished)
        wanted, filled, gone = new_notebooks(keeper, answers)
        for what in dict.fromkeys(torn):
            run_git(what, "--quit")
        git("read-tree", base)  # so that files of the learner's are none of git's to remove
        keeper.clear_the_way()
        git("checkout", "--quiet", "--force", "--no-track", "-B", course.local, course.newest)
        mend_line_ends()
        set_upstream(course)
        for path, content in wanted.items():
            write(ROOT / path, content)
    for folder in [*unfinished, keeper.folder]:
        if (folder / UNFINISHED).exists():
            (folder / UNFINISHED).unlink()
    tell(course, keeper, kept, filled, gone)
    install()
    return 0


class Keeper:
    """Copies what the learner changed to a folder of its own before anything is replaced."""

    def __init__(self, course: Course, base: str) -> None:
        """Compare the files with the course's own version of them, `base`."""
        self.course = course
        self.base, self.newest = Tree(base), Tree(course.newest)
        self.date = time.strftime("%Y-%m-%d")
        self.folder = free(lambda name: not (ROOT / name).exists(), f"mine-{self.date}")
        self.notebooks = []  # (path, content) of the learner's, the most likely first
        self.elsewhere = []
        self._index = course.folder / "update-index"
        self._base = base

    def __enter__(self) -> "Keeper":
        # a list of files of our own: git's may be torn, or told to overlook changes
        git("read-tree", self._base, index=self._index)
        self.changed = set(
            names("diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", index=self._index)
        )
        # by the course's own rules: a person may have told git to ignore all notebooks
        rules = ("--exclude-per-directory=.gitignore", "-z")
        own = names("ls-files", "--others", *rules, index=self._index)
        self.own = [path for path in own if ".ipynb_checkpoints" not in path.split("/")]
        return self

    def __exit__(self, *error) -> None:
        for path in (self._index, self._index.with_name(self._index.name + ".lock")):
            if path.exists():
                path.unlink()

    def place(self, path: str) -> Path:
        """Where a copy of a file goes; chapters on top, so that their links still lead somewhere."""
        if not self.folder.exists():
            self.folder.mkdir()
            (self.folder / UNFINISHED).touch()
            (self.folder / ".gitignore").write_text("*\n")
        folder, _, name = path.rpartition("/")
        chapter = folder == "notebooks" and name.endswith(".ipynb")
        place = self.folder / (name if chapter else f"elsewhere/{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        if not chapter:
            self.elsewhere.append(path)
        return place

    def keep_files(self) -> None:
        """Copy every file of the course's that is not as the course made it."""
        contents = {**self.newest.notebooks(), **self.base.notebooks()}
        for path, content in contents.items():
            # by their bytes: a filter such as nbstripout makes outputs invisible to git
            file = ROOT / path
            if file.is_file() and unix(file) != content:
                self.changed.add(path)
        for path in sorted(self.changed | (set(self.newest.files) - set(self.base.files))):
            file = ROOT / path
            if not os.path.lexists(str(file)) or (file.is_dir() and not file.is_symlink()):
                continue
            if not file.is_symlink() and self._is_the_courses(path):
                continue
            shutil.copy2(str(file), str(self.place(path)), follow_symlinks=False)
            if path.endswith(".ipynb") and file.is_file():
                self.notebooks.append((path, file.read_bytes()))
        copies = [path for path in self.own if path.endswith(".ipynb")]
        copies = [path for path in copies if (ROOT / path).is_file()]
        copies.sort(key=lambda path: (ROOT / path).stat().st_mtime, reverse=True)
        self.notebooks += [(path, (ROOT / path).read_bytes()) for path in copies]

    def _is_the_courses(self, path: str) -> bool:
        """Whether a file is as in the new version, or but for its line ends as in the old one."""
        as_it_is = git("hash-object", "--", path).strip()
        plain = git("hash-object", "--stdin", given=unix(ROOT / path)).strip()
        return as_it_is == self.newest.files.get(path) or plain in (
            self.newest.files.get(path),
            self.base.files.get(path),
        )

    def keep_staged(self, unmerged: list) -> None:
        """Copy what git was given to commit and is not in the files, and both sides of conflicts."""
        staged = names("diff", "--cached", "--name-only", "--no-renames", "-z", "HEAD")
        sides = [(path, "", "staged") for path in staged if path not in unmerged]
        sides += [(path, "2", "ours") for path in unmerged]
        sides += [(path, "3", "theirs") for path in unmerged]
        for path, stage, name in sides:
            done = run_git("show", f":{stage}:{path}" if stage else f":{path}")
            if done.returncode:  # deleted on that side
                continue
            file = ROOT / path
            sha = git("hash-object", "--stdin", given=done.stdout).strip()
            if sha in (self.base.files.get(path), self.newest.files.get(path)):
                continue
            if file.is_file() and file.read_bytes() == done.stdout:
                continue
            place = self.place(path)
            place = place.with_name(f"{place.stem}.{name}{place.suffix}")
            place.write_bytes(done.stdout)
            if path.endswith(".ipynb"):
                self.notebooks.append((path, done.stdout))

    def keep_commits(self) -> list:
        """Give the learner's commits a branch where they would have none; the branches' names."""
        kept = []
        for tip in dict.fromkeys([self.course.head, *self.course.tips()]):
            if not is_ancestor(tip, self.course.newest):
                for path, content in Tree(tip).notebooks().items():
                    self.notebooks.append((path, content))
                pattern = ("for-each-ref", f"--contains={tip}", "--format=%(refname)", "refs/heads")
                others = set(git(*pattern).split()) - {f"refs/heads/{self.course.local}"}
                if not others:
                    name = free(lambda name: not commit(f"refs/heads/{name}"), f"kept-{self.date}")
                    git("branch", "--no-track", name.name, tip)
                    kept.append(name.name)
        return kept

    def answers(self, unfinished: list) -> Answers:
        """What the learner wrote into exercises."""
        for folder in unfinished:
            for file in sorted(folder.glob("*.ipynb")):
                self.notebooks.append((f"notebooks/{file.name}", file.read_bytes()))
        if not self.notebooks:
            return Answers([])
        history = [one for one in (self.course.newest, self.course.known, self._base) if one]
        said = git(
            "log",
            "--format=",
            "--raw",
            "--no-abbrev",
            "--no-renames",
            *history,
            "--",
            "notebooks/*.ipynb",
        )
        shas = {sha for line in said.splitlines() for sha in line.split()[2:4] if set(sha) != {"0"}}
        answers = Answers(list(blobs(sorted(shas)).values()) if shas else [])
        for path, content in self.notebooks:
            answers.add(content, path)
        return answers

    def clear_the_way(self) -> None:
        """Move files and folders of the learner's from where the course now has a folder or file."""
        for path in sorted(self.newest.files):
            parts = path.split("/")
            for depth in range(1, len(parts) + 1):
                name = "/".join(parts[:depth])
                place = ROOT / name
                is_folder = place.is_dir() and not place.is_symlink()
                if os.path.lexists(str(place)) and is_folder != (depth < len(parts)):
                    if name not in self.base.files:
                        shutil.move(str(place), str(self.place(name)))
                    break


def free(is_free, name: str) -> Path:
    """The first of NAME, NAME-2, NAME-3, ... that is not taken, as a path in the course's folder."""
    number, found = 1, name
    while not is_free(found):
        number += 1
        found = f"{name}-{number}"
    return ROOT / found


def new_notebooks(keeper: Keeper, answers: Answers) -> tuple:
    """What to write over the new notebooks: (path to content, exercises filled, exercises gone).

    A chapter that is as it was stays as the learner left it, with outputs and notes.
    """
    wanted, filled, there = {}, [], set()
    for path, content in keeper.newest.notebooks().items():
        if not path.startswith("notebooks/"):
            continue
        notebook = Notebook(content)
        numbers = list(notebook.exercises())
        there.update(numbers)
        file = ROOT / path
        same = keeper.base.files.get(path) == keeper.newest.files[path]
        if same and file.is_file() and unix(file) != content:
            try:
                Notebook(file.read_bytes())
                wanted[path] = file.read_bytes()
                continue
            except ValueError:
                pass
        put = [
            number
            for number in numbers
            if answers.best(number, path)
            and notebook.put(number, answers.best(number, path), answers.ids)
        ]
        if put:
            wanted[path] = notebook.content()
            filled += put
    return wanted, filled, sorted(set(answers.found) - there)


def mend_line_ends() -> bool:
    """Files that Git on Windows once gave other line ends than the course now asks for.

    A pull does not rewrite them, and a checkout takes them for unchanged. Returns whether there
    were any; what differs in more than its line ends stays.
    """
    wrong = []
    for line in names("ls-files", "--eol", "-z"):
        about, _, path = line.partition("\t")
        exact = "attr/-text" in about or "eol=lf" in about
        if exact and "i/lf" in about and "w/crlf" in about:
            stored = run_git("show", f":{path}").stdout
            if unix(ROOT / path) == stored:
                wrong.append(path)
    for path in wrong:
        (ROOT / path).unlink()
    if wrong:
        git("checkout", "--quiet", "--", *wrong)
    return bool(wrong)


def unix(file: Path) -> bytes:
    """What a file says, with the line ends of the course."""
    return file.read_bytes().replace(b"\r\n", b"\n")


def set_upstream(course: Course) -> None:
    """So that the next update follows the same branch."""
    git("config", f"branch.{course.local}.remote", course.remote)
    git("config", f"branch.{course.local}.merge", f"refs/heads/{course.branch}")


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    new.replace(path)


def tell(course: Course, keeper: Keeper, kept: list, filled: list, gone: list) -> None:
    """What was done, and where everything is."""
    about = git("log", "-1", "--format=%cd, %h", "--date=short", "HEAD").strip()
    print(f"The course is now the version of {about}.")
    if keeper.folder.exists():
        chapters = sorted(path.name for path in keeper.folder.glob("*.ipynb"))
        if chapters:
            print(
                f"Your notebooks as they were are in {keeper.folder.name}: {', '.join(chapters)}."
            )
        if keeper.elsewhere:
            places = ", ".join(sorted(set(keeper.elsewhere)))
            print(f"What else you had changed is in {keeper.folder.name}/elsewhere: {places}.")
    if filled:
        print(f"Your answers are in the new notebooks: {', '.join(filled)}. Run their cells again.")
    if gone:
        print(f"The course no longer has the exercises {', '.join(gone)}: see the notebooks above.")
    if kept:
        print(f"Your commits are in the branch {', '.join(kept)}.")
    if course.was_on not in ("", course.local):
        print(f"You were on the branch {course.was_on}, which is as it was; now on {course.local}.")
    if keeper.folder.exists():
        print("In an open JupyterLab, close the notebooks and open them again.")


def install() -> None:
    """The new version's packages, where some are installed already."""
    if is_whole():
        test = (VENV / "requirements-test.txt.stamp").exists()
        lock = "requirements-test.txt" if test else "requirements.txt"
        if not is_installed(lock):
            command = [sys.executable, "tools/course.py", "setup", *(["--test"] if test else [])]
            if subprocess.call(command, cwd=str(ROOT)):
                raise Stop("The course is updated, its packages are not: `make lab` tries again.")
    else:
        print("`make lab` (or `python tools/course.py lab`) sets it up.")


if __name__ == "__main__":
    sys.exit(guarded(update))
