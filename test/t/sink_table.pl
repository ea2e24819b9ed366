# Users' tables as sinks, seen from beside: readers while batches run, locks,
# row-level security, constraint triggers, tables of another server.

use strict;
use warnings;

use IPC::Run ();
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.query_workers = 1', 'streaming.retry_max = 500ms');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A session beside: says ECHO when SQL is done.
sub session
{
	my ($sql) = @_;
	my ($in, $out) = ("$sql;\n\\echo done\n", '');
	my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, '2>&1');

	return { psql => $psql, in => \$in, out => \$out };
}

sub said_done
{
	my ($session) = @_;
	return wait_until(sub { $session->{psql}->pump_nb; ${ $session->{out} } =~ /done/ });
}

sub finish
{
	my ($session, $sql) = @_;
	${ $session->{in} } .= "$sql;\n" if $sql;
	$session->{psql}->finish;
	return ${ $session->{out} };
}

sub status { return sql("SELECT status, coalesce(last_error, '') FROM streaming.views WHERE view = '$_[0]'::regclass"); }

# --- A reader never sees half a batch ---------------------------------------

# Each transaction adds a row to each of 50 keys, or moves the keys of one kind
# to the other: whoever reads sees as many rows of each key.
sql(<<'SQL');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming OPTIONS (retention '1 hour');
CREATE TABLE up (k int PRIMARY KEY, n bigint, total bigint);
CREATE TABLE full_keyed (k int PRIMARY KEY, n bigint, total bigint);
CREATE TABLE full_rows (n bigint, total bigint, k int);
CREATE TABLE every (k int, v int);
CREATE VIEW v_up WITH (streaming.sink = 'up') AS
	SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k HAVING count(*) % 3 > 0;
CREATE VIEW v_full_keyed WITH (streaming.sink = 'full_keyed', streaming.output_mode = 'complete') AS
	SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k HAVING count(*) % 3 > 0;
CREATE VIEW v_full_rows WITH (streaming.sink = 'full_rows', streaming.output_mode = 'complete') AS
	SELECT n, total, k FROM (SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k) x WHERE n % 3 > 0;
CREATE VIEW v_every WITH (streaming.sink = 'every') AS SELECT k, v FROM s;
SQL

my $writer = session(join ";\n", ('INSERT INTO s SELECT k, k FROM generate_series(1, 50) k') x 300);
my $whole = 'SELECT count(*) FROM (SELECT n FROM TABLE GROUP BY n HAVING count(*) <> 50 OR count(DISTINCT k) <> 50) x';
my ($torn, $looks, $seen, $written) = (0, 0, 0, 0);
do
{
	foreach my $table (qw(up full_keyed full_rows))
	{
		my $check = $whole =~ s/TABLE/$table/r;
		my $twice = sql(<<SQL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
$check;
SELECT count(*), coalesce(max(n), 0) FROM $table;
$check;
COMMIT;
$check;
SQL
		my @lines = split /\n/, $twice;
		$torn++ if "@lines[0, 2, 3]" ne '0 0 0' || $lines[1] !~ /^(0|50)\|/;
		$seen++ if $lines[1] =~ /^50/;
	}
	$torn++ if sql('SELECT count(*) % 50 FROM every') ne '0';
	$looks++;
	$writer->{psql}->pump_nb;
	$written = ${ $writer->{out} } =~ /done/;
	# Who looks may be slower than who writes.
	sql('INSERT INTO s SELECT k, k FROM generate_series(1, 50) k') if $written && !$seen;
} until $written && ($seen || $looks > 1000);
finish($writer);
is($torn, 0, "none of $looks looks saw half a batch");
cmp_ok($seen, '>', 0, 'and some saw a batch');
drain($node, $_) foreach qw(v_up v_full_keyed v_full_rows v_every);
my $batch = 'SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k HAVING count(*) % 3 > 0';
same_as_batch($node, $_, $batch) foreach qw(up full_keyed), '(SELECT k, n, total FROM full_rows)';
same_as_batch($node, 'every', 'SELECT k, v FROM s');

# --- Locks ------------------------------------------------------------------

sql('CREATE VIEW beside WITH (streaming.continuous) AS SELECT count(*) AS n FROM s');
sql('INSERT INTO s SELECT k, 0 FROM generate_series(1, 50) k') while sql('SELECT count(*) FROM up') eq '0'
  && drain($node, 'v_up') ne '';
$node->append_conf('postgresql.conf', q(streaming.lock_timeout = '300ms'));
$node->reload;
foreach my $lock ('SELECT FROM up WHERE k = 7 FOR UPDATE', 'LOCK TABLE up IN ACCESS EXCLUSIVE MODE')
{
	my $holder = session("BEGIN; $lock");
	ok(said_done($holder), "somebody holds a lock: $lock");
	sql('INSERT INTO s SELECT k, 1 FROM generate_series(1, 50) k');
	ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'v_up'::regclass),
			qr/^retrying\|.*lock timeout.*streaming\.lock_timeout/s), 'the batch gives up, and tells why');
	foreach (1 .. 3)
	{
		sql('INSERT INTO s VALUES (100, 1)');
		ok(wait_for($node, 'SELECT (SELECT n FROM beside) = (SELECT count(*) FROM s)'), 'another view of the same process goes on');
	}
	finish($holder, 'COMMIT');
	ok(wait_for($node, q(SELECT status FROM streaming.views WHERE view = 'v_up'::regclass), 'running'), 'the view goes on when the lock goes');
	drain($node, 'v_up');
	same_as_batch($node, 'up', $batch, 'and misses nothing');
}

