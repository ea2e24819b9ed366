# A stream over many topics on a standby: read there, and gone on with when that is promoted.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $primary = new_node('primary', 'wal_level = replica', 'max_wal_senders = 5', 'hot_standby = on', 'streaming.retry_max = 300ms');
$primary->set_replication_conf;
$primary->reload;
my %topic = map { $_ => $kafka->create_topic("handed-$_", 2) } qw(a b);
my ($suffix) = $topic{a} =~ /_(\w+)$/;
my $produced = 0;

sub produce
{
	my ($topic, $partition, $n) = @_;

	$kafka->produce($topic, $partition, [ map { sprintf '{"v": %d}', ++$produced } 1 .. $n ]);
	return;
}

produce($topic{$_}, $_ eq 'a' ? 1 : 0, 10) foreach qw(a b);
$primary->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}', topic_metadata_refresh_interval_ms '300');
CREATE FOREIGN TABLE s (v int, topic text OPTIONS (metadata 'topic')) SERVER broker OPTIONS (topic '^handed-.*_$suffix');
CREATE VIEW seen WITH (streaming.continuous) AS SELECT topic, v FROM s;
CREATE VIEW sums WITH (streaming.continuous) AS SELECT topic, count(*) AS n, sum(v) FROM s GROUP BY topic;
SQL
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# One that comes while there is a standby.
$topic{c} = $kafka->create_topic('handed-c', 1);
produce($topic{c}, 0, 5);
drain($primary, $_) foreach qw(seen sums);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT topic) FROM seen'), '25|3', 'a view is read on the standby');
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT topic) FROM s'), '25|3', 'and the stream');

# One that the primary has never heard of.
$primary->stop('immediate');
$topic{d} = $kafka->create_topic('handed-d', 1);
produce($topic{d}, 0, 5);
produce($topic{a}, 0, 5);
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT topic) FROM s'), '35|4', 'a topic without a number is read there, too');
$standby->promote;
drain($standby, $_) foreach qw(seen sums);
is($standby->safe_psql('postgres', 'SELECT count(*), count(DISTINCT v) FROM seen'), "$produced|$produced", 'promoted, nothing is lost or comes twice');
same_as_batch($standby, 'sums', 'SELECT topic, count(*) AS n, sum(v) FROM s GROUP BY topic');

$standby->stop;
done_testing();
