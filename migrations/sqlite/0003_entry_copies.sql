-- What checking and copying a log needs of an entry. Its search keys, 16 bytes each in ascending
-- order, beside the index: some of them cannot be computed from the body (the subjects of a statement
-- that only its digest is kept of), so an index that was damaged could not be told, nor rebuilt,
-- without. And what the log signed for it, if it was restored from another store.
ALTER TABLE entry ADD COLUMN keys BLOB NOT NULL DEFAULT x'' CHECK (length(keys) % 16 = 0);
ALTER TABLE entry ADD COLUMN promise BLOB;
UPDATE entry SET keys = found.keys
FROM (SELECT log, idx, unhex(group_concat(hex(key), '' ORDER BY key)) AS keys
      FROM search_key GROUP BY log, idx) AS found
WHERE entry.log = found.log AND entry.idx = found.idx;
