"""The averaged-perceptron part-of-speech tagger of NLTK, with weights from a package instead of a download.

``nltk.download`` needs a server of its own. The same model (Honnibal 2013, trained on the Wall Street Journal, MIT licence)
is in the PyPI package ``textblob-aptagger`` as a pickle. It is read as data: the unpickler below knows sets and
nothing else, so no code in the file can run.
"""

from __future__ import annotations

import json
import os
import pickle
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from emosynth.catalog.kept import keep
from emosynth.errors import UserError

Tag = Callable[[Sequence[str]], list[tuple[str, str]]]
"""Gives each token of one text its Penn Treebank tag."""

_NAME = "averaged_perceptron_tagger_eng"
_ALLOWED = {(module, name): kind for name, kind in (("set", set), ("dict", dict)) for module in ("__builtin__", "builtins")} | {
    ("collections", "defaultdict"): defaultdict
}
_REMEDY = "Delete the file so that it is fetched again."


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}; only plain data is allowed") from None


def read_weights(file: IO[bytes], where: str = "") -> tuple[dict[str, dict[str, float]], dict[str, str], list[str]]:
    """Return weights, dictionary of unambiguous words and sorted classes from the pickle, checked for their types.

    Raises
    ------
    UserError
        If the file is damaged, asks for anything but plain data, or holds something else.
    """
    try:
        weights, tagdict, classes = _DataUnpickler(file, encoding="latin1").load()
        sound = (
            isinstance(weights, dict)
            and isinstance(tagdict, dict)
            and all(isinstance(row, dict) for row in weights.values())
            and all(isinstance(label, str) for label in classes)
        )
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, MemoryError) as error:
        raise UserError(f"The tagger's weights cannot be read: {error}", where=where, remedy=_REMEDY) from None
    if not sound:
        raise UserError("This file does not hold a tagger's weights.", where=where, remedy=_REMEDY)
    return weights, tagdict, sorted(classes)


def load_tagger(pickle_path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Tag:
    """Return a function that tags the tokens of one text.

    Parameters
    ----------
    pickle_path
        The pickle of ``textblob-aptagger`` (``catalog.fetch("aptagger")``).
    folder
        Cache folder; the weights are written there as JSON, once (about a second), in NLTK's layout.

    Raises
    ------
    UserError
        If the weights are missing or damaged, or the folder cannot be written.
    """
    import nltk.data
    from nltk.tag.perceptron import PerceptronTagger

    folder = Path(folder).resolve()
    home = folder / "taggers" / _NAME

    def make(work: Path) -> None:
        try:
            with Path(pickle_path).open("rb") as file:
                content = read_weights(file, where=str(pickle_path))
        except OSError as error:
            raise UserError(
                f"The tagger's weights cannot be prepared: {error.strerror or error}",
                where=str(error.filename or folder),
                remedy="Check that the file exists.",
            ) from None
        for part, data in zip(("weights", "tagdict", "classes"), content, strict=True):
            (work / f"{_NAME}.{part}.json").write_text(json.dumps(data), encoding="utf-8")

    keep(home, make, "the tagger's weights")
    # NLTK refuses to read outside the folders on its path.
    if str(folder) not in nltk.data.path:
        nltk.data.path.append(str(folder))
    try:
        tagger = PerceptronTagger(loc=str(home))
    except (ValueError, LookupError) as error:
        raise UserError(
            f"The tagger's weights cannot be read: {error}", where=str(home), remedy="Delete that folder; it is made anew."
        ) from None

    def tag(tokens: Sequence[str]) -> list[tuple[str, str]]:
        return tagger.tag(list(tokens))

    return tag
