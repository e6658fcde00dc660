"""From a seed to what a writer is tuned on: the very prompts that it will be asked with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from emosynth.design.arms import Origin
from emosynth.design.cells import Cell, stable_seed
from emosynth.guides.base import Draw, Shown
from emosynth.params import Tuning
from emosynth.writers.seeds import Seeds

if TYPE_CHECKING:
    from emosynth.models.lm.tune import Example

_TAIL = re.compile(r"[^\w)}\]]*$")


def label_prefix(template: str, labels: Sequence[str], noun: str, tokens: Sequence[str] = ()) -> str:
    """Return what stands before every text, in tuning and in generation alike: ``joy tweet:``, or ``joy tweet with happy, birthday:``."""
    label = " and ".join(labels).replace("-", " ").replace("_", " ")
    prefix = template.format(label=label, noun=noun)
    if not tokens:
        return prefix
    at = _TAIL.search(prefix)
    head = prefix if at is None else prefix[: at.start()]
    return f"{head} with {', '.join(tokens)}{prefix[len(head) :]}"


def examples_of(
    seeds: Seeds, cell: Cell, origin: Origin, tuning: Tuning, wanted: int | Literal["all"] | None = None
) -> tuple[list[Example], list[Example]]:
    """Return the rows of a seed to tune on, and those held out for early stopping.

    The order of a seed is stratified at every rank, so its last rows are nearly stratified too.

    Parameters
    ----------
    wanted
        Rows of an oracle (`emosynth.params.WriterSpec`): after those of the seed, further rows of the training split, drawn by repeat.
    """
    from emosynth.models.lm.tune import Example

    corpus, space = seeds.corpus(cell.corpus), seeds.space(cell.corpus)
    materials = seeds.materials(cell) if origin.guides else None
    examples = []
    seed = seeds.seed(cell)
    rows = list(zip(seed.texts, seed.labels, strict=True))
    if wanted is not None:
        train, known = corpus.split("train"), frozenset(seed.ids)
        others = [
            (str(text), list(own)) for row, text, own in zip(train["id"], train["text"], train["labels"], strict=True) if row not in known
        ]
        drawn = np.random.default_rng(stable_seed("oracle", cell.corpus, cell.repeat)).permutation(len(others))
        rows += [others[place] for place in drawn[: None if wanted == "all" else max(0, wanted - len(rows))]]
    for rank, (text, labels) in enumerate(rows):
        shown = Shown()
        rng = np.random.default_rng(stable_seed("hint", origin.salt, cell.corpus, cell.size, cell.repeat, rank))
        for guide in origin.guides:
            shown |= guide.hint(text, Draw(tuple(labels), space, materials, rng))
        prefix = label_prefix(tuning.prefix, labels, corpus.register_noun, shown.tokens)
        examples.append(Example(prefix, " ".join(text.split())))
    held = round(tuning.held_out * len(examples))
    return examples[: len(examples) - held], examples[len(examples) - held :]
