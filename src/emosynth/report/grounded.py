"""Grounded text to be shown or published: few rows, and none that repeats a corpus or a narrative."""

from __future__ import annotations

import pandas as pd

from emosynth.report.checks import Texts
from emosynth.report.figures.pillars.labels import TOP, shown_labels

__all__ = ["WITHHELD_COPY", "WITHHELD_TEXT", "explained", "guarded", "publishable_labels", "publishable_rows", "shown_rows"]

WITHHELD_TEXT = "[withheld: shares six words in a row with a corpus or a narrative]"
WITHHELD_COPY = "[withheld: copies its passage or prompt]"
EXPLAINED = 3
"""Rows whose explanations are shown."""

_ACCEPTED, _REJECTED = 3, 2
_TEXTS = ("text", "context", "character")
_KEPT = (
    "row_id", "example_id", "arm", "kind", "emotions", "generator", "accepted", "reason", "explicit", "kept", "intended_rank", "agreement",
)  # fmt: skip


def shown_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to be shown: by arm and kind, the first accepted ones of different emotions and the first rejected for each reason."""
    parts = []
    for _, cell in rows.groupby(["arm", "kind"], sort=False):
        good = cell["accepted"].astype(bool)
        first = cell["emotions"].map(lambda labels: labels[0] if len(labels) else "")
        parts += [cell[good & ~first[good].duplicated().reindex(cell.index, fill_value=True)].head(_ACCEPTED)]
        parts += [cell[~good].drop_duplicates("reason").head(_REJECTED)]
    return pd.concat(parts) if parts else rows


def guarded(rows: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    """Return rows whose text, context and character are replaced by a mark where they repeat others' text; a context-less row has no context.

    Rows that were guarded before hold the mark in the text's place, and keep it.
    """
    alone = rows["kind"] == "contextless"
    out = rows.assign(**{name: rows[name].fillna("").where(~alone, "") for name in ("context", "character")})
    for name in _TEXTS:
        out[name] = [WITHHELD_TEXT if texts.shares_run(text) else text for text in out[name]]
    if "ok_original" in out:
        out["text"] = out["text"].where(out["ok_original"].astype(bool), WITHHELD_COPY)
    return out


def publishable_rows(rows: pd.DataFrame, texts: Texts, may_show: bool) -> pd.DataFrame:
    """Return the rows without text, but for those that the page shows, if their text may be shown."""
    checks = [column for column in map(str, rows) if column.startswith("ok_")]
    out = rows[[column for column in _KEPT if column in rows]].assign(**{name: rows[name] for name in checks})
    shown = guarded(shown_rows(rows), texts) if may_show else rows.head(0)
    for name in _TEXTS:
        out[name] = shown[name].reindex(rows.index).fillna("") if len(shown) else ""
    return out


def publishable_labels(confusion: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    """Return the free-form labels with their counts; only those that a figure shows keep their wording."""
    out = confusion.sort_values("count", ascending=False, kind="stable").reset_index(drop=True)
    shown = shown_labels(out, texts)["raw"].tolist()
    return out.assign(raw=shown + [""] * (len(out) - min(TOP, len(out))))


def explained(explanations: pd.DataFrame, rows: pd.DataFrame, texts: Texts) -> pd.DataFrame:
    """Return the explanations of the first rows that may be shown: generated ones that repeat nobody's text.

    Parameters
    ----------
    explanations
        row_id, label, probability, token, position, value.
    rows
        Generated rows; their text is empty where only published results are at hand, whose explanations were guarded before.
    """
    known = dict(zip(rows["row_id"], rows["text"].fillna(""), strict=True))
    copied = set(rows.loc[~rows["ok_original"].astype(bool), "row_id"]) if "ok_original" in rows else set()
    chosen: list[str] = []
    for row_id, group in explanations.groupby("row_id", sort=False):
        first = group[group["label"] == group["label"].iloc[0]].sort_values("position", kind="stable")
        said = " ".join(map(str, first["token"]))
        if row_id in known and row_id not in copied and not texts.shares_run(said) and not texts.shares_run(known[row_id]):
            chosen.append(str(row_id))
    return explanations[explanations["row_id"].isin(chosen[:EXPLAINED])].reset_index(drop=True)
