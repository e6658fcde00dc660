"""What trials are made from: corpora, seeds, candidates, verdicts and soft labels, each opened once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.cards import read_table
from emosynth.corpora import Corpus, load_corpus
from emosynth.design.arms import Origin, ResolvedArm
from emosynth.design.cells import NO_SEED, Cell
from emosynth.design.space import TARGET, FloatArray, Space, SpaceMap, space_map, space_of_corpus, space_of_taxonomy
from emosynth.errors import UserError
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.seeding import Seed, load_order, load_seed
from emosynth.taxonomy import Taxonomies
from emosynth.trials.gate import check_real, repeating

BoolArray = npt.NDArray[np.bool_]


@dataclass
class Sources:
    """Tables of earlier steps.

    Attributes
    ----------
    corpora
        All splits, by name: test rows are scored, and kept out of training rows.
    order, candidates, judgements, soft
        See docs/architecture.md.
    """

    params: Params
    corpora: dict[str, Corpus]
    taxonomies: Taxonomies
    order: pd.DataFrame
    candidates: pd.DataFrame
    judgements: pd.DataFrame
    soft: pd.DataFrame
    _seeds: dict[Cell, Seed] = field(default_factory=dict)
    _repeats: dict[str, frozenset[str]] = field(default_factory=dict)
    _accepted: dict[tuple[str, Cell], BoolArray] = field(default_factory=dict)

    @classmethod
    def load(cls, params: Params, paths: Paths) -> Sources:
        """Read everything of a profile; a missing file is an error that names the step to run."""
        corpora = {name: load_corpus(paths, name) for name in params.corpora.names}
        return cls(
            params, corpora, Taxonomies.load(paths.taxonomies), load_order(paths), read_table(paths.candidates / "candidates.parquet"),
            read_table(paths.verdicts / "judgements.parquet"), read_table(paths.verdicts / "soft.parquet"),
        )  # fmt: skip

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

    @cached_property
    def _by_cell(self) -> dict[tuple[str, str, int, int], pd.DataFrame]:
        columns = ["origin", "corpus", "size", "repeat"]
        frame = self.candidates.assign(kind=self.candidates["kind"].fillna(""), corpus=self.candidates["corpus"].fillna(""))
        frame = frame.sort_values(["index", "label", "kind"], kind="stable")
        return {tuple(key): part.reset_index(drop=True) for key, part in frame.groupby(columns, sort=False)}  # type: ignore[misc]

    def written(self, origin: Origin, cell: Cell) -> pd.DataFrame:
        """Return the candidates of an origin in a cell, sorted by index, label and kind; none: nothing was written for it."""
        for corpus in (cell.corpus, ""):
            for size in (cell.size, NO_SEED):
                found = self._by_cell.get((origin.name, corpus, size, cell.repeat))
                if found is not None:
                    return found
        return self.candidates.iloc[:0]

    def accepted(self, arm: ResolvedArm, cell: Cell) -> BoolArray:
        """Return the verdicts of an arm on its candidates in a cell."""
        from emosynth.verification.accept import accepted

        assert arm.origin is not None
        key = (json.dumps([arm.name, [check.identity() for check in arm.checks], arm.spec.flaws], sort_keys=True), cell)
        if key not in self._accepted:
            self._accepted[key] = accepted(arm, self.written(arm.origin, cell), self.judgements, cell)
        return self._accepted[key]

    def repeats_held_out(self, frame: pd.DataFrame, corpus: str) -> BoolArray:
        """Return which candidates repeat a validation or test text; all of a corpus are compared at once."""
        if corpus not in self._repeats:
            of_corpus = self.candidates["corpus"].fillna("").isin(["", corpus])
            texts = [str(text) for text in self.candidates.loc[of_corpus, "text"].drop_duplicates()]
            same = repeating(texts, self.held_out(corpus), self.params.corpora.near_duplicate)
            self._repeats[corpus] = frozenset(text for text, repeats in zip(texts, same, strict=True) if repeats)
        return frame["text"].isin(self._repeats[corpus]).to_numpy(dtype=bool)

    # --- soft labels --------------------------------------------------------------------------------

    @cached_property
    def _soft(self) -> dict[tuple[str, str, int, int], tuple[dict[str, int], FloatArray]]:
        found = {}
        for key, part in self.soft.groupby(["labeller", "corpus", "size", "repeat"], sort=False):
            places = {str(row): place for place, row in enumerate(part["row_id"])}
            found[tuple(key)] = (places, np.array(part["log_p"].tolist(), dtype=np.float64))  # type: ignore[misc]
        return found  # type: ignore[return-value]

    def log_p(self, labeller: str, cell: Cell, row_ids: Sequence[str]) -> FloatArray:
        """Return (n, k) log-probabilities that a labeller (as the table names it) gives to rows in a cell.

        Raises
        ------
        UserError
            If it has not labelled a row.
        """
        tables = [self._soft.get((labeller, *where)) for where in ((cell.corpus, cell.size, cell.repeat), ("", -1, -1))]
        for table in tables:
            if table is not None and all(row in table[0] for row in row_ids):
                return table[1][[table[0][row] for row in row_ids]]
        raise UserError(
            f"Rows have no label of {labeller}.", where=f"soft labels of {cell}", remedy="Run the verification step again (dvc repro)."
        )
