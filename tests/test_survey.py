"""The survey: drawn blind and balanced, one page that runs nothing of the texts, answers checked, and raters of known truth found out.

All raters here are simulated.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import toy_trials as toy
from emosynth.cards import read_table
from emosynth.cli import main
from emosynth.errors import UserError
from emosynth.escape import printable
from emosynth.files import write_json
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.responsible.answers import COLUMNS, agreement, by_arm, krippendorff_alpha, read_answers, read_survey
from emosynth.responsible.rates import rate
from emosynth.responsible.sheet import page
from emosynth.responsible.survey import draw, write_survey
from emosynth.trials.sources import Sources

REAL_RUN = " ".join(toy.sentence("joy", number) for number in (0, 2))


def spoilt(table: pd.DataFrame) -> pd.DataFrame:
    """Put eight words of a real note, and an address, among the candidates."""
    text = (
        table["text"]
        .where(table["index"] != 4, f"{REAL_RUN} once more")
        .where(table["index"] != 6, table["text"] + " ask anna.b@mail.example.org now")
    )
    return table.assign(text=text, prompt="secret prompt " + table["label"])


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Paths]:
    made = toy.params(
        arms={
            "naive": {"checks": "sure"},
            "taught": {"checks": "sure", "labels": {"teacher": 0.5}},
            "loose": {},
            "real+1x": {"add": "real"},
        }
    )
    paths = toy.write_profile(tmp_path_factory.mktemp("survey"), made, spoilt)
    frame = pd.read_parquet(paths.corpora / "toy.parquet")
    frame.loc[5, "text"] = REAL_RUN
    frame.to_parquet(paths.corpora / "toy.parquet", index=False)
    (paths.corpora / "toy.md").unlink()
    return made, paths


def sheet_of(path: Path) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_sample_is_blind_and_balanced(profile):
    made, paths = profile
    file = write_survey(made, paths, texts=48)
    sheet, key = sheet_of(file), read_table(file.with_name(file.name.replace("sheet", "key")).with_suffix(".parquet"))
    assert {item["id"] for item in sheet["items"]} == set(key["item"]) and len(sheet["items"]) == key["item"].nunique()
    arms = key.groupby("arm")["item"].nunique()
    assert set(arms.index) == {"real", "naive", "taught", "loose"} and (arms.drop("real") == 8).all()
    assert arms["real"] == len(sheet["items"]) / 2, "as many real as written texts"
    labels = key.assign(label=[labels[0] for labels in key["labels"]]).groupby(["arm", "label"]).size()
    assert (labels.loc[["naive", "loose"]] == 4).all() and abs(labels["real"].diff().iloc[-1]) <= 1
    assert arms.sum() > len(sheet["items"]), "arms that share candidates share items"
    raw = file.read_text("utf-8")
    assert not [name for name in ("naive", "taught", "loose", "candidate", "toy-", "secret prompt") if name in raw]
    assert [item["id"] for item in sheet["items"]] == sorted(item["id"] for item in sheet["items"]), "order tells nothing"
    assert write_survey(made, paths, texts=48) == file and file.read_text("utf-8") == raw
    assert "text" not in key.columns


def test_what_may_not_be_shown_is_left_out(profile, tmp_path):
    made, paths = profile
    found = draw(Sources.load(made, paths), Sources.load(made, paths).corpora["toy"], 60)
    texts = " ".join(found.items["text"])
    assert REAL_RUN not in " ".join(found.items["text"][found.items["item"].isin(found.key.loc[found.key["arm"] != "real", "item"])])
    assert found.withheld["loose"] == 1 and "anna" not in texts and "[EMAIL]" in texts
    note = json.loads((paths.corpora / "toy.json").read_text())
    write_json(paths.corpora / "toy.json", note | {"licence": "research use"})
    try:
        with pytest.raises(UserError, match="does not say that its texts may be shown") as error:
            write_survey(made, paths, texts=48)
        assert "--show-real" in error.value.remedy
        assert write_survey(made, paths, texts=48, show_real=True).is_file()
    finally:
        write_json(paths.corpora / "toy.json", note)


@pytest.mark.parametrize(
    ("texts", "arms", "what"), [(4, None, "too few"), (40, ["naiv"], "no written arm"), (40, ["real+1x"], "no written arm")]
)
def test_what_cannot_be_drawn_is_said(profile, texts, arms, what):
    made, paths = profile
    with pytest.raises(UserError, match=what) as error:
        write_survey(made, paths, texts=texts, arms=arms)
    assert error.value.remedy


# --- answers of simulated raters -----------------------------------------------------------------------


def key_of(arms: dict[str, int], labels: int = 3) -> pd.DataFrame:
    rows = [(f"{arm}{number:04d}", arm, [str(number % labels)]) for arm, count in arms.items() for number in range(count)]
    return pd.DataFrame(rows, columns=["item", "arm", "labels"])


def simulated(key: pd.DataFrame, raters: int, answer: Callable[[np.random.Generator, dict], dict[str, str]], seed: int = 1) -> pd.DataFrame:
    """Return answers of simulated raters, who answer item by item."""
    rng = np.random.default_rng(seed)
    rows = [
        {"sheet": "s", "rater": f"r{rater}", "item": row["item"], **answer(rng, row)}
        for rater in range(raters)
        for row in key.drop_duplicates("item").to_dict("records")
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def knowing(right: float, sees: float) -> Callable[[np.random.Generator, dict], dict[str, str]]:
    """Return a rater who names the label with one probability (else another class), and the writer with another."""

    def answer(rng: np.random.Generator, row: dict) -> dict[str, str]:
        own = int(row["labels"][0])
        emotion = own if rng.random() < right else (own + rng.integers(1, 3)) % 3
        human = (row["arm"] == "real") == (rng.random() < sees)
        kept = rng.random() < (0.9 if row["arm"] == "real" else 0.6 if row["arm"] == "good" else 0.2)
        return {"emotion": str(emotion), "origin": "human" if human else "machine", "fluent": "yes", "keep": "yes" if kept else "no"}

    return answer


def test_alpha_has_its_published_value():
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C: four observers, twelve units, nominal, missing values: 0.743
    data = ["1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 ."]
    table = np.array([row.split() for row in data])
    counts = np.array([[(table[:, unit] == value).sum() for value in "12345"] for unit in range(12)], dtype=float)
    assert round(krippendorff_alpha(counts), 3) == 0.743
    assert krippendorff_alpha(np.array([[2.0, 0], [0, 2]])) == 1 and krippendorff_alpha(np.array([[1.0, 1], [1, 1]])) < 0
    assert np.isnan(krippendorff_alpha(np.array([[3.0, 0]]))), "one value alone says nothing"


def test_alpha_of_raters_whose_truth_is_known():
    key = key_of({"real": 300, "good": 300})
    said = agreement(simulated(key, 3, knowing(0.8, 1.0)), confidence=0.95, seed=1, resamples=200).set_index("question")
    # two raters give one class with probability .8² + 2·.1²; by chance one in three
    assert said.loc["emotion", "low"] < (0.66 - 1 / 3) / (2 / 3) < said.loc["emotion", "high"] and said.loc[
        "emotion", "alpha"
    ] == pytest.approx(0.49, abs=0.04)
    assert said.loc["origin", "alpha"] == 1 and np.isnan(said.loc["fluent", "alpha"])
    guessing = agreement(simulated(key, 3, knowing(1 / 3, 0.5)), confidence=0.95, seed=1, resamples=200).set_index("question")
    assert guessing.loc["emotion", "low"] < 0 < guessing.loc["emotion", "high"] and abs(guessing.loc["origin", "alpha"]) < 0.1


def test_arms_of_raters_whose_truth_is_known():
    key = key_of({"real": 200, "good": 200, "bad": 200})
    said = by_arm(simulated(key, 2, knowing(0.8, 0.7)), key, 0.95).set_index(["measure", "arm"])
    for measure, arm, truth in [
        ("label_agreement", "good", 0.8), ("taken_for_machine", "bad", 0.7), ("taken_for_machine", "real", 0.3), ("detection", "all", 0.7),
        ("detection", "real", 0.7), ("keep", "real", 0.9), ("keep", "good", 0.6), ("keep", "bad", 0.2), ("fluent", "bad", 1.0), ("none", "good", 0.0),
    ]:  # fmt: skip
        assert said.loc[(measure, arm), "low"] <= truth <= said.loc[(measure, arm), "high"], (measure, arm)
    assert said.loc[("keep", "bad"), "difference"] == pytest.approx(-0.7, abs=0.06) and said.loc[("keep", "bad"), "difference_high"] < -0.5
    assert said.loc[("keep", "good"), "answers"] == 400 and said.loc[("keep", "good"), "items"] == 200
    blind = by_arm(simulated(key, 2, knowing(0.8, 0.5)), key, 0.95).set_index(["measure", "arm"])
    assert blind.loc[("detection", "all"), "low"] < 0.5 < blind.loc[("detection", "all"), "high"]
    assert blind.loc[("taken_for_machine", "good"), "difference_low"] < 0 < blind.loc[("taken_for_machine", "good"), "difference_high"]


def test_a_text_of_two_arms_counts_for_both_and_once_for_all():
    key = pd.DataFrame([("a", "real", ["0"]), ("b", "x", ["0"]), ("b", "y", ["1"])], columns=["item", "arm", "labels"])
    said = by_arm(simulated(key, 2, knowing(1.0, 1.0)), key, 0.95).set_index(["measure", "arm"])
    assert said.loc[("label_agreement", "x"), "value"] == 1 and said.loc[("label_agreement", "y"), "value"] == 0
    assert said.loc[("detection", "all"), "answers"] == 4 and said.loc[("detection", "y"), "answers"] == 2


def test_answers_to_one_item_count_for_less():
    hits, alone = [True] * 30 + [False] * 30, list(range(60))
    free, tied = rate(hits, alone), rate(hits, [place // 10 for place in range(60)])
    assert free.value == tied.value == 0.5 and tied.interval.high - tied.interval.low > 1.9 * (free.interval.high - free.interval.low)
    assert (round(free.interval.low, 4), round(free.interval.high, 4)) == (0.3774, 0.6226), "Wilson's"
    assert np.isnan(rate([], []).value)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(400):  # 40 items, each with a share of its own, read by three
        shares = rng.beta(2, 3, 40).repeat(3)
        found = rate(rng.random(120) < shares, np.arange(40).repeat(3).tolist()).interval
        held += found.low <= 0.4 <= found.high
    assert 0.92 <= held / 400 <= 0.99


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "first line"), ("a,b\n", "first line"), (f"{HEADER}\n", "0 sheets"), (f"{HEADER}\ns,r,i,0,human\n", "has 5 cells"),
        (f"{HEADER}\ns,,i,0,human,yes,yes\n", "rater is missing"), (f"{HEADER}\ns,=1+1,i,0,human,yes,yes\n", "no name of a rater"),
        (f"{HEADER}\ns,r,i,7,human,yes,yes\n", "unknown answer"), (f"{HEADER}\ns,r,i,0,me,yes,yes\n", "unknown answer"),
        (f"{HEADER}\ns,r,i,0,human,yes,yes\ns,r,i,1,human,yes,yes\n", "twice"), (f"{HEADER}\ns,r,i,0,,,\nt,r,j,0,,,\n", "2 sheets"),
    ],
)  # fmt: skip
def test_bad_answers_name_file_and_line(tmp_path, text, what):
    file = tmp_path / "answers.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=what) as error:
        read_answers([file], 3)
    assert "answers.csv" in error.value.where and error.value.remedy
    assert "line" in error.value.where or what in ("first line", "0 sheets", "2 sheets")


def test_answers_saved_by_a_spreadsheet_are_read(tmp_path):
    file = tmp_path / "answers.csv"
    file.write_bytes(f"{HEADER}\r\ns,r,i,none,human,,yes\r\n".replace(",", ";").encode("utf-8-sig"))
    assert read_answers([file], 3).iloc[0].tolist() == ["s", "r", "i", "none", "human", "", "yes"]
    file.write_bytes(f"{HEADER}\ns,Jo Smith-O'Neil,i,NONE, Human ,Yes,\n,,,,,,\n\n".replace(",", "\t").encode("utf-16"))
    assert read_answers([file], 3).to_numpy().tolist() == [["s", "Jo Smith-O'Neil", "i", "none", "human", "yes", ""]]
    with pytest.raises(UserError, match="cannot be read"):
        read_answers([tmp_path / "nothing.csv"], 3)


def test_command_draws_and_reads(profile, tmp_path, capsys, monkeypatch):
    made, paths = profile
    monkeypatch.setattr("emosynth.params.load_params", lambda root, name: made)
    (paths.root / "params.yaml").touch()
    (paths.root / "notebooks").mkdir(exist_ok=True)
    assert main(["--root", str(paths.root), "survey", "--profile", "test", "--texts", "36"]) == 0
    file = paths.root / re.search(r"written: (\S+)", capsys.readouterr().out)[1]
    sheet = sheet_of(file)
    answers = tmp_path / "answers.csv"
    with answers.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows([sheet["sheet"], "r1", item["id"], "0", "human", "yes", "no"] for item in sheet["items"])
    assert main(["--root", str(paths.root), "survey", "--profile", "test", "--read", str(answers)]) == 0
    out = capsys.readouterr().out
    assert "taken_for_machine" in out and "alpha" in out
    tables = read_survey(made, paths, [answers])
    found = tables["arms"].set_index(["measure", "arm"])
    assert found.loc[("label_agreement", "real"), "value"] == 5 / 9 and found.loc[("detection", "all"), "value"] == 0.5
    assert (paths.data / "survey" / f"arms-{sheet['sheet']}.parquet").is_file()
    answers.write_text(answers.read_text().replace(sheet["sheet"], "abc"))
    with pytest.raises(UserError, match="no key to the sheet abc"):
        read_survey(made, paths, [answers])


def test_page_bears_hostile_text():
    from hostile import KINDS

    made = page(
        "s",
        [KINDS["script"], KINDS["attribute"]],
        KINDS["out of the attribute"],
        [(str(place), text) for place, text in enumerate(KINDS.values())],
    )
    assert made.count("<script") == 2 and "<img" not in made and "<svg" not in made and "<iframe" not in made
    assert "unsafe" not in made and "default-src 'none'" in made


# --- in a browser ---------------------------------------------------------------------------------------


_ALL = """
const seen = [];
for (let n = 0; n < arguments[0]; n++) {
  seen.push([document.getElementById('text').textContent, document.documentElement.scrollWidth]);
  document.querySelector(`input[name=origin][value=${n % 2 ? 'machine' : 'human'}]`).click();
  document.getElementById('next').click();
}
return seen;
"""
"""Looks at every text and answers one question of it."""


@pytest.mark.browser
def test_page_in_a_browser(tmp_path):
    """A simulated rater on a phone answers, closes the page, comes back, and saves a file that is read."""
    import time

    from hostile import KINDS
    from test_browser import _CONTRAST, DRIVER, chrome

    webdriver, options = chrome(tmp_path / "chrome")
    texts = [(f"{place:08x}", text) for place, text in enumerate(KINDS.values())]
    file = tmp_path / "sheet.html"
    file.write_text(page("abc", [KINDS["script"], KINDS["attribute"], "joy"], KINDS["img"], texts), "utf-8")
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "saved"), "download.prompt_for_download": False})

    def started():
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
        driver.get(file.as_uri())
        return driver

    def chosen(driver, name, value):
        driver.execute_script("document.querySelector(`input[name=${arguments[0]}][value=${arguments[1]}]`).click()", name, value)

    driver = started()
    try:
        assert driver.execute_script("return document.querySelectorAll('#questions fieldset').length") == 4
        assert driver.execute_script("return document.querySelectorAll('#questions input[name=emotion]').length") == 4
        assert driver.execute_script(_CONTRAST) == []
        for name, value in (("emotion", "none"), ("fluent", "yes"), ("keep", "no")):
            chosen(driver, name, value)
        shown = driver.execute_script(_ALL, len(texts))
        for number, ((_, text), (seen, wide)) in enumerate(zip(texts, shown, strict=True)):
            assert seen == printable(text) and wide <= 360, f"text {number} is shown as text, whole, and no wider than the page: {wide}"
        assert driver.execute_script(
            "return [document.documentElement.dataset.ran, document.querySelectorAll('img,svg,iframe,link:not([rel=icon])').length]"
        ) == [None, 0]
        driver.find_element("id", "save").click()
        assert "code" in driver.find_element("id", "said").text and not (tmp_path / "saved").exists()
        severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        asked = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        urls = [event["params"]["request"]["url"] for event in asked if event["method"] == "Network.requestWillBeSent"]
        assert severe == [] and file.as_uri() in urls and not [url for url in urls if url.startswith(("http", "ws", "ftp"))]
    finally:
        driver.quit()
    driver = started()
    try:
        assert f"Text {len(texts)} of {len(texts)}; 1 answered" in driver.find_element("id", "place").text, "answers outlive the page"
        driver.find_element("id", "rater").send_keys("=a-1,b")
        chosen(driver, "origin", "human")
        driver.find_element("id", "save").click()
        saved = tmp_path / "saved" / "answers-abc-a1b.csv"
        for _ in range(100):
            if saved.is_file():
                break
            time.sleep(0.1)
        answers = read_answers([saved], 3)
        assert answers["item"].tolist() == [item for item, _ in texts] and set(answers["rater"]) == {"a1b"}
        assert answers.iloc[0].tolist() == ["abc", "a1b", texts[0][0], "none", "human", "yes", "no"]
        assert answers["origin"].tolist()[1:-1] == ["machine" if number % 2 else "human" for number in range(1, len(texts) - 1)]
        assert answers["origin"].iloc[-1] == "human" and (answers["emotion"].iloc[1:] == "").all()
        driver.execute_script(
            "const s = document.createElement('script'); s.textContent = 'document.documentElement.dataset.ran=1'; document.body.append(s)"
        )
        assert driver.execute_script("return document.documentElement.dataset.ran") is None, "no other script runs"
    finally:
        driver.quit()
