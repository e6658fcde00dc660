"""What is kept: manifests, damage, leftovers of killed runs; and that nothing which is read is executed."""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from emosynth.catalog import kept
from emosynth.catalog.kept import MAKING, MANIFEST, check_kept, keep, scratch, seal, sound_zip, sweep, unfit
from emosynth.doctor import LOCKS
from emosynth.errors import UserError
from emosynth.models.lm import tuned
from emosynth.models.lm.base import Completion, Request
from emosynth.models.lm.openvino import OpenVinoModel
from emosynth.params import Decoding, Generator
from emosynth.store import RowStore
from lm_files import catalog, make_tiny_model, smollm2

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import damage  # noqa: E402
import kills  # noqa: E402

CODE = sorted(path for folder in ("src", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py"))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOSYNTH_THREADS", "1")


def make(work: Path) -> None:
    (work / "deep").mkdir()
    (work / "a.bin").write_bytes(b"weights" * 100)
    (work / "deep" / "b.json").write_text("{}")


# --- manifests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", ["[" * 100_000, '{"name": "thing", "source": {}, "members": {"m": [1e999, ""]}}', '{"members": 1}', "\0"])
def test_a_manifest_that_says_nonsense_is_a_damaged_one(tmp_path: Path, torn: str) -> None:
    folder = tmp_path / "thing"
    keep(folder, lambda made: (made / "m").write_text("sound") and None, "a thing")
    (folder / MANIFEST).write_text(torn)
    assert unfit(folder) == "has a damaged manifest"
    keep(folder, lambda made: (made / "m").write_text("sound") and None, "a thing", tell=lambda line: None)
    assert not unfit(folder)


def test_a_kept_folder_is_made_once_and_again_when_it_does_not_fit(tmp_path: Path) -> None:
    lines: list[str] = []
    made: list[int] = []

    def counted(work: Path) -> None:
        made.append(1)
        make(work)

    target = tmp_path / "models" / "m"
    assert keep(target, counted, "a model", tell=lines.append) == keep(target, counted, "a model", tell=lines.append) == target
    assert len(made) == 1 and not lines, "what is made for the first time is not said to be made again"
    assert sorted(path.name for path in target.parent.iterdir()) == ["m"] and (target.stat().st_mode & 0o777) in (0o755, 0o775)
    (target / "a.bin").write_bytes(bytes(700))
    keep(target, counted, "a model", tell=lines.append)
    assert lines == ["a model: what the cache holds is damaged: a.bin is not what was kept; it is made again"] and len(made) == 2
    assert (target / "a.bin").read_bytes() == b"weights" * 100 and [path.name for path in target.parent.iterdir()] == ["m"]
    keep(target, counted, "a model", source={"of": "another source"}, tell=lines.append)
    assert len(made) == 3 and "something else" in lines[-1]


def test_contents_are_read_once_a_process_and_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = keep(tmp_path / "m", make, "a model")
    genuine, read = kept.checksum, []
    monkeypatch.setattr(kept, "checksum", lambda path: read.append(path.name) or genuine(path))
    kept._seen.clear()  # as in a new process
    assert not unfit(target) and sorted(read) == ["a.bin", "b.json"]
    assert not unfit(target) and len(read) == 2, "the second look costs no reading"
    os.utime(target / "a.bin")
    assert not unfit(target) and len(read) == 4, "touched: read again, and sound"
    before = (target / "a.bin").stat()
    with (target / "a.bin").open("rb+") as stream:
        stream.write(b"W")
    os.utime(target / "a.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "a.bin" in unfit(target), "its size and time of modification are as they were"
    with pytest.raises(UserError, match="Nothing was written with it") as error:
        check_kept(target, "The model")
    assert "made again" in error.value.remedy


def test_a_failed_making_leaves_what_was_there(tmp_path: Path) -> None:
    target = keep(tmp_path / "models" / "m", make, "a model")
    (target / "a.bin").write_bytes(b"torn")

    def half(work: Path) -> None:
        (work / "part").write_text("1")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="disk is full"):
        keep(target, half, "a model")
    assert (target / "a.bin").read_bytes() == b"torn" and [path.name for path in target.parent.iterdir()] == ["m"]

    def wrong(work: Path) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(UserError, match="a model cannot be written: Input/output error") as error:
        keep(target, wrong, "a model")
    assert "EMOSYNTH_CACHE" in error.value.remedy


def test_another_process_that_was_faster_is_taken(tmp_path: Path) -> None:
    target = tmp_path / "m"

    def slow(work: Path) -> None:
        keep(target, make, "a model")
        (work / "a.bin").write_text("mine")

    assert keep(target, slow, "a model") == target and (target / "a.bin").read_bytes() == b"weights" * 100


# --- damage ---------------------------------------------------------------------------------------------


def test_no_damage_gives_a_wrong_value(tmp_path: Path) -> None:
    assert len(damage.DAMAGES) >= 20
    results = damage.run(["asset", "model", "tagger"], list(damage.DAMAGES), tmp_path)
    slow = [
        "zeroed",
        "truncated by a byte",
        "bit flipped in the middle",
        "bit flipped, time stamps kept",
        "members swapped",
        "manifest torn",
    ]
    results |= damage.run(["weights", "first-stage"], slow, tmp_path)
    results |= damage.run(["checkpoint"], ["zeroed", "bit flipped near the end", "pipe in place of a member"], tmp_path)
    outcomes = {(name, what): outcome for name, found in results.items() for what, outcome in found.items()}
    assert not [place for place, outcome in outcomes.items() if outcome == "wrong"]
    assert set(outcomes.values()) <= {"made again", "error", damage.NO}
    assert all(list(found.values()).count("made again") >= 4 for found in results.values()), "the trial does damage"


def test_the_published_trial_is_of_this_script_and_found_nothing_wrong() -> None:
    published = json.loads((ROOT / "benchmarks" / "damage.json").read_text())
    every = {f"{name}, {process} process" for name in damage.DAMAGES for process in ("same", "new")}
    assert {name: set(found) for name, found in published.items()} == dict.fromkeys(damage.THINGS, every)
    assert {outcome for found in published.values() for outcome in found.values()} <= {"made again", "error", damage.NO}


def test_the_published_kills_were_a_hundred_over_all_stages_and_cost_nothing() -> None:
    published = json.loads((ROOT / "benchmarks" / "kills.json").read_text())
    assert published["kills"] == len(published["each"]) >= 100
    assert set(published["by_stage"]) == set(kills.NAMES) and min(published["by_stage"].values()) >= 8
    assert (published["files_that_differ"], published["rows_lost"], published["rows_twice"]) == ([], 0, 0)
    assert published["files"] > 200 and published["rows"] > 5000, "there was something to lose"


def test_a_row_that_is_made_twice_is_found(tmp_path: Path) -> None:
    """The trial of kills can fail: its trigger takes down a row that was kept and is written again, and no other."""
    run: Any = SimpleNamespace(cache=tmp_path)
    kills.watch(run, ["a.sqlite"])
    place = tmp_path / "rows" / "a.sqlite"
    with RowStore(place) as store:
        store.commit({"one": 1, "two": 2})
        store.commit({"three": 3})
    assert kills._read(place, "select key from again") == []
    with RowStore(place) as store:
        store.commit({"two": 2, "four": 4})
        assert [store.get(key) for key in ("one", "two", "three", "four")] == [1, 2, 3, 4]
    assert kills._read(place, "select key from again") == [("two",)]
    assert set(kills.Run.rows(run)["a.sqlite"]) == {"one", "two", "three", "four"}


def test_the_trial_finds_a_reader_that_trusts(tmp_path: Path) -> None:
    """The trial itself can fail: a thing that is opened without a look gives wrong values."""
    place = tmp_path / "thing"
    place.mkdir()
    (place / "a").write_bytes(b"right" * 50)
    thing = damage.Thing(place, lambda: damage.contents(place))
    assert damage.trial(thing, "zeroed", thing.value(), False) == "wrong"


def test_nothing_is_written_with_a_model_that_was_damaged_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeroed before a call, or while it ran: there is an error in place of texts, so none can be kept under the sound model's key."""
    folder = keep(tmp_path / "m", make, "a model")
    model, requests, ran = OpenVinoModel(folder, "0" * 64), [Request("a", 1)], []

    def write(self: Any, *_: Any) -> list[Completion]:
        ran.append(1)
        if len(ran) == 2:
            (folder / "a.bin").write_bytes(bytes(700))
        return [Completion("text", "stop", 1, 1)]

    monkeypatch.setattr(OpenVinoModel, "_generate", write)
    assert model.generate(requests, Decoding())[0].text == "text"
    for runs in (2, 2):
        with pytest.raises(UserError, match=r"a\.bin is not what was kept. Nothing was written"):
            model.generate(requests, Decoding())
        assert len(ran) == runs


def test_damaged_tuned_weights_are_named_by_the_step_after(tmp_path: Path) -> None:
    thing = damage.weights(tmp_path)
    delta = thing.place / "delta.safetensors"
    raw = bytearray(delta.read_bytes())
    raw[-5] ^= 1
    delta.write_bytes(bytes(raw))
    with pytest.raises(UserError, match=r"delta\.safetensors is not what was kept") as error:
        tuned.load_tuned(thing.place, damage.SPEC)
    assert "04_tuning" in error.value.remedy


# --- leftovers ------------------------------------------------------------------------------------------

MAKER = """
import sys, time
from pathlib import Path
from emosynth.catalog.kept import keep, scratch
def make(work):
    (work / "half").write_text("x")
    with scratch(Path(sys.argv[1])) as room:
        print("making", flush=True)
        time.sleep(60)
keep(Path(sys.argv[1]) / "models" / "m", make, "m")
"""


def test_leftovers_of_a_killed_run_are_swept_and_work_in_progress_is_not(tmp_path: Path) -> None:
    run = subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout is not None and run.stdout.readline() == "making\n"
        found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(f"{MAKING}*"))
        assert len(found) == 2 and found[1].startswith("models/")
        with scratch(tmp_path / "learners" / "encoder") as mine:
            assert sweep(tmp_path) == 0 and len(list(tmp_path.rglob("half"))) == 1 and mine.is_dir(), "their makers live"
            run.send_signal(signal.SIGKILL)
            run.wait()
            assert sweep(tmp_path) == 2 and mine.is_dir()
        assert not list(tmp_path.rglob(f"{MAKING}*")) and not list(tmp_path.rglob("half"))
    finally:
        run.kill()
        run.wait()


