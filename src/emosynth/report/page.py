"""The page that people read: ``reports/<profile>/index.html``.

One file without assets of other hosts, readable without the code. Every number on it comes from a
result file or from the parameters. What changes between equal runs (time taken) is in ``timings.js``
beside it, so that the page itself is equal byte for byte.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

import jinja2
import pandas as pd

from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.report import figures as report_figures
from emosynth.report import pillars, sentisynth
from emosynth.report.examples import WITHHELD_SEED, example_groups
from emosynth.report.figures.authenticity import CONTROL, effect_text, kind_label, measure_label, panel_of
from emosynth.report.figures.base import Missing
from emosynth.report.figures.pillars.common import PART as PILLARS
from emosynth.report.figures.pillars.common import learner_name
from emosynth.report.figures.sentisynth.common import PART as SENTISYNTH
from emosynth.report.figures.verification import check_names
from emosynth.report.numbers import POINTS, count, per_cent, points, span, summary
from emosynth.report.tables import Tables
from emosynth.style import arm_label, is_real, learner_label, order_arms

__all__ = ["PARTS", "WITHHELD_SEED", "NotebookLink", "Part", "draw_figures", "regenerate", "render_report"]

TITLE = "The Synthetic Emotion Compendium"
VERDICTS = ("supported", "contradicted", "inconclusive", "not tested")
_LONGEST = 280


@dataclass(frozen=True)
class Part:
    """A part of the results with figures of its own (those registered with ``part=name``).

    ``template`` is put after its figures; it finds what it shows in ``group.details``.
    """

    name: str
    title: str
    intro: str
    template: str = ""


PARTS = (
    Part(
        "shap-guided",
        "SHAP-guided generation",
        "A simple classifier is fitted on the seed. SHAP values say which words carry each emotion; these words, and seed texts rich in "
        "them, tell the language model what to write. The same seeds are also grown with real rows and with unguided (naïve) text.",
    ),
    Part(
        SENTISYNTH,
        "SentiSynth: generate, verify, distil",
        "A small language model is tuned on the seed and writes further texts for each label. A teacher, trained on the same seed, keeps the "
        "texts whose label it recognises with enough confidence, and says how sure it is. A student learns from the seed and from these "
        "soft labels, generated rows weighing less than real ones.",
        "sentisynth.html.j2",
    ),
    Part(
        PILLARS,
        "Emo Pillars: ground, label softly, transfer",
        "A language model is given a passage of a narrative and one of its characters, and writes a situation, an utterance that shows a given "
        "emotion in it, and a text that shows it without the situation. Without passages it makes up all of this alone, for comparison. Soft "
        "labels over many emotions are scored. A model is trained on these rows first, and then on a few real rows of each target corpus, "
        "whose labels are fewer or other ones.",
        "pillars.html.j2",
    ),
)

_DETAILS: dict[str, tuple[Callable[[Tables], bool], Callable[[Tables, Params], dict[str, Any]]]] = {
    SENTISYNTH: (lambda tables: tables.distilled, sentisynth.details),
    PILLARS: (lambda tables: tables.pillars.found, pillars.details),
}
"""Of parts with a template: whether a run holds them, and what the template shows."""


@dataclass(frozen=True)
class NotebookLink:
    """A rendered notebook beside the page.

    Parameters
    ----------
    name
        File name without ending, e.g. ``03_generation``; the file is ``notebooks/03_generation.html``.
    title
        Title for readers.
    summary
        One sentence on what it does.
    """

    name: str
    title: str
    summary: str = ""


# --- figures --------------------------------------------------------------------------------------


def draw_figures(paths: Paths, params: Params) -> list[Path]:
    """Draw every figure of the report into ``reports/<profile>/figures``; return the files written."""
    tables = Tables.load(paths, params)
    written = []
    for name in report_figures.figure_names():
        written += report_figures.write_figure(name, tables, params.figures, paths.report / "figures")
    return written


def regenerate(name: str, paths: Paths, params: Params) -> list[Path]:
    """Draw one figure alone; return the files written.

    Raises
    ------
    UserError
        If there is no figure of that name.
    """
    report_figures.get_figure(name)
    tables = Tables.load(paths, params)
    return report_figures.write_figure(name, tables, params.figures, paths.report / "figures")


# --- page -----------------------------------------------------------------------------------------


def render_report(paths: Paths, params: Params, provenance: Mapping[str, Any], notebooks: Sequence[NotebookLink | Sequence[str]]) -> Path:
    """Write the page of a profile from its result files and figures.

    Parameters
    ----------
    paths
        Places of the profile.
    params
        All parameters: they are printed, and say what to expect.
    provenance
        What made the results, by topic, in the order to be shown. A topic is a mapping of names to values (shown as a
        list) or a list of mappings (shown as a table), e.g. ``{"versions": {"python": "3.11"}, "models": [{"name": …,
        "sha256": …, "licence": …, "citation": …}], "corpora": [...]}``. No time stamps and no absolute paths.
    notebooks
        Rendered notebooks in order: :class:`NotebookLink`, or its fields as a sequence.

    Returns
    -------
    Path
        ``index.html``. An empty ``timings.js`` is put beside it if the runner has not written one yet.
    """
    tables = Tables.load(paths, params)
    links = [link if isinstance(link, NotebookLink) else NotebookLink(*link) for link in notebooks]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emosynth.report", "templates"),
        autoescape=True,  # texts of corpora and generators are hostile
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["words"] = readable
    environment.filters["tie"] = tie
    page = environment.get_template("index.html.j2").render(
        title=TITLE,
        profile=paths.profile,
        key=_key_result(tables, params),
        corpora=_corpora(tables, params),
        seeding=_seeding(tables, params),
        tuning=_tuning(tables, params),
        transfer=_transfer(tables, params),
        parts=_parts(paths, tables, params),
        claims=_claims(tables),
        verdicts=VERDICTS,
        arms=_arms(tables, params),
        scores=_scores(tables),
        examples=_examples(tables),
        panel=_panel(tables),
        notebooks=links,
        provenance=_provenance(provenance),
        deterministic=all(item.get("equal requests, equal texts", "yes") == "yes" for item in provenance.get("generators", [])),
        parameters=_parameters(params),
        confidence=per_cent(params.evidence.confidence),
    )
    paths.report.mkdir(parents=True, exist_ok=True)
    index = paths.report / "index.html"
    index.write_text(page, encoding="utf-8", newline="\n")
    timings = paths.report / "timings.js"
    if not timings.exists():
        timings.write_text("window.EMOSYNTH_TIMINGS = [];\n", encoding="utf-8", newline="\n")
    return index


# Characters that no HTML may hold, and those that turn the direction of the text around them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")


def readable(text: object) -> str:
    """Return a text fit for a page: no control characters, cut to a length that a table bears. It is *not* escaped."""
    clean = _UNPRINTABLE.sub("\ufffd", str(text))
    return clean if len(clean) <= _LONGEST else clean[:_LONGEST].rstrip() + " …"


def tie(text: str) -> str:
    """Keep ``n = 240`` on one line."""
    return text.replace("n = ", "n\u00a0=\u00a0")


def _key_result(tables: Tables, params: Params) -> dict[str, Any]:
    learner = tables.learner
    size = tables.largest_size(learner)
    rows = []
    if tables.scores is not None and learner is not None:
        at = tables.scores[(tables.scores["learner"] == learner) & (tables.scores["size"] == size)]
        for arm in tables.headline_arms():
            found = summary(
                at[(at["arm"] == arm) & (at["verified"] == tables.verified(arm))]["macro_f1"] * POINTS, tables.evidence.confidence
            )
            if found.n:
                rows.append(
                    {
                        "label": arm_label(arm),
                        "value": points(found.mean),
                        "interval": span(found.low, found.high) if found.known else "one repeat",
                    }
                )
    verdicts = [str(claim.get("verdict", "not tested")) for claim in tables.claims or []]
    return {
        "sentence": report_figures.get_figure("learning_curves").describe(tables).title,
        "learner": learner_label(learner) if learner else "",
        "size": size,
        "rows": rows,
        "verdicts": [{"name": name, "count": verdicts.count(name)} for name in VERDICTS if verdicts.count(name)],
        "claims": len(verdicts),
        "second": {**sentisynth.key_result(tables), "corpus": params.tuning.corpus},
        "third": pillars.key_result(tables),
        "version": "verified ones"
        if any(tables.verified(arm) for arm in tables.headline_arms())
        else "taken as generated, before verification",
    }


def _corpora(tables: Tables, params: Params) -> list[dict[str, Any]]:
    found = []
    for name in sorted(tables.corpora, key=lambda name: (name != tables.target, name)):
        corpus = tables.corpora[name]
        duplicates = corpus.about.get("duplicates")
        found.append(
            {
                "name": name,
                "target": name == tables.target,
                "tuning": tables.distilled and name == params.tuning.corpus,
                "transfer": tables.pillars.found and name in params.transfer.targets,
                "noun": corpus.about.get("register_noun", "text"),
                "task": "several labels a text" if corpus.about.get("task") == "multi" else "one label a text",
                "sizes": {split: count(number) for split, number in corpus.sizes().items()},
                "classes": [{"label": label, "share": per_cent(share)} for label, share in corpus.shares().items()],
                "duplicates": _removed(duplicates),
                "licence": corpus.about.get("licence", "unknown"),
                "citation": corpus.about.get("citation", ""),
            }
        )
    return found


def _removed(duplicates: object) -> list[dict[str, str]]:
    """Return what was removed from each split, by kind of duplicate; the notebook of step 00 has what was found."""
    removed = duplicates.get("removed", {}) if isinstance(duplicates, Mapping) else {}
    return [
        {"name": f"removed from {split}", "value": ", ".join(f"{count(number)} {kind}" for kind, number in kinds.items())}
        for split, kinds in removed.items()
        if isinstance(kinds, Mapping)
    ]


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _seeding(tables: Tables, params: Params) -> dict[str, Any]:
    return {
        "target": tables.target,
        "sizes": [str(size) for size in params.seeding.sizes],
        "repeats": params.seeding.repeats,
        "growth": f"{params.generation.growth:g}",
        "generator": public("model", params.generation.generator.model),
        "learners": [learner_label(name) for name in params.training.learners],
    }


def _tuning(tables: Tables, params: Params) -> dict[str, Any] | None:
    if not tables.distilled:
        return None
    return {
        "corpus": params.tuning.corpus,
        "sizes": [str(size) for size in params.tuning.seeding.sizes],
        "model": public("model", params.tuning.model),
        "growth": f"{params.distillation.growth:g}",
        "students": [learner_label(name) for name in params.distillation.students],
    }


def _transfer(tables: Tables, params: Params) -> dict[str, Any] | None:
    if not tables.pillars.found:
        return None
    grounding, transfer = params.grounding, params.transfer
    return {
        "generators": [public("model", name) for name in dict.fromkeys(item.generator.model for item in grounding.generators.values())],
        "examples": count(grounding.examples),
        "taxonomy": grounding.taxonomy,
        "targets": transfer.targets,
        "sizes": [str(size) for size in transfer.seeding.sizes],
        "repeats": transfer.seeding.repeats,
        "learners": [learner_name(name) for name in transfer.learners],
    }


def _parts(paths: Paths, tables: Tables, params: Params) -> list[dict[str, Any]]:
    style, found, number = params.figures, [], 0
    for part in PARTS:
        held, details = _DETAILS.get(part.name, (None, None))
        if held is not None and details is not None and not held(tables):
            # A run without this system says so once, instead of once a figure.
            found.append({"part": part, "figures": [], "details": details(tables, params)})
            continue
        entries = []
        for spec in map(report_figures.get_figure, report_figures.figure_names()):
            if spec.part != part.name:
                continue
            number += 1
            words = spec.describe(tables)
            folder = paths.report / "figures"
            endings = [ending for ending in ("png", "svg", "pdf", "csv") if ending in (*style.formats, "svg", "csv")]
            image = folder / f"{spec.name}.svg"
            entries.append(
                {
                    "name": spec.name,
                    "number": number,
                    "topic": spec.topic,
                    "words": words,
                    "drawn": image.is_file(),
                    "size": _svg_size(image),
                    "files": [
                        {"ending": ending, "href": f"figures/{spec.name}.{ending}"}
                        for ending in endings
                        if (folder / f"{spec.name}.{ending}").is_file()
                    ],
                }
            )
        if entries:
            found.append({"part": part, "figures": entries, "details": details(tables, params) if details is not None else {}})
    return found


def _svg_size(path: Path) -> tuple[int, int] | None:
    """Return width and height in CSS pixels, so that the page does not jump while it loads."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as file:
        match = re.search(
            r'<svg[^>]*?\bwidth="([\d.]+)pt"[^>]*?\bheight="([\d.]+)pt"|<svg[^>]*?\bheight="([\d.]+)pt"[^>]*?\bwidth="([\d.]+)pt"',
            file.read(2000),
        )
    if match is None:
        return None
    width, height = (match[1], match[2]) if match[1] else (match[4], match[3])
    return round(float(width) * 4 / 3), round(float(height) * 4 / 3)


