"""The command `tocsin spool-count`."""

from __future__ import annotations

from pathlib import Path

import click

from tocsin_example.spool import count_files


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def count(folder: Path) -> None:
    """Count the files in FOLDER."""
    click.echo(f"{count_files(folder)} files")
