"""Emotion taxonomies as data: their labels in words, the maps between them, and what to do with labels outside them.

The data and the source of every map are in ``data/taxonomies.yaml``.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emosynth import text
from emosynth.errors import UserError

How = Literal["label", "synonym", "neighbour", "rejected", "empty"]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> L2-normalised vectors, shape (texts, dimensions)."""

_Found = tuple[str | None, float, How]
_NOT_WORD = re.compile(r"[^\w']|_|(?<!\w)'|'(?!\w)")
_ARTICLES = frozenset({"a", "an", "the"})
_NEGATIONS = frozenset({"not", "no", "never", "without", "cannot"})


# --- the file ---------------------------------------------------------------------------------------


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


class _File(_Model):
    taxonomies: dict[str, TaxonomySpec] = Field(min_length=1)
    maps: list[MapSpec] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> _File:
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


class _Loader(yaml.SafeLoader):
    """Safe loader that takes a repeated key for the slip that it is; YAML's own would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # the safe constructor has its own error for it
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key or label {key_node.value!r}", key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


# --- taxonomies and maps ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Taxonomy:
    """A set of labels and how they are put into words.

    Attributes
    ----------
    name, title, citation, source
        Name in the file; title; BibTeX; where the label set comes from.
    labels
        In order.
    neutral
        The label of text without emotion, if there is one.
    phrases, adjectives, synonyms
        By label: noun phrase, adjective, words outside the taxonomy that mean the label.
    """

    name: str
    title: str
    citation: str
    source: str
    labels: tuple[str, ...]
    neutral: str | None
    phrases: Mapping[str, str]
    adjectives: Mapping[str, str]
    synonyms: Mapping[str, tuple[str, ...]]

    def own_words(self, label: str) -> tuple[str, ...]:
        """Return what stands for the label itself: label, adjective, phrase."""
        return label, self.adjectives[label], self.phrases[label]


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Where the labels of one taxonomy go in another.

    Attributes
    ----------
    source, target
        The taxonomies.
    matrix
        float64, shape (source labels, target labels), read-only: shares, non-negative; a row sums to 1, or to 0 if its label
        has no counterpart.
    path
        Names of the taxonomies passed through, both ends included; longer than two for a composed map.

    Raises
    ------
    ValueError
        If the matrix is not such a matrix.
    """

    source: Taxonomy
    target: Taxonomy
    matrix: NDArray[np.float64]
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        shape = len(self.source.labels), len(self.target.labels)
        sums = matrix.sum(axis=1) if matrix.shape == shape else np.empty(0)
        if matrix.shape != shape or (matrix < 0).any() or not (np.isclose(sums, 1) | (sums == 0)).all():
            raise ValueError(f"a map needs a matrix of shape {shape} of shares whose rows sum to 1 or 0")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @property
    def unmapped(self) -> tuple[str, ...]:
        """Source labels without a counterpart."""
        return tuple(label for label, row in zip(self.source.labels, self.matrix, strict=True) if not row.any())

    def project(self, probabilities: NDArray[Any], *, renormalise: bool = False) -> NDArray[np.float64]:
        """Move probabilities from the source's labels to the target's.

        Parameters
        ----------
        probabilities
            Shape (n, source labels), in the order of the source's labels.
        renormalise
            Scale each row to sum to 1. A row without any mapped mass says nothing about the target, and becomes uniform.

        Returns
        -------
        ndarray
            float64, shape (n, target labels). Without ``renormalise`` a row sums to its mapped mass: mass on unmapped labels is lost.
            Scores of independent labels (multi-label) add up likewise and may exceed 1.

        Raises
        ------
        ValueError
            If the shape is wrong.
        """
        given = np.asarray(probabilities, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.source.labels):
            raise ValueError(f"probabilities must have shape (n, {len(self.source.labels)}), not {given.shape}")
        projected: NDArray[np.float64] = given @ self.matrix
        return _scaled(projected, 1 / len(self.target.labels)) if renormalise else projected

    def labels(self, labels: Iterable[str]) -> list[str]:
        """Return the target labels that have a share in any of the source labels, in the target's order.

        Raises
        ------
        UserError
            If a label is not one of the source's.
        """
        rows = [_index(self.source, label) for label in labels]
        reached = self.matrix[rows].sum(axis=0) > 0
        return [label for label, there in zip(self.target.labels, reached, strict=True) if there]


