"""The grounding step from files: soft labels, free names, minimal pairs, tables, data set folder, figures; models answer by rule."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emosynth.cards import read_json, read_table
from emosynth.errors import UserError
from emosynth.generation.plan import stable_seed
from emosynth.grounding import build_grounding, export_dataset, held_out_stories, load_rows, scorer_quality, soft_labels
from emosynth.grounding.build import summary
from emosynth.grounding.labels import best_ranks, evenly
from emosynth.grounding.naming import naming_prompt, parse_names, rows_to_name
from emosynth.grounding.pairs import HELD_OUT, held_out_cast, plan_pairs, shifts
from emosynth.grounding.plan import SENTIMENT
from emosynth.grounding.plots import acceptance, diversity_gaps, explicit_by_emotion, top_names
from emosynth.models.lm import Completion
from emosynth.models.lm.labels import row_prompt
from emosynth.params import EmotionLabels, Generator, Grounding, GroundingArm, WeightedGenerator
from emosynth.paths import Paths
from emosynth.taxonomy import Taxonomies

ROOT = Path(__file__).parent.parent
TAXONOMIES = Taxonomies.load(ROOT / "data" / "taxonomies.yaml")
GOEMOTIONS = TAXONOMIES.get("goemotions")
TINY = SimpleNamespace(
    name="tiny", labels=("joy", "anger", "neutral"), adjectives={"joy": "joyful", "anger": "angry", "neutral": "neutral"}, neutral="neutral"
)
STORIES = 12
PASSAGES = pd.DataFrame(
    {
        "passage_id": [f"s{story}/{place}" for story in range(STORIES) for place in range(2)],
        "story_id": [f"s{story}" for story in range(STORIES) for _ in range(2)],
        "source": "made-up",
        "text": [
            f"The lamp number {story} in hall {place} was green. Ann{story} and the miller looked at it."
            for story in range(STORIES)
            for place in range(2)
        ],
    }
)
CHARACTERS = pd.DataFrame(
    [
        row
        for story in range(STORIES)
        for place in range(2)
        for row in [(f"s{story}/{place}", 1, f"Ann{story}", "name"), (f"s{story}/{place}", 2, "the miller", "role")]
    ],
    columns=["passage_id", "rank", "character", "kind"],
)  # fmt: skip


class TableScorer:
    """Gives log-likelihoods by prompt; rows that are not in the table get 0."""

    def __init__(self, table=None) -> None:
        self.table = table or {}
        self.priors: list[list[str]] = []

    def score(self, prompts, labels, progress=None):
        return np.log([self.table.get(prompt, np.ones(len(labels)) / len(labels)) for prompt in prompts])

    def prior(self, content_free, labels):
        self.priors.append(list(content_free))
        return np.log(np.exp(self.score(content_free, labels)).mean(axis=0))


class RuleModel:
    """Names emotions when asked to; otherwise writes a text that its seed and the prompt's length tell apart."""

    deterministic = True
    identity = {"backend": "rule"}  # noqa: RUF012

    def generate(self, requests, decoding, *, progress=None):
        out = []
        for request in requests:
            pick = np.random.default_rng(request.row_seed)
            drawn = " ".join(WORDS[place] for place in pick.integers(len(WORDS), size=9))
            text = (
                'Sadness, zorbly and joy"'
                if "name of the emotion" in request.prompt
                else f' {drawn} {len(request.prompt)}. And then no more."'
            )
            out.append(Completion(text, "length", 20, 10))
        return out

    def close(self) -> None:
        pass


WORDS = [f"word{place}" for place in range(400)]


def embed(texts):
    vectors = np.array([np.random.default_rng(stable_seed(text)).normal(size=8) for text in texts]).reshape(-1, 8)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def settings(**more) -> Grounding:
    arms = {
        "grounded": GroundingArm(),
        "bare": GroundingArm(grounded=False),
        "topical": GroundingArm(neutral="topical", emotions=["neutral"], examples=6),
    }
    given = {
        "generators": {name: WeightedGenerator(generator=Generator(model=name, batch=16)) for name in "ab"},
        "arms": arms,
        "examples": 30,
        "pairs": 5,
        "labels": EmotionLabels(free_form=4, similarity=0.999),
    }
    return Grounding(**{**given, **more})


