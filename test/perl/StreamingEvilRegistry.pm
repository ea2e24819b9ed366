
=head1 NAME

StreamingEvilRegistry - servers that are no schema registry, for a test

=head1 SYNOPSIS

  use StreamingEvilRegistry;

  my $evil = StreamingEvilRegistry->new(sub { my ($client, $mode, $path, $head) = @_; ... });
  print $evil->address('drip');           # http://127.0.0.1:40123/drip
  my @requests = $evil->requests;         # heads of all requests, "GET /drip/schemas/ids/1 HTTP/1.1\r\n..."

Each connection has a process of its own, which reads the head of a request and calls the
sub with what it is to write to; the first part of the path is the mode. A request that never
ends, or is none, is handed over after 4096 bytes. With C<raw> the sub is called at once.

=cut

package StreamingEvilRegistry;

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET;

my @running;

sub new
{
	my ($class, $answer, %options) = @_;
	my $self = bless { %options, answer => $answer, dir => File::Temp::tempdir('evil_XXXX', DIR => $ENV{STREAMING_WORK}, CLEANUP => 1) }, $class;
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50) or die "listen: $!";

	push @running, $self;
	$self->{port} = $socket->sockport;
	$self->{pid} = fork // die "fork: $!";
	return $self if $self->{pid};

	# A group of its own, so that all ends at once.
	setpgrp 0, 0;
	@running = ();
	$SIG{CHLD} = 'IGNORE';
	$SIG{TERM} = 'DEFAULT';
	while (1)
	{
		my $client = $socket->accept or next;
		my $child = fork // next;

		if ($child == 0)
		{
			close $socket;
			$client->autoflush(1);
			$self->_serve($client);
			require POSIX;
			POSIX::_exit(0);
		}
		close $client;
	}
}

sub address { my ($self, $mode) = @_; return "http://127.0.0.1:$self->{port}/$mode"; }
sub port { return $_[0]->{port}; }

sub _serve
{
	my ($self, $client) = @_;
	my $head = '';

	return $self->{answer}->($client) if $self->{raw};
	while ($head !~ /\r\n\r\n/ && length $head < 4096)
	{
		$client->sysread($head, 4096, length $head) or last;
	}
	open my $log, '>', "$self->{dir}/" . ($$ + 0) . '_' . int rand 1e9 or die "log: $!";
	print $log $head;
	close $log;
	my ($mode, $path) = $head =~ m{^\w+ /(\w+)(/\S*)};
	$self->{answer}->($client, $mode // '', $path // '', $head);
	return;
}

sub requests
{
	my ($self) = @_;

	return map { open my $in, '<', $_ or die "$_: $!"; local $/; scalar <$in> // '' } sort glob "$self->{dir}/*";
}

END
{
	my $status = $?;

	foreach (@running) { kill 'TERM', -$_->{pid}; waitpid $_->{pid}, 0; }
	$? = $status;
}

1;
