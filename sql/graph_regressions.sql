-- Queries that the compiler has once got wrong: each view shows what its query answers
-- over tables of the same rows, after two batches.
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE SCHEMA rows;
CREATE FOREIGN TABLE a (id int, k int, x int, t text) SERVER streaming;
CREATE FOREIGN TABLE b (id int, k int, x int, t text) SERVER streaming;
CREATE FOREIGN TABLE c (id int, k int, x int, t text) SERVER streaming;
CREATE TABLE rows.a (LIKE a);
CREATE TABLE rows.b (LIKE b);
CREATE TABLE rows.c (LIKE c);
CREATE TABLE d (k int PRIMARY KEY, name text);
INSERT INTO d VALUES (1, 'one'), (2, 'two'), (3, 'three'), (9, 'nine');
CREATE TABLE asked (name text, query text);

CREATE PROCEDURE ask(name text, query text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE VIEW %I WITH (streaming.trigger = ''manual'') AS %s', name, query);
    INSERT INTO asked VALUES (name, query);
END $$;

-- Rows that v has and the query has not, and the other way round.
CREATE FUNCTION differences(v text, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    columns text;
    n bigint;
BEGIN
    PERFORM streaming.drain(v::regclass);
    SELECT string_agg(format('%I::text', attname), ', ') INTO columns FROM pg_attribute WHERE attrelid = v::regclass AND attnum > 0;
    PERFORM set_config('search_path', 'rows, public', true);
    EXECUTE format('CREATE TEMPORARY TABLE expected AS %s', query);
    PERFORM set_config('search_path', 'public', true);
    EXECUTE format('SELECT count(*) FROM ((SELECT %1$s FROM %2$I EXCEPT ALL SELECT %1$s FROM expected)
                                          UNION ALL (SELECT %1$s FROM expected EXCEPT ALL SELECT %1$s FROM %2$I)) x', columns, v) INTO n;
    DROP TABLE expected;
    RETURN n;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING '%: %', v, sqlerrm;
    RETURN -1;
END $$;

-- A condition makes rows equal only where it leaves out the others: not those of the
-- preserved side of an outer join, not those outside of a subquery.
CALL ask('left_preserved', 'SELECT a.id, (SELECT count(*) FROM c LEFT JOIN b ON c.x = a.x AND b.x = a.x) AS n FROM a');
CALL ask('outside_not_exists', 'SELECT a.id, b.id AS bid FROM a, b WHERE NOT EXISTS (SELECT FROM c WHERE a.x = b.x AND c.x = a.x)');
CALL ask('outside_count', 'SELECT a.id, b.id AS bid FROM a, b WHERE (SELECT count(*) FROM c WHERE c.x = a.x AND c.x = b.x) = 0');
CALL ask('left_through', 'SELECT a.id, b.id AS bid, c.id AS cid FROM a LEFT JOIN b ON true LEFT JOIN c ON c.x = a.x AND c.x = b.x');
CALL ask('full_through', 'SELECT a.id, b.id AS bid, c.id AS cid FROM (a CROSS JOIN b) FULL JOIN c ON c.x = a.x AND c.x = b.x');
CALL ask('full_chain', 'SELECT a.id, b.id AS bid, c.id AS cid FROM (a FULL JOIN b ON a.x = b.x) FULL JOIN c ON c.x = a.x');
CALL ask('full_inside', 'SELECT a.id, (SELECT count(*) FROM c FULL JOIN b ON c.x = a.x AND c.x = b.x) AS n FROM a');
-- What a subquery with LIMIT and the like hands out depends on rows of other values.
CALL ask('in_limit', 'SELECT id FROM a WHERE x IN (SELECT x FROM c ORDER BY id, x LIMIT 1)');
CALL ask('in_limit_correlated', 'SELECT id FROM a WHERE x IN (SELECT x FROM c WHERE c.k = a.k ORDER BY id, x LIMIT 1)');
CALL ask('in_distinct_on', 'SELECT id FROM a WHERE x IN (SELECT DISTINCT ON (k) x FROM c ORDER BY k, id, x)');
CALL ask('in_window', 'SELECT id FROM a WHERE (x, 1) IN (SELECT x, rank() OVER (ORDER BY id, x) FROM c WHERE c.k = a.k)');
-- Inputs in expressions alone.
CALL ask('window_of_table', 'SELECT rank() OVER (ORDER BY k) AS r, (SELECT count(*) FROM a) AS n FROM d');
CALL ask('window_of_with', 'WITH t AS (SELECT * FROM d) SELECT rank() OVER (ORDER BY k) AS r, (SELECT count(*) FROM a) AS n FROM t');
CALL ask('limit_of_with', 'WITH t AS (SELECT * FROM d) SELECT k FROM t ORDER BY k LIMIT (SELECT count(*) FROM a WHERE x = 1)');
CALL ask('recursive_with', 'WITH RECURSIVE t(k) AS (SELECT k FROM a UNION SELECT k + 1 FROM t WHERE k < 4) SELECT count(*), sum(k) FROM t');
CALL ask('window_of_nothing', 'SELECT rank() OVER () AS r, (SELECT count(*) FROM a) AS n');
CALL ask('limit_by_input', 'SELECT k FROM d ORDER BY k LIMIT (SELECT count(*) FROM a WHERE x = 1)');
CALL ask('aggregate_of_input', 'SELECT count((SELECT max(x) FROM a)) AS n FROM d');
CALL ask('aggregate_of_inputs', 'SELECT k, sum((SELECT count(*) FROM b WHERE b.x = a.x)) AS n FROM a GROUP BY k HAVING sum((SELECT count(*) FROM b WHERE b.x = a.x)) > 1');
CALL ask('group_by_input', 'SELECT (SELECT max(x) FROM a) AS m, count(*) FROM d GROUP BY (SELECT max(x) FROM a)');
CALL ask('partition_by_table', 'SELECT id, row_number() OVER (PARTITION BY (SELECT name FROM d WHERE d.k = a.k) ORDER BY id, x, k, t) AS r FROM a');
-- A key of GROUPING SETS that is not selected; rows and aggregates of nothing.
CALL ask('unselected_key', 'SELECT k + x AS y, k, count(*) FROM a GROUP BY ROLLUP (k + x, k), CUBE (x)');
CALL ask('mode_of_constant', 'SELECT mode() WITHIN GROUP (ORDER BY ''ok''::text) AS m FROM a');
CALL ask('min_of_constant', 'SELECT min(1) AS m, max(2) AS n FROM a');
CALL ask('min_of_one', 'SELECT min(x) AS m FROM a WHERE x = 1');
CALL ask('volatile_twice', 'SELECT p.m = q.m AS same FROM (SELECT k, max(random()) AS m FROM a GROUP BY k) p JOIN (SELECT k, max(random()) AS m FROM a GROUP BY k) q USING (k)');
CALL ask('one_row', 'SELECT 1 AS one FROM a GROUP BY ()');
CALL ask('total_alone', 'SELECT grouping(k), (SELECT count(*) FROM b WHERE b.k = a.k) AS n, k FROM a GROUP BY CUBE (k)');
-- An output column that has the name of another one of the input.
CALL ask('swapped_distinct', 'SELECT DISTINCT ON (q.x) q.k AS x, q.x AS k FROM a q ORDER BY q.x, q.k, q.id');
CALL ask('swapped_limit', 'SELECT q.k AS x, q.x AS k FROM a q ORDER BY q.x, q.k LIMIT 2');
-- A side of an outer join that is named by a subquery beside it.
CALL ask('lateral_side', 'SELECT a.id, p.id AS bid, c.id AS cid FROM a LEFT JOIN (LATERAL (SELECT b.id, b.k FROM b WHERE b.x = a.x) p JOIN c ON c.k = p.k) ON true');
CALL ask('lateral_beside', 'SELECT a.id, l.z FROM (a LEFT JOIN (b JOIN c ON b.k = c.k) ON a.x = b.x), LATERAL (SELECT b.id + 1 AS z) l');
-- Rows that disappear, joined with a table before they are kept.
CALL ask('changed_table', 'SELECT p.n, p.name, b.id FROM (SELECT z.k, z.n, d.name FROM (SELECT k, count(*) AS n FROM a GROUP BY k) z JOIN d USING (k)) p JOIN b ON b.k = p.k');
-- Names that statements use themselves.
CALL ask('named_delta', 'WITH delta_1 AS (SELECT * FROM d) SELECT q.k, delta_1.name FROM (SELECT DISTINCT k FROM a) q JOIN delta_1 USING (k)');
CALL ask('named_leaf', 'WITH "$leaf_1" AS (SELECT * FROM d) SELECT a.id, b.id AS bid, l.name FROM a JOIN b USING (k) LEFT JOIN "$leaf_1" l USING (k)');
CALL ask('named_count', 'SELECT p."$count" AS x, r."$count" AS z, p."$group" AS g FROM (SELECT k, id AS "$count", x AS "$group" FROM a) p JOIN (SELECT k, id AS "$count" FROM b) r USING (k)');

-- of no rows
SELECT name, n FROM (SELECT name, differences(name, query) AS n FROM asked OFFSET 0) x WHERE n <> 0;

INSERT INTO rows.a VALUES (1, 1, 1, 'p'), (2, 1, 2, 'q'), (3, 2, 1, 'p'), (4, NULL, 3, NULL), (5, 3, NULL, 'r'), (1, 1, 1, 'p');
INSERT INTO rows.b VALUES (1, 1, 1, 'p'), (2, 2, 2, 'u'), (3, 3, 1, 'w'), (6, NULL, 2, 'n');
INSERT INTO rows.c VALUES (3, 1, 1, 'p'), (2, 1, 2, 'u'), (4, 2, 3, 'w'), (6, 3, NULL, 'n');
INSERT INTO a TABLE rows.a;
INSERT INTO b TABLE rows.b;
INSERT INTO c TABLE rows.c;
SELECT name, n FROM (SELECT name, differences(name, query) AS n FROM asked OFFSET 0) x WHERE n <> 0;

UPDATE d SET name = name || '!' WHERE k < 3;
INSERT INTO a VALUES (0, 1, 2, 'a'), (7, 2, 2, 'b'), (2, 3, 3, 'c');
INSERT INTO rows.a VALUES (0, 1, 2, 'a'), (7, 2, 2, 'b'), (2, 3, 3, 'c');
INSERT INTO b VALUES (0, 1, 3, 'a'), (7, 3, 1, 'b');
INSERT INTO rows.b VALUES (0, 1, 3, 'a'), (7, 3, 1, 'b');
INSERT INTO c VALUES (1, 2, 1, 'a'), (1, 1, 3, 'b');
INSERT INTO rows.c VALUES (1, 2, 1, 'a'), (1, 1, 3, 'b');
-- what does not read the table
SELECT name, n FROM (SELECT name, differences(name, query) AS n FROM asked WHERE query !~ '\md\M' OFFSET 0) x WHERE n <> 0;
-- rows of groups that have changed since have the new names
SELECT streaming.drain('changed_table');
SELECT DISTINCT n, name FROM changed_table ORDER BY n, name;

-- Refused: what would not be the same twice.
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT p.r, b.id FROM (SELECT k, random() AS r FROM (SELECT k, count(*) FROM a GROUP BY k) z) p JOIN b ON b.k = p.k;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS WITH w AS (SELECT id, random() AS r FROM a) SELECT p.id FROM w p JOIN w q ON p.r = q.r;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT k FROM a ORDER BY k LIMIT (random() * 2)::int;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT r, k, count(*) FROM (SELECT random() AS r, k FROM a) x GROUP BY ROLLUP (r, k);
-- what no row of a stream has
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT id FROM a WHERE EXISTS (SELECT FROM d WHERE d.k = a.x AND a.ctid IS NOT NULL);
-- and what is evaluated once for each row as it comes is not
CREATE VIEW v WITH (streaming.trigger = 'manual') AS WITH w AS (SELECT k, random() AS r FROM a) SELECT w.k, b.id, r FROM w JOIN b ON b.k = w.k;
DROP FOREIGN TABLE a, b, c CASCADE;
DROP SCHEMA rows CASCADE;
DROP TABLE d, asked;
DROP PROCEDURE ask;
DROP FUNCTION differences;
