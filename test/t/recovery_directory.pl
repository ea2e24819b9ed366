# Files that appear while everything is killed: each is in every view once.

use strict;
use warnings;

use StreamingLoad;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s', 'streaming.scan_interval = 1s');
my $dir = $node->basedir . '/landing';
mkdir $dir;

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE s (k int, v int, s text, path text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line'))
	SERVER landing OPTIONS (path '*.json');
CREATE VIEW per_k WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v), avg(v) FROM s GROUP BY k;
CREATE VIEW all_rows WITH (streaming.continuous) AS SELECT path, line, v FROM s;
CREATE VIEW slow WITH (streaming.trigger = '300 ms', streaming.max_files_per_trigger = 7) AS SELECT count(*) AS n, sum(v) FROM s;
CREATE VIEW drained WITH (streaming.trigger = 'manual') AS SELECT path, count(*) AS n FROM s GROUP BY path;
SQL

my %batch = (
	per_k    => 'SELECT k, count(*) AS n, sum(v), avg(v) FROM s GROUP BY k',
	all_rows => 'SELECT path, line, v FROM s',
	slow     => 'SELECT count(*) AS n, sum(v) FROM s',
	drained  => 'SELECT path, count(*) AS n FROM s GROUP BY path',
);

my $load = StreamingLoad->files($dir);

foreach my $round (1 .. rounds(5))
{
	foreach my $victim ('postmaster', 'streaming ingest', 'streaming query')
	{
		$load->wait_for_more(5);
		sleep rand 0.2;
		kill9($node, $victim);
		drain($node, 'drained') if $round % 2;
	}
}
$load->wait_for_more(5);
$load->stop;

my ($rows, $sum) = $load->written;
diag("$rows rows");
foreach my $view (sort keys %batch)
{
	drain($node, $view);
	same_as_batch($node, $view, $batch{$view}, "$view is right after all kills");
}
is($node->safe_psql('postgres', 'SELECT sum(n), sum(sum) FROM per_k'), "$rows|$sum", 'and is what the files have');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.rejected_rows)), 0, 'nothing was rejected');

$node->stop;
done_testing();
