# README.md and doc/ hold what they say: every block of SQL and of shell runs, in
# the order of its file, in a database and a directory of the file's own, and
# prints what the block after it shows.
#
#   ```sql    is run by psql; ```sh by sh
#   ```text   right after one of these is the end of what it prints: the results
#             before it need not be shown, errors must be. "..." stands for
#             anything within a line, a line of its own for any lines
#   ```log    right after one of these has lines that are in the server's log
#   ```ini    is for postgresql.conf, ```console is for a person to type
#
# <!-- not run: REASON --> before a block excuses it. /srv/ and localhost:9092 are
# the test's own directory and broker, and topics have other names.

use strict;
use warnings;

use File::Basename qw(basename);
use File::Temp ();
use IPC::Run ();
use StreamingKafka;
use StreamingTest;
use Test::More;

my @files = ('README.md', sort glob 'doc/*.md');
my $kafka;
my $no_kafka = StreamingKafka->missing;
# A server that is slow to answer here must not be taken for one that is wrong.
my $node = new_node('main', "timezone = 'UTC'", 'streaming.reachable_timeout = 1s', "statement_timeout = '${deadline}s'");
# The broker is shared with other tests.
my $suffix = $$ . int rand 1_000_000;
my $failed = qr/^(?:ERROR|FATAL|exit status)/m;

# Of a file: { language, body, line, excused, and the bodies of blocks after it: text, log }.
sub blocks
{
	my ($file) = @_;
	my (@blocks, $block, $excuse, $last, $n);

	foreach my $line (split /^/, PostgreSQL::Test::Utils::slurp_file($file))
	{
		$n++;
		if ($block && $line =~ /^```\s*$/)
		{
			if ($block->{language} !~ /^(text|log)$/) { push @blocks, $block }
			elsif ($last)                             { $last->{ $block->{language} } = $block->{body} }
			else                                      { fail("$file:$block->{line}: the output of a block") }
			$last = $block->{language} =~ /^(sql|sh)$/ ? $block : undef;
			undef $block;
		}
		elsif ($block) { $block->{body} .= $line }
		elsif ($line =~ /^\s*```(\w*)/)
		{
			like($1, qr/^(sql|sh|text|ini|log|console)$/, "$file:$n: a block of a known language");
			$block = { language => $1, body => '', line => $n, excused => $excuse };
			undef $excuse;
		}
		elsif ($line =~ /^<!-- not run: (\S.*) -->$/) { $excuse = $1 }
		elsif ($line =~ /\S/) { undef $last; undef $excuse }
	}
	ok(!$block, "$file: every block ends");
	return @blocks;
}