# Without a limit it waits, and can be ended.
$node->append_conf('postgresql.conf', 'streaming.lock_timeout = 0');
$node->reload;
my $holder = session('BEGIN; LOCK TABLE up IN EXCLUSIVE MODE');
said_done($holder);
my $waits = q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streaming query' AND wait_event_type = 'Lock');
sql('INSERT INTO s SELECT k, 1 FROM generate_series(1, 50) k');
ok(wait_for($node, $waits, 1), 'a batch waits for a lock');
my ($pid) = terminate_worker($node, 'streaming query');
ok(wait_until(sub { !kill 0, $pid }), 'its process can be ended');
ok(wait_for($node, $waits, 1), 'the next one waits again');
finish($holder, 'COMMIT');
drain($node, 'v_up');
same_as_batch($node, 'up', $batch, 'nothing is missed or done twice');

# --- Whose rights -----------------------------------------------------------

sql(<<'SQL');
CREATE ROLE tenant;
CREATE SCHEMA t AUTHORIZATION tenant;
GRANT SELECT ON s TO tenant;
CREATE TABLE shared (owner name DEFAULT current_user, k int, n bigint, PRIMARY KEY (owner, k));
ALTER TABLE shared ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shared USING (owner = current_user) WITH CHECK (owner = current_user AND n < 1000);
GRANT SELECT, INSERT, UPDATE, DELETE ON shared TO tenant;
INSERT INTO shared VALUES ('somebody', 1, 1), ('tenant', 77, 1);
CREATE TABLE fired (who name, what text);
GRANT INSERT ON fired TO tenant;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO public.fired VALUES (current_user, TG_NAME); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON shared DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER each_statement AFTER INSERT ON shared EXECUTE FUNCTION note();
SET ROLE tenant;
CREATE VIEW t.mine WITH (streaming.sink = 'shared', streaming.output_mode = 'complete') AS
	SELECT 'tenant'::name AS owner, k, count(*) AS n FROM s WHERE k < 4 GROUP BY k;
SQL
drain($node, 't.mine');
is(sql(q(SELECT owner, k FROM shared ORDER BY owner, k)), "somebody|1\ntenant|1\ntenant|2\ntenant|3",
	'complete mode equals what the owner of the view may see, and leaves the rest');
is(sql('SELECT DISTINCT who FROM fired'), 'tenant', 'triggers run as the owner of the view, deferred ones, too');
is(sql(q(SELECT count(*) FROM fired WHERE what = 'at_the_end')), 3, 'for each row');
sql('INSERT INTO s SELECT 2, 1 FROM generate_series(1, 1000)');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 't.mine'::regclass),
		qr/^retrying\|.*row-level security/), 'what a policy forbids fails the batch');
is(sql('SELECT max(n) < 1000 FROM shared'), 't', 'and is not written');
ok(wait_for($node, 'SELECT (SELECT n FROM beside) = (SELECT count(*) FROM s)'), 'other views go on');
sql('ALTER POLICY own ON shared WITH CHECK (true)');
ok(wait_for($node, q(SELECT status FROM streaming.views WHERE view = 't.mine'::regclass), 'running'), 'until the policy allows it');
drain($node, 't.mine');
same_as_batch($node, q((SELECT k, n FROM shared WHERE owner = 'tenant')), 'SELECT k, count(*) AS n FROM s WHERE k < 4 GROUP BY k');
sql('DROP VIEW t.mine');

# --- Tables of another server -----------------------------------------------

