"""The notebook runner: reproducible copies, public pages, checked parameter cells, short failures."""

from __future__ import annotations

import ast
import base64
import copy
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import nbformat
import psutil
import pytest

from emosynth.design.arms import list_origins
from emosynth.errors import UserError
from emosynth.params import Mix, Params, load_params
from emosynth.paths import Paths
from emosynth.pipeline import STAGES, Stage, stage
from emosynth.progress import Progress, say
from emosynth.runner import execute
from emosynth.runner.execute import NotebookFailed, _memory_watch, check_parameter_cell, parameters_of
from emosynth.runner.record import last_lines, read_record, write_record
from emosynth.runner.render import WITHHELD, normalise, page, public
from emosynth.secrets import exposed, redact
from emosynth.session import Undeclared, declared, open_session, plain

ROOT = Path(__file__).parent.parent
v4 = nbformat.v4


def executed(seed: str) -> nbformat.NotebookNode:
    """An executed notebook as it differs from run to run."""
    table = "<table><tr><td>1</td></tr></table>"
    code = v4.new_code_cell(
        "display(x)",
        outputs=[
            v4.new_output("stream", name="stderr", text=f"took {seed} s"),
            v4.new_output(
                "display_data", data={"application/vnd.jupyter.widget-view+json": {"model_id": seed}, "text/plain": "Converting: 0%"}
            ),
            v4.new_output("display_data", data={"text/html": table, "text/plain": f"<pandas.io.formats.style.Styler at 0x{seed}>"}),
        ],
        metadata={"execution": {"iopub.execute_input": seed}, "papermill": {"duration": seed}},
    )
    secret = v4.new_code_cell(
        "display(examples)",
        outputs=[v4.new_output("stream", name="stdout", text="a real person wrote this")],
        metadata={"tags": ["corpus-text"]},
    )
    drawn = v4.new_code_cell(
        "display(figure)",
        outputs=[v4.new_output("display_data", data={"image/svg+xml": "<svg><title>a large figure</title></svg>"})],
        metadata={"tags": ["in-report"]},
    )
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# Title"), code, secret, drawn], metadata={"papermill": {"start_time": seed}})
    return notebook


def test_runs_differ_in_nothing_after_normalising():
    assert normalise(executed("1a2b3")) == normalise(executed("99fff"))
    kept = normalise(executed("1a2b3"))
    assert "stderr" not in str(kept) and "Converting" not in str(kept) and "<table" in str(kept)


def test_corpus_text_is_withheld_from_the_public_page_only():
    notebook = normalise(executed("1a2b3"))
    before = copy.deepcopy(notebook)
    shown = page(public(notebook), stage("00_corpora"))
    assert "a real person" not in shown and WITHHELD["corpus-text"] in shown
    assert "a real person" in page(notebook, stage("00_corpora"))
    drawn = base64.b64encode(b"<svg><title>a large figure</title></svg>").decode()
    assert drawn in page(notebook, stage("00_corpora")) and drawn not in shown and WITHHELD["in-report"] in shown
    assert notebook == before


def test_page_needs_no_other_host_and_folds_code():
    html = page(normalise(executed("1a2b3")), stage("05_generation"))
    assert "<details" in html and "<script" not in html
    assert 'src="http' not in html and 'href="http' not in html
    assert "04_tuning.html" in html and "06_verification.html" in html


def test_misspelt_parameter_cell_is_found():
    cell = v4.new_code_cell('profile = "demo"\ncell = None', metadata={"tags": ["parameters"]})
    with pytest.raises(UserError, match="cell"):
        check_parameter_cell(v4.new_notebook(cells=[cell]), {"profile", "cells"}, "x.ipynb")


# --- what a stage sees ------------------------------------------------------------------------------


def sections(name: str, **given: object) -> dict[str, object]:
    return {**dict.fromkeys(stage(name).sections), **given}


