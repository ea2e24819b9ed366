-- A pushed stream as a partition: rows of the partitioned table that are its go into it.
CREATE TABLE measured (at date NOT NULL, sensor int, value int DEFAULT 5, double int GENERATED ALWAYS AS (value * 2) STORED) PARTITION BY RANGE (at);
CREATE TABLE measured_old PARTITION OF measured FOR VALUES FROM ('2020-01-01') TO ('2026-01-01');
-- other columns in another order
CREATE FOREIGN TABLE measured_now (double int GENERATED ALWAYS AS (value * 2) STORED, gone int, sensor int, value int, at date NOT NULL) SERVER streaming OPTIONS (retention '1 day');
ALTER FOREIGN TABLE measured_now DROP COLUMN gone;
ALTER TABLE measured ATTACH PARTITION measured_now FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW per_sensor WITH (streaming.trigger = 'manual') AS SELECT sensor, count(*), sum(double) FROM measured_now GROUP BY sensor;
INSERT INTO measured VALUES ('2025-01-01', 1, 1), ('2026-02-01', 1, 2), ('2026-03-01', 2, DEFAULT) RETURNING *, tableoid::regclass;
COPY measured (at, sensor, value) FROM STDIN;
2026-04-01	2	8
2024-04-01	2	9
2026-05-01	3	10
\.
INSERT INTO measured SELECT '2026-06-01', i % 3, i FROM generate_series(1, 3000) i;
SELECT streaming.drain('per_sensor');
TABLE per_sensor ORDER BY sensor;
SELECT tableoid::regclass, count(*), sum(double) FROM measured GROUP BY 1 ORDER BY 1;
-- directly: the bounds hold
INSERT INTO measured_now (at, sensor, value) VALUES ('2026-07-01', 4, 4);
INSERT INTO measured_now (at, sensor, value) VALUES ('2025-07-01', 4, 4);
COPY measured_now (at, sensor, value) FROM STDIN;
2025-07-01	4	4
\.
-- a trigger must not move a row
CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.at = '2020-02-02';
    RETURN NEW;
END $$;
CREATE TRIGGER move BEFORE INSERT ON measured_now FOR EACH ROW WHEN (NEW.sensor = 9) EXECUTE FUNCTION move();
INSERT INTO measured VALUES ('2026-07-01', 9, 4);
COPY measured (at, sensor) FROM STDIN;
2026-07-01	9
\.
INSERT INTO measured_now (at, sensor) VALUES ('2026-07-01', 9);
DROP TRIGGER move ON measured_now;
-- a row that is updated moves into the stream, and none out of it
UPDATE measured SET at = '2026-08-01', sensor = 5 WHERE at = '2025-01-01' RETURNING tableoid::regclass, *;
UPDATE measured SET at = '2025-08-01' WHERE at = '2026-08-01';
DELETE FROM measured WHERE at = '2026-08-01';
DELETE FROM measured WHERE at = '2024-04-01';
SELECT streaming.drain('per_sensor');
TABLE per_sensor ORDER BY sensor;
-- triggers of the partitioned table
CREATE TABLE journal (n serial, said text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held bigint;
BEGIN
    SELECT count(*) INTO held FROM public.measured WHERE sensor = 6;
    INSERT INTO public.journal (said) VALUES (format('%s %s on %s: %s rows', lower(TG_WHEN), lower(TG_LEVEL), TG_TABLE_NAME, held));
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON measured FOR EACH STATEMENT EXECUTE FUNCTION tell();
INSERT INTO measured VALUES ('2026-07-01', 6), ('2025-07-01', 6);
CREATE TRIGGER tell_row AFTER INSERT ON measured FOR EACH ROW EXECUTE FUNCTION tell();
INSERT INTO measured VALUES ('2026-07-01', 6), ('2025-07-01', 6);
SELECT said FROM journal ORDER BY n;
-- a view cannot follow the whole; it can read the partition, and write to it
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) FROM measured;
CREATE FOREIGN TABLE raw (at date, sensor int, value int) SERVER streaming;
CREATE VIEW into_now WITH (streaming.sink = 'measured_now', streaming.trigger = 'manual') AS SELECT * FROM raw;
CREATE VIEW into_all WITH (streaming.sink = 'measured', streaming.trigger = 'manual') AS SELECT * FROM raw;
INSERT INTO raw VALUES ('2026-09-01', 7, 1);
SELECT streaming.drain('per_sensor');
SELECT * FROM per_sensor WHERE sensor = 7;
INSERT INTO raw VALUES ('2025-09-01', 7, 1);
SELECT streaming.drain('into_now');
DROP VIEW into_now;
-- indexes and unique keys are of the other partitions
CREATE INDEX ON measured (sensor);
TRUNCATE measured_old;
ALTER TABLE measured ADD UNIQUE (at, sensor);
TRUNCATE measured;
-- a view writes to the table until the stream is a part of it
ALTER TABLE measured DETACH PARTITION measured_now;
CREATE VIEW into_all WITH (streaming.sink = 'measured', streaming.trigger = 'manual') AS SELECT * FROM raw WHERE at < '2026-01-01';
SELECT streaming.drain('into_all');
ALTER TABLE measured ATTACH PARTITION measured_now FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO raw VALUES ('2025-09-01', 8, 1);
SELECT streaming.drain('into_all');
ALTER TABLE measured DETACH PARTITION measured_now;
SELECT streaming.drain('into_all');
SELECT sensor FROM measured;
-- rows that are there are looked at, as those of a table
INSERT INTO measured_now (at) VALUES ('1999-01-01');
ALTER TABLE measured ATTACH PARTITION measured_now FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
ALTER TABLE measured ATTACH PARTITION measured_now FOR VALUES FROM ('1990-01-01') TO ('2000-01-01');
ALTER TABLE measured ATTACH PARTITION measured_now DEFAULT;
SELECT tableoid::regclass, count(*) FROM measured GROUP BY 1 ORDER BY 1;
SET client_min_messages = warning;
DROP TABLE measured, journal CASCADE;
DROP FOREIGN TABLE IF EXISTS raw, measured_now CASCADE;
DROP FUNCTION tell, move;
