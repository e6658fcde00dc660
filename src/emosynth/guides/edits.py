"""Edits of seed rows: the cheapest augmentation there is, without any model."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from emosynth import pieces
from emosynth.guides.base import Draw, Guide, Shown

Edit = Literal["swap", "delete", "punctuate"]
MARKS = (".", ";", "?", ":", "!", ",")
"""What is put between words, as in the source."""


class Edits(Guide):
    """Copies of seed rows with a few words swapped or left out (EDA), or punctuation between them (AEDA).

    Each copy has one kind of edit. EDA's other two kinds, synonyms for words and synonyms put in, need a thesaurus, and none can be had
    as a package; AEDA's marks stand in for what is put in. The libraries that offer these edits draw from one unseeded generator for the
    whole process, and download WordNet when they are opened.
    """

    name = "edits"
    label = "edited rows"
    citation = """@inproceedings{wei2019eda,
  title = {{EDA}: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks},
  author = {Wei, Jason and Zou, Kai},
  booktitle = {EMNLP-IJCNLP},
  year = {2019}
}

@inproceedings{karimi2021aeda,
  title = {{AEDA}: An Easier Data Augmentation Technique for Text Classification},
  author = {Karimi, Akbar and Rossi, Leonardo and Prati, Andrea},
  booktitle = {Findings of EMNLP},
  year = {2021}
}"""
    drawn = False
    edits = True
    changes = "a few words swapped or left out, or punctuation marks put between words"
    main = "share"

    class Settings(pieces.Settings):
        """Settings."""

        share: float = Field(0.1, gt=0, le=0.5, description="share of a text's words that an edit touches (EDA's alpha); at least one")
        kinds: list[Edit] = Field(["swap", "delete", "punctuate"], min_length=1, description="edits to draw from")

    def show(self, draw: Draw) -> Shown:
        """Return nothing: there is no prompt."""
        return Shown()

    def edit(self, text: str, rng: np.random.Generator) -> str:
        """Return the text with one kind of edit; a text too short for it gets a punctuation mark."""
        words = text.split()
        kind = str(rng.choice(self.settings.kinds))
        count = max(1, round(self.settings.share * len(words)))
        if len(words) < 2 or kind == "punctuate":
            for _ in range(count):
                words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(MARKS)))
        elif kind == "swap":
            for _ in range(count):
                one, other = rng.choice(len(words), 2, replace=False)
                words[one], words[other] = words[other], words[one]
        else:
            gone = rng.choice(len(words), min(count, len(words) - 1), replace=False)
            words = [word for place, word in enumerate(words) if place not in gone]
        return " ".join(words)
