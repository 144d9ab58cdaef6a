"""How long an exchange with an upstream may take."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The deadlines of one exchange, in seconds, each above zero."""

    connect_s: float = 10.0
    """Name look-up, TCP, proxy and TLS together."""
    first_byte_s: float = 600.0
    """From the request to the end of the answer's header fields: a model may think for minutes before them."""
    idle_s: float = 300.0
    """Between two arrivals of bytes of a body, not counting the time in which we did not want any."""
    total_s: float = 3600.0
    """From the request to the end of the answer."""
    check_s: float = field(init=False, repr=False, compare=False)
    """The shortest of them that run while an answer is awaited: the timer is never armed for longer."""

    def __post_init__(self) -> None:
        if min(self.connect_s, self.first_byte_s, self.idle_s, self.total_s) <= 0:
            raise ValueError("a timeout is above zero seconds")
        object.__setattr__(self, "check_s", min(self.first_byte_s, self.idle_s, self.total_s))
