"""Verification: everything is judged once, verdicts are derived, and nothing that is starved ends the run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emosynth import pieces
from emosynth.cards import read_table
from emosynth.corpora import Corpus
from emosynth.design.arms import resolve_arm, resolve_arms
from emosynth.design.cells import NO_SEED, Cell
from emosynth.errors import UserError
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.seeding import stratified_order
from emosynth.seeding.real import RealText
from emosynth.taxonomy import Taxonomies
from emosynth.verification import (
    ScoreTable,
    SoftLabels,
    acceptance,
    accepted,
    build,
    load_scores,
    load_soft,
    rejection_reasons,
    unverified,
)  # fmt: skip
from emosynth.verification.accept import NOWHERE, ordered
from emosynth.verification.judge import OpenJudge

ROOT = Path(__file__).parent.parent
WORDS = {"joy": ["cheer", "smile", "treat", "bloom"], "sadness": ["grief", "tears", "loss", "gloom"]}
CLASSES = list(WORDS)
REJECTED = "tiny"

PARAMS = {
    "corpora": {"target": "toy", "also": ["many"]},
    "cells": {"sizes": [8, 16], "repeats": 2, "per": {"many": {"sizes": [16], "repeats": 1}}},
    "teacher": {"kind": "tfidf", "folds": 4},
    "checks": {
        "basic": {"length": {}, "complete": {}, "distinct": 0.8},
        "agreed": {"extends": "basic", "agreement": {}},
        "all": {"extends": "agreed", "confidence": 0.6, "perplexity": {"bound": "absolute", "low": 1.0, "high": 1e6}, "novelty": 0.2},
    },
    "arms": {
        "naive": {"checks": "agreed"},
        "strict": {"checks": "all", "labels": {"teacher": 0.5, "relabel": 0.25}, "oversample": 1.0},
        "seer": {"checks": "all", "labels": {"teacher": 0.5}, "flaws": ["oracle-teacher"]},
        "shown": {"guide": "random-exemplars", "checks": "agreed", "corpora": ["toy"], "sizes": [16]},
        "told": {"guide": "narrative", "space": "goemotions", "labels": {"reader": 0.5}, "checks": {"extends": "agreed", "rewritten": {}}, "rows": 8},
        "after": {"checks": "agreed", "after": "shown", "corpora": ["toy"]},
    },
    "learners": {"tfidf": {}},
}  # fmt: skip


@pytest.fixture(scope="module")
def params() -> Params:
    return Params.model_validate(PARAMS)


def sentence(label: str, number: int) -> str:
    rng = np.random.default_rng([number, CLASSES.index(label)])
    mixed = CLASSES[1 - CLASSES.index(label)] if rng.random() < 0.4 else label
    return f"case {number} brings {rng.choice(WORDS[label])} and {rng.choice(WORDS[mixed])} to street {rng.integers(10_000)}"


def corpus(name: str, task: str) -> Corpus:
    made = []
    for number in range(120):
        labels = [CLASSES[number % 2]] if task == "single" or number % 3 else CLASSES
        split = "train" if number < 70 else "validation" if number < 90 else "test"
        made.append({"id": f"{name}{number:03d}", "text": " ".join(sentence(label, number) for label in labels), "labels": labels})
        made[-1] |= {"split": split, "corpus": name}
    return Corpus(name, pd.DataFrame(made), CLASSES, task, "note", {c: c for c in CLASSES}, hash="h")


@pytest.fixture(scope="module")
def corpora() -> dict[str, Corpus]:
    return {"toy": corpus("toy", "single"), "many": corpus("many", "multi")}


@pytest.fixture(scope="module")
def real(params, corpora) -> RealText:
    train = {name: replace(item, frame=item.split("train")) for name, item in corpora.items()}
    order = pd.concat([stratified_order(item, params.cells) for item in train.values()], ignore_index=True)
    return RealText(train, order, Taxonomies.load(ROOT / "data" / "taxonomies.yaml"))


def row(origin, corpus, size, repeat, label, index, text, **more):
    kind = more.get("kind", "")
    return {
        "candidate_id": f"{origin}/{corpus}/{size}/{repeat}/{label}/{index}" + (f"/{kind}" if kind else ""), "origin": origin,
        "corpus": corpus, "size": size, "repeat": repeat, "index": index, "label": label, "labels": [label], "kind": kind, "text": text,
        "context": "", "character": "", "passage_id": "", "prompt": "Write:", "complete": True, **more,
    }  # fmt: skip


@pytest.fixture(scope="module")
def candidates(params) -> pd.DataFrame:
    arms = resolve_arms(params)
    rows = []
    for name in ("toy", "many"):
        for repeat in range(2):
            for index in range(16):
                for label in CLASSES:
                    wrong = CLASSES[(CLASSES.index(label) + (index % 5 == 4)) % 2]  # every fifth text misses its class
                    text = "" if index == 3 else REJECTED if index == 5 else sentence(wrong, 1000 + 100 * repeat + index)
                    rows.append(row(arms["naive"].origin.name, name, NO_SEED, repeat, label, index, text))
                    if name == "toy":
                        rows.append(row(arms["shown"].origin.name, name, 16, repeat, label, index, sentence(label, 2000 + repeat + index)))
    for repeat in range(2):
        for index, label in enumerate(["joy", "sadness", "grief", "neutral"]):
            said = sentence("sadness" if label in ("sadness", "grief") else "joy", 3000 + 10 * repeat + index)
            more = {"context": "It rains.", "character": "Ann", "complete": index != 1}
            rows.append(row(arms["told"].origin.name, "", NO_SEED, repeat, label, index, said, kind="contextual", **more))
            told = said.upper() if index == 0 else f"Since yesterday all of us have {said[5:]}"
            rows.append(row(arms["told"].origin.name, "", NO_SEED, repeat, label, index, told, kind="contextless", **more))
    return pd.DataFrame(rows).sample(frac=1, random_state=0).reset_index(drop=True)


def select(frame, params, arm, cell):
    """Stand in for `emosynth.generation.candidates_of`."""
    own = frame[(frame["origin"] == arm.origin.name) & frame["corpus"].isin(["", cell.corpus]) & (frame["repeat"] == cell.repeat)]
    own = own[own["size"].isin([NO_SEED, cell.size])]
    per_label = cell.size // 2 * (arm.spec.oversample or 2.0) if arm.origin.narrative is None else 99
    return own[own["index"] < per_label]


class Lengthy:
    """Finds a text as unlikely as it is long."""

    def __init__(self):
        self.calls: list[list[str]] = []

    def score(self, texts, progress=None):
        self.calls.append(list(texts))
        return np.array([len(text) / 10 for text in texts], dtype=float), np.array([len(text.split()) for text in texts])


class FakeReader:
    def __init__(self):
        self.calls: list[tuple[int, str]] = []

    def read(self, rows, space):
        self.calls.append((len(rows), space.name))
        return np.full((len(rows), len(space.labels)), -np.log(len(space.labels)))


class FakeJudge(OpenJudge):
    """An `OpenJudge` without language models."""

    def __init__(self, params, real, **more):
        super().__init__(params, None, None, real, **more)
        self._reference, self._reader = Lengthy(), FakeReader()


@pytest.fixture(scope="module")
def judge(params, real) -> FakeJudge:
    return FakeJudge(params, real)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def tables(params, candidates, real, judge, said):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "say", said.append)
        return build.judged(params, candidates, real, judge, select)


def of_arm(params, candidates, name, cell, **overrides):
    arm = resolve_arm(params, name, overrides=overrides)
    return arm, ordered(select(candidates, params, arm, cell))


TOY = Cell("toy", 0, 16)


# --- tables ---------------------------------------------------------------------------------------------


def test_tables_are_those_of_the_contract(tables):
    assert list(tables["judgements"].columns) == ["candidate_id", "corpus", "size", "repeat", "check", "judge", "score"]
    assert list(tables["soft"].columns) == ["row_id", "corpus", "size", "repeat", "labeller", "space", "log_p"]
    columns = list(tables["verdicts"].columns)
    assert columns[:10] == ["arm", "origin", "corpus", "size", "repeat", "candidate_id", "index", "label", "accepted", "reason"]
    assert columns[10:] == [
        f"ok_{name}" for name in ("nonempty", "length", "complete", "rewritten", "distinct", "agreement", "confidence", "perplexity", "novelty")
    ]  # fmt: skip


def test_everything_is_judged_once(tables, params, candidates):
    found = tables["judgements"]
    assert not found.duplicated(["candidate_id", "corpus", "size", "repeat", "judge"]).any()
    texts = found[found["check"].isin(["nonempty", "length", "complete", "rewritten"])]
    assert set(texts[["corpus", "size", "repeat"]].itertuples(index=False, name=None)) == {NOWHERE}
    assert not texts.duplicated(["candidate_id", "judge"]).any()
    used = {name for arm in resolve_arms(params).values() if arm.written for name in select(candidates, params, arm, TOY)["candidate_id"]}
    assert used <= set(texts["candidate_id"])
    rest = found[found["check"].isin(["agreement", "distinct"])]
    assert (rest["corpus"] != "").all() and (rest["size"] > 0).all()
    # naive, strict, seer and after share candidates and most checks: of each judge there is one row a candidate and cell
    agreement = rest[(rest["check"] == "agreement") & (rest["size"] == 16) & (rest["repeat"] == 0) & (rest["corpus"] == "toy")]
    assert agreement["judge"].nunique() == 2 and agreement.groupby("judge")["candidate_id"].nunique().max() >= 32


def test_verdicts_hold_every_row_of_every_arm(tables, params, candidates):
    for arm in resolve_arms(params).values():
        own = tables["verdicts"][tables["verdicts"]["arm"] == arm.name]
        cells = {Cell(*key) for key in own[["corpus", "repeat", "size"]].itertuples(index=False, name=None)}
        for cell in cells:
            part = own[(own["corpus"] == cell.corpus) & (own["repeat"] == cell.repeat) & (own["size"] == cell.size)]
            assert sorted(part["candidate_id"]) == sorted(select(candidates, params, arm, cell)["candidate_id"])
            assert part["index"].is_monotonic_increasing
    verdicts = tables["verdicts"]
    assert (verdicts["accepted"] == (verdicts["reason"] == "")).all()
    naive = verdicts[verdicts["arm"] == "naive"]
    assert naive["ok_perplexity"].isna().all() and naive["ok_agreement"].notna().all(), "missing, not false"
    assert set(naive["reason"]) == {"", "nonempty", "length", "agreement"}
    assert (naive.loc[naive["index"] == 3, "reason"] == "nonempty").all() and (naive.loc[naive["index"] == 5, "reason"] == "length").all()


def test_verdicts_are_derived_from_the_table_of_scores_alone(tables, params, candidates):
    scores = ScoreTable.of_frame(tables["judgements"])
    checks = [name for name in tables["verdicts"].columns if name.startswith("ok_")]
    for name in ("naive", "strict", "seer", "told"):
        arm, rows = of_arm(params, candidates, name, TOY)
        again = accepted(arm, rows.sample(frac=1, random_state=1), scores, TOY).loc[rows.index]
        where = {"arm": name, "corpus": "toy", "size": 16, "repeat": 0}
        known = tables["verdicts"]
        for column, value in where.items():
            known = known[known[column] == value]
        known = known.set_index("candidate_id").loc[again["candidate_id"]]
        assert again["accepted"].tolist() == known["accepted"].tolist() and again["reason"].tolist() == known["reason"].tolist()
        for column in checks:
            assert (column in again) == known[column].notna().all()
            assert column not in again or again[column].tolist() == known[column].tolist()


def test_arms_that_others_follow_are_judged_where_these_run(tables):
    cells = tables["verdicts"].loc[tables["verdicts"]["arm"] == "shown", ["corpus", "size"]].drop_duplicates()
    assert cells.values.tolist() == [["toy", 16]], "nothing was written for size 8"
    assert set(tables["verdicts"].loc[tables["verdicts"]["arm"] == "after", "size"]) == {8, 16}


def test_starved_arms_are_warned_of_and_found(params, candidates, real):
    starved = candidates.copy()
    starved.loc[(starved["label"] == "joy") & (starved["kind"] == ""), "text"] = REJECTED
    made = build.judged(params, starved, real, FakeJudge(params, real), select)
    told = [line for line in build.starved(made["verdicts"]) if line.startswith("arm naive:")]
    assert len(told) == 1 and told[0].startswith("arm naive: no candidate was accepted of joy in ") and "of 16 labels of toy" in told[0]
    table = acceptance(made["verdicts"]).set_index(["arm", "corpus", "size"])
    assert table.loc[("naive", "toy", 16), "starved"] == "joy" and 0 < table.loc[("naive", "toy", 16), "acceptance"] < 0.5
    none = starved.assign(text="")
    made = build.judged(params, none, real, FakeJudge(params, real), select)
    assert not made["verdicts"]["accepted"].any() and set(made["verdicts"]["reason"]) == {"nonempty"}


def test_a_starved_arm_is_one_line_that_counts_its_seeds():
    rows = [
        ("naive", "mails", 90, repeat, label, ok)
        for repeat in range(5)
        for label, ok in (("Freude", repeat > 2), ("Sorge", repeat > 2), ("joy", True))
    ]
    rows += [("naive", "mails", 40, 0, "Sorge", False), ("naive", "mails", 40, 0, "Sorge", False), ("other", "mails", 40, 0, "Sorge", True)]
    verdicts = pd.DataFrame(rows, columns=["arm", "corpus", "size", "repeat", "label", "accepted"])
    assert build.starved(verdicts) == [
        "arm naive: no candidate was accepted of Freude, Sorge in 3 of 5 seeds of 90 labels of mails; of Sorge in 1 of 1 seed of 40 labels of mails"
    ]
    assert build.starved(verdicts.iloc[:0]) == []


def test_the_step_warns_of_starved_arms(params, real, monkeypatch):
    """The run's summary repeats warnings alone: what was only said stood under "no warnings"."""
    verdicts = pd.DataFrame({"arm": "naive", "corpus": "toy", "size": 16, "repeat": 0, "label": ["joy", "fear"], "accepted": [False, True]})
    lines, judge = [], type("Judge", (), {"teachers": type("Teachers", (), {"tables": lambda self, corpus: (None, None)})()})
    for name, value in {"load_candidates": lambda paths: None, "OpenJudge": lambda *given: judge, "judged": lambda *given: {"verdicts": verdicts},
                        "_write": lambda *given: None, "warn": lines.append}.items():  # fmt: skip
        monkeypatch.setattr(build, name, value)
    monkeypatch.setattr(build.RealText, "load", lambda *given: real)
    build.build_verdicts(params, None, None)
    assert lines == ["verification: arm naive: no candidate was accepted of joy in 1 of 1 seed of 16 labels of toy"]


