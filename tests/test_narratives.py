"""Narratives: reading sources, cutting passages, finding characters, writing tables."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emosynth.catalog import Catalog, CorpusSpec, Entry, MirrorSource
from emosynth.catalog import fetch as catalog_module
from emosynth.errors import UserError
from emosynth.narratives import build_narratives, describe, held_out_stories, load_passages
from emosynth.narratives.characters import Character, cast_of, characters_of, lower_case, mentions, tokens
from emosynth.narratives.read import Passage, Story, choose, distinct, is_punctuated, read_stories, split_sentences, split_story
from emosynth.params import Params
from emosynth.paths import Paths
from writing_fakes import params_of

ROOT = Path(__file__).parent.parent
TALES = (
    'Topic\tTitle\tContent\r\nd\tstring\tstring\r\nclass\t\tinclude=True\r\n\r\nMagic\tThe Well\tThere was a ""well"".  It was deep.\r\n'
)
VERBS = {"said": "VBD", "lived": "VBD", "slept": "VBD", "was": "VBD", "saw": "VBD", "went": "VBD", "cried": "VBD", "found": "VBD"}
OTHERS = {
    "the": "DT",
    "a": "DT",
    "an": "DT",
    "his": "PRP$",
    "my": "PRP$",
    "in": "IN",
    "like": "IN",
    "to": "TO",
    "and": "CC",
    "there": "EX",
    "no": "DT",
}
ADJECTIVES = {"old": "JJ", "young": "JJ", "little": "JJ", "sly": "JJ", "brave": "JJ"}


def tag(words):
    """Tag by a small word list: what is capitalised inside a sentence, or not in the list, is a noun."""
    known = VERBS | OTHERS | ADJECTIVES
    kinds = []
    for place, word in enumerate(words):
        plural = word.endswith("s") and word.lower() not in known and len(word) > 2
        noun = "NNP" if word[0].isupper() and (place or word.lower() not in known) else "NNS" if plural else "NN"
        kinds.append((word, known.get(word.lower()) or ("POS" if word == "'s" else noun if word[0].isalpha() else ".")))
    return kinds


def people(story, passage=None, limit=9):
    tagged = [tag(tokens(sentence)) for sentence in story]
    cast = cast_of(tagged, lower_case(story))
    return characters_of([tag(tokens(sentence)) for sentence in passage or story], cast, limit)


def catalog_of(root, monkeypatch, *entries, **files):
    """Return a catalogue of mirror entries whose folders hold the given files."""
    monkeypatch.setenv("EMOSYNTH_MIRROR", str(root / "mirror"))
    for name in entries:
        folder = root / "mirror" / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file.replace("__", ".").replace("_", "-")).write_bytes(content.encode())
    known = {
        name: Entry(
            kind="corpus",
            title=name,
            sources=[MirrorSource(mirror=name, files=sorted(file.name for file in (root / "mirror" / name).iterdir()))],
            licence="cc0-1.0",
            languages=["en"],
            citation="@misc{x}",
        )
        for name in entries
    }
    return Catalog(known, Paths(root, "demo"), progress=lambda line: None)


# --- reading ----------------------------------------------------------------------------------------


def test_tab_files_of_an_entry(tmp_path, monkeypatch):
    excerpts = "Category\tText\nd\tstring\nclass\tinclude=True\n\nadult\tthe house\nadult\tA second\u2019s one\nadult\tTHE house\n"
    catalog = catalog_of(tmp_path, monkeypatch, "tales", grimm__tab=TALES, excerpts__tab=excerpts, friends_transcripts__tab="not read")
    library = read_stories(["tales"], catalog, Paths(tmp_path, "demo"))
    mark = hashlib.sha256(b"the house").hexdigest()[:10]
    assert [story.story_id for story in library.stories][::2] == [f"excerpts/{mark}", "grimm/the-well"]
    assert library.repeated == 1
    assert library.stories[1].text == "A second's one"
    assert library.stories[2] == Story("grimm/the-well", "The Well", 'There was a ""well"".\nIt was deep.', "tales: grimm")
    (origin,) = library.origins
    assert origin.version == "mirror folder tales" and origin.licence == "cc0-1.0" and len(origin.hash) == 64


def test_quoted_cells_keep_line_feeds_and_quotes(tmp_path, monkeypatch):
    text = 'Title\tContent\nstring\tstring\n\tinclude=True\nOne\t"She said ""no"".\nThen\tshe left."\n'
    (story,) = read_stories(["tales"], catalog_of(tmp_path, monkeypatch, "tales", a__tab=text), Paths(tmp_path, "demo")).stories
    assert story.text == 'She said "no".\nThen she left.'


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("Title\tContent\nstring\tstring\n\tmeta\nOne\ttext\n", "a.tab: line 3", "include=True"),
        ("Title\tContent\nstring\tstring\n\tinclude=True\nOne\ttext\textra\n", "a.tab: line 4", "found 3"),
    ],
)
def test_faulty_tab_files_are_named(tmp_path, monkeypatch, text, where, what):
    with pytest.raises(UserError) as caught:
        read_stories(["tales"], catalog_of(tmp_path, monkeypatch, "tales", a__tab=text), Paths(tmp_path, "demo"))
    assert caught.value.where.endswith(where) and what in caught.value.what and caught.value.remedy


def test_text_files_and_folders(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    book = "licence\r\n*** START OF THE BOOK ***\r\nOne\r\nline.\r\n\r\nTwo.\r\n*** END OF THE BOOK ***\r\nmore licence\r\n"
    (folder / "b.txt").write_bytes(book.encode())
    (folder / "a_tale.txt").write_text("Once upon a time.")
    (folder / "notes.md").write_text("no story")
    catalog = catalog_of(tmp_path, monkeypatch)
    library = read_stories(["mine", str(folder / "b.txt")], catalog, Paths(tmp_path, "demo"))
    assert [(story.story_id, story.title, story.text) for story in library.stories] == [
        ("mine/a-tale", "a tale", "Once upon a time."),
        ("mine/b", "b", "One line.\nTwo."),
    ]
    assert library.repeated == 1
    assert library.origins[1].hash == hashlib.sha256(book.encode()).hexdigest()


def test_two_stories_of_one_title_have_two_ids(tmp_path, monkeypatch):
    for name, text in (("one", "Text."), ("two", "Another text.")):
        (tmp_path / name / "mine").mkdir(parents=True)
        (tmp_path / name / "mine" / "tale.txt").write_text(text)
    first, second = read_stories(["one/mine", "two/mine"], catalog_of(tmp_path, monkeypatch), Paths(tmp_path, "demo")).stories
    assert first.story_id == "mine/tale"
    assert second.story_id == "mine/tale-" + hashlib.sha256(b"another text.").hexdigest()[:10]


@pytest.mark.parametrize(
    ("source", "content", "what"),
    [
        ("gone.txt", None, "no such file"),
        ("latin.txt", b"caf\xe9", "not UTF-8"),
        ("empty.txt", b"  \n", "empty"),
        ("story.pdf", b"x", "not a .txt"),
        ("no such thing", None, "neither"),
    ],
)
def test_unusable_sources_are_named(tmp_path, monkeypatch, source, content, what):
    if content is not None:
        (tmp_path / source).write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_stories([source], catalog_of(tmp_path, monkeypatch), Paths(tmp_path, "demo"))
    assert what in caught.value.what and caught.value.remedy


def test_sub_folders_are_read_and_what_is_skipped_is_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("emosynth.narratives.read.warn", said.append)
    folder = tmp_path / "mine"
    for name in ("SECOND.TXT", "first.txt", "part two/third.txt", "fourth.md", "._first.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"A tale of {name}.\n\nIt ends here.", encoding="utf-8")
    stories = read_stories([str(folder)], catalog_of(tmp_path, monkeypatch), Paths(tmp_path, "demo")).stories
    assert {story.title for story in stories} == {"SECOND", "first", "third"}
    assert len(said) == 1 and "fourth.md" in said[0] and "._first.txt" in said[0]
    (folder / "fifth.txt").write_bytes("A tale".encode("utf-16-le"))
    with pytest.raises(UserError, match="NUL"):
        read_stories([str(folder)], catalog_of(tmp_path, monkeypatch), Paths(tmp_path, "demo"))


def test_labelled_corpora_and_empty_folders_are_refused(tmp_path, monkeypatch):
    catalog = catalog_of(tmp_path, monkeypatch, "tweets", a__tab=TALES)
    entry = catalog.entries["tweets"].model_copy(update={"corpus": CorpusSpec(layout="sst2", register_noun="tweet")})
    with pytest.raises(UserError, match="labelled corpus"):
        read_stories(["tweets"], replace(catalog, entries={"tweets": entry}), Paths(tmp_path, "demo"))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match=r"no \.txt files"):
        read_stories(["nothing"], catalog, Paths(tmp_path, "demo"))


def test_hub_data_sets(tmp_path, monkeypatch):
    def download(source, stage):
        assert source.hub == "someone/stories"
        frame = pd.DataFrame({"Title": ["One", None], "story": ["First.\n\nSecond.", "Third."], "n": [1, 2]})
        frame.to_parquet(stage / "train.parquet")
        (stage / "features.json").write_text('{"revision": "abc"}')

    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog_module, "download_hub", download)
    library = read_stories(["someone/stories"], catalog_of(tmp_path, monkeypatch), Paths(tmp_path, "demo"))
    assert [(story.title, story.text) for story in library.stories] == [("One", "First.\nSecond."), ("", "Third.")]
    assert library.stories[0].story_id == "stories/one"
    assert library.origins[0].version == "someone/stories at revision abc from the Hugging Face hub"


def test_an_unreachable_hub_is_a_clear_error(tmp_path, monkeypatch):
    def download(source, stage):
        raise ConnectionError("no route")

    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog_module, "download_hub", download)
    with pytest.raises(UserError, match="no route") as caught:
        read_stories(["someone/stories"], catalog_of(tmp_path, monkeypatch), Paths(tmp_path, "demo"))
    assert "someone/stories" in caught.value.where and ".txt" in caught.value.remedy


# --- passages ---------------------------------------------------------------------------------------


def test_sentences_end_where_a_capital_follows():
    text = "'Who is there?' cried he. Mr. Fox and J. Hare came! \"Yes.\" 'No.' 7 days went by... And so on."
    assert split_sentences(text) == [
        "'Who is there?' cried he.",
        "Mr. Fox and J. Hare came!",
        '"Yes."',
        "'No.'",
        "7 days went by...",
        "And so on.",
    ]


def test_text_without_full_stops_is_cut_before_function_words():
    text = "the captain fell I ran to Jim But he was hurt! cried Mother The man has had a stroke"
    assert not is_punctuated(text) and is_punctuated("One. Two.")
    assert split_sentences(text, punctuated=False) == [
        "the captain fell I ran to Jim",
        "But he was hurt! cried Mother",
        "The man has had a stroke",
    ]


def numbered(*lengths):
    """Sentences of the given numbers of words, each word once."""
    count = 0
    sentences = []
    for length in lengths:
        sentences.append(" ".join(f"W{count + place}" for place in range(length)) + ".")
        count += length
    return sentences


def test_passages_end_at_paragraphs_and_before_they_grow_too_long():
    one, two, three, four, five, six = numbered(6, 5, 4, 5, 3, 7)
    story = Story("s", "", f"{one} {two}\n{three}\n{four} {five} {six}", "x")
    # the first paragraph has 11 words; the second is too short and goes on into the third until 12 words are passed
    assert [passage.sentences for passage in split_story(story, 8, 12)] == [(one, two), (three, four, five)]
    assert [passage.passage_id for passage in split_story(story, 8, 12)] == ["s/0000", "s/0001"]
    assert [passage.words for passage in split_story(story, 7, 12)] == [11, 12, 7]


def test_long_sentences_are_cut_at_semicolons_and_never_bridged():
    story = Story("s", "", "A b c d; e f g h; i j k l. M n.\nO p q r s t u v w. X y.", "x")
    assert [passage.text for passage in split_story(story, 2, 8)] == ["A b c d; e f g h;", "i j k l. M n.", "X y."]


@given(st.lists(st.lists(st.integers(1, 14), min_size=1, max_size=6), min_size=1, max_size=6), st.integers(1, 8), st.integers(0, 8))
def test_passages_keep_bounds_and_order(paragraphs, low, more):
    flat = iter(numbered(*(length for paragraph in paragraphs for length in paragraph)))
    text = "\n".join(" ".join(next(flat) for _ in paragraph) for paragraph in paragraphs)
    passages = split_story(Story("s", "", text, "x"), low, low + more)
    assert all(low <= passage.words <= low + more for passage in passages)
    words = " ".join(passage.text for passage in passages).split()
    numbers = [int(word.strip("W.")) for word in words]
    assert numbers == sorted(set(numbers))
    for passage in passages:  # successive words, without a gap
        inside = [int(word.strip("W.")) for word in passage.text.split()]
        assert inside == list(range(inside[0], inside[-1] + 1))


def test_near_duplicates_are_dropped_across_stories():
    text = "the old king of the far hills rode out at dawn with nine men"
    passages = [
        Passage("a", 0, (text,)),
        Passage("b", 0, ("quite another passage of words about the sea",)),
        Passage("b", 1, (text + " too",)),
    ]
    assert [passage.passage_id for passage in distinct(passages, 0.8)] == ["a/0000", "b/0000"]


def test_choice_is_even_deterministic_and_independent_of_other_stories():
    long = [Passage("long", index, ("x",)) for index in range(20)]
    short = [Passage("short", index, ("x",)) for index in range(2)]
    chosen = choose([*long, *short], 6, 3)
    assert Counter(passage.story_id for passage in chosen) == {"long": 4, "short": 2}
    assert chosen == choose([*long, *short], 6, 3) and chosen == sorted(chosen, key=lambda item: (item.story_id, item.index))
    assert [item for item in chosen if item.story_id == "long"] == choose(long, 4, 3)
    assert len({tuple(item.index for item in choose(long, 4, seed)) for seed in range(5)}) > 1
    assert choose(short, None, 3) == short == choose(short, 5, 3)


# --- characters -------------------------------------------------------------------------------------


def test_tokens_are_cut_as_the_treebank_has_them():
    assert tokens("'Don't,' said the king's Cap'n Red-Cap--mr. Fox...") == [
        "'", "Do", "n't", ",", "'", "said", "the", "king", "'s", "Cap'n", "Red-Cap", "--", "mr", ".", "Fox", "...",
    ]  # fmt: skip


def found(sentence):
    return [(" ".join(item.words), item.kind) for item in mentions(tag(tokens(sentence)))]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("then the old king slept", ["old king"]),
        ("there was a miller in the house", ["miller"]),
        ("he saw the king's young son", ["king 's young son"]),
        ("he found the wolf skin", []),
        ("he slept like a wolf and no king was there", []),
        ("my father was a boy there", ["father"]),
        ("he saw kings and queens", []),
        ("man slept", []),
        ("he went in general", []),
        ("cried he, father, he slept", ["father"]),
        ("he saw the other old woman", ["old woman"]),
    ],
)
def test_roles(sentence, expected):
    assert found(sentence) == [(words, "role") for words in expected]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("he saw Mr. Fox and Doctor Livesey there", [("Mr Fox", "name"), ("Doctor Livesey", "name")]),
        ("he saw Dear Little Hans", [("Little Hans", "name")]),
        ("he saw Aunt Ann Uncle Tom", [("Aunt Ann", "name"), ("Uncle Tom", "name")]),
        ("he saw the Story Girl", [("Story Girl", "role")]),
        ("he slept in April to God", []),
    ],
)
def test_names(sentence, expected):
    assert found(sentence) == expected


def test_names_need_evidence_from_the_story():
    story = [
        "There Peter lived in Carfax.",
        "He went to Carfax and Peter said so.",
        "In Carfax Peter slept.",
        "Wounded was he, and Wounded went there, wounded and wounded.",
        "The Nautilus went and the Nautilus slept.",
        "Once Anna slept.",
    ]
    assert people(story) == [Character("Peter", "name", 3)]


def test_a_name_at_sentence_starts_only_is_not_trusted():
    assert people(["Rum said so.", "Rum went there."]) == []
    assert people(["Rum said so.", "Then Rum went there."]) == [Character("Rum", "name", 2)]


def test_animals_count_where_they_speak():
    silent = ["The sly fox slept.", "Then the fox went to the miller."]
    assert people(silent) == [Character("the miller", "role", 1)]
    speaking = [*silent, "'No,' said the fox."]
    assert people(speaking, silent) == [Character("the sly fox", "role", 2), Character("the miller", "role", 1)]


def test_merging_ranking_and_limit():
    story = [
        "Then the king saw Jim Hawkins.",
        "Then Jim Hawkins said no, and Jim slept, and Hawkins went.",
        "'King,' said the old King, 'there is Mr Shelby.'",
        "There Mrs Shelby said no to Shelby.",
    ]
    assert people(story) == [
        Character("Jim Hawkins", "name", 4),
        Character("the old king", "role", 3),
        Character("Mr Shelby", "name", 2),
        Character("Mrs Shelby", "name", 1),
    ]
    assert [item.name for item in people(story, limit=2)] == ["Jim Hawkins", "the old king"]


def test_touching_names_are_taken_apart():
    story = ["then Polly said so to Clem", "there Polly slept and Clem slept", "then Clem saw Polly", "he saw Polly Clem Impossible there"]
    assert people(story, story[-1:]) == [Character("Polly", "name", 1), Character("Clem", "name", 1)]


# --- tables -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    paths: Paths
    catalog: Catalog
    params: Params


@pytest.fixture
def made(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "one.txt").write_text(
        "There was a king in a far house. 'No,' said the fox to the king there.\n\nIt was cold in the dark wood, and it was late.\n\n"
        "Then the young miller went to the deep well and slept.\n"
    )
    (folder / "two.txt").write_text(
        "There was a king in a far house. 'No,' said the fox to the king there.\n\nThen Hans said no. And so Hans slept well.\n"
    )
    return Made(Paths(tmp_path, "demo"), catalog_of(tmp_path, monkeypatch), design())


def design(**more) -> Params:
    narratives = {"sources": ["mine"], "min_words": 8, "max_words": 20, "characters": 1, **more}
    return params_of(narratives=narratives, arms={"n": {"guide": "narrative", "checks": {}}})


def make(made, **more) -> dict[str, pd.DataFrame]:
    return build_narratives(design(**more), made.catalog, made.paths, tag)


def test_build_writes_tables_with_counts_that_add_up(made):
    built = make(made)
    assert built["counts"]["count"].to_dict() == {
        "stories": 2,
        "stories dropped as exact copies": 0,
        "passages cut": 5,
        "passages dropped as near-duplicates": 1,
        "passages dropped without characters": 1,
        "passages not chosen": 0,
        "passages kept": 3,
        "characters (names)": 1,
        "characters (roles)": 2,
    }
    assert list(built["passages"]["passage_id"]) == ["mine/one/0000", "mine/one/0002", "mine/two/0001"]
    assert list(built["passages"]["words"]) == [16, 11, 9] and list(built["stories"]["passages"]) == [2, 1]
    assert built["characters"].values.tolist() == [
        ["mine/one/0000", 1, "the king", "role", 2],
        ["mine/one/0002", 1, "the young miller", "role", 1],
        ["mine/two/0001", 1, "Hans", "name", 2],
    ]
    folder = made.paths.data / "narratives"
    passages, characters = load_passages(folder)
    pd.testing.assert_frame_equal(passages, built["passages"])
    pd.testing.assert_frame_equal(characters, built["characters"])
    for name in ("passages", "characters", "stories"):
        card = (folder / f"{name}.md").read_text()
        assert "- passages dropped as near-duplicates: 1" in card and built["stories"]["source"][0] in card and "sha256 `" in card
        assert all(row.rstrip(" |").count("|") == 3 for row in card.splitlines() if row.startswith("| ") and "`" not in row), (
            "a column is unexplained"
        )


def test_equal_runs_give_equal_bytes_and_fewer_passages_are_a_part(made):
    folder = made.paths.data / "narratives"
    make(made)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    everything = make(made)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    fewer = make(made, passages=2)
    assert fewer["counts"].loc["passages not chosen", "count"] == 1 and fewer["passages"]["story_id"].nunique() == 2
    assert set(fewer["passages"]["passage_id"]) < set(everything["passages"]["passage_id"])


def test_no_passage_left_is_an_error_that_counts(made):
    with pytest.raises(UserError, match="2 stories gave 0 passages") as caught:
        make(made, min_words=50, max_words=60)
    assert "min_words" in caught.value.remedy


def test_loading_what_is_missing_or_does_not_fit(made):
    folder = made.paths.data / "narratives"
    with pytest.raises(UserError, match="narratives stage"):
        load_passages(folder)
    built = make(made)
    built["characters"].iloc[:1].to_parquet(folder / "characters.parquet")
    (folder / "characters.md").unlink()
    with pytest.raises(UserError, match="do not belong together"):
        load_passages(folder)


def test_description(made):
    built = make(made)
    described = describe(built, examples=2)
    assert described["sources"].loc["mine"].to_dict() == {"stories": 2, "passages": 3, "words": 36, "characters a passage": 1.0}
    assert described["counts"].loc["passages kept", "count"] == 3 and len(described["examples"]) == 2
    assert set(described["examples"]["characters"]) <= {"the king", "the young miller", "Hans"}


def test_without_an_arm_that_needs_them_nothing_is_read(made):
    built = build_narratives(params_of(narratives={"sources": ["nowhere/at-all"]}), made.catalog, made.paths)
    passages, characters = load_passages(made.paths.narratives)
    assert all(frame.empty for frame in built.values()) and passages.empty and characters.empty
    assert list(passages.columns) == list(make(made)["passages"].columns)


@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 9))
def test_held_out_stories(count, share, seed):
    passages = pd.DataFrame({"story_id": [f"s{number % count}" for number in range(2 * count)]})
    held = held_out_stories(passages, seed, share)
    assert held <= set(passages["story_id"]) and held == held_out_stories(passages.iloc[::-1], seed, share)
    assert len(held) < count and (len(held) >= share * count - 1)
    assert held <= held_out_stories(passages, seed, min(1.0, share + 0.1))


@pytest.mark.model
def test_the_real_tagger_finds_them_too():
    from emosynth.models.tagger import load_tagger

    paths = Paths(ROOT, "demo")
    real = load_tagger(Catalog.load(paths).fetch("aptagger"), paths.cache / "nltk_data")
    story = [
        "There was once an old king who had a clever daughter.",
        "Then Hans went to the king's garden.",
        "'Good day,' said Hans to the king.",
    ]
    tagged = [real(tokens(sentence)) for sentence in story]
    assert characters_of(tagged, cast_of(tagged, lower_case(story)), 3) == [
        Character("the old king", "role", 3),
        Character("Hans", "name", 2),
        Character("the clever daughter", "role", 1),
    ]
