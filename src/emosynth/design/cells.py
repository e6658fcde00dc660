"""Cells: corpus × seed size × repeat. The unit that everything is drawn, trained and compared in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from emosynth.params import Params, Sizes

NO_SEED = -1
"""Size of what owes nothing to a seed."""


@dataclass(frozen=True, order=True)
class Cell:
    """One seed: ``size`` rows of the order of ``repeat``."""

    corpus: str
    repeat: int
    size: int

    def __str__(self) -> str:
        return f"{self.corpus}/{self.size}/{self.repeat}"


def list_cells(params: Params, corpus: str | None = None) -> list[Cell]:
    """Return all cells of a profile, or of one corpus: corpus by corpus, repeat by repeat, sizes ascending."""
    names = params.corpora.names if corpus is None else [corpus]
    return [
        Cell(name, repeat, size)
        for name in names
        for repeat in range(params.cells.repeats_of(name))
        for size in params.cells.sizes_of(name)
        if repeat < params.cells.repeats_of(name, size)
    ]


def in_sizes(params: Params, sizes: Sizes | None, cell: Cell) -> bool:
    """Whether a cell's size is among those that a part of the design names; None: all are."""
    if sizes is None:
        return True
    return cell.size in ([params.cells.sizes_of(cell.corpus)[-1]] if sizes == "largest" else sizes)


def panel_size(params: Params, corpus: str) -> int:
    """Return the seed size at which an arm's text is measured against real text."""
    sizes = params.cells.sizes_of(corpus)
    return params.authenticity.size if params.authenticity.size in sizes else sizes[-1]


def stable_seed(*parts: object) -> int:
    """Return a seed in [0, 2**31) that depends on the parts alone, on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def quotas(total: int, labels: tuple[str, ...] | list[str]) -> dict[str, int]:
    """Share ``total`` rows equally among the labels; the first labels take the remainder."""
    base, rest = divmod(total, len(labels))
    return {label: base + (position < rest) for position, label in enumerate(labels)}
