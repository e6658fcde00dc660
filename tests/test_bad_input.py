"""Bad input as a user meets it: the error says what, where and how to mend; nothing already made is lost.

The commands run in a small copy of the repository, on an invented corpus. The rules themselves are tested with their modules;
here the whole way from a command, or from the function that a notebook calls, to what is read on the screen.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from emosynth.cards import Card, read_table, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import build_corpora, load_corpus
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.generation import build_candidates
from emosynth.params import load_params
from emosynth.paths import Paths
from emosynth.seeding import build_orders, load_order, seed_rows
from emosynth.session import open_session
from emosynth.store import RowStore
from test_server import Faulty

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).resolve().parents[1]
SIZES = [6, 10]
NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there, and the refusal comes at once

THINGS = ["harbour", "kitchen", "letter", "garden", "train", "window", "river", "lamp", "market", "bridge"]
ENDINGS = {
    "glad": ["made me laugh all morning", "was the best of the week", "is a small delight again"],
    "sad": ["left me in tears tonight", "was empty and cold for hours", "is nothing like it used to be"],
}
ROWS = [(f"the {thing} {ending}", label) for label, endings in ENDINGS.items() for ending in endings for thing in THINGS]


def table(rows: list[tuple[str, str]], header: str = "text,label") -> str:
    return "\n".join([header, *(f"{text},{label}" for text, label in rows)]) + "\n"


# --- a small copy of the repository -----------------------------------------------------------------


class Copy:
    """A copy of the repository with a profile ``own`` on an invented corpus, and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.cache = folder / "repo", folder / "cache"
        self.paths = Paths(self.root, "own")
        (self.root / "data").mkdir(parents=True)
        for name in ("params.yaml", "dvc.yaml", "data/catalog.yaml", "data/taxonomies.yaml", "data/claims.yaml", "data/identity.yaml"):
            shutil.copy2(ROOT / name, self.root / name)
        unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info", "dvc.lock", ".ipynb_checkpoints")
        for name in ("profiles", "notebooks", "src"):
            shutil.copytree(ROOT / name, self.root / name, ignore=unwanted)
        self.write()
        assert self.command("pipeline").returncode == 0

    def write(self, content: str | bytes | None = None, **changes: dict[str, Any]) -> None:
        """Write the corpus (None: the good one) and the profile, with changes of its sections."""
        content = table(ROWS) if content is None else content
        (self.root / "own.csv").write_bytes(content.encode() if isinstance(content, str) else content)
        custom = {"path": "own.csv", "name": "own", "classes": ["glad", "sad"]}
        demo = yaml.safe_load((self.root / "params.yaml").read_text())
        profile: dict[str, dict[str, Any]] = {
            "corpora": {"target": "own", "also": [], "custom": custom},
            "cells": {"sizes": SIZES, "repeats": 1},
            "models": {
                "writer": {"backend": "server", "model": "m", "url": f"{NOWHERE}/v1", "retries": 0},
                "reader": "smollm2-135m-instruct",
            },
            "shap": {"encoder_rows": 0, "encoder_sizes": "largest"},
            "generation": {"oversample": 1.0},
            "writers": dict.fromkeys(demo["writers"]),
            "sweeps": dict.fromkeys(demo["sweeps"]),
            "arms": {**dict.fromkeys(demo["arms"]), "plain": {}, "shap": {"guide": [{"shap-tokens": 1}]}},
            "training": {"budgets": [], "budgets_on": {"learners": ["tfidf"]}, "sweeps_on": {"learners": ["tfidf"]}},
            "learners": dict.fromkeys(name for name in demo["learners"] if name != "tfidf"),
        }
        for section, values in changes.items():
            profile[section].update(values)
        (self.root / "profiles" / "own.yaml").write_text(yaml.safe_dump(profile))

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(self.root / "src"), "EMOSYNTH_CACHE": str(self.cache)}
        command = [sys.executable, "-m", "emosynth", *arguments]
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=120)

    def run(self, stage: str) -> subprocess.CompletedProcess[str]:
        return self.command("run", stage, "--profile", "own")

    def corpora(self) -> None:
        """What the notebook of step 00 does."""
        session = open_session("00_corpora", "own", self.root, corpora=None)
        session.catalog.progress = lambda line: None
        build_corpora(session.params, session.catalog, session.paths)

    def seeds(self) -> None:
        """What the notebook of step 01 does."""
        session = open_session("01_seeding", "own", self.root, corpora=None, cells=None)
        build_orders(session.params, session.paths)

    def materials(self) -> None:
        """Materials as step 02 would write them."""
        order, rows = load_order(self.paths), []
        for size in SIZES:
            seed = seed_rows(order, Cell("own", 0, size))
            for label in ENDINGS:
                head = {"corpus": "own", "size": size, "repeat": 0, "label": label}
                rows += [
                    {**head, "kind": "token", "by": "shap", "rank": n, "value": t, "score": 1.0 - n / 2}
                    for n, t in enumerate(("laugh", "tears"))
                ]
                ids = seed.loc[seed["label"] == label, "id"]
                rows += [{**head, "kind": "exemplar", "by": "shap", "rank": n, "value": i, "score": 1.0} for n, i in enumerate(ids)]
        write_table(pd.DataFrame(rows), self.paths.materials / "materials.parquet", Card(title="m", what="m", made="m"))

    def candidates(self, url: str, **generator: Any) -> tuple[Any, dict[str, Any]]:
        """What the notebook of step 05 does, with two small arms."""
        writer = {"backend": "server", "model": "m", "url": url, "batch": 6, "concurrency": 1, "retries": 0, **generator}
        self.write(models={"writer": writer})
        params = load_params(self.root, "own")
        return build_candidates(params, Catalog.load(self.paths), self.paths)

    def made(self) -> dict[str, str]:
        """Hashes of everything made so far, and the keys that row caches hold."""
        files = [
            path
            for path in [*self.paths.data.rglob("*"), *self.paths.report.rglob("*")]
            if path.is_file() and path.parent != self.paths.logs
        ]
        made = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}
        for path in sorted((self.cache / "rows").glob("*.sqlite")):
            with RowStore(path, read_only=True) as store:
                made |= {f"{path.name} {key}": "" for key in store}
        return made


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("bad input"))


