"""Duplicates: found everywhere, reported, and removed from where they would flatter a score.

The test split is never touched. Rows of the validation split that (nearly) repeat a test row go, and so do training rows that
repeat a test row, a validation row or an earlier training row. Otherwise a learner could recite what it is tested on, and
a seed could hold one text twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emosynth.corpora.schema import SPLITS
from emosynth.languages import spaced
from emosynth.text import fingerprint, near_duplicates


@dataclass(frozen=True)
class Cleaned:
    """A corpus without the rows that had to go, and the report on duplicates (plain values, for JSON)."""

    frame: pd.DataFrame
    report: dict[str, Any]


def _sorted(frame: pd.DataFrame, splits: tuple[str, ...]) -> pd.DataFrame:
    ranked = frame.assign(_order=frame["split"].map({split: rank for rank, split in enumerate(splits)}))
    return ranked.sort_values(["_order", "id"], kind="stable").drop(columns="_order").reset_index(drop=True)


def clean(frame: pd.DataFrame, threshold: float, examples: int = 20) -> Cleaned:
    """Find exact and near-duplicates and remove those that leak or repeat.

    Parameters
    ----------
    frame
        Columns id, text, labels, split.
    threshold
        Jaccard similarity of word 3-grams from which two texts are near-duplicates.
    examples
        Removed rows listed in the report, as ids.

    Returns
    -------
    Cleaned
        Rows sorted by split (train, validation, test) and id. The report counts rows that repeat an earlier one by kind
        (exact: equal but for case and encoding; near) and by pair of splits, those removed, and exact texts with several labels.
    """
    frame = _sorted(frame, SPLITS[::-1])
    splits, ids = list(frame["split"]), list(frame["id"])
    labels = [tuple(sorted(row)) for row in frame["labels"]]
    prints = [fingerprint(text) for text in frame["text"]]
    # one pass over all splits: test comes first, so every match points from training towards what it would leak
    matches: dict[int, list[tuple[int, float]]] = {}
    for match in near_duplicates([spaced(text) for text in frame["text"]], threshold):
        matches.setdefault(match.index, []).append((match.other, match.similarity))

    found: dict[str, Counter[str]] = {"exact": Counter(), "near": Counter()}
    removed: dict[str, Counter[str]] = {"train": Counter(), "validation": Counter()}
    conflicts = 0
    gone: set[int] = set()
    listed: list[dict[str, Any]] = []
    for index, others in sorted(matches.items()):
        kept = [(other, similarity) for other, similarity in others if other not in gone]
        # of several matches the strongest counts, of equals the earliest, which is the one nearest to the test split
        other, similarity = max(kept or others, key=lambda pair: (prints[pair[0]] == prints[index], pair[1], -pair[0]))
        kind = "exact" if prints[other] == prints[index] else "near"
        found[kind][f"{splits[index]} repeats {splits[other]}"] += 1
        conflicts += labels[index] != labels[other]
        leaks = splits[index] == "train" or (splits[index] == "validation" and any(splits[other] == "test" for other, _ in kept))
        if kept and leaks:
            gone.add(index)
            removed[splits[index]][kind] += 1
            listed.append({"id": ids[index], "repeats": ids[other], "similarity": round(similarity, 4), "kind": kind})

    given: dict[str, set[tuple[str, ...]]] = {}
    for print_, row in zip(prints, labels, strict=True):
        given.setdefault(print_, set()).add(row)
    torn = {print_ for print_, sets in given.items() if len(sets) > 1}
    report = {
        "threshold": threshold,
        "rows_before": {split: splits.count(split) for split in SPLITS},
        "found": {kind: dict(sorted(counts.items())) for kind, counts in found.items()},
        "with_other_labels": conflicts,
        "conflicts": {"texts": len(torn), "rows": sum(print_ in torn for print_ in prints), "done": "kept"},
        "removed": {split: {kind: counts[kind] for kind in ("exact", "near")} for split, counts in removed.items()},
        "examples": listed[:examples],
    }
    return Cleaned(_sorted(frame.drop(index=sorted(gone)), SPLITS), report)


def overlapping(frame: pd.DataFrame) -> Iterator[str]:
    """Yield how many rows of a split stand in one that scores or chooses; these go (`clean`), for who learns them recites them."""
    prints = {split: [fingerprint(text) for text in frame.loc[frame["split"] == split, "text"]] for split in SPLITS}
    known: set[str] = set()
    for other, split in (("test", "validation"), ("test", "train"), ("validation", "train")):
        there = set(prints[other]) - (known if other == "validation" else set())
        known |= there
        if count := sum(print_ in there for print_ in prints[split]):
            rows, stand, leave = ("row", "stands", "it leaves") if count == 1 else ("rows", "stand", "they leave")
            yield f"{count:,} {rows} of {split} {stand} in {other} word for word; {leave} {split}."
