"""Where things are: layers, sizes, a test for each module, what may not be written down anywhere."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "arouter"
TESTS = ROOT / "tests"

MOST_LINES = 500

LONGER: frozenset[str] = frozenset()
"""Modules that may have more lines, below `src/arouter`. It only ever shrinks."""

TESTED_BY = {
    "tests/web/api/test_oidc.py": ("domain/oidc.py", "engine/oidc.py", "wire/oidc_json.py", "wiring/issuers.py"),
    "tests/conformance/test_sign_in.py": ("store/memory_sign_in.py", "store/sign_in.py", "store/sqlite/sign_in.py"),
    "tests/web/api/test_sign_in.py": ("domain/sign_in.py", "wire/sign_in_json.py"),
    "tests/web/api/test_audit.py": ("wire/audit_json.py",),
    "tests/web/api/test_roles.py": ("domain/principals.py",),
    "tests/web/api/test_members.py": ("web/api/people_settings.py", "wire/organizations_json.py"),
    "tests/cli/test_organizations.py": (
        "cli/audit.py",
        "cli/invitations.py",
        "cli/members.py",
        "cli/people.py",
        "cli/workspaces.py",
    ),
    "tests/conformance/test_audit.py": (
        "domain/audit.py",
        "store/audit.py",
        "store/memory_audit.py",
        "store/sqlite/changes.py",
    ),
    "tests/conformance/test_organizations.py": (
        "store/memory_organizations.py",
        "store/organizations.py",
        "store/sqlite/organizations.py",
    ),
    "tests/conformance/test_credits.py": (
        "domain/credits.py",
        "store/credits.py",
        "store/memory_credits.py",
        "store/sqlite/credits.py",
    ),
    "tests/domain/test_organizations.py": ("domain/roles.py",),
    "tests/acceptance/test_docs_commands.py": ("web/metrics.py",),
    "tests/acceptance/test_recordings.py": ("domain/estimate.py", "providers/openai.py"),
    "tests/acceptance/test_startup.py": (
        "web/app.py",
        "wiring/gateway.py",
        "wiring/pipeline.py",
        "wiring/server.py",
        "wiring/storage.py",
    ),
    "tests/acceptance/test_users.py": (
        "domain/ids.py",
        "engine/dialects/generate.py",
        "providers/whole.py",
        "engine/dialects/messages.py",
        "engine/dialects/responses.py",
        "web/http/general.py",
        "web/inference/asgi_reply.py",
        "web/inference/body.py",
        "web/inference/chat_request.py",
        "web/inference/dialects.py",
        "web/inference/head.py",
        "web/inference/headers.py",
        "web/inference/messages_request.py",
        "web/inference/reply.py",
        "web/inference/responses_request.py",
    ),
    "tests/acceptance/test_openai_endpoints.py": (
        "engine/dialects/openai_endpoints.py",
        "wire/openai_failures.py",
    ),
    "tests/cli/test_activity.py": ("cli/filter_options.py", "cli/summary_table.py"),
    "tests/cli/test_commands.py": ("cli/__init__.py", "cli/options.py", "cli/output.py"),
    "tests/cli/test_config.py": (
        "settings/__init__.py",
        "settings/oidc.py",
        "settings/values.py",
        "wiring/providers.py",
    ),
    "tests/jobs/test_moving.py": (
        "store/postgres/left_behind.py",
        "store/postgres/loading.py",
        "store/postgres/moved_records.py",
        "store/postgres/moving.py",
        "store/sqlite/left_behind.py",
        "store/sqlite/moved_records.py",
        "store/sqlite/moving.py",
        "wiring/moving.py",
    ),
    "tests/cli/test_corrections.py": ("wire/adjustments_json.py",),
    "tests/cli/test_db.py": ("cli/database.py",),
    "tests/cli/test_demo_history.py": ("cli/demo_filling.py",),
    "tests/cli/test_export.py": ("cli/partial_file.py",),
    "tests/cli/test_demo.py": (
        "cli/demo_client.py",
        "cli/demo_screen.py",
        "cli/demo_traffic.py",
        "web/dashboard/page.py",
    ),
    "tests/cli/test_reprice.py": ("cli/progress.py",),
    "tests/cli/test_guardrails.py": ("cli/limit_options.py", "cli/user_rules.py", "cli/users.py"),
    "tests/cli/test_prices.py": ("cli/repricing.py", "engine/repricing.py", "wiring/prices.py"),
    "tests/cli/test_serve.py": ("wiring/logs.py",),
    "tests/store/journal/test_ledger.py": ("store/journal/delivery.py", "store/journal/orphan.py"),
    "tests/wiring/test_journal.py": ("settings/storage.py", "store/journal/store.py"),
    "tests/conformance/test_feed.py": (
        "store/feed.py",
        "store/memory_feed.py",
        "store/sqlite/archive/feeding.py",
        "store/sqlite/feed.py",
    ),
    "tests/store/clickhouse/test_connections.py": (
        "store/clickhouse/conditions.py",
        "store/clickhouse/driver.py",
    ),
    "tests/store/clickhouse/test_copier.py": ("store/clickhouse/rows.py",),
    "tests/store/clickhouse/test_copy_stateful.py": (
        "store/clickhouse/pages.py",
        "store/clickhouse/reader.py",
        "store/clickhouse/summaries.py",
        "store/clickhouse/sums.py",
        "store/clickhouse/users.py",
    ),
    "tests/wiring/test_clickhouse.py": ("settings/clickhouse.py",),
    "tests/store/test_sealing.py": (
        "store/sqlite/archive/blocks.py",
        "store/sqlite/archive/checking.py",
        "store/sqlite/archive/columns.py",
        "store/sqlite/archive/reader.py",
        "store/sqlite/archive/sums.py",
        "store/sqlite/archive/writer.py",
        "store/sqlite/archivist.py",
        "store/sqlite/sealed.py",
        "store/sqlite/sealed_sums.py",
        "store/sqlite/sealing.py",
    ),
    "tests/wiring/test_storage.py": ("store/stores.py",),
    "tests/store/test_sqlite.py": ("store/intents.py",),
    "tests/store/test_recent_blocks.py": ("store/sqlite/archive/recent.py",),
    "tests/store/test_retention.py": ("store/sqlite/expired.py",),
    "tests/faults/test_writer.py": ("store/sqlite/kept.py",),
    "tests/store/test_loading.py": (
        "store/sqlite/archive/grouping.py",
        "store/sqlite/archive/loaded_sums.py",
        "store/sqlite/archive/loading.py",
    ),
    "tests/store/test_column_pages.py": (
        "store/sqlite/archive/exported.py",
        "store/sqlite/archive/stretches.py",
        "store/sqlite/column_pages.py",
    ),
    "tests/cli/test_report.py": ("cli/whole_file.py",),
    "tests/cli/test_users.py": ("cli/user_tables.py",),
    "tests/conformance/test_adjustments.py": ("domain/adjustment.py", "store/postgres/adjuster.py"),
    "tests/conformance/test_counters.py": (
        "store/memory_counters.py",
        "store/sqlite/leases.py",
        "store/sqlite/usage_days.py",
    ),
    "tests/conformance/test_directory.py": ("store/directory_rows.py", "store/memory_directory.py"),
    "tests/conformance/test_guardrails.py": ("store/memory_guardrails.py",),
    "tests/conformance/test_ledger.py": (
        "store/base.py",
        "store/intents.py",
        "store/limits.py",
        "store/memory.py",
        "store/postgres/ledger.py",
        "store/postgres/pages.py",
        "store/postgres/recovery.py",
        "store/tally.py",
    ),
    "tests/conformance/test_users.py": ("domain/users.py", "store/postgres/users.py", "store/user_lists.py"),
    "tests/store/postgres/test_appending.py": (
        "store/postgres/appender.py",
        "store/postgres/batch.py",
        "store/postgres/checks.py",
        "store/postgres/partitions.py",
    ),
    "tests/store/postgres/test_stateful.py": (
        "store/postgres/measures.py",
        "store/postgres/pieces.py",
        "store/postgres/raised.py",
        "store/postgres/rows.py",
        "store/postgres/selection.py",
        "store/postgres/summaries.py",
    ),
    "tests/domain/test_guardrails.py": ("domain/limits.py",),
    "tests/engine/test_completions.py": (
        "engine/adapters.py",
        "engine/admission.py",
        "engine/billing.py",
        "engine/call.py",
        "engine/clock.py",
        "engine/dialects/__init__.py",
        "engine/dialects/chat.py",
        "engine/forwarding.py",
        "engine/keepalive.py",
        "engine/recorder.py",
        "engine/routing.py",
        "engine/tasks.py",
    ),
    "tests/engine/test_completions_departure.py": ("engine/departure.py",),
    "tests/web/inference/test_express.py": ("engine/express.py", "engine/identity.py", "engine/way.py"),
    "tests/engine/test_guardian.py": ("engine/guards.py", "engine/hold.py"),
    "tests/engine/test_manner.py": ("engine/dialects/passing.py",),
    "tests/engine/test_reporting.py": ("domain/report.py",),
    "tests/engine/test_upstream.py": ("engine/proxy.py", "engine/timeouts.py"),
    "tests/faults/test_workers.py": (
        "wiring/channel.py",
        "wiring/metrics_port.py",
        "wiring/supervisor.py",
        "wiring/worker.py",
        "wiring/worker_metrics.py",
        "wiring/worker_process.py",
        "wiring/workers.py",
    ),
    "tests/insight/test_high_usage.py": ("domain/high_usage.py",),
    "tests/providers/test_anthropic_recorded.py": ("providers/base.py",),
    "tests/providers/test_openai.py": ("providers/openai_error.py", "providers/routing_fields.py"),
    "tests/sandbox/test_openai.py": ("sandbox/embeddings.py",),
    "tests/sandbox/test_openai_endpoints.py": (
        "sandbox/audio.py",
        "sandbox/completions.py",
        "sandbox/images.py",
        "sandbox/uploads.py",
        "sandbox/verdicts.py",
    ),
    "tests/sandbox/test_server.py": (
        "sandbox/dialect.py",
        "sandbox/faults.py",
        "sandbox/plan.py",
        "sandbox/provider.py",
    ),
    "tests/web/api/test_activity.py": (
        "domain/activity.py",
        "domain/visibility.py",
        "wire/activity_json.py",
        "wire/attempts_json.py",
        "wire/generation_json.py",
        "wire/numbers.py",
    ),
    "tests/web/api/test_high_usage.py": ("web/api/high_users.py", "web/api/ranges.py", "wire/high_usage.py"),
    "tests/web/api/test_arouter_usage.py": ("wire/arouter_usage.py",),
    "tests/web/api/test_billing.py": ("wire/billing_json.py",),
    "tests/web/api/test_credits.py": ("web/api/credit_settings.py", "wire/credits_json.py"),
    "tests/web/api/test_export.py": ("wire/activity_csv.py",),
    "tests/web/api/test_exports.py": ("engine/export.py", "wire/export_forms.py"),
    "tests/web/api/test_guardrails.py": (
        "web/api/explaining.py",
        "web/api/limit_settings.py",
        "web/api/user_rules.py",
        "wire/guardrails_json.py",
        "wire/limits_json.py",
    ),
    "tests/web/api/test_keys.py": ("domain/keys.py", "web/auth.py", "wire/json_body.py", "wire/keys_json.py"),
    "tests/web/api/test_models.py": ("wire/models_dialects.py", "wire/models_json.py"),
    "tests/web/inference/test_passing_request.py": ("web/inference/passing.py",),
    "tests/web/api/test_users.py": ("web/api/user_report.py", "wire/users_json.py"),
    "tests/web/api/test_operation.py": ("domain/errors.py", "web/errors.py"),
    "tests/web/api/test_provider_keys.py": ("web/api/paging.py", "wire/provider_keys_json.py"),
    "tests/wire/test_activity_lines.py": ("wire/column_numbers.py",),
    "tests/web/api/test_summary.py": (
        "web/api/leaving.py",
        "web/api/summary_query.py",
        "wire/nearest.py",
        "wire/summary.py",
    ),
    "tests/store/test_day_columns.py": (
        "store/sqlite/columns/absences.py",
        "store/sqlite/columns/adding.py",
        "store/sqlite/columns/blocks.py",
        "store/sqlite/columns/checking.py",
        "store/sqlite/columns/folding.py",
        "store/sqlite/columns/leading.py",
        "store/sqlite/columns/reading.py",
        "store/sqlite/columns/tables.py",
        "store/sqlite/columns/top_users.py",
        "store/sqlite/columns/users.py",
        "store/sqlite/folded.py",
    ),
    "tests/store/test_sqlite_stateful.py": (
        "store/sqlite/pieces.py",
        "store/sqlite/sums.py",
    ),
    "tests/wire/test_anthropic_messages_thoughts.py": ("wire/seals.py",),
    "tests/wire/test_focus.py": ("wire/focus_columns.py",),
    "tests/wire/test_openai_chat_chunks.py": ("domain/charge.py", "wire/answer.py", "wire/openai_chat/writer.py"),
    "tests/wire/test_openai_chat_messages.py": ("wire/data_urls.py",),
    "tests/wire/test_openai_chat_request.py": ("wire/efforts.py", "wire/fields.py"),
}
"""Modules without a test file of their own name, and the one that holds them."""

MODULES = sorted(SOURCE.rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def _committed() -> Iterator[Path]:
    """The files that belong to the project, as git knows them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            yield ROOT / name


