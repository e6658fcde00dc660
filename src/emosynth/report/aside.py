"""What people read is made beside what is there and put in its place when all of it is done, so that an interrupted run leaves the old one whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from emosynth.files import disk_errors


@contextlib.contextmanager
def aside(folder: Path, name: str, whole: Iterable[str] = ()) -> Iterator[Path]:
    """Yield an empty folder ``.<name>.part`` within ``folder``; if the block succeeds, its files replace those of the same place there.

    ``whole``: folders within of which nothing stays that was not made now. All else that lies there stays. If the block fails nothing is
    changed; what a killed run leaves is removed at the next start, here and by `emosynth.runner.stopping.sweep`.
    """
    made = folder / f".{name}.part"
    shutil.rmtree(made, ignore_errors=True)
    try:
        with disk_errors(made):
            made.mkdir(parents=True)
        yield made
        with disk_errors(folder):
            _put(made, folder, whole)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _put(made: Path, folder: Path, whole: Iterable[str]) -> None:
    """Replace file by file, folders first and what is gone last: a kill within leaves files of two runs, but no page without its figures.

    Each is whole, as a file is replaced by renaming; the next run replaces them all.
    """
    files = {path.relative_to(made) for path in made.rglob("*") if path.is_file()}
    for file in sorted(files, key=lambda file: (len(file.parts) == 1, file)):
        place = folder / file
        place.parent.mkdir(parents=True, exist_ok=True)
        (made / file).replace(place)
    for name in whole:
        for path in sorted((folder / name).rglob("*"), reverse=True):  # what a folder holds comes before it
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(folder) not in files:
                path.unlink()
