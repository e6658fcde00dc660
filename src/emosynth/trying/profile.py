"""A profile for a file of one's own: what was guessed is spelled out, and seeds fit the corpus."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from emosynth.corpora.files import uncollected
from emosynth.corpora.own import Understanding, understand
from emosynth.corpora.shares import Conflicts
from emosynth.errors import UserError
from emosynth.files import write_text
from emosynth.params import Cells, Corpora, Params, UserCorpus, read_file
from emosynth.params.base import load_yaml
from emosynth.paths import SHIPPED, Paths
from emosynth.progress import counted
from emosynth.trying.amounts import sizes_for

if TYPE_CHECKING:
    import pandas as pd

    from emosynth.catalog import Catalog

_SEPARATE = ("encoding", "separator", "quoting")
# YAML refuses these characters, or folds them as it does the ends of lines; lone surrogates are no UTF-8.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
FEW = 2000
"""Rows among which near-duplicates are found in a second or two."""


def spelled_out(path: Path, seen: Understanding, said: Mapping[str, Any], conflicts: Conflicts) -> dict[str, Any]:
    """Return what ``corpora.custom`` must say for a file to be read as it was understood, without its path.

    It is read once more by what is returned: a guess that does not read the same rows when it is said is left to be guessed.

    Parameters
    ----------
    said
        What was said and not guessed.
    """
    numbered = seen.columns == [str(place + 1) for place in range(len(seen.columns))]

    def column(name: str) -> str | int:
        return int(name) if numbered and name.isdigit() else name

    needed: dict[str, Any] = {
        "text": column(seen.text),
        "labels": [str(name) for name in seen.labels] if isinstance(seen.labels, list) else column(seen.labels),
    } | dict(said)
    guessed: dict[str, Any] = {}
    for guess in seen.guesses:
        if guess.parameter in _SEPARATE:
            guessed[guess.parameter] = getattr(seen, guess.parameter)
        elif guess.parameter == "header":
            guessed["header"] = not guess.value.startswith("none")
        elif guess.parameter == "split" and seen.split in seen.columns:
            guessed["split"] = column(str(seen.split))
        elif guess.parameter == "task":
            guessed["task"] = seen.task
        elif guess.parameter == "label_lists":
            guessed["label_lists"] = True
        elif guess.parameter == "sheet":
            guessed["sheet"] = guess.value
    for more in ({name: value for name, value in guessed.items() if value not in ("", None)}, {}):
        whole = needed | {name: value for name, value in more.items() if name not in needed}
        try:
            again = understand(path, UserCorpus(path=str(path), **whole), conflicts)
        except (UserError, ValueError):
            continue
        if again.rows == seen.rows:
            return whole
    return needed


def name_in(path: Path) -> str:
    """Return the name of a file as one of a profile and a corpus: ``Mails 2024.csv`` is ``mails-2024``."""
    plain = unicodedata.normalize("NFKD", path.absolute().name.lstrip(".").split(".")[0]).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain)[:40].strip("-") or "mine"


def free_name(root: Path, path: Path, catalog: Catalog) -> str:
    """Return a name for a file's profile that nothing else has: that of the file, or with a number; the profile of this very file keeps its own."""
    base = name_in(path)
    for name in itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2))):
        there = root / "profiles" / f"{name}.yaml"
        if name not in SHIPPED and name not in catalog and (not there.exists() or _custom(there, name).get("path") == path_in(root, path)):
            return name
    raise AssertionError("numbers do not end")


def _custom(profile: Path, name: str) -> Mapping[str, Any]:
    """Return what a profile says of its own corpus; nothing if it says nothing or cannot be read."""
    try:
        corpora = read_file(profile).get("corpora")
    except UserError:
        return {}
    own = corpora.get("custom") if isinstance(corpora, Mapping) else None
    own = own.get(name, own) if isinstance(own, Mapping) else None
    return own if isinstance(own, Mapping) else {}