def test_a_session_sweeps_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emosynth import session

    swept: list[Path] = []
    monkeypatch.setenv("EMOSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(session, "sweep", swept.append)
    item = session.stage("00_corpora")
    session.open_session("00_corpora", "demo", ROOT, **dict.fromkeys(item.sections))
    assert swept == [tmp_path / "cache"]


# --- nothing executed -----------------------------------------------------------------------------------


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_a_checkpoint_with_code_is_set_aside_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    thing = damage.checkpoint(tmp_path)
    sound, mark = thing.value(), tmp_path / "ran"
    thing.restore()
    torch.save({"epoch": 1, "history": Bomb(mark)}, thing.place)
    assert sound_zip(thing.place), "the archive itself is whole"
    assert thing.value() == sound and not mark.exists()
    assert "cannot be read as plain data; tuning begins anew; it is set aside as checkpoint.pt.damaged" in capsys.readouterr().err
    assert (thing.place.parent / "checkpoint.pt.damaged").exists()
    torch.load(thing.place.parent / "checkpoint.pt.damaged", weights_only=False)
    assert mark.exists(), "read by code that trusts, it does run"


def test_a_sound_checkpoint_is_resumed_and_that_of_another_run_is_not(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    thing = damage.checkpoint(tmp_path)
    mine = torch.load(thing.place, weights_only=True)
    random.Random().setstate(mine["draw"])
    sound = thing.value()
    assert "set aside" not in capsys.readouterr().err
    thing.restore()
    torch.save({**mine, "of": "0" * 64, "current": {name: value + 1 for name, value in mine["current"].items()}}, thing.place)
    assert thing.value() == sound and "is of another run" in capsys.readouterr().err


def test_code_that_a_model_folder_brings_is_not_run_and_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emosynth.models.lm.local import TransformersModel
    from emosynth.models.lm.perplexity import ReferenceModel
    from emosynth.models.lm.trainable import load_for_tuning
    from emosynth.models.transformer import load_encoder

    folder, mark = make_tiny_model(tmp_path / "m"), tmp_path / "ran"
    config = json.loads((folder / "config.json").read_text())
    classes = ("AutoConfig", "AutoModel", "AutoModelForCausalLM")
    config |= {"model_type": "foreign", "auto_map": dict.fromkeys(classes, "foreign.Foreign")}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"auto_map": {"AutoTokenizer": ["foreign.Foreign", None]}}))
    (folder / "foreign.py").write_text(f"import os\nos.mkdir({str(mark)!r})\nclass Foreign: pass\n")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on standard input"))
    for use in (
        lambda: TransformersModel(folder, "0"),
        lambda: load_for_tuning(folder),
        lambda: load_encoder(folder),
        lambda: ReferenceModel(folder, tmp_path / "cache", backend="transformers").score(["a text"]),
    ):
        with pytest.raises(UserError):
            use()
    assert not mark.exists()


