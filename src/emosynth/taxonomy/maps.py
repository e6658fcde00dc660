"""Emotion taxonomies as data: their labels in words, and the maps between them."""

from __future__ import annotations

import difflib
import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emosynth.errors import UserError
from emosynth.taxonomy.spec import MapSpec, TaxonomySpec, read_spec


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
        file = read_spec(path)
        taxonomies = {name: _built(name, spec) for name, spec in file.taxonomies.items()}
        return cls(path, taxonomies, {(spec.source, spec.target): spec for spec in file.maps})

    @property
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
        return self._composed(first, last, path)

    def find_map(self, source: str, target: str) -> NDArray[np.float64] | None:
        """Return the (k_source, k_target) matrix of :meth:`map`, None where no path leads from one to the other; names must be known."""
        first, last = self.get(source), self.get(target)
        path = self._path(source, target)
        return None if path is None else self._composed(first, last, path).matrix

    def _composed(self, first: Taxonomy, last: Taxonomy, path: tuple[str, ...]) -> LabelMap:
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