@uncollected()
def refused(
    root: Path, path: Path, seen: Understanding, name: str, fractions: Sequence[float] | None = None
) -> tuple[UserError | None, list[str]]:
    """Return why a run would refuse what a file is understood as, None if it would not, and what is to be known of its splits and near-duplicates.

    The rules are the run's own (`emosynth.corpora.build.settled`, `fitting`), with the splits and seeds of ``params.yaml`` (``fractions``: other splits). In files of more
    than `FEW` rows near-duplicates are not looked for, and this is said.
    """
    from emosynth.corpora.build import settled
    from emosynth.corpora.own import loaded
    from emosynth.seeding.seeds import primary_labels

    values = read_file(root / "params.yaml")
    corpora = {key: value for key, value in values.get("corpora", {}).items() if key in ("fractions", "near_duplicate")}
    corpora |= {} if fractions is None else {"fractions": list(fractions)}
    small = len(seen.rows) <= FEW
    said = (
        []
        if small
        else [f"Near-duplicates are not looked for here in more than {FEW:,} rows; a run leaves out those of its training rows."]
    )
    try:
        made = settled(name, loaded(seen, path), Corpora.model_validate({"target": name} | corpora), near=small)
        labels = Counter(primary_labels(made.frame[made.frame["split"] == "train"], list(seen.classes)))
        fitting({label: labels[label] for label in seen.classes}, Cells.model_validate(values["cells"]), name, held_by(made.frame))
    except UserError as error:
        return error, said
    if near := sum(kinds.get("near", 0) for kinds in made.report.get("removed", {}).values()):
        said.append(
            f"{counted(near, 'row')} {'is' if near == 1 else 'are'} nearly the same as another (near-duplicates): a run leaves {'it' if near == 1 else 'them'} out of its training and validation rows."
        )
    return None, made.overlaps + said + made.unscored


def check_own(name: str, params: Params, paths: Paths) -> str:
    """Return what a run would take of a user's file, by the rules of steps 00 and 01; files of more than `FEW` rows are checked without near-duplicates.

    Raises
    ------
    UserError
        As these steps would: for columns that are not there, rows that cannot be used, splits and seeds that do not fit.
    """
    from emosynth.corpora.build import settled
    from emosynth.corpora.own import loaded
    from emosynth.seeding.seeds import check_seeds, primary_labels

    own = params.corpora.custom[name]
    path = paths.own(own.path)
    seen = understand(path, own, params.corpora.conflicts)
    made = settled(name, loaded(seen, path), params.corpora, near=len(seen.rows) <= FEW)
    train = made.frame[made.frame["split"] == "train"]
    labels = Counter(primary_labels(train, list(seen.classes)))
    check_seeds(name, {label: labels[label] for label in seen.classes}, params.cells)
    return f"{len(train):,} training rows of {len(seen.classes)} classes"


def untaught(root: Path, path: Path, seen: Understanding, name: str) -> list[str]:
    """Return what is to be known of arms that write in another list of labels (`emosynth.generation.counterparts.warned`).

    Asked are the arms of the file's own profile, if it has one, else those of ``params.yaml``.
    """
    from emosynth.design.arms import resolve_arms
    from emosynth.design.space import Space
    from emosynth.generation.counterparts import warned
    from emosynth.params import validate
    from emosynth.params.base import deep_merge
    from emosynth.taxonomy import Taxonomies

    there, values = root / "profiles" / f"{name}.yaml", read_file(root / "params.yaml")
    if _custom(there, name).get("path") == path_in(root, path):
        values = deep_merge(values, read_file(there))
    try:
        arms, taxonomies = resolve_arms(validate(values, "params.yaml")), Taxonomies.load(Paths(root, name).taxonomies)
    except UserError:  # of the project, not of the file that is checked
        return []
    phrases = dict.fromkeys(seen.classes, "")
    space = Space(name, tuple(seen.classes), seen.task == "single", phrases, phrases)
    return warned(arms, space, taxonomies)


def held_by(frame: pd.DataFrame) -> Counter[str]:
    """Return label -> training rows that have it."""
    return Counter(label for labels in frame.loc[frame["split"] == "train", "labels"] for label in labels)


