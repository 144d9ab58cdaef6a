"""Images, sound and documents as Gemini parts: `inlineData` by value, `fileData` by address.

A media type is what the client said, else what a `data:` URL says, else what the suffix of the name or address says.
The table of suffixes is our own: Python's `mimetypes` reads files of the machine that it runs on.
"""

from binascii import b2a_base64
from urllib.parse import unquote_to_bytes, urlsplit

from arouter.domain.chat import Audio, File, Image, Json
from arouter.domain.errors import InvalidRequest

_BY_SUFFIX = {
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "avi": "video/avi",
    "css": "text/css",
    "csv": "text/csv",
    "flac": "audio/flac",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "m4a": "audio/m4a",
    "md": "text/markdown",
    "mov": "video/mov",
    "mp3": "audio/mp3",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "ogg": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "py": "text/x-python",
    "rtf": "text/rtf",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "wmv": "video/wmv",
    "xml": "text/xml",
}
_AUDIO_FORMATS = {"mpeg": "audio/mp3", "pcm16": "audio/pcm"}
"""OpenAI's names that differ from the suffix."""

_IMAGE_OF_UNKNOWN_KIND = "image/jpeg"
_FILE_OF_UNKNOWN_KIND = "application/octet-stream"


def image_part(image: Image) -> Json:
    """An image. InvalidRequest if it has neither an address nor data."""
    return _part(image.url, image.data, image.media_type, None, _IMAGE_OF_UNKNOWN_KIND)


def audio_part(audio: Audio) -> Json:
    """Sound by value; `format` is OpenAI's word for it."""
    suffix = audio.format.lower()
    media_type = _AUDIO_FORMATS.get(suffix) or _BY_SUFFIX.get(suffix) or f"audio/{suffix}"
    return _inline(audio.data, media_type)


def file_part(file: File) -> Json:
    """A document. A provider's own id is the address that Gemini's Files API gave (`https://…/v1beta/files/…`)."""
    return _part(file.url or file.file_id, file.data, file.media_type, file.name, _FILE_OF_UNKNOWN_KIND)


def _part(url: str | None, data: str | None, media_type: str | None, name: str | None, unknown: str) -> Json:
    """`unknown` is the media type of inline data when nothing tells it: Gemini insists on one there."""
    if data is not None and not data.startswith("data:"):
        return _inline(data, media_type or _guess(name) or unknown)
    address = data if data is not None else url
    if address is None:
        raise InvalidRequest("a file or an image needs a URL, data or an id", param="messages")
    if address[:5].lower() == "data:":
        told, base64 = _read_data_url(address)
        return _inline(base64, media_type or told or _guess(name) or unknown)
    guessed = media_type or _guess(urlsplit(address).path) or _guess(name)
    return {"fileData": {"mimeType": guessed, "fileUri": address} if guessed else {"fileUri": address}}


def _inline(data: str, media_type: str) -> Json:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _guess(name: str | None) -> str | None:
    """By the suffix of a file's name or path; None if it has none that we know."""
    return _BY_SUFFIX.get(name.rpartition(".")[2].lower()) if name else None


def _read_data_url(url: str) -> tuple[str | None, str]:
    """The media type, if it says one, and the base64 text of a `data:` URL (RFC 2397)."""
    head, comma, payload = url[5:].partition(",")
    if not comma:
        raise InvalidRequest("a data: URL needs a comma between its media type and its data", param="messages")
    media_type, _, options = head.partition(";")
    if "base64" not in options.lower().split(";"):
        payload = b2a_base64(unquote_to_bytes(payload), newline=False).decode()
    return media_type.lower() or None, payload
