"""From the name of a generator to files that a backend can load.

A GGUF file is taken as data: it is converted once into what the backend loads fastest, in the cache, under the hash of the file and
the version of the converter. Code that a model folder brings along is never run (``trust_remote_code`` is False everywhere).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from emosynth.catalog.hashes import sha256_of
from emosynth.catalog.kept import keep
from emosynth.errors import UserError
from emosynth.models.lm.base import shortened
from emosynth.models.lm.weights import WEIGHTS, restore_folder
from emosynth.params import Generator

if TYPE_CHECKING:
    from emosynth.catalog import Catalog

log = logging.getLogger(__name__)

#: Names of files in a model folder that can change what the model writes.
_MODEL_FILES = ("*.safetensors", "*.bin", "*.xml", "*.json", "*.jinja", "*.model", "*.txt", "*.gguf")


def generator_files(generator: Generator, catalog: Catalog) -> Path:
    """Return the GGUF file or model folder that ``generator.model`` names.

    Tried in this order: a path (relative to the repository, or absolute), an entry of the catalogue, an id of the Hugging Face hub
    (``owner/name`` or ``owner/name@revision``).

    Raises
    ------
    UserError
        If there is no such model, or it has to be downloaded and cannot be.
    """
    return _file_or_folder(catalog.model(generator.model), generator.model)


def _file_or_folder(path: Path, name: str) -> Path:
    if path.is_file() or (path / "config.json").is_file() or (path / "openvino_model.xml").is_file():
        return path
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return files[0]
    found = f"{len(files)} GGUF files" if files else "neither config.json nor openvino_model.xml nor a GGUF file"
    raise UserError(
        f"This is not a model folder: it holds {found}.",
        where=f"models: {name}",
        remedy="Name a Hugging Face model folder, an OpenVINO model folder or one GGUF file.",
    )


@cache
def _sha256(path: str, _size: int, _modified: int) -> str:
    return sha256_of(Path(path))


def model_hash(path: Path) -> str:
    """Return the SHA-256 of a GGUF file, or of the names and hashes of a model folder's files. It does not depend on where they lie."""

    def one(file: Path) -> str:
        status = file.stat()
        return _sha256(str(file.resolve()), status.st_size, status.st_mtime_ns)

    if path.is_file():
        return one(path)
    files = sorted({file for pattern in _MODEL_FILES for file in path.glob(pattern) if file.is_file()}, key=lambda file: file.name)
    return hashlib.sha256("".join(f"{file.name} {one(file)}\n" for file in files).encode()).hexdigest()


def dequantised_folder(gguf: Path, cache_folder: Path) -> Path:
    """Return the model of a GGUF file as a Hugging Face folder (float32 safetensors and tokenizer).

    The first time it is converted, in about half a minute for 135M parameters; later it is there.

    Raises
    ------
    UserError
        If transformers cannot read the file.
    """
    target = cache_folder / "models" / f"{model_hash(gguf)[:16]}-transformers-{version('transformers')}"

    def make(work: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        log.info("converting %s once for transformers", gguf.name)
        try:
            with _read_once():
                tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name, trust_remote_code=False)
                model: Any = AutoModelForCausalLM.from_pretrained(
                    str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32, trust_remote_code=False
                )
        except OSError:
            raise
        except Exception as error:
            raise _unreadable(gguf, "transformers", error) from None
        # The weights are plain float32 by now; what is left of the quantiser would keep the model from being saved.
        model.hf_quantizer = None
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(work)
        tokenizer.save_pretrained(work)

    return keep(target, make, f"{gguf.name}, converted for transformers")


@contextlib.contextmanager
def _read_once() -> Iterator[None]:
    """Let transformers parse a GGUF file and its map of names once: it asks for the same three times, and for the map at every module.

    The reader slices the file some million times, for which an array that knows of no file takes a third of the time.
    """
    import gguf
    import numpy as np

    mapped = np.memmap
    with (
        mock.patch.multiple(gguf, GGUFReader=cache(gguf.GGUFReader), get_tensor_name_map=cache(gguf.get_tensor_name_map)),
        mock.patch("gguf.gguf_reader.np.memmap", lambda *given, **more: np.asarray(mapped(*given, **more))),
    ):
        yield


def openvino_folder(gguf: Path, cache_folder: Path) -> Path:
    """Return the model of a GGUF file as an OpenVINO folder; converted once, in about half a minute.

    OpenVINO's reader gives the graph and the tokenizer; the weights are put right afterwards, see
    :mod:`emosynth.models.lm.weights`.

    Raises
    ------
    UserError
        If OpenVINO GenAI cannot read the file.
    """
    target = cache_folder / "models" / f"{model_hash(gguf)[:16]}-openvino-{version('openvino-genai')}-{WEIGHTS}"

    def make(work: Path) -> None:
        import openvino_genai

        log.info("converting %s once for OpenVINO", gguf.name)
        # OpenVINO writes its files beside the GGUF file, so it gets a link to it in a folder of its own.
        link = work / "model.gguf"
        link.symlink_to(gguf.resolve())
        try:
            openvino_genai.LLMPipeline(str(link), "CPU", enable_save_ov_model=True)
        except Exception as error:
            raise _unreadable(gguf, "OpenVINO GenAI", error) from None
        link.unlink()
        if not (work / "openvino_model.xml").is_file():
            raise _unreadable(gguf, "OpenVINO GenAI", "no converted model was written")
        restore_folder(work, dequantised_folder(gguf, cache_folder))

    return keep(target, make, f"{gguf.name}, converted for OpenVINO")


def _unreadable(gguf: Path, reader: str, error: object) -> UserError:
    return UserError(
        f"{reader} cannot read this GGUF file: {shortened(error, 200)}",
        where=gguf.name,
        remedy="Use a GGUF file of a supported architecture and quantisation, another backend, or a Hugging Face model folder.",
    )
