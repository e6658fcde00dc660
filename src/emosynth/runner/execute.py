"""Execute one stage's notebook and leave its executed copy, its page, its log and its timing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from emosynth.errors import UserError
from emosynth.escape import terminal
from emosynth.files import disk_errors
from emosynth.params import Corpora, Params, UserCorpus, load_params
from emosynth.paths import Paths, repro
from emosynth.pipeline import Stage, stale_pipelines
from emosynth.pipeline import stage as find_stage
from emosynth.progress import AFTER
from emosynth.runner.record import ahead, last_lines, short, write_record
from emosynth.runner.render import normalise, publish
from emosynth.runner.stopping import alone, kernel_folder, stoppable, sweep_pages
from emosynth.secrets import redact, redact_json
from emosynth.session import declared, plain
from emosynth.store import check_cache

LIVES = 3
"""How often a notebook is started whose process dies: of a hang (see `emosynth.models.lm.openvino`), or of want of memory."""


class NotebookDied(Exception):
    """The notebook's process died as often as it may."""


class NotebookFailed(UserError):
    """A cell raised; says which, what, and where the partial notebook and the log are."""


def run_stage(root: Path, name: str, profile: str) -> None:
    """Run a stage.

    Parameters are validated before anything starts. On success the executed notebook lies in
    ``data/<profile>/notebooks``, its public page in ``reports/<profile>/notebooks``.

    Raises
    ------
    UserError
        If parameters or pipeline files are not valid, the stage is under way already, what it reads is not there, or a cell fails.
    Stopped
        If it is told to stop.
    """
    paths = Paths(root, profile)
    item = find_stage(name)
    params = load_params(root, profile)
    stale = stale_pipelines(root, profile)
    if stale:
        raise UserError(
            "The pipeline file does not fit the code, the notebooks or the parameters any more.",
            where=", ".join(str(path.relative_to(root)) for path in stale),
            remedy="Run: python -m emosynth pipeline",
        )
    if not item.makes:
        _check_inputs(paths, item)
    started = time.monotonic()
    follows = ahead(paths, item.name)
    if follows:
        print(f"{item.name}: {follows[2]}", flush=True)
    with stoppable(paths, item), alone(paths, item):
        with _memory_watch() as peak:
            notebook = _execute(paths, item, params, {AFTER: f"{follows[0]:.0f} {follows[1]:.0f}" if follows else ""})
        publish(notebook, paths, item)
        if not item.makes:
            sweep_pages(paths)
        seconds = time.monotonic() - started
        warnings = write_record(paths, item.name, seconds, peak())
    print("\n".join(last_lines(paths, item.name, seconds, warnings)), flush=True)


def _check_inputs(paths: Paths, item: Stage) -> None:
    """Let no report that is published be replaced by one of less: every step must have left its results, run here or restored."""
    lacking = [name for name in item.reads if not (paths.data / name).is_dir()]
    if lacking:
        raise UserError(
            f"The report is made of the results of every step, and there are none of {', '.join(lacking)}. What is published stays as it is.",
            where=short(paths.data, paths.root),
            remedy=f"Run: {repro(profile=paths.profile)}, or, where results are published: python -m emosynth restore --profile {paths.profile}",
        )


def parameters_of(item: Stage, params: Params, profile: str) -> dict[str, Any]:
    """Return what papermill injects: the profile and the declared parameters, as plain values."""
    seen = declared(params, item)
    values = {section: plain(getattr(seen, section)) for section in item.sections}
    if "arms" in values and item.arm_fields is not None:
        values["arms"] = {name: {key: arm[key] for key in arm if key in item.arm_fields} for name, arm in values["arms"].items()}
    return {"profile": profile, **values}


def check_parameter_cell(notebook: Any, names: set[str], where: str) -> None:
    """Fail if the notebook's parameter cell does not declare exactly ``names``.

    papermill accepts an unknown parameter silently; a misspelt one would run the default.
    """
    import ast

    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    declared: set[str] = set()
    for cell in cells:
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.Assign):
                declared.update(target.id for target in node.targets if isinstance(target, ast.Name))
    if len(cells) != 1 or declared != names:
        raise UserError(
            f"The parameter cell declares {sorted(declared)}, the stage {sorted(names)}.",
            where=where,
            remedy="Make the notebook's parameter cell and src/emosynth/pipeline.py agree.",
        )


