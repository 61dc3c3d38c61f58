"""Makes data/lm/measured.json: what chapter 20's model answers to data/lm/questions.json.

    make lm
    python tools/measure_lm.py       six ways of asking each question, some minutes

An answer is right if it has all the words that the question's `right` lists. It refuses if it says
that the text does not tell, or that it does not know, whatever else it says. Both rules were compared
with a reading of all answers.
"""

import json
import os
import re
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported: sums in one order

from build_lm_reference import OUT, describe
from tqdm import tqdm

from workshop import lm

LIMIT = 40  # tokens
ORDER = "If the text does not say it, answer: I do not know."  # behind the question
FIRST = f"Answer from the text only. {ORDER}"  # as the system's turn, before all others
REFUSES = re.compile(r"text (does not|is not)|not know|not sure|not familiar|no information")


def ways(questions: list[dict], number: int) -> dict[str, str]:
    """Six prompts for one question; the other passage is that of a question half the list away."""
    asked, own = questions[number]["question"], questions[number]["passage"]
    other = questions[(number + len(questions) // 2) % len(questions)]["passage"]
    return {
        "alone": lm.chat(asked),
        "passage": lm.chat(f"{own}\n\n{asked}"),
        "own passage, order": lm.chat(f"{own}\n\n{asked} {ORDER}"),
        "other passage, order": lm.chat(f"{other}\n\n{asked} {ORDER}"),
        "own passage, order first": lm.chat(f"{own}\n\n{asked}", FIRST),
        "other passage, order first": lm.chat(f"{other}\n\n{asked}", FIRST),
    }


def main() -> int:
    """Ask everything, write the answers; returns the exit code."""
    model = lm.load()
    questions = json.loads((OUT / "questions.json").read_text(encoding="utf-8"))
    rows = []
    for number, one in enumerate(tqdm(questions)):
        for way, prompt in ways(questions, number).items():
            answer = model.answer(prompt, LIMIT)
            small = answer.lower()
            rows.append(
                {
                    "way": way,
                    "question": one["question"],
                    "answer": answer,
                    "right": all(re.search(words, small) for words in one["right"]),
                    "refused": bool(REFUSES.search(small)),
                }
            )
    text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    (OUT / "measured.json").write_text(text, encoding="utf-8")
    about = json.loads((OUT / "lm.json").read_text(encoding="utf-8"))
    describe(about)
    return 0


if __name__ == "__main__":
    sys.exit(main())
