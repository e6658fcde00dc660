"""How much of a file is for what: the seeds that fit it, and what the report will answer for, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emosynth.corpora import Corpus
from emosynth.design.cells import panel_size
from emosynth.params import Params

MOST = 400
"""Labels of the largest seed that is proposed. Writing and training grow with the sizes: up to here a run writes some four times the demo's texts."""
_APART = 1.5
"""Sizes that lie nearer to each other than by this factor answer the same question."""


def sizes_for(rows: int, needed: int, usual: Sequence[int]) -> list[int]:
    """Return seed sizes for a number of training rows: one to three, the largest near half of the rows, so that as many real rows are left to compare with.

    Parameters
    ----------
    needed
        Rows that a seed must have at least.
    usual
        Sizes that are taken if nothing speaks against them; the first stays the smallest where it fits.
    """
    largest = max(needed, min(rows // 2, max(MOST, usual[-1], 2 * needed)))
    largest = max(needed, largest - largest % 5) if largest > usual[0] else largest
    smallest = max(needed, usual[0])
    if smallest * _APART > largest:
        smallest = largest // 2
    if smallest < max(needed, 2):
        return [largest]
    between = round(math.sqrt(smallest * largest), -1)
    return [smallest, int(between), largest] if largest >= 4 * smallest and between > smallest else [smallest, largest]


def listed(numbers: Sequence[int]) -> str:
    """Return numbers as a person says them: 40, 130 and 400."""
    *most, last = [f"{number:,}" for number in numbers]
    return f"{', '.join(most)} and {last}" if most else last


def told(params: Params, corpus: Corpus, name: str) -> list[str]:
    """Return in words what the rows of a corpus are used for, for how many labels the report answers, and what its data set grows from."""
    target, cells = params.corpora.target, params.cells
    sizes, counts = cells.sizes_of(target), corpus.frame["split"].value_counts()
    train, validate, test = (int(counts.get(split, 0)) for split in ("train", "validation", "test"))
    repeated = sum(sum(kinds.values()) for kinds in corpus.duplicates.get("removed", {}).values())
    largest, rest = sizes[-1], train - sizes[-1]
    used = f"of your {len(corpus.frame) + repeated:,} texts {train:,} train, {validate:,} validate and {test:,} test"
    used += f"; {repeated:,} that repeat others are left out" if repeated else ""
    each = " (labelled texts, each with all its labels)" if corpus.task == "multi" else ""
    kept = (
        "as many real rows again are kept to compare with"
        if rest >= largest
        else f"{rest:,} more real {'row is' if rest == 1 else 'rows are'} left to compare the largest with, fewer than it has"
        if rest > 0
        else "no more real row is left to compare the largest with"
    )
    out = [f"{used}; the report answers at {listed(sizes)} labels{each}; {kept}"]
    if rest >= largest + max(2, largest // 10) and largest >= MOST:
        out.append(
            f"larger seeds take longer, so the largest has {largest:,} labels: cells.sizes in profiles/{name}.yaml may name up to {train // 2:,}"
        )
    if rest > 0:
        repeats = cells.repeats_of(target, largest)
        drawn = f"{repeats} draws of {largest:,}" if repeats > 1 else f"{largest:,}"
        out.append(
            f"the data set that it exports grows from {drawn} of the {train:,} training rows; to grow all of them: {grow_all(params, train)} in "
            f"profiles/{name}.yaml (docs/your-own.md says what that costs)"
        )
    return out


def grow_all(params: Params, train: int) -> str:
    """Return what a profile must say so that its largest seed is all training rows, and written text is compared with real text at the size before."""
    sizes = params.cells.sizes_of(params.corpora.target)
    size = panel_size(params, params.corpora.target)
    return f"cells: {{sizes: [{', '.join(map(str, [*sizes, train]))}]}} and authenticity: {{size: {size}}}"
