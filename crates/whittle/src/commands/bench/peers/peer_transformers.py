"""Measures Hugging Face transformers on the CPU, for `whittle bench --peer transformers`.

Every line of standard output that begins with a brace is a result; see `peer.rs`.
"""
import argparse
import json
import sys
import time


def say(**line):
    print(json.dumps(line), flush=True)


try:
    import torch
    import transformers
except ImportError as error:
    say(kind="missing", package=error.name)
    sys.exit(0)


def check(_arguments):
    say(kind="peer", version=f"{transformers.__version__}, torch {torch.__version__}")


def seconds(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def generate(model, prompt, batch, new_tokens):
    """Prefill time and the time of all steps; the first token comes from prefill."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (batch, prompt), generator=generator)
    cache = transformers.DynamicCache()

    def step(ids):
        out = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1:].argmax(-1)

    def steps(token):
        for _ in range(new_tokens - 1):
            token = step(token)

    prefill, token = seconds(lambda: step(ids))
    decode, _ = seconds(lambda: steps(token))
    return prefill, decode, cache


def cache_bytes(cache):
    states = (state for layer in cache.layers for state in (layer.keys, layer.values))
    return sum(state.numel() * state.element_size() for state in states)


def point(arguments):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        arguments.model, dtype=torch.bfloat16
    ).eval()
    # Brings the weights into memory and starts the threads.
    generate(model, 64, 1, 4)
    prefill, decode, cache = generate(
        model, arguments.prompt_tokens, arguments.batch, arguments.new_tokens
    )
    say(
        kind="point",
        prefill_s=prefill,
        decode_step_s=decode / (arguments.new_tokens - 1),
        end_to_end_s=prefill + decode,
        cache_bytes=cache_bytes(cache),
    )


def matmul(arguments):
    for name, m, n, k in json.loads(arguments.products):
        x = torch.randn(m, k).to(torch.bfloat16)
        weights = torch.randn(n, k).to(torch.bfloat16)
        x @ weights.T
        times = [seconds(lambda: x @ weights.T)[0] for _ in range(arguments.samples)]
        say(kind="product", name=name, seconds=times)


def vision(arguments):
    with open(f"{arguments.model}/config.json") as file:
        config = json.load(file)
    width, text_width = config["vision_config"]["hidden_size"], config["text_config"]["hidden_size"]
    torch.set_default_dtype(torch.bfloat16)
    tower = transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(**config["vision_config"])
    ).eval()
    projector = torch.nn.Sequential(
        torch.nn.Linear(width, text_width), torch.nn.GELU(), torch.nn.Linear(text_width, text_width)
    )

    def features(pixels):
        states = tower(pixels, output_hidden_states=True).hidden_states
        return projector(states[config["vision_feature_layer"]][:, 1:])

    side = config["vision_config"]["image_size"]
    pixels = torch.randn(arguments.tiles, 3, side, side)
    features(pixels[:1])
    times = [seconds(lambda: features(pixels))[0] for _ in range(arguments.samples)]
    say(kind="vision", seconds=times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parts = parser.add_subparsers(required=True)
    for part, options in [
        (check, {}),
        (point, {"model": str, "prompt-tokens": int, "batch": int, "new-tokens": int}),
        (matmul, {"products": str, "samples": int}),
        (vision, {"model": str, "tiles": int, "samples": int}),
    ]:
        subparser = parts.add_parser(part.__name__)
        subparser.set_defaults(part=part)
        for name, kind in options.items():
            subparser.add_argument(f"--{name}", type=kind, required=True)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        arguments.part(arguments)


main()
