
=head1 NAME

StreamingQueries - random schemas, rows and queries, and smaller ones of them

=head1 SYNOPSIS

  my $schema = random_schema();
  my $query = random_query($schema, views => [...]);
  print query_text($query);
  foreach my $step (smaller($query->{node})) { $step->{apply}->(); ... $step->{undo}->(); }

Every query is determined by the rows of its input as a multiset: where an answer
depends on an order, the order is total, up to rows that are equal in all that the
query can see. None raises an error, whatever the rows. Equal values of different
looks (1.0 and 1.00, 1 day and 24 hours) occur, and only their equality is asked for.

A query is a tree. A node is a string, a code that returns one, or one of

  { of => [nodes] }                          the nodes, one after the other
  { items => [nodes], sep, before, min }     a list, of which all but min may go
  { of => [...], alt => [nodes] }            one that may become one of the others
  { of => [...], optional => 1 }             one that may go

A node that a reduction has taken away has the mark "off"; a column, which may occur
in several lists, carries the mark for all of them.

=cut

package StreamingQueries;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(first shuffle uniq);

our @EXPORT = qw(random_schema random_rows random_query query_text query_columns smaller
  column_type image_needed pick chance);

sub pick { return $_[ rand @_ ]; }
sub chance { return rand() < $_[0]; }

# ---- types -------------------------------------------------------------------

# What a type can do, and literals of it. Types without "equal" are only handed on.
my %type = (
	'int'      => { equal => 1, order => 1, minmax => 1, literal => sub { int(rand 8) - 1 } },
	'bigint'   => { equal => 1, order => 1, minmax => 1, literal => sub { (int(rand 2e9) - int 1e9) . '::bigint' } },
	'numeric'  => { equal => 1, order => 1, minmax => 1,
		literal => sub { pick('1.0', '1.00', '-2.5', '0', '1e10', "'NaN'", '123456789.123') . '::numeric' } },
	# sums of these are exact in every order
	'float8'   => { equal => 1, order => 1, minmax => 1,
		literal => sub { pick('0.25', '-1.5', '3', '1024.75', "'NaN'", "'Infinity'") . '::float8' } },
	'text'     => { equal => 1, order => 1, minmax => 1, literal => sub { chance(0.02) ? "repeat('" . pick('a', 'ab', 'z') . "', 3000)" : "'" . pick('a' .. 'f', 'ab', 'B', '') . "'::text" } },
	'bool'     => { equal => 1, order => 1, literal => sub { pick('true', 'false') } },
	'date'     => { equal => 1, order => 1, minmax => 1, literal => sub { "date '2026-01-0" . (1 + int rand 5) . "'" } },
	'timestamptz' => { equal => 1, order => 1, minmax => 1,
		literal => sub { sprintf "timestamptz '2026-01-01 00:%02d:%02d+00'", rand 3, rand 60 } },
	'timestamp' => { equal => 1, order => 1, minmax => 1,
		literal => sub { sprintf "timestamp '2026-01-01 %02d:30:00'", rand 10 } },
	'interval' => { equal => 1, order => 1, minmax => 1,
		literal => sub { "interval '" . pick('1 day', '24 hours', '90 minutes', '-1 hour', '0') . "'" } },
	'jsonb'    => { equal => 1, order => 1,
		literal => sub { "'" . pick('{"x": 1}', '{"x": 2, "y": [1]}', '[1]', '"s"', 'null') . "'::jsonb" } },
	'int[]'    => { equal => 1, order => 1, minmax => 1, literal => sub { "'" . pick('{}', '{1,2}', '{NULL}', '{3}', '{2,1,2}') . "'::int[]" } },
	'uuid'     => { equal => 1, order => 1, literal => sub { sprintf "'%08d-0000-0000-0000-000000000000'::uuid", rand 4 } },
	'mood'     => { equal => 1, order => 1, minmax => 1, literal => sub { "'" . pick('sad', 'ok', 'glad') . "'::mood" } },
	'small'    => { equal => 1, order => 1, literal => sub { int(rand 5) . '::small' } },
	'pair'     => { equal => 1, order => 1, literal => sub { 'ROW(' . int(rand 3) . ", '" . pick('a', 'b') . "')::pair" } },
	'int4range' => { equal => 1, order => 1, literal => sub { my $low = int rand 4; "'[$low," . ($low + 1 + int rand 3) . ")'::int4range" } },
	'json'     => { literal => sub { "'" . pick('{"x": 1}', '{"x":1}', '[]') . "'::json" } },
	'xml'      => { literal => sub { "'<a>" . int(rand 3) . "</a>'::xml" } },
	'point'    => { literal => sub { "'(" . int(rand 3) . ',' . int(rand 3) . ")'::point" } },
	# of results only
	'text[]'   => { equal => 1, order => 1, literal => sub { "'{a}'::text[]" } },
);

my @equal = sort grep { $type{$_}{equal} } keys %type;
# those that most columns have
my @usual = qw(int int text text bigint numeric bool timestamptz);

sub image_needed { return !$type{ $_[0] }{equal}; }

# Expressions by type. {int} is an expression of a type, {1:int} one that {1}
# repeats, {equal} and {any} one of any such type, {=} one of the same type as the
# {equal} before it.
my %template = (
	'int' => [
		'({int} + {int})', '({int} - 1)', '({int} * 2)', '({int} % 3)', 'abs({int})', 'length({text})',
		'coalesce({int}, 0)', 'nullif({int}, {int})', 'greatest({int}, {int})', 'cardinality({int[]})',
		'({pair}).x', "({jsonb} ->> 'x')::int", "date_part('day', {date})::int", '({int[]})[1]', 'lower({int4range})' ],
	'bigint' => [ '({bigint} + {int})', '({bigint} % 5)', '({int})::bigint', '({bigint} / 2)', '(- {bigint})', 'least({bigint}, {bigint})' ],
	'numeric' => [ '({numeric} + {numeric})', '({numeric} * 2)', 'abs({numeric})', 'round({numeric}, 1)', '({int})::numeric', '({bigint})::numeric' ],
	'float8' => [ '({float8} + {float8})', '({float8} * 2)', '({int})::float8', 'floor({float8})' ],
	'text' => [
		'upper({text})', "({text} || '-')", '({text} || {text})', 'substr({text}, 1, 2)', "({jsonb} ->> 'x')", '({int})::text',
		'({mood})::text', '({date})::text', '({bool})::text', 'trim_scale({numeric})::text', '({uuid})::text', '({pair}).y' ],
	'bool' => [
		'({equal} = {=})', '({equal} <> {=})', '({equal} < {=})', '({equal} >= {=})', '({int} > {int})', '({int} = {int})',
		'(NOT {bool})', '({bool} AND {bool})', '({bool} OR {bool})', '({any} IS NULL)', '({any} IS NOT NULL)',
		'({equal} IS DISTINCT FROM {=})', '({int} IN (1, 2, 5))', '({int} BETWEEN {int} AND {int})', "({text} LIKE 'a%')",
		"({jsonb} @> '{\"x\": 1}')", '({int} = ANY ({int[]}))', '({bool} IS TRUE)', '({int4range} @> {int})', '(({int}, {text}) < ({int}, {text}))' ],
	'date' => [ '({date} + 1)', '({timestamp})::date', "date_trunc('month', {timestamp})::date" ],
	'timestamptz' => [ '({timestamptz} + {interval})', "date_bin('20 seconds', {timestamptz}, 'epoch')", "date_trunc('minute', {timestamptz})" ],
	'timestamp' => [ "({timestamp} + interval '1 hour')", "({timestamptz} AT TIME ZONE 'UTC')", '({date})::timestamp' ],
	'interval' => [ '({timestamptz} - {timestamptz})', '({interval} * 2)', '({interval} + {interval})' ],
	'jsonb' => [ "jsonb_build_object('x', {int})", 'to_jsonb({text})', "({jsonb} -> 'x')" ],
	'int[]' => [ 'ARRAY[{int}, {int}]', '({int[]} || {int})' ],
	'pair' => ['ROW({int}, {text})::pair'],
	'int4range' => ['int4range({int}, {int} + 20)'],
);
# Of int4range the bounds must be in order.
$template{'int4range'} = ['int4range(abs({1:int}), abs({1}) + 2)'];

