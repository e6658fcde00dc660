"""Seeds, spaces and a model that writes by rule, for tests of what is planned and written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd

from emosynth.design.cells import Cell
from emosynth.design.space import Space
from emosynth.guides.base import Tables
from emosynth.models.lm import Completion
from emosynth.params import Params

CLASSES = ("sad", "glad")
TEXTS = {f"r{i}": f"an invented text number {i} about the weather" for i in range(8)}
SINGLE = Space("toy", CLASSES, True, {c: f"{c}ness" for c in CLASSES}, {c: c for c in CLASSES})
MULTI = Space("moods", ("joy", "anger", "fear", "neutral"), False,
    {"joy": "joy", "anger": "anger", "fear": "fear", "neutral": "no particular emotion"},
    {"joy": "joyful", "anger": "angry", "fear": "afraid"}, "neutral")  # fmt: skip
STORIES = {
    "t/0": "The pump in the yard was frozen. The old clerk looked at the kettle, and his sister laughed.",
    "t/1": "Nothing came by post that day. A girl named Ida had waited at the gate since the morning.",
}
PASSAGES = pd.DataFrame({"passage_id": list(STORIES), "story_id": ["t", "t"], "text": list(STORIES.values())})
CHARACTERS = pd.DataFrame(
    {
        "passage_id": ["t/0", "t/0", "t/1"],
        "rank": [1, 2, 1],
        "character": ["the old clerk", "the sister", "Ida"],
        "kind": ["role", "role", "name"],
    }
)


def params_of(**sections: Any) -> Params:
    """Return parameters of a small design; sections given replace or extend the defaults."""
    base: dict[str, Any] = {
        "corpora": {"target": "toy"},
        "models": {"writer": {"batch": 7}},
        "cells": {"sizes": [10, 20], "repeats": 2},
        "generation": {"oversample": 2.0, "prompts_per_class": 2},
        "checks": {"basic": {}},
        "learners": {"tfidf": {}},
        "guides": {"shap": [{"shap-tokens": 1}, {"shap-exemplars": 2}]},
        "arms": {"naive": {"checks": {}}, "shap": {"guide": "shap", "checks": {}}},
    }
    return Params.model_validate(base | sections)


class FakeSeeds:
    """Stands for `emosynth.writers.Seeds`: every corpus is the toy, every seed the same eight rows."""

    def __init__(self, params: Params, space: Space = SINGLE, materials: Tables | None = None) -> None:
        self.params, self._space = params, space
        self.taxonomies = SimpleNamespace()
        self.asked: list[Cell] = []
        self._materials = materials or Tables(
            {(label, "shap"): [("rain", 0.4), ("grey", 0.2), ("sun", -0.1)] for label in space.labels},
            {(label, "shap"): ["r0", "r1", "r2", "r3"] for label in space.labels},
        )

    def corpus(self, name: str) -> Any:
        """Return a corpus with a noun and its rows."""
        outside = {f"o{i}": f"a real text number {i} that no prompt may show" for i in range(4)}
        frame = pd.DataFrame({"id": [*TEXTS, *outside], "text": [*TEXTS.values(), *outside.values()]})
        return SimpleNamespace(
            name=name, register_noun="note", frame=frame, source="", hash="", licence="mit", languages=["en"], citation=""
        )

    def space(self, name: str) -> Space:
        """Return the toy's labels."""
        return self._space

    def seed(self, cell: Cell) -> Any:
        """Return eight rows in rank order, labels in turn."""
        labels = [[self._space.labels[i % 2]] for i in range(8)]
        return SimpleNamespace(cell=cell, ids=list(TEXTS), texts=list(TEXTS.values()), labels=labels)

    def materials(self, cell: Cell) -> Tables:
        """Return what step 02 found."""
        self.asked.append(cell)
        return self._materials


class RuleModel:
    """Writes its row seed; may be told to die after some calls."""

    deterministic = True

    def __init__(self, name: str = "m", dies_at: int | None = None) -> None:
        self.identity = {"backend": "rule", "model": name}
        self.calls: list[int] = []
        self.dies_at = dies_at
        self.closed = 0

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
        """Answer with seed and length of the prompt."""
        if self.dies_at is not None and len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(len(requests))
        return [Completion(f' made {r.row_seed} of it. And {len(r.prompt)} more." he said', "length", 20, 10) for r in requests]

    def close(self) -> None:
        """Count."""
        self.closed += 1
