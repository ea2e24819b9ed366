-- Filters, projections and joins with ordinary tables: rows are appended.
CREATE TABLE ads (ad int PRIMARY KEY, campaign text);
INSERT INTO ads VALUES (1, 'spring'), (2, 'summer');
CREATE FOREIGN TABLE impressions (ad int, cost numeric, tags text[]) SERVER streaming;

CREATE VIEW costly WITH (streaming.trigger = 'manual') AS
    SELECT ad, cost * 100 AS cents, tags[1] AS tag FROM impressions WHERE cost > 1;
CREATE VIEW joined WITH (streaming.trigger = 'manual') AS
    SELECT i.ad, a.campaign, i.cost FROM impressions i LEFT JOIN ads a USING (ad);
CREATE VIEW tags WITH (streaming.trigger = 'manual') AS
    SELECT ad, unnest(tags) AS tag FROM impressions;
CREATE VIEW known WITH (streaming.trigger = 'manual') AS
    SELECT campaign, count(*), sum(cost) FROM impressions JOIN ads USING (ad)
    WHERE EXISTS (SELECT FROM ads a WHERE a.campaign = ads.campaign AND a.ad < 10)
    GROUP BY campaign;

INSERT INTO impressions VALUES (1, 0.5, '{a,b}'), (2, 2.25, '{c}'), (3, 7, NULL), (1, 7, '{a}');
SELECT streaming.drain('costly'), streaming.drain('joined'), streaming.drain('tags'),
       streaming.drain('known');
SELECT * FROM costly ORDER BY cents, ad;
SELECT * FROM joined ORDER BY ad, cost;
SELECT * FROM tags ORDER BY ad, tag;
SELECT * FROM known ORDER BY campaign;

-- an empty table on the other side: the rows are taken all the same
TRUNCATE ads;
INSERT INTO impressions VALUES (1, 1.5, '{}');
SELECT streaming.drain('joined'), streaming.drain('known');
SELECT * FROM joined ORDER BY ad, cost;
SELECT * FROM known ORDER BY campaign;
SELECT view, output_mode FROM streaming.views ORDER BY view::text;

DROP FOREIGN TABLE impressions CASCADE;
DROP TABLE ads;
