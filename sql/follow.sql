-- Ordinary tables that continuous views follow: rows from before the view, and each
-- kind of statement after it.
\i sql/include/same_as_batch.sql
SET search_path = live, batch;

CREATE DOMAIN short AS text CHECK (length(VALUE) < 10);
CREATE TABLE customers (id int PRIMARY KEY, region short, dropped int, note text, level int GENERATED ALWAYS AS (id % 4) STORED);
ALTER TABLE customers DROP COLUMN dropped;
CREATE TABLE orders (
	id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE,
	amount numeric(10, 2), unused int
);
CREATE FOREIGN TABLE visits (customer int, page text) SERVER streaming;
CREATE TABLE batch.visits (customer int, page text);

INSERT INTO customers SELECT i, 'r' || i % 3, 'note ' || i FROM generate_series(1, 20) i;
INSERT INTO orders SELECT i, 1 + i % 20, i * 1.25, i FROM generate_series(1, 100) i;
INSERT INTO visits SELECT i % 25, 'p' || i % 4 FROM generate_series(1, 50) i;
INSERT INTO batch.visits TABLE live.visits;

CREATE PROCEDURE follow(name text, query text, tables text DEFAULT 'all') LANGUAGE sql AS $$
	CALL keep(name, query, format(', streaming.follow = %L', tables))
$$;
CALL follow('per_region', 'SELECT region, count(*) AS n, min(note) AS least, sum(id) FROM live.customers GROUP BY region', 'customers');
CALL follow('notes', 'SELECT upper(note) AS note, level FROM live.customers WHERE id % 2 = 0');
CALL follow('total', 'SELECT count(*), sum(amount) FROM live.orders', 'live.orders');
CALL follow('joined', 'SELECT c.region, o.id, o.amount FROM live.customers c JOIN live.orders o ON o.customer = c.id', ' customers , "live" . orders');
CALL follow('spent', 'SELECT c.region, c.level, count(*), sum(o.amount) FROM live.customers c JOIN live.orders o ON o.customer = c.id GROUP BY c.region, c.level HAVING count(*) > 1');
CALL follow('without', 'SELECT c.id, c.note FROM live.customers c WHERE NOT EXISTS (SELECT FROM live.orders o WHERE o.customer = c.id AND o.amount > 50)');
CALL follow('outer_join', 'SELECT c.id, o.amount FROM live.customers c LEFT JOIN live.orders o ON o.customer = c.id');
CALL follow('ranked', 'SELECT customer, id, rank() OVER (PARTITION BY customer ORDER BY amount DESC) FROM live.orders');
CALL follow('pairs', 'SELECT a.id AS a, b.id AS b FROM live.customers a JOIN live.customers b ON a.region = b.region AND a.id < b.id');
CALL follow('both', 'SELECT id FROM live.customers UNION ALL SELECT customer FROM live.orders');
CALL follow('largest', 'SELECT id, amount FROM live.orders ORDER BY amount DESC, id LIMIT 3');
CALL follow('pages', 'SELECT v.page, c.region, count(*) FROM visits v JOIN live.customers c ON c.id = v.customer GROUP BY 1, 2', 'customers');
CALL follow('seen', 'SELECT c.id, count(v.page) FROM live.customers c LEFT JOIN visits v ON v.customer = c.id GROUP BY c.id');
-- through ordinary views; and what another view has written to a table
CREATE VIEW live.big_orders AS SELECT id, customer, amount FROM live.orders WHERE amount > 10;
CREATE VIEW live.nested AS SELECT o.customer, o.amount, c.region FROM live.big_orders o JOIN live.customers c ON c.id = o.customer;
CALL follow('through', 'SELECT region, count(*) FROM live.nested GROUP BY region');
CALL follow('through_named', 'SELECT customer, sum(amount) FROM live.big_orders GROUP BY customer', 'live.orders');
CREATE TABLE written (region text PRIMARY KEY, n bigint);
CREATE VIEW writes WITH (streaming.trigger = manual, streaming.follow = all, streaming.sink = 'live.written') AS
	SELECT coalesce(region, '-') AS region, count(*) AS n FROM customers GROUP BY 1;
