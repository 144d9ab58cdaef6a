"""What several dialogues need, and takes time to make."""

from pathlib import Path

import pytest

from tests.engine.certificates import self_signed


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    return self_signed(tmp_path_factory.mktemp("certificate"))
