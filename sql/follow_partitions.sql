-- Partitioned tables that continuous views follow: statements on the whole and on its
-- partitions, and partitions that come and go.
\i sql/include/same_as_batch.sql
SET search_path = live, batch;

CREATE TABLE sales (id int, at date, shop int, note text, PRIMARY KEY (id, at, shop)) PARTITION BY RANGE (at);
CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
-- the same columns in another order, with one that has been dropped
CREATE TABLE sales_2 (note text, gone int, shop int NOT NULL, id int NOT NULL, at date NOT NULL);
ALTER TABLE sales_2 DROP COLUMN gone;
ALTER TABLE sales ATTACH PARTITION sales_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE sales_3 PARTITION OF sales FOR VALUES FROM ('2026-03-01') TO ('2026-05-01') PARTITION BY LIST (shop);
CREATE TABLE sales_3_even PARTITION OF sales_3 FOR VALUES IN (0, 2, 4);
CREATE TABLE sales_3_rest PARTITION OF sales_3 DEFAULT;
CREATE TABLE shops (shop int PRIMARY KEY, name text);
INSERT INTO shops SELECT i, 'shop ' || i FROM generate_series(0, 6) i;
INSERT INTO sales SELECT i, date '2026-01-01' + i % 100, i % 7, 'n' || i % 3 FROM generate_series(1, 300) i;

CREATE PROCEDURE follow(name text, query text) LANGUAGE sql AS $$
	CALL keep(name, query, ', streaming.follow = ''all''')
$$;
CALL follow('per_shop', 'SELECT shop, count(*), sum(id), max(note) FROM live.sales GROUP BY shop');
CALL follow('odd', 'SELECT id, at, note FROM live.sales WHERE id % 2 = 1');
CALL follow('named', 'SELECT s.name, count(*), min(p.at) FROM live.sales p JOIN live.shops s USING (shop) GROUP BY s.name');
CALL follow('idle', 'SELECT s.shop FROM live.shops s WHERE NOT EXISTS (SELECT FROM live.sales p WHERE p.shop = s.shop AND p.at > ''2026-03-20'')');

-- Views that are not as their query, after the rows in all of them.
CREATE FUNCTION differ(OUT rows bigint, OUT wrong text) LANGUAGE sql AS $$
	SELECT sum(rows), coalesce(string_agg(name || ': ' || extra || ' too many, ' || missing || ' missing', '; ') FILTER (WHERE extra + missing > 0), 'none')
	FROM compare() AS c(name, rows, extra, missing)
$$;
SELECT * FROM differ();

-- the whole
INSERT INTO sales VALUES (301, '2026-01-15', 1, 'new'), (302, '2026-02-15', 2, NULL), (303, '2026-03-15', 2, 'new'), (304, '2026-04-15', 3, 'new');
SELECT * FROM differ();
UPDATE sales SET note = note || '!' WHERE id % 5 = 0;
UPDATE sales SET at = at + 31 WHERE at < '2026-02-10' AND id % 4 = 0;
UPDATE sales SET shop = shop + 1 WHERE at > '2026-03-10' AND id % 3 = 0;
SELECT * FROM differ();
DELETE FROM sales WHERE id % 11 = 0;
INSERT INTO sales VALUES (1, '2026-01-02', 5, 'again'), (400, '2026-01-02', 5, 'first') ON CONFLICT (id, at, shop) DO UPDATE SET note = excluded.note;
COPY sales FROM STDIN;
500	2026-02-01	1	copied
501	2026-03-01	6	\N
\.
SELECT * FROM differ();
-- partitions, at each level
INSERT INTO sales_1 VALUES (600, '2026-01-20', 3, 'direct');
INSERT INTO sales_2 (id, at, shop, note) VALUES (601, '2026-02-20', 3, 'direct'), (602, '2026-02-21', 4, repeat('long', 2000));
INSERT INTO sales_3 VALUES (603, '2026-03-20', 2, 'direct'), (604, '2026-03-20', 5, 'direct');
INSERT INTO sales_3_rest VALUES (605, '2026-03-21', 5, 'direct');
SELECT * FROM differ();
UPDATE sales_2 SET note = 'changed', shop = shop + 1 WHERE id % 3 = 0;
UPDATE sales_3 SET shop = 7 - shop WHERE id % 2 = 0;
DELETE FROM sales_3_even WHERE id % 5 = 1;
COPY sales_2 (id, at, shop, note) FROM STDIN;
700	2026-02-02	1	copied
\.
SELECT * FROM differ();
-- where triggers of statements do not fire
SET session_replication_role = replica;
INSERT INTO sales SELECT i, date '2026-01-01' + i % 100, i % 7, 'replica' FROM generate_series(800, 830) i;
UPDATE sales SET at = at - 20 WHERE at BETWEEN '2026-02-05' AND '2026-03-05' AND id % 2 = 0;
DELETE FROM sales_3 WHERE id % 7 = 0;
RESET session_replication_role;
SELECT * FROM differ();

