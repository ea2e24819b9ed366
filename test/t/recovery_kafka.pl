# Messages that arrive while everything but the broker is killed: each is in
# every view once.

use strict;
use warnings;

use StreamingKafka;
use StreamingLoad;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $kafka = StreamingKafka->shared;
my $topic = $kafka->create_topic('recovery', 4);
my $node = new_node('main', 'streaming.retry_max = 1s');

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE s (k int, v int, s text, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic');
CREATE VIEW per_k WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v), avg(v) FROM s GROUP BY k;
CREATE VIEW all_rows WITH (streaming.continuous) AS SELECT part, off, v FROM s;
CREATE VIEW slow WITH (streaming.trigger = '300 ms') AS SELECT count(*) AS n, sum(v), max(s) FROM s;
CREATE VIEW drained WITH (streaming.trigger = 'manual') AS SELECT part, count(*) AS n, max(off) FROM s GROUP BY part;
SQL

my %batch = (
	per_k    => 'SELECT k, count(*) AS n, sum(v), avg(v) FROM s GROUP BY k',
	all_rows => 'SELECT part, off, v FROM s',
	slow     => 'SELECT count(*) AS n, sum(v), max(s) FROM s',
	drained  => 'SELECT part, count(*) AS n, max(off) FROM s GROUP BY part',
);

my $load = StreamingLoad->messages($kafka, $topic, 4);

foreach my $round (1 .. rounds(5))
{
	foreach my $victim ('postmaster', 'streaming ingest', 'streaming query')
	{
		$load->wait_for_more(2);
		sleep rand 0.2;
		kill9($node, $victim);
		drain($node, 'drained') if $round % 2;
	}
}
$load->wait_for_more(2);
$load->stop;

my ($rows, $sum) = $load->written;
diag("$rows messages");
foreach my $view (sort keys %batch)
{
	drain($node, $view);
	same_as_batch($node, $view, $batch{$view}, "$view is right after all kills");
}
is($node->safe_psql('postgres', 'SELECT sum(n), sum(sum) FROM per_k'), "$rows|$sum", 'and is what was produced');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.rejected_rows)), 0, 'nothing was rejected');

$node->stop;
done_testing();
