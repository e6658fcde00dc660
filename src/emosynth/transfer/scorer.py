"""How well the language model that labels the synthetic rows reads real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from emosynth.corpora import Corpus
from emosynth.generation.plan import stable_seed
from emosynth.grounding.labels import Scorer, scorer_quality
from emosynth.taxonomy import Taxonomies

_MEASURES = ["mrr", "top1", "top5"]
COLUMNS = ["target", "taxonomy", "labels", "n", *_MEASURES, *(f"frequency_{measure}" for measure in _MEASURES)]


def run_scorer(
    names: Sequence[str],
    corpora: Mapping[str, Corpus],
    taxonomies: Taxonomies,
    scorer: Scorer,
    rows: int,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Score validation rows of each corpus with the labels of its own taxonomy, beside a ranking of labels by their frequency.

    Parameters
    ----------
    names
        Corpora to be read.
    rows
        Validation rows of each, at most; which ones depends on their ids alone.

    Returns
    -------
    pandas.DataFrame
        One row a corpus; see `emosynth.grounding.labels.scorer_quality`.

    Raises
    ------
    UserError
        If no taxonomy has a corpus's classes, or the model cannot be loaded.
    """
    out = []
    for name in names:
        taxonomy = taxonomies.get(taxonomies.of_classes(corpora[name].classes))
        validation = corpora[name].split("validation")
        keys = [stable_seed("scorer", row) for row in validation["id"]]
        drawn = validation.assign(_key=keys).sort_values(["_key", "id"], kind="stable").head(rows)
        counts = corpora[name].split("train")["labels"].explode().value_counts()
        frequencies = {str(label): float(count) for label, count in counts.items()}
        found = scorer_quality(scorer, drawn["text"].tolist(), drawn["labels"].map(list).tolist(), taxonomy, frequencies)
        out.append({"target": name, "taxonomy": taxonomy.name, "labels": len(taxonomy.labels), **found})
        if progress:
            progress(f"transfer: the scorer's first label is right in {found['top1']:.0%} of {len(drawn)} rows of {name}")
    return pd.DataFrame(out, columns=COLUMNS)
