-- Avro object container files, made by test/avro/make_files with another implementation.
\getenv builddir PG_ABS_BUILDDIR
\set dir :builddir '/directory_avro'
\set make 'rm -rf \'' :dir '\'; mkdir -p \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'make';
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path :'dir');
CREATE FOREIGN TABLE visits (page text, ms int, at timestamptz, tags text[],
    file text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line'))
    SERVER landing OPTIONS (path '*.avro', format 'avro');
CREATE FOREIGN TABLE resolved (page text, ms bigint, kind text, file text OPTIONS (metadata 'path'))
    SERVER landing OPTIONS (path '[!b]*.avro', format 'avro', avro_schema '{"type": "record", "name": "Seen", "fields": [
        {"name": "page", "type": ["null", "string"], "aliases": ["url"]}, {"name": "ms", "type": "long"},
        {"name": "kind", "type": "string", "default": "file"}]}');
CREATE VIEW per_file WITH (streaming.trigger = 'manual') AS
    SELECT regexp_replace(file, '.*/', '') AS file, count(*), sum(ms), min(page), max(page), min(at) AT TIME ZONE 'UTC' AS first, max(line) AS line
    FROM visits GROUP BY 1;
CREATE VIEW seen WITH (streaming.trigger = 'manual') AS SELECT kind, count(*), count(page) AS pages, sum(ms) FROM resolved GROUP BY 1;
CREATE VIEW stepped WITH (streaming.trigger = 'manual', streaming.max_rows_per_trigger = 7) AS
    SELECT page, ms, tags, file, line FROM visits;

