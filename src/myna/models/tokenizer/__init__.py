"""Text <-> tokens, from whatever files a model brings.

`vocabulary` has what all kinds of files lead to, `tokenizer` the one class that uses it, and each other module reads
one kind of file.
"""

from myna.models.tokenizer.directory import load_directory_tokenizer
from myna.models.tokenizer.load import chat_template, load_tokenizer
from myna.models.tokenizer.settings import MAX_TEMPLATE
from myna.models.tokenizer.tokenizer import Tokenizer
from myna.models.tokenizer.vocabulary import MAX_CONTROL_TOKENS, Kind

__all__ = [
    "MAX_CONTROL_TOKENS",
    "MAX_TEMPLATE",
    "Kind",
    "Tokenizer",
    "chat_template",
    "load_directory_tokenizer",
    "load_tokenizer",
]
