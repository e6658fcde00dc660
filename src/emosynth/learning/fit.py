"""Learners: fit on one training set, choose on validation, score once on test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from emosynth.learning.arms import TrainingSet
from emosynth.learning.scores import Scores, macro_f1, score
from emosynth.models.classifiers import LinearHead, TfidfFeatures, embedding_features, label_indices
from emosynth.params import Training

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Validation and test rows: texts and (n,) class positions."""

    classes: list[str]
    validation_texts: list[str]
    validation_targets: npt.NDArray[np.int64]
    test_texts: list[str]
    test_targets: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """What a learner made of a training set."""

    weight: float
    c: float
    validation_macro_f1: float
    scores: Scores


class Learner(Protocol):
    """Fits, chooses and scores; ``identity`` holds what can change the result besides the rows."""

    name: str
    identity: dict[str, Any]

    def run(self, rows: TrainingSet, held_out: HeldOut) -> Fitted:
        """Return the learner's scores."""
        ...


class LinearLearner:
    """Multinomial logistic regression on TF-IDF or on sentence embeddings.

    Inverse regularisation strength and weight of the generated rows are chosen by macro-F1 on the validation split. Ties
    go to the stronger regularisation, then to the larger weight. Without generated rows only the strength is chosen.

    Parameters
    ----------
    embed
        Function from texts to (n, d) embeddings; None: TF-IDF of word 1- and 2-grams.
    """

    def __init__(
        self, training: Training, embed: Callable[[Sequence[str]], npt.NDArray[np.float32]] | None = None, encoder_hash: str = ""
    ) -> None:
        self.training, self.embed = training, embed
        self.name = "tfidf" if embed is None else "embedding"
        self.identity = {
            "learner": self.name,
            "c_grid": training.c_grid,
            "synthetic_weight": training.synthetic_weight,
            "encoder": encoder_hash,
        }

    def _features(self, rows: TrainingSet, held_out: HeldOut) -> tuple[Any, Any, Any]:
        if self.embed is None:
            tfidf = TfidfFeatures((1, 2)).fit(rows.texts)
            return tuple(tfidf.transform(texts) for texts in (rows.texts, held_out.validation_texts, held_out.test_texts))  # type: ignore[return-value]
        return tuple(embedding_features(self.embed(texts)) for texts in (rows.texts, held_out.validation_texts, held_out.test_texts))  # type: ignore[return-value]

    def run(self, rows: TrainingSet, held_out: HeldOut) -> Fitted:
        """Fit every setting, choose by validation macro-F1, score the chosen one on test."""
        train, validation, test = self._features(rows, held_out)
        targets = label_indices(rows.labels, held_out.classes)
        k = len(held_out.classes)
        best: tuple[float, float, float, LinearHead] | None = None
        for weight in sorted(self.training.synthetic_weight if rows.n_synthetic else [1.0], reverse=True):
            weights = np.where(rows.synthetic, weight, 1.0)
            for c in sorted(self.training.c_grid):
                head = LinearHead(c).fit(train, targets, k, weights)
                found = macro_f1(head.predict_proba(validation), held_out.validation_targets)
                if best is None or found > best[0] or (found == best[0] and c < best[2]):
                    best = (found, weight, c, head)
        assert best is not None  # the grids are not empty
        return Fitted(best[1], best[2], best[0], score(best[3].predict_proba(test), held_out.test_targets))


class FineTunedLearner:
    """The encoder, fine-tuned; generated rows have the first weight of the parameters. Nothing is chosen on validation."""

    name = "finetuned"

    def __init__(self, training: Training, folder: Path, encoder_hash: str) -> None:
        self.training, self.folder = training, folder
        self.identity = {
            "learner": self.name,
            "settings": training.finetuning.model_dump(),
            "weight": training.synthetic_weight[0],
            "encoder": encoder_hash,
        }

    def run(self, rows: TrainingSet, held_out: HeldOut) -> Fitted:
        """Fine-tune with the repeat as seed, and score."""
        from emosynth.models.encoders import FineTunedEncoder

        weight = self.training.synthetic_weight[0] if rows.n_synthetic else 1.0
        model = FineTunedEncoder(self.folder, self.training.finetuning, seed=rows.repeat)
        model.fit(rows.texts, rows.labels, held_out.classes, weights=np.where(rows.synthetic, weight, 1.0))
        validation = macro_f1(model.predict_proba(held_out.validation_texts), held_out.validation_targets)
        return Fitted(weight, float("nan"), validation, score(model.predict_proba(held_out.test_texts), held_out.test_targets))
