"""How models are talked to that bring no template of their own: their authors' prompt formats, as data.

Each is checked against its authors' own words or code in `tests/models/dialects/test_formats.py`. Pieces are written
as the model reads them; ``{text}`` is what somebody says, ``{bos}`` and ``{eos}`` are the vocabulary's own tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Format:
    """A prompt format.

    An answer is asked for by what stands before ``{text}`` in ``assistant``, less a space at its end: the space is
    part of the answer's first token. ``opening`` begins every prompt; None leaves that to the tokenizer.

    ``system_in``: a system message stands for itself, or in front of the text of the first or last user message.
    ``default_system`` is said where there is no system message, and ``default_with_input`` instead of it where the
    first user message contains ``input_mark``.

    ``stops`` are tokens that end an answer, or strings where the vocabulary has no such tokens. ``strips``: texts lose
    the spaces around them. ``own_spaces``: the spaces that a vocabulary puts before text are written out here, and the
    tokenizer adds none.
    """

    user: str
    assistant: str
    system: str = "{text}\n\n"
    system_in: Literal["own", "first user", "last user"] = "own"
    default_system: str = ""
    input_mark: str = ""
    default_with_input: str = ""
    opening: str | None = None
    stops: tuple[str, ...] = ()
    strips: bool = False
    own_spaces: bool = False


_CHATML = Format(
    system="<|im_start|>system\n{text}<|im_end|>\n",
    user="<|im_start|>user\n{text}<|im_end|>\n",
    assistant="<|im_start|>assistant\n{text}<|im_end|>\n",
    stops=("<|im_end|>",),
)
_LLAMA3_TURN = "<|start_header_id|>ROLE<|end_header_id|>\n\n{text}<|eot_id|>"
_TASK = "Below is an instruction that describes a task"
_COMPLETE = "Write a response that appropriately completes the request."

# SentencePiece puts a space before text; Mistral's library encodes every part of a prompt for itself, and so has one
# before each. Tekken, the later vocabulary, has none.
_MISTRAL_V1 = Format(
    opening="{bos}",
    user=" [INST] {text} [/INST]",
    assistant=" {text}{eos}",
    system_in="first user",
    own_spaces=True,
)
_MISTRAL_V3 = replace(_MISTRAL_V1, user="[INST] {text}[/INST]", system_in="last user")
_MISTRAL_V3_TEKKEN = replace(_MISTRAL_V3, user="[INST]{text}[/INST]", assistant="{text}{eos}")
_MISTRAL_V7 = replace(_MISTRAL_V3, system="[SYSTEM_PROMPT] {text}[/SYSTEM_PROMPT]", system_in="own")

FORMATS: dict[str, Format] = {
    "plain": Format(
        user="User: {text}\n",
        assistant="Assistant: {text}\n",
        stops=("\nUser:", "\nAssistant:"),
    ),
    # https://github.com/tatsu-lab/stanford_alpaca, train.py. A conversation of one question; more follow the mark that
    # ends an answer. An input is part of the user's message: "…\n\n### Input:\n…".
    "alpaca": Format(
        default_system=f"{_TASK}. {_COMPLETE}",
        input_mark="\n\n### Input:\n",
        default_with_input=f"{_TASK}, paired with an input that provides further context. {_COMPLETE}",
        user="### Instruction:\n{text}\n\n",
        assistant="### Response:{text}{eos}",
        stops=("### Instruction:",),
    ),
    # https://github.com/lm-sys/FastChat, docs/vicuna_weights_version.md and conversation.py.
    "vicuna": Format(
        default_system="A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions.",
        system="{text} ",
        user="USER: {text} ",
        assistant="ASSISTANT: {text}{eos}",
    ),
    "vicuna-v0": Format(
        default_system="A chat between a curious human and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the human's questions.",
        user="### Human: {text}\n",
        assistant="### Assistant: {text}\n",
        stops=("###",),
    ),
    # https://github.com/databrickslabs/dolly, training/consts.py. A context is part of the user's message:
    # "…\n\nInput:\n…".
    "dolly": Format(
        default_system=f"{_TASK}. {_COMPLETE}",
        user="### Instruction:\n{text}\n\n",
        assistant="### Response:\n{text}\n\n### End\n\n",
        stops=("### End",),
    ),
    # https://github.com/meta-llama/llama, llama/generation.py.
    "llama2": Format(
        opening="",
        system="<<SYS>>\n{text}\n<</SYS>>\n\n",
        system_in="first user",
        user="{bos} [INST] {text} [/INST]",
        assistant=" {text} {eos}",
        strips=True,
        own_spaces=True,
    ),
    # https://github.com/meta-llama/llama3, llama/tokenizer.py.
    "llama3": Format(
        opening="<|begin_of_text|>",
        system=_LLAMA3_TURN.replace("ROLE", "system"),
        user=_LLAMA3_TURN.replace("ROLE", "user"),
        assistant=_LLAMA3_TURN.replace("ROLE", "assistant"),
        stops=("<|eot_id|>",),
        strips=True,
    ),
    "chatml": _CHATML,
    # https://github.com/mistralai/mistral-common, one a version of the tokenizer.
    "mistral-v1": _MISTRAL_V1,
    "mistral-v2": _MISTRAL_V3,
    "mistral-v3": _MISTRAL_V3,
    "mistral-v3-tekken": _MISTRAL_V3_TEKKEN,
    "mistral-v7": _MISTRAL_V7,
    "mistral-v7-tekken": replace(_MISTRAL_V3_TEKKEN, system="[SYSTEM_PROMPT]{text}[/SYSTEM_PROMPT]", system_in="own"),
    # https://huggingface.co/OpenAssistant/oasst-sft-4-pythia-12b-epoch-3.5
    "oasst": Format(
        opening="",
        system="{text}\n\n",
        system_in="first user",
        user="<|prompter|>{text}<|endoftext|>",
        assistant="<|assistant|>{text}<|endoftext|>",
        stops=("<|endoftext|>",),
    ),
    # https://huggingface.co/HuggingFaceH4/zephyr-7b-beta
    "zephyr": Format(
        opening="",
        system="<|system|>\n{text}{eos}\n",
        user="<|user|>\n{text}{eos}\n",
        assistant="<|assistant|>\n{text}{eos}\n",
    ),
    # https://huggingface.co/microsoft/Phi-3-mini-4k-instruct
    "phi3": Format(
        opening="",
        system="<|system|>\n{text}<|end|>\n",
        user="<|user|>\n{text}<|end|>\n",
        assistant="<|assistant|>\n{text}<|end|>\n",
        stops=("<|end|>",),
    ),
    # https://ai.google.dev/gemma/docs/core/prompt-structure
    "gemma": Format(
        opening="{bos}",
        system_in="first user",
        user="<start_of_turn>user\n{text}<end_of_turn>\n",
        assistant="<start_of_turn>model\n{text}<end_of_turn>\n",
        stops=("<end_of_turn>",),
        strips=True,
    ),
}


def dialect_names() -> tuple[str, ...]:
    """The named dialects, sorted."""
    return tuple(sorted(FORMATS))
