"""Run all checks on all cells of a candidates table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from emosynth.errors import UserError
from emosynth.params import Verification
from emosynth.progress import Progress, say
from emosynth.verification.checks import CHECKS, KEYS, Cell, Classifier, Reference, Verdicts, enabled

TAUS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Values of τ (min_confidence) at which `require_accepted` shows acceptance."""


def verify(
    candidates: pd.DataFrame,
    seed_texts: Mapping[tuple[int, int], Sequence[str]],
    fit: Callable[[int, int], Classifier],
    noun: str,
    params: Verification,
    reference: Reference | None = None,
) -> pd.DataFrame:
    """Return ``candidates`` with the verdict columns of every enabled check.

    Parameters
    ----------
    seed_texts
        Texts of the seed by (size, repeat).
    fit
        Returns the classifier fitted on the seed of (size, repeat); called once per seed.
    reference
        Language model behind the perplexity check; needed if ``params.perplexity`` is set. It is asked about all cells at once first,
        and then cell by cell: one that keeps what it has scored (`emosynth.models.lm.perplexity.ReferenceModel`) scores a text once.
    """
    classifiers: dict[tuple[int, int], Classifier] = {}
    groups = list(candidates.groupby(["arm", "size", "repeat"], sort=False))
    progress = Progress(len(groups), "verification", "cells")
    names = enabled(params)
    cheap = names[: names.index("perplexity")] if "perplexity" in names else names
    begun = []
    for (_, size, repeat), frame in groups:
        seed = (int(str(size)), int(str(repeat)))
        if seed not in classifiers:
            classifiers[seed] = fit(*seed)
        begun.append(Verdicts(Cell(frame, seed_texts[seed], noun, classifiers[seed], params, reference)).make(cheap))
        progress.advance()
    if begun and reference is not None and params.perplexity is not None:
        # The dear check is asked ahead about the texts of all cells: cell by cell, the last batch of every length would be filled with blanks.
        real = [text for seed in classifiers for text in seed_texts[seed]] if params.perplexity.bound == "quantile" else []
        reference.score([text for cell in begun for text in cell.sound] + real, say)
    verified = [cell.make(names[len(cheap) :]).table() for cell in begun]
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


def _accepted_at(verified: pd.DataFrame, tau: float) -> np.ndarray:
    """Return which candidates would be accepted at τ, all other verdicts as they are."""
    others = [name for name in verified.columns if name.startswith("ok_") and name != "ok_confidence"]
    ok: np.ndarray = np.logical_and.reduce(verified[others].to_numpy(dtype=bool), axis=1)
    return ok & (verified["score_agreement"].to_numpy() >= tau) if tau > 0 else ok


def acceptance_curve(verified: pd.DataFrame, taus: Sequence[float]) -> pd.DataFrame:
    """Return acceptance of each cell as a function of τ, the probability that the intended label needs.

    Parameters
    ----------
    verified
        A table of `verify`.
    taus
        Values of τ; at 0 or below, agreement of the labels is enough.

    Returns
    -------
    Columns arm, size, repeat, tau, candidates, accepted, acceptance (share). The verdicts of all other checks are taken as they are,
    though that of novelty would change a little: it depends on what was accepted before, at the τ of the run.
    """
    rows = []
    for (arm, size, repeat), frame in verified.groupby(["arm", "size", "repeat"], sort=False):
        for tau in taus:
            accepted = int(_accepted_at(frame, tau).sum())
            rows.append((arm, size, repeat, float(tau), len(frame), accepted, accepted / len(frame)))
    return pd.DataFrame(rows, columns=["arm", "size", "repeat", "tau", "candidates", "accepted", "acceptance"])


def require_accepted(verified: pd.DataFrame, params: Verification, needed: int = 1, section: str = "synthesis.verification") -> None:
    """Make sure that every cell (arm, size, repeat), and every class in it, has an accepted candidate.

    Parameters
    ----------
    verified
        A table of `verify` with these ``params``.
    needed
        Accepted rows that a cell should have; the τ proposed leaves as many, and one of each class. Fewer are no error, none are.
    section
        Where the parameters stand, for the message.

    Raises
    ------
    UserError
        If a cell or a class of a cell has none. It shows the acceptance curve over τ and proposes the largest τ that is enough, or
        else names the check that rejects most.
    """
    if not len(verified):
        raise UserError("There are no candidates.", where=section, remedy="Check the arms, sizes and growth of the generation.")
    for where, frame, classes in starved_cells(verified):
        whole = len(classes) == frame["label"].nunique()
        starved = frame[frame["label"].isin(classes)]
        names = ", ".join(classes)
        what = f"No candidate was accepted{'' if whole else f' of class {names}'}."
        curves = [_curve(frame, "this cell")] + ([] if whole else [_curve(starved, names)])
        raise UserError("\n".join([what, *curves]), where=where, remedy=_remedy(frame, starved, params, needed, section))


def starved_cells(verified: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """Yield the cells (arm, size, repeat) that lack an accepted candidate of a class: name, rows, and the classes."""
    for (arm, size, repeat), frame in verified.groupby(["arm", "size", "repeat"], sort=False):
        by_class = frame.groupby("label", sort=False)["accepted"].sum()
        if (by_class == 0).any():
            yield f"arm {arm}, size {size}, repeat {repeat}", frame, [str(label) for label in by_class.index[by_class == 0]]


def _curve(rows: pd.DataFrame, whose: str) -> str:
    shares = ", ".join(f"{_accepted_at(rows, tau).mean():.1%} at tau = {tau:g}" for tau in TAUS)
    return f"  share of the {len(rows):,} candidates of {whose} that would be accepted: {shares}"


def _remedy(frame: pd.DataFrame, starved: pd.DataFrame, params: Verification, needed: int, section: str) -> str:
    for tau in sorted((tau for tau in TAUS if tau < params.min_confidence), reverse=True):
        accepted = _accepted_at(frame, tau)
        if accepted.sum() >= needed and set(frame.loc[accepted, "label"]) == set(frame["label"]):
            return f"Set {section}.min_confidence to {tau:g}, which leaves {accepted.sum():,} of {len(frame):,}."
    columns = [name for name in starved.columns if name.startswith("ok_") and name != "ok_confidence"]
    shares = 1 - starved[columns].astype(float).mean()
    worst = str(shares.idxmax()).removeprefix("ok_")
    blame = f"The check {worst} rejects most ({shares.max():.1%})"
    if worst in KEYS:
        return f"{blame}: relax {section}.{KEYS[worst]}, or generate more candidates."
    return f"{blame} and has no bound to relax: change the generator or its prompt, or generate more candidates."
