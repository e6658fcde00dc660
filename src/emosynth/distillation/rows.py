"""The training rows of one run: real rows, synthetic rows within the budget, weights, soft labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.corpora import Corpus
from emosynth.distillation.design import ALL_DEFECTS, BATCH_WEIGHTS, MIXED_EVALUATION, OVER_PROBABILITIES, Run
from emosynth.distillation.quality import accepted_at
from emosynth.distillation.teacher import Teachers
from emosynth.generation import quotas
from emosynth.learning.arms import Grower
from emosynth.models.calibration import scaled_softmax

FloatArray = npt.NDArray[np.float64]

HELD_BACK = 0.1
"""Share of the synthetic rows that the published protocol puts into validation, and again into test."""


@dataclass(frozen=True)
class Rows:
    """What one student is trained on.

    Attributes
    ----------
    texts, labels
        Real rows first.
    weights
        (n,) 1 for real rows, β for synthetic ones.
    teacher
        (n, k) logits of the teacher over its own temperature; None: hard labels only.
    n_real, n_synthetic, n_wanted, n_generated
        Counts; ``n_generated``: candidates that had to be generated to get the synthetic rows.
    validation, test
        Synthetic texts and labels put among the held-out rows (a defect of the published protocol); else empty.
    batch_weights
        Whether row weights are applied after the mean over the batch (another).
    """

    texts: list[str]
    labels: list[str]
    weights: FloatArray
    teacher: FloatArray | None
    n_real: int
    n_synthetic: int
    n_wanted: int
    n_generated: int
    validation: tuple[list[str], list[str]] = ((), ())  # type: ignore[assignment]
    test: tuple[list[str], list[str]] = ((), ())  # type: ignore[assignment]
    batch_weights: bool = False


class RowBuilder:
    """Builds the rows of runs.

    Parameters
    ----------
    grower
        Gives real rows, and marks candidates that repeat a held-out text; they are never used.
    logits
        Soft labels of step 07.
    teachers
        Give the seed's own rows their soft labels.
    """

    def __init__(self, corpus: Corpus, grower: Grower, logits: pd.DataFrame, teachers: Teachers) -> None:
        self.corpus, self.grower, self.teachers = corpus, grower, teachers
        self._cells = {
            (str(arm), int(str(size)), int(str(repeat))): frame.sort_values(["index", "label"], kind="stable")
            for (arm, size, repeat), frame in grower.candidates.groupby(["arm", "size", "repeat"], sort=False)
        }
        self._logits: dict[str, tuple[Mapping[str, int], FloatArray]] = {}
        for name, frame in logits.groupby("teacher", sort=False):
            scaled = np.array(frame["logits"].tolist(), dtype=float) / frame["temperature"].to_numpy(dtype=float)[:, None]
            self._logits[str(name)] = ({row: place for place, row in enumerate(frame["candidate_id"])}, scaled)
        self._common: dict[tuple[str, int, int], int] = {}

    def _teacher_logits(self, frame: pd.DataFrame, teacher: str) -> FloatArray:
        place, values = self._logits[teacher]
        return values[[place[row] for row in frame["candidate_id"]]]

    def accepted(self, frame: pd.DataFrame, run: Run) -> pd.DataFrame:
        """Return the candidates that the run's teacher accepts at its τ."""
        if not run.oracle:
            return frame[accepted_at(frame, run.tau) & ~frame["repeats_held_out"].to_numpy()]
        probabilities = scaled_softmax(self._teacher_logits(frame, "oracle"), 1.0)
        intended = np.array([self.corpus.classes.index(label) for label in frame["label"]])
        sure = probabilities[np.arange(len(frame)), intended]
        others = [name for name in frame.columns if name.startswith("ok_") and name not in ("ok_agreement", "ok_confidence")]
        ok = frame[others].to_numpy(dtype=bool).all(axis=1) & (probabilities.argmax(axis=1) == intended) & (sure >= run.tau)
        return frame[ok & ~frame["repeats_held_out"].to_numpy()]

    def same_for_all(self, run: Run, taus: list[float]) -> int:
        """Return the rows that every τ can have, so that a sweep over τ compares quality and not quantity."""
        key = (run.arm, run.size, run.repeat)
        if key not in self._common:
            frame = self._cells[key]
            counts = []
            for tau in taus:
                kept = frame[accepted_at(frame, tau) & ~frame["repeats_held_out"].to_numpy()]["label"].value_counts()
                counts.append(min(int(kept.get(label, 0)) for label in self.corpus.classes) * len(self.corpus.classes))
            self._common[key] = min(counts)
        return self._common[key]

    def build(self, run: Run, taus: list[float]) -> Rows | None:
        """Return the rows of a run; None if its arm has no candidates for its seed.

        Parameters
        ----------
        taus
            All τ of the sweep over τ.
        """
        if run.arm not in self.grower.generation.arms:
            made = self.grower.build(run.arm, False, run.size, run.repeat)
            assert made is not None  # real arms run on every seed
            return Rows(made.texts, made.labels, np.ones(len(made.texts)), None, len(made.texts), 0, made.n_wanted, 0)
        frame = self._cells.get((run.arm, run.size, run.repeat))
        if frame is None:
            return None
        wanted = run.rows
        if run.generated:
            frame = pd.concat([frame[frame["label"] == label].head(n) for label, n in quotas(wanted, self.corpus.classes).items()])
        usable = self.accepted(frame, run) if run.verified else frame[frame["ok_nonempty"] & ~frame["repeats_held_out"]]
        if run.sweep == "tau":
            wanted = min(wanted, self.same_for_all(run, taus))
        parts = [usable[usable["label"] == label].head(n) for label, n in quotas(wanted, self.corpus.classes).items()]
        chosen = pd.concat(parts)
        generated = wanted if run.generated else self._generated(frame, usable, wanted)
        return self._mix(run, chosen, wanted, generated)

    def _generated(self, frame: pd.DataFrame, usable: pd.DataFrame, wanted: int) -> int:
        """Return the candidates that had to be generated: up to the last row used, and all of a class that runs short."""
        total = 0
        for label, n in quotas(wanted, self.corpus.classes).items():
            places = usable["index"][usable["label"] == label].head(n)
            total += int(places.max()) + 1 if n and len(places) == n else int((frame["label"] == label).sum()) if n else 0
        return total

    def _mix(self, run: Run, chosen: pd.DataFrame, wanted: int, generated: int) -> Rows:
        name = "oracle" if run.oracle else "seed"
        validation: tuple[list[str], list[str]] = ([], [])
        test: tuple[list[str], list[str]] = ([], [])
        if run.variant in (MIXED_EVALUATION, ALL_DEFECTS):
            # Every tenth row of each class goes to validation, the one after it to test: no shuffling, no chance.
            turn = chosen.groupby("label", sort=False).cumcount().to_numpy() % round(1 / HELD_BACK)
            validation, test = ((chosen["text"][turn == rest].tolist(), chosen["label"][turn == rest].tolist()) for rest in (0, 1))
            chosen = chosen[turn > 1]
        seed = self.grower.build("seed", False, run.size, run.repeat)
        assert seed is not None
        teacher: FloatArray | None = None
        if run.soft and run.alpha > 0:
            model = self.teachers[name, run.size, run.repeat]  # type: ignore[index]
            real = model.logits(seed.texts) / model.temperature
            teacher = np.vstack([real, self._teacher_logits(chosen, name)])
            if run.variant in (OVER_PROBABILITIES, ALL_DEFECTS):
                teacher = scaled_softmax(teacher, 1.0)
        weights = np.concatenate([np.ones(len(seed.texts)), np.full(len(chosen), run.beta)])
        return Rows(
            seed.texts + chosen["text"].tolist(),
            seed.labels + chosen["label"].tolist(),
            weights,
            teacher,
            len(seed.texts),
            len(chosen),
            wanted,
            generated,
            validation,
            test,
            run.variant in (BATCH_WEIGHTS, ALL_DEFECTS),
        )
