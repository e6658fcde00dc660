"""How steady SHAP token rankings are from seed to seed, and how far they agree with other rankings."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import FigureSpec, Missing, Words, dot_interval, handle, legend_below, register, rows_of
from emosynth.report.numbers import Mean, interval, points, summary_by
from emosynth.report.tables import Tables
from emosynth.style import current_theme, new_figure, palette_colour

# The tables hold one correlation a row; these columns may carry it, the first that is there does.
_VALUES = ("spearman", "rho", "correlation", "rank_correlation", "kendall", "tau", "overlap", "jaccard", "value")
_KEYS = (
    "size",
    "repeat",
    "repeat_a",
    "repeat_b",
    "other_repeat",
    "first_repeat",
    "second_repeat",
    "label",
    "n",
    "n_tokens",
    "k",
    "tokens",
    "shared",
    "p",
)
_STYLES = ((0, "o"), (1, "X"), (2, "^"), (4, "P"), (3, "s"), (9, "v"), (5, "D"), (7, "h"))


def _tidy(frame: pd.DataFrame) -> tuple[pd.DataFrame, str] | None:
    """Return size, series and value of a table of correlations, with the name of the value; None if it holds none."""
    if frame.empty or "size" not in frame:
        return None
    numeric = [name for name in frame.columns if pd.api.types.is_float_dtype(frame[name]) and name not in _KEYS]
    value = next((name for name in _VALUES if name in frame.columns), next(iter(numeric), None))
    if value is None:
        return None
    names = [name for name in frame.columns if name not in (*_KEYS, value) and not pd.api.types.is_numeric_dtype(frame[name])]
    series = frame[names].astype(str).agg(" and ".join, axis=1) if names else pd.Series("shap and tfidf", index=frame.index)
    tidy = pd.DataFrame({"size": frame["size"], "series": series.map(_spell), "value": frame[value].astype(float)})
    units = [name for name in ("repeat", "repeat_a", "repeat_b", "first_repeat", "second_repeat", "other_repeat") if name in frame]
    tidy["unit"] = frame[units].astype(str).agg("/".join, axis=1) if units else frame.index.astype(str)
    return tidy.dropna(subset=["value"]), _spell(value)


def _spell(name: str) -> str:
    if name == "both":
        return "SHAP and TF-IDF joined"
    for short, long in (("tfidf", "TF-IDF"), ("shap", "SHAP"), ("spearman", "Spearman's ρ"), ("kendall", "Kendall's τ"), ("_", " ")):
        name = name.replace(short, long)
    return name


def token_stability_numbers(tables: Tables) -> pd.DataFrame:
    """Return mean rank correlations by panel, series and seed size.

    ``stability``: between repeats, the same ranking on seeds drawn anew. ``agreement``: between rankings on the same seed.
    Classes of one repeat (or pair of repeats) are averaged first. ``low`` and ``high`` are a t-interval for agreement and
    the range over pairs of repeats for stability.
    """
    parts = []
    for panel, frame in (("stability", tables.stability), ("agreement", tables.agreement)):
        tidy = None if frame is None else _tidy(frame)
        if tidy is None:
            continue
        rows, name = tidy
        rows = rows.groupby(["series", "size", "unit"], sort=True)["value"].mean().reset_index()
        found = summary_by(rows, ["series", "size"], "value", tables.evidence.confidence)
        if panel == "stability":
            # Pairs of repeats share repeats, so a t-interval would be too narrow: the range over pairs is drawn instead.
            edges = rows.groupby(["series", "size"], sort=True)["value"].agg(["min", "max"])
            found["low"], found["high"] = edges["min"].to_numpy(), edges["max"].to_numpy()
        parts.append(found.assign(panel=panel, measure=name))
    if not parts:
        raise Missing("No rank correlations of tokens yet (guidance/stability.parquet, guidance/agreement.parquet).")
    return pd.concat(parts, ignore_index=True)[["panel", "measure", "series", "size", "mean", "low", "high", "repeats"]]


def paint_token_stability(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw stability on the left and agreement on the right, against seed size."""
    theme = current_theme()
    panels = list(dict.fromkeys(frame["panel"]))
    fig = new_figure(figures, 3.9)
    grid = fig.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    names = list(dict.fromkeys(frame["series"]))
    titles = {"stability": "Same ranking, other seeds", "agreement": "Same seed, other ranking"}
    sizes = sorted(set(frame["size"]))
    for axes, panel in zip(grid, panels, strict=True):
        rows = frame[frame["panel"] == panel]
        here = list(dict.fromkeys(rows["series"]))
        for place, name in enumerate(here):
            line = rows[rows["series"] == name].sort_values("size")
            look = _look(names.index(name))
            x = line["size"] * 10 ** (0.02 * (place - (len(here) - 1) / 2))
            axes.plot(x, line["mean"], color=look["color"], alpha=0.9)
            for at, row in zip(x, rows_of(line), strict=True):
                dot_interval(axes, at, row.mean, row.low, row.high, look, size=5.5, horizontal=False)
        axes.axhline(0, color=theme.muted, linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_title(titles[panel])
        axes.set_xlabel("seed size n (real rows)")
    low = float(frame[["mean", "low"]].min().min())
    grid[0].set_ylim(min(-0.05, max(low, -1.0) - 0.05), 1.05)
    grid[0].set_ylabel(f"rank agreement ({frame['measure'].iloc[0]})")
    legend_below(fig, [handle(name, _look(place)) for place, name in enumerate(names)], 3)
    return fig


def _look(place: int) -> dict[str, object]:
    position, marker = _STYLES[place % len(_STYLES)]
    return {"color": palette_colour(position), "marker": marker, "linestyle": "-"}


def token_stability_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say how stable the SHAP ranking is at the smallest and the largest seed size."""
    level = tables.evidence.confidence
    title, reading = "Stability of token rankings", []
    for panel, opening in (("stability", "From one seed to another, the ranking by"), ("agreement", "On the same seed, agreement of")):
        rows = frame[frame["panel"] == panel]
        if rows.empty:
            continue
        named = [name for name in dict.fromkeys(rows["series"]) if "shap" in str(name).lower()] or list(dict.fromkeys(rows["series"]))
        line = rows[rows["series"] == named[0]].sort_values("size")
        first, last = line.iloc[0], line.iloc[-1]
        if panel == "stability" or title == "Stability of token rankings":
            what = "SHAP token rankings agree between seeds" if panel == "stability" else f"Token rankings ({named[0]}) agree on one seed"
            title = f"{what} at {points(last['mean'], digits=2)} for n = {last['size']}"
            title += "" if first["size"] == last["size"] else f", at {points(first['mean'], digits=2)} for n = {first['size']}"
            title += f" ({last['measure']})"
        found = Mean(float(last["mean"]), float(last["low"]), float(last["high"]), int(last["repeats"]))
        spread = interval(found, level, digits=2)
        if panel == "stability":
            spread = f"{points(found.low, digits=2)} … {points(found.high, digits=2)} over {found.n} pairs of repeats"
        reading.append(f"{opening} {named[0]} is {points(found.mean, digits=2)} at n = {last['size']} ({spread}).")
    reading.append("1 is perfect agreement, 0 is none: tokens near 0 are those of the seed, not of the emotion.")
    limits = (
        "whether a stable token is a good prompt; a ranking can be steady and useless. Rare tokens that one seed lacks are not compared."
    )
    return Words(title, reading, limits, "Line charts of rank agreement against seed size, between seeds and between rankings.")


draw_token_stability = register(
    FigureSpec("token_stability", "Token stability", token_stability_numbers, paint_token_stability, token_stability_words, 60)
)
