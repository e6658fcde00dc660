"""Temporal expressions by a typed lexicon of regular expressions.

Types follow the TIMEX3 types of TimeML (Pustejovsky et al. 2003), with dates split by how they point:

========  ====================================================  =====================================
DEIXIS    relative to the moment of writing                     *tonight*, *last week*, *two days ago*
DURATION  a stretch of time                                     *for hours*, *all day*, *3 weeks*
SET       recurring time                                        *every morning*, *daily*, *twice a week*
DATE      a named day, month, season, year or feast             *on Friday*, *June 3rd*, *2016*
CLOCK     a time of day                                         *7:30*, *8 pm*, *noon*
========  ====================================================  =====================================

Conservative: what is more often something else is left out. *since* and *while* are conjunctions of cause and contrast as well;
they never count by themselves, only the expression after them does (*since Monday* is one DATE), and *a while* is a duration.
*may*, *march*, *second*, *fall*, *spring*, *sun*, *sat* count in context only.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

_NUMBER = (
    r"(?:\d{1,4}(?:[.,]\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|"
    r"(?:a\ )?hundred|half\ an?|a\ couple(?:\ of)?|couple(?:\ of)?|a\ few|few|several|many|so\ many|some|those|a\ lot\ of|two\ or\ three)"
)
_UNIT = r"(?:sec(?:ond)?|min(?:ute)?|hour|hr|day|night|week|weekend|month|year|yr|decade|centur(?:y|ie))s?"
_PLURAL = r"(?:seconds|minutes|hours|hrs|days|nights|weeks|weekends|months|years|yrs|decades|centuries|ages)"
_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = r"(?:january|february|april|june|july|august|september|october|november|december|sept)"
_AMBIGUOUS_MONTH = r"(?:may|march|jan|feb|mar|apr|jun|jul|aug|oct|nov|dec)"
_SEASON = r"(?:summer|winter|autumn|spring|fall)"
_PART = r"(?:morning|afternoon|evening|night|noon|midnight)"
_PERIOD = rf"(?:week(?:end)?|month|year|decade|century|{_SEASON}|{_PART}|{_WEEKDAY}|{_MONTH}|march|may|semester|term)"
_ORDINAL = r"(?:\d{1,2}(?:st|nd|rd|th)?)"
_FEAST = (
    r"(?:christmas|xmas|easter|halloween|thanksgiving|ramadan|hanukkah|diwali|new\ year(?:'?s)?\ (?:eve|day)|boxing\ day|"
    r"valentine'?s(?:\ day)?|black\ friday|mother'?s\ day|father'?s\ day|memorial\ day|labou?r\ day)(?:\ (?:eve|day))?"
)

_LEXICON = {
    "SET": rf"""
        (?:every|each)\ (?:single\ |other\ |few\ |\d+\ )?(?:{_UNIT}|{_PART}|{_WEEKDAY}|{_SEASON}|{_MONTH})
        | (?:once|twice|thrice|{_NUMBER}\ (?:times?|x)|x\d)\ (?:a|an|per|every|each)\ (?:{_UNIT}|{_PART})
        | (?:all\ the\ time|24\s?/\s?7|day\ (?:in\ and\ day\ out|after\ day)|night\ after\ night|week\ after\ week|year\ after\ year)
        | (?:hourly|daily|nightly|weekly|fortnightly|monthly|yearly|annually|everyday)
        | {_WEEKDAY}s(?!')
        | (?:on\ weekends|on\ weekdays|in\ the\ (?:mornings|afternoons|evenings)|most\ (?:days|nights|mornings|weekends))
    """,
    "DEIXIS": rf"""
        (?:(?:the\ )?(?:day\ (?:after\ tomorrow|before\ yesterday)|other\ (?:day|night|week)))
        | (?:about\ |over\ |almost\ |like\ )?(?:{_NUMBER}|an?)\ {_UNIT}\ (?:ago|earlier|later|from\ now|back)
        | (?:long|ages|{_PLURAL}|not\ long)\ ago
        | (?:in|within)\ (?:the\ (?:next|last|past|coming)\ )?(?:about\ |like\ )?(?:{_NUMBER})\ (?:more\ )?{_UNIT}(?:'?\ time)?
        | in\ an?\ (?:sec(?:ond)?|min(?:ute)?|hour|week|month|year|few|couple)(?:'s\ time)?
        | (?:the\ |for\ the\ |over\ the\ |in\ the\ )?(?:last|past|next|coming)\ (?!minute\b|second\b)(?:{_NUMBER}\ )?(?:{_UNIT}|{_PERIOD})
        | (?:earlier|later)\ (?:today|tonight|this\ {_PERIOD})
        | this\ {_PERIOD}(?:\ (?:morning|afternoon|evening))?
        | (?:early\ |late\ )?(?:yesterday|tomorrow|today|tmrw|tmr|tmw|tomoz|2moro|2morrow|tomorow|yday)(?:'s)?(?:\ {_PART})?
        | (?:tonight|tonite|2nite|2night|2day|nowadays)(?:'s)?
        | (?:right|just|by|until|till|til|from|up\ to|for)\ now(?:\ on)?
        | (?:these|those)\ days | in\ those\ days | at\ (?:the|this)\ (?:very\ )?moment | at\ present | back\ then | right\ away
        | now(?!\ that\b) | rn
        | recently | lately | currently | (?:one\ day|some\ day|someday)(?:\ soon)? | soon(?!\ as) | any\ (?:minute|second|day|moment)\ now
    """,
    "DURATION": rf"""
        (?:all|whole|entire|(?:for|throughout)\ the\ (?:whole|entire)|the\ whole|the\ entire|half\ the)
            \ (?:the\ )?(?:day|night|week|weekend|month|year|morning|afternoon|evening|summer|winter)(?:\ long)?
        | (?:for|after|about|over|under|almost|nearly|around|than|takes?|took|within|in|half|only|just|lasted)\ (?:about\ |over\ |almost\ )?
            an?\ (?:whole\ |full\ |good\ |long\ )?(?:sec(?:ond)?|min(?:ute)?|half\ hour|hour|day|night|week|weekend|month|year|decade|century)(?:\ and\ a\ half)?
        | (?:(?<![\w.])\d{{1,4}}|(?:{_NUMBER})(?:\ |-))(?:more\ |whole\ |full\ |long\ |straight\ |solid\ )?{_UNIT}(?!\ ?-?olds?\b)(?:\ (?:straight|long|in\ a\ row))?
        | half(?:\ an?)?\ hour
        | (?:for|in|after|of|over|with|takes?|took|spent|been|wait(?:ed|ing)?)\ (?:like\ )?{_PLURAL}(?:\ and\ {_PLURAL})?
        | (?:for\ |in\ |after\ |quite\ )?a\ (?:little\ |long\ |short\ )?while(?:\ (?:ago|back))?
        | (?:for\ |in\ |after\ )?(?:a\ |such\ a\ |so\ |very\ )?long\ time(?:\ ago)?
        | for\ (?:so\ long|ever|years\ to\ come|the\ rest\ of\ (?:the|my|your|our)\ (?:day|night|week|month|year|life|lives))
    """,
    "CLOCK": rf"""
        (?:at\ |by\ |around\ |till\ |until\ |before\ |after\ )?(?:
            (?<![\d:.])(?:[01]?\d|2[0-3])[:.][0-5]\d\s?(?:a\.?m\b\.?|p\.?m\b\.?)
          | (?<![\d:./-])(?:[01]?\d|2[0-3]):[0-5]\d(?![\d:])(?:\ ?(?:am|pm))?
          | (?<![\d:.,])(?:1[0-2]|0?\d)\s?(?:a\.?m\b\.?|p\.?m\b\.?)
          | (?:half\ past|quarter\ (?:past|to))\ (?:{_NUMBER})
          | (?:\d{{1,2}}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\ o'?clock
          | noon | midnight )
        | in\ the\ (?:early\ |late\ )?(?:morning|afternoon|evening)
        | at\ night | (?:early|late)\ (?:morning|afternoon|evening|night|at\ night)
    """,
    "DATE": rf"""
        (?<![\d/-])(?:\d{{4}}-\d{{1,2}}-\d{{1,2}}|\d{{1,2}}/\d{{1,2}}/(?:\d{{4}}|\d{{2}}))(?![\d/])
        | (?:the\ )?{_ORDINAL}\ (?:of\ )?(?:{_MONTH}|{_AMBIGUOUS_MONTH})\b(?:,?\ (?:19|20)\d\d)?
        | (?:{_MONTH}|{_AMBIGUOUS_MONTH})\.?\ (?:the\ )?{_ORDINAL}\b(?:,?\ (?:19|20)\d\d)?
        | (?:{_MONTH}|march|may)\ (?:19|20)\d\d
        | (?:in|since|by|until|till|before|after|during|from|of)\ (?:early\ |late\ |mid\ )?(?:march|may)(?=$|[\s.,!?;:](?!i\b|you\b|we\b|he\b|she\b|they\b|not\b|be\b|on\b))
        | {_MONTH}
        | (?:in|since|by|until|till|before|after|during|from|of|circa)\ (?:19|20)\d\d\b
        | (?:the\ )?(?:early\ |late\ |mid\ )?(?:(?:19|20)\d0'?s|'[2-9]0s|[6-9]0'?s) | (?:the|early|late|mid)\ (?:late\ |early\ |mid\ )?[2-5]0'?s
        | {_WEEKDAY}(?:'s)?(?:\ {_PART})? | (?:tues|thurs|weds)
        | (?:in|during|since|by|over)\ (?:the\ )?{_SEASON}
        | {_FEAST}
        | (?:the\ |my\ )?(?:on\ |at\ the\ )weekend
    """,
}
_PATTERN = re.compile(
    # A #tag names a topic and an @mention a person; neither tells a time.
    r"(?<![\w@#'])(?:" + "|".join(rf"(?P<{kind}>{pattern})" for kind, pattern in _LEXICON.items()) + r")(?!\w)",
    re.VERBOSE | re.IGNORECASE,
)

KINDS = ("DEIXIS", "DURATION", "SET", "DATE", "CLOCK")


@dataclass(frozen=True)
class TemporalCounts:
    """Temporal expressions of one text, by type."""

    deixis: int = 0
    duration: int = 0
    set: int = 0
    date: int = 0
    clock: int = 0

    @property
    def total(self) -> int:
        """All types together."""
        return sum(astuple(self))


def find_temporal(text: str) -> list[tuple[str, str]]:
    """Return (type, expression) of each temporal expression in a normalised text, in order, not overlapping."""
    return [(str(match.lastgroup), match.group().strip().lower()) for match in _PATTERN.finditer(text)]


def count_temporal(text: str) -> TemporalCounts:
    """Count the temporal expressions of one normalised text (:func:`emosynth.text.normalise`) by type."""
    found = [kind for kind, _ in find_temporal(text)]
    return TemporalCounts(*(found.count(kind) for kind in KINDS))
