"""Bounds on what a stranger may send: each has a default that no sensible request meets."""

from __future__ import annotations

MAX_BODY_BYTES = 16 << 20
"""Largest request body; text of a context of a million tokens fits."""
MAX_ACCOUNT_BODY_BYTES = 64 << 10
"""Of the routes about accounts, of which strangers may use some: reading a large body takes seconds."""
FORM_OVERHEAD_BYTES = 64 << 10
"""What a form may have around its file."""
MAX_HEADER_BYTES = 64 << 10
"""A request's head; what comes in one read (256 KiB at most) is not cut."""
HEAD_SECONDS = 30
"""How long a connection may take to send one."""
BODY_SECONDS = 30
"""How long a body may pause, and take in all beyond what its bytes are given."""
BODY_BYTES_A_SECOND = 4096
"""How fast a body has to come: time is given for what has arrived, so that large files may take as they need."""
MAX_MESSAGES = 10_000
MAX_MESSAGE_PARTS = 1_000
MAX_TOOLS = 128
"""As OpenAI has it."""
MAX_TOOL_CALLS = 128
"""In one message."""
MAX_SCHEMA_DEPTH = 64
MAX_PROMPTS = 64
"""Prompts in one request for completions."""
MAX_CHOICES = 128
"""Answers to one request, those to compare included; as OpenAI has it."""
MAX_EMBEDDING_INPUTS = 2048
"""Texts in one request for embeddings, as OpenAI has it."""
MAX_MODERATION_INPUTS = 1024
"""Texts, or parts of one."""
MAX_MODERATION_CHARACTERS = 100_000
"""In one request for moderation, all texts together; they take a few tenths of a second."""
MAX_STOP_STRINGS = 16
"""OpenAI allows 4; other servers' clients send more."""
MAX_STOP_LENGTH = 256
"""Characters of one stop string."""
MAX_LOGIT_BIAS = 1024
MAX_TOP_LOGPROBS = 20
MAX_USER_LENGTH = 512
MAX_METADATA = 16
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512
"""Labels of an object, and the characters of their names and values, as OpenAI has it."""
MAX_CONVERSATION_ITEMS = 20
"""Items that are put into a conversation at once, as OpenAI has it."""
MAX_NESTING = 64
"""Depth of arrays and objects in a JSON body."""
MAX_NAMES = 10_000
"""In one object of a JSON body; each that is unknown makes an error of its own."""

KEEP_ALIVE_SECONDS = 75
"""Idle connections: longer than the pools of the usual clients keep theirs, so that they close first."""
ENDING_SECONDS = 3
"""How long a stopping server waits for answers that it has told to end; then what still runs is abandoned."""
WEBSOCKET_FRAME_BYTES = 64 << 10
"""Largest frame that a browser may send."""
CONNECTION_BACKLOG = 512
