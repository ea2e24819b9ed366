# Rows pushed by many sessions while everything is killed: what was
# acknowledged is in every view once, what was rolled back in none.

use strict;
use warnings;

use StreamingLoad;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s');

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE pushed (tx bigint, k int, v int) SERVER streaming;
CREATE TABLE mirror (tx bigint, k int, v int);
CREATE VIEW per_k WITH (streaming.continuous) AS
	SELECT k, count(*) AS n, sum(v), min(v), max(v) FROM pushed GROUP BY k;
CREATE VIEW some_rows WITH (streaming.continuous) AS SELECT tx, k, v FROM pushed WHERE v % 3 = 0;
CREATE VIEW total WITH (streaming.trigger = '100 ms') AS SELECT count(*) AS n, avg(v) FROM pushed;
CREATE VIEW per_tx WITH (streaming.trigger = 'manual') AS SELECT tx, count(*) AS n, sum(v) FROM pushed GROUP BY tx;
CREATE VIEW sizes WITH (streaming.continuous) AS SELECT n % 10 AS d, count(*) AS groups, sum(n) FROM per_k GROUP BY n % 10;
SQL

my %batch = (
	per_k     => 'SELECT k, count(*) AS n, sum(v), min(v), max(v) FROM mirror GROUP BY k',
	some_rows => 'SELECT tx, k, v FROM mirror WHERE v % 3 = 0',
	total     => 'SELECT count(*) AS n, avg(v) FROM mirror',
	per_tx    => 'SELECT tx, count(*) AS n, sum(v) FROM mirror GROUP BY tx',
	sizes     => 'SELECT n % 10 AS d, count(*) AS groups, sum(n) FROM (SELECT count(*) AS n FROM mirror GROUP BY k) g GROUP BY n % 10',
);

my $load = StreamingLoad->sessions($node, 4);
my %killed;

foreach my $round (1 .. rounds(5))
{
	foreach my $victim ('postmaster', 'streaming query', 'streaming %')
	{
		$load->wait_for_more(10);
		# By chance in the middle of something.
		sleep rand 0.1;
		if ($victim eq 'postmaster')
		{
			kill9_postmaster($node);
			no_survivors($node);
			$node->start;
			$killed{$victim}++;
		}
		elsif (kill9_worker($node, $victim))
		{
			$killed{$victim}++;
		}
		# A view that is only drained loses nothing either.
		drain($node, 'per_tx') if $round % 2;
	}
}
$load->wait_for_more(10);
$load->stop;
diag(join ', ', map { "$killed{$_} x $_" } sort keys %killed);

$load->acknowledged_are_there($node, 'mirror');
foreach my $view (sort keys %batch)
{
	drain($node, $view);
	same_as_batch($node, $view, $batch{$view}, "$view is right after all kills");
}
$load->acknowledged_are_there($node, 'per_tx');

# And what shows nothing wrong goes on.
$node->safe_psql('postgres', 'INSERT INTO pushed VALUES (1, 1, 1); INSERT INTO mirror VALUES (1, 1, 1)');
drain($node, 'sizes');
same_as_batch($node, $_, $batch{$_}, "$_ goes on") foreach qw(per_k sizes);
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views WHERE status <> 'running' OR last_error <> '')), 0, 'no view is in trouble');

$node->stop;
done_testing();
