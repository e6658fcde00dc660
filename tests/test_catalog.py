"""The catalogue: entries, fetching, unpacking and what is said when something is wrong. All archives are invented."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from emosynth.catalog import Catalog, CorpusSpec, hash_files, unpack
from emosynth.catalog import fetch as module
from emosynth.catalog.hub import snapshot
from emosynth.corpora.loaders import read_goemotions
from emosynth.errors import UserError
from emosynth.paths import Paths

ROOT = Path(__file__).resolve().parents[1]
COMMON = {"kind": "lexicon", "title": "Invented", "licence": "MIT", "languages": ["en"], "citation": "none"}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("EMOSYNTH_CACHE", raising=False)
    monkeypatch.delenv("EMOSYNTH_MIRROR", raising=False)
    (tmp_path / "data").mkdir()
    return Paths(tmp_path, "demo")


def make(paths: Paths, **entries: dict) -> Catalog:
    paths.catalog.write_text(yaml.safe_dump({name: {**COMMON, **entry} for name, entry in entries.items()}))
    loaded = Catalog.load(paths)
    loaded.progress = lambda line: None
    return loaded


def wheel(folder: Path, files: dict[str, bytes]) -> tuple[Path, str]:
    """Write a tiny wheel and return it with its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "emo_invented-1.0-py3-none-any.whl"
    info = "emo_invented-1.0.dist-info"
    files = {
        **files,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: emo-invented\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in files))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pip see one folder and nothing else."""
    links = tmp_path / "links"
    links.mkdir()
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return links


def source(sha256: str, file: object = "emo_invented/words.txt") -> dict:
    return {"sources": [{"pypi": "emo-invented==1.0", "sha256": sha256, "file": file}]}


# --- entries ----------------------------------------------------------------------------------------


def test_the_catalogue_of_the_repository_is_valid_and_complete() -> None:
    loaded = Catalog.load(Paths(ROOT, "demo"))
    expected = {
        "vader-tweets",
        "vader-films",
        "tweeteval-emotion",
        "goemotions",
        "sst2",
        "isear",
        "meld",
        "emocontext",
        "iemocap",
        "smollm2-135m-instruct",
        "all-minilm-l6-v2",
        "aptagger",
    }
    assert expected | {"orange3-narratives", "vader-lexicon"} <= set(loaded.entries)
    for name, entry in loaded.entries.items():
        assert entry.citation.count("{") == entry.citation.count("}") > 0, name
        assert entry.licence, name
    assert loaded.entry("vader-tweets").corpus is not None


def test_an_unknown_entry_names_the_nearest(paths: Paths) -> None:
    with pytest.raises(UserError, match="did you mean lexicon-one"):
        make(paths, **{"lexicon-one": source("0" * 64)}).entry("lexikon-one")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"licens": "MIT"}, "licens"),
        ({"kind": "song"}, "kind"),
        ({"sources": [{"ftp": "x"}]}, "pypi, mirror, hub"),
        ({"sources": [{"pypi": "a==1", "sha256": "short", "file": "a"}]}, "sha256"),
        ({"sources": [{"pypi": "a>=1", "sha256": "0" * 64, "file": "a"}]}, "pypi"),
        ({"sources": [{"pypi": "a==1", "sha256": "0" * 64, "file": "../a"}]}, "Unsafe"),
        ({"sources": []}, "sources"),
    ],
)
def test_invalid_entries_are_named(paths: Paths, change: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        make(paths, one={**source("0" * 64), **change})


def test_a_missing_or_broken_catalogue(paths: Paths) -> None:
    with pytest.raises(UserError, match="no catalogue"):
        Catalog.load(paths)
    paths.catalog.write_text("a: [")
    with pytest.raises(UserError, match="not valid YAML"):
        Catalog.load(paths)


# --- the package index ------------------------------------------------------------------------------


def test_a_distribution_is_fetched_once_and_only_the_members_named(paths: Paths, offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, digest = wheel(offline, {"emo_invented/words.txt": b"glad\n", "emo_invented/__init__.py": b"raise SystemExit('imported')\n"})
    loaded = make(paths, one=source(digest))
    lines: list[str] = []
    loaded.progress = lines.append
    place = loaded.fetch("one")
    assert place.read_bytes() == b"glad\n"
    assert place.parent.name == f"one-{digest[:12]}"
    assert sorted(path.name for path in place.parent.iterdir()) == [".kept", "words.txt"]
    assert any("fetching emo-invented==1.0" in line for line in lines)
    assert loaded.hash_of("one") == digest
    assert "emo-invented==1.0" in loaded.source_of("one")
    assert not [path for path in paths.cache.iterdir() if path.name != "assets"]
    monkeypatch.setattr(module.subprocess, "Popen", lambda *args, **kwargs: pytest.fail("downloaded again"))
    assert loaded.fetch("one") == place


def test_the_size_of_a_folder_from_which_folders_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip takes folders of its own away while their size is told; one run of the demo ended by that."""
    for name in ("a/kept", "gone/b", "c/kept"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("12345")
    scan = os.scandir

    def scandir(path: Any = ".") -> Any:
        if Path(path).name == "gone":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert module._tree_size(tmp_path) == 10


def test_a_folder_and_a_list_of_members(paths: Paths, offline: Path) -> None:
    _, digest = wheel(offline, {"emo_invented/model/a.json": b"{}", "emo_invented/model/deep/b.txt": b"b", "emo_invented/c.txt": b"c"})
    loaded = make(
        paths, folder=source(digest, "emo_invented/model/"), several=source(digest, ["emo_invented/c.txt", "emo_invented/model/a.json"])
    )
    folder = loaded.fetch("folder")
    assert folder.name == "model" and (folder / "deep" / "b.txt").read_text() == "b"
    assert sorted(path.name for path in loaded.fetch("several").iterdir()) == [".kept", "a.json", "c.txt"]


def test_an_incomplete_asset_is_fetched_again(paths: Paths) -> None:
    _, digest = wheel(paths.cache / "downloads", {"emo_invented/words.txt": b"glad\n"})
    loaded = make(paths, one=source(digest))
    loaded.fetch("one").unlink()
    assert loaded.fetch("one").read_text() == "glad\n"
    (loaded.fetch("one").parent / ".kept").write_text("{torn")
    assert loaded.fetch("one").read_text() == "glad\n"
    loaded.fetch("one").write_text("mad!\n")
    assert loaded.fetch("one").read_text() == "glad\n", "as long as what was kept, and damaged"
    several = make(paths, one=source(digest, ["emo_invented/words.txt"]))
    assert [path.name for path in sorted(several.fetch("one").iterdir())] == [".kept", "words.txt"], (
        "another list of members is another thing"
    )


def test_a_wrong_hash_is_refused(paths: Paths, offline: Path) -> None:
    _, digest = wheel(offline, {"emo_invented/words.txt": b"glad\n"})
    with pytest.raises(UserError, match=f"expected sha256 {'0' * 64}, got {digest}"):
        make(paths, one=source("0" * 64)).fetch("one")
    assert not list((paths.cache / "assets").glob("one*"))


def test_without_network_the_error_tells_the_ways_out(paths: Paths, offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a terminal would have it
    with pytest.raises(UserError) as caught:
        make(paths, one=source("0" * 64)).fetch("one")
    message = str(caught.value)
    assert "Could not find a version" in message or "No matching distribution" in message
    assert "downloads" in message and "network" in message
    assert "Traceback" not in message and "\x1b" not in message and "x1b" not in message


def test_a_distribution_laid_into_the_cache_by_hand_serves(paths: Paths, offline: Path) -> None:
    _, digest = wheel(paths.cache / "downloads", {"emo_invented/words.txt": b"glad\n"})
    assert make(paths, one=source(digest)).fetch("one").read_text() == "glad\n"
    with pytest.raises(UserError, match="not what the catalogue pins"):
        make(paths, two=source("1" * 64)).fetch("two")


# --- mirror and hub ---------------------------------------------------------------------------------

CORPUS = {
    "kind": "corpus",
    "sources": [{"mirror": "small", "files": ["a.txt", "b.txt"]}, {"hub": "some/where", "config": "small"}],
    "corpus": {"layout": "sst2", "register_noun": "note"},
}


def test_the_mirror_comes_first(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mirror" / "small"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    monkeypatch.setenv("EMOSYNTH_MIRROR", str(folder.parent))
    loaded = make(paths, small=CORPUS)
    with pytest.raises(UserError, match=r"lacks b\.txt"):
        loaded.fetch("small")
    (folder / "b.txt").write_text("b")
    assert loaded.fetch("small") == folder
    assert loaded.source_of("small") == "mirror folder small"
    before = loaded.hash_of("small")
    (folder / "b.txt").write_text("c")
    assert loaded.hash_of("small") != before


def test_a_mirror_that_does_not_exist(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="mirror folder does not exist"):
        make(paths, small=CORPUS).fetch("small")


def test_an_unreachable_hub_tells_of_the_mirror(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object) -> None:
        raise ConnectionError("no route\nmore")

    monkeypatch.setattr(module, "download_hub", unreachable)
    with pytest.raises(UserError) as caught:
        make(paths, small=CORPUS).fetch("small")
    message = str(caught.value)
    assert "EMOSYNTH_MIRROR is not set" in message and "no route" in message
    assert "small/" in caught.value.remedy
    assert not list((paths.cache / "assets").iterdir())


def test_the_hub_serves_and_is_kept(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def serve(source: object, stage: Path) -> None:
        calls.append(source)
        (stage / "train.parquet").write_bytes(b"rows")
        (stage / "features.json").write_text(json.dumps({"revision": "abcdef0123456789", "names": {}}))

    monkeypatch.setattr(module, "download_hub", serve)
    loaded = make(paths, small=CORPUS)
    assert (loaded.fetch("small") / "train.parquet").is_file()
    assert "revision abcdef012345" in loaded.source_of("small")
    assert loaded.hash_of("small") == hash_files(loaded.fetch("small"))
    assert len(calls) == 1
    (loaded.fetch("small") / "train.parquet").write_bytes(b"rowz")
    assert (loaded.fetch("small") / "train.parquet").read_bytes() == b"rows" and len(calls) == 2


def test_hub_models_are_held_against_the_names_of_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    content = {"model.safetensors": b"weights", "config.json": b"{}"}
    names = {
        "model.safetensors": hashlib.sha256(b"weights").hexdigest(),
        "config.json": hashlib.sha1(b"blob 2\0{}").hexdigest(),
    }
    folder, blobs, asked = tmp_path / "hub/models--o--m/snapshots/1", tmp_path / "hub/models--o--m/blobs", []

    def download(repository: str, **options: object) -> str:
        asked.append(repository)
        folder.mkdir(parents=True, exist_ok=True)
        blobs.mkdir(exist_ok=True)
        for name, digest in names.items():
            if not (folder / name).exists():
                (blobs / digest).write_bytes(content[name])
                (folder / name).unlink(missing_ok=True)
                (folder / name).symlink_to(blobs / digest)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert snapshot("o/m", tmp_path) == folder and len(asked) == 1
    for name, digest in names.items():
        (blobs / digest).write_bytes(bytes(len(content[name])))
        asked.clear()
        assert snapshot("o/m", tmp_path) == folder and len(asked) == 2
        assert (folder / name).read_bytes() == content[name]
    content["config.json"] = b"[]"  # the hub serves something else than its name says
    (blobs / names["config.json"]).unlink()
    with pytest.raises(UserError, match="not what the hub says"):
        snapshot("o/m", tmp_path)


def test_downloading_keeps_splits_and_label_names(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "labels": datasets.List(datasets.ClassLabel(names=["joy", "love"])),
            "id": datasets.Value("string"),
        }
    )
    place = tmp_path / "upstream"
    place.mkdir()
    for split in ("train", "validation", "test"):
        datasets.Dataset.from_dict(
            {"text": ["so glad", "so fond"], "labels": [[0], [0, 1]], "id": [f"{split}1", f"{split}2"]}, features=features
        ).to_parquet(place / f"{split}-00000-of-00001.parquet")
    stage = tmp_path / "stage"
    stage.mkdir()
    # a folder stands in for the hub: the library loads both alike
    module.download_hub(module.HubSource.model_construct(hub=str(place), config=None, revision="main"), stage)
    assert sorted(path.name for path in stage.iterdir()) == ["features.json", "test.parquet", "train.parquet", "validation.parquet"]
    assert json.loads((stage / "features.json").read_text())["names"] == {"labels": ["joy", "love"]}
    loaded = read_goemotions(stage, CorpusSpec(layout="goemotions", task="multi", register_noun="comment"))
    assert [(row.id, row.labels) for row in loaded.rows[:2]] == [("train1", ("joy",)), ("train2", ("joy", "love"))]


# --- unpacking --------------------------------------------------------------------------------------


def tar_bytes(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_nested_archives(tmp_path: Path) -> None:
    outer = tmp_path / "outer.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("x/inner.tar.gz", tar_bytes((tarfile.TarInfo("data/words.txt"), b"glad")))
    (tmp_path / "to").mkdir()
    assert [path.read_bytes() for path in unpack(outer, ["x/inner.tar.gz -> data/words.txt"], tmp_path / "to")] == [b"glad"]


def test_links_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    tar = tmp_path / "a.tar.gz"
    tar.write_bytes(tar_bytes((link, b"")))
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match="link"):
        unpack(tar, ["link"], tmp_path / "to")
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/hostname")
    with pytest.raises(UserError, match="link"):
        unpack(zipped, ["link"], tmp_path / "to")


def test_members_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    zipped, tarred = tmp_path / "a.zip", tmp_path / "a.tar.gz"
    with zipfile.ZipFile(zipped, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for content in ("one", "two"):
            archive.writestr("model/words.txt", content)
    tarred.write_bytes(tar_bytes(*((tarfile.TarInfo("model/words.txt"), content) for content in (b"one", b"two"))))
    for path in (zipped, tarred):
        for member in ("model/words.txt", "model/"):
            target = tmp_path / f"{path.name}-{len(member)}"
            target.mkdir()
            with pytest.raises(UserError, match="twice"):
                unpack(path, [member], target)


def test_hard_links_and_encrypted_members_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.LNKTYPE, "words.txt"
    tar = tmp_path / "a.tar.gz"
    tar.write_bytes(tar_bytes((tarfile.TarInfo("words.txt"), b"glad"), (link, b"")))
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match="link"):
        unpack(tar, ["link"], tmp_path / "to")
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("words.txt", "glad")
    raw = bytearray(zipped.read_bytes())
    raw[raw.find(b"PK\x03\x04") + 6] |= 1  # the flag of encryption, in both headers
    raw[raw.find(b"PK\x01\x02") + 8] |= 1
    zipped.write_bytes(bytes(raw))
    with pytest.raises(UserError, match="damaged"):
        unpack(zipped, ["words.txt"], tmp_path / "to")


@pytest.mark.parametrize("name", ["model/../../out.txt", "model//../../../out.txt"])
def test_paths_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "bad")
    (tmp_path / "deep" / "to").mkdir(parents=True)
    with pytest.raises(UserError, match="Unsafe"):
        unpack(path, ["model/"], tmp_path / "deep" / "to")
    assert not list(tmp_path.rglob("out.txt"))


def test_the_size_is_bounded_by_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * 100_000)
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match="more than the bound"):
        unpack(path, ["zeros"], tmp_path / "to", limit=50_000)


