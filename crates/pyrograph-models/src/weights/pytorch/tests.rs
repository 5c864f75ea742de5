//! Files written byte by byte: what no state dict holds, and what torch writes but our fixtures do not.

use super::*;

/// Reads a file that lies in memory.
pub(super) fn contents(bytes: &[u8]) -> Result<Contents, String> {
    super::read(&SharedBytes::owned(bytes.to_vec()))
}

fn read(bytes: &[u8]) -> Result<BTreeMap<String, TensorEntry>, String> {
    contents(bytes).map(|contents| contents.tensors)
}

/// A pickle of protocol 2 around `body`.
fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

/// A text of up to 255 bytes.
pub(super) fn text(text: &str) -> Vec<u8> {
    [&[b'X', text.len() as u8, 0, 0, 0], text.as_bytes()].concat()
}

/// A legacy file with this object and the storages `0` and so on.
pub(super) fn legacy(object: &[u8], storages: &[&[f32]]) -> Vec<u8> {
    let mut file = pickle(&[&b"\x8a\x0a"[..], &LEGACY_MAGIC].concat());
    file.extend(pickle(b"M\xe9\x03"));
    file.extend(pickle(b"}"));
    file.extend(pickle(object));
    let keys: Vec<u8> = (0..storages.len())
        .flat_map(|key| text(&key.to_string()))
        .collect();
    file.extend(pickle(&[b"](", &keys[..], b"e"].concat()));
    for values in storages {
        file.extend((values.len() as i64).to_le_bytes());
        file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }
    file
}

/// The opcodes of a tensor that is all of storage `0`.
pub(super) fn tensor(length: u8) -> Vec<u8> {
    [
        &b"ctorch._utils\n_rebuild_tensor_v2\n(("[..],
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &[b'K', length, b't', b'Q', b'K', 0, b'K', length, 0x85],
        b"K\x01\x85\x89}tR",
    ]
    .concat()
}

