"""Reproducible executed copies, and pages without code (the code is a click away)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from emosynth.escape import printable
from emosynth.files import write_text
from emosynth.paths import Paths
from emosynth.pipeline import STAGES, Stage

TEMPLATES = Path(__file__).parent / "templates"
WITHHELD = {
    "corpus-text": "Real text is shown here when you run this notebook; it is not published with the report.",
    "in-report": 'The figures are on the <a href="../index.html">page of the report</a>, each with its reading and its numbers.',
}
"""What stands on public pages instead of the outputs of cells with such a tag."""

_TAGS = ["a", "b", "br", "caption", "code", "div", "em", "i", "li", "ol", "p", "pre", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th",
         "thead", "tr", "ul"]  # fmt: skip
_ATTRIBUTES = {"*": ["class", "scope", "colspan", "rowspan"], "a": lambda _, name, value: name == "href" and value.startswith("../")}
_SHOWN_AS_IT_IS = {"text/plain", "image/png", "image/jpeg", "image/svg+xml"}  # pictures are data of the page: nothing in them runs


def normalise(notebook: Any) -> Any:
    """Return the executed notebook without anything that differs between equal runs.

    Time stamps, durations, machine paths in metadata, random cell ids, the error stream and progress bars go
    (a library shows one only where it has something to convert or to download); the order of outputs and their
    content stay.
    """
    notebook = copy.deepcopy(notebook)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position:02d}"
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            cell.outputs = _joined(output for output in cell.outputs if not _fleeting(output))
            for output in cell.outputs:
                if output.output_type == "stream":
                    output.text = printable(output.text)
                elif "text/html" in output.get("data", {}):
                    output["data"]["text/plain"] = "table"  # of some objects it is an address in memory
                output.pop("metadata", None) if output.output_type == "stream" else output.update({"metadata": {}})
    return notebook


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """Return outputs with neighbouring pieces of a stream as one: where it is cut depends on when the kernel sends what was printed."""
    out: list[Any] = []
    for output in outputs:
        if output.output_type == "stream":
            output.text = "".join(output.text)
            if out and out[-1].output_type == "stream" and out[-1].name == output.name:
                out[-1].text += output.text
                continue
        out.append(output)
    return out


def _fleeting(output: Any) -> bool:
    is_error_stream = output.output_type == "stream" and output.name == "stderr"
    return is_error_stream or "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def public(notebook: Any) -> Any:
    """Return a copy without the outputs that are not published: those of cells with a tag of `WITHHELD`."""
    import nbformat

    shown = copy.deepcopy(notebook)
    for cell in shown.cells:
        reason = next((WITHHELD[tag] for tag in cell.metadata.get("tags", []) if tag in WITHHELD), None)
        if cell.cell_type == "code" and reason and cell.outputs:
            cell.outputs = [nbformat.v4.new_output("display_data", data={"text/html": f"<p class='withheld'>{reason}</p>"})]
    return shown


def page(notebook: Any, item: Stage) -> str:
    """Return the HTML page of an executed notebook: no asset from another host, code folded away.

    Of what cells show as HTML only plain elements are left, whoever made it; what is no picture, text or HTML is left out, and the page's
    policy lets nothing run and nothing be asked for.
    """
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors.sanitize import SanitizeHTML

    exporter = HTMLExporter(template_name="compendium", extra_template_basedirs=[str(TEMPLATES)])
    shown = copy.deepcopy(notebook)
    # The injected parameters repeat the profile; the report lists them once.
    shown.cells = [cell for cell in shown.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    clean = SanitizeHTML(tags=_TAGS, attributes=_ATTRIBUTES, safe_output_keys=_SHOWN_AS_IT_IS, sanitized_output_types={"text/html"})
    for cell in shown.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in clean.sanitize_code_outputs(cell.outputs) if output.get("data", True)]
    names = [stage.name for stage in STAGES]
    here = names.index(item.name)
    resources = {
        "stage_title": item.title,
        "stage_name": item.name,
        "previous": names[here - 1] if here else "",
        "next": names[here + 1] if here + 1 < len(names) else "",
    }
    body, _ = exporter.from_notebook_node(shown, resources=resources)
    return body


def publish(notebook: Any, paths: Paths, item: Stage) -> None:
    """Write the executed copy, the full page (local) and the public page (in the report)."""
    paths.notebooks.mkdir(parents=True, exist_ok=True)
    (paths.report / "notebooks").mkdir(parents=True, exist_ok=True)
    executed = paths.notebooks / f"{item.name}.ipynb"
    write_text(executed, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    full = page(notebook, item)
    write_text(paths.notebooks / f"{item.name}.html", full)
    write_text(paths.report / "notebooks" / f"{item.name}.html", page(public(notebook), item))
