"""Verify the candidates of a profile and write the published table with its card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.cards import Card, Source, write_json, write_table
from emosynth.corpora import Corpus
from emosynth.params import Generation, Verification
from emosynth.paths import Paths
from emosynth.verification.checks import CHECKS, Classifier, Reference, enabled
from emosynth.verification.run import verify

_COLUMNS = {
    "candidate_id": "arm/size/repeat/class/index",
    "label": "class that the text was meant to express; nobody checked it by hand",
    "complete": "whether the model ended the text itself",
    "prompt": "final prompt; holds texts of the seed where the arm shows exemplars",
    "row_seed": "seed of this row's sampling",
    "accepted": "whether all checks passed",
    "reason": "first check that failed; empty: none",
}
_VERDICTS = {name: (check.__doc__ or "").split(":")[0].split(";")[0].split("\n")[0].rstrip(".") for name, check in CHECKS.items()}


def build_verdicts(
    candidates: pd.DataFrame,
    account: Mapping[str, Any],
    seed_texts: Mapping[tuple[int, int], Sequence[str]],
    fit: Callable[[int, int], Classifier],
    corpus: Corpus,
    generation: Generation,
    verification: Verification,
    paths: Paths,
    *,
    reference: Reference | None = None,
    folder: Path | None = None,
    step: str = "Step 03 (generation)",
    classifier: str | None = None,
) -> pd.DataFrame:
    """Verify, write ``candidates.parquet``, its card and ``generators.json``; returns the verified table.

    Parameters
    ----------
    reference
        Language model behind the perplexity check; needed if ``verification.perplexity`` is set.
    folder
        Where the files go; None: ``paths.candidates``.
    step, classifier
        What made the candidates and what kind of classifier checked their labels, for the card.
    """
    verified = verify(candidates, seed_texts, fit, corpus.register_noun, verification, reference)
    folder = folder or paths.candidates
    generators = account["generators"]
    limits = [
        "Labels are intentions of a prompt, not judgements of people.",
        "The texts come from small language models and repeat their biases; they must not be taken for what people wrote.",
        f"The agreement check uses a {classifier or verification.agreement} classifier fitted on the seed; learners of the same kind share its errors.",
    ]
    if not account["deterministic"]:
        limits.append("At least one generator cannot promise equal texts on equal requests; only the row cache makes runs repeatable.")
    card = Card(
        title=f"Synthetic candidates grown from seeds of {corpus.name}",
        what=f"{len(verified):,} generated texts with their provenance and the verdict of every check. Nothing is dropped.",
        made=(
            f"{step}. Prompt style {generation.prompt_style}; decoding {generation.decoding.model_dump()}; "
            f"arms {', '.join(generation.arms)}; thresholds {verification.model_dump(exclude_none=True)}."
        ),
        sources=[
            Source(name=corpus.name, version=corpus.source, hash=corpus.hash),
            *[
                Source(name=name, version=str(identity.get("version", "")), hash=str(identity.get("sha256", identity.get("hash", ""))))
                for name, identity in generators.items()
            ],
        ],
        columns={**_COLUMNS, **{f"ok_{name}": _VERDICTS[name] for name in enabled(verification)}},
        counts={
            arm: {"candidates": len(rows), "accepted": int(rows["accepted"].sum())} for arm, rows in verified.groupby("arm", sort=False)
        },
        limits=limits,
        licence=corpus.licence,
        languages=corpus.languages,
        tags=["synthetic", "emotion"],
        citation=corpus.citation,
    )
    write_table(verified, folder / "candidates.parquet", card)
    write_json(folder / "generators.json", dict(account))
    return verified
