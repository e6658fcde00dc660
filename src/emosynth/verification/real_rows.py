"""Labels that labellers give to real rows: to a seed's own, or to unlabelled rows of the pool."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from emosynth.design.arms import ResolvedArm, cells_of_arm, own_rows, resolve_arms
from emosynth.design.cells import NO_SEED, Cell
from emosynth.labellers.base import Labelled, Labeller
from emosynth.params import Params
from emosynth.seeding.real import RealText
from emosynth.seeding.unlabelled import unlabelled_rows
from emosynth.verification.accept import SoftLabels, Where, labeller_name, place_of_labels
from emosynth.verification.judge import OpenJudge


def real_rows(params: Params, real: RealText) -> Iterator[tuple[ResolvedArm, Cell, pd.DataFrame]]:
    """Yield the rows of every arm whose labellers label real rows, cell by cell: candidate_id, text, labels, kind.

    Labels of the seed are its annotation; unlabelled rows have none: whoever annotated them, nothing here sees it.
    """
    for arm in resolve_arms(params).values():
        for cell in cells_of_arm(params, arm) if arm.origin is None and arm.labellers else []:
            seed = real.seed(cell)
            ids, texts, labels = list(seed.ids), list(seed.texts), list(seed.labels)
            if arm.spec.add == "unlabelled":
                more = unlabelled_rows(params, real.order, cell, own_rows(params, arm, cell))
                known = real.corpora[cell.corpus].frame.set_index("id")["text"]
                ids, texts, labels = [*ids, *more], [*texts, *map(str, known.loc[more])], [*labels, *([] for _ in more)]
            yield arm, cell, pd.DataFrame({"candidate_id": ids, "text": texts, "labels": labels, "kind": ""})


def label_real_rows(params: Params, real: RealText, judge: OpenJudge, soft: SoftLabels) -> None:
    """Add to a table the labels of real rows that arms need and that it lacks."""
    wanted: dict[tuple[str, Where, str], tuple[Labeller, list[pd.DataFrame]]] = {}
    for arm, cell, rows in real_rows(params, real):
        for labeller, _ in arm.labellers:
            if labeller.name != "asked":
                # Of rows of the seed in an arm of unlabelled rows only the teacher is asked, who may soften them (mix.soft_seed).
                own = rows if arm.spec.add == "none" or labeller.distils else rows.iloc[cell.size :]
                key = labeller_name(labeller), place_of_labels(labeller, cell), cell.corpus
                wanted.setdefault(key, (labeller, []))[1].append(own)
    for (name, where, corpus), (labeller, parts) in wanted.items():
        space = real.spaces[corpus]
        rows = pd.concat(parts).drop_duplicates("candidate_id")
        rows = rows[~soft.holds(name, where, space.name, rows["candidate_id"].tolist())].reset_index(drop=True)
        if len(rows):
            targets = space.multi_hot(rows["labels"].tolist())
            cell = Cell(corpus, where[2], where[1]) if labeller.needs_seed else Cell(corpus, NO_SEED, NO_SEED)
            shown = Labelled(rows, cell, space, space, targets, targets, judge)
            soft.label(name, where, rows["candidate_id"].tolist(), labeller.log_p(shown), space.name)
