"""The ids of new records. The system is asked for random bytes in blocks: one call for many ids."""

from collections.abc import Callable

from arouter.domain.ids import GENERATION_ID, RANDOM_DIGITS

IDS_IN_BLOCK = 120
_BLOCK_BYTES = IDS_IN_BLOCK * RANDOM_DIGITS // 2


class RecordIds:
    """Makes ids as `arouter.domain.ids.generation_id` does, each random digit for one of them only. Belongs to one
    thread of one process. The method is what is handed around: to call an instance takes half as long again."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        """`source` gives so many bytes that nobody can guess."""
        self._source = source
        self._endings: list[str] = []
        """The random digits of the next ids."""

    def new(self, now_us: int) -> str:
        """The id of a record that begins at this time, in microseconds since the epoch."""
        if not self._endings:
            digits = self._source(_BLOCK_BYTES).hex()
            self._endings = [digits[at : at + RANDOM_DIGITS] for at in range(0, len(digits), RANDOM_DIGITS)]
        return GENERATION_ID % (now_us, self._endings.pop())
