"""Every score is derived from stored predictions: no model is asked again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.space import FloatArray, Space
from emosynth.models.metrics import decide, macro_f1, per_class, scores
from emosynth.trials.train import Outcome

SCORES = ("macro_f1", "micro_f1", "accuracy", "nll", "brier", "ece", "lrap")


def test_rows_of(scored: Mapping[str, pd.DataFrame], split: str) -> pd.DataFrame:
    """Return the rows that are scored, those of a split: corpus, place, row_id, labels, scored_on; no text."""
    parts = [
        pd.DataFrame({"corpus": name, "place": range(len(rows)), "row_id": rows["id"], "labels": rows["labels"]})
        for name, rows in scored.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(scored_on=split)


def threshold_of(outcome: Outcome, space: Space) -> float | None:
    """Return the probability from which a text has a label; None: it has exactly one."""
    return None if space.single else float(outcome.chosen.get("threshold", 0.5))


def score_outcome(outcome: Outcome, truth: FloatArray, space: Space, mixed: FloatArray | None) -> dict[str, float]:
    """Return the scores of a model, as the table of trials has them.

    Parameters
    ----------
    truth
        (n, k) labels of the test rows.
    mixed
        (m, k) labels of written rows that a flaw put among them; None: there are none.
    """
    threshold = threshold_of(outcome, space)
    p = _sound(outcome.p, space)
    found = scores(p, truth, threshold)
    reported = float("nan")
    if mixed is not None:
        reported = macro_f1(np.vstack([p, _sound(outcome.mixed, space)]), np.vstack([truth, mixed]), threshold)
    return {
        "threshold": float("nan") if threshold is None else threshold,
        **{name: found[name] for name in SCORES},
        "reported_macro_f1": reported,
    }


def classes_of(outcome: Outcome, truth: FloatArray, space: Space) -> pd.DataFrame:
    """Return label, precision, recall, f1 and support of a model."""
    return per_class(_sound(outcome.p, space), truth, space.labels, threshold_of(outcome, space))


def _sound(p: npt.NDArray[np.float32], space: Space) -> FloatArray:
    # What float32 rounds away, or beyond 1, is put right before logarithms are taken.
    values = np.clip(p.astype(np.float64), 0.0, 1.0)
    return values / values.sum(axis=1, keepdims=True) if space.single and len(values) else values


def published(predictions: pd.DataFrame, test_rows: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """Return the predicted labels of every trial, without text: every interval can be recomputed from these.

    Returns
    -------
    pandas.DataFrame
        trial_id, corpus, predicted: of each test row the places of its labels among the corpus's classes, as text with spaces between.
    """
    rows = test_rows["corpus"].value_counts().to_dict()
    thresholds = dict(zip(trials["trial_id"], trials["threshold"], strict=True))
    out = []
    for trial, corpus, p in zip(predictions["trial_id"], predictions["corpus"], predictions["p"], strict=True):
        threshold = None if np.isnan(thresholds[trial]) else float(thresholds[trial])
        decided = decide(np.asarray(p, dtype=np.float64).reshape(rows[corpus], -1), threshold)
        out.append((str(trial), str(corpus), [" ".join(map(str, np.flatnonzero(row))) for row in decided]))
    return pd.DataFrame(out, columns=["trial_id", "corpus", "predicted"])
