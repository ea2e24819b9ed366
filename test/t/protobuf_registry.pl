
# Protobuf messages whose schemas are in a registry: each has the number of the one that
# it was written with, and says which of its messages it is.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use StreamingKafka;
use StreamingRegistry;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $registry = StreamingRegistry->new;
my $node = new_node('main', 'streaming.retry_max = 500ms');

sub varint
{
	my ($bits) = @_;
	my $bytes = '';

	for (; $bits >= 0x80; $bits >>= 7) { $bytes .= chr(($bits & 0x7f) | 0x80); }
	return $bytes . chr $bits;
}

sub number  { return varint($_[0] << 3) . varint($_[1]); }
sub string  { return varint($_[0] << 3 | 2) . varint(length $_[1]) . $_[1]; }
sub message { return pack('CN', 0, $_[0]) . $_[1]; }

# --- messages of confluent-kafka's ProtobufSerializer, but for the number -------------

my $visit = $registry->add(<<'PROTO', schemaType => 'PROTOBUF');
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Other { int32 x = 1; }
message Visit {
  string page = 1;
  int32 ms = 2;
  google.protobuf.Timestamp at = 3;
  message Click { int32 x = 1; map<string, int32> m = 2; message Deep { string s = 1; } }
}
PROTO
my $topic = $kafka->create_topic('protobuf_visits', 1);
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka
	OPTIONS (${\$kafka->options}, schema_registry '${\$registry->address}/');
CREATE FOREIGN TABLE visits (page text, ms int, at timestamptz, x int, m jsonb, s text, off bigint OPTIONS (metadata 'offset'),
	schema int OPTIONS (metadata 'schema_id')) SERVER broker OPTIONS (topic '$topic', format 'protobuf');
CREATE FOREIGN TABLE known (first text, off bigint OPTIONS (metadata 'offset')) SERVER broker
	OPTIONS (topic '$topic', format 'protobuf', protobuf_schema 'syntax = "proto3"; message Known { string first = 1; }');
CREATE FOREIGN TABLE as_avro (page text) SERVER broker OPTIONS (topic '$topic', format 'avro');
CREATE VIEW seen WITH (streaming.continuous) AS SELECT * FROM visits;
CREATE VIEW pages WITH (streaming.continuous) AS SELECT page, count(*), sum(ms) AS ms FROM visits GROUP BY page;
SQL
$kafka->produce_bytes($topic, 0, [ map { my $bytes = pack 'H*', $_; substr($bytes, 1, 4) = pack 'N', $visit; $bytes }
	qw(000000000102020a032f703110641a1108ffffffffffffffffff0110c08faedc03 0000000001000807 0000000001040200080812050a01611001 0000000001060200020a0464656570) ]);
drain($node, $_) foreach qw(seen pages);
is($node->safe_psql('postgres', q(SELECT page, ms, at AT TIME ZONE 'UTC', x, m, s, off, schema FROM seen ORDER BY off)),
	"/p1|100|1969-12-31 23:59:59.999||||0|$visit\n|||7|||1|$visit\n|||8|{\"a\": 1}||2|$visit\n|||||deep|3|$visit", "confluent-kafka's messages are read");
same_as_batch($node, 'seen', 'SELECT * FROM visits');
same_as_batch($node, 'pages', 'SELECT page, count(*), sum(ms) AS ms FROM visits GROUP BY page');
is($node->safe_psql('postgres', 'SELECT first, off FROM known ORDER BY off'), "/p1|0\n|1\n|2\ndeep|3", 'the option counts, by the numbers of fields');

# --- asked once, and not of another type -----------------------------------------------

my $asked = () = $registry->requests;
$node->restart;
$kafka->produce_bytes($topic, 0, [ message($visit, "\2\2" . string(1, '/again')) ]);
drain($node, $_) foreach qw(seen pages);
is($node->safe_psql('postgres', 'SELECT page FROM seen WHERE off = 4'), '/again', 'goes on after a restart');
is(scalar(() = $registry->requests), $asked, 'without asking again');
is($node->safe_psql('postgres', 'SELECT count(*) FROM as_avro'), 0, 'Avro does not take it');
my $avro = $registry->add('{"type": "record", "name": "R", "fields": [{"name": "page", "type": "string"}]}');
$kafka->produce_bytes($topic, 0, [ message($avro, "\0x") ]);
is($node->safe_psql('postgres', 'SELECT count(*) FROM as_avro'), 0, 'nor is what follows Avro');

# --- messages that are none ----------------------------------------------------------

