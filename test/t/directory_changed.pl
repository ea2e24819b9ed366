# Files that are not what they were, and streams whose path is altered: who has taken a
# file keeps it, and SELECT, a new view and a reset agree.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', 'streaming.scan_interval = 200ms');
my $dir = $node->basedir . '/landing';
mkdir $dir;
mkdir "$dir/$_" foreach qw(one two);

sub lines { return join '', map { qq({"v": "$_"}\n) } @_ }
sub rows  { return $node->safe_psql('postgres', "SELECT string_agg(v, ' ' ORDER BY v) FROM $_[0]") }

sub new_view
{
	my ($view, $stream) = @_;

	$node->safe_psql('postgres', "CREATE VIEW $view WITH (streaming.continuous) AS SELECT v FROM $stream");
	drain($node, $view);
	return;
}

# SELECT, a new view and one that is reset show the same.
sub agree
{
	my ($stream, $expected, $name) = @_;

	is(rows($stream), $expected, "$name: SELECT");
	new_view('fresh', $stream);
	is(rows('fresh'), $expected, "$name: a new view");
	$node->safe_psql('postgres', q(SELECT streaming.reset('again')));
	drain($node, 'again');
	is(rows('again'), $expected, "$name: a reset");
	$node->safe_psql('postgres', 'DROP VIEW fresh');
	return;
}

$node->safe_psql('postgres', <<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE files (v text) SERVER landing OPTIONS (path 'one/*.json');
SQL
my $changed = q(SELECT string_agg(regexp_replace(path, '.*/', ''), ' ' ORDER BY path) FROM streaming.files WHERE stream = 'files'::regclass AND changed IS NOT NULL);

put_file("$dir/one", 'a.json', lines(qw(a1 a2)));
put_file("$dir/one", 'b.json', lines(qw(b1)));
new_view('taker', 'files');
new_view('again', 'files');
is(rows('taker'), 'a1 a2 b1', 'files');
is($node->safe_psql('postgres', $changed), '', 'none has changed');

# Replaced.
put_file("$dir/one", 'a.json', lines(qw(a3 a4 a5)));
ok(wait_for($node, $changed, 'a.json'), 'a file that is replaced is noticed');
ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'files'::regclass),
	qr{file ".*/one/a\.json" of stream public\.files was changed after it had been taken}), 'and said');
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr{LOG: .*a\.json" of stream public\.files was changed after it had been taken}, 'in the log, too');
agree('files', 'a3 a4 a5 b1', 'replaced');
put_file("$dir/one", 'c.json', lines(qw(c1)));
drain($node, $_) foreach qw(taker again);
is(rows('taker'), 'a1 a2 b1 c1', 'who had taken it goes on without it');

# Appended to, while nobody looks at the directory: its own time does not change.
open my $fh, '>>', "$dir/one/b.json" or die "b.json: $!";
print $fh lines(qw(b2));
close $fh;
ok(wait_for($node, $changed, 'a.json b.json'), 'a file that is appended to is noticed');
agree('files', 'a3 a4 a5 b1 b2 c1', 'appended');
is(rows('taker'), 'a1 a2 b1 c1', 'who had taken it does not take the rest');

# While the server is down.
$node->stop;
put_file("$dir/one", 'c.json', lines(qw(c2 c3)));
$node->start;
drain($node, $_) foreach qw(taker again);
agree('files', 'a3 a4 a5 b1 b2 c2 c3', 'while the server was down');
ok(wait_for($node, $changed, 'a.json b.json c.json'), 'it is noticed');
is(rows('taker'), 'a1 a2 b1 c1', 'and not taken again');

# Removed, and back.
unlink "$dir/one/b.json" or die "b.json: $!";
agree('files', 'a3 a4 a5 c2 c3', 'removed');
put_file("$dir/one", 'b.json', lines(qw(b3)));
agree('files', 'a3 a4 a5 b3 c2 c3', 'and back');

# Another path.
put_file("$dir/two", 'd.json', lines(qw(d1)));
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE files OPTIONS (SET path 'two/*.json')));
drain($node, 'taker');
is(rows('taker'), 'a1 a2 b1 c1 d1', 'a view keeps what it has and goes on with what matches');
agree('files', 'd1', 'another path');
$node->safe_psql('postgres', q(ALTER FOREIGN TABLE files OPTIONS (SET path '*/*.json')));
put_file("$dir/two", 'e.json', lines(qw(e1)));
drain($node, $_) foreach qw(taker again);
is(rows('taker'), 'a1 a2 b1 c1 d1 e1', 'a path that matches more: what it has had is not taken again');
agree('files', 'a3 a4 a5 b3 c2 c3 d1 e1', 'a path that matches more');

$node->stop;
done_testing();
