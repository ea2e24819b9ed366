
# Foreign tables of topics whose columns a schema registry tells: of all types that the
# formats have, so that every message that another implementation has written is a row.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use StreamingKafka;
use StreamingRegistry;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $registry = StreamingRegistry->new(user => 'app', password => 'secret');
my $node = new_node('main', 'streaming.connect_timeout = 20s');
my $avro = Cwd::abs_path(dirname(__FILE__) . '/../avro');

sub sql { return $node->safe_psql('postgres', @_) }
sub error_of { my ($out, $err) = ('', ''); $node->psql('postgres', $_[0], stdout => \$out, stderr => \$err); return $err }
sub message { return pack('CN', 0, $_[0]) . $_[1]; }

# Sets the newest schema of a topic's values, or keys.
sub set
{
	my ($topic, $part, $schema, %more) = @_;
	my $id = $registry->add($schema, %more);

	$registry->set("$topic-$part", $id);
	return $id;
}

my %topic = map { $_ => $kafka->create_topic("ir_$_", 1) } qw(types protobuf keyed long json number none broken);
my $types = set($topic{types}, 'value', PostgreSQL::Test::Utils::slurp_file("$avro/types.avsc"));
my $city = $registry->add('{"type": "record", "name": "org.example.City", "fields": [{"name": "name", "type": "string"}]}');
my $keyed = set($topic{keyed}, 'value', '{"type": "record", "name": "Order", "fields": [{"name": "shop", "type": "string"}, {"name": "home_town", "type": "org.example.City"},'
	  . ' {"name": "mixed", "type": ["null", "int", "double"]}, {"name": "any", "type": ["int", "string", {"type": "array", "items": "int"}]}]}',
	references => [ { name => 'org.example.City', subject => "id-$city", version => 1 } ]);
my $key = set($topic{keyed}, 'key', '{"type": "record", "name": "Key", "fields": [{"name": "id", "type": "long"}, {"name": "shop", "type": "string"}]}');
my $long_value = set($topic{long}, 'value', '{"type": "record", "name": "Long", "fields": [{"name": "key", "type": "string"}, {"name": "ctid", "type": "int"}]}');
my $long = set($topic{long}, 'key', '"long"');
set($topic{json}, 'value', '{"type": "object"}', schemaType => 'JSON');
set($topic{number}, 'value', '"int"');
set($topic{broken}, 'value', '{"type": "record"}');
my $protobuf = set($topic{protobuf}, 'value', <<'PROTO', schemaType => 'PROTOBUF');
syntax = "proto3";
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
message All {
  double d = 1; float f = 2; int32 i = 3; int64 l = 4; uint32 u = 5; uint64 ul = 6; sint32 s32 = 7; sint64 s64 = 8; fixed32 f32 = 9; fixed64 f64 = 10;
  sfixed32 sf32 = 11; sfixed64 sf64 = 12; bool b = 13; string s = 14; bytes raw = 15;
  enum Mood { SAD = 0; OK = 1; } Mood mood = 16; message Inner { int32 x = 1; } Inner inner = 17; repeated Inner inners = 18; repeated int64 longs = 19;
  map<string, int32> counts = 20; google.protobuf.Timestamp at = 21; google.protobuf.Duration took = 22; google.protobuf.Int64Value boxed = 23;
  google.protobuf.Value any = 24; repeated google.protobuf.Timestamp times = 25; oneof choice { string name = 26; int32 number = 27; }
}
message Second { int32 x = 1; }
PROTO

my @messages = map { message($types, pack 'H*', (split /\t/)[0]) } split /\n/, PostgreSQL::Test::Utils::slurp_file("$avro/types.records");
$kafka->produce_bytes($topic{types}, 0, \@messages);
# Zeroes, and numbers at their ends.
$kafka->produce_bytes($topic{protobuf}, 0, [ message($protobuf, "\0"), message($protobuf, "\0" . pack 'H*', join '',
	'18' . 'ff' x 9 . '01', '20' . 'ff' x 9 . '01', '28ffffffff0f', '30' . 'ff' x 9 . '01', '4dffffffff', '51' . 'ff' x 8, '800101', 'ba01020805') ]);
$kafka->produce($topic{keyed}, 0, [ [ message($key, "\x0e\x08Oslo"), message($keyed, "\x08Oslo\x08Rome\x02\x0e\x02\x02x") ],
	[ message($key, "\x10\x08Rome"), message($keyed, "\x08Rome\x08Oslo\x04" . pack('d<', 1.5) . "\x04\x04\x02\x04\x00") ] ]);
