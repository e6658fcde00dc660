"""Run all checks on all cells of a candidates table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from emosynth.params import Verification
from emosynth.progress import Progress
from emosynth.verification.checks import CHECKS, Cell, Classifier, verify_cell


def verify(
    candidates: pd.DataFrame,
    seed_texts: Mapping[tuple[int, int], Sequence[str]],
    fit: Callable[[int, int], Classifier],
    noun: str,
    params: Verification,
) -> pd.DataFrame:
    """Return ``candidates`` with the verdict columns of every check.

    Parameters
    ----------
    seed_texts
        Texts of the seed by (size, repeat).
    fit
        Returns the classifier fitted on the seed of (size, repeat); called once per seed.
    """
    classifiers: dict[tuple[int, int], Classifier] = {}
    groups = list(candidates.groupby(["arm", "size", "repeat"], sort=False))
    progress = Progress(len(groups), "verification", "cells")
    verified = []
    for (_, size, repeat), frame in groups:
        seed = (int(str(size)), int(str(repeat)))
        if seed not in classifiers:
            classifiers[seed] = fit(*seed)
        verified.append(verify_cell(Cell(frame, seed_texts[seed], noun, classifiers[seed], params)))
        progress.advance()
    return pd.concat(verified).sort_index() if verified else candidates


def acceptance(verified: pd.DataFrame) -> pd.DataFrame:
    """Return per arm and size: candidates, accepted, and the acceptance rate."""
    groups = verified.groupby(["arm", "size"], sort=False)["accepted"]
    return groups.agg(candidates="count", accepted="sum", acceptance="mean").reset_index()


def rejection_reasons(verified: pd.DataFrame) -> pd.DataFrame:
    """Return per arm the share of candidates that each check was the first to reject."""
    reasons = verified.assign(reason=verified["reason"].replace("", "accepted"))
    table = pd.crosstab(reasons["arm"], reasons["reason"], normalize="index")
    order = [name for name in ["accepted", *CHECKS] if name in table.columns]
    return table.loc[list(dict.fromkeys(verified["arm"])), order]
