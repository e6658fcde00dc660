"""A few trials on invented rows, for tests of where they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emosynth import pieces
from emosynth.design.rows import Rows, Stage
from emosynth.design.space import Space
from emosynth.learners.base import Resources, Task
from emosynth.models.embeddings import EmbeddingCache
from emosynth.trials.rows import Built
from emosynth.trials.train import Job, train_all
from encoder_files import VOCABULARY, make_tiny_encoder

SETTINGS: dict[str, dict[str, Any]] = {"encoder": {"steps": 4, "first_steps": 4, "layers": 2, "batch": 8, "max_tokens": 16}}


def trained(folder: Path, learner: str, count: int) -> dict[str, bytes]:
    """Train ``count`` models that differ by their random seed; return what is kept of them by key."""
    cache = EmbeddingCache.open(make_tiny_encoder(folder / "encoder"), folder)
    space = Space("toy", ("joy", "sadness"), True, {}, {})
    draw = np.random.default_rng(1)
    texts = [" ".join(draw.choice(VOCABULARY[4:], 6)) for _ in range(24)]
    cache.embed(texts)  # as the step does: workers do not write the cache
    rows = Rows(texts, np.eye(2)[np.arange(24) % 2], np.ones(24), np.zeros(24, dtype=bool))
    made: Any = pieces.build("learner", learner, SETTINGS.get(learner, {}))
    jobs = [
        Job(f"{seed}", made, Built([Stage(rows, space)], 24, 24, 0), Task(space, 24, None, 3, seed), texts[:8]) for seed in range(count)
    ]
    resources = Resources(cache.embed, cache.encoder.folder, cache.encoder.hash, folder / "learners")
    return dict(sorted(train_all(iter(jobs), count, resources, cache, [])))
