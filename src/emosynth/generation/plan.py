"""What is to be generated: one planned candidate per row, before any model is loaded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emosynth.errors import UserError
from emosynth.generation.prompts import build_prompt
from emosynth.models.lm import Request
from emosynth.params import Generation, GenerationArm
from emosynth.tuning import label_prefix


@dataclass(frozen=True)
class Planned:
    """One candidate to be written."""

    arm: str
    size: int
    repeat: int
    label: str
    index: int
    request: Request

    @property
    def candidate_id(self) -> str:
        """Readable and unique within a profile."""
        return f"{self.arm}/{self.size}/{self.repeat}/{self.label}/{self.index:05d}"


def stable_seed(*parts: object) -> int:
    """Return a seed in [0, 2**31) that depends on the parts alone, on every machine."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8")).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def quotas(total: int, classes: Sequence[str]) -> dict[str, int]:
    """Share ``total`` rows equally among the classes; the first classes take the remainder."""
    base, rest = divmod(total, len(classes))
    return {label: base + (position < rest) for position, label in enumerate(classes)}


def wanted_rows(generation: Generation, size: int, arm: str | None = None) -> int:
    """Return how many synthetic rows a seed of ``size`` is to be grown by, in general or by one arm."""
    own = generation.arms[arm].growth if arm in generation.arms else None
    return round((generation.growth if own is None else own) * size)


def plan_cell(
    name: str,
    arm: GenerationArm,
    size: int,
    repeat: int,
    *,
    generation: Generation,
    classes: Sequence[str],
    phrases: Mapping[str, str],
    noun: str,
    guidance: Mapping[str, Any],
    texts: Mapping[str, str],
    prefix: str = "",
) -> list[Planned]:
    """Plan the candidates of one arm on one seed.

    Parameters
    ----------
    guidance
        The cell's entry of the guidance file; empty if no arm needs one.
    prefix
        Template of the label prefix that a tuned generator writes from.
    texts
        Text of every *seed* row by id: exemplars outside the seed are an error.

    Raises
    ------
    UserError
        If an exemplar is not a row of the seed.
    """
    planned: list[Planned] = []
    oversample = generation.oversample if arm.oversample is None else arm.oversample
    shares = quotas(math.ceil(wanted_rows(generation, size, name) * oversample), classes)
    for label in classes:
        prompts: list[tuple[str, tuple[tuple[str, float], ...]]] = []
        if arm.tuned is not None:
            prompts = [(label_prefix(prefix, label, noun), ())]
        prompts = prompts or [
            _guided(
                name,
                arm,
                size,
                repeat,
                label,
                draw,
                generation=generation,
                phrase=phrases[label],
                noun=noun,
                guidance=guidance,
                texts=texts,
            )
            for draw in range(1 if arm.guidance in ("none", "shap_bias") else generation.prompts_per_class)
        ]
        for index in range(shares[label]):
            prompt, bias = prompts[index % len(prompts)]
            # The row seed leaves out arm and size: arms are compared on common random numbers, and an arm
            # whose prompt does not depend on the seed reuses its rows at every size.
            chat = generation.prompt_style == "chat" and arm.tuned is None
            request = Request(prompt, stable_seed("row", repeat, label, index), chat, bias)
            planned.append(Planned(name, size, repeat, label, index, request))
    return planned


def _guided(
    name: str,
    arm: GenerationArm,
    size: int,
    repeat: int,
    label: str,
    draw: int,
    *,
    generation: Generation,
    phrase: str,
    noun: str,
    guidance: Mapping[str, Any],
    texts: Mapping[str, str],
) -> tuple[str, tuple[tuple[str, float], ...]]:
    if arm.guidance == "none":
        return build_prompt(generation.prompt_style, noun, phrase), ()
    entry = guidance["classes"][label]
    rng = np.random.default_rng(stable_seed("prompt", name, size, repeat, label, draw))
    tokens: list[str] = []
    exemplars: list[str] = []
    bias: tuple[tuple[str, float], ...] = ()
    ranked = [(str(token), float(score)) for token, score in entry["tokens"]["shap"] if score > 0]
    if arm.guidance in ("shap_tokens", "shap_both"):
        tokens = _draw([token for token, _ in ranked], arm.tokens, rng)
    if arm.guidance in ("shap_exemplars", "shap_both"):
        exemplars = _draw([row["id"] for row in entry["exemplars"]], arm.exemplars, rng)
    if arm.guidance == "random_exemplars":
        exemplars = _draw(list(entry["random"]), arm.exemplars, rng)
    if arm.guidance == "shap_bias" and ranked:
        strongest = ranked[0][1]
        bias = tuple((token, round(arm.bias * score / strongest, 4)) for token, score in ranked)
    missing = [row for row in exemplars if row not in texts]
    if missing:
        raise UserError(
            f"Exemplar {missing[0]} of class {label} is not a row of the seed.",
            where=f"guidance for size {size}, repeat {repeat}",
            remedy="Run step 02_shap again: its guidance does not belong to these seeds.",
        )
    return build_prompt(generation.prompt_style, noun, phrase, tokens, [texts[row] for row in exemplars]), bias


def _draw(items: list[str], count: int, rng: np.random.Generator) -> list[str]:
    chosen = rng.permutation(len(items))[:count]
    return [items[i] for i in sorted(chosen)]
