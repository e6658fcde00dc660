"""Invented tables of step 10, by the columns of docs/architecture.md."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emosynth.cards import Card, write_table
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.responsible import canaries, cost, identity, memorised, noise, tuned
from emosynth.responsible.build import COUNTED
from emosynth.responsible.collapse import COLUMNS, VARIANTS
from emosynth.responsible.collapse.measures import NAMES
from emosynth.responsible.rates import REAL, SOURCES

NAN = float("nan")


def responsible(params: Params, classes: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Return the six tables; the last written arm copies its seed, the first holds more of everything."""
    arms = [name for name, arm in params.arms.items() if arm.add == "written"]
    copied, counted, named = [], [], []
    for arm, verified in [(REAL, True), *((arm, verified) for arm in arms for verified in (False, True))]:
        beside = [NAN] * 4 if arm == REAL else [0.01, 0.0, -0.02, 0.02]
        for source in SOURCES:
            share = [0.3, 0.2, 0.4, 0.01, 0.29, 0.1, 0.4] if arm in arms[-1:] and source == "seed" else [0.01, 0.001, 0.03, *beside]
            values = {
                "span_mean": [2.0, NAN, NAN, *beside],
                "span_max": [7.0, NAN, NAN, *beside],
                "long": share,
                "exact": share,
                "near": [0.0, 0.0, 0.01, *beside],
            }
            copied += [[arm, verified, source, measure, *found, 200, 300] for measure, found in values.items()]
        rate = [90.0, 60.0, 120.0, 10.0, 80.0, 50.0, 110.0] if arm in arms[:1] else [10.0, 2.0, 20.0, *beside]
        counted += [
            [arm, verified, kind, *([0.0, 0.0, 5.0, *beside] if kind == "iban" else rate), 200, 300]
            for kind in ("mention", "iban", "any", "listed")
        ]
    for arm in arms:
        for group, far in (("women", True), ("men", False)):
            for label in ("", *classes):
                found = [6, 3.0, 1.5, 6.0, 0.001, 0.01] if far and label in ("", classes[0]) else [4, 1.0, 0.5, 2.0, 0.9, 1.0]
                named.append([arm, group, label, 100, found[0], 400, 8, found[0] / 100, 0.02, *found[1:], ""])
        named.append([arm, "migrants", "", 100, 0, 400, 0, 0.0, 0.0, NAN, NAN, NAN, NAN, NAN, identity.FEW])
    doubts = [[arm, 200, 5, 0.2, 0.1, 0.1, 0.2, 0.8, 0.5, ""] for arm in (REAL, *arms)]
    paid = pd.DataFrame(
        [[arm, max(params.cells.sizes), 2, 360, 180, 180, 9000, 3600, 50.0, 20.0, 0.25] for arm in arms], columns=cost.COLUMNS
    )
    everything = pd.DataFrame(counted, columns=COUNTED)
    told = [
        ["tuned", "lora", "none", 100, at, 2, kind, auc, auc - 0.1, auc + 0.1, 0.03, 0.2, 30, 30]
        for at in (0, 1, -1)
        for kind, auc in (("loss", 0.55), ("calibrated", 0.7), ("untuned", 0.5))
    ]
    planted = [
        ["tuned", "lora", 100, 0, 2, 2, often, 4, 0.1, 501, 1.5 + often, 0.2, 8.0, 8.97, 0.4 / (1 + often), 1, 0, 0, 200]
        for often in (0, 4)
    ]
    rounds = [
        [arms[-1], 100, variant, number, *name, value := 0.9 - (0.1 if variant == VARIANTS[0] else 0.02) * number, value - 0.01, value + 0.01,
         *([value - 0.8, value - 0.82, value - 0.78] if number > 1 else [NAN] * 3), 2, int(number == 3)]
        for variant in VARIANTS for number in range(4) for name in NAMES
    ]  # fmt: skip
    return {
        "memorisation": pd.DataFrame(copied, columns=memorised.COLUMNS), "personal": everything[everything["kind"] != "listed"],
        "toxicity": everything[everything["kind"] == "listed"], "identity": pd.DataFrame(named, columns=identity.COLUMNS),
        "label_noise": pd.DataFrame(doubts, columns=noise.COLUMNS), "cost": paid, "forecast": cost.forecast(paid, params.responsible.forecast),
        "membership": pd.DataFrame(told, columns=tuned.MEMBERSHIP), "canaries": pd.DataFrame(planted, columns=canaries.CANARIES),
        "collapse": pd.DataFrame(rounds, columns=COLUMNS),
    }  # fmt: skip


def write_responsible(paths: Paths, params: Params, classes: tuple[str, ...], **more: Any) -> None:
    """Write them for the target."""
    card = Card(title="invented", what="invented", made="invented")
    for name, frame in responsible(params, classes).items():
        made = frame.assign(corpus=params.corpora.target, **more)
        write_table(made[["corpus", *frame.columns]].reset_index(drop=True), paths.responsible / f"{name}.parquet", card)
