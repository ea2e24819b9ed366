# ALTER of a stream while rows wait: they are read as those of a table would be.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main');
my $dir = $node->basedir . '/landing';
mkdir $dir;

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub refused
{
	my ($sql, $error, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($ret, $out, $err) = $node->psql('postgres', $sql);

	return like($err, $error, $what || "refused: $sql");
}

# ---- Pushed rows ----

# The same is done to a table and to a stream; taken is a view that is drained at
# the end, kept one that is made at the end, and each reads a column of its own.
sql(<<'SQL');
CREATE SCHEMA elsewhere;
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN large AS int CHECK (VALUE > 100);
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE parent (a int, gone text, b text, p pair, m mood, d positive, c varchar(5), z int);
CREATE TABLE t (LIKE parent);
CREATE FOREIGN TABLE s (a int, gone text, b text, p pair, m mood, d positive, c varchar(5), z int) SERVER streaming;
CREATE VIEW taken WITH (streaming.trigger = 'manual') AS SELECT a, b, p, m, z FROM s;
CREATE VIEW sums WITH (streaming.trigger = 'manual') AS SELECT b, sum(z) AS z, count(*) AS n FROM s GROUP BY b;
SQL

sub both
{
	my ($sql) = @_;

	foreach my $relation (qw(s t))
	{
		(my $one = $sql) =~ s/\bREL\b/$relation/g;
		sql($one);
	}
}

sub same
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	same_as_batch($node, 's', 'SELECT * FROM t', "$what: SELECT");
	same_as_batch($node, '(SELECT s::text FROM s)', 'SELECT t::text FROM t', "$what: whole rows");
	drain($node, $_) foreach qw(taken sums);
	same_as_batch($node, 'taken', 'SELECT a, b, p, m, z FROM t', "$what: view");
	same_as_batch($node, 'sums', 'SELECT b, sum(z) AS z, count(*) AS n FROM t GROUP BY b', "$what: groups");
}

my $insert = q(INSERT INTO REL (a, b, p, m, z) SELECT i, 'b' || i %% 3, ROW(i, 'p' || i)::pair, 'good', i * 10 FROM generate_series(%d, %d) i);
both(sprintf $insert, 1, 10);
both(q(INSERT INTO REL VALUES (11, repeat('gone', 1000), 'b1', ROW(11, NULL), 'bad', 1, 'short', 7)));
same('before');

foreach my $change (
	'ALTER TABLE REL DROP COLUMN gone',
	'ALTER TABLE REL ADD COLUMN added text',
	'ALTER TABLE REL ALTER COLUMN c TYPE varchar(10)',
	'ALTER TABLE REL ALTER COLUMN c TYPE text',
	'ALTER TABLE REL ALTER COLUMN d TYPE int',
	'ALTER TABLE REL DROP COLUMN d',
	'ALTER TABLE REL DROP COLUMN c, ADD COLUMN c date',
	'ALTER TABLE REL RENAME COLUMN added TO renamed',
	'ALTER TABLE REL ALTER COLUMN b SET NOT NULL',
	'ALTER TABLE REL ADD CHECK (a > 0)',
	'ALTER TABLE REL ALTER COLUMN z SET DEFAULT 3',
	'ALTER TABLE REL SET SCHEMA elsewhere; ALTER TABLE elsewhere.REL SET SCHEMA public')
{
		both(sprintf $insert, 100, 120);

	# In the transaction that inserts, too, and with rows of a subtransaction.
	both('BEGIN; ' . sprintf($insert, 200, 203) . '; SAVEPOINT a; ' . sprintf($insert, 204, 207) . "; RELEASE a; $change; " . sprintf($insert, 300, 310) . '; COMMIT');
	both(sprintf $insert, 400, 401);
	same($change);
}
foreach my $change (q(ALTER TYPE mood ADD VALUE 'so so'), 'ALTER TYPE pair RENAME ATTRIBUTE a TO x', 'ALTER TYPE mood RENAME TO temper',
	'ALTER TYPE pair ADD ATTRIBUTE more int', 'ALTER TYPE pair DROP ATTRIBUTE b')
{
	both(sprintf $insert, 100, 120) if $change !~ /ATTRIBUTE (more|b)/;
	sql($change);
	same($change);
}
$node->restart;
same('after a restart');

# A view made now reads the old rows with the columns that are there.
sql('CREATE VIEW late WITH (streaming.trigger = \'manual\') AS SELECT s, renamed, c FROM s');
drain($node, 'late');
same_as_batch($node, 'late', 'SELECT s, renamed, c FROM s', 'a view that is made later');
sql('DROP VIEW late');

# A column added later is NULL in rows that are there, as in any foreign table.
sql('CREATE FOREIGN TABLE n (a int) SERVER streaming; INSERT INTO n VALUES (1)');
sql('ALTER FOREIGN TABLE n ADD COLUMN filled int DEFAULT 5; INSERT INTO n VALUES (2)');
is(sql('SELECT * FROM n ORDER BY a'), "1|\n2|5", 'defaults are for rows to come');

