"""From a seed to what the generator is tuned on."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from emosynth.models.lm.tune import Example
from emosynth.params import Tuning
from emosynth.seeding import seed_rows


def label_prefix(template: str, label: str, noun: str) -> str:
    """Return what stands before every text of a class, in tuning and in generation alike."""
    return template.format(label=label.replace("-", " ").replace("_", " "), noun=noun)


def examples_of(
    order: pd.DataFrame, texts: Mapping[str, str], repeat: int, size: int, noun: str, tuning: Tuning
) -> tuple[list[Example], list[Example]]:
    """Return the rows of a seed to tune on, and those held out for early stopping.

    The order of a seed is stratified at every rank, so its last rows are nearly stratified too.

    Parameters
    ----------
    texts
        Text of each row by id.
    """
    rows = seed_rows(order, repeat, size)
    examples = [
        Example(label_prefix(tuning.prefix, label, noun), " ".join(texts[row].split()))
        for row, label in zip(rows["id"], rows["label"], strict=True)
    ]
    held = round(tuning.held_out * size)
    return examples[: size - held], examples[size - held :]
