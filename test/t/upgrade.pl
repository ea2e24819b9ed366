# pg_upgrade carries streams and continuous views with all they have, also rows that
# are pushed and not taken yet.
#
# STREAMING_OLD_BINDIR names the executables of an older server that has streaming
# installed; without it a cluster of this server's own version is upgraded.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamingTest;
use Test::More;

my ($bindir) = run_command([ 'pg_config', '--bindir' ]);
foreach my $dir (split /:/, $ENV{PATH})
{
	$bindir = $dir and last if -x "$dir/postgres";
}
plan skip_all => 'pg_upgrade is not installed' unless -x "$bindir/pg_upgrade";
my $old_bindir = $ENV{STREAMING_OLD_BINDIR} || $bindir;

sub new_cluster
{
	my ($name, %other) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, %other);

	$node->init;
	$node->append_conf('postgresql.conf', PostgreSQL::Test::Utils::slurp_file($ENV{STREAMING_CONF}));
	$node->append_conf('postgresql.conf', 'streaming.scan_interval = 200ms');
	return $node;
}

my $old = new_cluster('old', $ENV{STREAMING_OLD_BINDIR} ? (install_path => $old_bindir =~ s{/bin$}{}r) : ());
$old->start;
my $dir = $old->basedir . '/landing';
my $out = $old->basedir . '/out';
mkdir $_ foreach $dir, $out;
$old->safe_psql('postgres', 'CREATE EXTENSION streaming');
$old->safe_psql('postgres', <<SQL);
CREATE SCHEMA app;
CREATE FOREIGN TABLE app.s (k int, v int) SERVER streaming;
CREATE FOREIGN TABLE app.unread (k int) SERVER streaming;
CREATE FOREIGN TABLE app.light (k int) SERVER streaming OPTIONS (durable 'false');
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE f (k int, v int) SERVER landing OPTIONS (path '*.json');
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE topic (k int) SERVER broker OPTIONS (topic 't');
CREATE VIEW app.sums WITH (streaming.trigger = '50 ms') AS SELECT k, count(*) AS n, sum(v), count(DISTINCT v % 3) AS d FROM app.s GROUP BY k;
CREATE VIEW over WITH (streaming.continuous) AS SELECT n, count(*) AS keys FROM app.sums GROUP BY n;
CREATE VIEW files WITH (streaming.continuous) AS SELECT k, sum(v) FROM f GROUP BY k;
CREATE VIEW sleeping WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n, sum(v) FROM app.s;
CREATE VIEW kafka WITH (streaming.enabled = off, streaming.start = 'earliest') AS SELECT k FROM topic;
CREATE VIEW remembers WITH (streaming.sink = 'memory') AS SELECT k, max(v) FROM app.s GROUP BY k;
CREATE VIEW lights WITH (streaming.continuous) AS SELECT count(*) FROM app.light;
CREATE TABLE sunk (k int PRIMARY KEY, n bigint);
CREATE VIEW sinks WITH (streaming.sink = 'sunk', streaming.timezone = 'Asia/Kolkata') AS SELECT k, count(*) AS n FROM app.s GROUP BY k;
CREATE TABLE app.followed (k int, v int);
CREATE VIEW follows WITH (streaming.follow = 'app.followed') AS SELECT k, sum(v) FROM app.followed GROUP BY k;
INSERT INTO app.followed SELECT i % 2, i FROM generate_series(1, 10) i;
INSERT INTO app.s SELECT i % 4, i FROM generate_series(1, 10) i;
INSERT INTO app.light VALUES (1);
SQL
put_file($dir, 'a.json', qq({"k": 1, "v": 1}\n{"k": 2, "v": 2}\n));
drain($old, $_) foreach qw(app.sums over files sleeping remembers lights sinks follows);
# what nobody has taken, or not all
$old->safe_psql('postgres', 'INSERT INTO app.s VALUES (7, 70), (7, 71); INSERT INTO app.unread VALUES (1)');
drain($old, $_) foreach qw(app.sums over remembers sinks);
my @shown = ('SELECT * FROM app.sums ORDER BY 1', 'SELECT * FROM over ORDER BY 1', 'SELECT * FROM files ORDER BY 1', 'SELECT * FROM remembers ORDER BY 1',
	'SELECT * FROM sunk ORDER BY 1', 'SELECT * FROM sleeping', 'SELECT * FROM lights', 'SELECT * FROM app.s ORDER BY 1, 2', 'SELECT * FROM app.unread');
