# Where the server has not preloaded the library, every way in says so.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;

# SQLSTATE 55000 and a message that names the setting.
my $says = qr/ERROR:  55000: streaming must be loaded by shared_preload_libraries.*HINT:  Add streaming to the setting shared_preload_libraries/s;

sub fails
{
	my ($sql, $name) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");

	isnt($ret, 0, "$name fails");
	like($err, $says, "$name says what is missing");
}

fails('CREATE EXTENSION streaming;', 'CREATE EXTENSION');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'streaming%')), 0, 'and leaves nothing');

# A database that had it before: its tables can be read, its functions explain.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'streaming'");
$node->restart;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION streaming;
CREATE FOREIGN TABLE s (a int) SERVER streaming;
CREATE VIEW v WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n FROM s;
SQL
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
fails("SELECT streaming.drain('v');", 'drain');
fails("SELECT streaming.reset('v');", 'reset');
fails("SELECT streaming.watermark('v');", 'watermark');
fails("SELECT * FROM streaming.explain('v');", 'explain');
fails('INSERT INTO s VALUES (1);', 'INSERT into a stream');
fails('SELECT * FROM s;', 'SELECT from a stream');
fails('CREATE FOREIGN TABLE s2 (a int OPTIONS (field $$a$$)) SERVER streaming;', 'CREATE FOREIGN TABLE');
is($node->safe_psql('postgres', 'SELECT view FROM streaming_internal.continuous_view'), 'v', 'catalogs can be read');
is($node->safe_psql('postgres', 'SELECT count(*) FROM v'), '0', 'and what views show');
like($node->safe_psql('postgres', 'SELECT last_error FROM streaming.views'), qr/shared_preload_libraries/, 'streaming.views tells why they do not run');

# What is dropped meanwhile is forgotten as soon as somebody can.
$node->safe_psql('postgres', 'DROP VIEW v');
is($node->safe_psql('postgres', 'SELECT count(*) FROM streaming_internal.continuous_view'), 1, 'nobody sees the drop');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'streaming'");
$node->restart;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM streaming_internal.continuous_view'), 'but later');

$node->stop;
done_testing();
