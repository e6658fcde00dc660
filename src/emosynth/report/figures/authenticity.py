"""Authenticity: how far generated text is from real text on each linguistic measure, beside real text from itself."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure as Canvas

from emosynth.authenticity import OTHER, REAL
from emosynth.evidence.numbers import number, sized, some
from emosynth.params import Figures
from emosynth.report.figures.base import Figure, Words, rows_of
from emosynth.report.tables import Missing, Tables
from emosynth.style import current_theme, new_figure

KINDS = {
    "cliffs_delta": "Cliff's δ",
    "cohens_h": "Cohen's h",
    "hedges_g": "Hedges' g",
    "ratio": "ratio to real text",
    "2auc-1": "2 AUC − 1",
}
_SHORT = {"ttr": "type-token ratio", "hdd": "HD-D", "mtld": "MTLD", "mattr": "MATTR"}


def measure_name(measure: str) -> str:
    """Return the name of a measure for readers."""
    return _SHORT.get(measure, measure.replace("_", " "))


def effect_text(effect: float, kind: str) -> str:
    """Write an effect: ratios as a factor, all else with its sign."""
    return f"×{number(effect, 2)}" if kind == "ratio" and not math.isnan(effect) else number(effect, 2, sign=True)


def _distance(effect: float, kind: str) -> float:
    """Return an effect on a scale where 0 means alike: ratios by their logarithm, cut at a factor of 20."""
    return effect if kind != "ratio" or math.isnan(effect) else float(np.clip(math.log(max(effect, 1e-9)), -3.0, 3.0))


def title_of(tables: Tables, arm: str) -> str:
    """Return the name of a panel's column."""
    return "real against real" if arm == OTHER else "real text" if arm == REAL else tables.looks.title(arm)


class Authenticity(Figure):
    """A heat map: measures by arms."""

    name = "authenticity"
    label = "Distance from real text"
    page = "authenticity"
    order = 10
    reads = ("authenticity/panel",)

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return the panel of accepted text on the target, measures that were tested only, the control first."""
        panel = tables.need("authenticity/panel")
        panel = panel[(panel["corpus"] == tables.target) & (panel["arm"] != REAL)]
        panel = panel[panel["verified"].astype(bool) | (panel["arm"] == OTHER)]
        tested = panel.groupby("measure")["p"].transform(lambda values: values.notna().any()).astype(bool)
        panel = panel[tested]
        if panel.empty:
            raise Missing(f"The panel holds no accepted text on {tables.target}.")
        place = {arm: number_ for number_, arm in enumerate([OTHER, *tables.looks.order(set(panel["arm"]) - {OTHER})])}
        measures = {name: number_ for number_, name in enumerate(dict.fromkeys(panel["measure"]))}
        keys = pd.DataFrame({"m": panel["measure"].map(measures), "a": panel["arm"].map(place)})
        columns = [
            "family",
            "measure",
            "arm",
            "value",
            "low",
            "high",
            "reference",
            "effect",
            "effect_kind",
            "p",
            "p_holm",
            "n_texts",
            "n_tokens",
        ]
        return panel.loc[keys.sort_values(["m", "a"], kind="stable").index, columns].reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw effects; bold where the corrected p is below alpha."""
        theme = current_theme()
        arms, measures = list(dict.fromkeys(frame["arm"])), list(dict.fromkeys(zip(frame["family"], frame["measure"], strict=True)))
        shades = np.full((len(measures), len(arms)), np.nan)
        distances = pd.Series(
            [_distance(effect, kind) for effect, kind in zip(frame["effect"], frame["effect_kind"], strict=True)], index=frame.index
        )
        # Effects of different kinds have different scales: each kind is shaded against its own largest distance, or 1.
        largest = {kind: max(1.0, float(found.abs().max())) for kind, found in distances.groupby(frame["effect_kind"])}
        fig = new_figure(figures, 1.9 + 0.3 * len(measures))
        axes = fig.subplots()
        for row in rows_of(frame):
            shades[measures.index((row.family, row.measure)), arms.index(row.arm)] = distances[row.Index] / largest[row.effect_kind]
        light = theme.name == "light"
        colours = sns.diverging_palette(250, 25, s=85, l=62 if light else 48, center="light" if light else "dark", as_cmap=True)
        sns.heatmap(shades, ax=axes, cmap=colours, vmin=-1, vmax=1, cbar=False, linewidths=1.5, linecolor=theme.background)
        size = 0.85 * figures.font_size * min(1.0, 9 / len(arms))  # many arms have narrow columns
        for row in rows_of(frame):
            spot = arms.index(row.arm) + 0.5, measures.index((row.family, row.measure)) + 0.5
            weight = "bold" if row.p_holm < tables.params.evidence.alpha else "normal"
            text = effect_text(row.effect, row.effect_kind).removeprefix("×")
            axes.text(*spot, text, ha="center", va="center", fontsize=size, fontweight=weight, color=theme.ink)
        axes.set_xticks(np.arange(len(arms)) + 0.5, [title_of(tables, arm) for arm in arms], rotation=40, ha="left")
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_yticks(np.arange(len(measures)) + 0.5, [measure_name(str(measure)) for _, measure in measures], rotation=0)
        axes.axvline(1, color=theme.background, linewidth=8)
        axes.set(xlabel="", ylabel="")
        axes.grid(visible=False)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say which arm is nearest to real text, and how often real text differs from itself."""
        alpha = tables.params.evidence.alpha
        tested = frame[frame["p_holm"].notna()]
        differing = (tested["p_holm"] < alpha).groupby(tested["arm"]).agg(["sum", "size"])
        arms = [arm for arm in dict.fromkeys(frame["arm"]) if arm != OTHER and arm in differing.index]
        nearest = min(arms, key=lambda arm: differing.loc[arm, "sum"] / differing.loc[arm, "size"], default=None)
        title = "How far generated text is from real text"
        if nearest is not None:
            own = differing.loc[nearest]
            title = f"Even the nearest arm, {tables.looks.title(str(nearest))}, differs from real text on {own['sum']} of {some(int(own['size']), 'measure')}"
            if not own["sum"]:
                title = f"{tables.looks.title(str(nearest))} text differs from real text on none of {some(int(own['size']), 'measure')}"
            if OTHER in differing.index:
                title += f"; real text from itself on {differing['sum'].to_dict()[OTHER]}"
        reading = (
            "Blue: less than in real text; orange: more. Effects without a sign are ratios, 1 being alike; the others are 0 when alike. "
        )
        reading += f"Bold: p below {alpha:g} after Holm's correction. Accepted text of {tables.target}."
        far = frame[frame["arm"] == nearest].dropna(subset=["effect"]) if nearest is not None else frame.head(0)
        if len(far):
            row = far.iloc[
                int(np.argmax([abs(_distance(effect, kind)) for effect, kind in zip(far["effect"], far["effect_kind"], strict=True)]))
            ]
            reading += f" Its largest distance is in {measure_name(str(row['measure']))}: {sized(float(row['value']))} against {sized(float(row['reference']))}."
        limits = "Each number compares one surface property, not whether a reader would notice. Compare along rows: effects down a column have different scales."
        return Words(
            title, reading, limits, "Table of effects shaded by sign and size: measures by arms, real against real in the first column."
        )
