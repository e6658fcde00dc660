"""What a classifier's probabilities are worth on labelled rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, precision_recall_fscore_support

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BINS = 15
_FLOOR = 1e-12


@dataclass(frozen=True)
class Scores:
    """Scores of one classifier.

    Attributes
    ----------
    macro_f1, accuracy
        Macro-F1 over all classes, absent ones included (F1 0 where undefined).
    ece
        Expected calibration error of the predicted class, over ``BINS`` bins of equal mass (Nguyen & O'Connor 2015).
    brier
        Multi-class Brier score: mean squared distance of the probabilities from the one-hot label, 0 to 2.
    nll
        Mean negative log-probability of the true class, in nats; probabilities are cut at 1e-12.
    per_class
        Precision, recall, f1 and support, each (k,).
    reliability
        Mean confidence, accuracy and number of rows of each bin, (bins, 3).
    """

    macro_f1: float
    accuracy: float
    ece: float
    brier: float
    nll: float
    per_class: dict[str, list[float]]
    reliability: list[list[float]]


def macro_f1(probabilities: FloatArray, targets: IntArray) -> float:
    """Return macro-F1 over all columns of (n, k) probabilities against (n,) class positions."""
    labels = range(probabilities.shape[1])
    return float(f1_score(targets, probabilities.argmax(axis=1), labels=list(labels), average="macro", zero_division=0.0))


def reliability(probabilities: FloatArray, targets: IntArray, bins: int = BINS) -> FloatArray:
    """Return mean confidence, accuracy and count of the predicted class in bins of equal mass, (bins, 3); ties are not split by label."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == targets
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, min(bins, len(order))) if len(part)]
    return np.array([[confidence[part].mean(), correct[part].mean(), len(part)] for part in parts])


def score(probabilities: FloatArray, targets: IntArray) -> Scores:
    """Return all scores of (n, k) probabilities against (n,) class positions."""
    n, k = probabilities.shape
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, probabilities.argmax(axis=1), labels=list(range(k)), zero_division=0.0
    )
    one_hot = np.eye(k)[targets]
    table = reliability(probabilities, targets)
    return Scores(
        macro_f1=float(np.mean(f1)),
        accuracy=float((probabilities.argmax(axis=1) == targets).mean()),
        ece=float((table[:, 2] / n * np.abs(table[:, 0] - table[:, 1])).sum()),
        brier=float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
        nll=float(-np.log(np.maximum(probabilities[np.arange(n), targets], _FLOOR)).mean()),
        per_class={
            name: [float(value) for value in values]
            for name, values in (("precision", precision), ("recall", recall), ("f1", f1), ("support", support))
        },
        reliability=[[float(value) for value in row] for row in table],
    )


def as_dict(scores: Scores) -> dict[str, Any]:
    """Return the scores as plain values, as the score cache keeps them."""
    return {name: getattr(scores, name) for name in Scores.__dataclass_fields__}
