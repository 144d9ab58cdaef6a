"""The bar of long work: on standard error, gone when the work is done, and only where a person looks."""

import sys

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from arouter.cli.output import stderr


def progress_bar(*told: ProgressColumn, shown: bool = True) -> Progress:
    """A bar for tasks with a description and a total. `told` says how far it is; without it, so many of how many."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *(told or (MofNCompleteColumn(),)),
        TimeRemainingColumn(),
        console=stderr(),
        transient=True,
        disable=not (shown and sys.stderr.isatty()),
    )
