"""Planted wrong answers for chapter 00."""

import numpy as np

WRONG = {
    "0.1": [
        ("430", "that is text"),
        (384, "how many numbers each vector has"),
        (429, "too few"),
        (4300, "too many"),
        (430.5, "whole number"),
    ],
    "0.2": [
        (lambda photo, words: photo * words, "added up"),
        (lambda photo, words: float(np.linalg.norm(photo - words)), "distance"),
        (lambda photo, words: 1.0, "sum of their products"),
        (lambda photo, words: photo @ words.reshape(-1, 1), "one number"),
    ],
    "0.3": [
        (lambda scores, k: scores.argsort()[:k], "fit worst"),
        (lambda scores, k: scores.argsort()[-k:], "should come first"),
        (lambda scores, k: scores.argsort()[:k][::-1], "turned around too late"),
        (lambda scores, k: np.sort(scores)[::-1][:k], "row numbers"),
        (lambda scores, k: scores.argsort()[::-1][:2], "4 were"),
    ],
}
