"""The check of a whole design before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from emosynth import pieces
from emosynth.design.arms import (
    SEED,
    ResolvedArm,
    cells_of_arm,
    changed_arms,
    checks_of,
    growth_of,
    learners_of,
    oversample_of,
    resolve_arm,
    resolve_arms,
    spec_items,
    unknown,
    writer_spec,
)
from emosynth.errors import UserError
from emosynth.guides.base import Guide
from emosynth.learners.base import Learner
from emosynth.params import Decoding, Params, Sizes, WriterSpec
from emosynth.params.base import read_file

RESERVED: Mapping[str, str] = {
    SEED: "the seed alone, which everything is compared with",
    "real": "real text, in tables of authenticity and responsibility",
    "real-other": "other real text, in tables of authenticity",
}
"""Names that no arm can have, and what they stand for."""


def check_design(params: Params, root: Path, where: str) -> None:
    """Resolve everything that the parameters name, so that what does not go together is an error before work starts.

    Raises
    ------
    UserError
        Naming arm, piece and remedy.
    """
    pieces.load_files([_own(root, file) for file in params.pieces])
    _check_names(params, _keys(root / "data" / "catalog.yaml"))
    _check_sets(params)
    arms = resolve_arms(params)
    taxonomies = _keys(root / "data" / "taxonomies.yaml", "taxonomies")
    for name, arm in arms.items():
        if taxonomies and arm.spec.space not in (known := ["target", *taxonomies]):
            raise unknown("list of labels", arm.spec.space, f"arms.{name}.space", known)
        _check_arm(params, arms, name, arm)
    for name, writer in params.writers.items():
        _check_writer(params, name, writer)
    _check_sweeps(params, arms)
    learners = learners_of(params)
    for grid in ("budgets_on", "sweeps_on"):
        for learner in getattr(params.training, grid).learners or []:
            if learner not in learners:
                raise unknown("learner", learner, f"training.{grid}.learners", learners)
    sweeps = [f"{name}.{dotted}" for name, values in params.sweeps.items() for dotted in values]
    for name, named in params.training.sweeps_of.items():
        if name not in learners:
            raise unknown("learner", name, "training.sweeps_of", learners)
        for sweep in named:
            if sweep not in sweeps:
                raise unknown("sweep", sweep, f"training.sweeps_of.{name}", sweeps)
    for name, learner in learners.items():
        for arm_name in learner.settings.arms or []:
            base, _, version = arm_name.partition(":")
            if base not in arms or version not in ("", "unverified"):
                raise unknown(
                    "arm", arm_name, f"learners.{name}.arms", [*arms, *(f"{arm}:unverified" for arm in arms if arms[arm].written)]
                )
    _check_sizes(params, learners)
    if params.responsible.collapse.rounds:
        _check_collapse(params, arms)
    if params.context.arm is not None:
        chosen = resolve_arm(params, params.context.arm)
        if chosen.origin is None or chosen.origin.narrative is None:
            raise UserError(
                f"The arm {chosen.name} writes no contexts.", where="context.arm", remedy="Name an arm that is guided by a narrative."
            )


def check_repeats(params: Params, overlay: Mapping[str, Any]) -> None:
    """Check that what a profile's own file says of repeats can be had.

    What comes from params.yaml is a limit and no promise: a profile of fewer repeats runs all that it has.

    Parameters
    ----------
    overlay
        What the profile's own file says.

    Raises
    ------
    UserError
        If an arm or a learner is to have more repeats than any of its corpora.
    """
    for section in ("arms", "learners"):
        for name, said in (overlay.get(section) or {}).items():
            held = getattr(params, section).get(name)
            if held is None or not isinstance(said, Mapping) or said.get("repeats") is None:
                continue
            corpora = (held.get("corpora") if isinstance(held, Mapping) else held.corpora) or params.corpora.names
            most = max((params.cells.repeats_of(corpus) for corpus in corpora), default=0)
            if said["repeats"] > most:
                raise UserError(
                    f"There are {most} repeats, and {said['repeats']} are asked for.", where=f"{section}.{name}.repeats",
                    remedy="Raise cells.repeats, or lower this number; left out, all repeats are run.",
                )  # fmt: skip


def _keys(file: Path, section: str = "") -> list[str]:
    """Return the names of a file of the repository; one that cannot be read is told of by whoever needs what it says."""
    try:
        found = read_file(file)
    except UserError:
        return []
    held = found.get(section) if section else found
    return list(held) if isinstance(held, Mapping) else []


def _check_names(params: Params, entries: Sequence[str]) -> None:
    """Check that no name of the user's hides one that is there already."""
    for name in params.arms:
        if name in RESERVED:
            raise UserError(
                f"No arm can be called {name}: that is {RESERVED[name]}.", where=f"arms.{name}", remedy="Give the arm another name."
            )
    if "none" in params.checks:
        raise UserError("The set of checks none is always there.", where="checks.none", remedy="Give the set another name.")
    for name in params.corpora.custom:
        if name in entries:
            raise UserError(
                f"The corpus of your own has the name of an entry of data/catalog.yaml: {name}.", where=f"corpora.custom.{name}",
                remedy="Give it another name, in corpora.target or corpora.also too; or leave out custom, if the catalogue's is meant.",
            )  # fmt: skip


