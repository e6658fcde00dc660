"""One recipe for all corpora: every declared try on validation rows, and the rule by which one of them is picked.

Test rows have no part in this: what is picked is frozen as an arm, and judged once by the claims that were declared for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from emosynth.cards import read_table
from emosynth.design.arms import SEED, resolve_arm
from emosynth.errors import UserError
from emosynth.escape import csv_frame
from emosynth.evidence.contrasts import usable
from emosynth.evidence.numbers import POINTS
from emosynth.evidence.scored import normal, split_of
from emosynth.files import atomic
from emosynth.params import Params
from emosynth.paths import Paths

CANDIDATE = ["arm", "changed"]
CELL = ["corpus", "size", "learner"]
COLUMNS = [*CANDIDATE, *CELL, "repeats", "score", "gain", "rank", "added", "tokens", "why_not"]


def tries(trials: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return every candidate in every cell, arms as they stand and as sweeps change them: `COLUMNS`.

    ``score``: macro-F1, mean over repeats; ``gain``: less the labels alone. ``rank``: among those that may be picked, NaN: ``why_not`` says
    why not. ``added``, ``tokens``: means over repeats. Raises UserError if the trials were scored on test rows.
    """
    if split_of(trials) != "validation":
        raise UserError(
            "A recipe is picked on validation rows, and these trials are scored on test rows.", where="training.scored_on",
            remedy="Use a profile with training: {scored_on: validation}, e.g. profiles/recipe.yaml.",
        )  # fmt: skip
    rows = normal(trials)
    rows = rows[(rows["version"] == "") & (rows["budget"] == "accepted")]
    rows = rows.assign(changed=[f"{sweep} = {value}" if sweep else "" for sweep, value in zip(rows["sweep"], rows["value"], strict=True)])
    seed = rows.loc[(rows["arm"] == SEED) & (rows["changed"] == ""), [*CELL, "repeat", "macro_f1"]].rename(columns={"macro_f1": "own"})
    rows = rows[rows["arm"] != SEED].merge(seed, on=[*CELL, "repeat"])
    rows["gain"] = rows["macro_f1"] - rows["own"]
    means = rows.groupby([*CANDIDATE, *CELL], sort=False).agg(
        repeats=("repeat", "nunique"), score=("macro_f1", "mean"), gain=("gain", "mean"), added=("n_synthetic", "mean"),
        tokens=("tokens", "mean"),
    )  # fmt: skip
    frame = means.reset_index()
    frame["gain"] = frame["gain"].round(10)  # what a sum leaves in the last bits breaks no tie
    known = {
        (arm, changed): _why_not(params, str(arm), str(changed), len(part), len(seed))
        for (arm, changed), part in rows.groupby(CANDIDATE, sort=False)
    }
    frame["why_not"] = [known[key] for key in zip(frame["arm"], frame["changed"], strict=True)]
    frame["rank"] = frame[frame["why_not"] == ""].groupby(CELL, sort=False)["gain"].rank(ascending=False)
    return frame[COLUMNS].sort_values([*CELL, "rank", *CANDIDATE], kind="stable", ignore_index=True)


def _why_not(params: Params, arm: str, changed: str, n: int, everywhere: int) -> str:
    spec = resolve_arm(params, arm, overrides=overrides_of(changed)).spec
    if not usable(spec):
        return "asks for more than a seed" if spec.add != "written" else "a control"
    return "" if n == everywhere else "not run everywhere"


def overrides_of(changed: str) -> dict[str, Any]:
    """Return what ``changed`` of a try says, as `emosynth.design.arms.resolve_arm` takes it."""
    name, _, value = changed.partition(" = ")
    return {name: json.loads(value)} if name else {}


def ranking(found: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates, the one to be picked first, what may not be picked last; ``corpora``: in how many the mean gain is > 0.

    The rule: the lowest mean rank, every corpus counting alike, and within it every size and learner; then the larger mean gain, the fewer
    tokens, the first name. Ranks, since gains of one corpus or learner may be many times those of another.
    """
    by_corpus = found.groupby([*CANDIDATE, "why_not", "corpus"], sort=False)[["rank", "gain", "tokens"]].mean().reset_index()
    means = by_corpus.assign(corpora=by_corpus["gain"] > 0).groupby([*CANDIDATE, "why_not"], sort=False)
    out = (
        means.agg(rank=("rank", "mean"), gain=("gain", "mean"), corpora=("corpora", "sum"), tokens=("tokens", "mean"))
        .reset_index()
        .round(10)
    )
    out = out.assign(_less=-out["gain"]).sort_values(["rank", "_less", "tokens", *CANDIDATE], kind="stable", ignore_index=True)
    return out[[*CANDIDATE, "rank", "gain", "corpora", "tokens", "why_not"]]


def pick_recipe(found: pd.DataFrame) -> tuple[str, str]:
    """Return arm and change that the rule of `ranking` picks. Raises UserError if no candidate was run everywhere."""
    first = ranking(found).head(1)
    if first.empty or first["why_not"].iloc[0]:
        raise UserError(
            "No candidate was run in every cell and repeat.", where="arms", remedy="Leave out their sizes, corpora and repeats."
        )
    return str(first["arm"].iloc[0]), str(first["changed"].iloc[0])


def left_out(found: pd.DataFrame) -> pd.DataFrame:
    """Return for each corpus what the others pick, and what that gains there: how far a pick carries to a corpus that had no part in it."""
    rows = []
    for corpus in dict.fromkeys(found["corpus"]) if found["corpus"].nunique() > 1 else []:
        arm, changed = pick_recipe(found[found["corpus"] != corpus])
        own = found[(found["corpus"] == corpus) & (found["arm"] == arm) & (found["changed"] == changed)]
        rows.append([corpus, arm, changed, float(own["rank"].mean()), float(own["gain"].mean())])
    return pd.DataFrame(rows, columns=["corpus", *CANDIDATE, "rank", "gain"])


def frozen(params: Params, arm: str, changed: str) -> dict[str, Any]:
    """Return a candidate as an arm for a profile, with the arms that it is made of under their names."""
    spec = resolve_arm(params, arm, overrides=overrides_of(changed)).spec
    parts = [*spec.plus, *([spec.after] if spec.after else [])]
    specs = {"recipe": spec, **{name: params.arms[name] for name in parts}}
    return {
        name: {**one.model_dump(mode="json", exclude_unset=True), **({"title": "recipe"} if one is spec else {})}
        for name, one in specs.items()
    }


# --- the search for a recipe from files: every try as a table beside the report, the ranking and the picked arm as text ---


def write_recipe(params: Params, paths: Paths) -> tuple[Path, str]:
    """Write every try to ``recipe.csv`` beside the report; return its place, and what is to be said: ranking, pick, the pick as an arm.

    Raises UserError if nothing was trained, the trials were scored on test rows, or no candidate was run everywhere.
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
        f"{rule}:", shown[0].to_string(index=False, na_rep="–"), "",
        *([f"{carried}:", shown[1].to_string(index=False), ""] if len(shown[1]) else []),
    ]  # fmt: skip
    return path, "\n".join([*parts, f"Picked: {' with '.join(filter(None, chosen))}. As arms of another profile:", "", arm])
