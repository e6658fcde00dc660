"""SHAP explanations of the multi-label encoder on generated texts, and how they are shown."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from emosynth.errors import UserError
from emosynth.guidance.shap_values import encoder_attributions
from emosynth.models.classifiers import FloatArray
from emosynth.models.multilabel import MultiLabelEncoder
from emosynth.progress import Progress
from emosynth.transfer.rows import draw

COLUMNS = ["row_id", "label", "probability", "token", "position", "value"]

_ABOVE, _BELOW = "31, 119, 180", "214, 96, 77"


def explain_rows(encoder: MultiLabelEncoder, rows: pd.DataFrame, n: int, *, evaluations: int = 160) -> pd.DataFrame:
    """Explain the two most probable labels of some synthetic rows.

    Only generated text is taken, never a row of a corpus: the table may be published.

    Parameters
    ----------
    encoder
        Trained; reads the utterance alone.
    rows
        Synthetic rows; ``n`` are drawn evenly over emotions.
    evaluations
        Model calls a row, at most; see `emosynth.guidance.shap_values.encoder_attributions`.

    Returns
    -------
    pandas.DataFrame
        row_id, label, probability, token (lower-case), position, value (contribution to the label's log-probability: Owen
        values; those of a row and label sum to its log-probability minus that of the text with every word masked).
    """
    drawn = draw(rows, n, encoder.labels)
    progress = Progress(len(drawn), "explanations")
    found = []
    for row_id, text in zip(drawn["row_id"], drawn["text"], strict=True):
        p = encoder.predict_proba([text])[0]
        best = np.argsort(-p, kind="stable")[:2]
        labels = [encoder.labels[int(place)] for place in best]
        table = encoder_attributions(partial(_probabilities, encoder, best), [text], labels, evaluations)
        for label, probability in zip(labels, p[best], strict=True):
            of_label = table[table["label"] == label]
            found += [
                [row_id, label, float(probability), token, int(position), float(value)]
                for token, position, value in zip(of_label["token"], of_label["position"], of_label["shap"], strict=True)
            ]
        progress.advance()
    return pd.DataFrame(found, columns=COLUMNS)


def _probabilities(encoder: MultiLabelEncoder, labels: npt.NDArray[np.int64], texts: Sequence[str]) -> FloatArray:
    return encoder.predict_proba(list(texts))[:, labels]


def text_plot_html(table: pd.DataFrame, row_id: str) -> str:
    """Return a row's tokens as HTML, one line a label, blue where a token speaks for the label and red where against it.

    Escaped, without scripts and without anything to be loaded. The strongest token of the row has the full colour.

    Raises
    ------
    UserError
        If the table has no such row.
    """
    rows = table[table["row_id"] == row_id]
    if rows.empty:
        raise UserError(f"There is no explanation of {row_id}.", where="explanations", remedy="Name a row of the table.")
    most = max(float(rows["value"].abs().max()), 1e-12)
    lines = []
    for label, part in rows.groupby("label", sort=False):
        spans = []
        for token, value in part.sort_values("position", kind="stable")[["token", "value"]].itertuples(index=False):
            colour = f"rgba({_ABOVE if value >= 0 else _BELOW}, {0.75 * abs(value) / most:.2f})"
            spans.append(f'<span style="background: {colour}" title="{value:+.2f}">{html.escape(str(token))}</span>')
        head = f"<b>{html.escape(str(label))}</b> ({part['probability'].iloc[0]:.2f})"
        lines.append(f'<p style="line-height: 1.8">{head}: {" ".join(spans)}</p>')
    return f'<div class="shap-text">{"".join(lines)}</div>'
