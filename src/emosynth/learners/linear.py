"""What the linear learners share: softmax or one-vs-rest regression, one stage after the other, the earlier as prior of the later."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from emosynth.design.rows import Rows, Stage
from emosynth.design.space import FloatArray, Space, SpaceMap
from emosynth.learners.base import Learner, LearnerSettings, Resources, Task
from emosynth.learners.choosing import (
    Choice,
    Predictor,
    as_truth,
    choose,
    digest,
    folds_of,
    in_task_space,
    mixed,
    projected,
    seed_of,
    weighed,
)

if TYPE_CHECKING:
    from emosynth.models.features import Rotated
    from emosynth.models.linear import LinearModel, OneVsRest, SoftmaxRegression


class LinearSettings(LearnerSettings):
    """Settings of a linear learner."""

    c_grid: list[float] = Field(
        default=[0.3, 3.0, 30.0], min_length=1, description="inverse strengths of the L2 penalty to choose from; ties go to the lowest"
    )


def fit_linear(c: float, features: Any, rows: Rows, space: Space, start: LinearModel | None = None) -> LinearModel:
    """Return a model of rows, which are balanced here, with an earlier one as prior."""
    from emosynth.models.linear import OneVsRest, SoftmaxRegression

    rows = weighed(rows, space)
    if space.single:
        before: SoftmaxRegression | None = start  # type: ignore[assignment]
        return SoftmaxRegression(c, alpha=rows.alpha, temperature=rows.temperature).fit(
            features, rows.targets, rows.weights, rows.teacher, before
        )
    rest: OneVsRest | None = start  # type: ignore[assignment]
    return OneVsRest(c).fit(features, mixed(rows, space).targets, rows.weights, rest)


_FIRST: dict[str, float] = {}
"""Strength of a first stage by content: seeds share it, and choosing it takes longer than all that follows."""


@dataclass(frozen=True)
class _Trial:
    """The rows of a last stage with their (n, r) turned features, and the prior."""

    rotated: Rotated
    x: Any
    rows: Rows
    space: Space
    start: LinearModel | None
    to_next: SpaceMap | None

    def fit(self, c: float) -> LinearModel:
        """Return the model of all rows, in the original columns."""
        model = copy.copy(fit_linear(c, self.x, self.rows, self.space, self.start))
        model.coef = self.rotated.back(model.coef)
        return model


class LinearLearner(Learner):
    """Logistic regression. Folds and strengths share features, which are turned once into the axes of their span."""

    Settings: ClassVar[type[BaseModel]] = LinearSettings
    staged: ClassVar[bool] = True
    distils: ClassVar[bool] = True

    def features(self, resources: Resources) -> Any:
        """Return the features to be fitted, see `emosynth.models.features`."""
        raise NotImplementedError

    def fit(self, stages: Sequence[Stage], task: Task, resources: Resources) -> Predictor:
        """Fit stage by stage.

        The strength of an earlier stage is chosen on its own rows, in the task's space, before any seed is looked at. Where the only
        stage is of another space, the model is of that space and its probabilities are projected.
        """
        from emosynth.models.features import Rotated

        last = stages[-1]
        if len(stages) == 1:
            parts, space = [last.rows], last.space
        else:
            parts = [in_task_space(stages, number) for number in range(len(stages))]
            parts, space = [part for part in parts[:-1] if (part.weights > 0).any()] + parts[-1:], task.space
        parts = [part.take(np.flatnonzero(part.weights > 0)) for part in parts]  # a row of weight 0 is no row: not in TF-IDF either
        to_next = last.to_next if len(stages) == 1 else None
        features = self.features(resources)
        # All texts at once: embeddings of like lengths fill batches.
        everything = features.fit_transform([text for rows in parts for text in rows.texts])
        rotated = Rotated(everything)
        place, start = 0, None
        chosen: dict[str, float] = {}
        for rows in parts[:-1]:
            chosen["c_first"] = self._first_strength(rows, space, task, resources)
            start = fit_linear(chosen["c_first"], rotated.rows[place : place + len(rows)], rows, space, start)
            place += len(rows)
        trial = _Trial(rotated, rotated.rows[place:], parts[-1], space, start, to_next)
        choice = self._choice(trial, seed_of(task, parts[-1]), task, features)
        chosen["c"] = self._grid[choice.best]
        if choice.threshold is not None:
            chosen["threshold"] = choice.threshold
        model = trial.fit(chosen["c"])

        def predict(texts: Sequence[str]) -> FloatArray:
            return projected(model.predict_proba(features.transform(texts)), to_next)

        return Predictor(predict, chosen)

    @property
    def _grid(self) -> list[float]:
        return sorted(self.settings.c_grid)

    def _first_strength(self, rows: Rows, space: Space, task: Task, resources: Resources) -> float:
        """Return the strength for an earlier stage, chosen on its own features and rows, and kept: no seed has a part in it."""
        from emosynth.models.features import Rotated

        held = () if task.validation is None else task.validation
        key = digest(
            self.name,
            self._grid,
            resources.encoder_hash,
            space.name,
            space.labels,
            task.folds,
            rows.texts,
            rows.targets,
            rows.weights,
            *held,
            *([] if rows.balance else ["unbalanced"]),
        )
        if key not in _FIRST:
            features = self.features(resources)
            rotated = Rotated(features.fit_transform(rows.texts))
            trial = _Trial(rotated, rotated.rows, rows, space, None, None)
            _FIRST[key] = self._grid[self._choice(trial, len(rows), task, features).best]
        return _FIRST[key]

    def _choice(self, trial: _Trial, known: int, task: Task, features: Any) -> Choice:
        """Choose on validation rows; or by the first ``known`` rows, each fold predicted from the others and from all further rows."""
        rows, grid = trial.rows, self._grid
        if task.validation is not None:
            x = features.transform(task.validation[0])
            made = [projected(trial.fit(c).predict_proba(x), trial.to_next) for c in grid]
            return choose(made, task.validation[1] > 0.5, task.space)
        if known < 2 or (len(grid) == 1 and task.space.single):
            return Choice(len(grid) // 2, None if task.space.single else 0.5)
        targets = rows.targets[:known]
        fold = folds_of(as_truth(targets, trial.space), task.folds)
        out = [np.zeros((known, len(task.space.labels))) for _ in grid]
        for number in range(int(fold.max()) + 1):
            mine = np.flatnonzero(fold == number)
            rest = np.setdiff1d(np.arange(len(rows)), mine, assume_unique=True)
            train = rows.take(rest)
            if not (train.weights > 0).any():  # nothing but the fold has a weight: its rows are predicted by nothing
                continue
            for place, c in enumerate(grid):
                model = fit_linear(c, trial.x[rest], train, trial.space, trial.start)
                out[place][mine] = projected(model.predict_proba(trial.x[mine]), trial.to_next)
        return choose(out, as_truth(projected(targets, trial.to_next), task.space), task.space)
