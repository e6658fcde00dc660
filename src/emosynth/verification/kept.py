"""A fine-tuned encoder as a teacher: what it reads is kept by content, and it is trained when a text is met that is not kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np

from emosynth.design.space import FloatArray, Space
from emosynth.models import checked, encoder, encoder_state, loss, transformer
from emosynth.models.encoder import EncoderSettings, FineTunedEncoder
from emosynth.progress import say
from emosynth.store import kept

SETTINGS = EncoderSettings(epochs=6, batch=16, learning_rate=1e-4, max_tokens=64)
UNIT = 512
"""Texts read and committed at once."""

_CODE = (checked, encoder, encoder_state, loss, transformer)


class KeptEncoder:
    """Probabilities of an encoder fine-tuned on some rows, kept in ``teachers.sqlite`` under ``cache``/rows.

    Parameters
    ----------
    folder
        Model folder of the encoder.
    texts, targets
        n training rows and their (n, k) labels in ``space``.
    seed
        Of head, dropout and batches.
    """

    def __init__(self, folder: Path, cache: Path, texts: list[str], targets: FloatArray, space: Space, seed: int) -> None:
        self.folder, self.texts, self.targets, self.space, self.seed = folder, texts, targets, space, seed
        self.path = cache / "rows" / "teachers.sqlite"
        identity = {
            "encoder": transformer.hash_folder(folder),
            "settings": vars(SETTINGS),
            "labels": [space.labels, space.single],
            "rows": [texts, targets.tolist()],
            "seed": seed,
            "torch": version("torch").split("+")[0],
            "transformers": version("transformers"),
            "code": [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in _CODE],
        }
        self.identity = hashlib.sha256(json.dumps(identity, sort_keys=True).encode("ascii")).hexdigest()

    @cached_property
    def _model(self) -> FineTunedEncoder:
        model = FineTunedEncoder(self.folder, SETTINGS, self.space.labels, single=self.space.single, seed=self.seed)
        return model.fit(self.texts, self.targets, progress=lambda line: say(f"teacher: {line}"))

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return (n, k) probabilities; a text's depend on that text alone."""
        keys = {text: hashlib.sha256(f"{self.identity}\n{text}".encode("utf-8", "surrogatepass")).hexdigest() for text in texts}
        found = kept(self.path, keys, lambda parts: (self._model.predict_proba(part).tolist() for part in parts), UNIT)
        return np.array([found[keys[text]] for text in texts], dtype=np.float64).reshape(len(texts), len(self.space.labels))
