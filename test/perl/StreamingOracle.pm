
=head1 NAME

StreamingOracle - continuous views against PostgreSQL itself, and small failures

=head1 SYNOPSIS

  make_types($node);
  my $case = new_case(random_schema());
  prepare($node, $case);
  my %became = create_views($node, $case, @views);    # name => [kept | refused | invalid | error, text]
  push_step($node, $case, $step);
  my %result = compare($node, $case, $step);          # name => [same | undefined | wrong | error | crash, text]
  my $small = reduce($node, $case, $view, $kind, $seconds);
  print script_of($small);

A case is { schema, tables => rows by table, views => [...], steps => [...] }. A view
is { name, continuous, node, columns, reads, streams, tags }, a step is what happens between two
comparisons: { rows => { stream => [rows] }, disturb => how, skip => { views }, change =>
[SQL] of joined tables after it }.

A case that is "followed" has ordinary tables in the place of streams, whose rows also change:
steps have "modify" => [SQL], in which SCHEMA stands for both, "live" and "batch"; statements that
name one of these themselves leave the table as it was. If "followed" is "all" joined tables
are, too; if it is "streams" they do not change.

Every name exists twice: in schema "live" streams and continuous views, in schema
"batch" tables and ordinary views, with the same rows and the same text. A view that is
"row_by_row" joins each row with what tables hold when it comes: there the oracle is a
table, to which each step adds what the query answers over the rows of the step, which
are in schema "step".

A case that is "plain" has tables and ordinary views in schema "live", too, with the rows
in another order and other plans: it asks whether queries have one answer only.

A view with a sink, "update" or "complete", shows the table live.NAME_sink.

=cut

package StreamingOracle;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(any max);
use StreamingQueries;
use StreamingTest;
use Time::HiRes qw(time);

our @EXPORT = qw(make_types new_case prepare create_views push_step change_tables compare reduce script_of disturb);

my $types = <<'SQL';
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE DOMAIN small AS int CHECK (VALUE >= 0);
CREATE TYPE pair AS (x int, y text);
SQL

sub make_types { my ($node) = @_; return $node->safe_psql('postgres', $types); }

sub new_case
{
	my ($schema) = @_;

	return { schema => $schema, views => [], steps => [],
		tables => { map { $_ => random_rows($schema->{tables}{$_}, 6) } sort keys %{ $schema->{tables} } } };
}

# Runs statements, [id, sql] each, in one session: id => [sqlstate, output or message].
# Those that got no answer, because the session was lost, have the state "lost".
sub _run
{
	my ($node, @statements) = @_;
	my $script = "\\set VERBOSITY terse\nSET client_min_messages = warning;\n"
	  . join '', map { "$_->[1];\n\\echo \@\@$_->[0] :SQLSTATE :LAST_ERROR_MESSAGE \@\@\n" } @statements;
	my ($out, $err) = ('', '');

	eval { $node->psql('postgres', $script, stdout => \$out, stderr => \$err, on_error_stop => 0); };
	my %answer = map { $_->[0] => [ 'lost', $err ] } @statements;
	while ($out =~ /\G(.*?)^\@\@(\S+) (\w{5}) (.*?) \@\@(?:\n|\z)/gms)
	{
		$answer{$2} = [ $3, $3 eq '00000' ? $1 : $4 ];
	}
	if ($err =~ /server closed the connection|terminating connection|connection to server/ || any { $_->[0] eq 'lost' } values %answer)
	{
		wait_for($node, 'SELECT true') or die 'the server does not come back';
	}
	return \%answer;
}

sub _columns { my ($names) = @_; return join ', ', map { "$_ " . column_type($_) } @$names; }
sub _rows { my ($rows) = @_; return join ', ', map { '(' . join(', ', @$_) . ')' } @$rows; }

