"""Command line: ``python -m emosynth`` (or ``emosynth`` in the environment)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from emosynth.errors import Stopped, UserError
from emosynth.paths import Paths, repository_root, work_on
from emosynth.trying import commands as trying


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    made = argparse.ArgumentParser(prog="emosynth", description="The Synthetic Emotion Compendium")
    made.add_argument("--root", type=Path, default=None, help="repository (default: the one around the current folder)")
    commands = made.add_subparsers(dest="command", required=True)

    def command(name: str, explained: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=explained)
        added.add_argument("--profile", default="demo", help="demo, or the name of a file in profiles/")
        return added

    for name, explained, add in (
        ("check", "say what a file of labelled text is understood as; nothing is run", trying.add_check),
        ("try", "say what a file is understood as, write a profile for it, and show a preview", trying.add_try),
    ):
        own = commands.add_parser(name, help=explained)
        own.set_defaults(profile="demo")
        add(own)
    trying.add_browse(command("browse", "show the rows of a profile with verdicts and reasons, on this machine alone"))
    command("doctor", "say whether this machine can run a profile, and what to do if not")
    command("run", "run one stage (DVC calls this)").add_argument("stage")
    command("params", "check and show the parameters of a profile")
    pipeline = command("pipeline", "write dvc.yaml and profiles/*/dvc.yaml, and check one profile")
    pipeline.add_argument("--check", action="store_true", help="only say whether they are up to date")
    figure = command("figure", "draw one figure of the report again from the files that the stages wrote")
    figure.add_argument("name", nargs="?", help="figure; none: list them")
    command("restore", "put a profile's published result tables where its stages would have written them")
    export = command("export", "write the rows of an arm as a data set to take away")
    export.add_argument("arm", help="name of an arm, or best: the one that is worth most on these labels")
    export.add_argument("--to", type=Path, required=True, help="folder; it must not hold anything yet")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. User errors are printed without a traceback, and so is being stopped."""
    given = parser().parse_args(arguments)
    try:
        root = repository_root(given.root)
        work_on(given.profile)
        return _COMMANDS[given.command](given, root)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return stopped.status
    except BrokenPipeError:  # what reads the output has had enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("stopped; what was written before is whole", file=sys.stderr)
        return 130


def _doctor(given: argparse.Namespace, root: Path) -> int:
    from emosynth.doctor import doctor

    return int(not doctor(Paths(root, given.profile)))


def _run(given: argparse.Namespace, root: Path) -> int:
    from emosynth.pipeline import STAGES
    from emosynth.runner import run_stage

    if given.stage == STAGES[0].name:
        from emosynth.evidence.declared import check_declared

        check_declared(root)  # claims are declared before a run, and a claim that names what is nowhere is no declaration
    run_stage(root, given.stage, given.profile)
    return 0


def _pipeline(given: argparse.Namespace, root: Path) -> int:
    from emosynth.params import load_params
    from emosynth.pipeline import fit_dvc, stale_pipelines, write_pipelines

    load_params(root, given.profile)
    changed = stale_pipelines(root) if given.check else write_pipelines(root, given.profile)
    for path in changed:
        print(f"{'out of date' if given.check else 'written'}: {path.relative_to(root)}")
    if not given.check and fit_dvc(root):
        print("written: .dvc/config.local (whether DVC is to look for a git repository)")
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


_COMMANDS = {
    "doctor": _doctor, "run": _run, "params": _params, "pipeline": _pipeline, "figure": _figure, "restore": _restore, "export": _export,
    "check": trying.check, "try": trying.try_file, "browse": trying.browse,
}  # fmt: skip
