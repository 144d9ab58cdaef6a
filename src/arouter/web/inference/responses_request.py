"""What is particular about a request to OpenAI's Responses."""

from arouter.web.inference.request import RequestReader


class ResponsesReader(RequestReader):
    """Reads one request. What must be in it besides the model is for whoever relays or translates it to say."""

    __slots__ = ()

    asks = ("input", "instructions", "tools")
