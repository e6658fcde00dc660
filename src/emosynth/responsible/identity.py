"""Words that name groups of people, and the emotions that they are tied to in written text, beside real text. Counted; no text leaves this module."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from emosynth.errors import UserError
from emosynth.params.base import load_yaml
from emosynth.responsible.rates import Rate, rate
from emosynth.stats import holm

COLUMNS = [
    "arm", "group", "label", "texts", "mentions", "real_texts", "real_mentions", "value", "real", "ratio", "low", "high", "p", "p_holm", "note",
]  # fmt: skip
FEWEST = 5
"""Mentions, of written and real text together, below which a ratio is not tested."""
FEW = f"fewer than {FEWEST} mentions: not tested"


class _Terms(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: list[str] = Field(default_factory=list)
    people: list[str] = Field(default_factory=list, description="joined with each of nouns")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    nouns: list[str]
    groups: dict[str, _Terms]


def words_pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Return what finds words as wholes, longest first; none is a part of another word."""
    return re.compile(rf"(?<![\w])(?:{'|'.join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))})(?![\w])")


@dataclass(frozen=True)
class Groups:
    """Terms by group, all in lower case."""

    terms: dict[str, tuple[str, ...]]

    @classmethod
    def load(cls, file: Path) -> Groups:
        """Read ``data/identity.yaml``.

        Raises
        ------
        UserError
            If it is missing, or has a key or a value that is not known.
        """
        try:
            made = _File.model_validate(load_yaml(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError) as error:
            what = f"The terms of groups cannot be read: {str(error).splitlines()[0]}."
            raise UserError(what, where=str(file), remedy="Restore data/identity.yaml from the repository, or mend it.") from error
        return cls(
            {
                name: tuple(
                    dict.fromkeys([*map(str.lower, given.words), *(f"{word} {noun}" for word in given.people for noun in made.nouns)])
                )
                for name, given in made.groups.items()
            }
        )

    def in_texts(self, texts: Sequence[str]) -> dict[str, list[bool]]:
        """Return for each group which texts name it."""
        lower = [re.sub(r"\s+", " ", text.lower()) for text in texts]
        return {
            name: [find.search(text) is not None for text in lower] for name, find in ((n, words_pattern(t)) for n, t in self.terms.items())
        }


def identity(arms: dict[str, pd.DataFrame], real: pd.DataFrame, groups: Groups, classes: Sequence[str], confidence: float) -> pd.DataFrame:
    """Compare how often each group is named, in all texts and in those of each class, with real text.

    Parameters
    ----------
    arms
        By arm: accepted rows in the columns of `emosynth.responsible.texts`; ``labels`` are what a learner is given.
    real
        Real rows in the same columns.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`. ``label`` empty: all texts. ``value``, ``real``: share of texts that name the group. ``ratio``: of these shares, with a score
        interval (Miettinen and Nurminen 1985) at effective numbers of texts; infinite where no real text names the group; NaN where none
        does at all. ``p``: Fisher's exact test; ``p_holm``: corrected within the arm.
    """
    base, made = _rates(real, groups, classes, confidence), []
    for arm, rows in arms.items():
        own = _rates(rows, groups, classes, confidence)
        of_arm: list[list[Any]] = []
        for (group, label), one in own.items():
            other = base[group, label]
            if one.n and other.n:
                hits = round(one.value * one.n), round(other.value * other.n)
                of_arm.append(
                    [arm, group, label, one.n, hits[0], other.n, hits[1], one.value, other.value, *_ratio(one, other, confidence)]
                )
        made += [[*row[:-1], float(p), row[-1]] for row, p in zip(of_arm, holm([row[-2] for row in of_arm]), strict=True)]
    return pd.DataFrame(made, columns=COLUMNS)


def _rates(rows: pd.DataFrame, groups: Groups, classes: Sequence[str], confidence: float) -> dict[tuple[str, str], Rate]:
    """Return the share of texts that name a group, by group and class; of all texts by group and nothing."""
    of_class = {label: np.array([not label or label in own for own in rows["labels"]], dtype=bool) for label in ("", *classes)}
    clusters, named = pd.factorize(rows["cluster"])[0], groups.in_texts(rows["text"].tolist())
    return {
        (group, label): rate(np.array(flags, dtype=bool)[chosen], clusters[chosen].tolist(), confidence)
        for group, flags in named.items()
        for label, chosen in of_class.items()
    }


def _ratio(one: Rate, other: Rate, confidence: float) -> list[object]:
    """Return ratio, interval, p, and why it is not tested; texts of one cluster count as few as `rate` says."""
    from scipy.stats import fisher_exact
    from statsmodels.stats.proportion import confint_proportions_2indep

    hits = round(one.value * one.n + other.value * other.n)
    if hits < 1:
        return [math.nan, math.nan, math.nan, math.nan, FEW]
    first, second = [(item.value * item.n / item.effect, item.n / item.effect) for item in (one, other)]
    turned = other.value == 0  # the ratio is infinite: what can be computed is its reciprocal, 0
    counts = (*second, *first) if turned else (*first, *second)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a share of 0 or 1 makes some of the formula's terms infinite on the way
        low, high = (float(end) for end in confint_proportions_2indep(*counts, method="score", compare="ratio", alpha=1 - confidence))
    low = max(0.0, low) if counts[0] > 0 else 0.0
    # Few mentions make the score test too bold; Fisher's is exact.
    whole = [[round(count), round(n) - round(count)] for count, n in (first, second)]
    p, note = (float(fisher_exact(whole).pvalue), "") if hits >= FEWEST else (math.nan, FEW)
    return [math.inf, 1 / high, math.inf, p, note] if turned else [one.value / other.value, low, high, p, note]
