"""What a study says: gains and paired claims with intervals over seeds, as tables and in words.

A claim is called positive or negative where its 95 % interval is on one side of zero. The words are
made of the intervals; there is no correction for the number of claims.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from tfgen.io import write_table
from tfgen.prior.outputs.jackknife import Interval, interval
from tfgen.prior.study.study_config import ARCHITECTURES, OBJECTIVES, Setting
from tfgen.prior.study.study_records import StudyResults

ORACLE: Final = "oracle"
MODELS: Final = (*((objective, arch) for objective in OBJECTIVES for arch in ARCHITECTURES),)

CLAIMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "A": "mlp by likelihood minus mlp by LD-score regression",
        "B_mll": "mlp minus linear, both by likelihood",
        "B_ldsr": "mlp minus linear, both by LD-score regression",
        "B_mll-B_ldsr": "what the mlp adds by likelihood minus what it adds by LD-score regression",
    }
)
"""Name of a claim to the difference of gains it is about."""

_TERMS: Mapping[str, Sequence[tuple[int, tuple[str, str]]]] = {
    "A": ((1, ("mll", "mlp")), (-1, ("ldsr", "mlp"))),
    "B_mll": ((1, ("mll", "mlp")), (-1, ("mll", "linear"))),
    "B_ldsr": ((1, ("ldsr", "mlp")), (-1, ("ldsr", "linear"))),
}

_WORDS = {
    ("positive", False): "a larger prior helps only under the likelihood",
    ("positive", True): "a larger prior helps under both objectives",
    ("other", True): "a larger prior helps only under LD-score regression",
    ("other", False): "a larger prior is not seen to help under either objective",
}


@dataclass(frozen=True)
class Finding:
    """A number over the seeds of one truth and mean f.

    Attributes:
        truth: Form of the true log f.
        mean_f: Its mean.
        name: A key of `CLAIMS`, `OBJECTIVE-ARCH`, or `oracle`.
        n: Seeds.
        interval: Mean, standard error and 95 % t-interval, per 1,000 test z-scores; not finite
            where a fit diverged at every rate, NaN from one seed.
    """

    truth: str
    mean_f: float
    name: str
    n: int
    interval: Interval

    @property
    def verdict(self) -> str:
        """`positive`, `negative`, or `not distinguishable` from zero."""
        if self.interval.low > 0:
            return "positive"
        return "negative" if self.interval.high < 0 else "not distinguishable"


def find_gains(results: StudyResults) -> tuple[Finding, ...]:
    """Gain over the best constant of every model and the oracle, by truth and mean f."""
    found = []
    for truth, mean_f, settings in _groups(results):
        for objective, arch in MODELS:
            gains = [results.gain(s, objective, arch) for s in settings]
            found.append(_finding(truth, mean_f, f"{objective}-{arch}", gains))
        gains = [results.references[s].gain(results.references[s].oracle_nll) for s in settings]
        found.append(_finding(truth, mean_f, ORACLE, gains))
    return tuple(found)


def find_claims(results: StudyResults) -> tuple[Finding, ...]:
    """The paired differences, by truth and mean f."""
    found = []
    for truth, mean_f, settings in _groups(results):
        values = {
            name: np.array(
                [sum(sign * results.gain(s, *model) for sign, model in terms) for s in settings]
            )
            for name, terms in _TERMS.items()
        }
        values["B_mll-B_ldsr"] = values["B_mll"] - values["B_ldsr"]
        found += [_finding(truth, mean_f, name, values[name]) for name in CLAIMS]
    return tuple(found)


def write_tables(
    folder: Path, results: StudyResults, gains: Sequence[Finding], claims: Sequence[Finding]
) -> None:
    """Writes `results.tsv`, `gains.tsv` and `claims.tsv`.

    Raises:
        OutputError: A table cannot be written.
    """
    unit = ["gains and differences are log-likelihood per 1,000 test z-scores"]
    write_table(folder / "results.tsv", _result_columns(results), unit)
    write_table(folder / "gains.tsv", _finding_columns("model", gains, False), unit)
    write_table(folder / "claims.tsv", _finding_columns("claim", claims, True), unit)


def report_text(results: StudyResults, gains: Sequence[Finding], claims: Sequence[Finding]) -> str:
    """The study in words and numbers, lines of text."""
    lines = ["Gain in held-out log-likelihood per 1,000 z-scores over the best constant prior"]
    groups = list(dict.fromkeys((finding.truth, finding.mean_f) for finding in gains))
    for truth, mean_f in groups:
        n = next(x.n for x in gains if (x.truth, x.mean_f) == (truth, mean_f))
        lines += ["", f"truth {truth}, mean f {mean_f:g}, {n} seed{'s' if n > 1 else ''}"]
        here = [x for x in gains if (x.truth, x.mean_f) == (truth, mean_f)]
        lines += [f"  {x.name:<14}{_numbers(x.interval)}" for x in here]
        own = {x.name: x for x in claims if (x.truth, x.mean_f) == (truth, mean_f)}
        lines += [
            f"  {name:<14}{_numbers(x.interval)}  {x.verdict}: {CLAIMS[name]}"
            for name, x in own.items()
        ]
        lines.append(f"  so: {conclusion(own)}")
    lines += ["", *_unfinished(results)]
    return "\n".join(lines) + "\n"


def conclusion(claims: Mapping[str, Finding]) -> str:
    """What the claims of one truth and mean f come to, from their verdicts alone."""
    b = {objective: claims[f"B_{objective}"].verdict for objective in OBJECTIVES}
    larger = "positive" if b["mll"] == "positive" else "other"
    text = _WORDS[larger, b["ldsr"] == "positive"]
    hurt = [objective for objective in OBJECTIVES if b[objective] == "negative"]
    names = {"mll": "the likelihood", "ldsr": "LD-score regression"}
    if hurt:
        text += f"; it hurts under {' and '.join(names[x] for x in hurt)}"
    if larger == "positive" and claims["B_mll-B_ldsr"].verdict != "positive":
        text += "; that it helps more under the likelihood is not shown"
    other = {
        "positive": "the mlp is better by likelihood than by LD-score regression",
        "negative": "the mlp is worse by likelihood than by LD-score regression",
        "not distinguishable": "the objectives do not differ for the mlp",
    }
    return f"{text}; {other[claims['A'].verdict]}"


def _unfinished(results: StudyResults) -> list[str]:
    """How many of the chosen fits might have gone on."""
    lines = []
    for objective, arch in MODELS:
        chosen = [results.fits[results.chosen(s, objective, arch)] for s in results.config.settings]
        last = sum(record.best_epoch == results.config.epochs for record in chosen)
        if last:
            lines.append(
                f"{objective}-{arch}: the last epoch was the best one in {last} of {len(chosen)} "
                "chosen fits, so they had not converged; raise --epochs"
            )
    return lines or ["every chosen fit was best before its last epoch"]


def _groups(results: StudyResults) -> list[tuple[str, float, list[Setting]]]:
    config = results.config
    return [
        (truth, mean_f, [s for s in config.settings if (s.truth, s.mean_f) == (truth, mean_f)])
        for truth in config.truths
        for mean_f in config.means_of(truth)
    ]


def _finding(truth: str, mean_f: float, name: str, values: npt.ArrayLike) -> Finding:
    array = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):
        found = interval(array, np.ones(len(array)))
    return Finding(truth, mean_f, name, len(array), found)


def _numbers(found: Interval) -> str:
    return f"{found.estimate:8.2f}  [{found.low:.2f}, {found.high:.2f}]"


def _finding_columns(
    kind: str, findings: Sequence[Finding], verdicts: bool
) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        kind: [x.name for x in findings],
        "truth": [x.truth for x in findings],
        "mean_f": [f"{x.mean_f:g}" for x in findings],
        "n": [x.n for x in findings],
        "mean": [f"{x.interval.estimate:.6g}" for x in findings],
        "se": [f"{x.interval.se:.6g}" for x in findings],
        "low": [f"{x.interval.low:.6g}" for x in findings],
        "high": [f"{x.interval.high:.6g}" for x in findings],
    }
    return {**columns, "verdict": [x.verdict for x in findings]} if verdicts else columns


def _result_columns(results: StudyResults) -> dict[str, list[object]]:
    """One row per fit, and one per data set for the oracle."""
    names = "truth mean_f seed objective arch rate chosen best_epoch epochs held_out_nll test_gain"
    rows: list[tuple[object, ...]] = []
    for setting, reference in results.references.items():
        data = (setting.truth, f"{setting.mean_f:g}", setting.seed)
        gain = f"{reference.gain(reference.oracle_nll):.6f}"
        rows.append((*data, "NA", ORACLE, "NA", 1, "NA", "NA", "NA", gain))
        for key, record in results.fits.items():
            if key.setting == setting:
                rows.append(
                    (
                        *(*data, key.objective, key.arch, f"{key.rate:g}"),
                        int(results.chosen(setting, key.objective, key.arch) == key),
                        *(record.best_epoch, record.epochs, f"{record.held_out_nll:.8f}"),
                        f"{reference.gain(record.test_nll):.6f}",
                    )
                )
    return {name: [row[i] for row in rows] for i, name in enumerate(names.split())}
