"""Training rows of a distillation: hard labels, weights and teacher's logits, checked once for all students."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from emosynth.errors import UserError
from emosynth.models.classifiers import FloatArray, balanced_row_weights, checked_weights

IntArray = npt.NDArray[np.int64]
Weighting = Literal["row", "batch"]


def check_settings(alpha: float, temperature: float, weighting: str) -> None:
    """Raise ValueError unless 0 <= alpha <= 1, temperature is above 0 and finite, and the weighting is known."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, it must lie between 0 and 1")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature is {temperature}, it must be finite and above 0")
    if weighting not in ("row", "batch"):
        raise ValueError(f"weighting is {weighting!r}, it must be 'row' or 'batch'")


def checked_targets(targets: npt.ArrayLike, n: int, k: int) -> IntArray:
    """Return (n,) class positions below k; raise ValueError for anything else."""
    out = np.asarray(targets)
    if out.shape != (n,) or (n and not np.issubdtype(out.dtype, np.integer)):
        raise ValueError(f"targets must be {n} class positions, not {out.dtype} of shape {out.shape}")
    out = out.astype(np.int64)
    if (out < 0).any() or (out >= k).any():
        raise ValueError(f"targets must be class positions from 0 to {k - 1}")
    return out


def checked_teacher(teacher: npt.ArrayLike, n: int, k: int) -> FloatArray:
    """Return (n, k) finite logits; raise ValueError for anything else."""
    out = np.asarray(teacher, dtype=np.float64)
    if out.shape != (n, k):
        raise ValueError(f"teacher's logits have shape {out.shape}, expected {(n, k)}")
    if not np.isfinite(out).all():
        row = int(np.flatnonzero(~np.isfinite(out).all(axis=1))[0])
        raise ValueError(f"teacher's logits must be finite; those of row {row} are not")
    return out


def spread(weights: FloatArray, weighting: Weighting) -> FloatArray:
    """Return what each row's loss is multiplied by: its own weight ("row"), or the mean weight of all ("batch")."""
    return weights if weighting == "row" else np.full(len(weights), weights.mean())


@dataclass(frozen=True)
class Rows:
    """Rows that take part in training.

    Attributes
    ----------
    kept
        (n,) positions, among the rows given, of those with a weight above 0.
    targets
        (n,) class positions.
    weights
        (n,) weights above 0, not yet balanced.
    balance
        (n,) factors that give each class of the hard labels the same total weight; ones if not asked for.
    teacher
        (n, k) logits; None where the teacher has no say (no teacher, or alpha 0).
    present
        Positions of the classes that get probability at all: those with a row. A teacher gives every class some
        probability in every row, so with a teacher it is all classes.
    """

    kept: npt.NDArray[np.intp]
    targets: IntArray
    weights: FloatArray
    balance: FloatArray
    teacher: FloatArray | None
    present: npt.NDArray[np.intp]

    @classmethod
    def make(
        cls,
        targets: npt.ArrayLike,
        k: int,
        weights: npt.ArrayLike | None,
        teacher: npt.ArrayLike | None,
        *,
        n: int,
        alpha: float,
        weighting: Weighting,
        balanced: bool,
    ) -> Rows:
        """Check ``n`` rows and leave out those of weight 0.

        Raises
        ------
        UserError
            If no row has a weight above 0.
        ValueError
            If shapes or values are not as in `distillation_loss`.
        """
        positions = checked_targets(targets, n, k)
        mass = checked_weights(None if weights is None else np.asarray(weights, dtype=np.float64), n)
        kept = np.flatnonzero(mass > 0)
        if not len(kept):
            raise UserError("There is no training row with a weight above 0.", where="training rows", remedy="Check seeds and weights.")
        positions, mass = positions[kept], mass[kept]
        logits = None
        if teacher is not None:
            given = np.asarray(teacher, dtype=np.float64)
            if given.shape != (n, k):
                raise ValueError(f"teacher's logits have shape {given.shape}, expected {(n, k)}")
            logits = checked_teacher(given[kept], len(kept), k)
        if alpha == 0:
            logits = None
        # Classes are balanced by the weights that the loss will use, so that their totals come out equal.
        level = spread(mass, weighting)
        balance = balanced_row_weights(positions, level, k) / level if balanced else np.ones(len(kept))
        present = np.unique(positions) if logits is None else np.arange(k)
        return cls(kept, positions, mass, balance, logits, present)
