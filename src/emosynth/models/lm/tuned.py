"""A tuned generator: the parameters that tuning changed, kept by content, and a backend that writes with them.

Only what was changed is kept (a few per cent of a model whose top blocks were tuned). What a backend loads is made from it
and the untuned model when texts are to be written, and taken away afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosynth.catalog.hashes import sha256_of
from emosynth.catalog.kept import MANIFEST, keep, scratch, seal, unfit
from emosynth.errors import UserError
from emosynth.files import write_text
from emosynth.models.lm.assets import dequantised_folder, generator_files, model_hash, openvino_folder
from emosynth.models.lm.base import Completion, LanguageModel, Progress, Request
from emosynth.params import Decoding, Generator, Tuning, WriterSpec
from emosynth.paths import repro

if TYPE_CHECKING:
    from emosynth.catalog import Catalog
    from emosynth.models.lm.tune import Epoch, Example

_VERSIONS = ("torch", "transformers", "peft")
_BESIDE = ("*checkpoint.pt*",)
"""What may lie in a tuned model's folder besides it while it is being tuned."""


@dataclass(frozen=True)
class TunedWeights:
    """A tuned model on disk.

    Attributes
    ----------
    folder
        Holds ``delta.safetensors``, ``tuned.json`` and a card.
    sha256
        Of the parameters: the tuned model's identity.
    """

    folder: Path
    spec: WriterSpec
    sha256: str
    history: list[Epoch]
    best: int
    trainable: int
    total: int


def tuning_key(base: str, spec: WriterSpec, settings: Tuning, train: Sequence[Example], held_out: Sequence[Example], seed: int) -> str:
    """Return the key of a tuned model: a hash of what can change it, its code among it."""
    from emosynth.models.lm import trainable, tune

    content = {
        "base": base,
        "spec": spec.model_dump(include={"tune", "blocks", "rank", "learning_rate"}),
        "settings": settings.model_dump(include={"epochs", "patience", "batch", "max_tokens"}),
        "train": [[row.prefix, row.text] for row in train],
        "held_out": [[row.prefix, row.text] for row in held_out],
        "seed": seed,
        "versions": {name: version(name).split("+")[0] for name in _VERSIONS},
        "code": [sha256_of(Path(str(module.__file__))) for module in (tune, trainable)],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("utf-8")).hexdigest()


def base_folder(model: str, catalog: Catalog) -> tuple[Path, str]:
    """Return the Hugging Face folder of the model to be tuned, and its hash; a GGUF file is converted once."""
    found = generator_files(Generator(model=model), catalog)
    return (dequantised_folder(found, catalog.paths.cache) if found.is_file() else found), model_hash(found)


def find_or_tune(
    model: str,
    spec: WriterSpec,
    settings: Tuning,
    rows: tuple[Sequence[Example], Sequence[Example]],
    catalog: Catalog,
    *,
    seed: int,
    card: str = "",
    progress: Callable[[str], None] | None = None,
) -> TunedWeights:
    """Return the tuned model of these rows and settings from the cache, or tune it now.

    Parameters
    ----------
    model
        The model to be tuned, as `generator_files` takes it.
    rows
        Rows to tune on, and those held out for early stopping.
    card
        Text of the card; the numbers are added.
    """
    base, base_hash = base_folder(model, catalog)
    folder = tuned_folder(catalog, tuning_key(base_hash, spec, settings, *rows, seed))
    checkpoint = folder / "checkpoint.pt"

    def make(work: Path) -> None:
        from safetensors.torch import save_file

        from emosynth.models.lm.tune import tune

        made = tune(base, spec, *rows, settings, seed=seed, checkpoint=checkpoint, progress=progress)
        save_file({name: value.contiguous() for name, value in made.delta.items()}, work / "delta.safetensors")
        account = {
            "base": base_hash,
            "sha256": sha256_of(work / "delta.safetensors"),
            "best": made.best,
            "trainable": made.trainable,
            "total": made.total,
            "history": [vars(epoch) | {"train_loss": None if epoch.epoch == 0 else epoch.train_loss} for epoch in made.history],
        }
        write_text(work / "README.md", card + _numbers(account))
        write_text(work / "tuned.json", json.dumps(account, indent=1) + "\n")

    keep(folder, make, "a tuned model", beside=_BESIDE)
    return load_tuned(folder, spec)


def _numbers(account: dict[str, Any]) -> str:
    lines = ["", "| epoch | training loss | held-out perplexity |", "|---|---|---|"]
    for row in account["history"]:
        loss = "" if row["train_loss"] is None else f"{row['train_loss']:.3f}"
        lines.append(f"| {row['epoch']} | {loss} | {row['perplexity']:.2f} |")
    lines += ["", f"Kept: epoch {account['best']}. Trained {account['trainable']:,} of {account['total']:,} parameters."]
    lines += [f"SHA-256 of the parameters: {account['sha256']}; of the untuned model: {account['base']}."]
    return "\n".join(lines) + "\n"


