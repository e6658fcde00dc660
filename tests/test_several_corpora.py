"""A report of several corpora: the target answered first, one table and one figure for all, cuts said, each cell measured where its texts are."""

from __future__ import annotations

import math
import re
from itertools import product
from typing import get_args

import numpy as np
import pytest

from emosynth.evidence import RealCurve, metrics
from emosynth.evidence.contrasts import LEAST
from emosynth.evidence.declared import Outcome
from emosynth.evidence.numbers import labels_worth
from emosynth.params import Figures, Params
from emosynth.report.advice import advice, answer, cuts, elsewhere, paying
from emosynth.report.build import headline
from emosynth.report.figures.base import find_figure, rows_of, why_left_out
from emosynth.report.pages import _reach
from emosynth.report.reading import sections
from emosynth.report.tables import Tables, main_rows
from emosynth.style import figure_style
from fake_results import fake_params, write_fake_results

KEPT = ("real+1x", "naive", "shap", "emo-pillars", "eda", "random-exemplars")


def several() -> Params:
    bare = fake_params()
    arms = {name: None for name in bare.arms if name not in KEPT} | {
        "emo-pillars": {"repeats": None},
        "random-exemplars": {"run": True, "sizes": "largest", "repeats": None},
    }
    return fake_params(
        corpora={"target": "first", "also": ["second", "third"]},
        cells={"sizes": [60, 120, 240], "repeats": 5, "repeats_at": {240: 3}, "per": {"second": {"sizes": [60]}}},
        authenticity={"size": 120}, evidence={"resamples": 200}, figures={"dpi": 50},
        learners={"trees": None, "tfidf": None, "encoder": {"sizes": [120], "repeats": 2, "arms": ["seed", *KEPT]}}, arms=arms,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    params = several()
    return Tables(write_fake_results(tmp_path_factory.mktemp("several"), params), params)


def test_the_target_is_answered_first_at_every_size_and_the_others_after_it(tables: Tables) -> None:
    told, said = tables.told, answer(tables)
    assert told is not None and list(told["size"]) == [60, 120, 240] and set(told["corpus"]) == {"first"}
    for row in rows_of(told):
        assert f"{100 * abs(row.gain):.1f}" in said and f"at {row.size} labels" in said
    there = elsewhere(tables)
    assert "second" not in said and "second, Embeddings + LR (at 60 labels)" in there and "third, Embeddings + LR (at" in there
    assert "first, Fine-tuned encoder (at 120 labels)" in there, "another classifier may tell another story"
    shown = dict(zip(told["size"], told["shown"], strict=True))
    assert ("helps at" in said) == any(shown.values()) and ("is not shown to" in said) == (not all(shown.values()))


def test_a_reader_with_n_labels_finds_the_row(tables: Tables) -> None:
    rows, answers = advice(tables), tables.answers
    assert answers is not None and len(rows) == len(answers)
    assert [row["situation"] for row in rows if row["learner"] == "Embeddings + LR"] == [
        *(f"first, 4 classes, {size} labels" for size in (60, 120, 240)), "second, 4 classes, 60 labels",
        *(f"third, 4 classes, {size} labels" for size in (60, 120, 240)),
    ]  # fmt: skip
    row = answers[(answers["corpus"] == "third") & (answers["size"] == 120) & (answers["kind"] == "optimum")].iloc[0]
    trials = tables.need("trials/trials").query(
        "corpus == 'third' and size == 120 and arm == @row['arm'] and learner == 'embedding' and version == ''"
    )
    assert (
        row["added"] == trials["n_synthetic"].mean()
        and row["tokens"] == trials["tokens"].mean()
        and row["written"] == trials["n_generated"].mean()
    )
    assert row["repeats"] == 5 and row["rows"] == 240 and row["among"] + row["left"] == 4, "edited rows are no writing of a model's"


def test_where_repeats_and_sizes_were_cut_the_table_says_so(tables: Tables) -> None:
    rows = {(row["situation"].split(",")[0], int(row["situation"].split()[-2]), row["learner"]): row["basis"] for row in advice(tables)}
    assert rows["first", 240, "Embeddings + LR"].startswith("3 of 5 repeats")
    assert rows["first", 120, "Embeddings + LR"].startswith("5 repeats") and rows["second", 60, "Embeddings + LR"].startswith("5 repeats")
    assert rows["first", 120, "Fine-tuned encoder"].startswith("2 of 5 repeats")
    assert cuts(tables).startswith("4 rows of 9 rest on fewer repeats")  # 240 labels of two corpora, and the encoder on two
    told = {line.split(":")[0]: line for line in paying(tables)}
    assert "not run at 60 and 240, for time" in told["first, Fine-tuned encoder"] and "not run" not in told["first, Embeddings + LR"]
    assert "second, Fine-tuned encoder" not in told, "its only size was not run"


def test_arms_of_fewer_repeats_are_counted_as_not_picked_from(tables: Tables) -> None:
    answers = tables.answers
    assert answers is not None
    left = {(row.size, row.kind): row.left for row in rows_of(answers[answers["corpus"] == "first"])}
    assert left[60, "optimum"] == 1 and left[240, "optimum"] == 0, "random exemplars stand at the largest seed only"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((36.2, 9.0, 61.0, 150.0), ("36", "9 to 61")),
        ((math.inf, 37.0, math.inf, 1950.0), ("over\u00a01\u202f950", "37 to over\u00a01\u202f950")),
        ((-201.0, -715.0, math.inf, 1000.0), ("none shown", "may be over\u00a01\u202f000")),
        ((38.0, -50.0, 242.0, 550.0), ("none shown", "at most 242")),
        ((0.0, 0.0, 3.0, 100.0), ("none shown", "at most 3")),
        ((-80.0, -100.0, -10.0, 100.0), ("none shown", "")),
        ((math.nan, math.nan, math.nan, math.nan), ("–", "")),
    ],
)
def test_a_worth_is_told_only_where_its_interval_lies_above_zero(found: tuple[float, ...], said: tuple[str, str]) -> None:
    assert labels_worth(*found) == said


