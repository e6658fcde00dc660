"""What verification let through, and what it threw away."""

from __future__ import annotations

import pandas as pd

from emosynth import pieces
from emosynth.checks.base import Check


def acceptance(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return acceptance by arm, corpus and size.

    Returns
    -------
    pandas.DataFrame
        arm, corpus, size, candidates, accepted, acceptance (share), starved: labels of which a repeat has nothing accepted, by name.
    """
    rows = []
    for (arm, corpus, size), part in verdicts.groupby(["arm", "corpus", "size"], sort=False):
        some = part.groupby(["repeat", "label"])["accepted"].any().reset_index()
        starved = sorted(some.loc[~some["accepted"], "label"].unique())
        rows.append((arm, corpus, size, len(part), int(part["accepted"].sum()), float(part["accepted"].mean()), ", ".join(starved)))
    return pd.DataFrame(rows, columns=["arm", "corpus", "size", "candidates", "accepted", "acceptance", "starved"])


def rejection_reasons(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return by arm, corpus and size (the index) the share of candidates that each check was the first to reject; ``accepted`` first."""
    keys = ["arm", "corpus", "size"]
    reasons = verdicts.assign(reason=verdicts["reason"].replace("", "accepted"))
    table = reasons.groupby(keys, sort=False)["reason"].value_counts(normalize=True, sort=False).unstack().fillna(0.0)
    known: dict[str, type[Check]] = pieces.registered("check")  # type: ignore[assignment]

    def place(name: str) -> tuple[bool, int, str]:
        """By the checks' order; last what no check here rejects by: a piece that the profile names no more, or another table's reason."""
        return name not in known, known[name].order if name in known else 0, name

    checks = sorted((name for name in table.columns if name != "accepted"), key=place)
    index = list(dict.fromkeys(verdicts[keys].itertuples(index=False, name=None)))
    return table.reindex(columns=["accepted", *checks], fill_value=0.0).loc[index]
