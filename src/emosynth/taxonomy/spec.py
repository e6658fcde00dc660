"""The file of taxonomies: its types and checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emosynth.errors import UserError
from emosynth.params.base import load_yaml
from emosynth.taxonomy.words import simplify


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Word(_Model):
    """How one label is put into words."""

    phrase: str = Field(min_length=1, description='noun phrase: "someone feels {phrase}"')
    adjective: str = Field(min_length=1, description='"The speaker feels {adjective}"')
    synonyms: list[str] = Field(default_factory=list, description="words outside the taxonomy that mean the label")


class TaxonomySpec(_Model):
    """A taxonomy as the file has it."""

    title: str
    citation: str = Field(description="BibTeX")
    source: str = Field(description="where the label set comes from")
    neutral: str | None = Field(description="label of text without emotion, if there is one")
    labels: dict[str, Word] = Field(min_length=2, description="in order")

    @model_validator(mode="after")
    def _distinct(self) -> TaxonomySpec:
        if self.neutral is not None and self.neutral not in self.labels:
            raise ValueError(f"neutral: {self.neutral} is not one of the labels")
        owners: dict[str, tuple[str, str]] = {}
        for what in ("label", "adjective", "phrase", "synonym"):
            for label, word in self.labels.items():
                for said in _said(label, word, what):
                    key = simplify(said)
                    if not key:
                        raise ValueError(f"{label}: the {what} {said!r} holds no word")
                    owner, kind = owners.setdefault(key, (label, what))
                    if owner != label or (what == "synonym" and kind != what):
                        raise ValueError(f"{label}: the {what} {said!r} is already the {kind} of {owner}")
                if what == "synonym" and len({simplify(said) for said in word.synonyms}) < len(word.synonyms):
                    raise ValueError(f"{label}: a synonym is listed twice")
        return self


class MapSpec(_Model):
    """A map as the file has it."""

    source: str
    target: str
    why: str = Field(min_length=1, description="who published it, and what is a judgement")
    groups: dict[str, list[str]] = Field(description="target label <- source labels; a source label in several groups is shared equally")
    unmapped: list[str] = Field(default_factory=list, description="source labels without a counterpart")


class File(_Model):
    """The whole file."""

    taxonomies: dict[str, TaxonomySpec] = Field(min_length=1)
    maps: list[MapSpec] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> File:
        sets: dict[frozenset[str], str] = {}
        for name, taxonomy in self.taxonomies.items():
            twin = sets.setdefault(frozenset(taxonomy.labels), name)
            if twin != name:
                raise ValueError(f"taxonomies.{name}: has the same labels as {twin}")
        pairs = Counter((spec.source, spec.target) for spec in self.maps)
        for spec in self.maps:
            key = f"the map {spec.source} -> {spec.target}"
            if pairs[spec.source, spec.target] > 1 or spec.source == spec.target:
                raise ValueError(f"{key} is given twice, or maps a taxonomy to itself")
            for name in (spec.source, spec.target):
                if name not in self.taxonomies:
                    raise ValueError(f"{key}: there is no taxonomy {name}")
            _check_labels(key, spec, self.taxonomies[spec.source].labels, self.taxonomies[spec.target].labels)
        return self


def _said(label: str, word: Word, what: str) -> list[str]:
    return {"label": [label], "adjective": [word.adjective], "phrase": [word.phrase], "synonym": word.synonyms}[what]


def _check_labels(key: str, spec: MapSpec, sources: Mapping[str, Word], targets: Mapping[str, Word]) -> None:
    for target, members in spec.groups.items():
        if target not in targets:
            raise ValueError(f"{key}: {spec.target} has no label {target}")
        if len(set(members)) < len(members):
            raise ValueError(f"{key}: {target} names a label twice")
    grouped = {label for members in spec.groups.values() for label in members}
    for label in [*sorted(grouped), *spec.unmapped]:
        if label not in sources:
            raise ValueError(f"{key}: {spec.source} has no label {label}")
    both, neither = grouped & set(spec.unmapped), set(sources) - grouped - set(spec.unmapped)
    if both or neither:
        raise ValueError(f"{key}: {min(both | neither)} must be either in a group or unmapped")


def read_spec(path: Path) -> File:
    """Read and check a file of taxonomies; see `emosynth.taxonomy.Taxonomies.load` for what is an error."""
    where = str(path)
    try:
        return File.model_validate(load_yaml(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError("There is no such file of taxonomies.", where=where, remedy="Restore data/taxonomies.yaml.") from None
    except UnicodeDecodeError as error:
        what = f"The file of taxonomies is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}."
        raise UserError(what, where=where, remedy="Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        what = f"The file of taxonomies is not valid YAML: {error}"
        raise UserError(what, where=where, remedy="Mend the line named above.") from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc'])) or '(whole file)'}: {item['msg']}" for item in error.errors()]
        raise UserError(
            "The file of taxonomies is not valid:",
            lines=lines,
            where=where,
            remedy="Correct the keys named; src/emosynth/taxonomy/spec.py declares each.",
        ) from None