def _claims(tables: Tables) -> list[dict[str, Any]]:
    rows = []
    for claim in tables.claims or []:
        effect, edges, unit = claim.get("effect"), claim.get("interval") or [None, None], claim.get("effect_unit") or ""
        if "F1" in unit and "point" not in unit:  # shown in points, as everywhere on the page
            effect, *edges = [100 * value if _number(value) else None for value in (effect, *edges)]
            unit = "points"
        numbers = [value for value in (effect, *edges) if _number(value)]
        digits = (
            3
            if numbers and max(abs(value) for value in numbers) < 0.1
            else 2
            if numbers and max(abs(value) for value in numbers) < 2
            else 1
        )
        verdict = str(claim.get("verdict", "not tested"))
        rows.append(
            {
                "id": claim.get("id", ""),
                "statement": str(claim.get("statement", "")).rstrip("."),
                "comparison": claim.get("comparison", ""),
                "effect": points(float(effect), sign=True, digits=digits) if effect is not None and _number(effect) else "–",
                "unit": unit,
                "interval": f"{points(edges[0], True, digits)} … {points(edges[1], True, digits)}"
                if all(_number(edge) for edge in edges)
                else "–",
                "p": _p(claim.get("p")),
                "p_adjusted": _p(claim.get("p_adjusted")),
                "repeats": _cell(claim.get("repeats")),
                "setting": ", ".join(
                    part for part in (claim.get("corpus"), learner_label(claim["learner"], True) if claim.get("learner") else None) if part
                ),
                "verdict": verdict,
                "badge": verdict.replace(" ", "-") if verdict in VERDICTS else "not-tested",
                "reading": claim.get("reading", ""),
                "also": _table(claim.get("also") or []),
            }
        )
    return rows