-- each codec; the same schema and others
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/null.avro\''
COPY (VALUES ('T2JqAQQUYXZyby5jb2RlYwhudWxsFmF2cm8uc2NoZW1h/gJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAiVmlzaXQiLCAiZmllbGRzIjogW3sibmFtZSI6ICJwYWdlIiwgInR5cGUiOiAic3RyaW5nIn0sIHsibmFtZSI6ICJtcyIsICJ0eXBlIjogImludCJ9LCB7Im5hbWUiOiAiYXQiLCAidHlwZSI6IHsibG9naWNhbFR5cGUiOiAidGltZXN0YW1wLW1pbGxpcyIsICJ0eXBlIjogImxvbmcifX1dfQAwMTIzNDU2Nzg5YWJjZGVmEsoBDi9udWxsLzAAtxcOL251bGwvMRS1Fw4vbnVsbC8yKLMXDi9udWxsLzM8sRcOL251bGwvNFCvFw4vbnVsbC81ZK0XDi9udWxsLzZ4qxcOL251bGwvN4wBqRcOL251bGwvOKABpxcwMTIzNDU2Nzg5YWJjZGVmEM4BDi9udWxsLzm0AaUXEC9udWxsLzEwyAGjFxAvbnVsbC8xMdwBoRcQL251bGwvMTLwAZ8XEC9udWxsLzEzhAKdFxAvbnVsbC8xNJgCmxcQL251bGwvMTWsApkXEC9udWxsLzE2wAKXFzAxMjM0NTY3ODlhYmNkZWYGThAvbnVsbC8xN9QClRcQL251bGwvMTjoApMXEC9udWxsLzE5/AKRFzAxMjM0NTY3ODlhYmNkZWY=')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/deflate.avro\''
COPY (VALUES ('T2JqAQQUYXZyby5jb2RlYw5kZWZsYXRlFmF2cm8uc2NoZW1h/gJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAiVmlzaXQiLCAiZmllbGRzIjogW3sibmFtZSI6ICJwYWdlIiwgInR5cGUiOiAic3RyaW5nIn0sIHsibmFtZSI6ICJtcyIsICJ0eXBlIjogImludCJ9LCB7Im5hbWUiOiAiYXQiLCAidHlwZSI6IHsibG9naWNhbFR5cGUiOiAidGltZXN0YW1wLW1pbGxpcyIsICJ0eXBlIjogImxvbmcifX1dfQAwMTIzNDU2Nzg5YWJjZGVmEGoT0U9JTctJLEnVN2BgEIFzDEWYEBwjDRYEx9iGDcExCeBAcExTuBAcswoeBMe8h5EPACr7HjAxMjM0NTY3ODlhYmNkZWYOchPRT0lNy0ksSdW3WMAoIALnWW5hFBKD8wwNTjCKIHEN7zCKIXGNPjBKIHGNW5ikkLgmM5hkAF74HzAxMjM0NTY3ODlhYmNkZWYKWhPTT0lNy0ksSdU3NF3DJCeG4JodYFJA4ppfYVJC4lq8YFJB4lr+YVIDAGofFzAxMjM0NTY3ODlhYmNkZWY=')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/zstandard.avro\''
COPY (VALUES ('T2JqAQQUYXZyby5jb2RlYxJ6c3RhbmRhcmQWYXZyby5zY2hlbWH+AnsidHlwZSI6ICJyZWNvcmQiLCAibmFtZSI6ICJWaXNpdCIsICJmaWVsZHMiOiBbeyJuYW1lIjogInBhZ2UiLCAidHlwZSI6ICJzdHJpbmcifSwgeyJuYW1lIjogIm1zIiwgInR5cGUiOiAiaW50In0sIHsibmFtZSI6ICJhdCIsICJ0eXBlIjogeyJsb2dpY2FsVHlwZSI6ICJ0aW1lc3RhbXAtbWlsbGlzIiwgInR5cGUiOiAibG9uZyJ9fV19ADAxMjM0NTY3ODlhYmNkZWYOeii1L/0gcKUBADQCGC96c3RhbmRhcmQvMAC4FzEUujIovDM8vjRQwDVkwjZ4xBcGAOAY4BjgGOAY4BiGm0swMTIzNDU2Nzg5YWJjZGVmDIQBKLUv/SBpzQEAlAIYL3pzdGFuZGFyZC83jAHGFzigAcg5tAHKFxoxMMgBzDHcAc4y8AHQFwUAQCY1pQZxAQdJ3FwCMDEyMzQ1Njc4OWFiY2RlZgx+KLUv/SBstQEAdAIaL3pzdGFuZGFyZC8xM4QC0hc0mALUNawC1jbAAtg31ALaOOgC3BcFAEAmQCZAJkAm6phhMDEyMzQ1Njc4OWFiY2RlZgI2KLUv/SASkQAAGi96c3RhbmRhcmQvMTn8At4XMDEyMzQ1Njc4OWFiY2RlZg==')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/second.avro\''
COPY (VALUES ('T2JqAQQUYXZyby5jb2RlYwhudWxsFmF2cm8uc2NoZW1h+AJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAiVmlzaXQiLCAiZmllbGRzIjogW3sibmFtZSI6ICJtcyIsICJ0eXBlIjogImxvbmcifSwgeyJuYW1lIjogInRhZ3MiLCAidHlwZSI6IHsidHlwZSI6ICJhcnJheSIsICJpdGVtcyI6ICJzdHJpbmcifX0sIHsibmFtZSI6ICJ1cmwiLCAidHlwZSI6IFsibnVsbCIsICJzdHJpbmciXX1dfQAwMTIzNDU2Nzg5YWJjZGVmCEgAAAIELzACAgJhAAAEBAJhAmEAAgQvMgYGAmECYQJhAAIELzMwMTIzNDU2Nzg5YWJjZGVm')) TO PROGRAM :'put';
SELECT streaming.drain('per_file'), streaming.drain('seen');
SELECT * FROM per_file ORDER BY file;
SELECT * FROM seen;
SELECT page, ms, tags FROM visits WHERE file LIKE '%second%' ORDER BY ms;
SELECT * FROM per_file EXCEPT ALL
    SELECT regexp_replace(file, '.*/', '') AS file, count(*), sum(ms), min(page), max(page), min(at) AT TIME ZONE 'UTC' AS first, max(line) AS line
    FROM visits GROUP BY 1;

-- files that are none, or not whole
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/broken.avro\''
COPY (VALUES ('T2JqAQQUYXZyby5jb2RlYwhudWxsFmF2cm8uc2NoZW1h/gJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAiVmlzaXQiLCAiZmllbGRzIjogW3sibmFtZSI6ICJwYWdlIiwgInR5cGUiOiAic3RyaW5nIn0sIHsibmFtZSI6ICJtcyIsICJ0eXBlIjogImludCJ9LCB7Im5hbWUiOiAiYXQiLCAidHlwZSI6IHsibG9naWNhbFR5cGUiOiAidGltZXN0YW1wLW1pbGxpcyIsICJ0eXBlIjogImxvbmcifX1dfQAwMTIzNDU2Nzg5YWJjZGVmEsoBDi9udWxsLzAAtxcOL251bGwvMRS1Fw4vbnVsbC8yKLMXDi9udWxsLzM8sRcOL251bGwvNFCvFw4vbnVsbC81ZK0XDi9udWxsLzZ4qxd+L251bGwvN4wBqRcOL251bGwvOKABpxcwMTIzNDU2Nzg5YWJjZGVmEM4BDi9udWxsLzm0AaUXEC9udWxsLzEwyAGjFxAvbnVsbC8xMdwBoRcQL251bGwvMTLwAZ8XEC9udWxsLzEzhAKdFxAvbnVsbC8xNJgCmxcQL251bGwvMTWsApkXEC9udWxsLzE2wAKXFzAxMjM0NTY3ODlhYmNkZWYGThAvbnVsbC8xN9QClRcQL251bGwvMTjoApMXEC9udWxsLzE5/AKRFzAxMjM0NTY3ODlhYmNkZWY=')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/bcut.avro\''
COPY (VALUES ('T2JqAQQUYXZyby5jb2RlYw5kZWZsYXRlFmF2cm8uc2NoZW1h/gJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAiVmlzaXQiLCAiZmllbGRzIjogW3sibmFtZSI6ICJwYWdlIiwgInR5cGUiOiAic3RyaW5nIn0sIHsibmFtZSI6ICJtcyIsICJ0eXBlIjogImludCJ9LCB7Im5hbWUiOiAiYXQiLCAidHlwZSI6IHsibG9naWNhbFR5cGUiOiAidGltZXN0YW1wLW1pbGxpcyIsICJ0eXBlIjogImxvbmcifX1dfQAwMTIzNDU2Nzg5YWJjZGVmEGoT0U9JTctJLEnVN2BgEIFzDEWYEBwjDRYEx9iGDcExCeBAcExTuBAcswoeBMe8h5EPACr7HjAxMjM0NTY3ODlhYmNkZWYOchPRT0lNy0ksSdW3WMAoIALnWW5hFBKD8wwNTjCKIHEN7zCKIXGNPjBKIHGNW5ikkLgmM5hkAF74HzAxMjM0NTY3ODlhYmNkZWYKWhPTT0lNy0ksSdU3NF3DJCeG4JodYFJA4ppfYVJC4lo=')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/bhuge.avro\''
COPY (VALUES ('T2JqAQQUYXZyby5jb2RlYw5kZWZsYXRlFmF2cm8uc2NoZW1h/gJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAiVmlzaXQiLCAiZmllbGRzIjogW3sibmFtZSI6ICJwYWdlIiwgInR5cGUiOiAic3RyaW5nIn0sIHsibmFtZSI6ICJtcyIsICJ0eXBlIjogImludCJ9LCB7Im5hbWUiOiAiYXQiLCAidHlwZSI6IHsibG9naWNhbFR5cGUiOiAidGltZXN0YW1wLW1pbGxpcyIsICJ0eXBlIjogImxvbmcifX1dfQAwMTIzNDU2Nzg5YWJjZGVmAoCAgICAgICAQA==')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/btext.avro\''
COPY (VALUES ('eyJwYWdlIjogIi8ifQo=')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/bempty.avro\''
COPY (VALUES ('')) TO PROGRAM :'put';
\set put 'base64 -d > \'' :dir '/.part\' && mv \'' :dir '/.part\' \'' :dir '/bschema.avro\''
COPY (VALUES ('T2JqAQIWYXZyby5zY2hlbWEKImludCIAMDEyMzQ1Njc4OWFiY2RlZg==')) TO PROGRAM :'put';
SELECT streaming.drain('per_file');
SELECT * FROM per_file WHERE file LIKE 'b%' ORDER BY file;
SELECT regexp_replace(path, '.*/', '') AS file, split_part(position, ':', 2) AS record, error FROM streaming.rejected_rows
WHERE stream = 'visits'::regclass ORDER BY 1, split_part(position, ':', 2)::int;
SELECT streaming.drain('stepped');
SELECT count(*), (SELECT count(*) > 10 FROM streaming.batches WHERE view = 'stepped'::regclass) AS in_steps FROM stepped;
SELECT * FROM stepped EXCEPT ALL SELECT page, ms, tags, file, line FROM visits;
SELECT page, ms, tags, file, line FROM visits EXCEPT ALL SELECT * FROM stepped;

-- options
CREATE FOREIGN TABLE bad (a int) SERVER landing OPTIONS (path '*', format 'avro', compression 'gzip');
CREATE FOREIGN TABLE bad (a int) SERVER landing OPTIONS (path '*', format 'avro', header 'true');

\set clean 'rm -rf \'' :dir '\'; cat > /dev/null'
COPY (SELECT 1) TO PROGRAM :'clean';
SET client_min_messages = warning;
DROP SERVER landing CASCADE;
