"""The classifiers of a seed that are explained: logistic regression and boosted trees, both on TF-IDF of single tokens."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from emosynth.design.cells import stable_seed
from emosynth.design.rows import class_balance
from emosynth.explain.ranking import compare, presentable, shuffled
from emosynth.explain.shap_values import Attributions, FloatArray, encoder_attributions, linear_attributions, tree_attributions
from emosynth.models.features import TfidfFeatures, one_thread
from emosynth.models.linear import OneVsRest
from emosynth.models.trees import BoostedTrees
from emosynth.params import Params
from emosynth.progress import say
from emosynth.seeding import Seed

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
    """Fit logistic regression (``tfidf``) or XGBoost (``trees``) on the rows of a seed, (n, k) ``has``, and explain it on them.

    ``single``: each row has exactly one label, and classes are balanced; else each label is on its own.
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
    """Return (k, d) coefficients and (k,) intercepts of logistic regression; exemplars hang on near-ties: prompts depend on the solver."""
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


# --- the fine-tuned encoder explained on a few rows, beside the linear model ---


def explain_encoder(seed: Seed, has: BoolArray, single: bool, classes: list[str], params: Params, folder: Path) -> pd.DataFrame:
    """Tune the encoder on the seed, and explain some of its rows, classes in turn: id, row_label and `encoder_attributions`."""
    from emosynth.models.encoder import EncoderSettings, FineTunedEncoder  # slow to import, and seldom asked for

    rows, random_seed, cell = params.shap.encoder_rows, params.cells.random_seed, seed.cell
    model = FineTunedEncoder(folder, EncoderSettings(epochs=params.shap.encoder_epochs, batch=16), classes, single=single, seed=random_seed)
    model.fit(seed.texts, has.astype(np.float64))
    by_class = [
        shuffled([seed.ids[row] for row in np.flatnonzero(has[:, index])], cell.size, random_seed, cell.size, cell.repeat, index)
        for index in range(len(classes))
    ]
    turns = [ids[turn] for turn in range(cell.size) for ids in by_class if turn < len(ids)]
    chosen = [seed.ids.index(item) for item in dict.fromkeys(turns)][:rows]

    def show(done: int) -> None:
        if done % 5 == 0 or done == len(chosen):
            say(f"shap: encoder explained on {done} of {len(chosen)} rows")

    frame = encoder_attributions(model.predict_proba, [seed.texts[row] for row in chosen], classes, progress=show)
    frame.insert(0, "id", [seed.ids[chosen[row]] for row in frame["row"]])
    frame.insert(1, "row_label", [", ".join(seed.labels[chosen[row]]) for row in frame["row"]])
    return frame.drop(columns="row")


def against_encoder(
    found: pd.DataFrame, seed: Seed, has: BoolArray, explained: Attributions, classes: list[str], k: int
) -> list[dict[str, Any]]:
    """Compare the encoder's token scores with those of the model explained, both over the rows that the encoder was explained on."""
    of_encoder = np.isin(np.asarray(seed.ids), found["id"].unique())
    out = []
    for index, label in enumerate(classes):
        inside = of_encoder & has[:, index]
        if not inside.any():
            continue
        ids = [seed.ids[row] for row in np.flatnonzero(inside)]
        mine = found[(found["label"] == label) & found["id"].isin(ids)]
        other = mine[mine["token"].map(presentable)].groupby("token", sort=True)["shap"].sum() / inside.sum()
        at = inside[explained.rows]
        sums = pd.Series(explained.phi[at, index], index=[explained.terms[column] for column in explained.columns[at]])
        sums = sums.groupby(level=0, sort=True).sum()
        out.append({"label": label, **compare(sums[[presentable(str(token)) for token in sums.index]] / inside.sum(), other, k)})
    return out


# --- six classical learners compared on a seed, as the SHAP-guided system's paper does before it chooses one ---

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
    """Cross-validate six classical learners on TF-IDF (words and pairs of words) of one seed: learner, folds, macro_f1 and its sd.

    ``has``: (n, k) labels. ``strata``: (n,) label that each row is stratified by. A label that neither a fold's rows nor its predictions
    have is left out of that fold's mean.
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
