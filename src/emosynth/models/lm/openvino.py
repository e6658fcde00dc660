"""Backend ``openvino``: continuous batching on the CPU, the fastest way to write many texts there."""

from __future__ import annotations

import faulthandler
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emosynth.catalog.kept import check_kept
from emosynth.errors import UserError
from emosynth.models.lm.assets import generator_files, model_hash, openvino_folder
from emosynth.models.lm.base import STOP, Completion, Progress, Request, Unfit, one_line, shortened
from emosynth.models.lm.weights import WEIGHTS
from emosynth.params import Decoding, Generator

log = logging.getLogger(__name__)

_PRECISION = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
_CACHE_GB = 1
STANDSTILL = 180.0
"""Seconds without a step after which OpenVINO is taken to hang."""


@contextmanager
def _ends_when_it_hangs() -> Iterator[Callable[[], None]]:
    """End the process if OpenVINO stands still; yields a function to call after every step.

    Its sampler can wait for ever for one of its own threads (seen once in 200,000 texts); nothing in the process can wake or stop
    it. What was finished is kept, and the runner starts the notebook again. The timer of ``faulthandler`` needs no Python thread.
    """
    last = 0.0

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > 1:
            last = time.monotonic()
            faulthandler.dump_traceback_later(STANDSTILL, exit=True, file=log_file)

    with Path(os.devnull).open("w", encoding="utf-8") as log_file:
        beat()
        try:
            yield beat
        finally:
            faulthandler.cancel_dump_traceback_later()


