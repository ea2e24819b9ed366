-- Rows as values, and tableoid: of streams, views and subqueries.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, gone int, k int, x text');
ALTER FOREIGN TABLE a DROP COLUMN gone;
ALTER TABLE batch.a DROP COLUMN gone;
CALL stream('b', 'id int, k int, y int');
CREATE TABLE names (k int, name text);
INSERT INTO names SELECT i, 'name ' || i FROM generate_series(0, 4) i;

-- of one input
CALL keep('alone', 'SELECT a, row_to_json(a) AS j, tableoid::regclass::text ~ ''a'' AS same FROM a WHERE a IS NOT NULL');
CALL keep('distinct_rows', 'SELECT DISTINCT b FROM b');
CALL keep('groups', 'SELECT k, count(*) AS n, max(y) AS y FROM b GROUP BY k');
CALL keep('of_view', 'SELECT groups, row_to_json(groups)::text AS j FROM groups WHERE n > 1');
CALL keep('of_subquery', 'SELECT row_to_json(q)::text AS j, q.n FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q');
CALL keep('count_of_view', 'SELECT n, count(groups) AS rows, jsonb_agg(to_jsonb(groups) ORDER BY k) AS j FROM groups GROUP BY n');
CALL keep('with_table', 'SELECT to_jsonb(q) AS q, names FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q JOIN names USING (k)');
CALL keep('nulls', 'SELECT q IS NULL AS n, q IS NOT NULL AS nn FROM (SELECT max(k) AS k, max(y) AS y FROM b WHERE id < 0) q');
CALL keep('above_view', 'SELECT to_jsonb(q) AS q FROM (SELECT k, y FROM groups WHERE n > 1) q WHERE q IS NOT NULL');
-- in joins
CALL keep('joined', 'SELECT a, b.id AS b FROM a JOIN b USING (k)');
CALL keep('joined_json', 'SELECT row_to_json(a)::text AS a, to_jsonb(b) AS b FROM a JOIN b ON a.k = b.k AND a.x IS NOT NULL');
CALL keep('filled', 'SELECT a.id, b, b IS NULL AS is_null, to_jsonb(b) AS j FROM a LEFT JOIN b USING (k)');
CALL keep('counted', 'SELECT a.k, count(b) AS met, count(b.*) AS met_too, count(*) AS n FROM a LEFT JOIN b USING (k) GROUP BY a.k');
CALL keep('full_rows', 'SELECT a, b FROM a FULL JOIN b ON a.id = b.id');
CALL keep('table_oids', 'SELECT a.id, a.tableoid::regclass::text ~ ''a$'' AS a, b.tableoid::regclass::text ~ ''b$'' AS b FROM a LEFT JOIN b ON a.id = b.k');
CALL keep('with_view', 'SELECT a.id, groups, to_jsonb(groups) AS j FROM a LEFT JOIN groups ON groups.n = a.k');
CALL keep('with_subquery', 'SELECT a.id, to_jsonb(q) AS q, q IS NULL AS is_null FROM a LEFT JOIN (SELECT k, count(*) AS n FROM b GROUP BY k) q ON q.n = a.k');
CALL keep('in_sublinks', 'SELECT a.id, (SELECT jsonb_agg(to_jsonb(b) ORDER BY b.id) FROM b WHERE b.k = a.k) AS bs, EXISTS (SELECT FROM b WHERE b.id = a.id AND a IS NOT NULL) AS e FROM a');
CALL keep('laterals', 'SELECT a, l.b FROM a CROSS JOIN LATERAL (SELECT b FROM b WHERE b.k = a.k ORDER BY b.id DESC LIMIT 1) l');
CALL keep('ranked', 'SELECT a, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM a');
CALL keep('latest', 'SELECT DISTINCT ON (k) b FROM b ORDER BY k, id DESC');
CALL keep('three', 'SELECT a, b, c.name FROM a JOIN b USING (k) LEFT JOIN names c ON c.k = b.y');
CALL keep('same_rows', 'SELECT p.id FROM b p JOIN b q ON p = q');
CALL keep('oids_alone', 'SELECT k, count(DISTINCT tableoid) AS n FROM a GROUP BY k');
-- of subqueries, where a level keeps what is made of them
CALL keep('agg_ordered', 'SELECT jsonb_agg(q ORDER BY q.k) AS j FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q');
CALL keep('agg_named', 'SELECT q.n, json_agg(q ORDER BY q.key)::text AS j FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q(key, n) GROUP BY q.n');
CALL keep('other_names', 'SELECT to_jsonb(q) AS j FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q(key, number)');
CALL keep('same_name', 'SELECT to_jsonb(q) AS j FROM (SELECT y AS r, k AS rr, row_number() OVER (PARTITION BY k ORDER BY id) AS n FROM b) q');
CALL keep('agg_values', 'SELECT k, jsonb_object_agg(q.id, q) AS j, count(q) AS n FROM (SELECT id, k, y FROM b) q GROUP BY k HAVING max(q::text) > ''('' ');
CALL keep('agg_met', 'SELECT a.k, count(q) AS met, jsonb_agg(to_jsonb(q) -> ''n'' ORDER BY a.id) AS j, count(*) AS n FROM a LEFT JOIN (SELECT k, count(*) AS n FROM b GROUP BY k) q ON q.k = a.k AND q.n > 3 GROUP BY a.k');
CALL keep('agg_lines', 'SELECT a.k, json_agg(q ORDER BY a.id)::text AS j FROM a LEFT JOIN (SELECT k, count(*) AS n FROM b GROUP BY k) q ON q.k = a.k AND q.n > 3 GROUP BY a.k');
CALL keep('over_lines', 'SELECT q.k, json_agg(q) OVER (ORDER BY q.k)::text AS j FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q');
CALL keep('agg_lateral', 'SELECT a.k, jsonb_agg(l ORDER BY a.id, l.id) AS j FROM a, LATERAL (SELECT b.id, a.x FROM b WHERE b.k = a.k ORDER BY b.id DESC LIMIT 2) l GROUP BY a.k');
CALL keep('distinct_pairs', 'SELECT k, count(DISTINCT (y, k)) AS n, count(DISTINCT ROW(id % 3, ''x'' || y, NULL::text)) FILTER (WHERE y > 1) AS m FROM b GROUP BY k HAVING count(DISTINCT (k, id)) > 1');
CALL keep('distinct_text', 'SELECT DISTINCT q::text AS t FROM (SELECT k, y FROM b) q');
CALL keep('numbered', 'SELECT to_jsonb(q) AS j, row_number() OVER (PARTITION BY k ORDER BY n) AS r FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q');
CALL keep('over_window', 'SELECT q.k, jsonb_agg(q) OVER (ORDER BY q.k) AS j FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q');
CALL keep('top_json', 'SELECT to_jsonb(q) AS j FROM (SELECT k, count(*) AS n FROM b GROUP BY k) q ORDER BY q.n DESC, q.k LIMIT 2');

