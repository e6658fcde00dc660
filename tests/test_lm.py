"""Generators: keys, files, sampling, bias, and what each backend promises."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emosynth.catalog import fetch as fetching
from emosynth.errors import UserError
from emosynth.models.lm import STOP, Completion, LanguageModel, Request, assets, open_language_model, request_key
from emosynth.models.lm.base import shortened
from emosynth.models.lm.local import TransformersModel
from emosynth.models.lm.sampling import WordBias, sample, uniforms
from emosynth.params import Decoding, Generator
from emosynth.paths import Paths
from lm_files import catalog, make_tiny_architecture, make_tiny_model, smollm2

GREEDY = Decoding(temperature=1e-6, top_p=1.0, max_new_tokens=20)


def digest(completions: list[Completion]) -> str:
    return hashlib.sha256(repr(completions).encode()).hexdigest()


class FakeCatalog:
    """A catalogue of one entry."""

    def __init__(self, root: Path, file: Path | None = None) -> None:
        self.paths = SimpleNamespace(root=root, cache=root / "cache", own=Paths(root, "demo").own)
        self.file = file

    def entry(self, name: str) -> str:
        if name != "listed":
            raise UserError(f"The catalogue has no entry {name!r}")
        return name

    def fetch(self, name: str) -> Path:
        self.entry(name)
        assert self.file is not None
        return self.file

    model = fetching.Catalog.model


# --- keys -------------------------------------------------------------------------------------------


def test_key_depends_on_everything_that_can_change_a_text() -> None:
    identity, decoding, request = {"backend": "b", "model": "m"}, Decoding(), Request("p", 1)
    variants = [
        (identity, decoding, request),
        ({**identity, "model": "n"}, decoding, request),
        ({**identity, "version": "2"}, decoding, request),
        (identity, Decoding(temperature=0.9), request),
        (identity, Decoding(top_p=0.9), request),
        (identity, Decoding(top_k=5), request),
        (identity, Decoding(repetition_penalty=1.1), request),
        (identity, Decoding(max_new_tokens=41), request),
        (identity, decoding, Request("q", 1)),
        (identity, decoding, Request("p", 2)),
        (identity, decoding, Request("p", 1, chat=True)),
        (identity, decoding, Request("p", 1, bias=(("joy", 1.0),))),
        (identity, decoding, Request("p", 1, bias=(("joy", 2.0),))),
        (identity, decoding, Request("p", 1, bias=(("joy", 1.0), ("glad", 1.0)))),
    ]
    keys = [request_key(*variant) for variant in variants]
    assert len(set(keys)) == len(keys) and all(len(key) == 64 for key in keys)


def test_key_depends_on_nothing_else() -> None:
    key = request_key({"a": 1, "b": 2}, Decoding(), Request("p \ud800", 1, bias=(("x", 1.0), ("y", 2.0))))
    assert key == request_key({"b": 2, "a": 1}, Decoding(), Request("p \ud800", 1, bias=(("y", 2), ("x", 1))))
    # a stored cache stays valid: this value may change only with a deliberate break
    assert request_key({"backend": "x"}, Decoding(), Request("p", 1)) == request_key(
        {"backend": "x"}, Decoding(max_new_tokens=40), Request("p", 1)
    )


def test_messages_of_libraries_are_shortened() -> None:
    assert shortened("a\n  b") == "a b" and len(shortened("x" * 10_000)) == 300


# --- sampling ----------------------------------------------------------------------------------------


def reference_mix(x: int) -> int:
    mask = (1 << 64) - 1
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


@given(st.integers(0, 2**63 - 1), st.integers(0, 5000), st.integers(0, 2**18))
@settings(max_examples=200, deadline=None)
def test_random_numbers_are_those_of_the_definition(seed: int, step: int, token: int) -> None:
    mask, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15
    state = reference_mix((reference_mix((seed + golden) & mask) + golden * (step + 1)) & mask)
    bits = reference_mix(state ^ reference_mix((token + golden) & mask))
    got = uniforms(torch.tensor([seed]), step, torch.tensor([[token]])).item()
    assert got == ((bits >> 11) + 0.5) / 2**53 and 0 < got < 1


def test_random_numbers_are_even() -> None:
    numbers = uniforms(torch.arange(200), 3, torch.arange(500).repeat(200, 1)).flatten()
    counts = torch.histc(numbers, 50, 0, 1)
    chi = ((counts - 2000) ** 2 / 2000).sum().item()
    assert 20 < chi < 95  # 49 degrees of freedom
    assert abs(numbers.mean().item() - 0.5) < 0.005


def frequencies(logits: list[float], decoding: Decoding, draws: int = 20_000) -> list[float]:
    tokens = sample(torch.tensor([logits]).repeat(draws, 1), decoding, torch.arange(draws), 0)
    counts = Counter(tokens.tolist())
    return [counts[token] / draws for token in range(len(logits))]


def test_draws_follow_the_distribution() -> None:
    logits = [1.0, 0.0, -1.0, 2.0]
    for temperature in (0.5, 1.0, 2.0):
        expected = torch.softmax(torch.tensor(logits) / temperature, -1).tolist()
        assert frequencies(logits, Decoding(temperature=temperature, top_p=1.0)) == pytest.approx(expected, abs=0.015)


def test_top_k_and_top_p_keep_what_transformers_keeps() -> None:
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    generator = torch.Generator().manual_seed(1)
    for top_k, top_p in ((3, 1.0), (0, 0.6), (5, 0.7), (0, 0.01), (100, 0.99)):
        logits = torch.randn(1, 12, generator=generator) * 2
        warped = TemperatureLogitsWarper(0.7)(None, logits)
        if top_k:
            warped = TopKLogitsWarper(min(top_k, 12))(None, warped)
        warped = TopPLogitsWarper(top_p)(None, warped) if top_p < 1 else warped
        expected = torch.softmax(warped, -1)[0].tolist()
        assert frequencies(logits[0].tolist(), Decoding(temperature=0.7, top_k=top_k, top_p=top_p)) == pytest.approx(expected, abs=0.015)


def test_the_shortcut_over_a_large_vocabulary_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(2)
    seeds = torch.arange(64)
    for spread in (0.1, 3.0):  # flat: 1,024 candidates do not hold top_p; peaked: they do
        logits = torch.randn(64, 5000, generator=generator) * spread
        scores = logits.double() / 0.8
        p, order = torch.softmax(scores, -1).sort(descending=True)
        p = p.masked_fill(p.cumsum(-1) - p >= 0.95, 0.0)
        gumbel = -torch.log(-torch.log(uniforms(seeds, 5, order)))
        expected = order.gather(-1, (p.log() + gumbel).argmax(-1, keepdim=True)).squeeze(-1)
        assert torch.equal(sample(logits, Decoding(), seeds, 5), expected)


def test_a_draw_does_not_depend_on_its_neighbours() -> None:
    logits = torch.randn(9, 300, generator=torch.Generator().manual_seed(3))
    seeds = torch.arange(100, 109)
    together = sample(logits, Decoding(), seeds, 4).tolist()
    assert together == [sample(logits[row : row + 1], Decoding(), seeds[row : row + 1], 4).item() for row in range(9)]


# --- bias ------------------------------------------------------------------------------------------


class Letters:
    """A tokenizer of single characters, with one token for each of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, text: str, add_special_tokens: bool = True) -> Any:
        whole = [1000 + number for number, word in enumerate(self.words) if word == text]
        return SimpleNamespace(input_ids=whole or [ord(letter) for letter in text])


