//! The parts of cakes and ice cream. Slot a is the main colour; the others are named with each
//! group.

// Cakes. Slots: b icing, c garnish, d plate or paper.

pub(super) const CAKE: &str = "
....BBBBBBbb
..BBBBBBBBBbb2
..BBbBbbBbb2b2
..BabbabbBab21
..AaaBaaabaa11
..cccccccccc33
..Aaaaaaaaaa11
..aaaaaaaaa111
.ddddddddddd444";

pub(super) const CUPCAKE: &str = "
.....BBbbbb
...BBBBbbbbb2
...BBbbbbbb22
..BBbbbbbbbb22
..bbbbbbbbb222
...DdDdDdDd4
...DdDdDdDd4
....DdDdDd4
....dddddd4";

pub(super) const CAKE_SLICE: &str = "
........BBBb
.....BBBBBBBb
..BBBBBBBBBBBb
.BbbbbbbbbbbbB2
.Aaaaaaaaaaaab2
.cccccccccccc32
.Aaaaaaaaaaaab2
.aaaaaaaaaaaa12
.11111111111112";

pub(super) const CANDLE: &str = "
.......C
.......w
.......w
.......w
.......w";

pub(super) const CAKE_CHERRY: &str = "

.........#
.......C#
......Cccc
......ccc3";

pub(super) const CAKE_BERRIES: &str = "


....Cc.Cc.Cc
....c3.c3.c3";

// Ice cream. Slots: a upper, b lower scoop, c garnish, d cone.

pub(super) const SCOOP: &str = "
.....AAaaa1
....AAaaaaa1
....Aaaaaa11
...BBbbbbbb2
...Bbbbbb222";

pub(super) const SWIRL: &str = "
.......Aa
.....AAaa1
....Aaaaa11
...BBbbbbb2
...Bbbbbb222";

pub(super) const CONE: &str = "
....dddddddd
....Dd4Dd4D4
....dd4Dd4d4
.....DdD4d4
.....dd4d44
......Dd44
.......d4";

pub(super) const TOP_CHERRY: &str = "
........#
.......#
......Ccc
......cc3";

pub(super) const WAFER: &str = "
.........Dd
........Dd
........Dd
........D";

pub(super) const TOP_STAR: &str = "
.......c
......CCc
.......c
.......c";
