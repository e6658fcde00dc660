"""``emosynth check``, ``try`` and ``browse``."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosynth.errors import UserError
from emosynth.escape import print_json
from emosynth.paths import SHIPPED, Paths, free, repro, work_on
from emosynth.progress import counted
from emosynth.trying.told import add_flags, found_at, fractions_of, lines, look, spec_of

if TYPE_CHECKING:
    from emosynth.trying.found import Rows


def add_check(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``check``."""
    add_flags(parser)
    parser.add_argument("--json", action="store_true", help="as JSON, an error too")


def add_try(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``try``."""
    add_flags(parser)
    parser.add_argument("--name", default=None, help="name of the profile and of the corpus (default: that of the file)")
    parser.add_argument("--texts", type=int, default=3, help="texts of each class and arm")
    parser.add_argument("--force", action="store_true", help="replace a profile of yours that is for something else")
    parser.add_argument("--go", action="store_true", help="then run the profile whole")
    parser.add_argument("--check", action="store_true", help="only say what it is understood as, as the command check does")
    parser.add_argument("--json", action="store_true", help="with --check: as JSON, an error too")


def add_browse(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``browse``."""
    parser.add_argument("--port", type=int, default=8765, help="port on 127.0.0.1; 0: any that is free")
    parser.add_argument("--to", type=Path, default=None, help="write a page instead; it holds corpus text, and is not to be published")
    parser.add_argument("--query", default="", help="what to show, as behind ? in the browser's address: arm=shap&verdict=rejected")


def check(given: argparse.Namespace, root: Path) -> int:
    """Say what a file is understood as, and whether a run would take it; nothing is run or written. Returns 1 if it would not."""
    from emosynth.trying.profile import name_in, refused, untaught

    told: dict[str, Any] = {}
    try:
        path = found_at(root, given.file)
        seen = look(given, path)
        refusal, said = refused(root, path, seen, name_in(path), fractions_of(given))
        seen.warnings.extend([*said, *untaught(root, path, seen, name_in(path))])
        told = json.loads(seen.to_json())
        if not given.json:
            print("\n".join(lines(seen)), flush=True)
        if refusal is not None:
            raise refusal
    except UserError as error:
        if not given.json:
            raise
        print_json(told | {"error": error.what, "where": error.where, "remedy": error.remedy})
        return 1
    if given.json:
        print_json(told)
    return 0


def try_file(given: argparse.Namespace, root: Path) -> int:
    """Say what a file is understood as, write a profile for it, and show a preview."""
    if given.check:
        return check(given, root)
    if given.json:
        raise UserError(
            "There is JSON of what a file is understood as, and none of a preview.",
            where="--json",
            remedy="Add --check, or leave --json out.",
        )
    from emosynth.catalog import Catalog
    from emosynth.files import write_text
    from emosynth.params import UserCorpus, load_params
    from emosynth.params.corpora import NAME
    from emosynth.seeding.seeds import primary_labels
    from emosynth.store import check_cache
    from emosynth.trying import page
    from emosynth.trying.places import check_free
    from emosynth.trying.preview import look_at_corpus, params_with, preview
    from emosynth.trying.profile import fitting, free_name, held_by, path_in, spelled_out, text_of, write_profile

    path = found_at(root, given.file)
    catalog = Catalog.load(Paths(root, "demo"))
    proposed = free_name(root, path, catalog)
    name = given.name or proposed
    paths = Paths(root, name)
    if not re.fullmatch(NAME, name) or name in SHIPPED or name in catalog:
        raise UserError(
            f"{name!r} cannot be the name of a profile and of its corpus.", where="--name",
            remedy=f"Use lower-case letters, digits, and - between them; no profile that comes with the project ({', '.join(SHIPPED)}), "
            f"and no name of data/catalog.yaml. Free is: --name {proposed}",
        )  # fmt: skip
    if given.texts < 1:
        raise UserError("There must be texts to show.", where="--texts", remedy="Ask for at least 1 of each class and arm.")
    check_cache(paths.cache)
    check_free(paths.cache)
    work_on(name)
    seen, fractions = look(given, path), fractions_of(given)
    understood = list(lines(seen))
    print("\n".join(understood), flush=True)
    spec = spec_of(given)
    said = {} if spec is None else spec.model_dump(exclude_unset=True, exclude={"path"})
    custom = {"path": path_in(root, path)} | spelled_out(path, seen, said, given.conflicts)
    custom.setdefault("register_noun", str(UserCorpus.model_fields["register_noun"].default))
    if (root / "profiles" / f"{name}.yaml").exists() and not given.force:
        write_profile(root, name, text_of(name, custom, {}, given.conflicts, fractions), tuple(said), force=False)
        print(f"kept as it is: profiles/{name}.yaml", flush=True)
        params = load_params(root, name)
        corpus = look_at_corpus(params, catalog, paths)
    else:
        more = {} if fractions is None else {"fractions": fractions}
        start = params_with(root, {"target": name, "conflicts": given.conflicts, "custom": custom} | more)
        corpus = look_at_corpus(start, catalog, paths)
        labels = primary_labels(corpus.split("train"), corpus.classes)
        cells = fitting({label: labels.count(label) for label in corpus.classes}, start.cells, name, held_by(corpus.frame))
        text = text_of(name, custom, cells, given.conflicts, fractions)
        profile, _ = write_profile(root, name, text, tuple(said), force=given.force)
        print(f"written: {profile.relative_to(root)}", flush=True)
        params = load_params(root, name)
    made = preview(params, catalog, paths, corpus, given.texts)
    target = paths.data / "preview.html"
    write_text(target, page.page(made, name, understood))
    print(
        "\n".join([*page.lines(made), "", *page.summary(made, name), "", f"page: {target.relative_to(root)} (never published)"]), flush=True
    )
    if given.go:
        return go(root, name)
    print(f"all of it: {page.next_step(name)}    its rows: python -m emosynth browse --profile {name}")
    return 0


def go(root: Path, name: str) -> int:
    """Write the pipeline of a profile and run it; returns the status of DVC."""
    from emosynth.pipeline import fit_dvc, write_pipelines

    for path in write_pipelines(root, name, alone=True):
        print(f"written: {path.relative_to(root)}")
    fit_dvc(root)
    print(f"running: {repro(profile=name)}", flush=True)
    return subprocess.run([sys.executable, "-m", "dvc", "repro", f"profiles/{name}/dvc.yaml"], cwd=root, check=False).returncode


def browse(given: argparse.Namespace, root: Path) -> int:
    """Show the candidates of a profile with their verdicts, in a browser or as a page."""
    from emosynth.params import load_params
    from emosynth.trying.places import rows_at
    from emosynth.trying.serve import port_of, serve, server_of

    if given.to is None:
        load_params(root, given.profile)  # an address that answers nothing is none
        rows_at(Paths(root, given.profile))
        with server_of(given.port) as server:  # its address is there at once, its rows after some seconds
            print(f"http://127.0.0.1:{port_of(server)}/ on this machine alone; reading the rows of {given.profile} …", flush=True)
            return serve(server, _rows_of(given, root))
    from emosynth.files import write_text
    from emosynth.trying.browser import is_listing, listing
    from emosynth.trying.found import Query

    to = free(given.to, folder=False, own=is_listing).absolute()
    if to.is_relative_to(root / "reports"):
        raise UserError(
            "What lies in reports/ is published, and this page holds corpus text.", where=str(given.to), remedy="Write it elsewhere."
        )
    rows, query = _rows_of(given, root), Query.read(given.query)
    rows.check(query)
    write_text(to, listing(rows, query, whole=True))
    print(f"written: {given.to}, {len(rows.find(query)):,} of {counted(len(rows.frame), 'row')} (it holds corpus text: do not publish it)")
    return 0


def _rows_of(given: argparse.Namespace, root: Path) -> Rows:
    from emosynth.params import load_params
    from emosynth.trying.found import Rows

    load_params(root, given.profile)
    return Rows.load(Paths(root, given.profile))
