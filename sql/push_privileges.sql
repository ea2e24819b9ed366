-- Who may push rows, make views and read them.
CREATE ROLE regress_writer;
CREATE ROLE regress_reader;
CREATE ROLE regress_maker;
CREATE SCHEMA made AUTHORIZATION regress_maker;

CREATE FOREIGN TABLE events (k int, v int) SERVER streaming;
CREATE VIEW sums WITH (streaming.trigger = 'manual') AS SELECT k, sum(v) FROM events GROUP BY k;
GRANT INSERT ON events TO regress_writer;
GRANT SELECT ON sums TO regress_reader;

SET ROLE regress_writer;
INSERT INTO events VALUES (1, 1), (1, 2);
SELECT * FROM events;
SELECT * FROM sums;
SELECT streaming.drain('sums');
SELECT streaming.reset('sums');
DROP VIEW sums;
RESET ROLE;
SELECT streaming.drain('sums');

SET ROLE regress_reader;
SELECT * FROM sums;
INSERT INTO events VALUES (1, 1);
INSERT INTO sums VALUES (1, 1);
ALTER VIEW sums SET (streaming.enabled = off);
RESET ROLE;

-- a view runs with the rights of its owner
SET ROLE regress_maker;
CREATE VIEW made.mine WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n FROM events;
RESET ROLE;
GRANT SELECT ON events TO regress_maker;
SET ROLE regress_maker;
CREATE VIEW made.mine WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n FROM events;
RESET ROLE;
INSERT INTO events VALUES (2, 1);
SELECT streaming.drain('made.mine') > 0 AS drained;
SELECT n > 0 AS counted FROM made.mine;
REVOKE SELECT ON events FROM regress_maker;
INSERT INTO events VALUES (2, 1);
SELECT streaming.drain('made.mine');
SELECT status, last_error FROM streaming.views WHERE view = 'made.mine'::regclass;
GRANT SELECT ON events TO regress_maker;
SELECT streaming.drain('made.mine') > 0 AS drained;

-- internal tables are nobody's to write
SET ROLE regress_writer;
DELETE FROM streaming.checkpoints;
DELETE FROM streaming_internal.continuous_view;
RESET ROLE;

SET client_min_messages = warning;
DROP FOREIGN TABLE events CASCADE;
DROP SCHEMA made CASCADE;
DROP ROLE regress_writer, regress_reader, regress_maker;
