"""Tokens for counting and tokens for tagging.

Counting wants what a reader calls a word; a part-of-speech tagger trained on edited prose wants contractions cut in two and
chat spellings spelt out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from emosynth.languages import spaced
from emosynth.text import normalise, tokenise

_ADDRESS = re.compile(r"(?:https?:|www\.)\S*|[^\s@]+@[^\s@]+\.\w+|[\w.-]+\.(?:com|org|net|co|ly|uk|me|tv|gov|edu)(?:/\S*)?", re.IGNORECASE)
_CONTRACTION = re.compile(r"(?i)^(\w+?)(n't|'(?:m|re|ve|ll|d|s))((?:'ve|'d)?)$")
_BARE = {
    **{f"{verb}nt": (verb, "n't") for verb in ("do", "did", "does", "is", "are", "was", "have", "has", "had", "would", "could", "should")},
    "cant": ("ca", "n't"), "wont": ("wo", "n't"), "aint": ("ai", "n't"), "cannot": ("can", "not"), "im": ("I", "'m"), "ive": ("I", "'ve"),
    "youre": ("you", "'re"), "youve": ("you", "'ve"), "youll": ("you", "'ll"), "theyre": ("they", "'re"), "theyve": ("they", "'ve"),
    "theyll": ("they", "'ll"), "weve": ("we", "'ve"), "hes": ("he", "'s"), "shes": ("she", "'s"), "thats": ("that", "'s"),
    "whats": ("what", "'s"), "theres": ("there", "'s"), "gonna": ("going", "to"), "gunna": ("going", "to"), "wanna": ("want", "to"),
    "gotta": ("got", "to"), "hafta": ("have", "to"), "imma": ("I", "'ll"), "gimme": ("give", "me"), "lemme": ("let", "me"),
    "y'all": ("you", "all"), "yall": ("you", "all"), "u": ("you",), "ur": ("your",), "r": ("are",), "i": ("I",), "tho": ("though",),
    "cuz": ("because",), "pls": ("please",),
}  # fmt: skip
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

    Contractions are cut (``I'm`` to ``I 'm``), also without apostrophe where that is unambiguous (``im``, not ``were``); chat spellings are
    spelt out; addresses are dropped, an @mention becomes a name, a #tag loses its mark.
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


# --- personal pronouns by person, as written in tweets: with contractions, chat spellings and capitals ---
# Third person leaves out *it*, which mostly refers to nothing or to things. Relative to plain word lists, which miss about a sixth
# of pronouns in tweets, contractions (*I'm*, *they've*, *let's*) and their forms without apostrophe are counted.

_FIRST_SINGULAR = word_set("i me my mine myself im ive imma ima gimme lemme")
_FIRST_PLURAL = word_set("we us our ours ourselves weve let's")
_SECOND = word_set("you your yours yourself yourselves u ur urs urself youre youve youll youd y'all yall ya'll")
_THIRD = word_set("he him his himself she her hers herself they them their theirs themself themselves hes shes theyre theyve theyll theyd")
_ENDINGS = word_set("m re ve ll d s ma")

# "ill" and "id" are words of their own; as "I'll" and "I'd" they precede a verb, perhaps with an adverb between.
_BEFORE_VERB = word_set("ill id")
_VERBS = word_set(
    """be have do go get make take see come know think say tell give want need like love hate try find keep let put feel leave call
    ask work play start stop run bring buy pay meet watch eat drink sleep stay wait wear write read send show help hear miss kill die
    live look use turn talk walk change hope end rather prefer follow forget remember wish add post tweet text check finish pick pass
    probably never always just still also definitely only even actually really honestly gladly happily"""
)


@dataclass(frozen=True)
class PronounCounts:
    """Personal pronouns of one text, by person."""

    first_singular: int = 0
    first_plural: int = 0
    second: int = 0
    third: int = 0

    @property
    def first(self) -> int:
        """First person, singular and plural."""
        return self.first_singular + self.first_plural


def count_pronouns(tokens: Sequence[str]) -> PronounCounts:
    """Count the personal pronouns of one text.

    ``tokens``: all tokens of the text, case kept (:func:`emosynth.authenticity.tokens.cased`).
    """
    shouting = not any(character.islower() for token in tokens if token[:1] not in "@#" for character in token)
    counts = [0, 0, 0, 0]
    for position, token in enumerate(tokens):
        word = token.lower()
        following = tokens[position + 1].lower() if position + 1 < len(tokens) else ""
        if token == "US" and not shouting:
            continue  # the country
        if token == "U" and not shouting and following == ".":
            continue  # "U.S.", which the tokeniser takes apart
        if word in _BEFORE_VERB:
            counts[0] += following in _VERBS
            continue
        if word not in _FIRST_PLURAL and word not in _SECOND and "'" in word:
            base, _, ending = word.partition("'")
            if ending.split("'")[0] not in _ENDINGS:
                continue
            word = base
        for person, forms in enumerate((_FIRST_SINGULAR, _FIRST_PLURAL, _SECOND, _THIRD)):
            if word in forms:
                counts[person] += 1
                break
    return PronounCounts(*counts)


# --- tense and aspect from part-of-speech tags ---
# Each finite verb group gives one tense: past, present or future, each simple, perfect, progressive or both.
# Right for corpora rather than for single texts, since the tagger errs on one token in five of a tweet but the errors
# largely cancel in the mix. Untensed verbs (imperatives, infinitives) and modals other than *will* and *shall* are counted apart.

_FUTURE = word_set("will 'll wo shall sha")
_BE = word_set("am is are was were be been 'm 're 's")
_HAVE = word_set("have has had 've 's 'd")
_SKIPPED = word_set("RB PRP UH")
_REACH = 3
"""Adverbs, negations and (in questions) pronouns that may stand between an auxiliary and its verb."""


@dataclass(frozen=True)
class TenseCounts:
    """Finite verb groups of one text by tense; ``modal``: of another modal; ``forms``: such as ``present perfect``, sorted."""

    past: int = 0
    present: int = 0
    future: int = 0
    modal: int = 0
    forms: tuple[str, ...] = ()

    @property
    def tensed(self) -> int:
        """Verb groups with a tense."""
        return self.past + self.present + self.future


def count_tenses(tagged: Sequence[tuple[str, str]]) -> TenseCounts:
    """Count tenses in one text.

    ``tagged``: (token, Penn Treebank tag) of tokens cut for tagging (:func:`emosynth.authenticity.tokens.for_tagging`).
    """
    found: Counter[str] = Counter()
    forms: set[str] = set()
    modal = 0
    for position, (token, tag) in enumerate(tagged):
        word = token.lower()
        if tag == "MD":
            if word not in _FUTURE:
                modal += 1
                continue
            following = _next(tagged, position)
            tense, aspect = "future", "simple"
            if following is not None and tagged[following][0].lower() in ("have", "be"):
                aspect = _aspect(tagged, following, tagged[following][0].lower())
        elif tag == "VBD":
            tense, aspect = "past", _aspect(tagged, position, word)
        elif tag in ("VBZ", "VBP"):
            tense, aspect = "present", _aspect(tagged, position, word)
            if aspect == "progressive" and _going_to(tagged, position):
                tense, aspect = "future", "simple"
        else:
            continue
        found[tense] += 1
        forms.add(f"{tense} {aspect}")
    return TenseCounts(found["past"], found["present"], found["future"], modal, tuple(sorted(forms)))


def _next(tagged: Sequence[tuple[str, str]], position: int) -> int | None:
    """Return the position of the next token that is no adverb, negation or pronoun, if near."""
    for later in range(position + 1, min(position + 2 + _REACH, len(tagged))):
        if tagged[later][1] not in _SKIPPED:
            return later
    return None


def _aspect(tagged: Sequence[tuple[str, str]], position: int, word: str) -> str:
    following = _next(tagged, position)
    if following is None:
        return "simple"
    verb, tag = tagged[following]
    if word in _HAVE and tag in ("VBN", "VBD") and (word != "'s" or verb.lower() in ("been", "got", "had", "gone", "become")):
        later = _next(tagged, following)
        if verb.lower() == "been" and later is not None and tagged[later][1] == "VBG":
            return "perfect progressive"
        return "perfect"
    if word in _BE and tag == "VBG":
        return "progressive"
    return "simple"


def _going_to(tagged: Sequence[tuple[str, str]], position: int) -> bool:
    """Whether the auxiliary at ``position`` opens *be going to* with a verb after it."""
    going = _next(tagged, position)
    if going is None or tagged[going][0].lower() != "going" or going + 2 >= len(tagged):
        return False
    return tagged[going + 1][0].lower() == "to" and tagged[going + 2][1] == "VB"
