"""Length, and measures that are ratios of sums over texts: rates, shares, mean numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from emosynth.authenticity.features import COLUMNS, FEWEST, NAN, Row, Studied, caveat, notes, too_few
from emosynth.authenticity.resampling import Booleans, Floats, half_ratios, p_of_rows, permuted_ratios, ratio_variances, ratios, widening
from emosynth.params import Authenticity
from emosynth.stats import Interval, Nest, cohens_h, hedges_g, mann_whitney, percentile_interval


@dataclass(frozen=True)
class Ratio:
    """A measure that is a ratio of sums over texts; ``needs`` names what it cannot do without."""

    measure: str
    family: str
    numerator: str
    denominator: str
    scale: float
    effect_kind: str
    tested: bool = True
    needs: str = ""


LENGTH = Ratio("words_per_text", "length", "words", "text", 1, "cliffs_delta")
RATIOS = (
    Ratio("first_person_rate", "pronouns", "first", "words", 100, "ratio", needs="english"),
    Ratio("second_person_rate", "pronouns", "second", "words", 100, "ratio", needs="english"),
    Ratio("third_person_rate", "pronouns", "third", "words", 100, "ratio", needs="english"),
    Ratio("first_person_share", "pronouns", "has_first", "text", 1, "cohens_h", needs="english"),
    Ratio("temporal_rate", "time", "temporal", "words", 100, "ratio", needs="english"),
    Ratio("temporal_share", "time", "has_temporal", "text", 1, "cohens_h", needs="english"),
    # How expressions spread over types is described, not tested: they are few, and five more tests would drown the two above.
    *(
        Ratio(f"share_{kind}", "time", kind, "temporal", 1, "cohens_h", tested=False, needs="english")
        for kind in ("deixis", "duration", "set", "date", "clock")
    ),
    *(Ratio(f"{tense}_share", "tense", tense, "tensed", 1, "cohens_h", needs="tagger") for tense in ("past", "present", "future")),
    Ratio("distinct_tenses", "tense", "forms", "has_tense", 1, "hedges_g", needs="tagger"),
    Ratio("novelty", "form", "novel", "grams", 1, "cohens_h", needs="seed"),
)

_PLAIN = {
    "words": "words", "text": "texts with words", "temporal": "temporal expressions", "tensed": "tensed verbs", "has_tense": "tensed verbs",
    "grams": "word 3-grams",
}  # fmt: skip


def rate_rows(arm: Studied, reference: Studied, params: Authenticity, missing: Mapping[str, str], labels: Booleans | None) -> Iterator[Row]:
    """Yield the row of length and of every ratio.

    ``missing``: why what a measure needs is not there, by `Ratio.needs`; empty: it is there.
    """
    measures = (LENGTH, *RATIOS)
    above, below = ([COLUMNS.index(getattr(ratio, part)) for ratio in measures] for part in ("numerator", "denominator"))
    own, real = arm.features.counts, reference.features.counts
    values, references = (ratios(counts.sum(axis=0)[above], counts.sum(axis=0)[below]) for counts in (own, real))
    intervals, wider = _spread(arm, reference, params, above, below)
    both = np.vstack([own, real])
    differences = None if labels is None else permuted_ratios(labels, both[:, above[1:]], both[:, below[1:]])
    yield _length(arm, reference, float(values[0]), intervals[0], float(wider[0]))
    note = caveat(arm, reference)
    for place, ratio in enumerate(RATIOS, start=1):
        if missing[ratio.needs]:
            yield Row(ratio.measure, effect_kind=ratio.effect_kind, note=missing[ratio.needs])
            continue
        value, baseline = float(values[place]), float(references[place])
        if math.isnan(value):
            empty = f"no {_PLAIN[ratio.denominator]} in this arm"
            yield Row(ratio.measure, reference=baseline * ratio.scale, effect_kind=ratio.effect_kind, note=notes(empty, note))
            continue
        tested = differences is not None and ratio.tested
        p, adjusted = p_of_rows(differences[:, place - 1], float(wider[place])) if tested and differences is not None else (NAN, NAN)
        yield Row(
            ratio.measure, value * ratio.scale, Interval(intervals[place].low * ratio.scale, intervals[place].high * ratio.scale),
            baseline * ratio.scale, _effect(ratio, value, baseline, own, real) if arm.compared else NAN, ratio.effect_kind, p,
            notes(note, "" if ratio.tested else "described, not tested", "occurs in no reference text" if baseline == 0 else ""),
            adjusted * ratio.scale,
        )  # fmt: skip


def _spread(arm: Studied, reference: Studied, params: Authenticity, above: list[int], below: list[int]) -> tuple[list[Interval], Floats]:
    """Return the interval of every ratio, and how much wider than for independent texts its difference spreads."""
    if arm.with_words < FEWEST:
        return [Interval(NAN, NAN)] * len(above), np.ones(len(above))
    counts, nest = arm.features.counts, arm.sample.nest
    spoken = counts[:, COLUMNS.index("text")] > 0
    own, nest = counts[spoken], Nest(nest.repeats[spoken], nest.clusters[spoken], nest.strata[spoken])
    halves = half_ratios(own[:, above], own[:, below], nest, params.permutations, arm.generator(params, "halves"))
    intervals = [percentile_interval(column, params.confidence) for column in halves.T]
    if nest.is_flat or not arm.compared:
        return intervals, np.ones(len(above))
    real = reference.features.counts
    plain, other = ratio_variances(own[:, above], own[:, below]), ratio_variances(real[:, above], real[:, below])
    nested = [float(np.var(column[~np.isnan(column)])) if (~np.isnan(column)).any() else NAN for column in halves.T]
    return intervals, np.array([widening(*map(float, spread)) for spread in zip(nested, plain, other, strict=True)])


def _length(arm: Studied, reference: Studied, value: float, interval: Interval, wider: float) -> Row:
    words, real = (column[column > 0] for column in (arm.features.column("words"), reference.features.column("words")))
    few = too_few(arm, reference)
    test = mann_whitney(words, real)
    p = float(2 * norm.sf(norm.isf(test.p / 2) / wider))
    return Row(
        LENGTH.measure, value, interval, float(real.mean()) if real.size else NAN, test.effect if arm.compared else NAN, LENGTH.effect_kind,
        p if arm.compared and not few else NAN, few,
    )  # fmt: skip


def _effect(ratio: Ratio, value: float, baseline: float, own: Floats, real: Floats) -> float:
    if ratio.effect_kind == "cohens_h":
        return cohens_h(value, baseline)
    if ratio.effect_kind == "hedges_g":
        column, present = COLUMNS.index(ratio.numerator), COLUMNS.index(ratio.denominator)
        return hedges_g(own[own[:, present] > 0, column], real[real[:, present] > 0, column])
    return value / baseline if baseline > 0 else NAN
