"""What a generator calls the emotion of a text in its own words, and where that goes in the taxonomy."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from emosynth.context.pairs import Ask
from emosynth.design.cells import stable_seed
from emosynth.generation.narrative_prompts import SOMEBODY, Style
from emosynth.models.lm import Request
from emosynth.taxonomy import Resolver
from emosynth.text import normalise

COLUMNS = ["candidate_id", "raw", "label", "how", "similarity"]

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
    """Return at most ``count`` rows, evenly over labels: of each the first row, then the second …"""
    fit = rows.sort_values(["repeat", "index"], kind="stable")
    turn = fit.groupby("label", sort=False).cumcount()
    return fit.assign(turn=turn).sort_values("turn", kind="stable").head(count).drop(columns="turn").reset_index(drop=True)


def name_labels(rows: pd.DataFrame, style: Style, seed: int, ask: Ask, resolver: Resolver) -> pd.DataFrame:
    """Let the writer name the emotions of rows, and resolve the names.

    Parameters
    ----------
    rows
        candidate_id, repeat, index, text, context, character.
    ask
        Asks the writer for `TOKENS` tokens.

    Returns
    -------
    pandas.DataFrame
        One row per name: `COLUMNS` (the name as it came, the label it resolves to or None, how, similarity; see
        `emosynth.taxonomy.Resolution`). An answer without any name is one row with an empty one.
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
    return pd.DataFrame(table, columns=COLUMNS)
