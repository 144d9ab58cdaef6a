"""The fonts that the settings name for reports."""

from importlib.metadata import distribution
from pathlib import Path

import pytest

from arouter.settings import Report, Settings, SettingsError, load
from arouter.wiring.report_fonts import report_fonts

FONT = Path(str(distribution("matplotlib").locate_file("matplotlib/mpl-data/fonts/ttf/DejaVuSansMono.ttf")))


def at(directory: Path, *fonts: str) -> Settings:
    return Settings(report=Report(fonts=fonts), directory=directory)


def test_files_are_relative_to_the_configuration_or_absolute(tmp_path: Path) -> None:
    (tmp_path / "mono.ttf").symlink_to(FONT)
    assert report_fonts(at(tmp_path, "mono.ttf", str(FONT))) == (str(tmp_path / "mono.ttf"), str(FONT))
    assert report_fonts(at(tmp_path)) == ()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.ttf", None, "cannot be read: No such file"),
        (".", None, "cannot be read: Is a directory"),
        ("page.ttf", b"<html>", "is not a font"),
        ("empty.ttf", b"", "is not a font"),
        ("font.pfb", b"OTTO", "is not a font"),
    ],
)
def test_what_is_no_font_is_refused_at_the_start(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=rf"^report\.fonts: .*{message}"):
        report_fonts(at(tmp_path, name))


def test_they_are_a_setting(tmp_path: Path) -> None:
    file = tmp_path / "arouter.toml"
    file.write_text('[report]\nfonts = ["a.ttf", "b.ttc"]\n')
    assert load(file, environment={}).report.fonts == ("a.ttf", "b.ttc")