def frame(rows) -> pd.DataFrame:
    out = pd.DataFrame(rows, columns=["arm", "kind", "text", "emotions"])
    return out.assign(context="Rain.", character="Ann", row_id=[f"{arm}/{n}" for n, arm in enumerate(out["arm"])])


# --- soft labels ------------------------------------------------------------------------------------


def test_soft_labels_by_hand():
    """Two rows of one batch, likelihoods (.6 .2 .2) and (.2 .2 .6): the prior is (.4 .2 .4), the first row becomes (1.5 1 .5) / 3."""
    seen, alone = row_prompt("one", "Rain.", "Ann"), row_prompt("two", "Rain.", "Ann")
    scorer = TableScorer({seen: [0.6, 0.2, 0.2], alone: [0.2, 0.2, 0.6]})
    params = settings(arms={"x": GroundingArm()}, labels=EmotionLabels(intended=0.5))
    out = soft_labels(frame([("x", "contextual", "one", ["joy", "anger"]), ("x", "contextual", "two", ["joy"])]), scorer, TINY, params)
    np.testing.assert_allclose(out["scored"].tolist(), [[1 / 2, 1 / 3, 1 / 6], [1 / 6, 1 / 3, 1 / 2]])
    np.testing.assert_allclose(out["soft"].tolist(), [[0.5, 5 / 12, 1 / 12], [0.5 + 1 / 12, 1 / 6, 1 / 4]])
    assert out["intended_rank"].tolist() == [1, 3] and out["agreement"].tolist() == [True, False]
    assert scorer.priors == [[seen, alone]]


def test_context_is_shown_with_contextual_rows_only_and_kinds_have_their_own_prior():
    scorer = TableScorer()
    soft_labels(
        frame([("x", "contextual", "one", ["joy"]), ("x", "contextless", "one", ["joy"])]),
        scorer,
        TINY,
        settings(arms={"x": GroundingArm()}),
    )
    assert scorer.priors == [[row_prompt("one", "Rain.", "Ann")], [row_prompt("one")]]


def test_arm_of_one_emotion_is_calibrated_by_arms_of_all():
    scorer = TableScorer()
    params = settings(arms={"all": GroundingArm(), "plain": GroundingArm(emotions=["neutral"])})
    rows = frame(
        [("all", "contextless", "one", ["joy"]), ("plain", "contextless", "two", ["neutral"]), ("all", "contextless", "", ["joy"])]
    )
    soft_labels(rows, scorer, TINY, params)
    assert scorer.priors == [[row_prompt("one")], [row_prompt("one")]], "and empty texts are no part of it"
    soft_labels(rows[rows["arm"] == "plain"], scorer, TINY, params)
    assert scorer.priors[2:] == [[row_prompt("two")]]


def test_soft_labels_want_labels_of_the_taxonomy():
    with pytest.raises(UserError, match="'awe' is no label"):
        soft_labels(frame([("x", "contextless", "one", ["awe"])]), TableScorer(), TINY, settings(arms={"x": GroundingArm()}))
    with pytest.raises(UserError, match="no label"):
        soft_labels(frame([("x", "contextless", "one", [])]), TableScorer(), TINY, settings(arms={"x": GroundingArm()}))


@given(st.integers(0, 3000), st.integers(1, 600))
def test_batch_is_spread_evenly(count, limit):
    places = evenly(count, limit)
    assert len(places) == min(count, limit) and (np.diff(places) > 0).all()
    if count > 1 and limit > 1:
        assert places[0] == 0 and places[-1] == count - 1
        assert np.ptp(np.diff(places)) <= 1


def test_ranks_take_ties_in_order():
    wanted = np.array([[False, True, True], [True, False, False]])
    assert best_ranks([[0.1, 0.2, 0.7], [0.3, 0.3, 0.3]], wanted).tolist() == [1, 1]
    assert best_ranks([3, 1, 1], wanted).tolist() == [2, 1]


