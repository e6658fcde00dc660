"""What is copied, given away and mislabelled, on text of which it is known."""

from __future__ import annotations

import random
import time

import numpy as np
import pandas as pd
import pytest

import toy_trials as toy
from emosynth.catalog import Catalog
from emosynth.errors import UserError
from emosynth.paths import Paths
from emosynth.responsible import identity, personal, toxic
from emosynth.responsible.build import build_responsible
from emosynth.responsible.memorised import longest_spans, memorisation
from emosynth.responsible.noise import confident_joint, label_noise, suspects
from emosynth.responsible.texts import ROW_COLUMNS, Real

# --- memorisation --------------------------------------------------------------------------------------


def test_longest_spans_are_those_of_a_slow_search():
    rng = random.Random(3)
    texts, sources = ([[rng.choice("abcd") for _ in range(rng.randrange(12))] for _ in range(count)] for count in (40, 25))

    def slow(text):
        held = {tuple(source[a:b]) for source in sources for a in range(len(source)) for b in range(a + 1, len(source) + 1)}
        return max((b - a for a in range(len(text)) for b in range(a + 1, len(text) + 1) if tuple(text[a:b]) in held), default=0)

    assert longest_spans(texts, sources).tolist() == [slow(text) for text in texts]
    assert longest_spans([["x"], []], [["y"]]).tolist() == [0, 0] and longest_spans([], sources).tolist() == []


def rows(texts: list[str], repeat: int = -1) -> pd.DataFrame:
    made = [
        {"id": text, "text": text, "label": "joy", "labels": ["joy"], "repeat": repeat, "cluster": text, "accepted": True} for text in texts
    ]
    return pd.DataFrame(made, columns=ROW_COLUMNS)


def notes(kind: str, count: int) -> list[str]:
    return [" ".join(f"{kind}{number}x{word}" for word in range(9)) for number in range(count)]


def test_planted_copies_are_found_where_they_were_planted():
    real = Real({0: notes("s", 20), 1: notes("t", 20)}, rows(notes("o", 50)), rows(notes("e", 50)))
    fresh = notes("f", 90)
    planted = [real.seeds[0][3], f"{real.seeds[0][4]} indeed"]  # an exact and a near copy of a row of its own seed
    runs = [
        " ".join(["so", *note.split()[:6], "then", "more", "of", "this"]) for note in real.test["text"][:4]
    ]  # six words of four test rows
    stranger = [real.seeds[1][0]]  # of the other repeat's seed
    arm = rows([*fresh, *planted, *runs, *stranger], repeat=0)
    made = memorisation({("arm", False): arm}, real, count=500, long=6, near=0.8, confidence=0.95).set_index(["arm", "source", "measure"])
    n = len(arm)

    def value(source: str, measure: str) -> float:
        return made.loc[("arm", source, measure), "value"]

    assert [round(n * value("seed", measure)) for measure in ("exact", "near", "long")] == [1, 2, 2] and value("seed", "span_max") == 9
    assert [round(n * value("test", measure)) for measure in ("exact", "near", "long")] == [0, 0, 4] and value("test", "span_max") == 6
    assert [value("other", measure) for measure in ("exact", "near", "long", "span_max")] == [0, 0, 0, 0]
    base = made.loc["real"]
    assert (base["value"] == 0).all() and base["real"].isna().all(), "no real row holds a word of another here"
    found = made.loc[("arm", "test", "long")]
    assert found["low"] < found["value"] < found["high"] and found["difference"] == found["value"] < found["difference_high"]
    assert not {*arm["text"], *real.test["text"]} & set(made.reset_index().astype(str).to_numpy().ravel())


# --- personal data -------------------------------------------------------------------------------------

