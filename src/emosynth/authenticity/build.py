"""Step 05 from files: choose the texts that are compared, measure them, write the panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from emosynth.authenticity.panel import authenticity_panel
from emosynth.authenticity.tagger import Tag
from emosynth.cards import Card, Source, write_table
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.params import Authenticity, Seeding
from emosynth.seeding import primary_labels, seed_rows


def balanced_draw(texts: Mapping[str, list[str]], count: int) -> list[str]:
    """Return at most ``count`` texts, equally many of each class while the classes last.

    Emotion changes how people write; comparing corpora of unequal class shares would measure the shares.
    """
    chosen: list[str] = []
    queues = [list(items) for items in texts.values()]
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop(0))
    return chosen


def real_halves(corpus: Corpus, seed_ids: set[str], count: int, seed: int) -> tuple[list[str], list[str]]:
    """Return two disjoint class-balanced samples of the real rows outside the seeds, ``count`` texts each at most."""
    rows = corpus.frame[~corpus.frame["id"].isin(seed_ids)].sort_values("id")
    labels = np.asarray(primary_labels(rows, corpus.classes))
    rng = np.random.default_rng(seed)
    halves: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    per_class = {label: rng.permutation(np.flatnonzero(labels == label)) for label in corpus.classes}
    # The rarest class bounds a balanced sample.
    reach = min(len(found) // 2 for found in per_class.values()) * len(corpus.classes)
    for label, found in per_class.items():
        texts = rows["text"].to_numpy()[found]
        halves[0][label], halves[1][label] = list(texts[0::2]), list(texts[1::2])
    size = min(count, reach)
    return balanced_draw(halves[0], size), balanced_draw(halves[1], size)


def arm_texts(candidates: pd.DataFrame, classes: list[str], count: int) -> dict[tuple[str, bool], list[str]]:
    """Return the texts of each arm by (arm, verified); repeats take turns, empty texts are left out."""
    found: dict[tuple[str, bool], list[str]] = {}
    usable = candidates[candidates["text"].str.strip() != ""].sort_values(["index", "repeat"], kind="stable")
    for arm in dict.fromkeys(candidates["arm"]):
        of_arm = usable[usable["arm"] == arm]
        for verified in (False, True):
            rows = of_arm[of_arm["accepted"]] if verified else of_arm
            by_class = {label: rows.loc[rows["label"] == label, "text"].tolist() for label in classes}
            # A class of which little was accepted bounds the draw: unequal shares would be measured as style.
            fewest = min((len(texts) for texts in by_class.values() if texts), default=0)
            reach = fewest * sum(bool(texts) for texts in by_class.values())
            found[arm, verified] = balanced_draw(by_class, min(count, reach))
    return found


def build_panel(
    corpus: Corpus,
    order: pd.DataFrame,
    candidates: pd.DataFrame,
    params: Authenticity,
    seeding: Seeding,
    tag: Tag,
    out: Path,
    progress: Callable[[str], None],
) -> pd.DataFrame:
    """Measure every arm of one seed size, write ``panel.parquet`` with its card, and return it.

    Raises
    ------
    UserError
        If no candidate belongs to the size asked for.
    """
    size = params.size if params.size is not None else seeding.sizes[-1]
    of_size = candidates[candidates["size"] == size]
    if of_size.empty:
        raise UserError(f"No candidates were grown from seeds of {size}.", where="authenticity.size", remedy=f"Use one of {seeding.sizes}.")
    seeds = {row for repeat in range(seeding.repeats) for row in seed_rows(order, repeat, size)["id"]}
    real, other = real_halves(corpus, seeds, params.texts, params.random_seed)
    seed_texts = corpus.frame.loc[corpus.frame["id"].isin(seeds), "text"].tolist()
    panel = authenticity_panel(real, other, arm_texts(of_size, corpus.classes, params.texts), params, tag, seed_texts, progress)
    card = Card(
        title=f"Authenticity panel of text grown from seeds of {corpus.name}",
        what="Linguistic measures of each arm beside real text, with intervals, tests and effect sizes; real against real as a control.",
        made=f"Step 05 (authenticity), seed size {size}; class-balanced draws of at most {params.texts} texts; {params.permutations} permutations.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
        columns={
            "value": "the measure",
            "reference": "the same measure of real text at the same amount of text",
            "p_holm": "Holm-corrected within the family",
        },
        counts={"texts per half of the real text": len(real), "measures": int(panel["measure"].nunique())},
        limits=["Measures are of English; on other languages the word lists and the tagger do not apply."],
        licence=corpus.licence,
        languages=corpus.languages,
        tags=["authenticity"],
    )
    write_table(panel, out / "panel.parquet", card)
    return panel
