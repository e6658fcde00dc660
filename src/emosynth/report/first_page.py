"""What stands on the first page, read in five minutes."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from emosynth.evidence import VERDICTS, naive_arm
from emosynth.evidence.contrasts import LEAST
from emosynth.evidence.numbers import (
    POINTS,
    chance,
    count,
    gain,
    gain_span,
    gain_words,
    known,
    labels_worth,
    listed,
    number,
    p_text,
    per_cent,
    score,
    size,
    some,
    told,
)
from emosynth.params import Params
from emosynth.report.figures.base import learners_in, rows_of
from emosynth.report.provenance import public
from emosynth.report.tables import Tables, main_rows
from emosynth.stats import holm


def answer(tables: Tables) -> str:
    """Return the answer for the target: what picking the best way gains, cross-fitted, at every seed size, and what that is worth."""
    if tables.told is None:
        return "This run holds no trials yet that could give an answer."
    rows, looks = list(rows_of(tables.told)), tables.looks
    learners = dict.fromkeys(looks.learner(row.learner) for row in rows)
    where = f"With {' or '.join(learners)} on {tables.target}, letting a language model write more and keeping what passes the checks"
    if not any(known(row.gain) for row in rows):
        picked = listed([f"{gain(row.picked)} points at {count(row.size)} labels" for row in rows])
        return f"{where} adds, as picked, {picked}; one repeat cannot show that it helps."
    helps, hurts, not_ = ([count(row.size) for row in rows if verdict(row, tables.params) == name] for name in ("helps", "hurts", ""))
    said = [f"helps at {listed(helps)} labels"] if helps else []
    said += [f"hurts at {listed(hurts)} labels"] if hurts else []
    said += [f"is not shown to {'' if said else 'help '}at {listed(not_)}{'' if said else ' labels'}"] if not_ else []
    gains = [_told(row, tables.params, first=row is rows[0]) for row in rows]
    last = rows[-1]
    guess = "" if helps else f" Best guess at {count(last.size)} labels: {looks.title(last.arm)}, {chance(last.p_better)}."
    return f"{where} {' and '.join(said)}: picking the best way adds {'; '.join(gains)}.{guess}"


def _told(row: Any, params: Params, first: bool) -> str:
    """Write a row of the answers: gain, interval, seed size and, if the gain is shown, its worth in labels."""
    at = f"at {count(row.size)} labels"
    if not known(row.gain):
        return f"{gain(row.picked)} {at} as picked, from one repeat"
    said = gain_words(row, params) if first else told(row.gain, row.low, row.high)
    if row.shown and row.worth_low > 0:
        return f"{said} {at}, worth {labels_worth(*_worth(row))[0]} more real ones"
    unsure = not verdict(row, params) and (row.low > 0 or row.high < 0)  # an interval that seems to contradict what is said of it
    return f"{said} {at}{f', p = {p_text(row.p_adjusted)} once corrected for all rows of the table below' if unsure else ''}"


def _worth(row: Any) -> tuple[float, float, float, float]:
    return row.worth, row.worth_low, row.worth_high, row.reach


def elsewhere(tables: Tables) -> str:
    """Say on which other corpora it is shown to help with learners of the same kind, and on which not; empty: there are none."""
    if tables.told is None or tables.answers is None:
        return ""
    rows = tables.answers[(tables.answers["corpus"] != tables.target) & (tables.answers["kind"] == tables.told["kind"].iloc[0])]
    shown: list[str] = []
    not_: list[str] = []
    for corpus, own in rows.groupby("corpus", sort=False):
        helps, other = ([count(at) for at in own.loc[own["shown"] == value, "size"]] for value in (True, False))
        also = f", not at {listed(other)}" if helps and other else ""
        (shown if helps else not_).append(f"{corpus} (at {listed(helps or other)} labels{also})")
    said = [f"shown to help on {listed(shown)}"] if shown else []
    said += [f"not shown to help on {listed(not_)}"] if not_ else []
    return f"On other corpora: {'; '.join(said)}." if said else ""


def verdict(row: Any, params: Params) -> str:
    """Return whether a cross-fitted gain ``helps`` or ``hurts``, after correction for all rows of the table, or nothing."""
    return "helps" if row.shown else "hurts" if row.gain < 0 and row.p_adjusted < params.evidence.alpha else ""


def shown(row: Any, params: Params) -> str:
    """Say whether a cross-fitted gain is shown, after correction for all rows of the table."""
    found = verdict(row, params)
    if found:
        return f"shown{' to hurt' if found == 'hurts' else ''}: p = {p_text(row.p_adjusted)}"
    return f"not shown: p = {p_text(row.p_adjusted)}" if known(row.gain) else "not shown: one repeat"


def advice(tables: Tables) -> list[dict[str, str]]:
    """Return by corpus, seed size and kind of learner what to add; nothing is recommended whose gain is not shown."""
    if tables.answers is None:
        return []
    looks, found = tables.looks, []
    for row in rows_of(tables.answers):
        cheaper = [looks.title(arm) for arm in row.cheaper.split()]
        best = f"{looks.title(row.arm)}, {chance(row.p_better)}"
        planned = tables.params.cells.repeats_of(row.corpus)
        cut = f" of {count(planned)}" if row.repeats < planned else ""
        worth, worth_span = labels_worth(*_worth(row))
        found.append({
            "situation": f"{row.corpus}, {count(len(tables.corpora[row.corpus]['classes']))} classes, {count(row.size)} labels",
            "learner": looks.learner(row.learner),
            "recipe": looks.title(row.arm) if row.shown else f"nothing shown to help at this size; best guess: {best}",
            "gain": gain(row.gain), "span": gain_span(row.low, row.high), "picked": gain(row.picked),
            "worth": worth, "worth_span": worth_span,
            "cost": f"{count(row.written)} texts written for {count(row.added)} kept; {count(row.each)} tokens a kept text",
            "cheaper": listed(cheaper) if cheaper else "", "sure": shown(row, tables.params),
            "basis": f"{count(row.repeats)}{cut} repeat{'s' * (planned > 1)}, {some(row.rows, 'test row')}; picked from {some(row.among, 'arm')}",
        })  # fmt: skip
    return found


def paying(tables: Tables) -> list[str]:
    """Say by corpus and kind of learner at which seed sizes written rows are shown to pay, at which not, and which were left out."""
    said: list[str] = []
    for (corpus, _), own in [] if tables.answers is None else tables.answers.groupby(["corpus", "kind"], sort=False):
        pays, not_ = ([count(at) for at in own.loc[own["shown"] == value, "size"]] for value in (True, False))
        names = listed([tables.looks.learner(name) for name in dict.fromkeys(own["learner"])])
        left = [count(at) for at in tables.params.cells.sizes_of(str(corpus)) if at not in set(own["size"])]
        at = (
            f"at {listed(pays)} labels{f', not at {listed(not_)}' if not_ else ''}"
            if pays
            else f"at no size that was run ({listed(not_)} labels)"
        )
        said.append(f"{corpus}, {names}: written rows are shown to pay {at}{f'; not run at {listed(left)}, for time' if left else ''}.")
    return said


def cuts(tables: Tables) -> str:
    """Say what was cut for time and how many arms the best was not picked from; empty: nothing."""
    rows = tables.answers
    if rows is None or rows.empty:
        return ""
    said = []
    fewer = sum(row.repeats < tables.params.cells.repeats_of(row.corpus) for row in rows_of(rows))
    if fewer:
        who = f"{some(fewer, 'row')} of {count(len(rows))} {'rests' if fewer == 1 else 'rest'}"
        said.append(f"{who} on fewer repeats than the profile draws, for time: the row says so")
    if (rows["left"] > 0).any():
        many = " to ".join(dict.fromkeys(count(item) for item in (rows["left"].min(), rows["left"].max())))
        why = f"arms that were run in fewer repeats than {count(LEAST)}, or not in that cell"
        said.append(f"{why}, were not picked from: {many} a row")
    if (rows["sets"] > 1).any():
        said.append("an arm of fewer repeats than the labels alone is compared on its own repeats; p and interval are corrected for that")
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in said)


def no_help(tables: Tables) -> list[str]:
    """Return sentences on what did not help, with numbers; tests are corrected for the arms that were compared."""
    head, looks = tables.headline, tables.looks
    if head is None or tables.contrasts is None:
        return []
    rows = tables.contrasts[(tables.contrasts["corpus"] == head.corpus) & (tables.contrasts["learner"] == head.learner)]
    rows = rows[rows["size"] == head.size]
    said = []
    alpha, own = tables.params.evidence.alpha, main_rows(rows)
    own = own[[not looks.real(arm) for arm in own["arm"]]]
    clear = holm(own["p"].to_numpy(dtype=float)) < alpha
    hurt, unclear = own[clear & (own["gain"] < 0)], own[~clear & (own["version"] == "") & (own["arm"] != head.arm)]  # of it tells the table
    if len(hurt):
        names = [f"{looks.title(row.arm, row.version)} ({gain(row.gain)})" for row in rows_of(hurt)]
        said.append(f"Worse than the labels alone at {size(head.size)}: {listed(names)} points.")
    naive = naive_arm(tables.params)
    if naive is not None:
        versus = main_rows(rows, "naive")
        versus = versus[versus["version"] == ""]
        better = versus[(holm(versus["p"].to_numpy(dtype=float)) < alpha) & (versus["gain"] > 0)]
        which = listed([looks.title(arm) for arm in better["arm"]]) if len(better) else "nothing that was put into a prompt is shown to pay"
        many = f"{len(better)} {'is' if len(better) == 1 else 'are'}"
        said.append(
            f"Of {some(len(versus), 'arm')} compared with plain prompts ({looks.title(naive)}), {many} shown to be better: {which}."
        )
    if len(unclear):
        which = listed([looks.title(arm) for arm in unclear["arm"]])
        said.append(f"Not told from no gain over the labels alone, after correction for {some(len(own), 'row')}: {which}.")
    # Of two repeats there is hardly an interval: what is worst of many such is chance.
    written = own[(own["version"] != "") & (own["repeats"] >= 3)]
    if len(written):
        worst = next(rows_of(written.sort_values("gain", kind="stable").head(1)))
        span = gain_span(worst.low, worst.high)
        said.append(f"Rows as written, without checks, at worst: {looks.title(worst.arm)} {gain(worst.gain)} points ({span}).")
    return said


def _repeats(params: Params, corpus: str) -> str:
    """Return "5", or "10 (at 1,000 labels 3)"."""
    most = params.cells.repeats_of(corpus)
    fewer = {size: params.cells.repeats_of(corpus, size) for size in params.cells.sizes_of(corpus)}
    said = [f"at {count(size)} labels {repeats}" for size, repeats in fewer.items() if repeats < most]
    return count(most) + (f" ({listed(said)})" if said else "")


def boxes(tables: Tables) -> list[dict[str, str]]:
    """Return the four boxes of how it works, with the profile's own numbers."""
    params = tables.params
    sizes = params.cells.sizes_of(tables.target)
    return [
        {"name": "Seed", "text": f"{listed([count(at) for at in sizes])} labelled posts are all there is; they are drawn {_repeats(params, tables.target)} times anew."},
        {"name": "Write", "text": f"A small language model ({public('model', params.models.writer.model)}) writes posts for each class: from the class name alone, or shown words, examples, or a story."},
        {"name": "Check", "text": "Every text is judged: is it complete, new, no copy – and does a classifier trained on the seed read the class that was asked for?"},
        {"name": "Train", "text": f"{some(len(params.learners), 'kind')} of classifier learn from the seed and the accepted texts, and are scored on real posts that nothing else has seen."},
    ]  # fmt: skip


