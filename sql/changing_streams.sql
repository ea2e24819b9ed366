-- Streams whose records change rows: a view over them is its query over the table that they describe.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/changing_streams'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');

CREATE FOREIGN TABLE people (id int, name text, city text, age int)
    SERVER landing OPTIONS (path 'people*.json', changes 'upsert', key 'id');
CREATE FOREIGN TABLE prices (shop text, item int, price numeric, file text OPTIONS (metadata 'path'))
    SERVER landing OPTIONS (path 'prices*.csv', format 'csv', changes 'upsert', key 'item, shop');
CREATE FOREIGN TABLE orders (id int, person int OPTIONS (field 'person_id'), item int, amount numeric)
    SERVER landing OPTIONS (path 'orders*.json', changes 'debezium', key 'id');
CREATE TABLE batch.people (id int PRIMARY KEY, name text, city text, age int);
CREATE TABLE batch.prices (shop text, item int, price numeric, PRIMARY KEY (shop, item));
CREATE TABLE batch.orders (id int PRIMARY KEY, person int, item int, amount numeric);

-- A history, the same in each run: what is done, and to which rows.
CREATE TABLE history AS
SELECT n, CASE WHEN n % 400 = 0 THEN 't' WHEN pick(n, 1, 5) = 0 THEN 'd' ELSE 'p' END AS what,
    coalesce(pick(n, 2, 60), 0) AS k, pick(n, 3, 8) AS a, pick(n, 4, 5) AS b, pick(n, 5, 100) AS c
FROM generate_series(1, 1000) AS n;

CREATE PROCEDURE apply(first int, last int) LANGUAGE plpgsql AS $$
DECLARE
	h history;
BEGIN
	FOR h IN SELECT * FROM history WHERE n BETWEEN first AND last ORDER BY n LOOP
		INSERT INTO batch.people VALUES (h.k, 'p' || h.a, 'c' || h.b, h.c) ON CONFLICT (id)
			DO UPDATE SET name = excluded.name, city = excluded.city, age = excluded.age;
		INSERT INTO batch.prices VALUES ('s' || h.k % 5, h.k / 5, h.c / 10.0) ON CONFLICT (shop, item)
			DO UPDATE SET price = excluded.price;
		IF h.what = 't' THEN
			TRUNCATE batch.orders;
		ELSIF h.what = 'd' THEN
			DELETE FROM batch.orders WHERE id = h.k;
		ELSE
			INSERT INTO batch.orders VALUES (h.k, h.c % 70, h.b, h.c) ON CONFLICT (id)
				DO UPDATE SET person = excluded.person, item = excluded.item, amount = excluded.amount;
		END IF;
	END LOOP;
END $$;

-- As Debezium writes it: with schemas or without, rows before or only their key, tombstones as null.
CREATE FUNCTION envelope(h history) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN h.n % 3 = 0 THEN json_build_object('schema', json_build_object('type', 'struct', 'optional', false), 'payload', e)
		ELSE e END::text
	FROM json_build_object('before', CASE WHEN h.what = 'd' THEN json_build_object('id', h.k, 'person_id', NULL) END,
		'after', CASE WHEN h.what = 'p' THEN json_build_object('id', h.k, 'person_id', h.c % 70, 'item', h.b, 'amount', h.c::text) END,
		'source', json_build_object('connector', 'postgresql', 'lsn', h.n, 'snapshot', 'false'),
		'op', CASE WHEN h.what <> 'p' THEN h.what ELSE (ARRAY['c', 'u', 'r'])[h.n % 3 + 1] END, 'ts_ms', 1767225600000 + h.n) AS e
$$;

