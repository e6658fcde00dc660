"""How a notebook shows a figure: as a PNG of fixed resolution that names neither software nor time."""

from __future__ import annotations

import io
from typing import Any

_DPI = 130


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def show_figures() -> None:
    """Let ``display(figure)`` work in the running notebook; outside one, do nothing.

    The figures here are made without pyplot, whose inline backend would otherwise do this.
    """
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    if shell is None:
        return
    # By name, so that stages without figures do not import matplotlib.
    formatters: Any = shell.display_formatter.formatters
    formatters["image/png"].for_type_by_name("matplotlib.figure", "Figure", _png)