def test_no_reader_sees_less_than_no_labels(tables: Tables) -> None:
    """A gain about zero is read off the curve as minus some hundred labels: table, first page and metrics tell none."""
    assert tables.answers is not None and tables.headline is not None
    rows = tables.answers.assign(shown=True, gain=0.0, low=-0.03, high=0.03, worth=-201.0, worth_low=-715.0, worth_high=math.inf)
    told = Tables(tables.paths, tables.params)
    told.__dict__.update(scored=tables.scored, contrasts=tables.contrasts, answers=rows)
    few = [repeats < LEAST for repeats in rows["repeats"]]
    assert [row["worth"] for row in advice(told)] == ["–" if one else "none shown" for one in few] and not any(
        "−" in row["worth_span"] for row in advice(told)
    )
    assert "worth" not in answer(told) and headline(told)["row"].worth == -201
    assert metrics([], told.contrasts, None, headline(told))["best_worth_labels"] is None
    little = headline(told) | {"row": headline(told)["row"]._replace(gain=-0.0001, picked=-0.0002)}
    assert {str(value) for name, value in metrics([], told.contrasts, None, little).items() if name in ("best_gain", "picked_gain")} == {
        "0.0"
    }


def test_what_the_correction_takes_back_is_said_beside_its_interval(tables: Tables) -> None:
    assert tables.answers is not None
    rows = tables.answers.assign(shown=False, gain=0.029, low=0.008, high=0.05, p_adjusted=0.077, p_better=0.9986)
    told = Tables(tables.paths, tables.params)
    told.__dict__.update(scored=tables.scored, contrasts=tables.contrasts, answers=rows)
    assert "p = 0.077 once corrected for all rows" in answer(told) and "P > 0.99" in answer(told)
    assert all(row["sure"] == "not shown: p = 0.077" and "1.00" not in row["recipe"] for row in advice(told))


def test_a_worth_beyond_the_curve_names_where_the_curve_ends(tables: Tables) -> None:
    answers = tables.answers
    assert answers is not None
    assert set(answers.loc[(answers["corpus"] == "second") & (answers["size"] == 60), "reach"]) == {60.0}, "as many real rows"
    assert set(answers.loc[(answers["corpus"] == "first") & (answers["size"] == 60), "reach"]) == {420.0}
    row = next(row for row in advice(tables) if row["situation"].startswith("second"))
    assert not re.search(r"\binf", " ".join(row.values()))
    curve = RealCurve(60, np.array([60.0, 120.0]), np.array([0.0, 0.01]), np.array([[0.0, 0.01]]))
    assert curve.labels(0.02)[0] == math.inf


