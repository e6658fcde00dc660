"""Contextual rows of one arm with their labels: utterances that were written from a situation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosynth.authenticity import arm_rows
from emosynth.cards import read_table
from emosynth.corpora import load_corpus
from emosynth.design.arms import ResolvedArm, cells_of_arm, resolve_arms
from emosynth.design.cells import Cell
from emosynth.design.space import TARGET, FloatArray, Space, space_of_corpus, space_of_taxonomy
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.taxonomy import Taxonomies, Taxonomy

CONTEXTUAL = "contextual"


@dataclass(frozen=True)
class Contextual:
    """Rows of one arm.

    Attributes
    ----------
    arm
        The arm.
    corpus
        Whose seeds the arm's rows belong to.
    space
        The labels that were asked for.
    candidates
        All of its candidates, of all repeats, with the column ``accepted``.
    """

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
    verdicts = read_table(
        paths.verdicts / "verdicts.parquet", ["arm", "corpus", "size", "repeat", "candidate_id", "accepted"], stage="verification"
    )
    asked = arm.origin.space
    space = (
        space_of_corpus(load_corpus(paths, corpus, ["train"]), taxonomies) if asked == TARGET else space_of_taxonomy(taxonomies.get(asked))
    )
    return Contextual(arm, corpus, space, arm_rows(params, arm, corpus, None, candidates, verdicts))


def soft_targets(params: Params, given: Contextual, rows: pd.DataFrame, paths: Paths) -> FloatArray:
    """Return (n, k) labels as the arm mixes them: the sum over its labellers of share times probability.

    Labels in another space than the one asked for are left out, and the other shares scaled up.
    """
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
    return Taxonomy(
        space.name, space.name, "", "", space.labels, space.neutral, space.phrases, space.adjectives, dict.fromkeys(space.labels, ())
    )
