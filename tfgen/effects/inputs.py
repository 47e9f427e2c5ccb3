"""Looks at the inputs of a scoring run before anything slow begins."""

from collections.abc import Mapping
from dataclasses import dataclass

from tfgen.effects.config import ScoringConfig
from tfgen.effects.targets import read_targets
from tfgen.errors import InputMismatchError
from tfgen.genome import (
    ContigNames,
    Fasta,
    VariantSummary,
    contig_length_mismatches,
    load_contig_map,
    require_common_contig,
    scan_variants,
)
from tfgen.io import input_fingerprint
from tfgen.io.shards import RowRange, choose_rows

_N_EXAMPLES = 3


@dataclass(frozen=True)
class RunInputs:
    """The inputs of a run, looked through once.

    Attributes:
        summary: Size of the variant file.
        names: Its contig names in the spelling of the genome.
        rows: The rows that this run scores.
        fingerprints: Path, size and sha256 of each input file, by name.
        warnings: What the user should know.
    """

    summary: VariantSummary
    names: ContigNames
    rows: RowRange
    fingerprints: Mapping[str, Mapping[str, object]]
    warnings: tuple[str, ...]

    def sha256(self, name: str) -> str:
        """Digest of an input; empty if the run has none of that name."""
        return str(self.fingerprints[name]["sha256"]) if name in self.fingerprints else ""


def inspect_inputs(config: ScoringConfig, fasta: Fasta) -> RunInputs:
    """Checks that the inputs can be read and belong together.

    Raises:
        InputFormatError: A line of the variant file, of the targets table or of the contig map
            cannot be parsed.
        InputMismatchError: Variant file and genome have no contig in common, or give a contig
            different lengths.
        UsageError: The rows asked for are not there.
    """
    warnings: list[str] = []
    if config.targets is not None:
        warnings += read_targets(config.targets).warnings
    overrides = load_contig_map(config.contig_map) if config.contig_map else None
    names = ContigNames(fasta.contigs, overrides)
    summary = scan_variants(config.vcf, config.variants_format)
    require_common_contig(summary.contigs, names, config.vcf, config.fasta)
    _require_same_lengths(config, summary, fasta, names)
    if summary.n_rows == 0:
        warnings.append(f"{config.vcf}: no variants; the output has no rows")
    if fasta.index_origin == "rebuilt":
        warnings.append(f"{config.fasta}: its index did not fit and was made anew")
    if names.renamed:
        pairs = [f"{name} -> {target}" for name, target in names.renamed.items()]
        warnings.append(f"{config.vcf}: contig names were matched to the FASTA: {_some(pairs)}")
    files = {
        "vcf": config.vcf,
        "fasta": config.fasta,
        "targets": config.targets,
        "contig_map": config.contig_map,
    }
    return RunInputs(
        summary=summary,
        names=names,
        rows=choose_rows(summary.n_rows, config.rows, config.shard_index, config.num_shards),
        fingerprints={name: input_fingerprint(path) for name, path in files.items() if path},
        warnings=tuple(warnings),
    )


def assembly_warnings(model_contigs: Mapping[str, int], fasta: Fasta) -> list[str]:
    """What suggests that the genome is not the assembly that the model was made for.

    Args:
        model_contigs: Contig lengths that the model names; may be empty.
        fasta: The genome.

    Returns:
        One line, or nothing when all common contigs have the same length.
    """
    names = ContigNames(fasta.contigs)
    common = {
        name: (length, fasta.contigs[target])
        for name, length in model_contigs.items()
        if (target := names.resolve(name)) is not None
    }
    if model_contigs and not common:
        return [
            f"{fasta.path}: none of the contigs of the model's assembly is here; "
            f"it names {_some(list(model_contigs))}"
        ]
    different = [
        f"{name} has {given} bp in the model and {found} bp in the FASTA"
        for name, (given, found) in common.items()
        if given != found
    ]
    if not different:
        return []
    return [f"{fasta.path}: not the assembly that the model was made for: {_some(different)}"]


def _require_same_lengths(
    config: ScoringConfig, summary: VariantSummary, fasta: Fasta, names: ContigNames
) -> None:
    """Stops if a contig that has variants has another length in the header of the variant file."""
    lengths = {
        name: length for name, length in summary.contig_lengths.items() if name in summary.contigs
    }
    different = contig_length_mismatches(lengths, fasta.contigs, names)
    if different:
        raise InputMismatchError(
            f"{config.vcf} and {config.fasta} are of different assemblies: "
            f"{_some([str(item) for item in different])}; use the FASTA of the variant file's "
            "assembly, or correct its ##contig lines"
        )


def _some(items: list[str]) -> str:
    """The first three of a list, for a message."""
    more = f" and {len(items) - _N_EXAMPLES} more" if len(items) > _N_EXAMPLES else ""
    return ", ".join(items[:_N_EXAMPLES]) + more
