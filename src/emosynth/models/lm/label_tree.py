"""Log-likelihoods of all labels after a prompt in one forward pass: a trie of tokens under a tree attention mask.

A label's token sees head, row and its own ancestors only (Miao et al., 2024, SpecInfer, section 4; Cai et al., 2024, Medusa). The
result is that of one full pass per label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelTree:
    """Token sequences as a trie, without leaves: a label's last token is read off at its parent and is no input.

    Node 0 is the last token of the prompt, nodes 1 … t are tokens of labels, parents first.

    Attributes
    ----------
    tokens
        Token ids of nodes 1 … t.
    depths
        Of nodes 1 … t, counted from 1.
    visible
        Boolean, shape (t, t): whether a node sees another one, that is whether that is itself or an ancestor.
    nodes, targets
        Where each token of each label is read, and which token; all labels one after another.
    starts
        Where each label begins in ``nodes`` and ``targets``.
    """

    tokens: tuple[int, ...]
    depths: tuple[int, ...]
    visible: npt.NDArray[np.bool_]
    nodes: tuple[int, ...]
    targets: tuple[int, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, labels: Sequence[Sequence[int]]) -> LabelTree:
        """Build the tree of token sequences, none of them empty."""
        inner = dict.fromkeys(tuple(label[:end]) for label in labels for end in range(1, len(label)))
        place = {(): 0, **{prefix: node for node, prefix in enumerate(inner, 1)}}
        return cls(
            tokens=tuple(prefix[-1] for prefix in inner),
            depths=tuple(len(prefix) for prefix in inner),
            visible=np.array([[one[: len(other)] == other for other in inner] for one in inner], dtype=bool).reshape(
                len(inner), len(inner)
            ),
            nodes=tuple(place[tuple(label[:end])] for label in labels for end in range(len(label))),
            targets=tuple(token for label in labels for token in label),
            starts=tuple(np.cumsum([0, *(len(label) for label in labels[:-1])]).tolist()),
        )


class Head:
    """Cache of keys and values that holds the head's, one copy for all rows, and keeps nothing of a batch."""

    def __init__(self, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.layers = layers
        self.length = layers[0][0].shape[2] if layers else 0

    def update(self, key: torch.Tensor, value: torch.Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.length:
            return key, value
        keys, values = self.layers[layer_idx]
        rows = len(key)
        return torch.cat([keys.expand(rows, -1, -1, -1), key], dim=2), torch.cat([values.expand(rows, -1, -1, -1), value], dim=2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.length


@torch.inference_mode()
def tree_scores(model: Any, head: Head, prompts: Sequence[Sequence[int]], length: int, tree: LabelTree) -> FloatArray:
    """Return log-likelihoods (rows, k) of the labels; prompts are padded on the left to ``length``."""
    rows, nodes = len(prompts), len(tree.tokens)
    counts = torch.tensor([len(prompt) for prompt in prompts])
    ids = torch.zeros((rows, length + nodes), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) : length] = torch.tensor(prompt)
    ids[:, length:] = torch.tensor(tree.tokens, dtype=torch.long)
    places = torch.arange(length)
    positions = torch.cat([places - (length - counts)[:, None], counts[:, None] + torch.tensor(tree.depths, dtype=torch.long) - 1], dim=1)
    positions = head.length + positions.clamp(min=0)

    sees = torch.zeros((length + nodes, length + nodes), dtype=torch.bool)
    sees[:length, :length] = places[:, None] >= places
    sees[length:, :length] = True
    sees[length:, length:] = torch.from_numpy(tree.visible)
    filled = torch.cat([places >= (length - counts)[:, None], torch.ones((rows, nodes), dtype=torch.bool)], dim=1)
    # A blank must attend to something, or it holds NaN: to itself.
    sees = (sees & filled[:, None, :]) | torch.eye(length + nodes, dtype=torch.bool)
    mask = torch.zeros((rows, 1, length + nodes, head.length + length + nodes), dtype=model.dtype)
    mask[..., head.length :].masked_fill_(~sees[:, None], torch.finfo(model.dtype).min)

    # With prompts on the right and no leaves in the tree, the last 1 + t places of every row are those that are read.
    logits = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=head, use_cache=True, logits_to_keep=1 + nodes
    ).logits
    found = logits[:, list(tree.nodes), list(tree.targets)] - torch.logsumexp(logits, -1)[:, list(tree.nodes)]
    return np.add.reduceat(found.double().numpy(), np.array(tree.starts), axis=1)


@torch.inference_mode()
def plain_scores(model: Any, prompt: Sequence[int], labels: Sequence[Sequence[int]]) -> FloatArray:
    """Return log-likelihoods (k,) of labels the plain way: a batch with one row, from the head on, for each label.

    The reference that the tree is checked against and measured against. Logits are computed at the labels only.

    Parameters
    ----------
    model
        Causal language model.
    prompt
        Token ids of head and row.
    labels
        Token ids of each label.
    """
    longest = max(map(len, labels))
    # What follows a label's tokens is invisible to them, so blanks on the right need no mask.
    ids = torch.tensor([[*prompt, *label[:-1], *[0] * (longest - len(label))] for label in labels])
    log_p = model(input_ids=ids, use_cache=False, logits_to_keep=longest).logits.log_softmax(-1).double()
    return np.array([sum(float(log_p[row, place, token]) for place, token in enumerate(label)) for row, label in enumerate(labels)])
