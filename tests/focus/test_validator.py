"""The FinOps Foundation's own validator finds nothing wrong with what we write.

It carries its rules and the list of currencies, and needs no network. The newest version that it knows is 1.0, whose
rules the columns of our 1.2 keep; what 1.2 added it does not look at. Its rules call four columns by names that no
published version has, and one of them asks for a column by the name that it had before 1.0: the file that it is given
has those names.
"""

import json
import subprocess
from pathlib import Path

import pytest

from arouter.domain.record import Status, UsageSource
from arouter.domain.usage import NOTHING_REPORTED
from arouter.wire.focus import DAY_US, Focus
from tests.sdks.environments import python_with
from tests.wire.activity_rows import row

REQUIREMENTS = Path(__file__).with_name("requirements")
NOON_US = 1_795_348_800_000_000
NEWEST_KNOWN = "1.0"
ITS_OWN_NAMES = {
    b"ProviderName": b"Provider",
    b"PublisherName": b"Publisher",
    b"InvoiceIssuerName": b"InvoiceIssuer",
    b"ResourceId": b"ResourceID",
}
OLD_NAME = "ChargeType"

WRONG = {
    "BilledCost": (b"much", "BilledCost_IsDecimal"),
    "ChargeCategory": (b"", "ChargeCategory_NotNull"),
    "ChargePeriodStart": (b'"2026-11-22"', "ChargePeriodStart_IsDateTime"),
    "Tags": (b'"[]"', "Tags_IsJSONObject"),
    "BillingCurrency": (b'"Thaler"', "BillingCurrency_IsCurrencyCode"),
    "SkuPriceId": (b"", "SkuPriceId_Nullable"),
}
"""By column: what is wrong to be in it, and the check that sees it."""

_VALIDATE = """
import json, os, sys
version, *paths = sys.argv[1:]
# It looks for its list of currencies below the working directory.
os.chdir(next(folder for folder in sys.path if os.path.isdir(os.path.join(folder, "focus_validator"))))
from focus_validator.validator import Validator
for path in paths:
    validator = Validator(data_filename=path, output_destination=None, output_type="console", rules_version=version)
    validator.load()
    checklist = validator.spec_rules.validate(validator.focus_data).checklist
    print(json.dumps({name: check.status.value for name, check in checklist.items()}))
"""

Verdicts = dict[str, str]
"""By the name of the check."""


def _verdicts(paths: list[Path], version: str = NEWEST_KNOWN) -> list[Verdicts]:
    """Of each file, all from one process, since it takes seconds to start."""
    done = subprocess.run(
        [python_with("focus-validator", REQUIREMENTS), "-W", "ignore", "-c", _VALIDATE, version, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With everything that records can lack."""
    rows = [
        row(0, created_at_us=NOON_US, user="ü", cost=1),
        row(1, created_at_us=NOON_US, user=None, cost=None),
        row(2, created_at_us=NOON_US, user="", cost=10**15),
        row(3, created_at_us=NOON_US, user='=cmd(), "x"', key_name="", cost=0),
        row(4, created_at_us=NOON_US, status=Status.REJECTED, model=None, provider=None, cost=None,
            usage=NOTHING_REPORTED, usage_source=UsageSource.NONE),
        row(5, created_at_us=NOON_US + DAY_US, user="next day", is_byok=True),
    ]  # fmt: skip
    focus = Focus()
    header = focus.header()
    for name, its_own in ITS_OWN_NAMES.items():
        assert b'"%b"' % name in header
        header = header.replace(b'"%b"' % name, b'"%b"' % its_own)
    lines = [header, *(focus.add(rows) + focus.end()).splitlines(keepends=True)]
    more = [f'"{OLD_NAME}"', *['"Usage"'] * (len(lines) - 1)]
    path = tmp_path_factory.mktemp("focus") / "focus.csv"
    path.write_bytes(b"".join(line[:-2] + f",{one}\r\n".encode() for line, one in zip(lines, more, strict=True)))
    return path


def _with(table: Path, column: str, instead: bytes) -> Path:
    """The table with something else in the column of its first row."""
    header, *lines = table.read_bytes().split(b"\r\n")
    place = [name.strip(b'"').decode() for name in header.split(b",")].index(column)
    cells = lines[0].split(b",")
    cells[place] = instead
    wrong = table.with_name(f"{column}.csv")
    wrong.write_bytes(b"\r\n".join([header, b",".join(cells), *lines[1:]]))
    return wrong


@pytest.fixture(scope="module")
def verdicts(table: Path) -> dict[str, Verdicts]:
    """Of the table as "right", and with each column wrong by its name."""
    wrong = {column: _with(table, column, instead) for column, (instead, _) in WRONG.items()}
    files = {"right": table, **wrong}
    return dict(zip(files, _verdicts([*files.values()]), strict=True))


def test_every_check_passes(verdicts: dict[str, Verdicts]) -> None:
    assert len(verdicts["right"]) > 80
    assert {name for name, verdict in verdicts["right"].items() if verdict != "passed"} == set()


@pytest.mark.parametrize("column", WRONG)
def test_the_validator_sees_what_is_wrong(verdicts: dict[str, Verdicts], column: str) -> None:
    assert verdicts[column][WRONG[column][1]] == "failed"
