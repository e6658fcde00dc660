"""Students of step 08: fit on the rows of a run, choose on validation, score once on test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from emosynth.distillation.design import Run
from emosynth.distillation.rows import Rows
from emosynth.learning.fit import HeldOut
from emosynth.learning.scores import macro_f1
from emosynth.models.classifiers import TfidfFeatures, embedding_features, label_indices
from emosynth.models.distil import EncoderStudent, LinearStudent
from emosynth.params import Distillation

FloatArray = npt.NDArray[np.float64]
Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Fitted:
    """What a student made of its rows.

    Attributes
    ----------
    c
        Inverse regularisation strength chosen; NaN for the encoder.
    validation_macro_f1
        On the real validation rows, and what else the run put among them.
    test
        (n, k) probabilities of the real test rows.
    mixed
        (m, k) probabilities of synthetic rows that the run put into the test set.
    """

    c: float
    validation_macro_f1: float
    test: FloatArray
    mixed: FloatArray


class Student(Protocol):
    """Fits and predicts; ``identity`` holds what can change the result besides the rows and the run."""

    name: str
    identity: dict[str, Any]

    def run(self, run: Run, rows: Rows, held_out: HeldOut) -> Fitted:
        """Return predictions for the test rows."""
        ...


def _weighting(rows: Rows) -> Literal["row", "batch"]:
    return "batch" if rows.batch_weights else "row"


class LinearDistilled:
    """Multinomial logistic regression on TF-IDF or on embeddings, trained with the distillation loss.

    The inverse regularisation strength is chosen by macro-F1 on validation; ties go to the stronger regularisation.

    Parameters
    ----------
    embed
        Function from texts to (n, d) embeddings; None: TF-IDF of word 1- and 2-grams of the training rows.
    """

    def __init__(self, settings: Distillation, embed: Embed | None = None, encoder_hash: str = "") -> None:
        self.settings, self.embed = settings, embed
        self.name = "tfidf" if embed is None else "embedding"
        self.identity = {"student": self.name, "c_grid": settings.c_grid, "encoder": encoder_hash}
        # Runs that differ in weights or soft labels alone come one after the other and share their features.
        self._kept: tuple[str, tuple[Any, ...]] | None = None

    def _features(self, rows: Rows, held_out: HeldOut) -> tuple[Any, ...]:
        parts = (rows.texts, [*held_out.validation_texts, *rows.validation[0]], held_out.test_texts, list(rows.test[0]))
        key = hashlib.sha256(json.dumps([parts[0], parts[1], parts[3]]).encode()).hexdigest()
        if self._kept is None or self._kept[0] != key:
            if self.embed is None:
                tfidf = TfidfFeatures((1, 2)).fit(rows.texts)
                made = tuple(tfidf.transform(texts) if texts else None for texts in parts)
            else:
                made = tuple(embedding_features(self.embed(texts)) if texts else None for texts in parts)
            self._kept = (key, made)
        return self._kept[1]

    def run(self, run: Run, rows: Rows, held_out: HeldOut) -> Fitted:
        """Fit every strength, choose by validation macro-F1, predict with the chosen one."""
        train, validation, test, mixed = self._features(rows, held_out)
        classes = held_out.classes
        targets = label_indices(rows.labels, classes)
        goal = np.concatenate([held_out.validation_targets, label_indices(list(rows.validation[1]), classes)]).astype(np.int64)
        best: tuple[float, float, LinearStudent] | None = None
        for c in sorted(self.settings.c_grid):
            alpha = run.alpha if rows.teacher is not None else 0.0
            model = LinearStudent(c, alpha=alpha, temperature=run.temperature, weighting=_weighting(rows))
            model.fit(train, targets, len(classes), rows.weights, rows.teacher)
            found = macro_f1(model.predict_proba(validation), goal)
            if best is None or found > best[0]:
                best = (found, c, model)
        assert best is not None  # the grid is not empty
        empty = np.zeros((0, len(classes)))
        return Fitted(best[1], best[0], best[2].predict_proba(test), best[2].predict_proba(mixed) if mixed is not None else empty)


class TinyDistilled:
    """The first layers of the encoder, fine-tuned with the distillation loss. Nothing is chosen on validation."""

    name = "tiny"

    def __init__(self, settings: Distillation, folder: Path, encoder_hash: str) -> None:
        self.settings, self.folder = settings, folder
        self.identity = {"student": self.name, "settings": settings.tiny.model_dump(), "encoder": encoder_hash}

    def run(self, run: Run, rows: Rows, held_out: HeldOut) -> Fitted:
        """Fine-tune with the repeat as random seed, and predict."""
        alpha = run.alpha if rows.teacher is not None else 0.0
        model = EncoderStudent(
            self.folder, self.settings.tiny, seed=run.repeat, alpha=alpha, temperature=run.temperature, weighting=_weighting(rows)
        )
        classes = held_out.classes
        model.fit(rows.texts, label_indices(rows.labels, classes), classes, rows.weights, rows.teacher)
        goal = np.concatenate([held_out.validation_targets, label_indices(list(rows.validation[1]), classes)]).astype(np.int64)
        validation = macro_f1(model.predict_proba([*held_out.validation_texts, *rows.validation[0]]), goal)
        return Fitted(float("nan"), validation, model.predict_proba(held_out.test_texts), model.predict_proba(list(rows.test[0])))
