"""The one cache of embeddings that all parts of a process share: its file has one writer."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from emosynth.models.encoders import EmbeddingCache


@cache
def embedding_cache(encoder: Path, cache_folder: Path) -> EmbeddingCache:
    """Return the cache of an encoder's embeddings, opened once in a process."""
    return EmbeddingCache.open(encoder, cache_folder)
