"""Decoding many rows of few prompts: each distinct prompt is read once, and its rows share the one copy of its keys and values.

Rows attend to the shared prefix and to their own tokens apart, and join both under one softmax (the idea of cascade or hydragen
attention). Rows that have ended leave the batch.
"""

from __future__ import annotations

from typing import Any

import torch

ATTENTION = "emosynth_shared_prefix"

_READ = 4096
"""Tokens of prompts that an accelerator reads at once; each has the logits of a vocabulary."""
_BLANKS = 4
"""Times as many rows as there are that an accelerator may compute with, if prompts have unequal numbers of them."""


class _Prefix:
    """Keys and values of the prompts, one copy each, and which rows read which: rows of one prompt are neighbours.

    ``last``: the logits after each prompt, shape (prompts, vocabulary).
    """

    def __init__(self, model: Any, prompts: list[torch.Tensor], counts: list[int]) -> None:
        outputs = [model(input_ids=ids[None], use_cache=True) for ids in prompts]
        # Per prompt and layer: keys and values of shape (key-value heads, prompt tokens, width).
        self.layers = [[(layer.keys[0], layer.values[0]) for layer in output.past_key_values.layers] for output in outputs]
        self.counts = counts
        self.last = torch.cat([output.logits[:, -1] for output in outputs])

    def keep(self, kept: torch.Tensor) -> None:
        start, counts = 0, []
        for count in self.counts:
            counts.append(int(((kept >= start) & (kept < start + count)).sum()))
            start += count
        self.counts = counts

    def attend(self, q: torch.Tensor, own: torch.Tensor, value: torch.Tensor, layer: int) -> torch.Tensor:
        """Return (rows, 1, heads, width) of queries (rows, key-value heads, share, width), own scores and own values."""
        rows, kv_heads, share, width = q.shape
        heads = kv_heads * share
        out = q.new_empty((rows, 1, heads, value.shape[-1]))
        start = 0
        for layers, count in zip(self.layers, self.counts, strict=True):
            if not count:
                continue
            these = slice(start, start + count)
            keys, values = layers[layer]
            # All rows of the prompt in one product: (kv heads, rows * share, width) with (kv heads, width, prompt tokens).
            shared = torch.matmul(q[these].transpose(0, 1).reshape(kv_heads, count * share, width), keys.transpose(1, 2))
            mine = own[these].transpose(0, 1).reshape(kv_heads, count * share, -1)
            weights = torch.softmax(torch.cat([shared, mine], dim=-1), dim=-1, dtype=torch.float32).to(q.dtype)
            length = keys.shape[1]
            context = torch.matmul(weights[..., :length], values).view(kv_heads, count, share, -1).transpose(0, 1)
            context = context + torch.matmul(weights[..., length:].view(kv_heads, count, share, -1).transpose(0, 1), value[these])
            out[these] = context.reshape(count, 1, heads, -1)
            start += count
        return out


