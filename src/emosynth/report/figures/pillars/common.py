"""What the figures of the third system share: scores by regime, shares by emotion, names and looks."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binomtest

from emosynth.report.figures.base import Missing
from emosynth.report.numbers import Mean, paired, summary
from emosynth.report.tables import Tables
from emosynth.style import current_theme, learner_label, order_arms, palette_colour

PART = "emo-pillars"
NEUTRAL = "neutral"
LEARNERS = ("encoder", "embedding", "tfidf")
"""In reading order: the system's own kind of model first."""

REGIMES = {
    "target": "Target only",
    "target-long": "Target only, steps of both stages",
    "joint": "Generated rows and target at once",
    "two-stage": "Generated rows first, then target",
    "zero-shot": "Generated rows only",
    "leave-one-out": "Other corpora only",
}
_REGIME_LOOKS = {
    "target": (None, "o"),
    "target-long": (7, "X"),
    "joint": (4, "s"),
    "two-stage": (0, "D"),
    "zero-shot": (1, "v"),
    "leave-one-out": (2, "P"),
}
_OF_NO_ARM = ("target", "target-long")
COMPARED = tuple(name for name in REGIMES if name != "leave-one-out")
"""Regimes that are shown side by side; those that left a corpus out have a figure of their own."""
_ARM_LOOKS = ((2, "o"), (1, "X"), (9, "D"), (4, "s"), (6, "P"))
KINDS = {"contextual": "with context", "contextless": "context-less"}


def regime_look(regime: str, filled: bool = True) -> dict[str, Any]:
    """Return colour, marker and fill of a regime; hollow for the arm that the headline arm is compared with."""
    position, marker = _REGIME_LOOKS.get(regime, (6, "h"))
    return _look(current_theme().ink if position is None else palette_colour(position), marker, filled)


def pillar_look(tables: Tables, arm: str) -> dict[str, Any]:
    """Return colour and marker of a generating arm: by its place, the headline arm first, then that which it is compared with."""
    order = arms(tables)
    position, marker = _ARM_LOOKS[order.index(arm) % len(_ARM_LOOKS)] if arm in order else (6, "h")
    return _look(palette_colour(position), marker)


def plain_look(position: int, marker: str = "o", filled: bool = True) -> dict[str, Any]:
    """Return a look of a palette position."""
    return _look(palette_colour(position), marker, filled)


def _look(colour: str, marker: str, filled: bool = True) -> dict[str, Any]:
    return {
        "color": colour, "marker": marker, "linestyle": "-" if filled else (0, (3.5, 1.8)), "markeredgecolor": colour, "markeredgewidth": 1.2,
        "markerfacecolor": colour if filled else current_theme().background,
    }  # fmt: skip


def learner_name(learner: str) -> str:
    """Return the short name of a learner."""
    return "Fine-tuned encoder" if learner == "encoder" else learner_label(learner, short=True)


def arms(tables: Tables) -> list[str]:
    """Return the generating arms: the headline arm, that which it is compared with, then the others."""
    rows = tables.pillars.rows
    found = [] if rows is None else order_arms(rows["arm"])
    first = [name for name in (headline_arm(tables), against(tables)) if name in found]
    return list(dict.fromkeys([*first, *found]))


def headline_arm(tables: Tables) -> str:
    """Return the arm that the transfer pre-trains with in the headline contrast."""
    return tables.params.transfer.arm if tables.params is not None else "grounded"


def against(tables: Tables) -> str | None:
    """Return the arm that the headline arm is compared with; None: there is none."""
    return tables.params.transfer.against if tables.params is not None else "ungrounded"


# --- scores of the transfer -----------------------------------------------------------------------------


