# A batch that calls functions has the same rows whenever it is tried: what comes
# after its first attempt, and a crash, makes no difference to it.

use strict;
use warnings;

use StreamingKafka;
use StreamingTest;
use Test::More;

my $kafka = StreamingKafka->shared;
my $topic = $kafka->create_topic('same_rows', 2);
my $node = new_node('main', 'streaming.retry_max = 200ms', 'streaming.batch_rows = 7', 'log_min_messages = log');
my $dir = $node->basedir . '/landing';
mkdir $dir;

# What a function is passed is in the log, which no rollback takes back.
$node->safe_psql('postgres', <<SQL);
CREATE SERVER broker FOREIGN DATA WRAPPER kafka OPTIONS (${\$kafka->options});
CREATE SERVER files FOREIGN DATA WRAPPER directory OPTIONS (path '$dir');
CREATE FOREIGN TABLE pushed (v int) SERVER streaming;
CREATE FOREIGN TABLE timed (at timestamptz OPTIONS (watermark '0 seconds'), v int) SERVER streaming;
CREATE FOREIGN TABLE filed (v int) SERVER files OPTIONS (path '*.json');
CREATE FOREIGN TABLE topic (v int) SERVER broker OPTIONS (topic '$topic');
CREATE TABLE broken AS SELECT true AS it_is;
CREATE TABLE view_of (name text, batch text);
GRANT SELECT ON view_of TO PUBLIC;

CREATE FUNCTION note(batch regclass, batch_id bigint) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	line text;
BEGIN
	EXECUTE format('SELECT string_agg(b::text, \$a\$ \$a\$ ORDER BY b::text) FROM %s b', batch) INTO line;
	RAISE LOG 'noted % %: %', batch, batch_id, coalesce(line, '');
	-- the one that only begins has no rows to fail with
	IF EXISTS (SELECT FROM public.broken) AND (line IS NOT NULL OR batch::text ~ (SELECT v.batch || '\$' FROM public.view_of v WHERE name = 'of_later')) THEN
		RAISE EXCEPTION 'broken';
	END IF;
END \$\$;
CREATE FUNCTION begin(partition_id bigint, version bigint) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN
	RAISE LOG 'noted each %:', version;
	RETURN true;
