"""Temperature scaling: one number that makes a classifier's confidence fit its accuracy.

Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks: logits are divided by a temperature T,
chosen to minimise the negative log-likelihood of labelled rows that the classifier was not fitted on. The predicted
class never changes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LOWEST = 0.05
HIGHEST = 20.0
"""Bounds of the temperature. Without them, rows that are all predicted rightly would send it to 0."""


def scaled_softmax(logits: npt.ArrayLike, temperature: float) -> FloatArray:
    """Return softmax(logits / temperature) of (n, k) logits, row by row.

    Raises
    ------
    ValueError
        If the temperature is not a positive number.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be positive and finite, not {temperature}")
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=-1), dtype=np.float64)


def negative_log_likelihood(logits: npt.ArrayLike, targets: npt.ArrayLike, temperature: float = 1.0) -> float:
    """Return the mean negative log-probability, in nats, that softmax(logits / temperature) gives the true classes."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    rows = np.asarray(targets, dtype=np.int64)
    return float(-log_softmax(scaled, axis=1)[np.arange(len(rows)), rows].mean())


def fit_temperature(logits: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Return the temperature within `LOWEST` and `HIGHEST` that minimises the negative log-likelihood.

    Deterministic. The likelihood is convex in 1/T, so it has one minimum in log T, which a bounded scalar search (Brent)
    finds. If no temperature is better than 1 (logits that say nothing, say), the answer is 1.

    Parameters
    ----------
    logits
        (n, k) logits of rows that the classifier was not fitted on.
    targets
        (n,) class positions.

    Raises
    ------
    ValueError
        If there are fewer than two rows, the shapes do not match, or a logit is not finite.
    """
    values = np.asarray(logits, dtype=np.float64)
    rows = np.asarray(targets, dtype=np.int64)
    if values.ndim != 2 or rows.shape != (len(values),):
        raise ValueError(f"logits have shape {values.shape} and targets {rows.shape}; (n, k) and (n,) are needed")
    if len(values) < 2:
        raise ValueError(f"a temperature cannot be fitted on {len(values)} rows; at least 2 are needed")
    if not np.isfinite(values).all():
        raise ValueError("logits must be finite")
    if rows.min() < 0 or rows.max() >= values.shape[1]:
        raise ValueError(f"targets must be class positions below {values.shape[1]}")

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(values, rows, float(np.exp(log_temperature)))

    low, high = float(np.log(LOWEST)), float(np.log(HIGHEST))
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    best, least = 1.0, loss(0.0)
    # The search never tries the bounds themselves, where the minimum lies when the rows are all right or all wrong.
    for candidate in (float(found.x), low, high):
        if (value := loss(candidate)) < least - 1e-12:
            best, least = float(np.exp(candidate)), value
    return float(np.clip(best, LOWEST, HIGHEST))
