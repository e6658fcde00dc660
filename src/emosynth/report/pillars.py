"""What the page says of the third system beside its figures: key result, tables, samples, explanations, limits."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from emosynth.params import Params
from emosynth.report.figures.base import Missing, get_figure
from emosynth.report.figures.pillars.common import (
    COMPARED,
    KINDS,
    REGIMES,
    arms,
    headline_arm,
    headline_cell,
    is_headline,
    learner_name,
    transferred,
)
from emosynth.report.figures.pillars.labels import HOWS, shown_labels
from emosynth.report.figures.verification import reason_label
from emosynth.report.grounded import WITHHELD_COPY, WITHHELD_TEXT, explained, guarded, shown_rows
from emosynth.report.numbers import POINTS, count, per_cent, points, span, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label

__all__ = ["NOT_RUN", "details", "key_result"]

NOT_RUN = (
    "This run holds no results of this part: no example was grounded in a narrative and no model learnt from such rows (steps 09 to 11)."
)


def key_result(tables: Tables) -> dict[str, Any]:
    """Return the key sentence and the levels of each regime; without results, a sentence that says so."""
    empty: dict[str, Any] = {"rows": [], "learner": "", "size": None, "target": "", "arm": ""}
    if not tables.pillars.found:
        return {"sentence": NOT_RUN.rstrip("."), **empty}
    try:
        rows = transferred(tables)
    except Missing as reason:
        return {"sentence": str(reason).rstrip("."), **empty}
    target, learner, size = headline_cell(tables, rows)
    cell = rows[(rows["target"] == target) & (rows["learner"] == learner) & rows["size"].isin([0, size]) & is_headline(tables, rows)]
    levels = []
    for regime in COMPARED:
        found = summary(cell.loc[cell["regime"] == regime, "macro_f1"] * POINTS, tables.evidence.confidence)
        if found.n:
            edges = span(found.low, found.high) if found.known else "one model"
            levels.append({"label": REGIMES[regime], "value": points(found.mean), "interval": edges})
    return {
        "sentence": get_figure("transfer_gain").describe(tables).title,
        "rows": levels,
        "learner": learner_name(learner),
        "size": size,
        "target": target,
        "arm": arm_label(headline_arm(tables)),
    }


def details(tables: Tables, params: Params) -> dict[str, Any]:
    """Return everything the template ``pillars.html.j2`` shows."""
    if not tables.pillars.found:
        return {"missing": NOT_RUN}
    return {
        "missing": "",
        "stories": _stories(tables),
        "arms": _arms(tables),
        "generators": _generators(tables),
        "pairs": _pairs(tables),
        "samples": _samples(tables),
        "guarded": tables.pillars.guarded,
        "scorer": _scorer(tables),
        "read": per_cent(1.0 - params.grounding.labels.intended),
        "labels": _labels(tables),
        "explanations": _explanations(tables),
        "scale": _scale(tables),
        "notes": _notes(tables, params),
    }


def _share(values: pd.Series) -> str:
    return per_cent(float(values.astype(bool).mean())) if len(values) else "–"


def _stories(tables: Tables) -> list[dict[str, str]]:
    """Return stories, words and passages by source."""
    found = tables.pillars.stories
    if found is None:
        return []
    rows = found.groupby("source", sort=False).agg(stories=("story_id", "count"), words=("words", "sum"), passages=("passages", "sum"))
    return [
        {"source": str(source), **{name: count(float(row[name])) for name in ("stories", "words", "passages")}}
        for source, row in rows.iterrows()
    ]


def _arms(tables: Tables) -> list[dict[str, Any]]:
    """Return one row per arm: examples, and by kind of row what was accepted, names its emotion, and agrees with what was asked for."""
    rows = tables.pillars.rows
    if rows is None:
        return []
    found = []
    for arm in arms(tables):
        of_arm = rows[rows["arm"] == arm]
        cells = []
        for kind in KINDS:
            part = of_arm[of_arm["kind"] == kind]
            good = part[part["accepted"].astype(bool)]
            cells.append(
                {"accepted": _share(part["accepted"]), "explicit": _share(good["explicit"]), "agreement": _share(good["agreement"])}
            )
        found.append(
            {
                "label": arm_label(arm),
                "examples": count(of_arm["example_id"].nunique()),
                "kept": count(int(of_arm["kept"].astype(bool).sum())),
                "cells": cells,
            }
        )
    return found


def _generators(tables: Tables) -> list[dict[str, str]]:
    """Return one row per generator and kind of row."""
    rows = tables.pillars.rows
    if rows is None:
        return []
    found = []
    for (generator, kind), part in rows.groupby(["generator", "kind"], sort=False):
        good = part[part["accepted"].astype(bool)]
        found.append(
            {
                "generator": str(generator),
                "kind": KINDS.get(str(kind), str(kind)),
                "rows": count(len(part)),
                "accepted": _share(part["accepted"]),
                "explicit": _share(good["explicit"]),
                "agreement": _share(good["agreement"]),
                "rank": points(float(good["intended_rank"].astype(float).mean())) if len(good) else "–",
            }
        )
    return found


def _pairs(tables: Tables) -> str:
    """Return a sentence on the minimal pairs, empty without any."""
    found = tables.pillars.pairs
    if found is None or found.empty:
        return ""
    sound = found[found["ok"].astype(bool)]
    sentence = f"Of {count(len(found))} minimal pairs – one utterance in two contexts that call for different emotions – {count(len(sound))} are in order"
    if "shift" in sound and sound["shift"].notna().any():
        known = sound["shift"].dropna()
        sentence += f"; in {per_cent(float((known > 0).mean()))} of these the scorer's reading moves the right way with the context (chance: 50\u00a0%)"
    return sentence + "."


def _samples(tables: Tables) -> list[dict[str, Any]]:
    """Return generated rows by arm. Without the passages nothing can be guarded, and nothing is shown."""
    rows = tables.pillars.rows
    if rows is None or not tables.pillars.guarded:
        return []
    shown = guarded(shown_rows(rows), tables.corpus_texts)
    groups = []
    for arm in arms(tables):
        entries = [
            {
                "kind": KINDS.get(str(row["kind"]), str(row["kind"])),
                "emotions": ", ".join(map(str, row["emotions"])),
                **{name: _text(str(row[name])) for name in ("text", "context", "character")},
                "accepted": bool(row["accepted"]),
                "reason": "" if row["accepted"] else reason_label(str(row["reason"])),
            }
            for row in shown[shown["arm"] == arm].to_dict("records")
        ]
        if entries:
            groups.append({"label": arm_label(arm), "rows": entries})
    return groups


def _text(text: str) -> dict[str, Any]:
    return {"withheld": text} if text in (WITHHELD_TEXT, WITHHELD_COPY) else {"withheld": "", "words": text}


def _labels(tables: Tables) -> dict[str, Any]:
    """Return how free-form labels were resolved, with the commonest of each way."""
    found = tables.pillars.confusion
    if found is None or found.empty:
        return {"rows": [], "total": "0"}
    shown = shown_labels(found, tables.corpus_texts)
    by_how, total = found.groupby("how", sort=False)["count"].sum(), int(found["count"].sum())
    rows = []
    for how, what in HOWS.items():
        if how not in by_how:
            continue
        examples = [
            {"raw": raw, "label": label if isinstance(label, str) else "", "count": number}
            for raw, label, number in shown.loc[shown["how"] == how, ["raw", "label", "count"]].head(5).itertuples(index=False)
        ]
        rows.append({"how": what, "count": count(float(by_how[how])), "share": per_cent(float(by_how[how]) / total), "examples": examples})
    return {"rows": rows, "total": count(total)}


_FIVE = 5
"""Labels above which a place among the first five says something."""


def _scorer(tables: Tables) -> list[dict[str, str]]:
    """Return how the scorer reads real rows, corpus by corpus; "–" for the first five of five labels or fewer."""
    found = tables.pillars.scorer
    return (
        []
        if found is None
        else [
            {
                "target": str(row["target"]),
                **{name: count(float(row[name])) for name in ("labels", "n")},
                **{name: per_cent(float(row[name])) for name in ("top1", "frequency_top1")},
                **{name: per_cent(float(row[name])) if row["labels"] > _FIVE else "–" for name in ("top5", "frequency_top5")},
            }
            for row in found.to_dict("records")
        ]
    )


def _explanations(tables: Tables) -> list[dict[str, Any]]:
    """Return the words of up to three generated rows, each with its SHAP value as a tint from 0 to 100."""
    found, rows = tables.pillars.explanations, tables.pillars.rows
    if found is None or rows is None or found.empty or not tables.pillars.guarded:
        return []
    shown = explained(found, rows, tables.corpus_texts)
    asked = {row_id: ", ".join(map(str, emotions)) for row_id, emotions in zip(rows["row_id"], rows["emotions"], strict=True)}
    out = []
    for row_id, group in shown.groupby("row_id", sort=False):
        most = max(float(group["value"].abs().max()), 1e-12)
        lines = []
        for label, part in group.groupby("label", sort=False):
            tokens = [
                {
                    "token": token,
                    "value": points(float(value), sign=True, digits=2),
                    "tint": round(70 * abs(float(value)) / most),
                    "side": "for" if value >= 0 else "against",
                }
                for token, value in part.sort_values("position", kind="stable")[["token", "value"]].itertuples(index=False)
            ]
            lines.append({"label": label, "probability": points(float(part["probability"].iloc[0]), digits=2), "tokens": tokens})
        out.append({"asked": asked[str(row_id)], "lines": lines})
    return out


def _scale(tables: Tables) -> list[dict[str, str]]:
    """Return the estimate of the published scale, setting by setting."""
    found = tables.pillars.scale
    if found is None or found.empty or "gpu_hours" not in found:
        return []

    def number(value: float, digits: int = 0) -> str:
        return "–" if math.isnan(value) else count(value) if digits == 0 else points(value, digits=digits)

    rows = []
    for row in found.to_dict("records"):
        money = float(row["money"]) if row.get("money") is not None else math.nan
        tokens = (float(row["prompt_tokens"]) + float(row["new_tokens"])) / 1e6
        rows.append(
            {
                "setting": str(row["setting"]),
                "rows": number(float(row["rows"])),
                "inferences": number(float(row["inferences"])),
                "tokens": number(tokens),
                "flop": "–" if math.isnan(float(row["flop"])) else f"{float(row['flop']):.1e}",
                "hours": number(float(row["gpu_hours"]), 0 if float(row["gpu_hours"]) >= 10 else 1),
                "money": "–" if math.isnan(money) else f"{number(money)} {row['currency']}",
                "basis": str(row["basis"]),
            }
        )
    return rows


def _last(model: str) -> str:
    """Return the last part of a model's name: a path of the user's machine is nobody else's business."""
    return re.split(r"[/\\]", model)[-1]


