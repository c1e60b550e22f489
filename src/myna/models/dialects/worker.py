"""A process of its own for templates that nobody has looked at."""

from __future__ import annotations

from typing import Any

from myna.models.dialects.sandbox import MAX_OUTPUT, TemplateFailure, TemplateRefusal, render
from myna.models.killable import KillableProcess, answer_requests

RENDER_SECONDS = 2.0
MAX_MEMORY = 2**30
MAX_REPLY = 16 * MAX_OUTPUT
"""Bytes of a reply: a few renderings, at worst six bytes a character as JSON."""


class TemplateWorker:
    """Renders one template in a process that is started when first needed and replaced after it was killed."""

    def __init__(self, source: str, *, seconds: float = RENDER_SECONDS) -> None:
        self._source = source
        self._process = KillableProcess(__spec__.name, seconds=seconds, max_reply=MAX_REPLY)

    def render(self, variables: list[dict[str, Any]]) -> list[str]:
        """Render the template once for each entry. Raises TemplateRefusal or TemplateFailure."""
        try:
            answer = self._process.ask({"source": self._source, "variables": variables})
        except OSError as error:
            raise TemplateFailure(f"the process that renders it cannot be started ({error})") from error
        if answer is None:
            raise TemplateFailure(f"it did not finish within {self._process.seconds:g} s and {MAX_MEMORY >> 20} MiB")
        if "refusal" in answer:
            raise TemplateRefusal(answer["refusal"])
        if "failure" in answer:
            raise TemplateFailure(answer["failure"])
        outputs: list[str] = answer["outputs"]
        return outputs

    def close(self) -> None:
        """End the process, if there is one."""
        self._process.close()


def _answer(request: Any) -> dict[str, Any]:
    try:
        return {"outputs": [render(request["source"], variables) for variables in request["variables"]]}
    except TemplateRefusal as refusal:
        return {"refusal": str(refusal)}
    except TemplateFailure as failure:
        return {"failure": str(failure)}


if __name__ == "__main__":
    answer_requests(_answer, max_memory=MAX_MEMORY)