def test_no_candidates_give_empty_tables(params, candidates, real):
    made = build.judged(params, candidates.iloc[:0], real, FakeJudge(params, real), select)
    assert [len(table) for table in made.values()] == [0, 0, 0]


# --- who is asked what ----------------------------------------------------------------------------------


def test_what_is_dear_is_asked_about_sound_rows_at_once(tables, judge, params, candidates):
    calls = judge.reference().calls
    asked = set(calls[0])
    assert calls[0] and max(map(len, calls[1:])) < len(calls[0]) and all(set(call) <= asked for call in calls[1:])
    assert REJECTED not in asked and "" not in asked
    scores = ScoreTable.of_frame(tables["judgements"])
    arm, rows = of_arm(params, candidates, "strict", TOY)
    found = accepted(arm, rows, scores, TOY)
    check = next(check for check in arm.checks if check.name == "perplexity")
    values = scores.of(check, rows["candidate_id"].tolist(), TOY)
    before = found[[f"ok_{name}" for name in ("nonempty", "length", "complete", "distinct", "agreement")]].all(axis=1)
    assert before.any() and not before.all()
    assert (~np.isnan(values))[before].all(), "also those that lack confidence alone"
    assert found.loc[np.isnan(values), "ok_perplexity"].all(), "their reason is another"
    assert (~found["ok_confidence"] & before).any()


