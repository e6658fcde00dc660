"""Which parameters of a causal language model are tuned, and how tuned ones are put back: top blocks, LoRA, or all matrices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from emosynth.errors import UserError
from emosynth.models.transformer import threads
from emosynth.params import WriterSpec
from emosynth.paths import repro

Delta = dict[str, torch.Tensor]
"""What tuning changed: parameters by name; for LoRA, the adapters."""


def load_for_tuning(folder: Path) -> tuple[Any, Any]:
    """Return tokenizer and float32 model of a Hugging Face folder.

    Raises
    ------
    UserError
        If transformers cannot load it as a causal language model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads())
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        raise UserError(
            f"This model cannot be loaded for tuning: {str(error).splitlines()[0]}",
            where=f"models: {folder.name}",
            remedy="Name a causal language model: a catalogue entry, a model folder or a hub id.",
        ) from None
    return tokenizer, model.eval()


def blocks_of(model: Any) -> tuple[Any, str]:
    """Return the module that holds a model's transformer blocks, and the name of the list in it."""
    best: tuple[int, Any, str] = (0, None, "")
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) > best[0]:
                best = (len(child), module, name)
    if best[1] is None:
        raise UserError("This model has no list of blocks.", where="models", remedy="Tune it with tune: lora or all.")
    return best[1], best[2]


def prepare(model: Any, spec: WriterSpec) -> dict[str, torch.nn.Parameter]:
    """Freeze what is not trained, put adapters in for LoRA, and return the parameters that are trained, by name.

    Raises
    ------
    UserError
        If more blocks are to be trained than the model has.
    """
    if spec.tune == "lora":
        from peft import LoraConfig, get_peft_model

        # peft writes the adapters into the model itself; its wrapper is not needed.
        get_peft_model(model, LoraConfig(r=spec.rank, lora_alpha=2 * spec.rank, target_modules="all-linear", task_type="CAUSAL_LM"))
        return {name: value for name, value in model.named_parameters() if value.requires_grad}
    for value in model.parameters():
        value.requires_grad_(False)
    if spec.tune == "all":
        chosen = dict(model.named_parameters())
    else:
        holder, name = blocks_of(model)
        blocks = getattr(holder, name)
        if spec.blocks > len(blocks):
            raise UserError(f"The model has {len(blocks)} blocks.", where="writers: blocks", remedy=f"Train at most {len(blocks)}.")
        mine = {id(value) for block in blocks[len(blocks) - spec.blocks :] for value in block.parameters()}
        chosen = {key: value for key, value in model.named_parameters() if id(value) in mine}
    chosen = {key: value for key, value in chosen.items() if value.ndim >= 2}
    for value in chosen.values():
        value.requires_grad_(True)
    return chosen


def apply_delta(model: Any, spec: WriterSpec, delta: Delta) -> Any:
    """Return ``model`` with the tuned parameters in place, adapters merged; the model given is changed."""
    if not delta:
        return model
    if spec.tune == "lora":
        from peft import LoraConfig, get_peft_model

        wrapped = get_peft_model(
            model, LoraConfig(r=spec.rank, lora_alpha=2 * spec.rank, target_modules="all-linear", task_type="CAUSAL_LM")
        )
        _load(model, delta)
        return wrapped.merge_and_unload()
    _load(model, delta)
    return model


def _load(model: Any, delta: Delta) -> None:
    known = dict(model.named_parameters())
    strange = [name for name in delta if name not in known]
    if strange:
        raise UserError(
            f"The tuned weights do not fit this model: {strange[0]}.",
            where="tuned weights",
            remedy=f"Run: {repro('04_tuning', again=True)}",
        )
    with torch.no_grad():
        for name, value in delta.items():
            known[name].copy_(value)
