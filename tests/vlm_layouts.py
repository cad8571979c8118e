"""Vision-language models of true layouts, tiny and random: config, weights, tokenizer, template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
)

SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HIDDEN = 160
KINDS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


def tokenizer() -> Tokenizer:
    """Byte by byte, besides what is special."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(BPE({letter: at for at, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(SPECIAL))
    return made


def write(folder: Path, kind: str, seed: int = 0) -> Path:
    """A folder as the hub has it; one of `KINDS`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizer()
    made.save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 131072,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    patch, side = (16, 32) if kind == "qwen3_vl" else (14, 28)
    Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": 4 * side**2, "longest_edge": 16384 * side**2}
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    config = _config(kind, made)
    auto: Any = transformers.AutoModelForImageTextToText
    network = auto.from_config(config)
    network.generation_config.eos_token_id = [made.token_to_id("<|im_end|>")]
    network.generation_config.pad_token_id = made.token_to_id("<|endoftext|>")
    network.generation_config.do_sample = True
    network.generation_config.temperature = 1e-6
    network.save_pretrained(folder)
    return folder


def write_llava(folder: Path) -> Path:
    """A LLaVA, which goes through its own processor as any model of another family does."""
    folder.mkdir(parents=True, exist_ok=True)
    made = tokenizer()
    made.add_special_tokens(["<image>"])
    made.save(str(folder / "tokenizer.json"))
    words = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(words), "utf-8")
    processors: Any = transformers.LlavaProcessor
    pictures = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    )
    processors(
        image_processor=pictures,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<image>"),
    ).save_pretrained(folder)
    torch.manual_seed(0)
    configs: Any = transformers.LlavaConfig
    text = {
        "model_type": "qwen2", "vocab_size": 272, "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
        "bos_token_id": None, "eos_token_id": made.token_to_id("<|im_end|>"),
        "pad_token_id": made.token_to_id("<|endoftext|>"),
    }  # fmt: skip
    vision = {
        "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
    }  # fmt: skip
    auto: Any = transformers.AutoModelForImageTextToText
    auto.from_config(
        configs(
            text_config=text,
            vision_config=vision,
            image_token_index=made.token_to_id("<image>"),
            vision_feature_layer=-1,
        )
    ).save_pretrained(folder)
    return folder


def _config(kind: str, made: Tokenizer) -> Any:
    vision: dict[str, Any]
    special: dict[str, Any] = {
        "image_token_id": made.token_to_id("<|image_pad|>"),
        "video_token_id": made.token_to_id("<|video_pad|>"),
        "vision_start_token_id": made.token_to_id("<|vision_start|>"),
        "vision_end_token_id": made.token_to_id("<|vision_end|>"),
    }
    text: dict[str, Any] = {
        "vocab_size": 272,
        "hidden_size": HIDDEN,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": HIDDEN // 8,
        "initializer_range": 0.2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32768,
        "bos_token_id": None,
        "eos_token_id": made.token_to_id("<|im_end|>"),
        "pad_token_id": made.token_to_id("<|endoftext|>"),
    }
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    if kind == "qwen2_vl":
        vision = {
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": HIDDEN,
            "num_heads": 2,
            "mlp_ratio": 2,
        }
        return Qwen2VLConfig(
            text_config={**text, "rope_parameters": rope}, vision_config=vision, **special
        )
    if kind == "qwen2_5_vl":
        vision = {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": HIDDEN,
            "fullatt_block_indexes": [1],
        }
        return Qwen2_5_VLConfig(
            text_config={**text, "rope_parameters": rope}, vision_config=vision, **special
        )
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    return Qwen3VLConfig(
        text_config={**text, "head_dim": 8, "rope_parameters": {**rope, "mrope_interleaved": True}},
        vision_config=vision,
        **special,
    )


def teach(network: Any, inputs: dict[str, torch.Tensor], ids: list[int]) -> None:
    """Make a network answer `inputs` by `ids`, greedily: its head alone, by least squares over the
    hidden states before each of them. There have to be fewer than `HIDDEN` of them."""
    answer = torch.tensor([ids])
    whole = dict(inputs)
    for key, filler in (("input_ids", answer), ("attention_mask", torch.ones_like(answer))):
        whole[key] = torch.cat([inputs[key], filler], dim=1)
    if "mm_token_type_ids" in inputs:
        whole["mm_token_type_ids"] = torch.nn.functional.pad(
            inputs["mm_token_type_ids"], (0, len(ids))
        )
    with torch.no_grad():
        hidden = network.model(**whole).last_hidden_state[0, -len(ids) - 1 : -1].double()
        wanted = torch.nn.functional.one_hot(answer[0], network.lm_head.weight.shape[0])
        head = torch.linalg.lstsq(hidden, 30.0 * wanted.double(), driver="gelsd").solution
        network.lm_head.weight.copy_(head.T.float())
