//! Numbers whose bits lie in their bytes in another way than this machine has them.
//!
//! A camera of 12 bits may say that its numbers take 12 of 16; half precision of machine learning has floats of its own.
//! The parsing crate tells the number of bytes only. Reference: HDF5 File Format Specification 3.0, IV.A.2.d (datatype).

/// Classes of a datatype.
const WHOLE: u8 = 0;
const FLOAT: u8 = 1;
const NAMED: u8 = 8;

/// Where the bits of a number lie, counted from the lowest of its bytes taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::io::hdf5) enum Bits {
    /// A whole number in some of the bits.
    Whole {
        /// Lowest bit.
        at: u32,
        /// Number of bits, 1 to 64.
        n: u32,
        /// Whether the highest of them is a sign.
        signed: bool,
    },
    /// Sign, exponent and mantissa, whose first one is not written.
    Float {
        /// The bit of the sign.
        sign: u32,
        /// Lowest bit and number of bits of the exponent.
        exponent: [u32; 2],
        /// Lowest bit and number of bits of the mantissa.
        mantissa: [u32; 2],
        /// What is subtracted from the exponent.
        bias: u32,
    },
}

/// The floats of this machine: IEEE 754 of 2, 4 and 8 bytes.
const IEEE: [(usize, Bits); 3] = [
    (2, Bits::Float { sign: 15, exponent: [10, 5], mantissa: [0, 10], bias: 15 }),
    (4, Bits::Float { sign: 31, exponent: [23, 8], mantissa: [0, 23], bias: 127 }),
    (8, Bits::Float { sign: 63, exponent: [52, 11], mantissa: [0, 52], bias: 1023 }),
];

