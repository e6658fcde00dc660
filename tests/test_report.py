"""The report: figures from files, pages that show hostile text harmlessly, and words that hold what the numbers say."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import shutil
from collections import namedtuple
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_text import find_corpus_text
from emosynth.authenticity import MEASURES
from emosynth.authenticity.diversity import MEASURES as DIVERSITY_MEASURES
from emosynth.authenticity.reach import REACH
from emosynth.catalog import Catalog
from emosynth.context.inputs import BOTH, INPUTS, UTTERANCE
from emosynth.design.arms import resolve_arms
from emosynth.errors import UserError
from emosynth.escape import readable
from emosynth.evidence import Group
from emosynth.evidence.numbers import told as gain_told
from emosynth.params import Arm, Figures, Params, deep_merge, read_file
from emosynth.paths import Paths
from emosynth.pieces import registered
from emosynth.report import build_report, figure_names, regenerate, show
from emosynth.report.advice import advice, answer, rules
from emosynth.report.figures.answer import gains_told
from emosynth.report.figures.base import (
    BEYOND,
    Figure,
    bare,
    dodged,
    figures,
    find_figure,
    handle,
    legend_below,
    why_left_out,
    write_figure,
)
from emosynth.report.figures.choice import MOST, leading, own_texts, published
from emosynth.report.figures.context_effect import dialogue_rows
from emosynth.report.figures.training import Sweeps
from emosynth.report.first_page import boxes, elsewhere, setting, strip
from emosynth.report.pages import PAGES, _arms, _blocks, _reach, render_pages
from emosynth.report.provenance import public, references
from emosynth.report.ranges import RANGES
from emosynth.report.reading import UNGROUNDED, arm_words, guided
from emosynth.report.results import WITHHELD_RUN, WITHHELD_SEED, shown_rows
from emosynth.report.scores import alone_rows
from emosynth.report.tables import Tables, Texts
from emosynth.style import LONGEST_NAME, Looks, drawn_names, figure_style, new_figure, save_figure, tidy
from fake_results import CLASSES, COPIED, PASSAGE, REPEATED, ROOT, SCRIPT, SWEEPS, fake_params, write_fake_results

NAMES = [
    "answer", "head_to_head", "learning_curves", "sweeps", "acceptance", "teacher_calibration", "tokens", "token_agreement", "tuning", "authenticity",
    "diversity", "context_effect", "claims", "classes", "waterfall", "frontier", "corpora", "copied", "given_away", "groups", "collapse",
]  # fmt: skip
SHOWN = [name for name in NAMES if name != "corpora"]  # the invented run has one corpus
FILES = ["index.html", *(f"{page.name}.html" for page in PAGES)]


@pytest.fixture(scope="session")
def params() -> Params:
    return fake_params(figures={"formats": ["svg"], "dpi": 50}, evidence={"resamples": 100})


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Paths:
    """A whole report of invented results."""
    paths = write_fake_results(tmp_path_factory.mktemp("report"), params)
    (paths.report / "notebooks").mkdir(parents=True)
    for name in ("02_shap", "07_training", "11_figures"):
        (paths.report / "notebooks" / f"{name}.html").write_text("<!DOCTYPE html><title>notebook</title>", encoding="utf-8")
    build_report(params, Catalog.load(paths), paths)
    return paths


@pytest.fixture(scope="session")
def tables(report: Paths, params: Params) -> Tables:
    return Tables(report, params)


@pytest.fixture(scope="session")
def pages(report: Paths) -> dict[str, str]:
    return {name: (report.report / name).read_text(encoding="utf-8") for name in FILES}


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


# --- style ------------------------------------------------------------------------------------------------


def test_arms_have_the_look_of_their_place_in_the_parameters(params: Params) -> None:
    looks = Looks(params)
    real = [name for name, arm in params.arms.items() if arm.add != "written"]
    assert looks.arms[: 1 + len(real)] == ["seed", *real] and looks.order(["naive", "seed", "real-other"]) == [
        "real-other",
        "seed",
        "naive",
    ]
    assert looks.title("shap") == "SHAP-guided" and looks.title("shap", "unverified") == "SHAP-guided, as written"
    assert not looks.real("naive") and looks.real("real+1x") and looks.real("seed")
    with figure_style(Figures()):
        seen = [(looks.colour(arm), looks.marker(arm)) for arm in looks.arms]
        assert len(set(seen)) == len(seen)
        greys = [looks.colour(arm)[1:] for arm in ["seed", *real]]
        assert all(
            max(int(grey[i : i + 2], 16) for i in (0, 2, 4)) - min(int(grey[i : i + 2], 16) for i in (0, 2, 4)) < 24 for grey in greys
        )
        light = looks.colour("seed")
    with figure_style(Figures(), dark=True):
        assert looks.colour("seed") != light


LEARNERS = ("TF-IDF + LR", "Embeddings + LR", "Fine-tuned encoder")


@given(st.lists(st.text(st.characters(codec="utf-8") | st.sampled_from("ab, …(2)喜"), max_size=90), max_size=12), st.integers(8, 40))
def test_names_side_by_side_stay_apart(names: list[str], longest: int) -> None:
    """Whatever is shortened: what differs as a figure could draw it in full differs, equal names are equal, and the bound holds."""
    shown = dict(zip(names, drawn_names(names, longest), strict=True))
    assert drawn_names(names, longest) == [shown[name] for name in names]
    assert all(len(name) <= longest and "\n" not in name for name in shown.values()) and len(set(shown.values())) == len(shown)
    assert all(shown[name] == name for name in ["naïve"] if name in shown)


@pytest.mark.parametrize("corpus", ["tweeteval-emotion", "a-corpus-of-a-very-long-name-that-somebody-gave-it", "客户反馈意见"])
def test_a_long_corpus_name_gives_way_and_not_the_seed_size(corpus: str) -> None:
    names = [f"{corpus}{twin}, {learner}, n = {size}" for twin in ("-a", "-b") for learner in LEARNERS for size in (50, 200, 1000)]
    shown = drawn_names(names)
    assert len(set(shown)) == len(names) and max(map(len, shown)) <= LONGEST_NAME
    assert all(
        short.endswith(f", n = {name.rpartition(' ')[2]}") and not re.search(r"\(\d\)$", short)
        for name, short in zip(names, shown, strict=True)
    )
    with figure_style(Figures()):
        fig = new_figure(Figures(), 5.0)
        axes = fig.subplots(1, 2)
        for one, part in zip(axes, (names[:9], names[9:]), strict=True):
            bare(one, part)
            one.set_title(f"{part[0]} {'x' * 60} {part[0]}\nn")
        axes[1].legend(handles=[handle(f"{name} {name}", {"linestyle": "-"}) for name in names])
        fig.canvas.draw()
        tidy(fig).canvas.draw()
        ticks = [label.get_text() for one in axes for label in one.get_yticklabels()]
        entries = [text.get_text() for text in axes[1].get_legend().get_texts()]
        assert len(set(ticks)) == len(set(entries)) == len(names) and axes[0].get_title("left") != axes[1].get_title("left")


def test_an_arm_named_like_real_rows_is_not_taken_for_them(params: Params) -> None:
    renamed = params.model_copy(update={"arms": {"real-but-written": params.arms["naive"], "x": params.arms["real+1x"]}})
    assert not Looks(renamed).real("real-but-written") and Looks(renamed).real("x")


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
    with pytest.raises(UserError, match=r"figures\.palette"), figure_style(Figures(palette="nowhere")):
        pass


def test_the_last_bits_of_a_layout_do_not_show(tmp_path: Path) -> None:
    """One of 80 figures of a report drawn twice had other names of clip paths: its numbers were equal as printed, not in their last bits."""

    def draw(name: str, left: float) -> str:
        with figure_style(Figures()):
            fig = new_figure(Figures(), 2.0)
            fig.set_layout_engine("none")
            for at in (left, 0.1):
                fig.add_axes((at, 0.1, 0.3, 0.3)).plot([0, 1], [1, -1])
            save_figure(fig, tmp_path, name, None, ["svg"], 100)
        return (tmp_path / f"{name}.svg").read_text(encoding="utf-8")

    plain, other = draw("a", 0.5), draw("b", 0.5 + 2e-16)
    assert plain == other
    assert plain.count("<clipPath") == 2 and draw("c", 0.1 + 1e-16).count("<clipPath") == 1
    used, made = set(re.findall(r"url\(#(\w+)\)", plain)), re.findall(r'<clipPath id="(\w+)"', plain)
    assert used == set(made)


# --- figures ----------------------------------------------------------------------------------------------


def test_figures_are_pieces_and_stand_on_pages() -> None:
    assert set(figure_names()) == set(NAMES) == set(registered("figure"))
    assert {figure.page for figure in figures()} <= {"index", *(page.name for page in PAGES)}
    with pytest.raises(UserError, match="Did you mean learning_curves"):
        find_figure("learning_curve")


def test_csv_holds_the_numbers_drawn(report: Paths, tables: Tables) -> None:
    for figure in map(find_figure, SHOWN):
        buffer = io.StringIO()
        figure.frame(tables).to_csv(buffer, index=False, lineterminator="\n")
        assert (report.report / "figures" / f"{figure.name}.csv").read_text(encoding="utf-8") == buffer.getvalue(), figure.name
    curves = pd.read_csv(report.report / "figures" / "learning_curves.csv")
    assert list(curves.columns[:2]) == ["size", "mean"]


def test_figures_are_equal_byte_for_byte(report: Paths, params: Params, tmp_path: Path) -> None:
    copy = Paths(tmp_path, "demo")
    shutil.copytree(report.root, tmp_path, dirs_exist_ok=True)
    for name in ("answer", "acceptance"):  # the others are made the same way; this saves time
        for path in regenerate(name, copy, params):
            assert path.read_bytes() == (report.report / "figures" / path.name).read_bytes(), path
    for path in (report.report / "figures").iterdir():
        assert b"dc:date" not in path.read_bytes()


def test_titles_are_findings_of_the_numbers(tables: Tables) -> None:
    head = tables.headline
    assert head is not None and head.learner == "embedding" and head.real == "real+1x"
    figure = find_figure("answer")
    frame = figure.frame(tables)
    row = tables.contrasts.query(  # type: ignore[union-attr]
        "learner == @head.learner and arm == @head.arm and version == '' and budget == 'accepted' and sweep == '' and against == 'seed' and size == @head.size"
    ).iloc[0]
    words = figure.words(frame, tables)
    assert f"{100 * row['gain']:.1f}" in words.reading and f"{head.size}" in words.title and "95\u00a0% interval" in words.reading
    assert head.row.repeats > 1 and f"{100 * head.row.gain:.1f}" in words.reading and "cross-fitted" in words.reading
    trials = tables.need("trials/trials").query("learner == 'embedding' and arm == 'seed' and size == @head.size and sweep == ''")
    drawn = frame.query("learner == 'embedding' and curve == 'own' and size == @head.size")["mean"].iloc[0]
    assert drawn == pytest.approx(100 * trials["macro_f1"].mean(), abs=1e-6)
    for item in figures():
        said = item.words(item.frame(tables), tables)
        assert all([said.title, said.reading, said.limits, said.alt]), item.name
        assert not re.search(r"\bnan\b|\bNone\b|\d\.\d{5}", " ".join([said.title, said.reading, said.limits])), item.name


def test_the_answer_tells_the_whole_curve_and_real_rows_have_a_colour_of_their_own(tables: Tables) -> None:
    """The title was about the largest size alone, without an interval, and two of the curves were grey."""
    figure, head = find_figure("answer"), tables.headline
    assert head is not None and tables.contrasts is not None
    frame = figure.frame(tables)
    title = figure.words(frame, tables).title
    own = tables.contrasts.query(
        "learner == @head.learner and arm == @head.arm and version == '' and budget == 'accepted' and sweep == '' and against == 'seed'"
    )
    for row in own.itertuples():
        assert gain_told(row.gain, row.low, row.high) in title and f"at {row.size}" in title
    row = namedtuple("row", "size gain low high")
    said = gains_told([row(40, 0.05, 0.02, 0.08), row(80, 0.01, -0.01, 0.03), row(160, -0.04, -0.06, -0.02)])
    assert said.startswith("+5.0 (+2.0\u00a0to\u00a0+8.0) at 40 labels; not told from zero: +1.0 (") and "; a loss: −4.0 (" in said
    with figure_style(Figures()):
        canvas = figure.paint(frame, tables, Figures())
    assert len({line.get_color() for line in canvas.axes[0].lines}) == 4


def test_a_sweep_is_told_by_arm_with_its_interval(tables: Tables) -> None:
    """“growth moves as many real rows most … Not drawn, because nothing happens: growth, growth” told nobody anything."""
    figure = find_figure("sweeps")
    frame = figure.frame(tables)
    assert tables.scored is not None
    for (arm, sweep, learner), own in frame.groupby(["arm", "sweep", "learner"]):
        values = SWEEPS[sweep]
        assert list(own["value"]) == [f"{value:g}" for value in sorted(values)]
        ends = [
            Group(tables.target, learner, own["size"].iloc[0], arm, "", "accepted", sweep, json.dumps(value))
            for value in (values[-1], values[0])
        ]
        found = tables.scored.compare(*ends)
        assert found is not None and own["change"].iloc[0] == pytest.approx(100 * found.effect)
    clear = frame.assign(change=4.0, change_low=frame["sweep"].map({"mix.weight": 1.0, "checks.confidence": -1.0}), change_high=7.0)
    words = figure.words(clear, tables)
    assert words.title.startswith("Weight of the written rows from 0.1 to 1 with ") and words.title.endswith(
        ": +4.0 (+1.0\u00a0to\u00a0+7.0) for SentiSynth"
    )
    assert "Least confidence of the teacher from 0 to 0.9" in words.reading and "not told from zero: +4.0 (−1.0" in words.reading
    assert "mix.weight" not in words.title + words.reading


def test_no_title_tells_a_change_whose_interval_holds_zero(tables: Tables) -> None:
    classes, context, curves = find_figure("classes"), find_figure("context_effect"), find_figure("learning_curves")
    frame = classes.frame(tables)
    for low, said in ((-1.0, ", not told from zero"), (1.0, "points of its F1")):
        title = classes.words(frame.assign(gain=2.0, low=low, high=3.0), tables).title
        assert title.endswith(said) and "Embeddings + LR" in title and f"+2.0 ({'−' if low < 0 else '+'}1.0\u00a0to\u00a0+3.0)" in title
    frame = context.frame(tables)
    for low, many in ((-1.0, 2), (1.0, 0)):
        title = context.words(frame.assign(low=low, high=9.0), tables).title
        assert title.count("not told from zero") == many and "Fine-tuned encoder" in title and "+7.0 (" in title
    assert re.search(r"Embeddings \+ LR, macro-F1 on .* is \d+\.\d \(.*\) at ", curves.words(curves.frame(tables), tables).title)


def test_what_is_too_many_to_tell_apart_is_left_to_the_csv(tables: Tables) -> None:
    """Twenty-three lines were drawn, far from their seed size."""
    figure = find_figure("learning_curves")
    frame = figure.frame(tables)
    drawn = list(dict.fromkeys(frame.loc[frame["drawn"], "arm"]))
    assert len(drawn) == MOST < frame["arm"].nunique() and {"seed", "real+1x", "naive", "shap", "emo-pillars"} <= set(drawn)
    assert f"Of {frame['arm'].nunique()} arms, {MOST} are drawn" in figure.words(frame, tables).limits
    with figure_style(Figures()):
        canvas = figure.paint(frame, tables, Figures())
    assert [text.get_text() for text in canvas.legends[0].get_texts()] == [tables.looks.title(arm) for arm in tables.looks.order(drawn)]
    assert leading(tables, ["shap", "seed"]) == ["seed", "shap"] and published(tables) == ["shap", "emo-pillars", "sentisynth"]
    for sizes in ([40, 80], [50, 200, 1000], [280]):
        axis = 2 * math.log10(BEYOND) + math.log10(sizes[-1] / sizes[0])
        places = [math.log10(dodged(place, 23, sizes)) / axis for place in range(23)]
        assert len(set(places)) == 23 and max(map(abs, places)) < 0.031


def test_texts_that_two_arms_share_are_drawn_once(tables: Tables) -> None:
    """A control with shuffled labels holds the texts of the arm that it controls: “in 4 of 18 comparisons” counted each twice."""
    arms = tables.params.arms
    twin = arms["emo-pillars"].model_copy(update={"title": "shuffled", "labels": "shuffled", "rows": 9})
    params = tables.params.model_copy(
        update={"arms": {**arms, "emo-pillars-shuffled": twin, "other": arms["emo-pillars"].model_copy(update={"checks": "agreed"})}}
    )
    assert own_texts(params, ["real-other", "emo-pillars-shuffled", "seed", "emo-pillars", "other"]) == [
        "real-other",
        "seed",
        "emo-pillars",
        "other",
    ]
    assert own_texts(params, ["emo-pillars-shuffled"]) == ["emo-pillars-shuffled"], "alone it is no twin"
    assert own_texts(params, ["naive", "naive-random", "naive-taught"]) == ["naive", "naive-taught"], (
        "checked otherwise, other texts are accepted"
    )
    both = Tables(tables.paths, params)
    both.__dict__.update(scored=tables.scored, contrasts=tables.contrasts, headline=tables.headline)
    reads = {
        "authenticity": "authenticity/panel",
        "diversity": "authenticity/diversity",
        "frontier": "authenticity/coverage",
        "copied": "responsible/memorisation",
    }
    for name, table in reads.items():
        held = tables.need(table)
        source = (
            held[held["arm"] == "emo-pillars"]
            if (held["arm"] == "emo-pillars").any()
            else held[held["arm"] == "naive"].assign(arm="emo-pillars")
        )
        both._held[table] = pd.concat([held, source.assign(arm="emo-pillars-shuffled")], ignore_index=True)
        figure = find_figure(name)
        frame = figure.frame(both)
        assert "emo-pillars-shuffled" not in set(frame["arm"]) and len(frame) == len(figure.frame(tables)), name
        assert figure.words(frame, both).title == figure.words(figure.frame(tables), tables).title
    assert find_figure("diversity").words(find_figure("diversity").frame(both), both).title.endswith("of 6 comparisons, less in 0")


def test_the_heat_map_has_columns_that_can_be_read(tables: Tables, params: Params) -> None:
    """Twenty-three columns had digits of three points and heads over each other."""
    names = [f"arm-{place}" for place in range(20)]
    many = Tables(tables.paths, params.model_copy(update={"arms": {**params.arms, **{
        name: params.arms["shap"].model_copy(update={"title": f"the {name} of a long title", "writer": name}) for name in names}}}))  # fmt: skip
    many.__dict__.update(headline=tables.headline)
    held = tables.need("authenticity/panel")
    many._held["authenticity/panel"] = pd.concat(
        [held, *(held[held["arm"] == "shap"].assign(arm=name) for name in names)], ignore_index=True
    )
    figure = find_figure("authenticity")
    frame = figure.frame(many)
    with figure_style(Figures()):
        canvas, _ = figure.draw(many, Figures())
    (axes,) = canvas.axes
    heads = [label.get_text() for label in axes.get_xticklabels()]
    assert len(heads) == MOST + 1 and heads[0] == "real against real" and set(names) <= set(frame["arm"])
    assert min(text.get_fontsize() for text in axes.texts) >= 8
    assert f"{MOST} are drawn by name" in figure.words(frame, many).limits


@pytest.mark.parametrize("count", [1, 4, 23])
def test_no_legend_is_wider_than_its_figure(count: int) -> None:
    """Entries were cut at the left and at the right."""
    with figure_style(Figures()):
        fig = new_figure(Figures(), 6.0)
        fig.subplots().plot([0, 1])
        legend_below(
            fig,
            [
                handle(f"{place} the second recipe, one row a seed row, and {'a longer name' * 3}", {"linestyle": "-"})
                for place in range(count)
            ],
            3,
        )
        tidy(fig)
        fig.canvas.draw()
        box = fig.legends[0].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= fig.bbox.width and len(fig.legends) == 1 and len(fig.legends[0].get_texts()) == count


def test_missing_results_are_said_and_published_figures_are_left_alone(tmp_path: Path, params: Params) -> None:
    paths, root = Paths(tmp_path, "demo"), Path(__file__).resolve().parents[1]
    shutil.copytree(root / "data", tmp_path / "data", ignore=shutil.ignore_patterns("demo", "smoke", "paper"))
    shutil.copyfile(root / "params.yaml", tmp_path / "params.yaml")
    kept = paths.report / "figures" / "acceptance.svg"
    kept.parent.mkdir(parents=True)
    kept.write_text("published", encoding="utf-8")
    with pytest.raises(UserError, match=r"verdicts/verdicts\.parquet") as caught:
        regenerate("acceptance", paths, params)
    assert "restore" in str(caught.value) and kept.read_text(encoding="utf-8") == "published"
    empty = Tables(paths, params)
    for figure in figures():
        _, frame = figure.draw(empty, Figures(dpi=50))
        assert list(frame.columns) == ["note"] or figure.name == "claims"
        assert why_left_out(figure, empty)
    with pytest.raises(UserError, match="00_corpora"):
        build_report(params, Catalog.load(paths), paths)


def test_a_figure_without_a_signal_is_left_out_with_a_line_but_drawn_when_asked_for(report: Paths, params: Params, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "arm": "a",
            "sweep": "s",
            "value": ["1", "2", "3"],
            "learner": "tfidf",
            "size": 120,
            "gain": [1.0, 1.1, 1.0],
            "low": -3.0,
            "high": 5.0,
            "repeats": 3,
        }
    )
    assert "No setting" in Sweeps().signal(frame, Tables(report, params))
    assert not Sweeps().signal(frame.assign(gain=[1.0, 9.0, 1.0]), Tables(report, params))
    copy = Paths(tmp_path, "demo")
    shutil.copytree(report.root, tmp_path, dirs_exist_ok=True)
    render_pages(Tables(copy, params), Catalog.load(copy), {"sweeps": "Nothing moves."})
    page = (copy.report / "training.html").read_text(encoding="utf-8")
    assert "Nothing moves." in page and 'id="sweeps"' not in page and 'id="head_to_head"' in page
    assert len(show("sweeps", copy, params).axes) >= 1


def test_one_repeat_has_words_without_nan(tmp_path: Path) -> None:
    given = fake_params(cells={"repeats": 1}, figures={"formats": ["svg"], "dpi": 50}, evidence={"resamples": 100})
    paths = write_fake_results(tmp_path, given)
    tables = Tables(paths, given)
    for name in ("answer", "head_to_head", "learning_curves", "claims", "classes"):
        figure = find_figure(name)
        words = figure.words(figure.frame(tables), tables)
        assert "nan" not in f"{words.title} {words.reading} {words.limits}".lower()
    assert tables.headline is not None and pd.isna(tables.headline.row.gain)
    assert "One repeat" in json.dumps([claim.why for claim in tables.claims])


def test_an_arm_of_few_lucky_repeats_does_not_lead_the_curves(tables: Tables) -> None:
    figure = find_figure("learning_curves")
    frame = figure.frame(tables)
    lucky = frame["arm"] == "shap"
    assert lucky.any() and "SHAP-guided leads" in figure.words(frame.assign(mean=frame["mean"] + 50 * lucky), tables).reading
    few = frame.assign(mean=frame["mean"] + 50 * lucky, repeats=frame["repeats"].where(~lucky, 1))
    assert "SHAP-guided leads" not in figure.words(few, tables).reading


def test_a_classifier_that_was_run_on_the_labels_alone_has_no_panel_of_curves(tables: Tables) -> None:
    assert tables.alone is not None and "zero-shot" in set(tables.alone["learner"])
    frame = find_figure("learning_curves").frame(tables)
    assert "zero-shot" not in set(frame["learner"]) and (frame.groupby("learner")["arm"].nunique() > 1).all()


def test_head_to_head_says_why_the_first_page_may_show_what_it_does_not(tables: Tables) -> None:
    assert tables.answers is not None
    figure, told = find_figure("head_to_head"), Tables(tables.paths, tables.params)
    frame = figure.frame(tables)
    for shown, p in ((True, 1.0), (True, 0.0), (False, 1.0)):
        told.__dict__.clear()
        told.__dict__.update(
            paths=tables.paths,
            params=tables.params,
            scored=tables.scored,
            contrasts=tables.contrasts,
            answers=tables.answers.assign(shown=shown),
        )
        said = figure.words(frame.assign(p=p, gain=1.0), told).limits
        assert ("The first page asks" in said) == (shown and p == 1.0)


def test_head_to_head_draws_one_number_of_labels_a_panel(tables: Tables) -> None:
    """A learner run on fewer labels than the others stood beside them at its own largest number."""
    figure, told = find_figure("head_to_head"), Tables(tables.paths, tables.params)
    rows = tables.need_contrasts()
    few, many = sorted(set(rows["size"]))[:2]
    moved = rows[(rows["learner"] != "trees") | (rows["size"] == few)]
    small = moved[(moved["learner"] == "trees") | (moved["size"] == many)]
    told.__dict__.update(scored=tables.scored, contrasts=small, answers=tables.answers)
    frame = figure.frame(told)
    assert (frame.groupby("budget")["size"].nunique() == 1).all()
    assert "trees" not in set(frame["learner"]) and set(frame["size"]) == {many}
    assert f"Not drawn, as trained with other numbers of labels: {told.looks.learner('trees')}." in figure.words(frame, told).limits
    assert any("\u00a0" + str(many) in axes.get_title() for axes in figure.paint(frame, told, told.params.figures).axes)
    most = moved[(moved["size"] == few) | (moved["arm"] == "shap")]
    told.__dict__.update(contrasts=most)
    assert set(figure.frame(told).query("budget == 'accepted'")["size"]) == {few}, "where most arms and learners were run"


def test_a_figure_is_one_file(tmp_path: Path, report: Paths, params: Params) -> None:
    from emosynth.pieces import _REGISTRY, load_files

    file = tmp_path / "mine.py"
    file.write_text(
        "import pandas as pd\nfrom emosynth.report.figures.base import Figure, Words\nfrom emosynth.style import new_figure\n"
        "class Mine(Figure):\n    name = 'mine'\n    page = 'training'\n"
        "    def frame(self, tables): return pd.DataFrame({'x': [1]})\n"
        "    def paint(self, frame, tables, figures): return new_figure(figures, 1.0)\n"
        "    def words(self, frame, tables): return Words('Mine', 'r', 'l', 'a')\n",
        encoding="utf-8",
    )
    try:
        load_files([file])
        assert "mine" in figure_names() and isinstance(find_figure("mine"), Figure)
        assert show("mine", report, params) is not None
    finally:
        _REGISTRY["figure"].pop("mine", None)


# --- pages ------------------------------------------------------------------------------------------------


def test_pages_are_well_formed_with_landmarks(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        elements = Elements(page)
        assert not elements.open and page.startswith("<!DOCTYPE html>"), name
        tags = [tag for tag, _ in elements.tags]
        assert tags.count("h1") == tags.count("main") == tags.count("nav") == 1, name
        ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
        assert len(ids) == len(set(ids)), name
        assert all(attributes.get("alt") for tag, attributes in elements.tags if tag == "img")
        for _, attributes in elements.tags:
            assert all(reference in ids for reference in (attributes.get("aria-labelledby") or "").split()), name


def test_the_first_page_follows_the_storyboard(pages: dict[str, str], tables: Tables) -> None:
    heads = re.findall(r"<h2[^>]*>([^<]+)</h2>", pages["index.html"])
    assert heads == [
        "Answer",
        "Do this",
        "What did not help",
        "How it works",
        "See the text",
        "Can I trust it?",
        "Claims, published and our own",
        "Your data",
    ]
    assert len(re.sub(r"<style>.*?</style>|<[^>]+>", " ", pages["index.html"], flags=re.S).split()) < 1500, "five minutes"
    assert "but the teacher reads" in pages["index.html"]
    for claim in tables.claims:
        assert (f">{claim.declared.id}<" in pages["index.html"]) == (not claim.declared.ours) and f'id="{claim.declared.id}"' in pages[
            "claims.html"
        ]
        assert claim.declared.hash in pages["claims.html"]


def test_nothing_is_recommended_whose_gain_is_not_shown(pages: dict[str, str], tables: Tables) -> None:
    """“Sure” was said of intervals that were corrected for nothing, and rows were recommended whose gain was not shown."""
    page = re.sub(r"<[^>]+>", " ", pages["index.html"])
    assert not re.search(r"\bsure\b", page, re.I) and "cross-fitted" in page
    rows, told = advice(tables), tables.answers
    assert (
        told is not None
        and len(rows) == len(told)
        and {row["situation"].split(", ")[-1] for row in rows} == {f"{size} labels" for size in tables.params.cells.sizes}
    )
    for row, shown in zip(rows, told["shown"], strict=True):
        assert shown == row["sure"].startswith("shown: p = ") == (not row["recipe"].startswith("nothing shown to help"))
    assert tables.told is not None and ("is not shown to help" in answer(tables)) == (not tables.told["shown"].any())


def test_a_classifier_that_beats_written_rows_with_the_labels_alone_is_told_first(tables: Tables, pages: dict[str, str]) -> None:
    """The language model asked to classify beat every way to write, and the first page advised writing."""
    assert tables.rivals is not None and tables.answers is not None and tables.told is not None
    told = Tables(tables.paths, tables.params)
    for better in (True, False):
        told.__dict__.clear()
        told.__dict__.update(
            paths=tables.paths, params=tables.params, scored=tables.scored, contrasts=tables.contrasts, answers=tables.answers.assign(shown=True),
            rivals=tables.rivals.assign(better=better, more=0.0714, rival="tfidf", score=0.6543),
        )  # fmt: skip
        first, writing = rules(told)[:2]
        assert ("beat the best written rows" in first and "+7.1" in first) == better
        assert ("another classifier is shown to do more" in writing) == better
        assert ("Another classifier does more with the labels alone: at " in answer(told)) == better
        row = advice(told)[0]
        assert row["rival"].endswith("65.4") and row["rival_more"].startswith("+7.1")
        assert row["rival_sure"].startswith("shown: p = " if better else "not shown: p = ")
    assert "Or, labels alone" in pages["index.html"] and "Which classifier: the labels alone" in pages["training.html"]


def test_claims_stand_with_their_declaration_and_sizes_in_rows_of_their_own(pages: dict[str, str], tables: Tables) -> None:
    page = pages["claims.html"]
    sized = [claim.declared.id for claim in tables.claims if claim.declared.claimed is not None]
    assert sized == ["A3", "C1", "C2"] and all(f'id="{name}-size"' in page for name in sized)
    assert page.count("First declared on 2026-11-25") >= 15 and "CHANGED since" not in page
    untested = re.findall(r"""<span class="badge not-tested">(?:(?!</tr>).)*<td class="num">([^<]*)</td></tr>""", page)
    assert len(untested) >= 3 and set(untested) == {"–"}, "what is not tested has no p"


def test_published_claims_and_our_own_stand_apart(pages: dict[str, str], report: Paths, params: Params) -> None:
    """Claims of this compendium stood under “Published claims”."""
    for page, marks in (("index.html", r'class="badge [a-z-]+" title="[^"]*">([A-Z]\d+)<'), ("claims.html", r'<tr id="([A-Z]\d+)')):
        published, own = re.split(r"<h[23][^>]*>Claims of our own", pages[page].split("<main", 1)[1])
        assert {name[0] for name in re.findall(marks, published)} == set("ABC") and set(re.findall(r">(Published claims)", published)), page
        # Where a profile has no cell of any of a group, the first page counts them; it lists them where one has.
        assert {name[0] for name in re.findall(marks, own)} == (set() if page == "index.html" else {"D", "E"}), page
    assert "demo: 24 not tested</p>" in pages["index.html"]
    assert "Published claims (A: SHAP-guided generation, B: Emo Pillars, C: SentiSynth)</h3>" in pages["index.html"]
    alone = Tables(report, params)
    alone.__dict__["claims"] = [claim for claim in alone.claims if not claim.declared.ours]
    assert [group["heading"] for group in strip(alone)] == ["Published claims"]


def test_a_decided_claim_is_told_with_its_cell_and_what_is_against_it(
    pages: dict[str, str], tables: Tables, report: Paths, params: Params
) -> None:
    """“Supported E42” named no learner, corpus or size; in its source's own cell the replication was worse, by 13.8 points."""
    decided = [claim for claim in tables.claims if claim.verdict in ("supported", "contradicted")]
    assert decided
    for claim in decided:
        cell = setting(tables, claim)
        assert claim.corpus in cell and (not claim.size or f"{claim.size} labels" in cell)
        beside = pages["index.html"].split(f"{claim.declared.id}</a>:", 1)[1].split("</li>", 1)[0]
        assert f"<small>{cell}" in beside and f"Judged on {cell}" in pages["claims.html"]
    scored = [claim for claim in tables.claims if claim.declared.kind == "scores"][:2]
    here = {"corpus": "sst2", "learner": "tfidf", "size": 70, "effect": 5.0, "low": 4.0, "high": 6.0, "outcome": "better"}
    there = here | {"learner": "encoder", "size": 280, "effect": -13.8, "low": -18.5, "high": -9.1, "outcome": "worse"}
    made = Tables(report, params)
    made.__dict__["claims"] = [
        replace(claim, corpus="sst2", learner="tfidf", size=100, verdict="supported", outcome="better", replications=[here, there])
        for claim in scored
    ]
    first, second = strip(made)[0]["rows"][0]["decided"]
    said = "1 of 2 elsewhere opposite: sst2, Fine-tuned encoder, 280 labels, −13.8 (−18.5\u00a0to\u00a0−9.1)"
    assert first["setting"] == "sst2, TF-IDF + LR, 100 labels" and first["elsewhere"] == elsewhere(made, made.claims[0]) == said
    assert second["elsewhere"] == f"elsewhere as {first['id']}", "few words: the same is told once"
    made.__dict__["claims"] = [replace(claim, replications=[here]) for claim in made.claims]
    assert {claim["elsewhere"] for claim in strip(made)[0]["rows"][0]["decided"]} == {""}