def test_the_oracle_has_scores_and_labels_of_its_own(tables, judge, params, candidates):
    found = tables["judgements"]
    oracle = found[found["judge"].map(lambda text: json.loads(text).get("oracle", False))]
    assert set(oracle["check"]) == {"agreement", "confidence"}, "what asks no teacher is shared"
    soft = tables["soft"]
    own = soft["labeller"].map(json.loads)
    assert {item["labeller"] for item in own if item.get("oracle")} == {"teacher"}
    scores, labels = ScoreTable.of_frame(found), SoftLabels.of_frame(soft)
    arm, rows = of_arm(params, candidates, "strict", TOY)
    check = next(check for check in arm.checks if check.name == "confidence")
    ids, texts = rows["candidate_id"].tolist(), rows["text"].tolist()
    one, other = scores.of(check, ids, TOY), scores.of(check, ids, TOY, oracle=True)
    assert not np.allclose(one, other)
    wanted = [CLASSES.index(label) for label in rows["label"]]
    assert one == pytest.approx(judge.teacher(TOY).predict_proba(texts)[np.arange(len(texts)), wanted])
    assert other == pytest.approx(judge.with_oracle().teacher(TOY).predict_proba(texts)[np.arange(len(texts)), wanted])
    teacher = pieces.build("labeller", "teacher")
    assert np.exp(labels.log_p(teacher, ids, TOY, oracle=True)) == pytest.approx(judge.with_oracle().teacher(TOY).predict_proba(texts))


