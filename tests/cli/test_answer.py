"""``myna run``: one answer on stdout, the same for the same seed, from arguments and pipes."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from myna.chat import Message
from myna.cli.answer import MAX_TOKENS, chat_params, conversation
from myna.hub.catalog import recommended_sampling
from tests.patience import WAIT_SECONDS
from tests.processes import MYNA, environment, myna
from tests.synthetic import write_model

QUESTION = "Name the capital city of France."


def test_it_answers(env: dict[str, str]) -> None:
    result = myna("run", QUESTION, "--temperature", "0", "--max-tokens", "30", env=env)
    assert result.returncode == 0, result.stderr
    assert "Paris" in result.stdout
    assert result.stdout.endswith("\n")
    assert result.stderr == ""


def test_an_answer_that_was_cut_off_is_said_to_be(env: dict[str, str]) -> None:
    result = myna("run", "Write a very long story about a bird.", "--seed", "1", "--max-tokens", "5", env=env)
    assert result.returncode == 0
    assert result.stderr == "(Cut off after 5 tokens; --max-tokens allows more.)\n"


def test_without_a_seed_the_answer_is_always_the_same(env: dict[str, str]) -> None:
    texts = {myna("run", "Tell a story", "--max-tokens", "15", env=env).stdout for _ in range(2)}
    assert len(texts) == 1


def test_the_same_seed_gives_the_same_text(env: dict[str, str]) -> None:
    texts = [
        myna("run", "Tell a story", "--seed", seed, "--temperature", "1", "--max-tokens", "25", env=env).stdout
        for seed in ("7", "7", "8")
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_dialect_can_be_chosen(tmp_path: Path) -> None:
    model = str(write_model(tmp_path / "tiny.gguf"))
    asked = ("run", "--model", model, "--json", "--max-tokens", "1", "hello", "--dialect")
    own, other = (json.loads(myna(*asked, name, env=environment(tmp_path)).stdout) for name in ("chatml", "alpaca"))
    assert own["prompt_tokens"] != other["prompt_tokens"]
    refused = myna(*asked, "whispering", env=environment(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith("myna: There is no dialect 'whispering'; there are alpaca,")


def test_a_backend_can_be_chosen(tmp_path: Path) -> None:
    model = str(write_model(tmp_path / "tiny.gguf"))
    refused = myna("run", "--model", model, "--backend", "transformers", "hello", env=environment(tmp_path))
    assert refused.returncode == 1
    assert "is no Hugging Face checkpoint" in refused.stderr
    unknown = myna("run", "--model", model, "--backend", "vllm", "hello", env=environment(tmp_path))
    assert "Setting backend = 'vllm'" in unknown.stderr


def test_piped_text_is_added_to_the_prompt(env: dict[str, str]) -> None:
    arguments = ("run", "--json", "--max-tokens", "1", "--seed", "1")
    alone = json.loads(myna(*arguments, "Sum it up:", env=env).stdout)
    piped = json.loads(myna(*arguments, "Sum it up:", env=env, stdin="many words " * 50).stdout)
    only = json.loads(myna(*arguments, env=env, stdin="Sum it up:\n").stdout)
    dash = json.loads(myna(*arguments, "-", env=env, stdin="Sum it up:\n").stdout)
    assert dash["prompt_tokens"] == only["prompt_tokens"]
    assert piped["prompt_tokens"] > alone["prompt_tokens"] + 90
    assert only["prompt_tokens"] == alone["prompt_tokens"]


def test_json_carries_text_and_figures(env: dict[str, str]) -> None:
    result = json.loads(myna("run", "Hi", "--json", "--max-tokens", "5", "--seed", "3", env=env).stdout)
    assert result["model"] == "smollm2:135m"
    assert result["text"]
    assert (result["finish_reason"], result["completion_tokens"], result["seed"]) == ("length", 5, 3)


def test_a_system_message_changes_the_prompt(env: dict[str, str]) -> None:
    arguments = ("run", "--json", "--max-tokens", "1", "Hi")
    plain = json.loads(myna(*arguments, env=env).stdout)
    told = json.loads(myna(*arguments, "--system", "Answer in verse, always, and never otherwise.", env=env).stdout)
    assert told["prompt_tokens"] != plain["prompt_tokens"]


def test_a_prompt_beyond_the_context_is_one_sentence(env: dict[str, str]) -> None:
    result = myna("run", env=env, stdin="word " * 9000)
    assert result.returncode == 1
    assert "8192" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_path_is_a_model(tmp_path: Path, tiny_model: Path) -> None:
    result = myna("run", "-m", str(tiny_model), "--max-tokens", "3", "Hi", env=environment(tmp_path))
    assert result.returncode == 0, result.stderr


def test_a_file_that_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(write_model(tmp_path / "whole.gguf").read_bytes()[:1000])
    result = myna("run", "-m", str(broken), "Hi", env=environment(tmp_path))
    assert result.returncode == 1
    assert "broken.gguf" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_at_once_and_nothing_behind(env: dict[str, str], number: int) -> None:
    command = [*MYNA, "run", "Write a very long story about a bird.", "--seed", "1"]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.read(1)
        children = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(number)
        code = run.wait(WAIT_SECONDS)
        assert b"Traceback" not in run.stderr.read()
    assert code == (130 if number == signal.SIGINT else -signal.SIGTERM)
    assert not psutil.wait_procs(children, timeout=WAIT_SECONDS)[1]


def test_a_reader_that_goes_ends_it_quietly(env: dict[str, str]) -> None:
    command = [*MYNA, "run", "Write a very long story about a bird.", "--seed", "1"]
    with subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.read(1)
        run.stdout.close()
        assert run.wait(WAIT_SECONDS) == 1
        assert run.stderr.read() == b""


def test_temperature_and_top_p_are_the_models_own_unless_told() -> None:
    advised = recommended_sampling("smollm2:135m")
    params = chat_params("smollm2:135m", seed=None, temperature=None)
    assert (params.temperature, params.top_p) == (advised.temperature, advised.top_p)
    assert chat_params("smollm2:135m", seed=None, temperature=0.0).temperature == 0
    assert params.max_tokens == MAX_TOKENS


def test_instructions_are_the_persons_or_else_the_makers() -> None:
    question = Message.of("user", "Hi")
    advised = recommended_sampling("smollm2:135m").system_prompt
    assert advised
    assert conversation("smollm2:135m", None, [question]) == (Message.of("system", advised), question)
    assert conversation("smollm2:135m", "Be brief.", [question]) == (Message.of("system", "Be brief."), question)
    assert conversation("smollm2:135m", "", [question]) == (question,)
