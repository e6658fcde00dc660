"""Step 03 from files: plan and generate the candidates of a profile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.generation.run import OpenTuned, check_no_leak, generate, plan_all
from emosynth.models.lm import open_language_model
from emosynth.params import Generation, Seeding
from emosynth.paths import Paths
from emosynth.seeding import seed_rows
from emosynth.store import RowStore

Cells = dict[tuple[int, int], dict[str, str]]


def seed_texts(corpus: Corpus, order: pd.DataFrame, seeding: Seeding) -> Cells:
    """Return the texts of every seed by (size, repeat), then by row id, in rank order."""
    texts = dict(zip(corpus.frame["id"], corpus.frame["text"], strict=True))
    return {
        (size, repeat): {row: texts[row] for row in seed_rows(order, repeat, size)["id"]}
        for repeat in range(seeding.repeats)
        for size in seeding.sizes
    }


def load_guidance(folder: Path, seeding: Seeding) -> dict[tuple[int, int], Mapping[str, Any]]:
    """Load the guidance file that step 02 wrote, by (size, repeat); fails if a seed has none."""
    path = folder / "guidance.jsonl"
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except FileNotFoundError:
        raise UserError("The guidance file is missing.", where=str(path), remedy="Run step 02_shap.") from None
    guidance = {(entry["size"], entry["repeat"]): entry for entry in entries}
    for size in seeding.sizes:
        for repeat in range(seeding.repeats):
            if (size, repeat) not in guidance:
                raise UserError(f"No guidance for size {size}, repeat {repeat}.", where=str(path), remedy="Run step 02_shap again.")
    return guidance


def build_candidates(
    corpus: Corpus,
    order: pd.DataFrame,
    seeding: Seeding,
    generation: Generation,
    catalog: Catalog,
    paths: Paths,
    *,
    guidance: Path | None = None,
    prefix: str = "",
    open_tuned: OpenTuned | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Generate every candidate of a design, from the cache where it is there.

    Parameters
    ----------
    corpus
        The target; its validation, test and pool texts are only used to make sure that none is in a prompt.
    guidance
        Folder with the guidance file; needed if an arm is guided.
    prefix, open_tuned
        Label prefix and opener of tuned generators; needed if an arm is tuned.

    Returns
    -------
    candidates, account
        See :func:`emosynth.generation.run.generate`.
    """
    if corpus.task != "single":
        raise UserError(
            f"{corpus.name} is multi-label; prompts express one class.",
            where="corpora.target",
            remedy="Choose a single-label corpus for SHAP-guided generation.",
        )
    texts = seed_texts(corpus, order, seeding)
    plan = plan_all(
        generation,
        texts,
        classes=corpus.classes,
        phrases=corpus.class_phrases,
        noun=corpus.register_noun,
        guidance=load_guidance(guidance, seeding) if guidance is not None else {},
        seed_texts=texts,
        prefix=prefix,
    )
    seeds = {row for cell in texts.values() for row in cell}
    outside = corpus.frame[~corpus.frame["id"].isin(seeds)]
    check_no_leak(plan, outside["text"])
    with RowStore(paths.cache / "rows" / "generation.jsonl") as store:
        return generate(
            plan, lambda generator: open_language_model(generator, catalog), store, generation=generation, open_tuned=open_tuned
        )
