"""What the figures of the distillation share: cells of the scores table, versions of arms, panels by student."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from emosynth.report.figures.base import Missing, arm_look, bounds
from emosynth.report.numbers import POINTS, Mean, interval, paired, points, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label, current_theme, is_real, learner_label, order_arms

PART = "sentisynth"
VERSION = ["arm", "verified", "labels"]
"""Columns that tell one way to use an arm from another."""
MEAN = ["mean", "low", "high", "repeats"]

Version = tuple[str, bool, str]
SEED: Version = ("seed", False, "hard")
SOFT, HARD, RAW = (True, "soft"), (True, "hard"), (False, "hard")
"""Verified with soft labels, verified with intended labels, and as generated."""


def scored(tables: Tables, sweep: str, what: str, every_size: bool = False) -> pd.DataFrame:
    """Return the scores of a sweep, of each student at its largest size there; real arms are of one version.

    Raises
    ------
    Missing
        If there are none; ``what`` names them for readers.
    """
    if tables.students is None:
        raise Missing("No students were trained (distillation/scores.parquet).")
    rows = tables.students[tables.students["sweep"] == sweep]
    if rows.empty:
        raise Missing(f"The run holds no {what}.")
    rows = rows.assign(verified=rows["verified"].astype(bool) & ~rows["arm"].map(is_real))
    rows["labels"] = rows["labels"].where(~rows["arm"].map(is_real), "hard")
    if not every_size:
        rows = rows[rows["size"] == rows.groupby("student")["size"].transform("max")]
    return rows.reset_index(drop=True)


def seed_of(tables: Tables, rows: pd.DataFrame, student: str, size: int) -> pd.DataFrame:
    """Return the rows of the seed alone in a student's sweep, else, if it was not trained again there, in the main contrast."""
    found = rows[rows["arm"] == "seed"]
    if len(found) or tables.students is None:
        return found
    every = tables.students
    return every[(every["sweep"] == "main") & (every["arm"] == "seed") & (every["student"] == student) & (every["size"] == size)]


def student_order(tables: Tables, rows: pd.DataFrame) -> list[str]:
    """Return the students of some rows, the headline student first."""
    found = set(rows["student"])
    return [name for name in tables.student_names if name in found]


def headline(tables: Tables, rows: pd.DataFrame) -> str:
    """Return the student that sentences speak of: the one judged in the claims, if it has at least two repeats here."""
    students = student_order(tables, rows)
    enough = [name for name in students if rows.loc[rows["student"] == name, "repeat"].nunique() > 1]
    return (enough or students)[0]


def versions(rows: pd.DataFrame) -> list[Version]:
    """Return the versions of arms among rows in display order: by arm, unverified first, intended labels before soft ones."""
    found = {(str(arm), bool(verified), str(labels)) for arm, verified, labels in rows[VERSION].itertuples(index=False)}
    place = {arm: position for position, arm in enumerate(order_arms(arm for arm, _, _ in found))}
    return sorted(found, key=lambda version: (place[version[0]], version[1], version[2]))


def of_version(rows: pd.DataFrame, version: Version) -> pd.DataFrame:
    """Return the rows of one version."""
    arm, verified, labels = version
    return rows[(rows["arm"] == arm) & (rows["verified"] == verified) & (rows["labels"] == labels)]


def version_label(version: Version) -> str:
    """Return the display name of a version, e.g. ``Tuned generator, verified, soft labels``."""
    arm, verified, labels = version
    if is_real(arm):
        return arm_label(arm)
    return ", ".join([arm_label(arm), "verified" if verified else "unverified", *(["soft labels"] if labels == "soft" else [])])


def row_label(version: Version) -> str:
    """Return the display name of a version on two lines, for rows of a figure."""
    return version_label(version).replace(", ", ",\n", 1)


def version_look(version: Version) -> dict[str, Any]:
    """Return colour, marker and fill of a version: hollow if unverified, filled if verified, a star with soft labels."""
    arm, verified, labels = version
    look = arm_look(arm, verified or is_real(arm))
    return {**look, "marker": "*"} if labels == "soft" and verified else look


def gain(rows: pd.DataFrame, student: str, first: Version, second: Version, level: float, value: str = "macro_f1") -> Mean:
    """Return the mean difference of two versions in points, paired by repeat."""
    sides = [dict(zip(["student", *VERSION], [student, *version], strict=True)) for version in (first, second)]
    return summary(paired(rows, sides[0], sides[1], ["repeat"], value)["difference"], level)


def means(
    rows: pd.DataFrame, by: list[str], level: float, value: str = "macro_f1", scale: float = POINTS, extra: Sequence[str] = ()
) -> pd.DataFrame:
    """Return mean and t interval over repeats of each group, in the order in which groups first occur, with means of ``extra`` columns.

    Several rows of one repeat count once, by their mean: the repeat is the unit.
    """
    found = []
    for key, group in rows.groupby(by, sort=False, dropna=False):
        mean = summary(group.groupby("repeat")[value].mean() * scale, level)
        more = [float(group[name].mean()) if name in group else math.nan for name in extra]
        found.append([*(key if isinstance(key, tuple) else (key,)), mean.mean, mean.low, mean.high, mean.n, *more])
    return pd.DataFrame(found, columns=[*by, *MEAN, *extra])


def mean_of(row: Any) -> Mean:
    """Return the mean that a row of a frame holds."""
    return Mean(float(row["mean"]), float(row["low"]), float(row["high"]), int(row["repeats"]))


def said(found: Mean, level: float, sign: bool = True, digits: int = 1) -> str:
    """Write a number with its interval: ``+2.1 points (95 % interval …)``."""
    return f"{points(found.mean, sign=sign, digits=digits)} points ({interval(found, level, sign=sign, digits=digits)})"


def short(student: str) -> str:
    """Return the short name of a student."""
    return learner_label(student, short=True)


def equal_spans(panels: Sequence[Axes], frames: Sequence[pd.DataFrame], horizontal: bool = False) -> None:
    """Give panels of different students axes that span equally many points, so that differences can be compared by eye."""
    # Where some panel has intervals to be trusted, those that have none follow its scale instead of setting it.
    trusted = [bool((frame["repeats"] >= 3).any()) for frame in frames]
    extents = [
        bounds(frame) if good or not any(trusted) else (float(frame["mean"].min()) - 1.0, float(frame["mean"].max()) + 1.0)
        for frame, good in zip(frames, trusted, strict=True)
    ]
    span = max(high - low for low, high in extents)
    for axes, (low, high) in zip(panels, extents, strict=True):
        middle = (low + high) / 2
        (axes.set_xlim if horizontal else axes.set_ylim)(middle - span / 2, middle + span / 2)


def bare_rows(axes: Axes, count: int) -> None:
    """Prepare axes whose rows are named: grid along the values only, first row at the top."""
    axes.set_ylim(count - 0.45, -0.55)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def reference_line(axes: Axes, at: float, horizontal: bool) -> None:
    """Draw the level of the seed alone."""
    draw = axes.axhline if horizontal else axes.axvline
    draw(at, color=current_theme().muted, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