class _Padded:
    """`_Prefix` for an accelerator, where a product of each prompt costs more than blanks: all prompts in one tensor, blanks to the right.

    A blank is seen by no token of the prompt, since attention looks back only, and is hidden from the rows.
    """

    def __init__(self, model: Any, prompts: list[torch.Tensor], counts: list[int]) -> None:
        lengths = torch.tensor([len(ids) for ids in prompts], device=prompts[0].device)
        longest = max(map(len, prompts))
        # Per layer: keys and values of shape (prompts, key-value heads, longest, width).
        self.layers: list[tuple[torch.Tensor, ...]] = []
        last = []
        step = max(1, _READ // longest)
        for start in range(0, len(prompts), step):
            part = slice(start, start + step)
            output = model(input_ids=torch.nn.utils.rnn.pad_sequence(prompts[part], batch_first=True), use_cache=True)
            for number, layer in enumerate(output.past_key_values.layers):
                read = layer.keys, layer.values
                if not start:
                    self.layers.append(tuple(one.new_zeros((len(prompts), one.shape[1], longest, one.shape[3])) for one in read))
                for whole, one in zip(self.layers[number], read, strict=True):
                    whole[part, :, : one.shape[2]] = one
            last.append(output.logits[torch.arange(len(output.logits), device=lengths.device), lengths[part] - 1])
        self.last = torch.cat(last)
        self.blank = torch.arange(longest, device=lengths.device) >= lengths[:, None]
        self._arrange(torch.arange(len(prompts), device=lengths.device).repeat_interleave(torch.tensor(counts, device=lengths.device)))

    def _arrange(self, prompt: torch.Tensor) -> None:
        """Note where rows stand when each prompt has as many slots as the one with the most rows; a slot without a row repeats one."""
        counts = torch.bincount(prompt, minlength=len(self.blank))
        most, rows = int(counts.max()), torch.arange(len(prompt), device=prompt.device)
        self.prompt, self.hidden = prompt, self.blank[prompt][:, None, None]
        self.slot = prompt * most + rows - (counts.cumsum(0) - counts)[prompt]
        self.row = self.slot.new_zeros(len(counts) * most).index_put((self.slot,), rows)
        self.even = len(self.row) == len(rows)

    def keep(self, kept: torch.Tensor) -> None:
        used, prompt = torch.unique(self.prompt[kept], return_inverse=True)
        if len(used) < len(self.blank):
            self.blank = self.blank[used]
            for number, layer in enumerate(self.layers):  # one by one: there may be no room for all of them twice
                self.layers[number] = tuple(one[used] for one in layer)
        self._arrange(prompt)

    def attend(self, q: torch.Tensor, own: torch.Tensor, value: torch.Tensor, layer: int) -> torch.Tensor:
        """See `_Prefix.attend`."""
        rows, kv_heads, share, _ = q.shape
        keys, values = self.layers[layer]

        def together(by_row: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            """Multiply (rows, kv heads, share, ·) with what its prompt has, all rows of a prompt in one product."""
            spread = (by_row if self.even else by_row[self.row]).view(len(keys), -1, kv_heads, share, by_row.shape[-1]).transpose(1, 2)
            made = torch.matmul(spread.reshape(len(keys), kv_heads, -1, by_row.shape[-1]), other)
            made = made.view(len(keys), kv_heads, -1, share, made.shape[-1]).transpose(1, 2).reshape(-1, kv_heads, share, made.shape[-1])
            return made if self.even else made[self.slot]

        shared = together(q, keys.transpose(2, 3)).masked_fill_(self.hidden, float("-inf"))
        weights = torch.softmax(torch.cat([shared, own], dim=-1), dim=-1, dtype=torch.float32).to(q.dtype)
        length = keys.shape[2]
        context = together(weights[..., :length], values) + torch.matmul(weights[..., length:], value)
        return context.reshape(rows, 1, kv_heads * share, -1)


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
        for layer, (keys, values) in self.buffers.items():
            self.buffers[layer] = keys[kept], values[kept]


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    shared_prefix: _Prefix | _Padded | None = None,
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
    q = (query * (scaling if scaling is not None else width**-0.5)).view(rows, kv_heads, heads // kv_heads, width)
    return shared_prefix.attend(q, torch.matmul(q, key.transpose(2, 3)), value, module.layer_idx), None  # type: ignore[arg-type]


# --- decoding ---------------------------------------------------------------------------------------


class SharedDecoder:
    """Decodes rows of several prompts together."""

    def __init__(self, model: Any, prompts: list[torch.Tensor], counts: list[int], length: int) -> None:
        self.model = model
        together = prompts[0].device.type != "cpu" and len(counts) * max(counts) <= _BLANKS * sum(counts)
        self.prefix = (_Padded if together else _Prefix)(model, prompts, counts)
        self.own = _OwnTokens(sum(counts), length)
        repeats = torch.tensor(counts, device=prompts[0].device)
        self.logits = self.prefix.last.repeat_interleave(repeats, dim=0)
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
