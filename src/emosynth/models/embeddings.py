"""Sentence embeddings on a CPU, kept by content.

The mean of an encoder's last hidden states over a text's tokens, scaled to length 1 (Reimers and Gurevych, 2019, Sentence-BERT).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emosynth.models.transformer import ROWS, fixed_batches, hash_folder, load_encoder, pad, pooled
from emosynth.store import RowStore
from emosynth.text import normalise


class Encoder:
    """Sentence embeddings from a local model folder.

    Parameters
    ----------
    folder
        Folder with config.json, weights and tokenizer.
    max_tokens
        Longer texts are cut.

    Attributes
    ----------
    hash : str
        SHA-256 over configuration, weights and tokenizer; what cached embeddings are keyed by.
    """

    def __init__(self, folder: str | Path, max_tokens: int = 128) -> None:
        self.folder = Path(folder)
        self.max_tokens = max_tokens
        self.hash = hashlib.sha256(f"{hash_folder(self.folder)}:{max_tokens}".encode()).hexdigest()
        self._loaded: tuple[Any, Any] | None = None

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (n, d) embeddings of length 1. A text's embedding depends on that text alone, but for rounding (1e-5)."""
        import torch

        if self._loaded is None:  # a full cache never needs the model
            self._loaded = load_encoder(self.folder)
        tokenizer, model = self._loaded
        out = np.zeros((len(texts), int(model.config.hidden_size)), dtype=np.float32)
        if not len(texts):
            return out
        ids = tokenizer([normalise(text) for text in texts], truncation=True, max_length=self.max_tokens)["input_ids"]
        with torch.inference_mode():
            for length, rows in fixed_batches([len(tokens) for tokens in ids]):
                batch, mask = pad([ids[row] for row in rows], length, ROWS, tokenizer.pad_token_id or 0)
                hidden = model(input_ids=batch, attention_mask=mask).last_hidden_state
                out[rows] = torch.nn.functional.normalize(pooled(hidden, mask), dim=1)[: len(rows)].numpy()
        return out


class EmbeddingCache:
    """Embeddings kept by content, shared by steps and arms.

    Parameters
    ----------
    encoder
        Makes what is missing.
    store
        Where embeddings are kept, as little-endian float32 bytes; None: in memory only.
    unit
        Texts embedded and committed at once; what a killed run loses at most.

    Notes
    -----
    The key is the SHA-256 of the encoder's hash and the exact text. Since an embedding depends on its text alone, results are the same
    with a full, a partial and no cache.
    """

    def __init__(self, encoder: Encoder, store: RowStore | None = None, unit: int = 512) -> None:
        self.encoder = encoder
        self.store = store
        self.unit = unit
        self._memory: dict[str, npt.NDArray[np.float32]] = {}

    @classmethod
    def open(cls, folder: str | Path, cache_folder: Path, max_tokens: int = 128) -> EmbeddingCache:
        """Open the cache of an encoder below ``cache_folder``/rows; one file per encoder."""
        encoder = Encoder(folder, max_tokens)
        return cls(encoder, RowStore(cache_folder / "rows" / f"embeddings-{encoder.hash[:16]}.sqlite"))

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self.encoder.hash}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()

    def embed(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> npt.NDArray[np.float32]:
        """Return (n, d) embeddings, making only those that are not kept yet."""
        keys = [self._key(text) for text in texts]
        missing: dict[str, str] = {}
        for key, text in zip(keys, texts, strict=True):
            if key in self._memory or key in missing:
                continue
            kept = None if self.store is None else self.store.get(key)
            if kept is None:
                missing[key] = text
            else:
                self._memory[key] = np.frombuffer(kept, dtype="<f4")
        pending = sorted(missing.items(), key=lambda pair: (len(pair[1]), pair[1]))  # texts of like length fill batches
        for start in range(0, len(pending), self.unit):
            part = pending[start : start + self.unit]
            made = dict(zip((key for key, _ in part), self.encoder.embed([text for _, text in part]), strict=True))
            self._memory.update(made)
            if self.store is not None:
                self.store.commit({key: row.astype("<f4").tobytes() for key, row in made.items()})
            if progress and len(pending) > self.unit:
                progress(f"embeddings: {min(start + self.unit, len(pending))} of {len(pending)}")
        if not keys:
            return self.encoder.embed([])
        return np.stack([self._memory[key] for key in keys])


@cache
def embedding_cache(encoder: Path, cache_folder: Path) -> EmbeddingCache:
    """Return the cache of an encoder's embeddings, opened once in a process: its file has one writer."""
    return EmbeddingCache.open(encoder, cache_folder)