def _notes(tables: Tables, params: Params) -> list[str]:
    """Return the limits of this part in plain words."""
    grounding, transfer = params.grounding, params.transfer
    names = ", ".join(dict.fromkeys(_last(item.generator.model) for item in grounding.generators.values()))
    styles = {item.prompt_style for item in grounding.generators.values()}
    scorer = _last(grounding.labels.model)
    small = any("135m" in item.generator.model.lower() for item in grounding.generators.values())
    notes = [
        f"Texts were written by {names}"
        + (", a model of 135 million parameters: fifty times smaller than that of the published study. " if small else ". ")
        + "Nobody has checked that a text expresses the emotion that was asked for.",
        f"Soft labels are {per_cent(grounding.labels.intended)} what was asked for and {per_cent(1 - grounding.labels.intended)} what {scorer} reads in the text: "
        "a judge of the same kind as the writer, that shares its errors.",
    ]
    if "completion" in styles:
        notes.append(
            "In completion style a context-less row is told anew from context and emotion; the utterance is not rewritten, as the published study does. "
            "So the two rows of an example need not say the same."
        )
    notes += [
        f"Targets are real corpora, but only seeds of {', '.join(str(size) for size in transfer.seeding.sizes)} rows are taken to be labelled. Strengths of "
        "regularisation and thresholds were chosen on the whole validation split: labels that someone with so small a seed would not have. Every regime had them.",
        "The encoder is pre-trained once for each arm, so that intervals do not hold the chance of pre-training; generated rows are written once, too.",
        "Labels are moved between corpora through maps between taxonomies; what has no counterpart in the target is lost.",
        "Minimal pairs and contexts were generated for the emotion asked for. They show whether a model reads contexts of this kind, not what context does among people.",
    ]
    if not tables.pillars.guarded:
        notes.append("The narratives' passages are not at hand, so that no generated text is shown here.")
    return notes
