"""Rows of a file as an arm's: the share of a repeat, in the space of their labels or in the corpus's."""

from __future__ import annotations

from emosynth.design.arms import ResolvedArm, wanted_rows
from emosynth.design.cells import Cell, stable_seed
from emosynth.design.space import TARGET, Space, space_of_taxonomy
from emosynth.progress import say
from emosynth.seeding.real import RealText
from emosynth.taxonomy import simplify
from emosynth.trials.gate import repeating
from emosynth.trials.rowfile import FileRows, read_rows
from emosynth.trials.sources import Sources

SPARE = 1.25
"""Rows looked at for each row wanted: those that repeat a held-out text make room for the next."""


def file_space(real: RealText, arm: ResolvedArm, corpus: str) -> Space:
    """Return the space that the labels of an arm's file are of."""
    return real.spaces[corpus] if arm.spec.space == TARGET else space_of_taxonomy(real.taxonomies.get(arm.spec.space))


def load_file(sources: Sources, arm: ResolvedArm, corpus: str) -> FileRows:
    """Read the rows of an arm, once."""
    assert arm.spec.file is not None and sources.paths is not None  # the design is checked
    space = file_space(sources, arm, corpus)
    key = (arm.spec.file, space.labels)
    if key not in sources.files:
        names = {simplify(word): label for words in (space.phrases, space.adjectives) for label, word in words.items()}
        if arm.spec.space != TARGET:
            synonyms = sources.taxonomies.get(arm.spec.space).synonyms
            names |= {simplify(word): label for label, words in synonyms.items() for word in words}
        names |= {simplify(label): label for label in space.labels}
        sources.files[key] = read_rows(arm.spec.file, names, space.labels, sources.paths, f"arms.{arm.name}.file")
    return sources.files[key]


def places_of(sources: Sources, arm: ResolvedArm, cell: Cell) -> list[int]:
    """Return the rows that an arm adds in a cell, by their place in the file.

    Rows stand in a random order that is the same everywhere; each repeat begins at its own share of it, so that repeats are disjoint as
    long as there are enough rows, and larger seeds add what smaller ones do. Rows that repeat a validation or test text are passed over.
    """
    found, wanted = load_file(sources, arm, cell.corpus), wanted_rows(sources.params, arm, cell)
    n = len(found.texts)
    order = sorted(range(n), key=lambda row: (stable_seed("rows of a file", found.texts[row]), row))
    start = cell.repeat * (n // sources.params.cells.repeats_of(cell.corpus))
    looked = [order[(start + step) % n] for step in range(min(n, round(SPARE * wanted) + 50))]
    same = repeating([found.texts[row] for row in looked], sources.held_out(cell.corpus), sources.params.corpora.near_duplicate)
    kept = [row for row, repeats in zip(looked, same, strict=True) if not repeats][:wanted]
    if len(kept) < wanted:
        say(f"training: {arm.name} at {cell}: the file has {len(kept)} of {wanted} rows")
    return kept
