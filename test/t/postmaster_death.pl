# No process outlives its postmaster, whatever it is at.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 1s');
my $dir = $node->basedir . '/landing';
mkdir $dir;

# Idle, with a worker of each kind; the broker is one that does not answer.
$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (v int) SERVER landing OPTIONS (path '*.json');
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE FOREIGN TABLE m (v int) SERVER broker OPTIONS (topic 'none');
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT count(*) AS n FROM f;
CREATE VIEW of_messages WITH (streaming.continuous) AS SELECT count(*) AS n FROM m;
CREATE VIEW of_rows WITH (streaming.trigger = '1 hour') AS SELECT count(*) AS n FROM s;
SQL
my $kinds = q(SELECT count(DISTINCT backend_type) FROM pg_stat_activity WHERE backend_type LIKE 'streaming %');
ok(wait_for($node, $kinds, '4'), 'launcher, coordinator, ingest and query workers run');
kill9_postmaster($node);
no_survivors($node, 5);

# While a session waits for a drain that will not come.
$node->start;
ok(wait_for($node, $kinds, '4'), 'they run again');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE public.pace (slow boolean);
INSERT INTO pace VALUES (true);
CREATE FUNCTION spin(v int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	WHILE (SELECT slow FROM public.pace) LOOP
		PERFORM count(*) FROM generate_series(1, 100000);
	END LOOP;
	RETURN v;
END $$;
CREATE VIEW spinning WITH (streaming.continuous) AS SELECT sum(spin(v)) FROM s;
CREATE VIEW sleeping WITH (streaming.continuous) AS
	SELECT count(*) AS n FROM (SELECT v, CASE WHEN (SELECT slow FROM public.pace) THEN pg_sleep(600) END AS x FROM s) t WHERE x IS NULL OR x IS NOT NULL;
INSERT INTO s VALUES (1);
SQL
ok(wait_for($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'streaming query' AND xact_start < clock_timestamp() - interval '200 ms')),
	'a batch computes for long');
my $drain = $node->background_psql('postgres', on_error_stop => 0);
$drain->query_until(qr/begins/, "\\echo begins\nSELECT streaming.drain('spinning');\n");
ok(wait_for($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'SELECT streaming.drain%' AND state = 'active' AND pid <> pg_backend_pid())),
	'and a session waits for it');
kill9_postmaster($node);
no_survivors($node, 5);
eval { $drain->{run}->kill_kill };

$node->start;
$node->safe_psql('postgres', 'UPDATE pace SET slow = false');
# One that sleeps does not look at the pace again.
$node->safe_psql('postgres', q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'streaming query'));
drain($node, 'spinning');
drain($node, 'sleeping');
is($node->safe_psql('postgres', 'SELECT sum, n FROM spinning, sleeping'), '1|1', 'the interrupted batches were run again, once');

# A smart and a fast shutdown end the workers too, at any moment.
foreach my $mode (qw(smart fast immediate))
{
	$node->stop($mode);
	no_survivors($node, 5);
	$node->start;
	ok(wait_for($node, $kinds, '4'), "workers are back after a shutdown that was $mode");
}

$node->stop;
done_testing();
