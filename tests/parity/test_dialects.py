"""Named prompt formats to the token: against Mistral's own library, and against Transformers' rendering of templates.

The templates are typed out from the authors' descriptions, in the way that Transformers writes such things, and share
nothing with `myna.models.dialects.formats`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, UserMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from transformers import AutoTokenizer

from myna.chat import Message, TextPart
from myna.models.dialects import Dialect
from myna.models.dialects.load import named_dialect
from myna.models.dialects.template import TemplateDialect
from myna.models.tokenizer import Tokenizer, load_directory_tokenizer
from tests.parity.test_tokenizer import SAMPLES
from tests.vocabularies import write_vocabulary

DATA = Path(find_spec("mistral_common").submodule_search_locations[0]) / "data"  # type: ignore[union-attr, index]

MISTRAL = {
    "mistral-v1": "tokenizer.model.v1",
    "mistral-v2": "mistral_instruct_tokenizer_240216.model.v2",
    "mistral-v3": "mistral_instruct_tokenizer_240323.model.v3",
    "mistral-v7": "mistral_instruct_tokenizer_241114.model.v7",
    "mistral-v3-tekken": "tekken_240718.json",
}


@pytest.fixture(scope="module", params=MISTRAL)
def mistral(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Dialect, MistralTokenizer]:
    directory = tmp_path_factory.mktemp("mistral")
    file = DATA / MISTRAL[request.param]
    shutil.copy(file, directory / ("tekken.json" if file.suffix == ".json" else "tokenizer.model"))
    return named_dialect(request.param, load_directory_tokenizer(directory)), MistralTokenizer.from_file(str(file))


def reference(theirs: MistralTokenizer, messages: list[Message]) -> list[int]:
    kinds: dict[str, Callable[..., object]] = {"system": SystemMessage, "user": UserMessage}
    written = [
        AssistantMessage(content=message.text, prefix=message is messages[-1])
        if message.role == "assistant"
        else kinds[message.role](content=message.text)
        for message in messages
    ]
    ids: list[int] = theirs.encode_chat_completion(ChatCompletionRequest(messages=written)).tokens
    return ids


def conversation(*turns: str, system: str | None = None) -> list[Message]:
    first = [] if system is None else [Message.of("system", system)]
    return first + [Message.of("assistant" if number % 2 else "user", text) for number, text in enumerate(turns)]


TALK = [
    conversation("Hi"),
    conversation("Hi", "Hello! How can I help?", "What is 2+2?"),
    conversation("Hi", "Hello!", "More", "Still more", "And then?", system="Be brief."),
    conversation("Hi", system="Be\n\nbrief. "),
    conversation("\n\nleading newlines", "answer", "trailing space "),
    conversation("[INST] </s> <s> [/INST]", "ok", "[/INST]", system="[SYSTEM_PROMPT]"),
    conversation(*[text.strip() or "x" for text in SAMPLES if "\0" not in text][:15]),
]


@pytest.mark.parametrize("messages", TALK)
def test_conversations_become_the_tokens_of_mistrals_library(
    mistral: tuple[Dialect, MistralTokenizer], messages: list[Message]
) -> None:
    mine, theirs = mistral
    assert mine.encode(messages) == reference(theirs, messages)


def test_an_answer_to_be_continued_is_left_open(mistral: tuple[Dialect, MistralTokenizer]) -> None:
    mine, theirs = mistral
    messages = conversation("What is the capital of France?", "The capital of")
    assert mine.encode(messages, continue_last=True) == reference(theirs, messages)


@settings(max_examples=40)
@given(
    text=st.text(min_size=1, max_size=40).filter(str.strip), answer=st.text(min_size=1, max_size=20).filter(str.strip)
)
def test_any_conversation_becomes_the_tokens_of_mistrals_library(
    mistral: tuple[Dialect, MistralTokenizer], text: str, answer: str
) -> None:
    mine, theirs = mistral
    messages = conversation(text, answer.strip(), text)
    assert mine.encode(messages) == reference(theirs, messages)


LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' "
    "+ m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA2 = (
    "{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else None %}"
    "{% for m in messages if m['role'] != 'system' %}"
    "{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' }}{% if loop.first and system is not none %}"
    "{{ '<<SYS>>\n' + system | trim + '\n<</SYS>>\n\n' }}{% endif %}{{ m['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% set system = messages[0]['content'] | trim if messages[0]['role'] == 'system' else None %}"
    "{% for m in messages if m['role'] != 'system' %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else 'user') + '\n' }}"
    "{% if loop.first and system is not none %}{{ system + '\n\n' }}{% endif %}"
    "{{ m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + '\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
VICUNA = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] + ' ' }}"
    "{% elif m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}"
    "{% else %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("name", "template", "style"),
    [
        ("llama3", LLAMA3, "llama3"),
        ("chatml", CHATML, "qwen"),
        ("llama2", LLAMA2, "llama2 legacy"),
        ("gemma", GEMMA, "gemma"),
        ("phi3", PHI3, "phi3"),
        ("vicuna", VICUNA, "llama2 legacy"),
    ],
)
@pytest.mark.parametrize(
    "messages",
    [
        conversation("Hi", system="Be brief."),
        conversation("Hi", "Hello! How can I help?", "What is 2+2?", system="Be brief."),
        conversation("\n\nleading newlines", "answer", "trailing space \n", system="Be\nbrief."),
        conversation(*map(str.strip, SAMPLES[2:14]), "end", system="Be brief."),
    ],
)
def test_conversations_become_the_tokens_of_transformers(
    tmp_path: Path, name: str, template: str, style: str, messages: list[Message]
) -> None:
    directory = write_vocabulary(tmp_path, style)
    mine: Tokenizer = load_directory_tokenizer(directory)
    theirs = AutoTokenizer.from_pretrained(directory, chat_template=template)
    plain = [{"role": message.role, "content": message.text} for message in messages]
    expected = theirs.apply_chat_template(plain, tokenize=True, return_dict=False, add_generation_prompt=True)
    assert named_dialect(name, mine).encode(messages) == list(expected)
    own = TemplateDialect(directory, template, mine)
    own._worker = None  # rendered here: workers have tests of their own
    assert own.encode(messages) == list(expected)


def test_an_answer_with_a_space_before_it_comes_back_where_the_template_writes_one(tmp_path: Path) -> None:
    """The next turn then begins with the tokens of this one, and the cache serves it."""
    mine = load_directory_tokenizer(write_vocabulary(tmp_path, "llama2 legacy"))
    dialect = TemplateDialect(tmp_path, LLAMA2, mine)
    dialect._worker = None
    prompt = dialect.encode(conversation("Hi"))
    generated = tuple(mine.encode(" Hello there", continues=True))
    answer = Message("assistant", (TextPart(" Hello there", generated, mine.fingerprint),))
    following = dialect.encode([*conversation("Hi"), answer, Message.of("user", "And?")])
    assert following[: len(prompt) + len(generated)] == [*prompt, *generated]
