"""What every room needs to read and write safely.

Files appear by rename, long runs hold a lock and can be stopped, and every output has a report
of how it came to be.
"""

from tfgen.io.atomic import new_directory, new_file, publish, write_json, write_text
from tfgen.io.digest import sha256_file, sha256_files
from tfgen.io.lock import OutputLock
from tfgen.io.overlap import refuse_overlap
from tfgen.io.progress import Progress
from tfgen.io.provenance import RunReport, input_fingerprint, library_versions
from tfgen.io.rejects import RejectLog
from tfgen.io.space import format_bytes, free_bytes, require_free_space
from tfgen.io.stop import StopRequest
from tfgen.io.tables import read_table, write_table

__all__ = [
    "OutputLock",
    "Progress",
    "RejectLog",
    "RunReport",
    "StopRequest",
    "format_bytes",
    "free_bytes",
    "input_fingerprint",
    "library_versions",
    "new_directory",
    "new_file",
    "publish",
    "read_table",
    "refuse_overlap",
    "require_free_space",
    "sha256_file",
    "sha256_files",
    "write_json",
    "write_table",
    "write_text",
]
