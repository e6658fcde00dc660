"""One kind of error for everything that a user can mend."""

from __future__ import annotations

from emosynth.escape import terminal
from emosynth.secrets import redact


class UserError(Exception):
    """A problem with the input, the configuration or the surroundings, not with the code.

    Its message can be shown on a terminal: what could steer one is spelled out, and secrets are taken out. The attributes hold what was given.

    Parameters
    ----------
    what
        What is wrong, in one sentence.
    where
        The file, row, key, stage or address concerned.
    remedy
        What to do about it, in one sentence.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        parts = [what]
        if where:
            parts.append(f"  where:  {terminal(where)}")
        if remedy:
            parts.append(f"  remedy: {remedy}")
        super().__init__(terminal(redact("\n".join(parts)), lines=True))


class Stopped(KeyboardInterrupt):
    """A run was told to stop, or whoever started it is gone.

    Parameters
    ----------
    what
        One line: what stopped, what is kept, how to go on.
    status
        Exit status: 128 and the number of the signal.
    """

    def __init__(self, what: str, status: int = 130) -> None:
        super().__init__(what)
        self.status = status
