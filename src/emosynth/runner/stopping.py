"""How a stage ends before its time: told to stop, left alone by DVC, kept out by another run; and what killed runs left is swept."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from emosynth import entry
from emosynth.errors import Stopped
from emosynth.files import disk_errors
from emosynth.locks import take
from emosynth.paths import Paths, repro
from emosynth.pipeline import STAGES, Stage
from emosynth.runner.energy import metered

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_EVERY = 0.5  # seconds between looks at whether DVC lives


@contextlib.contextmanager
def alone(paths: Paths, item: Stage) -> Iterator[None]:
    """Let no other run of the same stage of the same profile begin while the block runs, sweep what killed ones left, and meter what it takes.

    Raises
    ------
    UserError
        If one is under way, the folder of logs cannot be written, or EMOSYNTH_WATTS is no number.
    """
    path = paths.logs / f"{item.name}.lock"
    with disk_errors(path):
        paths.logs.mkdir(parents=True, exist_ok=True)
        lock = take(path, f"The stage {item.name} of the profile {paths.profile} is under way already")
    try:
        sweep(paths, item)
        with metered():
            yield
    finally:
        os.close(lock)


def kernel_folder(paths: Paths, item: Stage) -> Path:
    """Return the folder of the running notebook's process: what starts it and how it is reached."""
    return paths.logs / f".kernel-{item.name}"


def sweep(paths: Paths, item: Stage) -> None:
    """Take away what a killed run of this stage left half written. Finished files, logs and row caches stay."""
    left = [kernel_folder(paths, item), *paths.notebooks.glob(f".{item.name}.*.part")]
    left += (paths.report / "notebooks").glob(f".{item.name}.*.part")
    for folder in [paths.data / name for name in (item.makes, *item.also) if name]:
        left += folder.rglob(".*.part")
    if not item.makes:
        left += [*paths.report.glob(".*.part"), *(path for name in item.report for path in (paths.report / name).rglob(".*.part"))]
    for path in left:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def sweep_pages(paths: Paths) -> None:
    """Take away the pages of steps that there are no more. Called when a new report stands that links to none of them."""
    known = {item.name for item in STAGES}
    for path in [*(paths.report / "notebooks").glob("*.html"), *paths.notebooks.glob("*.html"), *paths.notebooks.glob("*.ipynb")]:
        if path.stem not in known:
            path.unlink()


@contextlib.contextmanager
def stoppable(paths: Paths, item: Stage) -> Iterator[None]:
    """Turn Ctrl-C, a request to end, and the end of the DVC that started this run into `Stopped`; the notebook's process ends too.

    Rows are committed unit by unit, so nothing that is finished is lost.
    """
    told: list[int] = []
    before: dict[int, Any] = {}
    finished = threading.Event()
    entry.words = _words(paths, item)

    def stop(number: int, frame: Any) -> None:
        _end_children()
        if not told:  # a second Ctrl-C must not interrupt the tidying up
            told.append(number)
            raise Stopped(entry.words, 128 + number)

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop) for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}
        threading.Thread(target=_watch, args=(_started_by(), finished), daemon=True).start()
    try:
        yield
    except BaseException:
        if told:  # the notebook's end came first
            raise Stopped(entry.words, 128 + told[0]) from None
        raise
    finally:
        finished.set()
        entry.words = entry.WORDS
        for number, handler in before.items():
            signal.signal(number, handler)


def _words(paths: Paths, item: Stage) -> str:
    command = f"python -m emosynth run {item.name} --profile {paths.profile}"
    if "DVC_STAGE" in os.environ:  # make finds DVC in the environment that it made, a shell may not
        command = f"make reproduce PROFILE={paths.profile}" if "MAKELEVEL" in os.environ else repro(profile=paths.profile)
    return f"stopped: {item.name} of {paths.profile}; earlier stages and all finished rows are kept; to go on: {command}"


def _end_children() -> None:
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()


def _started_by() -> list[psutil.Process]:
    """Return the processes from this one's parent up to the DVC that runs it; none: it was started by hand, and may outlive its shell."""
    chain: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        for parent in psutil.Process().parents() if "DVC_STAGE" in os.environ else []:
            chain.append(parent)
            if any("dvc" in Path(part).name for part in parent.cmdline()[:3]):
                return chain
    return []


def _watch(parents: list[psutil.Process], finished: threading.Event) -> None:
    while parents and not finished.wait(_EVERY):
        if not all(map(_lives, parents)):
            os.kill(os.getpid(), signal.SIGTERM)  # `emosynth.entry` ends what does not end by itself
            return


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
