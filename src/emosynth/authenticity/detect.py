"""Classifier two-sample test: how well a classifier tells generated from real text (Lopez-Paz and Oquab 2017).

Character TF-IDF and logistic regression, cross-validated; an area under the curve of 0.5 means it cannot tell, 1 that it always can.
Near-duplicates stay in one fold, or the classifier would recognise a text instead of its origin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import norm, rankdata
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from emosynth.authenticity.resampling import Floats, Integers
from emosynth.languages import spaced
from emosynth.text import near_duplicates, normalise

FOLDS = 5
_LONGEST = 2000
"""Characters of a text that are looked at."""


@dataclass(frozen=True)
class Detection:
    """Result of :func:`detect`: mean AUC of the folds, its interval, one-sided p of an AUC of 0.5, texts of each kind."""

    auc: float
    low: float
    high: float
    p: float
    n: int


def detect(
    generated: Sequence[str],
    real: Sequence[str],
    *,
    near_duplicate: float = 0.8,
    most: int = 500,
    permutations: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Detection:
    """Tell generated from real texts, equally many of each, at most ``most``; all NaN for fewer than ten of a kind or fewer than two folds.

    ``near_duplicate``: Jaccard similarity of word 3-grams from which two texts must be in one fold. Interval: normal, by DeLong's variance
    (1988) within folds, widened for what folds share (Nadeau and Bengio 2003). Test: one-sided; its spread is that of labels permuted
    within folds, widened likewise: without it, alike texts are told apart at 0.05 in 13 % of trials instead of 5 %.
    """
    kinds = [[text for text in map(normalise, texts) if text] for texts in (generated, real)]
    n = min(most, *map(len, kinds))
    nothing = Detection(math.nan, math.nan, math.nan, math.nan, n)
    if n < 10:
        return nothing
    generator = np.random.default_rng(seed)
    texts = [kind[index][:_LONGEST] for kind in kinds for index in np.sort(generator.choice(len(kind), n, replace=False)).tolist()]
    labels = np.repeat([1, 0], n)
    groups = _groups(texts, near_duplicate)
    folds = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=seed)
    held_out: list[tuple[Floats, Integers]] = []
    try:
        splits = list(folds.split(np.zeros(len(texts)), labels, groups))
    except ValueError:  # fewer groups than folds
        return nothing
    for train, test in splits:
        if len(set(labels[train])) < 2 or min(np.bincount(labels[test], minlength=2)) < 2:
            continue
        vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False, sublinear_tf=True, min_df=2, dtype=np.float64)
        try:
            fitted = vectors.fit_transform(texts[index] for index in train)
        except ValueError:  # no character n-gram occurs twice
            continue
        model = LogisticRegression(C=10.0, solver="liblinear", random_state=0).fit(fitted, labels[train])
        scores = model.decision_function(vectors.transform(texts[index] for index in test))
        held_out.append((np.round(scores, 9), labels[test]))
    if len(held_out) < 2:
        return nothing
    auc = float(np.mean([_permuted_areas(scores, truth, 0, generator)[0] for scores, truth in held_out]))
    folds_used = len(held_out)
    # Folds share training texts, so their areas vary together; Nadeau and Bengio's factor (2003) for test over train size.
    widening = math.sqrt(1 + folds_used / (FOLDS - 1))
    spread = widening * math.sqrt(sum(_variance(scores, truth) for scores, truth in held_out)) / folds_used
    half = float(norm.ppf((1 + confidence) / 2)) * spread
    null = np.mean([_permuted_areas(scores, truth, permutations, generator)[1:] for scores, truth in held_out], axis=0)
    p = float(norm.sf((auc - 0.5) / max(widening * float(null.std()), 1e-12)))
    return Detection(auc, max(0.0, auc - half), min(1.0, auc + half), p, n)


def _groups(texts: Sequence[str], threshold: float) -> Integers:
    """Return the number of each text's group of near-duplicates."""
    pairs = np.array([(match.index, match.other) for match in near_duplicates(list(map(spaced, texts)), threshold)], dtype=np.int64)
    first, second = pairs.reshape(-1, 2).T
    linked = coo_array((np.ones(len(first)), (first, second)), shape=(len(texts), len(texts)))
    return np.asarray(connected_components(linked, directed=False)[1], dtype=np.int64)


def _permuted_areas(scores: Floats, truth: Integers, permutations: int, generator: np.random.Generator) -> Floats:
    """Return the AUC with labels as they are, then with permuted labels; from ranks, ties shared."""
    ranks = rankdata(scores)
    ones = int(truth.sum())
    zeros = truth.size - ones
    sums = np.empty(permutations + 1)
    sums[0] = ranks[truth == 1].sum()
    if permutations:
        drawn = np.argpartition(generator.random((permutations, truth.size)), ones - 1, axis=1)[:, :ones]
        sums[1:] = ranks[drawn].sum(axis=1)
    return (sums - ones * (ones + 1) / 2) / (ones * zeros)


def _variance(scores: Floats, truth: Integers) -> float:
    positive, negative = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])

    def placement(values: Floats, others: Floats) -> Floats:
        return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * others.size)

    return float(placement(positive, negative).var(ddof=1) / positive.size + placement(negative, positive).var(ddof=1) / negative.size)
