-- Options of continuous views: CREATE VIEW ... WITH, ALTER VIEW ... SET and RESET.
CREATE FOREIGN TABLE s (a int, b text) SERVER streaming;
CREATE VIEW options AS
    SELECT v.view, output_mode, trigger, start, max_rows_per_trigger AS rows, max_files_per_trigger AS files, enabled
    FROM streaming_internal.continuous_view v ORDER BY id;

-- defaults, and all of them
SET timezone = 'UTC';
CREATE VIEW plain WITH (streaming.continuous) AS SELECT a FROM s;
CREATE VIEW counted WITH (streaming.trigger = '10 seconds') AS SELECT a, count(*) FROM s GROUP BY a;
CREATE VIEW full_options (x, y) WITH (streaming.trigger = manual, streaming.output_mode = 'append',
    streaming.start = 'latest', streaming.max_rows_per_trigger = 1000, streaming.max_files_per_trigger = 10,
    streaming.enabled = off, security_barrier) AS SELECT a, b FROM s WHERE a > 0;
SELECT * FROM options;
SELECT * FROM full_options;
SELECT reloptions FROM pg_class WHERE oid = 'full_options'::regclass;

-- numbers and booleans may be quoted
CREATE VIEW quoted WITH (streaming.continuous = 'yes', streaming.max_rows_per_trigger = '1000',
    streaming.max_files_per_trigger = '2', streaming.enabled = 'off') AS SELECT a FROM s;
SELECT * FROM options WHERE view = 'quoted'::regclass;
ALTER VIEW quoted SET (streaming.enabled = 'no', streaming.max_files_per_trigger = '3');
SELECT * FROM options WHERE view = 'quoted'::regclass;
DROP VIEW quoted;

-- a rate
CREATE VIEW slowly WITH (streaming.catch_up_rate = 500) AS SELECT a FROM s;
SELECT catch_up_rate FROM streaming_internal.continuous_view WHERE view = 'slowly'::regclass;
ALTER VIEW slowly SET (streaming.catch_up_rate = '20000');
SELECT catch_up_rate FROM streaming_internal.continuous_view WHERE view = 'slowly'::regclass;
ALTER VIEW slowly RESET (streaming.catch_up_rate);
SELECT catch_up_rate FROM streaming_internal.continuous_view WHERE view = 'slowly'::regclass;
ALTER VIEW slowly SET (streaming.catch_up_rate = 0);
DROP VIEW slowly;

-- what is wrong is refused
CREATE VIEW bad WITH (streaming.triger = 'asap') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.nonsense) AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.trigger = 'asap', streaming.trigger = 'asap') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.trigger = 'soon') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.trigger = '0 seconds') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.output_mode = 'upsert') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.start = 'soon') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.max_rows_per_trigger = 0) AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.max_files_per_trigger = 'some') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.max_files_per_trigger = '2x') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.max_files_per_trigger = '-2') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.max_files_per_trigger = '99999999999999999999') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.enabled = 'perhaps') AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.continuous = off) AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.continuous, security_invoker) AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.continuous, check_option = local) AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.continuous) AS SELECT a FROM s WITH CHECK OPTION;
CREATE VIEW bad WITH (streaming.continuous, nonsense) AS SELECT a FROM s;
CREATE TEMPORARY VIEW bad WITH (streaming.continuous) AS SELECT a FROM s;
CREATE OR REPLACE VIEW bad WITH (streaming.continuous) AS SELECT a FROM s;
CREATE OR REPLACE VIEW plain AS SELECT 1 AS a;
CREATE VIEW plain WITH (streaming.continuous) AS SELECT a FROM s;
CREATE VIEW bad WITH (streaming.continuous) AS SELECT nothing FROM s;
CREATE TEMPORARY TABLE lookup (a int);
SET client_min_messages = warning;
CREATE VIEW bad WITH (streaming.continuous) AS SELECT a FROM s JOIN lookup USING (a);
RESET client_min_messages;

-- ALTER changes what can be changed
ALTER VIEW plain SET (streaming.trigger = '1 s', streaming.enabled = off, security_barrier);
ALTER VIEW counted SET (streaming.max_rows_per_trigger = 100, streaming.max_files_per_trigger = 5);
ALTER TABLE full_options SET (streaming.enabled = on), OWNER TO CURRENT_USER;
SELECT * FROM options;
ALTER VIEW counted RESET (streaming.max_rows_per_trigger, streaming.trigger);
ALTER VIEW plain RESET (streaming.enabled, security_barrier);
SELECT * FROM options;
ALTER VIEW plain SET (streaming.output_mode = 'update');
ALTER VIEW plain SET (streaming.start = 'latest');
ALTER VIEW plain RESET (streaming.continuous);
ALTER VIEW plain SET (streaming.trigger = 'soon');
ALTER VIEW plain SET (streaming.enable = on);
ALTER VIEW plain SET (security_invoker);
ALTER VIEW options SET (streaming.enabled = on);
ALTER VIEW nothing SET (streaming.enabled = on);
ALTER VIEW IF EXISTS nothing SET (streaming.enabled = on);

-- all or nothing
BEGIN;
ALTER VIEW plain SET (streaming.trigger = 'manual');
DROP VIEW counted;
ROLLBACK;
SELECT * FROM options;

DROP VIEW options;
DROP FOREIGN TABLE s CASCADE;
DROP TABLE lookup;
