-- INSERT and COPY into a stream: rows join it if and when they are committed.
CREATE FOREIGN TABLE readings (sensor text NOT NULL, value int DEFAULT 7, at date) SERVER streaming;
CREATE VIEW totals WITH (streaming.trigger = 'manual') AS
    SELECT sensor, count(*), sum(value) FROM readings GROUP BY sensor;
CREATE VIEW seen WITH (streaming.trigger = 'manual') AS SELECT * FROM readings;

INSERT INTO readings VALUES ('a', 1, '2026-01-01'), ('b', NULL, NULL);
INSERT INTO readings (sensor) VALUES ('a');
COPY readings (sensor, value) FROM STDIN;
c	10
c	\N
\.
COPY readings FROM STDIN (FORMAT csv);
d,5,2026-02-02
\.
SELECT streaming.drain('totals'), streaming.drain('seen');
SELECT * FROM totals ORDER BY sensor;
SELECT * FROM seen ORDER BY sensor, value, at;

-- nothing came since
SELECT streaming.drain('totals');

-- what is rolled back never was there
BEGIN;
INSERT INTO readings VALUES ('gone', 1);
COPY readings (sensor, value) FROM STDIN;
gone	2
\.
ROLLBACK;
BEGIN;
INSERT INTO readings VALUES ('kept', 1);
SAVEPOINT s;
INSERT INTO readings VALUES ('gone', 1);
ROLLBACK TO s;
INSERT INTO readings VALUES ('kept', 2);
SAVEPOINT t;
INSERT INTO readings VALUES ('kept', 4);
RELEASE t;
COMMIT;
DO $$
BEGIN
    INSERT INTO readings VALUES ('kept', 8);
    BEGIN
        INSERT INTO readings VALUES ('gone', 8);
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        INSERT INTO readings VALUES ('kept', 16);
    END;
END $$;
SELECT streaming.drain('totals');
SELECT * FROM totals WHERE sensor IN ('kept', 'gone');

-- a query sees what its transaction has inserted before it
BEGIN;
INSERT INTO readings VALUES ('own', 1), ('own', 2);
DECLARE own CURSOR FOR SELECT value FROM readings WHERE sensor = 'own';
INSERT INTO readings VALUES ('own', 3);
FETCH ALL FROM own;
SELECT value FROM readings WHERE sensor = 'own';
ROLLBACK;

-- types and constraints are checked, as of any table
INSERT INTO readings VALUES (NULL, 100);
COPY readings FROM STDIN;
x	many	\N
\.
INSERT INTO readings VALUES ('e', 1) RETURNING sensor, value;
PREPARE push AS INSERT INTO readings VALUES ($1, $2);
EXECUTE push('f', 1);
EXECUTE push('f', 2);
INSERT INTO readings SELECT 'g', i FROM generate_series(1, 10000) i;
SELECT streaming.drain('totals');
SELECT * FROM totals WHERE sensor IS NULL OR sensor >= 'e' AND sensor <> 'kept' ORDER BY sensor;

-- a stream is written to in no other way
UPDATE readings SET value = 0;
DELETE FROM readings;

-- columns can be added; views made before go on
ALTER FOREIGN TABLE readings ADD COLUMN note text;
INSERT INTO readings VALUES ('h', 1, NULL, 'new');
CREATE VIEW notes WITH (streaming.trigger = 'manual') AS SELECT sensor, note FROM readings WHERE note IS NOT NULL;
INSERT INTO readings VALUES ('h', 2, NULL, 'newer');
SELECT streaming.drain('notes') > 0 AS drained, streaming.drain('seen') > 0 AS drained;
SELECT note FROM notes WHERE note = 'newer';
SELECT * FROM seen WHERE sensor = 'h' ORDER BY value;

-- rows of subtransactions are counted as they end
CREATE FOREIGN TABLE nested (v int) SERVER streaming;
BEGIN;
INSERT INTO nested VALUES (1);
SAVEPOINT a;
INSERT INTO nested VALUES (2);
SAVEPOINT b;
INSERT INTO nested VALUES (3);
RELEASE b;
SAVEPOINT c;
INSERT INTO nested VALUES (4);
ROLLBACK TO c;
INSERT INTO nested VALUES (5);
RELEASE a;
SAVEPOINT d;
SAVEPOINT e;
INSERT INTO nested VALUES (6);
RELEASE e;
ROLLBACK TO d;
INSERT INTO nested VALUES (7);
COMMIT;
SELECT array_agg(v ORDER BY v) FROM nested;
SELECT rows_read FROM streaming.stat_streams WHERE stream = 'nested'::regclass;

-- "latest" leaves out what the transaction that makes the view has pushed before
BEGIN;
INSERT INTO nested VALUES (10);
SAVEPOINT a;
INSERT INTO nested VALUES (11);
RELEASE a;
CREATE VIEW latest WITH (streaming.start = 'latest', streaming.trigger = 'manual') AS SELECT v FROM nested;
INSERT INTO nested VALUES (12);
SAVEPOINT b;
INSERT INTO nested VALUES (13);
COMMIT;
INSERT INTO nested VALUES (14);
SELECT streaming.drain('latest');
TABLE latest ORDER BY v;
SET client_min_messages = warning;
DROP FOREIGN TABLE nested CASCADE;
RESET client_min_messages;

-- a stream without columns has rows, too
CREATE FOREIGN TABLE ticks () SERVER streaming;
CREATE VIEW tick_count WITH (streaming.trigger = 'manual') AS SELECT count(*) FROM ticks;
INSERT INTO ticks DEFAULT VALUES;
INSERT INTO ticks DEFAULT VALUES;
SELECT streaming.drain('tick_count');
TABLE tick_count;
INSERT INTO ticks DEFAULT VALUES ON CONFLICT DO NOTHING;
DROP FOREIGN TABLE ticks CASCADE;

SET client_min_messages = warning;
DROP FOREIGN TABLE readings CASCADE;
