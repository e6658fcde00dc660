"""Trials with their predictions: every F1 that evidence compares is computed here, from predicted labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.design.arms import SEED
from emosynth.design.cells import stable_seed
from emosynth.errors import UserError
from emosynth.evidence.numbers import number
from emosynth.models.metrics import decide
from emosynth.params import Evidence, Params
from emosynth.paths import repro
from emosynth.resampling import Contrast, Draws, Equivalence, common, contrast, draw_f1, equivalence

UNVERIFIED = "unverified"

SPLITS = 8
"""Ways to halve the test rows over which what picking gains is averaged: one alone would decide by its luck."""

KEYS = ["corpus", "learner", "size", "arm", "version", "budget", "sweep", "value"]
"""Columns of the trials table that say which trials are repeats of each other."""


@dataclass(frozen=True, order=True)
class Group:
    """Trials that are repeats of each other. ``value`` is JSON, as in the trials table."""

    corpus: str
    learner: str
    size: int
    arm: str
    version: str = ""
    budget: str = "accepted"
    sweep: str = ""
    value: str = ""

    def with_arm(self, arm: str, version: str = "") -> Group:
        """Return the trials of another arm in the same cells, at equal accepted rows and outside sweeps."""
        return Group(self.corpus, self.learner, self.size, arm, version)


@dataclass(frozen=True)
class Labels:
    """What a corpus's texts can be labelled with."""

    classes: tuple[str, ...]
    single: bool


