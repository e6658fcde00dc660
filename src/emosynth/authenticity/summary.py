"""The panel and the table of diversity, short enough to be read."""

from __future__ import annotations

import pandas as pd

from emosynth.authenticity.panel import OTHER, REAL
from emosynth.authenticity.sample import ALL

MAIN = ("words_per_text", "hdd", "first_person_rate", "temporal_rate", "distinct_tenses", "gzip_ratio", "self_repetition", "detectability")
"""One measure a family, two of form and of pronouns and time what personal text is full of."""


def main_numbers(panel: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """Return by corpus and arm the measures of `MAIN` of accepted text, and on how many of all measures it differs from real text.

    ``differs on``: measures whose Holm-corrected p is below ``alpha``. Real text and its control stand first.
    """
    rows = panel[panel["verified"].astype(bool) | panel["arm"].isin([REAL, OTHER])]
    values = rows.pivot_table(index=["corpus", "arm"], columns="measure", values="value", sort=False).reindex(columns=list(MAIN))
    differs = (rows["p_holm"] < alpha).groupby([rows["corpus"], rows["arm"]], sort=False).sum()
    return values.assign(**{"differs on": differs}).rename_axis(columns=None)


def pooled_diversity(diversity: pd.DataFrame) -> pd.DataFrame:
    """Return by corpus, arm and kind of text each measure of accepted text over all labels together."""
    rows = diversity[(diversity["label"] == ALL) & (diversity["against"].fillna("") == "") & diversity["verified"].astype(bool)]
    return rows.pivot_table(index=["corpus", "arm", "kind"], columns="measure", values="value", sort=False).rename_axis(columns=None)
