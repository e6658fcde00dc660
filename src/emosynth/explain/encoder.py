"""The fine-tuned encoder explained on a few rows, beside the linear model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emosynth.explain.exemplars import shuffled
from emosynth.explain.explained import BoolArray
from emosynth.explain.ranking import compare, presentable
from emosynth.explain.shap_values import Attributions, encoder_attributions
from emosynth.params import Params
from emosynth.progress import say
from emosynth.seeding import Seed


def explain_encoder(seed: Seed, has: BoolArray, single: bool, classes: list[str], params: Params, folder: Path) -> pd.DataFrame:
    """Tune the encoder on the seed, and explain some of its rows: as many of each class as there are, in turn.

    Returns
    -------
    DataFrame
        id, row_label and the columns of `emosynth.explain.shap_values.encoder_attributions`.
    """
    from emosynth.models.encoder import EncoderSettings, FineTunedEncoder  # slow to import, and seldom asked for

    rows, random_seed, cell = params.shap.encoder_rows, params.cells.random_seed, seed.cell
    model = FineTunedEncoder(folder, EncoderSettings(epochs=params.shap.encoder_epochs, batch=16), classes, single=single, seed=random_seed)
    model.fit(seed.texts, has.astype(np.float64))
    by_class = [
        shuffled([seed.ids[row] for row in np.flatnonzero(has[:, index])], cell.size, random_seed, cell.size, cell.repeat, index)
        for index in range(len(classes))
    ]
    turns = [ids[turn] for turn in range(cell.size) for ids in by_class if turn < len(ids)]
    chosen = [seed.ids.index(item) for item in dict.fromkeys(turns)][:rows]

    def show(done: int) -> None:
        if done % 5 == 0 or done == len(chosen):
            say(f"shap: encoder explained on {done} of {len(chosen)} rows")

    frame = encoder_attributions(model.predict_proba, [seed.texts[row] for row in chosen], classes, progress=show)
    frame.insert(0, "id", [seed.ids[chosen[row]] for row in frame["row"]])
    frame.insert(1, "row_label", [", ".join(seed.labels[chosen[row]]) for row in frame["row"]])
    return frame.drop(columns="row")


def against_encoder(
    found: pd.DataFrame, seed: Seed, has: BoolArray, explained: Attributions, classes: list[str], k: int
) -> list[dict[str, Any]]:
    """Compare the encoder's token scores with those of the model explained, both over the rows that the encoder was explained on."""
    of_encoder = np.isin(np.asarray(seed.ids), found["id"].unique())
    out = []
    for index, label in enumerate(classes):
        inside = of_encoder & has[:, index]
        if not inside.any():
            continue
        ids = [seed.ids[row] for row in np.flatnonzero(inside)]
        mine = found[(found["label"] == label) & found["id"].isin(ids)]
        other = mine[mine["token"].map(presentable)].groupby("token", sort=True)["shap"].sum() / inside.sum()
        at = inside[explained.rows]
        sums = pd.Series(explained.phi[at, index], index=[explained.terms[column] for column in explained.columns[at]])
        sums = sums.groupby(level=0, sort=True).sum()
        out.append({"label": label, **compare(sums[[presentable(str(token)) for token in sums.index]] / inside.sum(), other, k)})
    return out
