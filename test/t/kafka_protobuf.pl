
# Protobuf with a schema that the stream says: messages that another implementation has
# written, and such that nobody should have.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main');
my $fixtures = Cwd::abs_path(dirname(__FILE__) . '/../protobuf');

sub slurp
{
	my ($name) = @_;

	open my $file, '<', "$fixtures/$name" or die "$fixtures/$name: $!";
	local $/;
	return scalar <$file>;
}

# Messages, and as what PostgreSQL should read them.
sub records
{
	my ($name) = @_;
	my (@messages, @expected);

	foreach my $line (split /\n/, slurp($name))
	{
		my ($hex, $json) = split /\t/, $line;

		push @messages, pack 'H*', $hex;
		push @expected, $json;
	}
	return (\@messages, \@expected);
}

sub varint
{
	my ($bits) = @_;
	my $bytes = '';

	for (; $bits >= 0x80; $bits >>= 7) { $bytes .= chr(($bits & 0x7f) | 0x80); }
	return $bytes . chr $bits;
}

sub number { return varint($_[0] << 3) . varint($_[1]); }
sub string { return varint($_[0] << 3 | 2) . varint(length $_[1]) . $_[1]; }
sub group  { return varint($_[0] << 3 | 3) . $_[1] . varint($_[0] << 3 | 4); }

# --- every type -------------------------------------------------------------

my $topic = $kafka->create_topic('protobuf_types', 2);
my ($messages, $expected) = records('types.records');
my $schema = slurp('types.proto') =~ s/'/''/gr;
my $descriptor = slurp('types.descriptor');
my $columns = <<'SQL';
	id bigint, d double precision, f real, i32 int, i64 bigint, u32 bigint, u64 numeric, s32 int, s64 bigint, f32 bigint, f64 numeric,
	sf32 int, sf64 bigint, b boolean, s text, raw bytea, mood text, oi int, os text, person person, packed_ints int[], unpacked bigint[],
	tags text[], people person[], counts jsonb, by_id jsonb, c_int int, c_text text, c_person person, ts timestamptz, dur interval,
	w_int bigint, w_text text, w_bool boolean, doc jsonb, val jsonb, list jsonb, "any" jsonb, tree jsonb, times timestamptz[], moods text[],
	doubles float8[], flags jsonb, inner_ jsonb, huge numeric[], far text
SQL
my $table = $columns =~ s/inner_ jsonb/inner_ jsonb OPTIONS (field 'inner')/r;
$node->safe_psql('postgres', <<SQL);
CREATE TYPE person AS (name text, age int, mails text[], photo bytea, mood text, born timestamptz);
CREATE TYPE everything AS ($columns);
CREATE TABLE expected (j jsonb);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE typed ($table) SERVER broker OPTIONS (topic '$topic', format 'protobuf', protobuf_schema '$schema', protobuf_message 'All');
CREATE FOREIGN TABLE described ($table) SERVER broker
	OPTIONS (topic '$topic', format 'protobuf', protobuf_schema '$descriptor', protobuf_message 'org.example.All');
