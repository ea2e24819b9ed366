# Rows of joins are looked up by what the worker remembers of where they are; an index is made
# only when it does not.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', <<'CONF');
shared_preload_libraries = 'streaming, auto_explain'
streaming.query_workers = 1
streaming.max_query_workers = 1
auto_explain.log_min_duration = 0
log_min_messages = log
autovacuum = off
timezone = UTC
CONF

# Of key 0 there are very many rows, of keys below 10 many, of others few.
my %query = (
	meet => 'SELECT a.k, a.v, b.v AS w FROM A a JOIN B b USING (k)',
	three => 'SELECT a.k, a.v, b.v AS w, c.v AS x FROM A a JOIN B b USING (k) JOIN C c USING (k) WHERE k > 9',
	of_itself => 'SELECT a.k, a.v, b.v AS w FROM A a JOIN A b ON a.k = b.k AND a.v < b.v WHERE a.k > 9',
	preserved => 'SELECT a.k, a.v, b.v AS w FROM A a LEFT JOIN B b ON a.k = b.k AND a.v % 7 = b.v % 7',
	exist => 'SELECT a.k, a.v FROM A a WHERE EXISTS (SELECT FROM B b WHERE b.k = a.k AND b.v > a.v)',
	meet_none => 'SELECT a.k, a.v FROM A a WHERE NOT EXISTS (SELECT FROM B b WHERE b.k = a.k AND b.v > a.v)',
	counted => 'SELECT a.k, a.v, (SELECT count(*) FROM B b WHERE b.k = a.k AND b.v < a.v) AS n FROM A a WHERE a.k > 0');
my $in_time = 'SELECT a.k, a.v, b.v AS w FROM A a JOIN B b ON a.k = b.k AND b.at >= a.at AND b.at < a.at + interval \'2 minutes\'';

sub over
{
	my ($query, $schema) = @_;
	return $query =~ s/\b([ABC]) ([abc])\b/$schema.$1 $2/gr;
}

sub new_streams
{
	$node->safe_psql('postgres', <<'SQL');
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS s, t CASCADE;
CREATE SCHEMA s;
CREATE SCHEMA t;
CREATE FOREIGN TABLE s.a (k int, v int, at timestamptz OPTIONS (watermark '0 seconds')) SERVER streaming;
CREATE FOREIGN TABLE s.b (k int, v int, at timestamptz OPTIONS (watermark '0 seconds')) SERVER streaming;
CREATE FOREIGN TABLE s.c (k int, v int, at timestamptz OPTIONS (watermark '0 seconds')) SERVER streaming;
CREATE TABLE t.a (k int, v int, at timestamptz);
CREATE TABLE t.b (k int, v int, at timestamptz);
CREATE TABLE t.c (k int, v int, at timestamptz);
SQL
	foreach my $view (sort keys %query)
	{
		$node->safe_psql('postgres', "CREATE VIEW $view WITH (streaming.trigger = 'manual') AS " . over($query{$view}, 's'));
		drain($node, $view);
	}
	$node->safe_psql('postgres', "CREATE VIEW in_time WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS " . over($in_time, 's'));
	drain($node, 'in_time');
}

# Rows of a round are of its minute; one in 20 of a is of key 0, of b one in a round.
my $round = 0;
sub push_rows
{
	my ($n) = @_;
	$round++;
	foreach my $stream ('a', 'b', 'c')
	{
		my $few = $stream eq 'a' ? 'i % 20 = 0' : 'i = 1';
		my $values = <<"SQL";
SELECT CASE WHEN $few THEN 0 WHEN i % 20 = 1 THEN i % 10 ELSE 10 + (i * 7919 + $round) % 3000 END, i + $round,
	timestamptz '2026-01-01 00:00:00+00' + interval '$round minutes'
FROM generate_series(1, $n) i
SQL
		$node->safe_psql('postgres', "INSERT INTO s.$stream $values; INSERT INTO t.$stream $values");
	}
}

sub views_are_right
{
	my ($name) = @_;
	foreach my $view (sort keys %query)
	{
		drain($node, $view);
		same_as_batch($node, $view, over($query{$view}, 't'), "$name: $view");
	}
	# Each batch is in time, so all are joined.
	drain($node, 'in_time');
	same_as_batch($node, 'in_time', over($in_time, 't'), "$name: in_time");
}

sub look_ups { return scans_logged($node, 'Streaming Look-up'); }

sub indexes
{
	return $node->safe_psql('postgres', <<'SQL');
SELECT count(*) FROM pg_indexes WHERE schemaname = 'streaming_internal' AND tablename ~ '^rows_' AND indexdef ~ '\("\$group"\)'
SQL
}

new_streams();
push_rows(2000);
views_are_right('the first batch');
push_rows(100);
views_are_right('the second');
cmp_ok(look_ups(), '>=', scalar keys %query, 'rows are looked up');
is(indexes(), 0, 'without an index');

# Rows have gone that were joined in time; their places may be taken by others.
for (1 .. 3)
{
	vacuum_rows();
	push_rows(300);
	views_are_right("when rows have gone, $_");
}

# VACUUM FULL moves all rows.
vacuum_rows('FULL');
push_rows(10);
views_are_right('when rows have moved');
$node->restart;
push_rows(10);
views_are_right('after a restart');
look_ups();
push_rows(10);
views_are_right('and then');
cmp_ok(look_ups(), '>=', scalar keys %query, 'rows are looked up after a restart');
is(indexes(), 0, 'the tables were read');
$node->stop('immediate');
$node->start;
push_rows(10);
views_are_right('after a crash');
is(indexes(), 0, 'without an index after a crash');

with_setting($node, "streaming.state_memory = '64kB'");
$node->restart;
push_rows(300);
views_are_right('with little memory');
cmp_ok(indexes(), '>=', scalar keys %query, 'indexes were made');
with_setting($node, "streaming.state_memory = '80MB'");
$node->restart;
push_rows(300);
views_are_right('with indexes and memory');

# The map is given up in the middle of a batch in which all is new.
with_setting($node, "streaming.state_memory = '64kB'");
new_streams();
push_rows(2000);
views_are_right('a first batch with little memory');
push_rows(100);
views_are_right('a second with little memory');
cmp_ok(indexes(), '>=', scalar keys %query, 'with indexes');

ok(wait_for($node, q(SELECT string_agg(view::text, ' ') FROM streaming.views WHERE status <> 'running'), ''), 'no view is in trouble');
$node->stop;
done_testing();

sub vacuum_rows
{
	my ($how) = @_;
	$node->safe_psql('postgres', 'VACUUM ' . ($how ? "($how) " : '') . "streaming_internal.$_")
	  foreach split /\n/, $node->safe_psql('postgres',
		q(SELECT relname FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind = 'r' AND relname ~ '^rows_'));
}
