"""Where a profile's preview lies, where the rows are that can be looked through, and whether a preview can write now. Nothing dear is imported."""

from __future__ import annotations

import os
from pathlib import Path

from emosynth.errors import UserError
from emosynth.locks import take
from emosynth.paths import Paths, repro

FOLDER = "preview"
_WRITTEN = ("generation", "embeddings-*")
"""Row caches that a preview writes into."""


def paths_of(paths: Paths) -> Paths:
    """Return where a profile's preview lies: beside its results, and no output of its pipeline."""
    return Paths(paths.root, f"{paths.profile}/{FOLDER}")


def rows_at(paths: Paths) -> tuple[Paths, str]:
    """Return where the rows of a profile lie, or before it has run those of its preview, and what is to be said of that.

    Raises
    ------
    UserError
        If nothing has been written yet.
    """
    for place, note in ((paths, ""), (paths_of(paths), "These are a preview's texts; the profile itself has not been run.")):
        if (place.candidates / "candidates.parquet").exists():
            return place, note
    raise UserError(
        f"Nothing has been written yet for the profile {paths.profile}.", where=f"data/{paths.profile}/candidates",
        remedy=f"Run: {repro('06_verification', profile=paths.profile)}, or preview a file of yours: python -m emosynth try FILE",
    )  # fmt: skip


def check_free(cache: Path) -> None:
    """Say before anything is written that a run holds a row cache that a preview would write into.

    Raises
    ------
    UserError
        Naming the process that holds it.
    """
    for pattern in _WRITTEN:
        for lock in sorted((cache / "rows").glob(f"{pattern}.sqlite.lock")):
            os.close(take(lock, "A run is writing texts, and a preview would write beside it"))
