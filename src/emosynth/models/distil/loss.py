"""The distillation loss, in numpy with its gradient and in torch.

The loss of row i with student logits s, teacher logits t, hard label y and row weight w is

    w · [α T² KL(softmax(t/T) ‖ softmax(s/T)) + (1 − α) (−log softmax(s)_y)]

and the loss of n rows is the sum divided by n: a batch of lightly weighted rows is a small loss. The factor T² keeps
the gradient's size independent of the temperature T (Hinton, Vinyals and Dean, 2015, Distilling the Knowledge in a
Neural Network).

Two defects of the published procedure can be had, so that their worth can be measured. ``weighting="batch"`` takes the
mean of the row losses first and multiplies it by the mean weight, so that a row's weight no longer says anything of
that row. The other one, a softmax over probabilities in place of logits, needs no switch: pass the teacher's
probabilities as ``teacher``. Probabilities differ by at most 1, so the soft labels become nearly uniform.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from emosynth.models.classifiers import FloatArray, checked_weights
from emosynth.models.distil.rows import IntArray, Weighting, check_settings, checked_targets, checked_teacher, spread


def log_softmax(logits: FloatArray) -> FloatArray:
    """Return the logarithm of the softmax of each row of (n, k) logits; rows need one finite value, -inf is allowed."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Return (n, k) probabilities softmax(logits / temperature) of (n, k) logits; a logit of -inf gives 0."""
    check_settings(0.0, temperature, "row")
    return np.exp(log_softmax(np.asarray(logits, dtype=np.float64) / temperature))


def soft_label_entropy(logits: npt.ArrayLike, temperature: float = 1.0) -> float:
    """Return the mean entropy, in nats, of softmax(logits / temperature) over (n, k) logits; NaN if there is no row."""
    values = np.asarray(logits, dtype=np.float64)
    if not len(values):
        return float("nan")
    soft = SoftLabels.make(values, temperature)
    return float(-(soft.p * soft.log_p).sum(axis=1).mean())


class SoftLabels(NamedTuple):
    """Soft labels of n rows: (n, k) probabilities and their logarithms, 0 in place of log 0."""

    p: FloatArray
    log_p: FloatArray

    @classmethod
    def make(cls, logits: FloatArray, temperature: float) -> SoftLabels:
        """Return softmax(logits / temperature) and its logarithm."""
        check_settings(0.0, temperature, "row")
        log_p = log_softmax(logits / temperature)
        p = np.exp(log_p)
        return cls(p, np.where(p > 0, log_p, 0.0))  # p log p is 0 at p = 0, where a plain product may be NaN


def row_losses(
    student: FloatArray, soft: SoftLabels | None, targets: IntArray, *, alpha: float, temperature: float
) -> tuple[FloatArray, FloatArray]:
    """Return (n,) unweighted row losses and the (n, k) gradient of each by its own row's logits; nothing is checked.

    ``soft`` holds the soft labels at this temperature; None: cross-entropy of the hard labels alone.
    """
    if soft is None:
        alpha = 0.0
    losses = np.zeros(len(student))
    gradient = np.zeros_like(student)
    if soft is not None and alpha > 0:
        log_q = log_softmax(student / temperature)
        losses += alpha * temperature**2 * (soft.p * (soft.log_p - log_q)).sum(axis=1)
        gradient += alpha * temperature * (np.exp(log_q) - soft.p)
    if alpha < 1:
        rows = np.arange(len(student))
        log_q = log_softmax(student)
        losses -= (1 - alpha) * log_q[rows, targets]
        part = (1 - alpha) * np.exp(log_q)
        part[rows, targets] -= 1 - alpha
        gradient += part
    return losses, gradient


def distillation_loss(
    student: npt.ArrayLike,
    teacher: npt.ArrayLike | None,
    targets: npt.ArrayLike,
    weights: npt.ArrayLike | None,
    *,
    alpha: float,
    temperature: float,
    weighting: Weighting = "row",
) -> tuple[float, FloatArray]:
    """Return the loss of n rows, in nats, and its gradient by the student's logits.

    Parameters
    ----------
    student
        (n, k) logits.
    teacher
        (n, k) logits, not probabilities; None: hard labels alone, as with alpha 0.
    targets
        (n,) class positions.
    weights
        (n,) row weights; None: 1 for all.
    alpha
        Share of the soft labels, 0 to 1.
    temperature
        T above 0.
    weighting
        "row": each row's loss times its weight; "batch": the mean loss times the mean weight (a published defect).

    Returns
    -------
    float
        Sum of the weighted row losses divided by n (not by the sum of the weights).
    ndarray
        (n, k) gradient.

    Raises
    ------
    ValueError
        If shapes do not fit, there is no row, or a value is out of range, NaN or infinite.
    """
    check_settings(alpha, temperature, weighting)
    logits = np.asarray(student, dtype=np.float64)
    if logits.ndim != 2 or not len(logits) or not np.isfinite(logits).all():
        raise ValueError("student's logits must be a table of finite numbers with at least one row")
    n, k = logits.shape
    positions = checked_targets(targets, n, k)
    mass = spread(checked_weights(None if weights is None else np.asarray(weights, dtype=np.float64), n), weighting)
    soft = None if teacher is None else SoftLabels.make(checked_teacher(teacher, n, k), temperature)
    losses, gradient = row_losses(logits, soft, positions, alpha=alpha, temperature=temperature)
    return float((mass * losses).sum() / n), gradient * (mass / n)[:, None]


def torch_distillation_loss(
    student: Any, teacher: Any | None, targets: Any, weights: Any, *, alpha: float, temperature: float, weighting: Weighting = "row"
) -> Any:
    """Return the loss of a batch as a scalar tensor; arguments as in `distillation_loss`, but tensors.

    Raises
    ------
    ValueError
        If the teacher's logits do not fit or are not finite, or a setting is out of range.
    """
    import torch

    check_settings(alpha, temperature, weighting)
    if teacher is not None and (teacher.shape != student.shape or not bool(torch.isfinite(teacher).all())):
        raise ValueError(f"teacher's logits must be finite and of shape {tuple(student.shape)}")
    if teacher is None:
        alpha = 0.0
    losses = torch.zeros(len(student), dtype=student.dtype)
    if teacher is not None and alpha > 0:
        log_p = torch.log_softmax(teacher / temperature, dim=1)
        log_q = torch.log_softmax(student / temperature, dim=1)
        losses = losses + alpha * temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=1)
    if alpha < 1:
        log_q = torch.log_softmax(student, dim=1)
        losses = losses - (1 - alpha) * log_q.gather(1, targets.unsqueeze(1)).squeeze(1)
    if weighting == "batch":
        return losses.mean() * weights.mean()
    return (losses * weights).mean()
