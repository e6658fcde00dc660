"""What stands on the first page, read in five minutes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from emosynth.evidence import VERDICTS, Claim, against, naive_arm
from emosynth.evidence.contrasts import LEAST, usable
from emosynth.evidence.numbers import (
    POINTS,
    count,
    gain,
    gain_span,
    listed,
    of_points,
    per_cent,
    score,
    some,
    told,
)
from emosynth.params import Params
from emosynth.report.figures.base import rows_of
from emosynth.report.provenance import public
from emosynth.report.tables import Tables, main_rows
from emosynth.stats import holm

MOST = 3
"""Harms that are named."""


def no_help(tables: Tables) -> list[str]:
    """Return sentences on what did not help, with numbers; tests are corrected for what was compared."""
    head, looks = tables.headline, tables.looks
    if head is None or tables.contrasts is None:
        return []
    rows = tables.contrasts[(tables.contrasts["corpus"] == head.corpus) & (tables.contrasts["learner"] == head.learner)]
    own = main_rows(rows)
    real = own["arm"].map(looks.real).astype(bool)
    at = judged_at(own[real & (own["version"] == "")], head.size)
    own = own[~real & (own["size"] == at)]
    said = [f"On {head.corpus} with {looks.learner(head.learner)} and {count(at)} labels:"]
    clear = holm(own["p"].to_numpy(dtype=float)) < tables.params.evidence.alpha
    helps = _shown(tables, head.corpus, head.learner, at)  # the table tells of it
    hurt, unclear = own[clear & (own["gain"] < 0)], own[~clear & (own["version"] == "") & ~own["arm"].isin(helps)]
    if len(hurt):
        names = [f"{looks.title(row.arm, row.version)} ({gain(row.gain)})" for row in rows_of(hurt)]
        said.append(f"Worse than the labels alone: {listed(names)} points.")
    if len(unclear):
        which = listed([looks.title(arm) for arm in unclear["arm"]])
        said.append(f"No clear gain, after correction for {some(len(own), 'row')}: {which}.")
    # Of two repeats there is hardly an interval: what is worst of many such is chance.
    written = own[(own["version"] != "") & (own["repeats"] >= LEAST)]
    if len(written):
        worst = next(rows_of(written.sort_values("gain", kind="stable").head(1)))
        span = gain_span(worst.low, worst.high)
        said.append(f"Unchecked rows at worst: {looks.title(worst.arm)} {gain(worst.gain)} points ({span}).")
    first, *rest = said
    local = [f"{first} {rest[0][:1].lower()}{rest[0][1:]}", *rest[1:]] if rest else []
    return [*guiding(tables), *local, *harms(tables)]


def _shown(tables: Tables, corpus: str, learner: str, at: int) -> set[str]:
    """Return the arm that the answers of a cell show to help, if there is one."""
    rows = tables.answers
    assert rows is not None
    return set(
        rows.loc[(rows["corpus"] == corpus) & (rows["learner"] == learner) & (rows["size"] == at) & rows["shown"].astype(bool), "arm"]
    )


def judged_at(real: pd.DataFrame, size: int) -> int:
    """Return the most labels at which real rows are told from zero, where written ones can be judged; else those of most repeats, or ``size``.

    ``real``: contrasts of real rows with the labels alone, of one corpus and learner.
    """
    told = real[real["low"] > 0]
    rows = told if len(told) else real[real["repeats"] == real["repeats"].max()]
    return int(rows["size"].max()) if len(rows) else size


def guiding(tables: Tables) -> list[str]:
    """Return how guided prompts compare with plain ones on all corpora and classifiers, one correction over all; empty: nothing is compared."""
    naive = naive_arm(tables.params)
    if naive is None or tables.contrasts is None:
        return []
    found = guided_rows(tables.contrasts, tables.params)
    if found.empty:
        return []
    looks, counts = tables.looks, found.groupby(["told", "way"]).size()
    after, before = ({way: int(counts.get((told, way), 0)) for way in ("better", "worse")} for told in ("corrected", "uncorrected"))
    said = (
        f"Of {some(len(found), 'comparison')} of guided with plain prompts, all corpora and classifiers, {count(after['better'])} "
        f"{'is' if after['better'] == 1 else 'are'} shown to be better and {count(after['worse'])} worse; uncorrected {count(before['better'] + after['better'])} and {count(before['worse'] + after['worse'])}"
    )
    least = next(rows_of(found.sort_values("p", kind="stable").head(1)))
    cell = f"{looks.title(least.arm)} on {least.corpus}, {count(least.size)} labels, {looks.learner(least.learner)}"
    return [f"{said}. Surest: {cell}, {of_points(POINTS * least.gain, POINTS * least.low, POINTS * least.high)}."]


def guided_rows(contrasts: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return contrasts of guided with plain prompts, checked rows, with the columns ``way`` (better, worse) and ``told``.

    ``told``: corrected where Holm's p over all of them is below alpha, uncorrected where p is, else empty.
    """
    naive, rows = naive_arm(params), main_rows(contrasts, "naive")
    guided = {arm for arm in params.arms if naive is not None and _guides(params, arm, naive)}
    rows = rows[(rows["version"] == "") & (rows["repeats"] >= LEAST) & rows["arm"].isin(guided)]
    alpha = params.evidence.alpha
    told = np.select([holm(rows["p"].to_numpy(dtype=float)) < alpha, rows["p"] < alpha], ["corrected", "uncorrected"], "")
    return rows.assign(told=told, way=np.where(rows["gain"] > 0, "better", "worse"))


