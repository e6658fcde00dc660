"""The pages that people read: a first page of five minutes, and one page a theme behind it.

Files without assets of other hosts, readable without the code. Every number on them comes from a result file or from the parameters. What
changes between equal runs (time taken) is in ``timings.js``, so that pages are equal byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jinja2
import pandas as pd

from emosynth.authenticity import OTHER, REAL
from emosynth.authenticity.reach import SENTENCES, WORDS
from emosynth.catalog import Catalog
from emosynth.escape import printable, readable
from emosynth.evidence import Claim, outcome_words
from emosynth.evidence import reading as reading_of
from emosynth.evidence.claims import sizeless
from emosynth.evidence.numbers import count, known, listed, number, p_text, per_cent, sized, span
from emosynth.params import Params
from emosynth.pipeline import STAGES
from emosynth.report import advice as do
from emosynth.report import first_page as first
from emosynth.report import provenance, reading, responsible, scores
from emosynth.report.figures.authenticity import SAME_TEXTS, distinct, effect_text, measure_name, most_reached, title_of
from emosynth.report.figures.base import FIGURES, Figure, Words, figures, rows_of
from emosynth.report.figures.claims import NOTE as APART
from emosynth.report.figures.claims import apart_rows
from emosynth.report.figures.context_effect import dialogue_rows
from emosynth.report.ranges import within_range
from emosynth.report.results import example_rows
from emosynth.report.tables import Tables

TITLE = "The Synthetic Emotion Compendium"


@dataclass(frozen=True)
class Page:
    """A page of a theme, ``name`` its file name without ending; its intro, the notebooks that it links, the parameters that made it."""

    name: str
    title: str
    intro: str
    stages: tuple[str, ...]
    sections: tuple[str, ...]


PAGES = (
    Page("reading", "How to read this", reading.INTRO, (), ("evidence",)),
    Page(
        "guidance", "What a prompt can show",
        "A simple classifier is fitted on the seed (the few labelled posts that we pretend are all there is). SHAP values say how much each word "
        "speaks for a class in that classifier; TF-IDF ranks words by how much more often one class uses them. Words and posts rich in them can be "
        "put into the prompt: that is guidance.", ("02_shap",), ("shap", "guides"),
    ),
    Page(
        "writing", "Writing and checking",
        "A language model writes more posts than are wanted; checks judge each one. What fails is kept on record and not used. The teacher is a "
        "classifier trained on the same seed; it checks labels and can give each text soft labels, a probability for every class. Perplexity says "
        "how surprised a language model is by a text: lower is more expected.",
        ("03_narratives", "04_tuning", "05_generation", "06_verification"), ("models", "narratives", "tuning", "writers", "generation", "checks", "teacher"),
    ),
    Page(
        "training", "Training: arms head to head",
        "An arm is one way to grow a seed. Macro-F1 is the mean over classes of F1, which is high only if a classifier finds a class's posts and "
        "finds few others; it is shown in points, 100 being perfect. All arms share seeds, test rows and classifiers, so that they are compared in pairs.",
        ("01_seeding", "07_training"), ("cells", "arms", "sweeps", "learners", "training"),
    ),
    Page(
        "authenticity", "Does it read like real text?",
        "Each measure is taken on equal amounts of text. Real text is compared with other real text too: what differs there differs by chance.",
        ("08_authenticity",), ("authenticity",),
    ),
    Page(
        "context", "What context is worth",
        "Texts written from stories come with a context. Models that read context and utterance are compared with models that read either alone.",
        ("09_context",), ("context",),
    ),
    Page(
        "responsible", "What it copies, leaks and distorts",
        "Written text can repeat the posts that it grew from, hold what belongs to persons, carry wrong labels, be ruder than people are, or tie "
        "groups of people to emotions. Real text does all of this too: each number stands beside how much real posts do so.",
        ("10_responsible",), ("responsible",),
    ),
    Page(
        "claims", "Claims, and what was found",
        "Published claims, and our own apart from them. Each was declared before it was judged, in data/claims.yaml: what is compared, with which classifier, on which corpus. Five "
        "outcomes are possible by one rule: better, worse, equivalent (within a margin that is a share of what real posts gain), too imprecise, "
        "not tested. “Undecided” means that the data do not decide; it is no finding of no effect.", ("11_figures",), ("evidence",),
    ),
    Page("data", "Data, models, parameters", "What made these results.", ("00_corpora",), ()),
)  # fmt: skip


def render_pages(tables: Tables, catalog: Catalog, left_out: Mapping[str, str], folder: Path | None = None) -> Path:
    """Write all pages of a profile; return the first. ``left_out``: figure -> why it does not stand on its page.

    ``folder``: where figures lie and pages go, if not in the report itself; pages of notebooks are those of the report.
    """
    environment = jinja2.Environment(  # escaped, since texts of corpora and generators are hostile
        loader=jinja2.PackageLoader("emosynth.report", "templates"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, finalize=lambda value: printable(value) if type(value) is str else value,
    )  # fmt: skip
    environment.filters |= {"words": readable, "slug": lambda text: str(text).replace(" ", "-")}
    report, folder = tables.paths.report, folder or tables.paths.report
    folder.mkdir(parents=True, exist_ok=True)
    script = str(environment.loader.get_source(environment, "timings.js")[0]) if environment.loader else ""
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    shared = {
        "scored_on": tables.scored.scored_on if tables.scored else "test", "title": TITLE, "profile": tables.paths.profile, "pages": PAGES, "script": script, "script_hash": digest,
        "stages": {stage.name: stage.title for stage in STAGES}, "notebooks": _notebooks(report),
    }  # fmt: skip
    for page in PAGES:
        shown, missing = _figures(tables, page.name, left_out, folder / FIGURES)
        content = environment.get_template("theme.html.j2").render(
            **shared, page=page, figures=shown, missing=missing, blocks=[block for block in _blocks(tables, catalog, page.name) if block],
            claims=_claims(tables) if page.name == "claims" else {}, energy=responsible.energy(tables) if page.name == "responsible" else [], references=provenance.bibliography(tables, catalog) if page.name == "data" else [],
            parameters=provenance.parameters(tables.params, page.sections or None),
        )  # fmt: skip
        _write(folder / f"{page.name}.html", content)
    shown, missing = _figures(tables, "index", left_out, folder / FIGURES)
    content = environment.get_template("index.html.j2").render(
        **shared, page=None, figures=shown, missing=missing, answer=do.answer(tables), elsewhere=do.elsewhere(tables), advice=do.advice(tables), rules=do.rules(tables),
        cuts=do.cuts(tables), no_help=first.no_help(tables),
        boxes=first.boxes(tables), examples=example_rows(tables), trust=first.trust(tables), strip=first.strip(tables), target=tables.target,
        arm_title=tables.looks.title,
    )  # fmt: skip
    _write(folder / "index.html", content)
    if not (report / "timings.js").exists():
        _write(folder / "timings.js", "window.EMOSYNTH_TIMINGS = [];\n")
    return folder / "index.html"


def _write(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8", newline="\n")


def _notebooks(folder: Path) -> list[str]:
    """Return the stages whose pages are linked: all but where none is there, as of a run that is not finished."""
    return [stage.name for stage in STAGES if (folder / "notebooks" / f"{stage.name}.html").is_file() or stage is STAGES[-1]]


# --- figures ------------------------------------------------------------------------------------------------


def _figures(tables: Tables, page: str, left_out: Mapping[str, str], drawn: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the figures of a page, and a line for each that is left out; ``drawn``: the folder of their files."""
    shown, missing = [], []
    for figure in figures():
        if figure.page != page or not figure.applies(tables.params):
            continue
        if figure.name in left_out:
            missing.append(f"{figure.shown_name()}: {left_out[figure.name]}")
        else:
            shown.append(_figure(figure, figure.words(figure.frame(tables), tables), drawn))
    return shown, missing


