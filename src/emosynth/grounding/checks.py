"""Verdicts on utterances and context-less texts: each check adds columns, none drops a row; ``accepted`` is derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd

from emosynth.params import Grounding, Verification
from emosynth.text import grams, jaccard, ngrams, words
from emosynth.verification.checks import (
    Cell,
    Classifier,
    Verdict,
    check_complete,
    check_distinct,
    check_length,
    check_meta,
    check_nonempty,
)

KINDS = {"contextual": "utterance", "contextless": "contextless"}
"""The column of the examples' frame that holds the text of each kind of row."""

CHECKS = ("nonempty", "complete", "length", "meta", "original", "rewritten", "distinct")
"""In this order: the first that fails is a row's ``reason``."""

_GRAM = 4


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per text that a classifier may learn from: the utterances, then the context-less texts.

    Parameters
    ----------
    frame
        From `emosynth.grounding.run.generate_examples`.

    Returns
    -------
    pandas.DataFrame
        row_id (example_id/kind), example_id, arm, grounded, index, kind, emotions, text, context, character, passage_id, generator,
        complete, prompt, utterance (what a context-less text is a rewriting of).
    """
    shared = ["example_id", "arm", "grounded", "index", "emotions", "context", "character", "passage_id", "generator", "utterance"]
    parts = []
    for kind, column in KINDS.items():
        part = frame[shared].copy()
        part.insert(0, "row_id", frame["example_id"] + "/" + kind)
        part.insert(4, "kind", kind)
        part["text"] = frame[column]
        part["complete"] = frame[f"complete_{column}"].astype(bool)
        part["prompt"] = frame[f"prompt_{column}"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def verify(rows: pd.DataFrame, params: Grounding, passages: Mapping[str, str]) -> pd.DataFrame:
    """Return the rows with ``ok_*`` and ``score_*`` columns of all `CHECKS`, ``accepted`` and ``reason`` (empty: none failed).

    Parameters
    ----------
    rows
        From `rows`.
    passages
        Text of every passage, by id.

    Notes
    -----
    ``nonempty``, ``complete``, ``length``, ``meta`` and ``distinct`` are the checks of `emosynth.verification`; ``distinct`` looks at
    earlier rows of the same arm and kind. ``original`` fails if a share of at least ``copy_overlap`` of a text's word 4-grams stands
    in its passage or prompt (the prompt without the utterance, which a rewriting may keep). ``rewritten`` fails if a context-less
    text is a near-duplicate of its own utterance.
    """
    out = rows.reset_index(drop=True)
    thresholds = Verification(
        min_words=params.min_words, max_words=params.max_words, copy_overlap=params.copy_overlap, near_duplicate=params.near_duplicate
    )
    verdicts = {name: (np.ones(len(out), dtype=bool), np.full(len(out), np.nan)) for name in CHECKS}
    for _, part in out.groupby(["arm", "kind"], sort=False):
        # No check that is made here asks the classifier.
        cell = Cell(part, [], "utterance", cast(Classifier, None), thresholds)
        made = {
            "nonempty": check_nonempty(cell),
            "complete": check_complete(cell),
            "length": check_length(cell),
            "meta": check_meta(cell),
            "original": _original(part, passages, params.copy_overlap),
            "rewritten": _rewritten(part, params.near_duplicate),
            "distinct": check_distinct(cell),
        }
        for name, (ok, scores) in made.items():
            verdicts[name][0][part.index] = ok
            verdicts[name][1][part.index] = scores
    for name, (ok, scores) in verdicts.items():
        out[f"ok_{name}"] = ok
        if not np.isnan(scores).all():
            out[f"score_{name}"] = scores
    failed = ~out[[f"ok_{name}" for name in CHECKS]].to_numpy()
    rejected = np.asarray(failed.any(axis=1))
    out["accepted"] = np.logical_not(rejected)
    out["reason"] = np.where(rejected, np.array(CHECKS)[failed.argmax(axis=1)], "")
    return out


def _original(part: pd.DataFrame, passages: Mapping[str, str], bound: float) -> Verdict:
    scores = np.zeros(len(part))
    columns = (part["text"], part["passage_id"], part["prompt"], part["utterance"], part["kind"])
    for place, (text, passage, prompt, utterance, kind) in enumerate(zip(*columns, strict=True)):
        shown = prompt.replace(utterance, "\n") if kind == "contextless" and utterance else prompt
        scores[place] = overlap(words(text), [words(passages.get(passage, "")), words(shown)])
    return scores < bound, scores


def overlap(tokens: Sequence[str], sources: Sequence[Sequence[str]]) -> float:
    """Return the share of a text's word 4-grams (of a shorter text: the whole text) that stand in one of the sources; 0 if empty."""
    size = min(_GRAM, len(tokens))
    found = ngrams(tokens, size) if size else []
    known = {gram for source in sources for gram in ngrams(source, size)} if size else set()
    return sum(gram in known for gram in found) / len(found) if found else 0.0


def _rewritten(part: pd.DataFrame, bound: float) -> Verdict:
    scores = np.full(len(part), np.nan)
    for place, (kind, text, utterance) in enumerate(zip(part["kind"], part["text"], part["utterance"], strict=True)):
        if kind == "contextless":
            scores[place] = jaccard(grams(text), grams(utterance))
    return ~(scores >= bound), scores