def _table(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return mappings as a table: the union of their names, and a row each."""
    columns = list(dict.fromkeys(key for item in items for key in item))
    return {"columns": columns, "rows": [[_cell(item.get(column)) for column in columns] for item in items]}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _p(value: Any) -> str:
    if not _number(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


_GUIDANCE = {
    "none": "the class name alone",
    "random_exemplars": "seed texts of the class, drawn at random",
    "shap_tokens": "SHAP words",
    "shap_exemplars": "seed texts rich in SHAP words",
    "shap_both": "SHAP words and seed texts rich in them",
    "shap_bias": "SHAP words as a bias on the model's output",
}


def _arms(tables: Tables, params: Params) -> dict[str, Any]:
    """Return candidates, acceptance and pass rates of the checks by generating arm."""
    if tables.candidates is None:
        return {"checks": [], "rows": []}
    checks = check_names(tables.candidates)
    rows = []
    for arm in tables.generating:
        of_arm = tables.candidates[tables.candidates["arm"] == arm]
        if of_arm.empty:
            continue
        planned = params.generation.arms.get(arm)
        rows.append(
            {
                "label": arm_label(arm),
                "guidance": _GUIDANCE.get(planned.guidance, planned.guidance) if planned else "–",
                "candidates": count(len(of_arm)),
                "accepted": per_cent(float(of_arm["accepted"].mean())),
                "checks": [per_cent(float(of_arm[f"ok_{name}"].mean())) for name in checks],
            }
        )
    return {"checks": [name.replace("_", " ") for name in checks], "rows": rows}


def _scores(tables: Tables) -> dict[str, Any]:
    """Return macro-F1 by arm and learner, at each learner's largest size."""
    if tables.scores is None:
        return {"learners": [], "rows": []}
    learners = tables.learners
    sizes = {learner: tables.largest_size(learner) for learner in learners}
    rows = []
    for arm in tables.arms:
        for verified in (False, True):
            cells: list[dict[str, str]] = []
            for learner in learners:
                at = tables.scores[
                    (tables.scores["learner"] == learner)
                    & (tables.scores["size"] == sizes[learner])
                    & (tables.scores["arm"] == arm)
                    & (tables.scores["verified"] == verified)
                ]
                found = summary(at["macro_f1"] * POINTS, tables.evidence.confidence)
                edges = span(found.low, found.high) if found.known else "one repeat" if found.n else ""
                cells.append({"mean": points(found.mean), "span": edges})
            if any(cell["mean"] != "–" for cell in cells):
                kind = "real" if is_real(arm) else "verified" if verified else "as generated"
                rows.append({"label": arm_label(arm), "rows": kind + _added(tables, arm, verified), "cells": cells})
    return {"learners": [{"label": learner_label(name, True), "size": sizes[name]} for name in learners], "rows": rows}


def _added(tables: Tables, arm: str, verified: bool) -> str:
    """Return how many rows an arm added at the headline learner's largest size, of how many it wanted."""
    learner = tables.learner
    if tables.scores is None or arm == "seed":
        return ""
    at = tables.scores[(tables.scores["learner"] == learner) & (tables.scores["size"] == tables.largest_size(learner))]
    at = at[(at["arm"] == arm) & (at["verified"] == verified)]
    if at.empty or "n_wanted" not in at:
        return ""
    had = float((at["n_real"] - at["size"] + at["n_synthetic"]).mean())
    return f", {count(round(had))} of {count(round(float(at['n_wanted'].mean())))}"


def _examples(tables: Tables) -> list[dict[str, Any]]:
    if tables.candidates is None:
        return []
    return example_groups(tables.candidates, tables.generating, tables.corpus_texts)


def _panel(tables: Tables) -> dict[str, Any]:
    """Return the authenticity panel: value and effect by measure and arm."""
    try:
        frame = panel_of(tables, verified=True)
    except Missing:
        return {"arms": [], "rows": []}
    arms = order_arms(frame["arm"])
    rows = []
    for (family, measure), group in frame.groupby(["family", "measure"], sort=False):
        cells = []
        for arm in arms:
            found = group[group["arm"] == arm]
            if found.empty or pd.isna(found["value"].iloc[0]):
                cells.append({"value": "–", "effect": "", "strong": False})
                continue
            row = found.iloc[0]
            cells.append(
                {
                    "value": _sized(row["value"]),
                    "effect": effect_text(row["effect"], row["effect_kind"]),
                    "strong": bool(row["p_holm"] < tables.evidence.alpha),
                }
            )
        rows.append(
            {
                "family": str(family).replace("_", " "),
                "measure": measure_label(str(measure)),
                "kind": kind_label(str(group["effect_kind"].iloc[0])),
                "reference": _sized(group["reference"].iloc[0]),
                "cells": cells,
            }
        )
    return {"arms": [{"label": arm_label(arm), "control": arm == CONTROL} for arm in arms], "rows": rows}


def _sized(value: float) -> str:
    if pd.isna(value):
        return "–"
    return points(float(value), digits=1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3)


def _provenance(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    topics = []
    for name, content in provenance.items():
        topic: dict[str, Any] = {"name": str(name).replace("_", " ").capitalize(), "pairs": [], "columns": [], "rows": []}
        if isinstance(content, Mapping):
            topic["pairs"] = [{"name": str(key), "value": _cell(value)} for key, value in content.items()]
        elif isinstance(content, Sequence) and not isinstance(content, str) and all(isinstance(item, Mapping) for item in content):
            topic.update(_table(content))
        else:
            topic["pairs"] = [{"name": topic["name"], "value": _cell(content)}]
        topics.append(topic)
    return topics


_PLACES = ("model", "path", "encoder")


def public(key: str, value: str) -> str:
    """Return a parameter's value fit for a page that is kept in git: paths by their last part, addresses without who and what."""
    last = key.rpartition(".")[2]
    if last == "url" and "://" in value:
        found = urlsplit(value)
        return f"{found.scheme}://{found.hostname or ''}{f':{found.port}' if found.port else ''}{found.path}"
    if last in _PLACES and (value.startswith(("/", "~", ".")) or "\\" in value):
        return PurePath(value).name
    return value


def _parameters(params: Params) -> list[dict[str, Any]]:
    sections = []
    for name, section in params.model_dump(mode="json").items():
        sections.append({"name": name, "rows": [{"name": key, "value": public(key, value)} for key, value in _dotted(section)]})
    return sections


def _dotted(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in mapping.items():
        if isinstance(value, Mapping) and value:
            rows += _dotted(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _cell(value)))
    return rows
