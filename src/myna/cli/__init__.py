"""The command line: one thin function a verb. What a verb needs is imported when it runs, so that each starts fast."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import myna
from myna.cli import accounts, audit
from myna.cli.interrupts import ends_on_interrupt
from myna.cli.options import (
    AdapterOption,
    BackendOption,
    DataOption,
    DialectOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    QuantOption,
    SeedOption,
    SystemOption,
    TemperatureOption,
)
from myna.errors import MynaError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Myna: an open ChatGPT that people own. Without a command: the same as 'myna serve'.",
    epilog="\b\nExamples:\n"
    "  myna                                     start, and open the chat in the browser\n"
    '  myna run "What is the capital of France?"\n'
    "  myna chat                                chat here in the terminal\n"
    "  myna doctor                              what this machine offers",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(accounts.app, name="accounts")
app.command(epilog="\b\nExamples:\n  myna audit\n  myna audit --action key. --limit 0 --json")(audit.audit)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"myna {myna.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", is_eager=True, callback=_print_version, help="Print the version and leave."),
    ] = False,
) -> None:
    pass


@app.command(
    epilog="\b\nExamples:\n  myna serve --port 9000 --no-browser\n  myna serve --model ./checkpoint --quant w8\n"
    "  myna serve --host 0.0.0.0                for other machines too, with accounts"
)
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; beyond 127.0.0.1 people sign in.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = None,
    model: ModelOption = None,
    quant: QuantOption = None,
    backend: BackendOption = None,
    adapter: AdapterOption = None,
    data_dir: DataOption = None,
    browser: Annotated[bool | None, typer.Option("--browser/--no-browser", help="Open the browser when ready.")] = None,
) -> None:
    """Start the chat application and the OpenAI API.

    The first start fetches the default model.
    """
    from myna.cli.serve import named_paths, run_server
    from myna.settings import load_settings

    run_server(
        load_settings(
            host=host,
            port=port,
            model=model,
            quant=quant,
            backend=backend,
            adapters=named_paths(adapter),
            data_dir=data_dir,
            browser=browser,
        )
    )


@app.command(
    epilog="\b\nExamples:\n  myna chat --system 'Answer in one sentence.'\n  myna chat --model smollm2:135m --seed 1\n"
    "In the chat: /help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves."
)
def chat(
    model: ModelOption = None,
    quant: QuantOption = None,
    backend: BackendOption = None,
    system: SystemOption = None,
    seed: SeedOption = None,
    temperature: TemperatureOption = None,
    dialect: DialectOption = None,
    data_dir: DataOption = None,
) -> None:
    """Chat in the terminal."""
    from myna.cli.chat import Chat, run_chat
    from myna.settings import load_settings

    settings = load_settings(model=model, quant=quant, backend=backend, data_dir=data_dir)
    run_chat(settings, Chat(settings.model, system, seed, temperature, dialect))


@app.command(
    epilog='\b\nExamples:\n  myna run "What is the capital of France?"\n  myna run --seed 1 --max-tokens 50 "A story"\n'
    '  cat notes.txt | myna run "Summarise this"\n  myna run --json "Hi" | jq .text'
)
def run(
    prompt: Annotated[str | None, typer.Argument(metavar="PROMPT", help="What to ask; piped text is added.")] = None,
    model: ModelOption = None,
    quant: QuantOption = None,
    backend: BackendOption = None,
    system: SystemOption = None,
    seed: SeedOption = None,
    max_tokens: MaxTokensOption = None,
    temperature: TemperatureOption = None,
    dialect: DialectOption = None,
    as_json: JsonOption = False,
    data_dir: DataOption = None,
) -> None:
    """Print one answer.

    It is the likeliest one, unless a seed or a temperature asks for chance.
    """
    from myna.cli.answer import chat_params, piped_input, run_once
    from myna.settings import load_settings

    parts = [part for part in (None if prompt == "-" else prompt, piped_input()) if part]
    if not parts:
        raise typer.BadParameter('Nothing to answer: give a prompt, as in myna run "Hello", or pipe a text.')
    settings = load_settings(model=model, quant=quant, backend=backend, data_dir=data_dir)
    if temperature is None and seed is None:
        temperature = 0.0  # a script gets the same text every time
    params = chat_params(settings.model, seed=seed, temperature=temperature, max_tokens=max_tokens)
    run_once(settings, "\n\n".join(parts), params, system=system, as_json=as_json, dialect=dialect)


@app.command(epilog="\b\nExamples:\n  myna pull\n  myna pull all-minilm:l6\n  myna pull hf:owner/repo:file.gguf")
def pull(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The model; without one, the default.")] = None,
    data_dir: DataOption = None,
) -> None:
    """Fetch a model, or go on where a fetch broke off."""
    from myna.cli.library import fetch
    from myna.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    typer.echo(fetch(settings, name or settings.model))


@app.command(epilog="\b\nExamples:\n  myna models\n  myna models --json")
def models(as_json: JsonOption = False, data_dir: DataOption = None) -> None:
    """List the models on disk and those that can be fetched."""
    from myna.cli.library import print_models
    from myna.settings import load_settings

    print_models(load_settings(data_dir=data_dir), as_json=as_json)


@app.command(epilog="\b\nExamples:\n  myna show smollm2:135m\n  myna show ./checkpoint --json")
def show(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The model; without one, the default.")] = None,
    as_json: JsonOption = False,
    data_dir: DataOption = None,
) -> None:
    """Describe a model: shape, memory, licence, provenance.

    Its weights are not loaded.
    """
    from myna.cli.library import print_model
    from myna.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    print_model(settings, name or settings.model, as_json=as_json)


@app.command(
    epilog="\b\nExamples:\n  myna convert ./checkpoint model.gguf --quant q8_0\n"
    "  myna convert ./llama-7b ./vicuna-7b --delta ./vicuna-7b-delta-v0"
)
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A model's name or path.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A name that ends in .gguf, else a directory.")],
    quant: Annotated[
        str | None,
        typer.Option("--quant", metavar="TYPE", help="f32, f16, bf16, q8_0, q4_1 or q4_0; without it, as it is."),
    ] = None,
    delta: Annotated[
        str | None, typer.Option("--delta", metavar="DIR", help="Weights to add, as Vicuna v0 was published.")
    ] = None,
    adapter: Annotated[
        Path | None, typer.Option("--adapter", metavar="DIR", help="LoRA adapter (PEFT) to merge into the weights.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the target if it is a file.")] = False,
    data_dir: DataOption = None,
) -> None:
    """Write a model as a GGUF file or a directory.

    Tokenizer and chat template go with it.
    """
    from typing import cast

    from myna.cli.convert import convert_model
    from myna.models.convert import FILE_TYPES, TargetType
    from myna.settings import load_settings

    if quant is not None and quant.upper() not in FILE_TYPES:
        raise typer.BadParameter(
            f"{quant} is not one of {', '.join(map(str.lower, FILE_TYPES))}.", param_hint="--quant"
        )
    convert_model(
        load_settings(data_dir=data_dir),
        source,
        target,
        quant=cast("TargetType | None", quant),
        delta=delta,
        adapter=adapter,
        force=force,
    )


@app.command(epilog="\b\nExample:\n  myna rm smollm2:135m")
def rm(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model to delete from disk.")],
    data_dir: DataOption = None,
) -> None:
    """Delete a fetched model from disk."""
    from myna.cli.library import remove
    from myna.settings import load_settings

    remove(load_settings(data_dir=data_dir), name)


@app.command(epilog="\b\nExamples:\n  myna doctor\n  myna doctor --data\n  myna doctor --json")
def doctor(
    data: Annotated[bool, typer.Option("--data", help="Check what is stored instead; reads all of it.")] = False,
    as_json: JsonOption = False,
    data_dir: DataOption = None,
) -> None:
    """Check this machine: processor, memory, disk, sources.

    With --data: whether chats and files are whole, and when they were backed up.
    """
    from myna.settings import load_settings

    settings = load_settings(data_dir=data_dir)
    if data:
        from myna.cli.data import print_findings

        print_findings(settings, as_json=as_json)
    else:
        from myna.cli.doctor import examine, print_report

        print_report(examine(settings), as_json=as_json)


@app.command(
    epilog="\b\nExamples:\n  myna backup                              into DATA-DIR/backups\n"
    "  myna backup /mnt/disk --keep 7           a new file there, the oldest deleted\n  myna backup myna.zip"
)
def backup(
    target: Annotated[Path | None, typer.Argument(metavar="FILE|DIR", help="Where to; without one, backups/.")] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, metavar="N", help="Delete all but the newest N backups there.")
    ] = None,
    data_dir: DataOption = None,
) -> None:
    """Back up chats, files and settings to one file.

    The server may run meanwhile. Models are not in it: they can be fetched again.
    """
    from myna.cli.data import back_up
    from myna.settings import load_settings

    back_up(load_settings(data_dir=data_dir), target, keep)


@app.command(epilog="\b\nExamples:\n  myna restore myna-20261123-120000.zip\n  myna restore myna.zip --replace")
def restore(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of what there is, which is kept in backups/.")
    ] = False,
    data_dir: DataOption = None,
) -> None:
    """Restore a backup.

    No server may run on the data directory. With database_url set the rows go there; the database must be empty.
    """
    from myna.cli.data import put_back
    from myna.settings import load_settings

    put_back(load_settings(data_dir=data_dir), archive, replace=replace)


@app.command(
    epilog="\b\nExamples:\n  myna move-data --to postgresql://myna@db.example/myna\n"
    "  myna move-data --to sqlite               back, with database_url still set"
)
def move_data(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="postgresql://…, or sqlite: back into the data directory.")
    ],
    data_dir: DataOption = None,
) -> None:
    """Copy everything to another database and compare it, row by row.

    No server may run meanwhile. The old database stays as it is.
    """
    from myna.cli.data import move
    from myna.settings import load_settings

    move(load_settings(data_dir=data_dir), to)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its exit code: 0; 1 for what failed, 2 for a wrong command, 130 for Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "-V", "--version")):
        arguments = ["serve", *arguments]
    try:
        with ends_on_interrupt():
            app(arguments, prog_name="myna")
    except MynaError as error:
        typer.echo(f"myna: {error.message}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
