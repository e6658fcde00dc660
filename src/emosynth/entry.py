"""Where ``emosynth`` and ``python -m emosynth`` begin: being stopped is one line, status 130, and two seconds at most, whatever computes.

Nothing heavy stands above: what is imported later takes seconds, in which a command may be stopped too.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from typing import NoReturn

PATIENCE = 1.5
"""Seconds after which a command that was told to stop is ended without tidying up: rows are committed unit by unit, files are put in place whole."""
WORDS = "stopped; what was written before is whole"

words = WORDS
"""What is said of being stopped; whoever knows more sets it."""


def run() -> NoReturn:
    """Run the command line and end the process with its status."""
    _watch()
    for stream in (sys.stdout, sys.stderr):  # a terminal that is not of UTF-8 is told of other letters by their numbers
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        from emosynth.cli import main

        status = main()
    except KeyboardInterrupt as stopped:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(str(stopped) or words, file=sys.stderr, flush=True)
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        _leave(getattr(stopped, "status", 130))
    sys.exit(status)


def _leave(status: int) -> NoReturn:
    """End at once: an orderly end waits for threads and sockets of libraries, and Python dies of the signal where the interrupt went through an exec."""
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        with contextlib.suppress(Exception):  # semaphores of a pool: what tracks them would warn of them
            util._run_finalizers(0)
    os._exit(status)


def _watch() -> None:
    """Notice a signal while the main thread computes outside of Python, where no handler is called: OpenVINO and torch do for many seconds."""
    if os.name == "nt":
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_end, args=(reader,), daemon=True).start()


def _end(reader: int) -> None:
    ends = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    while (number := os.read(reader, 1)[0]) not in ends:
        pass
    time.sleep(PATIENCE)
    if (
        psutil := sys.modules.get("psutil")
    ) is not None:  # the notebook's process has a session of its own; processes of a pool end by themselves
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    with contextlib.suppress(OSError):
        os.write(2, f"{words}\n".encode())
    _leave(128 + number)
