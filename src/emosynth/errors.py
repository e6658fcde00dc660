"""One kind of error for everything that a user can mend."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emosynth.escape import terminal
from emosynth.secrets import redact


class UserError(Exception):
    """A problem with the input, the configuration or the surroundings, not with the code.

    Its message can be shown on a terminal: what could steer one is spelled out, secrets are taken out, and what is quoted begins no line of its own
    (a file could forge a remedy so). The attributes hold what was given.

    Parameters
    ----------
    what
        What is wrong, in one sentence.
    where
        The file, row, key, stage or address concerned.
    remedy
        What to do about it, in one sentence.
    lines
        What is wrong in particular, each a line of its own below the first; they stand in ``what`` too.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "", lines: Sequence[str] = ()) -> None:
        self.what, self.where, self.remedy = "\n    ".join([what, *lines]), where, remedy
        parts = [_line(what), *(f"    {_line(line)}" for line in lines)]
        if where:
            parts.append(f"  where:  {terminal(where)}")
        if remedy:
            parts.append(f"  remedy: {_line(remedy)}")
        super().__init__(terminal(redact("\n".join(parts)), lines=True))


def _line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip("\n"))


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
