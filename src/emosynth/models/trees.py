"""Gradient-boosted trees (XGBoost) on TF-IDF: the classifier that the SHAP-guided system was published with.

Chen and Guestrin (2016), XGBoost: A Scalable Tree Boosting System. Parameters are XGBoost's defaults but for histograms and one thread,
which make equal runs equal bytes. Absent terms are *missing* to XGBoost: each split learns where they go, and its exact SHAP values
follow the same rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import expit, logit

from emosynth.models.checked import FloatArray, checked_targets, checked_weights
from emosynth.models.loss import softmax


def _matrix(features: Any, labels: Any = None, weights: Any = None) -> Any:
    import xgboost

    return xgboost.DMatrix(features, label=labels, weight=weights, nthread=1)


class BoostedTrees:
    """Boosted trees on a matrix: softprob of one label a row, or one binary booster a label.

    A soft target is its row once for each label with a share, weighted by that share; of several labels, once as positive and once as
    negative.

    Parameters
    ----------
    single
        Whether a row has exactly one label.
    rounds, depth, learning_rate
        Trees per class, their depth, and shrinkage.

    Attributes
    ----------
    boosters : dict
        Booster by label position; of a single-label model one, at position −1, whose classes are those of ``present``.
    present : ndarray
        Positions of the classes with target mass.
    """

    def __init__(self, *, single: bool = True, rounds: int = 100, depth: int = 6, learning_rate: float = 0.3) -> None:
        self.single, self.rounds, self.depth, self.learning_rate = single, rounds, depth, learning_rate

    def _train(self, x: Any, labels: FloatArray, weights: FloatArray, objective: dict[str, Any]) -> Any:
        import xgboost

        settings = {
            "max_depth": self.depth, "learning_rate": self.learning_rate, "tree_method": "hist", "nthread": 1, "seed": 0, "verbosity": 0,
            **objective,
        }  # fmt: skip
        return xgboost.train(settings, _matrix(x, labels, weights), num_boost_round=self.rounds)

    def fit(self, features: Any, targets: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> BoostedTrees:
        """Fit on (n, d) features and (n, k) targets; rows of weight 0 are left out.

        Raises
        ------
        UserError
            If rows differ in number, a target or weight is out of range, or no weight is above 0.
        """
        n = features.shape[0]
        goal, mass = checked_targets(targets, n, single=self.single), checked_weights(weights, n)
        kept = np.flatnonzero(mass > 0)
        x, goal, mass = sp.csr_matrix(features)[kept], goal[kept], mass[kept]
        self.boosters: dict[int, Any] = {}
        self.k = goal.shape[1]
        self.present = np.flatnonzero(goal.any(axis=0))
        self.rate = (mass @ goal) / mass.sum()
        if self.single:
            if len(self.present) > 1:
                rows, columns = np.nonzero(goal[:, self.present])
                weight = mass[rows] * goal[:, self.present][rows, columns]
                objective = {"objective": "multi:softprob", "num_class": len(self.present)}
                self.boosters[-1] = self._train(x[rows], columns.astype(np.float64), weight, objective)
            return self
        for label in np.flatnonzero(goal.any(axis=0) & (goal < 1).any(axis=0)):
            p = goal[:, label]
            positive, negative = np.flatnonzero(p > 0), np.flatnonzero(p < 1)
            self.boosters[int(label)] = self._train(
                x[np.concatenate([positive, negative])],
                np.concatenate([np.ones(len(positive)), np.zeros(len(negative))]),
                np.concatenate([(mass * p)[positive], (mass * (1 - p))[negative]]),
                {"objective": "binary:logistic"},
            )
        return self

    def margins(self, features: Any) -> FloatArray:
        """Return (n, k) raw margins; -inf for a label that cannot be, inf for one that must."""
        x = _matrix(sp.csr_matrix(features))
        if self.single:
            out = np.full((x.num_row(), self.k), -np.inf)
            out[:, self.present] = self.boosters[-1].predict(x, output_margin=True) if self.boosters else 0.0
            return out
        with np.errstate(divide="ignore"):
            out = np.tile(np.asarray(logit(np.where(self.rate > 0.5, 1.0, 0.0))), (x.num_row(), 1))
        for label, booster in self.boosters.items():
            out[:, label] = booster.predict(x, output_margin=True)
        return out

    def predict_proba(self, features: Any) -> FloatArray:
        """Return (n, k) probabilities: rows sum to 1 if single-label."""
        margins = self.margins(features)
        return softmax(margins) if self.single else np.asarray(expit(margins))

    def contributions(self, features: Any) -> FloatArray:
        """Return the (n, k, d + 1) exact tree SHAP values of the margins, the expected margin last (Lundberg et al. 2020).

        Over the last axis they sum to the margins. 0 for labels without a booster.
        """
        x = _matrix(sp.csr_matrix(features))
        out = np.zeros((x.num_row(), self.k, x.num_col() + 1))
        for label, booster in self.boosters.items():
            made = np.asarray(booster.predict(x, pred_contribs=True), dtype=np.float64)
            if label < 0:
                out[:, self.present] = made
            else:
                out[:, label] = made
        return out