my $broken = $registry->add('syntax = "proto3"; message M { Missing m = 1; }', schemaType => 'PROTOBUF');
$kafka->produce_bytes($topic, 0, [ "\0\0\0", message($visit, ''), message($visit, "\2"), message($visit, "\2\x0a"), message($visit, "\1"), message($visit, "\x40" . "\2" x 40),
	message($broken, "\0"), message($visit, "\0\x0a\x05x"), message(999999, "\0"), message($visit, "\2\2" . string(1, '/end')) ]);
drain($node, 'seen');
is($node->safe_psql('postgres', 'SELECT page, off FROM seen WHERE off > 4'), '/end|15', 'goes on behind them');
is($node->safe_psql('postgres', <<'SQL'), <<"EXPECTED" =~ s/\n\z//r, 'they are rejected');
SELECT position, error FROM streaming.rejected_rows WHERE stream = 'visits'::regclass ORDER BY position::int
SQL
5|schema $avro of the schema registry is of type AVRO, not PROTOBUF
6|invalid Protobuf record (It does not begin with a zero and the number of a schema.)
7|invalid Protobuf record (It does not say which message of the schema it is.)
8|invalid Protobuf record (It does not say which message of the schema it is.)
9|schema $visit of the schema registry has no such message
10|invalid Protobuf record (It does not say which message of the schema it is.)
11|invalid Protobuf record (It does not say which message of the schema it is.)
12|invalid Protobuf schema (Type "Missing" of field "m" of message "M" is not there.)
13|invalid Protobuf record (the record ends too early, at byte 7.)
14|schema registry has no schema 999999
EXPECTED

# --- schemas that use others --------------------------------------------------------

my $city = $registry->add('syntax = "proto3"; package org.example; message City { string name = 1; }', schemaType => 'PROTOBUF');
my $address = $registry->add('syntax = "proto3"; package org.example; import "city.proto"; message Address { City city = 1; int32 zip = 2; }',
	schemaType => 'PROTOBUF', references => [ { name => 'city.proto', subject => "id-$city", version => 1 } ]);
my $customer = $registry->add('syntax = "proto3"; import "address.proto"; import "city.proto"; message Customer { org.example.Address home = 1; org.example.City born = 2; }',
	schemaType => 'PROTOBUF', references => [ { name => 'address.proto', subject => "id-$address", version => 1 }, { name => 'city.proto', subject => "id-$city", version => 1 } ]);
my $customers = $kafka->create_topic('protobuf_customers', 1);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE customers (city text OPTIONS (field 'home.city.name'), zip int OPTIONS (field 'home.zip'), born jsonb)
	SERVER broker OPTIONS (topic '$customers', format 'protobuf');
SQL
$kafka->produce_bytes($customers, 0, [ message($customer, "\0" . string(1, string(1, string(1, 'Oslo')) . number(2, 150)) . string(2, string(1, 'Bergen'))),
	message($customer, "\0" . string(1, string(1, string(1, 'Rome')) . number(2, 1))) ]);
is($node->safe_psql('postgres', 'SELECT * FROM customers ORDER BY zip'), qq(Rome|1|\nOslo|150|{"name": "Bergen"}), 'a schema uses types of others');

# Decimals as Kafka Connect writes them, and types without a place in the registry.
my $paid = $registry->add('syntax = "proto3"; import "confluent/meta.proto"; import "confluent/type/decimal.proto"; import "google/type/timeofday.proto";'
	. ' message Paid { confluent.type.Decimal amount = 1 [(confluent.field_meta) = { params: { key: "scale", value: "2" } }]; google.type.TimeOfDay at = 2; }', schemaType => 'PROTOBUF');
my $payments = $kafka->create_topic('protobuf_payments', 1);
$node->safe_psql('postgres', "CREATE FOREIGN TABLE payments (amount numeric, at jsonb, doc jsonb OPTIONS (field 'amount')) SERVER broker OPTIONS (topic '$payments', format 'protobuf')");
$kafka->produce_bytes($payments, 0, [ map { message($paid, "\0" . string(1, $_)) } string(1, "\x30\x39") . number(2, 10) . number(3, 2), string(1, "\xcf\xc7") . number(3, 3), '',
	string(1, "\x01") . number(3, 2000), string(1, 'x' x 1000) ]);
is($node->safe_psql('postgres', 'SELECT * FROM payments ORDER BY amount'), "-12.345||-12.345\n0||0\n123.45||123.45", 'decimals of Kafka Connect');

# --- writing -------------------------------------------------------------------

my $written = $kafka->create_topic('protobuf_written', 1);
my $columns = <<'SQL';
	id int, s2 smallint, s8 bigint, f4 real, f8 double precision, b boolean, t text, v varchar(10), raw bytea,
	money numeric(20,4), free numeric, d date, tm time, ts timestamptz, lts timestamp, u uuid, span interval, e color, j jsonb,
	ints int[], texts text[], p spot, spots spot[], amount positive, net inet
SQL
$node->safe_psql('postgres', <<SQL);
CREATE TYPE color AS ENUM ('red', 'green');
CREATE TYPE spot AS (x int, label text, at timestamptz, doc jsonb, price numeric(8,2));
CREATE DOMAIN positive AS numeric(10,2) CHECK (VALUE > 0);
CREATE FOREIGN TABLE written ($columns) SERVER broker OPTIONS (topic '$written', format 'protobuf');
CREATE TABLE original ($columns);
INSERT INTO original
SELECT n, (n - 100) * 300, (n - 100) * 92233720368547758, n / 3.0, 1 / (n + 0.5), n % 2 = 0, repeat('é"\\' || chr(10), n % 7), 'v' || n, decode(md5(n::text), 'hex'),
	(n - 100) * 12345678901.2345 / (n % 9 + 1), pi()::numeric ^ (n - 100), date '0004-01-01' + n * 9999, time '00:00' + n * interval '7.123456 minutes',
	timestamptz '1969-12-31 23:59:59.999999+00' + (n - 100) * interval '9 days 1.000001 seconds', timestamp '1815-06-18 11:35' + n * interval '1 year',
	md5(n::text)::uuid, n * interval '1 month 2 days 3.5 seconds', (ARRAY['red', 'green'])[n % 2 + 1]::color,
	CASE n % 5 WHEN 0 THEN 'null' WHEN 1 THEN '"é"' WHEN 2 THEN '[]' ELSE jsonb_build_object('n', n / 7.0::float8, 'a', ARRAY[n, NULL], 'o', '{"x": {}}'::jsonb) END,
	ARRAY(SELECT i FROM generate_series(1, n % 5) i), ARRAY['', 'NULL', '{'], row(n, 'x', now(), '{"a": [1]}'::jsonb, n / 7.0)::spot,
	ARRAY[row(n, NULL, NULL, '[]'::jsonb, 0)::spot, row(NULL, '"', timestamptz '2000-01-01', '1'::jsonb, 1)::spot], n, '10.0.0.1'
FROM generate_series(1, 200) n;
-- An array that is NULL comes back as an empty one.
INSERT INTO original (id, ints, texts, spots) VALUES (0, '{}', '{}', '{}'), (NULL, '{}', '{}', '{}');
INSERT INTO written SELECT * FROM original;
SQL
ok(wait_for($node, 'SELECT count(*) FROM written', '202'), 'rows are written');
is($node->safe_psql('postgres', <<'SQL'), '0', 'and come back as the same rows');
SELECT count(*) FROM ((SELECT w::text FROM written w EXCEPT ALL SELECT o::text FROM original o)
	UNION ALL (SELECT o::text FROM original o EXCEPT ALL SELECT w::text FROM written w)) x
SQL
my ($wrote) = map { $_->[3] } $kafka->consume($written);
my $derived = $registry->schema(unpack 'xN', $wrote);
is($derived, <<'PROTO', 'by a schema of the columns');
syntax = "proto3";

import "google/protobuf/struct.proto";

import "google/protobuf/timestamp.proto";

message written {
  message Row1 {
    optional int32 x = 1;
    optional string label = 2;
    optional google.protobuf.Timestamp at = 3;
    optional google.protobuf.Value doc = 4;
    optional string price = 5;
  }
  message Row2 {
    optional int32 x = 1;
    optional string label = 2;
    optional google.protobuf.Timestamp at = 3;
    optional google.protobuf.Value doc = 4;
    optional string price = 5;
  }
  optional int32 id = 1;
  optional int32 s2 = 2;
  optional int64 s8 = 3;
  optional float f4 = 4;
  optional double f8 = 5;
  optional bool b = 6;
  optional string t = 7;
  optional string v = 8;
  optional bytes raw = 9;
  optional string money = 10;
  optional string free = 11;
  optional string d = 12;
  optional string tm = 13;
  optional google.protobuf.Timestamp ts = 14;
  optional string lts = 15;
  optional string u = 16;
  optional string span = 17;
  optional string e = 18;
  optional google.protobuf.Value j = 19;
  repeated int32 ints = 20;
  repeated string texts = 21;
  optional Row1 p = 22;
  repeated Row2 spots = 23;
  optional string amount = 24;
  optional string net = 25;
}
PROTO
$node->safe_psql('postgres', 'INSERT INTO written (id) VALUES (7)');
is(scalar(grep { $_ eq "POST /subjects/$written-value/versions" } $registry->requests), 1, 'which is registered once');

# A schema that is given, and each of its types; the message is not its first.
my $given = $kafka->create_topic('protobuf_given', 1);
my $proto = <<'PROTO';
syntax = "proto3";
import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/wrappers.proto"; import "google/type/date.proto"; import "google/type/decimal.proto";
message First {}
message Outer { message Given {
  double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6; sint32 s32 = 7; sint64 s64 = 8; fixed32 f32 = 9; fixed64 f64 = 10;
  sfixed32 sf32 = 11; sfixed64 sf64 = 12; bool b = 13; string s = 14; bytes raw = 15; Color color = 16; google.protobuf.Timestamp ts = 17; google.protobuf.Duration span = 18;
  google.protobuf.Int64Value w = 19; google.type.Date day = 20; google.type.Decimal amount = 21; repeated sint32 packed = 22; repeated int64 unpacked = 23 [packed = false];
  repeated Color colors = 24; Pair pair = 25; optional int32 maybe = 26; int64 unused = 27; oneof one { int32 left = 28; string right = 29; } repeated google.protobuf.Timestamp times = 30; } }
message Pair { int32 a = 1; string b = 536870911; }
enum Color { NONE = 0; RED = 1; GREEN = -2; }
PROTO
my $given_columns = <<'SQL';
	d float8, f real, i32 int, i64 bigint, u32 bigint, u64 numeric, s32 smallint, s64 bigint, f32 bigint, f64 numeric, sf32 int, sf64 bigint, b boolean, s text, raw bytea,
	color text, ts timestamptz, span interval, w bigint, day date, amount numeric, packed int[], unpacked bigint[], colors text[], pair pair, maybe int, "left" int, "right" text, times timestamptz[]
SQL
$node->safe_psql('postgres', <<SQL);
CREATE TYPE pair AS (a int, b text);
CREATE FOREIGN TABLE given ($given_columns) SERVER broker OPTIONS (topic '$given', format 'protobuf', protobuf_schema '$proto', protobuf_message 'Outer.Given');
CREATE FOREIGN TABLE given_read ($given_columns) SERVER broker OPTIONS (topic '$given', format 'protobuf');
CREATE TABLE given_original ($given_columns);
INSERT INTO given_original
SELECT n / 3.0, n / 3.0, -n, (n - 25) * 300000000000000000, n * 80000000::bigint, n * 368934881474191032::numeric, -n, -n * 99999999999, n, n * 368934881474191032::numeric, -n, -n, n % 2 = 0,
	repeat('é', n % 3), decode(md5(n::text), 'hex'), (ARRAY['NONE', 'RED', 'GREEN'])[n % 3 + 1], timestamptz '1969-12-30' + n * interval '1 hour 0.000001 s', (n - 25) * interval '1.5 s',
	n % 3, date '0001-01-01' + n * 70000, n * 1.10, ARRAY[n, -n], ARRAY[n], ARRAY['RED', 'NONE'], row(n % 2, 'p')::pair, n % 2,
	CASE n % 3 WHEN 0 THEN 0 END, CASE n % 3 WHEN 1 THEN '' END, ARRAY[timestamptz '2000-01-01']
FROM generate_series(1, 50) n;
INSERT INTO given SELECT * FROM given_original;
SQL
ok(wait_for($node, 'SELECT count(*) FROM given', '50'), 'rows are written by a given schema');
foreach my $table (qw(given given_read))
{
	same_as_batch($node, $table, 'SELECT * FROM given_original', "all types of a given schema come back: $table");
}

# A view as the writer.
my $out = $kafka->create_topic('protobuf_out', 1);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE pages_out (page text, n bigint) SERVER broker OPTIONS (topic '$out', format 'protobuf', key 'page');
CREATE VIEW pages_view WITH (streaming.sink = 'pages_out') AS SELECT page, count(*) AS n FROM visits WHERE page <> '' GROUP BY page;
CREATE VIEW pages_seen WITH (streaming.continuous) AS SELECT * FROM pages_out;
SELECT streaming.drain('pages_view');
SQL
ok(wait_for($node, q(SELECT string_agg(page || n, ' ' ORDER BY page) FROM pages_seen), '/again1 /end1 /p11'), 'a view writes');

my $stderr;
foreach my $bad (
	[ 'a int, b text', q(INSERT INTO bad VALUES (1, 'x')), qr/schema registry does not take the schema of stream public\.bad.*option "protobuf_schema"/s, 'refused' ],
	[ 'at timestamptz', q(INSERT INTO bad VALUES ('infinity')), qr/Protobuf has no place for an infinite time, in "at"/ ],
	[ 'at timestamptz', q(INSERT INTO bad VALUES ('0044-03-15 BC')), qr/Protobuf has no place for a time outside the years 1 to 9999, in "at"/ ],
	[ 'j jsonb', q(INSERT INTO bad VALUES ('[12345678901234567890123]')), qr/number 12345678901234567890123 in "j" has more digits than a google.protobuf.Value holds/ ],
	[ 'j jsonb', q(INSERT INTO bad VALUES ((repeat('[', 100) || repeat(']', 100))::jsonb)), qr/value in "j" is nested too deeply for Protobuf/ ],
	[ 'a int[]', q(INSERT INTO bad VALUES ('{{1,2},{3,4}}')), qr/Protobuf has no place for an array with more than one dimension, in "a"/ ],
	[ 'a int[]', q(INSERT INTO bad VALUES ('{1,NULL}')), qr/Protobuf has no place for a null value in an array, in "a"/ ],
	[ '"sch n" int', 'INSERT INTO bad VALUES (1)', qr/is no name of a field in Protobuf.*option "field"/s ])
{
	my ($columns, $insert, $error, $field) = @$bad;
	my $option = $field ? ", more int OPTIONS (field '$field')" : '';

	(undef, undef, $stderr) = $node->psql('postgres', "CREATE FOREIGN TABLE bad ($columns$option) SERVER broker OPTIONS (topic '$out', format 'protobuf'); $insert");
	like($stderr, $error, "not written: $columns");
	$node->safe_psql('postgres', 'DROP FOREIGN TABLE IF EXISTS bad');
}
foreach my $bad (
	[ 'proto2', 'required int32 a = 1; required int32 b = 2;', 'a int', '1', qr/field "b" of Protobuf message "M" is required, and no column/ ],
	[ 'proto2', 'required int32 a = 1;', 'a int', 'NULL', qr/null value in "a" cannot be written as a required field of Protobuf/ ],
	[ 'proto3', 'int32 b = 1;', 'a int', '1', qr/column "a" is no field of Protobuf message "M"/ ],
	[ 'proto3', 'bool a = 1;', 'a int', '1', qr/column "a" of type integer cannot be written as Protobuf field "a"/ ],
	[ 'proto3', 'map<string, int32> a = 1;', 'a jsonb', q('{}'), qr/column "a" of type jsonb cannot be written as Protobuf field "a" of message M.AEntry/ ],
	[ 'proto3', 'int32 a = 1;', 'a bigint', '3000000000', qr/value 3000000000 in "a" is out of range for its Protobuf type/ ],
	[ 'proto3', 'uint64 a = 1;', 'a numeric', '1.5', qr/Protobuf has no place for a number that is not a whole one/ ],
	[ 'proto3', 'E a = 1; enum E { X = 0; }', 'a text', q('Y'), qr/value "Y" in "a" is not in Protobuf enum "M.E"/ ],
	[ 'proto3', 'oneof o { int32 a = 1; int32 b = 2; }', 'a int, b int', '1, 2', qr/Protobuf has no place for a value beside that in "a", which is of the same oneof, in "b"/ ])
{
	my ($syntax, $fields, $columns, $values, $error) = @$bad;

	(undef, undef, $stderr) = $node->psql('postgres', "CREATE FOREIGN TABLE bad ($columns) SERVER broker OPTIONS (topic '$out', format 'protobuf',"
		. " protobuf_schema 'syntax = \"$syntax\"; message M { $fields }'); INSERT INTO bad VALUES ($values)");
	like($stderr, $error, "not written by $fields");
	$node->safe_psql('postgres', 'DROP FOREIGN TABLE IF EXISTS bad');
}
open my $file, '<', Cwd::abs_path(dirname(__FILE__) . '/../protobuf') . '/old.descriptor' or die "old.descriptor: $!";
my $descriptor = join '', <$file>;
(undef, undef, $stderr) = $node->psql('postgres', "CREATE FOREIGN TABLE bad (id int) SERVER broker OPTIONS (topic '$out', format 'protobuf', protobuf_schema '$descriptor'); INSERT INTO bad VALUES (1)");
like($stderr, qr/cannot register the descriptor of stream public\.bad/, 'a registry takes no descriptor');

$node->stop;
done_testing();