def transferred(tables: Tables) -> pd.DataFrame:
    """Return the scores at the headline thresholds, of models that learnt from rows of both kinds; headline target and learner first.

    Raises
    ------
    Missing
        If there are none.
    """
    found = tables.pillars.scores
    if found is None or found.empty:
        raise Missing("Nothing was transferred (transfer/scores.parquet).")
    rows = found[found["kind"].isin(["", "both"])] if "kind" in found else found
    # Of one model of several labels there are two rows: with thresholds chosen on the validation split, and with none chosen.
    rows = rows[rows["thresholds"] != "none"] if "thresholds" in rows else rows
    claim: dict[str, Any] = next((claim for claim in tables.claims or [] if claim.get("id") == "B1"), {})
    planned = tables.params.transfer.targets if tables.params is not None else []
    place = {
        column: {name: position for position, name in enumerate(dict.fromkeys([claim.get(key), *order, *sorted(set(rows[column]))]))}
        for column, key, order in (("target", "corpus", planned), ("learner", "learner", LEARNERS))
    }
    keys = pd.DataFrame({column: rows[column].map(positions) for column, positions in place.items()})
    return rows.loc[keys.sort_values(["target", "learner"], kind="stable").index].reset_index(drop=True)


def is_headline(tables: Tables, rows: pd.DataFrame) -> pd.Series:
    """Return which scores belong to the headline arm, or to no arm at all."""
    other = [name for name in set(rows["arm"]) if name != headline_arm(tables)]
    return ~(rows["regime"].isin(["two-stage", "joint", "zero-shot"]) & rows["arm"].isin(other))


def gain_of(
    tables: Tables, rows: pd.DataFrame, target: str, learner: str, size: int, first: tuple[str, str], second: tuple[str, str]
) -> Mean:
    """Return the mean difference in points of two (regime, arm) pairs at one cell, paired by repeat; where the target alone is trained on, any arm."""
    held: dict[str, object] = {"target": target, "learner": learner, "size": size}

    def side(regime: str, arm: str) -> dict[str, object]:
        return {**held, "regime": regime, **({} if regime in _OF_NO_ARM else {"arm": arm})}

    return summary(paired(rows, side(*first), side(*second), ["repeat"], "macro_f1")["difference"], tables.evidence.confidence)


def headline_cell(tables: Tables, rows: pd.DataFrame) -> tuple[str, str, int]:
    """Return target, learner and size that sentences speak of: the first with both regimes in two repeats at least, at its largest size."""
    wanted = rows[rows["regime"].isin(["target", "two-stage"])]
    wanted = wanted if len(wanted) else rows
    cells = list(dict.fromkeys(zip(wanted["target"], wanted["learner"], strict=True)))
    repeats = {cell: wanted[(wanted["target"] == cell[0]) & (wanted["learner"] == cell[1])]["repeat"].nunique() for cell in cells}
    target, learner = next((cell for cell in cells if repeats[cell] > 1), cells[0])
    size = wanted.loc[(wanted["target"] == target) & (wanted["learner"] == learner), "size"].max()
    return str(target), str(learner), int(size)


# --- shares ---------------------------------------------------------------------------------------------


def of_emotions(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per row and emotion: a row of two emotions counts for each."""
    return rows.explode("emotions").rename(columns={"emotions": "emotion"}).dropna(subset=["emotion"]).reset_index(drop=True)


def proportion(values: pd.Series, level: float) -> tuple[float, float, float, int]:
    """Return a share with its Wilson interval, and the number of rows behind it."""
    n = len(values)
    if not n:
        return math.nan, math.nan, math.nan, 0
    found = binomtest(int(values.astype(bool).sum()), n)
    interval = found.proportion_ci(confidence_level=level, method="wilson")
    return found.statistic, float(interval.low), float(interval.high), n


def rows_of_text(tables: Tables) -> pd.DataFrame:
    """Return the generated rows.

    Raises
    ------
    Missing
        If there are none.
    """
    rows = tables.pillars.rows
    if rows is None or rows.empty:
        raise Missing("No examples were written (grounding/rows.parquet).")
    return rows


def named_rows(axes: Axes, names: list[str], first: bool = True) -> None:
    """Prepare axes with one named row per mark, the first at the top; names on the first panel only."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    if first:
        axes.set_yticks(range(len(names)), names)
    else:
        axes.set_yticks(range(len(names)), [""] * len(names))
