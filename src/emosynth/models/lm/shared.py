"""Decoding many rows of few prompts: each distinct prompt is read once, and its rows share the one copy of its keys and values.

Rows attend to the shared prefix and to their own tokens apart, and join both under one softmax (the idea of cascade or hydragen
attention). Rows that have ended leave the batch.
"""

from __future__ import annotations

from typing import Any

import torch

ATTENTION = "emosynth_shared_prefix"


class _Prefix:
    """Keys and values of the prompts, one copy each, and which rows read which: rows of one prompt are neighbours."""

    def __init__(self, caches: list[Any], counts: list[int]) -> None:
        # Per prompt and layer: keys and values of shape (key-value heads, prompt tokens, width).
        self.layers = [[(layer.keys[0], layer.values[0]) for layer in cache.layers] for cache in caches]
        self.counts = counts

    def keep(self, kept: torch.Tensor) -> None:
        start, counts = 0, []
        for count in self.counts:
            counts.append(int(((kept >= start) & (kept < start + count)).sum()))
            start += count
        self.counts = counts


class _OwnTokens:
    """Keys and values of the tokens that the rows have written themselves, in buffers that are as long as a text can get."""

    def __init__(self, rows: int, length: int) -> None:
        self.rows, self.length, self.written = rows, length, 0
        self.buffers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def update(self, key: torch.Tensor, value: torch.Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        if layer_idx not in self.buffers:
            shape = (self.rows, key.shape[1], self.length)
            self.buffers[layer_idx] = key.new_empty((*shape, key.shape[-1])), value.new_empty((*shape, value.shape[-1]))
        keys, values = self.buffers[layer_idx]
        end = self.written + 1
        keys[:, :, self.written : end] = key
        values[:, :, self.written : end] = value
        return keys[:, :, :end], values[:, :, :end]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.written

    def keep(self, kept: torch.Tensor) -> None:
        self.rows = len(kept)
        self.buffers = {layer: (keys[kept], values[kept]) for layer, (keys, values) in self.buffers.items()}


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    shared_prefix: _Prefix | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new token a row to its prompt (shared) and to its own tokens.

    Shapes: ``query`` (rows, heads, 1, width); ``key`` and ``value`` (rows, key-value heads, own tokens, width). Returns
    (rows, 1, heads, width).
    """
    if shared_prefix is None or kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None or query.shape[2] != 1:
        raise NotImplementedError("this model's attention is not of the plain kind")
    rows, heads, _, width = query.shape
    kv_heads = key.shape[1]
    share = heads // kv_heads
    scale = scaling if scaling is not None else width**-0.5
    q = (query * scale).view(rows, kv_heads, share, width)
    own = torch.matmul(q, key.transpose(2, 3))
    out = query.new_empty((rows, 1, heads, value.shape[-1]))
    layer: int = module.layer_idx  # type: ignore[assignment]
    start = 0
    for layers, count in zip(shared_prefix.layers, shared_prefix.counts, strict=True):
        if not count:
            continue
        these = slice(start, start + count)
        keys, values = layers[layer]
        # All rows of the prompt in one product: (kv heads, rows * share, width) with (kv heads, width, prompt tokens).
        shared = torch.matmul(q[these].transpose(0, 1).reshape(kv_heads, count * share, width), keys.transpose(1, 2))
        mine = own[these].transpose(0, 1).reshape(kv_heads, count * share, -1)
        weights = torch.softmax(torch.cat([shared, mine], dim=-1), dim=-1, dtype=torch.float32).to(query.dtype)
        length = keys.shape[1]
        context = torch.matmul(weights[..., :length], values).view(kv_heads, count, share, -1).transpose(0, 1)
        context = context + torch.matmul(weights[..., length:].view(kv_heads, count, share, -1).transpose(0, 1), value[these])
        out[these] = context.reshape(count, 1, heads, -1)
        start += count
    return out, None


# --- decoding ---------------------------------------------------------------------------------------


class SharedDecoder:
    """Decodes rows of several prompts together."""

    def __init__(self, model: Any, prompts: list[torch.Tensor], counts: list[int], length: int) -> None:
        self.model = model
        outputs = [model(input_ids=ids[None], use_cache=True) for ids in prompts]
        self.prefix = _Prefix([output.past_key_values for output in outputs], counts)
        self.own = _OwnTokens(sum(counts), length)
        repeats = torch.tensor(counts, device=prompts[0].device)
        self.logits = torch.cat([output.logits[:, -1] for output in outputs]).repeat_interleave(repeats, dim=0)
        self.positions = torch.tensor([len(ids) for ids in prompts], device=prompts[0].device).repeat_interleave(repeats)

    def step(self, tokens: torch.Tensor) -> None:
        config = self.model.config
        before = config._attn_implementation
        config._attn_implementation = ATTENTION
        try:
            output = self.model(
                input_ids=tokens[:, None],
                position_ids=self.positions[:, None],
                past_key_values=self.own,
                use_cache=True,
                shared_prefix=self.prefix,
            )
        finally:
            config._attn_implementation = before
        self.own.written += 1
        self.positions = self.positions + 1
        self.logits = output.logits[:, -1]

    def keep(self, kept: torch.Tensor) -> None:
        self.prefix.keep(kept)
        self.own.keep(kept)
        self.logits, self.positions = self.logits[kept], self.positions[kept]


class PlainDecoder:
    """Decodes rows of one prompt, whatever the model's attention is like: the prompt is read once and its cache is repeated."""

    def __init__(self, model: Any, prompt: torch.Tensor, count: int) -> None:
        self.model = model
        output = model(input_ids=prompt[None], use_cache=True)
        self.cache = output.past_key_values
        self.cache.batch_repeat_interleave(count)
        self.logits = output.logits[:, -1].repeat_interleave(count, dim=0)

    def step(self, tokens: torch.Tensor) -> None:
        output = self.model(input_ids=tokens[:, None], past_key_values=self.cache, use_cache=True)
        self.logits = output.logits[:, -1]

    def keep(self, kept: torch.Tensor) -> None:
        self.cache.batch_select_indices(kept)
        self.logits = self.logits[kept]
