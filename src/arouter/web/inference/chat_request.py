"""What is particular about a chat completion request."""

from arouter.web.inference.request import RequestReader, check_array


class ChatReader(RequestReader):
    """Reads one request."""

    __slots__ = ()

    def _check(self) -> int:
        size_bytes = check_array(self.fields, "messages")
        tools = self.fields.get("tools")
        return size_bytes if tools is None else size_bytes + len(memoryview(tools))
