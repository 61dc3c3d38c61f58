"""Questions answered with a sentence of the passages that hold it, or not at all.

`Bot` does it in memory: chapter 11 takes it apart, and the service does the same with its passages in
Milvus. `questions` gives the questions that it is measured with, `holds` says which passage is right.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from workshop import passages, retrieval
from workshop.encoders import TextEncoder
from workshop.errors import WorkshopError
from workshop.passages import Passage, Sentence, sentences
from workshop.paths import DATA

QUESTIONS = DATA / "question_answering" / "questions.jsonl"
LEFT_OUT = ("11_question_answering",)  # the chapter that quotes these questions
CANDIDATES = 50  # passages that are compared word by word
THRESHOLD = 0.46  # below this score the bot does not know: four of five questions lie above
LEANS = re.compile(r"(and|but|or|so|then)\b|.*\b(it|its|they|them|their|this|that|one)\b", re.I)


# -------------------------------------------------------------------------------- questions


def corpus() -> list[Passage]:
    """The passages that the questions are measured on: README, chapters before 11, `workshop`.

    So what is measured changes only with the text that the questions were written from, and not with
    each later chapter. The service's samples are the whole course but `LEFT_OUT`.
    """
    every = passages.course()
    measured = [one for one in every if not one.name[0].isdigit() or one.name < LEFT_OUT[0]]
    return [passage for document in measured for passage in passages.passages(document)]


class Truth(NamedTuple):
    """Where an answer stands: the document, the section's heading, words of the passage."""

    document: str
    heading: str
    phrase: str


@dataclass(frozen=True)
class Question:
    """A question with what is known of its answer.

    text     the question
    kind     "ordinary", "paraphrased", "without names" (one fact in three wordings), "follow-up", and
             "near miss" and "off topic", which have no answer in the course
    fact     what it asks for; questions of one fact must not be divided between two halves
    answer   in a few words, for people
    truths   the places where it stands, one or several
    history  questions that were asked before it
    """

    text: str
    kind: str
    fact: str = ""
    answer: str = ""
    truths: tuple[Truth, ...] = ()
    history: tuple[str, ...] = ()


def questions(*kinds: str) -> list[Question]:
    """The questions about the course, of these kinds, or all of them.

    They were written from the course's text before any search was tried (data/README.md). Raises
    WorkshopError when the file is missing or altered.
    """
    mend = "Put the committed files back with: git checkout -- data/question_answering"
    try:
        content = QUESTIONS.read_bytes()
        table = json.loads(QUESTIONS.with_name("files.json").read_text(encoding="utf-8"))
        expected = table["files"][QUESTIONS.name]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkshopError(f"Cannot read {QUESTIONS.parent} ({error}). {mend}") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise WorkshopError(f"{QUESTIONS} is altered. {mend}")
    rows = [json.loads(line) for line in content.decode("utf-8").splitlines()]
    found = []
    for row in rows:
        if not kinds or row["kind"] in kinds:
            about = (row["question"], row["kind"], row["fact"], row["answer"])
            truths = tuple(Truth(**truth) for truth in row["truths"])
            found.append(Question(*about, truths, tuple(row.get("history", ()))))
    return found


def holds(passage: Passage, question: Question) -> bool:
    """Whether the passage holds the question's answer: the right section, with the right words."""
    return any(
        (passage.document, passage.heading) == (truth.document, truth.heading)
        and truth.phrase in passage.text
        for truth in question.truths
    )


def says(sentence: Sentence, question: Question) -> bool:
    """Whether a sentence of a right passage says the answer, or is a part of what says it."""
    return any(t.phrase in sentence.text or sentence.text in t.phrase for t in question.truths)