# Aggregates by the type of their result, with the family that they belong to.
my %aggregate = (
	'bigint' => [ [ agg => 'count(*)' ], [ agg => 'count(*)' ], [ agg => 'count({any})' ], [ agg => 'sum({int})' ], [ agg => 'sum({int})' ],
		[ agg_distinct => 'count(DISTINCT {equal})' ], [ agg_distinct => 'sum(DISTINCT {int})' ],
		[ agg_distinct => 'count(DISTINCT {int})' ],
		[ agg_ordered_set => 'rank(3) WITHIN GROUP (ORDER BY {int})' ], [ agg_ordered_set => 'dense_rank(3, \'b\'::text) WITHIN GROUP (ORDER BY {int} DESC, {text})' ],
		[ agg => 'bit_or({bigint})' ], [ agg => 'bit_xor({bigint})' ], [ agg => 'regr_count({float8}, {float8})' ] ],
	'numeric' => [ [ agg => 'sum({bigint})' ], [ agg => 'sum({numeric})' ], [ agg => 'avg({int})' ], [ agg => 'avg({bigint})' ], [ agg => 'avg({numeric})' ],
		[ agg => 'stddev({int})' ], [ agg => 'var_pop({int})' ], [ agg => 'stddev_pop({bigint})' ], [ agg => 'variance({numeric})' ],
		[ agg_distinct => 'stddev(DISTINCT {int})' ], [ agg_distinct => 'avg(DISTINCT {numeric})' ],
		[ agg_distinct => 'sum(DISTINCT {bigint})' ], [ agg_distinct => 'avg(DISTINCT {int})' ] ],
	'float8' => [ [ agg => 'sum({float8})' ], [ agg => 'avg({float8})' ], [ agg_ordered_set => 'percentile_cont(0.5) WITHIN GROUP (ORDER BY {float8})' ],
		[ agg_ordered_set => 'percentile_cont(0.25) WITHIN GROUP (ORDER BY {int})' ], [ agg_ordered_set => 'percent_rank(2) WITHIN GROUP (ORDER BY {int})' ],
		[ agg_ordered_set => 'cume_dist(2) WITHIN GROUP (ORDER BY {int})' ] ],
	'bool' => [ [ agg => 'bool_and({bool})' ], [ agg => 'bool_or({bool})' ], [ agg => 'every({bool})' ], [ agg_distinct => 'bool_or(DISTINCT {bool})' ], [ agg_ordered_set => 'mode() WITHIN GROUP (ORDER BY {bool})' ] ],
	'int' => [ [ agg => 'bit_and({int})' ], [ agg => 'bit_or({int})' ], [ agg => 'bit_xor({int})' ],
		[ agg_ordered_set => 'mode() WITHIN GROUP (ORDER BY {int})' ], [ agg_ordered_set => 'percentile_disc(0.5) WITHIN GROUP (ORDER BY {int} DESC)' ] ],
	'text' => [ [ agg_order => "string_agg({1:text}, ',' ORDER BY {1})" ], [ agg_order => "string_agg({1:text}, '-' ORDER BY {int} DESC, {1})" ],
		[ agg_distinct => "string_agg(DISTINCT {1:text}, ',' ORDER BY {1})" ], [ agg_ordered_set => 'mode() WITHIN GROUP (ORDER BY {text})' ] ],
	'int[]' => [ [ agg_order => 'array_agg({1:int} ORDER BY {1})' ], [ agg_order => 'array_agg({1:int} ORDER BY {text}, {1} DESC NULLS LAST)' ],
		[ agg_distinct => 'array_agg(DISTINCT {1:int} ORDER BY {1})' ],
		[ agg_ordered_set => 'percentile_disc(ARRAY[0.2, 0.8]) WITHIN GROUP (ORDER BY {int})' ] ],
	'text[]' => [ [ agg_order => 'array_agg({1:text} ORDER BY {1} DESC)' ] ],
	'jsonb' => [ [ agg_order => 'jsonb_agg({1:int} ORDER BY {1})' ],
		[ agg_order => "jsonb_object_agg(coalesce({1:text}, '-'), {2:int} ORDER BY coalesce({1}, '-'), {2})" ] ],
	'interval' => [ [ agg => 'sum({interval})' ] ],
);

foreach my $t (grep { $type{$_}{minmax} } keys %type)
{
	push @{ $aggregate{$t} }, [ agg => "min({$t})" ], [ agg => "max({$t})" ], [ agg_distinct => "max(DISTINCT {$t})" ];
}
my @aggregated = sort keys %aggregate;

# ---- nodes -------------------------------------------------------------------

