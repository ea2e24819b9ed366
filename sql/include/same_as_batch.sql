-- Views beside their queries as a batch: what each stream and view of these tests has a
-- counterpart for in the schema batch, an ordinary table with the same rows or
-- an ordinary view of the same query.

CREATE SCHEMA live;
CREATE SCHEMA batch;
SET search_path = live;
-- what keeps rows for ever says so
SET client_min_messages = warning;

-- A stream and its table.
CREATE PROCEDURE stream(name text, columns text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE %I (%s) SERVER streaming', name, columns);
	EXECUTE format('CREATE TABLE batch.%I (%s)', name, columns);
END $$;

-- Rows for both.
CREATE PROCEDURE feed(name text, rows text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO batch.%I %s', name, rows);
	EXECUTE format('INSERT INTO %I %s', name, rows);
END $$;

-- A view and its counterpart.
CREATE PROCEDURE keep(name text, query text, options text DEFAULT '') LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE VIEW %I WITH (streaming.trigger = manual%s) AS %s', name, options, query);
	SET LOCAL search_path = batch, live;
	EXECUTE format('CREATE VIEW batch.%I AS %s', name, query);
	SET LOCAL search_path = live;
END $$;

-- A number below n, or NULL for one in eight; the same in each run.
CREATE FUNCTION pick(i int, seed int, n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN hash % 8 > 0 THEN (hash / 8 % n)::int END
	FROM abs(hashint8extended(i, seed) / 2) AS hash
$$;

-- Takes in what has come, in the order in which the views were made. Rows as the
-- view has them, and those that it has too many of and too few.
CREATE FUNCTION compare(OUT view name, OUT rows bigint, OUT extra bigint, OUT missing bigint)
RETURNS SETOF record LANGUAGE plpgsql AS $$
DECLARE
	columns text;
BEGIN
	FOR view IN
		SELECT c.relname FROM streaming.views v JOIN pg_class c ON c.oid = v.view
		WHERE c.relnamespace = 'live'::regnamespace ORDER BY c.oid
	LOOP
		PERFORM streaming.drain(view::text::regclass);
	END LOOP;
	FOR view IN
		SELECT c.relname FROM streaming.views v JOIN pg_class c ON c.oid = v.view
		WHERE c.relnamespace = 'live'::regnamespace ORDER BY c.relname
	LOOP
		SELECT string_agg(quote_ident(attname) || '::text', ', ' ORDER BY attnum) INTO columns
		FROM pg_attribute WHERE attrelid = format('batch.%I', view)::regclass AND attnum > 0;
		EXECUTE format('SELECT count(*) FROM %I', view) INTO rows;
		EXECUTE format('SELECT count(*) FROM (SELECT %2$s FROM %1$I EXCEPT ALL SELECT %2$s FROM batch.%1$I) d', view, columns) INTO extra;
		EXECUTE format('SELECT count(*) FROM (SELECT %2$s FROM batch.%1$I EXCEPT ALL SELECT %2$s FROM %1$I) d', view, columns) INTO missing;
		RETURN NEXT;
	END LOOP;
END $$;

-- How a view is kept, without the statements.
CREATE FUNCTION plan(view regclass) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT regexp_replace(line, '\m(result|state|bag|rows|changes)_\d+', '\1_N', 'g')
	FROM streaming.explain(view) line WHERE line !~ '^ *(SQL|Recompute|First batch|Join|First match|Last match|Unmatched|Prune|Step)( \d+)?:'
$$;
