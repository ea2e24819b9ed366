# A view that fails stops nobody else, tells what is wrong, and goes on when
# that is mended.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 500ms', 'streaming.buffer_size = 1MB', 'streaming.query_workers = 1');
my $dir = $node->basedir . '/landing';
mkdir $dir;

my $trouble = qr/^(retrying|failed)\|.*division by zero/;

# --- pushed rows ------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE s (k int, v int) SERVER streaming;
CREATE TABLE divisor (k int PRIMARY KEY, d int);
INSERT INTO divisor VALUES (1, 1), (2, 0);
CREATE VIEW bad WITH (streaming.continuous) AS SELECT k, sum(v / d) FROM s JOIN divisor USING (k) GROUP BY k;
CREATE VIEW bad_rows WITH (streaming.trigger = '50 ms') AS SELECT k, v / k AS q FROM s;
CREATE VIEW good WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v) FROM s GROUP BY k;
INSERT INTO s VALUES (1, 10);
SQL
drain($node, $_) foreach qw(bad bad_rows good);
$node->safe_psql('postgres', 'INSERT INTO s VALUES (2, 20)');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'bad'::regclass), $trouble),
	'a view that divides by zero tells so');
is($node->safe_psql('postgres', 'SELECT * FROM bad'), '1|10', 'it shows what it had');
foreach my $i (1 .. 5)
{
	$node->safe_psql('postgres', "INSERT INTO s SELECT i % 5, i FROM generate_series(1, 100) i");
	ok(wait_for($node, 'SELECT sum(n) FROM good', 2 + 100 * $i), 'the other view goes on');
}
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'bad_rows'::regclass), $trouble),
	'a second one fails on a row of its own');
is($node->safe_psql('postgres', q(SELECT status, coalesce(last_error, '') FROM streaming.views WHERE view = 'good'::regclass)),
	'running|', 'the good one has no error');
my ($ret, $out, $err) = $node->psql('postgres', "SELECT streaming.drain('bad', '20 s')");
like($err, qr/division by zero/, 'drain of the failing view gives its error');

# Mended: what it missed is not lost.
$node->safe_psql('postgres', 'UPDATE divisor SET d = 2 WHERE k = 2');
ok(wait_for($node, q(SELECT status, coalesce(last_error, '') FROM streaming.views WHERE view = 'bad'::regclass), 'running|'),
	'the view recovers by itself');
drain($node, 'bad');
is($node->safe_psql('postgres', 'SELECT * FROM bad ORDER BY k'),
	$node->safe_psql('postgres', q(SELECT k, sum FROM (VALUES
		(1, 10 + (SELECT 5 * sum(i) FROM generate_series(1, 100) i WHERE i % 5 = 1)),
		(2, 10 + (SELECT 5 * sum(i / 2) FROM generate_series(1, 100) i WHERE i % 5 = 2))) x (k, sum))),
	'and has what it missed');

$node->safe_psql('postgres', 'ALTER VIEW bad_rows SET (streaming.enabled = off)');
is($node->safe_psql('postgres', q(SELECT status FROM streaming.views WHERE view = 'bad_rows'::regclass)), 'paused', 'a failing view can be paused');
$node->safe_psql('postgres', 'ALTER VIEW bad_rows SET (streaming.enabled = on)');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'bad_rows'::regclass), $trouble), 'and resumed, with the same error');
$node->safe_psql('postgres', 'DROP VIEW bad_rows');
$node->safe_psql('postgres', 'CREATE VIEW bad_rows WITH (streaming.continuous) AS SELECT k, v / nullif(k, 0) AS q FROM s');
$node->safe_psql('postgres', 'INSERT INTO s VALUES (0, 1)');
drain($node, 'bad_rows');
ok(wait_for($node, q(SELECT count(*) FROM bad_rows WHERE q IS NULL), qr/^[1-9]/), 'and made anew');

