"""Command line: ``python -m emosynth`` (or ``emosynth`` in the environment)."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from emosynth.errors import UserError
from emosynth.escape import print_json, terminal
from emosynth.paths import Paths, free, repository_root, work_on
from emosynth.trying import commands as trying


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened flags, and proposes the nearest word for one that it does not know."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **({"allow_abbrev": False} | more))
        self.given: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and let the command that was given, not the program, say which of its flags are unknown."""
        self.given = list(sys.argv[1:] if args is None else args)
        found, rest = super().parse_known_args(args, namespace)
        flags = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        if rest and (unknown := [word for word in rest if word.startswith("-")]):
            name = unknown[0].split("=")[0]
            self.error(
                f"there is no {name}.{_near('--' + name.lstrip('-').replace('_', '-'), flags) or ' It takes ' + ', '.join(sorted(flags)) + '.'}"
            )
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the long usage and as JSON if that is asked for, and stop with status 2."""
        said = message
        if wrong := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            known = re.findall("[^', ]+", wrong[2])
            message = f"there is no {wrong[1]}.{_near(wrong[1], known) or ' There are ' + ', '.join(known) + '.'}"
            if Path(wrong[1]).expanduser().exists():
                message = f"{wrong[1]} is a file, and no command. Did you mean: {self.prog} check {wrong[1]}?"
        remedy = f"{self.prog} --help lists what there is."
        if "--json" in self.given:
            named = re.match(r"argument (--\S+):|there is no (--[^\s.]+)", said)
            _print_json(UserError(message, where=next(filter(None, named.groups()), "") if named else "", remedy=remedy))
            self.exit(2)
        self.exit(2, f"error: {terminal(message)}\n  remedy: {remedy}\n")


def _print_json(error: UserError) -> None:
    print_json({"error": error.what, "where": error.where, "remedy": error.remedy})


def _tell(error: UserError, given: argparse.Namespace) -> int:
    if getattr(given, "json", False):
        _print_json(error)
    else:
        print(f"error: {error}", file=sys.stderr)
    return 1


def _near(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" Did you mean {close[0]}?" if close else ""


def parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    made = Parser(prog="emosynth", description="The Synthetic Emotion Compendium")
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
    command("recipe", "pick one arm for all corpora, of a profile that was scored on validation rows")
    command("restore", "put a profile's published result tables where its stages would have written them")
    export = command("export", "write the rows of an arm as a data set to take away")
    export.add_argument("arm", help="name of an arm, or best: the one that the report's first page picks")
    export.add_argument("--to", type=Path, required=True, help="folder; it must not hold anything yet")
    export.add_argument("--mask", action="store_true", help="replace mentions, addresses and numbers of people by words in brackets")
    crate = command("crate", "write what a run published, and how it came about, as an RO-Crate: no corpus text")
    crate.add_argument(
        "--out", type=Path, help="archive (.zip), or a folder that holds nothing yet (default: data/<profile>/crate.zip, replaced)"
    )
    survey = command("survey", "draw a blinded sample as a page for raters, or read their answers")
    survey.add_argument("--texts", type=int, default=80, help="texts on the page, half of them real (default: %(default)s)")
    survey.add_argument("--arms", nargs="+", metavar="ARM", help="arms that are asked about (default: all that write)")
    survey.add_argument(
        "--show-real", action="store_true", help="you may show the corpus's texts to your raters, whatever its licence says"
    )
    survey.add_argument("--read", nargs="+", type=Path, metavar="CSV", help="read saved answers instead")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. User errors are printed without a traceback."""
    given = parser().parse_args(arguments)
    try:
        root = repository_root(given.root)
        work_on(given.profile)
        return _COMMANDS[given.command](given, root)
    except UserError as error:
        return _tell(error, given)
    except BrokenPipeError:  # what reads the output has had enough, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # a full disk, or a place that is only to be read
        from emosynth.files import disk_errors

        try:
            with disk_errors(Path(os.fsdecode(error.filename or root))):
                raise
        except UserError as told:
            return _tell(told, given)


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


def _recipe(given: argparse.Namespace, root: Path) -> int:
    from emosynth.evidence.recipe import write_recipe
    from emosynth.params import load_params

    path, said = write_recipe(load_params(root, given.profile), Paths(root, given.profile))
    print(terminal(said, lines=True))
    print(f"written: {path.relative_to(root)} (every try)")
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

    paths, folder = Paths(root, given.profile), free(given.to, folder=True)
    export_dataset(load_params(root, given.profile), paths, given.arm, folder, Catalog.load(paths), masked=given.mask)
    print(f"written: {folder}")
    return 0


def _crate(given: argparse.Namespace, root: Path) -> int:
    from emosynth.catalog import Catalog
    from emosynth.crate import export_crate
    from emosynth.params import load_params

    paths = Paths(root, given.profile)
    target = free(given.out, folder=given.out.suffix != ".zip") if given.out else paths.data / "crate.zip"
    print(f"written: {export_crate(load_params(root, given.profile), paths, Catalog.load(paths), target)}")
    return 0


def _survey(given: argparse.Namespace, root: Path) -> int:
    from emosynth.params import load_params

    params, paths = load_params(root, given.profile), Paths(root, given.profile)
    if given.read:
        from emosynth.responsible.answers import read_survey

        for frame in read_survey(params, paths, given.read).values():
            print(terminal(frame.round(3).to_string(index=False, na_rep=""), lines=True), end="\n\n")
        return 0
    from emosynth.responsible.survey import write_survey

    made = write_survey(params, paths, texts=given.texts, arms=given.arms, show_real=given.show_real)
    print(f"written: {made.relative_to(root)} (give it to raters; it holds text of the corpus: do not publish it)")
    return 0


def _params(given: argparse.Namespace, root: Path) -> int:
    from emosynth.params import load_params

    print(load_params(root, given.profile).model_dump_json(indent=2))
    return 0


_COMMANDS = {
    "doctor": _doctor, "run": _run, "params": _params, "pipeline": _pipeline, "figure": _figure, "restore": _restore, "export": _export, "crate": _crate, "survey": _survey,
    "recipe": _recipe,
    "check": trying.check, "try": trying.try_file, "browse": trying.browse,
}  # fmt: skip
