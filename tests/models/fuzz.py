"""Damaged vocabularies and chat templates, one a call. `benchmarks.fuzz` runs them for longer.

A call returns when its input was refused with a `MynaError`, or worked on every text; whatever else is a finding.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Trained

from myna.errors import MynaError
from myna.models.dialects.sandbox import TemplateFailure, TemplateRefusal
from myna.models.dialects.worker import TemplateWorker
from myna.models.tokenizer import Kind, Tokenizer, load_directory_tokenizer
from tests.formats.fuzz import damaged
from tests.synthetic import CHAT_TEMPLATE
from tests.vocabularies import STYLES

TEXTS = (
    "",
    " ",
    "Hello, world! It's 12345 o'clock.\n\n  x",
    "Grüße, 日本語 🙂 \u0301\u200b\0",
    "<s><0x41>[INST]<|im_end|>",
    "a" * 400,
)

VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**31, 2**70, 1e308, "", " ", "\u2581", "a", "<s>", "\ud800", "x" * 400, [], {}, [[]]),
    *({"type": "NFC"}, {"type": "Sequence", "normalizers": []}, {"type": "Prepend", "prepend": "\u2581"}),
    *({"type": "ByteLevel"}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}),
    *({"Regex": "(?:a|aa)+$"}, {"Regex": "\\s*|a"}, {"String": ""}, {"Sequence": {"id": "A", "type_id": 0}}),
)

STATEMENTS = (
    *("{% for m in messages %}", "{% endfor %}", "{% if true %}", "{% endif %}", "{{ messages }}", "{{ m.content }}"),
    *("{% set x = [] %}", "{{ ''.__class__ }}", "{{ x | attr('y') }}", "{{ range(10**9) }}", "{{ 'a' * 10**9 }}"),
    *("{% for i in range(99999) %}", "{{ raise_exception('no') }}", "{% generation %}", "{{ 10 ** 10 ** 8 }}"),
    *(
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{",
        "%}",
        "{#",
        "{{ namespace(a=1).b.c }}",
        "{{ m | tojson }}",
    ),
)

MESSAGES = [{"role": "user", "content": "Hi <|im_end|>"}, {"role": "assistant", "content": "Yes?"}]


@cache
def written(style: str) -> dict[str, Any]:
    """A whole tokenizer.json."""
    trained: Trained = STYLES[style][0]()
    content: dict[str, Any] = json.loads(trained.to_str())
    return content


@cache
def sentencepiece(algorithm: int) -> bytes:
    """A small SentencePiece model, put together by hand: pieces, and what its trainer and normalizer say."""
    pieces = [("<unk>", 2), ("<s>", 3), ("</s>", 3), *((f"<0x{byte:02X}>", 6) for byte in range(256))]
    pieces += [(word, 1) for word in ("\u2581", "a", "b", "l", "o", "lo", "\u2581lo", "He", "llo", "Hello")] + [
        ("<td>", 4)
    ]
    written = b""
    for rank, (text, kind) in enumerate(pieces):
        # Scores are four bytes; any will do.
        inner = field(1, text.encode()) + b"\x15" + (0xC0000000 + rank).to_bytes(4, "little") + b"\x18" + bytes([kind])
        written += field(1, inner)
    trainer = b"\x18" + bytes([algorithm])
    return written + field(2, trainer) + field(3, b"\x18\x01\x20\x00")


def field(number: int, content: bytes) -> bytes:
    """One field of bytes of a protocol buffer."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
    return bytes([number << 3 | 2]) + length + content


def changed(chance: random.Random, content: Any, depth: int = 0) -> Any:
    """The same JSON with one place in it changed. Large lists and objects are the ends of most ways down."""
    if isinstance(content, dict | list) and content and (depth < 2 or chance.random() < 0.8):
        copy = content.copy()
        key = chance.choice(list(content)) if isinstance(copy, dict) else chance.randrange(len(content))
        match chance.randrange(12):
            case 0:
                copy.pop(key)
            case 1 if isinstance(copy, list):
                copy.insert(key, chance.choice(copy))
            case 2 if isinstance(copy, dict):
                copy[str(chance.choice(VALUES))] = copy[key]
            case _:
                copy[key] = changed(chance, copy[key], depth + 1)
        return copy
    return chance.choice(VALUES)


