"""Open-vocabulary detectors of true layouts, tiny and random, with tokenizers of a few words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import pre_tokenizers
from transformers import GroundingDinoImageProcessorPil, Owlv2ImageProcessorPil

KINDS = ("grounding-dino", "mm-grounding-dino", "owlv2", "sam3")
WORDS = ("a", "photo", "of", "mug", "kettle", "tennis", "player", "police", "car", "dog")


def write(folder: Path, kind: str) -> Path:
    """A folder as the hub has it; one of `KINDS`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    if kind.endswith("dino"):
        _bert(folder)
        GroundingDinoImageProcessorPil(
            size={"shortest_edge": 64, "longest_edge": 96}
        ).save_pretrained(folder)
        network = _dino(kind)
    else:
        _clip(folder)
        if kind == "owlv2":
            Owlv2ImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
            network = _owl()
        else:
            (folder / "processor_config.json").write_text("{}", "utf-8")
            network = _sam3()
    network.save_pretrained(folder)
    return folder


def _bert(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *WORDS]
    # Grounding DINO knows [CLS], [SEP], "." and "?" by the numbers that BERT gives them.
    table = {word: at for at, word in enumerate(words)}
    table.update({"[CLS]": 101, "[SEP]": 102, ".": 1012, "?": 1029})
    tokenizer = transformers.BertTokenizer(vocab=table, do_lower_case=True)
    tokenizer.save_pretrained(folder)


def _clip(folder: Path) -> None:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    table = {word: at for at, word in enumerate(words)}
    table |= {"<|startoftext|>": len(table), "<|endoftext|>": len(table) + 1}
    transformers.CLIPTokenizer(vocab=table, merges=[]).save_pretrained(folder)


def _dino(kind: str) -> Any:
    swin: Any = transformers.SwinConfig
    small = {
        "d_model": 32,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "num_queries": 12,
        "num_feature_levels": 3,
        "max_text_len": 32,
        "backbone_config": swin(
            embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4,
            out_indices=[2, 3, 4], image_size=64,
        ),
        "text_config": {
            "model_type": "bert", "vocab_size": 1100, "hidden_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 32,
        },
    }  # fmt: skip
    config: Any = (
        transformers.GroundingDinoConfig
        if kind == "grounding-dino"
        else transformers.MMGroundingDinoConfig
    )
    auto: Any = transformers.AutoModelForZeroShotObjectDetection
    return auto.from_config(config(**small))


def _owl() -> Any:
    config: Any = transformers.Owlv2Config
    text = {
        "vocab_size": 600, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 16,
        "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 64, "patch_size": 16,
    }  # fmt: skip
    network: Any = transformers.Owlv2ForObjectDetection
    return network(config(text_config=text, vision_config=vision, projection_dim=32))


def _sam3() -> Any:
    config: Any = transformers.Sam3Config
    part = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    vision = {
        "fpn_hidden_size": 32,
        "backbone_config": {
            "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 112, "patch_size": 14,
            "window_size": 4, "global_attn_indexes": [1], "pretrain_image_size": 56,
        },
    }  # fmt: skip
    text = {
        "model_type": "clip_text_model", "vocab_size": 600, "hidden_size": 32,
        "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 32, "projection_dim": 32,
        "bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513,
    }  # fmt: skip
    network: Any = transformers.Sam3Model
    return network(
        config(
            vision_config=vision,
            text_config=text,
            geometry_encoder_config={**part, "num_layers": 1},
            detr_encoder_config={**part, "num_layers": 1},
            detr_decoder_config={**part, "num_layers": 2, "num_queries": 10},
            mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
        )
    )
