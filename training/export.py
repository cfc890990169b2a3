"""Writes trained weights as a Hugging Face LLaVA-NeXT folder and checks that transformers answers the same."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlavaNextForConditionalGeneration, LlavaNextProcessor

from data import Encoder, pages, question_batch
from joint_stage import forward
from reader import BASE, GRID, PAGE, PATCH, TEXT, TILE, VISION, Reader
from tokenizer import build


def config(tokenizer):
    ids = {n: tokenizer.convert_tokens_to_ids(t) for n, t in (("bos", "<s>"), ("eos", "</s>"), ("pad", "<pad>"))}
    ids = {f"{n}_token_id": i for n, i in ids.items()}
    side = 2 * TILE
    return {
        "architectures": ["LlavaNextForConditionalGeneration"], "model_type": "llava_next", "dtype": "float32",
        "image_token_index": tokenizer.convert_tokens_to_ids("<image>"), "image_grid_pinpoints": [[side, side]],
        "image_seq_length": BASE, "multimodal_projector_bias": True, "projector_hidden_act": "gelu",
        "tie_word_embeddings": False, "vision_feature_layer": -1, "vision_feature_select_strategy": "default",
        "text_config": {
            "model_type": "mistral", "vocab_size": len(tokenizer), "hidden_size": TEXT["hidden"],
            "intermediate_size": TEXT["mlp"], "num_hidden_layers": TEXT["layers"], "num_attention_heads": TEXT["heads"],
            "num_key_value_heads": TEXT["kv_heads"], "head_dim": TEXT["head_dim"], "hidden_act": "silu",
            "max_position_embeddings": 1024, "rms_norm_eps": TEXT["eps"], "rope_theta": TEXT["theta"],
            "sliding_window": None, "tie_word_embeddings": False, "attention_dropout": 0.0, "use_cache": True, **ids,
        },
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": VISION["hidden"], "intermediate_size": VISION["mlp"],
            "num_hidden_layers": VISION["layers"], "num_attention_heads": VISION["heads"], "image_size": TILE,
            "patch_size": PATCH, "num_channels": 3, "hidden_act": "gelu", "layer_norm_eps": 1e-5,
            "projection_dim": VISION["hidden"], "attention_dropout": 0.0,
        },
    }, ids


def tensors(state):
    out = {"image_newline": state["image_newline"]}
    text, vision = "language_model.model.", "vision_tower.vision_model."
    out[f"{text}embed_tokens.weight"] = state["embed_tokens.weight"]
    out[f"{text}norm.weight"] = state["norm.weight"]
    out["language_model.lm_head.weight"] = state["lm_head.weight"]
    q, kv = TEXT["heads"] * TEXT["head_dim"], TEXT["kv_heads"] * TEXT["head_dim"]
    for i in range(TEXT["layers"]):
        a, b = f"layers.{i}.", f"{text}layers.{i}."
        for name, part in zip("qkv", state[f"{a}qkv.weight"].split([q, kv, kv])):
            out[f"{b}self_attn.{name}_proj.weight"] = part
        out[f"{b}self_attn.o_proj.weight"] = state[f"{a}o_proj.weight"]
        for name, part in zip(("gate", "up"), state[f"{a}gate_up.weight"].chunk(2)):
            out[f"{b}mlp.{name}_proj.weight"] = part
        out[f"{b}mlp.down_proj.weight"] = state[f"{a}down_proj.weight"]
        for name in ("input_layernorm", "post_attention_layernorm"):
            out[f"{b}{name}.weight"] = state[f"{a}{name}.weight"]
    hidden = VISION["hidden"]
    out[f"{vision}embeddings.class_embedding"] = state["tower.class_embedding"]
    out[f"{vision}embeddings.patch_embedding.weight"] = state["tower.patch_embedding.weight"].view(hidden, 3, PATCH, PATCH)
    out[f"{vision}embeddings.position_embedding.weight"] = state["tower.position_embedding"]
    for part in ("weight", "bias"):
        out[f"{vision}pre_layrnorm.{part}"] = state[f"tower.pre_layrnorm.{part}"]
        # Not used by LLaVA-NeXT, but part of the format.
        out[f"{vision}post_layernorm.{part}"] = torch.ones(hidden) if part == "weight" else torch.zeros(hidden)
        for i in range(VISION["layers"]):
            a, b = f"tower.layers.{i}.", f"{vision}encoder.layers.{i}."
            for name, piece in zip("qkv", state[f"{a}qkv.{part}"].chunk(3)):
                out[f"{b}self_attn.{name}_proj.{part}"] = piece
            out[f"{b}self_attn.out_proj.{part}"] = state[f"{a}out_proj.{part}"]
            for name in ("layer_norm1", "layer_norm2"):
                out[f"{b}{name}.{part}"] = state[f"{a}{name}.{part}"]
            for name in ("fc1", "fc2"):
                out[f"{b}mlp.{name}.{part}"] = state[f"{a}{name}.{part}"]
        for name in ("linear_1", "linear_2"):
            out[f"multi_modal_projector.{name}.{part}"] = state[f"projector.{name}.{part}"]
    return {name: value.contiguous().clone() for name, value in out.items()}


def image_processor():
    size, side = {"height": TILE, "width": TILE}, 2 * TILE
    return {
        "image_processor_type": "LlavaNextImageProcessor", "do_convert_rgb": True, "do_resize": True,
        "size": {"shortest_edge": TILE}, "crop_size": size, "do_center_crop": True, "do_pad": True, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "resample": 3, "image_grid_pinpoints": [[side, side]],
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    }


def write(state, folder):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build()
    tokenizer.save_pretrained(folder)
    model_config, ids = config(tokenizer)
    processor = {
        "processor_class": "LlavaNextProcessor", "patch_size": PATCH, "image_token": "<image>",
        "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1,
    }
    generation = {**ids, "max_new_tokens": 32, "do_sample": False}
    files = {
        "config": model_config, "preprocessor_config": {**image_processor(), "processor_class": "LlavaNextProcessor"},
        "processor_config": {**processor, "image_processor": image_processor()}, "generation_config": generation,
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    save_file(tensors(state), folder / "model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def check(state, folder, stream, count):
    """The exported folder, run by transformers, answers like the training code."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ours = Reader(len(tokenizer))
    ours.load_state_dict(state)
    model, info = LlavaNextForConditionalGeneration.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    processor = LlavaNextProcessor.from_pretrained(folder, use_fast=False)
    encoder, rng = Encoder(tokenizer), np.random.default_rng(0)
    prefix = torch.tensor([tokenizer.convert_tokens_to_ids(["<s>", "[INST]"])])
    worst, right = 0.0, 0
    for header, image in pages(stream, 9_500_000_000, count):
        header["questions"] = header["questions"][:1]
        question = header["questions"][0]
        batch = question_batch([header], encoder, 1, rng, {})
        _, (logits, _, _) = forward(ours, image[None], batch, prefix)
        parts = [{"type": "image"}, {"type": "text", "text": question["text"]}]
        text = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
        inputs = processor(images=Image.fromarray(image), text=text, return_tensors="pt")
        prompt = (batch["labels"][0] == -100).sum() + 1
        theirs = model(**inputs).logits[0, -1]
        worst = max(worst, (theirs - logits[0, prompt - 1]).abs().max().item())
        ids = model.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1] :]
        right += tokenizer.decode(ids, skip_special_tokens=True) == question["answer"]
    print(f"largest logit difference {worst:.2e}; transformers answers {right} of {count} questions exactly")
    assert worst < 1e-3


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--weights", required=True)
    p.add_argument("--stream", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--check", type=int, default=20)
    a = p.parse_args()
    weights = torch.load(a.weights)
    write(weights, Path(a.out))
    check(weights, a.out, a.stream, a.check)
