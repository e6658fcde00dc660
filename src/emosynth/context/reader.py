"""How well the language model that reads labels off written rows reads real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from emosynth.corpora import load_corpus
from emosynth.design.cells import stable_seed
from emosynth.design.space import space_of_corpus
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.taxonomy import Taxonomies

if TYPE_CHECKING:
    from emosynth.labellers.reading import LanguageReader

_MEASURES = ["mrr", "top1", "top5"]
COLUMNS = ["corpus", "labels", "n", *_MEASURES, *(f"frequency_{measure}" for measure in _MEASURES)]


def read_real(params: Params, paths: Paths, taxonomies: Taxonomies, reader: LanguageReader) -> pd.DataFrame:
    """Read validation rows of each corpus with its own labels, beside a ranking of the labels by their frequency among training rows.

    Which rows (``context.reader_rows`` at most) depends on their ids alone.

    Returns
    -------
    pandas.DataFrame
        One row a corpus, `COLUMNS`; see `emosynth.labellers.reading.reading_quality`.
    """
    from emosynth.labellers.reading import reading_quality

    out = []
    for name in params.corpora.names if params.context.reader_rows else []:
        corpus = load_corpus(paths, name, ["train", "validation"])
        space = space_of_corpus(corpus, taxonomies)
        rows = corpus.split("validation")
        keys = [stable_seed("scorer", row) for row in rows["id"]]
        drawn = rows.assign(_key=keys).sort_values(["_key", "id"], kind="stable").head(params.context.reader_rows)
        if drawn.empty:
            continue
        counts = corpus.split("train")["labels"].explode().value_counts()
        frequencies = {str(label): float(count) for label, count in counts.items()}
        found = reading_quality(reader, drawn["text"].tolist(), drawn["labels"].map(list).tolist(), space, frequencies)
        out.append({"corpus": name, "labels": len(space.labels), **found})
        say(f"context: the reader's first label is right in {found['top1']:.0%} of {len(drawn)} rows of {name}")
    return pd.DataFrame(out, columns=COLUMNS)
