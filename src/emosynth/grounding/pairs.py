"""Minimal pairs: one utterance in two contexts that call for different emotions.

A model that does not see the context gives both members of a pair the same answer, so at most one of them is right. Labels hold by
construction: what the context was asked to give reason for.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from emosynth.errors import UserError
from emosynth.generation.plan import stable_seed
from emosynth.grounding.answers import Job, ask
from emosynth.grounding.explicit import explicit_share
from emosynth.grounding.labels import Scorer, words_of
from emosynth.grounding.plan import SENTIMENT, Example, share_generators
from emosynth.grounding.prompts import Prompt, Style, Wording, build_prompt, clean
from emosynth.models.lm import LanguageModel
from emosynth.models.lm.labels import row_prompt
from emosynth.params import Generator, Grounding
from emosynth.store import RowStore
from emosynth.taxonomy import Taxonomy
from emosynth.text import grams, jaccard, words

HELD_OUT = 0.1
"""Share of the stories that pairs are made from, and no example."""

COLUMNS = [
    "pair_id", "emotion_a", "emotion_b", "context_a", "context_b", "utterance", "character", "passage_id", "generator", "complete_a",
    "complete_b", "explicit_a", "explicit_b", "prompt_hash_a", "prompt_hash_b", "prompt_hash_utterance", "ok",
]  # fmt: skip

ARM = "pairs"

Item = TypeVar("Item")


def held_out_stories(passages: pd.DataFrame, share: float, seed: int) -> frozenset[str]:
    """Return the stories kept for pairs: the last ones by hash of their id, ``share`` of all, rounded up.

    At least one story is left for examples; of a single story none is held out.

    Parameters
    ----------
    passages
        Column story_id.
    """
    stories = sorted(set(passages["story_id"]), key=lambda story: hashlib.sha256(f"{seed}/{story}".encode()).hexdigest())
    count = min(math.ceil(share * len(stories) - 1e-9), max(0, len(stories) - 1))
    return frozenset(stories[len(stories) - count :])


def held_out_cast(passages: pd.DataFrame, characters: pd.DataFrame, held: frozenset[str]) -> pd.DataFrame:
    """Return the characters of held-out stories without names that occur in other stories as well (in a series, say).

    Roles such as *the king* stay: they are nouns, not persons.
    """
    own = set(passages.loc[passages["story_id"].isin(held), "passage_id"])
    inside = characters["passage_id"].isin(own)
    seen = set(characters.loc[~inside & (characters["kind"] == "name"), "character"].str.casefold())
    repeated = (characters["kind"] == "name") & characters["character"].str.casefold().isin(seen)
    return characters[inside & ~repeated]


@dataclass(frozen=True)
class Pair:
    """A pair to be written: an example for each context, and the seed of the utterance."""

    pair_id: str
    first: Example
    second: Example
    row_seed: int


def plan_pairs(params: Grounding, taxonomy: Taxonomy, cast: pd.DataFrame, count: int, groups: Mapping[str, str] = SENTIMENT) -> list[Pair]:
    """Plan ``count`` pairs.

    Parameters
    ----------
    cast
        Columns passage_id, rank, character, kind.
    groups
        Group of a label. The two emotions of a pair are of different groups; labels without a group are not used.

    Returns
    -------
    list of Pair
        More pairs begin with the very ones of fewer. Emotions of each group come in rounds; which one is the first of a pair is
        drawn. All characters of all passages are used once before any is again.

    Raises
    ------
    UserError
        If there is no character, or the taxonomy has emotions of fewer than two groups.
    """
    if count == 0:
        return []
    members: dict[str, list[str]] = {}
    for label in taxonomy.labels:
        if label in groups:
            members.setdefault(groups[label], []).append(label)
    if len(members) < 2:
        raise UserError(
            f"The taxonomy {taxonomy.name} has no two emotions of opposite sentiment.",
            where="grounding.pairs",
            remedy="Set pairs to 0, or give more of its labels a group in src/emosynth/grounding/plan.py.",
        )
    people = list(
        cast.sort_values(["passage_id", "rank"], kind="stable")[["passage_id", "character", "kind"]].itertuples(index=False, name=None)
    )
    if not people:
        raise UserError(
            "No character is left for minimal pairs, which take stories of their own.",
            where="grounding.pairs",
            remedy="Set pairs to 0, or run the narratives step with more stories.",
        )
    seed = params.random_seed
    writers = share_generators(params.generators, count)
    out = []
    for index in range(count):
        rng = np.random.default_rng(stable_seed("pair", seed, index))
        chosen = rng.permutation(len(members))[:2]  # two groups, in drawn order
        names = list(members)
        emotions = [_turn(members[names[group]], seed, f"emotion {names[group]}", index) for group in chosen]
        passage, character, kind = _turn(people, seed, "cast", index)
        pair_id = f"{ARM}/{index:05d}"
        seeds = [stable_seed("pair", seed, index, part) for part in ("a", "b", "utterance")]
        first, second = (
            Example(f"{pair_id}/{side}", ARM, index, (emotion,), passage, character, kind, "", writers[index], (row_seed, 0, 0))
            for side, emotion, row_seed in zip("ab", emotions, seeds, strict=False)
        )
        out.append(Pair(pair_id, first, second, seeds[2]))
    return out


def _turn(items: list[Item], seed: int, name: str, index: int) -> Item:
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
    plan: list[Pair],
    params: Grounding,
    passages: Mapping[str, str],
    lexicon: Mapping[str, set[str]],
    open_model: Callable[[Generator], LanguageModel],
    store: RowStore,
    *,
    wording: Wording,
) -> pd.DataFrame:
    """Return all planned pairs with their texts.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`. ``ok``: both contexts are complete and no near-duplicates of each other, and the utterance is complete, long enough
        and names neither emotion. ``explicit_a``, ``explicit_b``: whether a context names its emotion; that does not make a pair
        wrong, but easy.
    """
    style = {name: weighted.prompt_style for name, weighted in params.generators.items()}
    jobs = []
    for pair in plan:
        writer, passage = pair.first.generator, passages[pair.first.passage_id]
        for side in (pair.first, pair.second):
            jobs.append(Job(build_prompt("context", style[writer], side, wording, passage), writer, side.row_seeds[0]))
        jobs.append(Job(neutral_utterance(style[writer], pair.first.character), writer, pair.row_seed))
    raw = ask(jobs, "minimal pairs", params, params.decoding, open_model, store)
    texts, whole = [], []
    for place, (job, answer) in enumerate(zip(jobs, raw, strict=True)):
        text, complete = clean("utterance" if place % 3 == 2 else "context", style[job.generator], answer.text, job.prompt.opening)
        texts.append(text)
        whole.append(complete or answer.ended)
    hashes = [hashlib.sha256(job.prompt.text.encode("utf-8")).hexdigest()[:16] for job in jobs]
    emotions = [side.emotions for pair in plan for side in (pair.first, pair.second)]
    named = explicit_share([text for place, text in enumerate(texts) if place % 3 < 2], emotions, lexicon)
    both = explicit_share(texts[2::3], [pair.first.emotions + pair.second.emotions for pair in plan], lexicon)
    records = []
    for index, pair in enumerate(plan):
        (first, second, said), ends = texts[3 * index : 3 * index + 3], whole[3 * index : 3 * index + 3]
        ok = (
            all(ends)
            and jaccard(grams(first), grams(second)) < params.near_duplicate
            and len(words(said)) >= params.min_words
            and not both[index]
        )
        records.append(
            (
                pair.pair_id, pair.first.emotions[0], pair.second.emotions[0], first, second, said, pair.first.character, pair.first.passage_id,
                pair.first.generator, *ends[:2], bool(named[2 * index]), bool(named[2 * index + 1]),
                *hashes[3 * index : 3 * index + 3], ok,
            )
        )  # fmt: skip
    return pd.DataFrame(records, columns=COLUMNS)


def shifts(pairs: pd.DataFrame, scorer: Scorer, taxonomy: Taxonomy) -> pd.Series:
    """Return how far the context moves a language model's reading the way it should, in nats.

    With s(e | c) the log-likelihood of emotion e's adjective after context c and the utterance, (s(a | a) - s(b | a)) - (s(a | b) -
    s(b | b)). Above 0: the scorer reads more of a and less of b in context a than in context b. What the words a and b are worth by
    themselves falls out, so no calibration is needed; chance is one half of the pairs.
    """
    if pairs.empty:
        return pd.Series(dtype=float)
    labels, names = words_of(taxonomy), list(taxonomy.labels)
    first, second = (
        scorer.score([row_prompt(*row) for row in zip(pairs["utterance"], pairs[context], pairs["character"], strict=True)], labels)
        for context in ("context_a", "context_b")
    )
    each = np.arange(len(pairs))
    a, b = ([names.index(label) for label in pairs[column]] for column in ("emotion_a", "emotion_b"))
    moved = (first[each, a] - first[each, b]) - (second[each, a] - second[each, b])
    return pd.Series(moved, index=pairs.index)