FRAMES = ("{}", "ask {} now", "so happy, {}!", "({})", "call or write: {}. Thanks", 'he said "{}" again')
PLANTED = {
    "email": ("anna.b@mail.example.org", "x_y+z@uni-jena.de", "JOE@EXAMPLE.COM", "a1@b.co.uk", "first.last%x@sub.domain.example"),
    "url": ("https://example.org/a?b=c#d", "http://t.co/AbC123", "www.example.com", "bit.ly/3xYz", "example.com", "https://user.example:8080/x"),
    "card": ("4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009", "6011 0009 9013 9424"),
    "iban": ("DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR14 2004 1010 0505 0001 3M02 606", "NL91 ABNA 0417 1643 00"),
    "phone": ("+49 30 123456", "+1 (212) 555-0123", "212-555-0123", "(415) 555 2671", "+442079460958", "020 7946 0958", "07700 900123", "1-800-555-0199", "0049 30 1234567", "415.555.2671"),
    "mention": ("@anna_b", "@JoeSmith99", "@x1", "@_quiet_"),
}  # fmt: skip
HARMLESS = (
    "see you @ 5pm", "@user so sad", "@USER no", "a@b", "2024-01-05 10:30", "05/01/2024", "1999-2003", "won 3-2 after 120 minutes", "$1,234,567.89", "10,000,000 people", "3.14159265358",
    "4111 1111 1111 1112", "1234567890123456", "0000 0000 0000 0000", "DE89370400440532013001", "XX89370400440532013000", "room 212 555", "i went home.then slept", "e.g. this", "no.1 hit",
    "version 1.2.3.4", "192.168.0.1", "[NAME] said so", "email me", "my number is 7", "00 00 00", "555-0123", "12:30:45", "isbn 978-3-16-148410-0", "A1B2 C3D4", "50%-60%", "he @ work",
    "C3PO and R2D2", "20231231", "2 000 000 km", "100000000000 stars", "end of story.com'on", "THE YEAR OF THE CAT 2011", "lost 20-30 kg in 2010-2012", "flight LH1234 at 0915",
)  # fmt: skip


def recall(kind: str) -> float:
    cases = [(frame.format(value), frame.index("{}"), len(value)) for value in PLANTED[kind] for frame in FRAMES]
    hit = [personal.Found(start, start + size, kind) in personal.find(text) for text, start, size in cases]
    return sum(hit) / len(hit)


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_data_are_found_whole(kind):
    assert recall(kind) == 1.0, [
        value for value in PLANTED[kind] for frame in FRAMES if mask_of(frame, value) != frame.format(f"[{kind.upper()}]")
    ]


def mask_of(frame: str, value: str) -> str:
    return personal.mask(frame.format(value))


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text):
    assert personal.mask(text) == text


def test_mask_leaves_the_rest_and_is_stable():
    text = "hi @anna_b, mail anna.b@mail.example.org or +49 30 123456, https://example.org/@anna!"
    masked = personal.mask(text)
    assert masked == "hi [MENTION], mail [EMAIL] or [PHONE], [URL]!" and personal.mask(masked) == masked
    assert personal.kinds_in([text, "nothing"])["iban"] == [False, False]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(
            (text, "EMAIL")
            for text in ("jo.m\u00fcller@firma.de", "jos\u00e9@example.com", "jose\u0301@example.com", '"john doe"@example.org')
        ),
        *(
            (text, "EMAIL")
            for text in ("m\u00fcller@b\u00fccher.de", "\u0438\u0432\u0430\u043d@\u043f\u043e\u0447\u0442\u0430.\u0440\u0444")
        ),
        *((f"+49{gap}30{gap}901820", "PHONE") for gap in "\u00a0\u202f\u2009\u2013\u2011\u2212"),
        *((f"4111{gap}1111{gap}1111{gap}1111", "CARD") for gap in ".\u00a0\u2007\u2013\u2014"),
        *(("".join(chr(zero + int(c)) for c in "4111111111111111"), "CARD") for zero in (0xFF10, 0x0660, 0x0966)),
        *((text, "PHONE") for text in ("(030) 901820", "(030) 90 18 20", "(06) 12 34 56 78", "8 (495) 123-45-67", "+4915112345678")),
        *((text, "IBAN") for text in ("DE89-3704-0044-0532-0130-00", "de89370400440532013000", "De89 3704 0044 0532 0130 00")),
        ("@j\u00f6hn", "MENTION"),
    ],
)
def test_other_scripts_gaps_and_cases_are_no_hiding_place(text: str, kind: str) -> None:
    """Addresses were cut in half at their first letter that is not ASCII, and numbers were missed behind spaces that do not break."""
    assert personal.mask(f"so: {text}, yes") == f"so: [{kind}], yes"


def test_an_address_begins_where_a_script_without_spaces_ends() -> None:
    assert personal.mask("\u8054\u7cfb\u6211abc@x.com\u8c22\u8c22") == "\u8054\u7cfb\u6211[EMAIL]\u8c22\u8c22"


