"""SHAP values of the three classifiers: exact for the linear and the tree model, bounded sampling for the encoder.

Values explain softmax margins (linear, tree) or log-probabilities (encoder): on these scales contributions add up. For the linear
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

from emosynth.models.classifiers import TextClassifier, TreeClassifier
from emosynth.text import normalise, tokenise

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Attributions:
    """SHAP values where tokens occur.

    A corpus by vocabulary by class array would not fit into memory for large seeds; nearly all of it belongs to tokens
    that a row does not contain. What those contribute together is kept as one number per row and class.

    Attributes
    ----------
    terms
        Tokens, in column order.
    rows, columns
        (m,) row and column of each occurrence.
    values
        (m,) TF-IDF there.
    phi
        (m, k) SHAP values of the k classes; 0 for classes the model has never seen.
    absent
        (n, k) sum of the SHAP values of tokens that the row lacks.
    base
        (k,) expected margin.
    """

    terms: list[str]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: FloatArray
    phi: FloatArray
    absent: FloatArray
    base: FloatArray

    def totals(self) -> FloatArray:
        """Return (n, k) sums: expected margin and all contributions. Additivity: these are the margins."""
        return self.base + self.absent + self.mass()

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


def linear_attributions(model: TextClassifier, texts: Sequence[str], background: Sequence[str] | None = None) -> Attributions:
    """Return exact SHAP values of a fitted linear model's margins.

    Parameters
    ----------
    model
        Unigram TF-IDF and logistic regression.
    texts
        n texts to explain.
    background
        Texts whose mean stands for "token unknown"; None: ``texts``.
    """
    import shap

    features = model.features.transform(texts)
    reference = features if background is None else model.features.transform(background)
    # By default shap keeps 100 random rows of the background; the exact mean needs all of them.
    masker = shap.maskers.Independent(reference, max_samples=reference.shape[0])
    explainer = shap.LinearExplainer((model.head.coef, model.head.intercept), masker)
    base = np.asarray(explainer.expected_value, dtype=np.float64)
    return _collect(model.features.terms(), features, len(model.classes), base, lambda part: np.asarray(explainer.shap_values(part)))


def tree_attributions(model: TreeClassifier, texts: Sequence[str]) -> Attributions:
    """Return exact (path-dependent) SHAP values of a fitted tree model's raw margins (Lundberg et al. 2020)."""
    import shap

    k = len(model.classes)
    explainer = shap.TreeExplainer(model.model)

    def spread(raw: FloatArray) -> FloatArray:
        """Put the values of the classes seen into their columns; one margin m of two classes becomes -m/2 and m/2."""
        if raw.shape[-1] == 1:
            raw = np.concatenate([-raw / 2, raw / 2], axis=-1)
        out = np.zeros((*raw.shape[:-1], k))
        out[..., model.present] = raw
        return out

    def explain(part: sp.csr_matrix) -> FloatArray:
        values = explainer.shap_values(part.toarray())
        array = np.stack(values, axis=-1) if isinstance(values, list) else np.asarray(values)
        return spread(array[..., None] if array.ndim == 2 else array)

    features = model.features.transform(texts)
    explain(sp.csr_matrix(features[:1]))  # the explainer knows its expected value only after a call
    base = spread(np.atleast_1d(np.asarray(explainer.expected_value, dtype=np.float64)))
    return _collect(model.features.terms(), features, k, base, explain)


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

    Parameters
    ----------
    predict_proba
        Function from texts to (n, k) probabilities.
    texts
        Texts to explain.
    classes
        The k classes.
    evaluations
        Model calls per text, at most; below about the square of the text's number of words values are approximate.

    Returns
    -------
    pandas.DataFrame
        row, position, token (lower-case), label, shap (contribution to the log-probability), base (log-probability of
        the text with every word masked), margin (log-probability of the text). Values of one row and label sum to
        margin - base.
    """
    import shap

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
