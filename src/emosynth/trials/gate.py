"""The gate that keeps held-out text out of what is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.languages import spaced
from emosynth.paths import repro
from emosynth.text import fingerprint, near_duplicates


def repeating(texts: Sequence[str], held_out: Sequence[str], threshold: float) -> npt.NDArray[np.bool_]:
    """Return which of n texts equal a held-out text or share word 3-grams with one from ``threshold`` (Jaccard) on."""
    known = {fingerprint(text) for text in held_out}
    out = np.array([fingerprint(text) in known for text in texts], dtype=bool)
    out[[match.index for match in near_duplicates(list(map(spaced, texts)), threshold, against=list(map(spaced, held_out)))]] = True
    return out


def check_real(corpus: Corpus, ids: Sequence[str], threshold: float, scored_on: str = "test") -> None:
    """End the run if a row of a seed or pool repeats a test row, or one of the split that models are scored on.

    Raises
    ------
    UserError
        It names the first such row.
    """
    texts = dict(zip(corpus.frame["id"], corpus.frame["text"], strict=True))
    splits = dict.fromkeys(("test", scored_on))
    held = [text for split in splits for text in corpus.split(split)["text"]]
    leaks = repeating([texts[row] for row in ids], held, threshold)
    if leaks.any():
        raise UserError(
            f"{int(leaks.sum())} training rows repeat {' or '.join(splits)} rows; the first is {ids[int(leaks.argmax())]}.",
            where=f"seeds and pool of {corpus.name}",
            remedy=f"Nothing may be trained on this. Run: {repro('00_corpora', again=True)}; then: {repro()}",
        )
