"""What verification let through, and what it threw away."""

from __future__ import annotations

import pandas as pd

from emosynth import pieces
from emosynth.checks.base import Check

_NAMED = 12
"""Labels that a warning names."""


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


def starved(verdicts: pd.DataFrame) -> list[str]:
    """Return, a line an arm, the labels of which no candidate was accepted, and in how many of its seeds.

    Parameters
    ----------
    verdicts
        See docs/architecture.md. Labels of which nothing was written are not among them.
    """
    lines = []
    for arm, rows in verdicts.groupby("arm", sort=False):
        parts = []
        for (corpus, size), own in rows.groupby(["corpus", "size"], sort=False):
            lost = ~own.groupby(["repeat", "label"])["accepted"].any()
            counts = lost.groupby("label").sum()
            seeds = own["repeat"].nunique()
            for count in sorted(set(counts[counts > 0]), reverse=True):
                labels = [str(label) for label in counts.index[counts == count]]
                named = ", ".join(labels[:_NAMED]) + (f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else "")
                parts.append(f"{named} in {count} of {seeds} seed{'s' * (seeds > 1)} of {size:,} labels of {corpus}")
        if parts:
            lines.append(f"arm {arm}: no candidate was accepted of {'; of '.join(parts)}")
    return lines


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
