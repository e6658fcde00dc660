"""What a guide is, and what it may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np

from emosynth.design.space import Space
from emosynth.pieces import Piece


@dataclass(frozen=True)
class Shown:
    """What a prompt shows besides the class.

    Attributes
    ----------
    tokens
        Words offered to the model.
    exemplars
        Ids of seed rows that are shown.
    bias
        Words with a logit bonus each; needs a backend that can bias logits.
    """

    tokens: tuple[str, ...] = ()
    exemplars: tuple[str, ...] = ()
    bias: tuple[tuple[str, float], ...] = ()

    def __or__(self, other: Shown) -> Shown:
        return Shown(self.tokens + other.tokens, self.exemplars + other.exemplars, self.bias + other.bias)


By = Literal["shap", "tfidf", "random"]


class Materials(Protocol):
    """What step 02 found in one seed (`emosynth.explain.load_materials` reads it)."""

    def tokens(self, label: str, by: By) -> Sequence[tuple[str, float]]:
        """Return tokens that speak for a label with their scores, best first."""
        ...

    def exemplars(self, label: str, by: By) -> Sequence[str]:
        """Return ids of seed rows of a label, best first."""
        ...


@dataclass(frozen=True)
class Draw:
    """One prompt to be filled.

    Attributes
    ----------
    labels
        What the text is to express: one label, or two.
    space
        The labels that are asked for.
    materials
        Of the seed; None for arms that owe nothing to one.
    rng
        Shared by the guides of an arm, in their order.
    """

    labels: tuple[str, ...]
    space: Space
    materials: Materials | None
    rng: np.random.Generator


class Guide(Piece):
    """What a prompt shows for a label.

    Attributes
    ----------
    needs_seed
        Whether what is shown comes from the seed; texts of an arm without such a guide and with an untuned writer owe nothing to it.
    drawn
        Whether prompts of one class differ from each other (``generation.prompts_per_class`` are drawn).
    needs_bias
        Whether the writer's backend must be able to bias logits.
    narrative
        Whether texts are written from a passage, by way of a situation (`emosynth.guides.narrative`).
    tunable
        Whether a tuned writer can be trained with it in its prompt: then `hint` says what a training row's prompt shows.
    edits
        Whether it makes texts itself, each of a row of the seed, whose labels they keep: then `edit` does, and no writer is asked.
    changes
        What such an edit does to a row, in words; cards and pages say it, since the texts are real ones.
    """

    kind: ClassVar[str] = "guide"
    needs_seed: ClassVar[bool] = True
    drawn: ClassVar[bool] = True
    needs_bias: ClassVar[bool] = False
    narrative: ClassVar[bool] = False
    tunable: ClassVar[bool] = False
    edits: ClassVar[bool] = False
    changes: ClassVar[str] = ""

    @classmethod
    def must(cls) -> tuple[str, ...]:
        return ("edit",) if cls.edits else ("show", "hint") if cls.tunable else ("show",)

    def show(self, draw: Draw) -> Shown:
        """Return what one prompt shows; every random choice is made with ``draw.rng``."""
        raise NotImplementedError

    def hint(self, text: str, draw: Draw) -> Shown:
        """Return what the prompt of a seed row shows while a writer is tuned on it."""
        raise NotImplementedError

    def edit(self, text: str, rng: np.random.Generator) -> str:
        """Return a changed copy of the text of a seed row; every random choice is made with ``rng``."""
        raise NotImplementedError


def pick(items: Sequence[str], count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return ``count`` items drawn without replacement, in their own order; all if there are fewer."""
    chosen = rng.permutation(len(items))[:count]
    return tuple(items[i] for i in sorted(chosen))


@dataclass(frozen=True)
class Tables:
    """Materials of one seed from plain mappings; the form in which tests and `emosynth.explain.load_materials` hold them."""

    by_token: Mapping[tuple[str, str], Sequence[tuple[str, float]]] = field(default_factory=dict)
    by_exemplar: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    def tokens(self, label: str, by: By) -> Sequence[tuple[str, float]]:
        """Return tokens of a label, best first."""
        return self.by_token.get((label, by), ())

    def exemplars(self, label: str, by: By) -> Sequence[str]:
        """Return ids of a label's exemplars, best first."""
        return self.by_exemplar.get((label, by), ())
