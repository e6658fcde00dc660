"""What a check is, and what it may look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.cells import Cell
from emosynth.design.space import FloatArray, Space
from emosynth.pieces import Piece

BoolArray = npt.NDArray[np.bool_]


class Teacher(Protocol):
    """A classifier fitted on one seed, with calibrated probabilities (`emosynth.verification.teaching`)."""

    @property
    def space(self) -> Space:
        """Its labels: those of the corpus."""
        ...

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities: of the classes of a single-label space, label by label of another."""
        ...


class Reference(Protocol):
    """A language model that measures perplexity (`emosynth.models.lm.perplexity.ReferenceModel`)."""

    def score(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Return mean negative log-likelihoods in nats per token and numbers of tokens, both (n,)."""
        ...


class Judge(Protocol):
    """Opens what checks ask; everything is opened once and only if a check needs it."""

    def teacher(self, cell: Cell) -> Teacher:
        """Return the teacher of a seed."""
        ...

    def reference(self) -> Reference:
        """Return the reference language model."""
        ...

    def passages(self) -> dict[str, str]:
        """Return the text of every passage of the narratives, by id."""
        ...


@dataclass(frozen=True)
class Judged:
    """Candidates of one origin, as one seed sees them.

    Attributes
    ----------
    rows
        Rows of the candidates table, sorted by index and labels; see docs/architecture.md for columns.
    cell
        The seed. Candidates that owe nothing to a seed are judged anew for each.
    seed_texts
        Texts of the seed, in rank order.
    space
        Labels of the corpus.
    noun
        What one text of the corpus is called.
    judge
        Where teacher and reference model come from.
    targets
        (n, k) labels asked for, moved into ``space``.
    """

    rows: pd.DataFrame
    cell: Cell
    seed_texts: Sequence[str]
    space: Space
    noun: str
    judge: Judge
    targets: FloatArray

    @cached_property
    def texts(self) -> list[str]:
        """Candidate texts."""
        return [str(text) for text in self.rows["text"]]

    @cached_property
    def intended(self) -> tuple[BoolArray, FloatArray]:
        """Per candidate, whether the teacher reads what was asked for, and its probability.

        Single-label: the most probable class is the one that has most of the target; the probability is that class's. Multi-label: the most
        probable label is among those asked for; the probability is the mean over these. A row whose labels have no counterpart in the
        corpus is no disagreement (True, NaN).
        """
        ok, scores = np.ones(len(self.rows), dtype=bool), np.full(len(self.rows), np.nan)
        known = np.flatnonzero(self.targets.max(axis=1, initial=0.0) > 0)
        if not len(known):
            return ok, scores
        p = self.judge.teacher(self.cell).predict_proba([self.texts[place] for place in known])
        wanted = (
            self.targets[known] >= self.targets[known].max(axis=1, keepdims=True) - 1e-9 if self.space.single else self.targets[known] > 0
        )
        ok[known] = wanted[np.arange(len(known)), p.argmax(axis=1)]
        scores[known] = np.where(wanted, p, 0.0).sum(axis=1) / (1 if self.space.single else wanted.sum(axis=1))
        return ok, scores


class Check(Piece):
    """A verdict on candidates.

    A check makes *scores* once; whether a score passes is decided by settings afterwards, so that a sweep over a threshold costs nothing.

    Attributes
    ----------
    order
        Place among the checks, lower first: the first that fails is a row's reason. What reads earlier verdicts comes late.
    reason
        What a rejected row is said to be, e.g. *cut off at the token limit*.
    scope
        ``text``: the score depends on the candidate and its prompt alone, and is made once. ``seed``: on the seed too. ``set``: on the other
        candidates of the same origin and cell.
    asks_teacher
        Whether the score is the teacher's: arms whose teacher saw more than the seed then have scores of their own.
    dear
        Whether scoring is so dear that candidates which an earlier check rejects for good (see `Piece.settings` of the arm) are skipped: their
        score is NaN, and NaN passes.
    """

    kind: ClassVar[str] = "check"
    order: ClassVar[int] = 50
    reason: ClassVar[str] = ""
    scope: ClassVar[Literal["text", "seed", "set"]] = "text"
    asks_teacher: ClassVar[bool] = False
    dear: ClassVar[bool] = False
    thresholds: ClassVar[frozenset[str]] = frozenset()
    """Settings that only `passes` and `accept` read; all others change the score."""

    def judge(self) -> dict[str, Any]:
        """Return what makes a score besides the rows: name and settings that are no thresholds."""
        return {
            "check": self.name,
            **{key: value for key, value in self.settings.model_dump(mode="json").items() if key not in self.thresholds},
        }

    def prepare(self, cells: Sequence[Judged]) -> None:
        """Take note of all that will be scored, before it is: a dear model may be asked in full batches."""

    @classmethod
    def must(cls) -> tuple[str, ...]:
        return ("score",)

    def score(self, rows: Judged) -> FloatArray:
        """Return (n,) scores; a check without a measure gives 1 where it passes and 0 where not."""
        raise NotImplementedError

    def passes(self, scores: FloatArray) -> BoolArray:
        """Return which scores pass; NaN does."""
        return np.asarray(np.isnan(scores) | (scores >= 1), dtype=np.bool_)

    def accept(self, scores: FloatArray, texts: Sequence[str], passed: BoolArray) -> BoolArray:
        """Return the verdicts, given which rows the checks before passed; rows are in order of index. Most checks do not look at these."""
        return self.passes(scores)