def test_a_stage_sees_only_what_it_declares():
    params = load_params(ROOT, "demo")
    assert set(parameters_of(stage("01_seeding"), params, "demo")) == {"profile", "corpora", "cells"}
    session = open_session("01_seeding", "demo", ROOT, corpora=None, cells=None)
    assert isinstance(session.params, Params) and session.params.cells == params.cells
    assert session.catalog.progress is say, "downloads must not be printed into a notebook"
    with pytest.raises(Undeclared, match=r"01_seeding: training[\s\S]*pipeline.py"):
        _ = session.params.training
    with pytest.raises(AttributeError):
        _ = session.params.no_such_thing
    with pytest.raises(UserError, match="declares"):
        open_session("01_seeding", "demo", ROOT, corpora=None)
    with pytest.raises(UserError, match="repeats"):
        open_session("01_seeding", "demo", ROOT, corpora=None, cells={"sizes": [10], "repeats": 0})


def test_arms_and_models_have_the_declared_fields_alone():
    params = load_params(ROOT, "demo")
    name = next(name for name, arm in params.arms.items() if arm.writer != "plain" and {"mix", "checks"} <= arm.model_fields_set)
    seen = open_session("05_generation", "demo", ROOT, **sections("05_generation")).params
    assert list(seen.arms) == list(params.arms) and seen.arms[name].writer == params.arms[name].writer
    assert seen.arms[name].mix == Mix() and seen.arms[name].labels == "asked"
    assert [str(origin) for origin in list_origins(seen)] == [str(origin) for origin in list_origins(params)]
    assert seen.models.writer == params.models.writer
    with pytest.raises(Undeclared, match=r"05_generation: models\.encoder"):
        _ = seen.models.encoder
    with pytest.raises(Undeclared):
        _ = seen.learners
    verified = declared(params, stage("06_verification"))
    assert verified.arms[name].checks == params.arms[name].checks and verified.arms[name].mix == Mix()
    assert declared(params, stage("07_training")).arms == params.arms


@pytest.mark.parametrize("item", STAGES, ids=lambda s: s.name)
@pytest.mark.parametrize("profile", ["demo", "smoke", "paper"])
def test_what_is_injected_is_plain_and_says_the_same_as_the_files(item, profile):
    params = load_params(ROOT, profile)
    given = parameters_of(item, params, profile)
    assert json.loads(json.dumps(given)) == given
    injected = open_session(item.name, profile, ROOT, **{key: value for key, value in given.items() if key != "profile"})
    for section in item.sections:
        assert plain(getattr(injected.params, section)) == plain(getattr(declared(params, item), section))
    if item.arm_fields is not None:
        assert all(set(arm) <= set(item.arm_fields) for arm in given["arms"].values())


def test_a_cell_that_is_edited_by_hand_is_checked_as_a_whole():
    arms = {"mine": {"guide": "shap", "writer": "tund"}}
    with pytest.raises(UserError, match="Did you mean tuned"):
        open_session("05_generation", "demo", ROOT, **sections("05_generation", arms=arms))
    given = {**parameters_of(stage("05_generation"), load_params(ROOT, "demo"), "demo")["arms"], "mine": {"guide": "shap"}}
    seen = open_session("05_generation", "demo", ROOT, **sections("05_generation", arms=given)).params
    assert seen.arms["mine"].guide == "shap"


