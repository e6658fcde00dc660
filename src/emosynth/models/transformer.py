"""What embeddings, fine-tuned encoders and tuned language models share: loading, batches of fixed shapes, optimiser, random state."""

from __future__ import annotations

import hashlib
import math
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emosynth.errors import UserError

# A text's embedding must not depend on its neighbours in a batch, or a cache would change results. Most processors give a row the same
# bits as long as the shapes are the same, some in the same place of a batch alone; so every batch has exactly ROWS rows (blank ones
# fill the last) and a length that is a multiple of STEP and depends on the text alone: what is left is rounding.
ROWS = 16
STEP = 8


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 of a model folder: configuration, weights and tokenizer."""
    digest = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "vocab.txt"):
        file = folder / name
        if file.is_file():
            digest.update(name.encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()


def threads() -> int:
    """Return how many threads torch may use: EMOSYNTH_THREADS, else up to 8."""
    return int(os.environ.get("EMOSYNTH_THREADS", 0)) or min(8, os.cpu_count() or 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold linear algebra to one thread: sums differ in their last bits with the number of threads, and results must not with the machine."""
    import threadpoolctl
    import torch

    before, torch_before = os.environ.get("EMOSYNTH_THREADS"), torch.get_num_threads()
    os.environ["EMOSYNTH_THREADS"] = "1"  # of torch, which is set when a model is loaded
    torch.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(torch_before)
        os.environ.pop("EMOSYNTH_THREADS")
        if before is not None:
            os.environ["EMOSYNTH_THREADS"] = before


def load_encoder(folder: Path) -> tuple[Any, Any]:
    """Return tokenizer and model of a local folder.

    Raises
    ------
    UserError
        If the folder holds no encoder.
    """
    import torch
    import transformers

    if not (folder / "config.json").is_file():
        raise UserError(
            "This is not a model folder: it has no config.json.", where=str(folder), remedy="Name a catalogue entry or a model folder."
        )
    torch.set_num_threads(threads())
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32, trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"The encoder cannot be loaded: {reason}", where=str(folder), remedy="Fetch it again, or name another one."
        ) from None
    return tokenizer, model.eval()


def keep_layers(model: Any, layers: int, where: str) -> None:
    """Cut a transformer down to its first ``layers`` layers, in place.

    The layers are the longest ``ModuleList`` of the model. ``where`` names the model in errors.

    Raises
    ------
    UserError
        If the model has fewer layers, or no list of layers.
    """
    import torch

    stacks = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.ModuleList)}
    name = max(stacks, key=lambda name: len(stacks[name]), default=None)
    if name is None:
        raise UserError("This encoder has no list of layers to cut.", where=where, remedy="Use a BERT-like encoder.")
    if layers > len(stacks[name]):
        raise UserError(
            f"The encoder has {len(stacks[name])} layers, not {layers}.", where=where, remedy="Lower the number of layers (layers)."
        )
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, stacks[name][:layers])
    if hasattr(model.config, "num_hidden_layers"):
        model.config.num_hidden_layers = layers  # some models count by this


def pad(ids: Sequence[Sequence[int]], length: int, rows: int, filler: int) -> tuple[Any, Any]:
    """Return (rows, length) token ids and mask; blank rows attend to their first place, or they would hold NaN."""
    import torch

    batch = torch.full((rows, length), filler, dtype=torch.long)
    mask = torch.zeros((rows, length), dtype=torch.long)
    mask[len(ids) :, 0] = 1
    for row, tokens in enumerate(ids):
        batch[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        mask[row, : len(tokens)] = 1
    return batch, mask


def pooled(hidden: Any, mask: Any) -> Any:
    """Return the (rows, d) mean of (rows, length, d) hidden states where ``mask`` is 1."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1)


def padded_length(lengths: Sequence[int]) -> int:
    """Return the multiple of `STEP` that holds the longest."""
    return STEP * math.ceil(max(lengths) / STEP)


def fixed_batches(lengths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield padded length and places of up to `ROWS` inputs of that length each, shortest first."""
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(padded_length([length]), []).append(row)
    for length, members in sorted(by_length.items()):
        for start in range(0, len(members), ROWS):
            yield length, members[start : start + ROWS]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block, and leave the caller's random state as it was."""
    import torch

    state, deterministic = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_rng_state(state)
        torch.use_deterministic_algorithms(deterministic)


def bucketed(lengths: Sequence[int], batch: int, draw: random.Random, window: int = 8) -> list[list[int]]:
    """Return one epoch of batches of rows of similar length: shuffled rows, sorted within windows, batches shuffled."""
    order = list(range(len(lengths)))
    draw.shuffle(order)
    batches = []
    for start in range(0, len(order), batch * window):
        part = sorted(order[start : start + batch * window], key=lambda row: lengths[row])
        batches += [part[i : i + batch] for i in range(0, len(part), batch)]
    draw.shuffle(batches)
    return batches


def training_batches(lengths: Sequence[int], batch: int, steps: int, draw: random.Random) -> Iterator[list[int]]:
    """Yield exactly ``steps`` batches from as many shuffled epochs as that takes."""
    made = 0
    while made < steps:
        for rows in bucketed(lengths, batch, draw)[: steps - made]:
            made += 1
            yield rows


def warmed_optimiser(body: Sequence[Any], head: Sequence[Any], rate: float, steps: int) -> tuple[Any, Any]:
    """Return AdamW over a pre-trained encoder and a new head, and a schedule that warms up over a tenth of the steps and falls to 0.

    Parameters
    ----------
    body, head
        Parameters of the encoder that are trained, and of the head: that starts from nothing and takes steps ten times as large.
    rate
        Learning rate of the encoder.
    steps
        All steps.
    """
    import torch

    optimiser = torch.optim.AdamW([{"params": body, "lr": rate}, {"params": head, "lr": 10 * rate}], weight_decay=0.01)
    warm = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    return optimiser, schedule
