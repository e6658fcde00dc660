"""One-vs-rest logistic regression on soft targets, with an earlier fit as prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit, logit
from threadpoolctl import threadpool_limits

from emosynth.errors import UserError
from emosynth.models.classifiers import ClassWeight, FloatArray
from emosynth.models.multilabel.rows import checked_mass, checked_targets

TOLERANCE = 3e-6
"""Largest entry of the scaled gradient of the mean loss at which the fit ends; probabilities are then right to about 1e-4."""


def penalised_loss(
    w: FloatArray, x: Any, turned: Any, positive: FloatArray, negative: FloatArray, prior: FloatArray, penalty: FloatArray
) -> tuple[float, FloatArray]:
    """Return the loss of k logistic regressions, summed over labels, and its gradient.

    Parameters
    ----------
    w
        (d + 1, k) coefficients, the intercepts last.
    x, turned
        (n, d) features and their transpose.
    positive, negative
        (n, k) masses with which each row counts as positive and as negative: weight times p, and weight times 1 − p.
    prior, penalty
        (d + 1, k) centres and strengths of ½ penalty (w − prior)².
    """
    z = x @ w[:-1] + w[-1]
    both, apart = positive + negative, w - prior
    value = (both * np.logaddexp(0.0, z) - positive * z).sum() + (penalty * apart**2).sum() / 2
    by_logit = both * expit(z) - positive
    gradient = penalty * apart
    gradient[:-1] += turned @ by_logit
    gradient[-1] += by_logit.sum(axis=0)
    return float(value), gradient


class OneVsRest:
    """Logistic regression of each label on its own, with soft targets and row weights.

    Minimises, for each label, the sum over rows of weight times cross-entropy, plus the squared norm of the coefficients
    over 2 ``c``. A soft target p is the row counted twice: as positive with weight p and as negative with weight 1 − p.
    On hard labels this is scikit-learn's ``LogisticRegression`` with the same ``C``.

    Parameters
    ----------
    c
        Inverse strength of the L2 penalty, above 0.
    class_weight
        "balanced": positive and negative mass of a label count alike, as in scikit-learn. Its probabilities are then
        not frequencies: a label's odds are multiplied by its negative mass over its positive mass.

    Attributes
    ----------
    coef : ndarray
        (k, d) coefficients.
    intercept : ndarray
        (k,) intercepts; -inf or inf for a label whose base rate is 0 or 1.
    converged : bool
        Whether the gradient, or the progress, came down to the tolerance within 1,000 iterations.
    """

    def __init__(self, c: float = 1.0, class_weight: ClassWeight = "none") -> None:
        if not 0 < c < np.inf or class_weight not in ("balanced", "none"):
            raise UserError(
                f"c is {c} and class_weight {class_weight!r}.", where="OneVsRest", remedy="Use c above 0 and 'balanced' or 'none'."
            )
        self.c = c
        self.class_weight: ClassWeight = class_weight

    def fit(self, features: Any, targets: npt.ArrayLike, weights: npt.ArrayLike | None = None, start: OneVsRest | None = None) -> OneVsRest:
        """Fit on (n, d) features, dense or sparse, and (n, k) targets from 0 to 1.

        Parameters
        ----------
        weights
            (n,) row weights, None: 1 for all; a row of weight 0 is the same as no row.
        start
            An earlier fit with the same columns and labels. The penalty then pulls coefficients *and* intercepts towards
            its own in place of 0: the maximum a posteriori of a Gaussian prior around the earlier model (Chelba and
            Acero 2006, Adaptation of maximum entropy capitalizer). ``c`` says how far the new rows may move
            it: near 0 not at all.

        Notes
        -----
        A label without positive mass (or without negative) has no minimum: it predicts its base rate, 0 (or 1). With
        ``start`` it has one, and is fitted like any other, unless the earlier fit had only a base rate for it too.

        Raises
        ------
        UserError
            If rows or columns differ in number, a target or weight is out of range, or no weight is above 0.
        """
        n, d = features.shape
        goal, mass = checked_targets(targets, n), checked_mass(weights, n)
        k = goal.shape[1]
        if start is not None and start.coef.shape != (k, d):
            raise UserError(
                f"The earlier fit has {start.coef.shape[0]} labels and {start.coef.shape[1]} features, the new rows {k} and {d}.",
                where="start",
                remedy="Use the features and the labels of the first stage.",
            )
        kept = np.flatnonzero(mass > 0)
        x = sp.csr_matrix(features, dtype=np.float64) if sp.issparse(features) else np.asarray(features, dtype=np.float64)
        x, goal, mass = (x, goal, mass) if len(kept) == n else (x[kept], goal[kept], mass[kept])
        if not np.isfinite(x.data if sp.issparse(x) else x).all():
            raise UserError("A feature is not a finite number.", where="features", remedy="Check the embeddings.")
        share = mass / mass.sum()  # the mean, not the sum: the tolerance then means the same for all n
        rate = np.clip(share @ goal, 0.0, 1.0)
        rate[~(goal > 0).any(axis=0)], rate[~(goal < 1).any(axis=0)] = 0.0, 1.0  # exact, in spite of rounding
        known = np.zeros(k, dtype=bool) if start is None else np.isfinite(start.intercept)
        self.coef: FloatArray = np.zeros((k, d))
        with np.errstate(divide="ignore"):
            self.intercept: FloatArray = logit(rate)
        self.converged = True
        mixed = (rate > 0) & (rate < 1)
        fitted = np.flatnonzero(mixed | known)
        if not len(fitted):
            return self
        balance = np.ones((2, k))
        if self.class_weight == "balanced":
            balance[:, mixed] = 0.5 / np.stack([rate[mixed], 1 - rate[mixed]])
        positive = (share[:, None] * goal * balance[0])[:, fitted]
        negative = (share[:, None] * (1 - goal) * balance[1])[:, fitted]
        strength = 1 / (self.c * mass.sum())
        prior, penalty = np.zeros((d + 1, len(fitted))), np.full((d + 1, len(fitted)), strength)
        penalty[d, ~known[fitted]] = 0.0
        if start is not None:
            here = known[fitted]
            prior[:d, here], prior[d, here] = start.coef[fitted[here]].T, start.intercept[fitted[here]]
        found = self._minimise(x, positive, negative, prior, penalty)
        self.coef[fitted], self.intercept[fitted] = found[:d].T, found[d]
        return self

    def _minimise(self, x: Any, positive: FloatArray, negative: FloatArray, prior: FloatArray, penalty: FloatArray) -> FloatArray:
        """Return the (d + 1, labels) coefficients at the minimum; all labels at once, since the features are shared."""
        turned, both = x.T, positive + negative
        # Each column is divided by the root of its curvature (diagonal preconditioning, as in LinearStudent), here label by
        # label: rare and common labels then converge together. The curvature is that of each label's base rate.
        rate = positive.sum(axis=0) / both.sum(axis=0)
        bend = np.maximum(rate * (1 - rate), 1e-3) * both
        curved = np.vstack([(x.multiply(x) if sp.issparse(x) else x * x).T @ bend, bend.sum(axis=0)]) + penalty
        scale = 1 / np.sqrt(np.maximum(curved, 1e-12))

        def objective(flat: FloatArray) -> tuple[float, FloatArray]:
            value, gradient = penalised_loss(flat.reshape(prior.shape) * scale, x, turned, positive, negative, prior, penalty)
            return value, (gradient * scale).ravel()

        with threadpool_limits(1):  # as in LinearHead: threads cost more than they save, and might change the last bits
            result = minimize(
                objective,
                (prior / scale).ravel(),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": 1000, "maxfun": 2000, "gtol": TOLERANCE, "ftol": np.finfo(float).eps, "maxls": 50},
            )
        self.converged = bool(result.success)
        return np.asarray(result.x, dtype=np.float64).reshape(prior.shape) * scale

    def logits(self, features: Any) -> FloatArray:
        """Return (n, k) logits; -inf or inf for labels whose base rate is 0 or 1."""
        return np.asarray(features @ self.coef.T, dtype=np.float64) + self.intercept

    def predict_proba(self, features: Any) -> FloatArray:
        """Return (n, k) probabilities, each label's on its own."""
        return np.asarray(expit(self.logits(features)), dtype=np.float64)