def test_quality_of_the_scorer_beside_that_of_frequencies():
    """Prior (.4 .4 .2): the first text is read as joy, the second as anger (rank 1), the third wrongly (neutral at rank 2 or 3)."""
    table = {row_prompt("a"): [0.8, 0.1, 0.1], row_prompt("b"): [0.1, 0.8, 0.1], row_prompt("c"): [0.3, 0.3, 0.4]}
    found = scorer_quality(
        TableScorer(table), ["a", "b", "c"], [["joy"], ["anger", "neutral"], ["joy"]], TINY, {"anger": 5, "joy": 3, "neutral": 1}
    )
    assert found == pytest.approx(
        {
            "n": 3, "mrr": (1 + 1 + 1 / 2) / 3, "top1": 2 / 3, "top5": 1,
            "frequency_mrr": (1 / 2 + 1 + 1 / 2) / 3, "frequency_top1": 1 / 3, "frequency_top5": 1,
        }
    )  # fmt: skip
    with pytest.raises(UserError, match="no texts"):
        scorer_quality(TableScorer(), [], [], TINY)


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ("Sadness", ["sadness"]),
        ('anger"', ["anger"]),
        ('"anger" is what', ["anger"]),
        ("Joy, pride, and relief.", ["joy", "pride"]),
        ("hope/fear", ["hope", "fear"]),
        ("He is very annoyed and a bit sad. It", ["annoyed", "sad"]),
        ("a sense of loss or grief\nUtterance:", ["loss", "grief"]),
        ("Frustration & anger", ["frustration", "anger"]),
        ("Ferocity, brandy", ["ferocity", "brandy"]),
        ("fed up", ["fed up"]),
        ("“Schadenfreude”", ["schadenfreude"]),
        ("  \n", []),
        ('".', []),
    ],
)
def test_names_are_read_off_answers(answer, names):
    assert parse_names(answer) == names


def test_naming_prompts():
    found = naming_prompt("completion", 'No "way".', "Rain.", "the miller").text
    assert found == 'Rain.\nThe miller says: "No \'way\'."\nThe name of the emotion that the miller feels is "'
    chat = naming_prompt("chat", "No.").text
    assert "Situation" not in chat and chat.endswith('Character: a person\nUtterance: "No."')


def test_rows_to_name_go_round_the_emotions():
    rows = pd.DataFrame(
        {
            "arm": "x", "index": range(6), "kind": "contextual", "accepted": [True, True, True, True, False, True],
            "emotions": [["joy"], ["joy"], ["joy", "fear"], ["fear"], ["anger"], ["anger"]],
        }
    )  # fmt: skip
    assert rows_to_name(rows, 4)["index"].tolist() == [0, 3, 5, 1]
    assert rows_to_name(rows.assign(kind="contextless"), 4).empty


# --- pairs ------------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.floats(0, 0.9), st.integers(0, 99))
def test_held_out_stories(count, share, seed):
    passages = pd.DataFrame({"story_id": [f"s{n}" for n in range(count)] * 2})
    held = held_out_stories(passages, share, seed)
    assert held <= set(passages["story_id"]) and held == held_out_stories(passages.iloc[::-1], share, seed)
    assert len(held) < count and abs(len(held) - share * count) <= 1
    assert held <= held_out_stories(passages, min(1.0, share + 0.1), seed)


def test_names_of_other_stories_are_left_out_of_pairs_roles_are_not():
    held = frozenset(["s0"])
    cast = held_out_cast(PASSAGES, CHARACTERS, held)
    assert set(cast["character"]) == {"Ann0", "the miller"}
    shared = CHARACTERS.replace({"character": {"Ann1": "ANN0"}})
    assert set(held_out_cast(PASSAGES, shared, held)["character"]) == {"the miller"}


