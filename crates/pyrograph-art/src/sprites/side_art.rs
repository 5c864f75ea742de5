//! The parts of heroes in profile, facing right. Slots: a skin, b hair, c cloth, d metal, e
//! boots.

pub(super) const FACE: &str = "
....aaaaaaa
...aaaaaaaa
...aaaaaaaa
...1aaaa#aa
...1aaaa#aaa
....11aaaaa";

// Headwear from row 1.

pub(super) const SHORT_HAIR: &str = "
....BBbbbb
...BBbbbbbb
..BBbbbbbbb
..Bbbbb...b
..bbbb
..2bb
...22";

pub(super) const PONYTAIL: &str = "
....BBbbbb
...BBbbbbbb
.BBBbbbbbbb
.Bbbbbb
.bbbbb
.b22b
.b2
..2";

pub(super) const SPIKY_HAIR: &str = "
..b.Bb.bb.b
...BBbbbbbb
.bBBbbbbbbb
..BBbbb.b.b
.bbbbb
..2bb
...22";

pub(super) const HELM: &str = "
....DDdddd
...DDdddddd
..DDddddddd4
..Ddddddddd4
..Dddd#####
..dddddd4aaa
...ddd44aa";

pub(super) const PLUMED_HELM: &str = "
..CCCccc
.CccDDdddd
.CcDDdddddd
.c3Dddddddd4
...Dddd####
...ddddd4aaa
....ddd4aa";

pub(super) const POINTED_HAT: &str = "
....CCc
...CCccc
..CDddddd4
.CCccccccccc3
..bb
..bb
...2";

pub(super) const HOOD: &str = "
....CCcccc
...CCcccccc
..CCccccccc
..Cccccc33
..Ccccc3
..cccc33
...cc333";

pub(super) const CROWN: &str = "
...D..d..d
...Dd.dd.d4
..BDdddddd4
..Bbbbb...b
..bbbb
..2bb
...22";

// Bodies from row 8.

pub(super) const TUNIC: &str = "
....3cccCC
....3cccCc
....3cccCc
....4dddDd
....3ccccC
....55..ee
....555.eee";

pub(super) const ARMOUR: &str = "
....4dddDD
....4dddDd
....4dddDd
....3cccCc
....4dddDd
....44..dd
....555.eee";

pub(super) const ROBE: &str = "
....3cccCC
....3cccCc
....3cccCc
....4dddDd
....3ccccC
...33ccccCc
...3cccccccC";

pub(super) const CAPE: &str = "
...Aa
..AAa
..Aaa
..Aaa
.AAa1
.Aaa1
.1111";

pub(super) const QUIVER: &str = "
..Aa
..Aa1
..Aa1
..aa1
...11";

pub(super) const ARM: &str = "
......cccccaa
......3333311";

// Weapons held before the body, left edge at column 12, top at row 2. Slots: a blade,
// b guard, c shaft, d jewel.

pub(super) const SWORD: &str = "

..A
.Aa
.Aa
.Aa
.A1
bbb
.c
.c";

pub(super) const BUCKLER: &str = "




DDd
DBd
DBd
DBd
ddd
.d";

pub(super) const STAFF: &str = "
DDd
Ddd
dd4
.c
.c
.c
.c
.c
.c
.c
.c
.c
.c";

pub(super) const SPEAR: &str = "
.A
AAa
.a
.c
.c
.c
.c
.c
.c
.c
.c
.c
.c";
