"""Step 08: which students are trained, on what rows, and what is kept of them; step 07 from its parts."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from emosynth.cards import read_table
from emosynth.corpora import Corpus
from emosynth.distillation import candidates as synthesis_code
from emosynth.distillation import plots, students
from emosynth.distillation import run as run_code
from emosynth.distillation.candidates import build_synthesis, write_guidance
from emosynth.distillation.design import (
    ALL_DEFECTS,
    BATCH_WEIGHTS,
    HONEST,
    MIXED_EVALUATION,
    ORACLE,
    OVER_PROBABILITIES,
    SWEEPS,
    VARIANTS,
    Design,
    Run,
)
from emosynth.distillation.gaps import Gaps
from emosynth.distillation.rows import RowBuilder, Rows
from emosynth.distillation.run import SCORES, headline, run_distillation
from emosynth.distillation.students import Fitted, LinearDistilled, TinyDistilled
from emosynth.distillation.teacher import build_teachers, soft_labels
from emosynth.errors import UserError
from emosynth.generation.plan import quotas
from emosynth.generation.run import COLUMNS as CANDIDATE_COLUMNS
from emosynth.learning.arms import Grower
from emosynth.learning.fit import HeldOut
from emosynth.models.calibration import scaled_softmax
from emosynth.params import (
    Corpora,
    Distillation,
    FineTuning,
    Generation,
    GenerationArm,
    Generator,
    Learner,
    Seeding,
    Shap,
    Student,
    Sweeps,
    Synthesis,
    Teacher,
    Training,
    Tuning,
    TuningKind,
    Verification,
    load_params,
)
from emosynth.paths import Paths
from emosynth.seeding import seed_rows, stratified_order

CLASSES = ["sad", "glad", "mad"]
WORDS = {
    "sad": ["grief", "tears", "loss", "gloom"],
    "glad": ["cheer", "smile", "treat", "bloom"],
    "mad": ["rage", "storm", "fury", "spite"],
}
TAUS = [0.0, 0.6, 0.8]
ROOT = Path(__file__).parent.parent


# --- an invented world ----------------------------------------------------------------------------------


def sentence(label: str, number: int) -> str:
    """Return a sentence with words of its class, and now and then of another."""
    rng = np.random.default_rng(number)
    pool = [WORDS[label], WORDS[label], WORDS[CLASSES[rng.integers(3)]]]
    chosen = [str(rng.choice(words)) for words in pool]
    if rng.random() < 0.2:
        chosen = [str(rng.choice(WORDS[CLASSES[rng.integers(3)]])) for _ in pool]
    return f"case {number} brings {' and '.join(chosen)} to street {rng.integers(10_000)}"


def corpus() -> Corpus:
    rows = []
    for number in range(210):
        label = CLASSES[number % 3]
        split = "train" if number < 120 else "validation" if number < 150 else "test"
        rows.append({"id": f"i{number:03d}", "text": sentence(label, number), "labels": [label], "split": split, "corpus": "toy"})
    return Corpus("toy", pd.DataFrame(rows), CLASSES, "single", "note", {c: c for c in CLASSES}, hash="h")


TOY = corpus()
SEEDING = Seeding(sizes=[12, 24], repeats=2, min_per_class=2)
ORDER = stratified_order(TOY, SEEDING)
TEXTS = dict(zip(TOY.frame["id"], TOY.frame["text"], strict=True))
UNSEEN = {*TOY.split("test")["text"], *TOY.split("validation")["text"]}
KIND = TuningKind(trainable="top_blocks", blocks=1)
TUNING = Tuning(corpus="toy", seeding=SEEDING, kinds={"a": KIND, "b": KIND})
GENERATION = Generation(
    generator=Generator(),
    growth=2.0,
    oversample=3.0,
    arms={
        "naive": GenerationArm(growth=1.0),
        "tuned": GenerationArm(tuned="a"),
        "tuned-big": GenerationArm(tuned="a", growth=4.0, sizes=[24], repeats=1),
        "other": GenerationArm(tuned="b", sizes=[24]),
    },
)
SYNTHESIS = Synthesis(generation=GENERATION, verification=Verification(min_confidence=0.5), teacher=Teacher(kind="tfidf", oracle=True))
TRAINING = Training(learners={"tfidf": Learner()})


def settings(**more: Any) -> Distillation:
    given: dict[str, Any] = {
        "students": {"tfidf": Student()},
        "arm": "tuned",
        "growth": 2.0,
        "matched_growth": 1.5,
        "real_expansions": [1.0],
        "c_grid": [1.0, 10.0],
        "sweeps": Sweeps(tau=TAUS, beta=[0.3, 1.0], alpha=[0.0, 0.8], temperature=[1.0, 2.0], growth=[0.0, 1.0, 4.0]),
        **more,
    }
    return Distillation(**given)


@dataclasses.dataclass
class Knower:
    """Counts the words of each class; may misread what is told in a whisper."""

    name: str
    temperature: float
    slope: float
    classes: list[str] = dataclasses.field(default_factory=lambda: CLASSES)
    asked: list[str] = dataclasses.field(default_factory=list)

    def logits(self, texts) -> np.ndarray:
        self.asked += list(texts)
        counts = np.array([[sum(word in text.split() for word in WORDS[label]) for label in CLASSES] for text in texts], dtype=float)
        counts = counts.reshape(len(texts), len(CLASSES))
        if self.name == "seed":
            counts[["whisper" in text for text in texts]] *= -1
        # The last digits differ from text to text, so that a mix-up of rows shows.
        mark = np.array([int(hashlib.sha256(text.encode()).hexdigest()[:6], 16) / 1e9 for text in texts])
        return self.slope * counts + mark[:, None] * np.arange(len(CLASSES))


class Knowers(dict):
    """Stands in for `Teachers`."""

    names = ("seed", "oracle")


def knowers() -> Knowers:
    oracle = Knower("oracle", 0.5, 1.0)
    made = Knowers()
    for size in SEEDING.sizes:
        for repeat in range(SEEDING.repeats):
            made["seed", size, repeat] = Knower("seed", 2.0, 2.0 + repeat)
            made["oracle", size, repeat] = oracle
    return made


def candidates(teachers: Knowers) -> pd.DataFrame:
    """Return verified candidates of every arm. Those of index 1 hold, word for word or nearly so, a held-out text."""
    planted = [TOY.split("test")["text"][5], TOY.split("validation")["text"][3].upper()]
    rows = []
    for place, (name, arm) in enumerate(GENERATION.arms.items()):
        growth = GENERATION.growth if arm.growth is None else arm.growth
        for size in arm.sizes or SEEDING.sizes:
            for repeat in range(arm.repeats or SEEDING.repeats):
                for label, count in quotas(math.ceil(growth * size * GENERATION.oversample), CLASSES).items():
                    for index in range(count):
                        number = 10_000 + 7919 * place + 1000 * size + 500 * repeat + 3 * index + CLASSES.index(label)
                        text = sentence(label, number) + (" in a whisper" if index % 9 == 4 else "")
                        text = "" if index == 2 else planted[place % 2] if index == 1 else text
                        rows.append({"candidate_id": f"{name}/{size}/{repeat}/{label}/{index:05d}", "arm": name, "size": size,
                                     "repeat": repeat, "label": label, "index": index, "text": text})  # fmt: skip
    frame = pd.DataFrame(rows)
    logits = np.vstack([teachers["seed", row.size, row.repeat].logits([row.text]) / 2.0 for row in frame.itertuples()])
    sure = scaled_softmax(logits, 1.0)
    intended = np.array([CLASSES.index(label) for label in frame["label"]])
    frame["ok_nonempty"] = frame["text"] != ""
    frame["ok_length"] = frame["index"] % 7 != 3
    frame["ok_agreement"] = (sure.argmax(axis=1) == intended) | (frame["index"] == 1)
    frame["score_confidence"] = np.where(frame["index"] == 1, 0.99, sure[np.arange(len(frame)), intended])
    frame["ok_confidence"] = frame["score_confidence"] >= 0.5
    frame["accepted"] = frame.filter(regex="^ok_").all(axis=1)
    # The order of rows in the table is not the order of indices.
    return frame.sample(frac=1.0, random_state=0).reset_index(drop=True)


@pytest.fixture(scope="module")
def world() -> SimpleNamespace:
    teachers = knowers()
    table = candidates(teachers)
    return SimpleNamespace(teachers=teachers, candidates=table, logits=soft_labels(table, teachers))


@pytest.fixture
def builder(world: SimpleNamespace) -> RowBuilder:
    return builder_of(world.candidates, world.logits, world.teachers)


def builder_of(table: pd.DataFrame, logits: pd.DataFrame, teachers: Knowers) -> RowBuilder:
    grower = Grower(TOY, ORDER, table, seeding=SEEDING, generation=GENERATION, training=TRAINING, near_duplicate=0.8)
    return RowBuilder(TOY, grower, logits, teachers)


def runs_of(**more: Any) -> list[Run]:
    return Design(TUNING, SYNTHESIS, settings(**more)).runs()


HEAD = next(run for run in runs_of() if run.sweep == "ablation" and run.variant == HONEST)


def head(**changed: Any) -> Run:
    """Return the headline run at the largest size, first repeat, with changes."""
    return dataclasses.replace(HEAD, **{"sweep": "main", "variant": "", **changed})


def synthetic(made: Rows) -> list[str]:
    return made.texts[made.n_real :]


# --- the design -----------------------------------------------------------------------------------------


def counts(runs: list[Run]) -> dict[str, int]:
    return dict(Counter(run.sweep for run in runs))


def test_design_counted_by_hand() -> None:
    """Arms: naive and tuned everywhere; tuned-big at 24 on the first repeat; other at 24. Kinds: a (tuned, tuned-big) and b."""
    made = settings(
        students={"tfidf": Student(), "tiny": Student(sweeps=["main"], arms=["seed", "tuned"], repeats=1)},
        matched_growth=2.0,
        real_expansions=[1.0, 2.0],
        sweeps=Sweeps(tau=[0.0, 0.5, 0.9], beta=[0.1, 1.0], temperature=[1.0, 2.0, 4.0], growth=[0.0, 1.0, 4.0], repeats=1),
    )
    runs = Design(TUNING, SYNTHESIS, made).runs()
    assert counts([run for run in runs if run.student == "tfidf"]) == {
        # seed and two real arms, three versions of each generating arm: (3 + 2·3) twice, (3 + 4·3) and (3 + 3·3)
        "main": 2 * 9 + 15 + 12,
        # naive is too small; tuned, tuned-big, other in two versions and the seed, then without tuned-big
        "matched_accepted": 7 + 5,
        "matched_generated": 7 + 5,
        "tau": 4,  # one repeat; three values and the seed
        "beta": 3,
        "temperature": 4,
        "growth": 3,  # the seed is its own value, 0
        "size": 2 * 2 * 2,
        "kind": 2 * 3,  # one arm a kind, and the seed
        "ablation": 2 * 7,
    }
    assert Counter((run.arm, run.verified, run.soft) for run in runs if run.student == "tiny") == {
        ("seed", False, False): 1, ("tuned", True, False): 1, ("tuned", True, True): 1,
    }  # fmt: skip
    assert {run.size for run in runs if run.student == "tiny"} == {24}, "the encoder is trained on the largest seed alone"
    assert len(set(runs)) == len(runs)


def test_arms_that_do_not_run_on_a_seed_are_left_out() -> None:
    for run in runs_of():
        if run.arm == "tuned-big":
            assert (run.size, run.repeat) == (24, 0), run
        if run.arm == "other":
            assert run.size == 24, run
    assert not any(run.repeat == 1 and run.arm == "tuned-big" for run in runs_of())


def test_every_run_differs_from_the_headline_by_what_its_sweep_varies() -> None:
    made = settings()
    plain = {"tau": 0.5, "beta": made.beta, "alpha": made.alpha, "temperature": made.temperature}
    for run in runs_of():
        found = {name: getattr(run, name) for name in plain}
        if run.arm.startswith(("seed", "real")):
            assert (run.verified, run.soft, run.beta, run.alpha) == (False, False, 1.0, 0.0)
            assert run.rows == (run.size if run.arm == "real+1x" else 0)
        elif run.sweep in plain:
            assert found == {**plain, run.sweep: run.value} and run.arm == "tuned" and run.verified and run.soft
        elif run.verified:
            assert found == plain
        else:
            assert found == {**plain, "tau": 0.0} and not run.soft
        assert math.isnan(run.value) == (run.sweep not in ("tau", "beta", "alpha", "temperature", "growth", "size") or (run.arm == "seed" and run.sweep not in ("growth", "size")))  # fmt: skip
        assert run.generated == (run.sweep == "matched_generated" and run.arm != "seed")
        assert bool(run.variant) == (run.sweep == "ablation" and run.arm != "seed")
        assert run.oracle == (run.variant in (ORACLE, ALL_DEFECTS))
        if run.sweep not in ("main", "size"):
            assert run.size == 24
    for sweep in ("tau", "beta", "alpha", "temperature"):
        assert [run.value for run in runs_of() if run.sweep == sweep and run.arm == "tuned" and run.repeat == 0] == getattr(
            made.sweeps, sweep
        )


def test_rows_wanted() -> None:
    by = {(run.sweep, run.arm, run.value): run.rows for run in runs_of() if run.size == 24 and run.repeat == 0 and run.verified}
    nan = {(sweep, arm): rows for (sweep, arm, value), rows in by.items() if math.isnan(value)}
    assert nan["main", "naive"] == 24 and nan["main", "tuned"] == 48, "no more than an arm was generated for"
    assert nan["main", "tuned-big"] == 48, "and no more than the headline's growth"
    assert nan["matched_accepted", "tuned"] == nan["matched_generated", "other"] == 36
    assert ("matched_accepted", "naive") not in nan
    assert nan["kind", "tuned"] == nan["kind", "other"] == 48 and ("kind", "tuned-big") not in nan
    assert by["growth", "tuned", 1.0] == 24 and by["growth", "tuned-big", 4.0] == 96
    assert by["size", "tuned", 24.0] == 48


def test_growth_sweep_takes_an_arm_with_enough_rows_on_that_seed() -> None:
    growth = [(run.repeat, run.value, run.arm) for run in runs_of() if run.sweep == "growth"]
    assert growth == [(0, 0.0, "seed"), (0, 1.0, "tuned"), (0, 4.0, "tuned-big"), (1, 0.0, "seed"), (1, 1.0, "tuned")]
    assert not any(run.value == 9.0 for run in runs_of(sweeps=Sweeps(growth=[9.0])))
    only_other = {"tuned": GENERATION.arms["tuned"], "other": GENERATION.arms["other"].model_copy(update={"growth": 50.0})}
    synthesis = SYNTHESIS.model_copy(update={"generation": GENERATION.model_copy(update={"arms": only_other})})
    found = [run.arm for run in Design(TUNING, synthesis, settings()).runs() if run.sweep == "growth" and run.value == 4.0]
    assert found == [], "an arm that writes otherwise is no substitute"


def test_students_keep_to_their_part_of_the_design() -> None:
    part = {"tfidf": Student(sweeps=["main", "beta"], arms=["seed", "real+1x", "tuned:unverified"], repeats=1)}
    runs = runs_of(students=part)
    assert {run.sweep for run in runs} == {"main", "beta"} and {run.repeat for run in runs} == {0}
    assert {(run.arm, run.verified) for run in runs if run.sweep == "main"} == {("seed", False), ("real+1x", False), ("tuned", False)}
    assert {run.arm for run in runs if run.sweep == "beta"} == {"seed", "tuned"}, "arms restrict the main contrast only"
    assert {run.repeat for run in runs_of(students={"tfidf": Student(repeats=7)})} == {0, 1}
    sweeps = settings().sweeps.model_copy(update={"repeats": 1})
    assert {run.repeat for run in runs_of(sweeps=sweeps) if run.sweep == "tau"} == {0}
    assert {run.repeat for run in runs_of(sweeps=sweeps) if run.sweep in ("main", "ablation")} == {0, 1}


def test_ablation_switches_on_each_defect_alone_and_then_all() -> None:
    ablation = [run for run in runs_of() if run.sweep == "ablation" and run.repeat == 0]
    assert [run.variant for run in ablation] == [*VARIANTS, ""] and ablation[-1].arm == "seed"
    assert len({dataclasses.replace(run, variant="") for run in ablation[:-1]}) == 1, "they differ in nothing else"
    without = SYNTHESIS.model_copy(update={"teacher": Teacher(kind="tfidf", oracle=False)})
    found = [run.variant for run in Design(TUNING, without, settings()).runs() if run.sweep == "ablation" and run.repeat == 0]
    assert found == [HONEST, MIXED_EVALUATION, OVER_PROBABILITIES, BATCH_WEIGHTS, ""]
    assert not any(run.sweep == "ablation" for run in runs_of(ablation=False))


def test_sweeps_without_anything_to_compare_are_left_out() -> None:
    assert not {run.sweep for run in runs_of(sweeps=Sweeps())} & {"tau", "beta", "alpha", "temperature", "growth"}
    one = TUNING.model_copy(update={"seeding": Seeding(sizes=[24], repeats=2)})
    arms = {name: arm for name, arm in GENERATION.arms.items() if name != "other"}
    synthesis = SYNTHESIS.model_copy(update={"generation": GENERATION.model_copy(update={"arms": arms})})
    assert not {run.sweep for run in Design(one, synthesis, settings()).runs()} & {"size", "kind"}


def test_kinds_are_compared_on_a_seed_that_has_both() -> None:
    arms = {**GENERATION.arms, "other": GenerationArm(tuned="b", sizes=[12], repeats=1, growth=1.0)}
    synthesis = SYNTHESIS.model_copy(update={"generation": GENERATION.model_copy(update={"arms": arms})})
    kind = [run for run in Design(TUNING, synthesis, settings()).runs() if run.sweep == "kind"]
    assert [(run.arm, run.size, run.repeat, run.rows) for run in kind] == [("tuned", 12, 0, 12), ("other", 12, 0, 12), ("seed", 12, 0, 0)]


@pytest.mark.parametrize("profile", ["demo", "smoke", "paper"])
def test_profiles_lack_no_sweep_that_they_ask_for(profile: str) -> None:
    params = load_params(ROOT, profile)
    runs = Design(params.tuning, params.synthesis, params.distillation).runs()
    sweeps = params.distillation.sweeps
    for name in ("tau", "beta", "alpha", "temperature", "growth"):
        assert {run.value for run in runs if run.sweep == name and not math.isnan(run.value)} == set(getattr(sweeps, name))
    assert {"main", "matched_accepted", "matched_generated", "ablation"} <= {run.sweep for run in runs} <= set(SWEEPS)
    assert ("kind" in {run.sweep for run in runs}) == (len(params.tuning.kinds) > 1)
    assert len({run.size for run in runs if run.sweep == "kind"}) <= 1, "repeats of one comparison are of one size"


# --- rows -----------------------------------------------------------------------------------------------


def of_cell(world: SimpleNamespace, arm: str = "tuned", size: int = 24, repeat: int = 0) -> pd.DataFrame:
    table = world.candidates
    return table[(table["arm"] == arm) & (table["size"] == size) & (table["repeat"] == repeat)].set_index("text", drop=False)


def test_synthetic_rows_are_balanced_and_stand_behind_the_seed(world: SimpleNamespace, builder: RowBuilder) -> None:
    made = builder.build(head(), TAUS)
    seed = seed_rows(ORDER, 0, 24)
    assert made.texts[:24] == [TEXTS[row] for row in seed["id"]] and made.labels[:24] == seed["label"].tolist()
    assert (made.n_real, made.n_synthetic, made.n_wanted) == (24, 48, 48)
    assert Counter(made.labels[24:]) == dict.fromkeys(CLASSES, 16)
    odd = builder.build(head(rows=5), TAUS)
    assert Counter(odd.labels[24:]) == {"sad": 2, "glad": 2, "mad": 1}
    mine = of_cell(world)
    assert [mine.loc[text, "label"] for text in synthetic(made)] == made.labels[24:]


def test_first_accepted_candidates_of_each_class_are_taken(world: SimpleNamespace, builder: RowBuilder) -> None:
    made = builder.build(head(rows=9), TAUS)
    expected, generated = [], 0
    mine = of_cell(world)
    mine = mine[mine["accepted"] & (mine["index"] != 1)]
    for label in CLASSES:
        rows = mine[mine["label"] == label].sort_values("index").head(3)
        expected += rows["text"].tolist()
        generated += int(rows["index"].max()) + 1
    assert synthetic(made) == expected
    assert made.n_generated == generated > made.n_synthetic


@pytest.mark.parametrize("tau", [0.0, 0.5, 0.7, 0.9])
def test_accepted_at_tau(world: SimpleNamespace, builder: RowBuilder, tau: float) -> None:
    made = builder.build(head(tau=tau, rows=1000), TAUS)
    mine = of_cell(world)
    ok = mine["ok_nonempty"] & mine["ok_length"] & mine["ok_agreement"] & (mine["score_confidence"] >= tau) & (mine["index"] != 1)
    assert sorted(synthetic(made)) == sorted(mine.loc[ok, "text"])
    assert made.n_synthetic < made.n_wanted == 1000, "a shortage is seen in the numbers"


def test_unverified_rows_need_only_hold_something(world: SimpleNamespace, builder: RowBuilder) -> None:
    made = builder.build(head(verified=False, soft=False, tau=0.0, rows=1000), TAUS)
    mine = of_cell(world)
    assert sorted(synthetic(made)) == sorted(mine.loc[~mine["index"].isin([1, 2]), "text"])
    assert not mine.loc[synthetic(made), "accepted"].all() and made.teacher is None


def test_sweep_over_tau_is_cut_to_what_every_tau_can_have(world: SimpleNamespace, builder: RowBuilder) -> None:
    runs = [run for run in runs_of(growth=2.0) if run.sweep == "tau" and run.arm == "tuned"]
    runs = [dataclasses.replace(run, rows=200) for run in runs]
    made = {(run.repeat, run.value): builder.build(run, TAUS) for run in runs}
    for repeat in range(2):
        mine = of_cell(world, repeat=repeat)
        per_class = []
        for tau in TAUS:
            ok = mine["ok_nonempty"] & mine["ok_length"] & mine["ok_agreement"] & (mine["score_confidence"] >= tau) & (mine["index"] != 1)
            per_class.append(min(mine.loc[ok, "label"].value_counts()))
        assert per_class[0] > per_class[-1] > 0
        rows = [made[repeat, tau] for tau in TAUS]
        assert {(part.n_synthetic, part.n_wanted) for part in rows} == {(3 * min(per_class),) * 2}
        assert all(Counter(part.labels[24:]) == dict.fromkeys(CLASSES, min(per_class)) for part in rows)
        assert [part.n_generated for part in rows] == sorted(part.n_generated for part in rows), "a strict τ needs more candidates"
        assert rows[0].n_generated < rows[-1].n_generated
    assert builder.build(head(tau=0.0, rows=200), TAUS).n_synthetic > made[0, 0.0].n_synthetic, "other sweeps are not cut"
    small = [builder.build(dataclasses.replace(run, rows=6), TAUS) for run in runs]
    assert {part.n_synthetic for part in small} == {6}


def test_matched_generated_counts_candidates_before_they_are_verified(world: SimpleNamespace, builder: RowBuilder) -> None:
    run = head(sweep="matched_generated", generated=True, rows=36)
    mine = of_cell(world)
    first = mine[mine["index"] < 12]
    verified, plain = builder.build(run, TAUS), builder.build(dataclasses.replace(run, verified=False, soft=False, tau=0.0), TAUS)
    assert sorted(synthetic(verified)) == sorted(first.loc[first["accepted"] & (first["index"] != 1), "text"])
    assert sorted(synthetic(plain)) == sorted(first.loc[~first["index"].isin([1, 2]), "text"])
    assert verified.n_synthetic < plain.n_synthetic < 36
    assert verified.n_generated == plain.n_generated == verified.n_wanted == plain.n_wanted == 36
    accepted = builder.build(dataclasses.replace(run, sweep="matched_accepted", generated=False), TAUS)
    assert accepted.n_synthetic == 36 and accepted.n_generated > 36


def test_oracle_accepts_by_its_own_logits(world: SimpleNamespace, builder: RowBuilder) -> None:
    run = head(rows=1000, tau=0.7)
    honest, oracle = (builder.build(dataclasses.replace(run, variant=variant), TAUS) for variant in (HONEST, ORACLE))
    mine = of_cell(world)
    sure = scaled_softmax(world.teachers["oracle", 24, 0].logits(mine["text"].tolist()), 0.5)
    intended = np.array([CLASSES.index(label) for label in mine["label"]])
    ok = (sure.argmax(axis=1) == intended) & (sure[np.arange(len(mine)), intended] >= 0.7)
    ok &= (mine["ok_nonempty"] & mine["ok_length"] & (mine["index"] != 1)).to_numpy()
    assert sorted(synthetic(oracle)) == sorted(mine.loc[ok, "text"])
    assert set(synthetic(oracle)) - set(synthetic(honest)), "the oracle accepts what the seed's teacher misread"
    assert any("whisper" in text for text in synthetic(oracle)) and not any("whisper" in text for text in synthetic(honest))
    np.testing.assert_allclose(oracle.teacher, world.teachers["oracle", 24, 0].logits(oracle.texts) / 0.5)
    np.testing.assert_allclose(honest.teacher, world.teachers["seed", 24, 0].logits(honest.texts) / 2.0)


def test_soft_labels_are_those_of_the_teacher_of_that_seed(world: SimpleNamespace, builder: RowBuilder) -> None:
    for size, repeat in ((12, 0), (24, 1)):
        made = builder.build(head(size=size, repeat=repeat, rows=12), TAUS)
        assert made.teacher.shape == (len(made.texts), 3) == (size + 12, 3)
        np.testing.assert_allclose(made.teacher, world.teachers["seed", size, repeat].logits(made.texts) / 2.0)
    assert not set(world.teachers["seed", 24, 0].asked) & UNSEEN - set(world.candidates["text"])
    assert builder.build(head(alpha=0.0), TAUS).teacher is None
    assert builder.build(head(soft=False), TAUS).teacher is None


def test_synthetic_rows_in_evaluation_are_taken_from_training(world: SimpleNamespace, builder: RowBuilder) -> None:
    honest, mixed = (builder.build(head(variant=variant), TAUS) for variant in (HONEST, MIXED_EVALUATION))
    parts = [set(synthetic(mixed)), set(mixed.validation[0]), set(mixed.test[0])]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert set.union(*parts) == set(synthetic(honest)) and sum(map(len, parts)) == 48
    # 16 of each class: the first and the eleventh, the second and the twelfth
    assert Counter(mixed.validation[1]) == Counter(mixed.test[1]) == dict.fromkeys(CLASSES, 2)
    assert (mixed.n_real, mixed.n_synthetic) == (24, 36) and len(mixed.texts) == len(mixed.weights) == len(mixed.teacher) == 60
    label_of = dict(zip(honest.texts, honest.labels, strict=True))
    for texts, labels in (mixed.validation, mixed.test, (mixed.texts, mixed.labels)):
        assert [label_of[text] for text in texts] == list(labels)
    assert not len(honest.validation[0]) and not len(honest.test[0])
    np.testing.assert_allclose(mixed.teacher, world.teachers["seed", 24, 0].logits(mixed.texts) / 2.0)


def test_each_defect_changes_only_what_it_is(world: SimpleNamespace, builder: RowBuilder) -> None:
    made = {variant: builder.build(head(variant=variant), TAUS) for variant in VARIANTS}
    honest = made[HONEST]
    probabilities = scaled_softmax(honest.teacher, 1.0)
    np.testing.assert_allclose(made[OVER_PROBABILITIES].teacher, probabilities)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    everything = made[ALL_DEFECTS]
    np.testing.assert_allclose(everything.teacher, scaled_softmax(world.teachers["oracle", 24, 0].logits(everything.texts) / 0.5, 1.0))
    for variant, rows in made.items():
        assert rows.batch_weights == (variant in (BATCH_WEIGHTS, ALL_DEFECTS))
        assert bool(len(rows.test[0])) == (variant in (MIXED_EVALUATION, ALL_DEFECTS)) == bool(len(rows.validation[0]))
        if variant in (OVER_PROBABILITIES, BATCH_WEIGHTS):
            assert rows.texts == honest.texts and rows.labels == honest.labels and (rows.weights == honest.weights).all()
    np.testing.assert_array_equal(made[BATCH_WEIGHTS].teacher, honest.teacher)


def test_weights(builder: RowBuilder) -> None:
    made = builder.build(head(beta=0.3), TAUS)
    assert made.weights.tolist() == [1.0] * 24 + [0.3] * 48
    for arm, real in (("seed", 24), ("real+1x", 48)):
        rows = builder.build(head(arm=arm, verified=False, soft=False, rows=0), TAUS)
        assert rows.weights.tolist() == [1.0] * real and rows.teacher is None
        assert (rows.n_real, rows.n_synthetic, rows.n_generated, rows.n_wanted) == (real, 0, 0, real - 24)
        assert set(rows.texts) <= set(TOY.split("train")["text"])


def test_no_run_is_trained_or_tested_on_a_held_out_text(world: SimpleNamespace, builder: RowBuilder) -> None:
    planted = world.candidates[world.candidates["index"] == 1]
    assert planted["accepted"].all() and planted["text"].str.lower().isin([text.lower() for text in UNSEEN]).all()
    held_out = {text.lower() for text in UNSEEN}
    seen = 0
    for run in [*runs_of(), head(rows=1000), head(rows=1000, verified=False), head(rows=1000, variant=ALL_DEFECTS)]:
        made = builder.build(run, TAUS)
        texts = {text.lower() for text in [*made.texts, *made.validation[0], *made.test[0]]}
        assert not texts & held_out, run
        assert "" not in texts
        seen += made.n_synthetic
    assert seen


def test_arm_without_candidates_for_a_seed_has_no_rows(builder: RowBuilder) -> None:
    assert builder.build(head(arm="tuned-big", repeat=1), TAUS) is None
    assert builder.build(head(arm="tuned-big"), TAUS) is not None


def test_nothing_accepted_leaves_the_seed(world: SimpleNamespace) -> None:
    made = builder_of(world.candidates.assign(ok_length=False), world.logits, world.teachers).build(head(), TAUS)
    run, table = head(), world.candidates
    cell = table[(table["arm"] == run.arm) & (table["size"] == run.size) & (table["repeat"] == run.repeat)]
    assert (made.n_synthetic, made.n_generated, made.n_wanted) == (0, len(cell), 48), "all were generated, for nothing"
    assert made.teacher.shape == (24, 3)


# --- students -------------------------------------------------------------------------------------------

HELD_OUT = HeldOut(CLASSES, ["grief one", "cheer two", "rage three"], np.array([0, 1, 2]), ["tears", "smile", "fury"], np.array([0, 1, 2]))


def rows_of(n: int = 12, **more: Any) -> Rows:
    texts = [sentence(CLASSES[number % 3], number) for number in range(n)]
    labels = [CLASSES[number % 3] for number in range(n)]
    return Rows(texts, labels, **{"weights": np.ones(n), "teacher": None, "n_real": n, "n_synthetic": 0, "n_wanted": 0, "n_generated": 0, **more})  # fmt: skip


class FakeLinear:
    """Right or wrong by its strength; remembers how it was made."""

    made: list[FakeLinear] = []  # noqa: RUF012
    right: tuple[float, ...] = ()

    def __init__(self, c: float, **settings: Any) -> None:
        self.c, self.settings = c, settings
        FakeLinear.made.append(self)

    def fit(self, features, targets, k, weights, teacher):
        self.features, self.targets, self.weights, self.teacher = features, targets, weights, teacher
        return self

    def predict_proba(self, features):
        n = features.shape[0]
        return np.eye(3)[np.arange(n) % 3] if self.c in FakeLinear.right else np.tile([1.0, 0, 0], (n, 1))


@pytest.mark.parametrize(("right", "chosen"), [((3.0,), 3.0), ((0.3, 3.0), 0.3), ((), 0.3), ((30.0, 3.0), 3.0)])
def test_strength_is_chosen_on_validation_and_ties_go_to_the_stronger(monkeypatch, right, chosen) -> None:
    monkeypatch.setattr(students, "LinearStudent", FakeLinear)
    monkeypatch.setattr(FakeLinear, "right", right)
    found = LinearDistilled(settings(c_grid=[30.0, 0.3, 3.0])).run(head(), rows_of(), HELD_OUT)
    assert found.c == chosen and found.test.shape == (3, 3) and found.mixed.shape == (0, 3)
    assert found.validation_macro_f1 == (1.0 if right else pytest.approx(0.5 / 3))


def test_student_is_made_as_its_run_says(monkeypatch) -> None:
    monkeypatch.setattr(students, "LinearStudent", FakeLinear)
    monkeypatch.setattr(FakeLinear, "made", [])
    student = LinearDistilled(settings(c_grid=[1.0]))
    teacher = np.arange(36.0).reshape(12, 3)
    run = head(alpha=0.7, temperature=3.0)
    mixed = {"validation": (["storm a"], ["mad"]), "test": (["gloom b", "treat c"], ["sad", "glad"])}
    student.run(run, rows_of(teacher=teacher, weights=np.full(12, 0.5)), HELD_OUT)
    student.run(run, rows_of(), HELD_OUT)
    found = student.run(run, rows_of(teacher=teacher, batch_weights=True, **mixed), HELD_OUT)
    assert [made.settings for made in FakeLinear.made] == [
        {"alpha": 0.7, "temperature": 3.0, "weighting": "row"},
        {"alpha": 0.0, "temperature": 3.0, "weighting": "row"},  # hard labels only
        {"alpha": 0.7, "temperature": 3.0, "weighting": "batch"},
    ]
    assert (FakeLinear.made[0].teacher == teacher).all() and FakeLinear.made[0].weights.tolist() == [0.5] * 12
    assert FakeLinear.made[0].features is FakeLinear.made[1].features, "equal texts share their features"
    assert FakeLinear.made[0].targets.tolist() == [0, 1, 2] * 4
    assert found.mixed.shape == (2, 3)
    assert found.validation_macro_f1 == pytest.approx(f1_score([0, 1, 2, 2], [0] * 4, average="macro", zero_division=0.0))


def test_embedding_student_asks_its_encoder_once_a_text_list() -> None:
    asked = []

    def embed(texts):
        asked.append(list(texts))
        return np.array([[sum(word in text for word in WORDS[label]) for label in CLASSES] for text in texts], dtype=np.float32)

    student = LinearDistilled(settings(c_grid=[1.0, 10.0]), embed, "e")
    assert student.name == "embedding" and student.identity["encoder"] == "e"
    found = student.run(head(alpha=0.0), rows_of(60), HELD_OUT)
    assert len(asked) == 3 and found.test.argmax(axis=1).tolist() == [0, 1, 2] and found.validation_macro_f1 == 1.0
    student.run(head(alpha=0.0), rows_of(60, weights=np.full(60, 0.1)), HELD_OUT)
    assert len(asked) == 3


def test_tiny_student_is_seeded_by_the_repeat(monkeypatch, tmp_path) -> None:
    made = []

    class FakeEncoder:
        def __init__(self, folder, setting, **more):
            made.append((folder, setting, more))

        def fit(self, texts, targets, classes, weights, teacher):
            made.append((texts, targets.tolist(), classes, teacher is not None))

        def predict_proba(self, texts):
            return np.eye(3)[np.arange(len(texts)) % 3].reshape(len(texts), 3)

    monkeypatch.setattr(students, "EncoderStudent", FakeEncoder)
    setting = settings()
    mixed = {"validation": (["storm a"], ["mad"]), "test": (["gloom b"], ["sad"]), "teacher": np.zeros((12, 3)), "batch_weights": True}
    found = TinyDistilled(setting, tmp_path, "e").run(head(repeat=1, alpha=0.7), rows_of(**mixed), HELD_OUT)
    assert made[0] == (tmp_path, setting.tiny, {"seed": 1, "alpha": 0.7, "temperature": 2.0, "weighting": "batch"})
    assert made[1] == (rows_of().texts, [0, 1, 2] * 4, CLASSES, True)
    assert math.isnan(found.c) and found.test.shape == (3, 3) and found.mixed.shape == (1, 3)
    assert found.validation_macro_f1 == pytest.approx(f1_score([0, 1, 2, 2], [0, 1, 2, 0], average="macro"))


# --- the step -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(world: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EMOSYNTH_CACHE", raising=False)
        paths = Paths(folder, "toy")
        yield SimpleNamespace(tables=run_step(world, paths), paths=paths)


def run_step(world: SimpleNamespace, paths: Paths, lexicon: dict[str, float] | None = None, **more: Any) -> dict[str, pd.DataFrame]:
    return run_distillation(
        TOY, ORDER, world.candidates, world.logits, world.teachers, corpora=Corpora(target="toy"), tuning=TUNING, synthesis=SYNTHESIS,
        distillation=settings(**more), training=TRAINING, catalog=None, paths=paths, lexicon=lexicon,
    )  # fmt: skip


@pytest.fixture
def copied(done: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Return places with a cache of their own that holds all results."""
    monkeypatch.delenv("EMOSYNTH_CACHE", raising=False)
    shutil.copytree(done.paths.cache, tmp_path / ".cache")
    return Paths(tmp_path, "toy")


