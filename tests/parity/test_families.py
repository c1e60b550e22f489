"""Every decoder family against Transformers, on tiny random weights, from both kinds of files.

In float32 the errors are of the order of 1e-6. What fewer bits add is rounding of weights and activations: random
weights have none of the structure that makes trained ones forgiving, so those bounds are wide.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from myna import _native
from myna.settings import Quantisation
from tests.parity import models
from tests.parity.cases import WAYS, Case, build_case
from tests.parity.runner import Runner, relative_error, token_errors

EXACT = 2e-5
ROUNDED: dict[Quantisation, float] = {"bf16": 0.03, "w8": 0.1, "w4": 0.7}


@pytest.fixture(scope="module", params=models.CONFIGS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return build_case(request.param, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module", params=["huggingface", "gguf"])
def runner(request: pytest.FixtureRequest, case: Case) -> Runner:
    if request.param not in case.files:
        pytest.skip("no program reads GGUF files of this architecture")
    return Runner(case.files[request.param])


@pytest.mark.parametrize("way", WAYS)
def test_logits_agree_however_a_text_is_read(case: Case, runner: Runner, way: str) -> None:
    assert WAYS[way](runner, case) < EXACT


@pytest.mark.parametrize("quant", ["f32", "w8", "w4"])
def test_bits_are_the_same_however_a_text_is_read(case: Case, quant: Quantisation) -> None:
    runner = Runner(case.files["huggingface"], quant)
    whole = runner.whole(case.texts[0])
    assert np.array_equal(runner.together(case.texts)[0], whole)
    assert np.array_equal(runner.in_chunks(case.texts[0], [5, 17, 1]), whole)


@pytest.mark.parametrize("instruction_set", _native.instruction_sets()[1:])
def test_lesser_processors_agree(case: Case, instruction_set: str) -> None:
    runner = Runner(case.files["huggingface"], instruction_set=instruction_set)
    assert WAYS["beside others"](runner, case) < EXACT


@pytest.mark.parametrize("quant", ROUNDED)
def test_logits_in_fewer_bits_stay_near(case: Case, quant: Quantisation) -> None:
    runner = Runner(case.files["huggingface"], quant)
    errors = token_errors(runner.whole(case.texts[0]), case.expected[0])
    # Rounding may send a token to another expert, and then its logits are another model's.
    error = errors.max() if runner.config.experts is None else np.median(errors)
    assert error < ROUNDED[quant]


@pytest.mark.parametrize("kind", ["huggingface", "gguf"])
def test_short_contexts_turn_by_their_own_factors(tmp_path: Path, kind: str) -> None:
    model = models.build("phi3-long")
    case = build_case("phi3-long", tmp_path)
    text = case.texts[0][:32]
    runner = Runner(case.files[kind], context=32)
    assert relative_error(runner.whole(text), models.expected_logits(model, text)) < EXACT


@pytest.mark.parametrize("kind", ["huggingface", "gguf"])
def test_padding_of_the_vocabulary_is_never_a_token(tmp_path: Path, kind: str) -> None:
    case = build_case("bloom", tmp_path)
    real = models.VOCABULARY - 23
    text = [token % real for token in case.texts[0]]
    expected = models.expected_logits(models.build("bloom"), text)
    assert relative_error(Runner(case.files[kind], vocabulary=real).whole(text), expected[:, :real]) < EXACT
