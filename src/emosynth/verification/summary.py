"""What verification let through, and what it threw away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emosynth import pieces
from emosynth.checks.base import Check
from emosynth.design.arms import ResolvedArm
from emosynth.design.cells import Cell
from emosynth.labellers.base import Labeller
from emosynth.text import ngrams, words
from emosynth.verification.accept import ScoreTable, SoftLabels, accepted, has_oracle, ordered


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
    checks = sorted((name for name in table.columns if name != "accepted"), key=lambda name: (known[name].order, name))
    index = list(dict.fromkeys(verdicts[keys].itertuples(index=False, name=None)))
    return table.reindex(columns=["accepted", *checks], fill_value=0.0).loc[index]


def distinct_n(tokens: Sequence[Sequence[str]], n: int) -> float:
    """Return distinct-n (Li et al. 2016): distinct word n-grams over all word n-grams of tokenised texts; NaN without any."""
    found = [gram for text in tokens for gram in ngrams(text, n)]
    return len(set(found)) / len(found) if found else float("nan")


def quality(
    arms: dict[float, ResolvedArm], rows: pd.DataFrame, scores: ScoreTable, soft: SoftLabels, cell: Cell, temperature: float
) -> pd.DataFrame:
    """Describe what an arm accepts at several values of a threshold.

    Parameters
    ----------
    arms
        The arm as it is at each value, e.g. with τ overridden.
    rows
        Its candidates in a cell.
    soft
        With labels of the teacher, if the arm distils; else entropy is NaN.
    temperature
        Of distillation; the labels' temperature is this times the teacher's own.

    Returns
    -------
    pandas.DataFrame
        value, candidates, accepted, acceptance, n_texts, distinct_1, distinct_2, soft_label_entropy (nats, mean over accepted).

    Notes
    -----
    Distinct-n falls as texts are added, so a loose threshold would look less diverse for its number of texts alone. All values are cut
    to the same number of texts, the smallest number accepted at any value that accepts some, lowest index first.
    """
    rows = ordered(rows)
    kept = {value: np.flatnonzero(accepted(arm, rows, scores, cell)["accepted"].to_numpy()) for value, arm in arms.items()}
    common = min((len(places) for places in kept.values() if len(places)), default=0)
    tokens = [words(str(text)) for text in rows["text"]]
    entropies = {value: _entropies(arm, rows, soft, cell, temperature) for value, arm in arms.items()}
    out = []
    for value, places in kept.items():
        chosen = [tokens[int(place)] for place in places[:common]]
        entropy = float(entropies[value][places].mean()) if len(places) else float("nan")
        out.append(
            (
                value,
                len(rows),
                len(places),
                len(places) / max(1, len(rows)),
                len(chosen),
                distinct_n(chosen, 1),
                distinct_n(chosen, 2),
                entropy,
            )
        )
    columns = ["value", "candidates", "accepted", "acceptance", "n_texts", "distinct_1", "distinct_2", "soft_label_entropy"]
    return pd.DataFrame(out, columns=columns)


def _entropies(arm: ResolvedArm, rows: pd.DataFrame, soft: SoftLabels, cell: Cell, temperature: float) -> np.ndarray:
    from scipy.special import softmax
    from scipy.stats import entropy

    teacher: Labeller | None = next((labeller for labeller, _ in arm.labellers if labeller.distils), None)
    if teacher is None:
        return np.full(len(rows), np.nan)
    log_p = soft.log_p(teacher, rows["candidate_id"].tolist(), cell, oracle=has_oracle(arm))
    return np.asarray(entropy(softmax(log_p / temperature, axis=1), axis=1))
