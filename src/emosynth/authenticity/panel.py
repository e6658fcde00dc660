"""The authenticity panel: every measure of every arm beside real text and beside a real-against-real control."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emosynth.authenticity import repetition, richness
from emosynth.authenticity.detect import detect
from emosynth.authenticity.features import COLUMNS, Extractor, Features
from emosynth.authenticity.resampling import (
    Booleans,
    Integers,
    bootstrap_ratios,
    length_strata,
    matched,
    orders,
    p_of_rows,
    permuted_labels,
    permuted_ratios,
    seed_for,
    sequences,
)
from emosynth.authenticity.tagger import Tag
from emosynth.params import Authenticity
from emosynth.stats import Interval, bootstrap_mean, cohens_h, hedges_g, holm, mann_whitney, percentile_interval

REAL = "real"
OTHER = "real-other"
PANEL_COLUMNS = (
    "arm",
    "verified",
    "measure",
    "family",
    "value",
    "low",
    "high",
    "reference",
    "effect",
    "effect_kind",
    "adjusted",
    "p",
    "p_holm",
    "n_texts",
    "n_tokens",
    "note",
)
LEAST_MATCHED = (10, 0.1)
"""Texts of like length in arm and reference (number, share of the smaller) below which nothing is tested within strata of length."""
FEWEST = 5
"""Texts with words below which there are values but neither intervals nor tests."""

_NAN = math.nan
_FEWEST_TOKENS = 100
_FEWEST_BYTES = 500
_BYTES_PER_TOKEN = 5


@dataclass(frozen=True)
class _Ratio:
    """A measure that is a ratio of sums over texts."""

    measure: str
    family: str
    numerator: str
    denominator: str
    scale: float
    effect_kind: str
    tested: bool = True
    needs: str = ""


_RATIOS = (
    _Ratio("first_person_rate", "pronouns", "first", "words", 100, "ratio"),
    _Ratio("second_person_rate", "pronouns", "second", "words", 100, "ratio"),
    _Ratio("third_person_rate", "pronouns", "third", "words", 100, "ratio"),
    _Ratio("first_person_share", "pronouns", "has_first", "text", 1, "cohens_h"),
    _Ratio("temporal_rate", "time", "temporal", "words", 100, "ratio"),
    _Ratio("temporal_share", "time", "has_temporal", "text", 1, "cohens_h"),
    # How expressions spread over types is described, not tested: they are few, and five more tests would drown the two above.
    *(
        _Ratio(f"share_{kind}", "time", kind, "temporal", 1, "cohens_h", tested=False)
        for kind in ("deixis", "duration", "set", "date", "clock")
    ),
    *(_Ratio(f"{tense}_share", "tense", tense, "tensed", 1, "cohens_h", needs="tagger") for tense in ("past", "present", "future")),
    _Ratio("distinct_tenses", "tense", "forms", "has_tense", 1, "hedges_g", needs="tagger"),
    _Ratio("novelty", "form", "novel", "grams", 1, "cohens_h", needs="seed"),
)
MEASURES: dict[str, str] = {
    "words_per_text": "length",
    **dict.fromkeys(richness.MEASURES, "richness"),
    **{ratio.measure: ratio.family for ratio in _RATIOS},
    "gzip_ratio": "form",
    "self_repetition": "form",
    "detectability": "detectability",
}
"""Family of each measure, in the order of the panel."""


@dataclass(frozen=True)
class _Row:
    """One row of the panel, before correction."""

    measure: str
    value: float = _NAN
    interval: Interval = field(default_factory=lambda: Interval(_NAN, _NAN))
    reference: float = _NAN
    effect: float = _NAN
    effect_kind: str = ""
    p: float = _NAN
    note: str = ""
    adjusted: float = _NAN


@dataclass(frozen=True)
class _Arm:
    """Texts under study beside the reference; ``compared`` is False for the reference itself."""

    name: str
    verified: bool
    texts: Sequence[str]
    features: Features
    compared: bool
    richness: dict[int, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    """Richness by token count: the reference's is needed for every arm."""

    @property
    def with_words(self) -> int:
        return int(self.features.column("text").sum())


