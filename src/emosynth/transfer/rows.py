"""Targets, and the rows that models for them are trained on: seeds, synthetic rows, rows of other corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.generation.plan import stable_seed
from emosynth.models.classifiers import FloatArray
from emosynth.params import Seeding, Transfer
from emosynth.progress import say
from emosynth.seeding import primary_labels, seed_rows, stratified_order
from emosynth.taxonomy import LabelMap, Taxonomies, Taxonomy
from emosynth.text import near_duplicates
from emosynth.transfer.design import Kind

PER_CORPUS = 4000
"""Rows of one other corpus that leave-one-out trains on, at most, so that one large corpus is not all there is."""

COLUMNS = (
    "row_id", "example_id", "arm", "kind", "emotions", "text", "context", "character", "passage_id", "story_id", "generator", "kept", "soft",
)  # fmt: skip
"""Columns of the synthetic rows."""


@dataclass(frozen=True)
class Rows:
    """What a model is trained on, in the labels of its target.

    Attributes
    ----------
    texts
        n texts.
    targets
        (n, k) soft labels.
    weights
        (n,) row weights.
    n_real, n_synthetic
        Different rows of either sort.
    """

    texts: list[str]
    targets: FloatArray
    weights: FloatArray
    n_real: int = 0
    n_synthetic: int = 0


@dataclass(frozen=True)
class Synthetic:
    """Synthetic rows in the labels of their own taxonomy: n texts and (n, k) soft labels."""

    texts: list[str]
    soft: FloatArray


@dataclass(frozen=True)
class Target:
    """A corpus to be transferred to.

    Attributes
    ----------
    labels
        k labels in the order of the taxonomy; the columns of everything below.
    order
        Seeds, see `emosynth.seeding.stratified_order`.
    train_texts, train
        Training texts and (n, k) multi-hot labels by place; ``place`` gives the place of an id.
    validation_texts, validation, test_texts, test
        Texts and (n, k) multi-hot labels of the held-out splits.
    """

    name: str
    task: str
    taxonomy: str
    labels: tuple[str, ...]
    order: pd.DataFrame
    place: Mapping[str, int]
    train_texts: list[str]
    train: FloatArray
    validation_texts: list[str]
    validation: FloatArray
    test_texts: list[str]
    test: FloatArray

    @property
    def single(self) -> bool:
        """Whether each row has exactly one label."""
        return self.task == "single"

    @property
    def held_out(self) -> list[str]:
        """Texts that no model may be trained on."""
        return [*self.validation_texts, *self.test_texts]

    def seed(self, size: int, repeat: int) -> Rows:
        """Return the seed's rows in rank order; those of a single-label target weigh so that all classes count alike."""
        places = [self.place[row] for row in seed_rows(self.order, repeat, size)["id"]]
        targets = self.train[places]
        return Rows([self.train_texts[place] for place in places], targets, self._weights(targets, np.ones(size)), n_real=size)

    def moved(self, texts: list[str], soft: FloatArray, label_map: LabelMap) -> Rows:
        """Return rows of another taxonomy with their labels moved to this target's.

        Of a multi-label target each label has the sum of what is mapped to it, at most 1. Of a single-label target a row's labels are
        scaled to sum to 1, and the row weighs as much as the mass that has a counterpart: a row without any says nothing
        about which class it is, and weighs 0.
        """
        summed = label_map.project(soft)
        if not self.single:
            return Rows(texts, np.clip(summed, 0.0, 1.0), np.ones(len(texts)))
        # shares may sum to 1 and a rounding error
        targets = np.clip(label_map.project(soft, renormalise=True), 0.0, 1.0)
        return Rows(texts, targets, self._weights(targets, np.clip(summed.sum(axis=1), 0.0, 1.0)))

    def _weights(self, targets: FloatArray, weights: FloatArray) -> FloatArray:
        # Macro-F1 counts classes alike. Without balance a seed's skew would stand against the even draw of synthetic rows,
        # and pre-training would seem to gain what balance alone gives.
        return balanced(targets, weights) if self.single else weights


def multi_hot(labels: Sequence[Sequence[str]], order: Sequence[str]) -> FloatArray:
    """Return (n, k) ones where a row has a label, in the given order of labels."""
    place = {label: column for column, label in enumerate(order)}
    out = np.zeros((len(labels), len(order)))
    for row, names in enumerate(labels):
        out[row, [place[name] for name in names]] = 1.0
    return out


