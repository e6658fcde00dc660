"""OpenVINO's model of the GGUF file must be the model: its distributions are those of the reference."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from emosynth.errors import UserError
from emosynth.models.lm.assets import dequantised_folder, openvino_folder
from emosynth.models.lm.weights import _compressed, _first_rows, _value, restore_weights
from lm_files import catalog, smollm2


def linear(packed: np.ndarray, scale: np.ndarray, zero: int) -> ov.Model:
    """A graph like the reader's: input times the transpose of a decompressed matrix."""
    x = op.parameter([1, packed.shape[1]], ov.Type.f32)
    shifted = op.subtract(op.convert(op.constant(packed.astype(np.uint8)), "f16"), op.convert(op.constant(np.uint8(zero)), "f16"))
    weight = op.convert(op.multiply(shifted, op.constant(scale.astype(np.float16))), "f32")
    return ov.Model([op.result(op.matmul(x, weight, False, True))], [x], "linear")


def test_shifted_weights_are_put_right():
    rng = np.random.default_rng(0)
    packed, scale = rng.integers(0, 16, (64, 32)), np.full((64, 1), 0.1)
    truth = ((packed - 7.4) * scale).astype(np.float32)  # the reader rounds the zero point to 7
    model = linear(packed, scale, 7)
    x = rng.normal(size=(1, 32)).astype(np.float32)
    before = ov.Core().compile_model(model, "CPU")(x)[0]
    assert restore_weights(model, {"w": truth, "other": np.zeros((3, 3), np.float32)}) and np.abs(before - x @ truth.T).max() > 0.05
    after = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]
    assert np.abs(after - x @ truth.T).max() < 0.05


def test_weight_without_counterpart_is_an_error():
    model = linear(np.full((64, 32), 9), np.full((64, 1), 0.1), 7)
    with pytest.raises(UserError, match="no counterpart"):
        restore_weights(model, {"w": np.full((64, 32), -5.0, np.float32)})


def test_restored_weights_are_read_without_compiling(monkeypatch):
    weight = np.random.default_rng(1).normal(size=(100, 32)).astype(np.float32)
    x = op.parameter([1, 32], ov.Type.f32)
    model = ov.Model([op.result(op.matmul(x, _compressed(weight), False, True))], [x], "restored")
    node = model.get_results()[0].input_value(0).get_node().input_value(1).get_node()
    compiled = ov.Core().compile_model(ov.Model([op.result(node.output(0))], [], "weight"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({})[
        0
    ]
    np.testing.assert_allclose(_first_rows(node), compiled[:64], atol=2e-3)  # the graph multiplies half-precision numbers
    monkeypatch.setattr(ov, "Model", None)
    assert _value(ov.Core(), node).shape == (64, 32)
    assert list(restore_weights(model, {"v": -weight, "w": weight + 0.01}).values()) == ["w"]  # tuned weights replace restored ones


def test_four_bits_in_groups_are_read_without_compiling():
    """As the GGUF reader writes them: two in a byte, a scale and a zero point for each group of columns."""
    rng = np.random.default_rng(0)
    packed, zero = (
        ov.Tensor(rng.integers(0, 256, count).astype(np.uint8), ov.Shape(shape), ov.Type.u4)
        for count, shape in ((70 * 48, [70, 3, 32]), (105, [70, 3, 1]))
    )
    scale = op.constant(rng.normal(size=(70, 3, 1)).astype(np.float16))
    shifted = op.subtract(op.convert(ov.op.Constant(packed), "f16"), op.convert(ov.op.Constant(zero), "f16"))
    node = op.convert(op.reshape(op.multiply(shifted, scale), op.constant([70, 96]), False), "f32")
    compiled = ov.Core().compile_model(ov.Model([op.result(node)], [], "weight"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({})[0]
    np.testing.assert_allclose(_first_rows(node), compiled[:64], rtol=2e-3)
    with pytest.raises(ValueError, match="Add"):
        _first_rows(op.add(node, node))


@pytest.mark.model
def test_backends_agree_on_the_next_token():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf, cache = smollm2(), catalog().paths.cache
    folder = dequantised_folder(gguf, cache)
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = tokenizer("Tweets that express joy:\n- I am so happy today because").input_ids
    with torch.inference_mode():
        expected = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    compiled = ov.Core().compile_model(str(openvino_folder(gguf, cache) / "openvino_model.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    n = len(ids)
    given = {"input_ids": [ids], "attention_mask": np.ones((1, n), np.int64), "position_ids": [list(range(n))], "beam_idx": [0]}
    names = {name for node in compiled.inputs for name in node.names}
    logits = compiled.create_infer_request().infer(
        {k: np.asarray(v, np.int32 if k == "beam_idx" else np.int64) for k, v in given.items() if k in names}
    )[0]
    found = torch.tensor(logits[0]).log_softmax(-1)
    divergence = (expected.exp() * (expected - found)).sum(-1)
    assert float(divergence.mean()) < 0.05
