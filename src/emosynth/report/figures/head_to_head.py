"""Head to head: every arm at the largest seed, at equal accepted rows, equal rows written and equal tokens, with what it cost."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.evidence.numbers import POINTS, gain, gain_span, listed, some
from emosynth.params import Figures
from emosynth.report.figures.base import SCORES, Figure, Words, bare, dot_interval, learner_legend, limits_of, rows_of, zero_line
from emosynth.report.tables import Tables
from emosynth.report.wording import INTERVALS, size
from emosynth.stats import holm
from emosynth.style import current_theme, new_figure

BUDGETS = {"accepted": "equal\naccepted rows", "generated": "equal\nrows written", "tokens": "equal\ntokens"}


class HeadToHead(Figure):
    """A panel a budget, a row an arm, a marker a learner; tokens beside."""

    name = "head_to_head"
    label = "All arms, head to head"
    page = "training"
    order = 10
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return gains over the labels alone in points at the largest seed size of each learner, with cost."""
        rows = tables.need_contrasts()
        rows = rows[(rows["against"] == "seed") & (rows["version"] == "")]
        rows = rows[rows["size"] == rows.groupby("learner")["size"].transform("max")]
        columns = [
            "arm",
            "learner",
            "budget",
            "size",
            "gain",
            "low",
            "high",
            "p",
            "p_better",
            "repeats",
            "n_synthetic",
            "n_generated",
            "tokens",
            "thrown",
        ]
        frame = rows[columns]
        place = {arm: number for number, arm in enumerate(tables.looks.arms)}
        frame = frame.assign(place=frame["arm"].map(place), **{name: POINTS * frame[name] for name in ("gain", "low", "high")})
        return frame.sort_values(["budget", "place", "learner"], kind="stable").drop(columns="place").reset_index(drop=True)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        """Draw gains by budget, and tokens as bars."""
        looks, theme = tables.looks, current_theme()
        arms = looks.order(frame["arm"])
        budgets = [name for name in BUDGETS if name in set(frame["budget"])]
        learners = [name for name in tables.params.learners if name in set(frame["learner"])]
        fig = new_figure(figures, 1.7 + 0.42 * len(arms))
        *panels, cost = fig.subplots(1, len(budgets) + 1, sharey=True, width_ratios=[*[1.0] * len(budgets), 0.5])
        limits = limits_of(frame)
        for axes, budget in zip(panels, budgets, strict=True):
            axes.set_xlim(limits)
            zero_line(axes)
            for place, learner in enumerate(learners):
                own = frame[(frame["budget"] == budget) & (frame["learner"] == learner)]
                for row in rows_of(own):
                    y = arms.index(row.arm) + (place - (len(learners) - 1) / 2) * 0.7 / max(1, len(learners))
                    look = {**looks.learner_look(learner), "color": looks.colour(row.arm), "markeredgecolor": looks.colour(row.arm)}
                    look["markerfacecolor"] = theme.background if look["markerfacecolor"] == theme.background else look["color"]
                    dot_interval(axes, row.gain, y, (row.low, row.high), look, size=5.0)
            axes.set_title(BUDGETS[budget])
            axes.set_xlabel("F1 points")
            bare(axes, [looks.title(arm) for arm in arms])
        tokens = frame[frame["budget"] == "accepted"].groupby("arm")["tokens"].mean().reindex(arms).fillna(0.0) / 1000
        cost.barh(range(len(arms)), tokens, height=0.5, color=[looks.colour(arm) for arm in arms], alpha=0.6)
        cost.set_title("cost\n")
        cost.set_xlabel("k tokens")
        bare(cost, [looks.title(arm) for arm in arms])
        learner_legend(fig, looks, learners)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        """Say which written arms are shown to gain, and which to lose."""
        looks = tables.looks
        learner = tables.headline.learner if tables.headline else str(frame["learner"].iloc[0])
        rows = frame[(frame["learner"] == learner) & (frame["budget"] == "accepted")]
        written = rows[[not looks.real(arm) for arm in rows["arm"]]]
        shown = written[holm(written["p"].to_numpy(dtype=float)) < tables.params.evidence.alpha]
        gains, loses = shown[shown["gain"] > 0], shown[shown["gain"] < 0]
        at = size(int(rows["size"].max())) if len(rows) else ""
        title = f"{len(gains)} of {some(len(written), 'written arm')} are shown to gain over the labels alone at {at} with {looks.learner(learner)}"
        parts = []
        if len(written):
            best = written.iloc[int(written["gain"].to_numpy().argmax())]
            parts.append(
                f"The largest gain is that of {looks.title(str(best['arm']))}: {gain(best['gain'] / POINTS)} ({gain_span(best['low'] / POINTS, best['high'] / POINTS)})"
            )
        if len(loses):
            parts.append(f"shown to be worse than the labels alone: {listed([looks.title(str(arm)) for arm in loses['arm']])}")
        reading = "; ".join(parts) + "." if parts else ""
        limits = (
            f"What is shown is so after Holm's correction for {some(len(written), 'written arm')}; the intervals drawn are not corrected. The largest gain is "
            "flattered by having been picked. "
        )
        return Words(
            title,
            reading,
            limits + INTERVALS,
            "Dots with intervals of the gain in macro-F1 by arm and learner, one panel a budget; bars of tokens.",
        )
