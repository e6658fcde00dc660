"""Personal data by pattern, with checksums where there are any: found, counted, masked. English-speaking habits of writing numbers.

Names are not found: that takes a model. Placeholders that corpora put in (``@user``, ``[NAME]``) are nobody's data. Digits of any script,
full-width characters, spaces that do not break and dashes are read as their plain ones. All patterns take time proportional to the length
of a text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FR": 27,
    "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LT": 20, "LU": 20, "LV": 21, "MT": 31, "NL": 18, "NO": 15,
    "PL": 28, "PT": 25, "RO": 24, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "TR": 26, "UA": 29,
}  # fmt: skip
"""Characters of an IBAN by country (ISO 13616)."""
_ANONYMOUS = {"user", "users", "username", "usuario", "name", "mention", "handle"}


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (Luhn, ISO/IEC 7812-1)."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _card(found: str) -> int:
    digits = re.sub(r"\D", "", found)
    return len(found) if digits[0] in "23456" and len(set(digits)) > 1 and luhn(digits) else 0


def _iban(found: str) -> int:
    """Return how many characters of what was found are an IBAN: what follows it may be words."""
    wanted, seen = IBAN_LENGTHS.get(found[:2].upper(), 99), 0
    for place, char in enumerate(found):
        seen += char not in " -"
        if seen == wanted:
            own = re.sub("[ -]", "", found[: place + 1])
            return place + 1 if int("".join(str(int(c, 36)) for c in own[4:] + own[:4])) % 97 == 1 else 0
    return 0


def _phone(found: str) -> int:
    digits, first = len(re.sub(r"\D", "", found)), found.lstrip("(")[0]
    return len(found) if (8 if first == "+" else 9 if first == "0" else 10) <= digits <= 15 else 0


@dataclass(frozen=True)
class _Kind:
    """A pattern, and how many characters of what it finds hold: 0 for none."""

    pattern: re.Pattern[str]
    holds: Callable[[str], int] = len


def _pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(text, flags | re.ASCII)


_LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""A letter, digit or ``_`` of any script that puts spaces between words: where none are put, what stands before an address is no part of it."""


def _worded(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("WORD", _LETTER), re.IGNORECASE)


KINDS: dict[str, _Kind] = {
    "url": _Kind(
        _pattern(
            r"(?:https?://|www\.)[^\s<>\"]{2,2000}|(?<![\w@.-])(?:[a-z0-9-]{2,63}\.){1,4}(?:(?:com|org|net|edu|gov|info)(?![\w@'-]|\.\w)|[a-z]{2,6}/\w)[^\s<>\"]{0,2000}",
            re.IGNORECASE,
        )
    ),
    "email": _Kind(
        _worded(
            r"(?:\"[^\"@\n]{1,64}\"|(?<!WORD)(?<![.+%\u0300-\u036f-])(?:WORD|[.+%\u0300-\u036f-]){1,64})@(?:(?:WORD|[\u0300-\u036f-]){1,63}\.){1,6}(?:(?![\d_])WORD){2,24}(?!WORD|-)"
        )
    ),
    "iban": _Kind(_pattern(r"(?<!\w)[A-Za-z]{2}\d\d(?:[ -]?[A-Za-z0-9]){11,30}"), _iban),
    "card": _Kind(_pattern(r"(?<![\w.,+-])(?:\d[ .-]?){12,18}\d(?![\w-])"), _card),
    "phone": _Kind(
        _pattern(
            r"(?<![\w.,/+-])(?:(?:\+|00)[1-9](?:[ .()/-]{0,2}\d){6,13}|(?:1[ .-]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-]?)[2-9]\d\d[ .-]?\d{4}|(?:\(0[1-9]\d{0,3}\)|0[1-9])(?:[ ()/-]{0,2}\d){6,9}|8[ -]?\(\d{3,5}\)(?:[ -]?\d){5,7})(?![\w]|[.,/-]\d)"
        ),
        _phone,
    ),
    "mention": _Kind(
        _worded(r"(?<!WORD)(?<![@./])@(?!\d)WORD{2,30}(?!WORD)"), lambda found: 0 if found[1:].lower() in _ANONYMOUS else len(found)
    ),
}
"""What is looked for, in the order in which a stretch of text is given to one of them."""


@dataclass(frozen=True, order=True)
class Found:
    """One piece of personal data: characters from start to end."""

    start: int
    end: int
    kind: str


@cache
def _plain(char: str) -> str:
    """Return a character as the patterns know it: one for one, so that places stay what they are."""
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    kind, narrow = unicodedata.category(char), unicodedata.normalize("NFKC", char)
    return "-" if kind == "Pd" or char == "\u2212" else " " if kind == "Zs" else narrow if len(narrow) == 1 and narrow.isascii() else char


def find(text: str) -> list[Found]:
    """Return what is found in a text, in order; nothing overlaps."""
    left = text if text.isascii() else "".join(map(_plain, text))
    out: list[Found] = []
    for name, kind in KINDS.items():

        def taken(match: re.Match[str], name: str = name, kind: _Kind = kind) -> str:
            whole = match[0]
            size = kind.holds(whole.rstrip(".,;:!?)") if name == "url" else whole)
            if size:
                out.append(Found(match.start(), match.start() + size, name))
            return "\n" * size + whole[size:]  # blanked, so that what a kind has taken is found by no other

        left = kind.pattern.sub(taken, left)
    return sorted(out)


def mask(text: str) -> str:
    """Return a text with everything that is found replaced by its kind, as ``[EMAIL]``."""
    parts, end = [], 0
    for piece in find(text):
        parts += [text[end : piece.start], f"[{piece.kind.upper()}]"]
        end = piece.end
    return "".join([*parts, text[end:]])


def kinds_in(texts: Sequence[str]) -> dict[str, list[bool]]:
    """Return for each kind which texts hold it."""
    found = [{piece.kind for piece in find(text)} for text in texts]
    return {name: [name in own for own in found] for name in KINDS}
