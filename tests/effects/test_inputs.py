import pytest

from tfgen.effects.inputs import assembly_warnings, inspect_inputs
from tfgen.errors import InputFormatError, InputMismatchError
from tfgen.genome import Fasta
from tfgen.io import sha256_file
from tfgen.io.shards import RowRange

HEADER = "##fileformat=VCFv4.2\n{}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def inspect(config):
    with Fasta(config.fasta) as fasta:
        return inspect_inputs(config, fasta)


def test_inputs_that_fit_are_measured(world):
    config = world.config(world.snvs(10), num_shards=2, shard_index=1)
    inputs = inspect(config)
    assert inputs.summary.n_rows == 10
    assert inputs.rows == RowRange(5, 10)
    assert inputs.warnings == ()
    assert inputs.sha256("fasta") == sha256_file(world.fasta)
    assert inputs.sha256("vcf") == sha256_file(config.vcf)
    assert inputs.sha256("targets") == ""


def test_other_spellings_of_contigs_are_reported(world):
    vcf = world.vcf([world.snv("chr1", 700).replace("chr1", "1", 1)])
    inputs = inspect(world.config(vcf))
    assert inputs.warnings == (f"{vcf}: contig names were matched to the FASTA: 1 -> chr1",)


def test_a_contig_map_decides(world):
    vcf = world.vcf([world.snv("chr1", 700).replace("chr1", "NC_1", 1)])
    contig_map = world.folder / "map.txt"
    contig_map.write_text("NC_1\tchr1\n")
    inputs = inspect(world.config(vcf, contig_map=contig_map))
    assert inputs.names.resolve("NC_1") == "chr1"
    assert inputs.sha256("contig_map") == sha256_file(contig_map)


def test_no_contig_in_common_stops(world):
    vcf = world.vcf(["scaffold_7\t5\t.\tA\tC"])
    with pytest.raises(InputMismatchError, match=r"no contig in common.*scaffold_7.*chr1"):
        inspect(world.config(vcf))


def test_another_length_of_a_contig_stops(world):
    header = HEADER.format("##contig=<ID=chr1,length=20001>\n##contig=<ID=chr2,length=9>\n")
    vcf = world.vcf([world.snv("chr1", 700)], header=header)
    with pytest.raises(
        InputMismatchError,
        match="different assemblies: contig chr1: 20001 bp in the header .*, 20000 bp as chr1 in",
    ):
        inspect(world.config(vcf))


def test_the_length_of_a_contig_without_variants_does_not_matter(world):
    header = HEADER.format("##contig=<ID=chr1,length=20000>\n##contig=<ID=chr2,length=9>\n")
    vcf = world.vcf([world.snv("chr1", 700)], header=header)
    assert inspect(world.config(vcf)).warnings == ()


def test_a_file_without_variants_is_a_warning(world):
    inputs = inspect(world.config(world.vcf([])))
    assert inputs.warnings[0].endswith("in.vcf: no variants; the output has no rows")
    assert inputs.rows == RowRange(0, 0)


def test_a_table_of_targets_is_read_before_the_model(world):
    targets = world.folder / "targets.txt"
    targets.write_text("identifier\tdescription\na\tA\n")
    inputs = inspect(world.config(world.snvs(1), targets=targets))
    assert "no column 'index'" in inputs.warnings[0]
    targets.write_text("identifier\n")
    with pytest.raises(InputFormatError, match="no column description"):
        inspect(world.config(world.snvs(1), targets=targets))


def test_a_line_that_cannot_be_parsed_stops_with_its_number(world):
    vcf = world.vcf([world.snv("chr1", 700), "chr1 900 . A C"])
    with pytest.raises(InputFormatError, match=r"in\.vcf:4"):
        inspect(world.config(vcf))


def test_an_index_that_did_not_fit_is_reported(world):
    with Fasta(world.fasta):
        pass
    index = world.folder / "genome.fa.fai"
    index.write_text(index.read_text().replace("20000", "19999"))
    inputs = inspect(world.config(world.snvs(1)))
    assert inputs.warnings[0].endswith("its index did not fit and was made anew")


@pytest.mark.parametrize(
    ("contigs", "expected"),
    [
        ({}, []),
        ({"chr1": 20_000, "chr9": 5}, []),
        ({"1": 20_000}, []),
        (
            {"chr1": 20_000, "chr2": 2_999},
            [
                "not the assembly that the model was made for: chr2 has 2999 bp in the model and "
                "3000 bp in the FASTA"
            ],
        ),
        (
            {"a": 1, "b": 2, "c": 3, "d": 4},
            ["none of the contigs of the model's assembly is here; it names a, b, c and 1 more"],
        ),
    ],
)
def test_the_assembly_of_the_model_is_compared(world, contigs, expected):
    with Fasta(world.fasta) as fasta:
        found = assembly_warnings(contigs, fasta)
    assert found == [f"{world.fasta}: {text}" for text in expected]