def test_no_oracle_is_trained_without_the_flaw(params, candidates, real):
    values = {**PARAMS, "arms": {name: arm for name, arm in PARAMS["arms"].items() if name != "seer"}}
    plain = Params.model_validate(values)
    judge = FakeJudge(plain, real)
    build.judged(plain, candidates, real, judge, select)
    assert judge.teachers.fitted and all(cell.size != NO_SEED for cell in judge.teachers.fitted)


def test_what_changes_need_is_scored_and_labelled_and_verdicts_are_of_the_arm(candidates, real):
    change = {"oracle": {"flaws": ["oracle-teacher"]}, "relabelled": {"checks.agreement": None, "labels.relabel": "rest"}}
    arm = {"checks": "all", "labels": {"teacher": 0.5}, "oversample": 1.0}
    plain = Params.model_validate({**PARAMS, "arms": {"naive": {"checks": "agreed"}, "strict": {**arm, "changes": change}}})
    judge = FakeJudge(plain, real)
    made = build.judged(plain, candidates, real, judge, select)
    scores, soft = ScoreTable.of_frame(made["judgements"]), SoftLabels.of_frame(made["soft"])
    for chosen in (["oracle"], ["relabelled"], list(change)):
        swept = resolve_arm(plain, "strict", overrides={"changes": chosen})
        rows = select(candidates, plain, swept, TOY)
        accepted(swept, rows, scores, TOY)
        for labeller, share in swept.labellers:
            if share and labeller.needs_seed:
                oracle = "oracle" in chosen
                assert soft.log_p(labeller, rows["candidate_id"].tolist(), TOY, oracle=oracle).shape == (len(rows), 2)
    bare = Params.model_validate({**PARAMS, "arms": {"naive": {"checks": "agreed"}, "strict": arm}})
    before = build.judged(bare, candidates, real, FakeJudge(bare, real), select)
    pd.testing.assert_frame_equal(made["verdicts"], before["verdicts"])