def _check_sets(params: Params) -> None:
    """Check sets of guides and of checks, those that no arm names among them: they may be misspelt all the same."""
    for name, parts in params.guides.items():
        where = f"guides.{name}"
        made = [pieces.build("guide", piece, setting, where) for part in parts for piece, setting in spec_items(part, where)]
        _check_once([piece.name for piece in made], where)
    for name in params.checks:
        checks_of(params, name, f"checks.{name}")


def _check_once(guides: Sequence[str], where: str) -> None:
    twice = [name for name, times in Counter(guides).items() if times > 1]
    if twice:
        raise UserError(f"The guide {twice[0]} stands {Counter(guides)[twice[0]]} times.", where=where, remedy="Name it once.")


def _own(root: Path, file: str) -> Path:
    path = Path(file).expanduser()
    return path if path.is_absolute() else root / path


def _check_arm(params: Params, arms: Mapping[str, ResolvedArm], name: str, arm: ResolvedArm) -> None:
    where, spec = f"arms.{name}", arm.spec
    for other in [*spec.plus, *([spec.after] if spec.after else [])]:
        if other not in arms or other == name:
            raise unknown("other arm", other, f"{where}.{'after' if other == spec.after else 'plus'}", [key for key in arms if key != name])
        if arms[other].origin is None:
            raise UserError(f"The arm {other} has no written rows.", where=where, remedy="Name an arm with a guide or a writer.")
        if arms[other].spec.plus or arms[other].spec.after:
            raise UserError(f"The arm {other} is itself made of others.", where=where, remedy="Name the arms that it is made of.")
    _check_real(arm, where)
    for made in changed_arms(arm):
        if (made.origin and made.origin.name) != (arm.origin and arm.origin.name):
            raise UserError("A change alters what is written.", where=f"{where}.changes", remedy="Make it an arm of its own.")
    known = [check.name for check in arm.checks]
    for check in spec.mix.select if isinstance(spec.mix.select, list) else []:
        if check not in known:
            raise unknown("check of this arm", check, f"{where}.mix.select", known)
    if arm.origin is None:
        return
    _check_once([guide.name for guide in arm.origin.guides], f"{where}.guide")
    specs = {writer: writer_spec(params, writer) for writer, _ in arm.origin.writers}
    oracles = [writer for writer, item in specs.items() if item.rows is not None]
    if bool(oracles) != ("oracle-writer" in spec.flaws):
        raise UserError(
            f"The writer {oracles[0]} has seen labels beyond the seed, and the arm does not say so." if oracles
            else "The arm says that its writer has seen labels beyond the seed, and none has.",
            where=f"{where}.flaws", remedy="Name oracle-writer among its flaws if, and only if, writers.<name>.rows is set: no such arm is recommended.",
        )  # fmt: skip
    for guide in arm.origin.guides:
        for writer, item in specs.items():
            backend = item.backend or model_of(params, item, f"writers.{writer}.model").backend
            if guide.needs_bias and backend != "transformers":
                raise UserError(
                    f"{guide.name} needs a backend that can bias logits, and the writer {writer} has {backend}.",
                    where=where, remedy="Name a writer with backend: transformers.",
                )  # fmt: skip
            if item.tune is not None and not guide.tunable:
                raise UserError(
                    f"A tuned writer was never shown what the guide {guide.name} puts into its prompt.",
                    where=where, remedy=f"Leave out {guide.name}, or use an untuned writer; guides that a writer can be tuned with: "
                    + (", ".join(key for key, cls in pieces.registered("guide").items() if cast(type[Guide], cls).tunable) or "none") + ".",
                )  # fmt: skip
    if spec.space != "target" and spec.rows is None and not arm.origin.needs_seed and arm.origin.narrative is None:
        raise UserError(
            f"The arm writes {spec.space} labels from nothing.", where=f"{where}.rows", remedy="Say how many rows are wanted in all."
        )
    if spec.rows is not None and arm.origin.needs_seed:
        raise UserError(
            "Rows of an arm that depends on the seed are wanted by growth.", where=f"{where}.rows", remedy="Set growth instead."
        )
    if spec.space != "target" and any(guide.needs_seed for guide in arm.origin.guides):
        raise UserError(
            "What a guide takes from the seed has the corpus's labels, and this arm asks for others.",
            where=f"{where}.space", remedy="Leave out space, or that guide.",
        )  # fmt: skip