sub query_text
{
	my ($node) = @_;

	return $node unless ref $node;
	return $node->() if ref $node eq 'CODE';
	return '' if $node->{off};
	return query_text($node->{alt}[ $node->{as} ]) if defined $node->{as};
	if ($node->{items})
	{
		my @on = map { query_text($_) } _on($node);
		return @on ? ($node->{before} // '') . join($node->{sep}, @on) . ($node->{after} // '') : '';
	}
	return join '', map { query_text($_) } @{ $node->{of} };
}

# Items that are there; one with a column is there as long as the column is.
sub _on { return grep { !ref $_ || ref $_ eq 'CODE' || !($_->{off} || $_->{column} && $_->{column}{off}) } @{ $_[0]{items} }; }

sub seq { return { of => [@_] }; }
sub optional { return { of => [@_], optional => 1 }; }
sub list { my ($sep, $items, %more) = @_; return { sep => $sep, items => $items, min => 0, %more }; }

# What could be taken away from a tree, or made simpler: closures apply and undo,
# the larger first.
sub smaller
{
	my ($root) = @_;
	my (@steps, %seen);
	my @queue = ($root);

	while (my $node = shift @queue)
	{
		next if !ref $node || ref $node eq 'CODE' || $seen{$node}++ || $node->{off};
		if (defined $node->{as})
		{
			push @queue, $node->{alt}[ $node->{as} ];
			next;
		}
		push @steps, _set($node, 'off', 1) if $node->{optional};
		push @steps, map { _set($node, 'as', $_) } 0 .. $#{ $node->{alt} // [] };
		if ($node->{items})
		{
			my @on = grep { ref $_ && ref $_ ne 'CODE' } _on($node);
			if (_on($node) > $node->{min})
			{
				push @steps, map { _set($_->{column} // $_, 'off', 1) } @on;
			}
			push @queue, @on;
		}
		push @queue, @{ $node->{of} // [] };
	}
	return @steps;
}

sub _set
{
	my ($node, $key, $value) = @_;

	return { apply => sub { $node->{$key} = $value }, undo => sub { delete $node->{$key} } };
}

# ---- schemas and rows ----------------------------------------------------------

# Names of columns tell their type, and are the same in all relations.
my %column = (
	a => 'int', b => 'text', c => 'numeric', d => 'date', e => 'timestamptz', f => 'bool', g => 'bigint', h => 'int[]', i => 'interval',
	j => 'jsonb', m => 'mood', n => 'small', p => 'pair', q => 'point', r => 'float8', t => 'timestamp', u => 'uuid', w => 'int4range',
	x => 'xml', y => 'json', id => 'int', label => 'text', weight => 'int');

my $next_id;

sub column_type { return $column{ $_[0] }; }

sub random_schema
{
	$next_id = 0;
	my %schema = (streams => {}, tables => {});
	my @more = grep { !/^(a|b|id|label|weight)$/ } sort keys %column;
	my $streams = pick(2, 3, 3);

	foreach my $s (1 .. $streams)
	{
		my @columns = ('a', 'b', (shuffle(@more))[ 0 .. 2 + int rand 6 ]);
		# the last one has rows that are equal
		@columns = ('a', 'b', pick('c', 'f', 'h')) if $s == $streams;
		push @columns, 'id' if $s < $streams;
		$schema{streams}{"s$s"} = [ shuffle(@columns) ];
	}
	$schema{tables} = { d1 => [ 'id', 'b', 'label', 'weight' ], d2 => [ 'a', pick('c', 'm', 'j'), 'label' ] };
	return \%schema;
}

# N rows, each a list of literals; NULL, equal, skewed.
sub random_rows
{
	my ($columns, $n) = @_;
	my @rows;

	foreach (1 .. $n)
	{
		if (@rows && !grep({ $_ eq 'id' } @$columns) && chance(0.25))
		{
			push @rows, [ @{ pick(@rows) } ];
			next;
		}
		push @rows, [ map {
			my $t = $column{$_};
			$_ eq 'id' ? ++$next_id : chance(0.1) ? "NULL::$t" : $_ eq 'a' && chance(0.3) ? '1' : $type{$t}{literal}->()
		} @$columns ];
	}
	return \@rows;
}

# ---- expressions ---------------------------------------------------------------

# A scope is { relations => [...], outer => scope, g => generator }; a relation is
# { alias, columns => [{ name, type, off }] }.

sub _visible
{
	my ($scope, $type) = @_;
	my @found;

	foreach my $rel (@{ $scope->{relations} })
	{
		push @found, map { [ $rel, $_ ] } grep { !$type || $_->{type} eq $type } @{ $rel->{columns} };
	}
	return @found;
}

sub _column_text { my ($rel, $column) = @_; return $rel->{alias} eq '' ? $column->{name} : "$rel->{alias}.$column->{name}"; }

# A column or a literal.
sub _leaf
{
	my ($scope, $type) = @_;
	my @found = _visible($scope, $type);

	if ($scope->{outer} && chance(@found ? 0.15 : 0.7))
	{
		my @outer = _visible($scope->{outer}, $type);
		if (@outer) { $scope->{g}{tags}{correlated} = 1; @found = @outer; }
	}
	return _column_text(@{ pick(@found) }) if @found && chance(0.85);
	my $literal = $type{$type}{literal}->();
	return chance(0.05) ? "NULL::$type" : $literal;
}

# A whole row, of a relation whose columns have all an equality.
sub _whole_row
{
	my ($scope) = @_;
	my @rows = grep { $_->{alias} && !grep { !$type{ $_->{type} }{equal} } @{ $_->{columns} } } @{ $scope->{relations} };

	return @rows ? pick(@rows)->{alias} : undef;
}

sub expression
{
	my ($scope, $type, $depth) = @_;

	my %there = map { $_->[1]{type} => 1 } _visible($scope);

	return _leaf($scope, $type) if $depth <= 0 || $there{$type} && chance(0.5);
	# Rather of what there is than of literals.
	my @templates = @{ $template{$type} // [] };
	my @good = grep { _makes_use($_, \%there) } @templates;
	push @good, "coalesce({$type}, {$type})", "CASE WHEN {bool} THEN {$type} ELSE {$type} END" if $there{$type};
	my $row = $type eq 'bool' && $scope->{g}{on}{row} && chance(0.3) ? _whole_row($scope) : undef;
	if ($row)
	{
		$scope->{g}{tags}{row} = 1;
		return pick("($row IS NOT NULL)", "($row = $row)", "($row IS NOT DISTINCT FROM NULL)");
	}
	my $template = pick(@good && chance(0.9) ? @good : @templates) or return _leaf($scope, $type);
	return fill($scope, $template, $type, $depth - 1);
}

# Are the expressions that a template asks for to be had from columns?
sub _makes_use
{
	my ($template, $there) = @_;

	return !grep { !$there->{$_} && !/^(any|equal|=)$/ } $template =~ /\{(?:\d+:)?([a-z][a-z0-9\[\]]*|=)\}/g;
}

# A template filled in; it may become any expression of its own type in it, or a leaf.
sub fill
{
	my ($scope, $template, $type, $depth) = @_;
	my (%again, @parts, @simpler, $last);

	foreach my $part (split /(\{(?:\d+:)?[a-z0-9\[\]=]+\})/, $template)
	{
		my ($number, $wanted) = $part =~ /^\{(?:(\d+)(?::|(?=\})))?([a-z0-9\[\]=]*)\}$/ or do { push @parts, $part; next; };
		if ($number && $wanted eq '') { push @parts, $again{$number}; next; }
		$wanted = $last if $wanted eq '=';
		if ($wanted eq 'equal' || $wanted eq 'any')
		{
			my @there = uniq map { $_->[1]{type} } _visible($scope);
			@there = grep { $type{$_}{equal} } @there if $wanted eq 'equal';
			$wanted = @there ? pick(@there) : 'int';
			$last = $wanted;
		}
		my $node = expression($scope, $wanted, $depth);
		$again{$number} = $node if $number;
		push @simpler, $node if $wanted eq $type;
		push @parts, $node;
	}
	return { of => \@parts, alt => [ $type{$type}{equal} ? _leaf($scope, $type) : (), @simpler ] };
}

sub condition
{
	my ($scope, $depth) = @_;

	return list(' AND ', [ map { seq(expression($scope, 'bool', $depth)) } 1 .. pick(1, 1, 2) ], min => 1);
}

# ---- FROM ----------------------------------------------------------------------

sub _alias { my ($g) = @_; return 'q' . ++$g->{aliases}; }

# Columns that are there, as they order a row among others.
sub _order_of
{
	my (@relations) = @_;

	return join ', ', map {
		my $rel = $_;
		my @columns = grep { !$_->{off} } @{ $rel->{columns} };
		my ($id) = grep { $_->{name} eq 'id' && $rel->{base} } @columns;
		map { _column_text($rel, $_) . ($type{ $_->{type} }{order} ? '' : '::text') } $id ? $id : @columns
	} grep { !($_->{node} && $_->{node}{off} || $_->{inside} && $_->{inside}{off}) } @relations;
}

sub _base
{
	my ($g, $name, $columns) = @_;
	my $alias = _alias($g);

	return { alias => $alias, base => $name, text => "$name $alias", columns => [ map { { name => $_, type => $column{$_} } } @$columns ] };
}

sub _stream { my ($g) = @_; my $s = $g->{schema}{streams}; my $name = pick(sort keys %$s); return _base($g, $name, $s->{$name}); }
sub _table { my ($g) = @_; my $t = $g->{schema}{tables}; my $name = pick(sort keys %$t); $g->{tags}{table} = 1; return _base($g, $name, $t->{$name}); }

sub _over
{
	my ($g, $name, $columns) = @_;
	my $alias = _alias($g);

	return { alias => $alias, text => "$name $alias", columns => $columns };
}

# Something with rows that change: a stream, a view, a subquery.
sub relation
{
	my ($g, $depth, $outer) = @_;
	my $on = $g->{on};

	if (@{ $g->{ctes} } && chance(0.6))
	{
		my $cte = pick(@{ $g->{ctes} });
		return _over($g, $cte->{name}, $cte->{columns});
	}
	if ($on->{chain} && @{ $g->{views} } && chance(0.7))
	{
		my $view = pick(@{ $g->{views} });
		$g->{tags}{ $view->{continuous} ? 'chain' : 'ordinary_view' } = 1;
		$g->{reads}{ $view->{name} } = $view;
		return _over($g, $view->{name}, $view->{columns});
	}
	if ($on->{subquery} && $depth > 0 && chance(0.6))
	{
		local $g->{ctes} = [ @{ $g->{ctes} } ];
		my $with = $on->{cte} && chance(0.3) ? seq('WITH ', with_clause($g, $depth), ' ') : '';
		my $query = block($g, $depth - 1, $outer);
		my $alias = _alias($g);
		$g->{tags}{subquery} = 1;
		$query->{node} = seq($with, $query->{node}) if $with;
		return { alias => $alias, text => seq('(', $query->{node}, ") $alias"), columns => $query->{columns} };
	}
	if ($on->{values} && chance(0.3))
	{
		my @types = map { pick(@usual) } 1 .. 2;
		my $alias = _alias($g);
		$g->{tags}{values} = 1;
		return { alias => $alias,
			text => seq('(VALUES ', list(', ', [ map { seq('(' . join(', ', map { $type{$_}{literal}->() } @types) . ')') } 1 .. pick(1 .. 3) ], min => 1), ") $alias(c1, c2)"),
			columns => [ { name => 'c1', type => $types[0] }, { name => 'c2', type => $types[1] } ] };
	}
	return _stream($g);
}

# Pairs of columns of the same type, on either side of a join.
sub _pairs
{
	my ($left, $right) = @_;
	my @pairs;

	foreach my $l (_visible($left))
	{
		push @pairs, map { [ $l, [ $right, $_ ] ] } grep { $_->{type} eq $l->[1]{type} && $type{ $_->{type} }{equal} } @{ $right->{columns} };
	}
	return @pairs;
}

# Few columns have values that meet often.
sub _equality
{
	my ($left, $right) = @_;
	my @pairs = _pairs($left, $right);
	my @good = grep { $_->[0][1]{name} eq $_->[1][1]{name} || chance(0.1) } @pairs;
	my $pair = pick(@good && chance(0.8) ? @good : @pairs) or return undef;

	return seq(_column_text(@{ $pair->[0] }) . ' = ' . _column_text(@{ $pair->[1] }));
}

sub from_clause
{
	my ($g, $depth, $outer) = @_;
	my $on = $g->{on};
	my $scope = { relations => [], outer => $outer, g => $g };
	my @parts;
	my $first = relation($g, $depth, $outer);

	push @{ $scope->{relations} }, $first;
	push @parts, $first->{text};
	my @kinds = grep { $on->{$_} } qw(join_stream join_table lateral srf_from);
	my $n = @kinds ? pick(1, 1, 1, 2) : 0;
	foreach (1 .. $n)
	{
		my $kind = pick(@kinds);
		my ($rel, $node);

		# Joins of many would take too long.
		last if $g->{aliases} > 8;

		if ($kind eq 'lateral')
		{
			my $inner = block($g, 0, $scope, on => { %{$on}{ grep { /^(top_n|agg|order)/ } keys %$on } }, correlate => 1);
			my $alias = _alias($g);
			$g->{tags}{lateral} = 1;
			$rel = { alias => $alias, columns => $inner->{columns} };
			$node = optional(pick(', LATERAL (', ' CROSS JOIN LATERAL (', ' LEFT JOIN LATERAL ('), $inner->{node}, ") $alias");
			push @{ $node->{of} }, ' ON true' if $node->{of}[0] =~ /LEFT/;
		}
		elsif ($kind eq 'srf_from')
		{
			my $alias = _alias($g);
			my ($array) = grep { $_->[1]{type} eq 'int[]' } _visible($scope);
			$g->{tags}{srf_from} = 1;
			$rel = { alias => $alias, columns => [ { name => 'c1', type => 'int' } ] };
			$node = optional(', ', $array && chance(0.6) ? 'unnest(' . _column_text(@$array) . ')'
				: seq('generate_series(1, ', expression({ relations => $scope->{relations}, g => $g }, 'int', 1), ' % 4)'), " $alias(c1)");
		}
		else
		{
			$rel = $kind eq 'join_table' ? _table($g) : relation($g, $depth, $outer);
			$g->{tags}{$kind} = 1;
			if ($on->{join_nested} && chance(0.6))
			{
				# q1 JOIN (q2 JOIN q3 ON ...) ON ...
				my $third = chance(0.5) ? _table($g) : relation($g, $depth, $outer);
				my $inner = join_node($g, { relations => [$rel], g => $g }, $third);
				$g->{tags}{join_nested} = 1;
				$inner->{of}[0] = ' CROSS JOIN ' if $inner->{of}[0] eq ', ';
				$third->{node} = $inner;
				$rel = { %$rel, text => seq('(', $rel->{text}, $inner, ')') };
				$node = join_node($g, $scope, $rel);
				$third->{inside} = $node;
				push @{ $scope->{relations} }, $third;
			}
			else
			{
				$node = join_node($g, $scope, $rel);
			}
		}
		$rel->{node} = $node;
		push @{ $scope->{relations} }, $rel;
		push @parts, $node;
	}
	# One more condition of the last join, if it has any.
	if ($on->{sub_on} && @parts > 1 && $parts[-1]{of}[0] !~ /FULL/ && grep { !ref $_ && $_ eq ' ON ' } @{ $parts[-1]{of} })
	{
		$g->{tags}{sub_on} = 1;
		push @parts, optional(' AND ', sub_condition($g, $scope));
	}
	return (seq(' FROM ', @parts), $scope);
}

sub join_node
{
	my ($g, $left, $right) = @_;
	my $on = $g->{on};
	my $equality = _equality($left, $right);
	my $type = $on->{join_keep} ? pick(' JOIN ', ' LEFT JOIN ') : !$on->{join_outer} ? ' JOIN ' : pick(' LEFT JOIN ', ' RIGHT JOIN ', ' FULL JOIN ', ' JOIN ');
	my @common = grep { my $n = $_; grep { $_->[1]{name} eq $n } _visible($left) } map { $_->{name} } @{ $right->{columns} };

	if ($on->{join_cross} || !$equality)
	{
		$g->{tags}{join_cross} = 1;
		return optional(pick(', ', ' CROSS JOIN '), $right->{text});
	}
	$g->{tags}{ 'join' . lc($type =~ s/^ (\w*) *JOIN $/$1/r =~ s/^(?=.)/_/r) } = 1 if $type ne ' JOIN ';
	if ($on->{join_using} && @common && @{ $left->{relations} } == 1)
	{
		my %type_of = map { $_->[1]{name} => $_->[1]{type} } _visible($left);
		my @usable = grep { my $c = $_; $type{ $type_of{$c} }{equal} && (first { $_->{name} eq $c } @{ $right->{columns} })->{type} eq $type_of{$c} } @common;
		$g->{tags}{join_using} = 1;
		if (chance(0.4) && @usable == @common)
		{
			$g->{tags}{join_natural} = 1;
			return optional(' NATURAL', $type, $right->{text});
		}
		if (@usable)
		{
			return optional($type, $right->{text}, ' USING (', list(', ', [ map { seq($_) } (shuffle(@usable))[ 0 .. (@usable > 1 && chance(0.3) ? 1 : 0) ] ], min => 1), ')');
		}
	}
	my $both = { relations => [ @{ $left->{relations} }, $right ], g => $g };
	if ($on->{join_theta} && $type !~ /FULL/)
	{
		$g->{tags}{join_theta} = 1;
		return optional($type, $right->{text}, ' ON ', condition($both, 1));
	}
	my $more = $type !~ /FULL/ && chance(0.3) ? condition($both, 1) : chance(0.2) ? _equality($left, $right) : undef;
	return optional($type, $right->{text}, ' ON ', list(' AND ', [ $equality, $more ? $more : () ], min => 1));
}

# ---- queries -------------------------------------------------------------------

# A condition with a subquery.
sub sub_condition
{
	my ($g, $scope) = @_;
	my $rel = $g->{on}{sub_stream} ? relation($g, 0, undef) : _table($g);
	my $inner = { relations => [$rel], outer => $scope, g => $g };
	my $equality = _equality($scope, $rel);
	my $other = chance(0.4) ? _equality($scope, $rel) : undef;
	my @where = ($equality ? $equality : (), $other ? $other : (), chance(0.3) ? condition($inner, 1) : ());
	my $where = list(' AND ', \@where, before => ' WHERE ');
	my $uncorrelated = list(' AND ', [ chance(0.6) ? condition({ %$inner, outer => undef }, 1) : () ], before => ' WHERE ');
	my $pair = pick(_pairs($scope, $rel));
	my $kind = pick(qw(exists exists not_exists in in not_in any all scalar row known negated));

	$g->{tags}{ 'sub_' . ($g->{on}{sub_stream} ? 'stream' : 'table') } = 1;
	$kind = 'exists' unless $pair;
	$g->{tags}{"sub_$kind"} = 1;
	return seq(pick('', 'NOT ') . 'EXISTS (SELECT ' . pick('', '', '*') . ' FROM ', $rel->{text}, $where, pick('', '', ' LIMIT 1') . ')') if $kind =~ /exists/;
	my ($l, $r) = map { _column_text(@$_) } @$pair;
	# the first rows, which depend on those of other values
	my $first = chance(0.3) ? optional(' ORDER BY ', sub { _order_of($rel) }, ' LIMIT ' . pick(1 .. 3)) : '';
	$uncorrelated = $where if chance(0.25);
	# what compares no NULLs is as NOT EXISTS
	return seq("$l IS NOT NULL AND $l NOT IN (SELECT $r FROM ", $rel->{text}, list(' AND ', ["$r IS NOT NULL", @where], before => ' WHERE ', min => 1), ')') if $kind eq 'known';
	return seq('NOT ', pick('', '', 'NOT '), "$l " . pick('=', '<', '<>') . pick(' ANY', ' ALL') . " (SELECT $r FROM ", $rel->{text}, $uncorrelated, ')') if $kind eq 'negated';
	return seq("$l " . ($kind eq 'in' ? 'IN' : 'NOT IN') . " (SELECT $r FROM ", $rel->{text}, $uncorrelated, $first, ')') if $kind =~ /in$/;
	return seq("($l, $l) IN (SELECT $r, $r FROM ", $rel->{text}, $uncorrelated, ')') if $kind eq 'row';
	return seq("$l " . pick('=', '<', '>=', '<>') . ' ' . uc($kind) . " (SELECT $r FROM ", $rel->{text}, $uncorrelated, ')') if $kind =~ /^(any|all)$/;
	return seq('(SELECT count(*) FROM ', $rel->{text}, $where, ') ' . pick('> 1', '= 0', '< 3'));
}

# A scalar from a subquery, and its type.
sub sub_scalar
{
	my ($g, $scope) = @_;
	my $rel = $g->{on}{sub_stream} ? relation($g, 0, undef) : _table($g);
	my $inner = { relations => [$rel], outer => $scope, g => $g };
	my $equality = _equality($scope, $rel);
	my $where = list(' AND ', [ $equality ? $equality : (), chance(0.3) ? condition($inner, 1) : () ], before => ' WHERE ');
	my ($rel2, $column) = @{ pick(grep { $type{ $_->[1]{type} }{minmax} } _visible($inner)) // [] };

	$g->{tags}{ 'scalar_' . ($g->{on}{sub_stream} ? 'stream' : 'table') } = 1;
	return ('bigint', seq('(SELECT count(*) FROM ', $rel->{text}, $where, ')')) if !$column || chance(0.3);
	my $text = _column_text($rel2, $column);
	return ($column->{type}, seq("(SELECT max($text) FROM ", $rel->{text}, $where, ')')) if chance(0.5);
	return ('int[]', seq("ARRAY(SELECT $text FROM ", $rel->{text}, $where, " ORDER BY $text)")) if $column->{type} eq 'int' && chance(0.5);
	return ($column->{type}, seq("(SELECT $text FROM ", $rel->{text}, $where, " ORDER BY $text" . pick('', ' DESC') . ' LIMIT 1)'));
}

sub where_clause
{
	my ($g, $scope) = @_;
	my @conditions;

	push @conditions, condition($scope, 2) if chance(0.4) || $scope->{correlate};
	push @conditions, map { sub_condition($g, $scope) } 1 .. pick(1, 1, 1, 2, 3) if $g->{on}{sub_where} && chance(0.8);
	if ($scope->{correlate} && $scope->{outer})
	{
		my $equality = _equality($scope->{outer}, $scope->{relations}[0]);
		@conditions = ($equality, chance(0.2) ? condition($scope, 1) : ()) if $equality;
	}
	return list(' AND ', \@conditions, before => ' WHERE ');
}

sub _new_columns { my $n = 0; return map { { name => 'c' . ++$n, type => $_ } } @_; }

# Types of columns of a scope, the usual ones above all.
sub _some_types
{
	my ($scope, $n, $equal) = @_;
	my @there = grep { !$equal || $type{$_}{equal} } uniq map { $_->[1]{type} } _visible($scope);

	return map { @there && chance(0.8) ? pick(@there) : pick(@usual) } 1 .. $n;
}

# A query without ORDER BY: one SELECT. The types of its columns may be asked for;
# columns given are shared with who gave them.
sub select_query
{
	my ($g, $depth, $outer, %want) = @_;
	local $g->{on} = $want{on} // $g->{on};
	my $on = $g->{on};
	my ($from, $scope) = from_clause($g, $depth, $outer);

	$scope->{correlate} = $want{correlate};
	return aggregate_query($g, $from, $scope, %want) if $on->{agg} && chance($depth > 0 || $want{columns} ? 0.6 : 0.85);
	my $equal = $want{equal} || $on->{distinct};
	my @columns = $want{columns} ? @{ $want{columns} } : _new_columns(_some_types($scope, pick(1 .. 4), $equal));
	my @exprs = map { expression($scope, $_->{type}, 2) } @columns;
	my $windows = '';

	if (!$want{columns})
	{
		if ($on->{window} && chance(0.9))
		{
			foreach (1 .. pick(1, 1, 2))
			{
				my ($t, $node) = window_function($g, $scope, sub { expression($scope, $_[0], 1) }, sub { _order_of(@{ $scope->{relations} }) });
				push @columns, { type => $t };
				push @exprs, $node;
			}
		}
		if ($on->{sub_select} && chance(0.8))
		{
			my ($t, $node) = sub_scalar($g, $scope);
			push @columns, { type => $t };
			push @exprs, $node;
		}
		if ($on->{srf} && chance(0.8) && !$want{correlate})
		{
			$g->{tags}{srf} = 1;
			push @columns, { type => 'int' };
			push @exprs, seq(pick('generate_series(1, ', 'unnest(ARRAY[7, '), expression($scope, 'int', 1));
			push @{ $exprs[-1]{of} }, $exprs[-1]{of}[0] =~ /unnest/ ? '])' : ' % 4)';
		}
		my $n = 0;
		$_->{name} = 'c' . ++$n foreach @columns;
	}
	my $distinct = $on->{distinct} && !grep({ !$type{ $_->{type} }{equal} } @columns) && chance(0.7) ? optional('DISTINCT ') : '';
	$g->{tags}{distinct} = 1 if $distinct;
	my @items = map { { of => [ $exprs[$_], " AS $columns[$_]{name}" ], column => $columns[$_] } } 0 .. $#columns;
	return { columns => \@columns, scope => $scope,
		node => seq('SELECT ', $distinct, list(', ', \@items, min => 1), $from, where_clause($g, $scope), list(', ', $scope->{windows} // [], before => ' WINDOW ')) };
}

sub aggregate_call
{
	my ($g, $scope, $type) = @_;
	# One whose arguments are all of an outer query is an aggregate of that.
	$scope = { %$scope, outer => undef };
	my @pool = grep { $g->{on}{ $_->[0] } || $_->[0] eq 'agg' } @{ $aggregate{$type} // [] } or return undef;
	my %there = map { $_->[1]{type} => 1 } _visible($scope);
	my @good = grep { _makes_use($_->[1], \%there) } @pool;
	@pool = @good if @good && chance(0.9);
	my ($family, $template) = @{ pick(@pool) };
	my $row = $type eq 'bigint' && $g->{on}{row} && chance(0.5) ? _whole_row($scope) : undef;
	my $call = $row ? seq(pick("count($row)", "count(DISTINCT $row)")) : fill($scope, $template, '-', 1);

	$g->{tags}{row} = 1 if $row;
	my $filter = '';

	$g->{tags}{$family} = 1;
	if ($g->{on}{agg_filter} && chance(0.5))
	{
		$g->{tags}{agg_filter} = 1;
		$filter = optional(' FILTER (WHERE ', expression($scope, 'bool', 1), ')');
	}
	return seq($call, $filter);
}

sub aggregate_query
{
	my ($g, $from, $scope, %want) = @_;
	my $on = $g->{on};
	my @keys;

	foreach my $t (_some_types($scope, pick(0, 1, 1, 2, 2), 1))
	{
		my $node = expression($scope, $t, 1);
		# a number, or what the server folds to one, is a position; text alone has no type
		$node = seq('coalesce(', $node, ', ', $type{$t}{literal}->(), ')') unless query_text($node) =~ /q\d+\./;
		next if query_text($node) !~ /q\d+\./;
		# of equal columns that it folds to a constant the server, before 18, makes but one NULL
		next if $on->{grouping_sets} && query_text($node) =~ /\bcoalesce\([^q(]|\bWHEN (?:true|false)\b/;
		push @keys, { node => seq($node), type => $t };
	}
	my ($d1) = grep { ($_->{base} // '') eq 'd1' } @{ $scope->{relations} };
	if ($d1 && !$on->{grouping_sets} && !$want{columns} && chance(0.4))
	{
		# label depends on the primary key
		$g->{tags}{group_dependent} = 1;
		@keys = map { { node => seq("$d1->{alias}.$_"), type => $column{$_} } } 'id', 'label';
		$keys[1]{dependent} = 1;
	}
	my @columns = $want{columns} ? @{ $want{columns} } : _new_columns(map { $_->{type} } (grep { $_->{dependent} || chance(0.85) } @keys));
	my @exprs;
	my $plain = $want{columns} ? 0 : @columns;
	if (!$want{columns})
	{
		push @columns, map { { type => pick(chance(0.5) ? 'bigint' : @aggregated) } } 1 .. pick(1, 1, 2, 3);
	}
	my @left = @keys;
	foreach my $i (0 .. $#columns)
	{
		my $t = $columns[$i]{type};
		my $key = $i < $plain ? first { $_->{type} eq $t && !$_->{column} } @left : chance(0.3) ? first { $_->{type} eq $t } @keys : undef;
		my $node = $key ? $key->{node} : aggregate_call($g, $scope, $t);
		$key->{column} = $columns[$i] if $key;
		if (!$node)
		{
			# no aggregate has this type
			$key = { node => seq(_leaf($scope, $t)), type => $t };
			push @keys, $key if query_text($key->{node}) =~ /q\d+\./;
			$node = $key->{node};
		}
		elsif (!$key && $template{$t} && chance(0.2))
		{
			my $other = aggregate_call($g, $scope, $t);
			$node = { of => [ 'coalesce(', $node, ', ', $other, ')' ], alt => [ $node, $other ] };
		}
		push @exprs, $node;
	}
	if (!$want{columns} && $on->{sub_select} && chance(0.6))
	{
		my ($t, $node) = sub_scalar($g, $scope);
		push @columns, { type => $type{$t}{minmax} ? $t : 'bigint' };
		push @exprs, seq($type{$t}{minmax} ? 'max(' : 'count(', $node, ')');
	}
	if (!$want{columns} && $on->{sub_above} && chance(0.8))
	{
		my $rel = $on->{sub_stream} ? relation($g, 0, undef) : _table($g);
		my ($pair) = map { my $key = $_; map { [ $key, $_ ] } grep { $_->{type} eq $key->{type} && $type{ $_->{type} }{equal} } @{ $rel->{columns} } }
		  grep { !$_->{dependent} } @keys;
		my $where = $pair ? seq(' WHERE ', _column_text($rel, $pair->[1]), ' = ', $pair->[0]{node}) : '';
		$g->{tags}{ 'above_' . ($on->{sub_stream} ? 'stream' : 'table') } = 1;
		push @columns, { type => 'bigint' };
		push @exprs, seq('(SELECT count(*) FROM ', $rel->{text}, $where, ')');
	}
	if (!$want{columns} && $on->{window_agg} && chance(0.7))
	{
		my ($t, $node) = window_function($g, $scope, sub { aggregate_call($g, $scope, $_[0]) }, undef);
		push @columns, { type => $t };
		push @exprs, $node;
	}
	my $group = '';
	if (@keys)
	{
		my @texts = map { seq($_->{node}) } grep { !$_->{dependent} } @keys;
		$group = list(', ', \@texts, before => ' GROUP BY ');
		if ($on->{group_more})
		{
			my $kind = pick('BY DISTINCT ', 'BY (), ', 'BY ALL ');
			$g->{tags}{group_more} = 1;
			$group->{before} = " GROUP $kind";
		}
		if ($on->{grouping_sets} && chance(0.8))
		{
			my $kind = pick('ROLLUP (', 'CUBE (', 'GROUPING SETS ((), ', 'GROUPING SETS (');
			$g->{tags}{grouping_sets} = 1;
			$group->{before} = ($group->{before} =~ /DISTINCT/ ? ' GROUP BY DISTINCT ' : ' GROUP BY ') . $kind;
			$group->{after} = ')';
			if (chance(0.2))
			{
				# a product of sets
				$group->{after} .= ', ROLLUP (' . query_text($keys[0]{node}) . ')';
				$group->{min} = @keys;
			}
			if (!$want{columns} && chance(0.5))
			{
				push @columns, { type => 'int' };
				push @exprs, seq('GROUPING(', list(', ', [ map { seq($_->{node}) } @keys ], min => 1), ')');
			}
		}
	}
	if (!$want{columns})
	{
		my $n = 0;
		$_->{name} = 'c' . ++$n foreach @columns;
	}
	my $having = '';
	if ($on->{having} && chance(0.8))
	{
		$g->{tags}{having} = 1;
		$having = optional(' HAVING ', seq(pick('count(*) > 1', 'count(*) % 2 = 0', 'sum(1) < 5')));
		my $agg = aggregate_call($g, $scope, pick('int', 'bigint'));
		push @{ $having->{of} }, optional(' AND ', $agg, pick(' > 1', ' IS NOT NULL', ' % 2 = 0')) if chance(0.4);
		if ($on->{sub_having})
		{
			my $rel = $on->{sub_stream} ? relation($g, 0, undef) : _table($g);
			$g->{tags}{sub_having} = 1;
			push @{ $having->{of} }, optional(' AND count(*) <= (SELECT count(*) FROM ', $rel->{text}, ')');
		}
	}
	my @items = map { { of => [ $exprs[$_], " AS $columns[$_]{name}" ], column => $columns[$_] } } 0 .. $#columns;
	$g->{tags}{aggregate} = 1;
	my $distinct = $on->{distinct} && chance(0.3) ? optional('DISTINCT ') : '';
	$g->{tags}{distinct} = 1 if $distinct;
	my $unique = @keys && !$on->{grouping_sets} && !grep { !$_->{column} && !$_->{dependent} } @keys;
	return { columns => \@columns, scope => $scope, key => $unique ? [ map { $_->{column} } grep { !$_->{dependent} } @keys ] : undef,
		node => seq('SELECT ', $distinct, list(', ', \@items, min => 1), $from, where_clause($g, $scope), $group, $having) };
}

# A call with OVER, and its type. TOTAL orders the rows of the scope totally, or is
# undefined: then nothing may depend on the order of peers.
sub window_function
{
	my ($g, $scope, $argument, $total) = @_;
	my ($t, $call);
	my $frame = '';
	my $kind = pick(qw(rank aggregate aggregate), $total ? qw(number value rows) : ());
	my @partition = chance(0.6) ? $argument->(pick('int', 'text')) : ();
	my @order = map { seq($argument->(pick('int', 'text', 'bigint')), pick('', ' DESC', ' NULLS FIRST')) } 1 .. pick(1, 1, 2);

	$g->{tags}{window} = 1;
	@partition = grep { defined } @partition;
	if ($total && !$scope->{plain_window} && chance(0.6))
	{
		my @keys = map { _visible($scope, $_) } 'int', 'text', 'bool';
		my @orders = map { _visible($scope, $_) } 'int', 'timestamptz', 'bigint', 'date';
		$scope->{plain_window} = [ @keys && chance(0.7) ? _column_text(@{ pick(@keys) }) : '', _column_text(@{ pick(@orders) }) . pick('', '', ' DESC NULLS LAST') ] if @orders;
	}
	if ($total && $scope->{plain_window})
	{
		# several windows with the same partitions, and the same order but for its end
		my ($key, $first) = @{ $scope->{plain_window} };
		@partition = $key ne '' ? seq($key) : ();
		@order = (seq($first), pick(0, 1) ? @order : ());
		$g->{tags}{window_plain} = 1;
	}
	if ($kind eq 'rank')
	{
		($t, $call) = @{ pick([ 'bigint', 'rank()' ], [ 'bigint', 'dense_rank()' ], [ 'float8', 'percent_rank()' ], [ 'float8', 'cume_dist()' ]) };
	}
	elsif ($kind eq 'number')
	{
		($t, $call) = @{ pick([ 'bigint', 'row_number()' ], [ 'bigint', 'row_number()' ], [ 'int', 'ntile(3)' ]) };
	}
	elsif ($kind eq 'value')
	{
		$t = pick('int', 'text', 'numeric');
		my ($before, $after) = @{ pick([ 'lag(', ')' ], [ 'lead(', ')' ], [ 'lag(', ', 2)' ], [ 'first_value(', ')' ], [ 'last_value(', ')' ], [ 'nth_value(', ', 2)' ]) };
		$call = seq($before, $argument->($t), $after);
	}
	else
	{
		$t = pick('bigint', 'numeric');
		$call = $t eq 'numeric' ? seq('sum(', $argument->('bigint'), ')')
		  : pick(seq('count(*)'), seq('sum(', $argument->('int'), ')'), seq('count(', $argument->('text'), ')'));
	}
	if ($kind =~ /^(aggregate|rows|value)$/ && chance(0.5))
	{
		my $exclude = pick('', '', ' EXCLUDE CURRENT ROW', ' EXCLUDE GROUP', ' EXCLUDE TIES');
		my $mode = $kind eq 'aggregate' ? pick('RANGE', 'GROUPS') : 'ROWS';
		my $bounds = pick('UNBOUNDED PRECEDING AND CURRENT ROW', 'CURRENT ROW AND UNBOUNDED FOLLOWING', 'UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING',
			$mode eq 'RANGE' ? () : ('1 PRECEDING AND 1 FOLLOWING', '2 PRECEDING AND CURRENT ROW', '1 FOLLOWING AND 2 FOLLOWING'));
		$frame = optional(" $mode BETWEEN $bounds$exclude");
		if ($mode eq 'RANGE' && chance(0.4))
		{
			@order = seq($argument->('int'));
			$frame = optional(" RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING$exclude");
		}
	}
	if ($frame && $total && $kind eq 'aggregate' && (my @at = _visible($scope, 'timestamptz')) && chance(0.3))
	{
		@order = seq(_column_text(@{ pick(@at) }));
		$frame = optional(" RANGE BETWEEN interval '30 seconds' PRECEDING AND " . pick('CURRENT ROW', "interval '10 seconds' FOLLOWING", 'UNBOUNDED FOLLOWING'));
	}
	my $order = list(', ', \@order, before => ' ORDER BY ');
	if ($kind =~ /^(number|value|rows)$/)
	{
		push @order, $total;
		$order->{min} = 1;
	}
	elsif ($frame)
	{
		$order->{min} = 1;
	}
	my $filter = $g->{on}{agg_filter} && $total && $kind =~ /^(aggregate|rows)$/ ? optional(' FILTER (WHERE ', expression($scope, 'bool', 1), ')') : '';
	my $over = seq('(', list(', ', \@partition, before => 'PARTITION BY '), $order, $frame, ')');
	if ($total && !$frame && chance(0.4))
	{
		my $name = 'win' . ++$g->{aliases};
		push @{ $scope->{windows} }, seq("$name AS ", $over);
		$g->{tags}{window_named} = 1;
		return ($t, seq($call, $filter, ' OVER ', chance(0.5) ? $name : "($name)"));
	}
	return ($t, seq($call, $filter, ' OVER ', $over));
}

# Queries with a set operation, DISTINCT ON or ORDER BY around; or one SELECT.
sub block
{
	my ($g, $depth, $outer, %want) = @_;
	local $g->{on} = $want{on} // $g->{on};
	my $on = $g->{on};
	my $query;

	if ($on->{setop} && $depth >= 0 && !$want{correlate} && chance(0.8))
	{
		$query = set_operation($g, $depth, $outer);
	}
	elsif ($on->{top_row} && $depth > 0 && !$want{correlate} && chance(0.7))
	{
		return top_row($g, $depth, $outer);
	}
	elsif ($on->{distinct_on} && chance(0.7))
	{
		$query = select_query($g, $depth, $outer, equal => 1, on => { %$on, distinct => 0, agg => 0, window => 0, srf => 0 }, correlate => $want{correlate});
		return $query if grep { !$type{ $_->{type} }{order} } @{ $query->{columns} };
		my ($rel, $column) = @{ pick(grep { $type{ $_->[1]{type} }{order} } _visible($query->{scope})) // return $query };
		my $key = _column_text($rel, $column);
		$query->{node}{of}[0] = "SELECT DISTINCT ON ($key) ";
		$g->{tags}{distinct_on} = 1;
		return _ordered($g, $query, $key, $on->{top_n} && chance(0.3));
	}
	else
	{
		$query = select_query($g, $depth, $outer, %want);
	}
	return $query if grep { !$type{ $_->{type} }{order} } @{ $query->{columns} };
	return _ordered($g, $query, undef, 1) if $on->{top_n} && chance(0.8);
	return _ordered($g, $query, undef, 0) if $on->{orderby} && chance(0.8);
	return $query;
}

# ORDER BY all columns, after the key, and maybe a limit.
sub _ordered
{
	my ($g, $query, $key, $limit) = @_;
	my $columns = $query->{columns};
	my $down = pick('', '', ' DESC', ' DESC NULLS LAST', ' NULLS FIRST');
	my $ties = $limit && !$key && chance(0.3);
	my $order = sub {
		my $n = grep { !$_->{off} } @$columns;
		return join ', ', $key // (), map { $_ . ($_ == 1 ? $down : '') } 1 .. ($ties ? 1 : $n);
	};
	my $rest = '';

	$g->{tags}{ $limit ? $ties ? 'with_ties' : 'top_n' : 'orderby' } = 1;
	if ($limit)
	{
		my $n = pick(1 .. 5);
		$rest = $ties ? " FETCH FIRST $n ROWS WITH TIES" : seq(chance(0.9) ? " LIMIT $n" : '', optional(chance(0.3) ? ' OFFSET ' . int rand 4 : ''));
	}
	my $node = seq($query->{node}, ' ORDER BY ', $order, $rest);
	$node->{alt} = [ $query->{node} ] unless $key;
	return { %$query, node => $node };
}

sub set_operation
{
	my ($g, $depth, $outer) = @_;
	my @columns = _new_columns(map { pick(@usual) } 1 .. pick(1, 2, 2, 3));
	my $arm = sub {
		my ($depth) = @_;
		my $query = select_query($g, $depth, $outer, columns => \@columns, equal => 1, on => { %{ $g->{on} }, window => 0, srf => 0 });
		if ($g->{on}{top_n} && chance(0.3))
		{
			$query = _ordered($g, $query, undef, 1);
		}
		return seq('(', $query->{node}, ')');
	};
	my $values = sub {
		$g->{tags}{values} = 1;
		return seq('(SELECT ', list(', ', [ map { { of => [ $type{ $_->{type} }{literal}->() . " AS $_->{name}" ], column => $_ } } @columns ], min => 1), ')');
	};
	my $node = $arm->($depth - 1);

	foreach (1 .. pick(1, 1, 2))
	{
		my $op = pick('UNION', 'UNION ALL', 'INTERSECT', 'INTERSECT ALL', 'EXCEPT', 'EXCEPT ALL');
		my $right = chance(0.1) ? $values->() : $arm->($depth - 1);
		$g->{tags}{ lc $op =~ s/ /_/r } = 1;
		$node = { of => [ '(', $node, " $op ", $right, ')' ], alt => [ $node, $right ] };
	}
	$g->{tags}{setop} = 1;
	return { columns => \@columns, node => $node };
}

# The first rows of each partition, by a rank in a subquery.
sub top_row
{
	my ($g, $depth, $outer) = @_;
	my $inner = select_query($g, $depth - 1, $outer, equal => 1, on => { %{ $g->{on} }, agg => 0, distinct => 0, srf => 0, window => 0 });
	my $alias = _alias($g);
	my $scope = $inner->{scope};
	my $select = $inner->{node}{of}[2];
	my $kind = pick('row_number()', 'rank()', 'dense_rank()');
	my $order = seq(pick(map { _column_text(@$_) } grep { $type{ $_->[1]{type} }{order} } _visible($scope)), pick('', ' DESC', ' DESC NULLS LAST'));
	my $partition = pick(map { _column_text(@$_) } grep { $type{ $_->[1]{type} }{equal} } _visible($scope));

	push @{ $select->{items} }, seq("$kind OVER (PARTITION BY $partition ORDER BY ", $order,
		$kind =~ /row/ ? (', ', sub { _order_of(@{ $scope->{relations} }) }) : (), ') AS rn');
	$g->{tags}{top_row} = 1;
	my @columns = map { { name => $_->{name}, type => $_->{type} } } @{ $inner->{columns} };
	my @items = map { { of => ["$alias.$_->{name}"], column => $_ } } @columns;
	return { columns => \@columns, node => seq('SELECT ', list(', ', \@items, min => 1), ' FROM (', $inner->{node}, ") $alias WHERE $alias.rn <= " . pick(1 .. 3)) };
}

sub with_clause
{
	my ($g, $depth) = @_;
	my $name = 'w' . ++$g->{aliases};
	my $query = block($g, $depth - 1, undef, equal => 1);

	$g->{tags}{cte} = 1;
	push @{ $g->{ctes} }, { name => $name, columns => $query->{columns} };
	return seq("$name AS " . pick('', '', 'MATERIALIZED ', 'NOT MATERIALIZED ') . '(', $query->{node}, ')');
}

# A recursion of at most four steps, which another stream may be joined with; its rows are read, counted or
# joined in turn.
sub recursive_query
{
	my ($g) = @_;
	my ($start, $step) = (_stream($g), _stream($g));
	my $all = pick('UNION', 'UNION ALL');
	my $scope = { relations => [$start], g => $g };
	my @columns = _new_columns('int', 'int');
	my $join = chance(0.7) ? optional(" JOIN ", $step->{text}, " ON $step->{alias}.a = r.k", pick('', ' + 1')) : '';
	my $other = _stream($g);

	$g->{tags}{recursive} = 1;
	return { columns => \@columns, node => seq('WITH RECURSIVE r(k, n) AS (SELECT ', expression($scope, 'int', 1), ' % 5, 1 FROM ', $start->{text}, where_clause({ %$g, on => {} }, $scope),
		" $all SELECT r.k + " . pick(1, 0) . ', r.n + 1 FROM r', $join, ' WHERE r.n < ' . pick(2 .. 4) . ') SELECT r.k AS c1, ',
		pick('r.n AS c2 FROM r', 'count(*)::int AS c2 FROM r GROUP BY r.k', 'max(r.n) AS c2 FROM r GROUP BY r.k',
			"$other->{alias}.a AS c2 FROM r JOIN $other->{text} ON $other->{alias}.a = r.k AND r.n = 2",
			"r.n AS c2 FROM r WHERE NOT EXISTS (SELECT FROM $other->{text} WHERE $other->{alias}.a = r.k)", 'q.n AS c2 FROM r JOIN r q ON q.k = r.k AND q.n > r.n')) };
}

# Families, and how often they are wanted.
my %feature = (
	agg => 12, join_table => 4, join_stream => 5, subquery => 6, chain => 6, agg_filter => 3, agg_distinct => 2, agg_order => 2, agg_ordered_set => 2,
	having => 3, distinct => 2, distinct_on => 2, setop => 3, top_n => 3, top_row => 2, orderby => 1, window => 3, window_agg => 1, sub_where => 3,
	sub_select => 2, sub_having => 1, sub_above => 2, sub_stream => 5, srf => 2, srf_from => 2, lateral => 2, cte => 2, recursive => 1, values => 1, grouping_sets => 2,
	join_outer => 4, join_using => 2, join_cross => 1, join_theta => 2, join_nested => 1, sub_on => 1, row => 3, group_more => 1);
my @deck = map { ($_) x $feature{$_} } sort keys %feature;

# A query over a schema and over views. What it has is in its tags; what it reads of
# the views, in reads; key are its columns of which there are no two equal rows, if it
# is known to have any. More: views, to read; without, families; only, families.
sub random_query
{
	my ($schema, %more) = @_;
	my %on = map { $_ => 1 } map { pick(@deck) } 1 .. pick(1, 1, 2, 2, 3, 4, 6);

	%on = map { $_ => 1 } @{ $more{only} } if $more{only};
	$on{join_stream} = 1 if grep({ $on{$_} } qw(join_outer join_using join_cross join_theta join_nested sub_on)) && !$on{join_table};
	$on{agg} = 1 if grep { $on{$_} } qw(agg_filter agg_distinct agg_order agg_ordered_set having sub_having sub_above grouping_sets window_agg group_more);
	$on{having} = 1 if $on{sub_having};
	$on{ pick(qw(sub_where sub_where sub_select)) } = 1 if $on{sub_stream};
	delete $on{$_} foreach @{ $more{without} // [] };
	my $g = { schema => $schema, on => \%on, tags => {}, aliases => 0, ctes => [], views => $more{views} // [], reads => {} };
	my $query;

	if ($on{recursive})
	{
		$query = recursive_query($g);
	}
	elsif ($on{cte})
	{
		my @with = map { with_clause($g, 2) } 1 .. pick(1, 1, 2);
		$query = block($g, 2, undef);
		$query = { %$query, node => seq('WITH ', list(', ', \@with), ' ', $query->{node}) };
	}
	else
	{
		$query = block($g, 2, undef);
	}
	return { node => $query->{node}, columns => $query->{columns}, key => $query->{key}, tags => $g->{tags}, reads => $g->{reads} };
}

# The columns that the query has now.
sub query_columns { return grep { !$_->{off} } @{ $_[0]{columns} }; }

1;
