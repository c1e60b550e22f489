"""A long chat over HTTP: how soon the first token of each turn comes when the history has grown.

    python -m benchmarks.chat http://127.0.0.1:8642 smollm2:135m [--turns 10] [--history 2000]

Every request carries the whole history, as OpenAI's protocol has it; a server with a prefix cache computes only what
is new. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json

from benchmarks.load import ask, client

WORDS = [
    *("light", "stone", "river", "bird", "paper", "garden", "winter", "letter"),
    *("music", "window", "bread", "mountain", "field", "clock", "story", "silver"),
]
"""A token each, to most tokenizers."""
OVERHEAD = 8
"""Tokens that the template puts around a message, about."""


async def chat(base: str, model: str, turns: int, history: int) -> dict[str, float]:
    """The last of so many turns; before it, user and model have said about ``history`` tokens in equal shares."""
    share = max(1, history // (2 * (turns - 1)) - OVERHEAD)
    messages: list[dict[str, str]] = []
    async with client(base, 1) as http:
        await ask(http, model, [{"role": "user", "content": "Hello."}], 8)
        for turn in range(turns):
            asked = "Why?" if turn == turns - 1 else " ".join(WORDS[(turn + i * i) % len(WORDS)] for i in range(share))
            messages.append({"role": "user", "content": f"{turn}: {asked}"})
            answer = await ask(http, model, messages, share)
            messages.append({"role": "assistant", "content": answer.text})
    return {
        "first_token_seconds": answer.first,
        "prompt_tokens": answer.prompt_tokens,
        "cached_tokens": answer.cached_tokens,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base")
    parser.add_argument("model")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--history", type=int, default=2000)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(chat(given.base, given.model, given.turns, given.history))))
