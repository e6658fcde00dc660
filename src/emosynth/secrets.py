"""Secrets kept out of what is written and shown: keys from the environment, and who an address names.

An address with a password is refused where parameters are checked. What comes back from elsewhere (a server's answer, pip's output, a
traceback) is looked through before it is shown or kept, for each secret in every encoding in which it may come back.
"""

from __future__ import annotations

import base64
import html.entities
import json
import os
import re
import string
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

KEYS = ("EMOSYNTH_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Environment variables that hold a key."""

_SHORTEST = 6  # characters of a secret, or of an encoded part of one, that are looked for: fewer occur by chance, and "EMPTY" is no secret
_LONG = 12  # characters from which on a user name may be a token
_KEY_NAME = re.compile(r"key|token|secret|passw|pwd|credential|signature|^sig$|^auth", re.IGNORECASE)
_AT = r"%(?:25)*40"
_BEGUN = r":(?:\\*/){2}|%(?:25)*3a(?:%(?:25)*2f){2}"
_WHO = re.compile(rf"({_BEGUN})[^\s/?#&\"'<>\\]{{1,400}}(?:@|{_AT})", re.IGNORECASE)
# A password may hold what ends the name of a host; what follows a colon there would be a number otherwise.
_ODD_WHO = re.compile(r"(:(?:\\*/){2})[^\s@/?#\"'<>:]{0,400}:(?!\d*(?:[/?#\s\"'<>]|$))[^\s@\"'<>]{1,400}@")
_QUERY = re.compile(
    r"([?&#;][\w%.-]*(?:key|token|secret|passw\w*|pwd|credential|signature)=|[?&#;](?:sig|auth\w*)=)[^&\s\"'<>\\]+", re.IGNORECASE
)
_HEADER = re.compile(r"(authorization\W{1,6}(?:basic|bearer)\s+)[^\s\"'<>\\,]+", re.IGNORECASE)


_BASE64 = frozenset(string.ascii_letters + string.digits + "+/-_=%")


def known() -> list[str]:
    """Return the secrets that the environment holds: keys, and passwords and tokens of the addresses of any variable."""
    found = [os.environ.get(name, "").strip() for name in KEYS]
    for value in [value for value in os.environ.values() if "@" in value and "://" in value]:
        for address in value.split():
            user, _, password = _parts(address)[0].partition(":")
            found += [part for text in (password, user if len(user) >= _LONG else "") for part in (text, unquote(text))]
    return [text for text in dict.fromkeys(found) if len(text) >= _SHORTEST]


def exposed(text: str) -> str:
    """Return what an address gives away: in words, or empty."""
    if not re.search(_BEGUN, text, re.IGNORECASE):
        return ""
    who, *rest = _parts(text)
    if who or _WHO.search(text) or _ODD_WHO.search(text):
        return "a user name or a password"
    return "a key" if any(_KEY_NAME.search(name) and value for part in rest for name, value in parse_qsl(part)) else ""


def _parts(address: str) -> tuple[str, str, str]:
    """Return who stands in an address, what is asked for, and the fragment."""
    try:
        found = urlsplit(address.strip())
    except ValueError:  # no address: all that stands before an @ may be somebody
        return address.rpartition("@")[0], "", ""
    return found.netloc.rpartition("@")[0], found.query.replace(";", "&"), found.fragment


def redact(text: str, *more: str) -> str:
    """Return a text without secrets: those of the environment, and ``more``; without who and what addresses name."""
    text = _ODD_WHO.sub(r"\1[who]@", _WHO.sub(r"\1[who]@", without(text, *known(), *more)))
    return _HEADER.sub(r"\1[key]", _QUERY.sub(r"\1[key]", text))


def redact_json(text: str, *more: str) -> str:
    """Return JSON with every text in it redacted, and names as they are: a key may be a word that the format needs; what is none as a whole."""

    def seen(value: Any) -> Any:
        if isinstance(value, str):
            return redact(value, *more)
        if isinstance(value, dict):
            return {name: seen(inner) for name, inner in value.items()}
        return [seen(inner) for inner in value] if isinstance(value, list) else value

    try:
        return json.dumps(seen(json.loads(text)), indent=1, ensure_ascii=False)
    except ValueError:
        return redact(text, *more)


def without(text: str, *secrets: str) -> str:
    """Return a text without some secrets, in whatever encoding; what is shorter than a secret may be is not looked for."""
    for secret in sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True):
        written, encoded = _patterns(secret)
        text = _cut(written.sub("[key]", text), encoded)
    return text


def _cut(text: str, part: re.Pattern[str]) -> str:
    """Replace every run of base64 that holds ``part``."""
    parts, at = [], 0
    while found := part.search(text, at):
        start, end = found.span()
        while start > at and text[start - 1] in _BASE64 and found.start() - start < 400:
            start -= 1
        while end < len(text) and text[end] in _BASE64 and end - found.end() < 800:
            end += 1
        parts += [text[at:start], "[key]"]
        at = end
    return "".join([*parts, text[at:]])


@lru_cache(64)
def _patterns(secret: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds a secret: plain, percent-encoded, in JSON, Python and HTML, each again and again, or in
    hexadecimal; and what finds it in base64, once or twice."""
    folded = r"[:\s-]?".join(f"{byte:02x}" for byte in secret.encode())
    written = "".join(f"(?:{'|'.join(_forms(char))})" for char in secret)
    encoded = {re.escape(part) for once in _base64(secret) for part in (once, *_base64(once))}
    return re.compile(f"{written}|(?i:{folded})"), re.compile("|".join(sorted(encoded)) or r"(?!)")


def _forms(char: str) -> Iterator[str]:
    """Yield patterns of the ways in which a character may be written."""
    code, quoted = ord(char), re.escape(char)
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode())
    units = char.encode("utf-16-be").hex()
    escapes = "".join(rf"\\+u{units[at : at + 4]}" for at in range(0, len(units), 4)) + (rf"|\\+x{code:02x}" if code < 256 else "")
    names = "|".join(name.rstrip(";") for name, text in html.entities.html5.items() if text == char and name.endswith(";"))
    entity = "|".join(filter(None, (f"#0*{code}", f"#x0*{code:x}", names)))
    yield rf"\\*{quoted}" if char in "/\"'\\" else quoted
    yield f"(?i:{percent}|{escapes})"
    yield f"&(?:amp;)*(?i:{entity});"
    if char == " ":
        yield r"\+"


def _base64(secret: str) -> Iterator[str]:
    """Yield the part of its base64 forms that does not depend on what stands before and after it, as in ``user:password``."""
    raw = secret.encode()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        part = whole[(0, 2, 3)[before] : len(whole) - ((before + len(raw)) % 3 > 0)]
        if len(part) >= _SHORTEST:
            yield part
            if "+" in part or "/" in part:
                yield part.replace("+", "-").replace("/", "_")
                yield part.replace("+", "%2B").replace("/", "%2F")
