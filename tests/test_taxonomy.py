"""Taxonomies, the maps between them, and labels outside them; the data file itself is checked, too."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from emosynth.corpora import Corpus
from emosynth.design.space import space_map, space_of_corpus, space_of_taxonomy
from emosynth.errors import UserError
from emosynth.taxonomy import Resolution, Resolver, Taxonomies, simplify

DATA = Path(__file__).parents[1] / "data" / "taxonomies.yaml"
REAL = Taxonomies.load(DATA)
# fmt: off
GOEMOTIONS = [
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire", "disappointment",
    "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism",
    "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
]
POSITIVE = {
    "joy", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief", "pride", "admiration", "desire", "caring",
}
NEGATIVE = {
    "fear", "nervousness", "remorse", "embarrassment", "disappointment", "sadness", "grief", "disgust", "anger", "annoyance", "disapproval",
}
# fmt: on


def taxonomy(**labels: tuple[str, str, list[str]]) -> dict[str, Any]:
    words = {
        label: {"phrase": phrase, "adjective": adjective, "synonyms": synonyms} for label, (phrase, adjective, synonyms) in labels.items()
    }
    return {"title": "T", "citation": "@misc{t}", "source": "S", "neutral": None, "labels": words}


def small() -> dict[str, Any]:
    """fine (4 labels) -> middle (3) -> coarse (2); island has no map."""
    return {
        "taxonomies": {
            "fine": taxonomy(
                anger=("anger", "angry", ["rage"]),
                love=("love", "loving", ["fondness"]),
                hope=("hope", "hopeful", ["confidence"]),
                blank=("nothing much", "blank", []),
            ),
            "middle": taxonomy(mad=("madness", "mad", []), joy=("joy", "happy", []), trust=("trust", "trusting", [])),
            "coarse": taxonomy(bad=("bad feelings", "bad", []), good=("good feelings", "good", [])),
            "island": taxonomy(left=("left", "left", []), right=("right", "right", [])),
        },
        "maps": [
            {
                "source": "fine",
                "target": "middle",
                "why": "test",
                "groups": {"mad": ["anger"], "joy": ["love", "hope"], "trust": ["love"]},
                "unmapped": ["blank"],
            },
            {"source": "middle", "target": "coarse", "why": "test", "groups": {"bad": ["mad"], "good": ["joy"]}, "unmapped": ["trust"]},
        ],
    }


def load(folder: Path, content: Any) -> Taxonomies:
    path = folder / "taxonomies.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return Taxonomies.load(path)


@pytest.fixture
def few(tmp_path: Path) -> Taxonomies:
    return load(tmp_path, small())


# --- maps -------------------------------------------------------------------------------------------


def shares(found: Taxonomies, source: str, target: str) -> np.ndarray:
    """Return the matrix of a map that there must be."""
    matrix = found.find_map(source, target)
    assert matrix is not None, f"no map from {source} to {target}"
    return matrix


def goes_to(found: Taxonomies, source: str, target: str, label: str) -> set[str]:
    """Return the labels that a label goes to."""
    row = shares(found, source, target)[found.get(source).labels.index(label)]
    return {name for name, share in zip(found.get(target).labels, row, strict=True) if share}


def test_direct_map(few: Taxonomies) -> None:
    assert shares(few, "fine", "middle").tolist() == [[1, 0, 0], [0, 0.5, 0.5], [0, 1, 0], [0, 0, 0]]
    assert goes_to(few, "fine", "middle", "love") == {"joy", "trust"} and goes_to(few, "fine", "middle", "blank") == set()


def test_composed_map_makes_up_lost_shares(few: Taxonomies) -> None:
    """Half of love goes to trust, which the second map drops: the other half, joy, stands for it."""
    assert shares(few, "fine", "coarse").tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]]


def test_shortest_path_then_order_of_the_file(tmp_path: Path) -> None:
    content = small()
    other = {"source": "fine", "target": "island", "why": "t", "groups": {"left": ["anger", "love", "hope", "blank"]}}
    back = {"source": "island", "target": "coarse", "why": "t", "groups": {"bad": ["left", "right"]}}
    content["maps"] += [other, back]
    assert goes_to(load(tmp_path, content), "fine", "coarse", "love") == {"good"}, "by way of middle"
    content["maps"].reverse()
    assert goes_to(load(tmp_path, content), "fine", "coarse", "love") == {"bad"}, "by way of island"
    content["maps"].append({"source": "fine", "target": "coarse", "why": "t", "groups": {"good": ["anger", "love", "hope", "blank"]}})
    assert goes_to(load(tmp_path, content), "fine", "coarse", "anger") == {"good"}, "directly"


def test_no_path_is_no_map(few: Taxonomies) -> None:
    assert few.find_map("coarse", "island") is None and few.find_map("coarse", "fine") is None
    with pytest.raises(UserError, match="did you mean middle"):
        few.find_map("midle", "fine")


@pytest.mark.timeout(20)
def test_circles_end(tmp_path: Path) -> None:
    content = small()
    content["maps"].append({"source": "coarse", "target": "middle", "why": "t", "groups": {"mad": ["bad"], "joy": ["good"]}})
    assert load(tmp_path, content).find_map("fine", "island") is None


def paths() -> list[tuple[str, str]]:
    return [(source, target) for source in REAL.names for target in REAL.names if REAL.find_map(source, target) is not None]


@pytest.mark.parametrize("name", REAL.names)
def test_identity(name: str) -> None:
    assert shares(REAL, name, name).tolist() == np.eye(len(REAL.get(name).labels)).tolist()


@pytest.mark.parametrize("pair", paths())
def test_rows_sum_to_one_or_nothing(pair: tuple[str, str]) -> None:
    matrix = shares(REAL, *pair)
    sums = matrix.sum(axis=1)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(sums[sums > 0], 1)


# --- the file ---------------------------------------------------------------------------------------


def edited(change: str) -> dict[str, Any]:
    content = copy.deepcopy(small())
    fine, maps = content["taxonomies"]["fine"]["labels"], content["maps"]
    match change:
        case "unknown source label":
            maps[0]["groups"]["mad"].append("hate")
        case "unknown target label":
            maps[0]["groups"]["fear"] = ["anger"]
        case "unknown unmapped label":
            maps[0]["unmapped"].append("hate")
        case "unknown taxonomy":
            maps[0]["target"] = "midle"
        case "forgotten label":
            maps[0]["unmapped"] = []
        case "mapped and unmapped":
            maps[0]["unmapped"].append("hope")
        case "named twice in a group":
            maps[0]["groups"]["joy"].append("hope")
        case "map twice":
            maps.append(maps[0])
        case "map to itself":
            maps[0]["target"] = "fine"
        case "duplicate adjective":
            fine["hope"]["adjective"] = "angry"
        case "synonym of two labels":
            fine["hope"]["synonyms"].append("Rage!")
        case "synonym twice":
            fine["anger"]["synonyms"].append("the rage")
        case "synonym is a label":
            fine["hope"]["synonyms"].append("love")
        case "synonym is its own label":
            fine["hope"]["synonyms"].append("hope")
        case "wordless synonym":
            fine["hope"]["synonyms"].append("...")
        case "unknown neutral":
            content["taxonomies"]["fine"]["neutral"] = "neutral"
        case "same labels":
            content["taxonomies"]["twin"] = content["taxonomies"]["fine"]
        case "unknown key":
            fine["hope"]["adverb"] = "hopefully"
        case "no reason":
            del maps[0]["why"]
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("unknown source label", "fine -> middle: fine has no label hate"),
        ("unknown target label", "fine -> middle: middle has no label fear"),
        ("unknown unmapped label", "fine has no label hate"),
        ("unknown taxonomy", "there is no taxonomy midle"),
        ("forgotten label", "blank must be either in a group or unmapped"),
        ("mapped and unmapped", "hope must be either in a group or unmapped"),
        ("named twice in a group", "joy names a label twice"),
        ("map twice", "given twice"),
        ("map to itself", "to itself"),
        ("duplicate adjective", "taxonomies.fine: .*hope: the adjective 'angry' is already the adjective of anger"),
        ("synonym of two labels", "hope: the synonym 'Rage!' is already the synonym of anger"),
        ("synonym twice", "anger: a synonym is listed twice"),
        ("synonym is a label", "hope: the synonym 'love' is already the label of love"),
        ("synonym is its own label", "hope: the synonym 'hope' is already the label of hope"),
        ("wordless synonym", "holds no word"),
        ("unknown neutral", "neutral is not one of the labels"),
        ("same labels", "twin: has the same labels as fine"),
        ("unknown key", "taxonomies.fine.labels.hope.adverb: Extra inputs"),
        ("no reason", r"maps\.0\.why: Field required"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path, edited(change))
    assert caught.value.where.endswith("taxonomies.yaml")
    assert caught.value.remedy


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of taxonomies"):
        Taxonomies.load(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="not valid YAML"):
        load(tmp_path, "taxonomies: [")
    with pytest.raises(UserError, match="not valid"):
        load(tmp_path, "")
    with pytest.raises(UserError, match="not valid YAML"):
        load(tmp_path, "? [a]\n: b\n")
    (tmp_path / "taxonomies.yaml").write_bytes(b"\xff")
    with pytest.raises(UserError, match="not UTF-8: byte 0xff at offset 0"):
        Taxonomies.load(tmp_path / "taxonomies.yaml")


def test_duplicate_label_is_named_with_its_line(tmp_path: Path) -> None:
    lines = yaml.safe_dump(small(), sort_keys=False).splitlines()
    at = lines.index("      love:")
    lines[at] = "      anger:"
    with pytest.raises(UserError, match=rf"(?s)the key 'anger' stands twice.*line {at + 1}"):
        load(tmp_path, "\n".join(lines))


# --- the data ---------------------------------------------------------------------------------------


def test_label_sets() -> None:
    assert REAL.names == (
        "goemotions",
        "ekman",
        "plutchik",
        "tweeteval-emotion",
        "valence-three",
        "valence-two",
        "isear",
        "emocontext",
        "iemocap",
    )
    assert list(REAL.get("goemotions").labels) == GOEMOTIONS
    assert set(REAL.get("ekman").labels) == {"anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"}
    assert set(REAL.get("plutchik").labels) == set(REAL.get("ekman").labels) | {"trust", "anticipation"}
    assert REAL.get("tweeteval-emotion").labels == ("anger", "joy", "optimism", "sadness")
    assert REAL.get("valence-three").labels == ("negative", "neutral", "positive")
    assert REAL.get("valence-two").labels == ("negative", "positive")
    assert {name: REAL.get(name).neutral for name in REAL.names} == {
        "goemotions": "neutral",
        "ekman": "neutral",
        "plutchik": "neutral",
        "tweeteval-emotion": None,
        "valence-three": "neutral",
        "valence-two": None,
        "isear": None,
        "emocontext": None,
        "iemocap": "neutral",
    }
    assert REAL.get("isear").labels == ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")
    assert REAL.get("emocontext").labels == ("others", "happy", "sad", "angry")


def test_new_taxonomies_leave_the_ways_between_the_others() -> None:
    """A label of ISEAR, EmoContext or IEMOCAP is never a step between two of the others: texts written earlier keep their labels."""
    later = {"isear", "emocontext", "iemocap"}
    for source, target in paths():
        if not {source, target} & later:
            found = REAL._path(source, target)
            assert found is not None and not later & set(found), (source, target)


def test_shame_and_guilt_have_counterparts() -> None:
    assert goes_to(REAL, "isear", "goemotions", "shame") == {"embarrassment"} and goes_to(REAL, "goemotions", "isear", "remorse") == {
        "guilt"
    }
    assert goes_to(REAL, "isear", "ekman", "guilt") == {"sadness"} and goes_to(REAL, "iemocap", "isear", "frustration") == {"anger"}
    assert goes_to(REAL, "emocontext", "valence-three", "others") == set(), "it is not neutral: it holds emotions too"


def test_published_ekman_groups() -> None:
    groups: dict[str, set[str]] = {}
    for label in GOEMOTIONS:
        (target,) = goes_to(REAL, "goemotions", "ekman", label)
        groups.setdefault(target, set()).add(label)
    assert groups == {
        "anger": {"anger", "annoyance", "disapproval"},
        "disgust": {"disgust"},
        "fear": {"fear", "nervousness"},
        "joy": POSITIVE,
        "sadness": {"sadness", "disappointment", "embarrassment", "grief", "remorse"},
        "surprise": {"surprise", "realization", "confusion", "curiosity"},
        "neutral": {"neutral"},
    }


def test_published_poles() -> None:
    for label in GOEMOTIONS:
        pole = {"negative"} if label in NEGATIVE else {"positive"} if label in POSITIVE else set()
        assert goes_to(REAL, "goemotions", "valence-two", label) == pole
        assert goes_to(REAL, "goemotions", "valence-three", label) == (pole or {"neutral"})


def test_dyads_are_halves() -> None:
    matrix, labels = shares(REAL, "goemotions", "plutchik"), REAL.get("plutchik").labels
    for label, parts in {
        "love": {"joy", "trust"},
        "optimism": {"joy", "anticipation"},
        "remorse": {"sadness", "disgust"},
        "disappointment": {"surprise", "sadness"},
    }.items():
        row = matrix[GOEMOTIONS.index(label)]
        assert {target: share for target, share in zip(labels, row, strict=True) if share} == dict.fromkeys(parts, 0.5)


@pytest.mark.parametrize("name", REAL.names)
def test_every_taxonomy_reaches_both_poles(name: str) -> None:
    assert (shares(REAL, name, "valence-two").sum(axis=0) > 0).all()


def test_maps_agree_on_the_pole() -> None:
    """Whatever way a label takes, it never ends at the other pole."""
    for source, via in paths():
        for label in REAL.get(source).labels:
            direct = goes_to(REAL, source, "valence-two", label)
            detour = {end for mid in goes_to(REAL, source, via, label) for end in goes_to(REAL, via, "valence-two", mid)}
            assert not direct or not detour or direct == detour, (source, via, label)


@pytest.mark.parametrize("name", REAL.names)
def test_own_words_resolve_to_their_label(name: str) -> None:
    found = REAL.get(name)
    resolver = Resolver(found, no_embedding, 0.5)
    for label in found.labels:
        for how, words in {"label": found.own_words(label), "synonym": found.synonyms[label]}.items():
            assert [(item.label, item.how) for item in resolver.resolve([word.upper() for word in words])] == [(label, how)] * len(words)


def test_citations_are_balanced_bibtex() -> None:
    for name in REAL.names:
        citation = REAL.get(name).citation
        assert citation.startswith("@") and citation.count("{") == citation.count("}")
        assert all(field in citation for field in ("title = ", "author = ", "year = "))


# --- as spaces ----------------------------------------------------------------------------------------


def corpus(*classes: str, task: str = "single", **phrases: str) -> Corpus:
    frame = pd.DataFrame({"id": [], "text": [], "labels": [], "split": [], "corpus": []})
    return Corpus("own", frame, list(classes), task, "note", {label: phrases.get(label, label) for label in classes})


def test_space_of_a_corpus_with_a_taxonomy() -> None:
    space = space_of_corpus(corpus("positive", "negative", "neutral", negative="negative feelings"), REAL)
    assert space.labels == ("positive", "negative", "neutral") and space.single and space.neutral == "neutral"
    assert space.phrases["negative"] == "negative feelings", "the corpus's own words come first"
    assert space.adjectives == {"positive": "good", "negative": "bad", "neutral": "neutral"}


def test_space_of_a_corpus_of_ones_own() -> None:
    space = space_of_corpus(corpus("joy", "anger", "other", task="multi", other="something else"), REAL)
    assert not space.single and space.neutral is None
    assert space.adjectives == space.phrases == {"joy": "joy", "anger": "anger", "other": "something else"}


def test_map_between_spaces_of_the_same_labels() -> None:
    ekman = space_of_taxonomy(REAL.get("ekman"))
    assert space_map(ekman, ekman, REAL).how == "same"
    turned = space_of_corpus(corpus(*reversed(ekman.labels)), REAL)
    found = space_map(ekman, turned, REAL)
    assert found.how == "same" and found.matrix.tolist() == np.eye(7)[::-1].tolist()


def test_published_map_between_spaces_follows_the_order_of_the_corpus() -> None:
    goemotions, target = space_of_taxonomy(REAL.get("goemotions")), space_of_corpus(corpus("positive", "negative", "neutral"), REAL)
    found = space_map(goemotions, target, REAL)
    assert found.how == "published" and found.unmapped_target == ()
    for label, row in zip(goemotions.labels, found.matrix, strict=True):
        pole = "negative" if label in NEGATIVE else "positive" if label in POSITIVE else "neutral"
        assert dict(zip(target.labels, row, strict=True)) == {name: float(name == pole) for name in target.labels}
    # mean logits of the labels taken in
    np.testing.assert_allclose(found.head().sum(axis=0), 1)


def test_map_by_words_to_a_corpus_of_ones_own() -> None:
    goemotions, target = space_of_taxonomy(REAL.get("goemotions")), space_of_corpus(corpus("Rage", "joy", "other"), REAL)
    found = space_map(goemotions, target, REAL)
    assert found.how == "words" and found.unmapped_target == ("other",)
    mapped = {(goemotions.labels[i], target.labels[j]) for i, j in zip(*np.nonzero(found.matrix), strict=True)}
    assert mapped == {("anger", "Rage"), ("joy", "joy")}
    p = np.zeros((1, 28))
    p[0, goemotions.labels.index("anger")] = 0.7
    assert found.project(p).tolist() == [[0.7, 0, 0]]


# --- labels outside the taxonomy --------------------------------------------------------------------

VECTORS = {
    "anger": (1, 0, 0),
    "angry": (1, 0, 0),
    "rage": (0.8, 0.6, 0),
    "love": (0, 1, 0),
    "loving": (0, 1, 0),
    "fury": (0.6, 0.8, 0),  # cosine 0.96 to rage, 0.8 to love
    "xylophone": (0.28, 0, 0.96),
}


def fake(texts: Sequence[str]) -> np.ndarray:
    return np.array([VECTORS.get(text, (0, 0, 0)) for text in texts], dtype=np.float32)


def no_embedding(texts: Sequence[str]) -> np.ndarray:
    raise AssertionError(f"embedded {texts}")


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("  The Anger! ", "anger"),
        ("Very-Negative", "very negative"),
        ("self_conscious", "self conscious"),
        ("'Happy.'", "happy"),
        ("Don’t know", "don't know"),
        ("a", ""),
        ("?!", ""),
        ("&amp;", ""),
    ],
)
def test_simplify(raw: str, plain: str) -> None:
    assert simplify(raw) == plain


@given(st.text(max_size=30))
def test_simplify_is_idempotent(raw: str) -> None:
    assert simplify(simplify(raw)) == simplify(raw)


def test_words_come_before_embeddings(few: Taxonomies) -> None:
    resolver = Resolver(few.get("fine"), no_embedding, 0.5)
    wanted = {
        "Anger": ("anger", "label"),
        "angry.": ("anger", "label"),
        "angrily": ("anger", "label"),
        "Nothing much": ("blank", "label"),
        "loved": ("love", "label"),
        "nothing muchness": ("blank", "label"),
        "hopes": ("hope", "label"),
        "hoping": ("hope", "label"),
        "rages": ("anger", "synonym"),
        "raging": ("anger", "synonym"),
        "confidence": ("hope", "synonym"),
        "not angry": (None, "rejected"),
        "isn't angry": (None, "rejected"),
        " -- ": (None, "empty"),
    }
    found = resolver.resolve(list(wanted))
    assert {item.raw: (item.label, item.how) for item in found} == wanted
    assert [item.similarity for item in found] == [1.0] * 11 + [0.0] * 3
    with pytest.raises(UserError, match="must be a string"):
        resolver.resolve([None])  # type: ignore[list-item]


def test_word_of_two_labels_by_inflection_is_left_to_the_embedding(tmp_path: Path) -> None:
    content = small()
    content["taxonomies"]["fine"]["labels"]["anger"]["synonyms"] = ["hoped"]
    (found,) = Resolver(load(tmp_path, content).get("fine"), fake, 0.5).resolve(["hopes"])
    assert found == Resolution("hopes", None, 0.0, "rejected")


def test_nearest_label_by_its_nearest_word(few: Taxonomies) -> None:
    fury, xylophone = Resolver(few.get("fine"), fake, 0.9).resolve(["Fury!", "xylophone"])
    assert (fury.label, fury.how) == ("anger", "neighbour")
    assert fury.similarity == pytest.approx(0.96)
    assert (xylophone.label, xylophone.how) == (None, "rejected")
    assert xylophone.similarity == pytest.approx(0.28)
    (low,) = Resolver(few.get("fine"), fake, 0.27).resolve(["xylophone"])
    assert (low.label, low.how) == ("anger", "neighbour")
    (high,) = Resolver(few.get("fine"), fake, 0.97).resolve(["fury"])
    assert (high.label, high.how) == (None, "rejected")


def test_each_unknown_label_is_embedded_once(few: Taxonomies) -> None:
    calls: list[list[str]] = []

    def counting(texts: Sequence[str]) -> np.ndarray:
        calls.append(list(texts))
        return fake(texts)

    resolver = Resolver(few.get("fine"), counting, 0.5)
    resolver.resolve(["fury", "Fury", "anger", "the fury"])
    resolver.resolve(["xylophone"])
    words = ["anger", "angry", "rage", "love", "loving", "fondness", "hope", "hopeful", "confidence", "blank", "nothing much"]
    assert calls == [words, ["fury"], ["xylophone"]]
    assert resolver.resolve([]) == []
