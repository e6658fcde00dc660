"""The last step from files: claims judged, figures drawn, pages rendered, results published."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosynth.catalog import Catalog
from emosynth.escape import terminal
from emosynth.evidence import as_json, metrics
from emosynth.files import write_json
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.report.figures.base import figures, why_left_out, write_figure
from emosynth.report.pages import render_pages
from emosynth.report.results import publish
from emosynth.report.tables import Tables


@dataclass(frozen=True)
class Report:
    """What was built: claims as ``claims.json`` has them, SVG files in reading order, why figures were left out, and ``index.html``."""

    claims: list[dict[str, Any]]
    figures: list[Path]
    left_out: dict[str, str]
    page: Path


def build_report(params: Params, catalog: Catalog, paths: Paths) -> Report:
    """Judge the claims, write ``claims.json`` and ``metrics.json``, draw the figures, render the pages, and publish the tables behind them.

    Raises
    ------
    UserError
        If the run has made no corpora, or declarations of claims are not valid.
    """
    tables = Tables(paths, params)
    if not tables.corpora:
        from emosynth.files import read_json

        read_json(paths.data / "corpora" / f"{tables.target}.json", "00_corpora")  # names the stage to run
    say("report: judging claims")
    claims = as_json(paths.profile, tables.claims, params)
    write_json(paths.report / "claims.json", claims)
    write_json(paths.report / "metrics.json", metrics(tables.claims, tables.contrasts, tables.get("verdicts/verdicts"), headline(tables)))
    folder = paths.report / "figures"
    shutil.rmtree(folder, ignore_errors=True)
    drawn: list[Path] = []
    left_out: dict[str, str] = {}
    for figure in figures():
        if not figure.applies(params):
            continue
        why = why_left_out(figure, tables)
        if why or not figure.page:
            left_out |= {figure.name: why or "It is drawn when asked for."}
            continue
        say(f"report: figure {figure.name}")
        drawn += write_figure(figure, tables, params.figures, folder)
    say("report: pages")
    page = render_pages(tables, catalog, left_out)
    publish(tables)
    names = {figure.name for figure in figures()}  # neither a dark one nor a part
    shown = [path for path in drawn if path.suffix == ".svg" and path.stem in names]
    return Report(claims["claims"], shown, left_out, page)


def headline(tables: Tables) -> dict[str, Any]:
    """Return what the first page is about, for the metrics, which terminals show."""
    head = tables.headline
    if head is None:
        return {}
    said = {"corpus": head.corpus, "learner": head.learner, "arm": head.arm, "real": head.real, "row": head.row}
    return {key: terminal(value) if isinstance(value, str) else value for key, value in said.items()}
