"""One LD block in its whitened form, and how it is packed into few bytes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError
from tfgen.genome import VariantTable

QType = Literal["float16", "float32"]

TEXT_COLUMNS = ("ref", "alt", "id")
VARIANT_COLUMNS = ("pos", *TEXT_COLUMNS, "af", "in_centre")
ARRAYS = ("Q", "Q_scale", "P", "eigenvalues", *VARIANT_COLUMNS)
"""The arrays of a packed block, besides `info`."""

INFO = "info"

_LARGEST_EXPONENT = 15  # of a scaled entry: 2^15 is below 65504, the largest float16
_LAST_CHROMOSOMES = {"X": 23, "Y": 24, "XY": 25, "MT": 26}
_OTHER = 27


@dataclass(frozen=True)
class BlockInfo:
    """Where a block lies and how large it is.

    Attributes:
        id: Name, for example `chr22_16000000_19000000`.
        chrom: Contig without "chr".
        start: First base of the block, 0-based.
        end: End of the block, 0-based, not part of it.
        centre_start: First base of the part whose variants are observed, 0-based.
        centre_end: End of that part, not part of it.
        n: Variants of the block; all have effects.
        w: Variants of its centre; these are observed.
        k: Kept eigenvalues of the LD of the centre.
        discarded_variance: Share of the sum of positive eigenvalues that was not kept.
        min_eigenvalue: Smallest eigenvalue of the LD of the centre, before anything was mended;
            NaN if it was not computed.
        digest: SHA-256 of the arrays, in hex; empty if the block is in no store.
    """

    id: str
    chrom: str
    start: int
    end: int
    centre_start: int
    centre_end: int
    n: int
    w: int
    k: int
    discarded_variance: float
    min_eigenvalue: float = float("nan")
    digest: str = ""


@dataclass(frozen=True)
class LdBlock:
    """One block: R_ww = U diag(lambda) U' is the LD of the centre, R_w its rows of the whole LD.

    Attributes:
        info: Where it lies and how large it is.
        variants: Its variants by position [n].
        in_centre: Which of them are observed [n] bool.
        q: lambda^(-1/2) U' R_w [k, n] float32.
        p: lambda^(-1/2) U' [k, w] float32; y = p z_w for the z-scores of the centre.
        eigenvalues: lambda, descending [k] float64.
    """

    info: BlockInfo
    variants: VariantTable
    in_centre: npt.NDArray[np.bool_]
    q: npt.NDArray[np.float32]
    p: npt.NDArray[np.float32]
    eigenvalues: npt.NDArray[np.float64]


def chromosome_order(chrom: str) -> tuple[int, str]:
    """Sorts contigs as a genome is read: 1 to 22, X, Y, MT, then others by name."""
    if chrom.isascii() and chrom.isdecimal():
        return int(chrom), ""
    return _LAST_CHROMOSOMES.get(chrom, _OTHER), chrom


def quantise(
    q: npt.NDArray[np.floating], dtype: QType = "float16"
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.float32]]:
    """Scales every row by a power of two and rounds it.

    The largest entry of a row comes to lie between 2^14 and 2^15, so that nothing overflows and
    entries down to 2^-28 of it keep the 11 bits of float16: a relative error of at most 2^-11 per
    entry. Powers of two add no error of their own.

    Args:
        q: Rows [k, n].
        dtype: Type of the result; float32 rows are not scaled.

    Returns:
        Rounded rows [k, n] and their scales [k] float32; `rows * scales[:, None]` is `q`.
    """
    if dtype == "float32":
        return q.astype(np.float32), np.ones(len(q), np.float32)
    largest = np.abs(q).max(axis=1, initial=0.0)
    exponents = np.frexp(largest)[1] - _LARGEST_EXPONENT
    scales = np.ldexp(np.ones(len(q)), np.where(largest > 0, exponents, 0))
    return (q / scales[:, None]).astype(np.float16), scales.astype(np.float32)


def pack_block(block: LdBlock, q_dtype: QType = "float16") -> dict[str, npt.NDArray[Any]]:
    """A block as plain arrays: `ARRAYS` and `info`, which is JSON text.

    Raises:
        ValueError: The arrays do not fit together.
    """
    require_consistent(block)
    rows, scales = quantise(block.q, q_dtype)
    table = block.variants
    arrays: dict[str, npt.NDArray[Any]] = {
        "Q": rows,
        "Q_scale": scales,
        "P": block.p.astype(np.float32),
        "eigenvalues": block.eigenvalues.astype(np.float64),
        "pos": table.pos,
        **{name: text_bytes(getattr(table, name)) for name in TEXT_COLUMNS},
        "af": table.af,
        "in_centre": block.in_centre.astype(bool),
    }
    info = asdict(block.info) | {"digest": arrays_digest(arrays)}
    return arrays | {INFO: np.array(json.dumps(info, sort_keys=True).encode())}


def packed_info(packed: Mapping[str, npt.NDArray[Any]]) -> BlockInfo:
    """The `BlockInfo` of a packed block."""
    return BlockInfo(**json.loads(bytes(packed[INFO].item())))


def unpack_variants(chrom: str, packed: Mapping[str, npt.NDArray[Any]]) -> VariantTable:
    """The variants of a packed block [n]."""
    texts = {
        name: np.array([value.decode("utf-8", "replace") for value in packed[name]], object)
        for name in TEXT_COLUMNS
    }
    return VariantTable(
        chrom=np.full(len(packed["pos"]), chrom, object),
        pos=packed["pos"],
        af=packed["af"],
        **texts,
    )


def unpack_block(info: BlockInfo, packed: Mapping[str, npt.NDArray[Any]]) -> LdBlock:
    """The block of some arrays.

    Raises:
        ValueError: The arrays do not fit together.
    """
    q = packed["Q"].astype(np.float32)
    q *= packed["Q_scale"][:, None]
    block = LdBlock(
        info=info,
        variants=unpack_variants(info.chrom, packed),
        in_centre=packed["in_centre"],
        q=q,
        p=packed["P"],
        eigenvalues=packed["eigenvalues"],
    )
    require_consistent(block)
    return block


def require_consistent(block: LdBlock) -> None:
    """Checks that the arrays have the sizes that `info` states.

    Raises:
        ValueError: They have not.
    """
    info = block.info
    n, w, k = info.n, info.w, info.k
    found = {
        "variants": (len(block.variants),),
        "in_centre": block.in_centre.shape,
        "variants of the centre": (int(np.count_nonzero(block.in_centre)),),
        "q": block.q.shape,
        "p": block.p.shape,
        "eigenvalues": block.eigenvalues.shape,
    }
    expected = ((n,), (n,), (w,), (k, n), (k, w), (k,))
    for (name, shape), wanted in zip(found.items(), expected, strict=True):
        if shape != wanted:
            raise ValueError(f"block {info.id}: {name} has size {shape}; expected {wanted}")


def arrays_digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of the arrays of a packed block with their names, types and shapes, in hex."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.view(np.uint8).data if array.size else b"")
    return digest.hexdigest()


def text_bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.bytes_]:
    """Text as fixed-length UTF-8 bytes, at least one wide."""
    encoded = [str(value).encode("utf-8", "replace") for value in values]
    width = max((len(value) for value in encoded), default=1)
    return np.array(encoded, dtype=f"S{max(1, width)}")


def info_from(values: Mapping[str, Any], where: str) -> BlockInfo:
    """A `BlockInfo` from a JSON object.

    Raises:
        InputFormatError: Fields are missing or of another type.
    """
    converted: dict[str, Any] = {}
    for field in fields(BlockInfo):
        value = values.get(field.name)
        if field.name == "min_eigenvalue" and value is None:
            value = float("nan")  # JSON has no NaN
        kinds: tuple[type, ...] = (field.type,) if isinstance(field.type, type) else ()
        if not isinstance(value, (*kinds, int) if kinds == (float,) else kinds):
            raise InputFormatError(
                f"{where}: {field.name} is {value!r}; expected {kinds[0].__name__}"
            )
        converted[field.name] = value
    return BlockInfo(**converted)