def test_no_teacher_is_trained_if_nobody_asks(params, candidates, real):
    plain = Params.model_validate({**PARAMS, "arms": {"naive": {"checks": "basic"}}})
    judge = FakeJudge(plain, real)
    made = build.judged(plain, candidates, real, judge, select)
    assert not judge.teachers.fitted and not judge.reader().calls and made["verdicts"]["accepted"].any()
    teachers, reliability = judge.teachers.tables(lambda name: pytest.fail("test rows were read"))
    assert not len(teachers) and not len(reliability)


# --- texts that owe nothing to a seed -------------------------------------------------------------------


def test_texts_of_a_taxonomy_are_judged_by_the_teacher_of_each_seed(tables, params, candidates):
    scores = ScoreTable.of_frame(tables["judgements"])
    arm, rows = of_arm(params, candidates, "told", TOY)
    ids = rows["candidate_id"].tolist()
    check = next(check for check in arm.checks if check.name == "agreement")
    for cell in (TOY, Cell("toy", 0, 8), Cell("many", 0, 16)):
        assert scores.of(check, ids, cell).shape == (8,)
    with pytest.raises(UserError, match="lacking for 8 of 8"):
        scores.of(check, ids, Cell("toy", 1, 16))
    found = accepted(arm, rows, scores, TOY).set_index("candidate_id")
    assert found.loc[[name for name in ids if "/neutral/" in name], "ok_agreement"].all(), "no counterpart, no disagreement"
    assert [name for name in ids if found.loc[name, "reason"] == "rewritten"] == [
        name for name in ids if name.endswith("/joy/0/contextless")
    ]
    assert found.loc[[name for name in ids if "/sadness/" in name], "reason"].tolist() == ["complete", "complete"]