def authenticity_panel(
    real: list[str],
    other_real: list[str],
    arms: Mapping[tuple[str, bool], list[str]],
    params: Authenticity,
    tag: Tag | None,
    seed_texts: list[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Measure how close arms are to real text.

    Parameters
    ----------
    real
        The reference: one half of held-out real text.
    other_real
        The other half, measured like an arm: shows how far real text is from real text. Arm ``real-other``.
    arms
        Texts by (arm, verified).
    params
        Token counts, numbers of resamples, confidence, seed.
    tag
        Part-of-speech tagger (:func:`emosynth.authenticity.tagger.load_tagger`); None leaves the tense family empty.
    seed_texts
        The seed that arms grew from, for novelty; None leaves novelty empty. For real text novelty is the baseline.
    progress
        Called with a line of text now and then.

    Returns
    -------
    pandas.DataFrame
        One row per arm, verified and measure; columns :data:`PANEL_COLUMNS`. Sorted: ``real``, ``real-other``, arms by name.

        - ``value``, ``low``, ``high``: the measure and its interval. Rates and shares: percentile bootstrap over texts.
          TTR, HD-D, MATTR, MTLD, gzip ratio and self-repetition: mean and percentiles of subsamples of texts without
          replacement, at equal tokens (bytes), at most half of either corpus; so they differ from full-corpus values.
        - ``reference``: the measure of ``real`` at the same number of tokens (bytes); 0.5, chance, for detectability.
        - ``effect``: Cliff's δ for length, ratio to the reference, Cohen's h for shares, Hedges' g for distinct tenses,
          2·AUC - 1 for detectability; ``effect_kind`` names it. 0 (for ratios 1) means alike.
        - ``adjusted``: for rates and shares, how far the difference from the reference lies from what texts of these lengths
          give by chance, in the measure's unit; its sign is the one that ``p`` speaks of. NaN for other measures.
        - ``p``: Mann–Whitney for length; one-sided, over folds, for detectability; otherwise labels permuted over texts within strata of length, richness and form at
          equal tokens (bytes) and one random order of texts. ``p_holm``: Holm's correction over all measures and arms of the
          family, separately for verified arms, unverified arms and the control.
        - ``n_texts``, ``n_tokens``: texts and words of the arm. ``note``: conditions and why a value is missing.

    Notes
    -----
    An arm without words gives rows of NaN with a note. Texts without words are in no denominator.
    """
    say = progress or (lambda line: None)
    extractor = Extractor(tag, seed_texts)
    reference = extractor.corpus(real)
    say(f"authenticity: {len(real)} reference texts read")
    studied = [_Arm(REAL, False, real, reference, False)]
    for (name, verified), texts in [((OTHER, False), other_real), *sorted(arms.items())]:
        studied.append(_Arm(name, verified, texts, extractor.corpus(texts), True))
    say(f"authenticity: {len(arms)} arms read")
    available = {"tagger": tag is not None, "seed": seed_texts is not None, "": True}
    frames = []
    for arm in studied:
        rows = list(_measure(arm, studied[0], params, available))
        frames.append(_frame(arm, rows))
        say(f"authenticity: {arm.name}{' (verified)' if arm.verified else ''} measured, {len(arm.texts)} texts")
    panel = pd.concat(frames, ignore_index=True)
    return _corrected(panel)[list(PANEL_COLUMNS)]


def _frame(arm: _Arm, rows: list[_Row]) -> pd.DataFrame:
    by_measure = {row.measure: row for row in rows}
    ordered = [by_measure[measure] for measure in MEASURES]
    return pd.DataFrame(
        {
            "arm": arm.name,
            "verified": arm.verified,
            "measure": [row.measure for row in ordered],
            "family": [MEASURES[row.measure] for row in ordered],
            "value": [float(row.value) for row in ordered],
            "low": [float(row.interval.low) for row in ordered],
            "high": [float(row.interval.high) for row in ordered],
            "reference": [float(row.reference) for row in ordered],
            "effect": [float(row.effect) for row in ordered],
            "effect_kind": [row.effect_kind for row in ordered],
            "adjusted": [float(row.adjusted) for row in ordered],
            "p": [float(row.p) for row in ordered],
            "n_texts": len(arm.texts),
            "n_tokens": int(arm.features.column("words").sum()),
            "note": [row.note for row in ordered],
        }
    )


def _corrected(panel: pd.DataFrame) -> pd.DataFrame:
    panel["p_holm"] = _NAN
    # Candidates before and after verification are two readings of one experiment; the control is none of its claims.
    for _, rows in panel.groupby(["family", panel["arm"].isin([REAL, OTHER]), "verified"], sort=True).groups.items():
        panel.loc[rows, "p_holm"] = holm(panel.loc[rows, "p"].to_numpy(dtype=float))
    return panel


def _measure(arm: _Arm, reference: _Arm, params: Authenticity, available: Mapping[str, bool]) -> Iterator[_Row]:
    """Yield the row of every measure."""
    if not arm.with_words:
        for measure in MEASURES:
            yield _Row(measure, note="no words in this arm")
        return
    if arm.compared and not reference.with_words:
        for measure in MEASURES:
            yield _Row(measure, note="no words in the reference")
        return
    yield _length(arm, reference, params)
    rows = _labellings(arm, reference, params)
    yield from _ratio_rows(arm, reference, params, available, rows)
    yield from _diversity_rows(arm, reference, params, rows)
    yield _detectability(arm, reference, params)


def _labellings(arm: _Arm, reference: _Arm, params: Authenticity) -> Booleans | None:
    """Return observed and permuted labels of the texts of arm and reference, or None where there is no test."""
    if not arm.compared or _few(arm, reference) or _apart(arm, reference):
        return None
    labels, strata = _strata(arm, reference)
    return permuted_labels(labels, strata, params.permutations, seed_for(params.random_seed, arm.name, arm.verified, "labels"))


def _strata(arm: _Arm, reference: _Arm) -> tuple[Booleans, Integers]:
    labels = np.repeat([True, False], [len(arm.texts), len(reference.texts)])
    lengths = np.concatenate([arm.features.column("words"), reference.features.column("words")]).astype(np.int64)
    return labels, length_strata(lengths)


def _few(arm: _Arm, reference: _Arm) -> str:
    if arm.with_words < FEWEST:
        return f"fewer than {FEWEST} texts with words: no interval, no test"
    if arm.compared and reference.with_words < FEWEST:
        return f"fewer than {FEWEST} reference texts with words: no test"
    return ""


def _apart(arm: _Arm, reference: _Arm) -> str:
    """Say so if arm and reference differ too much in length for anything else to be tested apart from it."""
    if not arm.compared:
        return ""
    alike = matched(*_strata(arm, reference))
    number, share = LEAST_MATCHED
    if alike >= max(number, share * min(len(arm.texts), len(reference.texts))):
        return ""
    return f"only {alike} texts of a length that real text has too: not testable apart from length"


def _caveat(arm: _Arm, reference: _Arm) -> str:
    return _few(arm, reference) or _apart(arm, reference)


def _notes(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


# --- length ---------------------------------------------------------------------------------------


def _length(arm: _Arm, reference: _Arm, params: Authenticity) -> _Row:
    words, real = _lengths(arm), _lengths(reference)
    few = _few(arm, reference)
    interval = Interval(_NAN, _NAN)
    if arm.with_words >= FEWEST:
        interval = bootstrap_mean(words, params.confidence, params.permutations, params.random_seed)
    test = mann_whitney(words, real)
    return _Row(
        "words_per_text",
        float(words.mean()),
        interval,
        float(real.mean()) if real.size else _NAN,
        test.effect if arm.compared else _NAN,
        "cliffs_delta",
        test.p if arm.compared and not few else _NAN,
        few,
    )


def _lengths(arm: _Arm) -> NDArray[np.float64]:
    words = arm.features.column("words")
    return words[words > 0]


# --- rates and shares -----------------------------------------------------------------------------


def _ratio_rows(arm: _Arm, reference: _Arm, params: Authenticity, available: Mapping[str, bool], rows: Booleans | None) -> Iterator[_Row]:
    above = [COLUMNS.index(ratio.numerator) for ratio in _RATIOS]
    below = [COLUMNS.index(ratio.denominator) for ratio in _RATIOS]
    own, real = arm.features.counts, reference.features.counts
    values, references = _ratios(own, above, below), _ratios(real, above, below)
    few = _caveat(arm, reference)
    intervals = [Interval(_NAN, _NAN)] * len(_RATIOS)
    if arm.with_words >= FEWEST:
        generator = seed_for(params.random_seed, arm.name, arm.verified, "bootstrap")
        spoken = own[own[:, COLUMNS.index("text")] > 0]
        intervals = bootstrap_ratios(spoken[:, above], spoken[:, below], params.confidence, params.permutations, generator)
    differences = None
    if rows is not None:
        both = np.vstack([own, real])
        differences = permuted_ratios(rows, both[:, above], both[:, below])
    for index, ratio in enumerate(_RATIOS):
        if not available[ratio.needs]:
            missing = {"tagger": "no part-of-speech tagger", "seed": "no seed texts"}[ratio.needs]
            yield _Row(ratio.measure, effect_kind=ratio.effect_kind, note=missing)
            continue
        value, baseline = float(values[index]), float(references[index])
        if math.isnan(value):
            empty = f"no {_PLAIN[ratio.denominator]} in this arm"
            yield _Row(ratio.measure, reference=baseline * ratio.scale, effect_kind=ratio.effect_kind, note=_notes(empty, few))
            continue
        p, adjusted = p_of_rows(differences[:, index]) if differences is not None and ratio.tested else (_NAN, _NAN)
        yield _Row(
            ratio.measure,
            value * ratio.scale,
            Interval(intervals[index].low * ratio.scale, intervals[index].high * ratio.scale),
            baseline * ratio.scale,
            _effect(ratio, value, baseline, own, real) if arm.compared else _NAN,
            ratio.effect_kind,
            p,
            _notes(few, "" if ratio.tested else "described, not tested", "occurs in no reference text" if baseline == 0 else ""),
            adjusted * ratio.scale,
        )


_PLAIN = {
    "words": "words",
    "text": "texts with words",
    "temporal": "temporal expressions",
    "tensed": "tensed verbs",
    "has_tense": "tensed verbs",
    "grams": "word 3-grams",
}


def _ratios(counts: NDArray[np.float64], above: list[int], below: list[int]) -> NDArray[np.float64]:
    sums = counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sums[above] / sums[below]
    return np.where(np.isfinite(ratios), ratios, _NAN)


def _effect(ratio: _Ratio, value: float, baseline: float, own: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    if ratio.effect_kind == "cohens_h":
        return cohens_h(value, baseline)
    if ratio.effect_kind == "hedges_g":
        column, present = COLUMNS.index(ratio.numerator), COLUMNS.index(ratio.denominator)
        return hedges_g(own[own[:, present] > 0, column], real[real[:, present] > 0, column])
    return value / baseline if baseline > 0 else _NAN


# --- richness and form at equal amounts --------------------------------------------------------------


def _diversity_rows(arm: _Arm, reference: _Arm, params: Authenticity, rows: Booleans | None) -> Iterator[_Row]:
    yield from _richness_rows(arm, reference, params, rows)
    yield from _form_rows(arm, reference, params, rows)


def _richness_rows(arm: _Arm, reference: _Arm, params: Authenticity, rows: Booleans | None) -> Iterator[_Row]:
    totals = [int(each.features.column("words").sum()) for each in (arm, reference)]
    tokens = min(params.tokens, min(totals) // 2)
    few = _caveat(arm, reference)
    if tokens < _FEWEST_TOKENS or arm.with_words < FEWEST:
        note = _notes(few, f"fewer than {2 * _FEWEST_TOKENS} tokens to compare at" if tokens < _FEWEST_TOKENS else "")
        for measure in richness.MEASURES:
            yield _Row(measure, effect_kind="ratio", note=note)
        return
    own = _richness(arm, tokens, params)
    real = _richness(reference, tokens, params) if arm.compared else own
    tested = _permuted_richness(arm, reference, params, rows)
    for index, measure in enumerate(richness.MEASURES):
        ordered = measure in ("mattr", "mtld")
        note = f"mean and percentiles of {len(own[measure])} {'random orders' if ordered else 'subsamples'} of texts, {tokens} tokens each"
        yield _equal_amounts(arm, measure, own[measure], real[measure], "ratio", tested[index], _notes(few, note), params)


def _equal_amounts(
    arm: _Arm,
    measure: str,
    own: NDArray[np.float64],
    real: NDArray[np.float64],
    effect_kind: str,
    p: float,
    note: str,
    params: Authenticity,
) -> _Row:
    value, baseline = _mean(own), _mean(real)
    effect = _NAN
    if arm.compared:
        effect = cohens_h(value, baseline) if effect_kind == "cohens_h" else value / baseline if baseline > 0 else _NAN
    return _Row(measure, value, percentile_interval(own, params.confidence), baseline, effect, effect_kind, p, note)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else _NAN


def _richness(arm: _Arm, tokens: int, params: Authenticity) -> dict[str, NDArray[np.float64]]:
    """Return the richness of subsamples of whole texts of one corpus, cut at ``tokens`` tokens."""
    if tokens in arm.richness:
        return arm.richness[tokens]
    generator = seed_for(params.random_seed, arm.name, arm.verified, "richness")
    texts = arm.features.texts
    values: dict[str, list[float]] = {measure: [] for measure in richness.MEASURES}
    for turn, order in enumerate(orders(len(texts), max(params.subsamples, params.orders), generator)):
        words: list[str] = []
        for index in order.tolist():
            words += texts[index].words
            if len(words) >= tokens:
                break
        words = words[:tokens]
        if turn < params.subsamples:
            values["ttr"].append(richness.ttr(words))
            values["hdd"].append(richness.hdd(words))
        if turn < params.orders:
            values["mattr"].append(richness.mattr(words))
            values["mtld"].append(richness.mtld(words))
    arm.richness[tokens] = {measure: np.array(found) for measure, found in values.items()}
    return arm.richness[tokens]


def _permuted_richness(arm: _Arm, reference: _Arm, params: Authenticity, rows: Booleans | None) -> list[float]:
    """Return p of each richness measure, both groups at equal tokens in every labelling."""
    if rows is None:
        return [_NAN] * len(richness.MEASURES)
    texts = [*arm.features.texts, *reference.features.texts]
    lengths = np.array([text.numbers.size for text in texts], dtype=np.int64)
    numbers = _compact([text.numbers for text in texts])
    limit = 2 * params.tokens
    shuffled = orders(len(texts), len(rows), seed_for(params.random_seed, arm.name, arm.verified, "orders"))
    differences = np.empty((len(rows), len(richness.MEASURES)))
    block = 250
    for start in range(0, len(rows), block):
        members = rows[start : start + block]
        sides = _sides(members, shuffled[start : start + block])
        amounts = np.minimum(np.minimum(members @ lengths, ~members @ lengths), limit)
        size = int(amounts.max())
        scores = []
        for side in sides:
            matrix, _ = sequences(numbers, side, size)
            matrix[np.arange(size) >= amounts[:, None]] = -1
            scores.append(richness.all_measures(matrix, amounts))
        differences[start : start + block] = scores[0] - scores[1]
    return [p_of_rows(differences[:, index])[0] for index in range(len(richness.MEASURES))]


def _sides(members: Booleans, shuffled: Integers) -> tuple[list[Integers], list[Integers]]:
    """Return for each labelling the texts labelled True and those labelled False, each in the random order."""
    inside = np.take_along_axis(members, shuffled, axis=1)
    return (
        [order[kept] for order, kept in zip(shuffled, inside, strict=True)],
        [order[~kept] for order, kept in zip(shuffled, inside, strict=True)],
    )


def _compact(parts: list[NDArray[np.int32]]) -> list[NDArray[np.int32]]:
    """Return the parts with the numbers that occur renumbered from 0."""
    if not parts:
        return []
    _, renumbered = np.unique(np.concatenate(parts), return_inverse=True)
    ends = np.cumsum([part.size for part in parts])
    return np.split(renumbered.astype(np.int32), ends[:-1])


def _form_rows(arm: _Arm, reference: _Arm, params: Authenticity, rows: Booleans | None) -> Iterator[_Row]:
    few = _caveat(arm, reference)
    plans = (
        ("gzip_ratio", "ratio", _FEWEST_BYTES, "bytes", _BYTES_PER_TOKEN * params.tokens),
        ("self_repetition", "cohens_h", _FEWEST_TOKENS, "tokens", params.tokens),
    )
    for measure, effect_kind, fewest, unit, most in plans:
        amounts = [_amounts(each.features, unit) for each in (arm, reference)]
        size = min(most, int(min(amount.sum() for amount in amounts)) // 2)
        if size < fewest or arm.with_words < FEWEST:
            note = _notes(few, f"fewer than {2 * fewest} {unit} to compare at" if size < fewest else "")
            yield _Row(measure, effect_kind=effect_kind, note=note)
            continue
        own = _form(measure, arm, size, params)
        real = _form(measure, reference, size, params) if arm.compared else own
        p = _permuted_form(measure, arm, reference, size, params, rows)
        note = _notes(few, f"mean and percentiles of {params.subsamples} subsamples of texts, {size} {unit} each")
        yield _equal_amounts(arm, measure, own, real, effect_kind, p, note, params)


def _amounts(features: Features, unit: str) -> Integers:
    if unit == "bytes":
        return np.array([len(text.data) + 1 for text in features.texts], dtype=np.int64)
    return features.column("words").astype(np.int64)


def _form_of(measure: str, features: Sequence[Features], amounts: Integers, order: Integers, size: int) -> float:
    """Return gzip ratio or self-repetition of the first texts of an order that make up ``size`` bytes or tokens."""
    needed = int(np.searchsorted(np.cumsum(amounts[order]), size)) + 1
    first = len(features[0].texts)
    texts = [features[0].texts[index] if index < first else features[1].texts[index - first] for index in order[:needed].tolist()]
    if measure == "gzip_ratio":
        return repetition.gzip_ratio(b"\n".join(text.data for text in texts)[:size])
    return repetition.self_repetition([text.grams for text in texts])


def _form(measure: str, arm: _Arm, size: int, params: Authenticity) -> NDArray[np.float64]:
    generator = seed_for(params.random_seed, arm.name, arm.verified, measure)
    amounts = _amounts(arm.features, "bytes" if measure == "gzip_ratio" else "tokens")
    return np.array(
        [_form_of(measure, [arm.features], amounts, order, size) for order in orders(len(arm.texts), params.subsamples, generator)]
    )


def _permuted_form(measure: str, arm: _Arm, reference: _Arm, size: int, params: Authenticity, rows: Booleans | None) -> float:
    if rows is None:
        return _NAN
    features = [arm.features, reference.features]
    unit = "bytes" if measure == "gzip_ratio" else "tokens"
    amounts = np.concatenate([_amounts(each, unit) for each in features])
    shuffled = orders(amounts.size, len(rows), seed_for(params.random_seed, arm.name, arm.verified, measure, "orders"))
    differences = np.empty(len(rows))
    for index, (inside, outside) in enumerate(zip(*_sides(rows, shuffled), strict=True)):
        equal = min(int(amounts[inside].sum()), int(amounts[outside].sum()), size)
        differences[index] = _form_of(measure, features, amounts, inside, equal) - _form_of(measure, features, amounts, outside, equal)
    return p_of_rows(differences)[0]


# --- detectability --------------------------------------------------------------------------------


def _detectability(arm: _Arm, reference: _Arm, params: Authenticity) -> _Row:
    if not arm.compared:
        return _Row("detectability", reference=0.5, effect_kind="2auc-1", note="the reference is not compared with itself; chance is 0.5")
    found = detect(arm.texts, reference.texts, permutations=params.permutations, confidence=params.confidence, seed=params.random_seed)
    if math.isnan(found.auc):
        return _Row("detectability", reference=0.5, effect_kind="2auc-1", note=f"too few different texts of each kind ({found.n})")
    note = f"reference is chance; {found.n} texts of each kind"
    return _Row("detectability", found.auc, Interval(found.low, found.high), 0.5, 2 * found.auc - 1, "2auc-1", found.p, note)
