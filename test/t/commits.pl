# Small batches do not wait for the disk: what a crash takes of them comes again, and what
# somebody waits for, or is written elsewhere, is on disk as soon as it is seen.

use strict;
use warnings;

use StreamingTest;
use Test::More;
use Time::HiRes qw(usleep);

# Nothing reaches the disk by itself.
my $node = new_node('main', 'fsync = on', 'wal_writer_delay = 10s', 'streaming.retry_max = 1s');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# From the next start or reload on.
sub stop_at
{
	$node->append_conf('postgresql.conf', "streaming.stop_point = '$_[0]'");
	return;
}

sql(<<'SQL');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;
CREATE TABLE mirror (k int, v int);
CREATE TABLE target (k int, v int);
CREATE VIEW asap WITH (streaming.trigger = 'asap') AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
CREATE VIEW over WITH (streaming.trigger = 'asap') AS SELECT n, count(*) AS m FROM asap GROUP BY n;
SQL

my %batch = (
	asap => 'SELECT k, count(*) AS n, sum(v) FROM mirror GROUP BY k',
	over => 'SELECT n, count(*) AS m FROM (SELECT count(*) AS n FROM mirror GROUP BY k) x GROUP BY n',
);
my $rows = 0;

sub push_row
{
	my $row = sprintf '(%d, %d)', $rows % 7, ++$rows;

	sql("BEGIN; INSERT INTO s VALUES $row; INSERT INTO mirror VALUES $row; COMMIT");
	return;
}

# A row comes, one more query shows it while the worker waits behind its commit, and the
# machine fails. Returns what the query shows after the start, before any batch.
sub crash_behind_commit
{
	my ($query, $wanted) = @_;

	stop_at('batch_committed');
	$node->reload;
	wait_for($node, 'SHOW streaming.stop_point', 'batch_committed') or die 'no reload';
	push_row();
	# It may wait behind a batch that had nothing to do.
	foreach my $try (1 .. 50)
	{
		last if sql($query) eq $wanted;
		die "no batch: $query" if $try == 50;
		usleep(100_000);
		next if $try % 5;
		stop_at($_), $node->reload, usleep(2000) foreach '', 'batch_committed';
	}
	stop_at('batch_written');
	kill9($node, 'postmaster');
	return sql($query);
}

sub go_on
{
	stop_at('');
	$node->reload;
	foreach my $view (sort keys %batch)
	{
		drain($node, $view);
		same_as_batch($node, $view, $batch{$view}, "$view $_[0]");
	}
	return;
}

foreach my $round (1 .. 3)
{
	foreach (1 .. 20) { push_row(); }
	drain($node, 'over');
	crash_behind_commit('SELECT sum(n) FROM asap', $rows + 1);
	go_on("has all rows after crash $round");
}

# What is waited for.
$node->append_conf('postgresql.conf', 'streaming.synchronous_commit = on');
$node->reload;
is(crash_behind_commit('SELECT sum(n) FROM asap', $rows + 1), $rows, 'streaming.synchronous_commit: what is seen stays');
go_on('has all rows after that');
$node->append_conf('postgresql.conf', 'streaming.synchronous_commit = off');
$node->reload;

sql(q(ALTER VIEW asap SET (streaming.enabled = off); ALTER VIEW over SET (streaming.enabled = off);
	CREATE VIEW to_target WITH (streaming.trigger = 'asap', streaming.sink = 'target') AS SELECT k, v FROM s));
drain($node, 'to_target');
is(crash_behind_commit('SELECT max(v) FROM target', $rows + 1), $rows, 'a sink: what is seen stays');
sql(q(ALTER VIEW asap SET (streaming.enabled = on); ALTER VIEW over SET (streaming.enabled = on)));
go_on('has all rows beside a sink');
sql('ALTER VIEW to_target SET (streaming.enabled = off)');

# A drain whose last batch was none of its own.
foreach my $round (1 .. 3)
{
	push_row();
	wait_for($node, 'SELECT sum(n) FROM asap', $rows) or die 'no batch';
	drain($node, 'asap');
	stop_at('batch_written');
	kill9($node, 'postmaster');
	is(sql('SELECT sum(n) FROM asap'), $rows, "what was drained stays after crash $round");
	go_on("goes on after crash $round");
}

$node->stop;
done_testing();