impl Bits {
    /// What a datatype message says; `None` where its numbers are as this machine has them, or no numbers.
    pub(super) fn of(message: &[u8]) -> Result<Option<Self>, String> {
        let Some((head, rest)) = message.split_at_checked(8) else { return Ok(None) };
        let (class, flags) = (head[0] & 15, [head[1], head[2]]);
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if class == NAMED {
            return Self::of(rest);
        }
        if !matches!(class, WHOLE | FLOAT) || !(1..=8).contains(&size) {
            return Ok(None);
        }
        let word = |at: usize| rest.get(at..at + 2).map(|w| u32::from(w[0]) | u32::from(w[1]) << 8);
        let byte = |at: usize| rest.get(at).map(|b| u32::from(*b));
        let wrong = || "a number whose bits are not said".to_owned();
        if class == WHOLE {
            let (at, n) = (word(0).ok_or_else(wrong)?, word(2).ok_or_else(wrong)?);
            if n == 0 || (at + n) as usize > 8 * size {
                return Err(format!("whole numbers of {n} bits from bit {at} on in {size} bytes"));
            }
            let is_plain = n as usize == 8 * size;
            return Ok((!is_plain).then_some(Self::Whole { at, n, signed: flags[0] & 8 != 0 }));
        }
        let part = |at: usize| Some([byte(at)?, byte(at + 1)?]);
        let (exponent, mantissa) = (part(4).ok_or_else(wrong)?, part(6).ok_or_else(wrong)?);
        let bias = word(8).zip(word(10)).map(|(low, high)| low | high << 16).ok_or_else(wrong)?;
        let float = Self::Float { sign: u32::from(flags[1]), exponent, mantissa, bias };
        if flags[0] & 0x40 != 0 {
            return Err("floats in the byte order of a VAX: write them anew in another (h5repack)".to_owned());
        }
        let is_plain = IEEE.contains(&(size, float));
        let [fits_exponent, fits_mantissa] =
            [exponent, mantissa].map(|[at, n]| (1..=52).contains(&n) && (at + n) as usize <= 8 * size);
        let is_known = flags[0] >> 4 & 3 == 2
            && fits_exponent
            && fits_mantissa
            && exponent[1] <= 15
            && bias < 1 << 15
            && usize::from(flags[1]) < 8 * size;
        match (is_plain, is_known) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(float)),
            (false, false) => {
                Err("floats of a make that is not known: write them anew as float32".to_owned())
            }
        }
    }

    /// Whether f32 holds every such number.
    pub(in crate::io::hdf5) fn fits_f32(self) -> bool {
        match self {
            Self::Whole { n, .. } => n <= 24,
            Self::Float { exponent, mantissa, .. } => exponent[1] <= 8 && mantissa[1] <= 23,
        }
    }

    /// The number that these bits are.
    pub(in crate::io::hdf5) fn value(self, bits: u64) -> f64 {
        let part = |[at, n]: [u32; 2]| bits >> at & (u64::MAX >> (64 - n));
        match self {
            Self::Whole { at, n, signed: false } => part([at, n]) as f64,
            Self::Whole { at, n, signed: true } => {
                let up = 64 - n;
                (part([at, n]) << up).cast_signed().wrapping_shr(up) as f64
            }
            Self::Float { sign, exponent, mantissa, bias } => {
                let (e, m) = (part(exponent), part(mantissa));
                let fraction = m as f64 / (1u64 << mantissa[1]) as f64;
                let power = |e: i32| 2f64.powi(e - bias as i32);
                let size = match e {
                    0 => fraction * power(1),
                    e if e == u64::MAX >> (64 - exponent[1]) => {
                        if m == 0 {
                            f64::INFINITY
                        } else {
                            f64::NAN
                        }
                    }
                    e => (1.0 + fraction) * power(e as i32),
                };
                if bits >> sign & 1 == 1 { -size } else { size }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(class: u8, flags: [u8; 2], size: u8, rest: &[u8]) -> Vec<u8> {
        [&[0x10 | class, flags[0], flags[1], 0, size, 0, 0, 0], rest].concat()
    }

    #[test]
    fn numbers_of_this_machine_are_left_as_they_are() {
        assert_eq!(Bits::of(&message(WHOLE, [8, 0], 2, &[0, 0, 16, 0])), Ok(None));
        let single = [0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];
        assert_eq!(Bits::of(&message(FLOAT, [0x20, 31], 4, &single)), Ok(None));
    }

    #[test]
    fn some_bits_of_whole_numbers_are_taken_with_their_sign() {
        let twelve = Bits::of(&message(WHOLE, [8, 0], 2, &[4, 0, 12, 0])).unwrap().unwrap();
        assert_eq!(twelve, Bits::Whole { at: 4, n: 12, signed: true });
        assert_eq!([0x7ff0, 0x800f, 0xffff].map(|bits| twelve.value(bits)), [2047.0, -2048.0, -1.0]);
        let without = Bits::Whole { at: 0, n: 12, signed: false };
        assert_eq!(without.value(0xffff), 4095.0);
        assert!(Bits::of(&message(WHOLE, [0, 0], 2, &[8, 0, 12, 0])).is_err());
    }

    #[test]
    fn short_floats_are_those_of_the_same_bits_above() {
        // bfloat16 is the upper half of a float of 4 bytes.
        let brain = [0, 0, 16, 0, 7, 8, 0, 7, 127, 0, 0, 0];
        let brain = Bits::of(&message(FLOAT, [0x20, 15], 2, &brain)).unwrap().unwrap();
        assert!(brain.fits_f32());
        for bits in (0..=u16::MAX).step_by(7) {
            let expected = f64::from(f32::from_bits(u32::from(bits) << 16));
            let found = brain.value(u64::from(bits));
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{bits:x}");
        }
        let (_, half) = IEEE[0];
        for bits in 0..=u16::MAX {
            let expected = half::f16::from_bits(bits).to_f64();
            let found = half.value(u64::from(bits));
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{bits:x}");
        }
        assert!(Bits::of(&message(FLOAT, [0x61, 15], 2, &[0; 12])).unwrap_err().contains("VAX"));
    }
}
