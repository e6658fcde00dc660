"""Generators: language models that write candidates, behind one interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emosynth.models.lm.base import STOP, Completion, LanguageModel, Movable, Portable, Request, Streaming, Unfit, request_key
from emosynth.params import Generator

if TYPE_CHECKING:
    from emosynth.catalog import Catalog

__all__ = [
    "STOP",
    "Completion",
    "LanguageModel",
    "Movable",
    "Portable",
    "Request",
    "Streaming",
    "Unfit",
    "open_language_model",
    "request_key",
]


def open_language_model(generator: Generator, catalog: Catalog) -> LanguageModel:
    """Open the generator that the parameters name.

    The backends are imported when they are used, so that one that is not used costs nothing.

    Raises
    ------
    UserError
        If the model cannot be found, converted or reached.
    """
    if generator.backend == "openvino":
        from emosynth.models.lm.openvino import OpenVinoModel

        return OpenVinoModel.open(generator, catalog)
    if generator.backend == "transformers":
        from emosynth.models.lm.local import TransformersModel

        return TransformersModel.open(generator, catalog)
    from emosynth.models.lm.server import ServerModel

    return ServerModel.open(generator, catalog)