END \$\$;
CREATE FUNCTION each(r record) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	RAISE LOG 'row %', r;
END \$\$;
CREATE FUNCTION finish(error text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	RAISE LOG 'done';
	IF EXISTS (SELECT FROM public.broken) THEN RAISE EXCEPTION 'broken'; END IF;
END \$\$;
SQL
foreach my $view (
	[ of_pushed => 'SELECT v FROM pushed' ],
	[ of_windows => q(SELECT date_bin('1 minute', at, '2026-01-01') AS minute, count(*) FROM timed GROUP BY 1), q(streaming.output_mode = 'append') ],
	[ of_counts => 'SELECT v % 2 AS odd, count(*) AS n FROM pushed GROUP BY 1' ],
	[ of_files => 'SELECT v FROM filed' ],
	[ of_topic => 'SELECT v FROM topic' ],
	[ of_few => 'SELECT v FROM topic', q(streaming.max_rows_per_trigger = 3) ],
	[ of_later => 'SELECT v FROM topic', q(streaming.start = 'latest') ])
{
	my ($name, $query, @options) = @$view;
	my $options = join ', ', q(streaming.foreach_batch = 'note'), q(streaming.enabled = off), @options;

	$node->safe_psql('postgres', <<SQL);
CREATE VIEW $name WITH ($options) AS $query;
INSERT INTO view_of SELECT '$name', 'batch_' || id FROM streaming_internal.continuous_view WHERE view = '$name'::regclass;
SQL
}
$node->safe_psql('postgres', q(CREATE VIEW each_row WITH (streaming.foreach = 'each', streaming.foreach_open = 'begin', streaming.foreach_close = 'finish', streaming.enabled = off) AS SELECT v FROM pushed));
my %view = map { reverse split /\|/ } split /\n/, $node->safe_psql('postgres', 'TABLE view_of');
$view{each} = 'each_row';
my @views = sort values %view;

# view -> number -> the rows of each attempt.
sub attempts
{
	my (%seen, @open);

	foreach (split /\n/, PostgreSQL::Test::Utils::slurp_file($node->logfile))
	{
		if (/LOG:  noted (?:pg_temp\S*\.)?(\S+) (\d+): ?(.*)/)
		{
			push @{ $seen{ $view{$1} }{$2} }, $3;
			@open = (\$seen{ $view{$1} }{$2}[-1]) if $1 eq 'each';
		}
		${ $open[0] } .= (${ $open[0] } eq '' ? '' : ' ') . $1 if /LOG:  row (\S+)/;
	}
	return \%seen;
}

# Each view makes two more attempts.
sub try_again
{
	my ($when, $with_rows) = @_;
	my $count = sub {
		my $of = $_[0]->{ $_[1] };
		my $n = 0;
		$n += grep { $_ ne '' || !$with_rows } @$_ foreach values %$of;
		$n;
	};
	my $before = attempts();

	ok(wait_until(sub { my $now = attempts(); !grep { $count->($now, $_) < $count->($before, $_) + 2 } @views }), "they are tried $when")
	  or diag(join ', ', map { "$_: " . $count->(attempts(), $_) } @views);
	return;
}

my $next = 1;
sub more
{
	my @values = ($next .. $next + 9);
	my $values = join ', ', map { "($_)" } @values;

	$node->safe_psql('postgres', "INSERT INTO pushed VALUES $values");
	$node->safe_psql('postgres', "INSERT INTO timed SELECT timestamptz '2026-01-01' + v * interval '20 s', v FROM (VALUES $values) x (v)");
	put_file($dir, "$next.json", join '', map { qq({"v": $_}\n) } @values);
	foreach my $partition (0, 1)
	{
		$kafka->produce($topic, $partition, [ map { qq({"v": $_}) } grep { $_ % 2 == $partition } @values ]);
	}
	$next += 10;
	return;
}

more();
$node->safe_psql('postgres', "ALTER VIEW $_ SET (streaming.enabled = on)") foreach @views;
try_again('and fail');
more();
try_again('when there is more');
$node->stop('immediate');
$node->start;
more();
try_again('after a crash');
$node->safe_psql('postgres', 'TRUNCATE broken');
drain($node, $_) foreach @views;

my $seen = attempts();
foreach my $view (@views)
{
	my $of = $seen->{$view};
	my ($tried, @differ) = (0);

	foreach my $number (sort { $a <=> $b } keys %$of)
	{
		my %rows = map { join(' ', sort split / /, $_) => 1 } @{ $of->{$number} };

		$tried = @{ $of->{$number} } if @{ $of->{$number} } > $tried;
		push @differ, "$number: " . join(' or ', sort keys %rows) if keys %rows > 1;
	}
	cmp_ok($tried, '>', 5, "$view: a batch was tried $tried times");
	is(join("\n", @differ), '', "$view: with the same rows");
}

# And they have all rows, each once.
sub rows_of
{
	my ($view) = @_;
	my $of = ($seen = attempts())->{$view};

	return join ' ', sort { ($a =~ /(\d+)/)[0] <=> ($b =~ /(\d+)/)[0] } map { split / /, $of->{$_}[-1] } keys %$of;
}
my $all = join ' ', map { "($_)" } 1 .. $next - 1;
is(rows_of($_), $all, "$_: all rows, each once") foreach grep { !/windows|counts|later/ } @views;
is(rows_of('of_later'), join(' ', map { "($_)" } 11 .. $next - 1), 'of_later: those after its first attempt');
is($node->safe_psql('postgres', 'SELECT * FROM of_counts ORDER BY odd'), "0|15\n1|15", 'of_counts: its result');
is($seen->{of_windows}{1}[-1], '("2026-01-01 00:00:00+00",2) ("2026-01-01 00:01:00+00",3) ("2026-01-01 00:02:00+00",3)', 'of_windows: those that its first rows have closed');
is(scalar(() = rows_of('of_windows') =~ /2026/g), 10, 'of_windows: each once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM streaming_internal.planned_batches'), '0', 'and nothing of it is kept');

