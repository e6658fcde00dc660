"""Softmax regression as a student: the linear head of the classical classifiers, with soft labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from emosynth.models.classifiers import FloatArray
from emosynth.models.distil.loss import SoftLabels, row_losses, softmax
from emosynth.models.distil.rows import Rows, Weighting, check_settings, spread

# Largest entry of the scaled gradient of the mean loss at which the fit ends: tight enough that a warm start and a cold
# one end at the same probabilities to about three digits.
TOLERANCE = 3e-6


def _scale(x: Any, mass: FloatArray, penalty: float, k: int) -> FloatArray:
    """Return the (d + 1, 1) lengths of a step in each column, the intercept's being 1.

    Common terms bend the loss a hundred times more than rare ones. Dividing each column by the root of its curvature
    (diagonal preconditioning) saves L-BFGS most of its iterations and leaves the minimum where it is. The curvature is
    that of k equally likely classes, p (1 − p) with p = 1 / k, at any temperature.
    """
    squares = x.multiply(x).T @ mass if sp.issparse(x) else np.einsum("ij,ij,i->j", x, x, mass)
    bend = (k - 1) / k**2 * np.append(np.asarray(squares).ravel(), mass.sum())
    bend[:-1] += penalty
    return np.sqrt(bend[-1] / bend)[:, None]


class LinearStudent:
    """Multinomial logistic regression trained with the distillation loss.

    Minimises the sum over rows of weight times row loss, plus the squared norm of the coefficients over 2 ``c``; the
    intercepts are not penalised. With hard labels it is the same model as `emosynth.models.classifiers.LinearHead`.

    Parameters
    ----------
    c
        Inverse strength of the L2 penalty, with the meaning of ``C`` in scikit-learn's ``LogisticRegression``.
    alpha, temperature, weighting
        See `emosynth.models.distil.distillation_loss`. The batch is all rows.
    max_iterations
        Of L-BFGS.
    balanced
        Multiply each row's whole loss by a factor that gives the classes of the hard labels the same total weight.
        With ``weighting="batch"`` the weights are averaged first, so that balance is not lost with them.

    Attributes
    ----------
    coef : ndarray
        (k, d) coefficients.
    intercept : ndarray
        (k,) intercepts.
    present : ndarray
        Positions of the classes that get probability: with hard labels those with a row, with a teacher all.
    converged : bool
        Whether the gradient, or the progress, came down to the tolerance within ``max_iterations``.
    """

    def __init__(
        self,
        c: float = 1.0,
        *,
        alpha: float,
        temperature: float,
        weighting: Weighting = "row",
        max_iterations: int = 500,
        balanced: bool = True,
    ) -> None:
        check_settings(alpha, temperature, weighting)
        if not c > 0:
            raise ValueError(f"c is {c}, it must be above 0")
        self.c = c
        self.alpha = alpha
        self.temperature = temperature
        self.weighting: Weighting = weighting
        self.max_iterations = max_iterations
        self.balanced = balanced

    def fit(
        self,
        features: Any,
        targets: npt.ArrayLike,
        k: int,
        weights: npt.ArrayLike | None = None,
        teacher: npt.ArrayLike | None = None,
        start: tuple[FloatArray, FloatArray] | None = None,
    ) -> LinearStudent:
        """Train on n rows.

        Parameters
        ----------
        features
            (n, d) dense, or sparse (CSR is used as it is).
        targets
            (n,) class positions below ``k``.
        weights
            (n,) row weights, None: 1 for all; a row of weight 0 is the same as no row.
        teacher
            (n, k) logits of the teacher; None: hard labels alone.
        start
            ``(coef, intercept)`` of a neighbouring fit with the same columns, to begin from. It saves time and moves the
            result within the tolerance.

        Raises
        ------
        UserError
            If no row has a weight above 0.
        ValueError
            If shapes do not fit, or a value is out of range, NaN or infinite.
        """
        n, d = features.shape
        rows = Rows.make(targets, k, weights, teacher, n=n, alpha=self.alpha, weighting=self.weighting, balanced=self.balanced)
        if start is not None and (start[0].shape != (k, d) or start[1].shape != (k,)):
            raise ValueError(f"start must hold coefficients of shape {(k, d)} and {k} intercepts")
        x = sp.csr_matrix(features, dtype=np.float64) if sp.issparse(features) else np.asarray(features, dtype=np.float64)
        if len(rows.kept) < n:
            x = x[rows.kept]
        self.k = k
        self.present = rows.present
        self.coef: FloatArray = np.zeros((k, d))
        self.intercept: FloatArray = np.zeros(k)
        self.converged = True
        if len(rows.present) == 1:  # nothing to tell apart: probability 1 for the only class
            return self
        first = np.zeros((d + 1, len(rows.present)))
        if start is not None:
            first[:d], first[d] = start[0][rows.present].T, start[1][rows.present]
        fitted = self._minimise(x, rows, first)
        self.coef[rows.present], self.intercept[rows.present] = fitted[:d].T, fitted[d]
        return self

    def _minimise(self, x: Any, rows: Rows, first: FloatArray) -> FloatArray:
        """Return the (d + 1, classes) coefficients at the minimum, the intercepts last."""
        d, shape = first.shape[0] - 1, first.shape
        mass = spread(rows.weights, self.weighting) * rows.balance
        total = mass.sum()
        mass = mass / total  # the mean, not the sum: the tolerance then means the same for all n
        # Two classes have one margin, and LogisticRegression penalises its coefficients: twice the penalty of the two
        # opposite halves that stand for them here.
        penalty = (2.0 if shape[1] == 2 else 1.0) / (self.c * total)
        targets = np.searchsorted(rows.present, rows.targets)
        soft = None if rows.teacher is None else SoftLabels.make(rows.teacher, self.temperature)
        turned = x.T  # a view
        scale = _scale(x, mass, penalty, shape[1])

        def objective(flat: FloatArray) -> tuple[float, FloatArray]:
            w = flat.reshape(shape) * scale
            losses, by_logit = row_losses(x @ w[:d] + w[d], soft, targets, alpha=self.alpha, temperature=self.temperature)
            by_logit *= mass[:, None]
            gradient = np.empty(shape)
            gradient[:d] = turned @ by_logit
            gradient[:d] += penalty * w[:d]
            gradient[d] = by_logit.sum(axis=0)
            gradient *= scale
            return float(mass @ losses + penalty / 2 * np.vdot(w[:d], w[:d])), gradient.ravel()

        with threadpool_limits(1):  # as in LinearHead: threads cost more than they save, and might change the last bits
            result = minimize(
                objective,
                (first / scale).ravel(),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": self.max_iterations, "gtol": TOLERANCE, "ftol": 64 * np.finfo(float).eps, "maxls": 50},
            )
        self.converged = bool(result.success)
        return np.asarray(result.x, dtype=np.float64).reshape(shape) * scale

    def logits(self, features: Any) -> FloatArray:
        """Return (n, k) logits; -inf for classes absent in training."""
        out = np.asarray(features @ self.coef.T, dtype=np.float64) + self.intercept
        out[:, np.setdiff1d(np.arange(self.k), self.present)] = -np.inf
        return out

    def predict_proba(self, features: Any) -> FloatArray:
        """Return (n, k) probabilities; 0 for classes absent in training."""
        return softmax(self.logits(features))