FORBIDDEN = {"eval", "exec", "compile", "__import__"}
_PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
_READS_PICKLE = {"src/emosynth/models/tagger.py", "benchmarks/damage.py"}
"""The tagger's weights come as a pickle, read by an unpickler that knows plain containers alone; the trial writes such a file."""
_PASSES_PICKLES = {"src/emosynth/cluster.py"}
"""Work goes to workers that this process started itself, and comes back, as pickles: Ray's own way, and that of processes of one machine."""


def offences(source: str, name: str) -> list[str]:
    """Return what a source does that could execute data, with line numbers."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if _PICKLES & {module.split(".")[0] for module in modules} and name not in _READS_PICKLE | _PASSES_PICKLES:
                found.append(f"{node.lineno}: imports {modules}")
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        constant = {key: value.value for key, value in given.items() if isinstance(value, ast.Constant)}
        plain = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        offends = {
            f"calls {plain}": plain in FORBIDDEN,
            "unpickles": owner in _PICKLES and method in ("load", "loads") and name not in _PASSES_PICKLES,
            "torch.load without weights_only=True": owner == "torch" and method == "load" and constant.get("weights_only") is not True,
            "np.load with pickles": bool(constant.get("allow_pickle", False)) or ("allow_pickle" in given and "allow_pickle" not in constant),
            "a shell": constant.get("shell", False) is not False or ("shell" in given and "shell" not in constant) or f"{owner}.{method}" in ("os.system", "os.popen"),
            "extracts all": method in ("extractall", "unpack_archive", "extract"),
            "trusts remote code": "trust_remote_code" in given and constant.get("trust_remote_code") is not False,
            "from_pretrained without trust_remote_code=False": method == "from_pretrained"
            and owner.rpartition(".")[2].startswith("Auto")
            and constant.get("trust_remote_code") is not False,
            "yaml without a safe loader": owner == "yaml" and method in ("load", "load_all", "unsafe_load", "full_load") and not _safe(node, name),
        }  # fmt: skip
        found += [f"{node.lineno}: {what}" for what, is_so in offends.items() if is_so]
    return found


def _safe(call: ast.Call, name: str) -> bool:
    """Whether the loader that a call of yaml names is a safe one."""
    loaders = [*call.args[1:], *(keyword.value for keyword in call.keywords if keyword.arg == "Loader")]
    if len(loaders) != 1 or not isinstance(loaders[0], ast.Name) or not name.startswith("src/"):
        return False
    module = importlib.import_module(name.removeprefix("src/").removesuffix(".py").replace("/", "."))
    return issubclass(getattr(module, loaders[0].id), (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def test_nothing_in_the_code_executes_data() -> None:
    assert len(CODE) > 100
    found = {name: offences(path.read_text(encoding="utf-8"), name) for path in CODE if (name := path.relative_to(ROOT).as_posix())}
    assert not {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize(
    "source",
    [
        "eval(x)", "exec(x)", "__import__(x)", "import pickle", "from joblib import load", "import dill as d", "pickle.loads(x)", "torch.load(f)",
        "torch.load(f, weights_only=False)", "torch.load(f, weights_only=flag)", "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)",
        "subprocess.run(x, shell=True)", "os.system(x)", "tar.extractall()", "shutil.unpack_archive(x)", "yaml.load(x)",
        "yaml.load(x, yaml.Loader)", "yaml.unsafe_load(x)", "AutoModel.from_pretrained(x)", "transformers.AutoTokenizer.from_pretrained(x)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)", "f(trust_remote_code=flag)",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_searches_for(source: str) -> None:
    assert offences(source, "src/emosynth/x.py")


def test_the_search_lets_pass_what_is_harmless() -> None:
    harmless = [
        "model.eval()",
        "re.compile(x)",
        "torch.load(f, weights_only=True)",
        "yaml.safe_load(x)",
        "np.load(f)",
        "subprocess.run([x])",
    ]
    harmless += ["AutoModel.from_pretrained(x, trust_remote_code=False)", "json.loads(x)", "ast.literal_eval(x)"]
    assert not [source for source in harmless if offences(source, "src/emosynth/x.py")]


# --- what others wrote ----------------------------------------------------------------------------------

_FREE = re.compile(
    r"\b(MIT|BSD|0BSD|ISC|Apache|PSF|Python Software Foundation|MPL|Mozilla Public|EPL|EPLv1|Zlib|Zope Public|CNRI|BSL|CC0|LGPL|Unlicense|MIT-0)\b",
    re.I,
)
_COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.I)
_APART = {"pygit2": "GPL-2.0 with an exception for linking", "grandalf": "GPL-2.0, or EPL-1.0, as its own field has it"}
"""Distributions that DVC brings; the project's code must not import them."""
_SILENT = {"mlcroissant": "Apache-2.0, as its repository and conda-forge have it; the distribution says nothing"}