# ---------------------------------------------------------------- layers


def test_every_module_has_a_layer() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in told if contract["type"] == "layers")
    known = {name.strip() for layer in layers for name in layer.split("|")}
    found = {path.relative_to(SOURCE).with_suffix("").parts[0] for path in MODULES} - {"__init__"}
    assert found == known


def test_imports_keep_their_contracts() -> None:
    told = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout


# ---------------------------------------------------------------- sizes


def test_no_module_is_long() -> None:
    long = {_name(path) for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES}
    assert long == LONGER


# ---------------------------------------------------------------- tests


def _decides(path: Path) -> bool:
    """Whether there is anything to test: a function, of a module or of a class."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))


def _own_tests(name: str) -> Iterator[str]:
    """Patterns of the test files that a module has by its name, or by that of the package that it is a part of.

    `providers/gemini/media.py`: `providers/gemini/test_media*`, `providers/test_gemini_media*`, and the suite of
    the package, `providers/test_gemini*` or `providers/gemini/test_*`. A layer as a whole is no such package.
    """
    *folders, module = Path(name).with_suffix("").parts
    words = [*folders, *([module] if module != "__init__" else [])]
    for depth in range(len(words)):
        yield "/".join((*words[:depth], f"test_{'_'.join(words[depth:])}*.py"))
    if len(folders) > 1:
        yield "/".join((*folders[:1], f"test_{'_'.join(folders[1:])}*.py"))
        yield "/".join((*folders, "test_*.py"))


def test_every_module_that_decides_has_a_test() -> None:
    listed = {name for modules in TESTED_BY.values() for name in modules}
    untested = [
        name
        for name in (_name(path) for path in MODULES if _decides(path))
        if name not in listed and not any(True for pattern in _own_tests(name) for _ in TESTS.glob(pattern))
    ]
    assert untested == []


def test_the_list_of_tests_names_what_is_there() -> None:
    missing = [test for test in TESTED_BY if not (ROOT / test).is_file()]
    missing += [name for modules in TESTED_BY.values() for name in modules if not (SOURCE / name).is_file()]
    assert missing == []


# ---------------------------------------------------------------- what is pinned, run and written


def _requirements() -> list[Path]:
    return sorted((ROOT / "requirements").glob("*.txt"))


def _requirements_of_tests(suffix: str = "txt") -> list[Path]:
    return sorted(TESTS.glob(f"*/requirements/*.{suffix}"))


@pytest.mark.parametrize("path", [*_requirements(), *_requirements_of_tests()], ids=lambda path: path.name)
def test_requirements_are_pinned_with_hashes_and_name_no_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    entries = [entry for entry in re.split(r"\n(?! )", text.replace("\\\n", " ")) if entry.strip()]
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,._-]+\])?==[^\s]+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "--index" not in text
    assert "--extra-index" not in text
    assert "--find-links" not in text


def test_the_requirement_files_are_there() -> None:
    assert [path.name for path in _requirements()] == ["all.txt", "dev.txt", "image.txt", "installer.txt", "run.txt"]


def test_all_requirement_files_agree_on_every_version() -> None:
    least, image, everything, tests = (
        set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("run.txt", "image.txt", "all.txt", "dev.txt")
    )
    assert least < image < everything < tests


def test_each_environment_of_tests_is_locked() -> None:
    asked = {path.stem for path in _requirements_of_tests("in")}
    locked = {path.stem for path in _requirements_of_tests()}
    assert locked == asked == {"focus-validator", "langchain", "litellm", "pydantic-ai"}


def test_ci_runs_check_and_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line and not line.startswith("#")]
    assert commands == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make check", "make test"]


_OF_A_MACHINE = re.compile(
    r"""
      /(?:home|Users)/[a-z]            # somebody's folder
    | /root/                           # an administrator's
    | \bfile:///(?!path|var|srv|etc)   # a file of this machine
    """,
    re.VERBOSE,
)
_REGISTRIES = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "registry.npmjs" + ".org",
    "registry.yarnpkg" + ".com",
    "proxy.golang" + ".org",
)


def test_no_file_names_a_path_of_this_machine_or_a_registry() -> None:
    forbidden = [str(ROOT), str(ROOT.parent / "shared")]
    found = []
    for path in _committed():
        if path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {word}" for word in (*forbidden, *_REGISTRIES) if word in text]
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in _OF_A_MACHINE.finditer(text)]
    assert found == []
