"""Files written whole or not at all, and read with errors that name the stage that makes them."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from emosynth.errors import UserError
from emosynth.escape import json_text
from emosynth.paths import repro

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a place that cannot be written into an error that says so."""
    try:
        yield
    except OSError as error:
        # pyarrow and some libraries wrap the number into the message only
        if error.errno in _FULL or "No space left" in str(error):
            raise UserError(
                "The disk is full.",
                where=str(path),
                remedy="Free some space and run again; everything finished before this file is kept, and the file itself is as it was.",
            ) from error
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise UserError("This place cannot be written.", where=str(path), remedy="Give yourself write access to the folder.") from error
        raise


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; put it in place if the block succeeds, remove it if not."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with disk_errors(path):
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", errors="replace"))


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: numpy scalars and arrays as Python's, NaN and infinities as None."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value, key=str)]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    if value is pd.NA:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return value.as_posix()
    return value


def write_json(path: str | os.PathLike[str], obj: Any) -> None:
    """Write ``obj`` as JSON that may stand in HTML: keys in the order given, indented, one newline at the end, whole or not at all."""
    write_text(Path(path), json_text(plain(obj), indent=2) + "\n")


def read_json(path: str | os.PathLike[str], stage: str = "") -> Any:
    """Read a JSON file that a stage made; a missing file names the stage to run."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path, stage) from None
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"This is not a JSON file: {error}", where=str(path), remedy=f"Delete it and make it again: {repro()}") from None


_STAGES = {"seeds": "seeding", "materials": "shap", "candidates": "generation", "verdicts": "verification", "trials": "training"}
"""Folders that are not named like the stage that makes them."""


def missing(path: Path, stage: str) -> UserError:
    """Return the error of a file that a stage has not made yet."""
    stage = stage or _STAGES.get(path.parent.name, path.parent.name)
    return UserError("This file has not been made yet.", where=str(path), remedy=f"Run the {stage} stage first: {repro()}")
