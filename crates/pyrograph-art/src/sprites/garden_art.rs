//! The parts of roots and mushrooms. Slot a is the main colour; the others are named with each
//! group.

// Roots. Slot b is the foliage.

pub(super) const CARROT: &str = "
.....AAaaa1
....AAwaaa11
....Awaaaa11
....Aaaaaa11
....Aaaaaa11
.....Aaaa11
.....aaaa1
.....aaa11
......aa1
.......1";

pub(super) const RADISH: &str = "
.....AAaaa1
...AAwaaaaa11
...Awaaaaaa11
...Aaaaaaaa11
...aaaaaaa111
....aaaaaa11
.....aaa111
......aa1
.......1
.......1";

pub(super) const RINGS: &str = "
.....11
........11
....11
.......11
.....1";

pub(super) const FEW_RINGS: &str = "
........11


.....11";

pub(super) const TUFT: &str = "
....B..b..b
....Bb.b.b2
.....b.b.2
......bb2";

pub(super) const WIDE_TUFT: &str = "
...Bb.bb.b2
..B.bbbb2.2
.....bbb2
......bb";

pub(super) const TWIN_TUFT: &str = "
...BB....bb
...Bbb..bb2
....bbbbb2
......bb";

// Mushrooms. Slots: b spots, c stalk, d grass.

pub(super) const CAP: &str = "
.....AAaaaa
...AAAaaaaaa1
..AAaaaaaaaaa1
..Aaaaaaaaaa11
.AAaaaaaaaaa111
.Aaaaaaaaaaa111
.aaaaaaaaaa1111
..111111111111";

pub(super) const BELL_CAP: &str = "
......AAaa
.....AAaaaa
....AAaaaaaa
....Aaaaaaa1
...AAaaaaaa11
..AAaaaaaaaa11
..Aaaaaaaaa111
...1111111111";

pub(super) const SPOTS: &str = "
.......BB
.......Bb...b
....Bb
....bb...Bb
.........bb.b
.....b";

pub(super) const BIG_SPOT: &str = "

......BBB
.....BBBbb
.....BBBbb
......bbb";

pub(super) const STALK: &str = "

......Ccc3
......Ccc3
......Ccc3
......ccc3
.....cccc33";

pub(super) const THICK_STALK: &str = "

.....Ccccc3
.....Cc3cc3
.....Cc3cc3
.....Ccccc3
......ccc3";

pub(super) const GRASS: &str = "
..D..D....d..d
..Dd.d....d.d4
..dddd4..ddd44";
