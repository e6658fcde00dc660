"""Data sets and models of the Hugging Face hub."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path

from emosynth.catalog.entries import HubSource
from emosynth.errors import UserError

log = logging.getLogger(__name__)


def download_hub(source: HubSource, stage: Path) -> None:
    """Write one Parquet file a split, and the names behind integer labels, into ``stage``."""
    import datasets
    import pyarrow.parquet as pq
    from huggingface_hub import HfApi

    revision = source.revision or HfApi().dataset_info(source.hub, timeout=20).sha or "unknown"
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="hub-", dir=stage.parent) as scratch:
        loaded = datasets.load_dataset(source.hub, source.config, revision=revision, cache_dir=scratch)
        names: dict[str, list[str]] = {}
        for split, rows in loaded.items():
            for column, feature in rows.features.items():
                inner = getattr(feature, "feature", feature)
                if hasattr(inner, "names"):
                    names[str(column)] = list(inner.names)
            pq.write_table(rows.with_format("arrow")[:].replace_schema_metadata(None), stage / f"{split}.parquet")
    note = {"hub": source.hub, "config": source.config, "revision": revision, "names": names}
    (stage / "features.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def snapshot(name: str, cache_folder: Path) -> Path:
    """Return the folder of a model of the hub, ``owner/name`` or ``owner/name@revision``, downloaded if need be.

    Raises
    ------
    UserError
        If it cannot be downloaded.
    """
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    patterns = ["*.safetensors", "openvino_*", "*.json", "*.jinja", "*.model", "*.txt"]
    folder = cache_folder / "hub"
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=patterns, cache_dir=folder))
    except Exception as error:  # the hub's client raises many kinds, its HTTP library's among them
        log.debug("snapshot of %s failed", name, exc_info=True)
        raise UserError(
            f"The model cannot be downloaded from the Hugging Face hub: {type(error).__name__}: {' '.join(str(error).split())[:160]}",
            where=f"models: {name}",
            remedy="Check the name and the connection, or download the model elsewhere and name its folder.",
        ) from None
