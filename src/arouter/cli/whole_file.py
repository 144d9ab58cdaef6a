"""A file that is there only when it is whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from arouter.cli.output import Failure


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Where to write it; an earlier one is replaced at the end. Failure if nothing can be written there."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as exc:
        raise Failure(f"{path} cannot be written: {exc.strerror}") from exc
    try:
        with os.fdopen(descriptor, "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
