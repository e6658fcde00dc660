"""The backend ``transformers`` on an accelerator: do its texts agree with the processor's, and how many does it write a second.

    python benchmarks/bench_gpu.py --device cuda --out benchmarks/gpu.json
    python benchmarks/bench_gpu.py --device cpu --only throughput --batches 4 --tokens 8
    python benchmarks/bench_gpu.py --device cuda --only large --large-rows 64 128

agreement: texts and log-probabilities of the card beside those of the processor in float32; of how many rows the text depends on what is written beside
them. throughput: texts and tokens a second beside plain ``generate``, side by side in one run, on the demo's plain prompts. large: a model of the shape of
Llama 2 7B (or ``--width``, ``--layers``) with random weights, speed only, on prompts of narratives in the chat style. A token counts until the row ends, its
end included, for both ways alike; the median of ``--repeats`` timed calls stands beside the fastest and the slowest.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from common import about, keep

from emosynth.catalog import Catalog
from emosynth.design.space import Space
from emosynth.errors import UserError
from emosynth.generation.narrative_prompts import Scene
from emosynth.generation.narrative_prompts import build_prompt as narrative_prompt
from emosynth.generation.prompts import build_prompt
from emosynth.models.lm import Completion, Request
from emosynth.models.lm.assets import dequantised_folder, generator_files
from emosynth.models.lm.local import TransformersModel
from emosynth.params import Decoding, Generator
from emosynth.paths import Paths, repository_root

PHRASES = ["negative feelings", "everyday plans and facts, without feelings", "positive feelings"]  # of the demo
FEELINGS = ["joy", "anger", "sadness", "optimism", "fear", "surprise", "love", "disgust"]
NOUNS = ["tweet", "message", "film review", "letter", "diary entry", "forum post", "comment", "note"]
PARTS = ("agreement", "throughput", "large")
CALLS = 700_000
"""Calls of a 7B model that Shvets 2025 (arXiv:2504.16856) reports, in 450 GPU hours."""
NAMES = [
    "the miller",
    "the old captain",
    "Martha",
    "the youngest brother",
    "the innkeeper's daughter",
    "Jonas",
    "the watchman",
    "the queen",
]
SENTENCES = [
    "{} had been walking since dawn, and the road went on between the fields without a house or a tree.",
    "Nobody in the village had slept that night, for the river had risen to the steps of the church.",
    "When {} opened the chest, there was nothing in it but a pair of worn boots and a letter.",
    "The others laughed and went back to their cards, as if nothing at all had been said.",
    "On the third day a carriage stopped before the gate, and a stranger asked for a glass of water.",
    "{} took the lantern, looked once more at the sleeping children, and went out into the snow.",
]
"""Invented; passages have 40 to 90 words, as the parameters of narratives ask for."""


class RandomModel(TransformersModel):
    """A Llama with random weights, made on the device; the tokenizer is that of ``folder``."""

    width, layers = 4096, 32

    def _weights(self, dtype: torch.dtype) -> Any:
        from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

        own = AutoConfig.from_pretrained(str(self.folder), trust_remote_code=False)
        config = LlamaConfig(
            vocab_size=own.vocab_size, hidden_size=self.width, intermediate_size=self.width * 43 // 16, num_hidden_layers=self.layers,
            num_attention_heads=max(1, self.width // 128), num_key_value_heads=max(1, self.width // 128), max_position_embeddings=4096,
            tie_word_embeddings=False, bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id,
            initializer_range=0.01,
        )  # fmt: skip
        torch.manual_seed(0)
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with self.device, torch.no_grad():
                model = LlamaForCausalLM(config)
                model.lm_head.weight.mul_(
                    10.0
                )  # as peaked as a language model: of a flatter one most of the vocabulary would be drawn from
                return model
        finally:
            torch.set_default_dtype(before)


def wait(model: TransformersModel) -> None:
    """Wait until the card has done what it was told."""
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def plain_generate(model: TransformersModel, requests: Sequence[Request], decoding: Decoding) -> list[int]:
    """Write the rows as one does without this package, in one left-padded batch that ends rows where ours do; return the tokens of each."""
    tokenizer, ends = model.tokenizer, sorted(model._ends | model._newlines)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    prompts = [request.prompt for request in requests]
    if requests[0].chat:
        turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
        prompts = [tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) for turn in turns]
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=not requests[0].chat).to(model.device)
    with torch.inference_mode():
        out = model.model.generate(
            **inputs, do_sample=True, temperature=decoding.temperature, top_p=decoding.top_p, top_k=0,
            max_new_tokens=decoding.max_new_tokens, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    rows = out[:, inputs.input_ids.shape[1] :].tolist()
    tokenizer.batch_decode(rows, skip_special_tokens=True)
    end = set(ends)
    return [next((place + 1 for place, token in enumerate(row) if token in end), len(row)) for row in rows]


def timed(model: TransformersModel, write: Callable[[], Sequence[int]], repeats: int) -> dict[str, Any]:
    """Return the median speed of a way, after one call that is not counted; or that memory ran out."""
    seconds, tokens = [], 0
    try:
        for repeat in range(repeats + 1):
            wait(model)
            start = time.perf_counter()
            written = write()
            wait(model)
            if repeat:
                seconds.append(time.perf_counter() - start)
                tokens += sum(written)
    except (torch.OutOfMemoryError, UserError) as error:
        return {"failed": str(error).splitlines()[0]}
    middle = statistics.median(seconds)
    return {
        "seconds": round(middle, 3),
        "fastest": round(min(seconds), 3),
        "slowest": round(max(seconds), 3),
        "texts_per_second": round(len(written) / middle, 1),
        "tokens_per_second": round(tokens / repeats / middle, 1),
        "new_tokens_per_text": round(tokens / repeats / len(written), 2),
    }


def both(model: TransformersModel, rows: Sequence[Request], decoding: Decoding, repeats: int) -> dict[str, Any]:
    """Return the speeds of the two ways on the same rows, and how many tokens they read."""
    lengths: list[int] = []

    def ours(decoding: Decoding) -> list[int]:
        texts = model.generate(rows, decoding)
        lengths[:] = [text.prompt_tokens for text in texts]
        return [text.new_tokens for text in texts]

    found: dict[str, Any] = {"rows": len(rows), "prompts": len({row.prompt for row in rows})}
    found["here"] = timed(model, lambda: ours(decoding), repeats)
    found["plain generate"] = timed(model, lambda: plain_generate(model, rows, decoding), repeats)
    if lengths:
        found["prompt_tokens_per_text"] = round(statistics.mean(lengths), 1)
    for way in ("here", "plain generate"):
        print(f"{len(rows):>6} rows {way:<16}", found[way], flush=True)
    return found


# --- agreement --------------------------------------------------------------------------------------------------


def log_probabilities(model: TransformersModel, rows: Sequence[Request], texts: Sequence[str]) -> list[torch.Tensor]:
    """Return the log-probability of each token of given texts after their prompts, float32, on the processor."""
    found = []
    with torch.inference_mode():
        for row, text in zip(rows, texts, strict=True):
            prompt = model._ids(row.prompt, row.chat)
            ids = torch.cat([prompt, torch.tensor(model.tokenizer(text, add_special_tokens=False).input_ids, device=prompt.device)]).long()
            log_p = model.model(input_ids=ids[None]).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
            found.append(log_p.gather(-1, ids[len(prompt) :, None])[:, 0].cpu())
    return found


def equal(texts: Sequence[Completion], others: Sequence[Completion]) -> list[int]:
    """Return how many texts are equal, and of how many."""
    return [sum(text.text == other.text for text, other in zip(texts, others, strict=True)), len(others)]


def agreement(reference: TransformersModel, models: Sequence[tuple[str, TransformersModel]], rows: int, tokens: int) -> dict[str, Any]:
    """Compare texts and log-probabilities of models on the card with the reference's, and the card's with its own in other batches."""
    prompts = [build_prompt("list", noun, feeling) for feeling in FEELINGS for noun in NOUNS]
    requests = [Request(prompts[row % len(prompts)], 1000 + row) for row in range(rows)]
    greedy = [Request(prompt, 1) for prompt in prompts[: min(rows, len(prompts))]]
    biased = [Request(row.prompt, row.row_seed, bias=(("overjoyed", 20.0), ("sunset", 10.0))) for row in requests[: rows // 4]]
    sampling, most = Decoding(max_new_tokens=tokens), Decoding(temperature=1e-6, top_p=1.0, max_new_tokens=tokens)
    expected = [reference.generate(part, how) for part, how in ((requests, sampling), (greedy, most), (biased, sampling))]
    texts = [text.text for text in expected[0] if text.text.strip()][:64]
    written = [row for row, text in zip(requests, expected[0], strict=True) if text.text.strip()][:64]
    scores = log_probabilities(reference, written, texts)
    out: dict[str, Any] = {}
    for name, model in models:
        together = model.generate(requests, sampling)
        alone = [model.generate([row], sampling)[0] for row in requests[:16]]
        parts = [text for start in range(0, rows, 24) for text in model.generate(requests[start : start + 24], sampling)]
        apart = [(one - other).abs() for one, other in zip(log_probabilities(model, written, texts), scores, strict=True)]
        marked = model.generate(biased, sampling)
        out[name] = {
            "shares_prompts": model.shares_prefix,
            "sampled_as_processor": equal(together, expected[0]),
            "greedy_as_processor": equal(model.generate(greedy, most), expected[1]),
            "biased_as_processor": equal(marked, expected[2]),
            "with_a_biased_word": [sum(any(word in text.text for word in ("overjoyed", "sunset")) for text in kind) for kind in (marked, together[: len(biased)])],
            "largest_log_p_difference": float(f"{max(float(one.max()) for one in apart):.2g}"),
            "mean_log_p_difference": float(f"{float(torch.cat(apart).mean()):.2g}"),
            "the_same_list_again": equal(model.generate(requests, sampling), together),
            "backwards": equal(model.generate(requests[::-1], sampling)[::-1], together),
            "in_batches_of_24": equal(parts, together),
            "alone": equal(alone, together[: len(alone)]),
        }  # fmt: skip
        print(name, out[name], flush=True)
    return out


# --- a large model ----------------------------------------------------------------------------------------------


def narratives(count: int) -> list[Request]:
    """Return requests of as many narratives: situation, utterance and context-less text in turn, each of another passage and character."""
    labels = dict(zip(FEELINGS, FEELINGS, strict=True))
    space = Space("feelings", tuple(FEELINGS), True, labels, labels)
    rows = []
    for row in range(count):
        name, label = NAMES[row % len(NAMES)], FEELINGS[row // len(NAMES) % len(FEELINGS)]
        order = [SENTENCES[(row + place * (1 + row % 5)) % len(SENTENCES)].format(name) for place in range(4)]
        passage = f"Chapter {row + 1}. " + " ".join(order)
        kind = ("context", "utterance", "contextless")[row % 3]
        scene = Scene((label,), name, passage)
        text = narrative_prompt(kind, "chat", scene, space, " ".join(order[:2]), order[2])  # type: ignore[arg-type]
        rows.append(Request(text.text, 5000 + row, chat=True))
    return rows


def large(options: argparse.Namespace, folder: Path, decoding: Decoding) -> dict[str, Any]:
    """Measure the large model, in bfloat16."""
    RandomModel.width, RandomModel.layers = options.width, options.layers
    start = time.perf_counter()
    model = RandomModel(folder, "0" * 64, options.device, "bfloat16")
    print(f"random weights made in {time.perf_counter() - start:.0f} s; shares prompts: {model.shares_prefix}", flush=True)
    results = []
    for count in options.large_rows:
        rows = narratives(count)
        found = both(model, rows, decoding, options.repeats)

        def read_alone(rows: Sequence[Request] = rows) -> list[int]:
            return [text.new_tokens for text in model.generate(rows, Decoding(max_new_tokens=1))]

        first = timed(model, read_alone, options.repeats)
        if "failed" not in first and "failed" not in found["here"]:
            reading, whole = first["seconds"], found["here"]
            found["read_per_second"] = round(count * found["prompt_tokens_per_text"] / reading, 1)
            found["written_per_second"] = round(count * (whole["new_tokens_per_text"] - 1) / (whole["seconds"] - reading), 1)
            found["hours_for_as_many_calls_as_published"] = round(CALLS / whole["texts_per_second"] / 3600, 1)
        print({name: value for name, value in found.items() if name not in ("here", "plain generate")}, flush=True)
        results.append(found)
        gc.collect()
    parameters = sum(one.numel() for one in model.model.parameters())
    return {
        "weights": "random: speed only",
        "parameters": parameters,
        "dtype": "bfloat16",
        "calls_published": CALLS,
        "max_new_tokens": decoding.max_new_tokens,
        "peak_gb": peak(model),
        "results": results,
    }


def peak(model: TransformersModel) -> float | None:
    """Return the most memory of the card that was held, in GB."""
    return round(torch.cuda.max_memory_allocated(model.device) / 1e9, 1) if model.device.type == "cuda" else None


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="catalogue entry, path of a GGUF file or of a model folder")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 256, 1024])
    parser.add_argument("--tokens", type=int, default=32, help="new tokens at most; the demo's")
    parser.add_argument("--agree-rows", type=int, default=192)
    parser.add_argument("--large-rows", nargs="+", type=int, default=[64, 256])
    parser.add_argument("--large-tokens", type=int, default=40)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()

    catalog = Catalog.load(Paths(repository_root(Path(__file__).parent), "demo"))
    found = generator_files(Generator(model=options.model), catalog)
    folder = dequantised_folder(found, catalog.paths.cache) if found.is_file() else found
    head = about("torch", "transformers")
    if options.device.startswith("cuda"):
        card = torch.cuda.get_device_properties(options.device)
        head["card"] = {"name": card.name, "memory_gb": round(card.total_memory / 1e9, 1), "cuda": torch.version.cuda}
    out: dict[str, Any] = {**head, "device": options.device, "model": found.name, "repeats": options.repeats}
    decoding = Decoding(max_new_tokens=options.tokens)

    if "agreement" in options.only or "throughput" in options.only:
        models = [(dtype, TransformersModel(folder, "0" * 64, options.device, dtype)) for dtype in options.dtypes]
        if "agreement" in options.only:
            out["agreement"] = agreement(TransformersModel(folder, "0" * 64), models, options.agree_rows, options.tokens)
            keep(options.out, out)
        if "throughput" in options.only:
            out["throughput"] = {"max_new_tokens": options.tokens, "results": []}
            prompts = [build_prompt("list", "tweet", phrase) for phrase in PHRASES]
            for dtype, model in models:
                for count in options.batches:
                    rows = [Request(prompts[row % len(prompts)], 1000 + row) for row in range(count)]
                    out["throughput"]["results"].append({"dtype": dtype, **both(model, rows, decoding, options.repeats)})
                    keep(options.out, out)
        for _, model in models:
            model.close()
        gc.collect()
    if "large" in options.only:
        out["large"] = large(options, folder, Decoding(max_new_tokens=options.large_tokens))
    keep(options.out, out)


if __name__ == "__main__":
    main()