def test_a_page_says_nothing_of_what_a_profile_cannot_have(pages: dict[str, str], tables: Tables, params: Params) -> None:
    """“Every corpus: The profile has one corpus.” stood on the first page."""
    assert len(params.corpora.names) == 1 and not find_figure("corpora").applies(params)
    assert "Every corpus" not in pages["index.html"] and "one corpus" not in pages["index.html"]


def _with_presets(profile: str) -> Params:
    """Return the parameters of a profile, arms that it leaves switched off among them."""
    base = read_file(ROOT / "params.yaml")
    values = base if profile == "demo" else deep_merge(base, read_file(ROOT / "profiles" / f"{profile}.yaml"))
    writers = base["writers"] | values["writers"]  # of arms that are switched off, the profile may have taken the writer away
    return Params.model_validate(
        {**values, "writers": writers, "arms": {name: {**arm, "run": True} for name, arm in values["arms"].items()}}
    )


@pytest.mark.parametrize("profile", ["demo", *sorted(path.stem for path in (ROOT / "profiles").glob("*.yaml"))])
def test_an_arm_without_a_narrative_is_not_told_to_be_written_from_a_story(profile: str, tmp_path: Path) -> None:
    """*ungrounded*, which shows no passage and no character, was “written from the class and a story and its characters”."""
    made = _with_presets(profile)
    tables = Tables(Paths(tmp_path, profile), made)
    block = _arms(tables)
    assert block is not None
    shown = {row[0]: row[1] for row in block["rows"]}
    named = re.compile(rf"(?<![\w-])({'|'.join(set(registered('guide')) - {'narrative'})})(?![\w-])")
    for name, arm in resolve_arms(made).items():
        if name not in made.arms:
            continue
        guide = None if arm.origin is None else arm.origin.narrative
        story, bare_of_it = guide is not None and guide.settings.grounded, guide is not None and not guide.settings.grounded  # type: ignore[attr-defined]
        words, cell = arm_words(tables, name), shown.get(tables.looks.title(name), "")
        assert ("story and its characters" in words, UNGROUNDED in words) == (story, bare_of_it), name
        assert ("narrative" in cell.split(", "), UNGROUNDED in cell) == (story, bare_of_it), name
        assert not named.search(words.partition(", checks")[0]), f"{name}: a guide by its name in the code"


