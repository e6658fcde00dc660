"""Fidelity and coverage: how much of an arm's text lies where real text lies, and how much of real text it reaches.

Precision and recall by nearest neighbours (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
arXiv:2002.09797). All four depend on how many texts there are, so that every arm is compared at the same number; the other half of the real
text shows what real text itself gets. The package ``prdc`` has the same in a dozen lines and more requirements.

What is near is decided by the space: sentence embeddings, which the teacher reads, too, and words, which no model was trained on and no filter
reads, so that an arm cannot look nearer there for having been filtered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from emosynth.authenticity.diversity import Embed
from emosynth.authenticity.resampling import Floats
from emosynth.authenticity.sample import Sample
from emosynth.stats import nested_orders, of_few_repeats, percentile_interval
from emosynth.text import words

SENTENCES, WORDS = "sentences", "words"
"""Names of the spaces."""
TOPICS = 100
"""Dimensions of the space of words; fewer where the text it is made of has fewer words or rows."""

REACH = ("precision", "recall", "density", "coverage")
REACHED = ("corpus", "space", "arm", "verified", "measure", "value", "low", "high", "n_texts", "vectors")
NEIGHBOURS = 5
REACH_DRAWS = 20
REACH_LEAST = 4 * NEIGHBOURS
"""Texts below which an arm is not measured."""


def prdc(real: Floats, generated: Floats, k: int = NEIGHBOURS) -> tuple[float, float, float, float]:
    """Return precision, recall, density and coverage of (m, d) generated among (n, d) real vectors; a ball reaches to the k-th neighbour.

    They are: the share of generated vectors in a ball of a real one; of real ones in a ball of a generated one; balls of real vectors that
    hold a generated one, per k; the share of balls of real vectors that hold one.
    """
    own, other, between = (_distances(*pair) for pair in ((real, real), (generated, generated), (real, generated)))
    radius, reach = np.partition(own, k, axis=1)[:, k], np.partition(other, k, axis=1)[:, k]  # the nearest of all is itself
    held = between < radius[:, None]
    return (
        float(held.any(axis=0).mean()), float((between < reach).any(axis=1).mean()), float(held.sum(axis=0).mean() / k),
        float(held.any(axis=1).mean()),
    )  # fmt: skip


def _distances(first: Floats, second: Floats) -> Floats:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0))


def coverage(
    real: Sequence[str],
    samples: Mapping[tuple[str, bool], Sample],
    embed: Embed,
    seed_for: Callable[..., np.random.Generator],
    confidence: float,
) -> pd.DataFrame:
    """Measure every arm (samples by arm and verified) against the same real texts in one space: `REACHED` without ``corpus`` and ``space``.

    ``value``: mean over draws of ``vectors`` texts, half of what the poorest arm has (`nested_orders`); ``low``, ``high``: quantiles. Arms
    with fewer than 20 texts have no rows. ``seed_for``: digest of a sample -> generator of its draws.
    """
    there = {key: sample for key, sample in samples.items() if len(sample.texts) >= REACH_LEAST}
    size = min([len(real) // 2, *(len(sample.texts) // 2 for sample in there.values())], default=0)
    base = np.asarray(embed(list(real)), dtype=np.float64) if size > NEIGHBOURS else np.zeros((0, 0))
    rows, known = [], {}
    for (arm, verified), sample in there.items():
        if size <= NEIGHBOURS:
            break
        if sample.digest not in known:  # arms of one origin share their texts
            rng = seed_for(sample.digest)
            vectors = np.asarray(embed(sample.texts), dtype=np.float64)
            drawn = nested_orders(sample.nest, REACH_DRAWS, rng)[:, :size]
            known[sample.digest] = np.array([prdc(base[rng.permutation(len(base))[:size]], vectors[chosen]) for chosen in drawn])
        repeats = len(np.unique(sample.nest.repeats))
        for place, measure in enumerate(REACH):
            values = known[sample.digest][:, place]
            interval = of_few_repeats(percentile_interval(values, confidence), float(values.mean()), repeats, confidence)
            rows.append([arm, verified, measure, float(values.mean()), interval.low, interval.high, len(sample.texts), size])
    return pd.DataFrame(rows, columns=list(REACHED[2:]))


def _lower(text: str) -> list[str]:
    return [word.lower() for word in words(text)]


def word_space(texts: Sequence[str]) -> Embed | None:
    """Return latent semantic analysis (Deerwester et al. 1990) of real texts that are compared with nothing; None: they are too few for it.

    Rows are TF-IDF of words, ``1 + log`` of their number, on `TOPICS` singular vectors, scaled to length one; a text of none of the words is zero.
    """
    weights = TfidfVectorizer(analyzer=_lower, sublinear_tf=True, min_df=2, dtype=np.float64)
    try:
        topics = min(TOPICS, *(side - 1 for side in weights.fit_transform(texts).shape))
    except ValueError:  # no word occurs in two texts
        return None
    if topics < 2:
        return None
    space = make_pipeline(weights, TruncatedSVD(topics, random_state=0), Normalizer()).fit(texts)
    return lambda some: np.asarray(space.transform(list(some)), dtype=np.float64)
