-- Rows stay as long as the option says, so that a later view can begin with
-- them; SELECT reads what is there.
CREATE FOREIGN TABLE kept (v int) SERVER streaming OPTIONS (retention '1 day');
INSERT INTO kept SELECT generate_series(1, 5);
SELECT * FROM kept ORDER BY v;
SELECT count(*), sum(v) FROM kept WHERE v > 2;

CREATE VIEW first WITH (streaming.trigger = 'manual') AS SELECT sum(v) FROM kept;
SELECT streaming.drain('first');
SELECT * FROM first;
SELECT count(*) FROM kept;

-- a view that comes later, at either end
CREATE VIEW later WITH (streaming.trigger = 'manual') AS SELECT sum(v) FROM kept;
CREATE VIEW latest WITH (streaming.trigger = 'manual', streaming.start = 'latest') AS SELECT sum(v) FROM kept;
INSERT INTO kept VALUES (100);
SELECT streaming.drain('later'), streaming.drain('latest'), streaming.drain('first');
SELECT * FROM later;
SELECT * FROM latest;
SELECT * FROM first;

-- and one that begins again
SELECT streaming.reset('first');
SELECT streaming.drain('first');
SELECT * FROM first;

-- a batch read sees what its transaction has written
BEGIN;
INSERT INTO kept VALUES (1000);
SELECT max(v) FROM kept;
ROLLBACK;
SELECT max(v) FROM kept;

-- rows that need not survive a crash
CREATE FOREIGN TABLE fleeting (v int) SERVER streaming OPTIONS (durable 'false');
CREATE VIEW fleeting_sum WITH (streaming.trigger = 'manual') AS SELECT sum(v) FROM fleeting;
INSERT INTO fleeting VALUES (1), (2);
SELECT streaming.drain('fleeting_sum');
SELECT * FROM fleeting_sum;

-- options are checked
CREATE FOREIGN TABLE wrong (v int) SERVER streaming OPTIONS (retention '-1 day');
CREATE FOREIGN TABLE wrong (v int) SERVER streaming OPTIONS (durable 'perhaps');
CREATE FOREIGN TABLE wrong (v int) SERVER streaming OPTIONS (retension '1 day');
CREATE FOREIGN TABLE wrong (v int) SERVER streaming OPTIONS (topic 'clicks');

SET client_min_messages = warning;
DROP FOREIGN TABLE kept, fleeting CASCADE;
