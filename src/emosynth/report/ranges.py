"""The values that scores and each measure of authenticity can take, declared once; intervals are cut to them where the report reads them.

Intervals of few repeats are widened about their value (`emosynth.stats.of_few_repeats`), which knows no bounds: a recall of 0.71 had one up to 1.13.
It is declared here and not in `emosynth.authenticity`: what step 08 keeps is named by the sources of that room, and would be measured anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

SHARE, RATE, POSITIVE = (0.0, 1.0), (0.0, 100.0), (0.0, math.inf)

RANGES: Mapping[str, tuple[float, float]] = {
    "words_per_text": POSITIVE, "ttr": SHARE, "hdd": SHARE, "mattr": SHARE, "mtld": POSITIVE,
    **dict.fromkeys(("first_person_rate", "second_person_rate", "third_person_rate", "temporal_rate"), RATE),
    **dict.fromkeys(("first_person_share", "temporal_share", "past_share", "present_share", "future_share"), SHARE),
    **dict.fromkeys(("share_deixis", "share_duration", "share_set", "share_date", "share_clock"), SHARE),
    "distinct_tenses": (1.0, math.inf),  # of texts that have one
    "novelty": SHARE, "gzip_ratio": POSITIVE, "self_repetition": SHARE, "detectability": SHARE,
    "precision": SHARE, "recall": SHARE, "density": POSITIVE, "coverage": SHARE,
    "distinct_1": SHARE, "distinct_2": SHARE, "spread": (0.0, 2.0),  # a cosine distance
}  # fmt: skip
"""Measure of panel, coverage or diversity -> its least and largest possible value. Rates are per 100 words."""

OF_TRAINING: Mapping[str, tuple[float, float]] = {"macro_f1": SHARE, "macro_f1_with_seed": SHARE, "rows": POSITIVE}
"""The same of what else step 10 measures round by round."""


def possible(rows: pd.DataFrame, ends: tuple[float, float] = RATE) -> pd.DataFrame:
    """Return rows with ``low`` and ``high`` cut to what all of them can be: scores in points, if ``ends`` are not given.

    An interval of F1 is symmetric about its value (`emosynth.resampling`) and knows no bounds either: of 97.1 there was one up to 100.3.
    """
    return rows.assign(**{name: rows[name].clip(*ends) for name in ("low", "high")})


def within_range(rows: pd.DataFrame, *, differences: bool = False) -> pd.DataFrame:
    """Return rows of ``measure``, ``low`` and ``high`` with intervals cut to what the measure can be.

    ``differences``: rows are differences of two values, which are at most as large as the range is wide. A measure that is not declared is left as it is.
    """
    known = {**RANGES, **OF_TRAINING}
    ends = [known.get(str(measure), (-math.inf, math.inf)) for measure in rows["measure"]]
    if differences:
        ends = [(least - most, most - least) for least, most in ends]
    least, most = (pd.Series([pair[side] for pair in ends], index=rows.index, dtype=float) for side in (0, 1))
    return rows.assign(low=rows["low"].clip(least, most), high=rows["high"].clip(least, most))
