"""Measures llama.cpp (through llama-cpp-python) on the CPU, for `whittle bench --peer llama.cpp`.

Converts the checkpoint to GGUF beside it, once. Every line of standard output that begins with a brace is a result; see
`peer.rs`.
"""
import argparse
import json
import os
import sys
import time


def say(**line):
    print(json.dumps(line), flush=True)


try:
    import gguf
    import llama_cpp
    import numpy as np
except ImportError as error:
    say(kind="missing", package=error.name)
    sys.exit(0)

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def check(_arguments):
    say(kind="peer", version=f"llama-cpp-python {llama_cpp.__version__}")


def read_config(folder):
    with open(os.path.join(folder, "config.json")) as file:
        return json.load(file)


def tensors(folder):
    """Names and bf16 bits of all tensors."""
    path = os.path.join(folder, "model.safetensors")
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    data = np.memmap(path, mode="r", offset=8 + length)
    for name, tensor in header.items():
        if name != "__metadata__":
            start, end = tensor["data_offsets"]
            yield name, data[start:end].view(np.uint16).reshape(tensor["shape"])


def gguf_name(name):
    stem = name.removesuffix(".weight")
    if not stem.startswith("model.layers."):
        return f"{NAMES[stem]}.weight"
    layer, rest = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{NAMES[rest]}.weight"


def interleave(bits, heads):
    """Rotary halves to pairs, as GGUF's llama layout wants them."""
    rows, columns = bits.shape
    return bits.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_header(writer, config):
    vocabulary = config["vocab_size"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"<{i}>".encode() for i in range(vocabulary)])
    writer.add_token_scores([0.0] * vocabulary)
    writer.add_token_types([1] * vocabulary)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def convert(folder, path):
    config = read_config(folder)
    writer = gguf.GGUFWriter(path, "llama")
    write_header(writer, config)
    for name, bits in tensors(folder):
        if "q_proj" in name:
            bits = interleave(bits, config["num_attention_heads"])
        if "k_proj" in name:
            bits = interleave(bits, config["num_key_value_heads"])
        if bits.ndim == 1:
            floats = (bits.astype(np.uint32) << 16).view(np.float32)
            writer.add_tensor(gguf_name(name), floats)
        else:
            rows = np.ascontiguousarray(bits).view(np.uint8)
            writer.add_tensor(gguf_name(name), rows, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def converted(folder):
    path = os.path.join(folder, "model-bf16.gguf")
    if not os.path.exists(path):
        # Under another name until it is complete.
        unfinished = path + ".unfinished"
        convert(folder, unfinished)
        os.replace(unfinished, path)
    return path


class Sequences:
    """Sequences of one length that are decoded together."""

    TOKENS_TOGETHER = 512

    def __init__(self, model, threads, batch, length):
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = batch * (length + 8)
        parameters.n_batch = parameters.n_ubatch = max(self.TOKENS_TOGETHER, batch)
        parameters.n_seq_max = batch
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self.context = llama_cpp.llama_init_from_model(model, parameters)
        if not self.context:
            sys.exit("llama.cpp has no memory for the context")
        self.tokens = llama_cpp.llama_batch_init(parameters.n_batch, 0, 1)
        self.batch = batch

    def close(self):
        llama_cpp.llama_batch_free(self.tokens)
        llama_cpp.llama_free(self.context)

    def decode(self, entries):
        """Runs (token, position, sequence, whether its logits are wanted) through the model."""
        for place, (token, position, sequence, wanted) in enumerate(entries):
            self.tokens.token[place] = token
            self.tokens.pos[place] = position
            self.tokens.n_seq_id[place] = 1
            self.tokens.seq_id[place][0] = sequence
            self.tokens.logits[place] = wanted
        self.tokens.n_tokens = len(entries)
        code = llama_cpp.llama_decode(self.context, self.tokens)
        if code:
            sys.exit(f"llama_decode failed with code {code}")
        llama_cpp.llama_synchronize(self.context)

    def prefill(self, prompts):
        for sequence, ids in enumerate(prompts):
            last = len(ids) - 1
            entries = [(token, place, sequence, place == last) for place, token in enumerate(ids)]
            for start in range(0, len(entries), self.TOKENS_TOGETHER):
                self.decode(entries[start : start + self.TOKENS_TOGETHER])

    def step(self, token, position):
        self.decode([(token, position, sequence, True) for sequence in range(self.batch)])


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def generate(model, threads, vocabulary, prompt, batch, new_tokens):
    """Prefill time and the time of all steps; the first token comes from prefill."""
    random = np.random.default_rng(1)
    prompts = random.integers(10, vocabulary, (batch, prompt)).tolist()
    sequences = Sequences(model, threads, batch, prompt + new_tokens)

    def steps():
        # Any tokens will do: choosing them is not what takes the time.
        for i in range(new_tokens - 1):
            sequences.step(20 + i, prompt + i)

    prefill, decode = seconds(lambda: sequences.prefill(prompts)), seconds(steps)
    sequences.close()
    return prefill, decode


def point(arguments):
    path, config = converted(arguments.model), read_config(arguments.model)
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(
        path.encode(), llama_cpp.llama_model_default_params()
    )
    if not model:
        sys.exit(f"llama.cpp cannot load {path}")
    shape = (arguments.prompt_tokens, arguments.batch, arguments.new_tokens)
    # Brings the weights into memory and starts the threads.
    generate(model, arguments.threads, config["vocab_size"], 64, 1, 4)
    prefill, decode = generate(model, arguments.threads, config["vocab_size"], *shape)
    per_token = 2 * 2 * config["num_key_value_heads"] * config["head_dim"] * config["num_hidden_layers"]
    say(
        kind="point",
        prefill_s=prefill,
        decode_step_s=decode / (arguments.new_tokens - 1),
        end_to_end_s=prefill + decode,
        # Keys and values in f16, as llama.cpp's default is.
        cache_bytes=per_token * arguments.batch * (arguments.prompt_tokens + arguments.new_tokens - 1),
    )


def quiet():
    """Keeps llama.cpp's log from standard error; errors come through return codes."""
    callback = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(callback, None)
    return callback


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parts = parser.add_subparsers(required=True)
    for part, options in [
        (check, {}),
        (point, {"model": str, "prompt-tokens": int, "batch": int, "new-tokens": int}),
    ]:
        subparser = parts.add_parser(part.__name__)
        subparser.set_defaults(part=part)
        for name, kind in options.items():
            subparser.add_argument(f"--{name}", type=kind, required=True)
    arguments = parser.parse_args()
    log = quiet()
    arguments.part(arguments)
    del log


main()