def _check_real(arm: ResolvedArm, where: str) -> None:
    """Check labels of real rows."""
    spec = arm.spec
    if spec.add == "file" and spec.file is None:
        raise UserError(
            "The arm adds rows of a file, and names none.", where=f"{where}.file", remedy="Say where they are: file: {path: …}."
        )
    if spec.add == "unlabelled":
        blind = [labeller.name for labeller, share in arm.labellers if share > 1e-9 and not labeller.reads]
        if blind or not arm.labellers:
            raise UserError(
                f"Unlabelled rows have no label of their own, and {blind[0] if blind else 'asked'} has a share.",
                where=f"{where}.labels", remedy="Let labellers that read the text have all of it, e.g. labels: {teacher: 1.0}.",
            )  # fmt: skip
    if arm.origin is None and arm.labellers and spec.add == "none" and not spec.mix.soft_seed:
        raise UserError(
            "The seed is to be labelled anew, and is not.", where=f"{where}.mix.soft_seed", remedy="Leave out labels or soft_seed."
        )


def model_of(params: Params, spec: WriterSpec, where: str) -> Any:
    if spec.model is None:
        return params.models.writer
    if spec.model not in params.models.others:
        raise unknown("language model", spec.model, where, params.models.others)
    return params.models.others[spec.model]


def _check_writer(params: Params, name: str, spec: WriterSpec) -> None:
    model = model_of(params, spec, f"writers.{name}.model")
    if spec.tune is not None and (spec.backend or model.backend) == "server":
        raise UserError(
            "A server cannot be handed tuned weights.",
            where=f"writers.{name}.tune",
            remedy="Use backend openvino or transformers, or leave out tune.",
        )
    strange = [key for key in spec.decoding if key not in Decoding.model_fields]
    if strange:
        raise unknown("setting of decoding", strange[0], f"writers.{name}.decoding", Decoding.model_fields)


