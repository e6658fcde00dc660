"""How settings are chosen within a seed, and how rows of one space are moved into another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from emosynth.design.rows import Rows, Stage, balanced
from emosynth.design.space import FloatArray, Space, SpaceMap
from emosynth.learners.base import Task

HELD_OUT = 5
"""One row in so many of the seed is kept back once, to choose a threshold on."""


@dataclass
class Predictor:
    """A trained model: what `emosynth.learners.base.Fitted` asks for."""

    predict: Callable[[Sequence[str]], FloatArray]
    chosen: dict[str, float]

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities in the task's space."""
        return self.predict(list(texts))


def digest(*parts: Any) -> str:
    """Return a SHA-256 of JSON values and arrays; ten digits of a number count, so that it does not change with the last bit of a product."""

    def plain(value: Any) -> Any:
        return [value.shape, hashlib.sha256((np.round(value, 10) + 0.0).tobytes()).hexdigest()] if isinstance(value, np.ndarray) else value

    return hashlib.sha256(json.dumps([plain(part) for part in parts], sort_keys=True).encode("ascii")).hexdigest()


# --- rows -----------------------------------------------------------------------------------------------


def weighed(rows: Rows, space: Space) -> Rows:
    """Return rows as a learner without batches weighs them: the flaw of averaged weights applied, then classes balanced.

    This is the one place where training rows are balanced.
    """
    if rows.batch_weights:
        rows = replace(rows, weights=np.full(len(rows), rows.weights.mean()), batch_weights=False)
    return balanced(rows, space)


def mixed(rows: Rows, space: Space) -> Rows:
    """Return rows whose teacher is mixed into the targets by its share, at temperature 1; rows without a teacher as they are."""
    if rows.teacher is None:
        return rows
    p = np.exp(rows.teacher - rows.teacher.max(axis=1, keepdims=True)) if space.single else np.clip(np.exp(rows.teacher), 0.0, 1.0)
    if space.single:
        p /= p.sum(axis=1, keepdims=True)
    return replace(rows, targets=(1 - rows.alpha) * rows.targets + rows.alpha * p, teacher=None, alpha=0.0)


def scaled(summed: FloatArray) -> FloatArray:
    """Return (n, k) rows scaled to sum to 1; a row of zeros is uniform."""
    total = summed.sum(axis=1, keepdims=True)
    return np.divide(summed, total, out=np.full_like(summed, 1 / summed.shape[1]), where=total > 0)


def moved(rows: Rows, space: Space, to_next: SpaceMap) -> Rows:
    """Return rows with their labels moved into the next space.

    Of a multi-label target each label has the sum of what is mapped to it, at most 1. Of a single-label target a row's labels are scaled
    to sum to 1, and the row is weighted by the mass that has a counterpart: a row without any says nothing about which class it is, and
    weighs 0.
    """
    if np.array_equal(to_next.matrix, np.eye(len(space.labels))) and space.single == to_next.target.single:
        return rows
    rows = mixed(rows, space)
    if not to_next.target.single:
        return replace(rows, targets=to_next.project(rows.targets))
    summed = np.asarray(rows.targets @ to_next.matrix)
    return replace(rows, targets=scaled(summed), weights=rows.weights * np.clip(summed.sum(axis=1), 0.0, 1.0))


def in_task_space(stages: Sequence[Stage], number: int) -> Rows:
    """Return the rows of a stage, moved through the spaces of all stages after it."""
    rows = stages[number].rows
    for stage in stages[number:]:
        if stage.to_next is not None:
            rows = moved(rows, stage.space, stage.to_next)
    return rows


def projected(p: FloatArray, to_next: SpaceMap | None) -> FloatArray:
    """Return probabilities in the next space: sums of what is mapped, scaled to sum to 1 if it is single-label."""
    if to_next is None:
        return p
    return scaled(np.asarray(p @ to_next.matrix)) if to_next.target.single else to_next.project(p)


# --- choosing -------------------------------------------------------------------------------------------


def as_truth(targets: FloatArray, space: Space) -> npt.NDArray[np.bool_]:
    """Return (n, k) hard labels of soft targets: the largest of a single-label space, those above one half of another."""
    if not space.single:
        return targets > 0.5
    return np.arange(targets.shape[1]) == targets.argmax(axis=1)[:, None]


