# Bulk that comes into a pushed stream is read by parallel workers, each row once.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', <<'CONF');
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
max_parallel_workers_per_gather = 2
max_parallel_workers = 8
streaming.work_mem = 64
CONF

# Which process has looked at a row.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION reader(int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN RETURN pg_backend_pid(); END';
CREATE FUNCTION restricted_reader(int) RETURNS int LANGUAGE plpgsql PARALLEL RESTRICTED AS 'BEGIN RETURN pg_backend_pid(); END';
CREATE FOREIGN TABLE s (k int, v int, t text) SERVER streaming OPTIONS (retention '1 day');
CREATE TABLE r (k int, v int, t text);
CREATE VIEW few WITH (streaming.trigger = 'manual') AS
	SELECT k % 10 AS g, count(*) AS n, sum(v), avg(v), stddev(v), max(t) FROM s GROUP BY 1;
CREATE VIEW many WITH (streaming.trigger = 'manual') AS
	SELECT k, count(*) AS n, sum(v), avg(v::numeric) FROM s GROUP BY k;
CREATE VIEW no_key WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n, sum(v), max(t) FROM s;
CREATE VIEW readers WITH (streaming.trigger = 'manual') AS
	SELECT k % 10 AS g, min(reader(v)) AS low, max(reader(v)) AS high FROM s GROUP BY 1;
CREATE VIEW restricted WITH (streaming.trigger = 'manual') AS
	SELECT k % 10 AS g, min(restricted_reader(v)) AS low, max(restricted_reader(v)) AS high FROM s GROUP BY 1;
CREATE VIEW single WITH (streaming.trigger = 'manual') AS
	SELECT v, count(*) AS n, min(reader(v)) AS low, max(reader(v)) AS high FROM s GROUP BY v;
SQL
my %query = (
	few => 'SELECT k % 10, count(*), sum(v), avg(v), stddev(v), max(t) FROM r GROUP BY 1',
	many => 'SELECT k, count(*), sum(v), avg(v::numeric) FROM r GROUP BY k',
	no_key => 'SELECT count(*), sum(v), max(t) FROM r');

# Into the stream, and into the table that is compared.
sub push_sql
{
	my ($rows, $from) = @_;
	my $values = "SELECT i / 4, i, 'note ' || i FROM generate_series($from, $from + $rows - 1) i";
	return "INSERT INTO s $values; INSERT INTO r $values;";
}

sub push_rows { return $node->safe_psql('postgres', push_sql(@_)); }

sub views_are_right
{
	my ($name) = @_;
	foreach my $view (sort keys %query)
	{
		drain($node, $view);
		same_as_batch($node, $view, $query{$view}, "$name: $view");
	}
}

my $total = 200_000;
push_rows($total, 0);
is(drain($node, 'readers'), $total, 'the rows of all processes are counted, once');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM readers WHERE low <> high'), '>', 0, 'several processes have read them');
views_are_right('bulk');

drain($node, 'restricted');
is($node->safe_psql('postgres', 'SELECT count(*) FROM restricted WHERE low <> high'), 0, 'one process, where a function must not run in workers');

# A worker that hands up nearly each row is no help.
drain($node, 'single');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT low), count(*) FILTER (WHERE low <> high) FROM single'), '1|0', 'one process, where each row is a group');

# A transaction that stays open keeps the place to read from where it began;
# what lies behind it and has been taken is passed over by all processes.
my $open = $node->background_psql('postgres');
$open->query_safe('BEGIN;' . push_sql(20_000, $total));
$open->query_safe('SAVEPOINT a;' . push_sql(20_000, $total + 20_000) . 'RELEASE a;');
$open->query_safe('SAVEPOINT b;' . push_sql(20_000, $total + 40_000) . 'ROLLBACK TO b;');
push_rows(50_000, $total + 60_000);
views_are_right('while a transaction is open');
push_rows(50_000, $total + 110_000);
views_are_right('behind what has been taken');
$open->query_safe('COMMIT;');
$open->quit;
views_are_right('after its commit');

# Batches that are not bulk, in between.
push_rows(5, $total + 160_000);
views_are_right('few rows');

# An error in a worker is the batch's, and nothing is taken.
$node->safe_psql('postgres', <<'SQL');
CREATE VIEW failing WITH (streaming.trigger = 'manual') AS SELECT k % 10 AS g, sum(1 / (v - 150000)) FROM s GROUP BY 1;
SQL
my ($code, $out, $err) = $node->psql('postgres', "SELECT streaming.drain('failing')");
like($err, qr/division by zero/, 'an error in a worker is reported');
is($node->safe_psql('postgres', 'SELECT count(*) FROM failing'), 0, 'and nothing of the batch stays');

ok(wait_for($node, q(SELECT string_agg(view::text, ' ') FROM streaming.views WHERE status <> 'running'), 'failing'), 'no other view is in trouble');
$node->stop;
done_testing();