def _scaled(rows: NDArray[np.float64], otherwise: float) -> NDArray[np.float64]:
    """Scale rows to sum to 1; rows of zeros are filled."""
    sums = rows.sum(axis=1, keepdims=True)
    return np.where(sums > 0, rows / np.where(sums > 0, sums, 1), otherwise)


def _index(taxonomy: Taxonomy, label: str) -> int:
    if label not in taxonomy.labels:
        raise UserError(
            f"The taxonomy {taxonomy.name} has no label {label!r}.",
            where="data/taxonomies.yaml",
            remedy=f"Use one of {', '.join(taxonomy.labels)}.",
        )
    return taxonomy.labels.index(label)


@dataclass(frozen=True)
class Taxonomies:
    """All taxonomies and the maps between them.

    Attributes
    ----------
    path
        The file read.
    taxonomies
        By name.
    maps
        The maps of the file by (source, target), with their reasons; see :meth:`map` for all others.
    """

    path: Path
    taxonomies: Mapping[str, Taxonomy]
    maps: Mapping[tuple[str, str], MapSpec]

    @classmethod
    def load(cls, path: Path) -> Taxonomies:
        """Read and check ``data/taxonomies.yaml``.

        Raises
        ------
        UserError
            If the file is missing, is no YAML, has a key or label twice or an unknown key; if within a taxonomy two labels share an
            adjective, phrase or synonym, or a synonym is itself a label, adjective or phrase; if a map names an unknown
            taxonomy or label or says nothing about a source label.
        """
        where = str(path)
        try:
            file = _File.model_validate(yaml.load(path.read_text(encoding="utf-8"), _Loader))
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
                "The file of taxonomies is not valid:\n    " + "\n    ".join(lines),
                where=where,
                remedy="Correct the keys named; src/emosynth/taxonomy.py declares each.",
            ) from None
        taxonomies = {name: _built(name, spec) for name, spec in file.taxonomies.items()}
        return cls(path, taxonomies, {(spec.source, spec.target): spec for spec in file.maps})

    def names(self) -> tuple[str, ...]:
        """Names of the taxonomies, in the order of the file."""
        return tuple(self.taxonomies)

    def get(self, name: str) -> Taxonomy:
        """Return a taxonomy; an unknown name is a UserError that names the nearest known one."""
        if name not in self.taxonomies:
            close = difflib.get_close_matches(name, self.taxonomies, n=1, cutoff=0.4)
            hint = f"; did you mean {close[0]}?" if close else "."
            remedy = f"Use one of {', '.join(self.taxonomies)}, or add a taxonomy."
            raise UserError(f"There is no taxonomy {name!r}{hint}", where=str(self.path), remedy=remedy)
        return self.taxonomies[name]

    def of_classes(self, classes: Iterable[str]) -> str:
        """Return the name of the taxonomy with exactly these labels, in whatever order.

        Raises
        ------
        UserError
            If there is none.
        """
        wanted = set(classes)
        for name, taxonomy in self.taxonomies.items():
            if set(taxonomy.labels) == wanted:
                return name
        raise UserError(
            f"No taxonomy has exactly the labels {', '.join(sorted(wanted))}.",
            where=str(self.path),
            remedy="Add a taxonomy with these labels to data/taxonomies.yaml.",
        )

    def map(self, source: str, target: str) -> LabelMap:
        """Return the map from one taxonomy to another.

        A taxonomy maps to itself by identity. Without a map in the file, the shortest path through its maps is composed; of several
        the one whose maps stand first. Shares that get lost on the way are made up by the label's other shares, so that rows
        of a composed map sum to 1 or 0, too.

        Raises
        ------
        UserError
            If a name is unknown, or no path leads from one to the other.
        """
        first, last = self.get(source), self.get(target)
        path = self._path(source, target)
        if path is None:
            there = ", ".join(f"{a} -> {b}" for a, b in self.maps) or "none"
            raise UserError(
                f"No map leads from {source} to {target}. Maps there are: {there}.",
                where=str(self.path),
                remedy=f"Add a map from {source} to {target} to data/taxonomies.yaml, or choose another target.",
            )
        matrix = np.eye(len(first.labels))
        for step in itertools.pairwise(path):
            matrix = _scaled(matrix @ self._direct(*step), 0)
        return LabelMap(first, last, matrix, path)

    def _path(self, source: str, target: str) -> tuple[str, ...] | None:
        """Breadth-first search over the maps, in the order of the file."""
        reached = {source}
        queue: deque[tuple[str, ...]] = deque([(source,)])
        while queue:
            path = queue.popleft()
            if path[-1] == target:
                return path
            for start, end in self.maps:
                if start == path[-1] and end not in reached:
                    reached.add(end)
                    queue.append((*path, end))
        return None

    def _direct(self, source: str, target: str) -> NDArray[np.float64]:
        rows, columns = self.taxonomies[source].labels, self.taxonomies[target].labels
        matrix = np.zeros((len(rows), len(columns)))
        for label, members in self.maps[source, target].groups.items():
            matrix[[rows.index(member) for member in members], columns.index(label)] = 1
        return _scaled(matrix, 0)


