"""The browser of rows: what it finds, how fast, and that it answers nobody else. All text is invented."""

from __future__ import annotations

import html
import http.client
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from emosynth.cards import Card, write_table
from emosynth.cli import main
from emosynth.errors import UserError
from emosynth.generation import COLUMNS
from emosynth.paths import Paths
from emosynth.trying.browser import PER_PAGE, WHOLE, listing
from emosynth.trying.found import Query, Rows
from emosynth.trying.preview import paths_of
from emosynth.trying.serve import port_of, server_of
from test_browser import browser  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
CARD = Card(title="t", what="t", made="t")
HOSTILE = "<img src=x onerror=alert(1)> the KILN made me laugh"
SCORES = {"length": None, "agreement": 0.5, "confidence": 0.6}


def write(paths: Paths, count: int, judged: bool = True) -> None:
    """Write a fake run: two origins, two classes, three arms; every text is invented."""
    place = np.arange(count)
    label = np.where(place % 2 == 0, "joy", "anger")
    origin = np.where(place % 4 < 2, "none@plain", "shap@plain")
    ids = [f"{o}/mine/100/0/{c}/{i:06d}" for o, c, i in zip(origin, label, place, strict=True)]
    text = [HOSTILE if i == 5 else f"the stove number {i} is a small delight" for i in place]
    frame = pd.DataFrame(dict.fromkeys(COLUMNS, ""), index=place).assign(
        candidate_id=ids, origin=origin, writer="plain", space="target", corpus="mine", size=100, repeat=0, index=place, label=label,
        labels=[[one] for one in label], text=text, prompt=[f"Secret prompt {i // 10} </pre><script>1</script>" for i in place], row_seed=place,
        generator="openvino:toy", finish="stop", complete=True, prompt_tokens=20, new_tokens=9,
    )  # fmt: skip
    write_table(frame[COLUMNS], paths.candidates / "candidates.parquet", CARD)
    if not judged:
        return
    verdicts, scores = [], []
    for arm, own in (("naive", "none@plain"), ("strict", "none@plain"), ("shap", "shap@plain")):
        part = frame[frame["origin"] == own]
        bad = (part["index"] % 10 == 0) | ((arm == "strict") & (part["index"] % 10 == 1))
        verdicts.append(
            part[["origin", "corpus", "size", "repeat", "candidate_id", "index", "label"]].assign(
                arm=arm, accepted=~bad, reason=np.where(bad, np.where(part["index"] % 20 == 0, "length", "agreement"), "")
            )
        )
    for check in SCORES:
        judge = f'{{"check": "{check}", "kind": "toy"}}'
        scores.append(frame[["candidate_id", "corpus", "size", "repeat"]].assign(check=check, judge=judge, score=(place % 100) / 100))
    write_table(pd.concat(verdicts, ignore_index=True), paths.verdicts / "verdicts.parquet", CARD)
    write_table(pd.concat(scores, ignore_index=True), paths.verdicts / "judgements.parquet", CARD)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    paths = Paths(tmp_path_factory.mktemp("large"), "mine")
    write(paths, 100_000)
    return Rows.load(paths)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    paths = Paths(tmp_path_factory.mktemp("few"), "mine")
    write(paths, 1000)
    return Rows.load(paths)


@pytest.fixture(scope="module")
def served(large: Rows) -> Iterator[SimpleNamespace]:
    with server_of(0) as server:
        server.rows = large
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield SimpleNamespace(port=port_of(server))
        server.shutdown()
        thread.join()


