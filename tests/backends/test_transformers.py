"""Models that PyTorch runs, through the whole engine: they write what Transformers itself would write."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from myna.backends.native import NativeBackend, in_process
from myna.chat import Message
from myna.engine.options import EngineOptions
from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.engine.start import choose_backend
from myna.errors import ConfigurationError, ModelFileError, ModelTooLarge, MynaError
from myna.models import torch_loader
from tests.foreign import SIZES, write_checkpoint
from tests.patience import WAIT_SECONDS

PROMPTS = ("The quick brown fox", "A myna is a bird that talks, and this is", "User and assistant take turns; the " * 9)
TOKENS = 24


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: write_checkpoint(tmp_path_factory.mktemp(family), family) for family in SIZES}


def options(path: Path, **more: object) -> EngineOptions:
    return EngineOptions(name="tiny", path=str(path), threads=1, kv_cache_bytes=8 << 20, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(path: Path, **more: object) -> AsyncIterator[NativeBackend]:
    async with asyncio.timeout(WAIT_SECONDS), in_process(options(path, **more)) as backend:
        yield backend


def ask(name: str, text: str, **params: object) -> GenerationRequest:
    given = {"max_tokens": TOKENS, "ignore_eos": True, "temperature": 0.0} | params
    return GenerationRequest(name, SamplingParams(**given), text=text)  # type: ignore[arg-type]


async def answer(backend: NativeBackend, request: GenerationRequest) -> list[int]:
    ids: list[int] = []
    async with aclosing(backend.generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                ids += event.token_ids
    return ids


def generated(path: Path, prompt: list[int]) -> list[int]:
    """What Transformers' own greedy search writes."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path).eval()
    with torch.inference_mode():
        ids = torch.tensor([prompt])
        for _ in range(TOKENS):  # its `generate` would end at an end token, and choose among the padding's rows
            logits = model(ids).logits[0, -1, :384]
            ids = torch.cat([ids, logits.argmax()[None, None]], 1)
    return ids[0, len(prompt) :].tolist()


@pytest.mark.parametrize("family", SIZES)
async def test_greedy_answers_are_those_of_transformers_alone_and_together(
    checkpoints: dict[str, Path], family: str
) -> None:
    path = checkpoints[family]
    assert choose_backend(path, "auto") == "transformers"
    async with opened(path, step_tokens=32) as backend:
        expected = [generated(path, await backend.tokenize(prompt)) for prompt in PROMPTS]
        assert await answer(backend, ask("alone", PROMPTS[0])) == expected[0]
        together = await asyncio.gather(*(answer(backend, ask(prompt, prompt)) for prompt in PROMPTS))
        assert together == expected
        counted = await backend.statistics()
        assert (counted["kv_blocks_used"], counted["kv_blocks_cached"]) == (0, 0)
        assert counted["draft_tokens_total"] == 0, "a recurrent state cannot take tokens back"


async def test_a_small_cache_preempts_and_changes_nothing(checkpoints: dict[str, Path]) -> None:
    small = EngineOptions(name="tiny", path=str(checkpoints["opt"]), threads=1, kv_cache_bytes=9 * 16 * 768)
    asked = [ask(f"r{index}", PROMPTS[0], seed=index, temperature=1.0, max_tokens=60) for index in range(3)]
    async with opened(checkpoints["opt"]) as backend:
        expected = [await answer(backend, each) for each in asked]
    async with asyncio.timeout(WAIT_SECONDS), in_process(small) as backend:
        assert await asyncio.gather(*(answer(backend, each) for each in asked)) == expected
        assert (await backend.statistics())["preemptions_total"] > 0


async def test_chats_seeds_stops_logprobs_and_cancelling_are_the_engines_own(checkpoints: dict[str, Path]) -> None:
    async with opened(checkpoints["stablelm"]) as backend:
        description = await backend.describe()
        assert (description.architecture, description.quantisation, description.context) == ("stablelm", "f32", 256)
        assert description.instruction_set.startswith("PyTorch")
        params = SamplingParams(max_tokens=9, seed=3, temperature=1.0, logprobs=2, prompt_logprobs=0, ignore_eos=True)
        chat = GenerationRequest("chat", params, messages=(Message.of("user", "hello"),))
        events = [event async for event in backend.generate(chat)]
        assert isinstance(events[0], Started)
        assert events[0].prompt_logprobs is not None
        assert all(entry.logprob < 0 for entry in events[0].prompt_logprobs[1:] if entry)
        logprobs = [entry for event in events if isinstance(event, Delta) for entry in event.logprobs or ()]
        assert [len(entry.top) for entry in logprobs] == [2] * 9
        again = [event async for event in backend.generate(chat)]
        assert [entry for event in again if isinstance(event, Delta) for entry in event.logprobs or ()] == logprobs
        assert isinstance(events[-1], Finished)
        async with aclosing(backend.generate(ask("long", PROMPTS[0], max_tokens=None))) as cancelled:
            await anext(cancelled)
        await answer(backend, ask("long", PROMPTS[0], max_tokens=1))
        assert (await backend.statistics())["kv_blocks_used"] == 0


def refused(path: Path, **more: object) -> MynaError:
    with pytest.raises(MynaError) as caught:
        torch_loader.load_torch_model(path, threads=1, **more)  # type: ignore[arg-type]
    return caught.value


def test_without_pytorch_the_error_says_how_to_install_it(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    error = refused(checkpoints["opt"])
    assert isinstance(error, ConfigurationError)
    assert 'pip install "myna[torch]"' in error.message


def test_what_cannot_be_run_is_refused_before_and_after_loading(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkpoints["opt"]
    assert "not as w4" in refused(path, quant="w4").message
    assert "can hold 256 tokens" in refused(path, context=257).message
    with monkeypatch.context() as patched:
        patched.setattr(torch_loader.hardware, "available_memory", lambda: 1 << 18)
        error = refused(path)
        assert isinstance(error, ModelTooLarge)
        assert "--quant bf16" in error.message

    from safetensors.numpy import load_file, save_file

    weights = load_file(path / "model.safetensors")
    for change, expected in (("missing", "is missing"), ("infinite", "not finite")):
        broken = tmp_path / change
        broken.mkdir()
        for file in path.iterdir():
            (broken / file.name).write_bytes(file.read_bytes())
        changed = {name: tensor.copy() for name, tensor in weights.items()}
        name = "model.decoder.layers.1.fc1.weight"
        if change == "missing":
            del changed[name]
        else:
            changed[name][0, 0] = float("inf")
        save_file(changed, broken / "model.safetensors", metadata={"format": "pt"})
        error = refused(broken)
        assert isinstance(error, ModelFileError)
        assert "fc1" in error.message
        assert expected in error.message


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
async def test_compiled_code_that_a_configuration_names_is_not_fetched(
    checkpoints: dict[str, Path], tmp_path: Path, key: str
) -> None:
    path = Path(shutil.copytree(checkpoints["opt"], tmp_path / "model"))
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {key: "stranger/kernels"}))
    async with opened(path) as backend, opened(checkpoints["opt"]) as plain:
        assert await answer(backend, ask("one", PROMPTS[0])) == await answer(plain, ask("one", PROMPTS[0]))


def test_an_adapter_beside_the_weights_cannot_name_others(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    path = Path(shutil.copytree(checkpoints["opt"], tmp_path / "model"))
    (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": "other"}))
    error = refused(path)
    assert isinstance(error, ModelFileError)
    assert "an adapter lies beside its weights" in error.message