def trust(tables: Tables) -> list[str]:
    """Return what must be known before these numbers are believed."""
    params, said = tables.params, []
    scored = tables.scored
    for corpus in params.corpora.names if scored is not None else ():
        if scored is not None and any(group.corpus == corpus for group in scored.groups):
            repeats = f"{_repeats(params, corpus)} repeat{'s' * (params.cells.repeats_of(corpus) > 1)}"
            said.append(f"{corpus}: {repeats}, {some(scored.rows(corpus), 'test row')}.")
    within = params.training.choose_on == "seed"
    chosen = "cross-validation within the seed" if within else "validation rows that a poor seed would not have"
    said.append(
        f"Settings of the classifiers are chosen by {chosen}; thresholds of the checks are set in the parameters, not tuned on test rows."
    )
    teachers = tables.get("verdicts/teachers")
    own = None if teachers is None else teachers[teachers["corpus"] == tables.target]
    if own is not None and len(own):
        at = score(float(own[own["size"] == own["size"].max()]["macro_f1"].mean()))
        said.append(
            f"The check of the label is itself a classifier of {at} points of macro-F1 (on seed rows it was not fitted on): it errs."
        )
    reader = tables.get("context/reader")
    if reader is not None:
        row = next(rows_of(reader))
        right = f"The language model that reads labels off stories is right in {per_cent(row.top1)} of real {row.corpus} posts"
        said.append(f"{right}; guessing the most frequent label, in {per_cent(row.frequency_top1)}.")
    head = tables.headline
    if head is not None and known(head.row.gain):
        said.append(
            f"The best way was picked on these test rows, which flatters it: {gain(head.row.picked)}. What is told instead is cross-fitted, each repeat and half "
            f"of the test rows judged with the way that the other repeats pick on the other half: {gain(head.row.gain)} points."
        )
    arms = json.dumps(params.model_dump(mode="json")["arms"])
    usual = {"shuffled": "shuffled labels", "unlabelled": "unlabelled real text as a rival"}
    rivals = [what for name, what in usual.items() if f'"{name}"' not in arms]
    said.append(f"Not done: {listed([*rivals, 'other language models', 'people’s judgement of the texts'])}.")
    return said


