"""The classifiers of a seed that are explained: logistic regression and boosted trees, both on TF-IDF of single tokens."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from emosynth.design.rows import class_balance
from emosynth.explain.shap_values import Attributions, FloatArray, linear_attributions, tree_attributions
from emosynth.models.features import TfidfFeatures, one_thread
from emosynth.models.linear import OneVsRest
from emosynth.models.trees import BoostedTrees

Kind = Literal["tfidf", "trees"]
BoolArray = npt.NDArray[np.bool_]

C = 1.0
"""Inverse regularisation strength of the linear model. Fixed: choosing it would need labelled rows beyond the seed."""


@dataclass(frozen=True)
class Explained:
    """SHAP values of a classifier of a seed, and the (n, d) TF-IDF features that it reads."""

    features: sp.csr_matrix
    attributions: Attributions


def explain_seed(kind: Kind, texts: Sequence[str], has: BoolArray, single: bool) -> Explained:
    """Fit a classifier on the rows of a seed, and explain it on them.

    Parameters
    ----------
    kind
        ``tfidf``: logistic regression; ``trees``: XGBoost.
    texts
        n texts.
    has
        (n, k) whether a row has a label.
    single
        Whether each has exactly one: softmax regression or one booster of all classes, classes balanced; else each label on its own.
    """
    tfidf = TfidfFeatures((1, 1))
    features = tfidf.fit_transform(texts)
    targets, weights = has.astype(np.float64), np.ones(len(texts))
    if single:
        weights = class_balance(targets, weights)
    if kind == "trees":
        trees = BoostedTrees(single=single).fit(features, targets, weights)
        return Explained(features, tree_attributions(tfidf.terms(), features, trees))
    coef, intercept = _softmax(features, targets, weights) if single else _one_vs_rest(features, targets)
    return Explained(features, linear_attributions(tfidf.terms(), features, coef, intercept))


def _softmax(features: sp.csr_matrix, targets: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return (k, d) coefficients and (k,) intercepts of scikit-learn's logistic regression; 0 for classes without rows.

    The choice of exemplars hangs on near-ties, so that the solver is part of what a prompt depends on.
    """
    k, present = targets.shape[1], np.flatnonzero(targets.any(axis=0))
    coef, intercept = np.zeros((k, features.shape[1])), np.zeros(k)
    if len(present) < 2:  # nothing to tell apart
        return coef, intercept
    model = LogisticRegression(C=C, max_iter=1000, tol=1e-4)
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, targets.argmax(axis=1), sample_weight=weights)
    found, at = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
    if len(present) == 2:  # one binary margin m; softmax(-m/2, m/2) is the same model
        found, at = np.vstack([-found / 2, found / 2]), np.concatenate([-at / 2, at / 2])
    coef[present], intercept[present] = found, at
    return coef, intercept


def _one_vs_rest(features: sp.csr_matrix, targets: FloatArray) -> tuple[FloatArray, FloatArray]:
    model = OneVsRest(C).fit(features, targets)
    # A label that no row has, or every row, has an infinite intercept and no coefficients: nothing to explain.
    return model.coef, np.where(np.isfinite(model.intercept), model.intercept, 0.0)
