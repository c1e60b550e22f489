"""Where a setting comes from, and what is said about one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from myna.errors import ConfigurationError
from myna.settings import Settings, has_display, load_settings


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MYNA_DATA_DIR", str(tmp_path))
    return tmp_path


def test_argument_beats_environment_beats_file_beats_default(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = load_settings().port
    (data_dir / "myna.toml").write_text("port = 1001\n")
    assert default != 1001
    assert load_settings().port == 1001
    monkeypatch.setenv("MYNA_PORT", "1002")
    assert load_settings().port == 1002
    assert load_settings(port=1003).port == 1003
    assert load_settings(port=None).port == 1002


def test_the_file_is_read_from_the_data_directory_of_the_argument(data_dir: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "myna.toml").write_text('model = "other"\n')
    assert load_settings(data_dir=other).model == "other"


def test_models_lie_in_the_data_directory_unless_told_otherwise(data_dir: Path, tmp_path: Path) -> None:
    assert load_settings().models_dir == data_dir / "models"
    assert load_settings(cache_dir=tmp_path / "cache").models_dir == tmp_path / "cache"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 70000", ["port = 70000", "65535"]),
        ('quant = "w3"', ["quant = 'w3'", "'w4'"]),
        ("prot = 1", ["no setting prot", "did you mean port"]),
        ("port = = 1", ["not valid TOML"]),
        ("threads = -1", ["threads = -1", "MYNA_THREADS"]),
    ],
)
def test_a_bad_file_is_refused_with_what_is_allowed(data_dir: Path, text: str, said: list[str]) -> None:
    (data_dir / "myna.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert all(part in caught.value.message for part in said), caught.value.message


def test_a_file_in_another_encoding_is_refused(data_dir: Path) -> None:
    (data_dir / "myna.toml").write_bytes(b"model = '\xff'")
    with pytest.raises(ConfigurationError, match="TOML"):
        load_settings()


def test_a_malformed_environment_variable_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYNA_ALLOWED_HOSTS", "not json")
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        load_settings()


def test_the_key_is_never_shown(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYNA_API_KEY", "very-secret-indeed")
    settings = load_settings()
    assert "very-secret-indeed" not in repr(settings)
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "very-secret-indeed"
    (data_dir / "myna.toml").write_text("api_key = 7777777\n")
    monkeypatch.delenv("MYNA_API_KEY")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "7777777" not in caught.value.message


@pytest.mark.parametrize(
    ("variables", "terminal", "expected"),
    [
        ({"DISPLAY": ":0"}, True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True, True),
        ({}, True, False),
        ({"DISPLAY": ":0"}, False, False),
        ({"DISPLAY": ":0", "CI": "true"}, True, False),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, True, False),
    ],
)
def test_a_browser_is_opened_only_where_somebody_sits(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], terminal: bool, expected: bool
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "CI", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert has_display() is expected


def test_every_setting_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name}`" not in page] == []
