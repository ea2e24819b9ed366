
# Parquet, Arrow and ORC files that have been damaged at random: whatever they hold, the server
# lives, memory stays bounded, and a view shows what a batch read finds.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use StreamingTest;
use Test::More;

plan skip_all => $ENV{STREAMING_NO_ARROW} if $ENV{STREAMING_NO_ARROW};

my $variants = $ENV{STREAMING_TEST_QUICK} ? 60 : 350;
my $fixtures = Cwd::abs_path(dirname(__FILE__) . '/../columnar');
my $node = new_node('main', 'streaming.arrow_memory = 32MB');
my $dir = $node->basedir . '/garbage';
my %whole = map { my ($name) = m{([^/]+)$}; ($name => PostgreSQL::Test::Utils::slurp_file($_)) }
  map { glob "$fixtures/$_" } qw(types_*.parquet types_*.arrow types_*.orc polars.* rare.arrow many.parquet many.orc);

random_seed();
mkdir $_ foreach $dir, "$dir/parquet", "$dir/arrow", "$dir/orc";

# Where a format keeps what it says of itself: at both ends, and in between.
sub place
{
	my ($length) = @_;
	my $where = rand;

	return int rand($length < 800 ? $length : 800) if $where < 0.2;
	return $length - 1 - int rand($length < 3000 ? $length : 3000) if $where < 0.7;
	return int rand $length;
}

my @hostile = ("\xff\xff\xff\x7f", "\xff" x 8, "\0" x 8, "\x80" x 9 . "\1", "\xff\xff\xff\xff\x0f", "\0\0\0\x80");

sub damage
{
	my ($text) = @_;

	foreach (0 .. int rand 3)
	{
		my $at = place(length $text);
		my $what = int rand 6;

		substr($text, $at, 1) = chr int rand 256 if $what <= 1;
		substr($text, $at, 1) = chr(ord(substr $text, $at, 1) ^ 1 << int rand 8) if $what == 2;
		if ($what == 3)
		{
			my $piece = $hostile[ rand @hostile ];

			substr($text, $at, length $piece) = $piece if $at + length $piece <= length $text;
		}
		substr($text, $at, 1 + int rand 20) = '' if $what == 4 && rand() < 0.3;
		$text = substr($text, 0, $at) if $what == 5 && rand() < 0.1;
	}
	return $text;
}

my $columns = q(id bigint, small int2, f real, s text, raw bytea, flag bool, dt date, ts_ns timestamp, tz timestamptz, dec numeric, dict text, uid uuid, person jsonb,
	name text OPTIONS (field 'person.name'), tags text[], m jsonb, deep jsonb, who jsonb, k int, wide numeric, keys jsonb, duration interval, line bigint OPTIONS (metadata 'line'));
$node->safe_psql('postgres', "CREATE SERVER d FOREIGN DATA WRAPPER directory OPTIONS (path '$dir')");
foreach my $format (qw(parquet arrow orc))
{
	my @names = grep { /\.$format$/ } sort keys %whole;

	# Each of ORC's takes a process.
	foreach my $n (1 .. $variants / ($format eq 'orc' ? 4 : 2))
	{
		put_file("$dir/$format", "$n.$format", damage($whole{ $names[ rand @names ] }));
	}
	$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE $format ($columns) SERVER d OPTIONS (path '$format/*.$format', format '$format');
CREATE VIEW kept_$format WITH (streaming.continuous) AS SELECT * FROM $format;
SQL
	drain($node, "kept_$format");
	my ($ingest) = worker_pids($node, 'streaming ingest');
	my ($kept, $rejected) = map { $node->safe_psql('postgres', $_) } "SELECT count(*) FROM kept_$format",
	  "SELECT count(*) FROM streaming.rejected_rows WHERE stream = '$format'::regclass";
	cmp_ok($kept, '>', 0, "$format: some records are left ($kept)");
	cmp_ok($rejected, '>', $variants / 40, "and some are rejected ($rejected)");
	same_as_batch($node, "kept_$format", "SELECT * FROM $format");
	# What they say of themselves may be wrong, but harms nobody.
	foreach my $condition ('id = 1', 'id IS NULL AND small > 100', q(s = '{}'), 'f < 1', 'dec > 0', q(dt >= '2000-01-01'), q(ts_ns < now()), q(tz > now() - interval '1 year'), 'flag', 'k = 3', q(dict = 'red'), q(name = 'n1'))
	{
		isnt($node->safe_psql('postgres', "SELECT count(*) FROM $format WHERE $condition"), '', "$format: $condition");
	}
	my ($peak) = PostgreSQL::Test::Utils::slurp_file("/proc/$ingest/status") =~ /^VmHWM:\s+(\d+) kB/m;
	cmp_ok($peak, '<', 400_000, 'memory is bounded (kB)');
}
is($node->safe_psql('postgres', q(SELECT DISTINCT sqlstate FROM streaming.rejected_rows WHERE sqlstate LIKE 'XX%')), '', 'none for a reason of ours');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/was terminated by signal/, 'no process has ended of it');

$node->stop;
done_testing();
