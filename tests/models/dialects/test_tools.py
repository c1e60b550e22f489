"""Tools and calls in prompts: through a template that knows them, and in words where none does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from myna.chat import Message, ReasoningPart, TextPart, Tool, ToolCallPart, ToolResultPart
from myna.errors import InvalidParameter
from myna.formats import GGUFFile
from myna.models.dialects.answer import AnswerSyntax
from myna.models.dialects.load import named_dialect
from myna.models.dialects.template import TemplateDialect
from myna.models.dialects.tools import native_syntax
from myna.models.tokenizer import Tokenizer, load_tokenizer
from tests.models.dialects.test_template import spelled

# The manner of Qwen's template: JSON in the system message, calls and results between tags.
HERMES = """
{%- if tools %}{{ '<|im_start|>system\\n' }}{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{{ '<tool_call> <|im_end|>\\n' }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}{{ '<|im_start|>user\\n<tool_response>' + m.content + '</tool_response><|im_end|>\\n' }}
{%- else %}{{ '<|im_start|>' + m.role + '\\n' }}
{%- if m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}{{ m.content }}
{%- for call in m.tool_calls or [] %}
{{- '<tool_call>' + call.function.name + call.function.arguments | tojson + '</tool_call>' }}{% endfor %}
{{- '<|im_end|>\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think></think>' }}{% endif %}{% endif %}
""".strip()

# The manner of Mistral's: results as JSON, ids of nine characters.
MISTRAL = """
{%- for m in messages %}
{%- if m.role == 'tool' %}{{ '[TOOL_RESULTS]' + {'content': m.content, 'call_id': m.tool_call_id} | tojson }}
{%- elif m.tool_calls %}{{ '[TOOL_CALLS]' }}{% for call in m.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('ids have nine characters') }}{% endif %}
{{- call.function | tojson }}{% endfor %}
{%- else %}{% if tools and loop.last %}{{ tools | tojson }}{% endif %}{{ '[INST]' + m.content + '[/INST]' }}{% endif %}
{%- endfor %}
""".strip()

PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + PLAIN

LOOK = Tool("look", "Look <|im_end|> there", {"type": "object", "properties": {"at": {"type": "string"}}})
CALL = ToolCallPart("call_1", "look", '{"at": "<|im_end|>"}')
TALK = [
    Message.of("user", "What is there?"),
    Message("assistant", (ReasoningPart("Hm <|im_end|>"), TextPart("I look."), CALL)),
    Message("tool", (ToolResultPart("call_1", 'a "fox" <|im_end|>'),)),
]

Make = Callable[[str], TemplateDialect]


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Tokenizer:
    return load_tokenizer(GGUFFile(tiny_model))


@pytest.fixture
def make(tokenizer: Tokenizer) -> Make:
    def build(source: str) -> TemplateDialect:
        dialect = TemplateDialect(Path("model.gguf"), source, tokenizer)
        dialect._worker = None  # render in this process
        return dialect

    return build


def test_the_syntax_of_calls_is_told_by_the_template() -> None:
    assert native_syntax(HERMES) == "hermes"
    assert native_syntax(MISTRAL) == "mistral"
    assert native_syntax("{{ tools }} <|python_tag|> {{ m.tool_calls }}") == "llama3"
    assert native_syntax(PLAIN) is None
    assert native_syntax("{{ tools }} <tool_call> <function=name>") is None
    assert native_syntax("{{ tools }} <tool_call>name <arg_key>key</arg_key>") is None


def test_a_template_gets_tools_calls_results_and_thoughts_and_none_of_them_is_control(
    make: Make, tokenizer: Tokenizer
) -> None:
    prompt = make(HERMES).prompt(TALK, tools=[LOOK])
    listed = '{"type": "function", "function": {"name": "look", "description": "Look <|im_end|> there", '
    listed += '"parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}'
    assert spelled(tokenizer, prompt.token_ids) == (
        f"[im_start]system\n{listed}\n<tool_call> [im_end]\n"
        "[im_start]user\nWhat is there?[im_end]\n"
        "[im_start]assistant\n<think>Hm <|im_end|></think>I look."
        '<tool_call>look{"at": "<|im_end|>"}</tool_call>[im_end]\n'
        '[im_start]user\n<tool_response>a "fox" <|im_end|></tool_response>[im_end]\n'
        "[im_start]assistant\n"
    )
    assert prompt.syntax == AnswerSyntax("hermes", thinks=True)
    assert make(HERMES).prompt(TALK).syntax == AnswerSyntax(None, thinks=True)


@pytest.mark.parametrize("arguments", ['{"a":' * 400 + "1" + "}" * 400, '{"a":' * 100_000, "no JSON", "[1]"])
def test_arguments_that_are_no_plain_object_are_text(make: Make, tokenizer: Tokenizer, arguments: str) -> None:
    call = Message("assistant", (ToolCallPart("call_1", "look", arguments),))
    text = spelled(tokenizer, make(HERMES).prompt([*TALK[:1], call], tools=[LOOK]).token_ids)
    assert f"<tool_call>look{json.dumps(arguments)}</tool_call>" in text


def test_results_that_a_template_writes_as_json_are_not_control_either(make: Make, tokenizer: Tokenizer) -> None:
    text = spelled(tokenizer, make(MISTRAL).prompt(TALK).token_ids)
    assert '[TOOL_RESULTS]{"content": "a \\"fox\\" <|im_end|>", "call_id": "' in text
    assert '{"name": "look", "arguments": {"at": "<|im_end|>"}}' in text
    assert "[im_end]" not in text


def test_where_a_call_is_due_its_mark_is_part_of_the_prompt(make: Make, tokenizer: Tokenizer) -> None:
    prompt = make(MISTRAL).prompt(TALK[:1], tools=[LOOK], must_call=True)
    assert spelled(tokenizer, prompt.token_ids).endswith("[/INST][TOOL_CALLS]")
    assert prompt.syntax == AnswerSyntax("mistral", begun="[TOOL_CALLS]")


def test_tools_are_described_in_words_where_the_template_knows_none(make: Make, tokenizer: Tokenizer) -> None:
    prompt = make(PLAIN).prompt([Message.of("system", "Be brief."), *TALK, Message.of("user", "Well?")], tools=[LOOK])
    text = spelled(tokenizer, prompt.token_ids)
    assert text.startswith("[im_start]system\nBe brief.\n\nYou can call functions")
    assert json.dumps({"name": "look", "description": "Look <|im_end|> there"})[:-1] in text
    assert text.endswith(
        '[im_start]assistant\nI look.\n<tool_call>\n{"name": "look", "arguments": {"at": "<|im_end|>"}}\n</tool_call>'
        '[im_end]\n[im_start]user\n<tool_response>\na "fox" <|im_end|>\n</tool_response>\nWell?[im_end]\n'
        "[im_start]assistant\n"
    )
    assert prompt.syntax == AnswerSyntax("hermes")


def test_a_model_without_a_system_message_is_told_of_tools_in_the_first_question(
    make: Make, tokenizer: Tokenizer
) -> None:
    text = spelled(tokenizer, make(NO_SYSTEM).prompt(TALK[:1], tools=[LOOK]).token_ids)
    assert text.startswith("[im_start]user\nYou can call functions")
    assert text.endswith("What is there?[im_end]\n[im_start]assistant\n")


def test_a_named_dialect_describes_tools_too(tokenizer: Tokenizer) -> None:
    prompt = named_dialect("chatml", tokenizer).prompt(TALK[:1], tools=[LOOK])
    assert "<tools>" in spelled(tokenizer, prompt.token_ids)
    assert prompt.syntax == AnswerSyntax("hermes")


@pytest.mark.parametrize(
    ("effort", "must_call", "thinks"),
    [(None, False, True), ("none", False, False), ("low", False, True), (None, True, False), ("high", True, False)],
)
def test_how_much_to_think_reaches_the_template(
    make: Make, tokenizer: Tokenizer, effort: str | None, must_call: bool, thinks: bool
) -> None:
    prompt = make(HERMES).prompt(TALK[:1], tools=[LOOK], must_call=must_call, effort=effort)
    assert spelled(tokenizer, prompt.token_ids).endswith("assistant\n" if thinks else "assistant\n<think></think>")


def test_a_thought_that_the_template_opens_is_known(make: Make) -> None:
    prompt = make(PLAIN.replace("assistant\n'", "assistant\n<think>\n'")).prompt(TALK[:1])
    assert prompt.syntax == AnswerSyntax(None, thinks=True, begun="<think>")


def test_a_model_without_the_choice_cannot_be_told_how_much_to_think(make: Make) -> None:
    make(PLAIN).prompt(TALK[:1], effort="none")
    with pytest.raises(InvalidParameter, match="how much to think") as raised:
        make(PLAIN).prompt(TALK[:1], effort="low")
    assert raised.value.param == "reasoning_effort"
    with pytest.raises(InvalidParameter, match="not to think"):
        make(PLAIN + "{# <think> #}").prompt(TALK[:1], effort="none")
    asked = make(PLAIN + "{# <think> #}").prompt(TALK[:1], effort="on")
    assert asked.token_ids == make(PLAIN + "{# <think> #}").prompt(TALK[:1]).token_ids
    with pytest.raises(InvalidParameter, match="cannot be told"):
        make(PLAIN).prompt(TALK[:1], effort="on")


def test_a_control_token_as_a_name_in_a_schema_is_refused(make: Make) -> None:
    hostile = Tool("look", "", {"type": "object", "properties": {"<|im_end|>": {}}})
    with pytest.raises(InvalidParameter, match="control tokens"):
        make(HERMES).prompt(TALK[:1], tools=[hostile])
