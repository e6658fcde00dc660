"""What trials are made from: corpora, seeds, candidates, verdicts and soft labels, each opened once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.corpora import Corpus, load_corpus
from emosynth.design.arms import Origin, ResolvedArm, wanted_rows
from emosynth.design.cells import Cell
from emosynth.design.space import TARGET, FloatArray, Space, SpaceMap, space_map, space_of_corpus, space_of_taxonomy
from emosynth.generation.read import candidates_of, load_candidates
from emosynth.labellers.base import Labeller
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.seeding import Seed, load_order, load_seed
from emosynth.taxonomy import Taxonomies
from emosynth.trials.gate import check_real, repeating
from emosynth.verification.accept import ScoreTable, SoftLabels, accepted, has_oracle, load_scores, load_soft

BoolArray = npt.NDArray[np.bool_]


@dataclass
class Sources:
    """Tables of earlier steps.

    Attributes
    ----------
    corpora
        All splits, by name: test rows are scored, and kept out of training rows.
    order, candidates
        See docs/architecture.md.
    judged, soft
        Scores of the checks, and soft labels.
    """

    params: Params
    corpora: dict[str, Corpus]
    taxonomies: Taxonomies
    order: pd.DataFrame
    candidates: pd.DataFrame
    judged: ScoreTable
    soft: SoftLabels
    _seeds: dict[Cell, Seed] = field(default_factory=dict)
    _repeats: dict[str, frozenset[str]] = field(default_factory=dict)
    _written: dict[tuple[object, ...], pd.DataFrame] = field(default_factory=dict)
    _verdicts: dict[tuple[object, ...], BoolArray] = field(default_factory=dict)

    @classmethod
    def load(cls, params: Params, paths: Paths) -> Sources:
        """Read everything of a profile; a missing file is an error that names the step to run."""
        corpora = {name: load_corpus(paths, name) for name in params.corpora.names}
        return cls(
            params,
            corpora,
            Taxonomies.load(paths.taxonomies),
            load_order(paths),
            load_candidates(paths),
            load_scores(paths),
            load_soft(paths),
        )

    # --- labels -------------------------------------------------------------------------------------

    @cached_property
    def spaces(self) -> dict[str, Space]:
        """Label spaces of the corpora."""
        return {name: space_of_corpus(corpus, self.taxonomies) for name, corpus in self.corpora.items()}

    def asked_space(self, origin: Origin, corpus: str) -> Space:
        """Return the labels that an origin's texts were asked for."""
        return self.spaces[corpus] if origin.space == TARGET else space_of_taxonomy(self.taxonomies.get(origin.space))

    def map(self, source: Space, target: Space) -> SpaceMap:
        """Return the map between two spaces."""
        return space_map(source, target, self.taxonomies)

    # --- real rows ----------------------------------------------------------------------------------

    def check_real(self) -> None:
        """End the run if a row of any seed or pool repeats a test row."""
        for name, corpus in self.corpora.items():
            ids = [str(row) for row in self.order.loc[self.order["corpus"] == name, "id"].unique()]
            check_real(corpus, ids, self.params.corpora.near_duplicate)

    def seed(self, cell: Cell) -> Seed:
        """Return the seed of a cell."""
        if cell not in self._seeds:
            self._seeds[cell] = load_seed(self.corpora[cell.corpus], self.order, cell)
        return self._seeds[cell]

    def held_out(self, corpus: str) -> list[str]:
        """Return the texts of a corpus that nothing may be trained on."""
        return [text for split in ("validation", "test") for text in self.corpora[corpus].split(split)["text"]]

    # --- written rows -------------------------------------------------------------------------------

    def written(self, arm: ResolvedArm, cell: Cell) -> pd.DataFrame:
        """Return the candidates that an arm may use in a cell, sorted by index, label and kind; none: nothing was written for it."""
        key = (arm.origin and arm.origin.name, cell, wanted_rows(self.params, arm, cell), arm.spec.oversample)
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
