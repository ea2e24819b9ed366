# kill -9 of the server at each step of a delivery of files, and at random
# moments: a reader that takes files away gets each result once.

use strict;
use warnings;

use StreamingLoad;
use StreamingTaker;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $node = new_node('main', 'streaming.retry_max = 200ms');
my $base = $node->basedir . '/out';
mkdir $base;
mkdir "$base/$_" foreach qw(taken whole avro);

$node->safe_psql('postgres', <<SQL);
CREATE SERVER there FOREIGN DATA WRAPPER directory OPTIONS (path '$base');
CREATE FOREIGN TABLE pushed (tx bigint, k int, v int) SERVER streaming;
CREATE TABLE mirror (tx bigint, k int, v int);
CREATE TABLE inserted (tx bigint, k int, v int);
CREATE FOREIGN TABLE taken (tx bigint, k int, v int) SERVER there
	OPTIONS (path 'taken/*.csv', format 'csv', file_interval '20 ms', file_max_rows '7');
CREATE FOREIGN TABLE avro (tx bigint, k int, v int) SERVER there
	OPTIONS (path 'avro/*.avro', format 'avro', avro_codec 'snappy', file_interval '20 ms', file_max_rows '7');
CREATE FOREIGN TABLE whole (k int, n bigint, sum bigint) SERVER there OPTIONS (path 'whole/result.json');
CREATE VIEW all_rows WITH (streaming.sink = 'taken') AS SELECT tx, k, v FROM pushed;
CREATE VIEW all_avro WITH (streaming.sink = 'avro') AS SELECT tx, k, v FROM pushed;
CREATE VIEW per_k WITH (streaming.sink = 'whole', streaming.output_mode = 'complete') AS
	SELECT k, count(*) AS n, sum(v) FROM pushed GROUP BY k;
SQL

my $taker = StreamingTaker->new("$base/taken");

# What has been taken is the batch answer, both ways.
sub compare
{
	my ($test) = @_;

	drain($node, $_) foreach qw(all_rows all_avro per_k);
	# It looks all the while, but may not have come to the last ones.
	ok(wait_until(sub { !(() = glob "$base/taken/*") }), 'the reader has taken all');
	my $lines = join '', map { "$_\n" } $taker->lines;
	$node->safe_psql('postgres', "BEGIN; TRUNCATE inserted; COPY inserted FROM stdin (FORMAT csv);\n$lines\\.\nCOMMIT;");
	same_as_batch($node, 'inserted', 'SELECT tx, k, v FROM mirror', "$test: each row once");
	same_as_batch($node, 'avro', 'SELECT tx, k, v FROM mirror', "$test: also in Avro");
	same_as_batch($node, 'whole', 'SELECT k, count(*) AS n, sum(v) FROM mirror GROUP BY k', "$test: the result is whole");
	return;
}

sub push_rows
{
	my ($rows) = @_;

	my $values = join ', ', map { sprintf '(0, %d, %d)', $_ % 5, int rand 1000 } 1 .. $rows;
	$node->safe_psql('postgres', "BEGIN; INSERT INTO pushed VALUES $values; INSERT INTO mirror VALUES $values; COMMIT");
	return;
}

push_rows(20);
compare('before any kill');

# 20 rows are three files: the server stops after the first is renamed, too.
foreach my $point (qw(delivery_intended delivery_begun delivery_written delivery_prepared delivery_file_renamed delivery_committed))
{
	my $log = -s $node->logfile;

	$node->append_conf('postgresql.conf', "streaming.stop_point = '$point'");
	$node->reload;
	push_rows(20);
	ok($node->wait_for_log(qr/waiting at stop point "$point"/, $log), "a delivery stops at $point");
	kill9_postmaster($node);
	no_survivors($node);
	$node->append_conf('postgresql.conf', "streaming.stop_point = ''");
	$node->start;
	push_rows(3);
	compare("killed at $point");
}

# By chance, with sessions that write all the while.
my $load = StreamingLoad->sessions($node, 2);
foreach my $round (1 .. rounds(10))
{
	$load->wait_for_more(5);
	sleep rand 0.1;
	kill9($node, $round % 3 ? 'postmaster' : 'streaming delivery');
}
$load->wait_for_more(5);
$load->stop;
$load->acknowledged_are_there($node, 'mirror');
compare('killed at random');

$taker->stop;
is(join("\n", $taker->problems), '', 'no file was seen that was not whole');
is(join(' ', map { m{([^/]*)$} } glob "$base/taken/.streaming* $base/whole/.streaming*"), '', 'no hidden file is left');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status <> 'running' OR last_error <> ''), '0'), 'no view is in trouble');

$node->stop;
done_testing();
