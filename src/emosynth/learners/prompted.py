"""The language model itself as a classifier: what there is without any training, and without any writing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, Field

from emosynth.design.rows import Rows, Stage
from emosynth.design.space import FloatArray, Space
from emosynth.learners.base import Learner, LearnerSettings, Resources, Task
from emosynth.learners.choosing import Predictor, as_truth, choose
from emosynth.progress import say


class Prompted(Learner):
    """Reads labels off texts as `emosynth.labellers.reading` does: likelihoods of the labels' adjectives, calibrated by the batch.

    It is asked about each text once, and its answers are kept by content. The batch is the rows that are asked about: their labels have
    no say, their texts do. Nothing is trained; where rows may have several labels one threshold is chosen on rows of the seed that no
    prompt shows. ``tokens`` of a trial are those read: the common beginning once, then each text and the labels after it.
    """

    own_cores: ClassVar[bool] = True
    seed_only: ClassVar[bool] = True
    embeds: ClassVar[bool] = False
    caveat: ClassVar[str] = "calibrated by all posts that it is asked about"

    def head(self, rows: Rows, space: Space) -> tuple[str, list[int]]:
        """Return the beginning of every prompt, and the places of the rows that it shows."""
        raise NotImplementedError

    def asks(self, resources: Resources) -> str:
        """Return the identity of the language model."""
        return json.dumps(_open(resources, "").identity, sort_keys=True)

    def fit(self, stages: Sequence[Stage], task: Task, resources: Resources) -> Predictor:
        """Choose what is shown, and a threshold where rows may have several labels."""
        from emosynth.labellers.reading import LanguageReader, words_of
        from emosynth.models.lm.labels import row_prompt

        rows, space = stages[-1].rows, task.space
        head, shown = self.head(rows, space)
        scorer = _open(resources, head)
        reader = LanguageReader(scorer, say)
        chosen: dict[str, float] = {}

        def predict(texts: Sequence[str]) -> FloatArray:
            chosen["tokens"] = chosen.get("tokens", 0.0) + float(scorer.tokens([row_prompt(text) for text in texts], words_of(space)))
            return np.exp(reader.read(pd.DataFrame({"text": list(texts)}), space))

        if not space.single:
            kept = np.setdiff1d(np.arange(len(rows)), shown)
            texts, truth = [rows.texts[int(row)] for row in kept], as_truth(rows.targets[kept], space)
            if task.validation is not None:
                texts, truth = task.validation[0], task.validation[1] > 0.5
            chosen["threshold"] = float(choose([predict(texts)], truth, space).threshold or 0.0) if texts else 0.5
        return Predictor(predict, chosen)


def _open(resources: Resources, head: str) -> Any:
    from emosynth.models.lm.labels import LabelScorer

    return LabelScorer.open(resources.reader, resources.catalog, head=head)


class ZeroShot(Prompted):
    """The language model without a row of the corpus: three invented lines show the form."""

    name = "zero-shot"
    label = "language model, zero-shot"
    marker: ClassVar[str] = "v"
    citation = (
        "@inproceedings{zhao2021calibrate, title={Calibrate Before Use: Improving Few-Shot Performance of Language Models}, author={Zhao, Zihao "
        "and Wallace, Eric and Feng, Shi and Klein, Dan and Singh, Sameer}, booktitle={ICML}, year={2021}}"
    )

    def head(self, rows: Rows, space: Space) -> tuple[str, list[int]]:
        """Return the invented lines."""
        from emosynth.models.lm.labels import HEAD

        return HEAD, []


class FewShotSettings(LearnerSettings):
    """How many rows are shown."""

    shots: int = Field(2, ge=1, description="rows of the seed of each class that every prompt shows; all of a class that has fewer")


class FewShot(Prompted):
    """The language model with some rows of the seed before it: in-context learning."""

    name = "few-shot"
    label = "language model, few-shot"
    marker: ClassVar[str] = "p"
    citation = (
        "@inproceedings{brown2020language, title={Language Models are Few-Shot Learners}, author={Brown, Tom and others}, "
        "booktitle={NeurIPS}, year={2020}}"
    )
    Settings: ClassVar[type[BaseModel]] = FewShotSettings

    def head(self, rows: Rows, space: Space) -> tuple[str, list[int]]:
        """Return the first rows of each class in the form of the prompts, classes in turns; a row is shown once, with all its labels."""
        from emosynth.models.lm.labels import row_prompt

        truth = as_truth(rows.targets, space)
        counts = np.zeros(len(space.labels), dtype=int)
        shown: list[int] = []
        for _ in range(self.settings.shots):
            for label in range(len(space.labels)):
                place = next((int(row) for row in np.flatnonzero(truth[:, label]) if int(row) not in shown), None)
                if place is not None and counts[label] < self.settings.shots:
                    shown.append(place)
                    counts += truth[place]
        lines = []
        for place in shown:
            words = " and ".join(space.adjectives[label] for label, own in zip(space.labels, truth[place], strict=True) if own)
            lines.append(f"{row_prompt(rows.texts[place])} {words}.\n\n")
        return "".join(lines), shown
