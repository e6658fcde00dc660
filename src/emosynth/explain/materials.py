"""What guides read of one seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from emosynth.cards import read_table
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.guides.base import Materials, Tables
from emosynth.paths import Paths, repro

COLUMNS = ["corpus", "size", "repeat", "label", "kind", "by", "rank", "value", "score"]


def load_materials(paths: Paths) -> Callable[[Cell], Materials]:
    """Return a function from cells to what step 02 found in their seeds.

    Raises
    ------
    UserError
        If step 02 has not run; the function raises it for a cell that it did not explain.
    """
    path = paths.materials / "materials.parquet"
    table = read_table(path, COLUMNS, stage="shap").sort_values("rank", kind="stable")
    found: dict[tuple[Any, ...], pd.DataFrame] = dict(iter(table.groupby(["corpus", "repeat", "size"], sort=False)))  # type: ignore[arg-type]

    def of(cell: Cell) -> Materials:
        key = (cell.corpus, cell.repeat, cell.size)
        if key not in found:
            raise UserError(f"There are no materials of the seed {cell}.", where=str(path), remedy=f"Run: {repro('02_shap', again=True)}")
        rows = found[key]
        tokens: dict[tuple[str, str], list[tuple[str, float]]] = {}
        exemplars: dict[tuple[str, str], list[str]] = {}
        for label, by, kind, value, score in zip(rows["label"], rows["by"], rows["kind"], rows["value"], rows["score"], strict=True):
            if kind == "token":
                tokens.setdefault((label, by), []).append((value, float(score)))
            else:
                exemplars.setdefault((label, by), []).append(value)
        return Tables(tokens, exemplars)

    return of