def _figure(figure: Figure, words: Words, folder: Path) -> dict[str, Any]:
    made = {name.partition("/")[0] for name in figure.reads}
    stages = [stage for stage in STAGES if stage.makes in made]
    sections = {section for stage in stages for section in stage.sections}
    files = [ending for ending in ("png", "svg", "pdf", "csv") if (folder / f"{figure.name}.{ending}").is_file()]
    return {
        "name": figure.name, "topic": figure.shown_name(), "words": words, "size": _svg_size(folder / f"{figure.name}.svg"),
        "files": files, "stages": [stage.name for stage in stages], "tables": [f"{name}.parquet" for name in figure.reads],
        "sections": [section for section in Params.model_fields if section in sections],
    }  # fmt: skip


def _svg_size(path: Path) -> tuple[int, int] | None:
    """Return width and height in CSS pixels, so that the page does not jump while it loads."""
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as file:
        head = file.read(2000)
    found = [re.search(rf'<svg[^>]*?\b{name}="([\d.]+)pt"', head) for name in ("width", "height")]
    width, height = found
    return None if width is None or height is None else (round(float(width[1]) * 4 / 3), round(float(height[1]) * 4 / 3))


# --- tables -------------------------------------------------------------------------------------------------

Block = dict[str, Any]


def _blocks(tables: Tables, catalog: Catalog, page: str) -> list[Block | None]:
    makers: dict[str, Callable[[], list[Block | None]]] = {
        "reading": lambda: [
            _rows(title, [{name: word, "meaning": told} for word, told in pairs]) for title, name, pairs in reading.sections(tables)
        ],
        "guidance": lambda: [_learners(tables)],
        "writing": lambda: [_arms(tables), _stories(tables)],
        "training": lambda: [_rows("What each arm is", [{"arm": name, "what it is": what} for name, what in reading.arms(tables)]), scores.alone_rows(tables), _rows("Where written rows are shown to pay", [{"corpus and classifier": line} for line in do.paying(tables)]), *(block for corpus in tables.params.corpora.names for block in scores.score_rows(tables, corpus)), scores.flaw_rows(tables), _rows("Not trained, and why", scores.left_rows(tables))],
        "authenticity": lambda: [*(_reach(tables, corpus, space) for corpus in tables.params.corpora.names for space in (SENTENCES, WORDS)), _panel(tables)],
        "context": lambda: [_rows(*dialogue_rows(tables)), _reader(tables)],
        "responsible": lambda: [_rows(*told) for told in responsible.blocks(tables)],
        "claims": lambda: [_rows("A published gain, taken apart: each departure of the code from its report", apart_rows(tables), APART)],
        "data": lambda: [
            _rows("Corpora", provenance.corpora(tables)), _rows("Models", provenance.models(tables.params, catalog)),
            _rows("Language models as they were reached", provenance.generators(tables)), _rows("Versions", provenance.versions()),
        ],
    }  # fmt: skip
    return makers[page]() if page in makers else []


