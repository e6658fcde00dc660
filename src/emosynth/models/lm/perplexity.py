"""Perplexity of texts under a reference language model: how likely each text is as one line, per token.

The perplexity of a text of n tokens is exp(-(1/n) Σ log p(token | tokens before it)) (Jelinek, Mercer, Bahl and Baker, 1977). A text
is scored as the line that generators write: after a newline, up to and including the newline that ends it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from emosynth.models.lm.assets import model_hash, openvino_folder
from emosynth.models.lm.base import STOP
from emosynth.models.lm.scoring import KeptScorer, load_causal
from emosynth.models.lm.weights import WEIGHTS
from emosynth.models.transformer import STEP, threads
from emosynth.text import normalise

Backend = Literal["openvino", "transformers"]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

# Batches have fixed shapes, as in `emosynth.models.transformer`: a text's score must not depend on its neighbours, or a cache would change
# results.
MAX_TOKENS = 128
"""Longer texts are cut here: a batch holds rows x tokens x vocabulary logits."""


class _Forward(Protocol):
    """Log-probabilities of given next tokens."""

    def __call__(self, ids: IntArray, mask: IntArray, targets: IntArray) -> npt.NDArray[np.float32]:
        """Return log p(target | tokens up to its place), float32, shape (rows, length) as all arguments."""
        ...


def _torch_forward(folder: Path) -> _Forward:
    import torch

    model = load_causal(folder)

    def forward(ids: IntArray, mask: IntArray, targets: IntArray) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            logits = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), use_cache=False).logits
            chosen = logits.gather(-1, torch.from_numpy(targets)[..., None])[..., 0]
            found: npt.NDArray[np.float32] = (chosen - torch.logsumexp(logits, -1)).numpy()
            return found

    return forward


def _with_log_probabilities(model: Any) -> None:
    """Make a causal model's graph end in log-probabilities of an extra input ``targets``, in place.

    The logits of one batch are some 75 MB; so they never leave the graph.
    """
    import openvino as ov
    from openvino import opset13 as op

    result = next(found for found in model.get_results() if "logits" in found.get_output_tensor(0).get_names() or len(model.outputs) == 1)
    logits = result.input_value(0)
    vocabulary, last = op.constant(np.array([2], dtype=np.int64)), op.constant(np.array(2, dtype=np.int64))
    targets = op.parameter([-1, -1], ov.Type.i64, name="targets")
    targets.output(0).set_names({"targets"})
    largest = op.reduce_max(logits, vocabulary, True)
    normaliser = op.add(op.log(op.reduce_sum(op.exp(op.subtract(logits, largest)), vocabulary, True)), largest)
    chosen = op.gather_elements(logits, op.unsqueeze(targets, last), 2)
    model.add_results([op.result(op.squeeze(op.subtract(chosen, normaliser), last))])
    model.add_parameters([targets])
    model.remove_result(result)
    model.validate_nodes_and_infer_types()


def _openvino_forward(folder: Path) -> _Forward:
    import openvino as ov

    core = ov.Core()
    model = core.read_model(str(folder / "openvino_model.xml"))
    known = {"input_ids", "attention_mask", "position_ids", "beam_idx"}
    strange = [sorted(port.get_names()) for port in model.inputs if not known & port.get_names()]
    if strange or len(model.outputs) != 1:
        raise ValueError(f"not a stateful causal language model (inputs {strange or 'as expected'}, {len(model.outputs)} outputs)")
    _with_log_probabilities(model)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "INFERENCE_NUM_THREADS": threads()}
    compiled = core.compile_model(model, "CPU", settings)
    names = {name for port in compiled.inputs for name in port.names}
    request = compiled.create_infer_request()

    def forward(ids: IntArray, mask: IntArray, targets: IntArray) -> npt.NDArray[np.float32]:
        request.reset_state()  # otherwise the batch would go on where the last one ended
        given = {
            "input_ids": ids,
            # What follows a text is invisible to it, since attention looks back only.
            "attention_mask": np.ones_like(ids),
            "position_ids": np.ascontiguousarray(np.broadcast_to(np.arange(ids.shape[1], dtype=np.int64), ids.shape)),
            "beam_idx": np.arange(len(ids), dtype=np.int32),
            "targets": targets,
        }
        return np.array(request.infer({name: value for name, value in given.items() if name in names})[0])

    return forward


class ReferenceModel(KeptScorer):
    """Per-token negative log-likelihood of texts under one language model, kept by content; see `KeptScorer`.

    Parameters
    ----------
    backend
        None: ``openvino`` for GGUF files and folders that hold an OpenVINO model, otherwise ``transformers``. On the same cores
        OpenVINO's eight-bit weights take 0.4 of the time; scores of sentences differ by 0.03 nats per token on average.

    Notes
    -----
    A text's score depends on that text alone, but for rounding (1e-5) where a processor sums a matrix product differently at
    another place in the batch; so results are the same with a full, a partial and no cache.
    """

    what, scores = "The reference language model", "perplexity"

    def __init__(self, files: Path, cache: Path, backend: Backend | None = None, rows: int = 16, unit: int = 512) -> None:
        super().__init__(files, cache, rows, unit)
        exported = self.files.is_file() or (self.files / "openvino_model.xml").is_file()
        self.backend: Backend = backend or ("openvino" if exported else "transformers")
        library = "openvino" if self.backend == "openvino" else "torch"
        converted = self.backend == "openvino" and self.files.is_file()
        self.identity = {
            "model": model_hash(self.files),
            "backend": self.backend,
            "weights": f"{WEIGHTS} {version('openvino-genai')}" if converted else "as stored",
            library: version(library).split("+")[0],
            "transformers": version("transformers"),
            "shape": [rows, STEP, MAX_TOKENS],
            "scored": "line after a newline",
        }
        self._memory: dict[str, tuple[float, int]] = {}
        self._loaded: tuple[Any, _Forward] | None = None

    def _parts(self) -> tuple[Any, _Forward]:
        """Return tokeniser and forward pass."""
        if self._loaded is None:
            with self._loading() as (tokenizer, folder):
                forward = _openvino_forward(self._folder()) if self.backend == "openvino" else _torch_forward(folder)
            self._loaded = tokenizer, forward
        return self._loaded

    def _folder(self) -> Path:
        found = super()._folder()  # the tokeniser's
        return openvino_folder(self.files, self.cache) if self.backend == "openvino" and self.files.is_file() else found

    def _key(self, text: str) -> str:
        return self._digest(text=text)

    def score(self, texts: Sequence[str], progress: Callable[[str], None] | None = None) -> tuple[FloatArray, IntArray]:
        """Return the mean negative log-likelihood of each text and the number of tokens that it is the mean of.

        Parameters
        ----------
        texts
            n texts; normalised first (`emosynth.text.normalise`).
        progress
            Called with a line after each unit.

        Returns
        -------
        mean_nll
            Shape (n,), nats per token; the perplexity is its exponential.
        tokens
            Shape (n,): tokens of the text, and one for the newline that ends it unless the text was cut.

        Raises
        ------
        UserError
            If the model cannot be loaded, gives no finite probability, or the cache cannot be written.
        """
        keys = {text: self._key(text) for text in dict.fromkeys(map(normalise, texts))}
        wanted = {text: key for text, key in keys.items() if key not in self._memory}
        if wanted:
            self._memory |= {key: (float(nll), int(tokens)) for key, (nll, tokens) in self._kept(wanted, self._compute, progress).items()}
        found = [self._memory[keys[normalise(text)]] for text in texts]
        return np.array([nll for nll, _ in found], dtype=np.float64), np.array([tokens for _, tokens in found], dtype=np.int64)

    def _lines(self, tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids: a start, the text, and the end of the line (unless the text is cut)."""
        # Pieces are encoded apart, because a tokeniser may join a full stop and the newline after it into one token.
        newline = tokenizer(STOP, add_special_tokens=False)["input_ids"][-1:]
        if not newline or tokenizer.decode(newline) != STOP:
            newline = [token for token in (tokenizer.bos_token_id, tokenizer.eos_token_id) if token is not None][:1]
        if not newline:
            raise self._error("has neither a newline nor a token that begins a text.", "Use another reference model.")
        # What looks like a special token is text here. Tokenisers refuse an empty list.
        ids = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"] if texts else []
        return [(newline + list(tokens) + newline)[: MAX_TOKENS + 1] for tokens in ids]

    def _compute(self, texts: Sequence[str]) -> list[tuple[float, int]]:
        tokenizer, forward = self._parts()
        lines = self._lines(tokenizer, texts)
        scores: list[tuple[float, int]] = [(math.nan, 0)] * len(lines)
        for length, rows in self._batches([len(line) - 1 for line in lines]):
            ids = np.full((self.rows, length), lines[rows[0]][0], dtype=np.int64)
            targets = np.zeros_like(ids)
            mask = np.zeros_like(ids)
            mask[len(rows) :, 0] = 1  # a blank row must attend to something, or it holds NaN
            for place, row in enumerate(rows):
                line = lines[row]
                ids[place, : len(line) - 1], targets[place, : len(line) - 1] = line[:-1], line[1:]
                mask[place, : len(line) - 1] = 1
            found = forward(ids, mask, targets)
            for place, row in enumerate(rows):
                count = len(lines[row]) - 1
                scores[row] = float(-found[place, :count].astype(np.float64).mean()), count
        if not all(math.isfinite(nll) for nll, _ in scores):
            raise self._error("gives a text no finite probability.", "Use another reference model, or leave the check perplexity out.")
        return scores
