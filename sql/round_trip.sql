-- Rows of all kinds, written into files in every format, come back as they were.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/round_trip'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; chmod 777 \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';

CREATE SERVER there FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE TYPE mood AS ENUM ('sad', 'very happy, "so"');
CREATE TYPE pair AS (a int, b text, at timestamptz);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE kinds (
    i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, b bool,
    t text, v varchar(20), c char(5), bt bytea,
    d date, ts timestamp, tz timestamptz, tm time, iv interval,
    jb jsonb, js json, u uuid, ip inet, m mood, p pair, po positive,
    ta text[], ia int[], tza timestamptz[], pa pair[], r tstzrange, rc regclass,
    ms timestamptz, s timestamp, bits bit varying);
INSERT INTO kinds VALUES
    (1, 2, 3, 1.5, 2.25, 1.500, true, 'plain', 'v', 'c', '\x00ff5c22',
     '2024-02-29', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+02', '12:34:56.7', '1 mon 2 days 03:04:05.6',
     '{"a": [1, null, "x\ny"]}', E'{"a" :\n   1}', '6b4a2f0e-58c6-4d1c-8b42-3a5a2f2b6a11', '10.0.0.1/8', 'sad', (1, 'x,"y"\', '2024-01-01'), 1,
     '{a,NULL,"b,\"c\\"}', '{{1,2},{3,4}}', '{2024-01-01,infinity}', ARRAY[(1, 'a', null)::pair, null, (2, '', '2024-01-01 00:00:00.000001')::pair], '[2024-01-01,)', 'pg_class',
     '2024-01-01 00:00:00.123456', '1960-01-01 00:00:00.000001', '10101'),
    (-32768, -2147483648, -9223372036854775808, '-Infinity', '1.7976931348623157e308', 'NaN', false, '', '', '', '',
     '-infinity', 'infinity', '-infinity', '00:00', '-1 year -00:00:00.000001',
     '{}', '"s"', null, '::1', 'very happy, "so"', (null, null, null), null,
     '{}', '{}', '{}', '{}', 'empty', 'streaming.files',
     '0001-01-01 00:00:00 BC', '294246-12-31 23:59:59.999999', ''),
    (32767, 2147483647, 9223372036854775807, 'NaN', '-0', '-Infinity', null,
     E'tab\t nl\n cr\r bs\\ q" q'' , | ; \\. \\N \x01\x08\x0b\x0c\x1f', E'\\N', 'a b  ', '\x0a0d',
     '4713-01-01 BC', '4713-01-01 00:00:00 BC', '1800-01-01 00:00:00+00', '24:00', '178000000 years',
     '"\u0041\\"', E'[1,\n2]', null, null, null, null, 5,
     ARRAY[E'\n', E'\t\\', '"', '', 'NULL', null], '{-1,2}', null, null, null, 'kinds',
     '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.9', null),
    (0, 0, 0, 1e-45, 5e-324, 123456789012345678901234567890.000000001, null, '\.', '\.', '\.', null,
     '5874897-12-31', '2000-01-01 00:00:00.1', '2000-01-01', '23:59:59.999999', '0',
     '123', 'false', null, null, null, (1, E'a\nb', null), 2, '{" x "}', null, null, null, null, null, null, null, null),
    (1, 1, 1, 3.4028235e38, 0.1, 1e-20, true, 'NULL', 'NA', '-', null, '0044-03-15 BC', null, '0044-03-15 00:00:00+00 BC', null, null,
     '[]', '0', null, null, null, null, null, null, null, null, null, null, null, null, null, null);
INSERT INTO kinds DEFAULT VALUES;
INSERT INTO kinds (i4, t) SELECT g, repeat(chr(g), g) || chr(g) || 'x' || repeat('y', g % 9) FROM generate_series(1, 127) g;
INSERT INTO kinds (i4, t) SELECT g, repeat('long "text" ', 10000 * g) FROM generate_series(1, 3) g;
INSERT INTO kinds (f4, f8, n, tz)
    SELECT (x - 0.5) * 10 ^ (y * 60 - 30), (x - 0.5) * 10 ^ (y * 600 - 300), (x * 10 ^ (y * 20 - 10))::numeric, '2020-01-01'::timestamptz + x * interval '1000 years'
    FROM (SELECT abs(hashint4(g)) / 2147483648.0 AS x, abs(hashint4(-g)) / 2147483648.0 AS y FROM generate_series(1, 500) g) r;

-- how a foreign table of these columns is written, by the options that matter
CREATE FUNCTION make_stream(name text, options text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    columns text;
BEGIN
    SELECT string_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod),
               CASE attname WHEN 'ms' THEN ' OPTIONS (time_format ''epoch_ms'')'
                            WHEN 's' THEN ' OPTIONS (time_format ''epoch_s'')'
                            WHEN 't' THEN ' OPTIONS (field ''the "field"'')' ELSE '' END), ', ' ORDER BY attnum)
        INTO columns FROM pg_attribute WHERE attrelid = 'kinds'::regclass AND attnum > 0;
    EXECUTE format('CREATE FOREIGN TABLE %I (file text OPTIONS (metadata ''path''), %s) SERVER there OPTIONS (path %L, file_interval ''0'', %s)',
        name, columns, name || '-*', options);
