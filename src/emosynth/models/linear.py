"""Linear text classifiers: softmax regression of one label a row, one-vs-rest logistic regression of several.

A classifier is features (TF-IDF of words, or sentence embeddings) and a linear model. They are separate so that folds and a grid over
strengths compute features once. Both models take soft targets, row weights, and an earlier fit as prior; a row of weight 0 is the same
as no row at all. Nothing here balances classes but `TextClassifier`: learners balance their rows once, by
`emosynth.design.rows.balanced`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit, logit

from emosynth.design.rows import class_balance
from emosynth.errors import UserError
from emosynth.models.checked import FloatArray, check_distillation, checked_targets, checked_teacher, checked_weights
from emosynth.models.features import EmbeddingFeatures, TfidfFeatures, embedding_features, one_thread
from emosynth.models.loss import SoftLabels, row_losses, softmax

__all__ = ["EmbeddingFeatures", "LinearModel", "OneVsRest", "SoftmaxRegression", "TextClassifier", "TfidfFeatures", "embedding_features"]

TOLERANCE = 3e-6
"""Largest entry of the scaled gradient of the mean loss at which a fit ends; probabilities are then right to about 1e-4."""

Margins = Callable[[FloatArray], tuple[float, FloatArray]]
"""From (n, k) margins to the mean loss and its gradient by them."""


def _objective(w: FloatArray, x: Any, loss: Margins, prior: FloatArray, penalty: FloatArray) -> tuple[float, FloatArray]:
    """Return loss plus ½ Σ penalty (w − prior)² of (d + 1, k) coefficients, the intercepts last, and its gradient."""
    value, by_margin = loss(x @ w[:-1] + w[-1])
    apart = w - prior
    gradient = penalty * apart
    value += float(np.vdot(gradient, apart)) / 2
    gradient[:-1] += x.T @ by_margin
    gradient[-1] += by_margin.sum(axis=0)
    return value, gradient


def _minimise(
    x: Any, loss: Margins, first: FloatArray, prior: FloatArray, penalty: FloatArray, bend: FloatArray
) -> tuple[FloatArray, bool]:
    """Return the (d + 1, k) coefficients at the minimum, and whether gradient or progress came down to the tolerance.

    ``bend`` (n, 1 or k) is the curvature of each row's loss by its margin. Common terms bend the loss a hundred times more than rare
    ones: dividing each column by the root of its curvature (diagonal preconditioning) saves L-BFGS most of its iterations and leaves
    the minimum where it is.
    """
    squares = (x.multiply(x) if sp.issparse(x) else x * x).T @ bend
    curved = np.vstack([squares, bend.sum(axis=0, keepdims=True)]) + penalty
    scale = 1 / np.sqrt(np.maximum(curved, 1e-12))

    def objective(flat: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = _objective(flat.reshape(prior.shape) * scale, x, loss, prior, penalty)
        gradient *= scale
        return value, gradient.ravel()

    # One thread: the problems are small, threads that wait for each other cost more than they save, and might change the last bits.
    with one_thread():
        result = minimize(
            objective, (first / scale).ravel(), jac=True, method="L-BFGS-B",
            options={"maxiter": 1000, "maxfun": 2000, "gtol": TOLERANCE, "ftol": 64 * np.finfo(float).eps, "maxls": 50},
        )  # fmt: skip
    return np.asarray(result.x, dtype=np.float64).reshape(prior.shape) * scale, bool(result.success)


class LinearModel:
    """What both models share: (k, d) ``coef``, (k,) ``intercept``, and the rows that take part.

    Parameters
    ----------
    c
        Inverse strength of the L2 penalty, with the meaning of ``C`` in scikit-learn's ``LogisticRegression``; above 0.
    """

    coef: FloatArray
    intercept: FloatArray
    converged: bool

    def __init__(self, c: float = 1.0) -> None:
        if not 0 < c < np.inf:
            raise UserError(f"c is {c}.", where=type(self).__name__, remedy="Use a number above 0.")
        self.c = c

    def _rows(
        self, features: Any, targets: npt.ArrayLike, weights: npt.ArrayLike | None, single: bool
    ) -> tuple[Any, FloatArray, FloatArray, npt.NDArray[np.intp]]:
        """Return features, targets and weights of the rows with a weight above 0, and their places."""
        n = features.shape[0]
        goal, mass = checked_targets(targets, n, single=single), checked_weights(weights, n)
        kept = np.flatnonzero(mass > 0)
        x = sp.csr_matrix(features, dtype=np.float64) if sp.issparse(features) else np.asarray(features, dtype=np.float64)
        if len(kept) < n:
            x, goal, mass = x[kept], goal[kept], mass[kept]
        if not np.isfinite(x.data if sp.issparse(x) else x).all():
            raise UserError("A feature is not a finite number.", where="features", remedy="Check the embeddings.")
        return x, goal, mass, kept

    @staticmethod
    def _fits(other: LinearModel | None, k: int, d: int) -> None:
        if other is not None and other.coef.shape != (k, d):
            raise UserError(
                f"The earlier fit has {other.coef.shape[0]} labels and {other.coef.shape[1]} features, the new rows {k} and {d}.",
                where="start",
                remedy="Use the features and the labels of the first stage.",
            )

    def margins(self, features: Any) -> FloatArray:
        """Return (n, k) margins; -inf for a label that cannot be, inf for one that must."""
        return np.asarray(features @ self.coef.T, dtype=np.float64) + self.intercept

    def predict_proba(self, features: Any) -> FloatArray:
        """Return (n, k) probabilities."""
        raise NotImplementedError


class SoftmaxRegression(LinearModel):
    """Multinomial logistic regression on soft targets, with the distillation loss.

    Minimises the sum over rows of weight times row loss (`emosynth.models.loss`), plus the squared norm of the coefficients over
    2 ``c``; intercepts are not penalised. On hard labels without a teacher it is scikit-learn's ``LogisticRegression``.

    Parameters
    ----------
    c
        See `LinearModel`.
    alpha, temperature
        Of the distillation loss; without a teacher they have no say.

    Attributes
    ----------
    coef, intercept : ndarray
        (k, d) and (k,).
    present : ndarray
        Positions of the classes that get probability: those with target mass or known to the earlier fit; with a teacher all.
    converged : bool
        Whether the gradient, or the progress, came down to the tolerance.
    """

    present: npt.NDArray[np.intp]

    def __init__(self, c: float = 1.0, *, alpha: float = 0.0, temperature: float = 1.0) -> None:
        super().__init__(c)
        check_distillation(alpha, temperature)
        self.alpha, self.temperature = alpha, temperature

    def fit(
        self,
        features: Any,
        targets: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        teacher: npt.ArrayLike | None = None,
        start: SoftmaxRegression | None = None,
    ) -> SoftmaxRegression:
        """Fit on (n, d) features, dense or sparse, and (n, k) targets, each row summing to 1.

        Parameters
        ----------
        weights
            (n,) row weights, None: 1 for all; a row of weight 0 is the same as no row.
        teacher
            (n, k) logits or log-probabilities of the teacher; None: the targets alone.
        start
            An earlier fit with the same columns and classes as prior, see `OneVsRest.fit`. A class that neither it nor the new rows
            know gets no probability.

        Raises
        ------
        UserError
            If rows or columns differ in number, a value is out of range, or no weight is above 0.
        """
        x, goal, mass, kept = self._rows(features, targets, weights, single=True)
        k, d = goal.shape[1], features.shape[1]
        self._fits(start, k, d)
        soft = None
        if teacher is not None and self.alpha > 0:
            soft = SoftLabels.make(checked_teacher(teacher, features.shape[0], k, kept), self.temperature)
        occurs = goal.any(axis=0) | (soft is not None)
        known = np.zeros(k, dtype=bool)
        if start is not None:
            known[start.present] = True
        self.present = np.flatnonzero(occurs | known)
        self.coef, self.intercept, self.converged = np.zeros((k, d)), np.full(k, -np.inf), True
        self.intercept[self.present] = 0.0
        m = len(self.present)
        if m == 1:  # nothing to tell apart: probability 1 for the only class
            return self
        total = mass.sum()
        share = mass / total  # the mean, not the sum: the tolerance then means the same for all n
        # Two classes have one margin, and LogisticRegression penalises its coefficients: twice the penalty of the two opposite
        # halves that stand for them here.
        penalty = np.full((d + 1, 1), (2.0 if m == 2 else 1.0) / (self.c * total))
        prior = np.zeros((d + 1, m))
        if start is None:
            penalty[d] = 0.0
        else:
            prior[:d], prior[d] = start.coef[self.present].T, np.where(known, start.intercept, 0.0)[self.present]
        goal = goal[:, self.present]

        def loss(margins: FloatArray) -> tuple[float, FloatArray]:
            losses, gradient = row_losses(margins, soft, goal, alpha=self.alpha, temperature=self.temperature)
            gradient *= share[:, None]
            return float(share @ losses), gradient

        # Curvature of m equally likely classes, p (1 − p) with p = 1 / m, at any temperature.
        found, self.converged = _minimise(x, loss, prior, prior, penalty, ((m - 1) / m**2 * share)[:, None])
        self.coef[self.present], self.intercept[self.present] = found[:d].T, found[d]
        return self

    def predict_proba(self, features: Any) -> FloatArray:
        """Return (n, k) probabilities that sum to 1; 0 for classes absent in training."""
        return softmax(self.margins(features))


class OneVsRest(LinearModel):
    """Logistic regression of each label on its own, with soft targets and row weights.

    Minimises, for each label, the sum over rows of weight times cross-entropy, plus the squared norm of the coefficients over 2 ``c``.
    A soft target p is the row counted twice: as positive with weight p and as negative with weight 1 − p. On hard labels this is
    scikit-learn's ``LogisticRegression`` with the same ``C``.

    Attributes
    ----------
    coef, intercept : ndarray
        (k, d) and (k,); an intercept of -inf or inf: a label whose base rate is 0 or 1.
    converged : bool
        Whether the gradient, or the progress, came down to the tolerance.
    """

    def fit(
        self,
        features: Any,
        targets: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        start: OneVsRest | None = None,
    ) -> OneVsRest:
        """Fit on (n, d) features, dense or sparse, and (n, k) targets from 0 to 1.

        Parameters
        ----------
        weights
            (n,) row weights, None: 1 for all; a row of weight 0 is the same as no row.
        start
            An earlier fit with the same columns and labels. The penalty then pulls coefficients *and* intercepts towards its own in
            place of 0: the maximum a posteriori of a Gaussian prior around the earlier model (Chelba and Acero 2006, Adaptation of
            maximum entropy capitalizer). ``c`` says how far the new rows may move it: near 0 not at all.

        Notes
        -----
        A label without positive mass (or without negative) has no minimum: it predicts its base rate, 0 (or 1). With ``start`` it
        has one, and is fitted like any other, unless the earlier fit had only a base rate for it too.

        Raises
        ------
        UserError
            If rows or columns differ in number, a target or weight is out of range, or no weight is above 0.
        """
        x, goal, mass, _ = self._rows(features, targets, weights, single=False)
        k, d = goal.shape[1], features.shape[1]
        self._fits(start, k, d)
        share = mass / mass.sum()
        rate = np.clip(share @ goal, 0.0, 1.0)
        rate[~(goal > 0).any(axis=0)], rate[~(goal < 1).any(axis=0)] = 0.0, 1.0  # exact, in spite of rounding
        known = np.zeros(k, dtype=bool) if start is None else np.isfinite(start.intercept)
        with np.errstate(divide="ignore"):
            self.coef, self.intercept, self.converged = np.zeros((k, d)), logit(rate), True
        fitted = np.flatnonzero(((rate > 0) & (rate < 1)) | known)
        if not len(fitted):
            return self
        y, mean = goal[:, fitted], rate[fitted]
        penalty = np.full((d + 1, len(fitted)), 1 / (self.c * mass.sum()))
        penalty[d, ~known[fitted]] = 0.0
        prior = np.zeros((d + 1, len(fitted)))
        if start is not None:
            here = known[fitted]
            prior[:d, here], prior[d, here] = start.coef[fitted[here]].T, start.intercept[fitted[here]]
        first = prior.copy()
        first[d, ~known[fitted]] = logit(mean[~known[fitted]])

        def loss(margins: FloatArray) -> tuple[float, FloatArray]:
            value = float(share @ (np.logaddexp(0.0, margins) - y * margins).sum(axis=1))
            return value, share[:, None] * (expit(margins) - y)

        # Curvature label by label, that of its base rate: rare and common labels then converge together.
        found, self.converged = _minimise(x, loss, first, prior, penalty, share[:, None] * np.maximum(mean * (1 - mean), 1e-3))
        self.coef[fitted], self.intercept[fitted] = found[:d].T, found[d]
        return self

    def predict_proba(self, features: Any) -> FloatArray:
        """Return (n, k) probabilities, each label's on its own."""
        return np.asarray(expit(self.margins(features)), dtype=np.float64)


