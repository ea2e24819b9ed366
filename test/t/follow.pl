# Views that follow ordinary tables: random histories from several sessions at once, with
# kills, against the batch answer; and what else may happen to a table.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s', 'wal_level = logical', 'streaming.buffer_size = 1MB',
	'log_error_verbosity = verbose');

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE customers (id int PRIMARY KEY, region text, note text);
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, amount int);
CREATE FOREIGN TABLE visits (customer int, page int) SERVER streaming;
CREATE TABLE mirror (customer int, page int);
INSERT INTO customers SELECT i, 'r' || i % 5, repeat('x', i) FROM generate_series(1, 50) i;
INSERT INTO orders (customer, amount) SELECT 1 + i % 50, i FROM generate_series(1, 500) i;
SQL

my %batch = (
	sums    => 'SELECT customer, count(*) AS n, sum(amount) AS total, max(amount) FROM orders GROUP BY customer',
	joined  => 'SELECT c.region, count(*) AS n, sum(o.amount), max(c.note) FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.region',
	idle    => 'SELECT c.id FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer = c.id)',
	outer_join => 'SELECT c.id, o.id AS o FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.amount % 2 = 0',
	seen    => 'SELECT c.region, v.page, count(*) FROM visits v JOIN customers c ON c.id = v.customer GROUP BY c.region, v.page',
);
my $as_batch = sub { $_[0] =~ s/FROM visits/FROM mirror/r };
$node->safe_psql('postgres', "CREATE VIEW $_ WITH (streaming.follow = 'all') AS $batch{$_}") foreach sort keys %batch;

sub all_right
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	foreach my $view (sort keys %batch)
	{
		drain($node, $view);
		same_as_batch($node, $view, $as_batch->($batch{$view}), "$view, $when");
	}
	return;
}

all_right('rows that were there before');

# --- random histories ---------------------------------------------------------

# A statement that is good whatever there is. Keys wrap around, so that sessions meet.
sub statement
{
	my $id = 1 + int rand 60;
	my $other = 1 + int rand 60;
	my @all = (
		"INSERT INTO orders (customer, amount) SELECT id, $other FROM customers WHERE id % 7 = $id % 7",
		"INSERT INTO customers VALUES ($id, 'r$other', md5('$other')) ON CONFLICT (id) DO UPDATE SET region = excluded.region, note = excluded.note",
		"INSERT INTO customers VALUES ($id, NULL, repeat(md5('$other'), 200)) ON CONFLICT DO NOTHING",
		"UPDATE orders SET amount = amount + 1 WHERE customer = $id",
		"UPDATE orders SET customer = (SELECT min(id) FROM customers) WHERE id % 50 = $id % 50",
		"UPDATE customers SET note = note || 'y' WHERE id = $id",
		"UPDATE customers SET region = 'r' || $other % 4 WHERE id BETWEEN $id AND $id + 5",
		"DELETE FROM orders WHERE id % 40 = $id % 40",
		"DELETE FROM customers WHERE id = $id",
		"WITH gone AS (DELETE FROM orders WHERE customer = $id RETURNING *) INSERT INTO orders (customer, amount) SELECT customer, -amount FROM gone",
		"MERGE INTO customers c USING (SELECT $id AS id) s ON c.id = s.id WHEN MATCHED THEN UPDATE SET region = 'm' WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'new', 'm')",
		"WITH v AS (INSERT INTO mirror VALUES ($id, $other % 3) RETURNING *) INSERT INTO visits SELECT * FROM v",
		"DO \$\$ BEGIN DELETE FROM orders WHERE customer = $id; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN END \$\$");

	return 'TRUNCATE orders' if rand() < 0.01;
	return $all[ rand @all ];
}

sub transaction
{
	my @statements = map { statement() } 1 .. 1 + int rand 4;

	splice @statements, int rand @statements, 0, 'SAVEPOINT s', statement(), 'ROLLBACK TO s' if rand() < 0.3;
	return join '; ', 'BEGIN', @statements, rand() < 0.1 ? 'ROLLBACK' : 'COMMIT';
}

# Several sessions at once; deadlocks and kills end some of them.
sub history
{
	my ($sessions, $transactions) = @_;
	my @running;

	foreach my $session (1 .. $sessions)
	{
		my $script = join ";\n", (map { transaction() } 1 .. $transactions), '';

		my $file = $node->basedir . "/history$session.sql";

		# not by a pipe: a session that is killed does not read its end
		open my $out, '>', $file or die "$file: $!";
		print $out $script;
		close $out or die "$file: $!";
		push @running, IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-f', $file ], '>', '/dev/null', '2>', '/dev/null');
	}
	return @running;
}

foreach my $round (1 .. rounds(5))
{
	my @running = history(4, 25);

	kill9($node, 'streaming query') if $round % 2 == 0;
	if ($round % 3 == 0)
	{
		kill9($node, 'postmaster');
	}
	$_->finish foreach @running;
	all_right("after history $round");
	if ($round == 2)
	{
		$node->safe_psql('postgres', "CREATE VIEW young WITH (streaming.follow = 'orders') AS SELECT amount % 3 AS a, count(*) FROM orders GROUP BY 1");
		$batch{young} = 'SELECT amount % 3 AS a, count(*) FROM orders GROUP BY 1';
	}
}

