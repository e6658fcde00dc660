"""Places of candidates: what is asked for, for which seed, by whom; and how many are needed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, Protocol

import numpy as np

from emosynth.design.arms import Origin
from emosynth.design.cells import NO_SEED, Cell, stable_seed
from emosynth.design.space import TARGET, Space, space_of_taxonomy
from emosynth.errors import UserError
from emosynth.guides.base import Draw, Shown
from emosynth.models.lm import Request
from emosynth.params import Params
from emosynth.paths import repro
from emosynth.taxonomy import Taxonomies
from emosynth.writers import Seeds, Use

_POSITIVE = "admiration amusement approval caring desire excitement gratitude joy love optimism pride relief"
_NEGATIVE = "anger annoyance disappointment disapproval disgust embarrassment fear grief nervousness remorse sadness"
SENTIMENT = {**dict.fromkeys(_POSITIVE.split(), "positive"), **dict.fromkeys(_NEGATIVE.split(), "negative")}
"""GoEmotions' groups (Demszky et al. 2020, arXiv:2005.00547, section 3); the ambiguous emotions and neutral are in neither."""


@dataclass(frozen=True)
class Slot:
    """Where a candidate goes.

    Attributes
    ----------
    cell
        Corpus (empty: owes nothing to one), repeat, and size (`NO_SEED`: owes nothing to a seed).
    index
        From 0 within origin, cell and first label; of a narrative's examples, from 0 within origin and cell.
    labels
        What the text is to express: one or two. The quota of the first is filled.
    """

    origin: Origin
    writer: str
    cell: Cell
    index: int
    labels: tuple[str, ...]

    def candidate_id(self, kind: str = "") -> str:
        """Readable and unique within a profile."""
        cell = self.cell
        name = f"{self.origin.name}/{cell.corpus}/{cell.size}/{cell.repeat}/{self.labels[0]}/{self.index:05d}"
        return f"{name}/{kind}" if kind else name

    def columns(self, kind: str = "") -> dict[str, Any]:
        """Return the columns of the candidates table that are known before anything is written."""
        return {
            "candidate_id": self.candidate_id(kind), "origin": self.origin.name, "writer": self.writer, "space": self.origin.space,
            "corpus": self.cell.corpus, "size": self.cell.size, "repeat": self.cell.repeat, "index": self.index, "label": self.labels[0],
            "labels": list(self.labels), "kind": kind,
        }  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """A request, and how the text that it continues begins: that beginning is part of the text."""

    request: Request
    opening: str = ""


@dataclass(frozen=True)
class Written:
    """One text, with how it came about.

    ``complete``: its end was reached, by its own mark or because the model ended it; ``error``: why there is no text.
    """

    text: str
    complete: bool
    finish: str
    request: Request
    prompt_tokens: int
    new_tokens: int
    error: str = ""

    def columns(self) -> dict[str, Any]:
        """Return the columns of the candidates table that a text fills."""
        return {
            "text": self.text, "prompt": self.request.prompt, "row_seed": self.request.row_seed, "finish": self.finish, "complete": self.complete,
            "prompt_tokens": self.prompt_tokens, "new_tokens": self.new_tokens, "error": self.error,
        }  # fmt: skip


class Item(Protocol):
    """What one slot's model calls are: texts that are written one after the other, each perhaps from those before it."""

    @property
    def slot(self) -> Slot:
        """Where it goes."""
        ...

    @property
    def steps(self) -> tuple[str, ...]:
        """Names of the texts, in the order in which they are written."""
        ...

    @property
    def exposed(self) -> str:
        """What of the seed stands in its prompts."""
        ...

    def ask(self, step: str, before: Mapping[str, Written]) -> Ask:
        """Return the request of one text."""
        ...

    def clean(self, step: str, text: str, opening: str) -> tuple[str, bool]:
        """Return the text proper of a completion, and whether its end was reached."""
        ...

    def rows(self, written: Mapping[str, Written]) -> list[dict[str, Any]]:
        """Return the candidates that the texts make, without ``generator``."""
        ...


# --- how many -------------------------------------------------------------------------------------------


def cell_of(origin: Origin, cell: Cell) -> Cell:
    """Return where the candidates of an origin lie that a seed uses: with the seed, with its repeat, or with no corpus at all."""
    return Cell(cell.corpus if origin.space == TARGET else "", cell.repeat, cell.size if origin.needs_seed else NO_SEED)


def needs_of(params: Params, uses: Iterable[Use]) -> dict[Cell, int]:
    """Return how many candidates of one origin are needed in each place: of a place that several arms or seeds use, the most.

    Repeat by repeat, sizes ascending: a text that sizes share is written for the smallest.
    """
    most: dict[Cell, int] = {}
    for use in uses:
        place = cell_of(use.origin, use.cell)
        most[place] = max(most.get(place, 0), use.candidates)
    names = ["", *params.corpora.names]
    return {place: most[place] for place in sorted(most, key=lambda cell: (names.index(cell.corpus), cell.repeat, cell.size))}


