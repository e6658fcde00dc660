"""Labels of the generated rows: rows that name their emotion, labels outside the taxonomy, and whether a scorer agrees with what was asked."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.checks import Texts
from emosynth.report.figures.base import FigureSpec, Missing, Words, dot_interval, handle, legend_below, register
from emosynth.report.figures.pillars.common import (
    KINDS,
    PART,
    arms,
    headline_arm,
    named_rows,
    of_emotions,
    pillar_look,
    plain_look,
    proportion,
    rows_of_text,
)
from emosynth.report.figures.sentisynth.common import reference_line
from emosynth.report.numbers import count, per_cent, points, share, span, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label, new_figure

TOP = 25
"""Free-form labels drawn."""
UNSHOWN = "[withheld]"
_LENGTH = 28


def _accepted(tables: Tables) -> pd.DataFrame:
    rows = rows_of_text(tables)
    rows = rows[rows["accepted"].astype(bool)]
    if rows.empty:
        raise Missing("No generated row was accepted.")
    return rows


def _sorted(frame: pd.DataFrame, tables: Tables, column: str) -> list[str]:
    """Return emotions by a column, the headline arm's highest first."""
    mine = frame[frame["arm"] == headline_arm(tables)]
    means = (mine if len(mine) else frame).groupby("emotion", sort=True)[column].mean().sort_values(ascending=False, kind="stable")
    return [*means.index, *sorted(set(frame["emotion"]) - set(means.index))]


def _marks(axes: Axes, frame: pd.DataFrame, tables: Tables, emotions: list[str], columns: tuple[str, str, str]) -> None:
    shown = list(dict.fromkeys(frame["arm"]))
    for row in frame.to_dict("records"):
        at = emotions.index(row["emotion"]) + 0.22 * (shown.index(row["arm"]) - (len(shown) - 1) / 2)
        value, low, high = (float(row[name]) for name in columns)
        dot_interval(axes, value, at, low, high, pillar_look(tables, row["arm"]), size=4.0)


# --- rows that name their emotion -----------------------------------------------------------------------


def explicit_numbers(tables: Tables) -> pd.DataFrame:
    """Return the share (per cent) of accepted rows that name one of their emotions, with Wilson interval, by kind, arm and emotion."""
    rows, level, found = of_emotions(_accepted(tables)), tables.evidence.confidence, []
    for kind in KINDS:
        for arm in arms(tables):
            cell = rows[(rows["kind"] == kind) & (rows["arm"] == arm)]
            for emotion, group in cell.groupby("emotion", sort=True):
                value, low, high, n = proportion(group["explicit"], level)
                found.append([kind, arm, emotion, 100 * value, 100 * low, 100 * high, n])
    return pd.DataFrame(found, columns=["kind", "arm", "emotion", "share", "low", "high", "n"])


