"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="NAME|PATH", help="A model's name, hf:owner/repo, a GGUF file or a model's directory."
    ),
]
QuantOption = Annotated[
    str | None,
    typer.Option("--quant", metavar="FORMAT", help="Weights: auto (the file's own), w4, w8, bf16, f32."),
]
AdapterOption = Annotated[
    list[str] | None, typer.Option("--adapter", metavar="NAME=DIR", help="A LoRA adapter of the model; repeatable.")
]
BackendOption = Annotated[
    str | None, typer.Option("--backend", metavar="NAME", help="auto, native, or transformers: run by PyTorch.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Where chats and models are kept (MYNA_DATA_DIR).")
]
SystemOption = Annotated[str | None, typer.Option("--system", "-s", metavar="TEXT", help="Instructions for the model.")]
SeedOption = Annotated[int | None, typer.Option(min=0, max=2**64 - 1, help="The same seed gives the same answer.")]
TemperatureOption = Annotated[
    float | None, typer.Option("--temperature", "-t", min=0, max=2, help="0 always takes the likeliest word.")
]
MaxTokensOption = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Longest answer, in tokens.")]
DialectOption = Annotated[
    str | None, typer.Option("--dialect", metavar="NAME", help="How the model is talked to, such as chatml or alpaca.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
