"""The frame of every binary: flags, help, one-line errors, exit codes.

A binary holds a docstring with an example, `define_flags` for its options, and a `main` that makes
the options and calls one library function:

    from _command import build, define_flags, run

    define_flags(ScoreOptions)

    def main(flags):
        score(build(ScoreOptions, flags))

    if __name__ == "__main__":
        run(main)
"""

import errno
import io
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from absl import flags

from _flags import build, define_flags

_USAGE, _INTERNAL, _BROKEN_PIPE, _INTERRUPTED = 2, 1, 141, 130

__all__ = ["build", "define_flags", "import_tensorflow", "run"]


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while modules are still imported ends as later: with one line."""
    if issubclass(kind, KeyboardInterrupt):
        print("error: interrupted", file=sys.stderr)
        sys.stderr.flush()
        os._exit(_INTERRUPTED)
    sys.__excepthook__(kind, error, trace)


sys.excepthook = _report

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "tfgen" / "__init__.py").is_file():
    # A checkout: its library comes before an installed one, whatever the current folder.
    sys.path.insert(0, str(_ROOT))

flags.DEFINE_boolean("debug", False, "Show the traceback of an error.")

_WIDTH = 96


def run(main: Callable[[flags.FlagValues], int | None]) -> NoReturn:
    """Runs a binary and ends the process with its exit code.

    Args:
        main: Gets the parsed flags; returns an exit code, or None for 0.
    """
    _prepare_stdout()
    try:
        code = _exit_code(main, sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _leave_stdout()
    if code == _output_error_code():
        # After a full disk the HDF5 library crashes at interpreter exit, which would replace the
        # exit code. All files are closed by now.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _prepare_stdout() -> None:
    """Makes printing safe: file names need not be text, and stdout may have been closed."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def import_tensorflow() -> None:
    """Imports TensorFlow and finds its devices, without the start-up lines it puts on stderr.

    They come from its C++ side before any setting of ours is heard. `--debug` shows them.
    """
    if flags.FLAGS.debug:
        return
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
        # Blocks come in many sizes; that functions are traced again says nothing to the user.
        tf.get_logger().setLevel("ERROR")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _exit_code(main: Callable[[flags.FlagValues], int | None], argv: list[str]) -> int:
    """Parses the flags, calls `main`, and reports what it raises."""
    if any(word in ("--help", "-help", "-h") for word in argv[1:]):
        print(_help_page(argv[0]))
        return 0
    if any(word in ("--version", "-version") for word in argv[1:]):
        from tfgen import __version__

        print(f"{Path(argv[0]).name} of tfgen {__version__}")
        return 0
    try:
        extra = flags.FLAGS(argv)[1:]
    except UnicodeDecodeError:
        return _fail(_USAGE, "the file of --flagfile is not UTF-8 text", "--help")
    except flags.Error as error:
        message = str(error).partition(": required: ")
        return _fail(_USAGE, f"required: {message[2]}" if message[1] else message[0], "--help")
    if extra:
        return _fail(_USAGE, f"unexpected argument {extra[0]!r}; give --name=value", "--help")
    if not flags.FLAGS.debug:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return _call(main)


def _call(main: Callable[[flags.FlagValues], int | None]) -> int:
    """Calls `main` and turns what it raises into one line and an exit code."""
    from tfgen.errors import InputFormatError, TfgenError

    try:
        return main(flags.FLAGS) or 0
    except BrokenPipeError:
        return _leave_stdout()
    except KeyboardInterrupt:
        return _fail(_INTERRUPTED, "interrupted")
    except TfgenError as error:
        return _fail(error.exit_code, str(error))
    except OSError as error:
        # Outputs report their folders themselves: what is missing here is an input.
        missing = isinstance(error, FileNotFoundError)
        code = InputFormatError.exit_code if missing else _output_error_code()
        return _fail(code, _os_error_line(error))
    except Exception as error:  # noqa: BLE001  the last line of defence
        line = f"{type(error).__name__}: {error} (run with --debug for the traceback)"
        return _fail(_INTERNAL, line, kind="internal error")


def _fail(code: int, message: str, see: str = "", kind: str = "error") -> int:
    """Writes the one line, after the traceback if that was asked for."""
    if flags.FLAGS["debug"].value and sys.exc_info()[0]:
        traceback.print_exc()
    hint = f" (see {see})" if see else ""
    print(f"{kind}: {' '.join(message.split())}{hint}", file=sys.stderr)
    return code


def _output_error_code() -> int:
    from tfgen.errors import OutputError

    return OutputError.exit_code


def _os_error_line(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{error.filename or 'output'}: the disk is full; free some space and run again"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _leave_stdout() -> int:
    """Nobody reads us any more, as in `... | head`: end without a word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _BROKEN_PIPE


def _help_page(script: str) -> str:
    """The docstring of the binary and its flags, in the order of their definition."""
    text = (sys.modules["__main__"].__doc__ or "").strip()
    lines = [text, "", "Flags:"]
    for flag in flags.FLAGS.get_flags_for_module(script):
        lines += _flag_lines(flag)
    lines += [
        "",
        "Flags of every binary:",
        "  --flagfile=PATH",
        "      Read flags from a file, one --name=value per line.",
        "  --debug",
        "      Show the traceback of an error.",
        "  --version, --help",
    ]
    return "\n".join(lines)


def _flag_lines(flag: flags.Flag) -> Iterator[str]:
    """One flag: its form, then what it does and its default."""
    if flag.boolean:
        yield f"  --[no]{flag.name}"
    else:
        choices = getattr(flag.parser, "enum_values", None)
        kind = "|".join(choices) if choices else _KINDS.get(flag.flag_type(), "TEXT")
        yield f"  --{flag.name}={kind}"
    default = "" if flag.default is None else f" (default: {flag.default_as_str.strip(chr(39))})"
    indent = " " * 6
    text = " ".join(f"{flag.help}{default}".split())
    yield from textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


_KINDS = {
    "path": "PATH",
    "int": "N",
    "float": "X",
    "comma separated list of strings": "A,B,...",
}