def balanced(targets: FloatArray, weights: FloatArray) -> FloatArray:
    """Return row weights with which all labels that occur have the same mass, the total kept; each row's targets sum to 1.

    Exact for rows of one label; a row of several is weighted by the mean of its labels' factors, and masses are then nearly the same.
    """
    mass = weights @ targets
    factor = np.divide(weights.sum(), mass * max(1, (mass > 0).sum()), out=np.zeros_like(mass), where=mass > 0)
    return np.asarray(weights * (targets @ factor), dtype=np.float64)


def build_target(corpus: Corpus, taxonomies: Taxonomies, seeding: Seeding) -> Target:
    """Return a corpus as a target: labels in the order of its taxonomy, and its own seeds.

    Raises
    ------
    UserError
        If no taxonomy has the corpus's classes, or it is too small for the seeds.
    """
    taxonomy = taxonomies.of_classes(corpus.classes)
    labels = taxonomies.get(taxonomy).labels
    splits = {name: corpus.split(name) for name in ("train", "validation", "test")}
    texts = {name: rows["text"].tolist() for name, rows in splits.items()}
    truth = {name: multi_hot(rows["labels"].tolist(), labels) for name, rows in splits.items()}
    return Target(
        corpus.name,
        corpus.task,
        taxonomy,
        labels,
        stratified_order(corpus, seeding),
        {str(row): place for place, row in enumerate(splits["train"]["id"])},
        *(texts["train"], truth["train"], texts["validation"], truth["validation"], texts["test"], truth["test"]),
    )


def repeats_held_out(texts: Sequence[str], held_out: Sequence[str], threshold: float) -> npt.NDArray[np.bool_]:
    """Return which of n texts are near-duplicates of a held-out text."""
    out = np.zeros(len(texts), dtype=bool)
    out[[match.index for match in near_duplicates(texts, threshold, against=held_out)]] = True
    return out


# --- synthetic rows -------------------------------------------------------------------------------------


