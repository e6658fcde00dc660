"""TF-IDF of words and gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from emosynth.design.rows import Rows, Stage
from emosynth.design.space import FloatArray
from emosynth.learners.base import Learner, LearnerSettings, Resources, Task
from emosynth.learners.choosing import Predictor, mixed, weighed, with_threshold


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
        space, settings = last.space, self.settings
        rows = mixed(last.rows.take(np.flatnonzero(last.rows.weights > 0)), space)
        features = TfidfFeatures((1, 1))
        features.fit(rows.texts)

        def trained(part: Rows) -> Callable[[Sequence[str]], FloatArray]:
            part = weighed(part, space)
            model = BoostedTrees(single=space.single, rounds=settings.rounds, depth=settings.depth, learning_rate=settings.learning_rate)
            model.fit(features.transform(part.texts), part.targets, part.weights)
            return lambda texts: model.predict_proba(features.transform(texts))

        return with_threshold(trained, last, rows, task, task.folds, crossed=True)
