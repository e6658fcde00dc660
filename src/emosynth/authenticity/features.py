"""Everything the panel needs to know of one text, computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

import numpy as np
from numpy.typing import NDArray

from emosynth.authenticity import tokens as tokens_module
from emosynth.authenticity.resampling import Booleans, Integers, length_strata, matched, permuted_labels, seed_for
from emosynth.authenticity.richness import SELF, count_novel, seed_grams
from emosynth.authenticity.sample import Sample
from emosynth.authenticity.temporal import count_temporal
from emosynth.authenticity.tokens import TenseCounts, count_pronouns, count_tenses
from emosynth.models.tagger import Tag
from emosynth.params import Authenticity
from emosynth.stats import Interval
from emosynth.text import ngrams, normalise

COLUMNS = (
    "words", "text", "first", "second", "third", "has_first", "temporal", "has_temporal", "deixis", "duration", "set", "date", "clock",
    "past", "present", "future", "tensed", "forms", "has_tense", "novel", "grams",
)  # fmt: skip
"""Counts of one text. ``text`` is 1 if it has any words: texts without are in no denominator."""


@dataclass(frozen=True)
class TextFeatures:
    """One text: lower-case words, their numbers in a shared vocabulary, its different 4-grams, `COLUMNS`, and the text in UTF-8."""

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
    """Computes features, each text once; without a tagger the tense columns are empty, without seed texts those of novelty."""

    def __init__(self, tag: Tag | None, seed_texts: Sequence[str] | None) -> None:
        self._tag = tag
        self._known = None if seed_texts is None else seed_grams([tokens_module.counted(tokens_module.cased(text)) for text in seed_texts])
        self._vocabulary: dict[str, int] = {}
        self._grams: dict[tuple[str, ...], int] = {}
        self._seen: dict[str, TextFeatures] = {}

    def corpus(self, texts: Sequence[str]) -> Features:
        """Return the features of all texts, in order."""
        rows = [self._features(text) for text in texts]
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
                len(counted), 1, pronouns.first, pronouns.second, pronouns.third, pronouns.first > 0, temporal.total, temporal.total > 0,
                *astuple(temporal), tenses.past, tenses.present, tenses.future, tenses.tensed, len(tenses.forms), tenses.tensed > 0, novel,
                grams,
            )  # fmt: skip
        else:
            values = (0,) * len(COLUMNS)
        return TextFeatures(
            counted, np.array([self._vocabulary.setdefault(word, len(self._vocabulary)) for word in counted], dtype=np.int32),
            np.array(sorted({self._grams.setdefault(gram, len(self._grams)) for gram in ngrams(counted, SELF)}), dtype=np.int32),
            tuple(map(float, values)), normal.encode("utf-8", "replace"),
        )  # fmt: skip


# --- one row of the panel, and when nothing can be said or tested ---

NAN = math.nan
LEAST_MATCHED = (10, 0.1)
"""Texts of like length in arm and reference (number, share of the smaller) below which nothing is tested within strata of length."""
FEWEST = 5
"""Texts with words below which there are values but neither intervals nor tests."""


@dataclass(frozen=True)
class Row:
    """One row of the panel, before correction."""

    measure: str
    value: float = NAN
    interval: Interval = field(default_factory=lambda: Interval(NAN, NAN))
    reference: float = NAN
    effect: float = NAN
    effect_kind: str = ""
    p: float = NAN
    note: str = ""
    adjusted: float = NAN


@dataclass(frozen=True)
class Studied:
    """Texts under study beside the reference; ``compared`` is False for the reference itself."""

    sample: Sample
    features: Features
    compared: bool
    richness: dict[tuple[int, bool], dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    """Richness by token count, and whether drawn nested: the reference's is needed for every arm."""

    @property
    def with_words(self) -> int:
        """Texts with any words."""
        return int(self.features.column("text").sum())

    @property
    def tokens(self) -> int:
        """Words of all texts."""
        return int(self.features.column("words").sum())

    def generator(self, params: Authenticity, *names: str) -> np.random.Generator:
        """Return a generator that depends on the texts themselves: one more arm leaves other arms' numbers alone."""
        return seed_for(params.random_seed, self.sample.digest, *names)


def labellings(arm: Studied, reference: Studied, params: Authenticity) -> Booleans | None:
    """Return observed and permuted labels of the texts of arm and reference, or None where there is no test."""
    if not arm.compared or too_few(arm, reference) or apart(arm, reference):
        return None
    labels, strata = _strata(arm, reference)
    return permuted_labels(labels, strata, params.permutations, arm.generator(params, "labels"))


def _strata(arm: Studied, reference: Studied) -> tuple[Booleans, Integers]:
    labels = np.repeat([True, False], [len(arm.sample.texts), len(reference.sample.texts)])
    lengths = np.concatenate([arm.features.column("words"), reference.features.column("words")]).astype(np.int64)
    return labels, length_strata(lengths)


def too_few(arm: Studied, reference: Studied) -> str:
    """Say so if there are too few texts for an interval or a test."""
    if arm.with_words < FEWEST:
        return f"fewer than {FEWEST} texts with words: no interval, no test"
    if arm.compared and reference.with_words < FEWEST:
        return f"fewer than {FEWEST} reference texts with words: no test"
    return ""


def apart(arm: Studied, reference: Studied) -> str:
    """Say so if arm and reference differ too much in length for anything else to be tested apart from it."""
    if not arm.compared:
        return ""
    alike = matched(*_strata(arm, reference))
    number, share = LEAST_MATCHED
    if alike >= max(number, share * min(len(arm.sample.texts), len(reference.sample.texts))):
        return ""
    return f"only {alike} texts of a length that real text has too: not testable apart from length"


def caveat(arm: Studied, reference: Studied) -> str:
    """Return what stands in the way of a test, or nothing."""
    return too_few(arm, reference) or apart(arm, reference)


def notes(*parts: str) -> str:
    """Join what there is to say."""
    return "; ".join(part for part in parts if part)