SKIP:
{
	skip 'there is no postgres_fdw', 1
	  if sql(q(SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw')) eq '0';
	my ($host, $port) = ($node->host, $node->port);
	sql(<<SQL);
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER far;
CREATE TABLE there_up (k int, tag text, n bigint, note text DEFAULT 'new', UNIQUE NULLS NOT DISTINCT (k, tag));
CREATE TABLE there_keys (k int PRIMARY KEY);
CREATE TABLE there_full (LIKE there_up INCLUDING ALL);
CREATE TABLE there_rows (k int, v int);
CREATE TABLE there_every (LIKE there_rows);
SQL
	sql("CREATE FOREIGN TABLE far_$_ (k int, tag text, n bigint) SERVER far OPTIONS (table_name 'there_$_')") foreach qw(up full);
	sql("CREATE FOREIGN TABLE far_$_ (k int, v int) SERVER far OPTIONS (table_name 'there_$_')") foreach qw(rows every);
	sql(q(CREATE FOREIGN TABLE far_keys (k int NOT NULL) SERVER far OPTIONS (table_name 'there_keys')));
	sql(q(CREATE FOREIGN TABLE far_fixed (k int, v int) SERVER far OPTIONS (table_name 'there_rows', updatable 'false')));
	my $groups = q(SELECT k, CASE WHEN v > 0 THEN 'tag' END AS tag, count(*) AS n FROM s WHERE k < 20 GROUP BY 1, 2 HAVING count(*) % 5 > 0);
	my $rows = 'SELECT k % 3 AS k, v FROM s WHERE k BETWEEN 20 AND 30';
	my $keys = 'SELECT DISTINCT k FROM s';
	sql(<<SQL);
INSERT INTO there_full VALUES (-1, 'stale', 1);
CREATE VIEW f_up WITH (streaming.sink = 'far_up') AS $groups;
CREATE VIEW f_full WITH (streaming.sink = 'far_full', streaming.output_mode = 'complete') AS $groups;
CREATE VIEW f_rows WITH (streaming.sink = 'far_rows', streaming.output_mode = 'complete') AS $rows;
CREATE VIEW f_every WITH (streaming.sink = 'far_every') AS $rows;
CREATE VIEW f_keys WITH (streaming.sink = 'far_keys') AS $keys;
SQL
	my ($rc, $out, $err) = $node->psql('postgres', "CREATE VIEW f_fixed WITH (streaming.sink = 'far_fixed') AS $rows");
	like($err, qr/does not allow.*HINT/s, 'a foreign table that cannot be written is refused');
	foreach my $round (1 .. rounds(5))
	{
		drain($node, $_) foreach qw(f_up f_full f_rows f_every f_keys);
		same_as_batch($node, "(SELECT k, tag, n FROM there_$_)", $groups, "$_ in round $round") foreach qw(up full);
		same_as_batch($node, "there_$_", $rows, "$_ in round $round") foreach qw(rows every);
		same_as_batch($node, 'there_keys', $keys);
		sql(q(UPDATE there_up SET note = 'kept')) if $round == 1;
		sql(q(UPDATE there_full SET n = 0 WHERE k = 3; DELETE FROM there_full WHERE k = 4; INSERT INTO there_rows VALUES (1, 1), (NULL, NULL)));
		sql('INSERT INTO s SELECT ' . int(rand 30) . ' + i % 7, i % 2 FROM generate_series(1, 50) i');
	}
	cmp_ok(sql(q(SELECT count(*) FROM there_up WHERE note = 'kept')), '>', 0, 'rows are updated, not replaced');
	# Locks of the other server have a limit there.
	drain($node, 'f_up');
	sql(q(ALTER SERVER far OPTIONS (ADD options '-c lock_timeout=300ms')));
	my $far_holder = session('BEGIN; LOCK TABLE there_up IN EXCLUSIVE MODE');
	ok(said_done($far_holder), 'somebody holds a lock there');
	sql('INSERT INTO s SELECT k, 1 FROM generate_series(1, 10) k');
	ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'f_up'::regclass), qr/^retrying\|.*lock timeout/),
		'the batch gives up');
	ok(wait_for($node, 'SELECT (SELECT n FROM beside) = (SELECT count(*) FROM s)'), 'other views go on');
	finish($far_holder, 'COMMIT');
	ok(wait_for($node, q(SELECT status FROM streaming.views WHERE view = 'f_up'::regclass), 'running'), 'until the lock goes');
	drain($node, 'f_up');
	same_as_batch($node, '(SELECT k, tag, n FROM there_up)', $groups, 'and then it goes on');

	# A statement that fails there takes nothing back here, and is tried again.
	sql('ALTER TABLE there_up ADD CHECK (n < 0) NOT VALID; INSERT INTO s SELECT k, 1 FROM generate_series(1, 10) k, generate_series(1, 2)');
	ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'f_up'::regclass), qr/^retrying\|.*check constraint/),
		'an error of the other server fails the batch');
	sql('ALTER TABLE there_up DROP CONSTRAINT there_up_n_check');
	drain($node, 'f_up');
	same_as_batch($node, '(SELECT k, tag, n FROM there_up)', $groups, 'and nothing is lost');
}

$node->stop;
done_testing();