def tuned_folder(catalog: Catalog, key: str) -> Path:
    """Return where the tuned model of a key lies, or will lie."""
    return catalog.paths.cache / "tuned" / key[:20]


def load_tuned(folder: Path, spec: WriterSpec) -> TunedWeights:
    """Read what :func:`find_or_tune` wrote.

    Raises
    ------
    UserError
        If it is not there any more, or is not what was written.
    """
    from emosynth.models.lm.tune import Epoch

    if reason := unfit(folder, beside=_BESIDE):
        raise UserError(
            f"The tuned generator in the cache {reason}.",
            where=folder.name,
            remedy=f"Run: {repro('04_tuning', again=True)}  (What is damaged is tuned again, in minutes; the others are kept.)",
        )
    account = json.loads((folder / "tuned.json").read_text(encoding="utf-8"))
    history = [
        Epoch(row["epoch"], float("nan") if row["train_loss"] is None else row["train_loss"], row["perplexity"])
        for row in account["history"]
    ]
    return TunedWeights(folder, spec, account["sha256"], history, account["best"], account["trainable"], account["total"])


class TunedModel:
    """A generator that writes with tuned weights; they are loaded when the first text is asked for.

    Parameters
    ----------
    generator
        Backend and batch; the model is the one that was tuned.
    """

    def __init__(self, generator: Generator, weights: TunedWeights, catalog: Catalog) -> None:
        self._generator, self._weights, self._catalog = generator, weights, catalog
        self._model: LanguageModel | None = None
        self._export = contextlib.ExitStack()
        self.memory = 8 * weights.total + 10**9  # float32, twice while it is written out
        found = generator_files(generator, catalog)
        self.deterministic = generator.backend == "openvino" or generator.device == "cpu"
        self.identity: dict[str, Any] = {
            "backend": generator.backend,
            "model": model_hash(found),
            "tuned": weights.sha256,
            "dtype": generator.dtype,
            **(
                {name: version(name) for name in ("openvino", "openvino-genai")}
                if generator.backend == "openvino"
                else {name: version(name).split("+")[0] for name in ("torch", "transformers")} | {"device": generator.device}
            ),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._generator, self._weights, self._catalog)

    def _open(self) -> LanguageModel:
        from safetensors.torch import load_file

        from emosynth.models.lm.trainable import apply_delta, load_for_tuning

        base, _ = base_folder(self._generator.model, self._catalog)
        tokenizer, model = load_for_tuning(base)
        load_tuned(self._weights.folder, self._weights.spec)  # it may have lain there for hours since it was found
        room = self._export.enter_context(scratch(self._catalog.paths.cache / "tuned"))
        model = apply_delta(model, self._weights.spec, load_file(self._weights.folder / "delta.safetensors")).eval()
        if self._generator.backend == "transformers":
            from emosynth.models.lm.local import TransformersModel

            model.save_pretrained(room)
            tokenizer.save_pretrained(room)
            return TransformersModel(room, self._weights.sha256, self._generator.device, self._generator.dtype)
        from emosynth.models.lm.openvino import OpenVinoModel
        from emosynth.models.lm.weights import write_weights

        found = generator_files(self._generator, self._catalog)
        untuned = openvino_folder(found, self._catalog.paths.cache) if found.is_file() else found
        if not (untuned / "openvino_model.xml").is_file():
            raise UserError(
                "This model folder holds no OpenVINO model (openvino_model.xml) to put tuned weights into.",
                where=f"models: {self._generator.model}",
                remedy="Set backend: transformers.",
            )
        shutil.copytree(untuned, room, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        if write_weights(room, model) == 0:
            raise UserError(
                "Tuned weights can only be put into an OpenVINO model with compressed weights; this one has none.",
                where=f"models: {self._generator.model}",
                remedy="Name a GGUF file, or set backend: transformers.",
            )
        seal(room)
        return OpenVinoModel(room, self._weights.sha256, self._generator.dtype)

    def generate(self, requests: Sequence[Request], decoding: Decoding, *, progress: Progress | None = None) -> list[Completion]:
        """Write one text for each request; see `LanguageModel.generate`."""
        if self._model is None:
            try:
                self._model = self._open()
            except BaseException:
                self.close()
                raise
        return self._model.generate(requests, decoding, progress=progress)

    def close(self) -> None:
        """Free the model and take the export away; the parameters stay."""
        if self._model is not None:
            self._model.close()
        self._model = None
        self._export.close()
