"""Step 05: what is planned from a class, the row cache, what arms may use, and leaks; with a model that writes by rule."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosynth.design.arms import list_origins, resolve_arm, resolve_arms
from emosynth.design.cells import NO_SEED, Cell, quotas, stable_seed
from emosynth.errors import UserError
from emosynth.files import read_json
from emosynth.generation import build as build_code
from emosynth.generation import candidates_of, load_candidates
from emosynth.generation.build import build_candidates, check_no_leak, plan_all
from emosynth.generation.fill import ask
from emosynth.generation.from_class import ClassText, plan_class
from emosynth.generation.prompts import block, build_prompt, clean_completion, plural
from emosynth.generation.slots import SENTIMENT, needs_of, share_writers, space_asked, with_seconds
from emosynth.generation.write import write_all
from emosynth.guides.base import Tables
from emosynth.models.lm import Request, open_language_model
from emosynth.params import Decoding, Generator, Params
from emosynth.paths import Paths
from emosynth.store import RowStore
from emosynth.writers import list_uses
from lm_files import catalog
from writing_fakes import CLASSES, MULTI, SINGLE, TEXTS, FakeSeeds, RuleModel, params_of


def plan_of(params: Params, **seeds: Any) -> list[Any]:
    return plan_all(params, FakeSeeds(params, **seeds), Paths(Path("/nowhere"), "x"))


def of(plan: list[Any], origin: str) -> list[ClassText]:
    return [item for item in plan if item.slot.origin.name == origin]


def write(params: Params, store: RowStore, model: RuleModel, plan: list[Any] | None = None) -> tuple[pd.DataFrame, dict[str, Any]]:
    rows, account = write_all(plan if plan is not None else plan_of(params), params, lambda name, cell, salt: model, store)
    return pd.DataFrame(rows), account


# --- prompts --------------------------------------------------------------------------------------------


def test_arms_differ_in_guides_only():
    plain = build_prompt("list", "tweet", "joy")
    guided = build_prompt("list", "tweet", "joy", ["sun"], ['say "hi"\nthere'])
    assert plain == 'Real tweets by different people, all expressing joy:\n- "'
    assert guided == 'Real tweets by different people, all expressing joy, with words such as sun:\n- "say \'hi\' there"\n- "'
    plan = plan_of(params_of())
    large = [item for item in of(plan, "shap@plain") if item.slot.cell.size == 20]
    assert {p.request.row_seed for p in of(plan, "none@plain")} == {p.request.row_seed for p in large}, "arms share random numbers"


def test_chat_prompt():
    asked = build_prompt("chat", "tweet", "joy", ["sun", "sea"], ["One.", "Two."])
    assert asked == (
        "Examples of real tweets that express joy:\n- One.\n- Two.\n\nWrite one more tweet as an ordinary person would, expressing joy, "
        "with words such as sun, sea. Reply with the tweet alone, on one line."
    )
    assert block("chat", "tweet", "joy", []) == block("list", "tweet", "joy", ()) == ""


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


@pytest.mark.parametrize("text", ['she said "never again"', '"Fine" is what he said'])
def test_quotation_at_either_end_of_a_tuned_text_stays_whole(text: str) -> None:
    assert clean_completion("tuned", f" {text}\nnext") == (text, False)
    assert clean_completion("chat", f' "{text.replace(chr(34), "")}"') == (text.replace('"', ""), False)


@pytest.mark.parametrize(
    ("noun", "many"), [("tweet", "tweets"), ("story", "stories"), ("essay", "essays"), ("film review", "film reviews"), ("box", "boxes")]
)
def test_plural(noun, many):
    assert plural(noun) == many


# --- plans ----------------------------------------------------------------------------------------------


def test_texts_of_no_seed_are_written_once_for_the_largest_need():
    plan = of(plan_of(params_of()), "none@plain")
    assert {item.slot.cell for item in plan} == {Cell("toy", repeat, NO_SEED) for repeat in range(2)}
    counts = Counter((item.slot.cell.repeat, item.slot.labels) for item in plan)
    assert counts == {(repeat, (label,)): 20 for repeat in range(2) for label in CLASSES}
    guided = Counter(str(item.slot.cell) for item in of(plan_of(params_of()), "shap@plain"))
    assert guided == {f"toy/{size}/{repeat}": 2 * size for size in (10, 20) for repeat in range(2)}


def test_candidates_are_those_of_the_arm_that_needs_most_and_arms_take_their_share(tmp_path: Path):
    arms = {
        "small": {"checks": {}, "growth": 0.5},
        "large": {"checks": {}, "growth": 1.5, "oversample": 3.0, "sizes": [10]},
        "late": {"add": "none", "after": "small"},
    }
    params = params_of(arms=arms)
    items = plan_of(params)
    assert len(items) == 2 * 45
    with RowStore(tmp_path / "s.sqlite") as store:
        frame, _ = write(params, store, RuleModel(), items)
    arms_made = resolve_arms(params)
    for name, size, total in (("small", 10, 10), ("small", 20, 20), ("large", 10, 45)):
        mine = candidates_of(frame, params, arms_made[name], Cell("toy", 1, size))
        assert mine["label"].value_counts().to_dict() == quotas(total, CLASSES)
        assert (mine["repeat"] == 1).all() and mine["index"].is_monotonic_increasing
        assert mine["index"].max() == (total + 1) // 2 - 1
    assert candidates_of(frame, params, arms_made["small"], Cell("toy", 1, 10), wanted=7)["label"].value_counts().to_dict() == quotas(
        14, CLASSES
    )
    assert candidates_of(frame, params, arms_made["seed"], Cell("toy", 0, 10)).empty


def test_what_another_arm_takes_in_is_written_on_its_seeds_too():
    params = params_of(arms={"a": {"guide": "shap", "checks": {}, "sizes": [10]}, "b": {"checks": {}, "plus": ["a"], "growth": 4.0}})
    uses = {(use.arm.name, use.cell.size, use.candidates) for use in list_uses(params)}
    assert {("a", 20, 80), ("a", 10, 40), ("b", 20, 80)} <= uses  # they share b's 80 rows, each written twice over


def test_only_tokens_towards_the_class_are_offered():
    rows = of(plan_of(params_of(arms={"t": {"guide": [{"shap-tokens": 9}], "checks": {}}})), "shap-tokens(9)@plain")
    assert rows and all("rain" in r.request.prompt and "sun" not in r.request.prompt for r in rows)


def test_bias_is_proportional_to_shap():
    params = params_of(writers={"b": {"backend": "transformers"}}, arms={"b": {"guide": [{"shap-bias": 3.0}], "writer": "b", "checks": {}}})
    first = plan_of(params)[0]
    assert first.request.bias == (("rain", 3.0), ("grey", 1.5)) and first.request.prompt.endswith('sadness:\n- "')


def test_exemplar_outside_the_seed_is_an_error():
    strange = Tables({}, {(label, "shap"): ["x9"] for label in CLASSES})
    with pytest.raises(UserError, match="not a row of the seed"):
        plan_of(params_of(), materials=strange)


def test_prompts_are_drawn_by_the_spelling_of_the_guide():
    params = params_of(
        arms={"any-name": {"guide": "shap", "checks": {}}, "b": {"guide": [{"shap-tokens": 1}, {"shap-exemplars": 2}], "checks": {}}}
    )
    plan = plan_of(params)
    prompts = {name: [item.request.prompt for item in of(plan, name)] for name in list_origins(params)}
    assert set(prompts) == {"shap@plain", "shap-tokens(1)+shap-exemplars(2)@plain"}
    assert len(set(prompts["shap@plain"])) <= 2 * 2 * 4, "two prompts a class and cell"
    assert prompts["shap@plain"] != prompts["shap-tokens(1)+shap-exemplars(2)@plain"]


def test_two_labels_in_a_multi_label_space_fill_the_quota_of_the_first():
    params = params_of(generation={"two_labels": 0.5}, arms={"naive": {"checks": {}}, "shap": {"guide": "shap", "checks": {}}})
    plan = of(plan_of(params, space=MULTI), "none@plain")
    mine = [item for item in plan if item.slot.cell.repeat == 0]
    assert Counter(item.slot.labels[0] for item in mine) == quotas(40, MULTI.labels)
    two = [item for item in mine if len(item.slot.labels) == 2]
    assert 0.3 <= len(two) / len(mine) <= 0.5 and not any("neutral" in item.slot.labels for item in two)
    assert {item.slot.labels for item in two} == {("anger", "fear"), ("fear", "anger")}, "no label is always the one with two"
    assert any("anger and fear" in item.request.prompt for item in two)
    smaller = plan_class(mine[0].slot.origin, Cell("toy", 0, NO_SEED), 18, MULTI, FakeSeeds(params, MULTI))
    larger = {item.slot.candidate_id(): item for item in mine}
    assert all(larger[item.slot.candidate_id()] == item for item in smaller), "more candidates begin with the very ones of fewer"
    assert len({item.slot.candidate_id() for item in mine}) == len(mine)


def test_labels_of_a_taxonomy_owe_nothing_to_a_corpus(monkeypatch):
    params = params_of(arms={"wide": {"space": "moods", "rows": 8, "checks": {}}})
    monkeypatch.setattr("emosynth.generation.slots.space_of_taxonomy", lambda taxonomy: MULTI)
    seeds = FakeSeeds(params)
    seeds.taxonomies.get = lambda name: name
    plan = plan_all(params, seeds, Paths(Path("/nowhere"), "x"))
    assert {item.slot.cell for item in plan} == {Cell("", 0, NO_SEED), Cell("", 1, NO_SEED)} and len(plan) == 16
    assert plan[0].slot.candidate_id() == "none@plain:moods//-1/0/joy/00000" and "messages" in plan[0].request.prompt
    arm = resolve_arm(params, "wide")
    assert space_asked(arm.origin, None, seeds.taxonomies) is MULTI
    assert space_asked(resolve_arm(params_of(), "naive").origin, SINGLE, seeds.taxonomies) is SINGLE


@given(st.integers(0, 200), st.floats(0, 1), st.integers(0, 50))
def test_two_labels_are_compatible_and_their_share_holds(total, share, seed):
    labels = [*SENTIMENT, "surprise", "neutral"]
    drawn = with_seconds((labels[place % len(labels)] for place in range(total)), labels, "neutral", share, seed)
    assert [found[0] for found in drawn] == [labels[place % len(labels)] for place in range(total)]
    for found in drawn:
        assert len(set(found)) == len(found) <= 2
        assert len(found) == 1 or "neutral" not in found
        assert len(found) == 1 or "surprise" in found or SENTIMENT[found[0]] == SENTIMENT[found[1]]
    if share < 0.9:
        assert abs(sum(len(found) == 2 for found in drawn) - share * total) <= 2


def test_second_labels_are_balanced_too():
    drawn = with_seconds((MULTI.labels[place % 4] for place in range(400)), MULTI.labels, "neutral", 0.5, 1, {})
    seconds = Counter(found[1] for found in drawn if len(found) == 2)
    assert sum(seconds.values()) == 199 and max(seconds.values()) - min(seconds.values()) <= 2


def test_writers_share_by_weight_at_every_length():
    assert share_writers((("a", 3.0), ("b", 1.0)), 8) == ["a", "a", "b", "a"] * 2


@given(st.integers(0, 500), st.integers(1, 9))
def test_quotas_sum_and_are_fair(total, k):
    shares = quotas(total, [f"c{i}" for i in range(k)])
    assert sum(shares.values()) == total
    assert max(shares.values()) - min(shares.values()) <= 1


def test_stable_seed_is_stable():
    assert stable_seed("row", 0, "joy", 1) == stable_seed("row", 0, "joy", 1) != stable_seed("row", 0, "joy", 11)
    assert 0 <= stable_seed("x") < 2**31


# --- leaks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["plain", "chat"])
def test_leak_into_a_prompt_is_found(style):
    plan = plan_of(params_of(generation={"style": style}))
    check_no_leak(plan, ["an invented text that no prompt has seen at all", "short"])
    with pytest.raises(UserError, match=r"outside the seed.*shap@plain/toy"):
        check_no_leak(plan, [TEXTS["r0"], TEXTS["r1"], TEXTS["r2"], TEXTS["r3"]])


# --- writing --------------------------------------------------------------------------------------------


def test_killed_run_resumes_to_the_same_result(tmp_path: Path):
    params, whole = params_of(), RuleModel()
    with RowStore(tmp_path / "a.sqlite") as store:
        expected, account = write(params, store, whole)
    killed = RuleModel(dies_at=3)
    with RowStore(tmp_path / "b.sqlite") as store, pytest.raises(KeyboardInterrupt):
        write(params, store, killed)
    assert killed.closed == 1
    resumed = RuleModel()
    with RowStore(tmp_path / "b.sqlite") as store:
        frame, again = write(params, store, resumed)
    assert frame.equals(expected) and account == again
    assert killed.calls + resumed.calls == whole.calls, "the same units of work, none twice"
    idle = RuleModel()
    with RowStore(tmp_path / "b.sqlite") as store:
        write(params, store, idle)
    assert idle.calls == []


def test_changed_arm_is_written_anew_alone(tmp_path: Path):
    with RowStore(tmp_path / "s.sqlite") as store:
        write(params_of(), store, RuleModel())
        changed, model = params_of(guides={"shap": [{"shap-tokens": 2}, {"shap-exemplars": 1}]}), RuleModel()
        write(changed, store, model)
    assert 0 < sum(model.calls) <= len(of(plan_of(changed), "shap@plain"))


def test_batch_is_no_part_of_the_key_but_decoding_is(tmp_path: Path):
    with RowStore(tmp_path / "s.sqlite") as store:
        write(params_of(), store, RuleModel())
        for other, calls in (
            (params_of(models={"writer": {"batch": 50}}), False),
            (params_of(generation={"decoding": {"temperature": 1.5}, "prompts_per_class": 2}), True),
            (params_of(writers={"plain": {"decoding": {"temperature": 1.7}}}), True),
        ):
            model = RuleModel()
            write(other, store, model)
            assert bool(model.calls) is calls


def test_each_model_is_opened_once_and_named_without_its_path(tmp_path: Path):
    params = params_of(
        models={"writer": {"batch": 7}, "others": {"big": {"model": "/secret/place/big.gguf"}}},
        writers={"hot": {"decoding": {"temperature": 2.0}}, "big": {"model": "big", "backend": "transformers"}},
        arms={"naive": {"checks": {}}, "hot": {"writer": "hot", "checks": {}}, "mix": {"writer": {"plain": 1.0, "big": 1.0}, "checks": {}}},
    )
    opened: list[str] = []

    def open_writer(name, cell, salt):
        opened.append(name)
        return RuleModel(name)

    with RowStore(tmp_path / "s.sqlite") as store:
        rows, account = write_all(plan_of(params), params, open_writer, store)
    frame = pd.DataFrame(rows)
    assert opened == ["plain", "big"] and list(account["generators"]) == ["openvino:smollm2-135m-instruct", "transformers:big.gguf"]
    mixed = frame[frame["origin"] == "none@plain(1)+big(1)"]
    assert mixed.groupby("label")["writer"].value_counts().tolist() == [20, 20, 20, 20]
    assert (mixed["generator"].str.startswith("transformers") == (mixed["writer"] == "big")).all()


def test_account_counts_each_text_though_equal_requests_are_made_once(tmp_path: Path):
    params = params_of(arms={"naive": {"checks": {}}, "again": {"guide": [], "writer": "twin", "checks": {}}}, writers={"twin": {}})
    model = RuleModel()
    with RowStore(tmp_path / "s.sqlite") as store:
        frame, account = write(params, store, model)
    assert sum(model.calls) == len(frame) / 2 == 80
    assert account["steps"]["none@twin"]["text"] == {"texts": 80, "inferences": 80, "prompt_tokens": 1600, "new_tokens": 800}
    assert (frame["new_tokens"] == 10).all() and frame["complete"].all() and (frame["finish"] == "length").all()


def test_step_writes_a_table_that_reads_back(tmp_path: Path, monkeypatch):
    params, paths = params_of(), Paths(tmp_path, "x")
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build_code, "Seeds", lambda params, paths: FakeSeeds(params))
    monkeypatch.setattr(build_code, "open_writer", lambda *_: RuleModel())
    frame, account = build_candidates(params, None, paths)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(load_candidates(paths), frame)
    assert read_json(paths.candidates / "generators.json") == account and (paths.candidates / "candidates.md").is_file()
    before = (paths.candidates / "candidates.parquet").read_bytes()
    build_candidates(params, None, paths)  # type: ignore[arg-type]
    assert (paths.candidates / "candidates.parquet").read_bytes() == before


def test_a_profile_that_writes_nothing_has_an_empty_table(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build_code, "Seeds", lambda params, paths: FakeSeeds(params))
    params = params_of(arms={"real": {"add": "real"}})
    frame, account = build_candidates(params, None, Paths(tmp_path, "x"))  # type: ignore[arg-type]
    assert frame.empty and account["generators"] == {} and load_candidates(Paths(tmp_path, "x")).empty
    assert needs_of(params, []) == {}


def test_answers_go_through_the_cache(tmp_path: Path):
    params, model = params_of(), RuleModel()
    requests = [Request("a", 1), Request("b", 2), Request("a", 1)]
    with RowStore(tmp_path / "s.sqlite") as store:
        found = ask(model, params.generation.decoding, 2, "names", requests, store)
        assert found[0]["text"] == found[2]["text"] != found[1]["text"]
        ask(model, params.generation.decoding, 2, "names", requests, store)
    assert model.calls == [2]


@pytest.mark.model
def test_units_written_side_by_side_are_those_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = open_language_model(Generator(model="smollm2-135m-instruct"), catalog())
    requests = [Request(f"A tweet that expresses {('joy', 'anger')[number % 2]}:", number) for number in range(10)]
    decoding = Decoding(max_new_tokens=6)

    def texts(threads: str) -> list[str]:
        monkeypatch.setenv("EMOSYNTH_THREADS", threads)
        with RowStore(tmp_path / f"{threads}.sqlite") as store:
            return [value["text"] for value in ask(model, decoding, 4, "test", requests, store)]

    assert texts("1") == texts("2"), "three units, the last of which has all threads"
