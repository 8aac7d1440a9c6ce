"""The reserved words of MySQL, which cannot be the name of a database on RDS, without those with an underscore.

Source: https://dev.mysql.com/doc/refman/8.4/en/keywords.html
"""

_RESERVED = """
accessible add all alter analyze and as asc asensitive before between bigint binary blob both by call cascade case
change char character check collate column condition constraint continue convert create cross cube cursor database
databases dec decimal declare default delayed delete desc describe deterministic distinct distinctrow div double drop
dual each else elseif empty enclosed escaped except exists exit explain false fetch float float4 float8 for force
foreign from fulltext function generated get grant group grouping groups having if ignore in index infile inner inout
insensitive insert int int1 int2 int3 int4 int8 integer intersect interval into is iterate join key keys kill lag
lateral lead leading leave left like limit linear lines load localtime localtimestamp lock long longblob longtext loop
manual match maxvalue mediumblob mediumint mediumtext middleint mod modifies natural not ntile null numeric of on
optimize option optionally or order out outer outfile over parallel partition precision primary procedure purge qualify
range rank read reads real recursive references regexp release rename repeat replace require resignal restrict return
revoke right rlike row rows schema schemas select sensitive separator set show signal smallint spatial specific sql
sqlexception sqlstate sqlwarning ssl starting stored system table tablesample terminated then tinyblob tinyint tinytext
to trailing trigger true undo union unique unlock unsigned update usage use using values varbinary varchar varcharacter
varying virtual when where while window with write xor zerofill
"""

RESERVED = frozenset(_RESERVED.split())
"""The reserved words."""
