
=head1 NAME

StreamingRegistry - a schema registry for a test

=head1 SYNOPSIS

  use StreamingRegistry;

  my $registry = StreamingRegistry->new;         # or new(user => 'app', password => 'secret')
  my $id = $registry->add($schema);              # a number that nobody had
  $registry->set('orders-value', $id);           # it is the newest of a subject
  print $registry->address;                      # http://127.0.0.1:40123
  $registry->stop; $registry->start;             # same address, same schemas
  my @requests = $registry->requests;            # 'GET /schemas/ids/1' ...

It is a small one of our own, which speaks as much of Confluent's documented protocol
as readers and writers use: GET /schemas/ids/ID, GET /subjects/SUBJECT/versions/1 (each
schema is the first version of subject id-ID, too), GET /subjects/SUBJECT/versions/latest, POST /subjects/SUBJECT/versions, POST
/subjects/SUBJECT, with error codes, and basic authentication. A schema with a field
"refused" is taken for incompatible.

=cut

package StreamingRegistry;

use strict;
use warnings;

use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $json = JSON::PP->new->canonical->utf8;
my @running;

sub new
{
	my ($class, %options) = @_;
	my $self = bless { %options, dir => File::Temp::tempdir('registry_XXXX', DIR => $ENV{STREAMING_WORK}, CLEANUP => 1) }, $class;

	push @running, $self;
	$self->{socket} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 20, ReuseAddr => 1) or die "listen: $!";
	$self->{port} = $self->{socket}->sockport;
	$self->start;
	return $self;
}

sub address { return "http://127.0.0.1:$_[0]->{port}" }

sub start
{
	my ($self) = @_;

	$self->{socket} //= IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $self->{port}, Listen => 20, ReuseAddr => 1)
	  or die "listen: $!";
	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0)
	{
		$SIG{TERM} = sub { require POSIX; POSIX::_exit(0) };
		while (1)
		{
			my $client = $self->{socket}->accept or next;
			eval { $self->_serve($client); 1 } or warn $@;
			close $client;
		}
	}
	close $self->{socket};
	$self->{socket} = undef;
	return;
}

sub stop
{
	my ($self) = @_;

	return unless $self->{pid};
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = undef;
	return;
}

# Schemas are files, so that they are there after a stop: ID has the answer.
sub add
{
	my ($self, $schema, %more) = @_;

	return $self->_store({ schema => $schema, %more });
}

sub _store
{
	my ($self, $answer) = @_;
	my $id;

	foreach my $file (glob "$self->{dir}/[0-9]*")
	{
		return 0 + ($file =~ /(\d+)$/)[0] if $json->encode(_read($file)) eq $json->encode($answer);
	}
	$id = 1 + scalar(my @all = glob "$self->{dir}/[0-9]*");
	open my $out, '>', "$self->{dir}/$id" or die "$self->{dir}/$id: $!";
	print $out $json->encode($answer);
	close $out;
	return $id;
}

sub set
{
	my ($self, $subject, $id) = @_;

	open my $out, '>', "$self->{dir}/subject-$subject" or die "$self->{dir}: $!";
	print $out $id;
	close $out;
	return;
}

sub schema { return _read("$_[0]->{dir}/$_[1]")->{schema} }

sub _read
{
	my ($path) = @_;

	open my $file, '<', $path or return undef;
	local $/;
	return $json->decode(scalar <$file>);
}

sub requests
{
	my ($self) = @_;

	open my $file, '<', "$self->{dir}/requests" or return ();
	chomp(my @lines = <$file>);
	return @lines;
}

sub _serve
{
	my ($self, $client) = @_;
	my $head = '';

	while ($head !~ /\r\n\r\n/)
	{
		$client->sysread($head, 4096, length $head) or return;
	}
	($head, my $body) = split /\r\n\r\n/, $head, 2;
	my $length = $head =~ /^Content-Length: (\d+)/mi ? $1 : 0;
	while (length $body < $length)
	{
		$client->sysread($body, 4096, length $body) or return;
	}
	my ($method, $path) = $head =~ m{^(\w+) (\S+)};
	open my $log, '>>', "$self->{dir}/requests" or die "requests: $!";
	print $log "$method $path\n";
	close $log;

	my ($status, $answer) = $self->_answer($method, $path, $head, $body);
	$answer = $json->encode($answer) if ref $answer;
	my $redirect = $status == 302 ? "Location: http://127.0.0.1:$self->{port}/schemas/ids/1\r\n" : '';
	print $client "HTTP/1.1 $status whatever\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n${redirect}Content-Length: "
	  . length($answer) . "\r\nConnection: close\r\n\r\n$answer";
	return;
}

sub _answer
{
	my ($self, $method, $path, $head, $body) = @_;

	if (defined $self->{user})
	{
		my $wanted = encode_base64("$self->{user}:$self->{password}", '');

		return (401, { error_code => 40101, message => 'who are you?' }) unless $head =~ /^Authorization: Basic \Q$wanted\E\r?$/mi;
	}
	# For tests of what no registry says.
	return (302, '') if $path eq '/schemas/ids/302';
	return (200, '<html>login</html>') if $path eq '/schemas/ids/200';
	return (503, 'busy') if $path eq '/schemas/ids/503';
	return (200, 'x' x 5_000_000) if $path eq '/schemas/ids/5000000';
	if ($method eq 'GET' && $path =~ m{^/schemas/ids/(-?\d+)(?:\?|$)})
	{
		my $found = _read("$self->{dir}/$1");

		return $found ? (200, $found) : (404, { error_code => 40403, message => "Schema $1 not found" });
	}
	if ($method eq 'GET' && $path =~ m{^/subjects/id-(\d+)/versions/1$})
	{
		my $found = _read("$self->{dir}/$1");

		return $found ? (200, { %$found, id => 0 + $1, subject => "id-$1", version => 1 }) : (404, { error_code => 40401, message => 'Subject not found' });
	}
	if ($method eq 'GET' && $path =~ m{^/subjects/([^/?]+)/versions/latest$})
	{
		open my $file, '<', "$self->{dir}/subject-$1" or return (404, { error_code => 40401, message => "Subject '$1' not found." });
		my $id = <$file>;

		return (200, { %{ _read("$self->{dir}/$id") }, id => 0 + $id, subject => $1, version => 1 });
	}
	if ($method eq 'POST' && $path =~ m{^/subjects/([^/?]+)(/versions)?(?:\?|$)})
	{
		my $asked = $json->decode($body);

		return (409, { error_code => 409, message => 'Schema being registered is incompatible with an earlier schema' })
		  if $asked->{schema} =~ /"refused"| refused =/;
		my %type = $asked->{schemaType} ? (schemaType => $asked->{schemaType}) : ();
		my $subject = $1;
		my $id = $self->_store({ schema => $asked->{schema}, %type });

		$self->set($subject, $id) if $path =~ m{/versions};
		return (200, { id => $id, schema => $asked->{schema}, subject => $subject, version => 1 });
	}
	return (404, { error_code => 404, message => 'HTTP 404 Not Found' });
}

END
{
	my $status = $?;

	$_->stop foreach @running;
	$? = $status;
}

1;
