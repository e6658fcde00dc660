"""The backend ``transformers`` on an accelerator: texts are the processor's, but for rounding. What pads prompts is tested without one, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from emosynth.errors import UserError
from emosynth.models.lm import Completion, Request, shared
from emosynth.models.lm.local import TransformersModel
from emosynth.models.lm.sampling import sample
from emosynth.params import Decoding
from lm_files import make_tiny_model
from test_lm import GREEDY, plain_greedy, some_requests

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
LIVELY = Decoding(temperature=1.5, max_new_tokens=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def here(folder: Path) -> TransformersModel:
    return TransformersModel(folder, "0" * 64)


@pytest.fixture(scope="module")
def there(folder: Path) -> TransformersModel:
    return TransformersModel(folder, "0" * 64, device="cuda")


def unlike(texts: Sequence[Completion], others: Sequence[Completion]) -> int:
    return sum(text != other for text, other in zip(texts, others, strict=True))


# --- prompts in one tensor ------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [4096, 40])
@pytest.mark.parametrize("counts", [(1, 1, 1), (9, 4, 1), (2, 7, 2)])
def test_prompts_in_one_tensor_give_the_same_texts(
    here: TransformersModel, monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...], read: int
) -> None:
    prompts = ["A short one:", "A rather longer prompt, with more to read before the text begins:", "x"]
    rows = [Request(prompt, 10 * place + row) for place, prompt in enumerate(prompts) for row in range(counts[place])]
    decodings = (LIVELY, Decoding(temperature=3.0, top_p=1.0, max_new_tokens=40), GREEDY)
    apart = [here.generate(rows, decoding) for decoding in decodings]
    assert len({text.new_tokens for text in apart[1]}) > 1, "rows end at different steps"
    made: list[shared._Padded] = []

    class Watched(shared._Padded):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(shared, "_Prefix", Watched)
    monkeypatch.setattr(shared, "_READ", read)
    assert [here.generate(rows, decoding) for decoding in decodings] == apart
    assert len(made) == len(decodings)
    for request, text in zip(rows, apart[2], strict=True):
        assert text.text == plain_greedy(here, request.prompt, 20)


def test_what_no_row_reads_any_more_is_let_go(here: TransformersModel) -> None:
    with torch.inference_mode():
        kept = shared._Padded(here.model, [here._ids(prompt, False) for prompt in ("abc", "de", "f")], [2, 1, 2])
        longest = kept.layers[0][0].clone()
        kept.keep(torch.tensor([1, 3, 4]))
    assert kept.prompt.tolist() == [0, 1, 1] and kept.slot.tolist() == [0, 2, 3] and kept.row.tolist() == [0, 0, 1, 2]
    assert torch.equal(kept.layers[0][0], longest[[0, 2]]) and kept.blank.tolist() == [[False] * 3, [False, True, True]]


# --- on the card -------------------------------------------------------------------------------------------------


@cuda
@pytest.mark.parametrize("spread", [0.1, 3.0])
@pytest.mark.parametrize("top_k", [0, 50])
def test_equal_logits_give_equal_tokens(spread: float, top_k: int) -> None:
    logits = torch.randn(64, 5000, generator=torch.Generator().manual_seed(2)) * spread
    decoding, seeds = Decoding(top_k=top_k), torch.arange(64)
    drawn = sample(logits.cuda(), decoding, seeds, 5)
    assert drawn.device.type == "cpu" and (drawn != sample(logits, decoding, seeds, 5)).sum() <= 1


@cuda
def test_texts_of_the_card_are_those_of_the_processor(here: TransformersModel, there: TransformersModel) -> None:
    assert there.shares_prefix and there.identity["device"] == "cuda" and not there.deterministic
    for decoding in (LIVELY, GREEDY, Decoding(temperature=1.5, max_new_tokens=16, repetition_penalty=1.3, top_k=50)):
        assert unlike(there.generate(some_requests(60), decoding), here.generate(some_requests(60), decoding)) <= 3


@cuda
def test_a_row_hardly_depends_on_its_batch(there: TransformersModel) -> None:
    rows = some_requests(60)
    together = there.generate(rows, LIVELY)
    assert unlike(there.generate(rows, LIVELY), together) == 0
    assert unlike(there.generate(rows[::-1], LIVELY)[::-1], together) <= 3
    assert unlike([there.generate([row], LIVELY)[0] for row in rows[:20]], together[:20]) <= 2


@cuda
def test_the_path_for_other_attentions(there: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = there.generate(some_requests(), LIVELY)
    monkeypatch.setattr(there, "shares_prefix", False)
    assert unlike(there.generate(some_requests(), LIVELY), expected) <= 2


@cuda
def test_bias_pulls_a_word_in_on_the_card(there: TransformersModel) -> None:
    plain, biased = (there.generate(some_requests(12, bias=bias), Decoding(max_new_tokens=40)) for bias in ((), (("joy", 90.0),)))
    assert not any("joy" in text.text for text in plain) and sum("joy" in text.text for text in biased) > 8


@cuda
def test_half_precision_on_the_card(folder: Path) -> None:
    model = TransformersModel(folder, "0" * 64, device="cuda", dtype="bfloat16")
    assert model.shares_prefix and len(model.generate(some_requests(60), LIVELY)) == 60


@cuda
def test_a_batch_that_does_not_fit(there: TransformersModel) -> None:
    rows, decoding = some_requests(1000), Decoding(max_new_tokens=60)
    small = there.generate(rows[:5], decoding)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**21) / total)
    try:
        with pytest.raises(UserError, match="memory does not hold the batch") as caught:
            there.generate(rows, decoding)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert caught.value.__context__ is None, "it would hold what the batch held"
    assert unlike(there.generate(rows[:5], decoding), small) <= 1
    assert len(there.generate(rows, decoding)) == 1000
