-- streaming.foreach_batch: a function called once a batch with a temporary table of its rows.
CREATE FOREIGN TABLE sales (shop text, item int, amount int) SERVER streaming;
CREATE TYPE size AS ENUM ('small', 'large');
CREATE TABLE totals (shop text PRIMARY KEY, total bigint, batch bigint);
CREATE TABLE numbers (n bigint PRIMARY KEY);
INSERT INTO numbers VALUES (1), (2), (3);
CREATE TABLE batches (batch bigint REFERENCES numbers DEFERRABLE INITIALLY DEFERRED, rows bigint, large bigint);

-- append
CREATE FUNCTION archive(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO public.batches SELECT %s, count(*), count(size = %L OR NULL) FROM %s',
        batch_id, 'large', batch);
END
$$;
CREATE VIEW archived WITH (streaming.trigger = 'manual', streaming.foreach_batch = 'archive') AS
    SELECT shop, amount, (CASE WHEN amount > 5 THEN 'large' ELSE 'small' END)::size AS size FROM sales WHERE amount > 0;
INSERT INTO sales VALUES ('north', 1, 10), ('south', 2, -1), ('south', 2, 3);
SELECT streaming.drain('archived');
INSERT INTO sales SELECT 'north', i, i FROM generate_series(1, 10000) i;
SELECT streaming.drain('archived');
INSERT INTO sales VALUES ('north', 1, -1);
SELECT streaming.drain('archived');
SELECT * FROM batches ORDER BY batch;
SELECT view, sink, output_mode FROM streaming.views;

-- update, with the rows that leave the result
CREATE FOREIGN TABLE changes (shop text, amount int) SERVER streaming;
CREATE FUNCTION upsert(batch regclass, batch_id bigint, removed regclass) RETURNS int
    LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    EXECUTE format('INSERT INTO totals SELECT *, %s FROM %s
        ON CONFLICT (shop) DO UPDATE SET total = EXCLUDED.total, batch = EXCLUDED.batch', batch_id, batch);
    EXECUTE format('DELETE FROM totals t USING %s r WHERE r.shop = t.shop', removed);
    RETURN 1;
END
$$;
CREATE VIEW upserted WITH (streaming.trigger = 'manual', streaming.foreach_batch = 'public.upsert') AS
    SELECT shop, sum(amount) AS total FROM changes GROUP BY shop HAVING sum(amount) > 0;
INSERT INTO changes VALUES ('north', 10), ('south', 7), ('west', -1);
SELECT streaming.drain('upserted');
SELECT * FROM totals ORDER BY shop;
INSERT INTO changes VALUES ('north', 1), ('south', -7), ('west', 2);
SELECT streaming.drain('upserted');
SELECT * FROM totals ORDER BY shop;
(TABLE upserted EXCEPT ALL SELECT shop, total FROM totals) UNION ALL (SELECT shop, total FROM totals EXCEPT ALL TABLE upserted);

-- complete: the whole result each time
CREATE FOREIGN TABLE states (shop text, amount int) SERVER streaming;
CREATE TABLE snapshots (batch bigint, shop text, total bigint);
CREATE FUNCTION snapshot(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO public.snapshots SELECT %s, * FROM %s', batch_id, batch);
END
$$;
CREATE VIEW snapshotted WITH (streaming.trigger = 'manual', streaming.foreach_batch = 'snapshot', streaming.output_mode = 'complete') AS
    SELECT shop, sum(amount) AS total FROM states GROUP BY shop HAVING sum(amount) > 0;
CREATE VIEW snapshotted_rows WITH (streaming.trigger = 'manual', streaming.foreach_batch = 'snapshot', streaming.output_mode = 'complete') AS
    SELECT shop, amount::bigint AS total FROM states WHERE amount > 3;
INSERT INTO states VALUES ('a', 1), ('b', 7);
SELECT streaming.drain('snapshotted');
INSERT INTO states VALUES ('a', 4), ('b', -7), ('c', 2);
SELECT streaming.drain('snapshotted');
SELECT * FROM snapshots ORDER BY batch, shop;
TRUNCATE snapshots;
SELECT streaming.drain('snapshotted_rows');
INSERT INTO states VALUES ('z', 9);
SELECT streaming.drain('snapshotted_rows');
SELECT * FROM snapshots ORDER BY batch, shop;

-- the function can do nothing to the table, and cannot make others
CREATE FUNCTION meddle(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM %s', batch);
END
$$;
CREATE ROLE regress_streaming_teller;
GRANT CREATE ON SCHEMA public TO regress_streaming_teller;
GRANT SELECT ON sales TO regress_streaming_teller;
SET ROLE regress_streaming_teller;
CREATE VIEW meddled WITH (streaming.trigger = 'manual', streaming.foreach_batch = 'meddle') AS SELECT shop FROM sales;
RESET ROLE;
INSERT INTO sales VALUES ('a', 1, 1);
DO $$
BEGIN
    PERFORM streaming.drain('meddled');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%', regexp_replace(sqlerrm, '_\d+', '_n', 'g');
END
$$;
CREATE OR REPLACE FUNCTION meddle(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMPORARY TABLE mine (a int);
END
$$;
SELECT streaming.drain('meddled');

-- nothing stays behind: the type goes when the view has gone
DROP VIEW archived;
DROP TYPE size;
SET client_min_messages = warning;
DROP FOREIGN TABLE sales, changes, states CASCADE;
DROP FUNCTION archive, upsert, snapshot, meddle;
DROP TABLE totals, batches, numbers, snapshots;
DROP OWNED BY regress_streaming_teller;
DROP ROLE regress_streaming_teller;
