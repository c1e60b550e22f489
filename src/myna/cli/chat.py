"""``myna chat``: a conversation in the terminal, with commands, history and answers that can be stopped."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shlex
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import typer

from myna.backends.base import Backend, ModelDescription
from myna.backends.native import in_process
from myna.chat import Message, TextPart
from myna.cli.answer import Answer, chat_params, conversation, generate
from myna.cli.interrupts import raises_on_interrupt
from myna.cli.library import options_for
from myna.cli.lines import LineReader
from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import InvalidParameter, MynaError
from myna.settings import Settings

Number = TypeVar("Number", int, float)


@dataclass(slots=True)
class Chat:
    """A conversation and how it is sampled."""

    model: str
    system: str | None = None
    seed: int | None = None
    temperature: float | None = None
    dialect: str | None = None
    messages: list[Message] = field(default_factory=list)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """What the model reads: the system message first, when there is one."""
        return conversation(self.model, self.system, self.messages)

    def transcript(self) -> str:
        """The conversation as Markdown."""
        return "".join(f"## {message.role}\n\n{message.text}\n\n" for message in self.prompt)


def run_chat(settings: Settings, chat: Chat) -> None:
    """Talk until the person leaves.

    Raises:
        MynaError: the first model cannot be fetched or loaded.
    """
    with (
        raises_on_interrupt(),
        asyncio.Runner() as runner,
        contextlib.closing(Session(settings, chat, runner)) as session,
    ):
        session.load(chat.model)
        session.greet()
        session.talk(LineReader(settings.data_dir / "chat_history"))


class Leave(Exception):
    """The person wants to go."""


class Session:
    """A chat, the loaded model, and the loop that both share. Between answers the loop rests."""

    def __init__(self, settings: Settings, chat: Chat, runner: asyncio.Runner) -> None:
        self.settings = settings
        self.chat = chat
        self._runner = runner
        self._stack = AsyncExitStack()
        self._backend: Backend | None = None
        self._model: ModelDescription | None = None
        self._ids = itertools.count()

    def load(self, name: str) -> None:
        """Load a model in place of the present one, which stays when that fails.

        Raises:
            MynaError: it cannot be fetched or loaded, or it writes no text.
        """
        options = options_for(self.settings, name)

        async def load() -> tuple[AsyncExitStack, Backend, ModelDescription]:
            stack = AsyncExitStack()
            backend = await stack.enter_async_context(in_process(options))
            return stack, backend, await backend.describe()

        stack, backend, model = self._runner.run(load())
        if model.kind != "decoder":
            self._runner.run(stack.aclose())
            makes = "makes embeddings" if model.kind == "encoder" else "scores documents"
            raise InvalidParameter(
                f"{options.name} {makes} and writes no text; choose another model to chat.", param="model"
            )
        self.close()
        self._stack, self._backend, self._model = stack, backend, model
        self.chat.model = options.name

    def close(self) -> None:
        """Unload the model."""
        self._runner.run(self._stack.aclose())
        self._backend = None

    def greet(self) -> None:
        """Say who answers, when there is somebody to read it."""
        if sys.stdin.isatty():
            assert self._model is not None
            typer.echo(
                f"{self._model.name} on {self._model.instruction_set}. /help lists the commands, Ctrl-D leaves.\n"
            )

    def talk(self, lines: LineReader) -> None:
        """Read messages and commands until the end of the input."""
        interrupted = False
        while True:
            try:
                text = lines.read()
                interrupted = False
                if text.startswith("/"):
                    self.command(text)
                elif text.strip():
                    self.answer(text)
            except (EOFError, Leave):
                return
            except KeyboardInterrupt:
                if interrupted:
                    typer.echo()
                    return
                interrupted = True
                typer.echo("\n(Ctrl-C again or Ctrl-D leaves.)")
            except MynaError as error:
                typer.echo(f"{error.message}\n", err=True)

    def answer(self, text: str) -> None:
        """Answer a message; Ctrl-C keeps what there is of the answer.

        Raises:
            MynaError: the model refuses or fails; the message is taken back then.
        """
        chat = self.chat
        chat.messages.append(Message.of("user", text))
        written: list[str] = []

        def show(delta: str) -> None:
            written.append(delta)
            typer.echo(delta, nl=False)
            sys.stdout.flush()

        try:
            answer = self._runner.run(self._generate(show))
        except KeyboardInterrupt:
            typer.echo(" … (stopped)\n")
            chat.messages.append(Message.of("assistant", "".join(written)))
        except MynaError:
            chat.messages.pop()
            raise
        else:
            cut = answer.finished.reason == "length"
            typer.echo(f" … (cut off after {answer.finished.completion_tokens} tokens)\n" if cut else "\n")
            assert self._model is not None
            part = TextPart(answer.text, answer.token_ids, self._model.tokenizer)
            chat.messages.append(Message("assistant", (part,)))

    @property
    def _params(self) -> SamplingParams:
        return chat_params(self.chat.model, seed=self.chat.seed, temperature=self.chat.temperature)

    async def _generate(self, show: Callable[[str], None]) -> Answer:
        assert self._backend is not None
        request = GenerationRequest(
            id=f"chat-{next(self._ids)}",
            params=self._params,
            messages=self.chat.prompt,
            dialect=self.chat.dialect,
        )
        return await generate(self._backend, request, show)

    def command(self, line: str) -> None:
        """Carry out a /command.

        Raises:
            InvalidParameter: there is no such command, or its argument makes no sense.
            Leave: it was /exit.
        """
        name, _, argument = line[1:].strip().partition(" ")
        commands = {
            "help": self._help,
            "new": self._new,
            "system": self._system,
            "model": self._switch,
            "seed": self._seed,
            "temperature": self._temperature,
            "retry": self._retry,
            "save": self._save,
            "exit": self._exit,
        }
        if name not in commands:
            raise InvalidParameter(f"There is no command /{name}. Known: /{', /'.join(commands)}.")
        commands[name](argument.strip())

    def _help(self, argument: str) -> None:
        typer.echo(HELP)

    def _new(self, argument: str) -> None:
        self.chat.messages.clear()
        typer.echo("A new chat.\n")

    def _system(self, argument: str) -> None:
        self.chat.system = argument
        typer.echo("Instructions set.\n" if argument else "No instructions.\n")

    def _switch(self, argument: str) -> None:
        if argument:
            self.load(argument)
        assert self._model is not None
        typer.echo(f"{self._model.name}, {self._model.quantisation}, context {self._model.context:,} tokens.\n")

    def _seed(self, argument: str) -> None:
        self.chat.seed = _number(argument, int, 0, 2**64 - 1) if argument else None
        typer.echo("Answers vary.\n" if self.chat.seed is None else f"Seed {self.chat.seed}.\n")

    def _temperature(self, argument: str) -> None:
        self.chat.temperature = _number(argument, float, 0, 2) if argument else None
        typer.echo(f"Temperature {self._params.temperature}.\n")

    def _retry(self, argument: str) -> None:
        if len(self.chat.messages) < 2:
            raise InvalidParameter("There is no answer to try again yet.")
        self.chat.messages.pop()
        self.answer(self.chat.messages.pop().text)

    def _save(self, argument: str) -> None:
        names = shlex.split(argument)
        if len(names) != 1:
            raise InvalidParameter("Say where to: /save chat.md")
        path = Path(names[0]).expanduser()
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(self.chat.transcript())
        except OSError as error:
            raise InvalidParameter(f"{path} cannot be written: {error.strerror}.") from None
        typer.echo(f"Saved as {path}.\n")

    def _exit(self, argument: str) -> None:
        raise Leave


def _number(text: str, kind: Callable[[str], Number], least: float, most: float) -> Number:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise InvalidParameter(f"{text!r} is not a number from {least} to {most}.")
    return value


HELP = """\
/new               start a new chat
/system TEXT       instructions for the model; without a text: none
/model NAME        answer with another model; without a name: say which
/seed N            the same seed gives the same answers; without a number: chance
/temperature X     0 to 2; without a number: the default
/retry             answer the last message once more
/save FILE         write the chat as Markdown
/exit              leave, as Ctrl-D does
Ctrl-C stops an answer. A pasted text of several lines is one message; so is what stands between lines of \"\"\".
"""
