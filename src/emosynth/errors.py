"""One kind of error for everything that a user can mend."""

from __future__ import annotations


class UserError(Exception):
    """A problem with the input, the configuration or the surroundings, not with the code.

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
            parts.append(f"  where:  {where}")
        if remedy:
            parts.append(f"  remedy: {remedy}")
        super().__init__("\n".join(parts))
