"""Secrets kept out of what is written and shown: keys from the environment, and who an address names.

An address with a password is refused where parameters are checked. What comes back from elsewhere (a server's answer, pip's output, a
traceback) is looked through before it is shown or kept, for each secret in every encoding in which it may come back.
"""

from __future__ import annotations

import base64
import json
import os
import re
import string
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

KEYS = ("EMOSYNTH_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Environment variables that hold a key."""

_ADDRESSES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_SHORTEST = 6  # characters of a password of an address, or of an encoded secret, that are looked for: fewer occur by chance
_KEY_NAME = re.compile(r"key|token|secret|passw|pwd|credential|signature|^sig$|^auth", re.IGNORECASE)
_WHO = re.compile(r"(?<=://)[^\s/@?#\"'<>\\]{1,400}(?:@|%40)")
_QUERY = re.compile(r"([?&](?:[\w-]*(?:key|token|secret|passw\w*|pwd|credential|signature)|sig|auth\w*)=)[^&\s\"'<>\\]+", re.IGNORECASE)
_HEADER = re.compile(r"(authorization\W{1,6}(?:basic|bearer)\s+)[^\s\"'<>\\,]+", re.IGNORECASE)
_BASE64 = frozenset(string.ascii_letters + string.digits + "+/-_=")


def known() -> list[str]:
    """Return the secrets that the environment holds."""
    found = [os.environ.get(name, "").strip() for name in KEYS]
    for address in " ".join(os.environ.get(name, "") for name in _ADDRESSES).split():
        password = _parts(address)[0].partition(":")[2]
        found += [text for text in (password, unquote(password)) if len(text) >= _SHORTEST]
    return [text for text in dict.fromkeys(found) if text]


def exposed(text: str) -> str:
    """Return what an address gives away: in words, or empty."""
    if "://" not in text:
        return ""
    who, query = _parts(text)
    if who:
        return "a user name or a password"
    return "a key" if any(_KEY_NAME.search(name) and value for name, value in parse_qsl(query)) else ""


def _parts(address: str) -> tuple[str, str]:
    try:
        found = urlsplit(address.strip())
    except ValueError:  # no address: all that stands before an @ may be somebody
        return address.rpartition("@")[0], ""
    return found.netloc.rpartition("@")[0], found.query


def redact(text: str, *more: str) -> str:
    """Return a text without secrets: those of the environment, and ``more``; without who and what addresses name."""
    for secret in sorted({*known(), *filter(None, more)}, key=len, reverse=True):
        for pattern in _written(secret):
            text = pattern.sub("[key]", text)
        for part in _encoded(secret):
            text = _cut(text, part)
    text = _WHO.sub("[who]@", text) if "://" in text else text
    return _HEADER.sub(r"\1[key]", _QUERY.sub(r"\1[key]", text))


def _written(secret: str) -> Iterator[re.Pattern[str]]:
    """Yield what finds a secret in plain, percent-encoded (any character, any case), in JSON and in HTML."""

    def forms(char: str) -> str:
        percent = "".join(f"%{byte:02x}" for byte in char.encode())
        entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;", " ": "+"}
        quoted = {char, percent, percent.upper(), json.dumps(char)[1:-1], entities.get(char, char)}
        return "(?:" + "|".join(re.escape(form) for form in sorted(quoted, key=len, reverse=True)) + ")"

    yield re.compile("".join(map(forms, secret)))
    if len(secret) >= _SHORTEST:
        yield re.compile(re.escape(secret.encode().hex()), re.IGNORECASE)


def _encoded(secret: str) -> Iterator[str]:
    """Yield the part of its base64 forms that does not depend on what stands before and after it, as in ``user:password``."""
    raw = secret.encode()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        part = whole[(0, 2, 3)[before] : len(whole) - ((before + len(raw)) % 3 > 0)]
        if len(part) >= _SHORTEST:
            yield part
            if "+" in part or "/" in part:
                yield part.replace("+", "-").replace("/", "_")


def _cut(text: str, part: str) -> str:
    """Replace every run of base64 that holds ``part``."""
    at = text.find(part)
    while at >= 0:
        start, end = at, at + len(part)
        while start and text[start - 1] in _BASE64 and at - start < 400:
            start -= 1
        while end < len(text) and text[end] in _BASE64 and end - at < 800:
            end += 1
        text = f"{text[:start]}[key]{text[end:]}"
        at = text.find(part, start)
    return text
