"""How far every family's logits are from those of Transformers, by file format and quantisation.

    python -m benchmarks.parity [--write DOCUMENT]

Prints a Markdown table; ``--write`` puts it where the document has the part ``parity``. The models are those of
tests/parity: tiny, with random weights. An error is the largest difference over the largest magnitude of the logits,
and of float32 the worst of reading a text whole, beside others, in chunks and from the cache. Needs the development
tools (torch, transformers, gguf).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.documents import write_parts
from myna import _native
from myna.settings import Quantisation
from tests.parity.cases import WAYS, build_case, whole
from tests.parity.models import CONFIGS
from tests.parity.runner import Runner

FORMATS = {"huggingface": "safetensors", "gguf": "GGUF"}
NOTES = """Instruction set {}, KV cache in float32. Random weights are harder to round than trained ones. Rows that are
no whole groups of 32 are kept as bf16 where w8 or w4 is asked for (gptneox-sequential, llama-linear). With a mixture of
experts rounding may send a token elsewhere, and the largest error is that token's."""
QUANTISATIONS: tuple[Quantisation, ...] = ("f32", "bf16", "w8", "w4")


def measure(name: str) -> dict[str, dict[str, float]]:
    """A model's errors by format and quantisation."""
    with tempfile.TemporaryDirectory() as directory:
        case = build_case(name, Path(directory))
        errors: dict[str, dict[str, float]] = {}
        for kind, path in case.files.items():
            exact = Runner(path)
            errors[kind] = {"f32": max(way(exact, case) for way in WAYS.values())}
            for quant in QUANTISATIONS[1:]:
                errors[kind][quant] = whole(Runner(path, quant), case)
        return errors


def render(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table, a model a row."""
    columns = [(kind, quant) for kind in FORMATS for quant in QUANTISATIONS]
    lines = [
        f"| model | {' | '.join(f'{FORMATS[kind]} {quant}' for kind, quant in columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for name, errors in results.items():
        cells = [f"{errors[kind][quant]:.1e}" if kind in errors else "" for kind, quant in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", NOTES.format(_native.instruction_sets()[0])])


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, nargs="*", default=[], metavar="DOCUMENT")
    arguments = parser.parse_args()
    table = render({name: measure(name) for name in CONFIGS})
    print(table)
    for document in arguments.write:
        write_parts(document, {"parity": table})


if __name__ == "__main__":
    main()