def fitting(counts: Mapping[str, int], cells: Cells, name: str, held: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return what a profile must say of seeds so that they fit a corpus; nothing where those of ``cells`` do.

    The largest seed takes half of the training rows, so that the report answers near what the file can bear and as many real rows are left
    to compare with; all hold ``min_per_class`` rows of each class (`emosynth.trying.amounts.sizes_for`).

    Parameters
    ----------
    counts
        Class -> training rows, each row counted once, for the rarest of its labels.
    held
        Class -> training rows that have it, where a row may have several labels; None: as ``counts``.

    Raises
    ------
    UserError
        If a class has too few training rows, or all are too few for a seed.
    """
    rows, least, sizes = sum(counts.values()), cells.min_per_class_of(name), cells.sizes_of(name)
    if rare := {label: count for label, count in counts.items() if count < least}:
        of = {label: (held or counts).get(label, count) for label, count in rare.items()}
        listed = ", ".join(f"{label} ({count}{f' of {of[label]}' if of[label] > count else ''})" for label, count in rare.items())
        joint = any(of[label] > count for label, count in rare.items())
        counted = " A row with several labels counts for the rarest of them, and these stand with rarer ones." if joint else ""
        more = "Give rows that have these labels alone" if joint else "Label more rows of these"
        taken = ", ".join(f"{json.dumps(label, ensure_ascii=False)}: null" for label in rare)
        raise UserError(
            f"Every seed must hold {least} rows of each class, and there are fewer training rows of: {listed}.{counted}",
            where=name,
            remedy=f"{more}, or leave them out: --class-names '{{{taken}}}'.",
        )
    found = sizes_for(rows, least * len(counts), sizes)
    return {} if found == sizes else {"sizes": found}


def path_in(root: Path, path: Path) -> str:
    """Return a path as a profile names it: from the repository, else from ``~``, else absolute."""
    whole = path.absolute()
    for base, head in ((root, ""), (Path.home(), "~/")):
        if whole.is_relative_to(base):
            return head + whole.relative_to(base).as_posix()
    return str(whole)


def text_of(
    name: str, custom: Mapping[str, Any], cells: Mapping[str, Any], conflicts: str, fractions: Sequence[float] | None = None
) -> str:
    """Return the text of a profile. Values are written as JSON, which is YAML that no reader takes for something else.

    Raises
    ------
    UserError
        If what is read of this text is not what was to be written, such as a name longer than YAML takes as a key.
    """
    said = [f"    {key}: {_quoted(value)}" for key, value in custom.items()]
    out = [f"# What differs from params.yaml for this file; written by a preview, and yours from here on.\ncorpora:\n  target: {name}"]
    out += [f"  conflicts: {conflicts}"] * (conflicts != "majority")
    out += [] if fractions is None else [f"  fractions: {json.dumps(list(fractions))}"]
    out += ["  custom:", *said]
    if cells:
        out += ["cells:", *(f"  {key}: {json.dumps(value)}" for key, value in cells.items())]
    text = "\n".join(out) + "\n"
    try:
        read, why = load_yaml(text), ""
    except yaml.YAMLError as error:
        read, why = {}, f": {error}"
    if (read.get("corpora", {}).get("custom"), read.get("cells", {})) != (custom, cells):
        raise UserError(
            f"The profile cannot be written so that it is read as it was meant{why}.", where=f"profiles/{name}.yaml",
            remedy="Give the file, its columns or its classes plainer and shorter names.",
        )  # fmt: skip
    return text


def _quoted(value: Any) -> str:
    said = json.dumps(value, ensure_ascii=False)
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", said)


def write_profile(root: Path, name: str, text: str, said: Collection[str], *, force: bool) -> tuple[Path, bool]:
    """Write a profile; returns its path and whether it was written. One for the same file and columns stays as it is, whatever else it says.

    Parameters
    ----------
    said
        What of ``corpora.custom`` was said and not guessed: a profile that is there must say it too.

    Raises
    ------
    UserError
        If it comes with the project, or there is one for something else, unless ``force``.
    """
    path = root / "profiles" / f"{name}.yaml"
    if name in SHIPPED:
        raise UserError(f"The profile {name} comes with the project.", where=f"profiles/{name}.yaml", remedy="Take another name (--name).")
    if path.exists() and not force:
        there, wanted = (values["corpora"] for values in ({"corpora": {}} | read_file(path), load_yaml(text)))
        own = _custom(path, name)
        firm = ("path", "text", "labels", *said)
        differs = [key for key in dict.fromkeys(firm) if own.get(key) != wanted["custom"].get(key)]
        differs += ["fractions"] if isinstance(there, Mapping) and wanted.get("fractions") not in (None, there.get("fractions")) else []
        if not isinstance(there, Mapping) or there.get("target") != wanted["target"] or differs:
            raise UserError(
                f"There is a profile {name} already, and it is for something else ({', '.join(differs) or 'target'}).",
                where=f"profiles/{name}.yaml",
                remedy="Take another name (--name), or replace it (--force).",
            )
        return path, False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path, True