-- Views: the rows themselves, filters, aggregates that are combined and that are not, joins, subqueries, windows.
CALL keep('everyone', 'SELECT * FROM people');
CALL keep('names', 'SELECT upper(name) AS name, age / 2 AS half FROM people WHERE age > 20');
CALL keep('cities', 'SELECT city, count(*) AS n, sum(age) AS age, max(age) AS oldest, count(DISTINCT name) AS names FROM people GROUP BY city');
CALL keep('names_of', 'SELECT city, string_agg(name, '','' ORDER BY name, id) AS names FROM people GROUP BY city HAVING count(*) > 1');
CALL keep('cheapest', 'SELECT item, min(price) AS price, avg(price) AS average FROM prices GROUP BY item');
CALL keep('priced', 'SELECT shop, item, price FROM prices');
CALL keep('all_orders', 'SELECT * FROM orders');
CALL keep('totals', 'SELECT count(*) AS n, sum(amount) AS amount FROM orders');
CALL keep('joined', 'SELECT o.id, p.name, p.city, o.amount FROM orders o JOIN people p ON p.id = o.person');
CALL keep('without', 'SELECT p.id, p.name, o.amount FROM people p LEFT JOIN orders o ON o.person = p.id');
CALL keep('lazy', 'SELECT id FROM people p WHERE NOT EXISTS (SELECT FROM orders o WHERE o.person = p.id)');
CALL keep('twice', 'SELECT a.city, count(*) AS pairs FROM people a JOIN people b ON a.city = b.city AND a.id < b.id GROUP BY a.city');
CALL keep('ranked', 'SELECT * FROM (SELECT shop, item, price, row_number() OVER (PARTITION BY item ORDER BY price, shop) AS r FROM prices) x WHERE r <= 2');
CALL keep('both', 'SELECT city AS what, count(*) AS n FROM people GROUP BY 1 UNION ALL SELECT item::text, count(*) FROM orders GROUP BY 1');
CALL keep('oldest', 'SELECT id, age FROM people ORDER BY age DESC NULLS LAST, id LIMIT 3');
CALL keep('above', 'SELECT n, count(*) AS cities FROM cities GROUP BY n');
CALL keep('above_rows', 'SELECT city, count(*) AS n FROM everyone GROUP BY city');

-- Files come, and more of them, in small batches and in larger ones.
ALTER VIEW joined SET (streaming.max_rows_per_trigger = 7);
ALTER VIEW cities SET (streaming.max_rows_per_trigger = 23);
CREATE TABLE parts (part int, first int, last int);
INSERT INTO parts VALUES (1, 1, 10), (2, 11, 11), (3, 12, 450), (4, 451, 1000);
\set include :source '/sql/include/changing_streams_part.sql'
\set part 1
\i :include
\set part 2
\i :include
\set part 3
\i :include
\set part 4
\i :include

-- SELECT from a stream has the same rows.
SELECT (SELECT count(*) FROM people) AS people, (SELECT count(*) FROM prices) AS prices, (SELECT count(*) FROM orders) AS orders;
(SELECT * FROM people EXCEPT ALL SELECT * FROM batch.people) UNION ALL (SELECT * FROM batch.people EXCEPT ALL SELECT * FROM people);
(SELECT shop, item, price FROM prices EXCEPT ALL SELECT * FROM batch.prices) UNION ALL (SELECT * FROM batch.prices EXCEPT ALL SELECT shop, item, price FROM prices);
(SELECT * FROM orders EXCEPT ALL SELECT * FROM batch.orders) UNION ALL (SELECT * FROM batch.orders EXCEPT ALL SELECT * FROM orders);
SELECT count(DISTINCT file) AS files FROM prices;
SELECT p.id, (SELECT count(*) FROM orders o WHERE o.person = p.id) AS orders FROM people p WHERE id < 3 ORDER BY id;

-- A row a key is kept, and of it what the query reads.
SELECT view, state_rows, unknown_keys > 0 AS unknown FROM streaming.stat_views WHERE view::text IN ('everyone', 'names', 'all_orders', 'totals') ORDER BY view::text;
SELECT * FROM plan('names');
SELECT * FROM plan('totals');
SELECT stage, kind, state_rows FROM streaming.stat_operators WHERE view = 'totals'::regclass ORDER BY stage;

-- Begun anew.
SELECT streaming.reset('joined'), streaming.reset('all_orders'), streaming.reset('everyone');
SELECT * FROM compare() WHERE view IN ('joined', 'all_orders', 'everyone', 'above_rows');

-- The same again changes nothing.
CREATE VIEW counted WITH (streaming.trigger = 'manual') AS SELECT id, name FROM people WHERE id < 5;
SELECT streaming.drain('counted') > 0;
SELECT output_rows AS before FROM streaming.stat_views WHERE view = 'counted'::regclass \gset
COPY (SELECT json_build_object('id', id, 'name', name, 'city', city, 'age', age) FROM batch.people, generate_series(1, 3))
    TO PROGRAM :'people' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