def test_the_figure_of_every_corpus_draws_what_its_title_judges(tables: Tables) -> None:
    """A title about the cross-fitted, corrected answer stood over four arms in the order of the parameters, neither picked nor corrected."""
    figure = find_figure("corpora")
    frame = figure.frame(tables)
    assert list(dict.fromkeys(frame["corpus"])) == ["first", "second", "third"] and not figure.signal(frame, tables)
    assert tables.answers is not None and len(frame) == len(tables.answers)
    for row in rows_of(frame):
        own = tables.answers.query("corpus == @row.corpus and size == @row.size and kind == @row.kind").iloc[0]
        assert (row.arm, row.learner, row.shown) == (own["arm"], own["learner"], own["shown"])
        for name in ("gain", "low", "high"):
            assert getattr(row, name) == pytest.approx(100 * own[name], nan_ok=True)
    with figure_style(Figures(dpi=50)):
        canvas, _ = figure.draw(tables, tables.params.figures)
    (axes,) = canvas.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{row.corpus}, n = {row.size}" for row in rows_of(frame)]
    ways = [text.get_text() for text in axes.texts]
    for way, row in zip(ways, rows_of(frame), strict=True):
        assert tables.looks.title(row.arm)[:5] in way and tables.looks.learner(row.learner)[-4:] in way
    some = frame.assign(shown=[place == 1 for place in range(len(frame))], gain=3.0, low=1.0, high=5.0)
    words = figure.words(some, tables)
    assert "on 1 of 3 corpora: first with 120 labels" in words.title and "+3.0 (+1.0\u00a0to\u00a0+5.0)" in words.title
    assert (
        tables.looks.learner(str(frame["learner"].iloc[1])) in words.title and tables.looks.title(str(frame["arm"].iloc[1])) in words.title
    )
    assert "on 0 of 3 corpora" in figure.words(frame.assign(shown=False), tables).title


def test_gain_and_authenticity_are_of_the_same_texts_on_every_corpus(tables: Tables) -> None:
    """The gain was that of the largest seed, the measures those of ``authenticity.size``, and other corpora were left out."""
    figure = find_figure("frontier")
    frame = figure.frame(tables)
    assert dict(frame.groupby("corpus", sort=False)["size"].first()) == {"first": 120, "second": 60, "third": 120}
    assert tables.contrasts is not None
    for row in rows_of(frame[frame["measure"] == "coverage"]):
        own = main_rows(tables.contrasts).query(
            "corpus == @row.corpus and size == @row.size and arm == @row.arm and learner == 'embedding' and version == ''"
        )
        assert row.gain == 100 * own["gain"].iloc[0]
        held = tables.need("authenticity/coverage").query(
            "corpus == @row.corpus and arm == @row.arm and verified and measure == 'coverage' and space == 'words'"
        )
        assert row.value == pytest.approx(held["value"].iloc[0])
    for (_, measure), own in frame.groupby(["corpus", "measure"]):
        better = -1 if measure == "detectability" else 1
        for row in rows_of(own):
            as_good = (own["gain"] >= row.gain) & (better * own["value"] >= better * row.value)
            beaten = (as_good & ((own["gain"] != row.gain) | (own["value"] != row.value))).any()
            assert row.frontier == (not beaten)
    with figure_style(Figures(dpi=50)):
        canvas, _ = figure.draw(tables, tables.params.figures)
    assert len([axes for axes in canvas.axes if axes.get_visible()]) == 6 and "second" in canvas.axes[2].get_ylabel()
    assert "n\u00a0=\u00a060" in figure.words(frame, tables).reading


