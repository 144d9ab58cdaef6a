"""Options of limits that several commands share."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from arouter.domain.limits import LimitReset

Limit = Annotated[
    str | None, typer.Option(metavar="USD", help="The most it may spend, in dollars, exactly.", show_default=False)
]
Reset = Annotated[
    LimitReset | None, typer.Option(help="When the limit starts again. Default: never.", show_default=False)
]
RequestsPerMinute = Annotated[
    int | None, typer.Option(metavar="N", help="Requests in a minute, at most.", show_default=False)
]
RequestsPerDay = Annotated[
    int | None, typer.Option(metavar="N", help="Requests in a day (UTC), at most.", show_default=False)
]
TokensPerMinute = Annotated[
    int | None, typer.Option(metavar="N", help="Tokens, read and generated, in a minute, at most.", show_default=False)
]
TokensPerDay = Annotated[
    int | None, typer.Option(metavar="N", help="Tokens in a day (UTC), at most.", show_default=False)
]
ConcurrentRequests = Annotated[
    int | None, typer.Option(metavar="N", help="Requests that run at the same time, at most.", show_default=False)
]


def read_dollars(text: str) -> Decimal:
    """An amount as it was typed. BadParameter if it is none."""
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise typer.BadParameter(f"{text!r} is not an amount of dollars", param_hint="--limit") from exc
