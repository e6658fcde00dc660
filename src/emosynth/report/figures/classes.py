"""F1 gains of single classes over the seed alone, under-represented classes marked."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import (
    CLIPPED,
    FigureSpec,
    Missing,
    Words,
    arm_look,
    bounds,
    dot_interval,
    handle,
    legend_below,
    register,
    rows_of,
    zero_line,
)
from emosynth.report.numbers import POINTS, Mean, interval, paired, per_cent, points, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label, is_real, learner_label, new_figure

MINORITY = "◆"


def class_shares(tables: Tables) -> dict[str, float]:
    """Return the share of each class in the training split of the target corpus, else in the seeds."""
    corpus = tables.corpora.get(tables.target)
    if corpus is not None and corpus.classes:
        return corpus.shares()
    if tables.per_class is None:
        return {}
    seed = tables.per_class[tables.per_class["arm"] == "seed"]
    counts = seed.groupby("label")["n_train"].sum()
    return {str(label): float(number) / max(float(counts.sum()), 1.0) for label, number in counts.items()}


def minority_classes(tables: Tables) -> list[str]:
    """Return the classes whose share is below ``evidence.minority_share`` of an even share."""
    shares = class_shares(tables)
    if not shares:
        return []
    limit = tables.evidence.minority_share / len(shares)
    return [label for label, found in shares.items() if found < limit]


def class_gain_numbers(tables: Tables) -> pd.DataFrame:
    """Return the mean gain in F1 (points) over the seed by learner, arm and class, at the learner's largest size."""
    if tables.per_class is None or tables.per_class.empty:
        raise Missing("No scores by class yet (training/per_class.parquet).")
    shares, minority = class_shares(tables), minority_classes(tables)
    rows = []
    for learner in tables.learners:
        size = tables.largest_size(learner)
        for arm in [name for name in tables.headline_arms() if name != "seed"]:
            verified = tables.verified(arm)
            held: dict[str, object] = {"learner": learner, "size": size}
            differences = paired(
                tables.per_class, {**held, "arm": arm, "verified": verified}, {**held, "arm": "seed"}, ["label", "repeat"], "f1", POINTS
            )
            for label, group in differences.groupby("label", sort=True):
                gain = summary(group["difference"], tables.evidence.confidence)
                rows.append(
                    [learner, size, arm, verified, label, shares.get(str(label)), label in minority, gain.mean, gain.low, gain.high, gain.n]
                )
    if not rows:
        raise Missing("No arm was scored by class beside the seed alone.")
    frame = pd.DataFrame(
        rows, columns=["learner", "size", "arm", "verified", "label", "train_share", "minority", "mean", "low", "high", "repeats"]
    )
    return frame


def paint_class_gains(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one panel per learner: classes from rare to common, one dot per arm."""
    learners = list(dict.fromkeys(frame["learner"]))
    arms = list(dict.fromkeys(frame["arm"]))
    order = frame.drop_duplicates("label").sort_values(["train_share", "label"], kind="stable")
    labels = list(order["label"])
    fig = new_figure(figures, 1.6 + len(labels) * (0.24 + 0.13 * len(arms)))
    panels = fig.subplots(1, len(learners), squeeze=False, sharey=True, sharex=True)[0]
    spread = min(0.2, 0.68 / max(len(arms) - 1, 1))
    limits = bounds(frame)
    limits = min(limits[0], 0.0), max(limits[1], 0.0)
    for axes, learner in zip(panels, learners, strict=True):
        zero_line(axes)
        axes.set_xlim(limits)
        rows = frame[frame["learner"] == learner]
        for row in rows_of(rows):
            at = labels.index(row.label) + (arms.index(row.arm) - (len(arms) - 1) / 2) * spread
            dot_interval(
                axes, row.mean, at, row.low, row.high, arm_look(row.arm, row.verified or is_real(row.arm)), size=5.5, limits=limits
            )
        for y in range(1, len(labels)):
            axes.axhline(y - 0.5, color=axes.get_xgridlines()[0].get_color(), linewidth=0.6)
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{learner_label(learner, short=True)}\nn = {rows['size'].iloc[0]}")
        axes.set_xlabel("gain over seed\n(F1 points)")
    names = []
    for row in rows_of(order):
        portion = "" if row.train_share is None or pd.isna(row.train_share) else f" ({per_cent(row.train_share)})"
        names.append(f"{MINORITY + ' ' if row.minority else ''}{row.label}{portion}")
    panels[0].set_yticks(range(len(labels)), names)
    panels[0].set_ylim(len(labels) - 0.48, -0.52)
    legend_below(fig, [handle(arm_label(arm), arm_look(arm), line=False) for arm in arms], 5)
    return fig


def class_gain_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say what the SHAP-guided arm adds for each under-represented class, and for the others on average."""
    level, learner = tables.evidence.confidence, tables.learner
    bound = points(100 * tables.evidence.substantial_gain)
    arm = tables.shap or "naive"
    rows = frame[(frame["learner"] == learner) & (frame["arm"] == arm)]
    rare = rows[rows["minority"]]
    marked = rare
    if rare.empty and len(rows):
        marked = rows.sort_values(["train_share", "label"], kind="stable").head(1)
    title = "F1 gains by class"
    reading = []
    if len(marked) and learner:
        size = int(marked["size"].iloc[0])
        row = marked.sort_values(["train_share", "label"], kind="stable").iloc[0]
        found = Mean(float(row["mean"]), float(row["low"]), float(row["high"]), int(row["repeats"]))
        kind = "the under-represented class" if len(rare) == 1 else "the rarest class"
        title = (
            f"{arm_label(arm)} rows change F1 of {kind} ({row['label']}) by {points(found.mean, sign=True)} points at n = {size} "
            f"({interval(found, level, sign=True)}; {learner_label(learner, short=True)})"
        )
        others = rows[~rows["label"].isin(marked["label"])]
        if len(others):
            reading.append(f"Its mean gain over the other classes is {points(float(others['mean'].mean()), sign=True)} points.")
        real = frame[(frame["learner"] == learner) & (frame["arm"] == "real+1x") & (frame["label"] == row["label"])]
        if len(real):
            other = Mean(float(real["mean"].iloc[0]), float(real["low"].iloc[0]), float(real["high"].iloc[0]), int(real["repeats"].iloc[0]))
            reading.append(f"Real +1× changes it by {points(other.mean, sign=True)} ({interval(other, level, sign=True)}).")
    if rare.empty:
        reading.append(
            f"No class holds less than {per_cent(tables.evidence.minority_share)} of an even share, so that none counts as under-represented here."
        )
    reading.append(f"A gain counts as substantial from {bound} points.")
    limits = (
        "whether a rare class gained because of better text or because generated rows are balanced over classes while the seed is not: "
        f"compare with the balanced real rows. {MINORITY} marks under-represented classes; the share of training rows is in parentheses. "
        + CLIPPED
    )
    return Words(title, reading, limits, "Dots with intervals of the F1 gain of every class, one colour per arm, one panel per learner.")


draw_class_gains = register(FigureSpec("class_gains", "Gains by class", class_gain_numbers, paint_class_gains, class_gain_words, 40))
