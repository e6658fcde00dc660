"""The training set of each arm on each seed, and the gate that keeps the test split out of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.generation import quotas, wanted_rows
from emosynth.params import Generation, Seeding, Training
from emosynth.progress import say
from emosynth.seeding import balanced_pool_rows, pool_rows, seed_rows
from emosynth.text import fingerprint, near_duplicates


@dataclass(frozen=True)
class TrainingSet:
    """Rows to train on.

    Attributes
    ----------
    texts, labels
        Real rows first (the seed in rank order), then added rows.
    synthetic
        (n,) whether a row was generated.
    n_wanted
        Rows the arm was to add; fewer may have been had.
    n_dropped
        Generated rows left out because they repeat a test or validation text.
    """

    arm: str
    verified: bool
    size: int
    repeat: int
    texts: list[str]
    labels: list[str]
    synthetic: np.ndarray
    n_wanted: int
    n_dropped: int = 0

    @property
    def n_real(self) -> int:
        """Real rows."""
        return int((~self.synthetic).sum())

    @property
    def n_synthetic(self) -> int:
        """Generated rows."""
        return int(self.synthetic.sum())


def multiple(value: float) -> str:
    """Return how an expansion's factor is spelt in arm names: 1, 2, 0.5."""
    return f"{value:g}x"


def arm_variants(generation: Generation, training: Training) -> list[tuple[str, bool]]:
    """Return every (arm, verified) in the order of tables and figures."""
    real = [("seed", False)]
    real += [(f"real+{multiple(k)}", False) for k in training.real_expansions]
    real += [(f"real-balanced+{multiple(k)}", False) for k in training.balanced_real]
    return real + [(name, verified) for name in generation.arms for verified in (False, True)]


class Grower:
    """Builds training sets from seeds, pool and candidates.

    Parameters
    ----------
    corpus
        The target, all splits: the test split is needed to keep it out.
    order
        Orders of step 01.
    candidates
        Verified candidates of step 03.
    near_duplicate
        Jaccard similarity of word 3-grams from which two texts count as the same.

    Raises
    ------
    UserError
        When a real training row is a test row or a near-duplicate of one: the run must not go on.
    """

    def __init__(
        self,
        corpus: Corpus,
        order: pd.DataFrame,
        candidates: pd.DataFrame,
        *,
        seeding: Seeding,
        generation: Generation,
        training: Training,
        near_duplicate: float,
    ) -> None:
        self.corpus, self.order, self.generation, self.training = corpus, order, generation, training
        self._texts = dict(zip(corpus.frame["id"], corpus.frame["text"], strict=True))
        test = corpus.split("test")["text"].tolist()
        self._check_real(order, test, near_duplicate)
        held_out = [*test, *corpus.split("validation")["text"].tolist()]
        self.candidates = self._without_repeats(candidates, held_out, near_duplicate)

    def _check_real(self, order: pd.DataFrame, test: list[str], near_duplicate: float) -> None:
        ids = order["id"].unique().tolist()
        texts = [self._texts[row] for row in ids]
        known = {fingerprint(text) for text in test}
        leaks = [row for row, text in zip(ids, texts, strict=True) if fingerprint(text) in known]
        leaks += [ids[match.index] for match in near_duplicates(texts, near_duplicate, against=test)]
        if leaks:
            raise UserError(
                f"{len(set(leaks))} training rows repeat test rows; the first is {leaks[0]}.",
                where=f"seeds and pool of {self.corpus.name}",
                remedy="Build the corpora and seeds again (dvc repro -f 00_corpora); nothing may be trained on this.",
            )

    @staticmethod
    def _without_repeats(candidates: pd.DataFrame, held_out: list[str], near_duplicate: float) -> pd.DataFrame:
        """Mark generated texts that a test or validation row holds too: a language model can know or hit one by chance."""
        texts = candidates["text"].drop_duplicates().tolist()
        known = {fingerprint(text) for text in held_out}
        repeats = {text for text in texts if fingerprint(text) in known}
        repeats |= {texts[match.index] for match in near_duplicates(texts, near_duplicate, against=held_out)}
        return candidates.assign(repeats_held_out=candidates["text"].isin(repeats))

    def build(self, arm: str, verified: bool, size: int, repeat: int) -> TrainingSet | None:
        """Return an arm's training set, or None if the arm does not run on this size."""
        seed = seed_rows(self.order, repeat, size)
        texts, labels = [self._texts[row] for row in seed["id"]], seed["label"].tolist()
        if arm == "seed":
            return self._with(arm, False, size, repeat, texts, labels, [], [], False, 0)
        if arm.startswith("real"):
            kind, _, factor = arm.partition("+")
            count = round(float(factor.rstrip("x")) * size)
            draw = pool_rows if kind == "real" else balanced_pool_rows
            more = draw(self.order, repeat, size, count)
            if len(more) < count:
                say(f"training: {arm} at n = {size}, repeat {repeat}: the pool has {len(more)} of {count} rows")
            return self._with(
                arm, False, size, repeat, texts, labels, [self._texts[row] for row in more["id"]], more["label"].tolist(), False, count
            )
        of_cell = self.candidates[
            (self.candidates["arm"] == arm) & (self.candidates["size"] == size) & (self.candidates["repeat"] == repeat)
        ]
        if of_cell.empty:
            return None
        wanted = wanted_rows(self.generation, size)
        usable = of_cell[of_cell["accepted"]] if verified else of_cell[of_cell["ok_nonempty"]]
        dropped = int(usable["repeats_held_out"].sum())
        usable = usable[~usable["repeats_held_out"]].sort_values("index", kind="stable")
        shares = quotas(wanted, self.corpus.classes)
        chosen = pd.concat([usable[usable["label"] == label].head(count) for label, count in shares.items()])
        return self._with(
            arm, verified, size, repeat, texts, labels, chosen["text"].tolist(), chosen["label"].tolist(), True, wanted, dropped
        )

    @staticmethod
    def _with(
        arm: str,
        verified: bool,
        size: int,
        repeat: int,
        texts: list[str],
        labels: list[str],
        more: list[str],
        more_labels: list[str],
        generated: bool,
        wanted: int,
        dropped: int = 0,
    ) -> TrainingSet:
        synthetic = np.array([False] * len(texts) + [generated] * len(more), dtype=bool)
        return TrainingSet(arm, verified, size, repeat, texts + more, labels + more_labels, synthetic, wanted, dropped)


def wanted_by(learner_arms: Iterable[str] | None, arm: str, verified: bool, generating: bool) -> bool:
    """Whether a learner restricted to ``learner_arms`` runs on a variant.

    A generating arm's plain name means its verified text; ``name:unverified`` the other.
    """
    if learner_arms is None:
        return True
    name = arm if not generating or verified else f"{arm}:unverified"
    return name in set(learner_arms)
