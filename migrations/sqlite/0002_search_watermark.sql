-- How many of a log's first entries have all their search keys. A batch moves it with the head, if
-- it was at the head; entries that a program wrote which knows fewer keys are indexed again, from
-- here on. Certificate transparency logs have no search keys.
ALTER TABLE log ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0 CHECK (indexed >= 0);
UPDATE log SET indexed = size WHERE kind = 'ct';