# What cannot be right is refused.
refused('ALTER FOREIGN TABLE n ALTER COLUMN a TYPE text', qr/cannot change the type of column "a" of stream public.n while it holds rows.*HINT:  /s);
refused('ALTER FOREIGN TABLE n ALTER COLUMN a TYPE bigint', qr/cannot change the type/);
refused('ALTER FOREIGN TABLE n ALTER COLUMN a TYPE large', qr/value for domain public.large violates/);
sql('ALTER FOREIGN TABLE n ALTER COLUMN a TYPE positive');
refused(q(ALTER FOREIGN TABLE n OPTIONS (ADD durable 'false')), qr/cannot change the option "durable" of stream public.n while it holds rows/);
refused('ALTER FOREIGN TABLE n ALTER COLUMN filled SET NOT NULL', qr/null value in column "filled" of relation "n" violates not-null constraint/);
refused('ALTER FOREIGN TABLE n ADD COLUMN must int NOT NULL', qr/null value in column "must"/);
refused('ALTER FOREIGN TABLE n ADD CHECK (a > 1)', qr/violates check constraint/);
is(sql('INSERT INTO n VALUES (3, 3); SELECT * FROM n ORDER BY a'), "1|\n2|5\n3|3", 'and changes nothing');
sql('CREATE FOREIGN TABLE e (a int) SERVER streaming');
sql(q(ALTER FOREIGN TABLE e OPTIONS (ADD durable 'false'); ALTER FOREIGN TABLE e ALTER COLUMN a TYPE text; ALTER FOREIGN TABLE e ADD COLUMN b int NOT NULL));
is(sql(q(INSERT INTO e VALUES ('x', 1); TABLE e)), 'x|1', 'a stream without rows is changed freely');

# Constraints hold for what is pushed.
sql(q(CREATE FUNCTION even(int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 % 2 = 0'));
sql('CREATE FOREIGN TABLE checked (k int NOT NULL, v int CHECK (even(v))) SERVER streaming');
refused('INSERT INTO checked VALUES (1, 1)', qr/violates check constraint "checked_v_check".*Failing row contains \(1, 1\)/s);
refused('INSERT INTO checked VALUES (NULL, 2)', qr/null value in column "k"/);
refused("COPY checked FROM PROGRAM 'echo 1,2; echo 1,3' (FORMAT csv)", qr/violates check constraint.*COPY checked, line 2/s);
is(sql('INSERT INTO checked VALUES (1, 2), (2, NULL); SELECT * FROM checked ORDER BY k'), "1|2\n2|", 'rows that hold are taken');

# The type of a column that is gone can go.
sql('ALTER FOREIGN TABLE s DROP COLUMN m CASCADE');
sql('DROP TABLE t, parent; DROP TYPE temper');
is(sql('SELECT count(*) > 0 FROM s'), 't', 'rows stay');

# A stream that inherits.
sql(<<'SQL');
CREATE TABLE base (a int, b text);
CREATE FOREIGN TABLE child () INHERITS (base) SERVER streaming;
INSERT INTO child VALUES (1, 'x');
ALTER TABLE base ADD COLUMN c int;
ALTER TABLE base DROP COLUMN a;
SQL
is(sql('SELECT * FROM child'), 'x|', 'what its parent gets, it gets');

# ---- Files ----

sql(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (a text, b int, gone text) SERVER landing OPTIONS (path '*.json');
CREATE VIEW "all" WITH (streaming.trigger = 'manual') AS SELECT b FROM f;
CREATE VIEW gone WITH (streaming.continuous) AS SELECT a, gone, count(*) AS n FROM f GROUP BY a, gone;
SQL
put_file($dir, '1.json', join '', map { qq({"a": "$_", "b": $_, "gone": "gone$_", "c": $_}\n) } 1 .. 1000);
drain($node, 'gone');
sql('DROP VIEW gone; ALTER FOREIGN TABLE f DROP COLUMN gone');
drain($node, 'all');
is(sql('SELECT count(*), sum(b) FROM "all"'), '1000|500500', 'rows in the buffer, with a column that has gone');
sql('ALTER FOREIGN TABLE f ADD COLUMN c int, ALTER COLUMN a TYPE int');
put_file($dir, '2.json', join '', map { qq({"a": "$_", "b": $_, "c": $_}\n) } 1 .. 1000);
sql('CREATE VIEW of_a WITH (streaming.continuous) AS SELECT a, c FROM f');
drain($node, $_) foreach 'all', 'of_a';
is(sql('SELECT count(*), sum(b) FROM "all"'), '2000|1001000', 'with others that come');
is(sql('SELECT count(*), sum(a), sum(c) FROM of_a'), '2000|1001000|1001000', 'of other types');
refused('CREATE FOREIGN TABLE g (a int NOT NULL) SERVER landing OPTIONS (path \'*\')', qr/cannot have a NOT NULL constraint.*HINT/s);
refused('CREATE FOREIGN TABLE g (a int CHECK (a > 0)) SERVER landing OPTIONS (path \'*\')', qr/cannot have a CHECK constraint/);
refused('ALTER FOREIGN TABLE f ADD CHECK (b > 0)', qr/cannot have a CHECK constraint/);

is(sql(q(SELECT count(*) FROM streaming.views WHERE last_error IS NOT NULL)), 0, 'no view has met an error');
$node->stop;
done_testing();
