
# Avro with a schema that the stream says: messages that another implementation has
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
my $avro = Cwd::abs_path(dirname(__FILE__) . '/../avro');

sub slurp
{
	my ($name) = @_;

	open my $file, '<', "$avro/$name" or die "$avro/$name: $!";
	local $/;
	return scalar <$file>;
}

# Numbers as Avro writes them.
sub long
{
	my ($n) = @_;
	my $bits = $n < 0 ? ((-$n) << 1) - 1 : $n << 1;
	my $bytes = '';

	for (; $bits >= 0x80; $bits >>= 7) { $bytes .= chr(($bits & 0x7f) | 0x80); }
	return $bytes . chr $bits;
}

sub bytes { return long(length $_[0]) . $_[0]; }

# --- every type -------------------------------------------------------------

my $topic = $kafka->create_topic('avro_types', 2);
my (@messages, @expected);
foreach my $line (split /\n/, slurp('types.records'))
{
	my ($hex, $json) = split /\t/, $line;

	push @messages, pack 'H*', $hex;
	push @expected, $json;
}
my $schema = slurp('types.avsc') =~ s/'/''/gr;
my $columns = <<'SQL';
	id bigint, i int, l bigint, f real, d double precision, b boolean, s text, raw bytea, fx bytea, e mood,
	dec_bytes numeric, dec_fixed numeric(18,4), dt date, tm time, tu time, ts timestamptz, tsu timestamptz, lts timestamp,
	u uuid, dur interval, opt bigint, gen jsonb, nested person, arr int[], times timestamptz[], m jsonb, people person[],
	tree jsonb