def test_bonus_of_a_word_of_one_piece() -> None:
    bias = WordBias((("joy", 2.0),), Letters(" joy", "joy"))
    assert bias.bonuses([], "") == {1000: 2.0, 1001: 2.0}
    assert bias.bonuses([1], "over") == {1000: 2.0}  # "joy" would be glued to "over"
    assert bias.bonuses([1], "over #") == {1000: 2.0, 1001: 2.0}
    assert bias.bonuses([1], "such joyful") == {1000: 2.0}
    assert bias.bonuses([1], "such Joy!") == {}  # once is enough
    assert bias.bonuses([1], "such Joyf") == {}


def test_bonus_of_a_word_of_several_pieces_is_shared_out() -> None:
    bias = WordBias((("ab", 3.0),), Letters())
    assert bias.bonuses([], "") == {ord(" "): 1.0, ord("a"): 1.5}
    assert bias.bonuses([ord(" ")], " ") == {ord(" "): 1.0, ord("a"): 1.5}
    assert bias.bonuses([ord(" "), ord("a")], " a") == {ord(" "): 1.0, ord("b"): 1.5}
    assert bias.bonuses([ord(" "), ord("a"), ord("b")], " ab") == {}


def test_bonuses_of_two_words_do_not_add_up() -> None:
    bias = WordBias((("ab", 3.0), ("ac", 6.0), ("  ", 1.0)), Letters(" ab", " ac"))
    assert bias.bonuses([1], "x") == {1000: 3.0, 1001: 6.0}
    assert bias.bonuses([], "") == {1000: 3.0, 1001: 6.0, ord("a"): 3.0}