def _rows(title: str, rows: list[dict[str, str]], note: str = "") -> Block | None:
    """Return mappings as a table."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    block = {"title": title, "note": note, "columns": columns, "rows": [[row.get(key, "") for key in columns] for row in rows]}
    return block if rows else None


def _records(tables: Tables, name: str, title: str, cells: Callable[[dict[str, Any]], dict[str, str]], note: str = "") -> Block | None:
    """Return a result table with cells as they are written."""
    frame = tables.get(name)
    return None if frame is None else _rows(title, [cells({str(key): row[key] for key in row}) for row in frame.to_dict("records")], note)


def _learners(tables: Tables) -> Block | None:
    return _records(tables, "materials/learners", "Classical classifiers on the seed alone", lambda row: {
        "corpus": row["corpus"], "labels": count(row["size"]), "classifier": row["learner"], "macro-F1": number(100 * row["macro_f1"]),
        "spread over folds": number(100 * row["sd"]),
    }, "Cross-validated within the seed, in points.")  # fmt: skip


def _arms(tables: Tables) -> Block | None:
    verdicts, params = tables.get("verdicts/verdicts"), tables.params
    rows = []
    for name, arm in params.arms.items():
        if arm.add != "written":
            continue
        own = None if verdicts is None else verdicts[(verdicts["arm"] == name) & (verdicts["corpus"] == tables.target)]
        guides = [told if told == reading.UNGROUNDED else guide for guide, told in reading.guided(params, arm)]
        row = {
            "arm": tables.looks.title(name), "prompt shows": ", ".join(guides) or "the class alone",
            "writer": arm.writer if isinstance(arm.writer, str) else "mixed",
            "labels asked for": "the corpus's" if arm.space == "target" else arm.space,
            "checks": arm.checks if isinstance(arm.checks, str) else ", ".join(arm.checks),
            "rows of other arms": "; ".join([*(["in equal shares: " + listed([tables.looks.title(part) for part in arm.plus])] if arm.plus else []),
                                            *([f"trained on first: {tables.looks.title(arm.after)}"] if arm.after else [])]),
            "label": arm.labels if isinstance(arm.labels, str) else ", ".join(f"{key} {value}" for key, value in arm.labels.items()),
        }  # fmt: skip
        if own is not None:
            row |= {"candidates": count(len(own)), "accepted": per_cent(float(own["accepted"].astype(bool).mean())) if len(own) else "–"}
        rows.append(row)
    return _rows(f"What is written, and how much of it is accepted on {tables.target}", rows)


def _stories(tables: Tables) -> Block | None:
    frame = tables.get("narratives/stories")
    if frame is None:
        return None
    numeric = [str(name) for name in frame.select_dtypes("number")]
    rows = [{"measure": "stories", "value": count(len(frame))}]
    rows += [{"measure": f"{name.replace('_', ' ')}, in all", "value": count(float(frame[name].sum()))} for name in numeric]
    return _rows("Narratives", rows)


def _panel(tables: Tables) -> Block | None:
    frame = tables.get("authenticity/panel")
    frame = None if frame is None else distinct(frame[frame["corpus"] == tables.target], tables)
    if frame is None or frame.empty:
        return None
    keys = [key for key in dict.fromkeys(zip(frame["arm"], frame["verified"].astype(bool), strict=True)) if key[0] != REAL]
    rows = []
    for measure, group in frame.groupby("measure", sort=False):
        base = group[group["arm"] == REAL]["value"]
        row = {"measure": measure_name(str(measure)), "real text": sized(float(base.iloc[0])) if len(base) else "–"}
        for arm, verified in keys:
            cell = group[(group["arm"] == arm) & (group["verified"].astype(bool) == verified)]
            name = title_of(tables, arm) + ("" if verified or tables.looks.real(arm) else ", as written")
            own = next(rows_of(cell), None)
            row[name] = f"{sized(own.value)} ({effect_text(own.effect, own.effect_kind)})" if own and known(own.value) else "–"
        rows.append(row)
    return _rows("The whole panel", rows, "Value, and in brackets the effect against real text at the same amount of text." + SAME_TEXTS)


def _reach(tables: Tables, corpus: str, space: str) -> Block | None:
    """Return fidelity and coverage of each arm's accepted text among real text of a corpus, in one of the spaces."""
    frame = tables.get("authenticity/coverage")
    shown = None if frame is None else frame[(frame["corpus"] == corpus) & (frame["verified"].astype(bool) | (frame["arm"] == OTHER))]
    if shown is None or shown.empty or space not in set(shown["space"]):
        return None
    shown, rows = within_range(distinct(shown, tables)), []
    for arm in [OTHER, *tables.looks.order(set(shown["arm"]) - {OTHER})]:
        own = shown[(shown["arm"] == arm) & (shown["space"] == space)]
        cells = {str(row.measure): f"{number(row.value, 2)} ({span(row.low, row.high, 2, sign=False)})" for row in rows_of(own)}
        rows.append({"arm": title_of(tables, arm), **cells, "texts": count(own["n_texts"].max())})
    if space == SENTENCES:
        note = (
            "Precision, density: how far generated text lies where real text does; recall, coverage: how much of real text it reaches; accepted text, with interval."
            + SAME_TEXTS
        )
    else:
        note = (
            "Nearness by the words that texts have in common, which no filter reads; the teacher reads the space of sentences."
            + most_reached(shown, tables)
        )
    return _rows(f"Fidelity and coverage on {corpus}, {space} compared", rows, note)