def test_starting_a_stage_loads_no_heavy_library():
    code = """
import sys
import emosynth.cli
from pathlib import Path
from emosynth.params import load_params
from emosynth.runner import run_stage
load_params(Path("."), "demo")
print([name for name in ("torch", "transformers", "datasets", "shap", "xgboost", "openvino", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# --- running ----------------------------------------------------------------------------------------


def run_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> nbformat.NotebookNode:
    root = tmp_path / "repo"
    (root / "notebooks").mkdir(parents=True)
    cells = [v4.new_code_cell('profile = "demo"\ncells = None', metadata={"tags": ["parameters"]}), v4.new_code_cell(source)]
    nbformat.write(v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), root / "notebooks" / "09_try.ipynb")
    monkeypatch.setenv("EMOSYNTH_CACHE", str(root / ".cache"))
    return execute._execute(Paths(root, "demo"), Stage("09_try", "a trial", ("cells",), (), ""), load_params(ROOT, "demo"))


def test_values_are_injected_and_the_kernel_is_this_interpreter(tmp_path, monkeypatch):
    done = run_cell(tmp_path, monkeypatch, "import sys\nprint(cells['repeats'], sys.executable)")
    assert f"{load_params(ROOT, 'demo').cells.repeats} {sys.executable}" in str(done.cells[-1].outputs)


def test_a_users_error_keeps_its_form_and_names_keys_not_flags(tmp_path, monkeypatch):
    source = (
        "from emosynth.errors import UserError\n"
        "raise UserError('There is no column txet.', where='a.csv: header', lines=['one', 'two'], remedy='Did you mean text? --text text. Name it.')"
    )
    with pytest.raises(NotebookFailed) as failure:
        run_cell(tmp_path, monkeypatch, source)
    said = str(failure.value).splitlines()
    assert said[0] == "Cell 3 of notebooks/09_try.ipynb failed: UserError: There is no column txet."
    assert said[1:3] == ["    one", "    two"] and said[3].startswith("  where:  a.csv: header; partial notebook ")
    assert said[4].startswith("  remedy: Did you mean text? corpora.custom.text: text. Name it. Then run the same command again")


@pytest.mark.parametrize(
    ("flag", "key"),
    [
        ("leave them out: --class-names '{\"a\": null}' (corpora.custom.class_names).", "leave them out: corpora.custom.class_names: {\"a\": null}."),
        ("(corpora.conflicts, --conflicts: soft)", "(corpora.conflicts: soft)"),
        ("shares (--fractions 0.5,0.1,0.4, or corpora: {fractions: [0.5, 0.1, 0.4]})", "shares (corpora: {fractions: [0.5, 0.1, 0.4]})"),
        ("Run: python -m emosynth pipeline --profile a", "Run: python -m emosynth pipeline --profile a"),
    ],
)  # fmt: skip
def test_flags_of_check_are_keys_in_a_run(flag, key):
    from emosynth.runner.execute import as_keys

    assert as_keys(flag) == key


def test_failure_says_cell_error_and_places_in_three_lines(tmp_path, monkeypatch):
    source = "from emosynth.errors import UserError\nraise UserError('no such thing', where='here', remedy='do that')"
    with pytest.raises(NotebookFailed) as failure:
        run_cell(tmp_path, monkeypatch, source)
    said = str(failure.value)
    assert "Cell 3 of notebooks/09_try.ipynb failed: UserError: no such thing" in said and "remedy: do that" in said
    assert "Traceback" not in said and ".partial.ipynb" in said
    log = tmp_path / "repo" / "data" / "demo" / "logs"
    traceback = (log / "09_try.log").read_text()
    assert (log / "09_try.partial.ipynb").exists() and "raise UserError" in traceback and "x1b" not in traceback, (
        "no colour, no code for one"
    )


def test_notebook_whose_process_dies_is_started_again(tmp_path, monkeypatch):
    mark = tmp_path / "died"
    source = (
        f"import os, pathlib\nmark = pathlib.Path({str(mark)!r})\nif not mark.exists():\n    mark.touch()\n    os._exit(1)\nprint('lives')"
    )
    done = run_cell(tmp_path, monkeypatch, source)
    assert "lives" in str(done.cells[-1].outputs) and mark.exists()
    assert "started again" in (tmp_path / "repo" / "data" / "demo" / "logs" / "09_try.log").read_text()


def test_notebook_whose_process_always_dies_ends_in_plain_words(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "LIVES", 2)
    with pytest.raises(NotebookFailed, match="died 2 times"):
        run_cell(tmp_path, monkeypatch, "import os\nos._exit(1)")


def test_notebook_whose_process_dies_before_it_answers_ends_in_plain_words(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "LIVES", 2)
    monkeypatch.setattr(execute.sys, "executable", "/bin/false")
    with pytest.raises(NotebookFailed, match="died 2 times: Kernel died before replying"):
        run_cell(tmp_path, monkeypatch, "print('never')")
    assert "started again" in (tmp_path / "repo" / "data" / "demo" / "logs" / "09_try.log").read_text()


def test_where_a_stream_is_cut_makes_no_difference():
    """One of two equal cold runs printed two lines in two pieces."""

    def book(*pieces):
        cell = nbformat.v4.new_code_cell("print()")
        cell.outputs = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in pieces]
        return normalise(nbformat.v4.new_notebook(cells=[cell]))

    whole = book(("stdout", "a\nb\n"))
    assert (
        book(("stdout", "a"), ("stdout", "\nb"), ("stdout", "\n")) == whole == book(("stdout", "a\n"), ("stderr", "x"), ("stdout", "b\n"))
    )


@pytest.mark.parametrize("prepared", [False, True])
def test_an_ending_kernel_says_nothing_of_its_own_tasks(prepared):
    source = "from IPython.core.interactiveshell import InteractiveShell\nInteractiveShell.instance()\n"
    source += "from emosynth.display import prepare_notebook\nprepare_notebook()\n" * prepared
    source += "import asyncio\nasyncio.new_event_loop().create_task(asyncio.sleep(999))"
    ended = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    assert ("was destroyed" in ended.stderr) is not prepared


def test_progress_goes_to_the_runner_not_into_the_output(tmp_path, monkeypatch, capsys):
    log = tmp_path / "log"
    monkeypatch.setenv("EMOSYNTH_PROGRESS", str(log))
    progress = Progress(4, "work", every=0)
    progress.skip(2)
    progress.advance(2)
    assert "4/4 rows, 2 already there" in log.read_text()
    assert capsys.readouterr() == ("", "")


# --- what reaches a person --------------------------------------------------------------------------


def test_every_warning_reaches_terminal_log_record_and_the_last_lines(tmp_path, monkeypatch, capsys):
    source = """