# The schemas, empty but for the tables that are joined.
sub prepare
{
	my ($node, $case) = @_;
	my @sql = ('DROP SCHEMA IF EXISTS live, batch, step, dims CASCADE', map { "CREATE SCHEMA $_" } qw(live batch step dims));
	my ($streams, $tables) = @{ $case->{schema} }{qw(streams tables)};

	foreach my $s (sort keys %$streams)
	{
		push @sql, $case->{plain} || $case->{followed} ? "CREATE TABLE live.$s (" . _columns($streams->{$s}) . ')'
		  : "CREATE FOREIGN TABLE live.$s (" . _columns($streams->{$s}) . ') SERVER streaming',
		  map { "CREATE TABLE $_.$s (" . _columns($streams->{$s}) . ')' } qw(batch step);
	}
	foreach my $t (sort keys %$tables)
	{
		push @sql, "CREATE TABLE dims.$t (" . _columns($tables->{$t}) . ')';
		push @sql, "ALTER TABLE dims.$t ADD PRIMARY KEY (id)" if any { $_ eq 'id' } @{ $tables->{$t} };
		push @sql, "INSERT INTO dims.$t VALUES " . _rows($case->{tables}{$t}) if @{ $case->{tables}{$t} };
	}
	my $n = 0;
	my $answer = _run($node, map { [ ++$n, $_ ] } @sql);
	my @bad = grep { $_->[0] ne '00000' } values %$answer;
	die "cannot prepare: $bad[0][0] $bad[0][1]" if @bad;
	return;
}

