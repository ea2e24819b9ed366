# Functions as sinks: what they do to tables is done once, through crashes and
# failures; a failing one is tried again with back-off and tells why.

use strict;
use warnings;

use StreamingLoad;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.query_workers = 1');

# --- a function that fails ---------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;
CREATE TABLE rows (k int, v int);
CREATE TABLE attempts_seen (version bigint);
CREATE SEQUENCE attempts;   -- not undone by a rollback
CREATE SEQUENCE closed_with_error;
CREATE SEQUENCE closed;
CREATE FUNCTION put(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.rows VALUES (r.k, 100 / r.v);
END
$$;
CREATE FUNCTION begin(partition_id bigint, version bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('public.attempts');
	INSERT INTO public.attempts_seen VALUES (version);
	RETURN true;
END
$$;
CREATE FUNCTION finish(error text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval(CASE WHEN error IS NULL THEN 'public.closed' ELSE 'public.closed_with_error' END);
	IF error IS NOT NULL AND error <> 'division by zero' THEN
		RAISE EXCEPTION 'unknown error %', error;
	END IF;
END
$$;
CREATE VIEW f WITH (streaming.foreach = 'put', streaming.foreach_open = 'begin', streaming.foreach_close = 'finish') AS SELECT k, v FROM s;
CREATE VIEW good WITH (streaming.continuous) AS SELECT count(*) FROM s;
INSERT INTO s VALUES (1, 1), (2, 2);
SQL
drain($node, 'f');
is($node->safe_psql('postgres', 'SELECT * FROM rows ORDER BY k'), "1|100\n2|50", 'rows are passed');
$node->safe_psql('postgres', 'INSERT INTO s VALUES (3, 5), (4, 0)');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'f'::regclass), qr/^retrying\|division by zero\nCONTEXT:  .*PL\/pgSQL function public\.put\(record\) line 3/s),
	'a function that fails is shown, with where it does');
ok(wait_for($node, 'SELECT last_value > 4 FROM attempts'), 'and tried again');
$node->safe_psql('postgres', 'INSERT INTO s VALUES (5, 4)');
ok(wait_for($node, 'SELECT * FROM good', 5), 'other views go on');
is($node->safe_psql('postgres', 'SELECT count(*) FROM rows'), 2, 'nothing of the failing batch stays');
my ($attempts, $errors) = split /\|/, $node->safe_psql('postgres', 'SELECT (SELECT last_value FROM attempts), (SELECT last_value FROM closed_with_error)');
ok($errors > 1, "close is told of each error ($errors)");
$node->safe_psql('postgres', <<'SQL');
CREATE OR REPLACE FUNCTION put(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.rows VALUES (r.k, 100 / nullif(r.v, 0));
END
$$;
SQL
ok(wait_for($node, q(SELECT status, coalesce(last_error, '') FROM streaming.views WHERE view = 'f'::regclass), 'running|'), 'mended, it runs by itself');
drain($node, 'f');
is($node->safe_psql('postgres', 'SELECT k, count(*) FROM rows GROUP BY k ORDER BY k'), "1|1\n2|1\n3|1\n4|1\n5|1", 'each row was passed once in the end');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT version), count(*) FROM attempts_seen'),
	$node->safe_psql('postgres', q(SELECT batches, batches FROM streaming.stat_views WHERE view = 'f'::regclass)), 'one version a batch');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/unknown error/, 'close got the message itself');

# An error of close after an error does not hide the first one.
$node->safe_psql('postgres', <<'SQL');
CREATE OR REPLACE FUNCTION finish(error text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF error IS NOT NULL THEN
		RAISE EXCEPTION 'close fails, too';
	END IF;
END
$$;
CREATE OR REPLACE FUNCTION put(r record) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$no more rows$$; END';
INSERT INTO s VALUES (6, 1);
SQL
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'f'::regclass), qr/^retrying\|no more rows\n/), 'the first error is shown');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/WARNING:  function "finish" failed after an error: close fails, too/, 'the second is in the log');
$node->safe_psql('postgres', 'DROP FUNCTION put CASCADE; DROP FOREIGN TABLE s CASCADE');
is($node->safe_psql('postgres', 'SELECT count(*) FROM streaming.views'), 0, 'CASCADE takes the view');

