"""A run as an RO-Crate 1.3 by the profile Process Run Crate 0.6: from each published figure back through the stages to the corpora.

What happened is read from ``dvc.lock``. What is published is in the crate; everything else, corpora above all, is named with its hash alone.
https://w3id.org/ro/crate/1.3, https://w3id.org/ro/wfrun/process/0.6.
"""

from __future__ import annotations

import hashlib
import io
import json
import mimetypes
import re
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from emosynth.catalog import Catalog
from emosynth.errors import UserError
from emosynth.files import atomic, disk_errors
from emosynth.params import Params
from emosynth.paths import SHIPPED, Paths, repro
from emosynth.pipeline import STAGES
from emosynth.progress import placeless, warn

PROFILE = "https://w3id.org/ro/wfrun/process/0.6"
_CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
_METADATA = "ro-crate-metadata.json"
_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive: the earliest that the format knows."""
_LOCKS = ("requirements.lock", "torch.lock")
_INPUTS = re.compile(r"notebooks/[^/]+\.ipynb|data/(?:catalog|taxonomies|claims|identity)\.yaml")
"""What a stage reads that is published in the repository; code is named by its hash."""
_KINDS = mimetypes.MimeTypes(filenames=())
for _ending, _kind in {".parquet": "vnd.apache.parquet", ".yaml": "yaml", ".ipynb": "x-ipynb+json", ".js": "javascript"}.items():
    _KINDS.add_type(f"application/{_kind}", _ending)
_ELSEWHERE = re.compile(r"^(?:[/~\\]|[A-Za-z]:[/\\])|://[^/\s]*@")
"""A place outside the repository, or an address with somebody's name."""

Found = Mapping[str, Any]
"""What DVC notes of a file or folder: path, md5, size, nfiles."""


def export_crate(params: Params, paths: Paths, catalog: Catalog, target: Path) -> Path:
    """Write the crate of a profile's last run to an archive (``.zip``) or an empty folder; return it.

    Equal to the byte if nothing has changed: it holds no time but a day, that of the release, or of a user's run the one on which DVC noted its last stage.

    Raises
    ------
    UserError
        If no run is recorded, or nothing is published.
    """
    made = _Maker(params, paths, catalog)
    files = made.files() | {_METADATA: None}
    written = {name: made.metadata() if file is None else file.read_bytes() for name, file in sorted(files.items())}
    if target.suffix == ".zip":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
            for name, content in written.items():
                entry = zipfile.ZipInfo(name, _DATE)
                entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
                file.writestr(entry, content)
        with disk_errors(target), atomic(target) as temporary:
            temporary.write_bytes(archive.getvalue())
        return target
    for name, content in written.items():
        with disk_errors(target / name), atomic(target / name) as temporary:
            temporary.write_bytes(content)
    return target


def md5_of(path: Path) -> str:
    """Return what DVC notes as md5: of a file its own, of a folder that of the list of its files."""
    if not path.is_dir():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    inside = [{"md5": md5_of(file), "relpath": file.relative_to(path).as_posix()} for file in path.rglob("*") if file.is_file()]
    listed = json.dumps(sorted(inside, key=lambda item: item["relpath"]), sort_keys=True)
    return hashlib.md5(listed.encode(), usedforsecurity=False).hexdigest() + ".dir"


