"""Which files of a repository make a model: pure choice, nothing is fetched."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from myna.hub.licence_texts import is_licence_text
from myna.hub.sources.base import SourceError

PREFERRED = (
    *("Q4_0", "Q4_1", "Q4_K"),
    *("Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "IQ4_NL", "MXFP4"),
    *("BF16", "F16", "F32"),
    *("Q3_K", "Q2_K"),
)
"""Quantisations to choose from when no file is named, fastest first, and last those that cost much of the quality."""

COMPANIONS = frozenset(
    (
        *("config.json", "generation_config.json", "modules.json", "1_Pooling/config.json"),
        *("config_sentence_transformers.json", "sentence_bert_config.json", "adapter_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
        *("tokenizer.model", "sentencepiece.bpe.model", "spiece.model", "tekken.json"),
        *("vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "vocab.txt"),
        *("chat_template.jinja", "chat_template.json", "README.md"),
    )
)
"""What is fetched beside weights, and the texts of licences. Anything else stays where it is: code above all."""

_SAFETENSORS = re.compile(r"model(-[0-9]{5}-of-[0-9]{5})?\.safetensors|model\.safetensors\.index\.json")
_PICKLES = re.compile(r"pytorch_model(-[0-9]{5}-of-[0-9]{5})?\.bin|pytorch_model\.bin\.index\.json")
_FIRST_PART = re.compile(r"(?P<stem>.+)-00001-of-(?P<count>[0-9]{5})\.gguf")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Files to fetch, and which of them is the model; None: their directory is."""

    files: tuple[str, ...]
    main: str | None


def choose_files(files: list[str], wanted: str | None) -> Chosen:
    """The wanted file with what belongs to it, or the best GGUF file, or the safetensors.

    Raises:
        SourceError: there is no such file, or none that can be used, naming what there is.
    """
    if wanted is None and not any(file.lower().endswith(".gguf") for file in files):
        return _directory(files)
    if wanted is not None and not wanted.lower().endswith(".gguf"):
        return _named_weights(files, wanted)
    main = choose_gguf(files, wanted)
    if (match := _FIRST_PART.fullmatch(main)) is None:
        return Chosen((main,), main)
    count = int(match["count"])
    parts = tuple(f"{match['stem']}-{number:05d}-of-{match['count']}.gguf" for number in range(1, count + 1))
    if missing := sorted(set(parts) - set(files)):
        raise SourceError(f"{main} is one of {count} parts, but there is no {missing[0]}")
    return Chosen(parts, main)


def choose_gguf(files: list[str], wanted: str | None) -> str:
    """The wanted file, or the GGUF file that runs fastest. Raises SourceError naming what there is."""
    models = sorted(file for file in files if file.lower().endswith(".gguf"))
    if wanted is not None:
        if wanted in files:
            return wanted
        raise _no_such_file(wanted, models)
    for quantisation in PREFERRED:
        for file in models:
            if quantisation in file.upper():
                return file
    raise SourceError(f"no file of a supported quantisation; there are {', '.join(models[:8])}")


def _directory(files: list[str]) -> Chosen:
    weights = [file for file in files if _SAFETENSORS.fullmatch(file)]
    if any(re.search("-[0-9]{5}-of-", file) for file in weights):
        weights.remove("model.safetensors") if "model.safetensors" in weights else None
    if "config.json" not in files and "adapter_config.json" in files:
        weights = [file for file in files if file == "adapter_model.safetensors"]
    elif "config.json" not in files:
        weights = []
    if weights:
        return Chosen(_with_companions(weights, files), None)
    if pickles := sorted(file for file in files if _PICKLES.fullmatch(file)):
        raise SourceError(
            f"its weights are PyTorch pickles ({pickles[0]}), which can hold code; they are fetched only when named, "
            f"as in hf:owner/repo:{pickles[0]}"
        )
    raise SourceError("it has no GGUF file, and no config.json with model.safetensors")


def _named_weights(files: list[str], wanted: str) -> Chosen:
    """Weights that the user named, pickles too; one part brings the others along."""
    if wanted not in files:
        raise _no_such_file(wanted, sorted(file for file in files if file.endswith((".safetensors", ".bin", ".pth"))))
    weights = [wanted]
    for family in (_SAFETENSORS, _PICKLES):
        if family.fullmatch(wanted) and re.search("-[0-9]{5}-of-|index", wanted):
            weights = [file for file in files if family.fullmatch(file) and re.search("-[0-9]{5}-of-|index", file)]
    return Chosen(_with_companions(weights, files), None)


def _with_companions(weights: list[str], files: list[str]) -> tuple[str, ...]:
    texts = (file for file in files if is_licence_text(file))
    return tuple(sorted({*weights, *COMPANIONS.intersection(files), *texts}))


def _no_such_file(wanted: str, files: list[str]) -> SourceError:
    close = difflib.get_close_matches(wanted, files, n=1, cutoff=0.3)
    return SourceError(f"there is no file {wanted}" + (f"; did you mean {close[0]}?" if close else ""))
