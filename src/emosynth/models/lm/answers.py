"""What a server's answer says: a text, or why there is none. Providers differ in how they say it."""

from __future__ import annotations

import contextlib
import email.utils
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from emosynth.models.lm.base import STOP, Completion, one_line, spoken

_PASSING = {408, 409, 425, 429}
_MISSING = {404, 405, 501}
_QUOTA = re.compile(r"insufficient[_ ]quota|exceeded your current quota|credit balance|insufficient (?:balance|credit|funds)|billing", re.I)
_RATE = re.compile(r"rate[ _-]?limit|per (?:minute|min|second|hour|day)|RPM|TPM", re.I)
_WAIT = re.compile(r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?\s?(?:ms|h|m|s)[a-z]*\s?)+)", re.I)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CHAT_ONLY = re.compile(r"chat/completions|chat[ _-]completions?|chat model", re.I)
_MODERATED = re.compile(r"moderat|flagged|content[ _-](?:policy|filter)|safety", re.I)
_UNTAKEN = re.compile(
    r"unsupported|cannot both be|at the same time|(?:not|n't|cannot be) (?:be )?(?:supported|permitted|allowed|accepted|recognized)|does not support"
    r"|un(?:known|recogni[sz]ed|expected)|extra|forbidden|additional propert|invalid (?:parameter|field|argument)",
    re.I,
)
_TOO_LONG = re.compile(r"context[ _]length|maximum context|too long|too many tokens", re.I)
_ECHO = re.compile(r"""['"]input['"]: ?""")  # what follows quotes the request, with all its fields
_MOST = 1 << 31
"""Tokens that one answer can have cost: a budget must not grow by what a server claims, and no table overflow."""
_FIELDS = ("max_tokens", "top_p", "temperature", "seed", "stop", "top_k", "repetition_penalty", "max_completion_tokens")
_TYPES = {
    "rate_limit": 429,
    "quota": 429,
    "overloaded": 503,
    "server_error": 500,
    "invalid_request": 400,
    "authentication": 401,
    "permission": 403,
    "not_found": 404,
}


@dataclass(frozen=True)
class Refusal:
    """An answer without a text.

    Attributes
    ----------
    what
        Status and message, shortened, without the key.
    fields
        Fields of the request that it complains of.
    wants_chat, model, quota, access
        Whether it says that the model only chats, speaks of the model, of the account's credit, or of the right to ask.
    """

    what: str
    status: int = 200
    after: float = 0.0
    passing: bool = False
    fields: tuple[str, ...] = field(default=())
    wants_chat: bool = False
    model: bool = False
    quota: bool = False
    access: bool = False
    missing: bool = False


def read_answer(answer: httpx.Response, chat: bool, prompt: str, safe: Callable[[str], str]) -> Completion | Refusal:
    """Return what a server answered.

    Parameters
    ----------
    safe
        Makes a message fit to be shown.
    """
    try:
        content: Any = answer.json()
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, list) and len(content) == 1:  # as some wrap their errors
        content = content[0]
    if answer.status_code != 200:
        return read_refusal(answer.status_code, content, _text(answer), answer.headers, safe)
    strange = Refusal("an answer that is not of the OpenAI kind", passing=True)
    if not isinstance(content, Mapping):
        return strange
    if content.get("error") and not content.get("choices"):
        return _error_inside(content, answer, safe)
    if "choices" not in content:
        return replace(strange, missing=True)
    try:
        choice = content["choices"][0]
        if choice.get("error"):
            return _error_inside(choice, answer, safe)
        said = choice["message"] if chat else choice
        text = said["content"] if chat else said["text"]
        usage = content.get("usage") or {}
        read, new = (min(max(int(usage.get(name) or 0), 0), _MOST) for name in ("prompt_tokens", "completion_tokens"))
        thoughts = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
        thought = bool(said.get("reasoning_content") or said.get("reasoning") or thoughts)
        if isinstance(text, list):  # parts, of which some may be thoughts
            text = "".join(part["text"] for part in text if part.get("type") in ("text", None))
        why, finish = said.get("refusal"), choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError):
        return strange
    if not isinstance(text, str | None):
        return strange
    if why or (finish == "content_filter" and not text):
        return Completion("", "refused", read, new, safe(f"refused: {why or 'content filter'}"))
    shown, length = said_text(text or "", chat, prompt), finish == "length"
    error = ""
    if not shown.strip():
        error = "no text" if not text else f"no text in {safe(text)[:80]!r}"
        if thought or (length and new and not text) or spoken(text or "") != (text or ""):
            error += f": the model thinks first, and {'has run into the limit of tokens' if length else 'said nothing then'}"
    # A line that has ended was not cut, wherever the rest of the answer was.
    return Completion(one_line(shown), "length" if length and STOP not in shown else "stop", read, new, error)


def _text(answer: httpx.Response) -> str:
    try:
        return answer.text
    except (TypeError, LookupError, ValueError, AssertionError):  # it names an encoding that is none of text
        return answer.content.decode("utf-8", "replace")


_ITEM = re.compile(r'\s*[-*•]\s+(?=["“])')
_QUOTED = re.compile(r'(?:[-*•]\s+|\d+[.)]\s+)?["“]')


