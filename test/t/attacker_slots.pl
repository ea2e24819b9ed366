# A role whose streams want more background workers than the server has: others
# get theirs, in its own database and in another one, and what waits says why.

use strict;
use warnings;

use StreamingTest;
use Test::More;

# The launcher, PostgreSQL's own, two coordinators, two times two query workers:
# that leaves three.
my $node = new_node('main', 'max_worker_processes = 11', 'streaming.retry_max = 1s', 'streaming.connect_timeout = 2s');
my $dir = $node->basedir . '/landing';
mkdir $dir;
mkdir "$dir/alice";
put_file("$dir/alice", 'a.json', qq({"k": 1}\n));

$node->safe_psql('postgres', <<SQL);
CREATE ROLE mallory LOGIN;
CREATE ROLE alice LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE SCHEMA alice AUTHORIZATION alice;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
GRANT USAGE ON FOREIGN SERVER landing TO mallory, alice;
GRANT pg_read_server_files TO mallory, alice;
CREATE DATABASE other;
SQL

sub as
{
	my ($role, $sql) = @_;
	return $node->safe_psql('postgres', $sql, connstr => $node->connstr('postgres') . " user=$role");
}

foreach my $i (1 .. 20)
{
	mkdir "$dir/m$i";
	put_file("$dir/m$i", 'a.json', qq({"k": 1}\n));
	as('mallory', "CREATE FOREIGN TABLE s$i (k int) SERVER landing OPTIONS (path 'm$i/*.json')");
	as('mallory', "CREATE VIEW v$i WITH (streaming.continuous) AS SELECT count(*) AS n FROM s$i");
}
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status = 'waiting' AND last_error ~ 'waits for its source .*max_worker_processes'), qr/^1[0-9]$/),
	'streams without a worker are shown with the setting that limits them');
as('alice', <<'SQL');
CREATE FOREIGN TABLE s (k int) SERVER landing OPTIONS (path 'alice/*.json');
CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) AS n FROM s;
SQL
ok(wait_for($node, 'SELECT n FROM alice.v', '1'), 'a stream of another role gets a worker');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'alice.v'::regclass), 'running|'), 'and keeps it');

$node->safe_psql('other', 'CREATE EXTENSION streaming; CREATE FOREIGN TABLE s (k int) SERVER streaming; CREATE VIEW v WITH (streaming.continuous) AS SELECT count(*) AS n FROM s; INSERT INTO s VALUES (1)');
ok(wait_until(sub { $node->safe_psql('other', 'SELECT n FROM v') eq '1' }), 'another database gets its workers');
put_file("$dir/alice", 'b.json', qq({"k": 2}\n));
ok(wait_for($node, 'SELECT n FROM alice.v', '2'), 'the first role is not the worse for it');

# Drain says what is wrong, and when it was told to.
# (What waits may have taken all there is when it had a worker, or get one now.)
my ($ret, $out, $err);
my $round = 0;
ok(wait_until(
		sub {
			$round++;
			put_file("$dir/m$_", "more$round.json", qq({"k": 1}\n)) foreach 1 .. 20;
			($ret, $out, $err) = $node->psql('postgres', q(SELECT streaming.drain(view, '2 seconds') FROM streaming.views
				WHERE status = 'waiting' LIMIT 1));
			return $err =~ /was not drained in time.*max_worker_processes/s;
		}),
	'drain keeps to its timeout') or diag($err);

# --- what else a view waits for ---------------------------------------------

$node->safe_psql('postgres', 'DROP OWNED BY mallory CASCADE');
$node->safe_psql('postgres', <<SQL);
CREATE SERVER missing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir/missing');
CREATE FOREIGN TABLE missing (k int) SERVER missing OPTIONS (path '*.json');
CREATE VIEW of_missing WITH (streaming.continuous) AS SELECT count(*) AS n FROM missing;
GRANT SELECT ON missing TO alice;
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE topic (k int) SERVER broker OPTIONS (topic 't');
CREATE VIEW of_topic WITH (streaming.continuous) AS SELECT count(*) AS n FROM topic;
SQL
as('alice', 'CREATE VIEW of_others WITH (streaming.continuous) AS SELECT count(*) AS n FROM public.missing');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'of_missing'::regclass), qr/^waiting\|waits for its source "missing": .*No such file/s),
	'a view waits for a directory');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'of_topic'::regclass), qr/^waiting\|waits for its source "topic": /),
	'a view waits for a broker');
like(as('alice', q(SELECT status, last_error FROM streaming.views WHERE view = 'of_others'::regclass)),
	qr/^waiting\|waits for its source "missing"\nHINT:  The owner of "missing" sees why/, 'who may not see the trouble of a stream is told who may');
foreach my $view ('of_topic', 'of_missing')
{
	my $start = time;
	($ret, $out, $err) = $node->psql('postgres', "SELECT streaming.drain('$view', '2 seconds')");
	isnt($ret, 0, "drain of $view fails");
	cmp_ok(time - $start, '<', 9, 'not later than it was told to');
}
mkdir "$dir/missing";
put_file("$dir/missing", 'a.json', qq({"k": 1}\n));
ok(wait_for($node, 'SELECT n FROM of_missing', '1'), 'the directory comes');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'of_missing'::regclass), 'running|'), 'and the view runs');

$node->stop;
# A role that writes to many streams which cannot be delivered leaves slots to others.
my $few = new_node('few', 'streaming.max_streams = 4');
$few->safe_psql('postgres', <<SQL);
CREATE ROLE mallory LOGIN;
CREATE ROLE alice LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE SCHEMA alice AUTHORIZATION alice;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
GRANT USAGE ON FOREIGN SERVER landing TO mallory, alice;
GRANT pg_read_server_files, pg_write_server_files TO mallory, alice;
SET ROLE mallory;
CREATE FOREIGN TABLE mallory.out_1 (k int) SERVER landing OPTIONS (path 'none/1-*.json', file_interval '0');
CREATE FOREIGN TABLE mallory.out_2 (k int) SERVER landing OPTIONS (path 'none/2-*.json', file_interval '0');
CREATE FOREIGN TABLE mallory.out_3 (k int) SERVER landing OPTIONS (path 'none/3-*.json', file_interval '0');
CREATE FOREIGN TABLE mallory.out_4 (k int) SERVER landing OPTIONS (path 'none/4-*.json', file_interval '0');
SET ROLE alice;
CREATE FOREIGN TABLE alice.out (k int) SERVER landing OPTIONS (path 'alice/out-*.json', file_interval '0');
SQL
$few->psql('postgres', "INSERT INTO mallory.out_$_ VALUES (1)", extra_params => [ '-U', 'mallory' ]) foreach (1, 2, 3);
(undef, undef, $err) = $few->psql('postgres', 'INSERT INTO mallory.out_4 VALUES (1)', extra_params => [ '-U', 'mallory' ]);
like($err, qr/ERROR:  role "mallory" has 2 streams that wait for delivery already/, 'a role has its share of deliveries');
is($few->safe_psql('postgres', 'SELECT count(DISTINCT stream) FROM streaming_internal.outbox'), 2, 'and writes to no more');
$few->safe_psql('postgres', 'INSERT INTO alice.out VALUES (1)', extra_params => [ '-U', 'alice' ]);
ok(wait_until(sub { (() = glob "$dir/alice/out-*.json") > 0 }), 'what others write is delivered');

done_testing();
