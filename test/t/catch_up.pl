# Views that have much to take: how far they are, and how fast they may go.

use strict;
use warnings;

use StreamingTest;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main', 'streaming.scan_interval = 200ms');
my $dir = $node->basedir . '/landing';
mkdir $dir;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# What a view is at, without its times.
sub progress
{
	my ($view) = @_;

	return "SELECT stream, phase, rows_done, rows_total, bytes_done, bytes_total FROM streaming.stat_progress WHERE view = '$view'::regclass";
}

put_file($dir, sprintf('%02d.json', $_), qq({"n": $_}\n) x 100) foreach 10 .. 39;
my $bytes = 30 * 100 * length qq({"n": 10}\n);
sql(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (n int) SERVER landing OPTIONS (path '*.json');
CREATE FOREIGN TABLE pushed (n int) SERVER streaming;
CREATE TABLE t AS SELECT i AS n FROM generate_series(1, 3000) i;
CREATE TABLE u AS TABLE t;
ANALYZE t, u;
CREATE FUNCTION slow(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN n; END';
INSERT INTO pushed SELECT i FROM generate_series(1, 3000) i;
CREATE ROLE stranger;
SQL

# --- a rate ---------------------------------------------------------------

my $begun = time;
sql('CREATE VIEW limited WITH (streaming.catch_up_rate = 500) AS SELECT n, count(*) AS c FROM f GROUP BY n');
ok(wait_for($node, progress('limited'), qr/^f\|catch-up\|[1-9]\d*\|(?:3000|)\|\d+\|$bytes$/), 'a view that begins late says how far it is');
ok(wait_for($node, q(SELECT bool_and(rows_per_second BETWEEN 1 AND 1000 AND expected_end BETWEEN now() AND now() + interval '1 minute')
	FROM streaming.stat_progress WHERE view = 'limited'::regclass)), 'how fast, and when it will be there');
is(sql(q(SET ROLE stranger; SELECT count(*) FROM streaming.stat_progress WHERE view = 'limited'::regclass)), 1, 'as anybody sees');
drain($node, 'limited');
cmp_ok(time - $begun, '>=', 4, 'it has taken its time');
is(sql('SELECT sum(c) FROM limited'), 3000, 'and all rows');
cmp_ok(sql(q(SELECT max(input_rows) FROM streaming.batches WHERE view = 'limited'::regclass)), '<=', 500, 'no batch has more than those of a second');
ok(wait_for($node, 'SELECT count(*) FROM streaming.stat_progress', '0'), 'then there is nothing to say');

# A view that is up to date does not wait.
put_file($dir, "5$_.json", qq({"n": 50}\n) x 300) foreach 0 .. 2;
ok(wait_for($node, 'SELECT sum(c) FROM limited', '3900'), 'what comes is taken');

# The setting counts where a view has no rate of its own.
sql('ALTER SYSTEM SET streaming.catch_up_rate = 1000');
$node->reload;
sql(q(ALTER VIEW limited RESET (streaming.catch_up_rate)));
wait_for($node, 'SHOW streaming.catch_up_rate', '1000') or die 'no reload';
$begun = time;
sql(q(SELECT streaming.reset('limited')));
ok(wait_for($node, progress('limited'), qr/^f\|reset\|\d+\|(?:3900|)\|\d+\|\d+$/), 'a view that was reset says so');
drain($node, 'limited');
cmp_ok(time - $begun, '>=', 2, 'the setting limits it');
is(sql('SELECT sum(c) FROM limited'), 3900, 'and all rows are there again');

# --- a drain ---------------------------------------------------------------

sql(q(CREATE VIEW lazy WITH (streaming.trigger = 'manual') AS SELECT n FROM f));
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nSELECT streaming.drain('lazy');\n");
ok(wait_for($node, progress('lazy'), qr/^f\|drain\|[1-9]\d*\|(?:3900|)\|\d+\|\d+$/), 'a drain that is running is shown');
ok(wait_for($node, 'SELECT count(*) FROM lazy', '3900'), 'and comes to its end');
ok(wait_for($node, 'SELECT count(*) FROM streaming.stat_progress', '0'), 'then there is nothing to say');
$session->quit;

# --- one long batch ----------------------------------------------------------

sql('CREATE VIEW filled WITH (streaming.continuous) AS SELECT slow(n) AS n FROM pushed');
ok(wait_for($node, progress('filled'), qr/^pushed\|catch-up\|(?:1024|2048)\|3000\|\|$/), 'rows that were pushed are counted in the middle of a batch');
sql(q(CREATE VIEW loaded WITH (streaming.follow = 'all') AS SELECT u.n FROM t JOIN u ON slow(t.n) = u.n));
ok(wait_for($node, progress('loaded') . q( AND stream = 't'::regclass), qr/^t\|initial load\|(?:1024|2048)\|3000\|\|[1-9]\d*$/), 'so are those of a table that is loaded');
sql('CREATE VIEW summed WITH (streaming.continuous) AS SELECT sum(slow(n)) AS n FROM loaded');
drain($node, 'loaded');
ok(wait_for($node, progress('summed'), qr/^loaded\|initial load\|\|\d*\|\|\d+$/), 'those of an aggregate are not');
drain($node, $_) foreach qw(filled summed);
is(sql('SELECT n FROM summed'), 3000 * 3001 / 2, 'it comes to its end');
ok(wait_for($node, 'SELECT count(*) FROM streaming.stat_progress', '0'), 'and nothing is left to say');

$node->stop;
done_testing();
