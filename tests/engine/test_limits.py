from __future__ import annotations

import math
from typing import Any

import pytest

from myna.engine.limits import check_params
from myna.engine.request import SamplingParams
from myna.errors import InvalidParameter


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("temperature", -0.1, "temperature is -0.1; it must be a number from 0 to 2"),
        ("temperature", math.nan, "temperature is nan"),
        ("temperature", "warm", "temperature is 'warm'"),
        ("top_p", 1.01, "from 0 to 1"),
        ("min_p", math.inf, "min_p is inf"),
        ("top_k", -1, "top_k is -1; it must be an integer"),
        ("top_k", 1.5, "top_k is 1.5; it must be an integer"),
        ("max_tokens", -1, "max_tokens is -1"),
        ("max_tokens", True, "max_tokens is True"),
        ("seed", 2**64, "seed is 18446744073709551616"),
        ("presence_penalty", 2.5, "from -2 to 2"),
        ("frequency_penalty", -2.5, "from -2 to 2"),
        ("repetition_penalty", 0, "repetition_penalty is 0"),
        ("logprobs", 21, "from 0 to 20"),
        ("prompt_logprobs", -1, "prompt_logprobs is -1"),
        ("stop", ("a",) * 17, "stop has 17 strings"),
        ("stop", ("",), "0 characters"),
        ("stop", ("a" * 1025,), "1025 characters"),
        ("logit_bias", {100: 1.0}, "token 100; this model has the tokens 0 to 99"),
        ("logit_bias", {5: -101.0}, "token 5 is -101"),
        ("logit_bias", {5: math.nan}, "token 5 is nan"),
    ],
)
def test_refused_with_field_value_and_range(field: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_params(SamplingParams(**{field: value}), vocab_size=100)
    assert caught.value.param == field
    assert said in caught.value.message


def test_the_edges_are_allowed() -> None:
    low = SamplingParams(0, 0, 0, 0, 0, 0.01, -2, -2, {0: -100.0}, -(2**63), ("a",), False, 0, 0)
    high = SamplingParams(10**6, 2, 1, 100, 1, 2, 2, 2, {99: 100.0}, 2**64 - 1, ("a" * 1024,) * 16, True, 20, 20)
    for params in (low, high, SamplingParams()):
        check_params(params, vocab_size=100)