# --- what is missing comes back ---------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE taken (k int, v int);
CREATE FUNCTION helper(v int) RETURNS int LANGUAGE sql AS 'SELECT v';
CREATE FUNCTION put(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.taken VALUES (r.k, public.helper(r.v));
END
$$;
CREATE FOREIGN TABLE given (k int, v int) SERVER streaming;
CREATE VIEW gives WITH (streaming.foreach = 'put') AS SELECT k, v FROM given;
INSERT INTO given VALUES (1, 1);
SQL
my $gives = q(SELECT status, last_error FROM streaming.views WHERE view = 'gives'::regclass);
drain($node, 'gives');
$node->safe_psql('postgres', 'ALTER FUNCTION helper RENAME TO helper2; INSERT INTO given VALUES (2, 2)');
ok(wait_for($node, $gives, qr/^failed\|function public\.helper\(integer\) does not exist.*CONTEXT:.*public\.put\(record\) line 3/s),
	'a view whose function calls one that is missing has failed, and tells where');
$node->safe_psql('postgres', 'ALTER FUNCTION helper2 RENAME TO helper');
ok(wait_for($node, 'SELECT count(*) FROM taken', '2'), 'it goes on when that is there again');
ok(wait_for($node, $gives, 'running|'), 'and says so');
$node->safe_psql('postgres', 'ALTER TABLE taken RENAME TO taken2; INSERT INTO given VALUES (3, 3)');
ok(wait_for($node, $gives, qr/^failed\|relation "public\.taken" does not exist.*HINT:.*streaming\.retry_max/s), 'so has one whose table is missing, and tells how to go on');
$node->safe_psql('postgres', 'ALTER TABLE taken2 RENAME TO taken');
ok(wait_for($node, 'SELECT sum(v) FROM taken', '6'), 'it goes on, too');
# An error of many lines and characters of many bytes is cut to whole characters.
$node->safe_psql('postgres', <<'SQL');
CREATE OR REPLACE FUNCTION helper(v int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%', repeat('x', (random() * 3)::int) || repeat('€', 5000) USING DETAIL = repeat('€', 5000), HINT = repeat('€', 5000); END $$;
SQL
$node->safe_psql('postgres', 'INSERT INTO given VALUES (4, 4)');
ok(wait_for($node, q(SELECT last_error ~ '^x*€+\.\.\.\nDETAIL:  €+\.\.\.\nHINT:  €+\.\.\.\nCONTEXT:  ' AND octet_length(last_error) < 1024 FROM streaming.views WHERE view = 'gives'::regclass)),
	'a long error is cut');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE given CASCADE');

# --- more than a buffer holds -----------------------------------------------

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int, s text) SERVER landing OPTIONS (path '*.json');
UPDATE divisor SET d = 0;
INSERT INTO divisor VALUES (3, 0);
CREATE VIEW fbad WITH (streaming.continuous) AS SELECT k, sum(v / d) FROM f JOIN divisor USING (k) GROUP BY k;
CREATE VIEW fgood WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(v), max(s) FROM f GROUP BY k;
SQL
my $filler = 'x' x 100;
foreach my $n (1 .. 10)
{
	put_file($dir, "$n.json", join '', map { sprintf qq({"k": %d, "v": %d, "s": "%s"}\n), $_ % 5, $_, $filler } 1 .. 5000);
}
ok(wait_for($node, 'SELECT sum(n) FROM fgood', 50000), 'the good view passes the failing one by many buffers');
ok(wait_for($node, q(SELECT status, last_error FROM streaming.views WHERE view = 'fbad'::regclass), $trouble), 'which tells its error');
$node->safe_psql('postgres', 'UPDATE divisor SET d = 7');
ok(wait_for($node, q(SELECT status, coalesce(last_error, '') FROM streaming.views WHERE view = 'fbad'::regclass), 'running|'), 'mended');
drain($node, 'fbad');
same_as_batch($node, 'fbad', 'SELECT k, sum(v / d) FROM f JOIN divisor USING (k) GROUP BY k', 'it has caught up with all it missed');
same_as_batch($node, 'fgood', 'SELECT k, count(*) AS n, sum(v), max(s) FROM f GROUP BY k');

$node->stop;
done_testing();