def speak(tokenizer: Tokenizer) -> None:
    """Use a tokenizer on every text. What text becomes is never control."""
    for text in TEXTS:
        for continues in (False, True):
            ids = tokenizer.encode(text, continues=continues)
            assert all(0 <= token_id < tokenizer.vocab_size for token_id in ids), text
            assert not any(tokenizer._kinds[token_id] == Kind.CONTROL for token_id in ids), text
            tokenizer.decode(ids)
        tokenizer.split_control(text)
    tokenizer.encode_prompt(TEXTS[2])
    tokenizer.encode_many(TEXTS)


def try_directory(directory: Path) -> None:
    """Read the vocabulary of a directory, and use it if it can be read."""
    try:
        speak(load_directory_tokenizer(directory))
    except MynaError:
        return
    finally:
        for path in directory.iterdir():
            path.unlink()


def tokenizer_json(chance: random.Random, directory: Path) -> None:
    """A tokenizer.json with a few places changed, or a few bytes."""
    style = chance.choice(list(STYLES))
    content = written(style)
    for _ in range(chance.randint(1, 4)):
        content = changed(chance, content)
    data = json.dumps(content).encode()
    if chance.random() < 0.2:
        data = damaged(chance, data)
    (directory / "tokenizer.json").write_bytes(data)
    (directory / "tokenizer_config.json").write_text(json.dumps(STYLES[style][1]))
    try_directory(directory)


def tokenizer_config(chance: random.Random, directory: Path) -> None:
    """The small files beside a sound vocabulary, changed."""
    style = chance.choice(list(STYLES))
    added = {str(chance.choice((0, 1, 5, 900))): {"content": "<|new|>", "special": chance.random() < 0.5}}
    config = STYLES[style][1] | {"added_tokens_decoder": added, "chat_template": CHAT_TEMPLATE, "add_bos_token": True}
    for name, content in (
        ("tokenizer_config.json", config),
        ("special_tokens_map.json", {"eos_token": {"content": "</s>"}, "additional_special_tokens": ["<s>", "a"]}),
        ("generation_config.json", {"eos_token_id": [1, 2]}),
        ("added_tokens.json", {"<|new|>": 7}),
    ):
        if chance.random() < 0.7:
            (directory / name).write_text(json.dumps(changed(chance, content)))
    (directory / "tokenizer.json").write_text(json.dumps(written(style)))
    try_directory(directory)


def sentencepiece_model(chance: random.Random, directory: Path) -> None:
    """A tokenizer.model with a few bytes changed."""
    data = damaged(chance, sentencepiece(chance.choice((1, 2))))
    (directory / "tokenizer.model").write_bytes(data)
    try_directory(directory)


def plain_vocabulary(chance: random.Random, directory: Path) -> None:
    """Vocabularies that are lists: ranks, words, or pieces with merges."""
    model = written("gpt2")["model"]
    tokens = [bytes([byte]) for byte in range(256)] + [b"He", b"llo", b"Hello"]
    ranks = "\n".join(f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(tokens))
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    files: dict[str, str] = chance.choice(
        (
            {"tokenizer.model": ranks},
            {"vocab.txt": "\n".join(written("bert")["model"]["vocab"])},
            {"vocab.json": json.dumps(model["vocab"]), "merges.txt": merges},
        )
    )
    for name, text in files.items():
        (directory / name).write_bytes(damaged(chance, text.encode()))
    try_directory(directory)


def template(chance: random.Random, directory: Path) -> None:
    """A chat template with statements put in, taken out and moved, in the process that unknown templates get."""
    source = CHAT_TEMPLATE
    for _ in range(chance.randint(1, 4)):
        at, end = sorted(chance.randrange(len(source) + 1) for _ in range(2))
        if chance.random() < 0.7:
            source = source[:at] + chance.choice(STATEMENTS) + source[at:]
        else:
            source = source[:at] + source[end:]
    worker = TemplateWorker(source, seconds=1.0)
    try:
        worker.render([{"messages": MESSAGES, "add_generation_prompt": True}])
    except (TemplateFailure, TemplateRefusal):
        return
    finally:
        worker.close()


FUZZERS: dict[str, Callable[[random.Random, Path], None]] = {
    "tokenizer.json": tokenizer_json,
    "tokenizer_config.json": tokenizer_config,
    "tokenizer.model": sentencepiece_model,
    "vocabulary lists": plain_vocabulary,
    "chat template": template,
}