# So it is where only time has passed: a partition that has fallen idle lets a
# window close, without a row.
my $idle = $kafka->create_topic('idle', 2);
$node->append_conf('postgresql.conf', "streaming.idle_partition_timeout = '1s'");
$node->reload;
$node->safe_psql('postgres', <<SQL);
INSERT INTO broken VALUES (true);
CREATE FOREIGN TABLE ticks (at timestamptz OPTIONS (watermark '0 seconds')) SERVER broker OPTIONS (topic '$idle');
CREATE VIEW of_idle WITH (streaming.foreach_batch = 'note', streaming.output_mode = 'append', streaming.enabled = off) AS
	SELECT date_trunc('minute', at) AS minute, count(*) FROM ticks GROUP BY 1;
INSERT INTO view_of SELECT 'of_idle', 'batch_' || id FROM streaming_internal.continuous_view WHERE view = 'of_idle'::regclass;
SQL
%view = map { reverse split /\|/ } split /\n/, $node->safe_psql('postgres', 'TABLE view_of');
@views = ('of_idle');
sub tick { return $kafka->produce($idle, $_[0], [ map { qq({"at": "2026-01-01T$_:00Z"}) } @_[ 1 .. $#_ ] ]) }
tick(0, '00:00', '00:03');
tick(1, '00:00');
$node->safe_psql('postgres', 'ALTER VIEW of_idle SET (streaming.enabled = on)');
# with rows: what comes before the partition is idle closes nothing
try_again('when a partition is idle', 1);
tick(0, '00:04', '00:09');
tick(1, '00:06');
try_again('when it has gone on', 1);
$node->safe_psql('postgres', 'TRUNCATE broken');
drain($node, 'of_idle');
ok(wait_until(sub { rows_of('of_idle') =~ /00:06/ }), 'of_idle: goes on');
is(join(' ; ', sort grep { $_ } map { @$_ } values %{ $seen->{of_idle} }) =~ s/(\("2026-01-01 00:00:00\+00",2\) ; )+/first, /r,
	'first, ("2026-01-01 00:03:00+00",1) ("2026-01-01 00:04:00+00",1) ; ("2026-01-01 00:06:00+00",1)', 'of_idle: with the same rows');

# Who changes the limits of a view gives up what was planned.
$node->safe_psql('postgres', <<'SQL');
INSERT INTO broken VALUES (true);
CREATE VIEW limited WITH (streaming.foreach_batch = 'note', streaming.enabled = off) AS SELECT v FROM filed;
INSERT INTO view_of SELECT 'limited', 'batch_' || id FROM streaming_internal.continuous_view WHERE view = 'limited'::regclass;
SQL
%view = map { reverse split /\|/ } split /\n/, $node->safe_psql('postgres', 'TABLE view_of');
@views = ('limited');
$node->safe_psql('postgres', 'ALTER VIEW limited SET (streaming.enabled = on)');
try_again('with all files');
$node->safe_psql('postgres', 'ALTER VIEW limited SET (streaming.max_files_per_trigger = 1)');
try_again('with one');
$node->safe_psql('postgres', 'TRUNCATE broken');
drain($node, 'limited');
$seen = attempts();
isnt($seen->{limited}{2}[0], $seen->{limited}{2}[-1], 'limited: others than before');
is(rows_of('limited'), $all, 'limited: all rows, each once');

done_testing();
