"""Command line: ``python -m emosynth`` (or ``emosynth`` in the environment)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from emosynth.errors import UserError
from emosynth.paths import Paths, repository_root


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    made = argparse.ArgumentParser(prog="emosynth", description="The Synthetic Emotion Compendium")
    made.add_argument("--root", type=Path, default=None, help="repository (default: the one around the current folder)")
    commands = made.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run one stage (DVC calls this)")
    run.add_argument("stage")
    run.add_argument("--profile", default="demo")
    pipeline = commands.add_parser("pipeline", help="write dvc.yaml and profiles/*/dvc.yaml")
    pipeline.add_argument("--check", action="store_true", help="only say whether they are up to date")
    figure = commands.add_parser("figure", help="draw one figure of the report again from the files that the stages wrote")
    figure.add_argument("name", nargs="?", help="figure; none: list them")
    figure.add_argument("--profile", default="demo")
    restore = commands.add_parser("restore", help="put a profile's published result tables where its stages would have written them")
    restore.add_argument("--profile", default="demo")
    export = commands.add_parser("export", help="write the rows of an arm as a data set to take away")
    export.add_argument("arm", help="name of an arm, or best: the one that is worth most on these labels")
    export.add_argument("--to", type=Path, required=True, help="folder; it must not hold anything yet")
    export.add_argument("--profile", default="demo")
    params = commands.add_parser("params", help="check and show the parameters of a profile")
    params.add_argument("--profile", default="demo")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. User errors are printed without a traceback."""
    given = parser().parse_args(arguments)
    try:
        return _COMMANDS[given.command](given, repository_root(given.root))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(given: argparse.Namespace, root: Path) -> int:
    from emosynth.runner import run_stage

    run_stage(root, given.stage, given.profile)
    return 0


def _pipeline(given: argparse.Namespace, root: Path) -> int:
    from emosynth.pipeline import stale_pipelines, write_pipelines

    changed = stale_pipelines(root) if given.check else write_pipelines(root)
    for path in changed:
        print(f"{'out of date' if given.check else 'written'}: {path.relative_to(root)}")
    return int(given.check and bool(changed))


def _figure(given: argparse.Namespace, root: Path) -> int:
    from emosynth.params import load_params
    from emosynth.report import figure_names, regenerate

    paths, params = Paths(root, given.profile), load_params(root, given.profile)
    made = figure_names() if given.name is None else [path.relative_to(root) for path in regenerate(given.name, paths, params)]
    print("\n".join(map(str, made)))
    return 0


def _restore(given: argparse.Namespace, root: Path) -> int:
    from emosynth.report.results import restore

    paths = Paths(root, given.profile)
    steps = restore(paths)
    print(f"restored to {paths.data.relative_to(root)}: {', '.join(steps) or 'nothing; every step has results of its own'}")
    return 0


def _export(given: argparse.Namespace, root: Path) -> int:
    from emosynth.catalog import Catalog
    from emosynth.export import export_dataset
    from emosynth.params import load_params

    paths, folder = Paths(root, given.profile), given.to.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError("This place holds something already.", where=str(folder), remedy="Name a folder that does not exist yet.")
    export_dataset(load_params(root, given.profile), paths, given.arm, folder, Catalog.load(paths))
    print(f"written: {folder}")
    return 0


def _params(given: argparse.Namespace, root: Path) -> int:
    from emosynth.params import load_params

    print(load_params(root, given.profile).model_dump_json(indent=2))
    return 0


_COMMANDS = {"run": _run, "pipeline": _pipeline, "figure": _figure, "restore": _restore, "export": _export, "params": _params}
