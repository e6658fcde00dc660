"""What generated text repeats of real text: longest runs of shared words, exact and near copies. Counted; no text leaves this module."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.checks.wording import content_words
from emosynth.responsible.rates import COMPARED, OTHER, REAL, SEED, SOURCES, TEST, Rate, rate
from emosynth.responsible.texts import Real, drawn
from emosynth.text import near_duplicates

Integers = npt.NDArray[np.int64]
COLUMNS = ["arm", "verified", "source", "measure", *COMPARED, "n_texts", "of_texts"]
SHARES = ("long", "exact", "near")
"""Measures that are shares of texts; ``span_mean`` and ``span_max`` are words."""


def longest_spans(texts: Sequence[Sequence[str]], sources: Sequence[Sequence[str]]) -> Integers:
    """Return for each text, given as words, the length of its longest run of words that stands in some source: exact, level by level.

    A run of n + 1 words is only looked for where a run of n was found, on both sides.
    """
    numbers: dict[str, int] = {}
    query, document = _joined(texts, numbers)
    source, _ = _joined(sources, numbers)
    out = np.zeros(len(texts), dtype=np.int64)
    at, there = np.flatnonzero(query >= 0), np.flatnonzero(source >= 0)
    ids, known = np.zeros(len(at), dtype=np.int64), np.zeros(len(there), dtype=np.int64)
    length = 0
    while len(at):
        at, ids = _longer(query, at, ids, length, len(numbers))
        there, known = _longer(source, there, known, length, len(numbers))
        shared = np.intersect1d(ids, known)
        here, kept = np.isin(ids, shared), np.isin(known, shared)
        # Runs are numbered anew, so that a number and one more word fit into 64 bits.
        at, ids = at[here], np.searchsorted(shared, ids[here])
        there, known = there[kept], np.searchsorted(shared, known[kept])
        length += 1
        out[document[at]] = length
    return out


def _joined(texts: Sequence[Sequence[str]], numbers: dict[str, int]) -> tuple[Integers, Integers]:
    """Return numbers of words, -1 after each text, and the text that each belongs to."""
    words = [number for text in texts for number in (*(numbers.setdefault(word, len(numbers)) for word in text), -1)]
    return np.array(words, dtype=np.int64), np.repeat(np.arange(len(texts)), [len(text) + 1 for text in texts])


def _longer(words: Integers, at: Integers, ids: Integers, length: int, vocabulary: int) -> tuple[Integers, Integers]:
    """Return the runs that go on for one word, each as one number."""
    goes_on = words[at + length] >= 0
    return at[goes_on], ids[goes_on] * vocabulary + words[at[goes_on] + length]


class Compared:
    """Real texts that others are compared with."""

    def __init__(self, texts: Sequence[str], near: float) -> None:
        self.texts, self.near = list(texts), near
        self.words = [content_words(text) for text in texts]
        self.whole = {tuple(words) for words in self.words if words}
        self.known: dict[str, tuple[int, bool, bool]] = {}

    def of(self, texts: Sequence[str], long: int) -> pd.DataFrame:
        """Return of each text: ``span`` (words), and whether it has a ``long`` span, is an ``exact`` or a ``near`` copy."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:  # arms share candidates, and an index costs more than a look-up
            words = [content_words(text) for text in new]
            close = {match.index for match in near_duplicates(new, self.near, against=self.texts)}
            for place, (text, span) in enumerate(zip(new, longest_spans(words, self.words).tolist(), strict=True)):
                self.known[text] = span, tuple(words[place]) in self.whole, place in close
        found = pd.DataFrame([self.known[text] for text in texts], columns=["span", "exact", "near"])
        return found.assign(long=found["span"] >= long)


def memorisation(
    arms: dict[tuple[str, bool], pd.DataFrame], real: Real, *, count: int, long: int, near: float, confidence: float
) -> pd.DataFrame:
    """Compare arms, and real text that is not in the source, with each source of real text.

    Parameters
    ----------
    arms
        By (arm, verified): rows in the columns of `emosynth.responsible.texts`.
    count
        Texts of an arm compared, at most, drawn label by label.
    long
        Words from which a shared run is long.
    near
        Jaccard similarity of word 3-grams from which a text is a near copy.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; arm ``real`` is the baseline: test rows against the seeds and the other rows, other rows against the test rows. ``real`` is
        its value (none in its own rows), ``difference`` is to it.
    """
    sources = {TEST: Compared(real.test["text"].tolist(), near), OTHER: Compared(real.other["text"].tolist(), near)}
    seeds = {repeat: Compared(texts, near) for repeat, texts in real.seeds.items()}

    def found(rows: pd.DataFrame, source: str) -> pd.DataFrame:
        if source != SEED:
            return sources[source].of(rows["text"].tolist(), long).assign(cluster=rows["cluster"].tolist())
        # What owes nothing to a seed (repeat -1: real rows) is spread over the seeds, so that sources are of equal size.
        turns = np.where(rows["repeat"] >= 0, rows["repeat"], np.arange(len(rows)) % len(seeds)).astype(int)
        parts = [
            seeds[repeat].of(rows["text"][turns == repeat].tolist(), long).assign(cluster=rows["cluster"][turns == repeat].tolist())
            for repeat in sorted(set(turns))
        ]
        return pd.concat(parts, ignore_index=True)

    sets = {key: drawn(rows, count) for key, rows in arms.items()}
    made = []
    for source in SOURCES:
        if sets:  # all at once: each source is indexed once
            found(pd.concat(list(sets.values()), ignore_index=True), source)
        baseline = found(drawn(real.other if source == TEST else real.test, count), source)
        there = len(real.other if source == TEST else real.test)
        base = {measure: rate(baseline[measure].to_numpy(), baseline["cluster"].tolist(), confidence) for measure in SHARES}
        made += [[*row, there] for row in _rows(REAL, True, source, baseline, base, baseline, confidence)]
        for (arm, verified), rows in sets.items():
            made += [
                [*row, len(arms[arm, verified])] for row in _rows(arm, verified, source, found(rows, source), base, baseline, confidence)
            ]
    return pd.DataFrame(made, columns=COLUMNS)


def _rows(
    arm: str, verified: bool, source: str, found: pd.DataFrame, base: dict[str, Rate], baseline: pd.DataFrame, confidence: float
) -> list[list[object]]:
    nan = float("nan")
    rows: list[list[object]] = []
    for measure, take in (("span_mean", "mean"), ("span_max", "max")):
        value, real = (float(getattr(table["span"], take)()) for table in (found, baseline))
        compared = [nan, nan] if arm == REAL else [real, value - real]
        rows.append([arm, verified, source, measure, value, nan, nan, *compared, nan, nan, len(found)])
    for measure in SHARES:
        own = rate(found[measure].to_numpy(), found["cluster"].tolist(), confidence)
        rows.append([arm, verified, source, measure, *own.beside(None if arm == REAL else base[measure]), own.n])
    return rows
