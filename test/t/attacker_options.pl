# A role that may make servers and streams tries each option that reaches
# librdkafka or the file system.

use strict;
use warnings;

use POSIX qw(mkfifo);
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms', 'streaming.retry_max = 200ms', 'streaming.connect_timeout = 2s',
	'log_min_error_statement = panic');
my $dir = $node->basedir . '/landing';
my $outside = $node->basedir . '/outside';
mkdir $_ foreach $dir, "$dir/in", "$dir/out", $outside;

$node->safe_psql('postgres', <<SQL);
CREATE ROLE mallory LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
GRANT USAGE ON FOREIGN DATA WRAPPER kafka, directory TO mallory;
CREATE SERVER theirs FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
GRANT USAGE ON FOREIGN SERVER theirs TO mallory;
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
GRANT USAGE ON FOREIGN SERVER landing TO mallory;
SQL

# What mallory is told.
sub refused
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "SET ROLE mallory; SET search_path = mallory; $sql");
	return $err;
}
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

# ----- properties -----

my %property = (
	'plugin.library.paths' => '/tmp/evil.so', 'ssl.engine.location' => '/tmp/evil.so', 'ssl.engine.id' => 'x', 'ssl.providers' => 'evil',
	'sasl.kerberos.kinit.cmd' => 'touch /tmp/p', 'sasl.kerberos.min.time.before.relogin' => '1', 'sasl.mechanisms' => 'GSSAPI',
	'sasl.kerberos.service.name' => 'a;b', 'sasl.oauthbearer.token.endpoint.url' => 'file:///etc/passwd',
	'ssl.ca.location' => '/etc/passwd', 'ssl.crl.location' => '/etc/passwd', 'ssl.key.location' => '/etc/passwd',
	'ssl.certificate.location' => '/etc/passwd', 'ssl.keystore.location' => '/etc/passwd', 'sasl.kerberos.keytab' => '/etc/passwd',
	'internal.termination.signal' => '9', 'enabled_events' => '255', 'statistics.interval.ms' => '1', 'log.queue' => 'false',
	'debug' => 'all', 'log_level' => '7', 'opaque' => 'x', 'error_cb' => 'x', 'interceptors' => 'x', 'default_topic_conf' => 'x',
	'offset.store.method' => 'file', 'offset.store.path' => '/tmp/offsets', 'delivery.timeout.ms' => '1', 'message.timeout.ms' => '1',
	'transactional.id' => 'x', 'group.id' => 'x', 'queuing.strategy' => 'lifo', 'allow.auto.create.topics' => 'true',
	'test.mock.num.brokers' => '3', 'client.software.name' => 'x', 'topic.blacklist' => '(a*)*b', 'builtin.features' => 'x',
	'queued.max.messages.kbytes' => '2097151', 'queued.min.messages' => '10000000', 'receive.message.max.bytes' => '2147483647',
	'fetch.max.bytes' => '2147483135', 'fetch.message.max.bytes' => '1000000000', 'message.max.bytes' => '1000000000',
	'batch.size' => '2147483647', 'queue.buffering.max.kbytes' => '2147483647', 'socket.receive.buffer.bytes' => '100000000',
	'reconnect.backoff.ms' => '0', 'fetch.error.backoff.ms' => '0', 'fetch.wait.max.ms' => '0', 'topic.metadata.refresh.interval.ms' => '1',
	'client.id' => "x\nLOG:  forged",
);
foreach my $name (sort keys %property)
{
	foreach my $spelt ($name, $name =~ tr/./_/r)
	{
		my $value = $property{$name};
		like(refused(qq{CREATE SERVER s FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', "$spelt" '$value')}),
			qr/ERROR:  (permission denied|librdkafka property|invalid value|value of librdkafka property|librdkafka has no property)/,
			"$spelt in a server");
		like(refused(qq{CREATE USER MAPPING FOR mallory SERVER theirs OPTIONS ("$spelt" '$value')}),
			qr/ERROR:  (permission denied|librdkafka property|invalid value|value of librdkafka property|librdkafka has no property|option)/,
			"$spelt in a user mapping");
	}
}
like(refused("CREATE SERVER s FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '" . join(',', ('localhost:1') x 200) . "')"),
	qr/too many brokers/, 'two hundred brokers would be as many threads');

my $touched = $node->basedir . '/touched';
like(refused("CREATE USER MAPPING FOR mallory SERVER theirs OPTIONS (sasl_kerberos_principal 'x; touch $touched; true ')"),
	qr/invalid value/, 'a principal that is a command');
$node->safe_psql('postgres', 'GRANT pg_read_server_files TO mallory');
like(refused("CREATE USER MAPPING FOR mallory SERVER theirs OPTIONS (sasl_kerberos_keytab '/x\"; touch $touched; \"')"),
	qr/invalid value/, 'a keytab that is one');
like(refused("ALTER SERVER landing OPTIONS (ADD follow_symlinks 'true')"), qr/must be owner/, 'a server of others');
like(refused("CREATE SERVER s FOREIGN DATA WRAPPER directory OPTIONS (path '/etc', follow_symlinks 'true')"),
	qr/permission denied to set option "follow_symlinks"/, 'links are a superuser\'s');

# What an ordinary stream needs is allowed.
is(refused(<<'SQL'), '', 'what is ordinary is allowed');
CREATE SERVER mine FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1, localhost:2', security_protocol 'SASL_SSL',
	sasl_mechanism 'SCRAM-SHA-512', ssl_endpoint_identification_algorithm 'https', client_id 'mine', client_rack 'r1',
	fetch_wait_max_ms '100', queued_max_messages_kbytes '1000', compression_type 'lz4', linger_ms '5', message_max_bytes '10000000');
CREATE USER MAPPING FOR mallory SERVER mine OPTIONS (sasl_username 'mallory', sasl_password 'a secret of mine');
SET client_min_messages = warning;
DROP SERVER mine CASCADE;
SQL

# Tokens that librdkafka makes itself.
my $unsecured = <<'SQL';
CREATE SERVER tokens FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'sasl_plaintext',
	sasl_mechanism 'OAUTHBEARER', enable_sasl_oauthbearer_unsecure_jwt 'true');