def test_missing_members_and_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("words.txt", "x")
    (tmp_path / "to").mkdir()
    with pytest.raises(UserError, match=r"nearest is words\.txt"):
        unpack(path, ["word.txt"], tmp_path / "to")
    path.write_bytes(b"not an archive")
    with pytest.raises(UserError, match="damaged"):
        unpack(path, ["words.txt"], tmp_path / "to")


# --- the real thing ---------------------------------------------------------------------------------


@pytest.mark.model
@pytest.mark.parametrize(
    "name", ["vader-tweets", "vader-films", "vader-lexicon", "aptagger", "ldnoobw", "smollm2-135m-instruct", "all-minilm-l6-v2"]
)
def test_what_the_demo_needs_can_be_fetched(name: str) -> None:
    place = Catalog.load(Paths(ROOT, "demo")).fetch(name)
    assert place.exists()
    if name == "all-minilm-l6-v2":
        assert (place / "config.json").is_file() and (place / "model.safetensors").is_file()


@pytest.mark.mirror
@pytest.mark.parametrize("name", ["tweeteval-emotion", "goemotions", "sst2", "isear", "meld"])
def test_the_mirror_serves_its_corpora(name: str) -> None:
    if not os.environ.get("EMOSYNTH_MIRROR"):
        pytest.skip("mirror test: EMOSYNTH_MIRROR is not set")
    assert Catalog.load(Paths(ROOT, "demo")).fetch(name).is_dir()
