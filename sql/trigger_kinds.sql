-- When a view runs: at once, at intervals, or when it is drained.
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW at_once WITH (streaming.continuous) AS SELECT count(*) AS n, sum(v) FROM s;
CREATE VIEW at_times WITH (streaming.trigger = '100 ms') AS SELECT count(*) AS n, sum(v) FROM s;
CREATE VIEW rarely WITH (streaming.trigger = '1 day') AS SELECT count(*) AS n, sum(v) FROM s;
CREATE VIEW when_drained WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n, sum(v) FROM s;
SELECT view, output_mode, trigger, enabled, status, last_error FROM streaming.views ORDER BY view::text;

-- Waits until the view shows n rows; fails after a minute.
CREATE PROCEDURE wait_for(view text, rows bigint) LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    FOR i IN 1 .. 6000 LOOP
        EXECUTE format('SELECT coalesce(sum(n), 0) FROM %I', view) INTO n;
        IF n = rows THEN
            RETURN;
        END IF;
        COMMIT;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RAISE 'view % has % rows, not %', view, n, rows;
END $$;

INSERT INTO s VALUES (1), (2);
CALL wait_for('at_once', 2);
CALL wait_for('at_times', 2);
INSERT INTO s VALUES (3);
CALL wait_for('at_times', 3);
CALL wait_for('at_once', 3);
SELECT * FROM when_drained;
SELECT streaming.drain('when_drained'), streaming.drain('rarely') >= 0 AS drained;
SELECT * FROM when_drained;
SELECT * FROM rarely;

-- another trigger takes effect at once
INSERT INTO s VALUES (4);
ALTER VIEW when_drained SET (streaming.trigger = 'asap');
CALL wait_for('when_drained', 4);
ALTER VIEW rarely SET (streaming.trigger = '50 ms');
CALL wait_for('rarely', 4);
ALTER VIEW at_once SET (streaming.trigger = 'manual');
SELECT streaming.drain('at_once') >= 0 AS drained;
INSERT INTO s VALUES (5);
CALL wait_for('rarely', 5);
SELECT n FROM at_once;

-- off and on: nothing is lost
ALTER VIEW rarely SET (streaming.enabled = off);
SELECT status, enabled FROM streaming.views WHERE view = 'rarely'::regclass;
INSERT INTO s VALUES (6);
CALL wait_for('at_times', 6);
SELECT n FROM rarely;
SELECT streaming.drain('rarely');
ALTER VIEW rarely SET (streaming.enabled = on);
CALL wait_for('rarely', 6);

-- rows per trigger
CREATE FOREIGN TABLE many (v int) SERVER streaming OPTIONS (retention '1 hour');
INSERT INTO many SELECT generate_series(1, 1000);
CREATE VIEW limited WITH (streaming.trigger = 'manual', streaming.max_rows_per_trigger = 10) AS SELECT count(*) AS n FROM many;
SELECT streaming.drain('limited');
SELECT * FROM limited;

CREATE VIEW wrong WITH (streaming.trigger = 'sometimes') AS SELECT v FROM s;
CREATE VIEW wrong WITH (streaming.trigger = '-1 s') AS SELECT v FROM s;
CREATE VIEW wrong WITH (streaming.trigger = '0') AS SELECT v FROM s;
CREATE VIEW wrong WITH (streaming.triger = 'asap') AS SELECT v FROM s;
CREATE VIEW wrong WITH (streaming.max_rows_per_trigger = 0) AS SELECT v FROM s;
CREATE VIEW wrong WITH (streaming.enabled = perhaps) AS SELECT v FROM s;
ALTER VIEW at_once SET (streaming.trigger = 'sometimes');
ALTER VIEW at_once SET (streaming.output_mode = 'append');
ALTER VIEW at_once RESET (streaming.trigger);
SELECT trigger FROM streaming.views WHERE view = 'at_once'::regclass;

DROP PROCEDURE wait_for;
SET client_min_messages = warning;
DROP FOREIGN TABLE s, many CASCADE;
