"""What stricter verification buys and costs: acceptance, diversity, certainty and fluency of accepted candidates by τ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.errors import UserError
from emosynth.models.calibration import scaled_softmax
from emosynth.text import ngrams, words

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

COLUMNS = [
    "arm",
    "size",
    "repeat",
    "tau",
    "candidates",
    "accepted",
    "acceptance",
    "n_texts",
    "distinct_1",
    "distinct_2",
    "soft_label_entropy",
    "perplexity",
]


def distinct_n(tokens: Sequence[Sequence[str]], n: int) -> float:
    """Return distinct-n (Li et al. 2016): distinct word n-grams over all word n-grams of tokenised texts; NaN without any."""
    found = [gram for text in tokens for gram in ngrams(text, n)]
    return len(set(found)) / len(found) if found else float("nan")


def entropy(probabilities: FloatArray) -> FloatArray:
    """Return the Shannon entropy, in nats, of each row of (n, k) probabilities."""
    return -(probabilities * np.log(np.where(probabilities > 0, probabilities, 1.0))).sum(axis=1)


def accepted_at(candidates: pd.DataFrame, tau: float) -> BoolArray:
    """Return which candidates are accepted at a confidence of at least ``tau``; 0 leaves confidence unchecked.

    Every other check must be passed as it stands in the table.

    Raises
    ------
    UserError
        If ``tau`` is above 0 and confidence was not scored.
    """
    checks = [column for column in candidates.columns if column.startswith("ok_") and column != "ok_confidence"]
    ok = np.asarray(candidates[checks].to_numpy(dtype=bool).all(axis=1), dtype=np.bool_)
    if tau <= 0:
        return ok
    if "score_confidence" not in candidates.columns:
        raise UserError(
            f"Candidates cannot be accepted at τ = {tau:g}: they have no score_confidence.",
            where="synthesis.verification.min_confidence",
            remedy="Set it above 0, so that the confidence check is run.",
        )
    confidence = candidates["score_confidence"].to_numpy(dtype=float)  # NaN is not enough for any tau
    return np.logical_and(ok, confidence >= tau)


def _seed_logits(candidates: pd.DataFrame, logits: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return the seed teacher's (n, k) logits and (n,) temperatures of candidates."""
    of_seed = logits[logits["teacher"] == "seed"].set_index("candidate_id")
    lacking = candidates.loc[~candidates["candidate_id"].isin(of_seed.index), "candidate_id"]
    if len(lacking):
        raise UserError(
            f"{len(lacking)} candidates have no logits of the seed's teacher; the first is {lacking.iloc[0]}.",
            where="logits.parquet",
            remedy="Make the step's tables again together.",
        )
    rows = of_seed.loc[candidates["candidate_id"]]
    return np.array(rows["logits"].tolist(), dtype=float), rows["temperature"].to_numpy(dtype=float)


def quality_table(candidates: pd.DataFrame, logits: pd.DataFrame, taus: Sequence[float], temperature: float) -> pd.DataFrame:
    """Describe the accepted candidates of every arm, size and repeat at every τ.

    Parameters
    ----------
    candidates
        Verified candidates.
    logits
        Soft labels of the same candidates; those of the seed's teacher are used.
    taus
        Confidences needed; 0: none.
    temperature
        Of distillation; the soft labels' temperature is this times the teacher's own.

    Returns
    -------
    pandas.DataFrame
        arm, size, repeat, tau, candidates, accepted, acceptance (accepted / candidates), n_texts, distinct_1, distinct_2,
        soft_label_entropy (nats, mean over accepted), perplexity (median over accepted; NaN if not checked).

    Notes
    -----
    Distinct-n falls as texts are added, so a small τ would look less diverse for its number of texts alone. All τ of an
    arm, size and repeat are therefore cut to the same number, ``n_texts``: the smallest number accepted at any τ that
    accepts some, taking classes in turn, lowest index first. Rows with nothing accepted have ``n_texts`` 0 and NaN.
    Across arms ``n_texts`` differs: compare distinct-n within an arm.

    Raises
    ------
    UserError
        If a τ above 0 is asked for and confidence was not scored, or a candidate has no logits.
    """
    out = []
    for (arm, size, repeat), frame in candidates.groupby(["arm", "size", "repeat"], sort=False):
        rows = frame.sort_values(["index", "label"], kind="stable").reset_index(drop=True)
        values, own = _seed_logits(rows, logits)
        uncertainty = entropy(scaled_softmax(values / own[:, None], temperature))
        perplexity = rows["score_perplexity"].to_numpy(dtype=float) if "score_perplexity" in rows.columns else np.full(len(rows), np.nan)
        tokens = [words(text) for text in rows["text"]]
        accepted = {tau: np.flatnonzero(accepted_at(rows, tau)) for tau in taus}
        common = min((len(kept) for kept in accepted.values() if len(kept)), default=0)
        for tau, kept in accepted.items():
            chosen = [tokens[int(position)] for position in kept[:common]]
            known = perplexity[kept][np.isfinite(perplexity[kept])]
            out.append(
                {
                    "arm": arm,
                    "size": size,
                    "repeat": repeat,
                    "tau": float(tau),
                    "candidates": len(rows),
                    "accepted": len(kept),
                    "acceptance": len(kept) / len(rows),
                    "n_texts": len(chosen),
                    "distinct_1": distinct_n(chosen, 1),
                    "distinct_2": distinct_n(chosen, 2),
                    "soft_label_entropy": float(uncertainty[kept].mean()) if len(kept) else float("nan"),
                    "perplexity": float(np.median(known)) if len(known) else float("nan"),
                }
            )
    return pd.DataFrame(out, columns=COLUMNS)
