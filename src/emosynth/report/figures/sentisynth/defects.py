"""The published protocol's defects, switched on one by one: what each adds to the number reported."""

from __future__ import annotations

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
from emosynth.report.figures.sentisynth.common import MEAN, PART, bare_rows, headline, mean_of, said, scored, short, student_order
from emosynth.report.numbers import POINTS, Mean, interval, points, summary
from emosynth.report.tables import Tables
from emosynth.style import current_theme, new_figure, palette_colour

HONEST, ALL = "honest", "all defects"
_LABELS = {
    "oracle teacher": "Teacher saw all training rows",
    "synthetic in evaluation": "Synthetic rows in\nvalidation and test",
    "softmax over probabilities": "Softmax over probabilities,\nnot logits",
    "weights after batch mean": "Loss averaged before\nrows are weighted",
    "all defects": "All at once",
}
REPORTED, TRUE = "reported − honest", "true − honest"


def defect_numbers(tables: Tables) -> pd.DataFrame:
    """Return, by student and defect, the reported and the true macro-F1 minus the honest one (points), paired by repeat."""
    rows = scored(tables, "ablation", "ablation of defects")
    level, found = tables.evidence.confidence, []
    for student in student_order(tables, rows):
        of_student = rows[rows["student"] == student]
        honest = of_student[of_student["variant"] == HONEST].groupby("repeat")["macro_f1"].mean()
        variants = [name for name in dict.fromkeys(of_student["variant"]) if name and name != HONEST]
        for variant in sorted(variants, key=lambda name: (name == ALL, list(_LABELS).index(name) if name in _LABELS else len(_LABELS))):
            by_repeat = of_student[of_student["variant"] == variant].groupby("repeat")[["reported_macro_f1", "macro_f1"]].mean()
            for column, what in (("reported_macro_f1", REPORTED), ("macro_f1", TRUE)):
                mean = summary(((by_repeat[column] - honest) * POINTS).dropna(), level)
                if mean.n:
                    found.append([student, int(of_student["size"].iloc[0]), variant, what, mean.mean, mean.low, mean.high, mean.n])
    if not found:
        raise Missing("No defect was switched on beside the honest protocol on the same seeds.")
    return pd.DataFrame(found, columns=["student", "size", "variant", "difference", *MEAN])


def paint_defects(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one row per defect, one panel per student: filled what is reported, hollow what it truly does."""
    students, variants = list(dict.fromkeys(frame["student"])), list(dict.fromkeys(frame["variant"]))
    fig = new_figure(figures, 1.4 + 0.46 * len(variants))
    panels = fig.subplots(1, len(students), squeeze=False, sharey=True, sharex=True)[0]
    limits = bounds(frame)
    limits = min(limits[0], -0.5), max(limits[1], 0.5)
    looks = {REPORTED: _look(True), TRUE: _look(False)}
    for axes, student in zip(panels, students, strict=True):
        zero_line(axes)
        axes.set_xlim(limits)
        for row in rows_of(frame[frame["student"] == student]):
            at = variants.index(row.variant) + (-0.14 if row.difference == REPORTED else 0.14)
            dot_interval(axes, row.mean, at, row.low, row.high, looks[row.difference], limits=limits)
        bare_rows(axes, len(variants))
        axes.set_title(f"{short(student)}\nn = {int(frame.loc[frame['student'] == student, 'size'].iloc[0])}")
        axes.set_xlabel("difference (F1 points)")
    panels[0].set_yticks(range(len(variants)), [_LABELS.get(name, name) for name in variants])
    legend_below(
        fig,
        [
            handle("number the defective protocol reports, minus honest", looks[REPORTED], line=False),
            handle("its student on the untouched test split, minus honest", looks[TRUE], line=False),
        ],
        1,
    )
    return fig


def _look(filled: bool) -> dict[str, object]:
    colour = palette_colour(3) if filled else current_theme().muted
    return {
        "color": colour, "marker": "s" if filled else "o", "markerfacecolor": colour if filled else current_theme().background,
        "markeredgecolor": colour, "markeredgewidth": 1.2, "linestyle": "-",
    }  # fmt: skip


def defect_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say what all defects together, else the largest one, add to the reported number, and what each does."""
    level = tables.evidence.confidence
    student = headline(tables, scored(tables, "ablation", "ablation of defects"))
    rows = frame[(frame["student"] == student) & (frame["difference"] == REPORTED)].reset_index(drop=True)
    together = rows[rows["variant"] == ALL]
    top = together.iloc[0] if len(together) else rows.iloc[int(rows["mean"].to_numpy().argmax())]
    mean = mean_of(top)
    what = "All published defects together" if top["variant"] == ALL else f"The defect “{top['variant']}”"
    verb = "change" if top["variant"] == ALL else "changes"
    title = (
        f"{what} {verb} the reported macro-F1 by {points(mean.mean, sign=True)} points at n = {int(top['size'])} "
        f"({interval(mean, level, sign=True)}; {short(student)})"
    )
    true = frame[(frame["student"] == student) & (frame["difference"] == TRUE)].set_index("variant")
    reading = []
    for _, row in rows.iterrows():
        sentence = f"{str(row['variant']).capitalize()}: reported {said(mean_of(row), level)}"
        if row["variant"] in true.index:
            at = true.loc[row["variant"]]
            real: Mean = mean_of(at)
            sentence += f", on untouched test rows {points(real.mean, sign=True)}"
        reading.append(sentence + ".")
    limits = (
        "what the defects did in the published study itself, whose corpus, model and code are not ours: they are built as its text describes "
        "them. " + CLIPPED
    )
    return Words(
        title, reading, limits, "Differences in macro-F1 by defect, as reported and on untouched test rows, one panel per student."
    )


draw_defects = register(FigureSpec("defects", "Published defects", defect_numbers, paint_defects, defect_words, 190, PART))
