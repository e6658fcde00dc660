"""One row of the panel, and when nothing can be said or tested."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emosynth.authenticity.features import Features
from emosynth.authenticity.resampling import Booleans, Integers, length_strata, matched, permuted_labels, seed_for
from emosynth.authenticity.sample import Sample
from emosynth.params import Authenticity
from emosynth.stats import Interval

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
