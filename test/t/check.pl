# test/check itself: a name that is misspelt is an error, before anything is
# built, and what is skipped is named with the reason.

use strict;
use warnings;

use IPC::Run ();
use Test::More;

# Exit status and output of test/check as make check calls it, or within an
# environment that is made already.
sub check
{
	my (%environment) = @_;
	my $out = '';

	local %ENV = (%ENV, STREAMING_WORK => '', %environment);
	delete @ENV{ grep { !defined $ENV{$_} } keys %ENV };
	IPC::Run::run([ 'test/check' ], '<', \'', '>&', \$out);
	return ($? >> 8, $out);
}

foreach (
	[ 'a name', 'no test is called "nosuch"', TESTS => 'nosuch' ],
	[ 'one of several', 'no test is called "nosuch_*"', TESTS => 'view_* nosuch_*' ],
	[ 'the name of a test of another layer', 'no test is called "view_aggregate"',
		TESTS => 'view_aggregate', LAYERS => 'pgtap tap' ],
	[ 'a layer', 'there is no layer "regres"', LAYERS => 'regres' ])
{
	my ($what, $message, @environment) = @$_;
	my ($status, $out) = check(TESTS => undef, LAYERS => undef, @environment);

	is($status, 2, "$what that does not exist is an error");
	like($out, qr/\A\Q$message\E.*\n\z/, 'and named; nothing is built');
}

# Without a broker what needs one is left out, and the sum says so.
my $work = "$ENV{STREAMING_WORK}/check";
mkdir $work or die "$work: $!";
my ($status, $out) = check(STREAMING_WORK => $work, LAYERS => 'tap',
	TESTS => 'kafka_malformed kafka_secure watermark_kafka', KAFKA_LIBS => undef,
	STREAMING_KAFKA => undef, STREAMING_NO_KAFKA => 'there is no Kafka: no jars');
is($status, 0, 'tests that are skipped have not failed');
like($out, qr/^skipped: $_: there is no Kafka: no jars$/m, "$_ is named with the reason")
  foreach qw(kafka_malformed kafka_secure watermark_kafka);
like($out, qr/^0 passed, 0 failed, 3 skipped\n\z/m, 'and they are counted');

done_testing();
