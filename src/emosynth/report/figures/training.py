"""The page on training: arms head to head, learning curves, gain by class, and settings one at a time."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.design.arms import SEED
from emosynth.evidence import Group, rare_classes
from emosynth.evidence.apart import CHANGES
from emosynth.evidence.numbers import INTERVALS, POINTS, gain, gain_span, level, listed, of_points, per_cent, size, some
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures.answer import headline_of
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, rows_of
from emosynth.report.tables import Tables
from emosynth.stats import holm
from emosynth.style import current_theme, drawn_names, new_figure

BUDGETS = {"accepted": "equal\naccepted rows", "generated": "equal\nrows written", "tokens": "equal\ntokens"}
_HEAD_TO_HEAD = [
    "arm", "learner", "budget", "size", "gain", "low", "high", "p", "p_better", "repeats", "n_synthetic", "n_generated", "tokens",
    "thrown",
]  # fmt: skip


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
        return chart.ordered(chart.in_points(rows[_HEAD_TO_HEAD]), ["budget", "arm", "learner"], arm=tables.looks.arms)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks, theme = tables.looks, current_theme()
        arms = looks.order(frame["arm"])
        budgets = [name for name in BUDGETS if name in set(frame["budget"])]
        learners = chart.learners_in(tables, frame)
        fig = new_figure(figures, 1.7 + 0.42 * len(arms))
        *panels, cost = fig.subplots(1, len(budgets) + 1, sharey=True, width_ratios=[*[1.0] * len(budgets), 0.5])
        limits = chart.limits_of(frame)
        for axes, budget in zip(panels, budgets, strict=True):
            axes.set_xlim(limits)
            chart.zero_line(axes)
            for place, learner in enumerate(learners):
                own = frame[(frame["budget"] == budget) & (frame["learner"] == learner)]
                for row in rows_of(own):
                    y = arms.index(row.arm) + (place - (len(learners) - 1) / 2) * 0.7 / max(1, len(learners))
                    look = {**looks.learner_look(learner), "color": looks.colour(row.arm), "markeredgecolor": looks.colour(row.arm)}
                    look["markerfacecolor"] = theme.background if look["markerfacecolor"] == theme.background else look["color"]
                    chart.dot_interval(axes, row.gain, y, (row.low, row.high), look, size=5.0)
            axes.set_title(BUDGETS[budget])
            axes.set_xlabel("F1 points")
            chart.bare(axes, [looks.title(arm) for arm in arms])
        tokens = frame[frame["budget"] == "accepted"].groupby("arm")["tokens"].mean().reindex(arms).fillna(0.0) / 1000
        cost.barh(range(len(arms)), tokens, height=0.5, color=[looks.colour(arm) for arm in arms], alpha=0.6)
        cost.set_title("cost\n")
        cost.set_xlabel("k tokens")
        chart.bare(cost, [looks.title(arm) for arm in arms])
        chart.learner_legend(fig, looks, learners)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
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
            best = chart.top(written)
            parts.append(
                f"The largest gain is that of {looks.title(str(best['arm']))}: {of_points(best['gain'], best['low'], best['high'])}"
            )
        if len(loses):
            parts.append(f"shown to be worse than the labels alone: {listed([looks.title(str(arm)) for arm in loses['arm']])}")
        reading = "; ".join(parts) + "." if parts else ""
        limits = (
            f"What is shown is so after Holm's correction for {some(len(written), 'written arm')}; the intervals drawn are not corrected. "
        )
        told = tables.told
        if not len(gains) and told is not None and told.loc[told["learner"] == learner, "shown"].iloc[-1:].any():
            limits += (
                "The first page asks of the picked way alone, once and cross-fitted, and shows that it helps; here every arm is asked. "
            )
        limits += f"The largest gain is flattered by having been picked. {INTERVALS}"
        alt = "Dots with intervals of the gain in macro-F1 by arm and learner, one panel a budget; bars of tokens."
        return Words(title, reading, limits, alt)


# --- learning curves: macro-F1 of every arm that was run on several seed sizes ---


class LearningCurves(Figure):
    """One panel a learner, one line an arm."""

    name = "learning_curves"
    label = "Learning curves"
    page = "training"
    order = 20
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return mean macro-F1 in points by learner, arm and seed size, of arms with more than one size."""
        scored = tables.scored
        if scored is None:
            raise Missing("The run holds no trials.")
        rows = []
        for group in scored.groups:
            if (group.corpus, group.version, group.budget, group.sweep) == (tables.target, "", "accepted", ""):
                found = scored.combine([(1.0, group)])
                assert found is not None
                rows.append([group.size, found.effect, found.low, found.high, found.repeats, group.learner, group.arm])
        frame = chart.in_points(
            pd.DataFrame(rows, columns=["size", "mean", "low", "high", "repeats", "learner", "arm"]), "mean", "low", "high"
        )
        several = frame.groupby(["learner", "arm"])["size"].transform("nunique") > 1 if len(frame) else pd.Series(dtype=bool)
        if not several.any():
            raise Missing("No arm was run on more than one seed size.")
        return chart.ordered(frame[several], ["learner", "arm", "size"], arm=tables.looks.arms)

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks = tables.looks
        learners = chart.learners_in(tables, frame)
        arms, sizes = looks.order(frame["arm"]), sorted(int(item) for item in set(frame["size"]))
        fig = new_figure(figures, 4.2)
        panels = fig.subplots(1, len(learners), squeeze=False)[0]
        step = min(math.log10(b / a) for a, b in pairwise(sizes)) / (len(arms) + 1) / 1.5
        for axes, learner in zip(panels, learners, strict=True):
            rows = frame[frame["learner"] == learner]
            axes.set_ylim(chart.limits_of(rows, "mean", zero=False))
            for place, arm in enumerate(arms):
                line, look = rows[rows["arm"] == arm], looks.look(arm)
                x = line["size"] * 10 ** (step * (place - (len(arms) - 1) / 2))
                chart.dotted(axes, x, line, "mean", look, alpha=0.9)
            chart.size_axis(axes, sizes)
            axes.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
            axes.set_title(looks.learner(learner), wrap=True)
        panels[0].set_ylabel("macro-F1 (points)")
        chart.legend_below(fig, [chart.handle(looks.title(arm), looks.look(arm)) for arm in arms], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks = tables.looks
        head, learner = tables.headline, str(frame["learner"].iloc[0])
        learner = head.learner if head and head.learner in set(frame["learner"]) else learner
        rows = frame[frame["learner"] == learner]
        own = rows[rows["arm"] == SEED].set_index("size")["mean"]
        repeats = rows["size"].map(rows[rows["arm"] == SEED].set_index("size")["repeats"])  # means of other repeats are not compared
        small, large = int(rows["size"].min()), int(rows["size"].max())
        written = rows[~rows["arm"].map(looks.real) & (rows["repeats"] == repeats)]
        reading, parts = "", []
        for at in (small, large):
            here = written[written["size"] == at]
            if len(here) and at in own:
                best = chart.top(here, "mean")
                more = gain((best["mean"] - own[at]) / POINTS)
                parts.append(f"{looks.title(str(best['arm']))} leads the written arms at {size(at)} ({more} over the labels alone)")
        title = "Macro-F1 by number of labels"
        if small in own and large in own:
            title = f"From {small} to {large} labels alone, macro-F1 changes by {gain((own[large] - own[small]) / POINTS)} points"
            reading = f"With {looks.learner(learner)} on {tables.target}. "
        reading += "; ".join(parts) + "." if parts else ""
        alt = "Line charts of macro-F1 against the number of labels, one panel a learner, one line an arm."
        return Words(title, reading, INTERVALS, alt)


# --- classes: which of them an arm helps ---

_MOST_CLASSES = 30


class Classes(Figure):
    """A row a class, a marker an arm; the rarest class first."""

    name = "classes"
    label = "Gain by class"
    page = "training"
    order = 30
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return the gain in F1 of each class over the labels alone at the largest size: headline arm, real rows, balanced real rows."""
        head, scored, shares = headline_of(tables), tables.scored, tables.shares(tables.target)
        assert scored is not None
        balanced = [name for name, arm in tables.params.arms.items() if arm.add == "real-balanced"]
        arms = dict.fromkeys([head.arm, *([head.real] if head.real else []), *balanced[:1]])
        rare = rare_classes(shares, tables.params.evidence.minority_share)
        seed = Group(head.corpus, head.learner, head.size, SEED)
        rows = []
        for place, (label, share) in sorted(enumerate(shares.items()), key=lambda item: item[1][1])[:_MOST_CLASSES]:
            for arm in arms:
                found = scored.compare(seed.with_arm(arm), seed, [place])
                if found is not None:
                    rows.append([label, share, place in rare, arm, found.effect, found.low, found.high, found.repeats])
        return chart.in_points(pd.DataFrame(rows, columns=["label", "share", "rare", "arm", "gain", "low", "high", "repeats"]))

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks = tables.looks
        labels, arms = list(dict.fromkeys(frame["label"])), list(dict.fromkeys(frame["arm"]))
        fig = new_figure(figures, 1.5 + 0.42 * len(labels))
        axes = fig.subplots()
        axes.set_xlim(chart.limits_of(frame))
        chart.zero_line(axes)
        for row in rows_of(frame):
            y = labels.index(row.label) + (arms.index(row.arm) - (len(arms) - 1) / 2) * 0.22
            chart.dot_interval(axes, row.gain, y, (row.low, row.high), looks.look(row.arm), size=5.5)
        shares = frame.drop_duplicates("label").set_index("label")["share"]
        chart.bare(axes, [f"{label} ({per_cent(shares[label])})" for label in labels])
        axes.set_xlabel("gain in F1 of the class over the labels alone (points)")
        chart.legend_below(fig, [chart.handle(looks.title(arm), looks.look(arm), line=False) for arm in arms], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        head, params = headline_of(tables), tables.params
        row = next(rows_of(frame[frame["arm"] == head.arm]))
        title = f"The rarest class, {row.label}, changes by {gain(row.gain / POINTS)} points of F1 with {tables.looks.title(head.arm)} rows"
        rare = frame[frame["rare"]]["label"].nunique()
        reading = (
            f"{level(params)} {gain_span(row.low / POINTS, row.high / POINTS)}, at {size(head.size)} with {tables.looks.learner(head.learner)}. Beside each "
            f"class stands its share of the training rows; {rare} of them are below {per_cent(params.evidence.minority_share)} of an equal share."
        )
        limits = "Few test rows of a rare class make its interval wide; the intervals are not corrected for the number of classes. "
        return Words(title, reading, limits + INTERVALS, "Dots with intervals of the gain in F1 by class, rarest first, one marker an arm.")


# --- sweeps: one setting of an arm changed at a time ---

FEWEST = 3
"""Values from which a sweep is drawn."""
_PANELS_WIDE = 3


class Sweeps(Figure):
    """Small multiples, a panel a sweep; only sweeps in which something happens."""

    name = "sweeps"
    label = "Settings, one at a time"
    page = "training"
    order = 40
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return gains over the labels alone in points, by sweep, value and learner, of sweeps with three values or more."""
        rows = tables.need_contrasts(sweep=True)
        rows = rows[(rows["against"] == "seed") & (rows["budget"] == "accepted") & (rows["version"] == "") & (rows["sweep"] != CHANGES)]
        frame = chart.in_points(rows[["arm", "sweep", "value", "learner", "size", "gain", "low", "high", "repeats"]])
        frame = frame.assign(value=[_shown(value) for value in frame["value"]])
        values = frame.groupby(["arm", "sweep"])["value"].transform("nunique")
        frame = frame[(values >= FEWEST) & (frame["size"] == frame.groupby("learner")["size"].transform("max"))]
        if frame.empty:
            raise Missing(f"No sweep has {FEWEST} values.")
        return frame.reset_index(drop=True)

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        if any(_moves(part) for _, part in frame.groupby(["arm", "sweep"], sort=False)):
            return ""
        return "No setting that was swept over moves the score by more than the half-width of its intervals."

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks = tables.looks
        groups = list(frame.groupby(["arm", "sweep"], sort=False))
        groups = [item for item in groups if _moves(item[1])] or groups
        fig = new_figure(figures, 0.9 + 2.4 * -(-len(groups) // _PANELS_WIDE))
        panels = chart.grid_of(fig, len(groups), _PANELS_WIDE, sharey=True)
        learners = chart.learners_in(tables, frame)
        titles = drawn_names([looks.title(str(arm)) for (arm, _), _ in groups], 32)
        for axes, title, ((_, sweep), part) in zip(panels, titles, groups, strict=True):
            values = list(dict.fromkeys(part["value"]))
            axes.set_ylim(chart.limits_of(frame))
            chart.zero_line(axes, horizontal=False)
            for place, learner in enumerate(learners):
                line, look = part[part["learner"] == learner], looks.learner_look(learner)
                x = [values.index(value) + 0.1 * (place - (len(learners) - 1) / 2) for value in line["value"]]
                chart.dotted(axes, x, line, "gain", look, alpha=0.6, linewidth=1.0)
            axes.set_xticks(range(len(values)), values)
            axes.set_xlim(-0.5, len(values) - 0.5)
            axes.set_title(f"{title}\n{sweep}", fontsize=0.95 * figures.font_size)
        for axes in panels[::_PANELS_WIDE]:
            axes.set_ylabel("gain (F1 points)")
        chart.learner_legend(fig, looks, learners)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        spans = {key: _range(part) for key, part in frame.groupby(["arm", "sweep"], sort=False)}
        (arm, sweep), (width, learner, best) = max(spans.items(), key=lambda item: item[1][0])
        flat = [str(key[1]) for key, part in frame.groupby(["arm", "sweep"], sort=False) if not _moves(part)]
        title = f"{sweep} moves {tables.looks.title(str(arm))} most: {gain(width / POINTS).removeprefix('+')} points between its best and worst value"
        reading = f"Best is {best}, with {tables.looks.learner(learner)}. "
        reading += f"Not drawn, because nothing happens: {', '.join(flat)}." if flat and len(flat) < len(spans) else ""
        limits = "Values are compared on the test rows: the best one is flattered by having been picked. One setting is changed at a time. "
        alt = "Small line charts of the gain in macro-F1 by value of a setting, one panel a setting."
        return Words(title, reading.strip(), limits + INTERVALS, alt)


def _shown(value: str) -> str:
    loaded = json.loads(value)
    return f"{loaded:g}" if isinstance(loaded, int | float) and not isinstance(loaded, bool) else str(loaded)


def _range(part: pd.DataFrame) -> tuple[float, str, str]:
    """Return the widest range over learners, with its learner and best value."""
    groups = part.groupby("learner", sort=False)
    return max((float(rows["gain"].max() - rows["gain"].min()), str(learner), str(chart.top(rows)["value"])) for learner, rows in groups)


def _moves(part: pd.DataFrame) -> bool:
    """Whether some learner's scores range over more than the mean half-width of their intervals."""
    return any(
        float(rows["gain"].max() - rows["gain"].min()) > float((rows["high"] - rows["low"]).mean()) / 2
        for _, rows in part.groupby("learner", sort=False)
    )