def test_the_reader_is_asked_once_for_all_seeds(tables, judge, params, candidates):
    assert judge.reader().calls == [(16, "goemotions")]
    soft = tables["soft"]
    read = soft[soft["labeller"].map(lambda text: json.loads(text)["labeller"] == "reader")]
    assert set(read[["corpus", "size", "repeat"]].itertuples(index=False, name=None)) == {NOWHERE} and len(read) == 16
    assert json.loads(read["labeller"].iloc[0]) == {"labeller": "reader", "temperature": 1.0}, "a share makes no label"
    labels = SoftLabels.of_frame(soft)
    arm, rows = of_arm(params, candidates, "told", TOY)
    for labeller, _ in arm.labellers:
        found = np.exp(labels.log_p(labeller, rows["candidate_id"].tolist(), TOY))
        assert found.shape == (8, 28) and found.sum(axis=1) == pytest.approx(np.ones(8))


# --- labels ---------------------------------------------------------------------------------------------


def test_labels_of_written_and_of_seed_rows(tables, judge, params, candidates, real):
    labels = SoftLabels.of_frame(tables["soft"])
    arm, rows = of_arm(params, candidates, "strict", TOY)
    ids = rows["candidate_id"].tolist()
    by_name = {labeller.name: labeller for labeller, _ in arm.labellers}
    asked = np.exp(labels.log_p(by_name["asked"], ids, TOY))
    assert asked.argmax(axis=1).tolist() == [CLASSES.index(label) for label in rows["label"]] and set(asked.ravel()) == {0.0, 1.0}
    soft = np.exp(labels.log_p(by_name["teacher"], ids, TOY))
    assert soft == pytest.approx(judge.teacher(TOY).predict_proba(rows["text"].tolist()))
    assert np.exp(labels.log_p(by_name["relabel"], ids, TOY)) == pytest.approx(np.eye(2)[soft.argmax(axis=1)])
    seed = real.seed(TOY)
    of_seed = np.exp(labels.log_p(by_name["teacher"], seed.ids, TOY))
    assert of_seed == pytest.approx(judge.teacher(TOY).predict_proba(seed.texts))
    with pytest.raises(UserError, match="lacking"):
        labels.log_p(by_name["relabel"], seed.ids, TOY)
    assert labels.log_p(by_name["teacher"], [], TOY).shape[0] == 0


def test_labels_where_a_text_may_have_several(tables, judge, params, candidates):
    cell = Cell("many", 0, 16)
    arm, rows = of_arm(params, candidates, "strict", cell)
    teacher = next(labeller for labeller, _ in arm.labellers if labeller.distils)
    found = np.exp(SoftLabels.of_frame(tables["soft"]).log_p(teacher, rows["candidate_id"].tolist(), cell))
    assert (found >= 0).all() and (found <= 1).all() and not np.allclose(found.sum(axis=1), 1.0)
    assert judge.teacher(cell).temperature == 1.0 and not judge.teacher(cell).space.single


# --- sweeps, summaries ----------------------------------------------------------------------------------


