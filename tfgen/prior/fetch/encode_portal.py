"""Which experiments of the ENCODE portal are taken: a search, then one per assay and target.

The rule: of the released human experiments with bigWig files on GRCh38 and without an audit of
the levels ERROR and NOT_COMPLIANT, the one with the best score for each pair of assay and
target. The score is the release date in units of 1e10 s (0.16 for 50 years, so that it decides
between equals only), plus the read depth in units of 1e8 reads but at most 1, plus 0.5 for
isogenic replicates, minus 0.1 for every remaining audit. Of that experiment the first bigWig
whose output type speaks of a fold change or of peaks is taken, else the first that is no
p-value. Ties, and what is first, are decided by accession.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from tfgen.errors import InputFormatError
from tfgen.io.download import Checksum
from tfgen.prior.fetch.recipe import Entry

EXCLUDED_AUDITS = ("ERROR", "NOT_COMPLIANT")
_AUDITS = (*EXCLUDED_AUDITS, "WARNING")
_PREFERRED = ("fold", "peaks")
_AVOIDED = "p-value"
_BUILD = "GRCh38"
_MD5 = re.compile(r"[0-9a-f]{32}")


def search_url(search: Mapping[str, Any], query: Mapping[str, str]) -> str:
    """The address of a search, below the address of the portal.

    Args:
        search: The search of a group: `query` (parameters of all its searches) and `fields`.
        query: Parameters of this one.
    """
    pairs = [*search["query"].items(), *query.items()]
    pairs += [("field", name) for name in search["fields"]]
    return "search/?" + urlencode(pairs, safe="!*")


def parse_experiments(content: bytes, where: str) -> list[Mapping[str, Any]]:
    """The experiments in the portal's answer.

    Args:
        content: JSON with the list `@graph`.
        where: Its address, for messages.

    Raises:
        InputFormatError: Not the portal's JSON, or an experiment without accession, assay or
            files.
    """
    try:
        graph = json.loads(content)["@graph"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputFormatError(
            f"{where}: not the JSON of a search of the ENCODE portal (no @graph); try again later"
        ) from error
    if not isinstance(graph, list):
        raise InputFormatError(f"{where}: @graph is no list; expected experiments")
    for number, experiment in enumerate(graph):
        if not (
            isinstance(experiment, dict)
            and isinstance(experiment.get("accession"), str)
            and isinstance(experiment.get("assay_title"), str)
            and isinstance(experiment.get("files", []), list)
        ):
            raise InputFormatError(
                f"{where}: experiment {number} has no accession, assay_title or files; the portal "
                "may have changed its form"
            )
    return graph


def select_files(experiments: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """One file for each pair of assay and target, in the order of those.

    Args:
        experiments: As `parse_experiments` gives them, of one or several searches.

    Returns:
        Files whose paths are `ASSAY_TARGET_EXPERIMENT/FILE.bigWig`.
    """
    best: dict[tuple[str, str], tuple[float, Entry]] = {}
    for experiment in sorted(experiments, key=lambda item: str(item["accession"])):
        entry = _entry(experiment)
        if entry is None or any(_audits(experiment, level) for level in EXCLUDED_AUDITS):
            continue
        key = (str(experiment["assay_title"]), _target(experiment))
        score = quality_score(experiment)
        if key not in best or score > best[key][0]:
            best[key] = (score, entry)
    return [best[key][1] for key in sorted(best)]


def quality_score(experiment: Mapping[str, Any]) -> float:
    """How good an experiment is; see the rule at the top of this module."""
    try:
        day = datetime.strptime(str(experiment.get("date_released")), "%Y-%m-%d")
        released = day.replace(tzinfo=UTC).timestamp()
    except ValueError:
        released = 0.0
    depth = max((_depth(item) for item in experiment.get("files", [])), default=0.0)
    isogenic = 0.5 if experiment.get("replication_type") == "isogenic" else 0.0
    n_audits = sum(_audits(experiment, level) for level in _AUDITS)
    return released / 1e10 + min(depth / 1e8, 1.0) + isogenic - 0.1 * n_audits


def _entry(experiment: Mapping[str, Any]) -> Entry | None:
    """The file that stands for an experiment; None if it has none."""
    usable = [item for item in experiment.get("files", []) if _is_usable(item)]
    usable.sort(key=lambda item: str(item["accession"]))
    preferred = [item for item in usable if any(word in _output_type(item) for word in _PREFERRED)]
    others = [item for item in usable if _AVOIDED not in _output_type(item)]
    for item in (*preferred, *others):
        parts = (experiment["assay_title"], _target(experiment), experiment["accession"])
        folder = "_".join(plain_name(str(part)) for part in parts if part)
        md5 = str(item.get("md5sum", ""))
        size = item.get("file_size")
        return Entry(
            url=str(item["href"]).lstrip("/"),
            path=f"{folder}/{plain_name(str(item['accession']))}.bigWig",
            size=size if isinstance(size, int) and size > 0 else None,
            checksum=Checksum("md5", md5) if _MD5.fullmatch(md5) else None,
        )
    return None


def _is_usable(item: Any) -> bool:
    """Whether a file of an experiment is a released bigWig on the build, and can be fetched."""
    return (
        isinstance(item, Mapping)
        and item.get("file_format") == "bigWig"
        and item.get("assembly") == _BUILD
        and item.get("status") == "released"
        and isinstance(item.get("href"), str)
        and isinstance(item.get("accession"), str)
        and str(item["href"]).startswith("/")
    )


def _output_type(item: Mapping[str, Any]) -> str:
    return str(item.get("output_type", "")).lower()


def _target(experiment: Mapping[str, Any]) -> str:
    """Name of the protein or mark; "" for an assay without one."""
    target = experiment.get("target")
    return str(target.get("label", "")) if isinstance(target, Mapping) else ""


def _audits(experiment: Mapping[str, Any], level: str) -> int:
    """Number of audits of a level."""
    audit = experiment.get("audit")
    found = audit.get(level, []) if isinstance(audit, Mapping) else []
    return len(found) if isinstance(found, list) else 0


def _depth(item: Any) -> float:
    """Largest read depth among the quality metrics of a file."""
    metrics = item.get("quality_metrics", []) if isinstance(item, Mapping) else []
    if not isinstance(metrics, list):
        return 0.0
    depths = [metric.get("read_depth") for metric in metrics if isinstance(metric, Mapping)]
    return max((float(depth) for depth in depths if isinstance(depth, int | float)), default=0.0)


def plain_name(text: str) -> str:
    """A word for a file name: letters, digits, `.`, `_` and `-` stay, the rest becomes `_`.

    Commas and colons would be taken apart by the flags that name files.
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._") or "_"
