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