def test_a_set_of_guides_of_the_users_own_is_told_by_what_is_in_it(params: Params) -> None:
    own = params.model_copy(update={"guides": {"mine": ["random-exemplars", {"narrative": False}]}})
    assert [words for _, words in guided(own, Arm(guide="mine"))] == ["posts of the seed", UNGROUNDED]
    assert guided(own, Arm(guide=["narrative"])) == [("narrative", "a story and its characters")]


def test_claims_without_replications_are_told(tables: Tables) -> None:
    figure = find_figure("claims")
    frame = figure.frame(tables)
    assert "a forest for each claim" in figure.words(frame, tables).reading
    assert "a forest for each claim" not in figure.words(frame[frame["judged"]].reset_index(drop=True), tables).reading


def test_claims_are_one_row_each_and_a_forest_each_besides(tables: Tables, pages: dict[str, str], report: Paths) -> None:
    """One figure of 22,016 pixels had a panel a claim, titled “A1: undecided”, without an axis name."""
    figure = find_figure("claims")
    frame = figure.frame(tables)
    judged = frame[frame["judged"]]
    tested = {claim.declared.id: claim for claim in tables.claims if not math.isnan(claim.finding.effect)}
    assert list(judged["id"]) == list(tested) and set(judged["unit"]) > {"F1 points"}, "claims on text too"
    with figure_style(Figures()):
        canvas, _ = figure.draw(tables, Figures())
        forests = dict(figure.parts(frame, tables, Figures()))
    assert canvas.get_figheight() < 0.55 * len(judged) + 3
    assert [axes.get_title(loc="left") for axes in canvas.axes] == ["Published claims", "Claims on text, each in its own unit"], (
        "none of our own is tested here"
    )
    assert (
        all(axes.get_xlabel() for axes in canvas.axes)
        and "F1 points" in canvas.axes[0].get_xlabel()
        and "F1" not in canvas.axes[1].get_xlabel()
    )
    said = {text.get_text().split()[0]: text.get_text() for axes in canvas.axes for text in axes.texts}
    for name, claim in tested.items():
        assert name in said and " ".join(said[name].split()[1:8]) in claim.declared.statement
    several = [name for name in tested if (frame["id"] == name).sum() > 1]
    assert several and list(forests) == [f"claims-{name}" for name in several]
    page = pages["claims.html"]
    for name in several:
        (axes,) = forests[f"claims-{name}"].axes
        assert len(axes.get_yticks()) == (frame["id"] == name).sum() and axes.get_xlabel().endswith("(F1 points)")
        assert f'src="figures/claims-{name}.svg"' in page and (report.report / "figures" / f"claims-{name}-dark.svg").is_file()
    assert len(re.findall(r'src="figures/claims-\w+\.svg"', page)) == len(several)


