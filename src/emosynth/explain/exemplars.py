"""Which seed rows are shown to the generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

FloatArray = npt.NDArray[np.float64]


def choose_exemplars(
    ids: Sequence[str], mass: FloatArray, features: sp.csr_matrix, count: int, diversity: float
) -> list[tuple[str, float]]:
    """Choose rows rich in mass and unlike each other, by maximal marginal relevance (Carbonell and Goldstein 1998).

    Parameters
    ----------
    ids
        n rows of one class.
    mass
        (n,) how much a row's tokens speak for the class: the sum of their SHAP values, or of TF-IDF times differential score.
    features
        (n, terms) TF-IDF rows of length 1; their products are cosines.
    count
        Rows to choose; fewer if there are fewer.
    diversity
        0: mass alone; 1: difference from those already chosen alone (the first is the one with most mass).

    Returns
    -------
    list of (str, float)
        Ids in the order chosen, each with its mass.

    Notes
    -----
    The next row maximises ``(1 - diversity) * m - diversity * s``: m is its mass scaled to 0…1 within the class, s its
    largest cosine to a row already chosen. Ties go to the smaller id.
    """
    n = len(ids)
    if not n:
        return []
    mass = np.asarray(mass, dtype=np.float64)
    spread = float(np.ptp(mass))
    scaled = (mass - mass.min()) / spread if spread > 1e-12 else np.ones(n)
    by_id = sorted(range(n), key=lambda row: ids[row])
    features = sp.csr_matrix(features)
    nearest = np.zeros(n)
    chosen: list[int] = []
    while len(chosen) < min(count, n):
        gain = (1 - diversity) * scaled - diversity * nearest if chosen else scaled
        left = [row for row in by_id if row not in chosen]
        best = max(left, key=lambda row: round(float(gain[row]), 12))  # the first of equals: the smallest id
        chosen.append(best)
        nearest = np.maximum(nearest, np.asarray((features @ features[best].T).todense()).ravel())
    return [(ids[row], float(mass[row])) for row in chosen]


def shuffled(ids: Sequence[str], count: int, *seed: int) -> list[str]:
    """Return the first ``count`` ids of a seeded shuffle; the order given does not matter."""
    ordered = sorted(ids)
    return [ordered[i] for i in np.random.default_rng(list(seed)).permutation(len(ordered))[:count]]