def folds_of(truth: npt.NDArray[np.bool_], folds: int) -> npt.NDArray[np.int64]:
    """Return the (n,) fold of each row, at most ``folds`` and as many as rows, stratified by each row's rarest label.

    Label by label, the rarest first, rows are dealt out in their order; it goes on where the label before it ended. Depends on the rows
    alone.
    """
    n = len(truth)
    support = truth.sum(axis=0)
    primary = np.where(truth, support, n + 1).argmin(axis=1)
    out = np.empty(n, dtype=np.int64)
    dealt = np.lexsort((np.arange(n), primary, support[primary]))
    out[dealt] = np.arange(n) % max(1, min(folds, n))
    return out


@dataclass(frozen=True)
class Choice:
    """What cross-validation, or validation, says of each setting.

    Attributes
    ----------
    best
        Position of the best setting, the first of several.
    threshold
        From which a probability counts as a label; None in a single-label space.
    """

    best: int
    threshold: float | None


def choose(predictions: Sequence[FloatArray], truth: npt.NDArray[np.bool_], space: Space) -> Choice:
    """Return the best of some settings by their predictions for the same rows, which no model was fitted on.

    Single-label by macro-F1. Multi-label by macro average precision, which needs no threshold; on seeds of 120 and 480 rows of GoEmotions
    it chose the strength that was best on test in 8 of 8, log-loss in none: that is ruled by the frequent labels.

    Parameters
    ----------
    predictions
        (n, k) probabilities of each setting, the strongest regularisation first: it wins ties.
    """
    from emosynth.models.metrics import best_threshold, macro_average_precision, macro_f1

    def value(p: FloatArray) -> float:
        found = macro_f1(p, truth) if space.single else macro_average_precision(p, truth)
        return float(np.nan_to_num(found).round(9))  # sums in another order may differ in the last digit and so break a tie by chance

    values = [value(p) for p in predictions] if len(predictions) > 1 else [0.0]
    best = max(range(len(values)), key=lambda place: (values[place], -place))
    return Choice(best, None if space.single else best_threshold(predictions[best], truth))


def seed_of(task: Task, rows: Rows) -> int:
    """Return how many first rows settings are chosen on: those of the seed, or all where there is no seed."""
    return task.seed_rows or len(rows)


def with_threshold(
    fit: Callable[[Rows], Callable[[Sequence[str]], FloatArray]],
    stage: Stage,
    rows: Rows,
    task: Task,
    folds: int = HELD_OUT,
    *,
    crossed: bool = False,
) -> Predictor:
    """Return the model of a stage's rows and, in a space of several labels, the threshold that fits rows which no model was fitted on.

    Parameters
    ----------
    fit
        Returns what makes (n, k) probabilities in the stage's space of texts, fitted on rows.
    rows
        Of the stage, those of the seed first.
    folds
        Parts of the seed where there are no validation rows. One of them is left out of a second fit, or, ``crossed``, each in its turn.
    """
    fitted = fit(rows)

    def predict(texts: Sequence[str]) -> FloatArray:
        return projected(fitted(texts), stage.to_next)

    if task.space.single:
        return Predictor(predict, {})
    if task.validation is not None:
        threshold = choose([predict(task.validation[0])], task.validation[1] > 0.5, task.space).threshold
        return Predictor(predict, {"threshold": float(threshold or 0.0)})
    known = seed_of(task, rows)
    if known < (2 if crossed else folds):
        return Predictor(predict, {"threshold": 0.5})
    fold = folds_of(as_truth(rows.targets[:known], stage.space), folds)
    out = np.zeros((known, len(task.space.labels)))
    held = np.flatnonzero((fold == 0) | crossed)
    for number in range(int(fold.max()) + 1 if crossed else 1):
        mine = np.flatnonzero(fold == number)
        inner = fit(rows.take(np.setdiff1d(np.arange(len(rows)), mine, assume_unique=True)))
        out[mine] = projected(inner([rows.texts[int(row)] for row in mine]), stage.to_next)
    truth = as_truth(projected(rows.targets[held], stage.to_next), task.space)
    return Predictor(predict, {"threshold": float(choose([out[held]], truth, task.space).threshold or 0.0)})
