"""INSTRUCTORS.md: what is written by hand in tools/instructors, joined with what the chapters say.

guide.md    the guide around the chapters; `{{plans}}` and `{{chapters}}` stand where those come
plans.toml  which chapters fill which day
NN.md       by hand, for each chapter; its parts are PARTS, and each *Predict* question has a word
NN.json     made by `--messages`: what the checks say of planted wrong answers (tests/answers)

`make notebooks` writes the guide; run alone, this says what is stale or missing in it. tests/test_checks.py
sees whether the checks still say these messages, and `--messages 03` asks those of a chapter again.
"""

import argparse
import ast
import importlib
import inspect
import json
import os
import re
import sys
import tempfile
import textwrap
import tomllib
from pathlib import Path

from chapters import EXERCISE, SECTION, Chapter, sources

from workshop import checks

ROOT = Path(__file__).resolve().parent.parent
SOURCES = "tools/instructors"
GUIDE = "INSTRUCTORS.md"
PARTS = ("What it is for", "Say first", "Predict", "Where people get lost", "Leave out")
PREDICT = re.compile(r"\*\*Predict before you run:\*\* (?P<question>.+?)(?=\n\s*\n|\Z)", re.S)
HEADING = re.compile(r"^##+ .+$", re.M)
IN_DEEPER = " (*Going deeper*)"
PER_EXERCISE = 4  # messages that the guide shows
LONGEST = 70  # characters of a wrong answer that is shown as code
LONGEST_SAID = 180  # of a message
UNTOLD = ("your code raised", "the check could not use")  # hang on the version of Python


# ----------------------------------------------------------------------------------- by hand


def by_hand(text: str) -> dict[str, str]:
    """The parts of a chapter's file: heading to text."""
    pieces = re.split(r"^## (.+)\n", text, flags=re.M)[1:]
    return {title: body.strip() for title, body in zip(pieces[::2], pieces[1::2], strict=True)}


def words_on(predict: str) -> dict[str, str]:
    """Below *Predict*, each heading: the first words of a question, and what rooms do with it.

    What stands before the first heading has the key "".
    """
    pieces = ["", *re.split(r"^### (.+)\n", predict, flags=re.M)]
    return {key.strip(): body.strip() for key, body in zip(pieces[::2], pieces[1::2], strict=True)}


def questions(chapter: Chapter) -> list[tuple[str, str]]:
    """The chapter's *Predict* questions, each with its place: its section and when that begins."""
    found, section, core = [], "", begins(chapter)
    # in the order of the text: a cell may hold a question and, below it, the next heading
    text = "\n\n".join(c.source for c in chapter.cells if c.cell_type == "markdown")
    for match in re.finditer(rf"{PREDICT.pattern}|^(?P<heading>##+ [^✍\n]+)$", text, re.M | re.S):
        if match["heading"]:
            title = re.split(r"(?: ·|,? about) \d+ min", match["heading"].lstrip("# "))[0]
            minute = core.get(match["heading"])
            section = f"**{title}**{IN_DEEPER}" if minute is None else f"**{minute} · {title}**"
        else:
            question = " ".join(match["question"].split())
            found.append((section, question[: question.rindex("?") + 1]))
    return found


# ---------------------------------------------------------------------------------- messages


def planted(chapter: int) -> dict[str, list]:
    """The wrong answers of a chapter: exercise to pairs of an answer and a part of the message."""
    sys.path.insert(0, str(ROOT / "tests"))
    return importlib.import_module(f"answers.ch{chapter:02d}").WRONG


def as_written(chapter: int) -> dict[str, list[str]]:
    """How tests/answers writes each wrong answer: its code, or a function's name in words, or ""."""
    tree = ast.parse((ROOT / "tests" / "answers" / f"ch{chapter:02d}.py").read_text("utf-8"))
    wrong = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "WRONG"
    )
    return {
        key.value: [_shown(pair.elts[0]) for pair in pairs.elts]
        for key, pairs in zip(wrong.keys, wrong.values, strict=True)
    }


def _shown(answer: ast.expr) -> str:
    if isinstance(answer, ast.Name) and answer.id.count("_"):
        return answer.id.strip("_").replace("_", " ")
    if isinstance(answer, ast.Lambda | ast.Constant) and len(ast.unparse(answer)) <= LONGEST:
        return f"`{ast.unparse(answer)}`"
    return ""


def told(exercise: checks.Exercise, answer: object) -> str:
    """What the check says of this answer."""
    count = len(inspect.signature(exercise.function).parameters)
    return checks.check(exercise.id, *(answer if count > 1 else (answer,))).message


