"""The LD store: whitened LD of a reference panel, a folder with one HDF5 file per chromosome.

`ld_store.json` says what determines the numbers and lists the blocks; `chr22.h5` holds the arrays
of the blocks of chromosome 22 in the groups `/blocks/ID`. See docs/ld-store.md.
"""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from tfgen.errors import InputFormatError, InputMismatchError, UnsupportedInputError
from tfgen.genome import VariantTable
from tfgen.io.hdf5 import damage_reported, open_hdf5, safe_dataset
from tfgen.prior.ld.ld_block import (
    ARRAYS,
    VARIANT_COLUMNS,
    BlockInfo,
    LdBlock,
    chromosome_order,
    info_from,
    unpack_block,
    unpack_variants,
)

__all__ = ["FORMAT_VERSION", "INDEX", "BlockInfo", "LdBlock", "LdStore", "chromosome_file"]

FORMAT_VERSION = "1.0"
INDEX = "ld_store.json"
"""The file by which a folder is known to be an LD store."""

BLOCKS = "blocks"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class LdStore:
    """An open LD store; a context manager. Blocks are read one at a time.

    Args:
        path: The folder.

    Attributes:
        path: The folder.
        attributes: What determined the numbers: `build`, `panel`, `n_ref`, `eps`, `var_kept`,
            `shrink`, `ld_fix`, versions and digests of the inputs.
        digest: SHA-256 over the attributes and the arrays of all blocks, in hex.
        blocks: The blocks in genome order.

    Raises:
        InputFormatError: No LD store, or a damaged one.
        UnsupportedInputError: Written in a format of another major version.
        FileNotFoundError: There is no such folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        index = _read_index(self.path)
        where = str(self.path / INDEX)
        attributes = index.get("attributes")
        blocks = index.get("blocks")
        digest = index.get("digest")
        if not (isinstance(attributes, dict) and isinstance(blocks, list) and digest):
            raise InputFormatError(f"{where}: no attributes, blocks or digest; build it again")
        self.attributes: Mapping[str, Any] = MappingProxyType(attributes)
        self.digest = str(digest)
        infos = [_checked_info(values, where) for values in blocks]
        self.blocks: tuple[BlockInfo, ...] = tuple(
            sorted(infos, key=lambda info: (chromosome_order(info.chrom), info.start))
        )
        self._by_id = {info.id: info for info in self.blocks}
        if len(self._by_id) != len(self.blocks):
            raise InputFormatError(f"{where}: two blocks of one name; build the store again")
        self._files: dict[str, h5py.File] = {}

    def __enter__(self) -> Self:
        """Returns the open store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the files."""
        self.close()

    def close(self) -> None:
        """Closes the files; reading opens them again."""
        while self._files:
            self._files.popitem()[1].close()

    def info(self, block_id: str) -> BlockInfo:
        """Where a block lies and how large it is.

        Raises:
            InputMismatchError: The store has no such block.
        """
        if block_id not in self._by_id:
            names = ", ".join(list(self._by_id)[:3])
            raise InputMismatchError(f"{self.path}: no block {block_id!r}; it has {names}, ...")
        return self._by_id[block_id]

    def read(self, block_id: str) -> LdBlock:
        """One block, its Q as float32.

        Raises:
            InputFormatError: The block is damaged.
            InputMismatchError: The store has no such block.
        """
        info = self.info(block_id)
        packed = self._arrays(info, ARRAYS)
        with damage_reported(self._file_path(info.chrom)):
            return unpack_block(info, packed)

    def read_variants(self, block_id: str) -> tuple[VariantTable, npt.NDArray[np.bool_]]:
        """The variants of a block [n] and which of them are in its centre [n], without its LD.

        Raises:
            InputFormatError: The block is damaged.
            InputMismatchError: The store has no such block.
        """
        info = self.info(block_id)
        packed = self._arrays(info, VARIANT_COLUMNS)
        return unpack_variants(info.chrom, packed), packed["in_centre"]

    @cached_property
    def variants(self) -> VariantTable:
        """All observed variants, each once, in genome order."""
        columns: dict[str, list[npt.NDArray[Any]]] = {}
        for info in self.blocks:
            table, in_centre = self.read_variants(info.id)
            for name, values in vars(table.take(in_centre)).items():
                columns.setdefault(name, []).append(values)
        if not columns:
            return VariantTable.of([], [], [], [])
        return VariantTable(**{name: np.concatenate(parts) for name, parts in columns.items()})

    def _arrays(self, info: BlockInfo, names: tuple[str, ...]) -> dict[str, npt.NDArray[Any]]:
        """Some arrays of a block, none of which may lead out of its file."""
        path = self._file_path(info.chrom)
        if info.chrom not in self._files:
            self._files[info.chrom] = open_hdf5(path, "a chromosome of an LD store")
        file = self._files[info.chrom]
        with damage_reported(path):
            for group in (BLOCKS, f"{BLOCKS}/{info.id}"):
                if not isinstance(file.get(group, getlink=True), h5py.HardLink):
                    raise InputFormatError(f"{path}: no group {group!r}; build the store again")
            found = {name: _array(file, f"{BLOCKS}/{info.id}/{name}") for name in names}
            digest = file[f"{BLOCKS}/{info.id}"].attrs.get("digest")
            if digest != info.digest:
                raise InputFormatError(
                    f"{path}: block {info.id} is not the one that {INDEX} describes; build the "
                    "store again"
                )
            return found

    def _file_path(self, chrom: str) -> Path:
        return self.path / chromosome_file(chrom)


def chromosome_file(chrom: str) -> str:
    """Name of the file of a contig."""
    return f"chr{chrom}.h5"


def _array(file: h5py.File, name: str) -> npt.NDArray[Any]:
    dataset = safe_dataset(file, name)
    if dataset is None:
        raise InputFormatError(f"{file.filename}: {name!r} is no dataset; build the store again")
    return np.asarray(dataset[...])


def _read_index(folder: Path) -> dict[str, Any]:
    """The content of `ld_store.json`."""
    path = folder / INDEX
    if not path.is_file():
        if folder.exists():
            raise InputFormatError(
                f"{folder}: no LD store (no {INDEX} in it); expected a folder that "
                "prior_build_ld.py wrote"
            )
        raise FileNotFoundError(2, "No such folder", str(folder))
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputFormatError(f"{path}: not JSON ({error}); build the store again") from error
    version = str(index.get("format_version", "")) if isinstance(index, dict) else ""
    if not version:
        raise InputFormatError(f"{path}: no format_version; expected the index of an LD store")
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise UnsupportedInputError(
            f"{path}: format version {version}, but this tfgen reads {FORMAT_VERSION}; use the "
            "tfgen that wrote it"
        )
    return dict(index)


def _checked_info(values: object, where: str) -> BlockInfo:
    if not isinstance(values, dict):
        raise InputFormatError(f"{where}: a block is {values!r}; expected an object")
    info = info_from(values, where)
    # The names become paths.
    for name in (info.id, info.chrom):
        if not _NAME.fullmatch(name) or name.startswith("."):
            raise InputFormatError(f"{where}: {name!r} is no name of a block or contig")
    return info