# A view that is made while others write begins with what they have written.
{
	my @running = history(4, 30);

	foreach my $i (1 .. 5)
	{
		$batch{"made_$i"} = "SELECT region, count(*) FROM customers WHERE length(note) >= $i GROUP BY region";
		$node->safe_psql('postgres', "CREATE VIEW made_$i WITH (streaming.follow = 'customers') AS " . $batch{"made_$i"});
	}
	$_->finish foreach @running;
	all_right('made among writers');
	foreach my $i (1 .. 5)
	{
		$node->safe_psql('postgres', "DROP VIEW made_$i");
		delete $batch{"made_$i"};
	}
}

# --- what views have taken goes, and a paused view keeps nothing for ever --------

my $bytes = q(SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c WHERE relname ~ '^push_');
$node->safe_psql('postgres', 'ALTER VIEW sums SET (streaming.enabled = off)');
foreach my $i (1 .. 40)
{
	$node->safe_psql('postgres', 'UPDATE orders SET amount = amount + 1; UPDATE customers SET note = note || $$z$$; INSERT INTO orders (customer, amount) SELECT min(id), 1 FROM customers, generate_series(1, 500)');
	drain($node, 'joined');
}
ok(wait_until(sub { $node->safe_psql('postgres', $bytes) < 20_000_000 }), 'what a paused view has not taken is bounded')
  or diag($node->safe_psql('postgres', $bytes));
$node->safe_psql('postgres', 'ALTER VIEW sums SET (streaming.enabled = on)');
all_right('after a pause');

# --- logical replication ----------------------------------------------------------

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->start;
$publisher->safe_psql('postgres', <<'SQL');
CREATE TABLE replicated (id int PRIMARY KEY, v int);
INSERT INTO replicated SELECT i, i FROM generate_series(1, 10) i;
CREATE PUBLICATION p FOR TABLE replicated;
SQL
$node->safe_psql('postgres', 'CREATE TABLE replicated (id int PRIMARY KEY, v int)');
$batch{copied} = 'SELECT id % 3 AS k, count(*), sum(v) FROM replicated GROUP BY 1';
$node->safe_psql('postgres', "CREATE VIEW copied WITH (streaming.follow = 'replicated') AS $batch{copied}");
$node->safe_psql('postgres', sprintf q(CREATE SUBSCRIPTION s CONNECTION '%s' PUBLICATION p), $publisher->connstr('postgres') =~ s/'/''/gr);
ok(wait_for($node, 'SELECT count(*) FROM replicated', '10'), 'the subscription has copied the table');
all_right('of a subscription');
$publisher->safe_psql('postgres', <<'SQL');
INSERT INTO replicated SELECT i, i FROM generate_series(11, 20) i;
UPDATE replicated SET v = v + 100 WHERE id % 2 = 0;
DELETE FROM replicated WHERE id % 5 = 0;
SQL
ok(wait_for($node, 'SELECT count(*), sum(v) FROM replicated', $publisher->safe_psql('postgres', 'SELECT count(*), sum(v) FROM replicated')), 'changes have been applied');
all_right('of applied changes');
$publisher->safe_psql('postgres', 'TRUNCATE replicated; INSERT INTO replicated VALUES (1, 1)');
ok(wait_for($node, 'SELECT count(*) FROM replicated', '1'), 'TRUNCATE has been applied');
all_right('of an applied TRUNCATE');
$node->safe_psql('postgres', 'DROP SUBSCRIPTION s');
$publisher->stop;
delete $batch{copied};
$node->safe_psql('postgres', 'DROP VIEW copied');

# --- rights -------------------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE owner;
CREATE ROLE follower;
GRANT CREATE ON SCHEMA public TO owner, follower;
SET ROLE owner;
CREATE TABLE secret (id int, reader text);
GRANT SELECT, TRIGGER ON secret TO follower;
INSERT INTO secret VALUES (1, 'follower');
SET ROLE follower;
CREATE VIEW spied WITH (streaming.follow = 'secret') AS SELECT id, reader FROM secret;
SQL
drain($node, 'spied');
is($node->safe_psql('postgres', 'SELECT * FROM spied'), '1|follower', 'who may read and has TRIGGER follows');
$node->safe_psql('postgres', 'REVOKE SELECT ON secret FROM follower; INSERT INTO secret VALUES (2, $$owner$$)');
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'spied'::regclass), qr/permission denied for table secret/), 'nothing is read without the right');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spied'), '1', 'and nothing shown');
$node->safe_psql('postgres', <<'SQL');
GRANT SELECT ON secret TO follower;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (reader = current_user);
SQL
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'spied'::regclass), qr/Row-level security|cannot follow table "secret"/), 'nor past a policy');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spied'), '1', 'and nothing shown');
$node->safe_psql('postgres', 'ALTER TABLE secret DISABLE ROW LEVEL SECURITY');
drain($node, 'spied');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spied'), '2', 'it goes on when it may');
# Whoever writes has no rights on what captures it, and needs none.
$node->safe_psql('postgres', 'CREATE ROLE writer; GRANT INSERT ON secret TO writer; SET ROLE writer; INSERT INTO secret VALUES (3, NULL)');
drain($node, 'spied');
is($node->safe_psql('postgres', 'SELECT count(*) FROM spied'), '3', 'whoever writes');

