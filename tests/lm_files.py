"""Models for tests: a tiny random one that is made on the spot, and the one of the catalogue."""

from __future__ import annotations

import functools
from pathlib import Path

from emosynth.catalog import Catalog
from emosynth.paths import Paths, repository_root


@functools.cache
def catalog() -> Catalog:
    """Return the repository's own catalogue, with its cache."""
    return Catalog.load(Paths(repository_root(Path(__file__).parent), "demo"))


def smollm2() -> Path:
    """Return the GGUF file of SmolLM2, fetched once into the cache."""
    return catalog().fetch("smollm2-135m-instruct")


def make_tiny_model(folder: Path, seed: int = 0, chat: bool = True) -> Path:
    """Save a random two-layer Llama over single bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={piece: number for number, piece in enumerate(["<eos>", *alphabet])}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<eos>")
    if chat:
        tokenizer.chat_template = (
            "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}[me]{% endif %}"
        )
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, eos_token_id=0, bos_token_id=0, pad_token_id=0, tie_word_embeddings=False, initializer_range=0.5,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tiny_architecture(folder: Path, kind: str) -> Path:
    """Save a random two-layer model of another architecture over single bytes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    make_tiny_model(folder)
    size = {"gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}}.get(
        kind, {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 128}
    )
    grouped = {"num_key_value_heads": 2, "head_dim": 8} if kind in ("qwen2", "gemma2", "mistral") else {}
    window = {"sliding_window": 8} if kind in ("gemma2", "mistral") else {}
    tokens = {"vocab_size": 257, "eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 0}
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **size, **grouped, **window, **tokens, initializer_range=0.5)
    ).save_pretrained(folder)
    return folder
