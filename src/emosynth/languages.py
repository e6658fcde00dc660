"""What differs between languages: which parts know English alone, and scripts that put no space between words."""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
"""Characters of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""

ENGLISH_ONLY = (
    "Prompts, stories, the phrases that the check meta looks for, and the words that stand for classes are English; name classes by words that "
    "the language model knows. Pronouns, temporal expressions, tense and the test rows' linguistic phenomena are measured in English alone and "
    "are left out; English function words are not taken out of the words of SHAP and TF-IDF."
)
"""What is said of a corpus in another language."""

UNSEGMENTED = (
    "Most of this text puts no space between words. Lengths, copies and repetitions count characters there, but TF-IDF and SHAP take whatever "
    "stands between spaces and punctuation for a word: cut the text into words, with spaces, before it is read, or take learners on embeddings."
)


def is_english(languages: Sequence[str]) -> bool:
    """Tell whether a corpus counts as English; one in several languages does if that is one of them: most of its words can be read."""
    return any(language.replace("_", "-").split("-")[0].lower() in ("en", "eng", "english") for language in languages)


def spaced(text: str) -> str:
    """Return a text with spaces around each character of a script that puts none between words; any other text as it is.

    Each such character then counts as a word.
    """
    return text if text.isascii() else _UNSPACED.sub(r" \1 ", text)


def unsegmented(texts: Sequence[str]) -> bool:
    """Tell whether most letters are of scripts without spaces, and few stand alone between spaces."""
    letters = sum(character.isalnum() for text in texts for character in text)
    found = sum(len(_UNSPACED.findall(text)) for text in texts)
    words = sum(len(text.split()) for text in texts)
    return found > letters / 2 and found > 3 * words
