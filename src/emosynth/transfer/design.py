"""Every model that the step trains: learner by learner, target by target, regime by regime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emosynth.params import Regime, Transfer, TransferLearnerName

Kind = Literal["", "both", "contextual", "contextless"]

SEED = "seed"
OTHERS = "other corpora"


@dataclass(frozen=True)
class Run:
    """One model to be trained.

    Attributes
    ----------
    regime
        ``target``: the seed alone. ``target-long``: the seed alone with the gradient steps of both stages, a control for
        training longer; of the encoder only, since the others are trained to their optimum. ``two-stage``: synthetic rows
        first, then the seed. ``joint``: synthetic rows and the seed at once, a control for the order. ``zero-shot``: synthetic
        rows alone, moved to the target's labels. ``leave-one-out``: training rows of the other corpora, moved likewise.
    arm
        Arm of the synthetic rows; `SEED` or `OTHERS` where there are none.
    kind
        Kind of synthetic rows: the utterances of contextual rows, context-less rows, or both; empty where there are none.
    size
        Rows of the target's seed; 0 where there is none.
    repeat
        Number of the seed series, and random seed of the training.
    """

    target: str
    learner: TransferLearnerName
    regime: Regime
    arm: str
    kind: Kind
    size: int
    repeat: int


def list_runs(params: Transfer) -> list[Run]:
    """Return all runs.

    Regimes without a seed are run once: their rows are the same in every repeat, and the encoder's pre-training, which is
    what an hour goes into, is done once for each arm. ``joint`` is run with the headline arm alone.
    """
    arms = [params.arm, *([params.against] if params.against else [])]
    found: list[Run] = []
    for learner, part in params.learners.items():
        runs: list[Run] = []
        for target in params.targets:
            if part.targets is not None and target not in part.targets:
                continue
            runs += [Run(target, learner, "zero-shot", arm, "both", 0, 0) for arm in arms]
            if params.leave_one_out:
                runs.append(Run(target, learner, "leave-one-out", OTHERS, "", 0, 0))
            for size in params.seeding.sizes:
                if part.sizes is not None and size not in part.sizes:
                    continue
                for repeat in range(min(part.repeats or params.seeding.repeats, params.seeding.repeats)):
                    runs.append(Run(target, learner, "target", SEED, "", size, repeat))
                    if learner == "encoder":
                        runs.append(Run(target, learner, "target-long", SEED, "", size, repeat))
                    runs += [Run(target, learner, "two-stage", arm, "both", size, repeat) for arm in arms]
                    runs.append(Run(target, learner, "joint", params.arm, "both", size, repeat))
        found += [run for run in runs if part.regimes is None or run.regime in part.regimes]
    return found
