"""What prompts are made of: seeds of all corpora, their spaces, and what step 02 found in each; read when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from emosynth.corpora import Corpus, load_corpus
from emosynth.design.cells import Cell
from emosynth.design.space import Space, space_of_corpus
from emosynth.guides.base import Materials
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.seeding import Seed, load_order, load_seed
from emosynth.taxonomy import Taxonomies


class Seeds:
    """Opens seeds and what belongs to them, each once."""

    def __init__(self, params: Params, paths: Paths) -> None:
        self.params, self.paths = params, paths
        self.corpus = cache(self._corpus)
        self.space = cache(self._space)
        self.seed = cache(self._seed)
        self._found = cache(self._load)
        self._order = cache(lambda: load_order(paths))
        self._taxonomies = cache(lambda: Taxonomies.load(paths.taxonomies))

    @property
    def taxonomies(self) -> Taxonomies:
        """Emotion taxonomies and the maps between them."""
        return self._taxonomies()

    def _corpus(self, name: str) -> Corpus:
        return load_corpus(self.paths, name)

    def _space(self, name: str) -> Space:
        return space_of_corpus(self.corpus(name), self.taxonomies)

    def _seed(self, cell: Cell) -> Seed:
        return load_seed(self.corpus(cell.corpus), self._order(), cell)

    def materials(self, cell: Cell) -> Materials:
        """Return what step 02 found in a seed."""
        return self._found()(cell)

    def _load(self) -> Callable[[Cell], Materials]:
        from emosynth.explain.build import load_materials

        return load_materials(self.paths)
