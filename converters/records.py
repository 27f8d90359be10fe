"""Records of the tensors that a torch file describes, made before their bytes are read."""

from dataclasses import dataclass

import ml_dtypes
import numpy as np


class CheckpointError(ValueError):
    """A weights file that is damaged, of another format, or asks for more than tensors."""


class TrainerStateError(CheckpointError):
    """A weights file with objects of a trainer, which may be harmless, beside its tensors."""


STORAGE_DTYPES: dict[str, np.dtype] = {
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}


@dataclass(frozen=True)
class Storage:
    """A flat array in the archive: `num_elements` values of `dtype` under `key`."""

    dtype: np.dtype
    key: str
    num_elements: int


@dataclass(frozen=True)
class TensorRecord:
    """A strided view of a storage; offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self):
        numbers = (self.offset, *self.shape, *self.strides)
        whole = all(isinstance(number, int) and number >= 0 for number in numbers)
        if not whole or len(self.shape) != len(self.strides):
            raise CheckpointError("damaged: impossible shape, strides or offset of a tensor")
