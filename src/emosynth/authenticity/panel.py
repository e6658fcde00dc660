"""The authenticity panel: every measure of every arm beside real text and beside a real-against-real control."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import emosynth.stats
import emosynth.text
from emosynth.authenticity import richness
from emosynth.authenticity.amounts import amount_rows
from emosynth.authenticity.detect import detect
from emosynth.authenticity.features import NAN, Extractor, Row, Studied, labellings
from emosynth.authenticity.rates import LENGTH, RATIOS, rate_rows
from emosynth.authenticity.sample import Sample
from emosynth.files import plain
from emosynth.models.tagger import Tag
from emosynth.parallel import in_order, rooms
from emosynth.params import Authenticity
from emosynth.progress import Progress
from emosynth.stats import Interval, holm, of_few_repeats
from emosynth.store import RowStore

REAL = "real"
OTHER = "real-other"
PANEL_COLUMNS = (
    "corpus", "arm", "verified", "measure", "family", "value", "low", "high", "reference", "effect", "effect_kind", "adjusted", "p", "p_holm",
    "n_texts", "n_tokens", "note",
)  # fmt: skip
MEASURES: dict[str, str] = {
    LENGTH.measure: LENGTH.family, **dict.fromkeys(richness.MEASURES, "richness"), **{ratio.measure: ratio.family for ratio in RATIOS},
    "gzip_ratio": "form", "self_repetition": "form", "detectability": "detectability",
}  # fmt: skip
"""Family of each measure, in the order of the panel."""


def authenticity_panel(
    real: Sequence[str],
    other_real: Sequence[str],
    arms: Mapping[tuple[str, bool], Sample],
    params: Authenticity,
    tag: Tag | None,
    seed_texts: Sequence[str] | None = None,
    *,
    language: str = "en",
    store: RowStore | None = None,
) -> pd.DataFrame:
    """Measure how close arms are to real text.

    Parameters
    ----------
    real, other_real
        Halves of held-out real text: the reference, and what is measured like an arm (``real-other``) to show how far real is from real.
    arms
        Texts by (arm, verified). Equal samples are measured once and count as one in corrections.
    tag, seed_texts
        Part-of-speech tagger; texts of the seed, for novelty. None leaves what needs them empty.
    language
        Tag of the corpus's language. Pronouns, time and tense are measured in English alone.
    store
        Row cache of measures; None: all are made anew.

    Returns
    -------
    pandas.DataFrame
        One row per arm, verified and measure; :data:`PANEL_COLUMNS` without ``corpus``. Order: ``real``, ``real-other``, arms as given.

        - ``value``: richness, gzip ratio and self-repetition are means of subsamples of texts at equal tokens (bytes), at most half of
          either corpus. An arm without words has NaN with a ``note``; texts without words are in no denominator.
        - ``low``, ``high``: percentiles over half-samples by repeat, prompt (or story), text (`emosynth.stats.nested_orders`), widened for few
          repeats (`emosynth.stats.of_few_repeats`).
        - ``reference``: the measure of ``real`` at the same amount; 0.5, chance, for detectability. ``effect``: Cliff's δ for length, ratio
          to the reference, Cohen's h for shares, Hedges' g for distinct tenses, 2·AUC - 1; 0 (for ratios 1) means alike.
        - ``adjusted``: of rates and shares, the difference less what texts of these lengths give by chance; ``p`` speaks of its sign.
        - ``p``: Mann–Whitney for length; one-sided, over folds, for detectability; else labels permuted over texts within strata of length,
          richness and form at equal amounts; all but detectability widened by the design effect of prompts and repeats. ``p_holm``: over
          measures and different samples of the family, apart for verified arms, unverified arms and the control.
    """
    english = language.split("-")[0].lower() == "en"
    only = "" if english else f"measured in English alone, and the corpus is in {language}"
    missing = {
        "": "", "english": only, "tagger": only or ("" if tag is not None else "no part-of-speech tagger"),
        "seed": "" if seed_texts is not None else "no seed texts",
    }  # fmt: skip
    extractor = Extractor(tag if english else None, seed_texts)
    base = Sample.flat(real)
    context = [base.digest, list(seed_texts or []), params.model_dump(mode="json", exclude={"size", "texts"}), missing, _code()]
    named = [((REAL, False), base), ((OTHER, False), Sample.flat(other_real)), *arms.items()]
    wanted = {(sample.digest, name != REAL): sample for (name, _), sample in named}
    keys = {one: hashlib.sha256(json.dumps([*context, *one]).encode("ascii")).hexdigest() for one in wanted}
    known = {one: _read(store.get(key)) for one, key in keys.items() if store is not None and key in store}
    progress = Progress(len(wanted), "authenticity", "samples")
    progress.skip(len(known))
    if todo := [one for one in wanted if one not in known]:
        reference = Studied(base, extractor.corpus(base.texts), False)
        tasks = [Studied(wanted[one], extractor.corpus(wanted[one].texts), True) if one[1] else None for one in todo]
        made = in_order(_measure, tasks, min(rooms(_MEMORY), len(todo) // _FEW), lambda done: None, _share, (reference, params, missing))
        for one, task, rows in zip(todo, tasks, made, strict=True):
            known[one] = rows, (task or reference).tokens
            if store is not None:
                store.commit({keys[one]: {"tokens": known[one][1], "rows": [plain(asdict(row)) for row in rows]}})
            progress.advance()
    frames = [_frame(name, verified, sample, *known[sample.digest, name != REAL], params.confidence) for (name, verified), sample in named]
    return _corrected(pd.concat(frames, ignore_index=True))[list(PANEL_COLUMNS[1:])]


_MEMORY = 1_500_000_000
"""Bytes for each process: what all of step 08 took in one, embeddings and all, at 1,000 texts and 10,000 permutations."""
_FEW = 4
"""Samples for which a process of their own is worth its start."""


def _code() -> list[str]:
    """Return what else can change a measure: the sources of this room and of what it counts with, and versions of libraries."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), *(Path(str(module.__file__)) for module in (emosynth.stats, emosynth.text))]
    code = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    return [code, *(f"{name} {version(name)}" for name in ("nltk", "numpy", "scipy", "scikit-learn", "lexicalrichness"))]


