"""Opens what checks and labellers ask: teachers, language models, passages; each once, and only if something asks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from emosynth.cards import read_table
from emosynth.catalog import Catalog
from emosynth.checks.base import Reference
from emosynth.design.cells import Cell
from emosynth.design.space import FloatArray, Space
from emosynth.labellers.base import Reader
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.seeding.real import RealText
from emosynth.verification.teaching import Fit, FittedTeacher, Model, Teachers, oracle_of


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

    def teacher(self, cell: Cell) -> FittedTeacher:
        """Return the teacher of a seed."""
        return self.teachers.of(cell)

    @cached_property
    def _reference(self) -> Reference:
        from emosynth.models.lm.perplexity import ReferenceModel

        return ReferenceModel.open(self.params.models.local, self.catalog)

    def reference(self) -> Reference:
        """Return the language model that measures perplexity."""
        return self._reference

    @cached_property
    def _reader(self) -> Reader:
        from emosynth.labellers.reading import LanguageReader

        return LanguageReader.open(self.params.models.local, self.catalog)

    def reader(self) -> Reader:
        """Return the language model that reads labels."""
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

        return embedding_cache(self.catalog.model(self.params.models.encoder), self.paths.cache)

    def read_ahead(self, texts: Sequence[str]) -> None:
        """Take note of all texts that teachers will be asked about: embeddings are made at once, in full batches."""
        if self.params.teacher.kind == "embedding" and len(texts):
            from emosynth.models.ahead import embed_ahead

            embed_ahead(self._embeddings, list(dict.fromkeys(texts)), say)

    def _fit(self, texts: list[str], targets: FloatArray, space: Space, seed: int) -> Model:
        if self.params.teacher.kind == "encoder":
            from emosynth.verification.kept import KeptEncoder

            return KeptEncoder(self.catalog.model(self.params.models.encoder), self.paths.cache, texts, targets, space, seed)
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
