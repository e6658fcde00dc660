"""What is to be written: one example per row, before any model is loaded.

Everything an example is drawn from depends on its index alone, never on its arm: arms are compared on common random numbers, and
an arm with more examples begins with the very examples of one with fewer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Literal

import numpy as np
import pandas as pd

from emosynth.errors import UserError
from emosynth.generation.plan import stable_seed
from emosynth.grounding.topics import TOPICS
from emosynth.params import Grounding, GroundingArm, WeightedGenerator

Kind = Literal["context", "utterance", "contextless"]

STEPS: tuple[Kind, ...] = ("context", "utterance", "contextless")
"""The three texts of an example, in the order in which they are written."""

_POSITIVE = "admiration amusement approval caring desire excitement gratitude joy love optimism pride relief"
_NEGATIVE = "anger annoyance disappointment disapproval disgust embarrassment fear grief nervousness remorse sadness"
SENTIMENT = {**dict.fromkeys(_POSITIVE.split(), "positive"), **dict.fromkeys(_NEGATIVE.split(), "negative")}
"""GoEmotions' groups (Demszky et al. 2020, arXiv:2005.00547, section 3); the ambiguous emotions and neutral are in neither."""


@dataclass(frozen=True)
class Example:
    """One example to be written.

    Attributes
    ----------
    example_id
        ``arm/index``, unique within a profile.
    arm, index
        Arm, and position in it.
    emotions
        One label, or two.
    passage_id, character, character_kind
        What it is grounded in; empty if the arm is ungrounded.
    topic
        Noun that a topical neutral example is about; otherwise empty.
    generator
        Name of the generator that writes it.
    row_seeds
        One for each of `STEPS`.
    """

    example_id: str
    arm: str
    index: int
    emotions: tuple[str, ...]
    passage_id: str
    character: str
    character_kind: str
    topic: str
    generator: str
    row_seeds: tuple[int, int, int]

    @property
    def grounded(self) -> bool:
        """Whether a passage and a character are given."""
        return bool(self.passage_id)


def plan_examples(
    params: Grounding,
    labels: Sequence[str],
    neutral: str | None,
    passages: pd.DataFrame,
    characters: pd.DataFrame,
    arm: str,
    groups: Mapping[str, str] = SENTIMENT,
) -> list[Example]:
    """Plan the examples of one arm.

    Parameters
    ----------
    labels
        Emotions of the taxonomy, neutral included.
    neutral
        The label of no emotion; it is never one of two. None: there is none.
    passages
        Columns passage_id, text.
    characters
        Columns passage_id, rank, character, kind.
    arm
        Its name in ``params.arms``.
    groups
        Group of a label. Two emotions go together unless their groups differ; a label without a group goes with every other.

    Returns
    -------
    list of Example
        By index. Each emotion is the first one of as many examples as any other, give or take one. All pairs of passage and
        character are used once before any is used again.

    Raises
    ------
    UserError
        If the arm does not exist, asks for an unknown emotion, or is grounded and there is no character.
    """
    if arm not in params.arms:
        raise UserError(f"There is no arm {arm}.", where="grounding.arms", remedy=f"Use one of {', '.join(params.arms)}.")
    own = params.arms[arm]
    wanted = own.emotions if own.emotions is not None else list(labels)
    strange = [label for label in wanted if label not in labels]
    if strange or not wanted:
        raise UserError(
            f"{strange[0]} is no emotion of the taxonomy." if strange else "There is no emotion to express.",
            where=f"grounding.arms.{arm}.emotions",
            remedy=f"Use some of {', '.join(labels)}.",
        )
    total = own.examples or params.examples
    seed = params.random_seed
    pairs = _pairs(passages, characters) if own.grounded else []
    if own.grounded and not pairs:
        raise UserError(
            "A grounded arm needs passages with characters; there are none.",
            where=f"grounding.arms.{arm}",
            remedy="Run the narratives step with more stories, or set grounded: false.",
        )
    texts = dict(zip(passages["passage_id"], passages["text"], strict=True)) if own.grounded else {}
    emotions = draw_emotions(wanted, neutral, total, params.two_emotions, seed, groups)
    writers = share_generators(params.generators, total)
    turns = _cycle(len(pairs), seed, "pair")
    examples = []
    for index in range(total):
        passage, character, kind = pairs[next(turns)] if pairs else ("", "", "")
        examples.append(
            Example(
                f"{arm}/{index:05d}",
                arm,
                index,
                emotions[index],
                passage,
                character,
                kind,
                _topic(own, emotions[index], neutral, texts.get(passage, ""), character, seed, index),
                writers[index],
                tuple(stable_seed("grounding", seed, index, step) for step in STEPS),  # type: ignore[arg-type]
            )
        )
    return examples


