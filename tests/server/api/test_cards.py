from __future__ import annotations

from pathlib import Path

from myna.hub.hub import Reference
from myna.models.descriptions import Descriptions
from myna.server.api.cards import chats, licence_of, thinks
from tests.synthetic import write_model


def test_what_the_files_say_of_a_model(tmp_path: Path) -> None:
    card = Descriptions().declared(write_model(tmp_path / "a.gguf"))
    assert card is not None
    assert (chats(card), thinks(card)) == (card.template is not None, False)
    assert (chats(None), thinks(None)) == (None, False)
    known = licence_of(Reference("hf:google/gemma-2-2b-it", "huggingface"), None)
    assert known is not None
    assert known.forbids
    assert licence_of(Reference("/tmp/a.gguf", "local"), None) is None