def get(served: Any, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer.headers


def shown(body: str) -> list[int]:
    return [int(found) for found in re.findall(r"stove number (\d+) is", body)]


FILTERS = (
    "", "origin=shap@plain", "label=anger", "arm=strict", "arm=strict&verdict=rejected", "arm=naive&verdict=accepted", "reason=length",
    "arm=shap&reason=agreement", "check=confidence&least=0.98", "check=confidence&least=0.1&most=0.104", "q=NUMBER 777 IS", "q=number 42&label=joy",
    "q=nowhere",
)  # fmt: skip


@pytest.mark.parametrize("asked", FILTERS)
def test_filters_find_what_a_slow_count_finds(few: Rows, asked: str) -> None:
    query, keep = Query.read(asked), []
    verdicts: dict[str, list[tuple[str, str, str]]] = {}
    for row in few.verdicts.itertuples(index=False):
        verdicts.setdefault(str(row.candidate_id), []).append((str(row.arm), "accepted" if row.accepted else "rejected", str(row.reason)))
    own = few.scores[few.scores["check"] == query.check]
    scores = dict(zip(own["candidate_id"], own["score"], strict=True))
    for row in few.frame.itertuples(index=False):
        fits = query.origin in ("", row.origin) and query.label in ("", row.label) and query.q.casefold() in row.text.casefold()
        if query.arm or query.verdict or query.reason:
            wanted = (query.arm, query.verdict, query.reason)
            fits &= any(all(want in ("", has) for want, has in zip(wanted, one, strict=True)) for one in verdicts[row.candidate_id])
        if query.check:
            score = scores[row.candidate_id]
            fits &= (query.least is None or score >= query.least) and (query.most is None or score <= query.most)
        keep.append(fits)
    found = few.find(query).tolist()
    assert sorted(found) == np.flatnonzero(keep).tolist() and (len(found) > 0) == (asked != "q=nowhere")
    if query.check:
        assert [scores[few.frame["candidate_id"][place]] for place in found] == sorted(
            scores[few.frame["candidate_id"][place]] for place in found
        )


def test_pages_of_100_000_rows_take_less_than_a_second(served: Any) -> None:
    get(served, "/?q=warm")  # what is made once
    for asked in (*FILTERS, "page=1999", "q=stove&page=700&arm=naive&check=confidence&least=0"):
        since = time.perf_counter()
        status, body, _ = get(served, f"/?{quote(asked, safe='=&@')}")
        assert status == 200 and "100,000 in all" in body
        assert time.perf_counter() - since < 1, asked


def test_pages_follow_each_other(served: Any, large: Rows) -> None:
    seen: list[int] = []
    path = "/?arm=strict&verdict=rejected&label=joy"
    for _ in range(3):
        _, body, _ = get(served, path)
        seen += shown(body)
        path = html.unescape(re.findall(r'href="(/\?[^"]*)">next', body)[0])
        assert "arm=strict" in path and "label=joy" in path
    assert seen == large.find(Query.read("arm=strict&verdict=rejected&label=joy"))[: 3 * PER_PAGE].tolist() and len(set(seen)) == 150
    assert "next" not in get(served, "/?page=1999")[1].split("</ul>")[-1] and "previous" in get(served, "/?page=1999")[1]
    assert "none of 100,000" in get(served, "/?page=99999")[1]


def test_rows_say_why_and_the_prompt_is_a_click_away(served: Any) -> None:
    _, body, _ = get(served, "/?q=number 1 is".replace(" ", "%20"))
    assert 'naive <span class="good">accepted</span>; strict <span class="bad">rejected: agreement</span>' in body
    assert "Secret prompt" not in body
    status, body, _ = get(served, html.unescape(re.findall(r'href="(/row[^"]*)"', body)[0]))
    assert status == 200 and "Secret prompt 0 &lt;/pre&gt;&lt;script&gt;" in body and "rejected: agreement" in body
    for provenance in ("openvino:toy", "row_seed", "confidence", "kind toy", "0.01"):
        assert provenance in body


def test_rows_are_told_by_the_arms_that_read_them(few: Rows) -> None:
    of = {"none@plain": "naive, strict", "shap@plain": "shap"}
    assert few.read_by == of
    body = listing(few, Query())
    assert [f'<option value="{name}">{arms}</option>' in body for name, arms in of.items()] == [True, True]
    assert "written for naive, strict</span>" in body and "· none@plain" not in body


def test_pages_are_escaped_and_run_nothing(served: Any) -> None:
    _, body, headers = get(served, "/?q=kiln")
    assert "&lt;img src=x onerror=alert(1)&gt;" in body and "<img" not in body and "<script" not in body
    assert '"><b>' not in get(served, "/?q=%22%3E%3Cb%3E")[1]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert "never published" in body and not re.findall(r"(?:src|href)=\"(?!/|data:)", body)


def test_only_this_machine_is_answered(served: Any) -> None:
    for host in ("evil.example", f"evil.example:{served.port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{served.port}", ""):
        status, body, _ = get(served, "/?q=kiln", host)
        assert status == 403 and "kiln" not in body.lower(), host
    assert get(served, "/", f"localhost:{served.port}")[0] == 200
    assert get(served, "/", method="POST")[0] == 501
    assert get(served, "/../etc/passwd")[0] == 404 and get(served, "/row?id=none")[0] == 404
    for asked in ("/?page=-1", "/?page=x", "/?least=much", "/?verdict=maybe", "/?colour=red"):
        status, body, _ = get(served, asked)
        assert status == 400 and "cannot be shown" in body, asked


def test_port_that_is_taken_is_an_error(served: Any) -> None:
    for port in (served.port, 99_999):
        with pytest.raises(UserError, match="served"):
            server_of(port)


def test_address_is_there_before_the_rows_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def load(paths: Paths) -> Any:
        said.append(capsys.readouterr().out)
        raise UserError("Nothing has been written yet.", where="here", remedy="Run it.")

    monkeypatch.setattr(Rows, "load", load)
    monkeypatch.setattr("emosynth.params.load_params", lambda *given: None)
    monkeypatch.setattr("emosynth.trying.places.rows_at", lambda paths: (paths, ""))
    assert main(["--root", str(ROOT), "browse", "--port", "0"]) == 1
    assert re.match(r"http://127\.0\.0\.1:\d+/ .*reading", said[0])

    class Ready(Rows):
        def __init__(self) -> None:
            super().__init__("mine", pd.DataFrame({"a": [1, 2]}), pd.DataFrame(), pd.DataFrame())

    monkeypatch.setattr(Rows, "load", lambda paths: Ready())
    monkeypatch.setattr("emosynth.trying.serve.Server.serve_forever", lambda self: None)
    assert main(["--root", str(ROOT), "browse", "--port", "0"]) == 0
    assert "ready: 2 rows" in capsys.readouterr().out


# --- files, and what is not there ------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "params.yaml").write_text(
        "corpora: {target: toy}\ncells: {sizes: [10], repeats: 1}\nchecks: {basic: {}}\narms: {naive: {}}\nlearners: {tfidf: {}}\n"
    )
    (tmp_path / "profiles" / "mine.yaml").write_text("figures: {dpi: 90}\n")
    return tmp_path


