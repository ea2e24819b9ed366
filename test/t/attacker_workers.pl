# A role cannot stop the views of others: what its views run is seen, can be
# cancelled, is bounded, and the others go on.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 1s', 'streaming.max_query_workers = 10');

sub as
{
	my ($role, $sql) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', $sql, connstr => $node->connstr('postgres') . " user=$role");
	return ($out, $err);
}

sub as_ok
{
	my ($role, $sql) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($out, $err) = as($role, $sql);
	is($err, '', "as $role: " . substr($sql, 0, 60));
	return $out;
}

# Within seconds: what is waited for must not wait for the batch, which never ends.
sub soon
{
	my ($sql, $expected, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(wait_for($node, $sql, $expected), $name);
}

sub running { my ($view) = @_; return "SELECT running_since IS NOT NULL FROM streaming.views WHERE view = '$view'::regclass" }

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE alice LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE SCHEMA alice AUTHORIZATION alice;
ALTER ROLE mallory SET statement_timeout = '100s';
ALTER ROLE alice SET statement_timeout = '100s';
SQL
as_ok('alice', <<'SQL');
CREATE FOREIGN TABLE rows (k int) SERVER streaming;
CREATE VIEW counts WITH (streaming.trigger = 'asap') AS SELECT k, count(*) AS n FROM rows GROUP BY k;
CREATE VIEW often WITH (streaming.trigger = '100 ms') AS SELECT count(*) AS n FROM rows;
SQL
as_ok('mallory', <<'SQL');
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE TABLE dimension (v int);
INSERT INTO dimension VALUES (1);
CREATE FUNCTION sleeps(v int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT CASE WHEN pg_sleep(100000) IS NULL THEN 0 ELSE v END';
CREATE FUNCTION catches(v int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	LOOP
		BEGIN
			PERFORM pg_sleep(100000);
		EXCEPTION WHEN query_canceled THEN
			NULL;
		END;
	END LOOP;
END $$;
SQL

# --- four views that sleep --------------------------------------------------

as_ok('alice', 'INSERT INTO rows VALUES (0)');
drain($node, 'alice.counts');
as_ok('mallory', join ';', map { "CREATE VIEW slow$_ WITH (streaming.continuous) AS SELECT sleeps(v) AS v FROM s" } 1 .. 4);
as_ok('mallory', 'INSERT INTO s VALUES (1)');
soon(running('mallory.slow1'), 't', 'streaming.views shows that a batch is under way');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views WHERE running_since > now())), 0, 'and since when');
foreach my $round (1 .. 3)
{
	my $n = $node->safe_psql('postgres', q(SELECT coalesce(sum(n), 0) FROM alice.counts));
	as_ok('alice', "INSERT INTO rows VALUES ($round)");
	soon('SELECT sum(n) FROM alice.counts', $n + 1, "the other role's asap view goes on");
	soon('SELECT n FROM alice.often', $n + 1, 'and the one with an interval');
	# let it come to be that all of Mallory's views that can are asleep
	soon(q(SELECT count(*) >= 3 FROM streaming.views WHERE view::text LIKE 'mallory%' AND running_since IS NOT NULL), 't', 'beside views that are asleep')
	  if $round == 2;
}
cmp_ok(scalar worker_pids($node, 'streaming query'), '<=', 10, 'not more workers than streaming.max_query_workers');
as_ok('alice', <<'SQL');
CREATE FOREIGN TABLE more (k int) SERVER streaming;
CREATE VIEW made_later WITH (streaming.continuous) AS SELECT count(*) AS n FROM more;
INSERT INTO more VALUES (1);
SQL
soon('SELECT n FROM alice.made_later', '1', 'a new view of the other role runs');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views WHERE view::text LIKE 'alice%' AND last_error IS NOT NULL)), 0,
	'and none has an error');

# --- who may cancel ---------------------------------------------------------

my ($out, $err);
my $since = $node->safe_psql('postgres', "SELECT running_since FROM streaming.views WHERE view = 'mallory.slow1'::regclass");
(undef, $err) = as('alice', 'DROP VIEW mallory.slow1');
like($err, qr/permission denied|must be owner/, 'another role does not drop it');
(undef, $err) = as('alice', 'ALTER VIEW mallory.slow1 SET (streaming.enabled = off)');
like($err, qr/permission denied|must be owner/, 'nor pause it');
(undef, $err) = as('alice', "SELECT streaming.reset('mallory.slow1')");
like($err, qr/permission denied|must be owner/, 'nor reset it');
foreach my $pid (worker_pids($node, 'streaming query'))
{
	(undef, $err) = as('alice', "SELECT pg_cancel_backend($pid)");
	like($err, qr/must be a|permission denied/i, 'nor cancel its worker');
}
is($node->safe_psql('postgres', "SELECT running_since FROM streaming.views WHERE view = 'mallory.slow1'::regclass"), $since,
	'its batch has not been cancelled by any of these');

