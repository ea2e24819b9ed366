# The rows that each batch writes: its view's positions and totals. The worker looks for
# them first where it wrote them last, and finds them whatever has become of the tables.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'autovacuum = off');
my $pushed = 0;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub push_and_drain
{
	sql("INSERT INTO $_ SELECT i % 3, i FROM generate_series(1, 10) i") foreach qw(s copy);
	$pushed += 10;
	drain($node, "v_$_") foreach 1 .. 3;
}

# Each view has one row of both tables, of the same batch.
sub written
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	push_and_drain();
	is(sql(q(SELECT string_agg(concat_ws(' ', c.view::regclass, c.batch_id = p.batch_id, p.input_rows), ', ' ORDER BY c.view::regclass::text)
		FROM streaming.checkpoints c FULL JOIN streaming_internal.progress p USING (view))),
		join(', ', map { "v_$_ t $pushed" } 1 .. 3), $what);
	same_as_batch($node, "v_$_", "SELECT k, sum(v * $_) FROM copy GROUP BY k") foreach 1 .. 3;
}

sql('CREATE FOREIGN TABLE s (k int, v int) SERVER streaming');
sql("CREATE VIEW v_$_ WITH (streaming.trigger = 'manual') AS SELECT k, sum(v * $_) FROM s GROUP BY k") foreach 1 .. 3;
sql('CREATE TABLE copy (k int, v int)');
written('at first');
written('and again');

my @tables = qw(streaming.checkpoints streaming_internal.progress);
my @ways = (
	[ 'updated', 'UPDATE %s SET batch_id = batch_id' ],
	[ 'rewritten', 'VACUUM FULL %s' ],
	[ 'frozen', 'VACUUM (FREEZE) %s' ],
);
foreach my $way (@ways)
{
	my ($name, $command) = @$way;

	sql(sprintf $command, $_) foreach @tables;
	written($name);
	written("$name, once more");
}

# Another view's row is where one was written last: the first three places are taken, and
# each batch has put its row behind them.
sub shuffle
{
	sql('CREATE TABLE kept AS TABLE streaming_internal.progress');
	sql('DELETE FROM streaming_internal.progress');
	sql('VACUUM streaming_internal.progress');
	sql("INSERT INTO streaming_internal.progress (view, batch_id) SELECT i::oid, 1 FROM generate_series(1, $_[0]) i") if $_[0] > 0;
	sql("INSERT INTO streaming_internal.progress SELECT * FROM kept ORDER BY view::oid $_[1]");
	sql('DROP TABLE kept; DELETE FROM streaming_internal.progress WHERE view::oid < 10');
}
shuffle(0, '');
written('in order');
my $places = sql('SELECT array_agg(ctid ORDER BY ctid) FROM streaming_internal.progress');
shuffle(3, 'DESC');
is(sql('SELECT array_agg(ctid ORDER BY ctid) FROM streaming_internal.progress'), $places, 'rows are where others were');
written('in another order');

$node->stop('immediate');
$node->start;
written('after a crash');

$node->stop;
done_testing();
