"""Generated texts to be shown: the first of their kind, and none that repeats a real text."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emosynth.report.checks import Texts
from emosynth.report.figures.acceptance import reason_words
from emosynth.report.tables import Tables

WITHHELD_SEED = "[withheld: copies the seed]"
WITHHELD_RUN = "[withheld: shares six words in a row with a real text]"
WITHHELD_ALL = "[withheld: the texts that it may repeat are not at hand]"
COPYING = ("original", "novelty")
"""Checks whose rejects may copy the seed."""

_ACCEPTED = _REJECTED = 4
_WRONG = 1
COLUMNS = ["candidate_id", "arm", "label", "text", "withheld", "accepted", "reason", "read"]


def shown_rows(tables: Tables) -> pd.DataFrame | None:
    """Return the candidates to be shown of the headline arm at its largest seed: a few accepted, a few rejected, one accepted that is wrong.

    They are the first of each class and of each reason, not chosen by hand. *Wrong*: the teacher's soft labels read another class than the
    one asked for although the row was accepted; it stands for what checks let through. Texts that copy a seed row, or share six words in a
    row with a real text or a narrative, are withheld.

    Returns
    -------
    pandas.DataFrame or None
        `COLUMNS`; None without candidates. ``read``: the class that was read instead, empty if none was.
    """
    published = tables.get("candidates/shown")
    if published is not None:
        return published
    candidates, verdicts, arm = tables.get("candidates/candidates"), tables.get("verdicts/verdicts"), _arm(tables)
    if candidates is None or verdicts is None or arm is None:
        return None
    rows = verdicts[(verdicts["corpus"] == tables.target) & (verdicts["arm"] == arm)]
    rows = rows[rows["size"] == rows["size"].max()].merge(candidates[["candidate_id", "text"]], on="candidate_id", how="inner")
    rows = rows.sort_values(["repeat", "label", "index", "candidate_id"], kind="stable")
    rows = rows.assign(accepted=rows["accepted"].astype(bool), reason=rows["reason"].fillna(""), read="")
    taken = rows[rows["accepted"]]
    wrong = _misread(tables, taken)
    parts = [
        taken[~taken["candidate_id"].isin(wrong["candidate_id"])].drop_duplicates("label").head(_ACCEPTED),
        rows[~rows["accepted"]].drop_duplicates("reason").head(_REJECTED),
        wrong.head(_WRONG),
    ]
    shown = pd.concat(parts, ignore_index=True).drop_duplicates("candidate_id")
    return _guarded(shown, tables.guard if tables.guarded else None)[COLUMNS].reset_index(drop=True)


def _arm(tables: Tables) -> str | None:
    verdicts = tables.get("verdicts/verdicts")
    written = [] if verdicts is None else tables.looks.order(verdicts.loc[verdicts["corpus"] == tables.target, "arm"])
    head = tables.headline
    return head.arm if head is not None and head.arm in written else next(iter(written), None)


def _misread(tables: Tables, taken: pd.DataFrame) -> pd.DataFrame:
    """Return accepted rows that some teacher reads as another class, with that class."""
    soft, about = tables.get("verdicts/soft"), tables.corpora.get(tables.target)
    if soft is None or about is None or taken.empty:
        return taken.head(0)
    own = soft[(soft["corpus"] == tables.target) & (soft["space"] == tables.target)].rename(columns={"row_id": "candidate_id"})
    merged = taken.drop(columns="read").merge(
        own[["candidate_id", "size", "repeat", "log_p"]], on=["candidate_id", "size", "repeat"], how="inner"
    )
    classes = about["classes"]
    places = [max(range(len(log_p)), key=lambda place: log_p[place]) if len(log_p) == len(classes) else -1 for log_p in merged["log_p"]]
    merged["read"] = [classes[place] if place >= 0 else "" for place in places]
    return merged[(merged["read"] != "") & (merged["read"] != merged["label"])].drop(columns="log_p")


def _guarded(shown: pd.DataFrame, guard: Texts | None) -> pd.DataFrame:
    withheld = []
    for row in shown.to_dict("records"):
        if row["reason"] in COPYING:
            withheld.append(WITHHELD_SEED)
        elif guard is None:
            withheld.append(WITHHELD_ALL)
        else:
            withheld.append(WITHHELD_RUN if guard.shares_run(str(row["text"])) else "")
    shown = shown.assign(withheld=withheld)
    return shown.assign(text=shown["text"].where(shown["withheld"] == "", ""))


def example_rows(tables: Tables) -> list[dict[str, Any]]:
    """Return the texts to be shown, for the page."""
    shown = shown_rows(tables)
    rows = [] if shown is None else shown.to_dict("records")
    return [
        {
            "label": str(row["label"]), "text": str(row["text"] or ""), "withheld": str(row["withheld"] or ""), "accepted": bool(row["accepted"]),
            "why": "" if row["accepted"] else reason_words(str(row["reason"])), "read": str(row["read"] or ""), "arm": str(row["arm"]),
        }
        for row in rows
    ]  # fmt: skip