def _check_sweeps(params: Params, arms: Mapping[str, ResolvedArm]) -> None:
    for name, values in params.sweeps.items():
        if name not in arms:
            raise unknown("arm", name, "sweeps", arms)
        base = arms[name]
        for dotted, tried in values.items():
            where = f"sweeps.{name}.{dotted}"
            for value in tried:
                made = resolve_arm(params, name, overrides={dotted: value})
                if made.origin != base.origin and (made.origin is None or base.origin is None or made.origin.name != base.origin.name):
                    raise UserError("A sweep changes what is written.", where=where, remedy="Make it an arm of its own.")
                _check_real(made, where)
                known = [check.judge() for scored in (base, *changed_arms(base)) for check in scored.checks]
                strange = [check.name for check in made.checks if check.judge() not in known]
                if strange:
                    raise UserError(
                        f"A sweep needs the check {strange[0]} to be scored anew.",
                        where=where,
                        remedy="Sweep over a threshold, or make it an arm of its own.",
                    )
            most = _made_for(params, arms, base)
            if dotted == "growth" and (base.written or base.spec.add == "unlabelled") and max(map(float, tried)) > most + 1e-9:
                raise UserError(f"The arm is made for {most:g} rows per seed row.", where=where, remedy=f"Raise arms.{name}.growth.")


def _made_for(params: Params, arms: Mapping[str, ResolvedArm], base: ResolvedArm) -> float:
    """Return the most rows a seed row that there is text for: an arm's own, or those of one that shares its texts, checks and cells."""
    cells, scored = set(cells_of_arm(params, base)), [check.judge() for check in base.checks]
    return max(
        growth_of(params, arm) for arm in arms.values()
        if arm is base
        or (
            base.written and arm.origin == base.origin and [check.judge() for check in arm.checks] == scored and arm.spec.rows is None
            and oversample_of(params, arm) >= oversample_of(params, base) and cells <= set(cells_of_arm(params, arm))
        )
    )  # fmt: skip


def _check_collapse(params: Params, arms: Mapping[str, ResolvedArm]) -> None:
    """Check that rounds of a tuned writer on its own text have an arm, and seeds to start from."""
    where, given = "responsible.collapse", params.responsible.collapse
    fit = [
        name for name, arm in arms.items()
        if arm.origin is not None and not arm.origin.guides and not arm.spec.flaws and isinstance(arm.spec.writer, str)
        and writer_spec(params, arm.spec.writer).tune is not None
    ]  # fmt: skip
    if given.arm not in arms:
        raise unknown("arm", given.arm, f"{where}.arm", fit)
    if given.arm not in fit:
        raise UserError(
            f"The arm {given.arm} cannot go round: that takes one writer, which is tuned, prompts without a guide, and no flaws.",
            where=f"{where}.arm", remedy=f"Arms that can: {', '.join(fit) or 'none'}; or set rounds: 0.",
        )  # fmt: skip
    cells = cells_of_arm(params, arms[given.arm])
    if not any(given.corpus in (None, cell.corpus) and given.size in (None, cell.size) for cell in cells):
        known = dict.fromkeys(f"{cell.size} of {cell.corpus}" for cell in cells)
        raise UserError(
            f"The arm {given.arm} runs on no such seed.", where=f"{where}.corpus, {where}.size",
            remedy=f"Its seeds are of: {', '.join(known) or 'none'}.",
        )  # fmt: skip


def _check_sizes(params: Params, learners: Mapping[str, Learner]) -> None:
    known = {size for corpus in params.corpora.names for size in params.cells.sizes_of(corpus)}
    lists: list[tuple[str, Sizes]] = [("shap.encoder_sizes", params.shap.encoder_sizes)]
    lists += [("authenticity.size", [params.authenticity.size] if params.authenticity.size is not None else [])]
    lists += [(f"arms.{name}.sizes", arm.sizes or []) for name, arm in params.arms.items()]
    lists += [(f"writers.{name}.sizes", writer.sizes or []) for name, writer in params.writers.items()]
    lists += [(f"learners.{name}.sizes", learner.settings.sizes or []) for name, learner in learners.items()]
    lists += [(f"training.{grid}.sizes", getattr(params.training, grid).sizes or []) for grid in ("budgets_on", "sweeps_on")]
    for where, sizes in lists:
        for size in [] if sizes == "largest" else sizes:
            if size not in known:
                raise UserError(
                    f"{size} is not the size of a seed.", where=where, remedy=f"There are {', '.join(map(str, sorted(known)))}; see cells."
                )
