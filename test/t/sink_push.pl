# A pushed stream between two views: killed at each point of a batch, held back by who
# reads it, and in a circle that nobody has seen coming.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.query_workers = 1',
	q(streaming.push_limit = '1MB'), q(streaming.lock_timeout = '0'));

sub sql { return $node->safe_psql('postgres', $_[0]); }

# --- killed between its rows and their commit, and after it --------------------

sql(<<'SQL');
CREATE FOREIGN TABLE clicks (id int, url text) SERVER streaming;
CREATE FOREIGN TABLE clean_clicks (id int, url text) SERVER streaming OPTIONS (retention '1 day');
CREATE VIEW cleaning WITH (streaming.sink = 'clean_clicks') AS SELECT id, lower(url) AS url FROM clicks WHERE id % 3 > 0;
CREATE VIEW counted WITH (streaming.continuous) AS SELECT url, count(*) AS n, sum(id) AS ids FROM clean_clicks GROUP BY url;
SQL

sub right
{
	my ($n, $test) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $mirror = "SELECT id, 'u' || id % 5 AS url FROM generate_series(1, $n) id WHERE id % 3 > 0";

	drain($node, 'counted');
	same_as_batch($node, 'counted', "SELECT url, count(*) AS n, sum(id) AS ids FROM ($mirror) m GROUP BY url", "$test: the view above");
	return same_as_batch($node, 'clean_clicks', $mirror, "$test: the stream");
}

my $n = 0;
foreach my $kill (map { my $point = $_; map { [ $point, $_ ] } 'streaming query', 'postmaster' } qw(batch_written batch_committed))
{
	my ($point, $victim) = @$kill;
	my $log = -s $node->logfile;

	$node->append_conf('postgresql.conf', "streaming.stop_point = '$point'");
	$node->reload;
	wait_for($node, 'SHOW streaming.stop_point', $point) or die 'no reload';
	sql("INSERT INTO clicks SELECT i, 'U' || i % 5 FROM generate_series($n + 1, $n + 50) i");
	$n += 50;
	ok($node->wait_for_log(qr/waiting at stop point "$point"/, $log), "a batch stops at $point");
	$node->append_conf('postgresql.conf', "streaming.stop_point = ''");
	kill9($node, $victim);
	$node->reload if $victim ne 'postmaster';
	right($n, "$victim killed at $point");
}

# --- back-pressure --------------------------------------------------------------

sql(<<'SQL');
CREATE TABLE gate (open boolean);
CREATE FUNCTION pass(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM public.gate) LOOP
		PERFORM pg_catalog.pg_sleep(0.02);
	END LOOP;
END $$;
CREATE FOREIGN TABLE a (k int, pad text) SERVER streaming;
CREATE FOREIGN TABLE b (k int, pad text) SERVER streaming;
CREATE VIEW a_to_b WITH (streaming.sink = 'b') AS SELECT k, pad FROM a;
CREATE VIEW slow WITH (streaming.foreach = 'pass') AS SELECT k FROM b;
CREATE VIEW quick WITH (streaming.continuous) AS SELECT count(*) AS n FROM b;
CREATE VIEW rare WITH (streaming.trigger = '1 day') AS SELECT count(*) AS n FROM b;
INSERT INTO b VALUES (0, 'x');
SQL
drain($node, 'quick');
ok(wait_for($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep')), 'a view above is held up');
sql(q(INSERT INTO a SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) i));
ok(wait_for($node, 'SELECT n FROM quick', 3001), 'what comes at once is written at once');
sql(q(INSERT INTO a SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) i));
ok(wait_for($node, q(SELECT status || ': ' || last_error FROM streaming.views WHERE view = 'a_to_b'::regclass),
	qr/\Awaiting: waits for continuous view "slow", which is more than streaming\.push_limit \(1024 kB\) behind in its sink "b"\z/),
	'then the view that writes waits for it');
my ($ret, $out, $err) = $node->psql('postgres', q(SET statement_timeout = '10s'; INSERT INTO a VALUES (0, 'y')));
like($err, qr/NOTICE:  waiting until continuous view "a_to_b" has taken rows of stream "a"/, 'and so does who writes to what it reads');
is(sql('SELECT n FROM quick'), 3001, 'nothing more has been written');
is(sql(q(SELECT count(*) FROM streaming.views WHERE view IN ('cleaning'::regclass, 'quick'::regclass) AND status = 'running')), 2, 'others run');
# Who drains it insists.
drain($node, 'a_to_b');
drain($node, 'quick');
is(sql('SELECT n FROM quick'), 6001, 'but not while somebody drains it');
sql(q(INSERT INTO a SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) i));
sql('INSERT INTO gate VALUES (true)');
ok(wait_for($node, q(SELECT n FROM quick), 9001), 'it goes on when the other does');
drain($node, $_) foreach qw(slow rare);
is(sql('SELECT n FROM rare'), 9001, 'and one that runs once a day has held up nobody');

# --- two views, each of them good ------------------------------------------------

sql(<<'SQL');
CREATE FOREIGN TABLE left_hand (k int) SERVER streaming;
CREATE FOREIGN TABLE right_hand (k int) SERVER streaming;
SQL
my $session = $node->background_psql('postgres');
$session->query_safe(q(BEGIN));
$session->query_safe(q(CREATE VIEW to_right WITH (streaming.sink = 'right_hand') AS SELECT k + 1 AS k FROM left_hand));
sql(q(CREATE VIEW to_left WITH (streaming.sink = 'left_hand') AS SELECT k + 1 AS k FROM right_hand));
$session->query_safe(q(COMMIT));
$session->quit;
ok(wait_for($node, q(SELECT count(*) > 0 FROM streaming.views WHERE view IN ('to_left'::regclass, 'to_right'::regclass)
	AND last_error ~ 'cannot write to a stream that its own rows come from')), 'a circle of two views made at once is noticed');
sql('INSERT INTO left_hand VALUES (0); INSERT INTO right_hand VALUES (0)');
like(($node->psql('postgres', q(CREATE VIEW v WITH (streaming.sink = 'left_hand') AS SELECT k FROM right_hand)))[2],
	qr/ERROR:  a continuous view cannot write to a stream that its own rows come from/, 'and is not added to');
sql('DROP VIEW to_left');
drain($node, 'to_right');
is(sql('SELECT count(*) FROM right_hand'), sql('SELECT count(*) + 1 FROM left_hand'), 'without one of the two the other goes on');

$node->stop;
done_testing();
