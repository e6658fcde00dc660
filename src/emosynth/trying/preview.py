"""A preview of a profile: a few texts of every arm, written and judged by the pipeline's own functions, in ``data/<profile>/preview``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from emosynth.cards import Card, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus, build_corpora, load_corpus
from emosynth.design.arms import ResolvedArm, arm_title, resolve_arms
from emosynth.design.cells import Cell
from emosynth.design.space import TARGET, space_of_corpus
from emosynth.errors import UserError
from emosynth.generation import build_candidates, candidates_of
from emosynth.generation.counterparts import lacking
from emosynth.generation.write import OpenWriter
from emosynth.params import Params
from emosynth.params.base import deep_merge, read_file
from emosynth.paths import Paths
from emosynth.seeding import build_orders
from emosynth.session import plain
from emosynth.taxonomy import Taxonomies
from emosynth.trying.amounts import told
from emosynth.trying.forecast import Forecast, Stopwatch, busy, forecast, generator_name
from emosynth.trying.places import paths_of
from emosynth.writers import generator_of, open_writer


@dataclass
class Preview:
    """What a preview shows.

    Attributes
    ----------
    rows
        arm, title, label, kind, text, context, prompt, accepted, reason: a row a candidate and arm.
    left_out
        What the full run does and the preview does not.
    seconds
        Step -> wall-clock seconds.
    reference
        Step -> seconds that the published demo took, for scale; empty: not known.
    origins
        Origin -> the titles of the arms that it writes for.
    spaces
        Title of an arm that writes emotions of another list than the corpus's classes -> a sentence that says so.
    amounts
        What the rows of the file are used for, and for how many labels the report answers (`emosynth.trying.amounts.told`).
    busy
        What is to be known of the machine's other work (`emosynth.trying.forecast.busy`).
    """

    rows: pd.DataFrame
    forecast: Forecast
    classes: dict[str, int]
    sizes: list[int]
    left_out: list[str]
    seconds: dict[str, float] = field(default_factory=dict)
    reference: dict[str, float] = field(default_factory=dict)
    languages: list[str] = field(default_factory=lambda: ["en"])
    origins: dict[str, str] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)
    busy: str = ""
    amounts: list[str] = field(default_factory=list)


def params_with(root: Any, corpora: Mapping[str, Any]) -> Params:
    """Return the demo's parameters with a corpus section laid over them."""
    from emosynth.params import validate

    return validate(deep_merge(read_file(root / "params.yaml"), {"corpora": dict(corpora)}), "params.yaml")


def look_at_corpus(params: Params, catalog: Catalog, paths: Paths) -> Corpus:
    """Build the target corpus of a preview, and return it: duplicates are gone, and splits made."""
    target = params.corpora.target
    values = plain(params.corpora) | {"also": [], "custom": {target: plain(params.corpora.custom[target])}}
    small = params.model_copy(update={"corpora": type(params.corpora).model_validate(values)})
    build_corpora(small, catalog, paths_of(paths))
    return load_corpus(paths_of(paths), target)


def shrunk(params: Params, classes: int, texts: int) -> tuple[Params, list[str]]:
    """Return a profile at the scale of a preview, and what is left out.

    Seeds, guides, prompts and decoding are those of the full run, so that its row cache finds the texts again: written are the first of the
    largest seed of the first repeat. Arms are asked for ``texts`` candidates of each class.
    """
    from emosynth.params import validate

    target, cells = params.corpora.target, params.cells
    size, values = cells.sizes_of(target)[-1], plain(params)
    custom = values["corpora"].get("custom", {})
    values["corpora"] = {**values["corpora"], "also": [], "custom": {key: own for key, own in custom.items() if key == target}}
    values["cells"] = {
        "sizes": cells.sizes_of(target), "repeats": 1, "min_per_class": cells.min_per_class_of(target), "random_seed": cells.random_seed
    }  # fmt: skip
    values["shap"] = {**values.get("shap", {}), "compare": False, "encoder_rows": 0}
    for section in ("sweeps", "training", "context", "evidence", "authenticity"):
        values.pop(section, None)
    values["learners"] = {"tfidf": {}}
    arms: dict[str, Any] = {}
    tuned: list[str] = []
    dear: dict[str, None] = {}
    for name, arm in resolve_arms(params).items():
        if arm.origin is None:
            continue
        if arm.origin.tuned:
            tuned.append(arm_title(params, name))
            continue
        dear |= dict.fromkeys(check.name for check in arm.checks if check.dear)
        arms[name] = _small(params, arm, texts * classes, size)
    if not arms:
        raise UserError("No arm of this profile can be previewed.", where="arms", remedy="Add one with an untuned writer.")
    values["arms"] = arms
    left = [f"arms whose writer is tuned on the seed first: {', '.join(tuned)}"] * bool(tuned)
    left += [f"dear checks, so that some texts that pass here are rejected there: {', '.join(dear)}"] * bool(dear)
    left += ["labels read by models, training, authenticity, context; other seeds than the largest of the first repeat"]
    left += [f"other corpora: {', '.join(params.corpora.also)}"] * bool(params.corpora.also)
    return validate(values, "the preview's parameters"), left