def licence_of(name: str) -> str:
    """Return what a distribution says of its licence: its expression, else its field and classifiers."""
    about = metadata(name)
    if about.get("License-Expression"):
        return str(about["License-Expression"])
    classifiers = [text.rpartition("::")[2].strip() for text in about.get_all("Classifier") or [] if text.startswith("License ::")]
    field = (str(about.get("License") or "").strip().splitlines() or [""])[0]
    return "; ".join([field, *classifiers])


def locked() -> list[str]:
    lines = [line for name in LOCKS for line in (ROOT / name).read_text().splitlines()]
    return [re.split(r"[=;\s]", line)[0] for line in lines if line and not line.startswith(("#", "-", " "))]


def test_licences_of_all_locked_distributions_go_with_the_projects() -> None:
    licences = {}
    for name in locked():
        with contextlib.suppress(PackageNotFoundError):  # of another platform or Python
            licences[name] = licence_of(name).strip("; ") or _SILENT.get(name, "")
    assert len(licences) > 100
    assert not {name: text for name, text in licences.items() if not (_FREE.search(text) or name in _APART)}, "a licence that is not known"
    bound = {name for name, text in licences.items() if _COPYLEFT.search(text) and not re.search(r"\bOR\b", text)}
    assert bound == set(_APART) & set(licences), "copyleft without a choice"