def draw_emotions(
    labels: Sequence[str], neutral: str | None, total: int, share: float, seed: int, groups: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Return the one or two emotions of each example.

    First emotions come in rounds of all labels in drawn order; a second one is the compatible emotion that was second least often
    so far. ``share`` of the examples have two, evenly spread, as far as there are compatible ones.
    """
    out: list[tuple[str, ...]] = []
    seconds: Counter[str] = Counter()
    paired = 0
    for index, turn in zip(range(total), _cycle(len(labels), seed, "emotion"), strict=False):
        first = labels[turn]
        fitting = [label for label in labels if label not in (first, neutral) and _compatible(first, label, groups)]
        if paired + 1 > (index + 1) * share + 1e-9 or first == neutral or not fitting:
            out.append((first,))
            continue
        order = np.random.default_rng(stable_seed("second", seed, index)).permutation(len(fitting))
        second = min((fitting[place] for place in order), key=lambda label: seconds[label])
        seconds[second] += 1
        paired += 1
        out.append((first, second))
    return out


def share_generators(generators: Mapping[str, WeightedGenerator], total: int) -> list[str]:
    """Return who writes each example: always the generator furthest behind its share, so shares hold at every length."""
    whole = sum(item.weight for item in generators.values())
    written: Counter[str] = Counter()
    out = []
    for index in range(total):
        behind = {name: item.weight / whole * (index + 1) - written[name] for name, item in generators.items()}
        name = max(behind, key=lambda key: round(behind[key], 9))  # rounded, so that ties go to the first on every machine
        written[name] += 1
        out.append(name)
    return out


def _compatible(first: str, second: str, groups: Mapping[str, str]) -> bool:
    return first not in groups or second not in groups or groups[first] == groups[second]


def _cycle(size: int, seed: int, name: str) -> Iterator[int]:
    """Yield all of 0 … size - 1 in drawn order, again and again, each time in another order; nothing if size is 0."""
    turns = count() if size else iter(())
    return chain.from_iterable(np.random.default_rng(stable_seed(name, seed, turn)).permutation(size).tolist() for turn in turns)


def _pairs(passages: pd.DataFrame, characters: pd.DataFrame) -> list[tuple[str, str, str]]:
    rows = characters[characters["passage_id"].isin(passages["passage_id"])].sort_values(["passage_id", "rank"], kind="stable")
    return list(zip(rows["passage_id"].tolist(), rows["character"].tolist(), rows["kind"].tolist(), strict=True))


# --- topics of neutral examples ---------------------------------------------------------------------

_ENDS = "of in on at by to from with into over under near for and or but who which that was were is are had has stood lay"
_THING = re.compile(rf"\b(?:the|a|an|his|her|its|their|my) ([a-z]{{3,}})(?=[,.;:!?]| (?:{_ENDS.replace(' ', '|')})\b)", re.I)

_VAGUE = "there other others same first second last one rest way thing things matter whole time day night hour moment turn middle end word name side place part"
_NO_THING = frozenset(_VAGUE.split())


def things(text: str) -> list[str]:
    """Return nouns of a text, in order, each once.

    Without a tagger: the one word between an article or possessive and a punctuation mark or function word.
    """
    found = dict.fromkeys(match.group(1).lower() for match in _THING.finditer(text))
    return [word for word in found if word not in _NO_THING]


def _topic(own: GroundingArm, emotions: tuple[str, ...], neutral: str | None, text: str, character: str, seed: int, index: int) -> str:
    if own.neutral != "topical" or emotions != (neutral,):
        return ""
    listed = [thing for thing in things(text) if thing not in character.lower().split()] or list(TOPICS)
    return listed[int(np.random.default_rng(stable_seed("topic", seed, index)).integers(len(listed)))]
