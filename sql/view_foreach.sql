-- streaming.foreach: a function for each row, between foreach_open and foreach_close.
CREATE FOREIGN TABLE sales (shop text, item int, amount int) SERVER streaming;
CREATE TABLE calls (id int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION note(what text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.calls (what) VALUES (what)';
CREATE FUNCTION sold(sale record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF sale.amount > 1000 THEN
        RAISE EXCEPTION 'cannot sell %', sale.amount;
    END IF;
    PERFORM public.note('row ' || to_json(sale));
END
$$;
CREATE FUNCTION begin_batch(partition_id bigint, version bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.note(format('open %s, %s', partition_id, version));
    RETURN version <> 2;
END
$$;
CREATE FUNCTION end_batch(error text) RETURNS void LANGUAGE sql AS
    $$SELECT public.note('close ' || coalesce(error, 'well'))$$;

-- append; no row is passed where open returns false, and close is called
CREATE VIEW sold_rows WITH (streaming.trigger = 'manual', streaming.foreach = 'sold',
    streaming.foreach_open = 'public.begin_batch', streaming.foreach_close = 'end_batch') AS
    SELECT shop, amount FROM sales WHERE amount > 0;
INSERT INTO sales VALUES ('north', 1, 10), ('south', 2, -1), ('south', 2, NULL), ('west', 3, 7);
SELECT streaming.drain('sold_rows');
INSERT INTO sales VALUES ('north', 1, 5);
SELECT streaming.drain('sold_rows');
INSERT INTO sales VALUES ('north', 1, -5);
SELECT streaming.drain('sold_rows');
SELECT what FROM calls ORDER BY id;
SELECT view, sink, output_mode, status FROM streaming.views;
SELECT * FROM sold_rows;
SELECT line FROM streaming.explain('sold_rows') line WHERE line NOT LIKE '%SQL:%';

-- a function that fails fails the batch: nothing of it stays, and it is tried again
TRUNCATE calls;
INSERT INTO sales VALUES ('north', 1, 1), ('west', 3, 2000);
SELECT streaming.drain('sold_rows');
SELECT status, last_error FROM streaming.views WHERE view = 'sold_rows'::regclass;
SELECT what FROM calls ORDER BY id;
CREATE OR REPLACE FUNCTION sold(sale record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.note('any ' || sale::text);
END
$$;
SELECT streaming.drain('sold_rows');
SELECT what FROM calls ORDER BY id;
SELECT status, last_error FROM streaming.views WHERE view = 'sold_rows'::regclass;

-- PostgreSQL keeps the function: renamed, not dropped
ALTER FUNCTION sold RENAME TO "Sold again";
SELECT sink FROM streaming.views;
DROP FUNCTION "Sold again";
DROP FUNCTION end_batch;
CREATE SCHEMA other;
ALTER FUNCTION "Sold again" SET SCHEMA other;
INSERT INTO sales VALUES ('east', 9, 9);
SELECT streaming.drain('sold_rows');
SELECT what FROM calls WHERE what LIKE '%east%';
SELECT sink FROM streaming.views;

-- reset: rows are delivered again as far as the stream has them, versions begin again
SELECT streaming.reset('sold_rows');
TRUNCATE calls;
INSERT INTO sales VALUES ('far', 1, 1);
SELECT streaming.drain('sold_rows') > 0;
SELECT what FROM calls WHERE what LIKE 'open%' OR what LIKE '%far%' ORDER BY id;
SET client_min_messages = warning;
DROP SCHEMA other CASCADE;
RESET client_min_messages;
SELECT count(*) FROM streaming.views;
SELECT count(*) FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind = 'v';

-- update: rows as they are now; those that leave the result go to a second argument
TRUNCATE calls;
DROP FOREIGN TABLE sales;
CREATE FOREIGN TABLE sales (shop text, amount int) SERVER streaming;
CREATE TYPE total AS (shop text, total bigint);
CREATE FUNCTION changed(t total) RETURNS total LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.note('now ' || (t.shop, t.total));
    RETURN t;
END
$$;
CREATE FUNCTION changed_or_gone(t record, removed boolean) RETURNS int STRICT LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.note(CASE WHEN removed THEN 'gone ' ELSE 'here ' END || t::text);
    RETURN 1;
END
$$;
CREATE VIEW totals WITH (streaming.trigger = 'manual', streaming.foreach = 'changed') AS
    SELECT shop, sum(amount) AS total FROM sales GROUP BY shop HAVING sum(amount) > 0;
CREATE VIEW totals_gone WITH (streaming.trigger = 'manual', streaming.foreach = 'changed_or_gone') AS
    SELECT shop, sum(amount) AS total FROM sales GROUP BY shop HAVING sum(amount) > 0;
CREATE VIEW totals_all WITH (streaming.trigger = 'manual', streaming.foreach = 'changed', streaming.output_mode = 'complete') AS
    SELECT shop, sum(amount) AS total FROM sales GROUP BY shop HAVING sum(amount) > 0;
-- filters over an aggregation
CREATE VIEW totals_over WITH (streaming.trigger = 'manual', streaming.foreach = 'changed_or_gone') AS
    SELECT total FROM (SELECT shop, sum(amount) AS total FROM sales GROUP BY shop) x WHERE total > 5;
INSERT INTO sales VALUES ('north', 10), ('south', 7), ('west', -1);
SELECT streaming.drain('totals'), streaming.drain('totals_gone'), streaming.drain('totals_all'), streaming.drain('totals_over');
SELECT what FROM calls ORDER BY what COLLATE "C";
TRUNCATE calls;
INSERT INTO sales VALUES ('north', 1), ('south', -7), ('west', 2);
SELECT streaming.drain('totals');
SELECT what FROM calls ORDER BY what COLLATE "C";
TRUNCATE calls;
SELECT streaming.drain('totals_gone');
SELECT what FROM calls ORDER BY what COLLATE "C";
TRUNCATE calls;
SELECT streaming.drain('totals_all');
SELECT what FROM calls ORDER BY what COLLATE "C";
TRUNCATE calls;
SELECT streaming.drain('totals_over');
SELECT what FROM calls ORDER BY what COLLATE "C";
-- a type that is altered fits or does not
TRUNCATE calls;
ALTER TYPE total ADD ATTRIBUTE more int;
INSERT INTO sales VALUES ('north', 1);
SELECT streaming.drain('totals');
ALTER TYPE total DROP ATTRIBUTE shop, DROP ATTRIBUTE total, DROP ATTRIBUTE more, ADD ATTRIBUTE shop text, ADD ATTRIBUTE total bigint;
SELECT streaming.drain('totals');
SELECT what FROM calls;
-- these keep their result: it can be read, also by another view
SELECT * FROM totals ORDER BY shop;
CREATE VIEW over_totals WITH (streaming.trigger = 'manual') AS SELECT count(*), sum(total) FROM totals;
SELECT streaming.drain('over_totals');
SELECT * FROM over_totals;

-- append of an aggregation: windows, once, when they are closed
TRUNCATE calls;
SET timezone = 'UTC';
CREATE FOREIGN TABLE clicks (at timestamptz OPTIONS (watermark '10 seconds')) SERVER streaming;
CREATE FUNCTION closed(w record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.note(format('%s: %s', w.minute AT TIME ZONE 'UTC', w.n));
END
$$;
CREATE VIEW per_minute WITH (streaming.trigger = 'manual', streaming.foreach = 'closed', streaming.output_mode = 'append') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n FROM clicks GROUP BY 1;
CREATE VIEW per_minute_in_memory WITH (streaming.trigger = 'manual', streaming.sink = 'memory', streaming.output_mode = 'append') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n FROM clicks GROUP BY 1;
INSERT INTO clicks VALUES ('2020-01-01 00:00:10'), ('2020-01-01 00:00:20'), ('2020-01-01 00:01:20');
SELECT streaming.drain('per_minute'), streaming.drain('per_minute_in_memory');
INSERT INTO clicks VALUES ('2020-01-01 00:01:30'), ('2020-01-01 00:02:20');
SELECT streaming.drain('per_minute'), streaming.drain('per_minute_in_memory');
SELECT what FROM calls ORDER BY id;
SELECT * FROM per_minute_in_memory ORDER BY minute;

SET client_min_messages = warning;
DROP FOREIGN TABLE sales, clicks CASCADE;
DROP FUNCTION closed, changed, changed_or_gone, begin_batch, end_batch, note;
DROP TYPE total;
DROP TABLE calls;
