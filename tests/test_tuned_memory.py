"""Membership inference and canaries, on writers of which it is known what they remember."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import toy_trials as toy
from emosynth.catalog import Catalog
from emosynth.design.cells import Cell
from emosynth.models.lm.tune import Example
from emosynth.paths import Paths
from emosynth.responsible import tuned
from emosynth.responsible.canaries import CANARIES, canaries, canary_rows, exposure_p, exposures, secrets, written_out
from emosynth.responsible.rates import CALIBRATED, LOSS, UNTUNED
from emosynth.responsible.tuned import MEMBERSHIP, RowLosses, attack, auc_interval, membership, rows_in_question
from emosynth.trials.sources import Sources
from emosynth.writers import Seeds, build_tuned, list_tuned
from lm_files import catalog, make_tiny_model, smollm2

# --- the numbers ---------------------------------------------------------------------------------------


def test_areas_and_shares_are_those_of_a_slow_count():
    rng = np.random.default_rng(1)
    members, others = rng.integers(0, 9, 40) / 2, rng.integers(0, 8, 30) / 2
    found = attack(members, others)
    wins = [(member > other) + (member == other) / 2 for member in members for other in others]
    assert found["auc"] == pytest.approx(np.mean(wins))
    for cent in (1, 10):
        cuts = [cut for cut in np.unique([members, others[:1].repeat(40)]) if (others > cut).mean() <= cent / 100]
        assert found[f"tpr_{cent}"] == max([(members > cut).mean() for cut in cuts], default=0.0)


def test_interval_holds_its_area_and_is_not_empty_at_the_ends():
    for auc, members, others in ((0.5, 50, 50), (0.7, 90, 30), (0.98, 20, 20)):
        found, turned = auc_interval(auc, members, others, 0.95), auc_interval(1 - auc, members, others, 0.95)
        assert 0 < found.low < auc < found.high < 1 and turned.low == pytest.approx(1 - found.high)
        wider = auc_interval(auc, members // 2, others // 2, 0.95)
        assert wider.low < found.low and wider.high > found.high
    sure = auc_interval(1.0, 50, 50, 0.95)
    assert 0.95 < sure.low < 0.97 and sure.high == 1.0
    assert auc_interval(0.0, 50, 50, 0.95).low == 0.0


@pytest.mark.parametrize(("count", "alarms", "found"), [(30, 58, (442, 950)), (90, 43, (902, 1000))])
def test_the_interval_rarely_excludes_a_half_where_nothing_is_told_and_finds_what_is(count, alarms, found):
    """The false alarms and recall of docs/responsible.md: areas of 0.5, 0.64 and 0.76, a thousand times each."""
    rng = np.random.default_rng(2)
    draws = [(rng.normal(size=count), [rng.normal(shift, 1, count) for shift in (0, 0.5, 1)]) for _ in range(1000)]
    spans = [[auc_interval(attack(members, others)["auc"], count, count, 0.95) for members in those] for others, those in draws]
    assert (sum(0.5 not in one[0] for one in spans), tuple(sum(one[at].low > 0.5 for one in spans) for at in (1, 2))) == (alarms, found)


def test_a_canary_before_all_others_has_the_most_exposure_and_ties_have_none():
    others = np.arange(10.0, 521.0)
    assert exposures(np.array([1.0, 10.5, 600.0]), others) == pytest.approx([9.0, 8.0, 0.0])
    assert (exposures(np.full(3, 5.0), np.full(511, 5.0)) == 0).all(), "who finds all alike remembers nothing"
    shown = canary_rows({"losses": [50, 300, 1, 2, *others], "out": {"0": [0, 0], "4": [1, 7]}}, {0: "ab", 4: "cd"}, 0.2)
    assert [row["planted"] for row in shown] == [0, 4] and shown[1] == {
        "planted": 4, "canaries": 2, "share": 0.2, "candidates": 512, "exposure": pytest.approx(9.0), "lowest": pytest.approx(9.0),
        "highest": pytest.approx(9.0), "most": 9.0, "p": shown[1]["p"], "first": 2, "written": 1, "hits": 7,
    }  # fmt: skip
    assert shown[1]["p"] < 1e-4 < 0.05 < shown[0]["p"] and shown[0]["share"] == 0


def test_exposures_of_what_was_not_planted_are_rarely_called_high():
    """The false alarms of docs/responsible.md."""
    rng = np.random.default_rng(3)
    drawn = [exposures(found[:5], found[5:]) for found in rng.normal(size=(2000, 505))]
    assert np.mean(drawn) == pytest.approx(1 / math.log(2), abs=0.05)
    assert sum(exposure_p(found) < 0.05 for found in drawn) == 82


def test_secrets_are_found_whatever_stands_between_their_digits():
    texts = ["my number is 12345678!", "1234 5678", "1234567", "87654321 12345678", ""]
    assert written_out(["12345678", "87654321", "55555555"], texts) == (2, 3) and written_out(["12345678"], []) == (0, 0)
    made = secrets(400, 1)
    assert len(set(made)) == 400 and all(len(one) == 8 and one.isdigit() for one in made) and secrets(3, 1) == made[:3]


# --- who is asked about --------------------------------------------------------------------------------


def params(**more: Any) -> Any:
    """Return the toy with tuned writers, one of them guided."""
    given: dict[str, Any] = {
        "corpora": {"target": "toy"}, "cells": {"sizes": [16], "repeats": 2}, "models": {"writer": {"backend": "transformers", "model": "none"}},
        "writers": {"tuned": {"tune": "top_blocks", "blocks": 1, "learning_rate": 1e-2}}, "tuning": {"held_out": 0.25, "epochs": 2, "batch": 4},
        "arms": {"own": {"writer": "tuned", "checks": "none"}, "guided": {"guide": "shap-tokens", "writer": "tuned", "checks": "none", "repeats": 1}},
        "generation": {"decoding": {"max_new_tokens": 24}}, "responsible": {"membership": 50},
    }  # fmt: skip
    return toy.params(**given | more)


def asked(tmp_path: Path, made: Any, repeat: int = 0, count: int = 50) -> tuple[dict[str, Example], dict[str, Example], Sources]:
    paths = Paths(tmp_path / "root", "test") if (tmp_path / "root").exists() else toy.write_profile(tmp_path / "root", made)
    sources = Sources.load(made, paths)
    cell, name, origin = [found for found in list_tuned(made) if found[0].repeat == repeat][-1]
    return *rows_in_question(sources, Seeds(made, paths), cell, made.writers[name], origin, count), sources


def test_members_were_tuned_on_and_others_are_of_the_same_classes_and_in_no_seed(tmp_path):
    made = params()
    taken: list[set[str]] = []
    for repeat in (0, 1):
        members, others, sources = asked(tmp_path, made, repeat)
        order = sources.order[sources.order["repeat"] == repeat].set_index("rank")["id"]
        assert list(members) == order[:12].tolist(), "the four held out are not asked about"
        assert not set(others) & set(sources.order.loc[sources.order["rank"] < 16, "id"])
        assert sorted(row.prefix for row in members.values()) == sorted(row.prefix for row in others.values())
        frame = sources.corpora["toy"].frame.set_index("id")
        assert set(frame.loc[list(others), "split"]) == {"train"}
        assert [row.text for row in others.values()] == frame.loc[list(others), "text"].tolist()
        assert {row.prefix for row in members.values()} == {"joy note:", "sadness note:"}, "no words of a guide"
        taken.append(set(others))
    assert not taken[0] & taken[1], "each repeat has others of its own"
    members, others, _ = asked(tmp_path, made, count=5)
    assert len(members) == len(others) == 5


def test_few_rows_are_shared_fairly(tmp_path):
    made = params(cells={"sizes": [32], "repeats": 3})
    members, others, sources = asked(tmp_path, made, 1)
    assert len(members) == len(others) == 24
    assert not set(others) & set(sources.order.query("repeat == 1 and rank < 32")["id"])
    assert sorted(row.prefix for row in members.values()) == sorted(row.prefix for row in others.values())
    members, others, _ = asked(tmp_path / "oracle", params(writers={"tuned": {"tune": "top_blocks", "rows": "all"}}))
    assert members == others == {}, "an oracle has seen all"


# --- planted memories ----------------------------------------------------------------------------------


class Fake:
    """Finds every text as likely as its hash says, and, where it remembers, what it was tuned on much likelier."""

    def __init__(self, known: set[str], gain: float) -> None:
        self.known, self.gain = known, gain

    def __call__(self, weights: Any, examples: Any) -> list[tuple[float, int]]:
        made = []
        for row in examples:
            tokens = 5 + len(row.text) % 7
            loss = np.random.default_rng([tuned.stable_seed(row.text)]).normal(4, 0.5)
            made.append(((loss - self.gain * (weights is not None and row.text in self.known)) * tokens, tokens))
        return made


@pytest.mark.parametrize(("gain", "alone", "calibrated"), [(10.0, 1.0, 1.0), (0.3, None, 1.0), (0.0, None, 0.5)])
def test_a_writer_that_remembers_is_found_and_one_that_does_not_is_not(tmp_path, monkeypatch, gain, alone, calibrated):
    made = params()
    paths = toy.write_profile(tmp_path / "root", made)
    sources = Sources.load(made, paths)
    seeds = {row for repeat in (0, 1) for row in sources.order.query(f"repeat == {repeat} and rank < 16")["id"]}
    known = set(sources.corpora["toy"].frame.set_index("id").loc[sorted(seeds), "text"])
    monkeypatch.setattr(tuned, "weights_of", lambda *_: SimpleNamespace(best=2))
    found = membership(sources, None, paths, "toy", lambda *_: Fake(known, gain))  # type: ignore[arg-type]
    assert list(found.columns) == MEMBERSHIP and len(found) == 3 * (2 + 1 + 1), "two writers of one form, one of another, and a mean"
    own = found[found["guides"] == "none"].set_index(["attack", "repeat"])
    assert own.loc[(CALIBRATED, -1), "auc"] == calibrated and (own["low"] <= own["auc"]).all() and (own["auc"] <= own["high"]).all()
    assert own.loc[(LOSS, -1), "auc"] == pytest.approx(own.loc[LOSS, "auc"][[0, 1]].mean())
    assert own.loc[(UNTUNED, -1), "auc"] == pytest.approx(0.5, abs=0.2) and (
        not gain or own.loc[(UNTUNED, -1), "auc"] < own.loc[(LOSS, -1), "auc"]
    )
    assert own.loc[(LOSS, -1), "auc"] == (alone if alone else pytest.approx(0.5, abs=0.35))
    assert own.loc[(CALIBRATED, -1), "tpr_1"] == (1.0 if gain else 0.0) and (own["epochs"] == 2).all()
    assert 20 < own.loc[(LOSS, -1), "members"] <= 24 == own.loc[(LOSS, -1), "others"], "rows in both seeds count once"
    assert own.loc[(LOSS, -1), "high"] - own.loc[(LOSS, -1), "low"] <= own.loc[(LOSS, 0), "high"] - own.loc[(LOSS, 0), "low"] + 0.2


def test_off_or_without_a_tuned_writer_nothing_is_opened(tmp_path):
    made = params(responsible={"membership": 0})
    paths = toy.write_profile(tmp_path / "root", made)
    sources = Sources.load(made, paths)
    for table, columns in ((membership, MEMBERSHIP), (canaries, CANARIES)):
        frame = table(sources, None, paths, "toy")  # type: ignore[arg-type, operator]
        assert list(frame.columns) == columns and frame.empty


# --- models that are tuned here ------------------------------------------------------------------------


class FakeCatalog:
    """A catalogue without entries, with a cache."""

    def __init__(self, paths: Paths) -> None:
        self.paths = SimpleNamespace(root=paths.root, cache=paths.cache, own=paths.own)

    model = Catalog.model


@pytest.fixture
def kind() -> str:
    return "top_blocks"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> tuple[Paths, Any, FakeCatalog]:
    monkeypatch.setenv("EMOSYNTH_THREADS", "1")
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    folder = make_tiny_model(tmp_path / "tiny")
    made = params(
        models={"writer": {"backend": "transformers", "model": str(folder)}}, tuning={"held_out": 0.25, "epochs": 4, "patience": 4, "batch": 4},
        arms={"own": {"writer": "tuned", "checks": "none", "repeats": 1}}, writers={"tuned": {"tune": kind, "blocks": 1, "rank": 4, "learning_rate": 1e-2}},
        responsible={"membership": 50, "canaries": {"count": 3, "repeats": [1, 8], "epochs": [1, 12], "kinds": ["all"], "references": 40, "texts": 8}},
    )  # fmt: skip
    paths = toy.write_profile(tmp_path / "root", made)
    store = FakeCatalog(paths)
    build_tuned(made, store, paths)  # type: ignore[arg-type]
    return paths, made, store


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("computed again")


@pytest.mark.parametrize("kind", ["top_blocks", "lora", "all"])
def test_a_tuned_model_is_attacked_from_files_and_its_losses_are_kept(tiny, monkeypatch):
    paths, made, store = tiny
    sources = Sources.load(made, paths)
    found = membership(sources, store, paths, "toy")
    assert found["attack"].tolist() == [LOSS, CALIBRATED, UNTUNED] and (found["members"] == 12).all() and found["auc"].between(0, 1).all()
    # a row's loss is the one that tuning has, and depends on no other row
    from emosynth.writers.opening import weights_of

    cell, name, origin = list_tuned(made)[0]
    weights = weights_of(made, name, paths, cell, origin.salt)
    members, _ = rows_in_question(sources, Seeds(made, paths), cell, made.writers[name], origin, 50)
    from emosynth.writers.examples import examples_of

    held = examples_of(Seeds(made, paths), cell, origin, made.tuning)[1]
    losses = RowLosses(made.models.writer.model, made.writers[name], made.tuning, store)
    total, tokens = (sum(part) for part in zip(*losses(weights, held), strict=True))
    assert math.exp(total / tokens) == pytest.approx(weights.history[weights.best].perplexity, rel=1e-4)
    total, tokens = (sum(part) for part in zip(*losses(None, held), strict=True))
    assert math.exp(total / tokens) == pytest.approx(weights.history[0].perplexity, rel=1e-4)
    from emosynth.models.lm import trainable

    monkeypatch.setattr(trainable, "load_for_tuning", refuse)
    pd.testing.assert_frame_equal(membership(Sources.load(made, paths), store, paths, "toy"), found)
    assert losses(weights, list(members.values())[3:4])[0] == pytest.approx(losses(weights, list(members.values()))[3], rel=1e-5)


def test_canaries_are_remembered_with_practice_and_shown_nowhere(tiny, monkeypatch):
    paths, made, store = tiny
    found = canaries(Sources.load(made, paths), store, paths, "toy")
    assert list(found.columns) == CANARIES and found[["epochs", "planted"]].to_numpy().tolist() == [
        [at, often] for at in (1, 12) for often in (0, 1, 8)
    ]
    assert (found["tuned"] == "all").all() and found["kept"].tolist() == [1] * 3 + [12] * 3 and (found["candidates"] == 41).all()
    by = found.set_index(["epochs", "planted"])
    assert by.loc[(12, 8), "exposure"] > 4.5 and by.loc[(12, 8), "p"] < 0.002 < 0.05 < by.loc[(12, 0), "p"]
    assert by.loc[(12, 8), "exposure"] > by.loc[(1, 1), "exposure"] and by.loc[(12, 8), "share"] == 27 / 39
    assert (found.loc[found["planted"] == 0, ["written", "hits"]] == 0).all().all()
    told = found.astype(str).to_csv()
    assert not [secret for secret in secrets(49, made.responsible.random_seed) if secret in told]
    from emosynth.models.lm import tuned as tuned_code

    monkeypatch.setattr(tuned_code, "find_or_tune", refuse)
    pd.testing.assert_frame_equal(canaries(Sources.load(made, paths), store, paths, "toy"), found)


@pytest.mark.model
def test_smollm2_tuned_on_a_few_rows_is_told_from_others(tmp_path, monkeypatch):
    file, models = smollm2(), catalog().paths.cache / "models"
    models.mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models)  # conversions of the untuned model are there
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    made = params(
        models={"writer": {"backend": "openvino", "model": str(file)}}, writers={"tuned": {"tune": "top_blocks", "blocks": 2, "learning_rate": 1e-3}},
        arms={"own": {"writer": "tuned", "checks": "none", "repeats": 1}}, tuning={"held_out": 0.25, "epochs": 3, "patience": 3, "batch": 4},
        responsible={"canaries": {"count": 2, "repeats": [4], "epochs": [3], "references": 30, "texts": 4}},
    )  # fmt: skip
    paths = toy.write_profile(tmp_path / "root", made)
    store = FakeCatalog(paths)
    build_tuned(made, store, paths)  # type: ignore[arg-type]
    sources = Sources.load(made, paths)
    found = membership(sources, store, paths, "toy").set_index("attack")  # type: ignore[arg-type]
    assert found.loc[CALIBRATED, "low"] > 0.5, "three passes over a dozen rows of random words are not forgotten"
    planted = canaries(sources, store, paths, "toy").set_index("planted")  # type: ignore[arg-type]
    assert planted.loc[4, "exposure"] > planted.loc[0, "exposure"] and planted.loc[0, "hits"] == 0


def test_a_cell_is_named_where_no_other_rows_are_left(tmp_path, monkeypatch, capsys):
    made = params(
        writers={"tuned": {"tune": "top_blocks", "rows": "all"}}, arms={"own": {"writer": "tuned", "checks": "none", "repeats": 1}}
    )
    paths = toy.write_profile(tmp_path / "root", made)
    found = membership(Sources.load(made, paths), None, paths, "toy", lambda *_: Fake(set(), 0.0))  # type: ignore[arg-type]
    assert found.empty and str(Cell("toy", 0, 16)) in "".join(capsys.readouterr())