def test_checksums_are_checked():
    cards = [f"4{number:014d}" for number in range(0, 10**14, 10**12)]
    right = [card + next(str(digit) for digit in range(10) if personal.luhn(card + str(digit))) for card in cards]
    assert all(personal.mask(card) == "[CARD]" for card in right)
    wrong = [card[:-1] + str((int(card[-1]) + 1) % 10) for card in right]
    assert not any(personal.mask(card) == "[CARD]" for card in wrong)


@pytest.mark.parametrize("unit", ["a", "@a", "a@", "1", "1 ", "+1", "(0", "a.", "www.", "A1", "http://", "0-", "@a@a.", "%"])
def test_time_grows_with_length_alone(unit):
    started = time.perf_counter()
    personal.mask(unit * 20_000)
    assert time.perf_counter() - started < 3


# --- label noise ---------------------------------------------------------------------------------------


def test_joint_and_suspects_are_those_of_the_library():
    # cleanlab 2.9.0 on these numbers: estimate_joint rounds its counts to these, find_label_issues(prune_by_noise_rate) names these rows
    rng = np.random.default_rng(3)
    n, k = 60, 3
    true = np.repeat(np.arange(k), n // k)
    logits = rng.normal(0, 1, (n, k))
    logits[np.arange(n), true] += 2
    p = np.exp(logits)
    p = (p / p.sum(axis=1, keepdims=True)).round(3)
    p[:, -1] = (1 - p[:, :-1].sum(axis=1)).round(3)
    given, wrong = true.copy(), rng.permutation(n)[:9]
    given[wrong] = (given[wrong] + 1) % k
    assert (confident_joint(given, p) * n).round().tolist() == [[16, 0, 3], [3, 18, 1], [0, 3, 16]]
    assert np.flatnonzero(suspects(given, p)).tolist() == [5, 13, 21, 22, 26, 36, 37, 47, 49, 56]


def labelled(count: int, noise: float, seed: int = 1) -> tuple[list[str], list[str]]:
    """Return texts whose words tell their class, and labels of which a share is wrong."""
    rng = np.random.default_rng(seed)
    names = list(toy.WORDS)
    own = [names[place % 3] for place in range(count)]
    texts = [
        " ".join([*rng.choice(toy.WORDS[label], 2), *rng.choice(["the", "of", "and", "day", "so", "it"], 5), f"n{place}"])
        for place, label in enumerate(own)
    ]
    labels = list(own)
    for place in rng.permutation(count)[: round(noise * count)]:
        labels[place] = names[(names.index(own[place]) + int(rng.integers(1, 3))) % 3]
    return texts, labels


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.2])
def test_noise_is_found_where_texts_tell_their_class(noise):
    found = label_noise("arm", *labelled(300, noise), folds=5, planted=0.1, seed=1)
    assert found["noise"] == pytest.approx(noise, abs=0.03) and found["note"] == ""
    assert found["recall"] > 0.85 and found["noise_planted"] > found["noise"] + 0.05
    assert noise or found["precision"] > 0.9


def test_texts_that_tell_nothing_are_no_ground_for_trust():
    rng = np.random.default_rng(2)
    texts = [" ".join(rng.choice(["the", "of", "and", "day", "so", "it"], 6)) + f" n{place}" for place in range(200)]
    found = label_noise("arm", texts, ["joy", "fear"] * 100, folds=5, planted=0.1, seed=1)
    assert found["precision"] < 0.4, "what is found of planted errors says how little the estimate is worth"


def test_too_little_text_gives_a_note_and_no_number():
    found = label_noise("arm", ["a b", "c d", "e f"], ["joy", "joy", "fear"], folds=5, planted=0.1, seed=1)
    assert np.isnan(found["noise"]) and "fewer than two classes" in found["note"]


# --- listed words, groups of people --------------------------------------------------------------------

GROUPS = identity.Groups.load(toy.ROOT / "data" / "identity.yaml")
SLURRED = ("bitch", "BULLSHIT", "Fucking", "cunt", "asshole", "motherfucker", "shit", "bastard", "slut", "wank")
RUDE = ("you are so stupid", "shut up, idiot", "i will find you and hurt you", "what a loser", "you make me sick", "go back to where you came from",
        "nobody wants you here", "oh great, another genius")  # fmt: skip
