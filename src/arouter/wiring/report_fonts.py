"""The fonts that the settings name for reports."""

from collections.abc import Sequence
from pathlib import Path

from arouter.settings import Settings, SettingsError

_ENDINGS = (".ttf", ".otf", ".ttc", ".otc")
_BEGINNINGS = (b"\x00\x01\x00\x00", b"true", b"OTTO", b"ttcf")
"""Of a TrueType font, Apple's too, an OpenType font, a collection."""


def report_fonts(settings: Settings) -> Sequence[str]:
    """Their files. SettingsError for one that is not there or no font: better at the start than with a report."""
    return tuple(str(_checked(settings.directory / name)) for name in settings.report.fonts)


def _checked(file: Path) -> Path:
    try:
        with file.open("rb") as content:
            beginning = content.read(4)
    except OSError as exc:
        raise SettingsError(f"report.fonts: {file} cannot be read: {exc.strerror}") from exc
    if beginning not in _BEGINNINGS or file.suffix.lower() not in _ENDINGS:
        raise SettingsError(f"report.fonts: {file} is not a font; give {', '.join(_ENDINGS)} files")
    return file
