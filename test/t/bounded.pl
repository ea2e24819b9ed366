# Buffers stay small however much passes through them.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $topic = $kafka->create_topic('bounded', 2);
my $node = new_node('main', 'streaming.buffer_size = 1MB', 'autovacuum_naptime = 1s');
my $dir = $node->basedir . '/landing';
mkdir $dir;

# Of all tables that rows pass through, with their TOAST tables and indexes.
my $size = <<'SQL';
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind = 'r' AND relname ~ '^buffer_'
SQL
my $pushed_size = $size =~ s/\^buffer_/^push/r;
my $mb = 1024 * 1024;

# Waits until sql answers expected, and returns the largest size seen until then.
sub largest_until
{
	my ($size_sql, $sql, $expected) = @_;
	my $largest = 0;

	my $done = wait_until(
		sub {
			# Segments come and go: one that is just dropped is an error.
			my ($ret, $out) = $node->psql('postgres', "$size_sql;\n$sql");
			return 0 if $ret;
			my ($now, $answer) = split /\n/, $out;
			$largest = $now if $now > $largest;
			return ($answer // '') eq $expected;
		});
	ok($done, 'all has passed') or diag($node->safe_psql('postgres', $sql));
	return $largest;
}

my $filler = 'x' x 200;
my $file = $node->basedir . '/values';
open my $out, '>', $file or die "$file: $!";
printf $out qq({"k": %d, "v": %d, "s": "$filler"}\n), $_ % 50, $_ foreach 1 .. 60_000;
close $out;

# 30 MB of messages, through a buffer of 1 MB.
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}');
CREATE FOREIGN TABLE m (k int, v int, s text) SERVER broker OPTIONS (topic '$topic');
CREATE VIEW of_messages WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v), max(s) FROM m GROUP BY k;
CREATE VIEW slowly WITH (streaming.trigger = '200 ms') AS SELECT count(*) AS n, max(s) FROM m;
SQL
drain($node, $_) foreach qw(of_messages slowly);
$kafka->produce_file($topic, $_, $file) foreach 0 .. 1;
my $largest = largest_until($size, 'SELECT min(n) FROM (SELECT sum(n) AS n FROM of_messages UNION ALL SELECT n FROM slowly) x', 120_000);
cmp_ok($largest, '<', 4 * $mb, sprintf 'messages: %.1f MB of buffer', $largest / $mb);
same_as_batch($node, 'of_messages', 'SELECT k, count(*) AS n, sum(v), max(s) FROM m GROUP BY k');
ok(wait_for($node, "SELECT ($size) < 4 * 1024 * 1024"), 'and no more afterwards');
is($node->safe_psql('postgres', q(SELECT bool_and(lag_rows = 0) FROM streaming.stat_views)), 't', 'nobody lags');

# 15 MB in one file, and many small ones.
$node->safe_psql('postgres', <<SQL);
DROP FOREIGN TABLE m CASCADE;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int, s text) SERVER landing OPTIONS (path '*.json');
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v), max(s) FROM f GROUP BY k;
SQL
drain($node, 'of_files');
rename $file, "$dir/large.json" or die "rename: $!";
put_file($dir, "small$_.json", qq({"k": $_, "v": 1, "s": "$filler"}\n) x 10) foreach 1 .. 50;
$largest = largest_until($size, 'SELECT sum(n) FROM of_files', 60_500);
cmp_ok($largest, '<', 4 * $mb, sprintf 'files: %.1f MB of buffer', $largest / $mb);
same_as_batch($node, 'of_files', 'SELECT k, count(*) AS n, sum(v), max(s) FROM f GROUP BY k');

# Pushed rows are forgotten when all views have taken them.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (k int, v int, s text) SERVER streaming;
CREATE VIEW of_rows WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
CREATE VIEW of_rows_late WITH (streaming.trigger = '100 ms') AS SELECT count(*) AS n FROM s;
SQL
my $passed = 0;
my $most = 0;
foreach my $i (1 .. 20)
{
	$node->safe_psql('postgres', "INSERT INTO s SELECT i % 100, i, repeat('x', 200) FROM generate_series(1, 10000) i");
	$passed += 10_000;
	drain($node, $_) foreach qw(of_rows of_rows_late);
	my $now = $node->safe_psql('postgres', $pushed_size);
	$most = $now if $now > $most;
}
is($node->safe_psql('postgres', 'SELECT sum(n), (SELECT n FROM of_rows_late) FROM of_rows'), "$passed|$passed", 'all rows were counted');
cmp_ok($most, '>', 0, 'the tables of pushed rows are what was measured');
diag(sprintf 'pushed rows: at most %.1f MB of 50 MB', $most / $mb);
ok(wait_until(
		sub {
			# Room is made after a batch.
			$node->safe_psql('postgres', q(INSERT INTO s VALUES (1, 1, 'x')));
			return $node->safe_psql('postgres', "SELECT ($pushed_size) < 3 * 1024 * 1024") eq 't';
		}),
	'pushed rows are trimmed');

$node->stop;
done_testing();
