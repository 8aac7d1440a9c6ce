"""The words of PostgreSQL that cannot or should not be the name of a database on RDS, without those with an underscore.

RDS rejects words that are reserved by the engine, and publishes no list. It is known to reject some words that
PostgreSQL does not reserve, so that it may reject all keywords.

Source: https://www.postgresql.org/docs/18/sql-keywords-appendix.html
"""

_RESERVED = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
concurrently constraint create cross default deferrable desc distinct do else end except false fetch for foreign freeze
from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
returning right select similar some symmetric table tablesample then to trailing true union unique user using variadic
verbose when where window with
"""

_REJECTED_BY_RDS = "catalog comments dispatch flag identity"

_OTHERS = """
abort absent absolute access action add admin after aggregate also alter always asensitive assertion assignment at
atomic attach attribute backward before begin between bigint bit boolean breadth by cache call called cascade cascaded
chain char character characteristics checkpoint class close cluster coalesce columns comment commit committed
compression conditional configuration conflict connection constraints content continue conversion copy cost csv cube
current cursor cycle data database day deallocate dec decimal declare defaults deferred definer delete delimiter
delimiters depends depth detach dictionary disable discard document domain double drop each empty enable encoding
encrypted enforced enum error escape event exclude excluding exclusive execute exists explain expression extension
external extract family filter finalize first float following force format forward function functions generated global
granted greatest grouping groups handler header hold hour if immediate immutable implicit import include including
increment indent index indexes inherit inherits inline inout input insensitive insert instead int integer interval
invoker isolation json keep key keys label language large last leakproof least level listen load local location lock
locked logged mapping match matched materialized maxvalue merge method minute minvalue mode month move name names
national nchar nested new next nfc nfd nfkc nfkd no none normalize normalized nothing notify nowait nullif nulls numeric
object objects of off oids old omit operator option options ordinality others out over overlay overriding owned owner
parallel parameter parser partial partition passing password path period plan plans policy position preceding precision
prepare prepared preserve prior privileges procedural procedure procedures program publication quote quotes range read
real reassign recursive ref referencing refresh reindex relative release rename repeatable replace replica reset restart
restrict return returns revoke role rollback rollup routine routines row rows rule savepoint scalar schema schemas
scroll search second security sequence sequences serializable server session set setof sets share show simple skip
smallint snapshot source sql stable standalone start statement statistics stdin stdout storage stored strict string
strip subscription substring support sysid system tables tablespace target temp template temporary text ties time
timestamp transaction transform treat trigger trim truncate trusted type types uescape unbounded uncommitted
unconditional unencrypted unknown unlisten unlogged until update vacuum valid validate validator value values varchar
varying version view views virtual volatile whitespace within without work wrapper write xml xmlattributes xmlconcat
xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable year yes zone
"""

RESERVED = frozenset(f"{_RESERVED} {_REJECTED_BY_RDS}".split())
"""The reserved words, and those that RDS is known to reject."""

KEYWORDS = frozenset(_OTHERS.split())
"""The other keywords."""
