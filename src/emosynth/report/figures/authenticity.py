"""The authenticity panel: how far generated text is from real text on each linguistic measure."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import FigureSpec, Missing, Words, register, rows_of
from emosynth.report.numbers import points, span
from emosynth.report.tables import Tables
from emosynth.style import arm_label, current_theme, is_real, new_figure, order_arms

CONTROL = "real-other"
_KINDS = {
    "cliffs_delta": "Cliff's δ",
    "cohens_h": "Cohen's h",
    "hedges_g": "Hedges' g",
    "ratio": "ratio to real text",
    "2auc-1": "2 AUC − 1",
}
_MEASURES = {"ttr": "TTR", "hdd": "HD-D", "hd_d": "HD-D", "mtld": "MTLD", "mattr": "MATTR", "mattr50": "MATTR-50", "mattr_50": "MATTR-50"}
_COLUMNS = [
    "family",
    "measure",
    "arm",
    "verified",
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


def panel_of(tables: Tables, verified: bool) -> pd.DataFrame:
    """Return the panel of the control and of verified or unverified text (of arms that have no such text: the other), in display order."""
    if tables.panel is None or tables.panel.empty:
        raise Missing("No authenticity panel yet (authenticity/panel.parquet).")
    panel = tables.panel[tables.panel["arm"] != "real"]
    wanted = panel["verified"].astype(bool) == verified
    panel = panel[panel["arm"].map(is_real) | wanted | ~panel["arm"].isin(set(panel.loc[wanted, "arm"]))]
    place = {arm: position for position, arm in enumerate(order_arms(panel["arm"]))}
    families = {name: position for position, name in enumerate(dict.fromkeys(tables.panel["family"]))}
    measures = {name: position for position, name in enumerate(dict.fromkeys(tables.panel["measure"]))}
    keys = pd.DataFrame({"f": panel["family"].map(families), "m": panel["measure"].map(measures), "a": panel["arm"].map(place)})
    ordered = panel.loc[keys.sort_values(["f", "m", "a"], kind="stable").index]
    return ordered.reindex(columns=_COLUMNS).reset_index(drop=True)


def authenticity_numbers(tables: Tables) -> pd.DataFrame:
    """Return the panel of text as generated (unverified), measures that were tested only; all if none was."""
    frame = panel_of(tables, verified=False)
    tested = frame.groupby("measure")["p"].transform(lambda values: values.notna().any())
    return (frame[tested.astype(bool)] if tested.any() else frame).reset_index(drop=True)


def distance(effect: float, kind: str) -> float:
    """Return an effect on a scale where 0 means alike: ratios by their logarithm, cut at a factor of 20."""
    if kind != "ratio" or math.isnan(effect):
        return effect
    return float(np.clip(math.log(max(effect, 1e-9)), -3.0, 3.0))


def effect_text(effect: float, kind: str) -> str:
    """Write an effect: ratios as a factor, all else with its sign."""
    return f"×{points(effect, digits=2)}" if kind == "ratio" and not math.isnan(effect) else points(effect, sign=True, digits=2)


def measure_label(measure: str) -> str:
    """Return the name of a measure for readers."""
    return _MEASURES.get(measure, measure.replace("_", " "))


def kind_label(kind: str) -> str:
    """Return the name of a kind of effect for readers."""
    return _KINDS.get(kind, kind.replace("_", " "))


def paint_authenticity(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw effects as a heat-map: measures by arms, the control first; bold where the corrected p is below alpha."""
    theme = current_theme()
    arms = order_arms(frame["arm"])
    measures = list(dict.fromkeys(zip(frame["family"], frame["measure"], strict=True)))
    effects = np.full((len(measures), len(arms)), np.nan)
    shades = np.full_like(effects, np.nan)
    strong = np.zeros(effects.shape, dtype=bool)
    # Effects of different kinds have different scales: each kind is shaded against its own largest distance, or 1.
    distances = pd.Series(
        [distance(effect, kind) for effect, kind in zip(frame["effect"], frame["effect_kind"], strict=True)], index=frame.index
    )
    largest = {kind: max(1.0, float(found.abs().max())) for kind, found in distances.groupby(frame["effect_kind"])}
    texts: dict[tuple[int, int], str] = {}
    for row in rows_of(frame):
        at = measures.index((row.family, row.measure)), arms.index(row.arm)
        effects[at] = row.effect
        shades[at] = distances[row.Index] / largest[row.effect_kind]
        texts[at] = effect_text(row.effect, row.effect_kind)
        strong[at] = bool(row.p_holm < tables.evidence.alpha)
    fig = new_figure(figures, 1.5 + 0.31 * len(measures))
    axes = fig.subplots()
    colours = sns.diverging_palette(
        250, 25, s=85, l=62 if theme.name == "light" else 48, center="light" if theme.name == "light" else "dark", as_cmap=True
    )
    sns.heatmap(shades, ax=axes, cmap=colours, vmin=-1, vmax=1, cbar=False, linewidths=1.5, linecolor=theme.background)
    for (line, column), effect in np.ndenumerate(effects):
        if math.isnan(effect):
            axes.text(column + 0.5, line + 0.5, "–", ha="center", va="center", color=theme.muted)
            continue
        axes.text(
            column + 0.5, line + 0.5, texts[line, column], ha="center", va="center", fontsize=0.88 * figures.font_size,
            fontweight="bold" if strong[line, column] else "normal", color=theme.ink,
        )  # fmt: skip
    axes.set_xticks(np.arange(len(arms)) + 0.5, [arm_label(arm).replace("-", "-\n", 1).replace(" ", "\n", 1) for arm in arms], rotation=0)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_yticks(np.arange(len(measures)) + 0.5, [measure_label(str(measure)) for _, measure in measures], rotation=0)
    families = [family for family, _ in measures]
    for line in range(1, len(measures)):
        if families[line] != families[line - 1]:
            axes.axhline(line, color=theme.muted, linewidth=0.8)
    for position, arm in enumerate(arms[:-1]):
        if is_real(arm) and not is_real(arms[position + 1]):
            axes.axvline(position + 1, color=theme.background, linewidth=8)
    right = axes.secondary_yaxis("right")
    spots = [(family, np.mean([line for line, name in enumerate(families) if name == family]) + 0.5) for family in dict.fromkeys(families)]
    right.set_yticks([at for _, at in spots], [str(name).replace("_", " ") for name, _ in spots])
    right.tick_params(length=0, labelcolor=theme.muted)
    right.spines["right"].set_visible(False)
    axes.set(xlabel="", ylabel="")
    axes.grid(visible=False)
    return fig


