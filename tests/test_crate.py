"""A run as an RO-Crate: read back by the library, walked from a figure to the corpora; no corpus text, no place of this machine in it."""

from __future__ import annotations

import getpass
import json
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from rocrate.rocrate import ROCrate

from emosynth.catalog import Catalog
from emosynth.cli import main
from emosynth.crate import PROFILE, export_crate, md5_of
from emosynth.errors import UserError
from emosynth.params import load_params
from emosynth.paths import Paths
from emosynth.pipeline import STAGES

ROOT = Path(__file__).parent.parent
SECRET = "nobody ever published this sentence of the corpus"


def crate_of(root: Path, target: Path, profile: str = "demo") -> Path:
    paths = Paths(root, profile)
    return export_crate(load_params(root, profile), paths, Catalog.load(paths), target)


def listed(value: object) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def kinds(entity) -> list[str]:
    return listed(entity.type)


def walk(crate: ROCrate, start: str) -> set[str]:
    """Return every entity that a figure goes back to: by what it is based on, what holds it, and the actions that made it."""
    actions = crate.get_by_type("CreateAction")
    seen, pending = set(), [start]
    while pending:
        place = pending.pop()
        if place in seen:
            continue
        seen.add(place)
        entity = crate.dereference(place)
        assert entity is not None, f"{place} is named and not described"
        pending += [base.id for base in listed(entity.get("isBasedOn"))]
        pending += [
            folder.id
            for folder in crate.get_by_type("Dataset")
            if place in [part.id for part in listed(folder.get("hasPart"))] and folder.id != "./"
        ]
        for action in actions:
            if place in [made.id for made in listed(action.get("result"))]:
                pending += [action.id, *(read.id for read in listed(action.get("object")))]
    return seen


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    return crate_of(ROOT, tmp_path_factory.mktemp("crate") / "demo.zip")


def test_a_figure_of_the_demo_goes_back_to_its_corpus(demo):
    crate = ROCrate(str(demo))
    root = crate.root_dataset
    assert (
        root["conformsTo"].id == PROFILE
        and root["license"].id == "https://spdx.org/licenses/MIT"
        and root["author"]
        and root["datePublished"] == str(yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["date-released"])
        and "not finished" not in root["description"]
    )
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    assert [action.id for action in root["mentions"]] == [f"#run/{stage.name}" for stage in STAGES]
    seen = walk(crate, "reports/demo/figures/copied.png")
    assert {
        "reports/demo/results/responsible/memorisation.parquet",
        "#data/demo/corpora",
        "#source/vader-tweets",
        "#run/05_generation",
        "#run/10_responsible",
    } <= seen
    assert {f"#run/{name}" for name in lock if name in ("00_corpora", "01_seeding", "06_verification", "11_figures")} <= seen
    (corpora,) = [found for found in lock["00_corpora"]["outs"] if found["path"] == "data/demo/corpora"]
    assert crate.dereference("#data/demo/corpora")["md5"] == corpora["md5"].removesuffix(".dir")
    assert crate.dereference("#source/vader-tweets")["sha256"] == "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
    read = crate.dereference("#run/01_seeding")["object"]
    (cells,) = [entity for entity in read if "PropertyValue" in kinds(entity) and entity["name"] == "cells"]
    assert json.loads(cells["value"]) == lock["01_seeding"]["params"]["params.yaml"]["cells"]
    assert all("SoftwareApplication" in kinds(entity) for entity in crate.dereference("#emosynth")["softwareRequirements"])


def test_every_action_has_an_instrument_and_nothing_is_left_undescribed(demo):
    with zipfile.ZipFile(demo) as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
        names = set(archive.namelist()) - {"ro-crate-metadata.json"}
    described = {entity["@id"] for entity in graph}
    named = {
        value["@id"]
        for entity in graph
        for values in entity.values()
        for value in listed(values)
        if isinstance(value, dict) and "@id" in value
    }
    assert named - described <= {"https://w3id.org/ro/crate/1.3"}
    assert len(described) == len(graph)
    actions = [entity for entity in graph if entity["@type"] == "CreateAction"]
    assert all(listed(action["instrument"]) and listed(action["result"]) and listed(action["object"]) for action in actions)
    assert {entity["@id"] for entity in graph if "File" in listed(entity["@type"])} == names


