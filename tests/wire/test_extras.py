"""What an extra is needed for says so; nothing else needs it."""

import subprocess
import sys

import pytest

from arouter.wire import extras

_WITHOUT = "import sys; sys.modules['pyarrow'] = sys.modules['numpy'] = None\n"


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_module_is_loaded() -> None:
    assert extras.analytics("arouter.wire.activity_columns").SCHEMA.names[0] == "id"


def test_without_the_packages_the_message_says_how_to_get_them() -> None:
    told = _run(
        _WITHOUT + "from arouter.wire import extras, export_forms\n"
        "try: export_forms.Parquet({})\n"
        "except extras.ExtraMissing as exc: print(exc)"
    )
    assert "pip install 'arouter[analytics]'" in told


def test_a_module_that_does_not_exist_is_a_defect_and_not_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        extras.analytics("arouter.wire.nothing")


def test_the_gateway_and_the_command_start_without_them() -> None:
    modules = "arouter.wiring.gateway, arouter.cli.activity"
    assert _run(_WITHOUT + f"import {modules}; print('started')") == "started"
    loaded = _run(f"import sys, {modules}; print(sorted({{'pyarrow', 'numpy'}} & sys.modules.keys()))")
    assert loaded == "[]"
