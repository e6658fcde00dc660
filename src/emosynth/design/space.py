"""Label spaces: what a text can be labelled with, and how one space maps into another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from emosynth.corpora import Corpus
from emosynth.taxonomy import Taxonomies, Taxonomy, simplify

FloatArray = npt.NDArray[np.float64]

TARGET = "target"
"""Name of the space of the corpus at hand, as arms spell it."""


@dataclass(frozen=True)
class Space:
    """The labels that a text can have.

    Attributes
    ----------
    name
        Of the corpus or of the taxonomy.
    labels
        k labels, in their natural order: the columns of every matrix of this space.
    single
        Whether a text has exactly one.
    phrases
        Label -> what a text expresses, as a noun phrase for prompts.
    adjectives
        Label -> what follows *is*; the neutral label needs none.
    neutral
        The label of no emotion, if there is one.
    states
        Label -> what somebody *feels*, where that is another phrase than what a text expresses; None: nowhere.
    """

    name: str
    labels: tuple[str, ...]
    single: bool
    phrases: Mapping[str, str]
    adjectives: Mapping[str, str]
    neutral: str | None = None
    states: Mapping[str, str] | None = None

    def multi_hot(self, rows: Sequence[Sequence[str]]) -> FloatArray:
        """Return (n, k) ones where a row has a label.

        Raises
        ------
        KeyError
            For a label that the space lacks.
        """
        place = {label: column for column, label in enumerate(self.labels)}
        out = np.zeros((len(rows), len(self.labels)))
        for row, labels in enumerate(rows):
            out[row, [place[label] for label in labels]] = 1.0
        return out


def space_of_taxonomy(taxonomy: Taxonomy) -> Space:
    """Return a taxonomy as a space; a text may have several of its labels."""
    return Space(taxonomy.name, taxonomy.labels, False, taxonomy.phrases, taxonomy.adjectives, taxonomy.neutral)


def space_of_corpus(corpus: Corpus, taxonomies: Taxonomies) -> Space:
    """Return the space of a corpus; words for prompts come from the taxonomy that has its classes, else from its own labels."""
    known = _taxonomy_of(corpus.classes, taxonomies)
    phrases = dict(corpus.class_phrases)
    adjectives = {label: phrases[label] for label in corpus.classes}
    neutral, states = None, None
    if known is not None:
        states = {label: known.phrases.get(label, phrases[label]) for label in corpus.classes}
        adjectives = {label: known.adjectives.get(label, phrases[label]) for label in corpus.classes}
        neutral = known.neutral if known.neutral in corpus.classes else None
    return Space(corpus.name, tuple(corpus.classes), corpus.task == "single", phrases, adjectives, neutral, states)


def _taxonomy_of(classes: Sequence[str], taxonomies: Taxonomies) -> Taxonomy | None:
    return next((taxonomies.get(name) for name in taxonomies.names if set(taxonomies.get(name).labels) == set(classes)), None)


@dataclass(frozen=True)
class SpaceMap:
    """Where the labels of one space go in another.

    Attributes
    ----------
    matrix
        (k_source, k_target) shares; a row of zeros: the source label has no counterpart.
    how
        ``same``, ``published`` (a map of data/taxonomies.yaml) or ``words`` (labels and their synonyms that are spelt alike).
    """

    source: Space
    target: Space
    matrix: FloatArray
    how: str

    @property
    def unmapped_target(self) -> tuple[str, ...]:
        """Target labels that no source label goes to."""
        return tuple(label for label, mass in zip(self.target.labels, self.matrix.sum(axis=0), strict=True) if mass == 0)

    def project(self, probabilities: npt.NDArray[Any]) -> FloatArray:
        """Return (n, k_target) sums of (n, k_source) probabilities, at most 1."""
        return np.clip(np.asarray(probabilities, dtype=np.float64) @ self.matrix, 0.0, 1.0)

    def head(self) -> FloatArray:
        """Return the (k_source, k_target) matrix that turns a source head into the target's.

        The map's columns, each scaled to sum to 1: a target label starts at the *mean* logit of the labels that it takes in. Their
        sum, which the map itself would give, is far from any logit of the target's once there are several.
        """
        sums = self.matrix.sum(axis=0)
        return np.asarray(np.divide(self.matrix, sums, out=np.zeros_like(self.matrix), where=sums > 0))


def space_map(source: Space, target: Space, taxonomies: Taxonomies) -> SpaceMap:
    """Return the map between two spaces: published where there is one, else by words.

    A corpus without a taxonomy gets its map from labels, and synonyms of the source's, that are spelt alike; what has no
    counterpart is left unmapped, and a learner then knows nothing of it beforehand.
    """
    if source.labels == target.labels:
        return SpaceMap(source, target, np.eye(len(source.labels)), "same")
    known = {name: _taxonomy_of(space.labels, taxonomies) for name, space in (("source", source), ("target", target))}
    first, second = known["source"], known["target"]
    if first is not None and second is not None:
        if first.name == second.name:  # the same labels in another order
            return SpaceMap(source, target, _by_name(source, target, {}), "same")
        matrix = taxonomies.find_map(first.name, second.name)
        if matrix is not None:
            rows = [first.labels.index(label) for label in source.labels]
            columns = [second.labels.index(label) for label in target.labels]
            return SpaceMap(source, target, np.asarray(matrix, dtype=np.float64)[np.ix_(rows, columns)], "published")
    synonyms = {} if first is None else {label: (*first.own_words(label), *first.synonyms[label]) for label in first.labels}
    return SpaceMap(source, target, _by_name(source, target, synonyms), "words")


def _by_name(source: Space, target: Space, synonyms: Mapping[str, Sequence[str]]) -> FloatArray:
    matrix = np.zeros((len(source.labels), len(target.labels)))
    for row, label in enumerate(source.labels):
        words = {simplify(label), *(simplify(word) for word in synonyms.get(label, ()))}
        for column, other in enumerate(target.labels):
            if simplify(other) in words:
                matrix[row, column] = 1.0
    sums = matrix.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0))
