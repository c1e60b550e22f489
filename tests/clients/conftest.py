"""What every script needs: a server whose disk has a model that writes and one that makes vectors."""

from __future__ import annotations

import pytest

from myna.hub import Hub
from tests.model_fixtures import shared_models_directory
from tests.processes import Server

CHAT = "smollm2:135m"
EMBEDDING = "all-minilm:l6"


@pytest.fixture(scope="session")
def shop(server: Server) -> Server:
    """The shared server, which finds both models on its disk."""
    Hub(shared_models_directory()).pull(EMBEDDING)
    return server
