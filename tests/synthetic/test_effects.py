"""True effects and the variant file, against direct recomputation."""

import dataclasses
import gzip

import numpy as np
import pysam
import pytest

from tfgen.errors import InputFormatError
from tfgen.genome import ContigNames, Fasta, Interval, check_variant, encode
from tfgen.synthetic.effects import read_true_effects, write_true_effects
from tfgen.synthetic.truth import expected_coverage


@pytest.fixture(scope="module")
def effects(tiny_world):
    return tiny_world.true_effects()


@pytest.fixture(scope="module")
def genome(tiny_world):
    with Fasta(tiny_world.fasta) as fasta:
        return {name: fasta.fetch(Interval(name, 0, n)) for name, n in fasta.contigs.items()}


def sad_by_strings(sequence, variant):
    """SAD from strings: first base of the variant at 2,048 of 4,096; bins 8 to 23 are summed."""
    start = variant.pos - 1 - 2048
    haplotype = sequence[: variant.pos - 1] + variant.alt
    haplotype += sequence[variant.pos - 1 + len(variant.ref) :]
    reference, alternative = (
        expected_coverage(encode(s[start : start + 4096]))[8:24].astype(np.float64).sum(axis=0)
        for s in (sequence, haplotype)
    )
    return alternative - reference


def test_true_sad_equals_a_direct_recomputation_from_strings(effects, genome):
    for variant, sad in zip(effects.variants, effects.sad, strict=True):
        np.testing.assert_allclose(sad, sad_by_strings(genome[variant.chrom], variant), atol=1e-9)


def test_every_ref_is_what_the_fasta_has(effects, genome):
    for v in effects.variants:
        assert genome[v.chrom][v.start : v.end] == v.ref


def test_every_variant_passes_the_check_and_is_normalised(tiny_world, effects):
    with Fasta(tiny_world.fasta) as fasta:
        names = ContigNames(fasta.contigs)
        for variant in effects.variants:
            checked = check_variant(variant, fasta, names)
            assert (checked.status, checked.not_normalised) == ("OK", False)


def test_substitutions_have_the_same_effect_in_the_whole_chromosome(effects, genome):
    checked = 0
    for variant, sad in zip(effects.variants, effects.sad, strict=True):
        if variant.chrom == "chrC" and variant.is_substitution:
            codes = encode(genome["chrC"][variant.start % 128 :])
            codes = codes[: len(codes) // 128 * 128]
            changed = codes.copy()
            at = variant.start - variant.start % 128
            changed[at : at + len(variant.alt)] = encode(variant.alt)
            whole = expected_coverage(changed).astype(np.float64) - expected_coverage(codes)
            np.testing.assert_allclose(whole.sum(axis=0), sad, atol=1e-5)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    ("variant_class", "sign"), [("activator", -1), ("distal", -1), ("pair", -1), ("repressor", 1)]
)
def test_changes_of_motifs_act_in_their_direction(effects, variant_class, sign):
    sad = effects.sad[effects.variant_class == variant_class].mean(axis=1)
    assert len(sad) > 20
    assert np.mean(sign * sad > 0) > 0.5
    assert np.mean(sign * sad < 0) < 0.2
    assert sign * np.median(sad) > 0.3


def test_most_variants_outside_motifs_do_nothing(effects):
    elsewhere = effects.variant_class == "elsewhere"
    substitution = np.array([v.is_substitution for v in effects.variants])
    assert np.mean(effects.sad[elsewhere & substitution] == 0) > 0.9


def test_vcf_has_the_variants_in_the_order_of_the_table(tiny_world, effects):
    with pysam.VariantFile(str(tiny_world.variants)) as vcf:
        rows = [(r.chrom, r.pos, r.id, r.ref, r.alts, r.info["CLASS"], r.info["AF"]) for r in vcf]
        lengths = {name: contig.length for name, contig in vcf.header.contigs.items()}
    assert lengths == {"chrA": 64000, "chrB": 127_872, "chrC": 38_400}
    assert [row[:5] for row in rows] == [
        (v.chrom, v.pos, v.id, v.ref, (v.alt,)) for v in effects.variants
    ]
    assert [row[5] for row in rows] == effects.variant_class.tolist()
    np.testing.assert_allclose([row[6][0] for row in rows], effects.frequency, rtol=1e-6)


def test_vcf_is_indexed(tiny_world, effects):
    with pysam.VariantFile(str(tiny_world.variants)) as vcf:
        found = [record.id for record in vcf.fetch("chrB")]
    assert found == [v.id for v in effects.variants if v.chrom == "chrB"]
    assert not tiny_world.variants.with_suffix("").exists()


def test_vcf_declares_its_info_fields(tiny_world):
    header = gzip.decompress(tiny_world.variants.read_bytes()).decode().split("#CHROM")[0]
    assert "##INFO=<ID=AF,Number=A,Type=Float" in header
    assert "##INFO=<ID=CLASS,Number=1,Type=String" in header


def test_table_reads_back_exactly(effects, tmp_path):
    write_true_effects(tmp_path / "truth.tsv", effects)
    again = read_true_effects(tmp_path / "truth.tsv")
    for field in dataclasses.fields(effects):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(effects, field.name))


def test_splits_are_those_of_the_chromosomes(effects):
    split = {"chrA": "train", "chrB": "test", "chrC": "valid"}
    assert effects.split.tolist() == [split[v.chrom] for v in effects.variants]


def test_a_table_with_a_word_for_a_number_is_refused(tiny_world, tmp_path):
    text = tiny_world.truth.read_text().replace("\ttrain\t0.", "\ttrain\tx0.", 1)
    (tmp_path / "truth.tsv").write_text(text)
    with pytest.raises(InputFormatError, match=r"truth\.tsv: could not convert string to float"):
        read_true_effects(tmp_path / "truth.tsv")


def test_a_table_without_a_track_is_refused(tiny_world, tmp_path):
    text = tiny_world.truth.read_text().replace("cage_beta", "other", 1)
    (tmp_path / "truth.tsv").write_text(text)
    with pytest.raises(InputFormatError, match="no column cage_beta"):
        read_true_effects(tmp_path / "truth.tsv")
