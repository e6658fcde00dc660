"""Figures of step 02: strongest tokens, their occurrences, and how far rankings agree.

Classes come in the order of the tables, which is the corpus's. Function words are grey: they rank by chance in small seeds
and are not handed to the generator unless ``shap.function_words`` asks for it.
"""

from __future__ import annotations

import html
import json
import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from emosynth.corpora import Corpus
from emosynth.guidance.ranking import KINDS, function_word

_BAR = "#0b6e75"
_FUNCTION = "#9aa1a8"
_INK = "#1f2328"
_TOWARDS, _AWAY = (224, 108, 40), (52, 124, 196)
_NAMES = {"shap": "SHAP", "tfidf": "TF-IDF", "both": "fused"}
_DOTS = 80
"""Widths of a dot that the range of a beeswarm is cut into."""


def token_bars(tokens: pd.DataFrame, size: int | None = None, repeat: int = 0, count: int = 10) -> Figure:
    """Return the ``count`` tokens with the largest SHAP score of each class, for one seed.

    Parameters
    ----------
    tokens
        The token table (size, repeat, label, token, shap, rank_shap, …).
    size
        Seed size; None: the largest.
    repeat
        Seed series.
    count
        Tokens a class. Only tokens that speak for the class (score above 0) are shown.
    """
    if size is None and len(tokens):
        size = int(tokens["size"].max())
    rows = tokens[(tokens["size"] == size) & (tokens["repeat"] == repeat)]
    labels = _distinct(rows["label"])
    if not labels:
        return _sentence("There are no tokens for this seed.")
    figure, panels = _grid(labels, 0.7 + 0.21 * count, width=2.5)
    for axes, label in zip(panels, labels, strict=True):
        best = rows[(rows["label"] == label) & (rows["shap"] > 1e-12)].sort_values("rank_shap", kind="stable").head(count)
        if best.empty:
            _say(axes, "no token speaks for this class")
        else:
            names = [str(token) for token in best["token"]]
            axes.barh(range(len(names)), best["shap"].to_numpy(), color=[_FUNCTION if function_word(name) else _BAR for name in names])
            _name_rows(axes, names, count)
            axes.xaxis.set_major_locator(_few_ticks())
        axes.set_title(label, fontsize=9)
    figure.supxlabel("SHAP towards the class, per row of the class", fontsize=9)
    sns.despine(figure)
    return figure


def beeswarm(shap_rows: pd.DataFrame, label: str | None = None, count: int = 8) -> Figure:
    """Return the occurrences of each class's most influential tokens, one dot each, coloured by TF-IDF.

    Parameters
    ----------
    shap_rows
        Occurrences (token, tfidf, label, shap, …), each with its value for every class.
    label
        The class shown; None: all.
    count
        Tokens a class: those with the largest sum of absolute values over their occurrences.
    """
    labels = [item for item in _distinct(shap_rows["label"]) if label is None or item == label]
    if not labels:
        return _sentence("There are no SHAP values to show." if label is None else f"There are no SHAP values for {label}.")
    norm = Normalize(0.0, float(shap_rows["tfidf"].max()))
    figure, panels = _grid(labels, 0.7 + 0.3 * count, width=2.7)
    for axes, name in zip(panels, labels, strict=True):
        rows = shap_rows[shap_rows["label"] == name]
        weight = rows["shap"].abs().groupby(rows["token"], sort=True).sum().round(12)
        best = [str(token) for token in weight.sort_values(ascending=False, kind="stable").index[:count]]
        spread = float(np.ptp(rows.loc[rows["token"].isin(best), "shap"])) or 1.0
        axes.axvline(0, color=_FUNCTION, linewidth=0.8, zorder=0)
        for y, token in enumerate(best):
            dots = rows[rows["token"] == token].sort_values(["shap", "tfidf"], kind="stable")
            x = dots["shap"].to_numpy(dtype=float)
            axes.scatter(x, y + _swarm(x, spread / _DOTS), c=dots["tfidf"], cmap="flare", norm=norm, s=9, linewidths=0)
        _name_rows(axes, best, count)
        axes.xaxis.set_major_locator(_few_ticks())
        axes.set_title(name, fontsize=9)
    figure.supxlabel("SHAP of one occurrence towards the class", fontsize=9)
    figure.colorbar(ScalarMappable(norm, "flare"), ax=panels, label="TF-IDF of the token in the text", shrink=0.8, pad=0.02)
    sns.despine(figure)
    return figure


def agreement_heatmap(agreement: pd.DataFrame) -> Figure:
    """Return how far the SHAP and the TF-IDF ranking agree, by class and seed size; means over repeats."""
    if agreement.empty:
        return _sentence("There are no rankings to compare.")
    return _heatmaps(agreement.assign(column=[f"n = {size}" for size in agreement["size"]]))


