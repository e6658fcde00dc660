"""The last step from files: claims judged, figures drawn, pages rendered, results published."""

from __future__ import annotations

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
from emosynth.report.aside import aside
from emosynth.report.figures.base import FIGURES, figures, why_left_out, write_figure
from emosynth.report.pages import render_pages
from emosynth.report.results import FOLDER, publish
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

    All of it is made beside the report that is there, which stays as it is until all is done (`emosynth.report.aside`).

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
    drawn: list[str] = []
    left_out: dict[str, str] = {}
    with aside(paths.report, "report", whole=(FIGURES, FOLDER)) as made:
        write_json(made / "claims.json", claims)
        write_json(made / "metrics.json", metrics(tables.claims, tables.contrasts, tables.get("verdicts/verdicts"), headline(tables)))
        for figure in figures():
            if not figure.applies(params):
                continue
            why = why_left_out(figure, tables)
            if why or not figure.page:
                left_out |= {figure.name: why or "It is drawn when asked for."}
                continue
            say(f"report: figure {figure.name}")
            drawn += [path.name for path in write_figure(figure, tables, params.figures, made / FIGURES)]
        say("report: pages")
        page = render_pages(tables, catalog, left_out, made)
        publish(tables, made)
    names = {f"{figure.name}.svg" for figure in figures()}  # neither a dark one nor a part
    shown = [paths.report / FIGURES / name for name in drawn if name in names]
    return Report(claims["claims"], shown, left_out, paths.report / page.name)


def headline(tables: Tables) -> dict[str, Any]:
    """Return what the first page is about, for the metrics, which terminals show."""
    head = tables.headline
    if head is None:
        return {}
    said = {"corpus": head.corpus, "learner": head.learner, "arm": head.arm, "real": head.real, "row": head.row}
    return {key: terminal(value) if isinstance(value, str) else value for key, value in said.items()}
