"""Small TSV tables as columns of text, with errors that name the line."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfgen.errors import InputFormatError, UsageError
from tfgen.io.atomic import new_file


def read_table(
    path: Path, required: Sequence[str] = (), comment: str | None = None
) -> dict[str, list[str]]:
    r"""Reads a TSV file with a header line into columns of text.

    Values stay as they are: `NA` is a value, quotes are characters. CRLF line ends, a byte order
    mark and blank lines at the end are accepted.

    Args:
        path: UTF-8 text, tab-separated.
        required: Columns that must be there; the order does not matter.
        comment: Lines that begin with this are skipped, above the header only.

    Returns:
        Column name to its values, columns in file order. All columns have the same length.

    Raises:
        InputFormatError: No header, a missing or repeated column, or a line with another number
            of fields.
        OSError: The file cannot be read.
    """
    lines = _text_lines(path)
    number, header = next(
        ((n, line) for n, line in lines if comment is None or not line.startswith(comment)), (0, "")
    )
    if not number:
        raise InputFormatError(f"{path}: no header line; expected a TSV file with column names")
    names = header.split("\t")
    _check_header(f"{path}:{number}", names, required)
    columns: list[list[str]] = [[] for _ in names]
    for number, line in lines:
        values = line.split("\t")
        if len(values) != len(names):
            raise InputFormatError(
                f"{path}:{number}: {len(values)} fields, but the header has {len(names)}; "
                f"{_field_advice(line, len(names))}"
            )
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return dict(zip(names, columns, strict=True))


def write_table(
    path: Path, columns: Mapping[str, Sequence[object]], comments: Sequence[str] = ()
) -> None:
    """Writes a TSV file in one step.

    Args:
        path: Output file; an existing one is replaced.
        columns: Column name to its values, all of one length. Values are written with `str`.
        comments: Lines above the header, written as `# text`, for example build and units.

    Raises:
        UsageError: Columns of different length, or a tab or line break in a name, value or
            comment.
        OutputError: The file cannot be written.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise UsageError(f"{path}: columns of different length: {lengths}; make them equal")
    with new_file(path) as stream:
        for text in comments:
            stream.write(f"# {_cell(path, text)}\n")
        for row in (columns, *zip(*columns.values(), strict=True)):
            stream.write("\t".join(_cell(path, value) for value in row) + "\n")


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """1-based number and text of every line, without blank lines at the end."""
    number, blank = 0, 0
    with path.open(encoding="utf-8-sig", newline="\n") as stream:
        try:
            for number, raw in enumerate(stream, start=1):
                line = raw.removesuffix("\n").removesuffix("\r")
                if not line.strip(" "):
                    blank = blank or number
                    continue
                if blank:
                    raise InputFormatError(f"{path}:{blank}: blank line; remove it")
                yield number, line
        except UnicodeDecodeError as error:
            raise InputFormatError(
                f"{path}: not UTF-8 text after line {number} ({error.reason}); "
                "expected a plain, uncompressed TSV file"
            ) from None


def _check_header(where: str, names: Sequence[str], required: Sequence[str]) -> None:
    """Raises InputFormatError unless the names are unique and include the required ones."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputFormatError(f"{where}: repeated column {repeated[0]!r}; give each its own name")
    missing = [name for name in required if name not in names]
    if missing:
        advice = ""
        if len(names) == 1 and len(names[0].split()) > 1:
            advice = "; the fields are separated by spaces, use tabs"
        raise InputFormatError(
            f"{where}: no column {', '.join(missing)}; found {', '.join(names)}{advice}"
        )


def _field_advice(line: str, n_fields: int) -> str:
    """How a line with a wrong number of fields is probably mended."""
    if len(line.split()) == n_fields:
        return "spaces instead of tabs, use one tab between fields"
    return "give every column a value, with one tab between fields"


def _cell(path: Path, value: object) -> str:
    """A value as text that cannot break the table."""
    text = str(value)
    if any(character in text for character in "\t\n\r"):
        raise UsageError(f"{path}: {text!r} holds a tab or line break; a TSV value cannot")
    return text
