use strict; use warnings;
use StreamingKafka; use StreamingTest; use Test::More; use Time::HiRes qw(time sleep);
my $kafka = StreamingKafka->shared;
my $node = new_node('main', 'streaming.retry_max = 300ms');
my $N = 100;
my @t = map { $kafka->create_topic(sprintf('p-%03d', $_), 1) } 1 .. $N;
my ($suffix) = $t[0] =~ /_(\w+)$/;
$kafka->produce($_, 0, [map { qq({"v": $_}) } 1 .. 10]) foreach @t;
my $t0;
sub lap { my ($n) = @_; diag(sprintf '%-30s %.3f s', $n, time - $t0); $t0 = time; }
$node->safe_psql('postgres', "CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (bootstrap_servers '${\$kafka->address}')");
$node->safe_psql('postgres', "CREATE FOREIGN TABLE s (v int, topic text OPTIONS (metadata 'topic')) SERVER broker OPTIONS (topic '^p-.*_$suffix')");
$node->safe_psql('postgres', "CREATE FOREIGN TABLE one (v int, topic text OPTIONS (metadata 'topic')) SERVER broker OPTIONS (topic '$t[0]')");
$t0 = time;
for (1..3) { is($node->safe_psql('postgres', 'SELECT count(*) FROM s'), 10*$N); lap("SELECT 100 topics"); }
for (1..3) { is($node->safe_psql('postgres', 'SELECT count(*) FROM one'), 10); lap("SELECT one topic"); }
$node->safe_psql('postgres', 'CREATE VIEW vone WITH (streaming.continuous) AS SELECT topic, count(*) AS n FROM one GROUP BY 1');
$t0 = time;
for (1..3) { drain($node, 'vone'); lap("drain one $_"); }
$node->safe_psql('postgres', 'CREATE VIEW vs WITH (streaming.continuous) AS SELECT topic, count(*) AS n FROM s GROUP BY 1');
$t0 = time;
for (1..4) { drain($node, 'vs'); lap("drain 100 $_"); }
is($node->safe_psql('postgres', 'SELECT sum(n) FROM vs'), 10*$N);
$kafka->produce($t[50], 0, [qq({"v": 1})]); $t0 = time;
wait_for($node, 'SELECT sum(n) FROM vs', 10*$N+1); lap('one more message');
drain($node, 'vs'); lap('drain');
for my $v (qw(vone vs)) { $node->safe_psql('postgres', "SELECT streaming.reset('$v')"); $t0 = time; drain($node, $v); lap("reset $v"); }
is($node->safe_psql('postgres', 'SELECT sum(n) FROM vs'), 10*$N+1);
sleep 5;
sub ticks { my $s = 0; for my $p (worker_pids($node, 'streaming ingest')) { open my $f, '<', "/proc/$p/stat" or next; my @f = split / /, (<$f> =~ s/.*\) //r); $s += $f[11] + $f[12]; } return $s }
sub mem { my @m; for my $p (worker_pids($node, 'streaming ingest')) { open my $f, '<', "/proc/$p/status" or next; my $x = join '', <$f>; push @m, "$1 kB, threads " . ($x =~ /Threads:\s+(\d+)/)[0] if $x =~ /RssAnon:\s+(\d+)/; } return join ' / ', @m }
my $c0 = ticks(); sleep 30; diag('idle: ' . (ticks() - $c0) . ' ticks of 10 ms in 30 s; memory ' . mem());
$node->safe_psql('postgres', 'DROP VIEW vs'); sleep 3;
$c0 = ticks(); sleep 30; diag('idle without the pattern: ' . (ticks() - $c0) . ' ticks in 30 s; memory ' . mem());
$node->stop; done_testing();
