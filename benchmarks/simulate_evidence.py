"""Error rates of every rule that evidence judges by, on invented trials whose truth is known; writes ``benchmarks/evidence.json``.

Trials are simulated as they are made: rows of differing difficulty that all arms share, rows that single arms find hard, repeats that differ
for all arms and for one. Predictions become F1 by the same code that judges real trials.

    nice -n 15 python benchmarks/simulate_evidence.py            # about five minutes of one core
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from emosynth.context.dialogues import macro_f1_draws
from emosynth.evidence.contrasts import crossed
from emosynth.evidence.declared import Claim, Declared, Finding, decide
from emosynth.evidence.text_claims import p_of_interval
from emosynth.resampling import Contrast, Draws, contrast, draw_f1, equivalence, of_draws
from emosynth.stats import Nest, nested_halves, of_few_repeats, percentile_interval

REPEATS = (2, 3, 5, 10)
ROWS, RESAMPLES, ALPHA, MARGIN, WAYS = 300, 200, 0.05, 0.5, 4
SHARES = (0.5, 0.3, 0.2)
SPREADS = {"repeats alike": 0.03, "repeats differ": 0.2}
"""Standard deviation of a repeat's level, in standard deviations of a row's difficulty."""


def world(rng: np.random.Generator, repeats: int, levels: Sequence[float], spread: float, rows: int = ROWS) -> tuple[Any, list[Any]]:
    """Return (n, k) truth and for each arm (R, n, k) predictions; an arm's level shifts how often it is right."""
    k = len(SHARES)
    truth = rng.choice(k, size=rows, p=SHARES)
    hot = np.eye(k, dtype=bool)
    hard, luck = rng.normal(0, 1, rows), rng.normal(0, spread, (repeats, 1))
    arms = []
    for level in levels:
        right = (
            0.5 + level + luck + rng.normal(0, spread, (repeats, 1)) + hard + rng.normal(0, 0.5, rows) + rng.normal(0, 0.5, (repeats, rows))
            > 0
        )
        arms.append(hot[np.where(right, truth, (truth + 1 + rng.integers(0, k - 1, (repeats, rows))) % k)])
    return hot[truth], arms


