"""Damage what is kept in the cache in every way that comes to mind, open it again, and count wrong values: there must be none.

    python benchmarks/damage.py --out benchmarks/damage.json
    python benchmarks/damage.py --only model --real         # the converted language model itself, on a copy; minutes

Each kind of thing that is kept is made small and whole, damaged, and opened by the pipeline's own code: once as the process that made it
(which trusts time stamps), once as a new process would. What comes out is the sound value, or an error that names the thing; anything else
is a wrong value. Nothing outside a temporary folder is touched.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pickle
import re
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("EMOSYNTH_THREADS", "1")

from emosynth.catalog import Catalog, kept  # noqa: E402
from emosynth.catalog.kept import MANIFEST, keep  # noqa: E402
from emosynth.errors import UserError  # noqa: E402
from emosynth.models.lm import tuned  # noqa: E402
from emosynth.models.lm.assets import openvino_folder  # noqa: E402
from emosynth.models.lm.tune import Example, tune  # noqa: E402
from emosynth.models.tagger import load_tagger  # noqa: E402
from emosynth.params import Tuning, WriterSpec  # noqa: E402
from emosynth.paths import Paths  # noqa: E402

# --- things that are kept -------------------------------------------------------------------------------


@dataclass
class Thing:
    """Something kept.

    Attributes
    ----------
    place
        Its folder, or file.
    value
        Opens it as the pipeline does and returns a hash of what comes out.
    restore
        Makes it whole again if opening it does not.
    """

    place: Path
    value: Callable[[], str]
    restore: Callable[[], None] = lambda: None


def digest(*parts: bytes) -> str:
    """Return one hash of parts."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def contents(folder: Path) -> str:
    """Return a hash of names and bytes of all members of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return digest(*(part for path in files for part in (path.relative_to(folder).as_posix().encode(), _said(path))))


def _said(file: Path) -> bytes:
    """Return what a file says: OpenVINO numbers the nodes of a graph by a counter of the process, so a second conversion has other names."""
    content = file.read_bytes()
    return re.sub(rb'(?<=name=")([A-Za-z][A-Za-z0-9]*?_?)\d+(?=")', rb"\1", content) if file.suffix == ".xml" else content


def asset(room: Path) -> Thing:
    """Members of a distribution; the archive lies in ``downloads`` and serves again."""
    archive = room / ".cache" / "downloads" / "emo_invented-1.0-py3-none-any.whl"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("words.txt", "more.txt", "deep/last.txt"):
            file.writestr(f"emo_invented/data/{name}", f"{name} glad\n" * 50)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    entry = {
        "kind": "lexicon", "title": "Invented", "licence": "MIT", "languages": ["en"], "citation": "none",
        "sources": [{"pypi": "emo-invented==1.0", "sha256": sha256, "file": "emo_invented/data/"}],
    }  # fmt: skip
    (room / "data").mkdir()
    (room / "data" / "catalog.yaml").write_text(yaml.safe_dump({"one": entry}))
    catalog = Catalog.load(Paths(room, "demo"))
    catalog.progress = lambda line: None
    return Thing(room / ".cache" / "assets" / f"one-{sha256[:12]}", lambda: contents(catalog.fetch("one")))


def model(room: Path) -> Thing:
    """A converted model, with a stand-in for the converter."""

    def make(work: Path) -> None:
        (work / "tokenizer").mkdir()
        for number, name in enumerate(("model.bin", "model.xml", "tokenizer/tokenizer.bin")):
            (work / name).write_bytes(bytes((number + step * 7) % 251 for step in range(3000)))

    return Thing(room / "models" / "m", lambda: contents(keep(room / "models" / "m", make, "a model")))


def real_model(room: Path) -> Thing:
    """The language model of the demo, converted for OpenVINO: a copy of what this checkout has kept."""
    from lm_files import catalog, smollm2

    gguf = smollm2()
    ours = openvino_folder(gguf, catalog().paths.cache)
    whole = room / "whole"
    for folder in ours.parent.glob(f"{ours.name[:16]}-*"):
        shutil.copytree(folder, room / "models" / folder.name)
    shutil.copytree(ours, whole)

    def restore() -> None:
        shutil.rmtree(room / "models" / ours.name, ignore_errors=True)
        shutil.copytree(whole, room / "models" / ours.name)

    return Thing(room / "models" / ours.name, lambda: contents(openvino_folder(gguf, room)), restore)


SPEC, SETTINGS = WriterSpec(tune="top_blocks", blocks=1, learning_rate=1e-2), Tuning(epochs=2, patience=2, batch=8, max_tokens=32)
ROWS = [Example(f"{mood} note:", f"day {day} was {how}") for day in range(5) for mood, how in (("sad", "grey"), ("glad", "bright"))]


def _tiny(room: Path) -> Path:
    from lm_files import make_tiny_model

    return make_tiny_model(room / "tiny")


def weights(room: Path) -> Thing:
    """Tuned weights, by step 04."""
    place = str(_tiny(room))
    catalog: Any = SimpleNamespace(paths=Paths(room, "demo"), model=lambda name: Path(name))

    def value() -> str:
        found = tuned.find_or_tune(place, SPEC, SETTINGS, (ROWS[:8], ROWS[8:]), catalog, seed=1)
        return digest((found.folder / "delta.safetensors").read_bytes(), repr((found.sha256, found.history, found.best)).encode())

    value()
    return Thing(next((room / ".cache" / "tuned").iterdir()), value)


class _Killed(Exception):
    pass


def checkpoint(room: Path) -> Thing:
    """The checkpoint of a tuning that was killed in its second epoch."""
    folder, place = _tiny(room), room / "c" / "checkpoint.pt"

    def run(progress: Callable[[str], None] | None = None) -> str:
        made = tune(folder, SPEC, ROWS[:8], ROWS[8:], SETTINGS, seed=1, checkpoint=place, progress=progress)
        parts = [part for name in sorted(made.delta) for part in (name.encode(), made.delta[name].numpy().tobytes())]
        return digest(*parts, repr((made.history, made.best)).encode())

    def die(line: str) -> None:
        if line.startswith("epoch 2, batch"):
            raise _Killed

    def restore() -> None:
        shutil.rmtree(room / "c", ignore_errors=True)
        try:
            run(die)
        except _Killed:
            return
        raise SystemExit("the run was not killed")

    restore()
    return Thing(place, run, restore)


def first_stage(room: Path) -> Thing:
    """The state of an encoder after its first stage."""
    import numpy as np

    from emosynth.design.rows import Stage, hard_rows
    from emosynth.design.space import Space
    from emosynth.learners.base import Resources
    from emosynth.learners.encoder import FineTuned, _Start
    from encoder_files import make_tiny_encoder

    resources = Resources(lambda texts: np.zeros((len(texts), 2)), make_tiny_encoder(room / "bert"), "tiny", room / "learners")
    space = Space("x", ("glad", "sad"), True, {}, {})
    rows = hard_rows(["the lake is mild", "a loud door"] * 4, [["glad"], ["sad"]] * 4, space)
    learner = FineTuned(FineTuned.Settings(first_steps=2, steps=2, batch=4, max_tokens=16, layers=1))

    def value() -> str:
        state = learner._pretrained(Stage(rows, space), _Start(), resources).state
        assert state is not None
        return digest(state.to_bytes())

    value()
    return Thing(next((room / "learners" / "encoder").iterdir()), value)


def tagger(room: Path) -> Thing:
    """The tagger's weights as JSON."""
    source, words = room / "tagger.pickle", ["the", "lake", "sings"]
    weights = {"bias": {"NN": 1.0, "VBZ": 0.5}, "i suffix ngs": {"VBZ": 2.0}}
    source.write_bytes(pickle.dumps((weights, {"the": "DT"}, {"NN", "VBZ", "DT"}), protocol=2))
    home = room / "nltk" / "taggers" / "averaged_perceptron_tagger_eng"
    return Thing(home, lambda: digest(repr(load_tagger(source, room / "nltk")(words)).encode(), contents(home).encode()))