def test_plan_of_pairs_is_balanced_and_opposed():
    plan = plan_pairs(settings(), GOEMOTIONS, CHARACTERS, 132)
    firsts = Counter()
    for pair in plan:
        a, b = pair.first.emotions[0], pair.second.emotions[0]
        assert {SENTIMENT[a], SENTIMENT[b]} == {"positive", "negative"}
        assert (pair.first.passage_id, pair.first.character) == (pair.second.passage_id, pair.second.character)
        assert len({pair.first.row_seeds[0], pair.second.row_seeds[0], pair.row_seed}) == 3
        firsts[SENTIMENT[a]] += 1
    assert min(firsts.values()) > 40
    counts = Counter(emotion for pair in plan for side in (pair.first, pair.second) for emotion in side.emotions)
    assert counts == {label: 11 if SENTIMENT[label] == "positive" else 12 for label in SENTIMENT}
    assert len({(pair.first.passage_id, pair.first.character) for pair in plan[:48]}) == 48
    assert plan_pairs(settings(), GOEMOTIONS, CHARACTERS, 7) == plan[:7]
    assert plan_pairs(settings(), GOEMOTIONS, CHARACTERS, 0) == []
    with pytest.raises(UserError, match="No character is left"):
        plan_pairs(settings(), GOEMOTIONS, CHARACTERS.iloc[:0], 1)
    with pytest.raises(UserError, match="no two emotions"):
        plan_pairs(settings(), GOEMOTIONS, CHARACTERS, 1, {"joy": "positive"})


def test_shift_is_free_of_what_words_are_worth():
    pairs = pd.DataFrame(
        {"utterance": "So.", "context_a": ["Gift."], "context_b": ["Loss."], "character": "Ann", "emotion_a": "joy", "emotion_b": "anger"}
    )
    table = {row_prompt("So.", "Gift.", "Ann"): [0.3, 0.6, 0.1], row_prompt("So.", "Loss.", "Ann"): [0.1, 0.8, 0.1]}
    assert shifts(pairs, TableScorer(table), TINY).tolist() == pytest.approx([np.log(0.3 / 0.6) - np.log(0.1 / 0.8)])
    assert shifts(pairs.iloc[:0], TableScorer(), TINY).empty


