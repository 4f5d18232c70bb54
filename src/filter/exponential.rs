//! The exponential of what is not above 0, in vectors.

/// `exp(x)` for x ≤ 0, to a few parts in a million; next to nothing far below.
///
/// A power of two from the whole part, a polynomial of the fifth degree for the rest (the Taylor terms of 2ᵗ on half a unit
/// to either side). No branch, so that a loop over it becomes vectors.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const TERMS: [f32; 5] =
        [std::f32::consts::LN_2, 0.240_226_5, 0.055_504_11, 0.009_618_129, 0.001_333_355_8];
    let powers = (x * std::f32::consts::LOG2_E).max(-126.0);
    // Adding and taking off 1.5 · 2²³ rounds to the nearest whole number.
    let whole = (powers + 12_582_912.0) - 12_582_912.0;
    let t = powers - whole;
    let tail = TERMS[2] + t * (TERMS[3] + t * TERMS[4]);
    let fraction = 1.0 + t * (TERMS[0] + t * (TERMS[1] + t * tail));
    let power = f32::from_bits(((whole as i32 + 127) << 23) as u32);
    fraction * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_exponential() {
        for i in 0..8700 {
            let x = -0.01 * i as f32;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            // The sixth Taylor term at half a unit is 2.4e-6; x / ln 2 is rounded to 24 bits.
            assert!((found / expected - 1.0).abs() < 4e-6 - 1.2e-7 * f64::from(x), "{x}: {found} {expected}");
        }
        assert!(exp(0.0) == 1.0 && exp(-1000.0) < 1e-37);
    }
}
