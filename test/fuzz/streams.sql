-- The streams whose records test/fuzz/server makes up: of each format, with columns of all
-- types that it has ways of its own for.

CREATE FUNCTION streaming_fuzz(target text, stream regclass, arguments text[]) RETURNS void LANGUAGE C STRICT AS '$libdir/streaming';

CREATE SERVER files FOREIGN DATA WRAPPER directory OPTIONS (path '/nowhere');
CREATE SERVER messages FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE SERVER avro FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', schema_registry 'http://avro');
CREATE SERVER protobuf FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', schema_registry 'http://protobuf');
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TYPE pair AS (x int, y text);

CREATE FOREIGN TABLE json_record (a int, b bigint, c text, d numeric, e float8, f boolean, g timestamptz, h jsonb, i json, j text[], k pair, l small, m date, n uuid, o bytea,
	p text OPTIONS (field 'in.ner.text'), q interval, r float4, s int2, t char(3), u varchar(5), v pair[], w time, x timestamp, y inet, z int[])
	SERVER messages OPTIONS (topic 't');
CREATE FOREIGN TABLE json_null (a int, b numeric, c text, d timestamptz, e jsonb, f int[], g pair) SERVER messages OPTIONS (topic 't', on_error 'null');
CREATE FOREIGN TABLE json_keyed (id int OPTIONS (metadata 'key:id'), name text OPTIONS (metadata 'key:na.me'), whole text OPTIONS (metadata 'key'), a int)
	SERVER messages OPTIONS (topic 't', key_format 'json');
CREATE FOREIGN TABLE json_file (a int, c text, dt date OPTIONS (metadata 'partition:dt'), n int OPTIONS (metadata 'partition:n'), p text OPTIONS (metadata 'path')) SERVER files OPTIONS (path '**');
CREATE FOREIGN TABLE debezium (id bigint, customer text, amount numeric, big text, at timestamptz, day int, ok boolean, tags jsonb)
	SERVER messages OPTIONS (topic 't', changes 'debezium', key 'id');
CREATE FOREIGN TABLE upsert (id int OPTIONS (metadata 'key:id'), a int, b text) SERVER messages OPTIONS (topic 't', key_format 'json', changes 'upsert', key 'id');
CREATE FOREIGN TABLE csv_file (a int, b text, c numeric, d timestamptz, e jsonb, f boolean) SERVER files OPTIONS (path '*', format 'csv');
CREATE FOREIGN TABLE csv_header (a int, "B b" text, c text[]) SERVER files OPTIONS (path '*', format 'csv', header 'match', delimiter ';', quote '''', escape '\');
CREATE FOREIGN TABLE csv_sjis (a text, b text) SERVER files OPTIONS (path '*', format 'csv', encoding 'sjis');
CREATE FOREIGN TABLE text_file (a int, b text, c text) SERVER files OPTIONS (path '*', format 'text');
CREATE FOREIGN TABLE avro_file (id bigint, i int, l bigint, f real, d double precision, b boolean, s text, raw bytea, fx bytea, e text, dec_bytes numeric, dec_fixed numeric, dt date, tm time,
	tu time, ts timestamptz, tsu timestamptz, lts timestamp, u uuid, dur interval, opt bigint, gen jsonb, nested jsonb, arr int[], times timestamptz[], m jsonb, people jsonb, tree jsonb)
	SERVER files OPTIONS (path '*', format 'avro');
CREATE FOREIGN TABLE avro_registry (a int, b text, c numeric, d jsonb, e timestamptz, f int[], g pair, h bytea, i uuid, j text OPTIONS (field 'd.x')) SERVER avro OPTIONS (topic 't', format 'avro');
CREATE FOREIGN TABLE avro_wanted (a int, b text, c numeric, d jsonb, e text[], f bigint) SERVER avro OPTIONS (topic 't', format 'avro', avro_schema
	'{"type": "record", "name": "R", "aliases": ["Old"], "fields": [{"name": "a", "type": "long", "default": 1}, {"name": "b", "type": ["null", "string"], "default": null, "aliases": ["bb"]},
	{"name": "c", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 3}, "default": "\u0001"}, {"name": "d", "type": ["null", {"type": "map", "values": ["int", "R"]}], "default": null},
	{"name": "e", "type": {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["X", "Y"], "default": "X"}}, "default": ["Y"]},
	{"name": "f", "type": {"type": "record", "name": "In", "fields": [{"name": "x", "type": "double"}]}, "default": {"x": 2}}]}');
CREATE FOREIGN TABLE avro_keyed (k int OPTIONS (metadata 'key:k'), kk text OPTIONS (metadata 'key:kk'), a int) SERVER messages OPTIONS (topic 't', key_format 'avro', key_avro_schema
	'{"type": "record", "name": "K", "fields": [{"name": "k", "type": "int"}, {"name": "kk", "type": ["null", "string"]}]}');
CREATE FOREIGN TABLE protobuf_registry (a int, b text, c numeric, d jsonb, e timestamptz, f int[], g pair, h bytea, i interval, j text OPTIONS (field 'd.x')) SERVER protobuf OPTIONS (topic 't', format 'protobuf');
CREATE FOREIGN TABLE protobuf_record (a int, b text, c bigint[], d jsonb, e timestamptz, f interval, g jsonb, h jsonb, i numeric, j bytea, k text, l jsonb, m float8, n text, o jsonb, p jsonb) SERVER messages OPTIONS (topic 't', format 'protobuf',
	protobuf_schema 'syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/struct.proto"; import "google/protobuf/any.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/field_mask.proto";
	message M { int32 a = 1; string b = 2; repeated int64 c = 3; M d = 4; google.protobuf.Timestamp e = 5; google.protobuf.Duration f = 6; google.protobuf.Struct g = 7;
	map<string, M> h = 8; google.protobuf.UInt64Value i = 9; bytes j = 10; enum E { X = 0; Y = 5; } E k = 11; google.protobuf.Any l = 12; float m = 13; oneof one { string n = 14; repeated_not o = 15; }
	google.protobuf.FieldMask p = 16; message repeated_not { map<bool, bytes> q = 1; repeated google.protobuf.Value r = 2; repeated E s = 3; } }', protobuf_message 'M');
