"""Log-likelihood of every label of a taxonomy after every prompt, in one forward pass for all labels.

All prompts begin with the same head (instructions, worked examples), and all labels of a row follow the same prompt. So the head's
keys and values are computed once, a row's own tokens are read once, and the labels follow as a trie (`emosynth.models.lm.label_tree`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp

from emosynth.errors import UserError
from emosynth.models.lm.assets import dequantised_folder, generator_files, model_hash
from emosynth.models.lm.base import shortened
from emosynth.models.lm.label_tree import Head, LabelTree, plain_scores, tree_scores
from emosynth.models.transformer import STEP, threads
from emosynth.params import Generator
from emosynth.store import RowStore
from emosynth.text import normalise

FloatArray = npt.NDArray[np.float64]

TOLERANCE = 1e-3
"""Nats by which the tree may differ from one full pass per label; a model that differs by more is refused."""

HEAD = (
    'Someone says: "You carried all those boxes for me, thank you so much."\nThey feel grateful.\n\n'
    'Someone says: "Who put salt in my coffee? Not funny!"\nThey feel annoyed.\n\n'
    'Someone says: "The train leaves at nine from platform two."\nThey feel neutral.\n\n'
)
"""Worked examples before every prompt of `row_prompt`; invented. Chosen among eight wordings on validation rows of GoEmotions."""


def row_prompt(text: str, context: str = "", character: str = "") -> str:
    """Return the part of a prompt that differs between rows, to be followed by a label that starts with a space.

    Parameters
    ----------
    text
        Utterance.
    context
        The situation in which it is said, if it is known.
    character
        Who says it, if it is known.
    """
    situation = f"Situation: {normalise(context)}\n" if context else ""
    return f'{situation}{normalise(character) or "Someone"} says: "{normalise(text)}"\nThey feel'


class LabelScorer:
    """Log-likelihoods of labels after prompts under one causal language model, kept by content.

    Parameters
    ----------
    files
        GGUF file or Hugging Face model folder.
    cache
        Folder of the cache: de-quantised models, and scores in ``rows/labels.sqlite``.
    head
        Beginning of every prompt; may be empty. Special tokens in it are read as such, those in prompts and labels as text.
    rows
        Prompts per forward pass. Part of the identity, since the last digits depend on it.
    unit
        Prompts scored and committed at once; what a killed run loses at most.

    Attributes
    ----------
    identity : dict
        What can change a score: hash of model and head, versions, precision, shapes. JSON; part of every cache key.

    Notes
    -----
    Head, prompt and label are turned into tokens apart, so that the border between them is the same for all labels. So prompts end
    without a space and labels start with one, which is where byte-level tokenisers cut anyway.
    A prompt's scores depend on that prompt and the set of labels alone, not on its neighbours or the order of the labels, but for the
    last digits (1e-5 nats): where a row lies in its batch decides on some processors how a matrix product is summed up. A run that
    was killed goes on with the batches that it would have had, so its scores are those of an uninterrupted one, bit for bit.
    The model is loaded when a prompt is met that is not kept.
    """

    def __init__(self, files: Path, cache: Path, *, head: str = HEAD, rows: int = 8, unit: int = 512) -> None:
        self.files, self.cache, self.head, self.rows, self.unit = Path(files), Path(cache), head, rows, unit
        self.identity: dict[str, Any] = {
            "model": model_hash(self.files),
            "head": hashlib.sha256(head.encode("utf-8")).hexdigest(),
            "dtype": "float32",
            "torch": version("torch").split("+")[0],
            "transformers": version("transformers"),
            "shape": [rows, STEP],
        }
        self._loaded: tuple[Any, Any, list[int], Head] | None = None

    @classmethod
    def open(cls, model: str, catalog: Any, *, head: str = HEAD, rows: int = 8) -> LabelScorer:
        """Find the model.

        Parameters
        ----------
        model
            Catalogue entry, path of a GGUF file or model folder, or id of the Hugging Face hub.
        catalog
            The catalogue; its places say where the cache lies.

        Raises
        ------
        UserError
            If there is no such model, or it has to be downloaded and cannot be.
        """
        return cls(generator_files(Generator(model=model), catalog), catalog.paths.cache, head=head, rows=rows)

    def _parts(self) -> tuple[Any, Any, list[int], Head]:
        """Return tokeniser, model, and the head as token ids and as keys and values."""
        if self._loaded is None:
            import transformers

            folder = dequantised_folder(self.files, self.cache) if self.files.is_file() else self.files
            torch.set_num_threads(threads())
            transformers.utils.logging.disable_progress_bar()
            try:
                tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
                model: Any = transformers.AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, local_files_only=True)
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                raise UserError(
                    f"The language model that scores labels cannot be loaded: {shortened(error)}",
                    where=f"models.reader: {self.files.name}",
                    remedy="Name a GGUF file, or a folder with config.json, safetensors and tokenizer of a causal language model.",
                ) from None
            model = model.eval()
            # An empty head may still be a token that begins every text.
            ids: list[int] = list(tokenizer(self.head)["input_ids"])
            self._loaded = tokenizer, model, ids, self._read_head(tokenizer, model, ids)
        return self._loaded

    def _read_head(self, tokenizer: Any, model: Any, ids: list[int]) -> Head:
        """Return the head's keys and values, after a trial of the tree on this model; models differ, and a wrong score is worse than none."""
        try:
            layers = []
            if ids:
                with torch.inference_mode():
                    kept = model(input_ids=torch.tensor([ids]), use_cache=True, logits_to_keep=1).past_key_values
                layers = [(layer.keys, layer.values) for layer in kept.layers]
            head = Head(layers)
            prompt, *labels = tokenizer([row_prompt("So there."), " sad", " sad surprise", " angry surprise"], add_special_tokens=False)[
                "input_ids"
            ]
            found = tree_scores(model, head, [prompt], len(prompt) + 1, LabelTree.of(labels))[0]
            error = float(np.abs(found - plain_scores(model, [*ids, *prompt], labels)).max())
            problem = "" if error < TOLERANCE else f"scores differ by {error:.2g}"
        except Exception as failure:  # whatever a model's own code raises
            problem = f"{type(failure).__name__}: {shortened(failure)}"
        if problem:
            raise UserError(
                f"This model's attention does not take a tree of labels ({problem}).",
                where=f"models.reader: {self.files.name}",
                remedy="Use a Llama-style model (plain causal attention over the whole text), and a head that fits it.",
            )
        return head

    def _key(self, prompt: str, labels: Sequence[str]) -> str:
        content = json.dumps({"identity": self.identity, "prompt": prompt, "labels": list(labels)}, sort_keys=True)
        return hashlib.sha256(content.encode("ascii")).hexdigest()

    def score(self, prompts: Sequence[str], labels: Sequence[str], progress: Callable[[str], None] | None = None) -> FloatArray:
        """Return log P(tokens of the label | head, prompt), in nats.

        Parameters
        ----------
        prompts
            n rows' own parts of the prompt, without the head; see `row_prompt`.
        labels
            k words or phrases, each starting with a space. Their end is not scored: a label that begins another one counts what
            follows it, too.
        progress
            Called with a line after each unit.

        Returns
        -------
        Shape (n, k).

        Raises
        ------
        UserError
            If a prompt or label is empty or does not fit, the model cannot be loaded, or the cache cannot be written.
        """
        for label in labels:
            if not label.startswith(" ") or not label.strip():
                raise UserError(
                    "A label must be a space and a word.", where=f"labels: {label!r}", remedy="Write ' sad', since it follows 'They feel'."
                )
        for row, prompt in enumerate(prompts):
            if not prompt.strip() or prompt.endswith(" "):
                raise UserError(
                    "A prompt is empty or ends with a space.",
                    where=f"prompt {row}: {prompt[-40:]!r}",
                    remedy="End it right before the label's space.",
                )
        names = sorted(set(labels))
        keys = {prompt: self._key(prompt, names) for prompt in dict.fromkeys(prompts)}
        if not names or not keys:
            return np.zeros((len(prompts), len(labels)))
        # Open only as long as needed: the file has one writer, and there may be several models.
        with RowStore(self.cache / "rows" / "labels.sqlite") as store:
            missing = sorted((prompt for prompt, key in keys.items() if key not in store), key=lambda prompt: (len(prompt), prompt))
            for start in range(0, len(missing), self.unit):
                part = missing[start : start + self.unit]
                made = self._compute(part, names)
                store.commit({keys[prompt]: row.tolist() for prompt, row in zip(part, made, strict=True)})
                if progress:
                    progress(f"labels: {min(start + self.unit, len(missing))} of {len(missing)} texts")
            found = np.array([store.get(keys[prompt]) for prompt in prompts], dtype=np.float64)
        return found[:, [names.index(label) for label in labels]]

    def prior(self, content_free: Sequence[str], labels: Sequence[str]) -> FloatArray:
        """Return the log of each label's mean probability over prompts without content; shape (k,), for `calibrated`.

        Parameters
        ----------
        content_free
            Prompts without content, at least one, of the same form as those to be scored: `row_prompt` of "N/A", say (Zhao et al., 2021).
            Prompts of many rows of all kinds will do as well, and often better (batch calibration: Zhou et al., 2024).
        labels
            As for `score`.

        Raises
        ------
        UserError
            As `score`, or if there is no prompt.
        """
        if not content_free:
            raise UserError("Calibration needs a prompt without content.", where="content_free", remedy="Give row_prompt of N/A.")
        return np.asarray(logsumexp(self.score(content_free, labels), axis=0) - math.log(len(content_free)), dtype=np.float64)

    def _compute(self, prompts: Sequence[str], names: Sequence[str]) -> FloatArray:
        tokenizer, model, head_ids, head = self._parts()
        ids: list[list[int]] = tokenizer([*prompts, *names], add_special_tokens=False, split_special_tokens=True)["input_ids"]
        lines, label_ids = ids[: len(prompts)], ids[len(prompts) :]
        longest = max(map(len, label_ids))
        # The tree's mask knows no sliding window; within one it makes no difference.
        limit = min(getattr(model.config, name, None) or math.inf for name in ("max_position_embeddings", "sliding_window"))
        for prompt, line in zip(prompts, lines, strict=True):
            if len(head_ids) + len(line) + longest > limit:
                raise UserError(
                    f"A prompt of {len(head_ids) + len(line)} tokens and a label of {longest} do not fit the model's {limit}.",
                    where=f"prompt: {prompt[:80]!r}",
                    remedy="Shorten the text or its context.",
                )
        tree = LabelTree.of(label_ids)
        # Equal shapes give a row the same scores whatever its neighbours, but for the last digits; so a batch is always full and its
        # length depends on the row alone.
        by_length: dict[int, list[int]] = {}
        for row, line in enumerate(lines):
            by_length.setdefault(STEP * math.ceil(len(line) / STEP), []).append(row)
        scores = np.zeros((len(prompts), len(names)))
        for length, members in sorted(by_length.items()):
            for start in range(0, len(members), self.rows):
                rows = members[start : start + self.rows]
                batch = [lines[row] for row in rows + rows[:1] * (self.rows - len(rows))]
                scores[rows] = tree_scores(model, head, batch, length, tree)[: len(rows)]
        if not np.isfinite(scores).all():
            raise UserError(
                "The language model gives a label no finite probability.",
                where=f"models.reader: {self.files.name}",
                remedy="Use another model.",
            )
        return scores
