# Each setting at its smallest and at its largest value: streams of each kind
# are read, and views show what a batch does.
#
# Takes long.

use strict;
use warnings;

use List::Util qw(shuffle);
use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->missing ? undef : StreamingKafka->shared;
my $node = new_node('main', 'max_worker_processes = 30');
my $dir = $node->basedir . '/landing';
mkdir $dir;

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE files (a int) SERVER landing OPTIONS (path '*.json');
SQL
my $topic;
my $lines = join '', map { qq({"a": $_}\n) } 1 .. 100;
put_file($dir, 'a.json', $lines);
if ($kafka)
{
	$topic = $kafka->create_topic('settings', 1);
	$kafka->produce($topic, 0, [ map { qq({"a": $_}) } 1 .. 100 ]);
	$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE messages (a int) SERVER broker OPTIONS (topic '$topic');
SQL
}

sub works
{
	my ($name, $value) = @_;
	my $said = "$name = $value";

	# The shortest wait is too short for a broker, which is said.
	my @streams = ('files', 'pushed', $kafka && $said ne 'streaming.connect_timeout = 1' ? 'messages' : ());
	my ($rc, $out, $err) = $node->psql('postgres', join(";\n", 'SET client_min_messages = warning', 'CREATE FOREIGN TABLE pushed (a int) SERVER streaming',
		(map { "CREATE VIEW v_$_ WITH (streaming.continuous) AS SELECT count(*), sum(a) FROM $_" } @streams),
		'INSERT INTO pushed SELECT generate_series(1, 100)',
		(map { "SELECT streaming.drain('v_$_', '60 seconds')" } @streams)));
	is($err, '', "$said: views run");
	is($node->safe_psql('postgres', join ' UNION ALL ', map { "SELECT * FROM v_$_" } @streams), join("\n", ('100|5050') x @streams), "$said: and show their rows");
	$node->safe_psql('postgres', join ";\n", (map { "DROP VIEW v_$_" } @streams), 'DROP FOREIGN TABLE pushed');
	wait_for($node, q(SELECT count(*) FROM streaming.views), 0);
	return;
}

works('the defaults', '');
my $settings = $node->safe_psql('postgres', q(SELECT name, min_val, max_val, context FROM pg_settings
	WHERE name LIKE 'streaming.%' AND vartype = 'integer' ORDER BY context DESC, name));
foreach my $line (split /\n/, $settings)
{
	my ($name, $min, $max, $context) = split /\|/, $line;

	# one of the two where the tests are run again
	foreach my $value ((shuffle($min, $max))[ 0 .. rounds(2) - 1 ])
	{
		# Shared memory is for the product of these two.
		my %also = $name eq 'streaming.max_views' ? ('streaming.batches_kept' => 1) :
			$name eq 'streaming.batches_kept' ? ('streaming.max_views' => 20) : ();

		$value = 4 if $name =~ /streaming.max_(views|streams)/ && $value == $min;    # as many as there are here
		$node->safe_psql('postgres', "ALTER SYSTEM SET $name = $value");
		$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = $also{$_}") foreach keys %also;
		$context eq 'postmaster' ? $node->restart : $node->reload;
		wait_for($node, qq(SELECT setting FROM pg_settings WHERE name = '$name'), $value);
		works($name, $value);
		$node->safe_psql('postgres', "ALTER SYSTEM RESET $_") foreach $name, keys %also;
	}
}
$node->restart;
works('again the defaults', '');

my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/terminated by signal/, 'no process came to an unexpected end');
unlike($log, qr/invalid value for librdkafka property/, 'nor were there values that librdkafka refused');
$node->stop;
done_testing();
