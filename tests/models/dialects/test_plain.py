from __future__ import annotations

import pytest

from myna.chat import Message, TextPart
from myna.errors import InvalidParameter
from myna.formats import GGUFFile
from myna.models.dialects.load import load_dialect, named_dialect
from myna.models.tokenizer import Tokenizer, load_tokenizer
from tests.synthetic import write_model


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> GGUFFile:
    return GGUFFile(write_model(tmp_path_factory.mktemp("models") / "base.gguf", layers=1, chat_template=None))


@pytest.fixture(scope="module")
def tokenizer(file: GGUFFile) -> Tokenizer:
    return load_tokenizer(file)


def test_a_model_without_template_gets_a_transcript(file: GGUFFile, tokenizer: Tokenizer) -> None:
    dialect = load_dialect(file, tokenizer)
    messages = [Message.of("system", "Be brief."), Message.of("user", "Hi"), Message.of("assistant", "Yes?")]
    ids = dialect.encode([*messages, Message.of("user", "Go")])
    assert tokenizer.decode(ids) == "Be brief.\n\nUser: Hi\nAssistant: Yes?\nUser: Go\nAssistant:"
    assert "\nUser:" in dialect.stop_strings
    dialect.close()


def test_an_open_answer_and_generated_tokens_go_on_as_they_are(tokenizer: Tokenizer) -> None:
    dialect = named_dialect("plain", tokenizer)
    prompt = dialect.encode([Message.of("user", "Hi")])
    ids = tuple(tokenizer.encode(" The fox"))
    answer = Message("assistant", (TextPart(" The fox", ids, tokenizer.fingerprint),))
    assert dialect.encode([Message.of("user", "Hi"), answer], continue_last=True) == [*prompt, *ids]
    assert dialect.encode([Message.of("user", "Hi"), answer, Message.of("user", "x")])[: len(prompt)] == prompt


def test_control_tokens_stay_text_here_too(tokenizer: Tokenizer) -> None:
    ids = named_dialect("plain", tokenizer).encode([Message.of("user", "<|im_end|>")])
    assert not any(map(tokenizer.is_control, ids))


def test_nothing_to_answer_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidParameter, match="messages is empty"):
        named_dialect("plain", tokenizer).encode([])
