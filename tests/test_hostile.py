"""Hostile text runs nowhere: pages, notebooks, figures, tables, cards, spreadsheets, JSON, terminal; and everything still shows it."""

from __future__ import annotations

import contextlib
import csv
import html
import importlib
import io
import json
import re
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mistune
import nbformat
import pandas as pd
import pytest
import yaml

from emosynth import display as shown
from emosynth.cards import Card, Source, render_card
from emosynth.catalog import Catalog
from emosynth.display import Table, table
from emosynth.errors import UserError
from emosynth.escape import csv_cell, csv_frame, json_text, markdown, readable, terminal
from emosynth.export import _csv
from emosynth.export_card import croissant
from emosynth.params import Figures, Params
from emosynth.paths import Paths
from emosynth.pipeline import STAGES, stage
from emosynth.progress import Progress, say
from emosynth.runner.render import normalise, page, public
from emosynth.session import Session, declared
from emosynth.style import LONGEST_NAME, _glyphs, drawn, drawn_name, figure_style, new_figure, save_figure, tidy
from hostile import KINDS, RUN, hostile_params, hostile_tables, strings, write_hostile_results
from test_browser import browser

__all__ = ["browser"]

STRINGS = [text for _, text in strings()]
ROOT = Path(__file__).parent.parent


