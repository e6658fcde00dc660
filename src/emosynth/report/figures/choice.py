"""Which arms a figure draws where there are too many to be told apart: every one of them stays in its CSV file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pandas as pd

from emosynth.design.arms import SEED
from emosynth.evidence import load_claims, naive_arm
from emosynth.evidence.numbers import some
from emosynth.params import Params
from emosynth.report.tables import Tables

MOST = 8
"""Arms that one figure draws by name; more share markers and hues that nobody tells apart."""


def published(tables: Tables) -> list[str]:
    """Return the arms that published claims are about, in the order of the declarations."""
    path = tables.paths.root / "data" / "claims.yaml"
    declared = load_claims(path) if path.is_file() else []
    return list(dict.fromkeys(claim.left.arm for claim in declared if not claim.ours and claim.left.arm in tables.params.arms))


def leading(tables: Tables, arms: Iterable[str], best: Sequence[str] = (), most: int = MOST) -> list[str]:
    """Return the arms to draw, in the order of the parameters: all, if they are ``most`` at most.

    Else those that matter, then others as the parameters have them, written ones first: the labels alone, plain prompts, ``best`` (the first four), and
    the published systems.
    """
    there = tables.looks.order(arms)
    wanted = [SEED, naive_arm(tables.params), *best[:4], *published(tables), *best[4:], *sorted(there, key=tables.looks.real)]
    chosen = [arm for arm in dict.fromkeys(wanted) if arm in there][:most]
    return tables.looks.order(chosen)


def marked(frame: pd.DataFrame, arms: Iterable[str]) -> pd.DataFrame:
    """Return a frame that says in its column ``drawn`` which rows are of arms that are drawn."""
    return frame.assign(drawn=frame["arm"].isin(list(arms)))


def left_out(frame: pd.DataFrame) -> str:
    """Say how many arms of a marked frame are not drawn; empty: none."""
    drawn = set(frame.loc[frame["drawn"], "arm"])
    rest = len(set(frame["arm"]) - drawn)
    if not rest:
        return ""
    return f" Of {some(len(drawn) + rest, 'arm')}, {len(drawn)} are drawn by name; the file of numbers (CSV) holds {'the other' if rest == 1 else f'all, the other {rest} too'}."


def own_texts(params: Params, arms: Iterable[str]) -> list[str]:
    """Return arms without those whose texts are another's: same prompts, writer and checks, whatever their labels, their number, or how they are learnt.

    A control with shuffled labels holds the texts of the arm that it controls, and would count them twice. The first in the order of the
    parameters stays; what is no written arm stays.
    """
    given = list(dict.fromkeys(arms))
    places = {name: place for place, name in enumerate(params.arms)}
    seen: dict[str, str] = {}
    for name in sorted((arm for arm in given if arm in places and params.arms[arm].add == "written"), key=places.__getitem__):
        arm = params.arms[name]
        seen.setdefault(json.dumps([arm.guide, arm.writer, arm.space, arm.checks], sort_keys=True, default=str), name)
    kept = set(seen.values())
    return [arm for arm in given if arm in kept or arm not in places or params.arms[arm].add != "written"]
