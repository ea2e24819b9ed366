# Option group_id: the offsets of a consumer group are where the slowest view is.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.scan_interval = 1s');
my $topic = $kafka->create_topic('group', 2);
my $group = "group_of_$topic";

sub produce { my ($n) = @_; $kafka->produce($topic, $_, [ map { qq({"v": $_}) } 1 .. $n ]) foreach 0, 1; return }

sub offsets { return join ' ', map { $kafka->committed($topic, $_, $group) } 0, 1 }

sub offsets_are
{
	my ($expected, $name) = @_;

	wait_until(sub { offsets() eq $expected });
	return is(offsets(), $expected, $name);
}

produce(10);
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE FOREIGN TABLE s (v int) SERVER broker OPTIONS (topic '$topic', group_id '$group');
CREATE VIEW fast WITH (streaming.continuous) AS SELECT count(*) AS n FROM s;
CREATE VIEW slow WITH (streaming.trigger = 'manual') AS SELECT sum(v) FROM s;
SQL
ok(wait_for($node, 'SELECT n FROM fast', 20), 'a view has all');
is(offsets(), '-1001 -1001', 'another has not begun: nothing is told');
drain($node, 'slow');
offsets_are('10 10', 'both have all');

produce(5);
ok(wait_for($node, 'SELECT n FROM fast', 30), 'one goes on');
is(offsets(), '10 10', 'the slow one counts');
$node->restart;
drain($node, 'fast');
is(offsets(), '10 10', 'also after a restart');
drain($node, 'slow');
offsets_are('15 15', 'until it has them');
$node->safe_psql('postgres', 'DROP VIEW slow');
produce(1);
offsets_are('16 16', 'a view that is no more does not count');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 's'::regclass AND last_error <> ''), ''), 'without trouble');

# Nobody reads them: a group that is set back changes nothing.
$node->safe_psql('postgres', qq(ALTER FOREIGN TABLE s OPTIONS (SET group_id 'another_$group')));
produce(1);
drain($node, 'fast');
is($node->safe_psql('postgres', 'SELECT n FROM fast'), 34, 'a view goes by its checkpoint');
wait_until(sub { $kafka->committed($topic, 0, "another_$group") == 17 });
is($kafka->committed($topic, 0, "another_$group"), 17, 'another group is told');
is(offsets(), '16 16', 'and the one before is not');

$node->stop;
done_testing();
