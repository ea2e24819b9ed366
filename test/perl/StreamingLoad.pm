
=head1 NAME

StreamingLoad - writers that go on while a test kills what they write to

=head1 SYNOPSIS

  my $load = StreamingLoad->sessions($node, 4);    # pushed rows, and a mirror of them
  ... kill and start the server, as often as you like ...
  $load->stop;
  $load->acknowledged_are_there('mirror');

  my $load = StreamingLoad->files($directory);     # files of JSON lines
  my $load = StreamingLoad->messages($kafka, $topic, 4);
  $load->wait_for_more;                            # it has written since
  $load->stop;
  my ($rows, $sum) = $load->written;               # of all values "v"

Each writer is a process of its own. Sessions write the rows (tx bigint, k int,
v int) into the stream "pushed" and, in the same transaction, into the table
"mirror": by INSERT and by COPY, in transactions that commit, that roll back,
and that roll back to a savepoint. A transaction that was cut off by a kill is
in doubt, and the mirror tells what became of it.

=cut

package StreamingLoad;

use strict;
use warnings;

use File::Temp ();
use IPC::Open2;
use POSIX ();
use StreamingTest;
use Test::More;
use Time::HiRes qw(sleep time);

my @running;

# Forks a writer; step is called with the number of the call until stop, and
# returns lines for the journal.
sub _start
{
	my ($self, $step) = @_;
	my $n = @{ $self->{pids} };
	my $journal = "$self->{dir}/$n";

	open my $out, '>', $journal or die "$journal: $!";
	$out->autoflush(1);
	my $pid = fork;
	die "fork: $!" unless defined $pid;
	if ($pid == 0)
	{
		srand($$ ^ time);
		$SIG{PIPE} = 'IGNORE';
		# Lost connections are what it is for.
		open STDERR, '>', "$journal.err" or die "$journal.err: $!";
		my $count = 0;
		eval {
			until (-e "$self->{dir}/stop")
			{
				print $out map { "$_\n" } $step->(++$count, $n);
			}
			1;
		} or print $out "died $@\n";
		# Not exit: that would tear down what belongs to the parent.
		POSIX::_exit(0);
	}
	push @{ $self->{pids} }, $pid;
	return;
}

sub _new
{
	my ($class) = @_;
	my $self = bless {
		dir => File::Temp::tempdir('load_XXXX', DIR => $ENV{STREAMING_WORK}, CLEANUP => 1),
		pids => [] }, $class;

	push @running, $self;
	return $self;
}