@pytest.fixture
def copy(once: Copy, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """The copy with good files, a corpus, seeds and materials made from them, an empty cache, and no network for pip."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "EMOSYNTH_")):
            monkeypatch.delenv(name)
    for name, value in {"INDEX_URL": f"{NOWHERE}/simple", "RETRIES": "0", "TIMEOUT": "2", "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("EMOSYNTH_CACHE", str(once.cache))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("params.yaml", "data/catalog.yaml"):
        shutil.copy2(ROOT / name, once.root / name)
    for folder in (once.paths.data, once.paths.report, once.cache):
        shutil.rmtree(folder, ignore_errors=True)
    once.write()
    once.corpora()
    once.seeds()
    once.materials()
    return once


def assert_clear(message: str, *parts: str) -> None:
    """What, where and how to mend, in a few lines and without the machinery's words."""
    for part in (*parts, "where:", "remedy:"):
        assert part in message, message
    assert "Traceback" not in message and "\x1b[" not in message and len(message.splitlines()) <= 12, message


def fails(copy: Copy, stage: str, *parts: str) -> None:
    """Run a stage that must fail clearly and leave everything made before as it was."""
    before = copy.made()
    assert before
    done = copy.run(stage)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert_clear(done.stderr, *parts)
    assert copy.made() == before


def refuses(copy: Copy, act: Callable[[], Any], *parts: str) -> None:
    """The same for what a notebook calls."""
    before = copy.made()
    assert before
    with pytest.raises(UserError) as caught:
        act()
    assert_clear(str(caught.value), *parts)
    assert caught.value.what and caught.value.where and caught.value.remedy
    assert copy.made() == before


# --- parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"cells": {"repeat": 3}}, ["cells.repeat: no such parameter; did you mean repeats?", "profiles/own.yaml"]),
        ({"cells": {"sizes": [6, "ten"]}}, ["cells.sizes.1:", "valid integer", "'ten'", "profiles/own.yaml"]),
    ],
    ids=["misspelt", "wrong type"],
)
def test_wrong_parameters(copy: Copy, changes: dict[str, Any], parts: list[str]) -> None:
    copy.write(**changes)
    fails(copy, "01_seeding", *parts)


