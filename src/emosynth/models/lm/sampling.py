"""Drawing tokens: seeded row by row, and with a bonus on words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import torch

from emosynth.params import Decoding

_CANDIDATES = 1024  # most probable tokens looked at first; the whole vocabulary when they do not hold top_p of the mass


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
    # Drawn where the logits are: what would be moved is a thousand candidates a row. Other accelerators may have no float64.
    place = logits.device if logits.is_cuda else torch.device("cpu")
    log_p = (best - normaliser).to(place).double()
    tokens = tokens.to(place)
    if decoding.top_p < 1:
        p = log_p.exp()
        log_p = log_p.masked_fill(p.cumsum(-1) - p >= decoding.top_p, -math.inf)
    gumbel = -torch.log(-torch.log(uniforms(seeds.to(place), step, tokens)))
    return tokens.gather(-1, (log_p + gumbel).argmax(-1, keepdim=True)).squeeze(-1).cpu()


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
