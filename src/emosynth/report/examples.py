"""Generated texts to be shown: the first of their kind, and none that repeats a corpus text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from emosynth.report.checks import Texts
from emosynth.report.figures.verification import check_names, reason_label
from emosynth.style import arm_label

__all__ = ["WITHHELD", "WITHHELD_RUN", "example_groups"]

WITHHELD = "[withheld: copies the seed]"
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
    checks = check_names(candidates)
    copying = [f"ok_{name}" for name in checks if _COPYING.search(name)]
    order = {name: place for place, name in enumerate(checks)}
    groups = []
    for arm in arms:
        of_arm = candidates[candidates["arm"] == arm]
        if of_arm.empty:
            continue
        of_arm = of_arm[of_arm["size"] == of_arm["size"].max()].sort_values(["repeat", "label", "index", "candidate_id"], kind="stable")
        taken = of_arm["accepted"].astype(bool)
        accepted = of_arm[taken].drop_duplicates("label").head(_ACCEPTED)
        rejected = of_arm[~taken].drop_duplicates("reason")
        rejected = rejected.loc[
            rejected["reason"].map(lambda name: order.get(name, len(order))).sort_values(ascending=False, kind="stable").index
        ]
        rows = []
        for frame, verdict in ((accepted, True), (rejected.head(_REJECTED), False)):
            for row in frame.to_dict("records"):
                copied = not verdict and any(not row[name] for name in copying)
                withheld = WITHHELD if copied else WITHHELD_RUN if corpus.shares_run(str(row["text"])) else ""
                rows.append(
                    {
                        "label": row["label"],
                        "text": None if withheld else str(row["text"]),
                        "withheld": withheld,
                        "accepted": verdict,
                        "reason": "" if verdict else reason_label(str(row["reason"])),
                    }
                )
        groups.append({"arm": arm, "label": arm_label(arm), "size": int(of_arm["size"].iloc[0]), "rows": rows})
    return groups