_APART = ("run", "title", "guide", "corpora", "sizes", "repeats", "unverified")
"""What arms may differ in that are compared by their guides."""


def _guides(params: Params, arm: str, naive: str) -> bool:
    """Return whether an arm differs from plain prompts in what it puts into a prompt, and in nothing else that makes its rows."""
    spec, plain = params.arms[arm], params.arms[naive]
    return bool(spec.guide) and all(getattr(spec, name) == getattr(plain, name) for name in type(spec).model_fields if name not in _APART)


def harms(tables: Tables) -> list[str]:
    """Return in which cells of any corpus and classifier an arm of checked rows is clearly worse than the labels alone, one correction over all."""
    if tables.contrasts is None:
        return []
    rows = main_rows(tables.contrasts)
    useful = rows["arm"].map(lambda arm: arm in tables.params.arms and usable(tables.params.arms[arm]))
    rows = rows[(rows["version"] == "") & (rows["repeats"] >= LEAST) & useful]
    hurt = rows[(holm(rows["p"].to_numpy(dtype=float)) < tables.params.evidence.alpha) & (rows["gain"] < 0)].sort_values(
        "gain", kind="stable"
    )
    if hurt.empty:
        return []
    looks = tables.looks
    worst = [f"{looks.title(row.arm)} on {row.corpus}, {count(row.size)} labels, {looks.learner(row.learner)}: {told(row.gain, row.low, row.high)}"
             for row in rows_of(hurt.head(MOST))]  # fmt: skip
    more = f"; the worst {count(MOST)}" if len(hurt) > MOST else ""
    return [
        f"Checked rows are clearly worse than the labels alone in {count(len(hurt))} of {some(len(rows), 'comparison')} of all corpora and classifiers{more}: {'; '.join(worst)}."
    ]


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
    trained = [name for name in params.learners if name not in tables.asked]
    learn = f"{some(len(trained), 'kind')} of classifier learn{'s' * (len(trained) == 1)} from the seed and the accepted texts"
    return [
        {"name": "Seed", "text": f"{listed([count(at) for at in sizes])} labelled posts are all there is; they are drawn {_repeats(params, tables.target)} times anew."},
        {"name": "Write", "text": f"A small language model ({public('model', params.models.writer.model)}) writes posts for each class: from the class name alone, or shown words, examples, or a story."},
        {"name": "Check", "text": "Every text is judged: complete, new, no copy, and read as the class asked for by a classifier of the seed."},
        {"name": "Train", "text": f"{learn}, and are scored on real posts that nothing else has seen."},
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
        row = min(rows_of(reader), key=lambda one: one.top1 - one.frequency_top1)
        right = f"The language model that reads labels off stories is right in {per_cent(row.top1)} of real {row.corpus} posts"
        least = f" (the worst of {some(len(reader), 'corpus', 'corpora')})" if len(reader) > 1 else ""
        said.append(f"{right}; guessing the most frequent label, in {per_cent(row.frequency_top1)}{least}.")
    arms = json.dumps(params.model_dump(mode="json")["arms"])
    usual = {"shuffled": "shuffled labels", "unlabelled": "unlabelled real text as a rival"}
    rivals = [what for name, what in usual.items() if f'"{name}"' not in arms]
    said.append(f"Not done: {listed([*rivals, 'other language models', 'people’s judgement of the texts'])}.")
    return said


DECIDED = ("supported", "contradicted")
"""Verdicts that say something."""

HEADINGS = {False: "Published claims", True: "Claims of our own"}
"""Whether a claim is our own -> what it stands under."""


def setting(tables: Tables, claim: Claim) -> str:
    """Return in what cell a claim was judged: corpus, learner, number of labels, as far as it has them."""
    learner = [tables.looks.learner(claim.learner)] if claim.learner else []
    return ", ".join([claim.corpus, *learner, *([f"{count(claim.size)} labels"] if claim.size else [])])


def elsewhere(tables: Tables, claim: Claim) -> str:
    """Say how many replications of a decided claim point clearly the other way (uncorrected p), and the largest; empty: none does."""
    rows = against(claim)
    if not rows:
        return ""
    row = rows[0]
    cell = f"{row['corpus']}, {tables.looks.learner(row['learner'])}, {count(row['size'])} labels"
    said = f"{count(len(rows))} of {count(len(claim.replications))} elsewhere opposite{', most' if len(rows) > 1 else ''}"
    return f"{said}: {cell}, {of_points(row['effect'], row['low'], row['high'])}"


def _decided(tables: Tables) -> dict[str, dict[str, str]]:
    """Return, by claim that was decided, its cell and what is against it elsewhere; what stood with a claim before it is not told again."""
    told: dict[str, str] = {}
    found = {}
    for claim in tables.claims:
        if claim.verdict in DECIDED:
            name, other = claim.declared.id, elsewhere(tables, claim)
            first = told.setdefault(other, name) if other else name
            found[name] = {"setting": setting(tables, claim), "elsewhere": other if first == name else f"elsewhere as {first}"}
    return found


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
    groups, cells = [], _decided(tables)
    for ours, heading in HEADINGS.items():
        listed_here = [one for one in declared if one.ours == ours]
        rows = []
        for name, own in profiles.items():
            claims = [{"id": one.id, "verdict": own.get(one.id, "not tested"), "statement": one.statement} for one in listed_here]
            found = [claim["verdict"] for claim in claims if claim["id"] in own]
            counts = [{"verdict": verdict, "count": found.count(verdict)} for verdict in VERDICTS]
            own_profile = name == tables.paths.profile
            decided = [claim | cells[claim["id"]] for claim in claims if claim["verdict"] in DECIDED] if own_profile else []
            tested = claims if any(verdict != "not tested" for verdict in found) else []  # a row of nothing else is told by its count
            rows += [{"profile": name, "claims": tested, "counts": counts, "decided": decided}] if found else []
        systems = dict.fromkeys(f"{one.id[0]}: {one.system}" for one in listed_here)
        groups += [{"heading": heading, "systems": ", ".join(systems), "rows": rows}] if rows else []
    return groups
