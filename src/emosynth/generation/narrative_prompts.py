"""Prompts of the three texts of an example, and what is kept of an answer (after Shvets 2025, arXiv:2504.16856).

The style ``completion`` is text that a base or small model continues on one line; it shows no examples, since small models copy
their words into every answer. The style ``chat`` is an instruction, the part that all rows share first, so that a prefix cache
reads it once. Arms differ in whether passage and character are given and in nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.generation.prompts import block, words_hint
from emosynth.generation.slots import Aid
from emosynth.models.lm.base import spoken
from emosynth.text import normalise

Kind = Literal["context", "utterance", "contextless"]
"""The three texts of an example, in the order in which they are written."""

Style = Literal["completion", "chat"]

EXCERPT_WORDS = 45
"""Words of a passage shown in the completion style: a small model loses sight of the character in a longer one."""

SENTENCES = 2
"""Sentences kept of an answer in the completion style: what a small model writes after them goes round in circles."""

SOMEBODY = "a person"
"""Who speaks in an ungrounded example."""


@dataclass(frozen=True)
class Scene:
    """What an example is about.

    Attributes
    ----------
    labels
        One, or two.
    character
        Who speaks; empty: nobody in particular.
    passage
        Text that the situation is grounded in; empty: none.
    topic
        Noun that an example without emotion is about; otherwise empty.
    """

    labels: tuple[str, ...]
    character: str = ""
    passage: str = ""
    topic: str = ""


@dataclass(frozen=True)
class Prompt:
    """What a model is given, and how the text that it continues begins: that beginning is part of the text."""

    text: str
    opening: str = ""


def noun_phrase(space: Space, labels: Sequence[str]) -> str:
    """Return what labels are as a noun phrase: *anger and fear*."""
    return " and ".join(_word(space.states or space.phrases, label, "phrase") for label in labels)


def adjective_phrase(space: Space, labels: Sequence[str]) -> str | None:
    """Return what labels are as what follows *is*: *angry and afraid*; None for the neutral label, or one without an adjective."""
    if tuple(labels) == (space.neutral,):
        return None
    found = [_word(space.adjectives, label, "adjective") for label in labels]
    # The labels of a corpus without a taxonomy have noun phrases only.
    return None if any(word == space.phrases.get(label) for word, label in zip(found, labels, strict=True)) else " and ".join(found)


def _word(words: Mapping[str, str], label: str, what: str) -> str:
    if label not in words:
        raise UserError(f"The label {label} has no {what}.", where="data/taxonomies.yaml", remedy="Give it one.")
    return words[label]


def build_prompt(
    kind: Kind, style: Style, scene: Scene, space: Space, context: str = "", utterance: str = "", noun: str = "text", aid: Aid | None = None
) -> Prompt:
    """Return the prompt of one text of an example.

    Parameters
    ----------
    context, utterance
        What was written before; a context needs neither, an utterance its context. In the completion style a context-less text is
        told from the context alone: shown the utterance, a small model repeats it.
    noun, aid
        What one text of the corpus is called, and what the prompts of utterance and context-less text show of a seed.
    """
    aid = Aid() if aid is None or kind == "context" else aid
    phrase = noun_phrase(space, scene.labels)
    if style == "chat":
        return Prompt(block("chat", noun, phrase, aid.exemplars) + _chat(kind, scene, phrase, context, utterance, words_hint(aid.tokens)))
    made = _completion(kind, scene, phrase, adjective_phrase(space, scene.labels), context, words_hint(aid.tokens))
    return Prompt(block("list", noun, phrase, aid.exemplars) + made.text, made.opening)


# --- completion ---------------------------------------------------------------------------------------


def _completion(kind: Kind, scene: Scene, noun: str, adjective: str | None, context: str, words: str) -> Prompt:
    who = scene.character or SOMEBODY.replace("a ", "the ", 1)
    name, topic = _capital(who), scene.topic
    if kind == "context":
        shown = f"{excerpt(_one_line(scene.passage), who)}\n\n" if scene.passage else ""
        first = who if scene.passage else SOMEBODY
        state = f"is {adjective}" if adjective else f"feels {noun}"
        clear = f"what {first} wants with the {topic}" if topic else f"why {first} {state}"
        return Prompt(f"{shown}It is clear {clear}: {who} has", f"{name} has")
    context = _one_line(context)
    if topic:
        says = f"states a plain fact about the {topic}" if kind == "utterance" else f"tells a stranger plain facts about the {topic}"
        return Prompt(f'{context}\n{name} {says}{words}: "The {topic}', f"The {topic}")
    if kind == "utterance":
        return Prompt(f'{context}\n{name} feels {noun} and says{words}: "')
    state = f"am {adjective}" if adjective else f"feel {noun}"
    return Prompt(f'{context}\n{name} explains to a stranger{words}: "I {state} because I', "I")


def excerpt(passage: str, character: str, limit: int = EXCERPT_WORDS) -> str:
    """Return whole sentences of a passage from the first that names the character on; at most ``limit`` words."""
    found = sentences(passage)
    start = next((place for place, sentence in enumerate(found) if character.lower() in sentence.lower()), 0)
    kept: list[str] = []
    for sentence in found[start:]:
        more = sentence.split()
        if kept and len(kept) + len(more) > limit:
            break
        kept += more
    return " ".join(kept[:limit])


_BORDER = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)[.!?…]+[\"'”’)]*(?=\s+[^\sa-z]|\s*$)")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text on one line; the last may be unfinished."""
    out, start = [], 0
    for match in _BORDER.finditer(text):
        out.append(text[start : match.end()].strip())
        start = match.end()
    rest = text[start:].strip()
    return [*out, rest] if rest else out