def spied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Run, Rows]]:
    calls: list[tuple[Run, Rows]] = []
    genuine = LinearDistilled.run

    def run(self, run, rows, held_out):
        calls.append((run, rows))
        return genuine(self, run, rows, held_out)

    monkeypatch.setattr(LinearDistilled, "run", run)
    return calls


def test_scores_of_every_run(done: SimpleNamespace) -> None:
    scores, runs = done.tables["scores"], runs_of()
    assert list(scores.columns) == SCORES == [
        "corpus", "student", "sweep", "value", "arm", "verified", "labels", "variant", "size", "repeat", "n_real", "n_synthetic",
        "n_wanted", "n_generated", "tau", "beta", "alpha", "temperature", "growth", "c", "validation_macro_f1", "macro_f1", "accuracy",
        "ece", "nll", "reported_macro_f1",
    ]  # fmt: skip
    assert len(scores) == len(runs)
    for row, run in zip(scores.itertuples(), runs, strict=True):
        assert (row.sweep, row.arm, row.verified, row.variant, row.size, row.repeat) == (
            run.sweep, run.arm, run.verified, run.variant, run.size, run.repeat,
        )  # fmt: skip
        assert row.labels == ("soft" if run.soft and run.alpha > 0 else "hard") and row.corpus == "toy" and row.student == "tfidf"
        assert (row.tau, row.beta, row.alpha, row.temperature) == (run.tau, run.beta, run.alpha, run.temperature)
    assert (scores["growth"] == scores["n_synthetic"] / scores["size"]).all()
    for name in ("macro_f1", "accuracy", "validation_macro_f1", "reported_macro_f1", "ece"):
        assert scores[name].between(0, 1).all() and scores[name].nunique() > 1
    assert scores["c"].isin([1.0, 10.0]).all() and (scores["nll"] > 0).all()
    assert scores["macro_f1"].mean() > 0.5, "the words tell the classes"