# --- files --------------------------------------------------------------------------------------------


def test_where_a_model_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = tmp_path / "models" / "x.gguf"
    gguf.parent.mkdir()
    gguf.write_bytes(b"GGUF")
    fake: Any = FakeCatalog(tmp_path, gguf)

    def found(model: str) -> Path:
        return assets.generator_files(Generator(model=model), fake)

    assert found("listed") == found("models/x.gguf") == found(str(gguf)) == found("./models/x.gguf") == gguf
    assert found("models/") == gguf  # a folder with one GGUF file
    (gguf.parent / "y.gguf").write_bytes(b"GGUF")
    with pytest.raises(UserError, match="2 GGUF files"):
        found("models/")
    (gguf.parent / "config.json").write_text("{}")
    assert found("models/") == gguf.parent
    with pytest.raises(UserError, match="no entry"):
        found("unlisted")
    for name in ("./nowhere", "nowhere.gguf", "/nowhere/at/all", "~/nowhere-at-all"):
        with pytest.raises(UserError, match="no such model"):
            found(name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither"):
        found("./empty")
    asked = []
    monkeypatch.setattr(fetching, "snapshot", lambda name, cache: asked.append((name, cache)) or gguf.parent)
    assert found("owner/name@v1") == gguf.parent and asked == [("owner/name@v1", tmp_path / "cache")]


def test_hub_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route\nto host " + "x" * 1000)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    fake: Any = FakeCatalog(tmp_path)
    with pytest.raises(UserError, match="could not serve owner/name") as caught:
        assets.generator_files(Generator(model="owner/name"), fake)
    assert len(str(caught.value)) < 600 and caught.value.__suppress_context__


def test_hash_of_a_model_depends_on_content_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "two" / "README.md").write_text("no part of it")
    assert assets.model_hash(tmp_path / "one") == assets.model_hash(tmp_path / "two")
    (tmp_path / "two" / "config.json").write_text("{ }")
    assert assets.model_hash(tmp_path / "one") != assets.model_hash(tmp_path / "two")
    assert assets.model_hash(tmp_path / "one" / "model.safetensors") == hashlib.sha256(b"weights").hexdigest()


@pytest.mark.parametrize("backend", ["openvino", "transformers"])
def test_a_gguf_file_that_is_none(tmp_path: Path, backend: Any) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"not a model" * 100)
    fake: Any = FakeCatalog(tmp_path)
    with pytest.raises(UserError, match=r"cannot read this GGUF file|cannot be written"):
        open_language_model(Generator(backend=backend, model="bad.gguf"), fake)