# --- the capture goes with its last view ------------------------------------------

my $triggers = q(SELECT count(*) FROM pg_trigger WHERE tgrelid = 'secret'::regclass);
$node->safe_psql('postgres', 'CREATE VIEW second WITH (streaming.follow = $$secret$$) AS SELECT count(*) FROM secret');
is($node->safe_psql('postgres', $triggers), '5', 'two views share the triggers');
$node->safe_psql('postgres', 'DROP VIEW spied; INSERT INTO secret VALUES (4)');
drain($node, 'second');
is($node->safe_psql('postgres', 'SELECT * FROM second'), '4', 'the second one goes on');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; INSERT INTO secret VALUES (5);');
$node->safe_psql('postgres', 'DROP VIEW second');
$session->query_safe('COMMIT;');
$session->quit;
ok(wait_for($node, $triggers, '0'), 'without views there are none');

# --- a dump ---------------------------------------------------------------------------

my $dump = $node->basedir . '/dump';
drain($node, $_) foreach keys %batch;
command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
command_ok([ 'pg_restore', '--exit-on-error', '-j', 2, '-d', $node->connstr('copy'), $dump ], 'pg_restore');
$node->safe_psql('copy', 'INSERT INTO orders (customer, amount) SELECT id, 1 FROM customers');
foreach my $view (grep { $_ ne 'seen' } sort keys %batch)
{
	$node->safe_psql('copy', "SELECT streaming.drain('$view', '$deadline seconds')");
	is($node->safe_psql('copy', "SELECT count(*) FROM ((SELECT * FROM $view EXCEPT ALL $batch{$view}) UNION ALL ($batch{$view} EXCEPT ALL SELECT * FROM $view)) d"),
		'0', "$view is loaded anew where it is restored");
}
ok(wait_until(sub { $node->safe_psql('copy', q(SELECT last_error FROM streaming.views WHERE view = 'seen'::regclass)) =~ /stream "visits" no longer has/ }),
	'one over a stream that has lost its rows says so');
$node->safe_psql('copy', q(SELECT streaming.reset('seen', force => true)));
$node->safe_psql('copy', 'INSERT INTO visits SELECT min(id), 1 FROM customers');
$node->safe_psql('copy', "SELECT streaming.drain('seen', '$deadline seconds')");
is($node->safe_psql('copy', 'SELECT sum(count) FROM seen'), '1', 'and begins anew when it is told to');
is($node->safe_psql('copy', q(SELECT count(*) FROM pg_foreign_table WHERE ftrelid::regclass::text LIKE '%follow_%')), '2', 'and captures of the original are gone');
$node->safe_psql('postgres', 'CREATE DATABASE bare');
command_ok([ 'pg_dump', '-s', '-f', "$dump.schema", '-d', $node->connstr('copy') ], 'pg_dump -s');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('bare'), '-f', "$dump.schema" ], 'restore');
$node->safe_psql('bare', q(INSERT INTO customers VALUES (1, 'r', NULL); REFRESH MATERIALIZED VIEW streaming_internal.restored));
ok(wait_until(sub { $node->safe_psql('bare', q(SELECT count(*) FROM streaming.views WHERE status = 'running')) > 0 }), 'views without data begin');
$node->safe_psql('bare', 'INSERT INTO orders (customer, amount) VALUES (1, 7)');
$node->safe_psql('bare', "SELECT streaming.drain('sums', '$deadline seconds')");
is($node->safe_psql('bare', 'SELECT * FROM sums'), '1|1|7|7', 'and follow');
$node->safe_psql('postgres', "CREATE DATABASE clone TEMPLATE bare");
$node->safe_psql('clone', 'INSERT INTO orders (customer, amount) VALUES (1, 8)');
$node->safe_psql('clone', "SELECT streaming.drain('sums', '$deadline seconds')");
is($node->safe_psql('clone', 'SELECT * FROM sums'), '1|2|15|8', 'and so do copies of a database');

# --- without the extension ------------------------------------------------------------

$node->safe_psql('clone', 'DROP EXTENSION streaming CASCADE');
is($node->safe_psql('clone', 'INSERT INTO orders (customer, amount) VALUES (1, 9) RETURNING amount'), '9', 'tables stay when the extension goes');
is($node->safe_psql('clone', q(SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('orders'::regclass, 'customers'::regclass) AND tgname LIKE '%streaming%')), '0', 'without the triggers');

$node->stop;
done_testing();
