"""Figures of step 04. The report draws its own, more carefully; these are for reading the notebook."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.stats import t_interval


def variant(arm: str, verified: bool) -> str:
    """Return an arm's name with its version of the text."""
    return f"{arm}, verified" if verified else arm


def learning_curves(scores: pd.DataFrame, arms: Sequence[str], confidence: float = 0.95) -> Figure:
    """Return macro-F1 by seed size, one panel a learner; mean and t interval over repeats."""
    learners = list(dict.fromkeys(scores["learner"]))
    figure = Figure(figsize=(3.6 * len(learners) + 1.8, 3.6), layout="constrained")
    panels = figure.subplots(1, len(learners), sharey=True, squeeze=False)[0]
    colours = dict(zip(arms, sns.color_palette("colorblind", len(arms)), strict=True))
    for axes, learner in zip(panels, learners, strict=True):
        of_learner = scores[scores["learner"] == learner]
        for (arm, verified), rows in of_learner[of_learner["arm"].isin(arms)].groupby(["arm", "verified"], sort=False):
            sizes, means, lows, highs = [], [], [], []
            for size, cell in rows.groupby("size", sort=True):
                interval = t_interval(cell["macro_f1"], confidence)
                sizes.append(size)
                means.append(cell["macro_f1"].mean())
                lows.append(means[-1] - interval.low)
                highs.append(interval.high - means[-1])
            style = "-" if verified or arm.startswith(("seed", "real")) else "--"
            axes.errorbar(
                sizes,
                means,
                yerr=[lows, highs],
                fmt=f"o{style}",
                color=colours[str(arm)],
                markersize=4,
                linewidth=1.2,
                elinewidth=0.7,
                label=variant(str(arm), bool(verified)),
            )
        axes.set(title=learner, xlabel="seed rows", xscale="log")
        axes.set_xticks(sorted(of_learner["size"].unique()), [str(size) for size in sorted(of_learner["size"].unique())])
        axes.minorticks_off()
    panels[0].set_ylabel("macro-F1 on test")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def class_scores(per_class: pd.DataFrame, learner: str, arms: Sequence[str]) -> Figure:
    """Return F1 by class of some arms at the learner's largest size; verified text where the arm is generated."""
    rows = per_class[(per_class["learner"] == learner) & per_class["arm"].isin(arms)]
    rows = rows[rows["size"] == rows["size"].max()]
    rows = rows[rows["verified"] | rows["arm"].str.startswith(("seed", "real"))]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    sns.barplot(
        data=rows,
        x="label",
        y="f1",
        hue="arm",
        hue_order=[arm for arm in arms if arm in set(rows["arm"])],
        errorbar="sd",
        palette="colorblind",
        err_kws={"linewidth": 1},
        ax=axes,
    )
    axes.set(xlabel="", ylabel=f"F1 on test ({learner})")
    axes.legend(fontsize=8, frameon=False, title="", ncols=3)
    sns.despine(figure)
    return figure


def calibration(reliability: pd.DataFrame, arms: Sequence[str]) -> Figure:
    """Return accuracy against confidence of the predicted class, one panel a learner, at its largest size."""
    learners = list(dict.fromkeys(reliability["learner"]))
    figure = Figure(figsize=(3.2 * len(learners) + 1.6, 3.3), layout="constrained")
    panels = figure.subplots(1, len(learners), sharey=True, squeeze=False)[0]
    colours = dict(zip(arms, sns.color_palette("colorblind", len(arms)), strict=True))
    for axes, learner in zip(panels, learners, strict=True):
        of_learner = reliability[(reliability["learner"] == learner) & reliability["arm"].isin(arms)]
        of_learner = of_learner[of_learner["size"] == of_learner["size"].max()]
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for (arm, verified), rows in of_learner.groupby(["arm", "verified"], sort=False):
            if verified or str(arm).startswith(("seed", "real")):
                axes.plot(
                    rows["confidence"],
                    rows["accuracy"],
                    "o-",
                    color=colours[str(arm)],
                    markersize=3,
                    linewidth=1,
                    label=variant(str(arm), bool(verified)),
                )
        axes.set(title=learner, xlabel="confidence", xlim=(0, 1), ylim=(0, 1))
    panels[0].set_ylabel("accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
    sns.despine(figure)
    return figure
