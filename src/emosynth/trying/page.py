"""A preview for the terminal and as a local page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from emosynth.corpora.own import COMMON, UNKNOWN
from emosynth.escape import readable, terminal
from emosynth.languages import is_english
from emosynth.trying import forecast
from emosynth.trying.preview import Preview
from emosynth.trying.web import document, escaped, verdict

_OTHERS = ("04_tuning", "07_training", "08_authenticity", "09_context")
"""Steps of which a preview measures nothing."""


_ARM = (
    "An arm is one way to make texts: what a prompt shows, who writes, what is checked. Arms that write the same stand together; those that write emotions "
    "of another list than your classes are named by these."
)


def reasons(made: Preview) -> list[str]:
    """Return what the checks say that rejected texts, by name."""
    from emosynth.report.figures.writing import reason_words

    return [f"{name}: {reason_words(name)}" for name in sorted(set(made.rows["reason"]) - {""})]


def summary(made: Preview, name: str) -> list[str]:
    """Return what is forecast of the full run, and what the preview leaves out."""
    out = [f"classes (training rows): {', '.join(f'{label} {count:,}' for label, count in made.classes.items())}"]
    out += made.amounts
    out += forecast.lines(made.forecast, made.origins)
    out += [made.busy] * bool(made.busy)
    if not is_english(made.languages):
        out.append(
            f"texts in {', '.join(made.languages)}: prompts and stories are English, and so is the default model; set one that writes it (models.writer)"
        )
    others = [made.reference[step] for step in _OTHERS if step in made.reference]
    known = forecast.clock(sum(others)) if others else ""
    out.append(
        "other steps (tuning, training, authenticity, context) are not measured here"
        + (f"; they took {known} in the published demo, and grow with test rows, seeds and arms" if known else "")
    )
    out.append(f"this preview took {forecast.clock(sum(made.seconds.values()))}, and shows too few texts to conclude from")
    out += [f"left out: {line}" for line in made.left_out]
    if told := reasons(made):
        out.append(f"checks that rejected texts here: {'; '.join(told)}")
    return [terminal(line) for line in [f"full run of the profile {name}:", *(f"  {line}" for line in out)]]


def _arms(made: Preview) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield the rows of each arm with its title and what is to be known of them; arms that share them all, and say the same of each, stand together."""
    rows = made.rows
    found: dict[tuple[tuple[str, str], ...], tuple[list[str], pd.DataFrame]] = {}
    for _, part in rows.groupby("arm", sort=False):
        same = tuple(zip(part["candidate_id"], part["reason"], strict=True))
        found.setdefault(same, ([], part))[0].append(str(part["title"].iloc[0]))
    for titles, part in found.values():
        accepted = f"{int(part['accepted'].sum())} of {len(part)} accepted{_in_english(made.languages, part.loc[part['accepted'].astype(bool), 'text'])}"
        yield "; ".join(titles), "; ".join([accepted, *dict.fromkeys(made.spaces[title] for title in titles if title in made.spaces)]), part


def _in_english(languages: Sequence[str], texts: Iterable[str]) -> str:
    """Return how many accepted texts look English where texts are to be in another language: no check asks for that."""
    if is_english(languages):
        return ""
    held = [re.findall(r"\w+", str(text).lower()) for text in texts]
    count = sum(12 * sum(word in COMMON for word in words) >= len(words) > 0 for words in held)
    named = ", ".join(languages) if list(languages) != [UNKNOWN] else "the language of your texts"
    return f", {count} of these look English, and no check asks for {named}" if held else ""


def next_step(name: str) -> str:
    """Return the command that follows a preview."""
    return f"make reproduce PROFILE={name}"


def lines(made: Preview) -> Iterator[str]:
    """Yield the texts of each arm and class for a terminal."""
    yield _ARM
    for title, told, part in _arms(made):
        yield terminal(f"{title}: {told}")
        for row in part.itertuples(index=False):
            said = "ok  " if row.accepted else f"no ({row.reason})"
            yield terminal(f"  {row.labels}: {said} {' '.join(readable(row.text or row.error).split())}")


def page(made: Preview, name: str, understood: Sequence[str]) -> str:
    """Return the preview as a page. Everything in it is escaped."""
    arms, after = list(_arms(made)), f"<p>Next, all of it: <code>{escaped(next_step(name))}</code></p>"
    out = [after, "<p>Texts by arm:</p><ul>"]
    out += [f"<li><a href=#arm-{place}>{escaped(title)}</a>: {escaped(told)}</li>" for place, (title, told, _) in enumerate(arms)]
    out.append(f"</ul><h2>What the file is understood as</h2><pre>{escaped(chr(10).join(understood))}</pre>")
    out.append(f"<h2>What is to be expected</h2><pre>{escaped(chr(10).join(summary(made, name)))}</pre>")
    out.append(
        "<h2>Writing</h2><p class=soft>Arms in one line share their texts.</p>"
        "<table><thead><tr><th>for the arms</th><th>candidates</th><th>tokens written</th></tr></thead><tbody>"
    )
    out += [
        f"<tr><td>{escaped(made.origins[part.origin])}{'' if part.measured else ' (not previewed)'}</td><td>{part.candidates:,}</td><td>{part.tokens_out:,.0f}</td></tr>"
        for part in made.forecast.parts
    ]
    out.append(f"</tbody></table><h2>Texts, by arm</h2><p class=soft>{_ARM}</p>")
    told = dict(line.split(": ", 1) for line in reasons(made))
    for place, (title, said, part) in enumerate(arms):
        out.append(f"<h2 id=arm-{place}>{escaped(title)}</h2><p class=soft>{escaped(said)}</p>")
        for label, own in part.groupby("label", sort=False):
            out.append(f"<h3>{escaped(label)}</h3><ul class=rows>")
            for row in own.itertuples(index=False):
                context = f"<p class=soft>{escaped(row.context)}</p>" if row.context and row.kind == "contextual" else ""
                out.append(
                    f"<li>{context}<p>{escaped(row.text or row.error)}</p>{verdict(bool(row.accepted), ': '.join(filter(None, [str(row.reason), told.get(str(row.reason), '')])))} "
                    f"<span class=soft>asked for: {escaped(row.labels)}</span><details><summary>prompt</summary><pre>{escaped(row.prompt)}</pre></details></li>"
                )
            out.append("</ul>")
    out.append(after)
    return document(f"Preview of {name}", "\n".join(out))
