"""Writing a model as another kind of file: anything that can be read -> one GGUF file, or a checkpoint directory.

`gguf`, `directory` and `gguf_to_directory` plan what is written; the way back of what `myna.models.families` and
`myna.models.tokenizer` read is in `gguf_keys` and `config_json`, `gguf_tokenizer` and `tokenizer_json`. Whatever is
planned is read back by the family's own layout before a byte is written (`readback`), so that a file which would mean
another model is refused instead.
"""

from myna.models.convert.directory import DTYPES, DirectoryConversion, plan_directory, write_beside
from myna.models.convert.gguf import FILE_TYPES, Conversion, TargetType, plan_gguf
from myna.models.convert.gguf_to_directory import plan_from_gguf

__all__ = [
    "DTYPES",
    "FILE_TYPES",
    "Conversion",
    "DirectoryConversion",
    "TargetType",
    "plan_directory",
    "plan_from_gguf",
    "plan_gguf",
    "write_beside",
]
