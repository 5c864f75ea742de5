//! The parts of fruit. Slot a is the main colour; the others are named with each group.

// Fruit. Slots: b stem, c leaf, d flesh.

pub(super) const APPLE: &str = "
...AAaa..aaa
..AAAaaaaaaa1
..AwwAaaaaaa1
..AwAaaaaaaa11
..AAaaaaaaaa11
..Aaaaaaaaaa11
..aaaaaaaaa111
...aaaaaaaa11
...aaaaaaa111
....1aa1111
.....11.11";

pub(super) const ORANGE: &str = "
.....AAaaaa
...AAAaaaaaa1
...AwwAaaaaa1
..AAwAaaaaaa11
..AAaaaaaaaa11
..Aaaaaaaaaa11
..aaaaaaaaa111
..aaaaaaaaa111
...aaaaaaa111
...1aaaa11111
.....111111";

pub(super) const PEAR: &str = "
.......aa
......Aaaa
......Aaa1
.....Awaaa1
.....Awaaa1
....AAaaaaa1
...AAwaaaaa11
...Awwaaaaa11
..AAwaaaaaa111
..AAaaaaaaa111
..aaaaaaaa1111
...aaaaa11111
....1111111";

pub(super) const STEM: &str = "
........2
........b
.......b
.......b";

pub(super) const BENT_STEM: &str = "
......bb
.......b
.......b
.......2";

pub(super) const LEAF_RIGHT: &str = "

.........Ccc
.........cc3";

pub(super) const LEAF_LEFT: &str = "

....Ccc
.....c3";

pub(super) const TWO_LEAVES: &str = "
...Cc....cc
...Ccc..cc3
.....c..3";

pub(super) const LONG_LEAF: &str = "
..........Cc
.........Ccc3
.........c33";

pub(super) const BITE: &str = "
............xxx
...........Ddxx
..........DDdxx
..........Dddxx
...........Ddxx
............xxx";

pub(super) const CHEEK_SPOTS: &str = "
....A..A
.......A
.....A";

pub(super) const STICKER: &str = "
.......Aa
.......a1";

// Berries. Slots: b stem, c leaf.

pub(super) const CHERRIES: &str = "
........b
.......bb
......b..b
.....b...b
.....b....b
....b.....b
...Aaa....b
..Awaaa..Aaa
..Aaaa1.Awaaa
..aaaa1.Aaaa1
...a11..aaaa1
.........a11";

pub(super) const THREE_CHERRIES: &str = "
.......bb
......b.b
.....b..b.b
....b...b..b
...Aaa..b.Aaa
..Awaaa.bAwaaa
..aaaa1.baaaa1
...a11.b..a11
......Aaa
.....Awaaa
.....Aaaa1
.....aaaa1
......111";

pub(super) const GRAPES: &str = "
.......b
.......b
...AaaAaaAaa
..AwaaAwaAwaa
..aaa1aa1aaa1
...a1Aaa1Aa1
....AwaaAwaa
....aaa1aaa1
.....a1Aaa1
......Awaa
......aaa1
.......11";

pub(super) const BERRY_LEAF: &str = "
.........CCc
.........ccc3";

pub(super) const BERRY_LEAVES: &str = "
...CCc...CCc
...ccc3..cc33";

pub(super) const BERRY_LEAF_LEFT: &str = "
....CCc
...Cccc3";

// Red fruit. Slots: b seeds, c leaves.

pub(super) const STRAWBERRY: &str = "
...AAaaaaaaa
..AAaBaaBaaa1
..AaaaaaaaaB11
..ABaaBaaBaa11
..Aaaaaaaaaa11
...aBaaBaaB1
...aaaaaaa11
....aaBaa11
.....aaa11
......a11";

pub(super) const CALYX: &str = "
.......b
.......c
....CCccc33
...Cccc3cc33";

pub(super) const SPIKY_CALYX: &str = "
......cc
...C..cc..3
....CCccc33
...C.cc3c.33";

/// Slot b is the rind.
pub(super) const MELON: &str = "
.Baaaaaaaaaaaa2
.BAaaaaaaaaaa12
.BAaaaaaaaaaa12
..BAaaaaaaaa12
..BAaaaaaaaa12
...BAaaaaaa12
....bAaaaa12
.....bb1122
.......22";

pub(super) const PIPS: &str = "

....#..#..#

.....#...#

.......#";

pub(super) const MANY_PIPS: &str = "

...#.#.#.#.#

....#.#.#.#

......#.#";

pub(super) const PINEAPPLE: &str = "
.....Aa1aa1
....A1aa1aa1
....aa1aa1a1
....Aaa1aa11
....A1aa1aa1
....aa1aa1a1
....Aaa1aa11
....a1aa1a1
.....1aa11";

pub(super) const CROWN_LEAVES: &str = "
....C..c..c
.....c.c.3
....Ccccc33
.....cccc3";

pub(super) const TALL_CROWN: &str = "
.......c
.....C.c.3
...C.cccc.3
....Cccc33";
