"""Every model that step 08 trains: main contrast, matched budgets, sweeps one at a time, ablation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from emosynth.learning.arms import multiple
from emosynth.params import Distillation, Generation, Seeding, SweepName, Synthesis, Tuning

SWEEPS: tuple[SweepName, ...] = (
    "main", "matched_accepted", "matched_generated", "tau", "beta", "alpha", "temperature", "growth", "size", "kind", "ablation",
)  # fmt: skip

HONEST = "honest"
ORACLE = "oracle teacher"
MIXED_EVALUATION = "synthetic in evaluation"
OVER_PROBABILITIES = "softmax over probabilities"
BATCH_WEIGHTS = "weights after batch mean"
ALL_DEFECTS = "all defects"
VARIANTS = (HONEST, ORACLE, MIXED_EVALUATION, OVER_PROBABILITIES, BATCH_WEIGHTS, ALL_DEFECTS)
"""The published protocol's defects (see docs/methods.md), each switched on alone, then all at once."""


@dataclass(frozen=True)
class Run:
    """One model to be trained.

    Attributes
    ----------
    value
        What a sweep varies; NaN outside sweeps.
    arm
        ``seed``, ``real+kx`` or a generating arm.
    verified
        Whether only accepted candidates are used.
    soft
        Whether the teacher's soft labels are used.
    variant
        Of the ablation; else empty.
    rows
        Synthetic rows wanted.
    generated
        Whether ``rows`` counts candidates generated instead of rows used.
    tau, beta, alpha, temperature
        Confidence needed, weight of a synthetic row, weight of the soft-label term, distillation temperature.
    """

    student: str
    sweep: SweepName
    value: float
    arm: str
    verified: bool
    soft: bool
    variant: str
    size: int
    repeat: int
    rows: int
    generated: bool
    tau: float
    beta: float
    alpha: float
    temperature: float

    @property
    def oracle(self) -> bool:
        """Whether the teacher is the one that saw the whole training split."""
        return self.variant in (ORACLE, ALL_DEFECTS)


def _quota(growth: float, size: int) -> int:
    return round(growth * size)