def authenticity_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say on how many measures the SHAP-guided rows differ from real text, beside the control."""
    alpha = tables.evidence.alpha
    arms = [arm for arm in order_arms(frame["arm"]) if not is_real(arm)]
    arm = tables.shap if tables.shap in arms else next(iter(arms), None)
    reading = []

    def differing(name: str) -> tuple[int, int]:
        rows = frame[(frame["arm"] == name) & frame["p_holm"].notna()]
        return int((rows["p_holm"] < alpha).sum()), len(rows)

    title = "Linguistic authenticity of generated text"
    if arm is not None:
        many, of = differing(arm)
        title = f"{arm_label(arm)} text differs from real text on {many} of {of} linguistic measures"
        if CONTROL in set(frame["arm"]):
            control, of_control = differing(CONTROL)
            title += f"; real text from itself on {control} of {of_control}"
        largest = frame[frame["arm"] == arm].dropna(subset=["effect"])
        if len(largest):
            far = [abs(distance(effect, kind)) for effect, kind in zip(largest["effect"], largest["effect_kind"], strict=True)]
            row = largest.iloc[int(np.argmax(far))]
            around = "" if pd.isna(row["low"]) else f" ({span(row['low'], row['high'], digits=2)})"
            reading.append(
                f"The largest difference is in {measure_label(str(row['measure']))}: {points(row['value'], digits=2)}{around} against "
                f"{points(row['reference'], digits=2)} in real text ({kind_label(row['effect_kind'])} {effect_text(row['effect'], row['effect_kind'])})."
            )
    reading.append(
        f"Blue: less than in real text; orange: more. Ratios to real text are marked ×, 1 being alike; other effects are 0 when alike. Bold: p below {alpha:g} after Holm's correction within its family. Texts are taken as generated, before verification."
    )
    limits = (
        "whether a reader would notice, or whether the text is good: each number compares one surface property. Effects of different kinds "
        "have different scales, so compare along rows, not down columns."
    )
    return Words(
        title, reading, limits, "Table of effect sizes shaded by sign and size: measures by arms, real against real in the first column."
    )


draw_authenticity = register(FigureSpec("authenticity", "Authenticity", authenticity_numbers, paint_authenticity, authenticity_words, 50))
