"""All arms head to head, as tables: gains by corpus, seed size and learner, and what a published way of scoring adds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emosynth.design.arms import SEED
from emosynth.evidence.contrasts import LEAST
from emosynth.evidence.numbers import POINTS, count, gain, listed, number, score, some, span, told
from emosynth.evidence.scored import Group
from emosynth.report.figures.base import learners_in, top
from emosynth.report.ranges import SHARE, possible
from emosynth.report.tables import Tables, main_rows


def score_rows(tables: Tables, corpus: str) -> list[dict[str, Any]]:
    """Return a table of all arms by seed size on a corpus: gain over the labels alone by learner, and cost; the smallest first, others folded."""
    if tables.contrasts is None:
        return []
    rows = main_rows(tables.contrasts)
    rows = rows[rows["corpus"] == corpus]
    sizes = sorted(rows["size"].unique())
    return [_at_size(tables, corpus, int(at), rows[rows["size"] == at]) | {"fold": at != sizes[0]} for at in sizes]


def _at_size(tables: Tables, corpus: str, at: int, rows: pd.DataFrame) -> dict[str, Any]:
    looks = tables.looks
    learners = learners_in(tables, rows)
    lines = []
    for arm in looks.order(rows["arm"]):
        for version in ("", "unverified"):
            own = rows[(rows["arm"] == arm) & (rows["version"] == version)]
            if own.empty:
                continue
            cells = [_gain_cell(own[own["learner"] == learner]) for learner in learners]
            costs = own[["n_synthetic", "n_wanted", "tokens", "thrown"]].mean()
            rows_added = "–" if looks.real(arm) else f"{count(costs['n_synthetic'])} of {count(costs['n_wanted'])}"
            lines.append([looks.title(arm, version), *cells, rows_added, count(costs["tokens"] / 1000) if not looks.real(arm) else "–"])
    heads = [looks.learner(name) for name in learners]
    alone = ["labels alone: macro-F1, in points", *(_alone(tables, rows[rows["learner"] == name]) for name in learners), "–", "–"]
    return {
        "title": f"All arms on {corpus} with {count(at)} labels",
        "note": f"First the score of the labels alone, then gains over it in points, with interval (none with fewer repeats than {count(LEAST)}); accepted rows added, of those wanted; tokens that the language model read and wrote.",
        "columns": ["arm", *heads, "rows added", "thousand tokens"], "rows": [alone, *lines],
    }  # fmt: skip


def _alone(tables: Tables, rows: pd.DataFrame) -> str:
    """Return the score of the labels alone in the cell of contrasts."""
    if rows.empty or tables.scored is None:
        return "–"
    row = rows.iloc[0]
    group = Group(row["corpus"], row["learner"], int(row["size"]), SEED)
    return score(tables.scored.mean(group)) if group in tables.scored.groups else "–"


def _gain_cell(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "–"
    row = rows.iloc[0]
    return told(*row[["gain", "low", "high"]]) if row["repeats"] >= LEAST else f"{gain(row['gain'])}, {some(int(row['repeats']), 'repeat')}"


def alone_rows(tables: Tables) -> dict[str, Any] | None:
    """Return macro-F1 of the labels alone by corpus and seed size, a column a classifier; None with fewer than two."""
    frame = tables.alone
    if frame is None or frame["learner"].nunique() < 2:
        return None
    frame = possible(frame, SHARE)
    learners, lines = learners_in(tables, frame), []
    for _, own in frame.groupby(["corpus", "size"], sort=True):
        by, best = own.set_index("learner"), top(own, "score")
        cells = [_level_cell(by.loc[name]) if name in by.index else "–" for name in learners]
        lines.append([f"{best['corpus']}, {count(best['size'])} labels", *cells, tables.looks.learner(str(best["learner"]))])
    return {
        "title": "Which classifier: the labels alone",
        "note": f"Macro-F1 in points with interval (none with fewer repeats than {count(LEAST)}), before a row is added. A language model that is asked to classify learns nothing from the labels but what stands in its prompt. Which is best was looked up on the test rows.",
        "columns": ["labels", *(tables.looks.learner(name) for name in learners), "best"], "rows": lines,
    }  # fmt: skip


def _level_cell(row: Any) -> str:
    return (
        f"{score(row['score'])} ({span(POINTS * row['low'], POINTS * row['high'], sign=False)})"
        if row["repeats"] >= LEAST
        else score(row["score"])
    )


def flaw_rows(tables: Tables) -> dict[str, Any] | None:
    """Return by how much written rows among the test rows raise the reported score; None if no arm has that flaw."""
    trials = tables.get("trials/trials")
    rows = None if trials is None else trials[trials["reported_macro_f1"].notna()]
    if rows is None or rows.empty:
        return None
    gaps = rows.assign(gap=rows["reported_macro_f1"] - rows["macro_f1"]).groupby(["arm", "corpus", "learner"], sort=False)
    lines = [
        [tables.looks.title(str(arm)), str(corpus), tables.looks.learner(str(learner)), number(POINTS * part["reported_macro_f1"].mean()),
         score(part["macro_f1"].mean()), gain(part["gap"].mean())]
        for (arm, corpus, learner), part in gaps
    ]  # fmt: skip
    return {
        "title": "What generated rows among the test rows add to a reported score",
        "note": "The same models scored twice: on real test rows, and with written rows mixed in.",
        "columns": ["arm", "corpus", "learner", "reported", "on real rows", "difference"], "rows": lines,
    }  # fmt: skip


def left_rows(tables: Tables) -> list[dict[str, str]]:
    """Return which arms were not trained with which learner, and why; what is alike on all corpora, and for several arms, stands once."""
    frame = tables.get("trials/not_offered")
    if frame is None:
        return []
    corpora = (
        frame.groupby(["learner", "arm", "why"], sort=False)["corpus"].agg(lambda names: listed(list(dict.fromkeys(names)))).reset_index()
    )
    return [
        {"classifier": tables.looks.learner(str(learner)), "why": str(why), "arms": listed([tables.looks.title(arm) for arm in rows["arm"]]), "corpora": str(where)}
        for (learner, why, where), rows in corpora.groupby(["learner", "why", "corpus"], sort=False)
    ]  # fmt: skip
