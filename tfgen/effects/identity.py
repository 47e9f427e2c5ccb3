"""What determines the scores of a run: the attributes of its store.

Two runs with equal attributes give equal bytes on processors of one kind; another instruction set
rounds otherwise (2e-5 of SAD was seen between AVX-512 and AVX2). A started run goes on only with
equal attributes, and shards are merged only if theirs agree. Nothing about time, host, paths,
threads or the division into shards belongs here, except the rows that a file holds.
"""

import hashlib
import json

from tfgen.effects.config import ScoringConfig
from tfgen.effects.inputs import RunInputs
from tfgen.effects.protocol import LoadedEngine
from tfgen.effects.rows import longest_allele, longest_indel
from tfgen.effects.schema import FORMAT_VERSION, AttributeValue, StoreSchema, text_widths
from tfgen.effects.windows import WindowGeometry
from tfgen.io import library_versions

ROW_ATTRIBUTES = ("row_start", "row_stop")
"""The attributes in which shards of one run differ."""

COMPUTING_LIBRARIES = ("tfgen", "numpy", "h5py", "pysam", "tensorflow", "dm-sonnet")


def run_attributes(
    config: ScoringConfig, inputs: RunInputs, loaded: LoadedEngine
) -> dict[str, AttributeValue]:
    """The attributes of the store of a run."""
    geometry = WindowGeometry(loaded.engine.sequence_length, loaded.engine.target_length)
    versions = library_versions()
    tracks = json.dumps([list(loaded.track_ids), list(loaded.track_labels)])
    return {
        **loaded.provenance,
        "batch_size": str(loaded.engine.batch_size),
        "format_version": FORMAT_VERSION,
        "vcf_sha256": inputs.sha256("vcf"),
        "fasta_sha256": inputs.sha256("fasta"),
        "contig_map_sha256": inputs.sha256("contig_map"),
        "tracks_sha256": hashlib.sha256(tracks.encode()).hexdigest(),
        "statistics": ",".join(config.statistics),
        "windows": config.windows,
        "sequence_length": geometry.sequence_length,
        "target_length": geometry.target_length,
        "max_indel": longest_indel(config, geometry),
        "max_n_fraction": config.max_n_fraction,
        "ref_policy": config.ref_policy,
        "variants_format": config.variants_format,
        "float16": config.float16,
        **{
            f"version_{name.replace('-', '_')}": versions[name]
            for name in COMPUTING_LIBRARIES
            if name in versions
        },
        "row_start": inputs.rows.start,
        "row_stop": inputs.rows.stop,
        "rows_total": inputs.summary.n_rows,
    }


def run_schema(
    config: ScoringConfig,
    inputs: RunInputs,
    loaded: LoadedEngine,
    attributes: dict[str, AttributeValue],
) -> StoreSchema:
    """The shape of the store of a run."""
    summary = inputs.summary
    geometry = WindowGeometry(loaded.engine.sequence_length, loaded.engine.target_length)
    longest = {
        "snp": summary.max_id_length,
        "chr": summary.max_chrom_length,
        "ref_allele": summary.max_ref_length,
        "alt_allele": summary.max_alt_length,
    }
    return StoreSchema(
        n_rows=len(inputs.rows),
        text_widths=text_widths(longest, longest_allele(geometry)),
        statistics=config.statistics,
        target_ids=tuple(loaded.track_ids),
        target_labels=tuple(loaded.track_labels),
        float16=config.float16,
        attributes=attributes,
    )