def _built(name: str, spec: TaxonomySpec) -> Taxonomy:
    return Taxonomy(
        name,
        spec.title,
        spec.citation,
        spec.source,
        tuple(spec.labels),
        spec.neutral,
        {label: word.phrase for label, word in spec.labels.items()},
        {label: word.adjective for label, word in spec.labels.items()},
        {label: tuple(word.synonyms) for label, word in spec.labels.items()},
    )


# --- labels outside the taxonomy ----------------------------------------------------------------------


def simplify(raw: str) -> str:
    """Return a label in lower case, without punctuation and articles, words parted by one space.

    Raises
    ------
    UserError
        If it is not a string.
    """
    bare = _NOT_WORD.sub(" ", text.normalise(raw).lower())
    return " ".join(word for word in bare.split() if word not in _ARTICLES)


def _bases(word: str) -> Iterator[str]:
    """Yield a word (or words) and what it may be an inflection of; made-up forms among them do no harm, since they match nothing."""
    yield word
    for suffix, shortest in (("ness", 3), ("ly", 3), ("s", 3), ("es", 4), ("ed", 4), ("ing", 4)):
        if not word.endswith(suffix) or (suffix == "s" and word.endswith(("ss", "us"))):
            continue
        stem = word.removesuffix(suffix)
        forms = [stem]
        if stem.endswith("i"):
            forms.append(stem[:-1] + "y")
        if suffix in ("ed", "ing"):
            forms.append(stem + "e")
            if len(stem) > 2 and stem[-1] == stem[-2]:
                forms.append(stem[:-1])
        yield from (form for form in forms if len(form) >= shortest)


@dataclass(frozen=True)
class Resolution:
    """Where a label outside the taxonomy went.

    Attributes
    ----------
    raw, normalised
        As it came; in lower case without punctuation and articles.
    label
        Label of the taxonomy, or None.
    similarity
        1 for a match in words, 0 for an empty label, else the cosine to the nearest label (also if rejected; 0 if none was sought).
    how
        ``label``: the label's own words (label, adjective, phrase) or an inflection of them; ``synonym``: likewise one of its synonyms;
        ``neighbour``: nearest label by embedding; ``rejected``: no label is near enough, or the label is a negation;
        ``empty``: it has no word.
    """

    raw: str
    normalised: str
    label: str | None
    similarity: float
    how: How


