"""The page on training: arms head to head, learning curves, gain by class, and settings one at a time."""

from __future__ import annotations

import json
import math

import pandas as pd
from matplotlib.figure import Figure as Canvas

from emosynth.design.arms import SEED
from emosynth.evidence import Group, rare_classes
from emosynth.evidence.apart import CHANGES
from emosynth.evidence.numbers import INTERVALS, POINTS, count, level, listed, number, of_points, per_cent, size, some, span, told
from emosynth.params import Figures
from emosynth.report.figures import base as chart
from emosynth.report.figures import choice
from emosynth.report.figures.answer import headline_of
from emosynth.report.figures.base import SCORES, Figure, Missing, Words, not_told, rows_of
from emosynth.report.ranges import possible
from emosynth.report.tables import Tables, main_rows
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
        """Return gains over the labels alone in points, with cost: of each budget the seed size at which most arms and learners were run.

        All that is drawn in one panel is of one size: a learner that was not run at it is left out.
        """
        rows = tables.need_contrasts()
        rows = rows[(rows["against"] == "seed") & (rows["version"] == "")]
        cells = rows.groupby(["budget", "size"]).size().reset_index(name="cells").sort_values(["cells", "size"])
        rows = rows[rows["size"] == rows["budget"].map(cells.groupby("budget")["size"].last())]
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
            axes.set_title(f"{BUDGETS[budget]}\n{size(_size_of(frame, budget))}")
            axes.set_xlabel("F1 points")
            chart.bare(axes, [looks.title(arm) for arm in arms])
        tokens = frame[frame["budget"] == "accepted"].groupby("arm")["tokens"].mean().reindex(arms).fillna(0.0) / 1000
        cost.barh(range(len(arms)), tokens, height=0.5, color=[looks.colour(arm) for arm in arms], alpha=0.6)
        cost.set_title(f"cost\n\n{size(_size_of(frame, 'accepted'))}")
        cost.set_xlabel("k tokens")
        chart.bare(cost, [looks.title(arm) for arm in arms])
        chart.learner_legend(fig, looks, learners)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks = tables.looks
        rows = frame[frame["budget"] == "accepted"]
        learner, at = _told_of(rows, tables), _size_of(frame, "accepted")
        elsewhere = [name for name in chart.learners_in(tables, main_rows(tables.need_contrasts())) if name not in set(rows["learner"])]
        rows = rows[rows["learner"] == learner]
        written = rows[[not looks.real(arm) for arm in rows["arm"]]]
        shown = written[holm(written["p"].to_numpy(dtype=float)) < tables.params.evidence.alpha]
        gains, loses = shown[shown["gain"] > 0], shown[shown["gain"] < 0]
        title = f"{len(gains)} of {some(len(written), 'written arm')} {'is' if len(gains) == 1 else 'are'} shown to gain over the labels alone at {size(at)} with {looks.learner(learner)}"
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
        if not len(gains) and told is not None and told.loc[(told["learner"] == learner) & (told["size"] == at), "shown"].any():
            limits += (
                "The first page asks of the picked way alone, once and cross-fitted, and shows that it helps; here every arm is asked. "
            )
        if elsewhere:
            limits += f"Not drawn, as trained with other numbers of labels: {listed([looks.learner(name) for name in elsewhere])}. "
        limits += f"The largest gain is flattered by having been picked. {INTERVALS}"
        alt = "Dots with intervals of the gain in macro-F1 by arm and learner, one panel a budget at one number of labels; bars of tokens."
        return Words(title, reading, limits, alt)


def _size_of(frame: pd.DataFrame, budget: str) -> int:
    """Return the seed size that a panel of `HeadToHead` is of."""
    return int(frame.loc[frame["budget"] == budget, "size"].iloc[0])


# --- learning curves: macro-F1 of every arm that was run on several seed sizes ---


