"""What the rounds are measured by: diversity, distance from real text, and a cheap learner; the measures of steps 07 and 08."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats as scipy_stats

from emosynth.authenticity.detect import detect
from emosynth.authenticity.diversity import Embed, diversity
from emosynth.authenticity.reach import coverage
from emosynth.authenticity.resampling import seed_for
from emosynth.authenticity.sample import Sample
from emosynth.catalog import Catalog
from emosynth.design.rows import Stage, hard_rows, joined
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.responsible.collapse.rounds import Round, Tune, rounds_on, run_rounds
from emosynth.responsible.texts import drawn, real_text
from emosynth.trials.sources import Sources

COLUMNS = [
    "arm", "size", "variant", "round", "measure", "learner", "value", "low", "high", "change", "change_low", "change_high", "repeats", "starved",
]  # fmt: skip
COUNTS = ("written", "accepted", "rows")
OF_TEXT = ("distinct_1", "distinct_2", "self_repetition", "spread", "precision", "coverage", "detectability")
ALONE, WITH_SEED = "macro_f1", "macro_f1_with_seed"
LEARNERS = ("tfidf", "embedding")
NAMES = [(name, "") for name in (*COUNTS, *OF_TEXT)] + [(name, learner) for learner in LEARNERS for name in (ALONE, WITH_SEED)]
ABOUT = (
    "Collapse", "A tuned writer whose seed is replaced by, or grows by, its own accepted text: each round's text, measured.",
    {"variant": "replaced: a round learns from the text of the round before alone; kept: from the real seed and the text of all rounds before",
     "round": "0: the real seed", "measure": "counts of texts, diversity at equal tokens, distance from real text, macro-F1", "learner": "of macro-F1; empty: none",
     "value": "mean over seeds, with Student's interval", "change": "paired difference from round 1, likewise", "repeats": "seeds that have a value",
     "starved": "seeds of which the round has too few rows of a class: counted, not measured, and the end of what has no other rows"},
    ["A round has as many rows as the seed at most; what checks leave may be fewer, and poorer classes fewer still.",
     "Equal amounts of text are bounded by the poorest round.", "Intervals over few seeds are wide, and missing for one.", "Empty where responsible.collapse.rounds is 0."],
)  # fmt: skip
"""Title, content, columns and limits of the card."""
Value = tuple[int, str, str, float]
"""Place of a round, measure, learner (empty: none), value."""


def collapse(sources: Sources, catalog: Catalog, paths: Paths, *, tune: Tune | None = None, embed: Embed | None = None) -> pd.DataFrame:
    """Let a tuned writer go round, and measure each round's accepted text.

    Parameters
    ----------
    tune, embed
        Tunes a writer; embeds texts. None: as the parameters say, through the caches of tuned models, texts and embeddings.

    Returns
    -------
    pandas.DataFrame
        ``corpus`` and `COLUMNS`; empty where it is off. ``variant``: see `emosynth.responsible.collapse.rounds.VARIANTS`; both begin with round 0, the
        real seed, and share round 1. ``measure``: ``written``, ``accepted``, ``rows`` (kept); diversity and self-repetition at equal tokens,
        ``spread`` of embeddings (`emosynth.authenticity.diversity`); ``precision`` and ``coverage`` among real text outside the seeds, and
        ``detectability`` beside it (`emosynth.authenticity.detect`); macro-F1 on test rows of a ``learner`` that learns from the rows alone
        (round 0: the seed), and with the seed. ``value``: mean over ``repeats`` seeds, with Student's interval; ``change``: paired difference
        from round 1, likewise. ``starved``: seeds of which the round has too few rows of a class; such rows are counted and not measured.
    """
    if not sources.params.responsible.collapse.rounds:
        return pd.DataFrame(columns=["corpus", *COLUMNS])
    if embed is None:
        from emosynth.models.embeddings import embedding_cache

        embed = embedding_cache(catalog.model(sources.params.models.encoder), paths.cache).embed
    arm, cells = rounds_on(sources.params)
    rounds = run_rounds(sources, catalog, paths, tune)
    say(f"collapse: measures of {len(rounds)} rounds")
    values = [*_counted(rounds), *_of_text(sources, cells[0].corpus, rounds, embed), *_scores(sources, cells[0].corpus, rounds, embed)]
    frame = _summary(rounds, values, sources.params.responsible.confidence)
    return frame.assign(corpus=cells[0].corpus, arm=arm.name, size=cells[0].size)[["corpus", *COLUMNS]]


def _counted(rounds: Sequence[Round]) -> Iterator[Value]:
    for place, made in enumerate(rounds):
        counts = made.written, made.accepted, len(made.rows)
        yield from ((place, name, "", float(count)) for name, count in zip(COUNTS, counts, strict=True) if made.number or name == "rows")


def _of_text(sources: Sources, corpus: str, rounds: Sequence[Round], embed: Embed) -> Iterator[Value]:
    given, beside = sources.params.responsible, real_text(sources, corpus)
    real = drawn(pd.concat([beside.other, beside.test], ignore_index=True), given.texts)["text"].tolist()
    flat = {place: Sample.flat(made.texts) for place, made in enumerate(rounds) if made.sound}
    texts = {(str(place), True, "text"): sample for place, sample in flat.items()}
    made = diversity(texts, [], embed, confidence=given.confidence, seed=given.random_seed)
    reach = partial(seed_for, given.random_seed, "collapse")
    among = coverage(real, {key[:2]: sample for key, sample in texts.items()}, embed, reach, given.confidence)
    for place, measure, value in pd.concat([made, among])[["arm", "measure", "value"]].itertuples(index=False, name=None):
        if measure in OF_TEXT:
            yield int(place), str(measure), "", float(value)
    for place, sample in flat.items():
        # No p is asked for: one permutation is as good as many.
        found = detect(sample.texts, real, permutations=1, confidence=given.confidence, seed=given.random_seed)
        yield place, "detectability", "", found.auc


def _scores(sources: Sources, corpus: str, rounds: Sequence[Round], embed: Embed) -> Iterator[Value]:
    from emosynth import pieces
    from emosynth.learners.base import Learner, Resources, Task
    from emosynth.params import Training
    from emosynth.trials.rows import Built
    from emosynth.trials.score import score_outcome
    from emosynth.trials.train import Job, train

    space, test, folds = sources.spaces[corpus], sources.corpora[corpus].split("test"), Training().folds
    texts, truth = test["text"].tolist(), space.multi_hot(test["labels"].tolist())
    resources = Resources(embed, Path(), "", Path())
    seeds = {made.repeat: made for made in rounds if made.number == 0}
    known: dict[tuple[str, int, bool, tuple[str, ...]], float] = {}  # variants begin alike
    learners = [cast(Learner, pieces.build("learner", name)) for name in LEARNERS]
    for place, made in enumerate(rounds):
        for learner in learners if made.sound else ():
            for measure in (ALONE, WITH_SEED):
                parts = [seeds[made.repeat], made] if measure == WITH_SEED and made.number else [made]
                key = learner.name, made.repeat, len(parts) > 1, tuple(made.rows["id"])
                if key not in known:
                    first, *more = (hard_rows(part.texts, part.rows["labels"].tolist(), space, synthetic=part.number > 0) for part in parts)
                    rows = joined(first, more[0]) if more else first
                    built = Built([Stage(rows, space)], len(first), rows.n_real, rows.n_synthetic)
                    job = Job("", learner, built, Task(space, len(first), None, folds, made.repeat), texts)
                    known[key] = score_outcome(train(job, resources), truth, space, None)["macro_f1"]
                yield place, measure, learner.name, known[key]


def _summary(rounds: Sequence[Round], values: Sequence[Value], confidence: float) -> pd.DataFrame:
    """Return means over repeats with intervals, and paired differences from round 1."""
    found: dict[tuple[str, int, str, str], dict[int, float]] = {}
    for place, measure, learner, value in values:
        made = rounds[place]
        if not math.isnan(value):
            found.setdefault((made.variant, made.number, measure, learner), {})[made.repeat] = value
    starved: dict[tuple[str, int], int] = {}
    for made in rounds:
        starved[made.variant, made.number] = starved.get((made.variant, made.number), 0) + (not made.sound)
    out = []
    for (variant, number), count in starved.items():
        for name in NAMES if number else NAMES[COUNTS.index("rows") :]:
            own, base = found.get((variant, number, *name), {}), found.get((variant, 1, *name), {})
            change = [value - base[repeat] for repeat, value in own.items() if repeat in base] if number > 1 else []
            means = [*_mean(np.array(list(own.values())), confidence), *_mean(np.array(change), confidence)]
            out.append([variant, number, *name, *means, len(own), count])
    return pd.DataFrame(out, columns=COLUMNS[2:])


def _mean(values: npt.NDArray[np.float64], confidence: float) -> tuple[float, float, float]:
    """Return a mean with Student's interval: NaN without values, no interval for fewer than two."""
    if not len(values):
        return math.nan, math.nan, math.nan
    mean = float(values.mean())
    if len(values) < 2:
        return mean, math.nan, math.nan
    reach = float(scipy_stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean, mean - reach, mean + reach
