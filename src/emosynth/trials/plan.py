"""Every model that is trained: learner × cell × arm, each arm's unverified version, sweeps and budgets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emosynth.design.arms import SEED, ResolvedArm, offered, resolve_arm, resolve_arms
from emosynth.design.cells import Cell, in_sizes, list_cells
from emosynth.learners.base import Learner
from emosynth.params import Grid, Params
from emosynth.progress import say
from emosynth.verification.accept import unverified

UNVERIFIED = "unverified"
ACCEPTED = "accepted"
NOT_OFFERED = ["corpus", "learner", "arm", "why"]

Obstacle = Callable[[ResolvedArm, Cell, Learner], str]
"""Says why an arm means nothing in a cell for a learner; empty: it does."""


@dataclass(frozen=True)
class Trial:
    """One model to be trained.

    Attributes
    ----------
    arm
        With what a sweep changes, and without checks if it is the unverified version.
    version
        Empty, or `UNVERIFIED`.
    sweep, value
        What is varied, by dotted name, and its value; empty and None: the arm as it stands.
    budget
        What arms have in equal measure: ``accepted`` rows, rows ``generated``, or ``tokens``.
    """

    learner: str
    cell: Cell
    arm: ResolvedArm
    version: str = ""
    sweep: str = ""
    value: Any = None
    budget: str = ACCEPTED

    @property
    def trial_id(self) -> str:
        """Readable and unique."""
        name = f"{self.arm.name}:{self.version}" if self.version else self.arm.name
        swept = f"?{self.sweep}={self.shown_value}" if self.sweep else ""
        return f"{self.cell}/{name}{swept}/{self.budget}/{self.learner}"

    @property
    def shown_value(self) -> str:
        """The value as JSON; empty outside sweeps."""
        return json.dumps(self.value, sort_keys=True, ensure_ascii=False) if self.sweep else ""


def plan_trials(params: Params, learners: Mapping[str, Learner], obstacle: Obstacle) -> tuple[list[Trial], pd.DataFrame]:
    """List all trials, learner by learner and cell by cell.

    Returns
    -------
    list of Trial
        Each once.
    pandas.DataFrame
        Arms left out: corpus, learner, arm, why.
    """
    left: dict[tuple[str, str, str], str] = {}
    trials: dict[str, Trial] = {}
    for name, learner in learners.items():
        for trial in _of_learner(params, name, learner):
            why = offered(trial.arm, learner) or obstacle(trial.arm, trial.cell, learner)
            if why:
                left.setdefault((trial.cell.corpus, name, trial.arm.name), why)
            else:
                trials.setdefault(trial.trial_id, trial)
    for (corpus, name, arm), why in left.items():
        say(f"training: {arm} is left out for {name} on {corpus}: {why}")
    rows = [(*key, why) for key, why in left.items()]
    return list(trials.values()), pd.DataFrame(rows, columns=NOT_OFFERED)


def _of_learner(params: Params, name: str, learner: Learner) -> Iterator[Trial]:
    arms, swept = resolve_arms(params), _swept(params)
    for cell in list_cells(params):
        if not _within(params, learner.settings, cell):
            continue
        for arm in arms.values():
            if not arm.runs_on(cell) or (learner.seed_only and learner.settings.arms is None and arm.name != SEED):
                continue
            for version in ("", UNVERIFIED) if _unverified_too(params, arm) else ("",):
                if learner.settings.arms is None or (f"{arm.name}:{version}" if version else arm.name) in learner.settings.arms:
                    of_version = unverified(arm) if version else arm
                    yield Trial(name, cell, of_version, version)
                    if arm.written and _on(params, params.training.budgets_on, name, cell):
                        yield from (Trial(name, cell, of_version, version, budget=budget) for budget in params.training.budgets)
        if _on(params, params.training.sweeps_on, name, cell):
            only = params.training.sweeps_of.get(name)
            for dotted, value, arm in swept:
                if only is not None and f"{arm.name}.{dotted}" not in only:
                    continue
                if arm.runs_on(cell) and (learner.settings.arms is None or arm.name in learner.settings.arms):
                    yield Trial(name, cell, arm, sweep=dotted, value=value)


def _swept(params: Params) -> list[tuple[str, Any, ResolvedArm]]:
    return [
        (dotted, value, resolve_arm(params, name, overrides={dotted: value}))
        for name, values in params.sweeps.items()
        for dotted, tried in values.items()
        for value in tried
    ]


def _unverified_too(params: Params, arm: ResolvedArm) -> bool:
    own = arm.spec.unverified
    return arm.written and arm.verified and (params.training.unverified if own is None else own)


def _within(params: Params, part: Any, cell: Cell) -> bool:
    """Whether a cell is in a part of the design: settings of a learner, or a grid."""
    return (
        (part.corpora is None or cell.corpus in part.corpora)
        and in_sizes(params, part.sizes, cell)
        and (part.repeats is None or cell.repeat < part.repeats)
    )


def _on(params: Params, grid: Grid, learner: str, cell: Cell) -> bool:
    return (grid.learners is None or learner in grid.learners) and _within(params, grid, cell)
