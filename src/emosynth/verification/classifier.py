"""The classifier that the agreement check asks: fitted on the seed and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import pandas as pd

from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.models.classifiers import EmbeddingClassifier, TextClassifier
from emosynth.models.embeddings import embedding_cache
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.seeding import seed_rows
from emosynth.verification.checks import Classifier


def seed_classifier(
    corpus: Corpus,
    order: pd.DataFrame,
    kind: Literal["tfidf", "embedding"],
    encoder: str,
    catalog: Catalog,
    paths: Paths,
    asked: Sequence[str] = (),
) -> Callable[[int, int], Classifier]:
    """Return a function that fits the classifier of one seed (size, repeat).

    Parameters
    ----------
    kind
        ``tfidf`` or ``embedding``; both with multinomial logistic regression at its default strength, because a
        seed has no rows to spare for choosing one.
    encoder
        Catalogue entry of the encoder; only ``embedding`` fetches it.
    asked
        Texts that the classifiers will be asked about. They are embedded at once, in full batches.
    """
    texts = dict(zip(corpus.frame["id"], corpus.frame["text"], strict=True))
    embed = embedding_cache(catalog.fetch(encoder), paths.cache).embed if kind == "embedding" else None
    if embed is not None and asked:
        embed(asked, say)

    def fit(size: int, repeat: int) -> Classifier:
        rows = seed_rows(order, repeat, size)
        model = EmbeddingClassifier(embed) if embed is not None else TextClassifier()
        return model.fit([texts[row] for row in rows["id"]], rows["label"].tolist(), corpus.classes)

    return fit
