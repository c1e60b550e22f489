"""Small vocabularies of every style, trained here, in the files that models publish them in."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from myna.models.pretokenizers import BYTE_LEVEL

ROOT = Path(__file__).resolve().parents[1]
ACCENTS = (
    "Grüße aus Zürich, naïve café, coöperate. Привет мир, это текст. "
    "日本語のテキストと中文文本。 don't we'll I'm 12 345 ½\n"
)


@lru_cache(maxsize=1)
def corpus() -> tuple[str, ...]:
    """Text of this repository, and some of other scripts."""
    files = [ROOT / "LICENSE", ROOT / "src/myna/errors.py", ROOT / "src/myna/models/program.py"]
    return (*(path.read_text(encoding="utf-8") for path in files), ACCENTS * 4)


def _train(tokenizer: Tokenizer, special: list[str], size: int = 700, **options: Any) -> Tokenizer:
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False, **options)
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def _byte_level(pre: str, special: list[str], *, ignore_merges: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    rules = BYTE_LEVEL[pre]
    tokenizer.pre_tokenizer = rules.pre_tokenizer()
    if rules.normalizer is not None:
        tokenizer.normalizer = rules.normalizer()
    return _train(tokenizer, special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def gpt2() -> Tokenizer:
    return _byte_level("gpt-2", ["<|endoftext|>"])


def roberta() -> Tokenizer:
    """A space before text, and the oldest way to put tokens around it."""
    tokenizer = _byte_level("gpt-2", ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def neox() -> Tokenizer:
    tokenizer = _byte_level("olmo", ["<|endoftext|>", "<|padding|>"])
    tokenizer.add_tokens([AddedToken(" " * count, normalized=True) for count in range(2, 9)])
    return tokenizer


def llama3() -> Tokenizer:
    tokenizer = _byte_level(
        "llama3",
        ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>"],
        ignore_merges=True,
    )
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing("<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]),
        ]
    )
    return tokenizer


def qwen() -> Tokenizer:
    tokenizer = _byte_level("qwen2", [])
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False)])
    return tokenizer


def bloom() -> Tokenizer:
    return _byte_level("bloom", ["<unk>", "<s>", "</s>", "<pad>"])


def _spaced(special: list[str]) -> Tokenizer:
    """SentencePiece's style: bytes for what has no piece."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    return _train(tokenizer, [*special, *(f"<0x{byte:02X}>" for byte in range(256))], size=900, limit_alphabet=90)


def _unspecial(tokenizer: Tokenizer) -> Tokenizer:
    """Bytes are trained as special tokens, but published as pieces."""
    written = json.loads(tokenizer.to_str())
    written["added_tokens"] = [token for token in written["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(written))


def llama2_legacy() -> Tokenizer:
    tokenizer = _unspecial(_spaced(["<unk>", "<s>", "</s>"]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = None  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def llama2() -> Tokenizer:
    tokenizer = llama2_legacy()
    tokenizer.normalizer = None  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer


def mistral3() -> Tokenizer:
    """Control tokens in the vocabulary, a space before every stretch of text."""
    tokenizer = llama2()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.add_special_tokens(["[INST]", "[/INST]"])
    return tokenizer


def gemma() -> Tokenizer:
    tokenizer = _unspecial(_spaced(["<pad>", "<eos>", "<bos>", "<unk>"]))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens(["<start_of_turn>", "<end_of_turn>"])
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("<td>", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing("<bos> $A", special_tokens=[("<bos>", 2)])
    return tokenizer


def phi3() -> Tokenizer:
    tokenizer = llama2_legacy()
    tokenizer.add_special_tokens(
        [AddedToken(name, rstrip=True) for name in ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")]
    )
    return tokenizer


def bert() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        corpus(), trainers.WordPieceTrainer(vocab_size=900, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def xlm_roberta() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=700, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


STYLES: dict[str, tuple[Callable[[], Tokenizer], dict[str, Any]]] = {
    "gpt2": (gpt2, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}),
    "roberta": (roberta, {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>"}),
    "neox": (neox, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}),
    "llama3": (llama3, {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}),
    "qwen": (qwen, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "add_bos_token": False}),
    "bloom": (bloom, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    "llama2 legacy": (llama2_legacy, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    "llama2": (llama2, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    "mistral3": (mistral3, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    "gemma": (gemma, {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}),
    "phi3": (phi3, {"bos_token": "<s>", "eos_token": "<|end|>", "unk_token": "<unk>"}),
    "bert": (bert, {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "mask_token": "[MASK]"}),
    "xlm-roberta": (xlm_roberta, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
}


def write_vocabulary(directory: Path, style: str, **options: Any) -> Path:
    """Write tokenizer.json and tokenizer_config.json of a style; ``options`` are further keys of the latter."""
    make, special = STYLES[style]
    directory.mkdir(parents=True, exist_ok=True)
    make().save(str(directory / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **special, **options}
    (directory / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory
