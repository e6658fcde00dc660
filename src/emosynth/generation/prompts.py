"""Prompts: one family for all arms, so that arms differ in guidance and in nothing else.

The *list* style is a list of quoted texts that the model continues with one more; it suits small and
base models. The *chat* style is an instruction for instruction-tuned models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from emosynth.models.lm.base import spoken
from emosynth.text import normalise

Style = Literal["list", "chat", "tuned"]
"""How a text is asked for; ``tuned``: by the label prefix that the writer was tuned with."""

MAX_EXEMPLAR_WORDS = 40
"""Longer exemplars are cut here: a whole prompt has to fit the context of a small model."""


def one_line(text: str) -> str:
    """Return a text fit to stand between quotes on one line of a prompt."""
    flat = re.sub(r"\s+", " ", text.replace('"', "'")).strip()
    return " ".join(flat.split(" ")[:MAX_EXEMPLAR_WORDS])


def plural(noun: str) -> str:
    """Return the plural of a regular noun phrase such as *tweet* or *film review*."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def build_prompt(style: Style, noun: str, phrase: str, tokens: Sequence[str] = (), exemplars: Sequence[str] = ()) -> str:
    """Return the prompt of one guided (or unguided) request.

    Parameters
    ----------
    style
        ``list`` or ``chat``.
    noun
        What one text is called, e.g. *tweet*.
    phrase
        What the class expresses, e.g. *very negative feelings*.
    tokens
        Words offered to the model; may be empty.
    exemplars
        Real texts of the class, from the seed; may be empty.
    """
    words = words_hint(tokens)
    if style == "list":
        return f"{_heading(noun, phrase)}{words}:\n" + "".join(f'- "{one_line(text)}"\n' for text in exemplars) + '- "'
    request = f"Write one more {noun} as an ordinary person would, expressing {phrase}{words}."
    return block("chat", noun, phrase, exemplars) + request + f" Reply with the {noun} alone, on one line."


def words_hint(tokens: Sequence[str]) -> str:
    """Return how words are offered to the model; empty if there are none."""
    return f", with words such as {', '.join(tokens)}" if tokens else ""


def block(style: Style, noun: str, phrase: str, exemplars: Sequence[str]) -> str:
    """Return exemplars as a paragraph that stands before a request; empty if there are none."""
    if not exemplars:
        return ""
    shown = [one_line(text) for text in exemplars]
    if style == "list":
        return f"{_heading(noun, phrase)}:\n" + "".join(f'- "{text}"\n' for text in shown) + "\n"
    return f"Examples of real {plural(noun)} that express {phrase}:\n" + "".join(f"- {text}\n" for text in shown) + "\n"


def _heading(noun: str, phrase: str) -> str:
    return f"Real {plural(noun)} by different people, all expressing {phrase}"


def clean_completion(style: Style, text: str) -> tuple[str, bool]:
    """Return the text proper of a completion, and whether its end was reached.

    In the list style the closing quote ends the text; what follows it is the model talking on. Text is
    normalised as corpora are, so that an apostrophe's style is no difference between them.
    """
    text = normalise(spoken(text).split("\n", 1)[0])
    if style == "list":
        body, quote, _ = text.partition('"')
        return body.strip(), bool(quote)
    # A tuned generator writes no quotes around its text: those at its ends are its own.
    return (text if style == "tuned" else text.strip().strip('"')).strip(), False
