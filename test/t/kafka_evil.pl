# Brokers that misbehave (test/kafka/evil_broker): whoever may make a server can be
# one. Nobody else notices.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use IPC::Open2;
use Test::More;

# Newer versions of librdkafka die of other things, which are none of PostgreSQL's versions.
plan skip_all => 'librdkafka has been given enough already' if $ENV{STREAMING_TEST_QUICK};
plan skip_all => 'there is no Python to play a broker' if system('python3 -c "" 2>/dev/null');

# What librdkafka 2.0.2 dies of: batches that hold nothing when they are
# decompressed, memory that there is not, names that are NULL.
my @deadly = qw(lz4_skip snappy_java_many broker_null topic_null);
my @endless = qw(mute drip_all silent_later short noise partitions_sparse size_gigabyte fetch_throttle);
my @modes = (qw(honest back base_top bounds_negative offsets_none headers_many headers_same headers_bytes time_top broker_bytes topic_bytes topic_many committed_top produce_error),
	@deadly, @endless);
my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.connect_timeout = 5s');

sub sql { return $node->safe_psql('postgres', $_[0]) }

# All that psql says.
sub answer
{
	my ($out, $err) = ('', '');

	eval { $node->psql('postgres', $_[0], stdout => \$out, stderr => \$err) };
	return $err eq '' ? $out : "$out$err";
}

# Likewise, of a broker that does answer, sooner or later.
sub patient_answer { return answer("SET streaming.connect_timeout = '$deadline s'; $_[0]") }

my $broker = open2(my $from, my $to, StreamingKafka->tool('evil_broker'), @modes);
foreach my $mode (@modes)
{
	chomp(my $port = <$from>);
	sql(<<SQL);
CREATE SERVER $mode FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '127.0.0.1:$port');
CREATE FOREIGN TABLE $mode (k text, n int, off bigint OPTIONS (metadata 'offset'), at timestamptz OPTIONS (metadata 'timestamp'), h jsonb OPTIONS (metadata 'headers'))
	SERVER $mode OPTIONS (topic 'evil');
SQL
}
sql(<<SQL);
CREATE FOREIGN TABLE pushed (k int, n int) SERVER streaming;
CREATE TABLE truth (k int, n int);
CREATE VIEW beside WITH (streaming.continuous) AS SELECT k, count(*), sum(n) FROM pushed GROUP BY k;
CREATE VIEW v_honest WITH (streaming.continuous) AS SELECT n, off FROM honest;
SQL
my $pushed = 0;

# Beside everything else rows come and are counted.
sub push_rows
{
	$pushed++;
	sql("WITH r AS (INSERT INTO truth SELECT g % 7, $pushed FROM generate_series(1, 100) g RETURNING *) INSERT INTO pushed SELECT * FROM r");
}

push_rows();
drain($node, 'v_honest');
is(sql('SELECT count(*), sum(n) FROM v_honest'), '20|90', 'the broker can behave, too');

# Offsets that cannot be.
like(patient_answer('SELECT count(*) FROM back'), qr/has a message with offset 4 where 6 or more was expected/, 'offsets that go back');
like(answer('SELECT count(*) FROM base_top'), qr/offset 9223372036854775807 where|could not read stream/, 'the last offset that there is');
like(answer('SELECT count(*) FROM bounds_negative'), qr/the broker told no offset|Timed out/, 'offsets that are negative');
like(answer('SELECT count(*) FROM offsets_none'), qr/the broker told no offset|Timed out/, 'offsets that are not told');
sql('CREATE VIEW v_back WITH (streaming.continuous) AS SELECT n, off FROM back');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'back'::regclass), qr/offset 4 where 6/), 'the stream tells it');
is(sql('SELECT count(*) FROM v_back'), 0, 'and takes nothing of it');
unlike(patient_answer('SELECT count(at) FROM time_top'), qr/server closed/, 'times that cannot be');

# So it is where the topics are found by their names.
my %found = (back => qr/topic "evil" has a message with offset 4 where 6 or more was expected/, base_top => qr/offset 9223372036854775807 where|could not read stream/,
	offsets_none => qr/the broker told no offset|Timed out/, topic_many => qr/^20$/);