# --- what cancels -----------------------------------------------------------

as_ok('mallory', 'ALTER VIEW slow1 SET (streaming.enabled = off)');
is($node->safe_psql('postgres', q(SELECT status, running_since, last_error FROM streaming.views WHERE view = 'mallory.slow1'::regclass)),
	'paused||', 'a view whose batch is under way is paused, and has no error');
as_ok('mallory', 'ALTER VIEW slow1 SET (streaming.enabled = on)');
soon(running('mallory.slow1'), 't', 'and resumed');
as_ok('mallory', "SELECT streaming.reset('slow1')");
as_ok('mallory', "ALTER VIEW slow1 SET (streaming.trigger = '1 second')");
as_ok('mallory', 'ALTER VIEW slow1 RENAME TO slowest');
is($node->safe_psql('postgres', q(SELECT coalesce(last_error, '') FROM streaming.views WHERE view = 'mallory.slowest'::regclass)), '',
	'none of it is an error of the view');
as_ok('mallory', 'DROP VIEW slowest');
$node->safe_psql('postgres', 'ALTER VIEW mallory.slow2 OWNER TO alice');
$node->safe_psql('postgres', 'DROP VIEW mallory.slow2');
as_ok('mallory', 'ALTER FOREIGN TABLE s ADD COLUMN w int');
as_ok('mallory', 'CREATE VIEW joined WITH (streaming.continuous) AS SELECT sleeps(s.v) AS v FROM s JOIN dimension USING (v)');
as_ok('mallory', 'INSERT INTO s VALUES (1)');
soon(running('mallory.joined'), 't', 'a view that reads a table');
as_ok('mallory', 'SET client_min_messages = warning; DROP TABLE dimension CASCADE');
as_ok('mallory', 'SET client_min_messages = warning; DROP FOREIGN TABLE s CASCADE');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views WHERE view::text LIKE 'mallory%')), 0, 'all are gone');

# --- a view that catches the cancel ----------------------------------------

as_ok('mallory', <<'SQL');
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW stubborn WITH (streaming.continuous) AS SELECT catches(v) AS v FROM s;
INSERT INTO s VALUES (1);
SQL
soon(running('mallory.stubborn'), 't', 'a view that catches cancels runs');
as_ok('mallory', 'DROP VIEW stubborn');
as_ok('alice', 'INSERT INTO rows VALUES (4)');
drain($node, 'alice.counts');
pass('its worker is ended, and the others go on');

# --- a view that sleeps where it is planned ---------------------------------

