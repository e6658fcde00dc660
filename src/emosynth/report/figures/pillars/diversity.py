"""Whether grounding makes texts more diverse: grounded minus ungrounded, by measure, kind of text and emotion."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import FigureSpec, Missing, Words, dot_interval, handle, legend_below, register, rows_of, zero_line
from emosynth.report.figures.pillars.common import NEUTRAL, PART, arms, headline_arm, named_rows, plain_look
from emosynth.report.numbers import per_cent, points, span
from emosynth.report.tables import Tables
from emosynth.style import arm_label, new_figure

ALL = "all"
MEASURES = {
    "distinct_1": "distinct words\n(per 100)",
    "distinct_2": "distinct pairs\n(of words, per 100)",
    "self_repetition": "repeated 4-grams\n(%; less: diverse)",
    "spread": "distance in meaning\n(cosine, × 100)",
}
KINDS = {"context": "contexts", "utterance": "utterances"}
HEADLINE = "distinct_2"


def diversity_numbers(tables: Tables) -> pd.DataFrame:
    """Return grounded − ungrounded, times 100, by arm, kind of text, measure and emotion, with quantiles over draws."""
    found = tables.pillars.differences
    if found is None or found.empty:
        raise Missing("Diversity was not measured (grounding/diversity_differences.parquet).")
    rows = found[found["kind"].isin(list(KINDS)) & found["measure"].isin(list(MEASURES))].dropna(subset=["difference"])
    order = arms(tables)
    places = {
        "kind": list(KINDS),
        "measure": list(MEASURES),
        "arm": [*order, *sorted(set(rows["arm"]) - set(order))],
        "emotion": [ALL, *sorted(set(rows["emotion"]) - {ALL, NEUTRAL}), NEUTRAL],
    }
    # An arm of one emotion alone: all of it is that emotion.
    alone = rows.groupby("arm")["emotion"].transform(lambda emotions: emotions[emotions != ALL].nunique()) == 1
    rows = rows[~(alone & (rows["emotion"] == ALL))]
    if rows.empty:
        raise Missing("No grounded arm can be compared with an ungrounded one: there are too few texts.")
    keys = pd.DataFrame({name: rows[name].map({value: place for place, value in enumerate(values)}) for name, values in places.items()})
    rows = rows.loc[keys.sort_values(list(places), kind="stable").index]
    scaled = rows.assign(**{name: 100.0 * rows[name] for name in ("difference", "low", "high")})
    return scaled[["kind", "measure", "arm", "against", "emotion", "difference", "low", "high"]].reset_index(drop=True)


def _group(emotion: str) -> str:
    return emotion if emotion in (ALL, NEUTRAL) else "each"


def _looks() -> dict[str, dict[str, Any]]:
    return {ALL: plain_look(0, "o"), "each": plain_look(7, "|"), NEUTRAL: plain_look(3, "D")}


def paint_diversity(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one panel per measure; rows are kinds of text: all emotions with interval, each other emotion as a tick, neutral with interval."""
    measures = [name for name in MEASURES if name in set(frame["measure"])]
    cells = list(dict.fromkeys((row.kind, row.arm, _group(row.emotion)) for row in rows_of(frame)))
    fig = new_figure(figures, 1.6 + 0.36 * len(cells))
    panels = fig.subplots(1, len(measures), squeeze=False)[0]
    looks = _looks()
    for axes, measure in zip(panels, measures, strict=True):
        zero_line(axes)
        for row in rows_of(frame[frame["measure"] == measure]):
            group = _group(row.emotion)
            at = cells.index((row.kind, row.arm, group))
            low, high = (float("nan"), float("nan")) if group == "each" else (row.low, row.high)
            dot_interval(axes, row.difference, at, low, high, looks[group], size=9.0 if group == "each" else 6.0)
        named_rows(axes, [_cell_label(tables, *cell) for cell in cells], measure == measures[0])
        axes.set_title(MEASURES[measure], fontsize=0.8 * figures.font_size)
        axes.set_xlabel("difference")
    names = {ALL: "all emotions together", "each": "each other emotion", NEUTRAL: "neutral"}
    present = dict.fromkeys(group for _, _, group in cells)
    legend_below(fig, [handle(names[group], looks[group], line=False) for group in present], 3)
    return fig


def _cell_label(tables: Tables, kind: str, arm: str, group: str) -> str:
    what = {ALL: "all", "each": "each emotion", NEUTRAL: "neutral"}[group]
    other = "" if arm == headline_arm(tables) else f"\n({arm_label(arm).lower()})"
    return f"{KINDS[kind]}, {what}{other}"


def diversity_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say by how much grounding changes distinct word pairs in contexts and utterances, and in neutral ones."""
    level, arm = tables.evidence.confidence, headline_arm(tables)
    mine = frame[(frame["arm"] == arm) & (frame["against"] == frame["against"].iloc[0])]
    mine = mine if len(mine) else frame

    def said(kind: str, measure: str, emotion: str) -> str:
        found = mine[(mine["kind"] == kind) & (mine["measure"] == measure) & (mine["emotion"] == emotion)]
        if found.empty:
            return ""
        row = found.iloc[0]
        return f"{points(float(row['difference']), sign=True)} ({span(float(row['low']), float(row['high']), sign=True)})"

    parts = [f"{KINDS[kind]} by {text}" for kind in KINDS if (text := said(kind, HEADLINE, ALL))]
    title = f"Diversity of {arm_label(arm).lower()} texts minus ungrounded ones, in {len(frame)} comparisons"
    if parts:
        title = f"Grounding changes distinct word pairs per 100 in {' and in '.join(parts)}; {per_cent(level)} intervals"
    reading = []
    for emotion, what in ((ALL, "All emotions"), (NEUTRAL, "Neutral")):
        for measure, name in MEASURES.items():
            values = [f"{KINDS[kind]} {text}" for kind in KINDS if (text := said(kind, measure, emotion))]
            if values and (emotion == NEUTRAL or measure != HEADLINE):
                short = name.replace("\n", " ")
                reading.append(f"{what}, {short}: {', '.join(values)}.")
    limits = (
        "that diverse texts are good ones: noise is diverse, too. All arms are measured on draws cut to equally many tokens; intervals are quantiles over "
        "draws of the texts at hand, not over models or stories. Ticks have intervals of their own, see the CSV."
    )
    alt = "Differences in four measures of diversity with intervals, for contexts and utterances; neutral examples are marked by diamonds."
    return Words(title, reading, limits, alt)


draw_emotion_diversity = register(
    FigureSpec("emotion_diversity", "Diversity by grounding", diversity_numbers, paint_diversity, diversity_words, 330, PART)
)
