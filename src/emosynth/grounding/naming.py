"""What a generator calls the emotion of a text in its own words, and where that goes in the taxonomy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pandas as pd

from emosynth.generation.plan import stable_seed
from emosynth.grounding.answers import Job, ask
from emosynth.grounding.prompts import SOMEBODY, Prompt, Style
from emosynth.models.lm import LanguageModel
from emosynth.params import Generator, Grounding
from emosynth.store import RowStore
from emosynth.taxonomy import Resolver, confusion
from emosynth.text import normalise

COLUMNS = ["row_id", "arm", "raw", "label", "how", "similarity"]

NAMES = 2
"""Names taken of one answer, at most."""

_TOKENS = 12
_END = re.compile(r'["\n.!?:()]')
_BORDER = re.compile(r"[,/;&]|\b(?:and|or)\b", re.I)
_LEAD = re.compile(
    r"^(?:(?:i|he|she|it|they|the \w+)\b(?:\s+(?:am|is|are)\b|'s|'m|'re)?|feels?|feeling|felt|very|so|really|a bit|a little|"
    r"(?:a |the )?(?:sense|feeling) of|of)\b\s*",
    re.I,
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'"})


def naming_prompt(style: Style, text: str, context: str = "", character: str = "") -> Prompt:
    """Return the prompt that asks what the speaker feels, in one or two words."""
    text, context = (normalise(item).replace('"', "'") for item in (text, context))
    if style == "chat":
        situation = f"Situation: {context}\n" if context else ""
        return Prompt(
            "Name the emotion of the character who says the utterance below, in one or two words. If there are two emotions, part them by a "
            "comma. Reply with nothing else.\n\n"
            f'{situation}Character: {character or SOMEBODY}\nUtterance: "{text}"'
        )
    who = character or SOMEBODY.replace("a ", "the ", 1)
    shown = f"{context}\n" if context else ""
    return Prompt(f'{shown}{who[:1].upper()}{who[1:]} says: "{text}"\nThe name of the emotion that {who} feels is "')


def parse_names(answer: str) -> list[str]:
    """Return the names of emotions in an answer, in lower case and without words around them: the first `NAMES` of the first line.

    The answer ends at a quotation mark (but one that begins it) or at the end of a sentence; names are parted by commas, slashes,
    *and*, *or*.
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
    """Return at most ``count`` accepted contextual rows of each arm, evenly over first emotions: of each the first row, then the second …"""
    fit = rows[rows["accepted"] & (rows["kind"] == "contextual")].sort_values(["arm", "index"], kind="stable")
    turn = fit.assign(first=[labels[0] for labels in fit["emotions"]]).groupby(["arm", "first"], sort=False).cumcount()
    order = fit.assign(turn=turn).sort_values(["arm", "turn", "index"], kind="stable")
    return order.groupby("arm", sort=False).head(count).drop(columns="turn")


def name_labels(
    rows: pd.DataFrame,
    writers: Mapping[str, str],
    params: Grounding,
    resolver: Resolver,
    open_model: Callable[[Generator], LanguageModel],
    store: RowStore,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Let each generator name the emotions of some of its own rows, and resolve the names.

    Parameters
    ----------
    rows
        With verdicts, see `emosynth.grounding.checks.verify`.
    writers
        Name of the generator in ``params.generators``, by example_id.

    Returns
    -------
    named
        One row per name: `COLUMNS` (row_id, arm, the name as it came, the label it resolves to or None, how, similarity; see
        `emosynth.taxonomy.Resolution`). An answer without any name is one row with an empty one.
    confusion
        Distinct names with where they went and how often; see `emosynth.taxonomy.confusion`.
    """
    chosen = rows_to_name(rows, params.labels.free_form)
    columns = (chosen[column].tolist() for column in ("example_id", "index", "text", "context", "character"))
    jobs = [
        Job(
            naming_prompt(params.generators[writers[example]].prompt_style, text, context, character),
            writers[example],
            stable_seed("naming", params.random_seed, index),
        )
        for example, index, text, context, character in zip(*columns, strict=True)
    ]
    decoding = params.decoding.model_copy(update={"max_new_tokens": min(_TOKENS, params.decoding.max_new_tokens)})
    found = ask(jobs, "labels in free words", params, decoding, open_model, store)
    names = [
        (row_id, arm, name)
        for row_id, arm, answer in zip(chosen["row_id"], chosen["arm"], found, strict=True)
        for name in parse_names(answer.text) or [""]
    ]
    resolutions = resolver.resolve([name for _, _, name in names])
    table = [
        (row_id, arm, name, item.label, item.how, item.similarity) for (row_id, arm, name), item in zip(names, resolutions, strict=True)
    ]
    return pd.DataFrame(table, columns=COLUMNS), confusion(resolutions)
