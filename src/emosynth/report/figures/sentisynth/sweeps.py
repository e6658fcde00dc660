"""Sweeps: one setting varied at a time around the headline setting, at the largest seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import (
    CLIPPED,
    FigureSpec,
    Missing,
    Words,
    arm_look,
    dot_interval,
    handle,
    legend_below,
    register,
    rows_of,
)
from emosynth.report.figures.sentisynth.common import (
    HARD,
    MEAN,
    PART,
    RAW,
    SEED,
    SOFT,
    VERSION,
    Version,
    equal_spans,
    gain,
    headline,
    mean_of,
    means,
    of_version,
    reference_line,
    said,
    scored,
    seed_of,
    short,
    student_order,
    version_label,
    version_look,
    versions,
)
from emosynth.report.numbers import Mean, count, interval, per_cent, points, summary
from emosynth.report.tables import Tables
from emosynth.style import current_theme, new_figure


@dataclass(frozen=True)
class Sweep:
    """One varied setting: its symbol, what it is in words, and the value published as best."""

    name: str
    symbol: str
    what: str
    published: float | None


TAU = Sweep("tau", "τ", "confidence threshold τ", 0.7)
BETA = Sweep("beta", "β", "weight β of a synthetic row", 0.3)
ALPHA = Sweep("alpha", "α", "share α of the soft-label loss", 0.8)
TEMPERATURE = Sweep("temperature", "T", "temperature T of distillation", 2.0)
GROWTH = Sweep("growth", "growth", "synthetic rows per seed row", 20.0)

_SEED = "seed alone"


def sweep_numbers(tables: Tables, sweep: Sweep) -> pd.DataFrame:
    """Return mean macro-F1 (points) by student and value; rows without a value (panel "seed alone") are the baseline."""
    rows = scored(tables, sweep.name, f"sweep of the {sweep.what}")
    level = tables.evidence.confidence
    parts = []
    for student in student_order(tables, rows):
        of_student = rows[rows["student"] == student]
        # A growth of 0 is the seed alone: a point of the curve. In the other sweeps the seed is a level beside it.
        point = (of_student["arm"] != "seed") | ((sweep.name == "growth") & (of_student["value"] == 0))
        curve = of_student[point].sort_values(["value", "repeat"], kind="stable")
        if curve.empty:
            continue
        extra = ["n_real", "n_synthetic", "n_wanted"]
        found = means(curve, ["student", "size", "value"], level, extra=extra).assign(panel="curve")
        seed = seed_of(tables, of_student, student, int(of_student["size"].iloc[0]))
        if len(seed):
            base = means(seed.assign(value=np.nan), ["student", "size", "value"], level, extra=extra).assign(panel=_SEED)
            found = pd.concat([found, base], ignore_index=True)
        parts.append(found)
    if not parts:
        raise Missing(f"The run holds no sweep of the {sweep.what}.")
    frame = pd.concat(parts, ignore_index=True).assign(sweep=sweep.name)
    return frame[["sweep", "panel", "student", "size", "value", *MEAN, *extra]]


def _positions(axes: Axes, values: list[float]) -> dict[float, float]:
    """Place values on the axis: evenly, in order, since the values tried are seldom evenly spaced."""
    axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axes.set_xlim(-0.5, len(values) - 0.5)
    return {value: float(place) for place, value in enumerate(values)}


def paint_curve(axes: Axes, frame: pd.DataFrame, look: dict[str, object], values: list[float]) -> None:
    """Draw the curve of one student, with intervals, and the level of the seed alone."""
    place = _positions(axes, values)
    curve = frame[frame["panel"] == "curve"].sort_values("value")
    axes.plot([place[float(value)] for value in curve["value"]], curve["mean"], color=look["color"], linestyle=look["linestyle"], alpha=0.9)
    for row in rows_of(curve):
        dot_interval(axes, place[float(row.value)], row.mean, row.low, row.high, look, size=6.0, horizontal=False, limits=axes.get_ylim())
    seed = frame[frame["panel"] == _SEED]
    if len(seed):
        reference_line(axes, float(seed["mean"].iloc[0]), horizontal=True)


def _values(frame: pd.DataFrame) -> list[float]:
    return sorted({float(value) for value in frame.loc[frame["panel"] == "curve", "value"]})


def _paint(frame: pd.DataFrame, tables: Tables, figures: Figures, sweep: Sweep) -> Figure:
    students = list(dict.fromkeys(frame["student"]))
    fig = new_figure(figures, 3.4)
    panels = fig.subplots(1, len(students), squeeze=False)[0]
    frames = [frame[frame["student"] == student] for student in students]
    equal_spans(list(panels), frames)
    for axes, student, rows in zip(panels, students, frames, strict=True):
        paint_curve(axes, rows, _look(tables), _values(frame))
        axes.set_title(f"{short(student)}, n = {int(rows['size'].iloc[0])}")
        axes.set_xlabel(sweep.what)
    panels[0].set_ylabel("macro-F1 (points)")
    return fig


def _look(tables: Tables) -> dict[str, object]:
    return arm_look(tables.grown, True)


def _best(frame: pd.DataFrame, student: str) -> pd.Series:
    curve = frame[(frame["student"] == student) & (frame["panel"] == "curve")].reset_index(drop=True)
    return curve.iloc[int(curve["mean"].to_numpy().argmax())]


def value_difference(rows: pd.DataFrame, student: str, first: float, second: float, level: float) -> Mean:
    """Return the mean difference (points) of two values of a sweep, paired by repeat."""
    curve = rows[(rows["student"] == student) & ((rows["arm"] != "seed") | (rows["value"] == 0))]
    by_repeat = curve.pivot_table(index="repeat", columns="value", values="macro_f1", aggfunc="mean")
    if first not in by_repeat or second not in by_repeat:
        return summary([], level)
    return summary(((by_repeat[first] - by_repeat[second]) * 100).dropna(), level)


def _words(frame: pd.DataFrame, tables: Tables, sweep: Sweep) -> tuple[str, list[str]]:
    """Return title and reading common to all sweeps: the best value by mean, against the published and the other values."""
    level = tables.evidence.confidence
    rows = scored(tables, sweep.name, sweep.what)
    rows = rows[rows["student"].isin(set(frame["student"]))]
    student = headline(tables, rows)
    best = _best(frame, student)
    value, size = float(best["value"]), int(best["size"])
    others = [other for other in _values(frame[frame["student"] == student]) if other != value]
    reference = sweep.published if sweep.published in others else None
    curve = frame[(frame["student"] == student) & (frame["panel"] == "curve") & (frame["value"] != value)].reset_index(drop=True)
    second = float(curve["value"].iloc[int(curve["mean"].to_numpy().argmax())]) if len(curve) else None
    other = reference if reference is not None else second
    title = f"{sweep.symbol} = {value:g} has the highest mean macro-F1, {points(float(best['mean']))} points"
    if other is not None:
        found = value_difference(rows, student, value, other, level)
        title += f"; over {sweep.symbol} = {other:g}{' (published)' if reference is not None else ', the next,'} that is {points(found.mean, sign=True)} ({interval(found, level, sign=True)})"
    title += f", at n = {size}, {short(student)}"
    reading = []
    seed = frame[(frame["student"] == student) & (frame["panel"] == _SEED)]
    if len(seed):
        reading.append(f"The dotted line is the seed alone, {points(float(seed['mean'].iloc[0]))} points.")
    for name in [name for name in dict.fromkeys(frame["student"]) if name != student]:
        also = _best(frame, name)
        reading.append(
            f"With {short(name)} the highest mean is at {sweep.symbol} = {float(also['value']):g}: {points(float(also['mean']))} "
            f"({interval(mean_of(also), level)})."
        )
    reading.append(
        "The highest of several means is picked by looking, so that its lead is flattered; the table of claims tests what was claimed."
    )
    return title, reading


_LIMITS = "how settings act together: one is varied at a time, the others stay at the headline setting. "


# --- beta -----------------------------------------------------------------------------------------------


def _beta_words(frame: pd.DataFrame, tables: Tables) -> Words:
    title, reading = _words(frame, tables, BETA)
    return Words(title, reading, _LIMITS + CLIPPED, "Macro-F1 against the weight of a synthetic row, one panel per student.")


draw_sweep_beta = register(
    FigureSpec(
        "sweep_beta",
        "Weight of synthetic rows",
        lambda tables: sweep_numbers(tables, BETA),
        lambda frame, tables, figures: _paint(frame, tables, figures, BETA),
        _beta_words,
        130,
        PART,
    )
)


# --- alpha and temperature -----------------------------------------------------------------------------


def loss_numbers(tables: Tables) -> pd.DataFrame:
    """Return the sweeps of the loss's two settings, those that the run has."""
    parts = []
    for sweep in (ALPHA, TEMPERATURE):
        try:
            parts.append(sweep_numbers(tables, sweep))
        except Missing:
            continue
    if not parts:
        raise Missing("The run holds no sweep of α or T (distillation/scores.parquet).")
    return pd.concat(parts, ignore_index=True)