def test_why_claims_were_changed_is_told_once(pages: dict[str, str], tables: Tables) -> None:
    """The same paragraph stood under eighteen claims."""
    page = pages["claims.html"]
    whys = {claim.declared.history().split("): ", 1)[1] for claim in tables.claims if "): " in claim.declared.history()}
    assert whys and all(page.count(why.split(":")[0][:60]) == 1 for why in whys)
    links = re.findall(r'href="#([a-z-]+-change-\d+)"', page)
    assert len(links) == sum("): " in claim.declared.history() for claim in tables.claims) and all(f'id="{link}"' in page for link in links)


def test_a_published_gain_is_taken_apart_on_the_page_of_claims(pages: dict[str, str], tables: Tables, tmp_path: Path) -> None:
    frame = find_figure("waterfall").frame(tables)
    assert set(frame["learner"]) == {"tfidf", "embedding"} and set(frame["part"]) == {"arm", "chain", "all", "alone", "last"}
    for _, own in frame.groupby("learner"):
        steps = own[own["part"] == "chain"]
        honest, whole = (own.loc[own["part"] == part, "total"].iloc[0] for part in ("arm", "all"))
        assert honest + steps["added"].sum() == pytest.approx(whole) and list(steps["total"])[-1] == pytest.approx(whole)
        assert list(steps["step"]) == list(tables.params.arms["sentisynth"].changes)
    page = pages["claims.html"]
    assert 'id="waterfall"' in page and "A published gain, taken apart" in page
    for step in tables.params.arms["sentisynth"].changes:
        assert step in page
    assert "all that were switched on (3)" in page and "as its code runs" not in page
    assert "changes" not in set(find_figure("sweeps").frame(tables)["sweep"]), "it has a figure of its own"