-- columns
ALTER TABLE sales RENAME note TO remark;
ALTER TABLE sales ADD COLUMN extra int DEFAULT 3;
INSERT INTO sales_2 (id, at, shop, remark, extra) VALUES (900, '2026-02-03', 1, 'renamed', 4);
UPDATE sales SET extra = 5 WHERE id > 250;
CALL follow('later', 'SELECT extra, count(*), max(remark) FROM live.sales GROUP BY extra');
SELECT * FROM differ();
UPDATE sales_2 SET extra = 6;
SELECT * FROM differ();

-- partitions that come: new ones, and with rows
CREATE TABLE sales_5 PARTITION OF sales FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');
INSERT INTO sales VALUES (1000, '2026-05-05', 1, 'May');
INSERT INTO sales_5 VALUES (1001, '2026-05-06', 2, 'May');
SELECT * FROM differ();
CREATE TABLE sales_6 (LIKE sales) PARTITION BY LIST (shop);
CREATE TABLE sales_6_low PARTITION OF sales_6 FOR VALUES IN (1, 2);
CREATE TABLE sales_6_high PARTITION OF sales_6 FOR VALUES IN (3, 4);
INSERT INTO sales_6 SELECT 1100 + i, date '2026-06-01' + i, 1 + i % 4, repeat('June', i * 100) FROM generate_series(0, 20) i;
BEGIN;
ALTER TABLE sales ATTACH PARTITION sales_6 FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');
INSERT INTO sales VALUES (1200, '2026-06-05', 1, 'June');
DELETE FROM sales_6_high WHERE id % 2 = 0;
COMMIT;
SELECT * FROM differ();
BEGIN;
CREATE TABLE sales_7 PARTITION OF sales FOR VALUES FROM ('2026-07-01') TO ('2026-08-01');
INSERT INTO sales_7 VALUES (1300, '2026-07-05', 1, 'July');
ROLLBACK;
SELECT * FROM differ();
-- and go
TRUNCATE sales_1;
SELECT * FROM differ();
ALTER TABLE sales DETACH PARTITION sales_2;
INSERT INTO sales_2 (id, at, shop) VALUES (2000, '2026-02-03', 1);
SELECT * FROM differ();
ALTER TABLE sales ATTACH PARTITION sales_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
SELECT * FROM differ();
ALTER TABLE sales_3 DETACH PARTITION sales_3_even;
DROP TABLE sales_3_rest;
DROP TABLE sales_6, sales_5;
SELECT * FROM differ();
DROP TABLE sales_3_even;
TRUNCATE sales;
SELECT * FROM differ();
INSERT INTO sales SELECT i, date '2026-01-01' + i % 50, i % 7, 'n' FROM generate_series(1, 100) i;
SELECT * FROM differ();

-- what cannot be
\set VERBOSITY default
CREATE SERVER elsewhere FOREIGN DATA WRAPPER directory OPTIONS (path '/tmp');
CREATE FOREIGN TABLE sales_8 PARTITION OF sales FOR VALUES FROM ('2026-08-01') TO ('2026-09-01') SERVER elsewhere OPTIONS (path 'none*.json');
CREATE UNLOGGED TABLE sales_8 PARTITION OF sales FOR VALUES FROM ('2026-08-01') TO ('2026-09-01');
ALTER TABLE sales DETACH PARTITION sales_2 CONCURRENTLY;
ALTER TABLE sales_2 DISABLE TRIGGER ALL;
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid = 'sales_2'::regclass AND tgname LIKE '~streaming\_follow\_truncate%' LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid);
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', regexp_replace(SQLERRM, '_[0-9]+"', '_N"', 'g');
END $$;
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid = 'sales_2'::regclass AND tgname LIKE '~streaming\_follow\_truncate%' LOOP
		EXECUTE format('ALTER TRIGGER %I ON %s RENAME TO z', t.tgname, t.tgrelid);
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', regexp_replace(SQLERRM, '_[0-9]+"', '_N"', 'g');
END $$;
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid = 'sales_2'::regclass AND tgname LIKE '~streaming\_follow\_truncate%' LOOP
		EXECUTE format('ALTER TRIGGER %I ON %s DEPENDS ON EXTENSION plpgsql', t.tgname, t.tgrelid);
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', regexp_replace(SQLERRM, '_[0-9]+"', '_N"', 'g');
END $$;
DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_name LIKE 'follow%' LOOP
		EXECUTE format('CREATE VIEW peek WITH (streaming.continuous) AS SELECT * FROM streaming_internal.%I', t.foreign_table_name);
	END LOOP;
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', regexp_replace(SQLERRM, '_\d+', '_N', 'g');
END $$;
ALTER TABLE sales_2 SET UNLOGGED;
CREATE VIEW v WITH (streaming.follow = 'sales_2') AS SELECT count(*) FROM live.sales_2;
CREATE VIEW v WITH (streaming.follow = 'sales') AS SELECT count(*) FROM ONLY live.sales;
SELECT * FROM differ();

-- all that goes with it
CREATE FUNCTION triggers() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~streaming\_follow%'
$$;
SELECT triggers() > 0 AS captured;
DROP VIEW live.per_shop, live.odd, live.named, live.idle, live.later;
CREATE PROCEDURE wait_for_release() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..600 LOOP
		EXIT WHEN triggers() = 0;
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
CALL wait_for_release();
SELECT triggers() AS captured;

SET client_min_messages = error;
DROP SERVER elsewhere;
DROP SCHEMA live, batch CASCADE;
