-- ORDER BY of a view is the order in which it is read.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('a', 'id int, k int, x numeric, t text');
CALL keep('by_number', 'SELECT id, x FROM a ORDER BY x DESC NULLS LAST, id');
CALL keep('by_position', 'SELECT t, id FROM a ORDER BY 1 NULLS FIRST, 2 DESC');
CALL keep('by_using', 'SELECT id FROM a ORDER BY id USING >');
CALL keep('by_aggregate', 'SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY n DESC, k');
CALL keep('by_both', 'SELECT k FROM a UNION SELECT id FROM a ORDER BY k DESC');
CALL keep('by_window', 'SELECT id, row_number() OVER (ORDER BY x, id) AS n FROM a ORDER BY n');
CALL keep('by_limit', 'SELECT id, x FROM a ORDER BY x, id DESC LIMIT 5');

CALL keep('by_expression', 'SELECT k % 2 AS odd, id FROM a ORDER BY k % 2 NULLS LAST, id');

-- an aggregate without an order of its own has that of its subquery
CALL keep('agg_json', 'SELECT json_agg(q)::text AS j FROM (SELECT k, id FROM a ORDER BY k DESC NULLS LAST, id) q');
CALL keep('agg_by_hidden', 'SELECT array_agg(id) AS ids, string_agg(k::text, '','') AS ks, count(*) AS n FROM (SELECT k, id FROM a ORDER BY id % 4, id DESC, k) q(k, id)');
CALL keep('agg_groups', 'SELECT array_agg(n) FILTER (WHERE n > 1) AS ns FROM (SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY max(id), k) q');
CALL keep('agg_top', 'SELECT jsonb_agg(p) AS j FROM (SELECT k, max(id) AS m FROM a GROUP BY k ORDER BY k DESC NULLS LAST LIMIT 2) p');

-- views whose rows are read in another order than the query's
CREATE FUNCTION disordered() RETURNS TABLE (view name) LANGUAGE plpgsql AS $$
DECLARE
	same bool;
BEGIN
	FOR view IN SELECT relname FROM pg_class WHERE relnamespace = 'batch'::regnamespace AND relkind = 'v' ORDER BY oid
	LOOP
		EXECUTE format('SELECT ARRAY(SELECT v::text FROM %1$I v) = ARRAY(SELECT v::text FROM batch.%1$I v)', view) INTO same;
		IF same IS NOT true THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END $$;

CALL feed('a', 'SELECT i, pick(i, 1, 5), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(1, 25) i');
SELECT * FROM compare();
SELECT * FROM disordered();
-- the groups that are there, and others
CALL feed('a', 'SELECT i, pick(i, 1, 8), pick(i, 2, 7), chr(97 + pick(i, 3, 4)) FROM generate_series(20, 45) i');
SELECT * FROM compare();
SELECT * FROM disordered();
CALL feed('a', 'SELECT i, 7, -1, NULL FROM generate_series(46, 47) i');
SELECT * FROM compare();
SELECT * FROM disordered();

SELECT * FROM by_aggregate;
-- the order ends with the first key that is no column of the result
CREATE VIEW by_hidden WITH (streaming.trigger = 'manual') AS SELECT id FROM a ORDER BY x, id;
CREATE VIEW by_hidden_aggregate WITH (streaming.trigger = 'manual') AS SELECT k FROM a GROUP BY k ORDER BY sum(x), k;
CREATE VIEW by_first WITH (streaming.trigger = 'manual') AS SELECT id FROM a ORDER BY id, x;
SELECT view, pg_get_viewdef(view) ~ 'ORDER BY' AS ordered FROM streaming.views
WHERE view IN ('by_number'::regclass, 'by_hidden', 'by_hidden_aggregate', 'by_first') ORDER BY view::text;
DROP VIEW by_hidden, by_hidden_aggregate, by_first;
SELECT * FROM plan('by_number');
-- of a subquery there is none to keep
CALL keep('below', 'SELECT k, count(*) AS n FROM (SELECT k FROM a ORDER BY x) o GROUP BY k');
SELECT * FROM compare() WHERE view = 'below';
SELECT * FROM plan('below');

\set include :source '/sql/include/done.sql'
\i :include
