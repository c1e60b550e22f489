"""What the small JSON files beside a Hugging Face vocabulary say: which tokens are special, and the chat template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myna.errors import ModelFileError
from myna.formats.jsonfile import read_object
from myna.models.tokenizer.files import read_text
from myna.models.tokenizer.vocabulary import MAX_CONTROL_TOKENS, MAX_TOKENS

MAX_TEMPLATE = 2**20
"""Characters of a chat template; the longest of real models have 20,000."""

MAX_CONFIG = 2**23
"""Bytes of a tokenizer_config.json; some list every reserved token."""

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class Added:
    """A token beside the merged vocabulary. Special ones are control, the others are found in text."""

    content: str
    special: bool
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


@dataclass(frozen=True, slots=True)
class TokenizerSettings:
    """``special``: tokens by their part (``bos_token`` …); ``control``: further control tokens by name.

    ``end_ids``: token ids that end an answer. ``options``: everything of tokenizer_config.json.
    """

    special: Mapping[str, str] = field(default_factory=dict)
    control: frozenset[str] = frozenset()
    added: Mapping[int, Added] = field(default_factory=dict)
    end_ids: tuple[int, ...] = ()
    chat_template: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def flag(self, name: str, default: bool) -> bool:
        """A yes or no of tokenizer_config.json; of another type it counts as absent."""
        value = self.options.get(name)
        return value if isinstance(value, bool) else default


def read_settings(directory: Path) -> TokenizerSettings:
    """Read what there is of tokenizer_config.json, special_tokens_map.json and the others.

    Raises:
        ModelFileError: one of them is broken, or names what cannot be.
    """
    options = _optional(directory / "tokenizer_config.json")
    merged = {**_optional(directory / "special_tokens_map.json"), **options}
    special = {name: content for name in NAMED if (content := _content(merged.get(name)))}
    further = merged.get("additional_special_tokens", merged.get("extra_special_tokens"))
    control = frozenset(filter(None, map(_content, further if isinstance(further, list) else ())))
    added = dict(_older_added_tokens(directory))
    path = directory / "tokenizer_config.json"
    written = options.get("added_tokens_decoder", {})
    if isinstance(written, dict):
        for key, value in written.items():
            if not key.isascii() or not key.isdigit():
                raise ModelFileError(path, f"added_tokens_decoder has the id {key!r:.40}")
            added[checked_id(path, int(key[:12]))] = added_token(path, value)
    if len(added) > MAX_CONTROL_TOKENS:
        raise ModelFileError(path, f"it adds {len(added)} tokens, more than {MAX_CONTROL_TOKENS}")
    return TokenizerSettings(
        special, control, added, tuple(_end_ids(directory)), read_chat_template(directory, options), options
    )


def read_chat_template(directory: Path, options: Mapping[str, Any] | None = None) -> str:
    """The chat template of a model's directory, or nothing: a file of its own wins over tokenizer_config.json's.

    Raises:
        ModelFileError: it is too long, or not text.
    """
    path = directory / "chat_template.jinja"
    if path.is_file():
        return _checked_template(path, read_text(path, 4 * MAX_TEMPLATE))
    path = directory / "chat_template.json"
    if path.is_file():
        return _checked_template(path, read_object(path, 4 * MAX_TEMPLATE).get("chat_template"))
    path = directory / "tokenizer_config.json"
    if options is None:
        options = _optional(path)
    template = options.get("chat_template")
    if isinstance(template, list):  # several by name, for tools or retrieval
        named = {each.get("name"): each.get("template") for each in template if isinstance(each, dict)}
        template = named.get("default")
    return _checked_template(path, template)


def added_token(path: Path, value: Any) -> Added:
    """An added token as tokenizer.json and tokenizer_config.json write it. Raises ModelFileError."""
    if not isinstance(value, dict) or not isinstance(content := value.get("content"), str) or not content:
        raise ModelFileError(path, f"an added token is {value!r:.60}")
    flags = {name: value.get(name, False) for name in ("special", "single_word", "lstrip", "rstrip", "normalized")}
    if wrong := [name for name, flag in flags.items() if not isinstance(flag, bool)]:
        raise ModelFileError(path, f"{wrong[0]} of the added token {content!r:.60} is neither true nor false")
    return Added(content, **flags)


def checked_id(path: Path, value: Any) -> int:
    """A token id. Raises ModelFileError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_TOKENS:
        raise ModelFileError(path, f"a token has the id {value!r:.40}, expected 0 to {MAX_TOKENS - 1}")
    return value


def _end_ids(directory: Path) -> Iterator[int]:
    """What generation_config.json, or else config.json, says an answer ends with: one id or several."""
    for name in ("generation_config.json", "config.json"):
        ends = _optional(directory / name).get("eos_token_id")
        if ends is not None:
            for end in ends if isinstance(ends, list) else [ends]:
                if isinstance(end, int) and not isinstance(end, bool):
                    yield end
            return


def _older_added_tokens(directory: Path) -> Iterator[tuple[int, Added]]:
    """added_tokens.json: only names and ids. Runs of spaces are text, all else was control more often than not."""
    path = directory / "added_tokens.json"
    for content, id_ in _optional(path).items():
        if content:
            yield checked_id(path, id_), Added(content, special=bool(content.strip()))


def _content(value: Any) -> str:
    """A special token is written by name or as an added token."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _checked_template(path: Path, template: Any) -> str:
    if template is None:
        return ""
    if not isinstance(template, str):
        raise ModelFileError(path, "its chat template is not text")
    if len(template) > MAX_TEMPLATE:
        raise ModelFileError(path, f"its chat template has {len(template)} characters, more than {MAX_TEMPLATE}")
    return template


def _optional(path: Path) -> dict[str, Any]:
    return read_object(path, MAX_CONFIG) if path.is_file() else {}
