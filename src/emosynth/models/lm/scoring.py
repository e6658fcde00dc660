"""What models that score texts have in common: scores are kept by content, and the model is loaded when a text is met that is not kept."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from emosynth.errors import UserError
from emosynth.models.lm.assets import dequantised_folder, generator_files
from emosynth.models.lm.base import shortened
from emosynth.models.transformer import STEP, threads
from emosynth.parallel import in_order, remote, rooms
from emosynth.params import Generator
from emosynth.store import kept


def load_causal(folder: Path) -> Any:
    """Return a float32 causal language model of a Hugging Face folder, on all cores."""
    import torch
    import transformers

    torch.set_num_threads(threads())
    transformers.utils.logging.disable_progress_bar()
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    return model.eval()


_held: list[Callable[[list[str]], list[Any]]] = []


def _hold(compute: Callable[[list[str]], list[Any]]) -> None:
    _held[:] = [compute]


def _score(part: list[str], _progress: Callable[[int], None]) -> list[Any]:
    return _held[0](part)


class KeptScorer:
    """A causal language model that scores texts.

    Parameters
    ----------
    files
        GGUF file or model folder.
    cache
        Folder of the cache: converted models, and scores in ``rows/<scores>.sqlite``.
    rows
        Texts per forward pass. Part of the identity, since the last digits depend on it.
    unit
        Texts scored and committed at once; what a killed run loses at most.

    Attributes
    ----------
    identity : dict
        What can change a score: hash of the model, versions, precision, shapes. JSON; part of every cache key.
    what, scores
        Names of the model and of its scores in messages.
    worth
        Units of work from which processes of their own are worth their start, for models that compute with one thread; 0: never.
    """

    what: ClassVar[str]
    scores: ClassVar[str]
    worth: ClassVar[int] = 0

    def __init__(self, files: Path, cache: Path, rows: int, unit: int) -> None:
        self.files, self.cache, self.rows, self.unit = Path(files), Path(cache), rows, unit
        self.identity: dict[str, Any] = {}

    @classmethod
    def open(cls, model: str, catalog: Any, **options: Any) -> Self:
        """Find the model.

        Parameters
        ----------
        model
            Catalogue entry, path of a GGUF file or model folder, or id of the Hugging Face hub.
        catalog
            The catalogue; its places say where the cache lies.

        Raises
        ------
        UserError
            If there is no such model, or it has to be downloaded and cannot be.
        """
        return cls(generator_files(Generator(model=model), catalog), catalog.paths.cache, **options)

    def _digest(self, **content: Any) -> str:
        return hashlib.sha256(json.dumps({"identity": self.identity, **content}, sort_keys=True).encode("ascii")).hexdigest()

    def _error(self, problem: str, remedy: str) -> UserError:
        return UserError(f"{self.what} {problem}", where=f"models.reader: {self.files.name}", remedy=remedy)

    @contextmanager
    def _loading(self) -> Iterator[tuple[Any, Path]]:
        """Yield tokeniser and Hugging Face folder; whatever fails to load inside is one error that says so."""
        from transformers import AutoTokenizer

        folder = KeptScorer._folder(self)
        try:
            yield AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False), folder
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            remedy = "Name a GGUF file, or a folder with config.json, safetensors and tokenizer of a causal language model."
            raise self._error(f"cannot be loaded: {shortened(error)}", remedy) from None

    def _kept(
        self, keys: dict[str, str], compute: Callable[[list[str]], list[Any]], progress: Callable[[str], None] | None
    ) -> dict[str, Any]:
        """Return the scores of texts by their keys, given by text; ``compute`` can be sent to another process or machine."""
        tell = None if progress is None else lambda done: progress(f"{self.scores}: {done}")

        def spread(parts: list[list[str]]) -> Iterable[list[Any]]:
            memory = 3 * sum(file.stat().st_size for file in ([self.files] if self.files.is_file() else self.files.glob("*.*"))) + 2 * 10**9
            workers = min(rooms(memory), len(parts))
            enough = len(parts) >= 2 if remote() else workers >= 2 and 0 < self.worth <= len(parts)
            if not enough:  # the model is loaded here once, and in a worker for each call
                return map(compute, parts)
            self._folder()  # converted once, and not by each worker
            return in_order(_score, parts, workers, lambda _: None, _hold, (compute,))

        return kept(self.cache / "rows" / f"{self.scores}.sqlite", keys, spread, self.unit, tell)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_loaded": None, "_memory": {}}  # it is loaded where it is sent

    def _folder(self) -> Path:
        """Return the folder that the model is loaded from, converted if need be."""
        return dequantised_folder(self.files, self.cache) if self.files.is_file() else self.files

    def _batches(self, lengths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
        """Yield padded length and places of up to ``rows`` inputs.

        Equal shapes give an input the same scores whatever its neighbours, but for the last digits; so a length depends on the input alone.
        """
        by_length: dict[int, list[int]] = {}
        for row, length in enumerate(lengths):
            by_length.setdefault(STEP * math.ceil(length / STEP), []).append(row)
        for length, members in sorted(by_length.items()):
            for start in range(0, len(members), self.rows):
                yield length, members[start : start + self.rows]