def run(root: Path, *words: str) -> int:
    return main(["--root", str(root), "browse", *words])


def test_page_in_a_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(Paths(root, "mine"), 400)
    to = root / "rows.html"
    assert run(root, "--profile", "mine", "--to", str(to), "--query", "arm=naive&verdict=rejected") == 0
    body = to.read_text()
    assert shown(body) == [place for place in range(400) if place % 4 < 2 and place % 10 == 0] and "<form" not in body
    assert "Secret prompt 0 &lt;/pre&gt;" in body and "<script" not in body and "never published" in body
    said = capsys.readouterr().out
    assert "do not publish" in said and f"{len(shown(body)):,} of 400 rows" in said
    assert run(root, "--profile", "mine", "--to", str(root / "reports" / "x" / ".." / "rows.html")) == 1
    assert "published" in capsys.readouterr().err and not (root / "reports").exists()


def test_a_page_replaces_a_page_and_nothing_else(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(Paths(root, "mine"), 40)
    page, data = root / "rows.html", root / "mine.csv"
    data.write_text("text,label\n")
    (root / "old.html").write_text("<!doctype html><title>Rows of mine</title>")
    (root / "folder").mkdir()
    for _ in range(2):
        assert run(root, "--profile", "mine", "--to", str(page)) == 0
    for place in (data, root / "params.yaml", root / "old.html", root / "folder"):
        before = place.read_bytes() if place.is_file() else b""
        assert run(root, "--profile", "mine", "--to", str(place)) == 1
        assert "holds something already" in capsys.readouterr().err and (not before or place.read_bytes() == before)


def test_a_query_for_what_there_is_not_writes_no_page(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(Paths(root, "mine"), 40)
    to = root / "rows.html"
    assert run(root, "--profile", "mine", "--to", str(to), "--query", "arm=naiv") == 1
    assert "No row has the arm naiv" in (said := capsys.readouterr().err) and "Did you mean naive?" in said and not to.exists()
    assert run(root, "--profile", "mine", "--to", str(to), "--query", "q=zzzz") == 0
    assert "0 of 40 rows" in capsys.readouterr().out


def test_file_says_what_it_leaves_out(tmp_path: Path) -> None:
    paths = Paths(tmp_path, "mine")
    write(paths, WHOLE + 4)
    body = listing(Rows.load(paths), Query(), whole=True)
    assert f"{WHOLE:,} of {WHOLE + 4:,} rows" in body and "left out" in body and len(re.findall("<li>", body)) == WHOLE


def test_what_is_not_there_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "--profile", "mine") == 1
    said = capsys.readouterr().err
    assert "Nothing has been written yet" in said and "dvc repro profiles/mine/dvc.yaml:06_verification" in said and "emosynth try" in said
    assert run(root, "--profile", "mien") == 1
    told = capsys.readouterr()
    assert "Did you mean mine?" in told.err and "127.0.0.1" not in told.out, "an address that answers nothing is none"
    assert run(root, "--profile", "mine", "--port", "0") == 1 and not capsys.readouterr().out
    assert run(root, "--profile", "../mine") == 1
    write(Paths(root, "mine"), 40, judged=False)
    assert run(root, "--profile", "mine", "--to", str(root / "a.html")) == 0
    assert "Nothing has been judged yet" in (root / "a.html").read_text()
    assert run(root, "--profile", "mine", "--to", str(root / "a.html"), "--query", "colour=red") == 1
    assert "colour" in capsys.readouterr().err


def test_a_preview_is_shown_until_the_profile_has_run(root: Path) -> None:
    paths = Paths(root, "mine")
    write(paths_of(paths), 8)
    rows = Rows.load(paths)
    assert len(rows.frame) == 8 and "preview" in rows.note
    write(paths, 12)
    assert len(Rows.load(paths).frame) == 12 and Rows.load(paths).note == ""


def _follow(browser: Any, link: Any) -> None:  # noqa: F811
    """Click, and wait until the next page has taken the place of this one: a click may return before it."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_script("window.left = true")
    link.click()
    WebDriverWait(browser, 30, ignored_exceptions=[WebDriverException]).until(
        lambda page: page.execute_script("return window.left !== true && document.readyState === 'complete'")
    )


@pytest.mark.browser
def test_in_a_browser(browser: Any, served: Any, tmp_path: Path) -> None:  # noqa: F811
    from test_browser import _picture

    for width in (1280, 375):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        )
        browser.get(f"http://127.0.0.1:{served.port}/?arm=strict&verdict=rejected")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        _picture(browser, tmp_path, f"browse-{width}")
    browser.find_element("name", "q").send_keys("kiln")
    browser.execute_script(
        "document.querySelector('select[name=arm]').value = ''; document.querySelector('select[name=verdict]').value = ''"
    )
    _follow(browser, browser.find_element("css selector", "button"))
    assert "onerror=alert(1)" in browser.find_element("css selector", ".rows p").text
    _follow(browser, browser.find_element("partial link text", "prompt"))
    assert "Secret prompt 0" in browser.find_element("tag name", "pre").text
    _picture(browser, tmp_path, "browse-row")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
