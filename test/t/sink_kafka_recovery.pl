# Exactly once: whatever is killed, and wherever a delivery stands at that
# moment, a consumer of committed messages sees each result once.
#
# Takes long.

use strict;
use warnings;

use PostgreSQL::Test::Utils ();
use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->new;
my $node = new_node('main', 'streaming.retry_max = 1s');
my ($source, $target) = map { $kafka->create_topic($_, 2) } qw(source target);
my @expected;

$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}', transaction_timeout_ms '10000');
CREATE FOREIGN TABLE source (id int) SERVER broker OPTIONS (topic '$source');
CREATE FOREIGN TABLE target (id int, s text) SERVER broker OPTIONS (topic '$target');
CREATE VIEW copies WITH (streaming.sink = 'target') AS SELECT id, 'view' AS s FROM source;
SQL

sub stop_at
{
	my ($n, $point) = @_;

	$n->append_conf('postgresql.conf', "streaming.stop_point = '$point'");
	return;
}

sub waits_at
{
	my ($point, $offset) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok(
		wait_until(sub { PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset) =~ /waiting at stop point "$point"/ }),
		"a delivery waits at $point");
}

# Lets the delivery worker go to the stop point; returns when it waits there.
sub arrive_at
{
	my ($point, $code) = @_;
	my $offset = -s $node->logfile;

	stop_at($node, $point);
	$node->reload;
	wait_for($node, 'SHOW streaming.stop_point', $point) or die 'no reload';
	$code->();
	return waits_at($point, $offset);
}

# New results, by INSERT and through the view.
sub add_results
{
	my ($from, $n) = @_;
	my $to = $from + $n - 1;

	$node->safe_psql('postgres', "INSERT INTO target SELECT i, 'insert' FROM generate_series($from, $to) i");
	$kafka->produce($source, $_ % 2, [ qq({"id": $_}) ]) foreach ($from .. $to);
	push @expected, map { ("$_ insert", "$_ view") } ($from .. $to);
	return;
}

sub delivered
{
	my @results = sort map { join ' ', $_->[3] =~ /"id":(\d+),"s":"(\w+)"/ } $kafka->consume($target);

	return @results;
}

sub exactly_once
{
	my ($test) = @_;

	drain($node, 'copies');
	wait_for($node, 'SELECT count(*) FROM streaming_internal.outbox', '0') or diag('the outbox is not empty');
	# A transaction that nobody ends any more holds up readers until its timeout.
	wait_until(sub { delivered() >= @expected });
	return is(join("\n", delivered()), join("\n", sort @expected), $test);
}

# The worker that waits at a stop point dies there and then, with all the rest; before the
# postmaster, whose end would wake it, and might find it with a lock that others wait for.
sub kill9_all
{
	my ($worker) = worker_pids($node, 'streaming delivery');
	my $postmaster = $node->safe_psql('postgres', 'SELECT split_part(pg_read_file(\'postmaster.pid\'), E\'\\n\', 1)');

	kill 'KILL', $worker, $postmaster;
	kill9_postmaster($node);
	no_survivors($node);
	return;
}

add_results(1, 5);
exactly_once('results arrive');

my $id = 100;
foreach my $point (qw(intended begun written prepared committed settled))
{
	arrive_at("delivery_$point", sub { add_results($id, 5) });
	kill9_all();
	stop_at($node, '');
	$node->start;
	exactly_once("a crash at $point");
	$id += 100;
}

# A crash while another crash is being recovered from.
arrive_at('delivery_prepared', sub { add_results($id, 5) });
kill9_all();
stop_at($node, 'delivery_written');
my $log = -s $node->logfile;
$node->start;
waits_at('delivery_written', $log);
kill9_all();
stop_at($node, '');
$node->start;
exactly_once('two crashes');
$id += 100;

# The worker alone dies.
arrive_at('delivery_written', sub { add_results($id, 5) });
stop_at($node, '');
kill9_worker($node, 'streaming delivery');
$node->reload;
exactly_once('a crash of the worker');
$id += 100;