class LearningCurves(Figure):
    """One panel a learner, one line an arm."""

    name = "learning_curves"
    label = "Learning curves"
    page = "training"
    order = 20
    reads = SCORES

    def frame(self, tables: Tables) -> pd.DataFrame:
        """Return mean macro-F1 in points by learner, arm and size, of arms with more than one size and learners with more than one arm."""
        scored = tables.scored
        if scored is None:
            raise Missing("The run holds no trials.")
        rows = []
        for group in scored.groups:
            if (group.corpus, group.version, group.budget, group.sweep) == (tables.target, "", "accepted", ""):
                found = scored.combine([(1.0, group)])
                assert found is not None
                rows.append([group.size, found.effect, found.low, found.high, found.repeats, group.learner, group.arm])
        frame = pd.DataFrame(rows, columns=["size", "mean", "low", "high", "repeats", "learner", "arm"])
        frame = possible(chart.in_points(frame, "mean", "low", "high"))
        several = frame.groupby(["learner", "arm"])["size"].transform("nunique") > 1 if len(frame) else pd.Series(dtype=bool)
        if not several.any():
            raise Missing("No arm was run on more than one seed size.")
        frame = frame[several]
        compared = frame.groupby("learner")["arm"].transform("nunique") > 1  # the labels alone by classifier are a table
        frame = chart.ordered(frame[compared] if compared.any() else frame, ["learner", "arm", "size"], arm=tables.looks.arms)
        head = tables.headline
        best = [
            *([head.real] if head and head.real else []),
            *(str(top["arm"]) for _, top in _leaders(frame, tables)),
            *([head.arm] if head else []),
        ]
        return choice.marked(frame, choice.leading(tables, frame["arm"], best))

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks, frame = tables.looks, frame[frame["drawn"]]
        learners = chart.learners_in(tables, frame)
        arms, sizes = looks.order(frame["arm"]), sorted(int(item) for item in set(frame["size"]))
        fig = new_figure(figures, 4.2)
        panels = fig.subplots(1, len(learners), squeeze=False)[0]
        for axes, learner in zip(panels, learners, strict=True):
            rows = frame[frame["learner"] == learner]
            axes.set_ylim(chart.limits_of(rows, "mean", zero=False))
            for place, arm in enumerate(arms):
                line, look = rows[rows["arm"] == arm], looks.look(arm)
                chart.dotted(axes, line["size"] * chart.dodged(place, len(arms), sizes), line, "mean", look, alpha=0.9)
            chart.size_axis(axes, sizes)
            axes.set_xlim(sizes[0] / chart.BEYOND, sizes[-1] * chart.BEYOND)
            axes.set_title(looks.learner(learner), wrap=True)
        panels[0].set_ylabel("macro-F1 (points)")
        chart.legend_below(fig, [chart.handle(looks.title(arm), looks.look(arm)) for arm in arms], 3)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks, learner = tables.looks, _told_of(frame, tables)
        own = frame[(frame["learner"] == learner) & (frame["arm"] == SEED)].set_index("size")
        small, large = int(frame.loc[frame["learner"] == learner, "size"].min()), int(frame.loc[frame["learner"] == learner, "size"].max())
        title = "Macro-F1 by number of labels"
        if small in own.index and large in own.index:
            levels = [
                f"{number(row.mean)} ({span(row.low, row.high, sign=False)}) at {count(row.Index)}"
                for row in rows_of(own.loc[[small, large]])
            ]
            title = f"With the labels alone and {looks.learner(learner)}, macro-F1 on {tables.target} is {levels[0]} labels and {levels[1]}"
        parts = []
        for at, best in _leaders(frame, tables):
            group = Group(tables.target, learner, at, str(best["arm"]))
            found = None if tables.scored is None else tables.scored.compare(group, group.with_arm(SEED))
            if found is not None:
                more = told(found.effect, found.low, found.high)
                parts.append(
                    f"{looks.title(str(best['arm']))} leads the written arms at {size(at)}: {more} over the labels alone{not_told(found.low, found.high)}"
                )
        reading = f"With {looks.learner(learner)}: {'; '.join(parts)}." if parts else f"{tables.target}, one panel a classifier."
        limits = f"Who leads was picked here, which flatters it.{choice.left_out(frame)} {INTERVALS}"
        alt = "Line charts of macro-F1 against the number of labels, one panel a learner, one line an arm."
        return Words(title, reading, limits, alt)


def _told_of(frame: pd.DataFrame, tables: Tables) -> str:
    """Return the learner that words are about: the headline's, where it is there."""
    head = tables.headline
    return head.learner if head and head.learner in set(frame["learner"]) else str(frame["learner"].iloc[0])


def _leaders(frame: pd.DataFrame, tables: Tables) -> list[tuple[int, pd.Series]]:
    """Return the written arm that leads at the smallest and at the largest size, of those with as many repeats as the labels alone."""
    rows = frame[frame["learner"] == _told_of(frame, tables)]
    repeats = rows["size"].map(rows[rows["arm"] == SEED].set_index("size")["repeats"])  # means of other repeats are not compared
    written = rows[~rows["arm"].map(tables.looks.real) & (rows["repeats"] == repeats)]
    ends = dict.fromkeys([int(rows["size"].min()), int(rows["size"].max())])
    return [(at, chart.top(written[written["size"] == at], "mean")) for at in ends if (written["size"] == at).any()]


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
        title = (
            f"The rarest class, {row.label}, with {tables.looks.title(head.arm)} rows and {tables.looks.learner(head.learner)}: "
            f"{of_points(row.gain, row.low, row.high)} points of its F1{not_told(row.low, row.high)}"
        )
        apart = frame[(frame["arm"] == head.arm) & ((frame["low"] > 0) | (frame["high"] < 0))]["label"].nunique()
        rare = frame[frame["rare"]]["label"].nunique()
        reading = (
            f"{level(params)}s, at {size(head.size)}. {apart} of {some(frame['label'].nunique(), 'class', 'classes')} {'is' if apart == 1 else 'are'} told from zero with these rows. Beside each class "
            f"stands its share of the training rows; {rare} of them are below {per_cent(params.evidence.minority_share)} of an equal share."
        )
        limits = "Few test rows of a rare class make its interval wide; the intervals are not corrected for the number of classes. "
        return Words(title, reading, limits + INTERVALS, "Dots with intervals of the gain in F1 by class, rarest first, one marker an arm.")


# --- sweeps: one setting of an arm changed at a time ---

