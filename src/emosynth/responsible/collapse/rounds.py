"""Rounds of tuning, writing and checking. A round is what steps 04 to 06 do on a made-up seed: its rows are handed to them as a corpus of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.design.arms import ResolvedArm, cells_of_arm, oversample_of, own_rows, resolve_arm, writer_spec
from emosynth.design.cells import Cell
from emosynth.design.space import Space
from emosynth.generation.from_class import plan_class
from emosynth.generation.read import COLUMNS as WRITTEN
from emosynth.generation.write import write_all
from emosynth.params import Arm, Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.seeding.real import RealText
from emosynth.seeding.seeds import Seed, interleave, seed_rows
from emosynth.store import RowStore
from emosynth.trials.budget import Ask, choose
from emosynth.trials.gate import repeating
from emosynth.trials.sources import Sources
from emosynth.verification.build import judged
from emosynth.verification.judge import OpenJudge
from emosynth.writers.examples import examples_of
from emosynth.writers.opening import generator_of
from emosynth.writers.seeds import Seeds

if TYPE_CHECKING:
    from emosynth.models.lm import LanguageModel
    from emosynth.models.lm.tune import Example

REPLACED, KEPT = "replaced", "kept"
VARIANTS = (REPLACED, KEPT)
"""What a round's seed is: the accepted text of the round before alone; or the real seed with the accepted text of all rounds before."""
_STRIDE = 1000
"""More than a design has repeats: every round after the first draws anew."""

Tune = Callable[[tuple[list["Example"], list["Example"]], Cell, str], "LanguageModel"]
"""Returns the writer tuned on rows (to learn from, held out) of a seed; the text names it."""


@dataclass(frozen=True)
class Round:
    """One round of one seed; round 0 is the real seed.

    Attributes
    ----------
    rows
        id, text, label, labels: accepted text, as many rows as the seed at most, classes in equal shares.
    sound
        Whether there is enough of every class: else nothing is measured, and what has no other rows ends here.
    """

    repeat: int
    variant: str
    number: int
    rows: pd.DataFrame
    written: int = 0
    accepted: int = 0
    sound: bool = True

    @property
    def texts(self) -> list[str]:
        """Texts of the rows."""
        return [str(text) for text in self.rows["text"]]


def rounds_on(params: Params) -> tuple[ResolvedArm, list[Cell]]:
    """Return the arm that goes round and the seeds that it starts from, as ``responsible.collapse`` names them."""
    given = params.responsible.collapse
    arm = resolve_arm(params, str(given.arm))
    cells = [
        cell for cell in cells_of_arm(params, arm) if given.corpus in (None, cell.corpus) and given.size in (None, cell.size)
    ]  # the design is checked: there is one
    size = max(cell.size for cell in cells if cell.corpus == cells[0].corpus)
    return arm, [cell for cell in cells if (cell.corpus, cell.size) == (cells[0].corpus, size)][: given.repeats]


def run_rounds(sources: Sources, catalog: Catalog, paths: Paths, tune: Tune | None = None) -> list[Round]:
    """Return the rounds of all seeds, from 0, variant by variant; `VARIANTS` share rounds 0 and 1. ``tune``: None: as the parameters say."""
    arm, cells = rounds_on(sources.params)
    loop = _Loop(sources, catalog, paths, arm, tune or partial(_tuned, sources.params, arm, catalog))
    return [made for place, cell in enumerate(cells, start=1) for made in loop.of(cell, f"collapse, seed {place} of {len(cells)}")]


def _tuned(
    params: Params, arm: ResolvedArm, catalog: Catalog, rows: tuple[list[Example], list[Example]], cell: Cell, what: str
) -> LanguageModel:
    from emosynth.models.lm.tuned import TunedModel, find_or_tune

    writer = str(arm.spec.writer)
    generator = generator_of(params, writer)
    card = f"# {generator.model} tuned on rows of a round\n\n{what}: {len(rows[0])} rows, stopped early on {len(rows[1])} others.\n"
    found = find_or_tune(
        generator.model, writer_spec(params, writer), params.tuning, rows, catalog, seed=cell.repeat, card=card,
        progress=lambda line: say(f"{what}: {line}"),
    )  # fmt: skip
    return TunedModel(generator, found, catalog)


class _MadeSeeds(Seeds):
    """Seeds whose rows are made up."""

    def __init__(self, params: Params, paths: Paths, real: RealText) -> None:
        super().__init__(params, paths)
        self._real = real

    def _corpus(self, name: str) -> Corpus:
        return self._real.corpora[name]

    def _space(self, name: str) -> Space:
        return self._real.spaces[name]

    def _seed(self, cell: Cell) -> Seed:
        return self._real.seed(cell)


