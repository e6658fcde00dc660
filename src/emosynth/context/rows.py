"""Contextual rows of one arm with their labels: utterances that were written from a situation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from emosynth.authenticity.sample import VERDICTS, arm_rows
from emosynth.cards import read_table
from emosynth.corpora import load_corpus
from emosynth.design.arms import ResolvedArm, cells_of_arm, resolve_arms
from emosynth.design.cells import Cell, stable_seed
from emosynth.design.space import TARGET, FloatArray, Space, space_of_corpus, space_of_taxonomy
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.taxonomy import Taxonomies, Taxonomy

if TYPE_CHECKING:
    from emosynth.labellers.reading import LanguageReader

CONTEXTUAL = "contextual"


@dataclass(frozen=True)
class Contextual:
    """Rows of one arm: whose seeds they belong to, labels that were asked for, all candidates of all repeats with ``accepted``."""

    arm: ResolvedArm
    corpus: str
    space: Space
    candidates: pd.DataFrame

    @property
    def rows(self) -> pd.DataFrame:
        """Accepted contextual rows."""
        kept = self.candidates["accepted"].astype(bool) & (self.candidates["kind"] == CONTEXTUAL)
        return self.candidates[kept].reset_index(drop=True)


def chosen_arm(params: Params) -> ResolvedArm | None:
    """Return the arm that ``context.arm`` names, or the first that writes utterances from passages; None: there is none."""
    arms = resolve_arms(params)
    if params.context.arm is not None:
        return arms[params.context.arm]
    for arm in arms.values():
        guide = arm.origin.narrative if arm.origin is not None else None
        if guide is not None and getattr(guide.settings, "grounded", True) and CONTEXTUAL in getattr(guide.settings, "kinds", [CONTEXTUAL]):
            return arm
    return None


def load_contextual(params: Params, paths: Paths, taxonomies: Taxonomies) -> Contextual | None:
    """Return the rows of the arm that is chosen, on the first corpus that it runs on; None: there is no such arm."""
    arm = chosen_arm(params)
    if arm is None or arm.origin is None:
        return None
    corpus = next(name for name in params.corpora.names if arm.spec.corpora is None or name in arm.spec.corpora)
    candidates = read_table(paths.candidates / "candidates.parquet", stage="generation")
    verdicts = read_table(paths.verdicts / "verdicts.parquet", VERDICTS, stage="verification")
    own = arm.origin.space == TARGET
    space = (
        space_of_corpus(load_corpus(paths, corpus, ["train"]), taxonomies) if own else space_of_taxonomy(taxonomies.get(arm.origin.space))
    )
    return Contextual(arm, corpus, space, arm_rows(params, arm, corpus, None, candidates, verdicts))


def soft_targets(params: Params, given: Contextual, rows: pd.DataFrame, paths: Paths) -> FloatArray:
    """Return (n, k) labels as the arm mixes them: shares times probability, less labels in another space, shares scaled up."""
    from emosynth.verification import load_soft

    here = given.arm.origin is not None and given.arm.origin.space == TARGET
    wanted = given.space.multi_hot(rows["labels"].tolist())
    asked = wanted / np.maximum(1.0, wanted.sum(axis=1, keepdims=True))
    used = [(labeller, share) for labeller, share in given.arm.labellers if share > 0 and (labeller.in_space == "asked" or here)]
    out, total = np.zeros_like(asked), sum(share for _, share in used)
    if not total:
        return asked
    soft = load_soft(paths) if any(labeller.name != "asked" for labeller, _ in used) else None
    size = max(cell.size for cell in cells_of_arm(params, given.arm) if cell.corpus == given.corpus)
    for labeller, share in used:
        if labeller.name == "asked" or soft is None:
            out += share / total * asked
            continue
        for repeat in dict.fromkeys(rows["repeat"].tolist()):
            places = np.flatnonzero((rows["repeat"] == repeat).to_numpy())
            ids = [str(item) for item in rows["candidate_id"].iloc[places]]
            out[places] += share / total * np.exp(soft.log_p(labeller, ids, Cell(given.corpus, int(repeat), size)))
    return np.clip(out, 0.0, 1.0)


def taxonomy_of(space: Space, taxonomies: Taxonomies) -> Taxonomy:
    """Return the taxonomy that has a space's labels, or one made of the space's own words."""
    for name in taxonomies.names:
        if set(taxonomies.get(name).labels) == set(space.labels):
            return taxonomies.get(name)
    words = (space.labels, space.neutral, space.phrases, space.adjectives, dict.fromkeys(space.labels, ()))
    return Taxonomy(space.name, space.name, "", "", *words)


# --- how well the language model that reads labels off written rows reads real ones ---

_MEASURES = ["mrr", "top1", "top5"]
READER = ["corpus", "labels", "n", *_MEASURES, *(f"frequency_{measure}" for measure in _MEASURES)]


def read_real(params: Params, paths: Paths, taxonomies: Taxonomies, reader: LanguageReader) -> pd.DataFrame:
    """Read validation rows of each corpus with its own labels, beside a ranking by their frequency among training rows: `READER`.

    Which rows (``context.reader_rows`` at most) depends on their ids alone; see `emosynth.labellers.reading.reading_quality`.
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
    return pd.DataFrame(out, columns=READER)
