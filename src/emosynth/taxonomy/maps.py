"""Emotion taxonomies as data: their labels in words, and the maps between them."""

from __future__ import annotations

import difflib
import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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


def _scaled(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to sum to 1; rows of zeros stay."""
    sums = rows.sum(axis=1, keepdims=True)
    return np.where(sums > 0, rows / np.where(sums > 0, sums, 1), 0)


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
        The maps of the file by (source, target), with their reasons; see :meth:`find_map` for all others.
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

    def find_map(self, source: str, target: str) -> NDArray[np.float64] | None:
        """Return the (k_source, k_target) matrix of shares that moves labels of one taxonomy to another; None where no path leads there.

        A row sums to 1, or to 0 if its label has no counterpart. A taxonomy maps to itself by identity. Without a map in the file, the
        shortest path through its maps is composed; of several the one whose maps stand first. Shares that get lost on the way are made
        up by the label's other shares.

        Raises
        ------
        UserError
            If a name is unknown.
        """
        first, _ = self.get(source), self.get(target)
        path = self._path(source, target)
        if path is None:
            return None
        matrix = np.eye(len(first.labels))
        for step in itertools.pairwise(path):
            matrix = _scaled(matrix @ self._direct(*step))
        return matrix

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
        return _scaled(matrix)


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
