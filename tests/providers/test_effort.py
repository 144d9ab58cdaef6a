"""How much to think, as one word."""

import pytest

from arouter.domain.chat import ReasoningRequest
from arouter.providers.effort import effort_of


@pytest.mark.parametrize(
    ("asked", "room", "effort"),
    [
        (None, None, None),
        (ReasoningRequest(), None, None),
        (ReasoningRequest(exclude=True), None, None),
        (ReasoningRequest(effort="xhigh"), None, "xhigh"),
        (ReasoningRequest(effort="low", max_tokens=16_000), None, "low"),
        (ReasoningRequest(max_tokens=0), None, "none"),
        (ReasoningRequest(max_tokens=-1), None, "none"),
        (ReasoningRequest(max_tokens=1024), None, "low"),
        (ReasoningRequest(max_tokens=8192), None, "medium"),
        (ReasoningRequest(max_tokens=13_000), None, "high"),
        (ReasoningRequest(max_tokens=1024), 1500, "high"),
        (ReasoningRequest(max_tokens=1024), 2048, "medium"),
        (ReasoningRequest(max_tokens=1024), 64_000, "low"),
        (ReasoningRequest(max_tokens=100_000), 10, "high"),
    ],
)
def test_the_effort(asked: ReasoningRequest | None, room: int | None, effort: str | None) -> None:
    assert effort_of(asked, room) == effort
