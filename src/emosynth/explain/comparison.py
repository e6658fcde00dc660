"""Six classical learners compared on a seed by stratified cross-validation, as the SHAP-guided system's paper does before it chooses one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from emosynth.design.cells import stable_seed
from emosynth.design.rows import class_balance
from emosynth.explain.explained import BoolArray, C
from emosynth.models.features import TfidfFeatures
from emosynth.models.trees import BoostedTrees
from emosynth.seeding import Seed

FOLDS = 5
_Predict = Callable[[sp.csr_matrix, BoolArray, sp.csr_matrix, bool], BoolArray]


def _estimators() -> dict[str, Callable[[int], Any]]:
    """Return a maker of each learner of scikit-learn, given the number of training rows."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import LinearSVC

    return {
        "logistic regression": lambda rows: LogisticRegression(C=C, max_iter=1000),
        "linear SVM": lambda rows: LinearSVC(C=C, random_state=0),
        "multinomial naive Bayes": lambda rows: MultinomialNB(),
        "k nearest neighbours": lambda rows: KNeighborsClassifier(n_neighbors=min(5, rows)),
        "random forest": lambda rows: RandomForestClassifier(n_estimators=100, random_state=0, n_jobs=1),
    }


def _classical(make: Callable[[int], Any]) -> _Predict:
    """Return a predictor; rows are weighted so that classes count alike, where the learner knows weights."""

    def fitted(x: sp.csr_matrix, y: npt.NDArray[np.int64]) -> Any:
        model, mass = make(x.shape[0]), np.bincount(y)
        if type(model).__name__ == "KNeighborsClassifier":
            return model.fit(x, y)
        return model.fit(x, y, sample_weight=(len(y) / ((mass > 0).sum() * np.maximum(mass, 1)))[y])

    def predict(x: sp.csr_matrix, has: BoolArray, new: sp.csr_matrix, single: bool) -> BoolArray:
        if single:
            y = has.argmax(axis=1)
            chosen = fitted(x, y).predict(new) if len(np.unique(y)) > 1 else np.full(new.shape[0], y[0])
            return np.asarray(chosen[:, None] == np.arange(has.shape[1]))
        out = np.zeros((new.shape[0], has.shape[1]), dtype=bool)
        for label, column in enumerate(has.T):
            out[:, label] = fitted(x, column.astype(np.int64)).predict(new) == 1 if 0 < column.sum() < len(column) else column.all()
        return out

    return predict


def _boosted(x: sp.csr_matrix, has: BoolArray, new: sp.csr_matrix, single: bool) -> BoolArray:
    targets, weights = has.astype(np.float64), np.ones(len(has))
    model = BoostedTrees(single=single).fit(x, targets, weights * class_balance(targets, weights) if single else weights)
    p = model.predict_proba(new)
    return np.asarray(p.argmax(axis=1)[:, None] == np.arange(p.shape[1])) if single else p >= 0.5


def _folds(strata: list[str], random_seed: int) -> npt.NDArray[np.int64]:
    """Return the fold of each row: every stratum's rows are shuffled and dealt out in turn, where the one before left off."""
    rng, out, at = np.random.default_rng(random_seed), np.zeros(len(strata), dtype=np.int64), 0
    for stratum in sorted(set(strata)):
        rows = rng.permutation([row for row, name in enumerate(strata) if name == stratum])
        out[rows] = (at + np.arange(len(rows))) % FOLDS
        at += len(rows)
    return out


def compare_learners(seed: Seed, has: BoolArray, strata: list[str], single: bool) -> pd.DataFrame:
    """Cross-validate six classical learners on TF-IDF (words and pairs of words) of one seed.

    Parameters
    ----------
    seed, has, single
        n rows, their (n, k) labels, and whether each has exactly one.
    strata
        (n,) label that each row is stratified by.

    Returns
    -------
    DataFrame
        learner, folds, macro_f1 and its sd over the folds; in alphabetical order but for XGBoost, which comes last. A label that neither
        a fold's rows nor its predictions have is left out of that fold's mean.
    """
    fold = _folds(strata, stable_seed("learners", str(seed.cell)))
    learners = {name: _classical(make) for name, make in sorted(_estimators().items(), key=lambda item: item[0].lower())}
    learners["XGBoost"] = _boosted
    scores: dict[str, list[float]] = {name: [] for name in learners}
    for held in sorted(set(fold.tolist())):
        train, test = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        tfidf = TfidfFeatures((1, 2))
        x = tfidf.fit_transform([seed.texts[row] for row in train])
        new = tfidf.transform([seed.texts[row] for row in test])
        for name, predict in learners.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # solvers that stop early: what they reach is what is scored
                scores[name].append(_macro_f1(has[test], predict(x, has[train], new, single)))
    rows = [
        {"learner": name, "folds": len(values), "macro_f1": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
        for name, values in scores.items()
    ]
    return pd.DataFrame(rows)


def _macro_f1(has: BoolArray, said: BoolArray) -> float:
    hits, total = (has & said).sum(axis=0), has.sum(axis=0) + said.sum(axis=0)
    return float((2 * hits[total > 0] / total[total > 0]).mean())
