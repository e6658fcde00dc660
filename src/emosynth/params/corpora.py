"""Sections about real text: which corpora there are, and which seeds are drawn from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from emosynth.params.base import Named, Section

NAME = r"^[a-z0-9][a-z0-9-]*$"

_FORMATS = {"csv": "delimited", "tsv": "delimited", "ndjson": "jsonl", "xlsx": "excel"}
"""What formats are called too."""


class UserCorpus(Section):
    """A corpus of one's own: a file of labelled text, or a folder of them. What is None is found from the content, and said."""

    path: Named = Field(
        description="CSV, TSV, JSON, JSONL, Parquet or Excel file (gzip too), or a folder; relative to the repository, or absolute, or from ~"
    )
    text: str | int = Field("text", description="text column: its name, a dotted path into it (data.text), or its number from 1")
    labels: str | int | list[str] = Field(
        "label",
        description="label column, as for text: labels, or shares of them ({joy: 0.7, fear: 0.3}). A list of columns: each is a class, and its cells are "
        "yes or no (0 or 1, ticks) or shares that sum to 1; or each is a rater, and its cells are labels: votes, which corpora.conflicts settles",
    )
    label_separator: str | None = Field(None, min_length=1, description="splits several labels in one cell; None: one label, or a list")
    label_lists: bool | None = Field(None, description="whether words such as ['joy', 'anger'] are lists of labels; None: if all are")
    task: Literal["single", "multi"] | None = Field(None, description="labels a row; None: multi for lists and where a row has several")
    class_names: dict[str | int, str | None] | list[str] | None = Field(
        None, description="label of the file -> name of the class (null: such rows are left out), or the names of the labels 0, 1, 2 …"
    )
    merge_labels: bool = Field(True, description="labels that are equal but for case, spaces, apostrophes or entities are one class")
    classes: list[str] | None = Field(None, description="the classes allowed; None: those that occur")
    missing: Literal["error", "drop"] = Field("error", description="rows without text or label: an error, or left out and counted")
    missing_words: list[str] | None = Field(None, description="words that stand for no text or label; None: nan, null, none, n/a and such")
    split: str | int | None = Field(None, description="column holding train/validation/test; None: as the files say, else by hash of text")
    name: str | None = Field(None, pattern=NAME, description="name of the corpus, if custom holds one only; None: what corpora.target says")
    language: str = Field("en", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$", description="language tag for the card")
    licence: str = Field("unknown", description="licence for the card")
    register_noun: str = Field("message", description="what one text is called in prompts, e.g. tweet, film review")
    format: Literal["delimited", "json", "jsonl", "parquet", "excel", "label-studio", "doccano", "prodigy"] | None = Field(
        None, description="format of the file; None: found"
    )
    encoding: str | None = Field(None, description="encoding of the file, e.g. cp1252; None: found")
    separator: str | None = Field(None, min_length=1, description="between the cells of a row; None: found among tab ; | ,")
    quoting: Literal["double", "single", "backslash", "none"] | None = Field(
        None,
        description='quotes around cells, inner ones doubled ("double", "single") or after a backslash; none: quotes are characters; None: found',
    )
    header: bool | None = Field(None, description="whether the first row names the columns; None: found")
    sheet: str | None = Field(None, description="sheet of an Excel file; None: the only one with rows")

    @field_validator("format", mode="before")
    @classmethod
    def _called(cls, name: Any) -> Any:
        return _FORMATS.get(name.strip().lower(), name) if isinstance(name, str) else name

    @field_validator("labels")
    @classmethod
    def _one_column(cls, names: Any) -> Any:
        """A list of one column is that column: neither marks nor votes can stand alone."""
        if names == []:
            raise ValueError("a list of columns names at least one")
        return names[0] if isinstance(names, list) and len(names) == 1 else names

    @field_validator("class_names", "classes")
    @classmethod
    def _have_letters(cls, names: Any) -> Any:
        for name in names.values() if isinstance(names, dict) else names or ():
            if name is not None and not name.strip():
                raise ValueError("a class needs a name; null leaves its rows out")
        return names


class Corpora(Section):
    """Which corpora are built, and how they are cleaned."""

    target: str = Field(description="the corpus that seeds come from and that the report is about")
    also: list[str] = Field(default_factory=list, description="further corpora that are grown and scored by the same design")
    custom: dict[str, UserCorpus] = Field(
        default_factory=dict, description="corpora of the user's own, by name; one alone may stand without a name and has the target's"
    )
    conflicts: Literal["majority", "drop", "error", "soft"] = Field(
        "majority",
        description="a text of an own file with several labels: that of most of its rows (left out if there is none), left out, an error, or shares",
    )
    fractions: list[float] = Field([0.6, 0.1, 0.3], description="train, validation, test of corpora without splits")
    near_duplicate: float = Field(
        0.8, ge=0.5, le=1.0, description="Jaccard similarity of word 3-grams from which two texts are near-duplicates"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, values: Any) -> Any:
        """Give a custom corpus that stands alone its name."""
        custom = values.get("custom") if isinstance(values, Mapping) else None
        if isinstance(custom, UserCorpus) or (
            isinstance(custom, Mapping) and not all(isinstance(one, Mapping | UserCorpus) for one in custom.values())
        ):
            name = custom.name if isinstance(custom, UserCorpus) else custom.get("name")
            return {**values, "custom": {name if isinstance(name, str) else str(values.get("target")): custom}}
        return {**values, "custom": {}} if custom is None and isinstance(values, Mapping) else values

    @model_validator(mode="after")
    def _consistent(self) -> Corpora:
        if len(self.fractions) != 3 or abs(sum(self.fractions) - 1) > 1e-9 or min(self.fractions) <= 0:
            raise ValueError("corpora.fractions: must be three positive numbers that sum to 1")
        if self.target in self.also or len(set(self.also)) != len(self.also):
            raise ValueError("corpora.also: names a corpus twice, or the target again")
        for name, own in self.custom.items():
            if not re.fullmatch(NAME, name) or own.name not in (None, name):
                raise ValueError(f"corpora.custom.{name}: names are lower-case letters, digits, and - between them, and stand once")
            if name not in self.names:
                raise ValueError(f"corpora.custom.{name}: is neither corpora.target nor in corpora.also, so nothing would be done with it")
        return self

    @property
    def names(self) -> list[str]:
        """All corpora, the target first."""
        return [self.target, *self.also]


SeedSize = Annotated[int, BeforeValidator(lambda given: int(given) if isinstance(given, str) and given.isdecimal() else given)]
"""A seed size as a key: JSON, in which notebooks are given parameters, knows keys of text alone."""


class CellsOf(Section):
    """What differs for one corpus; None: as for all."""

    sizes: list[int] | None = Field(None, min_length=1)
    repeats: int | None = Field(None, ge=1, le=1000)
    repeats_at: dict[SeedSize, int] | None = None
    min_per_class: int | None = Field(None, ge=1)


class Cells(Section):
    """The design: corpus × seed size × repeat. Seeds are the few real rows that we pretend are all there is."""

    sizes: list[int] = Field(min_length=1, description="seed sizes n, ascending")
    repeats: int = Field(ge=1, le=1000, description="number of independent nested seed series")
    repeats_at: dict[SeedSize, int] = Field(default_factory=dict, description="seed size -> fewer repeats there: large seeds are dear")
    min_per_class: int = Field(2, ge=1, description="rows of each class that every seed holds at least")
    random_seed: int = Field(20251121, ge=0)
    per: dict[str, CellsOf] = Field(default_factory=dict, description="corpus -> what differs there")

    @model_validator(mode="after")
    def _sizes(self) -> Cells:
        for where, sizes in [("cells.sizes", self.sizes), *((f"cells.per.{name}.sizes", own.sizes) for name, own in self.per.items())]:
            if sizes is not None and (sorted(set(sizes)) != sizes or sizes[0] < 2):
                raise ValueError(f"{where}: must be ascending, distinct and at least 2")
        for where, name in [("cells", ""), *((f"cells.per.{name}", name) for name, own in self.per.items() if own.repeats_at is not None)]:
            for size, repeats in (self.per[name].repeats_at or {} if name else self.repeats_at).items():
                if size not in self.sizes_of(name) or not 1 <= repeats <= self.repeats_of(name):
                    raise ValueError(f"{where}.repeats_at.{size}: must be one of the sizes, with 1 to {self.repeats_of(name)} repeats")
        return self

    def sizes_of(self, corpus: str) -> list[int]:
        """Return the seed sizes of a corpus."""
        own = self.per.get(corpus)
        return list(own.sizes) if own is not None and own.sizes is not None else list(self.sizes)

    def repeats_of(self, corpus: str, size: int | None = None) -> int:
        """Return the number of seed series of a corpus, or of them that reach a size."""
        own = self.per.get(corpus)
        repeats = own.repeats if own is not None and own.repeats is not None else self.repeats
        fewer = (
            own.repeats_at if own is not None and own.repeats_at is not None else {} if own is not None and own.sizes else self.repeats_at
        )
        return repeats if size is None else min(repeats, fewer.get(size, repeats))

    def min_per_class_of(self, corpus: str) -> int:
        """Return how many rows of each class every seed of a corpus holds at least."""
        own = self.per.get(corpus)
        return own.min_per_class if own is not None and own.min_per_class is not None else self.min_per_class
