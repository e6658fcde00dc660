"""Pages of rows for ``emosynth browse``: no scripts, nothing loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pandas as pd

from emosynth.trying.found import PER_PAGE, Query, Rows, settings_of
from emosynth.trying.web import POLICY, document, escaped, verdict

WHOLE = 5000
"""Rows of a page that is written to a file, at most."""
_TITLE = "Rows of "
_PROVENANCE = (
    "candidate_id", "origin", "writer", "generator", "space", "corpus", "size", "repeat", "index", "label", "labels", "kind", "character",
    "passage_id", "story_id", "row_seed", "finish", "complete", "prompt_tokens", "new_tokens", "error",
)  # fmt: skip
_NAMES = {
    "q": "search",
    "arm": "arm",
    "origin": "written for",
    "label": "class",
    "verdict": "verdict",
    "reason": "rejected by",
    "check": "score of",
}


def is_listing(place: Path) -> bool:
    """Whether a file is a page of rows, see `listing`."""
    with place.open("rb") as file:
        head = file.read(len(document("", "")))
    return POLICY.encode() in head and f"<title>{_TITLE}".encode() in head


def listing(rows: Rows, query: Query, *, whole: bool = False) -> str:
    """Return a page of rows.

    Parameters
    ----------
    whole
        All rows in one page that stands alone, `WHOLE` at most, prompt and provenance within; else one page of the browser.
    """
    places = rows.find(query)
    start = 0 if whole else query.page * PER_PAGE
    shown = places[start : start + (WHOLE if whole else PER_PAGE)]
    out = [f"<p>{escaped(rows.note)}</p>" if rows.note else ""]
    if not whole:
        out.append(_form(rows, query))
    last = start + len(shown)
    span = f"{start + 1:,} to {last:,} of {len(places):,}" if len(shown) else f"none of {len(places):,}"
    out.append(f"<p>{span} rows; {len(rows.frame):,} in all{'; the others are left out' if whole and last < len(places) else ''}</p>")
    out.append('<ul class="rows">')
    out += [_item(rows, int(place), query, whole) for place in shown]
    out.append("</ul>")
    if not whole:
        links = [(query.page - 1, "previous")] * (query.page > 0) + [(query.page + 1, "next")] * (last < len(places))
        out.append("<p>" + " · ".join(f'<a href="/?{escaped(query.at(page))}">{name}</a>' for page, name in links) + "</p>")
    return document(_TITLE + rows.profile, "\n".join(out))


def _item(rows: Rows, place: int, query: Query, whole: bool) -> str:
    row = rows.frame.iloc[place]
    found = rows.verdicts_of(place)
    if query.arm:
        found = found[found["arm"] == query.arm]
    told = "; ".join(f"{escaped(arm)} {_tally(part)}" for arm, part in found.groupby("arm", sort=False)) or "not judged"
    if query.check:
        own = rows.scores_of(place)
        told += f"; {escaped(query.check)} " + ", ".join(f"{score:.3g}" for score in own.loc[own["check"] == query.check, "score"].unique())
    context = f'<p class="soft">{escaped(row["context"])}</p>' if row["context"] and row["kind"] == "contextual" else ""
    more = (
        f"<details><summary>prompt, scores, provenance</summary>{_details(rows, place)}</details>"
        if whole
        else f'<a href="/row?{escaped(urlencode({"id": row["candidate_id"]}))}">prompt, scores, provenance</a>'
    )
    text = row["text"] if isinstance(row["text"], str) and row["text"] else row["error"]
    labels = ", ".join(row["labels"])
    return f'<li>{context}<p>{escaped(text)}</p><span class="soft">{escaped(labels)} · written for {escaped(rows.read_by[row["origin"]])}</span><br>{told}<br>{more}</li>'


def _tally(part: pd.DataFrame) -> str:
    """Return what an arm says of a candidate, in one seed or several."""
    accepted = int(part["accepted"].sum())
    if len(part) == 1 or (accepted in (0, len(part)) and part["reason"].nunique() == 1):
        return verdict(bool(accepted), str(part["reason"].iloc[0]))
    reasons = ", ".join(dict.fromkeys(str(reason) for reason in part["reason"] if reason))
    return f"accepted on {accepted} of {len(part)} seeds (else {escaped(reasons)})"


def row_page(rows: Rows, place: int) -> str:
    """Return all that is known of one candidate."""
    row = rows.frame.iloc[place]
    text = row["text"] if isinstance(row["text"], str) else ""
    body = f'<p><a href="/">all rows</a></p><ul class="rows"><li><p>{escaped(text)}</p></li></ul>{_details(rows, place)}'
    return document(str(row["candidate_id"]), body)


def _details(rows: Rows, place: int) -> str:
    row = rows.frame.iloc[place]
    found, scores = rows.verdicts_of(place), rows.scores_of(place)
    out = [f"<h3>prompt</h3><pre>{escaped(row['prompt'])}</pre>"]
    if row["context"]:
        out.append(f"<h3>context</h3><pre>{escaped(row['context'])}</pre>")
    if len(found):
        cells = [
            [str(one.arm), f"{one.corpus}/{one.size}/{one.repeat}", "accepted" if one.accepted else f"rejected: {one.reason}"]
            for one in found.itertuples(index=False)
        ]
        out.append("<h3>verdicts</h3>" + _table(["arm", "seed", "verdict"], cells))
    if len(scores):
        cells = [
            [
                str(check),
                settings_of(str(judge)),
                f"{corpus}/{size}/{repeat}" if size >= 0 else "any",
                "–" if pd.isna(score) else f"{score:.4g}",
            ]
            for check, judge, corpus, size, repeat, score in zip(
                *(scores[name].tolist() for name in ("check", "judge", "corpus", "size", "repeat", "score")), strict=True
            )
        ]
        out.append("<h3>scores</h3>" + _table(["check", "settings", "seed", "score"], cells))
    known = [[name, ", ".join(row[name]) if isinstance(row[name], list) else str(row[name])] for name in _PROVENANCE]
    return "\n".join([*out, "<h3>provenance</h3>" + _table(["column", "value"], [cell for cell in known if cell[1]])])


def _table(head: list[str], cells: list[list[str]]) -> str:
    lines = ["".join(f"<td>{escaped(cell)}</td>" for cell in line) for line in cells]
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody></table>"


def _form(rows: Rows, query: Query) -> str:
    out = ['<form method="get" action="/">', f'<label>search<input type="search" name="q" value="{escaped(query.q)}"></label>']
    for name in ("arm", "origin", "label", "verdict", "reason", "check"):
        chosen = getattr(query, name)
        names = rows.read_by if name == "origin" else {}
        options = [("", "any"), *((value, names.get(value, value)) for value in rows.choices[name])]
        items = "".join(
            f'<option value="{escaped(value)}"{" selected" if value == chosen else ""}>{escaped(shown)}</option>'
            for value, shown in options
        )
        out.append(f'<label>{_NAMES[name]}<select name="{name}">{items}</select></label>')
    for name, shown in (("least", "at least"), ("most", "at most")):
        value = getattr(query, name)
        out.append(f'<label>{shown}<input type="number" step="any" name="{name}" value="{"" if value is None else f"{value:g}"}"></label>')
    return "".join([*out, '<button type="submit">show</button> <a href="/">all</a></form>'])
