"""Everything the panel needs to know of one text, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from emosynth.authenticity import tokens as tokens_module
from emosynth.authenticity.pronouns import count_pronouns
from emosynth.authenticity.repetition import SELF, count_novel, seed_grams
from emosynth.authenticity.temporal import count_temporal
from emosynth.authenticity.tense import TenseCounts, count_tenses
from emosynth.models.tagger import Tag
from emosynth.text import ngrams, normalise

COLUMNS = (
    "words",
    "text",
    "first",
    "second",
    "third",
    "has_first",
    "temporal",
    "has_temporal",
    "deixis",
    "duration",
    "set",
    "date",
    "clock",
    "past",
    "present",
    "future",
    "tensed",
    "forms",
    "has_tense",
    "novel",
    "grams",
)
"""Counts of one text. ``text`` is 1 if it has any words: texts without are in no denominator."""


@dataclass(frozen=True)
class TextFeatures:
    """One text.

    Attributes
    ----------
    words
        Its words, lower-case.
    numbers
        Its words as numbers of a vocabulary shared by all texts of the panel.
    grams
        Its different word 4-grams as numbers of a shared list.
    counts
        Values of :data:`COLUMNS`.
    data
        The normalised text in UTF-8.
    """

    words: list[str]
    numbers: NDArray[np.int32]
    grams: NDArray[np.int32]
    counts: tuple[float, ...]
    data: bytes


@dataclass(frozen=True)
class Features:
    """The texts of one corpus or arm; ``counts`` has shape (texts, columns)."""

    texts: list[TextFeatures]
    counts: NDArray[np.float64]

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one column of counts."""
        return self.counts[:, COLUMNS.index(name)]


class Extractor:
    """Computes features; a text that occurs in several arms is read and tagged once.

    Parameters
    ----------
    tag
        Part-of-speech tagger; None leaves the tense columns empty.
    seed_texts
        Texts of the seed for novelty; None leaves the novelty columns empty.
    """

    def __init__(self, tag: Tag | None, seed_texts: Sequence[str] | None) -> None:
        self._tag = tag
        self._known = None if seed_texts is None else seed_grams([tokens_module.counted(tokens_module.cased(text)) for text in seed_texts])
        self._vocabulary: dict[str, int] = {}
        self._grams: dict[tuple[str, ...], int] = {}
        self._seen: dict[str, TextFeatures] = {}

    def corpus(self, texts: Sequence[str], each: Callable[[], None] | None = None) -> Features:
        """Return the features of all texts, in order."""
        rows = []
        for text in texts:
            rows.append(self._features(text))
            if each is not None:
                each()
        counts = np.array([row.counts for row in rows], dtype=float).reshape(len(rows), len(COLUMNS))
        return Features(rows, counts)

    def _features(self, text: str) -> TextFeatures:
        normal = normalise(text)
        if normal not in self._seen:
            self._seen[normal] = self._compute(normal)
        return self._seen[normal]

    def _compute(self, normal: str) -> TextFeatures:
        cased = tokens_module.cased(normal)
        counted = tokens_module.counted(cased)
        if counted:
            pronouns = count_pronouns(cased)
            temporal = count_temporal(normal)
            tenses = count_tenses(self._tag(tokens_module.for_tagging(cased))) if self._tag else TenseCounts()
            novel, grams = count_novel(counted, self._known) if self._known is not None else (0, 0)
            values: tuple[float, ...] = (
                len(counted),
                1,
                pronouns.first,
                pronouns.second,
                pronouns.third,
                pronouns.first > 0,
                temporal.total,
                temporal.total > 0,
                *astuple(temporal),
                tenses.past,
                tenses.present,
                tenses.future,
                tenses.tensed,
                len(tenses.forms),
                tenses.tensed > 0,
                novel,
                grams,
            )
        else:
            values = (0,) * len(COLUMNS)
        return TextFeatures(
            counted,
            np.array([self._vocabulary.setdefault(word, len(self._vocabulary)) for word in counted], dtype=np.int32),
            np.array(sorted({self._grams.setdefault(gram, len(self._grams)) for gram in ngrams(counted, SELF)}), dtype=np.int32),
            tuple(map(float, values)),
            normal.encode("utf-8", "replace"),
        )
