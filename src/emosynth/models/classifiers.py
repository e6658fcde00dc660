"""Classical text classifiers: the one that SHAP explains, that verifies candidates and that is finally scored.

A classifier is a featuriser (TF-IDF of words, or sentence embeddings) and a linear head (multinomial logistic
regression). They are separate so that a grid over heads computes its features once.

Probabilities always have one column per class of the corpus, in its order; a class that the training rows lack
gets probability 0. Row weights multiply each row's loss, and a row of weight 0 is the same as no row at all:
it reaches neither the vocabulary nor the document frequencies.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from emosynth.errors import UserError
from emosynth.text import words

FloatArray = npt.NDArray[np.float64]
ClassWeight = Literal["balanced", "none"]


@lru_cache(maxsize=100_000)
def _tokens(text: str) -> tuple[str, ...]:
    # Grids and repeats meet the same texts again and again; tokenising is slower than fitting.
    return tuple(words(text))


def label_indices(labels: Iterable[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the position of each label in ``classes``.

    Raises
    ------
    UserError
        If a label is not a class, or a row has several labels: multi-label rows need one-vs-rest heads,
        which single-label learners do not have.
    """
    position = {name: index for index, name in enumerate(classes)}
    out = []
    for row, label in enumerate(labels):
        if not isinstance(label, str):
            values = list(label)
            if len(values) != 1:
                raise UserError(
                    f"A row has {len(values)} labels, and this classifier is single-label.",
                    where=f"row {row}",
                    remedy="Use a single-label corpus, or keep one label per row.",
                )
            label = values[0]
        if label not in position:
            raise UserError(f"Unknown label {label!r}.", where=f"row {row}", remedy=f"Use one of {list(classes)}.")
        out.append(position[label])
    return np.asarray(out, dtype=np.int64)


def balanced_row_weights(targets: npt.NDArray[np.int64], weights: FloatArray, k: int) -> FloatArray:
    """Return row weights scaled so that each class present carries the same total weight, and the total is unchanged.

    ``targets`` (n,) class positions, ``weights`` (n,), ``k`` number of classes. A class counts by the weight of its
    rows, not by their number, so that rows of weight 0 have no say.
    """
    mass = np.bincount(targets, weights=weights, minlength=k)
    present = mass > 0
    factor = np.zeros(k)
    factor[present] = mass.sum() / (present.sum() * mass[present])
    return weights * factor[targets]


def checked_weights(weights: Sequence[float] | FloatArray | None, n: int) -> FloatArray:
    """Return row weights as (n,) floats; None means 1 for all."""
    if weights is None:
        return np.ones(n)
    out = np.asarray(weights, dtype=np.float64)
    if out.shape != (n,):
        raise ValueError(f"weights have shape {out.shape}, there are {n} rows")
    if not np.isfinite(out).all() or (out < 0).any():
        raise ValueError("weights must be finite and not negative")
    return out