def said_text(text: str, chat: bool, prompt: str) -> str:
    """Return an answer from its first line on, without thoughts, line ends before it, and a quote that the prompt has already opened.

    Typographic quotes around a chat model's line become straight, and a quoted item of a list loses its mark. A prompt that ends with a
    quote is continued inside it; a chat model begins its own, perhaps as an item of a list. A model that continues text and begins with
    a quote has ended an empty text, unless what follows is closed by another.
    """
    text = re.sub(r"^\s*\n", "", spoken(text))
    if prompt.endswith('"') and (found := _QUOTED.match(text.lstrip())):
        rest = text.lstrip()[found.end() :]
        body, closing, _ = one_line(rest).replace("”", '"').partition('"')
        if any(sign.isalnum() for sign in body) and (chat or closing):
            return rest.replace("”", '"', 1)
    elif chat:
        text = _ITEM.sub("", text, count=1) if _ITEM.match(text) else text
        line = one_line(text).strip()
        if line[:1] == "“" and line[-1:] == "”":
            return f'"{line[1:-1]}"' + text[len(one_line(text)) :]
    return text


def _error_inside(content: Mapping[str, Any], answer: httpx.Response, safe: Callable[[str], str]) -> Refusal:
    """Read an error that came with HTTP 200."""
    error = content["error"]
    details = error if isinstance(error, Mapping) else {}
    code = str(details.get("code") or details.get("status") or "")
    named = f"{code} {details.get('type')}"
    status = (
        int(code) if code.isdecimal() and 400 <= int(code) < 600 else next((value for name, value in _TYPES.items() if name in named), 500)
    )
    return read_refusal(status, {"error": error}, "", answer.headers, safe)


def read_refusal(status: int, content: Any, text: str, headers: Mapping[str, str], safe: Callable[[str], str]) -> Refusal:
    """Return what a refusal says about itself."""
    message = (_message(content) or text)[:20_000]  # it is searched for much
    # A limit of rate that is over in a minute may speak of quotas and bills too.
    rate = status == 429 and "insufficient_quota" not in message and bool(_RATE.search(message) or _WAIT.search(message))
    quota = status == 402 or (status in (400, 403, 429) and not rate and bool(_QUOTA.search(message)))
    wants_chat = status in (400, *_MISSING) and bool(_CHAT_ONLY.search(message))
    return Refusal(
        safe(f"HTTP {status}" + (f": {message}" if message else "")),
        status,
        _wait(headers, message),
        passing=status in _PASSING and not quota,
        fields=_fields(content, message) if status in (400, 422) else (),
        wants_chat=wants_chat,
        model=status in _MISSING and "model" in message.lower(),
        quota=quota,
        access=status == 401 or (status == 403 and not quota and not _MODERATED.search(message)),
        missing=status in _MISSING or wants_chat,
    )


def _fields(content: Any, message: str) -> tuple[str, ...]:
    """Return the fields that a server says it does not take: as it names them in its structure, or else in words.

    One that it takes with another value alone is not among them: that is for the user to set.
    """
    if _TOO_LONG.search(message):  # which names max_tokens, and rightly wants it lower
        return ()
    named: list[Any] = []
    for item in _details(content):
        if "extra" in str(item.get("type")) or _UNTAKEN.search(str(item.get("msg"))):
            named += item.get("loc") or ()
    words = _ECHO.split(message)[0]
    if _UNTAKEN.search(message):
        error = content.get("error") if isinstance(content, Mapping) else None
        named += [error.get("param")] if isinstance(error, Mapping) else []
        named += [name for name in _FIELDS if re.search(rf"\b{name}\b", words)]
    return tuple(name for name in dict.fromkeys(map(str, named)) if name in _FIELDS)


def _details(content: Any) -> list[Mapping[str, Any]]:
    """Return the items of a complaint as FastAPI makes it, at the top or, as of some providers, within ``message``."""
    inner = content.get("message") if isinstance(content, Mapping) else None
    detail = content.get("detail") if isinstance(content, Mapping) else None
    items = inner.get("detail") if isinstance(inner, Mapping) else detail
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _message(content: Any) -> str:
    """Return what the server says about its refusal, with its kind where it names one."""
    if not isinstance(content, Mapping):
        return str(content or "")
    if not content:
        return ""
    error = content.get("error") or content.get("detail") or content
    if not isinstance(error, Mapping):
        return str(error)
    kinds = dict.fromkeys(str(error[name]) for name in ("code", "type") if isinstance(error.get(name), str))
    return str(error.get("message") or error) + (f" ({', '.join(kinds)})" if error.get("message") and kinds else "")


def _wait(headers: Mapping[str, str], message: str) -> float:
    """Return the seconds that a server asks to wait, in a header or in words; 0 when it says nothing sensible."""
    value = headers.get("Retry-After")
    with contextlib.suppress(ValueError):
        if (exact := float(headers.get("retry-after-ms") or "nan")) > 0:
            return exact / 1000
    if not value:
        found = _WAIT.search(message)
        parts = re.findall(r"([\d.]+)\s?(ms|h|m|s)", found[1], re.I) if found else []
        return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)
    with contextlib.suppress(ValueError):
        return max(0.0, float(value)) if value.strip().lower() not in ("nan", "inf", "infinity") else 0.0
    with contextlib.suppress(ValueError, TypeError):
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    return 0.0