def test_a_sweep_costs_no_score(tables, params, candidates):
    scores = ScoreTable.of_frame(tables["judgements"])
    counts = []
    for tau in (0.0, 0.6, 0.9, 1.0):
        arm, rows = of_arm(params, candidates, "strict", TOY, **{"checks.confidence": tau})
        counts.append(int(accepted(arm, rows, scores, TOY)["accepted"].sum()))
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[1] > 0 == counts[-1]
    arm, rows = of_arm(params, candidates, "strict", TOY, **{"checks.charset": 0.9})
    with pytest.raises(UserError, match="charset") as caught:
        accepted(arm, rows, scores, TOY)
    assert "declare it there" in caught.value.remedy and "dvc repro" in caught.value.remedy


def test_unverified_arms_take_what_is_there(tables, params, candidates):
    scores = ScoreTable.of_frame(tables["judgements"])
    arm, rows = of_arm(params, candidates, "strict", TOY)
    found = accepted(unverified(arm), rows, scores, TOY)
    assert found["accepted"].tolist() == (rows["text"] != "").tolist()
    assert [name for name in found if name.startswith("ok_")] == ["ok_nonempty"]


def test_summaries(tables):
    table = acceptance(tables["verdicts"])
    assert list(table.columns) == ["arm", "corpus", "size", "candidates", "accepted", "acceptance", "starved"]
    assert table["candidates"].sum() == len(tables["verdicts"]) and table["accepted"].sum() == tables["verdicts"]["accepted"].sum()
    reasons = rejection_reasons(tables["verdicts"])
    assert reasons.columns[0] == "accepted" and reasons.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(reasons)))
    assert reasons.index.tolist() == list(table[["arm", "corpus", "size"]].itertuples(index=False, name=None))
    assert reasons["accepted"].to_numpy() == pytest.approx(table["acceptance"].to_numpy())
    strange = tables["verdicts"].replace({"reason": {reasons.columns[1]: "check-of-a-lost-file"}})
    assert rejection_reasons(strange).columns.tolist() == ["accepted", *reasons.columns[2:], "check-of-a-lost-file"]


# --- files ----------------------------------------------------------------------------------------------


@pytest.fixture
def step(params, candidates, real, corpora, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "load_candidates", lambda paths: candidates)
    monkeypatch.setattr(build, "candidates_of", select)
    monkeypatch.setattr(build.RealText, "load", lambda params, paths, splits: real)
    monkeypatch.setattr(build, "OpenJudge", lambda params, catalog, paths, real: FakeJudge(params, real))
    monkeypatch.setattr(build, "load_corpus", lambda paths, name, splits: replace(corpora[name], frame=corpora[name].split(splits[0])))

    def run(folder: str):
        (tmp_path / folder).mkdir()
        paths = Paths(tmp_path / folder, "demo")
        return build.build_verdicts(params, None, paths), paths

    return run


def test_the_step_writes_five_tables_equal_in_two_runs(step, params, candidates):
    tables, paths = step("a")
    assert list(tables) == ["judgements", "verdicts", "soft", "teachers", "reliability"]
    files = sorted(path.name for path in paths.verdicts.iterdir())
    assert files == sorted(f"{name}.{suffix}" for name in tables for suffix in ("md", "parquet"))
    _, again = step("b")
    for name in files:
        assert (paths.verdicts / name).read_bytes() == (again.verdicts / name).read_bytes(), name
    arm, rows = of_arm(params, candidates, "seer", TOY)
    ids = rows["candidate_id"].tolist()
    scores, soft = load_scores(paths), load_soft(paths)
    found = accepted(arm, rows, scores, TOY)
    kept = read_table(paths.verdicts / "verdicts.parquet")
    kept = kept[(kept["arm"] == "seer") & (kept["corpus"] == "toy") & (kept["size"] == 16) & (kept["repeat"] == 0)]
    assert kept["accepted"].tolist() == found["accepted"].tolist() and kept["candidate_id"].tolist() == ids
    before = SoftLabels.of_frame(tables["soft"])
    for labeller, _ in arm.labellers:
        assert np.array_equal(soft.log_p(labeller, ids, TOY, oracle=True), before.log_p(labeller, ids, TOY, oracle=True)), "−inf included"


def test_a_table_that_is_lacking_names_its_step(tmp_path):
    with pytest.raises(UserError, match="verification"):
        load_scores(Paths(tmp_path, "demo"))