class Parsed(HTMLParser):
    """Tags with attributes, and the text between them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def harmless(source: str, allowed: set[str]) -> Parsed:
    """Check that a piece of HTML has plain elements only, and nothing that acts or asks."""
    parsed = Parsed(source)
    assert {tag for tag, _ in parsed.tags} <= allowed, {tag for tag, _ in parsed.tags} - allowed
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") or name in ("src", "style", "srcdoc", "formaction") for name in attributes), (tag, attributes)
        assert re.match(r"\.\./|#|$", attributes.get("href") or ""), (tag, attributes)
    return parsed


# --- kinds × places -----------------------------------------------------------------------------------------

PLACES: dict[str, Callable[[str], None]] = {}
IN_FRAMES = ("tables", "cards", "spreadsheets")


def place(check: Callable[[str], None]) -> Callable[[str], None]:
    PLACES[check.__name__] = check
    return check


_SCRIPTED = ("data.html", "responsible.html")
"""Pages that read the times of a run, with one script of known text and one file."""
TABLE = {"table", "thead", "tbody", "tr", "th", "td", "caption"}
FRAMES: dict[str, Callable[[str], Table]] = {
    "cell": lambda text: table(pd.DataFrame({"a": [text, "b"]})),
    "formatted cell": lambda text: table(pd.DataFrame({"a": [text]}), "{}").format({"a": "{:>3}"}).format({}),
    "index": lambda text: table(pd.DataFrame({"a": [1, 2]}, index=pd.Index([text, text], name=text))),
    "levels": lambda text: table(
        pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(text, 1), (text, text)], names=[text, None]))
    ),
    "column": lambda text: table(pd.DataFrame({text: [1.5]})),
    "columns": lambda text: table(pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([(text, text)]))),
    "caption": lambda text: table(pd.DataFrame({"a": [[text]]}), caption=text),
}


@place
def tables(text: str) -> None:
    for name, make in FRAMES.items():
        made = make(text)
        parsed = harmless(made._repr_html_(), TABLE)
        assert readable(text).strip() in parsed.text, name
        rows = made._repr_html_().count("<tr>")
        assert rows == 1 + len(made.frame), name


@place
def page_cells(text: str) -> None:
    said = readable(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n\r" for char in said) and len(said) <= 283
    said.encode("utf-8")


@place
def markdown_lines(text: str) -> None:
    said = markdown(text)
    assert "\n" not in said
    for source in (f"# {said}", f"- {said}", f"| {said} | b |\n|---|---|\n| {said} | {said} |", f"before\n\n{said}x\n\nafter"):
        made = mistune.create_markdown(escape=False, plugins=["table", "url"])(source)
        found = Parsed(str(made))
        assert not {tag for tag, _ in found.tags} & {
            "script",
            "img",
            "svg",
            "iframe",
            "base",
            "meta",
            "link",
            "form",
            "object",
            "embed",
            "style",
        }, source
        assert not any(
            (attributes.get("href") or "").lower().startswith(("javascript", "data", "vbscript")) for _, attributes in found.tags
        ), source
    rows = str(mistune.create_markdown(plugins=["table"])(f"| a | b |\n|---|---|\n| {said} | x |"))
    assert rows.count("<td>") == 2, rows


@place
def cards(text: str) -> None:
    card = Card(title=text, what=text, made=text, sources=[Source(name=text, version=text, hash=text)], columns={"a": text}, counts={text: 1, "t": {text: 2}},
                limits=[text], licence=text, citation=text, tags=[text])  # fmt: skip
    said = render_card(card, pd.DataFrame({"a": [1], text or "b": [2]}), "x.parquet")
    _, head, body = re.split(r"^---$", said, maxsplit=2, flags=re.M)
    front = yaml.safe_load(head)
    assert (isinstance(front["pretty_name"], str) and front["tags"] == [text]) or "\ud800" in text or not text.isprintable()
    heads = [line for line in body.splitlines() if line.startswith("# ")]
    cited = "\n".join(line for line in text.splitlines() if line.startswith("# "))
    assert len(heads) == 1 + len(cited.splitlines()) * 1, heads
    made = Parsed(str(mistune.create_markdown(escape=False, plugins=["table"])(body)))
    assert not {tag for tag, _ in made.tags} & {
        "script",
        "img",
        "svg",
        "iframe",
        "base",
        "meta",
        "link",
        "form",
        "object",
        "embed",
        "style",
    }


@place
def spreadsheets(text: str) -> None:
    frame = pd.DataFrame({text or "a": [text], "labels": [[text, text]], "n": [-1.5]})
    for source in (csv_frame(frame.drop(columns="labels")).to_csv(index=False, lineterminator="\n"), _csv(frame)):
        for row in csv.reader(io.StringIO(source, newline="")):
            assert not any(re.match("[=+@\t\r\n＝＋－＠]|-(?![0-9.]+$)", cell) for cell in row), row
    said, meant = csv_cell(text), text.replace("\x00", "\ufffd").replace("\r", "\n")
    assert said == meant if not re.match("'*[=+@\t\n＝＋－＠-]", meant) else said == f"'{meant}"


@place
def json_inside_html(text: str) -> None:
    said = json_text({"a": text, text: [text]})
    assert json.loads(said) == {"a": text, text: [text]}
    assert "<" not in said and "\u2028" not in said and not any(unicodedata.category(char) == "Cc" for char in said)
    found = Parsed(f'<script type="application/ld+json">{said}</script><p>after</p>')
    assert [tag for tag, _ in found.tags] == ["script", "p"]


@place
def terminals(text: str) -> None:
    line, error = terminal(text), UserError(text, where=text, remedy="do that")
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char != "\t" for char in line)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069]", str(error)) and error.what == text
    assert str(error).splitlines()[-1] == "  remedy: do that"
    line.encode("utf-8")


@place
def labels_in_figures(text: str) -> None:
    for said, longest, lines in ((drawn(text), 60, 3), (drawn_name(text), LONGEST_NAME, 1)):
        assert len(said.split("\n")) <= lines and all(len(line) <= longest for line in said.split("\n"))
        assert all(char == "\n" or ord(char) in _glyphs() for char in said)


def test_there_are_enough_of_them() -> None:
    assert len(STRINGS) * len(PLACES) >= 1000 and len({*STRINGS}) == len(STRINGS)


@pytest.mark.parametrize("name", PLACES)
def test_every_kind_in_every_place(name: str) -> None:
    for kind, text in strings():
        if kind == "surrogate" and name in IN_FRAMES:  # pandas holds none
            continue
        try:
            PLACES[name](text)
        except Exception as error:
            raise AssertionError(f"{kind}: {text[:200]!r} in {name}: {error}") from error


def test_figures_draw_every_kind_without_a_warning(tmp_path: Path) -> None:
    """No mathematics, no missing glyph, no broken SVG; names that differ in what the font lacks still differ."""
    texts = list(KINDS.values())
    with warnings.catch_warnings(), figure_style(Figures()):
        warnings.simplefilter("error")
        for start in range(0, len(texts), 7):
            part = texts[start : start + 7]
            fig = new_figure(Figures(), 3.0)
            axes = fig.subplots()
            axes.plot(range(len(part)), range(len(part)), label=f"x{part[0]}")
            axes.set_yticks(range(len(part)), part)
            axes.set_title(part[0])
            axes.annotate(part[-1], (0, 0))
            fig.legend(loc="outside lower center")
            save_figure(tidy(fig), tmp_path, "x", None, ["svg", "png"], 40)
            ET.parse(tmp_path / "x.svg")
    assert drawn_name(KINDS["chinese"]) == "‹559C 60A6›" != drawn_name(KINDS["korean"]) and drawn("$x^2$ naïve Ωж") == "$x^2$ naïve Ωж"


def test_progress_is_one_plain_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EMOSYNTH_PROGRESS", str(tmp_path / "log"))
    for text in STRINGS:
        say(text)
        Progress(1, text, every=0).advance()
    assert len((tmp_path / "log").read_text(encoding="utf-8").split("\n")) == 2 * len(STRINGS) + 1
    monkeypatch.delenv("EMOSYNTH_PROGRESS")
    say(KINDS["clear"])
    assert capsys.readouterr().err == "\\x1b[2J\\x1b[H\n"


def test_croissant_stands_in_a_page(tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_bytes(b"")
    about = {"name": KINDS["end of JSON's script"], "labels": [KINDS["img"], KINDS["script"]], "languages": [KINDS["script"]], "rows": 1}
    about |= {
        "models": {KINDS["img"]: KINDS["script"]},
        "left_out": 0,
        "corpus": KINDS["img"],
        "corpus_licence": KINDS["script"],
        "personal": "",
        "unwritten": [KINDS["img"]],
        "edits": KINDS["img"],
        "real": [KINDS["script"]],
        "checked": True,
        "choices": dict.fromkeys(("guide", "writer", "checks", "labels"), KINDS["img"]),
    }
    said = json_text(croissant(pd.DataFrame({KINDS["script"]: ["a"]}), about, file), indent=2)
    assert [tag for tag, _ in Parsed(f"<script>{said}</script>").tags] == ["script"] and json.loads(said)["name"] == about["name"]


# --- a whole run --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def params() -> Params:
    return hostile_params(figures={"formats": ["svg"], "dpi": 50}, evidence={"resamples": 100}, learners={"trees": None})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, params: Params) -> Paths:
    """A report and the pages of all notebooks, public and local, of hostile tables."""
    paths = write_hostile_results(tmp_path_factory.mktemp("hostile"), params)
    executed = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # as of a glyph that is missing
        for item in STAGES:  # the last one builds the report
            executed[item.name] = normalise(notebook(item.name, paths, params))
    for item in STAGES:
        for folder, content in ((paths.notebooks, executed[item.name]), (paths.report / "notebooks", public(executed[item.name]))):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{item.name}.html").write_text(page(content, item), encoding="utf-8")
    return paths


def notebook(name: str, paths: Paths, params: Params) -> Any:
    """Run the cells of a notebook's own source, its room's work replaced by hostile tables; return it with outputs as a kernel would give them."""
    from IPython.core.formatters import DisplayFormatter

    formatter, made = DisplayFormatter(), hostile_tables(paths).get(name)
    book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    outputs: list[Any] = []

    def show(*items: Any) -> None:
        for item in items:
            data, metadata = formatter.format(item)
            if "image/png" in data and isinstance(data["image/png"], bytes):
                import base64

                data["image/png"] = base64.b64encode(data["image/png"]).decode()
            outputs.append(nbformat.v4.new_output("display_data", data=data, metadata=metadata))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.core.getipython.get_ipython", lambda: SimpleNamespace(display_formatter=formatter))
        shown.prepare_notebook()
        patch.setattr("IPython.display.display", show)
        session = Session(paths, Catalog.load(paths), declared(params, stage(name)))
        patch.setattr("emosynth.session.open_session", lambda *_, **__: session)
        for room, function, result in (
            ("corpora", "build_corpora", None), ("seeding", "build_orders", None), ("explain", "build_materials", made), ("narratives", "build_narratives", made),
            ("writers", "build_tuned", made), ("generation", "build_candidates", None), ("verification", "build_verdicts", made), ("trials", "run_trials", made),
            ("authenticity", "build_panel", made), ("context", "build_context", made), ("responsible.build", "build_responsible", made),
        ):  # fmt: skip
            if room == "seeding":
                result = pd.read_parquet(paths.data / "seeds" / "order.parquet")
            if room == "generation" and made is not None:
                result = (made.get("candidates"), json.loads((paths.data / "candidates" / "generators.json").read_text(encoding="utf-8")))
            patch.setattr(importlib.import_module(f"emosynth.{room}"), function, lambda *_, result=result: result)
        patch.setattr("emosynth.export.export_best", lambda *_: paths.data / "export" / KINDS["out of the table"])
        space: dict[str, Any] = {}
        for cell in book.cells:
            if cell.cell_type != "code":
                continue
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(cell.source, space)
            cell.outputs = [
                *([nbformat.v4.new_output("stream", name="stdout", text=printed.getvalue())] if printed.getvalue() else []),
                *outputs,
            ]
            outputs.clear()
    return book


def _pages(paths: Paths) -> list[Path]:
    return [
        *sorted(paths.report.glob("*.html")),
        *sorted((paths.report / "notebooks").glob("*.html")),
        *sorted(paths.notebooks.glob("*.html")),
    ]


def test_pages_hold_no_element_of_the_data(run: Paths) -> None:
    pages = _pages(run)
    assert len(pages) == 10 + 2 * len(STAGES)
    for file in pages:
        source = file.read_text(encoding="utf-8")
        parsed = Parsed(re.sub(r"<style>.*?</style>", "", source, flags=re.S))
        policy = [
            attributes["content"]
            for tag, attributes in parsed.tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(policy) == 1 and "default-src 'none'" in policy[0] and ("script-src" in policy[0]) == (file.name in _SCRIPTED), file
        tags = [tag for tag, _ in parsed.tags]
        assert tags.count("script") == (2 if file.name in _SCRIPTED else 0) and tags.count("main") == tags.count("h1") == 1, file
        assert not {"iframe", "svg", "object", "embed", "form", "base", "video", "textarea", "font"} & set(tags), file
        for tag, attributes in parsed.tags:
            assert not any(name.startswith("on") or name in ("autofocus", "srcdoc") for name in attributes), (file, tag, attributes)
            for name in ("src", "srcset", "href"):
                assert "evil.invalid" not in (attributes.get(name) or "") and "javascript:" not in (attributes.get(name) or ""), (
                    file,
                    tag,
                    attributes,
                )
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", source), file
        assert RUN in parsed.text or file.name in ("context.html", "08_authenticity.html", "11_figures.html"), (
            file,
            "the names were not shown at all",
        )


def test_files_of_a_run_are_harmless(run: Paths) -> None:
    for file in [*run.report.rglob("*.csv")]:
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.reader(stream):
                assert not any(re.match("[=+@\t\r\n]|-(?![0-9.e-]+$)", cell) for cell in row), (file, row)
    for file in [run.report / "metrics.json", run.report / "claims.json"]:
        said = file.read_text(encoding="utf-8")
        assert "<" not in said and json.loads(said)
    for file in (run.report / "figures").glob("*.svg"):
        ET.parse(file)


def test_a_table_of_pandas_own_is_escaped_in_a_notebook_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.formatters import DisplayFormatter

    formatter = DisplayFormatter()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: SimpleNamespace(display_formatter=formatter))
    shown.prepare_notebook()
    frame = pd.DataFrame({KINDS["img"]: [KINDS["script"]]}, index=[KINDS["svg"]])
    data, _ = formatter.format(frame.style.format(escape="html").format("{}").set_caption(KINDS["img"]))
    assert html.escape(KINDS["script"]) in data["text/html"]
    harmless(data["text/html"], TABLE)


def test_notebooks_show_tables_in_one_way() -> None:
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                assert ".style" not in cell.source and not re.search(r"Markdown|HTML\(|to_html", cell.source), (path.name, cell.source)
                for call in re.findall(r"display\((\w+)", cell.source):
                    assert call in ("table", "show", "SVG"), (path.name, cell.source)


def test_what_a_notebook_shows_as_html_is_cleaned() -> None:
    """The last wall: output of somebody's own cell."""
    outputs = [
        nbformat.v4.new_output("display_data", data={"text/html": "".join(KINDS.values())}),
        nbformat.v4.new_output("display_data", data={"application/javascript": RUN}),
        nbformat.v4.new_output("display_data", data={"text/markdown": KINDS["markdown link"]}),
        nbformat.v4.new_output("stream", name="stdout", text="".join(KINDS.values())),
        nbformat.v4.new_output("error", ename=KINDS["img"], evalue=KINDS["script"], traceback=[KINDS["img"], KINDS["colour"]]),
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"x = {KINDS['script']!r}", outputs=outputs)])
    parsed = Parsed(page(normalise(book), stage("00_corpora")))
    tags = [tag for tag, _ in parsed.tags]
    assert (
        not {"script", "img", "svg", "iframe", "base", "form", "object", "embed", "h1"} & set(tags)
        and tags.count("style") == tags.count("link") == 1
    )
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes) and "javascript" not in (attributes.get("href") or ""), (
            tag,
            attributes,
        )


