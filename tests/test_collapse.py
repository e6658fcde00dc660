"""Rounds of a writer on its own accepted text, with writers of which it is known how they narrow."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import toy_trials as toy
from emosynth.errors import UserError
from emosynth.models.lm import Completion
from emosynth.params import Params
from emosynth.params.design import check_design
from emosynth.paths import Paths
from emosynth.pipeline import stage
from emosynth.responsible.collapse import COLUMNS, KEPT, REPLACED, collapse
from emosynth.responsible.collapse.rounds import Round, run_rounds
from emosynth.session import declared
from emosynth.trials.sources import Sources

SIZE = 24


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return bags of words, hashed, of length 1."""
    out = np.zeros((len(texts), 32), dtype=np.float32)
    for place, text in enumerate(texts):
        for word in text.split():
            out[place, int(hashlib.sha256(word.encode()).hexdigest(), 16) % 32] += 1
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


class FakeWriter:
    """Writes by rule from the rows that it was tuned on."""

    deterministic = True

    def __init__(self, rows: Any) -> None:
        self.rows = [*rows[0], *rows[1]]
        self.identity = {
            "backend": type(self).__name__,
            "rows": hashlib.sha256(repr([(row.prefix, row.text) for row in self.rows]).encode()).hexdigest(),
        }

    def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
        """Answer each request by its label and its row seed."""
        return [Completion(" " + self.text([row.text for row in self.rows if row.prefix == r.prompt], r), "stop", 3, 5) for r in requests]

    def close(self) -> None:
        """Nothing is open."""

    def text(self, own: list[str], request: Any) -> str:
        """Return a text of a label."""
        raise NotImplementedError