def paint_loss(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw alpha on the left and temperature on the right, one row of panels per student."""
    students, sweeps = list(dict.fromkeys(frame["student"])), list(dict.fromkeys(frame["sweep"]))
    fig = new_figure(figures, 0.9 + 2.1 * len(students))
    grid = fig.subplots(len(students), len(sweeps), squeeze=False, sharey="row")
    equal_spans([panels[0] for panels in grid], [frame[frame["student"] == student] for student in students])
    for panels, student in zip(grid, students, strict=True):
        for axes, name in zip(panels, sweeps, strict=True):
            rows = frame[(frame["student"] == student) & (frame["sweep"] == name)]
            sweep = ALPHA if name == "alpha" else TEMPERATURE
            if rows.empty:
                axes.set_axis_off()
                continue
            paint_curve(axes, rows, _look(tables), _values(frame[frame["sweep"] == name]))
            axes.set_title(f"{short(student)}, n = {int(rows['size'].iloc[0])}")
            axes.set_xlabel(sweep.what)
        panels[0].set_ylabel("macro-F1 (points)")
    return fig


def _loss_words(frame: pd.DataFrame, tables: Tables) -> Words:
    titles, reading = [], []
    for sweep in (ALPHA, TEMPERATURE):
        rows = frame[frame["sweep"] == sweep.name]
        if len(rows):
            title, sentences = _words(rows, tables, sweep)
            titles.append(title)
            reading += sentences
    first, *more = titles
    if ALPHA.name in set(frame["sweep"]):
        reading.insert(0, "α = 0 learns from hard labels alone, α = 1 from soft labels alone.")
    return Words(
        first,
        [*(title + "." for title in more), *dict.fromkeys(reading)],
        _LIMITS + CLIPPED,
        "Macro-F1 against the share of the soft-label loss and against the temperature, one row of panels per student.",
    )


draw_sweep_alpha_temperature = register(
    FigureSpec("sweep_alpha_temperature", "Soft-label loss and temperature", loss_numbers, paint_loss, _loss_words, 140, PART)
)


# --- tau -----------------------------------------------------------------------------------------------

QUALITY = {
    "acceptance": "candidates accepted (%)",
    "distinct": "distinct words and pairs",
    "soft_label_entropy": "soft-label entropy (nats)",
}


def tau_numbers(tables: Tables) -> pd.DataFrame:
    """Return the sweep of τ, and what each τ does to the accepted text: acceptance (%), distinct-1 and -2, entropy (nats)."""
    frame = sweep_numbers(tables, TAU)
    quality = tables.quality
    if quality is None or quality.empty:
        return frame
    rows = quality[quality["arm"] == tables.grown]
    rows = rows[rows["size"] == rows["size"].max()].sort_values(["tau", "repeat"], kind="stable").rename(columns={"tau": "value"})
    rows = rows[rows["value"].isin(_values(frame))]
    level = tables.evidence.confidence
    parts = [frame]
    for column, scale in (("acceptance", 100.0), ("distinct_1", 1.0), ("distinct_2", 1.0), ("soft_label_entropy", 1.0)):
        if column in rows and rows[column].notna().any():
            parts.append(means(rows, ["size", "value"], level, column, scale).assign(sweep="tau", panel=column))
    return pd.concat(parts, ignore_index=True)[list(frame.columns)]


def paint_tau(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw macro-F1 by student above, and what τ does to the accepted text below."""
    scores = frame[frame["panel"].isin(["curve", _SEED])]
    students = list(dict.fromkeys(scores["student"]))
    quality = frame[~frame["panel"].isin(["curve", _SEED])]
    fig = new_figure(figures, 3.2 if quality.empty else 5.6)
    columns = 6
    grid = fig.add_gridspec(1 if quality.empty else 2, columns, height_ratios=[1] if quality.empty else [1.35, 1])
    width = columns // len(students)
    panels = [fig.add_subplot(grid[0, place * width : (place + 1) * width]) for place in range(len(students))]
    frames = [scores[scores["student"] == student] for student in students]
    equal_spans(panels, frames)
    values = _values(frame)
    for axes, student, rows in zip(panels, students, frames, strict=True):
        paint_curve(axes, rows, _look(tables), values)
        axes.set_title(f"{short(student)}, n = {int(rows['size'].iloc[0])}")
        axes.set_xlabel("confidence threshold τ")
    panels[0].set_ylabel("macro-F1 (points)")
    if quality.empty:
        return fig
    for place, (name, label) in enumerate(QUALITY.items()):
        axes = fig.add_subplot(grid[1, 2 * place : 2 * place + 2])
        where = _positions(axes, values)
        for panel, style, marker in ((name, "-", "o"), (f"{name}_1", "-", "o"), (f"{name}_2", (0, (3.5, 1.8)), "s")):
            rows = quality[quality["panel"] == panel].sort_values("value")
            if rows.empty:
                continue
            look = {"color": current_theme().ink, "marker": marker, "markerfacecolor": current_theme().ink, "linestyle": style}
            x = [where[float(value)] for value in rows["value"]]
            axes.plot(x, rows["mean"], color=look["color"], linestyle=style, linewidth=1.2)
            for at, row in zip(x, rows_of(rows), strict=True):
                # A t interval of very few repeats can leave the range that a share can have.
                top = {"acceptance": 100.0, "soft_label_entropy": float("inf")}.get(name, 1.0)
                dot_interval(axes, at, row.mean, max(row.low, 0.0), min(row.high, top), look, size=4.0, horizontal=False)
            if panel.startswith("distinct"):
                axes.annotate(
                    panel.replace("_", "-"), (x[-1], float(rows["mean"].iloc[-1])), xytext=(0, 7), textcoords="offset points", ha="right",
                    fontsize=0.85 * figures.font_size,
                )  # fmt: skip
        axes.set_title(label, fontsize=0.9 * figures.font_size)
        axes.set_xlabel("τ")
        axes.margins(y=0.18)
    return fig


def _tau_words(frame: pd.DataFrame, tables: Tables) -> Words:
    title, reading = _words(frame[frame["panel"].isin(["curve", _SEED])], tables, TAU)
    kept = frame[frame["panel"] == "acceptance"].sort_values("value")
    if len(kept) > 1:
        low, high = kept.iloc[0], kept.iloc[-1]
        reading.append(
            f"From τ = {low['value']:g} to τ = {high['value']:g} the share of candidates accepted goes from {per_cent(low['mean'] / 100)} to "
            f"{per_cent(high['mean'] / 100)}."
        )
    for column, name, digits in (("distinct_2", "distinct-2", 2), ("soft_label_entropy", "mean entropy of soft labels", 2)):
        found = frame[frame["panel"] == column].sort_values("value")
        if len(found) > 1:
            reading.append(
                f"The {name} goes from {points(float(found['mean'].iloc[0]), digits=digits)} to {points(float(found['mean'].iloc[-1]), digits=digits)}."
            )
    curve = frame[(frame["panel"] == "curve")]
    rows = curve["n_synthetic"].dropna()
    limits = _LIMITS
    if len(rows) and rows.min() < 0.95 * rows.max():
        limits += (
            f"A high τ leaves fewer rows ({count(rows.min())} to {count(rows.max())} here), so that this curve holds the effect of both. "
        )
    elif len(rows):
        reading.append(f"Every τ is given equally many synthetic rows, {count(float(rows.mean()))} on average over repeats.")
        limits += "What a high τ costs in rows is not in this curve either. "
    if tables.quality is not None and "n_texts" in tables.quality:
        limits += "Distinct-n is taken on equally many texts at every τ. "
    return Words(
        title, reading, limits + CLIPPED, "Macro-F1 against the confidence threshold; below, acceptance, diversity and entropy against it."
    )


draw_sweep_tau = register(FigureSpec("sweep_tau", "Confidence threshold", tau_numbers, paint_tau, _tau_words, 120, PART))


# --- growth --------------------------------------------------------------------------------------------


def _growth_words(frame: pd.DataFrame, tables: Tables) -> Words:
    level = tables.evidence.confidence
    rows = scored(tables, "growth", GROWTH.what)
    rows = rows[rows["student"].isin(set(frame["student"]))]
    student = headline(tables, rows)
    curve = frame[(frame["student"] == student) & (frame["panel"] == "curve")].sort_values("value")
    values = [float(value) for value in curve["value"]]
    last = values[-1]
    before = max((value for value in values[:-1] if 0 < value <= last / 2), default=values[-2] if len(values) > 1 else last)
    title = f"Macro-F1 with up to {last:g} synthetic rows per seed row"
    reading = []
    if before != last:
        found = value_difference(rows, student, last, before, level)
        title = (
            f"Going from {before:g}× to {last:g}× synthetic rows changes macro-F1 by {points(found.mean, sign=True)} points "
            f"({interval(found, level, sign=True)}; {short(student)}, n = {int(curve['size'].iloc[0])})"
        )
    for first, after in pairwise(values):
        if (first, after) != (before, last):
            reading.append(f"From {first:g}× to {after:g}×: {said(value_difference(rows, student, after, first, level), level)}.")
    had = float(curve["n_synthetic"].iloc[-1]) / float(curve["size"].iloc[-1])
    if had < 0.95 * last:
        reading.append(f"At {last:g}× only {points(had)} rows per seed row were accepted.")
    reading.append("0 is the seed alone.")
    limits = _LIMITS + f"Nor what happens beyond {last:g}×; the published curve runs to 20× and more. " + CLIPPED
    return Words(title, reading, limits, "Macro-F1 against synthetic rows per seed row, one panel per student.")


draw_sweep_growth = register(
    FigureSpec(
        "sweep_growth",
        "Growth",
        lambda tables: sweep_numbers(tables, GROWTH),
        lambda frame, tables, figures: _paint(frame, tables, figures, GROWTH),
        _growth_words,
        150,
        PART,
    )
)


# --- size of the seed --------------------------------------------------------------------------------------


def size_numbers(tables: Tables) -> pd.DataFrame:
    """Return the gain over the seed alone (points) by student, size and version of the grown arm."""
    try:
        rows = scored(tables, "size", "sweep of the seed's size", every_size=True)
    except Missing:
        rows = scored(tables, "main", "sweep of the seed's size", every_size=True)
    level, found = tables.evidence.confidence, []
    for student in student_order(tables, rows):
        for version in [version for version in versions(rows) if version[0] == tables.grown]:
            for size in sorted({int(size) for size in rows.loc[rows["student"] == student, "size"]}):
                mean = gain(rows[rows["size"] == size], student, version, SEED, level)
                if mean.n:
                    used = of_version(rows[(rows["size"] == size) & (rows["student"] == student)], version)["n_synthetic"].mean()
                    found.append([student, size, *version, mean.mean, mean.low, mean.high, mean.n, float(used)])
    if not found:
        raise Missing("The grown arm and the seed alone were not trained on the same seeds.")
    return pd.DataFrame(found, columns=["student", "size", *VERSION, *MEAN, "n_synthetic"])


def paint_size(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw the gain by size, one line per version and one panel per student."""
    students, shown = list(dict.fromkeys(frame["student"])), versions(frame)
    sizes = sorted({int(size) for size in frame["size"]})
    fig = new_figure(figures, 3.5)
    panels = fig.subplots(1, len(students), squeeze=False)[0]
    frames = [frame[frame["student"] == student] for student in students]
    equal_spans(list(panels), [rows if (rows["mean"] == 0).any() else pd.concat([rows, rows.iloc[:1].assign(mean=0.0)]) for rows in frames])
    for axes, student, rows in zip(panels, students, frames, strict=True):
        reference_line(axes, 0.0, horizontal=True)
        for place, version in enumerate(shown):
            line = of_version(rows, version).sort_values("size")
            shift = 0.09 * (place - (len(shown) - 1) / 2)
            x = [sizes.index(int(size)) + shift for size in line["size"]]
            look = version_look(version)
            axes.plot(x, line["mean"], color=look["color"], linestyle=look["linestyle"], alpha=0.9)
            for at, row in zip(x, rows_of(line), strict=True):
                dot_interval(
                    axes,
                    at,
                    row.mean,
                    row.low,
                    row.high,
                    look,
                    size=9.0 if row.labels == "soft" else 6.0,
                    horizontal=False,
                    limits=axes.get_ylim(),
                )
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set_xlim(-0.5, len(sizes) - 0.5)
        axes.set_title(short(student))
        axes.set_xlabel("seed size n (real rows)")
    panels[0].set_ylabel("gain over the seed (F1 points)")
    legend_below(fig, [handle(version_label(version), version_look(version)) for version in shown], 3)
    return fig


def _size_words(frame: pd.DataFrame, tables: Tables) -> Words:
    level = tables.evidence.confidence
    shown = versions(frame)
    version: Version = next(((tables.grown, *kind) for kind in (SOFT, HARD, RAW) if (tables.grown, *kind) in shown), shown[0])
    rows = of_version(frame, version)
    names = [name for name in tables.student_names if name in set(rows["student"])]
    student = max(
        names,
        key=lambda name: (rows.loc[rows["student"] == name, "repeats"].max() > 1, rows.loc[rows["student"] == name, "size"].nunique()),
    )
    line = rows[rows["student"] == student].sort_values("size")
    parts = [
        f"{points(float(row['mean']), sign=True)} at n = {int(row['size'])} ({interval(mean_of(row), level, sign=True)})"
        for _, row in line.iterrows()
    ]
    title = f"Gain over the seed alone, {version_label(version)}, {short(student)}: " + "; ".join(parts)
    reading = [
        f"{short(name)}: "
        + "; ".join(
            f"{points(float(row['mean']), sign=True)} at n = {int(row['size'])}" for _, row in rows[rows["student"] == name].iterrows()
        )
        + "."
        for name in names
        if name != student
    ]
    if len(line) == 1:
        reading.append("The run has one seed size only.")
    limits = (
        "seeds as large as a usual training set, where gains are known to shrink; and the generator is tuned on the seed too, so that with a "
        "larger seed its text improves along with the classifier. " + CLIPPED
    )
    return Words(title, reading, limits, "Gain in macro-F1 over the seed alone against the size of the seed, one panel per student.")


draw_seed_size = register(FigureSpec("seed_size", "Size of the seed", size_numbers, paint_size, _size_words, 160, PART))