import logging, warnings
from emosynth.progress import catch_warnings, say, warn
catch_warnings()
say("nothing to see")
warn("Damaged lines are left out: 3 of 99")
logging.getLogger("emosynth.models.lm.server").warning("%s has no /completions", "the server")
logging.getLogger("elsewhere").warning("not ours")
warnings.warn_explicit("a piece of mine has a doubt", UserWarning, "my.py", 1, module="emosynth_pieces_my_1234")
warnings.warn_explicit("a library is deprecated", DeprecationWarning, "lib.py", 1, module="lib")
warnings.warn_explicit("a library has a doubt", UserWarning, "lib.py", 2, module="lib")
"""
    done = run_cell(tmp_path, monkeypatch, source)
    root = tmp_path / "repo"
    paths = Paths(root, "demo")
    said = ["Damaged lines are left out: 3 of 99", "the server has no /completions", "a piece of mine has a doubt"]
    shown, log = capsys.readouterr().out, (paths.logs / "09_try.log").read_text()
    notebook = str(done.cells[-1].outputs)
    assert all(f"warning: {line}" in place for line in said for place in (shown, log, notebook))
    assert write_record(paths, "09_try", 12.3, 400.0) == said
    assert read_record(paths.report / "timings.js")[-1]["warnings"] == said
    last = last_lines(paths, "09_try", 12.3, said)
    assert "3 warnings" in last[0] and "data/demo/logs/09_try.log" in last[0] and all(line in "\n".join(last) for line in said)
    assert "no warnings" in last_lines(paths, "09_try", 12.3, [])[0]


def warnings_by_other_ways(source: str) -> list[int]:
    """Return the lines of a source that warn past `emosynth.progress.warn`."""

    def other(call: ast.Call) -> bool:
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        said = ast.unparse(call.args[0]).lower().lstrip("f'\"") if call.args else ""
        if name == "say":
            return len(call.args) != 1 or bool(call.keywords) or said.startswith("warning")
        logs = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in ("log", "logger", "logging", "warnings")
        return logs and name in ("warn", "warning", "error", "critical", "exception", "warn_explicit")

    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and other(node)]


def test_there_is_one_way_to_warn():
    files = sorted((ROOT / "src").rglob("*.py"))
    assert len(files) > 100
    found = {path.name: lines for path in files if (lines := warnings_by_other_ways(path.read_text(encoding="utf-8")))}
    assert list(found) == ["progress.py"] and len(found["progress.py"]) == 1, "warn itself"
    for other in (
        "say('x', 'warning')",
        "say('x', kind='warning')",
        "say('warning: x')",
        "say(f'Warning: {x}')",
        "log.warning('x')",
        "warnings.warn('x')",
    ):
        assert warnings_by_other_ways(other) == [1], other
    for sound in (
        "warn('x')",
        "say('x')",
        "say(f'{x}: y')",
        "notes.warn('x')",
        "log.info('x')",
        "warnings.catch_warnings()",
        "parser.error('x')",
    ):
        assert not warnings_by_other_ways(sound), sound


def test_the_record_keeps_the_rows_of_other_stages_and_no_place_of_this_machine(tmp_path):
    paths = Paths(tmp_path, "demo")
    paths.report.mkdir(parents=True)
    shutil.copy(ROOT / "reports" / "demo" / "timings.js", paths.report)
    before = read_record(paths.report / "timings.js")
    assert [row["stage"] for row in before] == [item.name for item in STAGES]
    paths.logs.mkdir(parents=True)
    (paths.logs / "11_figures.log").write_text(
        f"going on\nwarning: {tmp_path}/.cache/x is damaged\nwarning: {tmp_path}/.cache/x is damaged\n"
    )
    write_record(paths, "11_figures", 1.0, 2.0)
    after = read_record(paths.report / "timings.js")
    assert after[:-1] == before[:-1] and after[-1]["warnings"] == [".cache/x is damaged"]
    (paths.report / "timings.js").write_text('window.EMOSYNTH_TIMINGS = [{"stage": "03_old", "seconds": 1}];')
    write_record(paths, "00_corpora", 1.0, 2.0)
    assert [row["stage"] for row in read_record(paths.report / "timings.js")] == ["03_old", "00_corpora"]
    (paths.report / "timings.js").write_text("damaged")
    write_record(paths, "00_corpora", 1.0, 2.0)
    assert len(read_record(paths.report / "timings.js")) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_key_reaches_no_file(tmp_path, monkeypatch, capsys, fails):
    key = "sk-A1/b+2&c3=d4"
    monkeypatch.setenv("EMOSYNTH_API_KEY", key)
    source = """
