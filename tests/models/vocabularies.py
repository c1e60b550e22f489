"""Small real tokenizers for directories of tiny models, as the library that models bring them from writes them."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from myna.models.pretokenizers import BYTE_LEVEL

TEXT = [
    "The capital city of France is Paris, and the capital of Spain is Madrid.",
    "It's 2026: they don't count 1234567 birds. They do, though!",
    "Grüße aus Köln — naïve façades, 你好 and Привет.",
]
SPECIAL = ["<unk>", "<s>", "</s>"]
"""Where Llama's configuration expects them."""
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"


def write_byte_level(directory: Path, pre: str = "gpt-2", size: int = 300) -> None:
    """tokenizer.json of a byte-level vocabulary that cuts text as ``pre`` does."""
    rules = BYTE_LEVEL[pre]
    core = Tokenizer(models.BPE(ignore_merges=rules.ignore_merges))
    core.pre_tokenizer = rules.pre_tokenizer()
    if rules.normalizer is not None:
        core.normalizer = rules.normalizer()
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(TEXT, trainer)
    _save(core, directory)


def write_sentencepiece(directory: Path, size: int = 310) -> None:
    """tokenizer.json of a SentencePiece vocabulary with byte fallback, as Llama 2's was converted."""
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=50, show_progress=False))
    learnt = json.loads(core.to_str())["model"]
    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *learnt["vocab"]][:size]
    merges = [merge for merge in map(tuple, learnt["merges"]) if "".join(merge) in pieces]
    vocabulary = {piece: id_ for id_, piece in enumerate(pieces)}
    whole = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    whole.normalizer = core.normalizer
    whole.add_special_tokens(SPECIAL)
    whole.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    _save(whole, directory)


def write_words(directory: Path, size: int) -> None:
    """vocab.txt of a WordPiece vocabulary."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "bird", "##s", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    words += [f"[unused{number}]" for number in range(size - len(words))]
    (directory / "vocab.txt").write_text("\n".join(words) + "\n")


def _save(core: Tokenizer, directory: Path) -> None:
    begin = core.token_to_id("<s>")
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begin)])
    core.save(str(directory / "tokenizer.json"))
    settings = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "chat_template": TEMPLATE,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
