"""Names that are safe on every system, whatever text they are made of."""

from __future__ import annotations

import pytest

from myna.server.filenames import MOST_BYTES, attachment, file_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A garden", "A garden"),
        ("Ein Garten für Jürgen", "Ein Garten für Jürgen"),
        ("花园 (2)", "花园 (2)"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\temp\\x", "C_temp_x"),
        ("a<b>|c?*\"d'", "a_b_c_d'"),
        ("line\nbreak\ttab\x00nul", "line break tabnul"),
        ("invoice\u202etxt.exe", "invoicetxt.exe"),
        ("\u2066hidden\u2069\u200b\ufeff", "hidden"),
        ("trailing. . ", "trailing"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("con .txt", "_con .txt"),
        ("lpt¹", "_lpt¹"),
        ("Console", "Console"),
        ("\udcff", "Untitled"),
        ("...", "Untitled"),
        ("", "Untitled"),
    ],
)
def test_what_becomes_of_a_text(text: str, name: str) -> None:
    assert file_name(text, "Untitled") == name


def test_a_long_name_is_cut_between_letters() -> None:
    assert file_name("花" * 200, "Untitled") == "花" * (MOST_BYTES // 3)


def test_a_browser_is_told_any_name() -> None:
    assert attachment('花"; x.md') == {"content-disposition": "attachment; filename*=UTF-8''%E8%8A%B1%22%3B%20x.md"}
