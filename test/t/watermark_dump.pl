# Windows that are open when a database is dumped go on in the restored one, and
# the watermark with them.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'timezone = UTC');

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE c (k text, at timestamptz OPTIONS (watermark '10 seconds')) SERVER streaming;
CREATE VIEW windows WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
	SELECT date_trunc('minute', at) AS minute, count(*) AS n, count(DISTINCT k) AS ks FROM c GROUP BY 1;
CREATE VIEW sessions WITH (streaming.trigger = 'manual', streaming.output_mode = 'append') AS
	SELECT lower(s) AS began, n FROM (SELECT streaming.session(at, '1 minute') AS s, count(*) AS n FROM c GROUP BY 1) x;
INSERT INTO c SELECT 'k' || i % 3, '2026-01-01'::timestamptz + i * interval '1 second' FROM generate_series(0, 200) i;
SQL
drain($node, $_) foreach 'windows', 'sessions';

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('other') ], 'restore');

sub other { return $node->safe_psql('other', $_[0]); }

is(other(q(SELECT string_agg(view || ' ' || to_char(watermark, 'MI:SS'), ', ' ORDER BY view::text) FROM streaming.stat_views)),
	'sessions 03:10, windows 03:10', 'the watermark is in the dump');
other(q(INSERT INTO c VALUES ('x', '2026-01-01 00:03:30+00'), ('late', '2026-01-01 00:00:00+00')));
other(q(INSERT INTO c VALUES ('y', '2026-01-01 01:00:00+00')));
foreach my $view ('windows', 'sessions')
{
	ok(wait_until(sub { eval { other("SELECT streaming.drain('$view', '$deadline seconds')"); 1 } }), "$view goes on");
}
is(other(q(SELECT to_char(minute, 'HH24:MI') || ' ' || n || ' ' || ks FROM windows ORDER BY minute)),
	"00:00 60 3\n00:01 60 3\n00:02 60 3\n00:03 22 4", 'open windows have gone on, the closed ones are as they were');
is(other(q(SELECT to_char(began, 'HH24:MI') || ' ' || n FROM sessions)), '00:00 202', 'and so has the session');
is(other(q(SELECT string_agg(late_rows::text, ' ') FROM streaming.stat_views)), '1 1', 'what was closed before is closed');

$node->stop;
done_testing();