def test_code_under_copyleft_is_not_imported() -> None:
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
            assert not {str(name).split(".")[0] for name in names} & set(_APART), path


def test_the_bill_of_materials_is_written_apart() -> None:
    """What writes it is no dependency, and is pinned."""
    source = (ROOT / "tools" / "sbom.py").read_text()
    assert re.search(r'TOOL = "cyclonedx-bom==[0-9.]+"', source) and "cyclonedx-bom" not in (ROOT / "pyproject.toml").read_text()
    done = subprocess.run([sys.executable, "tools/sbom.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and "usage" in done.stderr


# --- the real models ------------------------------------------------------------------------------------


@pytest.mark.model
def test_opening_the_real_models_costs_little(tmp_path: Path) -> None:
    from emosynth.models.lm.assets import dequantised_folder, openvino_folder

    gguf, cache = smollm2(), catalog().paths.cache
    for convert in (openvino_folder, dequantised_folder):
        folder = convert(gguf, cache)
        took = []
        for _ in range(3):  # the first reads from the disk, as loading the model would
            kept._seen.clear()
            start = time.perf_counter()
            assert convert(gguf, cache) == folder
            took.append(time.perf_counter() - start)
        again = time.perf_counter()
        convert(gguf, cache)
        assert time.perf_counter() - again < 0.05
        assert min(took) < 0.4, "0.03 s and 0.15 s on an idle machine"


def test_tuned_model_is_looked_at_again_when_it_writes(tmp_path: Path) -> None:
    thing = damage.weights(tmp_path)
    place = str(tmp_path / "tiny")
    store: Any = SimpleNamespace(paths=SimpleNamespace(cache=tmp_path / ".cache"), model=lambda name: Path(name))
    model = tuned.TunedModel(Generator(backend="transformers", model=place), tuned.load_tuned(thing.place, damage.SPEC), store)
    (thing.place / "delta.safetensors").write_bytes(bytes((thing.place / "delta.safetensors").stat().st_size))
    with pytest.raises(UserError, match=r"delta\.safetensors is not what was kept"):
        model.generate([Request("sad note:", 1)], Decoding(max_new_tokens=3))
    assert not list((tmp_path / ".cache").rglob(f"{MAKING}*"))
    seal(thing.place)