CREATE USER MAPPING FOR mallory SERVER tokens OPTIONS (sasl_oauthbearer_config 'principal=mallory lifeSeconds=1');
CREATE FOREIGN TABLE token (a int) SERVER tokens OPTIONS (topic 't');
CREATE VIEW token_rows WITH (streaming.continuous) AS SELECT a FROM token;
SQL
my $err = refused($unsecured);
if ($err eq '')
{
	refused("SET streaming.connect_timeout = '10s'; SELECT * FROM token");
	pass('a librdkafka that can renew tokens');
}
else
{
	like($err, qr/cannot be set with librdkafka 2\.[01]\.\d.*\n.*crashes/, 'a librdkafka that cannot renew tokens');
	unlike(refused($unsecured =~ s/'true'/'false'/r), qr/librdkafka property/, 'nothing to renew');
}

# ----- secrets -----

my %secret = (
	sasl_password => "a b\tc Secret0", ssl_key_password => "Secret1\nx", ssl_keystore_password => "Secret2\nx", ssl_key_pem => "Secret3\x01",
	sasl_oauthbearer_config => 'principal=x Secret4',
	sasl_oauthbearer_client_secret => "Secret5\nx",
	sasl_oauthbearer_assertion_private_key_pem => "Secret6\x01",
	sasl_oauthbearer_assertion_private_key_passphrase => "Secret7\nx",
	password => 'Secret8', sasl_pasword => 'Secret9', sasl_new_password => 'Secret10',
);
foreach my $name (sort keys %secret)
{
	my $refusal = refused(qq{CREATE USER MAPPING FOR mallory SERVER theirs OPTIONS ("$name" '$secret{$name}')});

	like($refusal, qr/ERROR/, "$name has no such value");
	unlike($refusal, qr/Secret\d/, "$name is not quoted");
	next if $name =~ /pas(s|)word$/ && $name !~ /^(sasl|ssl)_.*password$/;
	like(refused(qq{CREATE SERVER s FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1', "$name" 'Secret11')}),
		qr/ERROR/, "$name is not for servers");
}
like(refused(q{CREATE USER MAPPING FOR mallory SERVER theirs OPTIONS ("user" 'x')}), qr/HINT:.*sasl_username/, 'another name of a user');

# What librdkafka says holds no secret, whatever it quotes.
$node->safe_psql('postgres', <<'SQL');
CREATE SERVER quoting FOREIGN DATA WRAPPER kafka
	OPTIONS (bootstrap_servers 'xSecret12-of-mine.invalid:9092', security_protocol 'sasl_plaintext', sasl_mechanism 'PLAIN');
CREATE USER MAPPING FOR postgres SERVER quoting OPTIONS (sasl_username 'x', sasl_password 'Secret12-of-mine');
CREATE FOREIGN TABLE quoted (a int) SERVER quoting OPTIONS (topic 't');
CREATE VIEW quoted_rows WITH (streaming.continuous) AS SELECT a FROM quoted;
SQL
my ($rc, $out, $quoted) = $node->psql('postgres', 'SELECT * FROM quoted');
like($quoted, qr/ERROR.*x\*{16}\.invalid/s, 'stars are shown in its place');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'quoted'::regclass LIMIT 1), qr/\*{16}/), 'and to others');
unlike(slurp($node->logfile), qr/Secret\d/, 'the log has none');
$node->safe_psql('postgres', 'DROP SERVER quoting CASCADE');