def test_misspelt_target(copy: Copy) -> None:
    copy.write(corpora={"target": "vader-tweet", "custom": None})
    refuses(copy, copy.corpora, "no entry 'vader-tweet'", "did you mean vader-tweets?")


def test_a_password_in_an_address_reaches_no_file(copy: Copy) -> None:
    copy.write(models={"writer": {"backend": "server", "model": "m", "url": "http://me:hunter22@127.0.0.1:9/v1"}})
    fails(copy, "05_generation", "models.writer.url: the address holds a user name or a password", "profiles/own.yaml")
    made = [path for folder in (copy.paths.data, copy.paths.report, copy.cache) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in made if b"hunter22" in path.read_bytes()]
    copy.write()


# --- what is published ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git has of the demo and the paper, and nothing that a run made."""
    root = tmp_path_factory.mktemp("clone") / "repo"
    for name in ("data", "profiles", "notebooks"):
        (root / name).mkdir(parents=True)
    for path in [ROOT / "params.yaml", ROOT / "dvc.yaml", *(ROOT / "data").glob("*.yaml"), *(ROOT / "profiles").rglob("*.yaml")]:
        (root / path.relative_to(ROOT)).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy2(path, root / path.relative_to(ROOT))
    for name in ("demo", "paper"):
        shutil.copytree(ROOT / "reports" / name, root / "reports" / name)
    return root


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["figure", "learning_curves"], "emosynth restore --profile demo"),
        (["figure", "authenticity"], "emosynth restore --profile demo"),
        (["figure", "learning_curves", "--profile", "paper"], "emosynth restore --profile paper"),
        (["run", "11_figures"], "emosynth restore --profile demo"),
        (["restore", "--profile", "smoke"], "no published results"),
        (["restore", "--profile", "no such"], "cannot be the name of a profile"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_published_is_not_overwritten_from_nothing(
    clone: Path, command: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from emosynth import cli
    from emosynth.runner import execute

    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(clone.rglob("*")) if path.is_file()}

    monkeypatch.setattr(execute, "stale_pipelines", lambda *given: [])
    before = state()
    assert cli.main(["--root", str(clone), *command]) == 1
    said = capsys.readouterr().err
    assert_clear(said, words)
    assert state() == before
    assert not (clone / "data" / "demo").exists() and not (clone / "data" / "paper").exists()


def test_a_restored_step_is_there_whole_or_not_at_all(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emosynth.report.results import restore

    paths = Paths(tmp_path / "repo", "demo")
    shutil.copytree(clone / "reports" / "demo" / "results", paths.report / "results")
    real = shutil.copytree

    def breaks(source: Any, target: Any, **more: Any) -> Any:
        real(source, target, **more)
        if Path(source).name == "trials":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", breaks)
        with pytest.raises(KeyboardInterrupt):
            restore(paths)
    assert not (paths.data / "trials").exists() and (paths.data / "seeds").is_dir()
    assert "trials" in restore(paths) and (paths.data / "trials" / "trials.parquet").is_file()
    assert not list(paths.data.glob(".*"))


# --- a corpus of one's own --------------------------------------------------------------------------

STRANGE = [*ROWS[:7], ("the ferry came late", "angry"), *ROWS[7:]]


def test_wrong_encoding_from_the_command(copy: Copy) -> None:
    # one byte of another encoding in a file of UTF-8; a file that is Latin-1 as a whole is read
    content = table([*ROWS[:3], ("the caf\udce9 was full", "glad"), ("the café was shut", "sad"), *ROWS[3:]])
    copy.write(content.encode("utf-8", "surrogateescape"))
    fails(copy, "00_corpora", "notebooks/00_corpora.ipynb", "not UTF-8: byte 0xe9", "own.csv: line 5", "encoding")
    copy.write()
    assert len(load_corpus(copy.paths, "own").frame) == len(ROWS), "the corpus made before can still be read"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (table(ROWS, "words,label"), ["no column text; there are words, label", "own.csv: header", "corpora.custom"]),
        (table(STRANGE), ["unknown label (angry): lines 9", "own.csv", "corpora.custom.classes"]),
        ("", ["The file is empty", "own.csv"]),
        ("text,label\n", ["no rows", "own.csv", "a header and at least a few rows"]),
        (table([row for row in ROWS if row[1] == "sad"]), ["one class only: sad", "own.csv", "at least two"]),
    ],
    ids=["missing column", "unknown label", "empty file", "header only", "one class"],
)
def test_a_corpus_that_cannot_be_used(copy: Copy, content: str, parts: list[str]) -> None:
    copy.write(content)
    refuses(copy, copy.corpora, *parts)