def test_no_place_of_this_machine_and_no_written_or_real_text(demo):
    with zipfile.ZipFile(demo) as archive:
        assert not [name for name in archive.namelist() if name.startswith(("data/demo", "src", "/")) or ".." in name]
        described = archive.read("ro-crate-metadata.json").decode()
        everything = b"".join(archive.read(name) for name in archive.namelist())
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert f"{ROOT}/".encode() not in everything and f"{Path.home()}/".encode() not in everything
    assert getpass.getuser() not in described and "endTime" not in described


def repository(root: Path, profile: str = "mine", **custom: str) -> Paths:
    """Write a repository of one figure, whose corpus is of the user's own."""
    paths = Paths(root, profile)
    for name in ("params.yaml", "CITATION.cff", "LICENSE", "data/catalog.yaml", "data/taxonomies.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / "requirements.lock").write_text("numpy==2.0.0 \\\n    --hash=sha256:00\n", encoding="utf-8")
    (root / "torch.lock").write_text("# none\ntorch==2.0.0\n", encoding="utf-8")
    (root / "own.csv").write_text(f"text,label\n{SECRET},joy\n", encoding="utf-8")
    own = {"path": "own.csv", "text": "text", "labels": "label"} | custom
    (root / "notebooks").mkdir()
    (root / "notebooks" / "00_corpora.ipynb").write_text('{"cells": []}', encoding="utf-8")
    (root / "profiles" / profile).mkdir(parents=True)
    (root / "profiles" / f"{profile}.yaml").write_text(
        yaml.safe_dump({"corpora": {"target": "own", "custom": {"name": "own", **own}}}), encoding="utf-8"
    )
    for file in (paths.data / "corpora" / "own.parquet", paths.data / "notebooks" / "00_corpora.ipynb", paths.report / "stray.html"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SECRET, encoding="utf-8")
    for place in ("figures", "results/seeds"):
        (paths.report / place).mkdir(parents=True)
    (paths.report / "figures" / "answer.png").write_bytes(b"drawn")
    (paths.report / "results" / "seeds" / "order.parquet").write_bytes(b"rows")

    def noted(path: str) -> dict[str, object]:
        return {"path": path, "hash": "md5", "md5": md5_of(root / path), "size": 1}

    data, report = f"data/{profile}", f"reports/{profile}"
    stages = {
        "00_corpora": {"cmd": f"python -m emosynth run 00_corpora --profile {profile}", "deps": [noted(own["path"]), noted("notebooks/00_corpora.ipynb")],
                       "params": {"params.yaml": {"corpora": {"custom": own}}}, "outs": [noted(f"{data}/corpora"), noted(f"{data}/notebooks/00_corpora.ipynb")]},
        "11_figures": {"cmd": "python", "deps": [noted(f"{data}/corpora")], "outs": [noted(f"{report}/figures"), noted(f"{report}/results")]},
    }  # fmt: skip
    (root / "profiles" / profile / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}), encoding="utf-8")
    return paths


