"""The folder of a long run while it goes on: what a killed run leaves and the next takes up.

`OUTPUT.partial/` holds `run.json`, which says what determines the result. Another run finds it
there and goes on only if nothing of that differs.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tfgen.errors import OutputError
from tfgen.io.atomic import write_json

RUN_JSON = "run.json"
_N_EXAMPLES = 3
_UNFINISHED = "unfinished"  # marks our run.json, among all files of this name


class WorkFolder:
    """The folder `OUTPUT.partial/` of one run.

    Args:
        output: The final file or directory.
        attributes: Everything that determines the result, in the types of JSON.

    Attributes:
        folder: The folder. A file that a run keeps there should appear by rename, so that the next
            run finds it whole or not at all.
        text: The attributes as JSON with sorted keys.
    """

    def __init__(self, output: Path, attributes: Mapping[str, object]) -> None:
        self.folder = partial_folder(output)
        self._output = output.name
        self.text = json.dumps(dict(attributes), sort_keys=True)
        self._attributes: dict[str, object] = json.loads(self.text)

    def take_up(self, overwrite: bool) -> bool:
        """Makes the folder, or finds that of a former run.

        Args:
            overwrite: Discard the work of a run with other settings.

        Returns:
            Whether a former run with these settings left work here.

        Raises:
            OutputError: The folder belongs to a run with other settings, or cannot be written.
        """
        if self.folder.is_dir() and any(self.folder.iterdir()):
            differences = self._differences()
            # Without work in it, it is nothing to lose.
            only_begun = [path.name for path in self.folder.iterdir()] == [RUN_JSON]
            if differences and not overwrite and not only_begun:
                raise OutputError(
                    f"{self.folder}: was begun with other settings ({'; '.join(differences)}); "
                    "use the former ones to go on, or pass --overwrite to start anew"
                )
            if not differences:
                return True
        try:
            self.remove()
            self.folder.mkdir()
        except OSError as error:
            raise OutputError(
                f"{self.folder}: cannot be made: {error.strerror}; remove it or choose another "
                "output"
            ) from error
        write_json(
            self.folder / RUN_JSON, {_UNFINISHED: self._output, "attributes": self._attributes}
        )
        return False

    def remove(self) -> None:
        """Removes the folder, `run.json` last, so that what remains after a kill is still known."""
        if not self.folder.exists():
            return
        for path in self.folder.iterdir():
            if path.name != RUN_JSON:
                discard(path)
        (self.folder / RUN_JSON).unlink(missing_ok=True)
        self.folder.rmdir()

    def _differences(self) -> list[str]:
        """What differs between the run in the folder and this one.

        Raises:
            OutputError: The folder is not one of unfinished work.
        """
        try:
            content = json.loads((self.folder / RUN_JSON).read_text(encoding="utf-8"))
            found = _flat(content["attributes"]) if content[_UNFINISHED] else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise OutputError(
                f"{self.folder}: exists and holds something else than the unfinished part of "
                f"{self._output}; remove it or choose another output"
            ) from None
        own = _flat(self._attributes)
        lines = [
            f"{name} was {_short(found.get(name))}, now {_short(own.get(name))}"
            for name in sorted(found.keys() | own.keys())
            if found.get(name) != own.get(name)
        ]
        more = [f"and {len(lines) - _N_EXAMPLES} more"] if len(lines) > _N_EXAMPLES else []
        return lines[:_N_EXAMPLES] + more


def partial_folder(output: Path) -> Path:
    """Where the unfinished part of an output lies."""
    return output.with_name(output.name + ".partial")


def discard(path: Path) -> None:
    """Removes a file, a link or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested objects as one, names joined by dots."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 20 else f"{text[:12]}..."  # noqa: PLR2004
