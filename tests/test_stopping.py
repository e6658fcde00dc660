"""How a stage ends before its time: Ctrl-C, a DVC that dies, a second run; and what is swept when the next one starts."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest

from emosynth import cli
from emosynth.errors import Stopped, UserError
from emosynth.paths import Paths
from emosynth.pipeline import STAGES, Stage, stage
from emosynth.runner import stopping
from emosynth.runner.stopping import alone, kernel_folder, stoppable, sweep, sweep_pages

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parent.parent
TRIAL = stage("01_seeding")
DRIVER = """
import sys
from emosynth.entry import run
from emosynth.runner import execute

execute.stale_pipelines = lambda *given: []
sys.argv[1:] = ["--root", sys.argv[1], "run", "01_seeding"]
run()
"""
DVC = "import subprocess, sys; subprocess.run(sys.argv[1:])"
SLEEPS = "import os, pathlib, time\npathlib.Path('started').write_text(str(os.getpid()))\ntime.sleep(600)"


class Repo:
    """A root with the notebook of one stage, which can be chosen."""

    def __init__(self, root: Path) -> None:
        self.root, self.paths, self.runs = root, Paths(root, "demo"), []
        (root / "notebooks").mkdir(parents=True)
        (root / "data").mkdir()
        for name in ("params.yaml", *(f"data/{path.name}" for path in (ROOT / "data").glob("*.yaml"))):
            shutil.copy(ROOT / name, root / name)
        (root / "driver.py").write_text(DRIVER)
        (root / "dvc").write_text(DVC)

    def notebook(self, source: str) -> None:
        v4 = nbformat.v4
        cells = [
            v4.new_code_cell('profile = "demo"\ncorpora = None\ncells = None', metadata={"tags": ["parameters"]}),
            v4.new_code_cell(source),
        ]
        nbformat.write(
            v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), self.root / "notebooks" / "01_seeding.ipynb"
        )

    def start(self, *before: str, **more: str) -> subprocess.Popen[str]:
        env = {**os.environ, "EMOSYNTH_CACHE": str(self.root / ".cache"), **more}
        env.pop("DVC_STAGE", None) if "DVC_STAGE" not in more else None
        command = [*before, sys.executable, "driver.py", str(self.root)]
        run = subprocess.Popen(
            command, cwd=self.root, env=env, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.runs.append(run)
        return run

    def started(self, run: subprocess.Popen[str]) -> psutil.Process:
        """Wait until the notebook runs; returns its process."""
        mark = self.root / "started"
        until(lambda: run.poll() is not None or (mark.exists() and mark.read_text()), 60)
        assert run.poll() is None, run.communicate()
        kernel = psutil.Process(int(mark.read_text()))
        mark.unlink()
        return kernel


def until(reached: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "this has not come about"
        time.sleep(0.1)


def ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repo]:
    made = Repo(tmp_path / "repo")
    made.notebook(SLEEPS)
    yield made
    for run in made.runs:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


# --- whole runs -------------------------------------------------------------------------------------


def test_ctrl_c_is_one_line_and_130_and_the_next_run_goes_through(repo: Repo) -> None:
    run = repo.start()
    kernel = repo.started(run)
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 130
    assert len(err.strip().splitlines()) == 1 and err.startswith("stopped: 01_seeding of demo") and "kept" in err
    assert "python -m emosynth run 01_seeding --profile demo" in err and "Traceback" not in out + err
    until(lambda: ended(kernel), 5)
    assert not kernel_folder(repo.paths, TRIAL).exists()
    repo.notebook("print('well')")
    again = repo.start()
    assert again.wait(60) == 0, again.communicate()
    assert (repo.paths.report / "notebooks" / "01_seeding.html").is_file()


@pytest.mark.parametrize("start", ["module", "script"])
@pytest.mark.parametrize("module", ["emosynth.cli", "emosynth.paths", "argparse"])
def test_ctrl_c_while_a_command_is_only_read_in_is_one_line(module: str, start: str) -> None:
    name, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["emosynth"].split(":")
    begin = "runpy.run_module('emosynth', run_name='__main__')" if start == "module" else f"from {name} import {function}; {function}()"
    code = f"""
