"""Calibration: whether a learner's confidence can be believed."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import FigureSpec, Missing, Words, arm_look, handle, legend_below, register
from emosynth.report.numbers import interval, points, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label, current_theme, is_real, learner_label, new_figure


def calibration_numbers(tables: Tables) -> pd.DataFrame:
    """Return reliability by learner, arm and confidence bin (pooled over what the table holds), headline arms only."""
    if tables.reliability is None or tables.reliability.empty:
        raise Missing("No calibration table yet (training/reliability.parquet).")
    rows = tables.reliability
    keep = [arm for arm in tables.headline_arms() if arm in set(rows["arm"])]
    parts = []
    for learner in [name for name in tables.learners if name in set(rows["learner"])]:
        of_learner = rows[rows["learner"] == learner]
        if "size" in rows:
            of_learner = of_learner[of_learner["size"] == of_learner["size"].max()]
        for arm in keep:
            found = of_learner[(of_learner["arm"] == arm) & (of_learner["verified"] == tables.verified(arm)) & (of_learner["count"] > 0)]
            weighted = found.assign(confidence=found["confidence"] * found["count"], accuracy=found["accuracy"] * found["count"])
            pooled = weighted.groupby("bin", sort=True)[["confidence", "accuracy", "count"]].sum().reset_index()
            pooled["confidence"] /= pooled["count"]
            pooled["accuracy"] /= pooled["count"]
            parts.append(pooled.assign(learner=learner, arm=arm, verified=tables.verified(arm)))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if frame.empty:
        raise Missing("The calibration table holds none of the headline arms.")
    return frame[["learner", "arm", "verified", "bin", "confidence", "accuracy", "count"]]


def paint_calibration(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw reliability diagrams; bins with few texts have small dots."""
    theme = current_theme()
    learners = list(dict.fromkeys(frame["learner"]))
    arms = list(dict.fromkeys(frame["arm"]))
    fig = new_figure(figures, 1.2 + min(3.0, (figures.width - 0.6) / len(learners)))
    panels = fig.subplots(1, len(learners), squeeze=False, sharey=True, sharex=True)[0]
    for axes, learner in zip(panels, learners, strict=True):
        axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1.0, linestyle=(0, (1, 2)))
        rows = frame[frame["learner"] == learner]
        for arm in arms:
            line = rows[rows["arm"] == arm].sort_values("confidence")
            look = arm_look(arm)
            axes.plot(line["confidence"], line["accuracy"], color=look["color"], alpha=0.9, linewidth=1.3)
            largest = max(float(rows["count"].max()), 1.0)
            sizes = 8 + 60 * line["count"] / largest
            axes.scatter(line["confidence"], line["accuracy"], s=sizes, color=look["color"], marker=look["marker"], linewidths=0, zorder=3)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.grid(axis="both")
        axes.set_title(learner_label(learner, short=True))
        axes.set_xlabel("stated confidence")
    panels[0].set_ylabel("share correct")
    legend_below(fig, [handle(arm_label(arm), arm_look(arm)) for arm in arms], 5)
    return fig


def calibration_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say the expected calibration error of seed, naïve and SHAP-guided rows at the largest size."""
    learner, level = tables.learner, tables.evidence.confidence
    size = tables.largest_size(learner)
    found = {}
    if tables.scores is not None and learner is not None:
        at = tables.scores[(tables.scores["learner"] == learner) & (tables.scores["size"] == size)]
        for arm in tables.headline_arms():
            rows = at[(at["arm"] == arm) & (at["verified"] == tables.verified(arm))]
            mean = summary(rows["ece"], level)
            if mean.n:
                found[arm] = mean
    title = "Calibration of the learners"
    reading = []
    if found and learner:
        arm = tables.shap if tables.shap in found else next(iter(found))
        assert arm is not None
        seed = found.get("seed")
        title = f"Calibration error with {arm_label(arm)} rows is {points(found[arm].mean, digits=3)}"
        if seed and not is_real(arm):
            title += f", with the seed alone {points(seed.mean, digits=3)}"
        title += f", at n = {size} ({learner_label(learner, short=True)})"
        reading.append(
            "Expected calibration error, 0 being perfect: "
            + "; ".join(
                f"{arm_label(name)} {points(mean.mean, digits=3)} ({interval(mean, level, digits=3)})" for name, mean in found.items()
            )
            + "."
        )
    reading.append(
        "On the dotted line, of texts predicted with confidence 0.8 eight in ten are right; below it, a learner is too sure of itself."
    )
    limits = (
        "how calibration varies between repeats (bins pool them), or calibration of single classes. Larger dots stand for more test texts."
    )
    return Words(
        title, reading, limits, "Reliability diagrams: share of correct predictions against stated confidence, one panel per learner."
    )


draw_calibration = register(FigureSpec("calibration", "Calibration", calibration_numbers, paint_calibration, calibration_words, 70))
