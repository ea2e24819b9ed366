# Files as they come: very many, in parts, unreadable, cut off; and the order they are
# read in.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $files = $ENV{STREAMING_TEST_FILES} || 5_000;
my $node = new_node('main', 'streaming.scan_interval = 2s', 'streaming.retry_max = 1s');
my $dir = $node->basedir . '/landing';
mkdir $_ foreach $dir, map { "$dir/$_" } qw(many order zip locked cut);

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub lines { return join '', map { qq({"v": $_}\n) } @_ }

sql(<<SQL);
CREATE SERVER landing FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE many (v int) SERVER landing OPTIONS (path 'many/*.json', after 'delete');
CREATE FOREIGN TABLE by_time (v int) SERVER landing OPTIONS (path 'order/*.json');
CREATE FOREIGN TABLE by_name (v int) SERVER landing OPTIONS (path 'order/*.json', order 'name');
CREATE FOREIGN TABLE zip (v int) SERVER landing OPTIONS (path 'zip/*.gz');
CREATE FOREIGN TABLE locked (v int) SERVER landing OPTIONS (path 'locked/*.json');
CREATE FOREIGN TABLE cut (v int) SERVER landing OPTIONS (path 'cut/*.json', on_error 'stop');
SQL

# Very many that are there already, each of which goes when it has been taken.
foreach my $n (1 .. $files)
{
	open my $file, '>', "$dir/many/$n.json" or die "$n.json: $!";
	print $file lines($n);
	close $file;
}
sql('CREATE VIEW many_v WITH (streaming.continuous) AS SELECT count(*) AS n, sum(v::bigint) FROM many');
drain($node, 'many_v');
is(sql('SELECT * FROM many_v'), "$files|" . $files * ($files + 1) / 2, "$files files are taken");
my ($ingest) = worker_pids($node, 'streaming ingest');
my ($peak) = PostgreSQL::Test::Utils::slurp_file("/proc/$ingest/status") =~ /^RssAnon:\s+(\d+) kB/m;
cmp_ok($peak, '<', 50_000, 'memory for them is bounded (kB)');
ok(wait_until(sub { opendir my $many, "$dir/many" or die; my @left = grep { !/^\.\.?$/ } readdir $many; !@left }), 'and all are deleted');
is(sql('SELECT n FROM many_v'), $files, 'none was taken twice');

# Order: by time of modification, or by name.
foreach my $n (1 .. 3)
{
	put_file($dir, "o$n", lines($n));
	utime 1_000_000 - $n, 1_000_000 - $n, "$dir/o$n";
	rename "$dir/o$n", "$dir/order/f$n.json";
}
sql("CREATE VIEW v_$_ WITH (streaming.continuous) AS SELECT v FROM $_") foreach qw(by_time by_name);
drain($node, "v_$_") foreach qw(by_time by_name);
my $order = q(SELECT string_agg(regexp_replace(path, '.*/', ''), ' ' ORDER BY file) FROM streaming.files WHERE stream = '%s'::regclass);
is(sql(sprintf $order, 'by_time'), 'f3.json f2.json f1.json', 'the oldest first');
is(sql(sprintf $order, 'by_name'), 'f1.json f2.json f3.json', 'by name');

# gzip: members one after the other, an empty one, zeros behind the last, a last line that
# does not end; and one that is cut off.
sub gzip { my ($text) = @_; put_file($dir, 'plain', $text); system("gzip -nc '$dir/plain' > '$dir/plain.gz'") == 0 or die; return PostgreSQL::Test::Utils::slurp_file("$dir/plain.gz") }
put_file("$dir/zip", 'a.gz', gzip(lines(1, 2) . '{"v": ') . gzip("3}\n" . lines(4)) . gzip('') . gzip('{"v": 5}') . "\0" x 512);
put_file("$dir/zip", 'b.gz', substr gzip(join '', map { lines(100 + $_ % 7) } 1 .. 5000), 0, -10);
put_file("$dir/zip", 'c.gz', gzip(lines(6)));
sql('CREATE VIEW zip_v WITH (streaming.continuous) AS SELECT v FROM zip');
drain($node, 'zip_v');
is(sql('SELECT string_agg(v::text, \' \' ORDER BY v) FROM zip_v WHERE v < 100'), '1 2 3 4 5 6', 'members of a gzip file');
same_as_batch($node, 'zip_v', 'SELECT v FROM zip');
is(sql(q(SELECT count(*), min(error) FROM streaming.rejected_rows WHERE stream = 'zip'::regclass)), '1|compressed data is damaged: unexpected end', 'one that is cut off is told');

# One that cannot be read: those behind it wait, since the order is kept.
SKIP:
{
	skip 'the superuser of the system may read anything', 5 if $> == 0;
	sql('CREATE VIEW locked_v WITH (streaming.continuous) AS SELECT v FROM locked');
	put_file($dir, 'x', lines(1));
	chmod 0, "$dir/x";
	rename "$dir/x", "$dir/locked/x.json";
	ok(wait_for($node, q(SELECT last_error FROM streaming.stat_streams WHERE stream = 'locked'::regclass), qr/could not open file ".*x\.json": Permission denied/), 'a file that may not be read');
	put_file("$dir/locked", 'y.json', lines(2));
	ok(wait_for($node, q(SELECT count(*) FROM streaming.files WHERE stream = 'locked'::regclass), 2), 'another behind it');
	is(sql('SELECT count(*) FROM locked_v'), 0, 'waits');
	my (undef, undef, $err) = $node->psql('postgres', 'SELECT * FROM locked');
	like($err, qr/could not open file ".*x\.json": Permission denied/, 'SELECT says so');
	chmod 0644, "$dir/locked/x.json";
	ok(wait_for($node, q(SELECT string_agg(v::text, ' ') FROM locked_v), '1 2'), 'until it may');
}

# One that is shorter when the rest of it is wanted.
put_file("$dir/cut", 'a.json', lines(1 .. 4) . "stop\n");
sql(q(CREATE VIEW cut_v WITH (streaming.continuous) AS SELECT v FROM cut));
ok(wait_for($node, 'SELECT count(*) FROM cut_v', 4), 'a view in the middle of a file');
$node->stop;
open my $cut, '>', "$dir/cut/a.json" or die;
print $cut lines(1, 2);
close $cut;
$node->start;
ok(wait_for($node, q(SELECT last_error FROM streaming.views WHERE view = 'cut_v'::regclass), qr/position 1:4 of stream public\.cut is no longer there.*only 2 records now/s), 'that is shorter then');
put_file("$dir/cut", 'a.json', lines(1 .. 10));
ok(wait_for($node, 'SELECT count(*) FROM cut_v', 10), 'and goes on when it is whole again');

$node->stop;
done_testing();