class Narrowing(FakeWriter):
    """Draws words from the more frequent half of those that it learnt."""

    def text(self, own: list[str], request: Any) -> str:
        """Return eight of them."""
        words = sorted(counts := Counter(word for text in own for word in text.split()), key=lambda word: (-counts[word], word))
        rng = np.random.default_rng([request.row_seed])
        return " ".join(rng.choice(words[: max(2, len(words) // 2)], 8))


class Copying(FakeWriter):
    """Gives what it learnt back, row by row."""

    def __init__(self, rows: Any) -> None:
        super().__init__(rows)
        self.told: Counter[str] = Counter()

    def text(self, own: list[str], request: Any) -> str:
        """Return the next row of the label."""
        self.told[request.prompt] += 1
        return own[(self.told[request.prompt] - 1) % len(own)]


class Silent(FakeWriter):
    """Has nothing to say of joy once it learnt from itself."""

    def text(self, own: list[str], request: Any) -> str:
        """Return a row, or nothing."""
        known = any(text.startswith("w") for text in own)
        return "" if request.prompt.startswith("joy") and not known else f"x{request.row_seed} {own[request.row_seed % len(own)][1:]}"


def params(checks: Any = "none", **collapse: Any) -> Params:
    """Return the toy with a tuned arm that goes round."""
    return toy.params(
        corpora={"target": "toy"}, cells={"sizes": [SIZE], "repeats": 3}, writers={"tuned": {"tune": "all"}}, teacher={"kind": "tfidf", "folds": 2},
        tuning={"prefix": "{label} {noun}:"},
        arms={"own": {"writer": "tuned", "checks": checks}, "naive": {"checks": "basic"}, "guided": {"guide": "shap-tokens", "writer": "tuned", "checks": "none"}},
        responsible={"collapse": {"arm": "own", "rounds": 3, "candidates": 2 * SIZE, **collapse}},
    )  # fmt: skip


@pytest.fixture
def made(tmp_path: Path) -> tuple[Params, Paths]:
    one = params()
    return one, toy.write_profile(tmp_path / "root", one)


def run(made: tuple[Params, Paths], writer: type[FakeWriter], **more: Any) -> pd.DataFrame:
    given, paths = made if not more else (params(**more), made[1])
    frame = collapse(Sources.load(given, paths), None, paths, tune=lambda rows, cell, what: writer(rows), embed=embed)  # type: ignore[arg-type, return-value]
    return frame.set_index(["variant", "round", "measure", "learner"]).sort_index()


def test_a_writer_that_narrows_collapses_and_the_kept_seed_holds_it_up(made):
    found = run(made, Narrowing)
    for measure in ("distinct_1", "distinct_2", "spread"):
        alone, kept = ([found.loc[(variant, number, measure, ""), "value"] for number in range(4)] for variant in (REPLACED, KEPT))
        assert alone[0] == kept[0] and alone[1] == kept[1], "both start from the seed, and the first round is the same"
        assert alone[1] > alone[2] > alone[3] and alone[1] > 1.2 * alone[3], measure
        assert kept[3] > 1.1 * alone[3], measure
        last = found.loc[(REPLACED, 3, measure, "")]
        assert last["change"] == pytest.approx(alone[3] - alone[1]) and last["change_low"] < last["change"] < last["change_high"]
        assert last["low"] < last["value"] < last["high"]
    assert found.loc[(REPLACED, 3, "distinct_1", ""), "change_high"] < 0, "each seed loses"
    assert found.loc[(REPLACED, 3, "coverage", ""), "value"] < found.loc[(REPLACED, 0, "coverage", ""), "value"]
    assert found.loc[(REPLACED, 3, "detectability", ""), "value"] > 0.9 > found.loc[(REPLACED, 0, "detectability", ""), "value"]
    score = found.loc[(REPLACED, slice(None), "macro_f1", "tfidf"), "value"]
    assert score.iloc[3] < score.iloc[0], "what the words of a class were is forgotten"
    assert (found["repeats"] == 3).all() and (found["starved"] == 0).all()
    assert (found.xs("rows", level="measure")["value"] == SIZE).all()


def test_a_writer_that_copies_its_seed_stays_where_it_was(made):
    found = run(made, Copying)
    for measure in ("distinct_1", "distinct_2", "spread", "self_repetition"):
        alone = [found.loc[(REPLACED, number, measure, ""), "value"] for number in range(4)]
        assert alone == pytest.approx([alone[0]] * 4, abs=0.01), f"{measure}: the same texts, drawn in another order"
    for learner in ("tfidf", "embedding"):
        scores = [found.loc[(REPLACED, number, "macro_f1", learner), "value"] for number in range(4)]
        assert scores == pytest.approx([scores[0]] * 4, abs=1e-9)


def test_a_round_without_a_class_is_counted_and_ends_what_has_no_other_rows(made):
    found = run(made, Silent)
    rounds = found.reset_index().groupby("variant")["round"].max()
    assert rounds[REPLACED] == 2 and rounds[KEPT] == 3
    starved = found.loc[(REPLACED, 2)]
    assert (starved["starved"] == 3).all() and starved.loc[("rows", ""), "value"] == SIZE / 2
    assert starved.loc[("written", ""), "value"] == 2 * SIZE and starved.loc[("accepted", ""), "value"] == SIZE
    assert np.isnan(starved.loc[("distinct_2", ""), "value"]) and starved.loc[("distinct_2", ""), "repeats"] == 0
    assert (found.loc[(KEPT, 3)]["starved"] == 0).all(), "real rows of the class are still there to learn from"


def test_checks_are_the_arms_own_on_the_rounds_own_rows(made, tmp_path):
    """What repeats the rows of its round is rejected, though the real seed does not hold it."""

    class Repeating(Copying):
        def text(self, own: list[str], request: Any) -> str:
            if any(text.startswith("new") for text in own):
                return super().text(own, request)
            self.told[request.prompt] += 1
            place = self.told[request.prompt] - 1
            return f"new{place} of{place} {request.prompt.split()[0]}{place} there{place} is{place}"

    given = params(checks={"original": 0.6}, rounds=2, repeats=1)
    rounds = run_rounds(Sources.load(given, made[1]), None, made[1], lambda rows, cell, what: Repeating(rows))  # type: ignore[arg-type, return-value]
    by_place = {(each.variant, each.number): each for each in rounds}
    assert by_place[REPLACED, 1].accepted == 2 * SIZE and by_place[REPLACED, 2].accepted == 0 and not by_place[REPLACED, 2].sound
    assert by_place[REPLACED, 2].rows.empty and len(by_place[KEPT, 1].rows) == SIZE


def test_rounds_learn_from_the_rows_that_their_variant_says(made):
    seen: dict[str, list[str]] = {}

    def tune(rows: Any, cell: Any, what: str) -> Any:
        seen[what.split(", ", 2)[2]] = [row.text for row in (*rows[0], *rows[1])]
        assert len(rows[1]) == round(0.1 * len(seen[what.split(", ", 2)[2]]))
        return Narrowing(rows)

    sources = Sources.load(params(repeats=1), made[1])
    rounds: list[Round] = run_rounds(sources, None, made[1], tune)  # type: ignore[arg-type]
    text = {(each.variant, each.number): Counter(each.texts) for each in rounds}
    assert list(seen) == ["round 1", *(f"{variant}, round {number}" for variant in (REPLACED, KEPT) for number in (2, 3))]
    assert seen["round 1"] == rounds[0].texts == sources.seed(rounds_cell(sources)).texts, (
        "the first round tunes on the very rows of step 04"
    )
    assert Counter(seen["replaced, round 3"]) == text[REPLACED, 2]
    assert Counter(seen["kept, round 3"]) == text[KEPT, 0] + text[KEPT, 1] + text[KEPT, 2]
    assert text[KEPT, 2] != text[REPLACED, 2] and text[KEPT, 3] != text[KEPT, 2], "every round draws anew"


def rounds_cell(sources: Sources) -> Any:
    from emosynth.responsible.collapse.rounds import rounds_on

    return rounds_on(sources.params)[1][0]


def test_texts_are_kept_and_two_runs_are_equal(made):
    class Counting(Narrowing):
        calls = 0

        def generate(self, requests: Any, decoding: Any, *, progress: Any = None) -> list[Completion]:
            Counting.calls += len(requests)
            return super().generate(requests, decoding)

    first = run(made, Counting)
    written = Counting.calls
    again = run(made, Counting)
    assert written == 3 * 5 * 2 * SIZE and Counting.calls == written
    assert first.to_csv() == again.to_csv()
    assert not {"text", "id"} & set(COLUMNS) and "w1" not in json.dumps(first.reset_index().astype(str).to_dict("records"))


def test_a_single_seed_has_no_interval_and_off_is_empty(made):
    one = run(made, Narrowing, rounds=1, repeats=1)
    assert one["low"].isna().all() and one["value"].notna().sum() > 20 and set(one["repeats"]) <= {0, 1}
    off = collapse(Sources.load(params(rounds=0), made[1]), None, made[1])  # type: ignore[arg-type]
    assert off.empty and list(off.columns) == ["corpus", *COLUMNS]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"arm": "onw"}, "Did you mean own?"), ({"arm": None}, "no arm called None"), ({"arm": "naive"}, "cannot go round"),
        ({"arm": "guided"}, "Arms that can: own"), ({"arm": "seed"}, "cannot go round"), ({"size": 50}, "24 of toy"), ({"corpus": "news"}, "24 of toy"),
    ],
)  # fmt: skip
def test_what_cannot_go_round_is_an_error_before_the_run(changed, told):
    with pytest.raises(UserError, match=r"responsible\.collapse") as error:
        check_design(params(**changed), toy.ROOT, "test")
    assert told in str(error.value)
    check_design(params(**changed, rounds=0), toy.ROOT, "test")