def test_the_waterfall_says_what_was_switched_on_and_whether_the_largest_change_is_told(tables: Tables, params: Params) -> None:
    """“As its code runs” was said of a run without one of the differences, and a largest step was told whose interval held zero."""
    figure = find_figure("waterfall")
    frame = figure.frame(tables)
    chain = frame[(frame["learner"] == "tfidf") & (frame["part"] == "chain")].set_index("step")["added"]
    for low, said in ((-1.0, ", not told from zero"), (0.5, ", told from zero")):
        words = figure.words(frame.assign(low=low), tables)
        assert words.title.endswith(said) and f"the largest change, {chain.abs().idxmax()}: +" in words.title and said in words.reading
        assert "with the 3 differences that were switched on" in words.title and "code runs" not in words.title + words.reading
        assert "in no run" not in words.reading
    down = frame.assign(added=frame["added"].where(frame["step"] != "equal epochs", -40.0))
    assert "the largest change, equal epochs: −40.0 (" in figure.words(down, tables).title, "a loss is a change too"
    fewer = frame[~frame["made"].str.contains("written test rows")]
    assert "Declared and in no run: written test rows." in figure.words(fewer, tables).reading


def test_the_waterfall_has_room_for_three_learners_and_begins_with_the_published_one(tables: Tables) -> None:
    figure = find_figure("waterfall")
    frame = figure.frame(tables)
    assert "(TF-IDF + LR)" in figure.words(frame, tables).title, "what stands in by the claim, not what comes first in the parameters"
    part = frame[(frame["learner"] == "tfidf") & ~frame["made"].str.contains("written")].assign(learner="encoder")
    joined = part[part["step"] != "teacher of all labels"].replace({"step": {"equal epochs": "both of these"}})
    several = pd.concat([frame, joined], ignore_index=True)
    assert "Fine-tuned encoder" in figure.words(several[several["part"] != "all"], tables).reading
    whole = pd.concat([frame, frame[frame["learner"] == "tfidf"].assign(learner="encoder")], ignore_index=True)
    assert "(Fine-tuned encoder)" in figure.words(whole, tables).title
    for drawn in (whole, several):
        with figure_style(Figures()):
            canvas = figure.paint(drawn, tables, Figures())
        shown = [axes for axes in canvas.axes if axes.get_visible()]
        assert [axes.get_title(loc="left").split("\n")[1] for axes in shown] == ["Fine-tuned encoder", "TF-IDF + LR", "Embeddings + LR"]
        canvas.draw_without_rendering()
        boxes = [axes.get_tightbbox() for axes in shown]
        assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
        assert shown[1].get_xlabel() and shown[2].get_xlabel() and shown[2].get_yticklabels()[0].get_text() == "as its report says"
    steps = [label.get_text() for label in shown[0].get_yticklabels()]
    assert steps.index("both of these") < steps.index("written test rows"), "by how many changes are made"


