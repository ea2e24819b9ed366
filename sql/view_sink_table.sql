-- A user's table as the sink: upsert on the group key, rows that leave the
-- result are deleted; triggers, defaults and constraints work.
CREATE FOREIGN TABLE sales (shop text, item int, amount int) SERVER streaming;
CREATE TABLE totals (
    shop text NOT NULL, item int NOT NULL, total bigint CHECK (total < 1000),
    changed int DEFAULT 7, PRIMARY KEY (shop, item));
CREATE TABLE log (entry text);
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.log VALUES (TG_OP || ' ' || coalesce(NEW.shop, OLD.shop));
    RETURN NULL;
END
$$;
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON totals FOR EACH ROW EXECUTE FUNCTION log_change();

CREATE VIEW sold WITH (streaming.trigger = 'manual', streaming.sink = 'totals') AS
    SELECT shop, item, sum(amount) AS total FROM sales GROUP BY shop, item HAVING sum(amount) > 0;
INSERT INTO sales VALUES ('north', 1, 10), ('north', 1, 5), ('south', 2, 7), ('west', 1, -1);
SELECT streaming.drain('sold');
SELECT * FROM totals ORDER BY shop;
SELECT * FROM sold ORDER BY shop;
INSERT INTO sales VALUES ('north', 1, 1), ('south', 2, -7), ('west', 1, 2);
SELECT streaming.drain('sold');
SELECT * FROM totals ORDER BY shop;
SELECT * FROM log ORDER BY entry;

-- append
CREATE TABLE archive (id int GENERATED ALWAYS AS IDENTITY, shop text, amount int);
CREATE VIEW large WITH (streaming.trigger = 'manual', streaming.sink = 'archive') AS
    SELECT shop, amount FROM sales WHERE amount > 5;
INSERT INTO sales VALUES ('east', 3, 100), ('east', 3, 1), ('north', 1, 60);
SELECT streaming.drain('large');
SELECT * FROM archive ORDER BY shop;

-- a constraint of the table fails the batch, which is shown and not taken
INSERT INTO sales VALUES ('north', 1, 5000);
SELECT streaming.drain('sold');
SELECT view, status, last_error FROM streaming.views WHERE view = 'sold'::regclass;
SELECT total FROM totals WHERE shop = 'north';
ALTER TABLE totals DROP CONSTRAINT totals_total_check;
SELECT streaming.drain('sold');
SELECT total FROM totals WHERE shop = 'north';

-- the table outlives the view
DROP FOREIGN TABLE sales CASCADE;
SELECT count(*) FROM totals;
DROP TABLE totals, archive, log;
DROP FUNCTION log_change;

-- rows with NULL in the key are upserted and leave like others
CREATE FOREIGN TABLE visits (who text, page int, ms int) SERVER streaming OPTIONS (retention '1 hour');
CREATE TABLE visited (who text, page int NOT NULL, tags int[], total bigint, UNIQUE NULLS NOT DISTINCT (page, who, tags));
CREATE VIEW visit_totals WITH (streaming.trigger = 'manual', streaming.sink = 'visited') AS
    SELECT who, page, CASE WHEN page > 1 THEN ARRAY[page] END AS tags, sum(ms) AS total
    FROM visits GROUP BY 1, 2, 3 HAVING sum(ms) > 0;
INSERT INTO visits VALUES (NULL, 1, 1), (NULL, 2, 2), ('a', 1, 3), ('a', 2, 4);
SELECT streaming.drain('visit_totals');
INSERT INTO visits VALUES (NULL, 1, -1), (NULL, 2, 1), ('a', 1, -3), ('a', 2, 1);
SELECT streaming.drain('visit_totals');
SELECT * FROM visited ORDER BY who;
INSERT INTO visits VALUES (NULL, 2, -3);
SELECT streaming.drain('visit_totals');
SELECT * FROM visited ORDER BY who;
SELECT streaming.reset('visit_totals');
SELECT count(*) FROM visited;

