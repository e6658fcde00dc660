"""Verification of the candidates of the distillation: what was kept, and why not."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from emosynth.params import Figures
from emosynth.report.figures.base import FigureSpec, Missing, Words, legend_below, register
from emosynth.report.figures.sentisynth.common import PART
from emosynth.report.figures.verification import ACCEPTED, check_names, paint_reasons, reason_label, reason_shares
from emosynth.report.numbers import count, per_cent
from emosynth.report.tables import Tables
from emosynth.style import arm_label, new_figure, order_arms


def rejection_numbers(tables: Tables) -> pd.DataFrame:
    """Return shares of candidates by arm and first reason (panel "candidates"), and failing each check at all (panel "check")."""
    found = tables.synthetic
    if found is None or found.empty:
        raise Missing("No candidates for distillation (synthesis/candidates.parquet).")
    arms = order_arms(found["arm"])
    rows = reason_shares(found, arms)
    for arm in arms:
        of_arm = found[found["arm"] == arm]
        for name in check_names(found):
            failed = int((~of_arm[f"ok_{name}"].astype(bool)).sum())
            rows.append({"panel": "check", "arm": arm, "reason": name, "count": failed, "share": failed / len(of_arm)})
    return pd.DataFrame(rows)[["panel", "arm", "reason", "count", "share"]]


def paint_rejections(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw one stacked bar per arm."""
    shares = frame[frame["panel"] == "candidates"]
    arms = list(dict.fromkeys(shares["arm"]))
    fig = new_figure(figures, 1.7 + 0.42 * len(arms))
    axes = fig.subplots()
    entries = paint_reasons(axes, shares, arms, figures)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    legend_below(fig, entries, 4)
    return fig


def rejection_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say how many candidates were kept by arm, and which check rejects most."""
    shares = frame[frame["panel"] == "candidates"]
    kept = shares[shares["reason"] == ACCEPTED]
    total = int(shares["count"].sum())
    title = f"Verification kept {per_cent(float(kept['count'].sum()) / total)} of {count(total)} candidates for distillation"
    reading = ["Kept: " + "; ".join(f"{arm_label(row['arm'])} {per_cent(float(row['share']))}" for _, row in kept.iterrows()) + "."]
    rejected = shares[shares["reason"] != ACCEPTED].groupby("reason", sort=False)["count"].sum()
    if len(rejected):
        reading.append(
            f"The commonest first reason against a candidate is “{reason_label(str(rejected.idxmax()))}” "
            f"({per_cent(float(rejected.max()) / max(int(rejected.sum()), 1))} of those rejected)."
        )
    failing = frame[frame["panel"] == "check"].groupby("reason", sort=False)["count"].sum().sort_values(ascending=False, kind="stable")
    failing = failing[failing > 0].head(4)
    if len(failing):
        reading.append(
            "Failing each check, whatever else they fail: "
            + "; ".join(f"{reason_label(str(name))} {per_cent(float(number) / total)}" for name, number in failing.items())
            + "."
        )
    limits = (
        "whether rejected texts are bad, or accepted ones good: agreement and confidence are those of a teacher trained on the same seed, "
        "and it errs. A bar counts a candidate under the first check that it fails."
    )
    return Words(title, reading, limits, "Stacked bars of accepted and rejected candidates by arm.")


draw_verification_reasons = register(
    FigureSpec("verification_reasons", "Verification for distillation", rejection_numbers, paint_rejections, rejection_words, 125, PART)
)
