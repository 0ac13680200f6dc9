-- Logs, their entries, tiles and search index.
--
-- What an entry costs on disk, beside its body and extra bytes, with 100 million of them in mind:
--   entry row             about 110 bytes (24 tuple header, 4 line pointer, 8 + 8 + 8, 33, varlena headers)
--   primary key           about  28 bytes, always inserted at its right edge, so pages are packed full
--   identity index        about  60 bytes at 90 % full, 80 after random insertion (6 to 8 GB per 100 million)
--   leaf hash index       the same, only for kinds of log whose leaf hash is not the identity (CT)
--   each search key       about  60 bytes in the table and 60 in its primary key
--   tiles                 32.13 bytes a leaf
-- The identity index and the search keys are the random part of the write load: keep them in memory
-- (shared_buffers) for as long as possible.

-- One row a log. The head is part of it: `SELECT ... FOR UPDATE` of this row is the lock that makes
-- a batch exclusive, and every batch updates it once. No index covers the columns that change and
-- pages are kept half empty, so that updates stay heap-only.
CREATE TABLE log (
    id           bigint NOT NULL PRIMARY KEY CHECK (id > 0),
    kind         text   NOT NULL CHECK (kind IN ('ct', 'rekor-v1', 'rekor-v2')),
    origin       text   NOT NULL,
    public_key   bytea  NOT NULL,
    state        text   NOT NULL CHECK (state IN ('active', 'frozen')),
    created_ms   bigint NOT NULL,
    size         bigint NOT NULL CHECK (size >= 0),
    root         bytea  NOT NULL CHECK (length(root) = 32),
    timestamp_ms bigint NOT NULL CHECK (timestamp_ms >= 0),
    signed       bytea  NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000);

-- No foreign key to log: every insertion would take a share lock on the row that batches queue for.
CREATE TABLE entry (
    log          bigint NOT NULL,
    idx          bigint NOT NULL CHECK (idx >= 0),
    timestamp_ms bigint NOT NULL,
    identity     bytea  NOT NULL CHECK (length(identity) = 32),
    -- NULL when it equals the identity, as it does in most kinds of log.
    leaf_hash    bytea  CHECK (length(leaf_hash) = 32),
    body         bytea  NOT NULL,
    extra        bytea  NOT NULL,
    PRIMARY KEY (log, idx)
);
-- Signatures and certificates do not compress: do not try, just move what is long out of line.
ALTER TABLE entry ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN extra SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX entry_identity ON entry (log, identity);
CREATE INDEX entry_leaf_hash ON entry (log, leaf_hash) WHERE leaf_hash IS NOT NULL;

CREATE TABLE search_key (
    key bytea  NOT NULL CHECK (length(key) = 16),
    log bigint NOT NULL,
    idx bigint NOT NULL,
    PRIMARY KEY (key, log, idx)
);

-- 1 to 256 hashes of 32 bytes; a tile that grows is overwritten until it is full.
CREATE TABLE tile (
    log    bigint   NOT NULL,
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    idx    bigint   NOT NULL CHECK (idx >= 0),
    hashes bytea    NOT NULL CHECK (length(hashes) % 32 = 0 AND length(hashes) BETWEEN 32 AND 8192),
    PRIMARY KEY (log, level, idx)
);
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
