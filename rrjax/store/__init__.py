"""Files and folders that are whole or absent, and a record of how they were made."""

from rrjax.store.claims import STRAY_SECONDS, claim_folder
from rrjax.store.files import (
    check_new_folder,
    new_folder,
    replaced_folder,
    write_bytes_atomically,
    write_bytes_once,
)
from rrjax.store.locks import hold_lock
from rrjax.store.provenance import describe_run, version
from rrjax.store.records import (
    DIGEST_KEY,
    DIGEST_LENGTH,
    Arrays,
    check_format,
    digest_arrays,
    encode_json,
    format_entry,
    read_arrays,
    read_json,
    read_result,
    write_arrays,
    write_json,
    write_result,
)

__all__ = [
    "DIGEST_KEY",
    "DIGEST_LENGTH",
    "STRAY_SECONDS",
    "Arrays",
    "check_format",
    "check_new_folder",
    "claim_folder",
    "describe_run",
    "digest_arrays",
    "encode_json",
    "format_entry",
    "hold_lock",
    "new_folder",
    "read_arrays",
    "read_json",
    "read_result",
    "replaced_folder",
    "version",
    "write_arrays",
    "write_bytes_atomically",
    "write_bytes_once",
    "write_json",
    "write_result",
]
