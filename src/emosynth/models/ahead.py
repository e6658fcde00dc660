"""Embeddings made on a cluster before they are asked for, in the batches in which one machine would make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emosynth.models.embeddings import EmbeddingCache, Encoder
from emosynth.parallel import in_order, remote, rooms

_MEMORY = 10**9
"""Bytes of a worker that embeds: an assumption for small encoders, only used to see how many fit."""
_held: list[Encoder] = []


def _hold(folder: Path, max_tokens: int) -> None:
    _held[:] = [Encoder(folder, max_tokens)]


def _embed(texts: list[str], _progress: Callable[[int], None]) -> Any:
    return _held[0].embed(texts)


def embed_ahead(cache: EmbeddingCache, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> None:
    """Put what a cache lacks into it, on a cluster if there is one; `EmbeddingCache.embed` finds it there."""
    if remote() and cache.store is not None:
        missing = {key: text for text in texts if (key := cache._key(text)) not in cache.store}
        pending = sorted(missing.items(), key=lambda pair: (len(pair[1]), pair[1]))
        parts = [pending[start : start + cache.unit] for start in range(0, len(pending), cache.unit)]
        if len(parts) > 1:  # a worker has its start
            tasks, encoder, done = [[text for _, text in part] for part in parts], cache.encoder, 0
            made = in_order(_embed, tasks, min(rooms(_MEMORY), len(parts)), lambda _: None, _hold, (encoder.folder, encoder.max_tokens))
            for part, rows in zip(parts, made, strict=True):
                cache.store.commit({key: row.astype("<f4").tobytes() for (key, _), row in zip(part, rows, strict=True)})
                done += len(part)
                if progress:
                    progress(f"embeddings: {done} of {len(pending)}")
    cache.embed(texts, progress)