def test_one_class_that_nobody_had_listed(copy: Copy) -> None:
    copy.write(table([row for row in ROWS if row[1] == "sad"]), corpora={"custom": {"path": "own.csv", "name": "own"}})
    refuses(copy, copy.corpora, "one class only: sad", "own.csv")


def test_a_seed_larger_than_the_training_split(copy: Copy) -> None:
    rows = len(load_corpus(copy.paths, "own").split("train"))
    copy.write(cells={"sizes": [6, 1000]})
    fails(
        copy,
        "01_seeding",
        "notebooks/01_seeding.ipynb",
        f"Seeds of 1000 rows were asked for; own has {rows} training rows",
        f"at most {rows}",
    )


# --- sources ----------------------------------------------------------------------------------------


def test_a_hash_that_does_not_match(copy: Copy) -> None:
    entry = {
        "kind": "corpus",
        "title": "Invented",
        "sources": [{"pypi": "emo-invented==1.0", "sha256": "0" * 64, "file": "emo_invented/tweets.txt"}],
        "licence": "MIT",
        "languages": ["en"],
        "citation": "none",
        "corpus": {"layout": "vader", "scheme": "valence-two", "register_noun": "tweet"},
    }
    with (copy.root / "data" / "catalog.yaml").open("a") as file:
        file.write(yaml.safe_dump({"invented": entry}))
    file_by_hand = copy.cache / "downloads" / "emo_invented-1.0-py3-none-any.whl"
    file_by_hand.parent.mkdir(parents=True)
    with zipfile.ZipFile(file_by_hand, "w") as archive:
        archive.writestr("emo_invented/tweets.txt", "1\t2.5\tthe harbour made me laugh\n")
    got = hashlib.sha256(file_by_hand.read_bytes()).hexdigest()
    copy.write(corpora={"target": "invented", "custom": None})
    assert copy.command("pipeline").returncode == 0  # the profile reads other files than before
    fails(copy, "00_corpora", f"expected sha256 {'0' * 64}, got {got}", "It was not used", str(file_by_hand), "Do not trust")
    assert file_by_hand.exists() and not list((copy.cache / "assets").glob("*")), "nothing is unpacked, nothing is deleted"
    shutil.copy2(ROOT / "data/catalog.yaml", copy.root / "data/catalog.yaml")
    copy.write()
    assert copy.command("pipeline").returncode == 0


def test_no_network_and_no_cache(copy: Copy) -> None:
    copy.write(corpora={"target": "vader-tweets", "custom": None})
    downloads = str(copy.cache / "downloads")
    refuses(
        copy, copy.corpora, "vader-tweets is not in the cache", "vaderSentiment==0.5", "Connect to the network", "PIP_INDEX_URL", downloads
    )
    assert not list(copy.cache.rglob(".making-*")), "nothing half fetched stays"


# --- the language model server ----------------------------------------------------------------------


@pytest.fixture
def serve() -> Iterator[Callable[..., Faulty]]:
    opened: list[Faulty] = []

    def start(*steps: Any) -> Faulty:
        opened.append(Faulty(list(steps)))
        return opened[-1]

    yield start
    for item in opened:
        item.close()


def test_an_unreachable_server_from_the_command(copy: Copy) -> None:
    fails(
        copy,
        "05_generation",
        "notebooks/05_generation.ipynb",
        "no usable answer in 1 attempts; the last problem: it cannot be reached",
        f"{NOWHERE}/v1",
        "Check that the server runs at this address",
    )


