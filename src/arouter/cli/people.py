"""What the commands on organizations and the people in them share."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
import typer

from arouter.cli.database import opened, require_database
from arouter.cli.options import Config
from arouter.cli.output import Failure, facts, stdout, table, visible, write_json
from arouter.settings import Settings, load
from arouter.store.base import Home
from arouter.store.stores import Store

PAGE = 1000

OrganizationId = Annotated[
    str | None,
    typer.Option(
        "--organization", metavar="ID", help="The organization. Default: the one it began with.", show_default=False
    ),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id, as `list` shows it.", show_default=False)]
Workspaces = Annotated[
    list[str] | None,
    typer.Option(
        "--workspace",
        metavar="ID",
        help="A workspace of the member. Repeatable. Default: every one.",
        show_default=False,
    ),
]

T = TypeVar("T")


def settings_of(config: Config) -> Settings:
    """Of a database that is there."""
    settings = load(config)
    require_database(settings)
    return settings


async def in_organization(
    settings: Settings, organization_id: str | None, work: Callable[[Store, str], Awaitable[T]]
) -> T:
    """`work` with the store and the organization that is meant. Failure if there is none."""
    async with opened(settings) as (store, home):
        return await work(store, await _organization(store, home, organization_id))


async def _organization(store: Store, home: Home, wanted: str | None) -> str:
    if wanted is None:
        return home.organization_id
    if await store.directory.get_organization(wanted) is None:
        raise Failure(f"there is no organization {wanted!r}; `arouter organizations list` shows them")
    return wanted


async def every(page: Callable[[int], Awaitable[Sequence[T]]]) -> list[T]:
    """All of a list that is read in pages of `PAGE`, by the offset."""
    found: list[T] = []
    while True:
        some = await page(len(found))
        found.extend(some)
        if len(some) < PAGE:
            return found


def tell(shown: msgspec.Struct, *, json: bool) -> None:
    """One thing, a field a line."""
    if json:
        write_json(shown)
        return
    fields = msgspec.structs.asdict(shown)
    stdout().print(facts((name.replace("_", " "), visible(as_text(value))) for name, value in fields.items()))


def tell_every(shown: Sequence[msgspec.Struct], columns: Sequence[str], *, json: bool) -> None:
    """A list as a table of some of the fields."""
    if json:
        write_json(shown)
        return
    lines = table([name.replace("_", " ").capitalize() for name in columns])
    for one in shown:
        lines.add_row(*(visible(as_text(getattr(one, name))) for name in columns))
    stdout().print(lines)


def as_text(value: object) -> str | None:
    """A value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return None if value is None else str(value)
