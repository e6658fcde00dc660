"""Figures and tables of step 03."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from emosynth.verification.checks import CHECKS
from emosynth.verification.run import acceptance


def acceptance_by_arm(verified: pd.DataFrame) -> Figure:
    """Return the acceptance rate of each arm and seed size."""
    table = acceptance(verified)
    figure = Figure(figsize=(7, 0.9 + 0.45 * table["arm"].nunique()), layout="constrained")
    axes = figure.subplots()
    sns.barplot(data=table, x="acceptance", y="arm", hue=table["size"].map(lambda size: f"n = {size}"), ax=axes)
    axes.set(xlim=(0, 1), xlabel="share of candidates accepted", ylabel="")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    sns.despine(figure)
    return figure


def examples(verified: pd.DataFrame, per_reason: int = 2) -> pd.DataFrame:
    """Return some candidates of each arm, accepted and rejected by each check; copies of real text are withheld."""
    shown = verified[verified["size"] == verified["size"].max()]
    rows = shown.groupby(["arm", "reason"], sort=False).head(per_reason)[["arm", "label", "reason", "text", "ok_original"]].copy()
    rows.loc[~rows.pop("ok_original"), "text"] = "[withheld: copies the seed]"
    place = {"": 0, **{name: position for position, name in enumerate(CHECKS, 1)}}
    arms = {arm: position for position, arm in enumerate(dict.fromkeys(verified["arm"]))}
    rows = rows.sort_values(["arm", "reason"], key=lambda column: column.map(arms if column.name == "arm" else place), kind="stable")
    return rows.assign(reason=rows["reason"].replace("", "accepted")).reset_index(drop=True)
