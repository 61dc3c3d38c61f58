"""Planted wrong answers, one module per chapter: WRONG maps an id to (answer, fragment) pairs."""
