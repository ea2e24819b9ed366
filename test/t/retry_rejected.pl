# streaming.retry_rejected: each view gets a record that is good now once, wherever it stands.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms', 'streaming.retry_max = 500ms');
my $dir = $node->basedir . '/landing';
mkdir $dir;
mkdir "$dir/$_" foreach qw(s csv text match quoted other);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub fails
{
	my ($query, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($ret, $out, $err) = $node->psql('postgres', $query);

	return like($err, $pattern, $name);
}

my $file = 0;

# Good records, and one in three that the domain refuses.
sub put_records
{
	my ($n) = @_;

	$file++;
	put_file("$dir/s", sprintf('%03d.json', $file),
		join '', map { sprintf qq({"k": "%s", "n": %d}\n), $_ % 5, ($_ % 3 ? 1 : -1) * ($file * 1000 + $_) } 1 .. $n);
	return;
}

# The last three are made later.
my %query = (
	early => 'SELECT k, n FROM s',
	counted => 'SELECT k, count(*) AS n, sum(n) AS s FROM s GROUP BY k',
	joined => 'SELECT s.k, s.n, o.v FROM s JOIN o ON s.k = o.k',
	stepped => 'SELECT k, n FROM s',
	paused => 'SELECT k, n FROM s',
	narrow => 'SELECT count(*) AS n FROM s',
	buffered => 'SELECT k, n FROM s',
	mended => 'SELECT k, n FROM s',
	later => 'SELECT k, n FROM s');

sql(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE DOMAIN plus AS int CHECK (VALUE > 0);
CREATE FOREIGN TABLE s (k text, n plus, path text OPTIONS (metadata 'path'), line bigint OPTIONS (metadata 'line'))
	SERVER landing OPTIONS (path 's/*.json');
CREATE FOREIGN TABLE o (k text, v int) SERVER streaming OPTIONS (retention '1 day');
INSERT INTO o SELECT (i % 5)::text, i FROM generate_series(1, 10) i;
CREATE TABLE calls (batch_id bigint, k text, n int);
CREATE FUNCTION note(rows regclass, id bigint) RETURNS void LANGUAGE plpgsql AS
	'BEGIN EXECUTE format(''INSERT INTO public.calls SELECT %s, k, n FROM %s'', id, rows); END';
CREATE VIEW early WITH (streaming.continuous) AS $query{early};
CREATE VIEW counted WITH (streaming.continuous) AS $query{counted};
CREATE VIEW joined WITH (streaming.continuous) AS $query{joined};
CREATE VIEW stepped WITH (streaming.trigger = 'manual', streaming.max_rows_per_trigger = 7) AS $query{stepped};
CREATE VIEW paused WITH (streaming.continuous) AS $query{paused};
CREATE VIEW narrow WITH (streaming.continuous) AS $query{narrow};
CREATE VIEW called WITH (streaming.foreach_batch = 'note') AS SELECT k, n FROM s;
SQL

put_records(60);
drain($node, $_) foreach qw(early counted joined stepped paused narrow called);
my $rejected = q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 's'::regclass);
is(sql($rejected), 20, 'a third of the records is rejected');
same_as_batch($node, 'early', $query{early}, 'views are without them');
sql('ALTER VIEW paused SET (streaming.enabled = off)');

# Some views pass more of them, one begins behind all.
put_records(30);
drain($node, $_) foreach qw(early counted joined narrow called);
sql(q(CREATE VIEW latest WITH (streaming.start = 'latest') AS SELECT k, n FROM s));
drain($node, 'latest');

is(sql(q(SELECT streaming.retry_rejected('s'))), 0, 'nothing is good as long as nothing is mended');
is(sql($rejected), 30, 'and all stay');
is(sql(q(SELECT count(*) FROM early)), 60, 'no view has got anything');

# The error that a record has now is another one.
sql('ALTER DOMAIN plus DROP CONSTRAINT plus_check; ALTER DOMAIN plus ADD CONSTRAINT above CHECK (VALUE > -100)');
is(sql(q(SELECT streaming.retry_rejected('s'))), 0, 'they are bad for another reason');
is(sql(q(SELECT count(*), count(*) FILTER (WHERE error ~ 'above' AND sqlstate = '23514') FROM streaming.rejected_rows)), '30|30', 'which is what they say');

# A view that begins when they are good has them.
sql('ALTER DOMAIN plus DROP CONSTRAINT above');
# (One that finds them in the buffer does not: that was filled when they were bad.)
sql("CREATE VIEW buffered WITH (streaming.continuous) AS $query{buffered}");
drain($node, 'buffered');
$node->restart;
sql("CREATE VIEW mended WITH (streaming.continuous) AS $query{mended}");
drain($node, 'mended');
same_as_batch($node, 'mended', $query{mended}, 'a view that begins when they are good reads them itself');

sub stop_at
{
	my ($point) = @_;

	$node->append_conf('postgresql.conf', "streaming.stop_point = '$point'");
	$node->reload if $node->{_pid};
	wait_for($node, 'SHOW streaming.stop_point', $point) or die 'no reload';
	return;
}

# A retry that does not come to its end has done nothing.
stop_at('rejected_retried');
my $log = -s $node->logfile;
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nSELECT streaming.retry_rejected('s');\n");
ok($node->wait_for_log(qr/waiting at stop point "rejected_retried"/, $log), 'a retry is under way');
$node->append_conf('postgresql.conf', "streaming.stop_point = ''");
kill9($node, 'postmaster');
eval { $session->{run}->finish };
is(sql($rejected), 30, 'a retry that was killed has changed nothing');
drain($node, $_) foreach qw(early narrow);
is(sql(q(SELECT count(*) FROM early)), 60, 'nor has a view got anything');

# One that does, with kills while the views take what they have got.
stop_at('batch_written');
$log = -s $node->logfile;
is(sql(q(SELECT streaming.retry_rejected('s'))), 30, 'all are good now');
is(sql($rejected), 0, 'and leave');
ok($node->wait_for_log(qr/waiting at stop point "batch_written"/, $log), 'a view is about to commit them');
$node->append_conf('postgresql.conf', "streaming.stop_point = 'batch_committed'");
$log = -s $node->logfile;
kill9($node, 'postmaster');
ok($node->wait_for_log(qr/waiting at stop point "batch_committed"/, $log), 'a view has just committed them');
$node->append_conf('postgresql.conf', "streaming.stop_point = 'batch_planned'");
$log = -s $node->logfile;
kill9($node, 'postmaster');
ok($node->wait_for_log(qr/waiting at stop point "batch_planned"/, $log), 'a view is about to call a function');
$node->append_conf('postgresql.conf', "streaming.stop_point = ''");
kill9($node, 'streaming query');
$node->reload;
wait_for($node, 'SHOW streaming.stop_point', '') or die 'no reload';

sql('ALTER VIEW paused SET (streaming.enabled = on)');
sql("CREATE VIEW later WITH (streaming.continuous) AS $query{later}");
foreach my $view (sort keys %query)
{
	drain($node, $view);
	same_as_batch($node, $view, $query{$view}, "$view has each once");
}
drain($node, 'called');
same_as_batch($node, '(SELECT k, n FROM calls)', $query{early}, 'so has a function');
is(sql('SELECT count(*) FROM latest'), 0, 'a view that began behind them has not got any');
is(sql('SELECT count(*) FROM streaming_internal.missed_rows'), 0, 'nothing is left over');

# And again with what comes then.
sql('ALTER DOMAIN plus ADD CONSTRAINT plus_check CHECK (VALUE > 0) NOT VALID');
put_records(30);
drain($node, $_) foreach keys %query, qw(called latest);
is(sql($rejected), 10, 'more are rejected');
sql('ALTER DOMAIN plus DROP CONSTRAINT plus_check');
is(sql(q(SELECT streaming.retry_rejected('s'))), 10, 'and are retried');
foreach my $view (sort keys %query)
{
	drain($node, $view);
	same_as_batch($node, $view, $query{$view}, "$view has these once, too");
}
drain($node, $_) foreach qw(called latest);
same_as_batch($node, 'latest', 'SELECT k, n FROM s WHERE abs(n) > 3000', 'so has the view that began later');
same_as_batch($node, '(SELECT k, n FROM calls)', $query{early}, 'and the function');

$node->stop;
done_testing();
