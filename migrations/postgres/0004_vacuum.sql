-- How the tables are vacuumed, with 100 million entries in mind. The defaults wait for a fifth of a
-- table to change, which is 20 million rows, and freeze nothing before the transaction counter demands
-- all of it at once.

-- Inserted and never changed: freeze rows in the passes that follow insertions, each over pages that
-- are still in memory, so that no pass ever has the whole table to do. Pages are packed full (the
-- default fillfactor), because nothing is ever updated in them.
ALTER TABLE entry SET (
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_freeze_min_age = 0
);
ALTER TABLE search_key SET (
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_freeze_min_age = 0
);

-- The tiles at the right edge are overwritten with every batch, all others are final: count dead rows,
-- not their share. A tile of more than 62 hashes is out of line, in four chunks.
ALTER TABLE tile SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 10000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_freeze_min_age = 0,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 40000,
    toast.autovacuum_freeze_min_age = 0
);
