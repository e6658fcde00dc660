"""Sections about real text: which corpora there are, and which seeds are drawn from them."""

from __future__ import annotations

from pydantic import Field, model_validator

from emosynth.params.base import Section


class UserCorpus(Section):
    """A corpus of one's own: one file with a text and a label column."""

    path: str = Field(description="CSV, TSV, JSONL or Parquet file; relative to the repository, or absolute, or from ~")
    text: str = Field("text", description="name of the text column")
    labels: str = Field("label", description="name of the label column")
    label_separator: str | None = Field(None, min_length=1, description="splits several labels in one cell; None: single-label")
    split: str | None = Field(None, description="column holding train/validation/test; None: split by hash of text")
    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]*$", description="name of the corpus; None: what corpora.target says")
    classes: list[str] | None = Field(None, description="the classes allowed; None: those that occur")
    language: str = Field("en", description="language tag for the card")
    licence: str = Field("unknown", description="licence for the card")
    register_noun: str = Field("message", description="what one text is called in prompts, e.g. tweet, film review")


class Corpora(Section):
    """Which corpora are built, and how they are cleaned."""

    target: str = Field(description="the corpus that seeds come from and that the report is about")
    also: list[str] = Field(default_factory=list, description="further corpora that are grown and scored by the same design")
    custom: UserCorpus | None = None
    fractions: list[float] = Field([0.6, 0.1, 0.3], description="train, validation, test of corpora without splits")
    near_duplicate: float = Field(
        0.8, ge=0.5, le=1.0, description="Jaccard similarity of word 3-grams from which two texts are near-duplicates"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Corpora:
        if len(self.fractions) != 3 or abs(sum(self.fractions) - 1) > 1e-9 or min(self.fractions) <= 0:
            raise ValueError("corpora.fractions: must be three positive numbers that sum to 1")
        if self.target in self.also or len(set(self.also)) != len(self.also):
            raise ValueError("corpora.also: names a corpus twice, or the target again")
        if self.custom is not None and self.custom_name not in self.names:
            raise ValueError(
                f"corpora.custom.name: {self.custom_name} is neither corpora.target nor in corpora.also, so nothing would be done with it"
            )
        return self

    @property
    def custom_name(self) -> str | None:
        """Name of the user's own corpus, if there is one."""
        return None if self.custom is None else self.custom.name or self.target

    @property
    def names(self) -> list[str]:
        """All corpora, the target first."""
        return [self.target, *self.also]


class CellsOf(Section):
    """What differs for one corpus; None: as for all."""

    sizes: list[int] | None = Field(None, min_length=1)
    repeats: int | None = Field(None, ge=1, le=1000)
    min_per_class: int | None = Field(None, ge=1)


class Cells(Section):
    """The design: corpus × seed size × repeat. Seeds are the few real rows that we pretend are all there is."""

    sizes: list[int] = Field(min_length=1, description="seed sizes n, ascending")
    repeats: int = Field(ge=1, le=1000, description="number of independent nested seed series")
    min_per_class: int = Field(2, ge=1, description="rows of each class that every seed holds at least")
    random_seed: int = Field(20251121, ge=0)
    per: dict[str, CellsOf] = Field(default_factory=dict, description="corpus -> what differs there")

    @model_validator(mode="after")
    def _sizes(self) -> Cells:
        for where, sizes in [("cells.sizes", self.sizes), *((f"cells.per.{name}.sizes", own.sizes) for name, own in self.per.items())]:
            if sizes is not None and (sorted(set(sizes)) != sizes or sizes[0] < 2):
                raise ValueError(f"{where}: must be ascending, distinct and at least 2")
        return self

    def sizes_of(self, corpus: str) -> list[int]:
        """Return the seed sizes of a corpus."""
        own = self.per.get(corpus)
        return list(own.sizes) if own is not None and own.sizes is not None else list(self.sizes)

    def repeats_of(self, corpus: str) -> int:
        """Return the number of seed series of a corpus."""
        own = self.per.get(corpus)
        return own.repeats if own is not None and own.repeats is not None else self.repeats

    def min_per_class_of(self, corpus: str) -> int:
        """Return how many rows of each class every seed of a corpus holds at least."""
        own = self.per.get(corpus)
        return own.min_per_class if own is not None and own.min_per_class is not None else self.min_per_class
