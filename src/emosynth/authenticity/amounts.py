"""Measures that depend on the amount of text: richness and repetition, at equal tokens or bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from emosynth.authenticity import richness
from emosynth.authenticity.features import FEWEST, NAN, Features, Row, Studied, caveat, notes
from emosynth.authenticity.resampling import Booleans, Floats, Integers, orders, p_of_rows, sequences, widening
from emosynth.params import Authenticity
from emosynth.stats import Interval, cohens_h, nested_orders, percentile_interval

_FEWEST_TOKENS = 100
_FEWEST_BYTES = 500
_BYTES_PER_TOKEN = 5
_BLOCK = 250


def amount_rows(arm: Studied, reference: Studied, params: Authenticity, labels: Booleans | None) -> Iterator[Row]:
    """Yield the row of every measure of richness and form."""
    yield from _richness_rows(arm, reference, params, labels)
    yield from _form_rows(arm, reference, params, labels)


def _row(
    measure: str, effect_kind: str, values: tuple[Floats, Floats, Floats], statistics: Floats | None, note: str, params: Authenticity
) -> Row:
    """Return a row from subsamples of the arm, from the same drawn nested, and from those of the reference."""
    own, nested, real = values
    value, baseline = _mean(own), _mean(real)
    compared = real is not own
    # Texts of one prompt share words, so nested subsamples are poorer on average: their spread counts, not their mean.
    interval = percentile_interval(nested - _mean(nested) + value, params.confidence)
    if effect_kind == "cohens_h":
        interval = Interval(max(0.0, interval.low), min(1.0, interval.high)) if not np.isnan(interval.low) else interval
    effect = p = NAN
    if compared:
        effect = cohens_h(value, baseline) if effect_kind == "cohens_h" else value / baseline if baseline > 0 else NAN
    if statistics is not None:
        wider = 1.0 if nested is own else widening(*(float(np.nanvar(part)) for part in (nested, own, real)))
        p = p_of_rows(statistics, wider)[0]
    return Row(measure, value, interval, baseline, effect, effect_kind, p, note)


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else NAN


def _drawn(arm: Studied, count: int, nested: bool, generator: np.random.Generator) -> Integers:
    return nested_orders(arm.sample.nest, count, generator) if nested else orders(len(arm.sample.texts), count, generator)


# --- richness -----------------------------------------------------------------------------------------


def _richness_rows(arm: Studied, reference: Studied, params: Authenticity, labels: Booleans | None) -> Iterator[Row]:
    tokens = min(params.tokens, min(arm.tokens, reference.tokens) // 2)
    note = caveat(arm, reference)
    if tokens < _FEWEST_TOKENS or arm.with_words < FEWEST:
        short = f"fewer than {2 * _FEWEST_TOKENS} tokens to compare at" if tokens < _FEWEST_TOKENS else ""
        for measure in richness.MEASURES:
            yield Row(measure, effect_kind="ratio", note=notes(note, short))
        return
    own = _richness(arm, tokens, False, params)
    nested = own if arm.sample.nest.is_flat else _richness(arm, tokens, True, params)
    real = _richness(reference, tokens, False, params) if arm.compared else own
    tested = _permuted_richness(arm, reference, params, labels)
    for index, measure in enumerate(richness.MEASURES):
        kind = "random orders" if measure in ("mattr", "mtld") else "subsamples"
        about = f"mean and percentiles of {len(own[measure])} {kind} of texts, {tokens} tokens each"
        statistics = None if tested is None else tested[:, index]
        yield _row(measure, "ratio", (own[measure], nested[measure], real[measure]), statistics, notes(note, about), params)


def _richness(arm: Studied, tokens: int, nested: bool, params: Authenticity) -> dict[str, NDArray[np.float64]]:
    """Return the richness of subsamples of whole texts of one corpus, cut at ``tokens`` tokens."""
    if (tokens, nested) in arm.richness:
        return arm.richness[tokens, nested]
    generator = arm.generator(params, "richness", "nested" if nested else "")
    texts = arm.features.texts
    values: dict[str, list[float]] = {measure: [] for measure in richness.MEASURES}
    for turn, order in enumerate(_drawn(arm, max(params.subsamples, params.orders), nested, generator)):
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
    arm.richness[tokens, nested] = {measure: np.array(found) for measure, found in values.items()}
    return arm.richness[tokens, nested]


def _permuted_richness(arm: Studied, reference: Studied, params: Authenticity, labels: Booleans | None) -> Floats | None:
    """Return the difference of each richness measure, both groups at equal tokens, in every labelling."""
    if labels is None:
        return None
    texts = [*arm.features.texts, *reference.features.texts]
    lengths = np.array([text.numbers.size for text in texts], dtype=np.int64)
    numbers = _compact([text.numbers for text in texts])
    limit = 2 * params.tokens
    shuffled = orders(len(texts), len(labels), arm.generator(params, "orders"))
    differences = np.empty((len(labels), len(richness.MEASURES)))
    for start in range(0, len(labels), _BLOCK):
        members = labels[start : start + _BLOCK]
        amounts = np.minimum(np.minimum(members @ lengths, ~members @ lengths), limit)
        size = int(amounts.max())
        scores = []
        for side in _sides(members, shuffled[start : start + _BLOCK]):
            matrix = sequences(numbers, side, size)
            matrix[np.arange(size) >= amounts[:, None]] = -1
            scores.append(richness.all_measures(matrix, amounts))
        differences[start : start + _BLOCK] = scores[0] - scores[1]
    return differences


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


# --- form ---------------------------------------------------------------------------------------------


def _form_rows(arm: Studied, reference: Studied, params: Authenticity, labels: Booleans | None) -> Iterator[Row]:
    note = caveat(arm, reference)
    plans = (
        ("gzip_ratio", "ratio", _FEWEST_BYTES, "bytes", _BYTES_PER_TOKEN * params.tokens),
        ("self_repetition", "cohens_h", _FEWEST_TOKENS, "tokens", params.tokens),
    )
    for measure, effect_kind, fewest, unit, most in plans:
        size = min(most, int(min(_amounts(each.features, measure).sum() for each in (arm, reference))) // 2)
        if size < fewest or arm.with_words < FEWEST:
            short = f"fewer than {2 * fewest} {unit} to compare at" if size < fewest else ""
            yield Row(measure, effect_kind=effect_kind, note=notes(note, short))
            continue
        own = _form(measure, arm, size, False, params)
        nested = own if arm.sample.nest.is_flat else _form(measure, arm, size, True, params)
        real = _form(measure, reference, size, False, params) if arm.compared else own
        statistics = _permuted_form(measure, arm, reference, size, params, labels)
        about = f"mean and percentiles of {params.subsamples} subsamples of texts, {size} {unit} each"
        yield _row(measure, effect_kind, (own, nested, real), statistics, notes(note, about), params)


def _amounts(features: Features, measure: str) -> Integers:
    if measure == "gzip_ratio":
        return np.array([len(text.data) + 1 for text in features.texts], dtype=np.int64)
    return features.column("words").astype(np.int64)


def _form_of(measure: str, features: Sequence[Features], amounts: Integers, order: Integers, size: int) -> float:
    """Return gzip ratio or self-repetition of the first texts of an order that make up ``size`` bytes or tokens."""
    needed = int(np.searchsorted(np.cumsum(amounts[order]), size)) + 1
    first = len(features[0].texts)
    texts = [features[0].texts[index] if index < first else features[1].texts[index - first] for index in order[:needed].tolist()]
    if measure == "gzip_ratio":
        return richness.gzip_ratio(b"\n".join(text.data for text in texts)[:size])
    return richness.self_repetition([text.grams for text in texts])


def _form(measure: str, arm: Studied, size: int, nested: bool, params: Authenticity) -> Floats:
    generator = arm.generator(params, measure, "nested" if nested else "")
    amounts = _amounts(arm.features, measure)
    drawn = _drawn(arm, params.subsamples, nested, generator)
    return np.array([_form_of(measure, [arm.features], amounts, order, size) for order in drawn])


def _permuted_form(
    measure: str, arm: Studied, reference: Studied, size: int, params: Authenticity, labels: Booleans | None
) -> Floats | None:
    if labels is None:
        return None
    features = [arm.features, reference.features]
    amounts = np.concatenate([_amounts(each, measure) for each in features])
    shuffled = orders(amounts.size, len(labels), arm.generator(params, measure, "orders"))
    differences = np.empty(len(labels))
    for index, (inside, outside) in enumerate(zip(*_sides(labels, shuffled), strict=True)):
        equal = min(int(amounts[inside].sum()), int(amounts[outside].sum()), size)
        differences[index] = _form_of(measure, features, amounts, inside, equal) - _form_of(measure, features, amounts, outside, equal)
    return differences
