from __future__ import annotations

import msgspec
import pytest

from myna import errors
from myna.engine.failures import describe_error, failed, rebuild_error

SAMPLES = {
    "PromptTooLong": errors.PromptTooLong(9, 8),
    "ModelFileError": errors.ModelFileError("a.gguf", "it is empty"),
    "LimitReached": errors.LimitReached("enough", unit="requests", retry_after=1.5),
    "RateLimited": errors.RateLimited("too many", unit="tokens", retry_after=2.0),
    "QuotaExhausted": errors.QuotaExhausted("used up", unit="tokens", retry_after=9.0),
    "TooManyAttempts": errors.TooManyAttempts("too often", retry_after=3),
    "LicenceNotAcknowledged": errors.LicenceNotAcknowledged("gemma:2b", "Gemma terms", None),
    "SourcesUnreachable": errors.SourcesUnreachable("a", [("hub", "no network")]),
}


@pytest.mark.parametrize("name", sorted(errors.__all__))
def test_every_error_arrives_as_what_it_was(name: str) -> None:
    error = SAMPLES.get(name) or getattr(errors, name)("what was wrong", param="field")
    described = msgspec.msgpack.decode(msgspec.msgpack.encode(describe_error(error)))
    rebuilt = rebuild_error(*described)
    assert type(rebuilt) is type(error)
    assert (str(rebuilt), rebuilt.param, rebuilt.code) == (str(error), error.param, error.code)
    assert {name: str(value) for name, value in vars(rebuilt).items() if name != "attempts"} == {
        name: str(value) for name, value in vars(error).items() if name != "attempts"
    }


def test_what_is_not_ours_becomes_an_engine_error_that_names_it() -> None:
    event = failed("id", KeyError("weights"))
    assert (event.request_id, event.error) == ("id", "EngineError")
    assert "KeyError: 'weights'" in event.message


@pytest.mark.parametrize("name", ["Unheard", "__name__", "annotations"])
def test_an_unknown_class_becomes_an_engine_error(name: str) -> None:
    assert type(rebuild_error(name, "text", None, {})) is errors.EngineError
