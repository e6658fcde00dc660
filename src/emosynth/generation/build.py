"""Step 05 from files: plan and write the candidates of every origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.design.arms import list_origins, resolve_arms
from emosynth.design.cells import list_cells
from emosynth.design.space import TARGET
from emosynth.errors import UserError
from emosynth.files import write_json
from emosynth.generation.counterparts import warned
from emosynth.generation.edited import edited_rows
from emosynth.generation.from_class import plan_class
from emosynth.generation.narrative import Cast, plan_narrative
from emosynth.generation.prompts import one_line
from emosynth.generation.read import COLUMNS
from emosynth.generation.slots import Item, needs_of, space_asked
from emosynth.generation.write import OpenWriter, write_all
from emosynth.narratives import held_out_stories, load_passages
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say, warn
from emosynth.store import RowStore
from emosynth.writers import Seeds, list_uses, open_writer

_COLUMNS = {
    "candidate_id": "origin, corpus, size, repeat, label, index and, for narratives, kind",
    "origin": "guide, writer and space",
    "writer": "name in writers",
    "space": "labels that were asked for: target, or a taxonomy",
    "corpus": "empty: owes nothing to a corpus",
    "size": "of the seed; -1: owes nothing to a seed",
    "repeat": "of the seed; of what owes nothing to one, disjoint subsets",
    "index": "from 0 within origin, corpus, size, repeat and label; of narratives, the example's number within origin, corpus, size and repeat",
    "label": "the label whose quota the text fills",
    "labels": "all that the text is to express, one or two",
    "kind": "contextual: an utterance, to be read with its context; contextless: a text to be read alone; else empty",
    "context": "the situation, written first; of narratives only",
    "character": "who speaks; empty: nobody in particular",
    "passage_id": "passage shown; see step 03",
    "story_id": "story of the passage",
    "prompt": "what the writer continued",
    "generator": "backend and model",
    "finish": "stop: the model ended the text; length: the limit did; refused: the server rejected the request, or a local model failed at it; failed: it gave no usable answer",
    "complete": "the end of the text was reached",
    "prompt_tokens": "tokens read, those of texts written on the way included",
    "new_tokens": "tokens written, likewise",
    "error": "why there is no text, as the server says or its answer shows; else empty",
}
_LIMITS = [
    "Labels are intentions of a prompt, not judgements of people.",
    "The texts come from language models and repeat their biases; they must not be taken for what people wrote.",
    "Prompts may quote rows of a seed or passages of stories, and texts may repeat words of them; they may offend.",
]


def plan_all(params: Params, seeds: Seeds, paths: Paths) -> list[Item]:
    """Plan every origin that a model writes, in the order of arms.

    Raises
    ------
    UserError
        If guides, passages, labels or writers do not fit, or a text from outside the seeds stands in a prompt.
    """
    uses = list_uses(params)
    cast: Cast | None = None
    items: list[Item] = []
    for origin in list_origins(params).values():
        needs = needs_of(params, [use for use in uses if use.origin.name == origin.name])
        if not needs or origin.edits is not None:
            continue
        spaces = {
            name: space_asked(origin, seeds.space(name) if name else None, seeds.taxonomies)
            for name in dict.fromkeys(cell.corpus for cell in needs)
        }
        if origin.narrative is not None:
            if cast is None or not cast.rows:
                cast = _cast(params, paths) if origin.narrative.settings.grounded else Cast([])
            items += plan_narrative(origin, needs, spaces, cast, seeds)
        else:
            for cell, total in needs.items():
                items += plan_class(origin, cell, total, spaces[cell.corpus], seeds)
    for name in params.corpora.names:
        check_no_leak([item for item in items if item.slot.cell.corpus == name], _outside(name, params, seeds))
    return items


def _cast(params: Params, paths: Paths) -> Cast:
    """Return passages and characters but for those of the stories that are kept for minimal pairs."""
    passages, characters = load_passages(paths.narratives)
    held = held_out_stories(passages, params.narratives.random_seed)
    return Cast.of(passages[~passages["story_id"].isin(held)], characters)


def _outside(name: str, params: Params, seeds: Seeds) -> Iterable[str]:
    """Return the texts of a corpus that are in no seed: those of its pool, validation and test rows."""
    largest = {cell.repeat: cell for cell in list_cells(params, name)}  # sizes ascend
    known = {row for cell in largest.values() for row in seeds.seed(cell).ids}
    frame = seeds.corpus(name).frame
    return [str(text) for text in frame.loc[~frame["id"].isin(known), "text"]]


def check_no_leak(items: Sequence[Item], forbidden: Iterable[str]) -> None:
    """Fail if a text that must stay unseen stands in a prompt.

    Parameters
    ----------
    forbidden
        Texts of the validation and test splits and of the pool. Texts of fewer than 20 characters are not looked for: they occur in
        others by chance.

    Raises
    ------
    UserError
        Naming the candidate whose prompt holds the text.
    """
    shown: dict[str, str] = {}
    for exposed, name in {item.exposed: item.slot.candidate_id() for item in items}.items():
        shown |= {line: name for line in exposed.split("\n") if line.startswith("- ")}
    for text in forbidden if shown else ():
        flat = one_line(text)
        line = next((form for form in (f'- "{flat}"', f"- {flat}") if len(flat) >= 20 and form in shown), None)
        if line is not None:
            raise UserError(
                f"A text from outside the seed stands in the prompt of {shown[line]}.",
                where=f"text beginning {flat[:30]!r}",
                remedy="This is a bug; do not use these candidates.",
            )


def build_candidates(
    params: Params, catalog: Catalog, paths: Paths, open_model: OpenWriter | None = None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Make every candidate that an arm needs, texts of models from the cache where they are there; write ``candidates.parquet``, its card and ``generators.json``.

    All is planned before the first model is loaded. A killed run loses at most the unit of ``batch`` texts in flight.

    Parameters
    ----------
    open_model
        Opens writers; None: as the parameters say.

    Returns
    -------
    candidates
        One row a text, in the order of the plan, edits of seed rows last; see docs/architecture.md for columns.
    account
        See `emosynth.generation.write.write_all`.

    Raises
    ------
    UserError
        If what is planned does not fit, a model cannot be opened or fails, or the cache cannot be written.
    """
    seeds = Seeds(params, paths)
    _warn_of_classes(params, seeds)
    items, edited = plan_all(params, seeds, paths), list(edited_rows(params, seeds))
    if not items and not edited:
        say("generation: no arm has written rows")
    with RowStore(paths.cache / "rows" / "generation.sqlite") as store:
        opened = open_model or (lambda name, cell, salt: open_writer(params, name, catalog, paths, cell, salt))
        rows, account = write_all(items, params, opened, store)
    for line in _unusable(account):
        warn(f"generation: {line}")
    frame = pd.DataFrame.from_records([*rows, *edited], columns=COLUMNS)
    write_table(frame, paths.candidates / "candidates.parquet", _card(frame, account, params, seeds))
    write_json(paths.candidates / "generators.json", account)
    return frame, account