my %before = map { $_ => $old->safe_psql('postgres', $_) } @shown;
is($before{'SELECT * FROM sleeping'}, '10|55', 'a view has not taken all');
my $listing = 'SELECT view, query, output_mode, trigger, enabled, settings FROM streaming.views ORDER BY view::text';
my $views = $old->safe_psql('postgres', $listing);
$old->stop;

my $new = new_cluster('new');
my @command = ('pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old_bindir, '-B', $bindir,
	'-s', $new->host, '-p', $old->port, '-P', $new->port);
chdir $new->basedir;
command_ok([ @command, '--check' ], 'pg_upgrade --check');
if (!ok(run_log(\@command), 'pg_upgrade'))
{
	foreach my $log (glob $new->data_dir . '/pg_upgrade_output.d/*/log/*.log')
	{
		my @lines = split /\n/, PostgreSQL::Test::Utils::slurp_file($log);
		diag(join "\n", "--- $log", splice @lines, -20) if grep { /ERROR|FATAL/ } @lines;
	}
	BAIL_OUT('nothing to look at');
}
$new->start;
is($new->safe_psql('postgres', $_), $before{$_}, "same rows: $_") foreach @shown;
is($new->safe_psql('postgres', $listing), $views, 'definitions are the same');
drain($new, 'sleeping');
is($new->safe_psql('postgres', 'SELECT * FROM sleeping'), '12|196', 'rows that a view had not taken are there');
$new->safe_psql('postgres', q(INSERT INTO app.s VALUES (7, 72); INSERT INTO app.light VALUES (2)));
put_file($dir, 'b.json', qq({"k": 1, "v": 10}\n));
drain($new, $_) foreach qw(app.sums over files sleeping remembers lights sinks);
is($new->safe_psql('postgres', 'SELECT * FROM app.sums WHERE k = 7'), '7|3|213|3', 'views go on');
is($new->safe_psql('postgres', 'SELECT sum(keys), sum(n * keys) FROM over'), '5|13', 'and those over them');
is($new->safe_psql('postgres', 'SELECT * FROM files ORDER BY k'), "1|11\n2|2", 'files are not taken again');
is($new->safe_psql('postgres', 'SELECT * FROM sleeping'), '13|268', 'nor pushed rows');
is($new->safe_psql('postgres', 'SELECT n FROM sunk WHERE k = 7'), '3', 'sinks are written');
is($new->safe_psql('postgres', 'SELECT max FROM remembers WHERE k = 7'), '72', 'unlogged ones, too');
is($new->safe_psql('postgres', 'SELECT * FROM lights'), '2', 'and streams that are not durable are read');
$new->safe_psql('postgres', 'UPDATE app.followed SET v = v + 100 WHERE v = 1; DELETE FROM app.followed WHERE k = 0');
ok(wait_for($new, 'SELECT * FROM follows', '1|125'), 'tables are followed');
$new->safe_psql('postgres', 'INSERT INTO app.followed VALUES (2, 2)');
drain($new, 'follows');
is($new->safe_psql('postgres', 'SELECT * FROM follows ORDER BY k'), "1|125\n2|2", 'and followed on');
$new->safe_psql('postgres', 'DROP VIEW follows');
ok(wait_for($new, q(SELECT count(*) FROM pg_trigger WHERE tgrelid = 'app.followed'::regclass), '0'), 'until no view does');
$new->safe_psql('postgres', 'CREATE VIEW late WITH (streaming.continuous) AS SELECT count(*) FROM app.unread');
drain($new, 'late');
is($new->safe_psql('postgres', 'SELECT * FROM late'), $new->safe_psql('postgres', 'SELECT count(*) FROM app.unread'), 'a stream that nobody read can be');
is($new->safe_psql('postgres', 'SELECT count(*) FROM streaming.rejected_rows'), 0, 'nothing is said to be missing');
is($new->safe_psql('postgres', q(SELECT string_agg(relname, ',') FROM pg_class c WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind IN ('r', 'v')
	AND relname ~ '_\d' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'i' AND refclassid = 'pg_class'::regclass))), q(), 'all parts belong to something');
$new->safe_psql('postgres', 'DROP FOREIGN TABLE app.s, app.unread, app.light, f, topic CASCADE');
is($new->safe_psql('postgres', q(SELECT count(*) FROM pg_class WHERE relnamespace = 'streaming_internal'::regnamespace AND relkind IN ('r', 'v') AND relname ~ '_\d')), 0, 'and go with it');
$new->stop;
done_testing();
