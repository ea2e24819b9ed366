# streaming.status, and what is told of streams whose records are no good.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms', 'streaming.rejected_limit = 10',
	'streaming.retry_max = 500ms');
my $dir = $node->basedir . '/landing';
mkdir $dir;
mkdir "$dir/$_" foreach qw(good bad mixed);

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE good (k text, n int, misspelt text, "Other" int, line bigint OPTIONS (metadata 'line'))
	SERVER landing OPTIONS (path 'good/*.json');
CREATE FOREIGN TABLE bad (k text, n int) SERVER landing OPTIONS (path 'bad/*.json');
CREATE FOREIGN TABLE mixed (k text, n int) SERVER landing OPTIONS (path 'mixed/*.json');
CREATE FOREIGN TABLE pushed (n int) SERVER streaming;
CREATE VIEW good_rows WITH (streaming.continuous) AS SELECT k, n, misspelt FROM good;
CREATE VIEW bad_rows WITH (streaming.continuous) AS SELECT k, n FROM bad;
CREATE VIEW mixed_rows WITH (streaming.continuous) AS SELECT k, n FROM mixed;
CREATE VIEW lazy WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n FROM pushed;
CREATE VIEW failing WITH (streaming.continuous) AS SELECT 1 / n AS n FROM pushed;
CREATE VIEW paused WITH (streaming.enabled = off) AS SELECT n FROM pushed;
SQL

# A view that is up with its source.
put_file("$dir/good", 'a.json', join '', map { qq({"k": "a", "n": $_}\n) } 1 .. 1100);
drain($node, 'good_rows');
is($node->safe_psql('postgres', <<'SQL'), 'running||0|0|t|t|t', 'a view that has taken all there is');
SELECT state, why, lag_rows, lag_seconds, rows_per_second > 0, last_batch_at > now() - interval '1 hour', last_batch_ms > 0
FROM streaming.status WHERE view = 'good_rows'::regclass
SQL

# Columns that no record has had.
ok(wait_for($node, q(SELECT absent_columns FROM streaming.stat_streams WHERE stream = 'good'::regclass), '{misspelt,Other}'),
	'columns without a field are named');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile),
	qr/WARNING:  no record of stream \S+ has had a field for column "misspelt", "Other"/, 'and warned of in the log');
put_file("$dir/good", 'b.json', qq({"k": "b", "n": 1, "Other": null}\n));
ok(wait_for($node, q(SELECT absent_columns FROM streaming.stat_streams WHERE stream = 'good'::regclass), '{misspelt}'),
	'until a record has one, be it null');
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE good ALTER misspelt OPTIONS (field 'k')));
put_file("$dir/good", 'c.json', qq({"k": "c", "n": 1, "other": 1}\n));
ok(wait_for($node, q(SELECT absent_columns IS NULL, rows_read FROM streaming.stat_streams WHERE stream = 'good'::regclass), 't|1102'),
	'none any more');
my @warnings = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /no record of stream/g;
is(@warnings, 1, 'one warning is enough');

# A stream all of whose records are bad.
put_file("$dir/bad", 'a.json', qq({"k": "a", "n": "one"}\n));
ok(wait_for($node, <<'SQL', 'waiting|t|waiting|t|t'), 'a view whose stream has nothing but bad records says so');
SELECT s.state, s.why ~ 'all of its 1 records so far have been rejected: column "n"', v.status, v.last_error = s.why,
	(SELECT last_error ~ 'rejected' FROM streaming.stat_streams WHERE stream = 'bad'::regclass)
FROM streaming.status s JOIN streaming.views v USING (view) WHERE view = 'bad_rows'::regclass
SQL
put_file("$dir/mixed", 'a.json', qq({"k": "a", "n": 1}\n{"k": "a", "n": "one"}\n));
drain($node, 'mixed_rows');
ok(wait_for($node, q(SELECT rejected_rows FROM streaming.stat_streams WHERE stream = 'mixed'::regclass), '1'), 'one is rejected');
is($node->safe_psql('postgres', q(SELECT state, why FROM streaming.status WHERE view = 'mixed_rows'::regclass)), 'running|',
	'one bad record among good ones is no trouble');
put_file("$dir/mixed", 'b.json', qq({"n": "two"}\n) x 100);
ok(wait_for($node, q(SELECT state, why ~ 'its last 100 records' FROM streaming.status WHERE view = 'mixed_rows'::regclass), 'waiting|t'),
	'many in a row are');
