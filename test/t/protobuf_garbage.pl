
# Protobuf messages and schemas that have been damaged at random: whatever they hold, the
# server lives, memory stays bounded, and a view shows what a batch read finds.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use MIME::Base64 qw(decode_base64 encode_base64);
use StreamingKafka;
use StreamingTest;
use Test::More;

my $count = $ENV{STREAMING_TEST_QUICK} ? 500 : 3000;
my $schemas = $ENV{STREAMING_TEST_QUICK} ? 500 : 3000;
my $fixtures = Cwd::abs_path(dirname(__FILE__) . '/../protobuf');
my $kafka = StreamingKafka->shared;
my $node = new_node('main');

random_seed();

sub slurp
{
	my ($name) = @_;

	open my $file, '<', "$fixtures/$name" or die "$fixtures/$name: $!";
	local $/;
	return scalar <$file>;
}

sub damage
{
	my ($text, @pieces) = @_;

	foreach (0 .. int rand 4)
	{
		my $at = int rand length $text;
		my $what = int rand 5;

		substr($text, $at, 1) = chr int rand 256 if $what == 0;
		substr($text, $at, int rand 20) = '' if $what == 1 && $at + 20 < length $text;
		substr($text, $at, 0) = substr($text, int rand length $text, int rand 60) if $what == 2;
		substr($text, $at, 0) = $pieces[ rand @pieces ] if $what == 3;
		$text = substr($text, 0, $at) if $what == 4 && $at > 0 && rand() < 0.2;
	}
	return $text;
}

# --- messages --------------------------------------------------------------------

my $schema = slurp('types.proto');
my @records = map { pack 'H*', (split /\t/)[0] } split /\n/, slurp('types.records');
my @hostile = ("\xff" x 9 . "\1", "\x80" x 8 . "\x40", "\0", "\1", "\xe3\x38" x 50, "\xba\x02\x80\x80\x80\x80\x08", "\xed\xa0\x80", "\xba\x02\x0c\x12\x0a\x12\x08\x12\x06\x12\x04\x12\x02\x08\x01",
	"\xaa\x01\x05\xff\xff\xff\xff\xff");
my $topic = $kafka->create_topic('protobuf_garbage', 1);
my $quoted = $schema =~ s/'/''/gr;

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE garbage (id bigint, i32 int, f real, s text, raw bytea, mood text, person jsonb, packed_ints int[], tags text[], people jsonb, counts jsonb, by_id jsonb,
	c_int int, c_text text, c_person jsonb, ts timestamptz, dur interval, w_int bigint, doc jsonb, val jsonb, "any" jsonb, tree jsonb, times timestamptz[], inner_ text OPTIONS (field 'inner.deep.level'),
	name text OPTIONS (field 'person.name'), huge numeric[], off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic', format 'protobuf', protobuf_schema '$quoted', protobuf_message 'All');
CREATE VIEW kept WITH (streaming.trigger = 'manual') AS SELECT * FROM garbage;
SQL
# Messages inside of each other, and a value of many pieces.
my $deep = '';
$deep = "\x12" . (length $deep < 128 ? chr length $deep : chr(length($deep) & 0x7f | 0x80) . chr(length($deep) >> 7)) . $deep foreach 1 .. 300;
my @extreme = ("\xba\x02" . chr(length($deep) & 0x7f | 0x80) . chr(length($deep) >> 7) . $deep, "\xb0\x01\x02" x 100_000, "\xba\x01\x00" x 100_000, "\xba\x02\x02\x08\x01" x 50_000);
$kafka->produce_bytes($topic, 0, [ @extreme, map { damage($records[ rand @records ], @hostile) } 1 .. $count ]);
drain($node, 'kept');
my ($kept, $rejected) = map { $node->safe_psql('postgres', $_) } 'SELECT count(*) FROM kept',
  q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'garbage'::regclass);
cmp_ok($kept, '>', $count / 25, "some records are left ($kept)");
cmp_ok($rejected, '>', 0, "and some are rejected ($rejected)");
same_as_batch($node, 'kept', 'SELECT * FROM garbage');
is($node->safe_psql('postgres', q(SELECT DISTINCT sqlstate FROM streaming.rejected_rows WHERE sqlstate LIKE 'XX%')), '', 'none for a reason of ours');
is($node->safe_psql('postgres', q(SELECT error FROM streaming.rejected_rows WHERE position = '0')), 'column "tree": invalid Protobuf record (Messages are nested more than 100 deep.)', 'nesting is bounded');

# --- schemas, as text and as descriptors --------------------------------------------

my @pieces = ('{', '}', ';', '"', '[', ']', '/*', '//', 'message', 'oneof o {', 'map<string, All> z = 9;', '= 0x7fffffff', '= 99999999999999999999', '.', 'repeated', 'group G = 3 {',
	'syntax = "proto2";', 'package a.b;', 'All', '-', 'option x = {', 'enum E { A = 0; }', 'import "google/protobuf/struct.proto";');
my $descriptor = decode_base64(slurp('types.descriptor'));
my $sql = "CREATE FUNCTION pg_temp.try(schema text) RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN\n"
  . "EXECUTE format('CREATE FOREIGN TABLE tried (id bigint, person jsonb) SERVER broker OPTIONS (topic ''none'', format ''protobuf'', protobuf_schema %L, protobuf_message ''org.example.All'')', schema);\n"
  . "DROP FOREIGN TABLE tried; RETURN '00000'; EXCEPTION WHEN others THEN RETURN sqlstate; END \$\$;\n"
  . "CREATE TEMP TABLE answers (kind int, sqlstate text);\n";
foreach my $n (1 .. $schemas)
{
	my $broken = $n % 2 ? damage($schema, @pieces) =~ tr/\n\x20-\x7e/ /cr : encode_base64(damage($descriptor, @hostile), '');
	my $literal = $broken =~ s/'/''/gr;

	$sql .= "INSERT INTO answers SELECT $n % 2, pg_temp.try('$literal');\n";
}
foreach my $kind (0, 1)
{
	my $states = $node->safe_psql('postgres', ($kind == 0 ? "$sql CREATE TABLE kept_answers AS SELECT * FROM answers;" : '')
		. "SELECT string_agg(DISTINCT sqlstate, ' ' ORDER BY sqlstate) FROM kept_answers WHERE kind = $kind");
	like($states, qr/^00000 /, 'some damaged schemas are none the worse');
	unlike($states, qr/XX|53|08|57/, "the others are refused ($states)");
}

# Messages inside of each other, and schemas that would take much.
my %large = (
	nested => 'message A {' x 50_000,
	brackets => 'option x = {' . '{' x 100_000,
	names => 'message ' . 'a' x 100_000 . ' {}',
	long => '/*' . 'x' x 2_000_000 . '*/ message A {};',
	files => encode_base64("\x0a\x00" x 100_000, ''),
	unclosed => 'message A { optional string a = 1 [default = "' . '\\' x 1001 . ';}');
foreach my $name (sort keys %large)
{
	my ($status, undef, $stderr) = $node->psql('postgres', "SET statement_timeout = '60s'; CREATE FOREIGN TABLE large (a int) SERVER broker OPTIONS (topic 'x', format 'protobuf', protobuf_schema E'"
		. ($large{$name} =~ s/\\/\\\\/gr) . "')");
	like($stderr, qr/invalid Protobuf schema/, "is refused: $name");
}
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server lives');

$node->stop;
done_testing();
