"""Backend ``transformers``: the reference, on any device, and the only one that can bias logits.

Prompt tokens dominate the cost of short texts, so each distinct prompt is read once; see `emosynth.models.lm.shared`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from emosynth.errors import UserError
from emosynth.models.lm.assets import dequantised_folder, generator_files, model_hash
from emosynth.models.lm.base import STOP, Completion, Progress, Request, Unfit, one_line, shortened
from emosynth.models.lm.sampling import WordBias, sample
from emosynth.models.lm.shared import ATTENTION, PlainDecoder, SharedDecoder, attend
from emosynth.parallel import remote
from emosynth.params import Decoding, Generator

log = logging.getLogger(__name__)

_ROWS = 256  # rows decoded together; the list of one call is cut into such pieces
_ROWS_ACCELERATED = 1024  # a step of an accelerator takes hardly longer for them


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
    load
        Load it now, and not with the first text: of a model that a worker of a cluster is to hold, this machine needs no device for it.

    Raises
    ------
    UserError
        If the model cannot be loaded or the device does not exist.
    """

    def __init__(self, folder: Path, sha256: str, device: str = "cpu", dtype: str = "float32", load: bool = True) -> None:
        self.folder, self._recipe = folder, (folder, sha256, device, dtype, False)
        kind = device.partition(":")[0]
        self.deterministic = kind == "cpu"
        self.memory = 2 * sum(file.stat().st_size for file in folder.glob("*.safetensors")) + 10**9
        self.identity: dict[str, Any] = {
            "backend": "transformers",
            "model": sha256,
            "dtype": dtype,
            "device": kind,
            "torch": version("torch").split("+")[0],
            "transformers": version("transformers"),
        }
        self.model: Any = None
        if load:
            self._load()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._recipe

    def _load(self) -> None:
        from transformers import AttentionInterface, AutoTokenizer

        folder, _, device, dtype, _ = self._recipe
        try:
            self.device = torch.device(device)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
            self.model = self._weights(getattr(torch, dtype)).eval().to(self.device)
        except (OSError, ValueError, RuntimeError, AssertionError, ImportError) as error:
            raise UserError(
                f"transformers cannot load the model on {device}: {shortened(error)}",
                where=f"models: {folder.name}",
                remedy="Check model and device (of a cluster's workers: compute.gpus_per_worker); the folder needs config.json, safetensors and "
                "a tokenizer of a causal language model.",
            ) from None
        AttentionInterface.register(ATTENTION, attend)  # type: ignore[arg-type]
        ends = self.model.generation_config.eos_token_id
        self._ends = {*([ends] if isinstance(ends, int) else ends or []), self.tokenizer.eos_token_id} - {None}
        pieces = self.tokenizer.batch_decode([[token] for token in range(len(self.tokenizer))])
        self._newlines = {token for token, piece in enumerate(pieces) if STOP in piece}
        self.shares_prefix = self._can_share()

    def _weights(self, dtype: torch.dtype) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(str(self.folder), dtype=dtype, trust_remote_code=False)

    @classmethod
    def open(cls, generator: Generator, catalog: Any) -> TransformersModel:
        """Find, convert if need be, and open the model."""
        found = generator_files(generator, catalog)
        folder = dequantised_folder(found, catalog.paths.cache) if found.is_file() else found
        return cls(folder, model_hash(found), generator.device, generator.dtype, load=not remote())

    @torch.inference_mode()
    def _can_share(self) -> bool:
        """Try the shared-prefix attention on this model against its own; models differ, and a wrong text is worse than a slow one."""
        prompts = [self._ids("The sun came out and so", False), self._ids("Nobody", False)]
        try:
            shared = SharedDecoder(self.model, prompts, [2, 1], 2)
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
                    where="models",
                    remedy="Use an instruction-tuned model, or generation.style: plain.",
                )
            prompt = self.tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
        # A chat template writes the special tokens itself.
        ids = self.tokenizer(prompt, add_special_tokens=not chat).input_ids
        if not ids:
            raise Unfit("A prompt is empty.", where="a prompt", remedy="Give every prompt some text.")
        return torch.tensor(ids, device=self.device)

    def generate(self, requests: Sequence[Request], decoding: Decoding, *, progress: Progress | None = None) -> list[Completion]:
        """Write one text for each request; see `LanguageModel.generate`.

        Raises
        ------
        UserError
            If memory runs out; `Unfit`, if a prompt is empty or too long for the model.
        """
        if self.model is None:
            self._load()
        with contextlib.suppress(torch.OutOfMemoryError):  # what it held is let go before the error is told
            return self._generate(requests, decoding, progress)
        raise UserError(
            "The device's memory does not hold the batch.",
            where="models",
            remedy="Set a smaller batch, or dtype: bfloat16.",
        )

    @torch.inference_mode()
    def _generate(self, requests: Sequence[Request], decoding: Decoding, progress: Progress | None) -> list[Completion]:
        ids = {pair: self._ids(*pair) for pair in sorted({(request.prompt, request.chat) for request in requests})}
        longest = max((len(tokens) for tokens in ids.values()), default=0) + decoding.max_new_tokens
        limit = getattr(self.model.config, "max_position_embeddings", None)
        if limit and longest > limit:
            raise Unfit(
                f"A prompt of {longest - decoding.max_new_tokens} tokens and {decoding.max_new_tokens} new ones do not fit the model's {limit}.",
                where="guides",
                remedy="Use fewer or shorter exemplars.",
            )
        window = getattr(self.model.config, "sliding_window", None)
        share = self.shares_prefix and not (window and longest > window)

        order = sorted(range(len(requests)), key=lambda row: (requests[row].prompt, requests[row].chat))
        pieces: list[list[int]] = []
        most = _ROWS if self.device.type == "cpu" else _ROWS_ACCELERATED
        for row in order:
            full = not pieces or len(pieces[-1]) >= most
            last = None if full else requests[pieces[-1][-1]]
            if last is None or not (share or (last.prompt, last.chat) == (requests[row].prompt, requests[row].chat)):
                pieces.append([])
            pieces[-1].append(row)

        done: dict[int, Completion] = {}
        for rows in pieces:
            pairs = [(requests[row].prompt, requests[row].chat) for row in rows]
            distinct = sorted(set(pairs))
            decoder: SharedDecoder | PlainDecoder
            if share:
                decoder = SharedDecoder(
                    self.model, [ids[pair] for pair in distinct], [pairs.count(pair) for pair in distinct], decoding.max_new_tokens
                )
            else:
                decoder = PlainDecoder(self.model, ids[pairs[0]], len(rows))
            self._decode(decoder, rows, requests, [ids[pair] for pair in pairs], decoding, done, progress)
        return [done[row] for row in range(len(requests))]

    def _decode(
        self,
        decoder: SharedDecoder | PlainDecoder,
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
                bonuses = [
                    (index, token, bonus)
                    for index, row in enumerate(alive)
                    if row in biases and row not in ended
                    for token, bonus in biases[row].bonuses(written[row], self._text(written[row])).items()
                ]
                if bonuses:
                    places, tokens, sizes = map(list, zip(*bonuses, strict=True))
                    logits[places, tokens] += torch.tensor(sizes, device=self.device, dtype=logits.dtype)
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
