//! The parts of jewels and crystals. Slot a is the main colour; the others are named with each
//! group.

// Jewellery. Slots: a metal, b stone, c second stone.

pub(super) const BAND: &str = "
.....AAaaaa
...AAAa..aa11
..AAa......a11
..Aa........11
..Aa........11
..aa........11
..aaa......111
...aaa1..1111
.....111111";

pub(super) const STUDDED_BAND: &str = "
.....AAaaaa
...AAAa..aa11
..ACa......c11
..Ca........c1
..Aa........11
..aa........11
..aca......c11
...aca1..1c11
.....111111";

pub(super) const ROUND_STONE: &str = "

.....BBbbb2
....BBwBbb22
....BwBbbb22
....Bbbbbb22
.....bbb222";

pub(super) const DIAMOND: &str = "

.....BBBbbb
....BwwBbb22
....bbbbb222
.....Bbbb22
......bb22
.......22";

pub(super) const SQUARE_STONE: &str = "

....BBBBBbb2
....BwwBbb22
....BwBbbb22
....bbbbb222
....22222222";

pub(super) const HEART_STONE: &str = "

....BBb.bbb
....BwBbbb22
....BBbbbb22
.....bbbb22
......bb22
.......22";

pub(super) const CHAIN: &str = "
.....AAAAaa
...AA......aa
..A..........1
..A..........1
...A........1
....A......1
.....AA..11
.......Aa";

pub(super) const BEADS: &str = "
.....CcCCcc
...Cc......cc
..C..........c
..c..........3
...C........c
....C......c
.....Cc..c3
.......cc";

// Crystals. Slots: b side shards.

pub(super) const SHARD: &str = "
.......Aa
......AAa1
.....AAAa11
.....AAaa11
....AAAaaa11
....AwAaa111
....AwAaa111
....AwAaa111
....AAAaa111
....AAaaa111
.....AAaa11
.....Aaa111
......aa1
.......1";

pub(super) const BROAD_SHARD: &str = "


.......Aa
......AAaa
.....AAAaa1
....AAAAaa11
...AAwAAaa111
...AwwAAaa111
...AAAAAaa111
....AAAaaa11
....AAAaa111
.....AAaa11
......Aa1
.......1";

pub(super) const SIDE_SHARDS: &str = "


..B.........B
..Bb.......Bb2
.Bbb.......Bb2
.Bbb......BBb2
.Bbb......Bbb2
..bb......Bb22
...b......Bb2
...........b2";

pub(super) const LOW_SHARDS: &str = "





..B.........B
.BBb.......Bb2
.Bbb......BBb2
.Bbb......Bbb2
.Bbb......Bb22
..bb......Bb2
...2.......b2";

pub(super) const ONE_SHARD: &str = "


............B
...........Bb2
...........Bb2
..........BBb2
..........Bbb2
..........Bb22
..........Bb2
...........b2";
