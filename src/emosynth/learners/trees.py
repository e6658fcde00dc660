"""TF-IDF of words and gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from emosynth.design.rows import Rows, Stage
from emosynth.design.space import FloatArray
from emosynth.learners.base import Learner, LearnerSettings, Resources, Task
from emosynth.learners.choosing import Predictor, as_truth, choose, folds_of, mixed, projected, seed_of, weighed


class TreesSettings(LearnerSettings):
    """Settings of the boosted trees: XGBoost's own defaults."""

    rounds: int = Field(100, ge=1, description="trees per class")
    depth: int = Field(6, ge=1, description="depth of a tree, at most")
    learning_rate: float = Field(0.3, gt=0, le=1)


class Trees(Learner):
    """TF-IDF of words and XGBoost, the classifier that SHAP-guided generation was published with. Nothing is chosen but thresholds."""

    name = "trees"
    label = "XGBoost"
    citation = (
        "@inproceedings{chen2016xgboost, title={{XGBoost}: A Scalable Tree Boosting System}, author={Chen, Tianqi and Guestrin, Carlos}, "
        "booktitle={KDD}, year={2016}}"
    )
    Settings: ClassVar[type[BaseModel]] = TreesSettings
    embeds: ClassVar[bool] = False
    marker: ClassVar[str] = "^"

    def fit(self, stages: Sequence[Stage], task: Task, resources: Resources) -> Predictor:
        """Fit on the last stage."""
        from emosynth.models.features import TfidfFeatures
        from emosynth.models.trees import BoostedTrees

        last = stages[-1]
        space, to_next, settings = last.space, last.to_next, self.settings
        rows = mixed(last.rows.take(np.flatnonzero(last.rows.weights > 0)), space)
        features = TfidfFeatures((1, 1))
        x = features.fit_transform(rows.texts)

        def trained(part: Rows, places: np.ndarray) -> BoostedTrees:
            part = weighed(part, space)
            model = BoostedTrees(single=space.single, rounds=settings.rounds, depth=settings.depth, learning_rate=settings.learning_rate)
            return model.fit(x[places], part.targets, part.weights)

        places = np.arange(len(rows))
        model = trained(rows, places)

        def predict(texts: Sequence[str]) -> FloatArray:
            return projected(model.predict_proba(features.transform(texts)), to_next)

        if task.space.single:
            return Predictor(predict, {})
        if task.validation is not None:
            threshold = choose([predict(task.validation[0])], task.validation[1] > 0.5, task.space).threshold
            return Predictor(predict, {"threshold": float(threshold or 0.0)})
        known = seed_of(task, rows)
        fold = folds_of(as_truth(rows.targets[:known], space), task.folds)
        out = np.zeros((known, len(task.space.labels)))
        for number in range(int(fold.max()) + 1 if known > 1 else 0):
            mine = np.flatnonzero(fold == number)
            rest = np.setdiff1d(places, mine, assume_unique=True)
            out[mine] = projected(trained(rows.take(rest), rest).predict_proba(x[mine]), to_next)
        truth = as_truth(projected(rows.targets[:known], to_next), task.space)
        return Predictor(predict, {"threshold": float(choose([out], truth, task.space).threshold or 0.0) if known > 1 else 0.5})
