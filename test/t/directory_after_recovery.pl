# Files that are archived and deleted while everything is killed: each row is in every
# view once, and every file has gone.  Commits that nobody waits for are lost with the
# server, checkpoints among them.
#
# Takes long.

use strict;
use warnings;

use StreamingLoad;
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep);

random_seed();

my $node = new_node('main', 'streaming.retry_max = 1s', 'streaming.scan_interval = 200ms',
	'synchronous_commit = off', 'wal_writer_delay = 10s');
my $base = $node->basedir;
my %batch = (
	per_k    => 'SELECT k, count(*) AS n, sum(v) FROM kept GROUP BY k',
	all_rows => 'SELECT k, v, s FROM kept',
	slow     => 'SELECT count(*) AS n, sum(v) FROM kept',
);

mkdir "$base/$_" foreach qw(landing landing/arc landing/del);
$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$base/landing');
CREATE FOREIGN TABLE arc (k int, v int, s text) SERVER landing OPTIONS (path 'arc/*.json', after 'archive', archive_path 'old');
CREATE FOREIGN TABLE del (k int, v int, s text) SERVER landing OPTIONS (path 'del/*.json', after 'delete');
CREATE FOREIGN TABLE kept (k int, v int, s text) SERVER landing OPTIONS (path 'old/arc/*.json');
CREATE VIEW per_k WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM arc GROUP BY k;
CREATE VIEW all_rows WITH (streaming.continuous) AS SELECT k, v, s FROM arc;
CREATE VIEW slow WITH (streaming.trigger = '300 ms', streaming.max_files_per_trigger = 7) AS SELECT count(*) AS n, sum(v) FROM arc;
CREATE VIEW deleted WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM del GROUP BY k;
CREATE VIEW deleted_slowly WITH (streaming.trigger = '300 ms', streaming.max_files_per_trigger = 7) AS SELECT count(*) AS n, sum(v) FROM del;
SQL

my %load = map { $_ => StreamingLoad->files("$base/landing/$_") } qw(arc del);

sub stop_at
{
	$node->append_conf('postgresql.conf', "streaming.stop_point = '$_[0]'");
	return;
}

foreach my $point (qw(file_aside file_gone))
{
	my $log = -s $node->logfile;

	stop_at($point);
	$node->reload;
	ok($node->wait_for_log(qr/waiting at stop point "$point"/, $log), "a file is at $point");
	kill9_postmaster($node);
	no_survivors($node);
	stop_at('');
	$node->start;
	$_->wait_for_more(5) foreach values %load;
}
foreach my $round (1 .. rounds(5))
{
	foreach my $victim ('postmaster', 'streaming ingest', 'streaming query')
	{
		$_->wait_for_more(5) foreach values %load;
		sleep rand 0.3;
		kill9($node, $victim);
	}
}
$_->wait_for_more(5) foreach values %load;
$_->stop foreach values %load;

drain($node, $_) foreach sort(keys %batch), 'deleted', 'deleted_slowly';
ok(wait_until(sub { !(() = glob "$base/landing/{arc,del}/{*.json,.taken*}") }), 'every file has gone')
  or diag(join ' ', map { substr $_, length $base } glob "$base/landing/{arc,del}/{*.json,.taken*}");
same_as_batch($node, $_, $batch{$_}, "$_ has what is in the archive") foreach sort keys %batch;
is($node->safe_psql('postgres', 'SELECT sum(n), sum(sum) FROM per_k'), join('|', $load{arc}->written), 'and that is what was written');
is($node->safe_psql('postgres', 'SELECT sum(n), sum(sum) FROM deleted'), join('|', $load{del}->written), 'what was deleted was taken once');
is($node->safe_psql('postgres', 'SELECT sum(n), sum(sum) FROM deleted_slowly'), join('|', $load{del}->written), 'by the slow view, too');
is(join(' ', glob "$base/landing/old/arc/*.json.[0-9]*"), '', 'no file was archived twice');
ok(wait_for($node, q(SELECT max(n) FROM (SELECT count(*) AS n FROM streaming.files WHERE stream IN ('arc'::regclass, 'del'::regclass) GROUP BY stream) AS f), 1), 'their rows have gone, too');
ok(wait_for($node, q(SELECT count(*) FROM streaming.views WHERE status <> 'running' OR last_error <> ''), '0'), 'no view is in trouble');

$node->stop;
done_testing();
