"""The report: figures from files, and a page that shows hostile text harmlessly."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pandas as pd
import pytest

from emosynth.errors import UserError
from emosynth.params import Figures, Params, load_params
from emosynth.paths import Paths
from emosynth.report import pillars
from emosynth.report.build import distillation_metrics, transfer_metrics
from emosynth.report.checks import Texts, find_corpus_text
from emosynth.report.figures import figure_names, get_figure, write_figure
from emosynth.report.grounded import WITHHELD_COPY, WITHHELD_TEXT, explained, guarded, shown_rows
from emosynth.report.page import WITHHELD_SEED, draw_figures, readable, regenerate, render_report
from emosynth.report.sentisynth import NOT_RUN
from emosynth.report.tables import Tables
from emosynth.style import arm_colour, arm_label, figure_style, new_figure, order_arms, save_figure
from fake_results import COPIED, NOTEBOOKS, PASSAGE, PROVENANCE, REPEATED, SCRIPT, STORY, write_fake_results

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params(ROOT, "demo")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Paths:
    """A whole report of invented results."""
    paths = write_fake_results(tmp_path_factory.mktemp("report"))
    draw_figures(paths, params)
    (paths.report / "notebooks").mkdir()
    for name, *_ in NOTEBOOKS:
        (paths.report / "notebooks" / f"{name}.html").write_text("<!DOCTYPE html><title>notebook</title>", encoding="utf-8")
    render_report(paths, params, PROVENANCE, NOTEBOOKS)
    return paths


@pytest.fixture(scope="session")
def page(report: Paths) -> str:
    return (report.report / "index.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Collect start tags with attributes, and check that elements are closed in order."""

    VOID = frozenset({"meta", "link", "img", "source", "br", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1] if self.open else ''}> at {self.getpos()}"
        self.open.pop()


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if path.is_file()}


# --- style ----------------------------------------------------------------------------------------


def test_arms_keep_order_names_and_colours() -> None:
    arms = order_arms(["shap", "mine", "naive", "real+2x", "seed", "real-balanced+1x", "real+0.5x"])
    assert arms == ["seed", "real+0.5x", "real+2x", "real-balanced+1x", "naive", "shap", "mine"]
    assert arm_label("real+3x") == "Real +3×"
    assert arm_label("shap", False) == "SHAP-guided, unverified"
    with figure_style(Figures()):
        colours = [
            arm_colour(arm)
            for arm in ("seed", "real+1x", "real-balanced+1x", "naive", "random-exemplars", "shap-tokens", "shap", "shap-bias")
        ]
        assert len(set(colours)) == len(colours)
        light = arm_colour("seed")
    with figure_style(Figures(), dark=True):
        assert arm_colour("seed") != light


def test_style_is_left_as_found_and_does_not_depend_on_the_users(tmp_path: Path) -> None:
    def draw(name: str) -> bytes:
        with figure_style(Figures()):
            fig = new_figure(Figures(), 2.0)
            fig.subplots().plot([0, 1], [1, -1], label="line")
            save_figure(fig, tmp_path, name, None, ["svg"], 100)
        return (tmp_path / f"{name}.svg").read_bytes()

    first = draw("a")
    with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 30.0, "svg.hashsalt": "other"}):
        assert draw("b") == first
        assert matplotlib.rcParams["lines.linewidth"] == 9.0


def test_an_unknown_palette_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"figures\.palette"), figure_style(Figures(palette="nowhere")):
        pass


# --- figures --------------------------------------------------------------------------------------


def test_figures_are_equal_byte_for_byte(report: Paths, params: Params, tmp_path: Path) -> None:
    again = write_fake_results(tmp_path)
    names = [
        "learning_curves",
        "authenticity",
        "verification",
        "transfer",
        "emotion_diversity",
        "label_confusion",
    ]  # the others are made the same way; this saves time
    for name in names:
        regenerate(name, again, params)
    made = _hashes(again.report / "figures")
    assert set(made) == {f"{name}{end}" for name in names for end in (".png", ".svg", ".pdf", ".csv", "-dark.svg")}
    before = _hashes(report.report / "figures")
    assert {name: before[name] for name in made} == made


