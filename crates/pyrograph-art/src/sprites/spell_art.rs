//! The parts of potions, wands, books and scrolls. Slot a is the main colour; the others are
//! named with each group.

// Potions. Slots: a liquid, b stopper, c glass, d metal band.

pub(super) const ROUND_FLASK: &str = "
......bbb2
......Bb22
.....CCCcc3
......Ccc3
......Ccc3
.....CCccc3
...CCCccccc33
..CCCCCcccccc3
..CAwAaaaaaa13
..AwwAaaaaaa11
..AwAaaaaaaa11
..aaaaaaaaa111
...aaaaaaa111
.....111111";

pub(super) const TALL_FLASK: &str = "
......bbb2
......Bb22
.....CCCcc3
......Ccc3
......Ccc3
....CCCcccc3
...CCCcccccc3
...CAAaaaaa13
...AwwAaaaa11
...AwAaaaaa11
...AwAaaaaa11
...AAaaaaaa11
...aaaaaaa111
....11111111";

pub(super) const CONE_FLASK: &str = "
......bbb2
......Bb22
.....CCCcc3
......Ccc3
......Ccc3
......Ccc3
.....CCccc3
.....CCcccc3
....CCcccccc3
....AAAaaaa11
...AwwAaaaaa11
..AAwAaaaaaa11
..AAaaaaaaa111
..111111111111";

pub(super) const PLAIN_NECK: &str = "
......CCc3
......Ccc3";

pub(super) const BANDED_NECK: &str = "
.....Ddddd4
......Ccc3";

/// Slots: a paper, b writing.
pub(super) const LABEL: &str = "

.....AAAAA1
.....A2b2A1
.....aaaa11";

/// Slot b is the heart.
pub(super) const HEART: &str = "
......ww.ww
......wwwww
.......www
........w";

/// Slot a is the star.
pub(super) const STAR: &str = "
........A
......AAAAA
.......AAA
......A...A";

// Wands, from the lower left to the upper right. Slots: a head, b stick, c band.

pub(super) const STICK: &str = "
.......Bb
......Bb2
.....Bb2
....Bb2
...Bb2
..Bb2
.Bb2
.b2";

pub(super) const BANDED_STICK: &str = "
.......Cc
......Cc3
.....Bb2
....Bb2
...Bb2
..Cc2
.Cc3
.c3";

pub(super) const WAND_STAR: &str = "
..........A
..........A
.........Aaa
.......AAwaaaa
........Awaa1
.........aaa
........Aaaa1
........A...1";

pub(super) const WAND_ORB: &str = "

.........AAaa
........AAaaa1
........Awaaa1
........Aaaa11
........aaaa11
.........a111";

pub(super) const WAND_GEM: &str = "

..........Aa
.........Awaa
........Awaaa1
.......AAaaaa11
........Aaaa11
.........aa11
.......c..1..c
.......ccccc3";

pub(super) const SPARK: &str = "


...A
..AAA
...A";

pub(super) const TWO_SPARKS: &str = "


...A
..AAA
...A


.............A
............AAA
.............A";

// Books. Slots: a cover, b pages, c metal.

pub(super) const BOOK: &str = "
...AAAAAAAAA1
..AAaaaaaaaa1
..Aa1aaaaaaa1
..Aa1aaaaaaa1
..Aa1aaaaaaa1
..Aa1aaaaaaa1
..Aa1aaaaaaa1
..Aa1aaaaaaa1
..Aa1aaaaaaa1
..Aa1aaaaaaa1
..A1111111111
..1BBBBBBBBBb
..1bbbbbbbbb2
...1111111111";

pub(super) const CORNERS: &str = "
...........Ccc
............cc
.............3






.............c
............cc
...........ccc";

pub(super) const CLASP: &str = "




...........CCc
...........Cc3
...........c33";

/// Slots: a first, b second colour of the emblem.
pub(super) const BOOK_STAR: &str = "
........A
.......AAA
......AAAAA
.......AAA
......Aa.aA";

pub(super) const BOOK_EYE: &str = "

......wwww
.....wwBbww
......wbbw";

pub(super) const BOOK_GEM: &str = "
.......Aa
......Awaa
......Aaa1
......aaa1
.......11";

pub(super) const BOOK_MOON: &str = "
......AAA
.....AA
.....AA..B
.....AAA
......aaaa";

pub(super) const OPEN_BOOK: &str = "

..BBBB...BBBb
.aBBBBBBBBBBBba
.aBBBBB2BBBBBba
.aBBBBB2BBBBBba
.aBBBBB2BBBBBba
.aBBBBB2BBBBBba
.aBBBBB2BBBBBba
.aBBBBB2BBBBBba
.abbbbb2bbbbb21
.aaaaaa1aaaaa11
..11111.111111";

/// Slots: a, b colours of the ink.
pub(super) const RUNES: &str = "

...aaa..bbbb

...aaa..bbb

...aa...bbbb";

pub(super) const PICTURE: &str = "

....a....bbb
...aaa..b
...aaa...bbb
....a.......b
........bbb";

// Scrolls. Slots: a paper, b rods, c ribbon.

pub(super) const SCROLL: &str = "
.BBBBBBBBBBBBb2
.bAAAAAAAAAAa12
..2111111111122
...AAAAAAAAAa
...AAAAAAAAAa
...AAAAAAAAAa
...AAAAAAAAAa
...AAAAAAAAAa
...AAAAAAAAaa
...aaaaaaaaa1
.BBBBBBBBBBBBb2
.bAAAAAAAAAAa12
..2222222222222";

/// Slots: a colour, b writing.
pub(super) const LINES: &str = "
.....bbbbb

.....bbb.bb

.....bb.bb

.....bbbbb";

pub(super) const SEAL: &str = "
.....bbbbb

.....bb.bb

.......Aaa
.......aa1
.......a11";

pub(super) const BIG_RUNE: &str = "
.......A
......AAA
.....A.A.A
.......A
.......A
......A.A
.....A...A";

pub(super) const SUN_RUNE: &str = "

.....a.a.a
......aaa
.....aaaaa
......aaa
.....a.a.a";

pub(super) const RIBBON: &str = "
..Cccccccccc33
..ccccccccc333";
