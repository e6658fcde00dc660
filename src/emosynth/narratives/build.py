"""Building, loading and describing passages with characters."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from emosynth.cards import Card, Source, read_table, write_table
from emosynth.catalog import Catalog
from emosynth.design.arms import list_origins
from emosynth.errors import UserError
from emosynth.models.tagger import Tag, load_tagger
from emosynth.narratives.characters import cast_of, characters_of, lower_case, tokens
from emosynth.narratives.read import Library, choose, distinct, read_stories, split_story
from emosynth.params import Narratives, Params
from emosynth.paths import Paths, repro
from emosynth.progress import say

_PASSAGES = {
    "passage_id": "story_id and index", "story_id": "the story, see stories.parquet",
    "title": "title of the story; empty where the source gives none",
    "source": "as named in narratives.sources, with the file where there are several",
    "index": "place among the passages cut from the story, from 0; gaps are passages left out",
    "text": "successive sentences, normalised, on one line", "words": "words, as white space separates them",
}  # fmt: skip
_CHARACTERS = {
    "passage_id": "the passage", "rank": "1: most mentions in the passage, then first to appear",
    "character": "a name as its longest mention in the passage has it; or a role with its adjectives, after 'the'", "kind": "name or role",
    "mentions": "in the passage, by name or role; pronouns are not counted",
}  # fmt: skip
_STORIES = {
    "story_id": "source and title, or a hash of the text where there is no title", "title": "empty where the source gives none",
    "source": "as named in narratives.sources, with the file where there are several", "words": "of the whole story", "passages": "kept",
}  # fmt: skip

Frames = dict[str, pd.DataFrame]
HELD_OUT = 0.1
"""Share of the stories that minimal pairs are made from, and no candidate."""


def held_out_stories(passages: pd.DataFrame, seed: int, share: float = HELD_OUT) -> frozenset[str]:
    """Return the stories kept for minimal pairs: the last by hash of their id, ``share`` rounded up, never all; of a single story none."""
    stories = sorted(set(passages["story_id"]), key=lambda story: hashlib.sha256(f"{seed}/{story}".encode()).hexdigest())
    count = min(math.ceil(share * len(stories) - 1e-9), max(0, len(stories) - 1))
    return frozenset(stories[len(stories) - count :])


def build_narratives(params: Params, catalog: Catalog, paths: Paths, tag: Tag | None = None) -> Frames:
    """Read stories, cut them into passages, find the characters of each, and write all; nothing if no arm is guided by one.

    Parameters
    ----------
    tag
        Part-of-speech tagger of one sentence's tokens (Penn Treebank tags); None: the averaged perceptron tagger of the catalogue.

    Returns
    -------
    dict
        ``stories``, ``passages`` and ``characters``, as their cards explain; ``counts`` of what was read, left out and kept.

    Raises
    ------
    UserError
        For a source that cannot be read, or if no passage is left.
    """
    if not any(origin.narrative is not None for origin in list_origins(params).values()):
        say("narratives: no arm is guided by a narrative")
        columns = {"stories": _STORIES, "passages": _PASSAGES, "characters": _CHARACTERS}
        tables = {name: pd.DataFrame(columns=list(names)) for name, names in columns.items()}
        return _write(tables, {}, params.narratives, Library([], [], 0), paths)
    if tag is None:
        tag = load_tagger(catalog.fetch("aptagger"), paths.cache / "nltk_data")
    return _write(*_read(params.narratives, catalog, paths, tag), paths)


def _read(params: Narratives, catalog: Catalog, paths: Paths, tag: Tag) -> tuple[Frames, dict[str, int], Narratives, Library]:
    library = read_stories(params.sources, catalog, paths)
    stories = {story.story_id: story for story in library.stories}
    say(f"narratives: {len(stories)} stories read; cutting passages")
    cut = [passage for story in library.stories for passage in split_story(story, params.min_words, params.max_words)]
    unlike = distinct(cut, params.near_duplicate)
    say(f"narratives: {len(cut)} passages, {len(cut) - len(unlike)} of them near-duplicates; looking for characters")

    lower = lower_case(story.text for story in library.stories)
    tagged = {passage.passage_id: [tag(tokens(sentence)) for sentence in passage.sentences] for passage in cut}
    of_story: dict[str, list[str]] = {}
    for passage in cut:
        of_story.setdefault(passage.story_id, []).append(passage.passage_id)
    casts = {key: cast_of([sentence for item in items for sentence in tagged[item]], lower) for key, items in of_story.items()}
    found = {item.passage_id: characters_of(tagged[item.passage_id], casts[item.story_id], params.characters) for item in unlike}
    peopled = [passage for passage in unlike if found[passage.passage_id]]
    kept = choose(peopled, params.passages, params.random_seed)
    if not kept:
        raise UserError(
            f"No passage is left: {len(stories)} stories gave {len(cut)} passages of {params.min_words} to {params.max_words} words, "
            f"{len(unlike)} unlike each other, {len(peopled)} with a character.",
            where="narratives",
            remedy="Name sources with longer stories, or widen min_words and max_words.",
        )

    cuts, people = [], []
    for passage in kept:
        key, story = passage.passage_id, stories[passage.story_id]
        cuts.append((key, passage.story_id, story.title, story.source, passage.index, passage.text, passage.words))
        people += [(key, rank, item.name, item.kind, item.mentions) for rank, item in enumerate(found[key], start=1)]
    per_story = Counter(passage.story_id for passage in kept)
    read = [(story.story_id, story.title, story.source, len(story.text.split()), per_story[story.story_id]) for story in library.stories]
    tables = {
        "stories": pd.DataFrame(read, columns=list(_STORIES)), "passages": pd.DataFrame(cuts, columns=list(_PASSAGES)),
        "characters": pd.DataFrame(people, columns=list(_CHARACTERS)),
    }  # fmt: skip
    kinds = Counter(tables["characters"]["kind"])
    counts = {
        "stories": len(stories), "stories dropped as exact copies": library.repeated, "passages cut": len(cut),
        "passages dropped as near-duplicates": len(cut) - len(unlike), "passages dropped without characters": len(unlike) - len(peopled),
        "passages not chosen": len(peopled) - len(kept), "passages kept": len(kept), "characters (names)": kinds["name"],
        "characters (roles)": kinds["role"],
    }  # fmt: skip
    say(f"narratives: {len(kept)} passages kept, {len(people)} characters")
    return tables, counts, params, library


def _write(tables: Frames, counts: dict[str, int], params: Narratives, library: Library, paths: Paths) -> Frames:
    made = (
        f"Step 03 (narratives). Stories are cut at the ends of sentences into passages of {params.min_words} to {params.max_words} words. A passage whose "
        f"word 3-grams overlap with an earlier one's by {params.near_duplicate:g} or more (Jaccard) is dropped, and so is one without characters. "
        f"{'All others are kept' if params.passages is None else f'{params.passages} are kept, spread evenly over the stories'}. Characters are found "
        "by parts of speech (averaged perceptron tagger), word lists, and evidence from the whole story (titles, verbs of speech)."
    )
    limits = [
        "Characters are found without coreference: one person may appear by name and by role, and a narrator who says I is not found.",
        "Some characters are only spoken of in the passage, and a few are none at all.",
        "Stories published without full stops are cut before function words with a capital; their passages are not always whole sentences.",
        "The text is third parties' and may offend; it is not part of the repository.",
    ]
    about = (
        ("passages", _PASSAGES, "Passages of narratives", "Short passages of stories, each with at least one character."),
        ("characters", _CHARACTERS, "Characters of the passages", "Who is in each passage, the most mentioned first."),
        ("stories", _STORIES, "Stories", "The stories that the passages were cut from, without their text."),
    )
    for name, columns, title, what in about:
        card = Card(
            title=title, what=what, made=made,
            sources=[Source(name=origin.name, version=origin.version, hash=origin.hash) for origin in library.origins], columns=columns,
            counts=counts, limits=limits, licence="; ".join(dict.fromkeys(origin.licence for origin in library.origins)) or "mit",
            languages=list(dict.fromkeys(language for origin in library.origins for language in origin.languages)) or ["en"],
            task_categories=["text-generation"], tags=["narratives", "characters"],
            citation="\n\n".join(dict.fromkeys(origin.citation for origin in library.origins if origin.citation)),
        )  # fmt: skip
        write_table(tables[name], paths.narratives / f"{name}.parquet", card)
    return tables | {"counts": pd.DataFrame({"count": counts}, dtype=int).rename_axis("what")}


def load_passages(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return passages and characters that this step wrote. Raises UserError if they have not been made, or do not belong together."""
    passages = read_table(folder / "passages.parquet", stage="narratives")
    characters = read_table(folder / "characters.parquet", stage="narratives")
    if set(characters["passage_id"]) != set(passages["passage_id"]):
        run = f"Run: {repro('03_narratives', again=True)}"
        raise UserError("Passages and characters do not belong together.", where=str(folder), remedy=run)
    return passages, characters


def describe(tables: Mapping[str, pd.DataFrame], examples: int = 8, seed: int = 0) -> Frames:
    """Return tables for the notebook: ``counts``, ``sources`` (with passages, words and characters), ``examples`` drawn with ``seed``."""
    characters = tables["characters"].groupby("passage_id")["character"]
    passages = tables["passages"].assign(characters=tables["passages"]["passage_id"].map(characters.size()))
    sources = passages.groupby("source", sort=False).agg(
        stories=("story_id", "nunique"), passages=("text", "size"), words=("words", "sum"), characters=("characters", "mean")
    )
    shown = passages.iloc[sorted(np.random.default_rng(seed).permutation(len(passages))[:examples])]
    shown = shown.assign(characters=shown["passage_id"].map(characters.agg(", ".join)))[["source", "title", "characters", "text"]]
    sources = sources.rename(columns={"characters": "characters a passage"})
    return {"counts": tables["counts"], "sources": sources, "examples": shown.reset_index(drop=True)}
