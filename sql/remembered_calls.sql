-- Calls of dear functions of texts are remembered: each its own, in each collation.
\getenv source PG_ABS_SRCDIR
\set ECHO none
\set include :source '/sql/include/same_as_batch.sql'
\i :include
\set ECHO all
CALL stream('s', 'id int, t text, p text');
CALL keep('functions', 'SELECT id, t ~ p AS a, t ~* p AS b, t !~ p AS c, regexp_match(t, p) AS m, regexp_match(t, p, ''i'') AS i, regexp_replace(t, p, ''-'') AS r, substring(t FROM p) AS s FROM s');
CALL keep('collations', 'SELECT id, lower(t COLLATE "C") AS c, lower(t COLLATE "en-x-icu") AS l, upper(t COLLATE "C") AS d, upper(t COLLATE "en-x-icu") AS u FROM s');
CALL keep('conditions', 'SELECT id, (regexp_match(t, ''(&|^)c=([^&]*)''))[2] AS c FROM s WHERE (regexp_match(t, ''(&|^)c=([^&]*)''))[2] IS NOT NULL OR lower(t) LIKE ''x%''');
CALL keep('groups', 'SELECT lower(t) AS l, count(*) AS n, count(*) FILTER (WHERE t ~ ''[0-4]$'') AS few FROM s GROUP BY 1');

-- few that come again and again; none; some that are too long to be kept
CALL feed('s', 'SELECT i, (ARRAY[''xÉa'', ''a&c=1'', ''c=x'', ''X'', '''', ''bA'', repeat(''aÉ'', 100), NULL])[pick(i, 1, 8)], (ARRAY[''a'', ''A'', ''^(.)(.)'', ''q'', '''', NULL])[pick(i, 2, 6)] FROM generate_series(1, 3000) i');
SELECT * FROM compare();
-- those that take places of others
CALL feed('s', 'SELECT i, ''k&c='' || pick(i, 3, 20000), ''=1'' FROM generate_series(3001, 43000) i');
SELECT * FROM compare();
CALL feed('s', 'SELECT i, ''xÉ'' || repeat(''y'', i), ''É'' FROM generate_series(1, 300) i');
CALL feed('s', 'SELECT i, repeat(''y'', 5000) || i, ''y.$'' FROM generate_series(1, 300) i');
SELECT * FROM compare();

\set include :source '/sql/include/done.sql'
\i :include