def _small(params: Params, arm: ResolvedArm, rows: int, size: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "title": arm_title(params, arm.name), "guide": plain(arm.spec.guide), "writer": arm.spec.writer, "space": arm.spec.space, "oversample": 1.0,
        "sizes": "largest", "repeats": 1, "checks": {check.name: check.settings.model_dump() for check in arm.checks if not check.dear},
    }  # fmt: skip
    return values | ({"rows": rows} if arm.spec.rows is not None else {"growth": rows / size})


def preview(
    params: Params, catalog: Catalog, paths: Paths, corpus: Corpus, texts: int = 3, open_model: OpenWriter | None = None
) -> Preview:
    """Write and judge a few texts of every arm that can be had quickly, and forecast the full run.

    Parameters
    ----------
    corpus
        The target, see `look_at_corpus`.
    texts
        Candidates of each class and arm.
    open_model
        Opens writers; None: as the parameters say.

    Raises
    ------
    UserError
        As the steps of the pipeline.
    """
    from emosynth.explain import build_materials
    from emosynth.narratives import build_narratives

    place, seconds, other = paths_of(paths), {}, busy()
    small, left = shrunk(params, len(corpus.classes), texts)
    watch = Stopwatch(place.data / "speed.json").load()
    opened = open_model or (lambda name, cell, salt: open_writer(small, name, catalog, place, cell, salt))

    def timed(name: str, cell: Cell | None, salt: str) -> Any:
        return watch.watch(generator_name(generator_of(small, name)), opened(name, cell, salt))

    def step(name: str, since: float) -> float:
        seconds[name] = time.perf_counter() - since
        return time.perf_counter()

    now = time.perf_counter()
    build_orders(small, place)
    now = step("01_seeding", now)
    build_materials(small, catalog, place)
    now = step("02_shap", now)
    build_narratives(small, catalog, place)
    now = step("03_narratives", now)
    frame, account = build_candidates(small, catalog, place, timed)
    now = step("05_generation", now)
    watch.save()
    verdicts = _judge(small, catalog, place)
    step("06_verification", now)
    made = forecast(params, frame, account, watch)
    counts = {label: int(corpus.counts["train"][label]) for label in corpus.classes}
    sizes = params.cells.sizes_of(params.corpora.target)
    return Preview(
        _rows(small, frame, verdicts), made, counts, sizes, left, seconds, _reference(paths), corpus.languages, _origins(params),
        _spaces(params, catalog, corpus), other, told(params, corpus, paths.profile),
    )  # fmt: skip


def _origins(params: Params) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, arm in resolve_arms(params).items():
        if arm.origin is not None:
            found.setdefault(arm.origin.name, []).append(arm_title(params, name))
    return {origin: "; ".join(titles) for origin, titles in found.items()}


def _spaces(params: Params, catalog: Catalog, corpus: Corpus) -> dict[str, str]:
    taxonomies, arms = Taxonomies.load(catalog.paths.taxonomies), resolve_arms(params)
    missing = {name: found for found in lacking(arms, space_of_corpus(corpus, taxonomies), taxonomies) for name in found.arms}
    out = {}
    for name, arm in arms.items():
        if arm.origin is not None and arm.origin.space != TARGET:
            listed = taxonomies.get(arm.origin.space)
            found = missing.get(name)
            moved = (
                f"{found.told} (arms: {{{name}: {{space: {TARGET}}}}} writes in yours)"
                if found
                else "they are mapped to yours when a model is trained on it"
            )
            out[arm_title(params, name)] = (
                f"writes in the {len(listed.labels)} classes of another list ({listed.title}), in English; {moved}"
            )
    return out


def _judge(params: Params, catalog: Catalog, paths: Paths) -> pd.DataFrame:
    from emosynth.generation import load_candidates
    from emosynth.seeding.real import RealText
    from emosynth.verification.build import judged
    from emosynth.verification.judge import OpenJudge

    real = RealText.load(params, paths, ["train"])
    tables = judged(params, load_candidates(paths), real, OpenJudge(params, catalog, paths, real), candidates_of)
    for name in ("judgements", "verdicts"):
        card = Card(
            title=f"Preview: {name}",
            what="Of a preview of few texts.",
            made="A preview of the profile.",
            limits=["Too few texts to conclude from."],
        )
        write_table(tables[name], paths.verdicts / f"{name}.parquet", card)
    return tables["verdicts"]


def _rows(params: Params, frame: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    columns = ["candidate_id", "kind", "labels", "text", "context", "prompt", "error"]
    rows = verdicts[["arm", "candidate_id", "label", "index", "accepted", "reason"]].merge(
        frame[columns], on="candidate_id", validate="many_to_one"
    )
    rows["title"] = [arm_title(params, name) for name in rows["arm"]]
    rows["labels"] = [", ".join(labels) for labels in rows["labels"]]
    return rows


def _reference(paths: Paths) -> dict[str, float]:
    from emosynth.runner.record import read_record

    return {str(row["stage"]): float(row["seconds"]) for row in read_record(Paths(paths.root, "demo").report / "timings.js")}