FEWEST = 3
"""Values from which a sweep is drawn."""
_PANELS_WIDE = 3
_PANELS_MOST = 6
"""Panels up to which sweeps are drawn that move nothing: beside one that does, they tell."""
SETTINGS = {
    "growth": "rows added per labelled post", "mix.weight": "weight of the written rows", "mix.temperature": "temperature of soft labels",
    "checks.confidence": "least confidence of the teacher", "labels.teacher": "share of the teacher's labels",
}  # fmt: skip
"""Dotted name of a setting -> its name for readers; others stand as they are."""


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
        values = frame.groupby(["arm", "sweep"])["value"].transform("nunique")
        frame = frame[(values >= FEWEST) & (frame["size"] == frame.groupby("learner")["size"].transform("max"))]
        if frame.empty:
            raise Missing(f"No sweep has {FEWEST} values.")
        parts = [self._changed(part, tables) for _, part in frame.groupby(["arm", "sweep", "learner"], sort=False)]
        frame = pd.concat(parts)
        return frame.assign(value=[_shown(value) for value in frame["value"]]).reset_index(drop=True)

    def _changed(self, part: pd.DataFrame, tables: Tables) -> pd.DataFrame:
        """Return the values of one sweep and learner in order, with what the last of them has over the first, in points."""
        part = part.loc[sorted(part.index, key=lambda at: _place(part["value"][at]))]
        first, last = (
            Group(tables.target, row.learner, row.size, row.arm, "", "accepted", row.sweep, row.value)
            for row in rows_of(part.iloc[[0, -1]])
        )
        found = None if tables.scored is None else tables.scored.compare(last, first)
        ends = [math.nan] * 3 if found is None else [POINTS * found.effect, POINTS * found.low, POINTS * found.high]
        return part.assign(**dict(zip(("change", "change_low", "change_high"), ends, strict=True)))

    def signal(self, frame: pd.DataFrame, tables: Tables) -> str:
        if any(_moves(part) for _, part in frame.groupby(["arm", "sweep"], sort=False)):
            return ""
        return "No setting that was swept over moves the score by more than the half-width of its intervals."

    def paint(self, frame: pd.DataFrame, tables: Tables, figures: Figures) -> Canvas:
        looks = tables.looks
        groups = list(frame.groupby(["arm", "sweep"], sort=False))
        moving = [item for item in groups if _moves(item[1])]
        groups = groups if len(groups) <= _PANELS_MOST else moving or groups
        fig = new_figure(figures, 0.9 + 2.4 * -(-len(groups) // _PANELS_WIDE))
        panels = chart.grid_of(fig, len(groups), _PANELS_WIDE, sharey=True)
        learners = chart.learners_in(tables, frame)
        titles = drawn_names([looks.title(str(arm)) for (arm, _), _ in groups], 26)
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
            axes.set_title(title, fontsize=0.95 * figures.font_size)
            axes.set_xlabel(SETTINGS.get(str(sweep), str(sweep)), fontsize=0.85 * figures.font_size)
        for axes in panels[::_PANELS_WIDE]:
            axes.set_ylabel("gain (F1 points)")
        chart.learner_legend(fig, looks, learners)
        return fig

    def words(self, frame: pd.DataFrame, tables: Tables) -> Words:
        looks, first, said = tables.looks, _told_of(frame, tables), []
        for (learner, sweep), own in frame.groupby(["learner", "sweep"], sort=False):
            ends = own.drop_duplicates("arm")
            values = own[own["arm"] == ends["arm"].iloc[0]]["value"]
            clear = (ends["change_low"] > 0) | (ends["change_high"] < 0)
            parts = [listed([f"{of_points(row.change, row.change_low, row.change_high)} for {looks.title(row.arm)}" for row in rows_of(chosen)])
                     for chosen in (ends[clear], ends[~clear]) if len(chosen)]  # fmt: skip
            words = "; not told from zero: ".join(parts) if clear.any() else f"not told from zero: {parts[0]}"
            name = SETTINGS.get(str(sweep), str(sweep))
            words = f"{name[:1].upper()}{name[1:]} from {values.iloc[0]} to {values.iloc[-1]} with {looks.learner(str(learner))}: {words}"
            said.append((-float(ends["change"].abs().where(clear, 0.0).max()), learner != first, words))
        title, *rest = [words for *_, words in sorted(said, key=lambda item: item[:2])]
        reading = f"Points of macro-F1, the last value against the first, {level(tables.params)}s. {'. '.join(rest)}{'.' if rest else ''}"
        flat = [
            f"{looks.title(str(arm))} ({sweep})" for (arm, sweep), part in frame.groupby(["arm", "sweep"], sort=False) if not _moves(part)
        ]
        if flat and frame.groupby(["arm", "sweep"]).ngroups > max(_PANELS_MOST, len(flat)):
            reading += f" Not drawn, because nothing happens: {listed(flat)}."
        limits = "Values are compared on the test rows: the best one would be flattered by having been picked. One setting is changed at a time. "
        alt = "Small line charts of the gain in macro-F1 by value of a setting, one panel a setting."
        return Words(title, reading.strip(), limits + INTERVALS, alt)


def _shown(value: str) -> str:
    loaded = json.loads(value)
    return f"{loaded:g}" if isinstance(loaded, int | float) and not isinstance(loaded, bool) else str(loaded)


def _place(value: str) -> tuple[float, str]:
    loaded = json.loads(value)
    return (float(loaded), "") if isinstance(loaded, int | float) else (0.0, value)


def _moves(part: pd.DataFrame) -> bool:
    """Whether some learner's scores range over more than the mean half-width of their intervals."""
    return any(
        float(rows["gain"].max() - rows["gain"].min()) > float((rows["high"] - rows["low"]).mean()) / 2
        for _, rows in part.groupby("learner", sort=False)
    )
