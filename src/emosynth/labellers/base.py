"""What a labeller is, and what it may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol

import pandas as pd
from pydantic import BaseModel, Field

from emosynth.checks.base import Judge
from emosynth.design.cells import Cell
from emosynth.design.space import FloatArray, Space
from emosynth.pieces import Piece, Settings

FLOOR = 1e-12
"""Least probability whose logarithm is taken."""


class Reader(Protocol):
    """A language model that reads labels off texts (`emosynth.labellers.reading`)."""

    def read(self, rows: pd.DataFrame, space: Space) -> FloatArray:
        """Return (n, k) log-probabilities over a space's labels, summing to 1 in each row."""
        ...


class Readers(Judge, Protocol):
    """What labellers ask."""

    def reader(self) -> Reader:
        """Return the language model that reads labels."""
        ...


@dataclass(frozen=True)
class Labelled:
    """Candidates to be labelled, as one seed sees them.

    Attributes
    ----------
    rows
        Rows of the candidates table.
    cell
        The seed.
    asked
        The space in which labels were asked for.
    space
        Labels of the corpus.
    targets
        (n, k_asked) labels asked for, in ``asked``.
    moved
        (n, k) the same, moved into ``space``.
    judge
        Where teacher and reader come from.
    """

    rows: pd.DataFrame
    cell: Cell
    asked: Space
    space: Space
    targets: FloatArray
    moved: FloatArray
    judge: Readers


class LabellerSettings(Settings):
    """Settings of every labeller."""

    share: Annotated[float, Field(ge=0, le=1)] | Literal["rest"] = Field(
        1.0, description="share of the label, or rest: what the others leave of 1, which else stays with what was asked for"
    )


class Labeller(Piece):
    """A source of labels.

    Attributes
    ----------
    in_space
        ``asked``: labels are in the space that was asked for; ``corpus``: in that of the corpus at hand.
    needs_seed
        Whether labels depend on the seed.
    distils
        Whether labels are a teacher's log-probabilities, which the loss softens by ``mix.temperature``; else they are mixed into targets.
    reads
        Whether labels come from the text. If not, they come from those that rows had, and unlabelled rows have none.
    """

    kind: ClassVar[str] = "labeller"
    Settings: ClassVar[type[BaseModel]] = LabellerSettings
    main: ClassVar[str | None] = "share"
    in_space: ClassVar[str] = "asked"
    needs_seed: ClassVar[bool] = False
    distils: ClassVar[bool] = False
    reads: ClassVar[bool] = True

    @classmethod
    def must(cls) -> tuple[str, ...]:
        return ("log_p",)

    def log_p(self, rows: Labelled) -> FloatArray:
        """Return (n, k) log-probabilities: over the classes of a single-label space; label by label of another, unless they sum to 1."""
        raise NotImplementedError
