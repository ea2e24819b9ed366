# Tables that are followed: domains whose checks are a user's code, which runs as that user
# and never as who owns what captures the changes; and changes, which nobody but batches reads.

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

# --- Changes of others, by a parallel worker -----------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE secrets (a int, b text);
CREATE VIEW follower WITH (streaming.follow = 'all') AS SELECT a, b FROM secrets;
SELECT streaming.drain('follower');
ALTER VIEW follower SET (streaming.enabled = off);
INSERT INTO secrets VALUES (1, 'gone before anybody was let in');
DELETE FROM secrets;
GRANT SELECT ON secrets TO mallory;
SQL
my $changes = $node->safe_psql('postgres', q(SELECT oid::regclass FROM pg_class WHERE relkind = 'f' AND relname ~ ('_' || 'secrets'::regclass::oid || '$')));
as('mallory', <<SQL);
CREATE TABLE mallory.x AS SELECT 1 AS a;
CREATE FUNCTION mallory.peek(int) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS 'BEGIN RETURN (SELECT string_agg(s::text, \$\$;\$\$) FROM $changes s); END';
SQL
foreach my $leader (qw(on off))
{
	my (undef, $out, $stderr) = $node->psql('postgres', <<SQL);
SET ROLE mallory; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = $leader;
SELECT mallory.peek(a) FROM mallory.x;
SQL
	like($stderr, qr/cannot read "follow_/, "changes are nobody's to read, leader $leader");
	is($out, '', 'and none is read');
}

# --- A trigger that adds rows behind the one that takes all away -----------------

as('mallory', <<'SQL');
CREATE TABLE mallory.z (a int);
CREATE VIEW mallory.of_z WITH (streaming.follow = 'all') AS SELECT a FROM mallory.z;
CREATE FUNCTION mallory.add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO mallory.z VALUES (7); RETURN NULL; END $$;
CREATE TRIGGER "~~" BEFORE TRUNCATE ON mallory.z EXECUTE FUNCTION mallory.add();
INSERT INTO mallory.z VALUES (1);
SQL
my (undef, undef, $stderr) = $node->psql('postgres', 'SET ROLE mallory; TRUNCATE mallory.z');
like($stderr, qr/cannot truncate table "z", which a continuous view follows\nDETAIL:  Trigger "~~"/, 'a trigger that fires too late is told');
as('mallory', 'ALTER TRIGGER "~~" ON mallory.z RENAME TO early; TRUNCATE mallory.z; INSERT INTO mallory.z VALUES (2)');
drain($node, 'mallory.of_z');
same_as_batch($node, 'mallory.of_z', 'SELECT a FROM mallory.z', 'an earlier one may add what it likes');

$node->stop;
done_testing();