def test_fidelity_and_coverage_stand_beside_the_frontier_for_every_corpus(tables: Tables) -> None:
    """In a space that no filter used, too: the teacher, which filters, reads sentences."""
    for corpus, space in product(tables.params.corpora.names, ("sentences", "words")):
        block = _reach(tables, corpus, space)
        assert block is not None and corpus in block["title"] and space in block["title"]
        assert block["columns"] == ["arm", "precision", "recall", "density", "coverage", "texts"]
        held = tables.need("authenticity/coverage").query(
            "corpus == @corpus and space == @space and arm == 'shap' and verified and measure == 'recall'"
        )
        line = next(row for row in block["rows"] if row[0] == "SHAP-guided")
        assert line[2] == f"{held['value'].iloc[0]:.2f} (0.20\u00a0to\u00a00.95)" and len(block["rows"]) == 6
        assert ("Most of real text is reached by" in block["note"]) == (space == "words")
    assert _reach(tables, "nowhere", "words") is None


def test_one_corpus_has_no_figure_of_several(tables: Tables) -> None:
    one = tables.params.model_copy(update={"corpora": tables.params.corpora.model_copy(update={"also": []})})
    alone = Tables(tables.paths, one)
    figure = find_figure("corpora")
    assert not figure.applies(one) and figure.applies(tables.params) and "second" not in elsewhere(alone)
    assert "one corpus" in why_left_out(figure, alone)


def test_the_answer_tells_sizes_that_help_from_those_that_do_not(tables: Tables) -> None:
    assert tables.answers is not None
    answers = tables.answers.copy()
    best = (answers["kind"] == "optimum") & answers["corpus"].isin(["first", "third"])
    for size, change in {
        60: {"shown": True, "gain": 0.05, "low": 0.02, "high": 0.08, "worth": 36.2, "worth_low": 9.0, "p_adjusted": 0.01},
        120: {
            "shown": True,
            "gain": 0.03,
            "low": 0.01,
            "high": 0.05,
            "worth": math.inf,
            "worth_low": 80.0,
            "reach": 360.0,
            "p_adjusted": 0.01,
        },
        240: {"shown": False, "gain": 0.01, "low": -0.01, "high": 0.03, "worth": 10.0, "worth_low": -20.0, "p_adjusted": 0.4},
    }.items():
        answers.loc[best & (answers["size"] == size), list(change)] = list(change.values())
    told = Tables(tables.paths, tables.params)
    told.__dict__.update(scored=tables.scored, contrasts=tables.contrasts, headline=tables.headline, answers=answers)
    said = answer(told)
    assert "helps at 60 and 120 labels and is not shown to at 240: picking" in said and "Best guess" not in said
    assert "+5.0 points of macro-F1 (95\u00a0% interval +2.0\u00a0to\u00a0+8.0) at 60 labels, worth 36 more real ones" in said
    assert (
        "+3.0 (+1.0\u00a0to\u00a0+5.0) at 120 labels, worth over\u00a0360 more real ones; +1.0 (−1.0\u00a0to\u00a0+3.0) at 240 labels."
        in said
    )
    assert elsewhere(told) == (
        "Elsewhere it is shown to help on third, Embeddings + LR (at 60 and 120 labels, not at 240). It is not shown to help on first, Fine-tuned encoder "
        "(at 120 labels); second, Embeddings + LR (at 60 labels); third, Fine-tuned encoder (at 120 labels)."
    )
    title = find_figure("answer").words(find_figure("answer").frame(told), told).title
    assert title.endswith("After correction the best way is shown to help at 60 and 120 labels")
    assert "1 of 3 corpora" not in find_figure("corpora").words(find_figure("corpora").frame(told), told).title
    assert "first, Embeddings + LR: written rows are shown to pay at 60 and 120 labels, not at 240." in paying(told)


def test_how_to_read_it_explains_every_outcome_and_says_what_this_profile_cannot_show(tables: Tables) -> None:
    told = {title: dict(pairs) for title, _, pairs in sections(tables)}
    assert tuple(told["Five outcomes of a comparison"]) == get_args(Outcome)
    limits = told["What this profile can and cannot show"]
    assert limits["corpora"].startswith("3 corpora: first, second and third") and "first: 60, 120 and 240 labels" in limits["seed sizes"]
    assert "smollm2" in limits["language model"]
    assert list(told["Words"]) == sorted(told["Words"], key=lambda word: word.lower().replace("ï", "i")), "in the order of the alphabet"
    assert sum(len(" ".join([*pairs, *pairs.values()]).split()) for pairs in told.values()) < 1000, "one page"