@dataclass(frozen=True)
class _Loop:
    """What all rounds have in common."""

    sources: Sources
    catalog: Catalog
    paths: Paths
    arm: ResolvedArm
    tune: Tune

    def of(self, cell: Cell, what: str) -> Iterator[Round]:
        """Yield the rounds of a seed."""
        rounds, seed = self.sources.params.responsible.collapse.rounds, self.sources.seed(cell)
        labels = seed_rows(self.sources.order, cell)["label"].tolist()
        real = pd.DataFrame({"id": seed.ids, "text": seed.texts, "label": labels, "labels": seed.labels})
        first = self._round(real, cell, cell.repeat, f"{what}, round 1")
        for place, variant in enumerate(VARIANTS):
            yield Round(cell.repeat, variant, 0, real)
            made, rows = first, [real]
            for number in range(1, rounds + 1):
                if number > 1:
                    known = pd.concat(rows, ignore_index=True)
                    draw = cell.repeat + _STRIDE * (2 * (number - 1) + place)
                    made = self._round(_mixed(known, draw), cell, draw, f"{what}, {variant}, round {number}")
                made = replace(made, variant=variant, number=number)
                yield made
                if variant == REPLACED and not made.sound:
                    say(f"{what}: round {number} leaves too few rows of a class to go on")
                    break
                rows = [made.rows] if variant == REPLACED else [*rows, made.rows]

    def _round(self, known: pd.DataFrame, seed: Cell, draw: int, what: str) -> Round:
        """Tune on rows, write, check, and keep as many rows as the seed has; ``draw``: the repeat whose random numbers are written with."""
        sources, origin = self.sources, self.arm.origin
        assert origin is not None  # the design is checked
        cell = replace(seed, size=len(known))
        params, space = self._params(cell), sources.spaces[cell.corpus]
        order = known[["id", "label"]].assign(corpus=cell.corpus, repeat=cell.repeat, rank=range(len(known)))
        frame = known[["id", "text", "labels"]].assign(split="train", corpus=cell.corpus)
        real = RealText({cell.corpus: replace(sources.corpora[cell.corpus], frame=frame)}, order, sources.taxonomies)
        seeds = _MadeSeeds(params, self.paths, real)
        say(f"{what}: {len(known)} rows to learn from")
        model = self.tune(examples_of(seeds, cell, origin, params.tuning), cell, what)
        total = sources.params.responsible.collapse.candidates
        if total is None:
            total = math.ceil(own_rows(sources.params, self.arm, seed) * oversample_of(sources.params, self.arm))
        items = plan_class(origin, replace(cell, repeat=draw), total, space, seeds)
        with RowStore(self.paths.cache / "rows" / "generation.sqlite") as store:
            made = pd.DataFrame.from_records(write_all(items, params, lambda *_: model, store)[0], columns=WRITTEN)
        judge = OpenJudge(params, self.catalog, self.paths, real)
        verdicts = judged(params, made, real, judge, lambda rows, _, __, place: rows if place == cell else rows.iloc[:0])["verdicts"]
        ok = made["candidate_id"].isin(verdicts.loc[verdicts["accepted"].astype(bool), "candidate_id"]).to_numpy(dtype=bool)
        leaks = repeating(made["text"].tolist(), sources.held_out(cell.corpus), sources.params.corpora.near_duplicate)
        rows = choose(made, ok, ok, leaks, Ask(seed.size, space.labels)).rows.rename(columns={"candidate_id": "id"})
        rows = rows[["id", "text", "label", "labels"]].reset_index(drop=True)
        counts, least = rows["label"].value_counts(), max(2, sources.params.cells.min_per_class_of(cell.corpus))
        say(f"{what}: {int(ok.sum())} of {len(made)} texts accepted, {len(rows)} kept")
        sound = all(counts.get(label, 0) >= least for label in space.labels)
        return Round(seed.repeat, "", 1, rows, len(made), int(ok.sum()), sound)

    def _params(self, cell: Cell) -> Params:
        """Return the parameters of a profile whose one arm runs on one made-up seed; however many texts are empty or cut, that is a finding."""
        params = self.sources.params
        alone = Arm(writer=self.arm.spec.writer, checks=self.arm.spec.checks, corpora=[cell.corpus])
        cells = params.cells.model_copy(update={"sizes": [cell.size], "repeats": cell.repeat + 1, "repeats_at": {}, "per": {}})
        generation = params.generation.model_copy(update={"unusable": 1.0, "cut": 1.0})
        return params.model_copy(update={"arms": {self.arm.name: alone}, "cells": cells, "generation": generation})


def _mixed(known: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return rows class by class shuffled and interleaved, so that the last ones, which tuning holds out, are of all rounds and classes."""
    rng = np.random.default_rng(seed)
    places = {label: np.flatnonzero((known["label"] == label).to_numpy()) for label in dict.fromkeys(known["label"])}
    queues = {label: iter(rng.permutation(found).tolist()) for label, found in places.items()}
    sequence = interleave({label: len(found) for label, found in places.items()}, 0, 0)
    return known.iloc[[next(queues[label]) for label in sequence]].reset_index(drop=True)
