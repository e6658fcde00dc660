"""Which texts are measured: an arm's, as written and as accepted, with the labels that a learner gets; and real text beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosynth.authenticity.sample import balanced_draw
from emosynth.design.arms import ResolvedArm, cells_of_arm
from emosynth.design.cells import stable_seed
from emosynth.seeding import primary_labels
from emosynth.trials.labels import label_rows
from emosynth.trials.sources import Sources

ROW_COLUMNS = ["id", "text", "label", "labels", "repeat", "cluster", "accepted"]


@dataclass(frozen=True)
class Real:
    """Real text of one corpus: rows in `ROW_COLUMNS`, ``repeat`` -1, each of itself a cluster.

    Attributes
    ----------
    seeds
        By repeat: texts of the largest seed. Repeats are disjoint.
    other, test
        Rows outside all seeds of all sizes, and test rows; class by class in an order that is drawn once.
    """

    seeds: dict[int, list[str]]
    other: pd.DataFrame
    test: pd.DataFrame


def real_text(sources: Sources, corpus: str) -> Real:
    """Return the real text of a corpus."""
    params, order = sources.params, sources.order[sources.order["corpus"] == corpus]
    largest = params.cells.sizes_of(corpus)[-1]
    frame, classes = sources.corpora[corpus].frame, sources.corpora[corpus].classes
    texts = dict(zip(frame["id"], frame["text"], strict=True))
    seeds = {
        int(str(repeat)): [texts[row] for row in rows["id"]] for repeat, rows in order[order["rank"] < largest].groupby("repeat", sort=True)
    }
    taken = set(order.loc[order["rank"] < largest, "id"])
    rows = frame[~frame["id"].isin(taken)]
    rows = rows.assign(label=primary_labels(rows, classes), repeat=-1, cluster=rows["id"], accepted=True)
    rows = rows.iloc[np.argsort([stable_seed("responsible", row) for row in rows["id"]], kind="stable")]
    test = rows["split"] == "test"
    return Real(seeds, *(rows.loc[which, ROW_COLUMNS].reset_index(drop=True) for which in (~test, test)))


def arm_texts(sources: Sources, arm: ResolvedArm, corpus: str) -> pd.DataFrame:
    """Return an arm's texts for the largest seeds that it has, each once; empty texts are left out.

    Returns
    -------
    pandas.DataFrame
        `ROW_COLUMNS`. ``label``: asked for; ``labels``: what a learner is given, in the classes of the corpus (none: nothing of the label has
        a counterpart there); ``cluster``: story, or prompt.
    """
    cells = [cell for cell in cells_of_arm(sources.params, arm) if cell.corpus == corpus]
    largest = max((cell.size for cell in cells), default=0)
    parts = [pd.DataFrame({column: [] for column in ROW_COLUMNS})]
    for cell in (cell for cell in cells if cell.size == largest):
        rows = sources.written(arm, cell)
        there = (rows["text"].fillna("").str.strip() != "").to_numpy()
        accepted = sources.accepted(arm, cell)[there]
        rows = rows[there]
        story = rows["story_id"].fillna("")
        parts.append(
            pd.DataFrame(
                {
                    "id": rows["candidate_id"].tolist(), "text": rows["text"].tolist(), "label": rows["label"].tolist(),
                    "labels": _given(sources, arm, cell, rows, accepted), "repeat": cell.repeat,
                    "cluster": story.where(story != "", rows["prompt"].fillna("")).tolist(), "accepted": accepted,
                }
            )
        )  # fmt: skip
    filled = [part for part in parts if len(part)] or parts
    return pd.concat(filled, ignore_index=True).drop_duplicates("id", ignore_index=True)


def _given(sources: Sources, arm: ResolvedArm, cell: object, rows: pd.DataFrame, accepted: np.ndarray) -> list[list[str]]:
    """Return the classes that accepted rows are given; the others are given none."""
    given: list[list[str]] = [[] for _ in range(len(rows))]
    if accepted.any():
        made = label_rows(sources, arm, cell, rows[accepted], 0.0, moved=True)  # type: ignore[arg-type]
        names = np.array(made.space.labels, dtype=object)
        for place, row, mass in zip(np.flatnonzero(accepted), made.targets, made.mass, strict=True):
            chosen = [int(row.argmax())] if made.space.single else np.flatnonzero(row >= 0.5).tolist()
            given[place] = [str(names[number]) for number in chosen] if mass > 0 else []
    return given


def drawn(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return at most ``count`` rows, label by label, in their order."""
    places = {label: np.flatnonzero((rows["label"] == label).to_numpy()).tolist() for label in dict.fromkeys(rows["label"])}
    return rows.iloc[sorted(balanced_draw(places, count))]
