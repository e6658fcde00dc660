"""The last step from files: evidence, metrics, figures, page."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from emosynth.cards import read_json, read_table, write_json
from emosynth.catalog import Catalog
from emosynth.corpora import corpus_names
from emosynth.evidence import as_json, finish, judge_authenticity, judge_distillation, judge_grounding, judge_training
from emosynth.params import Params, Section
from emosynth.paths import Paths
from emosynth.pipeline import STAGES
from emosynth.report.page import NotebookLink, draw_figures, render_report
from emosynth.report.results import publish
from emosynth.report.tables import Tables
from emosynth.style import is_real

_PACKAGES = (
    "numpy",
    "scikit-learn",
    "shap",
    "torch",
    "transformers",
    "openvino",
    "openvino-genai",
    "nltk",
    "lexicalrichness",
    "datasets",
    "papermill",
    "dvc",
)


@dataclass(frozen=True)
class Report:
    """What was built."""

    claims: list[dict[str, Any]]
    figures: list[Path]
    page: Path


def build_report(paths: Paths, sections: Mapping[str, Section], catalog: Catalog, progress: Callable[[str], None]) -> Report:
    """Judge the claims, write ``claims.json`` and ``metrics.json``, draw the figures, render the page, and publish the tables behind it.

    Parameters
    ----------
    sections
        All sections of the parameters: the page prints them.
    """
    params = Params(**dict(sections))  # type: ignore[arg-type]
    corpus = read_json(paths.corpora / f"{params.corpora.target}.json", "corpora")
    scores = read_table(paths.training / "scores.parquet", stage="training")
    per_class = read_table(paths.training / "per_class.parquet", stage="training")
    candidates = read_table(paths.candidates / "candidates.parquet", ["arm", "size", "accepted"], stage="generation")
    panel = read_table(paths.authenticity / "panel.parquet", stage="authenticity")
    counts = corpus["counts"]["train"]
    shares = {label: counts[label] / max(1, counts["all"]) for label in corpus["classes"]}
    judged = finish(judge_training(scores, per_class, shares, params.corpora.target, params.evidence), params.evidence)
    # Their p is corrected in the panel already, within each family of measures.
    judged += judge_authenticity(panel, params.corpora.target, params.evidence)
    transferred = _optional(paths.transfer / "scores.parquet")
    judged += finish(
        judge_grounding(
            transferred,
            _optional(paths.transfer / "context.parquet"),
            _optional(paths.grounding / "diversity_differences.parquet"),
            params.evidence,
            arm=params.transfer.arm,
            against=params.transfer.against,
        ),
        params.evidence,
    )
    students = _optional(paths.distillation / "scores.parquet")
    distilled = judge_distillation(students, params.tuning.corpus, params.evidence, params.distillation.arm)
    judged += finish(distilled, params.evidence)
    claims = as_json(paths.profile, judged)
    write_json(paths.report / "claims.json", claims)
    further = {"distillation": distillation_metrics(students), "transfer": transfer_metrics(transferred, params.transfer.arm)}
    write_json(paths.report / "metrics.json", {**metrics(scores, candidates, panel), **further})
    progress("figures")
    files = draw_figures(paths, params)
    shown = sorted((path for path in files if path.suffix == ".svg" and not path.stem.endswith("-dark")), key=files.index)
    progress("page")
    page = render_report(paths, params, provenance(paths, params, catalog), [NotebookLink(stage.name, stage.title) for stage in STAGES])
    publish(paths, Tables.load(paths, params).corpus_texts)
    return Report(claims["claims"], shown, page)


def _optional(path: Path) -> pd.DataFrame | None:
    """Return a table that a profile may lack."""
    return read_table(path) if path.is_file() else None


def distillation_metrics(students: pd.DataFrame | None) -> dict[str, dict[str, float]]:
    """Return macro-F1 of the main contrast by student and version of an arm, at the student's largest size; empty without students."""
    found: dict[str, dict[str, float]] = {}
    if students is None:
        return found
    for student, rows in students[students["sweep"] == "main"].groupby("student", sort=True):
        rows = rows[rows["size"] == rows["size"].max()]
        found[str(student)] = {}
        for (arm, verified, labels), mean in rows.groupby(["arm", "verified", "labels"], sort=True)["macro_f1"].mean().items():
            version = "" if is_real(str(arm)) else f"{'_verified' if verified else ''}{'_soft' if labels == 'soft' else ''}"
            found[str(student)][f"{arm}{version}"] = round(float(mean), 4)
    return found