# --- the step ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("step")
    paths = Paths(folder, "demo")

    def build(params=None, root=folder, **more):
        return build_grounding(
            params or settings(), PASSAGES, CHARACTERS, TAXONOMIES, None, Paths(root, "demo"), embed=embed,
            open_model=lambda generator: RuleModel(), scorer=TableScorer(), progress=lambda line: None, **more,
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOSYNTH_CACHE", str(folder / "cache"))
        patch.setenv("EMOSYNTH_PROGRESS", str(folder / "progress.txt"))
        tables, account = build()
        yield SimpleNamespace(tables=tables, account=account, paths=paths, build=build)


def test_all_tables_are_written_with_cards(made):
    folder = made.paths.grounding
    names = ["examples", "rows", "named", "confusion", "pairs", "diversity", "diversity_differences", "generators", "scale"]
    assert list(made.tables) == names
    for name in names:
        assert len(read_table(folder / f"{name}.parquet")) == len(made.tables[name]), name
        assert (folder / f"{name}.md").read_text().startswith("---\n")
    account = read_json(folder / "account.json")
    assert account["labels"] == list(GOEMOTIONS.labels) and account["held_out_stories"] == 2
    assert set(read_json(folder / "generators.json")["generators"]) == {"openvino:a", "openvino:b"}
    assert len(made.tables["scale"]) == 4 and "scale_missing" not in account


def test_rows_carry_verdicts_and_soft_labels(made):
    rows = load_rows(made.paths.grounding)
    assert len(rows) == 2 * (30 + 30 + 6) and rows["row_id"].is_unique and isinstance(rows["emotions"].iloc[0], list)
    assert rows["accepted"].mean() > 0.9 and (rows["kept"] == rows["accepted"]).all()
    soft = np.array(rows["soft"].tolist())
    assert soft.shape == (len(rows), 28)
    np.testing.assert_allclose(soft.sum(axis=1), 1)
    # Uniform scores: what was asked for has 1/2 and its part of the other half.
    at = [GOEMOTIONS.labels.index(labels[0]) for labels in rows["emotions"]]
    np.testing.assert_allclose(soft[np.arange(len(rows)), at], [0.5 / len(labels) + 0.5 / 28 for labels in rows["emotions"]])


def test_pairs_and_examples_share_no_story(made):
    held = held_out_stories(PASSAGES, HELD_OUT, settings().random_seed)
    story = dict(zip(PASSAGES["passage_id"], PASSAGES["story_id"], strict=True))
    examples, pairs = made.tables["examples"], made.tables["pairs"]
    assert {story[passage] for passage in examples.loc[examples["grounded"], "passage_id"]} == set(PASSAGES["story_id"]) - held
    assert len(pairs) == 5 and {story[passage] for passage in pairs["passage_id"]} <= held
    assert pairs["ok"].all() and (pairs["context_a"] != pairs["context_b"]).all() and (pairs["shift"] == 0).all()
    starts = [f"{who[0].upper()}{who[1:]} has word" for who in pairs["character"]]
    assert all(text.startswith(start) for text, start in zip(pairs["context_a"], starts, strict=True))
    assert not any(who.lower() in said for who, said in zip(pairs["character"], pairs["utterance"], strict=True))


def test_a_pair_whose_utterance_names_an_emotion_is_not_sound(made, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(RuleModel, "generate", lambda self, requests, decoding, *, progress=None: [
        Completion(f' so proud, so {" so ".join(GOEMOTIONS.adjectives.values())} {request.row_seed}."', "stop", 2, 2) for request in requests
    ])  # fmt: skip
    tables, _ = made.build(root=tmp_path)
    assert len(tables["pairs"]) == 5 and not tables["pairs"]["ok"].any() and tables["pairs"]["explicit_a"].all()


def test_names_resolve_and_are_counted(made):
    named, confused = made.tables["named"], made.tables["confusion"]
    assert Counter(named["arm"]) == {"grounded": 8, "bare": 8, "topical": 8}
    assert dict(zip(named["raw"], named["how"], strict=True)) == {"sadness": "label", "zorbly": "rejected"}
    assert confused[["raw", "count"]].values.tolist() == [["sadness", 12], ["zorbly", 12]]
    assert confused["label"][0] == "sadness" and pd.isna(confused["label"][1])


def test_small_arm_does_not_cut_down_what_large_ones_are_compared_on(made):
    table, differences = made.tables["diversity"], made.tables["diversity_differences"]
    assert set(table.loc[table["emotion"] == "all", "arm"]) == {"grounded", "bare"}
    assert set(table.loc[table["emotion"] == "neutral", "arm"]) == {"grounded", "bare", "topical"}
    assert not table.duplicated(["arm", "kind", "emotion"]).any()
    whole = table[(table["emotion"] == "all") & (table["arm"] == "grounded")].set_index("kind")
    assert whole.loc["utterance", "n_texts"] == 30 and whole.loc["utterance", "tokens_compared"] > 100
    assert set(zip(differences["arm"], differences["against"], strict=True)) == {("grounded", "bare"), ("topical", "bare")}


def test_generators_are_summed_up_at_equal_tokens():
    rows = pd.DataFrame(
        {
            "generator": ["a", "a", "b", "b"], "kind": "contextual", "accepted": [True, True, True, False],
            "explicit": [True, False, False, True], "agreement": [True, False, True, True], "intended_rank": [1, 4, 1, 1],
            "text": ["one one one", "two two", "one two three four", "no"],
        }
    )  # fmt: skip
    found = summary(rows).set_index("generator")
    assert found.loc["a"].to_dict() == {
        "kind": "contextual", "rows": 2, "accepted": 1, "explicit_share": 0.5, "agreement": 0.5, "mrr": 0.625, "tokens": 4, "distinct_2": 0.5,
    }  # fmt: skip
    assert found.loc["b", "accepted"] == 0.5 and found.loc["b", "distinct_2"] == 1 and found.loc["b", "explicit_share"] == 0


def test_equal_runs_write_equal_bytes_and_pairs_change_no_example(made, tmp_path):
    made.build(root=tmp_path)
    files = sorted(path.name for path in made.paths.grounding.iterdir())
    again = Paths(tmp_path, "demo").grounding
    assert [(again / name).read_bytes() for name in files] == [(made.paths.grounding / name).read_bytes() for name in files]
    tables, _ = made.build(root=tmp_path, pairs=0)
    assert tables["pairs"].empty and tables["examples"].equals(made.tables["examples"])


def test_too_many_explicit_rows_are_set_aside(made, tmp_path):
    tables, _ = made.build(settings(explicit=0.0), root=tmp_path)
    rows = tables["rows"]
    assert (rows["kept"] == rows["accepted"] & ~rows["explicit"]).all()


def test_rejecting_everything_leaves_a_table_and_the_reason(made, tmp_path):
    tables, account = made.build(settings(min_words=50, max_words=60), root=tmp_path)
    assert tables["scale"].empty and "acceptance" in account["scale_missing"] and not tables["rows"]["kept"].any()
    assert tables["named"].empty and tables["generators"]["explicit_share"].isna().all()
    for figure in (acceptance(tables["rows"]), explicit_by_emotion(tables["rows"]), top_names(tables["confusion"])):
        assert len(figure.axes) == 1
    with pytest.raises(UserError, match="no contextual rows"):
        export_dataset(tables["rows"], GOEMOTIONS, account, tmp_path / "out")


# --- data set and figures ---------------------------------------------------------------------------


def test_data_set_opens_as_on_the_hub(made, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    folder = export_dataset(load_rows(made.paths.grounding), GOEMOTIONS, made.account, tmp_path / "out")
    head = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert [item["config_name"] for item in head["configs"]] == ["contextual", "contextless"] and head["license"] == "mit"
    loaded = datasets.load_dataset(str(folder), "contextual", split="train", cache_dir=str(tmp_path / "cache"))
    rows = made.tables["rows"]
    kept = rows[rows["kept"] & (rows["kind"] == "contextual")]
    assert loaded["id"] == kept["row_id"].tolist() and loaded["context"] == kept["context"].tolist()
    assert loaded.features["emotions"].feature.names == list(GOEMOTIONS.labels)
    assert [GOEMOTIONS.labels[place] for place in loaded[0]["emotions"]] == kept["emotions"].iloc[0]
    np.testing.assert_allclose(loaded["soft_labels"], kept["soft"].tolist(), atol=1e-6)
    alone = read_table(folder / "contextless" / "train.parquet")
    assert "context" not in alone and len(alone) == (rows["kept"] & (rows["kind"] == "contextless")).sum()
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"The lamp number" not in written


def test_data_set_leaves_out_copied_contexts_and_refuses_another_taxonomy(made, tmp_path):
    rows = made.tables["rows"].copy()
    rows.loc[rows.index[3:], "context_overlap"] = 0.7
    folder = export_dataset(rows, GOEMOTIONS, made.account, tmp_path / "out")
    assert len(read_table(folder / "contextual" / "train.parquet")) == 3
    with pytest.raises(UserError, match="taxonomy"):
        export_dataset(rows, TAXONOMIES.get("ekman"), made.account, tmp_path / "out")


def test_figures(made):
    rows, differences = made.tables["rows"], made.tables["diversity_differences"]
    bars = [bar.get_width() for container in acceptance(rows).axes[0].containers for bar in container]
    assert bars == pytest.approx([rows[(rows["kind"] == kind) & (rows["arm"] == arm)]["accepted"].mean() for kind in ("contextual", "contextless") for arm in ("grounded", "bare", "topical")])  # fmt: skip
    assert [len(axes.lines) for axes in diversity_gaps(differences).axes] == [7] * 4  # three dots, three intervals, zero
    assert [tick.get_text() for tick in top_names(made.tables["confusion"]).axes[0].get_yticklabels()] == [
        "sadness → sadness",
        "zorbly → –",
    ]
    assert len(explicit_by_emotion(rows).axes[0].get_yticklabels()) == 28
