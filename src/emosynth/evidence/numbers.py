"""How numbers are written, everywhere: in readings of claims, captions and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from emosynth.design.arms import writer_spec
from emosynth.params import Params

POINTS = 100.0
"""F1 is shown in points: 0.612 is 61.2."""

_TIE = "\u00a0"


def known(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: float | None, digits: int = 1, sign: bool = False) -> str:
    """Write a number with a true minus sign; what is not known is a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    rounded = round(float(value), digits) + 0.0
    return ("−" if rounded < 0 else "+" if sign and rounded > 0 else "") + f"{abs(rounded):.{digits}f}"


def score(value: float | None) -> str:
    """Write an F1 score in points: ``61.2``."""
    return number(None if value is None else POINTS * value)


def gain(value: float | None) -> str:
    """Write a difference of F1 scores in points, signed: ``+0.8``."""
    return number(None if value is None else POINTS * value, sign=True)


def span(low: float | None, high: float | None, digits: int = 1, sign: bool = True) -> str:
    """Write an interval so that no line breaks in it: ``−1.2 to +2.8``; nothing if there is none."""
    if not known(low) or not known(high):
        return ""
    return f"{number(low, digits, sign)}{_TIE}to{_TIE}{number(high, digits, sign)}"


def gain_span(low: float, high: float) -> str:
    """Write the interval of a difference of F1 scores in points."""
    return span(POINTS * low, POINTS * high)


def sized(value: float | None) -> str:
    """Write a measure of any scale with about three digits."""
    if value is None or not math.isfinite(value):
        return "–"
    return number(value, 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3)


def per_cent(value: float | None, digits: int = 0) -> str:
    """Write a share as per cent; a share that is not 0 is never written as 0."""
    if value is None or not math.isfinite(value):
        return "–"
    least = 10.0**-digits
    if 0 < 100 * value < least / 2:
        return f"under{_TIE}{least:.{digits}f}{_TIE}%"
    return f"{number(100 * value, digits)}{_TIE}%"


def count(value: float | None) -> str:
    """Write a whole number with thin spaces between thousands."""
    return "–" if value is None or not math.isfinite(value) else f"{round(value):,}".replace(",", "\u202f")


def p_text(value: float | None) -> str:
    """Write a p."""
    return "–" if value is None or not math.isfinite(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def some(count_: int, one: str, many: str = "") -> str:
    """Write a number of things: ``1 repeat``, ``3 repeats``."""
    return f"{count(count_)} {one if count_ == 1 else many or one + 's'}"


def listed(items: list[str]) -> str:
    """Write items as a list in words; items that hold commas themselves (``naïve, taught``) are told apart by semicolons."""
    if len(items) < 2:
        return items[0] if items else "none"
    if any("," in item for item in items):
        return "; ".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def chance(p: float) -> str:
    """Write the P of a gain: ``P = 0.87``; one that is not sure is never written as 0 or 1."""
    return "P < 0.01" if 0 < p < 0.005 else "P > 0.99" if 0.995 <= p < 1 else f"P = {number(p, 2)}"


def labels_worth(value: float, low: float, high: float, reach: float) -> tuple[str, str]:
    """Write what a gain is worth in real labels, and the interval; infinity: more than the curve's ``reach``.

    Where the interval does not lie above zero no worth is shown, and only the most that it may be is told: less than no labels is nothing to read.
    """

    def labels(many: float) -> str:
        return f"over{_TIE}{count(reach)}" if many == math.inf else count(many)

    if math.isnan(value):
        return "–", ""
    if not low > 0:
        most = f"may be {labels(high)}" if high == math.inf else f"at most {labels(high)}"  # beyond the curve's end there is no limit
        return "none shown", most if high > 0 else ""
    return labels(value), f"{labels(low)} to {labels(high)}"


# --- sentences that figures and pages share ---


def level(params: Params) -> str:
    """Write the confidence of intervals: ``95 % interval``."""
    return f"{per_cent(params.evidence.confidence)} interval"


def gain_words(row: Any, params: Params) -> str:
    """Write a gain (of a contrast, or a row of a table of them) with its interval: ``+3.1 points of macro-F1 (95 % interval +1.0 to +5.2)``."""
    return f"{gain(row.gain if hasattr(row, 'gain') else row.effect)} points of macro-F1 ({level(params)} {gain_span(row.low, row.high)})"


def size(n: int) -> str:
    """Write a seed size so that it stays on one line."""
    return f"n\u00a0=\u00a0{n}"


INTERVALS = (
    "Intervals are over repeats (everything drawn anew) and test rows together; another corpus or another language model is not in them."
)


def told(value: float, low: float, high: float) -> str:
    """Write a difference of F1 scores with its interval, in points: ``+3.1 (+1.0 to +5.2)``."""
    return f"{gain(value)} ({gain_span(low, high)})"


def of_points(value: float, low: float, high: float) -> str:
    """Write the same of numbers that are points."""
    return told(value / POINTS, low / POINTS, high / POINTS)


# --- names of what a run used ---

_TEACHERS = {"embedding": "logistic regression on embeddings", "tfidf": "logistic regression on TF-IDF", "encoder": "a fine-tuned encoder"}


def models_of(params: Params, arm: str, learner: str, layers: int | None) -> Mapping[str, str]:
    """Return writer and teacher of an arm, and a learner, in words; ``layers``: of the encoder, if the learner tunes it."""
    spec = params.arms[arm].writer if arm in params.arms else ""
    other = writer_spec(params, spec).model if isinstance(spec, str) and spec else None
    model = params.models.writer.model if other is None else params.models.others[other].model
    encoder = _last(params.models.encoder)
    tuned = f"{some(layers, 'layer')} of {encoder}" if layers else encoder
    return {
        "writer": _last(model) if isinstance(spec, str) else "several writers", "teacher": _TEACHERS[params.teacher.kind],
        "learner": tuned if learner == "encoder" else learner,
    }  # fmt: skip


def _last(name: str) -> str:
    """Return the last part of a model's name or path: no folder of a machine stands in a report."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]
