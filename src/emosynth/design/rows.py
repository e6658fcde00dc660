"""The one type of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from emosynth.design.space import FloatArray, Space, SpaceMap

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """Labelled texts to train on, in one space of k labels.

    Attributes
    ----------
    texts
        n texts; rows of the seed first, in rank order.
    targets
        (n, k) labels as a learner is to believe them: each row sums to 1 in a single-label space, lies within 0 to 1 in another.
    weights
        (n,) what a row's loss is multiplied by.
    synthetic
        (n,) whether a row was written.
    teacher
        (n, k) log-probabilities of the teacher at its own temperature; None: no soft labels of a teacher have a share.
    alpha
        Share of the teacher's soft labels in the loss, the rest being ``targets``.
    temperature
        T of that part.
    batch_weights
        Whether weights are applied to the mean over a batch instead of row by row (a flaw of a published code).
    balance
        Whether classes of a single-label space are to have equal mass (`balanced`).
    """

    texts: list[str]
    targets: FloatArray
    weights: FloatArray
    synthetic: BoolArray
    teacher: FloatArray | None = None
    alpha: float = 0.0
    temperature: float = 1.0
    batch_weights: bool = False
    balance: bool = True

    def __post_init__(self) -> None:
        n = len(self.texts)
        shapes = [self.targets.shape[:1], self.weights.shape, self.synthetic.shape]
        if any(shape != (n,) for shape in shapes) or (self.teacher is not None and self.teacher.shape != self.targets.shape):
            raise ValueError(f"rows do not fit each other: {n} texts, {[*shapes, None if self.teacher is None else self.teacher.shape]}")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def n_real(self) -> int:
        """Rows that people wrote."""
        return int((~self.synthetic).sum())

    @property
    def n_synthetic(self) -> int:
        """Rows that were written."""
        return int(self.synthetic.sum())

    def take(self, places: Sequence[int] | npt.NDArray[np.intp]) -> Rows:
        """Return some rows, in the order given."""
        chosen = np.asarray(places, dtype=np.intp)
        return Rows(
            [self.texts[place] for place in chosen], self.targets[chosen], self.weights[chosen], self.synthetic[chosen],
            None if self.teacher is None else self.teacher[chosen], self.alpha, self.temperature, self.batch_weights, self.balance,
        )  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One training of a learner: rows, their space, and the map into the space of the next stage (None: this is the last)."""

    rows: Rows
    space: Space
    to_next: SpaceMap | None = None


def hard_rows(texts: Sequence[str], labels: Sequence[Sequence[str]], space: Space, *, synthetic: bool = False) -> Rows:
    """Return rows with the labels as they stand, each of weight 1."""
    n = len(texts)
    return Rows(list(texts), space.multi_hot(labels), np.ones(n), np.full(n, synthetic))


def joined(first: Rows, second: Rows) -> Rows:
    """Return two sets of rows of one space as one; settings of the loss are those of ``second``."""
    teacher = None
    if first.teacher is not None or second.teacher is not None:
        if first.teacher is None or second.teacher is None:
            raise ValueError("only one of two sets of rows has soft labels of a teacher")
        teacher = np.vstack([first.teacher, second.teacher])
    return Rows(
        [*first.texts, *second.texts], np.vstack([first.targets, second.targets]), np.concatenate([first.weights, second.weights]),
        np.concatenate([first.synthetic, second.synthetic]), teacher, second.alpha, second.temperature, second.batch_weights, second.balance,
    )  # fmt: skip


def class_balance(targets: FloatArray, weights: FloatArray) -> FloatArray:
    """Return (n,) factors of row weights with which all labels that occur have the same mass, the total kept; rows of (n, k) targets sum to 1.

    Exact for rows of one label; a row of several has the mean of its labels' factors, and masses are then nearly the same.
    """
    mass = weights @ targets
    factor = np.divide(weights.sum(), mass * max(1, int((mass > 0).sum())), out=np.zeros_like(mass), where=mass > 0)
    return np.asarray(targets @ factor, dtype=np.float64)


def balanced(rows: Rows, space: Space) -> Rows:
    """Return rows weighted so that all labels that occur have the same mass (`class_balance`); multi-label rows as they are.

    Rows whose arm has switched class weights off are as they are, too.

    Macro-F1 counts classes alike. Without balance a seed's skew would stand against the even draw of synthetic rows, and these would
    seem to gain what balance alone gives.
    """
    if not space.single or not rows.balance:
        return rows
    return replace(rows, weights=rows.weights * class_balance(rows.targets, rows.weights))
