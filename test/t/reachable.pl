# CREATE and ALTER warn of brokers, topics and directories that are not there.

use strict;
use warnings;

use IO::Socket::INET;
use StreamingKafka;
use StreamingTest;
use Time::HiRes qw(time);
use Test::More;

my $node = new_node('main', 'streaming.reachable_timeout = 1s', 'log_min_messages = error');
my $dir = $node->basedir . '/landing';

# Runs SQL in one session; returns what it was warned of, and the seconds it took.
sub warnings_of
{
	my ($sql) = @_;
	my $err;
	my $begun = time;
	$node->psql('postgres', $sql, stderr => \$err);
	my @warnings = $err =~ /WARNING:  (.*)/g;
	return (join("\n", @warnings), time - $begun, $err);
}

# A port on which nobody listens, and one that takes connections and says nothing.
my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "socket: $!";
my $closed = $socket->sockport;
close $socket;
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', Proto => 'tcp') or die "socket: $!";
my $deaf = $silent->sockport;

# Directories.
my ($said, $took, $err) = warnings_of(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
SQL
is($said, qq(could not open directory "$dir": No such file or directory), 'CREATE SERVER: no such directory');
like($err, qr/HINT:  Make the directory/, 'with a hint');
mkdir $dir;
($said) = warnings_of(<<SQL);
CREATE FOREIGN TABLE f (n int) SERVER landing OPTIONS (path 'below/here/*.json');
CREATE FOREIGN TABLE g (n int) SERVER landing OPTIONS (path '*/*.json');
CREATE VIEW v WITH (streaming.continuous) AS SELECT n FROM f;
ALTER VIEW v SET (streaming.trigger = '1 second');
ALTER FOREIGN TABLE f OPTIONS (ADD on_error 'null');
ALTER FOREIGN TABLE f ALTER n SET DEFAULT 0;
SQL
is($said, join("\n", (qq(could not open directory "$dir/below/here": No such file or directory)) x 4), 'tables and views');
mkdir "$dir/below";
mkdir "$dir/below/here", 0;
($said) = warnings_of(q(ALTER VIEW v SET (streaming.trigger = 'asap')));
is($said, $> == 0 ? '' : qq(could not open directory "$dir/below/here": Permission denied), 'it may not be read');
chmod 0700, "$dir/below/here";
($said) = warnings_of(<<SQL);
ALTER VIEW v SET (streaming.trigger = '1 second');
ALTER FOREIGN TABLE f OPTIONS (SET on_error 'reject');
ALTER SERVER landing OPTIONS (SET path '$dir');
SQL
is($said, '', 'all is well');

# Brokers.
($said, $took, $err) = warnings_of(<<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '127.0.0.1:$closed');
CREATE FOREIGN TABLE k (n int) SERVER broker OPTIONS (topic 'k');
CREATE VIEW w WITH (streaming.trigger = 'manual') AS SELECT n FROM k;
SQL
is($said, 'no broker of server "broker" answers', 'nobody listens: one warning in a session');
like($err, qr/DETAIL:  .*Connection refused/, 'that says why');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relname IN ('k', 'w'))), 2, 'and nothing is refused');
cmp_ok($took, '<', 5, "within $took s");
($said, $took) = warnings_of(join '', map { "CREATE SERVER b$_ FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '127.0.0.1:$deaf,127.0.0.1:$_');\n" } 1 .. 20);
cmp_ok(scalar(split /\n/, $said), '<=', 7, 'nobody answers: not many warnings in a minute');
cmp_ok($took, '<', 12, "and not many seconds, $took");
($said, $took) = warnings_of("SET statement_timeout = 300; SET streaming.reachable_timeout = '10s'; CREATE SERVER c FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '127.0.0.1:$deaf')");
cmp_ok($took, '<', 5, 'the wait is interrupted');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_foreign_server WHERE srvname = 'c')), 0, 'and the statement with it');
($said, $took) = warnings_of("SET streaming.reachable_timeout = 0; CREATE SERVER c FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '127.0.0.1:$closed')");
is($said, '', 'or not made at all');
($said) = warnings_of("CREATE SERVER s FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '127.0.0.1:$closed', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN')");
is($said, '', 'a server whose user mapping is not made yet is not asked');

# A stranger's stream: its owner's password is not used for others, nor are its errors told.
$node->safe_psql('postgres', 'CREATE ROLE reader; GRANT SELECT ON k TO reader; CREATE SCHEMA reader AUTHORIZATION reader');
($said) = warnings_of('SET ROLE reader; CREATE VIEW reader.r WITH (streaming.trigger = \'manual\') AS SELECT n FROM k');
is($said, '', "a view over another's stream asks for nothing");
is($node->safe_psql('postgres', q(SELECT count(*) FROM streaming.views WHERE view = 'reader.r'::regclass)), 1, 'but is made');

SKIP:
{
	my $missing = StreamingKafka->missing;
	skip $missing, 2 if $missing;
	my $kafka = StreamingKafka->shared;
	my $topic = $kafka->create_topic('reachable', 1);

	($said) = warnings_of(<<SQL);
CREATE SERVER there FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}');
CREATE FOREIGN TABLE t (n int) SERVER there OPTIONS (topic '$topic');
CREATE VIEW x WITH (streaming.trigger = 'manual') AS SELECT n FROM t;
SQL
	is($said, '', 'broker and topic are there');
	($said) = warnings_of(<<SQL);
ALTER FOREIGN TABLE t OPTIONS (SET topic 'reachable-nothing');
CREATE FOREIGN TABLE u (n int) SERVER there OPTIONS (topic 'reachable-nothing');
SQL
	is($said, join("\n", ('topic "reachable-nothing" does not exist on the brokers of server "there"') x 2), 'no such topic');
}

done_testing();
