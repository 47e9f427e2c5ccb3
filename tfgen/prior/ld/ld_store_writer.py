"""Writes an LD store: the same blocks give the same bytes."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from tfgen import __version__
from tfgen.errors import InputMismatchError
from tfgen.io import new_directory, write_json
from tfgen.io.hdf5 import create_hdf5
from tfgen.prior.ld.ld_block import (
    ARRAYS,
    VARIANT_COLUMNS,
    BlockInfo,
    LdBlock,
    QType,
    chromosome_order,
    pack_block,
    packed_info,
)
from tfgen.prior.ld.ld_store import BLOCKS, FORMAT_VERSION, INDEX, chromosome_file

Packed = Mapping[str, npt.NDArray[Any]]

_CHUNK_BYTES = 1 << 20
_CHUNK_ROWS = 1 << 16
_COMPRESS_BYTES = 1 << 12
_COMPRESSION: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
_BLOCK_ATTRIBUTES = tuple(name for name in BlockInfo.__dataclass_fields__ if name != "id")


def save_ld_store(
    path: Path,
    attributes: Mapping[str, object],
    blocks: Iterable[LdBlock],
    overwrite: bool = False,
    q_dtype: QType = "float16",
) -> str:
    """Writes blocks as a new LD store, in one step.

    Args:
        path: The folder to make.
        attributes: What determined the numbers, at least `build` and `panel`, in the types of
            JSON.
        blocks: The blocks in genome order.
        overwrite: Replace an LD store of this name.
        q_dtype: Type in which Q is kept.

    Returns:
        The digest of the store.

    Raises:
        OutputError: The folder exists, or cannot be written.
        InputMismatchError: Blocks out of order, or a variant that is observed in two of them.
    """
    with new_directory(path, overwrite, kind=INDEX) as folder:
        packed = (pack_block(block, q_dtype) for block in blocks)
        return write_ld_store(folder, attributes, packed)


def write_ld_store(
    folder: Path,
    attributes: Mapping[str, object],
    blocks: Iterable[Packed],
    between_blocks: Callable[[], None] = lambda: None,
) -> str:
    """Writes packed blocks into an existing folder.

    Args:
        folder: An empty folder; the caller publishes it.
        attributes: What determined the numbers, in the types of JSON.
        blocks: What `pack_block` gives, in genome order.
        between_blocks: Called after every block; may raise to stop.

    Returns:
        The digest of the store.

    Raises:
        OutputError: The files cannot be written.
        InputMismatchError: Blocks out of order, or a variant that is observed in two of them.
    """
    stated = {"tfgen": __version__, **attributes}
    infos: list[BlockInfo] = []
    for chrom, group in _by_chromosome(blocks):
        observed = _Observed(chrom)
        with ExitStack() as stack:
            file, check = stack.enter_context(create_hdf5(folder / chromosome_file(chrom)))
            _write_attributes(file, {"format_version": FORMAT_VERSION, "chrom": chrom, **stated})
            groups = file.create_group(BLOCKS)
            for info, packed in group:
                observed.add(info, packed)
                _write_block(groups, info, packed)
                infos.append(info)
                check()
                between_blocks()
    digest = store_digest(stated, infos)
    write_json(
        folder / INDEX,
        {
            "format_version": FORMAT_VERSION,
            "attributes": stated,
            "digest": digest,
            "blocks": [asdict(info) for info in infos],
        },
    )
    return digest


def store_digest(attributes: Mapping[str, object], infos: Iterable[BlockInfo]) -> str:
    """SHA-256 over the attributes and the digests of the blocks, in hex."""
    content = [dict(attributes), [[info.id, info.digest] for info in infos]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _Observed:
    """Makes sure that every variant of a chromosome is observed once, in genome order."""

    def __init__(self, chrom: str) -> None:
        self._chrom = chrom
        self._last = -1
        self._seen: set[tuple[int, bytes, bytes]] = set()
        self._block = ""

    def add(self, info: BlockInfo, packed: Packed) -> None:
        rows = np.flatnonzero(packed["in_centre"])
        positions = packed["pos"][rows]
        if rows.size == 0:
            return
        if np.any(np.diff(positions) < 0) or positions[0] < self._last:
            raise InputMismatchError(
                f"block {info.id}: its observed variants are not behind those of "
                f"{self._block or 'each other'}; sort the blocks and the variants by position"
            )
        keys = zip(positions.tolist(), packed["ref"][rows], packed["alt"][rows], strict=True)
        for key in keys:
            if key in self._seen:
                pos, ref, alt = key[0], key[1].decode(), key[2].decode()
                raise InputMismatchError(
                    f"block {info.id}: {self._chrom}:{pos}:{ref}:{alt} is observed twice, also in "
                    f"{self._block}; every variant must be in the centre of one block"
                )
            self._seen.add(key)
        # A variant can only come again at the position where this block ends.
        self._last, self._block = int(positions[-1]), info.id
        self._seen = {key for key in self._seen if key[0] == self._last}


def _by_chromosome(
    blocks: Iterable[Packed],
) -> Iterator[tuple[str, Iterator[tuple[BlockInfo, Packed]]]]:
    """Blocks of one chromosome at a time; each group must be used up before the next."""
    source = iter(blocks)
    head = next(source, None)
    last: tuple[tuple[int, str], int] | None = None

    def group(chrom: str) -> Iterator[tuple[BlockInfo, Packed]]:
        nonlocal head, last
        while head is not None:
            info = packed_info(head)
            place = (chromosome_order(info.chrom), info.start)
            if last is not None and place < last:
                raise InputMismatchError(f"block {info.id} is out of order; sort the blocks")
            if info.chrom != chrom:
                return
            last = place
            yield info, head
            head = next(source, None)

    while head is not None:
        chrom = packed_info(head).chrom
        yield chrom, group(chrom)


def _write_attributes(file: h5py.File, attributes: Mapping[str, object]) -> None:
    for name, value in sorted(attributes.items()):
        plain = isinstance(value, str | int | float | bool)
        file.attrs[name] = value if plain else json.dumps(value, sort_keys=True)


def _write_block(groups: h5py.Group, info: BlockInfo, packed: Packed) -> None:
    group = groups.create_group(info.id)
    for name in _BLOCK_ATTRIBUTES:
        group.attrs[name] = getattr(info, name)
    for name in ARRAYS:
        array = packed[name]
        group.create_dataset(name, data=array, track_times=False, **_storage(name, array))


def _storage(name: str, array: npt.NDArray[Any]) -> dict[str, Any]:
    """How an array is laid out: matrices in chunks of whole rows, long columns compressed.

    Each chunk of a matrix has its checksum: a store is kept for years, and a bit that has changed
    would change results without a word.
    """
    if name in ("Q", "P") and array.size:
        rows = max(1, min(len(array), _CHUNK_BYTES // (array.shape[1] * array.dtype.itemsize)))
        return {"chunks": (rows, array.shape[1]), "fletcher32": True}
    if name in VARIANT_COLUMNS and array.nbytes > _COMPRESS_BYTES:
        return {"chunks": (min(array.size, _CHUNK_ROWS),), **_COMPRESSION}
    return {}