def test_folders_that_a_backend_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    fake: Any = FakeCatalog(tmp_path)
    with pytest.raises(UserError, match="no OpenVINO model"):
        open_language_model(Generator(backend="openvino", model="./m"), fake)
    with pytest.raises(UserError, match="cannot load"):
        open_language_model(Generator(backend="transformers", model="./m"), fake)


# --- transformers, on a tiny random model ---------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TransformersModel:
    folder = make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    fake: Any = FakeCatalog(folder.parent)
    model = open_language_model(Generator(backend="transformers", model=str(folder)), fake)
    assert isinstance(model, TransformersModel) and isinstance(model, LanguageModel)
    return model


def some_requests(count: int = 24, **more: Any) -> list[Request]:
    prompts = ["A short one:", "A rather longer prompt, with more to read before the text begins:", "x"]
    return [Request(prompts[row % 3], 10_000 + row, **more) for row in range(count)]


def plain_greedy(model: TransformersModel, prompt: str, tokens: int) -> str:
    ids = model._ids(prompt, False)[None]
    out = model.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=tokens)
    return str(model.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)).split(STOP)[0]


def test_shared_prompts_give_the_texts_of_plain_generate(tiny: TransformersModel) -> None:
    assert tiny.shares_prefix
    requests = some_requests(7)
    texts = tiny.generate(requests, GREEDY)
    for request, text in zip(requests, texts, strict=True):
        assert text.text == plain_greedy(tiny, request.prompt, 20)


def test_a_row_does_not_depend_on_its_batch(tiny: TransformersModel) -> None:
    decoding = Decoding(temperature=1.5, max_new_tokens=16)
    requests = some_requests()
    together = tiny.generate(requests, decoding)
    assert len({text.text for text in together}) > 18 and {text.finish for text in together} == {"stop", "length"}
    assert tiny.generate(requests, decoding) == together
    assert [tiny.generate([request], decoding)[0] for request in requests] == together
    assert tiny.generate(requests[::-1], decoding) == together[::-1]


def test_the_path_for_other_attentions_gives_the_same(tiny: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = Decoding(temperature=1.5, max_new_tokens=16, repetition_penalty=1.3, top_k=50)
    shared = tiny.generate(some_requests(), decoding)
    monkeypatch.setattr(tiny, "shares_prefix", False)
    assert tiny.generate(some_requests(), decoding) == shared


def test_pieces_of_a_long_list(tiny: TransformersModel, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = Decoding(max_new_tokens=5)
    whole = tiny.generate(some_requests(), decoding)
    monkeypatch.setattr("emosynth.models.lm.local._ROWS", 5)
    told: list[int] = []
    assert tiny.generate(some_requests(), decoding, progress=told.append) == whole
    assert told == sorted(told) and told[-1] == 24


def test_texts_end_at_the_first_newline(tiny: TransformersModel) -> None:
    newline = tiny.tokenizer("\n", add_special_tokens=False).input_ids
    assert set(newline) <= tiny._newlines
    texts = tiny.generate(some_requests(60), Decoding(temperature=3.0, top_p=1.0, max_new_tokens=60))
    assert all(STOP not in text.text for text in texts)
    short = [text for text in texts if text.new_tokens < 60]
    assert short and all(text.finish == "stop" for text in short)


def test_chat_uses_the_template(tiny: TransformersModel) -> None:
    (chat,) = tiny.generate([Request("hello", 1, chat=True)], GREEDY)
    (raw,) = tiny.generate([Request("[user]hello[me]", 1)], GREEDY)
    assert chat == raw and chat.prompt_tokens == len("[user]hello[me]")


def test_bias_pulls_a_word_in_once(tiny: TransformersModel) -> None:
    decoding = Decoding(max_new_tokens=40)
    plain = tiny.generate(some_requests(12), decoding)
    biased = tiny.generate(some_requests(12, bias=(("joy", 90.0),)), decoding)
    assert not any("joy" in text.text for text in plain)
    assert all(text.text.count("joy") <= 2 for text in biased)
    assert sum("joy" in text.text for text in biased) > 8
    mixed = [*some_requests(12), *some_requests(12, bias=(("joy", 90.0),))]
    assert tiny.generate(mixed, decoding) == [*plain, *biased]  # rows without bias are left alone


def test_repetition_penalty_is_that_of_transformers(tiny: TransformersModel) -> None:
    decoding = Decoding(temperature=1e-6, top_p=1.0, repetition_penalty=5.0, max_new_tokens=12)
    (text,) = tiny.generate([Request("A short one:", 1)], decoding)
    ids = tiny._ids("A short one:", False)[None]
    out = tiny.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, repetition_penalty=5.0)
    assert text.text == tiny.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).split(STOP)[0]