def halves(asked: Sequence[Question], seed: int) -> tuple[list[Question], list[Question]]:
    """The questions in two halves, one to tune on and one to report; a fact stays on one side."""
    keys = [question.fact or question.text for question in asked]
    names = list(dict.fromkeys(keys))
    first = set(np.random.default_rng(seed).permutation(names)[: len(names) // 2].tolist())
    sides = ([], [])
    for key, question in zip(keys, asked, strict=True):
        sides[key not in first].append(question)
    return sides


# -------------------------------------------------------------------------------------- bot


def joined(question: str, history: Sequence[str] = ()) -> str:
    """What is searched for: the question, with the one before it where it leans on that one.

    A question leans if it begins with a word such as "and", or holds one such as "it".
    """
    return f"{history[-1]} {question}" if history and LEANS.match(question) else question


def score(question: np.ndarray, tokens: np.ndarray, cosine: float) -> float:
    """How well a text answers a question, at most 1: two parts late interaction, one part cosine.

    question  (q, d) token vectors, from `TextEncoder.token_vectors`
    tokens    (t, d) those of the text
    cosine    of the vectors of question and text, from `TextEncoder.encode`
    """
    return (2 * retrieval.maxsim(question, tokens.astype(np.float32)) + float(cosine)) / 3


@dataclass(frozen=True)
class Hit:
    """A passage that was found: its row among the bot's passages, its score, itself."""

    row: int
    score: float
    passage: Passage


@dataclass(frozen=True)
class Answer:
    """What the bot says: a sentence, or None for "I do not know"; and the passages found, best first."""

    question: str
    sentence: Sentence | None
    hits: list[Hit] = field(default_factory=list)

    @property
    def passage(self) -> Passage | None:
        """The passage of the sentence; None where there is none."""
        return self.hits[0].passage if self.sentence else None

    def __str__(self) -> str:
        """For a person: the sentence and where it stands."""
        if self.sentence is None:
            return "I do not know."
        place = ", ".join(filter(None, (self.passage.document, self.passage.heading)))
        return f"{self.sentence.text}\n({place})"


def best_sentence(encoder: TextEncoder, question: str, passage: Passage) -> Sentence:
    """The sentence of a passage that answers best, by the same score as the passage's.

    A sentence that asks is like the question, and answers nothing: it is taken only if there is no other.
    """
    whole = Sentence(passage.start, passage.end, passage.text)
    every = [one for one in sentences(passage) if re.search(r"\w", one.text)] or [whole]
    choices = [one for one in every if not one.text.endswith("?")] or every
    [vector], [asked] = encoder.vectors_and_tokens([question])
    vectors, tokens = encoder.vectors_and_tokens([choice.text for choice in choices], False)
    scores = [score(asked, *pair) for pair in zip(tokens, vectors @ vector, strict=True)]
    return choices[int(np.argmax(scores))]


class Bot:
    """Answers from passages.

    passages   what it knows; encoded here, at some 100 a second
    threshold  the score below which it does not know
    encoder    of the texts; default: the course's
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        threshold: float = THRESHOLD,
        encoder: TextEncoder | None = None,
        **encoding: Any,
    ) -> None:
        self.passages = list(passages)
        self.threshold = threshold
        self.encoder = encoder or TextEncoder()
        texts = [passage.in_context for passage in self.passages]
        self.vectors, tokens = self.encoder.vectors_and_tokens(texts, **encoding)
        self.tokens = [of_one.astype(np.float16) for of_one in tokens]

    @cached_property
    def words(self) -> retrieval.BM25:
        """The baseline: BM25 over the same texts."""
        return retrieval.BM25([retrieval.words(p.in_context) for p in self.passages])

    def by_words(self, question: str, limit: int = 100) -> list[int]:
        """Rows of the passages that share words with the question, best first."""
        scores = self.words.scores(retrieval.words(question))
        return [row for row in np.argsort(-scores, kind="stable")[:limit].tolist() if scores[row]]

    def by_vector(self, question: str, limit: int = 100) -> list[int]:
        """Rows of the passages whose vectors are nearest to the question's, best first."""
        cosines = self.vectors @ self.encoder.encode([question])[0]
        return np.argsort(-cosines, kind="stable")[:limit].tolist()

    def by_both(self, question: str, limit: int = CANDIDATES) -> list[int]:
        """Rows by reciprocal rank fusion of the two lists above, best first."""
        lists = [self.by_vector(question), self.by_words(question)]
        return list(retrieval.reciprocal_rank_fusion(lists))[:limit]

    def search(self, question: str, limit: int = 3) -> list[Hit]:
        """The best passages, by `score` among the first fifty of both lists."""
        [vector], [asked] = self.encoder.vectors_and_tokens([question])
        hits = [
            Hit(row, score(asked, self.tokens[row], self.vectors[row] @ vector), self.passages[row])
            for row in self.by_both(question)
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    def ask(self, question: str, history: Sequence[str] = (), limit: int = 3) -> Answer:
        """The best sentence of the best passage, if that passage's score reaches the threshold.

        history  questions asked before this one, the last one last
        """
        hits = self.search(joined(question, history), limit)
        if not hits or hits[0].score < self.threshold:
            return Answer(question, None, hits)
        return Answer(question, best_sentence(self.encoder, question, hits[0].passage), hits)