CREATE VIEW batch.writes AS SELECT coalesce(region, '-') AS region, count(*) AS n FROM live.customers GROUP BY 1;
CALL follow('reads', 'SELECT n, count(*) AS regions, max(region) FROM live.written GROUP BY n');
SELECT * FROM compare();

INSERT INTO customers VALUES (21, 'r1', 'new'), (22, NULL, NULL), (23, 'r9', 'alone');
INSERT INTO orders VALUES (101, 21, 7, NULL), (102, 22, NULL, 1);
SELECT * FROM compare();
UPDATE orders SET amount = amount + 1 WHERE id % 3 = 0;
UPDATE orders SET unused = unused + 1;
UPDATE customers SET region = CASE region WHEN 'r1' THEN 'r2' WHEN 'r2' THEN 'r1' END WHERE id < 15;
UPDATE orders SET amount = 0 WHERE false;
SELECT * FROM compare();
-- a key that others refer to
UPDATE customers SET id = id + 100 WHERE id % 5 = 0;
SELECT * FROM compare();
DELETE FROM customers WHERE id % 7 = 0;
SELECT * FROM compare();
INSERT INTO customers VALUES (1, 'r0', 'again'), (30, 'r0', 'first') ON CONFLICT (id) DO UPDATE SET note = excluded.note, region = 'both';
INSERT INTO customers VALUES (2, 'r0', 'never'), (31, 'r1', 'once') ON CONFLICT DO NOTHING;
SELECT * FROM compare();
MERGE INTO orders o USING (SELECT i AS id FROM generate_series(90, 130) i) s ON o.id = s.id
WHEN MATCHED AND s.id % 2 = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET amount = 99
WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1 + s.id % 4, s.id);
SELECT * FROM compare();
WITH gone AS (DELETE FROM orders WHERE id < 10 RETURNING *),
	changed AS (UPDATE customers SET note = note || '!' WHERE id IN (2, 3) RETURNING id)
INSERT INTO orders SELECT id + 1000, customer, amount, unused FROM gone;
SELECT * FROM compare();
COPY orders FROM STDIN;
2001	1	12.5	\N
2002	\N	\N	7
2003	2	0.01	0
\.
SELECT * FROM compare();
DO $$
BEGIN
	FOR i IN 3000 .. 3020 LOOP
		BEGIN
			INSERT INTO orders VALUES (i, 1 + i % 4, i);
			UPDATE orders SET amount = -amount WHERE id = i;
			IF i % 3 = 0 THEN
				RAISE EXCEPTION 'no';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END $$;
BEGIN;
DELETE FROM orders WHERE id > 3010;
SAVEPOINT s;
DELETE FROM orders;
ROLLBACK TO s;
INSERT INTO orders VALUES (3100, 3, 1);
COMMIT;
BEGIN;
DELETE FROM orders;
ROLLBACK;
SELECT * FROM compare();

-- through a view, by a rule and by triggers that write to the table themselves
CREATE VIEW batch.some AS SELECT id, customer, amount FROM orders WHERE id > 3000;
UPDATE batch.some SET amount = 5 WHERE id % 2 = 0;
CREATE FUNCTION next_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() < 4 THEN
		UPDATE orders SET amount = amount + 1 WHERE id = new.id + 1;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER a_next AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION next_order();
CREATE FUNCTION swap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.amount := 2 * new.amount;
	RETURN CASE WHEN new.id % 2 = 0 THEN new END;
END $$;
CREATE TRIGGER before BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION swap();
UPDATE orders SET amount = amount + 10 WHERE id IN (30, 31, 40);
INSERT INTO orders VALUES (4001, 1, 1), (4002, 1, 1), (4003, 1, 1);
SELECT * FROM compare();