def test_prompts_that_do_not_fit(tiny: TransformersModel) -> None:
    with pytest.raises(UserError, match="do not fit") as caught:
        tiny.generate([Request("secret " * 100, 1)], Decoding())
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match="empty"):
        tiny.generate([Request("", 1)], Decoding())
    assert tiny.generate([], Decoding()) == []


def test_a_model_without_chat_template(tmp_path: Path) -> None:
    model = TransformersModel(make_tiny_model(tmp_path / "m", chat=False), "0" * 64)
    with pytest.raises(UserError, match="chat template"):
        model.generate([Request("hello", 1, chat=True)], Decoding())


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "m")
    for device in ("cuda:99", "nonsense"):
        with pytest.raises(UserError, match="cannot load"):
            TransformersModel(folder, "0" * 64, device=device)


def test_half_precision_and_identity(tmp_path: Path, tiny: TransformersModel) -> None:
    model = TransformersModel(make_tiny_model(tmp_path / "m"), "0" * 64, dtype="bfloat16")
    assert len(model.generate(some_requests(5), Decoding(max_new_tokens=4))) == 5
    assert model.identity["dtype"] == "bfloat16" != tiny.identity["dtype"]
    assert set(model.identity) == {"backend", "model", "dtype", "device", "torch", "transformers"}
    model.close()


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "qwen2", "gemma2", "mistral"])
def test_other_architectures(tmp_path: Path, kind: str) -> None:
    """Whether or not prompts can be shared, texts are those of plain generate."""
    from transformers import AutoTokenizer

    folder = make_tiny_architecture(tmp_path / "m", kind)
    assert AutoTokenizer.from_pretrained(str(folder)).chat_template
    model = TransformersModel(folder, "0" * 64)
    requests = some_requests(6)
    for request, text in zip(requests, model.generate(requests, GREEDY), strict=True):
        assert text.text == plain_greedy(model, request.prompt, 20)


# --- the catalogue's model ---------------------------------------------------------------------------------

PROMPTS = [
    f"Short posts by people who feel {feeling}, one a line:\n- what a day this has been\n-" for feeling in ("joy", "anger", "sadness")
]
ROWS = [Request(PROMPTS[row % 3], 77 + row) for row in range(24)]


@pytest.mark.model
def test_shared_prompts_give_the_texts_of_plain_generate_on_smollm2() -> None:
    model = open_language_model(Generator(backend="transformers", model="smollm2-135m-instruct"), catalog())
    assert isinstance(model, TransformersModel) and model.shares_prefix
    requests = [Request(prompt, 1) for prompt in PROMPTS]
    texts = model.generate(requests, GREEDY)
    assert [text.text for text in texts] == [plain_greedy(model, prompt, 20) for prompt in PROMPTS]
    sampled = model.generate(ROWS, Decoding(max_new_tokens=12))
    assert model.generate(ROWS, Decoding(max_new_tokens=12)) == sampled
    assert len({text.text for text in sampled}) > 12


