"""Checks of targets, weights and probabilities that all models share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from emosynth.errors import UserError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def unit_table(values: npt.ArrayLike, name: str) -> FloatArray:
    """Return an (n, k) table of numbers from 0 to 1; anything else is a UserError that names the cell."""
    out = np.asarray(values, dtype=np.float64)
    if out.ndim != 2 or out.shape[1] == 0:
        raise UserError(f"The {name} have shape {out.shape}.", where=name, remedy="Give one row per text and one column per label.")
    bad = ~((out >= 0) & (out <= 1))  # NaN fails both
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise UserError(
            f"{out[row, column]} is not a number from 0 to 1.",
            where=f"{name}, row {row}, column {column}",
            remedy="Use degrees from 0 (absent) to 1 (certain), without gaps.",
        )
    return out


def checked_targets(targets: npt.ArrayLike, n: int, k: int | None = None, *, single: bool = False) -> FloatArray:
    """Return (n, k) soft targets; ``k`` None: any number of labels.

    Raises
    ------
    UserError
        If the shape differs, a target is NaN or outside 0 to 1, or a row of a ``single``-label space does not sum to 1.
    """
    out = unit_table(targets, "targets")
    if len(out) != n:
        raise UserError(f"There are {n} texts and {len(out)} rows of targets.", where="targets", remedy="Give one row per text.")
    if k is not None and out.shape[1] != k:
        raise UserError(
            f"There are {k} labels and {out.shape[1]} columns of targets.", where="targets", remedy="Give one column per label."
        )
    if single and n and (apart := np.abs(out.sum(axis=1) - 1)).max() > 1e-4:
        row = int(apart.argmax())
        raise UserError(
            f"The targets sum to {out[row].sum():.4g}, and this classifier is single-label.",
            where=f"targets, row {row}",
            remedy="Scale them to sum to 1, or use a multi-label classifier.",
        )
    return out


def checked_weights(weights: npt.ArrayLike | None, n: int) -> FloatArray:
    """Return (n,) row weights, ones for None.

    Raises
    ------
    UserError
        If the number differs, a weight is negative or not finite, or none is above 0.
    """
    out = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if out.shape != (n,):
        raise UserError(f"There are {n} texts and weights of shape {out.shape}.", where="weights", remedy="Give one weight per row.")
    bad = ~(np.isfinite(out) & (out >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(f"{out[row]} is not a weight.", where=f"weights, row {row}", remedy="Use finite numbers that are not negative.")
    if not (out > 0).any():
        raise UserError("There is no training row with a weight above 0.", where="training rows", remedy="Check seeds and weights.")
    return out


def checked_teacher(teacher: npt.ArrayLike, n: int, k: int, kept: npt.NDArray[np.intp]) -> FloatArray:
    """Return the rows ``kept`` of (n, k) logits of a teacher; another shape, NaN and infinities in them are a UserError that names the row."""
    out = np.asarray(teacher, dtype=np.float64)
    if out.shape != (n, k):
        raise UserError(f"The teacher's logits have shape {out.shape}, not {(n, k)}.", where="teacher", remedy="Give one row per text.")
    bad = ~np.isfinite(out[kept]).all(axis=1)
    if bad.any():
        row = int(kept[bad][0])
        raise UserError("The teacher's logits are not finite.", where=f"teacher, row {row}", remedy="Cut log-probabilities from below.")
    return out[kept]


def check_distillation(alpha: float, temperature: float) -> None:
    """Raise ValueError unless 0 <= alpha <= 1 and the temperature is above 0 and finite."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, it must lie between 0 and 1")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}, it must be finite and above 0")


def checked_pair(probabilities: npt.ArrayLike, truth: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Return (n, k) probabilities and (n, k) truth, of the same shape and at least one row.

    Raises
    ------
    UserError
        If shapes differ, there is no row, a probability is NaN or outside 0 to 1, or truth is not 0 or 1.
    """
    p, y = unit_table(probabilities, "probabilities"), unit_table(truth, "truth")
    if p.shape != y.shape or not len(p):
        raise UserError(
            f"Probabilities have shape {p.shape} and truth {y.shape}.", where="rows to be scored", remedy="Score the same rows and labels."
        )
    if not np.isin(y, (0.0, 1.0)).all():
        row, column = (int(i) for i in np.argwhere(~np.isin(y, (0.0, 1.0)))[0])
        raise UserError(
            f"The truth {y[row, column]} is neither 0 nor 1.",
            where=f"truth, row {row}, column {column}",
            remedy="Binarise soft labels before they are scored against.",
        )
    return p, y.astype(bool)