def space_asked(origin: Origin, corpus_space: Space | None, taxonomies: Taxonomies) -> Space:
    """Return the space in which an origin's labels are asked for: that of the corpus, or a taxonomy."""
    if origin.space != TARGET:
        return space_of_taxonomy(taxonomies.get(origin.space))
    if corpus_space is None:
        raise ValueError(f"{origin.name} asks for the labels of a corpus, and none was given")
    return corpus_space


# --- who and which labels -------------------------------------------------------------------------------


def share_writers(weights: Sequence[tuple[str, float]], total: int) -> list[str]:
    """Return who writes each text: always the writer furthest behind its share, so shares hold at every length."""
    whole = sum(weight for _, weight in weights)
    written: Counter[str] = Counter()
    out = []
    for index in range(total):
        behind = {name: weight / whole * (index + 1) - written[name] for name, weight in weights}
        name = max(behind, key=lambda key: round(behind[key], 9))  # rounded, so that ties go to the first on every machine
        written[name] += 1
        out.append(name)
    return out


def cycle(size: int, seed: int, name: str) -> Iterator[int]:
    """Yield all of 0 … size - 1 in drawn order, again and again, each time in another order; nothing if size is 0."""
    turns = count() if size else iter(())
    return chain.from_iterable(np.random.default_rng(stable_seed(name, seed, turn)).permutation(size).tolist() for turn in turns)


def with_seconds(
    firsts: Iterable[str], labels: Sequence[str], neutral: str | None, share: float, seed: int, groups: Mapping[str, str] = SENTIMENT
) -> list[tuple[str, ...]]:
    """Return the one or two labels of each text, given the first.

    A second one is the compatible label that was second least often so far. ``share`` of the texts have two, evenly spread, as far as
    there are compatible ones.

    Parameters
    ----------
    neutral
        The label of no emotion; it is never one of two. None: there is none.
    groups
        Group of a label. Two labels go together unless their groups differ; a label without a group goes with every other.
    """
    out: list[tuple[str, ...]] = []
    seconds: Counter[str] = Counter()
    paired = 0
    for index, first in enumerate(firsts):
        if paired + 1 > (index + 1) * share + 1e-9 or first == neutral:
            out.append((first,))
            continue
        fitting = [label for label in labels if label not in (first, neutral) and _compatible(first, label, groups)]
        if not fitting:
            out.append((first,))
            continue
        order = np.random.default_rng(stable_seed("second", seed, index)).permutation(len(fitting))
        second = min((fitting[place] for place in order), key=lambda label: seconds[label])
        seconds[second] += 1
        paired += 1
        out.append((first, second))
    return out


def _compatible(first: str, second: str, groups: Mapping[str, str]) -> bool:
    return first not in groups or second not in groups or groups[first] == groups[second]


# --- what is shown --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Aid:
    """What a prompt shows besides the class, with the exemplars' texts."""

    tokens: tuple[str, ...] = ()
    exemplars: tuple[str, ...] = ()
    bias: tuple[tuple[str, float], ...] = ()


class Shower:
    """Draws what the prompts of an origin show in one cell."""

    def __init__(self, origin: Origin, cell: Cell, space: Space, seeds: Seeds) -> None:
        self.origin, self.cell, self.space = origin, cell, space
        self.guides = [guide for guide in origin.guides if not guide.narrative]
        reads = any(guide.needs_seed for guide in self.guides)
        self._materials = seeds.materials(cell) if reads else None
        self._texts = dict(zip(seeds.seed(cell).ids, seeds.seed(cell).texts, strict=True)) if reads else {}
        self.draws = seeds.params.generation.prompts_per_class if any(guide.drawn for guide in self.guides) else 1
        self._made: dict[tuple[tuple[str, ...], int], Aid] = {}

    def aid(self, labels: tuple[str, ...], turn: int) -> Aid:
        """Return what the ``turn``-th text with these labels is shown.

        Raises
        ------
        UserError
            If an exemplar is not a row of the seed.
        """
        key = (labels, turn % self.draws)
        if key not in self._made:
            self._made[key] = self._draw(*key)
        return self._made[key]

    def _draw(self, labels: tuple[str, ...], turn: int) -> Aid:
        # Neither corpus nor writer is part of the seed: writers are compared on the same prompts.
        rng = np.random.default_rng(stable_seed("prompt", self.origin.salt, self.cell.size, self.cell.repeat, "+".join(labels), turn))
        shown = Shown()
        for guide in self.guides:
            shown |= guide.show(Draw(labels, self.space, self._materials, rng))
        missing = [row for row in shown.exemplars if row not in self._texts]
        if missing:
            raise UserError(
                f"Exemplar {missing[0]} of class {labels[0]} is not a row of the seed.",
                where=f"materials of {self.cell}",
                remedy=f"Run: {repro('02_shap', again=True)}; its materials do not belong to these seeds.",
            )
        return Aid(shown.tokens, tuple(self._texts[row] for row in shown.exemplars), shown.bias)


def examples_needed(candidates: int, kinds: int) -> int:
    """Return of how many examples a number of candidates is made, each giving one of every kind."""
    return math.ceil(candidates / kinds)
