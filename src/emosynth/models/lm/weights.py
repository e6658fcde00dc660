"""Put exact weights into an OpenVINO language model that was read from a GGUF file.

OpenVINO's GGUF reader stores a Q4_1 block as four-bit integers with a four-bit *integer* zero
point. Q4_1 has a real-valued minimum, so the zero point is rounded and every weight of the block
is shifted: 9 % mean relative error on SmolLM2-135M, enough to change the greedy continuation of
simple prompts. The graph is right; only the numbers are not. Here each such constant is
replaced by the weight of the reference model, stored as eight-bit integers per output channel
(asymmetric), which runs as fast. ``tests/test_weights.py`` holds the distributions of the two
backends together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op

from emosynth.errors import UserError

WEIGHTS = "int8-channel"
"""How weights are stored after restoring; part of a model's identity."""

_PACKED = ("u4", "i4", "u8", "i8")
_LARGEST_DISTANCE = 0.5
_COMPARED = 64
"""Rows by which a matrix is told from the others."""


def _packed_constant(node: ov.Node) -> ov.Node | None:
    """Return the low-bit constant at the root of a decompression subgraph, or None."""
    for _ in range(9):
        if not node.inputs():
            packed = node.get_type_name() == "Constant" and node.get_output_element_type(0).get_type_name() in _PACKED
            return node if packed else None
        node = node.input_value(0).get_node()
    return None


def _decompression_roots(model: ov.Model) -> list[ov.Node]:
    """Return the nodes whose float output is a decompressed weight matrix."""
    roots = []
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convert" and node.get_output_element_type(0) == ov.Type.f32 and _packed_constant(node) is not None:
            roots.append(node)
    return roots


def _value(core: ov.Core, node: ov.Node) -> np.ndarray:
    """Return the first rows of a decompressed matrix."""
    try:
        return np.asarray(_first_rows(node), dtype=np.float32)
    except ValueError:  # another graph than those of the GGUF reader and of `_compressed`
        model = ov.Model([op.result(node.output(0))], [], "weight")
        return np.asarray(core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({})[0])[:_COMPARED]


def _first_rows(node: ov.Node) -> np.ndarray:
    """Return what a subgraph yields in its first rows; compiling 211 graphs takes ten times as long.

    Raises
    ------
    ValueError
        If it is made of other operations or constants.
    """
    kind = node.get_type_name()
    if kind == "Constant":
        return _rows_of_constant(node)
    values = [_first_rows(node.input_value(place).get_node()) for place in range(1 if kind == "Reshape" else len(node.inputs()))]
    if kind == "Reshape" and node.get_output_partial_shape(0).rank.get_length() == 2:  # groups of columns, put side by side
        return values[0].reshape(len(values[0]), -1)
    if kind == "Convert":
        return values[0]
    if kind == "Subtract":
        return values[0] - values[1]
    if kind == "Multiply":
        return values[0] * values[1]
    raise ValueError(kind)


def _rows_of_constant(node: ov.Node) -> np.ndarray:
    kind, shape, held = node.get_element_type(), tuple(node.get_output_shape(0)), node.get_data()
    rows = (min(shape[0], _COMPARED), *shape[1:]) if len(shape) > 1 else ()
    if rows and kind in (ov.Type.u8, ov.Type.f16):
        return np.asarray(held.reshape(shape)[: rows[0]], dtype=np.float32)
    if rows and kind == ov.Type.u4:  # two in a byte, the lower half first
        count = int(np.prod(rows))
        packed = held.reshape(-1)[: -(-count // 2)]
        return np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[:count].reshape(rows).astype(np.float32)
    raise ValueError(str(kind))


def _compressed(weight: np.ndarray) -> ov.Node:
    """Return a subgraph that yields ``weight`` from unsigned eight-bit integers per row."""
    low = np.minimum(weight.min(axis=1, keepdims=True), 0.0)
    high = np.maximum(weight.max(axis=1, keepdims=True), 0.0)
    scale = ((high - low) / 255).astype(np.float16).astype(np.float32)
    scale[scale == 0] = np.float32(1e-4)
    zero = np.clip(np.round(-low / scale), 0, 255)
    packed = np.clip(np.round(weight / scale + zero), 0, 255)
    shifted = op.subtract(op.convert(op.constant(packed.astype(np.uint8)), "f16"), op.convert(op.constant(zero.astype(np.uint8)), "f16"))
    return op.convert(op.multiply(shifted, op.constant(scale.astype(np.float16))), "f32")


def restore_weights(model: ov.Model, reference: dict[str, np.ndarray]) -> dict[str, str]:
    """Replace every decompressed weight matrix of ``model`` by the nearest matrix of ``reference``.

    Parameters
    ----------
    model
        Language model as OpenVINO read it; changed in place.
    reference
        Weight matrices by name, float32, shape (outputs, inputs).

    Returns
    -------
    dict
        Node name to reference name, one entry per matrix replaced.

    Raises
    ------
    UserError
        If a matrix has no counterpart, or two matrices have the same one.
    """
    core = ov.Core()
    matched: dict[str, str] = {}
    for node in _decompression_roots(model):
        shape = tuple(node.get_output_partial_shape(0).to_shape())
        value = _value(core, node)
        distances = {
            name: float(np.abs(weight[:_COMPARED] - value).mean() / max(float(np.abs(weight[:_COMPARED]).mean()), 1e-9))
            for name, weight in reference.items()
            if weight.shape == shape
        }
        best = min(distances, key=distances.__getitem__, default="")
        if not best or distances[best] > _LARGEST_DISTANCE or best in matched.values():
            raise UserError(
                f"Weight {node.get_friendly_name()} of shape {shape} has no counterpart in the reference model.",
                where="weights of an OpenVINO model",
                remedy="Use backend: transformers for this model; if it was tuned, its learning rate may be far too high.",
            )
        replacement = _compressed(reference[best])
        for target in list(node.output(0).get_target_inputs()):
            target.replace_source_output(replacement.output(0))
        matched[node.get_friendly_name()] = best
    model.validate_nodes_and_infer_types()
    return matched


def restore_folder(folder: Path, reference_folder: Path) -> int:
    """Rewrite ``folder/openvino_model.xml`` with the weights of a Hugging Face model folder.

    Returns the number of matrices replaced.
    """
    import torch
    from transformers import AutoModelForCausalLM

    return write_weights(folder, AutoModelForCausalLM.from_pretrained(reference_folder, dtype=torch.float32, trust_remote_code=False))


def write_weights(folder: Path, reference_model: Any) -> int:
    """Rewrite ``folder/openvino_model.xml`` with the matrices of a transformers model of equal architecture, e.g. a tuned one.

    Returns the number of matrices replaced.
    """
    reference = {name: value.detach().numpy() for name, value in reference_model.state_dict().items() if value.ndim == 2}
    # A tied output matrix is the embedding matrix again: one name is enough.
    if reference_model.config.tie_word_embeddings:
        reference.pop("lm_head.weight", None)
    model = ov.Core().read_model(str(folder / "openvino_model.xml"))
    matched = restore_weights(model, reference)
    temporary = folder / "restored_model.xml"
    ov.save_model(model, str(temporary), compress_to_fp16=False)
    del model
    temporary.with_suffix(".bin").replace(folder / "openvino_model.bin")
    temporary.replace(folder / "openvino_model.xml")
    return len(matched)