def test_a_tiny_model_goes_round_through_the_caches_and_a_second_run_tunes_nothing(tmp_path, monkeypatch):
    from emosynth.models.lm import local
    from lm_files import make_tiny_model
    from test_writers import FakeCatalog

    monkeypatch.setenv("EMOSYNTH_THREADS", "1")
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "root" / "cache"))
    folder = make_tiny_model(tmp_path / "tiny")
    given = toy.params(
        corpora={"target": "toy"}, cells={"sizes": [SIZE], "repeats": 1}, teacher={"kind": "tfidf", "folds": 2}, tuning={"epochs": 1, "batch": 8, "max_tokens": 24},
        models={"writer": {"backend": "transformers", "model": str(folder), "batch": 64}, "reader": str(folder)}, generation={"decoding": {"max_new_tokens": 12}},
        writers={"tuned": {"tune": "top_blocks", "blocks": 1, "learning_rate": 1e-2}}, arms={"own": {"writer": "tuned", "checks": "none"}},
        responsible={"collapse": {"arm": "own", "rounds": 2, "candidates": SIZE}},
    )  # fmt: skip
    paths = toy.write_profile(tmp_path / "root", given)
    given, store = declared(given, stage("10_responsible")), FakeCatalog(tmp_path / "root")  # as the notebook sees them
    first = collapse(Sources.load(given, paths), store, paths, embed=embed)  # type: ignore[arg-type]
    assert len(list((paths.cache / "tuned").glob("*/tuned.json"))) == 3, "round 1 is shared"
    assert first.loc[first["measure"] == "written", "value"].tolist() == [SIZE] * 4
    monkeypatch.setattr("emosynth.models.lm.tune.tune", lambda *_, **__: pytest.fail("tuned again"))
    monkeypatch.setattr(local.TransformersModel, "generate", lambda *_, **__: pytest.fail("written again"))
    pd.testing.assert_frame_equal(collapse(Sources.load(given, paths), store, paths, embed=embed), first)  # type: ignore[arg-type]


def test_the_figure_says_what_became_of_both_and_where_a_round_starved(made, tmp_path):
    from emosynth.cards import Card, write_table
    from emosynth.params import Figures
    from emosynth.report.figures.base import find_figure, why_left_out
    from emosynth.report.tables import Tables
    from emosynth.style import figure_style

    given, paths = made
    figure = find_figure("collapse")
    assert "collapse.parquet" in why_left_out(figure, Tables(paths, given))
    for writer, said in ((Narrowing, "with the real seed kept"), (Silent, "round 2 leaves too few rows of a class in 1 seed")):
        found = run(made, writer, repeats=1).reset_index()[["corpus", *COLUMNS]]
        write_table(found, paths.responsible / "collapse.parquet", Card(title="x", what="x", made="x"))
        tables = Tables(paths, given)
        frame = figure.frame(tables)
        words = figure.words(frame, tables)
        assert said in words.title + words.reading and "nan" not in words.title + words.reading
        with figure_style(Figures()):
            assert len([axes for axes in figure.paint(frame, tables, Figures()).axes if axes.get_visible()]) == 8
    write_table(found.iloc[:0], paths.responsible / "collapse.parquet", Card(title="x", what="x", made="x"))
    assert why_left_out(figure, Tables(paths, given))
