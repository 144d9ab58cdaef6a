"""The snippets of the documents that the project was created from run, unchanged but for the base URL and the key.

Python snippets are executed, curl lines are given to a shell, TypeScript ones are compiled by esbuild and run by Node
with the official OpenAI SDK of `tests/acceptance/node`. What a snippet takes for granted (a client, a user, a
conversation) is put before it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from tests.acceptance.gateway import Gateway
from tests.acceptance.node_packages import NODE, installed_modules
from tests.acceptance.seeds import CHINESE, ENGLISH, Snippet, pointed_at, require

SAYS = "Hello from the sandbox."

JSON_BODIES = [
    Snippet(document=ENGLISH, after="Passing a User ID", first="{", last=r"\}"),
    Snippet(document=CHINESE, after="传递用户 ID", first="{", last=r"\}"),
]
FUNCTIONS = [
    Snippet(document=ENGLISH, after="", first="import OpenAI", last=r"\}"),
    Snippet(document=CHINESE, after="", first="import OpenAI", last=r"\}"),
]
CUSTOMERS = [
    Snippet(document=ENGLISH, after="Per-User Cost Allocation", first="// Pass your customer ID", last=r"// Later.*"),
    Snippet(document=CHINESE, after="按用户成本分摊", first="// 传递客户 ID", last=r"// 之后.*"),
]
TENANTS = [
    Snippet(document=ENGLISH, after="Multi-Tenant Applications", first="const response", last=r"\}\);"),
    Snippet(document=CHINESE, after="多租户应用", first="const response", last=r"\}\);"),
]
HASHES = [
    Snippet(document=ENGLISH, after="Recommended approaches", first="import hashlib", last=r"user_id = str.*"),
    Snippet(document=CHINESE, after="推荐做法", first="import hashlib", last=r"user_id = str.*"),
]
ABUSERS = [
    Snippet(document=ENGLISH, after="Abuse Detection", first="# Each user", last=r"\)"),
    Snippet(document=CHINESE, after="滥用检测", first="response = client", last=r"\)"),
]
PYTHON_FUNCTION = Snippet(document=CHINESE, after="", first="from openai import OpenAI", last=r"return response.*")
CURL_CHAT = Snippet(document=CHINESE, after="", first="curl", last=r"\}'")
CURL_ACTIVITY = Snippet(document=ENGLISH, after="Activity Export API", first="curl", last=r"  -H.*")


def newest(gateway: Gateway, user: str) -> dict[str, Any]:
    """The user's last record."""
    with gateway.client() as client:
        return client.records([("user", user), ("limit", "1")])[0]


def check_attributed(gateway: Gateway, user: str, model: str) -> None:
    record = newest(gateway, user)
    assert (record["user"], record["model"], record["status"]) == (user, model, "success")
    assert record["total_tokens"] == record["prompt_tokens"] + record["completion_tokens"]
    assert record["cost"] > 0


# ---------------------------------------------------------------- JSON and curl


@pytest.mark.parametrize("snippet", JSON_BODIES, ids=str)
def test_the_request_body(three_dialects: Gateway, snippet: Snippet) -> None:
    with three_dialects.client() as client:
        answer = client.post("/v1/chat/completions", snippet.text())
    assert answer.status == 200, answer.body
    check_attributed(three_dialects, "user_12345", "openai/gpt-5.4")


def shell(gateway: Gateway, snippet: Snippet) -> Any:
    """What the curl line prints, as JSON."""
    require(shutil.which("curl"), "no curl on this machine")
    script = pointed_at(snippet.text(), gateway.url, gateway.live)
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, env=environment(), timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def environment(**more: str) -> dict[str, str]:
    """The machine's, without a proxy between the test and the gateway."""
    return {**os.environ, "NO_PROXY": "*", "no_proxy": "*", **more}


def test_curl_asks_for_a_completion(three_dialects: Gateway) -> None:
    answer = shell(three_dialects, CURL_CHAT)
    assert answer["choices"][0]["message"]["content"].startswith(SAYS)
    assert newest(three_dialects, "user_12345")["upstream_id"] == answer["id"]
    check_attributed(three_dialects, "user_12345", "openai/gpt-5.4")


def test_curl_asks_for_the_activity_of_a_user(three_dialects: Gateway) -> None:
    with three_dialects.client() as client:
        made = [
            client.chat(model, user).headers["x-generation-id"]
            for model in ("openai/gpt-5.4", "anthropic/claude-sonnet-4.6", "google/gemini-2.5-flash")
            for user in ("user_12345", "user_67890")
        ]
        listed = client.activity([("user", "user_12345"), ("limit", "100")]).json
    printed = shell(three_dialects, CURL_ACTIVITY)
    assert printed == listed
    assert printed["object"] == "list"
    assert {record["user"] for record in printed["data"]} == {"user_12345"}
    assert [record["id"] for record in printed["data"]][:3] == made[0::2][::-1]


# ---------------------------------------------------------------- Python


def indented(text: str) -> str:
    """The Chinese document lost its indentation: what follows a `def` to the end of the snippet is its body."""
    head, define, body = text.partition("def ")
    signature, _, rest = body.partition("\n")
    if not define or rest.startswith(" "):
        return text
    return head + define + signature + "\n" + "".join(f"    {line}\n" for line in rest.splitlines())


def execute(gateway: Gateway, snippet: Snippet, given: Mapping[str, object]) -> dict[str, Any]:
    """The names that the snippet leaves behind."""
    source = indented(pointed_at(snippet.text(), gateway.url, gateway.live))
    names: dict[str, Any] = dict(given)
    exec(compile(source, str(snippet), "exec"), names)
    return names


