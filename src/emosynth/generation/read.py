"""Candidates as later steps see them."""

from __future__ import annotations

import math

import pandas as pd

from emosynth.cards import read_table
from emosynth.design.arms import ResolvedArm, oversample_of, own_rows
from emosynth.design.cells import Cell, quotas
from emosynth.generation.slots import cell_of, examples_needed
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.writers.opening import generator_of

COLUMNS = [
    "candidate_id", "origin", "writer", "space", "corpus", "size", "repeat", "index", "label", "labels", "kind", "text", "context", "character",
    "passage_id", "story_id", "prompt", "row_seed", "generator", "finish", "complete", "prompt_tokens", "new_tokens", "error",
]  # fmt: skip


def load_candidates(paths: Paths) -> pd.DataFrame:
    """Return what step 05 wrote: `COLUMNS`, ``labels`` as lists, in the order in which it was planned.

    Raises
    ------
    UserError
        If it has not been made.
    """
    frame = read_table(paths.candidates / "candidates.parquet", COLUMNS, stage="generation")
    frame["labels"] = frame["labels"].map(list)
    return frame


def costs(candidates: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return what texts cost by origin, corpus and size.

    Returns
    -------
    pandas.DataFrame
        ``texts``; ``complete``, the share that the model ended; means of ``tokens`` read and written, and of ``new`` ones; if a writer has
        a price, the ``cost`` of all, in the currency of the prices.
    """
    rows = candidates.reset_index(drop=True).assign(tokens=lambda rows: rows["prompt_tokens"] + rows["new_tokens"], cost=0.0)
    for writer, own in rows[rows["tokens"] > 0].groupby("writer"):  # what no model writes has no tokens
        model = generator_of(params, str(writer))
        rows.loc[own.index, "cost"] = (own["prompt_tokens"] * model.price_in + own["new_tokens"] * model.price_out) / 1e6
    table = rows.groupby(["origin", "corpus", "size"], sort=False).agg(
        texts=("candidate_id", "count"), complete=("complete", "mean"), tokens=("tokens", "mean"), new=("new_tokens", "mean"), cost=("cost", "sum"),
    )  # fmt: skip
    return table if table["cost"].any() else table.drop(columns="cost")


def candidates_of(candidates: pd.DataFrame, params: Params, arm: ResolvedArm, cell: Cell, wanted: int | None = None) -> pd.DataFrame:
    """Return the candidates that an arm may use on a seed, sorted by index, label and kind.

    An origin may have more than an arm has a right to, since other arms share it: of each label, the first ``quotas`` of the candidates
    that the arm pays for (wanted rows times oversampling); of a narrative, the first examples that make so many.

    Parameters
    ----------
    candidates
        All of the profile, in the order of `load_candidates`.
    wanted
        Rows wanted; None: as many of its own as the arm adds to the seed.
    """
    if arm.origin is None:
        return candidates.iloc[:0]
    place = cell_of(arm.origin, cell)
    total = math.ceil((own_rows(params, arm, cell) if wanted is None else wanted) * oversample_of(params, arm))
    own = candidates[
        (candidates["origin"] == arm.origin.name)
        & (candidates["corpus"] == place.corpus)
        & (candidates["size"] == place.size)
        & (candidates["repeat"] == place.repeat)
    ]
    if arm.origin.narrative is not None:
        own = own[own["index"] < examples_needed(total, len(set(arm.origin.narrative.settings.kinds)))]
    elif len(own):
        # Labels stand in their natural order, in which the first ones take what does not divide evenly.
        shares = quotas(total, list(dict.fromkeys(own["label"])))
        own = own[own["index"] < own["label"].map(shares)]
    return own.sort_values(["index", "label", "kind"], kind="stable").reset_index(drop=True)
