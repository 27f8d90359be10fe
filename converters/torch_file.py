"""Reads files of `torch.save` without torch.

Such a file is a zip archive of uncompressed records: `<root>/data.pkl` describes the object,
`<root>/data/<key>` holds the bytes of a storage, `<root>/byteorder` their byte order.
"""

import math
import zipfile
from pathlib import Path

import numpy as np

from .entries import State, find_state
from .pickle_reader import read_pickle
from .records import CheckpointError, Storage, TensorRecord, TrainerStateError

# A state dict takes some 120 bytes of pickle a tensor, and trainers add their histories.
_LARGEST_PICKLE = 16 * 2**20
_LEGACY_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def read_torch_file(path: Path, entry: str | None = None) -> State:
    """Returns the state dict in a file that `torch.save` wrote.

    Args:
      path: The file.
      entry: Which state dict to take where the file holds several, such as `ema.shadow`.

    Returns:
      The tensors by name, each in its own dtype (bfloat16 by ml_dtypes), in the file's order. The
      arrays are contiguous and read-only; tied tensors may share memory.

    Raises:
      CheckpointError: If the file is damaged, has another format, or asks for anything but tensors
        and plain values; or as `find_state`. Nothing that it names is imported or called, and no
        more is read than its size.
      OSError: If it cannot be read.
    """
    try:
        _check_signature(path)
        with zipfile.ZipFile(path) as archive:
            _check_records(archive, path.stat().st_size)
            return _read_archive(archive, path, entry)
    except TrainerStateError as error:
        raise CheckpointError(
            f"{path}: {error}; it is a trainer's checkpoint with more than weights. "
            f"{_extract(path)}"
        ) from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError) as error:
        # zipfile raises these for damage, and RuntimeError for features of zip that it lacks
        reason = str(error) or "it ends early"
        raise CheckpointError(f"{path}: truncated or damaged ({reason})") from error


def _check_signature(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        return
    if head.startswith(_LEGACY_MAGIC):
        raise CheckpointError(f"torch's legacy format; {_resave(path, weights_only=True)}")
    if head[257:262] == b"ustar":
        raise CheckpointError(
            "torch's oldest format, a tar archive, which torch can read only by running what it "
            f"asks for: if you trust its author, {_resave(path, weights_only=False)}"
        )
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError("a Git LFS pointer in place of the weights; run: git lfs pull")
    raise CheckpointError(f"no torch file: it begins with {head[:8]!r}, not with b'PK\\x03\\x04'")


def _resave(path: Path, *, weights_only: bool) -> str:
    target = str(path.with_name(f"{path.name}.zip.pt"))
    load = f"torch.load({str(path)!r}, map_location='cpu', weights_only={weights_only})"
    code = f"import torch; torch.save({load}, {target!r})"
    return f'where torch is installed, run: python -c "{code}"; then convert {target}'


def _extract(path: Path) -> str:
    target = str(path.with_name(f"{path.name}.weights.pt"))
    code = (
        f"import torch; c = torch.load({str(path)!r}, map_location='cpu', weights_only=False); "
        "names = ('model', 'model_state_dict', 'state_dict'); "
        f"torch.save(next((c[n] for n in names if n in c), c), {target!r})"
    )
    return (
        "Loading such a file runs what it asks for. If you trust its author, run where torch is "
        f'installed: python -c "{code}"; then convert {target}'
    )


def _check_records(archive: zipfile.ZipFile, file_size: int) -> None:
    """Refuses records that could unpack to more bytes than the file has."""
    records = archive.infolist()
    for record in records:
        if record.header_offset < 0:
            raise CheckpointError(f"damaged: record {record.filename!r} begins before the file")
        plain = record.compress_type == zipfile.ZIP_STORED and not record.flag_bits & 0x1
        if not plain or record.compress_size != record.file_size:
            raise CheckpointError(f"refused: record {record.filename!r} is compressed or encrypted")
    if sum(record.file_size for record in records) > file_size:
        raise CheckpointError("refused: its records claim more bytes than the file has")
    if len({record.filename for record in records}) < len(records):
        raise CheckpointError("refused: it has several records of one name")


def _read_archive(archive: zipfile.ZipFile, path: Path, entry: str | None) -> State:
    names = archive.namelist()
    pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise CheckpointError(f"expected exactly one data.pkl in the archive, found {len(pickles)}")
    root = pickles[0].removesuffix("data.pkl")
    # files from before torch 2.1 have no such record, and torch reads them as little-endian
    order = archive.read(f"{root}byteorder") if f"{root}byteorder" in names else b"little"
    if order != b"little":
        raise CheckpointError(f"expected byte order b'little', found {order[:16]!r}")
    if archive.getinfo(pickles[0]).file_size > _LARGEST_PICKLE:
        raise TrainerStateError(f"refused: a pickle of more than {_LARGEST_PICKLE} bytes")
    content = read_pickle(archive.read(pickles[0]))
    if isinstance(content, dict) and "pytorch-lightning_version" in content:
        raise CheckpointError(
            f"a Lightning checkpoint, whose weights lie in a trainer's state. {_extract(path)}"
        )
    state = find_state(content, TensorRecord, entry)
    records: dict[str, TensorRecord] = state.tensors
    storages: dict[Storage, np.ndarray] = {}
    for record in records.values():
        if record.storage not in storages:
            storages[record.storage] = _read_storage(archive, root, record.storage)
    tensors = {key: _view(key, r, storages[r.storage]) for key, r in records.items()}
    return state._replace(tensors=tensors)


def _read_storage(archive: zipfile.ZipFile, root: str, storage: Storage) -> np.ndarray:
    name = f"{root}data/{storage.key}"
    if name not in archive.NameToInfo:
        raise CheckpointError(f"the record {name!r} of a tensor is missing")
    size, expected = archive.getinfo(name).file_size, storage.num_elements * storage.dtype.itemsize
    if size != expected:
        raise CheckpointError(f"record {name!r}: expected {expected} bytes, found {size}")
    return np.frombuffer(archive.read(name), storage.dtype)


def _view(key: str, record: TensorRecord, storage: np.ndarray) -> np.ndarray:
    """Returns the tensor as a view of its storage, or as a copy if it is not contiguous."""
    spans = zip(record.shape, record.strides, strict=True)
    last = record.offset + sum((size - 1) * stride for size, stride in spans)
    size = math.prod(record.shape)
    # a view larger than its storage (stride 0) would let a small file fill the memory
    if size and (last >= storage.size or size > storage.size):
        raise CheckpointError(
            f"{key!r} of shape {record.shape}, strides {record.strides} and offset {record.offset} "
            f"does not fit in its storage of {storage.size} elements"
        )
    if not size:
        return np.empty(record.shape, storage.dtype)
    strides = [stride * storage.itemsize for stride in record.strides]
    view = np.lib.stride_tricks.as_strided(storage[record.offset :], record.shape, strides)
    return np.require(view, requirements="C")
