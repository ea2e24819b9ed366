# Files that are written, as a reader sees them that looks all the while: each
# whole, each result once; how many there are; what happens while the directory
# cannot be written.

use strict;
use warnings;

use StreamingTaker;
use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.retry_max = 200ms');
my $base = $node->basedir . '/out';
mkdir $base;
mkdir "$base/$_" foreach qw(taken few size complete inserted locked shared large latin starred);

sub names
{
	my ($dir) = @_;

	opendir my $handle, "$base/$dir" or die "$base/$dir: $!";
	my @names = sort grep { !/^\.\.?$/ } readdir $handle;
	return @names;
}

# What a taker has, against what it should have.
sub same_lines
{
	my ($taker, $query, $test) = @_;

	return is(join("\n", sort $taker->lines), join("\n", sort split /\n/, $node->safe_psql('postgres', $query)), $test);
}

$node->safe_psql('postgres', <<SQL);
CREATE SERVER there FOREIGN DATA WRAPPER directory OPTIONS (path '$base');
CREATE FOREIGN TABLE source (id int, k text) SERVER streaming;
CREATE TABLE mirror (id int, k text);
CREATE FOREIGN TABLE taken (id int, k text) SERVER there OPTIONS (path 'taken/part-*.json.gz', file_interval '50 ms', file_max_rows '100');
CREATE VIEW all_rows WITH (streaming.sink = 'taken') AS SELECT id, k FROM source;
SQL

# A reader that takes files away gets each row once.
my $taker = StreamingTaker->new("$base/taken");
foreach my $round (1 .. 30)
{
	my $rows = 1 + int rand 300;

	$node->safe_psql('postgres', <<SQL);
BEGIN;
INSERT INTO source SELECT g, 'line ' || g || E'\\n"' FROM generate_series(1, $rows) g;
INSERT INTO mirror SELECT g, 'line ' || g || E'\\n"' FROM generate_series(1, $rows) g;
COMMIT;
SQL
}
drain($node, 'all_rows');
$taker->stop;
same_lines($taker, 'SELECT row_to_json(m) FROM mirror m', 'a reader that takes files away gets each row once');
is(join("\n", $taker->problems), '', 'and never one that is not whole');
my @files = $taker->files;
is(join("\n", grep { !/^part-\d{10}-\d{4}-[0-9a-f]{8}\.json\.gz$/ } @files), '', 'under names that the stream matches');
is(join("\n", @files), join("\n", sort @files), 'that sort in the order of writing');
# Who takes a file away has it before it is counted.
ok(wait_for($node, q(SELECT pending_rows, delivered_rows = (SELECT count(*) FROM mirror), status, last_error FROM streaming.stat_sinks WHERE stream = 'taken'::regclass),
	'0|t|running|'), 'streaming.stat_sinks has counted them');

# Many small transactions do not make many small files.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE few (id int, k text) SERVER there OPTIONS (path 'few/*.csv', format 'csv', file_interval '1 day', file_max_rows '1000');
CREATE FOREIGN TABLE size (id int, k text) SERVER there OPTIONS (path 'size/*', format 'text', file_interval '1 day', file_max_size '16kB');
CREATE FOREIGN TABLE trickle (id int, k text) SERVER streaming;
CREATE VIEW few_files WITH (streaming.sink = 'few') AS SELECT id, k FROM trickle;
CREATE VIEW sized_files WITH (streaming.sink = 'size') AS SELECT id, k FROM trickle;
SQL
$node->safe_psql('postgres', "INSERT INTO trickle VALUES ($_, 'row $_')") foreach 1 .. 50;
ok(wait_for($node, q(SELECT pending_rows FROM streaming.stat_sinks WHERE stream = 'few'::regclass), '50'),
	'rows wait for others');
is(join(' ', names('few')), '', 'without a file');
drain($node, $_) foreach qw(few_files sized_files);
is(scalar(names('few')), 1, 'drain does not wait, and makes one file of 50 transactions');
same_as_batch($node, 'few_files', 'SELECT g AS id, format($$row %s$$, g) AS k FROM generate_series(1, 50) g');
$node->safe_psql('postgres', q(INSERT INTO trickle SELECT g, 'row ' || g FROM generate_series(51, 3050) g));
ok(wait_for($node, 'SELECT count(*) FROM few_files', '3050'), 'rows that fill a file do not wait for its time');
is(join(' ', map { scalar split /\n/, PostgreSQL::Test::Utils::slurp_file("$base/few/$_") } names('few')), '50 1000 1000 1000',
	'files have no more rows than they may');
ok(wait_for($node, 'SELECT count(*) FROM sized_files', '3050'), 'nor do bytes');
is(scalar(grep { -s "$base/size/$_" > 17 * 1024 } names('size')), 0, 'files are no larger than they may be');
is(scalar(names('size')), 4, 'and are not small without need');

