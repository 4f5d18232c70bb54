//! Lengths of scale bars: round, and as a figure says them.

/// The round length (1, 2 or 5 times a power of ten, µm) of a bar of at most `most_um`.
pub fn round_length_um(most_um: f64) -> f64 {
    if !(most_um > 0.0 && most_um.is_finite()) {
        return 1.0;
    }
    let decade = 10f64.powf(most_um.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|step| step * decade).find(|length| *length <= most_um).unwrap_or(decade)
}

/// A length as a figure says it: "500 nm", "2 µm", "1 mm".
pub fn length_label(length_um: f64) -> String {
    let (value, unit) = match length_um {
        um if um < 0.9999 => (um * 1000.0, "nm"),
        um if um < 999.9 => (um, "µm"),
        um => (um / 1000.0, "mm"),
    };
    format!("{} {unit}", value.round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_round_and_labelled() {
        for (most, length, label) in
            [(2.6, 2.0, "2 µm"), (0.74, 0.5, "500 nm"), (13.0, 10.0, "10 µm"), (1.0, 1.0, "1 µm")]
        {
            assert!((round_length_um(most) - length).abs() < 1e-9, "{most}");
            assert_eq!(length_label(length), label);
        }
        assert_eq!(round_length_um(f64::NAN), 1.0);
    }
}
