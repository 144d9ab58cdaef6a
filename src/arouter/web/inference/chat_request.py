"""What is particular about a chat completion request."""

from arouter.web.inference.request import RequestReader, check_array


class ChatReader(RequestReader):
    """Reads one request."""

    __slots__ = ()

    asks = ("messages", "tools")

    def _check(self) -> None:
        check_array(self.fields, "messages")
