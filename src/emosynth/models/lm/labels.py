"""Log-likelihood of every label of a taxonomy after every prompt, in one forward pass for all labels.

All prompts begin with the same head (instructions, worked examples), and all labels of a row follow the same prompt. So the head's
keys and values are computed once, a row's own tokens are read once, and the labels follow as a trie (`emosynth.models.lm.label_tree`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import logsumexp

from emosynth.errors import UserError
from emosynth.models.lm.assets import model_hash
from emosynth.models.lm.base import shortened
from emosynth.models.lm.label_tree import Head, LabelTree, plain_scores, tree_scores
from emosynth.models.lm.scoring import KeptScorer, load_causal
from emosynth.models.transformer import STEP, one_thread
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


class LabelScorer(KeptScorer):
    """Log-likelihoods of labels after prompts under one causal language model, kept by content; see `KeptScorer`.

    Parameters
    ----------
    head
        Beginning of every prompt; may be empty. Special tokens in it are read as such, those in prompts and labels as text.

    Notes
    -----
    Head, prompt and label are turned into tokens apart, so that the border between them is the same for all labels. So prompts end
    without a space and labels start with one, which is where byte-level tokenisers cut anyway.

    A prompt's scores depend on that prompt and the set of labels alone, not on its neighbours or the order of the labels, but for the
    last digits (1e-5 nats): where a row lies in its batch decides on some processors how a matrix product is summed up. A run that
    was killed goes on with the batches that it would have had, so its scores are those of an uninterrupted one, bit for bit. So does
    the number of threads: it is one, whatever the machine has, and other cores are used by processes of their own.
    """

    what, scores = "The language model that scores labels", "labels"
    worth: ClassVar[int] = 3

    def __init__(self, files: Path, cache: Path, *, head: str = HEAD, rows: int = 8, unit: int = 64) -> None:
        super().__init__(files, cache, rows, unit)
        self.head = head
        self.identity = {
            "model": model_hash(self.files),
            "head": hashlib.sha256(head.encode("utf-8")).hexdigest(),
            "dtype": "float32",
            "torch": version("torch").split("+")[0],
            "transformers": version("transformers"),
            "shape": [rows, STEP],
        }
        self._loaded: tuple[Any, Any, list[int], Head] | None = None

    def _parts(self) -> tuple[Any, Any, list[int], Head]:
        """Return tokeniser, model, and the head as token ids and as keys and values."""
        if self._loaded is None:
            with self._loading() as (tokenizer, folder):
                model = load_causal(folder)
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
        keys = {prompt: self._digest(prompt=prompt, labels=names) for prompt in dict.fromkeys(prompts)}
        if not names or not keys:
            return np.zeros((len(prompts), len(labels)))
        kept = self._kept(keys, partial(self._rows, names), progress)
        found = np.array([kept[keys[prompt]] for prompt in prompts], dtype=np.float64)
        return found[:, [names.index(label) for label in labels]]

    def tokens(self, prompts: Sequence[str], labels: Sequence[str]) -> int:
        """Return how many tokens `score` reads: the head once, each prompt, and the labels after it as far as they are inputs."""
        with self._loading() as (tokenizer, _):
            lines = tokenizer([*prompts, *sorted(set(labels))], add_special_tokens=False, split_special_tokens=True)["input_ids"]
            head = len(tokenizer(self.head)["input_ids"])
        tree = LabelTree.of(lines[len(prompts) :])
        return head + sum(map(len, lines[: len(prompts)])) + len(prompts) * len(tree.tokens)

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

    def _rows(self, names: Sequence[str], prompts: Sequence[str]) -> list[list[float]]:
        with one_thread():
            rows: list[list[float]] = self._compute(prompts, names).tolist()
        return rows

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
        scores = np.zeros((len(prompts), len(names)))
        for length, rows in self._batches([len(line) for line in lines]):
            batch = [lines[row] for row in rows + rows[:1] * (self.rows - len(rows))]  # a batch is always full
            scores[rows] = tree_scores(model, head, batch, length, tree)[: len(rows)]
        if not np.isfinite(scores).all():
            raise self._error("gives a label no finite probability.", "Use another model.")
        return scores