def _read(kept: dict[str, Any]) -> tuple[list[Row], int]:
    """Return rows from the cache. JSON has no NaN: it is None there."""
    rows = []
    for row in kept["rows"]:
        values: dict[str, Any] = {name: NAN if value is None else value for name, value in row.items()}
        values["interval"] = Interval(*(NAN if side is None else side for side in row["interval"].values()))
        rows.append(Row(**values))
    return rows, kept["tokens"]


BY_FOLDS = ("detectability",)
"""Measures whose intervals are of folds, not of half-samples."""


def _frame(name: str, verified: bool, sample: Sample, rows: list[Row], tokens: int, confidence: float) -> pd.DataFrame:
    by_measure = {row.measure: row for row in rows}
    ordered = [by_measure[measure] for measure in MEASURES]
    repeats = len(np.unique(sample.nest.repeats))
    spans = [row.interval if row.measure in BY_FOLDS else of_few_repeats(row.interval, row.value, repeats, confidence) for row in ordered]
    numbers = {part: [float(getattr(row, part)) for row in ordered] for part in ("value", "reference", "effect", "adjusted", "p")}
    return pd.DataFrame({
        "arm": name, "verified": verified, "measure": list(MEASURES), "family": list(MEASURES.values()), **numbers,
        "low": [float(one.low) for one in spans], "high": [float(one.high) for one in spans],
        "effect_kind": [row.effect_kind for row in ordered], "n_texts": len(sample.texts), "n_tokens": tokens,
        "note": [row.note for row in ordered], "sample": sample.digest,
    })  # fmt: skip


def _corrected(panel: pd.DataFrame) -> pd.DataFrame:
    panel["p_holm"] = NAN
    # Candidates before and after verification are two readings of one experiment; the control is none of its claims. Arms that share
    # their texts are one test.
    for _, rows in panel.groupby(["family", panel["arm"].isin([REAL, OTHER]), "verified"], sort=True):
        tests = rows.drop_duplicates(["sample", "measure"])
        found = dict(zip(zip(tests["sample"], tests["measure"], strict=True), holm(tests["p"].to_numpy(dtype=float)), strict=True))
        panel.loc[rows.index, "p_holm"] = [found[key] for key in zip(rows["sample"], rows["measure"], strict=True)]
    return panel


_shared: list[tuple[Studied, Authenticity, Mapping[str, str]]] = []


def _share(*shared: Any) -> None:
    _shared[:] = [shared]  # once a process: the reference keeps its richness at each number of tokens


def _measure(arm: Studied | None, progress: Callable[[int], None]) -> list[Row]:
    """Return the row of every measure of an arm; None: of the reference."""
    reference, params, missing = _shared[0]
    arm = arm or reference
    if not arm.with_words:
        return [Row(measure, note="no words in this arm") for measure in MEASURES]
    if arm.compared and not reference.with_words:
        return [Row(measure, note="no words in the reference") for measure in MEASURES]
    labels = labellings(arm, reference, params)
    return [
        *rate_rows(arm, reference, params, missing, labels),
        *amount_rows(arm, reference, params, labels),
        _detectability(arm, reference, params),
    ]


def _detectability(arm: Studied, reference: Studied, params: Authenticity) -> Row:
    if not arm.compared:
        return Row("detectability", reference=0.5, effect_kind="2auc-1", note="the reference is not compared with itself; chance is 0.5")
    found = detect(
        arm.sample.texts, reference.sample.texts,
        permutations=params.permutations, confidence=params.confidence, seed=params.random_seed,
    )  # fmt: skip
    if math.isnan(found.auc):
        return Row("detectability", reference=0.5, effect_kind="2auc-1", note=f"too few different texts of each kind ({found.n})")
    note = f"reference is chance; {found.n} texts of each kind"
    return Row("detectability", found.auc, Interval(found.low, found.high), 0.5, 2 * found.auc - 1, "2auc-1", found.p, note)