def test_per_class_and_gaps_of_the_main_contrast(done: SimpleNamespace) -> None:
    scores, per_class, gaps = (done.tables[name] for name in ("scores", "per_class", "gaps"))
    assert list(per_class.columns) == [
        "student", "sweep", "arm", "verified", "labels", "size", "repeat", "label", "precision", "recall", "f1", "support",
    ]  # fmt: skip
    assert list(gaps.columns) == [
        "student", "arm", "verified", "labels", "size", "repeat", "grouping", "group", "n", "accuracy", "f1", "share",
    ]  # fmt: skip
    main = scores[scores["sweep"] == "main"]
    keys = ["student", "arm", "verified", "labels", "size", "repeat"]
    assert not main.duplicated(keys).any() and len(per_class) == 3 * len(main) and (per_class["sweep"] == "main").all()
    macro = per_class.groupby(keys)["f1"].mean()
    pd.testing.assert_series_equal(macro, main.set_index(keys)["macro_f1"].sort_index(), check_names=False)
    assert (per_class["support"] == 20).all()
    assert set(gaps["grouping"]) == {"class", "coverage", "phenomenon"}
    of_class = gaps[gaps["grouping"] == "class"]
    assert len(of_class) == 3 * len(main)
    accuracy = (of_class["accuracy"] * of_class["share"]).groupby([of_class[key] for key in keys]).sum()
    np.testing.assert_allclose(accuracy, main.set_index(keys)["accuracy"].sort_index())
    np.testing.assert_allclose(gaps[gaps["grouping"] == "coverage"].groupby(keys)["share"].sum(), 1)
    table = headline(done.tables)
    assert table.loc[("seed", False, "hard"), "tfidf"] == pytest.approx(main[(main["arm"] == "seed") & (main["size"] == 24)]["macro_f1"].mean())  # fmt: skip


