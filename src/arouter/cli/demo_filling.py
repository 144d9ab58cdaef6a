"""A history's records on their way into the ledger. Needs numpy; `arouter.cli.demo_history` imports it when asked."""

from collections import deque
from collections.abc import Awaitable
from datetime import UTC, datetime

from arouter.cli.progress import progress_bar
from arouter.domain.price import RateCard
from arouter.sandbox.history.columns import History
from arouter.sandbox.history.population import Model, Owner, Plan
from arouter.sandbox.history.records import records_of
from arouter.settings import Settings
from arouter.store.stores import Store
from arouter.wiring.prices import read_prices

_AT_ONCE = 2_000


async def fill(settings: Settings, store: Store, plan: Plan, owner: Owner) -> None:
    """Append what is not there yet, through `close` as any record: with group commit, roll-ups and the chain of hashes.

    Whatever is there already stays as it is. A bar on a terminal shows how far it is.
    """
    prices = read_prices(settings.prices)

    def card_of(model: Model, at_us: int) -> RateCard | None:
        return prices(model.provider, model.name, datetime.fromtimestamp(at_us / 1_000_000, UTC))

    history = History(plan, card_of)
    waiting: deque[Awaitable[None]] = deque()
    with progress_bar() as progress:
        task = progress.add_task("records", total=plan.records)
        for day in history:
            for record in records_of(history, day, owner):
                waiting.append(store.ledger.close(record))
                if len(waiting) > 2 * _AT_ONCE:
                    await _drain(waiting, _AT_ONCE)
                    progress.advance(task, _AT_ONCE)
        await _drain(waiting, len(waiting))
        progress.update(task, completed=plan.records)


async def _drain(waiting: deque[Awaitable[None]], number: int) -> None:
    """Wait for so many; the writer goes on with the others meanwhile."""
    for _ in range(number):
        await waiting.popleft()