class TfidfFeatures:
    """TF-IDF of word n-grams.

    Parameters
    ----------
    ngrams
        Lowest and highest n. (1, 2) for scoring; (1, 1) where single tokens are to be explained.
    min_document_frequency
        Documents of the training rows that an n-gram must occur in.

    Notes
    -----
    Term frequency is sublinear (1 + ln tf), document frequency smoothed, rows have length 1 (scikit-learn's
    definitions). Terms are in alphabetical order, so the columns do not depend on the order of the rows.
    """

    def __init__(self, ngrams: tuple[int, int] = (1, 2), min_document_frequency: int = 1) -> None:
        self.ngrams = ngrams
        self.min_document_frequency = min_document_frequency
        self._counts = CountVectorizer(analyzer=self._analyse, min_df=min_document_frequency)
        self._tfidf = TfidfTransformer(sublinear_tf=True)

    def _analyse(self, text: str) -> list[str]:
        tokens = _tokens(text)
        low, high = self.ngrams
        return [" ".join(tokens[i : i + n]) for n in range(low, high + 1) for i in range(len(tokens) - n + 1)]

    def fit(self, texts: Sequence[str]) -> TfidfFeatures:
        """Learn vocabulary and document frequencies."""
        try:
            counts = self._counts.fit_transform(texts)
        except ValueError:
            raise UserError(
                "No word is left to classify by.",
                where=f"{len(texts)} training texts, words in at least {self.min_document_frequency} of them",
                remedy="Use a larger seed, or lower shap.min_document_frequency.",
            ) from None
        self._tfidf.fit(counts)
        return self

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Return (n, terms) TF-IDF rows."""
        return sp.csr_matrix(self._tfidf.transform(self._counts.transform(texts)))

    def terms(self) -> list[str]:
        """Return the n-grams in column order."""
        return [str(term) for term in self._counts.get_feature_names_out()]


class LinearHead:
    """Multinomial logistic regression with row weights.

    Parameters
    ----------
    c
        Inverse strength of the L2 penalty.
    class_weight
        "balanced": each class present carries the same total weight. Macro-F1 counts classes alike, and the
        balanced loss keeps a mere difference in class balance between arms from looking like a gain.
    """

    def __init__(self, c: float = 1.0, class_weight: ClassWeight = "balanced") -> None:
        self.c = c
        self.class_weight: ClassWeight = class_weight

    def fit(self, features: Any, targets: npt.NDArray[np.int64], k: int, weights: Sequence[float] | FloatArray | None = None) -> LinearHead:
        """Fit on (n, d) dense or sparse ``features`` and (n,) class positions below ``k``."""
        mass = checked_weights(weights, len(targets))
        keep = mass > 0
        if not keep.any():
            raise UserError("There is no training row with a weight above 0.", where="training rows", remedy="Check seeds and weights.")
        features, targets, mass = features[np.flatnonzero(keep)], targets[keep], mass[keep]
        self.k = k
        self.present = np.unique(targets)
        d = features.shape[1]
        self.coef: FloatArray = np.zeros((k, d))
        self.intercept: FloatArray = np.zeros(k)
        if len(self.present) == 1:  # nothing to tell apart: probability 1 for the only class
            return self
        if self.class_weight == "balanced":
            mass = balanced_row_weights(targets, mass, k)
        model = LogisticRegression(C=self.c, max_iter=1000, tol=1e-4)
        # One thread: the problems are small, threads that wait for each other cost ten times what they save.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, targets, sample_weight=mass)
        coef, intercept = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64)
        if len(self.present) == 2:  # one binary margin m; softmax(-m/2, m/2) is the same model
            coef, intercept = np.vstack([-coef / 2, coef / 2]), np.concatenate([-intercept / 2, intercept / 2])
        self.coef[self.present], self.intercept[self.present] = coef, intercept
        return self

    def margins(self, features: Any) -> FloatArray:
        """Return (n, k) margins, whose softmax are the probabilities; -inf for classes absent in training."""
        out = np.asarray(features @ self.coef.T, dtype=np.float64) + self.intercept
        absent = np.setdiff1d(np.arange(self.k), self.present)
        out[:, absent] = -np.inf
        return out

    def predict_proba(self, features: Any) -> FloatArray:
        """Return (n, k) probabilities."""
        margins = self.margins(features)
        odds = np.exp(margins - margins.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


class TextClassifier:
    """TF-IDF and multinomial logistic regression.

    Parameters
    ----------
    ngrams
        (1, 2) for scoring; (1, 1) for SHAP, where one column is one token.
    class_weight
        See `LinearHead`.
    min_document_frequency
        See `TfidfFeatures`.

    Examples
    --------
    >>> model = TextClassifier().fit(["so happy", "so sad"], ["joy", "sadness"], ["joy", "sadness"])
    >>> model.predict_proba(["happy"]).shape
    (1, 2)
    """

    def __init__(
        self, *, ngrams: tuple[int, int] = (1, 2), class_weight: ClassWeight = "balanced", min_document_frequency: int = 1
    ) -> None:
        self.features = TfidfFeatures(ngrams, min_document_frequency)
        self.class_weight: ClassWeight = class_weight

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        classes: Sequence[str],
        weights: Sequence[float] | FloatArray | None = None,
        c: float = 1.0,
    ) -> TextClassifier:
        """Fit on texts with one label each."""
        targets = label_indices(labels, classes)
        mass = checked_weights(weights, len(texts))
        keep = np.flatnonzero(mass > 0)
        texts = [texts[int(i)] for i in keep]
        self.classes = list(classes)
        self.head = LinearHead(c, self.class_weight)
        self.head.fit(self.features.fit(texts).transform(texts), targets[keep], len(classes), mass[keep])
        return self

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities in the order of the classes."""
        return self.head.predict_proba(self.features.transform(texts))

    def margins(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) softmax margins."""
        return self.head.margins(self.features.transform(texts))


class EmbeddingClassifier:
    """Sentence embeddings and multinomial logistic regression.

    Parameters
    ----------
    embed
        Function from texts to (n, d) embeddings, e.g. ``EmbeddingCache.embed``.
    class_weight
        See `LinearHead`.

    Notes
    -----
    Embeddings have length 1 and are scaled (see `embedding_features`), not standardised: on 60 to 720 rows of four
    emotions, validation macro-F1 was no better with coordinates standardised on the training rows, and standardising
    would make a row's features depend on the other rows.
    """

    def __init__(self, embed: Callable[[Sequence[str]], npt.NDArray[np.float32]], *, class_weight: ClassWeight = "balanced") -> None:
        self.embed = embed
        self.class_weight: ClassWeight = class_weight

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        classes: Sequence[str],
        weights: Sequence[float] | FloatArray | None = None,
        c: float = 1.0,
    ) -> EmbeddingClassifier:
        """Fit on texts with one label each."""
        self.classes = list(classes)
        self.head = LinearHead(c, self.class_weight)
        self.head.fit(embedding_features(self.embed(texts)), label_indices(labels, classes), len(classes), weights)
        return self

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities in the order of the classes."""
        return self.head.predict_proba(embedding_features(self.embed(texts)))