class _Maker:
    """The crate as it grows."""

    def __init__(self, params: Params, paths: Paths, catalog: Catalog) -> None:
        from rocrate.rocrate import ROCrate

        self.params, self.paths, self.catalog = params, paths, catalog
        pipeline = paths.root if paths.profile == "demo" else paths.root / "profiles" / paths.profile
        lock = pipeline / "dvc.lock"
        if not lock.is_file():
            raise UserError("No run of this profile is recorded.", where=str(lock), remedy=f"Run it: {repro(profile=paths.profile)}")
        self.stages: dict[str, Any] = _load(lock)["stages"]
        self.noted_on = datetime.fromtimestamp(lock.stat().st_mtime, UTC).date().isoformat()
        self.lacking = [stage.name for stage in STAGES if stage.name not in self.stages]
        if self.lacking:
            warn(f"the crate is of an unfinished run: no record of {', '.join(self.lacking)}")
        self.payload: dict[str, Path] = {}
        self.entities: dict[str, Any] = {}
        self.noted: dict[str, str] = {}
        self.crate = ROCrate(version="1.3")
        self.crate.metadata.extra_contexts.append(_CONTEXT)
        own = [paths.root / "profiles" / f"{paths.profile}.yaml"] if paths.profile != "demo" else []
        rest = ["params.yaml", *_LOCKS, "CITATION.cff", "LICENSE"]
        self._about()
        for file in [*(paths.root / name for name in rest), *own, pipeline / "dvc.yaml", lock]:
            if file.is_file():
                found = {"path": file.relative_to(paths.root).as_posix(), "md5": md5_of(file), "size": file.stat().st_size}
                self._named(found, ours=True)
        self._software()
        for stage in STAGES:  # what DVC notes of stages that there are no more is nobody's work
            if stage.name in self.stages:
                self._action(stage.name, stage.title, self.stages[stage.name])
        timings = paths.report / "timings.js"
        if timings.is_file():
            self._file(timings.relative_to(paths.root).as_posix())
        if not any(name.startswith(f"reports/{paths.profile}/") for name in self.payload):
            raise UserError(
                "Nothing of this profile is published.", where=str(paths.report), remedy=f"Run it: {repro(profile=paths.profile)}"
            )
        self._based()

    def files(self) -> dict[str, Path | None]:
        """Return the files of the crate: name -> where they are."""
        return dict(self.payload)

    def metadata(self) -> bytes:
        """Return the description in JSON-LD."""
        return (json.dumps(self.crate.metadata.generate(), ensure_ascii=False, indent=1) + "\n").encode()

    # --- entities ---

    def _context(self, place: str, kind: str, /, **more: Any) -> Any:
        """Return an entity that is not in the crate."""
        from rocrate.model.contextentity import ContextEntity

        identifier = place if re.match(r"https?://|#", place) else "#" + quote(place, safe="/@")
        if identifier not in self.entities:
            properties = {"@type": kind, **{key: value for key, value in more.items() if value not in (None, "", [])}}
            self.entities[identifier] = self.crate.add(ContextEntity(self.crate, identifier, properties=properties))
        return self.entities[identifier]

    def _file(self, path: str, **more: Any) -> Any:
        """Put a file into the crate; of one that names a place of this machine, only its hash."""
        if path in self.entities:
            return self.entities[path]
        file = self.paths.root / path
        content = file.read_bytes()
        kind = _KINDS.guess_type(path)[0]
        about = {"name": path, "contentSize": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}
        about |= ({"encodingFormat": kind} if kind else {}) | more
        if self._tells(file, content):
            warn(f"{path} names a place of this machine: the crate holds its hash alone")
            self.entities[path] = self._context(path, "CreativeWork", **{key: value for key, value in about.items() if key != "@type"})
        else:
            self.payload[path] = file
            self.entities[path] = self.crate.add_file(file, dest_path=path, properties=about)
        return self.entities[path]

    def _tells(self, file: Path, content: bytes) -> bool:
        if any(f"{place}/".encode() in content for place in {self.paths.root, Path.home()} if len(place.parts) > 1):
            return True
        parameters = file.suffix in (".yaml", ".lock") and file.name not in _LOCKS
        return parameters and any(_ELSEWHERE.search(leaf) for leaf in _leaves(_load(file)))

    def _named(self, found: Found, *, ours: bool = False) -> Any:
        """Return what a stage read or made: in the crate if it is published, or ours, and still what DVC noted, else by its hash."""
        path, md5 = str(found["path"]), str(found["md5"])
        place, published = self.paths.root / path, path.startswith(f"reports/{self.paths.profile}/")
        known = {"md5": md5.removesuffix(".dir"), "contentSize": str(found.get("size", ""))}
        inputs = ours or _INPUTS.fullmatch(path)
        if path not in self.entities and place.exists() and not _ELSEWHERE.search(path) and (published or inputs):
            same = md5_of(place) == md5
            if published and not same:
                warn(f"{path} is not what DVC noted last: it was made again since, or the run was elsewhere")
            if published or same:
                again = {"description": f"Not the one that DVC noted (md5 {known['md5']}): made again since."}
                noted: dict[str, Any] = dict(known if same else again)
                noted |= {"@type": ["File", "SoftwareSourceCode"]} if path.startswith("notebooks/") else {}
                self.entities[path] = self._folder(path, noted) if place.is_dir() else self._file(path, **noted)
        first = self.noted.setdefault(path, md5) == md5  # stages that ran at different times may have read different versions
        if first and path in self.entities:
            return self.entities[path]
        shown = f"a file outside the repository, md5 {known['md5']}" if _ELSEWHERE.search(path) else path
        code = path.endswith((".py", ".ipynb")) and "/notebooks/" not in path
        kind = "SoftwareSourceCode" if code else "Dataset" if md5.endswith(".dir") else "CreativeWork"
        return self._context(shown if first else f"{shown}@{md5[:8]}", kind, name=shown, **known)

    def _folder(self, path: str, noted: dict[str, str]) -> Any:
        files = [file.relative_to(self.paths.root).as_posix() for file in sorted((self.paths.root / path).rglob("*")) if file.is_file()]
        parts = [self._file(file) for file in files]
        made = self.crate.add_dataset(dest_path=path, properties={"name": path, **noted})
        made["hasPart"] = parts
        return made

    # --- what is described ---

    def _about(self) -> None:
        about, root = _load(self.paths.root / "CITATION.cff"), self.crate.root_dataset
        authors = [self._author(one) for one in about["authors"]]
        licence = self._context(f"https://spdx.org/licenses/{about['license']}", "CreativeWork", name=str(about["license"]))
        app = {"name": str(about["title"]), "softwareVersion": str(about["version"]), "license": licence, "author": authors}
        self.app = self._context("#emosynth", "SoftwareApplication", **app)
        root["conformsTo"] = self._context(PROFILE, "CreativeWork", name="Process Run Crate", version="0.6")
        ours = (
            self.paths.profile in SHIPPED
        )  # of these the release is the publication; whose a user's run is, and under which licence, is not known
        root["name"] = f"{about['title']}: the run {self.paths.profile}"
        root["license"] = licence if ours else "Not stated: whoever made the run says under what licence it stands"
        if ours:
            root["author"] = authors
        what = (
            f"What version {about['version']} published of the profile"
            if ours
            else f"A user's run, by version {about['version']}, of the profile"
        )
        whose = "" if ours else " Author and licence are the user's to state."
        lacking = f" The run is not finished; stages that are not in its record: {', '.join(self.lacking)}." if self.lacking else ""
        root["description"] = (
            f"{what} {self.paths.profile}, and the stages, inputs and parameters that made it. Corpora, written texts "
            f"and code are named by their hashes; none of them is in the crate.{whose}{lacking}"
        )
        root["datePublished"] = str(about["date-released"]) if ours else self.noted_on

    def _author(self, one: Found) -> Any:
        name = one.get("name") or " ".join(filter(None, (one.get("given-names"), one.get("family-names"))))
        return self._context(one.get("orcid") or f"#author/{quote(name)}", "Organization" if "name" in one else "Person", name=name)

    def _software(self) -> None:
        """Name every locked package."""
        lines = [line for name in _LOCKS for line in (self.paths.root / name).read_text(encoding="utf-8").splitlines()]
        self.app["softwareRequirements"] = [self._package(line.removesuffix(" \\")) for line in lines if re.match(r"[a-z0-9]", line)]

    def _package(self, line: str) -> Any:
        locked, _, where = line.partition(" ; ")
        name, _, version = locked.partition("==")
        return self._context(f"#package/{locked}", "SoftwareApplication", name=name, softwareVersion=version, description=where)

    def _action(self, name: str, title: str, stage: Found) -> None:
        read = [self._named(found) for found in stage["deps"]]
        notebooks = [entity for entity, found in zip(read, stage["deps"], strict=True) if found["path"].startswith("notebooks/")]
        read += [self._parameter(key, value) for values in stage.get("params", {}).values() for key, value in values.items()]
        made = [self._named(found) for found in stage["outs"]]
        given = {"corpora": self.params.corpora.names, "narratives": self.params.narratives.sources}
        read += [self._source(one) for found in stage["outs"] for one in given.get(Path(found["path"]).name, [])]
        about = {"name": title, "description": placeless(str(stage["cmd"]), self.paths.root)}
        about["actionStatus"] = "http://schema.org/CompletedActionStatus"
        action = self.crate.add_action([self.app, *notebooks], f"#run/{name}", read, made, about)
        self.crate.root_dataset.append_to("mentions", action)

    def _parameter(self, key: str, value: Any) -> Any:
        shown = value if isinstance(value, str | int | float) else json.dumps(_public(value), ensure_ascii=False, sort_keys=True)
        shown = _public(shown) if isinstance(shown, str) and value is shown else shown
        digest = hashlib.sha256(repr(shown).encode()).hexdigest()[:8]
        return self._context(f"#parameter/{quote(key)}/{digest}", "PropertyValue", name=key, value=shown)

    def _source(self, name: str) -> Any:
        """Return a corpus or a source of stories that a stage was given, as the run described it, or the catalogue does."""
        file, about = self.paths.report / "results" / "corpora" / f"{name}.json", dict[str, Any]()
        if file.is_file():
            about = json.loads(file.read_text(encoding="utf-8"))
        elif name in self.catalog:
            entry = self.catalog.entry(name)
            digest = next((str(source.sha256) for source in entry.sources if hasattr(source, "sha256")), "")
            about = {"source": entry.title, "hash": digest, **{key: getattr(entry, key) for key in ("licence", "citation", "languages")}}
        shown = "a place outside the repository" if _ELSEWHERE.search(name) else name
        known = {"inLanguage": about.get("languages"), "description": _public(str(about.get("source", "")))}
        known |= {key: about.get(of) for key, of in (("sha256", "hash"), ("license", "licence"), ("citation", "citation"))}
        return self._context(f"#source/{quote(shown)}", "Dataset", name=shown, **known)

    def _based(self) -> None:
        """Lead from each figure to its tables, and from each table to what the stages made."""
        from emosynth.report.figures.base import figures

        report, data = f"reports/{self.paths.profile}", f"#data/{self.paths.profile}"
        for path in self.payload:
            step = path.removeprefix(f"{report}/results/").rpartition("/")[0]
            if path.startswith(f"{report}/results/") and f"{data}/{step}" in self.entities:
                self.entities[path]["isBasedOn"] = self.entities[f"{data}/{step}"]
        for figure in figures():
            tables = [name.partition(":")[0] for name in figure.reads]
            known = [(f"{report}/results/{name}.parquet", f"{data}/{name.partition('/')[0]}") for name in tables]
            bases = [self.entities.get(table) or self.entities.get(folder) for table, folder in known]
            for path in self.payload:
                if path.startswith(f"{report}/figures/") and re.fullmatch(rf"{re.escape(figure.name)}(-dark)?\.\w+", Path(path).name):
                    self.entities[path]["isBasedOn"] = list({base.id: base for base in bases if base is not None}.values())


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the lock has thousands of lines


def _load(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _leaves(inner)


def _public(value: Any) -> Any:
    """Return a value without places outside the repository."""
    if isinstance(value, str):
        return "(a place outside the repository)" if _ELSEWHERE.search(value) or f"{Path.home()}/" in value else value
    if isinstance(value, Mapping):
        return {key: _public(inner) for key, inner in value.items()}
    return [_public(inner) for inner in value] if isinstance(value, list) else value