def explainer_heatmap(explainers: pd.DataFrame) -> Figure:
    """Return how far SHAP token scores of the linear model agree with those of other models of the same seed; means over repeats."""
    if explainers.empty:
        return _sentence("One model was explained; there is none to compare it with.")
    rows = explainers.sort_values(["second", "size"], ascending=[False, True], kind="stable")
    rows = rows.assign(column=[f"{second}\nn = {size}" for second, size in zip(rows["second"], rows["size"], strict=True)])
    classes = _distinct(explainers["label"])
    return _heatmaps(rows, classes)


def stability_lines(stability: pd.DataFrame) -> Figure:
    """Return how far rankings of independently drawn seeds agree, by seed size.

    Lines are means over classes and pairs of seeds, faint dots the mean over classes of one pair.
    """
    if stability.empty:
        return _sentence("One seed of each size was explained; there is none to compare it with.")
    sizes = sorted(int(size) for size in stability["size"].unique())
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    kinds = [kind for kind in KINDS if (stability["ranking"] == kind).any()]
    for axes, (column, title) in zip(
        figure.subplots(1, 2), (("overlap", "strongest tokens in common"), ("spearman", "rank correlation")), strict=True
    ):
        for kind, colour, marker, shift in zip(kinds, ("#0b6e75", "#c2571a", "#6b4fa0"), "osD", (-0.06, 0.0, 0.06), strict=False):
            rows = stability[stability["ranking"] == kind]
            pairs = rows.groupby(["size", "repeat_a", "repeat_b"], sort=True)[column].mean().reset_index()
            axes.plot([sizes.index(size) + shift for size in pairs["size"]], pairs[column], marker, color=colour, alpha=0.3, markersize=4)
            means = rows.groupby("size", sort=True)[column].mean().reindex(sizes)
            axes.plot([at + shift for at in range(len(sizes))], means, marker=marker, color=colour, markersize=5.5, label=_NAMES[kind])
        axes.set(title=title, xticks=range(len(sizes)), xticklabels=[str(size) for size in sizes], xlim=(-0.3, len(sizes) - 0.7))
        axes.set(xlabel="rows of the seed", ylabel="share" if column == "overlap" else "Spearman's ρ")
        axes.title.set_fontsize(9)
        axes.axhline(0, color=_FUNCTION, linewidth=0.8, zorder=0)
        axes.set_ylim(min(-0.05, float(np.nan_to_num(axes.get_ylim()[0]))), 1.02)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    sns.despine(figure)
    return figure


def text_plot(encoder_rows: pd.DataFrame | None, ids: Sequence[str] | None = None, count: int = 6) -> str:
    """Return texts as HTML, each word coloured by its contribution to the text's own class.

    Parameters
    ----------
    encoder_rows
        Word-level values (id, row_label, position, token, label, shap, base, margin); None or empty: a sentence is returned.
    ids
        Texts shown; None: the first ``count``.
    count
        Most texts shown.

    Notes
    -----
    Colours are relative to the strongest word of all texts shown. Backgrounds are light and text is dark whatever the page's
    theme. The words are the corpus's: cells that show them carry the tag ``corpus-text``.
    """
    if encoder_rows is None or encoder_rows.empty:
        return "<p>No text was explained with the encoder (shap.encoder_rows, shap.encoder_sizes).</p>"
    shown = list(ids)[:count] if ids is not None else _distinct(encoder_rows["id"])[:count]
    rows = encoder_rows[encoder_rows["id"].isin(shown) & (encoder_rows["label"] == encoder_rows["row_label"])]
    if rows.empty:
        return "<p>None of these texts was explained with the encoder.</p>"
    strongest = float(rows["shap"].abs().max()) or 1.0
    parts = [
        f'<p style="margin:0 0 .6em">{_word("towards the class", 0.7, "")} {_word("away from it", -0.7, "")}</p>',
    ]
    for item in dict.fromkeys(str(name) for name in shown):
        text = rows[rows["id"] == item].sort_values("position", kind="stable")
        if text.empty:
            continue
        label, margin = str(text["row_label"].iloc[0]), float(text["margin"].iloc[0])
        words = " ".join(
            _word(str(token), float(value) / strongest, f"{float(value):+.2f}")
            for token, value in zip(text["token"], text["shap"], strict=True)
        )
        head = f"<strong>{html.escape(label)}</strong>, probability {math.exp(margin):.2f}"
        parts.append(f'<p style="margin:0 0 .6em;line-height:1.9">{head}<br>{words}</p>')
    frame = f"background:#ffffff;color:{_INK};border:1px solid #d5d9dd;border-radius:4px;padding:.8em 1em"
    return f'<div style="{frame}">{"".join(parts)}</div>'