# --- exactly once ------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE pushed (tx bigint, k int, v int) SERVER streaming;
CREATE TABLE mirror (tx bigint, k int, v int);
CREATE TABLE each (tx bigint, k int, v int);
CREATE TABLE batched (batch bigint, tx bigint, k int, v int);
CREATE TABLE sums (k int PRIMARY KEY, n bigint, sum bigint);
CREATE TABLE whole (k int, n bigint, sum bigint);
CREATE TYPE pushed_row AS (tx bigint, k int, v int);
CREATE FUNCTION put_each(r pushed_row) RETURNS void LANGUAGE sql AS 'INSERT INTO public.each VALUES (r.tx, r.k, r.v)';
CREATE FUNCTION put_batch(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO public.batched SELECT %s, * FROM %s', batch_id, batch);
END
$$;
CREATE FUNCTION upsert(batch regclass, batch_id bigint, removed regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO public.sums SELECT * FROM %s
		ON CONFLICT (k) DO UPDATE SET n = EXCLUDED.n, sum = EXCLUDED.sum', batch);
	EXECUTE format('DELETE FROM public.sums s USING %s r WHERE r.k = s.k', removed);
END
$$;
CREATE FUNCTION replace(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM public.whole;
	EXECUTE format('INSERT INTO public.whole SELECT * FROM %s', batch);
END
$$;
CREATE VIEW f WITH (streaming.foreach = 'put_each') AS SELECT * FROM pushed;
CREATE VIEW fb WITH (streaming.foreach_batch = 'put_batch') AS SELECT * FROM pushed;
CREATE VIEW fu WITH (streaming.foreach_batch = 'upsert') AS SELECT k, count(*) AS n, sum(v) FROM pushed GROUP BY k HAVING count(*) % 3 > 0;
CREATE VIEW fc WITH (streaming.foreach_batch = 'replace', streaming.output_mode = 'complete') AS SELECT k, count(*) AS n, sum(v) FROM pushed GROUP BY k;
SQL
my @views = qw(f fb fu fc);
my $load = StreamingLoad->sessions($node, 3);
foreach my $round (1 .. rounds(5))
{
	foreach my $victim ('postmaster', 'streaming query')
	{
		$load->wait_for_more(10);
		# By chance in the middle of something.
		sleep rand 0.1;
		kill9($node, $victim);
	}
}
$load->wait_for_more(10);
$load->stop;
drain($node, $_) foreach @views;
same_as_batch($node, '(SELECT tx, k, v FROM each)', 'SELECT tx, k, v FROM mirror', 'foreach: each row once');
same_as_batch($node, '(SELECT tx, k, v FROM batched)', 'SELECT tx, k, v FROM mirror', 'foreach_batch: each row once');
same_as_batch($node, 'sums', 'SELECT k, count(*), sum(v) FROM mirror GROUP BY k HAVING count(*) % 3 > 0', 'update: upserts and removals');
same_as_batch($node, 'whole', 'SELECT k, count(*), sum(v) FROM mirror GROUP BY k', 'complete: the whole result');
same_as_batch($node, 'fu', 'SELECT k, count(*), sum(v) FROM mirror GROUP BY k HAVING count(*) % 3 > 0');

# Batches leave nothing in the catalogs, dropped views no tables.
sub table_of
{
	my ($view, $name) = @_;
	# Those of workers that were killed may be there still: the latest one.
	return $node->safe_psql('postgres', qq(SELECT max(c.oid::bigint) FROM pg_class c, streaming_internal.continuous_view v
		WHERE v.view = '$view'::regclass AND c.relname = '${name}_' || id AND c.relpersistence = 't'));
}
foreach my $view (@views)
{
	$node->safe_psql('postgres', 'INSERT INTO pushed VALUES (-1, 1, 1)');
	drain($node, $view);
}
my %table = (fb => table_of('fb', 'batch'), fu => table_of('fu', 'batch'), removed => table_of('fu', 'removed'));
foreach my $i (1 .. 20)
{
	$node->safe_psql('postgres', "INSERT INTO pushed VALUES (-1, $i % 3, $i)");
	drain($node, $_) foreach qw(fb fu);
}
is(join(' ', table_of('fb', 'batch'), table_of('fu', 'batch'), table_of('fu', 'removed')), "$table{fb} $table{fu} $table{removed}", 'a table serves many batches');
$node->safe_psql('postgres', 'DROP VIEW fu');
ok(wait_until(sub {
	$node->safe_psql('postgres', 'INSERT INTO pushed VALUES (-2, 1, 1)');
	drain($node, 'fb');
	return $node->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE oid IN ($table{fu}, $table{removed})") eq '0';
}), 'that of a dropped view goes');
is(table_of('fb', 'batch'), $table{fb}, 'others stay');

$node->stop;
done_testing();