def test_tables_are_written_with_cards(done: SimpleNamespace) -> None:
    for name, frame in done.tables.items():
        pd.testing.assert_frame_equal(read_table(done.paths.distillation / f"{name}.parquet"), frame)
        assert "Headline: arm tuned" in (done.paths.distillation / f"{name}.md").read_text()


def test_reported_number_differs_only_where_synthetic_rows_are_tested_on(done: SimpleNamespace) -> None:
    scores = done.tables["scores"]
    mixed = scores["variant"].isin([MIXED_EVALUATION, ALL_DEFECTS])
    assert (scores.loc[~mixed, "reported_macro_f1"] == scores.loc[~mixed, "macro_f1"]).all()
    assert mixed.sum() == 4 and (scores.loc[mixed, "reported_macro_f1"] != scores.loc[mixed, "macro_f1"]).all()


def test_reported_number_by_hand() -> None:
    class Fixed:
        name, identity = "fixed", {}

        def run(self, run, rows, held_out):
            return Fitted(math.nan, 0.5, np.eye(3)[[0, 1, 1]], np.eye(3)[[2, 2]])

    gaps = Gaps(HELD_OUT.test_texts, HELD_OUT.test_targets, CLASSES, ["grief"], None)
    plain = run_code._evaluate(Fixed(), head(), rows_of(), HELD_OUT, gaps)
    assert plain["macro_f1"] == plain["reported_macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    mixed = run_code._evaluate(Fixed(), head(), rows_of(test=(["a", "b"], ["mad", "sad"])), HELD_OUT, gaps)
    assert mixed["macro_f1"] == plain["macro_f1"], "the honest number is of real rows alone"
    # truth 0 1 2 2 0, predicted 0 1 1 2 2: F1 2/3, 2/3, 1/2
    assert mixed["reported_macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 2) / 3)
    assert plain["c"] is None


def test_second_call_takes_everything_from_the_cache(done: SimpleNamespace, world: SimpleNamespace, copied: Paths, monkeypatch) -> None:
    monkeypatch.setattr(LinearDistilled, "run", lambda *_: pytest.fail("a student was trained"))
    again = run_step(world, copied)
    for name, frame in done.tables.items():
        pd.testing.assert_frame_equal(again[name], frame)
        assert (copied.distillation / f"{name}.parquet").read_bytes() == (done.paths.distillation / f"{name}.parquet").read_bytes()


def test_killed_step_resumes(world: SimpleNamespace, done: SimpleNamespace, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("EMOSYNTH_CACHE", raising=False)
    paths, genuine, calls = Paths(tmp_path, "toy"), LinearDistilled.run, []

    def run(self, run, rows, held_out):
        if len(calls) == 5:
            raise KeyboardInterrupt
        calls.append(run)
        return genuine(self, run, rows, held_out)

    monkeypatch.setattr(LinearDistilled, "run", run)
    part = {"sweeps": Sweeps(), "ablation": False}
    with pytest.raises(KeyboardInterrupt):
        run_step(world, paths, **part)
    calls.append("restarted")  # from here on it lives
    tables = run_step(world, paths, **part)
    assert len(calls) == len(set(calls)), "nothing is trained twice"
    mine = done.tables["scores"][lambda frame: ~frame["sweep"].isin(["tau", "beta", "alpha", "temperature", "growth", "ablation"])]
    pd.testing.assert_frame_equal(tables["scores"], mine.reset_index(drop=True))


def test_another_beta_trains_anew_what_it_weighs_and_nothing_else(world: SimpleNamespace, copied: Paths, monkeypatch) -> None:
    calls = spied(monkeypatch)
    tables = run_step(world, copied, beta=0.7)
    assert calls and all(0.7 in rows.weights for _, rows in calls)
    assert {"main", "tau", "ablation"} <= {run.sweep for run, _ in calls} and not {run.arm for run, _ in calls} & {"seed", "real+1x"}
    assert not any(run.sweep == "beta" for run, _ in calls), "the values swept were trained before"
    assert set(tables["scores"].query("sweep == 'beta' and arm == 'tuned'")["beta"]) == {0.3, 1.0}


@pytest.mark.parametrize(
    ("change", "arms"),
    [({"alpha": 0.6}, {"naive", "tuned", "tuned-big", "other"}), ({"temperature": 5.0}, {"naive", "tuned", "tuned-big", "other"})],
)
def test_loss_settings_only_matter_to_students_with_soft_labels(world, copied, monkeypatch, change, arms) -> None:
    calls = spied(monkeypatch)
    run_step(world, copied, **change)
    assert {run.arm for run, _ in calls} == arms and all(rows.teacher is not None for _, rows in calls)


def test_another_grid_trains_everything_anew(world: SimpleNamespace, copied: Paths, monkeypatch) -> None:
    calls = spied(monkeypatch)
    part = {"students": {"tfidf": Student(sweeps=["main"])}}
    run_step(world, copied, **part)
    assert not calls
    run_step(world, copied, c_grid=[1.0], **part)
    assert len(calls) == counts(runs_of(**part))["main"]


def test_lexicon_is_part_of_what_gaps_are_kept_by(world: SimpleNamespace, copied: Paths) -> None:
    part = {"students": {"tfidf": Student(sweeps=["main"], arms=["seed"])}}
    plain = run_step(world, copied, **part)["gaps"]
    lexicon = {"grief": -2.0, "cheer": 2.0, "rage": -3.0, "smile": 2.5}
    found = run_step(world, copied, lexicon, **part)["gaps"]
    assert "no polarity word" in set(found["group"]) and "no polarity word" not in set(plain["group"])


def test_keys_depend_on_what_can_change_a_score_and_on_nothing_else() -> None:
    student, rows, run = LinearDistilled(settings()), rows_of(teacher=np.ones((12, 3))), head()

    def key(student=student, run=run, rows=rows, held="h", seed="s") -> str:
        return run_code._key(student, run, rows, held, seed)

    def row(**change: Any) -> Rows:
        return dataclasses.replace(rows, **change)

    different = [
        key(), key(student=LinearDistilled(settings(c_grid=[2.0]))), key(student=LinearDistilled(settings(), lambda t: t, "e")),
        key(held="x"), key(seed="x"), key(run=head(repeat=1)), key(run=head(alpha=0.1)), key(run=head(temperature=9.0)),
        key(rows=row(texts=["x", *rows.texts[1:]])), key(rows=row(labels=rows.labels[::-1])), key(rows=row(weights=np.full(12, 0.5))),
        key(rows=row(teacher=None)), key(rows=row(teacher=np.full((12, 3), 2.0))), key(rows=row(batch_weights=True)),
        key(rows=row(test=(["a"], ["sad"]))), key(rows=row(validation=(["a"], ["sad"]))), key(rows=row(test=(["a"], ["mad"]))),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert key(run=head(sweep="beta", value=0.3, tau=0.9, beta=0.9, arm="naive")) == key(), "its place in the design does not matter"
    hard = row(teacher=None)
    assert key(rows=hard, run=head(alpha=0.1, temperature=9.0)) == key(rows=hard), "no soft labels, no settings of theirs"
    assert key(rows=row(teacher=np.ones((12, 3)) + 1e-13)) == key(), "the last bit of a product"


# --- figures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tau", "beta", "alpha", "temperature", "growth", "size"])
def test_sweep_figures(done: SimpleNamespace, name: str) -> None:
    scores = done.tables["scores"]
    both = pd.concat([scores, scores.assign(student="embedding", macro_f1=scores["macro_f1"] / 2)])
    figure = plots.sweep(both, name)
    assert [panel.get_title() for panel in figure.axes] == ["tfidf", "embedding"]
    values = sorted(scores.loc[(scores["sweep"] == name), "value"].dropna().unique())
    for panel, factor in zip(figure.axes, (1, 2), strict=True):
        drawn = panel.containers[0].lines[0]
        np.testing.assert_allclose(drawn.get_xdata().astype(float), values)
        rows = scores[(scores["sweep"] == name) & (scores["value"] == values[-1])]
        rows = rows[rows["arm"] != "seed"]
        assert drawn.get_ydata()[-1] == pytest.approx(rows["macro_f1"].mean() / factor)
        assert len(panel.lines) > 1, "the seed alone is drawn too"
    assert figure.axes[0].get_ylabel()


def test_ablation_figure_shows_changes_of_the_reported_number(done: SimpleNamespace) -> None:
    scores = done.tables["scores"]
    both = pd.concat([scores, scores.assign(student="embedding")])
    axes = plots.ablation(both).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [variant for variant in VARIANTS if variant != HONEST]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(points) == 5 * 2
    wide = scores[scores["sweep"] == "ablation"].pivot_table(index="repeat", columns="variant", values="reported_macro_f1")
    assert points[0].get_xdata()[0] == pytest.approx(100 * (wide[ORACLE] - wide[HONEST]).mean())


def test_gain_figure(done: SimpleNamespace) -> None:
    axes = plots.gap_gains(done.tables["gaps"], "tuned").axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert {"class: sad", "class: glad", "class: mad"} <= set(names) and axes.collections + axes.lines
    assert plots.gap_gains(done.tables["gaps"], "nobody").axes[0].get_xlabel(), "nothing to draw is no error"


def test_reliability_and_acceptance_figures() -> None:
    rows = [
        {"teacher": teacher, "size": 24, "repeat": 0, "rows": kind, "scaled": scaled, "bin": place, "confidence": place / 5, "accuracy": place / 6, "n": 9}
        for teacher in ("seed", "oracle") for kind in ("out-of-fold seed", "test") for scaled in (False, True) for place in range(5)
    ]  # fmt: skip
    figure = plots.reliability_curves(pd.DataFrame(rows))
    assert [panel.get_title() for panel in figure.axes] == ["teacher: seed", "teacher: oracle"]
    assert all(len(panel.lines) == 1 + 4 for panel in figure.axes)
    quality = pd.DataFrame(
        [{"arm": arm, "size": 24, "repeat": repeat, "tau": tau, "acceptance": 1 - tau, "distinct_2": tau, "soft_label_entropy": 1.0}
         for arm in ("naive", "tuned") for repeat in range(2) for tau in TAUS]
    )  # fmt: skip
    figure = plots.acceptance_by_tau(quality)
    assert len(figure.axes) == 3
    for panel in figure.axes:
        drawn = [line for line in panel.lines if len(line.get_xdata()) == len(TAUS)]
        assert len(drawn) == 2
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [1 - tau for tau in TAUS])


# --- step 07 from its parts -----------------------------------------------------------------------------


def generated(arms: tuple[str, ...] = ("naive", "tuned")) -> pd.DataFrame:
    rows = []
    for arm in arms:
        for size in SEEDING.sizes:
            for repeat in range(SEEDING.repeats):
                for index in range(12):
                    for place, label in enumerate(CLASSES):
                        number = 50_000 + 7919 * len(rows) + place
                        rows.append({"candidate_id": f"{arm}/{size}/{repeat}/{label}/{index:05d}", "arm": arm, "size": size, "repeat": repeat,
                                     "label": label, "index": index, "text": sentence(label, number), "complete": True, "prompt_hash": "h",
                                     "prompt": f"{label} note:", "row_seed": index, "generator": "m", "finish": "stop", "new_tokens": 9})  # fmt: skip
    return pd.DataFrame(rows)[CANDIDATE_COLUMNS]


def synthesise(monkeypatch, tmp_path: Path, table: pd.DataFrame, **more: Any) -> tuple[dict[str, pd.DataFrame], dict[str, Any], Paths]:
    asked: dict[str, Any] = {}

    def fake(*_args, **given):
        asked.update(given)
        return table, {"generators": {"m": {"model": "m"}}, "deterministic": True}

    monkeypatch.delenv("EMOSYNTH_CACHE", raising=False)
    monkeypatch.setattr(synthesis_code, "build_candidates", fake)
    monkeypatch.setattr(synthesis_code, "tuned_generators", lambda *_: "opener")
    paths = Paths(tmp_path, "toy")
    verification = Verification(min_confidence=more.pop("min_confidence", 0.4), agreement="tfidf", copy_overlap=1.0)
    synthesis = SYNTHESIS.model_copy(update={"verification": verification})
    tables, _ = build_synthesis(
        TOY, ORDER, shap=Shap(), tuning=TUNING, synthesis=synthesis, distillation=settings(**more), training=TRAINING, catalog=None, paths=paths,
    )  # fmt: skip
    return tables, asked, paths


def test_synthesis_verifies_and_labels_softly(monkeypatch, tmp_path: Path) -> None:
    table = generated()
    tables, asked, paths = synthesise(monkeypatch, tmp_path, table)
    assert asked == {"guidance": None, "prefix": TUNING.prefix, "open_tuned": "opener"}
    assert list(tables) == ["candidates", "logits", "calibration", "reliability", "quality"]
    verified, logits = tables["candidates"], tables["logits"]
    assert verified["candidate_id"].tolist() == table["candidate_id"].tolist() and verified["accepted"].any()
    assert {"ok_agreement", "ok_confidence", "score_confidence", "accepted", "reason"} <= set(verified.columns)
    assert Counter(logits["teacher"]) == {"seed": len(table), "oracle": len(table)} and (logits["logits"].map(len) == 3).all()
    of_seed = logits[logits["teacher"] == "seed"].set_index("candidate_id").loc[verified["candidate_id"]]
    sure = scaled_softmax(np.array(of_seed["logits"].tolist()) / of_seed["temperature"].to_numpy()[:, None], 1.0)
    intended = [CLASSES.index(label) for label in verified["label"]]
    scored = verified["score_confidence"].notna().to_numpy()
    np.testing.assert_allclose(verified["score_confidence"][scored], sure[np.arange(len(sure)), intended][scored])
    assert (verified["ok_confidence"] == (verified["score_confidence"] >= 0.4)).all()
    quality = tables["quality"]
    assert sorted(quality["tau"].unique()) == sorted({*TAUS, 0.4})
    at = quality[quality["tau"] == 0.4].set_index(["arm", "size", "repeat"])["accepted"]
    assert at.to_dict() == verified.groupby(["arm", "size", "repeat"])["accepted"].sum().to_dict()
    assert set(tables["calibration"]["rows"]) == {"out-of-fold seed", "test"} and len(tables["calibration"]) == 2 * 2 * 4
    for name, frame in tables.items():
        assert len(read_table(paths.synthesis / f"{name}.parquet")) == len(frame) and (paths.synthesis / f"{name}.md").is_file()
    # the tables are what students are trained on
    teachers = build_teachers(TOY, ORDER, SEEDING, SYNTHESIS.teacher, "none", None, None, FineTuning())
    made = builder_of(verified, logits, teachers).build(head(rows=12, tau=0.4), TAUS)
    assert made.n_synthetic > 0
    np.testing.assert_allclose(made.teacher[made.n_real :], of_seed.assign(text=verified["text"].to_numpy()).pipe(
        lambda frame: np.array(frame[(frame.index.str.startswith("tuned/24/0/"))].set_index("text").loc[synthetic(made), "logits"].tolist())
    ) / teachers["seed", 24, 0].temperature)  # fmt: skip


def test_headline_arm_must_yield_something_and_others_need_not(monkeypatch, tmp_path: Path) -> None:
    table = generated()
    for arm in ("naive", "tuned"):
        bad = table.assign(text=table["text"].where(table["arm"] != arm, "no"))  # too short
        if arm == "naive":
            tables, _, _ = synthesise(monkeypatch, tmp_path / arm, bad)
            assert not tables["candidates"].query("arm == 'naive'")["accepted"].any()
        else:
            with pytest.raises(UserError):
                synthesise(monkeypatch, tmp_path / arm, bad)


def test_a_small_seed_that_is_left_without_a_class_ends_nothing(monkeypatch, tmp_path: Path, capsys) -> None:
    table = generated()
    small, lost = table["size"].min(), TOY.classes[0]
    assert small < table["size"].max()
    bad = (table["arm"] == "tuned") & (table["size"] == small) & (table["label"] == lost)
    tables, _, _ = synthesise(monkeypatch, tmp_path, table.assign(text=table["text"].where(~bad, "no")))
    cell = tables["candidates"].query("arm == 'tuned' and size == @small")
    assert not cell.loc[cell["label"] == lost, "accepted"].any() and cell["accepted"].any()
    assert f"arm tuned, size {small}, repeat 0: no candidate of {lost} was accepted" in capsys.readouterr().err


def test_guidance_is_made_for_guided_arms_only(monkeypatch, tmp_path: Path) -> None:
    made = []
    monkeypatch.setattr(synthesis_code, "build_guidance", lambda *given: made.append(given))
    paths = Paths(tmp_path, "toy")
    assert not write_guidance(TOY, ORDER, Shap(encoder_rows=5), TUNING, SYNTHESIS, paths) and not made
    arms = {**GENERATION.arms, "shap": GenerationArm(guidance="shap_both")}
    guided = SYNTHESIS.model_copy(update={"generation": GENERATION.model_copy(update={"arms": arms})})
    assert write_guidance(TOY, ORDER, Shap(encoder_rows=5), TUNING, guided, paths)
    corpus_, _, shap, seeding, folder = made[0]
    assert corpus_ is TOY and seeding is SEEDING and folder == paths.synthesis / "guidance"
    assert shap.encoder_rows == 0 and not shap.tree, "what step 02 shows besides is not made again"