def _execute(paths: Paths, item: Stage, params: Params, more: Mapping[str, str] | None = None) -> Any:
    # jsonschema, with which notebooks are read, looks for a grammar of internationalised addresses, which takes a second to read, and no
    # notebook has such an address. None: an import of it is an ImportError, as where it is not installed.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    source = paths.root / "notebooks" / f"{item.name}.ipynb"
    parameters = parameters_of(item, params, paths.profile)
    check_parameter_cell(nbformat.read(source, as_version=4), set(parameters), str(source.relative_to(paths.root)))
    check_cache(paths.cache)
    log, partial, kernel = paths.logs / f"{item.name}.log", paths.logs / f"{item.name}.partial.ipynb", kernel_folder(paths, item)
    keys = [os.environ.get(model.api_key_env, "") for model in (params.models.writer, *params.models.others.values())]
    with disk_errors(log):
        kernel.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")
    try:
        with disk_errors(partial), _environment(kernel, log, more or {}), _follow(log):
            for left in reversed(range(LIVES)):
                try:
                    executed = papermill.execute_notebook(
                        str(source),
                        str(partial),
                        parameters=parameters,
                        kernel_name="emosynth",
                        cwd=str(paths.root),
                        progress_bar=False,
                        log_output=False,
                        start_timeout=120,
                    )
                    break
                except RuntimeError as error:  # a process that dies at work (nbclient's DeadKernelError), or before it has answered once
                    if not left:
                        raise NotebookDied(str(error)) from None
                    with log.open("a", encoding="utf-8") as file:
                        file.write("the notebook's process ended without a word; it is started again, finished work is kept\n")
    except NotebookDied as error:
        raise NotebookFailed(
            f"The process of notebooks/{item.name}.ipynb died {LIVES} times: {redact(str(error), *keys)}",
            where=f"partial notebook {short(partial, paths.root)}, log {short(log, paths.root)}",
            remedy="Often the memory was full: close other programs, or lower models.writer.batch. The same command goes on; finished work is kept.",
        ) from None
    except PapermillExecutionError as error:
        # only now: what is in the log while the notebook runs is shown on the terminal
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(terminal(redact("\n".join(error.traceback), *keys), lines=True) + "\n")
        kind, places = error.ename.rpartition(".")[2], f"partial notebook {short(partial, paths.root)}, log {short(log, paths.root)}"
        what, lines, where, remedy = (
            _parts(redact(error.evalue, *keys)) if kind == "UserError" else (redact(error.evalue, *keys), [], "", "")
        )
        raise NotebookFailed(
            f"Cell {error.exec_count} of notebooks/{item.name}.ipynb failed: {kind}: {what}",
            where=f"{where}; {places}" if where else places,
            remedy=f"{remedy or 'Mend the cause.'} Then run the same command again; finished work is kept."
            if kind == "UserError"
            else "The log has the traceback.",
            lines=lines,
        ) from None
    finally:
        shutil.rmtree(kernel, ignore_errors=True)
        if partial.exists():
            with contextlib.suppress(OSError):
                partial.write_text(redact_json(partial.read_text(encoding="utf-8"), *keys), encoding="utf-8")
    partial.unlink(missing_ok=True)
    return nbformat.reads(redact_json(nbformat.writes(normalise(executed)), *keys), as_version=4)


def _parts(message: str) -> tuple[str, list[str], str, str]:
    """Return what the message of a `UserError` says: what is wrong, the lines of it, where, and the remedy with keys in the place of flags."""
    what, *rest = message.split("\n")
    told = {"where": "", "remedy": ""}
    lines = []
    for line in rest:
        found = re.match(r"  (where|remedy):\s+(.*)", line)
        if found:
            told[found[1]] = found[2]
        else:
            lines.append(line.strip())
    return as_keys(what), [as_keys(line) for line in lines], told["where"], as_keys(told["remedy"])


def as_keys(said: str) -> str:
    """Return what is said of a user's file with the keys of a profile in the place of the flags of ``check`` and ``try``, which a run has not."""
    keys = {name: f"corpora.custom.{name}" for name in UserCorpus.model_fields} | {name: f"corpora.{name}" for name in Corpora.model_fields}

    def key(found: re.Match[str]) -> str:
        name = keys.get(found[1].replace("-", "_"))
        value = found[2] or ""
        value = value[1:-1] if value.startswith("'") else value
        return found[0] if name is None else f"{name}: {value}" if value else name

    # where the key stands beside its flag it is not said twice
    said = re.sub(r"--fractions [\d.,]+, or |, --conflicts\b| \(--(?:missing drop|conflicts)\)", "", said)
    said = re.sub(r"(--class-names (?:'[^']*'|\S+)) \(corpora\.custom\.class_names\)", r"\1", said)
    return re.sub(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)(?: ('[^']*'|[^\s;,)(]*[^\s;,.)(]))?", key, said)


@contextmanager
def _environment(folder: Path, log: Path, more: Mapping[str, str]) -> Iterator[None]:
    """Give the kernel this interpreter, a quiet and deterministic surrounding, and the progress file."""
    kernel = folder / "kernels" / "emosynth"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"]
    argv.append("--InteractiveShell.colors=nocolor")  # tracebacks are read in the log
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "emosynth", "language": "python"}), encoding="utf-8")
    values = {
        "JUPYTER_RUNTIME_DIR": str(folder),
        "JUPYTER_PATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")])),
        "EMOSYNTH_PROGRESS": str(log),
        "PYTHONHASHSEED": "0",
        # Threads that spin while they wait bring a machine with other work to a standstill; results are the same.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
        "PYTHONWARNINGS": "ignore",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **more,
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _follow(log: Path) -> Iterator[None]:
    """Show the lines that the kernel adds to ``log`` while the notebook runs."""
    finished = threading.Event()

    def follow() -> None:
        with log.open(encoding="utf-8") as file:
            while True:
                last = finished.is_set()
                for line in file.read().splitlines():
                    print(f"  {line}", flush=True)
                if last:
                    return
                finished.wait(0.5)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join(timeout=5)


@contextmanager
def _memory_watch() -> Iterator[Any]:
    """Watch the memory that this process and its children hold; yields a function for the peak in MB.

    What they share, libraries above all, counts once where the system tells it (Linux: the proportional set size, PSS), else once each.
    """
    finished = threading.Event()
    peak = 0

    def watch() -> None:
        nonlocal peak
        me = psutil.Process()
        while not finished.is_set():
            there = [me, *me.children(recursive=True)]
            if sum(_held(process, "rss") for process in there) > peak:  # cheap to ask, and never less than the other
                peak = max(peak, sum(_held(process, "pss") for process in there))
            finished.wait(0.5)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: peak / 1e6
    finally:
        finished.set()
        thread.join(timeout=5)


def _held(process: psutil.Process, kind: str) -> int:
    """Return the bytes that a process holds; none of one that has ended."""
    try:
        if kind == "pss" and psutil.LINUX:
            with contextlib.suppress(psutil.AccessDenied):
                return int(process.memory_full_info().pss)
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
