"""What written rows are labelled with: labellers by their shares, in the space asked for or moved into the corpus's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosynth.design.arms import ResolvedArm
from emosynth.design.cells import Cell
from emosynth.design.space import FloatArray, Space, SpaceMap
from emosynth.labellers.base import FLOOR
from emosynth.trials.sources import Sources


@dataclass(frozen=True)
class Labelling:
    """Labels of n rows.

    Attributes
    ----------
    targets
        (n, k) as a learner is to believe them.
    mass
        (n,) share of a row's labels that has a counterpart: what the row weighs.
    teacher
        (n, k) log-probabilities of the teacher; None: it has no share.
    """

    targets: FloatArray
    mass: FloatArray
    space: Space
    teacher: FloatArray | None = None


def settled(summed: FloatArray, space: Space, teacher: FloatArray | None = None) -> Labelling:
    """Return labels of rows from sums of shares that may have lost mass on the way into a space.

    Of a multi-label space each label has what was mapped to it, at most 1. Of a single-label space a row's labels are scaled to sum
    to 1, and the row weighs as much as the mass that has a counterpart; a row without any says nothing, and weighs 0.
    """
    if not space.single:
        return Labelling(np.clip(summed, 0.0, 1.0), np.ones(len(summed)), space, teacher)
    mass = summed.sum(axis=1)
    uniform = np.full_like(summed, 1 / summed.shape[1])
    targets = np.divide(summed, mass[:, None], out=uniform, where=mass[:, None] > 0)
    return Labelling(np.clip(targets, 0.0, 1.0), np.clip(mass, 0.0, 1.0), space, teacher)


def annotated(rows: pd.DataFrame, space: Space) -> FloatArray:
    """Return the (n, k) labels of real rows: the shares that annotators gave them (column shares), else ones (column labels)."""
    if "shares" not in rows:
        return space.multi_hot(rows["labels"].tolist())
    return np.array(rows["shares"].tolist(), dtype=np.float64).reshape(len(rows), len(space.labels))


def moved_labels(hard: FloatArray, label_map: SpaceMap) -> Labelling:
    """Return the (n, k) labels of real rows in another space."""
    return settled(label_map.project(hard), label_map.target)


def label_rows(sources: Sources, arm: ResolvedArm, cell: Cell, rows: pd.DataFrame, alpha: float, *, moved: bool) -> Labelling:
    """Return the labels of an arm's rows, or of real rows that its labellers label.

    Parameters
    ----------
    rows
        Columns candidate_id and labels: those asked for, or the annotation of real rows, shares too; none of unlabelled rows.
    alpha
        Share of the teacher in the loss. 0: the loss has no such part, and its labels are mixed into the targets.
    moved
        Whether labels are wanted in the corpus's space in any case; else they stay in the space that was asked for if every
        labeller answers in it.
    """
    space = sources.spaces[cell.corpus]
    asked = space if arm.origin is None else sources.asked(arm.origin, cell.corpus)
    ids = [str(row) for row in rows["candidate_id"]]
    hard = annotated(rows, asked)
    elsewhere = any(labeller.in_space != "asked" for labeller, share in arm.labellers if share > 0)
    if not ids:
        own = space if moved or elsewhere else asked
        none = np.zeros((0, len(own.labels)))
        return Labelling(none, np.zeros(0), own, none if alpha > 0 else None)
    mixed = [(labeller, share) for labeller, share in arm.labellers if share > 0 and not (labeller.distils and alpha > 0)]
    read = {labeller.name: np.exp(sources.log_p(arm, labeller, cell, ids)) for labeller, _ in mixed if labeller.name != "asked"}
    if any(len(p) and np.allclose(p.sum(axis=1), 1.0, atol=1e-4) for p in read.values()):
        hard = hard / np.maximum(1.0, hard.sum(axis=1, keepdims=True))  # shares of one label, as those that it is mixed with
    total = sum(share for _, share in mixed)
    of_asked, of_corpus = np.zeros_like(hard), np.zeros((len(ids), len(space.labels)))
    for labeller, share in mixed if total > 0 else []:
        p = hard if labeller.name == "asked" else read[labeller.name]
        if labeller.in_space == "asked":
            of_asked += share / total * p
        else:
            of_corpus += share / total * p
    teacher = _teacher(sources, arm, cell, ids) if alpha > 0 else None
    if total <= 0:  # all of the label is the teacher's: what was asked for is what the loss leaves aside
        of_asked = hard
        if teacher is not None and not hard.any():  # nothing was
            of_corpus = np.exp(teacher)
    if not moved and not elsewhere:
        return Labelling(of_asked, np.ones(len(ids)), asked)
    return settled(sources.map(asked, space).project(of_asked) + of_corpus, space, teacher)


def seed_teacher(sources: Sources, arm: ResolvedArm, cell: Cell, ids: Sequence[str]) -> FloatArray | None:
    """Return the log-probabilities that an arm's teacher gives to rows of the seed."""
    return _teacher(sources, arm, cell, ids)


def _teacher(sources: Sources, arm: ResolvedArm, cell: Cell, ids: Sequence[str]) -> FloatArray | None:
    distilling = [(labeller, share) for labeller, share in arm.labellers if labeller.distils and share > 0]
    if not distilling:
        return None
    total = sum(share for _, share in distilling)
    mixed = np.sum([share / total * np.exp(sources.log_p(arm, labeller, cell, ids)) for labeller, share in distilling], axis=0)
    return np.asarray(np.log(np.maximum(mixed, FLOOR)), dtype=np.float64)