class Scored:
    """Trials, grouped, with resampled F1 that is computed once and kept; tables as step 07 writes or publishes them.

    ``labels``: by corpus, in the order of predictions. ``scored_on``: the split; several in one table are a UserError.
    """

    def __init__(
        self, trials: pd.DataFrame, predictions: pd.DataFrame, test_rows: pd.DataFrame, labels: Mapping[str, Labels], evidence: Evidence
    ) -> None:
        self.evidence = evidence
        self.labels = labels
        self.trials = normal(trials)
        self.scored_on = split_of(trials, test_rows)
        self._thresholds = dict(zip(self.trials["trial_id"], self.trials["threshold"], strict=True))
        column = "p" if "p" in predictions else "predicted"
        self._predictions = dict(zip(predictions["trial_id"], predictions[column], strict=True))
        self._published = column == "predicted"
        self._truth = {str(corpus): _multi_hot(part.sort_values("place")["labels"], labels[str(corpus)], str(corpus))
                       for corpus, part in test_rows.groupby("corpus", sort=False)}  # fmt: skip
        self.groups: dict[Group, pd.DataFrame] = {}
        for key, part in self.trials.groupby(KEYS, sort=False):
            corpus, learner, size, *rest = map(str, key)
            self.groups[Group(corpus, learner, int(size), *rest)] = part.sort_values("repeat")
        self._draws: dict[Group, Draws] = {}
        self._halves: dict[Group, list[tuple[Draws, Draws]]] = {}

    def rows(self, corpus: str) -> int:
        """Return the number of test rows of a corpus."""
        return len(self._truth[corpus])

    def draws(self, group: Group) -> Draws:
        """Return F1 by class of a group's repeats, on the test rows and on resamples of them."""
        if group not in self._draws:
            self._draws[group] = self._drawn(group, slice(None), 0)
        return self._draws[group]

    def halves(self, group: Group) -> list[tuple[Draws, Draws]]:
        """Return the same on two halves of the test rows, for each of `SPLITS` ways to halve them; resamples are shared out among these."""
        if group not in self._halves:
            n, given = self.rows(group.corpus), self.evidence
            made = []
            for split in range(SPLITS):
                order = np.random.default_rng(stable_seed("halves", given.random_seed, n, split)).permutation(n)
                share = len(range(split, given.resamples, SPLITS))
                parts = (np.sort(order[: n // 2]), np.sort(order[n // 2 :]))
                one, other = (self._drawn(group, part, 2 * split + side, share) for side, part in enumerate(parts))
                made.append((one, other))
            self._halves[group] = made
        return self._halves[group]

    def _drawn(self, group: Group, rows: slice | npt.NDArray[np.intp], salt: int, resamples: int | None = None) -> Draws:
        part, truth = self.groups[group], self._truth[group.corpus]
        predicted = np.stack([self._decoded(str(trial), group.corpus) for trial in part["trial_id"]])
        repeats = tuple(int(repeat) for repeat in part["repeat"])
        return draw_f1(truth[rows], predicted[:, rows], repeats, resamples or self.evidence.resamples, self.evidence.random_seed + salt)

    def _decoded(self, trial: str, corpus: str) -> npt.NDArray[np.bool_]:
        """Return (n, k) predicted labels of a trial."""
        labels, n = self.labels[corpus], self.rows(corpus)
        if trial not in self._predictions:
            raise UserError(
                "A trial has no predictions.", where=f"trials/predictions.parquet, {trial}",
                remedy=f"Run: {repro('07_training', again=True)}",
            )  # fmt: skip
        found, threshold = self._predictions[trial], self._thresholds[trial]
        k = len(labels.classes)
        if self._published:
            number, said = pd.factorize(np.asarray(found, dtype=object))  # few of thousands of rows differ
            known = np.zeros((len(said), k), dtype=bool)
            for row, places in enumerate(said):
                known[row, [int(place) for place in str(places).split()]] = True
            return np.asarray(known[number])
        p = np.asarray(found, dtype=np.float64)
        if p.size != n * k:
            raise UserError(
                f"A trial has {p.size} predictions for {n} test rows of {k} labels.", where=f"trials/predictions.parquet, {trial}",
                remedy=f"Predictions and test rows are of different runs. Run: {repro('07_training', again=True)}",
            )  # fmt: skip
        decided = decide(p.reshape(n, k), None if labels.single else 0.5 if np.isnan(threshold) else float(threshold))
        return np.asarray(decided, dtype=bool)

    def compare(self, left: Group, right: Group, classes: list[int] | None = None) -> Contrast | None:
        """Return left minus right; None if either is not there or they share no repeat."""
        return self.combine([(1.0, left), (-1.0, right)], classes)

    def combine(
        self, terms: Iterable[tuple[float, Group]], classes: list[int] | None = None, repeats: tuple[int, ...] | None = None
    ) -> Contrast | None:
        """Return a weighted sum of groups, see `emosynth.resampling.contrast`; ``repeats``: on these alone."""
        chosen = list(terms)
        if any(group not in self.groups for _, group in chosen):
            return None
        parts = [(weight, self.draws(group) if repeats is None else self.draws(group).at(repeats)) for weight, group in chosen]
        return contrast(parts, self.evidence.confidence, self.evidence.random_seed, classes)

    def mean(self, group: Group, repeats: tuple[int, ...] | None = None) -> float:
        """Return the mean macro-F1 over repeats; None: all."""
        draws = self.draws(group)
        return float((draws if repeats is None else draws.at(repeats)).over()[0].mean())

    def shared(self, groups: Iterable[Group]) -> tuple[int, ...]:
        """Return the repeats that all groups have."""
        return common(*map(self.draws, groups))

    def best(self, groups: Iterable[Group]) -> Group | None:
        """Return the group of the highest macro-F1 on repeats that all have; the first, where they share none; None without groups."""
        chosen = list(groups)
        repeats = self.shared(chosen) if chosen else ()
        return max(chosen, key=lambda group: self.mean(group, repeats)) if repeats else next(iter(chosen), None)

    def growth(self, params: Params, group: Group) -> float:
        """Return how many rows an arm adds a seed row: by its own setting, or by a sweep."""
        wanted = json.loads(group.value) if group.sweep == "growth" else params.arms[group.arm].growth if group.arm in params.arms else None
        return params.generation.growth if wanted is None else float(wanted)

    def added(self, group: Group) -> float:
        """Return how many written rows were added, the mean over repeats."""
        return float(self.groups[group]["n_synthetic"].astype(float).mean())

    def nothing_added(self, groups: Iterable[Group]) -> str:
        """Return why sides of a comparison say nothing, although rows were wanted: none has one more than its seed a run; empty: one has."""
        rows = {group: self.groups[group][["n_synthetic", "n_real", "n_wanted"]].astype(float).mean() for group in groups}
        more = [max(float(mean["n_synthetic"]), float(mean["n_real"]) - group.size) for group, mean in rows.items()]
        if max(more) >= 1 or not any(mean["n_wanted"] > 0 for mean in rows.values()):
            return ""
        hardly = f"fewer than one row a run was added (at most {number(max(more))} in the mean)"
        return f"Neither side has rows to compare: {hardly if max(more) > 0 else 'no row was added'}."

    def real_of(self, params: Params, group: Group, rows: float | None = None) -> Group | None:
        """Return the real expansion that adds about as many rows as an arm is made for (or ``rows``), in the same cells; None if there is none."""
        growth = self.growth(params, group) if rows is None else rows / group.size
        found = [name for name, arm in params.arms.items() if arm.add == "real" and group.with_arm(name) in self.groups]
        if not found:
            return None
        nearest = min(found, key=lambda name: abs(np.log((params.arms[name].growth or params.generation.growth) / growth)))
        return group.with_arm(nearest)

    def equivalence(self, params: Params, left: Group, right: Group, share: float, classes: list[int] | None = None) -> Equivalence:
        """Test equivalence, see `emosynth.resampling.equivalence`; against real rows the margin is a share of what these gain.

        Else it is a share of what as many real rows gain as the side of fewer written rows added.
        """
        rows = [many for side in (left, right) if side in self.groups and (many := self.added(side)) > 0]
        real = (
            right
            if right.arm in params.arms and params.arms[right.arm].add == "real"
            else self.real_of(params, left, min(rows, default=None))
        )
        seed = seed_of(left)
        there = None if seed not in self.groups else real
        return equivalence(lambda terms: self.combine(terms, classes), left, right, there, seed, share)


def split_of(*frames: pd.DataFrame) -> str:
    """Return the one split that tables of trials and of scored rows are about; tables of earlier versions are about test rows."""
    found = sorted({str(split) for frame in frames for split in frame.get("scored_on", pd.Series(["test"])).unique()})
    if len(found) > 1:
        raise UserError(
            f"Scores on {' and '.join(found)} rows stand in one table.", where="trials/trials.parquet, trials/test_rows.parquet",
            remedy=f"One of the two is of another run. Run: {repro('07_training', again=True)}",
        )  # fmt: skip
    return found[0] if found else "test"


def normal(trials: pd.DataFrame) -> pd.DataFrame:
    """Return trials with empty texts for what is missing and values of sweeps spelled one way."""
    filled = trials.copy()
    for column in ("version", "sweep", "value"):
        filled[column] = filled[column].fillna("").astype(str)
    filled["value"] = [spelled(json.loads(value)) if value else "" for value in filled["value"]]
    return filled


def spelled(value: Any) -> str:
    """Return a value of a sweep as the key of a group: 1 and 1.0 are one value."""
    return json.dumps(float(value) if isinstance(value, int) and not isinstance(value, bool) else value, sort_keys=True)


def naive_arm(params: Params) -> str | None:
    """Return the arm whose prompts show nothing but the class: written, no guide, the plain writer, the corpus's own labels."""
    plain = (
        name
        for name, arm in params.arms.items()
        if arm.add == "written" and not arm.guide and arm.writer == "plain" and arm.space == "target" and not arm.plus and arm.after is None
    )
    return next(plain, None)


def seed_of(group: Group) -> Group:
    """Return the labels alone in the cells of a group."""
    return group.with_arm(SEED)


def _multi_hot(rows: Iterable[Any], labels: Labels, corpus: str) -> npt.NDArray[np.bool_]:
    place = {label: column for column, label in enumerate(labels.classes)}
    listed = [[row] if isinstance(row, str) else list(row) for row in rows]
    out = np.zeros((len(listed), len(labels.classes)), dtype=bool)
    for line, row in enumerate(listed):
        for label in row:
            if label not in place:
                raise UserError(
                    f"A test row has the label {label!r}.", where=f"trials, corpus {corpus}",
                    remedy=f"Run: {repro('07_training', again=True)}",
                )  # fmt: skip
            out[line, place[label]] = True
    return out
