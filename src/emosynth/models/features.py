"""From texts to features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from threadpoolctl import ThreadpoolController

from emosynth.errors import UserError
from emosynth.models.checked import FloatArray
from emosynth.text import words


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()  # looking for the libraries takes longer than a small fit


def one_thread() -> Any:
    """Return a context in which BLAS has one thread: no waiting for each other on small problems, and the same bits on every machine."""
    return _pools().limit(limits=1)


@lru_cache(maxsize=100_000)
def _tokens(text: str) -> tuple[str, ...]:
    # Arms and repeats meet the same texts again and again; tokenising is slower than fitting.
    return tuple(words(text))


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
    Term frequency is sublinear (1 + ln tf), document frequency smoothed, rows have length 1 (scikit-learn's definitions). Terms are
    in alphabetical order, so the columns do not depend on the order of the rows.
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
        self.fit_transform(texts)
        return self

    def fit_transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Learn vocabulary and document frequencies, and return `transform` of the same texts; each is analysed once."""
        try:
            counts = self._counts.fit_transform(texts)
        except ValueError:
            raise UserError(
                "No word is left to classify by.",
                where=f"{len(texts)} training texts, words in at least {self.min_document_frequency} of them",
                remedy="Use a larger seed, or lower shap.min_document_frequency.",
            ) from None
        return sp.csr_matrix(self._tfidf.fit_transform(counts))

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Return (n, terms) TF-IDF rows."""
        return sp.csr_matrix(self._tfidf.transform(self._counts.transform(texts)))

    def terms(self) -> list[str]:
        """Return the n-grams in column order."""
        return [str(term) for term in self._counts.get_feature_names_out()]


def embedding_features(embeddings: npt.NDArray[np.float32]) -> FloatArray:
    """Return unit-length embeddings doubled, which puts the best C of 60 to 720 rows inside the grid 0.3 to 10.

    They are not standardised: validation macro-F1 was no better with coordinates standardised on the training rows, and a row's
    features would depend on the other rows.
    """
    return np.asarray(embeddings, dtype=np.float64) * 2.0


class EmbeddingFeatures:
    """Sentence embeddings as features: nothing is learnt. ``embed`` maps texts to (n, d) embeddings of length 1."""

    def __init__(self, embed: Callable[[Sequence[str]], npt.NDArray[np.float32]]) -> None:
        self.embed = embed

    def fit_transform(self, texts: Sequence[str]) -> FloatArray:
        """Return `transform`."""
        return self.transform(texts)

    def transform(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, d) rows."""
        return embedding_features(self.embed(list(texts)))


class Rotated:
    """Rows in the axes of their own span: the same linear models, faster.

    A penalised linear model's coefficients lie in the span of its rows, and its penalty does not change when axes turn. In the axes of
    the rows' singular vectors there are min(n, d) columns at most, and they bend the loss independently of each other, so that a
    preconditioned minimiser needs few steps. Exact but for rounding; folds and strengths share one rotation.

    Parameters
    ----------
    features
        (n, d) rows, dense or sparse.

    Attributes
    ----------
    rows
        (n, r) rows in the new axes; as given where the smaller of n and d is above `LIMIT`.
    """

    LIMIT: ClassVar[int] = 2500
    """Rows or columns up to which turning pays: it costs their number cubed."""

    def __init__(self, features: Any) -> None:
        self._x = features
        self._axes: FloatArray | None = None
        self._tall = features.shape[0] >= features.shape[1]
        self.rows = features
        if not 0 < min(features.shape) <= self.LIMIT:
            return
        gram = features.T @ features if self._tall else features @ features.T
        with one_thread():
            squares, vectors = np.linalg.eigh(gram.toarray() if sp.issparse(gram) else gram)
            kept = squares > 1e-12 * max(squares[-1], 0.0)
            lengths, vectors = np.sqrt(squares[kept]), vectors[:, kept]
            self._axes = vectors if self._tall else vectors / lengths
            self.rows = np.asarray(features @ vectors) if self._tall else vectors * lengths

    def back(self, coef: FloatArray) -> FloatArray:
        """Return (k, d) coefficients of the original columns from (k, r) of the new ones."""
        if self._axes is None:
            return coef
        turned = self._axes @ coef.T
        return np.ascontiguousarray((turned if self._tall else self._x.T @ turned).T)
