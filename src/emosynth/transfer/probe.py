"""Emotion embeddings: what the pre-trained encoder makes of a text, for use in other models, and how much they know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.corpora import Corpus
from emosynth.models.multilabel import EncoderState, MultiLabelEncoder, Text
from emosynth.params import Transfer
from emosynth.progress import Progress
from emosynth.store import RowStore
from emosynth.taxonomy import Taxonomies
from emosynth.transfer.learners import Embed, Job, Linear, digest
from emosynth.transfer.run import HEADLINE, code_identity, job_key, scored, target_digest, targets_of

COLUMNS = ["representation", "target", "size", "repeat", "macro_f1"]


def emotion_embeddings(state: EncoderState, folder: str | Path, texts: Sequence[Text]) -> npt.NDArray[np.float32]:
    """Return the (n, d) emotion embeddings of texts: the pre-trained encoder's hidden states, averaged over the utterance's tokens.

    They can stand as features in any other model (a classifier, a regression, a clustering). Their length is not scaled to 1.

    Parameters
    ----------
    state
        ``EncoderState.read("…/encoder.safetensors")``.
    folder
        Model folder of the base encoder, which holds the tokenizer and the token embeddings.
    texts
        n utterances, or pairs of a context and an utterance.

    Raises
    ------
    UserError
        If the state was trained from another model folder.
    """
    return MultiLabelEncoder(folder, state.settings, state.labels, seed=state.seed).load_state(state).embed(texts)


class _Kept:
    """Embeddings of length 1, each text embedded once."""

    def __init__(self, model: MultiLabelEncoder) -> None:
        self.model = model
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            made = self.model.embed(new)
            self._known.update(zip(new, made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12), strict=True))
        return np.stack([self._known[text] for text in texts])


def run_probe(
    params: Transfer,
    corpora: Mapping[str, Corpus],
    taxonomies: Taxonomies,
    state: EncoderState,
    folder: Path,
    embed: Embed,
    encoder_hash: str,
    cache: Path,
    *,
    source: str = "goemotions",
) -> pd.DataFrame:
    """Probe the emotion embeddings against the base encoder's own: a linear model on each, fitted on the seeds of every target.

    Only the linear model sees the seed; neither encoder is tuned on it. Both embeddings have length 1, and the strength
    of the penalty is chosen on validation.

    Parameters
    ----------
    embed
        Of the base encoder.

    Returns
    -------
    pandas.DataFrame
        representation (``base`` or ``emotion``), target, size, repeat, macro_f1 on test (headline thresholds).
    """
    emotion = _Kept(MultiLabelEncoder(folder, state.settings, state.labels, seed=state.seed).load_state(state))
    probes = {"base": Linear(params.c_grid, embed, encoder_hash), "emotion": Linear(params.c_grid, emotion, digest(state.to_bytes().hex()))}
    found, code = [], code_identity()
    targets = targets_of(params, corpora, taxonomies)
    progress = Progress(len(probes) * len(targets) * len(params.seeding.sizes) * params.seeding.repeats, "probe", "models")
    with RowStore(cache / "rows" / "transfer.jsonl") as store:
        for representation, probe in probes.items():
            for name, target in targets.items():
                held, label_map = target_digest(target), taxonomies.map(source, target.taxonomy)
                for size in params.seeding.sizes:
                    for repeat in range(params.seeding.repeats):
                        job = Job("target", None, label_map, target.seed(size, repeat), repeat)
                        value = scored(probe, job, target, job_key(probe, job, held, code), store, progress)
                        score = value["scores"][HEADLINE[target.task]]["macro_f1"]
                        found.append([representation, name, size, repeat, score])
    return pd.DataFrame(found, columns=COLUMNS)
