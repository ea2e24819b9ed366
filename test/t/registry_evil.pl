# Schema registries that misbehave: whoever may make a server can name one. Nobody else
# notices, memory stays bounded, whoever waits can be interrupted, and no password is shown.

# Takes long.

use strict;
use warnings;

use IO::Compress::Gzip qw(gzip);
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use StreamingEvilRegistry;
use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.connect_timeout = 20s');
my $json = JSON::PP->new->canonical->ascii;
my $secret = 's3cret-pa55word';
my $encoded = encode_base64("app:$secret", '');
my $record = '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}';
my $good = $json->encode({ schema => $record });
my $page = "Content-Type: application/json\r\n";

# --- what they say ------------------------------------------------------------

sub whole { my ($body, $more) = @_; return "HTTP/1.1 200 OK\r\n$page" . ($more // '') . 'Content-Length: ' . length($body) . "\r\n\r\n$body"; }

# Many are long, and JSON::PP is slow.
sub schema
{
	my ($schema, %more) = @_;
	my $rest = %more ? substr($json->encode(\%more), 1, -1) . ', ' : '';

	$schema =~ s/(["\\])/\\$1/g;
	return whole(qq({$rest"schema": "$schema"}));
}

sub chunks { return "HTTP/1.1 200 OK\r\n${page}Transfer-Encoding: $_[0]\r\n\r\n$_[1]"; }
sub redirect { return "HTTP/1.1 302 Found\r\nLocation: $_[0]\r\nContent-Length: 0\r\n\r\n"; }

sub zipped
{
	my ($body) = @_;

	gzip(\$body, \my $zipped);
	return $zipped;
}

# Without end, until the other side has had enough.
sub without_end
{
	my ($client, $begin, $piece, $pause) = @_;

	print $client $begin;
	while (print $client $piece) { select undef, undef, undef, $pause if $pause; }
	return '';
}

# Records of twice the one before.
sub level
{
	my ($n) = @_;
	my @fields = map { '{"name": "x' . $_ . '", "type": "T' . ($n - 1) . '"}' } 1, 2;

	return '{"type": "record", "name": "T' . $n . '", "fields": [' . join(', ', $n > 0 ? @fields : ()) . ']}';
}

my $bomb = zipped(' ' x 8_000_000 . $good);
my ($taker, $evil);
my %answers = (
	honest => whole($good),
	redirect_file => redirect('file:///etc/passwd'),
	redirect_loop => redirect('loop'),
	redirect_host => sub { return redirect($taker->address('taken')) },
	length_short => "HTTP/1.1 200 OK\r\n${page}Content-Length: 10\r\n\r\n$good",
	length_long => "HTTP/1.1 200 OK\r\n${page}Content-Length: 1000\r\n\r\n$good",
	length_negative => "HTTP/1.1 200 OK\r\n${page}Content-Length: -5\r\n\r\n$good",
	length_huge => "HTTP/1.1 200 OK\r\n${page}Content-Length: 99999999999999999999999\r\n\r\n$good",
	chunk_bad => chunks('chunked', "zz\r\n$good\r\n0\r\n\r\n"),
	chunk_huge => chunks('chunked', "ffffffffffffffffff\r\n$good"),
	chunk_cut => chunks('chunked', "100\r\n$good"),
	zip_content => whole($bomb, "Content-Encoding: gzip\r\n"),
	zip_transfer => chunks('gzip, chunked', sprintf("%x\r\n", length $bomb) . "$bomb\r\n0\r\n\r\n"),
	zip_many => "HTTP/1.1 200 OK\r\n${page}" . 'Transfer-Encoding: ' . join(', ', ('gzip') x 200) . "\r\n\r\n$bomb",
	http_old => $good,
	noise => join('', map { chr(($_ * 7919) % 251) } 1 .. 5000),
	status_odd => "HTTP/1.1 999 \e[31m\r\nContent-Length: 4\r\n\r\n\e[2J",
	status_none => "HTTP/1.1 -1 x\r\n\r\n",
	headers_zero => "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}",
	echo => sub { return "HTTP/1.1 401 No\r\nContent-Length: " . length($_[3]) . "\r\n\r\n$_[3]" },
	echo_plain => sub { return whole(qq({"message": "wrong password: $secret"})) },
	zero => whole("{\0" . 'x' x 1000),
	zero_escaped => whole('{"schema": "a\\u0000b"}'),
	half_pair => whole('{"schema": "\\ud800"}'),
	bytes => whole("{\"schema\": \"\xff\xfe\x80\"}"),
	deep => whole('[' x 1_000_000),
	deep_object => whole('{"schema":' x 500_000),
	number_huge => whole('{"schema": 1e999999999, "id": 1}'),
	list => whole('[{"schema": "x"}]'),
	twice => whole(qq({"schema": "no", "schema": ${\$json->allow_nonref->encode($record)}})),
	type_odd => whole($json->encode({ schema => $record, schemaType => "\e]0;x\a" . 'y' x 100_000 })),
	name_odd => schema("{\"type\": \"record\", \"name\": \"R\", \"fields\": [{\"name\": \"a\", \"type\": \"\\u001b[31m\\n" . 'x' x 400 . '"}]}'),
	nested => schema('{"type": "record", "name": "R", "fields": [{"name": "a", "type": ' . '{"type": "array", "items": ' x 20_000 . '"int"' . '}' x 20_000 . '}]}'),
	many => schema('{"type": "record", "name": "R", "fields": [' . join(', ', map { qq({"name":"f$_","type":{"type":"fixed","name":"F$_","size":1}}) } 1 .. 15_000) . ']}'),
	many_more => schema('{"type": "record", "name": "R", "fields": [' . join(', ', map { qq({"name":"f$_","type":{"type":"fixed","name":"F$_","size":1}}) } 1 .. 60_000) . ']}'),
	grows => schema('{"type": "record", "name": "R", "fields": [' . join(', ', map { '{"name": "a' . $_ . '", "type": ' . level($_) . '}' } 0 .. 60) . ']}'),
	cycle => schema($record, references => [ { name => 'R', subject => 'me', version => 1 }, { name => 'R', subject => 'me', version => 1 } ]),
	chain => sub { my ($n) = $_[2] =~ /s(\d+)/; return schema($record, references => [ { name => 'x', subject => 's' . (($n // 0) + 1), version => 1 } ]) },
	large => sub { my ($n) = $_[2] =~ /s(\d+)/; return schema('"' . 'x' x 3_000_000, references => [ { name => 'x', subject => 's' . (($n // 0) + 1), version => 1 } ]) },
	refers_odd => whole(qq({"schema": "x", "references": [5, null]})),
	refers_far => whole(qq({"schema": "x", "references": [{"subject": "x", "version": 1e30}]})),
	subjects => sub {
		return schema('"int"') if $_[2] !~ m{/schemas/};
		return schema($record, references => [ map { { name => 'x', subject => $_, version => -1 } } '../x', '..', 'a?b#c', "q'\"", "l\r\nX-Evil: 1", "caf\x{e9}" ]);
	},
	mute => sub { sleep 60; return '' },
	drip => sub { return without_end($_[0], "HTTP/1.1 200 OK\r\nX-Evil: ", 'x', 0.05) },
	drip_body => sub { return without_end($_[0], "HTTP/1.1 200 OK\r\n\r\n", ' ', 0.05) },
	again => sub { return without_end($_[0], '', "HTTP/1.1 100 Continue\r\n\r\n", 0.001) },
	header_lines => sub { return without_end($_[0], "HTTP/1.1 200 OK\r\n", "X-Evil: ${\('x' x 200)}\r\n") },
	header_line => sub { return without_end($_[0], "HTTP/1.1 200 OK\r\nX-Evil: ", 'x' x 1000) },
	body => sub { return without_end($_[0], "HTTP/1.1 200 OK\r\n\r\n", 'x' x 1000) },
	chunk_endless => sub { return without_end($_[0], chunks('chunked', ''), "1\r\nx\r\n" x 1000) },
	early => sub { return '' },
);

my %ids = (top => '1e400', broken => '1.5', text => '"1"', twice => '1, "id": -99999999999');
$answers{"id_$_"} = whole(qq({"id": $ids{$_}})) foreach keys %ids;

$taker = StreamingEvilRegistry->new(sub { print { $_[0] } whole('{}') });
$evil = StreamingEvilRegistry->new(sub {
	my ($client, $mode, $path) = @_;
	my $answer = $answers{$mode} // '';

	$answer = import_answer($path) if $mode eq 'import';
	print $client ref $answer ? $answer->(@_) : $answer;
});
my $cut = StreamingEvilRegistry->new(sub { my ($client) = @_; $client->sysread(my $hello, 100); print $client "\x16\x03\x03\x00\x7a\x02\x00"; }, raw => 1);
my $garbage = StreamingEvilRegistry->new(sub { my ($client) = @_; $client->sysread(my $hello, 100); print $client "\xff" x 10_000; }, raw => 1);
my $stuck = StreamingEvilRegistry->new(sub { my ($client) = @_; $client->sysread(my $hello, 100); sleep 60; }, raw => 1);

# --- streams --------------------------------------------------------------------

sub sql { return $node->safe_psql('postgres', $_[0]) }

my $shown = '';

# All that psql says, and what it says of the session's memory.
sub answer
{
	my ($out, $err) = ('', '');
	my $statement = $_[0];

	eval {
		$node->psql('postgres', "\\set VERBOSITY verbose\n$statement;\nSELECT 'peak ' || (regexp_match(pg_read_file('/proc/self/status'), 'VmHWM:\\s+(\\d+)'))[1]",
			stdout => \$out, stderr => \$err, on_error_stop => 0, timeout => 170);
	};
	$shown .= $err;
	return "$out\n$err";
}

my $topic = $kafka->create_topic('registry_evil', 1);
$kafka->produce_bytes($topic, 0, [ pack('CN', 0, 7) . "\x02" ]);

sub make
{
	my ($name, $url, $more) = @_;

	return <<SQL;
CREATE SERVER $name FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options}, schema_registry '$url'${\($more // '')});
CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (schema_registry_username 'app', schema_registry_password '$secret');
CREATE FOREIGN TABLE $name (a int) SERVER $name OPTIONS (topic '$topic', format 'avro', on_error 'stop');
SQL
}

sql(join '', map { make($_, $evil->address($_)) } sort keys %answers);
sql(<<'SQL');
CREATE FOREIGN TABLE pushed (k int, n int) SERVER streaming;
CREATE VIEW beside WITH (streaming.continuous) AS SELECT k, count(*) FROM pushed GROUP BY k;
CREATE VIEW v_drip_body WITH (streaming.continuous) AS SELECT a FROM drip_body;
CREATE VIEW v_deep WITH (streaming.continuous) AS SELECT a FROM deep;
SQL
is(sql('SELECT a FROM honest'), 1, 'it can behave, too');

# --- answers that end --------------------------------------------------------------

my %known = (
	redirect_file => qr/status 302/, redirect_host => qr/status 302/, redirect_loop => qr/status 302/,
	zip_transfer => qr/longer than 4194304 bytes|Unsolicited Transfer-Encoding/, body => qr/longer than 4194304 bytes/,
	echo => qr/status 401, and an answer that repeats the password/, echo_plain => qr/repeats the password/,
	chain => qr/refers to more than 100 others/, large => qr/refers to others that are longer than 16777216 bytes/,
	type_odd => qr/is of type \?\]0;x\?y{50,100}\.\.\., not AVRO/, name_odd => qr/There is no type "\?\[31m\?x+\.\.\./,
	cycle => qr/There are two types "R"/);
my %rows = map { $_ => 1 } qw(honest twice);
my @endless = qw(mute drip drip_body again);
my %endless = map { $_ => 1 } @endless;
my $highest = 0;

foreach my $mode (sort grep { !$endless{$_} && !/^id_/ } keys %answers)
{
	my $said = answer("SELECT count(*), 'rows' FROM $mode");
	my ($peak) = $said =~ /^peak (\d+)$/m;

	$highest = $peak if ($peak // 0) > $highest;
	if ($said =~ /^1\|rows$/m)
	{
		ok($rows{$mode} || $mode =~ /^length_(?:short|huge)/ || $mode =~ /^(many|grows|subjects)/, "$mode: a row");
		next;
	}
	like($said, qr/ERROR:  (?!57014|XX)[0-9A-Z]{5}: \S.*\S/, "$mode: an error with a code and a message");
	like($said, qr/^HINT:  .*schema_registry/m, "$mode: and a hint") if $said =~ /ERROR:  HV00N/;
	like($said, $known{$mode}, "$mode: as it should be") if $known{$mode};
	cmp_ok(length $said, '<', 3000, "$mode: and short");
}
cmp_ok($highest, '<', 400_000, 'memory of sessions, in kB');
is(scalar(() = $taker->requests), 0, 'nothing is asked of whom a redirect names');
my %asked = map { m{^GET /subjects(/subjects/\S+)} ? ($1 => 1) : () } $evil->requests;
is(join(' ', sort keys %asked), join(' ', sort map { "/subjects/$_/versions/-1" } '..', '..%2Fx', 'a%3Fb%23c', 'caf%C3%A9', 'l%0D%0AX-Evil%3A%201', 'q%27%22'), 'subjects are names, and no paths');
unlike(join('', $evil->requests), qr/^X-Evil|^GET \S*[?#'"]/m, 'nor parts of a request');

# --- those that do not --------------------------------------------------------------

foreach my $mode (@endless)
{
	like(answer("SET statement_timeout = '300ms'; SELECT count(*) FROM $mode"), qr/57014: canceling statement due to statement timeout/, "$mode: can be interrupted");
}

# --- TLS --------------------------------------------------------------------------

my $tls = "$ENV{STREAMING_WORK}/evil_tls";
mkdir $tls;
my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "listen: $!";
my $tls_port = $probe->sockport;
close $probe;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=else\e[31mwhere' -addext subjectAltName=DNS:elsewhere"
	  . " -keyout $tls/key -out $tls/pem >/dev/null 2>&1") == 0 or die "openssl: $?";
my $openssl = fork // die "fork: $!";
if ($openssl == 0)
{
	chdir $tls;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', '/dev/null';
	open STDERR, '>', '/dev/null';
	exec 'openssl', 's_server', '-HTTP', '-accept', "127.0.0.1:$tls_port", '-key', 'key', '-cert', 'pem';
}
END { my $status = $?; if ($openssl) { kill 'TERM', $openssl; waitpid $openssl, 0; } $? = $status; }
my $ca = PostgreSQL::Test::Utils::slurp_file("$tls/pem");
wait_until(sub { IO::Socket::INET->new("127.0.0.1:$tls_port") });
sql(make('tls_unknown', "https://127.0.0.1:$tls_port") . make('tls_host', "https://127.0.0.1:$tls_port", ", schema_registry_ca_pem '$ca'")
	  . make('tls_plain', "http://127.0.0.1:$tls_port") . make('tls_none', 'https://127.0.0.1:' . $evil->port . '/honest')
	  . make('tls_cut', 'https://127.0.0.1:' . $cut->port) . make('tls_garbage', 'https://127.0.0.1:' . $garbage->port) . make('tls_stuck', 'https://127.0.0.1:' . $stuck->port, ", schema_registry_ca_pem '$ca'"));
foreach my $mode (qw(tls_unknown tls_host tls_plain tls_none tls_cut tls_garbage))
{
	my $said = answer("SET statement_timeout = '10s'; SELECT count(*) FROM $mode");

	like($said, qr/ERROR:  HV00N: could not get schema 7 from schema registry "http.*\nHINT:  /, "$mode: no answer");
}
like(answer("SET statement_timeout = '300ms'; SELECT count(*) FROM tls_stuck"), qr/57014/, 'a handshake can be interrupted');

# --- what a writer is told -----------------------------------------------------------

foreach my $mode (sort keys %ids)
{
	like(answer("INSERT INTO id_$mode VALUES (1)"), qr/ERROR:  HV00N: could not get the number of a schema .*\nHINT:  /, "a number that is none: $mode");
}

# --- import ------------------------------------------------------------------------

sub import_answer
{
	my ($path) = @_;
	my @names = ('a"; DROP TABLE victim; --', q(b', x 'y), "c\\", 'ctid', 'x' x 5000, 'x' x 5001, "n\nl", "e\e[31m", '', "\x{e4}" x 100, '$1', 'd.e', map { "f$_" } 1 .. 2000);

	return schema($json->encode({ type => 'record', name => "r\"'", fields => [ map { { name => $_, type => 'int' } } @names ] })) if $path =~ /-value/;
	return schema($json->encode({ type => 'record', name => 'k', fields => [ map { { name => $_, type => 'string' } } 'k"', "k'); DROP TABLE victim; --" ] }));
}

sql("CREATE TABLE victim (a int); CREATE SCHEMA found; CREATE SERVER import FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options}, schema_registry '${\$evil->address('import')}')");
my $said = answer(qq(SET statement_timeout = '20s'; IMPORT FOREIGN SCHEMA topics LIMIT TO ("$topic") FROM SERVER import INTO found));
unlike($said, qr/ERROR/, 'names that look like SQL are imported') or diag $said;
is(sql(q(SELECT relname FROM pg_class WHERE relname = 'victim')), 'victim', 'and are only names');
is(sql(q(SELECT count(*) FROM pg_attribute WHERE attrelid = (SELECT ftrelid FROM pg_foreign_table WHERE ftserver = (SELECT oid FROM pg_foreign_server WHERE srvname = 'import')) AND attnum > 0)), 1000, 'of columns, as many as a table may have');
like(answer(qq(IMPORT FOREIGN SCHEMA topics LIMIT TO ("$topic") FROM SERVER $_ INTO found)), qr/ERROR:  HV00N|WARNING/, "import from $_") foreach qw(noise deep echo many_more);

# --- everybody else --------------------------------------------------------------------

sql('INSERT INTO pushed SELECT g % 7, g FROM generate_series(1, 700) g');
drain($node, 'beside');
is(sql('SELECT count(*) FROM beside'), 7, 'other streams go on');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'deep'::regclass), qr/could not get schema 7/), 'a stream tells of nonsense');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'drip_body'::regclass), qr/timed out/i), 'and of what never ends');
like(answer("SET statement_timeout = '10s'; DROP SERVER drip_body CASCADE"), qr/drop cascades/, 'its worker can be interrupted');

$node->stop('fast');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/terminated by signal|PANIC/, 'no process has died of a signal');
# Statements are logged as they were written.
unlike($log =~ s/^.*?(?:STATEMENT|CONTEXT|QUERY):.*\n(?:\t.*\n)*//mgr, qr/[\x00-\x08\x0b-\x1f\x7f]/, 'the log is text');
unlike($shown . $log =~ s/^.*?STATEMENT:.*\n(?:\t.*\n)*//mgr, qr/\Q$secret\E|\Q$encoded\E/, 'the password is not shown');

done_testing();