def messages(chapter: int) -> dict[str, list[dict]]:
    """For each exercise the first PER_EXERCISE different messages that are the same when asked twice.

    Each try is noted in WORKSHOP_HOME.
    """
    found = {}
    wrong, written = planted(chapter), as_written(chapter)
    for exercise in checks.exercises(chapter):
        kept: dict[str, dict] = {}
        for place, (answer, _) in enumerate(wrong[exercise.id]):
            if len(kept) == PER_EXERCISE:
                break
            said = told(exercise, answer)
            if said.startswith(UNTOLD) or said in kept or said != told(exercise, answer):
                continue
            kept[said] = {"place": place, "answer": written[exercise.id][place], "said": said}
        found[exercise.id] = list(kept.values())
    return found


def stored(root: Path, chapter: int) -> dict[str, list[dict]]:
    """The messages on disk; empty if there are none."""
    path = root / SOURCES / f"{chapter:02d}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


# ------------------------------------------------------------------------------------- plans


def minutes_of(step: dict, chapters: dict[int, Chapter]) -> int:
    """How long a step of a plan takes: a chapter, one of its halves (parted by the pause), or a break."""
    if "chapter" not in step:
        return step.get("minutes", 0)
    chapter = chapters[step["chapter"]]
    whole, part = sum(chapter.minutes()), step.get("part", "whole")
    if part == "whole":
        return whole
    pause = next(i for i, c in enumerate(chapter.cells) if c.source.startswith("## Pause"))
    first = sum(chapter.minutes(before=pause))
    return first if part == "first" else whole - first


def days(plan: dict) -> list[list[dict]]:
    """The steps of a plan, day by day; the first step of a day after the first is its name."""
    found: list[list[dict]] = [[]]
    for step in plan["steps"]:
        if "day" in step and found[-1]:
            found.append([])
        found[-1].append(step)
    return found


def plan_text(plan: dict, chapters: dict[int, Chapter]) -> str:
    """One plan as a table, with the minutes that its chapters say."""
    rows, taught = [], 0
    for day in days(plan):
        begins = 0
        for step in day:
            minutes = minutes_of(step, chapters)
            if "day" in step:
                rows.append(f"| | **{step['day']}** | |")
                continue
            what = step.get("what", "")
            if "chapter" in step:
                chapter = chapters[step["chapter"]]
                half = {"first": ", to the pause", "second": ", from the pause"}
                link = f"[{chapter.title}](notebooks/{chapter.stem}.ipynb)"
                what = link + half.get(step.get("part"), "")
                taught += minutes
            rows.append(f"| {begins // 60}:{begins % 60:02d} | {what} | {minutes} |")
            begins += minutes
    table = "\n".join(["| begins | what | minutes |", "| --- | --- | --- |", *rows])
    hours = f"{taught} of these minutes are chapters."
    return f"### {plan['name']}\n\n{plan['why']}\n\n{table}\n\n{hours} {plan['else']}"


# ----------------------------------------------------------------------------------- chapters


def begins(chapter: Chapter) -> dict[str, int]:
    """When each heading of the core path begins, in minutes from the chapter's start."""
    minutes, found = 0, {}
    for cell in chapter.cells[: chapter.core()]:
        for heading in HEADING.findall(cell.source) if cell.cell_type == "markdown" else ():
            found[heading] = minutes
            timed = EXERCISE.match(heading) or SECTION.match(heading)
            minutes += int(timed["minutes"]) if timed else 0
    return found


def clock(chapter: Chapter) -> str:
    """The sections and exercises of the core path in one line, each with the minute it begins."""
    marks = []
    for heading, minute in begins(chapter).items():
        if exercise := EXERCISE.match(heading):
            marks.append(f"{minute} ✍️ {exercise['id']}")
        elif section := SECTION.match(heading):
            marks.append(f"{minute} {section['title']}")
        elif heading == "## Pause":
            marks.append(f"{minute} **pause**")
    return " · ".join(marks)


def chapter_text(root: Path, chapter: Chapter) -> str:
    """What the guide says of one chapter."""
    written = by_hand(hand_path(root, chapter).read_text("utf-8"))
    reading, exercises = chapter.minutes()
    links = f"[notebook](notebooks/{chapter.stem}.ipynb), [solved](solutions/{chapter.stem}.ipynb)"
    paragraphs = [
        f"## {chapter.title}",
        written["What it is for"],
        f"{reading + exercises} minutes: {reading} of reading, {exercises} of exercises · {links}",
        f"**The clock:** {clock(chapter)}",
        f"**Say first.** {written['Say first']}",
    ]
    said = words_on(written["Predict"])
    paragraphs.append(f"**Predict.** {said['']}".rstrip(" "))
    for place, question in questions(chapter):
        word = said[word_for(question, said)]
        quoted = question.replace("*", '"')  # no emphasis within emphasis
        paragraphs.append(f"{place} · *{quoted}*\n\n> " + word.replace("\n", "\n> "))
    paragraphs += [
        f"**Where people get lost**\n\n{written['Where people get lost']}",
        f"**Leave out, when time runs short.** {written['Leave out']}",
        wrong_answers(chapter, stored(root, chapter.number)),
    ]
    return "\n\n".join(paragraphs)


