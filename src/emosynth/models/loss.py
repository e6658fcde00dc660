"""The distillation loss, in numpy with its gradient and in torch.

The loss of row i with student logits s, teacher logits t (or log-probabilities: a constant of a row has no say), targets y that sum to 1
and row weight w is

    w · [α T² KL(softmax(t/T) ‖ softmax(s/T)) + (1 − α) Σ_c y_c (−log softmax(s)_c)]

and the loss of n rows is the sum divided by n: a batch of lightly weighted rows is a small loss. The factor T² keeps the gradient's size
independent of the temperature T (Hinton, Vinyals and Dean, 2015, Distilling the Knowledge in a Neural Network).

Two defects of a published procedure can be had, so that their worth can be measured. *batch-weights* takes the mean of the row losses
first and multiplies it by the mean weight, so that a row's weight no longer says anything of that row. The other one, a softmax over probabilities in place of logits, needs no switch: the caller passes probabilities as ``teacher``. They differ by at most
1, so the soft labels become nearly uniform.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from emosynth.models.checked import FloatArray, check_distillation


def log_softmax(logits: FloatArray) -> FloatArray:
    """Return the logarithm of the softmax of each row of (n, k) logits; rows need one finite value, -inf is allowed."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def softmax(logits: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    """Return (n, k) probabilities softmax(logits / temperature) of (n, k) logits; a logit of -inf gives 0."""
    check_distillation(0.0, temperature)
    return np.exp(log_softmax(np.asarray(logits, dtype=np.float64) / temperature))


class SoftLabels(NamedTuple):
    """Soft labels of n rows: (n, k) probabilities and their logarithms, 0 in place of log 0."""

    p: FloatArray
    log_p: FloatArray

    @classmethod
    def make(cls, logits: FloatArray, temperature: float) -> SoftLabels:
        """Return softmax(logits / temperature) and its logarithm."""
        check_distillation(0.0, temperature)
        log_p = log_softmax(logits / temperature)
        p = np.exp(log_p)
        return cls(p, np.where(p > 0, log_p, 0.0))  # p log p is 0 at p = 0, where a plain product may be NaN


def row_losses(
    student: FloatArray, soft: SoftLabels | None, targets: FloatArray, *, alpha: float, temperature: float
) -> tuple[FloatArray, FloatArray]:
    """Return (n,) unweighted row losses and the (n, k) gradient of each by its own row's logits; nothing is checked.

    ``soft`` holds the soft labels at this temperature; None: cross-entropy of the targets alone.
    """
    if soft is None or alpha == 0:
        log_q = log_softmax(student)
        return -(targets * log_q).sum(axis=1), np.exp(log_q) - targets
    log_q = log_softmax(student / temperature)
    losses = alpha * temperature**2 * (soft.p * (soft.log_p - log_q)).sum(axis=1)
    gradient = alpha * temperature * (np.exp(log_q) - soft.p)
    if alpha < 1:
        log_q = log_softmax(student)
        losses -= (1 - alpha) * (targets * log_q).sum(axis=1)
        gradient += (1 - alpha) * (np.exp(log_q) - targets)
    return losses, gradient


def torch_row_losses(student: Any, teacher: Any | None, targets: Any, *, alpha: float, temperature: float) -> Any:
    """Return the (n,) unweighted losses of a batch as a tensor; arguments as in `row_losses`, but tensors; ``teacher`` (n, k) logits."""
    import torch

    hard = -(targets * torch.log_softmax(student, dim=1)).sum(dim=1)
    if teacher is None or alpha == 0:
        return hard
    log_p, log_q = torch.log_softmax(teacher / temperature, dim=1), torch.log_softmax(student / temperature, dim=1)
    return alpha * temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=1) + (1 - alpha) * hard