def test_a_server_that_refuses_and_what_it_wrote_before(copy: Copy, serve: Callable[..., Faulty], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_API_KEY", "sk-a-secret")
    rows = copy.cache / "rows" / "generation.sqlite"
    # 14 texts come, then the key is no longer good: each that came stays
    closing = serve(*["one"] * 14, "401")
    with pytest.raises(UserError) as caught:
        copy.candidates(closing.url)
    assert_clear(str(caught.value), "refuses access (HTTP 401", closing.url, "EMOSYNTH_API_KEY. The key in it was sent")
    assert "sk-a-secret" not in str(caught.value)
    with RowStore(rows, read_only=True) as store:
        assert len(store) == 14

    # refused from the start, and without a key: nothing changes
    monkeypatch.delenv("EMOSYNTH_API_KEY")
    refuses(copy, lambda: copy.candidates(serve("401").url), "HTTP 401", "It is not set")

    # mended: only what was missing is asked for
    good = serve("two")
    candidates, _ = copy.candidates(good.url)
    fresh = candidates["text"].str.startswith("two")
    assert len(good.seen) == len(set(candidates.loc[fresh, "prompt"] + candidates.loc[fresh, "row_seed"].astype(str)))
    assert candidates.loc[~fresh, "text"].str.startswith("one").all() and (~fresh).sum() >= 14


def test_a_second_run_on_the_same_row_cache(copy: Copy, serve: Callable[..., Faulty]) -> None:
    path = copy.cache / "rows" / "generation.sqlite"
    code = (
        "import sys; from emosynth.store import RowStore; s = RowStore(sys.argv[1]); "
        "s.commit({'first': 1}); print('open', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None and first.stdout.readline() == "open\n"
        server = serve("fine")
        refuses(copy, lambda: copy.candidates(server.url), f"another run (process {first.pid})", str(path), "Wait until that run has ended")
        assert server.seen == [], "nobody pays for texts that could not be kept"
    finally:
        first.communicate()
    candidates, _ = copy.candidates(server.url)
    assert len(candidates) == sum(SIZES) + SIZES[-1], "texts that owe nothing to a seed are written once"
    with RowStore(path, read_only=True) as store:
        assert store.get("first") == 1, "the other run's rows are kept"


# --- a full disk ------------------------------------------------------------------------------------


def full_from(call: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """``real`` until the disk is full at a call (from 0)."""
    calls = []

    def act(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) > call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **kwargs)

    return act


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_while_the_corpus_is_written(copy: Copy, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    kept = read_table(copy.paths.corpora / "own.parquet")
    copy.write(table(ROWS[:25] + ROWS[-25:]))
    with monkeypatch.context() as patch:
        patch.setattr(os, name, full_from(0, getattr(os, name)))
        refuses(copy, copy.corpora, "The disk is full", "own.parquet", "Free some space and run again")
    assert read_table(copy.paths.corpora / "own.parquet").equals(kept)
    assert not list(copy.paths.corpora.glob(".*")), "nothing half written stays"
    copy.corpora()
    assert len(load_corpus(copy.paths, "own").frame) == 50, "with room again, the same command goes through"


@pytest.mark.parametrize("files", [1, 2], ids=["before the card", "before the note"])
def test_a_full_disk_between_the_files_of_a_corpus(copy: Copy, monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    """Each file is whole, old or new, so the corpus can be read; running again makes them fit each other."""
    copy.write(table(ROWS[:25] + ROWS[-25:]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_from(files, os.replace))
        with pytest.raises(UserError) as caught:
            copy.corpora()
    assert_clear(str(caught.value), "The disk is full")
    assert len(load_corpus(copy.paths, "own").frame) == 50
    copy.corpora()
    assert sum(split["all"] for split in load_corpus(copy.paths, "own").counts.values()) == 50


def test_a_full_disk_while_texts_are_kept(copy: Copy, serve: Callable[..., Faulty], monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve("fine")
    path = copy.cache / "rows" / "generation.sqlite"
    real, units = RowStore.commit, []

    def full(self: RowStore, rows: Any) -> None:
        units.append(rows)
        if len(units) == 2:  # a file that may not grow is what a full disk is to SQLite
            self._db.execute(f"PRAGMA max_page_count = {self._db.execute('PRAGMA page_count').fetchone()[0]}")
            rows = {key: {**value, "text": "x" * 100_000} for key, value in rows.items()}
        real(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(RowStore, "commit", full)
        with pytest.raises(UserError) as caught:
            copy.candidates(server.url)
    kept = len(units[0])  # how many answers one commit holds differs with the machine's load
    assert_clear(
        str(caught.value), "The disk is full", f"of the unit under way are lost, the {kept} before", str(path), "goes on from where"
    )
    with RowStore(path, read_only=True) as store:
        assert len(store) == kept
    asked = len(server.seen)
    candidates, _ = copy.candidates(server.url)
    assert len(candidates) == sum(SIZES) + SIZES[-1]
    distinct = len(set(candidates["prompt"] + candidates["row_seed"].astype(str)))
    assert len(server.seen) == distinct + asked - kept, "what was kept is not asked for twice"


# --- surroundings -----------------------------------------------------------------------------------------


def run_here(copy: Copy, stage: str) -> int:
    from emosynth.cli import main

    return main(["--root", str(copy.root), "run", stage, "--profile", "own"])


@pytest.mark.parametrize("name", ["params.yaml", "profiles/own.yaml", "data/catalog.yaml"])
def test_a_file_of_parameters_that_is_not_utf8(copy: Copy, name: str) -> None:
    with (copy.root / name).open("ab") as file:
        file.write("# café\n".encode("latin-1"))
    refuses(copy, copy.corpora, "UTF-8", name)


def test_a_cache_that_cannot_be_made(copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "file"))
    assert run_here(copy, "00_corpora") == 1
    assert_clear(capsys.readouterr().err, "EMOSYNTH_CACHE")


def test_another_profile_that_is_broken(copy: Copy, capsys: pytest.CaptureFixture) -> None:
    """It stops nobody who runs this one; who names it, or writes all pipelines, is told."""
    broken = copy.root / "profiles" / "broken.yaml"
    broken.write_text("corpora: [\n")
    try:
        done = copy.command("params", "--profile", "broken")
        assert done.returncode == 1
        assert_clear(done.stderr, "broken.yaml", "not valid YAML")
        assert copy.command("params", "--profile", "own").returncode == 0
        done = copy.command("pipeline", "--profile", "own")
        assert done.returncode == 0 and "broken" in done.stdout + done.stderr, "the others' pipelines are written"
    finally:
        broken.unlink()


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let a stage's notebook end at once, well or with an error in a cell."""
    import papermill
    from nbformat import v4
    from papermill.exceptions import PapermillExecutionError

    def act(error: UserError | None = None) -> None:
        def execute_notebook(*args: Any, **kwargs: Any) -> Any:
            if error is not None:
                shown = ["\x1b[31mUserError\x1b[39m   Traceback (most recent call last)", f"UserError: {error}"]
                raise PapermillExecutionError(2, 3, "source", "UserError", str(error), shown)
            return v4.new_notebook(cells=[v4.new_markdown_cell("new")])

        monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)

    yield act


def test_the_terminal_shows_no_traceback(copy: Copy, no_kernel: Callable[..., None], capsys: pytest.CaptureFixture) -> None:
    no_kernel(UserError("no such thing", where="here", remedy="do that"))
    assert run_here(copy, "00_corpora") == 1
    shown = capsys.readouterr()
    assert_clear(shown.err, "no such thing")
    assert "Traceback" not in shown.out and "\x1b[" not in shown.out


def test_a_full_disk_while_the_page_is_written(
    copy: Copy, no_kernel: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    page = copy.paths.notebooks / "00_corpora.ipynb"
    page.parent.mkdir(parents=True)
    page.write_text("earlier\n")
    no_kernel()
    real = Path.write_text
    real_bytes = Path.write_bytes

    def full_text(self: Path, data: str, *args: Any, **kwargs: Any) -> int:
        if self.is_relative_to(copy.root):
            real(self, data[:3], *args, **kwargs)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, data, *args, **kwargs)

    def full_bytes(self: Path, data: bytes) -> int:
        if self.is_relative_to(copy.root):
            real_bytes(self, data[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_bytes(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full_text)
        patch.setattr(Path, "write_bytes", full_bytes)
        try:
            status = run_here(copy, "00_corpora")
        finally:
            kept = page.read_text()
    assert kept == "earlier\n"
    assert status == 1
    assert_clear(capsys.readouterr().err, "The disk is full")