def wrong_answers(chapter: Chapter, found: dict[str, list[dict]]) -> str:
    """The folded lists of what people answer, and what the check says of it."""
    core = begins(chapter)
    titles = {
        m["id"]: m["title"] + (IN_DEEPER if m[0] not in core else "")
        for c in chapter.cells
        for m in EXERCISE.finditer(c.source)
    }
    parts = []
    for id, rows in found.items():
        lines = [f"**{id}** {titles[id]}\n"]
        for row in rows:
            answer = f"{row['answer']}: " if row["answer"] else ""
            lines.append(f"- {answer}*{in_line(row['said'])}*")
        parts.append("\n".join(lines))
    body = "\n\n".join(parts)
    summary = "<summary>Wrong answers that people give, and what the check says of them</summary>"
    return f"<details>{summary}\n\n{body}\n\n</details>"


def in_line(said: str) -> str:
    """A message in one line of Markdown: shortened if it is long, and nothing outside `code` is markup."""
    short = textwrap.shorten(said, LONGEST_SAID, placeholder=" …")
    short += "`" * (short.count("`") % 2)
    pieces = re.split(r"(`[^`]*`)", short)
    pieces[::2] = [re.sub(r"([*_\[\]<])", r"\\\1", piece) for piece in pieces[::2]]
    return "".join(pieces)


def hand_path(root: Path, chapter: Chapter) -> Path:
    """Where a chapter's hand-written part is."""
    return root / SOURCES / f"{chapter.number:02d}.md"


def word_for(question: str, said: dict[str, str]) -> str | None:
    """The key of `said` with which the question begins."""
    return next((key for key in said if key and question.startswith(key)), None)


# ------------------------------------------------------------------------------------- whole


def read(root: Path) -> dict[int, Chapter]:
    """The chapters of a course, by number."""
    return {chapter.number: chapter for chapter in map(Chapter, sources(root))}


def guide(root: Path, chapters: dict[int, Chapter]) -> str:
    """INSTRUCTORS.md."""
    plans = tomllib.loads((root / SOURCES / "plans.toml").read_text("utf-8"))["plan"]
    text = (root / SOURCES / "guide.md").read_text("utf-8").rstrip()
    whole = [plan_text(plan, chapters) for plan in plans]
    text = text.replace("{{plans}}", "\n\n".join(whole))
    each = [chapter_text(root, chapter) for chapter in chapters.values()]
    return text.replace("{{chapters}}", "\n\n".join(each)) + "\n"


def missing(root: Path, chapters: dict[int, Chapter]) -> list[str]:
    """What has to be written by hand, one line each; empty before the guide can be made."""
    found = []
    for chapter in chapters.values():
        path = hand_path(root, chapter)
        where = path.relative_to(root).as_posix()
        written = by_hand(path.read_text("utf-8")) if path.exists() else {}
        found += [f"{where}: `## {part}` is missing" for part in PARTS if not written.get(part)]
        said = words_on(written.get("Predict", ""))
        asked = [question for _, question in questions(chapter)]
        used = {question: word_for(question, said) for question in asked}
        found += [
            f"{where}: no word on the question {q[:60]!r}" for q, key in used.items() if not key
        ]
        unasked = set(said) - set(used.values()) - {""}
        found += [f"{where}: the chapter does not ask {key!r}" for key in sorted(unasked)]
        if set(stored(root, chapter.number)) != set(chapter.exercise_cells()):
            told = f"run `tools/build_instructors.py --messages {chapter.number:02d}`"
            found.append(f"{where[:-3]}.json has other exercises than the chapter: {told}")
    for plan in tomllib.loads((root / SOURCES / "plans.toml").read_text("utf-8"))["plan"]:
        for day in days(plan):
            taken = sum(minutes_of(step, chapters) for step in day)
            if taken > plan["limit"]:
                name = plan["name"]
                found.append(
                    f"{SOURCES}/plans.toml: {name} takes {taken} minutes, not {plan['limit']}"
                )
    return found


def problems(root: Path, chapters: dict[int, Chapter]) -> list[str]:
    """What is missing or stale, one line each."""
    found = missing(root, chapters)
    path = root / GUIDE
    if not found and (not path.exists() or path.read_text("utf-8") != guide(root, chapters)):
        found.append(f"{GUIDE} is stale: run `make notebooks`")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Ask the checks again, or say what is wrong; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", nargs="+", type=int, metavar="NN", help="ask these checks")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="workshop-") as home:
        os.environ["WORKSHOP_HOME"] = home
        for chapter in options.messages or ():
            found = json.dumps(messages(chapter), indent=1, ensure_ascii=False)
            path = ROOT / SOURCES / f"{chapter:02d}.json"
            path.write_text(found + "\n", encoding="utf-8")
    found = problems(ROOT, read(ROOT))
    print("\n".join(found) or f"{GUIDE} is up to date.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
