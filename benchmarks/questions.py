"""How many of two dozen simple questions a model answers right, by system prompt and sampling.

    python -m benchmarks.questions [NAME]

Chooses nothing by itself; docs/decisions/002 says what was chosen from its table. An answer is right when it contains
one of the expected words. So few questions tell good prompts from bad ones, not good from slightly better.
"""

from __future__ import annotations

import asyncio
import re
import sys

from myna.backends.base import Backend, Delta, GenerationRequest
from myna.backends.native import in_process
from myna.chat import Message
from myna.engine.options import engine_options
from myna.engine.request import SamplingParams
from myna.hub import Hub
from myna.settings import load_settings

QUESTIONS = {
    "What is the capital of France?": "paris",
    "What is the capital of Italy?": "rome",
    "What is the capital of Japan?": "tokyo",
    "What is the capital of Germany?": "berlin",
    "What is the capital of Spain?": "madrid",
    "What is the capital of Egypt?": "cairo",
    "What is the capital of Russia?": "moscow",
    "What is the capital of China?": "beijing",
    "What is the capital of the United Kingdom?": "london",
    "Who wrote Romeo and Juliet?": "shakespeare",
    "Who painted the Mona Lisa?": "leonardo",
    "Who was the first president of the United States?": "washington",
    "What planet is known as the Red Planet?": "mars",
    "How many days are in a week?": "seven|7",
    "What is the largest ocean?": "pacific",
    "What gas do plants absorb?": "carbon dioxide|co2",
    "What is the chemical symbol for water?": "h2o|h₂o",
    "What is the freezing point of water in Celsius?": "0|zero",
    "What is 2 + 2?": "4|four",
    "What is the opposite of hot?": "cold",
    "What language is spoken in Brazil?": "portuguese",
    "Which animal is known as man's best friend?": "dog",
    "What is the tallest mountain in the world?": "everest",
    "What color is the sky?": "blue",
}
SYSTEM_PROMPTS = (
    None,  # whatever the checkpoint's own template says
    "You are a helpful assistant.",
    "You are a helpful AI assistant.",
    "You are Myna, a helpful AI assistant.",
    "Answer in clear, correct English.",
    "You are a helpful assistant. Answer the question in one or two clear English sentences.",
    "You are a helpful AI assistant. You answer in plain English.",
)
SAMPLINGS = {
    "greedy": [SamplingParams(temperature=0.0, max_tokens=40)],
    "0.2 / 0.9": [SamplingParams(temperature=0.2, top_p=0.9, seed=seed, max_tokens=40) for seed in (1, 2, 3)],
    "1.0 / 1.0": [SamplingParams(seed=seed, max_tokens=40) for seed in (1, 2, 3)],
}


async def is_right(backend: Backend, system: str | None, question: str, params: SamplingParams) -> bool:
    """Ask once."""
    messages: tuple[Message, ...] = (Message.of("user", question),)
    if system is not None:
        messages = (Message.of("system", system), *messages)
    request = GenerationRequest(id=f"{question} {params.seed}", params=params, messages=messages)
    text = "".join([event.text async for event in backend.generate(request) if isinstance(event, Delta)])
    return re.search(QUESTIONS[question], text.lower()) is not None


async def main(name: str) -> None:
    """Print the table."""
    settings = load_settings()
    path = await asyncio.to_thread(Hub(settings.models_dir).pull, name)
    print(f"| system prompt | {' | '.join(SAMPLINGS)} |\n|---{'|---' * len(SAMPLINGS)}|")
    async with in_process(engine_options(settings, path, name)) as backend:
        for system in SYSTEM_PROMPTS:
            shares = []
            for choices in SAMPLINGS.values():
                asked = [is_right(backend, system, question, params) for question in QUESTIONS for params in choices]
                right = await asyncio.gather(*asked)
                shares.append(f"{sum(right) / len(right):.0%}")
            print(f"| {system or '(the template has its own)'} | {' | '.join(shares)} |", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "smollm2:135m"))