def transfer_metrics(scores: pd.DataFrame | None, arm: str) -> dict[str, dict[str, dict[str, float]]]:
    """Return macro-F1 by target, learner and regime with the rows of an arm, at the learner's largest size; empty without a transfer."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    if scores is None:
        return found
    generated = scores["regime"].isin(["two-stage", "joint", "zero-shot"])
    rows = scores[(scores["thresholds"] != "none") & (~generated | (scores["arm"] == arm))]
    for (target, learner), cell in rows.groupby(["target", "learner"], sort=True):
        at = cell[cell["size"].isin([0, cell["size"].max()])]
        means = at.groupby("regime", sort=True)["macro_f1"].mean()
        found.setdefault(str(target), {})[str(learner)] = {str(regime): round(float(mean), 4) for regime, mean in means.items()}
    return found


def metrics(scores: pd.DataFrame, candidates: pd.DataFrame, panel: pd.DataFrame) -> dict[str, Any]:
    """Return the run's headline numbers: macro-F1 by learner and arm at the learner's largest size, acceptance, HD-D."""
    found: dict[str, Any] = {"macro_f1": {}, "acceptance": {}, "hdd": {}}
    for learner, rows in scores.groupby("learner", sort=True):
        rows = rows[rows["size"] == rows["size"].max()]
        means = rows.groupby(["arm", "verified"], sort=True)["macro_f1"].mean()
        found["macro_f1"][str(learner)] = {
            f"{arm}{'_verified' if verified else ''}": round(float(mean), 4) for (arm, verified), mean in means.items()
        }
    largest = candidates[candidates["size"] == candidates["size"].max()]
    found["acceptance"] = {str(arm): round(float(rate), 4) for arm, rate in largest.groupby("arm", sort=True)["accepted"].mean().items()}
    richness = panel[(panel["measure"] == "hdd") & ~panel["verified"].astype(bool) & panel["value"].notna()]
    found["hdd"] = {str(arm): round(float(value), 4) for arm, value in zip(richness["arm"], richness["value"], strict=True)}
    return found


def provenance(paths: Paths, params: Params, catalog: Catalog) -> dict[str, Any]:
    """Return what made the results: versions, models and corpora with hashes, licences and citations."""
    account = read_json(paths.candidates / "generators.json", "generation")
    versions = {"python": platform.python_version(), "emosynth": version("emosynth"), **{name: version(name) for name in _PACKAGES}}
    corpora = []
    for name in dict.fromkeys([*corpus_names(params.corpora), params.tuning.corpus]):
        if not (paths.corpora / f"{name}.json").is_file() and name == params.tuning.corpus:
            continue  # a profile without the second system
        about = read_json(paths.corpora / f"{name}.json", "corpora")
        corpora.append({"corpus": name, "sha256": about["hash"], **{key: about[key] for key in ("source", "licence", "citation")}})
    models = []
    settings = [generator.model for generator in (params.generation.generator, params.generation.bias_generator) if generator is not None]
    if (paths.tuning / "tuned.parquet").is_file():
        settings += [params.tuning.model, params.synthesis.generation.generator.model]
        perplexity = params.synthesis.verification.perplexity
        settings += [perplexity.model] if perplexity is not None else []
    if (paths.grounding / "rows.parquet").is_file():
        settings += [item.generator.model for item in params.grounding.generators.values()]
        settings += [params.grounding.labels.model, params.transfer.base_encoder]
    for name in dict.fromkeys([*settings, params.training.encoder, "aptagger"]):
        if name in catalog:
            entry = catalog.entry(name)
            models.append(
                {
                    "model": name,
                    "source": catalog.source_of(name),
                    "sha256": catalog.hash_of(name),
                    "licence": entry.licence,
                    "citation": entry.citation,
                }
            )
        else:
            models.append({"model": Path(name).name, "source": "the user's own", "sha256": "", "licence": "", "citation": ""})
    accounts = [account]
    accounts += [read_json(step / "generators.json") for step in (paths.synthesis, paths.grounding) if (step / "generators.json").is_file()]
    generators = [
        {
            "generator": name,
            **{key: str(value) for key, value in identity.items()},
            "equal requests, equal texts": "yes" if account["deterministic"] else "not promised",
        }
        for account in accounts
        for name, identity in account["generators"].items()
    ]
    tuned = _optional(paths.tuning / "tuned.parquet")
    return {
        "versions": versions,
        "corpora": corpora,
        **({"narratives": _narratives(params, catalog)} if (paths.narratives / "stories.parquet").is_file() else {}),
        "models": models,
        "generators": generators,
        **({"tuned generators": _tuned(tuned)} if tuned is not None else {}),
    }


def _narratives(params: Params, catalog: Catalog) -> list[dict[str, str]]:
    """Return where the narratives are from; of sources that are not in the catalogue only the last part of their name is known here."""
    found = []
    for name in params.narratives.sources:
        if name in catalog:
            entry = catalog.entry(name)
            about = {
                "source": catalog.source_of(name),
                "sha256": catalog.hash_of(name),
                "licence": entry.licence,
                "citation": entry.citation.strip(),
            }
        else:
            about = {"source": "the user's own", "sha256": "", "licence": "", "citation": ""}
        found.append({"narratives": Path(name).name, **about})
    return found


def _tuned(tuned: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the identity of each tuned generator."""
    return [{name: str(row[name]) for name in ("kind", "size", "repeat", "sha256")} for row in tuned.to_dict("records")]
