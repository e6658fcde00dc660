"""Opens what checks and labellers ask: teachers, language models, passages; each once, and only if something asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from emosynth.cards import read_table
from emosynth.catalog import Catalog
from emosynth.checks.base import Reference
from emosynth.corpora import Corpus, load_corpus
from emosynth.design.arms import Origin
from emosynth.design.cells import Cell
from emosynth.design.space import TARGET, FloatArray, Space, space_map, space_of_corpus, space_of_taxonomy
from emosynth.labellers.base import Reader
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.seeding import Seed, load_order, load_seed
from emosynth.taxonomy import Taxonomies
from emosynth.verification.teaching import Fit, FittedTeacher, Model, Teachers, oracle_of


class RealText:
    """Seeds and label spaces of a profile; of the corpora, training rows alone."""

    def __init__(self, corpora: Mapping[str, Corpus], order: pd.DataFrame, taxonomies: Taxonomies) -> None:
        self.corpora, self.order, self.taxonomies = corpora, order, taxonomies
        self.spaces = {name: space_of_corpus(corpus, taxonomies) for name, corpus in corpora.items()}
        self._seeds: dict[Cell, Seed] = {}

    @classmethod
    def load(cls, params: Params, paths: Paths) -> RealText:
        """Read what earlier steps wrote."""
        corpora = {name: load_corpus(paths, name, ["train"]) for name in params.corpora.names}
        return cls(corpora, load_order(paths), Taxonomies.load(paths.taxonomies))

    def seed(self, cell: Cell) -> Seed:
        """Return the seed of a cell."""
        if cell not in self._seeds:
            self._seeds[cell] = load_seed(self.corpora[cell.corpus], self.order, cell)
        return self._seeds[cell]

    def asked(self, origin: Origin, corpus: str) -> Space:
        """Return the space in which an origin's labels were asked for."""
        return self.spaces[corpus] if origin.space == TARGET else space_of_taxonomy(self.taxonomies.get(origin.space))

    def noun(self, corpus: str) -> str:
        """Return what one text is called."""
        return self.corpora[corpus].register_noun if corpus else "utterance"

    def moved(self, targets: FloatArray, asked: Space, space: Space) -> FloatArray:
        """Return (n, k) labels in another space."""
        return space_map(asked, space, self.taxonomies).project(targets)


class OpenJudge:
    """Answers checks and labellers (`emosynth.labellers.base.Readers`).

    Parameters
    ----------
    real
        Seeds and spaces.
    fit
        Fits teachers; None: as the parameters say.
    """

    def __init__(self, params: Params, catalog: Catalog, paths: Paths, real: RealText, fit: Fit | None = None) -> None:
        self.params, self.catalog, self.paths, self.real = params, catalog, paths, real
        self.teachers = Teachers(params.teacher, real.corpora, real.spaces, real.order, real.seed, fit or self._fit)
        self._reference: Reference | None = None
        self._reader: Reader | None = None

    def teacher(self, cell: Cell) -> FittedTeacher:
        """Return the teacher of a seed."""
        return self.teachers.of(cell)

    def reference(self) -> Reference:
        """Return the language model that measures perplexity."""
        if self._reference is None:
            from emosynth.models.lm.perplexity import ReferenceModel

            self._reference = ReferenceModel.open(self.params.models.local, self.catalog)
        return self._reference

    def reader(self) -> Reader:
        """Return the language model that reads labels."""
        if self._reader is None:
            from emosynth.labellers.reading import LanguageReader
            from emosynth.models.lm.labels import LabelScorer

            self._reader = LanguageReader(LabelScorer.open(self.params.models.local, self.catalog), say)
        return self._reader

    @cached_property
    def _passages(self) -> dict[str, str]:
        frame = read_table(self.paths.narratives / "passages.parquet", ["passage_id", "text"], stage="narratives")
        return dict(zip(frame["passage_id"], frame["text"], strict=True))

    def passages(self) -> dict[str, str]:
        """Return the text of every passage of the narratives, by id."""
        return self._passages

    def with_oracle(self) -> WithOracle:
        """Return a judge whose teachers are trained on the whole training split."""
        return WithOracle(self)

    # --- how teachers are fitted --------------------------------------------------------------------

    @cached_property
    def _embeddings(self) -> Any:
        from emosynth.models.embeddings import embedding_cache

        return embedding_cache(self.catalog.fetch(self.params.models.encoder), self.paths.cache)

    def read_ahead(self, texts: Sequence[str]) -> None:
        """Take note of all texts that teachers will be asked about: embeddings are made at once, in full batches."""
        if self.params.teacher.kind == "embedding" and len(texts):
            self._embeddings.embed(list(dict.fromkeys(texts)), say)

    def _fit(self, texts: list[str], targets: FloatArray, space: Space, seed: int) -> Model:
        if self.params.teacher.kind == "encoder":
            from emosynth.verification.kept import KeptEncoder

            return KeptEncoder(self.catalog.fetch(self.params.models.encoder), self.paths.cache, texts, targets, space, seed)
        from emosynth.models.linear import TextClassifier

        embed = self._embeddings.embed if self.params.teacher.kind == "embedding" else None
        return TextClassifier(single=space.single, embed=embed).fit(texts, targets, space.labels)


class WithOracle:
    """A judge whose teachers are oracles; all else is another judge's."""

    def __init__(self, judge: OpenJudge) -> None:
        self._judge = judge

    def teacher(self, cell: Cell) -> FittedTeacher:
        """Return the oracle of a seed's corpus."""
        return self._judge.teacher(oracle_of(cell.corpus))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._judge, name)
