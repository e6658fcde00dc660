"""Data sets of the Hugging Face hub."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from emosynth.catalog.entries import HubSource


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
