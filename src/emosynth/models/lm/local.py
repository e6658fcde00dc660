"""Backend ``transformers``: the reference, on any device, and the only one that can bias logits.

Prompt tokens dominate the cost of short texts, so each distinct prompt is read once and all its rows attend to the one copy of its
keys and values (the idea of cascade or hydragen attention: attend to the shared prefix and to the row's own tokens apart, and join
both under one softmax). Rows that have ended leave the batch.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from emosynth.errors import UserError
from emosynth.models.lm.assets import dequantised_folder, generator_files, model_hash
from emosynth.models.lm.base import STOP, Completion, Progress, Request, one_line, shortened
from emosynth.params import Decoding, Generator

log = logging.getLogger(__name__)

_ATTENTION = "emosynth_shared_prefix"
_ROWS = 256  # rows decoded together; the list of one call is cut into such pieces
_CANDIDATES = 1024  # most probable tokens looked at first; the whole vocabulary when they do not hold top_p of the mass


# --- sampling -------------------------------------------------------------------------------------


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MIX1 = _signed(0xBF58476D1CE4E5B9)
_MIX2 = _signed(0x94D049BB133111EB)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014) on int64; the mask makes the shifts logical."""
    x = (x ^ ((x >> 30) & ((1 << 34) - 1))) * _MIX1
    x = (x ^ ((x >> 27) & ((1 << 37) - 1))) * _MIX2
    return x ^ ((x >> 31) & ((1 << 33) - 1))


def uniforms(seeds: torch.Tensor, step: int, tokens: torch.Tensor) -> torch.Tensor:
    """Return the random number in (0, 1) that belongs to each (row seed, step, token), whatever else is in the batch.

    Parameters
    ----------
    seeds
        int64, shape (rows,).
    step
        How many tokens have been written before.
    tokens
        int64 token ids, shape (rows, candidates).
    """
    state = _mix(_mix(seeds + _GOLDEN)[:, None] + _signed(0x9E3779B97F4A7C15 * (step + 1) % (1 << 64)))
    bits = _mix(state ^ _mix(tokens + _GOLDEN))
    return (((bits >> 11) & ((1 << 53) - 1)).double() + 0.5) / float(1 << 53)


def sample(logits: torch.Tensor, decoding: Decoding, seeds: torch.Tensor, step: int) -> torch.Tensor:
    """Draw one token for each row by the Gumbel-max trick over what temperature, top-k and top-p leave.

    The noise of a token depends on row seed, step and token alone, so a row's draw does not depend on its neighbours or on the order
    of nearly equal logits.

    Parameters
    ----------
    logits
        float, shape (rows, vocabulary), on any device.
    decoding
        Temperature, top_k and top_p are used.
    seeds
        int64, shape (rows,), on the CPU.
    step
        How many tokens have been written before.

    Returns
    -------
    int64 token ids, shape (rows,), on the CPU.
    """
    vocabulary = logits.shape[-1]
    whole = not decoding.top_k and decoding.top_p >= 1
    count = vocabulary if whole else min(decoding.top_k or _CANDIDATES, vocabulary)
    scores = logits.float() / decoding.temperature
    # top_p is a share of the mass that top_k leaves, as in transformers.
    normaliser = None if decoding.top_k else torch.logsumexp(scores, dim=-1, keepdim=True)
    best, tokens = torch.topk(scores, count, dim=-1)
    if not decoding.top_k and count < vocabulary and normaliser is not None:
        held = (best - normaliser).exp().sum(-1)
        if bool((held < decoding.top_p).any()):
            best, tokens = torch.sort(scores, dim=-1, descending=True)
    if normaliser is None:
        normaliser = torch.logsumexp(best, dim=-1, keepdim=True)
    log_p = (best - normaliser).double().cpu()
    tokens = tokens.cpu()
    if decoding.top_p < 1:
        p = log_p.exp()
        log_p = log_p.masked_fill(p.cumsum(-1) - p >= decoding.top_p, -math.inf)
    gumbel = -torch.log(-torch.log(uniforms(seeds, step, tokens)))
    return tokens.gather(-1, (log_p + gumbel).argmax(-1, keepdim=True)).squeeze(-1)


