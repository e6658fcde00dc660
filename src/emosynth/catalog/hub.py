"""Data sets and models of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from emosynth.catalog.entries import HubSource
from emosynth.catalog.hashes import sha256_of
from emosynth.errors import UserError
from emosynth.progress import say

log = logging.getLogger(__name__)


def download_hub(source: HubSource, stage: Path) -> None:
    """Write one Parquet file a split, and the names behind integer labels, into ``stage``; or the files that the source names."""
    from huggingface_hub import HfApi, hf_hub_download

    revision = source.revision or HfApi().dataset_info(source.hub, timeout=20).sha or "unknown"
    if source.files:
        with tempfile.TemporaryDirectory(prefix="hub-", dir=stage.parent) as scratch:
            for file in source.files:
                got = hf_hub_download(source.hub, file, repo_type="dataset", revision=revision, local_dir=scratch)
                shutil.copyfile(got, stage / Path(file).name)
        _note(source, revision, {}, stage)
        return
    import datasets
    import pyarrow.parquet as pq

    from emosynth.catalog.archives import LIMIT

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="hub-", dir=stage.parent) as scratch:
        loaded = datasets.load_dataset(source.hub, source.config, revision=revision, cache_dir=scratch)
        names: dict[str, list[str]] = {}
        for split, rows in loaded.items():
            for column, feature in rows.features.items():
                inner = getattr(feature, "feature", feature)
                if hasattr(inner, "names"):
                    names[str(column)] = list(inner.names)
            if rows.data.nbytes > LIMIT:
                raise UserError(
                    f"The split {split} holds more than {LIMIT >> 30} GiB.", where=source.hub, remedy="Name a smaller configuration of it."
                )
            pq.write_table(rows.with_format("arrow")[:].replace_schema_metadata(None), stage / f"{split}.parquet")
    _note(source, revision, names, stage)


def _note(source: HubSource, revision: str, names: dict[str, list[str]], stage: Path) -> None:
    note = {"hub": source.hub, "config": source.config, "revision": revision, "names": names}
    (stage / "features.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def snapshot(name: str, cache_folder: Path, where: str = "", **more: Any) -> Path:
    """Return the folder of a model of the hub, ``owner/name`` or ``owner/name@revision``, downloaded if need be.

    Parameters
    ----------
    where
        The parameter that names it, for errors.
    more
        Of ``huggingface_hub.snapshot_download``: for data, their ``repo_type`` and ``allow_patterns``.

    Raises
    ------
    UserError
        If it cannot be downloaded.
    """
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    patterns = ["*.safetensors", "openvino_*", "*.json", "*.jinja", "*.model", "*.txt"]
    options: dict[str, Any] = {"revision": revision or None, "allow_patterns": patterns, "cache_dir": cache_folder / "hub"} | more
    try:
        folder = Path(snapshot_download(repository, **options))
        if damaged := _damaged(folder):
            say(f"{name}: {damaged[0].name} in the cache is not what was downloaded; it is fetched again")
            for link in damaged:
                link.resolve().unlink(missing_ok=True)
                link.unlink()
            folder = Path(snapshot_download(repository, **options))
            if any(not link.exists() for link in damaged) or _damaged(folder):
                raise OSError("what came is not what the hub says it is")
        return folder
    except Exception as error:  # the hub's client raises many kinds, its HTTP library's among them
        log.debug("snapshot of %s failed", name, exc_info=True)
        raise UserError(
            f"The Hugging Face hub could not serve {name}: {type(error).__name__}: {' '.join(str(error).split())[:160]}",
            where=where or f"models: {name}",
            remedy="Check name and connection, or download it elsewhere: name the folder of a model; set EMOSYNTH_MIRROR to one that holds data.",
        ) from None


def _damaged(folder: Path) -> list[Path]:
    """Return the files of a snapshot whose content is not the one that they are named by: the hub's cache names files by SHA-256 or Git's SHA-1."""
    return [link for link in sorted(folder.rglob("*")) if link.is_symlink() and not _as_named(link.resolve())]


def _as_named(blob: Path) -> bool:
    if not blob.is_file():
        return False
    status = blob.stat()
    return _content_as_named(blob, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@cache
def _content_as_named(blob: Path, size: int, _modified: int, _changed: int) -> bool:
    if not re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", blob.name):
        return True  # named in another way: nothing to hold it against
    if len(blob.name) == 64:
        return sha256_of(blob) == blob.name
    return hashlib.sha1(f"blob {size}\0".encode() + blob.read_bytes(), usedforsecurity=False).hexdigest() == blob.name