SQL
$node->safe_psql('postgres', <<SQL);
CREATE TYPE mood AS ENUM ('SAD', 'OK', 'HAPPY');
CREATE TYPE person AS (name text, born date, photo bytea, paid numeric);
CREATE TYPE everything AS ($columns);
CREATE TABLE expected (j jsonb);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE typed ($columns) SERVER broker OPTIONS (topic '$topic', format 'avro', avro_schema '$schema');
CREATE FOREIGN TABLE as_text ($columns) SERVER broker OPTIONS (topic '$topic', format 'avro', avro_schema '$schema');
CREATE VIEW all_types WITH (streaming.continuous) AS SELECT * FROM typed;
CREATE VIEW some_types WITH (streaming.continuous) AS SELECT e, count(*), sum(dec_bytes), min(tsu), sum((nested).paid) AS paid FROM typed GROUP BY e;
SQL
$node->safe_psql('postgres', join '', map { my $j = s/'/''/gr; "INSERT INTO expected VALUES ('$j');\n" } @expected);
$kafka->produce_bytes($topic, 0, [ @messages[ 0 .. 39 ] ]);
$kafka->produce_bytes($topic, 1, [ @messages[ 40 .. $#messages ] ]);
drain($node, $_) foreach qw(all_types some_types);
is($node->safe_psql('postgres', 'SELECT count(*) FROM all_types'), scalar @messages, 'all messages are rows');
is($node->safe_psql('postgres', 'SELECT position, error FROM streaming.rejected_rows'), '', 'none is rejected');

# Column for column, so that a difference says where it is.
my @names = map { (split ' ')[0] } split /,\s+(?=\w+ \w)/, $columns =~ s/^\s+|\s+$//gr;
is(scalar @names, 28, 'the columns are those of the schema');
foreach my $name (@names)
{
	is($node->safe_psql('postgres', <<SQL), '', "values of $name");
SELECT v.id, v.$name, x.$name FROM all_types v JOIN (SELECT (jsonb_populate_record(NULL::everything, j)).* FROM expected) x USING (id)
WHERE v.$name IS DISTINCT FROM x.$name LIMIT 1
SQL
}
same_as_batch($node, 'all_types', 'SELECT * FROM typed');
same_as_batch($node, 'some_types', 'SELECT e, count(*), sum(dec_bytes), min(tsu), sum((nested).paid) AS paid FROM typed GROUP BY e');

# The ways that go by text, and those that do not, come to the same.
is($node->safe_psql('postgres', <<SQL), '', 'columns of type text, varchar and jsonb');
CREATE DOMAIN whole AS bigint;
CREATE FOREIGN TABLE texts (id whole, i text, f text, d jsonb, b text, raw text, e text, dec_bytes text, dt text, tsu text, lts timestamptz, u text,
	dur text, nested text, arr jsonb, times jsonb, opt numeric(30,2), dec_fixed jsonb,
	ts timestamptz(0) OPTIONS (time_format 'epoch_ms'))
	SERVER broker OPTIONS (topic '$topic', format 'avro', avro_schema '$schema', timezone 'UTC');
SELECT t.* FROM texts t JOIN all_types v USING (id)
WHERE t.i::int <> v.i OR t.f::real <> v.f OR t.d::double precision <> v.d OR t.b::boolean <> v.b OR t.raw::bytea <> v.raw OR t.e <> v.e::text
OR t.dec_bytes::numeric <> v.dec_bytes OR t.dt::date <> v.dt OR t.tsu::timestamptz <> v.tsu OR t.lts <> v.lts AT TIME ZONE 'UTC' OR t.u::uuid <> v.u
OR t.dur::interval <> v.dur OR jsonb_populate_record(NULL::person, t.nested::jsonb) IS DISTINCT FROM v.nested
OR t.arr <> to_jsonb(v.arr) OR (SELECT array_agg(x::timestamptz ORDER BY n) FROM jsonb_array_elements_text(t.times) WITH ORDINALITY AS y (x, n)) <> v.times
OR t.ts <> v.ts::timestamptz(0) OR t.opt <> v.opt OR t.dec_fixed::numeric <> v.dec_fixed
SQL

# --- fields and columns -----------------------------------------------------

my $orders = $kafka->create_topic('avro_orders', 1);
my $order_schema = <<'JSON';
{"type": "record", "name": "Order", "fields": [
	{"name": "orderId", "type": "long"},
	{"name": "Note", "type": ["null", "string"], "default": null},
	{"name": "user", "type": ["null", {"type": "record", "name": "User", "fields": [
		{"name": "id", "type": "int"}, {"name": "mail", "type": "string"}]}]},
	{"name": "sentAt", "type": "long"}]}
JSON
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE orders (orderid int, "user.id" int OPTIONS (field 'user.id'), mail text OPTIONS (field 'user.mail'),
	"user" jsonb, note text, at timestamptz OPTIONS (field 'sentAt', time_format 'epoch_ms'), missing text,
	off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$orders', format 'avro', avro_schema '$order_schema');
CREATE FOREIGN TABLE orders_or_null (orderid int, mail text OPTIONS (field 'user.mail'))
	SERVER broker OPTIONS (topic '$orders', format 'avro', on_error 'null', avro_schema '$order_schema');
CREATE VIEW ordered WITH (streaming.continuous) AS SELECT * FROM orders;
CREATE VIEW mails WITH (streaming.continuous) AS SELECT mail, count(*) FROM orders GROUP BY mail;
CREATE VIEW or_null WITH (streaming.continuous) AS SELECT orderid, mail FROM orders_or_null;
SQL
my $good = long(1) . "\0" . long(1) . long(7) . bytes('ann@example.org') . long(-1);
$kafka->produce_bytes($orders, 0, [
	$good,
	long(2) . long(1) . bytes('hello') . long(0) . long(1700000000123),
	substr($good, 0, -1),
	$good . "\0",
	long(3) . long(1) . long(1 << 60) . 'x',
	long(4) . long(5),
	long(5) . "\0" . long(1) . long(1 << 40) . bytes('') . "\0",
	long(1 << 40) . "\0" . long(0) . "\0",
	long(6) . long(1) . bytes("\xff\xfe") . long(0) . "\0",
	long(7) . long(1) . bytes("a\0b") . long(0) . "\0",
	"\xff" x 11,
	long(8) . "\0" . long(1) . long(8) . bytes("\xff") . "\0",
	long(9) . "\0\0\0" ]);
$kafka->produce($orders, 0, [ [ 'tombstone', undef ] ]);
drain($node, $_) foreach qw(ordered mails or_null);
is($node->safe_psql('postgres', <<'SQL'), <<'EXPECTED' =~ s/\n\z//r, 'fields by name, by path, and without regard to case');
SELECT orderid, "user.id", mail, "user", note, at AT TIME ZONE 'UTC', missing, off FROM ordered ORDER BY off
SQL
1|7|ann@example.org|{"id": 7, "mail": "ann@example.org"}||1969-12-31 23:59:59.999||0
2||||hello|2023-11-14 22:13:20.123||1
9|||||1970-01-01 00:00:00||12
|||||||13
EXPECTED
is($node->safe_psql('postgres', <<'SQL'), <<'EXPECTED' =~ s/\n\z//r, 'what is no record is rejected, with the reason');
SELECT position, column_name, sqlstate, error FROM streaming.rejected_rows WHERE stream = 'orders'::regclass ORDER BY position::int
SQL
2||22P03|invalid Avro record (the record ends too early, at byte 21.)
3||22P03|invalid Avro record (bytes are left behind the record, at byte 22.)
4||22P03|invalid Avro record (the record ends too early, at byte 12.)
5||22P03|invalid Avro record (a union has no such branch, at byte 3.)
6||22P03|invalid Avro record (an int has more than 32 bits, at byte 10.)
7|orderid|22003|column "orderid": value "1099511627776" is out of range for type integer
8|note|22021|column "note": invalid byte sequence for encoding "UTF8": 0xff
9|note|22021|column "note": invalid byte sequence for encoding "UTF8": 0x00
10||22P03|invalid Avro record (a number is longer than 64 bits, at byte 1.)
11|mail|22021|column "mail": invalid byte sequence for encoding "UTF8": 0xff
EXPECTED
is($node->safe_psql('postgres', 'SELECT sum(count) FROM mails'), 4, 'for every view, whatever it reads');
is($node->safe_psql('postgres', 'SELECT count(*), count(orderid), count(mail) FROM or_null'), '8|6|1',
	'on_error null: the bad field is NULL');
same_as_batch($node, 'ordered', 'SELECT * FROM orders');

# --- bytes that ask for more than they are ------------------------------------

my $hostile = $kafka->create_topic('avro_hostile', 1);
$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE hostile (doc jsonb, tree jsonb, none jsonb)
	SERVER broker OPTIONS (topic '$hostile', format 'avro', avro_schema '{"type": "record", "name": "H", "fields": [
		{"name": "doc", "type": {"type": "array", "items": "int"}},
		{"name": "tree", "type": ["null", {"type": "record", "name": "T", "fields": [{"name": "next", "type": ["null", "T"]}]}]},
		{"name": "none", "type": {"type": "array", "items": "null"}}]}');
CREATE VIEW survived WITH (streaming.continuous) AS SELECT doc, tree, none FROM hostile;
SQL
$kafka->produce_bytes($hostile, 0, [
	long(1 << 60) . "\0\0\0",
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" . long(1 << 60),
	"\0" . ("\2" x 5000) . "\0\0",
	"\0\0" . long(1 << 60) . "\0",
	"\0\0" . long(1 << 16) . "\0",
	long(-2) . long(3) . "\2\4\0\0\0",
	long(-2) . long(2) . "\2\4\0\2\2\0\0" ]);
drain($node, 'survived');
is($node->safe_psql('postgres', 'SELECT doc, tree, jsonb_array_length(none) FROM survived ORDER BY 3'),
	"[1, 2]|{\"next\": {\"next\": null}}|0\n[]||65536", 'hostile messages are survived');
is($node->safe_psql('postgres', <<'SQL'), <<'EXPECTED' =~ s/\n\z//r, 'and rejected');
SELECT position, sqlstate, error FROM streaming.rejected_rows WHERE stream = 'hostile'::regclass ORDER BY position::int
SQL
0|22P03|invalid Avro record (an array or a map has more items than the record has bytes, at byte 10.)
1|22P03|invalid Avro record (a block is longer than the record, at byte 20.)
2|54000|invalid Avro record (values are nested too deeply, at byte 202.)
3|54000|invalid Avro record (the record has too many values for its length, at byte 12.)
5|22P03|invalid Avro record (a block has another length than it says, at byte 5.)
EXPECTED

$node->stop;
done_testing();