# --- bias -----------------------------------------------------------------------------------------


class WordBias:
    """Logit bonus on the words of one row.

    A word of several sub-tokens gets its bonus in equal parts, the first part on its first sub-token and each other part on the next
    sub-token once those before it have just been written: writing the whole word gains exactly ``bonus``, and merely beginning it
    gains little. A word that the text already holds gets none, so that it is not repeated for ever.

    Parameters
    ----------
    words
        Pairs of word and bonus (in logits, before the temperature).
    tokenizer
        Hugging Face tokenizer.
    """

    def __init__(self, words: Sequence[tuple[str, float]], tokenizer: Any) -> None:
        self._words: list[tuple[re.Pattern[str], float, list[tuple[tuple[int, ...], bool]]]] = []
        self._done: set[re.Pattern[str]] = set()
        for word, bonus in words:
            word = word.strip()
            if not word:
                continue
            variants: dict[tuple[int, ...], bool] = {}
            for text, spaced in ((" " + word, True), (word, False)):
                pieces = tuple(tokenizer(text, add_special_tokens=False).input_ids)
                if pieces:
                    variants.setdefault(pieces, spaced)
            before = r"(?<!\w)" if re.match(r"\w", word) else ""
            after = r"(?!\w)" if re.search(r"\w$", word) else ""
            self._words.append((re.compile(before + re.escape(word) + after, re.IGNORECASE), bonus, list(variants.items())))

    def bonuses(self, written: Sequence[int], text: str) -> dict[int, float]:
        """Return the bonus of each token that could come next; asked once a step, as the text grows.

        Parameters
        ----------
        written
            Token ids written so far (without the prompt).
        text
            The same as text.
        """
        bonuses: dict[int, float] = {}
        inside = bool(text) and text[-1].isalnum()
        for pattern, bonus, variants in self._words:
            if pattern in self._done or pattern.search(text):
                self._done.add(pattern)
                continue
            for pieces, spaced in variants:
                share = bonus / len(pieces)
                for position, token in enumerate(pieces):
                    if position == 0 and inside and not spaced:
                        continue  # it would be glued to the word before
                    if position and tuple(written[-position:]) != pieces[:position]:
                        continue
                    bonuses[token] = max(bonuses.get(token, -math.inf), share)
        return bonuses


# --- attention over a shared prefix ------------------------------------------------------------------


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


