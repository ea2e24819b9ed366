# A role whose own table is followed, with domains whose checks are its code: that runs as
# the role, and never as who owns what captures the changes.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 200ms');

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE mallory LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE TABLE witness (who name);
GRANT INSERT ON witness TO PUBLIC;
SQL

sub as
{
	my ($role, $sql) = @_;
	return $node->safe_psql('postgres', $sql, connstr => $node->connstr('postgres') . " user=$role");
}

sub only_mallory
{
	my ($when) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return is($node->safe_psql('postgres', 'SELECT DISTINCT who FROM witness'), 'mallory', "checks run as who wrote them: $when");
}

as('mallory', <<'SQL');
CREATE FUNCTION mallory.check(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO public.witness VALUES (current_user);
	RETURN true;
END $$;
CREATE DOMAIN mallory.checked AS int CHECK (mallory.check(VALUE));
CREATE TABLE mallory.t (a int, d mallory.checked, l mallory.checked[]);
CREATE VIEW mallory.one WITH (streaming.follow = 'all') AS SELECT a FROM mallory.t;
INSERT INTO mallory.t VALUES (1, 2, '{3}');
SQL
drain($node, 'mallory.one');
only_mallory('rows that are captured');

# The capture has rows when it gets a column more.
as('mallory', q(INSERT INTO mallory.t VALUES (4, 5, '{6}'); CREATE VIEW mallory.more WITH (streaming.follow = 'all') AS SELECT a, d, l FROM mallory.t));
only_mallory('a column is added to a capture that has rows');
as('mallory', q(INSERT INTO mallory.t VALUES (7, 8, '{9}')));
drain($node, 'mallory.more');
same_as_batch($node, 'mallory.more', 'SELECT a, d, l FROM mallory.t', 'all rows are there');

as('mallory', q(CREATE VIEW mallory.ends WITH (streaming.follow = 'all') AS
	SELECT a % 2 AS k, min(d) AS low, max(l) AS high, count(DISTINCT d) AS n, count(DISTINCT l) AS m FROM mallory.t GROUP BY a % 2));
as('mallory', q(UPDATE mallory.t SET d = d + 1; DELETE FROM mallory.t WHERE a = 4));
drain($node, 'mallory.ends');
$node->safe_psql('postgres', 'VACUUM ANALYZE');
only_mallory('values of aggregates');

$node->stop;
done_testing();
