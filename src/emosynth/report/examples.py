"""Generated texts to be shown: the first of their kind, and none that repeats a corpus text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from emosynth.report.checks import Texts
from emosynth.report.figures.verification import check_names, reason_label
from emosynth.style import arm_label

__all__ = ["WITHHELD_RUN", "WITHHELD_SEED", "example_groups", "shown_rows"]

WITHHELD_SEED = "[withheld: copies the seed]"
WITHHELD_RUN = "[withheld: shares six words in a row with a corpus text]"
_ACCEPTED, _REJECTED = 3, 4
_COPYING = re.compile("original|cop(y|ie)|leak|overlap|memor|verbatim")


def example_groups(candidates: pd.DataFrame, arms: Sequence[str], corpus: Texts) -> list[dict[str, Any]]:
    """Return accepted and rejected texts by arm: the first of each class, and of each reason, at the largest size.

    A text that failed a check for copying, or that shares six successive words with any corpus text, is withheld:
    the page is kept in git, where no corpus text may go.

    Parameters
    ----------
    candidates
        Verified candidates.
    arms
        Arms in the order to be shown; those without candidates are left out.
    corpus
        Texts of every corpus that the candidates may repeat.
    """
    copying = [f"ok_{name}" for name in check_names(candidates) if _COPYING.search(name)]
    groups = []
    shown = shown_rows(candidates)
    for arm in arms:
        of_arm = shown[shown["arm"] == arm]
        if of_arm.empty:
            continue
        rows = []
        for row in of_arm.to_dict("records"):
            text, verdict = str(row["text"]), bool(row["accepted"])
            copied = not verdict and any(not row[name] for name in copying)
            # Published results hold the mark in the text's place.
            shared = text == WITHHELD_RUN or corpus.shares_run(text)
            withheld = WITHHELD_SEED if copied else WITHHELD_RUN if shared else ""
            rows.append(
                {
                    "label": row["label"],
                    "text": None if withheld else text,
                    "withheld": withheld,
                    "accepted": verdict,
                    "reason": "" if verdict else reason_label(str(row["reason"])),
                }
            )
        groups.append({"arm": arm, "label": arm_label(arm), "size": int(of_arm["size"].iloc[0]), "rows": rows})
    return groups


def shown_rows(candidates: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates to be shown: of every arm at its largest size, the first accepted of some classes and the first rejected for each reason."""
    order = {name: place for place, name in enumerate(check_names(candidates))}
    parts = []
    for _, of_arm in candidates.groupby("arm", sort=False):
        of_arm = of_arm[of_arm["size"] == of_arm["size"].max()].sort_values(["repeat", "label", "index", "candidate_id"], kind="stable")
        taken = of_arm["accepted"].astype(bool)
        rejected = of_arm[~taken].drop_duplicates("reason")
        place = rejected["reason"].map(lambda name: order.get(name, len(order)))
        rejected = rejected.loc[place.sort_values(ascending=False, kind="stable").index]
        parts += [of_arm[taken].drop_duplicates("label").head(_ACCEPTED), rejected.head(_REJECTED)]
    return pd.concat(parts) if parts else candidates