THINGS = {make.__name__.replace("_", "-"): make for make in (asset, model, weights, checkpoint, first_stage, tagger)}

# --- kinds of damage ------------------------------------------------------------------------------------

NO = "does not apply"


def _members(place: Path) -> list[Path]:
    """Return the members of a folder, largest first; of a file, that file."""
    found = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file() and path.name != MANIFEST]
    return sorted(found, key=lambda path: (-path.stat().st_size, str(path)))


def _rewrite(path: Path, change: Callable[[bytearray], bytes | bytearray]) -> None:
    path.write_bytes(bytes(change(bytearray(path.read_bytes()))))


def _flip(at: float, stamps: bool = False) -> Callable[[Path], str | None]:
    def damage(place: Path) -> str | None:
        path = _members(place)[0]
        before = path.stat()
        raw = bytearray(path.read_bytes())
        raw[int(at * (len(raw) - 1))] ^= 16
        with path.open("rb+") as stream:  # the same inode
            stream.write(raw)
        if stamps:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return None

    return damage


def _first(change: Callable[[Path], Any]) -> Callable[[Path], str | None]:
    return lambda place: change(_members(place)[0]) and None


def _instead(make: Callable[[Path], Any]) -> Callable[[Path], str | None]:
    def damage(place: Path) -> None:
        path = _members(place)[0]
        path.unlink()
        make(path)

    return damage


def _linked(place: Path) -> str | None:
    path = _members(place)[0]
    other = path.parent / ".elsewhere"
    other.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    path.symlink_to(other)
    return None


def _swapped(place: Path) -> str | None:
    members = _members(place)
    if len(members) < 2:
        return NO
    one, two, aside = members[0], members[1], place.parent / "aside"
    one.rename(aside), two.rename(one), aside.rename(two)
    return None


def _copied(place: Path) -> str | None:
    members = _members(place)
    return shutil.copyfile(members[1], members[0]) and None if len(members) > 1 else NO


