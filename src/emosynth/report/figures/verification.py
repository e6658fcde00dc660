"""What verification did: which candidates it kept and why not, and what that was worth."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

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
from emosynth.report.numbers import Mean, count, interval, paired, per_cent, points, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label, current_theme, learner_label, muted_colour, new_figure

ACCEPTED = "accepted"
_REASON_COLOURS = (9, 1, 4, 2, 5, 8, 6, 3, 0)
_LEARNER_MARKERS = ("o", "s", "^", "D", "v")


# Checks are named for what passes; a reason against a text says what is wrong with it.
_REASONS = {
    "nonempty": "empty",
    "length": "too short or long",
    "complete": "cut off",
    "meta": "talks about the task",
    "original": "copied",
    "distinct": "duplicate",
    "agreement": "label not recognised",
    "confidence": "label not certain enough",
    "charset": "not plain text",
    "repetition": "repeats itself",
    "novelty": "nothing new",
    "perplexity": "too likely or too unlikely",
}


def reason_label(reason: str) -> str:
    """Return the reason against a text, by the name of the check that failed, for readers."""
    return _REASONS.get(reason, reason.replace("_", " ").replace("-", " "))


def check_names(candidates: pd.DataFrame) -> list[str]:
    """Return the names of the checks in the order in which they were made (that of their columns)."""
    return [name.removeprefix("ok_") for name in candidates.columns if name.startswith("ok_")]


def reason_shares(candidates: pd.DataFrame, arms: list[str]) -> list[dict[str, object]]:
    """Return counts and shares of accepted candidates and of each first reason against, by arm, in the order of the checks."""
    against = set(candidates.loc[~candidates["accepted"].astype(bool), "reason"].replace("", "other"))
    checks = check_names(candidates)
    reasons = sorted(against, key=lambda name: (checks.index(name) if name in checks else len(checks), name))
    rows: list[dict[str, object]] = []
    for arm in arms:
        of_arm = candidates[candidates["arm"] == arm]
        if of_arm.empty:
            continue
        taken = of_arm["accepted"].astype(bool)
        counts = {ACCEPTED: int(taken.sum())}
        by_reason = of_arm.loc[~taken, "reason"].replace("", "other").value_counts()
        counts.update({str(reason): int(by_reason.get(reason, 0)) for reason in reasons})
        for reason, number in counts.items():
            rows.append({"panel": "candidates", "arm": arm, "reason": reason, "count": number, "share": number / len(of_arm)})
    return rows


def verification_numbers(tables: Tables) -> pd.DataFrame:
    """Return shares of candidates by arm and reason, and verified minus unverified macro-F1 by arm and learner.

    Rows with ``panel`` = "candidates" hold counts and shares; rows with "gain" hold the difference in points at the
    largest size of the learner.
    """
    rows: list[dict[str, object]] = []
    if tables.candidates is not None and len(tables.candidates):
        rows += reason_shares(tables.candidates, tables.generating)
    if tables.scores is not None:
        for learner in tables.learners:
            size = tables.largest_size(learner)
            for arm in tables.generating:
                held: dict[str, object] = {"learner": learner, "arm": arm, "size": size}
                differences = paired(tables.scores, {**held, "verified": True}, {**held, "verified": False}, ["repeat"], "macro_f1")
                gain = summary(differences["difference"], tables.evidence.confidence)
                if gain.n:
                    rows.append(
                        {
                            "panel": "gain",
                            "arm": arm,
                            "learner": learner,
                            "size": size,
                            "mean": gain.mean,
                            "low": gain.low,
                            "high": gain.high,
                            "repeats": gain.n,
                        }
                    )
    if not rows:
        raise Missing("No candidates yet (candidates/candidates.parquet).")
    columns = ["panel", "arm", "reason", "count", "share", "learner", "size", "mean", "low", "high", "repeats"]
    return pd.DataFrame(rows).reindex(columns=columns)


def paint_reasons(axes: Axes, shares: pd.DataFrame, arms: list[str], figures: Figures) -> list[Patch]:
    """Draw one stacked bar per arm, the share accepted first; return the entries of the legend."""
    theme = current_theme()
    shares = _few_reasons(shares)
    reasons = [reason for reason in dict.fromkeys(shares["reason"]) if reason != ACCEPTED]
    colours = {
        ACCEPTED: theme.muted,
        **{reason: muted_colour(_REASON_COLOURS[place % len(_REASON_COLOURS)]) for place, reason in enumerate(reasons)},
    }
    entries = []
    for reason in [ACCEPTED, *reasons]:
        rows = shares[shares["reason"] == reason].set_index("arm").reindex(arms)
        start = (
            shares[shares["reason"].isin([ACCEPTED, *reasons][: [ACCEPTED, *reasons].index(reason)])]
            .groupby("arm")["share"]
            .sum()
            .reindex(arms)
        )
        axes.barh(
            range(len(arms)),
            100 * rows["share"].fillna(0.0),
            left=100 * start.fillna(0.0),
            height=0.62,
            color=colours[reason],
            edgecolor=theme.background,
            linewidth=1.0,
        )
        entries.append(Patch(facecolor=colours[reason], label="accepted" if reason == ACCEPTED else reason_label(reason)))
    for y, arm in enumerate(arms):
        accepted = shares[(shares["arm"] == arm) & (shares["reason"] == ACCEPTED)]["share"]
        if len(accepted):
            axes.annotate(
                f"{100 * accepted.iloc[0]:.0f} %", (0, y), xytext=(5, 0), textcoords="offset points", va="center",
                color=theme.background, fontsize=0.9 * figures.font_size, fontweight="bold",
            )  # fmt: skip
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of candidates (%)")
    axes.set_title("Kept, and why not")
    axes.set_yticks(range(len(arms)), [arm_label(arm) for arm in arms])
    axes.set_ylim(len(arms) - 0.45, -0.55)
    return entries


def _few_reasons(shares: pd.DataFrame) -> pd.DataFrame:
    """Return shares with the rarest reasons taken together, so that there are no more reasons than colours."""
    counts = shares[shares["reason"] != ACCEPTED].groupby("reason", sort=False)["count"].sum()
    if len(counts) <= len(_REASON_COLOURS):
        return shares
    kept = set(counts.sort_values(ascending=False, kind="stable").index[: len(_REASON_COLOURS) - 1]) | {ACCEPTED}
    merged = shares.assign(reason=shares["reason"].where(shares["reason"].isin(kept), "other reasons"))
    merged = merged.groupby(["arm", "reason"], sort=False)[["count", "share"]].sum().reset_index()
    last = merged["reason"] == "other reasons"
    return pd.concat([merged[~last], merged[last]], ignore_index=True)


def paint_verification(frame: pd.DataFrame, tables: Tables, figures: Figures) -> Figure:
    """Draw stacked shares on the left and, on the same rows, the gain in macro-F1 on the right."""
    theme = current_theme()
    arms = [arm for arm in tables.generating if arm in set(frame["arm"])]
    shares, gains = frame[frame["panel"] == "candidates"], frame[frame["panel"] == "gain"]
    fig = new_figure(figures, 1.5 + 0.42 * len(arms))
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=[1.25, 1])
    entries: list[Any] = list(paint_reasons(left, shares, arms, figures))
    learners = list(dict.fromkeys(gains["learner"]))
    zero_line(right)
    limits = bounds(gains) if len(gains) else (-1.0, 1.0)
    limits = min(limits[0], 0.0), max(limits[1], 0.0)
    right.set_xlim(limits)
    for place, learner in enumerate(learners):
        look = _learner_look(place)
        for row in rows_of(gains[gains["learner"] == learner]):
            at = arms.index(row.arm) + (place - (len(learners) - 1) / 2) * 0.24
            dot_interval(right, row.mean, at, row.low, row.high, look, size=5.5, limits=limits)
        entries.append(handle(learner_label(learner, short=True), look, line=False))
    right.set_title("Verified minus unverified")
    right.set_xlabel("difference (F1 points)")
    if gains.empty:
        right.annotate("no arm was scored both ways", (0.5, 0.5), xycoords="axes fraction", ha="center", color=theme.muted)
    for axes in (left, right):
        axes.grid(axis="x")
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
    legend_below(fig, entries, 4)
    return fig


def _learner_look(place: int) -> dict[str, object]:
    theme = current_theme()
    hollow = place % 2 == 1
    return {
        "color": theme.ink if place < 2 else theme.muted,
        "marker": _LEARNER_MARKERS[place % len(_LEARNER_MARKERS)],
        "markerfacecolor": theme.background if hollow else theme.ink if place < 2 else theme.muted,
        "linestyle": "none",
    }


def verification_words(frame: pd.DataFrame, tables: Tables) -> Words:
    """Say how many candidates were kept, the commonest reason against, and the mean gain over all generating arms."""
    level = tables.evidence.confidence
    reading, title = [], "What verification kept"
    shares = frame[frame["panel"] == "candidates"]
    if len(shares):
        total, kept = int(shares["count"].sum()), int(shares.loc[shares["reason"] == ACCEPTED, "count"].sum())
        title = f"Verification kept {per_cent(kept / total)} of {count(total)} candidates"
        by_arm = shares[shares["reason"] == ACCEPTED].set_index("arm")["share"]
        reading.append(
            f"Acceptance runs from {per_cent(by_arm.min())} ({arm_label(str(by_arm.idxmin()))}) to {per_cent(by_arm.max())} ({arm_label(str(by_arm.idxmax()))})."
        )
        rejected = shares[shares["reason"] != ACCEPTED].groupby("reason")["count"].sum()
        if len(rejected) and rejected.sum():
            reading.append(
                f"The commonest first reason against a candidate is “{reason_label(str(rejected.idxmax()))}” "
                f"({per_cent(rejected.max() / max(total - kept, 1))} of those rejected)."
            )
    learner = tables.learner
    gains = frame[(frame["panel"] == "gain") & (frame["learner"] == learner)]
    if len(gains) and learner:
        size = int(gains["size"].iloc[0])
        overall = _overall_gain(tables, learner, size)
        title += f"; it was worth {points(overall.mean, sign=True)} F1 points on average at n = {size} ({interval(overall, level, sign=True)}; {learner_label(learner, short=True)})"
        best = gains.iloc[int(gains["mean"].to_numpy().argmax())]
        found = Mean(float(best["mean"]), float(best["low"]), float(best["high"]), int(best["repeats"]))
        reading.append(
            f"The largest gain is that of {arm_label(best['arm'])}: {points(found.mean, sign=True)} points ({interval(found, level, sign=True)})."
        )
    limits = (
        "what each check alone is worth (a candidate is counted under the first check that it fails), or whether rejected texts are "
        "bad: the label check is a classifier trained on the same few seed rows, and errs. " + CLIPPED
    )
    return Words(
        title, reading, limits, "Stacked bars of accepted and rejected candidates by arm; beside them dots of the gain in macro-F1."
    )


def _overall_gain(tables: Tables, learner: str, size: int) -> Mean:
    """Return the mean gain over arms, with repeats as the unit (arms of one repeat share a seed)."""
    assert tables.scores is not None
    rows = tables.scores[tables.scores["arm"].isin(tables.generating)]
    held: dict[str, object] = {"learner": learner, "size": size}
    by_arm = paired(rows, {**held, "verified": True}, {**held, "verified": False}, ["repeat", "arm"], "macro_f1")
    return summary(by_arm.groupby("repeat")["difference"].mean(), tables.evidence.confidence)


draw_verification = register(FigureSpec("verification", "Verification", verification_numbers, paint_verification, verification_words, 30))