#[track_caller]
fn refused(object: &[u8], expected: &str) {
    let message = read(&legacy(object, &[])).expect_err("a hostile file");
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_file_written_byte_by_byte_reads() {
    let object = [b"}", &text("bias")[..], &tensor(3), b"s"].concat();
    let tensors = read(&legacy(&object, &[&[1.0, 2.0, 3.0]])).expect("whole");
    assert_eq!(tensors["bias"].shape(), [3]);
    assert_eq!(tensors["bias"].to_f32(), [1.0, 2.0, 3.0]);
}

#[test]
fn copies_of_a_value_share_it() {
    // 2³⁰ empty tuples, each tuple holding the one before twice: by DUP, and by the memo.
    let doubled = [&b")"[..], &b"2\x86".repeat(30)].concat();
    let recalled = [&b")"[..], &b"q\x00h\x00\x86".repeat(30)].concat();
    for object in [doubled, recalled] {
        // Nothing is copied, and what the tuples hold is visited as often as it stands in them.
        refused(&object, "more entries than any checkpoint's");
    }
}

#[test]
fn dicts_that_share_dicts_without_end_are_refused() {
    // Dict k holds dict k − 1 under two names: 2³⁰ paths to the first.
    let mut object = b"}q\x00".to_vec();
    for level in 0..30 {
        object.extend(b"}");
        for name in ["a", "b"] {
            object.extend(text(name));
            object.extend([b'h', level, b's']);
        }
        object.extend([b'q', level + 1]);
    }
    refused(&object, "more entries than any checkpoint's");
}

#[test]
fn one_storage_under_very_many_names_is_refused() {
    let object = |names: u32| {
        let mut object = [b"}", &text("first")[..], &tensor(200), b"q\x00s"].concat();
        for name in 1..names {
            object.extend(text(&name.to_string()));
            object.extend(b"h\x00s");
        }
        object
    };
    let values = [0.5; 200];
    assert_eq!(
        read(&legacy(&object(50), &[&values]))
            .expect("shared")
            .len(),
        50
    );
    let message = read(&legacy(&object(400), &[&values])).expect_err("400 times");
    assert!(
        message.contains("more than 64 times its bytes"),
        "{message}"
    );
}

#[test]
fn claims_beyond_a_pickles_end_are_refused() {
    for claim in [
        &b"X\xff\xff\xff\xff"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\xff",
        b"B\xff\xff\xff\xff",
        b"I12",
    ] {
        refused(claim, "the pickle ends");
    }
}

#[test]
fn a_pickle_of_too_many_opcodes_is_refused() {
    // The memo, the stack and the arenas grow by opcodes only.
    let object = b"]".repeat((1 << 23) + 1);
    refused(&object, "more than the 8388608 opcodes allowed");
}

#[test]
fn a_tensor_of_more_axes_than_weights_have_is_refused() {
    let object = [
        &b"ctorch._utils\n_rebuild_tensor_v2\n(("[..],
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        b"tQK\x00(",
        &b"K\x01".repeat(9),
        b"t(",
        &b"K\x01".repeat(9),
        b"ttR",
    ]
    .concat();
    refused(&object, "more than 8 axes");
}

#[test]
fn storages_of_an_archive_that_overlap_are_refused() {
    // Two tensors, and one entry of a central directory for both storages.
    let second = |tensor: Vec<u8>| {
        let at = tensor
            .windows(6)
            .position(|w| w == text("0"))
            .expect("its key");
        let mut tensor = tensor;
        tensor[at + 5] = b'1';
        tensor
    };
    let object = [
        b"}",
        &text("a")[..],
        &tensor(200),
        b"s",
        &text("b"),
        &second(tensor(200)),
        b"s",
    ]
    .concat();
    let values = [0; 800];
    let file = overlapping_zip(&[("a/data.pkl", &pickle(&object)), ("a/data/0", &values)]);
    let message = read(&file).expect_err("800 bytes twice");
    assert!(
        message.contains("its storages hold more than the file's"),
        "{message}"
    );
}

/// An archive of stored entries whose last entry is also named `a/data/1`.
fn overlapping_zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for (name, content) in entries {
        let at = file.len() as u32;
        let fields = |name: &str| {
            let mut fields = vec![0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            fields.extend(crc32(content).to_le_bytes());
            fields.extend([(content.len() as u32).to_le_bytes(); 2].concat());
            fields.extend((name.len() as u16).to_le_bytes());
            fields.extend([0, 0]);
            fields
        };
        file.extend(b"PK\x03\x04");
        file.extend(fields(name));
        file.extend(name.as_bytes());
        file.extend(*content);
        let also = (*name == "a/data/0").then_some("a/data/1");
        for name in [Some(*name), also].into_iter().flatten() {
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(fields(name));
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.as_bytes());
            count += 1;
        }
    }
    let at = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend([count.to_le_bytes(); 2].concat());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// The checksum that archives carry.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn protocol_1_reads_and_protocol_0_is_refused_by_name() {
    let mut file = b"L119547037146038801333356L\n.I1001\n.}.".to_vec();
    // Protocol 1 writes False as `I00` and long numbers as lines.
    let object = [b"}", &text("bias")[..], &tensor(2), b"s"].concat();
    let object = object
        .iter()
        .flat_map(|byte| {
            if *byte == 0x89 {
                b"I00\n".to_vec()
            } else {
                vec![*byte]
            }
        })
        .flat_map(|byte| {
            if byte == 0x85 {
                b"t".to_vec()
            } else {
                vec![byte]
            }
        })
        .collect::<Vec<_>>();
    // Without TUPLE1 a tuple of one needs its mark.
    let sizes = |object: Vec<u8>| {
        let from = object
            .windows(5)
            .position(|w| w == b"K\x02tK\x01")
            .expect("its shape");
        [&object[..from], b"(K\x02t(K\x01", &object[from + 5..]].concat()
    };
    file.extend(sizes(object));
    file.extend(b".](");
    file.extend(text("0"));
    file.extend(b"e.");
    file.extend(2_i64.to_le_bytes());
    file.extend([1.5_f32, -2.0].iter().flat_map(|v| v.to_le_bytes()));
    assert!(is_pytorch(&file));
    assert_eq!(
        read(&file).expect("protocol 1")["bias"].to_f32(),
        [1.5, -2.0]
    );

    let file = b"L119547037146038801333356L\n.I1001\n.(dp0\nS'a'\nI1\ns.".to_vec();
    let message = read(&file).expect_err("protocol 0");
    assert!(
        message.contains("protocol 0") && message.contains("1 and above are read"),
        "{message}"
    );
}

/// The opcodes of an object of a module's class with this state.
fn module(class: &str, state: &[u8]) -> Vec<u8> {
    let state = [&text("_parameters")[..], b"}", &text("_modules"), state].concat();
    [class.as_bytes(), b")\x81}(", &state, b"ub"].concat()
}

