"""Wrong labels, estimated by confident learning (Northcutt, Jiang and Chuang 2021, doi:10.1613/jair.1.12125), and how well it does on planted ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emosynth.design.cells import stable_seed

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
COLUMNS = ["arm", "n_texts", "folds", "disagree", "noise", "planted", "noise_planted", "recall", "precision", "note"]


def confident_joint(given: Integers, p: Floats) -> Floats:
    """Return the estimated joint distribution of given and true labels, shape (k, k), sum 1.

    Parameters
    ----------
    given
        (n,) labels, every class at least once.
    p
        (n, k) out-of-fold probabilities. A row counts as of the likeliest class among those whose threshold it reaches: the mean probability
        of the class over the rows that are given it. Rows that reach none are left out, and made up for class by class.
    """
    k = p.shape[1]
    thresholds = np.array([p[given == label, label].mean() for label in range(k)])
    reached = np.where(p >= thresholds - 1e-9, p, -1.0)
    sure = reached.max(axis=1) >= 0
    counts = np.zeros((k, k))
    np.add.at(counts, (given[sure], reached[sure].argmax(axis=1)), 1)
    sizes = np.bincount(given, minlength=k)
    empty = counts.sum(axis=1) == 0
    counts[empty, empty] = 1  # of a class without a sure row nothing is known; its labels stand
    calibrated = counts / counts.sum(axis=1, keepdims=True) * sizes[:, None]
    return np.asarray(calibrated / calibrated.sum(), dtype=np.float64)


def suspects(given: Integers, p: Floats) -> npt.NDArray[np.bool_]:
    """Return which labels are held for wrong: of each pair of classes as many as the joint says, by largest margin of the other class."""
    wanted = np.rint(confident_joint(given, p) * len(given)).astype(int)
    out = np.zeros(len(given), dtype=np.bool_)
    for label, other in np.argwhere(wanted > 0):
        if label != other:
            own = np.flatnonzero(given == label)
            margins = p[own, other] - p[own, label]
            out[own[np.argsort(-margins, kind="stable")[: wanted[label, other]]]] = True
    return out


def probabilities(texts: Sequence[str], given: Integers, folds: int, seed: int) -> Floats:
    """Return out-of-fold probabilities of logistic regression on word TF-IDF; equal texts lie in one fold."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    features = TfidfVectorizer(sublinear_tf=True, max_features=3000, token_pattern=r"(?u)\b\w+\b")
    model = make_pipeline(features, LogisticRegression(C=10.0, tol=1e-3, class_weight="balanced"))
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(model, list(texts), given, groups=list(texts), cv=splits, method="predict_proba"), dtype=np.float64)


def label_noise(arm: str, texts: Sequence[str], labels: Sequence[str], *, folds: int, planted: float, seed: int) -> dict[str, object]:
    """Estimate how many labels of an arm are wrong, and check the estimate on labels that are made wrong.

    Parameters
    ----------
    texts, labels
        n texts, each with one class. Classes of fewer texts than folds are left out.
    planted
        Share of labels that are moved to another class, drawn at random, for the check.

    Returns
    -------
    dict
        `COLUMNS`. ``disagree``: share of labels that the classifier does not think likeliest; ``noise``: share that confident learning
        holds for wrong; ``noise_planted``: the same with a share ``planted`` made wrong; ``recall``, ``precision``: of what was planted, found
        among the suspects (precision cannot be 1 where labels were wrong before). NaN with a ``note`` where there is too little text.
    """
    different = {name: len({text for text, own in zip(texts, labels, strict=True) if own == name}) for name in sorted(labels)}
    names = [name for name, count in different.items() if count >= folds]
    kept = [(text, names.index(own)) for text, own in zip(texts, labels, strict=True) if own in names]
    row: dict[str, object] = dict.fromkeys(COLUMNS, math.nan)
    row |= {"arm": arm, "n_texts": len(kept), "folds": folds, "planted": planted, "note": ""}
    if len(names) < 2:
        return row | {"note": f"fewer than two classes with {folds} different texts"}
    chosen, given = [text for text, _ in kept], np.array([place for _, place in kept], dtype=np.int64)
    p = probabilities(chosen, given, folds, stable_seed(seed, "folds"))
    rng = np.random.default_rng(stable_seed(seed, "planted"))
    wrong = np.zeros(len(given), dtype=np.bool_)
    wrong[rng.permutation(len(given))[: round(planted * len(given))]] = True
    moved = np.where(wrong, (given + rng.integers(1, len(names), len(given))) % len(names), given)
    row |= {"disagree": float((p.argmax(axis=1) != given).mean()), "noise": float(suspects(given, p).mean())}
    if not wrong.any() or np.bincount(moved, minlength=len(names)).min() < folds:
        return row | {"note": "too few texts to plant wrong labels among"}
    found = suspects(moved, probabilities(chosen, moved, folds, stable_seed(seed, "folds")))
    return row | {
        "noise_planted": float(found.mean()), "recall": float(found[wrong].mean()),
        "precision": float(wrong[found].mean()) if found.any() else math.nan,
    }  # fmt: skip
