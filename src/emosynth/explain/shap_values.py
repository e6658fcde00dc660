"""SHAP values of the three classifiers: exact for the linear and the tree model, bounded sampling for the encoder.

Values explain margins (linear, tree; of each label on its own where a row may have several) or log-probabilities (encoder): on these scales contributions add up. For the linear
model with independent features (Lundberg and Lee 2017, section 4.1) the value of token j for class c in row i is
``coef[c, j] * (x[i, j] - mean[j])``, with the mean over the rows the model was fitted on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from emosynth.models.trees import BoostedTrees
from emosynth.text import normalise, tokenise

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Attributions:
    """SHAP values where tokens occur: an array of rows by vocabulary by classes would not fit into memory for large seeds.

    ``rows``, ``columns``, ``values``: (m,) place and TF-IDF of each occurrence. ``phi``: (m, k) SHAP values; 0 for labels that the model
    has never seen. ``absent``: (n, k) sum over the tokens that the row lacks. ``base``: (k,) expected margin.
    """

    terms: list[str]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: FloatArray
    phi: FloatArray
    absent: FloatArray
    base: FloatArray

    def mass(self) -> FloatArray:
        """Return (n, k) sums over the tokens that occur in each row."""
        out = np.zeros_like(self.absent)
        np.add.at(out, self.rows, self.phi)
        return out


def _collect(
    terms: list[str], features: sp.csr_matrix, k: int, base: FloatArray, explain: Callable[[sp.csr_matrix], FloatArray]
) -> Attributions:
    """Explain chunks of rows and keep the occurrences."""
    n, width = features.shape
    chunk = max(1, min(64, 4_000_000 // max(1, width * k)))  # about 32 MB of dense values at once
    features.sort_indices()
    rows, columns, values, phis = [], [], [], []
    absent = np.zeros((n, k))
    for start in range(0, n, chunk):
        part = sp.csr_matrix(features[start : start + chunk])
        phi = explain(part)
        present = part.tocoo()
        inside = phi[present.row, present.col]
        total_inside = np.zeros((part.shape[0], k))
        np.add.at(total_inside, present.row, inside)
        absent[start : start + part.shape[0]] = phi.sum(axis=1) - total_inside
        rows.append(present.row.astype(np.int64) + start)
        columns.append(present.col.astype(np.int64))
        values.append(np.asarray(present.data, dtype=np.float64))
        phis.append(inside)
    return Attributions(terms, np.concatenate(rows), np.concatenate(columns), np.concatenate(values), np.concatenate(phis), absent, base)


def _shap() -> Any:
    """Return the library, its helpers as plain Python: compiling them takes seven seconds of every process, and a few rows of a few words none."""
    import numba

    settings: Any = numba.config
    before, settings.DISABLE_JIT = settings.DISABLE_JIT, True  # read where functions are decorated
    try:
        import shap
    finally:
        settings.DISABLE_JIT = before
    return shap


def linear_attributions(terms: list[str], features: sp.csr_matrix, coef: FloatArray, intercept: FloatArray) -> Attributions:
    """Return exact SHAP values of a linear model's margins, the rows' mean standing for "token unknown"; (k, d) coef, (k,) intercept."""
    shap = _shap()
    # By default shap keeps 100 random rows of the background; the exact mean needs all of them.
    masker = shap.maskers.Independent(features, max_samples=features.shape[0])
    explainer = shap.LinearExplainer((coef, intercept), masker)
    base = np.asarray(explainer.expected_value, dtype=np.float64)
    return _collect(terms, features, len(intercept), base, lambda part: np.asarray(explainer.shap_values(part)))


def tree_attributions(terms: list[str], features: sp.csr_matrix, model: BoostedTrees) -> Attributions:
    """Return exact (path-dependent) SHAP values of a fitted tree model's raw margins (Lundberg et al. 2020); arguments as above."""
    base = np.asarray(model.contributions(features[:1])[0, :, -1], dtype=np.float64)  # the expected margin is the same for every row
    return _collect(terms, features, model.k, base, lambda part: model.contributions(part)[:, :, :-1].transpose(0, 2, 1))


class _WordTokenizer:
    """The package's own words, in the shape that ``shap.maskers.Text`` asks of a tokenizer."""

    def __call__(self, text: str, return_offsets_mapping: bool = True) -> dict[str, Any]:
        ids: list[str] = []
        spans: list[tuple[int, int]] = []
        at = 0
        for token in tokenise(text):
            found = text.find(token, at)
            if found < 0:  # the tokenizer shortened it: it cannot be masked by itself
                continue
            ids.append(token)
            spans.append((found, found + len(token)))
            at = found + len(token)
        return {"input_ids": ids, "offset_mapping": spans}


def encoder_attributions(
    predict_proba: Callable[[Sequence[str]], FloatArray],
    texts: Sequence[str],
    classes: Sequence[str],
    evaluations: int = 160,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Estimate word-level SHAP values of any text classifier by masking words (Owen values of shap's partition explainer).

    ``evaluations``: model calls per text, at most; below about the square of its number of words values are approximate. Values of one row
    and label are of the log-probability and sum to margin - base (of the text with every word masked).
    """
    shap = _shap()

    def margins(strings: Any) -> FloatArray:
        return np.log(np.clip(predict_proba([str(text) for text in strings]), 1e-6, 1.0))

    tokenizer = _WordTokenizer()
    explainer = shap.Explainer(
        margins, shap.maskers.Text(tokenizer, mask_token="...", collapse_mask_token=True), output_names=list(classes), algorithm="partition"
    )
    records = []
    for row, raw in enumerate(texts):
        text = normalise(raw)
        tokens = [str(token).lower() for token in tokenizer(text)["input_ids"]]
        if tokens:
            found = explainer([text], max_evals=max(evaluations, 2 * len(tokens) + 2), batch_size=32, silent=True)
            values, base = np.asarray(found.values[0]), np.asarray(found.base_values[0])
            margin = base + values.sum(axis=0)
            for position, token in enumerate(tokens):
                for index, label in enumerate(classes):
                    records.append((row, position, token, label, values[position, index], base[index], margin[index]))
        if progress:
            progress(row + 1)
    return pd.DataFrame(records, columns=["row", "position", "token", "label", "shap", "base", "margin"])
