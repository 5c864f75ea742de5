//! The parts of orbs, flames and storms. Slot a is the main colour; the others are named with
//! each group.

// Orbs. Slots: a glass, b glow within, c stand.

pub(super) const ORB: &str = "
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

pub(super) const SWIRL: &str = "

......BBBB
.....B....b
.....B.BB.b
......b...b
........bb";

pub(super) const ORB_STAR: &str = "

........B
.......BBb
......BBBbb
.......Bbb
........b";

pub(super) const ORB_EYE: &str = "

......wwww
.....wb##bw
.....wb##bw
......wwww";

pub(super) const STAND: &str = "
...Cc....cc3
...Cccccccc3
....Ccccc33
...CCcccccc3";

pub(super) const CLAW_STAND: &str = "
..Cc......c3
..Ccc....cc3
...Cccccc33
..Cc..cc..c3";

// Flames. Slot b is the core.

pub(super) const FLAME: &str = "
.......a
.......aa
......Aaa
......Aaaa
..a..Aaaaa
..aa.Aaaaa1.1
..AaAAaaaaa11
..AAAaaaaaa11
.AAAaaaaaaaa11
.AAaaaaaaaaa11
.Aaaaaaaaaaa11
.aaaaaaaaaa111
..aaaaaaaa111
...11111111";

pub(super) const TWIN_FLAME: &str = "
.........a
....a....aa
....aa..Aaa
...Aaa..Aaa1
...Aaaa.Aaa1
..AAaaaAAaaa1
..AAaaaAaaaa1
..AAaaaaaaaa11
.AAAaaaaaaaa11
.AAaaaaaaaaa11
.Aaaaaaaaaaa11
.aaaaaaaaaa111
..aaaaaaaa111
...11111111";

pub(super) const FIREBALL: &str = "
...a...a...a
...aa..aa..a
.a.Aaa.aaa.a1
.aaAAaaaaaaa1
.AAAaaaaaaaa1
..AAaaaaaaaa11
.AAAaaaaaaaa11
.AAaaaaaaaaa11
.AAaaaaaaaaa11
.Aaaaaaaaaaa11
.aaaaaaaaaaa11
..aaaaaaaa111
...aaaaaa111
.....11111";

pub(super) const CORE: &str = "
.......B
......BB
......BBb
.....BwBbb
....BwwBbb
....BwBBbb";

pub(super) const FORKED_CORE: &str = "
.....B...b
.....B..Bb
....BB..Bb
....BwBBBbb
....BwwBBbb
.....BwBbb";

pub(super) const EMBERS: &str = "

..b...........b
..b..........bb";

// Lightning. Slots: a bolt, b cloud.

pub(super) const BOLT: &str = "
......Aaaa
.....AAaa
.....Aaa
....AAaaaa
....Aaaaa
......Aaa
.....Aaa
.....Aa
....Aa
....a";

pub(super) const FORKED_BOLT: &str = "
....AAaaaaa
....Aaa.aaa
...AAa..Aaa
...AAaa.Aaaa
....Aaa..Aa1
....Aa...aa
...Aa....a
...Aa...aa
...a....a
...a";

pub(super) const STORM_CLOUD: &str = "
.....BBBb
...BBBBBbbBb
..BBBBBBbbbbbb
.BBBBbbbbbbbb22
.bbbbbbbbbbb222
..222222222222";

pub(super) const WIDE_CLOUD: &str = "
....BBb..BBb
..BBBBBbBBBbb
.BBBBBBBBBbbbb2
.BBBbbbbbbbbb22
.bbbbbbbbbb2222
..222222222222";