def embedding_features(embeddings: npt.NDArray[np.float32]) -> FloatArray:
    """Return unit-length embeddings doubled, which puts the best C of 60 to 720 rows inside the grid 0.3 to 10."""
    return np.asarray(embeddings, dtype=np.float64) * 2.0


class TreeClassifier:
    """Gradient-boosted trees on unigram TF-IDF, for comparison with the linear model's explanations.

    Small, deterministic (one thread, fixed seed), and fit for seeds of a hundred rows: LightGBM's defaults want
    20 rows a leaf, which leaves no split for rare tokens.
    """

    def __init__(self, *, rounds: int = 60, min_document_frequency: int = 1, class_weight: ClassWeight = "balanced") -> None:
        self.features = TfidfFeatures((1, 1), min_document_frequency)
        self.rounds = rounds
        self.class_weight: ClassWeight = class_weight

    def fit(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        classes: Sequence[str],
        weights: Sequence[float] | FloatArray | None = None,
    ) -> TreeClassifier:
        """Fit on texts with one label each; at least two classes must occur."""
        from lightgbm import LGBMClassifier  # slow to import, used by one step

        targets = label_indices(labels, classes)
        mass = checked_weights(weights, len(texts))
        keep = np.flatnonzero(mass > 0)
        texts, targets, mass = [texts[int(i)] for i in keep], targets[keep], mass[keep]
        self.classes = list(classes)
        self.present = np.unique(targets)
        if len(self.present) < 2:
            raise UserError("A tree model needs rows of two classes.", where="training rows", remedy="Use a larger seed.")
        if self.class_weight == "balanced":
            mass = balanced_row_weights(targets, mass, len(classes))
        self.model = LGBMClassifier(
            n_estimators=self.rounds,
            learning_rate=0.1,
            num_leaves=7,
            min_child_samples=3,
            min_child_weight=1e-3,
            reg_lambda=1.0,
            random_state=0,
            deterministic=True,
            force_row_wise=True,
            n_jobs=1,
            verbose=-1,
        )
        # LightGBM numbers the classes it meets 0..; give it those numbers, so that no warning and no gap arises.
        self.model.fit(self.features.fit(texts).transform(texts), np.searchsorted(self.present, targets), sample_weight=mass)
        return self

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities in the order of the classes."""
        out = np.zeros((len(texts), len(self.classes)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # scikit-learn asks for column names that LightGBM made up
            out[:, self.present] = self.model.predict_proba(self.features.transform(texts))
        return out

    def margins(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) raw margins; -inf for classes absent in training."""
        out = np.full((len(texts), len(self.classes)), -np.inf)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            raw = np.asarray(self.model.predict_proba(self.features.transform(texts), raw_score=True))
        if raw.ndim == 1:  # two classes: one margin
            raw = np.column_stack([-raw / 2, raw / 2])
        out[:, self.present] = raw
        return out
