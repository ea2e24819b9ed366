# The background workers: they come back, follow the settings, and say where
# there is no room for them.

use strict;
use warnings;

use StreamingTest;
use Test::More;

# --- not preloaded ----------------------------------------------------------

my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init;
$bare->start;
my ($ret, $out, $err) = $bare->psql('postgres', 'CREATE EXTENSION streaming');
like($err, qr/shared_preload_libraries/, 'CREATE EXTENSION names the setting that is missing');
is($bare->safe_psql('postgres', q(SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'streaming%')), 0, 'and leaves nothing');
$bare->stop;

# --- they come back ---------------------------------------------------------

my $node = new_node('main', 'streaming.retry_max = 1s');
my $dir = $node->basedir . '/landing';
mkdir $dir;

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (v int) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW of_files WITH (streaming.continuous) AS SELECT count(*) AS n, sum(v) FROM f;
CREATE VIEW of_rows WITH (streaming.continuous) AS SELECT count(*) AS n, sum(v) FROM s;
SQL

my $n = 0;
foreach my $kind ('streaming query', 'streaming ingest', 'streaming coordinator', 'streaming launcher', 'streaming %')
{
	ok(wait_until(sub { worker_pids($node, $kind) }), "there is a $kind");
	my %gone = map { $_ => 1 } terminate_worker($node, $kind);
	$n++;
	$node->safe_psql('postgres', "INSERT INTO s VALUES ($n)");
	put_file($dir, "$n.json", qq({"v": $n}\n));
	ok(wait_for($node, 'SELECT n FROM of_rows', $n), "$kind was terminated: rows are taken")
	  && ok(wait_for($node, 'SELECT n FROM of_files', $n), 'and files');
	ok(wait_until(sub { my @pids = worker_pids($node, $kind); @pids && !grep { $gone{$_} } @pids }), 'by another process');
}
is($node->safe_psql('postgres', 'SELECT r.sum, f.sum FROM of_rows r, of_files f'), '15|15', 'each once');

# --- settings ---------------------------------------------------------------

ok(wait_until(sub { worker_pids($node, 'streaming query') == 2 }), 'two query workers for two views');
$node->safe_psql('postgres', "CREATE VIEW v$_ WITH (streaming.continuous) AS SELECT v FROM s") foreach 1 .. 6;
$node->append_conf('postgresql.conf', 'streaming.query_workers = 4');
$node->reload;
ok(wait_until(sub { worker_pids($node, 'streaming query') == 4 }), 'more of them by a reload');
$node->append_conf('postgresql.conf', 'streaming.query_workers = 1');
$node->reload;
ok(wait_until(sub { worker_pids($node, 'streaming query') == 1 }), 'and fewer');
$node->safe_psql('postgres', 'INSERT INTO s VALUES (100)');
foreach my $view ('of_rows', map { "v$_" } 1 .. 6)
{
	drain($node, $view);
}
is($node->safe_psql('postgres', 'SELECT n FROM of_rows'), 6, 'views go on with whoever is left');
is($node->safe_psql('postgres', 'SELECT max(v) FROM v6'), 100, 'all of them');

$node->safe_psql('postgres', 'DROP FOREIGN TABLE s, f CASCADE');
ok(wait_until(sub { !worker_pids($node, 'streaming query') && !worker_pids($node, 'streaming ingest') }),
	'without views there are no workers');
$node->stop;

# --- no room ----------------------------------------------------------------

# One place is the launcher's and one PostgreSQL's own; so there is one left.
my $small = new_node('small', 'max_worker_processes = 3');
$small->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (v int) SERVER streaming;
CREATE VIEW v WITH (streaming.continuous) AS SELECT sum(v) FROM s;
INSERT INTO s VALUES (1);
SQL
ok(wait_for($small, 'SELECT last_error FROM streaming.views', qr/max_worker_processes/), 'a view without a worker names the setting');
# so few that there is not even a coordinator
$small->append_conf('postgresql.conf', 'max_worker_processes = 2');
$small->restart;
ok(wait_for($small, 'SELECT last_error FROM streaming.views', qr/slot is free: increase max_worker_processes/), 'so does one without a coordinator');
$small->append_conf('postgresql.conf', 'max_worker_processes = 16');
$small->restart;
ok(wait_for($small, 'SELECT sum FROM v', '1'), 'which helps');
ok(wait_for($small, q(SELECT coalesce(last_error, '') FROM streaming.views), ''), 'and the error is gone');
$small->stop;

done_testing();
