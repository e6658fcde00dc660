"""Two-stage training: macro-F1 by seed size and regime, and what pre-training adds to the target alone."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import (
    CLIPPED,
    FigureSpec,
    Missing,
    Words,
    bounds,
    dot_interval,
    handle,
    legend_below,
    register,
    rows_of,
    zero_line,
)
from emosynth.report.figures.pillars.common import (
    COMPARED,
    PART,
    REGIMES,
    against,
    gain_of,
    headline_arm,
    headline_cell,
    is_headline,
    learner_name,
    named_rows,
    pillar_look,
    regime_look,
    transferred,
)
from emosynth.report.figures.sentisynth.common import MEAN, equal_spans, mean_of, means, said
from emosynth.report.numbers import count, interval, points
from emosynth.report.tables import Tables
from emosynth.style import arm_label, new_figure

# --- levels ---------------------------------------------------------------------------------------------


def transfer_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean macro-F1 (points) by target, learner, regime and size, with the rows of the headline arm; size 0: no seed."""
    rows = transferred(tables)
    rows = rows[rows["regime"].isin(COMPARED) & is_headline(tables, rows)]
    if rows.empty:
        raise Missing("No model was tuned on a target.")
    parts = [rows[rows["regime"] == regime].sort_values("size", kind="stable") for regime in COMPARED]
    frame = means(pd.concat(parts), ["target", "learner", "regime", "size"], tables.evidence.confidence, extra=["n_real", "n_synthetic"])
    order = {cell: place for place, cell in enumerate(dict.fromkeys(zip(rows["target"], rows["learner"], strict=True)))}
    place = pd.Series([order[cell] for cell in zip(frame["target"], frame["learner"], strict=True)], index=frame.index)
    return frame.loc[place.sort_values(kind="stable").index].reset_index(drop=True)


