"""Minimal pairs: one utterance in two contexts that call for different labels.

A model that does not see the context gives both members of a pair the same answer, so at most one of them is right. Labels hold by
construction: what the context was asked to give reason for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from nltk.stem.snowball import SnowballStemmer

from emosynth.design.cells import stable_seed
from emosynth.design.space import Space
from emosynth.generation.narrative_prompts import SOMEBODY, Prompt, Scene, Style, build_prompt, clean
from emosynth.generation.slots import SENTIMENT
from emosynth.labellers.reading import Scorer, words_of
from emosynth.models.lm import Request
from emosynth.taxonomy import Resolver
from emosynth.text import grams, jaccard, ngrams, normalise, words

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
    """Return passage_id, story_id, text and character of stories that no row is grounded in (``used``).

    Names that occur in used stories as well (in a series, say) are left out. Roles such as *the king* stay: they are no persons.
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
    """Return the labels by group: the two of a pair are of different ones. If fewer than two groups have any, every label is its own."""
    members: dict[str, list[str]] = {}
    for label in space.labels:
        if label in groups:
            members.setdefault(groups[label], []).append(label)
    return members if len(members) > 1 else {label: [label] for label in space.labels if label != space.neutral}


def plan_pairs(space: Space, cast: pd.DataFrame, count: int, seed: int) -> list[Pair]:
    """Plan ``count`` pairs; none if there are no two groups of labels, or no character.

    More pairs begin with the very ones of fewer. Labels of each group, and characters, come in rounds.
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
    """Return all planned pairs with their texts: `COLUMNS`; ``lexicon``: see `lexicon`.

    ``ok``: both contexts are complete and no near-duplicates of each other, and the utterance is complete, long enough and names neither
    label. ``explicit_a``, ``explicit_b``: whether a context names its label; that does not make a pair wrong, but easy.
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
    """Return how far the context moves a language model's reading the way it should, in nats: above 0, and by chance in half of the pairs.

    With s(e | c) the log-likelihood of label e's adjective after context c and the utterance, (s(a | a) - s(b | a)) - (s(a | b) - s(b |
    b)): what the words a and b are worth by themselves falls out.
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


# --- texts that name their emotion: there is little to be learnt from *I am so angry* ---

BoolArray = npt.NDArray[np.bool_]

_AROUND = "a an the of in on at to by with and or no full sense feeling emotion emotions particular"
_FILLERS = frozenset(_AROUND.split())


def lexicon(*verbalisations: Mapping[str, str | Iterable[str]]) -> dict[str, set[str]]:
    """Return for each label the words and expressions that name it: the label and its ``verbalisations`` by label.

    Of *full of admiration*, what only leads to the name is left out at the ends; of *no particular emotion*, all.
    """
    out: dict[str, set[str]] = {}
    for mapping in verbalisations:
        for label, given in mapping.items():
            for expression in [label, *([given] if isinstance(given, str) else given)]:
                tokens = words(expression.replace("-", " ").replace("_", " "))
                while tokens and tokens[0] in _FILLERS:
                    tokens = tokens[1:]
                while tokens and tokens[-1] in _FILLERS:
                    tokens = tokens[:-1]
                out.setdefault(label, set()).update([" ".join(tokens)] if tokens else [])
    return out


def explicit_share(texts: Sequence[str], emotions: Sequence[Sequence[str]], lexicon: Mapping[str, Iterable[str]]) -> BoolArray:
    """Return for each text whether it names one of its emotions; words are compared by their stem (Snowball; Porter 2001)."""
    stemmer = SnowballStemmer("english")
    known = {label: {tuple(map(stemmer.stem, words(item))) for item in items} - {()} for label, items in lexicon.items()}
    out = np.zeros(len(texts), dtype=bool)
    for place, (text, labels) in enumerate(zip(texts, emotions, strict=True)):
        stems = [stemmer.stem(word) for word in words(text)]
        names = {name for label in labels for name in known.get(label, ())}
        out[place] = any(name in names for size in {len(name) for name in names} for name in ngrams(stems, size))
    return out


# --- what a generator calls the emotion of a text in its own words, and where that goes in the taxonomy ---

NAMED = ["candidate_id", "raw", "label", "how", "similarity"]

TOKENS = 12
"""Tokens of an answer, at most."""
NAMES = 2
"""Names taken of one answer, at most."""

_END = re.compile(r'["\n.!?:()]')
_BORDER = re.compile(r"[,/;&]|\b(?:and|or)\b", re.I)
_LEAD = re.compile(
    r"^(?:(?:i|he|she|it|they|the \w+)\b(?:\s+(?:am|is|are)\b|'s|'m|'re)?|feels?|feeling|felt|very|so|really|a bit|a little|"
    r"(?:a |the )?(?:sense|feeling) of|of)\b\s*",
    re.I,
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"})


def naming_prompt(style: Style, text: str, context: str = "", character: str = "") -> str:
    """Return the prompt that asks what the speaker feels, in one or two words."""
    text, context = (normalise(item).replace('"', "'") for item in (text, context))
    if style == "chat":
        situation = f"Situation: {context}\n" if context else ""
        return (
            "Name the emotion of the character who says the utterance below, in one or two words. If there are two emotions, part them by a "
            "comma. Reply with nothing else.\n\n"
            f'{situation}Character: {character or SOMEBODY}\nUtterance: "{text}"'
        )
    who = character or SOMEBODY.replace("a ", "the ", 1)
    shown = f"{context}\n" if context else ""
    return f'{shown}{who[:1].upper()}{who[1:]} says: "{text}"\nThe name of the emotion that {who} feels is "'


def parse_names(answer: str) -> list[str]:
    """Return the names of emotions in an answer, in lower case and without words around them: the first `NAMES` of the first line.

    The answer ends at a quotation mark (but one that begins it) or a sentence; names are parted by commas, slashes, *and*, *or*.
    """
    line = answer.translate(_QUOTES).strip().removeprefix('"').strip()
    names = []
    for piece in _BORDER.split(_END.split(line, maxsplit=1)[0]):
        name = normalise(piece).strip(" '*-_").lower()
        while (shorter := _LEAD.sub("", name)) != name:
            name = shorter
        names += [name] if name else []
    return names[:NAMES]


def rows_to_name(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return at most ``count`` rows, evenly over labels: of each the first row, then the second …"""
    fit = rows.sort_values(["repeat", "index"], kind="stable")
    turn = fit.groupby("label", sort=False).cumcount()
    return fit.assign(turn=turn).sort_values("turn", kind="stable").head(count).drop(columns="turn").reset_index(drop=True)


def name_labels(rows: pd.DataFrame, style: Style, seed: int, ask: Ask, resolver: Resolver) -> pd.DataFrame:
    """Let the writer (``ask``, for `TOKENS` tokens) name the emotions of rows, and resolve the names: `NAMED`, one row per name.

    An answer without any name is one row with an empty one.
    """
    shown = rows[["candidate_id", "repeat", "index", "text", "context", "character"]].itertuples(index=False, name=None)
    ids, requests = [], []
    for row_id, repeat, index, text, context, character in shown:
        ids.append(row_id)
        prompt = naming_prompt(style, text, context or "", character or "")
        requests.append(Request(prompt, stable_seed("naming", seed, repeat, index), style == "chat"))
    answers: Sequence[tuple[str, bool]] = ask(requests) if requests else []
    names = [(row_id, name) for row_id, (answer, _) in zip(ids, answers, strict=True) for name in parse_names(answer) or [""]]
    found = resolver.resolve([name for _, name in names])
    table = [(row_id, name, item.label, item.how, item.similarity) for (row_id, name), item in zip(names, found, strict=True)]
    return pd.DataFrame(table, columns=NAMED)