class TextClassifier:
    """Features and a linear model: what verifies candidates, and what SHAP explains.

    Parameters
    ----------
    single
        Whether a row has one label (softmax regression, classes balanced) or several (one-vs-rest, as they come).
    embed
        Function from texts to sentence embeddings; None: TF-IDF.
    ngrams, min_document_frequency
        See `TfidfFeatures`; (1, 1) for SHAP, where one column is one token.

    Attributes
    ----------
    features, model
        `TfidfFeatures` or `EmbeddingFeatures`; `SoftmaxRegression` or `OneVsRest`, with ``coef`` (k, d) and ``intercept`` (k,).

    Examples
    --------
    >>> model = TextClassifier().fit(["so happy", "so sad"], [[1, 0], [0, 1]], ["joy", "sadness"])
    >>> model.predict_proba(["happy"]).shape
    (1, 2)
    """

    def __init__(
        self,
        *,
        single: bool = True,
        embed: Callable[[Sequence[str]], npt.NDArray[np.float32]] | None = None,
        ngrams: tuple[int, int] = (1, 2),
        min_document_frequency: int = 1,
    ) -> None:
        self.single = single
        self.features: Any = TfidfFeatures(ngrams, min_document_frequency) if embed is None else EmbeddingFeatures(embed)

    def fit(
        self, texts: Sequence[str], targets: npt.ArrayLike, classes: Sequence[str], weights: npt.ArrayLike | None = None, c: float = 1.0
    ) -> TextClassifier:
        """Fit on n texts and (n, k) targets, soft or hard, one column a class."""
        goal, mass = checked_targets(targets, len(texts), len(classes), single=self.single), checked_weights(weights, len(texts))
        kept = np.flatnonzero(mass > 0)
        goal, mass = goal[kept], mass[kept]
        self.classes = list(classes)
        x = self.features.fit_transform([texts[int(row)] for row in kept])
        self.model: LinearModel
        if self.single:
            self.model = SoftmaxRegression(c).fit(x, goal, mass * class_balance(goal, mass))
        else:
            self.model = OneVsRest(c).fit(x, goal, mass)
        return self

    def margins(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) margins in the order of the classes; -inf for classes absent in training."""
        return self.model.margins(self.features.transform(texts))

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities in the order of the classes."""
        return self.model.predict_proba(self.features.transform(texts))
