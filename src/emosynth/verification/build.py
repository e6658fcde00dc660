"""Step 06: every check and labeller that an arm names, asked once about every candidate; verdicts arm by arm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.checks.base import Check, Judged
from emosynth.corpora import load_corpus
from emosynth.design.arms import Origin, ResolvedArm, cells_of_arm, changed_arms, resolve_arms
from emosynth.design.cells import NO_SEED, Cell
from emosynth.design.space import TARGET, Space
from emosynth.generation import candidates_of, load_candidates
from emosynth.labellers.base import Labelled, Labeller
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import Progress, say, warn
from emosynth.seeding.real import RealText
from emosynth.verification.accept import (
    ScoreTable,
    SoftLabels,
    accepted,
    has_oracle,
    judge_name,
    labeller_name,
    ordered,
    passing,
    place_of,
    place_of_labels,
)
from emosynth.verification.judge import OpenJudge
from emosynth.verification.real_rows import label_real_rows, real_rows
from emosynth.verification.summary import starved

Select = Callable[[pd.DataFrame, Params, ResolvedArm, Cell], pd.DataFrame]
"""Returns the candidates of an arm in a cell."""


@dataclass(frozen=True)
class Group:
    """Candidates of one origin in one cell, and the arms that use them.

    Attributes
    ----------
    members
        Each arm with its rows, `ordered`.
    """

    origin: Origin
    cell: Cell
    members: tuple[tuple[ResolvedArm, pd.DataFrame], ...]

    @property
    def judged(self) -> list[tuple[ResolvedArm, pd.DataFrame]]:
        """Each arm, and each as its changes make it: what is scored and labelled. Verdicts are of the arms as they stand."""
        return [(made, rows) for arm, rows in self.members for made in (arm, *changed_arms(arm))]

    def rows_of(self, arms: Sequence[str]) -> pd.DataFrame:
        """Return the rows of some of its arms, `ordered`, each once."""
        frames = [rows for arm, rows in self.members if arm.name in arms]
        largest = max(frames, key=len)
        if all(rows["candidate_id"].isin(largest["candidate_id"]).all() for rows in frames):
            return largest
        return ordered(pd.concat(frames).drop_duplicates("candidate_id"))


def build_verdicts(params: Params, catalog: Catalog, paths: Paths) -> dict[str, pd.DataFrame]:
    """Judge and label the candidates of a profile, and write all tables of the step with their cards.

    Nothing is dropped, and nothing ends the run: an arm of which no row of a class is accepted is warned of, and a finding.

    Returns
    -------
    dict
        ``judgements``, ``verdicts``, ``soft``, ``teachers``, ``reliability``; see docs/architecture.md.

    Raises
    ------
    UserError
        If an earlier step has not been run, a model cannot be opened, or a seed has too few rows for a teacher.
    """
    candidates = load_candidates(paths)
    real = RealText.load(params, paths, ["train"])
    judge = OpenJudge(params, catalog, paths, real)
    tables = judged(params, candidates, real, judge, candidates_of)
    for line in starved(tables["verdicts"]):
        warn(f"verification: {line}")
    say("verification: how well teachers are calibrated")
    teachers, reliability = judge.teachers.tables(lambda name: load_corpus(paths, name, ["test"]).frame)
    tables |= {"teachers": teachers, "reliability": reliability}
    _write(params, real, tables, paths)
    return tables


def judged(params: Params, candidates: pd.DataFrame, real: RealText, judge: OpenJudge, select: Select) -> dict[str, pd.DataFrame]:
    """Return judgements, verdicts and soft labels of all candidates that an arm uses.

    Parameters
    ----------
    select
        Returns the candidates of an arm in a cell (`emosynth.generation.candidates_of`).
    """
    frame = candidates.assign(**{name: candidates[name].fillna("") for name in ("kind", "corpus", "passage_id", "text", "prompt")})
    groups = list(_groups(params, frame, select))
    asked_of_real = (text for _, _, rows in real_rows(params, real) for text in rows["text"])
    judge.read_ahead([*_asked_of_teachers(groups, real), *asked_of_real])
    scores = ScoreTable()
    _score_texts(groups, real, judge, scores)
    progress = Progress(len(groups), "verification", "cells")
    for group in groups:
        for check, oracle, arms in _needed(group.judged, lambda check: check.scope != "text" and not check.dear):
            rows = _judged(group, group.rows_of(arms), real, judge, oracle=oracle)
            scores.add(judge_name(check, oracle), place_of(check, group.cell), rows.rows["candidate_id"].tolist(), check.score(rows))
        progress.advance()
    _score_dear(groups, real, judge, scores)
    verdicts = _verdicts(groups, scores)
    say("verification: labels")
    soft = _labels(groups, real, judge)
    label_real_rows(params, real, judge, soft)
    return {"judgements": scores.frame(), "verdicts": verdicts, "soft": soft.frame()}


# --- what is to be judged -------------------------------------------------------------------------------


def _groups(params: Params, candidates: pd.DataFrame, select: Select) -> Iterator[Group]:
    arms = resolve_arms(params)
    cells = {name: dict.fromkeys(cells_of_arm(params, arm)) for name, arm in arms.items()}
    for name, arm in arms.items():  # an arm that is made of others, or comes after one, needs their verdicts where it runs
        for other in [*arm.spec.plus, *([arm.spec.after] if arm.spec.after else [])]:
            cells[other] |= cells[name]
    members: dict[tuple[str, Cell], list[tuple[ResolvedArm, pd.DataFrame]]] = {}
    for name, arm in arms.items():
        for cell in cells[name] if arm.origin is not None else []:
            rows = select(candidates, params, arm, cell)
            if len(rows):
                members.setdefault((arm.origin.name, cell), []).append((arm, ordered(rows)))  # type: ignore[union-attr]
    for (_, cell), found in members.items():
        assert found[0][0].origin is not None
        yield Group(found[0][0].origin, cell, tuple(found))


def _needed(members: Iterable[tuple[ResolvedArm, pd.DataFrame]], wanted: Callable[[Check], bool]) -> list[tuple[Check, bool, list[str]]]:
    """Return the checks that arms have, each with whether it asks the oracle and the arms that have it so; in their order."""
    found: dict[str, tuple[Check, bool, list[str]]] = {}
    for arm, _ in members:
        for check in arm.checks:
            if wanted(check):
                oracle = has_oracle(arm) and check.asks_teacher
                found.setdefault(judge_name(check, oracle), (check, oracle, []))[2].append(arm.name)
    return sorted(found.values(), key=lambda item: (item[0].order, item[0].name))


def _asked_of_teachers(groups: Sequence[Group], real: RealText) -> Iterator[str]:
    for group in groups:
        asking = [
            arm.name for arm, _ in group.judged
            if any(check.asks_teacher for check in arm.checks) or any(labeller.needs_seed for labeller, _ in arm.labellers)
        ]  # fmt: skip
        if asking:
            yield from group.rows_of(asking)["text"]
            yield from real.seed(group.cell).texts
        if any(has_oracle(arm) for arm, _ in group.judged):
            yield from real.corpora[group.cell.corpus].split("train")["text"]


def _judged(group: Group, rows: pd.DataFrame, real: RealText, judge: OpenJudge, *, oracle: bool = False) -> Judged:
    asked, space = real.asked(group.origin, group.cell.corpus), real.spaces[group.cell.corpus]
    targets = real.map(asked, space).project(asked.multi_hot(rows["labels"].tolist()))
    who = judge.with_oracle() if oracle else judge
    return Judged(rows, group.cell, real.seed(group.cell).texts, space, real.noun(group.cell.corpus), who, targets)


def _without_seed(groups: Sequence[Group], real: RealText) -> Iterator[tuple[Cell, Space, list[Group]]]:
    """Yield groups whose rows are asked for in one space by one origin: what owes nothing to a seed is done once for them all."""
    shared: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        shared.setdefault((group.origin.name, group.cell.corpus if group.origin.space == TARGET else ""), []).append(group)
    for (_, corpus), found in shared.items():
        yield Cell(corpus, NO_SEED, NO_SEED), real.asked(found[0].origin, corpus), found


def _all_rows(groups: Sequence[Group], arms: Sequence[str]) -> pd.DataFrame:
    frames = [group.rows_of(arms) for group in groups if any(arm.name in arms for arm, _ in group.members)]
    return ordered(pd.concat(frames).drop_duplicates("candidate_id"))


# --- scores ---------------------------------------------------------------------------------------------


def _score_texts(groups: Sequence[Group], real: RealText, judge: OpenJudge, scores: ScoreTable) -> None:
    for cell, asked, found in _without_seed(groups, real):
        members = [member for group in found for member in group.judged]
        for check, oracle, arms in _needed(members, lambda check: check.scope == "text" and not check.dear):
            rows = _all_rows(found, arms)
            shown = Judged(rows, cell, (), asked, real.noun(cell.corpus), judge, asked.multi_hot(rows["labels"].tolist()))
            scores.add(judge_name(check, oracle), place_of(check, cell), rows["candidate_id"].tolist(), check.score(shown))


def _score_dear(groups: Sequence[Group], real: RealText, judge: OpenJudge, scores: ScoreTable) -> None:
    """Score what is dear, about rows alone that all earlier checks of an arm pass; the threshold of confidence, τ, has no say.

    That threshold is what is most often swept over, and acceptance is then known at every τ.
    """
    for name in dict.fromkeys(
        judge_name(check, oracle) for group in groups for check, oracle, _ in _needed(group.judged, lambda c: c.dear)
    ):
        pending: list[tuple[Group, Check, pd.DataFrame, Judged]] = []
        for group in groups:
            for check, oracle, arms in _needed(group.judged, lambda c: c.dear):
                if judge_name(check, oracle) == name:
                    rows = group.rows_of(arms)
                    worth = rows["candidate_id"].isin(_let_through(group, check, arms, scores))
                    pending.append((group, check, rows, _judged(group, rows[worth], real, judge, oracle=oracle)))
        if pending:
            pending[0][1].prepare([shown for *_, shown in pending])
        for group, check, rows, shown in pending:
            found = pd.Series(check.score(shown), index=shown.rows["candidate_id"], dtype=float)
            scores.add(name, place_of(check, group.cell), rows["candidate_id"].tolist(), found.reindex(rows["candidate_id"]).to_numpy())


def _let_through(group: Group, check: Check, arms: Sequence[str], scores: ScoreTable) -> list[str]:
    found: dict[str, None] = {}
    for arm, rows in group.judged:
        if arm.name in arms:
            before = [other for other in arm.checks if (other.order, other.name) < (check.order, check.name) and other.name != "confidence"]
            verdicts = passing(arm, rows, scores, group.cell, before)
            sound = np.logical_and.reduce(list(verdicts.values())) if verdicts else np.ones(len(rows), dtype=bool)
            found.update(dict.fromkeys(rows.loc[sound, "candidate_id"]))
    return list(found)


# --- verdicts and labels --------------------------------------------------------------------------------


def _verdicts(groups: Sequence[Group], scores: ScoreTable) -> pd.DataFrame:
    parts: dict[str, list[pd.DataFrame]] = {}
    first = ["arm", "origin", "corpus", "size", "repeat", "candidate_id", "index", "label", "accepted", "reason"]
    checks: dict[str, int] = {}
    for group in groups:
        for arm, rows in group.members:
            checks |= {f"ok_{check.name}": check.order for check in arm.checks}
            cell = group.cell
            found = accepted(arm, rows, scores, cell)
            parts.setdefault(arm.name, []).append(
                found.assign(arm=arm.name, origin=group.origin.name, corpus=cell.corpus, size=cell.size, repeat=cell.repeat)
            )
    if not parts:
        return pd.DataFrame(columns=first)
    columns = sorted(checks, key=lambda name: (checks[name], name))
    out = pd.concat([frame for frames in parts.values() for frame in frames], ignore_index=True)
    # Missing, not false: an arm without a check says nothing of it.
    ok = {name: out[name].astype(object).where(out[name].notna(), None) for name in columns}
    return out.assign(**ok)[[*first, *columns]]


def _labelling(members: Iterable[tuple[ResolvedArm, pd.DataFrame]], *, seed: bool) -> list[tuple[Labeller, bool, list[str]]]:
    """Return the labellers that arms name, of those that depend on the seed or of the others, as `_needed` does."""
    found: dict[str, tuple[Labeller, bool, list[str]]] = {}
    for arm, _ in members:
        for labeller, _ in arm.labellers:
            if labeller.needs_seed == seed:
                oracle = seed and has_oracle(arm)
                found.setdefault(labeller_name(labeller, oracle), (labeller, oracle, []))[2].append(arm.name)
    return list(found.values())


def _labels(groups: Sequence[Group], real: RealText, judge: OpenJudge) -> SoftLabels:
    soft = SoftLabels()

    def label(labeller: Labeller, rows: pd.DataFrame, cell: Cell, asked: Space, space: Space, *, oracle: bool = False) -> None:
        targets = asked.multi_hot(rows["labels"].tolist())
        who = judge.with_oracle() if oracle else judge
        shown = Labelled(rows, cell, asked, space, targets, real.map(asked, space).project(targets), who)
        own = asked if labeller.in_space == "asked" else space
        soft.label(
            labeller_name(labeller, oracle), place_of_labels(labeller, cell), rows["candidate_id"].tolist(), labeller.log_p(shown), own.name
        )

    for cell, asked, found in _without_seed(groups, real):
        for labeller, _, arms in _labelling([member for group in found for member in group.judged], seed=False):
            if labeller.in_space == "asked":
                label(labeller, _all_rows(found, arms), cell, asked, asked)
                continue
            for corpus in dict.fromkeys(group.cell.corpus for group in found):
                rows = _all_rows([group for group in found if group.cell.corpus == corpus], arms)
                label(labeller, rows, Cell(corpus, NO_SEED, NO_SEED), asked, real.spaces[corpus])
    seeds: dict[tuple[str, Cell], None] = {}
    for group in groups:
        cell, space = group.cell, real.spaces[group.cell.corpus]
        for labeller, oracle, arms in _labelling(group.judged, seed=True):
            label(labeller, group.rows_of(arms), cell, real.asked(group.origin, cell.corpus), space, oracle=oracle)
            if labeller.distils and (labeller_name(labeller, oracle), cell) not in seeds:
                seeds[labeller_name(labeller, oracle), cell] = None
                seed = real.seed(cell)
                label(
                    labeller, pd.DataFrame({"candidate_id": seed.ids, "text": seed.texts, "labels": seed.labels, "kind": ""}),
                    cell, space, space, oracle=oracle,
                )  # fmt: skip
    return soft


# --- files ----------------------------------------------------------------------------------------------

_WHERE = {"corpus": "of the seed; empty: of none", "size": "of the seed; −1: of none", "repeat": "of the seed; −1: of none"}
_TABLES: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "judgements": (
        "Scores of candidates",
        "What every check found, once whatever the number of arms. Whether a score passes is derived by an arm's settings.",
        {
            **_WHERE,
            "check": "name",
            "judge": "check and settings that make a score, as JSON",
            "score": "see the check; missing: not scored, passes",
        },
    ),
    "verdicts": (
        "Verdicts of arms on candidates",
        "One row an arm, cell and candidate. Nothing is dropped. The label is what a prompt asked for; nobody checked it by hand.",
        {"accepted": "whether all checks of the arm passed", "reason": "first check that failed; empty: none"},
    ),
    "soft": (
        "Labels of candidates by labeller",
        "Log-probabilities of every labeller that an arm names, and of the teacher for the rows of the seed; unlabelled rows of the pool too.",
        {
            **_WHERE,
            "row_id": "candidate, or row of the corpus",
            "labeller": "name and settings, as JSON",
            "log_p": "by label of the space, in its order",
        },
    ),
    "teachers": (
        "Teachers",
        "The classifiers fitted on each seed that verify and label, calibrated out of fold; size −1: trained on the whole training split.",
        {
            "temperature": "what logits are divided by",
            "nll_before": "nats, out of fold",
            "nll_after": "after scaling",
            "macro_f1": "out of fold",
        },
    ),
    "reliability": (
        "Reliability of teachers",
        "Confidence and accuracy in bins of equal mass, before and after scaling, on out-of-fold rows and, for the record only, on test rows.",
        {"scaled": "after temperature scaling", "confidence": "mean of the bin", "accuracy": "of the bin"},
    ),
}


def _write(params: Params, real: RealText, tables: Mapping[str, pd.DataFrame], paths: Paths) -> None:
    corpora = list(real.corpora.values())
    verdicts = tables["verdicts"]
    counts = {
        str(arm): {"candidates": len(part), "accepted": int(part["accepted"].sum())} for arm, part in verdicts.groupby("arm", sort=False)
    }
    for name, (title, what, columns) in _TABLES.items():
        card = Card(
            title=title,
            what=what,
            made=f"Step 06 (verification). The teacher is of kind {params.teacher.kind}, calibrated on {params.teacher.folds} folds of the seed.",
            sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
            columns=columns,
            counts=counts if name == "verdicts" else {},
            limits=["Learners of the teacher's kind share its errors.", "Labels are intentions of a prompt or readings of a model."],
            licence="; ".join(dict.fromkeys(corpus.licence or "unknown" for corpus in corpora)),
            languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)),
            tags=["synthetic", "emotion"],
        )
        write_table(tables[name], paths.verdicts / f"{name}.parquet", card)
