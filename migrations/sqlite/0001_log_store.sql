-- Logs, their entries, tiles and search index, in one SQLite file.
--
-- What an entry costs on disk, beside its body and extra bytes: about 100 bytes in `entry`, 15 in
-- its position index, 50 in its identity index, 50 more if its leaf hash is not its identity, and
-- 30 for each search key. Tiles add 32.13 bytes a leaf.

-- One row a log; its head is part of it, so that reading head and state is one row read.
CREATE TABLE log (
    id           INTEGER NOT NULL PRIMARY KEY CHECK (id > 0),
    kind         TEXT    NOT NULL CHECK (kind IN ('ct', 'rekor-v1', 'rekor-v2')),
    origin       TEXT    NOT NULL,
    public_key   BLOB    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('active', 'frozen')),
    created_ms   INTEGER NOT NULL,
    size         INTEGER NOT NULL CHECK (size >= 0),
    root         BLOB    NOT NULL CHECK (length(root) = 32),
    timestamp_ms INTEGER NOT NULL CHECK (timestamp_ms >= 0),
    signed       BLOB    NOT NULL
) STRICT;

-- A rowid table: bodies of a kilobyte and more do not belong in the interior pages of an index
-- B-tree, where WITHOUT ROWID would put them.
CREATE TABLE entry (
    log          INTEGER NOT NULL REFERENCES log (id),
    idx          INTEGER NOT NULL CHECK (idx >= 0),
    identity     BLOB    NOT NULL CHECK (length(identity) = 32),
    -- NULL when it equals the identity, as it does in most kinds of log.
    leaf_hash    BLOB    CHECK (length(leaf_hash) = 32),
    timestamp_ms INTEGER NOT NULL,
    body         BLOB    NOT NULL,
    extra        BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_position ON entry (log, idx);
CREATE UNIQUE INDEX entry_identity ON entry (log, identity);
CREATE INDEX entry_leaf_hash ON entry (log, leaf_hash) WHERE leaf_hash IS NOT NULL;

-- The row is its own index.
CREATE TABLE search_key (
    key BLOB    NOT NULL CHECK (length(key) = 16),
    log INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    PRIMARY KEY (key, log, idx)
) STRICT, WITHOUT ROWID;

-- 1 to 256 hashes of 32 bytes; a tile that grows is overwritten until it is full.
CREATE TABLE tile (
    log    INTEGER NOT NULL REFERENCES log (id),
    level  INTEGER NOT NULL CHECK (level BETWEEN 0 AND 7),
    idx    INTEGER NOT NULL CHECK (idx >= 0),
    hashes BLOB    NOT NULL CHECK (length(hashes) % 32 = 0 AND length(hashes) BETWEEN 32 AND 8192),
    PRIMARY KEY (log, level, idx)
) STRICT;
