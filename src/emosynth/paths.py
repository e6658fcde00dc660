"""Every place where the compendium keeps something."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emosynth.errors import UserError


def repository_root(start: str | os.PathLike[str] | None = None) -> Path:
    """Return the nearest folder at or above ``start`` that holds ``params.yaml`` and ``notebooks/``."""
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "notebooks").is_dir():
            return folder
    raise UserError(
        "This is not inside the compendium's repository.",
        where=str(here),
        remedy="Run from the cloned repository, or pass --root.",
    )


_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
PROFILE_NAMES = "letters, digits, - and _, a letter or a digit first; the parameters of mine stand in profiles/mine.yaml."
SHIPPED = ("demo", "paper", "quantity", "recipe", "smoke")
"""Profiles that the project brings along; the results of most are published, so none is for files of one's own."""
_working_on = "demo"


def is_profile(name: str) -> bool:
    """Tell whether a profile can have this name."""
    return _PROFILE.fullmatch(name) is not None


def work_on(profile: str) -> str:
    """Check the name of the profile that this process works on, and let hints name it; returns it.

    Raises
    ------
    UserError
        If it cannot be the name of a profile: it names files, folders, and parts of commands.
    """
    global _working_on
    if not is_profile(profile):
        raise UserError(f"{profile!r} cannot be the name of a profile.", where="profile", remedy=f"Use {PROFILE_NAMES}")
    _working_on = profile
    return profile


def repro(stage: str = "", *, again: bool = False, profile: str = "") -> str:
    """Return the command that brings a profile up to date, for hints: all of it, or what a stage needs and makes.

    Parameters
    ----------
    again
        Run that one stage although nothing has changed.
    profile
        Empty: the one that this process works on.
    """
    profile = profile or _working_on
    file = "" if profile == "demo" else f"profiles/{profile}/dvc.yaml"
    target = f"{file}:{stage}" if file and stage else file or stage
    return " ".join(filter(None, ("dvc repro", "-s -f" if again else "", target)))


def free(place: Path, *, folder: bool, own: Callable[[Path], bool] = lambda place: False) -> Path:
    """Return a place that a user names to be written, if nothing is lost by it.

    Parameters
    ----------
    folder
        Whether it is to be a folder; an empty one may be there.
    own
        Whether what lies there was written by the same command, and may be replaced.

    Raises
    ------
    UserError
        If something else lies there.
    """
    place = place.expanduser()
    there = any(place.iterdir()) or not folder if place.is_dir() else place.exists() and not own(place)
    if there:
        raise UserError("This place holds something already.", where=str(place), remedy="Name a place that does not exist yet.")
    return place


@dataclass(frozen=True)
class Paths:
    """Places of one profile under one repository root."""

    root: Path
    profile: str

    @property
    def catalog(self) -> Path:
        """The catalogue of corpora, models and lexicons."""
        return self.root / "data" / "catalog.yaml"

    @property
    def taxonomies(self) -> Path:
        """Emotion taxonomies and the maps between them."""
        return self.root / "data" / "taxonomies.yaml"

    @property
    def data(self) -> Path:
        """What the pipeline makes for this profile; never in git."""
        return self.root / "data" / self.profile

    @property
    def corpora(self) -> Path:
        """Step 00: one Parquet file and card per corpus."""
        return self.data / "corpora"

    @property
    def seeds(self) -> Path:
        """Step 01: nested seeds."""
        return self.data / "seeds"

    @property
    def materials(self) -> Path:
        """Step 02: tokens and exemplars of each seed, and what SHAP says of them."""
        return self.data / "materials"

    @property
    def narratives(self) -> Path:
        """Step 03: stories, passages, characters."""
        return self.data / "narratives"

    @property
    def tuning(self) -> Path:
        """Step 04: writers tuned on the seeds."""
        return self.data / "tuning"

    @property
    def candidates(self) -> Path:
        """Step 05: what was written."""
        return self.data / "candidates"

    @property
    def verdicts(self) -> Path:
        """Step 06: scores of the checks, verdicts, soft labels, teachers."""
        return self.data / "verdicts"

    @property
    def trials(self) -> Path:
        """Step 07: trained models' predictions and scores."""
        return self.data / "trials"

    @property
    def authenticity(self) -> Path:
        """Step 08: the authenticity panel and diversity."""
        return self.data / "authenticity"

    @property
    def context(self) -> Path:
        """Step 09: what the context of grounded texts is worth."""
        return self.data / "context"

    @property
    def responsible(self) -> Path:
        """Step 10: what is copied, given away and distorted, and what it costs."""
        return self.data / "responsible"

    @property
    def notebooks(self) -> Path:
        """Executed notebooks in full, with corpus text; never in git."""
        return self.data / "notebooks"

    @property
    def logs(self) -> Path:
        """What each stage said when it last ran, and what is left of one that failed; never in git, no output of DVC."""
        return self.data / "logs"

    @property
    def report(self) -> Path:
        """What people read; in git, without corpus text."""
        return self.root / "reports" / self.profile

    @property
    def cache(self) -> Path:
        """Downloads, models and row caches: kept between runs, shared by profiles, never an output.

        ``EMOSYNTH_CACHE`` moves it elsewhere.
        """
        moved = os.environ.get("EMOSYNTH_CACHE")
        return Path(moved).expanduser() if moved else self.root / ".cache"

    @property
    def mirror(self) -> Path | None:
        """Folder with corpora in their upstream file layout (``EMOSYNTH_MIRROR``), if set."""
        mirror = os.environ.get("EMOSYNTH_MIRROR")
        return Path(mirror).expanduser() if mirror else None

    def own(self, path: str) -> Path:
        """Return where a path that a user wrote lies: from ``~``, absolute, or relative to the root, or to ``profiles/`` if it is only there."""
        here = self.root / Path(path).expanduser()
        beside = self.root / "profiles" / path
        return beside if not here.exists() and beside.exists() else here
