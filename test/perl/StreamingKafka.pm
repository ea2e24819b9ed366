
=head1 NAME

StreamingKafka - a real Kafka broker for a test

=head1 SYNOPSIS

  use StreamingKafka;

  my $kafka = StreamingKafka->shared;     # one for the whole run of tests
  my $clicks = $kafka->create_topic('clicks', 4);
  $kafka->produce($clicks, 0, [ '{"k": 1}', '{"k": 2}' ]);
  $kafka->produce($clicks, 1, [ [ 'key', 'value' ], [ 'gone', undef ] ]);
  my @records = $kafka->consume($results); # [partition, offset, key, value]

  my $own = StreamingKafka->new;          # one that may be stopped
  $own->kill9;
  $own->start;                            # same address, same data

=cut

package StreamingKafka;

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use IPC::Run ();
use Test::More ();

my $tools = dirname(__FILE__) . '/../kafka';
my $suffix = join '', map { ('a' .. 'z')[ rand 26 ] } 1 .. 6;
my @own;

=head2 new, new('secure')

Starts a broker of the test's own; a secure one has another address, too
(test/kafka/broker tells which user it knows there). Where that cannot be, the
test file is skipped with the reason.

=cut

sub new
{
	my ($class, $secure) = @_;

	Test::More::plan(skip_all => $class->unavailable) if defined $class->unavailable;
	my $self = bless {
		secure => $secure // '',
		dir => File::Temp::tempdir('kafka_XXXX', DIR => $ENV{STREAMING_WORK}, CLEANUP => 1) },
	  $class;

	push @own, $self;
	$self->start;
	return $self;
}

=head2 shared

The broker that STREAMING_KAFKA names, which must not be stopped, or one of
its own where there is none.

=cut

sub shared
{
	my ($class) = @_;

	return $class->new unless $ENV{STREAMING_KAFKA};
	return bless { address => $ENV{STREAMING_KAFKA} }, $class;
}

=head2 unavailable, missing

Why new does not work here, and why shared does not; undef where it does. A
tree without Java has no broker of its own, but may have a shared one.

=cut

sub unavailable
{
	return undef if defined $ENV{KAFKA_LIBS};
	return $ENV{STREAMING_NO_KAFKA} // 'there is no Kafka here to start a broker with';
}

sub missing { return $ENV{STREAMING_KAFKA} ? undef : $_[0]->unavailable }

=head2 tool(NAME)

The path of a program in test/kafka.

=cut

sub tool { return Cwd::abs_path("$tools/$_[1]") }

=head2 address, options

What goes into bootstrap_servers, and options for CREATE SERVER with it. A broker
serves the requests of a connection in turn, so that whoever asks for a topic's end
waits for a fetch that waits for messages, half a second by default: with these
options not for long.

=cut

sub address { return $_[0]->{address} }
sub options { return "bootstrap_servers '$_[0]->{address}', fetch_wait_max_ms '20'" }

=head2 secure_address, certificate

Where a secure broker speaks SASL_SSL, and the file that it is known by.

=cut

sub secure_address { return $_[0]->{secure_address} }
sub certificate    { return "$_[0]->{dir}/broker.pem" }

sub _run
{
	my ($input, @command) = @_;
	my ($output, $error) = ('', '');

	IPC::Run::run(\@command, '<', \$input, '>', \$output, '2>', \$error)
	  or die "@command: $error";
	return $output;
}

sub _broker
{
	my ($self, $verb) = @_;

	die 'the shared broker is not to be stopped or started' unless $self->{dir};
	my $said = qx('$tools/broker' $verb '$self->{dir}' $self->{secure});
	die "broker $verb failed" if $?;
	return $said;
}

=head2 start, stop, kill9

Stop is a shutdown that takes a second or two, kill9 a SIGKILL; start after
either brings back the same address and data, and returns when it answers.

=cut

sub start
{
	my ($self) = @_;

	($self->{address}, $self->{secure_address}) = split /\n/, $self->_broker('start');
	return;
}

sub stop  { $_[0]->_broker('stop'); return; }
sub kill9 { $_[0]->_broker('kill'); return; }

sub _admin
{
	my ($self, @arguments) = @_;

	return _run('', "$tools/kafka_admin", $self->{address}, @arguments);
}

=head2 create_topic(NAME, PARTITIONS, SETTING...)

Returns the topic's real name: NAME and something that no other test has. A
setting is 'retention.ms=1000'.

=head2 grow_topic(TOPIC, PARTITIONS), delete_topic(TOPIC), trim(TOPIC, PARTITION, OFFSET)

trim removes the records before OFFSET, as retention would.

