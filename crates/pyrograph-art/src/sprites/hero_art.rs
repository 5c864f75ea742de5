//! The parts of a hero. Slots: a skin, b hair, c cloth, d metal or trim, e boots, unless a
//! group says otherwise.

// Heads; a bare face starts at row 2, everything worn on it at row 1.

pub(super) const FACE: &str = "
.....aaaaaa
....Aaaaaaa1
....Aaaaaaa1
....Aa#aa#a1
....Aa#aa#a1
.....aaaaa1";

pub(super) const SHORT_HAIR: &str = "
.....BBbbbb
....BBbbbbb2
....Bbbbbbb2
....Bb.bb.b2
....b......2";

pub(super) const LONG_HAIR: &str = "
.....BBbbbb
....BBbbbbb2
...BBbbbbbb22
...Bbb.bb.b22
...Bb......22
...Bb......22
...bb......22
....b......2";

pub(super) const SPIKY_HAIR: &str = "
....B..b..b
...BBbBbbbb.2
....BBbbbbb2
...BBb.bb.b22
....b......2";

pub(super) const BUNS: &str = "
..Bb.BBbbb.b2
..bbBBbbbbbb2
....Bbbbbbb2
....Bb....b2
....b......2";

pub(super) const SIDE_LOCKS: &str = "
....Bb....b2
...Bb......22
...Bb......22
...bb......22
....b......2";

pub(super) const BEARD: &str = "
....Bb....b2
....Bbbbbbb2
.....bb##b2
......bbb2";

pub(super) const LONG_BEARD: &str = "
....BBbbbb22
.....Bbbbb2
......Bbb2
.......b2";

pub(super) const GREAT_HELM: &str = "
.....DDdddd
....DDddddd4
....DDddddd4
....Dddddd44
....d######4
....Dd#d#d#4
.....ddd444";

pub(super) const PLUMED_HELM: &str = "
......CCcc33
.....Cddddd33
....DDddddd43
....Ddddddd4
....d######4
....Dd#d#d#4
.....ddd444";

pub(super) const OPEN_HELM: &str = "
.....DDdddd
....DDdCcdd4
....DdddCdd4
....DddddddD
....d#aaaa#4
....da#aa#a4
.....aaaaa1";

/// Slot a is the horn.
pub(super) const HORNED_HELM: &str = "
..A..........a
..Aa.DDddd..a1
..AaDDddddd4a1
...aDddddd44a
....44444444";

pub(super) const POINTED_HAT: &str = "
.......Cc
......Ccc3
.....Cdddd3
..CCcccccccc33";

pub(super) const BENT_HAT: &str = "
.....CCcc33
.....Cccc3
....Cddddd3
..CCcccccccc33";

/// Slot a is the gem.
pub(super) const CROWN: &str = "
...xDxxDdxxdx
...xDdxDdxd4x
....DdaddAd4";

pub(super) const HOOD: &str = "
......CCcc
....CCccccc3
...CCccccccc3
...Cc######33
...Cca#aa#133
...Cca#aa#133
....ccaaaa33";

pub(super) const MASK: &str = "
.....CCcccc
....CCccccc3
....Cdddddd4.d
....ddddddddd4
....Aa#aa#a1
....Cc#cc#c3
.....ccccc3";

// Bodies, from the shoulders at row 8 down to the lower edge.

pub(super) const TUNIC: &str = "
....CCcccc33
...C#Ccccc3#3
...a#Ccccc3#1
.....Ddddd4
.....Ccccc3
.....ee..55
.....ee..55";

pub(super) const ARMOUR: &str = "
...DDDdddd444
...D#DDddd4#4
...d#Ddddd4#4
.....cccccc
.....DDddd4
.....Dd..d4
.....ee..55";

pub(super) const TABARD: &str = "
...DDCcccc344
...D#CcDDc3#4
...a#CcDDc3#1
.....Ccccc3
.....Ccccc3
.....ee..55
.....ee..55";

pub(super) const ROBE: &str = "
....CCcccc33
...CC3cddc333
...Cc3cddc333
...aa3cddc311
.....CcddC3
....CCcddc33
....dddddd44";

pub(super) const GOWN: &str = "
....CCaaaa33
....a#Cccc#1
....a#dddd#1
.....Ccccc3
....CCcccc33
...CCccccc333
...ddddddd444";

/// Slot a is the cloth.
pub(super) const CAPE: &str = "
...Aaaaaaaa1
..Aaaaaaaaaa1
..Aa########1
..Aa########1
..Aa########1
..aa########1
..aa.......11";

pub(super) const HAND: &str = "
aa";

// Weapons, raised over the arm with their left edge at column 12, top at row 2. Slots: a
// blade, b guard, c grip.

pub(super) const SWORD: &str = "
.A
.Aa
.Aa
.Aa
.Aa
.Aa
.A1
bbb
.c";

pub(super) const KATANA: &str = "
..A
.Aa
.A
.Aa
.A1
.A1
.A1
.bb
.c
.c";

pub(super) const SPEAR: &str = "
.A
Aa1
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

pub(super) const AXE: &str = "



.c
AcA
Aca
Aca
.c
.c
.c
.c
.c";

pub(super) const MACE: &str = "




AAa
Aaa
aa1
.b
.c
.c
.c
.c";

/// Top at row 3. Slots: a string, b wood.
pub(super) const BOW: &str = "
.b
.ab
.ab
.ab
.ab
.ab
.ab
.ab
.ab
.b";

// Staffs, top at row 3. Slots: a orb, b shaft.

pub(super) const ORB_STAFF: &str = "
.Aa
.a1
.bb
.b
.b
.b
.b
.b
.b
.b
.b
.b";

pub(super) const CROOK_STAFF: &str = "
.bb
bab
..b
.b
.b
.b
.b
.b
.b
.b
.b
.b";

// Shields, raised with the left edge at column 1, top at row 8. Slots: a rim, b field,
// c emblem.

pub(super) const KITE_SHIELD: &str = "
aaaaa
aBcb1
acccc
aBcb1
.ab1
..1";

pub(super) const ROUND_SHIELD: &str = "
.Aaa
ABbb1
abcb1
abb21
.111";
