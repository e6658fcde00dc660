"""Minimal pairs: one utterance in two contexts that call for different labels.

A model that does not see the context gives both members of a pair the same answer, so at most one of them is right. Labels hold by
construction: what the context was asked to give reason for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from emosynth.context.explicit import explicit_share
from emosynth.design.cells import stable_seed
from emosynth.design.space import Space
from emosynth.generation.narrative_prompts import Prompt, Scene, Style, build_prompt, clean
from emosynth.generation.slots import SENTIMENT
from emosynth.labellers.reading import Scorer, words_of
from emosynth.models.lm import Request
from emosynth.text import grams, jaccard, words

COLUMNS = [
    "pair_id", "label_a", "label_b", "context_a", "context_b", "utterance", "character", "passage_id", "story_id", "generator", "complete_a",
    "complete_b", "explicit_a", "explicit_b", "prompt_hash_a", "prompt_hash_b", "prompt_hash_utterance", "ok",
]  # fmt: skip
NEAR_DUPLICATE = 0.8
"""Jaccard similarity of word 3-grams from which two contexts are one."""
LEAST_WORDS = 3
"""Words of an utterance, at least."""

Item = TypeVar("Item")
Ask = Callable[[Sequence[Request]], list[tuple[str, bool]]]
"""Returns for each request the text, and whether the model ended it itself."""


def cast_of_pairs(passages: pd.DataFrame, characters: pd.DataFrame, used: set[str]) -> pd.DataFrame:
    """Return passage_id, story_id, text and character of stories that no row is grounded in.

    Names that occur in other stories as well (in a series, say) are left out. Roles such as *the king* stay: they are nouns, not persons.

    Parameters
    ----------
    used
        Stories of contextual rows.
    """
    there = passages[["passage_id", "story_id", "text"]]
    joined = characters.sort_values(["passage_id", "rank"], kind="stable").merge(there, on="passage_id", how="inner")
    free, named = ~joined["story_id"].isin(used), joined["kind"] == "name"
    seen = set(joined.loc[~free & named, "character"].str.casefold())
    kept = free & ~(named & joined["character"].str.casefold().isin(seen))
    return joined.loc[kept, ["passage_id", "story_id", "text", "character"]].reset_index(drop=True)


@dataclass(frozen=True)
class Pair:
    """A pair to be written: a label for each context, who and where, and the seeds of both contexts and of the utterance."""

    pair_id: str
    labels: tuple[str, str]
    passage_id: str
    story_id: str
    passage: str
    character: str
    row_seeds: tuple[int, int, int]

    def scene(self, side: int) -> Scene:
        """Return what a context is about."""
        return Scene((self.labels[side],), self.character, self.passage)


def groups_of(space: Space, groups: Mapping[str, str] = SENTIMENT) -> dict[str, list[str]]:
    """Return the labels by group: the two of a pair are of different groups.

    Labels without a group are not used; if that leaves fewer than two groups, every label but the neutral one is a group of its own.
    """
    members: dict[str, list[str]] = {}
    for label in space.labels:
        if label in groups:
            members.setdefault(groups[label], []).append(label)
    return members if len(members) > 1 else {label: [label] for label in space.labels if label != space.neutral}


def plan_pairs(space: Space, cast: pd.DataFrame, count: int, seed: int) -> list[Pair]:
    """Plan ``count`` pairs; none if there are no two groups of labels, or no character.

    More pairs begin with the very ones of fewer. Labels of each group come in rounds; which one is the first of a pair is drawn. All
    characters of all passages are used once before any is again.

    Parameters
    ----------
    cast
        Of `cast_of_pairs`.
    """
    members, people = groups_of(space), list(cast.itertuples(index=False, name=None))
    if len(members) < 2 or not people:
        return []
    out = []
    for index in range(count):
        rng = np.random.default_rng(stable_seed("pair", seed, index))
        names = list(members)
        first, second = (names[group] for group in rng.permutation(len(names))[:2])  # two groups, in drawn order
        labels = tuple(_turn(members[name], seed, f"emotion {name}", index) for name in (first, second))
        passage_id, story_id, passage, character = _turn(people, seed, "cast", index)
        seeds = tuple(stable_seed("pair", seed, index, part) for part in ("a", "b", "utterance"))
        out.append(Pair(f"pairs/{index:05d}", labels, passage_id, story_id, passage, character, seeds))  # type: ignore[arg-type]
    return out


def _turn(items: Sequence[Item], seed: int, name: str, index: int) -> Item:
    """Return the item whose turn it is when all come in rounds, each round in another drawn order."""
    order = np.random.default_rng(stable_seed("turn", name, seed, index // len(items))).permutation(len(items))
    return items[order[index % len(items)]]


def neutral_utterance(style: Style, character: str) -> Prompt:
    """Return the prompt of an utterance without context and emotion."""
    if style == "chat":
        return Prompt(
            "Write something that the character named below may say, in the first person, in one short everyday sentence and in quotes. The "
            "words fit happy and sad situations alike and tell nothing of what the character feels. Reply with the utterance alone, on one line."
            f"\n\nCharacter: {character}"
        )
    return Prompt(f'{character[:1].upper()}{character[1:]} says: "')


def write_pairs(
    plan: Sequence[Pair], space: Space, style: Style, ask: Ask, lexicon: Mapping[str, set[str]], generator: str
) -> pd.DataFrame:
    """Return all planned pairs with their texts.

    Parameters
    ----------
    ask
        Asks the writer.
    lexicon
        Words that name each label (`emosynth.context.explicit.lexicon`).

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`. ``ok``: both contexts are complete and no near-duplicates of each other, and the utterance is complete, long enough
        and names neither label. ``explicit_a``, ``explicit_b``: whether a context names its label; that does not make a pair
        wrong, but easy.
    """
    prompts: list[Prompt] = []
    seeds: list[int] = []
    for pair in plan:
        prompts += [build_prompt("context", style, pair.scene(side), space) for side in (0, 1)]
        prompts.append(neutral_utterance(style, pair.character))
        seeds += pair.row_seeds
    answers = ask([Request(prompt.text, seed, style == "chat") for prompt, seed in zip(prompts, seeds, strict=True)]) if plan else []
    texts, whole = [], []
    for place, (prompt, (answer, ended)) in enumerate(zip(prompts, answers, strict=True)):
        text, complete = clean("utterance" if place % 3 == 2 else "context", style, answer, prompt.opening)
        texts.append(text)
        whole.append(complete or ended)
    hashes = [hashlib.sha256(prompt.text.encode("utf-8")).hexdigest()[:16] for prompt in prompts]
    sides = [text for place, text in enumerate(texts) if place % 3 < 2]
    named = explicit_share(sides, [[label] for pair in plan for label in pair.labels], lexicon)
    both = explicit_share(texts[2::3], [pair.labels for pair in plan], lexicon)
    records = []
    for index, pair in enumerate(plan):
        own = slice(3 * index, 3 * index + 3)
        (first, second, said), ends = texts[own], whole[own]
        unlike = jaccard(grams(first), grams(second)) < NEAR_DUPLICATE
        ok = all(ends) and unlike and len(words(said)) >= LEAST_WORDS and not both[index]
        explicit = [bool(item) for item in named[2 * index : 2 * index + 2]]
        records.append(
            (pair.pair_id, *pair.labels, first, second, said, pair.character, pair.passage_id, pair.story_id, generator, *ends[:2], *explicit,
             *hashes[own], ok)
        )  # fmt: skip
    return pd.DataFrame(records, columns=COLUMNS)


def shifts(pairs: pd.DataFrame, scorer: Scorer, space: Space) -> pd.Series:
    """Return how far the context moves a language model's reading the way it should, in nats.

    With s(e | c) the log-likelihood of label e's adjective after context c and the utterance, (s(a | a) - s(b | a)) - (s(a | b) -
    s(b | b)). Above 0: the model reads more of a and less of b in context a than in context b. What the words a and b are worth by
    themselves falls out, so no calibration is needed; chance is one half of the pairs.
    """
    from emosynth.models.lm.labels import row_prompt

    if pairs.empty:
        return pd.Series(dtype=float)
    labels, names = words_of(space), list(space.labels)
    first, second = (
        scorer.score([row_prompt(*row) for row in zip(pairs["utterance"], pairs[context], pairs["character"], strict=True)], labels)
        for context in ("context_a", "context_b")
    )
    each = np.arange(len(pairs))
    a, b = ([names.index(label) for label in pairs[column]] for column in ("label_a", "label_b"))
    moved = (first[each, a] - first[each, b]) - (second[each, a] - second[each, b])
    return pd.Series(moved, index=pairs.index)