# A result that is replaced: whoever opens the file sees one that was whole.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE moves (account text, amount int) SERVER streaming;
CREATE FOREIGN TABLE balances (account text, balance bigint, moves bigint) SERVER there OPTIONS (path 'complete/balances.csv', format 'csv', header 'true');
CREATE VIEW balance WITH (streaming.sink = 'balances', streaming.output_mode = 'complete') AS
	SELECT account, sum(amount) AS balance, count(*) AS moves FROM moves GROUP BY account;
INSERT INTO moves SELECT a, 0 FROM generate_series(1, 200) a;
SQL
drain($node, 'balance');
my $file = "$base/complete/balances.csv";
my ($seen, $wrong, %versions) = (0, '');
sub look
{
	my @lines = split /\n/, eval { PostgreSQL::Test::Utils::slurp_file($file) } // "gone: $@";
	my ($sum, $moves) = (0, 0);

	foreach (@lines[ 1 .. $#lines ])
	{
		my (undef, $balance, $n) = split /,/;
		$sum += $balance;
		$moves += $n;
	}
	$seen++;
	$versions{$moves} = 1;
	$wrong ||= join("\n", @lines) unless @lines == 201 && $lines[0] eq 'account,balance,moves' && $sum == 0;
	return;
}
my $session = $node->background_psql('postgres');
foreach my $round (1 .. 40)
{
	$session->query_safe("INSERT INTO moves SELECT a, CASE WHEN a % 2 = 0 THEN $round ELSE -$round END FROM generate_series(1, 200) a");
	look() foreach 1 .. 20;
}
$session->quit;
my $until = 200 * 41;
ok(wait_until(sub { look(); $versions{$until} }), 'the file shows the result');
is($wrong, '', 'a reader of the file never sees half a result');
cmp_ok(scalar(keys %versions), '>', 1, "$seen looks have seen more than one result");
is(join(' ', names('complete')), 'balances.csv', 'and nothing else is left there');
same_as_batch($node, 'balance', q(SELECT account, sum(amount) AS balance, count(*) AS moves FROM moves GROUP BY account));

# A result does not wait, wherever it goes.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE starred (n bigint) SERVER there OPTIONS (path 'starred/now-*.json', file_interval '1 day');
CREATE VIEW counted WITH (streaming.sink = 'starred', streaming.output_mode = 'complete') AS SELECT count(*) AS n FROM moves;
SQL
ok(wait_for($node, 'SELECT n FROM starred', $until), 'a result is written at once');
$node->safe_psql('postgres', 'INSERT INTO moves VALUES (1, 0)');
ok(wait_for($node, 'SELECT n FROM starred', $until + 1), 'and the next one');
is(join(' ', names('starred')), 'now-result.json', 'in its place');

# INSERT and COPY by users, at commit.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE inserted (id int, note text DEFAULT 'none', path text OPTIONS (metadata 'path')) SERVER there OPTIONS (path 'inserted/*.json.zst', file_interval '100 ms');
BEGIN;
INSERT INTO inserted VALUES (1);
SAVEPOINT s;
INSERT INTO inserted VALUES (2);
ROLLBACK TO s;
INSERT INTO inserted VALUES (3, 'three');
COMMIT;
BEGIN;
INSERT INTO inserted VALUES (4);
ROLLBACK;
SQL
$node->safe_psql('postgres', "COPY inserted (id) FROM stdin;\n5\n6\n\\.\n");
ok(wait_for($node, q(SELECT string_agg(id || ' ' || note, ', ' ORDER BY id) FROM inserted), '1 none, 3 three, 5 none, 6 none'),
	'what is inserted appears by itself, without what was rolled back');

# JSON is UTF-8, whatever the database is; CSV is in the database's encoding, or
# in the one that is asked for.
$node->safe_psql('postgres', q(CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0));
$node->safe_psql('latin', <<SQL);
SET client_encoding = 'UTF8';
CREATE EXTENSION streaming;
CREATE SERVER there FOREIGN DATA WRAPPER directory OPTIONS (path '$base');
CREATE FOREIGN TABLE j (s text OPTIONS (field 'été')) SERVER there OPTIONS (path 'latin/j-*', file_interval '0');
CREATE FOREIGN TABLE c (s text OPTIONS (field 'été')) SERVER there OPTIONS (path 'latin/c-*', format 'csv', header 'match', file_interval '0');
CREATE FOREIGN TABLE u (s text) SERVER there OPTIONS (path 'latin/u-*', format 'csv', encoding 'UTF8', file_interval '0');
INSERT INTO j VALUES ('né "à"');
INSERT INTO c VALUES ('né "à"');
INSERT INTO u VALUES ('né "à"');
SQL
ok(wait_until(sub { grep(!/^\./, names('latin')) == 3 }), 'files of a database in LATIN1');
is(join('', map { PostgreSQL::Test::Utils::slurp_file("$base/latin/$_") } sort { $b cmp $a } names('latin')),
	qq("né ""à"""\n{"été":"né \\"à\\""}\n\xe9t\xe9\n"n\xe9 ""\xe0"""\n), 'have its encoding, or UTF-8');
is($node->safe_psql('latin', q(SET client_encoding = 'UTF8'; SELECT j.s, c.s, u.s FROM j, c, u)), ('né "à"|' x 3) =~ s/.\z//r, 'and come back');

# A view that reads what another one writes takes each file once, and whole.
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE shared (id int, k text) SERVER there OPTIONS (path 'shared/*.json', file_interval '10 ms');
CREATE VIEW writer WITH (streaming.sink = 'shared') AS SELECT id, k FROM source;
CREATE VIEW reader WITH (streaming.continuous) AS SELECT k, count(*) AS n, sum(id) FROM shared GROUP BY k;
SQL
foreach my $round (1 .. 10)
{
	$node->safe_psql('postgres', "INSERT INTO source VALUES ($round, 'again'); INSERT INTO mirror VALUES ($round, 'again')");
}
drain($node, $_) foreach qw(writer reader);
same_as_batch($node, 'reader', 'SELECT k, count(*) AS n, sum(id) FROM mirror GROUP BY k');

# Permission is lost: shown, tried again, nothing lost, and others go on.
my $stat = q(SELECT status, last_error ~ 'could not (create|open).*Permission denied', pending_rows FROM streaming.stat_sinks WHERE stream = 'locked'::regclass);
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE locked (id int, k text) SERVER there OPTIONS (path 'locked/*.json', file_interval '0');
CREATE VIEW unlucky WITH (streaming.sink = 'locked') AS SELECT id, k FROM source WHERE k LIKE 'locked%';
INSERT INTO source VALUES (1, 'locked before');
SQL
drain($node, 'unlucky');
chmod 0500, "$base/locked";
$node->safe_psql('postgres', q(INSERT INTO source SELECT g, 'locked ' || g FROM generate_series(1, 10) g));
ok(wait_for($node, $stat, 'retrying|t|10'), 'a directory that cannot be written is shown, with what waits for it');
$node->safe_psql('postgres', q(INSERT INTO trickle VALUES (0, 'goes on')));
drain($node, 'few_files');
is($node->safe_psql('postgres', q(SELECT count(*) FROM few_files WHERE k = 'goes on')), 1, 'other sinks go on');
$node->restart;
chmod 0700, "$base/locked";
ok(wait_for($node, 'SELECT count(*), count(DISTINCT k) FROM unlucky', '11|11'), 'all arrives once it can be written');
ok(wait_for($node, $stat =~ s/last_error ~ [^,]*,/last_error IS NULL,/r, 'running|t|0'), 'and nothing is wrong any more');

# No room: the limit is one on the size of files, so it needs no disk. Segments
# of the log are 16 MB.
SKIP:
{
	skip 'no prlimit here', 4 if system('prlimit --version >/dev/null 2>&1');
	my $limit = sub {
		system("prlimit --pid $_ --fsize=$_[0]:unlimited") == 0 or die 'prlimit' foreach worker_pids($node, 'streaming delivery');
	};
	$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE large (id int, s text) SERVER there OPTIONS (path 'large/*.csv', format 'csv', file_interval '0');
INSERT INTO large VALUES (0, 'x');
SQL
	ok(wait_for($node, 'SELECT count(*) FROM large', '1'), 'files are written while there is room');
	$limit->(20 * 1024 * 1024);
	$node->safe_psql('postgres', q(INSERT INTO large SELECT g, repeat('x', 1024 * 1024) FROM generate_series(1, 30) g));
	ok(wait_for($node, q(SELECT status, last_error, pending_rows FROM streaming.stat_sinks WHERE stream = 'large'::regclass), qr/^retrying\|could not write to file.*File too large\|30$/),
		'a full disk is shown');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM large'), 1, 'nothing of what had no room is seen');
	$limit->('unlimited');
	ok(wait_for($node, 'SELECT count(*), count(DISTINCT id), min(length(s)) FILTER (WHERE id > 0) FROM large', '31|31|1048576'),
		'all arrives once there is room');
}

# So does a right that is taken away.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE limited;
GRANT pg_write_server_files, pg_read_server_files TO limited;
GRANT SELECT ON source TO limited;
ALTER FOREIGN TABLE locked OWNER TO limited;
INSERT INTO locked VALUES (0, 'by the owner');
SQL
ok(wait_for($node, 'SELECT count(*) FROM locked', '12'), 'the owner of the stream may write files');
$node->safe_psql('postgres', 'REVOKE pg_write_server_files FROM limited');
like(do { my $error = ''; $node->psql('postgres', 'INSERT INTO locked VALUES (1)', stderr => \$error); $error },
	qr/permission denied to write files for stream public\.locked/, 'and not without the role that makes it so');

is(join(' ', grep { /^\./ } map { names($_) } qw(taken few size complete inserted locked shared large latin starred)), '', 'no hidden file is left');

$node->stop;
done_testing();
