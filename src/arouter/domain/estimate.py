"""Token estimates, for answers whose usage never arrived. An estimate always says that it is one."""

BYTES_PER_TOKEN = 4
"""What English text averages with current tokenizers. Code and other scripts use more tokens per character but also
more bytes per character in UTF-8, which keeps the rule within about a third for most text."""


def tokens_of(text_bytes: int) -> int:
    """The estimated tokens of that many bytes of UTF-8 text; at least one if there is any text."""
    return -(-text_bytes // BYTES_PER_TOKEN)
