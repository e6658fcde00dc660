"""Rows of the pool without their labels: real text that nobody has annotated, as far as a seed is concerned."""

from __future__ import annotations

import pandas as pd

from emosynth.design.arms import own_rows, resolve_arms
from emosynth.design.cells import Cell, stable_seed
from emosynth.params import Params
from emosynth.seeding.seeds import balanced_pool_rows, pool_rows


def unlabelled_rows(params: Params, order: pd.DataFrame, cell: Cell, count: int) -> list[str]:
    """Return the ids of ``count`` rows of the pool; fewer if it has no more, which the caller must tell.

    They are in no seed of the cell and in no real expansion that an arm of the profile adds there, so that unlabelled text is not the
    expansion with other labels. They are drawn by a hash of their ids, which knows nothing of their labels; fewer are the first of more.
    """
    kept: set[str] = set()
    for arm in resolve_arms(params).values():
        if arm.spec.add in ("real", "real-balanced") and arm.runs_on(cell):
            rows = own_rows(params, arm, cell)
            found = pool_rows(order, cell, rows) if arm.spec.add == "real" else balanced_pool_rows(order, cell, rows)
            kept.update(map(str, found["id"]))
    left = [str(row) for row in pool_rows(order, cell)["id"] if str(row) not in kept]
    return sorted(left, key=lambda row: (stable_seed("unlabelled", cell.corpus, cell.repeat, row), row))[:count]
