"""Make what the row cache lacks, unit by unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emosynth.models.lm import LanguageModel, Request, request_key
from emosynth.params import Decoding
from emosynth.progress import Progress, say
from emosynth.store import RowStore


def fill(
    model: LanguageModel,
    decoding: Decoding,
    batch: int,
    what: str,
    requests: Mapping[str, Request],
    total: int,
    store: RowStore,
    progress: Progress,
) -> None:
    """Generate and commit the texts that the store lacks.

    A unit of ``batch`` texts is committed whole or not at all, so that a killed run resumes at a unit's border with the very calls
    that an uninterrupted run would have made.

    Parameters
    ----------
    batch
        Texts of a unit.
    what
        Names the work in progress lines.
    requests
        Requests by key.
    total
        Texts that ``progress`` counts for them: equal requests are one entry of ``requests``.

    Raises
    ------
    UserError
        If the model cannot answer or the store cannot be written; what was committed stays.
    """
    items = [(key, request) for key, request in requests.items() if key not in store]
    progress.skip(total - len(items))
    if not items:
        say(f"{what}: all {total} texts already there")
    for start in range(0, len(items), batch):
        unit = items[start : start + batch]
        before = progress.done

        def report(done: int, before: int = before) -> None:
            progress.at(before + done)

        completions = model.generate([request for _, request in unit], decoding, progress=report)
        store.commit(
            {
                key: {
                    "text": completion.text,
                    "finish": completion.finish,
                    "prompt_tokens": completion.prompt_tokens,
                    "new_tokens": completion.new_tokens,
                }
                for (key, _), completion in zip(unit, completions, strict=True)
            }
        )
        progress.at(before + len(unit))


def ask(
    model: LanguageModel, decoding: Decoding, batch: int, what: str, requests: Sequence[Request], store: RowStore
) -> list[dict[str, Any]]:
    """Return an answer to each request, in order, through the store: ``text``, ``finish``, ``prompt_tokens`` and ``new_tokens``.

    For what is asked besides the candidates; parameters as of `fill`.
    """
    keys = [request_key(model.identity, decoding, request) for request in requests]
    fill(model, decoding, batch, what, dict(zip(keys, requests, strict=True)), len(keys), store, Progress(len(keys), what, "texts"))
    return [store.get(key) for key in keys]