class OpenVinoModel:
    """Generator on OpenVINO GenAI's continuous batching.

    Parameters
    ----------
    folder
        Folder with ``openvino_model.xml``, the tokenizer and the detokenizer.
    sha256
        Hash of the model it was made from.
    dtype
        Precision of the arithmetic.
    weights
        How the weights are stored; part of the identity.

    Notes
    -----
    The first digits of a logit depend on the shape of the batch it is computed in, and what is in the prefix cache changes these
    shapes. So that a call's texts depend on its list alone, every call has a fresh pipeline (about 1.7 s for a model of 135M
    parameters), reads every distinct prompt once first, and sorts its rows by prompt. Larger lists make better use of that second.
    """

    deterministic = True

    def __init__(self, folder: Path, sha256: str, dtype: str = "float32", weights: str = "as stored") -> None:
        self.folder = folder
        self.threads: int | None = None
        # Weights are held twice while they are compiled. Measured: 1.2 GB at the peak of 512 rows of a model of 0.13 GB.
        self.memory = 2 * sum(file.stat().st_size for file in folder.glob("*.bin")) + _CACHE_GB * 10**9
        self._properties: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _PRECISION[dtype],
            # The default, 8 bits, gave other texts from call to call when prompts shared part of a cache block.
            "KV_CACHE_PRECISION": "f16",
        }
        self.identity: dict[str, Any] = {
            "backend": "openvino",
            "model": sha256,
            "dtype": dtype,
            "weights": weights,
            "cache": "f16",
            "openvino": version("openvino"),
            "openvino-genai": version("openvino-genai"),
        }

    @classmethod
    def open(cls, generator: Generator, catalog: Any) -> OpenVinoModel:
        """Find, convert if need be, and open the model."""
        found = generator_files(generator, catalog)
        folder = openvino_folder(found, catalog.paths.cache) if found.is_file() else found
        if not (folder / "openvino_model.xml").is_file():
            raise UserError(
                "This model folder holds no OpenVINO model (openvino_model.xml).",
                where=f"models: {generator.model}",
                remedy="Set backend: transformers, or name a GGUF file or a folder that was exported to OpenVINO.",
            )
        return cls(folder, model_hash(found), generator.dtype, WEIGHTS if found.is_file() else "as stored")

    def generate(self, requests: Sequence[Request], decoding: Decoding, *, progress: Progress | None = None) -> list[Completion]:
        """Write one text for each request; see `LanguageModel.generate`.

        Raises
        ------
        UserError
            If a request wants a logit bias, which this backend does not have, or the model was damaged since it was opened; `Unfit`, if
            OpenVINO fails, which may be for one prompt.
        """
        if any(request.bias for request in requests):
            raise UserError(
                "The backend openvino cannot bias logits.",
                where="writers",
                remedy="Give the arms that need it a writer with backend: transformers.",
            )
        if not requests:
            return []
        check_kept(self.folder, "The converted model")
        try:
            with _ends_when_it_hangs() as beat:
                made = self._generate(requests, decoding, progress, beat)
            check_kept(self.folder, "The converted model")  # nor while it was read
            return made
        except (RuntimeError, TypeError, ValueError) as error:
            # OpenVINO's errors can repeat the whole input; what is shown is short and has no second traceback.
            log.debug("openvino failed: %s", shortened(error, 1000))
            raise Unfit(
                f"OpenVINO failed: {shortened(error)}",
                where="models",
                remedy="Try a smaller batch or another model; backend: transformers runs any model that OpenVINO does not.",
            ) from None

    def _generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Progress | None, beat: Callable[[], None]
    ) -> list[Completion]:
        import openvino_genai
        from openvino_genai.py_openvino_genai import GenerationFinishReason

        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = _CACHE_GB
        scheduler.enable_prefix_caching = True
        scheduler.max_num_seqs = 256
        scheduler.max_num_batched_tokens = 4096
        # Pinned, threads of several processes would all take the first core.
        threads = {} if self.threads is None else {"INFERENCE_NUM_THREADS": self.threads, "ENABLE_CPU_PINNING": False}
        pipeline = openvino_genai.ContinuousBatchingPipeline(str(self.folder), scheduler, "CPU", self._properties | threads)
        tokenizer = pipeline.get_tokenizer()

        encoded = {}
        for prompt, chat in sorted({(request.prompt, request.chat) for request in requests}):
            text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True) if chat else prompt
            # A chat template writes the special tokens itself.
            encoded[prompt, chat] = tokenizer.encode(text, add_special_tokens=not chat).input_ids
        # Each prompt is read once, so that its rows find it in the prefix cache and do not read it again.
        pipeline.generate(list(encoded.values()), [self._config(decoding, 0, 1)] * len(encoded))

        order = sorted(range(len(requests)), key=lambda row: (requests[row].prompt, requests[row].chat))
        handles = {}
        for number, row in enumerate(order):
            request = requests[row]
            config = self._config(decoding, request.row_seed, decoding.max_new_tokens)
            handles[row] = pipeline.add_request(number, encoded[request.prompt, request.chat], config)
        waiting = list(order)
        done: dict[int, Completion] = {}
        while waiting:
            if pipeline.has_non_finished_requests():
                pipeline.step()
                beat()
                if progress is None:
                    continue
            still = []
            for row in waiting:
                status = handles[row].get_status()
                if status.name == "RUNNING" and pipeline.has_non_finished_requests():
                    still.append(row)
                    continue
                if status.name != "FINISHED":
                    raise RuntimeError(
                        "the prompt does not fit into the cache" if status.name == "IGNORED" else f"a row ended as {status.name}"
                    )
                outputs = handles[row].read_all()  # none at all if the model began with the stop string
                ids = list(outputs[0].generated_ids) if outputs else []
                finish = "length" if outputs and outputs[0].finish_reason == GenerationFinishReason.LENGTH else "stop"
                prompt_tokens = encoded[requests[row].prompt, requests[row].chat].shape[1]
                done[row] = Completion(one_line(tokenizer.decode(ids)), finish, prompt_tokens, len(ids))  # type: ignore[arg-type]
            if progress is not None and len(still) < len(waiting):
                progress(len(done))
            waiting = still
        return [done[row] for row in range(len(requests))]

    def _config(self, decoding: Decoding, seed: int, tokens: int) -> Any:
        import openvino_genai

        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = tokens
        config.do_sample = True
        config.temperature = decoding.temperature
        config.top_p = decoding.top_p
        if decoding.top_k:
            config.top_k = decoding.top_k
        config.repetition_penalty = decoding.repetition_penalty
        config.rng_seed = seed
        config.stop_strings = {STOP}
        config.include_stop_str_in_output = False
        config.apply_chat_template = False
        return config

    def close(self) -> None:
        """Do nothing: a pipeline lives for one call."""
