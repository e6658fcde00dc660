"""How diverse the texts of each arm are, and whether grounding makes them more so.

Distinct-n falls and repetition rises with the amount of text, so all arms are measured on draws of texts that are cut to one number
of tokens, and on equally many embeddings. Every text that can be drawn is embedded: with vectors of the first texts alone, an arm with
many texts would have few in each draw, and an interval as wide as if it had few texts. Draws are without replacement, not bootstrap
samples: a text drawn twice would count as repetition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.authenticity.resampling import Floats, seed_for
from emosynth.authenticity.richness import SELF, self_repetition
from emosynth.authenticity.sample import ALL, Sample
from emosynth.authenticity.tokens import cased, counted
from emosynth.stats import Integers, nested_orders, of_few_repeats, percentile_interval
from emosynth.text import ngrams

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]

MEASURES = ("distinct_1", "distinct_2", "self_repetition", "spread")
COLUMNS = (
    "corpus", "arm", "against", "verified", "kind", "label", "measure", "value", "low", "high", "n_texts", "n_tokens", "tokens", "vectors",
)  # fmt: skip
DRAWS = 100
LEAST = 4
"""Texts of a group that is drawn from, at least."""

Key = tuple[str, bool, str]
"""Arm, verified, and kind of text."""


@dataclass(frozen=True)
class _Group:
    """Texts of one arm, kind and label: numbers of words, pairs and 4-grams, and vectors of length 1."""

    sample: Sample
    words: list[npt.NDArray[np.int32]]
    pairs: list[npt.NDArray[np.int32]]
    grams: list[npt.NDArray[np.int32]]
    vectors: Floats

    @cached_property
    def lengths(self) -> Integers:
        return np.array([item.size for item in self.words], dtype=np.int64)

    @cached_property
    def _sets(self) -> list[npt.NDArray[np.int32]]:
        return [np.unique(item) for item in self.grams]

    def of_label(self, label: str) -> _Group:
        kept = [place for place, own in enumerate(self.sample.labels) if label in (ALL, own)]
        words, pairs, grams = ([part[place] for place in kept] for part in (self.words, self.pairs, self.grams))
        return _Group(self.sample.of_label(label), words, pairs, grams, self.vectors[kept])

    def draws(self, size: int, vectors: int, generator: np.random.Generator) -> Floats:
        """Return (draws, measures) of the first texts of nested orders: ``size`` tokens, the last text cut, and ``vectors`` vectors."""
        return np.array([self._measure(order, size, vectors) for order in nested_orders(self.sample.nest, DRAWS, generator)])

    def _measure(self, order: Integers, size: int, vectors: int) -> tuple[float, ...]:
        ends = np.cumsum(self.lengths[order])
        whole = int(np.searchsorted(ends, size, side="right"))
        left, full = size - int(ends[whole - 1] if whole else 0), order[:whole].tolist()
        words, pairs, grams = ([part[place] for place in full] for part in (self.words, self.pairs, self._sets))
        if left and whole < len(order):
            last = int(order[whole])
            words.append(self.words[last][:left])
            pairs.append(self.pairs[last][: max(0, left - 1)])
            grams.append(np.unique(self.grams[last][: max(0, left - SELF + 1)]))
        return _distinct(words), _distinct(pairs), self_repetition(grams), spread(self.vectors[order[:vectors]])


def _distinct(parts: Sequence[npt.NDArray[np.int32]]) -> float:
    """Return distinct-n (Li et al. 2016, arXiv:1510.03055): different n-grams over all."""
    joined = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    return np.unique(joined).size / joined.size if joined.size else math.nan


def spread(vectors: Floats) -> float:
    """Return the mean cosine distance over all pairs of L2-normalised vectors, shape (texts, dimensions); NaN for fewer than two.

    The sum over pairs is had from the vectors' sum: Σᵢⱼ vᵢ·vⱼ = ‖Σ v‖².
    """
    count = len(vectors)
    if count < 2:
        return math.nan
    total = vectors.sum(axis=0)
    return float(1 - (total @ total - (vectors * vectors).sum()) / (count * (count - 1)))


def diversity(
    samples: Mapping[Key, Sample],
    against: Sequence[tuple[str, str]],
    embed: Embed,
    *,
    tokens: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure the diversity of every arm, and of pairs ``against`` the first minus the second: `COLUMNS` without ``corpus``.

    ``against``: empty, or the arm it is a difference to; ``label``: empty: all together. ``value``: mean over draws; ``low``, ``high``:
    quantiles, widened for few repeats. ``distinct_1``, ``distinct_2``; ``self_repetition``, share of 4-grams that another text holds too; ``spread``, mean pairwise
    cosine distance.

    A draw is the beginning of an order by repeat, prompt or story, and text (`nested_orders`): half of what the poorest arm of the
    comparison has, ``tokens`` at most; a richer arm's interval is wider than need be. Fewer than 4 texts give NaN. What a draw lacks is
    left out of it.
    """
    groups = _groups(samples, embed)
    labels = {key: [ALL, *dict.fromkeys(group.sample.labels)] for key, group in groups.items()}
    rows: list[list[Any]] = []
    known: dict[tuple[str, int, int], Floats] = {}  # arms of one origin have the same texts

    def compare(keys: Sequence[Key], label: str) -> dict[Key, tuple[_Group, int, int, Floats]]:
        found = {key: groups[key].of_label(label) for key in keys if label in labels[key]}
        large = [group for group in found.values() if len(group.words) >= LEAST]
        size = min([tokens, *(int(group.lengths.sum()) // 2 for group in large)]) if large else 0
        vectors = min((len(group.words) // 2 for group in large), default=0)
        made = {}
        for key, group in found.items():
            about = group.sample.digest, size, vectors
            if about not in known:
                enough = len(group.words) >= LEAST and size > 0
                known[about] = group.draws(size, vectors, seed_for(seed, *about)) if enough else np.full((1, len(MEASURES)), np.nan)
            made[key] = group, size, vectors, known[about]
        return made

    def add(key: Key, other: str, label: str, group: _Group, size: int, vectors: int, values: Floats) -> None:
        repeats = min(len(np.unique(groups[name, *key[1:]].sample.nest.repeats)) for name in filter(None, (key[0], other)))
        for place, measure in enumerate(MEASURES):
            there = values[~np.isnan(values[:, place]), place]
            value = float(there.mean()) if there.size else math.nan
            interval = of_few_repeats(percentile_interval(there, confidence), value, repeats, confidence)
            about = [len(group.words), int(group.lengths.sum()), size, vectors]
            rows.append([key[0], other, *key[1:], label, measure, value, interval.low, interval.high, *about])

    for kind in dict.fromkeys((key[1], key[2]) for key in groups):
        same = [key for key in groups if key[1:] == kind]
        for label in dict.fromkeys(label for key in same for label in labels[key]):
            for key, found in compare(same, label).items():
                add(key, "", label, *found)
            for first, second in against:
                pair = compare([key for key in same if key[0] in (first, second)], label)
                one, other = pair.get((first, *kind)), pair.get((second, *kind))
                if one is not None and other is not None:
                    group, size, vectors, values = one
                    gap = values - other[3] if len(values) == len(other[3]) else np.full((1, len(MEASURES)), np.nan)
                    add((first, *kind), second, label, group, size, vectors, gap)
    return pd.DataFrame(rows, columns=list(COLUMNS[1:]))


def _groups(samples: Mapping[Key, Sample], embed: Embed) -> dict[Key, _Group]:
    known: dict[tuple[str, ...], int] = {}

    def numbers(grams: Sequence[tuple[str, ...]]) -> npt.NDArray[np.int32]:
        return np.array([known.setdefault(gram, len(known)) for gram in grams], dtype=np.int32)

    out = {}
    for key, sample in samples.items():
        # Punctuation is no word, and would make all texts alike.
        words = [counted(cased(text)) for text in sample.texts]
        vectors = np.asarray(embed(sample.texts), dtype=np.float64) if sample.texts else np.zeros((0, 0))
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        single, pairs, grams = ([numbers(ngrams(text, size)) for text in words] for size in (1, 2, SELF))
        out[key] = _Group(sample, single, pairs, grams, vectors)
    return out
