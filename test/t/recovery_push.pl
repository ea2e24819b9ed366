# Rows pushed by many sessions while everything is killed: what was
# acknowledged is in every view once, what was rolled back in none. Users' tables
# and streams as sinks, too, and what their triggers do.

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

CREATE TABLE appended (tx bigint, k int, v int);
CREATE TABLE upserted (k int PRIMARY KEY, n bigint, sum bigint);
CREATE TABLE whole (LIKE upserted);
-- what triggers have counted: rows appended; sums, by the differences they see
CREATE TABLE counted (what text PRIMARY KEY, n bigint);
INSERT INTO counted VALUES ('appended', 0), ('upserted', 0), ('whole', 0);
CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.counted SET n = n + CASE WHEN TG_TABLE_NAME = 'appended' THEN 1
		ELSE coalesce((to_jsonb(NEW) ->> 'n')::bigint, 0) - coalesce((to_jsonb(OLD) ->> 'n')::bigint, 0) END
		WHERE what = TG_TABLE_NAME;
	RETURN NULL;
END
$$;
CREATE TRIGGER count_it AFTER INSERT ON appended FOR EACH ROW EXECUTE FUNCTION count_it();
CREATE TRIGGER count_it AFTER INSERT OR UPDATE OR DELETE ON upserted FOR EACH ROW EXECUTE FUNCTION count_it();
CREATE TRIGGER count_it AFTER INSERT OR UPDATE OR DELETE ON whole FOR EACH ROW EXECUTE FUNCTION count_it();
CREATE VIEW to_appended WITH (streaming.sink = 'appended') AS SELECT tx, k, v FROM pushed WHERE v % 2 = 0;
CREATE VIEW to_upserted WITH (streaming.sink = 'upserted') AS SELECT k, count(*) AS n, sum(v) FROM pushed GROUP BY k HAVING count(*) % 4 > 0;
CREATE VIEW to_whole WITH (streaming.sink = 'whole', streaming.output_mode = 'complete') AS
	SELECT k, n, sum FROM (SELECT k, count(*) AS n, sum(v) FROM pushed GROUP BY k) x WHERE n % 4 > 0;

CREATE FOREIGN TABLE odd (tx bigint, k int, v int) SERVER streaming;
CREATE FOREIGN TABLE odd_checked (tx bigint, k int NOT NULL, v int CHECK (v % 2 = 1)) SERVER streaming;
CREATE VIEW to_odd WITH (streaming.sink = 'odd') AS SELECT tx, k, v FROM pushed WHERE v % 2 = 1;
CREATE VIEW to_odd_checked WITH (streaming.sink = 'odd_checked') AS SELECT tx, k, v FROM odd;
CREATE VIEW per_odd WITH (streaming.continuous) AS
	SELECT k, count(*) AS n, sum(v), min(v), max(v) FROM odd GROUP BY k;
CREATE VIEW odd_rows WITH (streaming.continuous) AS SELECT tx, k, v FROM odd_checked;
SQL

my %batch = (
	per_k     => 'SELECT k, count(*) AS n, sum(v), min(v), max(v) FROM mirror GROUP BY k',
	some_rows => 'SELECT tx, k, v FROM mirror WHERE v % 3 = 0',
	total     => 'SELECT count(*) AS n, avg(v) FROM mirror',
	per_tx    => 'SELECT tx, count(*) AS n, sum(v) FROM mirror GROUP BY tx',
	to_appended => 'SELECT tx, k, v FROM mirror WHERE v % 2 = 0',
	to_upserted => 'SELECT k, count(*) AS n, sum(v) FROM mirror GROUP BY k HAVING count(*) % 4 > 0',
	to_whole  => 'SELECT k, count(*) AS n, sum(v) FROM mirror GROUP BY k HAVING count(*) % 4 > 0',
	per_odd   => 'SELECT k, count(*) AS n, sum(v), min(v), max(v) FROM mirror WHERE v % 2 = 1 GROUP BY k',
	odd_rows  => 'SELECT tx, k, v FROM mirror WHERE v % 2 = 1',
	sizes     => 'SELECT n % 10 AS d, count(*) AS groups, sum(n) FROM (SELECT count(*) AS n FROM mirror GROUP BY k) g GROUP BY n % 10',
);

my $load = StreamingLoad->sessions($node, 4);

foreach my $round (1 .. rounds(5))
{
	foreach my $victim ('postmaster', 'streaming query', 'streaming %')
	{
		$load->wait_for_more(10);
		# By chance in the middle of something.
		sleep rand 0.1;
		kill9($node, $victim);
		# A view that is only drained loses nothing either.
		drain($node, 'per_tx') if $round % 2;
	}
}
$load->wait_for_more(10);
$load->stop;

$load->acknowledged_are_there($node, 'mirror');
foreach my $view (sort keys %batch)
{
	drain($node, $view);
	same_as_batch($node, $view, $batch{$view}, "$view is right after all kills");
}
$load->acknowledged_are_there($node, 'per_tx');
is($node->safe_psql('postgres', 'SELECT n FROM counted ORDER BY what'),
	$node->safe_psql('postgres', 'SELECT count(*) FROM appended UNION ALL SELECT sum(n) FROM upserted UNION ALL SELECT sum(n) FROM whole'),
	'triggers of the sinks have done everything once');

# And what shows nothing wrong goes on.
$node->safe_psql('postgres', 'INSERT INTO pushed VALUES (1, 1, 1); INSERT INTO mirror VALUES (1, 1, 1)');
drain($node, 'sizes');
same_as_batch($node, $_, $batch{$_}, "$_ goes on") foreach qw(per_k sizes);
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status <> 'running' OR last_error <> ''), '0'), 'no view is in trouble');

$node->stop;
done_testing();
