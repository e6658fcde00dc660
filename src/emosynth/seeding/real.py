"""Real text as later steps see it: corpora, their label spaces and their seeds, each opened once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import pandas as pd

from emosynth.corpora import Corpus, load_corpus
from emosynth.design.arms import Origin
from emosynth.design.cells import Cell
from emosynth.design.space import TARGET, Space, SpaceMap, space_map, space_of_corpus, space_of_taxonomy
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.seeding.seeds import Seed, load_order, load_seed
from emosynth.taxonomy import Taxonomies


@dataclass
class RealText:
    """Corpora by name, the orders of step 01, and the taxonomies."""

    corpora: Mapping[str, Corpus]
    order: pd.DataFrame
    taxonomies: Taxonomies
    _seeds: dict[Cell, Seed] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def load(cls, params: Params, paths: Paths, splits: Sequence[str] | None = None) -> Self:
        """Read what earlier steps wrote, some splits or all; a missing file is an error that names the step to run."""
        corpora = {name: load_corpus(paths, name, splits) for name in params.corpora.names}
        return cls(corpora, load_order(paths), Taxonomies.load(paths.taxonomies))

    @cached_property
    def spaces(self) -> dict[str, Space]:
        """Label spaces of the corpora."""
        return {name: space_of_corpus(corpus, self.taxonomies) for name, corpus in self.corpora.items()}

    def asked(self, origin: Origin, corpus: str) -> Space:
        """Return the space in which an origin's labels were asked for."""
        return self.spaces[corpus] if origin.space == TARGET else space_of_taxonomy(self.taxonomies.get(origin.space))

    def map(self, source: Space, target: Space) -> SpaceMap:
        """Return the map between two spaces."""
        return space_map(source, target, self.taxonomies)

    def seed(self, cell: Cell) -> Seed:
        """Return the seed of a cell."""
        if cell not in self._seeds:
            self._seeds[cell] = load_seed(self.corpora[cell.corpus], self.order, cell)
        return self._seeds[cell]

    def noun(self, corpus: str) -> str:
        """Return what one text is called."""
        return self.corpora[corpus].register_noun if corpus else "utterance"