@cache
def _curve(spread: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return levels and the expected F1 that they give, by quadrature over repeats: with many rows F1 depends on the share that is right."""
    grid = np.linspace(0, 1.2, 121)
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    right = norm.cdf(
        (0.5 + grid[:, None] + np.sqrt(2) * spread * nodes) / np.sqrt(1.5)
    )  # difficulty 1, of arm and row 0.25, of the run 0.25
    shares = np.array(SHARES)[:, None, None]
    scores = (2 * shares * right / (shares + shares * right + (1 - shares) * (1 - right) / (len(SHARES) - 1))).mean(axis=0)
    return grid, scores @ weights / weights.sum()


def levels_of(gains: Sequence[float], spread: float) -> list[float]:
    """Return the levels that give gains of F1 over level 0."""
    grid, scores = _curve(spread)
    return [float(np.interp(scores[0] + gain, scores, grid)) for gain in gains]


class Runs:
    """Simulated trials of some arms: F1 draws, the resampling drawn anew every so often."""

    def __init__(self, gains: Sequence[float], repeats: int, spread: float, count: int) -> None:
        self.levels = levels_of(gains, spread)
        self.repeats, self.spread, self.count = repeats, spread, count

    def __iter__(self) -> Any:
        for run in range(self.count):
            rng = np.random.default_rng([run, self.repeats, round(100 * self.spread)])
            truth, arms = world(rng, self.repeats, self.levels, self.spread)
            yield truth, arms, lambda said, truth=truth, seed=run % 4: draw_f1(truth, said, tuple(range(self.repeats)), RESAMPLES, seed)

    def drawn(self) -> Any:
        """Iterate over runs as one `Draws` an arm."""
        for _, arms, draw in self:
            yield [draw(arm) for arm in arms]


def combined(parts: Sequence[Draws]) -> Callable[[Sequence[tuple[float, Any]]], Contrast | None]:
    """Return what combines arms by their place."""
    return lambda terms: contrast([(weight, parts[arm]) for weight, arm in terms], 0.95, 0)


# --- rules ------------------------------------------------------------------------------------------------


def difference(repeats: int, spread: float, count: int) -> dict[str, float]:
    """Two arms: better or worse where they are alike; coverage of a gain of 3 points; power at 5 points."""
    wrong, covered, found = [], [], []
    for alike, three, five, base in Runs([0.0, 0.03, 0.05, 0.0], repeats, spread, count).drawn():
        made = [contrast([(1, arm), (-1, base)], 0.95, 0) for arm in (alike, three, five)]
        wrong.append(made[0].p < ALPHA)  # type: ignore[union-attr]
        covered.append(made[1].low <= 0.03 <= made[1].high)  # type: ignore[union-attr]
        found.append(made[2].p < ALPHA)  # type: ignore[union-attr]
    return {"wrong": _share(wrong), "coverage": _share(covered), "power": _share(found)}


def size(repeats: int, spread: float, count: int) -> dict[str, float]:
    """A claimed size of 5 points that is just true: judged either way; power where the gain is 0."""
    wrong, found = [], []
    for five, none, base in Runs([0.05, 0.0, 0.0], repeats, spread, count).drawn():
        wrong.append(contrast([(1, five), (-1, base)], 0.95, 0).beyond(0.05) < ALPHA)  # type: ignore[union-attr]
        found.append(contrast([(1, none), (-1, base)], 0.95, 0).beyond(0.05) < ALPHA)  # type: ignore[union-attr]
    return {"wrong": _share(wrong), "power": _share(found)}


def equivalent(repeats: int, spread: float, count: int, real: float = 0.15) -> dict[str, float]:
    """Arms that differ by the margin just so; arms that gain nothing where real rows gain nothing; power at no difference."""
    wrong: list[bool] = []
    blind: list[bool] = []
    found: list[bool] = []
    for at_margin, same, right, grown, seed, none in Runs(
        [real * (1 - MARGIN), real, real, real, 0.0, 0.0], repeats, spread, count
    ).drawn():
        combine = combined([at_margin, same, right, grown, seed, none])
        wrong.append(equivalence(combine, 0, 2, 3, 4, MARGIN).p < ALPHA)
        blind.append(equivalence(combine, 4, 5, 5, 4, MARGIN).p < ALPHA)
        found.append(equivalence(combine, 1, 2, 3, 4, MARGIN).p < ALPHA)
    return {"wrong": max(_share(wrong), _share(blind)), "power": _share(found)}


def opponents(repeats: int, spread: float, count: int) -> dict[str, float]:
    """One arm against two, alike to one of them and better than the other: “beats both”."""
    wrong, found = [], []
    for left, strong, first, second in Runs([0.05, 0.1, 0.05, 0.0], repeats, spread, count).drawn():
        wrong.append(_beats(left, first, second))
        found.append(_beats(strong, first, second))
    return {"wrong": _share(wrong), "power": _share(found)}


def _beats(left: Draws, *others: Draws) -> bool:
    made = [contrast([(1, left), (-1, other)], 0.95, 0) for other in others]
    return all(item is not None and item.effect > 0 and item.p < ALPHA for item in made)


def family(repeats: int, spread: float, count: int, claims: int = 41) -> dict[str, float]:
    """Forty-one claims, each with both of its tests, as they are judged: arms that are alike, and any is called better or worse; arms a margin
    apart, and any is called equivalent. Real rows gain 15 points, so that margins are wide for what repeats and rows leave open."""
    declared = Declared.model_validate(
        {"id": "Z1", "system": "s", "source": "s", "place": "p", "statement": "s", "left": "a", "right": ["b"], "learners": ["l"]}
    )
    real, errors = 0.15, {}
    for apart, outcomes in ((0.0, ("better", "worse")), (real * MARGIN, ("equivalent",))):
        wrong, pending = [], []
        for left, right, grown, seed in Runs([real - apart, real, real, 0.0], repeats, spread, claims * count).drawn():
            made = contrast([(1, left), (-1, right)], 0.95, 0)
            same = equivalence(combined([left, right, grown, seed]), 0, 1, 2, 3, MARGIN)
            pending.append(Claim(declared, "c", finding=Finding(made.effect, made.low, made.high, p=made.p, p_equivalent=same.p)))  # type: ignore[union-attr]
            if len(pending) == claims:
                wrong.append(any(item.outcome in outcomes for item in decide(pending, ALPHA)))
                pending = []
        errors[apart] = _share(wrong)
    return {"wrong": max(errors.values())}


def faint(repeats: int, spread: float, count: int) -> dict[str, float]:
    """Equivalence where real rows gain 5 points, as many published cells do."""
    return equivalent(repeats, spread, count, 0.05)


def best(repeats: int, spread: float, count: int, arms: int = 8) -> dict[str, float]:
    """The best of eight arms: picked and judged on one set of rows, and cross-fitted; coverage of the picking's own gain, power."""
    naive, wrong, covered, found = [], [], [], []
    for gains, into in (([0.0] * arms, wrong), ([0.0] * (arms - 1) + [0.05], found)):
        for truth, said, _ in Runs([*gains, 0.0], repeats, spread, count):
            orders = [np.random.default_rng(way).permutation(len(truth)) for way in range(WAYS)]
            halves = [
                [tuple(draw_f1(truth[order[side::2]], arm[:, order[side::2]], tuple(range(repeats)), RESAMPLES // WAYS, 2 * way + side) for side in (0, 1))
                 for way, order in enumerate(orders)]
                for arm in said
            ]  # fmt: skip
            base, *own = (draw_f1(truth, arm, tuple(range(repeats)), RESAMPLES, 0) for arm in (said[-1], *said[:-1]))
            top = max(own, key=lambda part: part.points.mean())
            flattered = contrast([(1, top), (-1, base)], 0.95, 0)
            made = crossed(halves[:-1], halves[-1], 0.95, 0, flattered.spread.by_repeats)  # type: ignore[arg-type, union-attr]
            into.append(made.p < ALPHA and made.effect > 0)  # type: ignore[union-attr]
            if into is wrong:
                covered.append(made.low <= 0 <= made.high)  # type: ignore[union-attr]
                naive.append(flattered.low > 0)  # type: ignore[union-attr]
    return {"wrong": _share(wrong), "coverage": _share(covered), "power": _share(found), "uncorrected": _share(naive)}


def text(repeats: int, spread: float, count: int) -> dict[str, float]:
    """A rate in texts that share prompts and repeats, of two arms: the interval of half-samples, widened for few repeats."""
    wrong: list[bool] = []
    covered: list[bool] = []
    found: list[bool] = []
    for run in range(count):
        rng = np.random.default_rng([run, repeats, round(100 * spread)])
        drawn = []
        for side in (0, 1):
            values, nest = _texts(rng, repeats, spread)
            drawn.append(values[nested_halves(nest, 100, 2 * run + side)].mean(axis=1))
        gap = drawn[0] - drawn[1]
        effect = float(gap.mean())
        span = of_few_repeats(percentile_interval(gap), effect, repeats, 0.95)
        low, high = span.low, span.high
        covered.append(low <= 0 <= high)
        for shift, into in ((0.0, wrong), (0.5, found)):
            into.append(p_of_interval(effect + shift, low + shift, high + shift, 0.95, repeats) < ALPHA)
    return {"wrong": _share(wrong), "coverage": _share(covered), "power": _share(found)}


def _texts(rng: np.random.Generator, repeats: int, spread: float) -> tuple[npt.NDArray[np.float64], Nest]:
    prompts, each = 12, 4
    place = np.arange(repeats * prompts * each)
    repeat, prompt = place // (prompts * each), place // each
    values = rng.normal(0, spread, repeats)[repeat] + rng.normal(0, 0.5, repeats * prompts)[prompt] + rng.normal(0, 1, place.size)
    return values, Nest.of(repeat.tolist(), prompt.tolist(), [0] * place.size)


def context(repeats: int, spread: float, count: int) -> dict[str, float]:
    """Context + utterance against each alone on rows of sixty dialogues, by the code that judges labels of people: “beats both”, where one is
    alike, and either is called worse where both are alike, each p times two."""
    wrong, found = [], []
    for run in range(count):
        rng = np.random.default_rng([run, repeats, round(100 * spread)])
        truth, arms = world(rng, repeats, levels_of([0.1, 0.1, 0.0, 0.1], spread), spread)
        places, clusters = truth.argmax(axis=1), np.repeat(np.arange(60), len(truth) // 60)
        drawn = [macro_f1_draws(places, arm.argmax(axis=2), clusters, len(SHARES), RESAMPLES, run % 4) for arm in arms]
        both, alike, poor, other = drawn
        made = [of_draws(both[0] - one[0], both[1] - one[1], 0.95, 0, len(truth)) for one in (alike, poor, other)]
        beats = [one.effect > 0 and one.p < ALPHA for one in made]
        against = any(one.effect < 0 and 2 * one.p < ALPHA for one in (made[0], made[2]))
        wrong.append(all(beats[:2]) or against)
        found.append(beats[1])
    return {"wrong": _share(wrong), "power": _share(found)}


def _share(values: Sequence[Any]) -> float:
    return round(float(np.mean(values)), 4)


RULES: dict[str, tuple[Callable[[int, float, int], dict[str, float]], float]] = {
    "difference": (difference, 1.0), "claimed size": (size, 0.7), "equivalence": (equivalent, 0.5), "two opponents": (opponents, 0.5),
    "forty-one claims, corrected": (family, 0.1), "equivalence, real rows gain 5 points": (faint, 0.5), "best of eight arms, cross-fitted": (best, 0.4), "text": (text, 0.4), "context": (context, 0.5),
}  # fmt: skip
"""Rule -> what simulates it, and its share of the runs."""


def simulate(
    runs: int, repeats: Sequence[int] = REPEATS, spreads: Sequence[str] = tuple(SPREADS), rules: Sequence[str] = tuple(RULES)
) -> list[dict[str, Any]]:
    """Return a row a rule, number of repeats and spread of repeats."""
    return [
        {"rule": rule, "repeats": count, "spread": spread, "runs": max(20, int(RULES[rule][1] * runs)),
         **RULES[rule][0](count, SPREADS[spread], max(20, int(RULES[rule][1] * runs)))}
        for rule in rules for count in repeats for spread in spreads
    ]  # fmt: skip


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the table of docs/methods.md: per rule and number of repeats the least favourable of all spreads."""
    lines = ["| rule | repeats | wrong, at most | coverage | power |", "|---|---|---|---|---|"]
    for rule in dict.fromkeys(row["rule"] for row in rows):
        for repeats in dict.fromkeys(row["repeats"] for row in rows):
            own = [row for row in rows if (row["rule"], row["repeats"]) == (rule, repeats)]
            covered = [row["coverage"] for row in own if "coverage" in row]
            power = [row["power"] for row in own if "power" in row]
            cells = [_per_cent(max(row["wrong"] for row in own)), _range(covered), _range(power)]
            lines.append(f"| {rule} | {repeats} | {' | '.join(cells)} |")
    return lines


def _per_cent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _range(values: Sequence[float]) -> str:
    return f"{100 * min(values):.0f} to {100 * max(values):.0f} %" if values else "–"


def main() -> None:
    """Simulate, write the rows as JSON, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    given = parser.parse_args()
    start = time.monotonic()
    rows = simulate(given.runs)
    target = Path(__file__).with_name("evidence.json")
    target.write_text(json.dumps({"runs": given.runs, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(rows)))
    print(f"{time.monotonic() - start:.0f} seconds, {target.name} written")


if __name__ == "__main__":
    main()
