# Pushed rows that have been removed: who would miss them is told.

use strict;
use warnings;

use StreamingTest;
use Test::More;

my $node = new_node('main', q(streaming.buffer_size = '16MB'));

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<'SQL');
CREATE FOREIGN TABLE s (k int, pad text) SERVER streaming;
CREATE VIEW counts WITH (streaming.continuous) AS SELECT k, count(*) AS n FROM s GROUP BY k;
CREATE VIEW over WITH (streaming.continuous) AS SELECT coalesce(sum(n), 0) AS n FROM counts;
CREATE VIEW latest WITH (streaming.start = 'latest') AS SELECT count(*) AS n FROM s;
SQL
sql(q(INSERT INTO s VALUES (0, 'x')));
drain($node, $_) foreach qw(counts over latest);
sql(q(SELECT streaming.reset('counts')));
drain($node, $_) foreach qw(counts over);
is(sql('TABLE over'), 1, 'with all rows there a view begins again');

my $pushed = 1;
my $removed = 0;
for (my $round = 0; $round < 50 && !$removed; $round++)
{
	sql(q(INSERT INTO s SELECT i % 10, repeat('x', 1000) FROM generate_series(1, 10000) i));
	$pushed += 10000;
	drain($node, $_) foreach qw(counts over latest);
	$removed = $pushed - sql('SELECT count(*) FROM s');
}
cmp_ok($removed, '>', 0, 'rows have been removed');

my ($ret, $out, $err) = $node->psql('postgres', q(SELECT streaming.reset('counts')));
like($err, qr/cannot reset continuous view "counts" because stream "s" no longer has (\d+) rows.*HINT: .*force => true/s, 'a reset is refused');
my ($told) = $err =~ /no longer has (\d+)/;
ok($told >= $removed && $told <= $pushed - sql('SELECT count(*) FROM s'), "with their number, $told");
is(sql('TABLE over'), $pushed, 'and forgets nothing');
# What it begins with stays for one that never runs.
sql(q(CREATE VIEW keeper WITH (streaming.trigger = 'manual') AS SELECT count(*) AS n FROM s));
($ret, $out, $err) = $node->psql('postgres', q(CREATE VIEW late WITH (streaming.continuous) AS SELECT count(*) AS n FROM s));
like($err, qr/NOTICE:  the view begins with the rows that stream "s" still has/, 'a new view is told');
($ret, $out, $err) = $node->psql('postgres', q(CREATE VIEW later WITH (streaming.start = 'latest') AS SELECT count(*) AS n FROM s));
is($err, '', 'one that does not want them is not');
sql(q(SELECT streaming.reset('latest')));
sql(q(SELECT streaming.reset('over')));
drain($node, 'over');
is(sql('TABLE over'), $pushed, 'a view over a view needs no rows of the stream');
drain($node, 'late');
($ret, $out, $err) = $node->psql('postgres', q(SELECT streaming.reset('late')));
unlike($err, qr/ERROR/, 'nor does one that never had them');
sql(q(SELECT streaming.reset('counts', force => true)));
drain($node, $_) foreach qw(counts over);
cmp_ok(sql('TABLE over'), '<=', $pushed - $told, 'who insists begins with what is there');

$node->stop;
done_testing();
