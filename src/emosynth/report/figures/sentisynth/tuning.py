"""Kinds of tuned generators: how well each predicts held-out seed texts, and what its text is worth to students."""

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
from emosynth.report.figures.sentisynth.common import MEAN, PART, headline, mean_of, means, said, scored, seed_of, short, student_order
from emosynth.report.numbers import POINTS, count, interval, per_cent, points, summary
from emosynth.report.tables import Tables
from emosynth.style import current_theme, is_real, new_figure, order_arms, palette_colour

_LOOKS = ((8, "v"), (6, "P"), (4, "^"), (2, "X"))
_STUDENT_MARKERS = ("o", "s", "^")
_COLUMNS = ["panel", "kind", "size", "epoch", "student", "arm", *MEAN]


def kind_label(kind: str) -> str:
    """Return the name of a kind for readers."""
    known = {"lora": "LoRA", "top-blocks": "top blocks", "all": "all weights", "top2": "top 2 blocks", "top8": "top 8 blocks"}
    return known.get(kind, kind.replace("-", " ").replace("_", " "))


def kind_numbers(tables: Tables) -> pd.DataFrame:
    """Return perplexity by kind and epoch, on the seeds that all kinds compared were tuned on, and the gain of students by kind."""
    history = tables.tuning_history
    if history is None or history.empty:
        raise Missing("No generator was tuned (tuning/history.parquet).")
    level = tables.evidence.confidence
    curves = means(
        _comparable(history).sort_values(["epoch", "repeat"], kind="stable"), ["kind", "size", "epoch"], level, "perplexity", 1.0
    )
    place = {kind: position for position, kind in enumerate(dict.fromkeys(history["kind"]))}
    curves = curves.sort_values("epoch", kind="stable")
    curves = curves.loc[curves["kind"].map(place).sort_values(kind="stable").index].assign(panel="perplexity")
    parts = [curves]
    if tables.tuned is not None and len(tables.tuned):
        # The epoch kept differs between repeats, and stopped repeats drop out of the curve: what was kept is told apart.
        parts.append(means(_comparable(tables.tuned), ["kind", "size"], level, "perplexity", 1.0).assign(panel="kept"))
    parts.append(_gains(tables))
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True).reindex(columns=_COLUMNS)


def _comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows of the largest seed that at least two kinds were tuned on (of the largest at all, if none), common repeats alone."""
    kinds = frame.groupby("size")["kind"].nunique()
    size = max(kinds[kinds > 1].index if (kinds > 1).any() else kinds.index)
    rows = frame[frame["size"] == size]
    return rows[rows["repeat"] <= rows.groupby("kind")["repeat"].max().min()]


def _gains(tables: Tables) -> pd.DataFrame:
    """Return the gain over the seed alone (points) by student and kind, paired by repeat; empty if there is none."""
    try:
        rows = scored(tables, "kind", "comparison of kinds")
    except Missing:
        return pd.DataFrame()
    found: list[list[object]] = []
    for student in student_order(tables, rows):
        of_student = rows[rows["student"] == student]
        size = int(of_student["size"].iloc[0])
        seed = seed_of(tables, of_student, student, size).groupby("repeat")["macro_f1"].mean()
        for arm in [name for name in order_arms(of_student["arm"]) if not is_real(name)]:
            by_repeat = of_student[of_student["arm"] == arm].groupby("repeat")["macro_f1"].mean()
            mean = summary(((by_repeat - seed) * POINTS).dropna(), tables.evidence.confidence)
            if mean.n:
                found.append(["gain", tables.kind_of(arm) or arm, size, student, arm, mean.mean, mean.low, mean.high, mean.n])
    return pd.DataFrame(found, columns=["panel", "kind", "size", "student", "arm", *MEAN])


def paint_kinds(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw perplexity by epoch on the left, the gain over the seed by kind on the right."""
    curves, scores = frame[frame["panel"] == "perplexity"], frame[frame["panel"] == "gain"]
    kinds = list(dict.fromkeys(frame["kind"]))
    looks = {kind: _look(tables, kind, place) for place, kind in enumerate(kinds)}
    fig = new_figure(figures, 3.6)
    panels = fig.subplots(1, 2 if len(scores) else 1, squeeze=False)[0]
    left = panels[0]
    for kind in kinds:
        line = curves[curves["kind"] == kind].sort_values("epoch")
        left.plot(line["epoch"], line["mean"], color=looks[kind]["color"])
        for row in rows_of(line):
            trusted = row.repeats >= 3
            dot_interval(
                left,
                row.epoch,
                row.mean,
                row.low if trusted else float("nan"),
                row.high if trusted else float("nan"),
                looks[kind],
                horizontal=False,
            )
    left.set_yscale("log")
    low, high = float(curves["mean"].min()), float(curves["mean"].max())
    left.set_ylim(low / 1.25, high * 1.25)
    ticks = [tick for tick in (5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000) if low / 1.25 <= tick <= high * 1.25]
    left.set_yticks(ticks, [str(tick) for tick in ticks])
    left.minorticks_off()
    left.set_xticks(sorted({int(epoch) for epoch in curves["epoch"]}))
    left.set_xlabel("epoch (0: before tuning)")
    left.set_title("Held-out perplexity")
    left.set_ylabel("per token (log scale)")
    if len(scores):
        right = panels[1]
        students = list(dict.fromkeys(scores["student"]))
        limits = bounds(scores)
        limits = min(limits[0], 0.0), max(limits[1], 0.0)
        right.set_xlim(limits)
        shown = [kind for kind in kinds if kind in set(scores["kind"])]
        for row in rows_of(scores):
            at = shown.index(row.kind) + 0.22 * (students.index(row.student) - (len(students) - 1) / 2)
            look = {**looks[row.kind], "marker": _STUDENT_MARKERS[students.index(row.student) % 3]}
            dot_interval(right, row.mean, at, row.low, row.high, look, limits=limits)
        right.set_yticks(range(len(shown)), [kind_label(kind) for kind in shown])
        right.set_ylim(len(shown) - 0.5, -0.5)
        right.grid(visible=True, axis="x")
        right.grid(visible=False, axis="y")
        right.set_title("Students on its text")
        zero_line(right)
        right.set_xlabel("gain over the seed (F1 points)")
    ink = {"color": current_theme().muted, "linestyle": "none"}
    entries = [handle(kind_label(kind), looks[kind]) for kind in kinds]
    entries += [
        handle(short(student), {**ink, "marker": _STUDENT_MARKERS[place % 3]}, line=False)
        for place, student in enumerate(dict.fromkeys(scores["student"]))
    ]
    legend_below(fig, entries, 4)
    return fig


