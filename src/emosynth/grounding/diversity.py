"""Whether grounding makes texts more diverse: per arm, kind of text and emotion, at equal numbers of tokens.

Distinct-n falls and repetition rises with the amount of text, so all arms are measured on draws of texts that are cut to one
number of tokens, half of those that the smallest arm has. Draws are without replacement, not bootstrap samples: a text drawn twice
would count as repetition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.authenticity.repetition import SELF, self_repetition
from emosynth.generation.plan import stable_seed
from emosynth.grounding.plan import STEPS
from emosynth.stats import percentile_interval
from emosynth.text import ngrams, words

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]

ALL = "all"
"""Stands for all emotions together."""

COMPARED = ("distinct_1", "distinct_2", "self_repetition", "spread")

TABLE = ["arm", "kind", "emotion", "n_texts", "n_tokens", "tokens_compared", *COMPARED, "novelty"]
DIFFERENCES = ["arm", "against", "kind", "measure", "emotion", "difference", "low", "high"]

EMBEDDED = 500
"""Texts of one arm and kind that are embedded, at most, lowest index first."""

_LEAST = 4
"""Texts of a group that is drawn from, at least."""


@dataclass(frozen=True)
class _Text:
    words: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.int32]
    grams: npt.NDArray[np.int32]
    novelty: float
    vector: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class _Group:
    """Texts of one arm, kind and emotion."""

    texts: list[_Text]

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.array([text.words.size for text in self.texts], dtype=np.int64)

    def draw(self, tokens: int, rng: np.random.Generator) -> tuple[float, ...]:
        """Return `COMPARED` of texts drawn without replacement until they have ``tokens``; the last one is cut."""
        order = rng.permutation(len(self.texts))
        taken = [self.texts[place] for place in order[: int(np.searchsorted(np.cumsum(self.lengths[order]), tokens)) + 1]]
        left, cut = tokens, []
        for text in taken:
            size = min(left, text.words.size)
            cut.append((text.words[:size], text.pairs[: max(0, size - 1)], np.unique(text.grams[: max(0, size - SELF + 1)])))
            left -= size
        return (
            _distinct([item[0] for item in cut]),
            _distinct([item[1] for item in cut]),
            self_repetition([item[2] for item in cut]),
            spread(np.array([text.vector for text in taken if text.vector is not None])),
        )


def _distinct(parts: Sequence[npt.NDArray[np.int32]]) -> float:
    joined = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    return np.unique(joined).size / joined.size if joined.size else math.nan


def spread(vectors: npt.NDArray[np.float64]) -> float:
    """Return the mean cosine distance over all pairs of L2-normalised vectors, shape (texts, dimensions); NaN for fewer than two.

    The sum over pairs is had from the vectors' sum: Σᵢⱼ vᵢ·vⱼ = ‖Σ v‖².
    """
    count = len(vectors)
    if count < 2:
        return math.nan
    total = vectors.sum(axis=0)
    return float(1 - (total @ total - (vectors * vectors).sum()) / (count * (count - 1)))


def diversity(
    frame: pd.DataFrame,
    passages: Mapping[str, str],
    embed: Embed,
    *,
    draws: int = 100,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the diversity of every arm, and the differences of grounded to ungrounded arms.

    Parameters
    ----------
    frame
        From `emosynth.grounding.run.generate_examples`; empty texts are left out.
    passages
        Text of every passage, by id.
    embed
        Returns one vector for each text, shape (texts, dimensions).
    draws
        Draws of every group.
    confidence
        Of the intervals.

    Returns
    -------
    table
        ``arm``, ``kind``, ``emotion`` (a label, or *all*), ``n_texts``, ``n_tokens``; ``tokens_compared``, the size of
        every arm's draws; means over draws of ``distinct_1`` and ``distinct_2`` (Li et al. 2016, arXiv:1510.03055),
        ``self_repetition`` (share of 4-grams that another text holds too) and ``spread`` (mean pairwise cosine distance);
        ``novelty``, the share of all texts' word 4-grams that their passage does not hold (NaN if ungrounded).
    differences
        ``arm`` (grounded), ``against`` (ungrounded), ``kind``, ``measure``, ``emotion``, ``difference`` grounded - ungrounded (mean
        over draws), ``low``, ``high`` (quantiles over draws).

    Notes
    -----
    A text of two emotions is in the group of each. Halves drawn without replacement vary about as much as whole samples do (Shao and
    Wu 1989), so the quantiles are used as they are. Of an arm with more tokens than another, less than half is drawn: that varies
    more, and the interval is wider than it need be. Groups of fewer than 4 texts in some arm have NaN.
    """
    groups = _groups(frame, passages, embed)
    arms = list(dict.fromkeys(frame["arm"]))
    grounded = frame.groupby("arm")["grounded"].first().to_dict()
    emotions = [ALL, *dict.fromkeys(label for labels in frame["emotions"] for label in labels)]
    table, differences = [], []
    for kind in STEPS:
        for emotion in emotions:
            present = [arm for arm in arms if (arm, kind, emotion) in groups]
            tokens = min((int(groups[arm, kind, emotion].lengths.sum()) // 2 for arm in present), default=0)
            drawable = tokens > 0 and all(len(groups[arm, kind, emotion].texts) >= _LEAST for arm in present)
            values: dict[str, npt.NDArray[np.float64]] = {}
            for arm in present:
                group = groups[arm, kind, emotion]
                rng = np.random.default_rng(stable_seed("diversity", seed, arm, kind, emotion))
                values[arm] = np.array([group.draw(tokens, rng) for _ in range(draws)]) if drawable else np.full((1, len(COMPARED)), np.nan)
                novel = [text.novelty for text in group.texts if not math.isnan(text.novelty)]
                table.append(
                    [
                        *(arm, kind, emotion, len(group.texts), int(group.lengths.sum()), tokens),
                        *values[arm].mean(axis=0).tolist(),
                        float(np.mean(novel)) if novel else math.nan,
                    ]
                )
            for arm in present:
                for other in present:
                    if not grounded[arm] or grounded[other]:
                        continue
                    for place, measure in enumerate(COMPARED):
                        gap = values[arm][:, place] - values[other][:, place]
                        interval = percentile_interval(gap, confidence)
                        differences.append([arm, other, kind, measure, emotion, float(gap.mean()), interval.low, interval.high])
    return pd.DataFrame(table, columns=TABLE), pd.DataFrame(differences, columns=DIFFERENCES)


def _groups(frame: pd.DataFrame, passages: Mapping[str, str], embed: Embed) -> dict[tuple[str, str, str], _Group]:
    known: dict[tuple[str, ...], int] = {}
    sources: dict[str, frozenset[tuple[str, ...]]] = {}
    groups: dict[tuple[str, str, str], list[_Text]] = {}
    for arm, part in frame.sort_values(["arm", "index"], kind="stable").groupby("arm", sort=False):
        for kind in STEPS:
            rows = part[part[kind] != ""]
            vectors = _normalised(embed(rows[kind].tolist()[:EMBEDDED])) if len(rows) else np.zeros((0, 0))
            for place, (text, labels, passage) in enumerate(zip(rows[kind], rows["emotions"], rows["passage_id"], strict=True)):
                tokens = words(text)
                if passage and passage not in sources:
                    sources[passage] = frozenset(ngrams(words(passages[passage]), SELF))
                grams = ngrams(tokens, SELF)
                novelty = sum(gram not in sources[passage] for gram in grams) / len(grams) if passage and grams else math.nan
                item = _Text(
                    _numbers(ngrams(tokens, 1), known),
                    _numbers(ngrams(tokens, 2), known),
                    _numbers(grams, known),
                    novelty,
                    vectors[place] if place < len(vectors) else None,
                )
                for label in (ALL, *labels):
                    groups.setdefault((str(arm), kind, label), []).append(item)
    return {key: _Group(texts) for key, texts in groups.items()}


def _numbers(grams: Sequence[tuple[str, ...]], known: dict[tuple[str, ...], int]) -> npt.NDArray[np.int32]:
    return np.array([known.setdefault(gram, len(known)) for gram in grams], dtype=np.int32)


def _normalised(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    values = np.asarray(vectors, dtype=np.float64)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
