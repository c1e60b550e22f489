from __future__ import annotations

from pathlib import Path

from myna.hub.hub import Reference
from myna.server.api.cards import Cards, chats, licence_of, thinks
from tests.synthetic import write_model


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    cards, path = Cards(), write_model(tmp_path / "a.gguf")
    first = cards.of(path)
    assert first is not None
    assert cards.of(path) is first
    write_model(path, mlp_width=256)
    changed = cards.of(path)
    assert changed is not None
    assert changed.parameters != first.parameters
    path.write_bytes(b"nonsense")
    assert cards.of(path) is None
    path.unlink()
    assert cards.of(path) is None
    assert cards.of(None) is None


def test_what_the_files_say_of_a_model(tmp_path: Path) -> None:
    card = Cards().of(write_model(tmp_path / "a.gguf"))
    assert card is not None
    assert (chats(card), thinks(card)) == (card.template is not None, False)
    assert (chats(None), thinks(None)) == (None, False)
    known = licence_of(Reference("hf:google/gemma-2-2b-it", "huggingface"), None)
    assert known is not None
    assert known.forbids
    assert licence_of(Reference("/tmp/a.gguf", "local"), None) is None
