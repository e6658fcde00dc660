"""The search for a recipe from files: every try as a table beside the report, the ranking and the picked arm as text."""

from __future__ import annotations

from pathlib import Path

import yaml

from emosynth.cards import atomic, read_table
from emosynth.escape import csv_frame
from emosynth.evidence.numbers import POINTS
from emosynth.evidence.recipe import frozen, left_out, pick_recipe, ranking, tries
from emosynth.params import Params
from emosynth.paths import Paths


def write_recipe(params: Params, paths: Paths) -> tuple[Path, str]:
    """Write every try to ``recipe.csv`` beside the report; return its place, and what is to be said: ranking, pick, the pick as an arm.

    Raises
    ------
    UserError
        If nothing was trained, the trials were scored on test rows, or no candidate was run everywhere.
    """
    found = tries(read_table(paths.trials / "trials.parquet", stage="training"), params)
    chosen = pick_recipe(found)
    shown = [frame.assign(gain=POINTS * frame["gain"]).round(2) for frame in (ranking(found), left_out(found))]
    path = paths.report / "recipe.csv"
    with atomic(path) as temporary:
        csv_frame(found.round(6)).to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
    rule = "Candidates by mean rank over corpora, sizes and learners, gains in F1 points over the labels alone, on validation rows"
    carried = "Picked without a corpus, and what that gains on it"
    arm = yaml.safe_dump({"arms": frozen(params, *chosen)}, sort_keys=False, allow_unicode=True, width=160)
    parts = [
        f"{rule}:",
        shown[0].to_string(index=False, na_rep="–"),
        "",
        *([f"{carried}:", shown[1].to_string(index=False), ""] if len(shown[1]) else []),
    ]
    return path, "\n".join([*parts, f"Picked: {' with '.join(filter(None, chosen))}. As arms of another profile:", "", arm])