sub _journal
{
	my ($self) = @_;
	my @lines;

	foreach my $n (0 .. $#{ $self->{pids} })
	{
		push @lines, split /\n/, PostgreSQL::Test::Utils::slurp_file("$self->{dir}/$n");
	}
	return @lines;
}

=head2 stop

Returns when each writer has finished what it was at.

=cut

sub stop
{
	my ($self) = @_;

	open my $file, '>', "$self->{dir}/stop" or die "stop: $!";
	close $file;
	waitpid $_, 0 foreach @{ $self->{pids} };
	@running = grep { $_ != $self } @running;
	foreach my $line (grep { /^died / } $self->_journal)
	{
		die "a writer has $line";
	}
	return;
}

=head2 wait_for_more(N)

Returns when at least N (1) more transactions, files or sets of messages have
been written than at the call.

=cut

sub wait_for_more
{
	my ($self, $n) = @_;
	my $goal = grep { /^done / } $self->_journal;

	$goal += $n || 1;
	wait_until(sub { $goal <= grep { /^done / } $self->_journal })
	  or die 'nothing is written any more';
	return;
}

=head2 sessions(NODE, N)

Starts N sessions; stream and mirror are there already.

=cut

sub sessions
{
	my ($class, $node, $sessions) = @_;
	my $self = $class->_new;
	my $connect = $node->connstr('postgres');

	foreach (1 .. $sessions)
	{
		my ($in, $out, $pid);
		$self->_start(
			sub {
				my ($count, $n) = @_;
				my $tx = ($n + 1) * 1_000_000 + $count;

				if (!$pid)
				{
					$pid = open2($out, $in, 'psql', '-XAt', '-d', $connect, '-c', 'SELECT 1', '-f', '-');
					if ((<$out> // '') ne "1\n")
					{
						close $in;
						close $out;
						waitpid $pid, 0;
						undef $pid;
						sleep 0.05;
						return;
					}
				}
				# Leave the servers some of the processor.
				sleep rand 0.01;
				my ($expected, $sql) = _transaction($tx);
				my $said = '';

				print $in "$sql\\echo end $tx\n";
				$in->flush;
				while (defined(my $line = <$out>))
				{
					last if $line eq "end $tx\n";
					$said .= $line;
				}
				return "done $tx" if $said =~ /^COMMIT$/m && $expected eq 'commit';
				return "undone $tx" if $said =~ /^ROLLBACK$/m && $expected eq 'rollback';
				close $in;
				close $out;
				waitpid $pid, 0;
				undef $pid;
				return "doubt $tx";
			});
	}
	return $self;
}

# ('commit' or 'rollback', SQL) of a transaction, by chance.
sub _transaction
{
	my ($tx) = @_;
	my $n = 1 + int rand 40;
	my $insert = sub {
		my ($from, $to) = @_;
		my $rows = "SELECT $tx, i % 17, $tx % 1000 + i FROM generate_series($from, $to) i";
		return "INSERT INTO pushed $rows;\nINSERT INTO mirror $rows;\n";
	};
	my $copy = sub {
		my $rows = join '', map { "$tx\t" . ($_ % 17) . "\t$_\n" } 1 .. $n;
		return "COPY pushed FROM STDIN;\n$rows\\.\nCOPY mirror FROM STDIN;\n$rows\\.\n";
	};
	my $kind = rand;

	return ('rollback', "BEGIN;\n" . $insert->(1, $n) . "ROLLBACK;\n") if $kind < 0.15;
	return ('rollback', "BEGIN;\n" . $copy->() . "ROLLBACK;\n") if $kind < 0.25;
	return ('commit', "BEGIN;\n" . $copy->() . "COMMIT;\n") if $kind < 0.4;
	return ('commit',
		    "BEGIN;\n" . $insert->(1, 3)
		  . "SAVEPOINT a;\n" . $insert->(4, 3 + $n) . "ROLLBACK TO a;\n"
		  . "SAVEPOINT b;\n" . $copy->() . "RELEASE b;\nCOMMIT;\n") if $kind < 0.6;
	return ('commit', "BEGIN;\n" . $insert->(1, $n) . "COMMIT;\n");
}

=head2 acknowledged_are_there(TABLE)

A test that TABLE, the mirror or what stands for it, has rows of every
transaction whose commit was acknowledged and of none that was rolled back.

=cut

sub acknowledged_are_there
{
	my ($self, $node, $table) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %there = map { $_ => 1 } split /\n/,
	  $node->safe_psql('postgres', "SELECT DISTINCT tx FROM $table");
	my ($done, $undone, $doubt, @wrong) = (0, 0, 0);

	foreach my $line ($self->_journal)
	{
		my ($what, $tx) = split / /, $line;
		if ($what eq 'done')
		{
			$done++;
			push @wrong, "$tx was acknowledged and is lost" unless $there{$tx};
		}
		elsif ($what eq 'undone')
		{
			$undone++;
			push @wrong, "$tx was rolled back and is there" if $there{$tx};
		}
		else { $doubt++ }
	}
	is(join("\n", @wrong[0 .. ($#wrong < 9 ? $#wrong : 9)]), '',
		"$done acknowledged transactions are there, $undone rolled back ones are not ($doubt in doubt)");
	return $done;
}

=head2 files(DIRECTORY), messages(KAFKA, TOPIC, PARTITIONS)

A writer of JSON objects {"k": int, "v": int, "s": text}: one file, or one set
of messages in one partition, after the other.

=cut

sub _values
{
	my $n = 1 + int rand 200;
	my @v = map { int rand 10000 } 1 .. $n;
	my $sum = 0;

	$sum += $_ foreach @v;
	return ($n, $sum, map { sprintf '{"k": %d, "v": %d, "s": "%s"}', $_ % 23, $_, 'x' x ($_ % 50) } @v);
}

sub files
{
	my ($class, $directory) = @_;
	my $self = $class->_new;

	$self->_start(
		sub {
			my ($count, $n) = @_;
			my ($rows, $sum, @values) = _values();

			put_file($directory, sprintf('load%d-%05d.json', $n, $count), join '', map { "$_\n" } @values);
			sleep 0.02;
			return "done $rows $sum";
		});
	return $self;
}

sub messages
{
	my ($class, $kafka, $topic, $partitions) = @_;
	my $self = $class->_new;

	$self->_start(
		sub {
			my ($count) = @_;
			my ($rows, $sum, @values) = _values();

			$kafka->produce($topic, $count % $partitions, \@values);
			return "done $rows $sum";
		});
	return $self;
}

=head2 changes(KAFKA, TOPIC, PARTITIONS, KEYS), envelopes(KAFKA, TOPIC, KEYS)

Messages that change rows: rows (k, v, s), and tombstones, whose key is k and whose
partition is of the key; and envelopes of Debezium with rows (k, v). Some are there
twice, one after the other.

=cut

sub changes
{
	my ($class, $kafka, $topic, $partitions, $keys) = @_;
	my $self = $class->_new;

	$self->_start(
		sub {
			my ($count) = @_;
			my $partition = $count % $partitions;
			my @messages = map {
				my $k = int(rand $keys / $partitions) * $partitions + $partition;
				my $value = rand() < 0.2 ? undef : sprintf '{"k": %d, "v": %d, "s": "s%d"}', $k, rand 1000, rand 20;

				([ $k, $value ]) x (rand() < 0.1 ? 2 : 1)
			} 1 .. 1 + rand 150;

			$kafka->produce($topic, $partition, \@messages);
			return 'done ' . @messages . ' 0';
		});
	return $self;
}

sub envelopes
{
	my ($class, $kafka, $topic, $keys) = @_;
	my $self = $class->_new;

	$self->_start(
		sub {
			my @messages = map {
				my $k = int rand $keys;
				my $what = rand;
				my $row = sprintf '{"k": %d, "v": %d}', $k, rand 1000;
				my $envelope =
					$what < 0.002 ? '{"before": null, "after": null, "op": "t"}'
					: $what < 0.2 ? qq({"before": {"k": $k, "v": null}, "after": null, "op": "d"})
					: qq({"before": null, "after": $row, "op": ") . (qw(c u r))[ rand 3 ] . '"}';

				([ qq({"k": $k}), $envelope ], $what >= 0.002 && $what < 0.2 ? [ qq({"k": $k}), undef ] : ())
			} 1 .. 1 + rand 100;

			$kafka->produce($topic, 0, \@messages);
			sleep 0.05;
			return 'done ' . @messages . ' 0';
		});
	return $self;
}

=head2 written

How many rows files or messages have, and the sum of "v". After stop.

=cut

sub written
{
	my ($self) = @_;
	my ($rows, $sum) = (0, 0);

	foreach my $line (grep { /^done / } $self->_journal)
	{
		my (undef, $r, $s) = split / /, $line;
		$rows += $r;
		$sum += $s;
	}
	return ($rows, $sum);
}

END
{
	# Take care not to change the script's exit value.
	my $status = $?;

	kill 'TERM', @{ $_->{pids} } foreach @running;
	$? = $status;
}

1;
