"""TF-IDF of words and logistic regression."""

from __future__ import annotations

from typing import Any, ClassVar

from emosynth.learners.base import Resources
from emosynth.learners.linear import LinearLearner


class Tfidf(LinearLearner):
    """TF-IDF of word 1- and 2-grams of the training rows of all stages, and logistic regression."""

    name = "tfidf"
    label = "TF-IDF + LR"
    embeds: ClassVar[bool] = False
    marker: ClassVar[str] = "o"

    def features(self, resources: Resources) -> Any:
        """Return TF-IDF features."""
        from emosynth.models.features import TfidfFeatures

        return TfidfFeatures((1, 2))
