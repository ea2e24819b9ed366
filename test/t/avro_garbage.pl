
# Avro files and schemas that have been damaged at random: whatever they hold, the server
# lives, memory stays bounded, and a view shows what a batch read finds.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use StreamingTest;
use Test::More;

my $files = $ENV{STREAMING_TEST_QUICK} ? 60 : 200;
my $schemas = $ENV{STREAMING_TEST_QUICK} ? 500 : 3000;
my $avro = Cwd::abs_path(dirname(__FILE__) . '/../avro');
my $node = new_node('main');
my $dir = "$ENV{STREAMING_WORK}/avro_garbage";

random_seed();
mkdir $dir;

sub slurp
{
	my ($name) = @_;

	open my $file, '<', "$avro/$name" or die "$avro/$name: $!";
	local $/;
	return scalar <$file>;
}

sub long
{
	my ($n) = @_;
	my $bits = $n << 1;
	my $bytes = '';

	for (; $bits >= 0x80; $bits >>= 7) { $bytes .= chr(($bits & 0x7f) | 0x80); }
	return $bytes . chr $bits;
}

sub bytes { return long(length $_[0]) . $_[0]; }

# A file of records in blocks of five.
sub container
{
	my ($schema, @records) = @_;
	my $mark = '0123456789abcdef';
	my $file = "Obj\1" . long(1) . bytes('avro.schema') . bytes($schema) . "\0$mark";

	while (my @block = splice @records, 0, 5)
	{
		$file .= long(scalar @block) . bytes(join '', @block) . $mark;
	}
	return $file;
}

sub damage
{
	my ($text, $from, @pieces) = @_;

	foreach (0 .. int rand 4)
	{
		my $at = $from + int rand(length($text) - $from);
		my $what = int rand 5;

		substr($text, $at, 1) = chr int rand 256 if $what == 0;
		substr($text, $at, int rand 20) = '' if $what == 1 && $at + 20 < length $text;
		substr($text, $at, 0) = substr($text, $from + int rand(length($text) - $from), int rand 60) if $what == 2;
		substr($text, $at, 0) = $pieces[ rand @pieces ] if $what == 3;
		$text = substr($text, 0, $at) if $what == 4 && rand() < 0.2;
	}
	return $text;
}

my $schema = slurp('types.avsc');
my @records = map { pack 'H*', (split /\t/)[0] } split /\n/, slurp('types.records');
my @hostile = ("\xff" x 9 . "\1", "\x80" x 8 . "\x40", "\0", "\1", "\2", "\xfe\xff\xff\xff\x0f", "\xed\xa0\x80");

$node->safe_psql('postgres', <<SQL);
CREATE SERVER d FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE garbage (id bigint, i int, f real, s text, raw bytea, dec_bytes numeric, dt date, ts timestamptz, dur interval,
	gen jsonb, nested jsonb, arr int[], m jsonb, people jsonb, tree jsonb, name text OPTIONS (field 'nested.name'),
	file text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line')) SERVER d OPTIONS (path '*.avro', format 'avro');
CREATE VIEW kept WITH (streaming.trigger = 'manual') AS SELECT * FROM garbage;
SQL
foreach my $n (1 .. $files)
{
	my $whole = container($schema, map { $records[ rand @records ] } 1 .. 20);
	# In most files the schema stays as it is.
	my $broken = damage($whole, rand() < 0.8 ? length($schema) + 30 : 0, @hostile);

	open my $file, '>:raw', "$dir/.part" or die "$dir/.part: $!";
	print $file $broken;
	close $file or die "$dir/.part: $!";
	rename "$dir/.part", "$dir/$n.avro" or die "$dir/$n.avro: $!";
}
drain($node, 'kept');
my ($kept, $rejected) = map { $node->safe_psql('postgres', $_) } 'SELECT count(*) FROM kept',
  q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'garbage'::regclass);
cmp_ok($kept, '>', 2 * $files, "some records are left ($kept)");
cmp_ok($rejected, '>', 0, "and some are rejected ($rejected)");
same_as_batch($node, 'kept', 'SELECT * FROM garbage');
is($node->safe_psql('postgres', q(SELECT DISTINCT sqlstate FROM streaming.rejected_rows WHERE sqlstate LIKE 'XX%')), '', 'none for a reason of ours');