# The broker dies in the middle of a transaction, and comes back at once, or late.
foreach my $late (0, 1)
{
	arrive_at('delivery_written', sub { add_results($id, 5) });
	$kafka->kill9;
	$kafka->start unless $late;
	stop_at($node, '');
	$node->reload;
	if ($late)
	{
		ok(wait_for($node, q(SELECT status FROM streaming.stat_sinks), 'retrying'), 'an outage is shown');
		$kafka->start;
	}
	exactly_once('the broker was killed in a transaction' . ($late ? ' and came back late' : ''));
	$id += 100;
}

# What is written after the stream has moved goes where it is then, though a
# delivery to where it was is under way.
my $moved = $kafka->create_topic('moved', 1);
arrive_at('delivery_committed', sub { $node->safe_psql('postgres', "INSERT INTO target VALUES ($id, 'before')") });
push @expected, "$id before";
$node->safe_psql('postgres', "ALTER FOREIGN TABLE target OPTIONS (SET topic '$moved'); INSERT INTO target VALUES ($id, 'after')");
stop_at($node, '');
$node->reload;
ok(wait_until(sub { my @messages = $kafka->consume($moved); @messages == 1 }), 'it is delivered there');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE target OPTIONS (SET topic '$target')");
exactly_once('and what was written before is here');
$id += 100;

# Whether a delivery has happened cannot be known.
arrive_at('delivery_prepared', sub { add_results($id, 5) });
kill9_all();
stop_at($node, 'delivery_opening');
$node->start;
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE target OPTIONS (ADD transactional_id 'other')));
stop_at($node, '');
$node->reload;
ok(wait_for($node, q(SELECT status || ' ' || last_error FROM streaming.stat_sinks), qr/^failed .*not known any more.*offsets\.retention\.minutes/s),
	'a lost offset is told, and nothing is sent');
unlike(join("\n", delivered()), qr/^$id /m, 'and nothing is sent');
$node->safe_psql('postgres', q(SELECT streaming.restart_delivery('target', true)));
exactly_once('and the user decides');
$id += 100;

# A second server with a copy of the data.
$node->stop;
$node->backup_fs_cold('copy');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'copy');
$node->start;
exactly_once('the server goes on');
$copy->start;
$copy->safe_psql('postgres', 'DROP VIEW copies');
$copy->safe_psql('postgres', "INSERT INTO target SELECT i, 'copy' FROM generate_series($id, $id + 4) i");
push @expected, map { "$_ copy" } ($id .. $id + 4);
ok(wait_until(sub { grep { /^$id copy/ } delivered() }), 'a copy of the server takes over');
$id += 100;
add_results($id, 5);
ok(wait_for($node, q(SELECT status || ' ' || last_error FROM streaming.stat_sinks), qr/^(failed|retrying) .*(another server|another producer|deliveries that this database has not made)/si),
	'the first one is fenced');
ok(wait_for($node, q(SELECT status || ' ' || last_error FROM streaming.stat_sinks), qr/^failed .*deliveries that this database has not made.*restart_delivery/s),
	'and says what to do');
is(scalar(grep { /^$id / } delivered()), 0, 'what it has is not sent');
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE target OPTIONS (DROP transactional_id); SELECT streaming.restart_delivery('target', true)));
exactly_once('until it goes on under another name');
$copy->safe_psql('postgres', "INSERT INTO target VALUES (1, 'late')");
push @expected, '1 late';
ok(wait_until(sub { grep { /late/ } delivered() }), 'both go on');
exactly_once('and nothing is sent twice');

# A database made of another one delivers nothing in its name.
$node->safe_psql('postgres', 'DROP VIEW copies');
arrive_at('delivery_intended', sub { $node->safe_psql('postgres', "INSERT INTO target VALUES (2, 'template')") });
$node->safe_psql('template1', 'CREATE DATABASE clone TEMPLATE postgres');
stop_at($node, '');
$node->reload;
push @expected, '2 template';
ok(wait_until(sub { grep { /template/ } delivered() }), 'the original delivers');
$node->safe_psql('clone', "INSERT INTO target VALUES (3, 'clone')");
push @expected, '3 clone';
ok(wait_until(sub { grep { /clone/ } delivered() }), 'so does the clone');
is(join("\n", delivered()), join("\n", sort @expected), 'each its own');

$copy->stop;
$node->stop;
done_testing();