-- where triggers of others do not fire
SET session_replication_role = replica;
INSERT INTO orders VALUES (5001, 1, 1), (5003, 2, 1);
UPDATE orders SET amount = amount + 1 WHERE id > 4000;
DELETE FROM orders WHERE id = 5001;
COPY orders FROM STDIN;
5004	1	12.5	\N
\.
SELECT * FROM compare();
TRUNCATE orders;
INSERT INTO orders SELECT i, 1 + i % 4, i FROM generate_series(1, 50) i;
RESET session_replication_role;
SELECT * FROM compare();

CREATE FUNCTION farewell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM orders WHERE id % 2 = 0;
	INSERT INTO orders VALUES (6000, 1, 1);
	RETURN NULL;
END $$;
CREATE TRIGGER z_farewell BEFORE TRUNCATE ON orders EXECUTE FUNCTION farewell();
BEGIN;
TRUNCATE customers CASCADE;
ROLLBACK;
SELECT * FROM compare();
BEGIN;
INSERT INTO orders VALUES (60, 1, 1);
TRUNCATE orders;
INSERT INTO orders VALUES (62, 1, 1);
COMMIT;
SELECT * FROM compare();

-- what is out of line, and comes and goes as it was
INSERT INTO customers SELECT 40 + i, 'big', (SELECT string_agg(md5((i * 1000 + k)::text), '') FROM generate_series(1, 500) k) FROM generate_series(1, 4) i;
UPDATE customers SET region = 'bigger' WHERE id = 42;
UPDATE customers SET note = note || 'x' WHERE id = 44;
DELETE FROM customers WHERE id = 43;
SELECT * FROM compare();

-- columns
DROP TRIGGER a_next ON orders;
ALTER TABLE customers ADD COLUMN added int DEFAULT 7;
ALTER TABLE customers RENAME COLUMN note TO remark;
ALTER TABLE orders ALTER COLUMN unused TYPE text;
ALTER TABLE orders RENAME TO purchases;
UPDATE customers SET remark = 'renamed', added = id WHERE id % 2 = 0;
INSERT INTO purchases VALUES (70, 1, 3, 'text');
SELECT * FROM compare();
-- what no view has read before
CALL follow('later', 'SELECT added, unused, count(*) FROM live.customers c JOIN live.purchases p ON p.customer = c.id GROUP BY 1, 2');
UPDATE customers SET added = added + 1 WHERE id < 5;
UPDATE purchases SET unused = 'more' WHERE id < 5;
SELECT * FROM compare();
DROP VIEW later, batch.later;
-- the stream of changes has rows with the column as it was
ALTER TABLE purchases ALTER COLUMN unused TYPE int USING length(unused);
UPDATE purchases SET unused = 7 WHERE id % 2 = 0;
CALL follow('later', 'SELECT unused, count(*) FROM live.purchases p GROUP BY 1');
UPDATE purchases SET unused = 8 WHERE id % 3 = 0;
SELECT * FROM compare();
DROP VIEW later, batch.later;
ALTER TABLE purchases DROP COLUMN unused;
ALTER TABLE customers DROP COLUMN added;
-- a column that is never NULL: changes that are kept from before have no value of it
CREATE DOMAIN known AS int NOT NULL CHECK (VALUE > 0);
ALTER TABLE purchases ADD COLUMN grade known DEFAULT 3;
CALL follow('later', 'SELECT grade, count(*), sum(grade) FROM live.purchases p GROUP BY 1');
UPDATE purchases SET grade = 1 + id % 2;
SELECT * FROM compare();
DROP VIEW later, batch.later;
ALTER TABLE purchases DROP COLUMN grade;
UPDATE customers SET remark = 'fewer' WHERE id % 3 = 0;
DELETE FROM purchases WHERE id % 5 = 0;
SELECT * FROM compare();

-- once more from the table
SELECT streaming.reset('joined'), streaming.reset('per_region');
SELECT * FROM compare();

SELECT line FROM streaming.explain('joined') line WHERE line LIKE 'Source%';
SELECT line FROM streaming.explain('pages') line WHERE line LIKE 'Source%';
SELECT string_agg(DISTINCT lag_rows::text, ' ') FROM streaming.stat_views;

\i sql/include/done.sql
