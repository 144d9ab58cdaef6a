"""Which records there are: two organizations, their plans, and the note beside the database that tells of them."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from arouter.domain.price import RateCard
from arouter.domain.windows import DAY_US
from arouter.sandbox.history.columns import CardOf
from arouter.sandbox.history.population import Model, Owner, Plan
from arouter.wiring.prices import read_prices

FORMAT = 1
"""Of the note and of what is built; another one is built anew."""
SECOND = 100
"""The second organization has a part of the first one's records: one in so many."""

DATABASE = "ledger.db"
NOTE = "note.json"


class Tenant(msgspec.Struct, frozen=True):
    """An organization, and whose its keys are."""

    organization_id: str
    workspace_ids: tuple[str, ...]
    key_hashes: tuple[str, ...]

    def owner(self) -> Owner:
        return Owner(organization_id=self.organization_id, workspace_ids=self.workspace_ids, key_hashes=self.key_hashes)


class Size(msgspec.Struct, frozen=True):
    """What was asked for."""

    records: int
    users: int
    days: int
    seed: int

    @property
    def folder(self) -> str:
        """The name of the folder for databases of that size."""
        return f"{self.records}-records-{self.users}-users-{self.days}-days-seed-{self.seed}"


class World(msgspec.Struct, kw_only=True):
    """What a database holds, and how far its building has come."""

    format: int = FORMAT
    size: Size
    start_us: int
    tenants: tuple[Tenant, ...]
    management_key: str
    """Of the first organization: for a gateway on the database."""
    loader: str = ""
    days_done: int = 0
    seconds: float = 0.0
    """That the loading has taken."""
    fold_seconds: float = 0.0
    """That the columns for sums have taken."""
    records: int = 0
    """Of all organizations."""
    cost: int = 0
    """Of the first organization's records, in picodollars, as it was generated."""
    bytes: int = 0

    @property
    def whole(self) -> bool:
        return self.days_done == self.size.days

    @property
    def end_us(self) -> int:
        return self.start_us + self.size.days * DAY_US

    @property
    def plans(self) -> tuple[Plan, ...]:
        """One for each tenant."""
        size = self.size
        first = Plan(seed=size.seed, start_us=self.start_us, days=size.days, users=size.users, records=size.records)
        second = Plan(
            seed=size.seed + 1,
            start_us=self.start_us,
            days=size.days,
            users=max(1, size.users // SECOND),
            records=max(1, size.records // SECOND),
        )
        return first, second


def read_world(folder: Path, size: Size) -> World | None:
    """What was built there, if it is of that size."""
    try:
        world = msgspec.json.decode((folder / NOTE).read_bytes(), type=World)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return world if world.format == FORMAT and world.size == size and (folder / DATABASE).exists() else None


def write_world(folder: Path, world: World) -> None:
    partial = folder / f"{NOTE}.partial"
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(world)) + b"\n")
    partial.replace(folder / NOTE)


def today_us() -> int:
    """The start of this day."""
    now = datetime.now(UTC)
    return int(datetime(now.year, now.month, now.day, tzinfo=UTC).timestamp()) * 1_000_000


def listed_prices() -> CardOf:
    """Those of the price lists."""
    prices = read_prices({})

    def card_of(model: Model, at_us: int) -> RateCard | None:
        return prices(model.provider, model.name, datetime.fromtimestamp(at_us / 1_000_000, UTC))

    return card_of