def _finished(sentence: str) -> bool:
    return any(match.end() == len(sentence) for match in _BORDER.finditer(sentence))


# --- chat ---------------------------------------------------------------------------------------------

_ONE_LINE = "Reply with the {what} alone, on one line."
_TASKS: dict[Kind, str] = {
    "context": (
        "Write a situation of the character named below, in the third person and in one or two sentences. The situation gives the "
        "character good reason to feel the emotion named below, without naming it. "
    ),
    "utterance": (
        "Write what the character named below says in the situation below, in the first person, in one or two sentences and in "
        "quotes. The words express the emotion named below, if possible without naming it. "
    ),
    "contextless": (
        "Rewrite the utterance below so that a stranger, who knows nothing of the situation, understands what has happened: put the "
        "situation into the speaker's own words. Keep the first person and the emotion, if possible without naming it. Write one or "
        "two sentences, in quotes. "
    ),
}
_FACTS: dict[Kind, str] = {
    "context": (
        "Write an everyday situation of the character named below, in the third person and in one or two sentences. The situation "
        "has to do with the topic named below and stirs no emotion. "
    ),
    "utterance": (
        "Write what the character named below says in the situation below: a plain statement of fact about the topic named below, "
        "without any emotion, in one or two sentences and in quotes. "
    ),
    "contextless": (
        "Rewrite the utterance below so that a stranger, who knows nothing of the situation, understands it. Keep it a plain "
        "statement of fact about the topic named below, without any emotion. Write one or two sentences, in quotes. "
    ),
}
_GROUNDED = "The situation fits the passage below, but need not occur in it. "


def _chat(kind: Kind, scene: Scene, noun: str, context: str, utterance: str, words: str) -> str:
    task = (_FACTS if scene.topic else _TASKS)[kind]
    task += _GROUNDED if kind == "context" and scene.passage else ""
    task += f"Write it{words}. " if words else ""
    task += _ONE_LINE.format(what="situation" if kind == "context" else "utterance")
    parts = {
        "Passage": _one_line(scene.passage) if kind == "context" else "",
        "Character": scene.character or SOMEBODY,
        "Situation": _one_line(context) if kind != "context" else "",
        "Utterance": f'"{_one_line(utterance)}"' if kind == "contextless" else "",
        "Topic" if scene.topic else "Emotion": scene.topic or noun,
    }
    return task + "\n\n" + "\n".join(f"{name}: {part}" for name, part in parts.items() if part)


# --- answers ------------------------------------------------------------------------------------------

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
_TAG = re.compile(r"^(?:\*\*)?[A-Z][\w' ]{0,30}(?: ?\([^)]{0,30}\))?(?:\*\*)?:(?:\*\*)?\s*(?=\S)")
_SAYS = re.compile(r'^[^"]{0,60}[:,] ?"(?=\S)')


def clean(kind: Kind, style: Style, text: str, opening: str = "") -> tuple[str, bool]:
    """Return the text proper of a completion, and whether it is whole.

    Normalised, on one line, with straight double quotes. What is said ends at the closing quote, and loses what stands before its
    opening quote (a speaker's name). In the completion style the text further ends after its second sentence. It is whole if the
    quote was closed or the last sentence kept is finished; a text that ended by itself is whole too, which only the model knows.

    Parameters
    ----------
    opening
        What the prompt already wrote of the text.
    """
    said = spoken(text)
    if text and not said:
        return "", False  # nothing but thoughts
    flat = normalise((opening + said.split("\n", 1)[0]).translate(_QUOTES))
    closed = False
    if kind != "context":
        if style == "chat":
            flat = _TAG.sub("", flat)
            flat = flat[1:] if flat.startswith('"') else _SAYS.sub("", flat)
        body, quote, _ = flat.partition('"')
        flat, closed = body.strip(), bool(quote)
    elif style == "chat":
        flat = re.sub(r"^(?:\*\*)?Situation(?:\*\*)?: *", "", flat).strip('"').strip()
    if style == "chat":
        return flat, closed
    found = sentences(flat)
    whole = [sentence for sentence in found if _finished(sentence)]
    # An unfinished sentence is dropped if a finished one stands before it, unless the closing quote ends it.
    kept = found[:SENTENCES] if closed or len(whole) == len(found) or not whole else found[: min(SENTENCES, len(whole))]
    return " ".join(kept), bool(found) and (closed or bool(whole))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text.translate(_QUOTES).replace('"', "'")).strip()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