CREATE VIEW all_types WITH (streaming.continuous) AS SELECT * FROM typed;
CREATE VIEW some_types WITH (streaming.continuous) AS SELECT mood, count(*), sum(u64), min(ts), sum((person).age) AS ages FROM typed GROUP BY mood;
SQL
$node->safe_psql('postgres', join '', map { my $j = s/'/''/gr; "INSERT INTO expected VALUES (jsonb_set('$j', '{inner_}', coalesce('$j'::jsonb -> 'inner', 'null')));\n" } @$expected);
$kafka->produce_bytes($topic, 0, [ @$messages[ 0 .. 29 ] ]);
$kafka->produce_bytes($topic, 1, [ @$messages[ 30 .. $#$messages ] ]);
drain($node, $_) foreach qw(all_types some_types);
is($node->safe_psql('postgres', 'SELECT position, column_name, error FROM streaming.rejected_rows'), '', 'none is rejected');
is($node->safe_psql('postgres', 'SELECT count(*) FROM all_types'), scalar @$messages, 'all messages are rows');

# Column for column, so that a difference says where it is.
my @names = map { (split ' ')[0] } split /,\s+(?=["\w]+ \w)/, $columns =~ s/^\s+|\s+$//gr;
is(scalar @names, 46, 'the columns are those of the schema');
foreach my $name (@names)
{
	is($node->safe_psql('postgres', <<SQL), '', "values of $name");
SELECT v.id, v.$name, x.$name FROM all_types v JOIN (SELECT (jsonb_populate_record(NULL::everything, j)).* FROM expected) x USING (id)
WHERE v.$name IS DISTINCT FROM x.$name AND NOT (v.${name}::text = 'null' AND x.$name IS NULL) LIMIT 1
SQL
}
same_as_batch($node, 'all_types', 'SELECT * FROM typed');
same_as_batch($node, 'all_types', 'SELECT * FROM described');
same_as_batch($node, 'some_types', 'SELECT mood, count(*), sum(u64), min(ts), sum((person).age) AS ages FROM typed GROUP BY mood');

# The ways that go by text, and those that do not, come to the same.
is($node->safe_psql('postgres', <<SQL), '', 'columns of other types');
CREATE DOMAIN whole AS bigint;
CREATE TYPE mood AS ENUM ('UNKNOWN', 'SAD', 'OK', 'HAPPY');
CREATE FOREIGN TABLE others (id whole, i32 text, f text, d jsonb, b text, raw text, mood int, ts text, dur text, w_int text, w_text jsonb, person text,
	packed_ints jsonb, times jsonb, u64 text, s64 numeric(30,2), s varchar(300), i64 double precision, name text OPTIONS (field 'person.name'),
	deep text OPTIONS (field 'inner.deep.level'), at timestamptz(0) OPTIONS (field 'sf32', time_format 'epoch_s'), tags jsonb)
	SERVER broker OPTIONS (topic '$topic', format 'protobuf', protobuf_schema '$schema', protobuf_message 'All', timezone 'UTC');
SELECT o.id, o.mood, v.mood, o.name, v.person, o.deep, v.inner_ FROM others o JOIN all_types v USING (id)
WHERE o.i32::int <> v.i32 OR o.f::real <> v.f OR o.d::text::double precision <> v.d OR o.b::boolean <> v.b OR o.raw::bytea <> v.raw
OR o.mood::text IS DISTINCT FROM coalesce('{"UNKNOWN": 0, "SAD": 1, "OK": 5, "FINE": 5, "HAPPY": -3}'::jsonb ->> v.mood, v.mood)
OR o.ts::timestamptz IS DISTINCT FROM v.ts OR o.dur::interval IS DISTINCT FROM v.dur OR o.w_int::bigint IS DISTINCT FROM v.w_int
OR o.w_text IS DISTINCT FROM to_jsonb(v.w_text) OR (jsonb_populate_record(NULL::person, o.person::jsonb) IS DISTINCT FROM v.person)
OR o.packed_ints <> to_jsonb(v.packed_ints) OR jsonb_array_length(o.times) <> cardinality(v.times) OR o.u64::numeric <> v.u64 OR o.s64 <> v.s64
OR o.s <> v.s OR o.i64 <> v.i64::double precision OR o.name IS DISTINCT FROM (v.person).name OR o.deep IS DISTINCT FROM (v.inner_ -> 'deep' ->> 'level')
OR o.at <> to_timestamp(v.sf32) OR o.tags <> to_jsonb(v.tags)
SQL

# --- proto2 ---------------------------------------------------------------------

my $old_topic = $kafka->create_topic('protobuf_old', 1);
my ($old, $old_expected) = records('old.records');
my $old_columns = 'id int, note text, payment jsonb, line jsonb, state text, states text[], packed_ints int[]';
my $old_schema = slurp('old.proto') =~ s/'/''/gr;
$node->safe_psql('postgres', <<SQL);
CREATE TYPE old AS ($old_columns);
CREATE TABLE old_expected (j jsonb);
CREATE FOREIGN TABLE old_orders ($old_columns) SERVER broker OPTIONS (topic '$old_topic', format 'protobuf', protobuf_schema '$old_schema');
CREATE FOREIGN TABLE old_described ($old_columns) SERVER broker
	OPTIONS (topic '$old_topic', format 'protobuf', protobuf_schema '${\slurp('old.descriptor')}');
SQL
$node->safe_psql('postgres', join '', map { my $j = s/'/''/gr; "INSERT INTO old_expected VALUES ('$j');\n" } @$old_expected);
$kafka->produce_bytes($old_topic, 0, $old);
foreach my $name (qw(old_orders old_described))
{
	is($node->safe_psql('postgres', <<SQL), scalar(@$old) . '|0', "groups, closed enums, presence: $name");
SELECT count(*), count(*) FILTER (WHERE v::text IS DISTINCT FROM jsonb_populate_record(NULL::old, j)::text)
FROM $name v JOIN old_expected ON (j ->> 'id')::int = v.id
SQL
}

# --- fields and columns -----------------------------------------------------

my $orders = $kafka->create_topic('protobuf_orders', 1);
my $order_schema = <<'PROTO';
syntax = "proto3";
message Order { int64 orderId = 1; optional string Note = 2; User user = 3; int64 sentAt = 4; oneof paid { User by = 5; bool cash = 6; } int32 small = 7; }
message User { int32 id = 1; string mail = 2; repeated string tags = 3; }
PROTO
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE orders (orderid int, "user.id" int OPTIONS (field 'user.id'), mail text OPTIONS (field 'user.mail'), tags text[] OPTIONS (field 'user.tags'),
	"user" jsonb, note text, at timestamptz OPTIONS (field 'sentAt', time_format 'epoch_ms'), payer text OPTIONS (field 'by.mail'), cash boolean, missing text,
	off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$orders', format 'protobuf', protobuf_schema '$order_schema', protobuf_message '.Order');
CREATE FOREIGN TABLE orders_or_null (orderid int, mail text OPTIONS (field 'user.mail'))
	SERVER broker OPTIONS (topic '$orders', format 'protobuf', on_error 'null', protobuf_schema '$order_schema', protobuf_message 'Order');
CREATE VIEW ordered WITH (streaming.continuous) AS SELECT * FROM orders;
CREATE VIEW mails WITH (streaming.continuous) AS SELECT mail, count(*) FROM orders GROUP BY mail;
CREATE VIEW or_null WITH (streaming.continuous) AS SELECT orderid, mail FROM orders_or_null;
SQL
my $ann = number(1, 7) . string(2, 'ann@example.org') . string(3, 'a');
$kafka->produce_bytes($orders, 0, [
	number(1, 1) . string(3, $ann) . number(4, 1700000000123) . string(5, string(2, 'bob')) ,
	# parts of a message are one; the last of a number counts, and of a oneof the last member
	string(3, $ann) . number(1, 9) . number(1, 2) . string(5, string(2, 'bob')) . number(6, 0) . string(3, number(1, 8) . string(3, 'b')),
	string(5, string(2, 'bob')) . number(6, 1) . string(5, '') . group(77, group(78, number(1, 1)) . string(9, 'x')),
	number(50, 1),
	number(1, 5) . varint(3 << 3 | 2) . varint(1000) . 'x',
	number(1, 5) . "\0\0",
	number(1, 5) . "\x80\x80\x80\x80\x80\x80",
	varint(1 << 3) . "\xff" x 11,
	number(1, 1 << 40),
	number(1, 6) . string(2, "\xff\xfe"),
	number(1, 7) . string(2, "a\0b"),
	number(1, 8) . varint(9 << 3 | 3) . number(1, 1),
	number(1, 8) . varint(9 << 3 | 4),
	number(1, 8) . varint(9 << 3 | 7),
	number(1, 8) . varint(9 << 3 | 3) x 200,
	number(1, 8) . string(3, "\x0f"),
	number(1, 10) . string(3, string(2, "\xff")) ]);
$kafka->produce($orders, 0, [ [ 'tombstone', undef ] ]);
drain($node, $_) foreach qw(ordered mails or_null);
is($node->safe_psql('postgres', <<'SQL'), <<'EXPECTED' =~ s/\n\z//r, 'fields by name, by path, and without regard to case');
SELECT orderid, "user.id", mail, tags, "user", note, at AT TIME ZONE 'UTC', payer, cash, missing, off FROM ordered ORDER BY off
SQL
1|7|ann@example.org|{a}|{"id": 7, "mail": "ann@example.org", "tags": ["a"]}||2023-11-14 22:13:20.123|bob|||0
2|8|ann@example.org|{a,b}|{"id": 8, "mail": "ann@example.org", "tags": ["a", "b"]}||1970-01-01 00:00:00||f||1
0||||||1970-01-01 00:00:00||||2
0||||||1970-01-01 00:00:00||||3
||||||||||17
EXPECTED
is($node->safe_psql('postgres', <<'SQL'), <<'EXPECTED' =~ s/\n\z//r, 'what is no record is rejected, with the reason');
SELECT position, column_name, sqlstate, error FROM streaming.rejected_rows WHERE stream = 'orders'::regclass ORDER BY position::int
SQL
4||22P03|invalid Protobuf record (the record ends too early, at byte 3.)
5||22P03|invalid Protobuf record (a field has the number 0, at byte 3.)
6||22P03|invalid Protobuf record (there is no field where one should begin, at byte 3.)
7||22P03|invalid Protobuf record (a number is longer than 64 bits, at byte 2.)
8|orderid|22003|column "orderid": value "1099511627776" is out of range for type integer
9|note|22021|column "note": invalid byte sequence for encoding "UTF8": 0xff
10|note|22021|column "note": invalid byte sequence for encoding "UTF8": 0x00
11||22P03|invalid Protobuf record (the record ends too early, at byte 6.)
12||22P03|invalid Protobuf record (a group ends that has not begun, at byte 3.)
13||22P03|invalid Protobuf record (a field has an unknown wire type, at byte 3.)
14||54000|invalid Protobuf record (groups are nested too deeply, at byte 103.)
15||22P03|invalid Protobuf record (a field has an unknown wire type, at byte 5.)
16|mail|22021|column "mail": invalid byte sequence for encoding "UTF8": 0xff
EXPECTED
is($node->safe_psql('postgres', 'SELECT sum(count) FROM mails'), 5, 'for every view, whatever it reads');
is($node->safe_psql('postgres', 'SELECT count(*), count(orderid), count(mail) FROM or_null'), '9|7|2',
	'on_error null: the bad field is NULL');
same_as_batch($node, 'ordered', 'SELECT * FROM orders');

$node->stop;
done_testing();
