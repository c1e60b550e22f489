"""The command line as a whole: help, versions, exit codes, one sentence for what went wrong."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import myna as package
from myna.cli import main
from tests.processes import environment, myna

VERBS = ["serve", "chat", "run", "pull", "models", "show", "convert", "rm", "doctor", "accounts", "audit"]


@dataclass
class Result:
    code: object
    out: str
    err: str


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory without anything, models included."""
    monkeypatch.setenv("MYNA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MYNA_CACHE_DIR", raising=False)
    monkeypatch.delenv("MYNA_API_KEY", raising=False)
    return tmp_path / "data"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """A command in this process, which is quicker than one of its own."""

    def invoke(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["myna", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = capsys.readouterr()
        return Result(caught.value.code, captured.out, captured.err)

    return invoke


def test_a_process_leaves_with_the_code(bare: Path) -> None:
    env = environment(bare)
    assert myna("--version", env=env).stdout == f"myna {package.__version__}\n"
    wrong = myna("show", "nonsense", env=env)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("myna: There is no model 'nonsense'.")
    assert myna("brew", env=env).returncode == 2


def test_help_lists_every_verb_with_examples(run) -> None:  # type: ignore[no-untyped-def]
    result = run("--help")
    assert result.code == 0
    assert all(f"\n  {verb} " in result.out for verb in VERBS)
    assert not re.search(r"[\w,:;]\.\.\.$", result.out, re.MULTILINE), "each verb's sentence is whole"
    assert "Examples:\n    myna " in result.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(run, verb: str) -> None:  # type: ignore[no-untyped-def]
    result = run(verb, "--help")
    assert result.code == 0
    assert f"myna {verb}" in result.out.split("Example")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["brew"], 2, "No such command 'brew'"),
        (["run", "--frobnicate", "x"], 2, "--frobnicate"),
        (["run", "--temperature", "9", "x"], 2, "--temperature"),
        (["run", "--seed", "-1", "x"], 2, "--seed"),
        (["run", "--max-tokens", "0", "x"], 2, "--max-tokens"),
        (["run"], 2, "give a prompt"),
        (["rm"], 2, "NAME"),
        (["--port", "70000"], 2, "--port"),
        (["run", "-m", "smolm2:135m", "x"], 1, "Did you mean smollm2:135m?"),
        (["chat", "-m", "smolm2:135m"], 1, "Did you mean smollm2:135m?"),
        (["--model", "smolm2:135m", "--port", "0"], 1, "Did you mean smollm2:135m?"),
        (["run", "-m", "./missing.gguf", "x"], 1, "missing.gguf"),
        (["run", "--quant", "w3", "x"], 1, "'w4'"),
        (["show", "nonsense"], 1, "There is no model 'nonsense'"),
        (["rm", "smollm2:135m"], 1, "was not pulled"),
        (["serve", "--host", "192.0.2.1"], 1, "not an address of this machine"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_remedy(run, arguments: list[str], code: int, said: str) -> None:  # type: ignore[no-untyped-def]
    result = run(*arguments)
    assert result.code == code, result.err
    assert said in result.err
    assert result.out == ""


def test_a_broken_configuration_file_is_one_sentence(run, bare: Path) -> None:  # type: ignore[no-untyped-def]
    bare.mkdir()
    (bare / "myna.toml").write_text("prot = 1")
    result = run("models")
    assert result.code == 1
    assert "did you mean port?" in result.err