def _warn_of_classes(params: Params, seeds: Seeds) -> None:
    """Warn, before hours are spent on writing, of classes that rows of another list of labels cannot teach."""
    arms = {name: arm for name, arm in resolve_arms(params).items() if arm.spec.space != TARGET}
    for name in params.corpora.names if arms else []:
        for line in warned(arms, seeds.space(name), seeds.taxonomies):
            warn(f"generation: {line}")


def _unusable(account: Mapping[str, Any]) -> list[str]:
    """Return what a reader should know of texts that are not there."""
    out = []
    for origin, steps in account["unusable"].items():
        counts = {kind: sum(found[kind] for found in steps.values()) for kind in ("empty", "refused")}
        if any(counts.values()):
            total = sum(account["steps"][origin][step]["texts"] for step in steps)
            out.append(
                f"Of {total:,} texts of {origin}, " + " and ".join(f"{count:,} are {kind}" for kind, count in counts.items() if count) + "."
            )
    return out


def _card(frame: pd.DataFrame, account: Mapping[str, Any], params: Params, seeds: Seeds) -> Card:
    corpora = [seeds.corpus(name) for name in params.corpora.names]
    origins = list_origins(params).values()
    limits = list(_LIMITS)
    if not account["deterministic"]:
        limits.append("At least one writer cannot promise equal texts on equal requests; only the row cache makes runs repeatable.")
    limits += [f"{name}: {identity['notes']}." for name, identity in account["generators"].items() if "notes" in identity]
    limits += _unusable(account)
    return Card(
        title="Synthetic candidates",
        what=f"{len(frame):,} generated texts with their provenance. Verdicts are in a table of their own; nothing is dropped.",
        made=f"Step 05 (generation). Style {params.generation.style}; decoding {params.generation.decoding.model_dump()}, but for what a writer sets.",
        sources=[
            *[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
            *[Source(name=name, hash=str(identity.get("model", ""))) for name, identity in account["generators"].items()],
        ],
        columns=_COLUMNS,
        counts={str(origin): {"candidates": len(rows)} for origin, rows in frame.groupby("origin", sort=False)},
        limits=limits,
        licence="; ".join(dict.fromkeys(corpus.licence for corpus in corpora)),
        languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)),
        tags=["synthetic", "emotion"],
        citation="\n\n".join(dict.fromkeys(guide.citation for origin in origins for guide in origin.guides if guide.citation)),
    )