HEADINGS = {False: "Published claims", True: "Claims of our own"}
"""Whether a claim is our own -> what it stands under."""


def strip(tables: Tables) -> list[dict[str, Any]]:
    """Return verdicts by claim, published ones and our own apart, for this profile and for the others whose report is at hand."""
    profiles: dict[str, dict[str, str]] = {tables.paths.profile: {claim.declared.id: claim.verdict for claim in tables.claims}}
    declared = [claim.declared for claim in tables.claims]
    hashes = {one.id: one.hash for one in declared}
    for path in sorted(tables.paths.report.parent.glob("*/claims.json")):
        if path.parent.name not in profiles:
            claims = json.loads(path.read_text(encoding="utf-8")).get("claims", [])
            # Only verdicts on the same declaration are beside each other.
            same = {str(item["id"]): str(item["verdict"]) for item in claims if item.get("declaration") == hashes.get(str(item["id"]))}
            if same:
                profiles[path.parent.name] = same
    groups = []
    for ours, heading in HEADINGS.items():
        listed_here = [one for one in declared if one.ours == ours]
        rows = []
        for name, own in profiles.items():
            claims = [{"id": one.id, "verdict": own.get(one.id, "not tested"), "statement": one.statement} for one in listed_here]
            found = [claim["verdict"] for claim in claims if claim["id"] in own]
            counts = [{"verdict": verdict, "count": found.count(verdict)} for verdict in VERDICTS]
            tested = claims if any(verdict != "not tested" for verdict in found) else []  # a row of nothing else is told by its count
            rows += [{"profile": name, "claims": tested, "counts": counts}] if found else []
        systems = dict.fromkeys(f"{one.id[0]}: {one.system}" for one in listed_here)
        groups += [{"heading": heading, "systems": ", ".join(systems), "rows": rows}] if rows else []
    return groups


