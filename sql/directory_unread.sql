-- Whether a record is a row does not depend on the columns that are read.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/directory_unread'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN required AS text NOT NULL;
CREATE FOREIGN TABLE rejecting (n int, t text, i int, f float4, d date, at timestamptz(3), since timestamptz OPTIONS (time_format 'epoch_ms'),
    price numeric(5, 2), v varchar(3), u uuid, j jsonb, a int[], p positive, r required) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE nulling (n int, t text, i int, f float4, d date, at timestamptz(3), since timestamptz OPTIONS (time_format 'epoch_ms'),
    price numeric(5, 2), v varchar(3), u uuid, j jsonb, a int[], p positive, r required) SERVER landing OPTIONS (path '*.json', on_error 'null');
CREATE FOREIGN TABLE stopping (n int, t text, i int) SERVER landing OPTIONS (path '*.json', on_error 'stop');
CREATE FOREIGN TABLE separated (n int, t text, i int) SERVER landing OPTIONS (path '*.csv', format 'csv');
CREATE FOREIGN TABLE tabbed (n int, t text, i int) SERVER landing OPTIONS (path '*.txt', format 'text');
CREATE FOREIGN TABLE lines (n positive) SERVER landing OPTIONS (path '*.lines', format 'text');

\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/a.json\''
COPY (SELECT * FROM (VALUES
    ('{"n": 1, "r": "good", "t": "x", "i": 1, "f": 1.5, "d": "2026-01-02", "at": "2026-01-02T03:04:05.678Z", "since": 1, "price": 1.25, "v": "abc", "u": "00000000-0000-0000-0000-000000000000", "j": {"a": 1}, "a": [1], "p": 1}'),
    ('{"n": 2, "r": "good"}'),
    ('{"n": 3, "r": "good", "t": {"any": "thing"}, "i": "7", "f": "1e3", "d": "today", "price": 999.994, "v": "a", "j": "\u00e9", "a": "{1,2}", "since": "12.5"}'),
    ('{"n": 10, "r": "bad", "t": "\u0000"}'),
    ('{"n": 11, "r": "bad", "i": "oops"}'),
    ('{"n": 12, "r": "bad", "i": 3000000000}'),
    ('{"n": 13, "r": "bad", "f": 1e99}'),
    ('{"n": 14, "r": "bad", "d": "2026-02-30"}'),
    ('{"n": 15, "r": "bad", "at": 1700000000000}'),
    ('{"n": 16, "r": "bad", "since": "soon"}'),
    ('{"n": 17, "r": "bad", "price": 999.999}'),
    ('{"n": 18, "r": "bad", "price": 1000}'),
    ('{"n": 19, "r": "bad", "v": "abcd"}'),
    ('{"n": 20, "r": "bad", "u": "00000000-0000-0000-0000-00000000000g"}'),
    ('{"n": 21, "r": "bad", "j": {"a": "\u0000"}}'),
    ('{"n": 22, "r": "bad", "j": 1e999999}'),
    ('{"n": 23, "r": "bad", "a": [1, "x"]}'),
    ('{"n": 24, "r": "bad", "p": 0}'),
    ('{"n": 25}')) x) TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
\set put 'cat > \'' :dir '/.part\' && tr , \'\\t\' < \'' :dir '/.part\' > \'' :dir '/a.txt\' && cut -d, -f3 \'' :dir '/.part\' > \'' :dir '/a.lines\' && mv \'' :dir '/.part\' \'' :dir '/a.csv\''
COPY (VALUES (1, 'x', '1'), (2, 'y', '2'), (3, 'z', 'oops'), (4, 'z', '0')) TO PROGRAM :'put' (FORMAT csv);

-- as many rows whatever is read, and the same ones
SELECT count(*) FROM rejecting;
SELECT string_agg(n::text, ' ' ORDER BY n) FROM rejecting;
SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT * FROM rejecting OFFSET 0) all_of_it;
SELECT count(*), count(i), count(p), count(r) FROM rejecting;
SELECT count(*) AS n, (SELECT count(*) FROM (SELECT * FROM nulling OFFSET 0) x) AS all_of_it FROM nulling;
SELECT count(*) FROM stopping;
SELECT count(*) AS n, (SELECT count(i) FROM separated) AS i FROM separated;
SELECT count(*) AS n, (SELECT count(i) FROM tabbed) AS i FROM tabbed;
SELECT count(*) AS n, (SELECT count(n) FROM lines) AS i FROM lines;

-- nor does it on a view that comes later
CREATE VIEW counted WITH (streaming.trigger = 'manual') AS SELECT count(*) FROM rejecting;
SELECT streaming.drain('counted');
TABLE counted;
CREATE VIEW read WITH (streaming.trigger = 'manual') AS SELECT count(*), sum(i) FROM rejecting;
SELECT streaming.drain('read');
TABLE read;
TABLE counted;
SELECT substring(convert_from(payload, 'UTF8'), '"n": (\d+)') AS n, error FROM streaming.rejected_rows
WHERE stream = 'rejecting'::regclass ORDER BY 1;

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
DROP DOMAIN positive, required;