class Design:
    """Lists the runs of a profile.

    Parameters
    ----------
    tuning, synthesis, distillation
        Sections of the parameters.
    """

    def __init__(self, tuning: Tuning, synthesis: Synthesis, distillation: Distillation) -> None:
        self.seeding: Seeding = tuning.seeding
        self.generation: Generation = synthesis.generation
        self.tau = synthesis.verification.min_confidence
        self.oracle = synthesis.teacher.oracle
        self.settings = distillation

    def growth_of(self, arm: str) -> float:
        """Return the rows a seed row that an arm was generated for."""
        own = self.generation.arms[arm].growth
        return self.generation.growth if own is None else own

    def runs_on(self, arm: str, size: int, repeat: int) -> bool:
        """Whether an arm was generated for a seed."""
        if arm not in self.generation.arms:
            return True
        part = self.generation.arms[arm]
        return (part.sizes is None or size in part.sizes) and (part.repeats is None or repeat < part.repeats)

    def runs(self) -> list[Run]:
        """Return all runs, student by student, sweep by sweep."""
        found = []
        for student, part in self.settings.students.items():
            repeats = min(part.repeats or self.seeding.repeats, self.seeding.repeats)
            for sweep in SWEEPS:
                if part.sweeps is None or sweep in part.sweeps:
                    found += [run for run in self._sweep(student, sweep, repeats) if self._wanted(run, part.arms)]
        return found

    @staticmethod
    def _wanted(run: Run, arms: list[str] | None) -> bool:
        if arms is None or run.sweep != "main":
            return True
        generating = not run.arm.startswith(("seed", "real"))
        return (run.arm if not generating or run.verified else f"{run.arm}:unverified") in arms

    def _sweep(self, student: str, sweep: SweepName, repeats: int) -> Iterator[Run]:
        if sweep not in ("main", "matched_accepted", "matched_generated", "size", "kind", "ablation"):
            repeats = min(repeats, self.settings.sweeps.repeats or repeats)
        for repeat in range(repeats):
            for run in self._of_repeat(student, sweep, repeat):
                if self.runs_on(run.arm, run.size, run.repeat):
                    yield run

    def _headline(self, student: str, sweep: SweepName, size: int, repeat: int, arm: str) -> Run:
        s = self.settings
        growth = min(s.growth, self.growth_of(arm)) if arm in self.generation.arms else 0.0
        return Run(
            student,
            sweep,
            math.nan,
            arm,
            True,
            True,
            "",
            size,
            repeat,
            _quota(growth, size),
            False,
            self.tau,
            s.beta,
            s.alpha,
            s.temperature,
        )

    def _baseline(self, run: Run, arm: str = "seed", rows: int = 0) -> Run:
        return replace(run, arm=arm, verified=False, soft=False, rows=rows, beta=1.0, alpha=0.0)

    def _of_repeat(self, student: str, sweep: SweepName, repeat: int) -> Iterator[Run]:
        s, largest = self.settings, self.seeding.sizes[-1]
        head = self._headline(student, sweep, largest, repeat, s.arm)
        if sweep == "main":
            sizes = [largest] if student == "tiny" else self.seeding.sizes
            for size in sizes:
                yield self._baseline(self._headline(student, sweep, size, repeat, s.arm))
                for k in s.real_expansions:
                    yield self._baseline(self._headline(student, sweep, size, repeat, s.arm), f"real+{multiple(k)}", _quota(k, size))
                for arm in self.generation.arms:
                    run = self._headline(student, sweep, size, repeat, arm)
                    yield replace(run, verified=False, soft=False, tau=0.0)
                    yield replace(run, soft=False)
                    yield run
        elif sweep in ("matched_accepted", "matched_generated"):
            rows = _quota(s.matched_growth, largest)
            for arm in self.generation.arms:
                if self.growth_of(arm) >= s.matched_growth:
                    run = replace(self._headline(student, sweep, largest, repeat, arm), rows=rows, generated=sweep == "matched_generated")
                    yield replace(run, verified=False, soft=False, tau=0.0)
                    yield run
            yield self._baseline(head)
        elif sweep in ("tau", "beta", "alpha", "temperature"):
            values: list[float] = getattr(s.sweeps, sweep)
            for value in values:
                changed: dict[str, Any] = {sweep: value}
                yield replace(head, value=value, **changed)
            if values:
                yield self._baseline(head)
        elif sweep == "growth":
            for value in s.sweeps.growth:
                if value == 0:
                    yield replace(self._baseline(head), value=0.0)
                elif (large := self._large_enough(value, largest, repeat)) is not None:
                    yield replace(head, arm=large, value=value, rows=_quota(value, largest))
        elif sweep == "size" and len(self.seeding.sizes) > 1:
            for size in self.seeding.sizes:
                run = replace(self._headline(student, sweep, size, repeat, s.arm), value=float(size))
                yield run
                yield self._baseline(run)
        elif sweep == "kind":
            yield from self._kinds(student, repeat)
        elif sweep == "ablation" and s.ablation:
            for variant in VARIANTS:
                if self.oracle or variant not in (ORACLE, ALL_DEFECTS):
                    yield replace(head, variant=variant)
            yield self._baseline(head)

    def _kinds(self, student: str, repeat: int) -> Iterator[Run]:
        """Compare kinds of tuning on the largest seed that at least two of them were tuned on, at equal numbers of rows."""
        for size in reversed(self.seeding.sizes):
            first: dict[str, str] = {}  # one arm a kind
            for name, arm in self.generation.arms.items():
                if arm.tuned is not None and self.runs_on(name, size, repeat):
                    first.setdefault(arm.tuned, name)
            if len(first) > 1:
                rows = _quota(min(self.growth_of(name) for name in first.values()), size)
                for name in first.values():
                    yield replace(self._headline(student, "kind", size, repeat, name), rows=rows)
                yield self._baseline(self._headline(student, "kind", size, repeat, self.settings.arm))
                return

    def _large_enough(self, growth: float, size: int, repeat: int) -> str | None:
        """Return an arm that writes as the headline arm does and was generated for at least ``growth`` on this seed."""
        mine = self.generation.arms[self.settings.arm]
        for name, arm in self.generation.arms.items():
            same = (arm.tuned, arm.guidance) == (mine.tuned, mine.guidance)
            if same and self.growth_of(name) >= growth and self.runs_on(name, size, repeat):
                return name
        return None
