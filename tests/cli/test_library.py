"""``myna pull|models|show|rm``: what is on disk, what could be, and what went wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from myna.models.loader import load_model
from tests.processes import environment, myna
from tests.synthetic import write_model


@pytest.fixture
def empty(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "data", MYNA_CACHE_DIR=str(tmp_path / "models"))


def test_what_is_there_is_not_fetched_again(env: dict[str, str], default_model: Path) -> None:
    result = myna("pull", env=env)
    assert result.returncode == 0
    assert result.stdout.strip() == str(default_model)
    assert result.stderr == ""


def test_models_are_listed_with_their_place(env: dict[str, str], empty: dict[str, str]) -> None:
    lines = [" ".join(line.split()) for line in myna("models", env=env).stdout.splitlines()]
    assert "smollm2:135m 98.4 MB, on disk, apache-2.0, default" in lines
    assert {"all-minilm:l6 91.6 MB, not fetched, apache-2.0", "all-minilm:l6 91.6 MB, on disk, apache-2.0"} & set(lines)
    assert "not fetched" in myna("models", env=empty).stdout
    [row] = [row for row in json.loads(myna("models", "--json", env=env).stdout) if row["name"] == "smollm2:135m"]
    assert {"on_disk": True, "default": True, "bytes": 98362432}.items() <= row.items()


def test_show_tells_what_a_model_is_and_takes(env: dict[str, str]) -> None:
    shown = json.loads(myna("show", "--json", env=env).stdout)
    assert shown["name"] == "smollm2:135m"
    assert shown["context"] == 8192
    assert shown["parameters"] == 134515008
    assert shown["title"] == "SmolLM2 135M Instruct"
    assert shown["memory"]["auto"] == 96_576_768
    assert shown.keys() >= {"sha256", "source", "fetched_at"}
    assert shown["instruction_set"]
    assert shown["template"].startswith("{% for message in messages %}")
    text = myna("show", "smollm2:135m", env=env).stdout
    assert "apache-2.0 (open)" in text
    assert "Q4_1 66.4 MB, Q8_0 30.1 MB" in text
    assert shown["template"] in text


def test_show_spells_out_what_would_steer_the_terminal(tmp_path: Path, env: dict[str, str]) -> None:
    path = write_model(tmp_path / "model.gguf", layers=1, chat_template="{{ messages }}\x1b[2J\nend")
    text = myna("show", str(path), env=env).stdout
    assert "\n{{ messages }}\\x1b[2J\nend" in text


def test_show_of_a_model_that_is_not_there_tells_what_is_known(empty: dict[str, str]) -> None:
    text = myna("show", env=empty).stdout
    assert "apache-2.0" in text
    assert "myna pull" in text


def test_removing_frees_the_disk(empty: dict[str, str], default_model: Path) -> None:
    shared, cache = default_model.parent.parent, Path(empty["MYNA_CACHE_DIR"])
    for path in (default_model, *(shared / "names").glob("smollm2*")):  # others come and go while this one is copied
        copy = cache / path.relative_to(shared)
        copy.parent.mkdir(parents=True)
        shutil.copy(path, copy)
    gone = write_model(cache / "gone.gguf", layers=1)
    load_model(gone, quant="w8", threads=1, packed_dir=cache / "packed")
    gone.unlink()
    result = myna("rm", "smollm2:135m", env=empty)
    assert result.returncode == 0, result.stderr
    assert "98.4 MB" in result.stdout
    assert not [*cache.rglob("*.gguf"), *cache.rglob("*.packed")]
    assert myna("rm", "smollm2:135m", env=empty).returncode == 1


def test_without_a_network_every_source_is_named_with_its_reason(empty: dict[str, str]) -> None:
    nowhere = "http://127.0.0.1:9"
    offline = dict.fromkeys(
        ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"), nowhere
    )
    offline |= {"NO_PROXY": "", "no_proxy": "", "PIP_INDEX_URL": f"{nowhere}/simple", "PIP_RETRIES": "0"}
    offline |= {"UV_INDEX_URL": f"{nowhere}/simple", "PIP_CONFIG_FILE": "/dev/null", "HF_HUB_OFFLINE": "1"}
    result = myna("pull", env=empty | offline)
    assert result.returncode == 1
    assert "could not be fetched. Tried, in order:\n  - " in result.stderr
    assert "GGUF" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    result = myna("pull", env=environment(tmp_path / "data", MYNA_CACHE_DIR=str(blocked / "models")))
    assert result.returncode == 1
    assert str(blocked) in result.stderr
    assert "Traceback" not in result.stderr
