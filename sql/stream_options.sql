-- Options of streams are checked when they are given, each error with a hint.
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere');

-- a stream of each kind
CREATE FOREIGN TABLE clicks (
    user_id text,
    url     text        OPTIONS (field 'pageUrl'),
    at      timestamptz OPTIONS (watermark '10 seconds', time_format 'epoch_ms'),
    k       bytea       OPTIONS (metadata 'key'),
    part    int         OPTIONS (metadata 'partition'),
    pos     bigint      OPTIONS (metadata 'offset'),
    sent    timestamptz OPTIONS (metadata 'timestamp'),
    headers jsonb       OPTIONS (metadata 'headers')
) SERVER broker OPTIONS (topic 'clicks', format 'json', start 'latest', key 'user_id, url', on_error 'null');
CREATE FOREIGN TABLE orders (
    id      int,
    path    text        OPTIONS (metadata 'path'),
    line    bigint      OPTIONS (metadata 'line')
) SERVER landing OPTIONS (path 'orders/*.csv', format 'csv', header 'match', delimiter ';', compression 'gzip');
CREATE FOREIGN TABLE events (a int, at timestamp OPTIONS (watermark '0')) SERVER streaming
    OPTIONS (durable 'false', retention '1 day');

-- of a foreign table
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topc 'x');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (format 'json');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic '');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic '^clicks(');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic '^(a+)+\1$');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic '^(?=a*(?=a*(?!b)))');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic '^((((a{200}){200}){200}){200})');
DO $$
BEGIN
    EXECUTE format('CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic %L)', '^' || repeat('a', 1000));
EXCEPTION WHEN program_limit_exceeded THEN
    RAISE NOTICE '%', SQLERRM;
END $$;
CREATE FOREIGN TABLE many (a int) SERVER broker OPTIONS (topic '^clicks-');
ALTER FOREIGN TABLE many OPTIONS (SET topic '^(?!test-).*-clicks$');
ALTER FOREIGN TABLE many OPTIONS (SET topic '^*');
ALTER FOREIGN TABLE many OPTIONS (SET topic '^(clicks|views)-[a-z]{2}$');
INSERT INTO many VALUES (1);
IMPORT FOREIGN SCHEMA topics LIMIT TO ("^clicks") FROM SERVER broker INTO public;
DROP FOREIGN TABLE many;
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'jsn');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'avro');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', avro_schema '{"type": "record", "name": "R", "fields": []}');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'avro', avro_schema '{');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'avro', avro_schema '{"type": "record", "name": "R"}');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'avro', avro_schema '{"type": "array", "items": "Item"}');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'avro', avro_schema '"int"');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf');
CREATE FOREIGN TABLE bad (a int) SERVER landing OPTIONS (path 'x', format 'protobuf');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', protobuf_schema 'syntax = "proto3"; message A {}');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_message 'A');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'message A { int32 a = 1');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema E'syntax = "proto3";\nmessage A { int32 = 1; }');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'syntax = "proto3"; message A { B b = 1; }');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'message A { optional int32 a = 1; optional int32 b = 1; }');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'message A { optional int32 a = 0; }');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'edition = "2023"; message A {}');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'syntax = "proto3"; message A {} message B {}');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'syntax = "proto3"; message A {}', protobuf_message 'B');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'syntax = "proto3"; enum A { X = 0; }');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema 'message');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema '\x0a');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema '');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', on_error 'ignore');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', start 'soon');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', start 'infinity');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', key 'b');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', key ',');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', quote '"');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'csv', quote 'ab');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', format 'csv', encoding 'klingon');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', header 'true');
CREATE FOREIGN TABLE bad (a int) SERVER landing;
CREATE FOREIGN TABLE bad (a int) SERVER landing OPTIONS (path '/etc/*');
CREATE FOREIGN TABLE bad (a int) SERVER landing OPTIONS (path 'a/../../etc/*');
CREATE FOREIGN TABLE bad (a int) SERVER landing OPTIONS (path '*', compression 'lzma');
CREATE FOREIGN TABLE bad (a int) SERVER landing OPTIONS (path '*', topic 'x');
CREATE FOREIGN TABLE bad (a int) SERVER streaming OPTIONS (durable 'perhaps');
CREATE FOREIGN TABLE bad (a int) SERVER streaming OPTIONS (retention '-1 day');
CREATE FOREIGN TABLE bad (a int) SERVER streaming OPTIONS (format 'json');

-- of a column
CREATE FOREIGN TABLE bad (a int OPTIONS (feild 'x')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a int OPTIONS (topic 'x')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', on_lost_offset 'ignore');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', on_lost_offset 'skip', on_error 'stop');
CREATE FOREIGN TABLE bad (a int) SERVER broker OPTIONS (topic 'x', group_id '');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'ofset')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'path')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a int OPTIONS (metadata 'partition', field 'x')) SERVER broker OPTIONS (topic 'x');
SELECT repeat('a.', 99) || 'a\.b' AS path, repeat('a.', 100) || 'a' AS too_deep \gset
CREATE FOREIGN TABLE bad (a int OPTIONS (field :'path'), b int OPTIONS (field :'too_deep')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a text OPTIONS (metadata 'headers')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a date OPTIONS (metadata 'timestamp')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a text OPTIONS (time_format 'epoch_s')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a timestamp OPTIONS (time_format 'epoch')) SERVER broker OPTIONS (topic 'x');
CREATE FOREIGN TABLE bad (a int OPTIONS (watermark '1 s')) SERVER streaming;
CREATE FOREIGN TABLE bad (a timestamp OPTIONS (watermark 'a while')) SERVER streaming;
CREATE FOREIGN TABLE bad (a timestamp OPTIONS (watermark '-1 s')) SERVER streaming;
CREATE FOREIGN TABLE bad (a timestamp OPTIONS (watermark '1 s'), b timestamp OPTIONS (watermark '1 s')) SERVER streaming;

-- ALTER is checked in the same way, and changes nothing where it fails
ALTER FOREIGN TABLE clicks OPTIONS (DROP topic);
ALTER FOREIGN TABLE clicks ALTER COLUMN pos TYPE int;
ALTER FOREIGN TABLE clicks ADD COLUMN again timestamptz OPTIONS (watermark '1 s');
ALTER FOREIGN TABLE clicks RENAME COLUMN url TO uri;
ALTER FOREIGN TABLE clicks DROP COLUMN headers, ALTER COLUMN part TYPE bigint;
ALTER FOREIGN TABLE clicks OPTIONS (SET key 'user_id', DROP on_error);
ALTER FOREIGN TABLE clicks RENAME COLUMN url TO uri;
\d clicks
DROP FOREIGN TABLE clicks, orders, events;
DROP SERVER broker, landing;
