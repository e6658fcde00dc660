"""Hashes of what was fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from emosynth.catalog.kept import MANIFEST
from emosynth.errors import UserError


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(folder: Path, files: Sequence[str] | None = None) -> str:
    """Return one sha256 over names and contents of files of a folder (None: all but its manifest), in the order of their names."""
    names = sorted(files if files is not None else (path.name for path in folder.iterdir() if path.is_file() and path.name != MANIFEST))
    return hashlib.sha256("".join(f"{sha256_of(folder / name)}  {name}\n" for name in names).encode()).hexdigest()


def check_hash(path: Path, expected: str, name: str) -> None:
    """Raise a `UserError` if a file is not the one that the catalogue pins."""
    got = sha256_of(path)
    if got != expected:
        raise mismatch(name, expected, got, str(path))


def mismatch(name: str, expected: str, got: str, where: str) -> UserError:
    """Return the error for a file that is not the one pinned."""
    return UserError(
        f"What was downloaded for {name} is not what the catalogue pins: expected sha256 {expected}, got {got}. It was not used.",
        where=where,
        remedy="Do not trust the file: check the index or proxy that pip uses and delete what was put into the cache by hand; "
        "change the hash in data/catalog.yaml only if you know why it changed.",
    )