def kept_rows(rows: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """Return the synthetic rows that were kept, after a check.

    Raises
    ------
    UserError
        If a column is lacking, a soft label has another number of entries than the taxonomy, or an emotion is not its own.
    """
    lacking = [column for column in COLUMNS if column not in rows.columns]
    if lacking:
        raise UserError(f"The synthetic rows lack the column {lacking[0]}.", where="grounding rows", remedy="Make them again.")
    kept = rows[rows["kept"].astype(bool)].reset_index(drop=True)
    for row, emotions, soft in zip(kept["row_id"], kept["emotions"], kept["soft"], strict=True):
        strange = [label for label in emotions if label not in taxonomy.labels]
        if len(soft) != len(taxonomy.labels) or strange or not len(emotions):
            what = f"the emotion {strange[0]!r}" if strange else f"{len(emotions)} emotions and {len(soft)} soft labels"
            raise UserError(
                f"A synthetic row has {what}; {taxonomy.name} has {len(taxonomy.labels)} labels.",
                where=f"grounding rows, {row}",
                remedy="Make the rows with grounding.taxonomy as it is now.",
            )
    return kept


def draw(rows: pd.DataFrame, n: int, labels: Sequence[str], kind: Kind = "both") -> pd.DataFrame:
    """Return ``n`` rows of one arm, as evenly over emotions and kinds as there are rows; fewer if there are not so many.

    A row of two emotions counts for the rarer. A cell that runs out gives its places to the others. Which rows are drawn
    depends on their ids alone.
    """
    part = rows if kind == "both" else rows[rows["kind"] == kind]
    part = part.assign(
        _label=primary_labels(part.rename(columns={"emotions": "labels"}), labels),
        _key=[stable_seed("transfer", row) for row in part["row_id"]],
    ).sort_values(["_key", "row_id"], kind="stable")
    place = {label: position for position, label in enumerate(labels)}
    part = part.assign(_turn=part.groupby(["_label", "kind"]).cumcount(), _place=part["_label"].map(place))
    drawn = part.sort_values(["_turn", "_place", "kind"], kind="stable").head(n)
    return drawn.drop(columns=["_label", "_key", "_turn", "_place"]).reset_index(drop=True)


def as_synthetic(rows: pd.DataFrame) -> Synthetic:
    """Return texts and soft labels of rows; contexts are left out, since targets have none."""
    return Synthetic(rows["text"].tolist(), np.array(rows["soft"].tolist(), dtype=np.float64))


def synthetic_rows(
    rows: pd.DataFrame, taxonomy: Taxonomy, targets: Sequence[Target], params: Transfer, near_duplicate: float
) -> dict[str, pd.DataFrame]:
    """Return equally many rows of each arm of the contrast, none of which repeats a held-out text of any target.

    Raises
    ------
    UserError
        As in `kept_rows`, or if an arm has no row.
    """
    kept = kept_rows(rows, taxonomy)
    arms = {params.arm: "transfer.arm", **({params.against: "transfer.against"} if params.against else {})}
    usable: dict[str, pd.DataFrame] = {}
    held_out = [text for target in targets for text in target.held_out]
    for arm, key in arms.items():
        part = kept[kept["arm"] == arm].reset_index(drop=True)
        if part.empty:
            there = ", ".join(sorted(map(str, set(kept["arm"])))) or "none"
            raise UserError(f"No synthetic row of the arm {arm} was kept.", where=key, remedy=f"Name another arm; there are {there}.")
        repeated = repeats_held_out(part["text"].tolist(), held_out, near_duplicate)
        if repeated.any():
            say(f"transfer: {int(repeated.sum())} rows of {arm} repeat a held-out text and are left out")
        usable[arm] = part[~repeated]
    n = min(len(part) for part in usable.values())
    if params.rows is not None and params.rows > n:
        say(f"transfer: {params.rows} synthetic rows were asked for; the smallest arm has {n}, and all arms get as many")
    n = n if params.rows is None else min(n, params.rows)
    return {arm: draw(part, n, taxonomy.labels) for arm, part in usable.items()}


def joint(seed: Rows, synthetic: Rows) -> Rows:
    """Return seed and synthetic rows together, the seed repeated until it is about as many: neither side drowns the other."""
    times = max(1, round(len(synthetic.texts) / len(seed.texts)))
    return Rows(
        seed.texts * times + synthetic.texts,
        np.vstack([np.tile(seed.targets, (times, 1)), synthetic.targets]),
        np.concatenate([np.tile(seed.weights, times), synthetic.weights]),
        seed.n_real,
        len(synthetic.texts),
    )


def head_map(label_map: LabelMap) -> FloatArray:
    """Return the (k_source, k_target) matrix that turns the earlier head into the target's.

    The map's columns, each scaled to sum to 1: a target label starts at the *mean* logit of the labels that it takes in. Their
    sum, which the map itself would give, is far from any logit of the target's once there are several.
    """
    sums = label_map.matrix.sum(axis=0)
    return np.asarray(label_map.matrix / np.where(sums > 0, sums, 1.0), dtype=np.float64)


# --- rows of other corpora ------------------------------------------------------------------------------


Left = Literal["no map", "no row"]


def other_rows(
    target: Target, corpora: Mapping[str, Corpus], taxonomies: Taxonomies, near_duplicate: float
) -> tuple[Rows | None, dict[str, Left]]:
    """Return the training rows of all other corpora with their labels moved to the target's, and the corpora left out.

    At most `PER_CORPUS` rows of each, drawn by id; none that repeats a held-out text of the target. None: nothing is left.
    """
    parts: list[Rows] = []
    left: dict[str, Left] = {}
    for name, corpus in corpora.items():
        if name == target.name:
            continue
        try:
            label_map = taxonomies.map(taxonomies.of_classes(corpus.classes), target.taxonomy)
        except UserError:
            left[name] = "no map"
            continue
        train = corpus.split("train")
        keys = [stable_seed("leave-one-out", row) for row in train["id"]]
        train = train.assign(_key=keys).sort_values(["_key", "id"], kind="stable").head(PER_CORPUS)
        texts = train["text"].tolist()
        clean = np.flatnonzero(~repeats_held_out(texts, target.held_out, near_duplicate))
        hard = multi_hot(train["labels"].tolist(), label_map.source.labels)[clean]
        moved = target.moved([texts[int(row)] for row in clean], hard, label_map)
        if not (moved.weights > 0).any() or not moved.targets.any():
            left[name] = "no row"
            continue
        parts.append(moved)
    if not parts:
        return None, left
    texts, targets, weights = (
        [text for part in parts for text in part.texts],
        np.vstack([part.targets for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )
    together = Rows(texts, targets, weights, n_real=len(texts))
    return replace(together, weights=balanced(targets, weights)) if target.single else together, left