def paint_transfer(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one row of panels per target, one column per learner; generated rows alone are a dotted line."""
    targets, learners = list(dict.fromkeys(frame["target"])), list(dict.fromkeys(frame["learner"]))
    fig = new_figure(figures, 0.9 + 2.5 * len(targets))
    grid = fig.subplots(len(targets), len(learners), squeeze=False)
    sizes = sorted({int(size) for size in frame["size"] if size > 0}) or [0]
    present = [regime for regime in COMPARED if regime in set(frame["regime"])]
    lines = len(set(present) - {"zero-shot"})  # that one comes last
    for panels, target in zip(grid, targets, strict=True):
        frames = [frame[(frame["target"] == target) & (frame["learner"] == learner)] for learner in learners]
        run = [(axes, rows) for axes, rows in zip(panels, frames, strict=True) if len(rows)]
        equal_spans([axes for axes, _ in run], [rows for _, rows in run])
        for axes, rows, learner in zip(panels, frames, learners, strict=True):
            axes.set_title(f"{target}\n{learner_name(learner)}", fontsize=0.9 * figures.font_size)
            if rows.empty:
                axes.text(0.5, 0.5, "not run", ha="center", va="center", transform=axes.transAxes)
                axes.set_axis_off()
                continue
            for place, regime in enumerate(present):
                line, look = rows[rows["regime"] == regime], regime_look(regime)
                if regime == "zero-shot":
                    for level in line["mean"]:
                        axes.axhline(level, color=look["color"], linestyle=(0, (1, 1.5)), linewidth=1.6)
                    continue
                x = [sizes.index(int(size)) + 0.1 * (place - (lines - 1) / 2) for size in line["size"]]
                axes.plot(x, line["mean"], color=look["color"], alpha=0.9)
                for at, row in zip(x, rows_of(line), strict=True):
                    dot_interval(axes, at, row.mean, row.low, row.high, look, size=5.5, horizontal=False, limits=axes.get_ylim())
            axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
            axes.set_xlim(-0.5, len(sizes) - 0.5)
            if target == targets[-1]:
                axes.set_xlabel("seed size n (real rows)")
        panels[0].set_ylabel("macro-F1 (points)")
    handles = [
        handle(REGIMES[name], {**regime_look(name), **({"linestyle": (0, (1, 1.5)), "marker": ""} if name == "zero-shot" else {})})
        for name in present
    ]
    legend_below(fig, handles, 2)
    return fig


def transfer_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say what two-stage training reaches at the headline cell, and what each regime is worth there."""
    level, rows, arm = tables.evidence.confidence, transferred(tables), headline_arm(tables)
    target, learner, size = headline_cell(tables, rows)
    cell = frame[(frame["target"] == target) & (frame["learner"] == learner)]
    at = cell[(cell["size"] == size) | (cell["size"] == 0)].drop_duplicates("regime").set_index("regime")
    title = f"Macro-F1 of {len(set(frame['regime']))} ways to train on a target"
    if {"target", "two-stage"} <= set(at.index):
        two = mean_of(at.loc["two-stage"])
        title = (
            f"Generated rows first, then {size} of {target}: {points(two.mean)} points of macro-F1 ({interval(two, level)}); "
            f"the target's rows alone: {points(mean_of(at.loc['target']).mean)} ({learner_name(learner)}, n = {size})"
        )
    reading = []
    for regime in ("target-long", "joint", "zero-shot"):
        if regime in at.index:
            found = mean_of(at.loc[regime])
            value = f"{points(found.mean)} points (one model, no interval)" if regime == "zero-shot" else said(found, level, sign=False)
            reading.append(f"{REGIMES[regime]}: {value}.")
    order = gain_of(tables, rows, target, learner, size, ("two-stage", arm), ("joint", arm))
    if order.n:
        reading.append(f"Two stages minus both at once is {said(order, level)}: what the order of training is worth.")
    with_rows = cell[cell["regime"] == "two-stage"]
    if len(with_rows) and with_rows["n_synthetic"].notna().all():
        reading.append(f"Pre-training saw {count(float(with_rows['n_synthetic'].max()))} generated rows of the arm “{arm_label(arm)}”.")
    limits = (
        "the full corpora: only the seed's rows are taken to be labelled. Intervals are over repeats (seeds drawn anew), not over generated texts "
        "or test rows; the level of generated rows alone is of one model. Panels of one target span equally many points. " + CLIPPED
    )
    return Words(title, reading, limits, "Macro-F1 by seed size and way to train, one row of panels per target, one column per learner.")


draw_transfer = register(FigureSpec("transfer", "Two-stage training", transfer_numbers, paint_transfer, transfer_words, 300, PART))


# --- gains ----------------------------------------------------------------------------------------------


def gain_numbers(tables: Tables) -> pd.DataFrame:
    """Return two-stage minus target-only (points), paired by repeat, by target, learner, size and arm."""
    rows, found = transferred(tables), []
    every = list(dict.fromkeys(rows.loc[rows["regime"] == "two-stage", "arm"]))
    first = [name for name in (headline_arm(tables), against(tables)) if name in every]
    for target, learner in dict.fromkeys(zip(rows["target"], rows["learner"], strict=True)):
        cell = rows[(rows["target"] == target) & (rows["learner"] == learner)]
        for size in sorted({int(size) for size in cell["size"] if size > 0}):
            for arm in dict.fromkeys([*first, *every]):
                mean = gain_of(tables, rows, target, learner, size, ("two-stage", arm), ("target", arm))
                if mean.n:
                    found.append([target, learner, size, arm, mean.mean, mean.low, mean.high, mean.n])
    if not found:
        raise Missing("No model was trained in two stages and on the target alone, on the same seeds.")
    return pd.DataFrame(found, columns=["target", "learner", "size", "arm", *MEAN])


def paint_gain(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one row per target and size, one panel per learner, one mark per arm."""
    learners, shown = list(dict.fromkeys(frame["learner"])), list(dict.fromkeys(frame["arm"]))
    cells = list(dict.fromkeys(zip(frame["target"], frame["size"], strict=True)))
    fig = new_figure(figures, 1.5 + 0.42 * len(cells))
    panels = fig.subplots(1, len(learners), squeeze=False, sharex=True)[0]
    limits = bounds(frame)
    limits = min(limits[0], -0.5), max(limits[1], 0.5)
    for axes, learner in zip(panels, learners, strict=True):
        zero_line(axes)
        axes.set_xlim(limits)
        for row in rows_of(frame[frame["learner"] == learner]):
            at = cells.index((row.target, row.size)) + 0.24 * (shown.index(row.arm) - (len(shown) - 1) / 2)
            dot_interval(axes, row.mean, at, row.low, row.high, pillar_look(tables, row.arm), limits=limits)
        named_rows(axes, [f"{target}\nn = {size}" for target, size in cells], learner == learners[0])
        axes.set_title(learner_name(learner))
        axes.set_xlabel("gain (F1 points)")
    legend_below(fig, [handle(f"pre-trained on: {arm_label(arm)}", pillar_look(tables, arm), line=False) for arm in shown], 2)
    return fig


def gain_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say the gain at the headline cell, in how many cells there is one, and what grounding adds to it."""
    level, rows, arm, other = tables.evidence.confidence, transferred(tables), headline_arm(tables), against(tables)
    target, learner, size = headline_cell(tables, rows)
    found = gain_of(tables, rows, target, learner, size, ("two-stage", arm), ("target", arm))
    title = f"Gain from pre-training in {len(frame)} cells"
    if found.n:
        title = (
            f"Pre-training on {arm_label(arm).lower()} rows changes macro-F1 on {target} by {points(found.mean, sign=True)} points over the target alone "
            f"at n = {size} ({interval(found, level, sign=True)}; {learner_name(learner)})"
        )
    mine = frame[frame["arm"] == arm]
    known = mine[mine["low"].notna()]
    reading = []
    if len(known):
        reading.append(
            f"Of {len(known)} combinations of target, seed size and learner, {int((known['low'] > 0).sum())} have an interval wholly above zero and "
            f"{int((known['high'] < 0).sum())} one wholly below; each is taken alone."
        )
    if len(mine) > 1:
        reading.append(
            "Gains: "
            + "; ".join(f"{row.target}, n = {row.size}, {learner_name(row.learner)} {points(row.mean, sign=True)}" for row in rows_of(mine))
            + "."
        )
    if other is not None:
        grounding = gain_of(tables, rows, target, learner, size, ("two-stage", arm), ("two-stage", other))
        if grounding.n:
            reading.append(f"{arm_label(arm)} minus {arm_label(other).lower()} rows at {target}, n = {size}: {said(grounding, level)}.")
    steps = gain_of(tables, rows, target, learner, size, ("two-stage", arm), ("target-long", arm))
    if steps.n:
        reading.append(
            f"Over the target alone with as many gradient steps as both stages together: {said(steps, level)} ({target}, n = {size})."
        )
    limits = "where a gain comes from: two stages see more text than the target alone"
    limits += ". " if steps.n else ", and take more gradient steps where a learner counts them. "
    if other is not None:
        limits += "Both arms pre-train on equally many rows. "
    limits += CLIPPED
    return Words(title, reading, limits, "Differences in macro-F1 with intervals, by target and seed size, one panel per learner.")


draw_transfer_gain = register(FigureSpec("transfer_gain", "Gain from pre-training", gain_numbers, paint_gain, gain_words, 310, PART))


# --- corpora left out -----------------------------------------------------------------------------------

_SERIES = (("target", True), ("zero-shot", True), ("zero-shot", False), ("leave-one-out", True))


def left_out_numbers(tables: Tables) -> pd.DataFrame:
    """Return macro-F1 (points) by target, learner, regime and arm without any row of the target, and of the target alone at its largest size."""
    rows = transferred(tables)
    without = rows[rows["regime"].isin(["zero-shot", "leave-one-out"])]
    if not (without["regime"] == "leave-one-out").any():
        raise Missing("No model was trained on the other corpora and scored on the one left out.")
    alone = rows[rows["regime"] == "target"]
    alone = alone[alone["size"] == alone.groupby(["target", "learner"])["size"].transform("max")]
    cells = list(dict.fromkeys(zip(without["target"], without["learner"], strict=True)))
    together = pd.concat([alone, without])
    parts = [together[(together["target"] == target) & (together["learner"] == learner)] for target, learner in cells]
    return means(
        pd.concat(parts), ["target", "learner", "regime", "arm", "size"], tables.evidence.confidence, extra=["n_real", "n_synthetic"]
    )


def paint_left_out(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one row per target, one panel per learner, one mark per way to do without the target's labels."""
    learners, targets = list(dict.fromkeys(frame["learner"])), list(dict.fromkeys(frame["target"]))
    fig = new_figure(figures, 1.9 + 0.5 * len(targets))
    panels = fig.subplots(1, len(learners), squeeze=False, sharex=True)[0]
    limits = bounds(frame)
    for axes, learner in zip(panels, learners, strict=True):
        axes.set_xlim(limits)
        for row in rows_of(frame[frame["learner"] == learner]):
            at = targets.index(row.target) + 0.17 * (_series(tables, row) - 1.5)
            dot_interval(axes, row.mean, at, row.low, row.high, _series_look(tables, row), size=7.0, limits=limits)
        named_rows(axes, targets, learner == learners[0])
        axes.set_title(learner_name(learner))
        axes.set_xlabel("macro-F1 (points)")
    seen = frame.drop_duplicates(["regime", "arm"])
    legend_below(fig, [handle(_series_label(row), _series_look(tables, row), line=False) for row in rows_of(seen)], 2)
    return fig


def _series(tables: Tables, row: Any) -> int:
    return _SERIES.index((row.regime, row.regime != "zero-shot" or row.arm == headline_arm(tables)))


def _series_look(tables: Tables, row: Any) -> dict[str, Any]:
    return regime_look(*_SERIES[_series(tables, row)])


def _series_label(row: Any) -> str:
    label = REGIMES[row.regime]
    return f"{label}: {arm_label(row.arm)}" if row.regime == "zero-shot" else f"{label}, largest seed" if row.regime == "target" else label


def left_out_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say what other corpora and what generated rows reach on a corpus whose labels were not seen."""
    level, rows = tables.evidence.confidence, transferred(tables)
    of_cells = frame[frame["regime"] == "leave-one-out"]
    target, learner, _ = headline_cell(tables, rows)
    if not ((of_cells["target"] == target) & (of_cells["learner"] == learner)).any():
        target, learner = str(of_cells["target"].iloc[0]), str(of_cells["learner"].iloc[0])
    cell = frame[(frame["target"] == target) & (frame["learner"] == learner)]

    def level_of(regime: str) -> str:
        found = cell[cell["regime"] == regime]
        found = found[found["arm"] == headline_arm(tables)] if regime == "zero-shot" else found
        return points(float(found["mean"].iloc[0])) if len(found) else "–"

    only = float(of_cells.loc[(of_cells["target"] == target) & (of_cells["learner"] == learner), "mean"].iloc[0])
    one = int(cell.loc[cell["regime"] == "leave-one-out", "repeats"].iloc[0])
    title = (
        f"Without any label of {target}, other corpora reach {points(only)} points of macro-F1 and generated rows {level_of('zero-shot')} "
        f"({learner_name(learner)}{'; one model each, no interval' if one == 1 else ''})"
    )
    alone = cell[cell["regime"] == "target"]
    reading = []
    if len(alone):
        reading.append(f"The target's own rows alone, n = {int(alone['size'].iloc[0])}: {said(mean_of(alone.iloc[0]), level, sign=False)}.")
    both = frame.pivot_table(index=["target", "learner"], columns="regime", values="mean", aggfunc="max", sort=False)
    if {"zero-shot", "leave-one-out"} <= set(both):
        known = both.dropna(subset=["zero-shot", "leave-one-out"])
        better = int((known["leave-one-out"] > known["zero-shot"]).sum())
        reading.append(
            f"Other corpora do better than the better arm of generated rows in {better} of {len(known)} combinations of target and learner."
        )
    limits = (
        "how far a label of one corpus means what its counterpart in another does: labels are moved through maps between taxonomies, and what has no "
        "counterpart is lost. Models that see no row of the target are trained once, so that there is no interval. " + CLIPPED
    )
    return Words(title, reading, limits, "Dots of macro-F1 by target for models that saw no label of it, and for its own seed.")


draw_leave_one_out = register(FigureSpec("leave_one_out", "Corpora left out", left_out_numbers, paint_left_out, left_out_words, 320, PART))
