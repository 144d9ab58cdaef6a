"""OpenAI's usage and costs API on the real gateway, read by the official SDKs for Python and Node."""

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import openai
import pytest
from openai.types.admin.organization import usage_completions_response as completions
from openai.types.admin.organization import usage_costs_response as costs
from openai.types.admin.organization import usage_embeddings_response as embeddings
from openai.types.admin.organization import usage_moderations_response as moderations

from tests.acceptance.client import Client
from tests.acceptance.gateway import Gateway
from tests.acceptance.node_packages import installed_modules
from tests.acceptance.test_seeds import run_typescript

START = int(time.time()) - 3 * 86_400


@pytest.fixture(scope="module")
def gateway(three_dialects: Gateway) -> Gateway:
    """With a few requests of two users."""
    with three_dialects.client() as client:
        for user in ("ada", "ada", "bob"):
            assert client.chat("openai/gpt-5.4", user).status == 200
        assert client.chat("anthropic/claude-sonnet-4.6").status == 200
        for path, model in (("embeddings", "text-embedding-3-small"), ("moderations", "omni-moderation-latest")):
            assert client.post(f"/v1/{path}", {"model": model, "input": "Hello", "user": "ada"}).status == 200
    return three_dialects


@pytest.fixture(scope="module", params=["/v1", ""])
def sdk(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[openai.OpenAI]:
    """As an administrator of the organization; the base URL may end with or without the version."""
    url = gateway.url + request.param
    with openai.OpenAI(base_url=url, admin_api_key=gateway.management, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def manager(gateway: Gateway) -> Iterator[Client]:
    with gateway.manager() as connected:
        yield connected


def test_completions_are_of_the_sdks_type(sdk: openai.OpenAI, manager: Client) -> None:
    page = sdk.admin.organization.usage.completions(
        start_time=START, group_by=["model", "user_id", "api_key_id", "project_id", "batch"], models=["openai/gpt-5.4"]
    )
    assert isinstance(page, completions.UsageCompletionsResponse)
    assert (page.object, page.has_more, page.next_page) == ("page", False, None)
    assert [bucket.object for bucket in page.data] == ["bucket"] * len(page.data)
    assert page.data[0].start_time == START
    assert all(edge.end_time == after.start_time for edge, after in zip(page.data, page.data[1:], strict=False))
    [result] = [result for bucket in page.data for result in bucket.results]
    assert isinstance(result, completions.DataResultOrganizationUsageCompletionsResult)
    [totals] = manager.ask("GET", "/v1/activity/summary?model=openai/gpt-5.4&group_by=model,api_key,workspace").json[
        "data"
    ]
    assert (result.num_model_requests, result.input_tokens, result.output_tokens) == (
        totals["requests"],
        totals["prompt_tokens"],
        totals["completion_tokens"],
    )
    assert (result.model, result.api_key_id, result.project_id) == (
        "openai/gpt-5.4",
        totals["api_key"],
        totals["workspace"],
    )
    assert (result.user_id, result.batch, result.input_cache_write_tokens) == (None, False, None)


def test_the_end_user_is_among_what_the_sdk_does_not_know(sdk: openai.OpenAI) -> None:
    page = sdk.admin.organization.usage.completions(
        start_time=START, bucket_width="1h", limit=168, extra_query={"group_by": ["user"], "models": ["openai/gpt-5.4"]}
    )
    results = [result for bucket in page.data for result in bucket.results]
    assert {(result.model_extra or {})["user"] for result in results} == {"ada", "bob"}


def test_embeddings_and_moderations_are_of_the_sdks_types(sdk: openai.OpenAI) -> None:
    usage = sdk.admin.organization.usage
    [vectors] = [one for bucket in usage.embeddings(start_time=START).data for one in bucket.results]
    assert isinstance(vectors, embeddings.DataResultOrganizationUsageEmbeddingsResult)
    assert (vectors.num_model_requests, vectors.input_tokens) == (1, 1)
    [verdicts] = [one for bucket in usage.moderations(start_time=START).data for one in bucket.results]
    assert isinstance(verdicts, moderations.DataResultOrganizationUsageModerationsResult)
    assert verdicts.num_model_requests == 1


def test_costs_are_of_the_sdks_type(sdk: openai.OpenAI, manager: Client) -> None:
    page = sdk.admin.organization.usage.costs(start_time=START, group_by=["line_item", "project_id"], limit=180)
    told = {}
    for result in (result for bucket in page.data for result in bucket.results):
        assert isinstance(result, costs.DataResultOrganizationCostsResult)
        assert result.amount is not None
        assert result.amount.currency == "usd"
        told[result.line_item] = result.amount.value
    totals = manager.ask("GET", "/v1/activity/summary?group_by=model").json["data"]
    assert told == {row["model"]: row["cost"] for row in totals}


@pytest.mark.parametrize("width", ["1m", "1h", "1d"])
def test_pages_are_read_to_their_end(sdk: openai.OpenAI, manager: Client, width: str) -> None:
    start, requests, following = int(time.time()) - 3600 - 1, 0, ""
    while True:
        page = sdk.admin.organization.usage.completions(
            start_time=start,
            bucket_width=width,  # type: ignore[arg-type]
            limit=10,
            page=following,
        )
        requests += sum(
            result.num_model_requests
            for bucket in page.data
            for result in bucket.results
            if isinstance(result, completions.DataResultOrganizationUsageCompletionsResult)
        )
        if page.next_page is None:
            break
        assert page.has_more
        following = page.next_page
    rows = manager.ask("GET", "/v1/activity/summary?group_by=endpoint").json["data"]
    assert requests == sum(row["requests"] for row in rows if "chat" in row["endpoint"])


def test_a_wrong_parameter_is_a_bad_request_to_the_sdk(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.admin.organization.usage.completions(start_time=START, limit=32)
    assert (refused.value.param, refused.value.code) == ("limit", "invalid_parameter")


def test_a_live_key_reads_its_own(gateway: Gateway) -> None:
    key = gateway.new_key("alone")
    with openai.OpenAI(base_url=gateway.url, admin_api_key=key, max_retries=0) as alone:
        page = alone.admin.organization.usage.completions(start_time=START)
        assert [bucket.results for bucket in page.data] == [[]] * len(page.data)


PROGRAM = """
import OpenAI from "openai";
import type {
  UsageCompletionsResponse, UsageCostsResponse, UsageEmbeddingsResponse,
} from "openai/resources/admin/organization/usage";
const client = new OpenAI({ baseURL: "%s/v1", apiKey: "%s", adminAPIKey: "%s" });
const usage = client.admin.organization.usage;
const completions: UsageCompletionsResponse = await usage.completions({
  start_time: %d, bucket_width: "1d", group_by: ["model", "project_id"], models: ["openai/gpt-5.4"],
});
const embeddings: UsageEmbeddingsResponse = await usage.embeddings({ start_time: %d });
const costs: UsageCostsResponse = await usage.costs({ start_time: %d, group_by: ["line_item"] });
const failed = await usage.costs({ start_time: 0, limit: 181 })
  .then(() => null, (error) => [error.constructor.name, error.status, error.code, error.param]);
console.log(JSON.stringify({
  completions: completions.data.flatMap((bucket) => bucket.results),
  embeddings: embeddings.data.flatMap((bucket) => bucket.results),
  costs: costs.data.flatMap((bucket) => bucket.results),
  failed,
}));
"""


def test_the_sdk_for_node_reads_them(gateway: Gateway, manager: Client, tmp_path: Path) -> None:
    source = PROGRAM % (gateway.url, gateway.live, gateway.management, START, START, START)
    told = run_typescript(source, tmp_path, installed_modules())
    [one] = told["completions"]
    [totals] = manager.ask("GET", "/v1/activity/summary?model=openai/gpt-5.4&group_by=model").json["data"]
    assert (one["model"], one["input_tokens"]) == ("openai/gpt-5.4", totals["prompt_tokens"])
    assert one["object"] == "organization.usage.completions.result"
    assert [one["num_model_requests"] for one in told["embeddings"]] == [1]
    rows = manager.ask("GET", "/v1/activity/summary?group_by=model").json["data"]
    assert {one["line_item"]: one["amount"]["value"] for one in told["costs"]} == {
        row["model"]: row["cost"] for row in rows
    }
    assert sum(Decimal(str(row["cost"])) for row in rows) > 0
    assert told["failed"] == ["BadRequestError", 400, "invalid_parameter", "limit"]