import base64, os, urllib.parse
from emosynth.progress import say
key = os.environ["EMOSYNTH_API_KEY"]
forms = [key, urllib.parse.quote(key, safe=""), urllib.parse.quote(key).lower(), base64.b64encode(key.encode()).decode(),
         base64.b64encode(f"user:{key}".encode()).decode(), base64.urlsafe_b64encode(f"me:{key}".encode()).decode(), key.encode().hex()]
for form in forms:
    print("it came back as", form)
    say("it came back as " + form)
""" + ("raise ValueError(' '.join(forms))" if fails else "")
    if fails:
        with pytest.raises(NotebookFailed) as error:
            run_cell(tmp_path, monkeypatch, source)
        done = str(error.value)
    else:
        done = nbformat.writes(run_cell(tmp_path, monkeypatch, source))
    assert "[key]" in done
    files = [path for path in (tmp_path / "repo" / "data").rglob("*") if path.is_file()]
    everything = done + capsys.readouterr().out + "".join(path.read_text() for path in files)
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    forms = [
        key,
        json.dumps(key)[1:-1],
        quote(key, safe=""),
        quote(key, safe="").lower(),
        base64.b64encode(key.encode()).decode(),
        basic[8:-4],
    ]
    assert files and not [form for form in [*forms, key.encode().hex()] if form in everything]


def written(secret: str) -> dict[str, str]:
    once, basic = quote(secret, safe=""), base64.b64encode(f"user:{secret}".encode()).decode()
    return {
        "percent": once, "twice": quote(once, safe=""), "thrice": quote(quote(once, safe=""), safe=""), "JSON": secret.replace("/", "\\/"),
        "unicode": "".join(f"\\u{ord(char):04x}" for char in secret), "JSON in JSON": json.dumps(json.dumps(secret)),
        "entities": "".join(f"&#{ord(char)};" for char in secret), "hexadecimal entities": "".join(f"&#x{ord(char):X};" for char in secret),
        "HTML in HTML": secret.replace("&", "&amp;amp;"), "bytes": "".join(f"\\x{byte:02x}" for byte in secret.encode()),
        "hexadecimal": secret.encode().hex(":"), "base64": basic, "base64 in an address": quote(basic, safe=""),
        "base64 twice": base64.b64encode(basic.encode()).decode(),
    }  # fmt: skip


@pytest.mark.parametrize("how", written(""))
@pytest.mark.parametrize("variable", ["EMOSYNTH_API_KEY", "UV_INDEX_URL", "GIT_PROXY", "user"])
def test_a_secret_is_found_in_every_encoding(monkeypatch, variable, how):
    secret = "p/w+X1=a&b-long"
    address = f"https://{quote(secret, safe='')}@host/simple" if variable == "user" else f"https://me:{quote(secret, safe='')}@host/simple"
    monkeypatch.setenv("PIP_INDEX_URL" if variable == "user" else variable, secret if variable == "EMOSYNTH_API_KEY" else address)
    form = written(secret)[how]
    said = redact(f"it said {form}, no more")
    assert form not in said and "[key]" in said and said.endswith(", no more")


@pytest.mark.parametrize("key", ["x", "text", "EMPTY", "output", "source"])
def test_a_key_that_is_a_word_spoils_no_notebook(tmp_path, monkeypatch, key):
    monkeypatch.setenv("EMOSYNTH_API_KEY", key)
    done = run_cell(tmp_path, monkeypatch, "print('an example of it')")
    assert done.cells[-1].outputs[0].text == "an example of it\n"


def test_who_stands_in_an_address_is_cut_whole():
    for bad in (
        "http://me:p@ss@host/v1",
        "http://me:p/ss@host/v1",
        "http://me:p#s?s@host",
        "http%3A%2F%2Fme%3Apss%40host",
        "http:\\/\\/me:pss@host",
    ):
        assert exposed(bad) or ":\\" in bad, bad
        assert "ss" not in redact(f"to {bad}") and "host" in redact(f"to {bad}"), bad
    for bad in ("https://h/v1#access_token=abc", "https://h/v1?api%5Fkey=abc"):
        assert exposed(bad) and "abc" not in redact(bad), bad


def test_what_an_address_gives_away_is_found_and_other_addresses_are_not():
    for bad in ("http://me:pw@host/v1", "https://tok@host", "http://h/v1?api_key=abc", "http://h/?access_token=x", "http://u%3Ap@h/"):
        assert exposed(bad) and redact(bad) != bad, bad
    for good in ("http://127.0.0.1:8000/v1", "https://host/a@b", "http://h/?page=2", "owner/name@revision", "me@host", ""):
        assert not exposed(good) and redact(good) == good, good
    assert (
        redact("via http://me:hunter22@proxy:80 and Authorization: Basic bWU6aHVudGVyMjI=")
        == "via http://[who]@proxy:80 and Authorization: Basic [key]"
    )


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells what processes share")
def test_memory_that_processes_share_counts_once(tmp_path):
    """Two workers that map one model of 200 MB need 200 MB for it, not 400."""
    file = tmp_path / "model"
    file.write_bytes(bytes(200_000_000))
    read = f"import mmap, sys; f = open({str(file)!r}, 'rb'); m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); sum(m[::4096]); print(flush=True); sys.stdin.read()"
    with _memory_watch() as peak:
        readers = [subprocess.Popen([sys.executable, "-c", read], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
        try:
            for reader in readers:
                reader.stdout.readline()
            there = [psutil.Process(), *psutil.Process().children(recursive=True)]
            apart = sum(process.memory_info().rss for process in there) / 1e6
            deadline = time.monotonic() + 20
            while peak() < apart - 300 and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            for reader in readers:
                reader.communicate()
    assert 200 < peak() < apart - 150
