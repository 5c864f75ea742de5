//! The header of an `.npy` file: a Python dictionary of three entries.
//!
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

/// The contents of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The type of the numbers, such as `<f8` or `|u1`.
    pub(crate) dtype: String,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<u64>,
}

/// Parses the dictionary, such as
/// `{'descr': '|u1', 'fortran_order': False, 'shape': (1807, 16, 16, 3), }`. The error says what is
/// wrong.
pub(super) fn parse(text: &[u8]) -> Result<Header, String> {
    let mut cursor = Cursor { text, place: 0 };
    let (mut dtype, mut fortran_order, mut shape) = (None, None, None);
    cursor.expect(b'{')?;
    while !cursor.take(b'}') {
        let key = cursor.string()?;
        cursor.expect(b':')?;
        match key.as_str() {
            "descr" => dtype = Some(cursor.dtype()?),
            "fortran_order" => fortran_order = Some(cursor.boolean()?),
            "shape" => shape = Some(cursor.tuple()?),
            _ => return Err(format!("unknown entry '{key}'")),
        }
        if !cursor.take(b',') && cursor.peek() != Some(b'}') {
            return Err(cursor.unexpected("',' or '}'"));
        }
    }
    if let Some(byte) = cursor.peek() {
        return Err(format!("'{}' after the dictionary", byte.escape_ascii()));
    }
    let missing = |entry| move || format!("no entry '{entry}'");
    Ok(Header {
        dtype: dtype.ok_or_else(missing("descr"))?,
        fortran_order: fortran_order.ok_or_else(missing("fortran_order"))?,
        shape: shape.ok_or_else(missing("shape"))?,
    })
}

/// A place in the text. Nothing here recurses, so no header can exhaust the stack.
struct Cursor<'a> {
    text: &'a [u8],
    place: usize,
}

impl Cursor<'_> {
    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while self
            .text
            .get(self.place)
            .is_some_and(u8::is_ascii_whitespace)
        {
            self.place += 1;
        }
        self.text.get(self.place).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.place += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{}'", byte as char)))
        }
    }

    fn unexpected(&mut self, wanted: &str) -> String {
        match self.peek() {
            Some(byte) => {
                format!(
                    "'{}' at byte {} where {wanted} belongs",
                    byte.escape_ascii(),
                    self.place
                )
            }
            None => format!("the end where {wanted} belongs"),
        }
    }

    /// The bytes from here on that `belongs` accepts.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> String {
        let rest = &self.text[self.place..];
        let length = rest
            .iter()
            .position(|&byte| !belongs(byte))
            .unwrap_or(rest.len());
        self.place += length;
        rest[..length].escape_ascii().to_string()
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.unexpected("a string")),
        };
        self.place += 1;
        let string = self.run(|byte| byte != quote);
        self.expect(quote)?;
        Ok(string)
    }

    /// The name of a type; a list of named fields is refused in words.
    fn dtype(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(b'[') => Err("records of several fields, where plain numbers are needed".into()),
            _ => self.string(),
        }
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.peek();
        match self.run(|byte| byte.is_ascii_alphabetic()).as_str() {
            "True" => Ok(true),
            "False" => Ok(false),
            other => Err(format!("'{other}' where True or False belongs")),
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        let mut numbers = Vec::new();
        self.expect(b'(')?;
        while !self.take(b')') {
            self.peek();
            let digits = self.run(|byte| byte.is_ascii_digit());
            if digits.is_empty() {
                return Err(self.unexpected("a number of the shape"));
            }
            // Only a number beyond 64 bits does not parse.
            let number = digits
                .parse()
                .map_err(|_| format!("a side of {digits} in the shape"))?;
            numbers.push(number);
            if !self.take(b',') && self.peek() != Some(b')') {
                return Err(self.unexpected("',' or ')'"));
            }
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_header_that_numpy_writes_is_understood() {
        let text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1807, 16, 16, 3), }   \n";
        let header = parse(text).unwrap();
        assert_eq!(header.dtype, "|u1");
        assert!(!header.fortran_order);
        assert_eq!(header.shape, [1807, 16, 16, 3]);
    }

    #[test]
    fn order_spacing_and_quotes_do_not_matter() {
        let text = br#"{"shape":(5,),"fortran_order" : True,"descr":"<f8"}"#;
        let header = parse(text).unwrap();
        assert_eq!((header.dtype.as_str(), header.fortran_order), ("<f8", true));
        assert_eq!(header.shape, [5]);
        let scalar = parse(b"{'descr': '<f8', 'fortran_order': False, 'shape': ()}").unwrap();
        assert!(scalar.shape.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "the end where '{' belongs"),
            (
                b"{'descr': '<f8', 'fortran_order': False}",
                "no entry 'shape'",
            ),
            (b"{'descr': [('x', '<f8')], ", "records of several fields"),
            (
                b"{'fortran_order': Maybe}",
                "'Maybe' where True or False belongs",
            ),
            (
                b"{'shape': (1, -2)}",
                "'-' at byte 14 where a number of the shape belongs",
            ),
            (
                b"{'shape': (99999999999999999999,)}",
                "a side of 99999999999999999999",
            ),
            (
                b"{'shape': (1 2)}",
                "'2' at byte 13 where ',' or ')' belongs",
            ),
            (b"{'color': 'red'}", "unknown entry 'color'"),
            (b"{'descr': 'never closed", "the end where ''' belongs"),
        ];
        for (text, reason) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{error:?} instead of {reason:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&text);
        }

        #[test]
        fn no_damaged_header_makes_it_panic(place in 0_usize..72, byte: u8) {
            let mut text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1807, 16, 16, 3), }\n".to_vec();
            if let Some(target) = text.get_mut(place) {
                *target = byte;
            }
            let _ = parse(&text);
        }
    }
}