# --- in a browser -------------------------------------------------------------------------------------------

_STATE = """
return {ran: document.documentElement.dataset.ran, images: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.src.slice(0, 80)),
  mains: document.querySelectorAll('body main').length, heads: document.querySelectorAll('h1').length, width: document.documentElement.scrollWidth,
  last: document.body.lastElementChild.tagName, quirks: document.compatMode, title: document.title,
  ragged: [...document.querySelectorAll('table')].filter(t => !t.querySelector('[rowspan]') && new Set([...t.rows].map(r => r.cells.length)).size > 1).length,
  handlers: [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length};
"""


@pytest.mark.browser
def test_nothing_runs_and_nothing_is_asked_for_in_a_browser(browser: Any, run: Paths) -> None:
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    for file in _pages(run):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        )
        browser.get(file.as_uri())
        browser.execute_script("document.querySelectorAll('details').forEach(item => item.open = true); document.body.click()")
        state = browser.execute_script(_STATE)
        assert state["ran"] is None and state["images"] == [] and state["handlers"] == 0, (file, state)
        assert state["mains"] == state["heads"] == 1 and state["ragged"] == 0 and state["quirks"] == "CSS1Compat", (file, state)
        assert state["width"] <= 1280 and browser.current_url == file.as_uri(), (file, state)
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == [], file
        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        assert asked and [address for address in asked if not address.startswith(("file:", "data:", "chrome:"))] == [], file


