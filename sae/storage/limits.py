"""How large anything in a store may be, in one place. A store beyond a limit is refused before it is decoded.

Limits are some ten times what the largest build of the project needs (270,000 documents, d_in 1536, 9,216
latents), and small enough that opening a store and showing a page stays under 1 GB of memory.
"""

MANIFEST_BYTES = 8 << 20
MANIFEST_DEPTH = 12  # objects and lists inside each other
MANIFEST_TEXT = 20_000  # characters of one text in the manifest
FILES = 50_000
PATH_CHARACTERS = 240
NAME_CHARACTERS = 64  # of a corpus or an SAE
CORPORA = 64
SAES = 64  # of one corpus

DOCUMENTS = 5_000_000
D_IN = 16_384
LATENTS = 262_144
K = 4_096

FILE_BYTES = 64 << 30

ZARR_METADATA_BYTES = 64 << 10
CHUNK_BYTES = 1 << 20
CHUNKS_A_SHARD = 64
ARRAY_BYTES = 16 << 30  # arrays that are read in slices
WHOLE_BYTES = 256 << 20  # one array or slice that is decoded at once

PARQUET_FOOTER_BYTES = 16 << 20
PARQUET_GROUPS = 20_000
PARQUET_COLUMNS = 256
PAGE_BYTES = 32 << 20  # a Parquet page, decoded
GROUP_BYTES = 256 << 20  # a Parquet row group, decoded
TABLE_BYTES = 512 << 20  # the columns of a table that are read at once, decoded
VALUES_A_ROW = 20_000  # of a list column, on average in a row group

TEXT_CHARACTERS = {"label": 500, "title": 20_000, "text": 4_000_000}  # bytes of UTF-8
OTHER_TEXT = 20_000
HELD_BYTES = 16 << 20  # a matrix up to this size is held in memory; of a larger one rows are read when used
