"""What every test starts from."""

import signal

import pytest
from hypothesis import settings

from emosynth import paths

settings.register_profile("here", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("here")

# A job that a script starts in the background is deaf to Ctrl-C, and so would be all that the tests start, whose Ctrl-C some of them try.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _working_on_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    # A run names its profile for the whole process, and commands in remedies follow it: a test must not see the profile of the one before.
    monkeypatch.setattr(paths, "_working_on", "demo")
