"""What every test starts from."""

import pytest

from emosynth import paths


@pytest.fixture(autouse=True)
def _working_on_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    # A run names its profile for the whole process, and commands in remedies follow it: a test must not see the profile of the one before.
    monkeypatch.setattr(paths, "_working_on", "demo")
