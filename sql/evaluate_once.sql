-- What WHERE and the select list have in common is computed once, where that is dear.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('s', 'id int, k int, t text');
CREATE TABLE names (k int, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two');

-- the statement that the view runs
CREATE FUNCTION statement(view regclass) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(substring(string_agg(line, ' ') FROM 'SQL: (.*?)\s+Cost:'), '\s+', ' ', 'g') FROM streaming.explain(view) line
$$;

CALL keep('found', 'SELECT id, (regexp_match(t, ''a(\d+)''))[1] AS n FROM s WHERE (regexp_match(t, ''a(\d+)''))[1] IS NOT NULL AND k > 1');
CALL keep('either', 'SELECT id, upper(substr(t, 2)) AS u, length(substr(t, 2)) AS n FROM s WHERE upper(substr(t, 2)) LIKE ''%1%'' OR k = 2');
CALL keep('through', 'SELECT v, replace(v, ''1'', ''i'') AS r FROM (SELECT id, t || k AS v FROM s WHERE k < 6) q WHERE replace(v, ''1'', ''i'') <> ''a2''');
-- not what WHERE computes of some rows only, nor what is cheap
CALL keep('guarded', 'SELECT id, 10 / length(ltrim(t, ''b'')) AS n FROM s WHERE k = 1 AND (length(ltrim(t, ''b'')) = 1 OR 10 / length(ltrim(t, ''b'')) > 2)');
CALL keep('ordered', 'SELECT id, 10 / length(ltrim(t, ''ab'')) AS n FROM s WHERE length(ltrim(t, ''ab'')) > 0 AND 10 / length(ltrim(t, ''ab'')) > 5');
CALL keep('within', 'SELECT id, ltrim(t, ''a'') AS n FROM s WHERE CASE WHEN k > 3 THEN ltrim(t, ''a'') > ''2'' ELSE true END');
CALL keep('cheap', 'SELECT id, abs(k) AS n FROM s WHERE abs(k) > 2');
CALL keep('row_itself', 'SELECT s, ltrim(t, ''a'') AS n FROM s WHERE ltrim(t, ''a'') <> ''''');
CALL keep('beside_table', 'SELECT id, ltrim(t, ''a'') AS n, name FROM s JOIN names USING (k) WHERE ltrim(t, ''a'') <> ''''');

SELECT view, statement(view::text::regclass) ~ 'OFFSET' AS once FROM streaming.views WHERE view::text ~ '^(live\.)?(found|either|through|guarded|ordered|within|cheap|row_itself|beside_table)$' ORDER BY view::text;
SELECT statement('found');
SELECT statement('either');
SELECT statement('guarded');
SELECT statement('ordered');

CALL feed('s', 'SELECT i, pick(i, 1, 8), chr(97 + pick(i, 2, 3)) || pick(i, 3, 40) FROM generate_series(1, 200) i');
SELECT * FROM compare();
CALL feed('s', 'SELECT i, 2, t FROM generate_series(201, 203) i, (VALUES (NULL), (''''), (''a1'')) v(t)');
SELECT * FROM compare();

-- Of subqueries that share partitions columns that nobody names are not kept.
CALL stream('b', 'bidder int, at int, price int, extra text, url text');
CALL keep('sessions', 'SELECT bidder, count(*) AS n, min(at) AS first FROM (SELECT *, sum(gap) OVER (PARTITION BY bidder ORDER BY at, price) AS session FROM (SELECT *, CASE WHEN at - lag(at) OVER (PARTITION BY bidder ORDER BY at, price) <= 10 THEN 0 ELSE 1 END AS gap FROM b) x) y GROUP BY bidder, session');
CALL keep('whole', 'SELECT to_jsonb(y) AS y FROM (SELECT *, row_number() OVER (PARTITION BY bidder ORDER BY at, price) AS n FROM (SELECT *, lag(at) OVER (PARTITION BY bidder ORDER BY at, price) AS before FROM b) x) y WHERE n <= 2');
SELECT v.view, count(*) FILTER (WHERE attname ~ '^c\d+$') AS columns
FROM streaming_internal.continuous_view v JOIN pg_class c ON c.relname = format('rows_%s_1_1', v.id) JOIN pg_attribute a ON attrelid = c.oid AND NOT attisdropped
WHERE v.view IN ('sessions'::regclass, 'whole'::regclass) GROUP BY v.view ORDER BY v.view::regclass::text;
CALL feed('b', 'SELECT pick(i, 1, 5), pick(i, 2, 300), i, ''x'', ''y'' FROM generate_series(1, 200) i');
SELECT * FROM compare() WHERE view IN ('sessions', 'whole');
CALL feed('b', 'SELECT pick(i, 1, 7), pick(i, 2, 600), i, NULL, ''y'' FROM generate_series(200, 300) i');
SELECT * FROM compare() WHERE view IN ('sessions', 'whole');

\set include :source '/sql/include/done.sql'
\i :include