foreach my $mode (sort keys %found)
{
	sql("CREATE FOREIGN TABLE p_$mode (k text, n int) SERVER $mode OPTIONS (topic '^evil\$')");
	like($mode =~ /base_top|offsets_none/ ? answer("SELECT count(*) FROM p_$mode") : patient_answer("SELECT count(*) FROM p_$mode"), $found{$mode}, "$mode of a pattern");
}

# Headers. A list of 100,000 takes no quadratic time.
push_rows();
is(patient_answer(q(SELECT count(*), min(h ->> 'h99999') FROM headers_many)), '2|v', 'headers without end');
is(patient_answer(q(SELECT count(*), min(jsonb_array_length(h -> 'h')) FROM headers_same)), '2|100000', 'of one name');
like(patient_answer('SELECT h FROM headers_bytes LIMIT 1'), qr/^\{"\\\\xff0a22|^\{"\\\\xff"/, 'that are no text');

# Names that are no text, in answers, views and the log.
my $answer = answer('SELECT count(*) FROM broker_bytes');
like($answer, qr/no answer from Kafka about topic "evil".*\?\?\?\?\[31m/s, 'a host of any bytes');
unlike($answer, qr/[^\n\x20-\x7e]/, 'shows none of them');
push_rows();
sql('CREATE VIEW v_bytes WITH (streaming.continuous) AS SELECT n FROM broker_bytes');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'broker_bytes'::regclass), qr/\?\?\?\?\[31m/), 'nor does its stream');
sql('CREATE SCHEMA found; SET client_min_messages = error; IMPORT FOREIGN SCHEMA topics FROM SERVER topic_bytes INTO found');
is(sql(q(SELECT string_agg(relname, ',') FROM pg_foreign_table JOIN pg_class ON oid = ftrelid WHERE relnamespace = 'found'::regnamespace)), 'nul', 'topics that Kafka could not have are none (librdkafka ends a name at a zero byte)');

# What librdkafka dies of. Its process ends, and nobody else's.
my ($checkpointer) = worker_pids($node, 'checkpointer');
foreach my $mode (@deadly)
{
	unlike(answer("SELECT count(*) FROM $mode"), qr/^\d+$/, "$mode: no answer");
	sql("CREATE VIEW v_$mode WITH (streaming.continuous) AS SELECT n FROM $mode");
}
push_rows();
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'lz4_skip'::regclass), qr/librdkafka has aborted|./), 'the stream tells it');
drain($node, 'beside');
is(sql('SELECT count(*) FROM v_honest'), 20, 'the server goes on');

# What never ends can be left.
foreach my $mode (@endless)
{
	sql("CREATE VIEW v_$mode WITH (streaming.continuous) AS SELECT n FROM $mode");
	like(answer("SET statement_timeout = '300ms'; SELECT count(*) FROM $mode"), qr/canceling statement due to statement timeout/, "$mode: a SELECT can be cancelled");
}
push_rows();
sql("SET client_min_messages = error; DROP SERVER $_ CASCADE") foreach @endless[0 .. 3];

# A sink.
sql(q(INSERT INTO produce_error (k, n) VALUES ('a', 1)));
sql(q(INSERT INTO committed_top (k, n) VALUES ('a', 1)));
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_sinks WHERE stream = 'committed_top'::regclass), qr/has deliveries that this database has not made/), 'a sink whose broker knows better stops');
ok(wait_for($node, q(SELECT last_error <> '' FROM streaming.stat_sinks WHERE stream = 'produce_error'::regclass)), 'one that is told nonsense says so');

push_rows();
drain($node, 'beside');
same_as_batch($node, 'beside', 'SELECT k, count(*), sum(n) FROM truth GROUP BY k', 'other streams have lost nothing');
is((worker_pids($node, 'checkpointer'))[0], $checkpointer, 'the server was never restarted');
$node->stop('fast');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/terminated by signal|PANIC/, 'no process has died of a signal');
unlike($log, qr/[\x00-\x08\x0b-\x1f\x7f-\xff]/, 'the log is text');
cmp_ok(length $log, '<', 1_000_000, 'and short');

close $to;
waitpid $broker, 0;
done_testing();
