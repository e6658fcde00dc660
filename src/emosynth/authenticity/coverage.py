"""Fidelity and coverage: how much of an arm's text lies where real text lies, and how much of real text it reaches.

Precision and recall by nearest neighbours (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
arXiv:2002.09797), in the space of sentence embeddings. All four depend on how many texts there are, so that every arm is compared at the same
number; the other half of the real text shows what real text itself gets. The package ``prdc`` has the same in a dozen lines and more
requirements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.authenticity.diversity import Embed
from emosynth.authenticity.sample import Sample
from emosynth.stats import nested_orders, percentile_interval

FloatArray = npt.NDArray[np.float64]

MEASURES = ("precision", "recall", "density", "coverage")
COLUMNS = ("corpus", "arm", "verified", "measure", "value", "low", "high", "n_texts", "vectors")
NEIGHBOURS = 5
DRAWS = 20
LEAST = 4 * NEIGHBOURS
"""Texts below which an arm is not measured."""


def prdc(real: FloatArray, generated: FloatArray, k: int = NEIGHBOURS) -> tuple[float, float, float, float]:
    """Return precision, recall, density and coverage.

    Parameters
    ----------
    real, generated : (n, d) and (m, d)
        Vectors; more than ``k`` of each.
    k
        The ball around a vector reaches to its k-th nearest neighbour of its own kind.

    Returns
    -------
    tuple
        Share of generated vectors in a ball of a real one; of real ones in a ball of a generated one; balls of real vectors that hold a
        generated one, per k, which an outlier's wide ball moves little; share of balls of real vectors that hold a generated one.
    """
    own, other, between = (_distances(*pair) for pair in ((real, real), (generated, generated), (real, generated)))
    radius, reach = np.partition(own, k, axis=1)[:, k], np.partition(other, k, axis=1)[:, k]  # the nearest of all is itself
    held = between < radius[:, None]
    return (
        float(held.any(axis=0).mean()),
        float((between < reach).any(axis=1).mean()),
        float(held.sum(axis=0).mean() / k),
        float(held.any(axis=1).mean()),
    )


def _distances(first: FloatArray, second: FloatArray) -> FloatArray:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0))


def coverage(
    real: Sequence[str],
    samples: Mapping[tuple[str, bool], Sample],
    embed: Embed,
    seed_for: Callable[..., np.random.Generator],
    confidence: float,
) -> pd.DataFrame:
    """Measure every arm against the same real texts.

    Parameters
    ----------
    samples
        Texts by arm and verified, the other half of the real text among them.
    seed_for
        Digest of a sample -> generator of its draws.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS` without ``corpus``. ``value``: mean over draws of ``vectors`` texts, half of what the poorest arm has, in the order repeat, prompt or
        story, text; ``low``, ``high``: quantiles. Arms with fewer than 20 texts have no rows.
    """
    there = {key: sample for key, sample in samples.items() if len(sample.texts) >= LEAST}
    size = min([len(real) // 2, *(len(sample.texts) // 2 for sample in there.values())], default=0)
    base = np.asarray(embed(list(real)), dtype=np.float64) if size > NEIGHBOURS else np.zeros((0, 0))
    rows, known = [], {}
    for (arm, verified), sample in there.items():
        if size <= NEIGHBOURS:
            break
        if sample.digest not in known:  # arms of one origin share their texts
            rng = seed_for(sample.digest)
            vectors = np.asarray(embed(sample.texts), dtype=np.float64)
            drawn = nested_orders(sample.nest, DRAWS, rng)[:, :size]
            known[sample.digest] = np.array([prdc(base[rng.permutation(len(base))[:size]], vectors[chosen]) for chosen in drawn])
        for place, measure in enumerate(MEASURES):
            values = known[sample.digest][:, place]
            interval = percentile_interval(values, confidence)
            rows.append([arm, verified, measure, float(values.mean()), interval.low, interval.high, len(sample.texts), size])
    return pd.DataFrame(rows, columns=list(COLUMNS[1:]))
