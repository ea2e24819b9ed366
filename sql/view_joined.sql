-- Aggregations below joins, in trees of joins whose sides share names.
CREATE FOREIGN TABLE visits (shop text, visitor text) SERVER streaming;
CREATE TABLE names (shop text, title text);
CREATE TABLE towns (title text, shop text, town text);
INSERT INTO names VALUES ('n', 'North'), ('s', 'South');
INSERT INTO towns VALUES ('North', 'n', 'Oslo'), ('South', 's', 'Rome'), ('South', 's', 'Rimini');

-- merged columns, and a join with a name of its own
CREATE VIEW by_town WITH (streaming.trigger = 'manual') AS
    SELECT town, title, shop, n, length(title) > n AS few
    FROM (SELECT shop, count(*) AS n FROM visits GROUP BY shop) v
        JOIN names USING (shop) JOIN towns USING (title, shop) WHERE n > 1;
CREATE VIEW most WITH (streaming.trigger = 'manual') AS
    SELECT j.town, max(j.n) AS most, sum(j.visitors) AS visitors
    FROM ((SELECT shop, count(*) AS n, count(DISTINCT visitor) AS visitors FROM visits GROUP BY shop) v
        LEFT JOIN names USING (shop) NATURAL LEFT JOIN towns) AS j
        CROSS JOIN LATERAL (SELECT j.n + 1 AS more) more
    WHERE more.more > 1 GROUP BY j.town;
-- over another view, whose rows disappear
CREATE VIEW counted WITH (streaming.trigger = 'manual') AS SELECT shop, count(*) AS n FROM visits GROUP BY shop;
CREATE VIEW titled WITH (streaming.trigger = 'manual') AS
    SELECT title, t.town, c.n FROM counted c JOIN names m USING (shop) JOIN towns t USING (title);

INSERT INTO visits VALUES ('n', 'ann'), ('n', 'bob'), ('s', 'ann'), ('x', 'cid');
SELECT streaming.drain('by_town'), streaming.drain('most'), streaming.drain('counted'), streaming.drain('titled');
INSERT INTO visits VALUES ('n', 'ann'), ('s', 'bob'), ('s', 'bob'), ('x', 'dee');
SELECT streaming.drain('by_town'), streaming.drain('most'), streaming.drain('counted'), streaming.drain('titled');
SELECT * FROM by_town ORDER BY town;
SELECT * FROM most ORDER BY town;
SELECT * FROM titled ORDER BY town;

-- the same as a batch
SELECT town, title, shop, n, length(title) > n AS few
FROM (SELECT shop, count(*) AS n FROM visits GROUP BY shop) v
    JOIN names USING (shop) JOIN towns USING (title, shop) WHERE n > 1 ORDER BY town;

DROP FOREIGN TABLE visits CASCADE;
DROP TABLE names, towns;
