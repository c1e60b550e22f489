"""Licences of models: what they are called and what they let people do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LicenceClass = Literal["open", "community", "non-commercial", "use-restricted", "unknown"]


@dataclass(frozen=True, slots=True)
class Licence:
    """``id`` as model files and hubs spell it; ``url`` of its text."""

    id: str
    title: str
    licence_class: LicenceClass
    url: str | None = None

    @property
    def forbids(self) -> bool:
        """Whether it is known to forbid uses that an open licence allows."""
        return self.licence_class in ("community", "non-commercial", "use-restricted")


LICENCES = {
    licence.id: licence
    for licence in (
        Licence("apache-2.0", "Apache License 2.0", "open", "https://www.apache.org/licenses/LICENSE-2.0"),
        Licence("mit", "MIT License", "open", "https://opensource.org/license/mit"),
        Licence("bsd-3-clause", "BSD 3-Clause License", "open", "https://opensource.org/license/bsd-3-clause"),
        Licence("cc-by-4.0", "Creative Commons BY 4.0", "open", "https://creativecommons.org/licenses/by/4.0/"),
        Licence(
            "cc-by-sa-3.0", "Creative Commons BY-SA 3.0", "open", "https://creativecommons.org/licenses/by-sa/3.0/"
        ),
        Licence(
            "cc-by-nc-4.0",
            "Creative Commons BY-NC 4.0",
            "non-commercial",
            "https://creativecommons.org/licenses/by-nc/4.0/",
        ),
        Licence("llama2", "Llama 2 Community License", "community", "https://ai.meta.com/llama/license/"),
        Licence("llama3", "Llama 3 Community License", "community", "https://www.llama.com/llama3/license/"),
        Licence("llama3.1", "Llama 3.1 Community License", "community", "https://www.llama.com/llama3_1/license/"),
        Licence("llama3.2", "Llama 3.2 Community License", "community", "https://www.llama.com/llama3_2/license/"),
        Licence("llama3.3", "Llama 3.3 Community License", "community", "https://www.llama.com/llama3_3/license/"),
        Licence(
            "llama1-research",
            "LLaMA research licence of Meta (bespoke, non-commercial)",
            "non-commercial",
            "https://github.com/meta-llama/llama/blob/llama_v1/MODEL_CARD.md",
        ),
        Licence(
            "qwen-research",
            "Qwen Research License",
            "non-commercial",
            "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
        ),
        Licence("qwen", "Qwen License", "community", "https://huggingface.co/Qwen/Qwen2.5-72B/blob/main/LICENSE"),
        Licence(
            "gpt2-mit", "modified MIT License of GPT-2", "open", "https://github.com/openai/gpt-2/blob/master/LICENSE"
        ),
        Licence("gemma", "Gemma Terms of Use", "use-restricted", "https://ai.google.dev/gemma/terms"),
        Licence(
            "bigscience-bloom-rail-1.0",
            "BigScience RAIL License 1.0",
            "use-restricted",
            "https://huggingface.co/spaces/bigscience/license",
        ),
        Licence("creativeml-openrail-m", "CreativeML OpenRAIL-M", "use-restricted", None),
    )
}


def licence(identifier: str) -> Licence:
    """The licence of that id; one that is not known here has the class ``unknown``."""
    return LICENCES.get(identifier.lower()) or Licence(identifier, identifier, "unknown")