=head2 committed(TOPIC, PARTITION, GROUP)

The offset of a consumer group, -1001 if it has none.

=cut

sub create_topic
{
	my ($self, $name, $partitions, @settings) = @_;
	my $topic = "${name}_$suffix";

	$self->_admin('create', $topic, $partitions || 1, @settings);
	return $topic;
}

sub grow_topic   { my $self = shift; return $self->_admin('grow',   @_); }
sub delete_topic { my $self = shift; return $self->_admin('delete', @_); }
sub trim         { my $self = shift; return $self->_admin('trim',   @_); }
sub committed    { my $self = shift; return $self->_admin('committed', @_) + 0; }

=head2 produce(TOPIC, PARTITION, VALUES, OPTION...)

VALUES is a list of values, all with a key or all without: 'value' or [ 'key',
'value' ], both of any bytes, where an undefined value is Kafka's null. Returns when the broker
has them. Options are kcat's, such as '-H', 'name=value' for a header.

=cut

sub produce
{
	my ($self, $topic, $partition, $values, @options) = @_;
	# Keys and values may hold any byte, but hardly these.
	my ($behind_key, $behind_value) = ("\x01\x1fkey\x1f\x02", "\x01\x1fvalue\x1f\x02");
	my @lines = map { ref $_ ? $_->[0] . $behind_key . (defined $_->[1] ? $_->[1] : '') : $_ } @$values;

	return unless @lines;
	push @options, '-K', $behind_key, '-Z' if ref $values->[0];
	_run(join($behind_value, @lines), $self->_producer($topic, $partition), '-D', $behind_value, @options);
	return;
}

=head2 produce_file(TOPIC, PARTITION, FILE)

Each line of FILE is a value. Fit for millions.

=cut

sub produce_file
{
	my ($self, $topic, $partition, $file) = @_;

	_run('', $self->_producer($topic, $partition), '-X', 'linger.ms=20', '-l', $file);
	return;
}

=head2 produce_bytes(TOPIC, PARTITION, VALUES)

VALUES are bytes of any kind.

=cut

sub produce_bytes
{
	my ($self, $topic, $partition, $values) = @_;
	my $dir = File::Temp::tempdir('messages_XXXX', DIR => $ENV{STREAMING_WORK}, CLEANUP => 1);
	my @files = map { "$dir/$_" } 0 .. $#$values;

	foreach my $i (0 .. $#$values)
	{
		open my $file, '>:raw', $files[$i] or die "$files[$i]: $!";
		print $file $values->[$i];
		close $file or die "$files[$i]: $!";
	}
	_run('', $self->_producer($topic, $partition), @files);
	return;
}

# Without -E kcat gives up at the first moment without a connection to the broker.
# What librdkafka then sends again must not be there twice: a broker that may be killed
# is asked for a number to tell that by, which takes a while. One that is not answers
# all that it has taken.
sub _producer
{
	my ($self, $topic, $partition) = @_;
	my @once = $self->{dir} ? ('enable.idempotence=true') : ('request.timeout.ms=60000', 'linger.ms=0');

	return ('kcat', '-P', '-q', '-E', '-b', $self->{address}, '-t', $topic, '-p', $partition,
		map { ('-X', $_) } @once, 'message.timeout.ms=60000');
}

=head2 consume(TOPIC, OPTION...)

All that a reader of committed records sees now: a list of [ partition,
offset, key, value ] in the order of partition and offset, null as undef.

=cut

sub consume
{
	my ($self, $topic, @options) = @_;
	my @command = ('kcat', '-C', '-q', '-e', '-b', $self->{address}, '-t', $topic,
		'-o', 'beginning', '-X', 'isolation.level=read_committed', '-X', 'fetch.wait.max.ms=10',
		'-f', '%p %o %K %S\n%k%s\n', @options);
	# kcat gives up on a broker that is busy; reading again does no harm.
	my $rest = eval { _run('', @command) } // _run('', @command);
	my @records;

	while ($rest =~ s/\A(\d+) (\d+) (-?\d+) (-?\d+)\n//)
	{
		my ($partition, $offset, $key_size, $size) = ($1, $2, $3, $4);
		my $key   = $key_size < 0 ? undef : substr($rest, 0, $key_size, '');
		my $value = $size < 0     ? undef : substr($rest, 0, $size,     '');

		substr($rest, 0, 1, '');
		push @records, [ $partition, $offset, $key, $value ];
	}
	return sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @records;
}

END
{
	# Take care not to change the script's exit value.
	my $status = $?;

	system("'$tools/broker' kill '$_->{dir}'") foreach @own;
	$? = $status;
}

1;
