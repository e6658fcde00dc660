"""Corpora in German, Spanish and Chinese: what each step does with them, and the whole pipeline on all three. All text is invented."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from corpus_text import find_corpus_text
from emosynth.authenticity.panel import authenticity_panel
from emosynth.authenticity.sample import Sample
from emosynth.cards import read_table
from emosynth.catalog import Catalog
from emosynth.checks.charset import CharsetCheck, CharsetSettings, own_scripts
from emosynth.checks.distinct import largest_similarities
from emosynth.corpora import build_corpora, load_corpus
from emosynth.explain import build_materials
from emosynth.export import shares_words
from emosynth.files import read_json
from emosynth.languages import is_english, spaced, unsegmented
from emosynth.params import Authenticity, Params, deep_merge, read_file, validate
from emosynth.paths import Paths
from emosynth.report.tables import Texts
from emosynth.seeding import build_orders
from emosynth.trials.gaps import Gaps
from emosynth.trials.gate import repeating
from emosynth.trials.phenomena import phenomena

ROOT = Path(__file__).parent.parent

PARTS: dict[str, dict[str, list[str]]] = {
    "de": {
        "things": ["Der Hafen", "Die Küche", "Der Brief", "Der Garten", "Das Fenster", "Die Lampe", "Der Markt", "Die Brücke", "Die Fähre", "Der Bahnhof"],
        "joy": ["hat mich heute früh so zum Lachen gebracht", "war so schön wie schon lange nichts mehr"],
        "anger": ["ist schon wieder kaputt und keiner kümmert sich", "kostet jetzt das Doppelte, das macht mich wütend"],
    },
    "es": {
        "things": ["El puerto", "La cocina", "La carta", "El jardín", "La ventana", "La lámpara", "El mercado", "El puente", "La barca", "La estación"],
        "joy": ["me hizo reír toda la mañana de ayer", "fue lo mejor que nos pasó esta semana"],
        "anger": ["está roto otra vez y a nadie le importa", "cuesta ahora el doble y eso me enfurece"],
    },
    "zh": {
        "things": ["港口", "厨房", "那封信", "花园", "窗户", "台灯", "集市", "石桥", "渡船", "车站"],
        "joy": ["今天早上让我笑了很久很久", "是这个星期里最美好的事情"],
        "anger": ["又坏了可是根本没有人来管", "现在贵了一倍真让人生气"],
    },
}  # fmt: skip
NAMES = {"de": "german", "es": "spanish", "zh": "chinese"}


def sentences(language: str) -> list[tuple[str, str]]:
    """Return 40 texts with their labels."""
    parts, gap = PARTS[language], "" if language == "zh" else " "
    return [(f"{thing}{gap}{end}", label) for label in ("joy", "anger") for end in parts[label] for thing in parts["things"]]


def write(root: Path) -> dict[str, Any]:
    """Write the three files, with splits; returns ``corpora`` of the parameters."""
    custom = {}
    for language, name in NAMES.items():
        rows = [
            (text, label, ("train", "train", "train", "test", "validation")[n % 5]) for n, (text, label) in enumerate(sentences(language))
        ]
        pd.DataFrame(rows, columns=["text", "label", "split"]).to_csv(root / f"{name}.csv", index=False)
        custom[name] = {"path": f"{name}.csv", "language": language}
    return {"target": "german", "also": ["spanish", "chinese"], "custom": custom}


def params_of(corpora: dict[str, Any]) -> Params:
    sections: dict[str, Any] = {
        "corpora": corpora, "cells": {"sizes": [12], "repeats": 1}, "checks": {}, "arms": {"naive": {}}, "learners": {"tfidf": {}},
        "shap": {"explain": "tfidf", "encoder_rows": 0, "tokens": 60},
    }  # fmt: skip
    return validate(sections, "test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Paths, dict[str, pd.DataFrame], list[str]]:
    """Steps 00 to 02 on the three corpora, and what step 00 said."""
    root = tmp_path_factory.mktemp("languages")
    (root / "data").mkdir()
    (root / "data" / "catalog.yaml").write_text("{}", encoding="utf-8")
    params, paths, told = params_of(write(root)), Paths(root, "demo"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EMOSYNTH_CACHE", raising=False)
        patch.setattr("emosynth.corpora.build.say", told.append)
        build_corpora(params, Catalog.load(paths), paths)
        build_orders(params, paths)
        tables = build_materials(params, Catalog.load(paths), paths)
    return params, paths, tables, told


# --- which language -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "english"), [(["en"], True), (["en-GB"], True), (["de", "en_US"], True), (["de"], False), (["und"], False), ([], False)]
)
def test_which_corpora_count_as_english(tags: list[str], english: bool) -> None:
    assert is_english(tags) is english


def test_characters_of_scripts_without_spaces_are_words_of_their_own() -> None:
    assert spaced("今天 ok 很好!").split() == ["今", "天", "ok", "很", "好", "!"]
    for text in ("it's naïve, Größe!", "plain", ""):
        assert spaced(text) == text
    texts = {language: [text for text, _ in sentences(language)] for language in PARTS}
    assert [unsegmented(texts[language]) for language in PARTS] == [False, False, True]
    assert not unsegmented([" ".join(text) for text in texts["zh"]]), "cut into words it is as any other text"


# --- step by step ---------------------------------------------------------------------------------------


def test_step_00_says_what_is_english_only(made: tuple[Params, Paths, dict[str, pd.DataFrame], list[str]]) -> None:
    _, paths, _, told = made
    for language, name in NAMES.items():
        line = next(line for line in told if line.startswith(f"{name} ({language}): Prompts"))
        assert "measured in English alone" in line
        card = (paths.corpora / f"{name}.md").read_text(encoding="utf-8")
        assert "measured in English alone" in card and ("puts no space between words" in card) is (name == "chinese")
        corpus = load_corpus(paths, name)
        assert corpus.languages == [language] and len(corpus.frame) == 40, "different texts are no duplicates, in no script"


def test_a_language_that_nobody_named_is_unknown_not_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOSYNTH_CACHE", raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "catalog.yaml").write_text("{}", encoding="utf-8")
    corpora = write(tmp_path)
    for own in corpora["custom"].values():
        del own["language"]
    paths = Paths(tmp_path, "demo")
    build_corpora(params_of(corpora), Catalog.load(paths), paths)
    assert [load_corpus(paths, name).languages for name in NAMES.values()] == [["und"]] * 3


def test_near_copies_are_found_in_every_script(tmp_path: Path) -> None:
    for language in PARTS:
        texts = [text for text, _ in sentences(language)]
        copy = texts[0] + ("啊" if language == "zh" else " ya")
        assert repeating([copy, texts[1]], [texts[0], *texts[5:8]], 0.8).tolist() == [True, False], language
        assert largest_similarities([texts[0], copy, texts[1]]).round(1).tolist()[1] >= 0.8, language


def test_words_of_other_languages_are_no_english_function_words(made: tuple[Params, Paths, dict[str, pd.DataFrame], list[str]]) -> None:
    materials = made[2]["materials"]
    assert set(materials["corpus"]) == set(NAMES.values())
    tokens = materials[(materials["corpus"] == "german") & (materials["kind"] == "token") & (materials["label"] == "joy")]
    assert "so" in set(tokens["value"]), "an English function word, not a German one"


def test_a_script_of_the_seed_is_no_foreign_one() -> None:
    texts = {language: [text for text, _ in sentences(language)] for language in PARTS}
    assert own_scripts(texts["zh"]) == {"CJK"} and not own_scripts(texts["de"]) and not own_scripts(["how naïve of me to think so"])
    check = CharsetCheck(CharsetSettings())

    class Rows:
        def __init__(self, texts: list[str], seed_texts: list[str]) -> None:
            self.texts, self.seed_texts = texts, seed_texts

    def score(texts: list[str], seed: str) -> list[float]:
        return check.score(Rows(texts, sentences_of[seed])).tolist()  # type: ignore[arg-type]

    sentences_of = texts | {"en": ["so happy today"]}
    chinese = ["今天很好，谢谢！"]
    assert score(chinese, "zh") == [1.0] and score(chinese, "en") == [0.0]
    assert score(["привет"], "zh") == [0.0] and min(score(texts["de"] + texts["es"], "de")) > 0.9


def test_phenomena_of_other_languages_are_those_of_form() -> None:
    frame = phenomena(["War das nicht toll?", "Nein!", "今天好吗？"], {"toll": 3.0}, english=False)
    assert list(frame.columns) == ["question", "exclamation", "short", "long"]
    assert frame["question"].tolist() == [True, False, True]
    gaps = Gaps(["Nicht gut?", "Sehr gut!"], np.array([0, 1]), ["a", "b"], ["gut"], english=False).table(np.array([0, 1]))
    assert not set(gaps.loc[gaps["grouping"] == "phenomenon", "group"]) & {"negation", "first person", "name or number"}


@pytest.mark.parametrize("language", list(PARTS))
def test_the_panel_leaves_out_what_is_english(language: str) -> None:
    texts = [text for text, _ in sentences(language)]
    quick = Authenticity(permutations=19, subsamples=5)

    def tag(_: Any) -> list[tuple[str, str]]:
        raise AssertionError("the tagger knows English alone")

    frame = authenticity_panel(texts[::2], texts[1::2], {("x", False): Sample.flat(texts)}, quick, tag, texts[:4], language=language)
    left_out = frame["family"].isin(["pronouns", "time", "tense"])
    assert frame[left_out]["value"].isna().all() and frame[left_out]["note"].str.contains(f"the corpus is in {language}").all()
    length = frame[(frame["arm"] == "x") & (frame["measure"] == "words_per_text")]["value"].item()
    counted = [len(text) if language == "zh" else len(text.replace(",", "").split()) for text in texts]
    assert length == pytest.approx(np.mean(counted)), "where no spaces are, characters count"


@pytest.mark.parametrize("language", list(PARTS))
def test_corpus_text_is_found_in_what_is_published(language: str, tmp_path: Path) -> None:
    texts = [text for text, _ in sentences(language)]
    (tmp_path / "page.html").write_text(f"<p>one &amp; <b>{texts[3]}</b>, and more</p>", encoding="utf-8")
    assert [leak.text for leak in find_corpus_text(tmp_path, texts)] == [texts[3]]
    guard = Texts(texts)
    assert guard.shares_run(f"… {texts[7]}!") and not guard.shares_run("nothing of the kind stands in this sentence")
    assert shares_words([f"{texts[7]}!", "ganz etwas anderes", "完全不同的一句话"], texts).tolist() == [True, False, False]


# --- the whole pipeline -----------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.model
@pytest.mark.timeout(3000)
def test_three_languages_run_through_every_step(tmp_path: Path) -> None:
    """German is the target, Spanish and Chinese stand beside it; the smoke profile's settings, the arms that are told apart by their pieces."""
    from test_end_to_end import copy_repository, environment, repro, share_assets

    root = copy_repository(tmp_path / "repo")
    small = deep_merge(read_file(root / "params.yaml"), read_file(root / "profiles" / "smoke.yaml"))
    small["cells"] = {"sizes": [16], "repeats": 1}
    small["shap"]["encoder_sizes"] = [16]
    arms = ["real+1x", "naive", "shap", "sentisynth", "emo-pillars", "ungrounded", "seed-long", "soft-seed", "eda"]  # all that claims name
    small["arms"] = {name: small["arms"][name] for name in arms}
    small["learners"]["encoder"]["arms"] = ["seed", "sentisynth"]
    del small["sweeps"]
    (root / "params.yaml").write_text(yaml.safe_dump(small, sort_keys=False), encoding="utf-8")
    for other in (root / "profiles").glob("*.yaml"):
        other.unlink()
    (root / "profiles" / "mine.yaml").write_text(yaml.safe_dump({"corpora": write(root)}), encoding="utf-8")
    cache = share_assets(tmp_path / "cache")
    subprocess.run(["python", "-m", "emosynth", "pipeline"], cwd=root, env=environment(root, cache), check=True, capture_output=True)
    repro(root, cache, "profiles/mine/dvc.yaml")
    paths = Paths(root, "mine")
    trials, panel = read_table(paths.trials / "trials.parquet"), read_table(paths.authenticity / "panel.parquet")
    assert set(trials["corpus"]) == set(panel["corpus"]) == set(NAMES.values())
    assert trials["macro_f1"].notna().all() and (paths.report / "index.html").is_file()
    for language, name in NAMES.items():
        assert read_json(paths.corpora / f"{name}.json")["languages"] == [language]
        rows = panel[(panel["corpus"] == name) & panel["family"].isin(["pronouns", "time", "tense"])]
        assert rows["value"].isna().all() and not panel[(panel["corpus"] == name) & (panel["family"] == "length")]["value"].isna().all()
        assert find_corpus_text(paths.report, list(load_corpus(paths, name).frame["text"])) == []
