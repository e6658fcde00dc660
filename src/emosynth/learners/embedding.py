"""Sentence embeddings and logistic regression."""

from __future__ import annotations

from typing import Any, ClassVar

from emosynth.learners.base import Resources
from emosynth.learners.linear import LinearLearner


class Embedding(LinearLearner):
    """Sentence embeddings of a frozen encoder, and logistic regression."""

    name = "embedding"
    label = "Embeddings + LR"
    citation = (
        "@inproceedings{reimers2019sentencebert, title={Sentence-{BERT}: Sentence Embeddings using Siamese {BERT}-Networks}, "
        "author={Reimers, Nils and Gurevych, Iryna}, booktitle={EMNLP-IJCNLP}, year={2019}}"
    )
    marker: ClassVar[str] = "s"

    def features(self, resources: Resources) -> Any:
        """Return embeddings as features."""
        from emosynth.models.features import EmbeddingFeatures

        return EmbeddingFeatures(resources.embed)
