# Who pushes waits for views that are far behind, and is told for which.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', q(streaming.push_limit = '1MB'), q(streaming.lock_timeout = '0'));

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<'SQL');
CREATE TABLE gate (open boolean);
CREATE FUNCTION pass(r record) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM public.gate) LOOP
		PERFORM pg_catalog.pg_sleep(0.02);
	END LOOP;
END $$;
CREATE FOREIGN TABLE s (k int, pad text) SERVER streaming;
CREATE VIEW quick WITH (streaming.continuous) AS SELECT count(*) AS n FROM s;
CREATE VIEW slow WITH (streaming.foreach = 'pass') AS SELECT k FROM s;
INSERT INTO s VALUES (0, 'x');
SQL
drain($node, 'quick');
ok(wait_for($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep')), 'a view is held up');
sql(q(INSERT INTO s SELECT i, repeat('x', 1000) FROM generate_series(1, 3000) i));
drain($node, 'quick');

my ($ret, $out, $err) = $node->psql('postgres', q(SET statement_timeout = '10s'; INSERT INTO s VALUES (1, 'y')));
like($err, qr/NOTICE:  waiting until continuous view "slow" has taken rows of stream "s".*HINT: .*streaming\.enabled = off/s, 'an INSERT waits, and says for what');
like($err, qr/canceling statement due to statement timeout/, 'until it is cancelled');

# Who has written already does not wait: the view might wait for it.
is(sql(q(SET statement_timeout = '10s'; BEGIN; CREATE TABLE written (); INSERT INTO s VALUES (2, 'y'); COMMIT; SELECT 1)), 1, 'a transaction that has written goes on');
sql('INSERT INTO gate VALUES (true)');
sql(q(INSERT INTO s VALUES (3, 'y')));
drain($node, $_) foreach qw(quick slow);
is(sql('TABLE quick'), 3003, 'what was not cancelled is taken');

$node->stop;
done_testing();
