"""Every format of export that can be read, and which one a file is in."""

from collections.abc import Callable, Sequence

import msgspec

from . import anthropic, generic, openai, openrouter
from .lines import Export
from .reading import BadExport, File, Record, header, pages


class Format(msgspec.Struct, frozen=True):
    parse: Callable[[Sequence[File]], Export]
    recognises: Callable[[Record], bool] | None  # a page of JSON
    recognises_columns: Callable[[frozenset[str]], bool]  # of CSV


# The first that recognises a file is meant.
FORMATS = {
    "openai": Format(openai.parse, openai.recognises, openai.recognises_columns),
    "anthropic": Format(anthropic.parse, anthropic.recognises, anthropic.recognises_columns),
    "openrouter": Format(openrouter.parse, openrouter.recognises, openrouter.recognises_columns),
    "csv": Format(generic.parse, None, generic.recognises_columns),
}


def parse(files: Sequence[File], format: str | None = None) -> Export:
    """All files of one export. Raises BadExport."""
    if not files:
        raise BadExport("no file is given")
    name = format or detect(files)
    if name not in FORMATS:
        raise BadExport(f"{name!r} is no format; the formats are {', '.join(FORMATS)}")
    if name == "csv" and (wrong := [file.name for file in files if file.json]):
        raise BadExport(f"{wrong[0]}: this is JSON, and the format is csv")
    export = FORMATS[name].parse(files)
    if export.lines and not export.classes and not export.priced:
        raise BadExport(f"{files[0].name}: the file has neither tokens nor costs")
    return export


def detect(files: Sequence[File]) -> str:
    """The format of all files; raises BadExport where none fits, or not one for all."""
    found = {file.name: _format(file) for file in files}
    if len(names := set(found.values())) > 1:
        raise BadExport(f"the files are of several formats: {', '.join(f'{file} is {name}' for file, name in found.items())}")
    return names.pop()


def _format(file: File) -> str:
    if file.json:
        read = pages(file)
        for name, format in FORMATS.items():
            if format.recognises is not None and any(format.recognises(page) for page in read):
                return name
    else:
        columns = header(file)
        for name, format in FORMATS.items():
            if format.recognises_columns(columns):
                return name
    raise BadExport(f"{file.name}: no known export; say which format it is ({', '.join(FORMATS)}). See docs/guides/reconcile.md")
