"""A provider's end of a connection that takes the request and says nothing by itself."""

import asyncio


class ProviderSocket(asyncio.Transport):
    """What a connection writes to."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass
