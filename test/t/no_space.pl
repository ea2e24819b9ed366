# No room for a view's result: the view says so, waits and goes on; others
# notice nothing. The limit is one on the size of files, so it needs no disk.

use strict;
use warnings;

use StreamingTest;
use Test::More;

plan skip_all => 'no prlimit here' if system('prlimit --version >/dev/null 2>&1');

my $node = new_node('main', 'streaming.retry_max = 200ms', 'streaming.buffer_size = 4MB', 'log_min_messages = warning');
my $dir = $node->basedir . '/landing';
mkdir $dir;

# Segments of the log are 16 MB.
sub limit_files
{
	my ($bytes) = @_;

	foreach my $pid (server_pids($node))
	{
		system("prlimit --pid $pid --fsize=$bytes:unlimited 2>/dev/null");
	}
	return;
}

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE events (k int, s text) SERVER landing OPTIONS (path '*.json');
CREATE VIEW all_rows WITH (streaming.continuous) AS SELECT k, s || repeat(md5(k::text), 6) AS s FROM events;
CREATE VIEW counted WITH (streaming.continuous) AS SELECT count(*) AS n FROM events;
SQL
drain($node, $_) foreach qw(all_rows counted);
limit_files(20 * 1024 * 1024);
my $n = 0;
foreach my $i (1 .. 20)
{
	put_file($dir, "f$i.json", join '', map { $n++; qq({"k": $n, "s": "x"}\n) } 1 .. 10_000);
}
drain($node, 'counted');
is($node->safe_psql('postgres', 'SELECT n FROM counted'), 200_000, 'a view that has room takes all');
ok(wait_for($node, q(SELECT status || last_error FROM streaming.views WHERE view = 'all_rows'::regclass), qr/^retrying.*could not (extend|write).*File too large/s),
	'one that has none says so');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM all_rows'), '<', 200_000, 'and shows a part');
is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT k) FROM all_rows'), 0, 'no row twice');

limit_files('unlimited');
drain($node, 'all_rows');
same_as_batch($node, '(SELECT k, md5(s) FROM all_rows)', 'SELECT k, md5(s || repeat(md5(k::text), 6)) FROM events', 'it goes on when there is room');
ok(wait_for($node, q(SELECT bool_and(status = 'running' AND last_error IS NULL) FROM streaming.views)), 'and all is well');

# Pushed rows: the session that pushes is told, and nothing of it joins.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE pushed (v text) SERVER streaming;
CREATE VIEW of_pushed WITH (streaming.continuous) AS SELECT count(*) AS n FROM pushed;
INSERT INTO pushed VALUES ('one');
SQL
drain($node, 'of_pushed');
limit_files(20 * 1024 * 1024);
my ($ret, undef, $err) = $node->psql('postgres', q(INSERT INTO pushed SELECT repeat('x', 7000) FROM generate_series(1, 5000)));
like($err, qr/could not (extend|write).*File too large/, 'an INSERT that has no room fails');
limit_files('unlimited');
$node->safe_psql('postgres', q(INSERT INTO pushed SELECT 'two'));
drain($node, 'of_pushed');
is($node->safe_psql('postgres', 'SELECT n FROM of_pushed'), 2, 'and has added nothing');

$node->stop;
done_testing();