def test_planted_text_is_nowhere_and_two_crates_are_equal(tmp_path, capsys):
    paths = repository(tmp_path / "root")
    first, second = (crate_of(paths.root, tmp_path / name, "mine") for name in ("a.zip", "b.zip"))
    assert first.read_bytes() == second.read_bytes()
    folder = crate_of(paths.root, tmp_path / "folder", "mine")
    with zipfile.ZipFile(first) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    assert inside == {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert not [
        name for name, content in inside.items() if SECRET.encode() in content or name.endswith(("own.csv", "own.parquet", "stray.html"))
    ]
    crate = ROCrate(str(folder))
    assert crate.dereference("#own.csv")["md5"] == md5_of(paths.root / "own.csv")
    assert {"#own.csv", "#source/own", "#run/00_corpora"} <= walk(crate, "reports/mine/figures/answer.png")
    assert [line for line in capsys.readouterr().err.splitlines() if "warning" in line and "unfinished run" not in line] == []


def test_a_users_run_is_not_the_projects_and_an_unfinished_one_says_so(tmp_path, capsys):
    """The day was that of the release and the author the project, whoever had made the run; of stages that had not run there was no word."""
    paths = repository(tmp_path / "root")
    noted = datetime(2031, 5, 6, 12, tzinfo=UTC).timestamp()
    os.utime(paths.root / "profiles" / "mine" / "dvc.lock", (noted, noted))
    root = ROCrate(str(crate_of(paths.root, tmp_path / "out", "mine"))).root_dataset
    assert root["datePublished"] == "2031-05-06" and root.get("author") is None and str(root["license"]).startswith("Not stated")
    assert "A user's run" in root["description"] and "stages that are not in its record: 01_seeding, 02_shap," in root["description"]
    assert "unfinished run: no record of 01_seeding, " in capsys.readouterr().err


def test_places_of_the_machine_are_left_out_and_what_was_made_again_is_said(tmp_path, capsys):
    elsewhere = tmp_path / "anna" / "posts.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_text(SECRET, encoding="utf-8")
    paths = repository(tmp_path / "root", path=str(elsewhere))
    (paths.report / "results" / "seeds" / "order.parquet").write_bytes(b"other rows")
    crate_of(paths.root, tmp_path / "out", "mine")
    inside = {file.relative_to(tmp_path / "out").as_posix(): file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file()}
    assert "profiles/mine.yaml" not in inside and "profiles/mine/dvc.lock" not in inside
    assert not [name for name, content in inside.items() if b"anna" in content or SECRET.encode() in content]
    crate = ROCrate(str(tmp_path / "out"))
    assert md5_of(elsewhere) in {entity.get("md5") for entity in crate.dereference("#run/00_corpora")["object"]}
    assert "Not the one that DVC noted" in crate.dereference("reports/mine/results/")["description"]
    said = capsys.readouterr().err
    assert "profiles/mine.yaml names a place of this machine" in said and "reports/mine/results is not what" in said


def test_stages_that_read_different_versions_name_both(tmp_path):
    paths = repository(tmp_path / "root")
    lock = paths.root / "profiles" / "mine" / "dvc.lock"
    noted = yaml.safe_load(lock.read_text(encoding="utf-8"))
    noted["stages"]["11_figures"]["deps"] += [{"path": "notebooks/00_corpora.ipynb", "md5": "0" * 32, "size": 1}]
    noted["stages"]["10_gone"] = noted["stages"]["11_figures"]
    lock.write_text(yaml.safe_dump(noted), encoding="utf-8")
    crate = ROCrate(str(crate_of(paths.root, tmp_path / "out", "mine")))
    assert crate.dereference("#notebooks/00_corpora.ipynb@00000000") in crate.dereference("#run/11_figures")["object"]
    assert crate.dereference("notebooks/00_corpora.ipynb") in crate.dereference("#run/00_corpora")["object"]
    assert crate.dereference("#run/10_gone") is None, "a stage that there is no more has made nothing that stands there now"


def test_command_line_and_what_is_missing(tmp_path, capsys):
    paths = repository(tmp_path / "root")
    assert main(["--root", str(paths.root), "crate", "--profile", "mine"]) == 0
    assert zipfile.is_zipfile(paths.data / "crate.zip")
    assert main(["--root", str(paths.root), "crate", "--profile", "mine", "--out", str(paths.data / "crate.zip")]) == 1
    assert "holds something already" in capsys.readouterr().err
    (paths.report / "figures" / "answer.png").unlink()
    (paths.report / "results" / "seeds" / "order.parquet").unlink()
    with pytest.raises(UserError, match="Nothing of this profile is published"):
        crate_of(paths.root, tmp_path / "none.zip", "mine")
    (paths.root / "profiles" / "mine" / "dvc.lock").unlink()
    with pytest.raises(UserError, match="No run of this profile is recorded"):
        crate_of(paths.root, tmp_path / "none.zip", "mine")