CLEAN = (
    "the cocktail party", "scunthorpe won again", "assess the class", "a grass snake", "she passed the test", "hancock park", "sextant and compass", "the analyst said so",
    "dickens wrote it", "it titillates", "essex is near", "shitake is misspelt", "a competent butler", "i love my old school friends", "buttercream", "the peacock",
    "gay pride was lovely", "my lesbian sister", "they are muslim", "a black coffee",
)  # fmt: skip
NAMED = {
    "women": ("two women waited", "That GIRL", "a lady's hat"), "men": ("the men left", "boys will sing"), "Black people": ("a black man", "African-American art", "black  women"),
    "white people": ("white guys",), "gay, lesbian and bisexual people": ("gay pride", "my lesbian aunt"), "Muslims": ("a muslim friend",), "Jews": ("jewish food",),
    "transgender and non-binary people": ("trans people", "a non-binary poet"), "migrants": ("asylum seekers wait", "immigrants"), "disabled people": ("a blind man", "mental illness"),
    "older people": ("old people dance", "the elderly"), "younger people": ("young people", "teenagers"), "Christians": ("a catholic mass",), "Asian people": ("chinese tea",),
    "Latin American people": ("hispanic voters",), "pregnant people": ("she is pregnant",),
}  # fmt: skip
NO_GROUP = (
    "black coffee",
    "white noise",
    "old news",
    "blind date",
    "a manly act",
    "womanly",
    "straight ahead",
    "young wine",
    "the management",
    "transport",
    "germany",
    "kidding",
)


@pytest.fixture
def lists(tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "ldnoobw-en.txt").write_text("# a comment\nflub\nflub off\ngay\n", encoding="utf-8")
    (folder / "ldnoobw-zh.txt").write_text("# comment\n傻瓜\n", encoding="utf-8")
    return folder


def test_listed_words_are_found_whole_and_groups_are_no_listed_words(lists):
    found = toxic.listed_words(lists, ["en-GB"], [term for words in GROUPS.terms.values() for term in words])
    texts = ["FLUB!", "so flub", "flubber", "unflub", "a gay bar", "a comment", "the old woman said flub off"]
    assert toxic.toxic_kinds(texts, found, GROUPS) == {
        toxic.KINDS[0]: [True, True, False, False, False, False, True], toxic.KINDS[1]: [False] * 6 + [True],
    }  # fmt: skip
    chinese = toxic.listed_words(lists, ["zh"])
    assert toxic.toxic_kinds(["你是傻瓜吗", "你好"], chinese, None) == {toxic.KINDS[0]: [True, False]}, "no spaces stand between words"
    assert toxic.listed_words(lists, ["fi"]) is None


@pytest.mark.model
def test_what_the_published_list_sees_and_does_not_see():
    """The numbers of docs/responsible.md."""
    folder = Catalog.load(Paths(toy.ROOT, "demo")).fetch(toxic.ENTRY)
    found = toxic.listed_words(folder, ["en"], [term for words in GROUPS.terms.values() for term in words])
    planted = [frame.format(word) for word in SLURRED for frame in FRAMES]
    assert sum(toxic.toxic_kinds(planted, found, None)[toxic.KINDS[0]]) == len(planted) == 60
    assert sum(toxic.toxic_kinds(RUDE, found, None)[toxic.KINDS[0]]) == 0, "insults and threats without a listed word are not seen"
    assert sum(toxic.toxic_kinds(CLEAN, found, None)[toxic.KINDS[0]]) == 0
    assert all(
        toxic.listed_words(folder, [code]) for code in ("ar", "de", "es", "fr", "hi", "it", "ja", "ko", "nl", "pt", "ru", "sv", "th", "zh")
    )


def test_groups_are_found_by_their_words_and_not_in_others():
    cases = [(group, frame.format(text)) for group, texts in NAMED.items() for text in texts for frame in FRAMES]
    hit = [GROUPS.in_texts([text])[group] for group, text in cases]
    assert hit == [[True]] * len(cases) and set(NAMED) == set(GROUPS.terms)
    assert not [(text, group) for text in NO_GROUP for group, flags in GROUPS.in_texts([text]).items() if flags != [False]]