def _look(tables: Tables, kind: str, place: int) -> dict[str, object]:
    """Return the look of the arm that a kind writes; a kind that writes none has one of its own."""
    arms = tables.params.synthesis.generation.arms if tables.params is not None else {}
    arm = next((name for name, planned in arms.items() if planned.tuned == kind), None)
    if arm is not None:
        return arm_look(arm, True)
    position, marker = _LOOKS[place % len(_LOOKS)]
    return {"color": palette_colour(position), "marker": marker, "linestyle": "-"}


def kind_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say the kind of lowest perplexity, before and after, what share of weights it trains, and what students make of it."""
    level = tables.evidence.confidence
    curves, scores = frame[frame["panel"] == "perplexity"], frame[frame["panel"] == "gain"]
    after = frame[frame["panel"] == "kept"].reset_index(drop=True)
    if after.empty:
        last = curves["epoch"] == curves.groupby("kind")["epoch"].transform("max")
        after = curves[last].reset_index(drop=True)
    best = after.iloc[int(after["mean"].to_numpy().argmin())]
    before = curves[(curves["kind"] == best["kind"]) & (curves["epoch"] == 0)]
    title = f"Tuning {kind_label(best['kind'])} gives the lowest held-out perplexity, {points(float(best['mean']))}"
    if len(before):
        title += f", from {points(float(before['mean'].iloc[0]))} before tuning"
    title += f", on seeds of n = {int(best['size'])} ({interval(mean_of(best), level)})"
    others = [row for _, row in after.iterrows() if row["kind"] != best["kind"]]
    reading = ["Others: " + "; ".join(f"{kind_label(row['kind'])} {points(float(row['mean']))}" for row in others) + "."] if others else []
    if tables.tuned is not None and len(tables.tuned):
        shares = (tables.tuned["trainable"] / tables.tuned["total"]).groupby(tables.tuned["kind"], sort=False).mean()
        reading.append(
            "Weights trained: " + "; ".join(f"{kind_label(str(kind))} {per_cent(float(part), 1)}" for kind, part in shares.items()) + "."
        )
        reading.append(f"A generator has {count(float(tables.tuned['total'].max()) / 1e6)} million weights.")
    if len(scores):
        student = headline(tables, scored(tables, "kind", "comparison of kinds"))
        of_student = scores[scores["student"] == student]
        parts = "; ".join(f"{kind_label(row['kind'])} {said(mean_of(row), level)}" for _, row in of_student.iterrows())
        reading.append(f"Gain of {short(student)} over the seed alone: {parts}.")
    else:
        reading.append("No students were trained on the text of several kinds.")
    limits = (
        "whether each kind is at its best: learning rates were set beforehand, not searched. Perplexity on a few dozen held-out texts is "
        "noisy, and the epoch kept is the one that does best on just these texts. " + CLIPPED
    )
    return Words(title, reading, limits, "Held-out perplexity by epoch and kind of tuning; beside it, gain of students by kind.")


draw_tuning_kinds = register(FigureSpec("tuning_kinds", "Kinds of tuning", kind_numbers, paint_kinds, kind_words, 170, PART))