def test_files_hold_no_time_stamp(report: Paths) -> None:
    for path in (report.report / "figures").iterdir():
        content = path.read_bytes()
        assert b"CreationDate" not in content
        assert b"dc:date" not in content
        assert b"Software" not in content


def test_csv_holds_the_numbers_drawn(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    for name in figure_names():
        with figure_style(params.figures):
            _, frame = get_figure(name).draw(tables, params.figures)
        buffer = io.StringIO()
        frame.to_csv(buffer, index=False, lineterminator="\n")
        assert (report.report / "figures" / f"{name}.csv").read_text(encoding="utf-8") == buffer.getvalue()


def test_drawn_marks_are_the_numbers(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    with figure_style(params.figures):
        fig, frame = get_figure("learning_curves").draw(tables, params.figures)
    drawn = {round(float(y), 9) for axes in fig.axes for line in axes.lines for y in line.get_ydata()}
    assert {round(value, 9) for value in frame["mean"]} <= drawn
    assert tables.scores is not None
    cell = tables.scores.query("learner == 'tfidf' and arm == 'seed' and size == 60")["macro_f1"]
    shown = frame.query("learner == 'tfidf' and arm == 'seed' and size == 60")["mean"].iloc[0]
    assert shown == pytest.approx(100 * cell.mean())


def test_titles_carry_numbers_and_their_interval(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    words = get_figure("learning_curves").describe(tables)
    frame = tables.scores
    assert frame is not None
    at = frame[(frame["learner"] == "embedding") & (frame["size"] == 240) & ~frame["verified"]].set_index(["arm", "repeat"])["macro_f1"]
    gain = 100 * (at["shap"] - at["naive"]).mean()
    assert f"{abs(gain):.1f}" in words.title and "n = 240" in words.title and "95\u00a0% interval" in words.title


def test_missing_results_are_said(tmp_path: Path, params: Params) -> None:
    tables = Tables.load(Paths(tmp_path, "demo"), params)
    for name in figure_names():
        with figure_style(Figures(dpi=50)):
            _, frame = get_figure(name).draw(tables, Figures(dpi=50))
        assert list(frame.columns) == ["note"]
        assert "not available" in get_figure(name).describe(tables).title
    index = render_report(Paths(tmp_path, "demo"), params, {}, [])
    html = index.read_text(encoding="utf-8")
    assert not Elements(html).open
    assert "No claim was tested yet." in html and "This figure is not drawn yet" in html


def test_one_repeat_has_no_interval_and_says_so(tmp_path: Path, params: Params) -> None:
    paths = write_fake_results(tmp_path, repeats=1, sizes=(40,), learners=("tfidf",))
    tables = Tables.load(paths, params)
    for name in figure_names():
        write_figure(name, tables, Figures(dpi=50, formats=["png"]), paths.report / "figures")
    words = get_figure("learning_curves").describe(tables)
    assert "one repeat, no interval" in words.title
    assert "nan" not in " ".join([words.title, *words.reading]).lower()
    html = render_report(paths, params, PROVENANCE, NOTEBOOKS).read_text(encoding="utf-8")
    assert not re.search(r">\s*nan\b|\bnan\s*<|\bNone\b|\bNaN\b", html)


def test_a_figure_of_no_name_is_refused(report: Paths, params: Params) -> None:
    with pytest.raises(UserError, match="learning_curves"):
        regenerate("nothing", report, params)


def test_an_unreadable_table_is_named(tmp_path: Path) -> None:
    paths = write_fake_results(tmp_path, repeats=1, sizes=(40,), learners=("tfidf",))
    (paths.training / "scores.parquet").write_bytes(b"not a table")
    with pytest.raises(UserError, match=r"scores\.parquet"):
        Tables.load(paths, load_params(ROOT, "demo"))


# --- SentiSynth -------------------------------------------------------------------------------------

SENTISYNTH = {
    "distillation_gain", "matched_budget", "sweep_tau", "sweep_beta", "sweep_alpha_temperature", "sweep_growth", "seed_size", "tuning_kinds",
    "teacher_calibration", "defects", "gaps", "verification_reasons",
}  # fmt: skip

PILLARS = {
    "transfer", "transfer_gain", "leave_one_out", "emotion_diversity", "context_effect", "explicit_share", "label_confusion", "label_agreement",
    "emotion_probe",
}  # fmt: skip


@pytest.fixture(scope="session")
def without(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """Results of a run without the second and the third system."""
    root = tmp_path_factory.mktemp("first")
    return write_fake_results(root, repeats=2, sizes=(40,), learners=("tfidf",), distillation=False, grounding=False)


def test_the_parts_figures_are_registered_in_order() -> None:
    assert {name for name in figure_names() if get_figure(name).part == "sentisynth"} == SENTISYNTH
    parts = [get_figure(name).part for name in figure_names()]
    assert parts == sorted(parts, key=["shap-guided", "sentisynth", "emo-pillars"].index)


def test_gain_is_paired_by_repeat_and_in_the_title(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    assert tables.students is not None
    main = tables.students.query("student == 'embedding' and sweep == 'main'")
    soft = main.query("arm == 'tuned' and verified and labels == 'soft'").set_index("repeat")["macro_f1"]
    seed = main.query("arm == 'seed'").set_index("repeat")["macro_f1"]
    words = get_figure("distillation_gain").describe(tables)
    assert f"+{100 * (soft - seed).mean():.1f} points" in words.title and "95\u00a0% interval" in words.title and "n = 400" in words.title
    frame = get_figure("distillation_gain").numbers(tables)
    assert set(frame["student"]) == {"tiny", "embedding", "tfidf"} and (frame["repeats"] <= 5).all()


def test_defects_are_reported_minus_honest(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    frame = get_figure("defects").numbers(tables)
    rows = tables.students[tables.students["sweep"] == "ablation"]  # type: ignore[index]
    rows = rows[rows["student"] == "tfidf"].set_index(["variant", "repeat"])
    expected = 100 * (rows.loc["all defects", "reported_macro_f1"] - rows.loc["honest", "macro_f1"]).mean()
    shown = frame.query("student == 'tfidf' and variant == 'all defects' and difference == 'reported − honest'")["mean"].iloc[0]
    assert shown == pytest.approx(expected) and shown > 8
    assert not (frame["variant"] == "honest").any()


def test_a_sweep_without_its_own_seed_takes_that_of_the_main_contrast(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    rows = tables.students
    assert rows is not None
    bare = dataclasses.replace(tables, students=rows[(rows["sweep"] != "beta") | (rows["arm"] != "seed")])
    frame = get_figure("sweep_beta").numbers(bare)
    base = frame[(frame["panel"] == "seed alone") & (frame["student"] == "tfidf")]["mean"].iloc[0]
    assert base == pytest.approx(100 * rows.query("sweep == 'main' and arm == 'seed' and student == 'tfidf'")["macro_f1"].mean())


def test_real_arms_are_one_version_whatever_their_flags_say(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    assert tables.students is not None
    flagged = tables.students.assign(verified=tables.students["verified"] | (tables.students["arm"] == "seed"))
    changed = get_figure("distillation_gain").numbers(dataclasses.replace(tables, students=flagged))
    pd.testing.assert_frame_equal(changed, get_figure("distillation_gain").numbers(tables))


def test_page_holds_the_second_system(page: str) -> None:
    assert 'id="sentisynth"' in page and "Table of tuned generators" in page and "Table of the main contrast" in page
    assert "change macro-F1 by +" in page.split('id="data"')[0], "the key result names both systems"
    assert "was chosen on the validation split" in page and "Tuned, LoRA" in page
    for name in SENTISYNTH:
        assert f'id="{name}"' in page
    assert NOT_RUN not in page


def test_samples_need_the_corpus_they_are_guarded_by(report: Paths, params: Params, tmp_path: Path) -> None:
    paths = write_fake_results(tmp_path, repeats=2, sizes=(40,), learners=("tfidf",))
    for file in paths.corpora.glob("vader-films.*"):
        file.unlink()
    html = render_report(paths, params, PROVENANCE, NOTEBOOKS).read_text(encoding="utf-8")
    assert "the corpus that the generators were tuned on is not at hand" in html and "(tuned: LoRA)" not in html


def test_a_run_without_the_second_system_says_so_once(without: Paths, params: Params) -> None:
    html = render_report(without, params, PROVENANCE, NOTEBOOKS).read_text(encoding="utf-8")
    assert not Elements(html).open
    assert html.count(NOT_RUN) == 2, "in the key result and in its part"
    assert not any(f'id="{name}"' in html for name in SENTISYNTH)
    tables = Tables.load(without, params)
    assert not tables.distilled and tables.students is None
    with figure_style(params.figures):
        for name in SENTISYNTH:
            _, frame = get_figure(name).draw(tables, params.figures)
            assert list(frame.columns) == ["note"]


def test_metrics_hold_the_main_contrast(report: Paths) -> None:
    found = distillation_metrics(pd.read_parquet(report.distillation / "scores.parquet"))
    assert set(found) == {"tiny", "embedding", "tfidf"}
    assert {"seed", "real+2x", "naive", "tuned", "tuned_verified", "tuned_verified_soft"} <= set(found["tfidf"])
    assert distillation_metrics(None) == {}


# --- Emo Pillars ------------------------------------------------------------------------------------


def test_the_third_parts_figures_are_registered() -> None:
    assert {name for name in figure_names() if get_figure(name).part == "emo-pillars"} == PILLARS


def test_gain_from_pre_training_is_paired_by_repeat_at_the_headline_thresholds(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    scores = tables.pillars.scores
    assert scores is not None
    cell = scores.query("target == 'vader-tweets' and learner == 'embedding' and size == 100 and thresholds == 'validation'")
    by_repeat = cell.set_index(["regime", "arm", "repeat"])["macro_f1"].sort_index()
    expected = 100 * (by_repeat["two-stage", "grounded"] - by_repeat["target", "seed"]).mean()
    words = get_figure("transfer_gain").describe(tables)
    assert f"by +{expected:.1f} points" in words.title and "vader-tweets" in words.title and "n = 100" in words.title
    # Scores at thresholds that nobody chose change nothing.
    bare = dataclasses.replace(tables, pillars=dataclasses.replace(tables.pillars, scores=scores[scores["thresholds"] != "none"]))
    for name in ("transfer", "transfer_gain", "leave_one_out"):
        pd.testing.assert_frame_equal(get_figure(name).numbers(bare), get_figure(name).numbers(tables))


def test_levels_are_of_the_headline_arm(report: Paths, params: Params) -> None:
    frame = get_figure("transfer").numbers(Tables.load(report, params))
    level = frame.query("target == 'vader-tweets' and learner == 'tfidf' and regime == 'zero-shot'")
    assert level["mean"].tolist() == pytest.approx([28.0]), "0.40 − 0.12, and not the mean with the ungrounded arm's 0.26"
    assert frame.query("target == 'vader-films' and learner == 'encoder'").empty


def test_shares_count_a_row_for_each_of_its_emotions(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    rows = tables.pillars.rows
    assert rows is not None
    mine = rows[
        (rows["arm"] == "ungrounded")
        & (rows["kind"] == "contextual")
        & rows["accepted"]
        & rows["emotions"].map(lambda labels: "joy" in labels)
    ]
    cell = get_figure("explicit_share").numbers(tables).query("arm == 'ungrounded' and kind == 'contextual' and emotion == 'joy'").iloc[0]
    assert cell["n"] == len(mine) and cell["share"] == pytest.approx(100 * mine["explicit"].mean())
    assert cell["low"] < cell["share"] < cell["high"]


def test_diversity_leaves_out_what_was_too_few_and_marks_neutral(report: Paths, params: Params) -> None:
    frame = get_figure("emotion_diversity").numbers(Tables.load(report, params))
    assert "sadness" not in set(frame["emotion"]) and "contextless" not in set(frame["kind"])
    assert set(frame.loc[frame["arm"] == "grounded-topical", "emotion"]) == {"neutral"}
    neutral = frame.query("arm == 'grounded' and kind == 'context' and measure == 'distinct_2' and emotion == 'neutral'")
    assert neutral["difference"].tolist() == pytest.approx([1.5])


def test_context_effect_shows_means_over_repeats(report: Paths, params: Params) -> None:
    tables = Tables.load(report, params)
    frame = get_figure("context_effect").numbers(tables)
    assert len(frame) == 2 * 3 * (4 + 3) and "macro_average_precision" not in set(frame["measure"])
    assert "+7.0 (+3.0\u00a0…\u00a0+11.0) points" in get_figure("context_effect").describe(tables).title


def test_page_holds_the_third_system(page: str) -> None:
    assert 'id="emo-pillars"' in page and "Table of grounded and ungrounded arms" in page and "Table of the scale estimate" in page
    assert "Pre-training on grounded rows changes macro-F1" in page.split('id="data"')[0], "the key result names the third system"
    for name in PILLARS:
        assert f'id="{name}"' in page
    assert pillars.NOT_RUN not in page
    assert (
        "135 million parameters" in page and "the utterance is not rewritten" in page and "a judge of the same kind as the writer" in page
    )
    assert "a target of Emo Pillars" in page
    for number in range(1, 4):
        assert f"B{number}. " in page


def test_a_run_without_the_third_system_says_so_once(without: Paths, params: Params) -> None:
    html = render_report(without, params, PROVENANCE, NOTEBOOKS).read_text(encoding="utf-8")
    assert html.count(pillars.NOT_RUN.rstrip(".")) == 2, "in the key result and in its part"
    assert not any(f'id="{name}"' in html for name in PILLARS)
    tables = Tables.load(without, params)
    assert not tables.pillars.found
    with figure_style(params.figures):
        for name in PILLARS:
            _, frame = get_figure(name).draw(tables, params.figures)
            assert list(frame.columns) == ["note"]


def test_a_run_that_was_not_transferred_yet_shows_what_it_has(tmp_path: Path, params: Params) -> None:
    paths = write_fake_results(tmp_path, repeats=2, sizes=(40,), learners=("tfidf",))
    for path in (*paths.transfer.iterdir(), paths.grounding / "confusion.parquet", paths.grounding / "pairs.parquet"):
        path.unlink()
    pd.DataFrame(columns=["setting"]).to_parquet(paths.grounding / "scale.parquet")  # as of a server that counts no tokens
    html = render_report(paths, params, PROVENANCE, NOTEBOOKS).read_text(encoding="utf-8")
    assert not Elements(html).open and pillars.NOT_RUN not in html
    assert "Nothing was transferred" in html and "Table of grounded and ungrounded arms" in html
    assert "Table of the scale estimate" not in html and "minimal pairs –" not in html


def test_generated_labels_contexts_and_words_are_escaped(page: str) -> None:
    for hostile in ("<script>alert(1)", "<i>It rained", "<b>other", "<b>Lantern", "GPU <of>"):
        assert hostile not in page
    assert "&lt;script&gt;alert(1)" in page and "&lt;i&gt;It rained" in page and "server:&lt;b&gt;other&lt;/b&gt;" in page
    assert STORY not in page


def test_the_scorer_is_shown_beside_frequencies(page: str) -> None:
    part = page[page.index("How well the scorer reads real text") :]
    assert "31" in part[: part.index("</table>")] and "27" in part[: part.index("</table>")]


def test_texts_that_repeat_a_narrative_are_withheld(page: str, report: Paths) -> None:
    assert REPEATED not in page and PASSAGE not in page and "lantern swung above the black water" not in page
    assert WITHHELD_TEXT in page and WITHHELD_COPY in page
    assert find_corpus_text(report.report, [PASSAGE, REPEATED, "the lantern swung above the black water"]) == []


def test_samples_need_the_narratives_they_are_guarded_by(tmp_path: Path, params: Params) -> None:
    paths = write_fake_results(tmp_path, repeats=2, sizes=(40,), learners=("tfidf",))
    (paths.narratives / "passages.parquet").unlink()
    html = render_report(paths, params, PROVENANCE, NOTEBOOKS).read_text(encoding="utf-8")
    assert "the narratives are not at hand" in html and "Grounded examples:" not in html and "Words that speak for a label" not in html
    assert REPEATED not in html


def test_shown_rows_are_the_first_of_their_kind_and_guarded() -> None:
    rows = pd.DataFrame(
        {
            "row_id": ["a", "b", "c", "d", "e"],
            "arm": "grounded",
            "kind": ["contextual", "contextual", "contextual", "contextual", "contextless"],
            "emotions": [["joy"], ["joy", "anger"], ["anger"], ["joy"], ["joy"]],
            "accepted": [True, True, True, False, True],
            "reason": ["", "", "", "original", ""],
            "ok_original": [True, True, True, False, True],
            "text": ["fine", "second of joy", PASSAGE, "copied", "told anew"],
            "context": [REPEATED, "", "rain", "rain", "must not be shown"],
            "character": "the ferryman",
        }
    )
    shown = guarded(shown_rows(rows), Texts([PASSAGE])).set_index("row_id")
    assert shown.index.tolist() == ["a", "c", "d", "e"]
    assert shown["text"].tolist() == ["fine", WITHHELD_TEXT, WITHHELD_COPY, "told anew"]
    assert shown["context"].tolist() == [WITHHELD_TEXT, "rain", "rain", ""]
    again = guarded(shown.reset_index(), Texts([PASSAGE])).set_index("row_id")
    pd.testing.assert_frame_equal(again, shown)


def test_only_generated_rows_that_repeat_nobody_are_explained() -> None:
    rows = pd.DataFrame(
        {
            "row_id": ["a", "b", "c", "d", "e"],
            "text": ["fine", PASSAGE, "fine", "fine", "fine"],
            "ok_original": [True, True, False, True, True],
        }
    )
    said = {"a": "fine", "b": "masked", "c": "fine", "corpus": "fine", "d": PASSAGE, "e": "fine"}
    table = pd.DataFrame(
        [
            [row, label, 0.4, token, place, 0.1]
            for row, text in said.items()
            for label in ("joy", "anger")
            for place, token in enumerate(text.split())
        ],
        columns=["row_id", "label", "probability", "token", "position", "value"],
    )
    found = explained(table, rows, Texts([PASSAGE]))
    assert list(dict.fromkeys(found["row_id"])) == ["a", "e"] and len(found) == 4


def test_metrics_hold_the_transfer(report: Paths) -> None:
    scores = pd.read_parquet(report.transfer / "scores.parquet")
    found = transfer_metrics(scores, "grounded")
    assert set(found) == {"vader-tweets", "vader-films"} and set(found["vader-tweets"]) == {"encoder", "embedding", "tfidf"}
    cell = scores.query("target == 'vader-films' and learner == 'tfidf' and regime == 'two-stage' and arm == 'grounded' and size == 100")
    assert found["vader-films"]["tfidf"]["two-stage"] == round(cell["macro_f1"].mean(), 4)
    assert found["vader-tweets"]["tfidf"]["zero-shot"] == 0.28
    assert transfer_metrics(None, "grounded") == {}


# --- page -----------------------------------------------------------------------------------------


def test_page_is_well_formed_with_landmarks(page: str) -> None:
    elements = Elements(page)
    assert not elements.open
    assert page.startswith("<!DOCTYPE html>")
    names = [tag for tag, _ in elements.tags]
    assert names.count("h1") == 1 and names.count("main") == 1 and names.count("nav") == 1
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes.get("alt") for tag, attributes in elements.tags if tag == "img")
    for _, attributes in elements.tags:
        for reference in (attributes.get("aria-labelledby") or "").split():
            assert reference in ids


def test_generated_text_is_escaped(page: str) -> None:
    assert SCRIPT not in page
    assert "&lt;script&gt;alert(" in page
    assert "<b>not</b>" not in page
    assert [tag for tag, _ in Elements(page).tags].count("script") == 2  # timings.js and the lines that show it


def test_copied_text_is_withheld(page: str, report: Paths) -> None:
    assert COPIED not in page
    assert WITHHELD_SEED in page
    texts = [text for name in ("vader-tweets", "vader-films") for text in pd.read_parquet(report.corpora / f"{name}.parquet")["text"]]
    assert find_corpus_text(report.report, texts) == []


def test_nothing_is_loaded_from_other_hosts(page: str, report: Paths) -> None:
    for tag, attributes in Elements(page).tags:
        for name in ("src", "srcset", "data", "poster", "action"):
            assert not re.match(r"\s*(https?:)?//", attributes.get(name) or ""), (tag, attributes)
        if tag == "link":
            assert (attributes["href"] or "").startswith("data:")
    assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", page)
    for path in (report.report / "figures").glob("*.svg"):
        assert not re.search(r'(?:href|src)="(?:https?:)?//', path.read_text(encoding="utf-8"))


def test_every_local_link_leads_somewhere(page: str, report: Paths) -> None:
    elements = Elements(page)
    ids = {attributes["id"] for _, attributes in elements.tags if "id" in attributes}
    links = [attributes.get(name) for _, attributes in elements.tags for name in ("href", "src", "srcset")]
    local = [link for link in links if link and not re.match(r"(https?|data):", link)]
    assert len(local) > 40
    for link in local:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (report.report / link).is_file(), link


def test_equal_results_give_an_equal_page(report: Paths, params: Params, page: str) -> None:
    (report.report / "timings.js").write_text("window.EMOSYNTH_TIMINGS = [];", encoding="utf-8")
    render_report(report, params, PROVENANCE, NOTEBOOKS)
    assert (report.report / "index.html").read_text(encoding="utf-8") == page
    assert str(report.root) not in page
    assert (report.report / "timings.js").read_text(encoding="utf-8") == "window.EMOSYNTH_TIMINGS = [];"


def test_every_claim_and_parameter_is_shown(page: str, params: Params) -> None:
    for number in range(1, 8):
        assert f"A{number}. " in page
    for number in range(1, 6):
        assert f"C{number}. " in page
    for verdict in ("supported", "contradicted", "inconclusive", "not-tested"):
        assert f'class="badge {verdict}"' in page
    for section, content in params.model_dump().items():
        assert f"<h4>{section}</h4>" in page
        for name in content:
            assert f"<dt>{name}" in page


@pytest.mark.parametrize("hostile", ["a\x00b", "a\u202eb", "a\ud800b", "\x1b[31m"])
def test_unprintable_characters_do_not_reach_the_page(hostile: str) -> None:
    readable(hostile).encode("utf-8")
    assert "\ufffd" in readable(hostile)


# --- guard ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("a.html", lambda text: f"<td>{text.replace(' ', '&#32;')}</td>"),
        ("b.html", lambda text: "<p>" + text.replace("kettle", "<b>kettle</b>") + "</p>"),
        ("c.json", lambda text: '{"x": ["y", {"z": "' + text.replace("e", "\\u0065") + '"}]}'),
        ("d.ipynb", lambda text: '{"cells": [{"source": ["' + text[:20] + '\\n", "' + text[20:] + '"]}]}'),
        ("e.csv", lambda text: f'1,"{text.upper()}!!"'),
    ],
)
def test_corpus_text_is_found_however_it_is_wrapped(tmp_path: Path, name: str, wrap: Callable[[str], str]) -> None:
    text = "The kettle sang all morning, and we listened quietly."
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / name).write_text(
        wrap(text) if name != "d.ipynb" else wrap("The kettle sang all morning, and we listened quietly.")
    )
    found = find_corpus_text(tmp_path, ["nothing of this kind was ever said here", text, "too short"])
    assert [(leak.path, leak.text) for leak in found] == [(f"deep/{name}", text)]


def test_parts_of_corpus_texts_and_short_texts_are_not_leaks(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The kettle sang all morning, and we. So happy today!")
    assert find_corpus_text(tmp_path, ["The kettle sang all morning, and we listened.", "So happy today!"]) == []
