"""Settings of the reasoning models: endpoints, language networks that see, detectors of phrases."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from streamseg.config.bounds import (
    Area,
    Count,
    CountOrNone,
    Device,
    Few,
    Real,
    Seconds,
    Section,
    Threads,
    Words,
)

ConventionName = Literal["auto", "resized", "thousand", "square840"]


def _endpoint(url: str) -> str:
    """An address that holds no secret; the summary shows it."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("expected a URL such as http://localhost:8000/v1") from None
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(
            "expected a URL without a user, a password and a query; name the environment variable "
            "that holds the key in key_env"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("expected a URL such as http://localhost:8000/v1")
    return url


def _variable(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
        raise ValueError("expected the name of an environment variable, such as OPENAI_API_KEY")
    return name


class PicturesSection(Section):
    """How fine a model is shown pictures, and in what numbers it speaks of them."""

    pixels: Annotated[Area, Field(ge=56 * 56)] = Field(
        768 * 28 * 28, description="Of the target frame as the model sees it, at most."
    )
    context_pixels: Annotated[Area, Field(ge=56 * 56)] = Field(
        96 * 28 * 28, description="The same of every other frame."
    )
    context_frames: CountOrNone = Field(
        8, description="Most frames shown beside the target, spread evenly over those there are."
    )
    convention: ConventionName = Field(
        "auto",
        description="In what numbers the model writes boxes: resized (pixels of what it sees), "
        "thousand (0 to 1000), square840; auto: as its family does.",
    )
    answer_tokens: Count = Field(640, description="Room for the answer, beside the thinking.")


class RemoteConfig(PicturesSection):
    """A chat endpoint for pictures, by OpenAI's protocol: vLLM, SGLang, llama.cpp, hosted ones."""

    url: Annotated[Words, AfterValidator(_endpoint)] = Field(
        "", description="Up to /v1, such as http://localhost:8000/v1."
    )
    model: Words = Field("", description="As the endpoint calls it.")
    family: Words = Field(
        "auto",
        description="Its model_type, such as qwen2_5_vl, for how it sees pictures and writes "
        "boxes; auto: read off the model's name.",
    )
    key_env: Annotated[Words, AfterValidator(_variable)] = Field(
        "", description="The environment variable that holds the key; empty: no key is sent."
    )
    timeout_s: Seconds = Field(
        15.0,
        description="Longest silence of the endpoint; an answer's whole time ends with "
        "the deadline.",
    )
    retries: Annotated[CountOrNone, Field(le=10)] = Field(
        2, description="After 429, 5xx and lost connections, while the deadline allows."
    )
    retry_s: Seconds = Field(0.5, description="Wait before the first, doubled and jittered.")
    temperature: Annotated[Real, Field(ge=0.0, le=2.0)] | None = Field(
        0.0, description="none: not sent, for models that refuse it."
    )
    tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    json_schema: bool = Field(
        False, description="Have the endpoint hold answers to a JSON schema (response_format)."
    )
    image_format: Literal["jpeg", "png"] = "jpeg"


class WritingSection(PicturesSection):
    """How a network that is run here writes its answer."""

    grammar: bool = Field(
        False, description="Hold the answer to its form while it is written (llguidance)."
    )
    most_thinking: Count = Field(
        512, description="Tokens of thinking, whatever the difficulty allows."
    )


class VlmConfig(WritingSection):
    """A vision-language network of transformers', run here."""

    model: Words = Field(
        "Qwen/Qwen2.5-VL-7B-Instruct",
        description="A hub id, the path of a folder, or reasoner-nano, which ships.",
    )
    revision: Words = Field("", description="Of the hub's repository; empty: the newest.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Of the weights; auto: bfloat16 on a GPU, float32 elsewhere."
    )
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    threads: Threads = Field(0, description="Of torch, on a CPU; 0: as many as it takes.")


class ExportedConfig(WritingSection):
    """A vision-language network that `streamseg export --parts reasoner` wrote, in ONNX Runtime."""

    folder: Words = Field("", description="Of `streamseg export`; it holds all that is needed.")
    model: Words = Field(
        "", description="Whose export the cache of weights is to hold, where no folder is named."
    )
    precision: Literal["auto", "fp32", "int8", "int4"] = Field(
        "auto", description="Of the weights; auto: the most exact that the folder has."
    )
    provider: Literal["cpu", "cuda"] = Field("cpu", description="ONNX Runtime's.")
    threads: Threads = Field(0, description="On the CPU; 0: one per core.")


class ConceptConfig(Section):
    """A detector of things that are said in words: any noun, not a list of classes."""

    model: Words = Field(
        "IDEA-Research/grounding-dino-tiny",
        description="A hub id, or the path of a folder: Grounding DINO, MM-Grounding-DINO, OWLv2 "
        "or SAM 3.",
    )
    revision: Words = Field("", description="Of the hub's repository; empty: the newest.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Of the weights; auto: float16 on a GPU, float32 elsewhere."
    )
    threads: Threads = Field(0, description="Of torch, on a CPU; 0: as many as it takes.")
    threshold: Annotated[Real, Field(ge=0.01, le=0.99)] | None = Field(
        None, description="Score from which it counts as seeing; none: the family's."
    )
    most_concepts: Annotated[Few, Field(le=32)] = Field(
        8, description="Nouns of a sentence that are looked for."
    )
