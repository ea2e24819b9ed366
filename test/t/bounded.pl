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
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
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
ok(wait_for($node, q(SELECT bool_and(lag_rows = 0) FROM streaming.stat_views)), 'nobody lags');

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

# Pushed rows are forgotten when all views have taken them, at the latest when
# half a buffer of them is there.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (k int, v int, s text) SERVER streaming;
CREATE VIEW of_rows WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
CREATE VIEW of_rows_late WITH (streaming.trigger = '100 ms') AS SELECT count(*) AS n, sum(length(s)) FROM s;
SQL
my $insert = q(INSERT INTO s SELECT i % 100, i, repeat('x', 200) FROM generate_series(1, 10000) i);
my $small = "SELECT ($pushed_size) < 600 * 1024";
my $passed = 0;
my $most = 0;
foreach my $i (1 .. 20)
{
	$node->safe_psql('postgres', $insert);
	$passed += 10_000;
	drain($node, $_) foreach qw(of_rows of_rows_late);
	my $now = $node->safe_psql('postgres', $pushed_size);
	$most = $now if $now > $most;
}
is($node->safe_psql('postgres', 'SELECT sum(n), (SELECT n FROM of_rows_late) FROM of_rows'), "$passed|$passed", 'all rows were counted');
cmp_ok($most, '>', 0, 'the tables of pushed rows are what was measured');
diag(sprintf 'pushed rows: at most %.1f MB of 50 MB', $most / $mb);
ok(wait_for($node, $small), 'room is made when the stream is quiet');

# Two statements fill both tables before any view looks.
$node->safe_psql('postgres', "ALTER VIEW $_ SET (streaming.trigger = 'manual')") foreach qw(of_rows of_rows_late);
$node->safe_psql('postgres', $insert) foreach 1 .. 4;
drain($node, 'of_rows');
is($node->safe_psql('postgres', "SELECT ($pushed_size) > 5 * 1024 * 1024"), 't', 'a view that has not taken the rows keeps them');
drain($node, 'of_rows_late');
ok(wait_for($node, $small), 'none does: they go without another batch');
same_as_batch($node, '(SELECT sum(n) FROM of_rows)', 'SELECT n FROM of_rows_late', 'and were taken');

# Large values are out of line; they count.
$node->safe_psql('postgres', "ALTER VIEW $_ SET (streaming.trigger = 'asap')") foreach qw(of_rows of_rows_late);
foreach my $i (1 .. 2)
{
	$node->safe_psql('postgres', q(INSERT INTO s SELECT i, i, repeat('0123456789', 10000) FROM generate_series(1, 10) i)) foreach 1 .. 10;
	drain($node, $_) foreach qw(of_rows of_rows_late);
	ok(wait_for($node, $small), 'large values are removed');
}
is($node->safe_psql('postgres', 'SELECT sum(n) FROM of_rows'), $passed + 40_000 + 200, 'all large rows were counted');

# A transaction that pushes for long is in nobody's way.
my $session = $node->background_psql('postgres');
$session->query_safe(q(BEGIN; INSERT INTO s VALUES (-1, 1, 'slow')));
$node->safe_psql('postgres', $insert);
drain($node, $_) foreach qw(of_rows of_rows_late);
$session->query_safe('COMMIT');
$session->quit;
drain($node, $_) foreach qw(of_rows of_rows_late);
is($node->safe_psql('postgres', 'SELECT sum(n), max(n) FILTER (WHERE k = -1) FROM of_rows'), ($passed + 50_201) . '|1', 'its row is taken');
ok(wait_for($node, $small), 'its table is emptied');

# Without views, and after them.
$node->safe_psql('postgres', 'DROP VIEW of_rows_late; ALTER VIEW of_rows SET (streaming.enabled = off)');
$node->safe_psql('postgres', $insert) foreach 1 .. 2;
is($node->safe_psql('postgres', 'SELECT count(*) >= 20000 FROM s'), 't', 'a paused view keeps its rows');
$node->safe_psql('postgres', 'DROP VIEW of_rows');
ok(wait_for($node, $small), 'they go when it is dropped');
foreach my $end (qw(COMMIT COMMIT ROLLBACK))
{
	$node->safe_psql('postgres', "BEGIN; $insert; $end");
	ok(wait_for($node, $small), "what no view reads is forgotten: $end");
}

# With retention they stay as long, and not much longer.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE kept (v int) SERVER streaming OPTIONS (retention '1 second');
CREATE VIEW of_kept WITH (streaming.continuous) AS SELECT count(*) AS n FROM kept;
INSERT INTO kept VALUES (1), (2);
SQL
drain($node, 'of_kept');
ok(wait_for($node, 'SELECT count(*) FROM kept', '0'), 'retained rows go in time, of a quiet stream, too');
is($node->safe_psql('postgres', 'SELECT n FROM of_kept'), 2, 'and were taken');

$node->stop;
done_testing();
