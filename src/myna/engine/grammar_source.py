"""What a caller calls a grammar becomes one of llguidance's, and is tried where it can do no harm.

llguidance bounds its own work, but a few kilobytes of patterns can take it minutes, and some chains of rules overflow
its stack. So every grammar is compiled first in a process that can be killed; only what passes there is compiled in
the engine's own.
"""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

from myna.engine.request import Grammar
from myna.errors import InvalidParameter
from myna.models.killable import KillableProcess, answer_requests

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLParserLimits, LLTokenizer  # imported when first needed: it takes 50 ms
    from llguidance._lib import JsonCompileOptions

MAX_SOURCE = 128 << 10
"""Characters of a grammar."""
MAX_EXPANDED = 20_000
"""Characters of its patterns with every ``x{n}`` written out: beyond, nested ones take llguidance seconds a token."""
TRIAL_SECONDS = 5.0
TRIAL_TOKENS = 32
TRIAL_MEMORY = 1 << 30
MAX_REASON = 400

_REPEATS = re.compile(r"\{\d+(?:,\d*)?\}")
_PIECES = re.compile(r"\{\d+(?:,\d*)?\}|\\.|.", re.DOTALL)

JSON_OPTIONS: JsonCompileOptions = {
    # At most one of these at each place where JSON allows whitespace: without a bound some models never stop indenting.
    "whitespace_pattern": r" |\n {0,16}",
    "whitespace_flexible": True,
    "item_separator": ",",
    "key_separator": ":",
    "lenient": False,
    "coerce_one_of": False,
}
"""All that a schema could change by its own ``x-guidance``."""


class GrammarTrial:
    """Compiles grammars in a process of its own, to see whether that ends, and well."""

    def __init__(self, seconds: float = TRIAL_SECONDS) -> None:
        self._process = KillableProcess(__spec__.name, seconds=seconds, max_reply=1 << 16)

    def check(self, grammar: Grammar) -> None:
        """Do nothing if a grammar can be used.

        Raises:
            InvalidParameter: it cannot, and why.
        """
        try:
            answer = self._process.ask({"kind": grammar.kind, "source": grammar.source, "param": grammar.param})
        except OSError as error:
            raise refusal(grammar, f"the process that tries it cannot be started ({error})") from error
        if answer is None:
            raise refusal(
                grammar,
                f"it cannot be compiled within {self._process.seconds:g} s and {TRIAL_MEMORY >> 20} MiB; simplify it",
            )
        if answer["refusal"]:
            raise InvalidParameter(answer["refusal"], param=grammar.param)

    def close(self) -> None:
        """End the process, if there is one."""
        self._process.close()


def refusal(grammar: Grammar, reason: str) -> InvalidParameter:
    """The error for a grammar that cannot be used."""
    names = {"json_object": "form", "json_schema": "JSON schema", "regex": "regular expression", "lark": "Lark grammar"}
    name = "form of the tools' parameters" if grammar.param == "tools" else names[grammar.kind]
    return InvalidParameter(f"The {name} cannot be used: {reason}.", param=grammar.param)


def new_matcher(tokenizer: LLTokenizer, grammar: Grammar) -> LLMatcher:
    """A matcher at the beginning of a text; what is wrong with the grammar is told by `reason_of`.

    Raises:
        InvalidParameter: it is no JSON schema, or is too long.
    """
    from llguidance import LLMatcher, regex_to_lark

    if len(grammar.source) > MAX_SOURCE:
        raise refusal(grammar, f"it has {len(grammar.source)} characters; at most {MAX_SOURCE} are allowed")
    if _REPEATS.search(grammar.source) and expanded(grammar.source) > max(MAX_EXPANDED, len(grammar.source)):
        raise refusal(grammar, f"written out, its repetitions have more than {MAX_EXPANDED} characters")
    match grammar.kind:
        case "json_object":
            text = LLMatcher.grammar_from_json_schema('{"type":"object"}', overrides=JSON_OPTIONS)
        case "json_schema":
            text = LLMatcher.grammar_from_json_schema(_checked_schema(grammar), overrides=JSON_OPTIONS)
        case "regex":
            text = LLMatcher.grammar_from_regex(regex_to_lark(grammar.source, "dws"))  # ASCII's digits
        case "lark" | "calls":
            text = LLMatcher.grammar_from_lark(grammar.source)
    return LLMatcher(tokenizer, text, log_level=0, limits=_limits())


def expanded(source: str) -> int:
    """About how many characters a pattern, or a text with patterns in it, has with every ``x{n}`` written out."""
    sizes = [0]  # of what is open: the whole, and the groups within each other
    last = 0  # of what a repetition would repeat
    for match in _PIECES.finditer(source):
        piece = match.group()
        if piece == "(":
            sizes.append(0)
        elif piece == ")":
            if len(sizes) > 1:
                last = sizes.pop()
                sizes[-1] += last
            else:
                last = sizes[0]  # closes nothing that was opened: take all there is
        elif len(piece) > 2 and piece[0] == "{":
            times = max(1, *(int(count[:9]) for count in piece[1:-1].split(",") if count))
            sizes[-1] += last * (times - 1)
            last = min(last * times, 1 << 40)  # enough to be refused, and quick to add
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


def reason_of(matcher: LLMatcher) -> str:
    """Why a matcher cannot go on, in one line; empty if it can."""
    reason = " ".join(matcher.get_error().replace("<non-verbose/>", "").split()).rstrip(".")
    if reason.startswith("NoExtension"):
        reason = "no text can fulfil it"
    return reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}…"


def _checked_schema(grammar: Grammar) -> str:
    try:
        schema = json.loads(grammar.source)
        if schema is True:
            return "{}"
        if not isinstance(schema, dict):
            raise ValueError("a schema is an object")
    except (ValueError, RecursionError) as error:
        raise refusal(grammar, f"it is no JSON schema ({error})") from None
    return json.dumps(schema)


def _limits() -> LLParserLimits:
    from llguidance import LLParserLimits

    # Wide objects need long rows; a state of the lexer takes one to two kilobytes.
    return LLParserLimits(max_items_in_row=10_000, max_lexer_states=50_000, verbose_errors=False)


def _answer(request: Any) -> dict[str, str]:
    from llguidance import LLTokenizer

    grammar = Grammar(**request)
    try:
        matcher = new_matcher(LLTokenizer("byte"), grammar)
        _walk(matcher)
        if matcher.is_error():
            raise refusal(grammar, reason_of(matcher))
    except InvalidParameter as error:
        return {"refusal": error.message}
    except ValueError as error:
        return {"refusal": refusal(grammar, " ".join(str(error).split())[:MAX_REASON]).message}
    return {"refusal": ""}


def _walk(matcher: LLMatcher) -> None:
    """Write the beginning of some text, to see that this ends; it stops where the matcher does."""
    draw = random.Random(0)  # noqa: S311 (no secret)
    for _ in range(TRIAL_TOKENS):
        if matcher.is_stopped():
            break
        mask = int.from_bytes(matcher.compute_bitmask(), "little")
        allowed = [byte for byte in range(256) if mask >> byte & 1]
        if not allowed:
            break
        matcher.consume_token(draw.choice(allowed))


if __name__ == "__main__":
    answer_requests(_answer, max_memory=TRIAL_MEMORY)