sub _with
{
	my ($view) = @_;

	return '' if !$view->{continuous} || $view->{plain};
	my @options = $view->{trigger} eq 'manual' ? "streaming.trigger = 'manual'" : 'streaming.continuous';
	my $follow = ($view->{followed} // '') eq 'streams' ? join ', ', sort keys %{ $view->{streams} } : $view->{followed};
	push @options, "streaming.follow = '$follow'" if $follow;
	push @options, "streaming.sink = '$view->{name}_sink'", "streaming.output_mode = '$view->{sink}'" if $view->{sink};
	return ' WITH (' . join(', ', @options) . ')';
}

# A table like the result. In mode complete it has a row that nobody has asked for.
sub _sink_sql
{
	my ($view, $like) = @_;
	my $sink = "live.$view->{name}_sink";

	return ("CREATE TABLE $sink AS SELECT * FROM $like t WITH NO DATA", "ALTER TABLE $sink ADD extra int DEFAULT 1",
		$view->{sink} eq 'update' ? "ALTER TABLE $sink ADD UNIQUE NULLS NOT DISTINCT (" . join(', ', map { $_->{name} } @{ $view->{key} }) . ')'
		: "INSERT INTO $sink DEFAULT VALUES");
}

# Makes views, and says what became of each.
sub create_views
{
	my ($node, @views) = @_;
	my (@statements, %became);

	foreach my $view (@views)
	{
		my ($name, $query) = ($view->{name}, query_text($view->{node}));
		my $batch = $view->{row_by_row} ? 'step' : 'batch';
		my $with = _with($view);
		push @statements, [ 'b', "SET search_path = $batch, dims, public" ], [ "b$name", "CREATE VIEW $name AS $query" ],
		  $view->{row_by_row} ? [ "t$name", "CREATE TABLE batch.$name AS TABLE step.$name" ] : (),
		  [ 'l', 'SET search_path = live, dims, public' ], $view->{sink} ? [ "s$name", join ';', _sink_sql($view, "$batch.$name") ] : (),
		  [ "l$name", "CREATE VIEW $name$with AS $query" ];
	}
	my $answer = _run($node, @statements);
	my @drop;
	foreach my $name (map { $_->{name} } @views)
	{
		my ($batch, $live) = ($answer->{"b$name"}, $answer->{"l$name"});
		$became{$name} = $live->[0] eq 'lost' ? [ 'crash', $live->[1] ] : $batch->[0] ne '00000' ? [ 'invalid', "$batch->[0] $batch->[1]" ]
		  : $live->[1] =~ /reads no stream/ ? [ 'invalid', $live->[1] ]
		  : $live->[0] eq '00000' ? [ 'kept', '' ] : $live->[0] eq '0A000' ? [ 'refused', $live->[1] ] : [ 'error', "CREATE VIEW: $live->[0] $live->[1]" ];
		push @drop, $name if $became{$name}[0] ne 'kept';
	}
	_run($node, map { [ $_, "DROP VIEW IF EXISTS $_ CASCADE" ] } map { ("batch.$_", "step.$_", "live.$_") } @drop) if @drop;
	return %became;
}

# Rows into streams and tables alike. Some are taken back in the streams alone.
sub push_step
{
	my ($node, $case, $step) = @_;
	my @sql = ('BEGIN', map { "TRUNCATE step.$_" } sort keys %{ $case->{schema}{streams} });

	# Mode complete sets right what others do to its table, as soon as there are rows.
	my $damage = $step->{damage} && !grep { !@{ $step->{rows}{$_} // [] } } keys %{ $case->{schema}{streams} };
	push @sql, map { "DELETE FROM live.$_->{name}_sink WHERE ctid IN (SELECT ctid FROM live.$_->{name}_sink LIMIT 1)" }
	  grep { ($_->{sink} // '') eq 'complete' && !%{ $_->{reads} } } @{ $case->{views} } if $damage;
	foreach my $s (sort keys %{ $step->{rows} })
	{
		my $rows = $step->{rows}{$s};
		next unless @$rows;
		push @sql, "INSERT INTO live.$s VALUES " . _rows($rows) unless $case->{plain};
		# A test of the test: an oracle that has one row fewer.
		my @batch = $ENV{STREAMING_RANDOM_BREAK} || $case->{broken} ? @$rows[ 1 .. $#$rows ] : @$rows;
		push @sql, map { "INSERT INTO $_.$s VALUES " . _rows(\@batch) } qw(batch step) if @batch;
		push @sql, 'SAVEPOINT one', "INSERT INTO live.$s VALUES " . _rows([ $rows->[0] ]), 'ROLLBACK TO one' if $step->{rollback};
		push @sql, "TRUNCATE live.$s", "INSERT INTO live.$s SELECT * FROM batch.$s ORDER BY md5(ctid::text)" if $case->{plain};
		push @sql, 'COMMIT', 'BEGIN' if $step->{apart} && !$damage;
	}
	foreach my $sql (@{ $step->{modify} // [] })
	{
		push @sql, $sql =~ /SCHEMA/ ? map { $sql =~ s/SCHEMA/$_/gr } qw(live batch) : $sql;
		push @sql, 'COMMIT', 'BEGIN' if $step->{apart};
	}
	my $n = 0;
	push @sql, map { "INSERT INTO batch.$_->{name} TABLE step.$_->{name}" } grep { $_->{row_by_row} } @{ $case->{views} };
	my $answer = _run($node, map { [ ++$n, $_ ] } @sql, 'COMMIT');
	my @bad = grep { $_->[0] ne '00000' } values %$answer;
	die "cannot push: $bad[0][0] $bad[0][1]" if @bad;
	return;
}

# After a comparison: the tables that are joined become others.
sub change_tables
{
	my ($node, $step) = @_;

	$node->safe_psql('postgres', join ';', @{ $step->{change} }) if $step->{change};
	return;
}

sub disturb
{
	my ($node, $how) = @_;

	return unless $how;
	if ($how =~ /^state_memory = (.*)/)
	{
		$node->append_conf('postgresql.conf', "streaming.state_memory = '$1'");
		$node->reload;
	}
	elsif ($how eq 'vacuum') { $node->safe_psql('postgres', 'VACUUM'); }
	elsif ($how eq 'terminate') { terminate_worker($node, 'streaming query'); }
	elsif ($how eq 'restart') { $node->restart; }
	elsif ($how eq 'immediate') { $node->stop('immediate'); $node->start; }
	else { kill9($node, $how); }
	wait_for($node, 'SELECT true');
	return;
}

# Statements after which the table "shown" has the answer of a plain view, by a plan that
# the planner had not chosen; the last but one is the query.
sub _other_plan
{
	my ($view) = @_;

	return ('DROP TABLE IF EXISTS shown', 'BEGIN', "SET LOCAL statement_timeout = '5s'",
		(map { "SET LOCAL $_ = off" } qw(enable_hashagg enable_hashjoin enable_material)), "CREATE TEMP TABLE shown AS SELECT * FROM live.$view->{name}", 'COMMIT');
}

sub _compare_sql
{
	my ($view) = @_;
	my $shown = $view->{plain} ? 'shown' : "live.$view->{name}" . ($view->{sink} ? '_sink' : '');
	my $columns = join ', ', map { $_->{name} . (image_needed($_->{type}) ? '::text' : '') } query_columns($view);

	return <<SQL;
WITH shown AS MATERIALIZED (SELECT $columns FROM $shown),
	batch AS MATERIALIZED (SELECT $columns FROM batch.$view->{name}),
	missing AS (SELECT * FROM batch EXCEPT ALL SELECT * FROM shown),
	extra AS (SELECT * FROM shown EXCEPT ALL SELECT * FROM batch)
(SELECT 'missing: ' || missing FROM missing LIMIT 5) UNION ALL (SELECT 'extra: ' || extra FROM extra LIMIT 5)
SQL
}

# Drains the continuous views, and compares.
sub compare
{
	my ($node, @views) = @_;
	my (@statements, %result, @doubtful);

	foreach my $view (grep { $_->{continuous} } @views)
	{
		my @drain = $view->{plain} ? _other_plan($view) : "SELECT streaming.drain('live.$view->{name}', '$deadline seconds')";
		push @statements, [ 't', "SET statement_timeout = '120s'" ],
		  (map { [ ($_ == max(0, $#drain - 1) ? 'd' : 't') . $view->{name}, $drain[$_] ] } 0 .. $#drain),
		  [ 't', "SET statement_timeout = '5s'" ], [ "c$view->{name}", _compare_sql($view) ];
	}
	my $answer = _run($node, @statements);
	foreach my $view (grep { $_->{continuous} } @views)
	{
		my ($drained, $compared) = @{$answer}{ "d$view->{name}", "c$view->{name}" };
		my $kind = $compared->[0] eq '57014' || $view->{plain} && $drained->[0] eq '57014' ? 'undefined'
		  : $drained->[0] eq 'lost' || $compared->[0] eq 'lost' ? 'crash' : $drained->[0] ne '00000' ? 'error'
		  : $compared->[0] ne '00000' ? 'doubt' : $compared->[1] eq '' ? 'same' : 'wrong';
		my $text = $kind eq 'error' ? "drain: $drained->[0] $drained->[1]" : $kind eq 'crash' ? "lost: $drained->[1]" : $compared->[1];
		$result{ $view->{name} } = [ $kind, $text ];
		push @doubtful, $view if $kind eq 'error' || $kind eq 'doubt';
	}
	# Where PostgreSQL itself has no answer, a view need not have one.
	$answer = _run($node, [ 't', "SET statement_timeout = '5s'" ], map { [ $_->{name}, "SELECT count(t) FROM batch.$_->{name} t" ] } @doubtful) if @doubtful;
	foreach my $name (map { $_->{name} } @doubtful)
	{
		$result{$name} = [ 'undefined', join ' ', @{ $answer->{$name} } ] if $answer->{$name}[0] ne '00000';
		$result{$name}[0] = 'error' if $result{$name}[0] eq 'doubt';
	}
	# Only the first of those that a crash took away is to blame, if any.
	my $blamed;
	foreach my $view (grep { $_->{continuous} && $result{ $_->{name} }[0] eq 'crash' } @views)
	{
		$result{ $view->{name} } = [ 'same', 'not asked' ] if $blamed;
		$blamed = 1;
	}
	return %result;
}

# ---- small failures ------------------------------------------------------------

# The views of the case that the view reads, it last.
sub _needed
{
	my ($case, $view) = @_;
	my %needed = ($view->{name} => 1);

	foreach my $v (reverse @{ $case->{views} })
	{
		next unless $needed{ $v->{name} };
		$needed{$_} = 1 foreach query_text($v->{node}) =~ /\b([vo]\d+)\b/g;
	}
	return grep { $needed{ $_->{name} } } @{ $case->{views} };
}

# Does the case alone fail in this way? What it shows then.
sub _fails
{
	my ($node, $case, $view, $kind) = @_;
	my @views = _needed($case, $view);

	prepare($node, $case);
	my %became = create_views($node, @views);
	foreach my $v (@views)
	{
		my ($what, $text) = @{ $became{ $v->{name} } };
		return $v eq $view && $what =~ /^(error|crash)$/ && _kind($what, $text) eq $kind ? $text : undef if $what ne 'kept';
	}
	foreach my $step (@{ $case->{steps} })
	{
		push_step($node, { %$case, views => \@views }, $step);
		disturb($node, $step->{disturb});
		my @ask = grep { $_ eq $view || !$step->{skip}{ $_->{name} } } @views;
		my %result = compare($node, @ask);
		my ($what, $text) = @{ $result{ $view->{name} } };
		return $text if _kind($what, $text) eq $kind;
		return undef if $what ne 'same';
		change_tables($node, $step);
	}
	return undef;
}

# Failures are alike by kind and, of errors, by SQLSTATE.
sub _kind { my ($what, $text) = @_; return $what eq 'error' && $text =~ /^(.*?: \w{5})/ ? "error $1" : $what; }

# A case as small as it becomes in so many seconds, in which the view fails as it did.
sub reduce
{
	my ($node, $case, $view, $what, $text, $seconds) = @_;
	my $end = time + $seconds;
	my $kind = _kind($what, $text);
	my $small = { %$case, steps => [ map { { %$_ } } @{ $case->{steps} } ], views => [ @{ $case->{views} } ], view => $view, shows => $text };
	my $try = sub {
		my ($candidate) = @_;
		return 0 if time > $end;
		my $shows = eval { _fails($node, $candidate, $view, $kind) };
		return 0 unless defined $shows;
		$small->{shows} = $shows;
		return 1;
	};

	if (!$try->($small))
	{
		$small->{alone} = 0;
		$small->{views} = [ _needed($small, $view) ];
		return $small;
	}
	$small->{alone} = 1;
	# Without what disturbs, in fewer steps.
	foreach my $change (
		sub { delete @{$_}{qw(disturb skip rollback apart damage change)} foreach @_ },
		(map { my $key = $_; sub { delete $_->{$key} foreach @_ } } qw(disturb skip rollback apart damage change modify)))
	{
		my @steps = map { { %$_ } } @{ $small->{steps} };
		$change->(@steps);
		$small->{steps} = \@steps if $try->({ %$small, steps => \@steps });
	}
	my $progress = 1;
	while ($progress && time < $end)
	{
		$progress = _fewer_steps($small, $try);
		$progress += _fewer_rows($small, $try);
		$progress += _smaller_query($small, $view, $try);
	}
	_fewer_columns($small, $view, $try);
	$small->{views} = [ _needed($small, $view) ];
	return $small;
}

sub _fewer_steps
{
	my ($small, $try) = @_;
	my $progress = 0;

	for (my $i = 0; $i < @{ $small->{steps} } && @{ $small->{steps} } > 1; $i++)
	{
		my @without = @{ $small->{steps} };
		splice @without, $i, 1;
		my $next = $small->{steps}[ $i + 1 ];
		my @joined = @without;
		$joined[$i] = { %$next, rows => _join_rows($small->{steps}[$i]{rows}, $next->{rows}) } if $next;
		foreach my $steps (\@without, $next ? \@joined : ())
		{
			next unless $try->({ %$small, steps => $steps });
			$small->{steps} = $steps;
			$progress++;
			$i--;
			last;
		}
	}
	return $progress;
}

sub _join_rows
{
	my ($one, $two) = @_;

	return { map { $_ => [ @{ $one->{$_} // [] }, @{ $two->{$_} // [] } ] } keys %{ { %$one, %$two } } };
}

# Half of the rows of a stream in a step, a quarter, ... one.
sub _fewer_rows
{
	my ($small, $try) = @_;
	my $progress = 0;
	my @places = map { my $step = $_; map { [ $step->{rows}, $_ ] } sort keys %{ $step->{rows} } } @{ $small->{steps} };

	push @places, map { [ $small->{tables}, $_ ] } sort keys %{ $small->{tables} };
	foreach my $place (@places)
	{
		my ($holder, $key) = @$place;
		for (my $size = @{ $holder->{$key} }; $size >= 1; $size = int($size / 2))
		{
			for (my $at = 0; $at < @{ $holder->{$key} };)
			{
				my $all = $holder->{$key};
				my @rest = @$all;
				splice @rest, $at, $size;
				$holder->{$key} = \@rest;
				if ($try->($small)) { $progress++; }
				else { $holder->{$key} = $all; $at += $size; }
			}
		}
	}
	return $progress;
}

sub _smaller_query
{
	my ($small, $view, $try) = @_;
	my $progress = 0;

	foreach my $v (reverse(_needed($small, $view)))
	{
		# What has gone with something larger changes nothing any more.
		foreach my $change (smaller($v->{node}))
		{
			my $before = query_text($v->{node});
			$change->{apply}->();
			my $after = query_text($v->{node});
			if ($after ne $before && length $after <= length $before && $try->($small)) { $progress++; }
			else { $change->{undo}->(); }
		}
	}
	return $progress;
}

# Columns that no query names are dropped, if it fails without them, too.
sub _fewer_columns
{
	my ($small, $view, $try) = @_;
	my $text = join ' ', map { query_text($_->{node}) } _needed($small, $view);
	my $schema = { map { $_ => { %{ $small->{schema}{$_} } } } qw(streams tables) };
	my $fewer = { %$small, schema => $schema, tables => { %{ $small->{tables} } }, steps => [ map { { %$_, rows => { %{ $_->{rows} } } } } @{ $small->{steps} } ] };

	foreach my $kind (qw(streams tables))
	{
		foreach my $name (sort keys %{ $schema->{$kind} })
		{
			my $columns = $schema->{$kind}{$name};
			my @keep = grep { $text =~ /\.$columns->[$_]\b|\($columns->[$_]\b/ } 0 .. $#$columns;
			@keep = (0) unless @keep;
			my $cut = sub { [ map { [ @$_[@keep] ] } @{ $_[0] } ] };
			if ($text !~ /\b$name\b/)
			{
				delete $schema->{$kind}{$name};
				delete $fewer->{tables}{$name};
				delete $_->{rows}{$name} foreach @{ $fewer->{steps} };
				next;
			}
			$schema->{$kind}{$name} = [ @$columns[@keep] ];
			$fewer->{tables}{$name} = $cut->($fewer->{tables}{$name}) if $fewer->{tables}{$name};
			foreach my $step (@{ $fewer->{steps} })
			{
				$step->{rows}{$name} = $cut->($step->{rows}{$name}) if $step->{rows}{$name};
			}
		}
	}
	%$small = (%$small, %$fewer, shows => $small->{shows}) if $try->($fewer);
	return;
}

# SQL that shows the failure in an empty database.
sub script_of
{
	my ($case) = @_;
	my ($streams, $tables) = @{ $case->{schema} }{qw(streams tables)};
	my $sql = "CREATE EXTENSION streaming;\n";
	my @body;

	foreach my $s (sort keys %$streams)
	{
		push @body, $case->{followed} ? "CREATE TABLE $s (" . _columns($streams->{$s}) . ');'
		  : "CREATE FOREIGN TABLE $s (" . _columns($streams->{$s}) . ") SERVER streaming;";
	}
	foreach my $t (sort keys %$tables)
	{
		push @body, "CREATE TABLE $t (" . _columns($tables->{$t}) . ((any { $_ eq 'id' } @{ $tables->{$t} }) ? ', PRIMARY KEY (id)' : '') . ');';
		push @body, "INSERT INTO $t VALUES " . _rows($case->{tables}{$t}) . ';' if @{ $case->{tables}{$t} };
	}
	foreach my $v (@{ $case->{views} })
	{
		push @body, map { s/live\.//gr . ';' } _sink_sql($v, '(' . query_text($v->{node}) . ')') if $v->{sink};
		push @body, "CREATE VIEW $v->{name}" . _with($v) . ' AS ' . query_text($v->{node}) . ';';
	}
	foreach my $step (@{ $case->{steps} })
	{
		push @body, map { "INSERT INTO $_ VALUES " . _rows($step->{rows}{$_}) . ';' } grep { @{ $step->{rows}{$_} } } sort keys %{ $step->{rows} };
		push @body, map { s/(SCHEMA|live)\.//gr . ';' } @{ $step->{modify} // [] };
		push @body, "-- rows were inserted in one transaction each; some more rolled back" if $step->{rollback} || $step->{apart};
		push @body, "-- disturbed: $step->{disturb}" if $step->{disturb};
		push @body, map { "SELECT streaming.drain('$_->{name}');" } grep { $_->{continuous} && !$step->{skip}{ $_->{name} } } @{ $case->{views} };
		push @body, map { s/dims\.//r . ';' } @{ $step->{change} // [] };
	}
	push @body, "TABLE $case->{view}{name}" . ($case->{view}{sink} ? '_sink;' : ';');
	my $body = join "\n", @body;
	foreach my $line (split /\n/, $types)
	{
		$sql .= "$line\n" if $line =~ /^CREATE \w+ (\w+)/ && $body =~ /\b$1\b/;
	}
	return $sql . $body . "\n" . join '', map { "-- $_\n" } split /\n/, $case->{shows};
}

1;