def _manifest(change: Callable[[Path], Any]) -> Callable[[Path], str | None]:
    return lambda place: change(place / MANIFEST) and None if place.is_dir() else NO


def _folder(change: Callable[[Path], Any]) -> Callable[[Path], str | None]:
    return lambda place: change(place) and None if place.is_dir() else NO


def _of_other(manifest: Path) -> None:
    known = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**known, "name": "another"}))


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _file_instead(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


def _renamed_in(folder: Path) -> None:
    """Another thing's folder lies in this one's place, sound in itself."""
    other = folder.parent / "another"
    shutil.copytree(folder, other)
    for path in _members(other):
        _rewrite(path, lambda raw: raw[::-1])
    kept.seal(other)
    shutil.rmtree(folder)
    other.rename(folder)


DAMAGES: dict[str, Callable[[Path], str | None]] = {
    "zeroed": _first(lambda path: path.write_bytes(bytes(path.stat().st_size))),
    "zeroed from the middle": _first(lambda path: _rewrite(path, lambda raw: raw[: len(raw) // 2] + bytes(len(raw) - len(raw) // 2))),
    "truncated to half": _first(lambda path: os.truncate(path, path.stat().st_size // 2)),
    "truncated by a byte": _first(lambda path: os.truncate(path, path.stat().st_size - 1)),
    "empty": _first(lambda path: os.truncate(path, 0)),
    "a byte more": _first(lambda path: _rewrite(path, lambda raw: raw + b"\0")),
    "bit flipped at the start": _flip(0.0),
    "bit flipped in the middle": _flip(0.5),
    "bit flipped near the end": _flip(0.97),
    "bit flipped, time stamps kept": _flip(0.4, stamps=True),
    "member deleted": _first(lambda path: path.unlink()),
    "members swapped": _swapped,
    "member is a copy of another": _copied,
    "folder in place of a member": _instead(lambda path: path.mkdir()),
    "link in place of a member": _linked,
    "broken link in place of a member": _instead(lambda path: path.symlink_to("nowhere")),
    "pipe in place of a member": _instead(lambda path: os.mkfifo(path)),
    "no permission": _first(lambda path: path.chmod(0)),
    "a strange member": _folder(lambda folder: (folder / "generation_config.json").write_text("{}")),
    "manifest deleted": _manifest(lambda path: path.unlink()),
    "manifest torn": _manifest(lambda path: os.truncate(path, path.stat().st_size // 2)),
    "manifest of another": _manifest(_of_other),
    "manifest holds something else": _manifest(lambda path: path.write_text('{"name": 3, "members": [1]}')),
    "folder of another in its place": _folder(_renamed_in),
    "folder emptied": _folder(_emptied),
    "folder deleted": _folder(shutil.rmtree),
    "file in place of the folder": _folder(_file_instead),
}
"""Each changes a thing in place; `NO`: the thing has nothing to damage in this way."""


def trial(thing: Thing, damage: str, sound: str, anew: bool) -> str:
    """Damage a thing, open it, and return ``made again``, ``error``, ``wrong`` or `NO`."""
    thing.restore()
    thing.value() if thing.place.is_dir() else None
    if DAMAGES[damage](thing.place) == NO:
        return NO
    if anew:
        kept._seen.clear()
    try:
        found = thing.value()
    except UserError as error:
        return "error" if error.remedy else "wrong"
    return "made again" if found == sound else "wrong"


def run(names: list[str], damages: list[str], room: Path, real: bool = False) -> dict[str, dict[str, str]]:
    """Return what came of each damage to each thing, as the same and as a new process."""
    results: dict[str, dict[str, str]] = {}
    for name in names:
        (room / name).mkdir()
        thing = (real_model if real and name == "model" else THINGS[name])(room / name)
        sound = thing.value()
        results[name] = {}
        for damage in damages:
            for anew in (False, True):
                outcome = results[name][f"{damage}, {'new' if anew else 'same'} process"] = trial(thing, damage, sound, anew)
                if real:  # minutes each
                    print(f"{name}: {damage}, {'new' if anew else 'same'} process: {outcome}", flush=True)
    return results


def main() -> None:
    """Run the trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=THINGS, default=list(THINGS))
    parser.add_argument("--damages", nargs="+", choices=DAMAGES, default=list(DAMAGES), metavar="DAMAGE")
    parser.add_argument("--real", action="store_true", help="the converted language model itself in place of a stand-in")
    parser.add_argument("--out", type=Path, help="write the outcomes as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        results = run(options.only, options.damages, Path(room), options.real)
    for name, outcomes in results.items():
        counts = Counter(outcomes.values())
        print(f"{name}: " + ", ".join(f"{counts[kind]} {kind}" for kind in ("made again", "error", "wrong", NO)))
        print("".join(f"  wrong: {damage}\n" for damage, outcome in outcomes.items() if outcome == "wrong"), end="")
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(any("wrong" in outcomes.values() for outcomes in results.values()))


if __name__ == "__main__":
    main()
