"""What the pre-trained encoder's embeddings know of emotions: linear probes on seeds of the targets."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import CLIPPED, FigureSpec, Missing, Words, dot_interval, handle, legend_below, register, rows_of
from emosynth.report.figures.pillars.common import PART, plain_look
from emosynth.report.figures.sentisynth.common import equal_spans, means, said
from emosynth.report.numbers import Mean, interval, paired, points, summary
from emosynth.report.tables import Tables
from emosynth.style import new_figure

REPRESENTATIONS = {"base": "embeddings before pre-training", "emotion": "after pre-training on generated rows"}
_LOOKS = {"base": (7, "o"), "emotion": (0, "D")}


def _probed(tables: Tables) -> pd.DataFrame:
    found = tables.pillars.probe
    if found is None or found.empty:
        raise Missing("No embeddings were probed (transfer/probe.parquet).")
    return found


def probe_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean macro-F1 (points) of linear probes by target, representation and size."""
    rows = _probed(tables)
    planned = tables.params.transfer.targets if tables.params is not None else []
    targets = [name for name in dict.fromkeys([*planned, *rows["target"]]) if name in set(rows["target"])]
    known = list(dict.fromkeys([*REPRESENTATIONS, *rows["representation"]]))
    parts = [
        rows[(rows["target"] == target) & (rows["representation"] == name)].sort_values("size", kind="stable")
        for target in targets
        for name in known
    ]
    return means(pd.concat(parts), ["target", "representation", "size"], tables.evidence.confidence)


def paint_probe(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one panel per target, one line per representation; panels span equally many points."""
    targets, sizes = list(dict.fromkeys(frame["target"])), sorted(set(frame["size"]))
    columns = min(3, len(targets))
    lines = -(-len(targets) // columns)
    fig = new_figure(figures, 0.8 + 2.6 * lines)
    grid = fig.subplots(lines, columns, squeeze=False)
    panels = [axes for row in grid for axes in row]
    for axes in panels[len(targets) :]:
        axes.set_axis_off()
    frames = [frame[frame["target"] == target] for target in targets]
    equal_spans(panels[: len(targets)], frames)
    for place, (axes, target, rows) in enumerate(zip(panels, targets, frames, strict=False)):
        for position, name in enumerate(dict.fromkeys(frame["representation"])):
            line, look = rows[rows["representation"] == name], _look(name)
            x = [sizes.index(size) + 0.08 * (position - 0.5) for size in line["size"]]
            axes.plot(x, line["mean"], color=look["color"], alpha=0.9)
            for at, row in zip(x, rows_of(line), strict=True):
                dot_interval(axes, at, row.mean, row.low, row.high, look, size=5.5, horizontal=False, limits=axes.get_ylim())
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set_xlim(-0.5, len(sizes) - 0.5)
        axes.set_title(target, fontsize=0.9 * figures.font_size)
        axes.set_xlabel("seed size n (real rows)")
        if place % columns == 0:
            axes.set_ylabel("macro-F1 (points)")
    legend_below(fig, [handle(REPRESENTATIONS.get(name, name), _look(name)) for name in dict.fromkeys(frame["representation"])], 2)
    return fig


def _look(name: str) -> dict[str, object]:
    return plain_look(*_LOOKS.get(name, (4, "s")))


def _gain(tables: Tables, target: str, size: int) -> Mean:
    rows = _probed(tables)
    held: dict[str, object] = {"target": target, "size": size}
    found = paired(rows, {**held, "representation": "emotion"}, {**held, "representation": "base"}, ["repeat"], "macro_f1")
    return summary(found["difference"], tables.evidence.confidence)


def probe_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say what pre-training changes in the embeddings, by target at the largest size."""
    level = tables.evidence.confidence
    largest = frame.groupby("target", sort=False)["size"].max()
    gains = [(str(target), int(size), _gain(tables, str(target), int(size))) for target, size in largest.items()]
    gains = [item for item in gains if item[2].n]
    title = f"Linear probes on {len(set(frame['representation']))} kinds of embeddings"
    reading = []
    if gains:
        target, size, found = gains[0]
        title = (
            f"Pre-training on generated rows changes what a linear probe reads from the embeddings by {points(found.mean, sign=True)} points of "
            f"macro-F1 on {target} at n = {size} ({interval(found, level, sign=True)})"
        )
        if len(gains) > 1:
            reading.append("Other targets: " + "; ".join(f"{name}, n = {n}, {said(mean, level)}" for name, n, mean in gains[1:]) + ".")
    reading.append("Only the linear model on top sees the seed; the encoder is not tuned on it.")
    limits = (
        "what the embeddings are worth to a model that is tuned with them. Two kinds of embeddings of one encoder are compared, pre-trained once, so that "
        "intervals do not hold the chance of pre-training. " + CLIPPED
    )
    return Words(title, reading, limits, "Macro-F1 of linear probes by seed size, before and after pre-training, one panel per target.")


draw_emotion_probe = register(FigureSpec("emotion_probe", "Emotion embeddings", probe_numbers, paint_probe, probe_words, 380, PART))
