"""Plans, prompts and the row cache of step 03, with a model that writes by rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosynth.errors import UserError
from emosynth.generation.plan import plan_cell, quotas, stable_seed
from emosynth.generation.prompts import build_prompt, clean_completion, plural
from emosynth.generation.run import check_no_leak, generate, plan_all
from emosynth.models.lm import Completion
from emosynth.params import Decoding, Generation, GenerationArm, Generator
from emosynth.store import RowStore

CLASSES = ["sad", "glad"]
TEXTS = {f"r{i}": f"an invented text number {i} about the weather" for i in range(8)}
GUIDANCE = {
    "classes": {
        label: {
            "tokens": {"shap": [["rain", 0.4], ["grey", 0.2], ["sun", -0.1]], "tfidf": [], "both": []},
            "exemplars": [{"id": f"r{i}", "score": 1.0} for i in range(4)],
            "random": [f"r{i}" for i in range(4, 8)],
        }
        for label in CLASSES
    }
}


class RuleModel:
    """Writes the row seed; may be told to die after some calls."""

    deterministic = True

    def __init__(self, dies_at: int | None = None) -> None:
        self.identity = {"backend": "rule", "model": "m"}
        self.calls: list[int] = []
        self.dies_at = dies_at

    def generate(self, requests, decoding, *, progress=None):
        if self.dies_at is not None and len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(len(requests))
        return [Completion(f'text {r.row_seed} for {len(r.prompt)}" and more', "stop", 5, 6) for r in requests]

    def close(self) -> None:
        pass


def settings(**more) -> Generation:
    arms = {"naive": GenerationArm(guidance="none"), "shap": GenerationArm(guidance="shap_both", tokens=1, exemplars=2)}
    return Generation(generator=Generator(batch=7), arms=more.pop("arms", arms), oversample=2.0, prompts_per_class=2, **more)


def plan_of(generation: Generation, cells=((10, 0), (20, 0))):
    return plan_all(
        generation,
        cells,
        classes=CLASSES,
        phrases={c: c for c in CLASSES},
        noun="note",
        guidance=dict.fromkeys(cells, GUIDANCE),
        seed_texts=dict.fromkeys(cells, TEXTS),
    )


@given(st.integers(0, 500), st.integers(1, 9))
def test_quotas_sum_and_are_fair(total, k):
    shares = quotas(total, [f"c{i}" for i in range(k)])
    assert sum(shares.values()) == total
    assert max(shares.values()) - min(shares.values()) <= 1


def test_arms_differ_in_guidance_only():
    generation = settings()
    plain = build_prompt("list", "tweet", "joy")
    guided = build_prompt("list", "tweet", "joy", ["sun"], ['say "hi"\nthere'])
    assert plain == 'Real tweets by different people, all expressing joy:\n- "'
    assert guided.endswith('- "say \'hi\' there"\n- "') and "sun" in guided
    plan = plan_of(generation)
    naive = {p.request.row_seed for p in plan["naive"]}
    assert naive == {p.request.row_seed for p in plan["shap"]}, "arms share random numbers"


def test_naive_rows_are_shared_by_sizes():
    plan = plan_of(settings())["naive"]
    small = {(p.request.prompt, p.request.row_seed) for p in plan if p.size == 10}
    large = {(p.request.prompt, p.request.row_seed) for p in plan if p.size == 20}
    assert small < large


def test_only_tokens_towards_the_class_are_offered():
    arm = GenerationArm(guidance="shap_tokens", tokens=9)
    rows = plan_cell(
        "t",
        arm,
        10,
        0,
        generation=settings(),
        classes=CLASSES,
        phrases={c: c for c in CLASSES},
        noun="note",
        guidance=GUIDANCE,
        texts=TEXTS,
    )
    assert all("rain" in r.request.prompt and "sun" not in r.request.prompt for r in rows)


def test_bias_is_proportional_to_shap():
    arm = GenerationArm(guidance="shap_bias", bias=3.0)
    rows = plan_cell(
        "b",
        arm,
        10,
        0,
        generation=settings(),
        classes=CLASSES,
        phrases={c: c for c in CLASSES},
        noun="note",
        guidance=GUIDANCE,
        texts=TEXTS,
    )
    assert rows[0].request.bias == (("rain", 3.0), ("grey", 1.5))


def test_exemplar_outside_the_seed_is_an_error():
    arm = GenerationArm(guidance="random_exemplars")
    with pytest.raises(UserError, match="not a row of the seed"):
        plan_cell(
            "r", arm, 10, 0, generation=settings(), classes=CLASSES, phrases={c: c for c in CLASSES}, noun="n", guidance=GUIDANCE, texts={}
        )


def test_leak_into_a_prompt_is_found():
    plan = plan_of(settings())
    check_no_leak(plan, ["an invented text that no prompt has seen at all"])
    with pytest.raises(UserError, match="outside the seed"):
        check_no_leak(plan, [TEXTS["r0"], TEXTS["r1"], TEXTS["r2"], TEXTS["r3"]])


def test_killed_run_resumes_to_the_same_result(tmp_path: Path):
    generation = settings()
    whole = RuleModel()
    with RowStore(tmp_path / "a.jsonl") as store:
        expected, _ = generate(plan_of(generation), lambda g: whole, store, generation=generation)
    killed = RuleModel(dies_at=3)
    with RowStore(tmp_path / "b.jsonl") as store, pytest.raises(KeyboardInterrupt):
        generate(plan_of(generation), lambda g: killed, store, generation=generation)
    resumed = RuleModel()
    with RowStore(tmp_path / "b.jsonl") as store:
        frame, _ = generate(plan_of(generation), lambda g: resumed, store, generation=generation)
    assert frame.equals(expected)
    assert killed.calls + resumed.calls == whole.calls, "the same units of work, none twice"
    again = RuleModel()
    with RowStore(tmp_path / "b.jsonl") as store:
        generate(plan_of(generation), lambda g: again, store, generation=generation)
    assert again.calls == []


def test_changed_arm_regenerates_that_arm_only(tmp_path: Path):
    generation = settings()
    with RowStore(tmp_path / "s.jsonl") as store:
        generate(plan_of(generation), lambda g: RuleModel(), store, generation=generation)
    changed = settings(arms={"naive": GenerationArm(guidance="none"), "shap": GenerationArm(guidance="shap_both", tokens=2, exemplars=1)})
    model = RuleModel()
    with RowStore(tmp_path / "s.jsonl") as store:
        generate(plan_of(changed), lambda g: model, store, generation=changed)
    assert 0 < sum(model.calls) <= len(plan_of(changed)["shap"])


def test_batch_is_no_part_of_the_key_but_decoding_is(tmp_path: Path):
    generation = settings()
    with RowStore(tmp_path / "s.jsonl") as store:
        generate(plan_of(generation), lambda g: RuleModel(), store, generation=generation)
    bigger = generation.model_copy(update={"generator": Generator(batch=50)})
    hotter = generation.model_copy(update={"decoding": Decoding(temperature=1.5)})
    for other, calls in ((bigger, False), (hotter, True)):
        model = RuleModel()
        with RowStore(tmp_path / "s.jsonl") as store:
            generate(plan_of(other), lambda g, model=model: model, store, generation=other)
        assert bool(model.calls) is calls


@pytest.mark.parametrize(
    ("raw", "text", "closed"),
    [
        (' I am fine" - said he', "I am fine", True),
        ("no quote\nnext line", "no quote", False),
        ("", "", False),
        ('"', "", True),
        ("bad \ud800 half", "bad half", False),
    ],
)
def test_clean_completion(raw, text, closed):
    assert clean_completion("list", raw) == (text, closed)


@pytest.mark.parametrize(
    ("noun", "many"), [("tweet", "tweets"), ("story", "stories"), ("essay", "essays"), ("film review", "film reviews"), ("box", "boxes")]
)
def test_plural(noun, many):
    assert plural(noun) == many


def test_stable_seed_is_stable():
    assert stable_seed("row", 0, "joy", 1) == stable_seed("row", 0, "joy", 1) != stable_seed("row", 0, "joy", 11)
    assert 0 <= stable_seed("x") < 2**31
