-- What is not the same each time is for rows as they come, not for rows that are kept.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE FOREIGN TABLE s (a int, b text, at timestamptz OPTIONS (watermark '1 minute')) SERVER streaming;
CREATE FUNCTION reads(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE VIEW counts WITH (streaming.trigger = 'manual') AS SELECT a, count(*) AS n, max(at) AS at FROM s GROUP BY a;
CREATE VIEW rows WITH (streaming.trigger = 'manual') AS SELECT a, at FROM s;

-- refused: HAVING, what is made of groups, and whatever is above them
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a FROM s GROUP BY a HAVING max(at) > now() - interval '1 hour';
CREATE VIEW v WITH (streaming.output_mode = 'complete') AS SELECT a FROM s GROUP BY a HAVING max(at)::date >= CURRENT_DATE;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a, age(max(at)) FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a, random() FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT reads(a) FROM s GROUP BY a;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a FROM s GROUP BY a HAVING max(at) > 'today'::text::timestamptz;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a FROM (SELECT a, max(at) AS at FROM s GROUP BY a) x WHERE at > current_timestamp;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT sum(reads(a)) FROM (SELECT a FROM s GROUP BY a) x;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a FROM (SELECT a FROM (SELECT DISTINCT a, at FROM s) x) y JOIN (SELECT now() AS t) z ON true;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a FROM (SELECT DISTINCT a FROM s) x, LATERAL generate_series(a, extract(day FROM clock_timestamp())::int);
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a, n FROM counts WHERE at > now();
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a, current_user FROM counts;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT count(*) FROM counts GROUP BY current_setting('TimeZone');

CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT a, percentile_cont(random()) WITHIN GROUP (ORDER BY length(b)) FROM s GROUP BY a;

-- kept: rows as they come, and what depends on settings
CREATE VIEW w1 WITH (streaming.trigger = 'manual') AS
    SELECT reads(a) AS a, now() - max(at - interval '1 hour' * random()) AS age FROM s WHERE at > now() - interval '100 years' GROUP BY reads(a), now();
CREATE VIEW w2 WITH (streaming.trigger = 'manual') AS SELECT DISTINCT a, now() AS t, current_user AS u FROM s;
CREATE VIEW w3 WITH (streaming.trigger = 'manual') AS SELECT a, at FROM rows WHERE at < now();
CREATE VIEW w4 WITH (streaming.trigger = 'manual') AS
    SELECT pure(a) AS a, max(at)::date AS day, max(at)::text AS t, to_char(max(at), 'YYYY') AS year, date_trunc('day', max(at)) AS d,
           max(b)::timestamptz AS b, age(max(at), min(at)) AS age, to_jsonb(max(at)) AS j, pg_typeof(count(*))::text AS p
    FROM s GROUP BY a HAVING max(at) > date '2020-01-01' AND concat(max(at), a) <> '';
CREATE VIEW w5 WITH (streaming.trigger = 'manual') AS SELECT at::date AS day, sum(n) AS n FROM counts WHERE at > '2020-01-01' GROUP BY 1;
-- a group that is written once, when it closes
CREATE VIEW w6 WITH (streaming.output_mode = 'append', streaming.trigger = 'manual') AS
    SELECT date_bin('1 minute', at, 'epoch') AS minute, count(*) AS n, now() > max(at) AS past FROM s GROUP BY 1;

INSERT INTO s VALUES (1, '2024-05-05 12:00+00', '2024-05-05 12:00+00'), (1, '2024-05-05 12:00+00', '2024-05-05 12:10+00');
SELECT streaming.drain(view) FROM (VALUES (1, 'w1'::regclass), (2, 'w2'), (3, 'rows'), (4, 'w3'), (5, 'w4'), (6, 'counts'), (7, 'w5'), (8, 'w6')) x (i, view) ORDER BY i;
SELECT a, age > interval '1 day' AS old FROM w1;
SELECT a, t <= now() AS past FROM w2;
SELECT a, day, year, age, p FROM w4;
SELECT n FROM w5;
SELECT n, past FROM w6;
-- an argument that reads no row is evaluated for each row as it comes, too
CREATE VIEW w7 WITH (streaming.trigger = 'manual') AS SELECT a, array_agg(DISTINCT clock_timestamp()) AS times FROM s GROUP BY a;
SELECT streaming.drain('w7');
SELECT times[1] AS first FROM w7 \gset
INSERT INTO s VALUES (1, '2024-05-05 12:00+00', '2024-05-05 12:20+00');
SELECT streaming.drain('w7');
SELECT times[1] = :'first'::timestamptz AS first_stays, cardinality(times) FROM w7;
DROP FOREIGN TABLE s CASCADE;
DROP FUNCTION reads, pure;