as_ok('mallory', <<'SQL');
CREATE TABLE switch (is_on boolean);
CREATE FUNCTION planned(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF (SELECT is_on FROM mallory.switch) THEN
		PERFORM pg_sleep(100000);
	END IF;
	RETURN v;
END $$;
CREATE VIEW folded WITH (streaming.continuous, streaming.enabled = off) AS SELECT v + mallory.planned(1) AS v FROM s;
INSERT INTO switch VALUES (true);
SQL
as_ok('mallory', 'ALTER VIEW folded SET (streaming.enabled = on)');
soon(running('mallory.folded'), 't', 'a view that is being opened is shown');
as_ok('mallory', 'ALTER VIEW folded SET (streaming.enabled = off)');
soon(running('mallory.folded'), 'f', 'and is given up when it is paused');
as_ok('mallory', 'ALTER VIEW folded SET (streaming.enabled = on)');
soon(running('mallory.folded'), 't', 'resumed');
as_ok('mallory', 'DROP VIEW folded');

# --- a stream whose rows are never decoded ----------------------------------

my $dir = $node->basedir . '/landing';
mkdir $dir;
$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
GRANT USAGE ON FOREIGN SERVER landing TO mallory;
GRANT pg_read_server_files TO mallory;
SQL
foreach my $how ('sleeps', 'catches')
{
	as_ok('mallory', <<SQL);
CREATE DOMAIN ${how}_int AS int CHECK (mallory.$how(VALUE) IS NOT NULL);
CREATE FOREIGN TABLE $how (v ${how}_int) SERVER landing OPTIONS (path '*.json');
CREATE VIEW of_$how WITH (streaming.continuous) AS SELECT v FROM $how;
SQL
	put_file($dir, "$how.json", qq({"v": 1}\n));
	soon(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streaming ingest' AND wait_event = 'PgSleep'), '1', 'a check of a domain is asleep');
	as_ok('mallory', "SET client_min_messages = warning; DROP FOREIGN TABLE $how CASCADE");
}

# --- pg_cancel_backend, streaming.batch_timeout -----------------------------

as_ok('mallory', 'CREATE VIEW slow WITH (streaming.continuous) AS SELECT sleeps(v) AS v FROM s');
as_ok('mallory', 'INSERT INTO s VALUES (1)');
soon(running('mallory.slow'), 't', 'a batch');
$node->safe_psql('postgres', q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'continuous view slow'));
soon(q(SELECT status, last_error FROM streaming.views WHERE view = 'mallory.slow'::regclass), qr/^retrying\|canceling statement due to user request/,
	'is cancelled by pg_cancel_backend, and the view tells so');
soon(running('mallory.slow'), 't', 'and tries again');
$node->append_conf('postgresql.conf', 'streaming.batch_timeout = 300ms');
$node->reload;
$node->safe_psql('postgres', q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = 'continuous view slow'));
soon(q(SELECT status, last_error FROM streaming.views WHERE view = 'mallory.slow'::regclass), qr/^retrying\|a batch took longer than streaming.batch_timeout \(300 ms\).*HINT/s,
	'a batch that takes longer than streaming.batch_timeout is given up');
as_ok('mallory', 'CREATE VIEW stubborn WITH (streaming.continuous) AS SELECT catches(v) AS v FROM s; INSERT INTO s VALUES (2)');
soon(q(SELECT status, last_error FROM streaming.views WHERE view = 'mallory.stubborn'::regclass), qr/^retrying\|a batch went on although it was canceled/,
	'also one that catches that');
as_ok('alice', 'INSERT INTO rows VALUES (5)');
drain($node, $_) foreach 'alice.counts', 'alice.often';
pass('the others go on');
$node->append_conf('postgresql.conf', 'streaming.batch_timeout = 0');
$node->reload;
$node->safe_psql('postgres', 'DROP OWNED BY mallory CASCADE');
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views WHERE view::text LIKE 'mallory%')), 0, 'DROP OWNED ends whatever runs');

# --- a view that drains, or resets, itself ----------------------------------

$node->safe_psql('postgres', 'CREATE SCHEMA again AUTHORIZATION mallory; ALTER ROLE mallory SET search_path = again');
foreach my $call ('drain', 'reset')
{
	as_ok('mallory', <<SQL);
CREATE FOREIGN TABLE s_$call (v int) SERVER streaming;
CREATE FUNCTION calls_$call(v int) RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM streaming.$call(''again.self_$call''); RETURN v; END';
CREATE VIEW self_$call WITH (streaming.continuous) AS SELECT calls_$call(v) AS v FROM s_$call;
INSERT INTO s_$call VALUES (1);
SQL
	soon("SELECT last_error FROM streaming.views WHERE view = 'again.self_$call'::regclass", qr/streaming\.$call\(\) cannot be called by a function of a continuous view.*CONTEXT:.*calls_$call\(integer\) line 1/s,
		"streaming.$call in a function of a view is refused, and the context is shown");
}

# --- more views than workers can serve in a round ---------------------------

as_ok('mallory', <<'SQL');
CREATE FOREIGN TABLE trickle (v int) SERVER streaming;
CREATE FUNCTION naps(v int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT CASE WHEN pg_sleep(0.5) IS NULL THEN 0 ELSE v END';
SQL
as_ok('mallory', join ';', map { "CREATE VIEW nap$_ WITH (streaming.continuous) AS SELECT naps(v) AS v FROM trickle" } 1 .. 40);
as_ok('mallory', 'INSERT INTO trickle SELECT generate_series(1, 2)');
as_ok('alice', 'INSERT INTO rows VALUES (6)');
soon('SELECT count(*) FROM alice.counts WHERE k = 6', '1', 'many short batches of one role do not come before those of another');
cmp_ok($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views v LEFT JOIN streaming.stat_views s USING (view)
	WHERE v.view::text LIKE 'again.nap%' AND s.batches = 0)), '>', 0, 'which are not over yet');

$node->stop;
done_testing();
