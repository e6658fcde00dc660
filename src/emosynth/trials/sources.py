"""What trials are made from: corpora, seeds, candidates, verdicts and soft labels, each opened once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.arms import ResolvedArm, own_rows
from emosynth.design.cells import Cell
from emosynth.design.space import FloatArray
from emosynth.generation.read import candidates_of, load_candidates
from emosynth.labellers.base import Labeller
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.seeding.real import RealText
from emosynth.trials.gate import check_real, repeating
from emosynth.trials.rowfile import FileRows
from emosynth.verification.accept import ScoreTable, SoftLabels, accepted, has_oracle, load_scores, load_soft

BoolArray = npt.NDArray[np.bool_]


@dataclass
class Sources(RealText):
    """Tables of earlier steps; of the corpora all splits: test rows are scored, and kept out of training rows.

    Attributes
    ----------
    candidates
        See docs/architecture.md.
    judged, soft
        Scores of the checks, and soft labels.
    paths, files
        Where files of rows are looked for, and what was read of them.
    """

    params: Params
    candidates: pd.DataFrame
    judged: ScoreTable
    soft: SoftLabels
    paths: Paths | None = None
    files: dict[tuple[object, ...], FileRows] = field(default_factory=dict)
    _repeats: dict[str, frozenset[str]] = field(default_factory=dict)
    _written: dict[tuple[object, ...], pd.DataFrame] = field(default_factory=dict)
    _verdicts: dict[tuple[object, ...], BoolArray] = field(default_factory=dict)

    @classmethod
    def load(cls, params: Params, paths: Paths, splits: Sequence[str] | None = None) -> Self:
        """Read everything of a profile; a missing file is an error that names the step to run."""
        real = RealText.load(params, paths, splits)
        return cls(real.corpora, real.order, real.taxonomies, params, load_candidates(paths), load_scores(paths), load_soft(paths), paths)

    # --- real rows ----------------------------------------------------------------------------------

    @cached_property
    def scored(self) -> dict[str, pd.DataFrame]:
        """The rows of each corpus that models are scored on: those of one split (step 00 lets none be empty)."""
        return {name: corpus.split(self.params.training.scored_on) for name, corpus in self.corpora.items()}

    def check_real(self) -> None:
        """End the run if a row of any seed or pool repeats a test row or a row that is scored."""
        for name, corpus in self.corpora.items():
            ids = [str(row) for row in self.order.loc[self.order["corpus"] == name, "id"].unique()]
            check_real(corpus, ids, self.params.corpora.near_duplicate, self.params.training.scored_on)

    def held_out(self, corpus: str) -> list[str]:
        """Return the texts of a corpus that nothing may be trained on."""
        return [text for split in ("validation", "test") for text in self.corpora[corpus].split(split)["text"]]

    # --- written rows -------------------------------------------------------------------------------

    def written(self, arm: ResolvedArm, cell: Cell) -> pd.DataFrame:
        """Return the candidates that an arm may use in a cell, sorted by index, label and kind; none: nothing was written for it."""
        key = (arm.origin and arm.origin.name, cell, own_rows(self.params, arm, cell), arm.spec.oversample)
        if key not in self._written:
            found = candidates_of(self.candidates, self.params, arm, cell)
            self._written[key] = found.assign(kind=found["kind"].fillna(""))
        return self._written[key]

    def accepted(self, arm: ResolvedArm, cell: Cell) -> BoolArray:
        """Return the verdicts of an arm on `written`."""
        rows = self.written(arm, cell)
        checks = json.dumps([check.identity() for check in arm.checks], sort_keys=True)
        key = (arm.origin and arm.origin.name, checks, has_oracle(arm), cell, len(rows))
        if key not in self._verdicts:
            self._verdicts[key] = accepted(arm, rows, self.judged, cell)["accepted"].to_numpy(dtype=bool)
        return self._verdicts[key]

    def scores(self, arm: ResolvedArm, rows: pd.DataFrame, cell: Cell) -> dict[str, list[float]]:
        """Return the scores of an arm's checks on some of its candidates, by ``score_<check>``."""
        ids = rows["candidate_id"].tolist()
        return {f"score_{check.name}": self.judged.of(check, ids, cell, oracle=has_oracle(arm)).tolist() for check in arm.checks}

    def repeats_held_out(self, frame: pd.DataFrame, corpus: str) -> BoolArray:
        """Return which candidates repeat a validation or test text; all of a corpus are compared at once."""
        if corpus not in self._repeats:
            of_corpus = self.candidates["corpus"].fillna("").isin(["", corpus])
            texts = [str(text) for text in self.candidates.loc[of_corpus, "text"].drop_duplicates()]
            same = repeating(texts, self.held_out(corpus), self.params.corpora.near_duplicate)
            self._repeats[corpus] = frozenset(text for text, repeats in zip(texts, same, strict=True) if repeats)
        return frame["text"].isin(self._repeats[corpus]).to_numpy(dtype=bool)

    # --- soft labels --------------------------------------------------------------------------------

    def log_p(self, arm: ResolvedArm, labeller: Labeller, cell: Cell, row_ids: Sequence[str]) -> FloatArray:
        """Return (n, k) log-probabilities that one of an arm's labellers gives to rows in a cell."""
        return self.soft.log_p(labeller, row_ids, cell, oracle=has_oracle(arm))