def score_rows(tables: Tables, corpus: str) -> dict[str, Any] | None:
    """Return a table of all arms on a corpus: gain over the labels alone by learner, worth and cost; None without trials."""
    if tables.contrasts is None:
        return None
    rows = main_rows(tables.contrasts)
    rows = rows[rows["corpus"] == corpus]
    rows = rows[rows["size"] == rows.groupby("learner")["size"].transform("max")]
    if rows.empty:
        return None
    looks = tables.looks
    learners = learners_in(tables, rows)
    sizes = rows.groupby("learner")["size"].first()
    lines = []
    for arm in looks.order(rows["arm"]):
        for version in ("", "unverified"):
            own = rows[(rows["arm"] == arm) & (rows["version"] == version)]
            if own.empty:
                continue
            cells = [_gain_cell(own[own["learner"] == learner]) for learner in learners]
            costs = own[["n_synthetic", "n_wanted", "tokens", "thrown"]].mean()
            rows_added = "–" if looks.real(arm) else f"{count(costs['n_synthetic'])} of {count(costs['n_wanted'])}"
            lines.append([looks.title(arm, version), *cells, rows_added, count(costs["tokens"] / 1000) if not looks.real(arm) else "–"])
    heads = [f"{looks.learner(name)}, {size(int(sizes[name]))}" for name in learners]
    return {
        "title": f"All arms on {corpus}",
        "note": "Gain in points of macro-F1 over the labels alone, with interval; accepted rows added, of those wanted; tokens that the language model read and wrote.",
        "columns": ["arm", *heads, "rows added", "thousand tokens"], "rows": lines,
    }  # fmt: skip


def _gain_cell(rows: pd.DataFrame) -> str:
    return "–" if rows.empty else told(*rows.iloc[0][["gain", "low", "high"]])


def flaw_rows(tables: Tables) -> dict[str, Any] | None:
    """Return by how much written rows among the test rows raise the reported score; None if no arm has that flaw."""
    trials = tables.get("trials/trials")
    rows = None if trials is None else trials[trials["reported_macro_f1"].notna()]
    if rows is None or rows.empty:
        return None
    gaps = rows.assign(gap=rows["reported_macro_f1"] - rows["macro_f1"]).groupby(["arm", "corpus", "learner"], sort=False)
    lines = [
        [tables.looks.title(str(arm)), str(corpus), tables.looks.learner(str(learner)), number(POINTS * part["reported_macro_f1"].mean()),
         score(part["macro_f1"].mean()), gain(part["gap"].mean())]
        for (arm, corpus, learner), part in gaps
    ]  # fmt: skip
    return {
        "title": "What generated rows among the test rows add to a reported score",
        "note": "The same models scored twice: on real test rows, and with written rows mixed in.",
        "columns": ["arm", "corpus", "learner", "reported", "on real rows", "difference"], "rows": lines,
    }  # fmt: skip