END $$;
SELECT make_stream('f_json', $$format 'json'$$),
       make_stream('f_csv', $$format 'csv'$$),
       make_stream('f_csv_header', $$format 'csv', header 'match', null '-'$$),
       make_stream('f_csv_quote', $$format 'csv', delimiter ';', quote '''', escape '\', null 'NULL', compression 'gzip'$$),
       make_stream('f_text', $$format 'text', compression 'zstd'$$),
       make_stream('f_text_null', $$format 'text', delimiter '|', null 'NULL'$$);

-- what output functions write must not depend on the session
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = 0;
SET timezone = 'America/St_Johns';
DO $$
DECLARE
    name text;
    columns text := (SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'kinds'::regclass AND attnum > 0);
BEGIN
    FOREACH name IN ARRAY ARRAY['f_json', 'f_csv', 'f_csv_header', 'f_csv_quote', 'f_text', 'f_text_null'] LOOP
        EXECUTE format('INSERT INTO %I (%s) SELECT * FROM kinds', name, columns);
    END LOOP;
END $$;
RESET datestyle;
RESET intervalstyle;
RESET extra_float_digits;
RESET timezone;

CREATE FUNCTION count_of(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint := 0;
BEGIN
    FOR i IN 1 .. 3000 LOOP
        EXECUTE format('SELECT count(*) FROM %I', name) INTO n;
        EXIT WHEN n > 0;
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN n;
END $$;
CREATE FUNCTION differences(name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    columns text;
BEGIN
    -- json has no equality; JSON's null is SQL's
    SELECT string_agg(CASE attname WHEN 'js' THEN 'js::jsonb' ELSE attname END, ', ' ORDER BY attnum)
        INTO columns FROM pg_attribute WHERE attrelid = 'kinds'::regclass AND attnum > 0;
    RETURN QUERY EXECUTE format(
        '(SELECT ''missing '' || left(x::text, 200) FROM (SELECT %1$s FROM kinds EXCEPT ALL SELECT %1$s FROM %2$I) x LIMIT 5)
         UNION ALL (SELECT ''extra '' || left(x::text, 200) FROM (SELECT %1$s FROM %2$I EXCEPT ALL SELECT %1$s FROM kinds) x LIMIT 5)',
        columns, name);
END $$;
SELECT name, count_of(name) = (SELECT count(*) FROM kinds) AS all_there FROM unnest(ARRAY['f_json', 'f_csv', 'f_csv_header', 'f_csv_quote', 'f_text', 'f_text_null']) name;
SELECT name, differences(name) FROM unnest(ARRAY['f_json', 'f_csv', 'f_csv_header', 'f_csv_quote', 'f_text', 'f_text_null']) name;

-- JSON is that of row_to_json
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET timezone = 'America/St_Johns';
CREATE FOREIGN TABLE lines (line text) SERVER there OPTIONS (path 'f_json-*', format 'text');
SELECT count(*) FROM (
    SELECT line::jsonb - 'ms' - 's' - 'the "field"' - 'rc' FROM lines
    EXCEPT ALL
    SELECT to_jsonb(k) - 'ms' - 's' - 't' - 'rc' FROM kinds k) x;
RESET datestyle;
RESET intervalstyle;
RESET timezone;
SELECT line::json -> 'ms' AS ms, line::json -> 's' AS s, line::json -> 'rc' AS rc, line::json -> 'js' AS js FROM lines WHERE line::jsonb -> 'ms' <> 'null' ORDER BY 1::text, 2::text;

-- one column, where a line can be empty
CREATE TABLE one (t text);
INSERT INTO one VALUES (''), (NULL), ('\.'), ('N'), ('\N'), (E'\n'), (E'a\r'), ('\'), ('"'), (' '), ('b'), (E'\t');
CREATE FOREIGN TABLE one_csv (t text) SERVER there OPTIONS (path 'one_csv-*', format 'csv', file_interval '0');
CREATE FOREIGN TABLE one_csv_null (t text) SERVER there OPTIONS (path 'one_csvn-*', format 'csv', null 'N', file_interval '0');
CREATE FOREIGN TABLE one_text (t text) SERVER there OPTIONS (path 'one_text-*', format 'text', null '\N', file_interval '0');
CREATE FOREIGN TABLE one_text_null (t text) SERVER there OPTIONS (path 'one_textn-*', format 'text', null 'N', file_interval '0');
CREATE FOREIGN TABLE one_line (t text) SERVER there OPTIONS (path 'one_line-*', format 'text', file_interval '0');
INSERT INTO one_csv SELECT * FROM one;
INSERT INTO one_csv_null SELECT * FROM one;
INSERT INTO one_text SELECT * FROM one;
INSERT INTO one_text_null SELECT * FROM one;
INSERT INTO one_line SELECT * FROM one WHERE t !~ E'[\n\r]';
SELECT name, count_of(name) FROM unnest(ARRAY['one_csv', 'one_csv_null', 'one_text', 'one_text_null', 'one_line']) name;
(TABLE one EXCEPT ALL TABLE one_csv) UNION ALL (TABLE one_csv EXCEPT ALL TABLE one);
(TABLE one EXCEPT ALL TABLE one_csv_null) UNION ALL (TABLE one_csv_null EXCEPT ALL TABLE one);
(TABLE one EXCEPT ALL TABLE one_text) UNION ALL (TABLE one_text EXCEPT ALL TABLE one);
(TABLE one EXCEPT ALL TABLE one_text_null) UNION ALL (TABLE one_text_null EXCEPT ALL TABLE one);
(SELECT * FROM one WHERE t !~ E'[\n\r]' EXCEPT ALL TABLE one_line) UNION ALL (TABLE one_line EXCEPT ALL TABLE one);

-- what a format cannot hold is refused
INSERT INTO one_line VALUES (NULL);
INSERT INTO one_line VALUES (E'two\nlines');
INSERT INTO f_json (ms) VALUES ('infinity');
CREATE FOREIGN TABLE nothing (file text OPTIONS (metadata 'path')) SERVER there OPTIONS (path 'nothing-*');
INSERT INTO nothing VALUES ('x');
CREATE FOREIGN TABLE twice (a int, b int OPTIONS (field 'a')) SERVER there OPTIONS (path 'twice-*');
INSERT INTO twice VALUES (1, 2);

SELECT error FROM streaming.rejected_rows;
\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER there CASCADE;
DROP TABLE kinds, one;
DROP TYPE mood, pair;
DROP DOMAIN positive;
DROP FUNCTION make_stream, count_of, differences;
