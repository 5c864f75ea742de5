//! The parts of bread, fish, meat and cheese. Slot a is the main colour; the others are named
//! with each group.

// Bakery. Slots: b crumb, c icing or jam, d filling.

pub(super) const LOAF: &str = "
....AAAaaaaa
..AAAaAAaaAaa1
.AAa2AAa2AAa2a1
.Aa2AAa2AAa2aa1
.AaaAaaaAaaaa11
.aaaaaaaaaaaa11
.aaaaaaaaaaa111
.aaaaaaaaaaa111
..111111111111";

pub(super) const TOAST: &str = "
...AAAaaaaaa
..AABBBBBBbaa1
..ABBBBBBBbba1
..aBBBBBBBbba1
...aBBBBBBba1
...aBBBBBBba1
...aBBBBBbba1
...aBBBBBbba1
...aBBBBBbba1
...aBBbbbbba1
...aaa111111";

pub(super) const JAM: &str = "
.....CCccc
....CwcccccC
....Ccccccc
....ccccc3
.....ccc3";

pub(super) const BUTTER: &str = "

......DDD
.....DDDd4
......dd4";

pub(super) const FRIED_EGG: &str = "
.....wwwww
....wwDDdww
....wwDddww
....wwwddww
.....wwww";

/// Slots: b patty, c salad, d cheese or tomato.
pub(super) const BURGER: &str = "
.....AAaaaa
...AAaaaaaaa1
..AAaaaaaaaaa1
..Aaaaaaaaaa11
..CcCCcCcCcc33
..dddddddddd44
..BbbdddbdbB22
..22222222222
..AAaaaaaaaa11
..Aaaaaaaaa111
...1111111111";

pub(super) const SEEDS: &str = "
......B..B
....B..B..B";

pub(super) const FEW_SEEDS: &str = "

.....B..B";

pub(super) const DOUGHNUT: &str = "
.....CCcccc
...CCCccccccc
..CCcccccccccc
..CcccccccccC3
..Cccc2xx2ccc3
..ccc2xxxx2c33
..cccc2xx2cc33
..Acccaccccc31
..aaccaaca33a1
...aaaaaaaa11
...1aaaa11111
.....111111";

/// Slots: a and b the colours of the sprinkles.
pub(super) const SPRINKLES: &str = "

......A...B
....B...A
...........B
...A
...........A
....B
.........B";

pub(super) const DRIZZLE: &str = "

......A..A
.....A..A.A
....A......A
...A........A
....A
.....A...A
......A.A";

// Fish on a plate. Slots: b fin, c plate, d plate band.

pub(super) const PLATE: &str = "


.CCCCCCCCCCCC33
..CddddddddddC
....33333333";

pub(super) const FISH: &str = "
......BBbb2
.....AAAaaaa
.Bb.AAAaaaaaa1
.BbbAAaaaa#waa
..baaa1aaa##aa
.Bb2aaa1aaaaa1
.b2.1aaaaaa11
......1111";

pub(super) const STRIPED_FISH: &str = "
......BBbb2
.....AbAabaa
.Bb.AAbaabaaa1
.BbbAabaab#waa
..baaabaab##aa
.Bb2aabaabaaa1
.b2.1abaaba11
......1111";

pub(super) const LEMON: &str = "
...........Aa
...........Awa
...........Aa1";

// Meat. Slots: b bone, c parsley, d sauce.

pub(super) const PARSLEY: &str = "

..........C
.........Cc.cc
.........cccc3
..........cc3";

pub(super) const DRUMSTICK: &str = "
.......AAaa
.....AAAaaaa1
....AwwAaaaaa1
....AwAaaaaa11
....Aaaaaaaa11
....Aaaaaaa111
....aaaaaaa11
.....aaaa111
....BB1111
.BBBBb1
.BBbb
..Bbb
..bb2";

pub(super) const HAM: &str = "
......AAAaaa
.....AAaaaaaa
....AABBbaaaa1
....ABaabaaaa1
....ABa1baaaa1
....AabbBaaaa1
....aaaaaaaa11
.....aaaaa111
....BB11111
.BBBBb
.BBbb
..Bbb
..bb2";

pub(super) const TOMATO: &str = "


..........dd
.........Ddd4
.........dd44";

pub(super) const GRILL_MARKS: &str = "
.........1
........1.1
.......1.1.1
........1.1";

pub(super) const SAUCE: &str = "
........ddd
.......ddddd
.......d.d4
.........d";

// Cheese. Slots: b rind, c garnish.

pub(super) const CHEESE: &str = "
.........AAA
.......AAAAAA2
.....AAAAAAAAb2
...AAAAAAAAAAb2
.AAAAAAAAAAAAb2
.aaaaaaaaaaaab2
.aaaaaaaaaaaab2
.aaaaaaaaaaaab2
.aaaaaaaaaaaab2
.aaaaaaaaaaaab2
.11111111111122";

pub(super) const HOLES: &str = "

..111...111
..111...111
..AAA.1.AAA
.....111
.....AAA";

pub(super) const MANY_HOLES: &str = "

..11..11..11
..11..AA..11
..AA......AA
...111..11
...AAA..AA";

pub(super) const BIG_HOLES: &str = "

..1111
..1111.1111
..AAAA.1111
.......AAAA";

pub(super) const CHEESE_PICK: &str = "

........Cc
.......Cccc
.......ccc3
........w3
........w
........w";

pub(super) const CHEESE_FLAG: &str = "
........wCcc
........wcccc
........wcc3
........w
........w
........w";
