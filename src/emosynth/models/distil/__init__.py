"""Knowledge distillation: the loss, and students trained with it.

Row losses, weights and classes mean the same in all students (see `emosynth.models.distil.rows`), so that what
differs between two of them is the model.
"""

from emosynth.models.distil.encoder import EncoderStudent
from emosynth.models.distil.linear import LinearStudent
from emosynth.models.distil.loss import distillation_loss, soft_label_entropy, softmax, torch_distillation_loss
from emosynth.models.distil.rows import Weighting

__all__ = [
    "EncoderStudent",
    "LinearStudent",
    "Weighting",
    "distillation_loss",
    "soft_label_entropy",
    "softmax",
    "torch_distillation_loss",
]
