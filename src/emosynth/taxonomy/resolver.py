"""What to do with labels outside a taxonomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emosynth.taxonomy.maps import Taxonomy
from emosynth.taxonomy.words import bases, simplify

How = Literal["label", "synonym", "neighbour", "rejected", "empty"]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts -> L2-normalised vectors, shape (texts, dimensions)."""

_Found = tuple[str | None, float, How]
_NEGATIONS = frozenset({"not", "no", "never", "without", "cannot"})


@dataclass(frozen=True)
class Resolution:
    """Where a label outside the taxonomy went.

    Attributes
    ----------
    raw
        As it came.
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
                    for base in bases(word):
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
        return [Resolution(raw, *found[key]) for raw, key in zip(raw_labels, simple, strict=True)]

    def _by_words(self, key: str) -> _Found | None:
        if not key:
            return None, 0.0, "empty"
        if key in self._exact:
            label, how = self._exact[key]
            return label, 1.0, how
        hits = set().union(*(self._inflected.get(base, set()) for base in bases(key)))
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
