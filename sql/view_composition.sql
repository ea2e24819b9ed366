-- An aggregate over an aggregate, and aggregates that cannot be combined:
-- groups touched are recomputed.
CREATE FOREIGN TABLE visits (visitor text, page text, seconds int) SERVER streaming;

-- how many visitors have made how many visits
CREATE VIEW histogram WITH (streaming.trigger = 'manual') AS
    SELECT visits, count(*) AS visitors, max(last) AS last
    FROM (SELECT visitor, count(*) AS visits, max(page) AS last FROM visits GROUP BY visitor) v
    GROUP BY visits;
-- rows of an aggregation, filtered
CREATE VIEW regulars WITH (streaming.trigger = 'manual') AS
    SELECT upper(visitor) AS visitor, visits
    FROM (SELECT visitor, count(*) AS visits FROM visits GROUP BY visitor) v
    WHERE visits % 2 = 0;
-- not combinable
CREATE VIEW per_page WITH (streaming.trigger = 'manual') AS
    SELECT page, count(DISTINCT visitor) AS visitors,
           string_agg(visitor, ',' ORDER BY visitor) AS names,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) AS median
    FROM visits GROUP BY page HAVING count(*) > 1;

INSERT INTO visits VALUES ('ann', '/', 5), ('ann', '/x', 7), ('bob', '/', 1), ('cid', '/', 9);
SELECT streaming.drain('histogram'), streaming.drain('regulars'), streaming.drain('per_page');
SELECT * FROM histogram ORDER BY visits;
SELECT * FROM regulars ORDER BY visitor;
SELECT * FROM per_page ORDER BY page;

INSERT INTO visits VALUES ('ann', '/', 50), ('bob', '/y', 3), ('dee', '/x', 2), ('cid', '/y', 4);
SELECT streaming.drain('histogram'), streaming.drain('regulars'), streaming.drain('per_page');
SELECT * FROM histogram ORDER BY visits;
SELECT * FROM regulars ORDER BY visitor;
SELECT * FROM per_page ORDER BY page;


-- how it is kept, without the statements
SELECT regexp_replace(line, '_\d+', '_N', 'g') AS line FROM streaming.explain('histogram') line
WHERE line !~ '^ *(SQL|Recompute|First batch):';
SELECT regexp_replace(line, '_\d+', '_N', 'g') AS line FROM streaming.explain('per_page') line
WHERE line !~ '^ *(SQL|Recompute|First batch):';

DROP FOREIGN TABLE visits CASCADE;