import runpy, sys
sys.modules.pop("argparse", None)

class Stop:
    def find_spec(self, name, *more):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Stop())
sys.argv = ["emosynth", "params"]
{begin}
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (run.returncode, run.stderr) == (130, "stopped; what was written before is whole\n")


BUSY = {
    "outside of Python": "hashlib.pbkdf2_hmac('sha256', b'', b'', 2 * 10**9)",  # as OpenVINO: no handler is called before it returns
    "in an exec": 'exec("import time; time.sleep(60)")',  # Python would die of the signal at its end
    "threads are left": "threading.Thread(target=time.sleep, args=(60,)).start() or time.sleep(60)",
    "in a pool": "list(parallel.in_order(waits, range(4), 2, print))",
}


@pytest.mark.parametrize("what", BUSY)
def test_ctrl_c_ends_what_computes_within_two_seconds(tmp_path: Path, what: str) -> None:
    driver = tmp_path / "driver.py"
    driver.write_text(
        f"""
import hashlib, threading, time
from emosynth import cli, entry, parallel

def waits(task, progress):
    print("begun", flush=True)
    hashlib.pbkdf2_hmac('sha256', b'', b'', 2 * 10**9)

def main():
    {what == "in a pool" or 'print("begun", flush=True)'}
    {BUSY[what]}

if __name__ == "__main__":
    cli.main = main
    entry.run()
"""
    )
    run = subprocess.Popen([sys.executable, str(driver)], start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None and run.stdout.readline() == "begun\n"
    time.sleep(0.2)
    children, since = psutil.Process(run.pid).children(recursive=True), time.monotonic()
    try:
        os.killpg(run.pid, signal.SIGINT)
        run.wait(20)
        took = time.monotonic() - since
        until(lambda: all(map(ended, children)), 10)
        assert (run.returncode, run.stderr.read() if run.stderr else "") == (130, "stopped; what was written before is whole\n")
        assert took < 4, "two seconds, and as many for a machine with other work"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


def test_a_request_to_end_is_not_taken_for_a_notebook_that_died(repo: Repo) -> None:
    run = repo.start()
    repo.started(run)
    os.kill(run.pid, signal.SIGTERM)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 128 + signal.SIGTERM and err.startswith("stopped: "), (out, err)
    assert "started again" not in (repo.paths.logs / "01_seeding.log").read_text()


def test_a_stage_ends_with_the_dvc_that_runs_it(repo: Repo) -> None:
    shell = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]  # DVC has a shell between
    run = repo.start(sys.executable, "dvc", *shell, DVC_STAGE="01_seeding")
    kernel = repo.started(run)
    runner = kernel.parent()
    assert runner is not None and runner.pid != run.pid
    run.kill()
    run.wait()
    until(lambda: ended(runner) and ended(kernel), 20)


def test_a_stage_that_was_started_by_hand_outlives_its_shell(repo: Repo) -> None:
    run = repo.start(sys.executable, "dvc")  # the name alone does it not: DVC says that it runs a stage
    kernel = repo.started(run)
    runner = kernel.parent()
    assert runner is not None
    run.kill()
    run.wait()
    time.sleep(2)
    assert not ended(runner) and not ended(kernel)
    runner.terminate()
    until(lambda: ended(runner) and ended(kernel), 20)


def test_a_second_run_is_kept_out_and_a_killed_one_keeps_nobody_out(repo: Repo) -> None:
    run = repo.start()
    kernel = repo.started(run)
    second = repo.start()
    out, err = second.communicate(timeout=60)
    assert second.returncode == 1 and f"01_seeding of the profile demo is under way already (process {run.pid})" in err, (out, err)
    assert "Wait until that run has ended" in err and not ended(kernel)
    run.kill()
    run.wait()
    until(lambda: ended(kernel), 10)
    assert kernel_folder(repo.paths, TRIAL).exists(), "a killed run cannot tidy up"
    left = repo.paths.seeds / ".rows.parquet.x.part"
    left.parent.mkdir()
    left.touch()
    repo.notebook("print('well')")
    third = repo.start()
    assert third.wait(60) == 0, third.communicate()
    assert not kernel_folder(repo.paths, TRIAL).exists() and not left.exists()