@pytest.mark.model
def test_openvino_depends_on_the_list_alone() -> None:
    """Equal lists give equal texts: twice in one process, after other work, and in another process."""
    model = open_language_model(Generator(model="smollm2-135m-instruct"), catalog())
    decoding = Decoding(max_new_tokens=12)
    first = model.generate(ROWS, decoding)
    told: list[int] = []
    other = model.generate(ROWS[::2], Decoding(max_new_tokens=6, top_k=20), progress=told.append)
    assert told[-1] == 12 == len(other)
    for _ in range(3):
        assert model.generate(ROWS, decoding) == first
    assert all(STOP not in text.text and text.prompt_tokens > 5 for text in first) and len({text.text for text in first}) > 12
    code = (
        "from test_lm import *\n"
        "model = open_language_model(Generator(model='smollm2-135m-instruct'), catalog())\n"
        "print(digest(model.generate(ROWS, Decoding(max_new_tokens=12))))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    assert there.stdout.split()[-1] == digest(first)


@pytest.mark.model
def test_openvino_chats_refuses_bias_and_tells_shortly_of_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    model = open_language_model(Generator(model="smollm2-135m-instruct"), catalog())
    chat, raw = (
        model.generate([request], Decoding(max_new_tokens=8))[0]
        for request in (Request("Say hello.", 1, chat=True), Request("Say hello.", 1))
    )
    assert chat.prompt_tokens > raw.prompt_tokens + 10 and chat.text
    with pytest.raises(UserError, match="bias"):
        model.generate([Request("p", 1, bias=(("joy", 1.0),))], Decoding())
    with pytest.raises(UserError, match="OpenVINO failed") as caught:
        model.generate([Request(5, 1), Request("secret " * 1000, 1)], Decoding())  # type: ignore[arg-type]
    assert len(str(caught.value)) < 700
    assert model.generate([], Decoding()) == []


@pytest.mark.model
def test_bias_on_smollm2() -> None:
    model = open_language_model(Generator(backend="transformers", model="smollm2-135m-instruct"), catalog())
    rows = [Request(PROMPTS[0], seed, bias=(("overjoyed", 20.0), ("sunset", 10.0))) for seed in range(8)]
    plain = [Request(row.prompt, row.row_seed) for row in rows]
    texts = [text.text for text in model.generate([*rows, *plain], Decoding(max_new_tokens=12))]
    hits = ["overjoyed" in text or "sunset" in text for text in texts]
    assert sum(hits[:8]) >= 4 > sum(hits[8:])


@pytest.mark.model
def test_conversions_are_made_once() -> None:
    gguf, cache = smollm2(), catalog().paths.cache
    for convert in (assets.dequantised_folder, assets.openvino_folder):
        folder = convert(gguf, cache)
        before = sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir())
        assert convert(gguf, cache) == folder and not any(path.is_symlink() for path in folder.iterdir())
        assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.iterdir()) == before


def test_process_ends_when_openvino_hangs() -> None:
    """The sampler of OpenVINO can wait for ever, with Python's own lock held; nothing else could end that."""
    source = (
        "import time, ctypes\n"
        "from emosynth.models.lm import openvino\n"
        "openvino.STANDSTILL = 2.0\n"
        "with openvino._ends_when_it_hangs() as beat:\n"
        "    beat()\n"
        "    ctypes.PyDLL(None).sleep(60)\n"  # PyDLL keeps the lock: no Python thread runs meanwhile
        "print('went on')\n"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode != 0 and "went on" not in done.stdout and time.monotonic() - start < 40


def test_process_lives_while_openvino_steps() -> None:
    source = (
        "import time\n"
        "from emosynth.models.lm import openvino\n"
        "openvino.STANDSTILL = 2.0\n"
        "with openvino._ends_when_it_hangs() as beat:\n"
        "    for _ in range(4):\n"
        "        time.sleep(1.2)\n"
        "        beat()\n"
        "time.sleep(3)\n"
        "print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0 and "went on" in done.stdout
