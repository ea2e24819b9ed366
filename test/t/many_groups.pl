# Batches of many groups: rows are ordered by the hash of their group, and state
# tables have an index only when the worker does not remember where rows are.
#
# Takes long.

use strict;
use warnings;

use StreamingTest;
use Test::More;

# A view that is moved to another worker, because a batch takes long, does not
# remember there how many groups it had: so there is no other.
my $node = new_node('main', <<'CONF');
shared_preload_libraries = 'streaming, auto_explain'
streaming.query_workers = 1
streaming.max_query_workers = 1
auto_explain.log_min_duration = 0
log_min_messages = log
max_parallel_workers_per_gather = 0
autovacuum = off
CONF

# Of the bigint keys, two and two have the same hash. There are more groups than
# are put into a hash table, and some rows to each.
my $groups = 60_000;
my $rows = 70_000;
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE app;
GRANT CREATE ON SCHEMA public TO app;
CREATE TABLE names (v int PRIMARY KEY, name text);
INSERT INTO names SELECT i, 'name ' || i % 7 FROM generate_series(0, 99) i;
GRANT SELECT ON names TO app;
SQL
my %query = (
	texts => 'SELECT t, count(*) AS n, sum(v), avg(v), max(t) FROM STREAM GROUP BY t',
	twins => 'SELECT k, count(*) AS n, sum(v), stddev(v) FROM STREAM GROUP BY k',
	two_keys => 'SELECT k % 1000 AS a, t, count(*) AS n, min(v) FROM STREAM GROUP BY 1, 2',
	pairs => 'SELECT DISTINCT t, k FROM STREAM',
	numbers => 'SELECT d, count(*) AS n FROM STREAM GROUP BY d',
	thirds => 'SELECT k, sum(v) AS total FROM STREAM GROUP BY k HAVING sum(v) % 3 = 0',
	joined => 'SELECT k, name, count(*) AS n FROM STREAM JOIN names USING (v) GROUP BY k, name',
	counted => 'SELECT n, count(*) AS groups FROM (SELECT k, count(*) AS n FROM STREAM GROUP BY k) i GROUP BY n',
	recomputed => 'SELECT k, count(DISTINCT v) AS n FROM STREAM GROUP BY k',
	values_of_two => 'SELECT v % 5 AS f, count(*) AS n, count(DISTINCT k) AS k, count(DISTINCT t) FILTER (WHERE v > 50) AS t
		FROM STREAM GROUP BY 1');

# A new stream, with all the views, whose owner has no special rights.
sub new_stream
{
	$node->safe_psql('postgres', <<'SQL');
SET client_min_messages = warning;
DROP FOREIGN TABLE IF EXISTS s CASCADE;
DROP TABLE IF EXISTS r;
CREATE FOREIGN TABLE s (t text, k bigint, d numeric, v int) SERVER streaming;
CREATE TABLE r (t text, k bigint, d numeric, v int);
GRANT SELECT ON s TO app;
SQL
	foreach my $view (sort keys %query)
	{
		$node->safe_psql('postgres', "SET ROLE app; CREATE VIEW $view WITH (streaming.trigger = 'manual') AS " . $query{$view} =~ s/STREAM/s/r);
		drain($node, $view);
	}
}

# A twin of key k is 2^32 + k XOR 1. The numbers of equal value look different.
my $pushed = 0;
sub push_rows
{
	my ($n) = @_;
	my $values = <<"SQL";
SELECT CASE WHEN i % 1000 = 0 THEN NULL ELSE md5((i * 7919 % $groups)::text) END,
	CASE WHEN i % 7 < 4 THEN i * 7919 % $groups ELSE 4294967296 + ((i * 7919 % $groups) # 1) END,
	CASE WHEN i % 3 = 0 THEN i % $groups ELSE (i % $groups)::numeric(20, 2) END,
	i % 100
FROM generate_series($pushed + 1::bigint, $pushed + $n) i
SQL
	$pushed += $n;
	$node->safe_psql('postgres', "INSERT INTO s $values; INSERT INTO r $values");
}

sub views_are_right
{
	my ($name) = @_;
	foreach my $view (sort keys %query)
	{
		drain($node, $view);
		same_as_batch($node, $view, $query{$view} =~ s/STREAM/r/r, "$name: $view");
	}
}

# How often rows have been ordered by hash, since the last look.
sub ordered { return scans_logged($node, 'Streaming Hash Order'); }

sub indexes
{
	return $node->safe_psql('postgres', <<'SQL');
SELECT count(*) FROM pg_indexes WHERE schemaname = 'streaming_internal' AND indexdef ~ '\("\$hash"\)'
SQL
}

new_stream();
push_rows($rows);
views_are_right('the first batch');
is(ordered(), 0, 'nobody knew that there are many groups');
push_rows($rows);
views_are_right('the second batch');
cmp_ok(ordered(), '>=', 7, 'rows were ordered by hash');
is(indexes(), 0, 'nobody needs an index');

# What has been ordered does not fit into memory at once, or the map does not.
with_setting($node, "streaming.work_mem = '1MB'");
push_rows($rows);
views_are_right('piece by piece');
cmp_ok(ordered(), '>=', 7, 'ordered as well');
is(indexes(), 0, 'nor an index');
$node->restart;
push_rows(10);
views_are_right('a few rows after a restart');
is(indexes(), 0, 'the tables were read');
with_setting($node, "streaming.state_memory = '64kB'");
$node->restart;
push_rows($rows);
views_are_right('with little memory');
cmp_ok(indexes(), '>=', scalar keys %query, 'indexes were made');
# Not where the tests are run again.
if (rounds(2) == 2)
{
	push_rows($rows);
	views_are_right('with indexes');
	with_setting($node, "streaming.state_memory = '80MB'");
	$node->restart;
	push_rows($rows);
	views_are_right('with indexes and memory');

	# The map is given up in the middle of a batch in which all is new.
	with_setting($node, "streaming.state_memory = '256kB'");
	new_stream();
	push_rows($rows);
	views_are_right('a first batch with little memory');
	push_rows($rows);
	views_are_right('and a second');
	cmp_ok(indexes(), '>=', scalar keys %query, 'with indexes');
}

# A crash leaves tables without an index, too.
with_setting($node, "streaming.state_memory = '80MB'");
new_stream();
push_rows($rows);
views_are_right('before a crash');
push_rows($rows);
$node->stop('immediate');
$node->start;
push_rows($rows);
views_are_right('after a crash');
is(indexes(), 0, 'without indexes');

ok(wait_for($node, q(SELECT string_agg(view::text, ' ') FROM streaming.views WHERE status <> 'running'), ''), 'no view is in trouble');
$node->stop;
done_testing();