put_file("$dir/mixed", 'c.json', qq({"k": "c", "n": 1}\n));
ok(wait_for($node, q(SELECT state, why FROM streaming.status WHERE view = 'mixed_rows'::regclass), 'running|'), 'until a good one comes');

# No more than so many of them are kept, the newest.
is($node->safe_psql('postgres', <<'SQL'), 't|t', 'about ten of a hundred are kept');
SELECT count(*) BETWEEN 9 AND 10, bool_and(path ~ 'b.json') FROM streaming.rejected_rows WHERE stream = 'mixed'::regclass
SQL
is($node->safe_psql('postgres', q(SELECT rejected_rows FROM streaming.stat_streams WHERE stream = 'mixed'::regclass)), 101, 'all are counted');
put_file("$dir/mixed", "d$_.json", qq({"n": "x"}\n{"n": 1}\n)) foreach 1 .. 5;
ok(wait_for($node, q(SELECT rejected_rows FROM streaming.stat_streams WHERE stream = 'mixed'::regclass), '106'), 'more are counted');
is($node->safe_psql('postgres', <<'SQL'), 't|5', 'and kept instead of older ones');
SELECT count(*) BETWEEN 9 AND 10, count(*) FILTER (WHERE path ~ 'd\d.json') FROM streaming.rejected_rows WHERE stream = 'mixed'::regclass
SQL
# A worker does not hear at once of another limit: how many of some more records are kept.
my ($bad, $counted) = (0, q(SELECT rejected_rows FROM streaming.stat_streams WHERE stream = 'bad'::regclass));
my $kept = q(SELECT count(*) FROM streaming.rejected_rows WHERE stream = 'bad'::regclass);

sub kept_of_more
{
	my ($n) = @_;
	my ($before, $kept_before) = map { $node->safe_psql('postgres', $_) } $counted, $kept;

	put_file("$dir/bad", 'more' . ++$bad . '.json', qq({"k": "a", "n": "two"}\n) x $n);
	wait_for($node, $counted, $before + $n) or die 'they are not counted';
	return $node->safe_psql('postgres', $kept) - $kept_before;
}
$node->safe_psql('postgres', 'ALTER SYSTEM SET streaming.rejected_limit = 0');
$node->reload;
ok(wait_until(sub { kept_of_more(1) <= 0 }), 'without room they are only counted');
$node->safe_psql('postgres', 'ALTER SYSTEM SET streaming.rejected_limit = -1');
$node->reload;
ok(wait_until(sub { kept_of_more(30) == 30 }), 'without a limit all are kept');

# Rows that wait.
drain($node, 'lazy');
$node->safe_psql('postgres', 'INSERT INTO pushed VALUES (1), (0)');
ok(wait_for($node, q(SELECT state, lag_rows, lag_seconds BETWEEN 0.2 AND 60 FROM streaming.status WHERE view = 'lazy'::regclass), 'running|2|t'),
	'rows that a view has not taken, and since when');
ok(wait_for($node, <<'SQL', 't|t|2|t'), 'those of a view that fails');
SELECT state IN ('retrying', 'failed'), why ~ 'division by zero', lag_rows, lag_seconds > 2 FROM streaming.status WHERE view = 'failing'::regclass
SQL
is($node->safe_psql('postgres', q(SELECT state, why, lag_seconds FROM streaming.status WHERE view = 'paused'::regclass)),
	'paused|streaming.enabled is off|', 'why a view is paused');
drain($node, 'lazy');
is($node->safe_psql('postgres', q(SELECT lag_rows, lag_seconds FROM streaming.status WHERE view = 'lazy'::regclass)), '0|0', 'none when it has');

# What a stranger sees of it.
$node->safe_psql('postgres', 'CREATE ROLE stranger');
is($node->safe_psql('postgres', <<'SQL'), 'retrying|t|2' . "\n" . 'waiting|t|', 'a stranger sees states, no words');
SET ROLE stranger;
SELECT state, why IS NULL, lag_rows FROM streaming.status WHERE view = 'failing'::regclass;
SELECT state, why IS NULL, NULL FROM streaming.status WHERE view = 'bad_rows'::regclass;
SQL
is($node->safe_psql('postgres', q(SET ROLE stranger; SELECT count(last_error) FROM streaming.stat_streams)), 0, 'nor what a record was rejected for');

done_testing();