-- two views may write to one table
CREATE TABLE pages (page int, who text, source text DEFAULT 'unknown');
CREATE VIEW pages_a WITH (streaming.trigger = 'manual', streaming.sink = 'pages') AS
    SELECT page, who, 'first'::text AS source FROM visits WHERE page = 1;
CREATE VIEW pages_b WITH (streaming.trigger = 'manual', streaming.sink = 'pages') AS SELECT page, who FROM visits WHERE page = 2;
INSERT INTO visits VALUES ('b', 1, 1), ('c', 2, 1);
SELECT v, streaming.drain(v) FROM unnest(ARRAY['pages_a', 'pages_b']::regclass[]) v;
SELECT * FROM pages ORDER BY page;

-- a partitioned table; a row without a partition fails the batch until there is one
CREATE TABLE parted (page int NOT NULL, who text NOT NULL, n bigint, PRIMARY KEY (page, who)) PARTITION BY LIST (page);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE VIEW per_page WITH (streaming.trigger = 'manual', streaming.sink = 'parted') AS
    SELECT page, who, count(*) AS n FROM visits WHERE who IS NOT NULL GROUP BY page, who;
INSERT INTO visits VALUES ('d', 1, 1), ('d', 2, 1);
SELECT streaming.drain('per_page');
SELECT status, last_error FROM streaming.views WHERE view = 'per_page'::regclass;
SELECT count(*) FROM parted;
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
SELECT streaming.drain('per_page');
INSERT INTO visits VALUES ('d', 1, 1);
SELECT streaming.drain('per_page');
SELECT tableoid::regclass, * FROM parted ORDER BY page;

-- a deferred constraint is checked with the batch
CREATE TABLE people (who text PRIMARY KEY);
INSERT INTO people VALUES ('a'), ('b'), ('c'), ('d');
CREATE TABLE known (who text PRIMARY KEY REFERENCES people DEFERRABLE INITIALLY DEFERRED, n bigint,
    twice bigint GENERATED ALWAYS AS (n * 2) STORED, id int GENERATED ALWAYS AS IDENTITY);
CREATE VIEW known_visits WITH (streaming.trigger = 'manual', streaming.sink = 'known') AS
    SELECT who, count(*) AS n FROM visits WHERE who IS NOT NULL GROUP BY who;
INSERT INTO visits VALUES ('b', 1, 1), ('nobody', 1, 1);
SELECT streaming.drain('known_visits');
INSERT INTO people VALUES ('nobody');
SELECT streaming.drain('known_visits');
SELECT who, n, twice FROM known ORDER BY who;

-- columns that cannot be written
CREATE VIEW bad WITH (streaming.sink = 'known') AS SELECT who, count(*) AS n, count(*) AS twice FROM visits GROUP BY who;
CREATE VIEW bad WITH (streaming.sink = 'known') AS SELECT who, count(*) AS n, 1 AS id FROM visits GROUP BY who;

-- a column of the sink that is renamed
ALTER TABLE known RENAME COLUMN n TO visits;
INSERT INTO visits VALUES ('b', 1, 1);
SELECT streaming.drain('known_visits');
SELECT status, last_error FROM streaming.views WHERE view = 'known_visits'::regclass;
ALTER TABLE known RENAME COLUMN visits TO n;
SELECT streaming.drain('known_visits');
SELECT who, n FROM known ORDER BY who;

-- what cannot be a sink
CREATE TEMP TABLE passing (who text, n bigint);
CREATE VIEW bad WITH (streaming.sink = 'passing') AS SELECT who, 1 AS n FROM visits;
CREATE VIEW bad WITH (streaming.sink = 'visit_totals') AS SELECT who FROM visits;
CREATE VIEW bad WITH (streaming.sink = 'known') AS SELECT count(*) AS n FROM visits;
CREATE VIEW bad WITH (streaming.sink = 'pages') AS SELECT who, count(*) AS page FROM visits GROUP BY who;

DROP FOREIGN TABLE visits CASCADE;
DROP TABLE visited, pages, parted, known, people;