class Resolver:
    """Maps free labels to a taxonomy: by words where they match, else by embedding (the out-of-taxonomy labels of Shvets 2025).

    A word that matches two labels through inflection is left to the embedding. A negation (*not happy*) is rejected, since embeddings
    put it beside what it denies.

    Parameters
    ----------
    taxonomy
        The labels to map to.
    embed
        Texts -> float32, shape (texts, dimensions), L2-normalised.
    similarity
        Cosine from which the nearest label is taken. A label is as near as the nearest of its words.
    """

    def __init__(self, taxonomy: Taxonomy, embed: Embed, similarity: float) -> None:
        self.taxonomy, self.embed, self.similarity = taxonomy, embed, similarity
        self._exact: dict[str, tuple[str, How]] = {}
        self._inflected: dict[str, set[tuple[str, How]]] = {}
        for label in taxonomy.labels:
            groups: dict[How, tuple[str, ...]] = {"label": taxonomy.own_words(label), "synonym": taxonomy.synonyms[label]}
            for how, words in groups.items():
                for word in map(simplify, words):
                    self._exact[word] = label, how
                    for base in _bases(word):
                        self._inflected.setdefault(base, set()).add((label, how))
        self._vectors: NDArray[np.float32] | None = None

    def resolve(self, raw_labels: Sequence[str]) -> list[Resolution]:
        """Return where each label goes, in their order. Each is taken as one label: split lists (*anger, fear*) first.

        Raises
        ------
        UserError
            If a label is not a string.
        """
        simple = [simplify(raw) for raw in raw_labels]
        found: dict[str, _Found] = {}
        unknown = []
        for key in dict.fromkeys(simple):
            result = self._by_words(key)
            if result is None:
                unknown.append(key)
            else:
                found[key] = result
        found.update(zip(unknown, self._by_neighbour(unknown), strict=True))
        return [Resolution(raw, key, *found[key]) for raw, key in zip(raw_labels, simple, strict=True)]

    def _by_words(self, key: str) -> _Found | None:
        if not key:
            return None, 0.0, "empty"
        if key in self._exact:
            label, how = self._exact[key]
            return label, 1.0, how
        hits = set().union(*(self._inflected.get(base, set()) for base in _bases(key)))
        if len({label for label, _ in hits}) == 1:
            label, how = min(hits)
            return label, 1.0, how
        if any(word in _NEGATIONS or word.endswith("n't") for word in key.split()):
            return None, 0.0, "rejected"
        return None

    def _by_neighbour(self, keys: list[str]) -> list[_Found]:
        if not keys:
            return []
        if self._vectors is None:
            self._vectors = self.embed(list(self._exact))
        # The words stand label by label, so that each label's are one run.
        owners, labels = [label for label, _ in self._exact.values()], self.taxonomy.labels
        nearness = np.maximum.reduceat(self.embed(keys) @ self._vectors.T, [owners.index(label) for label in labels], axis=1)
        results: list[_Found] = []
        for row in nearness:
            best = int(row.argmax())
            near = bool(row[best] >= self.similarity)
            results.append((labels[best] if near else None, float(row[best]), "neighbour" if near else "rejected"))
        return results


def confusion(resolutions: Iterable[Resolution]) -> pd.DataFrame:
    """Return what came and where it went: raw, label (missing if none), how, count, similarity (mean); most frequent first, then by raw."""
    groups: dict[tuple[str, str | None, How], list[float]] = {}
    for item in resolutions:
        groups.setdefault((item.raw, item.label, item.how), []).append(item.similarity)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0][0]))
    rows = [(raw, label, how, len(values), sum(values) / len(values)) for (raw, label, how), values in ordered]
    return pd.DataFrame(rows, columns=["raw", "label", "how", "count", "similarity"])
