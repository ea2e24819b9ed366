
=head1 NAME

StreamingTest - servers with streaming, and what its tests ask of them

=head1 SYNOPSIS

  use StreamingTest;
  use Test::More;

  my $node = new_node('main', 'log_min_messages = debug1');
  $node->safe_psql('postgres', 'CREATE FOREIGN TABLE ...; CREATE VIEW v WITH ...');
  drain($node, 'v');
  same_as_batch($node, 'v', 'SELECT k, count(*) FROM s GROUP BY k');
  kill9($node, $_) foreach 'streaming query', 'postmaster';
  wait_for($node, "SELECT status FROM streaming.views", 'running') or ...;
  done_testing();

A node is a PostgreSQL::Test::Cluster and can do all that such a node can. All
here work in its database postgres unless said otherwise. Nothing sleeps for a
guessed time: what waits, waits for a condition, until $deadline seconds
(STREAMING_TEST_DEADLINE, 60) have passed.

=cut

package StreamingTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  new_node wait_for wait_until drain same_as_batch
  kill9 kill9_postmaster no_survivors server_pids kill9_worker terminate_worker
  worker_pids cpu_seconds put_file random_seed rounds with_setting scans_logged $deadline
);

our $deadline = $ENV{STREAMING_TEST_DEADLINE} || 60;

=head2 new_node(NAME, SETTINGS...)

A running server that has preloaded streaming and has the extension. Settings
are lines of postgresql.conf.

=cut

sub new_node
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	# The test module's defaults are for speed and for core's own tests: here
	# a crash must be survived, and come back from, as in production.
	$node->append_conf('postgresql.conf',
		join "\n", 'fsync = on', 'restart_after_crash = on',
		'log_statement = none', 'max_connections = 50',
		PostgreSQL::Test::Utils::slurp_file($ENV{STREAMING_CONF}),
		@settings, '');
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION streaming');
	return $node;
}

=head2 with_setting(NODE, SETTING)

From now on a line more of postgresql.conf holds, which it reads again.

=cut

sub with_setting
{
	my ($node, $setting) = @_;

	$node->append_conf('postgresql.conf', $setting);
	$node->reload;
	return;
}

=head2 scans_logged(NODE, NAME)

How many custom scans of that name the plans in the log have, since the call before.

=cut

my %logged;

sub scans_logged
{
	my ($node, $name) = @_;
	my $from = $logged{ $node->logfile } // 0;
	my $count = () = substr(PostgreSQL::Test::Utils::slurp_file($node->logfile), $from) =~ /Custom Scan \(\Q$name\E\)/g;

	$logged{ $node->logfile } = -s $node->logfile;
	return $count;
}

=head2 wait_until(CODE)

Calls CODE until it returns a true value, and returns that; undef where it did
not within the deadline. The longer it takes the rarer are the calls, ten a second in
the end: other tests want the processor, too.

=cut

sub wait_until
{
	my ($code) = @_;
	my $end = time + $deadline;
	my $pause = 0.02;

	while (1)
	{
		my $result = $code->();
		return $result if $result;
		return undef if time > $end;
		sleep $pause;
		$pause *= 1.05 if $pause < 0.1;
	}
}

=head2 wait_for(NODE, SQL, EXPECTED)

Runs SQL until what psql -At prints is EXPECTED ('t' where none is given), or
matches it where it is a qr//. A server that is not there, or an error, is a
reason to try again. False, with the last answer as a diagnostic, where that
did not happen within the deadline.

=cut

sub wait_for
{
	my ($node, $sql, $expected) = @_;
	my ($out, $err) = ('', '');

	$expected = 't' unless defined $expected;
	my $pattern = ref $expected eq 'Regexp' ? $expected : qr/\A\Q$expected\E\z/;
	return 1 if wait_until(
		sub {
			# psql that ends before it has read its input is an exception.
			eval { $node->psql('postgres', $sql, stdout => \$out, stderr => \$err); 1 }
			  or return 0;
			return $err eq '' && $out =~ $pattern;
		});
	diag("waited $deadline s for: $sql\nexpected: $expected\nlast answer: $out\nlast error: $err");
	return 0;
}

=head2 drain(NODE, VIEW)

streaming.drain within the deadline; dies with the error where it fails.

=cut

sub drain
{
	my ($node, $view) = @_;

	return $node->safe_psql('postgres', "SELECT streaming.drain('$view', '$deadline seconds')");
}

=head2 same_as_batch(NODE, VIEW, QUERY, TEST_NAME)

A test that VIEW, a name or a query in parentheses, shows exactly the rows of
QUERY, compared both ways with EXCEPT ALL in one snapshot. Drain first.

=cut

