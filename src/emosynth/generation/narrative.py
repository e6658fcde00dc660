"""Writing from a narrative: passage and character, situation, utterance, and the utterance that needs no context.

Everything an example is drawn from depends on its number alone, never on its origin: arms are compared on common random numbers, and
one with more examples begins with the very examples of one with fewer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from emosynth.design.arms import Origin
from emosynth.design.cells import Cell, stable_seed
from emosynth.design.space import TARGET, Space
from emosynth.errors import UserError
from emosynth.generation.narrative_prompts import Kind, Scene, Style, build_prompt, clean
from emosynth.generation.prompts import block
from emosynth.generation.slots import Aid, Ask, Shower, Slot, Written, cycle, examples_needed, share_writers, with_seconds
from emosynth.generation.topics import TOPICS
from emosynth.guides.base import Guide
from emosynth.models.lm import Request
from emosynth.paths import repro
from emosynth.writers import Seeds

STEPS: tuple[Kind, ...] = ("context", "utterance", "contextless")


@dataclass(frozen=True)
class Cast:
    """Passages and characters that examples are grounded in: rows of passage_id, story_id, passage, character."""

    rows: Sequence[tuple[str, str, str, str]]

    @classmethod
    def of(cls, passages: pd.DataFrame, characters: pd.DataFrame) -> Cast:
        """Join the tables of step 03; every pair of passage and character is one row."""
        ordered = characters.sort_values(["passage_id", "rank"], kind="stable")
        joined = ordered.merge(passages[["passage_id", "story_id", "text"]], on="passage_id", how="inner")
        return cls(list(joined[["passage_id", "story_id", "text", "character"]].itertuples(index=False, name=None)))


@dataclass(frozen=True)
class Example:
    """One example to be written: its situation, and then the texts of the kinds asked for."""

    slot: Slot
    scene: Scene
    passage_id: str
    story_id: str
    row_seeds: tuple[int, int, int]
    kinds: tuple[str, ...]
    style: Style
    space: Space
    noun: str = "text"
    aid: Aid | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        """The texts that its kinds need."""
        # In the completion style a context-less text is told from the context alone.
        said = "contextual" in self.kinds or self.style == "chat"
        return ("context", *(["utterance"] if said else []), *(["contextless"] if "contextless" in self.kinds else []))

    @property
    def exposed(self) -> str:
        """The part of its prompts that shows exemplars."""
        return block("chat" if self.style == "chat" else "list", self.noun, "", self.aid.exemplars if self.aid is not None else ())

    def ask(self, step: str, before: Mapping[str, Written]) -> Ask:
        """Return the request of one text."""
        context, utterance = (before[name].text if name in before else "" for name in ("context", "utterance"))
        prompt = build_prompt(step, self.style, self.scene, self.space, context, utterance, self.noun, self.aid)  # type: ignore[arg-type]
        bias = () if step == "context" or self.aid is None else self.aid.bias
        seed = self.row_seeds[STEPS.index(step)]  # type: ignore[arg-type]
        return Ask(Request(prompt.text, seed, self.style == "chat", bias), prompt.opening)

    def clean(self, step: str, text: str, opening: str) -> tuple[str, bool]:
        """See `emosynth.generation.narrative_prompts.clean`."""
        return clean(step, self.style, text, opening)  # type: ignore[arg-type]

    def rows(self, written: Mapping[str, Written]) -> list[dict[str, Any]]:
        """Return a candidate of each kind. The first kind bears the tokens of what the others share."""
        shared = {
            "context": written["context"].text, "character": self.scene.character, "passage_id": self.passage_id, "story_id": self.story_id,
        }  # fmt: skip
        out, charged = [], set()
        for kind in self.kinds:
            last = "utterance" if kind == "contextual" else "contextless"
            mine = [step for step in self.steps[: self.steps.index(last) + 1] if step not in charged]
            charged.update(mine)
            tokens = {key: sum(getattr(written[step], key) for step in mine) for key in ("prompt_tokens", "new_tokens")}
            out.append(self.slot.columns(kind) | shared | written[last].columns() | tokens)
        return out


def plan_narrative(origin: Origin, needs: Mapping[Cell, int], spaces: Mapping[str, Space], cast: Cast, seeds: Seeds) -> list[Example]:
    """Plan the examples of an origin.

    Parameters
    ----------
    needs
        Candidates needed in each cell; see `emosynth.generation.slots.needs_of`.
    spaces
        The space asked for, by corpus of the cell (empty: a taxonomy).

    Returns
    -------
    list of Example
        In a taxonomy there is one series, of which each repeat has its own share; else each repeat of a corpus has a series of its own. Each label is the first one of as many examples of a series as any other, give or take one; all
        pairs of passage and character are used once before any is used again.

    Raises
    ------
    UserError
        If an unknown label is asked for, or there is no character to ground examples in.
    """
    guide = origin.narrative
    assert guide is not None
    kinds = len(set(guide.settings.kinds))
    seed = seeds.params.narratives.random_seed
    if origin.space != TARGET:
        repeats = max(seeds.params.cells.repeats_of(name) for name in seeds.params.corpora.names)
        wanted = {cell.repeat: examples_needed(total, kinds) for cell, total in needs.items()}
        size = next(iter(needs)).size
        # Each round of repeats in another order: number modulo repeats would hand every fourth example, the ones with two labels, to one.
        turns = cycle(repeats, seed, "repeat")
        places = [(Cell("", next(turns), size), number // repeats) for number in range(repeats * max(wanted.values()))]
        made = _series(origin, guide, spaces[""], places, seed, cast, seeds)
        return [example for example in made if example.slot.index < wanted.get(example.slot.cell.repeat, 0)]
    out = []
    for cell, total in needs.items():
        own = stable_seed("narrative", seed, cell.corpus, cell.repeat)
        places = [(cell, index) for index in range(examples_needed(total, kinds))]
        out += _series(origin, guide, spaces[cell.corpus], places, own, cast, seeds)
    return out


def _series(
    origin: Origin, guide: Guide, space: Space, places: Sequence[tuple[Cell, int]], seed: int, cast: Cast, seeds: Seeds
) -> list[Example]:
    own, params = guide.settings, seeds.params
    labels = _labels(origin, guide, space)
    if own.grounded and not cast.rows:
        raise UserError(
            "A grounded arm needs passages with characters; there are none.",
            where=f"guide of {origin.name}",
            remedy="Give narratives.sources more stories, or set narrative: {grounded: false}; then run: " + repro(),
        )
    share = 0.0 if space.single else params.generation.two_labels if own.two_labels is None else own.two_labels
    turns = cycle(len(labels), seed, "emotion")
    asked = with_seconds((labels[next(turns)] for _ in places), labels, space.neutral, share, seed)
    writers = share_writers(origin.writers, len(places))
    people = cycle(len(cast.rows), seed, "pair")
    style: Style = "chat" if params.generation.style == "chat" else "completion"
    showers = {cell: Shower(origin, cell, space, seeds) for cell in dict.fromkeys(cell for cell, _ in places)}
    seen: Counter[tuple[str, ...]] = Counter()
    kinds = tuple(kind for kind in ("contextual", "contextless") if kind in own.kinds)
    out = []
    for number, ((cell, index), wanted, writer) in enumerate(zip(places, asked, writers, strict=True)):
        passage_id, story_id, passage, character = cast.rows[next(people)] if own.grounded else ("", "", "", "")
        topic = ""
        if own.neutral == "topical" and wanted == (space.neutral,):
            listed = [thing for thing in things(passage) if thing not in character.lower().split()] or list(TOPICS)
            topic = listed[int(np.random.default_rng(stable_seed("topic", seed, number)).integers(len(listed)))]
        first, second, third = (stable_seed("grounding", seed, number, step) for step in STEPS)
        noun = seeds.corpus(cell.corpus).register_noun if cell.corpus else "text"
        aid = showers[cell].aid(wanted, seen[wanted])
        seen[wanted] += 1
        scene = Scene(wanted, character, passage, topic)
        slot = Slot(origin, writer, cell, index, wanted)
        out.append(Example(slot, scene, passage_id, story_id, (first, second, third), kinds, style, space, noun, aid))
    return out


def _labels(origin: Origin, guide: Guide, space: Space) -> tuple[str, ...]:
    wanted = guide.settings.labels
    strange = [label for label in wanted or [] if label not in space.labels]
    if strange:
        raise UserError(
            f"{strange[0]} is no label of {space.name}.",
            where=f"guide of {origin.name}: narrative.labels",
            remedy=f"Use some of {', '.join(space.labels)}.",
        )
    return space.labels if wanted is None else tuple(wanted)


# --- topics of neutral examples -------------------------------------------------------------------------

_ENDS = "of in on at by to from with into over under near for and or but who which that was were is are has had stood lay"
_THING = re.compile(rf"\b(?:the|a|an|his|her|its|their|my) ([a-z]{{3,}})(?=[,.;:!?]| (?:{_ENDS.replace(' ', '|')})\b)", re.I)

_VAGUE = "there other others same first second last one rest way thing things matter whole time day night hour moment turn middle end word name side place part"
_NO_THING = frozenset(_VAGUE.split())


def things(text: str) -> list[str]:
    """Return nouns of a text, in order, each once.

    Without a tagger: the one word between an article or possessive and a punctuation mark or function word.
    """
    found = dict.fromkeys(match.group(1).lower() for match in _THING.finditer(text))
    return [word for word in found if word not in _NO_THING]