def test_what_is_shown_to_gain_is_shown_after_correction(tables: Tables) -> None:
    figure = find_figure("head_to_head")
    frame = figure.frame(tables).assign(gain=1.0, low=0.5, high=1.5, p=0.03)
    assert figure.words(frame, tables).title.startswith("0 of"), "p of .03 each, sixteen times, shows nothing"
    assert not figure.words(frame.assign(p=1e-6), tables).title.startswith("0 of")


def test_the_frontier_holds_the_arms_that_none_beats(tables: Tables) -> None:
    frame = find_figure("frontier").frame(tables)
    for _, own in frame.groupby("measure"):
        best = own.loc[own["gain"].idxmax()]
        assert best["frontier"] or (own["gain"] == best["gain"]).sum() > 1


def _dialogues() -> pd.DataFrame:
    """Return an invented table of dialogues: every mean is of a size of its own, single repeats are far from all."""
    rows = []
    for at, learner in enumerate(("embedding", "encoder")):
        for later, first in enumerate(("", "emo-pillars")):
            for place, kind in enumerate((*INPUTS[:3], f"{BOTH} − {UTTERANCE}")):
                value = -0.02 + 0.1 * at if "−" in kind else 0.2 + 0.1 * place + 0.01 * later + 0.05 * at
                rows += [
                    [learner, first, kind, repeat, value if repeat < 0 else 0.9] for repeat in (0, 1, -1) if repeat < 0 or "−" not in kind
                ]
        rows += [[learner, "emo-pillars − nothing", kind, -1, 0.01 + 0.03 * at] for kind in INPUTS[:3]]
    frame = pd.DataFrame(rows, columns=["learner", "first", "input", "repeat", "value"])
    return frame.assign(n=2610, dialogues=280, measure="macro_f1", low=frame["value"] - 0.015, high=frame["value"] + 0.015, p=0.1)


def test_the_page_on_context_shows_dialogues_that_people_labelled(report: Paths, params: Params) -> None:
    """Dialogues were run, and the page showed labels that our own prompts asked for alone."""
    assert dialogue_rows(Tables(report, params)) == ("", [], ""), "a profile without them has no table"
    made = params.model_copy(update={"context": params.context.model_copy(update={"dialogues": "meld", "dialogue_size": 150})})
    tables = Tables(report, made)
    tables._held["context/dialogues"] = _dialogues()
    block, *_ = [one for one in _blocks(tables, Catalog.load(report), "context") if one]
    assert block["title"].endswith("meld") and len(block["rows"]) == 6
    cells = [dict(zip(block["columns"], row, strict=True)) for row in block["rows"]]
    assert [row["learns from"] for row in cells[:3]] == [
        "150 human rows alone", "synthetic rows with contexts (Emo Pillars), then 150 human rows", "what rows of Emo Pillars change",
    ]  # fmt: skip
    names = ("utterance alone", "context alone", "context and utterance", "both over the utterance alone")
    assert [cells[0][name].replace("\u00a0", " ") for name in names] == [
        "30.0 (28.5 to 31.5)", "40.0 (38.5 to 41.5)", "20.0 (18.5 to 21.5)", "−2.0 (−3.5 to −0.5)",
    ]  # fmt: skip
    assert cells[2]["context alone"].startswith("+1.0") and cells[5]["utterance alone"].startswith("+4.0") and cells[2][names[3]] == "–"
    note = block["note"].replace("\u00a0", " ")
    assert "2 610 utterances of 280 dialogues" in note.replace("\u202f", " ")
    assert "reading context and utterance changes macro-F1 by −2.0 (−3.5 to −0.5) points over the utterance alone;" in note
    first, second = note.split("With ")[-2:]
    assert "changes it by +1.0 (−0.5 to +2.5) points where the utterance alone is read, not told from zero, and by +1.0" in first
    assert "changes it by +4.0 (+2.5 to +5.5) points where the utterance alone is read, and by +4.0" in second and "not told" not in second


def test_no_interval_on_the_pages_lies_beyond_what_its_measure_can_be(report: Paths, params: Params) -> None:
    """“0.71 (0.15 to 1.13)” of a recall stood on the page, as intervals of few repeats are widened about their value."""
    wide = Tables(report, params)
    for name, low, high in (("coverage", -0.02, 1.13), ("panel", -40.0, 400.0), ("diversity", -1.5, 1.5)):
        frame = wide.need(f"authenticity/{name}")
        wide._held[f"authenticity/{name}"] = frame.assign(low=low, high=high)
    block = _reach(wide, wide.target, "sentences")
    assert block is not None
    cells = [dict(zip(block["columns"], row, strict=True)) for row in block["rows"]]
    assert all(row[name].endswith("(0.00\u00a0to\u00a01.00)") for row in cells for name in ("precision", "recall", "coverage"))
    assert all(row["density"].endswith("(0.00\u00a0to\u00a01.13)") for row in cells), "a density has no upper end"
    panel, diversity = find_figure("authenticity").frame(wide), find_figure("diversity").frame(wide)
    ends = {row.measure: (row.low, row.high) for row in panel.itertuples()}
    assert ends == {"hdd": (0, 1), "first_person_rate": (0, 100), "temporal_rate": (0, 100), "words_per_text": (0, 400)}
    assert {row.measure: (row.low, row.high) for row in diversity.itertuples()} == {
        "distinct_1": (-1, 1),
        "distinct_2": (-1, 1),
        "spread": (-1.5, 1.5),
    }
    assert set(RANGES) == {*MEASURES, *REACH, *DIVERSITY_MEASURES}, "every measure has a range"