\set again 'mv \'' :dir '/people4.json\' \'' :dir '/people5.json\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'again';
SELECT streaming.drain('counted') > 0;
SELECT output_rows - :before AS changed FROM streaming.stat_views WHERE view = 'counted'::regclass;

-- Into a table: rows that go leave it.
CREATE TABLE kept (id int PRIMARY KEY, amount numeric);
CREATE VIEW into_kept WITH (streaming.sink = 'kept', streaming.trigger = 'manual', streaming.max_rows_per_trigger = 50) AS SELECT id, amount FROM orders WHERE item > 0;
CREATE TABLE kept_at_once (id int PRIMARY KEY, amount numeric);
INSERT INTO kept_at_once VALUES (-1, 1);
CREATE VIEW at_once WITH (streaming.sink = 'kept_at_once', streaming.trigger = 'manual') AS SELECT id, amount FROM orders WHERE item > 0;
SELECT streaming.drain('into_kept') > 0, streaming.drain('at_once') > 0;
(SELECT * FROM kept EXCEPT ALL SELECT id, amount FROM batch.orders WHERE item > 0)
UNION ALL (SELECT id, amount FROM batch.orders WHERE item > 0 EXCEPT ALL SELECT * FROM kept);
(SELECT * FROM kept EXCEPT ALL SELECT * FROM kept_at_once) UNION ALL (SELECT * FROM kept_at_once EXCEPT ALL SELECT * FROM kept);

-- Records without a key, and keys that are equal and written otherwise.
CREATE FOREIGN TABLE few (k numeric, v int) SERVER landing OPTIONS (path 'few.csv', format 'csv', changes 'upsert', key 'k', on_error 'null');
\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/few.csv\''
COPY (VALUES ('1.0', '1'), ('2', 'bad'), ('', '3'), ('word', '4'), ('1.00', '5')) TO PROGRAM :'put' (FORMAT csv);
CREATE VIEW fewer WITH (streaming.trigger = 'manual') AS SELECT * FROM few;
SELECT streaming.drain('fewer');
SELECT * FROM fewer ORDER BY k;
SELECT * FROM few ORDER BY k;
-- as the scan has them: no more columns than the stream
SELECT * FROM few WHERE k = 1;
SELECT convert_from(payload, 'UTF8') AS record, sqlstate, column_name, error FROM streaming.rejected_rows WHERE stream = 'few'::regclass ORDER BY position;

-- Refused.
CREATE FOREIGN TABLE bad (id int) SERVER landing OPTIONS (path 'x', changes 'insert', key 'id');
CREATE FOREIGN TABLE bad (id int) SERVER landing OPTIONS (path 'x', changes 'upsert');
CREATE FOREIGN TABLE bad (id int) SERVER landing OPTIONS (path 'x', changes 'upsert', key 'no');
CREATE FOREIGN TABLE bad (id int) SERVER landing OPTIONS (path 'x', key 'id');
CREATE FOREIGN TABLE bad (id json) SERVER landing OPTIONS (path 'x', changes 'upsert', key 'id');
CREATE FOREIGN TABLE bad (id int) SERVER landing OPTIONS (path 'x', format 'csv', changes 'debezium', key 'id');
CREATE FOREIGN TABLE bad (id int, at timestamptz OPTIONS (watermark '1 minute')) SERVER landing OPTIONS (path 'x', changes 'upsert', key 'id');
CREATE FOREIGN TABLE bad (id int) SERVER streaming OPTIONS (changes 'upsert');
CREATE VIEW v WITH (streaming.continuous) AS SELECT people FROM people;
CREATE VIEW v WITH (streaming.continuous) AS SELECT tableoid, id FROM people;
CREATE VIEW v WITH (streaming.continuous) AS SELECT ctid FROM people;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT id FROM people;
CREATE VIEW v WITH (streaming.output_mode = 'append') AS SELECT count(*) FROM people;
CREATE VIEW v WITH (streaming.continuous) AS SELECT id, now() FROM people;
ALTER FOREIGN TABLE people OPTIONS (SET changes 'append');
ALTER FOREIGN TABLE people OPTIONS (SET key 'name');
ALTER FOREIGN TABLE people DROP COLUMN id;
INSERT INTO orders VALUES (1);
INSERT INTO people VALUES (NULL, 'nobody');

\set ECHO none
\set include :source '/sql/include/done.sql'
\i :include
\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
DROP SERVER landing CASCADE;
