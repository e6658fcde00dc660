"""Who is in a passage: proper names, and nouns for roles such as *the old king*.

The method is a shallow one (cf. the name and nominal mentions of Bamman, Underwood and Smith 2014, *A Bayesian mixed effects model
of literary character*): parts of speech, word lists (:mod:`emosynth.narratives.roles`), and evidence gathered from the whole story,
since one passage seldom shows whether *Thornfield* is a person. There is no coreference: *the king* and *Charles* stay two.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emosynth.narratives import roles

Tagged = list[tuple[str, str]]

_CLITIC = r"'(?:s|ll|re|ve|d|m)\b"
_TOKEN = re.compile(rf"\w+?(?=n't\b)|n't\b|{_CLITIC}|\w+(?:-\w+|'(?!(?:s|ll|re|ve|d|m)\b)\w+)*|--|\.+|[^\w\s]", re.IGNORECASE)
_PLACE = frozenset(["in", "at", "into", "near", "through", "towards", "toward", "around", "via", "across", "of", "'s"])
_OWN = frozenset(["my", "thy", "his", "her", "our", "your", "their"])
_ADDRESS = frozenset(["", ",", "'", '"', "\u201c", "\u201d", "!", "?", ";", ":", "--", "dear", "o", "oh", "ah"])
_ROLES = roles.PEOPLE | roles.CREATURES
_BE = frozenset(["was", "is", "am", "are", "were", "be", "been", "being", "became", "become", "'s", "'m", "'re"])
_FOLLOWS = ("VBD", "VBZ", "MD")


@dataclass(frozen=True)
class Character:
    """Somebody in a passage: a name as its longest mention has it, or ``the``, adjectives and role; pronouns are no mentions."""

    name: str
    kind: Literal["name", "role"]
    mentions: int


@dataclass(frozen=True)
class Mention:
    """One noun phrase that may name somebody; ``key`` is what mentions are merged by (a role's head, a name's words)."""

    key: tuple[str, ...]
    words: tuple[str, ...]
    kind: Literal["name", "role"]
    titled: bool
    start: int
    end: int


@dataclass(frozen=True)
class Cast:
    """What a whole story says of who is in it: words of accepted names, roles that speak, and names of several words."""

    names: frozenset[str]
    speaking: frozenset[str]
    full: frozenset[tuple[str, ...]]


def tokens(sentence: str) -> list[str]:
    """Return the tokens of a sentence as the Penn Treebank cuts them (*do n't*, *king 's*)."""
    return _TOKEN.findall(sentence)


def lower_case(texts: Iterable[str]) -> Counter[str]:
    """Count the tokens of texts that stand in lower case: what is common there is no name, though a sentence may begin with it."""
    return Counter(token for text in texts for token in tokens(text) if token.islower())


# --- mentions ---------------------------------------------------------------------------------------


def mentions(tagged: Tagged) -> list[Mention]:
    """Return the candidates of one tagged sentence in order; they do not overlap."""
    found: list[Mention] = []
    at = 0
    while at < len(tagged):
        mention = _name(tagged, at) or _role(tagged, at)
        if mention is not None:
            found.append(mention)
        at = mention.end if mention is not None else at + 1
    return found


def _capital(token: str) -> bool:
    return token[0].isupper() and any(letter.islower() for letter in token)


def _name(tagged: Tagged, start: int) -> Mention | None:
    """Read a run of capitalised proper nouns: titles and adjectives, then a name."""
    end = start
    titled = False
    while end < len(tagged):
        token, tag = tagged[end]
        low = token.lower()
        if token == "." and end > start and tagged[end - 1][0].lower() in roles.BARE_TITLES:
            end += 1
            continue
        if not _capital(token) or (not tag.startswith("NNP") and low not in roles.TITLES and not (low in roles.MODIFIERS and tag == "JJ")):
            break
        if low in roles.TITLES and end > start and tagged[end - 1][0].lower() not in roles.TITLES | roles.MODIFIERS | {"."}:
            break  # the next name
        end += 1
    words = [token for token, _ in tagged[start:end] if token != "."]
    core = list(words)
    nouns = _ROLES
    while core and core[0].lower() in roles.TITLES | roles.MODIFIERS:
        titled |= core[0].lower() in roles.TITLES
        word = core.pop(0).lower()
        if word in ("dear", "poor"):
            words = list(core)
        if word in roles.BARE_TITLES:
            words = words[-len(core) - 1 :]
            nouns = frozenset()  # Mr Fox is somebody's name
            break
    if not core or core[-1].lower() in nouns or any(word.lower() in roles.NOT_NAMES for word in core):
        return None
    return Mention(tuple(word.lower() for word in core), tuple(words), "name", titled, start, end)


def _role(tagged: Tagged, start: int) -> Mention | None:
    """Read modifiers and a role noun; ``start`` is at the first modifier or at the noun."""
    end = start
    while end < len(tagged) and end - start < 4:
        token, tag = tagged[end]
        low = token.lower()
        if low in _ROLES and not tag.startswith(("V", "RB")) and tag not in ("NNS", "NNPS", "MD", "IN"):
            after = tagged[end + 1] if end + 1 < len(tagged) else ("", "")
            # "the wolf skin" is no wolf; "the king's son" is the son
            if after[1] in ("NN", "NNS") and after[0].lower() not in _ROLES:
                return None
            if after[0] == "'s" and _owned(tagged, end + 2):
                end += 2
                continue
            if not (after[1] in ("NN", "NNP") and after[0].lower() in _ROLES):
                break
        elif low in roles.BARE_TITLES or tag not in ("JJ", "JJR", "JJS", "NN", "NNP", "VBN") or not token[0].isalpha():
            return None
        end += 1
    else:
        return None
    words = [token for token, _ in tagged[start : end + 1]]
    before = [token.lower() for token, _ in tagged[max(0, start - 3) : start]]
    if before and before[-1] in roles.GENERIC:
        return None
    if before and before[-1] in ("a", "an", "like", "as"):
        verb = before[-2] if len(before) > 1 and before[-1] in ("a", "an") else before[-1]
        # a comparison, or what somebody is who is named otherwise; but "there was a king"
        if verb in ("like", "as", "than", "not") or (verb in _BE and before[0] != "there"):
            return None
    head = words[-1].lower()
    if head in roles.BARE_TITLES:
        return None
    bare = len(words) == 1 and (not before or before[-1] not in roles.DETERMINERS | {"'s"})
    # without an article it is somebody only as a form of address or as a name; man is mankind
    if bare and (head in ("man", "child", "woman") or not (_capital(words[0]) or (before[-1] if before else "") in _ADDRESS)):
        return None
    kept = [word for word in words[:-1] if word.lower() not in roles.PLAIN]
    return Mention((head,), (*kept, words[-1]), "role", False, start, end + 1)


def _owned(tagged: Tagged, at: int) -> bool:
    """Whether a role noun follows within an adjective or two."""
    for token, tag in tagged[at : at + 3]:
        if token.lower() in _ROLES and tag in ("NN", "NNP"):
            return True
        if tag not in ("JJ", "JJR", "JJS"):
            return False
    return False


# --- evidence from the story ------------------------------------------------------------------------


def cast_of(story: Sequence[Tagged], lower: Counter[str]) -> Cast:
    """Gather who a story, all its sentences tagged, has; ``lower``: counts of :func:`lower_case` over all stories.

    A word counts as a name if it is not mostly preceded by an article, a genitive, *in*, *at* or *of*, and either has a title somewhere, or
    occurs twice or more, not at the start of sentences only, seldom in lower case, and somewhere beside a verb of speech or before a verb.
    Several words are one name if they stand together twice, or if one seldom occurs alone.
    """
    total: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    placed: Counter[str] = Counter()
    person: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    joint: Counter[tuple[str, ...]] = Counter()
    titled: set[str] = set()
    speaking = set()
    here = Counter(token for sentence in story for token, _ in sentence if token.islower())
    for sentence in story:
        for mention in mentions(sentence):
            before = sentence[mention.start - 1][0].lower() if mention.start else ""
            after = sentence[mention.end] if mention.end < len(sentence) else ("", "")
            speaks = _speaks(sentence, mention)
            if mention.kind == "role":
                if speaks:
                    speaking.add(mention.key[0])
                continue
            if mention.titled:
                titled.add(mention.key[0])
            if len(mention.key) == 1:
                alone[mention.key[0]] += 1
            else:
                joint[mention.key] += 1
            for word in mention.key:
                total[word] += 1
                inside[word] += before[-1:].isalnum() or before in (",", ";", ":")
                placed[word] += before in _PLACE or before in roles.DETERMINERS - _OWN
                person[word] += speaks or mention.titled or after[1] in _FOLLOWS

    def is_name(word: str) -> bool:
        if 2 * placed[word] > total[word] or lower[word] >= 20 * total[word]:
            return False
        if word in titled:
            return True
        common = lower[word] >= total[word] and (total[word] < 3 or 2 * here[word] > total[word])
        return bool(inside[word] and person[word] and total[word] > 1 and not common)

    full = frozenset(key for key, count in joint.items() if count > 1 or any(alone[word] < 2 for word in key))
    return Cast(frozenset(filter(is_name, total)), frozenset(speaking), full)


def _speaks(sentence: Tagged, mention: Mention) -> bool:
    """Whether a verb of speech stands after the mention, or before it with nothing but an article between."""
    after = sentence[mention.end][0].lower() if mention.end < len(sentence) else ""
    at = mention.start - 1
    while at >= 0 and sentence[at][0].lower() in roles.DETERMINERS:
        at -= 1
    return after in roles.SPEECH or (at >= 0 and sentence[at][0].lower() in roles.SPEECH)


# --- characters of a passage ------------------------------------------------------------------------


def characters_of(passage: Sequence[Tagged], cast: Cast, limit: int) -> list[Character]:
    """Return the characters of a passage, most mentioned first, then in order of appearance; ``limit`` at most.

    Mentions of roles are merged by their head, with the adjectives of the mention that has most; parts of a longer name into it.
    """
    found = [part for sentence in passage for mention in mentions(sentence) for part in _accepted(mention, cast)]
    groups: list[list[Mention]] = []
    # the longest first, so that a short name finds the long one that it is part of; titled ones before those that could be either's
    for mention in sorted(found, key=lambda item: (-len(item.key), not item.titled) if item.kind == "name" else (0, False)):
        group = next((group for group in groups if _joins(mention, group)), None)
        if group is None:
            groups.append([mention])
        else:
            group.append(mention)
    first = {id(mention): place for place, mention in reversed(list(enumerate(found)))}
    ranked = sorted(groups, key=lambda group: (-len(group), min(first[id(mention)] for mention in group)))
    return [Character(_shown(group), group[0].kind, len(group)) for group in ranked[:limit]]


def _accepted(mention: Mention, cast: Cast) -> list[Mention]:
    if mention.kind == "role":
        return [mention] if mention.key[0] in roles.PEOPLE or mention.key[0] in cast.speaking else []
    # words that are no names part names: without full stops, the first word of the next sentence touches one
    parts: list[Mention] = []
    titles = len(mention.words) - len(mention.key)
    start = 0
    for known, run in itertools.groupby(mention.key, key=lambda word: word in cast.names):
        end = start + len(tuple(run))
        if known:
            together = end - start == 1 or mention.key[start:end] in cast.full
            for at, stop in [(start, end)] if together else [(place, place + 1) for place in range(start, end)]:
                first = 0 if at == 0 else titles + at
                words = mention.words[first : titles + stop]
                parts.append(replace(mention, key=mention.key[at:stop], words=words, titled=mention.titled and at == 0))
        start = end
    return parts


def _joins(mention: Mention, group: Sequence[Mention]) -> bool:
    """Whether a mention may be who a group is: a role with its head; a name whose words its longest name has, unless titles disagree."""
    if mention.kind != group[0].kind:
        return False
    if mention.kind == "role":
        return mention.key == group[0].key
    known = {_female(item) for item in (mention, *group)} - {None}
    return set(mention.key) <= set(group[0].key) and len(known) < 2


def _female(mention: Mention) -> bool | None:
    title = next((word.lower() for word in mention.words[: len(mention.words) - len(mention.key)] if word.lower() in roles.TITLES), None)
    return None if title is None else title in roles.FEMALE


def _shown(group: Sequence[Mention]) -> str:
    words = max(group, key=lambda mention: len(mention.words)).words  # the first of the longest
    if group[0].kind == "name":
        return " ".join(words)
    modifiers, head = words[:-1], words[-1]
    if not (_capital(head) and any(map(_capital, modifiers))):  # the Story Girl keeps her capitals, a sentence's first word does not
        modifiers = tuple(word if word.lower() in roles.NOT_NAMES else word.lower() for word in modifiers)
        head = head.lower()
    return " ".join(["the", *modifiers, head]).replace(" 's", "'s")