def _reader(tables: Tables) -> Block | None:
    return _records(tables, "context/reader", "How well the language model reads labels off real posts", lambda row: {
        "corpus": row["corpus"], "labels": count(row["labels"]), "real posts": count(row["n"]), "first label right": per_cent(row["top1"]),
        "by frequency": per_cent(row["frequency_top1"]), "among the first five": per_cent(row["top5"]),
        "by frequency, five": per_cent(row["frequency_top5"]),
    }, "Beside it a guess by how frequent labels are.")  # fmt: skip


def _cells(row: Mapping[str, object]) -> dict[str, str]:
    return {key.replace("_", " "): p_text(cast(float, value)) if key == "p" else _cell(value) for key, value in row.items()}


def _cell(value: object) -> str:
    if isinstance(value, float):
        return count(value) if known(value) and abs(value) >= 1000 else sized(value)
    return "–" if value is None or value is pd.NA else count(value) if isinstance(value, int) else str(value)


def _claims(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of claims by heading, published ones and our own apart."""
    made = {
        first.HEADINGS[ours]: _claim_rows(tables, [claim for claim in tables.claims if claim.declared.ours == ours])
        for ours in first.HEADINGS
    }
    return {heading: rows for heading, rows in made.items() if rows}


def _claim_rows(tables: Tables, claims: Iterable[Claim]) -> list[dict[str, Any]]:
    rows = []
    for claim in claims:
        declared, finding = claim.declared, claim.finding
        digits = 1 if finding.unit == "F1 points" else 3
        rows.append({
            "id": declared.id, "statement": declared.statement, "source": f"{declared.source}; {declared.place}", "verdict": claim.verdict,
            "outcome": outcome_words(claim, tables.params), "effect": number(finding.effect, digits, sign=True), "unit": finding.unit if known(finding.effect) else "",
            "span": span(finding.low, finding.high, digits), "p": p_text(claim.p_adjusted), "reading": reading_of(claim, tables.params),
            "setting": first.setting(tables, claim), "elsewhere": first.elsewhere(tables, claim), "history": declared.history(),
            "replications": _rows(declared.id, [_cells(row) for row in claim.replications]),
        })  # fmt: skip
        if declared.claimed is not None:  # a claim of a size is a row of its own
            amount = (
                f"{'−' if declared.expects == 'worse' else '+'}{number(declared.claimed.points, 0)} F1 points, {declared.claimed.bound}"
            )
            apart = known(finding.sized) and finding.sized != finding.effect  # the direction is decided by another difference
            on = f"by the difference to {declared.right[0].words()}" if apart else "on the same difference"
            rows.append(rows[-1] | {
                "effect": number(finding.sized, digits, sign=True), "span": "" if apart else rows[-1]["span"], "id": f"{declared.id}-size",
                "statement": f"The size of it: {amount}.", "verdict": claim.size_verdict or "not tested", "outcome": "size",
                "p": p_text(claim.size_p_adjusted), "reading": f"Not judged: {why}." if (why := sizeless(claim)) else f"Judged apart from the direction, {on}.", "replications": None,
            })  # fmt: skip
    return rows
