# Groups come, close and go; the tables of state stay small, without autovacuum.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'autovacuum = off', 'timezone = UTC');

# A round is a minute; its rows close the groups of the round before.
my $keys = 3000;
my $columns = 'at timestamptz, k int, v int';
my %aggregates = (
	combined => [ 'append', "date_bin('1 minute', at, 'epoch') AS w, k, count(*) AS n, sum(v)", 'w, k' ],
	recomputed => [ 'append', "date_bin('1 minute', at, 'epoch') AS w, k, count(DISTINCT v) AS n", 'w, k' ],
	updated => [ 'update', "date_bin('1 minute', at, 'epoch') AS w, count(DISTINCT v) AS n", 'w' ],
	sessions => [ 'append', "streaming.session(at, '10 seconds') AS w, k, count(*) AS n", '1, 2' ]);
my @views = sort keys %aggregates;
my $drains = join '; ', map { "SELECT streaming.drain('$_', '3 minutes')" } @views;

$node->safe_psql('postgres', <<SQL);
CREATE FOREIGN TABLE s (at timestamptz OPTIONS (watermark '0 seconds'), k int, v int) SERVER streaming;
CREATE TABLE fed ($columns);
SQL
foreach my $view (@views)
{
	my ($mode, $select, $group) = @{ $aggregates{$view} };
	$node->safe_psql('postgres',
		"CREATE VIEW $view WITH (streaming.trigger = 'manual', streaming.output_mode = '$mode') AS SELECT $select FROM s GROUP BY $group");
	drain($node, $view);
}

# Pushes a round and has all views take it; twice, so that sessions are extended.
my $round = 0;
sub play_round
{
	$round++;
	foreach my $second (1, 5)
	{
		$node->safe_psql('postgres', <<SQL);
WITH rows AS (INSERT INTO fed SELECT timestamptz '2026-01-01 00:00:00+00' + interval '$round minutes $second seconds', k, k + $second
	FROM generate_series(1, $keys) k RETURNING *)
INSERT INTO s SELECT * FROM rows;
$drains;
SQL
	}
}

# table => bytes of those that rows are removed from, with their indexes
sub sizes
{
	return map { split /\|/ } split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind = 'r' AND relname ~ '^(state|bag)_'
SQL
}

# The largest sizes that are seen while some rounds are played.
sub largest_in
{
	my ($rounds) = @_;
	my %largest;
	foreach (1 .. $rounds)
	{
		play_round();
		my %now = sizes();
		foreach (keys %now)
		{
			$largest{$_} = $now{$_} if $now{$_} > ($largest{$_} // 0);
		}
	}
	return %largest;
}

# What a round needs where nothing is left of others. A snapshot that keeps dead
# rows from a VACUUM costs a round or two more, now and then; it is not growth.
my %round_size = largest_in(1);
is(scalar(keys %round_size), 5, 'states of combined, recomputed and sessions, bags of recomputed and updated');

sub stays_small
{
	my ($what, $rounds, %sizes) = @_;
	foreach (sort keys %sizes)
	{
		cmp_ok($sizes{$_}, '<=', $rounds * $round_size{$_}, sprintf "$what: a round takes %.1f MB, $_ has %.1f MB", $round_size{$_} / 1e6, $sizes{$_} / 1e6);
	}
}

stays_small('after 25 rounds', 10, largest_in(24));
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_all_tables WHERE relname ~ '^(state|bag)_' AND autovacuum_count > 0)), 0, 'autovacuum has no part in it');

# Somebody who keeps VACUUM away keeps no batch away, and is not waited for.
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE ' . join(', ', map { "streaming_internal.$_" } sort keys %round_size) . ' IN SHARE UPDATE EXCLUSIVE MODE');
largest_in(3);
$session->query_safe('COMMIT');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status <> 'running' OR last_error IS NOT NULL), '0'), 'batches go on while the tables cannot be vacuumed');
stays_small('20 rounds after a lock of three', 16, largest_in(20));

# One round is open; in update mode it is shown.
foreach my $view (@views)
{
	my ($mode, $select, $group) = @{ $aggregates{$view} };
	$select =~ s/streaming.session\(.*?\) AS w/tstzrange(min(at), max(at) + '10 seconds') AS w/;
	$group = "date_bin('1 minute', at, 'epoch'), k" if $view eq 'sessions';
	my $fed = $mode eq 'append' ? "(SELECT * FROM fed WHERE at < timestamptz '2026-01-01 00:00:00+00' + interval '$round minutes') f" : 'fed';
	same_as_batch($node, $view, "SELECT $select FROM $fed GROUP BY $group");
}

$session->quit;
$node->stop;
done_testing();