def _attend(
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


class _SharedDecoder:
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
        config._attn_implementation = _ATTENTION
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


class _PlainDecoder:
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


class TransformersModel:
    """Generator on Hugging Face transformers.

    Parameters
    ----------
    folder
        Hugging Face model folder.
    sha256
        Hash of the model it was made from.
    device, dtype
        Where and in what precision it computes.

    Raises
    ------
    UserError
        If the model cannot be loaded or the device does not exist.
    """

    def __init__(self, folder: Path, sha256: str, device: str = "cpu", dtype: str = "float32") -> None:
        from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer

        try:
            self.device = torch.device(device)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(str(folder))
            model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=getattr(torch, dtype))
            self.model = model.eval().to(self.device)
        except (OSError, ValueError, RuntimeError, AssertionError, ImportError) as error:
            raise UserError(
                f"transformers cannot load the model on {device}: {shortened(error)}",
                where=f"generation.generator: {folder.name}",
                remedy="Check model and device; the folder needs config.json, safetensors and a tokenizer of a causal language model.",
            ) from None
        AttentionInterface.register(_ATTENTION, _attend)  # type: ignore[arg-type]
        self.deterministic = self.device.type == "cpu"
        self.identity: dict[str, Any] = {
            "backend": "transformers",
            "model": sha256,
            "dtype": dtype,
            "device": self.device.type,
            "torch": version("torch").split("+")[0],
            "transformers": version("transformers"),
        }
        ends = self.model.generation_config.eos_token_id
        self._ends = {*([ends] if isinstance(ends, int) else ends or []), self.tokenizer.eos_token_id} - {None}
        pieces = self.tokenizer.batch_decode([[token] for token in range(len(self.tokenizer))])
        self._newlines = {token for token, piece in enumerate(pieces) if STOP in piece}
        self.shares_prefix = self._can_share()

    @classmethod
    def open(cls, generator: Generator, catalog: Any) -> TransformersModel:
        """Find, convert if need be, and open the model."""
        found = generator_files(generator, catalog)
        folder = dequantised_folder(found, catalog.paths.cache) if found.is_file() else found
        return cls(folder, model_hash(found), generator.device, generator.dtype)

    @torch.inference_mode()
    def _can_share(self) -> bool:
        """Try the shared-prefix attention on this model against its own; models differ, and a wrong text is worse than a slow one."""
        prompts = [self._ids("The sun came out and so", False), self._ids("Nobody", False)]
        try:
            shared = _SharedDecoder(self.model, prompts, [2, 1], 2)
            rows = [prompts[0], prompts[0], prompts[1]]
            for _ in range(2):
                tokens = shared.logits.argmax(-1)
                rows = [torch.cat([ids, token[None]]) for ids, token in zip(rows, tokens, strict=True)]
                shared.step(tokens)
            expected = torch.cat([self.model(input_ids=ids[None]).logits[:, -1] for ids in rows])
            error = float((shared.logits.float() - expected.float()).abs().max() / expected.float().abs().max())
            fine = error < (1e-3 if self.model.dtype == torch.float32 else 5e-2)
        except Exception as problem:  # whatever a model's own code raises, there is a path that works
            log.debug("shared prefix: %s", shortened(problem))
            fine = False
        if not fine:
            log.info("this model's attention cannot share prompts; its cache is copied for every row, which is slower")
        return fine

    def _ids(self, prompt: str, chat: bool) -> torch.Tensor:
        if chat:
            if not self.tokenizer.chat_template:
                raise UserError(
                    "The model has no chat template.",
                    where="generation.generator.model",
                    remedy="Use an instruction-tuned model, or prompts without chat.",
                )
            prompt = self.tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
        # A chat template writes the special tokens itself.
        ids = self.tokenizer(prompt, add_special_tokens=not chat).input_ids
        if not ids:
            raise UserError("A prompt is empty.", where="generation.arms", remedy="Give every prompt some text.")
        return torch.tensor(ids, device=self.device)

    def generate(self, requests: Sequence[Request], decoding: Decoding, *, progress: Progress | None = None) -> list[Completion]:
        """Write one text for each request; see `LanguageModel.generate`.

        Raises
        ------
        UserError
            If a prompt does not fit the model or memory runs out.
        """
        try:
            return self._generate(requests, decoding, progress)
        except torch.OutOfMemoryError:
            raise UserError(
                "The device's memory does not hold the batch.",
                where="generation.generator",
                remedy="Set a smaller batch, or dtype: bfloat16.",
            ) from None

    @torch.inference_mode()
    def _generate(self, requests: Sequence[Request], decoding: Decoding, progress: Progress | None) -> list[Completion]:
        ids = {pair: self._ids(*pair) for pair in sorted({(request.prompt, request.chat) for request in requests})}
        longest = max((len(tokens) for tokens in ids.values()), default=0) + decoding.max_new_tokens
        limit = getattr(self.model.config, "max_position_embeddings", None)
        if limit and longest > limit:
            raise UserError(
                f"A prompt of {longest - decoding.max_new_tokens} tokens and {decoding.max_new_tokens} new ones do not fit the model's {limit}.",
                where="generation.arms",
                remedy="Use fewer or shorter exemplars.",
            )
        window = getattr(self.model.config, "sliding_window", None)
        share = self.shares_prefix and not (window and longest > window)

        order = sorted(range(len(requests)), key=lambda row: (requests[row].prompt, requests[row].chat))
        pieces: list[list[int]] = []
        for row in order:
            full = not pieces or len(pieces[-1]) >= _ROWS
            last = None if full else requests[pieces[-1][-1]]
            if last is None or not (share or (last.prompt, last.chat) == (requests[row].prompt, requests[row].chat)):
                pieces.append([])
            pieces[-1].append(row)

        done: dict[int, Completion] = {}
        for rows in pieces:
            pairs = [(requests[row].prompt, requests[row].chat) for row in rows]
            distinct = sorted(set(pairs))
            decoder: _SharedDecoder | _PlainDecoder
            if share:
                decoder = _SharedDecoder(
                    self.model, [ids[pair] for pair in distinct], [pairs.count(pair) for pair in distinct], decoding.max_new_tokens
                )
            else:
                decoder = _PlainDecoder(self.model, ids[pairs[0]], len(rows))
            self._decode(decoder, rows, requests, [ids[pair] for pair in pairs], decoding, done, progress)
        return [done[row] for row in range(len(requests))]

    def _decode(
        self,
        decoder: _SharedDecoder | _PlainDecoder,
        rows: list[int],
        requests: Sequence[Request],
        prompts: list[torch.Tensor],
        decoding: Decoding,
        done: dict[int, Completion],
        progress: Progress | None,
    ) -> None:
        """Write the texts of ``rows`` into ``done``."""
        written: dict[int, list[int]] = {row: [] for row in rows}
        lengths = {row: len(prompt) for row, prompt in zip(rows, prompts, strict=True)}
        biases = {row: WordBias(requests[row].bias, self.tokenizer) for row in rows if requests[row].bias}
        seen = None
        if decoding.repetition_penalty != 1:
            seen = torch.zeros(decoder.logits.shape, dtype=torch.bool, device=self.device)
            for index, prompt in enumerate(prompts):
                seen[index, prompt] = True
        alive = list(rows)  # rows of the decoder, those that have ended since the last clearing included
        ended: set[int] = set()
        for step in range(decoding.max_new_tokens):
            logits = decoder.logits
            if seen is not None:
                punished = torch.where(logits > 0, logits / decoding.repetition_penalty, logits * decoding.repetition_penalty)
                logits = torch.where(seen, punished, logits)
            if biases:
                logits = logits.clone() if seen is None else logits
                for index, row in enumerate(alive):
                    if row in biases and row not in ended:
                        bonuses = biases[row].bonuses(written[row], self._text(written[row]))
                        if bonuses:
                            tokens = torch.tensor(list(bonuses), device=self.device)
                            logits[index, tokens] += torch.tensor(list(bonuses.values()), device=self.device, dtype=logits.dtype)
            seeds = torch.tensor([requests[row].row_seed for row in alive], dtype=torch.int64)
            drawn = sample(logits, decoding, seeds, step)
            before = len(done)
            for row, token in zip(alive, drawn.tolist(), strict=True):
                if row in ended:
                    continue
                written[row].append(token)
                stopped = token in self._ends or token in self._newlines
                if stopped or step + 1 == decoding.max_new_tokens:
                    ended.add(row)
                    text = one_line(self._text(written[row]))
                    done[row] = Completion(text, "stop" if stopped else "length", lengths[row], len(written[row]))
            if progress is not None and len(done) > before:
                progress(len(done))
            if len(ended) == len(rows):
                return
            drawn = drawn.to(self.device)
            if seen is not None:
                seen[torch.arange(len(alive), device=self.device), drawn] = True
            # Rows that have ended are cleared away a few at a time, since that copies the others.
            gone = sum(row in ended for row in alive)
            if gone * 10 >= len(alive):
                kept = torch.tensor([index for index, row in enumerate(alive) if row not in ended], device=self.device)
                decoder.keep(kept)
                drawn = drawn[kept]
                seen = seen[kept] if seen is not None else None
                alive = [row for row in alive if row not in ended]
            decoder.step(drawn)

    def _text(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True) if tokens else ""

    def close(self) -> None:
        """Free the weights."""
        self.model = None