# Schemas, each damaged as text.
my @pieces = ('{', '}', '[', ']', '"', ',', '"type": "record",', '"items": "All",', '"default": {}', '["null", "Person"]', '"size": 999999999999,', 'org.example.All',
	'"logicalType": "decimal"', '"symbols": [],', '-1');
my $sql = "CREATE FUNCTION pg_temp.try(schema text) RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN\n"
  . "EXECUTE format('CREATE FOREIGN TABLE tried (id bigint, nested jsonb) SERVER d OPTIONS (path ''none'', format ''avro'', avro_schema %L)', schema);\n"
  . "DROP FOREIGN TABLE tried; RETURN '00000'; EXCEPTION WHEN others THEN RETURN sqlstate; END \$\$;\n"
  . "CREATE TEMP TABLE answers (sqlstate text);\n";
foreach (1 .. $schemas)
{
	my $broken = damage($schema, 0, @pieces) =~ tr/\x20-\x7e/ /cr;
	my $quoted = $broken =~ s/'/''/gr;

	$sql .= "INSERT INTO answers SELECT pg_temp.try('$quoted');\n";
}
my $states = $node->safe_psql('postgres', "$sql SELECT string_agg(DISTINCT sqlstate, ' ' ORDER BY sqlstate) FROM answers");
like($states, qr/^00000 /, 'some damaged schemas are none the worse');
unlike($states, qr/XX|53|08|57/, "the others are refused ($states)");

# Types inside of each other, and one inside of itself.
foreach my $deep ('[' x 100_000, '{"type":' x 50_000, '{"type": "array", "items": ' x 30_000 . '"int"' . '}' x 30_000)
{
	my (undef, undef, $stderr) = $node->psql('postgres', "CREATE FOREIGN TABLE deep (a int) SERVER d OPTIONS (path 'none', format 'avro', avro_schema '$deep')");

	like($stderr, qr/stack depth limit|invalid/, 'nesting without end is refused');
}

# Defaults that a short schema makes very many of: of each other, and of each record of a union.
mkdir "$dir/defaults";
my $doubled = '"null"';
foreach my $level (1 .. 40)
{
	my $again = $level == 1 ? '"null"' : '"D' . ($level - 1) . '"';
	my $default = $level == 1 ? 'null' : '{}';

	$doubled = qq({"type": "record", "name": "D$level", "fields": [{"name": "l", "type": $doubled, "default": $default}, )
	  . qq({"name": "r", "type": $again, "default": $default}]});
}
my $default = 'x' x 100;
my $many = join ',', map { qq({"name": "f$_", "type": "string", "default": "$default"}) } 1 .. 3000;
my %defaults = (
	doubled => [ qq({"type": "record", "name": "R", "fields": [{"name": "d", "type": $doubled, "default": {}}]}), '{"type": "record", "name": "R", "fields": []}' ],
	many    => [ qq({"type": "record", "name": "R", "fields": [$many]}), '[' . join(',', map { qq({"type": "record", "name": "W$_", "fields": []}) } 1 .. 5000) . ']' ],
);
foreach my $name (sort keys %defaults)
{
	my ($reader, $writer) = @{ $defaults{$name} };

	open my $file, '>:raw', "$dir/defaults/$name.avro" or die "$dir/defaults/$name.avro: $!";
	print $file container($writer, $name eq 'many' ? "\0" : '');
	close $file or die "$dir/defaults/$name.avro: $!";
	$node->safe_psql('postgres', "CREATE FOREIGN TABLE $name (d jsonb, f1 text) SERVER d OPTIONS (path 'defaults/$name.avro', format 'avro', avro_schema '$reader', on_error 'stop')");
	my (undef, undef, $stderr) = $node->psql('postgres', "SET statement_timeout = '60s'; SELECT * FROM $name");
	like($stderr, qr/too large|too complex/, "defaults are counted: $name");
}
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server lives');

$node->stop;
done_testing();