#[test]
fn a_whole_module_is_told_by_its_class() {
    let inner = [
        b"}",
        &text("conv")[..],
        &module("ctorch.nn\nConv2d\n", b"}"),
        b"s",
    ]
    .concat();
    let object = module("cmodels\nNet\n", &inner);
    refused(&object, "a pickled object of the class `models.Net`");
    refused(&object, "module.state_dict()");
    let checkpoint = [b"}", &text("model")[..], &object, b"s"].concat();
    refused(&checkpoint, "the class `models.Net`");
    // A state dict beside the module is read.
    let both = [
        b"}(",
        &text("model")[..],
        &object,
        &text("bias"),
        &tensor(2),
        b"u",
    ]
    .concat();
    let tensors = read(&legacy(&both, &[&[1.0, 2.0]])).expect("a bias");
    assert_eq!(tensors["bias"].to_f32(), [1.0, 2.0]);
}

#[test]
fn lists_tuples_and_pairs_around_tensors_are_entered() {
    let inner = [b"}", &text("bias")[..], &tensor(2), b"s"].concat();
    let pair = [&text("weight")[..], &tensor(1), b"\x86"].concat();
    let object = [
        b"](K\x07",
        &inner[..],
        b")",
        &inner,
        b"\x85",
        &pair,
        &tensor(2),
        b"e",
    ]
    .concat();
    let tensors = read(&legacy(&object, &[&[1.0, 2.0]])).expect("read");
    let keys: Vec<_> = tensors.keys().map(String::as_str).collect();
    assert_eq!(keys, ["1.bias", "3.0.bias", "5", "weight"]);
}

#[test]
fn what_protocol_5_holds_beside_tensors_is_skipped() {
    let beside: [&[u8]; 8] = [
        b"\x8f(K\x01K\x02\x90",                 // A set.
        b"(K\x01\x91",                          // A frozen set.
        b"\x96\x02\0\0\0\0\0\0\0ab",            // A bytearray.
        b"\x8e\x02\0\0\0\0\0\0\0ab",            // Long bytes.
        b"\x97\x98",                            // A buffer beside the pickle.
        b"cnumpy\nndarray\n)R(K\x01tb",         // An object with a state.
        b"cargparse\nNamespace\n)}\x92}b",      // The same with keywords.
        b"ccollections\ndeque\n)R(K\x01K\x02e", // Items of no list.
    ];
    for (number, other) in beside.into_iter().enumerate() {
        let object = [
            b"}(",
            &text("other")[..],
            other,
            &text("bias"),
            &tensor(2),
            b"u",
        ]
        .concat();
        let tensors = read(&legacy(&object, &[&[1.0, 2.0]]));
        let tensors = tensors.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["bias"], "{number}");
    }
}

#[test]
fn tensors_of_types_that_are_not_read_stand_beside_those_that_are() {
    let odd = tensor(2);
    let at = odd
        .windows(12)
        .position(|w| w == b"FloatStorage")
        .expect("its class");
    let odd = [&odd[..at], b"QInt32Storage", &odd[at + 12..]].concat();
    let odd = odd
        .iter()
        .map(|byte| if *byte == b'0' { b'1' } else { *byte })
        .collect::<Vec<_>>();
    let object = [
        b"}(",
        &text("odd")[..],
        &odd,
        &text("bias"),
        &tensor(2),
        b"u",
    ]
    .concat();
    let found = contents(&legacy(&object, &[&[1.0, 2.0], &[0.0, 0.0]])).expect("a bias");
    assert_eq!(found.tensors["bias"].to_f32(), [1.0, 2.0]);
    assert_eq!(
        found.unread["odd"],
        "it is of type QInt32, which is not read"
    );
}

#[test]
fn an_untyped_storage_has_the_type_that_its_tensor_names() {
    let object = [
        b"}",
        &text("ids")[..],
        b"ctorch._utils\n_rebuild_tensor_v3\n((",
        &text("storage"),
        b"ctorch.storage\nUntypedStorage\n",
        &text("0"),
        &text("cpu"),
        b"K\x04tQK\x00K\x02\x85K\x01\x85\x89}ctorch\nuint16\ntRs",
    ]
    .concat();
    let mut file = legacy(&object, &[]);
    // The list of storages, and the one of 4 bytes.
    file.truncate(file.len() - pickle(b"](e").len());
    file.extend(pickle(&[b"](", &text("0")[..], b"e"].concat()));
    file.extend(4_i64.to_le_bytes());
    file.extend([7, 0, 1, 1]);
    let tensors = read(&file).expect("two numbers");
    assert_eq!(tensors["ids"].to_f32(), [7.0, 257.0]);
}
