"""The training rows of a trial: seed rows, added rows, their labels and weights, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from emosynth.design.arms import ResolvedArm, changed_arms, own_rows, resolve_arm, resolve_arms, wanted_rows
from emosynth.design.cells import Cell, quotas, stable_seed
from emosynth.design.rows import Rows, Stage, hard_rows, joined
from emosynth.design.space import TARGET, FloatArray, Space
from emosynth.labellers.base import FLOOR
from emosynth.learners.base import Learner
from emosynth.models.loss import softmax
from emosynth.progress import say
from emosynth.seeding import balanced_pool_rows, pool_rows
from emosynth.seeding.unlabelled import unlabelled_rows
from emosynth.trials.budget import Ask, BoolArray, Chosen, choose, first_written, token_counts
from emosynth.trials.fromfile import file_space, load_file, places_of
from emosynth.trials.gate import repeating
from emosynth.trials.labels import Labelling, annotated, label_rows, moved_labels, seed_teacher, settled
from emosynth.trials.plan import Trial
from emosynth.trials.sources import Sources
from emosynth.verification.accept import has_oracle

PER_CORPUS = 4000
"""Rows of one other corpus, at most, so that one large corpus is not all there is."""

HELD_BACK = 10
"""Of so many written rows one goes to the test rows, where ``mixed-evaluation`` is switched on."""

REFERENCE = "naive"
"""The arm whose tokens are the budget of the others, if there is one of this name."""


@dataclass(frozen=True)
class Built:
    """What a trial is trained on.

    Attributes
    ----------
    seed_rows
        Rows at the beginning of the last stage that are the seed.
    mixed
        Written texts and their labels that a flaw puts among the test rows.
    """

    stages: list[Stage]
    seed_rows: int
    n_real: int
    n_synthetic: int
    n_wanted: int = 0
    n_generated: int = 0
    tokens: int = 0
    n_dropped: int = 0
    mixed: tuple[list[str], FloatArray] | None = None

    @property
    def texts(self) -> list[str]:
        """All texts that a model may see, test rows aside."""
        return [text for stage in self.stages for text in stage.rows.texts] + (self.mixed[0] if self.mixed else [])


@dataclass(frozen=True)
class _Added:
    """Rows that an arm adds, in a space."""

    rows: Rows
    space: Space
    chosen: list[Chosen] = field(default_factory=list)
    n_wanted: int = 0


class Builder:
    """Builds the rows of trials."""

    def __init__(self, sources: Sources) -> None:
        self.sources, self.params = sources, sources.params
        self._others: dict[str, Rows] = {}
        self._tokens: dict[Cell, int] = {}
        self._most: dict[tuple[str, str, Cell], dict[str, int]] = {}
        self._arms = resolve_arms(sources.params)
        # Indexed by Python strings, once: an index of Arrow strings is hashed anew at each look-up, a sixth of the time of planning.
        self._by_id = {name: corpus.frame.set_index(corpus.frame["id"].astype(object)) for name, corpus in sources.corpora.items()}

    # --- what means nothing -------------------------------------------------------------------------

    def obstacle(self, arm: ResolvedArm, cell: Cell, learner: Learner | None = None) -> str:
        """Return why an arm means nothing in a cell for a learner (None: for one that takes labels alone from a first stage); empty: it does."""
        if arm.spec.add == "other-corpora" and not len(self._other_rows(cell.corpus)):
            return "no row of another corpus has a label that maps to this one"
        if arm.spec.add in ("real", "real-balanced") and pool_rows(self.sources.order, cell, 1).empty:
            return f"a seed of {cell.size} labels holds all training rows, so that no real row is left to add"
        if arm.spec.add == "unlabelled" and not unlabelled_rows(self.params, self.sources.order, cell, 1):
            return f"at {cell.size} labels the pool has no row beyond seed and real expansion"
        if "double-softmax" in arm.spec.flaws and not self.sources.spaces[cell.corpus].single:
            return "where rows may have several labels no softmax is taken over them"
        if not arm.spec.mix.balance and not self.sources.spaces[cell.corpus].single:
            return "where rows may have several labels there are no class weights to switch off"
        if has_oracle(arm) and not any(map(has_oracle, (base := self._arms[arm.name], *changed_arms(base)))):
            return f"with {dict(arm.overrides)} it asks an oracle that its arm does not name: put that into arms.{arm.name}.changes"
        parts = [self._arms[name] for name in arm.spec.plus] + ([arm] if arm.written else [])
        for part in [*parts, *([self._arms[arm.spec.after]] if arm.spec.after else [])]:
            assert part.origin is not None  # parts of an arm are written
            if self.sources.written(part, cell).empty:
                return f"nothing was written by {part.origin.name}"
        # Gradient steps on labels of another list shape a whole encoder; of a regression such a first stage leaves the prior of what maps.
        deep = learner is not None and learner.stepped
        if arm.spec.mix.order != "first" or arm.spec.plus or not deep:
            for part in [*parts, *([arm] if arm.spec.add == "file" else [])]:
                if unheard := self._unheard(part, cell.corpus):
                    return unheard
        if arm.spec.after is not None and not deep and (unheard := self._unheard(self._arms[arm.spec.after], cell.corpus)):
            return f"{unheard}, and {arm.spec.after} is what it comes after"
        return ""

    def _unheard(self, arm: ResolvedArm, corpus: str) -> str:
        """Return that no label of an arm's rows has a counterpart in a corpus; empty: one has."""
        asked = file_space(self.sources, arm, corpus) if arm.origin is None else self.sources.asked(arm.origin, corpus)
        if not arm.relabelled and not self.sources.map(asked, self.sources.spaces[corpus]).matrix.any():
            return f"no label of {asked.name} maps to one of {corpus}"
        return ""

    # --- stages -------------------------------------------------------------------------------------

    def build(self, trial: Trial, learner: Learner) -> Built:
        """Return the rows of a trial for a learner.

        A learner without a distillation loss gets the teacher's labels mixed into the targets, and one that cannot be trained in
        stages gets rows of another space moved into the corpus's.
        """
        arm, cell = trial.arm, trial.cell
        space, mix, spec = self.sources.spaces[cell.corpus], trial.arm.spec.mix, trial.arm.spec
        alpha = sum(share for labeller, share in arm.labellers if labeller.distils) if learner.distils else 0.0
        in_own_space = learner.staged and mix.order != "joint" and not spec.plus
        seed = self._seed(cell, arm, alpha)
        stages: list[tuple[Rows, Space]] = []
        chosen: list[Chosen] = []
        if spec.after is not None:
            first = self._written(trial, self._arms[spec.after], 0.0, moved=False)
            stages.append((first.rows, first.space))
            chosen += first.chosen
        added = self._added(trial, alpha, moved=not in_own_space) if spec.add != "none" else None
        mixed = None
        if added is not None:
            chosen += added.chosen
            if "mixed-evaluation" in spec.flaws:
                added, mixed = self._held_back(added, space)
        seed_rows = len(seed)
        if added is None:
            stages.append((seed, space))
        elif mix.order == "joint":
            stages.append((_together(seed, added.rows), space))
        else:
            stages.append((added.rows, added.space))
            if mix.order == "first":
                stages.append((seed, space))
            else:
                seed_rows = 0
        kept = [
            (self._with_loss(part, arm, alpha), own) for place, (part, own) in enumerate(stages) if len(part) or place == len(stages) - 1
        ]
        rows = [item[0] for item in kept]
        return Built(
            self._linked(kept, space), seed_rows, sum(part.n_real for part in rows), sum(part.n_synthetic for part in rows),
            added.n_wanted if added is not None else 0, sum(part.n_generated for part in chosen), sum(part.tokens for part in chosen),
            sum(part.n_dropped for part in chosen), mixed,
        )  # fmt: skip

    def _linked(self, stages: Sequence[tuple[Rows, Space]], space: Space) -> list[Stage]:
        """Return stages with the maps between them; the last has one only if it is not in the corpus's space."""
        out = []
        for place, (rows, own) in enumerate(stages):
            following = stages[place + 1][1] if place + 1 < len(stages) else space
            last = place + 1 == len(stages)
            out.append(Stage(rows, own, None if last and own.labels == space.labels else self.sources.map(own, following)))
        return out

    def _seed(self, cell: Cell, arm: ResolvedArm, alpha: float) -> Rows:
        seed = self.sources.seed(cell)
        rows = self._annotated(cell.corpus, seed.ids)
        if arm.spec.add == "none" and arm.labellers:
            given = pd.DataFrame({"candidate_id": seed.ids, "labels": seed.labels, "shares": list(rows.targets)})
            labels = label_rows(self.sources, arm, cell, given, alpha, moved=True)
            return replace(rows, targets=labels.targets, teacher=labels.teacher)
        if alpha > 0 and arm.spec.mix.soft_seed:
            rows = replace(rows, teacher=seed_teacher(self.sources, arm, cell, seed.ids))
        return rows

    def _annotated(self, name: str, ids: Sequence[str]) -> Rows:
        """Return rows of a corpus with its labels: shares where it has them."""
        space, found = self.sources.spaces[name], self._by_id[name].loc[list(ids)]
        return replace(hard_rows(found["text"].tolist(), found["labels"].tolist(), space), targets=annotated(found, space))

    @staticmethod
    def _with_loss(rows: Rows, arm: ResolvedArm, alpha: float) -> Rows:
        teacher = rows.teacher
        if teacher is not None and "double-softmax" in arm.spec.flaws:
            teacher = softmax(np.exp(teacher), arm.spec.mix.temperature)
        return replace(
            rows, teacher=teacher, alpha=alpha if teacher is not None else 0.0, temperature=arm.spec.mix.temperature,
            batch_weights="batch-weights" in arm.spec.flaws, balance=arm.spec.mix.balance,
        )  # fmt: skip

    # --- added rows ---------------------------------------------------------------------------------

    def _added(self, trial: Trial, alpha: float, *, moved: bool) -> _Added:
        arm, cell = trial.arm, trial.cell
        if arm.spec.add == "file":
            own = self._file(arm, cell, moved=moved)
        else:
            own = self._written(trial, arm, alpha, moved=moved) if arm.written else self._real(arm, cell, alpha)
        rows, chosen, n_wanted = own.rows, list(own.chosen), own.n_wanted
        for name in arm.spec.plus:
            part = self._written(trial, self._arms[name], alpha, moved=True)
            rows, chosen, n_wanted = _together(rows, part.rows), chosen + part.chosen, n_wanted + part.n_wanted
        return _Added(replace(rows, weights=rows.weights * arm.spec.mix.weight), own.space, chosen, n_wanted)

    def _file(self, arm: ResolvedArm, cell: Cell, *, moved: bool) -> _Added:
        assert arm.spec.file is not None  # the design is checked
        asked, space = file_space(self.sources, arm, cell.corpus), self.sources.spaces[cell.corpus]
        found, places = load_file(self.sources, arm, cell.corpus), places_of(self.sources, arm, cell)
        shares = found.shares[places]
        labels = settled(self.sources.map(asked, space).project(shares), space) if moved else settled(shares, asked)
        rows = _rows([found.texts[place] for place in places], labels, synthetic=arm.spec.file.synthetic)
        kept = rows.take(np.flatnonzero(rows.weights > 0))  # no label of the others has a counterpart
        return _Added(kept, labels.space, n_wanted=wanted_rows(self.params, arm, cell))

    def _real(self, arm: ResolvedArm, cell: Cell, alpha: float) -> _Added:
        space = self.sources.spaces[cell.corpus]
        count = own_rows(self.params, arm, cell)
        if arm.spec.add == "other-corpora":
            others = self._other_rows(cell.corpus)
            if arm.spec.growth is not None:  # else all there are
                others = others.take(np.sort(np.random.default_rng(stable_seed("others", cell)).permutation(len(others))[:count]))
            return _Added(others, space, n_wanted=count if arm.spec.growth is not None else len(others))
        if arm.spec.add == "unlabelled":
            drawn = unlabelled_rows(self.params, self.sources.order, cell, count)
        else:
            expand = pool_rows if arm.spec.add == "real" else balanced_pool_rows
            drawn = list(expand(self.sources.order, cell, count)["id"])
        if len(drawn) < count:
            say(f"training: {arm.name} at {cell}: the pool has {len(drawn)} of {count} rows")
        found = self._by_id[cell.corpus].loc[drawn]
        if arm.spec.add == "unlabelled":
            bare = pd.DataFrame({"candidate_id": drawn, "labels": [[] for _ in drawn]})
            labels = label_rows(self.sources, arm, cell, bare, alpha, moved=True)
            return _Added(_rows(found["text"].tolist(), labels, synthetic=False), space, n_wanted=count)
        return _Added(self._annotated(cell.corpus, drawn), space, n_wanted=count)

    def _other_rows(self, name: str) -> Rows:
        """Return training rows of all other corpora, drawn by id, moved to a corpus's labels; none repeats a held-out text of it."""
        if name not in self._others:
            space, parts = self.sources.spaces[name], []
            for other, corpus in self.sources.corpora.items():
                if other == name:
                    continue
                train = corpus.split("train")
                train = train.assign(_key=[stable_seed("leave-one-out", row) for row in train["id"]])
                train = train.sort_values(["_key", "id"], kind="stable").head(PER_CORPUS)
                repeats = repeating(train["text"].tolist(), self.sources.held_out(name), self.params.corpora.near_duplicate)
                train = train[~repeats]
                moved = moved_labels(annotated(train, self.sources.spaces[other]), self.sources.map(self.sources.spaces[other], space))
                rows = _rows(train["text"].tolist(), moved, synthetic=False)
                parts.append(rows.take(np.flatnonzero(rows.weights * rows.targets.max(axis=1, initial=0.0) > 0)))
            empty = Rows([], np.zeros((0, len(space.labels))), np.zeros(0), np.zeros(0, dtype=bool))
            for part in parts:
                empty = joined(empty, part)
            self._others[name] = empty
        return self._others[name]

    def _written(self, trial: Trial, arm: ResolvedArm, alpha: float, *, moved: bool) -> _Added:
        """Return the rows of a written arm in a trial: its own, or those of another arm that it takes rows from."""
        assert arm.origin is not None
        cell, asked = trial.cell, self.sources.asked(arm.origin, trial.cell.corpus)
        chosen = self._choose(trial, arm, asked)
        labels = label_rows(self.sources, arm, cell, chosen.rows, alpha, moved=moved)
        rows = _rows([str(text) for text in chosen.rows["text"]], labels, synthetic=True)
        if labels.space.single:
            rows = rows.take(np.flatnonzero(rows.weights > 0))  # no label of theirs has a counterpart
        return _Added(rows, labels.space, [chosen], chosen.n_wanted)

    def _choose(self, trial: Trial, arm: ResolvedArm, asked: Space) -> Chosen:
        assert arm.origin is not None
        cell, own = trial.cell, arm.name == trial.arm.name
        frame = self.sources.written(arm, cell)
        wanted = wanted_rows(self.params, arm if trial.arm.spec.after == arm.name else trial.arm, cell)
        if trial.arm.spec.plus and trial.arm.spec.after != arm.name:
            wanted = quotas(wanted, [trial.arm.name, *trial.arm.spec.plus])[arm.name]
        budget = trial.budget if own else "accepted"
        ask = Ask(
            wanted, asked.labels, evenly=arm.origin.space != TARGET, budget=budget,
            tokens=self._allowance(cell) if budget == "tokens" else 0,
            most=self._common(trial) if own and trial.sweep.startswith("checks") else None,
            random=("random", cell) if own and arm.spec.mix.select != "index" else (),
        )  # fmt: skip
        accepted, repeated = self.sources.accepted(arm, cell), self.sources.repeats_held_out(frame, cell.corpus)
        eligible = self._eligible(arm, cell) if ask.random else accepted
        return choose(frame, accepted, eligible, repeated, ask)

    def _eligible(self, arm: ResolvedArm, cell: Cell) -> BoolArray:
        """Return the candidates that pass the checks of an arm for which no random choice stands in; there must be a text in any case."""
        named = arm.spec.mix.select
        kept = tuple(check for check in arm.checks if check.name == "nonempty" or (named != "random" and check.name not in named))
        return self.sources.accepted(replace(arm, checks=kept), cell)

    def _common(self, trial: Trial) -> Mapping[str, int]:
        """Return the rows of each label that every value of a sweep over checks can have: it is to compare quality, not quantity."""
        key = (trial.arm.name, trial.sweep, trial.cell)
        if key not in self._most:
            counts = []
            for value in self.params.sweeps[trial.arm.name][trial.sweep]:
                arm = resolve_arm(self.params, trial.arm.name, overrides={trial.sweep: value})
                assert arm.origin is not None
                frame = self.sources.written(arm, trial.cell)
                usable = self.sources.accepted(arm, trial.cell) & ~self.sources.repeats_held_out(frame, trial.cell.corpus)
                counts.append(frame["label"][usable].value_counts())
            table = pd.concat(counts, axis=1).fillna(0).min(axis=1)
            self._most[key] = {str(label): int(count) for label, count in table.items()}
        return self._most[key]

    def _allowance(self, cell: Cell) -> int:
        """Return the tokens that the reference arm needed in a cell: `REFERENCE`, the first arm without a guide, or the cheapest."""
        if cell not in self._tokens:
            spent: dict[str, int] = {}
            plain: list[str] = []
            for name, arm in self._arms.items():
                if arm.origin is None or arm.origin.edits is not None or not arm.runs_on(cell):
                    continue
                frame = self.sources.written(arm, cell)
                if len(frame):
                    labels = self.sources.asked(arm.origin, cell.corpus).labels
                    spent[name] = int(token_counts(first_written(frame, wanted_rows(self.params, arm, cell), labels)).sum())
                    plain += [] if arm.origin.guides else [name]
            first = REFERENCE if REFERENCE in spent else next(iter(plain), min(spent, key=lambda name: spent[name], default=""))
            self._tokens[cell] = spent.get(first, 0)
        return self._tokens[cell]

    def _held_back(self, added: _Added, space: Space) -> tuple[_Added, tuple[list[str], FloatArray]]:
        """Take every tenth row of each label out of the added rows, with its hard label."""
        best = added.rows.targets.argmax(axis=1)
        turn = pd.Series(best).groupby(best).cumcount().to_numpy() % HELD_BACK
        away, stay = np.flatnonzero(turn == 0), np.flatnonzero(turn != 0)
        moved = self.sources.map(added.space, space).project(added.rows.targets[away])
        hard = np.eye(len(space.labels))[moved.argmax(axis=1)] if space.single else (moved > 0.5).astype(np.float64)
        return replace(added, rows=added.rows.take(stay)), ([added.rows.texts[place] for place in away], hard)


def _rows(texts: list[str], labels: Labelling, *, synthetic: bool) -> Rows:
    return Rows(
        texts, labels.targets, labels.mass, np.full(len(texts), synthetic), labels.teacher, 1.0 if labels.teacher is not None else 0.0
    )


def _together(first: Rows, second: Rows) -> Rows:
    """Return two sets of rows as one; where only one of them has a teacher, the other's targets stand in for it."""
    if (first.teacher is None) != (second.teacher is None):
        bare, taught = (first, second) if first.teacher is None else (second, first)
        filled = replace(bare, teacher=np.log(np.maximum(bare.targets, FLOOR)), alpha=taught.alpha, temperature=taught.temperature)
        first, second = (filled, second) if first.teacher is None else (first, filled)
    return joined(first, second)
