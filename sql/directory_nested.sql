-- JSON: columns that are members of nested objects.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/directory_nested'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE FOREIGN TABLE visits (
    n int,
    id int OPTIONS (field 'user.id'),
    city text OPTIONS (field 'user.address.city'),
    address jsonb OPTIONS (field 'user.address'),
    dotted text OPTIONS (field 'user\.id'),
    "user.id" text,
    backslash text OPTIONS (field 'a\\.b'),
    kept text OPTIONS (field 'c\d')
) SERVER landing OPTIONS (path '*.json');

\set put 'cat > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/a.json\''
COPY (SELECT * FROM (VALUES
    ('{"n": 1, "user": {"id": 7, "address": {"city": "Oslo", "no": [1, {"id": 8}]}}, "user.id": "dot"}'),
    ('{"n": 2, "user": {"address": {}, "id": null}, "id": 9}'),
    ('{"n": 3, "user": [{"id": 7}]}'),
    ('{"n": 4, "user": "id"}'),
    ('{"n": 5, "user": null}'),
    ('{"n": 6}'),
    ('{"n": 7, "user": {"id": 1}, "user": {"id": 2, "address": 3}}'),
    ('{"n": 8, "user": {"id": "word"}}'),
    ('{"n": 9, "a\\": {"b": "below"}, "c\\d": "kept", "us\u0065r": {"\u0069d": 10}}')) x)
    TO PROGRAM :'put' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');

SELECT * FROM visits ORDER BY n;
CREATE VIEW per_city WITH (streaming.trigger = 'manual') AS SELECT city, count(*), sum(id) FROM visits GROUP BY city;
CREATE VIEW addresses WITH (streaming.trigger = 'manual') AS SELECT n, address FROM visits WHERE address IS NOT NULL;
SELECT streaming.drain('per_city'), streaming.drain('addresses');
SELECT * FROM per_city ORDER BY city;
SELECT * FROM addresses ORDER BY n;
SELECT convert_from(payload, 'UTF8') AS payload, error FROM streaming.rejected_rows WHERE stream = 'visits'::regclass;

-- a nested object cannot be put together from columns
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE topic (n int, id int OPTIONS (field 'user.id')) SERVER broker OPTIONS (topic 't');
INSERT INTO topic VALUES (1, 2);

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing, broker CASCADE;
