"""Step 04 from files: a tuned model for every seed, writer and form of prompt that an arm needs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emosynth.cards import Card, Source, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.design.arms import writer_spec
from emosynth.escape import markdown
from emosynth.params import Params
from emosynth.paths import Paths
from emosynth.progress import say
from emosynth.writers.opening import generator_of
from emosynth.writers.seeds import Seeds
from emosynth.writers.uses import list_tuned

_KEY = ["corpus", "size", "repeat", "writer", "salt"]
HISTORY = [*_KEY, "epoch", "train_loss", "perplexity", "best"]
TUNED = [
    *_KEY, "sha256", "folder", "trainable", "total", "n_train", "n_held_out", "epochs", "best_epoch", "perplexity_before", "perplexity",
]  # fmt: skip


def build_tuned(params: Params, catalog: Catalog, paths: Paths) -> dict[str, pd.DataFrame]:
    """Tune every writer on every seed that an arm needs it for, from the cache where it is there.

    Only rows of seeds are looked at, unless a writer is said to be an oracle (``writers.<name>.rows``). A writer is tuned anew for each set of guides, since these stand in its prompts.

    Returns
    -------
    dict
        ``history``: one row an epoch; ``tuned``: one row a model. Both are written with cards into ``paths.tuning``, and are empty if no
        arm has a tuned writer.

    Raises
    ------
    UserError
        If a model cannot be tuned, or an arm and its writer do not fit.
    """
    plan = list_tuned(params)
    seeds = Seeds(params, paths)
    history: list[dict[str, Any]] = []
    tuned: list[dict[str, Any]] = []
    if not plan:
        say("tuning: no arm has a tuned writer")
    for number, (cell, name, origin) in enumerate(plan, start=1):
        from emosynth.models.lm.tuned import find_or_tune
        from emosynth.writers.examples import examples_of

        spec, what = writer_spec(params, name), f"{name}, {cell.corpus}, n = {cell.size}, repeat {cell.repeat}"
        rows = examples_of(seeds, cell, origin, params.tuning, spec.rows)
        model = generator_of(params, name).model
        told = "" if spec.rows is None else "of the training split (an oracle: it has seen labels beyond the seed), the first ones "
        card = (
            f"# {model} tuned on a seed of {cell.corpus}\n\nWriter {name} ({spec.tune}), guides {origin.salt}; {len(rows[0])} rows {told}of the seed of size "
            f"{cell.size}, repeat {cell.repeat}, behind the prefix “{markdown(params.tuning.prefix)}”; stopped early on {len(rows[1])} others of them.\n"
        )

        def tell(line: str, head: str = f"tuning {number} of {len(plan)}: {what}: ") -> None:
            say(head + line)

        found = find_or_tune(model, spec, params.tuning, rows, catalog, seed=cell.repeat, card=card, progress=tell)
        if found.best == 0:
            say(f"tuning: {what}: no epoch was better than the untuned model, which is kept")
        key = dict(zip(_KEY, (cell.corpus, cell.size, cell.repeat, name, origin.salt), strict=True))
        history += [key | vars(epoch) | {"best": epoch.epoch == found.best} for epoch in found.history]
        tuned.append(
            key
            | {"sha256": found.sha256, "folder": found.folder.name, "trainable": found.trainable, "total": found.total}
            | {"n_train": len(rows[0]), "n_held_out": len(rows[1]), "epochs": len(found.history) - 1, "best_epoch": found.best}
            | {"perplexity_before": found.history[0].perplexity, "perplexity": found.history[found.best].perplexity}
        )
    tables = {"history": pd.DataFrame(history, columns=HISTORY), "tuned": pd.DataFrame(tuned, columns=TUNED)}
    corpora = [seeds.corpus(corpus) for corpus in dict.fromkeys(cell.corpus for cell, _, _ in plan)]
    for name, frame in tables.items():
        write_table(frame, paths.tuning / f"{name}.parquet", _card(name, params, corpora, frame))
    return tables


def _card(name: str, params: Params, corpora: list[Corpus], frame: pd.DataFrame) -> Card:
    tuning = params.tuning
    return Card(
        title=f"Writers tuned on seeds: {name}",
        what={
            "history": "Training loss and held-out perplexity after every epoch; epoch 0 is the untuned model.",
            "tuned": "One tuned writer a row: what was trained, on how much, and what it is worth on held-out rows of the seed.",
        }[name],
        made=f"Step 04 (tuning). Prefix “{tuning.prefix}”; batch {tuning.batch}; at most {tuning.epochs} epochs.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
        columns={
            "writer": "name in writers",
            "salt": "guides that its prompts hold",
            "perplexity": "per token of held-out seed rows, label prefix given, end of line included",
            "train_loss": "nats per token, mean over the epoch",
            "trainable": "parameters trained",
            "folder": "name in the cache",
        },
        counts={"writers": frame.groupby(_KEY).ngroups if len(frame) else 0},
        limits=["The held-out rows are part of the seed: early stopping costs a tenth of the labels and asks for no others."],
        licence="; ".join(dict.fromkeys(corpus.licence for corpus in corpora)) or "mit",
        languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)) or ["en"],
        tags=["tuning", "language-model"],
        citation="\n\n".join(dict.fromkeys(corpus.citation for corpus in corpora if corpus.citation)),
    )


def summary(tuned: pd.DataFrame) -> pd.DataFrame:
    """Return per corpus, writer, guides and size: writers, share of parameters trained, epochs, perplexity before and after (means over repeats)."""
    groups = tuned.assign(share=tuned["trainable"] / tuned["total"]).groupby(["corpus", "writer", "salt", "size"], sort=False)
    table = groups.agg(
        writers=("repeat", "count"), share=("share", "mean"), epochs=("best_epoch", "mean"), before=("perplexity_before", "mean"), after=("perplexity", "mean"),
    ).reset_index()  # fmt: skip
    return table.rename(columns={"salt": "guides", "share": "share trained"})
