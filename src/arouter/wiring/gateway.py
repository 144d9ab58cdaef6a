"""A gateway, built from settings: stores, adapters, engine, applications; started and stopped as one."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import structlog

from arouter.domain.activity import Bounds
from arouter.domain.counters import Meter
from arouter.domain.errors import ARouterError, InternalError, NotFound, StorageUnavailable, UpstreamFailed
from arouter.domain.keys import Key
from arouter.domain.models import ModelInfo
from arouter.domain.provider_keys import ProviderKey
from arouter.domain.record import Record
from arouter.engine.clock import Clock, SystemClock
from arouter.engine.completions import Completions, Limits
from arouter.engine.departure import DrainLimits, Drains
from arouter.engine.estimates import Estimates
from arouter.engine.express import Express
from arouter.engine.guardian import Guardian
from arouter.engine.leasing import Leasing, Share
from arouter.engine.loop_lag import LoopLag
from arouter.engine.own_keys import OwnKeys
from arouter.engine.recorder import Recorder
from arouter.engine.routing import Routing
from arouter.engine.tasks import Tasks
from arouter.engine.upstream import PoolLimits, Upstream
from arouter.jobs.recovery import Recovery
from arouter.sandbox.behaviour import Behaviour
from arouter.sandbox.server import Sandbox, start_sandbox
from arouter.settings import Settings
from arouter.store.base import Home, LastChanges
from arouter.web.api.app import ApiServices, Check, Readiness, create_api
from arouter.web.api.services import Headers
from arouter.web.app import App, Handlers
from arouter.web.asgi import Application
from arouter.web.auth import Authenticator
from arouter.web.dashboard.page import WithDashboard
from arouter.web.inference.dialects import CHAT, dialects, gemini_dialects, gemini_matcher
from arouter.web.inference.endpoint import Dialect, Inference
from arouter.web.inference.passing import PassThrough
from arouter.web.metrics import Metrics
from arouter.web.user_tokens import UserTokens
from arouter.wiring.asking import Asking, model_routes, timeouts_of
from arouter.wiring.clickhouse import WithCopy, check_copy
from arouter.wiring.heap import settle_heap
from arouter.wiring.issuers import issuers
from arouter.wiring.journal import delivery, is_behind, ledger_checks, watch_journal, with_journal
from arouter.wiring.late_prices import LatePrices
from arouter.wiring.own_keys import own_providers
from arouter.wiring.pipeline import pipeline
from arouter.wiring.providers import deployments, wants_sandbox
from arouter.wiring.record_ids import RecordIds
from arouter.wiring.report_fonts import report_fonts
from arouter.wiring.started import FirstKeys, Started
from arouter.wiring.storage import find_home, first_keys, open_store
from arouter.wiring.upkeep import file_metrics, upkeep
from arouter.wiring.vault import open_vault

REFRESH_S = 0.25
"""How often the keys are compared with the directory: a change made by another process counts within this time."""
_NAME_BYTES = 16

MINUTE_US = 60_000_000


class Siblings(Protocol):
    """What a gateway that is one of several workers shares with the others."""

    @property
    def sandbox_url(self) -> str | None:
        """Where the one sandbox is, if there is one."""

    async def metrics(self) -> bytes:
        """Those of all."""


class Gateway:
    """`app` is what a server runs; its lifespan starts and stops everything else."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, siblings: Siblings | None = None) -> None:
        """Opens the database. SettingsError or StorageUnavailable, with a text for the operator."""
        self.settings = settings
        self.metrics = Metrics()
        self._clock = SystemClock() if clock is None else clock
        self._siblings = siblings
        self._log = structlog.get_logger("arouter")
        deployments(settings, None)  # what cannot be said fails here, and not when the server starts
        check_copy(settings)
        self._vault = open_vault(settings)
        self._own_providers = own_providers(settings)
        self._report_fonts = report_fonts(settings)
        self._prices = LatePrices(settings.prices)
        self._directory_changed = asyncio.Event()
        self._last_changes: LastChanges | None = None
        name = secrets.token_hex(_NAME_BYTES)
        database = open_store(
            settings,
            clock=self._clock,
            on_commit=self.metrics.on_commit,
            on_checkpoint_failure=self._checkpoint_failed,
            on_directory_change=self._directory_changed.set,
            name=name,
        )
        self.store = with_journal(database, settings, now_us=self._clock.now_us, name=name)
        self._tasks = Tasks(self._task_failed)
        self._upstream = _upstream(settings)
        self._lag = LoopLag(self.metrics.on_lag)
        self._drains = Drains(_drain_limits(settings))
        self._new_id = RecordIds(secrets.token_bytes).new
        self._authenticator = Authenticator(self.store.directory, now_us=self._clock.now_us)
        self._leasing = Leasing(
            self.store.counters,
            now_us=self._clock.now_us,
            tasks=self._tasks,
            behind=lambda: is_behind(self.store),
        )
        self._guardian = Guardian(
            self.store.directory,
            self._leasing,
            Estimates(self._prices, default_output_tokens=settings.guardrails.default_output_tokens),
            on_overage=self._passed,
        )
        self._overages = self._overage = 0
        self._sandbox: Sandbox | None = None
        self._routing = Routing(())
        self._asking = Asking(settings, self._clock)
        self._own_keys = self._new_own_keys()
        self._end_metrics: Callable[[], None] | None = None
        self._listed: tuple[int, list[ModelInfo]] | None = None
        self.first_keys: FirstKeys | None = None
        """The keys that were made because the database had none."""
        self._recovery = Recovery(self.store.ledger, now_us=self._clock.now_us, on_found=self._recovered)
        self._upkeep = upkeep(self.store, settings, now_us=self._clock.now_us, log=self._log)
        self._with_copy = WithCopy(settings, self.store.ledger, self.store.feed, self.store.directory, self._clock)
        self.interrupted = 0
        """Requests that an earlier process left open; they are in the ledger as interrupted now."""
        self.app = App(start=self.start, stop=self.stop, idle_timeout_s=settings.server.idle_timeout_s)

    @property
    def providers(self) -> tuple[str, ...]:
        """Those that can be asked."""
        return self._routing.providers

    def started(self, url: str) -> Started:
        """What it says of itself once it answers, at `url`."""
        return Started(url=url, providers=self.providers, first_keys=self.first_keys, interrupted=self.interrupted)

    # ---------------------------------------------------------------- start and stop

    async def start(self) -> Handlers:
        """Everything that needs the event loop. ARouterError, with a text for the operator."""
        await self.store.start()
        home = await find_home(self.store, self._clock)
        self.first_keys = await first_keys(self.store, home, self._clock)
        self.interrupted = await self._recovery.once()
        on, off = deployments(self.settings, await self._sandbox_url())
        self._routing = Routing(on, off=off, models=model_routes(self.settings))
        self._own_keys = self._new_own_keys()
        await self._follow()
        self._tasks.start("refresh keys", self._refresh_keys())
        self._tasks.start("read prices", self.read_prices())
        self._tasks.start("share counters", self._leasing.run())
        self._tasks.start("recover", self._recovery.run())
        for name, job in (*self._upkeep.items(), *delivery(self.store).items()):
            self._tasks.start(name, job())
        self._tasks.start("copy the ledger", self._with_copy.run())
        if self.settings.server.metrics_port and self._siblings is None:
            self._end_metrics = self.metrics.serve(self.settings.server.host, self.settings.server.metrics_port)
        self._watch()
        self._lag.start()
        completions, express = self._pipeline(home)
        inference = partial(self._inference, completions=completions, user_tokens=self._user_tokens(home))
        passing = PassThrough(
            inference=inference(CHAT),
            providers=self._routing.dialects,
            scope=self.settings.server.pass_through,
        )
        return Handlers(
            inference={
                dialect.path: inference(dialect, express=express if dialect is CHAT else None)
                for dialect in dialects(metadata_user=self.settings.server.metadata_user_id)
            },
            patterns=[
                *((gemini_matcher(one), inference(one)) for one in gemini_dialects()),
                (passing.matches, passing),
            ],
            api=WithDashboard(self._api(home)),
        )

    async def stop(self) -> None:
        """What is queued is written first."""
        self._lag.stop()
        await self._tasks.stop()
        await self._with_copy.close()
        with suppress(StorageUnavailable):
            await self._leasing.close()
        await self._upstream.aclose()
        if self._end_metrics is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._end_metrics)
        if self._sandbox is not None:
            await self._sandbox.stop()
        await self.store.close()

    async def _sandbox_url(self) -> str | None:
        if self._siblings is not None:
            return self._siblings.sandbox_url
        if not wants_sandbox(self.settings):
            return None
        self._sandbox = await start_sandbox("127.0.0.1", 0, Behaviour(), random=None)
        return f"{self._sandbox.url}/v1"

    # ---------------------------------------------------------------- the parts

    def _inference(
        self, dialect: Dialect, *, completions: Completions, user_tokens: UserTokens, express: Express | None = None
    ) -> Inference:
        return Inference(
            dialect=dialect,
            authenticator=self._authenticator,
            user_tokens=user_tokens,
            completions=completions,
            clock=self._clock,
            new_id=self._new_id,
            tasks=self._tasks,
            body_most_bytes=self.settings.server.body_most_bytes,
            express=express,
        )

    def _user_tokens(self, home: Home) -> UserTokens:
        tokens = UserTokens(
            self.store.directory,
            secret=home.secret,
            now_us=self._clock.now_us,
            entropy=secrets.token_bytes,
            revision=lambda: self._authenticator.revision,
        )
        self._authenticator.on_change.append(tokens.forget)
        return tokens

    def _pipeline(self, home: Home) -> tuple[Completions, Express]:
        return pipeline(
            asking=self._asking,
            routing=self._routing,
            prices=self._prices,
            guardian=self._guardian,
            own_keys=self._own_keys,
            upstream=self._upstream,
            recorder=Recorder(
                self.store.ledger, durability=self.settings.storage.durability, tasks=self._tasks, on_lost=self._lost
            ),
            clock=self._clock,
            tasks=self._tasks,
            drains=self._drains,
            secret=home.secret,
            limits=Limits(keep_alive_s=self.settings.server.keep_alive_s),
            new_id=self._new_id,
            on_record=self._recorded,
        )

    def _new_own_keys(self) -> OwnKeys:
        return OwnKeys(
            self.store.directory,
            operator=self._routing,
            selection=partial(self._asking.selection, card=self._prices),
            providers=self._own_providers,
            vault=self._vault,
            on_unreadable=self._unreadable,
        )

    def _api(self, home: Home) -> Application:
        return create_api(
            ApiServices(
                directory=self.store.directory,
                ledger=self._with_copy.ledger,
                authenticate=self._authenticate,
                now_us=self._clock.now_us,
                entropy=secrets.token_bytes,
                models=self._models,
                ready=self._ready,
                metrics=self._metrics_text,
                default_home=home,
                guardian=self._guardian,
                directory_changed=self._refresh,
                vault=self._vault,
                own_providers=self._own_providers,
                report_fonts=self._report_fonts,
                summary_bounds=Bounds(
                    most_records=self.settings.activity.most_scanned_records,
                    timeout_s=self.settings.activity.query_timeout_s,
                ),
                oidc=issuers(self.settings, self._upstream),
            )
        )

    async def _metrics_text(self) -> bytes:
        port = self.settings.server.metrics_port
        if port:
            raise NotFound(f"The metrics are served on port {port}.")
        return self.metrics.text() if self._siblings is None else await self._siblings.metrics()

    async def _authenticate(self, headers: Headers, query: bytes) -> Key:
        return await self._authenticator.authenticate(dict(headers), query)

    def _models(self) -> list[ModelInfo]:
        """Made anew once a minute: prices change at full hours, and making the list takes tens of milliseconds."""
        minute = self._clock.now_us() // MINUTE_US
        if self._listed is None or self._listed[0] != minute:
            at = datetime.fromtimestamp(minute * 60, UTC)
            self._listed = minute, self._prices.models(self._routing.providers, at)
        return self._listed[1]

    async def _ready(self) -> Readiness:
        return Readiness(
            checks=(
                *ledger_checks(self.store),
                Check(
                    name="prices",
                    ok=self._prices.loaded,
                    text="" if self._prices.loaded else "The prices are being read.",
                ),
                Check(
                    name="providers",
                    ok=bool(self._routing.providers),
                    text="" if self._routing.providers else "No provider is configured.",
                ),
            )
        )

    # ---------------------------------------------------------------- beside requests

    async def _refresh_keys(self) -> None:
        loop = asyncio.get_running_loop()
        failed = False
        while True:
            timer = loop.call_later(REFRESH_S, self._directory_changed.set)
            await self._directory_changed.wait()
            timer.cancel()
            self._directory_changed.clear()
            try:
                await self._follow()
                failed = False
            except StorageUnavailable as failure:
                if not failed:
                    self._log.error("keys cannot be compared with the directory", reason=failure.message)
                failed = True

    async def _follow(self) -> None:
        """Refresh if anything has changed since the last time."""
        last = await self.store.directory.last_changes()
        if last != self._last_changes:
            await self._refresh()
            self._last_changes = last

    async def _refresh(self) -> None:
        """What is remembered of the directory is what is in it now."""
        await self._authenticator.refresh()
        await self._own_keys.refresh()
        await self._guardian.refresh()

    async def read_prices(self) -> None:
        """Returns when they are read. Any number may wait for that."""
        await asyncio.get_running_loop().run_in_executor(None, self._prices.load)
        settle_heap()

    def _watch(self) -> None:
        counts = self._upstream.counts
        for name, text, read in (
            ("draining", "Answers read on after their client left.", lambda: {"": self._drains.running}),
            ("records_unwritten", "Records that wait for the storage to recover.", lambda: {"": self.store.unwritten}),
            ("storage_up", "1 if the last write succeeded, else 0.", lambda: {"": int(self.store.healthy)}),
            *file_metrics(self.store),
            (
                "deployments_resting",
                "The operator's deployments that failed lately.",
                lambda: {"": self._asking.resting},
            ),
            ("upstream_open", "Connections to providers.", lambda: {at: one.open for at, one in counts().items()}),
            (
                "upstream_waiting",
                "Requests that wait for one.",
                lambda: {at: one.waiting for at, one in counts().items()},
            ),
        ):
            self.metrics.watch(f"arouter_{name}", text, read)
        watch_journal(self.metrics, self.store, now_us=self._clock.now_us)
        for name, text, total in (
            ("delayed", "Records that the storage refused at first; they are tried again.", lambda: self.store.delayed),
            ("lost", "Records that were given up.", lambda: self.store.lost),
            ("recovered", "Requests that a dead process left open.", lambda: self._recovery.recovered),
        ):
            self.metrics.watch_total(f"arouter_records_{name}", text, total)
        self.metrics.watch_total(
            "arouter_overages", "Limits that a request passed by using more than was held.", lambda: self._overages
        )
        self.metrics.watch_total(
            "arouter_overage_picodollars", "By how much budgets were passed so.", lambda: self._overage
        )

    # ---------------------------------------------------------------- telling

    def _checkpoint_failed(self, failure: StorageUnavailable) -> None:
        """Called on the checkpointer's thread. Nothing is lost and requests go on, but the log grows."""
        self._log.error("the log cannot be moved into the database", reason=failure.detail)

    def _recorded(self, record: Record, error: ARouterError | None) -> None:
        self.metrics.on_record(record)
        self._asking.speeds.note(record)
        if error is None:
            return
        said = {"id": record.opening.id, "request_id": record.opening.request_id, "code": error.code}
        if isinstance(error, InternalError):
            self._log.error("defect", **said, exc_info=error.__cause__)
        else:
            self._log.info("request failed", **said, status=record.http_status, provider=record.provider)
            if not isinstance(error, UpstreamFailed) or error.upstream_status is None:
                # What a provider says in an error answer may quote the prompt, or our key: the client gets its
                # message, the log does not.
                self._log.debug("request failed", **said, message=error.message, detail=error.detail)

    def _lost(self, record: Record, failure: StorageUnavailable) -> None:
        self._log.error(
            "the ledger did not take a record",
            id=record.opening.id,
            reason=failure.message,
            model=record.model,
            prompt_tokens=record.usage.prompt_tokens,
            completion_tokens=record.usage.completion_tokens,
            cost_picodollars=record.cost,
        )

    def _passed(self, record: Record, share: Share, units: int) -> None:
        """A request used more than was held for it: the one way in which a budget can be passed."""
        counter = share.counter
        self._overages += 1
        if counter.meter is Meter.COST:
            self._overage += units
        self._log.info(
            "a request used more than was held for it",
            id=record.opening.id,
            meter=counter.meter,
            scope=counter.scope,
            units=units,
        )

    def _recovered(self, requests: int) -> None:
        self._log.warning("a process died and left requests open; they are recorded as interrupted", requests=requests)

    def _unreadable(self, reason: str, key: ProviderKey | None) -> None:
        """An organization's own key, or all that are sealed alike."""
        if key is None:
            self._log.error(reason)
        else:
            self._log.error(
                "an organization's own key for a provider cannot be read",
                id=key.id,
                provider=key.provider,
                organization=key.organization_id,
                reason=reason,
            )

    def _task_failed(self, name: str, failure: BaseException) -> None:
        self._log.error("a task failed", task=name, exc_info=failure)


def _upstream(settings: Settings) -> Upstream:
    chosen = settings.upstream
    return Upstream(
        limits=PoolLimits(
            max_connections=chosen.most_connections,
            max_waiting=chosen.most_waiting,
            acquire_s=chosen.waiting_timeout_s,
        ),
        timeouts=timeouts_of(chosen),
        proxies={
            scheme: value
            for scheme, value in (("http", chosen.http_proxy), ("https", chosen.https_proxy), ("no", chosen.no_proxy))
            if value
        },
    )


def _drain_limits(settings: Settings) -> DrainLimits:
    chosen = settings.upstream
    return DrainLimits(
        on_disconnect=chosen.on_disconnect,
        timeout_s=chosen.drain_timeout_s,
        most_bytes=chosen.drain_most_bytes,
        most_requests=chosen.drain_most_requests,
    )
