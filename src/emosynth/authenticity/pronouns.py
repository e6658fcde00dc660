"""Personal pronouns by person, as written in tweets: with contractions, chat spellings and capitals.

Third person leaves out *it*, which mostly refers to nothing or to things. Relative to plain word lists, which miss about a sixth
of pronouns in tweets, contractions (*I'm*, *they've*, *let's*) and their forms without apostrophe are counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emosynth.authenticity.tokens import word_set

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

    Parameters
    ----------
    tokens
        All tokens of the text, case kept (:func:`emosynth.authenticity.tokens.cased`).
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
