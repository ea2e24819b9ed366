-- Every built-in type that can be grouped is a key. For each: two batches with
-- two values and NULL; 2, 3 and 3 rows.
CREATE TEMP TABLE sample (type text, a text, b text);
INSERT INTO sample VALUES
    ('boolean', 't', 'f'), ('smallint', '1', '2'), ('integer', '1', '2'), ('bigint', '1', '2'),
    ('numeric', '1.0', '1e100'), ('real', '0', '-1.5'), ('double precision', 'NaN', 'Infinity'),
    ('text', '', 'ä'), ('varchar(10)', 'x', 'y'), ('char(5)', 'a', 'b'), ('"char"', 'a', 'b'),
    ('name', 'n', 'm'), ('bytea', '\x00', '\xff'), ('date', '2026-01-01', 'infinity'),
    ('time', '01:02', '03:04'), ('timetz', '01:02+00', '01:02+01'),
    ('timestamp', '2026-01-01', '-infinity'), ('timestamptz', '2026-01-01', '2026-01-02'),
    ('interval', '1 day', '25 hours'), ('uuid', '00000000-0000-0000-0000-000000000001',
    '00000000-0000-0000-0000-000000000002'), ('inet', '::1', '10.0.0.1'), ('cidr', '10.0.0.0/8', '::/0'),
    ('macaddr', '00:00:00:00:00:01', '00:00:00:00:00:02'), ('macaddr8', '00:00:00:00:00:00:00:01',
    '00:00:00:00:00:00:00:02'), ('jsonb', '{"a": 1}', '[]'), ('money', '1', '2'),
    ('bit(3)', '101', '010'), ('varbit', '1', '10'), ('oid', '1', '2'), ('xid', '1', '2'),
    ('xid8', '1', '2'), ('tid', '(0,1)', '(1,0)'), ('pg_lsn', '0/1', '0/2'), ('regclass', 'pg_class', 'pg_proc'),
    ('int[]', '{1}', '{1,NULL}'), ('text[]', '{}', '{a}'), ('int4range', '[1,2)', 'empty'),
    ('int4multirange', '{[1,2)}', '{}'), ('tsvector', 'a:1', 'b'), ('tsquery', 'a & b', 'a'),
    ('oidvector', '1 2', '3'), ('bit(3)[]', '{101}', '{010}');
\set ECHO none
\t on
SET client_min_messages = warning;
SELECT format('CREATE FOREIGN TABLE keyed (k %s) SERVER streaming', type),
       'CREATE VIEW counted WITH (streaming.trigger = ''manual'') AS SELECT k, count(*) AS n FROM keyed GROUP BY k',
       format('INSERT INTO keyed VALUES (%1$L), (%2$L), (NULL), (%1$L)', a, b),
       'SELECT streaming.drain(''counted'')',
       format('INSERT INTO keyed VALUES (%2$L), (%1$L), (NULL), (%2$L)', a, b),
       'SELECT streaming.drain(''counted'')',
       format('SELECT %L, string_agg(n::text, '' '' ORDER BY n) FROM counted', type),
       'DROP FOREIGN TABLE keyed CASCADE'
FROM sample
\gexec
\t off
\set ECHO all
-- a row type is not changed while groups are found by its values
CREATE TYPE inner_pair AS (a int, b text);
CREATE TYPE outer_pair AS (i inner_pair, c int);
CREATE TABLE things (a int, b int);
CREATE FOREIGN TABLE paired (k outer_pair[], t things, v int) SERVER streaming;
CREATE VIEW per_pair WITH (streaming.trigger = 'manual') AS SELECT k, count(*) AS n FROM paired GROUP BY k;
CREATE VIEW per_thing WITH (streaming.trigger = 'manual') AS SELECT v, count(DISTINCT t) AS n FROM paired GROUP BY v;
INSERT INTO paired VALUES (ARRAY[ROW(ROW(1, 'x'), 1)::outer_pair], ROW(1, 2), 1);
SELECT streaming.drain('per_pair'), streaming.drain('per_thing');
\set VERBOSITY terse
ALTER TYPE inner_pair ADD ATTRIBUTE c int;
ALTER TYPE outer_pair DROP ATTRIBUTE c;
ALTER TABLE things ADD COLUMN c int;
ALTER TABLE things DROP COLUMN b;
\set VERBOSITY default
ALTER TABLE things ADD COLUMN c int;
ALTER TYPE inner_pair RENAME ATTRIBUTE b TO d;
ALTER TYPE inner_pair RENAME TO innermost;
INSERT INTO paired VALUES (ARRAY[ROW(ROW(1, 'x'), 1)::outer_pair], ROW(1, 2), 1);
SELECT streaming.drain('per_pair'), streaming.drain('per_thing');
TABLE per_pair;
TABLE per_thing;
DROP VIEW per_pair, per_thing;
ALTER TYPE innermost ADD ATTRIBUTE c int;
ALTER TABLE things DROP COLUMN b;
SELECT * FROM paired;
SET client_min_messages = warning;
DROP FOREIGN TABLE paired CASCADE;
DROP TYPE innermost, outer_pair CASCADE;
DROP TABLE things CASCADE;
