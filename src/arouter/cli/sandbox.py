"""`arouter sandbox`."""

import asyncio
import signal
from typing import Annotated

import typer

from arouter.cli.options import Config, Json, application
from arouter.cli.output import Failure, stdout, write_json
from arouter.sandbox.behaviour import NAMED, Behaviour
from arouter.sandbox.server import Sandbox, start_sandbox
from arouter.settings import load

app = application()

_EXAMPLES = ("sandbox", "sandbox-echo", "sandbox-slow", "sandbox-reason", "sandbox-tools", "sandbox-error-429")


@app.command()
def sandbox(
    config: Config = None,
    host: Annotated[str, typer.Option(metavar="H", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="P", min=0, max=65535, help="The port to listen on; 0 for any free one.")
    ] = 8090,
    ttft_ms: Annotated[float, typer.Option(metavar="N", min=0, help="Milliseconds to the first token.")] = 0.0,
    token_ms: Annotated[float, typer.Option(metavar="N", min=0, help="Milliseconds between two tokens.")] = 0.0,
    tokens: Annotated[int, typer.Option(metavar="N", min=0, help="Tokens of an answer.")] = 16,
    fail: Annotated[
        float, typer.Option(metavar="RATE", min=0, max=1, help="The share of requests that fail, from 0 to 1.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Run a pretend provider that speaks the OpenAI, Anthropic and Gemini dialects, until a signal says stop."""
    load(config)
    try:
        behaviour = Behaviour(ttft_ms=ttft_ms, token_ms=token_ms, tokens=tokens, failure_rate=fail)
    except ValueError as exc:
        raise typer.BadParameter(f"{exc}") from exc
    asyncio.run(_run(host, port, behaviour, json=json))


async def _run(host: str, port: int, behaviour: Behaviour, *, json: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        started = await start_sandbox(host, port, behaviour, random=None)
    except OSError as exc:
        raise Failure(f"cannot listen on {host}:{port}: {exc.strerror}; choose another --port") from exc
    try:
        _tell(started, json=json)
        await stop.wait()
    finally:
        await started.stop()


def _tell(started: Sandbox, *, json: bool) -> None:
    if json:
        write_json({"url": started.url, "models": list(NAMED)})
        return
    out = stdout()
    out.print(f"The sandbox listens on {started.url}", soft_wrap=True, markup=False)
    out.print(f"Models: {', '.join(_EXAMPLES)}, and knobs such as sandbox?tokens=100&token_ms=5", soft_wrap=True)
    out.print()
    out.print(
        f"curl {started.url}/v1/chat/completions -d "
        """'{"model": "sandbox-echo", "messages": [{"role": "user", "content": "Hello"}]}'""",
        soft_wrap=True,
        markup=False,
    )
