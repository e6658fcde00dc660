"""A published gain taken apart: what each departure of a code from its report adds alone, on top of the others, and what is left without it.

Read from a sweep over `emosynth.params.Arm.changes`: the arm as it stands, with each change alone, with more and more of them, with all, and
with all but one, as far as these were run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from emosynth.evidence.scored import Group, Scored, seed_of
from emosynth.params import Params
from emosynth.resampling import Contrast, Draws, contrast

CHANGES = "changes"
"""The choice of an arm that the sweep is over."""
COLUMNS = [
    "arm", "corpus", "learner", "size", "part", "step", "added", "low", "high", "total", "total_low", "total_high", "repeats", "reported", "made",
]  # fmt: skip

Made = frozenset[str]


def taken_apart(scored: Scored, params: Params) -> pd.DataFrame:
    """Return what changes of arms add to macro-F1 (0 to 1), as each would have been reported: `COLUMNS`, a row an arm, cell and step.

    ``part``: ``arm`` (as it stands over the labels alone), ``chain`` (a change on top of those before it), ``all`` (with all over the
    labels alone), ``alone`` (one over the arm as it stands), ``last`` (all over all but one). ``added``, ``low``, ``high``: this
    difference; ``total``: gain over the labels alone of what the step arrives at, for ``last`` of all *but* the one. ``reported``: whether
    written test rows count (flaw ``mixed-evaluation``); a number for each repeat is then added to its draws, so that intervals leave out
    how these rows would vary. ``made``: JSON, the changes of what the step arrives at.
    """
    rows: list[list[Any]] = []
    for arm, spec in params.arms.items():
        cells: dict[tuple[str, str, int], dict[Made, Group]] = {}
        for group in scored.groups:
            if spec.changes and (group.arm, group.version, group.sweep) == (arm, "", CHANGES):
                cells.setdefault((group.corpus, group.learner, group.size), {})[frozenset(json.loads(group.value))] = group
        for cell, found in cells.items():
            plain = next(iter(found.values())).with_arm(arm)
            if plain in scored.groups:
                found[frozenset()] = plain
            if frozenset() in found and seed_of(plain) in scored.groups:
                rows += [[arm, *cell, *row] for row in _cell(scored, found, list(spec.changes), seed_of(plain))]
    return pd.DataFrame(rows, columns=COLUMNS)


def _cell(scored: Scored, found: Mapping[Made, Group], names: list[str], seed: Group) -> Iterable[list[Any]]:
    nothing, everything = frozenset[str](), max(found, key=len)
    order = [name for name in names if name in everything]

    def row(part: str, step: str, left: Made, right: Made | None, shown: Made) -> list[list[Any]]:
        added = difference(scored, found[left], seed if right is None else found[right])
        total = difference(scored, found[shown], seed)
        if added is None or total is None:
            return []
        reported = bool(offsets(scored, found[left]).any())
        return [
            [part, step, added.effect, added.low, added.high, total.effect, total.low, total.high, added.repeats, reported, _spelled(shown)]
        ]

    def _spelled(made: Made) -> str:
        return json.dumps([name for name in names if name in made], ensure_ascii=False)

    yield from row("arm", "", nothing, None, nothing)
    done, pending = nothing, list[str]()
    for name in order:
        pending.append(name)
        made = done | frozenset(pending)
        if made in found:
            yield from row("chain", " + ".join(pending), made, done, made)
            done, pending = made, []
    if everything:
        yield from row("all", "", everything, None, everything)
    for name in names:
        if frozenset([name]) in found:
            yield from row("alone", name, frozenset([name]), nothing, frozenset([name]))
    for name in order:
        rest = everything - {name}
        if rest in found and len(everything) > 1:
            yield from row("last", name, everything, rest, rest)


def difference(scored: Scored, left: Group, right: Group) -> Contrast | None:
    """Return left minus right, each as it would have been reported; None if they share no repeat."""
    terms = [(1.0, _as_reported(scored, left)), (-1.0, _as_reported(scored, right))]
    return contrast(terms, scored.evidence.confidence, scored.evidence.random_seed)


def offsets(scored: Scored, group: Group) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return (R,) by how much written rows among the test rows raise the reported score of each repeat; 0 where there are none."""
    trials = scored.groups[group]
    if "reported_macro_f1" not in trials:
        return np.zeros(len(trials))
    return np.asarray((trials["reported_macro_f1"] - trials["macro_f1"]).fillna(0.0), dtype=np.float64)


def _as_reported(scored: Scored, group: Group) -> Draws:
    draws, more = scored.draws(group), offsets(scored, group)
    return draws if not more.any() else replace(draws, points=draws.points + more[:, None], draws=draws.draws + more[None, :, None])