@pytest.mark.parametrize(
    ("number", "what"), [(errno.EROFS, "cannot be written"), (errno.ENOSPC, "disk is full"), (errno.EACCES, "cannot be written")]
)
def test_a_place_that_cannot_be_written_is_an_error_of_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, what: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number), "reports/demo/figures/answer.png")

    monkeypatch.setitem(cli._COMMANDS, "figure", fail)
    assert cli.main(["figure", "answer"]) == 1
    said = capsys.readouterr().err
    assert what in said and "  where:  reports/demo/figures/answer.png" in said and "remedy" in said
    monkeypatch.setitem(cli._COMMANDS, "figure", lambda *_: [][1])  # anything else is a fault of the code, and is shown as one
    with pytest.raises(IndexError):
        cli.main(["figure", "answer"])


# --- the parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", STAGES, ids=lambda s: s.name)
def test_every_stage_has_a_lock_and_it_is_its_own(tmp_path: Path, item: Stage) -> None:
    paths = Paths(tmp_path, "demo")
    with alone(paths, item):
        with pytest.raises(UserError, match=f"{item.name} of the profile demo is under way"), alone(paths, item):
            pass
        with alone(Paths(tmp_path, "other"), item):
            pass
    with alone(paths, item):
        pass


def test_what_is_whole_is_not_swept(tmp_path: Path) -> None:
    paths, item = Paths(tmp_path, "demo"), stage("11_figures")
    whole = [
        paths.report / "index.html",
        paths.report / "figures" / "a.svg",
        paths.notebooks / "11_figures.ipynb",
        paths.logs / "11_figures.log",
    ]
    others = [paths.notebooks / ".05_generation.ipynb.x.part", paths.data / "trials" / ".trials.parquet.x.part"]
    mine = [paths.report / ".index.html.x.part", paths.report / "figures" / ".a.svg.x.part", paths.notebooks / ".11_figures.ipynb.x.part"]
    for path in [*whole, *others, *mine]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (paths.report / ".results.part" / "trials").mkdir(parents=True)
    sweep(paths, item)
    assert all(path.exists() for path in [*whole, *others]), "another stage may be at work on its own"
    assert not any(path.exists() for path in mine) and not (paths.report / ".results.part").exists()


def test_pages_of_steps_that_are_no_more_are_swept(tmp_path: Path) -> None:
    paths = Paths(tmp_path, "demo")
    for folder in (paths.notebooks, paths.report / "notebooks"):
        folder.mkdir(parents=True)
        for name in ("05_generation.html", "11_transfer.html"):
            (folder / name).touch()
    sweep_pages(paths)
    assert [path.name for path in sorted((paths.report / "notebooks").glob("*"))] == ["05_generation.html"]
    assert [path.name for path in sorted(paths.notebooks.glob("*"))] == ["05_generation.html"]


@pytest.mark.parametrize("make", [False, True])
def test_how_to_go_on_names_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: bool) -> None:
    monkeypatch.setenv("MAKELEVEL", "1") if make else monkeypatch.delenv("MAKELEVEL", raising=False)
    command = "make reproduce PROFILE=mine" if make else r"dvc repro profiles/mine/dvc.yaml"
    monkeypatch.setenv("DVC_STAGE", "profiles/mine/dvc.yaml:05_generation")
    monkeypatch.setattr(stopping, "_started_by", list)
    monkeypatch.setattr(stopping, "_end_children", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match=f"to go on: {command}$") as stopped, stoppable(Paths(tmp_path, "mine"), TRIAL):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert stopped.value.status == 143 and signal.getsignal(signal.SIGTERM) is before
