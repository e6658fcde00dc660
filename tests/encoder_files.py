"""A tiny random sentence encoder, made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("EMOSYNTH_THREADS", "1")  # threads that wait for each other cost a tiny model a hundred times what they save

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "a", "lake", "rain", "song", "cake", "door", "is", "mild", "loud"]


def make_tiny_encoder(path: Path) -> Path:
    """Save a random BERT of three layers over ten words, with special tokens and segments."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    backend.enable_truncation(4)  # as MiniLM's tokenizer.json has it
    backend.enable_padding(length=4)
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    return path
