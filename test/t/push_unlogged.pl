# durable 'false': a crash takes rows that no view has taken, and nothing else.

use strict;
use warnings;

use StreamingTest;
use Test::More;

random_seed();
my $node = new_node('main');

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (round int, v int) SERVER streaming OPTIONS (durable 'false');
CREATE VIEW per_round WITH (streaming.continuous) AS SELECT round, count(*) AS n, sum(v) FROM s GROUP BY round;
CREATE VIEW drained WITH (streaming.trigger = 'manual') AS SELECT round, v FROM s;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) AS rounds FROM per_round GROUP BY n;
SQL
is($node->safe_psql('postgres', q(SELECT string_agg(DISTINCT relpersistence::text, '') FROM pg_class WHERE relname ~ '^push_[0-9]+_[0-9]+_[01]$' AND relname !~ (SELECT oid::text FROM pg_class WHERE relname LIKE 'changes_%'))),
	'u', 'the rows are not logged');

my $insert = 'INSERT INTO s SELECT %d, i FROM generate_series(1, %d) i';
my $taken = 0;
my $rounds = rounds(4);
foreach my $round (1 .. $rounds)
{
	$node->safe_psql('postgres', sprintf $insert, $round, 1000);
	drain($node, $_) foreach qw(per_round drained over);
	$taken += 1000;
	# The manual view never sees these.
	$node->safe_psql('postgres', sprintf $insert, 100 + $round, 10 + int rand 5000);
	kill9($node, $round % 2 ? 'postmaster' : 'streaming query');
	drain($node, $_) foreach qw(per_round drained over);
	is($node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE round > 100) FROM drained'), "$taken|0", 'rows taken are there, rows not taken are gone');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM s'), 0, 'from the stream, too');
	is($node->safe_psql('postgres', "SELECT n, sum FROM per_round WHERE round = $round"), '1000|500500', 'no row is counted twice');
}
$node->safe_psql('postgres', sprintf $insert, 0, 7);
drain($node, $_) foreach qw(per_round drained over);
is($node->safe_psql('postgres', 'SELECT count(*) FROM drained'), $taken + 7, 'rows pushed afterwards are taken');
is($node->safe_psql('postgres', 'SELECT n, sum FROM per_round WHERE round = 0'), '7|28', 'by all views');
same_as_batch($node, 'over', 'SELECT n, count(*) AS rounds FROM per_round GROUP BY n', 'views over views follow');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status <> 'running'), '0'), 'no view is in trouble');

$node->stop;
done_testing();