CALL feed('a', 'SELECT i, pick(i, 1, 6), ''x'' || pick(i, 2, 5) FROM generate_series(1, 25) i');
SELECT * FROM compare();
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(1, 20) i');
SELECT * FROM compare();
CALL feed('a', 'SELECT i, pick(i, 1, 6), ''x'' || pick(i, 2, 5) FROM generate_series(20, 32) i');
CALL feed('b', 'SELECT i, pick(i, 3, 6), pick(i, 4, 5) FROM generate_series(15, 28) i');
SELECT * FROM compare();
SELECT * FROM filled ORDER BY id, b LIMIT 3;

-- rows with compressed fields, which are made, and taken back in the same batch
CALL stream('l', 'id int, t text');
CALL keep('long', 'SELECT l, a.k FROM l LEFT JOIN a USING (id)');
CALL keep('long_in_arrays', 'SELECT ARRAY[l] AS ls, a.k FROM l LEFT JOIN a USING (id)');
CALL feed('l', 'SELECT i, repeat(''ab'', 3000) FROM generate_series(30, 36) i');
CALL feed('a', 'SELECT i, pick(i, 1, 6), ''x'' FROM generate_series(33, 38) i');
SELECT * FROM compare() WHERE view ~ 'long';
DROP VIEW long, long_in_arrays;

-- what a view keeps as a row stays as it is; others may change
ALTER FOREIGN TABLE b ADD COLUMN more int;
ALTER FOREIGN TABLE a DROP COLUMN x;
SET client_min_messages = error;
DROP VIEW alone, joined, full_rows, laterals, ranked, three CASCADE;
ALTER FOREIGN TABLE a DROP COLUMN x CASCADE;
CREATE VIEW still WITH (streaming.trigger = manual) AS SELECT to_jsonb(a) AS a, b.id AS b FROM a JOIN b USING (k);
ALTER FOREIGN TABLE a ADD COLUMN more int;
ALTER FOREIGN TABLE a DROP COLUMN id;
DROP VIEW still;

\set include :source '/sql/include/done.sql'
\i :include