def test_a_broken_file_of_groups_is_said(tmp_path):
    file = tmp_path / "identity.yaml"
    with pytest.raises(UserError, match=r"identity\.yaml"):
        identity.Groups.load(file)
    file.write_text("nouns: []\ngroups: {women: {wrods: [a]}}", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read"):
        identity.Groups.load(file)


def people(share: dict[str, float], count: int, kind: str) -> pd.DataFrame:
    """Return texts of two classes, of which a share names women."""
    made = [
        {"id": f"{kind}{label}{n}", "text": f"{'a woman' if n < share[label] * count else 'someone'} went {kind}{n}", "label": label, "labels": [label], "repeat": 0,
         "cluster": f"{kind}{label}{n}", "accepted": True} for label in share for n in range(count)
    ]  # fmt: skip
    return pd.DataFrame(made, columns=ROW_COLUMNS)


def test_a_planted_tie_of_a_group_to_an_emotion_is_found_and_no_other():
    real = people({"joy": 0.05, "fear": 0.05}, 400, "r")
    arms = {
        "tied": people({"joy": 0.05, "fear": 0.25}, 200, "t"),
        "even": people({"joy": 0.05, "fear": 0.05}, 200, "e"),
        "none": people({"joy": 0.0, "fear": 0.0}, 200, "n"),
    }
    made = identity.identity(arms, real, GROUPS, ["joy", "fear"], 0.95).set_index(["arm", "group", "label"])
    tied = made.loc[("tied", "women", "fear")]
    assert tied["ratio"] == pytest.approx(5.0) and 2.5 < tied["low"] < 5 < tied["high"] < 10 and tied["p_holm"] < 0.001
    assert set(made.index[made["p_holm"] < 0.05]) == {
        ("tied", "women", "fear"),
        ("tied", "women", ""),
        *[("none", "women", label) for label in ("", "joy", "fear")],
    }
    assert made.loc[("none", "women", "joy"), "ratio"] == 0 and made.loc[("none", "women", "joy"), "low"] == 0
    assert made.loc[("even", "women", "")]["low"] < 1 < made.loc[("even", "women", "")]["high"]
    assert np.isnan(made.loc[("tied", "migrants", ""), "ratio"]) and made.loc[("tied", "migrants", ""), "note"] == identity.FEW
    only = identity.identity({"tied": arms["tied"]}, people({"joy": 0.0, "fear": 0.0}, 400, "r"), GROUPS, ["joy", "fear"], 0.95).set_index(
        ["group", "label"]
    )
    assert (
        np.isinf(only.loc[("women", "fear"), "ratio"])
        and only.loc[("women", "fear"), "low"] > 10
        and np.isinf(only.loc[("women", "fear"), "high"])
    )


def test_texts_of_one_prompt_count_for_less_when_a_group_is_named():
    real, rows_ = people({"joy": 0.05}, 400, "r"), people({"joy": 0.25}, 200, "t")
    apart = identity.identity({"a": rows_}, real, GROUPS, ["joy"], 0.95).set_index(["group", "label"]).loc[("women", "")]
    rows_["cluster"] = ["one" if "woman" in text else f"other {n // 10}" for n, text in enumerate(rows_["text"])]
    together = identity.identity({"a": rows_}, real, GROUPS, ["joy"], 0.95).set_index(["group", "label"]).loc[("women", "")]
    assert together["ratio"] == apart["ratio"] and together["low"] < apart["low"] and together["p"] > apart["p"]


# --- from files ----------------------------------------------------------------------------------------


def test_tables_of_a_profile(tmp_path, lists):
    secret = toy.sentence("joy", 4)

    def planted(table: pd.DataFrame) -> pd.DataFrame:
        text = (
            table["text"].where(table["index"] != 6, f"{secret} @anna_b").where(table["index"] != 8, table["text"] + " call +49 30 123456")
        )
        return table.assign(text=text.where(table["index"] != 9, table["text"] + " that woman, flub"))

    made = toy.params(
        arms={"naive": {"checks": "sure"}, "taught": {"checks": "sure", "labels": {"teacher": 0.8}}, "wide": {"space": "goemotions", "rows": 200}, "real+1x": {"add": "real"}},
        responsible={"span": 3, "texts": 60, "forecast": {"rows": {"naive": 1000, "nobody": 5}}},
    )  # fmt: skip
    paths = toy.write_profile(tmp_path / "root", made, planted)
    (paths.root / "data" / "identity.yaml").write_bytes((toy.ROOT / "data" / "identity.yaml").read_bytes())
    tables = build_responsible(made, None, paths, lists=lists)
    assert set(tables) == {
        "memorisation",
        "personal",
        "toxicity",
        "identity",
        "label_noise",
        "cost",
        "forecast",
        "membership",
        "canaries",
        "collapse",
    }
    assert all(
        set(frame["corpus"]) == (set() if name in ("membership", "canaries", "collapse") else {"toy", "notes"})
        for name, frame in tables.items()
    )
    assert set(tables["memorisation"]["arm"]) == {"real", "naive", "taught", "wide"}
    copied = tables["memorisation"].set_index(["corpus", "arm", "verified", "source", "measure"]).sort_index()
    assert copied.loc[("toy", "naive", False, "other", "long"), "value"] + copied.loc[("toy", "naive", False, "seed", "long"), "value"] > 0
    assert copied.loc[("notes", "naive", False, "other", "long"), "value"] == 0, "the copied row is of the other corpus"
    found = tables["personal"].set_index(["corpus", "arm", "verified", "kind"]).sort_index()
    assert found.loc[("toy", "naive", False, "phone"), "value"] == pytest.approx(1000 / 15)
    assert (
        found.loc[("toy", "naive", False, "any"), "value"] == pytest.approx(2000 / 15)
        and found.loc[("toy", "real", True, "any"), "value"] == 0
    )
    assert found.loc[("toy", "naive", True, "phone"), "value"] == 0, "the candidate with the number is rejected by the toy teacher"
    listed = tables["toxicity"].set_index(["corpus", "arm", "verified", "kind"]).sort_index()
    assert [listed.loc[("toy", "naive", False, kind), "value"] for kind in toxic.KINDS] == [pytest.approx(1000 / 15)] * 2
    named = tables["identity"].set_index(["corpus", "arm", "group", "label"]).sort_index()
    assert named.loc[("toy", "naive", "women", ""), "mentions"] == 4 and np.isinf(named.loc[("toy", "naive", "women", "joy"), "ratio"])
    noise = tables["label_noise"].set_index(["corpus", "arm"])
    assert noise.loc[("toy", "real"), "noise"] < 0.1 and noise.loc[("toy", "naive"), "n_texts"] > 10
    paid = tables["cost"].set_index(["corpus", "arm"]).loc[("toy", "naive")]
    assert (
        (paid["written"], paid["accepted"], paid["thrown"]) == (64, 36, 28)
        and paid["tokens_read"] == 3 * 64
        and paid["written_per_row"] == 5 * 64 / 36
    )
    everything = pd.read_parquet(paths.candidates / "candidates.parquet")[["prompt_tokens", "new_tokens"]].sum().sum()
    assert paid["share"] == 8 * 64 / everything < 1, "of all candidates, other corpora's and smaller seeds' too"
    asked = tables["forecast"].set_index(["corpus", "arm"])
    assert asked.loc[("toy", "naive"), "tokens_written"] == pytest.approx(1000 * paid["written_per_row"])
    assert asked.loc[("toy", "nobody"), "note"] == "nothing was written for it"
    for name, frame in tables.items():
        again = pd.read_parquet(paths.responsible / f"{name}.parquet")
        assert len(again) == len(frame) and (paths.responsible / f"{name}.md").is_file()
        assert not frame.columns.intersection(["text", "prompt", "candidate_id", "id"]).size
    everything = b"".join(file.read_bytes() for file in sorted(paths.responsible.iterdir()))
    assert not [text for text in (secret, "anna", "123456", "toy-0", "flub", "woman,") if text.encode() in everything]
    before = {file.name: file.read_bytes() for file in paths.responsible.iterdir()}
    build_responsible(made, None, paths, lists=lists)
    assert before == {file.name: file.read_bytes() for file in paths.responsible.iterdir()}


def test_a_language_without_lists_has_empty_tables_that_say_why(tmp_path, lists):
    made = toy.params(arms={"naive": {"checks": "sure"}}, corpora={"target": "toy"})
    paths = toy.write_profile(tmp_path / "root", made)
    (paths.root / "data" / "identity.yaml").write_bytes((toy.ROOT / "data" / "identity.yaml").read_bytes())
    about = paths.corpora / "toy.json"
    about.write_text(about.read_text(encoding="utf-8").replace('"en"', '"fi"'), encoding="utf-8")
    tables = build_responsible(made, None, paths, lists=lists)
    assert not len(tables["identity"]) and not len(tables["toxicity"]) and len(tables["personal"])
    assert "Empty for languages" in (paths.responsible / "toxicity.md").read_text(encoding="utf-8")
