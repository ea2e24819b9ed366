# Views that follow a partitioned table: random histories from several sessions at once,
# among them one that attaches, detaches, drops and makes partitions, with kills, against
# the batch answer.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s', 'streaming.buffer_size = 1MB', 'deadlock_timeout = 100ms');

my $keys = 12;
$node->safe_psql('postgres', <<"SQL");
CREATE TABLE readings (id int, k int, v int, note text) PARTITION BY LIST (k);
CREATE TABLE rest PARTITION OF readings DEFAULT;
CREATE TABLE deep (LIKE readings) PARTITION BY RANGE (id);
CREATE TABLE deep_low PARTITION OF deep FOR VALUES FROM (MINVALUE) TO (50);
CREATE TABLE deep_high (note text, v int, k int, id int);
ALTER TABLE deep ATTACH PARTITION deep_high FOR VALUES FROM (50) TO (MAXVALUE);
ALTER TABLE readings ATTACH PARTITION deep FOR VALUES IN (0);
INSERT INTO readings SELECT i, i % $keys, i, repeat('x', i) FROM generate_series(1, 300) i;
SQL

my %batch = (
	sums   => 'SELECT k, count(*) AS n, sum(v) AS total, max(v) FROM readings GROUP BY k',
	rows   => 'SELECT id, note FROM readings WHERE v % 2 = 0',
	pairs  => 'SELECT a.id, b.id AS other FROM readings a JOIN readings b ON a.id = b.id + 1 AND a.v <= b.v',
);
$node->safe_psql('postgres', qq(CREATE VIEW "$_" WITH (streaming.follow = 'all') AS $batch{$_})) foreach sort keys %batch;

sub all_right
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $view (sort keys %batch)
	{
		drain($node, qq("$view"));
		same_as_batch($node, qq("$view"), $batch{$view}, "$view, $when");
	}
	return;
}

sub statement
{
	my $id = 1 + int rand 100;
	my $k = int rand $keys;
	my $note = rand() < 0.2 ? "repeat(md5('$id'), 300)" : "'n$id'";
	my @all = (
		"INSERT INTO readings SELECT i, i % $keys, $k, $note FROM generate_series($id, $id + 5) i",
		"INSERT INTO readings VALUES ($id, 0, $k, $note)",
		"INSERT INTO deep_high (id, k, v, note) VALUES (50 + $id, 0, $k, $note)",
		"INSERT INTO deep VALUES ($id, 0, $k, $note)",
		"INSERT INTO rest VALUES ($id, 100, $k, $note)",
		"INSERT INTO p$k VALUES ($id, $k, $id, $note)",
		"UPDATE readings SET v = v + 1 WHERE k = $k",
		"UPDATE readings SET k = (k + 1) % $keys WHERE id = $id",
		"UPDATE deep SET id = 101 - id WHERE id % 7 = $id % 7 AND id BETWEEN 1 AND 100",
		"UPDATE p$k SET note = $note WHERE id % 5 = $id % 5",
		"DELETE FROM readings WHERE id % 50 = $id % 50",
		"DELETE FROM deep_low WHERE id % 4 = $id % 4",
		"WITH gone AS (DELETE FROM p$k RETURNING id, v, note) INSERT INTO readings SELECT id, 0, v, note FROM gone");

	return "TRUNCATE p$k" if rand() < 0.02;
	return $all[ rand @all ];
}

sub transaction
{
	my @statements = map { statement() } 1 .. 1 + int rand 3;

	return join '; ', 'BEGIN', @statements, rand() < 0.1 ? 'ROLLBACK' : 'COMMIT';
}

# Partitions p1 to p11 come, with rows or without, and go.
sub ddl
{
	my $k = 1 + int rand($keys - 1);
	my @all = (
		"CREATE TABLE p$k PARTITION OF readings FOR VALUES IN ($k)",
		"BEGIN; CREATE TABLE p$k (note text, v int, k int, id int); INSERT INTO p$k SELECT repeat('y', i * 50), i, $k, i FROM generate_series(1, 100) i; "
		  . "ALTER TABLE readings ATTACH PARTITION p$k FOR VALUES IN ($k); UPDATE p$k SET v = 1 WHERE id < 10; COMMIT",
		"BEGIN; DELETE FROM rest WHERE k = $k; CREATE TABLE p$k PARTITION OF readings FOR VALUES IN ($k); COMMIT",
		"ALTER TABLE readings DETACH PARTITION p$k",
		"BEGIN; ALTER TABLE readings DETACH PARTITION p$k; INSERT INTO p$k (id) VALUES (1); INSERT INTO readings (id, k, v) SELECT id, 0, 5 FROM p$k; DROP TABLE p$k; COMMIT",
		"DROP TABLE p$k",
		"BEGIN; DROP TABLE p$k; ROLLBACK",
		"DELETE FROM rest WHERE k = $k; ALTER TABLE readings ATTACH PARTITION p$k FOR VALUES IN ($k)",
		'BEGIN; ALTER TABLE deep DETACH PARTITION deep_low; UPDATE deep_low SET v = -1; ALTER TABLE deep ATTACH PARTITION deep_low FOR VALUES FROM (MINVALUE) TO (50); COMMIT');

	return $all[ rand @all ];
}

sub session
{
	my ($name, @statements) = @_;
	my $file = $node->basedir . "/$name.sql";

	open my $out, '>', $file or die "$file: $!";
	print $out join ";\n", @statements, '';
	close $out or die "$file: $!";
	return IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-f', $file ], '>', '/dev/null', '2>', '/dev/null');
}

foreach my $round (1 .. rounds(5))
{
	my @running = (map({ session("history$_", map { transaction() } 1 .. 20) } 1 .. 3), session('ddl', map { ddl() } 1 .. 20));
	my $view = "made_$round";

	$batch{$view} = "SELECT k, count(*), max(note) FROM readings WHERE id % 7 <> $round GROUP BY k";
	kill9($node, 'streaming query') if $round % 2 == 0;
	kill9($node, 'postmaster') if $round % 3 == 0;
	# deadlocks with those who change the partitions are theirs or ours
	ok(wait_until(sub { $node->psql('postgres', "CREATE VIEW $view WITH (streaming.follow = 'all') AS $batch{$view}") == 0 }), "$view is made meanwhile");
	$_->finish foreach @running;
	all_right("after history $round");
	$node->safe_psql('postgres', "DROP VIEW $view");
	delete $batch{$view};
}

# --- a dump ---------------------------------------------------------------------------

my $dump = $node->basedir . '/dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $node->connstr('copy'), $dump ], 'pg_restore');
$node->safe_psql('copy', 'INSERT INTO deep_high (id, k, v) VALUES (70, 0, 2); DELETE FROM readings WHERE id < 20');
foreach my $view (sort keys %batch)
{
	$node->safe_psql('copy', "SELECT streaming.drain('\"$view\"', '$deadline seconds')");
	is($node->safe_psql('copy', "SELECT count(*) FROM ((SELECT * FROM \"$view\" EXCEPT ALL $batch{$view}) UNION ALL ($batch{$view} EXCEPT ALL SELECT * FROM \"$view\")) d"),
		'0', "$view is loaded anew where it is restored");
}

# The table goes with all that follows it.
$node->safe_psql('copy', 'CREATE TABLE p20 PARTITION OF readings FOR VALUES IN (20); INSERT INTO p20 VALUES (1, 20, 1, NULL); DROP TABLE readings CASCADE');
is($node->safe_psql('copy', 'SELECT count(*) FROM streaming.views'), '0', 'views go with the table');
$node->stop;
done_testing();
