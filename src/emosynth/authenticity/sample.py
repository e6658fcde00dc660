"""Which texts are compared: class-balanced draws of real text and of each arm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import pandas as pd

from emosynth.corpora import Corpus
from emosynth.design.arms import ResolvedArm, cells_of_arm
from emosynth.params import Params
from emosynth.stats import Nest

Item = TypeVar("Item")

VERDICTS = ["arm", "corpus", "size", "repeat", "candidate_id", "accepted"]
"""Columns of verdicts that `arm_rows` reads."""
ALL = ""
"""Stands for all labels together: no label is empty."""


@dataclass(frozen=True)
class Sample:
    """Texts that are measured together, none empty; ``nest``: who shares a repeat, and a prompt or story, with ``labels`` as strata."""

    texts: list[str]
    nest: Nest
    labels: list[str]

    @classmethod
    def flat(cls, texts: Sequence[str]) -> Sample:
        """Return independent texts without labels."""
        return cls(list(texts), Nest.flat(len(texts)), [""] * len(texts))

    @cached_property
    def digest(self) -> str:
        """Hash of everything that a measure can depend on: equal samples of two arms are measured once."""
        nest = [part.tolist() for part in (self.nest.repeats, self.nest.clusters, self.nest.strata)]
        return hashlib.sha256(json.dumps([self.texts, nest, self.labels]).encode("ascii")).hexdigest()

    def of_label(self, label: str) -> Sample:
        """Return the texts of one label, or of all."""
        kept = [place for place, own in enumerate(self.labels) if label in (ALL, own)]
        nest = Nest(self.nest.repeats[kept], self.nest.clusters[kept], self.nest.strata[kept])
        return Sample([self.texts[place] for place in kept], nest, [self.labels[place] for place in kept])


def arm_rows(
    params: Params, arm: ResolvedArm, corpus: str, size: int | None, candidates: pd.DataFrame, verdicts: pd.DataFrame
) -> pd.DataFrame:
    """Return an arm's candidates for seeds of one size of a corpus, all repeats, each once; column ``accepted`` says what its checks said.

    ``size``: None, or a size that the arm does not run on: the largest that it does.
    """
    from emosynth.generation import candidates_of

    cells = [cell for cell in cells_of_arm(params, arm) if cell.corpus == corpus]
    if size not in {cell.size for cell in cells}:
        size = max((cell.size for cell in cells), default=None)
    own = verdicts[(verdicts["arm"] == arm.name) & (verdicts["corpus"] == corpus) & (verdicts["size"] == size)]
    parts = [candidates.head(0).assign(accepted=pd.Series(dtype=bool))]
    for cell in cells:
        if cell.size == size:
            accepted = own.loc[(own["repeat"] == cell.repeat) & own["accepted"].astype(bool), "candidate_id"]
            rows = candidates_of(candidates, params, arm, cell)
            parts.append(rows.assign(repeat=cell.repeat, accepted=rows["candidate_id"].isin(accepted)))
    filled = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(filled, ignore_index=True).drop_duplicates("candidate_id", ignore_index=True)


def sample_of(rows: pd.DataFrame, labels: Sequence[str], count: int, *, balanced: bool = True, column: str = "text") -> Sample:
    """Return at most ``count`` texts (``column``) of candidates, class by class; repeats take turns, empty texts are left out.

    ``balanced``: the rarest class that has texts bounds the draw, or unequal shares of classes would be measured as style.
    """
    usable = rows[rows[column].fillna("").str.strip() != ""].sort_values(["index", "repeat", "candidate_id"], kind="stable")
    by_class = {label: [int(place) for place in np.flatnonzero((usable["label"] == label).to_numpy())] for label in labels}
    there = [len(places) for places in by_class.values() if places]
    chosen = balanced_draw(by_class, min(count, min(there, default=0) * len(there)) if balanced else count)
    drawn = usable.iloc[chosen]
    stories = drawn["story_id"].fillna("")
    clusters = stories.where(stories != "", drawn["prompt"].fillna(""))
    nest = Nest.of(drawn["repeat"].tolist(), clusters.tolist(), drawn["label"].tolist())
    return Sample(drawn[column].tolist(), nest, drawn["label"].tolist())


def balanced_draw(items: Mapping[str, list[Item]], count: int) -> list[Item]:
    """Return at most ``count`` items, equally many of each class while the classes last."""
    chosen: list[Item] = []
    for turn in range(max(map(len, items.values()), default=0)):
        chosen += [own[turn] for own in items.values() if turn < len(own)]
    return chosen[:count]


def real_halves(corpus: Corpus, seed_ids: set[str], count: int, seed: int) -> tuple[list[str], list[str]]:
    """Return two disjoint class-balanced samples of the real rows outside the seeds, ``count`` texts each at most."""
    from emosynth.seeding import primary_labels

    rows = corpus.frame[~corpus.frame["id"].isin(seed_ids)].sort_values("id")
    labels = np.asarray(primary_labels(rows, corpus.classes))
    rng = np.random.default_rng(seed)
    halves: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    per_class = {label: rng.permutation(np.flatnonzero(labels == label)) for label in corpus.classes}
    # The rarest class bounds a balanced sample.
    reach = min(len(found) // 2 for found in per_class.values()) * len(corpus.classes)
    for label, found in per_class.items():
        texts = rows["text"].to_numpy()[found]
        halves[0][label], halves[1][label] = list(texts[0::2]), list(texts[1::2])
    size = min(count, reach)
    return balanced_draw(halves[0], size), balanced_draw(halves[1], size)
