//! The parts of creatures in profile, facing right. Slot a is the main colour; the others are
//! named with each group.

// Four-legged animals. Slots: b belly and markings, c saddle.

pub(super) const BEAST: &str = "
...AAAAAAAA
..AAaaaaaaaa
..Aaaaaaaaaa
..aaaaaaaaa1
..aaBBbbba11
..aa11..aa11
..aa11..aa11
..aa11..aa11";

pub(super) const STOUT_BEAST: &str = "
..AAAAAAAAA
.AAaaaaaaaaa
.Aaaaaaaaaaa
.Aaaaaaaaaa1
.aaaaaaaaaa1
.aabBBBbba11
..a11..1a11
..a11...a11";

pub(super) const WOLF_HEAD: &str = "
.........A.a
.........Aaaa
........AAaaaa
........Aaa#aa
........AaaaaB#
........aaaBBbb
.........1aabb";

pub(super) const CAT_HEAD: &str = "
........A...a
........Aa.aa
........AAaaaa
........Aaa#a#
........aaaab#b
.........aabbb
..........11";

pub(super) const PIG_HEAD: &str = "

........aA
........Aaaaa
........Aaa#aa
........Aaaaabb
........aaaaa#b
.........1aaabb";

pub(super) const BUSHY_TAIL: &str = "
.BB
.BBa
.aaa
..Aa
..aa";

pub(super) const CURLY_TAIL: &str = "

.a
.a
.aa
..a";

pub(super) const PATCHES: &str = "

....bb
....bbb..b
.....b..bb";

pub(super) const SADDLE: &str = "
....CCcccc
.....Cccc
.....c333";

pub(super) const STRIPES: &str = "
....1.1.1
....1.1.1
....1.1.1";

// Birds. Slots: b wing, c beak and legs, d comb.

pub(super) const HEN: &str = "
.......AAaa
......AAaaaa
......Aaa#aacc
.A....AaaaaaCcc
.Aa...Aaaaaad
.Aaa.AAaaaaad
.AaaAAaaaaaa
..Aaaaaaaaaa1
..aaaaaaaaaa1
...aaaaaaa11
....111111";

pub(super) const DUCK: &str = "
........AAaa
.......AAaaaa
.......Aaa#aa
.......AaaaCccc
........aaa333
.A......Aaa
.AA...AAaaaa
..AAAAaaaaaa1
..Aaaaaaaaaa1
...aaaaaaaa11
....1111111";

pub(super) const FOLDED_WING: &str = "

...BBBbbb
...bbbbb2
....b222";

pub(super) const RAISED_WING: &str = "
..BB
..BBbbbb
...Bbbb2
....b22";

pub(super) const COMB: &str = "
.......d.d
.......ddd
.......DDdd";

pub(super) const CREST: &str = "
.....dd
......Ddd
.......Ddd";

pub(super) const BIRD_LEGS: &str = "
......c..c
......cc.cc";

// Steeds. Slots: b mane and tail, c saddle, d horn and hooves.

pub(super) const HORSE: &str = "
..........A
.......Bb.Aa
......BbbAaaaa
......BbAAa#aaa
......bbAaaaaaa
..B...bbAaa.111
.Bbb..bAAaa
.BbAAAAAaaaa
.bbAaaaaaaaa
.b2Aaaaaaaa1
.b2aaaaaaa11
...aa11aa11
...aa11aa11
...dd44dd44";

pub(super) const PONY: &str = "


.......Bb.A
......BbbAAaa
......BbAAa#aa
......bbAaaaaaa
..B...bbAaaa111
.BbAAAAAAaaa
.BbAaaaaaaaA
.bbAaaaaaaaa
.b2aaaaaaaa1
.b2aaaaaaa11
...aa11aa11
...dd44dd44";

pub(super) const HORN: &str = "
...........d
..........dd";

pub(super) const PLUME: &str = "
.........c
........ccc
.........c";

pub(super) const RUG: &str = "
....CCcc
....Cccc
....c333";

pub(super) const DAPPLES: &str = "


...AA..A
.....A.AA
...A";

// Dragons. Slots: b belly and horns, c wing and spines.

pub(super) const DRAGON: &str = "
........AAaaa
........Aaa#aa
........AaaaaAa
........aaaaaaa
........Aabw1w
.......AAab
......AAabb
.A...AAaabB
.Aa.AAaaabB
.AaAAaaaabb
..aaaaaaab1
.....aa1.aa
.....aaa.aaa";

pub(super) const DRAGON_WING: &str = "
.C
.Ccc
..Cccc
..Ccccc
...Ccc3
...c3c3
....3.3";

pub(super) const SMALL_WING: &str = "


..Cc
..Cccc
...ccc3
....c3
.....3";

pub(super) const DRAGON_HORNS: &str = "
.....BB
......Bbb";

pub(super) const DRAGON_CREST: &str = "
.......c.c
.......cc
......c
.......c
......c";

pub(super) const SPINES: &str = "
.....c
.......
....c
....cc

...c
..cc";

// Snails and turtles. Slots: b shell, c shell marking.

pub(super) const SNAIL: &str = "
...........a..a
...........#..#
...........a..a
..........Aaaaa
..........Aa#aa
..........Aaaaa
.A......AAaaa1
.AaaaaaaaaaaA1
..aaaaaaaaa11";

pub(super) const SPIRAL_SHELL: &str = "
....BBbbb
..BBBbbbbb
..BBCcccbb2
..BCcbbccb2
..BcbCcbcb2
..bcbccbcb2
..bbcbbcc22
...bbbbb22";

pub(super) const BANDED_SHELL: &str = "
....BBbbb
..BBCCbbcc
..BBCcbbcc2
..BCCbbccb2
..BCcbbccb2
..bCcbbcc22
..bbccbcc22
...bbbbb22";

pub(super) const TURTLE: &str = "


...........AAaa
...........Aa#a
...........Aaaa
...........aaa1
.a........aaa1
.aaaaaaaaaaa1
..aaa1..aaa1
..aaa1..aaa1";

pub(super) const DOME_SHELL: &str = "


...BBBBb
..BBCCbbb2
.BBCCcbCc2
.BBbbbCCb2
.BcCbCcbb2
.bccbbbc22
..2222222";

pub(super) const SPIKED_SHELL: &str = "

..C..C..c
..Cc.Cc.cc
..BBBBbbb2
.BBBbbbbb2
.BBbbbbb22
.Bbbbbbb22
.bbbbbb222
..2222222";
