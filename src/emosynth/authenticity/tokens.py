"""Tokens for counting and tokens for tagging.

Counting wants what a reader calls a word; a part-of-speech tagger trained on edited prose wants contractions cut in two and
chat spellings spelt out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from emosynth.languages import spaced
from emosynth.text import normalise, tokenise

_ADDRESS = re.compile(r"(?:https?:|www\.)\S*|[^\s@]+@[^\s@]+\.\w+|[\w.-]+\.(?:com|org|net|co|ly|uk|me|tv|gov|edu)(?:/\S*)?", re.IGNORECASE)
_CONTRACTION = re.compile(r"(?i)^(\w+?)(n't|'(?:m|re|ve|ll|d|s))((?:'ve|'d)?)$")
_BARE = {
    **{f"{verb}nt": (verb, "n't") for verb in ("do", "did", "does", "is", "are", "was", "have", "has", "had", "would", "could", "should")},
    "cant": ("ca", "n't"),
    "wont": ("wo", "n't"),
    "aint": ("ai", "n't"),
    "cannot": ("can", "not"),
    "im": ("I", "'m"),
    "ive": ("I", "'ve"),
    "youre": ("you", "'re"),
    "youve": ("you", "'ve"),
    "youll": ("you", "'ll"),
    "theyre": ("they", "'re"),
    "theyve": ("they", "'ve"),
    "theyll": ("they", "'ll"),
    "weve": ("we", "'ve"),
    "hes": ("he", "'s"),
    "shes": ("she", "'s"),
    "thats": ("that", "'s"),
    "whats": ("what", "'s"),
    "theres": ("there", "'s"),
    "gonna": ("going", "to"),
    "gunna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("got", "to"),
    "hafta": ("have", "to"),
    "imma": ("I", "'ll"),
    "gimme": ("give", "me"),
    "lemme": ("let", "me"),
    "y'all": ("you", "all"),
    "yall": ("you", "all"),
    "u": ("you",),
    "ur": ("your",),
    "r": ("are",),
    "i": ("I",),
    "tho": ("though",),
    "cuz": ("because",),
    "pls": ("please",),
}
NAME = "John"
"""Stands for an @mention when tagging: it is found where a name is found."""


def word_set(listing: str) -> frozenset[str]:
    """Return the words of a listing separated by white space."""
    return frozenset(listing.split())


def is_word(token: str) -> bool:
    """Whether a token counts as a word: it holds a letter or digit, and is neither an @mention nor an address."""
    return any(character.isalnum() for character in token) and not is_mention(token) and not is_address(token)


def is_mention(token: str) -> bool:
    """Whether a token is an @mention."""
    return len(token) > 1 and token[0] == "@"


def is_address(token: str) -> bool:
    """Whether a token is a web or e-mail address."""
    return ("." in token and _ADDRESS.fullmatch(token) is not None) or token.lower().startswith(("http:", "https:"))


def cased(text: str) -> list[str]:
    """Return all tokens of the normalised text, case kept; of scripts without spaces each character is one."""
    return tokenise(spaced(normalise(text)))


def counted(tokens: Iterable[str]) -> list[str]:
    """Return the lower-case words among tokens: what lengths, rates and richness are counted over."""
    return [token.lower() for token in tokens if is_word(token)]


def for_tagging(tokens: Iterable[str]) -> list[str]:
    """Return tokens as a tagger of edited prose expects them.

    Contractions are cut (``don't`` to ``do n't``, ``I'm`` to ``I 'm``), also where the apostrophe is missing and the
    result is unambiguous (``im``, ``dont``, not ``well`` or ``were``); common chat spellings are spelt out; addresses are
    dropped, an @mention becomes a name, a #tag loses its mark.
    """
    ready: list[str] = []
    for token in tokens:
        if is_address(token):
            continue
        if is_mention(token):
            ready.append(NAME)
            continue
        word = token.lstrip("#") or token
        known = _BARE.get(word.lower())
        if known is not None:
            ready.extend(known)
            continue
        cut = _CONTRACTION.match(word) if "'" in word else None
        if cut is None:
            ready.append(word)
        else:
            head = "I" if cut[1] == "i" else cut[1]
            ready.extend(part for part in (head, cut[2], cut[3]) if part)
    return ready