def exemplar_texts(path: Path, corpus: Corpus, size: int, repeat: int = 0, count: int = 2) -> pd.DataFrame:
    """Return the first exemplars of each class with their texts: label, SHAP mass, text.

    Parameters
    ----------
    path
        ``guidance.jsonl``.
    corpus
        Where the texts are.
    size, repeat
        The seed.
    count
        Exemplars a class.
    """
    texts = corpus.frame.set_index("id")["text"]
    entries: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    records = [
        (label, exemplar["score"], str(texts[exemplar["id"]]))
        for entry in entries
        if entry["size"] == size and entry["repeat"] == repeat
        for label, guided in entry["classes"].items()
        for exemplar in guided["exemplars"][:count]
    ]
    return pd.DataFrame(records, columns=["label", "shap", "text"])


# --- parts --------------------------------------------------------------------------------------


def _distinct(values: pd.Series) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values))


def _sentence(text: str) -> Figure:
    figure = Figure(figsize=(6, 0.8), layout="constrained")
    _say(figure.subplots(), text)
    return figure


def _say(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=9, transform=axes.transAxes)


def _grid(labels: Sequence[str], height: float, width: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel a class, at most four beside each other."""
    columns = min(4, len(labels)) if len(labels) != 5 else 3
    lines = math.ceil(len(labels) / columns)
    figure = Figure(figsize=(max(3.6, width * columns), height * lines + 0.3), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).ravel())
    for spare in panels[len(labels) :]:
        spare.remove()
    return figure, panels[: len(labels)]


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, steps=[1, 2, 5, 10])


def _name_rows(axes: Axes, names: Sequence[str], count: int) -> None:
    axes.set_yticks(range(len(names)), [_drawable(name) for name in names], fontsize=8, parse_math=False)
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_color("#737a82" if function_word(name) else _INK)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.set_ylim(count - 0.4, -0.6)


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    return frozenset(FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())


def _drawable(token: str) -> str:
    """Return a token with characters that the figures' font lacks, such as most emoji, replaced by their names."""
    parts = [char if ord(char) in _glyphs() else f"[{unicodedata.name(char, hex(ord(char))).lower()}]" for char in token]
    text = "".join(parts)
    return text if len(text) <= 28 else f"{text[:27]}…"


def _swarm(x: np.ndarray, width: float) -> np.ndarray:
    """Return vertical offsets that set dots of the same place apart: 0, 1, -1, 2, … steps, at most 0.4 in all."""
    places = np.round(x / width).astype(np.int64)
    turn = np.zeros(len(x))
    seen: dict[int, int] = {}
    for i, place in enumerate(places.tolist()):
        k = seen[place] = seen.get(place, -1) + 1
        turn[i] = (k + 1) // 2 * (1 if k % 2 else -1)
    return turn * min(0.09, 0.4 / max(1.0, float(np.abs(turn).max(initial=0))))


def _heatmaps(rows: pd.DataFrame, classes: Sequence[str] | None = None) -> Figure:
    """Return two heat maps of class by ``column``: Spearman and overlap, means over repeats."""
    names = list(classes) if classes is not None else _distinct(rows["label"])
    columns = _distinct(rows["column"])
    figure = Figure(figsize=(2.6 + 1.5 * len(columns), 1.2 + 0.34 * len(names)), layout="constrained")
    for position, (axes, (measure, title, low, palette)) in enumerate(
        zip(
            figure.subplots(1, 2, sharey=True),
            (("spearman", "rank correlation (Spearman)", -1, "RdBu"), ("overlap", "strongest tokens in common", 0, "YlGnBu")),
            strict=True,
        )
    ):
        table = rows.pivot_table(index="label", columns="column", values=measure, aggfunc="mean", dropna=False)
        table = table.reindex(index=names, columns=columns).astype(float)
        sns.heatmap(
            table,
            vmin=low,
            vmax=1,
            cmap=palette,
            annot=True,
            fmt=".2f",
            annot_kws={"size": 8},
            linewidths=0.5,
            cbar_kws={"shrink": 0.8},
            ax=axes,
        )
        axes.set(xlabel="", ylabel="")
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8, length=0)
        axes.tick_params(axis="y", rotation=0, left=not position)
        axes.tick_params(axis="x", rotation=0)
    return figure


def _word(token: str, strength: float, title: str) -> str:
    """Return one word on a background that turns from white to orange (towards) or blue (away); at most half saturated."""
    end, share = (_TOWARDS if strength > 0 else _AWAY), min(1.0, abs(strength)) * 0.6
    red, green, blue = (round(255 + (channel - 255) * share) for channel in end)
    hint = f' title="{html.escape(title)}"' if title else ""
    return f'<span{hint} style="background:rgb({red},{green},{blue});color:{_INK};padding:.1em .2em;border-radius:3px">{html.escape(token)}</span>'