@pytest.mark.browser
def test_the_pages_of_rows_show_text_as_text(browser: Any, tmp_path: Path) -> None:
    from emosynth.trying.browser import listing, row_page
    from emosynth.trying.found import Query, Rows
    from test_browse import write

    paths, texts = Paths(tmp_path, "mine"), [text for kind, text in KINDS.items() if kind != "surrogate"]  # no table can hold one
    write(paths, len(texts))
    rows = Rows.load(paths)
    for step, name in enumerate(
        ("text", "context", "character", "label", "prompt", "generator", "finish", "error", "corpus", "candidate_id")
    ):
        rows.frame[name] = [texts[(place + step) % len(texts)] for place in range(len(texts))]
    rows.verdicts["reason"] = [texts[place % len(texts)] for place in range(len(rows.verdicts))]
    rows.note = KINDS["out of the table"]
    pages = [
        listing(rows, Query.read("")),
        listing(rows, Query.read(""), whole=True),
        *(row_page(rows, place) for place in range(0, len(texts), 11)),
    ]
    browser.get_log("performance")
    for number, content in enumerate(pages):
        (file := tmp_path / f"{number}.html").write_bytes(content.encode("utf-8", "replace"))
        browser.get(file.as_uri())
        browser.execute_script("document.querySelectorAll('details').forEach(item => item.open = true); document.body.click()")
        state = browser.execute_script(_STATE)
        assert state["ran"] is None and state["images"] == [] and state["handlers"] == state["mains"] == 0 and state["heads"] == 1, state
        assert browser.current_url == file.as_uri()
        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        assert asked and [address for address in asked if not address.startswith(("file:", "data:", "chrome:"))] == []


@pytest.mark.browser
def test_the_browser_would_have_seen_it(browser: Any, tmp_path: Path) -> None:
    """Each wall alone holds; without both, the strings do run: the test above can fail."""
    bare = f"<!doctype html><title>x</title><body><table><tr><td>{KINDS['img']}</td></tr></table>"
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    for name, source, ran in (("bare", bare, "1"), ("policy", bare.replace("<title>", f"{policy}<title>"), None)):
        file = tmp_path / f"{name}.html"
        file.write_text(source, encoding="utf-8")
        browser.get(file.as_uri())
        assert browser.execute_script("return document.documentElement.dataset.ran ?? null") == ran
    browser.get_log("browser")