def test_python_asks_for_a_user(three_dialects: Gateway) -> None:
    names = execute(three_dialects, PYTHON_FUNCTION, {})
    with names["client"]:
        assert names["chat_with_user"]("user_python", "Hello!").startswith(SAYS)
    check_attributed(three_dialects, "user_python", "openai/gpt-5.4")


@pytest.mark.parametrize("snippet", ABUSERS, ids=str)
def test_python_gives_each_user_an_identifier(three_dialects: Gateway, snippet: Snippet) -> None:
    with openai.OpenAI(base_url=f"{three_dialects.url}/v1", api_key=three_dialects.live) as client:
        given = {"client": client, "user": SimpleNamespace(id=42), "user_message": "Hello!"}
        names = execute(three_dialects, snippet, given)
    assert names["response"].choices[0].message.content.startswith(SAYS)
    check_attributed(three_dialects, "app_user_42", "openai/gpt-5.4")


@pytest.mark.parametrize("snippet", HASHES, ids=str)
def test_python_makes_identifiers(three_dialects: Gateway, snippet: Snippet) -> None:
    names = execute(
        three_dialects, snippet, {"user_email": "someone@example.com", "user": SimpleNamespace(id="usr_abc123")}
    )
    assert names["user_id"] == "usr_abc123"
    with three_dialects.client() as client:
        assert client.chat("openai/gpt-5.4", names["user_id"]).status == 200
    check_attributed(three_dialects, names["user_id"], "openai/gpt-5.4")


# ---------------------------------------------------------------- Node


@pytest.fixture(scope="session")
def modules() -> Path:
    """The packages of the lock file, installed where they are missing."""
    return installed_modules()


def run_typescript(source: str, folder: Path, modules: Path) -> Any:
    """What the program says last, as JSON."""
    script, program = folder / "snippet.ts", folder / "snippet.mjs"
    script.write_text(source, encoding="utf-8")
    bundle = ["--bundle", "--platform=node", "--format=esm", f"--outfile={program}", "--log-level=warning"]
    compiled = subprocess.run(
        [modules / ".bin" / "esbuild", script, *bundle],
        capture_output=True,
        text=True,
        env=environment(NODE_PATH=str(modules)),
        timeout=60,
    )
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run(["node", program], capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


CLIENT = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: "https://api.arouter.ai/v1", apiKey: "lr_live_xxxx" });
"""


@pytest.mark.parametrize("snippet", FUNCTIONS, ids=str)
def test_typescript_asks_for_a_user(three_dialects: Gateway, modules: Path, tmp_path: Path, snippet: Snippet) -> None:
    user = f"user_of_{snippet.document}"
    call = f'console.log(JSON.stringify(await chatWithUser("{user}", "Hello!")));\n'
    source = pointed_at(snippet.text() + call, three_dialects.url, three_dialects.live)
    assert run_typescript(source, tmp_path, modules).startswith(SAYS)
    check_attributed(three_dialects, user, "openai/gpt-5.4")


@pytest.mark.parametrize(
    ("snippet", "given", "user", "model"),
    [
        (
            one,
            'const customerId = 7, conversation = [{role: "user", content: "Hi"}];',
            "customer_7",
            "anthropic/claude-sonnet-4.6",
        )
        for one in CUSTOMERS
    ]
    + [
        (
            one,
            'const organizationId = "acme", messages = [{role: "user", content: "Hi"}];',
            "org_acme",
            "google/gemini-2.5-flash",
        )
        for one in TENANTS
    ],
    ids=str,
)
def test_typescript_asks_for_a_customer_and_for_a_tenant(
    three_dialects: Gateway, modules: Path, tmp_path: Path, snippet: Snippet, given: str, user: str, model: str
) -> None:
    said = "console.log(JSON.stringify(response));\n"
    source = pointed_at(CLIENT + given + "\n" + snippet.text() + said, three_dialects.url, three_dialects.live)
    response = run_typescript(source, tmp_path, modules)
    assert response["choices"][0]["message"]["content"].startswith(SAYS)
    assert response["usage"]["cost"] > 0
    check_attributed(three_dialects, user, model)


STREAM = """
const model = "%s";
const stream = await client.chat.completions.create({
  model, messages: [{ role: "user", content: "Hello!" }], user: "user_stream", stream: true,
});
let text = "", usage = null;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
const failed = await client.chat.completions
  .create({ model: "nobody/nothing", messages: [] })
  .then(() => null, (error) => [error.constructor.name, error.status, error.code, error.param]);
const { response } = await client.chat.completions
  .create({ model, messages: [{ role: "user", content: "Hello!" }], user: "user_stream" })
  .withResponse();
console.log(JSON.stringify({ text, usage, failed, id: response.headers.get("x-generation-id") }));
"""


@pytest.mark.parametrize("model", ["openai/gpt-5.4", "anthropic/claude-sonnet-4.6", "google/gemini-2.5-flash"])
def test_the_sdk_for_node_streams_and_reads_errors_and_headers(
    three_dialects: Gateway, modules: Path, tmp_path: Path, model: str
) -> None:
    source = pointed_at(CLIENT + STREAM % model, three_dialects.url, three_dialects.live)
    told = run_typescript(source, tmp_path, modules)
    assert told["text"].startswith(SAYS)
    assert told["usage"]["completion_tokens"] == 16
    assert told["failed"] == ["NotFoundError", 404, "model_not_found", "model"]
    assert told["id"] == newest(three_dialects, "user_stream")["id"]


def test_the_lock_file_names_no_registry() -> None:
    """The packages come from wherever this machine gets its packages."""
    assert "http" not in (NODE / "package-lock.json").read_text(encoding="utf-8")