$kafka->produce($topic{long}, 0, [ [ message($long, "\x54"), message($long_value, "\x02k\x06") ] ]);
$kafka->produce($topic{json}, 0, ['{"a": 1}']);

sql(<<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}', schema_registry '${\$registry->address}');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (schema_registry_username 'app', schema_registry_password 'secret');
CREATE SCHEMA found;
SQL
my $topics = join ', ', map { qq("$_") } values %topic;
my $err = error_of("IMPORT FOREIGN SCHEMA topics LIMIT TO ($topics) FROM SERVER broker INTO found");
is(sql('SELECT count(*) FROM information_schema.foreign_tables'), 5, 'a foreign table for each topic that has a schema or JSON') or diag $err;
like($err, qr/schema of subject "$topic{number}-value" cannot be read: Avro schema is of type int, not of records/, 'a schema that is no record is told');
like($err, qr/schema of subject "$topic{broken}-value" cannot be read: invalid Avro schema/, 'and one that is none');
like($err, qr/foreign table "$topic{none}" is not created/, 'a topic without either is as before');

sub columns_of
{
	my ($name) = @_;

	return sql(<<SQL);
SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || coalesce(' ' || array_to_string(a.attfdwoptions, ','), ''), ', ' ORDER BY a.attnum)
FROM pg_attribute a WHERE a.attrelid = 'found."$topic{$name}"'::regclass AND a.attnum > 0
SQL
}

is(columns_of('types'), 'id bigint, i integer, l bigint, f real, d double precision, b boolean, s text, raw bytea, fx bytea, e text, dec_bytes numeric,'
	  . ' dec_fixed numeric, dt date, tm time without time zone, tu time without time zone, ts timestamp with time zone, tsu timestamp with time zone,'
	  . ' lts timestamp without time zone, u uuid, dur interval, opt bigint, gen jsonb, nested jsonb, arr integer[], times timestamp with time zone[], m jsonb,'
	  . ' people jsonb, tree jsonb', 'types of Avro');
is(columns_of('protobuf'), 'd double precision, f real, i integer, l bigint, u bigint, ul numeric, s32 integer, s64 bigint, f32 bigint, f64 numeric,'
	  . ' sf32 integer, sf64 bigint, b boolean, s text, raw bytea, mood text, "inner" jsonb, inners jsonb, longs bigint[], counts jsonb,' =~ s/"//gr
	  . ' at timestamp with time zone, took interval, boxed bigint, any jsonb, times timestamp with time zone[], name text, number integer', 'types of Protobuf');
is(columns_of('keyed'), 'shop text, home_town jsonb, mixed double precision, any jsonb, id bigint metadata=key:id', 'fields of the key that the value does not have');
is(columns_of('long'), 'key text, ctid_2 integer field=ctid, key_2 bigint metadata=key', 'a key that is no record, and names that are taken');
is(columns_of('json'), 'a bigint', 'where the schema is of JSON, messages are looked at');

# --- what they say is so ----------------------------------------------------------

foreach my $name (qw(types protobuf keyed long json))
{
	sql(qq(CREATE VIEW "all_$name" WITH (streaming.trigger = 'manual') AS SELECT * FROM found."$topic{$name}"));
	drain($node, "all_$name");
	same_as_batch($node, "all_$name", qq(SELECT * FROM found."$topic{$name}"));
}
is(sql('SELECT count(*) FROM all_types'), scalar @messages, "every message of another implementation is a row");
is(sql('SELECT i, l, u, ul, f32, f64, mood, boxed FROM all_protobuf ORDER BY i'), <<'EXPECTED' =~ s/\n\z//r, 'numbers of Protobuf');
-1|-1|4294967295|18446744073709551615|4294967295|18446744073709551615|OK|5
0|0|0|0|0|0|SAD|
EXPECTED
is(sql('SELECT * FROM all_keyed ORDER BY id'), qq(Oslo|{"name": "Rome"}|7|"x"|7\nRome|{"name": "Oslo"}|1.5|[1, 2]|8), 'keys and unions');
is(sql('SELECT * FROM all_long'), 'k|3|42', 'a key that is a number');
is(sql('SELECT position, error FROM streaming.rejected_rows'), '', 'none is rejected');

# --- a registry that does not answer -------------------------------------------------

sql(q(ALTER USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS (SET schema_registry_password 'wrong')));
like(error_of("IMPORT FOREIGN SCHEMA topics LIMIT TO ($topics) FROM SERVER broker INTO public"),
	qr/could not get the newest schema of subject "\S+" from schema registry/, 'a registry that refuses');

$node->stop;
done_testing();
