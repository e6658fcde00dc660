"""Writers by name, opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from emosynth.cards import read_table
from emosynth.catalog import Catalog
from emosynth.design.arms import writer_spec
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.models.lm import LanguageModel, open_language_model
from emosynth.params import Decoding, Generator, Params
from emosynth.params.design import model_of
from emosynth.paths import Paths, repro

if TYPE_CHECKING:
    from emosynth.models.lm.tuned import TunedWeights


def is_tuned(params: Params, name: str) -> bool:
    """Whether a writer is tuned on each seed."""
    return writer_spec(params, name).tune is not None


def generator_of(params: Params, name: str) -> Generator:
    """Return the language model of a writer, and how it is reached."""
    spec = writer_spec(params, name)
    base: Generator = model_of(params, spec, f"writers.{name}.model")
    own = {key: value for key, value in (("backend", spec.backend), ("batch", spec.batch)) if value is not None}
    return base.model_copy(update=own)


def decoding_of(params: Params, writer: str) -> Decoding:
    """Return how a writer samples: ``generation.decoding`` with what differs for it."""
    own = writer_spec(params, writer).decoding
    try:
        return Decoding.model_validate({**params.generation.decoding.model_dump(), **own})
    except ValidationError as error:
        item = error.errors()[0]
        key = ".".join(str(part) for part in item["loc"])
        raise UserError(
            f"A setting of decoding is not valid: {item['msg']}.", where=f"writers.{writer}.decoding.{key}", remedy="Correct it."
        ) from None


def open_writer(params: Params, name: str, catalog: Catalog, paths: Paths, cell: Cell | None = None, salt: str = "none") -> LanguageModel:
    """Open a writer.

    Parameters
    ----------
    cell, salt
        Of a tuned writer: the seed it was tuned on, and the guides (`Origin.salt`) that its prompts hold.

    Raises
    ------
    UserError
        If the model cannot be found or reached, or step 04 has not tuned it.
    """
    generator = generator_of(params, name)
    if not is_tuned(params, name):
        return open_language_model(generator, catalog)
    if cell is None:
        raise ValueError(f"the writer {name} is tuned on seeds, and none was given")
    from emosynth.models.lm.tuned import TunedModel

    return TunedModel(generator, weights_of(params, name, paths, cell, salt), catalog)


def weights_of(params: Params, name: str, paths: Paths, cell: Cell, salt: str) -> TunedWeights:
    """Return the weights of a tuned writer as step 04 made them; raises UserError if it has not, or they are lost."""
    from emosynth.models.lm.tuned import load_tuned

    where = f"{name} on {cell}"
    table = read_table(paths.tuning / "tuned.parquet", stage="tuning")
    key = {"corpus": cell.corpus, "size": cell.size, "repeat": cell.repeat, "writer": name, "salt": salt or "none"}
    found = table[(table[list(key)] == list(key.values())).all(axis=1)]
    if found.empty:
        raise UserError("Step 04 has not tuned this writer.", where=where, remedy=f"Run: {repro('04_tuning', again=True)}")
    row = found.iloc[0]
    weights = load_tuned(paths.cache / "tuned" / str(row["folder"]), writer_spec(params, name))
    if weights.sha256 != row["sha256"]:
        raise UserError(
            "The tuned writer in the cache is not the one of step 04.", where=where, remedy=f"Run: {repro('04_tuning', again=True)}"
        )
    return weights
