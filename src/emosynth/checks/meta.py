"""Talk about the task."""

from __future__ import annotations

import re

import numpy as np

from emosynth.checks.base import Check, Judged
from emosynth.design.space import FloatArray

_META = [
    r"\bas an? (?:ai|artificial|language model)\b",
    r"\bi(?:'m| am) (?:an? )?(?:ai|language model|chatbot|assistant)\b",
    r"^(?:sure|certainly|of course|okay|here(?:'s| is| are))\b.{0,60}\b(?:tweet|post|review|message|comment|example|sentence|version)s?\b",
    r"\b(?:this|the) (?:tweet|post|review|message|comment|sentence|text|phrase)s? (?:is|are|has|have|uses?|expresse?s?|conveys?|shows?|captures?)\b",
    r"\b(?:tweet|post|review|message|comment|sentence)s? (?:that|which) (?:expresse?s?|conveys?|shows?)\b",
    r"\b(?:use|using|add|adding) (?:phrases|words|hashtags|emojis)\b",
    r"\[(?:your|name|company|insert|app|user|link|event|product|city|team)\b[^\]]*\]",
    r"\b(?:nova haven|xyz corp\w*|company name|app_name)\b",
    r"\b(?:user|assistant|system|prompt|response|instruction)s?\s*:",
    r"<\|.*?\|>",
    r"\*\*[^*]+\*\*",
    r"^\s*(?:example|tweet|review|note|answer|option)\s*\d*\s*[:.]",
]
_PATTERN = re.compile("|".join(f"(?:{pattern})" for pattern in _META), re.IGNORECASE)


class MetaCheck(Check):
    """The text is an utterance, not talk about the task: no assistant phrases, placeholders or markup."""

    name = "meta"
    label = "no talk about the task"
    reason = "talks about the task"
    order = 50

    def score(self, rows: Judged) -> FloatArray:
        """Return 1 where nothing of the kind is found."""
        return np.array([_PATTERN.search(text.replace("’", "'")) is None for text in rows.texts], dtype=float)