# ----- links out of the directory -----

put_file($outside, 'secret.json', qq({"a": "outside"}\n));
put_file($outside, 'hard.json', qq({"a": "hard"}\n));
put_file("$dir/in", 'a.json', qq({"a": "inside"}\n));
symlink "$outside/secret.json", "$dir/in/link.json" or die;
symlink $outside, "$dir/link" or die;
mkfifo("$dir/in/fifo.json", 0600) or die;
$node->safe_psql('postgres', <<SQL);
GRANT pg_write_server_files TO mallory;
SET ROLE mallory; SET search_path = mallory;
CREATE FOREIGN TABLE files (a text) SERVER landing OPTIONS (path '*/*.json');
CREATE FOREIGN TABLE linked (a text) SERVER landing OPTIONS (path 'link/*.json');
CREATE FOREIGN TABLE written (a text) SERVER landing OPTIONS (path 'link/out-*.txt', file_interval '0');
CREATE VIEW file_rows WITH (streaming.continuous) AS SELECT a FROM files;
SQL
is($node->safe_psql('postgres', 'SELECT a FROM mallory.files'), 'inside', 'a read follows no link, and waits for no pipe');
ok(wait_for($node, 'SELECT a FROM mallory.file_rows', 'inside'), 'nor does a view');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'mallory.files'::regclass), qr/symbolic links are ignored, such as/),
	'which is told');
like(refused('SELECT * FROM linked'), qr/could not read directory .*: symbolic links are not followed/, 'nor is a directory');
foreach my $try ('SELECT * FROM mallory.linked', 'IMPORT FOREIGN SCHEMA link FROM SERVER landing INTO mallory')
{
	my (undef, undef, $stderr) = $node->psql('postgres', "SET ROLE mallory;\n\\set VERBOSITY sqlstate\n$try");
	like($stderr, qr/ERROR:  42501/, "which is no error of ours: $try");
}

# Names of columns are compared with each other, so no more than a table may have.
mkdir "$dir/wide";
put_file("$dir/wide", 'x.csv', join(',', map { "name_$_" } 1 .. 300_000) . "\n");
$node->safe_psql('postgres', "SET ROLE mallory; SET client_min_messages = error; IMPORT FOREIGN SCHEMA wide FROM SERVER landing INTO mallory");
is($node->safe_psql('postgres', q(SELECT count(*), min(attname) FROM pg_attribute WHERE attrelid = 'mallory.wide'::regclass AND attnum > 0)), '1000|column1',
	'a line of very many names is none of names');

$node->safe_psql('postgres', q(INSERT INTO mallory.written VALUES ('x')));
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_sinks WHERE stream = 'mallory.written'::regclass), qr/symbolic links are not followed/),
	'nothing is written behind a link');
is_deeply([ sort map { s{.*/}{}r } glob "$outside/{.,}[!.]*" ], [ 'hard.json', 'secret.json' ], 'as the directory shows');
unlink "$dir/link";
mkdir "$dir/link";
ok(wait_for($node, q(SELECT count(*) FROM streaming.stat_sinks WHERE stream = 'mallory.written'::regclass AND last_error IS NULL), 1), 'but into a directory');

# Later ones, and a directory that turns into one.
symlink "$outside/secret.json", "$dir/in/later.json" or die;
rename "$dir/out", "$dir/moved" or die;
symlink $outside, "$dir/out" or die;
put_file("$dir/in", 'b.json', qq({"a": "again"}\n));
ok(wait_for($node, 'SELECT count(*) FROM mallory.file_rows', 2), 'the view goes on');
drain($node, 'mallory.file_rows');
is($node->safe_psql('postgres', q(SELECT string_agg(a, ' ' ORDER BY a) FROM mallory.file_rows)), 'again inside', 'links that come later are none of its files');
unlink "$dir/in/later.json";
put_file("$dir/in", 'later.json', qq({"a": "later"}\n));
ok(wait_for($node, q(SELECT string_agg(a, ' ' ORDER BY a) FROM mallory.file_rows), 'again inside later'), 'a file in the place of a link is');

# A superuser may want them.
$node->safe_psql('postgres', q(ALTER SERVER landing OPTIONS (ADD follow_symlinks 'true')));
is($node->safe_psql('postgres', q(SELECT string_agg(DISTINCT a, ' ' ORDER BY a) FROM mallory.files)), 'again hard inside later outside', 'links are followed where a superuser said so');

ok(!-e $touched && !-e '/tmp/offsets', 'no command was run');
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'and the server stands');
unlike(slurp($node->logfile), qr/terminated by signal/, 'with all of its processes');

sub slurp
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!";
	local $/;
	return <$handle>;
}

$node->stop;
done_testing();
