"""Files and folders that are whole or absent, and a record of how they were made."""

from rrjax.store.claims import check_claim as check_claim
from rrjax.store.claims import claim_folder as claim_folder
from rrjax.store.files import check_new_folder as check_new_folder
from rrjax.store.files import new_folder as new_folder
from rrjax.store.files import replaced_folder as replaced_folder
from rrjax.store.files import write_bytes_atomically as write_bytes_atomically
from rrjax.store.files import write_bytes_once as write_bytes_once
from rrjax.store.files import write_csv as write_csv
from rrjax.store.locks import hold_folder as hold_folder
from rrjax.store.locks import hold_lock as hold_lock
from rrjax.store.provenance import describe_run as describe_run
from rrjax.store.provenance import version as version
from rrjax.store.records import Arrays as Arrays
from rrjax.store.records import check_entries as check_entries
from rrjax.store.records import check_format as check_format
from rrjax.store.records import digest_arrays as digest_arrays
from rrjax.store.records import encode_json as encode_json
from rrjax.store.records import format_entry as format_entry
from rrjax.store.records import read_arrays as read_arrays
from rrjax.store.records import read_json as read_json
from rrjax.store.records import read_result as read_result
from rrjax.store.records import write_arrays as write_arrays
from rrjax.store.records import write_json as write_json
from rrjax.store.records import write_record as write_record
from rrjax.store.records import write_result as write_result
