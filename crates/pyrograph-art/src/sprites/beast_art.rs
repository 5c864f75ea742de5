//! The parts of bats, spiders, animals, floating eyes and goblins. Slot a is the main colour;
//! the others are named with each group.

// Bats. Slots: b inner wing, c eyes.

pub(super) const WINGS_UP: &str = "
.aa..........11
.aBa........b21
.aBBa......b221
.aBBBa....bb221
.aBBBB....bb221
.aB.BBa..bb.b21
.a..aBb..b1..1";

pub(super) const WINGS_DOWN: &str = "


...aa......11
..aBBa....b221
.aBBBBa..bb2221
.aBBBBa..bb2221
.aBBBBa..bb2221
.aB.B.a..b.2.21
.a............1";

pub(super) const BAT_BODY: &str = "
.....a....1
.....aa..a1
.....Aaaaa1
.....c#aa#c
.....aaaaa1
.....a#ww#1
......aaa1
.......a1";

pub(super) const IMP_BODY: &str = "
.....w....w
.....a....1
.....Aaaaa1
....Aaaaaaa1
....ac#aac#1
....aaaaaaa1
.....a####1
......aw1w
......a..1
......1..1";

// Spiders. Slots: b marking, c eyes.

pub(super) const SPIDER_LEGS: &str = "
.#............#
#.#..........#.#
#..#........#..#
.##..........##
#..#........#..#
#..............#
.###........###
#..............#
#...#......#...#
...#........#
..#..........#
..#..........#";

pub(super) const CRAB_LEGS: &str = "
..#..........#
.#.#........#.#
.#..#......#..#
#..............#
..##........##
.#............#
#..............#
.###........###
#..............#
#..##......##..#
..#..........#
..#..........#";

pub(super) const SPIDER_BODY: &str = "
.....AAaaa1
....AAabbaa1
...AAaabbaaa1
...AaaaaaaaA1
...aaabbbba11
...aaaabbaa11
....aaaaaa11
....Accaacc1
....Ac#ac#a1
.....awaaw1";

pub(super) const CROSS_SPIDER_BODY: &str = "
.....AAaaa1
....AAaaaaa1
...AbAaaaaab1
...AabaaaabA1
...aaabbbba11
...aabaaaab11
....baaaab11
....a#caac#1
....accaacc1
.....aw##w1";

// Animals. Slots: b muzzle and belly, c collar.

pub(super) const ANIMAL_HEAD: &str = "
....AAaaaaa1
...AAaaaaaaa1
...Aa#aaaa#a1
...Aa#aaaa#a1
...Aaaaaaaaa1
...aaaaaaaa11
....aaaaaa11";

pub(super) const PAWS: &str = "
.....aaaaaa
....AAbbbb11
....Aabbbba1
....AabbbB11
....bba1abb1";

pub(super) const CAT_EARS: &str = "

...a........1
...Aa......11
...Abaaaaaab1";

pub(super) const BEAR_EARS: &str = "

..Aaa....aa1
..AbaaaaaaB1
..aaaaaaaaa11";

pub(super) const RABBIT_EARS: &str = "
....Aa..aa
....Ab..b1
....Ab..b1
....Abaab1";

pub(super) const HORNS: &str = "
..B..........2
..Bb........b2
..bb........22
...baaaaaaaa2";

pub(super) const SNOUT: &str = "

......bbbb
.....b#bb#b
......bbbb";

pub(super) const MUZZLE: &str = "

......b##b
......bbbb
......b##b";

pub(super) const WHISKERS: &str = "

..b....##....b
.....bb#bb
..b..bbbbb...b";

pub(super) const COLLAR: &str = "
.....CcccC3";

// Floating eyes. Slots: b iris and stalks, c white.

pub(super) const STALKS: &str = "
..Bb...Bb..Bb
..b#...b#..b#
....a...a..a
....aa.aa.aa";

pub(super) const SPIKES: &str = "
.......B
...B...b....b
....b.bb2..2
....bb.b2.22";

pub(super) const EYEBALL: &str = "
.....AAaaaa
...AAaaaaaaa1
..AAaCCCCCCaa1
..AaCCCbbCCCa1
..AaCCbw#bCC11
..AaCCb##bCC11
..aaCCCbbCCC11
..aaaCCCCC3a11
...aaa333aa11
.....aa1111";

pub(super) const TENTACLES: &str = "
....aaaaaa11
...a.a.a1.1.1
...a.a.a1.1.1
..a..a..1..1";

pub(super) const TOOTHY_JAW: &str = "
...aaaaaaa111
...a#w#w#w#11
....aaaaa111
.....11111";

// Goblins. Slots: b cloth, c eyes, d horns and tusks.

pub(super) const GOBLIN_HEAD: &str = "
.....AAaaaa
....AAaaaaa1
.AA.Aaaaaaa1.11
..AaAccaacca111
...AAc#aac#a11
....aaaaaaa1
.....a#ww#1
......aaa1";

pub(super) const OGRE_HEAD: &str = "

.....AAaaaa
....AAaaaaa1
..AA#aa##aa#11
..AaAc#aa#c111
....aaaaaaa1
....ad####d1
.....aaaa11";

pub(super) const IMP_HORNS: &str = "
....D......d
....Dd....d4
.....d....4";

pub(super) const LOINCLOTH: &str = "
....Aaaaaa11
...A#aaaaa1#1
...a#aaaaa1#1
.....Bbbb2
.....aab11
....aa...11";

pub(super) const VEST: &str = "
....BBbaab22
...A#BbabB2#1
...a#Bbab22#1
.....Bbbb2
.....aab11
....aa...11";