# What is the same however wide a table is, as a pattern or as text.
sub plain { return $_[0] =~ s/-{2,}/--/gr =~ s/[ \t]+/ /gr =~ s/ $//gmr =~ s/\n+\z//r }

sub pattern
{
	my $pattern = quotemeta plain($_[0]);

	$pattern =~ s/^\\\.\\\.\\\.$/(?s:.*)/mg;
	$pattern =~ s/\\\.\\\.\\\./[^\\n]*/g;
	return qr/(?:^|\n)$pattern\z/;
}

# Runs a block; what it printed, with the names of the documentation.
sub run_block
{
	my ($block, $database, $dir) = @_;
	my $own = "_${database}_$suffix";
	my $text = $block->{body} =~ s{/srv/}{$dir/}gr =~ s/(topic '|--topic |-t )(\w+)/$1$2$own/gr =~ s/(topic '\^[^']*)\.\*/$1$own/gr;
	my $out = '';

	$text =~ s/localhost:9092/$kafka->address/ge if $kafka;
	local $ENV{PATH} = "$dir/.bin:$ENV{PATH}";
	local @ENV{qw(PGHOST PGPORT PGDATABASE)} = ($node->host, $node->port, $database);
	my @command = $block->{language} eq 'sh' ? qw(sh -eu) : qw(psql -Xq);
	my $ok = IPC::Run::run(\@command, '<', \$text, '>&', \$out);
	$out .= "exit status $?\n" unless $ok;
	$out =~ s{\Q$dir\E/}{/srv/}g;
	$out =~ s/\Q${\$kafka->address}\E/localhost:9092/g if $kafka;
	$out =~ s/\Q$own\E//g;
	return $out;
}

# Does what was printed end with what is shown, with no error before that?
sub shows
{
	my ($out, $shown) = @_;

	return $shown =~ /\S/ && plain($out) =~ pattern($shown) && $` !~ $failed;
}

sub check_block
{
	my ($file, $block, $database, $dir) = @_;
	my $name = "$file:$block->{line}: ";
	my $out = run_block($block, $database, $dir);
	my $shown = $block->{text};

	if (defined $shown)
	{
		# A broker may say that a transaction has ended before its readers are told.
		local $StreamingTest::deadline = 20;
		wait_until(sub { $out = run_block($block, $database, $dir); shows($out, $shown) })
		  if $kafka && !shows($out, $shown) && $block->{body} =~ /\A(?:kcat -C|(?:SELECT[^;]*;\s*)+\z)/;
		ok(shows($out, $shown), $name . 'prints what it shows')
		  or diag("--- shown\n$shown--- printed\n$out---");
	}
	else
	{
		ok($out !~ $failed, $name . 'runs') or diag($out);
	}
	my $log = defined $block->{log} ? plain(PostgreSQL::Test::Utils::slurp_file($node->logfile)) : '';
	ok(index($log, $_) >= 0, $name . "the log has: $_") foreach split /\n/, plain($block->{log} // '');
	return;
}

# Kafka's own script needs Java, which the tree may not have.
sub make_tools
{
	my ($dir) = @_;

	mkdir "$dir/.bin";
	open my $file, '>', "$dir/.bin/kafka-topics.sh" or die "kafka-topics.sh: $!";
	print $file <<"SH";
#!/bin/sh
# --bootstrap-server ADDRESS --create --topic NAME --partitions N
exec '${\StreamingKafka->tool('kafka_admin')}' "\$2" create "\$5" "\$7"
SH
	close $file;
	chmod 0755, "$dir/.bin/kafka-topics.sh";
	return;
}

my ($run, $excused) = (0, 0);

foreach my $file (@files)
{
	my @blocks = blocks($file);

	subtest $file => sub {
		my $database = lc basename($file, '.md') =~ s/\W/_/gr;
		my $dir = File::Temp::tempdir("${database}_XXXX", DIR => $ENV{STREAMING_WORK}, CLEANUP => 1);
		my @run = grep { $_->{language} =~ /^(sql|sh)$/ && !$_->{excused} } @blocks;

		plan skip_all => $no_kafka
		  if defined $no_kafka && grep { $_->{body} =~ /localhost:9092/ } @run;
		plan skip_all => 'nothing to run' unless @run;
		$kafka //= StreamingKafka->shared if grep { $_->{body} =~ /localhost:9092/ } @run;
		make_tools($dir);
		$node->safe_psql('postgres', "CREATE DATABASE $database");
		check_block($file, $_, $database, $dir) foreach @run;
		$run += @run;

		# What no block has looked at: each view works, and is left working.
		my (undef, undef, $error) = $node->psql($database, <<"SQL");
SELECT streaming.drain(view, '$deadline s') FROM streaming.views WHERE enabled
SQL
		is($error, '', 'every view runs');
		$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");
		# Roles are the cluster's, and the next page makes its own.
		$node->safe_psql('postgres', $_) foreach split /\n/, $node->safe_psql('postgres',
			"SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE oid >= 16384");
	};
	$excused += grep { defined $_->{excused} } @blocks;
}
cmp_ok($excused, '<=', $run / 10, "few blocks are not run ($excused, $run are)");

# --- what else a page promises ----------------------------------------------

sub slurp { return PostgreSQL::Test::Utils::slurp_file($_[0]) }

my $lines = () = slurp('README.md') =~ /\n/g;
cmp_ok($lines, '<=', 200, 'README.md can be read at once');

# As GitHub makes them of headings.
sub anchors
{
	my $text = slurp($_[0]) =~ s/^```.*?^```$//gmsr;

	return map { lc s/[^\w\- ]//gr =~ s/ /-/gr } $text =~ /^#+ (.*)$/mg;
}

foreach my $file (@files, 'CHANGELOG.md', 'test/bench/README.md')
{
	my $dir = $file =~ m{(.*/)} ? $1 : '';
	my @broken;

	foreach my $link (slurp($file) =~ /\]\(([^)\s]+)\)/g)
	{
		my ($path, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $target = $path eq '' ? $file : "$dir$path";

		next if $link =~ /^https?:/;
		push @broken, $link
		  unless -e $target && (!defined $anchor || grep { $_ eq $anchor } anchors($target));
	}
	is("@broken", '', "$file: every link leads somewhere");
}

# Every setting is in the table, with its default.
my $settings = $node->safe_psql('postgres', <<'SQL');
SELECT name || ' ' || CASE WHEN unit IS NULL THEN boot_val ELSE current_setting(name) END FROM pg_settings
WHERE name LIKE 'streaming.%' AND name <> 'streaming.stop_point' ORDER BY name COLLATE "C"
SQL
my @documented;
foreach my $row (slurp('doc/operations.md') =~ /^\| (`streaming\..*)$/mg)
{
	my ($names, $defaults) = split / \| /, $row;
	my @names = $names =~ /`([\w.]+)`/g;
	my @defaults = $defaults =~ /`([^`]+)`/g;
	push @documented, map { "$names[$_] $defaults[$_]" } 0 .. $#names if @names == @defaults;
}
is(join("\n", sort @documented), $settings, 'doc/operations.md lists every setting with its default');

done_testing();