def paint_explicit(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one row per emotion, one panel per kind of row, one mark per arm."""
    kinds, emotions = [kind for kind in KINDS if kind in set(frame["kind"])], _sorted(frame, tables, "share")
    fig = new_figure(figures, 1.2 + 0.23 * len(emotions))
    panels = fig.subplots(1, len(kinds), squeeze=False, sharex=True)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        _marks(axes, frame[frame["kind"] == kind], tables, emotions, ("share", "low", "high"))
        named_rows(axes, emotions, kind == kinds[0])
        axes.set_title(f"Rows {KINDS[kind]}")
        axes.set_xlabel("rows that name their emotion (%)")
    legend_below(fig, [handle(arm_label(arm), pillar_look(tables, arm), line=False) for arm in dict.fromkeys(frame["arm"])], 3)
    return fig


def explicit_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say the share by arm and kind, and the emotions with the highest and lowest."""
    rows, level, arm = _accepted(tables), tables.evidence.confidence, headline_arm(tables)

    def said(part: pd.DataFrame) -> str:
        value, low, high, _ = proportion(part["explicit"], level)
        return f"{per_cent(value)} ({span(100 * low, 100 * high, digits=0)})"

    mine = rows[rows["arm"] == arm]
    whole = mine if len(mine) else rows
    value, low, high, n = proportion(whole["explicit"], level)
    title = (
        f"{per_cent(value)} of accepted {arm_label(arm).lower() if len(mine) else 'generated'} rows name their emotion "
        f"({per_cent(level)} interval {span(100 * low, 100 * high, digits=0)}; {count(n)} rows)"
    )
    reading = []
    for name in arms(tables):
        parts = [
            f"{text} {said(part)}" for kind, text in KINDS.items() if len(part := rows[(rows["arm"] == name) & (rows["kind"] == kind)])
        ]
        if parts:
            reading.append(f"{arm_label(name)}: {', '.join(parts)}.")
    enough = frame[(frame["arm"] == arm) & (frame["n"] >= 10)]
    if len(enough):
        # On several equal values the first stands, as the frame is sorted by name.
        values = enough["share"].to_numpy()
        top, low_row = enough.iloc[int(values.argmax())], enough.iloc[int(values.argmin())]
        reading.append(
            f"Most for {top['emotion']} ({points(float(top['share']), digits=0)} %, {KINDS[str(top['kind'])]}), least for {low_row['emotion']} "
            f"({points(float(low_row['share']), digits=0)} %, {KINDS[str(low_row['kind'])]}), of emotions with ten rows or more."
        )
    limits = (
        "emotion told by other words: only the label, its adjective and its listed synonyms are looked for, by their stems. Wilson intervals take rows to "
        "be independent. A row of two emotions counts for each."
    )
    return Words(title, reading, limits, "Share of rows that name their emotion, by emotion and arm, with and without context.")


draw_explicit_share = register(
    FigureSpec("explicit_share", "Rows that name their emotion", explicit_numbers, paint_explicit, explicit_words, 340, PART)
)


# --- labels in the model's own words --------------------------------------------------------------------

HOWS = {"label": "a label of the taxonomy", "synonym": "a listed synonym", "neighbour": "nearest label by meaning", "rejected": "rejected",
        "empty": "no label at all"}  # fmt: skip
_HOW_COLOURS = {"label": 2, "synonym": 9, "neighbour": 0, "rejected": 3, "empty": 7}


def shown_labels(confusion: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    """Return the commonest free-form labels, as they may be shown; labels that share a run of words with a corpus are withheld.

    Labels are what a model wrote: made fit for a figure, they hold nothing that a renderer reads as markup.
    """
    rows = confusion.sort_values("count", ascending=False, kind="stable").head(TOP)
    return rows.assign(raw=[UNSHOWN if texts.shares_run(str(raw)) else str(raw) for raw in rows["raw"]]).reset_index(drop=True)


def _plain(raw: str) -> str:
    text = "".join(letter if letter.isprintable() and ord(letter) < 0x2000 else "\u00b7" for letter in raw)
    # A dollar sign would start mathematics.
    text = text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"
    return (text or "(nothing)").replace("$", r"\$")


def confusion_numbers(tables: Tables) -> pd.DataFrame:
    """Return the commonest free-form labels, where each went and how, with its count and mean similarity."""
    found = tables.pillars.confusion
    if found is None or found.empty:
        raise Missing("No rows were labelled in the generator's own words (grounding/confusion.parquet).")
    return shown_labels(found, tables.corpus_texts)[["raw", "label", "how", "count", "similarity"]]


def paint_confusion(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one bar per free-form label, as long as it is common, with the label that it went to."""
    fig = new_figure(figures, 1.3 + 0.24 * len(frame))
    axes = fig.subplots()
    most = float(frame["count"].max())
    for at, (number, how, label) in enumerate(zip(frame["count"], frame["how"], frame["label"], strict=True)):
        axes.barh(at, float(number), height=0.66, color=plain_look(_HOW_COLOURS.get(str(how), 7))["color"], linewidth=0)
        went = f"→ {label}" if isinstance(label, str) and label else "→ nowhere"
        axes.text(float(number) + 0.012 * most, at, f"{number} {went}", va="center", fontsize=0.82 * figures.font_size)
    named_rows(axes, [_plain(str(raw)) for raw in frame["raw"]])
    axes.set_xlim(0, 1.28 * most)
    axes.set_xlabel("rows")
    present = [how for how in HOWS if how in set(frame["how"])]
    legend_below(fig, [handle(HOWS[how], plain_look(_HOW_COLOURS[how], "s"), line=False) for how in present], 3)
    return fig


def confusion_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say how many free-form labels are in the taxonomy, how the others were mapped, and how many were rejected."""
    every = tables.pillars.confusion
    assert every is not None
    by_how = every.groupby("how", sort=False)["count"].sum()
    total = int(by_how.sum())
    outside = total - int(by_how.get("label", 0))
    title = f"{share(outside, total)} labels in the generator's own words are not of the taxonomy; {per_cent(float(by_how.get('rejected', 0)) / total)} were rejected"
    reading = [
        "How they were resolved: " + "; ".join(f"{HOWS[how]} {per_cent(float(by_how[how]) / total)}" for how in HOWS if how in by_how) + "."
    ]
    reading.append(
        f"There are {count(float(every['raw'].nunique() if len(every) <= TOP else len(every)))} different cases; the {len(frame)} commonest are drawn."
    )
    limits = (
        "whether the nearest label by meaning is the right one: it is a judgement of an embedding model, and the threshold was set beforehand. These labels "
        "train nothing; they are for this table."
    )
    return Words(title, reading, limits, "Bars of the commonest free-form labels by number of rows, coloured by how they were resolved.")


draw_label_confusion = register(
    FigureSpec("label_confusion", "Labels in its own words", confusion_numbers, paint_confusion, confusion_words, 350, PART)
)


# --- intended against scored ----------------------------------------------------------------------------


def agreement_numbers(tables: Tables) -> pd.DataFrame:
    """Return agreement (per cent, Wilson interval) and mean rank of the intended emotion among the scored ones, by arm and emotion."""
    rows, level, found = of_emotions(_accepted(tables)), tables.evidence.confidence, []
    for arm in arms(tables):
        for emotion, group in rows[rows["arm"] == arm].groupby("emotion", sort=True):
            value, low, high, n = proportion(group["agreement"], level)
            rank = summary(group["intended_rank"].astype(float), level)
            found.append([arm, emotion, 100 * value, 100 * low, 100 * high, rank.mean, rank.low, rank.high, n])
    return pd.DataFrame(found, columns=["arm", "emotion", "agreement", "low", "high", "rank", "rank_low", "rank_high", "n"])


def _labels(tables: Tables) -> int:
    return of_emotions(rows_of_text(tables))["emotion"].nunique()


def paint_agreement(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw agreement and mean rank by emotion, one mark per arm; the dotted lines are chance."""
    emotions, labels = _sorted(frame, tables, "agreement"), _labels(tables)
    fig = new_figure(figures, 1.2 + 0.23 * len(emotions))
    panels = fig.subplots(1, 2)
    columns = (("agreement", "low", "high"), ("rank", "rank_low", "rank_high"))
    titles = (
        ("Scored label is one asked for", "rows (%)", 100 / labels),
        ("Rank of the emotion asked for", "mean rank (1 is best)", (labels + 1) / 2),
    )
    for axes, names, (title, unit, chance) in zip(panels, columns, titles, strict=True):
        _marks(axes, frame, tables, emotions, names)
        reference_line(axes, chance, horizontal=False)
        named_rows(axes, emotions, names[0] == "agreement")
        axes.set_title(title)
        axes.set_xlabel(unit)
    legend_below(fig, [handle(arm_label(arm), pillar_look(tables, arm), line=False) for arm in dict.fromkeys(frame["arm"])], 3)
    return fig


def agreement_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say in how many rows the scored label is one asked for, by arm, and for which emotions most and least."""
    rows, level, arm = _accepted(tables), tables.evidence.confidence, headline_arm(tables)
    mine = rows[rows["arm"] == arm]
    whole = mine if len(mine) else rows
    value, low, high, n = proportion(whole["agreement"], level)
    title = (
        f"The label scored highest is one that was asked for in {per_cent(value)} of accepted {arm_label(arm).lower() if len(mine) else 'generated'} rows "
        f"({per_cent(level)} interval {span(100 * low, 100 * high, digits=0)}; {count(n)} rows)"
    )
    reading = []
    for name in arms(tables):
        part = rows[rows["arm"] == name]
        if len(part):
            rank = float(part["intended_rank"].astype(float).mean())
            reading.append(
                f"{arm_label(name)}: agreement {per_cent(float(part['agreement'].astype(bool).mean()))}, mean rank {points(rank)}."
            )
    enough = frame[(frame["arm"] == arm) & (frame["n"] >= 10)]
    if len(enough):
        values = enough["agreement"].to_numpy()
        top, least = enough.iloc[int(values.argmax())], enough.iloc[int(values.argmin())]
        reading.append(
            f"Most agreement for {top['emotion']} ({points(float(top['agreement']), digits=0)} %), least for {least['emotion']} "
            f"({points(float(least['agreement']), digits=0)} %). By chance, with {_labels(tables)} labels, one emotion would come first in "
            f"{per_cent(1 / _labels(tables), 1)} of rows; a row of two emotions has two chances."
        )
    limits = (
        "which of the two is right: generator and scorer are language models of the same kind, and share their errors. Where they disagree, text, "
        "scorer or both may be wrong."
    )
    return Words(title, reading, limits, "Agreement of scored and intended labels, and mean rank of the intended one, by emotion and arm.")


draw_label_agreement = register(
    FigureSpec("label_agreement", "Labels asked for and scored", agreement_numbers, paint_agreement, agreement_words, 360, PART)
)