def test_no_interval_of_a_score_lies_beyond_what_a_score_can_be(report: Paths, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval of macro-F1 up to 100.32 was drawn on the first page; the table of results keeps it."""
    wide = Tables(report, params)
    assert wide.headline is not None and wide.scored is not None and wide.alone is not None
    combine = wide.scored.combine
    monkeypatch.setattr(wide.scored, "combine", lambda *given, **more: replace(combine(*given, **more), low=-0.1, high=1.1))  # type: ignore[type-var]
    for name in ("answer", "learning_curves"):
        frame = find_figure(name).frame(wide)
        assert set(frame["low"]) == {0} and set(frame["high"]) == {100}, name
    wide.__dict__["alone"] = wide.alone.assign(low=-0.1, high=1.1)
    block = alone_rows(wide)
    assert block is not None and "(0.0\u00a0to\u00a0100.0)" in block["rows"][0][1] and set(wide.alone["high"]) == {1.1}
    rounds = wide.need("responsible/collapse")
    wide._held["responsible/collapse"] = rounds.assign(low=-9.0, high=9000.0)
    frame = find_figure("collapse").frame(wide)
    assert set(frame.loc[frame["measure"] == "macro_f1", "high"]) == {1} and set(frame["low"]) == {0}


def test_context_on_few_rows_is_left_out_and_says_how_many(report: Paths, params: Params) -> None:
    """“Changes the ranking by −1.4 (−2.3 to −0.8)” was of three rows, and “100 % (100 to 100)” of two pairs."""
    figure, few = find_figure("context_effect"), Tables(report, params)
    rows = few.need("context/context")
    assert "on 60 rows of held-out stories, reading" in figure.words(figure.frame(few), few).title
    few._held["context/context"] = rows.assign(n=rows["test"].map({"rows": 3, "pairs": 2}))
    assert "on 3 rows of held-out stories and 2 pairs of contexts: fewer than 20" in why_left_out(figure, few)
    few._held["context/context"] = rows.assign(n=rows["test"].map({"rows": 21, "pairs": 6}))
    frame = figure.frame(few)
    words = figure.words(frame, few)
    assert (
        set(frame["measure"]) == {"lrap", "top_1"}
        and "Left out: 6 pairs of contexts" in words.reading
        and "move the label" not in words.reading
    )
    few._held["context/context"] = rows.assign(n=rows["test"].map({"rows": 3, "pairs": 60}))
    frame = figure.frame(few)
    words = figure.words(frame, few)
    assert set(frame["measure"]) == {"flips"} and "Left out: 3 rows" in words.reading and "LRAP" not in words.reading


def test_a_share_of_all_or_nothing_has_an_interval_with_a_width(report: Paths, params: Params) -> None:
    none = Tables(report, params)
    rows = none.need("context/context")
    share = rows["measure"].isin(["top_1", "flips"])
    value = (rows["measure"] == "flips").astype(float)
    none._held["context/context"] = rows.assign(**{name: rows[name].where(~share, value) for name in ("value", "low", "high")}, n=30)
    frame = find_figure("context_effect").frame(none).query("input in @INPUTS")
    ends = {str(name): (part["low"].min(), part["high"].max()) for name, part in frame.groupby("measure")}
    assert ends["top_1"][0] == 0 and 5 < ends["top_1"][1] < 20 and 80 < ends["flips"][0] < 95 and ends["flips"][1] == pytest.approx(100)
    with figure_style(Figures()):
        axes = find_figure("context_effect").paint(find_figure("context_effect").frame(none), none, Figures()).axes
    assert all(0 <= low < high <= 100 for low, high in (panel.get_xlim() for panel in axes)), "no share lies beyond"


def test_only_classifiers_that_are_trained_are_counted_among_those_that_learn(tables: Tables) -> None:
    """“5 kinds of classifier learn from the seed”: one of them was a language model that is asked."""
    assert "zero-shot" in tables.asked and len(tables.asked) < len(tables.params.learners)
    train = boxes(tables)[-1]["text"]
    many = len(tables.params.learners) - len(tables.asked)
    assert train.startswith(f"{many} kinds of classifier learn from")
    one = {name: tables.params.learners[name] for name in ("trees", *tables.asked)}
    alone = Tables(tables.paths, tables.params.model_copy(update={"learners": one}))
    assert boxes(alone)[-1]["text"].startswith("1 kind of classifier learns from")


# --- an interrupted report ----------------------------------------------------------------------------------


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_interrupted_report_leaves_the_old_one_whole(
    report: Paths, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures were removed first: after Ctrl-C the pages pointed to what was gone."""
    import emosynth.report.build as build

    copy = Paths(tmp_path, "demo")
    shutil.copytree(report.root, tmp_path, dirs_exist_ok=True)
    stale = ["figures/no-more.svg", "results/no-more/x.parquet", "figures/.half.svg.x.part"]
    kept = ["timings.js", "notebooks/07_training.html"]
    for name in [*stale, *kept, ".report.part/figures/killed.svg"]:
        (copy.report / name).parent.mkdir(parents=True, exist_ok=True)
        (copy.report / name).write_text("old", encoding="utf-8")
    (copy.report / "claims.json").write_text("{}", encoding="utf-8")
    before = {name: content for name, content in held(copy.report).items() if not name.startswith(".report.part")}
    drawn: list[str] = []

    def stopped(figure: Figure, *given: object) -> list[Path]:
        drawn.append(figure.name)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return write_figure(figure, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build, "write_figure", stopped)
        build_report(params, Catalog.load(copy), copy)
    assert held(copy.report) == before and len(drawn) == 3
    made = build_report(params, Catalog.load(copy), copy)
    after = held(copy.report)
    assert not set(stale) & set(after) and not (copy.report / "results" / "no-more").exists()
    assert [after[name] for name in kept] == [b"old", b"old"]
    assert {name: content for name, content in after.items() if name not in kept} == {
        name: content for name, content in held(report.report).items() if name not in kept
    }
    assert made.page == copy.report / "index.html" and all(path.is_file() and path.parent.parent == copy.report for path in made.figures)


def test_a_figure_drawn_alone_leaves_the_others_and_an_interrupted_one_itself(
    report: Paths, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import emosynth.report.figures.base as base

    copy = Paths(tmp_path, "demo")
    shutil.copytree(report.root, tmp_path, dirs_exist_ok=True)
    before = held(copy.report)
    assert {path.name for path in regenerate("acceptance", copy, params)} == {"acceptance.svg", "acceptance-dark.svg", "acceptance.csv"}
    assert held(copy.report) == before
    save = base.save_figure
    ends = iter([True, False])

    def stopped(*given: object) -> list[Path]:
        if not next(ends):
            raise KeyboardInterrupt
        return save(*given)  # type: ignore[arg-type]

    (copy.report / "figures" / "acceptance.svg").write_text("old", encoding="utf-8")
    monkeypatch.setattr(base, "save_figure", stopped)
    with pytest.raises(KeyboardInterrupt):
        regenerate("acceptance", copy, params)
    assert held(copy.report) == before | {"figures/acceptance.svg": b"old"}


def test_every_figure_stands_once(pages: dict[str, str]) -> None:
    assert 'id="corpora"' not in pages["index.html"], "the profile has one corpus"
    for name in SHOWN:
        assert sum(f'<article class="figure" id="{name}"' in page for page in pages.values()) == 1, name


def test_every_figure_says_how_it_was_made(pages: dict[str, str], report: Paths, params: Params) -> None:
    """What it says it reads is what it reads."""

    class Watched(Tables):
        def get(self, name: str) -> pd.DataFrame | None:
            seen.add(name)
            return super().get(name)

    for figure in figures():
        seen: set[str] = set()
        watched = Watched(report, params)
        figure.words(figure.frame(watched), watched)
        assert set(figure.reads) <= seen, (figure.name, seen)
        # Claims are judged together, whatever a figure shows of them.
        assert seen <= set(figure.reads) or figure.page == "claims", (figure.name, seen)
    for page in pages.values():
        assert page.count('<article class="figure"') == page.count("How this figure was made:")
    assert "07_training" in pages["index.html"] and "<code>trials/predictions.parquet</code>" in pages["index.html"]
    assert "python -m emosynth figure answer --profile demo" in pages["index.html"]


def test_hostile_text_is_escaped(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        for hostile in (SCRIPT, "<b>$x", "corpus <for>", "<b>Ferryman"):
            assert hostile not in page, (name, hostile)
        assert [tag for tag, _ in Elements(page).tags].count("script") == (2 if name in ("data.html", "responsible.html") else 0)
    assert "&lt;script&gt;alert(" in pages["index.html"] and "corpus &lt;for&gt;" in pages["data.html"]


def test_scripts_are_named_by_hash_and_nothing_comes_from_other_hosts(pages: dict[str, str], report: Paths) -> None:
    import base64

    for page in pages.values():
        policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
        assert policy is not None and "default-src 'none'" in policy[1] and "http" not in policy[1]
        for script in re.findall(r"<script>(.*?)</script>", page, flags=re.S):
            assert f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}" in policy[1]
        for tag, attributes in Elements(page).tags:
            for name in ("src", "srcset", "href", "action"):
                assert not re.match(r"\s*(https?:)?//", attributes.get(name) or ""), (tag, attributes)
        assert not re.search(r"@import|url\(\s*['\"]?(https?:)?//", page)
    for path in (report.report / "figures").glob("*.svg"):
        assert not re.search(r'(?:href|src)="(?:https?:)?//', path.read_text(encoding="utf-8"))


def test_every_local_link_leads_somewhere(pages: dict[str, str], report: Paths) -> None:
    seen = 0
    for name, page in pages.items():
        elements = Elements(page)
        ids = {attributes["id"] for _, attributes in elements.tags if "id" in attributes}
        for link in (attributes.get(key) for _, attributes in elements.tags for key in ("href", "src", "srcset")):
            if link and not link.startswith("data:"):
                seen += 1
                path, _, place = link.partition("#")
                assert not path or (report.report / path).is_file(), (name, link)
                assert not place or (place in ids if not path else f'id="{place}"' in pages[path]), (name, link)
    assert seen > 100


def test_no_real_text_is_in_the_report(report: Paths, tables: Tables) -> None:
    texts = [*tables.need(f"corpora/{tables.target}")["text"], PASSAGE, REPEATED]
    assert find_corpus_text(report.report, texts) == []
    shown = shown_rows(tables)
    assert shown is not None and {WITHHELD_SEED, WITHHELD_RUN} & set(shown["withheld"])
    assert not shown["text"].isin([COPIED, REPEATED]).any() and (shown.loc[shown["withheld"] != "", "text"] == "").all()
    assert shown["accepted"].sum() >= len(CLASSES) and (shown["read"] != "").sum() == 1


def test_numbers_are_rounded_and_nothing_is_nan(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        body = re.sub(r"<(style|script|head|dl)\b.*?</\1>", " ", page, flags=re.S)
        text = re.sub(r"arXiv:[\d.]+", "", re.sub(r"<[^>]+>", " ", body))
        assert not re.search(r"\bnan\b|\bNone\b|\bNaN\b|\binf\b", text), name
        assert not re.search(r"\d\.\d{4,}", text), (name, re.findall(r"\S*\d\.\d{4,}", text)[:3])
        assert "@article" not in text, name


def test_equal_results_give_equal_pages(report: Paths, params: Params, pages: dict[str, str]) -> None:
    (report.report / "timings.js").write_text("window.EMOSYNTH_TIMINGS = [];", encoding="utf-8")
    tables = Tables(report, params)
    render_pages(tables, Catalog.load(report), {})
    for name, page in pages.items():
        assert (report.report / name).read_text(encoding="utf-8") == page, name
        assert str(report.root) not in page
    assert (report.report / "timings.js").read_text(encoding="utf-8") == "window.EMOSYNTH_TIMINGS = [];"


def test_every_parameter_is_shown(pages: dict[str, str], params: Params) -> None:
    for section in params.model_dump():
        assert f"<dt>{section}" in pages["data.html"], section
    assert "<dt>evidence." in pages["claims.html"] and "<dt>narratives" not in pages["claims.html"]


def test_metrics_fit_a_terminal(report: Paths) -> None:
    metrics = json.loads((report.report / "metrics.json").read_text(encoding="utf-8"))
    assert 10 <= len(metrics) <= 16 and all(not isinstance(value, dict | list) for value in metrics.values())
    declared = json.loads((report.report / "claims.json").read_text(encoding="utf-8"))["claims"]
    verdicts = ("supported", "contradicted", "undecided", "not_tested")
    assert sum(metrics[f"claims_{verdict}"] for verdict in verdicts) == len(declared) > 10


@pytest.mark.parametrize("hostile", ["a\x00b", "a\u202eb", "a\ud800b", "\x1b[31m"])
def test_unprintable_characters_do_not_reach_the_page(hostile: str) -> None:
    readable(hostile).encode("utf-8")
    assert "\ufffd" in readable(hostile)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("model", "/home/me/models/x.gguf", "x.gguf"),
        ("url", "http://me:secret@host:8080/v1?key=1", "http://host:8080/v1"),
        ("urls", "['http://me:secret@host:1/v1', 'http://b/v1?k=1']", "['http://host:1/v1', 'http://b/v1']"),
        ("title", "/a/b", "/a/b"),
    ],
)
def test_paths_and_addresses_are_made_public(key: str, value: str, shown: str) -> None:
    assert public(key, value) == shown


def test_references_are_rendered_not_bibtex() -> None:
    source = """@inproceedings{a, title = {{VADER}: A {Model}}, author = {M{\\"u}ller, Anna and Roe, Ben}, booktitle = {Proc. of X}, year = {2014}}
    @article{b, author = "A and B and C and D and E", title = "Many", eprint = {2511.16132}, year = 2025}"""
    assert references([source, source, ""]) == [
        "A et al. (2025). Many. arXiv:2511.16132.",
        "Anna Müller and Ben Roe (2014). VADER: A Model. Proc. of X.",
    ]
    assert references(["A plain reference, 2014."]) == ["A plain reference, 2014."]


# --- guard ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", f"<td>{COPIED.replace(' ', '&#32;')}</td>"),
        ("b.html", "<p>" + COPIED.replace("kettle", "<b>kettle</b>") + "</p>"),
        ("c.json", '{"x": ["y", {"z": "' + COPIED.replace("e", "\\u0065") + '"}]}'),
        ("d.ipynb", '{"cells": [{"source": ["' + COPIED[:20] + '\\n", "' + COPIED[20:] + '"]}]}'),
        ("e.csv", f'1,"{COPIED.upper()}"'),
    ],
)
def test_the_guard_finds_text_however_it_is_wrapped(tmp_path: Path, name: str, content: str) -> None:
    import html

    (tmp_path / name).write_text(html.unescape(content) if name == "a.html" else content, encoding="utf-8")
    assert [leak.path for leak in find_corpus_text(tmp_path, [COPIED])] == [name]


def test_the_guard_wants_whole_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"x {PASSAGE} y", encoding="utf-8")
    assert find_corpus_text(tmp_path, [PASSAGE, "x the"])[0].text == PASSAGE
    (tmp_path / "a.txt").write_text(REPEATED, encoding="utf-8")
    assert find_corpus_text(tmp_path, [PASSAGE]) == []


def test_the_guard_knows_runs_of_six_words() -> None:
    guard = Texts([PASSAGE])
    assert guard.shares_run(REPEATED) and not guard.shares_run("the lantern swung above the water")
