"""What strangers send: damaged and made-up files of every format, one a call. `benchmarks.fuzz` runs them for longer.

A call returns when its input was read or refused with a `MynaError`; whatever else happens is a finding.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path

from myna.errors import MynaError
from myna.formats import open_model
from myna.models.describe import describe_model
from tests.formats.builder import ARRAY, F32_TENSOR, STRING, U32, File, array, key, tensor, text, u32
from tests.formats.checkpoints import TINY_CONFIG, index, safetensors, write_directory

CHECKPOINT = Path(__file__).with_name("gpt2")
TOKENS: Sequence[bytes] = (
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"-1", b"9" * 20, b"1e999", b"NaN", b"null", b"true", b"../", b"\\u0000",
    b"\\ud800", b"\0" * 8, b"\xff" * 8, b"9" * 5000, b"[" * 2000, b"F32", b"dtype", b"shape", b"data_offsets",
)  # fmt: skip


VALUES = (
    None,
    True,
    0,
    1,
    -1,
    3,
    2**31,
    2**70,
    0.5,
    -0.5,
    1e-300,
    1e300,
    "",
    "silu",
    "yarn",
    [],
    [1],
    ["a"],
    {},
    {"a": 1},
)


def damaged(chance: random.Random, content: bytes) -> bytes:
    """A few bytes changed, put in, taken out, repeated or cut off."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        patch = chance.choice(TOKENS) if chance.random() < 0.5 else chance.randbytes(chance.randint(1, 8))
        match chance.randrange(6):
            case 0:
                changed[at : at + len(patch)] = patch
            case 1:
                changed[at:at] = patch
            case 2:
                del changed[at : at + chance.randint(1, 16)]
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 64)]
            case 4 if changed:
                changed[at % len(changed)] ^= 1 << chance.randrange(8)
            case _:
                del changed[len(changed) - chance.randint(0, len(changed) // 4) :]
    return bytes(changed)


def read_or_refuse(path: Path) -> None:
    """Open a model and read all there is of it."""
    try:
        file = open_model(path)
    except MynaError:
        return
    with closing(file):
        for value in file.metadata.values():
            if not isinstance(value, bool | int | float | str):
                try:
                    value.values()
                except MynaError:
                    continue
        for one in file.tensors.values():
            with file.read(one) as data:
                assert len(data) == one.bytes


def gguf(chance: random.Random, scratch: Path) -> None:
    path = scratch / "model.gguf"
    path.write_bytes(damaged(chance, _gguf()))
    read_or_refuse(path)


def safetensors_header(chance: random.Random, scratch: Path) -> None:
    write_directory(scratch / "model", {"model.safetensors": damaged(chance, _safetensors())})
    read_or_refuse(scratch / "model")


def index_file(chance: random.Random, scratch: Path) -> None:
    whole = index(a="one.safetensors", b="two.safetensors")
    files = {"one.safetensors": _one("a"), "two.safetensors": _one("b")}
    write_directory(scratch / "shards", files | {"model.safetensors.index.json": damaged(chance, whole)})
    read_or_refuse(scratch / "shards")


def config(chance: random.Random, scratch: Path) -> None:
    path = write_directory(scratch / "configured", {"model.safetensors": _one("a")})
    (path / "config.json").write_bytes(damaged(chance, json.dumps(TINY_CONFIG).encode()))
    read_or_refuse(path)


def tensorflow_index(chance: random.Random, scratch: Path) -> None:
    target = scratch / "gpt2"
    target.mkdir(exist_ok=True)
    for source in CHECKPOINT.iterdir():
        content = source.read_bytes()
        (target / source.name).write_bytes(damaged(chance, content) if source.suffix == ".index" else content)
    read_or_refuse(target)


def model(chance: random.Random, scratch: Path) -> None:
    """A whole model whose configuration is damaged where it is most telling: in a value."""
    name, files = chance.choice(list(_models().items()))
    path = scratch / name
    path.mkdir(exist_ok=True)
    for file, content in files.items():
        if file != "config.json":
            if not (path / file).exists():
                (path / file).write_bytes(content)
            continue
        configuration = json.loads(content)
        for _ in range(chance.randint(1, 3)):
            inner = configuration
            while isinstance(inner, dict) and inner:
                holder, key = inner, chance.choice(list(inner))
                inner = inner[key]
            if chance.random() < 0.2:
                del holder[key]
            else:
                holder[key] = chance.choice(VALUES)
            if not configuration:
                break
        (path / file).write_text(json.dumps(configuration))
    try:
        describe_model(path)
    except MynaError:
        return


@cache
def _models() -> dict[str, dict[str, bytes]]:
    """Tiny checkpoints of several families, as files by name."""
    from tests.models.vocabularies import write_byte_level
    from tests.parity.models import build, save

    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("llama3", "gpt2", "gptneox", "bloom", "qwen3", "gemma2", "gemma3", "phi3-long", "mixtral"):
            path = save(build(name), Path(scratch) / name)
            write_byte_level(path)
            found[name] = {file.name: file.read_bytes() for file in path.iterdir()}
    return found


@cache
def _gguf() -> bytes:
    keys = [
        key("general.architecture", STRING, text("llama")),
        key("few", U32, u32(3)),
        key("words", ARRAY, array(STRING, [text(word) for word in ("a", "bc", "ñ")])),
        key("numbers", ARRAY, array(U32, [u32(number) for number in range(5)])),
    ]
    tensors = [tensor("a", (4, 2), F32_TENSOR, 0), tensor("b", (8,), F32_TENSOR, 32)]
    return File(keys, tensors, bytes(64)).build()


@cache
def _safetensors() -> bytes:
    return safetensors(a=("F32", [2, 2], bytes(16)), b=("BF16", [3], bytes(6)), c=("F8_E4M3", [4], bytes(4)))


@cache
def _one(name: str) -> bytes:
    return safetensors(**{name: ("U8", [2], b"12")})


FUZZERS: dict[str, Callable[[random.Random, Path], None]] = {
    "gguf": gguf,
    "safetensors": safetensors_header,
    "index": index_file,
    "config": config,
    "tensorflow": tensorflow_index,
    "model": model,
}
