//! The faces of monsters, and the parts of slimes, ghosts and skeletons. Slot a is the body;
//! the others are named with each group.

// Faces. Slot a is the white of the eye. Eyes take three rows, the mouth follows.

pub(super) const DOT_EYES: &str = "

.....#....#
.....#....#";

pub(super) const BIG_EYES: &str = "
....aa...aa
....a#...a#
....a#...a#";

pub(super) const ANGRY_EYES: &str = "
....#......#
....a#....#a
....aa....aa";

pub(super) const ONE_EYE: &str = "
......aaaa
......a##a
......a##a";

pub(super) const SMILE: &str = "
......#..#
.......##";

pub(super) const FANGS: &str = "
.....######
......w##w";

pub(super) const GASP: &str = "

.......##
.......##";

pub(super) const GRIN: &str = "
.....######
......wwww";

// Slimes, standing on the lower edge. Slot b is the sprout, antenna or bow.

pub(super) const SLIME: &str = "
......Aaaa
....AAaaaaaa
...Awwaaaaaa1
..Awaaaaaaaaa1
..Aaaaaaaaaaa1
..Aaaaaaaaaaa1
..aaaaaaaaaa11
..aaaaaaaaa111
...1111111111";

pub(super) const DROP_SLIME: &str = "
.......Aa
......Aaaa
.....Awaaaa
....Awaaaaaa
...Aaaaaaaaa1
...Aaaaaaaaa1
..Aaaaaaaaaa11
..Aaaaaaaaaa11
..aaaaaaaaaa11
..aaaaaaaaa111
...1111111111";

pub(super) const CUBE_SLIME: &str = "
...AAAAAAAAA
..AAAAAAAAAa1
..Awwaaaaaa11
..Awaaaaaaa11
..Aaaaaaaaa11
..Aaaaaaaaa11
..Aaaaaaaaa11
..aaaaaaaaa11
..aaaaaaaaa11
..1111111111";

pub(super) const SPROUT: &str = "
....Bb..Bb
.....bbbb
.......2
.......2";

pub(super) const ANTENNAE: &str = "
...Bb....Bb
...b2....b2
.....1..1
.....1..1";

pub(super) const STUBS: &str = "

....Bb..Bb
....b2..b2
....b2..b2";

// Ghosts. Slot b is the hat or bow.

pub(super) const GHOST: &str = "
.....AAaaaa
....AAaaaaaa
...AAaaaaaaa1
...Aaaaaaaaa1
...Aaaaaaaaa1
..AAaaaaaaaa11
.AAAaaaaaaaa111
.A.Aaaaaaaaa1.1
...Aaaaaaaaa1
...Aaaaaaaaa1
...aaaaaaaa11
...aa1aa1aa11
....1..1..1";

pub(super) const WISP: &str = "
.....AAaaaa
....AAaaaaaa
...AAaaaaaaa1
...Aaaaaaaaa1
...Aaaaaaaaa1
...Aaaaaaaaa1
.AAAaaaaaaaa111
.A.Aaaaaaaaa1.1
....aaaaaaa1
.....aaaaaa1
.......aaa11
........aa1.1
.........111";

pub(super) const GHOST_HAT: &str = "
......Bbb2
......Bbb2
....BBbbbb22";

pub(super) const GHOST_BOW: &str = "
....Bb..bb2
....Bbb2bb2
....bb..b22";

// Skeletons. Slots: b bandana and rags, c eyes.

pub(super) const SKULL: &str = "
.....AAaaaa
....AAaaaaa1
....Aaaaaaa1
....A##aa##1
....a#caa#c1
....aaa##aa1
.....a#a#a1";

pub(super) const HORNED_SKULL: &str = "
...A........1
...AAAaaaa11
....Aaaaaaa1
....A##aa##1
....a#caa#c1
....aaa##aa1
.....a#a#a1";

pub(super) const BANDANA: &str = "
.....BBbbbb
....BBbbbbb22
....bbbbbbb2.2";

pub(super) const BONES: &str = "
...Aaaaaaaa11
...A#######.1
...a#aaaaa1#1
...a###a###.1
.....aaaa1
.....a#..a
....aa...a1";

pub(super) const RAGS: &str = "
...Aaaaaaaa11
...A#Bbbb2##1
...a#aaaa1##1
...a#Bbbb2##1
.....Bbbb2
.....a#..a
....aa...a1";

pub(super) const CLUB: &str = "
Aa
Aa
a1
a1
.1
.1";
