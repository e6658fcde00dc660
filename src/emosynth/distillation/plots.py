"""Figures of steps 07 and 08. The report draws its own, more carefully; these are for reading the notebooks."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.distillation.design import HONEST
from emosynth.stats import t_interval

_NAMES = {
    "tau": "τ: confidence needed",
    "beta": "β: weight of a synthetic row",
    "alpha": "α: weight of the soft labels",
    "temperature": "T: distillation temperature",
    "growth": "synthetic rows per seed row",
    "size": "seed rows",
}


def _points(rows: pd.DataFrame, by: str, column: str = "macro_f1") -> pd.DataFrame:
    found = []
    for value, cell in rows.groupby(by, sort=True):
        interval = t_interval(cell[column])
        found.append({by: value, "mean": cell[column].mean(), "low": interval.low, "high": interval.high})
    return pd.DataFrame(found)


def sweep(scores: pd.DataFrame, name: str) -> Figure:
    """Return macro-F1 against the values of a sweep, one panel a student; mean and t interval over repeats."""
    rows = scores[scores["sweep"] == name]
    students = list(dict.fromkeys(rows["student"]))
    figure = Figure(figsize=(3.4 * len(students) + 0.6, 3.0), layout="constrained")
    panels = figure.subplots(1, len(students), squeeze=False)[0]
    for axes, student in zip(panels, students, strict=True):
        of_student = rows[rows["student"] == student]
        seed = of_student[of_student["arm"] == "seed"]
        grown = _points(of_student[of_student["value"].notna() & ((of_student["arm"] != "seed") | (name == "growth"))], "value")
        axes.errorbar(
            grown["value"],
            grown["mean"],
            yerr=[grown["mean"] - grown["low"], grown["high"] - grown["mean"]],
            fmt="o-",
            markersize=4,
            linewidth=1.2,
        )
        if name == "size":
            base = _points(seed, "value")
            axes.plot(base["value"], base["mean"], "o--", color="#777777", markersize=3, linewidth=1)
        else:
            axes.axhline(seed["macro_f1"].mean(), color="#777777", linewidth=1)
        axes.set(title=student, xlabel=_NAMES.get(name, name))
    panels[0].set_ylabel("macro-F1 on test")
    sns.despine(figure)
    return figure


def ablation(scores: pd.DataFrame) -> Figure:
    """Return, for each defect of the published protocol, the number it would report minus the honest one; mean and t interval."""
    rows = scores[(scores["sweep"] == "ablation") & (scores["variant"] != "")]
    wide = rows.pivot_table(index=["student", "repeat"], columns="variant", values="reported_macro_f1", sort=False)
    change = wide.drop(columns=HONEST).sub(wide[HONEST], axis=0)
    students = list(dict.fromkeys(rows["student"]))
    figure = Figure(figsize=(7, 0.9 + 0.5 * len(change.columns)), layout="constrained")
    axes = figure.subplots()
    for place, (student, colour) in enumerate(zip(students, sns.color_palette("colorblind", len(students)), strict=True)):
        for row, variant in enumerate(change.columns):
            values = 100 * change.loc[student, variant].dropna()
            interval = t_interval(values)
            y = row + 0.18 * (place - (len(students) - 1) / 2)
            axes.plot([interval.low, interval.high], [y, y], color=colour, linewidth=1.2)
            axes.plot(values.mean(), y, "o", color=colour, markersize=5, label=student if row == 0 else None)
    axes.axvline(0, color="#777777", linewidth=0.8)
    axes.set_yticks(range(len(change.columns)), list(change.columns))
    axes.invert_yaxis()
    axes.set(xlabel="change of the reported macro-F1, points")
    axes.legend(fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def gap_gains(gaps: pd.DataFrame, arm: str) -> Figure:
    """Return the gain in accuracy of an arm (verified, soft labels) over the seed alone, by group of test rows, at the largest seed."""
    rows = gaps[gaps["size"] == gaps["size"].max()]
    keys = ["student", "repeat", "grouping", "group"]
    grown = rows[(rows["arm"] == arm) & rows["verified"] & (rows["labels"] == "soft")].set_index(keys)["accuracy"]
    seed = rows[rows["arm"] == "seed"].set_index(keys)["accuracy"]
    gain = (100 * (grown - seed)).dropna().rename("gain").reset_index()
    gain["name"] = gain["grouping"] + ": " + gain["group"].astype(str)
    figure = Figure(figsize=(7, 0.8 + 0.22 * max(1, gain["name"].nunique())), layout="constrained")
    axes = figure.subplots()
    if len(gain):
        dodge = 0.3 if gain["student"].nunique() > 1 else False  # seaborn divides by the number of other students
        sns.pointplot(
            data=gain, x="gain", y="name", hue="student", errorbar=("se", 2), linestyle="none", markersize=4, dodge=dodge, ax=axes
        )
        axes.legend(fontsize=8, frameon=False, title="")
    axes.axvline(0, color="#777777", linewidth=0.8)
    axes.set(xlabel="gain in accuracy, points (bars: two standard errors)", ylabel="")
    sns.despine(figure)
    return figure


def reliability_curves(reliability: pd.DataFrame) -> Figure:
    """Return accuracy against confidence of each teacher at the largest seed, before and after temperature scaling, first repeat."""
    rows = reliability[(reliability["size"] == reliability["size"].max()) & (reliability["repeat"] == 0)]
    teachers = list(dict.fromkeys(rows["teacher"]))
    figure = Figure(figsize=(3.4 * len(teachers) + 0.6, 3.1), layout="constrained")
    panels = figure.subplots(1, len(teachers), sharey=True, squeeze=False)[0]
    for axes, teacher in zip(panels, teachers, strict=True):
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for (kind, scaled), part in rows[rows["teacher"] == teacher].groupby(["rows", "scaled"], sort=False):
            axes.plot(
                part["confidence"], part["accuracy"], "o-" if scaled else "o:", markersize=3, linewidth=1,
                label=f"{kind}, {'after' if scaled else 'before'} scaling",
            )  # fmt: skip
        axes.set(title=f"teacher: {teacher}", xlabel="confidence")
    panels[0].set_ylabel("accuracy")
    panels[0].legend(fontsize=7, frameon=False)
    sns.despine(figure)
    return figure


def acceptance_by_tau(quality: pd.DataFrame) -> Figure:
    """Return acceptance, distinct-2 and soft-label entropy against τ, one line an arm, means over repeats at the largest seed."""
    rows = quality[quality["size"] == quality["size"].max()]
    figure = Figure(figsize=(9, 3.0), layout="constrained")
    for axes, column, label in zip(
        figure.subplots(1, 3),
        ("acceptance", "distinct_2", "soft_label_entropy"),
        ("share accepted", "distinct-2 (equal numbers of texts)", "soft-label entropy, nats"),
        strict=True,
    ):
        sns.lineplot(
            data=rows, x="tau", y=column, hue="arm", errorbar=None, marker="o", markersize=4, legend=column == "acceptance", ax=axes
        )
        axes.set(xlabel="τ", ylabel=label)
    figure.axes[0].legend(fontsize=7, frameon=False, title="")
    sns.despine(figure)
    return figure