sub same_as_batch
{
	my ($node, $view, $query, $test_name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$view = "(SELECT * FROM $view)" unless $view =~ /^\s*\(/;
	my ($out, $err);
	$node->psql('postgres', <<SQL, stdout => \$out, stderr => \$err);
WITH shown AS MATERIALIZED $view,
	batch AS MATERIALIZED ($query),
	missing AS (SELECT * FROM batch EXCEPT ALL SELECT * FROM shown),
	extra AS (SELECT * FROM shown EXCEPT ALL SELECT * FROM batch)
(SELECT 'missing: ' || missing FROM missing LIMIT 10)
UNION ALL
(SELECT 'extra: ' || extra FROM extra LIMIT 10)
SQL
	return is("$out$err", '', $test_name || "$view is the batch answer");
}

=head2 server_pids(NODE)

All processes of the node's data directory, which is where each of them works,
whether their postmaster lives or not.

=cut

sub server_pids
{
	my ($node) = @_;
	my $data = $node->data_dir;

	return map { m{/proc/(\d+)/cwd} }
	  grep { my $cwd = readlink $_; defined $cwd && $cwd eq $data } glob '/proc/[0-9]*/cwd';
}

=head2 kill9_postmaster(NODE)

SIGKILL to the postmaster alone. Then no_survivors, then $node->start.

=cut

sub kill9_postmaster
{
	my ($node) = @_;

	my $pid = $node->{_pid};

	$node->kill9;
	# A server does not start while this process can be signalled, and that is
	# until init has taken note of its end.
	wait_until(sub { !kill 0, $pid }) or die "postmaster $pid does not go away";
	return;
}

=head2 no_survivors(NODE, SECONDS)

A test that no process of the data directory is left within SECONDS (10).
Survivors are named, and killed, so that the next start tells its own story.

=cut

sub no_survivors
{
	my ($node, $seconds) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $deadline = $seconds || 10;

	my $none = wait_until(sub { !server_pids($node) });
	foreach my $pid (server_pids($node))
	{
		my $title = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/cmdline");
		$title =~ s/\0+/ /g;
		diag("survived its postmaster: $pid $title");
		kill 'KILL', $pid;
	}
	return ok($none, 'no process outlives its postmaster');
}

=head2 worker_pids(NODE, PATTERN)

The pids of the processes whose backend_type is LIKE PATTERN: 'streaming
launcher', 'streaming coordinator', 'streaming ingest', 'streaming query'.

=cut

sub worker_pids
{
	my ($node, $pattern) = @_;

	return split /\n/, $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type LIKE '$pattern'");
}

=head2 kill9_worker(NODE, PATTERN)

SIGKILL to one such process, taken by chance, upon which the postmaster
restarts all others. Returns when the server is back: its pid, or undef where
there was no such process.

=cut

sub kill9_worker
{
	my ($node, $pattern) = @_;
	my @pids = worker_pids($node, $pattern) or return undef;
	my $pid = $pids[ rand @pids ];
	# The checkpointer is replaced only in the course of a crash restart.
	my ($checkpointer) = worker_pids($node, 'checkpointer');

	kill 'KILL', $pid;
	wait_for($node, "SELECT pid <> $checkpointer FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
	  or die 'the server did not come back';
	return $pid;
}

=head2 kill9(NODE, VICTIM)

SIGKILL to the 'postmaster', which leaves no survivors and is started again, or
to a process whose backend_type is LIKE the victim, as soon as there is one.

=cut

sub kill9
{
	my ($node, $victim) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	if ($victim eq 'postmaster')
	{
		kill9_postmaster($node);
		no_survivors($node);
		$node->start;
		return;
	}
	wait_until(sub { kill9_worker($node, $victim) }) or die "no process is a $victim";
	return;
}

=head2 terminate_worker(NODE, PATTERN)

SIGTERM to all such processes; returns their pids.

=cut

sub terminate_worker
{
	my ($node, $pattern) = @_;
	my @pids = worker_pids($node, $pattern);

	kill 'TERM', @pids;
	return @pids;
}

=head2 cpu_seconds(NODE)

Processor time that the server's processes that live now have used.

=cut

sub cpu_seconds
{
	my ($node) = @_;
	my $ticks = 0;

	foreach my $pid (server_pids($node))
	{
		my $stat = eval { PostgreSQL::Test::Utils::slurp_file("/proc/$pid/stat") } or next;
		# utime and stime; the command in parentheses may hold spaces.
		my @field = split / /, $stat =~ s/.*\) //sr;
		$ticks += $field[11] + $field[12];
	}
	return $ticks / 100;
}

=head2 put_file(DIRECTORY, NAME, CONTENT)

A new file that appears whole.

=cut

sub put_file
{
	my ($dir, $name, $content) = @_;

	open my $file, '>:raw', "$dir/.$name.part" or die "$dir/$name: $!";
	print $file $content;
	close $file or die "$dir/$name: $!";
	rename "$dir/.$name.part", "$dir/$name" or die "$dir/$name: $!";
	return;
}

=head2 random_seed()

Seeds rand with STREAMING_TEST_SEED or by chance, and says with what.

=cut

sub random_seed
{
	my $seed = $ENV{STREAMING_TEST_SEED} || int(rand(1_000_000_000)) + 1;

	srand $seed;
	diag("STREAMING_TEST_SEED=$seed");
	return $seed;
}

=head2 rounds(N)

How often to do what is done N times by chance: N, or a tenth of it with
STREAMING_TEST_QUICK, which is set where the same tests run again on another
version of the server.

=cut

sub rounds
{
	my ($n) = @_;

	return $ENV{STREAMING_TEST_QUICK} ? int(($n + 9) / 10) : $n;
}

1;
